#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "loop/op.h"

/* An operation on nothing: the test says when it ends. */
struct req {
	struct op op;
	struct buf trace;
	void (*in_abort)(struct req *r);
	void (*in_complete)(struct req *r);
	unsigned completed;
};

static void note(struct req *r, const char *word)
{
	if (r->trace.len)
		buf_addc(&r->trace, ' ');
	buf_adds(&r->trace, word);
}

static void on_abort(struct op *op)
{
	struct req *r = container_of(op, struct req, op);
	note(r, "abort");
	if (r->in_abort)
		r->in_abort(r);
}

static void on_complete(struct op *op)
{
	struct req *r = container_of(op, struct req, op);
	assert_int_equal(op->state, OP_IDLE);
	note(r, "complete:");
	buf_adds(&r->trace, st_code_name(op->st.code));
	r->completed++;
	if (r->in_complete)
		r->in_complete(r);
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

static void wait_complete(struct loop *l, struct req *r)
{
	unsigned before = r->completed;
	while (r->completed == before)
		loop_turn(l);
}

/* Whatever is still to come has come: a full round of defers and expired timers. */
static void settle(struct loop *l)
{
	struct req end = {0};
	op_start(&end.op, l, 0, NULL, on_complete);
	struct status st = status_ok();
	op_finish(&end.op, &st);
	wait_complete(l, &end);
	buf_finish(&end.trace);
}

static void assert_trace(struct req *r, const char *want)
{
	assert_string_equal(r->trace.ptr ? r->trace.ptr : "", want);
	buf_finish(&r->trace);
}

static void finish_completes_once_and_later(void **state)
{
	struct req r = {0};
	struct status ok = status_ok(), late = status_err(ST_INTERNAL, "late");
	op_start(&r.op, *state, 1000, on_abort, on_complete);
	assert_true(op_is_running(&r.op));
	assert_true(timer_is_set(&r.op.deadline));
	op_finish(&r.op, &ok); /* as if inside the call that starts it */
	assert_false(op_is_running(&r.op));
	assert_false(timer_is_set(&r.op.deadline));
	assert_trace(&r, "");
	op_finish(&r.op, &late);
	op_cancel(&r.op);
	wait_complete(*state, &r);
	op_finish(&r.op, &late);
	op_cancel(&r.op);
	settle(*state);
	assert_trace(&r, "complete:OK");
}

static void failure_is_delivered_in_full(void **state)
{
	struct req r = {0};
	op_start(&r.op, *state, 0, NULL, on_complete);
	assert_false(timer_is_set(&r.op.deadline));
	{
		struct status st = status_err(ST_NOT_FOUND, "no such thing");
		op_finish(&r.op, &st);
		st = status_ok(); /* the op has its own copy */
	}
	wait_complete(*state, &r);
	assert_string_equal(r.op.st.message, "no such thing");
	assert_trace(&r, "complete:NOT_FOUND");
}

static void deadline_aborts(void **state)
{
	struct req r = {0};
	op_start(&r.op, *state, 3, on_abort, on_complete);
	wait_complete(*state, &r);
	assert_string_equal(r.op.st.message, "no answer within 3 ms");
	settle(*state);
	assert_trace(&r, "abort complete:DEADLINE_EXCEEDED");
}

static void cancel_aborts_at_once_and_completes_later(void **state)
{
	struct req r = {0};
	op_start(&r.op, *state, 1000, on_abort, on_complete);
	op_cancel(&r.op);
	op_cancel(&r.op);
	assert_false(timer_is_set(&r.op.deadline));
	assert_string_equal(r.trace.ptr, "abort");
	wait_complete(*state, &r);
	settle(*state);
	assert_trace(&r, "abort complete:CANCELLED");
}

static void no_abort_function(void **state)
{
	struct req r = {0};
	op_start(&r.op, *state, 0, NULL, on_complete);
	op_cancel(&r.op);
	wait_complete(*state, &r);
	op_start(&r.op, *state, 1, NULL, on_complete);
	wait_complete(*state, &r);
	op_start(&r.op, *state, 1, NULL, on_complete);
	op_drop(&r.op);
	settle(*state);
	assert_trace(&r, "complete:CANCELLED complete:DEADLINE_EXCEEDED");
}

static void finish_it(struct req *r)
{
	struct status st = status_ok();
	op_finish(&r->op, &st);
}

static void finish_inside_abort_is_ignored(void **state)
{
	struct req r = {.in_abort = finish_it};
	op_start(&r.op, *state, 0, on_abort, on_complete);
	op_cancel(&r.op);
	wait_complete(*state, &r);
	settle(*state);
	assert_trace(&r, "abort complete:CANCELLED");
}

static void drop_it(struct req *r)
{
	op_drop(&r->op);
}

static void drop_inside_abort(void **state)
{
	struct req r = {.in_abort = drop_it};
	op_start(&r.op, *state, 0, on_abort, on_complete);
	op_cancel(&r.op);
	settle(*state);
	assert_trace(&r, "abort");
}

static void drop_never_completes(void **state)
{
	struct req r = {0};
	struct status ok = status_ok();
	op_drop(&r.op); /* never started */
	op_start(&r.op, *state, 1, on_abort, on_complete);
	op_drop(&r.op);
	op_drop(&r.op);
	assert_false(timer_is_set(&r.op.deadline));
	settle(*state);
	assert_trace(&r, "abort");

	op_start(&r.op, *state, 1, on_abort, on_complete);
	op_finish(&r.op, &ok);
	op_drop(&r.op); /* the work is over: nothing to abort */
	settle(*state);
	assert_trace(&r, "");
}

static struct loop *the_loop;

static void start_again(struct req *r)
{
	if (r->completed < 3) {
		op_start(&r->op, the_loop, 1, on_abort, on_complete);
		finish_it(r);
	}
}

static void may_be_started_again_in_complete(void **state)
{
	struct req r = {.in_complete = start_again};
	the_loop = *state;
	op_start(&r.op, *state, 0, on_abort, on_complete);
	finish_it(&r);
	while (r.completed < 3)
		loop_turn(*state);
	assert_int_equal(r.op.state, OP_IDLE);
	assert_trace(&r, "complete:OK complete:OK complete:OK");
}

static bool freed;

static void free_it(struct req *r)
{
	buf_finish(&r->trace);
	free(r);
	freed = true;
}

static void may_be_freed_in_complete(void **state)
{
	struct req *r = calloc(1, sizeof *r);
	r->in_complete = free_it;
	op_start(&r->op, *state, 1, on_abort, on_complete);
	freed = false;
	while (!freed)
		loop_turn(*state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finish_completes_once_and_later),
		TEST(failure_is_delivered_in_full),
		TEST(deadline_aborts),
		TEST(cancel_aborts_at_once_and_completes_later),
		TEST(no_abort_function),
		TEST(finish_inside_abort_is_ignored),
		TEST(drop_inside_abort),
		TEST(drop_never_completes),
		TEST(may_be_started_again_in_complete),
		TEST(may_be_freed_in_complete),
	};
	return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
