/* Taking over what `docker stack deploy` made: only labels are written, and those of services. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/json.h"
#include "fake_sweep.h"
#include "stacks/release.h"

static void make(struct world *w, enum swarm_kind kind, const char *text)
{
	json_t *spec = NULL;
	const char *id;
	struct status st = json_parse(str_of(text), &spec);
	assert_true(status_is_ok(&st));
	st = swarm_object_create(w->swarm, kind, spec, &id);
	assert_true(status_is_ok(&st));
	json_decref(spec);
}

static void make_service(struct world *w, const char *name, const char *image, const char *mode)
{
	json_t *spec = NULL;
	const char *id;
	const char *text = arena_fmt(w->arena,
		"{\"Name\":\"acme-shop_%s\",\"Labels\":{\"com.docker.stack.image\":\"%s\","
		"\"com.docker.stack.namespace\":\"acme-shop\"},\"TaskTemplate\":{\"ContainerSpec\":"
		"{\"Image\":\"%s\",\"Labels\":{\"com.docker.stack.namespace\":\"acme-shop\"}},"
		"\"Networks\":[{\"Target\":\"acme-shop_default\",\"Aliases\":[\"%s\"]}]},"
		"\"Mode\":{%s},\"EndpointSpec\":{\"Mode\":\"vip\"}}",
		name, image, image, name, mode);
	struct status st = json_parse(str_of(text), &spec);
	assert_true(status_is_ok(&st));
	st = swarm_service_create(w->swarm, spec, &id);
	assert_true(status_is_ok(&st));
	json_decref(spec);
}

static void by_docker(struct world *w)
{
	make(w, SWARM_NETWORK,
		"{\"Name\":\"acme-shop_default\",\"Driver\":\"overlay\",\"Labels\":"
		"{\"com.docker.stack.namespace\":\"acme-shop\"}}");
	make_service(w, "web", "nginx:1", "\"Replicated\":{\"Replicas\":2}");
	make_service(w, "db", "postgres:1", "\"Replicated\":{\"Replicas\":1}");
	make_service(w, "job", "once:1", "\"ReplicatedJob\":{\"MaxConcurrent\":1,\"TotalCompletions\":1}");
	world_run_ms(w, 5000);
}

static struct store_job *submit_adopt(struct world *w)
{
	return world_adopt(w, 3);
}

static const struct scenario adopt = {.name = "adopt", .arrange = by_docker, .submit = submit_adopt, .forgotten = true};

static void writes_in_this_order(void **state)
{
	(void)state;
	struct world *w = scenario_run(&adopt);
	assert_string_equal(world_writes(w), "db step begun\n"
					     "db set_status deploying\n"
					     "db step announce\n"
					     "db store_source\n"
					     "db store_rendered\n"
					     "db step store\n"
					     "db set_networks\n"
					     "db step assign_networks\n"
					     "docker service_update acme-shop_db\n"
					     "docker service_update acme-shop_web\n"
					     "db step services\n"
					     "db activate\n"
					     "db step activate\n"
					     "db finish succeeded\n");
	world_destroy(w);
}

static const json_t *labels_of(struct world *w, const char *name)
{
	return json_at(swarm_service_find(w->swarm, name)->spec, "Labels");
}

static void only_labels_of_services_change(void **state)
{
	(void)state;
	struct world *w = scenario_run(&adopt);
	const struct swarm_service *web = swarm_service_find(w->swarm, "acme-shop_web");
	assert_true(json_equal(json_at(web->spec, "TaskTemplate"), json_at(web->previous, "TaskTemplate")));
	assert_non_null(json_object_get(labels_of(w, "acme-shop_web"), LABEL_STACK));
	assert_null(json_object_get(labels_of(w, "acme-shop_job"), LABEL_STACK));
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_in_this_order),
		cmocka_unit_test(only_labels_of_services_change),
	};
	static const struct scenario *const scenarios[] = {&adopt, NULL};
	return sweep_main("adopt", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
