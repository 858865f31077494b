/* The flow under test, and the fake owner that scripts and records it. */
#pragma once
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "flow/flow.h"
#include "loop/op.h"

/* A scripted flow of four steps; b has nothing to take back. Each step does what its script says,
 * and everything that is called lands in one trace:
 *
 *	a     run of a             +a   persist: a is done
 *	-a    undo of a            ~a   persist: the undo pass begins at a
 *	!     interrupt            end:CODE
 */
enum act {
	NEXT,
	FAIL,        /* at once, with a reason */
	MUTE_FAIL,   /* at once, without one */
	WAIT_DONE,   /* a completion ends the step well */
	WAIT_FAIL,   /* … or badly */
	WAIT_RESUME, /* a completion resumes it, then it is done */
	AGAIN,       /* asks to be called once more, then it is done */
	LEFTOVER,    /* done, though it leaves a reason behind */
	INSIDE,      /* ends the step before it has returned FLOW_WAIT */
	HANG,        /* waits for what never comes */
	CANCEL_NEXT, /* cancels the flow, then is done */
	CANCEL_FAIL,
	CANCEL_WAIT,
	ABANDON,
};
enum { N = 4, NOWHERE = 100 };

struct fixture {
	struct loop *l;
	struct flow f;
	struct op op; /* what the present step waits for */
	struct op persist_op;
	struct buf trace, steps;
	enum act run[N], undo[N];
	unsigned calls;      /* of the present step's function */
	unsigned persists;   /* calls of persist so far … */
	unsigned persist_at; /* … and what the one with this number does */
	enum act persist;
	unsigned cancel_on; /* on_step of this index cancels … */
	unsigned abandon_on;
	bool abandon_in_interrupt;
	unsigned ticket;
	bool hangs, ended;
};

static inline void note(struct buf *b, const char *mark, const char *name)
{
	if (b->len)
		buf_addc(b, ' ');
	buf_adds(b, mark);
	buf_adds(b, name);
}

static inline const char *name_of(struct flow *f)
{
	return f->steps[f->at].name;
}

static inline void on_op(struct op *op)
{
	struct fixture *x = container_of(op, struct fixture, op);
	enum act act = x->f.state == FLOW_UNDOING ? x->undo[x->f.at] : x->run[x->f.at];
	if (act == WAIT_RESUME && status_is_ok(&op->st)) {
		flow_resume(&x->f);
		flow_resume(&x->f); /* two are one */
	} else {
		flow_step_done(&x->f, &op->st);
	}
}

static inline enum flow_next wait_for(struct fixture *x, enum st_code code)
{
	struct status st =
		code == ST_OK ? status_ok() : status_err(code, "later %s", name_of(&x->f));
	op_start(&x->op, x->l, 0, NULL, on_op);
	op_finish(&x->op, &st);
	return FLOW_WAIT;
}

static inline enum flow_next fail_with(struct flow *f, enum st_code code)
{
	struct status *st = f->state == FLOW_UNDOING ? &f->undo_st : &f->st;
	*st = status_err(code, "broken %s", name_of(f));
	return FLOW_FAIL;
}

static inline enum flow_next act_out(struct flow *f, enum act act)
{
	struct fixture *x = f->data;
	struct status ok = status_ok();
	switch (act) {
	case NEXT:
		return FLOW_NEXT;
	case FAIL:
		return fail_with(f, ST_INTERNAL);
	case MUTE_FAIL:
		return FLOW_FAIL;
	case LEFTOVER:
		(void)fail_with(f, ST_NOT_FOUND);
		return FLOW_NEXT;
	case WAIT_DONE:
		return wait_for(x, ST_OK);
	case WAIT_FAIL:
		return wait_for(x, ST_INTERNAL);
	case WAIT_RESUME:
		return x->calls == 1 ? wait_for(x, ST_OK) : FLOW_NEXT;
	case AGAIN:
		return x->calls == 1 ? FLOW_AGAIN : FLOW_NEXT;
	case INSIDE:
		flow_step_done(f, &ok);
		return FLOW_WAIT;
	case HANG:
		op_start(&x->op, x->l, 0, NULL, on_op);
		x->ticket = flow_ticket(f);
		x->hangs = true;
		return FLOW_WAIT;
	case CANCEL_NEXT:
		flow_cancel(f, NULL);
		return FLOW_NEXT;
	case CANCEL_FAIL:
		flow_cancel(f, NULL);
		return fail_with(f, ST_INTERNAL);
	case CANCEL_WAIT:
		flow_cancel(f, NULL);
		op_start(&x->op, x->l, 0, NULL, on_op);
		return FLOW_WAIT;
	case ABANDON:
		flow_abandon(f);
		return FLOW_NEXT;
	}
	return FLOW_FAIL;
}

static inline enum flow_next fake_run(struct flow *f)
{
	struct fixture *x = f->data;
	assert_int_equal(f->state, FLOW_RUNNING);
	note(&x->trace, "", name_of(f));
	x->calls++;
	return act_out(f, x->run[f->at]);
}

static inline enum flow_next fake_undo(struct flow *f)
{
	struct fixture *x = f->data;
	assert_int_equal(f->state, FLOW_UNDOING);
	note(&x->trace, "-", name_of(f));
	x->calls++;
	return act_out(f, x->undo[f->at]);
}

static inline void on_step(struct flow *f, const char *name, unsigned index, unsigned count)
{
	struct fixture *x = f->data;
	assert_int_equal(index, f->at);
	assert_int_equal(count, N);
	note(&x->steps, f->state == FLOW_UNDOING ? "-" : "", name);
	x->calls = 0;
	if (f->state == FLOW_RUNNING && index == x->cancel_on)
		flow_cancel(f, NULL);
	if (index == x->abandon_on)
		flow_abandon(f);
}

static inline void on_persist_op(struct op *op)
{
	struct fixture *x = container_of(op, struct fixture, persist_op);
	if (!status_is_ok(&op->st))
		x->ended = true; /* the flow is abandoned: no on_end */
	flow_persisted(&x->f, &op->st);
}

static inline void persist(struct flow *f, const char *name, bool undo)
{
	struct fixture *x = f->data;
	struct status st = status_ok();
	assert_int_equal(f->state, FLOW_PERSISTING);
	note(&x->trace, undo ? "~" : "+", name);
	enum act act = x->persists++ == x->persist_at ? x->persist : WAIT_DONE;
	if (act == INSIDE) {
		flow_persisted(f, &st);
		flow_persisted(f, &st);
		return;
	}
	if (act == ABANDON) {
		flow_abandon(f);
		x->ended = true;
		return;
	}
	op_start(&x->persist_op, x->l, 0, NULL, on_persist_op);
	if (act == HANG) {
		x->hangs = true;
		return;
	}
	if (act == FAIL)
		st = status_err(ST_ABORTED, "the job has another owner");
	op_finish(&x->persist_op, &st);
}

static inline void on_interrupt(struct flow *f)
{
	struct fixture *x = f->data;
	note(&x->trace, "!", "");
	op_cancel(&x->op); /* completes later in this turn, and calls flow_step_done */
	if (x->abandon_in_interrupt)
		flow_abandon(f);
}

static inline void on_end(struct flow *f)
{
	struct fixture *x = f->data;
	assert_false(x->ended);
	assert_int_equal(f->state, FLOW_ENDED);
	assert_false(timer_is_set(&f->limit));
	note(&x->trace, "end:", st_code_name(f->st.code));
	x->ended = true;
}

static const struct flow_step steps[] = {
	{"a", fake_run, fake_undo, 1},
	{"b", fake_run, NULL, 2},
	{"c", fake_run, fake_undo, 0},
	{"d", fake_run, fake_undo, 60},
	{0},
};
static const struct flow_ops ops = {on_step, persist, on_interrupt, on_end};

/* What comes before step i is over, and what follows when it is not. */
static const char *const down[] = {"a", "a +a b", "a +a b +b c", "a +a b +b c +c d"};
static const char *const up[] = {"~a -a", "~b -a", "~c -c -a", "~d -d -c -a"};
/* With step i done and cancelled only then. */
static const char *const stored[] = {"a +a", "a +a b +b", "a +a b +b c +c", "a +a b +b c +c d +d"};

/* ---- driving it ---- */

static inline void begin_with(struct fixture *x, struct loop *l, const struct flow_ops *o)
{
	*x = (struct fixture){
		.l = l, .persist_at = NOWHERE, .cancel_on = NOWHERE, .abandon_on = NOWHERE};
	flow_init(&x->f, l, steps, o, x);
}

static inline void begin(struct fixture *x, struct loop *l)
{
	begin_with(x, l, &ops);
}

static inline void set_all(struct fixture *x, enum act act)
{
	for (unsigned i = 0; i < N; i++)
		x->run[i] = x->undo[i] = act;
}

static inline void wait_hang(struct fixture *x)
{
	while (!x->hangs && !x->ended)
		loop_turn(x->l);
	assert_true(x->hangs);
	x->hangs = false;
}

static inline void mark_settled(struct op *op)
{
	(void)op;
}

/* Lets everything happen that is on its way. */
static inline void settle(struct loop *l)
{
	for (unsigned i = 0; i < 4; i++) {
		struct op end = {0};
		struct status st = status_ok();
		op_start(&end, l, 0, NULL, mark_settled);
		op_finish(&end, &st);
		while (end.state != OP_IDLE)
			loop_turn(l);
	}
}

static inline void wait_end(struct fixture *x)
{
	while (!x->ended)
		loop_turn(x->l);
	settle(x->l);
}

static inline void assert_trace(struct fixture *x, const char *want)
{
	assert_string_equal(x->trace.ptr ? x->trace.ptr : "", want);
	assert_int_equal(x->f.state, FLOW_ENDED);
	assert_false(timer_is_set(&x->f.limit));
	op_drop(&x->op);
	op_drop(&x->persist_op);
	buf_finish(&x->trace);
	buf_finish(&x->steps);
}

/* assert_trace with the parts joined by spaces. */
#define assert_traces(x, ...) assert_trace_parts((x), (const char *const[]){__VA_ARGS__, NULL})
static inline void assert_trace_parts(struct fixture *x, const char *const *parts)
{
	struct buf want = {0};
	for (; *parts; parts++)
		note(&want, *parts, "");
	assert_trace(x, want.ptr);
	buf_finish(&want);
}

static inline void expire(struct flow *f)
{
	assert_true(timer_is_set(&f->limit));
	timer_set(&f->limit, 0);
}

static inline int setup(void **state)
{
	*state = loop_create();
	return 0;
}

static inline int teardown(void **state)
{
	loop_destroy(*state);
	return 0;
}
