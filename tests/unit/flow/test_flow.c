#include "fake_owner.h"

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
		/* Once a step, however often it runs. */
		assert_string_equal(x.steps.ptr, "a b c d");
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
static void next_means_ok(void **state)
{
	struct fixture x;
	begin(&x, *state);
	set_all(&x, LEFTOVER);
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_trace(&x, "a +a b +b c +c d +d end:OK");

	begin(&x, *state);
	x.run[3] = FAIL;
	x.undo[3] = LEFTOVER;
	x.undo[2] = MUTE_FAIL;
	flow_start(&x.f, NULL, false);
	wait_end(&x);
	assert_string_equal(x.f.undo_st.message, "undo of step \"c\": failed without a reason");
	assert_traces(&x, down[3], up[3], "end:INTERNAL");
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
	static const struct flow_step no_undo[] = {
		{"a", fake_run, NULL, 0}, {"b", fake_run, NULL, 0}, {0}};
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
		static const char *const want[] = {
			"~d -d -c -a !", NULL, "~d -d -c ! -a", "~d -d ! -c -a"};
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
			assert_in_range(
				key - now, steps[i].seconds * 1000 - 500, steps[i].seconds * 1000);
			op_drop(&x.op);
			flow_resume(&x.f);
			wait_hang(&x);
			/* Running again gives no more time. */
			assert_int_equal(x.f.limit.node.key, key);
		}
		flow_step_done(&x.f, &ok);
		assert_false(timer_is_set(&x.f.limit));
		op_drop(&x.op);
	}
	wait_end(&x);
	assert_trace(&x, "a a +a b b +b c +c d d +d end:OK");
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
	static const char *const want[] = {
		"b +b c +c d +d end:OK", "c +c d +d end:OK", "d +d end:OK", "end:OK"};
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
		TEST(every_step_takes_too_long),
		TEST(every_undo_takes_too_long),
		TEST(limit_is_the_steps_own),
		TEST(persist_fails_at_each_point),
		TEST(persist_fails_after_cancel),
		TEST(persist_may_complete_inside),
		TEST(resume_behind_each_step),
		TEST(fail_after_resuming),
		TEST(resume_undo_at_each_step),
		TEST(unknown_step_is_an_error),
		TEST(on_end_may_free_the_flow),
	};
	return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
