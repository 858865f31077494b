/* worker: claims jobs, keeps their leases, runs each by its kind's flow. One a daemon, owned by
 * app.
 *
 * Its parts: jobs/claims (looks when there is a reason to, decides, claims as many jobs as there are free places), jobs/runs (a run has its
 * place until its work is done: while its end is on its way to the database the next one begins, so that claims and ends go on side by side;
 * at most as many as there are places are only ending), jobs/leases (on the database's clock; local trust ends a margin earlier, and a run
 * whose lease could not be renewed by then is abandoned). */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

struct db;
struct job_kind_def;
struct job_worker;
struct loop;
struct rng;

struct job_worker_options {
	struct loop *loop;
	struct db *db;                           /* borrowed */
	struct rng *rng;                         /* borrowed */
	const char *owner;                       /* this daemon's id; copied */
	const struct job_kind_def *const *kinds; /* NULL-terminated; static */
	void *context;                           /* for the kinds */
	unsigned slots;                          /* jobs at a time; default 16 */
	unsigned reserved;                       /* of them, only for short kinds */
	unsigned max_running;                    /* of a project that has no number; 0 = no cap */
	unsigned lease_ms;                       /* default 4,000 */
	unsigned max_takeovers;                  /* see job_run; default 5 */
};
struct job_worker *job_worker_create(const struct job_worker_options *o);
/* Only before start or after drain has ended. NULL is fine. */
void job_worker_destroy(struct job_worker *w);
void job_worker_start(struct job_worker *w);
/* Look now, at the end of this turn of the loop. */
void job_worker_wake(struct job_worker *w);
/* This job is ready: look now. It comes several times, from here, by Redis and by NOTIFY: what is told again within a
 * second only makes sure that there is a look within 100 ms. job_id NULL, or no id: as by job_worker_wake. */
void job_worker_tell(struct job_worker *w, const char *job_id);
/* What jobs work with cannot be reached from here (true), or can again (false, as at the start): no more
 * claims, and what runs is handed back after 10 s, for a daemon that has a way to it. */
void job_worker_hold_off(struct job_worker *w, bool off);
/* The job with this id was asked to stop; if it runs here, it is cancelled. */
void job_worker_cancel(struct job_worker *w, const char *job_id);
/* No more claims; runs get grace_ms to end, then are handed back. done fires once, when none is
 * left. */
void job_worker_drain(
	struct job_worker *w, uint64_t grace_ms, void (*done)(void *data), void *data);
unsigned job_worker_slots(const struct job_worker *w); /* 0 while it is held off */
size_t job_worker_running(const struct job_worker *w); /* in places */
