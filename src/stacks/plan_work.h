/* plan_work: plan.h and drift.h on the pool: to compare thousands of services takes a while, and the
 * loop serves everybody. Callers: planner, the deploy flow. */
#pragma once
#include "stacks/drift.h"
#include "stacks/plan.h"

struct loop;

struct plan_work_input { /* all of it stays as it is, and lives, until done */
	const struct world *world;
	const struct release *release;
	const struct plan_kept *kept; /* or NULL */
	const char *given; /* a fingerprint to compare the plan with; "" = none */
	bool drifts;       /* no plan: what drifted */
};
struct plan_work {
	struct plan plan;
	const char *fingerprint;
	struct status given_st; /* fingerprint_check */
	const char *refusals;   /* what cannot be done, all of it, a line each; NULL: everything can */
	const char **said; /* plan_unknown_fields */
	size_t n_said;
	struct drifts drifts;
};
/* done fires once, later. The result lives as long as the arena; UNAVAILABLE: the pool has too much
 * to do. */
void plan_work(struct loop *l, struct arena *a, const struct plan_work_input *in,
	void (*done)(void *data, const struct status *st, const struct plan_work *w), void *data);
