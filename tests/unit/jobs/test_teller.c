/* What is told to others: at once, together, again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "jobs/teller.h"
#include "loop/loop.h"

/* The database is the test: it keeps the calls, and answers when and what the test says. */
static struct fixture {
	struct db db;
	struct loop *loop;
	struct job_teller *teller;
	struct db_told told[2 * DB_TOLD_MAX]; /* of the last call */
	size_t n;
	unsigned calls, idle;
	db_done done; /* of the one under way */
	void *data;
} f;

static struct db_call *tell(struct db *db, const struct db_told *told, size_t n, db_done done, void *data)
{
	(void)db;
	assert_null(f.done);
	assert_in_range(n, 1, DB_TOLD_MAX);
	memcpy(f.told, told, n * sizeof(*told));
	f.n = n;
	f.calls++;
	f.done = done;
	f.data = data;
	return NULL;
}
static const struct db_job_ops ops = {.tell = tell};

static void on_idle(void *data)
{
	(void)data;
	f.idle++;
}

static int set_up(void **state)
{
	(void)state;
	f = (struct fixture){.db = {.jobs = &ops}};
	f.loop = loop_create();
	loop_set_now(f.loop, 1000);
	f.teller = job_teller_create(f.loop, &f.db, on_idle, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	job_teller_destroy(f.teller);
	loop_destroy(f.loop);
	return 0;
}

/* Everything that is due within so many ms. */
static void pass(uint64_t ms)
{
	uint64_t until = loop_now_ms(f.loop) + ms;
	for (uint64_t next; (next = loop_next_ms(f.loop)) <= until;) {
		if (next > loop_now_ms(f.loop))
			loop_set_now(f.loop, next);
		loop_turn(f.loop);
	}
	loop_set_now(f.loop, until);
}

static void put(unsigned i, enum db_told_what what)
{
	struct db_job job = {.kind = JOB_SCALE};
	(void)snprintf(job.id.text, sizeof(job.id.text), "%036u", i);
	job_teller_put(f.teller, &job, what);
}

static void answer(enum st_code code)
{
	db_done done = f.done;
	struct status st = code == ST_OK ? status_ok() : status_err(code, "as scripted");
	f.done = NULL;
	done(f.data, &st);
}

static void what_is_quiet_is_told_at_once(void **state)
{
	(void)state;
	put(1, TOLD_EVENTS);
	assert_int_equal(f.calls, 0);
	pass(0);
	assert_int_equal(f.calls, 1);
	answer(ST_OK);
	assert_true(job_teller_is_idle(f.teller));
	pass(100);
	assert_int_equal(f.calls, 1);
	put(2, TOLD_EVENTS);
	pass(0);
	assert_int_equal(f.calls, 2);
}

static void what_comes_meanwhile_is_told_together(void **state)
{
	(void)state;
	put(1, TOLD_EVENTS);
	pass(0);
	put(2, TOLD_EVENTS);
	put(3, TOLD_EVENTS);
	put(2, TOLD_GONE);
	put(2, TOLD_EVENTS);
	answer(ST_OK);
	pass(5);
	assert_int_equal(f.calls, 1);
	pass(10);
	assert_int_equal(f.calls, 2);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.told[0].what, TOLD_GONE); /* the most that is known of it */
	assert_int_equal(f.told[1].what, TOLD_EVENTS);
}

static void what_could_not_be_told_is_told_again(void **state)
{
	(void)state;
	put(1, TOLD_READY);
	pass(0);
	answer(ST_UNAVAILABLE);
	assert_false(job_teller_is_idle(f.teller));
	put(2, TOLD_EVENTS);
	pass(1000);
	assert_int_equal(f.calls, 2);
	assert_int_equal(f.n, 2);
	answer(ST_OK);
	assert_true(job_teller_is_idle(f.teller));
}

static void more_than_fits_goes_in_parts_and_has_a_bound(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		put(i, TOLD_EVENTS);
	size_t told = 0;
	for (unsigned i = 0; i < 20 && !job_teller_is_idle(f.teller); i++) {
		pass(10);
		told += f.n;
		answer(ST_OK);
	}
	assert_true(job_teller_is_idle(f.teller));
	assert_in_range(told, 4 * DB_TOLD_MAX, 5 * DB_TOLD_MAX);
}

static void in_a_hurry_it_does_not_rest_nor_try_again(void **state)
{
	(void)state;
	put(1, TOLD_EVENTS);
	pass(0);
	answer(ST_OK);
	put(2, TOLD_EVENTS);
	job_teller_hurry(f.teller);
	pass(0);
	assert_int_equal(f.calls, 2);
	assert_int_equal(f.idle, 0);
	put(3, TOLD_EVENTS);
	answer(ST_OK);
	assert_int_equal(f.calls, 3);
	answer(ST_UNAVAILABLE);
	assert_true(job_teller_is_idle(f.teller));
	assert_int_equal(f.idle, 1);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_quiet_is_told_at_once),
		TEST(what_comes_meanwhile_is_told_together),
		TEST(what_could_not_be_told_is_told_again),
		TEST(more_than_fits_goes_in_parts_and_has_a_bound),
		TEST(in_a_hurry_it_does_not_rest_nor_try_again),
	};
	return cmocka_run_group_tests_name("teller", tests, NULL, NULL);
}
