/* env_file: the files that a service names, in docker's format (KEY=value, nothing quoted) or
 * the Compose specification's (quotes, comments, variables), put under its environment. */
#include "compose/forms.h"
#include "compose/loader.h"
#include <string.h>

#define LINE_COST ((size_t)64)

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

static bool refuse(struct env *e, size_t line, const char *why)
{
	loader_error(e->l, e->at->at, e->path, NULL, "%s: line %zu: %s", e->file->path, line, why);
	return false;
}

static bool has_space(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (strchr(" \t\r\n\v\f", s.ptr[i]))
			return true;
	return false;
}

/* What stands between quotes, with \n and the like in double ones. */
static const char *unquote(struct arena *a, struct str s, char quote)
{
	struct buf b = {0};
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (c == '\\' && quote == '"' && i + 1 < s.len) {
			c = s.ptr[++i];
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
		}
		buf_addc(&b, c);
	}
	const char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

/* A value of the Compose specification's format. NULL: it was reported. */
static const char *spec_value(struct env *e, struct str value, size_t line)
{
	const char *text;
	value = str_trim(value);
	char quote =
		value.len && (value.ptr[0] == '"' || value.ptr[0] == '\'') ? value.ptr[0] : '\0';
	if (quote) {
		size_t end = 1;
		while (end < value.len && value.ptr[end] != quote)
			end += value.ptr[end] == '\\' && quote == '"' ? 2 : 1;
		if (end >= value.len) {
			refuse(e, line, "the closing quote is missing");
			return NULL;
		}
		text = unquote(e->l->a, str_make(value.ptr + 1, end - 1), quote);
		if (quote == '\'')
			return text;
	} else {
		for (size_t i = 1; i < value.len; i++)
			if (value.ptr[i] == '#' &&
				(value.ptr[i - 1] == ' ' || value.ptr[i - 1] == '\t'))
				value.len = i;
		if (value.len && value.ptr[0] == '#')
			value.len = 0;
		text = str_dup(e->l->a, str_trim(value));
	}
	return interpolate_string(e->l, text, e->at->at, e->path, &text) ? text : NULL;
}

static bool read_line(struct env *e, struct str s, size_t line)
{
	struct arena *a = e->l->a;
	while (s.len && strchr(" \t\r\v\f", s.ptr[0]))
		s = str_make(s.ptr + 1, s.len - 1);
	if (s.len == 0 || s.ptr[0] == '#')
		return true;
	if (!e->l->in->compat && str_starts(s, "export "))
		s = str_trim(str_make(s.ptr + 7, s.len - 7));
	struct str key = str_cut(&s, '=');
	if (!e->l->in->compat)
		key = str_trim(key);
	if (has_space(key))
		return refuse(e, line,
			arena_fmt(a, "variable '" STR_FMT "' contains whitespaces", STR_ARG(key)));
	if (key.len == 0)
		return refuse(e, line, "no variable name in front of the '='");
	const char *name = str_dup(a, key), *value;
	if (!s.ptr)
		value = loader_variable(e->l, name); /* a bare KEY: the caller's, or none at all */
	else if (e->l->in->compat)
		value = str_dup(a, s);
	else
		value = spec_value(e, s, line);
	if (!value)
		return !s.ptr;
	put(e, name, node_string(a, value, e->at->at));
	return true;
}

static size_t count_lines(struct str s)
{
	size_t lines = 1;
	for (size_t i = 0; i < s.len; i++)
		lines += s.ptr[i] == '\n';
	return lines;
}

static void read_file(struct env *e)
{
	struct str text = e->file->bytes;
	if (str_starts(text, "\xef\xbb\xbf"))
		text = str_make(text.ptr + 3, text.len - 3);
	size_t line = 1;
	if (!str_is_utf8(text) || (text.len && memchr(text.ptr, '\0', text.len))) {
		loader_error(e->l, e->at->at, e->path, NULL,
			"%s: invalid utf8 bytes or a NUL byte in it", e->file->path);
		return;
	}
	/* A line is a value, however short. */
	if (!loader_add_bytes(e->l, e->at->at, e->path, text.len + count_lines(text) * LINE_COST))
		return;
	while (text.len) {
		struct str s = str_cut(&text, '\n');
		if (s.len && s.ptr[s.len - 1] == '\r')
			s.len--;
		read_line(e, s, line++);
	}
}

struct visit {
	struct env *e;
	struct path *list;
	size_t index;
};

static void read_one(void *data, const struct node *path, bool optional)
{
	struct visit *v = data;
	struct env *e = v->e;
	struct path here = {.up = v->list, .index = v->index++};
	e->at = path;
	e->path = &here;
	e->file = loader_upload(e->l, path->text);
	if (e->file)
		read_file(e);
	else if (!optional && e->l->in->compat)
		loader_error(e->l, path->at, &here, NULL, "open %s: no such file or directory",
			e->l->in->dir ? form_path(e->l->a, e->l->in->dir, path->text) : path->text);
	else if (!optional)
		loader_error(e->l, path->at, &here,
			"send it along with the text, or say required: false",
			"env file %s: no such file", path->text);
	e->path = NULL; /* it stood on our stack */
}

void env_files_each(const struct node *service,
	void (*fn)(void *data, const struct node *path, bool optional), void *data)
{
	const struct node *list = node_get(service, "env_file");
	if (node_is(list, NODE_STRING))
		fn(data, list, false);
	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->seq.len; i++) {
		const struct node *item = list->seq.items[i];
		const struct node *path = item->kind == NODE_MAP ? node_get(item, "path") : item;
		const struct node *required = node_get(item, "required");
		if (node_is(path, NODE_STRING))
			fn(data, path, node_is(required, NODE_BOOL) && !required->flag);
	}
}

/* Docker asks the caller's environment for empty values too, we for missing ones. */
static struct node *resolve(struct loader *l, const char *key, struct node *value)
{
	bool asks = value->kind == NODE_NULL ||
		    (l->in->compat && node_is(value, NODE_STRING) && *value->text == '\0');
	const char *given = asks && value->tag == NODE_PLAIN ? loader_variable(l, key) : NULL;
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

struct compose_strings compose_env_file_keys(struct arena *a, struct str bytes)
{
	struct compose_strings keys = {0};
	keys.items = arena_array(a, const char *, count_lines(bytes));
	while (bytes.len) {
		struct str s = str_trim(str_cut(&bytes, '\n'));
		if (s.len && s.ptr[0] != '#' && !memchr(s.ptr, '=', s.len) && !has_space(s))
			keys.items[keys.len++] = str_dup(a, s);
	}
	return keys;
}
