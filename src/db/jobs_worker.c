#include "db/jobs_parts.h"

enum { RENEW };
static const struct pg_stmt sql[] = {
	/* $1 owner, $2 ids, $3 epochs, $4 lease in ms. Behind the end of a lease its owner has given the
	 * job up: a renewal that comes late, from a server that stood still, would only keep it from the
	 * others. */
	[RENEW] = {"job_renew",
		/* Hundreds of rows at once, in nobody's order: one that is being written just now is left to
		 * the next renewal, or the two would wait for each other. */
		"with mine as materialized ("
		"  select j.id from deployment_jobs j"
		"  join unnest($2::uuid[], $3::integer[]) as mine (id, epoch) using (id, epoch)"
		"  where j.state = 'running' and j.owner = $1 and j.lease_until > clock_timestamp()"
		"  for no key update of j skip locked),"
		" j as ("
		"  update deployment_jobs j"
		"  set lease_until = clock_timestamp() + $4::bigint * interval '1 ms'"
		"  from mine where j.id = mine.id"
		"  returning j.*)"
		" select " JOB_COLUMNS " from j join projects p on p.id = j.project_id"},
};

struct db_call *job_renew(struct db *db, const char *owner, const struct uuid *ids,
	const int *epochs, size_t n, unsigned lease_ms, db_jobs_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char **id_texts = arena_array(c->arena, const char *, n);
	const char **epoch_texts = arena_array(c->arena, const char *, n);
	for (size_t i = 0; i < n; i++) {
		id_texts[i] = arena_strdup(c->arena, ids[i].text);
		epoch_texts[i] = arena_fmt(c->arena, "%d", epochs[i]);
	}
	c->done.jobs = done;
	c->page_size = (unsigned)n;
	call_add_text(c, &sql[RENEW], owner);
	pg_bind_text_array(c->batch, id_texts, n);
	pg_bind_text_array(c->batch, epoch_texts, n);
	pg_bind_i64(c->batch, lease_ms);
	return call_run(c, jobs_deliver);
}
