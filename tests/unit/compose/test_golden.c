/* Every captured case of `docker stack deploy` that needs no Engine: the same bodies, the same
 * order inside lists, docker's words, and failure where docker fails. Data: tests/golden. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/yaml.h"
#include "compose/compose.h"
#include "compose/export.h"

#define GOLDEN TEST_DIR "/golden"

struct one {
	struct arena *a;
	const char *name;
	struct compose_text texts[8];
	size_t texts_len;
	struct compose_upload uploads[32];
	size_t uploads_len;
	struct compose_variable variables[32];
	size_t variables_len;
	json_t *expected; /* rc, stderr, writes */
	struct buf said;  /* our errors and warnings */
	char why[4000];
};

static struct str read_all(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	struct buf b = {0};
	char chunk[65536];
	for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
		buf_add(&b, chunk, n);
	fclose(f);
	struct str s = str_make(arena_strndup(a, b.len ? b.ptr : "", b.len), b.len);
	buf_finish(&b);
	return s;
}

/* null and absent are the same; ids are the recording engine's. */
static bool same(struct one *c, const char *path, const json_t *want, const json_t *got)
{
	if (json_is_null(want))
		want = NULL;
	if (json_is_null(got))
		got = NULL;
	if (strstr(path, "SecretID") || strstr(path, "ConfigID") ||
		strstr(path, "CredentialSpec.Config"))
		return !want == !got;
	bool ok = true;
	if (json_is_object(want) && json_is_object(got)) {
		const char *key;
		json_t *v;
		json_object_foreach((json_t *)want, key, v) ok &=
			same(c, arena_fmt(c->a, "%s.%s", path, key), v, json_object_get(got, key));
		json_object_foreach((json_t *)got, key, v) if (!json_object_get(want, key)) ok &=
			same(c, arena_fmt(c->a, "%s.%s", path, key), NULL, v);
		return ok;
	}
	if (json_is_array(want) && json_is_array(got) &&
		json_array_size(want) == json_array_size(got)) {
		for (size_t i = 0; i < json_array_size(want); i++)
			ok &= same(c, arena_fmt(c->a, "%s[%zu]", path, i), json_array_get(want, i),
				json_array_get(got, i));
		return ok;
	}
	ok = json_is_number(want) && json_is_number(got)
		     ? json_number_value(want) == json_number_value(got)
		     : json_equal(want, got) || (!want && !got);
	if (!ok) {
		size_t at = strlen(c->why);
		char *w = want ? json_dumps(want, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
		char *g = got ? json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
		snprintf(c->why + at, sizeof(c->why) - at, "  %s: want %.300s got %.300s\n", path,
			w ? w : "nothing", g ? g : "nothing");
		free(w);
		free(g);
	}
	return ok;
}

static json_t *wanted_body(
	const json_t *writes, const char *kind, const char *name, size_t *of_kind)
{
	json_t *found = NULL, *w;
	size_t i;
	*of_kind = 0;
	json_array_foreach(writes, i, w)
	{
		if (strcmp(json_text(w, "path", ""), kind) != 0)
			continue;
		++*of_kind;
		if (strcmp(json_text(w, "body.Name", ""), name) == 0)
			found = json_at(w, "body");
	}
	return found;
}

static bool compare(struct one *c, const struct compose_objects *list, const char *kind)
{
	size_t of_kind, mine = 0;
	bool ok = true;
	const json_t *writes = json_at(c->expected, "writes");
	for (size_t i = 0; i < list->len; i++) {
		if (list->items[i].external)
			continue;
		mine++;
		const json_t *want = wanted_body(writes, kind, list->items[i].name, &of_kind);
		ok &= same(c, list->items[i].name, want, list->items[i].body);
	}
	wanted_body(writes, kind, "", &of_kind);
	if (of_kind != mine) {
		size_t at = strlen(c->why);
		snprintf(c->why + at, sizeof(c->why) - at, "  %s: want %zu got %zu\n", kind,
			of_kind, mine);
	}
	return ok && of_kind == mine;
}

static void say(struct one *c, const struct compose_problems *list)
{
	for (size_t i = 0; i < list->len; i++)
		buf_fmt(&c->said, "%s\n", compose_problem_text(c->a, &list->items[i]));
}

/* The text that export makes of what was rendered says all of it. */
static bool check_export(struct one *c, const struct compose_rendering *r)
{
	const struct compose_export e = {.namespace_ = "s", .objects = r};
	const char *text = "";
	struct compose_strings lost;
	bool ok = compose_export(c->a, &e, &text, &lost);
	for (size_t i = 0; i < lost.len; i++) {
		size_t at = strlen(c->why);
		snprintf(c->why + at, sizeof(c->why) - at, "  export: %s\n", lost.items[i]);
	}
	if (!ok || lost.len)
		print_message("%s", text);
	return ok && lost.len == 0;
}

/* In any order: config sorts what has a name. */
static bool same_objects(
	struct one *c, const struct compose_objects *want, const struct compose_objects *got)
{
	bool ok = want->len == got->len;
	for (size_t i = 0; i < want->len; i++) {
		const json_t *body = NULL;
		for (size_t k = 0; k < got->len; k++)
			if (strcmp(want->items[i].name, got->items[k].name) == 0)
				body = got->items[k].body;
		ok &= same(c, want->items[i].name, want->items[i].body, body);
	}
	return ok;
}

/* What `compose config` prints by our own rules is a text that loads without any of the files that
 * it was made from but those of secrets and configs, and makes the same bodies. */
static bool check_config(struct one *c, struct compose_input in)
{
	static const struct compose_render_options o = {0};
	struct compose_project *p, *again;
	struct compose_problems errors, warnings;
	struct buf b = {0};
	in.compat = false;
	if (!compose_load(c->a, &in, &p, &errors, &warnings))
		return true;
	yaml_write(&b, compose_config(c->a, p, true));
	const struct compose_text text = {"config.yml", buf_str(&b)};
	struct compose_upload uploads[32]; /* by absolute names */
	for (size_t i = 0; i < in.uploads_len; i++)
		uploads[i] = (struct compose_upload){
			arena_fmt(c->a, "%s/%s", in.dir, in.uploads[i].path), in.uploads[i].bytes};
	in.texts = &text;
	in.texts_len = 1;
	in.uploads = uploads;
	bool ok = compose_load(c->a, &in, &again, &errors, &warnings);
	if (!ok)
		say(c, &errors);
	const struct compose_rendering *r = compose_render(c->a, p, &o),
				       *s = ok ? compose_render(c->a, again, &o) : NULL;
	ok = ok && same_objects(c, &r->networks, &s->networks) &&
	     same_objects(c, &r->secrets, &s->secrets) &&
	     same_objects(c, &r->configs, &s->configs) &&
	     same_objects(c, &r->services, &s->services);
	if (!ok)
		print_message("%s\n%s\nof its config:\n%.*s\n", c->why,
			c->said.ptr ? c->said.ptr : "", STR_ARG(buf_str(&b)));
	buf_finish(&b);
	return ok;
}

static bool run(struct one *c)
{
	struct compose_input in = {
		.name = "s",
		.texts = c->texts,
		.texts_len = c->texts_len,
		.uploads = c->uploads,
		.uploads_len = c->uploads_len,
		.variables = c->variables,
		.variables_len = c->variables_len,
		.dir = "/parent/dir",
		.home = "/home/foo",
		.compat = true,
	};
	struct compose_project *p = NULL;
	struct compose_problems errors, warnings;
	bool ok = compose_load(c->a, &in, &p, &errors, &warnings), good = true;
	say(c, &warnings);
	say(c, &errors);
	if (ok != (json_int(c->expected, "rc", 0) == 0)) {
		snprintf(c->why, sizeof(c->why), "  exit: want %d, said: %.2000s\n",
			(int)json_int(c->expected, "rc", 0), c->said.ptr ? c->said.ptr : "");
		return false;
	}
	if (ok) {
		struct compose_rendering *r =
			compose_render(c->a, p, &(struct compose_render_options){0});
		good &= compare(c, &r->networks, "/networks/create");
		good &= compare(c, &r->secrets, "/secrets/create");
		good &= compare(c, &r->configs, "/configs/create");
		good &= compare(c, &r->services, "/services/create");
		good &= check_export(c, r);
	}
	good &= check_config(c, in);
	size_t i;
	json_t *line;
	json_array_foreach(json_at(c->expected, "stderr"), i, line)
	{
		struct str s = str_trim(str_of(json_string_value(line)));
		if (str_starts(s, "warning msg=\""))
			s = str_make(s.ptr + 13, s.len - 14);
		const char *text = str_dup(c->a, s);
		if (strstr(text, "could not be accessed on a registry") || !*text)
			continue;
		if (!c->said.ptr || !strstr(c->said.ptr, text)) {
			size_t at = strlen(c->why);
			snprintf(c->why + at, sizeof(c->why) - at,
				"  not said: %s\n  said: %.1000s\n", text,
				c->said.ptr ? c->said.ptr : "");
			good = false;
		}
	}
	return good;
}

static bool finish(struct one *c)
{
	bool ok = run(c);
	if (!ok)
		print_message("FAIL %s\n%s", c->name, c->why);
	buf_finish(&c->said);
	return ok;
}

/* The captures name their folders @DIR@ and @PARENT@. */
static json_t *parse(struct arena *a, struct str text)
{
	struct buf b = {0};
	for (size_t i = 0; i < text.len;) {
		struct str rest = str_make(text.ptr + i, text.len - i);
		if (str_starts(rest, "@DIR@")) {
			buf_adds(&b, "/parent/dir");
			i += 5;
		} else if (str_starts(rest, "@PARENT@")) {
			buf_adds(&b, "/parent");
			i += 8;
		} else {
			buf_addc(&b, text.ptr[i++]);
		}
	}
	json_t *j = NULL;
	struct status st = json_parse(buf_str(&b), &j);
	if (!status_is_ok(&st))
		fail_msg("%s", st.message);
	buf_finish(&b);
	(void)a;
	return j;
}

static void add_env(struct one *c, const json_t *env)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)env, key, v) c->variables[c->variables_len++] =
		(struct compose_variable){.name = key, .value = json_string_value(v)};
}

static void test_probes(void **state)
{
	struct arena *a = arena_create();
	json_t *probes = parse(a, read_all(a, GOLDEN "/probes.json")), *p;
	size_t i, passed = 0;
	(void)state;
	json_array_foreach(probes, i, p)
	{
		struct one c = {
			.a = arena_create(), .name = json_text(p, "name", ""), .expected = p};
		json_t *files = json_at(p, "files"), *text;
		const char *key;
		struct compose_text over = {0};
		json_object_foreach(files, key, text)
		{
			struct compose_text t = {
				.name = key, .text = str_of(json_string_value(text))};
			if (strcmp(key, "c.yml") == 0)
				c.texts[c.texts_len++] = t;
			else
				over = t;
		}
		if (over.name)
			c.texts[c.texts_len++] = over;
		/* The two files that one probe reads, as they stood beside it. */
		c.uploads[c.uploads_len++] =
			(struct compose_upload){"one.env", STR("E1=1\nSH=1\n")};
		c.uploads[c.uploads_len++] =
			(struct compose_upload){"two.env", STR("E2=2\nSH=2\n")};
		add_env(&c, json_at(p, "env"));
		passed += finish(&c);
		arena_destroy(c.a);
	}
	print_message("%zu of %zu probes\n", passed, json_array_size(probes));
	assert_int_equal(passed, json_array_size(probes));
	json_decref(probes);
	arena_destroy(a);
}

static bool run_case(const char *name, const char *text_name)
{
	struct one c = {.a = arena_create(), .name = name};
	const char *dir = arena_fmt(c.a, GOLDEN "/%s", name);
	c.expected = parse(c.a, read_all(c.a, arena_fmt(c.a, "%s/expected.json", dir)));
	c.texts[c.texts_len++] = (struct compose_text){
		.name = text_name, .text = read_all(c.a, arena_fmt(c.a, "%s/%s", dir, text_name))};
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			c.uploads[c.uploads_len++] =
				(struct compose_upload){arena_strdup(c.a, e->d_name),
					read_all(c.a, arena_fmt(c.a, "%s/%s", dir, e->d_name))};
	closedir(d);
	add_env(&c, json_at(c.expected, "env"));
	bool ok = finish(&c);
	json_decref(c.expected);
	arena_destroy(c.a);
	return ok;
}

static void test_cases(void **state)
{
	static const char *const cases[] = {"deploy", "networks", "objects", "ports", "volumes",
		"warn", "err-undefined-network", "wait"};
	size_t passed = 0, n = sizeof(cases) / sizeof(*cases);
	(void)state;
	for (size_t i = 0; i < n; i++)
		passed += run_case(cases[i], "compose.yml");
	print_message("%zu of %zu cases\n", passed, n);
	assert_int_equal(passed, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probes), cmocka_unit_test(test_cases)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
