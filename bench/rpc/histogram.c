#include "histogram.h"
#include <stddef.h>

/* Row 0 holds 0–63 one by one; row n holds [64·2^(n-1), 64·2^n) in 64 steps, of which the lower
 * half of the index range is the row before's. */
static size_t bucket_of(uint64_t ns)
{
	if (ns < HISTOGRAM_SUB)
		return (size_t)ns;
	unsigned shift = 57u - (unsigned)__builtin_clzll(ns) + 1;
	size_t i = (size_t)shift * HISTOGRAM_SUB + (size_t)((ns >> (shift - 1)) - HISTOGRAM_SUB);
	size_t last = (size_t)HISTOGRAM_ROWS * HISTOGRAM_SUB - 1;
	return i < last ? i : last;
}

static uint64_t top_of(size_t bucket)
{
	size_t row = bucket / HISTOGRAM_SUB, sub = bucket % HISTOGRAM_SUB;
	if (row == 0)
		return sub;
	return ((uint64_t)(HISTOGRAM_SUB + sub + 1) << (row - 1)) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	h->counts[bucket_of(ns)]++;
	h->total++;
	if (ns > h->max)
		h->max = ns;
}

uint64_t histogram_at(const struct histogram *h, double percent)
{
	uint64_t seen = 0, wanted = (uint64_t)((double)h->total * percent / 100.0 + 0.5);
	if (wanted == 0)
		wanted = 1;
	for (size_t i = 0; h->total && i < sizeof(h->counts) / sizeof(h->counts[0]); i++) {
		seen += h->counts[i];
		if (seen >= wanted)
			return top_of(i) < h->max ? top_of(i) : h->max;
	}
	return h->max;
}
