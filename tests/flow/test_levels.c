/* Levels: what a service depends on is as it wants it before it is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "fake_sweep.h"

#define TEXT(db, condition)                                                                        \
	"services:\n"                                                                              \
	"  db: {image: '" db "', deploy: {restart_policy: {condition: on-failure}}}\n"             \
	"  web: {image: 'nginx:1', depends_on: {db: {" condition "}}}\n"
#define STARTED   "condition: service_started"
#define HEALTHY   "condition: service_healthy"
#define COMPLETED "condition: service_completed_successfully"

static struct store_job *deploy(struct world *w, const char *compose)
{
	struct store_job *j = world_deploy(w, compose, ON_FAILURE_ROLLBACK, 1);
	w->script.trace.len = 0;
	if (w->n_daemons == 0)
		world_start(w);
	world_run(w, j);
	return j;
}

static void each_condition(void **state)
{
	static const struct {
		const char *text;
		bool writes_web; /* whether or not the release converges then */
		enum job_state end;
	} cases[] = {
		{TEXT("postgres:1", STARTED), true, JOB_SUCCEEDED},
		{TEXT("postgres:1", HEALTHY), true, JOB_SUCCEEDED},
		{TEXT("once", COMPLETED), true, JOB_SUCCEEDED},
		/* It has started, and is not healthy. */
		{TEXT("sick", STARTED), true, JOB_FAILED},
		{TEXT("sick", HEALTHY), false, JOB_FAILED},
		/* It never starts, or never ends well. */
		{TEXT("reject", STARTED), false, JOB_FAILED},
		{TEXT("crash", COMPLETED), false, JOB_FAILED},
		/* Its failure holds nobody back, but the release has failed all the same. */
		{TEXT("reject", STARTED ", required: false"), true, JOB_FAILED},
		{TEXT("crash", COMPLETED ", required: false"), true, JOB_FAILED},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world *w = world_create();
		struct store_job *j = deploy(w, cases[i].text);
		bool wrote = strstr(world_writes(w), "service_create acme-shop_web") != NULL;
		if (j->row.state != cases[i].end || wrote != cases[i].writes_web)
			fail_msg("case %zu: %s, %s, web was %swritten\n%s", i,
				job_state_name(j->row.state), j->row.error, wrote ? "" : "not ",
				j->events.ptr);
		world_destroy(w);
	}
}

/* When web is written, db runs what the new text says. */
static void on_call(void *data, unsigned number, const char *name)
{
	struct world *w = data;
	(void)number;
	if (strcmp(name, "docker service_update acme-shop_web") != 0)
		return;
	bool new_runs = false;
	for (size_t i = 0; i < w->swarm->n_tasks; i++) {
		const struct swarm_task *t = w->swarm->tasks[i];
		new_runs |= strcmp(t->image, "postgres:2") == 0 && t->state == DOCKER_TASK_RUNNING;
	}
	assert_true(new_runs);
	w->script.data = NULL;
	w->script.after = NULL;
}

static void a_dependency_that_changes_comes_first(void **state)
{
	struct world *w = world_create();
	(void)state;
	deploy(w, TEXT("postgres:1", HEALTHY));
	w->script.data = w;
	w->script.after = on_call;
	struct store_job *j = deploy(w, "services:\n"
					"  db: {image: 'postgres:2', deploy: {restart_policy: {condition: on-failure}}}\n"
					"  web: {image: 'nginx:2', depends_on: {db: {condition: service_healthy}}}\n");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_null(w->script.after); /* it was looked at */
	world_destroy(w);
}

static void jobs_run_again_only_when_changed(void **state)
{
	static const char *const text =
		"services:\n"
		"  migrate: {image: once, deploy: {mode: replicated-job}}\n"
		"  init: {image: once, deploy: {restart_policy: {condition: none}}}\n"
		"  web: {image: 'nginx:1', depends_on: {migrate: {condition: service_completed_successfully},"
		" init: {condition: service_completed_successfully}}}\n";
	struct world *w = world_create();
	(void)state;
	assert_int_equal(deploy(w, text)->row.state, JOB_SUCCEEDED);
	size_t tasks = w->swarm->n_tasks;
	unsigned writes = w->swarm->service_writes;
	assert_int_equal(deploy(w, text)->row.state, JOB_SUCCEEDED);
	assert_int_equal(w->swarm->service_writes, writes);
	assert_int_equal(w->swarm->n_tasks, tasks);
	world_destroy(w);
}

static int64_t replicas(const struct world *w)
{
	return json_int(swarm_service_find(w->swarm, "acme-shop_web")->spec,
		"Mode.Replicated.Replicas", -1);
}

static void scale_by_hand_survives(void **state)
{
	struct world *w = world_create();
	(void)state;
	deploy(w, "services: {web: {image: 'nginx:1'}}");
	struct store_job *j = world_submit(w, JOB_SCALE, "{\"replicas\": {\"web\": 3}}", 1);
	world_run(w, j);
	deploy(w, "services: {web: {image: 'nginx:2'}}");
	assert_int_equal(replicas(w), 3);
	/* docker service scale */
	struct swarm_service *s = swarm_service_find(w->swarm, "acme-shop_web");
	json_t *spec = json_deep_copy(s->spec);
	json_object_set_new(json_at(spec, "Mode.Replicated"), "Replicas", json_integer(4));
	struct status st = swarm_service_update(w->swarm, s->id, s->version, spec);
	assert_int_equal(st.code, ST_OK);
	json_decref(spec);
	deploy(w, "services: {web: {image: 'nginx:3'}}");
	assert_int_equal(replicas(w), 4);
	/* A release that fails does not lose it either. */
	deploy(w, "services: {web: {image: crash}}");
	assert_int_equal(replicas(w), 4);
	deploy(w, "services: {web: {image: 'nginx:3', deploy: {replicas: 2}}}");
	assert_int_equal(replicas(w), 2);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_condition),
		cmocka_unit_test(a_dependency_that_changes_comes_first),
		cmocka_unit_test(jobs_run_again_only_when_changed),
		cmocka_unit_test(scale_by_hand_survives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
