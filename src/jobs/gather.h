/* gather: what comes up in one turn of the loop goes to the database together: one statement, one
 * transaction and one commit for all of it. Used by batch (what runs write), which says
 * how many are sent and who is told.
 *
 *	put ──► waiting ── end of the turn ──► under way ──► tell(st, held)
 *	           ▲                              │
 *	           └───── each for itself ◄───────┘ refused, and not alone
 *
 * - UNAVAILABLE (DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED) is told to all: they may or may not be stored.
 * - When PostgreSQL refuses what is in them, one is to blame, and nobody knows which: each is sent alone, once,
 *   and told what becomes of it.
 * - At most GATHER_UNDER_WAY are under way: one is worked at while another's commit is waited for. What comes up
 *   meanwhile waits, and makes the next one larger: the busier it is, the less each costs. */
#pragma once
#include "loop/loop.h"

#define GATHER_UNDER_WAY 2

struct gather;

struct gather_item { /* embedded in its owner; alive until `tell` or gather_take_back */
	struct list node;
	enum { GATHER_IDLE, GATHER_WAITS, GATHER_SENT } place; /* zeroed: idle */
	bool alone;
};

/* What is under way. */
struct gather_load {
	struct gather *gather;
	size_t n;
	struct gather_item *items[];
};

struct gather { /* embedded in its owner */
	struct list waiting;
	unsigned under_way;
	struct defer flush;
	size_t most; /* at a time */
	/* Sends the load; gather_landed ends it, once, on a later turn. */
	void (*send)(struct gather *g, struct gather_load *load);
	/* held: it is stored. It may be put again from inside. */
	void (*tell)(struct gather *g, struct gather_item *item, const struct status *st, bool held);
};

void gather_init(struct gather *g, struct loop *l, size_t most,
	void (*send)(struct gather *g, struct gather_load *load),
	void (*tell)(struct gather *g, struct gather_item *item, const struct status *st, bool held));
/* Nothing waits or is under way. */
void gather_finish(struct gather *g);
void gather_put(struct gather *g, struct gather_item *item);
/* True: it was not sent and will not be; tell is not called. */
bool gather_take_back(struct gather_item *item);
/* held: by item; only read when st is OK. */
void gather_landed(struct gather_load *load, const struct status *st, const bool *held);
