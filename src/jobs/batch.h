/* batch: what the runs of this daemon write (events, steps, ends), gathered (jobs/gather) and sent once a loop
 * turn, however many runs there are. Used by run; owned by the worker.
 *
 * Each write is fenced for itself by its epoch, and told its own result: ABORTED to the one whose job is
 * somebody else's by now, OK to the others. A failure of the database is told to all of them; whoever puts such
 * a write again says so (`first`).
 *
 * A job has at most one write here at a time, so that its writes stay in order; those that were given up, too (`number`). */
#pragma once
#include "db/jobs.h"
#include "jobs/gather.h"

struct job_batch;
struct job_teller;

/* Embedded in its owner, and alive until `done` or job_batch_take_back. */
struct job_write {
	struct db_job_write what; /* what it points to stays as it is until then */
	/* Once, on a later turn; the write may be put again from inside. */
	void (*done)(struct job_write *w, const struct status *st);
	const struct db_job *job; /* that it is about: who hears of it is told by what it was when it was claimed */
	struct gather_item item; /* private */
};

/* teller: hears of what is stored; borrowed. NULL: nobody does. */
struct job_batch *job_batch_create(struct loop *l, struct db *db, struct job_teller *teller); /* borrowed */
/* Nothing waits or is under way. NULL is fine. */
void job_batch_destroy(struct job_batch *b);
void job_batch_put(struct job_batch *b, struct job_write *w);
/* True: it was not sent and will not be; done is not called. */
bool job_batch_take_back(struct job_write *w);
