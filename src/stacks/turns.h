/* turns: of the deploys that run in a daemon only some are busy at a time with what takes room and what
 * the Engine must answer: reading the release, comparing, writing. The others wait with empty hands, or
 * watch what they have written. Were a thousand all to read theirs first, and then all to stand in line
 * for the Engine, they would need ten times the memory, and each would begin to write when the last one
 * had compared.
 *
 * It smooths, and is no limit: whoever is busy for longer than TURN_MS (a registry that does not answer, a
 * service that others wait for) is no longer counted, so that nobody's trouble keeps others from theirs.
 * First come, first served. One a daemon, in struct stacks. */
#pragma once
#include <stdbool.h>
#include "loop/loop.h"

#define TURNS_AT_ONCE 48
#define TURN_MS   10000

struct turns { /* zero is empty */
	struct list waiting;
	unsigned taken;
};
/* Embedded in whoever takes one. */
struct turn {
	struct list node;
	struct turns *of;
	struct timer limit;
	struct defer later;
	void (*on_turn)(struct turn *t);
	bool taken;
};
void turn_init(struct turn *t, struct turns *of, struct loop *l, void (*on_turn)(struct turn *t));
/* on_turn fires once, later: it may go on. Not after turn_leave. */
void turn_ask(struct turn *t);
/* It was never asked for, waits, was given or is over: all the same. */
void turn_leave(struct turn *t);
