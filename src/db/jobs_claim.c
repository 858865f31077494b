#include "db/jobs_parts.h"

#include <assert.h>

/* A pending job may run when nothing of its stack runs and no older one waits: the order of a
 * stack's jobs is the order of their ids, also behind one that waits for its next attempt. */
#define UNBLOCKED \
	"(j.stack_id is null or not exists (" \
	"select from deployment_jobs o where o.stack_id = j.stack_id" \
	" and (o.state = 'running' or o.state = 'pending' and o.id < j.id)))"

/* The queues that are not empty: found by hopping over the index from one to the next, however many jobs each
 * holds. */
#define HEADS \
	"heads as (" \
	" (select project_id, kind from deployment_jobs where state = 'pending'" \
	"  order by project_id, kind limit 1)" \
	" union all" \
	" select n.project_id, n.kind from heads h cross join lateral (" \
	"  select j.project_id, j.kind from deployment_jobs j where j.state = 'pending'" \
	"  and (j.project_id, j.kind) > (h.project_id, h.kind)" \
	"  order by j.project_id, j.kind limit 1) n)"

enum { LOOK, CLAIM };
static const struct pg_stmt sql[] = {
	/* A row for each queue; the first three columns are the same in all, and alone when there is none. $1 limit */
	[LOOK] = {"job_look",
		"with recursive " HEADS ","
		" busy as materialized (select project_id, kind, count(*) as n, min(lease_until) as until,"
		"  count(*) filter (where lease_until < now()) as expired"
		"  from deployment_jobs where state = 'running' group by 1, 2),"
		" queue as ("
		"  select h.project_id, h.kind, r.n, skep_us(r.oldest) as oldest,"
		"   (select coalesce(sum(b.n), 0)::integer from busy b where b.project_id = h.project_id) as in_project,"
		"   (select coalesce(sum(b.n), 0)::integer from busy b"
		"    where b.project_id = h.project_id and b.kind = h.kind) as of_kind, p.weight, p.max_running"
		"  from heads h join projects p on p.id = h.project_id cross join lateral ("
		"   select count(*)::integer as n, min(x.run_at) as oldest from ("
		"    select j.run_at from deployment_jobs j where j.state = 'pending'"
		"    and j.project_id = h.project_id and j.kind = h.kind and j.run_at <= now()"
		"    and " UNBLOCKED " order by j.run_at, j.id limit $1) x) r"
		"  where r.n > 0 and not exists (select from job_pauses u"
		"   where u.project_id = h.project_id or u.kind = h.kind))"
		" select turn, (select coalesce(sum(expired), 0)::integer from busy),"
		"  (select ceil(greatest(0, extract(epoch from x.at - clock_timestamp()) * 1000))::bigint"
		"   from (select least("
		"     (select min(until) from busy),"
		"     (select min(n.run_at) from heads h cross join lateral ("
		"       select j.run_at from deployment_jobs j where j.state = 'pending'"
		"       and j.project_id = h.project_id and j.kind = h.kind and j.run_at > now()"
		"       order by j.run_at limit 1) n)) as at) x where x.at is not null),"
		"  q.* from job_turn left join queue q on true order by q.project_id, q.kind"},
	/* $1 owner, $2 lease in ms, $3 takeovers, $4 turn, $5 projects, $6 kinds, $7 numbers.
	 * now() so that the indexes can be used. Two daemons never take the same row (skip locked);
	 * should they take two of one stack, deployment_jobs_one_running refuses one of them. */
	[CLAIM] = {"job_claim",
		"with turn as ("
		"  update job_turn set turn = turn + 1"
		"  where turn = $4 and cardinality($5::uuid[]) > 0 returning turn),"
		" expired as materialized ("
		"  select id, epoch, attempt, owner, step, claimed_at from deployment_jobs"
		"  where state = 'running' and lease_until < now()"
		"  order by lease_until limit $3 for no key update skip locked),"
		" lost as ("
		"  insert into job_attempts (job_id, epoch, attempt, owner, step, error, error_code,"
		"   started_at)"
		"  select id, epoch, attempt, owner, step,"
		"   'its daemon was not heard of any more: another one goes on', 'UNAVAILABLE', claimed_at"
		"  from expired),"
		" ready as materialized ("
		"  select r.id from turn cross join"
		"  unnest($5::uuid[], $6::job_kind[], $7::integer[]) as pick (project_id, kind, n)"
		"  cross join lateral ("
		"   select j.id from deployment_jobs j where j.state = 'pending'"
		"   and j.project_id = pick.project_id and j.kind = pick.kind and j.run_at <= now()"
		"   and " UNBLOCKED
		"   order by j.run_at, j.id limit pick.n for no key update skip locked) r),"
		/* by an array: a join would be planned for as many rows as a queue may have */
		" j as ("
		"  update deployment_jobs j set state = 'running', epoch = epoch + 1, owner = $1,"
		"   lease_until = clock_timestamp() + $2::bigint * interval '1 ms',"
		"   attempt = attempt + (state = 'pending')::integer,"
		"   takeovers = takeovers + (state = 'running')::integer,"
		"   started_at = coalesce(started_at, clock_timestamp()),"
		"   claimed_at = clock_timestamp(), last_sequence = last_sequence + 1,"
		"   write_number = 0"
		"  where j.id = any (array(select id from expired union all select id from ready))"
		"  returning j.*, step <> '' or id in (select id from expired) as resumed),"
		" e as (" EVENT_OF_J("case when resumed then 'job.resumed' else 'job.started' end",
			"'attempt ' || attempt || ' of ' || max_attempts") ")"
		" select " JOB_COLUMNS ", coalesce((select cardinality(d.images) from deployments d"
		"   where d.id = j.deployment_id), 0)"
		" from j join projects p on p.id = j.project_id order by j.run_at, j.id"},
};

/* ---- look ---- */

static void deliver_look(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_look look = {.due_ms = -1};
	if (r) {
		struct cursor at = {c, r, 0, 0, 0};
		look.turn = next_i64(&at);
		look.expired = (unsigned)next_int(&at);
		look.due_ms = pg_is_null(r, 0, 0, 2) ? -1 : next_i64(&at);
		look.n = pg_is_null(r, 0, 0, 3) ? 0 : (size_t)pg_rows(r, 0);
	}
	struct db_queue *queues = arena_array(c->arena, struct db_queue, look.n);
	for (size_t i = 0; i < look.n; i++) {
		struct cursor at = {c, r, 0, (int)i, 3};
		struct db_queue *q = &queues[i];
		q->project_id = next_uuid(&at);
		q->kind = job_next_kind(&at);
		q->waiting = (unsigned)next_int(&at);
		q->oldest_us = next_i64(&at);
		q->project_running = (unsigned)next_int(&at);
		q->kind_running = (unsigned)next_int(&at);
		q->weight = (unsigned)next_int(&at);
		q->max_running = (unsigned)next_int(&at);
	}
	look.queues = queues;
	c->done.look(c->data, st, &look);
}

struct db_call *job_look(struct db *db, unsigned limit, db_look_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.look = done;
	call_add(c, &sql[LOOK]);
	pg_bind_i64(c->batch, limit);
	return call_run(c, deliver_look);
}

/* ---- claim ---- */

static void deliver_claimed(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t n = r ? (size_t)pg_rows(r, 0) : 0;
	struct db_job *jobs = arena_array(c->arena, struct db_job, n);
	for (size_t i = 0; i < n; i++)
		job_read_claimed(c, r, (int)i, &jobs[i]);
	c->done.jobs(c->data, st, jobs, n, false);
}

/* What it needs to try again is kept in the call. */
static void add_claim(struct db_call *c)
{
	const struct db_claim *p = c->params;
	const char **projects = arena_array(c->arena, const char *, p->n);
	const char **kinds = arena_array(c->arena, const char *, p->n);
	const char **numbers = arena_array(c->arena, const char *, p->n);
	assert(p->n == 0 || p->picks);
	for (size_t i = 0; i < p->n; i++) {
		projects[i] = p->picks[i].project_id.text;
		kinds[i] = job_kind_name(p->picks[i].kind);
		numbers[i] = arena_fmt(c->arena, "%u", p->picks[i].n);
	}
	call_add_text(c, &sql[CLAIM], p->owner);
	pg_bind_i64(c->batch, p->lease_ms);
	pg_bind_i64(c->batch, p->takeovers);
	pg_bind_i64(c->batch, p->turn);
	pg_bind_text_array(c->batch, projects, p->n);
	pg_bind_text_array(c->batch, kinds, p->n);
	pg_bind_text_array(c->batch, numbers, p->n);
}

/* Another daemon took the other job of that stack in the same moment. By now its claim is visible:
 * nothing of that stack is ready any more. */
static bool claim_again(struct db_call *c, const struct pg_results *r)
{
	if (strcmp(pg_constraint(r), "deployment_jobs_one_running") != 0)
		return false;
	c->recover = NULL;
	c->batch = pg_batch_create(c->db->pg);
	add_claim(c);
	call_run(c, c->deliver);
	return true;
}

struct db_call *job_claim(
	struct db *db, const struct db_claim *claim, db_jobs_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	struct db_claim *p = arena_memdup(c->arena, claim, sizeof(*claim));
	p->owner = arena_strdup(c->arena, claim->owner);
	p->picks = claim->n ? arena_memdup(c->arena, claim->picks, claim->n * sizeof(*claim->picks)) : NULL;
	c->done.jobs = done;
	c->params = p;
	c->recover = claim_again;
	add_claim(c);
	return call_run(c, deliver_claimed);
}
