/* check_forms: the kinds that have a short form. Each item takes its long form. */
#include "compose/check.h"
#include <string.h>

/* ---- ports ---- */

/* `last` is the end of a range that one port is published as, or NULL. */
static void warn_ip(
	struct loader *l, const struct node *port, const struct node *last, const struct path *path)
{
	const char *ip = node_get_text(port, "host_ip", NULL);
	if (!ip || strcmp(ip, "0.0.0.0") == 0)
		return;
	const struct node *published = node_get(port, "published"),
			  *target = node_get(port, "target");
	const struct node *end = node_get(last, "published");
	const char *range = end ? arena_fmt(l->a, "-%s", node_scalar_text(l->a, end)) : "";
	const char *host = strchr(ip, ':') ? arena_fmt(l->a, "[%s]", ip) : ip;
	loader_warn(l, port->at, path, NULL,
		"ignoring IP-address (%s:%s%s:%s/%s) service will listen on '0.0.0.0'", host,
		node_is(published, NODE_INT) ? node_scalar_text(l->a, published) : "", range,
		node_is(target, NODE_INT) ? node_scalar_text(l->a, target) : "",
		node_get_text(port, "protocol", "tcp"));
}

/* The Compose specification has published as a string, and a range in it. */
static bool published_text(struct loader *l, struct node *port, const struct path *path)
{
	struct node *published = node_get(port, "published");
	int64_t number;
	if (l->in->compat || !node_is(published, NODE_STRING))
		return true;
	if (str_to_i64(str_of(published->text), &number)) {
		published->kind = NODE_INT;
		published->number = number;
		return true;
	}
	loader_error(l, published->at, path,
		"one port, like \"8080\"; ranges stand in the short form",
		"%s.published must be a port", path_text(l->a, path, PATH_DOTS));
	return false;
}

static bool check_port(struct loader *l, struct node *item, const struct schema_key *k,
	const struct path *path, struct node *out)
{
	if (item->kind == NODE_MAP && !(l->in->compat && l->minor < 2)) {
		if (!published_text(l, item, path) || !check_map(l, item, k->sub, k->flags, path))
			return false;
		node_push(l->a, out, item);
		warn_ip(l, item, NULL, path);
		return true;
	}
	if (item->kind == NODE_FLOAT && l->in->compat)
		return check_decoding(l, item, path->up, "invalid type float64 for port");
	if (item->kind != NODE_STRING && item->kind != NODE_INT)
		return check_must_be(l, item, path,
			l->in->compat && l->minor < 2 ? "string or number" : "number");
	size_t before = out->seq.len;
	const char *text = item->kind == NODE_INT ? arena_fmt(l->a, "%lld", (long long)item->number)
						  : item->text;
	const char *error =
		form_port(l->a, text, item->at, l->in->compat, out);
	if (error) {
		loader_error(l, item->at, path, error, "%s Does not match format 'ports'",
			path_text(l->a, path, PATH_DOTS));
		return false;
	}
	l->nodes += (out->seq.len - before) * 5;
	const struct node *first = out->seq.items[before], *last = out->seq.items[out->seq.len - 1];
	bool one_target = node_get(first, "target")->number == node_get(last, "target")->number;
	if (one_target)
		warn_ip(l, first, first == last ? NULL : last, path);
	for (size_t i = before; !one_target && i < out->seq.len; i++)
		warn_ip(l, out->seq.items[i], NULL, path);
	return true;
}

bool check_ports(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind != NODE_SEQ)
		return check_must_be(l, n, path, "list");
	struct node *out = node_new(l->a, NODE_SEQ, n->at);
	for (size_t i = 0; i < n->seq.len; i++) {
		if (l->nodes > l->limits.nodes) {
			loader_error(l, n->at, path, NULL,
				"the ranges of ports make more than %zu values", l->limits.nodes);
			return false;
		}
		ok &= check_port(
			l, n->seq.items[i], k, &(struct path){.up = path, .index = i}, out);
	}
	n->seq = out->seq;
	return ok;
}

/* ---- volumes ---- */

static bool check_volume(
	struct loader *l, struct node **item, const struct schema_key *k, const struct path *path)
{
	if ((*item)->kind == NODE_MAP && !(l->in->compat && l->minor < 2)) {
		if (!check_map(l, *item, k->sub, k->flags, path))
			return false;
		if (node_get(*item, "type"))
			return true;
		loader_error(l, (*item)->at, path, "volume, bind, tmpfs, npipe, image or cluster",
			"%s type is required", path_text(l->a, path, PATH_DOTS));
		return false;
	}
	if ((*item)->kind != NODE_STRING)
		return check_must_be(l, *item, path, "string");
	const char *error = form_volume(l->a, (*item)->text, (*item)->at, item);
	if (!error)
		return true;
	return check_decoding(l, *item, path, error);
}

bool check_volumes(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind != NODE_SEQ)
		return check_must_be(l, n, path, "list");
	for (size_t i = 0; i < n->seq.len; i++)
		ok &= check_volume(l, &n->seq.items[i], k, &(struct path){.up = path, .index = i});
	return ok;
}

/* ---- secrets, configs ---- */

bool check_files(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind != NODE_SEQ)
		return check_must_be(l, n, path, "list");
	for (size_t i = 0; i < n->seq.len; i++) {
		struct path here = {.up = path, .index = i};
		struct node *item = n->seq.items[i];
		if (item->kind == NODE_STRING) {
			struct node *file = node_new(l->a, NODE_MAP, item->at);
			node_put(l->a, file, "source", item->at, item);
			n->seq.items[i] = file;
		} else if (item->kind != NODE_MAP) {
			ok = check_must_be(l, item, &here, "string");
		} else {
			ok &= check_map(l, item, k->sub, k->flags | F_OPEN, &here);
		}
	}
	return ok;
}

/* ---- networks, depends_on, ulimits ---- */

static struct node *silent(struct loader *l, struct compose_mark at)
{
	struct node *n = node_new(l->a, NODE_MAP, at);
	n->tag = NODE_SILENT;
	return n;
}

static void names_to_map(struct loader *l, struct node *n)
{
	struct node *map = node_new(l->a, NODE_MAP, n->at);
	for (size_t i = 0; i < n->seq.len; i++) {
		struct node *item = n->seq.items[i];
		node_put(l->a, map, item->text, item->at, silent(l, item->at));
	}
	n->kind = NODE_MAP;
	n->map = map->map;
}

bool check_names(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind == NODE_SEQ) {
		names_to_map(l, n);
		return true;
	}
	if (n->kind != NODE_MAP || (k->kind == K_DEPENDS && l->in->compat))
		return check_must_be(l, n, path, "list");
	for (size_t i = 0; i < n->map.len; i++) {
		struct node_entry *e = &n->map.entries[i];
		struct path here = {.up = path, .key = e->key};
		if (e->value->tag == NODE_RESET)
			continue;
		if (e->value->kind == NODE_NULL && k->kind == K_NETWORKS)
			e->value = silent(l, e->at);
		else
			ok &= check_map(l, e->value, k->sub,
				k->flags | (k->kind == K_NETWORKS ? F_NULL : 0), &here);
	}
	return ok;
}

static bool check_ulimit(
	struct loader *l, struct node_entry *e, const struct schema_key *k, const struct path *path)
{
	const struct schema_key *single = schema_find(k->sub, "soft");
	struct compose_mark at = e->value->at;
	if (e->value->tag == NODE_RESET)
		return true;
	if (e->value->kind == NODE_MAP) {
		if (!check_map(l, e->value, k->sub, k->flags, path))
			return false;
		if (node_is(node_get(e->value, "soft"), NODE_INT) &&
			node_is(node_get(e->value, "hard"), NODE_INT))
			return true;
		loader_error(l, at, path, "both soft and hard", "%s %s is required",
			path_text(l->a, path, PATH_DOTS),
			node_get(e->value, "soft") ? "hard" : "soft");
		return false;
	}
	if (!check_value(l, e->value, single, path))
		return false;
	struct node *map = node_new(l->a, NODE_MAP, at);
	node_put(l->a, map, "soft", at, node_int(l->a, e->value->number, at));
	node_put(l->a, map, "hard", at, node_int(l->a, e->value->number, at));
	e->value = map;
	return true;
}

bool check_ulimits(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind != NODE_MAP)
		return check_must_be(l, n, path, "mapping");
	for (size_t i = 0; i < n->map.len; i++)
		ok &= check_ulimit(l, &n->map.entries[i], k,
			&(struct path){.up = path, .key = n->map.entries[i].key});
	return ok;
}

/* ---- external, env_file ---- */

bool check_external(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (n->kind == NODE_BOOL)
		return true;
	if (n->kind != NODE_MAP)
		return check_must_be(l, n, path, "boolean or mapping");
	for (size_t i = 0; i < n->map.len; i++) {
		const struct node_entry *e = &n->map.entries[i];
		struct path here = {.up = path, .key = e->key};
		if (strcmp(e->key, "name") != 0) {
			if (l->in->compat && (k->flags & F_OPEN))
				continue;
			loader_error(l, e->at, &here, NULL,
				"%s Additional property %s is not allowed",
				path_text(l->a, path, PATH_DOTS), e->key);
			continue; /* it is external all the same */
		}
		if (e->value->kind != NODE_STRING)
			return check_must_be(l, e->value, &here, "string");
	}
	return true;
}

/* Every item becomes {path, required}. */
bool check_env_file(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind == NODE_STRING) {
		struct node *item = node_string(l->a, n->text, n->at);
		n->kind = NODE_SEQ;
		memset(&n->seq, 0, sizeof(n->seq));
		node_push(l->a, n, item);
	}
	if (n->kind != NODE_SEQ)
		return check_must_be(l, n, path, "string");
	for (size_t i = 0; i < n->seq.len; i++) {
		struct path here = {.up = path, .index = i};
		struct node *item = n->seq.items[i];
		if (item->kind == NODE_STRING) {
			struct node *file = node_new(l->a, NODE_MAP, item->at);
			node_put(l->a, file, "path", item->at, item);
			n->seq.items[i] = file;
		} else if (item->kind != NODE_MAP || l->in->compat) {
			ok = check_must_be(l, item, &here, "string");
		} else {
			ok &= check_map(l, item, k->sub, 0, &here);
		}
	}
	return ok;
}

/* ---- build, extends, include ---- */

/* Nothing is built: docker's schema decides what it refuses all the same. */
bool check_build(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	enum { OPEN_SINCE = 11 };
	bool ok = true;
	if (n->kind == NODE_STRING || (n->kind == NODE_MAP && !l->in->compat))
		return true;
	if (n->kind != NODE_MAP)
		return check_must_be(l, n, path, "string");
	for (size_t i = 0; i < n->map.len; i++) {
		struct node_entry *e = &n->map.entries[i];
		struct path here = {.up = path, .key = e->key};
		const struct schema_key *sub = schema_find(k->sub, e->key);
		if (sub && SINCE_OF(sub->flags) <= l->minor) {
			ok &= check_value(l, e->value, sub, &here);
		} else if (l->minor < OPEN_SINCE) {
			loader_error(l, e->at, &here, NULL,
				"%s Additional property %s is not allowed",
				path_text(l->a, path, PATH_DOTS), e->key);
			ok = false;
		}
	}
	return ok;
}

/* Becomes {service, file}. */
bool check_extends(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	if (n->kind == NODE_STRING) {
		struct node *service = node_string(l->a, n->text, n->at);
		n->kind = NODE_MAP;
		memset(&n->map, 0, sizeof(n->map));
		node_put(l->a, n, "service", n->at, service);
		return true;
	}
	if (n->kind != NODE_MAP)
		return check_must_be(l, n, path, "string or mapping");
	if (!check_map(l, n, k->sub, k->flags, path))
		return false;
	if (node_get(n, "service"))
		return true;
	loader_error(l, n->at, path, "extends: {service: base, file: common.yml}",
		"%s service is required", path_text(l->a, path, PATH_DOTS));
	return false;
}

/* Items stay as they are: gather reads both forms. */
bool check_include(
	struct loader *l, struct node *n, const struct schema_key *k, const struct path *path)
{
	bool ok = true;
	if (n->kind != NODE_SEQ)
		return check_must_be(l, n, path, "list");
	for (size_t i = 0; i < n->seq.len; i++) {
		struct path here = {.up = path, .index = i};
		struct node *item = n->seq.items[i];
		if (item->kind == NODE_STRING)
			continue;
		if (item->kind != NODE_MAP) {
			ok = check_must_be(l, item, &here, "string or mapping");
			continue;
		}
		ok &= check_map(l, item, k->sub, k->flags, &here);
		if (!node_get(item, "path")) {
			loader_error(l, item->at, &here, "include: [{path: db/compose.yml}]",
				"%s path is required", path_text(l->a, &here, PATH_DOTS));
			ok = false;
		}
	}
	return ok;
}
