/* run: one claimed job on its way to its end. Made by the worker after a claim; drives two flows of
 * the job's kind: the prelude (loads and looks, writes nothing, is run again at every resume) and
 * the steps (persisted one by one, undone upward on failure or cancel). Before the first step (if
 * there is one) it stores that the job has begun, so that whoever takes it over knows that something may have to be
 * taken back. It owns its arena; it is freed by the worker after on_over.
 *
 *	claimed ─► prelude ─► steps ───────► finish (succeeded)
 *	              │          │ failure, cancel
 *	              │          └─► undo ──► finish (failed, cancelled), requeue (transient)
 *	              └─ failure ───────────► finish (failed), requeue (transient)
 *	any time: another owner's epoch, lease not renewed in time ─► abandoned: nothing is written
 *
 * A job that has begun, and whose prelude finds no Engine in time, goes back to the queue as it
 * is.
 *
 * What it has to write (events, the step, the end) goes through jobs/batch, one write at a time. The
 * last step is stored together with the end. Events alone wait for EVENTS_MS, in case that a step or
 * the end takes them along. */
#pragma once
#include "db/jobs.h"
#include "flow/flow.h"
#include "jobs/batch.h"
#include "jobs/kinds.h"

struct arena;
struct job_run;
struct rng;

/* What a kind of job is made of. Static. */
struct job_kind_def {
	enum job_kind kind;
	const struct flow_step *prelude; /* no undo */
	const struct flow_step *steps;
	/* Makes run->state. */
	void (*begin)(struct job_run *run);
	/* Gives up the operations of the present step; their completions must not touch the run. */
	void (*interrupt)(struct job_run *run);
	/* The run is over (also when abandoned): releases what the arena does not. May be NULL. */
	void (*end)(struct job_run *run);
	/* The step that makes the outcome known to all: once it has begun, cancelling is too late,
	 * and a daemon that takes over goes on with it. NULL: every step may be taken back. */
	const char *no_return;
};

enum run_outcome { RUN_FINISHED, RUN_REQUEUED, RUN_ABANDONED };

struct job_run {
	/* for kinds */
	struct loop *loop;
	struct db *db;
	struct arena *arena;
	const struct db_job *job; /* a copy of the claimed row */
	void *context;            /* what the worker was given for its kinds */
	void *state;              /* the kind's own */
	struct flow *flow;        /* the one under way; flow->data is the run */

	/* for the worker */
	/* So many daemons may die over one step of a job; the next one takes it back, and twice as
	 * many may die over that. Set before job_run_start; 0 = no bound. */
	int max_takeovers;
	struct list node;
	void *owner;
	/* the worker's: it has a place, since when (loop time); or waits for one */
	bool has_place, waits;
	uint64_t began_ms;
	struct list line;
	/* Its work is done, or given up: only its end is still to be stored. Not for one that is abandoned. Once, from
	 * inside what ended it. */
	void (*on_ending)(struct job_run *run);
	void (*on_over)(struct job_run *run, enum run_outcome outcome);

	/* private */
	const struct job_kind_def *kind;
	const struct job_rule *rule;
	struct rng *rng;
	struct flow prelude, steps;
	enum run_phase { RUN_PRELUDE, RUN_STEPS, RUN_ENDING, RUN_LEAVING } phase;
	enum run_ending { END_FINISH, END_REQUEUE, END_SNOOZE, END_HAND_BACK } ending;
	enum run_outcome outcome;
	bool cancelled;
	bool no_more;   /* attempts */
	unsigned holds; /* operations whose completion is still to come */
	const char *story, *undo_story;
	const char *abandoned; /* why; NULL: it is not */
	struct str failures;
	struct run_events *events; /* that the database does not have yet */
	size_t n_sent;             /* the first so many are in the present write, or in one of unknown outcome */
	const char *step_to_store; /* until the database has it */
	bool storing_undo;
	const char *last_step; /* done, and stored with the end */
	struct job_batch *batch;
	struct job_write write;
	struct db_job_why why; /* in the write */
	bool writing;          /* it is in the batch */
	bool again;            /* an earlier one, with these events or the end, may be stored */
	int n_writes, first_write; /* of this claim; the first one of those that `again` speaks of */
	uint64_t trusted_until_ms; /* loop time; 0 = nobody has said */
	struct timer soon, lease, limit; /* soon: to write what there is */
	struct defer leave;
	int percent;
};

/* `job` is copied. Starts on a later turn. */
struct job_run *job_run_create(struct loop *l, struct db *db, struct job_batch *batch, struct rng *rng,
	const struct job_kind_def *kind, void *context, const struct db_job *job);
void job_run_start(struct job_run *run);
void job_run_destroy(struct job_run *run);

/* Loop time: behind it the lease may be somebody else's, and the run is abandoned. */
void job_run_trust(struct job_run *run, uint64_t until_ms);
/* Asked right before whatever others could see. False: the lease is over by the clock, and the run is abandoned. Its timer may
 * not have fired yet: a process that was stopped hears answers before its timers. */
bool job_run_holds_lease(struct job_run *run);
/* Stop and take back; ends as cancelled. Twice, while it is taken back, behind no_return, or in the
 * steps of a kind that is only cancelled while it waits: nothing happens. */
void job_run_cancel(struct job_run *run);
/* Stop writing at once: the job is somebody else's. why: in words, for the log; copied. */
void job_run_abandon(struct job_run *run, const char *why);
/* Finished, requeued or abandoned; on_over comes as soon as nothing holds it. */
static inline bool job_run_is_over(const struct job_run *run)
{
	return run->phase == RUN_LEAVING;
}
/* Stop and give it back to the queue with its step, for another daemon (drain). */
void job_run_hand_back(struct job_run *run);

/* ---- for kinds ---- */
/* Every operation that was started for a run holds it until its completion has fired, also when it
 * was cancelled: the run is freed after the last release. */
void job_run_hold(struct job_run *run);
void job_run_release(struct job_run *run);
/* Adds a live event: copied; written soon. percent < 0: unchanged. */
void job_run_event(struct job_run *run, const struct db_event *e);
void job_run_say(struct job_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What the flow fails with does not pass by itself, whatever its code says: the job is not tried
 * again. */
void job_run_try_no_more(struct job_run *run);
/* The whole story of a failure, in place of flow.st.message, as long as it needs to be, and the same
 * as fields (struct db_job_why; NULL: none). While undoing: what taking back did, or why it failed.
 * Copied. */
void job_run_story(struct job_run *run, const char *story, const char *failures);
