#include "compose/loader.h"
#include <stdio.h>
#include <string.h>

enum {
	DEFAULT_BYTES = 1024 * 1024,
	DEFAULT_DEPTH = 100,
	DEFAULT_NODES = 200000,
	DEFAULT_ADDED = 16 * 1024 * 1024,
	DEFAULT_OBJECTS = 500,
	DEFAULT_PROBLEMS = 100,
};

void loader_init(struct loader *l, struct arena *a, const struct compose_input *in,
	struct compose_problems *errors, struct compose_problems *warnings)
{
	*l = (struct loader){.a = a, .in = in, .errors = errors, .warnings = warnings};
	const struct compose_limits *given = &in->limits;
	l->limits.bytes = given->bytes ? given->bytes : DEFAULT_BYTES;
	l->limits.depth = given->depth ? given->depth : DEFAULT_DEPTH;
	l->limits.nodes = given->nodes ? given->nodes : DEFAULT_NODES;
	l->limits.added = given->added ? given->added : DEFAULT_ADDED;
	l->limits.objects = given->objects ? given->objects : DEFAULT_OBJECTS;
	l->limits.problems = given->problems ? given->problems : DEFAULT_PROBLEMS;
	*errors = (struct compose_problems){0};
	*warnings = (struct compose_problems){0};
	map_init(&l->variables);
	for (size_t i = 0; i < in->variables_len; i++) {
		const struct compose_variable *v = &in->variables[i];
		if (v->value && str_is_utf8(str_of(v->value)))
			map_puts(&l->variables, v->name, (void *)v->value);
		else if (v->value)
			loader_error(l, (struct compose_mark){0}, NULL, NULL,
				"the value of the variable %s is not UTF-8", v->name);
	}
	if (!str_is_utf8(str_of(in->dir)) || !str_is_utf8(str_of(in->home)))
		loader_error(l, (struct compose_mark){0}, NULL, NULL,
			"the working directory is not UTF-8");
}

void loader_finish(struct loader *l)
{
	map_finish(&l->variables);
}

const char *loader_variable(const struct loader *l, const char *name)
{
	return map_gets(&l->variables, name);
}

/* "./a//b/./c" → "a/b/c"; ".." stays: nobody follows it, names are only compared. */
static const char *clean(struct arena *a, const char *path)
{
	struct str rest = str_of(path);
	struct buf b = {0};
	if (path[0] == '/')
		buf_addc(&b, '/');
	while (rest.len) {
		struct str part = str_cut(&rest, '/');
		if (part.len == 0 || str_is(part, "."))
			continue;
		if (b.len && b.ptr[b.len - 1] != '/')
			buf_addc(&b, '/');
		buf_add_str(&b, part);
	}
	const char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

const struct compose_upload *loader_upload(const struct loader *l, const char *path)
{
	const char *wanted = clean(l->a, path);
	for (size_t i = 0; i < l->in->uploads_len; i++)
		if (strcmp(clean(l->a, l->in->uploads[i].path), wanted) == 0)
			return &l->in->uploads[i];
	return NULL;
}

static void add(struct loader *l, struct compose_problems *list, struct compose_mark at,
	const struct path *path, const char *hint, const char *fmt, va_list ap)
{
	if (list->len == l->limits.problems) {
		list->more++;
		return;
	}
	if (!list->items)
		list->items = arena_array(l->a, struct compose_problem, l->limits.problems);
	bool placed = at.line != 0 || at.file != 0;
	list->items[list->len++] = (struct compose_problem){
		.file = placed && at.file < l->in->texts_len ? l->in->texts[at.file].name : "",
		.line = at.line,
		.column = at.column,
		.path = path_text(l->a, path, PATH_BRACKETS),
		.message = arena_vfmt(l->a, fmt, ap),
		.hint = hint ? hint : "",
	};
}

void loader_error(struct loader *l, struct compose_mark at, const struct path *path,
	const char *hint, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(l, l->errors, at, path, hint, fmt, ap);
	va_end(ap);
}

void loader_warn(struct loader *l, struct compose_mark at, const struct path *path,
	const char *hint, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(l, l->warnings, at, path, hint, fmt, ap);
	va_end(ap);
}

bool loader_add_bytes(
	struct loader *l, struct compose_mark at, const struct path *path, size_t bytes)
{
	bool before = l->added <= l->limits.added;
	l->added += bytes;
	if (l->added <= l->limits.added)
		return true;
	if (before)
		loader_error(l, at, path, NULL,
			"aliases and files make the text longer than %zu MiB",
			l->limits.added / 1024 / 1024);
	return false;
}
