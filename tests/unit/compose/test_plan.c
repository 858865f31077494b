#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "compose/compose.h"

static json_t *parse(const char *text)
{
	json_t *j = NULL;
	struct status st = json_parse(str_of(text), &j);
	if (!status_is_ok(&st))
		fail_msg("%s", st.message);
	return j;
}

static json_t *read_json(struct arena *a, const char *name)
{
	FILE *f = fopen(arena_fmt(a, TEST_DIR "/golden/%s", name), "rb");
	assert_non_null(f);
	struct buf b = {0};
	for (int c; (c = fgetc(f)) != EOF;)
		buf_addc(&b, (char)c);
	fclose(f);
	json_t *j = parse(b.ptr);
	buf_finish(&b);
	return j;
}

static const char *network_id(void *data, const char *name)
{
	(void)data;
	return strcmp(name, "h2-r_n") == 0 ? "rhbgdeecxhmwjhvn3rk54m29g" : NULL;
}

static const char *const ignored[] = {"skep.job", "skep.epoch", NULL};
static const struct compose_plan_options options = {
	.ignore_labels = ignored, .network_id = network_id};

/* References by id as the Engine gave them: what compose_resolve does. */
static const char *lookup(void *data, enum compose_kind kind, const char *name)
{
	(void)data;
	if (kind == COMPOSE_SECRET && strcmp(name, "h2-r_sec") == 0)
		return "iiursiqr8rb1a01p79imva0u7";
	return kind == COMPOSE_CONFIG && strcmp(name, "h2-r_cfg") == 0 ? "6tzy164cnxmmnqm4oqn2aa2if"
								       : NULL;
}

static void test_engine_defaults(void **state)
{
	struct arena *a = arena_create();
	json_t *posted = read_json(a, "server-roundtrip/posted.json");
	json_t *stored = read_json(a, "server-roundtrip/stored-20.10.24.json");
	struct compose_diff d;
	(void)state;
	assert_null(compose_resolve(posted, lookup, NULL));
	compose_plan(a, COMPOSE_SERVICE, posted, stored, &options, &d);
	for (size_t i = 0; i < d.len; i++)
		print_message("%s: %s -> %s\n", d.changes[i].path, d.changes[i].before,
			d.changes[i].after);
	assert_int_equal(d.verdict, COMPOSE_KEEP);
	assert_int_equal(d.len, 0);
	json_decref(posted);
	json_decref(stored);
	arena_destroy(a);
}

/* Each line: desired, stored, verdict, the only path that changes (or NULL). */
static void expect(enum compose_kind kind, const char *desired, const char *stored,
	enum compose_verdict verdict, const char *path)
{
	struct arena *a = arena_create();
	json_t *want = parse(desired), *have = parse(stored);
	struct compose_diff d;
	compose_plan(a, kind, want, have, &options, &d);
	if (d.verdict != verdict || (path && (d.len == 0 || strcmp(d.changes[0].path, path) != 0)))
		fail_msg("%s\n%s\nverdict %d, %zu changes, first %s", desired, stored,
			(int)d.verdict, d.len, d.len ? d.changes[0].path : "none");
	json_decref(want);
	json_decref(have);
	arena_destroy(a);
}

static void service(
	const char *desired, const char *stored, enum compose_verdict verdict, const char *path)
{
	expect(COMPOSE_SERVICE, desired, stored, verdict, path);
}

static void test_services(void **state)
{
	(void)state;
	service("{\"Mode\":{\"Replicated\":{}}}", "{\"Mode\":{\"Replicated\":{\"Replicas\":5}}}",
		COMPOSE_KEEP, NULL);
	service("{\"Mode\":{\"Replicated\":{\"Replicas\":0}}}",
		"{\"Mode\":{\"Replicated\":{\"Replicas\":1}}}", COMPOSE_UPDATE,
		"Mode.Replicated.Replicas");
	service("{\"Mode\":{\"Global\":{}}}", "{\"Mode\":{\"Replicated\":{\"Replicas\":1}}}",
		COMPOSE_REPLACE, NULL);
	service("{\"Mode\":{\"ReplicatedJob\":{}}}",
		"{\"Mode\":{\"ReplicatedJob\":{\"MaxConcurrent\":1,\"TotalCompletions\":1}}}",
		COMPOSE_KEEP, NULL);
	service("{\"Labels\":{\"a\":\"1\",\"skep.job\":\"x\"}}",
		"{\"Labels\":{\"a\":\"1\",\"skep.job\":\"y\"}}", COMPOSE_KEEP, NULL);
	service("{\"Labels\":{\"a\":\"\"}}", "{\"Labels\":{}}", COMPOSE_UPDATE, "Labels.a");
	service("{\"Labels\":{}}", "{\"Labels\":{\"x.y\":\"\"}}", COMPOSE_UPDATE,
		"Labels[\"x.y\"]");
	service("{\"Labels\":{\"TaskTemplate.ForceUpdate\":\"1\"}}",
		"{\"Labels\":{\"TaskTemplate.ForceUpdate\":\"2\"}}", COMPOSE_UPDATE,
		"Labels[\"TaskTemplate.ForceUpdate\"]");
	service("{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=1\"]}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=2\"]}}}", COMPOSE_UPDATE,
		"TaskTemplate.ContainerSpec.Env.A");
	/* By name: a new one, a bare one, one that has gone; their order means nothing. */
	service("{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=1\",\"B=2\",\"C=3\"]}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"C=3\",\"A=1\"]}}}",
		COMPOSE_UPDATE, "TaskTemplate.ContainerSpec.Env.B");
	service("{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A\"]}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=\"]}}}", COMPOSE_UPDATE,
		"TaskTemplate.ContainerSpec.Env.A");
	service("{\"TaskTemplate\":{\"ContainerSpec\":{}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A.B=1\"]}}}", COMPOSE_UPDATE,
		"TaskTemplate.ContainerSpec.Env[\"A.B\"]");
	service("{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=1\",\"B=2\"]}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"B=2\",\"A=1\"]}}}", COMPOSE_KEEP,
		NULL);
	service("{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=1\",\"A=2\"]}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=2\",\"A=1\"]}}}",
		COMPOSE_UPDATE, "TaskTemplate.ContainerSpec.Env[0]");
	service("{\"TaskTemplate\":{\"ContainerSpec\":{\"Args\":[\"a\"]}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{\"Args\":[\"a\",\"\"]}}}", COMPOSE_UPDATE,
		"TaskTemplate.ContainerSpec.Args[1]");
	service("{\"TaskTemplate\":{\"ContainerSpec\":{\"Init\":false}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{}}}", COMPOSE_UPDATE,
		"TaskTemplate.ContainerSpec.Init");
	service("{\"TaskTemplate\":{\"ContainerSpec\":{}}}",
		"{\"TaskTemplate\":{\"ContainerSpec\":{\"TTY\":true}}}", COMPOSE_UPDATE,
		"TaskTemplate.ContainerSpec.TTY");
	service("{\"TaskTemplate\":{\"ForceUpdate\":0}}", "{\"TaskTemplate\":{\"ForceUpdate\":7}}",
		COMPOSE_KEEP, NULL);
	service("{\"UpdateConfig\":{\"Parallelism\":1,\"MaxFailureRatio\":0.1,\"Order\":\"\"}}",
		"{\"UpdateConfig\":{\"Parallelism\":1,\"FailureAction\":\"pause\","
		"\"MaxFailureRatio\":0.1,\"Order\":"
		"\"stop-first\"}}",
		COMPOSE_KEEP, NULL);
	service("{}", "{\"UpdateConfig\":{\"Parallelism\":0}}", COMPOSE_UPDATE, "UpdateConfig");
	service("{\"TaskTemplate\":{\"Networks\":[{\"Target\":\"h2-r_n\"}]}}",
		"{\"TaskTemplate\":{\"Networks\":[{\"Target\":\"other\"}]}}", COMPOSE_UPDATE,
		"TaskTemplate.Networks[0].Target");
	service("{\"EndpointSpec\":{\"Ports\":[{\"TargetPort\":80}]}}",
		"{\"EndpointSpec\":{\"Mode\":\"vip\"}}", COMPOSE_UPDATE, "EndpointSpec.Ports[0]");
}

#define SHA "@sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define IMAGE(label, image)                                                                        \
	"{\"Labels\":{\"com.docker.stack.image\":\"" label                                         \
	"\"},\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"" image "\"}}}"

static void test_images(void **state)
{
	(void)state;
	service(IMAGE("app:1", "app:1"), IMAGE("app:1", "app:1" SHA), COMPOSE_KEEP, NULL);
	service(IMAGE("app:1", "app:1" SHA), IMAGE("app:1", "app:1"), COMPOSE_UPDATE,
		"TaskTemplate.ContainerSpec.Image");
	service(IMAGE("app:2", "app:2"), IMAGE("app:1", "app:1" SHA), COMPOSE_UPDATE, NULL);
	service(IMAGE("app:1", "app:1"), IMAGE("app:1", "app:10" SHA), COMPOSE_UPDATE, NULL);
}

static void test_others(void **state)
{
	(void)state;
	expect(COMPOSE_NETWORK,
		"{\"Driver\":\"overlay\",\"Options\":null,\"IPAM\":null,\"Labels\":{\"a\":\"b\"}}",
		"{\"Driver\":\"overlay\",\"Options\":{\"com.docker.network.driver.overlay.vxlanid_"
		"list\":\"4097\"},"
		"\"IPAM\":{\"Driver\":\"default\",\"Config\":[{\"Subnet\":\"10.0.1.0/"
		"24\"}]},\"Labels\":{\"a\":\"b\"}}",
		COMPOSE_KEEP, NULL);
	expect(COMPOSE_NETWORK, "{\"Driver\":\"overlay\",\"Options\":{\"encrypted\":\"\"}}",
		"{\"Driver\":\"overlay\"}", COMPOSE_REPLACE, "Options.encrypted");
	expect(COMPOSE_NETWORK, "{\"IPAM\":{\"Config\":[{\"Subnet\":\"10.9.0.0/24\"}]}}",
		"{\"IPAM\":{\"Config\":[{\"Subnet\":\"10.8.0.0/24\",\"Gateway\":\"10.8.0.1\"}]}}",
		COMPOSE_REPLACE, "IPAM.Config[0].Subnet");
	expect(COMPOSE_SECRET, "{\"Data\":\"eAo=\",\"Labels\":{}}", "{\"Labels\":{}}", COMPOSE_KEEP,
		NULL);
	expect(COMPOSE_SECRET, "{\"Data\":\"eAo=\",\"Labels\":{\"a\":\"1\"}}", "{\"Labels\":{}}",
		COMPOSE_UPDATE, "Labels.a");
	expect(COMPOSE_CONFIG, "{\"Data\":\"eAo=\"}", "{\"Data\":\"eQo=\"}", COMPOSE_REPLACE,
		"Data");
}

static void test_update_body(void **state)
{
	struct arena *a = arena_create();
	json_t *want = parse(
		"{\"Labels\":{\"com.docker.stack.image\":\"app:1\"},\"Mode\":{\"Replicated\":{}},"
		"\"TaskTemplate\":{"
		"\"ForceUpdate\":0,\"Placement\":{},\"ContainerSpec\":{\"Image\":\"app:1\"}}}");
	json_t *have =
		parse("{\"Labels\":{\"com.docker.stack.image\":\"app:1\"},\"Mode\":{\"Replicated\":"
		      "{\"Replicas\":5}},"
		      "\"TaskTemplate\":{\"ForceUpdate\":7,\"ContainerSpec\":{\"Image\":\"app:1" SHA
		      "\"}}}");
	(void)state;
	json_t *body = compose_update_body(a, want, have, true);
	assert_int_equal(json_int(body, "Mode.Replicated.Replicas", -1), 5);
	assert_int_equal(json_int(body, "TaskTemplate.ForceUpdate", -1), 8);
	assert_string_equal(compose_body_image(body), "app:1" SHA);
	assert_string_equal(compose_body_image(want), "app:1");
	json_decref(want);
	json_decref(have);
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_defaults),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_update_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
