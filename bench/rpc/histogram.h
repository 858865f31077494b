/* histogram: durations in nanoseconds in log-linear buckets (64 to each power of two: values
 * are exact to 1.6 %), in fixed memory. */
#pragma once
#include <stdint.h>

#define HISTOGRAM_SUB  64
#define HISTOGRAM_ROWS 40 /* up to 2^45 ns, about ten hours */

struct histogram {
	uint64_t counts[HISTOGRAM_ROWS * HISTOGRAM_SUB];
	uint64_t total, max;
};

void histogram_add(struct histogram *h, uint64_t ns);
/* The value that `percent` of all are not above; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, double percent);
