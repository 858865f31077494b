/* Scaling services of the active release. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_sweep.h"

static const char *const shop = "services:\n"
				"  db:\n"
				"    image: postgres:1\n"
				"  web:\n"
				"    image: nginx:1\n"
				"    deploy: {replicas: 2}\n";

static struct store_job *submit_scale(struct world *w)
{
	return world_submit(w, JOB_SCALE, "{\"replicas\": {\"web\": 4, \"db\": 0}}", 3);
}

static const struct scenario scale = {.name = "scale", .prepared = shop, .submit = submit_scale};

static void writes_in_this_order(void **state)
{
	(void)state;
	struct world *w = scenario_run(&scale);
	assert_string_equal(world_writes(w), "db step begun\n"
					     "docker service_update acme-shop_db\n"
					     "docker service_update acme-shop_web\n"
					     "db step services\n"
					     "db step converge\n"
					     "db finish succeeded\n");
	assert_string_equal(world_text(w), "network acme-shop_default\n"
					   "service acme-shop_db postgres:1 0/0 acme-shop_default\n"
					   "service acme-shop_web nginx:1 4/4 acme-shop_default\n");
	world_destroy(w);
}

/* It waited behind the stack's first deploy, and that was not to be. */
static void needs_a_release_that_runs(void **state)
{
	static const struct { enum job_kind kind; const char *params; } jobs[] = {
		{JOB_SCALE, "{\"replicas\": {\"web\": 4}}"}, {JOB_RESTART, "{\"services\": []}"}};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *w = world_create();
		struct store_job *deploy = world_deploy(w, shop, ON_FAILURE_ROLLBACK, 3);
		struct store_job *j = world_submit(w, jobs[i].kind, jobs[i].params, 3);
		world_cancel(w, deploy);
		world_start(w);
		world_run(w, j);
		assert_int_equal(j->row.state, JOB_FAILED);
		assert_string_equal(j->row.error, "stack \"shop\" has no release that runs: deploy it first");
		assert_string_equal(world_text(w), "");
		world_destroy(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_in_this_order),
		cmocka_unit_test(needs_a_release_that_runs),
	};
	static const struct scenario *const scenarios[] = {&scale, NULL};
	return sweep_main("scale", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
