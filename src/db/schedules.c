#include "db/schedules.h"
#include "db/call.h"
#include "db/stacks_parts.h"

#define COLUMNS \
	"s.id, s.project_id, s.stack_id, s.last_job_id, p.name, k.name, s.name, s.action, s.params, s.cron," \
	" s.time_zone, s.jitter_seconds, s.missed, s.paused, s.revision, skep_us(s.next_at), skep_us(s.due_at)," \
	" skep_us(s.last_at), coalesce(s.last_outcome::text, ''), s.last_message, coalesce(j.state::text, '')," \
	" split_part(coalesce(j.error, ''), E'\\n', 1), s.created_by, skep_us(s.created_at), skep_us(s.updated_at)"
#define COLUMNS_FROM \
	"select " COLUMNS " from schedules s join projects p on p.id = s.project_id" \
	" join orchestration_stacks k on k.id = s.stack_id left join lateral " ANY_JOB("s.last_job_id") " j on true "
/* $2 next, $3 due */
#define TIMES "next_at = to_timestamp($2), due_at = to_timestamp($3)"

enum { LOCK, STACK, PUT, NEED_ROOM, REPLAY, GET, LIST, LIST_CHECK, FIND, AUDIT, TAKE_CHANGE, UPDATE, REMOVE, NOTIFY, NOW, DUE, TAKE,
	LOCK_STACK, NEED_ENDED, FIRED,
	PASSED };
static const struct pg_stmt sql[] = {
	/* $1 project, $2 scope */
	[LOCK] = {"schedule_lock", "select skep_lock_project($1, $2)"},
	/* $3 stack: it is not removed meanwhile */
	[STACK] = {"schedule_stack",
		"select from orchestration_stacks where id = skep_stack('', $1, $3, $2) for key share"},
	/* $4 id, $5 name, $6 action, $7 params, $8 cron, $9 zone, $10 jitter, $11 missed, $12 next, $13 due, $14 actor */
	[PUT] = {"schedule_put",
		"insert into schedules (project_id, stack_id, id, name, action, params, cron, time_zone, jitter_seconds, missed,"
		"  next_at, due_at, created_by)"
		" values (skep_project($1, $2), skep_stack('', $1, $3, $2), $4, $5, $6::schedule_action, $7::jsonb, $8, $9, $10,"
		"  $11::schedule_missed, to_timestamp($12), to_timestamp($13), $14)"},
	/* $3 at most */
	[NEED_ROOM] = {"schedule_need_room",
		"select skep_raise(8, format('the project has %s schedules, and takes no more: remove some', count(*) - 1))"
		" from schedules where project_id = skep_project($1, $2) having count(*) > $3"},
	[REPLAY] = {"schedule_replay", COLUMNS_FROM "where s.id = " REPLAYED_ID},
	/* $1 id */
	[GET] = {"schedule_get", COLUMNS_FROM "where s.id = skep_uuid($1)"},
	/* $1 project, $2 scope, $3 before, $4 rows */
	[LIST] = {"schedule_list",
		COLUMNS_FROM "where ((select skep_project_or_all($1, $2)) is null"
		"  or s.project_id = (select skep_project_or_all($1, $2)))"
		" and ($3::uuid is null or s.id < $3) order by s.id desc limit $4"},
	/* LIST asks for the project once it meets a row: where there is none it would pass over one that does not exist. */
	[LIST_CHECK] = {"schedule_list_check", "select skep_project_or_all($1, $2)"},
	/* $1 name, $2 project, $3 scope */
	[FIND] = {"schedule_find", COLUMNS_FROM "where s.id = skep_schedule($1, $2, $3)"},
	/* $5 id */
	[AUDIT] = {"schedule_audit",
		"insert into audit_log (id, actor, method, request_id, project_id, target, detail)"
		" select $1, $2, $3, $4, s.project_id, 'schedule/' || s.name, jsonb_build_object('stack', k.name,"
		"  'action', s.action, 'params', s.params, 'cron', s.cron, 'time_zone', s.time_zone,"
		"  'jitter_seconds', s.jitter_seconds, 'missed', s.missed, 'paused', s.paused)"
		" from schedules s join orchestration_stacks k on k.id = s.stack_id"
		" where s.id = skep_schedule($5, $6, $7)"},
	/* $1 id, $2 scope, $3 revision */
	[TAKE_CHANGE] = {"schedule_take_change",
		"select case when s.revision is null then skep_raise(5, 'the schedule does not exist any more')"
		" when s.revision <> $3 then skep_raise(10, format("
		"  'schedule \"%s\" was changed, or run, at the same time: try again', s.name)) end"
		" from (select) one left join (select name, revision from schedules"
		"  where id = skep_uuid($1) and ($2::uuid is null or project_id = $2) for no key update) s on true"},
	/* $1 id, $2 next, $3 due, $4 cron, $5 zone, $6 jitter, $7 missed, $8 paused */
	[UPDATE] = {"schedule_update",
		"update schedules set revision = revision + 1, " TIMES ", cron = $4, time_zone = $5, jitter_seconds = $6,"
		"  missed = $7::schedule_missed, paused = $8 where id = skep_uuid($1)"},
	/* $1 name, $2 project, $3 scope */
	[REMOVE] = {"schedule_remove", "delete from schedules where id = skep_schedule($1, $2, $3)"},
	[NOTIFY] = {"schedule_notify", "select pg_notify('skep_schedules', '')"},

	[NOW] = {"schedule_now",
		/* greatest() passes over nulls: of no schedule it would say "now". */
		"select skep_us(clock_timestamp()),"
		"  (select ceil(greatest(0, extract(epoch from x.at - clock_timestamp()) * 1000))::bigint"
		"   from (select min(due_at) as at from schedules where not paused and due_at > now()) x where x.at is not null)"},
	/* $1 rows */
	[DUE] = {"schedule_due_now", COLUMNS_FROM "where not s.paused and s.due_at <= now() order by s.due_at, s.id limit $1"},
	/* $1 id, $2 revision */
	[TAKE] = {"schedule_take", "select skep_take_schedule(skep_uuid($1), $2)"},
	/* $1 id. Who runs its last job once more has this lock too: whatever was read of that job before, it holds from here on. */
	[LOCK_STACK] = {"schedule_lock_stack",
		"select from orchestration_stacks k where k.id = (select s.stack_id from schedules s where s.id = skep_uuid($1))"
		" for no key update"},
	[NEED_ENDED] = {"schedule_need_ended",
		"select skep_raise(10, format('job %s of the run before has not ended', j.id))"
		" from schedules s join deployment_jobs j on j.id = s.last_job_id"
		" where s.id = skep_uuid($1) and j.state in ('pending', 'running')"},
	/* $1 id, $2 next, $3 due, $4 job */
	[FIRED] = {"schedule_fired",
		"update schedules set revision = revision + 1, " TIMES ", last_at = now(), last_outcome = 'submitted',"
		"  last_message = '', last_job_id = $4 where id = skep_uuid($1)"},
	/* $1 id, $2 next, $3 due, $4 outcome, $5 message */
	[PASSED] = {"schedule_passed",
		"update schedules set revision = revision + 1, " TIMES ", last_at = now(),"
		"  last_outcome = $4::schedule_outcome, last_message = $5 where id = skep_uuid($1)"},
};

static const char *const action_names[] = {NULL, "redeploy", "restart", "scale", NULL};
static const char *const missed_names[] = {NULL, "skip", "run_once", NULL};
static const char *const outcome_names[] = {NULL, "submitted", "skipped", "missed", "refused", NULL};

const char *schedule_action_name(enum schedule_action a)
{
	return a >= SCHEDULE_REDEPLOY && a <= SCHEDULE_SCALE ? action_names[a] : "";
}

/* ---- reading ---- */

static void read_row(struct db_call *c, const struct pg_results *r, size_t stmt, size_t row, struct db_schedule *s)
{
	struct cursor at = {c, r, stmt, (int)row, 0};
	s->id = next_uuid(&at);
	s->project_id = next_uuid(&at);
	s->stack_id = next_uuid(&at);
	s->last_job_id = next_uuid(&at);
	s->project = next_text(&at);
	s->stack = next_text(&at);
	s->name = next_text(&at);
	s->action = (enum schedule_action)next_enum(&at, action_names);
	s->params = next_str(&at);
	s->cron = next_text(&at);
	s->time_zone = next_text(&at);
	s->jitter_s = next_int(&at);
	s->missed = (enum schedule_missed)next_enum(&at, missed_names);
	s->paused = next_bool(&at);
	s->revision = next_i64(&at);
	s->next_us = next_i64(&at);
	s->due_us = next_i64(&at);
	s->last_us = next_i64(&at);
	s->last_outcome = (enum schedule_outcome)next_enum(&at, outcome_names);
	s->last_message = next_text(&at);
	s->last_job_state = job_next_state(&at);
	s->last_job_error = next_text(&at);
	s->created_by = next_text(&at);
	s->created_us = next_i64(&at);
	s->updated_us = next_i64(&at);
}

static void deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_schedule s;
	struct status gone = r ? call_need_row(c, r, "schedule") : *st;
	if (!status_is_ok(&gone)) {
		c->done.schedule(c->data, &gone, NULL);
		return;
	}
	read_row(c, r, call_last(r), 0, &s);
	c->done.schedule(c->data, st, &s);
}

static struct db_schedule *read_rows(struct db_call *c, const struct pg_results *r, size_t stmt, size_t n)
{
	struct db_schedule *list = arena_array(c->arena, struct db_schedule, n);
	for (size_t i = 0; i < n; i++)
		read_row(c, r, stmt, i, &list[i]);
	return list;
}

static void deliver_list(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	bool more = false;
	size_t n = r ? call_page_rows(c, r, 0, &more) : 0;
	c->done.schedules(c->data, st, read_rows(c, r, 0, n), n, more);
}

static void deliver_due(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t n = r ? (size_t)pg_rows(r, 1) : 0;
	int64_t now_us = r ? pg_i64(r, 0, 0, 0) : 0;
	int64_t due_ms = r && !pg_is_null(r, 0, 0, 1) ? pg_i64(r, 0, 0, 1) : -1;
	c->done.schedules_due(c->data, st, read_rows(c, r, 1, n), n, now_us, due_ms);
}

/* ---- callers ---- */

static void bind_seconds(struct db_call *c, const struct db_schedule_times *t)
{
	pg_bind_i64(c->batch, t->next_s);
	pg_bind_i64(c->batch, t->due_s);
}

static void add_audit(struct db_call *c, const struct db_scope *s, const char *name, const char *project)
{
	call_add(c, &sql[AUDIT]);
	call_bind_audit(c, s);
	call_bind(c, name);
	call_bind(c, project);
	call_bind_scope(c, s);
}

/* $1 project, $2 scope */
static void add(struct db_call *c, const struct pg_stmt *stmt, const char *project, const struct db_scope *s)
{
	call_add_text(c, stmt, project);
	call_bind_scope(c, s);
}

/* $1 name, $2 project, $3 scope */
static void add_named(struct db_call *c, const struct pg_stmt *stmt, const char *name, const char *project,
	const struct db_scope *s)
{
	call_add_text(c, stmt, name);
	call_bind(c, project);
	call_bind_scope(c, s);
}

static void put(struct db_call *c, const struct db_scope *s, const struct db_schedule_new *n, const char *id)
{
	add(c, &sql[PUT], n->project, s);
	call_bind(c, n->stack);
	call_bind_id(c, id);
	call_bind(c, n->name);
	call_bind(c, action_names[n->action]);
	pg_bind_str(c->batch, n->params.len ? n->params : STR("{}"));
	call_bind(c, n->cron);
	call_bind(c, n->time_zone);
	pg_bind_i64(c->batch, n->jitter_s);
	call_bind(c, missed_names[n->missed]);
	bind_seconds(c, &n->times);
	call_bind(c, s->actor);
}

static struct db_call *create(struct db *db, const struct db_scope *s, const struct db_schedule_new *n,
	db_schedule_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *id = call_uuid(c);
	c->done.schedule = done;
	c->subject = arena_strdup(c->arena, n->name);
	call_once(c, s, id, &sql[REPLAY]);
	add(c, &sql[LOCK], n->project, s);
	add(c, &sql[STACK], n->project, s);
	call_bind(c, n->stack);
	if (n->action != SCHEDULE_REDEPLOY)
		stack_need_services(c, s, &(struct db_stack_ref){"", n->project, n->stack},
			n->action == SCHEDULE_SCALE ? JOB_SCALE : JOB_RESTART, n->params);
	put(c, s, n, id);
	add(c, &sql[NEED_ROOM], n->project, s);
	pg_bind_i64(c->batch, DB_SCHEDULES_MAX);
	add_audit(c, s, id, "");
	call_add(c, &sql[NOTIFY]);
	call_add_text(c, &sql[GET], id);
	return call_run(c, deliver);
}

static struct db_call *get(struct db *db, const struct db_scope *s, const char *project, const char *name,
	db_schedule_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.schedule = done;
	add_named(c, &sql[FIND], name, project, s);
	return call_run(c, deliver);
}

static struct db_call *list(struct db *db, const struct db_scope *s, const char *project, const struct db_page *page,
	db_schedules_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.schedules = done;
	add(c, &sql[LIST], project, s);
	call_bind_page(c, page);
	add(c, &sql[LIST_CHECK], project, s);
	return call_run(c, deliver_list);
}

static struct db_call *update(struct db *db, const struct db_scope *s, const char *id, int64_t revision,
	const struct db_schedule_change *change, db_schedule_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.schedule = done;
	call_once(c, s, id, &sql[REPLAY]);
	add(c, &sql[TAKE_CHANGE], id, s);
	pg_bind_i64(c->batch, revision);
	call_add_text(c, &sql[UPDATE], id);
	bind_seconds(c, &change->times);
	call_bind(c, change->cron);
	call_bind(c, change->time_zone);
	pg_bind_i64(c->batch, change->jitter_s);
	call_bind(c, missed_names[change->missed]);
	pg_bind_bool(c->batch, change->paused);
	add_audit(c, s, id, "");
	call_add(c, &sql[NOTIFY]);
	call_add_text(c, &sql[GET], id);
	return call_run(c, deliver);
}

static struct db_call *remove_(struct db *db, const struct db_scope *s, const char *project, const char *name,
	db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_once(c, s, "", NULL);
	add_audit(c, s, name, project);
	add_named(c, &sql[REMOVE], name, project, s);
	return call_run(c, call_deliver_plain);
}

/* ---- the daemon that looks after them ---- */

static struct db_call *due(struct db *db, unsigned limit, db_schedules_due_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.schedules_due = done;
	call_add(c, &sql[NOW]);
	call_add(c, &sql[DUE]);
	pg_bind_i64(c->batch, limit);
	return call_run(c, deliver_due);
}

/* The first statement; then who writes knows that nobody else does. */
static void take(struct db_call *c, const struct db_schedule *s)
{
	call_add_text(c, &sql[TAKE], s->id.text);
	pg_bind_i64(c->batch, s->revision);
}

static struct db_call *fire(struct db *db, const struct db_schedule *s, int attempts,
	const struct db_schedule_times *next, db_job_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *job_id = call_uuid(c);
	const struct db_scope scope = {.project_id = s->project_id.text, .actor = arena_fmt(c->arena, "schedule:%s", s->name),
		.method = "/skep.v1.Schedules/Run", .request_id = ""};
	const struct db_stack_ref stack = {.id = s->stack_id.text, .project = "", .name = ""};
	c->done.job = done;
	take(c, s);
	call_add_text(c, &sql[LOCK_STACK], s->id.text);
	call_add_text(c, &sql[NEED_ENDED], s->id.text);
	if (s->action == SCHEDULE_REDEPLOY) {
		stack_add_redeploy(c, &scope, job_id, &stack, attempts);
	} else {
		const struct db_stack_job job = {.stack = stack, .kind = s->action == SCHEDULE_SCALE ? JOB_SCALE : JOB_RESTART,
			.params = s->params, .max_attempts = attempts};
		stack_add_job(c, &scope, job_id, &job);
	}
	call_add_text(c, &sql[FIRED], s->id.text);
	bind_seconds(c, next);
	call_bind_id(c, job_id);
	return stack_job_created(c, &scope, job_id);
}

static struct db_call *pass(struct db *db, const struct db_schedule *s, enum schedule_outcome outcome, const char *message,
	const struct db_schedule_times *next, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	take(c, s);
	call_add_text(c, &sql[PASSED], s->id.text);
	bind_seconds(c, next);
	call_bind(c, outcome_names[outcome]);
	call_bind_lossy(c, message);
	return call_run(c, call_deliver_plain);
}

const struct db_schedule_ops db_pg_schedules = {create, get, list, update, remove_, due, fire, pass};
