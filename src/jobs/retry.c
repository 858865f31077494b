#include "jobs/retry.h"

#include "base/rng.h"

bool retry_is_transient(enum st_code code)
{
	return code == ST_UNAVAILABLE || code == ST_ABORTED || code == ST_RESOURCE_EXHAUSTED;
}

uint64_t retry_delay_ms(int attempt, struct rng *rng)
{
	uint64_t ms = 1000;
	for (int i = 1; i < attempt && ms < 60000; i++)
		ms *= 2;
	if (ms > 60000)
		ms = 60000;
	return ms * 3 / 4 + rng_below(rng, ms / 2 + 1);
}
