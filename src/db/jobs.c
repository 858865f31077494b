#include "db/jobs.h"
#include "db/call.h"
#include "db/jobs_parts.h"

/* A job that runs once more, and what goes with it. */
#define RETRY_SET \
	"update deployment_jobs set state = 'pending', run_at = clock_timestamp()," \
	" max_attempts = greatest(max_attempts, attempt + 1), takeovers = 0," \
	" step = '', undoing = false, cancel_requested = false, percent = 0," \
	" error = '', error_code = '', message = '', failures = '[]'," \
	" started_at = null, finished_at = null, last_sequence = last_sequence + 1"
#define RETRY_REST \
	" release as (" \
	"  update deployments d set state = 'pending', finished_at = null from j" \
	"  where d.id = j.deployment_id and d.state = 'failed')," \
	" stack as (" \
	"  update orchestration_stacks s set last_job_id = j.id from j where s.id = j.stack_id)," \
	" e as (" \
	"  insert into events (project_id, stack_id, job_id, job_sequence, kind, state)" \
	"  select project_id, stack_id, id, last_sequence, 'job.retried', state from j)"

enum { GET, EVENTS, LOCK, LOCK_ENDED, LOCK_STACK, NOT_ENDED, CANCEL, NOTIFY_CANCEL,
	CAN_RETRY, RETRY, STACK_THERE, LOCK_STACKS, RETRY_FAILED, AUDIT };
static const struct pg_stmt sql[] = {
	/* $1 id, $2 scope */
	[GET] = {"job_get",
		"select " JOB_COLUMNS ", " JOB_ATTEMPTS
		" from " ANY_JOB("(select skep_job($1, $2))") " j join projects p on p.id = j.project_id"},
	[EVENTS] = {"job_events",
		"select e.job_sequence, skep_us(e.created_at), e.kind, e.message, e.service,"
		"  e.step, e.state, e.percent, e.running, e.wanted"
		" from events e where e.job_id = skep_job($1, $2) and e.job_sequence > $3"
		" order by e.job_sequence limit $4"},

	/* ---- cancel and retry: $1 id ---- */
	[LOCK] = {"job_lock", "select skep_lock_job($1, $2)"},
	[LOCK_ENDED] = {"job_lock_ended", "select skep_lock_ended_job($1, $2)"},
	[LOCK_STACK] = {"job_lock_stack",
		"select from orchestration_stacks"
		" where id = (select stack_id from deployment_jobs where id = skep_uuid($1))"
		" for no key update"},
	[NOT_ENDED] = {"job_not_ended",
		"select skep_raise(9, format('job %s has ended already: its state is %s', id, state))"
		" from deployment_jobs where id = skep_uuid($1)"
		" and state in ('succeeded', 'failed', 'cancelled')"},
	/* One that has not begun ends here. One that was handed back in the middle has something to
	 * take back: it runs at once, and its worker sees the request. */
	[CANCEL] = {"job_cancel",
		"with j as ("
		"  update deployment_jobs j set cancel_requested = true,"
		"   state = case when untouched then 'cancelled' else state end,"
		"   error = case when untouched then 'cancelled before it ran' else error end,"
		"   error_code = case when untouched then 'CANCELLED' else error_code end,"
		"   finished_at = case when untouched then clock_timestamp() end,"
		"   run_at = least(run_at, clock_timestamp()),"
		"   last_sequence = last_sequence + 1"
		"  from (select id, state = 'pending' and step = '' as untouched"
		"   from deployment_jobs) u"
		"  where j.id = skep_uuid($1) and u.id = j.id"
		"  and (untouched or not cancel_requested) returning j.*),"
		" release as ("
		"  update deployments d set state = 'failed', finished_at = j.finished_at from j"
		"  where d.id = j.deployment_id and d.state = 'pending' and j.state = 'cancelled'),"
		/* Never up, and nobody at work on it any more. */
		" stack as ("
		"  update orchestration_stacks s set status = 'failed', status_message = j.error"
		"  from j where s.id = j.stack_id and j.state = 'cancelled'"
		"  and s.status = 'deploying' and s.active_deployment_id is null)"
		" insert into events (project_id, stack_id, job_id, job_sequence, kind, state,"
		"  message, step, percent)"
		" select project_id, stack_id, id, last_sequence,"
		"  case state when 'cancelled' then 'job.ended' else 'job.cancel_requested' end,"
		"  state, error, step, percent from j"},
	[NOTIFY_CANCEL] = {"job_notify_cancel",
		"select pg_notify('skep_cancel', skep_uuid($1)::text)"},
	[CAN_RETRY] = {"job_can_retry",
		"select case"
		" when j.state not in ('failed', 'cancelled') then skep_raise(9, format("
		"  'only a failed or cancelled job can be retried: the state of job %s is %s', j.id, j.state))"
		" when j.stack_id is null and j.stack_name <> '' then skep_raise(9, format("
		"  'stack \"%s\" of job %s was removed: deploy it again', j.stack_name, j.id))"
		" when exists (select from deployments d"
		"   join deployments n on n.stack_id = d.stack_id and n.number > d.number"
		"   where d.id = j.deployment_id and n.state <> 'failed')"
		"  then skep_raise(9, format("
		"  'release %s of stack \"%s\" is superseded by a newer one: deploy it again',"
			" j.release_number, j.stack_name))"
		" end from deployment_jobs j where j.id = skep_uuid($1)"},
	[RETRY] = {"job_retry",
		"with j as (" RETRY_SET " where id = skep_uuid($1) returning *),"
		RETRY_REST " select from j"},
	/* $1 project, $2 scope, $3 stack, $4 kind ('' = any), $5–$8 audit */
	[STACK_THERE] = {"job_stack_there",
		"select case when skep_uuid($3) is null then skep_stack('', $1, $3, $2)"
		" else skep_stack($3, $1, '', $2) end where $3 <> ''"},
	[LOCK_STACKS] = {"job_lock_stacks",
		"select from orchestration_stacks s where s.project_id = skep_project($1, $2)"
		" and ($3 = '' or s.name = $3 or s.id = skep_uuid($3)) order by s.id for no key update"},
	[RETRY_FAILED] = {"job_retry_failed",
		"with last as ("
		"  select l.id from orchestration_stacks s cross join lateral ("
		"   select x.id, x.state, x.kind from deployment_jobs x where x.stack_id = s.id"
		"   order by x.id desc limit 1) l"
		"  where s.project_id = skep_project($1, $2)"
		"  and ($3 = '' or s.name = $3 or s.id = skep_uuid($3))"
		"  and l.state = 'failed' and ($4 = '' or l.kind::text = $4) order by l.id limit 500),"
		" j as (" RETRY_SET " where id in (select id from last) and state = 'failed' returning *),"
		RETRY_REST ","
		" audit as ("
		"  insert into audit_log (id, actor, method, request_id, project_id, target, detail)"
		"  select $5, $6, $7, $8, skep_project($1, $2), 'stack/' || $3,"
		"   jsonb_build_object('jobs', (select coalesce(jsonb_agg(id), '[]') from j)))"
		" select " JOB_COLUMNS ", pg_notify('skep_events', j.id::text),"
		"  pg_notify('skep_jobs', j.project_id || ' ' || j.id)"
		" from j join projects p on p.id = j.project_id order by j.id desc"},
	[AUDIT] = {"job_audit",
		"insert into audit_log (id, actor, method, request_id, project_id, target, detail)"
		" select $1, $2, $3, $4, j.project_id, 'stack/' || j.stack_name,"
		"  jsonb_build_object('job', j.id, 'kind', j.kind, 'release', j.release_number,"
		"   'params', j.params)"
		" from deployment_jobs j where j.id = skep_uuid($5)"},
};
const struct pg_stmt job_replay = {"job_replay",
	"select " JOB_COLUMNS " from " ANY_JOB(REPLAYED_ID) " j join projects p on p.id = j.project_id"};
/* Which ones they were, the audit row tells; request ids count for a day. */
static const struct pg_stmt retried_replay = {"job_retried_replay",
	"select " JOB_COLUMNS " from audit_log a"
	" cross join lateral jsonb_array_elements_text(a.detail->'jobs') as r (id)"
	" cross join lateral " ANY_JOB("r.id::uuid") " j join projects p on p.id = j.project_id"
	" where a.id = " REPLAYED_ID " and a.created_at > now() - interval '2 days' order by j.id desc"};
const struct pg_stmt job_notify_event = {"job_notify_event",
	"select pg_notify('skep_events', skep_uuid($1)::text)"};
const struct pg_stmt job_notify_ready = {"job_notify_ready",
	"select pg_notify('skep_jobs', j.project_id || ' ' || j.id) from deployment_jobs j"
	" where j.id = skep_uuid($1) and j.state = 'pending'"};
static const char *const kind_names[] = {NULL, "deploy", "update", "scale", "restart", "remove",
	"rollback", "build",
	"renew_certificate", "publish_routes", "housekeeping", "adopt", NULL};
static const char *const state_names[] = {NULL, "pending", "running", "succeeded", "failed",
	"cancelled", NULL};

const char *job_kind_name(enum job_kind k)
{
	return k >= JOB_DEPLOY && k < sizeof(kind_names) / sizeof(*kind_names) - 1 ? kind_names[k] : "";
}

const char *job_state_name(enum job_state s)
{
	return s >= JOB_PENDING && s <= JOB_CANCELLED ? state_names[s] : "";
}

/* ---- reading ---- */

enum job_kind job_next_kind(struct cursor *at)
{
	return (enum job_kind)next_enum(at, kind_names);
}

enum job_state job_next_state(struct cursor *at)
{
	return (enum job_state)next_enum(at, state_names);
}

void job_read_columns(struct cursor *at, struct db_job *j)
{
	j->id = next_uuid(at);
	j->project_id = next_uuid(at);
	j->stack_id = next_uuid(at);
	j->deployment_id = next_uuid(at);
	j->project = next_text(at);
	j->stack = next_text(at);
	j->kind = job_next_kind(at);
	j->state = (enum job_state)next_enum(at, state_names);
	j->params = next_str(at);
	j->epoch = next_int(at);
	j->attempt = next_int(at);
	j->max_attempts = next_int(at);
	j->takeovers = next_int(at);
	j->percent = next_int(at);
	j->undoing = next_bool(at);
	j->cancel_requested = next_bool(at);
	j->step = next_text(at);
	j->message = next_text(at);
	j->error = next_text(at);
	j->error_code = next_text(at);
	j->owner = next_text(at);
	j->warnings = next_texts(at, &j->n_warnings);
	j->release_number = next_i64(at);
	j->last_sequence = next_i64(at);
	j->created_us = next_i64(at);
	j->run_us = next_i64(at);
	j->started_us = next_i64(at);
	j->finished_us = next_i64(at);
	j->failures = next_str(at);
	j->images = 0;
	j->attempts = STR("[]");
}

void job_read(struct db_call *c, const struct pg_results *r, size_t stmt, int row, struct db_job *j)
{
	struct cursor at = {c, r, stmt, row, 0};
	job_read_columns(&at, j);
}

void job_read_claimed(struct db_call *c, const struct pg_results *r, int row, struct db_job *j)
{
	struct cursor at = {c, r, 0, row, 0};
	job_read_columns(&at, j);
	j->images = (unsigned)next_int(&at);
}

void job_deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_job j;
	struct status gone = r ? call_need_row(c, r, "job") : *st;
	if (!status_is_ok(&gone)) {
		c->done.job(c->data, &gone, NULL);
		return;
	}
	job_read(c, r, call_last(r), 0, &j);
	c->done.job(c->data, st, &j);
}

void jobs_deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	bool more = false;
	size_t n = r ? call_page_rows(c, r, 0, &more) : 0;
	struct db_job *jobs = arena_array(c->arena, struct db_job, n);
	for (size_t i = 0; i < n; i++)
		job_read(c, r, 0, (int)i, &jobs[i]);
	c->done.jobs(c->data, st, jobs, n, more);
}

static void deliver_events(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t n = r ? (size_t)pg_rows(r, 0) : 0;
	struct db_event *events = arena_array(c->arena, struct db_event, n);
	for (size_t i = 0; i < n; i++) {
		struct cursor at = {c, r, 0, (int)i, 0};
		struct db_event *e = &events[i];
		e->sequence = next_i64(&at);
		e->time_us = next_i64(&at);
		e->kind = next_text(&at);
		e->message = next_text(&at);
		e->service = next_text(&at);
		e->step = next_text(&at);
		e->state = next_text(&at);
		e->percent = next_int(&at);
		e->running = next_int(&at);
		e->wanted = next_int(&at);
	}
	c->done.events(c->data, st, events, n);
}

/* ---- the operations ---- */

static void add(struct db_call *c, const struct pg_stmt *s, const char *id,
	const struct db_scope *scope)
{
	call_add(c, s);
	call_bind(c, id);
	call_bind_scope(c, scope);
}

void job_add_answer(struct db_call *c, const struct db_scope *s, const char *id)
{
	call_add(c, &sql[AUDIT]);
	call_bind_audit(c, s);
	call_bind(c, id);
	call_add_text(c, &job_notify_event, id);
	call_add_text(c, &job_notify_ready, id);
	add(c, &sql[GET], id, s);
}

static void deliver_whole(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_job j;
	if (r) {
		struct cursor at = {c, r, 0, 0, 0};
		job_read_columns(&at, &j);
		j.attempts = next_str(&at);
	}
	c->done.job(c->data, st, r ? &j : NULL);
}

static struct db_call *get(struct db *db, const struct db_scope *s, const char *id,
	db_job_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.job = done;
	add(c, &sql[GET], id, s);
	return call_run(c, deliver_whole);
}

static struct db_call *events(struct db *db, const struct db_scope *s, const char *id,
	int64_t after, unsigned limit, db_events_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.events = done;
	add(c, &sql[EVENTS], id, s);
	pg_bind_i64(c->batch, after);
	pg_bind_i64(c->batch, limit);
	return call_run(c, deliver_events);
}

static struct db_call *cancel(struct db *db, const struct db_scope *s, const char *id,
	db_job_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.job = done;
	call_once(c, s, id, &job_replay);
	add(c, &sql[LOCK], id, s);
	call_add_text(c, &sql[NOT_ENDED], id);
	call_add_text(c, &sql[CANCEL], id);
	call_add_text(c, &sql[NOTIFY_CANCEL], id);
	job_add_next(c, &id, 1);
	job_add_answer(c, s, id);
	return call_run(c, job_deliver);
}

static struct db_call *retry(struct db *db, const struct db_scope *s, const char *id,
	db_job_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.job = done;
	call_once(c, s, id, &job_replay);
	add(c, &sql[LOCK_ENDED], id, s);
	call_add_text(c, &sql[LOCK_STACK], id);
	call_add_text(c, &sql[CAN_RETRY], id);
	call_add_text(c, &sql[RETRY], id);
	job_add_answer(c, s, id);
	return call_run(c, job_deliver);
}

static void deliver_retried(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t stmt = r ? call_last(r) : 0, n = r ? (size_t)pg_rows(r, stmt) : 0;
	struct db_job *jobs = arena_array(c->arena, struct db_job, n);
	for (size_t i = 0; i < n; i++)
		job_read(c, r, stmt, (int)i, &jobs[i]);
	c->done.jobs(c->data, st, jobs, n, false);
}

static struct db_call *retry_failed(struct db *db, const struct db_scope *s, const char *project,
	const char *stack, enum job_kind kind, db_jobs_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *audit_id = call_uuid(c);
	c->done.jobs = done;
	call_once(c, s, audit_id, &retried_replay);
	add(c, &sql[STACK_THERE], project, s);
	call_bind(c, stack);
	add(c, &sql[LOCK_STACKS], project, s);
	call_bind(c, stack);
	add(c, &sql[RETRY_FAILED], project, s);
	call_bind(c, stack);
	call_bind(c, job_kind_name(kind));
	call_bind_audit_as(c, s, audit_id);
	return call_run(c, deliver_retried);
}

const struct db_job_ops db_pg_jobs = {
	.get = get,
	.list = job_list,
	.events = events,
	.cancel = cancel,
	.retry = retry,
	.retry_failed = retry_failed,
	.view = job_view,
	.stats = job_stats,
	.pause = job_pause,
	.resume = job_resume,
	.alive = job_alive,
	.gone = job_gone,
	.look = job_look,
	.claim = job_claim,
	.renew = job_renew,
	.tell = job_tell,
	.write = job_write,
	.housekeep = job_housekeep,
	.archive = job_archive,
};
