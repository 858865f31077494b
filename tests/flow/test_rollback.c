/* Releases that do not come to run: what is told, and what is taken back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_sweep.h"
#include "stacks/release.h"

#define DB "services:\n  db:\n    image: postgres:1\n"

static const char *const good = DB "  web:\n"
				   "    image: nginx:1\n"
				   "    deploy: {replicas: 2}\n"
				   "  worker: {image: worker:1}\n";

static const char *const bad = DB "  web:\n"
				  "    image: nginx:crash\n"
				  "    deploy: {replicas: 2}\n"
				  "  cache: {image: 'redis:1', networks: [back]}\n"
				  "networks:\n"
				  "  back: {}\n";

static struct store_job *submit_bad(struct world *w)
{
	return world_deploy(w, bad, ON_FAILURE_ROLLBACK, 3);
}

static const struct scenario bad_update = {
	.name = "bad update", .prepared = good, .submit = submit_bad, .fails = true};
static const struct scenario bad_deploy = {
	.name = "bad deploy", .submit = submit_bad, .fails = true};

/* Runs `text` over what is there. */
static struct store_job *run(struct world *w, const char *text, enum failure_policy policy)
{
	struct store_job *j = world_deploy(w, text, policy, 1);
	world_start(w);
	world_run(w, j);
	return j;
}

#define assert_in(text, part)                                                                      \
	do {                                                                                       \
		if (!strstr(text, part))                                                           \
			fail_msg("no \"%s\" in: %s", part, text);                                  \
	} while (0)

static void an_update_is_taken_back_in_this_order(void **state)
{
	(void)state;
	struct world *w = scenario_run(&bad_update);
	assert_string_equal(world_writes(w), "db step begun\n"
					     "db set_status deploying\n"
					     "db step announce\n"
					     "db store_rendered\n"
					     "db step store\n"
					     "db set_networks\n"
					     "db step assign_networks\n"
					     "docker network_create acme-shop_back\n"
					     "db step networks\n"
					     "db step objects\n"
					     "docker service_update acme-shop_web\n"
					     "docker service_create acme-shop_cache\n"
					     "db step services\n"
					     "db undo converge\n"
					     "docker service_update acme-shop_web\n"
					     "docker service_remove acme-shop_cache\n"
					     "docker network_remove acme-shop_back\n"
					     "db set_status running\n"
					     "db fail_release\n"
					     "db finish failed\n");
	world_destroy(w);
}

static void a_first_deploy_leaves_nothing(void **state)
{
	(void)state;
	struct world *w = scenario_run(&bad_deploy);
	assert_string_equal(world_text(w), "");
	assert_int_equal(world_stack(w)->row.status, STACK_FAILED);
	assert_in(world_stack(w)->row.status_message, "crash loop");
	world_destroy(w);
}

static void the_failure_names_task_node_code_and_log(void **state)
{
	(void)state;
	struct world *w = world_create();
	w->log = "starting\nboom: no such table\n";
	struct store_job *j = run(w, bad, ON_FAILURE_ROLLBACK);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "service web: crash loop: task acme-shop_web.");
	assert_in(j->row.error, "on node ");
	assert_in(j->row.error, "non-zero exit (1)");
	assert_in(j->row.error, "boom: no such table");
	assert_string_equal(j->row.error_code, "FAILED_PRECONDITION");
	assert_null(strstr(j->row.error, "taking it back failed"));
	assert_true(world_said(j, "job.failed|"));
	assert_true(world_said(j, "what was begun is removed"));
	world_destroy(w);
}

/* The same as fields, and what to do about it. */
static void the_story_has_a_hint_and_fields(void **state)
{
	(void)state;
	const struct docker_container killed = {.id = "c",
		.state = "exited",
		.error = "",
		.health = "unhealthy",
		.health_output = "no answer\n",
		.health_exit_code = 3,
		.oom_killed = true};
	struct world *w = world_create();
	w->log = "one\ntwo \xff\n";
	w->container = &killed;
	struct store_job *j = run(w, bad, ON_FAILURE_ROLLBACK);
	assert_in(j->row.error, "\n  the kernel killed it: out of memory\n");
	assert_in(j->row.error, "\n  hint: it used more memory than deploy.resources.limits.memory");
	assert_in(j->row.error, "\n  its health check says (exit code 3):\n    no answer\n");
	assert_in(j->row.error, "\n  last lines of its log:\n    one\n    two \xef\xbf\xbd\n");
	json_t *list = json_loadb(j->row.failures.ptr, j->row.failures.len, 0, NULL);
	assert_int_equal(json_array_size(list), 1);
	const json_t *f = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(f, "service")), "web");
	assert_in("alpha beta", json_string_value(json_object_get(f, "node")));
	assert_int_equal(json_integer_value(json_object_get(f, "exit_code")), 1);
	assert_in_range(json_integer_value(json_object_get(f, "slot")), 1, 2);
	assert_true(json_is_true(json_object_get(f, "oom_killed")));
	assert_string_equal(json_string_value(json_object_get(f, "health")), "no answer");
	assert_int_equal(json_array_size(json_object_get(f, "log")), 2);
	json_decref(list);
	world_destroy(w);
}

static void no_node_and_no_image_are_explained(void **state)
{
	(void)state;
	struct world *w = world_create();
	w->swarm->images[0] = (struct swarm_image){.ref = "x:reject", .guarded = true};
	struct store_job *j = run(w,
		"services:\n"
		"  web: {image: 'x:reject'}\n",
		ON_FAILURE_ROLLBACK);
	assert_in(j->row.error, "\n  the registry says: authentication required\n  hint: the registry does not let");
	world_destroy(w);
	w = world_create();
	j = run(w,
		"services:\n"
		"  web:\n"
		"    image: 'x:nonode'\n"
		"    deploy: {placement: {constraints: [node.labels.disk==ssd]}}\n",
		ON_FAILURE_ROLLBACK);
	assert_in(j->row.error, "\n  node alpha: node.labels.disk==ssd is not met (it has none)\n");
	assert_in(j->row.error, "\n  node beta: node.labels.disk==ssd is not met (it has none)\n");
	assert_in(j->row.error, "\n  hint: no node meets the placement constraints");
	world_destroy(w);
}

static void a_log_that_never_ends_is_not_waited_for(void **state)
{
	(void)state;
	struct world *w = world_create();
	w->logs_hang = true;
	uint64_t before = loop_now_ms(w->loop);
	struct store_job *j = run(w, bad, ON_FAILURE_ROLLBACK);
	assert_in(j->row.error, "crash loop");
	assert_true(loop_now_ms(w->loop) - before < 60000);
	world_destroy(w);
}

static void what_the_engine_rolled_back_has_failed(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, DB "  web: {image: 'nginx:1'}\n");
	char *before = world_text(w);
	struct store_job *j = run(w,
		DB "  web:\n"
		   "    image: nginx:crash\n"
		   "    deploy: {update_config: {failure_action: rollback, monitor: 1s}}\n",
		ON_FAILURE_ROLLBACK);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "service web: the Engine's update is rollback_");
	assert_null(strstr(j->row.error, "taking it back failed"));
	assert_string_equal(world_text(w), before);
	assert_int_equal(world_stack(w)->row.status, STACK_RUNNING);
	world_destroy(w);
}

static void pausing_leaves_everything_as_it_is(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, good);
	struct store_job *j = run(w, bad, ON_FAILURE_PAUSE);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(world_text(w), "nginx:crash");
	assert_in(world_text(w), "acme-shop_cache");
	assert_int_equal(world_stack(w)->row.status, STACK_DEGRADED);
	assert_in(world_stack(w)->row.status_message,
		"; left as it is; next: deploy again, or skep stack rollback shop (to release 1)");
	assert_in(j->row.error, "\nleft as it is");
	assert_int_equal(world_active(w), 1);
	world_destroy(w);
}

/* One service crashes, one is refused, one waits for the first: the others come to run. */
static void continuing_goes_on_with_the_others(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, good);
	struct store_job *j = run(w,
		DB "  web: {image: 'nginx:crash'}\n"
		   "  front: {image: 'front:1', depends_on: [web]}\n"
		   "  far: {image: 'far:1', depends_on: [front]}\n"
		   "  worker: {image: 'worker:2', depends_on: [db]}\n"
		   "  cache: {image: 'redis:1', networks: [gone]}\n"
		   "networks: {gone: {}}\n",
		ON_FAILURE_CONTINUE);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "service web: the Engine's update is paused: task");
	assert_in(j->row.error, "service front: not brought to the release: it depends on web, which failed");
	assert_in(j->row.error, "service far: not brought to the release: it depends on front");
	assert_null(strstr(j->row.error, "service worker:"));
	assert_null(strstr(j->row.error, "service db:"));
	assert_in(j->row.error, "left as it is");
	assert_in(world_text(w), "service acme-shop_worker worker:2 1/1");
	assert_in(world_text(w), "service acme-shop_cache redis:1 1/1");
	assert_null(strstr(world_text(w), "acme-shop_front"));
	assert_int_equal(world_stack(w)->row.status, STACK_DEGRADED);
	assert_int_equal(world_active(w), 1);
	world_destroy(w);
}

static void continuing_leaves_a_refused_service_behind(void **state)
{
	(void)state;
	struct world *w = world_create();
	const char *id = "";
	json_t *spec = json_pack("{s:s, s:{s:{s:s}}}", "Name", "acme-shop_web", "TaskTemplate",
		"ContainerSpec", "Image", "theirs:1");
	struct status st = swarm_service_create(w->swarm, spec, &id);
	assert_int_equal(st.code, ST_OK);
	json_decref(spec);
	struct store_job *j = run(w, good, ON_FAILURE_CONTINUE);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "service web: service acme-shop_web: name conflicts with an existing object");
	assert_in(world_text(w), "service acme-shop_worker worker:1 1/1");
	assert_in(world_text(w), "service acme-shop_web theirs:1 1/1");
	assert_int_equal(world_stack(w)->row.status, STACK_FAILED); /* it has no good release yet */
	world_destroy(w);
}

/* What is cancelled is taken back whatever the policy. */
static void cancelling_takes_back_what_was_to_be_left(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, good);
	char *before = world_text(w);
	struct store_job *j = world_deploy(w, bad, ON_FAILURE_PAUSE, 1);
	struct world_daemon *d = world_start(w);
	world_wake(w);
	while (strcmp(j->row.step, "services") != 0)
		world_turn(w);
	world_cancel(w, j);
	job_worker_cancel(d->worker, j->row.id.text);
	world_run(w, j);
	world_run_ms(w, 2000);
	assert_int_equal(j->row.state, JOB_CANCELLED);
	assert_string_equal(world_text(w), before);
	assert_int_equal(world_stack(w)->row.status, STACK_RUNNING);
	world_destroy(w);
}

static void each_way_not_to_run_is_told(void **state)
{
	static const struct {
		const char *image, *deploy, *says;
	} cases[] = {
		{"x:reject", "{}", "cannot start: task acme-shop_web.1"},
		{"x:nonode", "{}",
			"cannot be scheduled: task acme-shop_web.1 pending: no suitable node"},
		{"x:once", "{restart_policy: {condition: none}}",
			"ended, and its restart policy does not start it again"},
		{"x:crash", "{restart_policy: {condition: none}}",
			"ended, and its restart policy does not start it again"},
		{"x:once", "{}", "ends again and again"},
		{"x:slow", "{}", "no progress for 600 s: 0 of 1 tasks are running"},
		{"x:crash", "{mode: replicated-job, restart_policy: {condition: none}}", "ended"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_create();
		char *text =
			arena_fmt(w->arena, "services:\n  web:\n    image: %s\n    deploy: %s\n",
				cases[i].image, cases[i].deploy);
		struct store_job *j = run(w, text, ON_FAILURE_ROLLBACK);
		assert_int_equal(j->row.state, JOB_FAILED);
		assert_in(j->row.error, cases[i].says);
		assert_string_equal(world_text(w), "");
		world_destroy(w);
	}
}

static void jobs_and_what_others_wait_for_may_end(void **state)
{
	(void)state;
	struct world *w = world_create();
	struct store_job *j = run(w,
		"services:\n"
		"  migrate:\n"
		"    image: migrate:once\n"
		"    deploy: {restart_policy: {condition: none}}\n"
		"  batch:\n"
		"    image: batch:once\n"
		"    deploy: {mode: replicated-job, replicas: 3}\n"
		"  web:\n"
		"    image: nginx:1\n"
		"    depends_on: {migrate: {condition: service_completed_successfully}}\n"
		"  everywhere:\n"
		"    image: agent:1\n"
		"    deploy: {mode: global}\n",
		ON_FAILURE_ROLLBACK);
	assert_string_equal(j->row.error, "");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_string_equal(j->row.message, "2 services run, 2 complete");
	const struct db_stack *s = &world_stack(w)->row;
	assert_int_equal(s->n_services, 4);
	for (size_t i = 0; i < 4; i++) {
		bool ends = strstr(s->services[i].image, "once") != NULL;
		assert_int_equal(s->services[i].state, ends ? SERVICE_COMPLETED : SERVICE_RUNNING);
	}
	world_destroy(w);
}

static void what_is_not_ours_is_left_alone(void **state)
{
	(void)state;
	struct world *w = world_create();
	const char *id = "";
	json_t *spec = json_pack("{s:s, s:{s:s}, s:{s:{s:s}}}", "Name", "acme-shop_web", "Labels",
		"com.docker.stack.namespace", "acme-shop", "TaskTemplate", "ContainerSpec", "Image",
		"theirs:1");
	struct status st = swarm_service_create(w->swarm, spec, &id);
	assert_int_equal(st.code, ST_OK);
	json_decref(spec);
	struct store_job *j = run(w, good, ON_FAILURE_ROLLBACK);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "acme-shop_web exists and is not this stack's");
	world_run_ms(w, 1000);
	assert_string_equal(world_text(w), "service acme-shop_web theirs:1 1/1\n");
	world_destroy(w);
}

static void a_service_that_vanishes_meanwhile_has_failed(void **state)
{
	(void)state;
	struct world *w = world_create();
	struct store_job *j = world_deploy(w, good, ON_FAILURE_ROLLBACK, 1);
	world_start(w);
	while (strcmp(j->row.step, "services") != 0)
		world_turn(w);
	struct status st = swarm_service_remove(w->swarm, "acme-shop_web");
	assert_int_equal(st.code, ST_OK);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "service web: the service is gone: somebody else removed it");
	world_run_ms(w, 1000);
	assert_string_equal(world_text(w), "");
	world_destroy(w);
}

/* Its labels say that a later epoch of this very job has written it: this run is over, and touches
 * nothing. */
static void what_a_later_owner_has_written_is_his(void **state)
{
	(void)state;
	struct world *w = world_create();
	struct store_job *j = world_deploy(w, good, ON_FAILURE_ROLLBACK, 1);
	const char *id = "";
	json_t *spec = json_pack("{s:s, s:{s:s, s:s, s:s, s:s}, s:{s:{s:s}}}", "Name",
		"acme-shop_db", "Labels", "com.docker.stack.namespace", "acme-shop", LABEL_STACK,
		world_stack(w)->row.id.text, LABEL_JOB, j->row.id.text, LABEL_EPOCH, "99",
		"TaskTemplate", "ContainerSpec", "Image", "later:1");
	struct status st = swarm_service_create(w->swarm, spec, &id);
	assert_int_equal(st.code, ST_OK);
	json_decref(spec);
	struct world_daemon *d = world_start(w);
	world_wake(w);
	while (job_worker_running(d->worker) == 0)
		world_turn(w);
	while (job_worker_running(d->worker) > 0)
		world_turn(w);
	assert_int_equal(j->row.state, JOB_RUNNING);
	assert_false(j->row.undoing);
	assert_in(world_text(w), "service acme-shop_db later:1");
	assert_null(strstr(world_text(w), "acme-shop_web"));
	world_destroy(w);
}

/* A network of ours that something outside holds: no reason to take a good release back. */
static void what_is_still_in_use_is_left_behind(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, DB "    networks: [back]\nnetworks:\n  back: {}\n");
	struct swarm_object *o = swarm_object_find(w->swarm, SWARM_NETWORK, "acme-shop_back");
	const char *id = "";
	json_t *spec = json_pack("{s:s, s:{s:{s:s}, s:[{s:s}]}}", "Name", "guest", "TaskTemplate",
		"ContainerSpec", "Image", "guest:1", "Networks", "Target", o->id);
	struct status st = swarm_service_create(w->swarm, spec, &id);
	assert_int_equal(st.code, ST_OK);
	json_decref(spec);
	struct store_job *j = run(w, DB, ON_FAILURE_ROLLBACK);
	assert_string_equal(j->row.error, "");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_true(world_said(j, "left behind: acme-shop_back") || world_said(j, "left behind: "));
	assert_in(world_text(w), "network acme-shop_back\n");
	world_destroy(w);
}

static void an_engine_that_stays_away_is_told_with_its_words(void **state)
{
	(void)state;
	struct world *w = world_create();
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_REFUSED;
	w->script.only = "docker";
	struct store_job *j = run(w, good, ON_FAILURE_ROLLBACK);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "took longer than 120 s: nobody answers");
	assert_string_equal(j->row.error_code, "UNAVAILABLE");
	world_destroy(w);
}

static void an_engine_that_goes_away_for_good_in_the_middle_too(void **state)
{
	(void)state;
	struct world *w = world_create();
	struct store_job *j = world_deploy(w, good, ON_FAILURE_ROLLBACK, 1);
	world_start(w);
	while (strcmp(j->row.step, "assign_networks") != 0)
		world_turn(w);
	w->script.at = w->script.calls + 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_REFUSED;
	w->script.only = "docker";
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "step \"networks\" took longer than 600 s: ");
	assert_in(j->row.error, "nobody answers");
	assert_in(j->row.error, "taking it back failed too: ");
	world_destroy(w);
}

/* Taken over while it was taken back: the reason is not forgotten. */
static void the_reason_outlives_the_daemon(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, good);
	struct store_job *j = world_deploy(w, bad, ON_FAILURE_ROLLBACK, 3);
	struct world_daemon *d = world_start(w);
	while (!j->row.undoing)
		world_turn(w);
	world_run_ms(w, 100);
	world_kill(w, d);
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_int_equal(j->row.attempt, 1);
	assert_in(j->row.error, "non-zero exit (1)");
	assert_in(j->row.error, "\nwent back: release 1 runs again");
	assert_string_equal(j->row.error_code, "FAILED_PRECONDITION");
	assert_in(j->row.failures.ptr, "\"exit_code\":1");
	assert_in(world_text(w), "nginx:1 2/2");
	world_destroy(w);
}

/* The old release does not run any more either: both stories are told, and what is not the old
 * release's goes. */
static void the_way_back_may_fail_too(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, good);
	w->swarm->crashes = "nginx:1";
	struct store_job *j = run(w, bad, ON_FAILURE_ROLLBACK);
	assert_int_equal(j->row.state, JOB_FAILED);
	const char *second = strstr(j->row.error, "\ntaking it back failed too: service web: ");
	assert_non_null(second);
	assert_ptr_equal(strstr(j->row.error, "service web: "), j->row.error);
	assert_int_equal(world_stack(w)->row.status, STACK_DEGRADED);
	assert_in(world_stack(w)->row.status_message, "service web: the Engine's update is paused");
	assert_in(world_stack(w)->row.status_message, "; going back to release 1 failed too: service web: ");
	assert_in(world_stack(w)->row.status_message,
		"; next: mend that, then skep stack rollback shop --to 1");
	world_run_ms(w, 1000);
	assert_null(strstr(world_text(w), "acme-shop_cache"));
	assert_in(world_text(w), "service acme-shop_web nginx:1 ");
	world_destroy(w);
}

/* What the Engine does not find may be the echo of something just made; not for ever. */
static void what_is_never_found_is_believed_at_last(void **state)
{
	(void)state;
	struct world *w = world_create();
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_GONE;
	w->script.only = "docker service_create";
	uint64_t before = loop_now_ms(w->loop);
	struct store_job *j = run(w, good, ON_FAILURE_ROLLBACK);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_string_equal(j->row.error_code, "NOT_FOUND");
	assert_in(j->row.error, "service acme-shop_db: it is not there");
	assert_in_range(loop_now_ms(w->loop) - before, 5000, 20000);
	assert_string_equal(world_text(w), "");
	world_destroy(w);
}

static void progress_only_grows_and_says_each_thing_once(void **state)
{
	(void)state;
	struct world *w = world_create();
	struct store_job *j =
		run(w, DB "  web: {image: 'nginx:1', depends_on: [db]}\n", ON_FAILURE_ROLLBACK);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_false(j->percent_fell);
	assert_string_equal(j->row.message, "2 services run");
	struct str rest = buf_str(&j->events), before = {0};
	unsigned twice = 0;
	while (rest.len > 0) {
		struct str line = str_cut(&rest, '\n');
		twice += str_eq(line, before);
		before = line;
	}
	assert_int_equal(twice, 0);
	assert_true(world_said(j, "service.state|db||running|1/1|"));
	assert_true(world_said(j, "running; verifying that it stays so for 800 ms"));
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_is_taken_back_in_this_order),
		cmocka_unit_test(a_first_deploy_leaves_nothing),
		cmocka_unit_test(the_failure_names_task_node_code_and_log),
		cmocka_unit_test(the_story_has_a_hint_and_fields),
		cmocka_unit_test(no_node_and_no_image_are_explained),
		cmocka_unit_test(continuing_goes_on_with_the_others),
		cmocka_unit_test(continuing_leaves_a_refused_service_behind),
		cmocka_unit_test(cancelling_takes_back_what_was_to_be_left),
		cmocka_unit_test(a_log_that_never_ends_is_not_waited_for),
		cmocka_unit_test(what_the_engine_rolled_back_has_failed),
		cmocka_unit_test(pausing_leaves_everything_as_it_is),
		cmocka_unit_test(each_way_not_to_run_is_told),
		cmocka_unit_test(jobs_and_what_others_wait_for_may_end),
		cmocka_unit_test(what_is_not_ours_is_left_alone),
		cmocka_unit_test(a_service_that_vanishes_meanwhile_has_failed),
		cmocka_unit_test(what_a_later_owner_has_written_is_his),
		cmocka_unit_test(what_is_still_in_use_is_left_behind),
		cmocka_unit_test(an_engine_that_stays_away_is_told_with_its_words),
		cmocka_unit_test(an_engine_that_goes_away_for_good_in_the_middle_too),
		cmocka_unit_test(the_reason_outlives_the_daemon),
		cmocka_unit_test(the_way_back_may_fail_too),
		cmocka_unit_test(what_is_never_found_is_believed_at_last),
		cmocka_unit_test(progress_only_grows_and_says_each_thing_once),
	};
	static const struct scenario *const scenarios[] = {&bad_update, &bad_deploy, NULL};
	return sweep_main("rollback", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
