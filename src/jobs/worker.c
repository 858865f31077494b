#include "jobs/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "jobs/batch.h"
#include "jobs/claims.h"
#include "jobs/leases.h"
#include "jobs/runs.h"
#include "jobs/teller.h"

#define SLOTS_DEFAULT     16
#define LEASE_MS_DEFAULT  4000
#define TAKEOVERS_DEFAULT 5
/* A restart of the Engine is shorter: what runs waits for it. */
#define HANDS_OFF_MS 10000

struct job_worker {
	struct loop *loop;
	struct db *db;
	struct rng *rng;
	char owner[128];
	const struct job_kind_def *const *kinds;
	void *context;
	unsigned max_takeovers;
	struct job_teller *teller;
	struct job_batch *batch;
	struct runs runs;
	struct claims claims;
	struct leases leases;
	size_t n_unknown; /* jobs of kinds that are not built here, on their way to their end */
	struct timer grace, hands_off;
	struct defer leave;
	bool started, draining, held_off;
	void (*drained)(void *data);
	void *drained_data;
};

static void check_drained(struct job_worker *w)
{
	if (!w->draining || w->runs.n + w->n_unknown > 0 || !claims_is_idle(&w->claims) || !leases_is_idle(&w->leases))
		return;
	if (job_teller_is_idle(w->teller))
		defer_post(&w->leave);
	else
		job_teller_hurry(w->teller);
}

/* Nothing is told, claimed or renewed at present. */
static void on_idle(void *data)
{
	check_drained(data);
}

static void stop_timers(struct job_worker *w)
{
	runs_stop(&w->runs);
	leases_stop(&w->leases);
	timer_stop(&w->grace);
	timer_stop(&w->hands_off);
}

static void on_drained(struct defer *d)
{
	struct job_worker *w = container_of(d, struct job_worker, leave);
	stop_timers(w);
	w->drained(w->drained_data);
}

/* ---- runs ---- */

static const struct job_kind_def *kind_of(const struct job_worker *w, enum job_kind kind)
{
	for (size_t i = 0; w->kinds[i]; i++)
		if (w->kinds[i]->kind == kind)
			return w->kinds[i];
	return NULL;
}

/* While its end is on its way to the database, the next one runs in its place. */
static void on_run_ending(struct job_run *run)
{
	struct job_worker *w = run->owner;
	log_info("job run ends", "job", run->job->id.text, "kind", job_kind_name(run->job->kind), NULL);
	runs_leave_place(&w->runs, run);
	if (w->claims.left || w->runs.n_line > 0)
		job_worker_wake(w);
}

/* Something may have waited for its end: a place, a cap, the next job of the stack, it itself. */
static bool lets_others_run(const struct job_worker *w, const struct job_run *run, enum run_outcome outcome)
{
	return w->claims.left || run->job->stack_id.text[0] || outcome != RUN_FINISHED;
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
	runs_remove(&w->runs, run);
	job_run_destroy(run);
	if (wake)
		job_worker_wake(w);
	check_drained(w);
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

static void start_run(struct job_worker *w, const struct job_kind_def *kind, const struct db_job *job, uint64_t sent_ms)
{
	struct job_run *old = runs_find(&w->runs, job->id.text);
	if (old)
		job_run_abandon(old, "its lease had ended, and this daemon has claimed it again");
	struct job_run *run = job_run_create(w->loop, w->db, w->batch, w->rng, kind, w->context, job);
	run->owner = w;
	run->max_takeovers = (int)w->max_takeovers;
	run->on_ending = on_run_ending;
	run->on_over = on_run_over;
	job_run_trust(run, leases_trusted_until(&w->leases, sent_ms));
	char epoch[16];
	(void)snprintf(epoch, sizeof(epoch), "%d", job->epoch);
	log_info("job run begins", "job", job->id.text, "kind", job_kind_name(job->kind), "stack",
		job->stack, "epoch", epoch, "after_step", job->step, NULL);
	runs_add(&w->runs, run);
	if (w->draining)
		job_run_hand_back(run);
}

static void on_claimed(void *data, const struct db_job *job, uint64_t sent_ms)
{
	struct job_worker *w = data;
	const struct job_kind_def *kind = kind_of(w, job->kind);
	job_teller_put(w->teller, job, TOLD_EVENTS);
	if (kind)
		start_run(w, kind, job, sent_ms);
	else
		end_unknown(w, job);
}

/* ---- public ---- */

static void on_grace(struct timer *t)
{
	runs_hand_all_back(&container_of(t, struct job_worker, grace)->runs);
}

static void on_hands_off(struct timer *t)
{
	runs_hand_all_back(&container_of(t, struct job_worker, hands_off)->runs);
	timer_set(t, HANDS_OFF_MS); /* a claim was under way */
}

static void init_parts(struct job_worker *w, const struct job_worker_options *o)
{
	unsigned slots = o->slots ? o->slots : SLOTS_DEFAULT;
	unsigned lease_ms = o->lease_ms ? o->lease_ms : LEASE_MS_DEFAULT;
	runs_init(&w->runs, o->loop, &(struct fair_places){.total = slots < SLOTS_MAX ? slots : SLOTS_MAX,
		.reserved = o->reserved, .max_running = o->max_running});
	w->claims = (struct claims){.loop = o->loop, .db = o->db, .rng = o->rng, .runs = &w->runs, .owner = w->owner,
		.lease_ms = lease_ms, .claimed = on_claimed, .turned = on_idle, .data = w};
	claims_init(&w->claims);
	w->leases = (struct leases){.loop = o->loop, .db = o->db, .runs = &w->runs, .owner = w->owner, .ms = lease_ms,
		.renewed = on_idle, .data = w};
	leases_init(&w->leases);
}

struct job_worker *job_worker_create(const struct job_worker_options *o)
{
	struct job_worker *w = mem_zalloc(sizeof(*w));
	w->loop = o->loop;
	w->db = o->db;
	w->rng = o->rng;
	w->kinds = o->kinds;
	w->context = o->context;
	w->max_takeovers = o->max_takeovers ? o->max_takeovers : TAKEOVERS_DEFAULT;
	(void)snprintf(w->owner, sizeof(w->owner), "%s", o->owner);
	w->teller = job_teller_create(o->loop, o->db, on_idle, w);
	w->batch = job_batch_create(o->loop, o->db, w->teller);
	init_parts(w, o);
	timer_init(&w->grace, o->loop, on_grace);
	timer_init(&w->hands_off, o->loop, on_hands_off);
	defer_init(&w->leave, o->loop, on_drained);
	return w;
}

void job_worker_destroy(struct job_worker *w)
{
	if (!w)
		return;
	stop_timers(w);
	claims_finish(&w->claims);
	defer_cancel(&w->leave);
	job_batch_destroy(w->batch);
	job_teller_destroy(w->teller);
	free(w);
}

static void set_claims_on(struct job_worker *w)
{
	claims_set_on(&w->claims, w->started && !w->held_off && !w->draining);
}

void job_worker_start(struct job_worker *w)
{
	w->started = true;
	leases_start(&w->leases);
	set_claims_on(w);
}

void job_worker_wake(struct job_worker *w)
{
	claims_wake(&w->claims);
}

void job_worker_tell(struct job_worker *w, const char *job_id)
{
	claims_tell(&w->claims, job_id);
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
	set_claims_on(w);
}

void job_worker_cancel(struct job_worker *w, const char *job_id)
{
	struct job_run *run = runs_find(&w->runs, job_id);
	if (run)
		job_run_cancel(run);
}

void job_worker_drain(struct job_worker *w, uint64_t grace_ms, void (*done)(void *data), void *data)
{
	w->draining = true;
	w->drained = done;
	w->drained_data = data;
	set_claims_on(w);
	timer_set(&w->grace, grace_ms);
	runs_hand_line_back(&w->runs);
	check_drained(w);
}

unsigned job_worker_slots(const struct job_worker *w)
{
	return w->held_off ? 0 : w->runs.places.total;
}

size_t job_worker_running(const struct job_worker *w)
{
	return w->runs.n_placed;
}
