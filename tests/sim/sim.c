/* sim: runs seeds.
 *
 *	sim --seed N [--trace]      one run, twice: its traces must be the same byte for byte
 *	sim --seeds N [--from M]    N runs
 *	sim --minutes N             fresh ones, until the time is over
 *	sim --kept FILE             those of a file: "seed why" a line
 *
 * Without --from a first seed is taken at random, and said. Every run's failure is told with its seed
 * and its trace's end; exit status 1 if there was any. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"

struct totals {
	uint64_t runs, failed, jobs, scheduled, stacks, unfinished, turns;
};

static bool run(uint64_t seed, bool tracing, struct totals *t, uint64_t *ret_hash)
{
	struct sim *s = sim_create(seed, tracing);
	bool held = sim_run(s);
	*ret_hash = s->hash;
	t->runs++;
	t->jobs += s->ended;
	t->scheduled += s->scheduled;
	t->stacks += s->compared;
	t->unfinished += s->unfinished;
	t->turns += s->turns;
	if (!held) {
		t->failed++;
		printf("FAILED seed %" PRIu64 ": %s\n", seed, s->failure);
	}
	sim_destroy(s);
	return held;
}

static bool run_twice(uint64_t seed, bool tracing, struct totals *t)
{
	uint64_t first = 0, second = 0;
	struct totals none = {0};
	bool held = run(seed, tracing, t, &first);
	if (held)
		(void)run(seed, false, &none, &second);
	if (held && first != second) {
		printf("FAILED seed %" PRIu64 ": it was not repeated: %016" PRIx64 ", then %016" PRIx64
		       "\n",
			seed, first, second);
		t->failed++;
		return false;
	}
	if (tracing)
		printf("seed %" PRIu64 ": %s, trace %016" PRIx64 "\n", seed, held ? "all held" : "failed",
			first);
	return held;
}

static void run_kept(const char *path, struct totals *t)
{
	FILE *f = fopen(path, "r");
	char line[512];
	if (!f) {
		printf("FAILED: there is no %s\n", path);
		t->failed++;
		return;
	}
	while (fgets(line, sizeof(line), f))
		if (line[0] != '#' && line[0] != '\n')
			(void)run_twice(strtoull(line, NULL, 10), false, t);
	(void)fclose(f);
}

static uint64_t random_seed(void)
{
	return rng_u64(rng_system()) >> 24;
}

/* Every 50th run is repeated and compared. */
static void run_many(uint64_t from, uint64_t n, uint64_t until, struct totals *t)
{
	uint64_t hash;
	for (uint64_t i = 0; i < n && t->failed < 5; i++) {
		if (until && (uint64_t)time(NULL) >= until)
			break;
		if (i % 50 == 0)
			(void)run_twice(from + i, false, t);
		else
			(void)run(from + i, false, t, &hash);
	}
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: sim --seed N [--trace] | --seeds N [--from M] | --minutes N | "
			      "--kept FILE\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t seed = 0, seeds = 0, from = random_seed(), minutes = 0;
	bool one = false, tracing = false;
	const char *kept = NULL;
	struct totals t = {0};
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--trace") == 0)
			tracing = true;
		else if (!value)
			return usage();
		else if (strcmp(argv[i], "--seed") == 0)
			one = true, seed = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--from") == 0)
			from = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--minutes") == 0)
			minutes = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--kept") == 0)
			kept = argv[++i];
		else
			return usage();
	}
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	if (one)
		(void)run_twice(seed, tracing, &t);
	if (kept)
		run_kept(kept, &t);
	if (seeds)
		printf("seeds %" PRIu64 " to %" PRIu64 "\n", from, from + seeds - 1);
	if (minutes)
		printf("seeds from %" PRIu64 " on\n", from);
	(void)fflush(stdout);
	if (seeds)
		run_many(from, seeds, 0, &t);
	if (minutes)
		run_many(from, UINT64_MAX, (uint64_t)time(NULL) + minutes * 60, &t);
	if (!one && !kept && !seeds && !minutes)
		return usage();
	printf("%" PRIu64 " runs, %" PRIu64 " failed; %" PRIu64 " jobs ended, %" PRIu64 " runs of schedules, %" PRIu64
	       " stacks compared (%" PRIu64 " unfinished), %" PRIu64 " turns\n",
		t.runs, t.failed, t.jobs, t.scheduled, t.stacks, t.unfinished, t.turns);
	return t.failed ? 1 : 0;
}
