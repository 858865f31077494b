/* stacks: deploy, submit, reads, request ids, sealing, what flows and the observer write. */
#include "world.h"

#define STACKS (w->db->stacks)
#define JOBS   (w->db->jobs)

static struct db_stack_ref named(const char *project, const char *name)
{
	return (struct db_stack_ref){"", project, name};
}

static struct db_stack get(struct world *w, const char *project, const char *name)
{
	struct db_stack_ref r = named(project, name);
	return RUN_OK(w, STACKS->get(w->db, &admin, &r, on_stack, &a)).stack;
}

static struct db_job get_job(struct world *w, const struct db_job *j)
{
	return RUN_OK(w, JOBS->get(w->db, &admin, j->id.text, on_job, &a)).job;
}

/* ---- deploy ---- */

static void a_deploy_stores_stack_release_and_job(void **state)
{
	struct world *w = *state;
	const char *images[] = {"nginx:1", "a \"b\\,{}"}, *warnings[] = {"careful,\nplease"};
	make_project(w, "demo");
	struct db_stack_deploy d = deploy_of("demo", "web");
	d.images = images, d.n_images = 2, d.warnings = warnings, d.n_warnings = 1;
	struct db_job j = RUN_OK(w, STACKS->deploy(w->db, &admin, &d, on_job, &a)).job;
	assert_int_equal(j.kind, JOB_DEPLOY);
	assert_int_equal(j.state, JOB_PENDING);
	assert_string_equal(j.project, "demo");
	assert_string_equal(j.stack, "web");
	assert_int_equal(j.release_number, 1);
	assert_int_equal(j.max_attempts, 3);
	assert_int_equal(j.last_sequence, 1);
	assert_int_equal(j.n_warnings, 1);
	assert_string_equal(j.warnings[0], "careful,\nplease");
	assert_int_equal(j.started_us, 0);
	struct db_stack s = get(w, "demo", "web");
	assert_string_equal(s.namespace_, "demo-web");
	assert_int_equal(s.status, STACK_PENDING);
	assert_string_equal(s.last_job_id.text, j.id.text);
	assert_string_equal(s.active_deployment_id.text, "");
	struct db_stack_ref r = named("demo", "web");
	struct db_page page = {10, ""};
	struct answer rel = RUN_OK(w, STACKS->releases(w->db, &admin, &r, &page, on_releases, &a));
	assert_int_equal(rel.n, 1);
	assert_int_equal(rel.releases[0].state, RELEASE_PENDING);
	assert_string_equal(rel.releases[0].job_id.text, j.id.text);
	assert_string_equal(rel.releases[0].created_by, "unix:root");
	assert_int_equal(rel.releases[0].n_images, 2);
	assert_string_equal(rel.releases[0].images[1], "a \"b\\,{}");
	struct answer e = RUN_OK(w, JOBS->events(w->db, &admin, j.id.text, 0, 10, on_events, &a));
	assert_int_equal(e.n, 1);
	assert_string_equal(e.events[0].kind, "job.created");
	assert_string_equal(e.events[0].message, "deploy of release 1");
	assert_value(w,
		"select target || ' ' || (detail ->> 'kind') from audit_log where target like 'stack/%'", "stack/web deploy");
}

static void an_active_release_makes_it_an_update(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job first = running_stack(w, "demo", "web");
	struct db_stack s = get(w, "demo", "web");
	assert_int_equal(s.status, STACK_RUNNING);
	assert_int_equal(s.active_number, 1);
	assert_int_equal(s.services_running, 1);
	assert_int_equal(s.n_services, 1);
	assert_string_equal(s.services[0].engine_name, "x_web");
	assert_string_equal(s.active_deployment_id.text, first.deployment_id.text);
	struct db_job second = deploy(w, "demo", "web");
	assert_int_equal(second.kind, JOB_UPDATE);
	assert_int_equal(second.release_number, 2);
	assert_string_equal(second.stack_id.text, first.stack_id.text);
}

static void older_pending_deploys_are_superseded(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_job two = deploy(w, "demo", "web");
	struct db_job scale = submit(w, "demo", "web", JOB_SCALE);
	struct db_job three = deploy(w, "demo", "web");
	struct db_job old = get_job(w, &two);
	assert_int_equal(old.state, JOB_CANCELLED);
	assert_string_equal(old.error, arena_fmt(w->arena, "superseded by job %s", three.id.text));
	assert_value(w, "select string_agg(state::text, ' ' order by number) from deployments",
		"active failed pending");
	assert_int_equal(get_job(w, &scale).state, JOB_PENDING);
	struct answer e = RUN_OK(w, JOBS->events(w->db, &admin, two.id.text, 1, 10, on_events, &a));
	assert_int_equal(e.n, 1);
	assert_string_equal(e.events[0].kind, "job.ended");
	assert_string_equal(e.events[0].state, "cancelled");
	RUN_FAILS(w, ST_FAILED_PRECONDITION,
		"release 2 of stack \"web\" is superseded by a newer one",
		JOBS->retry(w->db, &admin, two.id.text, on_job, &a));
}

static void the_newest_release_can_be_retried(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	deploy(w, "demo", "web");
	struct db_job two = claim(w, "d1");
	finish(w, &two, JOB_FAILED);
	assert_int_equal(
		RUN_OK(w, JOBS->retry(w->db, &admin, two.id.text, on_job, &a)).job.state,
		JOB_PENDING);
	assert_string_equal(get(w, "demo", "web").last_job_id.text, two.id.text);
	assert_value(w,
		"select string_agg(state::text, ' ' order by number) from deployments",
		"active pending");
}

/* It was handed back in the middle. The newer one may be cancelled before it runs: then nobody would
 * take back what was begun. */
static void a_deploy_that_has_begun_is_asked_to_stop(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	PUT_OK(put_step(w, &j, "services", NULL));
	PUT_OK(put_back(w, &j, 60000, true, NULL));
	for (int i = 0; i < 2; i++)
		deploy(w, "demo", "web");
	assert_value(w, "select string_agg(concat_ws(' ', state, case when cancel_requested then 'stop' end), ', '"
		" order by id) from deployment_jobs", "pending stop, cancelled, pending");
	assert_value(w, "select string_agg(state::text, ' ' order by number) from deployments", "pending failed pending");
	assert_value(w, "select string_agg(e.kind, ' ' order by job_sequence) from events e join deployment_jobs j"
		" on j.id = e.job_id where j.step <> ''",
		"job.created job.started job.requeued job.cancel_requested");
	struct db_job first = claim(w, "d2"); /* at once, before the newer one */
	assert_string_equal(first.id.text, j.id.text);
	assert_true(first.cancel_requested);
	PUT_OK(put_back(w, &first, 60000, true, NULL));
	submit(w, "demo", "web", JOB_REMOVE);
	assert_value(w, "select string_agg(concat_ws(' ', kind, state), ', ' order by id) from deployment_jobs",
		"deploy pending, deploy cancelled, deploy cancelled, remove pending");
}

static void a_running_deploy_is_not_superseded(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job one = claim(w, "d1");
	deploy(w, "demo", "web");
	assert_int_equal(get_job(w, &one).state, JOB_RUNNING);
	claim_none(w); /* the second one waits for it */
}

/* ---- going back ---- */

/* One more release of demo/web that has run. */
static struct db_job next_release(struct world *w)
{
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	const char *image = "nginx@sha256:1", *object = "web_site-1";
	const struct db_rendered rendered = {
		str_of(arena_fmt(w->arena, "{\"of\": %d}", (int)j.release_number)), &image, &object, 1, 1};
	RUN_OK(w, STACKS->store_rendered(w->db, &j, j.deployment_id.text, &rendered, on_done, &a));
	RUN_OK(w, STACKS->activate(w->db, &j, j.deployment_id.text, NULL, 0, on_done, &a));
	finish(w, &j, JOB_SUCCEEDED);
	return j;
}

static struct answer back(struct world *w, int64_t to)
{
	const struct db_stack_rollback r = {
		named("demo", "web"), to, ON_FAILURE_CONTINUE, 90, 3};
	return RUN(w, STACKS->rollback(w->db, &admin, &r, on_job, &a));
}

static void a_rollback_repeats_a_release(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	next_release(w);
	struct db_job two = next_release(w);
	struct db_job j = back(w, 0).job;
	assert_int_equal(j.kind, JOB_ROLLBACK);
	assert_int_equal(j.release_number, 3);
	assert_int_equal(j.max_attempts, 3);
	struct answer e = RUN_OK(w, JOBS->events(w->db, &admin, j.id.text, 0, 1, on_events, &a));
	assert_string_equal(e.events[0].message, "rollback to release 1, as release 3");
	struct db_release r = RUN_OK(w, STACKS->load_release(w->db, j.project_id.text,
		j.deployment_id.text, on_release, &a)).release;
	assert_int_equal(r.rolled_back_to, 1);
	assert_int_equal(r.on_failure, ON_FAILURE_CONTINUE);
	assert_int_equal(r.stall_seconds, 90);
	assert_true(str_is(r.rendered, "{\"of\": 1}"));
	assert_true(r.source.len > 0);
	assert_string_equal(r.images[0], "nginx@sha256:1");
	/* Its own objects, once they are stored. */
	j = claim(w, "d1");
	const struct db_rendered own = {.text = STR("{\"of\": 3}")};
	assert_value(w, "select objects[1] from deployments where number = 3", "web_site-1");
	RUN_OK(w, STACKS->store_rendered(w->db, &j, j.deployment_id.text, &own, on_done, &a));
	RUN_OK(w, STACKS->activate(w->db, &j, j.deployment_id.text, NULL, 0, on_done, &a));
	finish(w, &j, JOB_SUCCEEDED);
	r = RUN_OK(w, STACKS->load_release(w->db, j.project_id.text, j.deployment_id.text,
		on_release, &a)).release;
	assert_true(str_is(r.rendered, "{\"of\": 3}"));
	assert_value(w, "select string_agg(state::text, ' ' order by number) from deployments",
		"superseded superseded active");
	/* A roll-back of the roll-back: not to what it fled from, and before 1 there is none. */
	assert_string_equal(back(w, 0).st.message,
		"stack \"web\" has no good release before the one that runs");
	assert_int_equal(back(w, two.release_number).job.release_number, 4);
	/* The stack goes, and with it every release. */
	psql(w, "update deployment_jobs set stack_id = null; delete from orchestration_stacks");
	assert_value(w, "select count(*) from deployments", "0");
}

static void what_cannot_be_gone_back_to_is_refused(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web"); /* 1: it has no objects */
	next_release(w);
	deploy(w, "demo", "web");
	struct answer r = back(w, 0);
	assert_int_equal(r.st.code, ST_FAILED_PRECONDITION);
	assert_non_null(strstr(r.st.message, "a deploy of stack \"web\" has not ended"));
	r = back(w, 3);
	assert_string_equal(r.st.message, "release 3 of stack \"web\" never ran (it is pending): only "
					  "one that did can be gone back to");
	r = back(w, 9);
	assert_int_equal(r.st.code, ST_NOT_FOUND);
	assert_non_null(strstr(r.st.message, "has no release 9"));
	r = back(w, 1);
	assert_string_equal(r.st.message, "what release 1 of stack \"web\" sent to the Engine is not "
					  "known: deploy its text again");
	/* By number it need not wait, and what waits is superseded. */
	assert_int_equal(back(w, 2).job.release_number, 4);
	assert_value(w, "select string_agg(state::text, ' ' order by number) from deployments",
		"superseded active failed pending");
}

static void what_was_left_half_done_goes_back_to_the_good_one(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	next_release(w);
	next_release(w);
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	assert_true(get(w, "demo", "web").at_work);
	RUN_OK(w, STACKS->set_status(w->db, &j, STACK_DEGRADED, "left; next: …", on_done, &a));
	RUN_OK(w, STACKS->fail_release(w->db, &j, j.deployment_id.text, on_done, &a));
	finish(w, &j, JOB_FAILED);
	struct db_stack s = get(w, "demo", "web");
	assert_false(s.at_work);
	assert_string_equal(s.unfinished, "left; next: …");
	RUN_OK(w, STACKS->observe(w->db, s.id.text, STACK_RUNNING, "", "", NULL, 0, 0, on_done, &a));
	assert_string_equal(get(w, "demo", "web").unfinished, "left; next: …");
	j = back(w, 0).job;
	assert_value(w, "select rolled_back_to from deployments where number = 4", "2");
	j = claim(w, "d1");
	RUN_OK(w, STACKS->set_status(w->db, &j, STACK_DEPLOYING, "", on_done, &a));
	assert_string_equal(get(w, "demo", "web").unfinished, "left; next: …");
	RUN_OK(w, STACKS->activate(w->db, &j, j.deployment_id.text, NULL, 0, on_done, &a));
	assert_string_equal(get(w, "demo", "web").unfinished, "");
	/* Why a release failed stands beside it. */
	struct db_page page = {10, ""};
	struct db_stack_ref ref = named("demo", "web");
	struct answer list = RUN_OK(w, STACKS->releases(w->db, &admin, &ref, &page, on_releases, &a));
	assert_string_equal(list.releases[1].message, "it broke");
	assert_string_equal(list.releases[0].message, "");
	assert_int_equal(list.releases[0].rolled_back_to, 2);
}

/* ---- namespaces ---- */

static struct status deploy_as(struct world *w, const char *project, const char *name,
	const char *namespace_)
{
	struct db_stack_deploy d = deploy_of(project, name);
	d.namespace_ = namespace_;
	return RUN(w, STACKS->deploy(w->db, &admin, &d, on_job, &a)).st;
}

/* A plan is told the same as the deploy after it. */
static struct status deploy_as_planned(struct world *w, const char *project, const char *name,
	const char *namespace_)
{
	struct status planned = RUN(w, STACKS->check_namespace(w->db, &admin, project, name,
					       namespace_, on_done, &a)).st;
	struct status st = deploy_as(w, project, name, namespace_);
	assert_int_equal(planned.code, st.code);
	assert_string_equal(planned.message, st.message);
	return st;
}

static void namespaces_do_not_collide(void **state)
{
	struct world *w = *state;
	make_project(w, "a-b"), make_project(w, "a");
	deploy(w, "a-b", "c");
	struct status st = deploy_as_planned(w, "a", "b-c", "");
	assert_status(&st, ST_ALREADY_EXISTS, "namespace \"a-b-c\" is taken");
	assert_value(w, "select count(*) from orchestration_stacks", "1");
	assert_value(w, "select count(*) from deployments", "1");
	st = deploy_as_planned(w, "a", "b-c", "other");
	assert_status(&st, ST_OK, "");
	/* a-b-c_d's service "x" would be a-b-c's "d_x". */
	st = deploy_as_planned(w, "a", "b-c_d", "");
	assert_status(&st, ST_ALREADY_EXISTS, "namespace \"a-b-c_d\"");
	st = deploy_as_planned(w, "a", "e", "a-b-c_d");
	assert_status(&st, ST_ALREADY_EXISTS, "namespace \"a-b-c_d\"");
	st = deploy_as_planned(w, "a-b", "c_d", ""); /* one project: its own affair */
	assert_status(&st, ST_OK, "");
}

static void names_in_the_namespaces_of_others_are_told(void **state)
{
	struct world *w = *state;
	static const char *const names[] = {"ours-web_x", "ours-api_x", "theirs-web_x", "theirs-webx", "theirs_x"};
	make_project(w, "ours"), make_project(w, "theirs");
	deploy(w, "ours", "web"), deploy(w, "ours", "api"), deploy(w, "theirs", "web");
	const struct db_project project = RUN_OK(w, w->db->projects->get(w->db, &admin, "ours", on_project, &a)).project;
	struct answer told = RUN_OK(w, STACKS->reserved(w->db, project.id.text, "ours-web", names, 5, on_reserved, &a));
	assert_int_equal(told.n, 2);
	assert_string_equal(told.reserved[0].name, "ours-api_x");
	assert_string_equal(told.reserved[0].stack, "api");
	assert_string_equal(told.reserved[1].name, "theirs-web_x");
	assert_string_equal(told.reserved[1].stack, "");
}

static void a_namespace_is_fixed_by_the_first_deploy(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct status st = deploy_as_planned(w, "demo", "web", "shop");
	assert_status(&st, ST_OK, "");
	st = deploy_as_planned(w, "demo", "web", "shop");
	assert_status(&st, ST_OK, "");
	st = deploy_as_planned(w, "demo", "web", "");
	assert_status(&st, ST_OK, "");
	st = deploy_as_planned(w, "demo", "web", "other");
	assert_status(&st, ST_FAILED_PRECONDITION,
		"stack \"web\" has the namespace \"shop\" since its first deploy");
}

static void names_must_fit(void **state)
{
	struct world *w = *state;
	static const char project[] = "p234567890123456789012345678901234567890"; /* 40 */
	make_project(w, project);
	struct status st = deploy_as(w, project, "s234567890123456789012", ""); /* 40 + 1 + 22 */
	assert_status(&st, ST_OK, "");
	st = deploy_as(w, project, "s2345678901234567890123", "");
	assert_status(&st, ST_INVALID_ARGUMENT, "has 64 characters and the Engine takes 63");
	st = deploy_as(w, project, "x", "Upper");
	assert_status(&st, ST_INVALID_ARGUMENT, "the namespace of stack \"x\" must be lower-case");
	st = deploy_as(w, project, "-x", "");
	assert_status(&st, ST_INVALID_ARGUMENT, "stack name \"-x\"");
	st = deploy_as(w, project, "0190a3c0-1111-7111-8111-111111111111", "ns");
	assert_status(&st, ST_INVALID_ARGUMENT, "stack name \"0190a3c0");
	assert_value(w, "select count(*) from deployment_jobs", "1");
}

/* ---- request ids ---- */

static void a_request_id_makes_it_safe_to_send_twice(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_stack_deploy d = deploy_of("demo", "web");
	struct db_scope s = admin;
	s.request_id = "r1", s.method = "/Deploy", s.fingerprint = STR("same");
	struct db_job j = RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a)).job;
	struct db_job again = RUN_OK(w, STACKS->deploy(w->db2, &s, &d, on_job, &a)).job;
	assert_string_equal(again.id.text, j.id.text);
	assert_value(w, "select count(*) from deployments", "1");
	assert_value(w, "select count(*) from audit_log where target = 'stack/web'", "1");
	/* Another request or method under the same id. */
	s.fingerprint = STR("other");
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "request id \"r1\" was used for another request",
		STACKS->deploy(w->db, &s, &d, on_job, &a));
	s.fingerprint = STR("same"), s.method = "/Other";
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "request id \"r1\" was used", STACKS->deploy(w->db, &s,
		&d, on_job, &a));
	/* Another actor's, and one of yesterday, do not count. */
	s.method = "/Deploy", s.actor = "token:x";
	again = RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a)).job;
	assert_string_not_equal(again.id.text, j.id.text);
	/* Names of tokens repeat, and each token's ids are its own. */
	s.token_id = "018f4c2e-7d1a-7c3b-9f00-000000000001";
	j = RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a)).job;
	assert_string_not_equal(again.id.text, j.id.text);
	assert_string_equal(RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a)).job.id.text, j.id.text);
	s.token_id = "018f4c2e-7d1a-7c3b-9f00-000000000002";
	again = RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a)).job;
	assert_string_not_equal(again.id.text, j.id.text);
	assert_value(w, "select count(*) from audit_log where actor = 'token:x'", "3");
	psql(w, "update request_ids set created_at = now() - interval '25 hours'");
	s.fingerprint = STR("other");
	RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a));
	const struct db_retention keep = {.events_s = 3600, .audit_s = 3600, .releases = 20, .jobs_s = 3600};
	RUN_OK(w, JOBS->housekeep(w->db, &keep, on_done, &a));
	assert_value(w, "select count(*) from request_ids", "1");
}

static void two_daemons_answer_one_request_once(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_stack_deploy d = deploy_of("demo", "web");
	struct db_scope s = admin;
	s.request_id = "r1";
	struct answer x = {.w = w}, y = {.w = w};
	w->db->stacks->deploy(w->db, &s, &d, on_job, &x);
	w->db2->stacks->deploy(w->db2, &s, &d, on_job, &y);
	while (x.calls == 0 || y.calls == 0)
		loop_turn(w->loop);
	assert_status(&x.st, ST_OK, "");
	assert_status(&y.st, ST_OK, "");
	assert_string_equal(x.job.id.text, y.job.id.text);
	assert_value(w, "select count(*) from deployment_jobs", "1");
}

static void every_mutation_replays(void **state)
{
	struct world *w = *state;
	struct db_scope s = admin;
	s.request_id = "p";
	struct uuid p1 = RUN_OK(w, w->db->projects->create(w->db, &s, "demo", "", on_project,
		&a)).project.id;
	struct uuid p2 = RUN_OK(w, w->db->projects->create(w->db, &s, "demo", "", on_project,
		&a)).project.id;
	assert_string_equal(p1.text, p2.text);
	struct db_job j = running_stack(w, "demo", "web");
	struct db_stack_job scale = {named("demo", "web"), JOB_SCALE, STR("{\"web\":2}"), 1};
	s.request_id = "s";
	struct db_job one = RUN_OK(w, STACKS->submit(w->db, &s, &scale, on_job, &a)).job;
	struct db_job two = RUN_OK(w, STACKS->submit(w->db, &s, &scale, on_job, &a)).job;
	assert_string_equal(one.id.text, two.id.text);
	assert_true(str_is(one.params, "{\"web\": 2}"));
	s.request_id = "c";
	for (int i = 0; i < 2; i++) /* without the id the second one would be an error */
		assert_int_equal(RUN_OK(w, JOBS->cancel(w->db, &s, one.id.text, on_job,
			&a)).job.state, JOB_CANCELLED);
	s.request_id = "t";
	for (int i = 0; i < 2; i++)
		assert_int_equal(RUN_OK(w, JOBS->retry(w->db, &s, one.id.text, on_job,
			&a)).job.state, JOB_PENDING);
	psql(w, "update deployments set rendered = source");
	s.request_id = "b";
	const struct db_stack_rollback back = {named("demo", "web"), j.release_number,
		ON_FAILURE_ROLLBACK, 0, 1};
	for (int i = 0; i < 2; i++)
		assert_int_equal(RUN_OK(w, STACKS->rollback(w->db, &s, &back, on_job,
			&a)).job.release_number, 2);
	s.request_id = "d";
	psql(w, "delete from orchestration_stacks; update deployment_jobs set state = 'failed'");
	for (int i = 0; i < 2; i++)
		RUN_OK(w, w->db->projects->remove(w->db, &s, "demo", "", on_done, &a));
	/* The first answer names what is gone. */
	s.request_id = "p";
	RUN_FAILS(w, ST_NOT_FOUND, "the project that request \"p\" made does not exist any more",
		w->db->projects->create(w->db, &s, "demo", "", on_project, &a));
}

/* The connection breaks after the request was sent: the caller cannot know, and sends it again. */
static void a_lost_connection_says_what_to_do(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_stack_deploy d = deploy_of("demo", "web");
	struct db_scope s = admin;
	struct answer lost = {.w = w};
	s.request_id = "r1";
	psql(w, "begin");
	psql(w, "select from projects for update"); /* the deploy waits here */
	STACKS->deploy(w->db, &s, &d, on_job, &lost);
	wait_blocked(w);
	psql(w, "select pg_terminate_backend(pid) from pg_locks where not granted");
	wait_for(&lost);
	assert_status(&lost.st, ST_UNAVAILABLE, "send it again with the same request id");
	psql(w, "commit");
	RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a));
	assert_value(w, "select count(*) from deployment_jobs", "1");
}

/* A deadlock is no loss of the job: UNAVAILABLE, not ABORTED. */
static void a_deadlock_is_worth_another_try(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	struct answer lost = {.w = w};
	psql(w, "set deadlock_timeout = '1h'; begin; select from orchestration_stacks for update");
	STACKS->set_status(w->db, &j, STACK_DEPLOYING, "", on_done, &lost);
	wait_blocked(w);
	/* Now we want what it holds: after deadlock_timeout one of both is thrown out, and it is
	 * not we, who look once an hour. */
	assert_true(PQsendQuery(w->psql, "select from deployment_jobs for update"));
	wait_for(&lost);
	assert_status(&lost.st, ST_UNAVAILABLE, "busy with the same rows");
	PGresult *res;
	while ((res = PQgetResult(w->psql)) != NULL)
		PQclear(res);
	psql(w, "rollback");
	RUN_OK(w, STACKS->set_status(w->db, &j, STACK_DEPLOYING, "", on_done, &a));
}

static void every_mutation_is_audited(void **state)
{
	struct world *w = *state;
	struct uuid id = make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_job scale = submit(w, "demo", "web", JOB_SCALE);
	RUN_OK(w, JOBS->cancel(w->db, &admin, scale.id.text, on_job, &a));
	RUN_OK(w, JOBS->retry(w->db, &admin, scale.id.text, on_job, &a));
	/* Not what was refused. */
	struct db_job j = claim(w, "d1");
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "can be retried",
		JOBS->retry(w->db, &admin, j.id.text, on_job, &a));
	assert_value(w,
		arena_fmt(w->arena, "select string_agg(concat(target, ' ', detail ->> 'kind'), ', '"
			" order by id) from audit_log where project_id = '%s'", id.text),
		"project/demo , stack/web deploy, stack/web scale, stack/web scale, stack/web scale");
}

static void a_failed_mutation_keeps_no_request_id(void **state)
{
	struct world *w = *state;
	struct db_stack_deploy d = deploy_of("demo", "web");
	struct db_scope s = admin;
	s.request_id = "r1";
	RUN_FAILS(w, ST_NOT_FOUND, "project \"demo\" does not exist", STACKS->deploy(w->db, &s, &d,
		on_job, &a));
	make_project(w, "demo");
	RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a));
}

/* ---- sealing ---- */

static void sealed_columns_hold_no_plain_text(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_stack_deploy d = deploy_of("demo", "web");
	d.source = STR("{\"variables\":{\"PASSWORD\":\"hunter2hunter2\"}}");
	RUN_OK(w, STACKS->deploy(w->db, &admin, &d, on_job, &a));
	struct db_job j = claim(w, "d1");
	const char *image = "nginx@sha256:1", *object = "demo-web_key_0123456789ab";
	const struct db_rendered rendered = {
		STR("{\"Env\":[\"hunter2hunter2\"]}"), &image, &object, 1, 1};
	RUN_OK(w, STACKS->store_rendered(
		w->db, &j, j.deployment_id.text, &rendered, on_done, &a));
	struct answer r = RUN_OK(w, STACKS->load_release(w->db, j.project_id.text,
		j.deployment_id.text, on_release, &a));
	assert_true(str_eq(r.release.source, d.source));
	assert_true(str_is(r.release.rendered, "{\"Env\":[\"hunter2hunter2\"]}"));
	assert_string_equal(r.release.images[0], "nginx@sha256:1");
	/* What it names is known without opening it, once it is good. */
	assert_int_equal(RUN_OK(w, STACKS->good_releases(w->db, j.project_id.text, j.stack_id.text, 5,
		on_release_objects, &a)).n, 0);
	RUN_OK(w, STACKS->activate(w->db, &j, j.deployment_id.text, NULL, 0, on_done, &a));
	struct answer good = RUN_OK(w, STACKS->good_releases(w->db, j.project_id.text,
		j.stack_id.text, 5, on_release_objects, &a));
	assert_int_equal(good.n, 1);
	assert_int_equal(good.release_objects[0].number, 1);
	assert_string_equal(good.release_objects[0].objects[0], "demo-web_key_0123456789ab");
	assert_int_equal(r.release.on_failure, ON_FAILURE_ROLLBACK);
	/* Not in any row of any table. */
	psql(w, "create or replace function pg_temp.leaks() returns bigint language plpgsql as $$"
		" declare t regclass; n bigint; total bigint := 0; begin"
		" for t in select oid::regclass from pg_class where relkind = 'r'"
		" and relnamespace = 'public'::regnamespace loop"
		"  execute format('select count(*) from %s x where x::text ~*"
		" ''hunter2|68756e74657232''', t) into n;"
		"  total := total + n; end loop; return total; end $$");
	assert_value(w, "select pg_temp.leaks()", "0");
	psql(w, "update deployments set images = '{hunter2}'");
	assert_value(w, "select pg_temp.leaks()", "1"); /* the test can see */
	/* Bytes moved to another row or column do not open. */
	psql(w, "update deployments set rendered = source");
	RUN_FAILS(w, ST_DATA_LOSS, "rendered of release",
		STACKS->load_release(w->db, j.project_id.text, j.deployment_id.text, on_release,
			&a));
}

/* ---- scope ---- */

static void another_projects_ids_are_not_found(void **state)
{
	struct world *w = *state;
	struct uuid mine = make_project(w, "mine"), other = make_project(w, "other");
	struct db_job j = running_stack(w, "other", "web");
	struct db_scope s = scope_of(&mine);
	struct db_page page = {10, ""};
	struct db_stack_ref refs[] = {{j.stack_id.text, "", ""}, {"", "other", "web"}, {"",
		other.text, "web"}};
	for (size_t i = 0; i < 3; i++) {
		struct db_stack_job scale = {refs[i], JOB_SCALE, STR("{}"), 1};
		RUN_FAILS(w, ST_NOT_FOUND, "does not exist", STACKS->get(w->db, &s, &refs[i],
			on_stack, &a));
		RUN_FAILS(w, ST_NOT_FOUND, "does not exist", STACKS->releases(w->db, &s, &refs[i],
			&page, on_releases, &a));
		RUN_FAILS(w, ST_NOT_FOUND, "does not exist", STACKS->submit(w->db, &s, &scale,
			on_job, &a));
		scale.kind = JOB_REMOVE;
		RUN_FAILS(w, ST_NOT_FOUND, "does not exist", STACKS->submit(w->db, &s, &scale,
			on_job, &a));
	}
	struct db_stack_deploy d = deploy_of("other", "web");
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\" does not exist", STACKS->deploy(w->db, &s, &d,
		on_job, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\" does not exist", STACKS->list(w->db, &s,
		"other", &page, on_stacks, &a));
	assert_int_equal(RUN_OK(w, STACKS->list(w->db, &s, "", &page, on_stacks, &a)).n, 0);
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->get(w->db, &s, j.id.text, on_job, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->events(w->db, &s, j.id.text, 0, 10,
		on_events, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->cancel(w->db, &s, j.id.text, on_job,
		&a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->retry(w->db, &s, j.id.text, on_job, &a));
	struct db_job_filter f = {.project = "", .stack = j.stack_id.text};
	assert_int_equal(RUN_OK(w, JOBS->list(w->db, &s, &f, &page, on_jobs, &a)).n, 0);
	f.project = other.text;
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", JOBS->list(w->db, &s, &f, &page, on_jobs, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist",
		STACKS->load_release(w->db, mine.text, j.deployment_id.text, on_release, &a));
	struct db_stack_ref mine_web = named("", "web");
	RUN_FAILS(w, ST_NOT_FOUND, "stack \"web\" does not exist in project \"mine\"",
		STACKS->get(w->db, &s, &mine_web, on_stack, &a));
	assert_value(w, "select count(*) from deployment_jobs", "1");
}

static void a_scope_names_its_own_by_default(void **state)
{
	struct world *w = *state;
	struct uuid mine = make_project(w, "mine");
	make_project(w, "other");
	struct db_scope s = scope_of(&mine);
	struct db_stack_deploy d = deploy_of("", "web");
	struct db_page page = {10, ""};
	RUN_OK(w, STACKS->deploy(w->db, &s, &d, on_job, &a));
	deploy(w, "other", "web");
	struct answer list = RUN_OK(w, STACKS->list(w->db, &s, "", &page, on_stacks, &a));
	assert_int_equal(list.n, 1);
	assert_string_equal(list.stacks[0].project, "mine");
	assert_int_equal(RUN_OK(w, STACKS->list(w->db, &admin, "", &page, on_stacks, &a)).n, 2);
	RUN_FAILS(w, ST_INVALID_ARGUMENT, "no project is named", STACKS->deploy(w->db, &admin, &d,
		on_job, &a));
	struct db_stack_ref bad = {"x'; drop table projects; --", "", ""};
	RUN_FAILS(w, ST_NOT_FOUND, "stack \"x'; drop", STACKS->get(w->db, &s, &bad, on_stack, &a));
}

/* ---- submit, remove ---- */

static void scale_needs_a_release(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_stack_job scale = {named("demo", "web"), JOB_SCALE, STR("{}"), 1};
	RUN_FAILS(w, ST_NOT_FOUND, "stack \"web\" does not exist in project \"demo\"",
		STACKS->submit(w->db, &admin, &scale, on_job, &a));
	struct db_job j = deploy(w, "demo", "web");
	submit(w, "demo", "web", JOB_SCALE); /* behind the deploy */
	RUN_OK(w, JOBS->cancel(w->db, &admin, j.id.text, on_job, &a));
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "stack \"web\" has no release that runs",
		STACKS->submit(w->db, &admin, &scale, on_job, &a));
	submit(w, "demo", "web", JOB_REMOVE);
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "stack \"web\" is being removed",
		STACKS->submit(w->db, &admin, &scale, on_job, &a));
}

static void a_service_that_is_not_there_is_refused(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	struct db_stack_job scale = {
		named("demo", "web"), JOB_SCALE, STR("{\"replicas\":{\"web\":2,\"nobody\":1}}"), 1};
	struct db_stack_job restart = {
		named("demo", "web"), JOB_RESTART, STR("{\"services\":[\"nobody\"]}"), 1};
	RUN_FAILS(w, ST_NOT_FOUND, "service \"nobody\" is not in stack \"web\": it has web",
		STACKS->submit(w->db, &admin, &scale, on_job, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "service \"nobody\" is not in stack \"web\"",
		STACKS->submit(w->db, &admin, &restart, on_job, &a));
	scale.params = STR("{\"replicas\":{\"web\":2}}");
	psql(w, "update service_instances set mode = 'global'");
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "(mode global): it cannot be scaled",
		STACKS->submit(w->db, &admin, &scale, on_job, &a));
	assert_value(w, "select count(*) from deployment_jobs where kind in ('scale', 'restart')", "0");
	restart.params = STR("{\"services\":[\"web\"]}");
	RUN_OK(w, STACKS->submit(w->db, &admin, &restart, on_job, &a));
	deploy(w, "demo", "web"); /* which may bring any */
	scale.params = STR("{\"replicas\":{\"nobody\":1}}");
	RUN_OK(w, STACKS->submit(w->db, &admin, &scale, on_job, &a));
}

/* Its daemons died, and nobody could say what the stack has become. */
static void a_job_that_is_given_up_leaves_a_true_status(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	RUN_OK(w, STACKS->set_status(w->db, &j, STACK_DEPLOYING, "", on_done, &a));
	finish(w, &j, JOB_FAILED);
	assert_value(w, "select status from orchestration_stacks", "failed");
	running_stack(w, "demo", "web");
	deploy(w, "demo", "web");
	j = claim(w, "d1");
	RUN_OK(w, STACKS->set_status(w->db, &j, STACK_DEPLOYING, "", on_done, &a));
	finish(w, &j, JOB_FAILED);
	assert_value(w, "select status from orchestration_stacks", "degraded");
}

static void a_stacks_queue_is_bounded(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	psql(w, "insert into deployment_jobs (id, project_id, stack_id, stack_name, kind, created_by)"
		" select gen_random_uuid(), project_id, id, name, 'restart', 'x'"
		" from orchestration_stacks, generate_series(1, 99)");
	submit(w, "demo", "web", JOB_SCALE);
	struct db_stack_job j = {named("demo", "web"), JOB_RESTART, STR("{}"), 1};
	RUN_FAILS(w, ST_RESOURCE_EXHAUSTED, "100 jobs of stack \"web\" wait already",
		STACKS->submit(w->db, &admin, &j, on_job, &a));
	submit(w, "demo", "web", JOB_REMOVE); /* makes room for itself */
}

static void remove_supersedes_what_waits_and_deletes(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job first = running_stack(w, "demo", "web");
	struct db_job scale = submit(w, "demo", "web", JOB_SCALE);
	submit(w, "demo", "web", JOB_REMOVE);
	assert_int_equal(get_job(w, &scale).state, JOB_CANCELLED);
	struct db_job j = claim(w, "d1");
	assert_int_equal(j.kind, JOB_REMOVE);
	const char *names[] = {"default"}, *engine[] = {"demo-web_default"};
	RUN_OK(w, STACKS->set_networks(w->db, &j, names, engine, 1, on_done, &a));
	RUN_OK(w, STACKS->set_status(w->db, &j, STACK_REMOVING, "", on_done, &a));
	assert_int_equal(get(w, "demo", "web").status, STACK_REMOVING);
	RUN_OK(w, STACKS->removed(w->db, &j, on_done, &a));
	RUN_OK(w, STACKS->removed(w->db, &j, on_done, &a)); /* the reply was lost */
	finish(w, &j, JOB_SUCCEEDED);
	assert_value(w, "select count(*) from orchestration_stacks", "0");
	assert_value(w, "select count(*) from deployments", "0");
	assert_value(w, "select count(*) from network_assignments", "0");
	struct db_job after = get_job(w, &first);
	assert_string_equal(after.stack, "web");
	assert_string_equal(after.stack_id.text, "");
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "stack \"web\" of job", JOBS->retry(w->db, &admin,
		scale.id.text, on_job, &a));
	/* Its history is found by name. */
	struct db_job_filter f = {.project = "demo", .stack = "web"};
	struct db_page page = {10, ""};
	assert_int_equal(RUN_OK(w, JOBS->list(w->db, &admin, &f, &page, on_jobs, &a)).n, 3);
}

static void a_deploy_behind_a_remove_keeps_the_stack(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	submit(w, "demo", "web", JOB_REMOVE);
	struct db_job j = claim(w, "d1");
	struct db_job next = deploy(w, "demo", "web");
	RUN_OK(w, STACKS->removed(w->db, &j, on_done, &a));
	struct db_stack s = get(w, "demo", "web");
	assert_int_equal(s.status, STACK_PENDING);
	assert_string_equal(s.active_deployment_id.text, "");
	assert_int_equal(s.n_services, 0);
	claim_none(w);
	finish(w, &j, JOB_SUCCEEDED);
	assert_string_equal(claim(w, "d1").id.text, next.id.text);
	assert_value(w, "select string_agg(state::text, ' ' order by number) from deployments",
		"superseded pending");
}

/* ---- flows ---- */

static void activate_replaces_release_and_services(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	struct db_service services[] = {
		{.service = "api", .mode = "global", .state = SERVICE_RUNNING, .running = 3,
			.wanted = 3},
		{.service = "job", .mode = "replicated-job", .state = SERVICE_COMPLETED,
			.wanted = 1, .message = "bad \xff byte"},
	};
	for (int i = 0; i < 2; i++) /* twice: a reply was lost */
		RUN_OK(w, STACKS->activate(w->db, &j, j.deployment_id.text, services, 2, on_done,
			&a));
	struct db_stack s = get(w, "demo", "web");
	assert_int_equal(s.active_number, 2);
	assert_int_equal(s.n_services, 2);
	assert_string_equal(s.services[0].service, "api");
	assert_string_equal(s.services[0].mode, "global");
	assert_int_equal(s.services[0].running, 3);
	assert_string_equal(s.services[1].message, "bad \xef\xbf\xbd byte");
	assert_int_equal(s.services_running, 2);
	assert_value(w, "select string_agg(state::text, ' ' order by number) from deployments",
		"superseded active");
	/* A release of another stack is refused. */
	struct db_job foreign = deploy(w, "demo", "other");
	RUN_FAILS(w, ST_NOT_FOUND, "is not one of the job's stack",
		STACKS->activate(w->db, &j, foreign.deployment_id.text, NULL, 0, on_done, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "is not one of the job's stack",
		STACKS->store_rendered(w->db, &j, foreign.deployment_id.text,
			&(struct db_rendered){.text = STR("{}")}, on_done, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "is not one of the job's stack",
		STACKS->fail_release(w->db, &j, foreign.deployment_id.text, on_done, &a));
}

static void a_stale_epoch_writes_nothing(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	running_stack(w, "demo", "web");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1"), stale = j;
	stale.epoch--;
	const char *before = value(w,
		"select s::text || d::text || n::text from orchestration_stacks s,"
		" (select string_agg(d::text, ',' order by number)"
		" from deployments d) d, (select count(*) from events) n");
	const char *id = stale.deployment_id.text, *name = "default";
	RUN_FAILS(w, ST_ABORTED, "no longer run", STACKS->store_rendered(w->db, &stale, id,
		&(struct db_rendered){.text = STR("{}")}, on_done, &a));
	RUN_FAILS(w, ST_ABORTED, "no longer run", STACKS->set_status(w->db, &stale, STACK_FAILED,
		"x", on_done, &a));
	RUN_FAILS(w, ST_ABORTED, "no longer run", STACKS->activate(w->db, &stale, id, NULL, 0,
		on_done, &a));
	RUN_FAILS(w, ST_ABORTED, "no longer run", STACKS->fail_release(w->db, &stale, id, on_done,
		&a));
	RUN_FAILS(w, ST_ABORTED, "no longer run", STACKS->removed(w->db, &stale, on_done, &a));
	RUN_FAILS(w, ST_ABORTED, "no longer run", STACKS->set_networks(w->db, &stale, &name, &name,
		1, on_done, &a));
	assert_value(w, "select s::text || d::text || n::text from orchestration_stacks s,"
		" (select string_agg(d::text, ',' order by number)"
		" from deployments d) d, (select count(*) from events) n", before);
	assert_value(w, "select count(*) from service_instances", "1");
	assert_value(w, "select count(*) from network_assignments", "0");
}

static void networks_are_exactly_those(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	const char *names[] = {"a", "b"}, *engine[] = {"demo_a", "demo_b"};
	for (int i = 0; i < 2; i++)
		RUN_OK(w, STACKS->set_networks(w->db, &j, names, engine, 2, on_done, &a));
	assert_value(w,
		"select string_agg(engine_name, ' ' order by engine_name) from network_assignments",
		"demo_a demo_b");
	RUN_OK(w, STACKS->set_networks(w->db, &j, names + 1, engine + 1, 1, on_done, &a));
	assert_value(w,
		"select string_agg(engine_name || ' ' || state, ',' order by engine_name) from network_assignments",
		"demo_a released,demo_b assigned");
	deploy(w, "demo", "other");
	struct db_job k = claim(w, "d1");
	RUN_FAILS(w, ST_ALREADY_EXISTS, "a network name of stack \"other\" is taken",
		STACKS->set_networks(w->db, &k, names + 1, engine + 1, 1, on_done, &a));
}

static void fail_release_spares_the_active_one(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job first = running_stack(w, "demo", "web");
	deploy(w, "demo", "web");
	struct db_job j = claim(w, "d1");
	RUN_OK(w, STACKS->fail_release(w->db, &j, j.deployment_id.text, on_done, &a));
	RUN_OK(w, STACKS->fail_release(w->db, &j, first.deployment_id.text, on_done, &a));
	assert_value(w, "select string_agg(state::text, ' ' order by number) from deployments",
		"active failed");
}

/* ---- the observer ---- */

static void observe_writes_and_tells_differences_only(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job j = running_stack(w, "demo", "web");
	struct answer seen = RUN_OK(w, STACKS->watched(w->db, "", 10, on_stacks, &a));
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.stacks[0].n_services, 1);
	struct db_service v = seen.stacks[0].services[0];
	psql(w, "truncate events; listen skep_stacks");
	RUN_OK(w, STACKS->observe(w->db, j.stack_id.text, STACK_RUNNING, "", "", &v, 1, 0, on_done, &a));
	assert_value(w, "select count(*) from events", "0");
	assert_string_equal(notified(w), "");
	v.running = 0, v.state = SERVICE_DEGRADED, v.message = "no suitable node";
	RUN_OK(w, STACKS->observe(w->db, j.stack_id.text, STACK_DEGRADED, "web 0/1", "", &v, 1, 0, on_done,
		&a));
	RUN_OK(w, STACKS->observe(w->db, j.stack_id.text, STACK_DEGRADED, "web 0/1", "", &v, 1, 0, on_done,
		&a));
	assert_value(w,
		"select string_agg(kind || ' ' || service || ' ' || state || ' ' || message, ',' order by seq) from events",
		"stack.status  degraded web 0/1,service.state web degraded no suitable node");
	assert_string_equal(notified(w), j.stack_id.text);
	struct db_stack s = get(w, "demo", "web");
	assert_int_equal(s.status, STACK_DEGRADED);
	assert_string_equal(s.status_message, "web 0/1");
	/* Nor does it count when a job has said something since. */
	v.running = 1, v.state = SERVICE_RUNNING;
	RUN_OK(w, STACKS->observe(w->db, j.stack_id.text, STACK_RUNNING, "", "", &v, 1, 3600000, on_done, &a));
	s = get(w, "demo", "web");
	assert_int_equal(s.status, STACK_DEGRADED);
	assert_int_equal(s.services[0].running, 0);
	/* While a job runs, the status is the job's. */
	submit(w, "demo", "web", JOB_RESTART);
	claim(w, "d1");
	v.running = 1, v.state = SERVICE_RUNNING;
	RUN_OK(w, STACKS->observe(w->db, j.stack_id.text, STACK_RUNNING, "", "", &v, 1, 0, on_done, &a));
	s = get(w, "demo", "web");
	assert_int_equal(s.status, STACK_DEGRADED);
	assert_int_equal(s.services[0].running, 1);
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist",
		STACKS->observe(w->db, j.project_id.text, STACK_RUNNING, "", "", &v, 1, 0, on_done, &a));
}

/* It looked before a release took a service away and brought another one. */
static void what_was_observed_too_late_brings_no_service_back(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job j = running_stack(w, "demo", "web");
	const struct db_service late = {.service = "old", .engine_id = "e", .engine_name = "demo-web_old",
		.image = "i", .mode = "replicated", .state = SERVICE_MISSING, .message = "gone"};
	const char *before = value(w, "select string_agg(service, ' ') from service_instances");
	RUN_OK(w, STACKS->observe(w->db, j.stack_id.text, STACK_DRIFTED, "gone", "old", &late, 1, 0,
		on_done, &a));
	assert_value(w, "select string_agg(service, ' ') from service_instances", before);
}

static void drift_is_an_event(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job j = running_stack(w, "demo", "web");
	struct answer seen = RUN_OK(w, STACKS->watched(w->db, "", 10, on_stacks, &a));
	struct db_service v = seen.stacks[0].services[0];
	assert_false(seen.stacks[0].repairs_drift);
	psql(w, "truncate events");
	for (int i = 0; i < 2; i++)
		RUN_OK(w, STACKS->observe(w->db, j.stack_id.text, STACK_DRIFTED, "by hand", "web",
			&v, 1, 0, on_done, &a));
	assert_value(w,
		"select string_agg(kind || ' ' || service || ' ' || message, ',' order by kind) from events",
		"stack.drift web by hand,stack.status  by hand");
}

static void repairs_have_a_bound(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job first = running_stack(w, "demo", "web");
	const char *stack = first.stack_id.text, *release = first.deployment_id.text;
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "project \"demo\" only reports drift",
		STACKS->repair(w->db, stack, release, "why", 2, on_job, &a));
	psql(w, "update projects set drift_policy = 'repair'");
	struct answer seen = RUN_OK(w, STACKS->watched(w->db, "", 10, on_stacks, &a));
	assert_true(seen.stacks[0].repairs_drift);
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "another release runs by now",
		STACKS->repair(w->db, stack, stack, "why", 2, on_job, &a));
	for (int i = 0; i < 2; i++) {
		struct answer made = RUN_OK(w,
			STACKS->repair(w->db, stack, release, "why", 2, on_job, &a));
		assert_int_equal(made.job.kind, JOB_UPDATE);
		assert_string_equal(made.job.deployment_id.text, release);
		RUN_FAILS(w, ST_FAILED_PRECONDITION, "a job is at work on the stack",
			STACKS->repair(w->db, stack, release, "why", 2, on_job, &a));
		psql(w, "update deployment_jobs set state = 'succeeded'");
		RUN_FAILS(w, i == 0 ? ST_FAILED_PRECONDITION : ST_RESOURCE_EXHAUSTED,
			i == 0 ? "was repaired a moment ago" : "was repaired 2 times within an hour",
			STACKS->repair(w->db, stack, release, "why", 2, on_job, &a));
		psql(w, "update deployment_jobs set created_at = created_at - interval '6 seconds'");
	}
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "was repaired a moment ago",
		STACKS->repair(w->db, stack, release, "why", 9, on_job, &a));
	RUN_FAILS(w, ST_RESOURCE_EXHAUSTED, "was repaired 2 times within an hour",
		STACKS->repair(w->db, stack, release, "why", 2, on_job, &a));
	psql(w, "update deployment_jobs set created_at = now() - interval '61 minutes'");
	RUN_OK(w, STACKS->repair(w->db, stack, release, "why", 2, on_job, &a));
	assert_value(w,
		"select count(*) || ' ' || min(detail->'params'->>'drift') from audit_log where actor = 'observer'",
		"3 why");
}

static void watched_pages(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job one = running_stack(w, "demo", "one");
	struct db_job two = running_stack(w, "demo", "two");
	deploy(w, "demo", "never");
	struct answer p1 = RUN_OK(w, STACKS->watched(w->db, "", 1, on_stacks, &a));
	assert_int_equal(p1.n, 1);
	assert_true(p1.more);
	assert_string_equal(p1.stacks[0].id.text, one.stack_id.text);
	assert_int_equal(p1.stacks[0].n_services, 1);
	struct answer p2 = RUN_OK(w, STACKS->watched(w->db, p1.stacks[0].id.text, 1, on_stacks,
		&a));
	assert_int_equal(p2.n, 1);
	assert_false(p2.more);
	assert_string_equal(p2.stacks[0].id.text, two.stack_id.text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_deploy_stores_stack_release_and_job),
		TEST(an_active_release_makes_it_an_update),
		TEST(older_pending_deploys_are_superseded),
		TEST(the_newest_release_can_be_retried),
		TEST(a_deploy_that_has_begun_is_asked_to_stop),
		TEST(a_running_deploy_is_not_superseded),
		TEST(a_rollback_repeats_a_release),
		TEST(what_cannot_be_gone_back_to_is_refused),
		TEST(what_was_left_half_done_goes_back_to_the_good_one),
		TEST(namespaces_do_not_collide),
		TEST(names_in_the_namespaces_of_others_are_told),
		TEST(a_namespace_is_fixed_by_the_first_deploy),
		TEST(names_must_fit),
		TEST(a_request_id_makes_it_safe_to_send_twice),
		TEST(two_daemons_answer_one_request_once),
		TEST(every_mutation_replays),
		TEST(a_lost_connection_says_what_to_do),
		TEST(a_deadlock_is_worth_another_try),
		TEST(every_mutation_is_audited),
		TEST(a_failed_mutation_keeps_no_request_id),
		TEST(sealed_columns_hold_no_plain_text),
		TEST(another_projects_ids_are_not_found),
		TEST(a_scope_names_its_own_by_default),
		TEST(scale_needs_a_release),
		TEST(a_service_that_is_not_there_is_refused),
		TEST(a_job_that_is_given_up_leaves_a_true_status),
		TEST(a_stacks_queue_is_bounded),
		TEST(remove_supersedes_what_waits_and_deletes),
		TEST(a_deploy_behind_a_remove_keeps_the_stack),
		TEST(activate_replaces_release_and_services),
		TEST(a_stale_epoch_writes_nothing),
		TEST(networks_are_exactly_those),
		TEST(fail_release_spares_the_active_one),
		TEST(observe_writes_and_tells_differences_only),
		TEST(what_was_observed_too_late_brings_no_service_back),
		TEST(drift_is_an_event),
		TEST(repairs_have_a_bound),
		TEST(watched_pages),
	};
	return cmocka_run_group_tests(tests, world_start, world_stop);
}
