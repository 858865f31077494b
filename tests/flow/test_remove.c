/* Removing a stack; when that is cancelled or fails, the active release is there again. */
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
				"    deploy: {replicas: 2}\n"
				"    configs: [site]\n"
				"configs:\n"
				"  site: {content: one}\n";

static struct store_job *submit_remove(struct world *w)
{
	return world_submit(w, JOB_REMOVE, "{}", 3);
}

static const struct scenario removal = {
	.name = "remove", .prepared = shop, .submit = submit_remove, .gone = true};

static void writes_in_this_order(void **state)
{
	(void)state;
	struct world *w = scenario_run(&removal);
	assert_string_equal(world_writes(w), "db step begun\n"
					     "db set_status removing\n"
					     "db step announce\n"
					     "docker service_remove acme-shop_db\n"
					     "docker service_remove acme-shop_web\n"
					     "docker config_remove acme-shop_site_e513572c4e1b\n"
					     "docker network_remove acme-shop_default\n"
					     "db step objects\n"
					     "db removed\n"
					     "db step forget\n"
					     "db finish succeeded\n");
	assert_string_equal(world_text(w), "");
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_in_this_order),
	};
	static const struct scenario *const scenarios[] = {&removal, NULL};
	return sweep_main("remove", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
