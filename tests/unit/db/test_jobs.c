/* jobs: claim, lease, fence, order, events, cancel, retry. */
#include "world.h"

#define JOBS (w->db->jobs)

static struct db_job get(struct world *w, const struct db_job *j)
{
	return RUN_OK(w, JOBS->get(w->db, &admin, j->id.text, on_job, &a)).job;
}

static struct answer events_of(struct world *w, const struct db_job *j)
{
	return RUN_OK(w, JOBS->events(w->db, &admin, j->id.text, 0, 100, on_events, &a));
}

static const char *kinds(struct world *w, const struct db_job *j)
{
	return value(w, arena_fmt(w->arena,
		"select string_agg(kind, ' ' order by job_sequence) from events where job_id = '%s'",
		j->id.text));
}

static void end_lease(struct world *w)
{
	psql(w,
		"update deployment_jobs set lease_until = now() - interval '1 second' where state = 'running'");
}

static int64_t due(struct world *w)
{
	return look(w).due_ms;
}

/* ---- claim ---- */

static void a_claim_takes_what_is_due(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	claim_none(w);
	assert_int_equal(due(w), -1);
	deploy(w, "demo", "web");
	assert_int_equal(look(w).n, 1);
	struct db_job j = claim(w, "d1");
	assert_int_equal(j.state, JOB_RUNNING);
	assert_int_equal(j.epoch, 1);
	assert_int_equal(j.attempt, 1);
	assert_int_equal(j.takeovers, 0);
	assert_string_equal(j.owner, "d1");
	assert_string_equal(j.stack, "web");
	assert_true(j.started_us > 0);
	claim_none(w);
	assert_in_range(due(w), 50000, 60000); /* the end of its lease */
	assert_string_equal(kinds(w, &j), "job.created job.started");
	assert_int_equal(get(w, &j).last_sequence, 2);
}

static void claims_are_limited_and_in_order(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job j1 = deploy(w, "demo", "a"), j2 = deploy(w, "demo", "b");
	deploy(w, "demo", "c");
	struct answer two = claim_all(w, "d1", 2, 60000);
	assert_int_equal(two.n, 2);
	assert_string_equal(two.jobs[0].id.text, j1.id.text);
	assert_string_equal(two.jobs[1].id.text, j2.id.text);
	assert_int_equal(claim_all(w, "d1", 2, 60000).n, 1);
}

static void jobs_of_a_stack_run_in_order(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job second = submit(w, "demo", "web", JOB_SCALE), third = submit(w, "demo", "web",
		JOB_RESTART);
	struct db_job first = claim(w, "d1"); /* one, though the limit is ten */
	assert_int_equal(first.kind, JOB_DEPLOY);
	claim_none(w);
	/* Failed, and waits for its next attempt: those behind it wait too. */
	struct status why = status_err(ST_UNAVAILABLE, "the engine is away");
	PUT_OK(put_back(w, &first, 60000, false, &(struct db_job_why){.st = why}));
	claim_none(w);
	assert_in_range(due(w), 50000, 60000);
	psql(w, "update deployment_jobs set run_at = now() where attempt = 1");
	first = claim(w, "d1");
	assert_int_equal(first.attempt, 2);
	finish(w, &first, JOB_SUCCEEDED);
	struct db_job next = claim(w, "d1");
	assert_string_equal(next.id.text, second.id.text);
	finish(w, &next, JOB_FAILED);
	assert_string_equal(claim(w, "d1").id.text, third.id.text);
}

static int64_t slow_us(const struct clock *c)
{
	(void)c;
	return clock_system()->wall_us(clock_system()) - INT64_C(3600000000);
}

static int64_t fast_us(const struct clock *c)
{
	(void)c;
	return clock_system()->wall_us(clock_system()) + INT64_C(3600000000);
}

/* The order is that of the ids, and those are by PostgreSQL's clock. */
static void daemons_whose_clocks_differ_keep_the_order(void **state)
{
	struct world *w = *state;
	const struct clock fast = {clock_system()->mono_ms, fast_us}, slow = {clock_system()->mono_ms, slow_us};
	const struct db_stack_job job = {{"", "demo", "web"}, JOB_SCALE, STR("{}"), 1};
	struct db *dbs[] = {db_pg_create(w->pg, keyring, &fast, rng_system()), w->db,
		db_pg_create(w->pg, keyring, &slow, rng_system())};
	const char *before = "";
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	for (size_t i = 0; i < 30; i++) {
		const struct db_daemon d = {.id = uuid_v7(clock_system(), rng_system()), .host = "a", .version = "1", .slots = 1};
		RUN_OK(w, dbs[i % 3]->jobs->alive(dbs[i % 3], &d, on_done, &a));
	}
	for (size_t i = 0; i < 9; i++) {
		struct db *db = dbs[i % 3];
		struct answer made = RUN_OK(w, db->stacks->submit(db, &admin, &job, on_job, &a));
		assert_true(strcmp(before, made.job.id.text) < 0);
		before = arena_strdup(w->arena, made.job.id.text);
		psql(w, "select pg_sleep(0.1)"); /* nearer than a round trip there is no order */
	}
	db_pg_destroy(dbs[0]);
	db_pg_destroy(dbs[2]);
}

static void two_daemons_never_run_two_jobs_of_a_stack(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	for (int round = 0; round < 10; round++) {
		const char *name = arena_fmt(w->arena, "s%d", round);
		deploy(w, "demo", name);
		for (int i = 0; i < 3; i++)
			submit(w, "demo", name, JOB_RESTART);
	}
	struct answer x[4] = {{.w = w}, {.w = w}, {.w = w}, {.w = w}};
	struct db_claim all = claim_of(w, "d1", 10, 60000);
	for (int i = 0; i < 4; i++) { /* all after the same look: one of them counts */
		struct db *db = i % 2 ? w->db : w->db2;
		db->jobs->claim(db, &all, on_jobs, &x[i]);
	}
	size_t n = 0;
	for (int i = 0; i < 4; i++) {
		while (x[i].calls == 0)
			loop_turn(w->loop);
		assert_status(&x[i].st, ST_OK, "");
		n += x[i].n;
	}
	assert_int_equal(n, 10); /* each stack's first, once */
	assert_value(w,
		"select count(*) from deployment_jobs where state = 'running' and kind = 'deploy' and epoch = 1", "10");
}

/* The snapshot of a claim may be older than another's commit: the index refuses it, and it looks
 * again. */
static void the_index_is_the_last_word(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	submit(w, "demo", "web", JOB_SCALE);
	/* The deploy becomes running in another transaction, which commits while our claim waits
	 * for it in the index. */
	psql(w, "update deployment_jobs set state = 'cancelled' where kind = 'deploy'");
	struct db_claim seen = claim_of(w, "d1", 10, 60000);
	psql(w, "begin");
	psql(w,
		"update deployment_jobs set state = 'running', lease_until = now() + interval '1 minute' where kind = 'deploy'");
	struct answer a = {.w = w};
	w->db->jobs->claim(w->db, &seen, on_jobs, &a);
	wait_blocked(w);
	psql(w, "commit");
	wait_for(&a);
	assert_status(&a.st, ST_OK, "");
	assert_int_equal(a.n, 0);
	assert_value(w, "select string_agg(state::text, ' ' order by id) from deployment_jobs",
		"running pending");
}

static void a_claim_waits_for_nobody(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "a");
	struct db_job expired = claim(w, "d1");
	end_lease(w);
	deploy(w, "demo", "b");
	psql(w, "begin");
	psql(w, "select from deployment_jobs for no key update"); /* another claim holds both */
	claim_none(w);
	psql(w, "commit");
	struct answer both = claim_all(w, "d2", 10, 60000);
	assert_int_equal(both.n, 2);
	assert_string_equal(both.jobs[0].id.text, expired.id.text);
}

static void a_look_shows_the_queues(void **state)
{
	struct world *w = *state;
	struct uuid demo = make_project(w, "demo"), other = make_project(w, "other");
	deploy(w, "demo", "a");
	struct db_job j = claim(w, "d1");
	for (int i = 0; i < 3; i++)
		deploy(w, "demo", arena_fmt(w->arena, "b%d", i));
	submit(w, "demo", "b0", JOB_REMOVE); /* waits behind the deploy, which it cancels */
	deploy(w, "other", "a");
	submit(w, "other", "a", JOB_SCALE); /* behind the deploy: not shown */
	psql(w, "update projects set weight = 7, max_running = 9 where name = 'demo'");
	struct db_look l = RUN_OK(w, JOBS->look(w->db, 1, on_look, &a)).look;
	assert_int_equal(l.n, 3);
	assert_string_equal(l.queues[0].project_id.text, demo.text);
	assert_int_equal(l.queues[0].kind, JOB_DEPLOY);
	assert_int_equal(l.queues[0].waiting, 1); /* as many as asked for */
	assert_int_equal(l.queues[0].project_running, 1);
	assert_int_equal(l.queues[0].kind_running, 1);
	assert_int_equal(l.queues[0].weight, 7);
	assert_int_equal(l.queues[0].max_running, 9);
	assert_true(l.queues[0].oldest_us >= j.created_us);
	assert_int_equal(l.queues[1].kind, JOB_REMOVE);
	assert_int_equal(l.queues[1].kind_running, 0);
	assert_string_equal(l.queues[2].project_id.text, other.text);
	assert_int_equal(l.queues[2].kind, JOB_DEPLOY);
	assert_int_equal(look(w).queues[0].waiting, 2);
	/* What is paused is not shown. */
	psql(w, "insert into job_pauses (kind, reason, paused_by) values ('remove', '', '')");
	assert_int_equal(look(w).n, 2);
	psql(w, "insert into job_pauses (project_id, reason, paused_by)"
		" select id, '', '' from projects where name = 'demo'");
	assert_int_equal(look(w).n, 1);
}

static void a_claim_takes_what_was_picked(void **state)
{
	struct world *w = *state;
	make_project(w, "demo"), make_project(w, "other");
	for (int i = 0; i < 3; i++)
		deploy(w, "demo", arena_fmt(w->arena, "s%d", i)), deploy(w, "other", arena_fmt(w->arena, "s%d", i));
	struct db_claim c = claim_of(w, "d1", 2, 60000);
	c.n = 1;
	struct answer two = RUN_OK(w, JOBS->claim(w->db, &c, on_jobs, &a));
	assert_int_equal(two.n, 2);
	assert_string_equal(two.jobs[0].project, "demo");
	assert_string_equal(two.jobs[1].project, "demo");
	/* The same decision again: somebody has claimed since that look. */
	assert_int_equal(RUN_OK(w, JOBS->claim(w->db, &c, on_jobs, &a)).n, 0);
	/* Taking over needs no decision. */
	end_lease(w);
	assert_int_equal(RUN_OK(w, JOBS->claim(w->db, &c, on_jobs, &a)).n, 2);
}

static void attempts_that_failed_are_kept(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	struct status why = status_err(ST_UNAVAILABLE, "engine away");
	PUT_OK(put_back(w, &j, 0, false, &(struct db_job_why){.st = why}));
	w->again = true; /* the reply was lost */
	PUT_OK(put_back(w, &j, 0, false, &(struct db_job_why){.st = why}));
	j = claim(w, "d1");
	PUT_OK(put_back(w, &j, 0, true, NULL)); /* a drain */
	claim(w, "d2");
	end_lease(w);
	j = claim(w, "d3");
	finish(w, &j, JOB_FAILED);
	assert_value(w, "select string_agg(epoch || ' ' || attempt || ' ' || owner || ' ' || error_code, ', '"
		" order by epoch) from job_attempts",
		"1 1 d1 UNAVAILABLE, 3 2 d2 UNAVAILABLE, 4 2 d3 UNKNOWN");
	assert_value(w, "select error from job_attempts where epoch = 1", "engine away");
	assert_value(w, "select bool_and(started_at < ended_at) from job_attempts", "t");
	struct db_job whole = get(w, &j);
	assert_non_null(strstr(whole.attempts.ptr, "\"attempt\" : 1, \"daemon\" : \"d1\""));
	assert_non_null(strstr(whole.attempts.ptr, "engine away"));
	RUN_OK(w, JOBS->retry(w->db, &admin, j.id.text, on_job, &a));
	j = claim(w, "d1");
	finish(w, &j, JOB_SUCCEEDED);
	assert_value(w, "select count(*) from job_attempts", "3");
}

/* ---- what a project may submit ---- */

static void a_project_may_have_so_many_waiting(void **state)
{
	struct world *w = *state;
	make_project(w, "demo"), make_project(w, "other");
	db_pg_limit_jobs(w->db, (struct db_job_limits){.backlog = 3});
	for (int i = 0; i < 3; i++)
		deploy(w, "demo", arena_fmt(w->arena, "s%d", i));
	struct db_stack_deploy d = deploy_of("demo", "s3");
	struct answer no = RUN(w, w->db->stacks->deploy(w->db, &admin, &d, on_job, &a));
	assert_status(&no.st, ST_RESOURCE_EXHAUSTED, "3 jobs of project \"demo\" wait already");
	assert_int_equal(no.st.retry_ms, 5000);
	deploy(w, "other", "s3");
	claim_all(w, "d1", 1, 60000);
	deploy(w, "demo", "s3");
}

static void a_project_may_submit_so_fast(void **state)
{
	struct world *w = *state;
	make_project(w, "demo"), make_project(w, "other");
	db_pg_limit_jobs(w->db, (struct db_job_limits){.per_minute = 6, .burst = 2});
	deploy(w, "demo", "a"), deploy(w, "demo", "b");
	struct db_stack_deploy d = deploy_of("demo", "c");
	struct answer no = RUN(w, w->db->stacks->deploy(w->db, &admin, &d, on_job, &a));
	assert_status(&no.st, ST_RESOURCE_EXHAUSTED, "6 jobs a minute, 2 at once");
	assert_in_range(no.st.retry_ms, 1, 10001);
	deploy(w, "other", "c");
	psql(w, "update job_gates set due_at = due_at - interval '10 seconds'");
	deploy(w, "demo", "c");
	struct db_stack_job j = {{"", "demo", "c"}, JOB_REMOVE, STR("{}"), 1};
	RUN_FAILS(w, ST_RESOURCE_EXHAUSTED, "too fast", w->db->stacks->submit(w->db, &admin, &j, on_job, &a));
}

/* ---- lease and fence ---- */

static void a_dead_daemons_job_is_taken_over(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job old = claim(w, "d1");
	PUT_OK(put_step(w, &old, "networks", NULL));
	end_lease(w);
	assert_int_equal(due(w), 0);
	assert_int_equal(look(w).expired, 1);
	struct db_job j = claim(w, "d2");
	assert_string_equal(j.id.text, old.id.text);
	assert_int_equal(j.epoch, old.epoch + 1);
	assert_int_equal(j.takeovers, 1);
	assert_int_equal(j.attempt, 1);
	assert_string_equal(j.step, "networks");
	assert_int_equal(j.started_us, old.started_us);
	PUT_OK(put_step(w, &j, "services", NULL));
	assert_int_equal(get(w, &j).takeovers, 0);
	assert_string_equal(kinds(w, &j), "job.created job.started job.resumed");
	/* The first owner writes nothing any more. */
	struct db_event e = {.kind = "job.progress", .message = "late"};
	const struct db_job_why why = {.st = status_err(ST_INTERNAL, "late"), .text = ""};
	const char *before = value(w,
		"select j::text || (select count(*) from events) from deployment_jobs j");
	PUT_LOST(put_step(w, &old, "x", &why));
	PUT_LOST(put_events(w, &old, &e, 1));
	PUT_LOST(put_end(w, &old, JOB_FAILED, &why));
	PUT_LOST(put_back(w, &old, 0, true, NULL));
	assert_int_equal(RUN_OK(w, JOBS->renew(w->db, "d1", &old.id, &old.epoch, 1, 60000, on_jobs,
		&a)).n, 0);
	assert_value(w, "select j::text || (select count(*) from events) from deployment_jobs j",
		before);
	PUT_OK(put_step(w, &j, "services", &why));
	j = get(w, &j);
	assert_string_equal(j.step, "services");
	assert_true(j.undoing);
}

static void renew_extends_and_tells_of_cancel(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "a"), deploy(w, "demo", "b");
	struct answer mine = claim_all(w, "d1", 10, 1000);
	struct uuid ids[] = {mine.jobs[0].id, mine.jobs[1].id};
	int epochs[] = {mine.jobs[0].epoch, mine.jobs[1].epoch + 1};
	RUN_OK(w, JOBS->cancel(w->db, &admin, ids[0].text, on_job, &a));
	struct answer still = RUN_OK(w, JOBS->renew(w->db, "d1", ids, epochs, 2, 60000, on_jobs,
		&a));
	assert_int_equal(still.n, 1);
	assert_string_equal(still.jobs[0].id.text, ids[0].text);
	assert_true(still.jobs[0].cancel_requested);
	assert_value(w, arena_fmt(w->arena,
		"select lease_until > now() + interval '50 seconds' from deployment_jobs where id = '%s'",
		ids[0].text), "t");
	assert_int_equal(RUN_OK(w, JOBS->renew(w->db, "d1", NULL, NULL, 0, 60000, on_jobs, &a)).n,
		0);
}

/* A daemon renews hundreds at once while it writes others of them: that both wait for each other's rows
 * would cost it all of its leases. */
static void renew_does_not_wait_for_a_row_that_is_written(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "a"), deploy(w, "demo", "b");
	struct answer mine = claim_all(w, "d1", 10, 60000);
	struct uuid ids[] = {mine.jobs[0].id, mine.jobs[1].id};
	int epochs[] = {mine.jobs[0].epoch, mine.jobs[1].epoch};
	psql(w, "begin");
	psql(w, arena_fmt(w->arena, "update deployment_jobs set percent = 1 where id = '%s'",
			 ids[0].text));
	struct answer now = RUN_OK(w, JOBS->renew(w->db, "d1", ids, epochs, 2, 60000, on_jobs, &a));
	psql(w, "rollback");
	assert_int_equal(now.n, 1);
	assert_string_equal(now.jobs[0].id.text, ids[1].text);
	assert_int_equal(RUN_OK(w, JOBS->renew(w->db, "d1", ids, epochs, 2, 60000, on_jobs, &a)).n, 2);
}

/* Who asked for it gave the job up before: it only kept the others from it. */
static void a_lease_that_has_ended_is_not_renewed(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "a");
	struct answer mine = claim_all(w, "d1", 10, 60000);
	const struct uuid id = mine.jobs[0].id;
	const int epoch = mine.jobs[0].epoch;
	psql(w, "update deployment_jobs set lease_until = now() - interval '1 ms'");
	assert_int_equal(RUN_OK(w, JOBS->renew(w->db, "d1", &id, &epoch, 1, 60000, on_jobs, &a)).n, 0);
	assert_value(w, "select lease_until < now() from deployment_jobs", "t");
}

/* ---- progress ---- */

static void events_are_numbered_without_gaps(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	struct db_event e[] = {
		{.kind = "job.step", .step = "services", .percent = 40, .message = "services"},
		{.kind = "service.state", .service = "web", .state = "converging", .running = 1,
			.wanted = 3},
		{.kind = "service.state", .service = "db", .state = "running",
			.message = "caf\xc3\xa9 \xff \"quoted\""},
	};
	PUT_OK(put_events(w, &j, e, 3));
	struct answer all = events_of(w, &j);
	assert_int_equal(all.n, 5);
	for (size_t i = 0; i < all.n; i++)
		assert_int_equal(all.events[i].sequence, i + 1);
	assert_string_equal(all.events[2].step, "services");
	assert_int_equal(all.events[3].running, 1);
	assert_int_equal(all.events[3].wanted, 3);
	assert_int_equal(all.events[3].percent, 40); /* the job's */
	assert_string_equal(all.events[4].message, "caf\xc3\xa9 \xef\xbf\xbd \"quoted\"");
	struct db_job now = get(w, &j);
	assert_int_equal(now.percent, 40);
	assert_string_equal(now.message, "services"); /* not a service's */
	assert_int_equal(now.last_sequence, 5);
	/* A page from the middle. */
	struct answer page = RUN_OK(w, JOBS->events(w->db, &admin, j.id.text, 3, 1, on_events, &a));
	assert_int_equal(page.n, 1);
	assert_int_equal(page.events[0].sequence, 4);
}

/* A daemon that takes over tells the same. */
static void a_failure_is_kept_while_it_is_taken_back(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	const struct db_job_why why = {.st = status_err(ST_FAILED_PRECONDITION, "in short"),
		.text = "service web: crash loop\n  hint: \xff",
		.failures = STR("[{\"service\": \"web\", \"log\": [\"boom\"]}]")};
	PUT_OK(put_step(w, &j, "services", &why));
	end_lease(w);
	struct db_job now = claim(w, "d2");
	assert_true(now.undoing);
	assert_string_equal(now.error, "service web: crash loop\n  hint: \xef\xbf\xbd");
	assert_string_equal(now.error_code, "FAILED_PRECONDITION");
	assert_non_null(strstr(now.failures.ptr, "boom"));
	/* Downward steps leave it as it is. */
	PUT_OK(put_step(w, &now, "services", NULL));
	assert_string_equal(get(w, &now).error_code, "FAILED_PRECONDITION");
}

static void a_repeated_progress_is_appended_once(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	struct db_event e[] = {{.kind = "job.step", .step = "a", .percent = 10},
		{.kind = "job.progress", .message = "m"}};
	PUT_OK(put_events(w, &j, e, 2));
	w->again = true;
	PUT_OK(put_events(w, &j, e, 2));
	assert_int_equal(events_of(w, &j).n, 4);
	/* not the same once more */
	PUT_OK(put_events(w, &j, e, 1));
	assert_int_equal(events_of(w, &j).n, 5);
	PUT_OK(put_events(w, &j, NULL, 0));
	assert_int_equal(events_of(w, &j).n, 5);
}

/* ---- the end ---- */

static void an_end_may_be_repeated(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	const struct db_job_why why = {.st = status_err(ST_FAILED_PRECONDITION, "web: no suitable node"),
		.text = "web: no suitable node\nlast lines:\n\xff",
		.failures = STR("[{\"service\": \"web\"}]")};
	PUT_OK(put_end(w, &j, JOB_FAILED, &why));
	w->again = true;
	PUT_OK(put_end(w, &j, JOB_FAILED, &why));
	PUT_LOST(put_end(w, &j, JOB_SUCCEEDED, NULL));
	j = get(w, &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.error, "web: no suitable node\nlast lines:\n\xef\xbf\xbd");
	assert_string_equal(j.error_code, "FAILED_PRECONDITION");
	assert_true(str_is(j.failures, "[{\"service\": \"web\"}]"));
	assert_true(j.finished_us > 0);
	assert_string_equal(kinds(w, &j), "job.created job.started job.ended");
	struct answer e = events_of(w, &j);
	assert_string_equal(e.events[2].message, "web: no suitable node");
	assert_string_equal(e.events[2].state, "failed");
	assert_value(w, "select state from deployments", "failed");
	deploy(w, "demo", "two");
	j = claim(w, "d1");
	finish(w, &j, JOB_SUCCEEDED);
	assert_int_equal(get(w, &j).percent, 100);
}

static void tell(struct world *w, const struct db_job *j, enum db_told_what what)
{
	const struct db_told told = {j->id, j->project_id, j->stack_id, what};
	RUN_OK(w, JOBS->tell(w->db, &told, 1, on_done, &a));
}

static void who_waits_for_events_is_told_of_them(void **state)
{
	struct world *w = *state;
	struct db_told told[450];
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	psql(w, "listen skep_events");
	tell(w, &j, TOLD_EVENTS);
	assert_string_equal(notified(w), j.id.text);
	/* A payload has its bound. */
	for (size_t i = 0; i < 450; i++)
		told[i] = (struct db_told){.id = j.id, .what = TOLD_EVENTS};
	RUN_OK(w, JOBS->tell(w->db, told, 450, on_done, &a));
	assert_int_equal(strlen(notified(w)), 200 * 37 - 1);
}

static void what_waits_to_run_is_told(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	psql(w, "listen skep_jobs");
	tell(w, &j, TOLD_READY);
	assert_string_equal(notified(w), arena_fmt(w->arena, "%s %s", j.project_id.text, j.id.text));
}

static void an_end_wakes_the_next_of_its_stack(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job next = submit(w, "demo", "web", JOB_SCALE);
	struct db_job j = claim(w, "d1");
	psql(w, "listen skep_jobs");
	finish(w, &j, JOB_SUCCEEDED);
	tell(w, &j, TOLD_GONE);
	assert_string_equal(notified(w), arena_fmt(w->arena, "%s %s", next.project_id.text,
		next.id.text));
}

static void a_job_handed_back_keeps_its_attempt(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	const struct db_job_why why = {.st = status_err(ST_UNKNOWN, "it broke"), .text = ""};
	PUT_OK(put_step(w, &j, "networks", &why));
	PUT_OK(put_back(w, &j, 0, true, NULL));
	w->again = true; /* the reply was lost */
	PUT_OK(put_back(w, &j, 0, true, NULL));
	struct db_job back = get(w, &j);
	assert_int_equal(back.state, JOB_PENDING);
	assert_int_equal(back.attempt, 0);
	assert_string_equal(back.step, "networks");
	assert_string_equal(back.error, "it broke"); /* why it is taken back */
	struct db_job again = claim(w, "d2");
	assert_int_equal(again.attempt, 1);
	assert_int_equal(again.epoch, 2);
	assert_true(again.undoing);
	assert_string_equal(kinds(w, &j), "job.created job.started job.requeued job.resumed");
	struct status away = status_err(ST_UNAVAILABLE, "engine away");
	PUT_OK(put_back(w, &again, 60000, false, &(struct db_job_why){.st = away}));
	back = get(w, &j);
	assert_int_equal(back.attempt, 1);
	assert_string_equal(back.step, "");
	assert_false(back.undoing);
	assert_string_equal(back.error, "engine away");
	assert_string_equal(back.error_code, "UNAVAILABLE");
	claim_none(w);
}

/* ---- writes of many ---- */

static void keep_held(void *data, const struct status *st, const bool *held, size_t n)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->n = 0;
	a->number = 0;
	for (size_t i = 0; i < n; i++)
		a->number |= (int64_t)held[i] << i;
}

static void writes_of_many_are_fenced_each_for_itself(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	for (int i = 0; i < 5; i++)
		deploy(w, "demo", arena_fmt(w->arena, "s%d", i));
	struct answer got = claim_all(w, "d1", 10, 60000);
	const struct db_job *j = got.jobs;
	assert_int_equal(got.n, 5);
	const struct db_job_why why = {.st = status_err(ST_UNKNOWN, "it broke"), .text = ""};
	const struct db_event e[] = {{.kind = "job.step", .step = "one", .percent = 7},
		{.kind = "job.message", .message = "said"}};
	const struct db_job_write all[] = {
		{.id = j[0].id.text, .epoch = 1, .number = 1, .first = 1, .events = e, .n_events = 2, .step = "one"},
		{.id = j[1].id.text, .epoch = 2, .number = 1, .first = 1, .state = JOB_SUCCEEDED}, /* somebody else's */
		{.id = j[2].id.text, .epoch = 1, .number = 1, .first = 1, .events = e, .n_events = 1, .step = "last", .state = JOB_SUCCEEDED},
		{.id = j[3].id.text, .epoch = 1, .number = 1, .first = 1, .state = JOB_FAILED, .why = &why},
		{.id = j[4].id.text, .epoch = 1, .number = 1, .first = 1, .state = JOB_PENDING, .why = &why, .delay_ms = 60000},
	};
	struct answer first = RUN_OK(w, JOBS->write(w->db, all, 5, keep_held, &a));
	assert_int_equal(first.number, 0x1d);
	assert_value(w, "select string_agg(concat_ws(' ', stack_name, state, nullif(step, ''), percent,"
		" nullif(message, ''), nullif(error, '')), ', ' order by id) from deployment_jobs",
		"s0 running one 7 said, s1 running 0, s2 succeeded last 100, s3 failed 0 it broke,"
		" s4 pending 0 it broke");
	assert_value(w, "select string_agg(job_sequence || ' ' || kind || ' ' || step || ' ' || state, ', '"
		" order by job_id, job_sequence) from events where job_sequence > 2",
		"3 job.step one , 4 job.message  , 3 job.step one , 4 job.ended last succeeded,"
		" 3 job.ended  failed, 3 job.requeued  pending");
	assert_value(w, "select string_agg(state::text, ' ' order by id) from deployments",
		"pending pending pending failed pending");
	assert_value(w, "select string_agg(name || ' ' || status_message, ', ') from orchestration_stacks"
		" where status = 'failed'", "s3 it broke");
	assert_value(w, "select count(*) from job_attempts", "2");
	/* The reply was lost: the same again changes nothing, and the same are held. */
	const char *before = value(w, "select string_agg(j::text, ' ' order by id) || (select count(*) from events)"
		" from (select id, state, step, last_sequence, finished_at from deployment_jobs) j");
	struct db_job_write again[5];
	memcpy(again, all, sizeof(all));
	for (int i = 0; i < 5; i++)
		again[i].number = 2;
	first = RUN_OK(w, JOBS->write(w->db, again, 5, keep_held, &a));
	assert_int_equal(first.number, 0x1d);
	assert_value(w, "select string_agg(j::text, ' ' order by id) || (select count(*) from events)"
		" from (select id, state, step, last_sequence, finished_at from deployment_jobs) j", before);
}

/* Somebody asks it to stop between a write whose reply is lost and its repetition. */
static void events_are_not_repeated_behind_a_cancel(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	const struct db_event e[] = {{.kind = "job.step", .step = "one"}, {.kind = "job.step", .step = "two"}};
	struct db_job_write put = {.id = j.id.text, .epoch = j.epoch, .number = 1, .first = 1, .events = e, .n_events = 2};
	RUN_OK(w, JOBS->write(w->db, &put, 1, keep_held, &a));
	RUN_OK(w, JOBS->cancel(w->db, &admin, j.id.text, on_job, &a));
	put.number = 2;
	RUN_OK(w, JOBS->write(w->db, &put, 1, keep_held, &a));
	assert_string_equal(kinds(w, &j),
		"job.created job.started job.step job.step job.cancel_requested");
	put.number = put.first = 3; /* the same once more, and meant so */
	RUN_OK(w, JOBS->write(w->db, &put, 1, keep_held, &a));
	put.number = 4;
	RUN_OK(w, JOBS->write(w->db, &put, 1, keep_held, &a));
	assert_string_equal(kinds(w, &j), "job.created job.started job.step job.step job.cancel_requested"
		" job.step job.step");
}

/* The server may get to a statement after its sender has given it up and gone on: the run takes its steps back by now. */
static void a_write_behind_a_later_one_is_refused(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	const struct db_job_why why = {.st = status_err(ST_CANCELLED, "cancelled"), .text = ""};
	const struct db_event e = {.kind = "job.step", .step = "prune"};
	const struct db_job_write undo = {.id = j.id.text, .epoch = j.epoch, .number = 3, .first = 3,
		.step = "prune", .undoing = &why};
	const struct db_job_write late = {.id = j.id.text, .epoch = j.epoch, .number = 2, .first = 2,
		.step = "prune", .events = &e, .n_events = 1};
	assert_int_equal(RUN_OK(w, JOBS->write(w->db, &undo, 1, keep_held, &a)).number, 1);
	assert_int_equal(RUN_OK(w, JOBS->write(w->db, &late, 1, keep_held, &a)).number, 0);
	assert_true(get(w, &j).undoing);
	assert_string_equal(kinds(w, &j), "job.created job.started");
	/* Under the next claim they are counted from 1 again. */
	w->n_writes = 3;
	PUT_OK(put_back(w, &j, 0, true, NULL));
	j = claim(w, "d1");
	struct db_job_write next = {.id = j.id.text, .epoch = j.epoch, .number = 1, .first = 1, .step = "services",
		.undoing = &why};
	assert_int_equal(RUN_OK(w, JOBS->write(w->db, &next, 1, keep_held, &a)).number, 1);
}

/* ---- cancel and retry ---- */

static void a_pending_job_is_cancelled_at_once(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job j = deploy(w, "demo", "web");
	psql(w, "listen skep_cancel");
	struct db_job c = RUN_OK(w, JOBS->cancel(w->db, &admin, j.id.text, on_job, &a)).job;
	assert_int_equal(c.state, JOB_CANCELLED);
	assert_string_equal(c.error_code, "CANCELLED");
	assert_true(c.finished_us > 0);
	assert_string_equal(kinds(w, &j), "job.created job.ended");
	assert_value(w, "select state from deployments", "failed");
	assert_string_equal(notified(w), j.id.text);
	claim_none(w);
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "has ended already: its state is cancelled",
		JOBS->cancel(w->db, &admin, j.id.text, on_job, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "job \"nonsense\" does not exist", JOBS->cancel(w->db, &admin,
		"nonsense", on_job, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "job \"\" does not exist", JOBS->get(w->db, &admin, "", on_job,
		&a));
}

static void a_running_job_is_asked_to_stop(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	for (int i = 0; i < 2; i++) {
		struct db_job c = RUN_OK(w, JOBS->cancel(w->db, &admin, j.id.text, on_job, &a)).job;
		assert_int_equal(c.state, JOB_RUNNING);
		assert_true(c.cancel_requested);
	}
	assert_string_equal(kinds(w, &j), "job.created job.started job.cancel_requested");
	const struct db_job_why why = {.st = status_err(ST_CANCELLED, "cancelled"), .text = ""};
	PUT_OK(put_end(w, &j, JOB_CANCELLED, &why));
	assert_int_equal(get(w, &j).state, JOB_CANCELLED);
}

static void a_cancelled_job_with_work_to_take_back_runs_first(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	PUT_OK(put_step(w, &j, "services", NULL));
	PUT_OK(put_back(w, &j, 60000, true, NULL));
	claim_none(w);
	struct db_job c = RUN_OK(w, JOBS->cancel(w->db, &admin, j.id.text, on_job, &a)).job;
	assert_int_equal(c.state, JOB_PENDING);
	c = claim(w, "d2");
	assert_true(c.cancel_requested);
	assert_string_equal(c.step, "services");
}

static void a_failed_job_can_be_retried(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job j = deploy(w, "demo", "web");
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "only a failed or cancelled job can be retried",
		JOBS->retry(w->db, &admin, j.id.text, on_job, &a));
	psql(w, "update deployment_jobs set max_attempts = 1");
	j = claim(w, "d1");
	const struct db_job_why why = {.st = status_err(ST_UNKNOWN, "it broke"), .text = ""};
	PUT_OK(put_step(w, &j, "services", &why));
	RUN_OK(w, JOBS->cancel(w->db, &admin, j.id.text, on_job, &a));
	finish(w, &j, JOB_FAILED);
	struct db_job r = RUN_OK(w, JOBS->retry(w->db, &admin, j.id.text, on_job, &a)).job;
	assert_int_equal(r.state, JOB_PENDING);
	assert_int_equal(r.max_attempts, 2);
	assert_string_equal(r.step, "");
	assert_string_equal(r.error, "");
	assert_false(r.undoing);
	assert_false(r.cancel_requested);
	assert_int_equal(r.finished_us, 0);
	assert_value(w, "select state from deployments", "pending");
	j = claim(w, "d1");
	assert_int_equal(j.attempt, 2);
	assert_string_equal(kinds(w, &j),
		"job.created job.started job.cancel_requested job.ended job.retried job.started");
}

/* ---- lists ---- */

static void lists_filter_and_page(void **state)
{
	struct world *w = *state;
	make_project(w, "demo"), make_project(w, "other");
	struct db_job j1 = deploy(w, "demo", "web");
	deploy(w, "demo", "api"), deploy(w, "other", "web");
	RUN_OK(w, JOBS->cancel(w->db, &admin, j1.id.text, on_job, &a));
	struct db_page page = {10, ""};
	struct db_job_filter f = {.project = "", .stack = ""};
	assert_int_equal(RUN_OK(w, JOBS->list(w->db, &admin, &f, &page, on_jobs, &a)).n, 3);
	f.stack = "web";
	assert_int_equal(RUN_OK(w, JOBS->list(w->db, &admin, &f, &page, on_jobs, &a)).n, 2);
	f.project = "demo";
	assert_int_equal(RUN_OK(w, JOBS->list(w->db, &admin, &f, &page, on_jobs, &a)).n, 1);
	f.stack = j1.stack_id.text;
	struct answer one = RUN_OK(w, JOBS->list(w->db, &admin, &f, &page, on_jobs, &a));
	assert_int_equal(one.n, 1);
	assert_string_equal(one.jobs[0].id.text, j1.id.text);
	f = (struct db_job_filter){.project = "", .stack = "", .states = 1u << JOB_PENDING | 1u << JOB_RUNNING};
	assert_int_equal(RUN_OK(w, JOBS->list(w->db, &admin, &f, &page, on_jobs, &a)).n, 2);
	page.size = 1;
	struct answer p = RUN_OK(w, JOBS->list(w->db, &admin, &f, &page, on_jobs, &a));
	assert_true(p.more);
	assert_string_equal(p.jobs[0].project, "other");
}

static void names_match_the_enums(void **state)
{
	struct world *w = *state;
	int kinds = 0;
	while (*job_kind_name((enum job_kind)(kinds + 1))) {
		kinds++;
		assert_value(w, arena_fmt(w->arena,
			"select e from unnest(enum_range(null::job_kind)) with ordinality as x (e, n)"
			" where n = %d", kinds), job_kind_name((enum job_kind)kinds));
	}
	assert_value(w, "select cardinality(enum_range(null::job_kind))", arena_fmt(w->arena, "%d", kinds));
	for (int k = JOB_PENDING; k <= JOB_CANCELLED; k++)
		assert_value(w, arena_fmt(w->arena,
			"select e from unnest(enum_range(null::job_state)) with ordinality as x (e, n)"
			" where n = %d", k), job_state_name((enum job_state)k));
	for (int k = STACK_PENDING; k <= STACK_REMOVING; k++)
		assert_value(w, arena_fmt(w->arena,
			"select e from unnest(enum_range(null::stack_status)) with ordinality as x (e, n)"
			" where n = %d", k), stack_status_name((enum stack_status)k));
	for (int k = SERVICE_PENDING; k <= SERVICE_MISSING; k++)
		assert_value(w, arena_fmt(w->arena,
			"select e from unnest(enum_range(null::service_state)) with ordinality as x (e, n)"
			" where n = %d", k), service_state_name((enum service_state)k));
	assert_string_equal(job_kind_name((enum job_kind)99), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_claim_takes_what_is_due),
		TEST(claims_are_limited_and_in_order),
		TEST(jobs_of_a_stack_run_in_order),
		TEST(daemons_whose_clocks_differ_keep_the_order),
		TEST(two_daemons_never_run_two_jobs_of_a_stack),
		TEST(the_index_is_the_last_word),
		TEST(a_claim_waits_for_nobody),
		TEST(a_look_shows_the_queues),
		TEST(a_claim_takes_what_was_picked),
		TEST(attempts_that_failed_are_kept),
		TEST(a_project_may_have_so_many_waiting),
		TEST(a_project_may_submit_so_fast),
		TEST(a_dead_daemons_job_is_taken_over),
		TEST(renew_extends_and_tells_of_cancel),
		TEST(renew_does_not_wait_for_a_row_that_is_written),
		TEST(a_lease_that_has_ended_is_not_renewed),
		TEST(events_are_numbered_without_gaps),
		TEST(a_failure_is_kept_while_it_is_taken_back),
		TEST(a_repeated_progress_is_appended_once),
		TEST(an_end_may_be_repeated),
		TEST(who_waits_for_events_is_told_of_them),
		TEST(what_waits_to_run_is_told),
		TEST(an_end_wakes_the_next_of_its_stack),
		TEST(a_job_handed_back_keeps_its_attempt),
		TEST(writes_of_many_are_fenced_each_for_itself),
		TEST(events_are_not_repeated_behind_a_cancel),
		TEST(a_write_behind_a_later_one_is_refused),
		TEST(a_pending_job_is_cancelled_at_once),
		TEST(a_running_job_is_asked_to_stop),
		TEST(a_cancelled_job_with_work_to_take_back_runs_first),
		TEST(a_failed_job_can_be_retried),
		TEST(lists_filter_and_page),
		TEST(names_match_the_enums),
	};
	return cmocka_run_group_tests(tests, world_start, world_stop);
}
