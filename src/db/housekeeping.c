#include "db/jobs_parts.h"

#define BATCH 1000 /* jobs: some 100 ms */

enum { LIMIT, KEEP, ARCHIVE };
static const struct pg_stmt sql[] = {
	/* The server ends what hangs, also when this daemon cannot ask it to. */
	[LIMIT] = {"housekeep_limit", "select set_config('statement_timeout', '60s', true)"},
	[KEEP] = {"housekeep",
		"select skep_keep_house($1::bigint * interval '1 second', $2::bigint * interval '1 second', $3,"
		" $4::bigint * interval '1 second')"},
	[ARCHIVE] = {"housekeep_archive",
		"select skep_keep_jobs($1::bigint * interval '1 second', $2::bigint * interval '1 second', $3)"},
};

static void deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	const char *failed = r ? pg_text(r, call_last(r), 0, 0) : "";
	struct status why = failed[0] ? status_err(ST_INTERNAL, "%s", failed) : *st;
	c->done.plain(c->data, &why);
}

struct db_call *job_housekeep(
	struct db *db, const struct db_retention *keep, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_add(c, &sql[LIMIT]);
	call_add(c, &sql[KEEP]);
	pg_bind_i64(c->batch, keep->events_s);
	pg_bind_i64(c->batch, keep->audit_s);
	pg_bind_i64(c->batch, keep->releases);
	pg_bind_i64(c->batch, keep->jobs_s);
	return call_run(c, deliver);
}

static void deliver_archived(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	c->done.archived(c->data, st, r && pg_bool(r, call_last(r), 0, 0));
}

struct db_call *job_archive(struct db *db, const struct db_retention *keep, db_archived_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.archived = done;
	call_add(c, &sql[LIMIT]);
	call_add(c, &sql[ARCHIVE]);
	pg_bind_i64(c->batch, keep->jobs_age_s);
	pg_bind_i64(c->batch, keep->jobs_s);
	pg_bind_i64(c->batch, BATCH);
	return call_run(c, deliver_archived);
}
