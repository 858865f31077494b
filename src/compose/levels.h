/* levels: services as a graph of depends_on. Internal to compose. */
#pragma once
#include "base/map.h"
#include "compose/compose.h"

#define GRAPH_NONE ((size_t)-1)
#define GRAPH_NEW  ((size_t)-2)
#define GRAPH_OPEN ((size_t)-3)

struct graph {
	size_t nodes;
	size_t *first, *to; /* node i depends on to[first[i]] … to[first[i + 1] − 1] */
	size_t *level;
};
struct graph *graph_create(struct arena *a, const struct compose_project *p);
/* Fills `level`. Returns a node on a cycle, or GRAPH_NONE. An edge that closes a cycle counts for
 * nothing. */
size_t graph_levels(struct arena *a, struct graph *g);
