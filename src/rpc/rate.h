/* rate: so many a second, and so many at once: GCRA, in one number a rate. Pure. Used for what a
 * peer may do often only with a purpose (h2_scan, native) and for the requests of a token (auth). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rate {
	uint64_t due_us; /* when all that came would have been allowed, one after the other */
};

/* One more, now. False: too many; in *ret_wait_ms (may be NULL) there is room for one again. */
static inline bool rate_take(struct rate *r, unsigned per_s, unsigned at_once, uint64_t now_ms,
	uint64_t *ret_wait_ms)
{
	uint64_t now = now_ms * 1000, cost = 1000000 / per_s, room = cost * at_once;
	if (r->due_us < now)
		r->due_us = now;
	if (r->due_us + cost - now <= room) {
		r->due_us += cost;
		return true;
	}
	if (ret_wait_ms)
		*ret_wait_ms = (r->due_us + cost - now - room + 999) / 1000;
	return false;
}
