#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_world.h"

static const char *const shop =
	"services:\n"
	"  db:\n"
	"    image: postgres:1\n"
	"  web:\n"
	"    image: nginx:1\n"
	"    depends_on: [db]\n"
	"    deploy: {replicas: 2}\n"
	"    configs: [site]\n"
	"configs:\n"
	"  site: {content: one}\n";

static void a_deploy_writes_this_in_this_order(void **state)
{
	(void)state;
	struct world *w = world_create();
	struct store_job *j = store_deploy(w->store, shop, ON_FAILURE_ROLLBACK, 1);
	world_start(w);
	world_run(w, j);
	puts(world_writes(w));
	puts(world_text(w));
	puts(j->events.ptr);
	puts(j->error);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deploy_writes_this_in_this_order),
	};
	return cmocka_run_group_tests_name("deploy", tests, NULL, NULL);
}
