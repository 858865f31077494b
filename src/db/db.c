#include "db/db.h"
#include <stdlib.h>
#include "base/mem.h"
#include "db/call.h"

static void cancel(struct db *db, struct db_call *call)
{
	(void)db;
	pg_cancel(call->batch);
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
		.clock = clock,
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
