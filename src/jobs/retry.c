#include "jobs/retry.h"

#include "base/rng.h"
#include "jobs/kinds.h"

bool retry_is_transient(enum st_code code)
{
	return code == ST_UNAVAILABLE || code == ST_ABORTED || code == ST_RESOURCE_EXHAUSTED;
}

uint64_t retry_delay_ms(const struct job_rule *rule, int attempt, struct rng *rng)
{
	uint64_t ms = rule->first_ms;
	for (int i = 1; i < attempt && ms < rule->most_ms; i++)
		ms *= 2;
	if (ms > rule->most_ms)
		ms = rule->most_ms;
	return ms * 3 / 4 + rng_below(rng, ms / 2 + 1);
}
