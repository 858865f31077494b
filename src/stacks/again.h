/* again: which trouble with the Engine may pass by itself, how often a step tries again, and how long it waits before. One
 * for the present step (stack_run.h) and one for each rollout; what goes well resets it. Nothing is owned.
 *
 * While no Engine answers it is tried until the step's time limit. An Engine that answers and cannot (500, 429) is asked a
 * few times, after longer and longer waits; then it is believed. What nobody would be answered otherwise (4xx, no sense: DATA_LOSS)
 * is not asked again. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "loop/backoff.h"

struct rng;

struct again {
	unsigned tries;  /* so often it was tried again, for whatever reason */
	unsigned broken; /* of these because the Engine could not */
	struct backoff backoff;
};

void again_init(struct again *g, struct rng *rng);
void again_reset(struct again *g);
bool again_may_pass(const struct again *g, enum st_code code);
/* It is tried once more: after how many ms. */
uint64_t again_next(struct again *g, enum st_code code);
/* The Engine was asked often enough. */
bool again_is_given_up(const struct again *g, enum st_code code);
/* st, and then how often it was tried. */
struct status again_explain(const struct again *g, const struct status *st)
	__attribute__((warn_unused_result));
