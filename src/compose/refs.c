/* refs: what a text needs from beside it, for the client that sends it. */
#include "compose/loader.h"
#include <string.h>

struct files {
	struct loader *l;
	struct compose_file_ref *items;
	size_t len, cap;
	struct map seen; /* path → index + 1 */
};

static void add_file(
	struct files *f, enum compose_ref_kind kind, const struct node *path, bool optional)
{
	uintptr_t at = (uintptr_t)map_gets(&f->seen, path->text);
	if (at) {
		f->items[at - 1].optional &= optional;
		return;
	}
	if (f->len == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 8;
		struct compose_file_ref *items = arena_array(f->l->a, struct compose_file_ref, cap);
		if (f->len)
			memcpy(items, f->items, f->len * sizeof(*items));
		f->items = items;
		f->cap = cap;
	}
	f->items[f->len++] = (struct compose_file_ref){
		.kind = kind, .path = path->text, .optional = optional, .at = path->at};
	map_puts(&f->seen, path->text, (void *)f->len);
}

static void on_env_file(void *data, const struct node *path, bool optional)
{
	add_file(data, COMPOSE_REF_ENV_FILE, path, optional);
}

static void scan_files(struct files *f, const struct node *root)
{
	static const struct {
		const char *section;
		enum compose_ref_kind kind;
	} kinds[] = {{"secrets", COMPOSE_REF_SECRET}, {"configs", COMPOSE_REF_CONFIG}};
	const struct node *services = node_get(root, "services");
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->map.len; i++)
		env_files_each(services->map.entries[i].value, on_env_file, f);
	for (size_t k = 0; k < 2; k++) {
		const struct node *section = node_get(root, kinds[k].section);
		for (size_t i = 0; node_is(section, NODE_MAP) && i < section->map.len; i++) {
			const struct node *file = node_get(section->map.entries[i].value, "file");
			const struct node *external =
				node_get(section->map.entries[i].value, "external");
			bool skip = node_is(external, NODE_MAP) ||
				    (node_is(external, NODE_BOOL) && external->flag);
			if (node_is(file, NODE_STRING) && !skip)
				add_file(f, kinds[k].kind, file, false);
		}
	}
}

bool compose_file_refs(struct arena *a, const struct compose_input *in,
	struct compose_file_ref **ret_refs, size_t *ret_len, struct compose_problems *errors)
{
	struct loader l;
	struct compose_problems warnings;
	loader_init(&l, a, in, errors, &warnings);
	struct files f = {.l = &l};
	map_init(&f.seen);
	for (size_t i = 0; i < in->texts_len && in->texts[i].text.len <= l.limits.bytes; i++) {
		struct node *root = yaml_load(&l, (uint16_t)i);
		if (!root)
			continue;
		interpolate_text(&l, root);
		scan_files(&f, root);
	}
	map_finish(&f.seen);
	loader_finish(&l);
	*ret_refs = f.items;
	*ret_len = f.len;
	return errors->len == 0;
}

struct variables {
	struct loader *l;
	struct compose_variable_ref *items;
	size_t len, cap;
	struct map seen;
	struct compose_mark at;
};

static void add_variable(void *data, const char *name, bool with_default)
{
	struct variables *v = data;
	uintptr_t at = (uintptr_t)map_gets(&v->seen, name);
	if (at) {
		v->items[at - 1].has_default &= with_default;
		return;
	}
	if (v->len == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 8;
		struct compose_variable_ref *items =
			arena_array(v->l->a, struct compose_variable_ref, cap);
		if (v->len)
			memcpy(items, v->items, v->len * sizeof(*items));
		v->items = items;
		v->cap = cap;
	}
	v->items[v->len++] = (struct compose_variable_ref){
		.name = name, .has_default = with_default, .at = v->at};
	map_puts(&v->seen, name, (void *)v->len);
}

static void scan_strings(struct variables *v, const struct node *n)
{
	if (n->kind == NODE_STRING) {
		v->at = n->at;
		interpolate_names(v->l->a, n->text, v->l->in->compat, add_variable, v);
	} else if (n->kind == NODE_SEQ) {
		for (size_t i = 0; i < n->seq.len; i++)
			scan_strings(v, n->seq.items[i]);
	} else if (n->kind == NODE_MAP) {
		for (size_t i = 0; i < n->map.len; i++)
			scan_strings(v, n->map.entries[i].value);
	}
}

/* Keys of `environment` that the caller's environment may fill, and variables that are a secret's
 * content. */
static void scan_keys(struct variables *v, const struct node *root)
{
	static const char *const sections[] = {"secrets", "configs"};
	const struct node *services = node_get(root, "services");
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->map.len; i++) {
		const struct node *env = node_get(services->map.entries[i].value, "environment");
		for (size_t k = 0; node_is(env, NODE_SEQ) && k < env->seq.len; k++) {
			const struct node *item = env->seq.items[k];
			v->at = item->at;
			if (item->kind == NODE_STRING && !strchr(item->text, '='))
				add_variable(v, item->text, true);
		}
		for (size_t k = 0; node_is(env, NODE_MAP) && k < env->map.len; k++) {
			const struct node_entry *e = &env->map.entries[k];
			v->at = e->at;
			bool empty = e->value->kind == NODE_STRING && *e->value->text == '\0' &&
				     v->l->in->compat;
			if (e->value->kind == NODE_NULL || empty)
				add_variable(v, e->key, true);
		}
	}
	for (size_t s = 0; s < 2; s++) {
		const struct node *section = node_get(root, sections[s]);
		for (size_t i = 0; node_is(section, NODE_MAP) && i < section->map.len; i++) {
			const struct node *name =
				node_get(section->map.entries[i].value, "environment");
			if (!node_is(name, NODE_STRING))
				continue;
			v->at = name->at;
			add_variable(v, name->text, false);
		}
	}
}

bool compose_variable_refs(struct arena *a, const struct compose_input *in,
	struct compose_variable_ref **ret_refs, size_t *ret_len, struct compose_problems *errors)
{
	static const char *const sections[] = {
		"services", "networks", "volumes", "secrets", "configs", "name"};
	struct loader l;
	struct compose_problems warnings;
	loader_init(&l, a, in, errors, &warnings);
	struct variables v = {.l = &l};
	map_init(&v.seen);
	for (size_t i = 0; i < in->texts_len && in->texts[i].text.len <= l.limits.bytes; i++) {
		struct node *root = yaml_load(&l, (uint16_t)i);
		if (!root)
			continue;
		for (size_t s = 0; s < sizeof(sections) / sizeof(*sections); s++) {
			const struct node *section = node_get(root, sections[s]);
			if (section)
				scan_strings(&v, section);
		}
		scan_keys(&v, root);
	}
	map_finish(&v.seen);
	loader_finish(&l);
	*ret_refs = v.items;
	*ret_len = v.len;
	return errors->len == 0;
}
