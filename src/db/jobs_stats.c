#include "db/jobs_parts.h"

#define ROUND_TRIP_US 200000

/* The project asked for; null: all. */
#define ONLY "(select skep_project_or_all($1, $2))"

enum { PLACES, WAITING, QUEUES, PAUSES, DAEMONS, RUNNING, PAUSE_PROJECT, PAUSE_KIND, RESUME_PROJECT, RESUME_KIND,
	NEW_TURN, WAKE, AUDIT, ALIVE, FORGET, GONE };
static const struct pg_stmt sql[] = {
	/* ---- stats: $1 project, $2 scope ---- */
	[PLACES] = {"job_places",
		"select (select coalesce(sum(slots), 0)::integer from daemons"
		"   where seen_at > now() - interval '10 seconds'),"
		"  (select count(*)::integer from deployment_jobs where state = 'running'),"
		"  (select count(*)::integer from deployment_jobs"
		"   where finished_at > now() - interval '1 minute' and (" ONLY " is null or project_id = " ONLY ")),"
		"  (select count(*)::integer from deployment_jobs where state = 'failed'"
		"   and finished_at > now() - interval '1 minute' and (" ONLY " is null or project_id = " ONLY ")),"
		"  (select count(*)::integer from deployment_jobs"
		"   where id >= skep_uuid_floor(now() - interval '1 minute') and (" ONLY " is null or project_id = " ONLY "))"},
	/* $3 limit, $4 kinds, $5 their priorities */
	[WAITING] = {"job_waiting",
		"with busy as materialized (select project_id, kind, count(*)::integer as n"
		"  from deployment_jobs where state = 'running' group by 1, 2),"
		/* what is looked up for each is so for those that are told alone, however many wait */
		" w as materialized (select j.id, p.name, row_number() over ("
		"   partition by j.project_id order by r.priority desc, j.run_at, j.id)::integer - 1 as place"
		"  from deployment_jobs j join projects p on p.id = j.project_id"
		"  left join unnest($4::job_kind[], $5::integer[]) as r (kind, priority) on r.kind = j.kind"
		"  where j.state = 'pending' and (" ONLY " is null or j.project_id = " ONLY ")"
		"  order by p.name, place limit $3)"
		" select " JOB_COLUMNS ", o.id, coalesce(u.reason, ''), j.run_at > now(),"
		"  greatest(w.place, coalesce(o.n, 0)),"
		"  (select coalesce(sum(b.n), 0)::integer from busy b where b.project_id = j.project_id),"
		"  (select coalesce(sum(b.n), 0)::integer from busy b"
		"   where b.project_id = j.project_id and b.kind = j.kind), p.max_running"
		" from w join deployment_jobs j using (id) join projects p on p.id = j.project_id"
		" left join lateral ("
		"  select (array_agg(x.id order by x.state desc, x.id))[1] as id, count(*)::integer as n"
		"  from deployment_jobs x where x.stack_id = j.stack_id"
		"  and (x.state = 'running' or x.state = 'pending' and x.id < j.id)) o on true"
		" left join lateral ("
		"  select format('%s%s', case when y.kind is null then 'the project is paused'"
		"    else format('jobs of kind %s are paused', y.kind) end,"
		"   case when y.reason = '' then '' else ': ' || y.reason end) as reason"
		"  from job_pauses y where y.project_id = j.project_id or y.kind = j.kind"
		"  order by y.kind nulls first limit 1) u on true"
		" order by w.name, w.place"},
	[QUEUES] = {"job_queue_stats",
		"select p.name, j.kind, (count(*) filter (where j.state = 'pending'))::integer,"
		"  (count(*) filter (where j.state = 'running'))::integer,"
		"  skep_us(min(j.run_at) filter (where j.state = 'pending'))"
		" from deployment_jobs j join projects p on p.id = j.project_id"
		" where j.state in ('pending', 'running') and (" ONLY " is null or j.project_id = " ONLY ")"
		" group by 1, 2 order by 1, 2"},
	[PAUSES] = {"job_pauses",
		"select coalesce(p.name, ''), coalesce(u.kind::text, ''), u.reason, u.paused_by,"
		"  skep_us(u.paused_at) from job_pauses u left join projects p on p.id = u.project_id"
		" where " ONLY " is null or u.project_id is null or u.project_id = " ONLY
		" order by 1, 2"},
	[DAEMONS] = {"job_daemons",
		"select d.id, d.host, d.version, d.slots,"
		"  (select count(*)::integer from deployment_jobs j where j.state = 'running' and j.owner = d.id::text),"
		"  skep_us(d.started_at), skep_us(d.seen_at), d.seen_at > now() - interval '10 seconds'"
		" from daemons d where " ONLY " is null order by d.started_at, d.id"},

	/* $3 limit */
	[RUNNING] = {"job_running",
		JOB_COLUMNS_FROM "where j.state = 'running' and (" ONLY " is null or j.project_id = " ONLY ")"
		" order by j.started_at, j.id limit $3"},

	/* ---- pause: $1 project, $2 scope, or $1 kind ---- */
	[PAUSE_PROJECT] = {"job_pause_project",
		"insert into job_pauses (project_id, reason, paused_by)"
		" values (skep_lock_project($1, $2), $3, $4)"
		" on conflict (project_id) where project_id is not null"
		" do update set reason = excluded.reason, paused_by = excluded.paused_by"},
	[PAUSE_KIND] = {"job_pause_kind",
		"insert into job_pauses (kind, reason, paused_by) values ($1::job_kind, $2, $3)"
		" on conflict (kind) where kind is not null"
		" do update set reason = excluded.reason, paused_by = excluded.paused_by"},
	[RESUME_PROJECT] = {"job_resume_project",
		"delete from job_pauses where project_id = skep_project($1, $2)"},
	[RESUME_KIND] = {"job_resume_kind", "delete from job_pauses where kind = $1::job_kind"},
	/* What was decided before it is void. */
	[NEW_TURN] = {"job_new_turn", "update job_turn set turn = turn + 1"},
	[WAKE] = {"job_wake", "select pg_notify('skep_jobs', '')"},
	/* $5 project, $6 scope, $7 kind */
	[AUDIT] = {"job_pause_audit",
		"insert into audit_log (id, actor, method, request_id, project_id, target)"
		" select $1, $2, $3, $4, case when $7 = '' then skep_project($5, $6) end,"
		"  'jobs/' || case when $7 = '' then $5 else $7 end"},

	/* ---- daemons: how many jobs each runs is counted when it is asked, so that it is true ---- */
	[ALIVE] = {"daemon_alive",
		"insert into daemons (id, host, version, slots, running) values ($1, $2, $3, $4, 0)"
		" on conflict (id) do update set slots = excluded.slots, seen_at = clock_timestamp()"
		" returning skep_us(clock_timestamp())"},
	[FORGET] = {"daemon_forget", "delete from daemons where seen_at < now() - interval '1 hour'"},
	[GONE] = {"daemon_gone", "delete from daemons where id = skep_uuid($1)"},
};

/* ---- stats ---- */

static void read_waiting(struct db_call *c, const struct pg_results *r, struct db_job_stats *s)
{
	struct db_waiting *list = arena_array(c->arena, struct db_waiting, (size_t)pg_rows(r, 1));
	s->n_waiting = (size_t)pg_rows(r, 1);
	s->waiting = list;
	for (size_t i = 0; i < s->n_waiting; i++) {
		struct cursor at = {c, r, 1, (int)i, 0};
		struct db_waiting *w = &list[i];
		job_read_columns(&at, &w->job);
		w->blocker = next_uuid(&at);
		w->pause = next_text(&at);
		w->later = next_bool(&at);
		w->before = (unsigned)next_int(&at);
		w->project_running = (unsigned)next_int(&at);
		w->kind_running = (unsigned)next_int(&at);
		w->max_running = (unsigned)next_int(&at);
	}
}

static void read_queues(struct db_call *c, const struct pg_results *r, struct db_job_stats *s)
{
	struct db_queue_stats *list = arena_array(c->arena, struct db_queue_stats, (size_t)pg_rows(r, 2));
	s->n_queues = (size_t)pg_rows(r, 2);
	s->queues = list;
	for (size_t i = 0; i < s->n_queues; i++) {
		struct cursor at = {c, r, 2, (int)i, 0};
		list[i].project = next_text(&at);
		list[i].kind = job_next_kind(&at);
		list[i].waiting = (unsigned)next_int(&at);
		list[i].running = (unsigned)next_int(&at);
		list[i].oldest_us = next_i64(&at);
	}
}

static void read_pauses(struct db_call *c, const struct pg_results *r, struct db_job_stats *s)
{
	struct db_pause *list = arena_array(c->arena, struct db_pause, (size_t)pg_rows(r, 3));
	s->n_pauses = (size_t)pg_rows(r, 3);
	s->pauses = list;
	for (size_t i = 0; i < s->n_pauses; i++) {
		struct cursor at = {c, r, 3, (int)i, 0};
		list[i].project = next_text(&at);
		list[i].kind = job_next_kind(&at);
		list[i].reason = next_text(&at);
		list[i].paused_by = next_text(&at);
		list[i].paused_us = next_i64(&at);
	}
}

static void read_daemons(struct db_call *c, const struct pg_results *r, struct db_job_stats *s)
{
	struct db_daemon *list = arena_array(c->arena, struct db_daemon, (size_t)pg_rows(r, 4));
	s->n_daemons = (size_t)pg_rows(r, 4);
	s->daemons = list;
	for (size_t i = 0; i < s->n_daemons; i++) {
		struct cursor at = {c, r, 4, (int)i, 0};
		list[i].id = next_uuid(&at);
		list[i].host = next_text(&at);
		list[i].version = next_text(&at);
		list[i].slots = (unsigned)next_int(&at);
		list[i].running = (unsigned)next_int(&at);
		list[i].started_us = next_i64(&at);
		list[i].seen_us = next_i64(&at);
		list[i].alive = next_bool(&at);
	}
}

static void read_running(struct db_call *c, const struct pg_results *r, struct db_job_stats *s)
{
	struct db_job *list = arena_array(c->arena, struct db_job, (size_t)pg_rows(r, 5));
	s->n_running_jobs = (size_t)pg_rows(r, 5);
	s->running_jobs = list;
	for (size_t i = 0; i < s->n_running_jobs; i++)
		job_read(c, r, 5, (int)i, &list[i]);
}

static void deliver_stats(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_job_stats s = {0};
	if (r) {
		struct cursor at = {c, r, 0, 0, 0};
		s.slots = (unsigned)next_int(&at);
		s.running = (unsigned)next_int(&at);
		s.ended = (unsigned)next_int(&at);
		s.failed = (unsigned)next_int(&at);
		s.submitted = (unsigned)next_int(&at);
		read_waiting(c, r, &s);
		read_queues(c, r, &s);
		read_pauses(c, r, &s);
		read_daemons(c, r, &s);
		read_running(c, r, &s);
	}
	c->done.job_stats(c->data, st, &s);
}

static void add_stats(struct db_call *c, const struct pg_stmt *s, const struct db_scope *scope,
	const char *project)
{
	call_add(c, s);
	call_bind(c, project);
	call_bind_scope(c, scope);
}

struct db_call *job_stats(struct db *db, const struct db_scope *s, const char *project,
	const unsigned *priorities, unsigned limit, db_job_stats_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *kinds[JOB_KINDS], *numbers[JOB_KINDS];
	size_t n = 0;
	for (int k = JOB_DEPLOY; k < JOB_KINDS; k++, n++) {
		kinds[n] = job_kind_name((enum job_kind)k);
		numbers[n] = arena_fmt(c->arena, "%u", priorities[k]);
	}
	c->done.job_stats = done;
	add_stats(c, &sql[PLACES], s, project);
	add_stats(c, &sql[WAITING], s, project);
	pg_bind_i64(c->batch, limit);
	pg_bind_text_array(c->batch, kinds, n);
	pg_bind_text_array(c->batch, numbers, n);
	add_stats(c, &sql[QUEUES], s, project);
	add_stats(c, &sql[PAUSES], s, project);
	add_stats(c, &sql[DAEMONS], s, project);
	add_stats(c, &sql[RUNNING], s, project);
	pg_bind_i64(c->batch, limit);
	return call_run(c, deliver_stats);
}

/* ---- pause, resume ---- */

void job_add_turn(struct db_call *c)
{
	call_add(c, &sql[NEW_TURN]);
	call_add(c, &sql[WAKE]);
}

static void add_end(struct db_call *c, const struct db_scope *s, const char *project, enum job_kind kind)
{
	job_add_turn(c);
	call_add(c, &sql[AUDIT]);
	call_bind_audit(c, s);
	call_bind(c, project);
	call_bind_scope(c, s);
	call_bind(c, job_kind_name(kind));
}

struct db_call *job_pause(struct db *db, const struct db_scope *s, const char *project,
	enum job_kind kind, const char *reason, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_once(c, s, "", NULL);
	call_add(c, &sql[kind ? PAUSE_KIND : PAUSE_PROJECT]);
	call_bind(c, kind ? job_kind_name(kind) : project);
	if (!kind)
		call_bind_scope(c, s);
	call_bind(c, reason);
	call_bind(c, s->actor);
	add_end(c, s, project, kind);
	return call_run(c, call_deliver_plain);
}

struct db_call *job_resume(struct db *db, const struct db_scope *s, const char *project,
	enum job_kind kind, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_once(c, s, "", NULL);
	call_add(c, &sql[kind ? RESUME_KIND : RESUME_PROJECT]);
	call_bind(c, kind ? job_kind_name(kind) : project);
	if (!kind)
		call_bind_scope(c, s);
	add_end(c, s, project, kind);
	return call_run(c, call_deliver_plain);
}

/* ---- daemons ---- */

/* The answer is from somewhere between question and answer: the sooner it came, the better it tells. */
static void deliver_alive(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	const int64_t *asked_us = c->params;
	struct db_pg *db = c->db;
	int64_t now_us = db->own->wall_us(db->own), took_us = now_us - *asked_us;
	int64_t good_us = db->round_trip_us ? db->round_trip_us + db->round_trip_us / 4 + 1 : ROUND_TRIP_US;
	if (r && took_us >= 0 && took_us <= good_us) {
		db->ahead_us = pg_i64(r, 0, 0, 0) - *asked_us - took_us / 2;
		good_us = took_us;
	}
	db->round_trip_us = good_us;
	c->done.plain(c->data, st);
}

struct db_call *job_alive(
	struct db *db, const struct db_daemon *daemon, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const int64_t asked_us = c->db->own->wall_us(c->db->own);
	c->done.plain = done;
	c->params = arena_memdup(c->arena, &asked_us, sizeof(asked_us));
	call_add(c, &sql[ALIVE]);
	call_bind_id(c, daemon->id.text);
	call_bind(c, daemon->host);
	call_bind(c, daemon->version);
	pg_bind_i64(c->batch, daemon->slots);
	call_add(c, &sql[FORGET]);
	return call_run(c, deliver_alive);
}

struct db_call *job_gone(struct db *db, const char *id, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_add_text(c, &sql[GONE], id);
	return call_run(c, call_deliver_plain);
}
