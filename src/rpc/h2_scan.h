/* h2_scan: walks along HTTP/2's frames before nghttp2 sees them: where they begin and end (for
 * the timers) and how many come of those that cost their sender little (for the limits). Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/rate.h"

#define H2_PREFACE ((size_t)24)
#define H2_HEAD    ((size_t)9)
#define H2_BURST   10 /* seconds' worth of a rate that may come at once */

struct h2_scan {
	size_t preface; /* bytes of it that have come */
	uint8_t head[H2_HEAD];
	size_t n_head;
	size_t left, length; /* of the present frame's payload */
	bool in_block;       /* a header block goes on in CONTINUATION */
	struct rate resets, controls;
	uint64_t last_ping_ms; /* 0: none since the server has sent data */
	unsigned strikes;
};

struct h2_rates {
	unsigned resets_per_s, controls_per_s;
	uint64_t ping_interval_ms;
};

enum h2_breach { H2_FINE, H2_TOO_MANY_RESETS, H2_TOO_MANY_CONTROLS, H2_TOO_MANY_PINGS };

/* All of the bytes, or up to the first breach. *ret_whole: a frame has ended, and no header
 * block goes on behind it. */
enum h2_breach h2_scan(struct h2_scan *s, const struct h2_rates *r, uint64_t now_ms,
	const char *bytes, size_t len, bool *ret_whole);
/* The length of the frame that has begun and not ended, at least 1; 0 = none has. */
size_t h2_scan_partial(const struct h2_scan *s);
/* The server has sent HEADERS or DATA: pings are justified again. */
void h2_scan_sent(struct h2_scan *s);
