/* op: what every asynchronous operation has: a deadline, cancel, and exactly one
 * completion that never comes before the starting call has returned.
 *
 * An op is embedded in the request structure of the module that runs it (pg
 * batch, HTTP request, flow wait), in memory that was zeroed once. Life: op_start → running →
 * (op_finish | op_cancel | deadline) → `abort` at most once if it was cut short → `complete`
 * exactly once, from the loop. `abort` fires from inside op_cancel, op_drop or the deadline. When
 * `complete` is called the op is idle again and its memory is the module's: it may be started
 * anew or freed. */
#pragma once
#include "loop/loop.h"

enum op_state { OP_IDLE, OP_RUNNING, OP_FINISHING };

struct op {
	struct timer deadline;
	struct defer defer;
	enum op_state state;
	uint64_t ms;
	struct status st;
	/* Detach from the underlying work (cancelled or too late). It must not complete by itself.
	 * May be NULL. */
	void (*abort)(struct op *op);
	/* Deliver op->st to whoever asked. */
	void (*complete)(struct op *op);
};

/* ms = 0: no deadline (long streams only). The watchdog names the operation after `complete`. */
void op_start_named(struct op *op, struct loop *l, uint64_t ms, void (*abort)(struct op *op),
	void (*complete)(struct op *op), const char *name);
#define op_start(op, l, ms, abort, complete) \
	op_start_named((op), (l), (ms), (abort), (complete), #complete)
/* The work ended by itself: `complete` runs later in this turn. Ignored when not running. */
void op_finish(struct op *op, const struct status *st);
/* Ends it with CANCELLED. Ignored when not running. */
void op_cancel(struct op *op);
/* Ends it at once without any completion: for destroying the owner. Calls abort if it ran. */
void op_drop(struct op *op);
static inline bool op_is_running(const struct op *op)
{
	return op->state == OP_RUNNING;
}
