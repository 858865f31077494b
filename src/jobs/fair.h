/* fair: which queue gives the next jobs. Pure: fed with what a look at the database found and with
 * what runs here, it answers how many jobs to claim from which queue. A queue is what waits of one
 * kind in one project.
 *
 * Projects take turns (deficit round-robin). In its turn a project gets as many points as it has
 * weight, starts what it has points for, and keeps the rest; a job costs what its kind costs
 * (jobs/kinds.h), and what a job turns out to cost on top is charged when it is claimed: the project
 * waits for it in later turns. A project that has nothing to start, or is at a cap, takes no turn
 * and saves no points. Inside a project the kind of the higher priority goes first, then the older
 * job.
 *
 * Caps: a project's (its own, or the daemon's default), a kind's in a project (both over all daemons),
 * a kind's here, and the places here, of which some are kept for short kinds. What is claimed ahead counts for all of them. */
#pragma once
#include "db/jobs.h"

struct fair;
struct job_rule;

struct fair_places {
	unsigned total;       /* jobs at a time here */
	unsigned reserved;    /* of them, only for short kinds; at most total - 1 are kept */
	unsigned max_running; /* of a project that has no number of its own; 0 = no cap */
	unsigned here[JOB_KINDS]; /* what runs here, or was claimed ahead, by kind */
	/* So many more than places are claimed; those that are not quick, only as if there were none: they get the places that the quick
	 * ones leave (jobs/ahead.h). */
	unsigned ahead;
	bool quick[JOB_KINDS];
};

struct fair *fair_create(void);
void fair_destroy(struct fair *f); /* NULL is fine */

/* Fills ret_picks (room for n) with what to claim; returns how many entries. `taken` places are
 * spoken for already, by jobs of no matter which kind. The queues are in the order of project ids. */
size_t fair_pick(struct fair *f, const struct fair_places *places, unsigned taken,
	const struct db_queue *queues, size_t n, struct db_pick *ret_picks);
/* A claimed job costs so many points more than its kind does. */
void fair_charge(struct fair *f, const struct uuid *project_id, unsigned points);

/* Why a job waits, by the same rules; the first that holds. As in the API. */
enum job_wait { WAIT_TURN = 1, WAIT_LATER, WAIT_STACK, WAIT_PAUSED, WAIT_PROJECT_CAP, WAIT_KIND_CAP,
	WAIT_PLACES };
/* max_running: of a project that has no number of its own. */
enum job_wait fair_wait(
	const struct db_job_stats *s, const struct db_waiting *w, unsigned max_running);
