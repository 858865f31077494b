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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_in_this_order),
	};
	static const struct scenario *const scenarios[] = {&scale, NULL};
	return sweep_main("scale", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
