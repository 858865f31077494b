/* `compose config` by our own rules: one text that says by itself all that the files said
 * together. It loads where they did, without them, and renders the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/yaml.h"
#include "compose/compose.h"

static const struct compose_upload uploads[] = {
	{"d/compose.yml", STR("services:\n  db: {image: db, env_file: [db.env, {path: none.env, "
			      "required: false}], secrets: [k], volumes: ['./data:/data']}\n"
			      "secrets: {k: {file: k.txt}}\n")},
	{"d/db.env", STR("PASSWORD='a $$ b'\nFROM=${V}\nBARE\n")},
	{"d/k.txt", STR("key")},
	{"app.env", STR("A=1\nB=2\n")},
	{"base/base.yml", STR("services: {base: {image: base, env_file: base.env}}\n")},
	{"base/base.env", STR("BASE=1\n")},
};

struct fixture {
	struct arena *a;
	struct compose_input in;
	struct compose_text texts[2];
};

static struct compose_project *load(struct fixture *f, const struct compose_input *in)
{
	struct compose_problems errors, warnings;
	struct compose_project *p;
	if (!compose_load(f->a, in, &p, &errors, &warnings))
		fail_msg("%s\n%.*s", compose_problem_text(f->a, &errors.items[0]),
			STR_ARG(in->texts[0].text));
	return p;
}

static int by_key(const void *x, const void *y)
{
	const struct compose_object *a = x, *b = y;
	return strcmp(a->key, b->key);
}

/* In one order: config sorts what has a name. */
static char *bodies(struct fixture *f, const struct compose_project *p)
{
	static const struct compose_render_options o = {0};
	const struct compose_rendering *r = compose_render(f->a, p, &o);
	const struct compose_objects *const lists[] = {
		&r->networks, &r->secrets, &r->configs, &r->services};
	struct buf b = {0};
	for (size_t k = 0; k < 4; k++) {
		qsort(lists[k]->items, lists[k]->len, sizeof(*lists[k]->items), by_key);
		for (size_t i = 0; i < lists[k]->len; i++) {
			json_t *named = json_pack("{s:s, s:O?}", "name", lists[k]->items[i].name,
				"body", lists[k]->items[i].body);
			yaml_write(&b, named);
			json_decref(named);
		}
	}
	char *text = str_dup(f->a, buf_str(&b));
	buf_finish(&b);
	return text;
}

/* The text that config makes of these; it was loaded again, with no file but those of secrets. */
static const char *config(struct fixture *f, const char *one, const char *two, const char *dir)
{
	static const char *const profiles[] = {"p"};
	static const struct compose_variable variables[] = {{"V", "val$x"}, {"SECRET", "s"}};
	struct buf b = {0};
	f->a = arena_create();
	f->texts[0] = (struct compose_text){"one.yml", str_of(one)};
	f->texts[1] = (struct compose_text){"two.yml", str_of(two)};
	f->in = (struct compose_input){
		.name = "s",
		.texts = f->texts,
		.texts_len = two ? 2 : 1,
		.uploads = uploads,
		.uploads_len = sizeof(uploads) / sizeof(*uploads),
		.variables = variables,
		.variables_len = 2,
		.dir = dir,
		.home = "/home/me",
		.profiles = profiles,
		.profiles_len = 1,
	};
	const struct compose_project *p = load(f, &f->in);
	yaml_write(&b, compose_config(f->a, p, true));
	const char *text = str_dup(f->a, buf_str(&b));
	buf_finish(&b);
	const struct compose_text whole = {"config.yml", str_of(text)};
	const struct compose_upload files[] = {{"/w/d/k.txt", STR("key")}, {"d/k.txt", STR("key")}};
	struct compose_input again = f->in;
	again.texts = &whole;
	again.texts_len = 1;
	again.uploads = files;
	again.uploads_len = 2;
	again.profiles_len = 0;
	assert_string_equal(bodies(f, p), bodies(f, load(f, &again)));
	return text;
}

/* Files of an included folder are not looked for in the including one's. */
static void test_include(void **state)
{
	struct fixture f;
	(void)state;
	const char *text = config(&f,
		"include: [d/compose.yml]\nservices: {web: {image: web, env_file: app.env}}\n",
		NULL, "/w");
	assert_null(strstr(text, "env_file"));
	assert_non_null(strstr(text, "A: \"1\""));
	assert_non_null(strstr(text, "file: \"/w/d/k.txt\""));
	arena_destroy(f.a);
}

/* Where nobody knows the folder, paths are seen from the first text. */
static void test_no_folder(void **state)
{
	struct fixture f;
	(void)state;
	const char *text = config(
		&f, "include: [d/compose.yml]\n", "services: {db: {volumes: !reset []}}\n", NULL);
	assert_non_null(strstr(text, "file: d/k.txt"));
	arena_destroy(f.a);
}

static void test_extends(void **state)
{
	struct fixture f;
	(void)state;
	const char *text =
		config(&f, "services:\n  web:\n    extends: {service: base, file: base/base.yml}\n",
			NULL, "/w");
	assert_null(strstr(text, "extends"));
	assert_non_null(strstr(text, "BASE: \"1\""));
	arena_destroy(f.a);
}

/* The services that stand there were asked for. */
static void test_profiles(void **state)
{
	struct fixture f;
	(void)state;
	const char *text = config(&f,
		"services:\n  a: {image: x, profiles: [p]}\n  b: {image: x, profiles: [q]}\n"
		"  c: {image: x, depends_on: {b: {condition: service_started, required: false}, "
		"a: {condition: service_healthy}}}\n",
		NULL, NULL);
	assert_null(strstr(text, "profiles"));
	assert_non_null(strstr(text, "required: false"));
	arena_destroy(f.a);
}

static void test_variables(void **state)
{
	struct fixture f;
	(void)state;
	config(&f,
		"services:\n  a:\n    image: x\n    command: echo $$HOME ${V}\n"
		"    environment: {BARE: , V: , D: '$$', E: '${NONE:-${V:-x}}'}\n"
		"    labels: {'k.$y': '$$$$'}\n    secrets: [e, n]\n    configs: [c]\n"
		"secrets:\n  e: {environment: SECRET}\n  n: {external: true, name: n$V}\n"
		"configs:\n  c: {content: 'a=$$b ${V}'}\n",
		"services: {a: {environment: {V: !reset null}, ports: ['80-82:80-82']}}\n", NULL);
	arena_destroy(f.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_include),
		cmocka_unit_test(test_no_folder), cmocka_unit_test(test_extends),
		cmocka_unit_test(test_profiles), cmocka_unit_test(test_variables)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
