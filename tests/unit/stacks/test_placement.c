#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/arena.h"
#include "stacks/placement.h"

#define GIB (INT64_C(1) << 30)

/* One node with 2 CPUs and 4 GiB, of which a neighbour has reserved 1.5 and 3.5. */
struct scene {
	struct arena *arena;
	struct docker_node node;
	struct docker_task tasks[3];
	struct docker_service services[2];
	struct placement_world world;
};

static const struct docker_pair labels[] = {{"disk", "SSD"}, {"zone", "a"}};
static const struct docker_pair plugins[] = {
	{"Log", "json-file"}, {"Volume", "local"}, {"Volume", "nfs:latest"}};
static const struct docker_pair generic[] = {{"gpu", "one"}, {"gpu", "two"}, {"ssd", "3"}};

static struct docker_service service(struct scene *s, const char *id, const char *spec)
{
	json_t *j = json_loads(spec, 0, NULL);
	assert_non_null(j);
	arena_on_free(s->arena, (void (*)(void *))json_decref, j);
	return (struct docker_service){.id = id, .name = id, .spec = j};
}

static int setup(void **state)
{
	struct arena *a = arena_create();
	struct scene *s = arena_new(a, struct scene);
	s->arena = a;
	s->node = (struct docker_node){.id = "n1",
		.hostname = "alpha",
		.addr = "10.1.2.3",
		.os = "linux",
		.arch = "x86_64",
		.state = DOCKER_NODE_READY,
		.availability = DOCKER_NODE_ACTIVE,
		.manager = true,
		.labels = {labels, 2},
		.plugins = {plugins, 3},
		.generic = {generic, 3},
		.nano_cpus = 2000000000,
		.memory_bytes = 4 * GIB};
	s->services[0] = service(s, "neighbour",
		"{\"EndpointSpec\": {\"Ports\": [{\"PublishMode\": \"host\", \"PublishedPort\": 80,"
		" \"Protocol\": \"tcp\"}]}}");
	s->tasks[0] = (struct docker_task){.id = "t1",
		.service_id = "neighbour",
		.node_id = "n1",
		.desired_state = DOCKER_TASK_RUNNING,
		.state = DOCKER_TASK_RUNNING,
		.reserved_nano_cpus = 1500000000,
		.reserved_bytes = 3 * GIB + GIB / 2};
	s->tasks[1] = s->tasks[0]; /* one that has ended, and one elsewhere: they hold nothing */
	s->tasks[1].state = DOCKER_TASK_SHUTDOWN;
	s->tasks[2] = s->tasks[0];
	s->tasks[2].node_id = "n2";
	s->world = (struct placement_world){.nodes = &s->node,
		.n_nodes = 1,
		.tasks = s->tasks,
		.n_tasks = 3,
		.services = s->services,
		.n_services = 1};
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	arena_destroy(((struct scene *)*state)->arena);
	return 0;
}

static const char *refusal(struct scene *s, const char *spec)
{
	struct docker_service wanted = service(s, "web", spec);
	return placement_refusal(s->arena, &s->world, &wanted, &s->node);
}

#define TASK(json)         "{\"TaskTemplate\": {" json "}}"
#define CONSTRAINTS(list)  TASK("\"Placement\": {\"Constraints\": [" list "]}")
#define RESERVATIONS(json) TASK("\"Resources\": {\"Reservations\": {" json "}}")
#define PORT(number, mode)                                                                         \
	"{\"EndpointSpec\": {\"Ports\": [{\"PublishMode\": \"" mode "\", \"PublishedPort\": " number   \
	", \"Protocol\": \"tcp\"}]}}"

static void what_fits_is_not_refused(void **state)
{
	static const char *const specs[] = {
		"{}",
		CONSTRAINTS("\"node.labels.disk==ssd\""), /* the Engine minds no case */
		CONSTRAINTS("\"node.labels.zone != b\""),
		CONSTRAINTS("\"node.labels.none!=b\""),
		CONSTRAINTS("\"node.role == manager\", \"node.hostname==ALPHA\""),
		CONSTRAINTS("\"node.ip==10.1.0.0/16\""),
		CONSTRAINTS("\"node.id==n1\", \"node.platform.os==linux\""),
		RESERVATIONS("\"NanoCPUs\": 500000000, \"MemoryBytes\": 536870912"),
		RESERVATIONS("\"GenericResources\": [{\"DiscreteResourceSpec\": {\"Kind\": \"gpu\","
			     " \"Value\": 2}}, {\"DiscreteResourceSpec\": {\"Kind\": \"ssd\", "
			     "\"Value\": 3}}]"),
		TASK("\"Placement\": {\"Platforms\": [{\"OS\": \"linux\", \"Architecture\": "
		     "\"arm64\"}, {\"OS\": \"linux\", \"Architecture\": \"amd64\"}]}"),
		TASK("\"Placement\": {\"Platforms\": [{\"OS\": \"linux\"}]}"),
		TASK("\"Placement\": {\"MaxReplicas\": 1}"),
		TASK("\"LogDriver\": {\"Name\": \"json-file\"}"),
		TASK("\"ContainerSpec\": {\"Mounts\": [{\"VolumeOptions\": {\"DriverConfig\": "
		     "{\"Name\": \"nfs\"}}}]}"),
		PORT("80", "ingress"),
		PORT("81", "host"),
	};
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		const char *why = refusal(*state, specs[i]);
		if (why)
			fail_msg("%s: %s", specs[i], why);
	}
}

static void each_reason_is_told(void **state)
{
	static const struct {
		const char *spec, *says;
	} cases[] = {
		{CONSTRAINTS("\"node.labels.disk==hdd\""),
			"node.labels.disk==hdd is not met (it is \"SSD\")"},
		{CONSTRAINTS("\"node.labels.colour == blue\""),
			"node.labels.colour == blue is not met (it has none)"},
		{CONSTRAINTS("\"node.role!=manager\""),
			"node.role!=manager is not met (it is \"manager\")"},
		{CONSTRAINTS("\"node.ip!=10.1.2.0/24\""),
			"node.ip!=10.1.2.0/24 is not met (it is \"10.1.2.3\")"},
		{CONSTRAINTS("\"engine.labels.x==1\""), "engine.labels.x==1 is not met (it has none)"},
		{RESERVATIONS("\"MemoryBytes\": 1073741824"),
			"512MiB of memory free, 1GiB reserved"},
		{RESERVATIONS("\"NanoCPUs\": 750000000"), "0.5 CPUs free, 0.75 reserved"},
		{RESERVATIONS("\"GenericResources\": [{\"DiscreteResourceSpec\": {\"Kind\": \"gpu\","
			      " \"Value\": 3}}]"),
			"it has 2 gpu, 3 reserved"},
		{TASK("\"Placement\": {\"Platforms\": [{\"OS\": \"linux\", \"Architecture\": "
		      "\"arm64\"}]}"),
			"it is linux/amd64, the image is for linux/arm64"},
		{TASK("\"LogDriver\": {\"Name\": \"nodrv\"}"), "it has no log driver \"nodrv\""},
		{TASK("\"ContainerSpec\": {\"Mounts\": [{\"VolumeOptions\": {\"DriverConfig\": "
		      "{\"Name\": \"nf\"}}}]}"),
			"it has no volume driver \"nf\""},
		{PORT("80", "host"), "port 80/tcp is held by service neighbour"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(refusal(*state, cases[i].spec), cases[i].says);
}

static void all_reasons_at_once(void **state)
{
	struct scene *s = *state;
	s->node.state = DOCKER_NODE_DOWN;
	s->node.availability = DOCKER_NODE_DRAIN;
	assert_string_equal(refusal(s, RESERVATIONS("\"MemoryBytes\": 1073741824")),
		"it is down; it is drained; 512MiB of memory free, 1GiB reserved");
	s->node.state = DOCKER_NODE_READY;
	s->node.availability = DOCKER_NODE_PAUSE;
	assert_string_equal(refusal(s, "{}"), "it is paused");
}

static void enough_replicas_are_enough(void **state)
{
	struct scene *s = *state;
	s->tasks[0].service_id = "web";
	assert_string_equal(refusal(s, TASK("\"Placement\": {\"MaxReplicas\": 1}")),
		"it runs 1, max_replicas_per_node is 1");
	assert_null(refusal(s, TASK("\"Placement\": {\"MaxReplicas\": 2}")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_fits_is_not_refused),
		TEST(each_reason_is_told),
		TEST(all_reasons_at_once),
		TEST(enough_replicas_are_enough),
	};
	return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
