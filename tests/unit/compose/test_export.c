/* export: what the golden cases (test_golden.c reads every rendering back) do not show: texts that
 * would be read as something else, what has no word in Compose, what an Engine stores. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "compose/export.h"

static const char *const own[] = {"skep.stack", NULL};

struct world {
	struct arena *a;
	struct compose_rendering r;
	const char *text;
	struct compose_strings lost;
};

static void release(void *j)
{
	json_decref(j);
}

static json_t *parse(struct arena *a, const char *text)
{
	json_t *j = NULL;
	struct status st = json_parse(str_of(text), &j);
	if (!status_is_ok(&st))
		fail_msg("%s", st.message);
	arena_on_free(a, release, j);
	return j;
}

/* Service web of stack s, whose task template has this container, and beside it `more`. */
static bool export_one(struct world *w, const char *container, const char *more)
{
	*w = (struct world){.a = arena_create()};
	struct compose_object *o = arena_new(w->a, struct compose_object);
	const char *body = arena_fmt(w->a,
		"{\"Name\":\"s_web\",\"Labels\":{\"com.docker.stack.image\":\"bb:1\",\"skep."
		"stack\":\"1\"},"
		"\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"bb:1@sha256:"
		"0123456789012345678901234567890123456789012345678901234567890123\"%s},"
		"\"Networks\":[{\"Target\":\"s_default\",\"Aliases\":[\"web\"]}]},"
		"\"EndpointSpec\":{\"Mode\":\"vip\"}%s}",
		container, more);
	*o = (struct compose_object){
		.kind = COMPOSE_SERVICE, .key = "web", .name = "s_web", .body = parse(w->a, body)};
	w->r.services = (struct compose_objects){o, 1};
	struct compose_object *n = arena_new(w->a, struct compose_object);
	*n = (struct compose_object){.kind = COMPOSE_NETWORK,
		.key = "default",
		.name = "s_default",
		.body = parse(w->a, "{\"Name\":\"s_default\",\"Driver\":\"overlay\","
				    "\"Labels\":{\"com.docker.stack.namespace\":\"s\"}}")};
	w->r.networks = (struct compose_objects){n, 1};
	const struct compose_export e = {
		.namespace_ = "s", .objects = &w->r, .own_labels = own, .head = "one\ntwo"};
	json_t *c = json_at(o->body, "TaskTemplate.ContainerSpec");
	if (!json_at(c, "Labels"))
		json_object_set_new(c, "Labels", json_object());
	json_object_set_new(json_at(c, "Labels"), "com.docker.stack.namespace", json_string("s"));
	json_object_set_new(
		json_at(o->body, "Labels"), "com.docker.stack.namespace", json_string("s"));
	if (!json_at(o->body, "Mode"))
		json_object_set_new(o->body, "Mode", json_pack("{s:{}}", "Replicated"));
	return compose_export(w->a, &e, &w->text, &w->lost);
}

static void assert_says(const struct world *w, const char *part)
{
	if (!strstr(w->text, part))
		fail_msg("not in the text: %s\n%s", part, w->text);
}

static void assert_lost(struct world *w, size_t n, const char *part)
{
	bool found = n == 0;
	for (size_t i = 0; i < w->lost.len; i++) {
		found |= strstr(w->lost.items[i], part) != NULL;
		if (w->lost.len != n)
			print_message("lost: %s\n", w->lost.items[i]);
	}
	if (!found)
		fail_msg("not said to be lost: %s\n%s", part, w->text);
	assert_int_equal(w->lost.len, n);
	arena_destroy(w->a);
}

static void test_plain(void **state)
{
	struct world w;
	(void)state;
	assert_true(export_one(&w, "", ",\"Mode\":{\"Replicated\":{\"Replicas\":3}}"));
	assert_string_equal(w.text, "# one\n# two\nversion: \"3.13\"\nservices:\n  web:\n"
				    "    image: \"bb:1\"\n    deploy:\n      replicas: 3\n");
	assert_lost(&w, 0, "");
}

/* What YAML or interpolation would take for something else. */
static void test_odd_texts(void **state)
{
	struct world w;
	(void)state;
	assert_true(export_one(&w,
		",\"Args\":[\"$HOME\",\"${A:-b}\",\"$$\",\"yes\",\"1.50\",\"\",\"a: b "
		"#c\",\"\\n\\t\\\"\",\"~\",\"é\"]"
		",\"Env\":[\"<<=m\",\"A=$B\",\"BARE\",\"E=\",\"N=1\",\"T=true\",\"X==\"]"
		",\"Labels\":{\"null\":\"null\",\"a b\":\"$c\"}"
		",\"Sysctls\":{\"net.core.somaxconn\":\"0123\"},\"User\":\"0\",\"Hostname\":\"{{."
		"Node.Hostname}}\"",
		""));
	assert_says(&w, "$$HOME");
	assert_lost(&w, 0, "");
}

static void test_every_amount(void **state)
{
	struct world w;
	(void)state;
	assert_true(export_one(&w,
		",\"StopGracePeriod\":0,\"Init\":false,\"Healthcheck\":{\"Test\":[\"NONE\"]}"
		",\"Ulimits\":[{\"Name\":\"core\",\"Soft\":-1,\"Hard\":-1},{\"Name\":\"nofile\","
		"\"Soft\":1,\"Hard\":2}]"
		",\"Hosts\":[\"::1 six\",\"1.2.3.4 four\"]"
		",\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/"
		"t\",\"TmpfsOptions\":{\"SizeBytes\":1001}},"
		"{\"Type\":\"volume\",\"Source\":\"s_data\",\"Target\":\"/"
		"a\",\"VolumeOptions\":{\"Labels\":"
		"{\"com.docker.stack.namespace\":\"s\"}}},"
		"{\"Type\":\"volume\",\"Source\":\"data\",\"Target\":\"/b\"},"
		"{\"Type\":\"volume\",\"Target\":\"/c\"}]",
		",\"Mode\":{\"ReplicatedJob\":{\"MaxConcurrent\":2,\"TotalCompletions\":2}}"
		",\"UpdateConfig\":{\"Parallelism\":0,\"Monitor\":1500000000,\"MaxFailureRatio\":0."
		"1}"
		",\"RollbackConfig\":{\"Parallelism\":1,\"FailureAction\":\"pause\",\"Order\":"
		"\"stop-first\"}"));
	assert_says(&w, "data_2:");
	assert_says(&w, "monitor: \"1.5s\"");
	assert_lost(&w, 0, "");
}

static void test_resources(void **state)
{
	struct world w;
	(void)state;
	assert_true(export_one(&w, "", ""));
	json_object_set_new(json_at(w.r.services.items[0].body, "TaskTemplate"), "Resources",
		json_pack("{s:{s:I,s:I,s:I},s:{s:I,s:[{s:{s:s,s:i}}]}}", "Limits", "NanoCPUs",
			(json_int_t)1250000001, "MemoryBytes", (json_int_t)536870912, "Pids",
			(json_int_t)7, "Reservations", "MemoryBytes", (json_int_t)1025,
			"GenericResources", "DiscreteResourceSpec", "Kind", "gpu", "Value", 2));
	const struct compose_export e = {.namespace_ = "s", .objects = &w.r, .own_labels = own};
	assert_true(compose_export(w.a, &e, &w.text, &w.lost));
	assert_says(&w, "cpus: \"1.250000001\"");
	assert_says(&w, "memory: \"512m\"");
	assert_says(&w, "memory: \"1025b\"");
	assert_lost(&w, 0, "");
}

/* Each is named, and the rest of the text is there all the same. */
static void test_no_words(void **state)
{
	static const struct {
		const char *container, *more, *lost;
	} cases[] = {
		{",\"Groups\":[\"7\"]", "", "ContainerSpec.Groups[0] = \"7\" cannot be said"},
		{",\"Privileges\":{\"NoNewPrivileges\":true}", "",
			"Privileges.NoNewPrivileges = true"},
		{",\"DNSConfig\":{\"Options\":[\"ndots:1\"]}", "", "DNSConfig.Options[0]"},
		{",\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/"
		 "t\",\"TmpfsOptions\":{\"Mode\":511}}]",
			"", "Mounts[0].TmpfsOptions.Mode = 511"},
		{",\"OomScoreAdj\":5", "", "ContainerSpec.OomScoreAdj = 5"},
		{"", ",\"Mode\":{\"ReplicatedJob\":{\"MaxConcurrent\":3,\"TotalCompletions\":2}}",
			"MaxConcurrent = 3 becomes 2"},
		{",\"Env\":[\"A=1\",\"A=2\"]", "", "ContainerSpec.Env"},
		{",\"Hosts\":[\"1.2.3.4 a b\"]", "", "ContainerSpec.Hosts"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world w;
		assert_true(export_one(&w, cases[i].container, cases[i].more));
		assert_says(&w, "bb:1");
		bool found = false;
		for (size_t k = 0; k < w.lost.len; k++)
			found |= strstr(w.lost.items[k], cases[i].lost) != NULL &&
				 strstr(w.lost.items[k], "service web: ") == w.lost.items[k];
		if (!found)
			fail_msg("not said to be lost: %s (%s)", cases[i].lost,
				w.lost.len ? w.lost.items[0] : "nothing");
		arena_destroy(w.a);
	}
}

static void test_conditions(void **state)
{
	struct world w;
	(void)state;
	assert_true(export_one(&w, "", ""));
	struct compose_depends on[] = {{.service = "web", .condition = COMPOSE_HEALTHY}};
	const struct compose_service s = {.key = "api", .depends_on = on, .depends_on_len = 1};
	struct compose_object two[] = {w.r.services.items[0], w.r.services.items[0]};
	two[1].key = "api";
	two[1].name = "s_api";
	two[1].service = &s;
	two[1].body = json_deep_copy(two[0].body);
	arena_on_free(w.a, release, two[1].body);
	json_object_set_new(two[1].body, "Name", json_string("s_api"));
	json_array_set_new(json_at(json_array_get(json_at(two[1].body, "TaskTemplate.Networks"), 0),
				   "Aliases"),
		0, json_string("api"));
	w.r.services = (struct compose_objects){two, 2};
	const struct compose_export e = {.namespace_ = "s", .objects = &w.r, .own_labels = own};
	assert_true(compose_export(w.a, &e, &w.text, &w.lost));
	assert_says(&w, "depends_on:\n    - web");
	assert_lost(&w, 1, "service api: depends_on.web: condition service_healthy");
}

/* What somebody put in by hand is what runs: that image, not the one of the label. */
static void test_image(void **state)
{
	struct world w;
	(void)state;
	assert_true(export_one(&w, "", ""));
	compose_body_pin(w.r.services.items[0].body, "bb:2", NULL);
	const struct compose_export e = {.namespace_ = "s", .objects = &w.r, .own_labels = own};
	assert_true(compose_export(w.a, &e, &w.text, &w.lost));
	assert_says(&w, "image: \"bb:2\"");
	assert_lost(&w, 1, "Labels[\"com.docker.stack.image\"]");
}

static void test_foreign_name(void **state)
{
	struct world w;
	(void)state;
	assert_true(export_one(&w, "", ""));
	w.r.services.items[0].name = "other";
	const struct compose_export e = {.namespace_ = "s", .objects = &w.r};
	assert_false(compose_export(w.a, &e, &w.text, &w.lost));
	assert_lost(&w, 1, "service other");
}

static const char *name_of(void *data, const char *id)
{
	(void)data;
	return strcmp(id, "n1") == 0 ? "s_default" : NULL;
}

/* A real Engine's stored spec: names of networks put in, everything is said. */
static void test_stored(void **state)
{
	struct arena *a = arena_create();
	struct buf b = {0};
	char chunk[4096];
	(void)state;
	FILE *f = fopen(TEST_DIR "/golden/server-roundtrip/stored-20.10.24.json", "rb");
	assert_non_null(f);
	for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
		buf_add(&b, chunk, n);
	fclose(f);
	buf_addc(&b, '\0');
	json_t *spec = parse(a, b.ptr),
	       *first = json_array_get(json_at(spec, "TaskTemplate.Networks"), 0);
	buf_finish(&b);
	json_object_set_new(first, "Target", json_string("n1"));
	compose_name_networks(spec, name_of, NULL);
	struct compose_object service = {
		.kind = COMPOSE_SERVICE, .key = "r", .name = "h2-r_r", .body = spec};
	const struct compose_rendering r = {.services = {&service, 1}};
	const struct compose_export e = {.namespace_ = "h2-r", .objects = &r};
	struct world w = {.a = a};
	if (!compose_export(a, &e, &w.text, &w.lost))
		fail_msg("%s", w.lost.items[0]);
	assert_says(&w, "target: sec");
	assert_says(&w, "s_default:\n    external: true");
	assert_lost(&w, 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_odd_texts),
		cmocka_unit_test(test_every_amount),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_no_words),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_foreign_name),
		cmocka_unit_test(test_stored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
