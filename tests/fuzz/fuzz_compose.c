/* Any bytes as Compose text: no crash, no leak, bounded memory, and what is accepted renders to
 * JSON that an update of itself keeps. The first byte chooses the dialect and whether the rest is
 * cut in two: a later text, a file to include or extend (b.yml, d/b.yml), or an env file (d/.env).
 */
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "compose/compose.h"
#include "yaml_mutator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void digest(struct str bytes, unsigned char ret_digest[32])
{
	for (size_t i = 0; i < 32; i++)
		ret_digest[i] = (unsigned char)(bytes.len >> (i % 8));
}

static void check(struct arena *a, const struct compose_objects *list)
{
	for (size_t i = 0; i < list->len; i++) {
		struct compose_diff d;
		const struct compose_object *o = &list->items[i];
		if (!o->body)
			continue;
		compose_plan(a, o->kind, o->body, o->body, NULL, &d);
		if (d.verdict != COMPOSE_KEEP || !json_object_get(o->body, "Name") || !*o->name)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const profiles[] = {"p", "q"};
	static const struct compose_variable variables[] = {
		{"A", "va"}, {"E", ""}, {"N", "3"}, {"T", "true"}};
	if (size < 1)
		return 0;
	struct arena *a = arena_create();
	const uint8_t *mark = memmem(data + 1, size - 1, "\n---\n", 5); /* else in the middle */
	size_t cut = data[0] & 34 ? (mark ? (size_t)(mark - data) : size / 2) : size - 1;
	struct str second = {(const char *)data + 1 + cut, size - 1 - cut};
	struct compose_text texts[] = {{"a.yml", {(const char *)data + 1, cut}}, {"b.yml", second}};
	const struct compose_upload uploads[] = {{"f", {"A=1\nB\nC='x'\n", 12}}, {"b.yml", second},
		{"d/b.yml", second}, {data[0] & 64 ? "d/.env" : ".env", second}};
	struct compose_input in = {.name = data[0] & 128 ? NULL : "s",
		.texts = texts,
		.texts_len = data[0] & 2 ? 2 : 1,
		.uploads = uploads,
		.uploads_len = data[0] & 32   ? 4
			       : data[0] & 64 ? 3
					      : 1,
		.profiles = profiles,
		.profiles_len = data[0] & 8 ? 2 : 0,
		.variables = variables,
		.variables_len = 4,
		.dir = data[0] & 4 ? "/d/e" : NULL,
		.home = data[0] & 8 ? "/h" : NULL,
		.compat = data[0] & 1};
	if (size == 1)
		in.texts_len = 0;
	struct compose_problems errors, warnings;
	struct compose_project *p;
	if (compose_load(a, &in, &p, &errors, &warnings)) {
		struct compose_render_options o = {.sha256 = data[0] & 16 ? digest : NULL};
		struct compose_rendering *r = compose_render(a, p, &o);
		struct compose_level *levels;
		size_t len;
		compose_levels(a, p, &levels, &len);
		check(a, &r->networks);
		check(a, &r->secrets);
		check(a, &r->configs);
		check(a, &r->services);
	} else if (errors.len == 0) {
		abort();
	}
	for (size_t i = 0; i < errors.len; i++)
		compose_problem_text(a, &errors.items[i]);
	struct compose_file_ref *files;
	struct compose_variable_ref *names;
	size_t len;
	compose_file_refs(a, &in, &files, &len, &errors);
	compose_variable_refs(a, &in, &names, &len, &errors);
	compose_text_name(a, &in);
	arena_destroy(a);
	return 0;
}
