/* levels: the order in which services start. */
#include "compose/levels.h"
#include <string.h>
#include "base/arena.h"

const struct compose_service *compose_service_find(const struct compose_project *p, const char *key)
{
	for (size_t i = 0; i < p->services_len; i++)
		if (strcmp(p->services[i].key, key) == 0)
			return &p->services[i];
	return NULL;
}

struct graph *graph_create(struct arena *a, const struct compose_project *p)
{
	struct graph *g = arena_new(a, struct graph);
	struct map index;
	size_t edges = 0;
	map_init(&index);
	for (size_t i = 0; i < p->services_len; i++) {
		map_puts(&index, p->services[i].key, (void *)(i + 1));
		edges += p->services[i].depends_on_len;
	}
	g->level = arena_array(a, size_t, p->services_len + 1);
	g->first = arena_array(a, size_t, p->services_len + 1);
	g->to = arena_array(a, size_t, edges + 1);
	g->nodes = p->services_len;
	for (size_t i = 0, n = 0; i < p->services_len; i++) {
		g->first[i] = n;
		for (size_t d = 0; d < p->services[i].depends_on_len; d++) {
			uintptr_t at =
				(uintptr_t)map_gets(&index, p->services[i].depends_on[d].service);
			if (at)
				g->to[n++] = at - 1;
		}
		g->first[i + 1] = n;
	}
	map_finish(&index);
	return g;
}

/* 1 + the deepest dependency's; one that is still open closes a cycle and does not count. */
static size_t level_of(const struct graph *g, size_t node)
{
	size_t level = 0;
	for (size_t e = g->first[node]; e < g->first[node + 1]; e++) {
		size_t below = g->level[g->to[e]];
		if (below != GRAPH_OPEN && below >= level)
			level = below + 1;
	}
	return level;
}

/* What the depth-first walk stands in: `next` is a node's first edge that was not followed yet. */
struct walk {
	size_t *stack, *next, depth;
	size_t cycle;
};

/* GRAPH_OPEN while on the stack. */
static void enter(struct graph *g, struct walk *w, size_t node)
{
	g->level[node] = GRAPH_OPEN;
	w->next[node] = g->first[node];
	w->stack[w->depth++] = node;
}

static void walk_from(struct graph *g, struct walk *w, size_t root)
{
	enter(g, w, root);
	while (w->depth) {
		size_t node = w->stack[w->depth - 1];
		if (w->next[node] == g->first[node + 1]) {
			g->level[node] = level_of(g, node);
			w->depth--;
			continue;
		}
		size_t to = g->to[w->next[node]++];
		if (g->level[to] == GRAPH_OPEN)
			w->cycle = to;
		else if (g->level[to] == GRAPH_NEW)
			enter(g, w, to);
	}
}

size_t graph_levels(struct arena *a, struct graph *g)
{
	struct walk w = {.stack = arena_array(a, size_t, g->nodes + 1),
		.next = arena_array(a, size_t, g->nodes + 1),
		.cycle = GRAPH_NONE};
	for (size_t i = 0; i < g->nodes; i++)
		g->level[i] = GRAPH_NEW;
	for (size_t i = 0; i < g->nodes; i++)
		if (g->level[i] == GRAPH_NEW)
			walk_from(g, &w, i);
	return w.cycle;
}

void compose_levels(struct arena *a, const struct compose_project *p,
	struct compose_level **ret_levels, size_t *ret_len)
{
	struct graph *g = graph_create(a, p);
	size_t len = 0;
	graph_levels(a, g);
	for (size_t i = 0; i < g->nodes; i++)
		if (g->level[i] + 1 > len)
			len = g->level[i] + 1;
	struct compose_level *levels = arena_array(a, struct compose_level, len + 1);
	for (size_t i = 0; i < g->nodes; i++)
		levels[g->level[i]].len++;
	for (size_t i = 0; i < len; i++) {
		levels[i].services = arena_array(a, const struct compose_service *, levels[i].len);
		levels[i].len = 0;
	}
	for (size_t i = 0; i < g->nodes; i++) {
		struct compose_level *level = &levels[g->level[i]];
		level->services[level->len++] = &p->services[i];
	}
	*ret_levels = levels;
	*ret_len = len;
}
