#include "db/db.h"
#include <stdlib.h>
#include "base/mem.h"
#include "db/call.h"
#include "base/list.h"

#define STEP_BACK_US INT64_C(10000000)

static void cancel(struct db *db, struct db_call *call)
{
	(void)db;
	pg_cancel(call->batch);
}

static uint64_t mono_ms(const struct clock *c)
{
	const struct db_pg *db = container_of(c, struct db_pg, clock);
	return db->own->mono_ms(db->own);
}

/* What steps back further was wrong before. */
static int64_t wall_us(const struct clock *c)
{
	struct db_pg *db = container_of(c, struct db_pg, clock);
	int64_t now = db->own->wall_us(db->own) + db->ahead_us;
	if (now <= db->last_us && db->last_us - now < STEP_BACK_US)
		now = db->last_us + 1;
	db->last_us = now;
	return now;
}

struct db *db_pg_create(struct pg *pg, struct keyring *keyring, const struct clock *clock,
	struct rng *rng)
{
	struct db_pg *db = mem_new(struct db_pg);
	*db = (struct db_pg){
		.base = {&db_pg_projects, &db_pg_tokens, &db_pg_registries, &db_pg_stacks, &db_pg_jobs, &db_pg_schedules,
			&db_pg_events, cancel},
		.pg = pg,
		.keyring = keyring,
		.clock = {mono_ms, wall_us},
		.own = clock,
		.rng = rng,
	};
	return &db->base;
}

void db_pg_limit_jobs(struct db *db, struct db_job_limits limits)
{
	db_pg_of(db)->limits = limits;
}

void db_pg_destroy(struct db *db)
{
	free(db);
}
