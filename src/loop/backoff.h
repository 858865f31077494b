/* backoff: how long to wait before trying again: doubling, with jitter, so that many clients of
 * a server that comes back do not all knock at once. Embedded in its owner. */
#pragma once
#include <stdint.h>
#include "base/rng.h"

struct backoff {
	uint64_t first, max; /* ms, both > 0 */
	uint64_t next;       /* 0 = the next failure is the first */
	struct rng *rng;     /* NULL: the system's */
};

/* The wait of this failure, in ms: between half and the whole of first × 2ⁿ, at most max. */
static inline uint64_t backoff_next(struct backoff *b)
{
	uint64_t full = b->next ? b->next : b->first;
	b->next = full < b->max / 2 ? full * 2 : b->max;
	return full / 2 + rng_below(b->rng ? b->rng : rng_system(), full / 2 + 1);
}
/* It worked. */
static inline void backoff_reset(struct backoff *b)
{
	b->next = 0;
}
