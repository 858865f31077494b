/* retry: may a failed job run again, and when. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

struct rng;

/* Transient by its code: another attempt may succeed without anybody changing anything. */
bool retry_is_transient(enum st_code code);
/* 1 s doubling to 60 s, ± 25 % jitter; attempt counts from 1. */
uint64_t retry_delay_ms(int attempt, struct rng *rng);
