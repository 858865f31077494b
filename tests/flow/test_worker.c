/* The worker and its runs, with a kind of job of our own: three steps that take as long, and fail
 * as often, as a test says. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_world.h"
#include "jobs/run.h"

/* What all runs of a test share. */
static struct {
	struct buf log;   /* what was run, in order */
	const char *slow; /* this step takes slow_ms, */
	uint64_t slow_ms;
	const char *stopped; /* at this one the process stands still until the lease is over, once */
	const char *failing; /* this one fails, with this code, so often */
	enum st_code code;
	unsigned failures;
	uint64_t held_ms; /* so long a run has an operation under way that nothing ends; 0 = none */
	unsigned running, most; /* at the same time */
} play;

struct work {
	struct job_run *run;
	struct timer timer, held;
	bool waited;
};

static const char *present(const struct flow *f)
{
	return f->steps[f->at].name;
}

static void on_timer(struct timer *t)
{
	struct work *k = container_of(t, struct work, timer);
	k->waited = true;
	flow_resume(k->run->flow);
}

static void on_held(struct timer *t)
{
	job_run_release(container_of(t, struct work, held)->run);
}

static enum flow_next play_step(struct flow *f, bool undo)
{
	struct job_run *run = f->data;
	struct work *k = run->state;
	const char *name = present(f);
	if (container_of(run->db, struct fake_db, base)->front.dead)
		return FLOW_WAIT; /* killed: its memory is still there, it does nothing */
	if (!k->waited && play.slow && strcmp(play.slow, name) == 0) {
		timer_set(&k->timer, play.slow_ms);
		return FLOW_WAIT;
	}
	if (play.stopped && strcmp(play.stopped, name) == 0) {
		play.stopped = NULL;
		job_run_trust(run, loop_now_ms(run->loop));
		assert_false(job_run_holds_lease(run));
		return FLOW_WAIT;
	}
	k->waited = false;
	buf_fmt(&play.log, "%s%s ", undo ? "-" : "", name);
	if (!undo && play.failures > 0 && strcmp(play.failing, name) == 0) {
		play.failures--;
		f->st = status_err(play.code, "%s failed", name);
		return FLOW_FAIL;
	}
	return FLOW_NEXT;
}

static enum flow_next do_step(struct flow *f)
{
	return play_step(f, false);
}

static enum flow_next undo_step(struct flow *f)
{
	return play_step(f, true);
}

static void begin(struct job_run *run)
{
	struct work *k = arena_new(run->arena, struct work);
	k->run = run;
	timer_init(&k->timer, run->loop, on_timer);
	run->state = k;
	timer_init(&k->held, run->loop, on_held);
	if (play.held_ms > 0) {
		job_run_hold(run);
		timer_set(&k->held, play.held_ms);
	}
	if (++play.running > play.most)
		play.most = play.running;
}

static void interrupt(struct job_run *run)
{
	timer_stop(&((struct work *)run->state)->timer);
}

static void end(struct job_run *run)
{
	timer_stop(&((struct work *)run->state)->timer);
	play.running--;
}

static const struct flow_step prelude[] = {{"see", do_step, NULL, 30}, {0}};
static const struct flow_step steps[] = {{"one", do_step, undo_step, 0},
	{"two", do_step, undo_step, 0}, {"three", do_step, NULL, 0}, {0}};
static const struct job_kind_def work_kind = {
	JOB_SCALE, prelude, steps, begin, interrupt, end, "three"};
static const struct job_kind_def *const kinds[] = {&work_kind, NULL};
/* It only looks. */
static const struct flow_step no_steps[] = {{0}};
static const struct job_kind_def quick_kind = {JOB_SCALE, prelude, no_steps, begin, interrupt, end, NULL};
static const struct job_kind_def *const quick_kinds[] = {&quick_kind, NULL};

static int setup(void **state)
{
	struct world *w = world_create();
	memset(&play, 0, sizeof(play));
	w->kinds = kinds;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_destroy(*state);
	buf_finish(&play.log);
	return 0;
}

static struct store_job *submit(struct world *w)
{
	return world_submit(w, JOB_SCALE, "{}", 3);
}

static void run_until(struct world *w, const char *log)
{
	for (unsigned i = 0; i < 10000; i++) {
		if (play.log.len && strcmp(play.log.ptr, log) == 0)
			return;
		world_turn(w);
	}
	fail_msg("\"%s\" never became \"%s\"", play.log.ptr ? play.log.ptr : "", log);
}

#define assert_log(text) assert_string_equal(play.log.ptr ? play.log.ptr : "", text)

/* ---- claiming ---- */

static void a_job_runs_to_its_end(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	world_start(w);
	world_run(w, j);
	assert_log("see one two three ");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(j->row.epoch, 1);
	assert_string_equal(world_writes(w),
		"db step begun\ndb step one\ndb step two\ndb step three\ndb finish succeeded\n");
}

/* What writes nothing has nothing to be taken back, and nothing to store but its end. */
static void a_kind_without_steps_only_ends(void **state)
{
	struct world *w = *state;
	w->kinds = quick_kinds;
	struct store_job *j = submit(w);
	world_start(w);
	world_run(w, j);
	assert_log("see ");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_string_equal(world_writes(w), "db finish succeeded\n");
}

static void a_job_that_nobody_announces_is_found(void **state)
{
	struct world *w = *state;
	world_start(w);
	world_run_ms(w, 1000);
	struct store_job *j = submit(w);
	world_run_ms(w, 5500);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
}

static void a_look_or_claim_that_fails_is_soon_repeated(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	w->script.at = 1;
	w->script.last = 3; /* two looks in vain, then one, and its claim */
	w->script.fault = FAULT_REFUSED;
	uint64_t before = loop_now_ms(w->loop);
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.epoch, 1);
	assert_in_range(loop_now_ms(w->loop) - before, 1, 3100);
}

static void a_job_is_run_when_it_is_due(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	j->row.run_us = store_now_us(w->store) + 3000000;
	world_start(w);
	world_run_ms(w, 2900);
	assert_int_equal(j->row.state, JOB_PENDING);
	world_run_ms(w, 300);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
}

static void no_more_than_its_slots(void **state)
{
	struct world *w = *state;
	struct store_job *jobs[10];
	w->slots = 3;
	play.slow = "two";
	play.slow_ms = 1000;
	for (size_t i = 0; i < 10; i++)
		jobs[i] = submit(w);
	world_start(w);
	for (size_t i = 0; i < 10; i++)
		world_run(w, jobs[i]);
	assert_int_equal(play.most, 3);
}

/* Its place is the next one's as soon as its work is done; as many as there are places may wait for the database. */
static void the_next_begins_while_an_end_is_being_stored(void **state)
{
	struct world *w = *state;
	w->slots = 1;
	for (size_t i = 0; i < 4; i++)
		store_job_add(w->store, w->project, JOB_SCALE, "{}", 3)->row.step = "two";
	w->script.only = "db step three";
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_SILENT;
	struct world_daemon *d = world_start(w);
	run_until(w, "see three see three ");
	world_run_ms(w, 1000);
	assert_log("see three see three ");
	assert_int_equal(job_worker_running(d->worker), 0);
	w->script.last = w->script.calls;
	for (size_t i = 0; i < 4; i++)
		world_run(w, w->store->jobs[i]);
	assert_log("see three see three see three see three ");
}

/* ---- claimed ahead ---- */


static unsigned count(const struct world *w, const char *what)
{
	unsigned n = 0;
	const char *at = w->script.trace.ptr;
	for (; at && (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

static size_t in_state(const struct world *w, enum job_state state)
{
	size_t n = 0;
	for (size_t i = 0; i < w->store->n_jobs; i++)
		n += w->store->jobs[i]->row.state == state;
	return n;
}

/* Runs so many, each of which is over at once. */
static struct world_daemon *run_quick_ones(struct world *w, size_t n)
{
	w->kinds = quick_kinds;
	w->slots = 2;
	for (size_t i = 0; i < n; i++)
		store_job_add(w->store, w->project, JOB_SCALE, "{}", 3);
	struct world_daemon *d = world_start(w);
	for (size_t i = 0; i < n; i++)
		world_run(w, w->store->jobs[i]);
	return d;
}

/* Until some wait here for a place. */
static void run_until_ahead(struct world *w, const struct world_daemon *d, size_t n)
{
	play.slow = "see";
	play.slow_ms = 20000;
	for (size_t i = 0; i < n; i++)
		store_job_add(w->store, w->project, JOB_SCALE, "{}", 3);
	job_worker_wake(d->worker);
	for (unsigned i = 0; i < 1000 && in_state(w, JOB_RUNNING) == 0; i++)
		world_turn(w);
	while (job_worker_running(d->worker) == 0)
		world_turn(w);
	assert_int_equal(job_worker_running(d->worker), 2);
	assert_int_equal(in_state(w, JOB_RUNNING), 8);
}

static void quick_ones_are_claimed_ahead_of_places(void **state)
{
	struct world *w = *state;
	run_quick_ones(w, 200);
	assert_in_range(count(w, "db claim"), 25, 60); /* else a hundred */
	assert_int_equal(in_state(w, JOB_SUCCEEDED), 200);
}

static void what_was_claimed_ahead_goes_back_when_it_takes_long(void **state)
{
	struct world *w = *state;
	struct world_daemon *d = run_quick_ones(w, 200);
	run_until_ahead(w, d, 20);
	world_run_ms(w, 300);
	assert_int_equal(in_state(w, JOB_RUNNING), 2);
	for (size_t i = 200; i < 220; i++)
		assert_in_range(w->store->jobs[i]->row.attempt, 0, 1);
	world_run_ms(w, 20000); /* one place after the other, and none ahead */
	assert_in_range(in_state(w, JOB_RUNNING), 1, 2);
	assert_int_equal(in_state(w, JOB_SUCCEEDED), 202);
}

static void and_when_the_daemon_drains(void **state)
{
	struct world *w = *state;
	struct world_daemon *d = run_quick_ones(w, 200);
	run_until_ahead(w, d, 20);
	world_drain(w, d, 90000);
	assert_int_equal(in_state(w, JOB_RUNNING), 0);
	assert_int_equal(in_state(w, JOB_SUCCEEDED), 202);
	assert_int_equal(in_state(w, JOB_PENDING), 18);
}

static void one_that_waits_for_its_place_is_cancelled(void **state)
{
	struct world *w = *state;
	struct world_daemon *d = run_quick_ones(w, 200);
	run_until_ahead(w, d, 8);
	struct store_job *j = w->store->jobs[207];
	assert_int_equal(j->row.state, JOB_RUNNING);
	world_cancel(w, j);
	job_worker_cancel(d->worker, j->row.id.text);
	play.slow = NULL;
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_CANCELLED);
}

/* A claim whose answer takes so long. */
struct late {
	struct world_daemon *daemon;
	uint64_t ms; /* 0: it has been asked for */
};

static void answer_late(void *data, unsigned number, const char *name)
{
	struct late *late = data;
	(void)number;
	if (!late->ms || strncmp(name, "db claim", 8) != 0)
		return;
	timer_set(&container_of(late->daemon->db.front.calls.prev, struct fake_call, node)->timer, late->ms);
	late->ms = 0;
}

/* Some wait for a place, and so long after their claim was sent they are not trusted to be ours any more. */
#define TRUST_MS (UINT64_C(15000) / 5 * 4)
static struct world_daemon *run_until_ahead_and_late(struct world *w, uint64_t ms)
{
	struct late late = {.daemon = run_quick_ones(w, 200), .ms = ms};
	w->script.data = &late;
	w->script.after = answer_late;
	run_until_ahead(w, late.daemon, 20);
	w->script.after = NULL;
	assert_int_equal(late.ms, 0);
	play.slow = NULL;
	return late.daemon;
}

static void all_are_run_in_the_end(struct world *w)
{
	for (size_t i = 200; i < 220; i++)
		world_run(w, w->store->jobs[i]);
	assert_int_equal(in_state(w, JOB_SUCCEEDED), 220);
}

/* Each of those in line is abandoned in the turn in which the line is told to go back. */
static void what_was_claimed_ahead_and_is_lost_does_not_hold_the_line_up(void **state)
{
	struct world *w = *state;
	run_until_ahead_and_late(w, TRUST_MS - 100); /* as much is left of the lease as one waits in line */
	world_run_ms(w, 100);
	all_are_run_in_the_end(w);
}

struct drain {
	struct timer timer;
	struct job_worker *worker;
};

static void on_gone(void *data)
{
	(void)data;
}

static void on_drain(struct timer *t)
{
	job_worker_drain(container_of(t, struct drain, timer)->worker, 90000, on_gone, NULL);
}

static void nor_a_drain(void **state)
{
	struct world *w = *state;
	struct world_daemon *d = run_until_ahead_and_late(w, TRUST_MS - 50);
	struct drain drain = {.worker = d->worker};
	timer_init(&drain.timer, w->loop, on_drain);
	timer_set(&drain.timer, 50); /* behind the leases, in the same turn */
	world_run_ms(w, 50);
	world_drain(w, d, 90000);
	world_start(w);
	all_are_run_in_the_end(w);
}

/* What the look counted was for one place; by its answer there are two. */
static void a_place_that_comes_free_during_a_look_is_filled_again(void **state)
{
	struct world *w = *state;
	struct store_job *jobs[3];
	w->slots = 2;
	play.slow = "two";
	play.slow_ms = 1000;
	store_job_add(w->store, w->project, JOB_SCALE, "{}", 3);
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	w->script.only = "db look";
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_SLOW;
	for (size_t i = 0; i < 3; i++) {
		jobs[i] = store_job_add(w->store, w->project, JOB_SCALE, "{}", 3);
		jobs[i]->row.step = "two";
	}
	job_worker_wake(d->worker);
	while (w->script.failed == 0)
		world_turn(w);
	w->script.at = 0;
	world_run_ms(w, 4000); /* the next sweep comes later */
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(jobs[i]->row.state, JOB_SUCCEEDED);
}

static unsigned looks(const struct world *w)
{
	return count(w, "db look");
}

static void news_that_comes_three_times_is_looked_at_once(void **state)
{
	struct world *w = *state;
	struct world_daemon *d = world_start(w);
	world_run_ms(w, 100);
	unsigned before = looks(w);
	struct store_job *j = submit(w);
	for (size_t i = 0; i < 3; i++) {
		job_worker_tell(d->worker, j->row.id.text);
		world_turn(w);
	}
	world_run_ms(w, 50);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(looks(w), before + 1);
}

/* Told again, it waits again, or may run now. */
static void what_is_told_again_is_looked_at_soon(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	j->row.run_us = store_now_us(w->store) + 600000000;
	struct world_daemon *d = world_start(w);
	job_worker_tell(d->worker, j->row.id.text);
	world_run_ms(w, 10);
	j->row.run_us = store_now_us(w->store);
	job_worker_tell(d->worker, j->row.id.text);
	world_run_ms(w, 150);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	job_worker_tell(d->worker, "nonsense");
}

static void a_wake_during_a_claim_is_not_lost(void **state)
{
	struct world *w = *state;
	world_start(w); /* its first claim is under way */
	struct store_job *j = submit(w);
	j->row.run_us = 0;
	uint64_t before = loop_now_ms(w->loop);
	world_run(w, j);
	assert_int_equal(loop_now_ms(w->loop), before);
}

static void a_claim_whose_reply_is_lost_is_repeated(void **state)
{
	struct world *w = *state;
	w->script.at = w->script.last = 2; /* a look, then the claim */
	w->script.fault = FAULT_LOST;
	struct store_job *j = submit(w);
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(j->row.epoch, 2); /* after its lease */
	assert_log("see one two three ");
}

static void a_kind_that_is_not_built_here_fails(void **state)
{
	struct world *w = *state;
	struct store_job *j = world_submit(w, JOB_BUILD, "{}", 3);
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_string_equal(j->row.error_code, "UNIMPLEMENTED");
}

/* ---- failing ---- */

static void what_may_pass_is_tried_again_later_and_later(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.failing = "two";
	play.code = ST_UNAVAILABLE;
	play.failures = 2;
	world_start(w);
	run_until(w, "see one two -two -one ");
	uint64_t first = loop_now_ms(w->loop);
	run_until(w, "see one two -two -one see one two -two -one ");
	uint64_t second = loop_now_ms(w->loop);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(j->row.attempt, 3);
	assert_in_range(second - first, 750, 1260);
	assert_in_range(loop_now_ms(w->loop) - second, 1500, 2510);
	assert_string_equal(j->row.error, "");
}

static void but_not_for_ever(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.failing = "one";
	play.code = ST_UNAVAILABLE;
	play.failures = 100;
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_int_equal(j->row.attempt, 3);
	assert_string_equal(j->row.error, "one failed");
	assert_string_equal(j->row.error_code, "UNAVAILABLE");
}

static void what_cannot_pass_fails_at_once(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.failing = "three";
	play.code = ST_INVALID_ARGUMENT;
	play.failures = 1;
	world_start(w);
	world_run(w, j);
	assert_log("see one two three -two -one ");
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_int_equal(j->row.attempt, 1);
}

static void a_prelude_that_fails_has_nothing_to_take_back(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.failing = "see";
	play.code = ST_NOT_FOUND;
	play.failures = 1;
	world_start(w);
	world_run(w, j);
	assert_log("see ");
	assert_string_equal(world_writes(w), "db finish failed\n");
}

/* What was begun can neither go on nor be taken back: it waits, and no attempt is spent. */
static void a_resumed_job_whose_prelude_fails_waits(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 60000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	world_run_ms(w, 100); /* it is stored */
	world_kill(w, d);
	play.slow = NULL;
	play.failing = "see";
	play.code = ST_UNAVAILABLE;
	play.failures = 6;
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(j->row.attempt, 1);
	assert_log("see one see see see see see see see two three ");
}

/* ---- cancelling ---- */

static void cancelled_in_the_middle_it_is_taken_back(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 60000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	world_run_ms(w, 100);
	play.slow = NULL;
	world_cancel(w, j);
	job_worker_cancel(d->worker, j->row.id.text);
	job_worker_cancel(d->worker, j->row.id.text);
	world_run(w, j);
	assert_log("see one -two -one ");
	assert_int_equal(j->row.state, JOB_CANCELLED);
	assert_string_equal(j->row.error_code, "CANCELLED");
}

static void a_cancel_that_nobody_announces_is_found_with_the_lease(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 60000;
	world_start(w);
	run_until(w, "see one ");
	world_cancel(w, j);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_CANCELLED);
}

static void a_failure_stays_one_when_it_is_cancelled_late(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.failing = "three";
	play.code = ST_INTERNAL;
	play.failures = 1;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one two three ");
	play.slow = "one";
	play.slow_ms = 5000;
	run_until(w, "see one two three -two ");
	world_cancel(w, j);
	job_worker_cancel(d->worker, j->row.id.text);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_string_equal(j->row.error, "three failed");
}

static void behind_the_last_step_it_is_too_late(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "three";
	play.slow_ms = 1000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one two ");
	world_run_ms(w, 500);
	world_cancel(w, j);
	job_worker_cancel(d->worker, j->row.id.text);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
}

/* The dead daemon may have done it: only going on agrees with that. */
static void also_for_the_daemon_that_takes_over(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "three";
	play.slow_ms = 1000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one two ");
	world_run_ms(w, 500);
	world_kill(w, d);
	world_cancel(w, j);
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_log("see one two see three ");
}

static void cancelled_before_it_began(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	j->row.cancel_requested = true;
	world_start(w);
	world_run(w, j);
	assert_log("");
	assert_int_equal(j->row.state, JOB_CANCELLED);
}

/* It is stored that it has begun, though no step is done: the first one may be half done. */
static void cancelled_in_its_first_step_by_another_daemon(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "one";
	play.slow_ms = 60000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see ");
	world_run_ms(w, 500);
	world_kill(w, d);
	world_cancel(w, j);
	play.slow = NULL;
	world_start(w);
	world_run(w, j);
	assert_log("see see -one ");
	assert_int_equal(j->row.state, JOB_CANCELLED);
}

/* ---- leases ---- */

static void a_lease_is_kept_as_long_as_the_job_runs(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 600000;
	world_start(w);
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.epoch, 1);
	assert_log("see one two three ");
}

static void a_lease_that_cannot_be_renewed_ends_the_run_in_time(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 600000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_REFUSED;
	w->script.only = "db renew";
	while (job_worker_running(d->worker) > 0)
		world_turn(w);
	assert_true(store_now_us(w->store) < j->lease_us);
	assert_int_equal(j->row.state, JOB_RUNNING);
	w->script.at = 0;
	play.slow = NULL;
	world_run(w, j);
	assert_int_equal(j->row.epoch, 2);
	assert_log("see one see two three ");
	assert_int_equal(w->store->fenced, 0);
}

static void what_wakes_behind_its_lease_gives_up_before_it_writes(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.stopped = "two";
	world_start(w);
	run_until(w, "see one ");
	while (play.stopped)
		world_turn(w);
	world_run(w, j);
	assert_int_equal(j->row.epoch, 2);
	assert_log("see one see two three ");
}

static void the_first_owner_stops_when_another_has_taken_it(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 1000;
	world_start(w);
	run_until(w, "see one ");
	w->store->clock_ms += 60000;
	world_start(w);
	while (j->row.epoch < 2)
		world_turn(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_true(w->store->fenced > 0);
	assert_int_equal(j->ends, 1);
}

/* Its own lease ended while it slept: it takes its own job over, and the old run is given up. */
static void a_daemon_may_take_over_its_own_job(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 3000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	w->store->clock_ms += 60000;
	job_worker_wake(d->worker);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(j->row.epoch, 2);
	assert_log("see one see two three ");
}

/* An operation of the old run cannot be ended: it is only the new one whose lease is renewed. */
static void and_the_old_run_may_be_slow_to_leave(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 30000;
	play.held_ms = 20000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	w->store->clock_ms += 60000;
	job_worker_wake(d->worker);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(j->row.epoch, 2);
	assert_log("see one see two three ");
}

/* ---- draining ---- */

static void draining_lets_short_jobs_end(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w), *later;
	play.slow = "two";
	play.slow_ms = 1000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	world_drain(w, d, 5000);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	later = submit(w);
	world_run_ms(w, 10);
	assert_int_equal(later->row.state, JOB_PENDING);
	world_cancel(w, later);
}

static void and_hands_long_ones_back(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 60000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	world_drain(w, d, 5000);
	assert_int_equal(j->row.state, JOB_PENDING);
	assert_int_equal(j->row.attempt, 0);
	assert_string_equal(j->row.step, "one");
	play.slow = NULL;
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(j->row.attempt, 1);
	assert_log("see one see two three ");
}

/* The Engine cannot be reached from this daemon. */
static void held_off_it_hands_back_what_runs_and_begins_nothing(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 60000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	job_worker_hold_off(d->worker, true);
	world_run_ms(w, 9000);
	assert_int_equal(j->row.state, JOB_RUNNING); /* it may be back soon */
	world_run_ms(w, 60000);
	assert_int_equal(j->row.state, JOB_PENDING);
	assert_int_equal(j->row.attempt, 0);
	assert_string_equal(j->row.step, "one");
	play.slow = NULL;
	job_worker_hold_off(d->worker, false);
	world_run(w, j);
	assert_int_equal(j->row.attempt, 1);
	assert_log("see one see two three ");
}

static void what_it_ran_goes_on_elsewhere(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "two";
	play.slow_ms = 60000;
	struct world_daemon *d = world_start(w);
	run_until(w, "see one ");
	world_start(w);
	world_run_ms(w, 100);
	play.slow = NULL;
	job_worker_hold_off(d->worker, true);
	uint64_t before = loop_now_ms(w->loop);
	world_run(w, j);
	assert_int_equal(j->row.epoch, 2);
	assert_in_range(loop_now_ms(w->loop) - before, 10000, 15100);
}

static void a_claim_that_answers_while_draining_is_handed_back(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	w->script.at = w->script.last = 2; /* a look, then the claim */
	w->script.fault = FAULT_SLOW;
	struct world_daemon *d = world_start(w);
	world_drain(w, d, 60000);
	assert_int_equal(j->row.state, JOB_PENDING);
	assert_int_equal(j->row.attempt, 0);
	world_cancel(w, j);
}

/* ---- a database that is away, or refuses ---- */

static void an_end_is_written_when_the_database_is_back(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	play.slow = "three";
	play.slow_ms = 100;
	world_start(w);
	run_until(w, "see one two ");
	w->script.at = w->script.calls + 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_LOST;
	w->script.only = "db finish";
	world_run_ms(w, 5000);
	w->script.at = 0;
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(j->ends, 1);
}

static void steps_and_events_are_repeated_each_for_itself(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	w->script.at = 1;
	w->script.last = 40;
	w->script.fault = FAULT_DONE_SILENT;
	w->script.only = "db progress";
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_string_equal(world_writes(w),
		"db step begun\ndb step one\ndb step two\ndb step three\ndb finish succeeded\n");
}

static void events_that_the_database_refuses_are_dropped(void **state)
{
	struct world *w = *state;
	struct store_job *j = submit(w);
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_INTERNAL;
	w->script.only = "db progress";
	world_start(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_job_runs_to_its_end),
		TEST(a_kind_without_steps_only_ends),
		TEST(a_job_that_nobody_announces_is_found),
		TEST(a_look_or_claim_that_fails_is_soon_repeated),
		TEST(a_job_is_run_when_it_is_due),
		TEST(no_more_than_its_slots),
		TEST(the_next_begins_while_an_end_is_being_stored),
		TEST(quick_ones_are_claimed_ahead_of_places),
		TEST(what_was_claimed_ahead_goes_back_when_it_takes_long),
		TEST(and_when_the_daemon_drains),
		TEST(what_was_claimed_ahead_and_is_lost_does_not_hold_the_line_up),
		TEST(nor_a_drain),
		TEST(one_that_waits_for_its_place_is_cancelled),
		TEST(a_place_that_comes_free_during_a_look_is_filled_again),
		TEST(news_that_comes_three_times_is_looked_at_once),
		TEST(what_is_told_again_is_looked_at_soon),
		TEST(a_wake_during_a_claim_is_not_lost),
		TEST(a_claim_whose_reply_is_lost_is_repeated),
		TEST(a_kind_that_is_not_built_here_fails),
		TEST(what_may_pass_is_tried_again_later_and_later),
		TEST(but_not_for_ever),
		TEST(what_cannot_pass_fails_at_once),
		TEST(a_prelude_that_fails_has_nothing_to_take_back),
		TEST(a_resumed_job_whose_prelude_fails_waits),
		TEST(cancelled_in_the_middle_it_is_taken_back),
		TEST(a_cancel_that_nobody_announces_is_found_with_the_lease),
		TEST(a_failure_stays_one_when_it_is_cancelled_late),
		TEST(behind_the_last_step_it_is_too_late),
		TEST(also_for_the_daemon_that_takes_over),
		TEST(cancelled_before_it_began),
		TEST(cancelled_in_its_first_step_by_another_daemon),
		TEST(a_lease_is_kept_as_long_as_the_job_runs),
		TEST(a_lease_that_cannot_be_renewed_ends_the_run_in_time),
		TEST(what_wakes_behind_its_lease_gives_up_before_it_writes),
		TEST(the_first_owner_stops_when_another_has_taken_it),
		TEST(a_daemon_may_take_over_its_own_job),
		TEST(and_the_old_run_may_be_slow_to_leave),
		TEST(draining_lets_short_jobs_end),
		TEST(and_hands_long_ones_back),
		TEST(held_off_it_hands_back_what_runs_and_begins_nothing),
		TEST(what_it_ran_goes_on_elsewhere),
		TEST(a_claim_that_answers_while_draining_is_handed_back),
		TEST(an_end_is_written_when_the_database_is_back),
		TEST(steps_and_events_are_repeated_each_for_itself),
		TEST(events_that_the_database_refuses_are_dropped),
	};
	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
