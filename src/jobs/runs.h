/* runs: the runs of a daemon. Some have a place; of quick kinds more are claimed than there are places (jobs/ahead.h), and wait in line, in
 * the order of their claim, for at most 100 ms: then they go back as they are. A run has its place until its work is done: then
 * it is only ending. A part of worker. */
#pragma once
#include "base/list.h"
#include "jobs/ahead.h"
#include "jobs/fair.h"
#include "jobs/run.h"
#include "loop/loop.h"

#define SLOTS_MAX 1024
#define RUNS_MAX  ((size_t)2 * (SLOTS_MAX + AHEAD_MOST)) /* half of them are only ending */

/* Read by the others of worker's parts, changed here. */
struct runs {
	struct loop *loop;
	struct fair_places places;
	struct list all; /* of struct job_run; worker's, who destroys them */
	size_t n, n_placed;
	struct ahead ahead;
	struct list line;
	size_t n_line;
	struct timer line_limit;
};

void runs_init(struct runs *r, struct loop *loop, const struct fair_places *places);
void runs_stop(struct runs *r); /* its timer */

/* The run of this job that is not over: one that is may wait for its last operation, and the job run here again. NULL: none. */
struct job_run *runs_find(const struct runs *r, const char *job_id);
/* It starts, or waits in line. */
void runs_add(struct runs *r, struct job_run *run);
/* Its place, if it has one, or the one in line, is free. */
void runs_leave_place(struct runs *r, struct job_run *run);
/* The worker destroys it. */
void runs_remove(struct runs *r, struct job_run *run);
/* Those first in line start in the places that are free. */
void runs_fill_places(struct runs *r);
void runs_hand_line_back(struct runs *r);
void runs_hand_all_back(struct runs *r);

/* How many more than there are places may be claimed now; sets it, and the quick kinds, in `places`. */
unsigned runs_count_ahead(struct runs *r);
/* So many are only ending beyond as many as there are places: the database cannot keep up. */
unsigned runs_too_many_ending(const struct runs *r);
/* For so many more there is room, of so many places. */
unsigned runs_room(const struct runs *r, unsigned places);
