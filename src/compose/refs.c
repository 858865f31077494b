/* refs: what the texts need from beside them, for the client that sends it: files, and variables of
 * its environment. Walks the texts and all that they include and extend, as far as it came along.
 */
#include "compose/gather.h"
#include <string.h>
#include "compose/dotenv.h"

struct files {
	struct compose_file_ref *items;
	size_t len, cap;
	struct map seen; /* path → index + 1 */
};
struct variables {
	struct compose_variable_ref *items;
	size_t len, cap;
	struct map seen;
	struct compose_mark at;
};
struct walk {
	struct loader *l;
	struct map entered; /* path, folder and variables of what was walked through */
	struct files files;
	struct variables variables;
};

/* ---- files ---- */

static void add_file(struct walk *w, enum compose_ref_kind kind, const char *path, bool optional,
	struct compose_mark at)
{
	struct files *f = &w->files;
	uintptr_t known = (uintptr_t)map_gets(&f->seen, path);
	if (known) {
		f->items[known - 1].optional &= optional;
		return;
	}
	if (f->len == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 8;
		struct compose_file_ref *items = arena_array(w->l->a, struct compose_file_ref, cap);
		if (f->len)
			memcpy(items, f->items, f->len * sizeof(*items));
		f->items = items;
		f->cap = cap;
	}
	f->items[f->len++] = (struct compose_file_ref){.kind = kind,
		.path = path,
		.optional = optional,
		.file = at.line ? w->l->sources[at.file].name : "",
		.at = at};
	map_puts(&f->seen, path, (void *)f->len);
}

static const char *path_of(struct walk *w, const struct node *path)
{
	return loader_path(w->l, path->at, path->text);
}

/* ---- variables ---- */

static void add_variable(void *data, const char *name, bool with_default)
{
	struct walk *w = data;
	struct variables *v = &w->variables;
	uintptr_t at = (uintptr_t)map_gets(&v->seen, name);
	if (at) {
		v->items[at - 1].has_default &= with_default;
		return;
	}
	if (v->len == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 8;
		struct compose_variable_ref *items =
			arena_array(w->l->a, struct compose_variable_ref, cap);
		if (v->len)
			memcpy(items, v->items, v->len * sizeof(*items));
		v->items = items;
		v->cap = cap;
	}
	v->items[v->len++] = (struct compose_variable_ref){
		.name = name, .has_default = with_default, .at = v->at};
	map_puts(&v->seen, name, (void *)v->len);
}

/* What an env file asks of the caller: bare names, and ${…} in values. */
static void scan_env_file(
	struct walk *w, const struct compose_upload *file, bool raw, struct compose_mark at)
{
	struct loader *l = w->l;
	struct dotenv d = dotenv_open(l->a, file->bytes, raw || l->in->compat);
	w->variables.at = at;
	for (struct dotenv_line line; dotenv_next(&d, &line);) {
		if (!line.error && !line.value)
			add_variable(w, line.name, true);
		else if (!line.error && !line.literal)
			interpolate_names(l->a, line.value, false, add_variable, w);
	}
}

static void on_env_file(void *data, const struct node *path, bool optional, const char *format)
{
	struct walk *w = data;
	const char *name = path_of(w, path);
	const struct compose_upload *u = loader_upload(w->l, name);
	add_file(w, COMPOSE_REF_ENV_FILE, name, optional, path->at);
	if (u)
		scan_env_file(w, u, *format != '\0', path->at);
}

static void scan_files(struct walk *w, const struct node *root)
{
	static const struct {
		const char *section;
		enum compose_ref_kind kind;
	} kinds[] = {{"secrets", COMPOSE_REF_SECRET}, {"configs", COMPOSE_REF_CONFIG}};
	const struct node *services = node_get(root, "services");
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->map.len; i++)
		env_files_each(services->map.entries[i].value, on_env_file, w);
	for (size_t k = 0; k < 2; k++) {
		const struct node *section = node_get(root, kinds[k].section);
		for (size_t i = 0; node_is(section, NODE_MAP) && i < section->map.len; i++) {
			const struct node *file = node_get(section->map.entries[i].value, "file");
			const struct node *external =
				node_get(section->map.entries[i].value, "external");
			bool skip = node_is(external, NODE_MAP) ||
				    (node_is(external, NODE_BOOL) && external->flag);
			if (node_is(file, NODE_STRING) && !skip)
				add_file(w, kinds[k].kind, path_of(w, file), false, file->at);
		}
	}
}

static void scan_strings(struct walk *w, const struct node *n)
{
	if (n->kind == NODE_STRING) {
		w->variables.at = n->at;
		interpolate_names(w->l->a, n->text, w->l->in->compat, add_variable, w);
	} else if (n->kind == NODE_SEQ) {
		for (size_t i = 0; i < n->seq.len; i++)
			scan_strings(w, n->seq.items[i]);
	} else if (n->kind == NODE_MAP) {
		for (size_t i = 0; i < n->map.len; i++)
			scan_strings(w, n->map.entries[i].value);
	}
}

/* Keys of `environment` that the caller's environment may fill. */
static void scan_environment(struct walk *w, const struct node *env)
{
	for (size_t k = 0; node_is(env, NODE_SEQ) && k < env->seq.len; k++) {
		const struct node *item = env->seq.items[k];
		w->variables.at = item->at;
		if (item->kind == NODE_STRING && !strchr(item->text, '='))
			add_variable(w, item->text, true);
	}
	for (size_t k = 0; node_is(env, NODE_MAP) && k < env->map.len; k++) {
		const struct node_entry *e = &env->map.entries[k];
		w->variables.at = e->at;
		bool empty = e->value->kind == NODE_STRING && *e->value->text == '\0' &&
			     w->l->in->compat;
		if (e->value->kind == NODE_NULL || empty)
			add_variable(w, e->key, true);
	}
}

/* And variables that are a secret's content, and COMPOSE_PROFILES. */
static void scan_keys(struct walk *w, const struct node *root)
{
	static const char *const sections[] = {"secrets", "configs"};
	const struct node *services = node_get(root, "services");
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->map.len; i++) {
		const struct node *service = services->map.entries[i].value;
		const struct node *profiles = node_get(service, "profiles");
		scan_environment(w, node_get(service, "environment"));
		if (profiles && !w->l->in->compat) {
			w->variables.at = profiles->at;
			add_variable(w, "COMPOSE_PROFILES", true);
		}
	}
	for (size_t s = 0; s < 2; s++) {
		const struct node *section = node_get(root, sections[s]);
		for (size_t i = 0; node_is(section, NODE_MAP) && i < section->map.len; i++) {
			const struct node *name =
				node_get(section->map.entries[i].value, "environment");
			if (!node_is(name, NODE_STRING))
				continue;
			w->variables.at = name->at;
			add_variable(w, name->text, false);
		}
	}
}

/* ---- the walk ---- */

static void walk_text(struct walk *w, uint16_t file, bool includes);

/* An upload under a folder and variables, unless that was walked through already: what includes
 * itself ends here. */
static void walk_upload(struct walk *w, const struct node *path, const char *dir,
	const struct env_scope *scope, bool includes)
{
	struct loader *l = w->l;
	uint16_t file;
	const char *name = path_of(w, path);
	const char *key = arena_fmt(l->a, "%d %s %s", includes, dir, name);
	add_file(w, COMPOSE_REF_COMPOSE, name, false, path->at);
	const struct compose_upload *u = loader_upload(l, name);
	if (!u || map_gets(&w->entered, key))
		return;
	map_puts(&w->entered, key, w);
	if (loader_open(l, u, dir, scope, path->at, NULL, &file))
		walk_text(w, file, includes);
}

static void walk_dotenv(struct walk *w, const char *path, bool optional, struct compose_mark at)
{
	const struct compose_upload *u = loader_upload(w->l, path);
	add_file(w, COMPOSE_REF_DOTENV, path, optional, at);
	if (u)
		scan_env_file(w, u, false, at);
}

static void walk_include(struct walk *w, const struct node *item)
{
	struct loader *l = w->l;
	struct include include;
	if (!include_read(l, item, &include))
		return;
	struct compose_mark at = include.paths[0]->at;
	for (size_t i = 0; i < include.env_files_len; i++)
		walk_dotenv(w, path_of(w, include.env_files[i]), false, include.env_files[i]->at);
	if (include.env_files_len == 0 && *include.dir)
		walk_dotenv(w, arena_fmt(l->a, "%s/.env", include.dir), true, at);
	const struct env_scope *scope = include_scope(l, &include, NULL, false);
	for (size_t i = 0; i < include.paths_len; i++)
		walk_upload(w, include.paths[i], include.dir, scope, true);
}

static void walk_text(struct walk *w, uint16_t file, bool includes)
{
	struct loader *l = w->l;
	struct node *root = yaml_load(l, file);
	if (!root)
		return;
	scan_strings(w, root);
	scan_keys(w, root);
	interpolate_text(l, root);
	scan_files(w, root);
	if (l->in->compat)
		return;
	const struct node *list = includes ? node_get(root, "include") : NULL;
	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->seq.len; i++)
		walk_include(w, list->seq.items[i]);
	const struct node *services = node_get(root, "services");
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->map.len; i++) {
		const struct node *path = extends_file(services->map.entries[i].value);
		if (path)
			walk_upload(w, path, loader_folder(l, path_of(w, path)),
				loader_scope_at(l, path->at), false);
	}
}

static void walk_all(struct walk *w, struct loader *l)
{
	*w = (struct walk){.l = l};
	loader_read_dotenv(l);
	map_init(&w->entered);
	map_init(&w->files.seen);
	map_init(&w->variables.seen);
	const struct compose_upload *own = loader_upload(l, ".env");
	if (!l->in->compat) /* docker reads none by itself */
		add_file(w, COMPOSE_REF_DOTENV, ".env", true, (struct compose_mark){0});
	if (own)
		scan_env_file(w, own, false, (struct compose_mark){0});
	for (size_t i = 0; i < l->in->texts_len; i++) {
		l->bytes += l->in->texts[i].text.len;
		if (l->bytes <= l->limits.bytes)
			walk_text(w, (uint16_t)i, true);
	}
	map_finish(&w->entered);
	map_finish(&w->files.seen);
	map_finish(&w->variables.seen);
	loader_finish(l);
}

bool compose_file_refs(struct arena *a, const struct compose_input *in,
	struct compose_file_ref **ret_refs, size_t *ret_len, struct compose_problems *errors)
{
	struct loader l;
	struct compose_problems warnings;
	struct walk w;
	loader_init(&l, a, in, errors, &warnings);
	walk_all(&w, &l);
	*ret_refs = w.files.items;
	*ret_len = w.files.len;
	return errors->len == 0;
}

bool compose_variable_refs(struct arena *a, const struct compose_input *in,
	struct compose_variable_ref **ret_refs, size_t *ret_len, struct compose_problems *errors)
{
	struct loader l;
	struct compose_problems warnings;
	struct walk w;
	loader_init(&l, a, in, errors, &warnings);
	l.lenient = true; /* what is missing is what it is asked for */
	walk_all(&w, &l);
	*ret_refs = w.variables.items;
	*ret_len = w.variables.len;
	return errors->len == 0;
}

const char *compose_dotenv_problem(struct arena *a, struct str bytes)
{
	struct dotenv d = dotenv_open(a, bytes, false);
	for (struct dotenv_line line; dotenv_next(&d, &line);)
		if (line.error)
			return arena_fmt(a, "line %zu: %s", line.number, line.error);
	return NULL;
}
