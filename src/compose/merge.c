/* merge: a later text onto an earlier one, key by key as the schema's kinds say. Docker merges
 * Go structs: zero values never override (but 0 in a few counts), lists append, and lists of ports,
 * volumes, secrets and configs fall together by one field, in each service that both texts have. */
#include "compose/loader.h"
#include "compose/schema.h"
#include <stdlib.h>
#include <string.h>
#include "base/duration.h"

static void merge_map(
	struct loader *l, struct node *base, struct node *over, const struct schema_key *table);

static bool is_zero(const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL:
		return true;
	case NODE_BOOL:
		return !n->flag;
	case NODE_INT:
		return n->number == 0;
	case NODE_FLOAT:
		return n->real == 0;
	case NODE_STRING:
		return *n->text == '\0';
	case NODE_SEQ:
		return n->seq.len == 0;
	case NODE_MAP:
		return n->map.len == 0;
	}
	return true;
}

static void merge_pairs(
	struct loader *l, struct node *base, const struct node *over, bool keep_on_zero)
{
	struct map index;
	map_init(&index);
	for (size_t i = 0; i < base->map.len; i++)
		map_puts(&index, base->map.entries[i].key, (void *)(i + 1));
	for (size_t i = 0; i < over->map.len; i++) {
		const struct node_entry *e = &over->map.entries[i];
		uintptr_t at = (uintptr_t)map_gets(&index, e->key);
		if (!at)
			node_put(l->a, base, e->key, e->at, e->value);
		else if (e->value->tag == NODE_RESET)
			base->map.entries[at - 1].value = e->value; /* merge_finish takes it out */
		else if (!keep_on_zero || !is_zero(e->value))
			base->map.entries[at - 1].value = e->value;
	}
	map_finish(&index);
}

static void append(struct loader *l, struct node *base, const struct node *over, bool unique)
{
	struct map seen;
	map_init(&seen);
	for (size_t i = 0; unique && i < base->seq.len; i++)
		if (base->seq.items[i]->kind == NODE_STRING)
			map_puts(&seen, base->seq.items[i]->text, base);
	for (size_t i = 0; i < over->seq.len; i++) {
		struct node *item = over->seq.items[i];
		if (!unique || item->kind != NODE_STRING || !map_gets(&seen, item->text))
			node_push(l->a, base, item);
	}
	map_finish(&seen);
}

/* ---- lists with an identity ---- */

static const char *scalar_of(struct loader *l, const struct node *item, const char *key)
{
	const struct node *n = node_get(item, key);
	return n && node_is_scalar(n) ? node_scalar_text(l->a, n) : "";
}

static const char *identity(struct loader *l, const struct node *item, enum schema_kind kind)
{
	if (kind == K_VOLUMES)
		return scalar_of(l, item, "target");
	if (kind == K_FILES) {
		const char *target = scalar_of(l, item, "target");
		return l->in->compat || !*target ? scalar_of(l, item, "source") : target;
	}
	const char *published = scalar_of(l, item, "published");
	if (l->in->compat)
		return *published ? published : "0";
	const char *protocol = scalar_of(l, item, "protocol");
	return arena_fmt(l->a, "%s %s:%s/%s", scalar_of(l, item, "host_ip"), published,
		scalar_of(l, item, "target"), *protocol ? protocol : "tcp");
}

struct sorted {
	struct node *item;
	const char *text;
	int64_t number;
};

static int by_identity(const void *x, const void *y)
{
	const struct sorted *a = x, *b = y;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return strcmp(a->text, b->text);
}

static void sort_by_identity(struct loader *l, struct node *list, enum schema_kind kind)
{
	size_t n = list->seq.len;
	struct sorted *s = arena_array(l->a, struct sorted, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct node *published = node_get(list->seq.items[i], "published");
		s[i].item = list->seq.items[i];
		s[i].text = kind == K_PORTS ? "" : identity(l, s[i].item, kind);
		s[i].number =
			kind == K_PORTS && node_is(published, NODE_INT) ? published->number : 0;
	}
	qsort(s, n, sizeof(*s), by_identity);
	for (size_t i = 0; i < n; i++)
		list->seq.items[i] = s[i].item;
}

/* `over` may be NULL: docker passes the first text's list through the same mill. */
static void merge_by_identity(
	struct loader *l, struct node *base, const struct node *over, enum schema_kind kind)
{
	struct node *out = node_new(l->a, NODE_SEQ, base->at);
	const struct node *lists[] = {base, over};
	struct map index;
	map_init(&index);
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; lists[k] && i < lists[k]->seq.len; i++) {
			struct node *item = lists[k]->seq.items[i];
			const char *id = identity(l, item, kind);
			uintptr_t at = l->in->compat || k ? (uintptr_t)map_gets(&index, id) : 0;
			if (at) {
				out->seq.items[at - 1] = item;
				continue;
			}
			node_push(l->a, out, item);
			map_puts(&index, id, (void *)out->seq.len);
		}
	}
	map_finish(&index);
	base->seq = out->seq;
	if (l->in->compat)
		sort_by_identity(l, base, kind);
}

/* ---- mappings ---- */

static void merge_attachments(
	struct loader *l, struct node *base, struct node *over, const struct schema_key *table)
{
	for (size_t i = 0; i < over->map.len; i++) {
		struct node_entry *e = &over->map.entries[i];
		struct node *mine = node_get(base, e->key);
		if (!mine) {
			node_put(l->a, base, e->key, e->at, e->value);
		} else if (e->value->tag == NODE_RESET || e->value->tag == NODE_OVERRIDE) {
			*mine = *e->value;
		} else if (!l->in->compat) {
			merge_map(l, mine, e->value, table);
		} else if (mine->tag == NODE_SILENT) {
			*mine = *e->value;
		} else if (e->value->tag != NODE_SILENT) { /* docker takes over the aliases, and
						   nothing else that is sent */
			const struct node_entry *aliases = node_entry(e->value, "aliases");
			node_remove(mine, "aliases");
			if (aliases)
				node_put(l->a, mine, "aliases", aliases->at, aliases->value);
		}
	}
}

static void merge_logging(
	struct loader *l, struct node_entry *mine, struct node *over, const struct schema_key *k)
{
	const char *before = node_get_text(mine->value, "driver", ""),
		   *after = node_get_text(over, "driver", "");
	/* docker cannot put options where there are none */
	if (l->in->compat && !node_get(mine->value, "options"))
		node_remove(over, "options");
	if (*before && *after && strcmp(before, after) != 0)
		mine->value = over;
	else
		merge_map(l, mine->value, over, k->sub);
}

static void merge_sections(
	struct loader *l, struct node *base, struct node *over, const struct schema_key *k)
{
	bool services = strcmp(k->name, "services") == 0;
	struct map index;
	map_init(&index);
	for (size_t i = 0; i < base->map.len; i++)
		map_puts(&index, base->map.entries[i].key, (void *)(i + 1));
	for (size_t i = 0; i < over->map.len; i++) {
		struct node_entry *e = &over->map.entries[i];
		uintptr_t at = (uintptr_t)map_gets(&index, e->key);
		if (!at)
			node_put(l->a, base, e->key, e->at, e->value);
		else if ((l->in->compat && !services) || e->value->tag != NODE_PLAIN)
			base->map.entries[at - 1].value = e->value;
		else
			merge_map(l, base->map.entries[at - 1].value, e->value, k->sub);
	}
	map_finish(&index);
}

/* Lists and mappings of one kind fall together. False: the later value takes the place of the
 * earlier. */
static bool merge_inside(
	struct loader *l, struct node_entry *mine, struct node *over, const struct schema_key *k)
{
	bool compat = l->in->compat;
	switch (k->kind) {
	case K_ANY:
	case K_STRING:
	case K_BOOL:
	case K_TRISTATE:
	case K_INT:
	case K_NUMBER:
	case K_DURATION:
	case K_BYTES:
	case K_CPUS:
	case K_TEXT:
	case K_EXTERNAL:
	case K_COMMAND:
	case K_BUILD:
	case K_EXTENDS:
	case K_INCLUDE:
		return false;
	case K_TEST:
		if (compat)
			append(l, mine->value, over, false);
		return compat;
	case K_STRINGS:
	case K_ONE_OR_MORE:
	case K_HOSTS:
	case K_ITEMS:
	case K_ENV_FILE:
		append(l, mine->value, over, !compat);
		return true;
	case K_PAIRS:
	case K_OPTIONS:
	case K_ENV:
	case K_DEPENDS:
	case K_ULIMITS:
		merge_pairs(l, mine->value, over, compat && k->kind == K_ENV);
		return true;
	case K_MAP:
		if (strcmp(k->name, "logging") == 0)
			merge_logging(l, mine, over, k);
		else
			merge_map(l, mine->value, over, k->sub);
		return true;
	case K_NAMED:
		merge_sections(l, mine->value, over, k);
		return true;
	case K_NETWORKS:
		merge_attachments(l, mine->value, over, k->sub);
		return true;
	case K_PORTS:
	case K_VOLUMES:
	case K_FILES:
		merge_by_identity(l, mine->value, over, k->kind);
		return true;
	}
	return false;
}

static void merge_value(
	struct loader *l, struct node_entry *mine, struct node *over, const struct schema_key *k)
{
	bool collections = mine->value->kind == over->kind && !node_is_scalar(over);
	if (collections && merge_inside(l, mine, over, k))
		return;
	int64_t ns = 1;
	if (k->kind == K_DURATION && over->kind == NODE_STRING)
		duration_parse(str_of(over->text), &ns);
	bool zero = is_zero(over) || ns == 0;
	bool exempt = over->kind == NODE_INT && (k->flags & F_ZERO);
	bool counts = l->in->compat ? !zero || exempt : over->kind != NODE_NULL;
	if (counts)
		mine->value = over;
}

static void merge_map(
	struct loader *l, struct node *base, struct node *over, const struct schema_key *table)
{
	if (base->kind != NODE_MAP || over->kind != NODE_MAP)
		return;
	for (size_t i = 0; i < over->map.len; i++) {
		struct node_entry *e = &over->map.entries[i];
		const struct schema_key *k = schema_find(table, e->key);
		struct node_entry *mine = node_entry(base, e->key);
		if (!k && l->in->compat && table == schema_root)
			continue; /* docker keeps the first text's x-… */
		if (!mine && l->in->compat && e->value->kind == NODE_SEQ && e->value->seq.len == 0)
			continue;
		if (!mine)
			node_put(l->a, base, e->key, e->at, e->value);
		else if (!k || e->value->tag != NODE_PLAIN)
			mine->value = e->value;
		else
			merge_value(l, mine, e->value, k);
	}
	for (size_t i = 0; l->in->compat && i < base->map.len; i++) {
		struct node_entry *e = &base->map.entries[i];
		const struct schema_key *k = schema_find(table, e->key);
		bool listed =
			k && (k->kind == K_PORTS || k->kind == K_VOLUMES || k->kind == K_FILES);
		if (listed && e->value->kind == NODE_SEQ && !node_get(over, e->key))
			merge_by_identity(l, e->value, NULL, k->kind);
	}
}

void merge_text(struct loader *l, struct node *base, struct node *over)
{
	merge_map(l, base, over, schema_root);
}

void merge_service(struct loader *l, struct node *base, struct node *over)
{
	merge_map(l, base, over, schema_find(schema_root, "services")->sub);
}

void merge_finish(struct node *n)
{
	size_t kept = 0;
	for (size_t i = 0; n->kind == NODE_SEQ && i < n->seq.len; i++) {
		if (n->seq.items[i]->tag == NODE_RESET)
			continue;
		merge_finish(n->seq.items[i]);
		n->seq.items[kept++] = n->seq.items[i];
	}
	if (n->kind == NODE_SEQ)
		n->seq.len = kept;
	kept = 0;
	for (size_t i = 0; n->kind == NODE_MAP && i < n->map.len; i++) {
		struct node_entry e = n->map.entries[i];
		if (e.value->tag == NODE_RESET)
			continue;
		merge_finish(e.value);
		n->map.entries[kept++] = e;
	}
	if (n->kind == NODE_MAP)
		n->map.len = kept;
}
