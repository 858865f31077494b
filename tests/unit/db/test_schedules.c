/* schedules: their rows, who may see them, and that each run is submitted once. */
#include "world.h"

#define SCHEDULES (w->db->schedules)

static const struct db_page page = {10, ""};
static const struct db_schedule_times tomorrow = {4000000000, 4000000060};

static struct db_schedule_new nightly(enum schedule_action action)
{
	return (struct db_schedule_new){"demo", "web", "nightly", action, STR("{}"), "30 3 * * *", "Europe/Berlin", 600,
		SCHEDULE_SKIP, tomorrow};
}

static struct db_schedule create(struct world *w, const struct db_schedule_new *n)
{
	return RUN_OK(w, SCHEDULES->create(w->db, &admin, n, on_schedule, &a)).schedule;
}

/* One that is due. */
static struct db_schedule make_due(struct world *w, enum schedule_action action)
{
	struct db_schedule_new n = nightly(action);
	create(w, &n);
	psql(w, "update schedules set next_at = now() - interval '1 second', due_at = now() - interval '1 second'");
	struct answer due = RUN_OK(w, SCHEDULES->due(w->db, 10, on_schedules_due, &a));
	assert_int_equal(due.n, 1);
	return due.schedules[0];
}

static void a_schedule_lives(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_schedule_new n = nightly(SCHEDULE_REDEPLOY);
	struct db_schedule s = create(w, &n);
	assert_string_equal(s.project, "demo");
	assert_string_equal(s.stack, "web");
	assert_string_equal(s.cron, "30 3 * * *");
	assert_string_equal(s.time_zone, "Europe/Berlin");
	assert_int_equal(s.jitter_s, 600);
	assert_true(s.next_us == tomorrow.next_s * 1000000 && s.due_us == tomorrow.due_s * 1000000);
	assert_int_equal(s.last_outcome, 0);
	RUN_FAILS(w, ST_ALREADY_EXISTS, "\"nightly\" exists already",
		SCHEDULES->create(w->db, &admin, &n, on_schedule, &a));
	n.name = "Not so";
	RUN_FAILS(w, ST_INVALID_ARGUMENT, "must be at most 40 lower-case", SCHEDULES->create(w->db, &admin, &n, on_schedule, &a));
	n.name = "typo";
	n.action = SCHEDULE_SCALE;
	n.params = STR("{\"replicas\": {\"fornt\": 2}}");
	RUN_FAILS(w, ST_NOT_FOUND, "service \"fornt\" is not in stack \"web\"",
		SCHEDULES->create(w->db, &admin, &n, on_schedule, &a));
	n.stack = "nowhere";
	RUN_FAILS(w, ST_NOT_FOUND, "stack \"nowhere\"", SCHEDULES->create(w->db, &admin, &n, on_schedule, &a));

	const struct db_schedule_change change = {"@daily", "UTC", 0, SCHEDULE_RUN_ONCE, true, tomorrow};
	struct db_schedule changed = RUN_OK(w,
		SCHEDULES->update(w->db, &admin, s.id.text, s.revision, &change, on_schedule, &a)).schedule;
	assert_true(changed.paused && changed.missed == SCHEDULE_RUN_ONCE && changed.jitter_s == 0);
	RUN_FAILS(w, ST_ABORTED, "\"nightly\" was changed",
		SCHEDULES->update(w->db, &admin, s.id.text, s.revision, &change, on_schedule, &a));

	assert_int_equal(RUN_OK(w, SCHEDULES->list(w->db, &admin, "demo", &page, on_schedules, &a)).n, 1);
	assert_int_equal(RUN_OK(w, SCHEDULES->list(w->db, &admin, "", &page, on_schedules, &a)).n, 1);
	RUN_OK(w, SCHEDULES->get(w->db, &admin, "", s.id.text, on_schedule, &a));
	RUN_OK(w, SCHEDULES->remove(w->db, &admin, "demo", "nightly", on_done, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "schedule \"nightly\" does not exist",
		SCHEDULES->get(w->db, &admin, "demo", "nightly", on_schedule, &a));
	assert_value(w, "select string_agg(target || ' ' || (detail->>'cron'), ', ' order by id) from audit_log"
		" where target like 'schedule/%'", "schedule/nightly 30 3 * * *, schedule/nightly @daily, schedule/nightly @daily");
}

static void another_projects_is_not_there(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct uuid other = make_project(w, "other");
	running_stack(w, "demo", "web");
	struct db_schedule_new n = nightly(SCHEDULE_RESTART);
	struct db_schedule s = create(w, &n);
	struct db_scope scope = scope_of(&other);
	const struct db_schedule_change change = {"@daily", "UTC", 0, SCHEDULE_SKIP, true, tomorrow};
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", SCHEDULES->get(w->db, &scope, "", s.id.text, on_schedule, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", SCHEDULES->get(w->db, &scope, "demo", "nightly", on_schedule, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist",
		SCHEDULES->update(w->db, &scope, s.id.text, s.revision, &change, on_schedule, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", SCHEDULES->remove(w->db, &scope, "", s.id.text, on_done, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", SCHEDULES->create(w->db, &scope, &n, on_schedule, &a));
	assert_int_equal(RUN_OK(w, SCHEDULES->list(w->db, &scope, "", &page, on_schedules, &a)).n, 0);
}

static void the_same_request_makes_one(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_scope once = admin;
	once.request_id = "r1";
	once.fingerprint = STR("f");
	struct db_schedule_new n = nightly(SCHEDULE_RESTART);
	struct db_schedule first = RUN_OK(w, SCHEDULES->create(w->db, &once, &n, on_schedule, &a)).schedule;
	struct db_schedule again = RUN_OK(w, SCHEDULES->create(w->db, &once, &n, on_schedule, &a)).schedule;
	assert_string_equal(first.id.text, again.id.text);
}

static void a_project_has_so_many(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_schedule_new n = nightly(SCHEDULE_RESTART);
	create(w, &n);
	psql(w, "insert into schedules select gen_random_uuid(), project_id, stack_id, 'x' || g, action, params, cron,"
		" time_zone, 0, missed, paused, 1, next_at, due_at, null, null, '', null, '' from schedules,"
		" generate_series(2, 100) g");
	n.name = "more";
	RUN_FAILS(w, ST_RESOURCE_EXHAUSTED, "has 100 schedules", SCHEDULES->create(w->db, &admin, &n, on_schedule, &a));
}

static void a_run_is_submitted_once(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_schedule s = make_due(w, SCHEDULE_RESTART);
	struct answer x[4] = {{.w = w}, {.w = w}, {.w = w}, {.w = w}};
	for (int i = 0; i < 4; i++) { /* as four daemons that have seen the same */
		struct db *db = i % 2 ? w->db : w->db2;
		db->schedules->fire(db, &s, 3, &tomorrow, on_job, &x[i]);
	}
	int fired = 0;
	for (int i = 0; i < 4; i++) {
		while (x[i].calls == 0)
			loop_turn(w->loop);
		fired += x[i].st.code == ST_OK;
		assert_true(x[i].st.code == ST_OK || x[i].st.code == ST_ABORTED);
	}
	assert_int_equal(fired, 1);
	assert_value(w, "select count(*) || ' ' || min(created_by) from deployment_jobs where kind = 'restart'",
		"1 schedule:nightly");
	/* One that slept meanwhile, and its row is long out of date. */
	RUN_FAILS(w, ST_ABORTED, "has been seen to", SCHEDULES->fire(w->db2, &s, 3, &tomorrow, on_job, &a));
	RUN_FAILS(w, ST_ABORTED, "has been seen to",
		SCHEDULES->pass(w->db2, &s, SCHEDULE_MISSED, "late", &tomorrow, on_done, &a));
	struct answer due = RUN_OK(w, SCHEDULES->due(w->db, 10, on_schedules_due, &a));
	assert_int_equal(due.n, 0);
	assert_true(due.number > 1000000000); /* ms until tomorrow */
	struct db_schedule now = RUN_OK(w, SCHEDULES->get(w->db, &admin, "demo", "nightly", on_schedule, &a)).schedule;
	assert_int_equal(now.last_outcome, SCHEDULE_SUBMITTED);
	assert_int_equal(now.last_job_state, JOB_PENDING);
	assert_true(now.last_us > 0);
}

/* A daemon reads that it has ended, and before it submits the next one somebody runs it once more. */
static void the_run_before_may_run_again(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_schedule s = make_due(w, SCHEDULE_RESTART);
	const struct db_schedule_times long_due = {1000, 1000};
	struct db_job first = RUN_OK(w, SCHEDULES->fire(w->db, &s, 3, &long_due, on_job, &a)).job;
	RUN_OK(w, w->db->jobs->cancel(w->db, &admin, first.id.text, on_job, &a));
	struct db_schedule seen = RUN_OK(w, SCHEDULES->due(w->db2, 10, on_schedules_due, &a)).schedules[0];
	assert_int_equal(seen.last_job_state, JOB_CANCELLED);
	RUN_OK(w, w->db->jobs->retry(w->db, &admin, first.id.text, on_job, &a));
	RUN_FAILS(w, ST_ABORTED, "of the run before has not ended", SCHEDULES->fire(w->db2, &seen, 3, &tomorrow, on_job, &a));
	assert_value(w, "select count(*) from deployment_jobs where kind = 'restart'", "1");
	RUN_OK(w, w->db->jobs->cancel(w->db, &admin, first.id.text, on_job, &a));
	RUN_OK(w, SCHEDULES->fire(w->db2, &seen, 3, &tomorrow, on_job, &a));
}

/* While somebody is at the schedules, and if it were for ever, others do not wait for it. */
static void one_daemon_at_a_time(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_schedule s = make_due(w, SCHEDULE_RESTART);
	psql(w, "begin");
	psql(w, "select pg_advisory_xact_lock(hashtext('skep_schedules'))");
	RUN_FAILS(w, ST_ABORTED, "another daemon", SCHEDULES->fire(w->db, &s, 3, &tomorrow, on_job, &a));
	psql(w, "rollback");
	RUN_OK(w, SCHEDULES->fire(w->db, &s, 3, &tomorrow, on_job, &a));
}

static void a_redeploy_has_the_same_text(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job first = running_stack(w, "demo", "web");
	struct db_schedule s = make_due(w, SCHEDULE_REDEPLOY);
	struct db_job j = RUN_OK(w, SCHEDULES->fire(w->db, &s, 3, &tomorrow, on_job, &a)).job;
	assert_int_equal(j.kind, JOB_UPDATE);
	assert_int_equal(j.release_number, 2);
	assert_non_null(strstr(j.params.ptr, "always"));
	struct answer was = RUN_OK(w, w->db->stacks->load_release(w->db, j.project_id.text, first.deployment_id.text,
		on_release, &a));
	struct answer is = RUN_OK(w, w->db->stacks->load_release(w->db, j.project_id.text, j.deployment_id.text,
		on_release, &a));
	assert_true(str_eq(was.release.source, is.release.source));
	assert_int_equal(is.release.rendered.len, 0);
}

/* It neither overtakes nor undoes what somebody is doing. */
static void a_redeploy_steps_back(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_schedule s = make_due(w, SCHEDULE_REDEPLOY);
	struct db_job mine = deploy(w, "demo", "web");
	RUN_FAILS(w, ST_FAILED_PRECONDITION, mine.id.text, SCHEDULES->fire(w->db, &s, 3, &tomorrow, on_job, &a));
	assert_value(w, "select revision || ' ' || coalesce(last_outcome::text, '-') from schedules", "1 -");
	RUN_OK(w, SCHEDULES->pass(w->db, &s, SCHEDULE_REFUSED, "not now", &tomorrow, on_done, &a));
	struct db_schedule now = RUN_OK(w, SCHEDULES->get(w->db, &admin, "demo", "nightly", on_schedule, &a)).schedule;
	assert_int_equal(now.last_outcome, SCHEDULE_REFUSED);
	assert_string_equal(now.last_message, "not now");
	assert_value(w, "select count(*) from deployment_jobs where state = 'pending'", "1");
}

static void a_paused_one_is_not_due(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_schedule s = make_due(w, SCHEDULE_SCALE);
	psql(w, "update schedules set paused = true"); /* the revision is as it was */
	struct answer due = RUN_OK(w, SCHEDULES->due(w->db, 10, on_schedules_due, &a));
	assert_int_equal(due.n, 0);
	assert_int_equal(due.number, -1); /* or the daemon would look without end */
	RUN_FAILS(w, ST_ABORTED, "was changed", SCHEDULES->fire(w->db, &s, 3, &tomorrow, on_job, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_schedule_lives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_projects_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_same_request_makes_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_project_has_so_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_run_is_submitted_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_run_before_may_run_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_daemon_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_redeploy_has_the_same_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_redeploy_steps_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_paused_one_is_not_due, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, world_start, world_stop);
}
