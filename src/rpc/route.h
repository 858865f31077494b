/* route: the methods' paths for plain HTTP (google.api.http): the shape of the table that
 * tools/protoc-gen-skep writes, a trie of segments, and the walk along it. Pure. Used by rest and
 * by http (which verbs has a path?). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"
#include "rpc/method.h"

#define ROUTE_VARIABLES 8

struct rpc_route {
	const char *verb; /* "GET" */
	const struct rpc_method *method;
	const char *body; /* NULL: it takes none; "*": the request; else the field of it that it is */
	const char *const *fields; /* what the path's variables set, in their order: "stack.project" */
	unsigned n_fields;
};

struct rpc_route_node {
	const char *segment;           /* a literal; ":scale": behind the last segment; NULL: any */
	unsigned child, n_children;    /* in nodes: literals sorted bytewise, then at most one NULL */
	unsigned route, n_routes;      /* in routes: that end here, one a verb, sorted */
};

struct rpc_routes {
	const struct rpc_route_node *nodes; /* the first is the root */
	const struct rpc_route *routes;
	size_t n_routes;
};

/* gen/skep/v1/routes.c */
extern const struct rpc_routes skep_v1_routes;

/* Where this path (not decoded, without the query) ends, and what its variables are there (not
 * decoded, views into the path). Literals come before variables. NULL: nowhere. */
const struct rpc_route_node *route_find(const struct rpc_routes *r, struct str path,
	struct str ret_variables[ROUTE_VARIABLES]);
/* NULL: the path has no such verb. HEAD is GET. */
const struct rpc_route *route_verb(
	const struct rpc_routes *r, const struct rpc_route_node *node, struct str verb);
/* "GET, HEAD, POST", in the arena. */
struct str route_allowed(
	struct arena *a, const struct rpc_routes *r, const struct rpc_route_node *node);
