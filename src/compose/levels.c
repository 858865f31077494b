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

/* A depth-first walk with its own stack: level = 1 + the deepest dependency's. GRAPH_OPEN while on
 * the stack. */
size_t graph_levels(struct arena *a, struct graph *g)
{
	size_t *stack = arena_array(a, size_t, g->nodes + 1),
	       *next = arena_array(a, size_t, g->nodes + 1);
	size_t cycle = GRAPH_NONE;
	for (size_t i = 0; i < g->nodes; i++)
		g->level[i] = GRAPH_NEW;
	for (size_t root = 0; root < g->nodes; root++) {
		size_t depth = 0;
		if (g->level[root] != GRAPH_NEW)
			continue;
		stack[depth++] = root;
		g->level[root] = GRAPH_OPEN;
		next[root] = g->first[root];
		while (depth) {
			size_t at = stack[depth - 1];
			if (next[at] < g->first[at + 1]) {
				size_t to = g->to[next[at]++];
				if (g->level[to] == GRAPH_OPEN) {
					cycle = to;
				} else if (g->level[to] == GRAPH_NEW) {
					g->level[to] = GRAPH_OPEN;
					next[to] = g->first[to];
					stack[depth++] = to;
				}
				continue;
			}
			size_t level = 0;
			for (size_t e = g->first[at]; e < g->first[at + 1]; e++)
				if (g->level[g->to[e]] != GRAPH_OPEN && g->level[g->to[e]] >= level)
					level = g->level[g->to[e]] + 1;
			g->level[at] = level;
			depth--;
		}
	}
	return cycle;
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
