/* check_root: a whole text: its version, its keys, and what a stack ignores. */
#include "compose/check.h"
#include <stdlib.h>
#include <string.h>

static const char *version_of(struct loader *l, const struct node *root)
{
	const struct node *v = node_get(root, "version");
	const char *text = v ? node_scalar_text(l->a, v) : "";
	return *text == '\0' || strcmp(text, "3") == 0 ? "3.13" : text;
}

/* 0 to 13 of 3.0 to 3.13; −1: docker knows no such version */
static int version_minor(const char *text)
{
	int64_t minor;
	bool known = strncmp(text, "3.", 2) == 0 && text[2] >= '0' && text[2] <= '9' &&
		     !(text[2] == '0' && text[3]) && str_to_i64(str_of(text + 2), &minor) &&
		     minor <= NEWEST_MINOR;
	return known ? (int)minor : -1;
}

static void check_version(struct loader *l, const struct node *root)
{
	const char *version = version_of(l, root);
	const struct node *v = node_get(root, "version");
	struct path path = {.key = "version"};
	int minor = version_minor(version);
	l->minor = minor < 0 || !l->in->compat ? NEWEST_MINOR : minor;
	if (!v || minor >= 0)
		return;
	if (!l->in->compat)
		loader_warn(l, v->at, &path, NULL,
			"version \"%s\" is read by the rules of the Compose specification",
			version);
	else
		loader_error(l, v->at, &path, "leave it out, or write \"3\"",
			"unsupported Compose file version: %s", version);
}

void check_versions_agree(struct loader *l, struct node *const *roots, size_t len)
{
	const char *first = NULL;
	for (size_t i = 0; i < len && l->in->compat; i++) {
		if (!roots[i])
			continue;
		const char *version = version_of(l, roots[i]);
		if (!first)
			first = version;
		const struct node *v = node_get(roots[i], "version");
		if (strcmp(first, version) != 0)
			loader_error(l, v ? v->at : roots[i]->at, NULL, NULL,
				"version mismatched between two composefiles : %s and %s", first,
				version);
	}
}

static int by_name(const void *x, const void *y)
{
	const struct schema_key *const *a = x, *const *b = y;
	return strcmp((*a)->name, (*b)->name);
}

static void note(const struct schema_key **keys, size_t *len, const struct schema_key *k)
{
	for (size_t i = 0; i < *len; i++)
		if (keys[i] == k)
			return;
	keys[(*len)++] = k;
}

/* Docker's one message of all that a text's services may not have. */
static void check_forbidden(struct loader *l, const struct node *root)
{
	const struct schema_key *keys[16]; /* more than the table has of them */
	struct compose_mark at = {0};
	size_t len = 0;
	const struct node *services = node_get(root, "services");
	for (size_t s = 0; node_is(services, NODE_MAP) && s < services->map.len; s++) {
		const struct node *service = services->map.entries[s].value;
		for (size_t e = 0; service->kind == NODE_MAP && e < service->map.len; e++) {
			const struct schema_key *k = schema_service(service->map.entries[e].key);
			if (!k || !(k->flags & F_FORBIDDEN))
				continue;
			if (len == 0)
				at = service->map.entries[e].at;
			note(keys, &len, k);
		}
	}
	if (len == 0)
		return;
	qsort(keys, len, sizeof(*keys), by_name);
	struct buf b = {0};
	for (size_t i = 0; i < len; i++)
		buf_fmt(&b, "\n\n%s: %s", keys[i]->name, keys[i]->text);
	loader_error(l, at, NULL, NULL, "Compose file contains unsupported options:%s", b.ptr);
	buf_finish(&b);
}

void check_text(struct loader *l, struct node *root)
{
	check_version(l, root);
	if (l->in->compat)
		check_forbidden(l, root);
	check_map(l, root, schema_root, F_EXTRA, NULL);
}

/* ---- what is ignored ---- */

/* Docker's own lines: one for all services of all texts. */
static void warn_all(struct loader *l, const struct schema_key **keys, size_t len, bool deprecated)
{
	if (len == 0)
		return;
	qsort(keys, len, sizeof(*keys), by_name);
	struct buf b = {0};
	buf_adds(&b,
		deprecated ? "Ignoring deprecated options:\n\n" : "Ignoring unsupported options: ");
	for (size_t i = 0; i < len; i++) {
		if (deprecated)
			buf_fmt(&b, "%s%s: %s", i ? "\n\n" : "", keys[i]->name, keys[i]->text);
		else
			buf_fmt(&b, "%s%s", i ? ", " : "", keys[i]->name);
	}
	loader_warn(l, (struct compose_mark){0}, NULL, NULL, "%s", b.ptr);
	buf_finish(&b);
}

/* Ours: each where it stands. `restart` is not ignored; it only loses against restart_policy. */
static void warn_one(struct loader *l, const struct schema_key *k, const struct node_entry *e,
	const struct path *path, const struct node *service)
{
	if (strcmp(k->name, "restart") == 0) {
		if (node_get(node_get(service, "deploy"), "restart_policy"))
			loader_warn(l, e->at, path, NULL,
				"restart: deploy.restart_policy is used instead");
	} else if (k->flags & F_DEPRECATED) {
		loader_warn(l, e->at, path, NULL, "Ignoring deprecated options: %s: %s", k->name,
			k->text);
	} else {
		loader_warn(l, e->at, path, NULL, "Ignoring unsupported options: %s", k->name);
	}
}

void check_ignored(struct loader *l, struct node *const *roots, size_t len)
{
	const struct schema_key *unsupported[32],
		*deprecated[8]; /* more than the table has of them */
	size_t unsupported_len = 0, deprecated_len = 0;
	for (size_t i = 0; i < len; i++) {
		struct path top = {.key = "services"};
		const struct node *services = node_get(roots[i], "services");
		for (size_t s = 0; node_is(services, NODE_MAP) && s < services->map.len; s++) {
			struct path up = {.up = &top, .key = services->map.entries[s].key};
			const struct node *service = services->map.entries[s].value;
			for (size_t e = 0; service->kind == NODE_MAP && e < service->map.len; e++) {
				const struct node_entry *entry = &service->map.entries[e];
				const struct schema_key *k = schema_service(entry->key);
				if (!k || !(k->flags & (F_UNSUPPORTED | F_DEPRECATED)) ||
					((k->flags & F_SPEC) && l->in->compat))
					continue;
				if (!l->in->compat)
					warn_one(l, k, entry,
						&(struct path){.up = &up, .key = k->name}, service);
				else if (k->flags & F_DEPRECATED)
					note(deprecated, &deprecated_len, k);
				else
					note(unsupported, &unsupported_len, k);
			}
		}
	}
	warn_all(l, unsupported, unsupported_len, false);
	warn_all(l, deprecated, deprecated_len, true);
}
