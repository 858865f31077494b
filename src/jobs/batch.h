/* batch: what the runs of this daemon write, sent together once a loop turn: one statement, one
 * transaction and one commit for all that has come up, however many runs there are. Used by run;
 * owned by the worker.
 *
 *	run ── put ──► waiting ── end of the turn ──► under way ──► done(OK | ABORTED | failure)
 *	                  ▲                              │
 *	                  └──── each for itself ◄────────┘ refused, and not alone
 *
 * - Each write is fenced for itself by its epoch, and told its own result: ABORTED to the one whose job
 *   is somebody else's by now, OK to the others.
 * - UNAVAILABLE (and DEADLINE_EXCEEDED, CANCELLED) is told to all of them: they may or may not be
 *   stored. Whoever puts such a write again says so (`again`).
 * - When PostgreSQL refuses what is in them, one is to blame, and nobody knows which: each is sent alone,
 *   once, and told what becomes of it.
 * - At most so many batches are under way (BATCHES_MAX); what comes up meanwhile waits, and makes the
 *   next one larger: the busier it is, the less a write costs.
 *
 * A job has at most one write here at a time, so that its writes stay in order. */
#pragma once
#include "base/list.h"
#include "db/jobs.h"

struct job_batch;
struct loop;

/* Embedded in its owner, and alive until `done` or job_batch_take_back. */
struct job_write {
	struct db_job_write what; /* what it points to stays as it is until then */
	/* Once, on a later turn; the write may be put again from inside. */
	void (*done)(struct job_write *w, const struct status *st);
	/* private */
	struct list node;
	enum { WRITE_IDLE, WRITE_WAITS, WRITE_SENT } place;
	bool alone;
};

struct job_batch *job_batch_create(struct loop *l, struct db *db); /* borrowed */
/* Nothing waits or is under way. NULL is fine. */
void job_batch_destroy(struct job_batch *b);
void job_batch_put(struct job_batch *b, struct job_write *w);
/* True: it was not sent and will not be; done is not called. */
bool job_batch_take_back(struct job_write *w);
