#include "jobs/ahead.h"

#define UNIT       16U   /* of a millisecond */
#define UNKNOWN_MS 64U   /* some twenty quick runs make a kind quick */
#define MOST_MS    1000U /* and some forty behind one that took longer than this */
#define TIMES      3U    /* the places */

void ahead_init(struct ahead *a)
{
	for (int k = 0; k < JOB_KINDS; k++)
		a->took[k] = UNKNOWN_MS * UNIT;
}

void ahead_ran(struct ahead *a, enum job_kind kind, uint64_t ms)
{
	uint32_t took = (uint32_t)(ms < MOST_MS ? ms : MOST_MS) * UNIT, *known = &a->took[kind];
	*known = took >= *known ? took : *known - (*known - took + 7) / 8;
}

bool ahead_is_quick(const struct ahead *a, enum job_kind kind)
{
	return a->took[kind] <= AHEAD_MS * UNIT;
}

unsigned ahead_of(const struct ahead *a, unsigned places)
{
	uint64_t slowest = 0, n;
	bool any = false;
	for (int k = 1; k < JOB_KINDS; k++) {
		if (!ahead_is_quick(a, (enum job_kind)k))
			continue;
		any = true;
		slowest = a->took[k] > slowest ? a->took[k] : slowest;
	}
	if (!any)
		return 0;
	n = (uint64_t)places * AHEAD_MS * UNIT / (slowest > UNIT ? slowest : UNIT);
	n = n < TIMES * (uint64_t)places ? n : TIMES * (uint64_t)places;
	return n < AHEAD_MOST ? (unsigned)n : AHEAD_MOST;
}
