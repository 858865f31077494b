/* retry: may a failed job run again, and when. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

struct job_rule;
struct rng;

/* Transient by its code: another attempt may succeed without anybody changing anything. */
bool retry_is_transient(enum st_code code);
/* The wait before the attempt that follows `attempt` (which counts from 1): the kind's first wait,
 * doubling up to its longest, ± 25 % jitter. */
uint64_t retry_delay_ms(const struct job_rule *rule, int attempt, struct rng *rng);
