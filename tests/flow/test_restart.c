/* Restarts. What was restarted stays so, whatever the outcome. */
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

static struct store_job *submit_restart(struct world *w)
{
	return world_submit(w, JOB_RESTART, "{}", 3);
}

static const struct scenario restart = {
	.name = "restart", .prepared = shop, .submit = submit_restart, .one_way = true};

static void writes_in_this_order(void **state)
{
	(void)state;
	struct world *w = scenario_run(&restart);
	assert_string_equal(world_writes(w), "db step begun\n"
					     "docker service_update acme-shop_db\n"
					     "docker service_update acme-shop_web\n"
					     "db step services\n"
					     "db step converge\n"
					     "db finish succeeded\n");
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_in_this_order),
	};
	static const struct scenario *const scenarios[] = {&restart, NULL};
	return sweep_main("restart", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
