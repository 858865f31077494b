/* list: intrusive, doubly linked, circular; the head is a node too. Owns nothing.
 * To remove others while iterating, take nodes off the front (list_pop) of a
 * list that was moved aside (list_move_all). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define container_of(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_push(struct list *head, struct list *n) /* at the end */
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}
static inline void list_push_front(struct list *head, struct list *n)
{
	list_push(head->next, n);
}
static inline void list_remove(struct list *n) /* safe twice: the node is initialised again */
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
static inline struct list *list_pop(struct list *head) /* NULL when empty */
{
	struct list *n = head->next;
	if (n == head)
		return NULL;
	list_remove(n);
	return n;
}
/* Moves every node of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev->next = from->next;
	to->prev = from->prev;
	list_init(from);
}
/* `n` may be removed inside the loop; no other node may. */
#define list_for_each(head, n)                                                                     \
	for (struct list *n = (head)->next, *n##_next = n->next; n != (head);                      \
		n = n##_next, n##_next = n->next)
