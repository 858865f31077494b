/* config: the canonical text of a project, from the tree that was merged and checked: the schema
 * says what each value is and in which order the keys stand. What is empty, 0 or false is left
 * out where it means the same as nothing. */
#include "compose/forms.h"
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/duration.h"
#include "base/map.h"
#include "base/size.h"
#include "compose/schema.h"

struct writer {
	struct arena *a;
	const struct compose_project *p;
	bool escape;
};

static json_t *map_json(const struct writer *w, const struct node *n,
	const struct schema_key *table, const char *name);

static json_t *text_json(const struct writer *w, const char *text)
{
	struct buf b = {0};
	if (!w->escape || !strchr(text, '$'))
		return json_string(text);
	for (; *text; text++) {
		buf_addc(&b, *text);
		if (*text == '$')
			buf_addc(&b, '$');
	}
	json_t *j = json_stringn(b.ptr, b.len);
	buf_finish(&b);
	return j;
}

/* ---- what has no schema ---- */

static json_t *any_json(const struct writer *w, const struct node *n)
{
	json_t *j;
	switch (n->kind) {
	case NODE_NULL:
		return json_null();
	case NODE_BOOL:
		return json_boolean(n->flag);
	case NODE_INT:
		return json_integer(n->number);
	case NODE_FLOAT:
		return json_real(n->real);
	case NODE_STRING:
		return text_json(w, n->text);
	case NODE_SEQ:
		j = json_array();
		for (size_t i = 0; i < n->seq.len; i++)
			json_array_append_new(j, any_json(w, n->seq.items[i]));
		return j;
	case NODE_MAP:
		j = json_object();
		for (size_t i = 0; i < n->map.len; i++)
			json_object_set_new(
				j, n->map.entries[i].key, any_json(w, n->map.entries[i].value));
		return j;
	}
	return json_null();
}

/* ---- scalars: NULL = it says nothing ---- */

static json_t *int_json(const struct node *n, const struct schema_key *k)
{
	bool counts = (k->flags & F_ZERO) || strcmp(k->name, "mode") == 0;
	if (n->kind != NODE_INT || (n->number == 0 && !counts))
		return NULL;
	return json_integer(n->number);
}

static json_t *duration_json(const struct writer *w, const struct node *n)
{
	int64_t ns;
	if (n->kind != NODE_STRING || !duration_parse(str_of(n->text), &ns))
		return NULL;
	return json_string(duration_text(w->a, ns));
}

static json_t *bytes_json(const struct writer *w, const struct node *n)
{
	int64_t bytes;
	if (n->kind != NODE_STRING || !size_parse(str_of(n->text), &bytes) || bytes == 0)
		return NULL;
	return json_string(arena_fmt(w->a, "%lld", (long long)bytes));
}

/* ---- lists and mappings ---- */

static json_t *list_json(const struct writer *w, const struct node *n,
	const struct schema_key *items, bool keep_empty)
{
	if (n->kind == NODE_STRING) { /* of a key that nothing reads: one is a list of one */
		json_t *one = json_array();
		json_array_append_new(one, text_json(w, n->text));
		return one;
	}
	if (n->kind != NODE_SEQ || (n->seq.len == 0 && !keep_empty))
		return NULL;
	json_t *list = json_array();
	for (size_t i = 0; i < n->seq.len; i++) {
		const struct node *item = n->seq.items[i];
		json_array_append_new(list, items && item->kind == NODE_MAP
						    ? map_json(w, item, items, "")
						    : any_json(w, item));
	}
	return list;
}

static int by_key(const void *x, const void *y)
{
	const struct node_entry *const *a = x, *const *b = y;
	return strcmp((*a)->key, (*b)->key);
}

static const struct node_entry **sorted(const struct writer *w, const struct node *n)
{
	const struct node_entry **list =
		arena_array(w->a, const struct node_entry *, n->map.len + 1);
	for (size_t i = 0; i < n->map.len; i++)
		list[i] = &n->map.entries[i];
	qsort(list, n->map.len, sizeof(*list), by_key);
	return list;
}

static json_t *pairs_json(const struct writer *w, const struct node *n, bool keep_empty)
{
	if (n->kind != NODE_MAP || (n->map.len == 0 && !keep_empty))
		return NULL;
	json_t *o = json_object();
	const struct node_entry **list = sorted(w, n);
	for (size_t i = 0; i < n->map.len; i++)
		json_object_set_new(o, list[i]->key, any_json(w, list[i]->value));
	return o;
}

/* One number where both limits are the same. */
static json_t *ulimit_json(const struct node *n)
{
	const struct node *soft = node_get(n, "soft"), *hard = node_get(n, "hard");
	if (!node_is(soft, NODE_INT) || !node_is(hard, NODE_INT))
		return json_null();
	if (soft->number == hard->number)
		return json_integer(soft->number);
	json_t *o = json_object();
	json_object_set_new(o, "soft", json_integer(soft->number));
	json_object_set_new(o, "hard", json_integer(hard->number));
	return o;
}

static json_t *names_json(const struct writer *w, const struct node *n, const struct schema_key *k)
{
	if (n->kind != NODE_MAP || n->map.len == 0)
		return NULL;
	json_t *o = json_object();
	const struct node_entry **list = sorted(w, n);
	for (size_t i = 0; i < n->map.len; i++) {
		const struct node *v = list[i]->value;
		bool silent = v->kind != NODE_MAP || v->tag == NODE_SILENT;
		json_object_set_new(o, list[i]->key,
			k->kind == K_ULIMITS ? ulimit_json(v)
			: silent             ? json_null()
					     : map_json(w, v, k->sub, ""));
	}
	return o;
}

/* Names alone where nothing more is said, in the order of the text. */
static json_t *depends_json(
	const struct writer *w, const struct node *n, const struct schema_key *k)
{
	json_t *names = json_array();
	for (size_t i = 0; n->kind == NODE_MAP && i < n->map.len; i++) {
		const struct node *v = n->map.entries[i].value;
		if (v->kind == NODE_MAP && v->tag != NODE_SILENT && v->map.len) {
			json_decref(names);
			return names_json(w, n, k);
		}
		json_array_append_new(names, text_json(w, n->map.entries[i].key));
	}
	if (json_array_size(names))
		return names;
	json_decref(names);
	return NULL;
}

/* A path alone where nothing more is said. Docker prints them; by our own rules their values stand
 * in `environment`, and a text that named them would not load where they are not. */
static json_t *env_files_json(
	const struct writer *w, const struct node *n, const struct schema_key *k)
{
	if (w->escape || n->kind != NODE_SEQ || n->seq.len == 0)
		return NULL;
	json_t *list = json_array();
	for (size_t i = 0; i < n->seq.len; i++) {
		const struct node *item = n->seq.items[i], *path = node_get(item, "path");
		bool plain =
			node_is(item, NODE_MAP) && item->map.len == 1 && node_is(path, NODE_STRING);
		json_array_append_new(list, plain ? text_json(w, path->text)
					    : node_is(item, NODE_MAP)
						    ? map_json(w, item, k->sub, "")
						    : any_json(w, item));
	}
	return list;
}

/* By our own rules nobody reads it: it stays as it stands. */
static json_t *build_json(const struct writer *w, const struct node *n, const struct schema_key *k)
{
	if (n->kind == NODE_STRING)
		return json_pack("{s:o}", "context", any_json(w, n));
	return w->escape ? any_json(w, n) : map_json(w, n, k->sub, "");
}

static json_t *value_json(const struct writer *w, const struct node *n, const struct schema_key *k)
{
	switch (k->kind) {
	case K_ANY:
	case K_TEXT:
		return any_json(w, n);
	case K_BUILD:
		return build_json(w, n, k);
	case K_STRING:
	case K_CPUS:
		return n->kind == NODE_STRING && *n->text ? text_json(w, n->text) : NULL;
	case K_BOOL:
		return n->kind == NODE_BOOL && n->flag ? json_true() : NULL;
	case K_TRISTATE:
		return n->kind == NODE_BOOL ? json_boolean(n->flag) : NULL;
	case K_INT:
		return int_json(n, k);
	case K_NUMBER:
		return n->kind == NODE_FLOAT && n->real != 0 ? json_real(n->real) : NULL;
	case K_DURATION:
		return duration_json(w, n);
	case K_BYTES:
		return bytes_json(w, n);
	case K_STRINGS:
	case K_ONE_OR_MORE:
	case K_COMMAND:
	case K_TEST:
	case K_HOSTS:
		return list_json(w, n, NULL, w->escape && strncmp(k->name, "dns", 3) == 0);
	case K_PAIRS:
	case K_ENV:
	case K_OPTIONS:
		return pairs_json(w, n, w->escape && strcmp(k->name, "driver_opts") == 0);
	case K_MAP:
		return n->kind == NODE_MAP ? map_json(w, n, k->sub, k->name) : NULL;
	case K_ITEMS:
	case K_PORTS:
	case K_VOLUMES:
	case K_FILES:
		return list_json(w, n, k->sub, false);
	case K_NETWORKS:
	case K_ULIMITS:
		return names_json(w, n, k);
	case K_DEPENDS:
		return depends_json(w, n, k);
	case K_ENV_FILE:
		return env_files_json(w, n, k);
	case K_EXTERNAL:
		return (n->kind == NODE_BOOL && n->flag) || n->kind == NODE_MAP ? json_true()
										: NULL;
	case K_NAMED:
	case K_EXTENDS:
	case K_INCLUDE:
		break; /* gone when the text is whole */
	}
	return NULL;
}

static bool is_extra(const char *key)
{
	return key[0] == 'x' && key[1] == '-';
}

/* An empty one says something, but in these. */
static bool means_nothing(const char *name)
{
	static const char *const names[] = {
		"deploy", "resources", "placement", "credential_spec", "ipam"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* What docker does not know it does not print. By our own rules profiles were asked for already: a
 * service that stands there is wanted. */
static bool printed(const struct writer *w, const struct schema_key *k)
{
	return w->escape ? strcmp(k->name, "profiles") != 0 : !(k->flags & F_SPEC);
}

/* In the order of the table, extras behind. `name` is the key that holds it, "" = none. */
static json_t *map_json(const struct writer *w, const struct node *n,
	const struct schema_key *table, const char *name)
{
	json_t *o = json_object();
	for (const struct schema_key *k = table; k->name; k++) {
		const struct node *v = node_get(n, k->name);
		json_t *j = v && v->kind != NODE_NULL && printed(w, k) ? value_json(w, v, k) : NULL;
		if (j)
			json_object_set_new(o, k->name, j);
	}
	const struct node_entry **list = sorted(w, n);
	for (size_t i = 0; i < n->map.len; i++)
		if (is_extra(list[i]->key))
			json_object_set_new(o, list[i]->key, any_json(w, list[i]->value));
	if (json_object_size(o) || !means_nothing(name))
		return o;
	json_decref(o);
	return NULL;
}

/* ---- what the model knows better ---- */

static void put_text(const struct writer *w, json_t *o, const char *key, const char *text)
{
	if (text)
		json_object_set_new(o, key, text_json(w, text));
}

/* The name stands first. */
static void put_name(const struct writer *w, json_t *o, const char *name)
{
	json_t *rest = json_copy(o);
	json_object_clear(o);
	put_text(w, o, "name", name);
	json_object_del(rest, "name");
	json_object_update(o, rest);
	json_decref(rest);
}

static void finish_services(const struct writer *w, json_t *services)
{
	for (size_t i = 0; i < w->p->services_len; i++) {
		const struct compose_service *s = &w->p->services[i];
		json_t *list = json_object_get(json_object_get(services, s->key), "volumes");
		for (size_t k = 0; k < s->volumes_len && k < json_array_size(list); k++)
			if (strcmp(s->volumes[k].type, "bind") == 0)
				put_text(
					w, json_array_get(list, k), "source", s->volumes[k].source);
	}
}

static void finish_secrets(
	const struct writer *w, json_t *section, const struct compose_secret *list, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		json_t *o = json_object_get(section, list[i].key);
		if (list[i].external)
			put_name(w, o, list[i].name);
		if (list[i].file && *list[i].file && (w->p->dir || w->escape))
			put_text(w, o, "file",
				w->p->dir ? form_path(w->a, w->p->dir, list[i].file)
					  : list[i].file);
	}
}

/* external: {name: x} becomes name: x beside external: true. */
static void finish(const struct writer *w, json_t *root)
{
	const struct compose_project *p = w->p;
	const json_t *networks = json_object_get(root, "networks");
	const json_t *volumes = json_object_get(root, "volumes");
	for (size_t i = 0; i < p->networks_len; i++)
		if (p->networks[i].external)
			put_name(w, json_object_get(networks, p->networks[i].key),
				p->networks[i].name);
	for (size_t i = 0; i < p->volumes_len; i++)
		if (p->volumes[i].external)
			put_name(
				w, json_object_get(volumes, p->volumes[i].key), p->volumes[i].name);
	finish_services(w, json_object_get(root, "services"));
	finish_secrets(w, json_object_get(root, "secrets"), p->secrets, p->secrets_len);
	finish_secrets(w, json_object_get(root, "configs"), p->configs, p->configs_len);
}

static json_t *section_json(
	const struct writer *w, const struct node *n, const struct schema_key *k)
{
	json_t *o = json_object();
	const struct node_entry **list = sorted(w, n);
	for (size_t i = 0; i < n->map.len; i++)
		json_object_set_new(o, list[i]->key,
			is_extra(list[i]->key) || list[i]->value->kind != NODE_MAP
				? any_json(w, list[i]->value)
				: map_json(w, list[i]->value, k->sub, ""));
	return o;
}

json_t *compose_config(struct arena *a, const struct compose_project *p, bool escape)
{
	struct writer w = {.a = a, .p = p, .escape = escape};
	json_t *root = json_object();
	if (!escape) { /* docker prints these always */
		json_object_set_new(root, "version", json_string("3.13"));
		json_object_set_new(root, "services", json_object());
	}
	for (const struct schema_key *k = schema_root; k->name; k++) {
		const struct node *n = node_get(p->tree, k->name);
		bool latest = node_is(n, NODE_STRING) && !escape &&
			      (*n->text == '\0' || strcmp(n->text, "3") == 0);
		if (latest)
			continue;
		if (node_is(n, NODE_STRING))
			json_object_set_new(root, k->name, text_json(&w, n->text));
		else if (node_is(n, NODE_MAP) && (n->map.len || strcmp(k->name, "services") == 0))
			json_object_set_new(root, k->name, section_json(&w, n, k));
	}
	const struct node_entry **list = sorted(&w, p->tree);
	for (size_t i = 0; i < p->tree->map.len; i++)
		if (is_extra(list[i]->key))
			json_object_set_new(root, list[i]->key, any_json(&w, list[i]->value));
	finish(&w, root);
	return json_keep(a, root);
}
