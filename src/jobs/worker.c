#include "jobs/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "jobs/ahead.h"
#include "jobs/batch.h"
#include "jobs/fair.h"
#include "jobs/run.h"
#include "jobs/teller.h"

#define SLOTS_DEFAULT    16
#define LEASE_MS_DEFAULT 4000
#define TAKEOVERS_DEFAULT 5
#define SWEEP_MS_MAX     5000
#define SLOTS_MAX        1024
#define RUNS_MAX         ((size_t)2 * (SLOTS_MAX + AHEAD_MOST)) /* half of them are only ending */
/* Another daemon claimed first, or a row was locked: soon, but not in step with it. */
#define LOST_TURN_MS     5
#define LOST_TURN_JITTER 20
/* The database did not answer: it may be back before anybody tells us. */
#define AGAIN_MS     500
#define AGAIN_JITTER 500
/* Jobs that the worker was told of, lately: the same news comes by Redis and by NOTIFY too. Should it be other news of
 * the same job, it is seen to soon enough. */
#define TOLD_MAX 64
#define TOLD_MS  1000
#define ECHO_MS  100
/* What was claimed ahead and has no place by then goes back: the kind was not as quick as it had been. */
#define LINE_MS 100
/* A restart of the Engine is shorter: what runs waits for it. */
#define HANDS_OFF_MS 10000

struct job_worker {
	struct loop *loop;
	struct db *db;
	struct rng *rng;
	char owner[128];
	const struct job_kind_def *const *kinds;
	void *context;
	unsigned lease_ms, max_takeovers;
	struct job_teller *teller;
	struct job_batch *batch;
	struct fair *fair;
	struct fair_places places;

	struct list runs;
	size_t n_runs, n_placed; /* those that are only ending have no place any more */
	struct ahead ahead;
	struct list line; /* runs that were claimed ahead and wait for a place, in order */
	size_t n_line;
	size_t n_unknown;        /* jobs of kinds that are not built here, on their way to their end */
	bool left; /* something may wait for a place here, or for a cap */
	struct timer sweep, renewal, grace, hands_off, line_limit;
	struct timer echo; /* a look, unless there is one before */
	struct {
		struct uuid job;
		uint64_t ms;
	} told[TOLD_MAX]; /* a ring */
	size_t n_told;
	struct defer leave, soon; /* soon: a turn, when all that ends in this one of the loop has ended */
	struct db_call *turn; /* a look, then a claim */
	struct db_call *renew;
	uint64_t claim_started_ms, renew_started_ms;
	unsigned limit; /* of the look under way: so many of a queue are counted */
	unsigned asked; /* jobs, of the claim under way */
	bool started, draining, woken_again, held_off;
	void (*drained)(void *data);
	void *drained_data;
};

static void start_turn(struct job_worker *w);

static void check_drained(struct job_worker *w)
{
	if (!w->draining || w->n_runs + w->n_unknown > 0 || w->turn || w->renew)
		return;
	if (job_teller_is_idle(w->teller))
		defer_post(&w->leave);
	else
		job_teller_hurry(w->teller);
}

static void on_all_told(void *data)
{
	check_drained(data);
}

static const struct job_kind_def *kind_of(const struct job_worker *w, enum job_kind kind)
{
	for (size_t i = 0; w->kinds[i]; i++)
		if (w->kinds[i]->kind == kind)
			return w->kinds[i];
	return NULL;
}

/* One that is over may wait for its last operation, and the job run here again. */
static struct job_run *run_of(struct job_worker *w, const char *job_id)
{
	list_for_each (&w->runs, n) {
		struct job_run *run = container_of(n, struct job_run, node);
		if (!job_run_is_over(run) && strcmp(run->job->id.text, job_id) == 0)
			return run;
	}
	return NULL;
}

/* A lease is on the database's clock and began when the statement ran, after we sent it: so what we
 * trust, counted from before sending, ends first; a fifth is margin for a slow loop. */
static uint64_t trust_until(const struct job_worker *w, uint64_t started_ms)
{
	return started_ms + w->lease_ms - w->lease_ms / 5;
}

/* ---- runs ---- */

static void take_place(struct job_worker *w, struct job_run *run)
{
	run->has_place = true;
	run->began_ms = loop_now_ms(w->loop);
	w->n_placed++;
	job_run_start(run);
}

static void leave_line(struct job_worker *w, struct job_run *run)
{
	run->waits = false;
	list_remove(&run->line);
	w->n_line--;
}

static void leave_place(struct job_worker *w, struct job_run *run)
{
	if (!run->has_place && !run->waits)
		return;
	if (run->waits) {
		leave_line(w, run);
	} else {
		ahead_ran(&w->ahead, run->job->kind, loop_now_ms(w->loop) - run->began_ms);
		run->has_place = false;
		w->n_placed--;
	}
	w->places.here[run->job->kind]--;
}

/* Those that were abandoned meanwhile are on their way out. */
static struct job_run *first_in_line(struct job_worker *w)
{
	while (w->n_line > 0) {
		struct job_run *run = container_of(w->line.next, struct job_run, line);
		if (!job_run_is_over(run))
			return run;
		leave_place(w, run);
	}
	return NULL;
}

static void fill_places(struct job_worker *w)
{
	struct job_run *run;
	while (w->n_placed < w->places.total && (run = first_in_line(w))) {
		leave_line(w, run);
		take_place(w, run);
	}
}

static void take_place_or_wait(struct job_worker *w, struct job_run *run)
{
	w->places.here[run->job->kind]++;
	if (w->n_line == 0 && w->n_placed < w->places.total) {
		take_place(w, run);
		return;
	}
	run->waits = true;
	run->began_ms = loop_now_ms(w->loop);
	list_push(&w->line, &run->line);
	w->n_line++;
	if (!timer_is_set(&w->line_limit))
		timer_set(&w->line_limit, LINE_MS);
}

/* Those that wait and have done nothing. */
static void hand_line_back(struct job_worker *w, uint64_t since_ms)
{
	struct job_run *run;
	while ((run = first_in_line(w)) && run->began_ms <= since_ms)
		job_run_hand_back(run); /* which takes it out of the line */
}

static void on_line_limit(struct timer *t)
{
	struct job_worker *w = container_of(t, struct job_worker, line_limit);
	hand_line_back(w, loop_now_ms(w->loop) - LINE_MS);
	if (w->n_line > 0)
		timer_set(t, LINE_MS);
}

/* What runs for longer than its kind used to is no quick one any more. */
static unsigned count_ahead(struct job_worker *w)
{
	uint64_t now = loop_now_ms(w->loop);
	list_for_each (&w->runs, n) {
		const struct job_run *run = container_of(n, struct job_run, node);
		if (run->has_place && now - run->began_ms > AHEAD_MS)
			ahead_ran(&w->ahead, run->job->kind, now - run->began_ms);
	}
	for (int k = 0; k < JOB_KINDS; k++)
		w->places.quick[k] = ahead_is_quick(&w->ahead, (enum job_kind)k);
	w->places.ahead = ahead_of(&w->ahead, w->places.total);
	return w->places.ahead;
}

/* While its end is on its way to the database, the next one runs in its place. */
static void on_run_ending(struct job_run *run)
{
	struct job_worker *w = run->owner;
	log_info("job run ends", "job", run->job->id.text, "kind", job_kind_name(run->job->kind), NULL);
	leave_place(w, run);
	if (w->left || w->n_line > 0)
		job_worker_wake(w);
}

/* Something may have waited for its end: a place, a cap, the next job of the stack, it itself. */
static bool lets_others_run(const struct job_worker *w, const struct job_run *run, enum run_outcome outcome)
{
	return w->left || run->job->stack_id.text[0] || outcome != RUN_FINISHED;
}

static void on_run_over(struct job_run *run, enum run_outcome outcome)
{
	struct job_worker *w = run->owner;
	bool wake = lets_others_run(w, run, outcome);
	static const char *const names[] = {"finished", "requeued", "abandoned"};
	log_line(run->abandoned ? LOG_WARN : LOG_INFO, "job run over", "job", run->job->id.text,
		"kind", job_kind_name(run->job->kind), "stack", run->job->stack, "outcome",
		names[outcome], "error",
		run->abandoned ? run->abandoned : run->flow->st.message, NULL);
	list_remove(&run->node);
	w->n_runs--;
	leave_place(w, run);
	job_run_destroy(run);
	if (wake)
		job_worker_wake(w);
	check_drained(w);
}

static void on_drained(struct defer *d)
{
	struct job_worker *w = container_of(d, struct job_worker, leave);
	timer_stop(&w->sweep);
	timer_stop(&w->renewal);
	timer_stop(&w->grace);
	timer_stop(&w->hands_off);
	timer_stop(&w->echo);
	timer_stop(&w->line_limit);
	w->drained(w->drained_data);
}

/* A job of a kind that is not built here. */
struct unknown {
	struct job_worker *worker;
	struct job_write write;
	struct db_job job; /* its ids */
	struct db_job_why why;
};

static void on_unknown_ended(struct job_write *write, const struct status *st)
{
	struct unknown *u = container_of(write, struct unknown, write);
	if (!status_is_ok(st))
		log_warn("a job of a kind that is not built here could not be ended", "error", st->message, NULL);
	u->worker->n_unknown--;
	check_drained(u->worker);
	free(u);
}

static void end_unknown(struct job_worker *w, const struct db_job *job)
{
	struct unknown *u = mem_zalloc(sizeof(*u));
	u->worker = w;
	u->job = (struct db_job){.id = job->id, .project_id = job->project_id, .stack_id = job->stack_id};
	u->why = (struct db_job_why){.text = "",
		.st = status_err(ST_UNIMPLEMENTED, "this skepd has no job kind \"%s\"", job_kind_name(job->kind))};
	u->write.what = (struct db_job_write){.id = u->job.id.text, .epoch = job->epoch, .number = 1, .first = 1,
		.state = JOB_FAILED, .why = &u->why};
	u->write.done = on_unknown_ended;
	u->write.job = &u->job;
	w->n_unknown++;
	job_batch_put(w->batch, &u->write);
}

static struct job_run *start_run(struct job_worker *w, const struct db_job *job)
{
	const struct job_kind_def *kind = kind_of(w, job->kind);
	if (!kind) {
		end_unknown(w, job);
		return NULL;
	}
	struct job_run *old = run_of(w, job->id.text);
	if (old)
		job_run_abandon(old, "its lease had ended, and this daemon has claimed it again");
	struct job_run *run = job_run_create(w->loop, w->db, w->batch, w->rng, kind, w->context, job);
	run->owner = w;
	run->max_takeovers = (int)w->max_takeovers;
	run->on_ending = on_run_ending;
	run->on_over = on_run_over;
	job_run_trust(run, trust_until(w, w->claim_started_ms));
	list_push(&w->runs, &run->node);
	w->n_runs++;
	char epoch[16];
	(void)snprintf(epoch, sizeof(epoch), "%d", job->epoch);
	log_info("job run begins", "job", job->id.text, "kind", job_kind_name(job->kind), "stack",
		job->stack, "epoch", epoch, "after_step", job->step, NULL);
	take_place_or_wait(w, run);
	return run;
}

/* ---- claiming ---- */

/* Runs that are only ending beyond as many as there are places: the database cannot keep up. */
static unsigned too_many_ending(const struct job_worker *w)
{
	size_t ending = w->n_runs - w->n_placed - w->n_line, most = w->places.total + w->places.ahead;
	return ending > most ? (unsigned)(ending - most) : 0;
}

static unsigned free_of(const struct job_worker *w, unsigned places)
{
	size_t taken = w->n_placed + w->n_line + too_many_ending(w);
	return places > taken ? places - (unsigned)taken : 0;
}

static unsigned free_places(const struct job_worker *w)
{
	return free_of(w, w->places.total);
}

static void sweep_in(struct job_worker *w, uint64_t ms)
{
	if (!w->draining)
		timer_set(&w->sweep, ms < SWEEP_MS_MAX ? ms : SWEEP_MS_MAX);
}

static void end_turn(struct job_worker *w)
{
	check_drained(w);
	if (!w->woken_again || w->draining)
		return;
	w->woken_again = false;
	start_turn(w);
}

/* Of a stack's release, each image is one point more. */
static void charge(struct job_worker *w, const struct db_job *job)
{
	if (job->images > 1)
		fair_charge(w->fair, &job->project_id, job->images - 1);
}

static void on_claimed(
	void *data, const struct status *st, const struct db_job *jobs, size_t n, bool more)
{
	struct job_worker *w = data;
	(void)more;
	w->turn = NULL;
	for (size_t i = 0; status_is_ok(st) && i < n; i++) {
		job_teller_put(w->teller, &jobs[i], TOLD_EVENTS);
		struct job_run *run = start_run(w, &jobs[i]);
		charge(w, &jobs[i]);
		if (run && w->draining)
			job_run_hand_back(run);
	}
	w->left |= !status_is_ok(st) || n < w->asked;
	if (!status_is_ok(st))
		sweep_in(w, AGAIN_MS + rng_below(w->rng, AGAIN_JITTER));
	else if (n == 0)
		sweep_in(w, LOST_TURN_MS + rng_below(w->rng, LOST_TURN_JITTER));
	else if (n < w->asked)
		w->woken_again = true;
	end_turn(w);
}

static void send_claim(struct job_worker *w, const struct db_look *look, unsigned takeovers,
	const struct db_pick *picks, size_t n)
{
	const struct db_claim claim = {.owner = w->owner, .lease_ms = w->lease_ms,
		.takeovers = takeovers, .turn = look->turn, .picks = picks, .n = n};
	w->asked = takeovers;
	for (size_t i = 0; i < n; i++)
		w->asked += picks[i].n;
	w->claim_started_ms = loop_now_ms(w->loop);
	w->turn = w->db->jobs->claim(w->db, &claim, on_claimed, w);
}

/* More may wait than was picked: a queue that reached the limit of the look may be longer. */
static bool leaves_some(const struct job_worker *w, const struct db_look *look, unsigned takeovers,
	const struct db_pick *picks, size_t n)
{
	size_t waiting = look->expired, picked = takeovers;
	for (size_t i = 0; i < look->n; i++) {
		if (look->queues[i].waiting >= w->limit)
			return true;
		waiting += look->queues[i].waiting;
	}
	for (size_t i = 0; i < n; i++)
		picked += picks[i].n;
	return waiting > picked;
}

static void on_look(void *data, const struct status *st, const struct db_look *look)
{
	struct job_worker *w = data;
	w->turn = NULL;
	if (!status_is_ok(st))
		sweep_in(w, AGAIN_MS + rng_below(w->rng, AGAIN_JITTER));
	if (!status_is_ok(st) || w->draining) {
		w->left = true;
		end_turn(w);
		return;
	}
	if (look->due_ms >= 0)
		sweep_in(w, look->due_ms < 10 ? 10 : (uint64_t)look->due_ms);
	unsigned takeovers = look->expired < free_places(w) ? look->expired : free_places(w);
	struct db_pick *picks = mem_realloc_array(NULL, sizeof(*picks), look->n + 1);
	size_t n = fair_pick(w->fair, &w->places, takeovers + too_many_ending(w), look->queues, look->n, picks);
	w->left = leaves_some(w, look, takeovers, picks, n);
	if (takeovers > 0 || n > 0)
		send_claim(w, look, takeovers, picks, n);
	else
		end_turn(w);
	free(picks);
}

static void start_turn(struct job_worker *w)
{
	if (w->draining || !w->started || w->held_off)
		return; /* what held us off wakes us */
	unsigned room = free_of(w, w->places.total + count_ahead(w));
	if (room == 0 || w->n_line >= w->places.total) {
		w->left = true; /* the next run that ends wakes us */
		return;
	}
	if (w->turn) {
		w->woken_again = true;
		return;
	}
	timer_set(&w->sweep, SWEEP_MS_MAX);
	timer_stop(&w->echo);
	/* one more: to see whether some are left. Of quick ones more may have ended by then. */
	w->limit = (w->places.ahead ? w->places.total + w->places.ahead : room) + 1;
	w->turn = w->db->jobs->look(w->db, w->limit, on_look, w);
}

static void on_sweep(struct timer *t)
{
	start_turn(container_of(t, struct job_worker, sweep));
}

static void on_echo(struct timer *t)
{
	start_turn(container_of(t, struct job_worker, echo));
}

static void on_turn_soon(struct defer *d)
{
	struct job_worker *w = container_of(d, struct job_worker, soon);
	fill_places(w);
	start_turn(w);
}

/* ---- leases ---- */

static void on_renewed(
	void *data, const struct status *st, const struct db_job *jobs, size_t n, bool more)
{
	struct job_worker *w = data;
	(void)more;
	w->renew = NULL;
	check_drained(w);
	for (size_t i = 0; status_is_ok(st) && i < n; i++) {
		struct job_run *run = run_of(w, jobs[i].id.text);
		if (!run || run->job->epoch != jobs[i].epoch)
			continue;
		job_run_trust(run, trust_until(w, w->renew_started_ms));
		if (jobs[i].cancel_requested)
			job_run_cancel(run);
	}
}

static void send_renewal(struct job_worker *w)
{
	struct uuid ids[RUNS_MAX];
	int epochs[RUNS_MAX];
	size_t n = 0;
	list_for_each (&w->runs, node) {
		const struct job_run *run = container_of(node, struct job_run, node);
		if (n < RUNS_MAX && !job_run_is_over(run)) {
			ids[n] = run->job->id;
			epochs[n++] = run->job->epoch;
		}
	}
	w->renew_started_ms = loop_now_ms(w->loop);
	w->renew = w->db->jobs->renew(w->db, w->owner, ids, epochs, n, w->lease_ms, on_renewed, w);
}

static void on_renewal(struct timer *t)
{
	struct job_worker *w = container_of(t, struct job_worker, renewal);
	if (w->n_runs > 0 && !w->renew)
		send_renewal(w);
	timer_set(&w->renewal, w->lease_ms / 5);
}

/* ---- public ---- */

static void hand_all_back(struct job_worker *w)
{
	list_for_each (&w->runs, n)
		job_run_hand_back(container_of(n, struct job_run, node));
}

static void on_grace(struct timer *t)
{
	hand_all_back(container_of(t, struct job_worker, grace));
}

static void on_hands_off(struct timer *t)
{
	hand_all_back(container_of(t, struct job_worker, hands_off));
	timer_set(t, HANDS_OFF_MS); /* a claim was under way */
}

struct job_worker *job_worker_create(const struct job_worker_options *o)
{
	struct job_worker *w = mem_zalloc(sizeof(*w));
	w->loop = o->loop;
	w->db = o->db;
	w->rng = o->rng;
	w->kinds = o->kinds;
	w->context = o->context;
	w->teller = job_teller_create(o->loop, o->db, on_all_told, w);
	w->batch = job_batch_create(o->loop, o->db, w->teller);
	w->fair = fair_create();
	w->places.total = o->slots ? o->slots : SLOTS_DEFAULT;
	if (w->places.total > SLOTS_MAX)
		w->places.total = SLOTS_MAX;
	w->places.reserved = o->reserved;
	w->places.max_running = o->max_running;
	w->lease_ms = o->lease_ms ? o->lease_ms : LEASE_MS_DEFAULT;
	w->max_takeovers = o->max_takeovers ? o->max_takeovers : TAKEOVERS_DEFAULT;
	(void)snprintf(w->owner, sizeof(w->owner), "%s", o->owner);
	list_init(&w->runs);
	list_init(&w->line);
	ahead_init(&w->ahead);
	timer_init(&w->sweep, o->loop, on_sweep);
	timer_init(&w->renewal, o->loop, on_renewal);
	timer_init(&w->grace, o->loop, on_grace);
	timer_init(&w->hands_off, o->loop, on_hands_off);
	timer_init(&w->echo, o->loop, on_echo);
	timer_init(&w->line_limit, o->loop, on_line_limit);
	defer_init(&w->leave, o->loop, on_drained);
	defer_init(&w->soon, o->loop, on_turn_soon);
	return w;
}

void job_worker_destroy(struct job_worker *w)
{
	if (!w)
		return;
	timer_stop(&w->sweep);
	timer_stop(&w->renewal);
	timer_stop(&w->grace);
	timer_stop(&w->hands_off);
	timer_stop(&w->echo);
	timer_stop(&w->line_limit);
	defer_cancel(&w->leave);
	defer_cancel(&w->soon);
	fair_destroy(w->fair);
	job_batch_destroy(w->batch);
	job_teller_destroy(w->teller);
	free(w);
}

void job_worker_start(struct job_worker *w)
{
	w->started = true;
	timer_set(&w->renewal, w->lease_ms / 5);
	start_turn(w);
}

void job_worker_wake(struct job_worker *w)
{
	defer_post(&w->soon);
}

static bool was_told(const struct job_worker *w, const char *job_id)
{
	uint64_t now = loop_now_ms(w->loop);
	for (size_t i = 0; i < TOLD_MAX; i++)
		if (w->told[i].ms + TOLD_MS > now && strcmp(w->told[i].job.text, job_id) == 0)
			return true;
	return false;
}

void job_worker_tell(struct job_worker *w, const char *job_id)
{
	struct uuid id;
	if (!job_id || !uuid_parse(job_id, &id)) {
		job_worker_wake(w);
	} else if (!was_told(w, id.text)) {
		w->told[w->n_told].job = id;
		w->told[w->n_told].ms = loop_now_ms(w->loop);
		w->n_told = (w->n_told + 1) % TOLD_MAX;
		job_worker_wake(w);
	} else if (!w->draining && !timer_is_set(&w->echo)) {
		timer_set(&w->echo, ECHO_MS);
	}
}

void job_worker_hold_off(struct job_worker *w, bool off)
{
	if (w->held_off == off)
		return;
	w->held_off = off;
	if (off)
		timer_set(&w->hands_off, HANDS_OFF_MS);
	else
		timer_stop(&w->hands_off);
	start_turn(w);
}

void job_worker_cancel(struct job_worker *w, const char *job_id)
{
	struct job_run *run = run_of(w, job_id);
	if (run)
		job_run_cancel(run);
}

void job_worker_drain(struct job_worker *w, uint64_t grace_ms, void (*done)(void *data), void *data)
{
	w->draining = true;
	w->drained = done;
	w->drained_data = data;
	timer_set(&w->grace, grace_ms);
	hand_line_back(w, UINT64_MAX);
	check_drained(w);
}

unsigned job_worker_slots(const struct job_worker *w)
{
	return w->held_off ? 0 : w->places.total;
}

size_t job_worker_running(const struct job_worker *w)
{
	return w->n_placed;
}
