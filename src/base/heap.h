/* heap: intrusive binary min-heap by an unsigned 64-bit key. Owns nothing but its
 * array of pointers. A node is in at most one heap; equal keys leave in order of insertion. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t key;
	uint64_t order;
	size_t at; /* position + 1; 0 = in no heap */
};
struct heap {
	struct heap_node **nodes;
	size_t len, cap;
	uint64_t next_order;
};

void heap_init(struct heap *h);
void heap_finish(struct heap *h);
void heap_insert(struct heap *h, struct heap_node *n, uint64_t key);
void heap_remove(struct heap *h, struct heap_node *n); /* in no heap: nothing happens */
struct heap_node *heap_min(const struct heap *h);      /* NULL when empty */
static inline bool heap_contains(const struct heap_node *n)
{
	return n->at != 0;
}
