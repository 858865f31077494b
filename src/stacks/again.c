#include "stacks/again.h"

/* Nobody answers, or what was seen is out of date: soon. */
#define AGAIN_MS 300
/* An Engine that cannot: so often, after so long, doubling. */
#define BROKEN_MAX    5
#define BROKEN_MS     300
#define BROKEN_MAX_MS 3000

static bool is_broken(enum st_code code)
{
	return code == ST_INTERNAL || code == ST_RESOURCE_EXHAUSTED;
}

void again_init(struct again *g, struct rng *rng)
{
	*g = (struct again){.backoff = {.first = BROKEN_MS, .max = BROKEN_MAX_MS, .rng = rng}};
}

void again_reset(struct again *g)
{
	g->tries = g->broken = 0;
	backoff_reset(&g->backoff);
}

bool again_may_pass(const struct again *g, enum st_code code)
{
	if (is_broken(code))
		return g->broken < BROKEN_MAX;
	return code == ST_UNAVAILABLE || code == ST_DEADLINE_EXCEEDED;
}

uint64_t again_next(struct again *g, enum st_code code)
{
	g->tries++;
	if (!is_broken(code))
		return AGAIN_MS;
	g->broken++;
	return backoff_next(&g->backoff);
}

bool again_is_given_up(const struct again *g, enum st_code code)
{
	return is_broken(code) && g->broken == BROKEN_MAX;
}

struct status again_explain(const struct again *g, const struct status *st)
{
	if (!again_is_given_up(g, st->code))
		return *st;
	return status_make(st->code, st->origin, "%s (tried %u times)", st->message, g->tries + 1);
}
