#include "loop/op.h"
#include <assert.h>
#include <inttypes.h>

static void on_op_complete(struct defer *d)
{
	struct op *op = container_of(d, struct op, defer);
	op->state = OP_IDLE;
	op->complete(op);
}

static void finishing(struct op *op, const struct status *st)
{
	timer_stop(&op->deadline);
	op->st = *st;
	op->state = OP_FINISHING;
	defer_post(&op->defer);
}

/* `abort` comes last: it may drop the op, and a finish from inside it is ignored. */
static void cut_short(struct op *op, const struct status *st)
{
	finishing(op, st);
	if (op->abort)
		op->abort(op);
}

static void on_op_deadline(struct timer *t)
{
	struct op *op = container_of(t, struct op, deadline);
	struct status st =
		status_err(ST_DEADLINE_EXCEEDED, "no answer within %" PRIu64 " ms", op->ms);
	cut_short(op, &st);
}

void op_start_named(struct op *op, struct loop *l, uint64_t ms, void (*abort)(struct op *op),
	void (*complete)(struct op *op), const char *name)
{
	assert(op->state == OP_IDLE);
	timer_init(&op->deadline, l, on_op_deadline);
	defer_init_named(&op->defer, l, on_op_complete, name);
	op->abort = abort;
	op->complete = complete;
	op->ms = ms;
	op->state = OP_RUNNING;
	if (ms > 0)
		timer_set(&op->deadline, ms);
}

void op_finish(struct op *op, const struct status *st)
{
	if (op->state == OP_RUNNING)
		finishing(op, st);
}

void op_cancel(struct op *op)
{
	if (op->state != OP_RUNNING)
		return;
	struct status st = status_err(ST_CANCELLED, "cancelled");
	cut_short(op, &st);
}

void op_drop(struct op *op)
{
	enum op_state was = op->state;
	if (was == OP_IDLE)
		return;
	timer_stop(&op->deadline);
	defer_cancel(&op->defer);
	op->state = OP_IDLE;
	if (was == OP_RUNNING && op->abort)
		op->abort(op);
}
