#include "fake_owner.h"

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
	flow_start(&x.f, NULL, false);
	flow_cancel(&x.f, NULL);
	wait_end(&x);
	assert_null(x.steps.ptr);
	assert_trace(&x, "end:CANCELLED");
}

static void cancel_of_what_does_not_run_is_ignored(void **state)
{
	struct fixture x;
	begin(&x, *state);
	flow_cancel(&x.f, NULL); /* not started */
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	flow_cancel(&x.f, NULL); /* over */
	settle(*state);
	assert_trace(&x, "a +a b +b c +c d +d end:OK");
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

/* The operation that was cancelled completes later in the turn, and its callback ends "the
 * step": never the undo, which begins behind it (op_start would fail on the busy op). */
static void cancelled_operations_do_not_end_the_undo(void **state)
{
	static const struct flow_ops unstored = {NULL, NULL, on_interrupt, on_end};
	for (unsigned way = 0; way < 3; way++) {
		struct fixture x;
		begin_with(&x, *state, &unstored);
		x.run[0] = HANG;
		x.undo[0] = WAIT_RESUME;
		flow_start(&x.f, NULL, false);
		wait_hang(&x);
		if (way == 0) {
			flow_cancel(&x.f, NULL);
		} else if (way == 1) {
			expire(&x.f);
		} else { /* the limit strikes between a resume and the run it asked for */
			flow_resume(&x.f);
			timer_stop(&x.f.limit);
			x.f.limit.fire(&x.f.limit);
		}
		x.calls = 0;
		wait_end(&x);
		assert_true(status_is_ok(&x.f.undo_st));
		assert_traces(&x, "a ! -a -a", way ? "end:DEADLINE_EXCEEDED" : "end:CANCELLED");
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cancel_while_each_step_waits),
		TEST(cancel_inside_each_step),
		TEST(cancel_before_each_step_runs),
		TEST(cancel_of_what_does_not_run_is_ignored),
		TEST(cancel_while_each_step_is_stored),
		TEST(cancel_after_the_completion),
		TEST(cancel_while_undoing_is_ignored),
		TEST(completions_of_nobody_are_ignored),
		TEST(cancelled_operations_do_not_end_the_undo),
		TEST(abandon_while_each_step_waits),
		TEST(abandon_anywhere_else),
	};
	return cmocka_run_group_tests_name("flow_cancel", tests, NULL, NULL);
}
