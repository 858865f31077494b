/* Jobs that are about no stack, many at a time. */
#include "db/jobs_parts.h"

#include <assert.h>

enum { ADD, READY };
static const struct pg_stmt sql[] = {
	/* $1 ids, $2 projects, $3 kinds, $4 params, $5 by whom, $6 attempts. Answers the places of those that
	 * are there now, or were before. */
	[ADD] = {"job_add",
		"with n as materialized ("
		"  select * from unnest($1::uuid[], $2::uuid[], $3::job_kind[], $4::jsonb[], $5::text[],"
		"   $6::integer[]) with ordinality as n (id, project_id, kind, params, by, attempts, at)),"
		" j as ("
		"  insert into deployment_jobs (id, project_id, kind, params, created_by, max_attempts,"
		"   last_sequence)"
		"  select n.id, n.project_id, n.kind, n.params, n.by, n.attempts, 1"
		"  from n join projects p on p.id = n.project_id order by n.at"
		"  on conflict (id) do nothing returning id, project_id, kind, state),"
		" e as ("
		"  insert into events (project_id, job_id, job_sequence, kind, state, message)"
		"  select project_id, id, 1, 'job.created', state, kind::text from j)"
		" select n.at from n join j using (id)"
		" union all"
		" select n.at from n join deployment_jobs d using (id)"},
	/* $1 "<project> <job>": the first of them; a claim takes the others too */
	[READY] = {"job_added", "select pg_notify('skep_jobs', $1), pg_notify('skep_events', $2)"},
};

static void deliver_added(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	const size_t *n = c->params;
	bool *held = arena_array(c->arena, bool, *n);
	for (int i = 0; r && i < pg_rows(r, 0); i++) {
		int64_t at = pg_i64(r, 0, i, 0);
		if (at >= 1 && at <= (int64_t)*n)
			held[at - 1] = true;
	}
	c->done.writes(c->data, st, held, *n);
}

struct db_call *job_add(struct db *db, const struct db_new_job *jobs, size_t n, db_writes_done done,
	void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char **column[6];
	struct buf ids = {0};
	assert(n > 0 && n <= DB_WRITES_MAX);
	c->done.writes = done;
	c->params = arena_memdup(c->arena, &n, sizeof(n));
	for (size_t k = 0; k < 6; k++)
		column[k] = arena_array(c->arena, const char *, n);
	for (size_t i = 0; i < n; i++) {
		const struct db_new_job *j = &jobs[i];
		column[0][i] = j->id.text;
		column[1][i] = j->project_id;
		column[2][i] = job_kind_name(j->kind);
		column[3][i] = j->params.len ? str_dup(c->arena, j->params) : "{}";
		column[4][i] = j->by;
		column[5][i] = arena_fmt(c->arena, "%d", j->max_attempts < 1 ? 1 : j->max_attempts);
		buf_fmt(&ids, "%s%s", i ? " " : "", j->id.text);
	}
	call_add(c, &sql[ADD]);
	for (size_t k = 0; k < 6; k++)
		pg_bind_text_array(c->batch, column[k], n);
	call_add(c, &sql[READY]);
	pg_bind_text(c->batch, arena_fmt(c->arena, "%s %s", jobs[0].project_id, jobs[0].id.text));
	pg_bind_str(c->batch, buf_str(&ids));
	buf_finish(&ids);
	return call_run(c, deliver_added);
}
