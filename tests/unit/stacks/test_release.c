#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/release.h"

static const char *const text = "services:\n"
				"  web:\n"
				"    image: nginx:1\n"
				"    depends_on:\n"
				"      db: {condition: service_healthy}\n"
				"      migrate: {condition: service_completed_successfully}\n"
				"    configs: [site]\n"
				"    secrets: [key, theirs]\n"
				"    networks: [front, outside]\n"
				"  db: {image: postgres, networks: [front]}\n"
				"  migrate:\n"
				"    image: migrate:2\n"
				"    depends_on: [db]\n"
				"    networks: [front]\n"
				"    deploy: {mode: replicated-job}\n"
				"  agent:\n"
				"    image: agent:1\n"
				"    networks: [front]\n"
				"    deploy: {mode: global}\n"
				"networks:\n"
				"  front: {}\n"
				"  outside: {external: true}\n"
				"configs:\n"
				"  site: {content: '${GREETING}'}\n"
				"secrets:\n"
				"  key: {file: ./key.bin}\n"
				"  theirs: {external: true}\n";

static const struct release_labels labels = {"project-1", "stack-1"};

static int setup(void **state)
{
	*state = arena_create();
	return 0;
}

static int teardown(void **state)
{
	arena_destroy(*state);
	return 0;
}

/* Static parts: they outlive the call. */
static struct release_upload upload_of(const char *greeting, struct str key)
{
	static struct compose_text texts[1];
	static struct compose_upload files[1];
	static struct compose_variable variables[1];
	texts[0] = (struct compose_text){"compose.yml", str_of(text)};
	files[0] = (struct compose_upload){"./key.bin", key};
	variables[0] = (struct compose_variable){"GREETING", greeting};
	return (struct release_upload){texts, 1, files, 1, variables, 1, NULL, NULL};
}

static struct release render(struct arena *a, const char *greeting)
{
	struct release_upload u = upload_of(greeting, STR("k\0\xff"));
	struct compose_project *p;
	struct compose_problems errors, warnings;
	struct release r;
	if (!release_model(a, "shop", &u, &p, &errors, &warnings))
		fail_msg("%s", compose_problem_text(a, &errors.items[0]));
	release_render(a, p, &labels, &r);
	return r;
}

static const char *label(const struct release_object *o, const char *key)
{
	return json_string_value(json_object_get(json_at(o->body, "Labels"), key));
}

/* ---- source ---- */

static void a_source_comes_back_byte_by_byte(void **state)
{
	struct arena *a = *state;
	struct release_upload u = upload_of("h\xc3\xa9 \"x\"", STR("k\0\xff")), back;
	struct str source = release_source_encode(a, &u);
	struct status st = release_source_decode(a, source, &back);
	assert_int_equal(st.code, ST_OK);
	assert_int_equal(back.n_texts, 1);
	assert_string_equal(back.texts[0].name, "compose.yml");
	assert_true(str_is(back.texts[0].text, text));
	assert_int_equal(back.n_files, 1);
	assert_string_equal(back.files[0].path, "./key.bin");
	assert_true(str_eq(back.files[0].bytes, STR("k\0\xff")));
	assert_int_equal(back.n_variables, 1);
	assert_string_equal(back.variables[0].name, "GREETING");
	assert_string_equal(back.variables[0].value, "h\xc3\xa9 \"x\"");
}

static void a_source_keeps_the_folders_of_its_binds(void **state)
{
	struct arena *a = *state;
	struct release_upload u = upload_of("x", STR("k")), back;
	struct status st = release_source_decode(a, release_source_encode(a, &u), &back);
	assert_int_equal(st.code, ST_OK);
	assert_null(back.dir);
	assert_null(back.home);
	u.dir = "/srv/sh\xc3\xb6p";
	u.home = "/home/me";
	st = release_source_decode(a, release_source_encode(a, &u), &back);
	assert_int_equal(st.code, ST_OK);
	assert_string_equal(back.dir, u.dir);
	assert_string_equal(back.home, u.home);
}

static void an_empty_source(void **state)
{
	struct release_upload none = {0}, back;
	struct status st =
		release_source_decode(*state, release_source_encode(*state, &none), &back);
	assert_int_equal(st.code, ST_OK);
	assert_int_equal(back.n_texts + back.n_files + back.n_variables, 0);
}

static void a_source_that_cannot_be_read(void **state)
{
	static const char *const bad[] = {"", "{", "nonsense", "{\"a\":1,\"a\":2}"};
	struct release_upload back;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct status st = release_source_decode(*state, str_of(bad[i]), &back);
		assert_int_not_equal(st.code, ST_OK);
		assert_non_null(
			strstr(st.message, "the stored source of the release cannot be read"));
	}
}

static void errors_are_told_all_at_once(void **state)
{
	struct compose_text t = {
		"c.yml", STR("services:\n  a: {imagee: x}\n  b: {image: x, nonsense: 1}\n")};
	struct release_upload u = {.texts = &t, .n_texts = 1};
	struct compose_project *p;
	struct compose_problems errors, warnings;
	assert_false(release_model(*state, "shop", &u, &p, &errors, &warnings));
	assert_true(errors.len >= 2);
}

/* ---- rendering ---- */

static void services_stand_in_the_order_of_their_levels(void **state)
{
	struct release r = render(*state, "hi");
	assert_int_equal(r.n_services, 4);
	assert_int_equal(r.n_levels, 3);
	unsigned level = 0;
	for (size_t i = 0; i < r.n_services; i++) {
		assert_true(r.services[i].level >= level);
		level = r.services[i].level;
	}
	assert_int_equal(release_service_find(&r, "db")->level, 0);
	assert_int_equal(release_service_find(&r, "agent")->level, 0);
	assert_int_equal(release_service_find(&r, "migrate")->level, 1);
	assert_int_equal(release_service_find(&r, "web")->level, 2);
	assert_null(release_service_find(&r, "nobody"));
	assert_string_equal(release_service_find(&r, "db")->image, "postgres:latest");
	assert_string_equal(release_service_find(&r, "db")->mode, "replicated");
	assert_string_equal(release_service_find(&r, "agent")->mode, "global");
	assert_string_equal(release_service_find(&r, "migrate")->mode, "replicated-job");
	assert_string_equal(release_service_find(&r, "web")->object.name, "shop_web");
}

static void everything_that_we_make_is_labelled(void **state)
{
	struct release r = render(*state, "hi");
	const struct release_object *made[] = {&r.services[0].object, &r.configs[0], NULL};
	for (size_t i = 0; made[i]; i++) {
		assert_string_equal(label(made[i], LABEL_PROJECT), "project-1");
		assert_string_equal(label(made[i], LABEL_STACK), "stack-1");
		assert_string_equal(label(made[i], LABEL_NAMESPACE), "shop");
	}
	for (size_t i = 0; i < r.n_networks; i++) {
		assert_int_equal(r.networks[i].external, strcmp(r.networks[i].key, "outside") == 0);
		if (r.networks[i].external)
			assert_null(r.networks[i].body);
		else
			assert_string_equal(label(&r.networks[i], LABEL_STACK), "stack-1");
	}
	/* Labels of containers would restart their tasks. */
	json_t *container = json_at(r.services[0].object.body, "TaskTemplate.ContainerSpec.Labels");
	assert_null(json_object_get(container, LABEL_STACK));
}

static void contents_are_labelled_and_named_by_what_they_hold(void **state)
{
	struct release one = render(*state, "one"), same = render(*state, "one"),
		       two = render(*state, "two");
	const char *content = label(&one.configs[0], LABEL_CONTENT);
	assert_int_equal(strlen(content), 24);
	assert_string_equal(content, label(&same.configs[0], LABEL_CONTENT));
	assert_string_not_equal(content, label(&two.configs[0], LABEL_CONTENT));
	assert_string_equal(one.configs[0].name, same.configs[0].name);
	assert_string_not_equal(one.configs[0].name, two.configs[0].name);
	assert_int_equal(one.n_secrets, 2);
	for (size_t i = 0; i < 2; i++)
		if (!one.secrets[i].external)
			assert_non_null(label(&one.secrets[i], LABEL_CONTENT));
}

/* ---- rendered ---- */

static void assert_same_objects(
	const struct release_object *x, const struct release_object *y, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(x[i].key, y[i].key);
		assert_string_equal(x[i].name, y[i].name);
		assert_int_equal(x[i].external, y[i].external);
		assert_int_equal(x[i].body == NULL, y[i].body == NULL);
		assert_true(!x[i].body || json_equal(x[i].body, y[i].body));
	}
}

static void a_rendering_comes_back_as_it_was(void **state)
{
	struct arena *a = *state;
	struct release r = render(a, "hi"), back;
	struct status st = release_decode(a, release_encode(a, &r), &back);
	assert_int_equal(st.code, ST_OK);
	assert_int_equal(back.n_networks, r.n_networks);
	assert_int_equal(back.n_secrets, r.n_secrets);
	assert_int_equal(back.n_configs, r.n_configs);
	assert_int_equal(back.n_services, r.n_services);
	assert_int_equal(back.n_levels, r.n_levels);
	assert_same_objects(back.networks, r.networks, r.n_networks);
	assert_same_objects(back.secrets, r.secrets, r.n_secrets);
	assert_same_objects(back.configs, r.configs, r.n_configs);
	for (size_t i = 0; i < r.n_services; i++) {
		const struct release_service *x = &back.services[i], *y = &r.services[i];
		assert_same_objects(&x->object, &y->object, 1);
		assert_int_equal(x->level, y->level);
		assert_string_equal(x->image, y->image);
		assert_string_equal(x->mode, y->mode);
		assert_int_equal(x->n_depends, y->n_depends);
		for (size_t k = 0; k < x->n_depends; k++) {
			assert_string_equal(x->depends[k].service, y->depends[k].service);
			assert_int_equal(x->depends[k].condition, y->depends[k].condition);
		}
	}
	const struct release_service *web = release_service_find(&back, "web");
	assert_int_equal(web->n_depends, 2);
	assert_int_equal(web->depends[0].condition, COMPOSE_HEALTHY);
	assert_int_equal(web->depends[1].condition, COMPOSE_COMPLETED);
	assert_int_equal(
		release_service_find(&back, "migrate")->depends[0].condition, COMPOSE_STARTED);
}

static void no_rendering_is_the_empty_release(void **state)
{
	struct release r = {.n_services = 3};
	struct status st = release_decode(*state, str_of(""), &r);
	assert_int_equal(st.code, ST_OK);
	assert_int_equal(r.n_services + r.n_networks + r.n_secrets + r.n_configs + r.n_levels, 0);
	st = release_decode(*state, release_encode(*state, &r), &r);
	assert_int_equal(st.code, ST_OK);
	assert_int_equal(r.n_services, 0);
}

static void a_rendering_that_cannot_be_read(void **state)
{
	struct release r;
	struct status st = release_decode(*state, str_of("{\"services\": ["), &r);
	assert_int_not_equal(st.code, ST_OK);
	assert_non_null(strstr(st.message, "the stored rendering of the release cannot be read"));
	assert_int_equal(r.n_services, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_source_comes_back_byte_by_byte),
		TEST(a_source_keeps_the_folders_of_its_binds),
		TEST(an_empty_source),
		TEST(a_source_that_cannot_be_read),
		TEST(errors_are_told_all_at_once),
		TEST(services_stand_in_the_order_of_their_levels),
		TEST(everything_that_we_make_is_labelled),
		TEST(contents_are_labelled_and_named_by_what_they_hold),
		TEST(a_rendering_comes_back_as_it_was),
		TEST(no_rendering_is_the_empty_release),
		TEST(a_rendering_that_cannot_be_read),
	};
	return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}
