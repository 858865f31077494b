#include "compose/loader.h"
#include <stdio.h>
#include <string.h>
#include "compose/dotenv.h"

enum {
	DEFAULT_BYTES = 1024 * 1024,
	DEFAULT_DEPTH = 100,
	DEFAULT_NODES = 200000,
	DEFAULT_ADDED = 16 * 1024 * 1024,
	DEFAULT_OBJECTS = 2000,
	DEFAULT_PROBLEMS = 100,
	MAX_SOURCES = 1000,
};

/* "./a//b/./c/../d" → "a/b/d", by the names alone: nobody follows the path. */
static const char *clean(struct arena *a, const char *path)
{
	struct str rest = str_of(path);
	struct buf b = {0};
	size_t root = path[0] == '/' ? 1 : 0, floor = root; /* what ".." cannot take back */
	if (root)
		buf_addc(&b, '/');
	while (rest.len) {
		struct str part = str_cut(&rest, '/');
		if (part.len == 0 || str_is(part, "."))
			continue;
		if (str_is(part, "..") && b.len > floor) {
			const char *slash = memrchr(b.ptr + floor, '/', b.len - floor);
			b.len = slash ? (size_t)(slash - b.ptr) : floor;
			continue;
		}
		if (str_is(part, "..") && root)
			continue;
		if (b.len && b.ptr[b.len - 1] != '/')
			buf_addc(&b, '/');
		buf_add_str(&b, part);
		if (str_is(part, ".."))
			floor = b.len;
	}
	const char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

static void read_variables(struct loader *l)
{
	for (size_t i = 0; i < l->in->variables_len; i++) {
		const struct compose_variable *v = &l->in->variables[i];
		if (v->value && str_is_utf8(str_of(v->value)))
			map_puts(&l->scopes->variables, v->name, (void *)v->value);
		else if (v->value)
			loader_error(l, (struct compose_mark){0}, NULL, NULL,
				"the value of the variable %s is not UTF-8", v->name);
	}
}

static void add_source(struct loader *l, const struct source *s)
{
	if (l->sources_len == l->sources_cap) {
		size_t cap = l->sources_cap ? l->sources_cap * 2 : l->in->texts_len + 8;
		struct source *sources = arena_array(l->a, struct source, cap);
		if (l->sources_len)
			memcpy(sources, l->sources, l->sources_len * sizeof(*sources));
		l->sources = sources;
		l->sources_cap = cap;
	}
	l->sources[l->sources_len++] = *s;
}

void loader_init(struct loader *l, struct arena *a, const struct compose_input *in,
	struct compose_problems *errors, struct compose_problems *warnings)
{
	*l = (struct loader){.a = a, .in = in, .name = in->name, .errors = errors};
	l->warnings = warnings;
	l->minor = NEWEST_MINOR;
	const struct compose_limits *given = &in->limits;
	l->limits.bytes = given->bytes ? given->bytes : DEFAULT_BYTES;
	l->limits.depth = given->depth ? given->depth : DEFAULT_DEPTH;
	l->limits.nodes = given->nodes ? given->nodes : DEFAULT_NODES;
	l->limits.added = given->added ? given->added : DEFAULT_ADDED;
	l->limits.objects = given->objects ? given->objects : DEFAULT_OBJECTS;
	l->limits.problems = given->problems ? given->problems : DEFAULT_PROBLEMS;
	*errors = (struct compose_problems){0};
	*warnings = (struct compose_problems){0};
	map_init(&l->uploads);
	map_init(&l->extended);
	map_init(&l->disabled);
	l->root = loader_scope(l, NULL);
	read_variables(l);
	l->root = loader_scope(l, l->root);
	for (size_t i = 0; i < in->texts_len; i++)
		add_source(l, &(struct source){.name = in->texts[i].name,
				      .text = in->texts[i].text,
				      .dir = "",
				      .scope = l->root});
	for (size_t i = in->uploads_len; i > 0; i--) /* of twins the first */
		map_puts(&l->uploads, clean(a, in->uploads[i - 1].path),
			(void *)&in->uploads[i - 1]);
	if (!str_is_utf8(str_of(in->dir)) || !str_is_utf8(str_of(in->home)))
		loader_error(l, (struct compose_mark){0}, NULL, NULL,
			"the working directory is not UTF-8");
}

void loader_finish(struct loader *l)
{
	for (struct env_scope *s = l->scopes; s; s = s->next)
		map_finish(&s->variables);
	map_finish(&l->uploads);
	map_finish(&l->extended);
	map_finish(&l->disabled);
}

/* ---- variables ---- */

struct env_scope *loader_scope(struct loader *l, const struct env_scope *up)
{
	struct env_scope *s = arena_new(l->a, struct env_scope);
	map_init(&s->variables);
	s->up = up;
	s->next = l->scopes;
	l->scopes = s;
	return s;
}

static const char *scope_get(const struct env_scope *s, struct str name)
{
	const char *value = s->up ? scope_get(s->up, name) : NULL;
	return value ? value : map_get(&s->variables, name);
}

const char *loader_lookup(const struct loader *l, const struct env_scope *s, struct str name)
{
	const char *value = scope_get(s, name);
	if (!value && !l->in->compat && str_is(name, "COMPOSE_PROJECT_NAME"))
		return l->name;
	return value;
}

const struct env_scope *loader_scope_at(const struct loader *l, struct compose_mark at)
{
	return at.file < l->sources_len ? l->sources[at.file].scope : l->root;
}

const char *loader_variable(const struct loader *l, struct compose_mark at, const char *name)
{
	return loader_lookup(l, loader_scope_at(l, at), str_of(name));
}

void loader_dotenv(struct loader *l, struct env_scope *into, const struct compose_upload *file,
	struct compose_mark at, const struct path *path)
{
	struct dotenv d = dotenv_open(l->a, file->bytes, false);
	struct dotenv_line line;
	while (dotenv_next(&d, &line)) {
		const char *value = line.value;
		if (line.error) {
			loader_error(l, at, path, NULL, "%s: line %zu: %s", file->path, line.number,
				line.error);
			continue;
		}
		if (!value || (into->up && scope_get(into->up, str_of(line.name))))
			continue;
		if (!loader_add_bytes(l, at, path, strlen(value) + DOTENV_LINE_COST))
			return;
		if (!line.literal && !interpolate_string(l, into, value, at, path, &value))
			continue;
		map_puts(&into->variables, line.name, (void *)value);
	}
}

void loader_read_dotenv(struct loader *l)
{
	const struct compose_upload *file = map_gets(&l->uploads, ".env");
	if (file)
		loader_dotenv(l, l->root, file, (struct compose_mark){0}, NULL);
}

/* ---- files ---- */

const char *loader_path(const struct loader *l, struct compose_mark at, const char *path)
{
	const char *dir = at.file < l->sources_len ? l->sources[at.file].dir : "";
	if (!*dir || path[0] == '/' || path[0] == '~')
		return path;
	return clean(l->a, arena_fmt(l->a, "%s/%s", dir, path));
}

const char *loader_folder(const struct loader *l, const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return "";
	return clean(l->a, slash == path ? "/" : arena_strndup(l->a, path, (size_t)(slash - path)));
}

const struct compose_upload *loader_upload(const struct loader *l, const char *path)
{
	return map_gets(&l->uploads, clean(l->a, path));
}

bool loader_open(struct loader *l, const struct compose_upload *u, const char *dir,
	const struct env_scope *scope, struct compose_mark at, const struct path *path,
	uint16_t *ret_file)
{
	l->bytes += u->bytes.len;
	if (l->sources_len >= MAX_SOURCES || l->bytes > l->limits.bytes) {
		loader_error(l, at, path, NULL,
			l->sources_len >= MAX_SOURCES
				? "more than %zu texts are included and extended"
				: "the texts with what they include are longer than %zu bytes",
			l->sources_len >= MAX_SOURCES ? (size_t)MAX_SOURCES : l->limits.bytes);
		l->incomplete = true;
		return false;
	}
	*ret_file = (uint16_t)l->sources_len;
	add_source(l, &(struct source){.name = clean(l->a, u->path),
			      .text = u->bytes,
			      .dir = dir,
			      .scope = scope});
	return true;
}

/* ---- nodes ---- */

static struct node *copy_node(struct loader *l, const struct node *from)
{
	struct node *n = arena_new(l->a, struct node);
	l->nodes++;
	*n = *from;
	if (from->kind == NODE_SEQ) {
		memset(&n->seq, 0, sizeof(n->seq));
		for (size_t i = 0; i < from->seq.len && l->nodes <= l->limits.nodes; i++)
			node_push(l->a, n, copy_node(l, from->seq.items[i]));
	} else if (from->kind == NODE_MAP) {
		memset(&n->map, 0, sizeof(n->map));
		for (size_t i = 0; i < from->map.len && l->nodes <= l->limits.nodes; i++) {
			const struct node_entry *e = &from->map.entries[i];
			node_put(l->a, n, e->key, e->at, copy_node(l, e->value));
		}
	}
	return n;
}

struct node *loader_copy(struct loader *l, const struct node *from, struct compose_mark at)
{
	bool before = l->nodes <= l->limits.nodes;
	struct node *n = copy_node(l, from);
	if (l->nodes <= l->limits.nodes)
		return n;
	if (before)
		loader_error(l, at, NULL, NULL,
			"the document has more than %zu values, with what is extended",
			l->limits.nodes);
	return NULL;
}

/* ---- problems ---- */

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
		.file = placed && at.file < l->sources_len ? l->sources[at.file].name : "",
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
