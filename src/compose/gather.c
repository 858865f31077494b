/* gather: a text with what it includes and extends. All files come from the uploads; each has its
 * own folder for relative paths and its own variables. */
#include "compose/gather.h"
#include <string.h>
#include "compose/check.h"

enum { MAX_CHAIN = 100 }; /* files including each other, services extending each other */

struct link { /* what is being read, outwards: a cycle closes on one of these */
	const struct link *up;
	const char *name;
};

static bool on_chain(const struct link *chain, const char *name)
{
	for (; chain; chain = chain->up)
		if (strcmp(chain->name, name) == 0)
			return true;
	return false;
}

static size_t chain_len(const struct link *chain)
{
	size_t n = 0;
	for (; chain; chain = chain->up)
		n++;
	return n;
}

/* "a → b → a" */
static void chain_write(struct buf *b, const struct link *chain)
{
	if (chain->up)
		chain_write(b, chain->up);
	buf_fmt(b, "%s → ", chain->name);
}

/* False: `name` is on the chain already, or the chain is too long; reported. */
static bool may_follow(struct loader *l, const struct link *chain, const char *name,
	const char *verb, struct compose_mark at, const struct path *path)
{
	if (chain_len(chain) >= MAX_CHAIN) {
		loader_error(l, at, path, NULL, "%s more than %d deep", verb, MAX_CHAIN);
		return false;
	}
	if (!on_chain(chain, name))
		return true;
	struct buf b = {0};
	chain_write(&b, chain);
	loader_error(l, at, path, "take one of them out", "%s itself: %s%s", verb, b.ptr, name);
	buf_finish(&b);
	return false;
}

static const struct compose_upload *find_upload(
	struct loader *l, const char *file, struct compose_mark at, const struct path *path)
{
	const struct compose_upload *u = loader_upload(l, file);
	if (u)
		return u;
	loader_error(l, at, path, "send it along with the text", "%s: no such file", file);
	l->incomplete = true;
	return NULL;
}

/* ---- include ---- */

static const struct node **strings_of(struct loader *l, const struct node *n, size_t *ret_len)
{
	size_t most = node_is(n, NODE_SEQ) ? n->seq.len : 1;
	const struct node **list = arena_array(l->a, const struct node *, most + 1);
	*ret_len = 0;
	if (node_is(n, NODE_STRING))
		list[(*ret_len)++] = n;
	for (size_t i = 0; node_is(n, NODE_SEQ) && i < n->seq.len; i++)
		if (n->seq.items[i]->kind == NODE_STRING)
			list[(*ret_len)++] = n->seq.items[i];
	return list;
}

bool include_read(struct loader *l, const struct node *item, struct include *ret)
{
	const struct node *paths = item->kind == NODE_MAP ? node_get(item, "path") : item;
	const struct node *dir = node_get(item, "project_directory");
	*ret = (struct include){0};
	ret->paths = strings_of(l, paths, &ret->paths_len);
	ret->env_files = strings_of(l, node_get(item, "env_file"), &ret->env_files_len);
	if (ret->paths_len == 0)
		return false;
	const char *first = loader_path(l, ret->paths[0]->at, ret->paths[0]->text);
	ret->dir = node_is(dir, NODE_STRING) && *dir->text
			   ? loader_folder(
				     l, arena_fmt(l->a, "%s/x", loader_path(l, dir->at, dir->text)))
			   : loader_folder(l, first);
	return true;
}

const struct env_scope *include_scope(
	struct loader *l, const struct include *include, const struct path *path, bool report)
{
	struct compose_mark at = include->paths[0]->at;
	struct env_scope *scope = loader_scope(l, loader_scope_at(l, at));
	for (size_t i = 0; i < include->env_files_len; i++) {
		const struct node *n = include->env_files[i];
		const char *file = loader_path(l, n->at, n->text);
		const struct compose_upload *u =
			report ? find_upload(l, file, n->at, path) : loader_upload(l, file);
		if (u)
			loader_dotenv(l, scope, u, n->at, path);
	}
	const char *own = arena_fmt(l->a, "%s%s.env", include->dir, *include->dir ? "/" : "");
	const struct compose_upload *u =
		include->env_files_len == 0 && *include->dir ? loader_upload(l, own) : NULL;
	if (u)
		loader_dotenv(l, scope, u, at, path);
	return scope;
}

/* What an include brings, as it stood in the text itself. */
static void import(struct loader *l, struct node *root, const struct node *from,
	struct compose_mark at, const struct path *path)
{
	static const char *const sections[] = {
		"services", "networks", "volumes", "secrets", "configs"};
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		const struct node *theirs = node_get(from, sections[i]);
		struct node *mine = node_get(root, sections[i]);
		if (!node_is(theirs, NODE_MAP))
			continue;
		if (!node_is(mine, NODE_MAP)) {
			node_remove(root, sections[i]);
			node_put(l->a, root, sections[i], at, mine = node_new(l->a, NODE_MAP, at));
		}
		struct map index;
		map_init(&index);
		for (size_t k = 0; k < mine->map.len; k++)
			map_puts(&index, mine->map.entries[k].key, mine->map.entries[k].value);
		for (size_t k = 0; k < theirs->map.len; k++) {
			const struct node_entry *e = &theirs->map.entries[k];
			const struct node *twin = map_gets(&index, e->key);
			if (!twin)
				node_put(l->a, mine, e->key, e->at, e->value);
			else if (!node_equal(twin, e->value))
				loader_error(l, at, path,
					"give one of them another name, or change it in a later -c "
					"file",
					"%s.%s is declared both here and in what is included",
					sections[i], e->key);
		}
		map_finish(&index);
	}
}

static void gather(struct loader *l, struct node *root, const struct link *up);

static void include_one(struct loader *l, struct node *root, const struct node *item,
	const struct path *path, const struct link *up)
{
	struct include include;
	struct node *merged = NULL;
	if (!include_read(l, item, &include))
		return; /* reported by the check, or empty */
	const struct env_scope *scope = include_scope(l, &include, path, true);
	for (size_t i = 0; i < include.paths_len; i++) {
		const struct node *n = include.paths[i];
		const char *name = loader_path(l, n->at, n->text);
		uint16_t file;
		if (!may_follow(l, up, name, "includes", n->at, path)) {
			l->incomplete = true;
			return;
		}
		const struct compose_upload *u = find_upload(l, name, n->at, path);
		if (!u || !loader_open(l, u, include.dir, scope, n->at, path, &file))
			return;
		struct node *tree = yaml_load(l, file);
		if (tree)
			gather(l, tree, &(struct link){.up = up, .name = l->sources[file].name});
		if (!tree)
			l->incomplete = true;
		else if (merged)
			merge_text(l, merged, tree);
		else
			merged = tree;
	}
	if (!merged)
		return;
	merge_finish(merged);
	import(l, root, merged, item->at, path);
}

static void include_all(struct loader *l, struct node *root, const struct link *up)
{
	const struct node *list = node_get(root, "include");
	struct path top = {.key = "include"};
	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->seq.len; i++)
		include_one(
			l, root, list->seq.items[i], &(struct path){.up = &top, .index = i}, up);
	node_remove(root, "include");
}

/* ---- extends ---- */

const struct node *extends_file(const struct node *service)
{
	const struct node *file = node_get(node_get(service, "extends"), "file");
	return node_is(file, NODE_STRING) && *file->text ? file : NULL;
}

/* The checked text that `file` names; each is read once. */
static struct node *extended_root(
	struct loader *l, const struct node *file, const struct path *path)
{
	const char *name = loader_path(l, file->at, file->text);
	const struct env_scope *scope = loader_scope_at(l, file->at);
	const char *key = arena_fmt(l->a, "%p %s", (const void *)scope, name);
	uintptr_t known = (uintptr_t)map_gets(&l->extended, key);
	uint16_t index;
	if (known)
		return l->sources[known - 1].root;
	const struct compose_upload *u = find_upload(l, name, file->at, path);
	if (!u || !loader_open(l, u, loader_folder(l, name), scope, file->at, path, &index))
		return NULL;
	map_puts(&l->extended, key, (void *)((uintptr_t)index + 1));
	struct node *root = yaml_load(l, index);
	if (root) {
		interpolate_text(l, root);
		check_text(l, root);
	}
	l->sources[index].root = root;
	return root;
}

/* The name that a cycle is told by. */
static const char *link_name(struct loader *l, const struct node_entry *service)
{
	uint16_t file = service->at.file;
	return file < l->in->texts_len
		       ? service->key
		       : arena_fmt(l->a, "%s (%s)", service->key, l->sources[file].name);
}

static void extend(
	struct loader *l, struct node *root, struct node_entry *e, const struct link *up);

/* The service that `e` extends, with what that one extends in turn; NULL: reported. */
static struct node *base_of(
	struct loader *l, struct node *root, const struct node_entry *e, const struct link *here)
{
	const struct node *extends = node_get(e->value, "extends"), *file = extends_file(e->value);
	const struct node *named = node_get(extends, "service");
	struct path top = {.key = "services"}, service = {.up = &top, .key = e->key},
		    path = {.up = &service, .key = "extends"};
	if (!node_is(named, NODE_STRING))
		return NULL; /* reported by the check */
	if (file)
		root = extended_root(l, file, &path);
	if (!root) {
		l->incomplete = true;
		return NULL;
	}
	struct node_entry *base = node_entry(node_get(root, "services"), named->text);
	if (!base) {
		loader_error(l, named->at, &path, NULL,
			"service %s extends \"%s\", which is not in %s", e->key, named->text,
			file ? l->sources[root->at.file].name : "this text");
		return NULL;
	}
	if (!may_follow(l, here, link_name(l, base), "extends", extends->at, &path))
		return NULL;
	extend(l, root, base, here);
	struct node *v = base->value;
	if (v->kind == NODE_NULL || (v->kind != NODE_MAP && v->tag == NODE_RESET))
		loader_error(l, named->at, &path, NULL, "service %s extends \"%s\", which has nothing in it",
			e->key, named->text);
	return v->kind == NODE_MAP ? v : NULL; /* anything else the check reports */
}

static void extend(struct loader *l, struct node *root, struct node_entry *e, const struct link *up)
{
	if (!node_get(e->value, "extends"))
		return;
	struct link here = {.up = up, .name = link_name(l, e)};
	const struct node *base = base_of(l, root, e, &here);
	struct node *whole = base ? loader_copy(l, base, e->at) : NULL;
	node_remove(e->value, "extends");
	if (!base)
		l->incomplete = true;
	if (!whole)
		return;
	whole->at = e->value->at;
	whole->tag = e->value->tag;
	merge_service(l, whole, e->value);
	e->value = whole;
}

static void extend_all(struct loader *l, struct node *root)
{
	const struct node *services = node_get(root, "services");
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->map.len; i++)
		extend(l, root, &services->map.entries[i], NULL);
}

/* ---- all ---- */

static void gather(struct loader *l, struct node *root, const struct link *up)
{
	interpolate_text(l, root);
	check_text(l, root);
	if (l->in->compat)
		return;
	include_all(l, root, up);
	extend_all(l, root);
}

void gather_text(struct loader *l, struct node *root)
{
	gather(l, root, &(struct link){.name = l->sources[root->at.file].name});
}
