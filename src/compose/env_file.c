/* env_file: the files that a service names, in docker's format (KEY=value, nothing quoted) or
 * the Compose specification's (quotes, comments, variables), put under its environment. */
#include "compose/forms.h"
#include "compose/loader.h"
#include <string.h>
#include "compose/dotenv.h"

struct env {
	struct loader *l;
	const struct compose_upload *file;
	const struct node *at; /* the path in the text */
	const struct path *path;
	struct node *into; /* mapping */
	struct map index;  /* key → its entry's number + 1 */
};

static void put(struct env *e, const char *key, struct node *value)
{
	uintptr_t at = (uintptr_t)map_gets(&e->index, key);
	if (at) {
		e->into->map.entries[at - 1].value = value;
		return;
	}
	node_put(e->l->a, e->into, key, value->at, value);
	map_puts(&e->index, key, (void *)e->into->map.len);
}

/* What a line gives, or NULL: nothing; reported when it is wrong. */
static const char *value_of(struct env *e, const struct dotenv_line *line)
{
	struct loader *l = e->l;
	const char *value = line->value;
	if (line->error && l->in->compat)
		loader_error(l, e->at->at, e->path, NULL, "invalid env file (%s): %s",
			l->in->dir ? form_path(l->a, l->in->dir, e->file->path) : e->file->path,
			line->error);
	else if (line->error)
		loader_error(l, e->at->at, e->path, NULL, "%s: line %zu: %s", e->file->path,
			line->number, line->error);
	if (line->error)
		return NULL;
	if (!value) /* a bare KEY: the caller's, or none at all */
		return loader_variable(l, e->at->at, line->name);
	if (line->literal || interpolate_string(l, loader_scope_at(l, e->at->at), value, e->at->at,
				     e->path, &value))
		return value;
	return NULL;
}

static size_t count_lines(struct str s)
{
	size_t lines = 1;
	for (size_t i = 0; i < s.len; i++)
		lines += s.ptr[i] == '\n';
	return lines;
}

static void read_file(struct env *e, bool raw)
{
	struct str text = e->file->bytes;
	/* A line is a value, however short. */
	if (!loader_add_bytes(
		    e->l, e->at->at, e->path, text.len + count_lines(text) * DOTENV_LINE_COST))
		return;
	struct dotenv d = dotenv_open(e->l->a, text, raw);
	for (struct dotenv_line line; dotenv_next(&d, &line);) {
		const char *value = value_of(e, &line);
		if (value)
			put(e, line.name, node_string(e->l->a, value, e->at->at));
	}
}

struct visit {
	struct env *e;
	struct path *list;
	size_t index;
};

static void read_one(void *data, const struct node *path, bool optional, const char *format)
{
	struct visit *v = data;
	struct env *e = v->e;
	struct path here = {.up = v->list, .index = v->index++};
	const char *name = loader_path(e->l, path->at, path->text);
	e->at = path;
	e->path = &here;
	e->file = loader_upload(e->l, name);
	if (*format && strcmp(format, "raw") != 0)
		loader_error(e->l, path->at, &here, "leave it out, or say raw",
			"unknown format of an env file: %s", format);
	else if (e->file)
		read_file(e, e->l->in->compat || *format);
	else if (!optional && e->l->in->compat)
		loader_error(e->l, path->at, &here, NULL, "open %s: no such file or directory",
			e->l->in->dir ? form_path(e->l->a, e->l->in->dir, path->text) : path->text);
	else if (!optional)
		loader_error(e->l, path->at, &here,
			"send it along with the text, or say required: false",
			"env file %s: no such file", name);
	e->path = NULL; /* it stood on our stack */
}

void env_files_each(const struct node *service,
	void (*fn)(void *data, const struct node *path, bool optional, const char *format),
	void *data)
{
	const struct node *list = node_get(service, "env_file");
	if (node_is(list, NODE_STRING))
		fn(data, list, false, "");
	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->seq.len; i++) {
		const struct node *item = list->seq.items[i];
		const struct node *path = item->kind == NODE_MAP ? node_get(item, "path") : item;
		const struct node *required = node_get(item, "required");
		if (node_is(path, NODE_STRING))
			fn(data, path, node_is(required, NODE_BOOL) && !required->flag,
				node_get_text(item, "format", ""));
	}
}

/* Docker asks the caller's environment for empty values too, we for missing ones. */
static struct node *resolve(struct loader *l, const char *key, struct node *value)
{
	bool asks = value->kind == NODE_NULL ||
		    (l->in->compat && node_is(value, NODE_STRING) && *value->text == '\0');
	const char *given =
		asks && value->tag == NODE_PLAIN ? loader_variable(l, value->at, key) : NULL;
	if (!given || !loader_add_bytes(l, value->at, NULL, strlen(given)))
		return value;
	return node_string(l->a, given, value->at);
}

static void apply(struct loader *l, struct node *service, struct path *path)
{
	struct node *own = node_get(service, "environment");
	if (own && own->kind != NODE_MAP)
		own = NULL;
	if (!own && !node_get(service, "env_file"))
		return;
	struct path list = {.up = path, .key = "env_file"};
	struct env e = {.l = l, .into = node_new(l->a, NODE_MAP, own ? own->at : service->at)};
	map_init(&e.index);
	env_files_each(service, read_one, &(struct visit){.e = &e, .list = &list});
	for (size_t i = 0; i < e.into->map.len; i++)
		e.into->map.entries[i].value =
			resolve(l, e.into->map.entries[i].key, e.into->map.entries[i].value);
	for (size_t i = 0; own && i < own->map.len; i++)
		put(&e, own->map.entries[i].key,
			resolve(l, own->map.entries[i].key, own->map.entries[i].value));
	map_finish(&e.index);
	node_remove(service, "environment");
	node_put(l->a, service, "environment", e.into->at, e.into);
}

void env_files_apply(struct loader *l, struct node *root)
{
	struct path top = {.key = "services"};
	struct node *services = node_get(root, "services");
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->map.len; i++) {
		struct path path = {.up = &top, .key = services->map.entries[i].key};
		if (services->map.entries[i].value->kind == NODE_MAP)
			apply(l, services->map.entries[i].value, &path);
	}
}
