/* The archive of jobs: what moves and when, that it is told as before, how it comes back, what is dropped. */
#include "world.h"

#define JOBS (w->db->jobs)
#define DAY  ((int64_t)24 * 3600)

static const struct db_retention usual = {30 * DAY, 400 * DAY, 20, DAY, 400 * DAY};
static const struct db_job_filter every = {.project = "", .stack = ""};

/* Whatever has ended by now, but for the newest of each stack. */
static bool archive_now(struct world *w, struct db *db)
{
	const struct db_retention keep = {30 * DAY, 400 * DAY, 20, 0, 400 * DAY};
	PGconn *due = PQconnectdb(server.address); /* psql may be in a transaction */
	PQclear(PQexec(due, "delete from chores"));
	PQfinish(due);
	return RUN_OK(w, db->jobs->archive(db, &keep, on_archived, &a)).more;
}

static void assert_places(struct world *w, const char *hot, const char *archived)
{
	assert_value(w, "select coalesce(string_agg(kind::text, ' ' order by id), '') from deployment_jobs", hot);
	assert_value(w, "select coalesce(string_agg(kind::text, ' ' order by id), '') from deployment_jobs_archive", archived);
}

static struct db_job get(struct world *w, const struct db_job *j)
{
	return RUN_OK(w, JOBS->get(w->db, &admin, j->id.text, on_job, &a)).job;
}

static struct answer list(struct world *w, const struct db_scope *s, struct db_job_filter f, unsigned size, const char *before)
{
	const struct db_page page = {size, before};
	f.project = f.project ? f.project : "";
	f.stack = f.stack ? f.stack : "";
	return RUN_OK(w, JOBS->list(w->db, s, &f, &page, on_jobs, &a));
}

/* deploy (succeeded), restart (failed, its attempt is kept), scale (succeeded), in this order. */
static struct db_job make_three(struct world *w)
{
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	submit(w, "demo", "web", JOB_RESTART);
	struct db_job failed = claim(w, "d1");
	finish(w, &failed, JOB_FAILED);
	submit(w, "demo", "web", JOB_SCALE);
	struct db_job last = claim(w, "d1");
	finish(w, &last, JOB_SUCCEEDED);
	return failed;
}

/* Ended `n` of them, over the last `days`, some of each kind and state, of five stacks in each project that there is. */
static void make_history(struct world *w, int n, int days)
{
	psql(w, arena_fmt(w->arena,
		"insert into deployment_jobs (id, project_id, stack_name, kind, state, created_by, created_at, finished_at)"
		" select (left(skep_uuid_floor(t)::text, 15) || right(gen_random_uuid()::text, 21))::uuid, p.id, 's' || i %% 5,"
		"  (array['scale', 'scale', 'scale', 'update', 'deploy'])[1 + i / 5 %% 5]::job_kind,"
		"  case when i %% 20 = 0 then 'failed' when i %% 100 = 1 then 'cancelled' else 'succeeded' end::job_state,"
		"  'me', t, t from generate_series(1, %d) i, projects p,"
		"  lateral (select now() - interval '%d days' * i / %d as t) x", n, days, n));
}

/* ---- moving ---- */

static void what_ended_long_ago_moves(void **state)
{
	struct world *w = *state;
	make_three(w);
	psql(w, "delete from chores");
	RUN_OK(w, JOBS->archive(w->db, &usual, on_archived, &a));
	assert_places(w, "deploy restart scale", "");
	psql(w, "update deployment_jobs set finished_at = now() - interval '25 hours' where kind in ('deploy', 'scale')");
	psql(w, "delete from chores");
	RUN_OK(w, JOBS->archive(w->db, &usual, on_archived, &a));
	assert_places(w, "restart scale", "deploy"); /* the newest of its stack stays */
	submit(w, "demo", "web", JOB_SCALE);
	archive_now(w, w->db);
	assert_places(w, "scale", "deploy restart scale"); /* what waits is the newest now */
}

static void one_daemon_once_a_minute(void **state)
{
	struct world *w = *state;
	make_three(w);
	const struct db_retention keep = {30 * DAY, 400 * DAY, 20, 0, 400 * DAY};
	psql(w, "delete from chores");
	psql(w, "begin; select pg_advisory_xact_lock(hashtext('skep_archive'))");
	RUN_OK(w, JOBS->archive(w->db, &keep, on_archived, &a));
	psql(w, "commit");
	assert_places(w, "deploy restart scale", "");
	psql(w, "insert into chores (name, next_at) values ('archive', now() + interval '1 second')");
	RUN_OK(w, JOBS->archive(w->db, &keep, on_archived, &a));
	assert_places(w, "deploy restart scale", "");
	archive_now(w, w->db2);
	assert_places(w, "scale", "deploy restart");
}

/* More than goes at once: it is due at once. */
static void a_backlog_is_seen_to(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	make_history(w, 1500, 100);
	psql(w, "delete from chores");
	assert_true(RUN_OK(w, JOBS->archive(w->db, &usual, on_archived, &a)).more);
	assert_value(w, "select count(*) from deployment_jobs_archive", "1000");
	assert_false(RUN_OK(w, w->db2->jobs->archive(w->db2, &usual, on_archived, &a)).more);
	assert_value(w, "select count(*) from deployment_jobs where finished_at < now() - interval '24 hours'", "0");
	assert_value(w, "select count(*) from deployment_jobs_archive j join deployment_jobs using (id)", "0");
	assert_value(w, "select next_at > now() from chores where name = 'archive'", "t");
}

/* Somebody holds a job that is due: the others do not wait for it. */
static void a_job_in_use_stays_for_now(void **state)
{
	struct world *w = *state;
	make_three(w);
	psql(w, "begin; select from deployment_jobs where kind = 'deploy' for update");
	archive_now(w, w->db);
	psql(w, "commit");
	assert_places(w, "deploy scale", "restart");
}

/* ---- telling ---- */

static void it_is_told_as_before(void **state)
{
	struct world *w = *state;
	struct db_job failed = make_three(w), before = get(w, &failed);
	size_t n_events = RUN_OK(w, JOBS->events(w->db, &admin, failed.id.text, 0, 100, on_events, &a)).n;
	archive_now(w, w->db);
	assert_places(w, "scale", "deploy restart");
	struct db_job after = get(w, &failed);
	assert_int_equal(after.state, JOB_FAILED);
	assert_string_equal(after.error, "it broke");
	assert_true(str_eq(after.attempts, before.attempts));
	assert_non_null(strstr(after.attempts.ptr, "it broke"));
	assert_string_equal(after.stack_id.text, before.stack_id.text);
	assert_string_equal(after.project, "demo");
	assert_int_equal(after.finished_us, before.finished_us);
	assert_int_equal(after.last_sequence, before.last_sequence);
	assert_int_equal(RUN_OK(w, JOBS->events(w->db, &admin, failed.id.text, 0, 100, on_events, &a)).n, n_events);
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "has ended already: its state is failed",
		JOBS->cancel(w->db, &admin, failed.id.text, on_job, &a));
	struct uuid other = make_project(w, "other");
	struct db_scope theirs = scope_of(&other);
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->get(w->db, &theirs, failed.id.text, on_job, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->retry(w->db, &theirs, failed.id.text, on_job, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->events(w->db, &theirs, failed.id.text, 0, 1, on_events, &a));
}

/* Releases, schedules and request ids name jobs. */
static void what_names_it_still_finds_it(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_scope once = admin;
	once.request_id = "r1";
	once.fingerprint = STR("f");
	struct db_stack_deploy d = deploy_of("demo", "web");
	struct db_job update = RUN_OK(w, w->db->stacks->deploy(w->db, &once, &d, on_job, &a)).job;
	struct db_job j = claim(w, "d1");
	finish(w, &j, JOB_FAILED);
	psql(w, arena_fmt(w->arena, "insert into schedules (id, project_id, stack_id, name, action, cron, time_zone, next_at, due_at,"
		" created_by, last_job_id) select gen_random_uuid(), project_id, stack_id, 'nightly', 'restart', '@daily', 'UTC', now(),"
		" now(), 'me', id from deployment_jobs where id = '%s'", j.id.text));
	submit(w, "demo", "web", JOB_SCALE);
	archive_now(w, w->db);
	assert_places(w, "scale", "deploy update");
	const struct db_stack_ref web = {"", "demo", "web"};
	struct db_page page = {10, ""};
	struct answer got = RUN_OK(w, w->db->stacks->releases(w->db, &admin, &web, &page, on_releases, &a));
	assert_int_equal(got.n, 2);
	assert_string_equal(got.releases[0].message, "it broke");
	got = RUN_OK(w, w->db->schedules->list(w->db, &admin, "demo", &page, on_schedules, &a));
	assert_int_equal(got.schedules[0].last_job_state, JOB_FAILED);
	assert_string_equal(got.schedules[0].last_job_error, "it broke");
	j = RUN_OK(w, w->db->stacks->deploy(w->db, &once, &d, on_job, &a)).job; /* the same call again */
	assert_string_equal(j.id.text, update.id.text);
	assert_int_equal(j.state, JOB_FAILED);
}

static void filters(void **state)
{
	struct world *w = *state;
	struct uuid demo = make_project(w, "demo");
	make_project(w, "other");
	running_stack(w, "other", "web");
	struct db_job first = running_stack(w, "demo", "web");
	submit(w, "demo", "web", JOB_RESTART);
	struct db_job j = claim(w, "d1");
	finish(w, &j, JOB_FAILED);
	submit(w, "demo", "web", JOB_SCALE);
	psql(w, arena_fmt(w->arena, "update deployment_jobs set id = skep_uuid_floor(now() - interval '1 day') where id = '%s'",
		first.id.text));
	psql(w, "update orchestration_stacks set created_at = now() - interval '2 days'");
	struct db_scope mine = scope_of(&demo);
	int64_t hour_ago = clock_system()->wall_us(clock_system()) - 3600000000;
	const struct {
		const struct db_scope *scope;
		struct db_job_filter f;
		size_t n;
	} cases[] = {
		{&admin, {0}, 4},
		{&mine, {0}, 3},
		{&admin, {.project = "other"}, 1},
		{&admin, {.project = "demo", .stack = "web"}, 3},
		{&admin, {.project = "demo", .stack = "nowhere"}, 0},
		{&admin, {.stack = "web"}, 4},
		{&admin, {.stack = "nowhere"}, 0},
		{&admin, {.stack = first.stack_id.text}, 3},
		{&mine, {.stack = first.stack_id.text, .states = 1U << JOB_FAILED}, 1},
		{&mine, {.states = 1U << JOB_FAILED | 1U << JOB_PENDING}, 2},
		{&mine, {.states = 1U << JOB_RUNNING}, 0},
		{&mine, {.kinds = 1U << JOB_SCALE | 1U << JOB_RESTART}, 2},
		{&admin, {.kinds = 1U << JOB_RESTART, .states = 1U << JOB_SUCCEEDED}, 0},
		{&admin, {.kinds = 1U << JOB_DEPLOY}, 2},
		{&admin, {.stack = "web", .kinds = 1U << JOB_DEPLOY}, 2},
		{&mine, {.from_us = hour_ago}, 2},
		{&mine, {.until_us = hour_ago}, 1},
		{&mine, {.from_us = hour_ago - (int64_t)DAY * 1000000, .until_us = hour_ago}, 1},
		{&mine, {.from_us = hour_ago, .states = 1U << JOB_SUCCEEDED}, 0},
	};
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct answer got = list(w, cases[i].scope, cases[i].f, 50, "");
			if (got.n != cases[i].n)
				fail_msg("case %zu: %zu%s", i, got.n, round ? ", with an archive" : "");
			for (size_t k = 1; k < got.n; k++)
				assert_true(strcmp(got.jobs[k - 1].id.text, got.jobs[k].id.text) > 0);
		}
		archive_now(w, w->db);
		assert_value(w, "select count(*) from deployment_jobs_archive", "2");
	}
}

/* Page by page, while jobs move between the pages, each is told once. */
static void pages_go_on_across(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	make_history(w, 300, 120);
	struct answer page = list(w, &admin, every, 300, "");
	assert_int_equal(page.n, 300);
	const struct db_job *all = page.jobs;
	size_t seen = 0;
	const char *before = "";
	for (int pages = 0; pages < 50; pages++) {
		if (pages == 10)
			psql(w, "select skep_archive_jobs('60 days', '400 days', 1000)");
		if (pages == 20)
			archive_now(w, w->db);
		struct answer got = list(w, &admin, every, 7, before);
		for (size_t i = 0; i < got.n; i++)
			assert_string_equal(got.jobs[i].id.text, all[seen++].id.text);
		if (!got.more)
			break;
		before = got.jobs[got.n - 1].id.text;
	}
	assert_int_equal(seen, 300);
	assert_value(w, "select count(*) > 0 from deployment_jobs_archive", "t");
}

static void a_removed_stacks_jobs_keep_its_name(void **state)
{
	struct world *w = *state;
	struct db_job failed = make_three(w);
	archive_now(w, w->db);
	psql(w, "delete from orchestration_stacks");
	assert_string_equal(get(w, &failed).stack_id.text, "");
	assert_string_equal(get(w, &failed).stack, "web");
	assert_int_equal(list(w, &admin, (struct db_job_filter){.project = "demo", .stack = "web"}, 10, "").n, 3);
	assert_int_equal(list(w, &admin, (struct db_job_filter){.stack = "web"}, 10, "").n, 3);
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "was removed", JOBS->retry(w->db, &admin, failed.id.text, on_job, &a));
	archive_now(w, w->db);
	assert_places(w, "", "deploy restart scale");
}

/* ---- coming back ---- */

static void it_can_be_retried(void **state)
{
	struct world *w = *state;
	struct db_job failed = make_three(w), before = get(w, &failed);
	archive_now(w, w->db);
	struct db_job j = RUN_OK(w, JOBS->retry(w->db, &admin, failed.id.text, on_job, &a)).job;
	assert_int_equal(j.state, JOB_PENDING);
	assert_string_equal(j.stack_id.text, failed.stack_id.text);
	assert_places(w, "restart scale", "deploy");
	assert_true(str_eq(get(w, &failed).attempts, before.attempts));
	assert_value(w, "select created_by from deployment_jobs where kind = 'restart'", "unix:root");
	j = claim(w, "d1");
	assert_int_equal(j.epoch, before.epoch + 1);
	assert_int_equal(j.attempt, before.attempt + 1);
	finish(w, &j, JOB_SUCCEEDED);
	archive_now(w, w->db);
	assert_places(w, "scale", "deploy restart");
	assert_true(str_eq(get(w, &failed).attempts, before.attempts));
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "only a failed or cancelled job",
		JOBS->retry(w->db, &admin, failed.id.text, on_job, &a));
	assert_places(w, "scale", "deploy restart");
}

/* The retry of a job that moves just now waits, and finds it where it went. */
static void a_retry_follows_a_job_that_moves(void **state)
{
	struct world *w = *state;
	struct db_job failed = make_three(w);
	psql(w, "begin; select skep_archive_jobs('0', '400 days', 100)");
	struct answer a = {.w = w};
	JOBS->retry(w->db, &admin, failed.id.text, on_job, &a);
	wait_blocked(w);
	psql(w, "commit");
	wait_for(&a);
	assert_status(&a.st, ST_OK, "");
	assert_places(w, "restart scale", "deploy");
}

static void the_last_of_each_stack_can_be_retried_by_filter(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	submit(w, "demo", "web", JOB_RESTART);
	struct db_job failed = claim(w, "d1");
	finish(w, &failed, JOB_FAILED);
	archive_now(w, w->db);
	struct answer got = RUN_OK(w, JOBS->retry_failed(w->db, &admin, "demo", "", 0, on_jobs, &a));
	assert_int_equal(got.n, 1);
	assert_string_equal(got.jobs[0].id.text, failed.id.text);
}

/* ---- leaving ---- */

static void months_are_dropped(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	make_history(w, 400, 200);
	psql(w, "update job_horizon set id = '00000000-0000-0000-0000-000000000000'");
	psql(w, "select skep_archive_jobs('1 day', '400 days', 1000)");
	struct answer all = list(w, &admin, every, 500, "");
	assert_int_equal(all.n, 400);
	const char *oldest = all.jobs[399].id.text, *newest = all.jobs[0].id.text;
	struct db_page page = {10, oldest};
	RUN_OK(w, JOBS->list(w->db, &admin, &every, &page, on_jobs, &a)); /* nothing was dropped yet */
	psql(w, "delete from chores");
	RUN_OK(w, JOBS->housekeep(w->db, &(struct db_retention){30 * DAY, 400 * DAY, 20, DAY, 60 * DAY}, on_done, &a));
	struct answer left = list(w, &admin, every, 500, "");
	assert_true(left.n >= 118 && left.n < 190);
	assert_string_equal(left.jobs[0].id.text, newest);
	RUN_FAILS(w, ST_OUT_OF_RANGE, "is of a job that was dropped since: jobs made before 20",
		JOBS->list(w->db, &admin, &every, &page, on_jobs, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->get(w->db, &admin, oldest, on_job, &a));
	page.before = left.jobs[left.n - 2].id.text;
	assert_int_equal(RUN_OK(w, JOBS->list(w->db, &admin, &every, &page, on_jobs, &a)).n, 1);
}

/* One that the archive would not keep does not go there; the newest of a stack is kept for as long as the stack. */
static void what_is_too_old_leaves_at_once(void **state)
{
	struct world *w = *state;
	struct db_job failed = make_three(w);
	psql(w, "alter table job_attempts disable trigger all");
	psql(w, "delete from job_attempts");
	psql(w, "update deployment_jobs set id = (left(skep_uuid_floor(created_at - interval '500 days')::text, 15)"
		" || right(id::text, 21))::uuid");
	psql(w, "alter table job_attempts enable trigger all");
	struct answer all = list(w, &admin, every, 10, "");
	assert_int_equal(all.n, 3);
	archive_now(w, w->db);
	all = list(w, &admin, every, 10, "");
	assert_int_equal(all.n, 1);
	assert_places(w, "scale", "");
	/* A page may end at it. */
	assert_int_equal(list(w, &admin, every, 10, all.jobs[0].id.text).n, 0);
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->get(w->db, &admin, failed.id.text, on_job, &a));
}

/* Of a daemon whose clock was wrong. */
static void an_id_of_a_time_to_come_stays(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	make_history(w, 2, 1);
	psql(w, "update deployment_jobs set finished_at = now() - interval '2 days'");
	psql(w, "update deployment_jobs set id = skep_uuid_floor(now() + interval '1000 days') where id = (select max(id::text)::uuid"
		" from deployment_jobs)");
	archive_now(w, w->db);
	assert_value(w, "select count(*) from deployment_jobs", "1");
	assert_value(w, "select count(*) from deployment_jobs_archive", "1");
	assert_int_equal(list(w, &admin, every, 10, "").n, 2);
}

static void a_projects_archive_goes_with_it(void **state)
{
	struct world *w = *state;
	make_project(w, "demo"), make_project(w, "other");
	make_history(w, 1200, 50);
	psql(w, "select skep_archive_jobs('0', '400 days', 5000)");
	const char *id = value(w, "select a.id from deployment_jobs_archive a join projects p on p.id = a.project_id"
		" where p.name = 'demo' limit 1");
	psql(w, "delete from projects where name = 'demo'");
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->get(w->db, &admin, id, on_job, &a));
	assert_true(archive_now(w, w->db));
	assert_false(archive_now(w, w->db));
	assert_value(w, "select count(*) from deployment_jobs_archive", "1200");
	assert_value(w, "select count(*) from job_leftovers", "0");
	assert_int_equal(list(w, &admin, (struct db_job_filter){.project = "other"}, 500, "").n, 500);
}

static void months_are_made_ahead(void **state)
{
	struct world *w = *state;
	psql(w, "do $$ begin execute 'drop table deployment_jobs_archive_' || to_char((now() at time zone 'utc')"
		" + interval '1 month', 'YYYYMM'); end $$");
	psql(w, "delete from chores");
	RUN_OK(w, JOBS->housekeep(w->db, &usual, on_done, &a));
	assert_value(w, "select count(*) from skep_archive_months() m where m.lowest > skep_uuid_floor(now())", "1");
	assert_value(w, "select count(*) from skep_archive_months() m"
		" where m.lowest <= skep_uuid_floor(now()) and skep_uuid_floor(now()) < m.behind", "1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_ended_long_ago_moves),
		TEST(one_daemon_once_a_minute),
		TEST(a_backlog_is_seen_to),
		TEST(a_job_in_use_stays_for_now),
		TEST(it_is_told_as_before),
		TEST(what_names_it_still_finds_it),
		TEST(filters),
		TEST(pages_go_on_across),
		TEST(a_removed_stacks_jobs_keep_its_name),
		TEST(it_can_be_retried),
		TEST(a_retry_follows_a_job_that_moves),
		TEST(the_last_of_each_stack_can_be_retried_by_filter),
		TEST(months_are_dropped),
		TEST(what_is_too_old_leaves_at_once),
		TEST(an_id_of_a_time_to_come_stays),
		TEST(a_projects_archive_goes_with_it),
		TEST(months_are_made_ahead),
	};
	return cmocka_run_group_tests_name("job_archive", tests, world_start, world_stop);
}
