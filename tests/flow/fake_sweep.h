/* fake_sweep: one scenario, and everything that can go wrong in it, each in turn: every call of its
 * happy run fails in every way; the job is cancelled, and its daemon killed, drained or robbed of
 * its lease, at every call. Whatever happens, the job ends once; and the Swarm and the store hold
 * what its outcome says: all of the new, or all of the old. With SKEP_SWEEP=thin in the environment
 * (tools/test --fast) each sweep takes a fifth of the calls. */
#pragma once
#include "fake_world.h"

struct scenario {
	const char *name;
	const char *prepared; /* Compose text that runs before; NULL = nothing does */
	void (*arrange)(struct world *w); /* what is there already, by other hands; may be NULL */
	struct store_job *(*submit)(struct world *w);
	/* A job that fails has changed what cannot be taken back (restart): only its end is
	 * checked. */
	bool one_way;
	bool fails; /* without any fault already: it is taken back */
	bool gone;  /* when it succeeds, the stack's row is gone */
	bool forgotten; /* the same when it fails after its first step has begun */
};
/* Asserts success, or with `fails` failure. The caller destroys the world. */
struct world *scenario_run(const struct scenario *s);

/* Runs `own` (n of them), then the sweeps of each scenario (NULL-terminated). */
struct CMUnitTest;
int sweep_main(const char *name, const struct CMUnitTest *own, size_t n,
	const struct scenario *const *scenarios);
