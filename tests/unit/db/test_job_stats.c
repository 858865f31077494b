/* jobs: why each one waits, pauses, retry by filter, daemons. */
#include "world.h"

#define JOBS (w->db->jobs)

static const unsigned priorities[JOB_KINDS] = {[JOB_REMOVE] = 9, [JOB_DEPLOY] = 5, [JOB_SCALE] = 6};

static struct db_job_stats stats(struct world *w, const struct db_scope *s, const char *project)
{
	return RUN_OK(w, JOBS->stats(w->db, s, project, priorities, 10, on_stats, &a)).stats;
}

/* All daemons were told to look anew. */
static bool woken(struct world *w)
{
	psql(w, "select 1");
	PGnotify *n = PQnotifies(w->psql);
	PQfreemem(n);
	return n != NULL;
}

static void every_waiting_job_is_explained(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct uuid other = make_project(w, "other");
	psql(w, "update projects set max_running = 3 where name = 'demo'");
	deploy(w, "demo", "a");
	struct db_job running = claim(w, "d1");
	struct db_job behind = submit(w, "demo", "a", JOB_SCALE);
	deploy(w, "demo", "b");
	deploy(w, "demo", "c");
	psql(w, "update deployment_jobs set run_at = now() + interval '1 hour' where stack_name = 'c'");
	deploy(w, "other", "a");
	struct db_job_stats s = stats(w, &admin, "");
	assert_int_equal(s.n_waiting, 4);
	assert_string_equal(s.waiting[0].job.id.text, behind.id.text);
	assert_string_equal(s.waiting[0].blocker.text, running.id.text);
	assert_int_equal(s.waiting[0].before, 1);
	assert_int_equal(s.waiting[0].project_running, 1);
	assert_int_equal(s.waiting[0].kind_running, 0);
	assert_int_equal(s.waiting[0].max_running, 3);
	assert_string_equal(s.waiting[1].job.stack, "b");
	assert_string_equal(s.waiting[1].blocker.text, "");
	assert_int_equal(s.waiting[1].before, 1);
	assert_int_equal(s.waiting[1].kind_running, 1);
	assert_false(s.waiting[1].later);
	assert_true(s.waiting[2].later);
	assert_int_equal(s.waiting[2].before, 2);
	assert_string_equal(s.waiting[3].job.project, "other");
	assert_int_equal(s.waiting[3].before, 0);
	assert_int_equal(s.n_queues, 3);
	assert_string_equal(s.queues[0].project, "demo");
	assert_int_equal(s.queues[0].kind, JOB_DEPLOY);
	assert_int_equal(s.queues[0].waiting, 2);
	assert_int_equal(s.queues[0].running, 1);
	assert_true(s.queues[0].oldest_us > 0);
	assert_int_equal(s.running, 1);
	assert_int_equal(s.ended, 0);
	finish(w, &running, JOB_SUCCEEDED);
	assert_int_equal(stats(w, &admin, "demo").ended, 1);
	assert_int_equal(stats(w, &admin, "other").ended, 0);
	/* A project sees its own. */
	struct db_scope theirs = scope_of(&other);
	assert_int_equal(stats(w, &theirs, "").n_waiting, 1);
	assert_int_equal(stats(w, &admin, "other").n_waiting, 1);
	RUN_FAILS(w, ST_NOT_FOUND, "project \"demo\" does not exist",
		JOBS->stats(w->db, &theirs, "demo", priorities, 10, on_stats, &a));
	assert_int_equal(RUN_OK(w, JOBS->stats(w->db, &admin, "", priorities, 2, on_stats, &a)).stats.n_waiting, 2);
}

/* A deploy that was begun is superseded: it takes back what it did before the newer one can begin. */
static void the_older_of_a_stack_goes_first(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "a");
	struct db_job begun = claim(w, "d1");
	struct answer later = put(w, (struct db_job_write){.id = begun.id.text, .epoch = begun.epoch, .step = "objects"});
	assert_status(&later.st, ST_OK, "");
	later = put(w, (struct db_job_write){.id = begun.id.text, .epoch = begun.epoch, .state = JOB_PENDING, .delay_ms = 3600000,
		.keep_step = true});
	assert_status(&later.st, ST_OK, "");
	struct db_job newer = deploy(w, "demo", "a");
	struct db_job_stats s = stats(w, &admin, "");
	assert_int_equal(s.n_waiting, 2);
	assert_string_equal(s.waiting[0].job.id.text, begun.id.text);
	assert_int_equal(s.waiting[0].before, 0);
	assert_string_equal(s.waiting[1].job.id.text, newer.id.text);
	assert_string_equal(s.waiting[1].blocker.text, begun.id.text);
	assert_int_equal(s.waiting[1].before, 1);
}

static void what_is_paused_waits(void **state)
{
	struct world *w = *state;
	make_project(w, "demo"), make_project(w, "other");
	deploy(w, "demo", "a");
	struct db_claim before = claim_of(w, "d1", 10, 60000);
	RUN_OK(w, JOBS->pause(w->db, &admin, "demo", 0, "", on_done, &a));
	RUN_OK(w, JOBS->pause(w->db, &admin, "demo", 0, "moving", on_done, &a));
	assert_int_equal(RUN_OK(w, JOBS->claim(w->db, &before, on_jobs, &a)).n, 0); /* decided before it */
	claim_none(w);
	struct db_job_stats s = stats(w, &admin, "");
	assert_string_equal(s.waiting[0].pause, "the project is paused: moving");
	assert_int_equal(s.n_pauses, 1);
	assert_string_equal(s.pauses[0].project, "demo");
	assert_string_equal(s.pauses[0].paused_by, "unix:root");
	assert_int_equal(stats(w, &admin, "other").n_pauses, 0);
	psql(w, "listen skep_jobs");
	RUN_OK(w, JOBS->resume(w->db, &admin, "demo", 0, on_done, &a));
	assert_true(woken(w));
	RUN_OK(w, JOBS->pause(w->db, &admin, "", JOB_DEPLOY, "", on_done, &a));
	claim_none(w);
	s = stats(w, &admin, "other");
	assert_int_equal(s.n_pauses, 1);
	assert_int_equal(s.pauses[0].kind, JOB_DEPLOY);
	assert_string_equal(stats(w, &admin, "").waiting[0].pause, "jobs of kind deploy are paused");
	RUN_OK(w, JOBS->resume(w->db, &admin, "", JOB_DEPLOY, on_done, &a));
	RUN_OK(w, JOBS->resume(w->db, &admin, "", JOB_DEPLOY, on_done, &a)); /* it is not: nothing */
	claim(w, "d1");
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->pause(w->db, &admin, "nowhere", 0, "", on_done, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->resume(w->db, &admin, "nowhere", 0, on_done, &a));
	assert_value(w, "select string_agg(distinct target, ' ' order by target) from audit_log where target like 'jobs/%'",
		"jobs/demo jobs/deploy");
}

/* A decision under the old number is void, and all daemons look anew. */
static void a_new_cap_is_heard_of(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "a");
	struct db_claim before = claim_of(w, "d1", 10, 60000);
	psql(w, "listen skep_jobs");
	RUN_OK(w, w->db->projects->update(w->db, &admin, "demo",
		&(struct db_project_change){.description = "new"}, on_project, &a));
	assert_false(woken(w));
	RUN_OK(w, w->db->projects->update(w->db, &admin, "demo",
		&(struct db_project_change){.max_running = 2}, on_project, &a));
	assert_true(woken(w));
	assert_int_equal(RUN_OK(w, JOBS->claim(w->db, &before, on_jobs, &a)).n, 0);
	assert_int_equal(look(w).queues[0].max_running, 2);
	claim(w, "d1");
}

static void the_last_failed_job_of_each_stack_runs_again(void **state)
{
	struct world *w = *state;
	make_project(w, "demo"), make_project(w, "other");
	struct db_job j;
	for (int i = 0; i < 2; i++) { /* failed twice: the last one counts */
		deploy(w, "demo", "a");
		j = claim(w, "d1");
		finish(w, &j, JOB_FAILED);
	}
	struct db_job last = j;
	deploy(w, "demo", "b");
	struct db_job b = claim(w, "d1");
	finish(w, &b, JOB_FAILED);
	running_stack(w, "demo", "fine");
	deploy(w, "other", "a");
	j = claim(w, "d1");
	finish(w, &j, JOB_FAILED);
	struct db_scope once = admin;
	once.request_id = "none";
	for (int sent = 0; sent < 2; sent++) /* the second time what the first one answered */
		assert_int_equal(RUN_OK(w, JOBS->retry_failed(w->db, &once, "demo", "", JOB_SCALE, on_jobs, &a)).n, 0);
	once.request_id = "a";
	for (int sent = 0; sent < 2; sent++) {
		struct answer one = RUN_OK(w, JOBS->retry_failed(w->db, &once, "demo", "a", 0, on_jobs, &a));
		assert_int_equal(one.n, 1);
		assert_string_equal(one.jobs[0].id.text, last.id.text);
		assert_int_equal(one.jobs[0].state, JOB_PENDING);
	}
	struct answer rest = RUN_OK(w, JOBS->retry_failed(w->db, &admin, "demo", "", JOB_DEPLOY, on_jobs, &a));
	assert_int_equal(rest.n, 1);
	assert_string_equal(rest.jobs[0].stack, "b");
	assert_int_equal(claim_all(w, "d1", 10, 60000).n, 2);
	assert_value(w, "select count(*) from events where kind = 'job.retried'", "2");
	RUN_FAILS(w, ST_NOT_FOUND, "stack \"aa\" does not exist in project \"demo\"",
		JOBS->retry_failed(w->db, &admin, "demo", "aa", 0, on_jobs, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist",
		JOBS->retry_failed(w->db, &admin, "demo", "01900000-0000-7000-8000-000000000001", 0, on_jobs, &a));
}

static void numbers_of_the_last_minute(void **state)
{
	struct world *w = *state;
	struct uuid demo = make_project(w, "demo"), other = make_project(w, "other");
	running_stack(w, "demo", "fine");
	deploy(w, "demo", "a");
	struct db_job j = claim(w, "d1");
	finish(w, &j, JOB_FAILED);
	deploy(w, "demo", "b");
	j = claim(w, "d7");
	deploy(w, "demo", "c");
	psql(w, "update deployment_jobs set id = skep_uuid_floor(now() - interval '61 seconds') where stack_name = 'c'");
	struct db_scope mine = scope_of(&demo), theirs = scope_of(&other);
	struct db_job_stats s = stats(w, &mine, "");
	assert_int_equal(s.submitted, 3);
	assert_int_equal(s.ended, 2);
	assert_int_equal(s.failed, 1);
	assert_int_equal(s.n_running_jobs, 1);
	assert_string_equal(s.running_jobs[0].id.text, j.id.text);
	assert_string_equal(s.running_jobs[0].owner, "d7");
	s = stats(w, &theirs, "");
	assert_int_equal(s.submitted + s.ended + s.failed + (unsigned)s.n_running_jobs, 0);
}

static void daemons_say_that_they_live(void **state)
{
	struct world *w = *state;
	struct uuid demo = make_project(w, "demo");
	struct db_daemon d = {.id = demo, .host = "alpha", .version = "1.0", .slots = 15};
	RUN_OK(w, JOBS->alive(w->db, &d, on_done, &a));
	d.slots = 16;
	RUN_OK(w, JOBS->alive(w->db, &d, on_done, &a));
	struct db_job_stats s = stats(w, &admin, "");
	assert_int_equal(s.n_daemons, 1);
	assert_int_equal(s.daemons[0].running, 0);
	deploy(w, "demo", "a");
	struct db_job j = claim(w, demo.text);
	s = stats(w, &admin, "");
	assert_int_equal(s.daemons[0].running, 1);
	deploy(w, "demo", "b");
	(void)claim(w, "another");
	finish(w, &j, JOB_SUCCEEDED);
	s = stats(w, &admin, "");
	assert_int_equal(s.daemons[0].running, 0);
	assert_string_equal(s.daemons[0].host, "alpha");
	assert_true(s.daemons[0].alive);
	assert_int_equal(s.slots, 16);
	struct db_scope theirs = scope_of(&demo);
	assert_int_equal(stats(w, &theirs, "").n_daemons, 0);
	assert_int_equal(stats(w, &theirs, "").slots, 16);
	psql(w, "update daemons set seen_at = now() - interval '11 seconds'");
	s = stats(w, &admin, "");
	assert_false(s.daemons[0].alive);
	assert_int_equal(s.slots, 0);
	RUN_OK(w, JOBS->gone(w->db, demo.text, on_done, &a));
	assert_int_equal(stats(w, &admin, "").n_daemons, 0);
	RUN_OK(w, JOBS->alive(w->db, &d, on_done, &a));
	psql(w, "update daemons set seen_at = now() - interval '2 hours'");
	d.id = make_project(w, "another");
	RUN_OK(w, JOBS->alive(w->db, &d, on_done, &a));
	assert_int_equal(stats(w, &admin, "").n_daemons, 1);
}

static void on_view(void *data, const struct status *st, const struct db_job *j, size_t n, unsigned paused)
{
	struct answer *a = data;
	on_jobs(data, st, j, n, false);
	a->number = paused;
}

/* Those that there are, of whatever project, with their attempts; and the kinds that are paused, not the projects. */
static void jobs_for_who_shows_them(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	make_project(w, "other");
	const struct uuid ids[] = {deploy(w, "demo", "web").id, {"018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f"},
		deploy(w, "other", "web").id};
	RUN_OK(w, JOBS->pause(w->db, &admin, "demo", 0, "", on_done, &a));
	RUN_OK(w, JOBS->pause(w->db, &admin, "", JOB_SCALE, "", on_done, &a));
	struct answer seen = RUN_OK(w, JOBS->view(w->db, ids, 3, on_view, &a));
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.number, 1u << JOB_SCALE);
	bool first = strcmp(seen.jobs[0].id.text, ids[0].text) == 0;
	assert_string_equal(seen.jobs[!first].project, "demo");
	assert_string_equal(seen.jobs[first].project, "other");
	assert_true(str_is(seen.jobs[0].attempts, "[]"));
	seen = RUN_OK(w, JOBS->view(w->db, NULL, 0, on_view, &a));
	assert_int_equal(seen.n, 0);
	assert_int_equal(seen.number, 1u << JOB_SCALE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_waiting_job_is_explained),
		TEST(the_older_of_a_stack_goes_first),
		TEST(what_is_paused_waits),
		TEST(a_new_cap_is_heard_of),
		TEST(the_last_failed_job_of_each_stack_runs_again),
		TEST(numbers_of_the_last_minute),
		TEST(jobs_for_who_shows_them),
		TEST(daemons_say_that_they_live),
	};
	return cmocka_run_group_tests(tests, world_start, world_stop);
}
