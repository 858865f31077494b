/* ahead: how many jobs a worker claims beyond its places. Of jobs that are over within milliseconds the places are empty long before
 * the next claim is back from the database; so a few more are claimed with each, and wait here for a place: never more than
 * are run within AHEAD_MS, as far as is known. Of kinds that take longer none. Pure.
 *
 * A kind is known by its runs here: as slow as the slowest one, of which every other one takes an eighth. */
#pragma once
#include <stdint.h>
#include "db/jobs.h"

#define AHEAD_MS   8   /* so long one that was claimed ahead waits */
#define AHEAD_MOST 192 /* at a time */

struct ahead {
	uint32_t took[JOB_KINDS]; /* by kind; private */
};

void ahead_init(struct ahead *a);
/* A job of this kind ran for so many ms, or runs for so long already. */
void ahead_ran(struct ahead *a, enum job_kind kind, uint64_t ms);
/* It is over within AHEAD_MS. */
bool ahead_is_quick(const struct ahead *a, enum job_kind kind);
/* How many more than there are places here; 0 when no kind is quick. */
unsigned ahead_of(const struct ahead *a, unsigned places);
