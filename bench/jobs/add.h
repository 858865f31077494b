/* add: stores new jobs of no stack, as skepd's kinds without one will need it: gathered (jobs/gather), once a loop turn, many in one
 * transaction. skepd itself submits with the stack's row (db/stacks): no method makes a job without one yet. */
#pragma once
#include "base/status.h"

struct bench;
struct uuid;

/* One after bench_start. done, once, on a later turn: OK: it is stored. */
void bench_add_start(struct bench *b);
void bench_add_job(const struct uuid *id, void (*done)(void *data, const struct status *st), void *data);
