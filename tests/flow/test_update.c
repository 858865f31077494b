/* Updates: one release over another. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_sweep.h"

static const char *const old_shop = "services:\n"
				    "  db:\n"
				    "    image: postgres:1\n"
				    "  web:\n"
				    "    image: nginx:1\n"
				    "    depends_on: [db]\n"
				    "    deploy: {replicas: 2}\n"
				    "    configs: [site]\n"
				    "  worker: {image: worker:1}\n"
				    "configs:\n"
				    "  site: {content: one}\n";

/* db stays, web changes, worker goes, cache comes, in a network that comes; the config rotates. */
static const char *const new_shop = "services:\n"
				    "  db:\n"
				    "    image: postgres:1\n"
				    "  web:\n"
				    "    image: nginx:2\n"
				    "    depends_on: [db, cache]\n"
				    "    deploy: {replicas: 3}\n"
				    "    configs: [site]\n"
				    "  cache: {image: 'redis:1', networks: [back]}\n"
				    "networks:\n"
				    "  back: {}\n"
				    "configs:\n"
				    "  site: {content: two}\n";

static struct store_job *submit_update(struct world *w)
{
	return world_deploy(w, new_shop, ON_FAILURE_ROLLBACK, 3);
}

static struct store_job *submit_same(struct world *w)
{
	return world_deploy(w, old_shop, ON_FAILURE_ROLLBACK, 3);
}

static const struct scenario update = {
	.name = "update", .prepared = old_shop, .submit = submit_update};
static const struct scenario same = {
	.name = "the same again", .prepared = old_shop, .submit = submit_same};

static void writes_in_this_order(void **state)
{
	(void)state;
	struct world *w = scenario_run(&update);
	assert_string_equal(world_writes(w), "db step begun\n"
					     "db set_status deploying\n"
					     "db step announce\n"
					     "db store_rendered\n"
					     "db step store\n"
					     "db set_networks\n"
					     "db step assign_networks\n"
					     "docker network_create acme-shop_back\n"
					     "db step networks\n"
					     "docker config_create acme-shop_site_d4f963a1417f\n"
					     "db step objects\n"
					     "docker service_create acme-shop_cache\n"
					     "docker service_update acme-shop_web\n"
					     "db step services\n"
					     "db step converge\n"
					     "docker service_remove acme-shop_worker\n"
					     "docker config_remove acme-shop_site_e513572c4e1b\n"
					     "db step prune\n"
					     "db activate\n"
					     "db step activate\n"
					     "db finish succeeded\n");
	world_destroy(w);
}

static void the_same_release_writes_nothing_to_the_engine(void **state)
{
	(void)state;
	struct world *w = scenario_run(&same);
	assert_null(strstr(w->script.trace.ptr, "_create"));
	assert_null(strstr(w->script.trace.ptr, "_update"));
	assert_null(strstr(w->script.trace.ptr, "_remove"));
	assert_int_equal(world_active(w), 2);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_in_this_order),
		cmocka_unit_test(the_same_release_writes_nothing_to_the_engine),
	};
	static const struct scenario *const scenarios[] = {&update, NULL};
	return sweep_main("update", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
