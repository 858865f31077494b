#include "rpc/route.h"
#include "base/arena.h"

struct walk {
	const struct rpc_route_node *nodes;
	struct str *variables;
};

static const struct rpc_route_node *literal(
	const struct walk *w, const struct rpc_route_node *node, struct str segment)
{
	for (unsigned i = 0; i < node->n_children; i++) {
		const struct rpc_route_node *child = &w->nodes[node->child + i];
		if (child->segment && str_is(segment, child->segment))
			return child;
	}
	return NULL;
}

static const struct rpc_route_node *anything(
	const struct walk *w, const struct rpc_route_node *node)
{
	const struct rpc_route_node *last = &w->nodes[node->child + node->n_children - 1];
	return node->n_children && !last->segment ? last : NULL;
}

static const struct rpc_route_node *descend(
	const struct walk *w, const struct rpc_route_node *node, struct str rest, unsigned n);

/* Behind a segment that fits this node. */
static const struct rpc_route_node *go_on(
	const struct walk *w, const struct rpc_route_node *node, struct str rest, unsigned n)
{
	if (!node)
		return NULL;
	if (rest.ptr)
		return descend(w, node, rest, n);
	return node->n_routes ? node : NULL;
}

/* The last segment, taken apart at its last colon: "{id}:cancel", "jobs:stats". */
static const struct rpc_route_node *act(
	const struct walk *w, const struct rpc_route_node *node, struct str segment, unsigned n)
{
	const char *colon = memrchr(segment.ptr, ':', segment.len);
	if (!colon || colon == segment.ptr)
		return NULL;
	struct str front = str_make(segment.ptr, (size_t)(colon - segment.ptr));
	struct str action = str_make(colon, segment.len - front.len);
	const struct rpc_route_node *found = literal(w, node, front);
	if (found)
		found = literal(w, found, action);
	if (found || n == ROUTE_VARIABLES || !anything(w, node))
		return found;
	found = literal(w, anything(w, node), action);
	if (found)
		w->variables[n] = front;
	return found;
}

/* As deep as the trie is. */
static const struct rpc_route_node *descend(
	const struct walk *w, const struct rpc_route_node *node, struct str rest, unsigned n)
{
	struct str segment = str_cut(&rest, '/');
	const struct rpc_route_node *found = NULL;
	if (segment.len == 0 || segment.ptr[0] == ':')
		return NULL;
	if (!rest.ptr)
		found = act(w, node, segment, n);
	if (!found)
		found = go_on(w, literal(w, node, segment), rest, n);
	if (found || n == ROUTE_VARIABLES)
		return found;
	found = go_on(w, anything(w, node), rest, n + 1);
	if (found)
		w->variables[n] = segment;
	return found;
}

const struct rpc_route_node *route_find(const struct rpc_routes *r, struct str path,
	struct str ret_variables[ROUTE_VARIABLES])
{
	struct walk w = {r ? r->nodes : NULL, ret_variables};
	if (!r || !str_starts(path, "/"))
		return NULL;
	return descend(&w, r->nodes, str_make(path.ptr + 1, path.len - 1), 0);
}

const struct rpc_route *route_verb(
	const struct rpc_routes *r, const struct rpc_route_node *node, struct str verb)
{
	if (str_is(verb, "HEAD"))
		verb = STR("GET");
	for (unsigned i = 0; i < node->n_routes; i++)
		if (str_is(verb, r->routes[node->route + i].verb))
			return &r->routes[node->route + i];
	return NULL;
}

struct str route_allowed(
	struct arena *a, const struct rpc_routes *r, const struct rpc_route_node *node)
{
	const char *text = "";
	for (unsigned i = 0; i < node->n_routes; i++) {
		const char *verb = r->routes[node->route + i].verb;
		text = arena_fmt(a, "%s%s%s%s", text, i ? ", " : "", verb,
			strcmp(verb, "GET") == 0 ? ", HEAD" : "");
	}
	return str_of(arena_fmt(a, "%s, OPTIONS", text));
}
