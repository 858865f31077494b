/* drift: what in the Engine is otherwise than the release that runs has it. Pure, on top of plan.h:
 * what a plan towards that release would repair, told the other way round. What jobs of ours did on
 * purpose (a scale, a restart) is none. */
#pragma once
#include "stacks/plan.h"

enum drift_kind {
	DRIFT_CHANGED, /* some fields */
	DRIFT_MISSING, /* somebody removed it */
	DRIFT_FOREIGN, /* carries the stack's label and is not in the release */
};
struct drift {
	enum compose_kind kind;
	enum drift_kind drift;
	const char *key, *name; /* as in plan_action */
	const char *message;    /* "service web was changed by hand: Image, Env.MODE"; no values */
	const struct compose_change *changes; /* before: as it is now; after: as released */
	size_t n_changes;
	bool repairable; /* a deploy of the release would put it right */
};
struct drifts {
	struct drift *items;
	size_t n;
};
void drift_make(
	struct arena *a, const struct world *w, const struct release *r, struct drifts *ret);
