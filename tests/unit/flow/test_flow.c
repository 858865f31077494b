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

static void note(struct buf *b, const char *mark, const char *name)
{
	if (b->len)
		buf_addc(b, ' ');
	buf_adds(b, mark);
	buf_adds(b, name);
}

static const char *name_of(struct flow *f)
{
	return f->steps[f->at].name;
}

static void on_op(struct op *op)
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

static enum flow_next wait_for(struct fixture *x, enum st_code code)
{
	struct status st = code == ST_OK ? status_ok() : status_err(code, "later %s", name_of(&x->f));
	op_start(&x->op, x->l, 0, NULL, on_op);
	op_finish(&x->op, &st);
	return FLOW_WAIT;
}

static enum flow_next fail_with(struct flow *f, enum st_code code)
{
	struct status *st = f->state == FLOW_UNDOING ? &f->undo_st : &f->st;
	*st = status_err(code, "broken %s", name_of(f));
	return FLOW_FAIL;
}

static enum flow_next act_out(struct flow *f, enum act act)
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

static enum flow_next fake_run(struct flow *f)
{
	struct fixture *x = f->data;
	assert_int_equal(f->state, FLOW_RUNNING);
	note(&x->trace, "", name_of(f));
	x->calls++;
	return act_out(f, x->run[f->at]);
}

static enum flow_next fake_undo(struct flow *f)
{
	struct fixture *x = f->data;
	assert_int_equal(f->state, FLOW_UNDOING);
	note(&x->trace, "-", name_of(f));
	x->calls++;
	return act_out(f, x->undo[f->at]);
}

static void on_step(struct flow *f, const char *name, unsigned index, unsigned count)
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

static void on_persist_op(struct op *op)
{
	struct fixture *x = container_of(op, struct fixture, persist_op);
	if (!status_is_ok(&op->st))
		x->ended = true; /* the flow is abandoned: no on_end */
	flow_persisted(&x->f, &op->st);
}

static void persist(struct flow *f, const char *name, bool undo)
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

static void on_interrupt(struct flow *f)
{
	struct fixture *x = f->data;
	note(&x->trace, "!", "");
	op_cancel(&x->op); /* completes later in this turn, and calls flow_step_done */
	if (x->abandon_in_interrupt)
		flow_abandon(f);
}

static void on_end(struct flow *f)
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

static void begin_with(struct fixture *x, struct loop *l, const struct flow_ops *o)
{
	*x = (struct fixture){.l = l, .persist_at = NOWHERE, .cancel_on = NOWHERE, .abandon_on = NOWHERE};
	flow_init(&x->f, l, steps, o, x);
}

static void begin(struct fixture *x, struct loop *l)
{
	begin_with(x, l, &ops);
}

static void set_all(struct fixture *x, enum act act)
{
	for (unsigned i = 0; i < N; i++)
		x->run[i] = x->undo[i] = act;
}

static void wait_hang(struct fixture *x)
{
	while (!x->hangs && !x->ended)
		loop_turn(x->l);
	assert_true(x->hangs);
	x->hangs = false;
}

static void mark_settled(struct op *op)
{
	(void)op;
}

/* Lets everything happen that is on its way. */
static void settle(struct loop *l)
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

static void wait_end(struct fixture *x)
{
	while (!x->ended)
		loop_turn(x->l);
	settle(x->l);
}

static void assert_trace(struct fixture *x, const char *want)
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
#define assert_traces(x, ...) \
	assert_trace_parts((x), (const char *const[]){__VA_ARGS__, NULL})
static void assert_trace_parts(struct fixture *x, const char *const *parts)
{
	struct buf want = {0};
	for (; *parts; parts++)
		note(&want, *parts, "");
	assert_trace(x, want.ptr);
	buf_finish(&want);
}

static void expire(struct flow *f)
{
	assert_true(timer_is_set(&f->limit));
	timer_set(&f->limit, 0);
}

/* ---- success ---- */

static void every_kind_of_step_goes_on(void **state)
{
	static const struct {
		enum act act;
		const char *trace;
	} cases[] = {
		{NEXT, "a +a b +b c +c d +d end:OK"},
		{WAIT_DONE, "a +a b +b c +c d +d end:OK"},
		{INSIDE, "a +a b +b c +c d +d end:OK"},
		{WAIT_RESUME, "a a +a b b +b c c +c d d +d end:OK"},
		{AGAIN, "a a +a b b +b c c +c d d +d end:OK"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture x;
		begin(&x, *state);
		set_all(&x, cases[i].act);
		flow_start(&x.f, NULL, false);
		assert_null(x.trace.ptr); /* nothing from inside flow_start */
		wait_end(&x);
		assert_string_equal(x.steps.ptr, "a b c d"); /* once a step, however often it runs */
		assert_true(status_is_ok(&x.f.undo_st));
		assert_trace(&x, cases[i].trace);
	}
}

static void without_optional_hooks(void **state)
{
	static const struct flow_ops bare = {.on_end = on_end};
	struct fixture x;
	begin_with(&x, *state, &bare);
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_trace(&x, "a b c d end:OK");

	begin_with(&x, *state, &bare);
	x.run[3] = FAIL;
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_trace(&x, "a b c d -d -c -a end:INTERNAL");

	begin_with(&x, *state, &bare);
	x.run[2] = HANG;
	flow_start(&x.f, NULL, false);
	wait_hang(&x);
	flow_cancel(&x.f, NULL);
	wait_end(&x);
	assert_trace(&x, "a b c -c -a end:CANCELLED");
}

static void empty_table_ends_well(void **state)
{
	static const struct flow_step none[] = {{0}};
	struct fixture x;
	begin(&x, *state);
	flow_init(&x.f, *state, none, &ops, &x);
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_trace(&x, "end:OK");
}

/* A reason that a step leaves behind though it went on is forgotten. */
static enum flow_next finds_another_way(struct flow *f)
{
	f->st = status_err(ST_NOT_FOUND, "first try");
	return FLOW_NEXT;
}

static void next_means_ok(void **state)
{
	static const struct flow_step one[] = {{"a", finds_another_way, NULL, 0}, {0}};
	static const struct flow_ops bare = {.on_end = on_end};
	struct fixture x;
	begin(&x, *state);
	flow_init(&x.f, *state, one, &bare, &x);
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_trace(&x, "end:OK");
}

/* ---- failure ---- */

static void every_step_fails_in_turn(void **state)
{
	static const enum act ways[] = {FAIL, MUTE_FAIL, WAIT_FAIL, CANCEL_FAIL};
	static const char *const words[] = {"broken ", "step \"", "later ", "broken "};
	for (unsigned way = 0; way < 4; way++) {
		for (unsigned i = 0; i < N; i++) {
			struct fixture x;
			begin(&x, *state);
			set_all(&x, way % 2 ? WAIT_DONE : NEXT);
			x.run[i] = ways[way];
			flow_start(&x.f, NULL, false);
			wait_end(&x);
			assert_memory_equal(x.f.st.message, words[way], strlen(words[way]));
			assert_non_null(strstr(x.f.st.message, steps[i].name));
			assert_true(status_is_ok(&x.f.undo_st));
			assert_traces(&x, down[i], up[i], "end:INTERNAL");
		}
	}
}

static void progress_tells_both_ways(void **state)
{
	struct fixture x;
	begin(&x, *state);
	set_all(&x, WAIT_RESUME);
	x.run[3] = FAIL;
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_string_equal(x.steps.ptr, "a b c d -d -c -a");
	assert_trace(&x, "a a +a b b +b c c +c d ~d -d -d -c -c -a -a end:INTERNAL");
}

/* Nothing to take back: the undo pass is not even stored. */
static void failure_without_undo_ends_at_once(void **state)
{
	static const struct flow_step no_undo[] = {{"a", fake_run, NULL, 0}, {"b", fake_run, NULL, 0}, {0}};
	static const struct flow_ops quiet = {.persist = persist, .on_end = on_end};
	struct fixture x;
	begin(&x, *state);
	flow_init(&x.f, *state, no_undo, &quiet, &x);
	x.run[1] = FAIL;
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_trace(&x, "a +a b end:INTERNAL");
}

static void every_undo_fails_in_turn(void **state)
{
	static const enum act ways[] = {FAIL, MUTE_FAIL, WAIT_FAIL};
	static const char *const words[] = {"broken ", "failed without a reason", "later "};
	for (unsigned way = 0; way < 3; way++) {
		for (unsigned i = 0; i < N; i++) {
			struct fixture x;
			begin(&x, *state);
			x.run[3] = FAIL;
			x.undo[i] = ways[way];
			flow_start(&x.f, NULL, false);
			wait_end(&x);
			assert_string_equal(x.f.st.message, "broken d");
			assert_int_equal(x.f.undo_st.code, i == 1 ? ST_OK : ST_INTERNAL);
			if (i != 1) {
				assert_non_null(strstr(x.f.undo_st.message, words[way]));
				assert_memory_equal(x.f.undo_st.message, "undo of step \"", 14);
				assert_int_equal(x.f.undo_st.message[14], steps[i].name[0]);
			}
			assert_traces(&x, down[3], up[3], "end:INTERNAL");
		}
	}
}

static void first_failure_of_the_undo_pass_is_kept(void **state)
{
	struct fixture x;
	begin(&x, *state);
	x.run[3] = FAIL;
	x.undo[2] = WAIT_FAIL;
	x.undo[0] = FAIL;
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_string_equal(x.f.undo_st.message, "undo of step \"c\": later c");
	assert_traces(&x, down[3], up[3], "end:INTERNAL");
}

/* ---- cancel ---- */

static void cancel_while_each_step_waits(void **state)
{
	struct status why = status_err(ST_FAILED_PRECONDITION, "not wanted any more");
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		set_all(&x, i % 2 ? NEXT : WAIT_DONE);
		x.run[i] = HANG;
		flow_start(&x.f, NULL, false);
		wait_hang(&x);
		size_t before = x.trace.len;
		flow_cancel(&x.f, i % 2 ? &why : NULL);
		flow_cancel(&x.f, NULL);
		assert_int_equal(x.trace.len, before); /* nothing from inside flow_cancel */
		wait_end(&x);
		assert_string_equal(x.f.st.message, i % 2 ? "not wanted any more" : "cancelled");
		assert_traces(&x, down[i], "!", up[i],
			i % 2 ? "end:FAILED_PRECONDITION" : "end:CANCELLED");
	}
}

static void cancel_inside_each_step(void **state)
{
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		x.run[i] = CANCEL_NEXT; /* it is over: nothing to interrupt */
		flow_start(&x.f, NULL, false);
		wait_end(&x);
		assert_traces(&x, down[i], up[i], "end:CANCELLED");

		begin(&x, *state);
		x.run[i] = CANCEL_WAIT;
		flow_start(&x.f, NULL, false);
		wait_end(&x);
		assert_traces(&x, down[i], "!", up[i], "end:CANCELLED");
	}
}

static void cancel_before_each_step_runs(void **state)
{
	static const char *const want[] = {
		"end:CANCELLED",
		"a +a ~a -a end:CANCELLED",
		"a +a b +b ~b -a end:CANCELLED",
		"a +a b +b c +c ~c -c -a end:CANCELLED",
	};
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		x.cancel_on = i;
		flow_start(&x.f, NULL, false);
		wait_end(&x);
		assert_trace(&x, want[i]);
	}
	struct fixture x;
	begin(&x, *state);
	flow_cancel(&x.f, NULL); /* not started: nothing to cancel */
	flow_start(&x.f, NULL, false);
	flow_cancel(&x.f, NULL);
	wait_end(&x);
	assert_null(x.steps.ptr);
	assert_trace(&x, "end:CANCELLED");
}

/* The store is waited for; then the step that it stored is taken back too. */
static void cancel_while_each_step_is_stored(void **state)
{
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		struct status ok = status_ok();
		begin(&x, *state);
		x.persist_at = i;
		x.persist = HANG;
		flow_start(&x.f, NULL, false);
		wait_hang(&x);
		flow_cancel(&x.f, NULL);
		settle(*state);
		assert_string_equal(x.trace.ptr, stored[i]);
		op_finish(&x.persist_op, &ok);
		wait_end(&x);
		assert_traces(&x, stored[i], up[i], "end:CANCELLED");
	}
}

static void cancel_after_the_completion(void **state)
{
	struct fixture x;
	struct status ok = status_ok(), bad = status_err(ST_INTERNAL, "bad");
	begin(&x, *state);
	x.run[2] = HANG;
	flow_start(&x.f, NULL, false);
	wait_hang(&x);
	flow_step_done(&x.f, &ok);
	flow_cancel(&x.f, NULL); /* came to an end by itself: no interrupt */
	wait_end(&x);
	assert_traces(&x, down[2], up[2], "end:CANCELLED");

	begin(&x, *state);
	x.run[2] = HANG;
	flow_start(&x.f, NULL, false);
	wait_hang(&x);
	flow_step_done(&x.f, &bad);
	flow_cancel(&x.f, NULL); /* the first failure stands */
	wait_end(&x);
	assert_traces(&x, down[2], up[2], "end:INTERNAL");

	begin(&x, *state);
	x.run[2] = HANG;
	flow_start(&x.f, NULL, false);
	wait_hang(&x);
	flow_resume(&x.f);
	flow_cancel(&x.f, NULL); /* not run once more */
	wait_end(&x);
	assert_traces(&x, down[2], "!", up[2], "end:CANCELLED");
}

static void cancel_while_undoing_is_ignored(void **state)
{
	for (unsigned i = 0; i < N; i++) {
		if (i == 1)
			continue;
		struct fixture x;
		struct status ok = status_ok();
		begin(&x, *state);
		x.run[3] = FAIL;
		x.undo[i] = HANG;
		flow_start(&x.f, NULL, false);
		wait_hang(&x);
		flow_cancel(&x.f, NULL);
		settle(*state);
		op_finish(&x.op, &ok);
		wait_end(&x);
		assert_traces(&x, down[3], up[3], "end:INTERNAL");
	}
	struct fixture x;
	struct status ok = status_ok();
	begin(&x, *state);
	x.run[3] = FAIL;
	x.persist_at = 3;
	x.persist = HANG;
	flow_start(&x.f, NULL, false);
	wait_hang(&x);
	flow_cancel(&x.f, NULL);
	op_finish(&x.persist_op, &ok);
	wait_end(&x);
	flow_cancel(&x.f, NULL);
	settle(*state);
	assert_traces(&x, down[3], up[3], "end:INTERNAL");
}

/* ---- time limits ---- */

static const struct flow_step timed[] = {
	{"a", fake_run, fake_undo, 1},
	{"b", fake_run, NULL, 2},
	{"c", fake_run, fake_undo, 3},
	{"d", fake_run, fake_undo, 60},
	{0},
};

static void every_step_takes_too_long(void **state)
{
	static const char *const words[] = {
		"step \"a\" took longer than 1 s",
		"step \"b\" took longer than 2 s",
		"step \"c\" took longer than 3 s",
		"step \"d\" took longer than 60 s",
	};
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		flow_init(&x.f, *state, timed, &ops, &x);
		set_all(&x, i % 2 ? NEXT : WAIT_RESUME);
		x.run[i] = HANG;
		for (unsigned k = 0; k < i; k++)
			x.run[k] = NEXT;
		x.undo[0] = x.undo[2] = x.undo[3] = NEXT;
		flow_start(&x.f, NULL, false);
		wait_hang(&x);
		expire(&x.f);
		wait_end(&x);
		assert_string_equal(x.f.st.message, words[i]);
		assert_traces(&x, down[i], "!", up[i], "end:DEADLINE_EXCEEDED");
	}
}

static void every_undo_takes_too_long(void **state)
{
	for (unsigned i = 0; i < N; i++) {
		if (i == 1)
			continue;
		struct fixture x;
		begin(&x, *state);
		flow_init(&x.f, *state, timed, &ops, &x);
		x.run[3] = FAIL;
		x.undo[i] = HANG;
		flow_start(&x.f, NULL, false);
		wait_hang(&x);
		expire(&x.f);
		wait_end(&x);
		assert_int_equal(x.f.undo_st.code, ST_DEADLINE_EXCEEDED);
		assert_non_null(strstr(x.f.undo_st.message, "took longer than"));
		static const char *const want[] = {"~d -d -c -a !", NULL, "~d -d -c ! -a", "~d -d ! -c -a"};
		assert_traces(&x, down[3], want[i], "end:INTERNAL");
	}
}

/* One limit holds for a step's whole time, is none when it says 0, and ends with the step. */
static void limit_is_the_steps_own(void **state)
{
	struct fixture x;
	struct status ok = status_ok();
	begin(&x, *state);
	set_all(&x, HANG);
	flow_start(&x.f, NULL, false);
	for (unsigned i = 0; i < N; i++) {
		wait_hang(&x);
		assert_int_equal(timer_is_set(&x.f.limit), steps[i].seconds != 0);
		uint64_t key = x.f.limit.node.key, now = loop_now_ms(*state);
		if (steps[i].seconds) {
			assert_in_range(key - now, steps[i].seconds * 1000 - 500, steps[i].seconds * 1000);
			op_drop(&x.op);
			flow_resume(&x.f);
			wait_hang(&x);
			assert_int_equal(x.f.limit.node.key, key); /* running again gives no more time */
		}
		flow_step_done(&x.f, &ok);
		assert_false(timer_is_set(&x.f.limit));
		op_drop(&x.op);
	}
	wait_end(&x);
	assert_trace(&x, "a a +a b b +b c +c d d +d end:OK");
}

/* ---- late completions ---- */

static void completions_of_nobody_are_ignored(void **state)
{
	struct fixture x;
	struct status ok = status_ok(), bad = status_err(ST_INTERNAL, "late");
	begin(&x, *state);
	flow_resume(&x.f); /* not started */
	flow_step_done(&x.f, &bad);
	flow_persisted(&x.f, &bad);
	x.run[2] = HANG;
	x.undo[2] = HANG;
	flow_start(&x.f, NULL, false);
	flow_resume(&x.f);
	flow_step_done(&x.f, &bad); /* no step has begun */
	wait_hang(&x);
	flow_persisted(&x.f, &bad); /* nothing is being stored */
	unsigned ticket = x.ticket;
	assert_int_equal(ticket, flow_ticket(&x.f));
	flow_cancel(&x.f, NULL);
	wait_hang(&x); /* the undo of c waits: the run's cancelled completion did not end it */
	assert_int_not_equal(ticket, flow_ticket(&x.f));
	assert_int_equal(x.ticket, flow_ticket(&x.f));
	flow_step_done(&x.f, &ok);
	flow_step_done(&x.f, &bad); /* already over */
	op_drop(&x.op);
	wait_end(&x);
	flow_resume(&x.f);
	flow_step_done(&x.f, &bad);
	flow_persisted(&x.f, &ok);
	settle(*state);
	assert_true(status_is_ok(&x.f.undo_st));
	assert_traces(&x, down[2], "!", up[2], "end:CANCELLED");
}

/* ---- persistence ---- */

static void persist_fails_at_each_point(void **state)
{
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		x.persist_at = i;
		x.persist = i % 2 ? FAIL : ABANDON;
		flow_start(&x.f, NULL, false);
		wait_end(&x);
		assert_trace(&x, stored[i]); /* no undo, no end: it is another's */
	}
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		x.run[i] = FAIL;
		x.persist_at = i;
		x.persist = i % 2 ? ABANDON : FAIL;
		flow_start(&x.f, NULL, false);
		wait_end(&x);
		static const char *const mark[] = {"~a", "~b", "~c", "~d"};
		assert_traces(&x, down[i], mark[i]);
	}
}

static void persist_fails_after_cancel(void **state)
{
	struct fixture x;
	struct status bad = status_err(ST_ABORTED, "taken");
	begin(&x, *state);
	x.persist_at = 1;
	x.persist = HANG;
	flow_start(&x.f, NULL, false);
	wait_hang(&x);
	flow_cancel(&x.f, NULL);
	op_finish(&x.persist_op, &bad);
	wait_end(&x);
	assert_trace(&x, stored[1]);
}

static void persist_may_complete_inside(void **state)
{
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		x.persist_at = i;
		x.persist = INSIDE;
		x.run[3] = FAIL;
		flow_start(&x.f, NULL, false);
		wait_end(&x);
		assert_traces(&x, down[3], up[3], "end:INTERNAL");
	}
}

/* ---- resuming ---- */

static void resume_behind_each_step(void **state)
{
	static const char *const want[] = {"b +b c +c d +d end:OK", "c +c d +d end:OK", "d +d end:OK", "end:OK"};
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		flow_start(&x.f, steps[i].name, false);
		wait_end(&x);
		assert_trace(&x, want[i]);
	}
}

/* What was done before the restart is taken back too. */
static void fail_after_resuming(void **state)
{
	static const char *const want[] = {"b +b c +c d", "c +c d", "d"};
	for (unsigned i = 0; i < N - 1; i++) {
		struct fixture x;
		begin(&x, *state);
		x.run[3] = FAIL;
		flow_start(&x.f, steps[i].name, false);
		wait_end(&x);
		assert_traces(&x, want[i], up[3], "end:INTERNAL");
	}
}

static void resume_undo_at_each_step(void **state)
{
	static const char *const want[] = {"-a", "-a", "-c -a", "-d -c -a"};
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		set_all(&x, i % 2 ? WAIT_DONE : NEXT);
		flow_start(&x.f, steps[i].name, true);
		flow_cancel(&x.f, NULL);
		wait_end(&x);
		assert_traces(&x, want[i], "end:ABORTED");

		begin(&x, *state);
		x.f.st = status_err(ST_NOT_FOUND, "the first failure");
		flow_start(&x.f, steps[i].name, true);
		wait_end(&x);
		assert_string_equal(x.f.st.message, "the first failure");
		assert_traces(&x, want[i], "end:NOT_FOUND");
	}
	struct fixture x;
	begin(&x, *state);
	flow_start(&x.f, NULL, true);
	wait_end(&x);
	assert_trace(&x, "end:ABORTED");
}

static void unknown_step_is_an_error(void **state)
{
	for (int undoing = 0; undoing < 2; undoing++) {
		struct fixture x;
		begin(&x, *state);
		flow_start(&x.f, "z", undoing);
		assert_null(x.trace.ptr);
		wait_end(&x);
		assert_non_null(strstr(x.f.st.message, "\"z\""));
		assert_trace(&x, "end:INTERNAL");
	}
}

/* ---- abandon ---- */

static void abandon_while_each_step_waits(void **state)
{
	for (unsigned i = 0; i < N; i++) {
		struct fixture x;
		begin(&x, *state);
		x.run[i] = HANG;
		flow_start(&x.f, NULL, false);
		wait_hang(&x);
		flow_abandon(&x.f);
		flow_abandon(&x.f);
		settle(*state);
		assert_traces(&x, down[i], "!");

		if (i == 1)
			continue;
		begin(&x, *state);
		x.run[3] = FAIL;
		x.undo[i] = HANG;
		flow_start(&x.f, NULL, false);
		wait_hang(&x);
		flow_abandon(&x.f);
		settle(*state);
		static const char *const want[] = {"~d -d -c -a !", NULL, "~d -d -c !", "~d -d !"};
		assert_traces(&x, down[3], want[i]);
	}
}

static void abandon_anywhere_else(void **state)
{
	struct fixture x;
	begin(&x, *state);
	flow_abandon(&x.f); /* before the start */
	settle(*state);
	assert_trace(&x, "");

	begin(&x, *state);
	flow_start(&x.f, NULL, false);
	flow_abandon(&x.f); /* before the first step */
	settle(*state);
	assert_trace(&x, "");

	begin(&x, *state);
	x.abandon_on = 1; /* in on_step */
	flow_start(&x.f, NULL, false);
	settle(*state);
	settle(*state);
	assert_trace(&x, "a +a");

	begin(&x, *state);
	x.run[0] = ABANDON; /* in run */
	flow_start(&x.f, NULL, false);
	settle(*state);
	assert_trace(&x, "a !");

	begin(&x, *state);
	x.run[0] = HANG;
	x.abandon_in_interrupt = true;
	flow_start(&x.f, NULL, false);
	wait_hang(&x);
	flow_cancel(&x.f, NULL);
	settle(*state);
	assert_trace(&x, "a !");
}

/* ---- the end ---- */

static struct fixture *owner;

static void free_owner(struct flow *f)
{
	struct fixture *x = f->data;
	buf_finish(&x->trace);
	buf_finish(&x->steps);
	free(x);
	owner = NULL;
}

static void on_end_may_free_the_flow(void **state)
{
	static const struct flow_ops freeing = {on_step, NULL, on_interrupt, free_owner};
	static const enum act last[] = {NEXT, FAIL, INSIDE, CANCEL_NEXT, WAIT_DONE};
	for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
		owner = malloc(sizeof *owner);
		begin_with(owner, *state, &freeing);
		set_all(owner, INSIDE);
		owner->run[3] = last[i];
		flow_start(&owner->f, NULL, false);
		while (owner)
			loop_turn(*state);
		settle(*state);
	}
}

static int setup(void **state)
{
	*state = loop_create();
	return 0;
}

static int teardown(void **state)
{
	loop_destroy(*state);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_of_step_goes_on),
		TEST(without_optional_hooks),
		TEST(empty_table_ends_well),
		TEST(next_means_ok),
		TEST(every_step_fails_in_turn),
		TEST(progress_tells_both_ways),
		TEST(failure_without_undo_ends_at_once),
		TEST(every_undo_fails_in_turn),
		TEST(first_failure_of_the_undo_pass_is_kept),
		TEST(cancel_while_each_step_waits),
		TEST(cancel_inside_each_step),
		TEST(cancel_before_each_step_runs),
		TEST(cancel_while_each_step_is_stored),
		TEST(cancel_after_the_completion),
		TEST(cancel_while_undoing_is_ignored),
		TEST(every_step_takes_too_long),
		TEST(every_undo_takes_too_long),
		TEST(limit_is_the_steps_own),
		TEST(completions_of_nobody_are_ignored),
		TEST(persist_fails_at_each_point),
		TEST(persist_fails_after_cancel),
		TEST(persist_may_complete_inside),
		TEST(resume_behind_each_step),
		TEST(fail_after_resuming),
		TEST(resume_undo_at_each_step),
		TEST(unknown_step_is_an_error),
		TEST(abandon_while_each_step_waits),
		TEST(abandon_anywhere_else),
		TEST(on_end_may_free_the_flow),
	};
	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
