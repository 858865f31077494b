/* What runs write, together: who is told what, when the database stores, refuses or is not heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/str.h"
#include "jobs/batch.h"
#include "loop/loop.h"

#define JOBS 300

/* The database is the test: it keeps the calls, and answers when and what the test says. */
struct call {
	db_writes_done done;
	void *data;
	size_t n;
	int epochs[DB_WRITES_MAX];
	bool again;
};
struct fixture {
	struct db db; /* first */
	struct loop *loop;
	struct job_batch *batch;
	struct call calls[8];
	size_t n_calls, answered;
	struct job_write writes[JOBS];
	struct status told[JOBS];
	unsigned tellings[JOBS];
	bool put_again; /* from inside done */
	struct timer tick;
};
static struct fixture *f;

static struct db_call *write_jobs(struct db *db, const struct db_job_write *writes, size_t n,
	db_writes_done done, void *data)
{
	assert_ptr_equal(db, &f->db);
	assert_true(f->n_calls < 8 && n > 0 && n <= DB_WRITES_MAX);
	struct call *c = &f->calls[f->n_calls++];
	*c = (struct call){.done = done, .data = data, .n = n};
	for (size_t i = 0; i < n; i++) {
		c->epochs[i] = writes[i].epoch;
		c->again |= writes[i].first < writes[i].number;
	}
	return NULL;
}
static const struct db_job_ops ops = {.write = write_jobs};

static void on_told(struct job_write *w, const struct status *st)
{
	size_t i = (size_t)(w - f->writes);
	f->told[i] = *st;
	f->tellings[i]++;
	if (f->put_again) {
		w->what.number++;
		job_batch_put(f->batch, w);
	}
}

static void on_tick(struct timer *t)
{
	(void)t;
}

/* Also when there is nothing to wait for. */
static void turn(void)
{
	timer_set(&f->tick, 0);
	loop_turn(f->loop);
}

static void put(size_t i)
{
	f->writes[i].what = (struct db_job_write){.id = "j", .epoch = (int)i, .step = "s"};
	f->writes[i].done = on_told;
	job_batch_put(f->batch, &f->writes[i]);
}

/* Answers the oldest call that waits. `lost`: the place of one that is not held, or SIZE_MAX. */
static void answer(enum st_code code, size_t lost)
{
	struct call *c = &f->calls[f->answered++];
	struct status st = code == ST_OK ? status_ok() : status_err(code, "as scripted");
	bool held[DB_WRITES_MAX];
	for (size_t i = 0; i < c->n; i++)
		held[i] = code == ST_OK && i != lost;
	c->done(c->data, &st, held, c->n);
	turn();
}

static int set_up(void **state)
{
	(void)state;
	f = calloc(1, sizeof(*f));
	f->db.jobs = &ops;
	f->loop = loop_create();
	timer_init(&f->tick, f->loop, on_tick);
	f->batch = job_batch_create(f->loop, &f->db, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	job_batch_destroy(f->batch);
	timer_stop(&f->tick);
	loop_destroy(f->loop);
	free(f);
	return 0;
}

static void a_turn_is_one_batch(void **state)
{
	(void)state;
	for (size_t i = 0; i < 50; i++)
		put(i);
	assert_int_equal(f->n_calls, 0);
	turn();
	assert_int_equal(f->n_calls, 1);
	assert_int_equal(f->calls[0].n, 50);
	answer(ST_OK, SIZE_MAX);
	for (size_t i = 0; i < 50; i++) {
		assert_int_equal(f->tellings[i], 1);
		assert_int_equal(f->told[i].code, ST_OK);
	}
}

static void each_is_told_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		put(i);
	turn();
	answer(ST_OK, 1);
	assert_int_equal(f->told[0].code, ST_OK);
	assert_int_equal(f->told[1].code, ST_ABORTED);
	assert_string_equal(f->told[1].message, "job j is no longer run under epoch 1");
	assert_int_equal(f->told[2].code, ST_OK);
}

static void two_are_under_way_and_the_rest_gathers(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		put(i);
		turn();
	}
	assert_int_equal(f->n_calls, 2);
	assert_int_equal(f->calls[1].n, 1);
	answer(ST_OK, SIZE_MAX);
	assert_int_equal(f->n_calls, 3);
	assert_int_equal(f->calls[2].n, 4);
	answer(ST_OK, SIZE_MAX);
	answer(ST_OK, SIZE_MAX);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(f->tellings[i], 1);
}

static void a_batch_has_a_limit(void **state)
{
	(void)state;
	for (size_t i = 0; i < JOBS; i++)
		put(i);
	turn();
	assert_int_equal(f->n_calls, 2);
	assert_int_equal(f->calls[0].n, DB_WRITES_MAX);
	assert_int_equal(f->calls[1].n, JOBS - DB_WRITES_MAX);
	answer(ST_OK, SIZE_MAX);
	answer(ST_OK, SIZE_MAX);
}

static void what_is_not_known_is_told_to_all(void **state)
{
	static const enum st_code codes[] = {ST_UNAVAILABLE, ST_DEADLINE_EXCEEDED, ST_CANCELLED,
		ST_RESOURCE_EXHAUSTED};
	(void)state;
	for (size_t k = 0; k < 4; k++) {
		put(0), put(1);
		turn();
		answer(codes[k], SIZE_MAX);
		assert_int_equal(f->told[0].code, codes[k]);
		assert_int_equal(f->told[1].code, codes[k]);
		assert_int_equal(f->tellings[1], k + 1);
	}
	assert_int_equal(f->n_calls, 4);
}

static void it_is_put_again_from_inside(void **state)
{
	(void)state;
	put(0), put(1);
	turn();
	f->put_again = true;
	answer(ST_UNAVAILABLE, SIZE_MAX);
	assert_int_equal(f->n_calls, 2);
	assert_int_equal(f->calls[1].n, 2);
	assert_true(f->calls[1].again);
	f->put_again = false;
	answer(ST_OK, SIZE_MAX);
	assert_int_equal(f->told[1].code, ST_OK);
	assert_int_equal(f->tellings[1], 2);
}

static void the_one_to_blame_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		put(i);
	turn();
	answer(ST_INVALID_ARGUMENT, SIZE_MAX);
	assert_int_equal(f->tellings[0] + f->tellings[1] + f->tellings[2], 0);
	put(3); /* waits behind those that are sent alone */
	answer(ST_OK, SIZE_MAX);
	answer(ST_INVALID_ARGUMENT, SIZE_MAX);
	answer(ST_OK, SIZE_MAX);
	answer(ST_OK, SIZE_MAX);
	assert_int_equal(f->n_calls, 5);
	for (size_t i = 1; i <= 4; i++) {
		assert_int_equal(f->calls[i].n, 1);
		assert_int_equal(f->calls[i].epochs[0], i - 1);
		assert_int_equal(f->told[i - 1].code, i == 2 ? ST_INVALID_ARGUMENT : ST_OK);
		assert_int_equal(f->tellings[i - 1], 1);
	}
}

static void what_waits_can_be_taken_back(void **state)
{
	(void)state;
	put(0), put(1);
	assert_true(job_batch_take_back(&f->writes[0]));
	assert_false(job_batch_take_back(&f->writes[0]));
	turn();
	assert_int_equal(f->calls[0].n, 1);
	assert_false(job_batch_take_back(&f->writes[1]));
	answer(ST_OK, SIZE_MAX);
	assert_int_equal(f->tellings[0], 0);
	assert_int_equal(f->tellings[1], 1);
	/* The last one is taken back: nothing is sent. */
	put(0);
	assert_true(job_batch_take_back(&f->writes[0]));
	turn();
	assert_int_equal(f->n_calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_turn_is_one_batch),
		TEST(each_is_told_its_own),
		TEST(two_are_under_way_and_the_rest_gathers),
		TEST(a_batch_has_a_limit),
		TEST(what_is_not_known_is_told_to_all),
		TEST(it_is_put_again_from_inside),
		TEST(the_one_to_blame_is_found),
		TEST(what_waits_can_be_taken_back),
	};
	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
