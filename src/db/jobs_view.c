#include "db/jobs_parts.h"

enum { JOBS, PAUSED };
static const struct pg_stmt sql[] = {
	/* $1 ids */
	[JOBS] = {"job_view",
		"select " JOB_COLUMNS ", " JOB_ATTEMPTS " from unnest($1::uuid[]) as v (id)"
		" cross join lateral " ANY_JOB("v.id") " j join projects p on p.id = j.project_id"},
	[PAUSED] = {"job_view_paused", "select kind from job_pauses where kind is not null"},
};

static void deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t n = r ? (size_t)pg_rows(r, 0) : 0;
	struct db_job *jobs = arena_array(c->arena, struct db_job, n);
	unsigned paused = 0;
	for (size_t i = 0; i < n; i++) {
		struct cursor at = {c, r, 0, (int)i, 0};
		job_read_columns(&at, &jobs[i]);
		jobs[i].images = 0;
		jobs[i].attempts = next_str(&at);
	}
	for (int i = 0; r && i < pg_rows(r, 1); i++) {
		struct cursor at = {c, r, 1, i, 0};
		paused |= 1u << job_next_kind(&at);
	}
	c->done.job_view(c->data, st, jobs, n, paused);
}

struct db_call *job_view(
	struct db *db, const struct uuid *ids, size_t n, db_job_view_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char **texts = arena_array(c->arena, const char *, n);
	for (size_t i = 0; i < n; i++)
		texts[i] = arena_strdup(c->arena, ids[i].text);
	c->done.job_view = done;
	call_add(c, &sql[JOBS]);
	pg_bind_text_array(c->batch, texts, n);
	call_add(c, &sql[PAUSED]);
	return call_run(c, deliver);
}
