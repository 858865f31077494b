#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include "base/str.h"
#include "loop/loop.h"
#include "../base/death.h"

/* ---- a recorder: named timers and defers that write what happens to one trace ---- */

struct ctx {
	struct loop *l;
	struct buf trace;
	bool done;
	uv_async_t async; /* stands for I/O; closes in loop_destroy */
};

struct mark {
	struct timer timer;
	struct defer defer;
	struct ctx *c;
	const char *name;
	void (*then)(struct mark *m);
	unsigned count;
};

static void note(struct ctx *c, const char *name)
{
	if (c->trace.len)
		buf_addc(&c->trace, ' ');
	buf_adds(&c->trace, name);
}

static void on_fire(struct timer *t)
{
	struct mark *m = container_of(t, struct mark, timer);
	assert_false(timer_is_set(t));
	note(m->c, m->name);
	m->count++;
	if (m->then)
		m->then(m);
}

static void on_run(struct defer *d)
{
	struct mark *m = container_of(d, struct mark, defer);
	note(m->c, m->name);
	m->count++;
	if (m->then)
		m->then(m);
}

static void mark_init(struct mark *m, struct ctx *c, const char *name, void (*then)(struct mark *m))
{
	*m = (struct mark){.c = c, .name = name, .then = then};
	timer_init(&m->timer, c->l, on_fire);
	defer_init(&m->defer, c->l, on_run);
}

static void finish(struct mark *m)
{
	m->c->done = true;
}

static void run_until_done(struct ctx *c)
{
	while (!c->done)
		loop_turn(c->l);
	c->done = false;
}

static void assert_trace(struct ctx *c, const char *want)
{
	assert_string_equal(c->trace.ptr ? c->trace.ptr : "", want);
	buf_finish(&c->trace);
}

static int setup(void **state)
{
	struct ctx *c = calloc(1, sizeof *c);
	c->l = loop_create();
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *c = *state;
	loop_destroy(c->l);
	buf_finish(&c->trace);
	free(c);
	return 0;
}

static void spin_ms(uint64_t ms)
{
	uint64_t until = uv_hrtime() + ms * 1000000;
	while (uv_hrtime() < until)
		continue;
}

/* ---- timers ---- */

static void timers_fire_by_time_then_by_setting(void **state)
{
	struct ctx *c = *state;
	struct mark m[5];
	mark_init(&m[0], c, "late", finish);
	mark_init(&m[1], c, "a", NULL);
	mark_init(&m[2], c, "b", NULL);
	mark_init(&m[3], c, "moved", NULL);
	mark_init(&m[4], c, "early", NULL);
	timer_set(&m[0].timer, 6);
	timer_set(&m[3].timer, 3);
	timer_set(&m[1].timer, 3);
	timer_set(&m[2].timer, 3);
	timer_set(&m[3].timer, 3); /* set anew: behind b */
	timer_set(&m[4].timer, 1);
	run_until_done(c);
	assert_trace(c, "early a b moved late");
}

static void timer_waits_its_time(void **state)
{
	struct ctx *c = *state;
	struct mark m;
	mark_init(&m, c, "t", finish);
	uint64_t start = uv_hrtime();
	timer_set(&m.timer, 15);
	assert_true(timer_is_set(&m.timer));
	run_until_done(c);
	assert_true(uv_hrtime() - start >= 14000000);
	assert_int_equal(m.count, 1);
}

static struct mark *other;

static void stop_other(struct mark *m)
{
	(void)m;
	timer_stop(&other->timer);
	timer_stop(&other->timer);
}

static void timer_stops_another_that_is_due(void **state)
{
	struct ctx *c = *state;
	struct mark m[3];
	mark_init(&m[0], c, "stops", stop_other);
	mark_init(&m[1], c, "stopped", NULL);
	mark_init(&m[2], c, "end", finish);
	other = &m[1];
	for (int i = 0; i < 3; i++)
		timer_set(&m[i].timer, 1);
	spin_ms(3);
	run_until_done(c);
	assert_trace(c, "stops end");
}

static void set_itself(struct mark *m)
{
	if (m->count == 1)
		uv_async_send(&m->c->async);
	if (m->count < 3)
		timer_set(&m->timer, 0);
	else
		m->c->done = true;
}

static void io_init(struct ctx *c, uv_async_cb cb)
{
	uv_async_init(loop_uv(c->l), &c->async, cb);
	c->async.data = c;
}

static void on_hello(uv_async_t *a)
{
	note(a->data, "io");
}

/* A timer that sets itself to 0 ms does not keep I/O from being seen in between. */
static void timer_of_zero_does_not_starve_io(void **state)
{
	struct ctx *c = *state;
	struct mark m;
	io_init(c, on_hello);
	mark_init(&m, c, "t", set_itself);
	timer_set(&m.timer, 0);
	run_until_done(c);
	assert_non_null(strstr(c->trace.ptr, "io t"));
	uv_close((uv_handle_t *)&c->async, NULL);
}

static void free_mark(struct mark *m)
{
	m->c->done = true;
	free(m);
}

static void timer_and_defer_may_be_freed_inside(void **state)
{
	struct ctx *c = *state;
	struct mark *m = calloc(1, sizeof *m);
	mark_init(m, c, "timer", free_mark);
	timer_set(&m->timer, 0);
	run_until_done(c);
	m = calloc(1, sizeof *m);
	mark_init(m, c, "defer", free_mark);
	defer_post(&m->defer);
	run_until_done(c);
	assert_trace(c, "timer defer");
}

static void work_long(struct mark *m)
{
	(void)m;
	spin_ms(12);
}

static uint64_t set_at;

static void set_other(struct mark *m)
{
	(void)m;
	set_at = uv_hrtime();
	timer_set(&other->timer, 10);
}

/* A callback that took long moves the loop's time on: what the next one sets waits in full. */
static void time_moves_on_after_long_work(void **state)
{
	struct ctx *c = *state;
	struct mark m[3];
	mark_init(&m[0], c, "works", work_long);
	mark_init(&m[1], c, "sets", set_other);
	mark_init(&m[2], c, "end", finish);
	other = &m[2];
	loop_set_watchdog(c->l, 0);
	defer_post(&m[0].defer);
	defer_post(&m[1].defer);
	run_until_done(c);
	assert_true(uv_hrtime() - set_at >= 9000000);
	assert_trace(c, "works sets end");
}

static void huge_time_never_fires(void **state)
{
	struct ctx *c = *state;
	struct mark m, end;
	mark_init(&m, c, "never", NULL);
	mark_init(&end, c, "end", finish);
	timer_set(&m.timer, UINT64_MAX);
	timer_set(&end.timer, 1);
	run_until_done(c);
	assert_trace(c, "end");
	timer_stop(&m.timer);
	assert_false(timer_is_set(&m.timer));
}

/* Thousands set, most stopped again, all others in order. */
static void many_timers(void **state)
{
	struct ctx *c = *state;
	enum { N = 3000 };
	struct mark *m = calloc(N, sizeof *m), end;
	mark_init(&end, c, "end", finish);
	for (unsigned i = 0; i < N; i++) {
		mark_init(&m[i], c, "x", NULL);
		timer_set(&m[i].timer, i * 7919 % 20);
	}
	for (unsigned i = 0; i < N; i++) {
		if (i % 3)
			timer_stop(&m[i].timer);
	}
	timer_set(&end.timer, 21);
	run_until_done(c);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(m[i].count, i % 3 ? 0 : 1);
	free(m);
}

/* ---- defers ---- */

static void cancel_other(struct mark *m)
{
	(void)m;
	defer_cancel(&other->defer);
	defer_cancel(&other->defer);
}

static void defers_run_in_order_once(void **state)
{
	struct ctx *c = *state;
	struct mark m[4];
	mark_init(&m[0], c, "a", NULL);
	mark_init(&m[1], c, "b", cancel_other);
	mark_init(&m[2], c, "cancelled", NULL);
	mark_init(&m[3], c, "end", finish);
	other = &m[2];
	defer_cancel(&m[2].defer);
	for (int i = 0; i < 4; i++)
		defer_post(&m[i].defer);
	defer_post(&m[0].defer);
	assert_trace(c, ""); /* not from inside defer_post */
	run_until_done(c);
	assert_trace(c, "a b end");
}

static void post_again(struct mark *m)
{
	if (m->count < 4)
		defer_post(&m->defer);
	else
		m->c->done = true;
}

/* A defer that posts itself lets I/O in between, and the loop does not wait (this would hang). */
static void defer_that_posts_itself_does_not_starve_io(void **state)
{
	struct ctx *c = *state;
	struct mark m;
	io_init(c, on_hello);
	mark_init(&m, c, "d", post_again);
	defer_post(&m.defer);
	uv_async_send(&c->async);
	run_until_done(c);
	assert_trace(c, "d io d d d");
	uv_close((uv_handle_t *)&c->async, NULL);
}

static void stop_loop(struct mark *m)
{
	if (m->count == 4)
		loop_stop(m->c->l);
	else
		defer_post(&m->defer);
}

static void post_other(struct mark *m)
{
	(void)m;
	defer_post(&other->defer);
}

/* loop_run: no event, no uv handle of anybody; only a timer whose defer ends it. */
static void run_lasts_until_stop(void **state)
{
	struct ctx *c = *state;
	struct mark t, d;
	mark_init(&t, c, "t", post_other);
	mark_init(&d, c, "d", stop_loop);
	other = &d;
	timer_set(&t.timer, 2);
	loop_run(c->l);
	assert_trace(c, "t d d d d");
	t.count = d.count = 0;
	timer_set(&t.timer, 1);
	loop_run(c->l);
	assert_trace(c, "t d d d d");
}

static void on_io_post(uv_async_t *a)
{
	note(a->data, "io");
	defer_post(&other->defer);
}

/* What a callback posts runs before the loop waits again: in the same turn. */
static void defer_of_a_callback_runs_in_the_same_turn(void **state)
{
	struct ctx *c = *state;
	struct mark d;
	io_init(c, on_io_post);
	mark_init(&d, c, "d", NULL);
	other = &d;
	uv_async_send(&c->async);
	loop_turn(c->l);
	assert_trace(c, "io d");
	uv_close((uv_handle_t *)&c->async, NULL);
}

static void on_closed(uv_handle_t *h)
{
	note(h->data, "closed");
	defer_post(&other->defer);
}

/* loop_destroy still runs close callbacks, and what they defer. */
static void destroy_finishes_closing(void **state)
{
	(void)state;
	struct ctx c = {.l = loop_create()};
	struct mark d;
	io_init(&c, on_hello);
	mark_init(&d, &c, "deferred", NULL);
	other = &d;
	uv_close((uv_handle_t *)&c.async, on_closed);
	loop_destroy(c.l);
	assert_trace(&c, "closed deferred");
	loop_destroy(NULL);
}

#ifndef NDEBUG
static void leave_a_handle_open(void)
{
	struct ctx c = {.l = loop_create()};
	io_init(&c, on_hello);
	loop_destroy(c.l);
}

static void leave_a_timer_set(void)
{
	struct ctx c = {.l = loop_create()};
	struct mark m;
	mark_init(&m, &c, "left", NULL);
	timer_set(&m.timer, 1000);
	loop_destroy(c.l);
}

static void leave_in_the_wrong_order(void)
{
	struct loop *l = loop_create();
	uint64_t outer = loop_enter(l, "outer");
	(void)loop_enter(l, "inner");
	loop_leave(l, outer);
}

static void broken_contracts_abort(void **state)
{
	(void)state;
	assert_true(aborts(leave_a_handle_open));
	assert_true(aborts(leave_a_timer_set));
	assert_true(aborts(leave_in_the_wrong_order));
}
#endif

/* ---- watchdog ---- */

/* Far enough apart that a busy machine does not make stalls of its own. */
enum { LIMIT_MS = 30, STALL_MS = 40 };

static void inner(struct mark *m)
{
	uint64_t outer = loop_enter(m->c->l, "outer");
	uint64_t token = loop_enter(m->c->l, "inner");
	spin_ms(STALL_MS);
	loop_leave(m->c->l, token);
	token = loop_enter(m->c->l, "quick");
	loop_leave(m->c->l, token);
	loop_leave(m->c->l, outer);
	m->c->done = true;
}

static void outer_too(struct mark *m)
{
	inner(m);
	spin_ms(STALL_MS);
}

/* Runs `then` from a timer and returns what was logged. */
static char *logged(struct ctx *c, void (*then)(struct mark *m))
{
	static char text[2000];
	int fds[2], saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	struct mark m;
	mark_init(&m, c, "m", then);
	timer_set(&m.timer, 0);
	run_until_done(c);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	ssize_t n = read(fds[0], text, sizeof text - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	return text;
}

static unsigned occurrences(const char *text, const char *part)
{
	unsigned n = 0;
	while ((text = strstr(text, part)) != NULL) {
		n++;
		text++;
	}
	return n;
}

static void watchdog_names_the_innermost_once(void **state)
{
	struct ctx *c = *state;
	loop_set_watchdog(c->l, LIMIT_MS);
	const char *text = logged(c, inner);
	assert_int_equal(occurrences(text, "blocked the loop"), 1);
	assert_int_equal(occurrences(text, "name=inner"), 1);
	assert_int_equal(loop_stalls(c->l), 1);
	assert_true(loop_longest_us(c->l) >= STALL_MS * 1000);

	text = logged(c, outer_too); /* two stalls: the one inside, and the timer's own */
	assert_int_equal(occurrences(text, "blocked the loop"), 2);
	assert_int_equal(occurrences(text, "name=inner"), 1);
	assert_int_equal(occurrences(text, "name=on_fire"), 1);
	assert_int_equal(loop_stalls(c->l), 3);
}

static double cpu_ms(void)
{
	struct timespec ts;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1000 + (double)ts.tv_nsec / 1e6;
}

static void doze(struct mark *m)
{
	(void)usleep(STALL_MS * 1000);
	m->c->done = true;
}

static void toil(struct mark *m)
{
	double until = cpu_ms() + STALL_MS;
	while (cpu_ms() < until)
		continue;
	m->c->done = true;
}

static double cpu_ms_in(const char *text)
{
	const char *at = strstr(text, "cpu_ms=");
	assert_non_null(at);
	return strtod(at + strlen("cpu_ms="), NULL);
}

/* A process that is taken off its CPU looks like one that sleeps. */
static void watchdog_tells_work_from_waiting(void **state)
{
	struct ctx *c = *state;
	loop_set_watchdog(c->l, LIMIT_MS);
	(void)logged(c, finish);
	assert_true(cpu_ms_in(logged(c, doze)) < LIMIT_MS);
	double before = cpu_ms(), told = cpu_ms_in(logged(c, toil)), used = cpu_ms() - before;
	assert_true(told >= STALL_MS && told <= used + 2);
}

static void watchdog_is_quiet(void **state)
{
	struct ctx *c = *state;
	loop_set_watchdog(c->l, 0);
	assert_string_equal(logged(c, inner), "");
	loop_set_watchdog(c->l, 10000);
	assert_string_equal(logged(c, outer_too), "");
	loop_set_watchdog(c->l, LIMIT_MS);
	assert_string_equal(logged(c, finish), "");
	assert_int_equal(loop_stalls(c->l), 0);
}

static void deep(struct mark *m)
{
	uint64_t token[40];
	for (int i = 0; i < 40; i++)
		token[i] = loop_enter(m->c->l, "deep");
	spin_ms(STALL_MS);
	for (int i = 39; i >= 0; i--)
		loop_leave(m->c->l, token[i]);
	m->c->done = true;
}

static void watchdog_nests_without_limit(void **state)
{
	struct ctx *c = *state;
	loop_set_watchdog(c->l, LIMIT_MS);
	assert_int_equal(occurrences(logged(c, deep), "blocked the loop"), 1);
}

/* ---- work ---- */

struct job {
	struct ctx *c;
	uv_sem_t *gate;
	uv_thread_t thread;
	unsigned *left;
	enum st_code code;
	bool ran, ended;
};

static void job_run(void *data)
{
	struct job *j = data;
	if (j->gate) {
		uv_sem_wait(j->gate);
		uv_sem_post(j->gate);
	}
	j->thread = uv_thread_self();
	j->ran = true;
}

static void job_done(void *data, const struct status *st)
{
	struct job *j = data;
	assert_false(j->ended);
	j->ended = true;
	j->code = st->code;
	if (--*j->left == 0)
		j->c->done = true;
}

static void work_runs_elsewhere_and_ends_here(void **state)
{
	struct ctx *c = *state;
	unsigned left = 1;
	struct job j = {.c = c, .left = &left, .code = ST_UNKNOWN};
	loop_work(c->l, job_run, job_done, &j);
	assert_false(j.ended);
	run_until_done(c);
	assert_true(j.ran);
	assert_int_equal(j.code, ST_OK);
	uv_thread_t self = uv_thread_self();
	assert_false(uv_thread_equal(&self, &j.thread));
}

static void work_beyond_the_limit_is_refused(void **state)
{
	struct ctx *c = *state;
	enum { N = LOOP_WORK_LIMIT + 2 };
	static struct job j[N];
	uv_sem_t gate;
	unsigned left = N;
	uv_sem_init(&gate, 0);
	for (int i = 0; i < N; i++) {
		j[i] = (struct job){.c = c, .gate = &gate, .left = &left};
		loop_work(c->l, job_run, job_done, &j[i]);
		assert_false(j[i].ended);
	}
	while (left > LOOP_WORK_LIMIT)
		loop_turn(c->l); /* the refused ones do not wait for the others */
	uv_sem_post(&gate);
	run_until_done(c);
	for (int i = 0; i < N; i++) {
		assert_int_equal(j[i].code, i < LOOP_WORK_LIMIT ? ST_OK : ST_RESOURCE_EXHAUSTED);
		assert_int_equal(j[i].ran, i < LOOP_WORK_LIMIT);
	}
	left = 1;
	j[0] = (struct job){.c = c, .left = &left, .code = ST_UNKNOWN};
	loop_work(c->l, job_run, job_done, &j[0]); /* there is room again */
	run_until_done(c);
	assert_int_equal(j[0].code, ST_OK);
	uv_sem_destroy(&gate);
}

static void queued_work_waits_for_its_turn(void **state)
{
	struct ctx *c = *state;
	enum { N = LOOP_WORK_LIMIT + 2 };
	static struct job j[N];
	uv_sem_t gate;
	unsigned left = N;
	uv_sem_init(&gate, 0);
	for (int i = 0; i < N; i++) {
		j[i] = (struct job){.c = c, .gate = &gate, .left = &left, .code = ST_UNKNOWN};
		loop_work_queued(c->l, job_run, job_done, &j[i]);
		assert_false(j[i].ended);
	}
	uv_sem_post(&gate);
	run_until_done(c);
	for (int i = 0; i < N; i++) {
		assert_int_equal(j[i].code, ST_OK);
		assert_true(j[i].ran);
	}
	uv_sem_destroy(&gate);
}

static void queued_work_is_refused_when_the_loop_goes(void **state)
{
	enum { N = LOOP_WORK_LIMIT + 2 };
	static struct job j[N];
	(void)state;
	struct ctx c = {.l = loop_create()};
	uv_sem_t gate;
	unsigned left = N;
	uv_sem_init(&gate, 1);
	for (int i = 0; i < N; i++) {
		j[i] = (struct job){.c = &c, .gate = &gate, .left = &left, .code = ST_UNKNOWN};
		loop_work_queued(c.l, job_run, job_done, &j[i]);
	}
	loop_destroy(c.l);
	assert_int_equal(left, 0);
	assert_int_equal(j[0].code, ST_OK);
	assert_int_equal(j[N - 1].code, ST_UNAVAILABLE);
	assert_false(j[N - 1].ran);
	uv_sem_destroy(&gate);
}

static struct job after_destroy;

static void job_done_wants_more(void *data, const struct status *st)
{
	struct job *j = data;
	uv_close((uv_handle_t *)&j->c->async, NULL);
	job_done(data, st);
	after_destroy = (struct job){.c = j->c, .left = j->left};
	++*j->left;
	loop_work(j->c->l, job_run, job_done, &after_destroy);
}

static void destroy_waits_for_work_and_takes_no_more(void **state)
{
	(void)state;
	struct ctx c = {.l = loop_create()};
	unsigned left = 1;
	struct job j = {.c = &c, .left = &left};
	io_init(&c, on_hello); /* its owner waits for the work before it closes it */
	loop_work(c.l, job_run, job_done_wants_more, &j);
	loop_destroy(c.l);
	assert_true(j.ended);
	assert_true(after_destroy.ended);
	assert_false(after_destroy.ran);
	assert_int_equal(after_destroy.code, ST_UNAVAILABLE);
}

static void skipping_fires_the_first_timer_at_once(void **state)
{
	struct ctx *c = *state;
	struct mark day, hour, now;
	uint64_t before = loop_now_ms(c->l), real = uv_hrtime();
	mark_init(&day, c, "day", NULL);
	mark_init(&hour, c, "hour", NULL);
	mark_init(&now, c, "now", NULL);
	assert_false(loop_skip(c->l));
	timer_set(&day.timer, 24 * 3600 * 1000);
	defer_post(&now.defer);
	assert_false(loop_skip(c->l));
	loop_turn(c->l); /* libuv's timer is set for the day: the skip must move it */
	timer_set(&hour.timer, 3600 * 1000);
	assert_true(loop_skip(c->l));
	loop_turn(c->l);
	assert_true(loop_skip(c->l));
	loop_turn(c->l);
	assert_string_equal(c->trace.ptr, "now hour day");
	assert_true(loop_now_ms(c->l) - before >= 24 * 3600 * 1000);
	assert_true(uv_hrtime() - real < 60 * UINT64_C(1000000000));
	assert_false(loop_skip(c->l));
}

static void work_in_virtual_time_runs_here_and_in_turn(void **state)
{
	struct ctx *c = *state;
	unsigned left = 1;
	struct job j = {.c = c, .left = &left, .code = ST_UNKNOWN};
	struct mark before, after;
	mark_init(&before, c, "before", NULL);
	mark_init(&after, c, "after", NULL);
	(void)loop_skip(c->l);
	defer_post(&before.defer);
	loop_work(c->l, job_run, job_done, &j);
	defer_post(&after.defer);
	assert_false(j.ran);
	assert_false(loop_skip(c->l)); /* the clock stands still for it */
	loop_turn(c->l);
	assert_true(j.ended);
	assert_int_equal(j.code, ST_OK);
	uv_thread_t self = uv_thread_self();
	assert_true(uv_thread_equal(&self, &j.thread));
	assert_string_equal(c->trace.ptr, "before after");
}

static uint64_t an_hour(void *data)
{
	(void)data;
	return 3600 * 1000;
}

static void a_clock_moved_by_hand_fires_what_is_due(void **state)
{
	struct ctx *c = *state;
	unsigned left = 1;
	struct job j = {.c = c, .left = &left, .code = ST_UNKNOWN};
	struct mark a, b;
	mark_init(&a, c, "a", NULL);
	mark_init(&b, c, "b", NULL);
	loop_set_now(c->l, 5);
	assert_int_equal(loop_now_ms(c->l), 5);
	assert_true(loop_next_ms(c->l) == UINT64_MAX);
	timer_set(&a.timer, 10);
	timer_set(&b.timer, 20);
	assert_int_equal(loop_next_ms(c->l), 15);
	loop_turn(c->l);
	assert_true(timer_is_set(&a.timer)); /* the clock stands still */
	loop_set_now(c->l, 100);             /* a process that was stopped: all at once, in order */
	loop_set_now(c->l, 50);
	assert_int_equal(loop_now_ms(c->l), 100);
	loop_turn(c->l);
	assert_string_equal(c->trace.ptr, "a b");
	loop_set_work_ms(c->l, an_hour, NULL);
	loop_work(c->l, job_run, job_done, &j);
	assert_int_equal(loop_next_ms(c->l), 100);
	loop_turn(c->l);
	assert_false(j.ended);
	assert_int_equal(loop_next_ms(c->l), 100 + 3600 * 1000);
	loop_set_now(c->l, loop_next_ms(c->l));
	loop_turn(c->l);
	assert_true(j.ended);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_fire_by_time_then_by_setting),
		TEST(timer_waits_its_time),
		TEST(timer_stops_another_that_is_due),
		TEST(timer_of_zero_does_not_starve_io),
		TEST(timer_and_defer_may_be_freed_inside),
		TEST(time_moves_on_after_long_work),
		TEST(huge_time_never_fires),
		TEST(many_timers),
		TEST(skipping_fires_the_first_timer_at_once),
		TEST(defers_run_in_order_once),
		TEST(defer_that_posts_itself_does_not_starve_io),
		TEST(run_lasts_until_stop),
		TEST(defer_of_a_callback_runs_in_the_same_turn),
		cmocka_unit_test(destroy_finishes_closing),
#ifndef NDEBUG
		cmocka_unit_test(broken_contracts_abort),
#endif
		TEST(watchdog_names_the_innermost_once),
		TEST(watchdog_tells_work_from_waiting),
		TEST(watchdog_is_quiet),
		TEST(watchdog_nests_without_limit),
		TEST(work_runs_elsewhere_and_ends_here),
		TEST(work_beyond_the_limit_is_refused),
		TEST(queued_work_waits_for_its_turn),
		cmocka_unit_test(queued_work_is_refused_when_the_loop_goes),
		TEST(work_in_virtual_time_runs_here_and_in_turn),
		TEST(a_clock_moved_by_hand_fires_what_is_due),
		cmocka_unit_test(destroy_waits_for_work_and_takes_no_more),
	};
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
