/* claims: a daemon's turns at the queues: a look at them all, a decision (jobs/fair), one claim for as many jobs as there is room for. One
 * turn at a time; a reason that comes up meanwhile makes another one behind it.
 *
 * Reasons: a job is ready (claims_tell), a run has ended that something may wait for (claims_wake), the time that the last look gave: when
 * the next job is due or a lease ends, and at least every 5 s. A look or claim that failed is repeated within a second. A part of worker. */
#pragma once
#include <stdbool.h>
#include "base/rng.h"
#include "jobs/runs.h"
#include "loop/loop.h"

#define CLAIMS_TOLD_MAX 64

struct db;
struct db_call;
struct fair;

struct claims {
	struct loop *loop;
	struct db *db;
	struct rng *rng;
	struct runs *runs;
	const char *owner; /* borrowed */
	unsigned lease_ms;
	/* Of each that was claimed, in order; the claim was sent then (loop time). */
	void (*claimed)(void *data, const struct db_job *job, uint64_t sent_ms);
	void (*turned)(void *data); /* none is under way */
	void *data;
	/* Something may wait for a place here, or for a cap; to read. */
	bool left;

	/* private */
	struct fair *fair;
	bool on;
	bool again;            /* a reason came up in a turn */
	struct timer sweep;    /* a turn, unless there is one before */
	struct timer echo;     /* the same */
	struct defer soon;     /* a turn, when all that ends in this one of the loop has ended */
	struct db_call *turn;  /* a look, then a claim */
	uint64_t started_ms;   /* of the claim */
	unsigned limit;        /* of the look under way: so many of a queue are counted */
	unsigned asked;        /* jobs, of the claim under way */
	struct {
		struct uuid job;
		uint64_t ms;
	} told[CLAIMS_TOLD_MAX]; /* a ring */
	size_t n_told;
};

/* The public fields are set. No turns as yet. */
void claims_init(struct claims *c);
void claims_finish(struct claims *c); /* none is under way */
/* Turns from now on, beginning with one; or no more. What is under way ends. */
void claims_set_on(struct claims *c, bool on);
bool claims_is_idle(const struct claims *c);
/* Look at the end of this turn of the loop. */
void claims_wake(struct claims *c);
/* As job_worker_tell. */
void claims_tell(struct claims *c, const char *job_id);
