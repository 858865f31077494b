#include "base/heap.h"
#include <stdlib.h>
#include "base/mem.h"

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void place(struct heap *h, size_t at, struct heap_node *n)
{
	h->nodes[at] = n;
	n->at = at + 1;
}

static void sift_up(struct heap *h, size_t at, struct heap_node *n)
{
	while (at > 0) {
		size_t parent = (at - 1) / 2;
		if (!before(n, h->nodes[parent]))
			break;
		place(h, at, h->nodes[parent]);
		at = parent;
	}
	place(h, at, n);
}

static void sift_down(struct heap *h, size_t at, struct heap_node *n)
{
	for (;;) {
		size_t child = at * 2 + 1;
		if (child >= h->len)
			break;
		if (child + 1 < h->len && before(h->nodes[child + 1], h->nodes[child]))
			child++;
		if (!before(h->nodes[child], n))
			break;
		place(h, at, h->nodes[child]);
		at = child;
	}
	place(h, at, n);
}

void heap_init(struct heap *h)
{
	*h = (struct heap){0};
}

void heap_finish(struct heap *h)
{
	for (size_t i = 0; i < h->len; i++)
		h->nodes[i]->at = 0;
	free(h->nodes);
	heap_init(h);
}

void heap_insert(struct heap *h, struct heap_node *n, uint64_t key)
{
	if (heap_contains(n))
		mem_abort("heap_insert: the node is in a heap already");
	if (h->len == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->nodes = mem_realloc_array(h->nodes, sizeof(struct heap_node *), h->cap);
	}
	n->key = key;
	n->order = h->next_order++;
	sift_up(h, h->len++, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	if (!heap_contains(n))
		return;
	size_t at = n->at - 1;
	n->at = 0;
	struct heap_node *last = h->nodes[--h->len];
	if (last == n)
		return;
	if (at > 0 && before(last, h->nodes[(at - 1) / 2]))
		sift_up(h, at, last);
	else
		sift_down(h, at, last);
}

struct heap_node *heap_min(const struct heap *h)
{
	return h->len ? h->nodes[0] : NULL;
}
