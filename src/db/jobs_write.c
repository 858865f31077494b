/* What runs write: one statement for the writes of many, however many of them end, wait again or only
 * tell something. Its parameters are columns: an array each, a row a write, and behind them a
 * row an event. */
#include "db/jobs_parts.h"

#include <assert.h>

enum { HOLD, WRITE, LEFT, TELL, GONE, NEXT };

/* skep_jobs for what may run when the jobs in `gone` run no more: the next of each stack, and one of each project: a cap
 * may have held it back. */
#define NEXT_OF_GONE \
	"  select w.project_id, w.id" \
	"   from (select distinct stack_id from gone where stack_id is not null) s" \
	"   cross join lateral (select w.project_id, w.id from deployment_jobs w" \
	"    where w.stack_id = s.stack_id and w.state = 'pending' order by w.id limit 1) w" \
	"  union all" \
	"  select w.project_id, w.id from (select distinct project_id from gone) p" \
	"   cross join lateral (select w.project_id, w.id from deployment_jobs w" \
	"    where w.project_id = p.project_id and w.state = 'pending' and w.run_at <= now()" \
	/* along its queues, not past everybody else's jobs */ \
	"    order by w.kind, w.run_at limit 1) w"

static const struct pg_stmt sql[] = {
	/* Only before what is repeated: whoever still writes it is waited for, so that the next
	 * statement sees what came of it. $1 ids */
	[HOLD] = {"job_hold",
		"select from deployment_jobs where id = any ($1::uuid[]) order by id for no key update"},
	/* $1–$15 writes, $16–$25 events. The update is the fence: nothing holds that comes behind a later write of the same claim, when
	 * the server gets to it after its sender has given it up. `same`: one that was sent before has stored the events already. An
	 * event's step and state are the job's where they are null, and so is a percent of 0. A release whose job did not succeed never
	 * became active. Answers the places of the writes that are held. */
	[WRITE] = {"job_write",
		"with w as materialized ("
		"  select *, n + (state is not null)::integer as total from unnest($1::uuid[],"
		"   $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::text[],"
		"   $8::text[], $9::boolean[], $10::text[], $11::text[], $12::jsonb[], $13::job_state[],"
		"   $14::bigint[], $15::boolean[]) with ordinality as w (id, epoch, number, first, n, percent,"
		"   message, step, undoing, error, error_code, failures, state, delay, keep, at)),"
		" e as materialized ("
		"  select * from unnest($16::integer[], $17::integer[], $18::text[], $19::text[],"
		"   $20::text[], $21::text[], $22::text[], $23::integer[], $24::integer[],"
		"   $25::integer[]) as e (at, no, kind, message, service, step, state, percent,"
		"   running, wanted)),"
		" same as materialized ("
		"  select w.at from w join deployment_jobs j on j.id = w.id"
		"  where w.first < w.number and j.epoch = w.epoch and j.write_number >= w.first),"
		" j as ("
		"  update deployment_jobs j set"
		"   step = coalesce(w.step, case when w.state = 'pending' and not w.keep then ''"
		"    else j.step end),"
		"   undoing = case when w.step is not null then w.undoing"
		"    when w.state = 'pending' then j.undoing and w.keep else j.undoing end,"
		"   takeovers = case when w.step is null then takeovers else 0 end,"
		"   error = coalesce(w.error, j.error),"
		"   error_code = coalesce(w.error_code, j.error_code),"
		"   failures = coalesce(w.failures, j.failures),"
		"   percent = coalesce(w.percent, j.percent),"
		"   message = coalesce(w.message, j.message),"
		"   write_number = w.number,"
		"   last_sequence = last_sequence + w.total - case when w.stored then w.n else 0 end,"
		"   state = coalesce(w.state, j.state),"
		"   lease_until = case when w.state is null then lease_until end,"
		"   run_at = case when w.state = 'pending'"
		"    then clock_timestamp() + w.delay * interval '1 ms' else run_at end,"
		"   attempt = case when w.state = 'pending' and w.error is null"
		"    then greatest(attempt - 1, 0) else attempt end,"
		"   finished_at = case when w.state <> 'pending' then clock_timestamp()"
		"    else finished_at end"
		"  from (select w.*, exists (select from same s where s.at = w.at) as stored from w) w"
		"  where j.id = w.id and j.epoch = w.epoch and j.state = 'running'"
		"   and j.write_number < w.number"
		"  returning j.id, j.project_id, j.stack_id, j.deployment_id, j.epoch, j.attempt, j.owner, j.step, j.error,"
		"   j.error_code, j.claimed_at, j.finished_at, j.last_sequence, j.state, j.percent, w.at,"
		"   w.n, w.total, w.stored, w.state as went, w.error is not null as failed),"
		" release as ("
		"  update deployments d set state = 'failed', finished_at = j.finished_at from j"
		"  where d.id = j.deployment_id and d.state = 'pending'"
		"  and j.went in ('failed', 'cancelled')),"
		" attempt as (" ATTEMPT_OF_J " where j.went <> 'succeeded' and j.failed),"
		" news as ("
		"  insert into events (project_id, stack_id, job_id, job_sequence,"
		"   kind, message, service, step, state, percent, running, wanted)"
		"  select j.project_id, j.stack_id, j.id, j.last_sequence - j.total + e.no,"
		"   e.kind, e.message, e.service, coalesce(e.step, j.step),"
		"   coalesce(e.state, j.state::text), case when e.percent > 0 then e.percent else j.percent end,"
		"   e.running, e.wanted"
		"  from j join e on e.at = j.at where e.no > j.n or not j.stored order by j.at, e.no)"
		" select at from j"
		" union all"
		" select w.at from w join deployment_jobs d on d.id = w.id"
		"  and d.epoch = w.epoch and d.state = w.state where w.first < w.number"},
	/* $1 ids, $2 epochs, $3 errors in one line, of jobs that failed. Neither a job that was given
	 * up nor a first deploy that was refused before it began has said anything of its stack. */
	[LEFT] = {"job_left",
		/* by their ids: before the planner hears of them, very many may have failed */
		"with j as materialized ("
		"  select id, epoch, state, stack_id, step, kind from deployment_jobs where id = any ($1::uuid[])),"
		" s as ("
		"  update orchestration_stacks s set status_message = w.error, unfinished = w.error,"
		"   set_at = clock_timestamp(),"
		"   status = case when s.active_deployment_id is null then 'failed'"
		"    else 'degraded' end::stack_status"
		"  from unnest($1::uuid[], $2::integer[], $3::text[]) as w (id, epoch, error)"
		"  join j on j.id = w.id and j.epoch = w.epoch"
		"  where s.id = j.stack_id and j.state = 'failed' and (s.status in ('deploying', 'removing')"
		"   or s.active_deployment_id is null and j.step = ''"
		"    and j.kind in ('deploy', 'update', 'adopt')"
		"    and (s.status, s.unfinished) is distinct from ('failed', w.error))"
		"  returning s.*),"
		" e as ("
		"  insert into events (project_id, stack_id, kind, state, message)"
		"  select project_id, id, 'stack.status', status, status_message from s)"
		" select pg_notify('skep_stacks', id::text) from s"},
	/* $1 payloads of skep_events, $2 of skep_jobs. Lost with the server, they are told by nobody: so the commit need not be on
	 * the disk. */
	[TELL] = {"job_tell",
		"select set_config('synchronous_commit', 'off', true),"
		"  (select count(pg_notify('skep_events', e)) from unnest($1::text[]) e),"
		"  (select count(pg_notify('skep_jobs', r)) from unnest($2::text[]) r)"},
	/* $1 projects, $2 stacks of jobs that do not run any more */
	[GONE] = {"job_gone",
		"with gone as ("
		"  select distinct p as project_id, s as stack_id from unnest($1::uuid[], $2::uuid[]) g (p, s))"
		" select pg_notify('skep_jobs', w.project_id || ' ' || w.id) from (" NEXT_OF_GONE ") w"},
	/* $1 ids of jobs that do not run any more */
	[NEXT] = {"job_next",
		"with j as materialized ("
		"  select id, project_id, stack_id, state from deployment_jobs where id = any ($1::uuid[])),"
		" gone as (select project_id, stack_id from j)"
		" select pg_notify('skep_jobs', w.project_id || ' ' || w.id) from ("
		"  select project_id, id from j where state = 'pending' union all" NEXT_OF_GONE ") w"},
};

/* ---- columns ---- */

struct column {
	const char **texts;
	size_t n;
};

static struct column column_of(struct db_call *c, size_t n)
{
	return (struct column){arena_array(c->arena, const char *, n), 0};
}

/* NULL is null. */
static void put(struct column *col, const char *text)
{
	col->texts[col->n++] = text;
}

static void put_bool(struct column *col, bool v)
{
	put(col, v ? "t" : "f");
}

static void put_i64(struct db_call *c, struct column *col, int64_t v)
{
	put(col, v == 0 ? "0" : v == 1 ? "1" : arena_fmt(c->arena, "%lld", (long long)v));
}

/* Other programs' words, made UTF-8; NULL reads as "". */
static void put_lossy(struct db_call *c, struct column *col, const char *text)
{
	put(col, text && text[0] ? str_lossy(c->arena, str_of(text)) : "");
}

static void bind_columns(struct db_call *c, const struct column *cols, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pg_bind_text_array(c->batch, cols[i].texts, cols[i].n);
}

enum { W_ID, W_EPOCH, W_NUMBER, W_FIRST, W_N, W_PERCENT, W_MESSAGE, W_STEP, W_UNDOING, W_ERROR, W_CODE,
	W_FAILURES, W_STATE, W_DELAY, W_KEEP, W_COLUMNS };
enum { E_AT, E_NO, E_KIND, E_MESSAGE, E_SERVICE, E_STEP, E_STATE, E_PERCENT, E_RUNNING, E_WANTED,
	E_COLUMNS };

struct rows {
	struct db_call *call;
	struct column w[W_COLUMNS], e[E_COLUMNS];
	struct column left[3]; /* ids, epochs, errors of those that fail */
	bool again;
};

static const char *text_of(const struct db_job_why *why)
{
	return why->text && why->text[0] ? why->text : why->st.message;
}

static void put_event(struct rows *r, size_t at, size_t no, const struct db_event *e)
{
	struct db_call *c = r->call;
	put_i64(c, &r->e[E_AT], (int64_t)at);
	put_i64(c, &r->e[E_NO], (int64_t)no);
	put_lossy(c, &r->e[E_KIND], e->kind);
	put_lossy(c, &r->e[E_MESSAGE], e->message);
	put_lossy(c, &r->e[E_SERVICE], e->service);
	put_lossy(c, &r->e[E_STEP], e->step);
	put_lossy(c, &r->e[E_STATE], e->state);
	put_i64(c, &r->e[E_PERCENT], e->percent);
	put_i64(c, &r->e[E_RUNNING], e->running);
	put_i64(c, &r->e[E_WANTED], e->wanted);
}

/* The event about what becomes of the job: it says what the row says then. */
static void put_end_event(struct rows *r, size_t at, const struct db_job_write *w)
{
	bool over = w->state != JOB_PENDING;
	put_event(r, at, w->n_events + 1, &(struct db_event){
		.kind = over ? "job.ended" : "job.requeued",
		.message = w->why ? w->why->st.message : over ? "" : "handed back"});
	r->e[E_STEP].texts[r->e[E_STEP].n - 1] = NULL;
	r->e[E_STATE].texts[r->e[E_STATE].n - 1] = NULL;
}

/* What the events say of the job as a whole. */
static void put_summary(struct rows *r, const struct db_job_write *w)
{
	const char *message = NULL;
	int percent = w->state == JOB_SUCCEEDED ? 100 : 0;
	for (size_t i = 0; i < w->n_events; i++) {
		const struct db_event *e = &w->events[i];
		if (e->percent > 0 && w->state != JOB_SUCCEEDED)
			percent = e->percent;
		if (e->message && e->message[0] && !(e->service && e->service[0]))
			message = e->message;
	}
	put(&r->w[W_PERCENT], percent > 0 ? arena_fmt(r->call->arena, "%d", percent) : NULL);
	put(&r->w[W_MESSAGE], message ? str_lossy(r->call->arena, str_of(message)) : NULL);
}

/* Why it failed; null: as it was. */
static void put_why(struct rows *r, const struct db_job_write *w)
{
	struct db_call *c = r->call;
	const struct db_job_why *why = w->why ? w->why : w->step ? w->undoing : NULL;
	const char *error = NULL, *code = NULL, *failures = NULL;
	if (why) {
		error = str_lossy(c->arena, str_of(w->state == JOB_PENDING ? why->st.message : text_of(why)));
		code = st_code_name(why->st.code);
		if (w->state != JOB_PENDING)
			failures = why->failures.len ? str_dup(c->arena, why->failures) : "[]";
	} else if (job_state_is_end(w->state)) {
		error = code = "";
		failures = "[]";
	}
	put(&r->w[W_ERROR], error);
	put(&r->w[W_CODE], code);
	put(&r->w[W_FAILURES], failures);
}

static void put_write(struct rows *r, size_t at, const struct db_job_write *w)
{
	struct db_call *c = r->call;
	const char *id = arena_strdup(c->arena, w->id);
	put(&r->w[W_ID], id);
	put_i64(c, &r->w[W_EPOCH], w->epoch);
	put_i64(c, &r->w[W_NUMBER], w->number);
	put_i64(c, &r->w[W_FIRST], w->first);
	put_i64(c, &r->w[W_N], (int64_t)w->n_events);
	put_summary(r, w);
	put(&r->w[W_STEP], w->step);
	put_bool(&r->w[W_UNDOING], w->undoing != NULL);
	put_why(r, w);
	put(&r->w[W_STATE], w->state ? job_state_name(w->state) : NULL);
	put_i64(c, &r->w[W_DELAY], (int64_t)w->delay_ms);
	put_bool(&r->w[W_KEEP], w->keep_step);
	for (size_t i = 0; i < w->n_events; i++)
		put_event(r, at, i + 1, &w->events[i]);
	r->again |= w->first < w->number;
	if (!w->state)
		return;
	put_end_event(r, at, w);
	if (w->state == JOB_FAILED) {
		put(&r->left[0], id);
		put_i64(c, &r->left[1], w->epoch);
		put_lossy(c, &r->left[2], w->why ? w->why->st.message : "");
	}
}

/* ---- the operation ---- */

struct place {
	size_t n;    /* writes */
	size_t stmt; /* WRITE's place in the batch */
};

static void deliver_writes(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	const struct place *p = c->params;
	bool *held = arena_array(c->arena, bool, p->n);
	for (int i = 0; r && i < pg_rows(r, p->stmt); i++) {
		int64_t at = pg_i64(r, p->stmt, i, 0);
		if (at >= 1 && at <= (int64_t)p->n)
			held[at - 1] = true;
	}
	c->done.writes(c->data, st, held, p->n);
}

void job_add_next(struct db_call *c, const char *const *ids, size_t n)
{
	call_add(c, &sql[NEXT]);
	pg_bind_text_array(c->batch, ids, n);
}

static void add_writes(struct db_call *c, const struct rows *r)
{
	if (r->again) {
		call_add(c, &sql[HOLD]);
		bind_columns(c, &r->w[W_ID], 1);
	}
	call_add(c, &sql[WRITE]);
	bind_columns(c, r->w, W_COLUMNS);
	bind_columns(c, r->e, E_COLUMNS);
	if (r->left[0].n > 0) {
		call_add(c, &sql[LEFT]);
		bind_columns(c, r->left, 3);
	}
}

struct db_call *job_write(struct db *db, const struct db_job_write *writes, size_t n,
	db_writes_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	struct rows r = {.call = c};
	size_t n_events = 0;
	assert(n > 0 && n <= DB_WRITES_MAX);
	c->done.writes = done;
	for (size_t i = 0; i < n; i++)
		n_events += writes[i].n_events + 1;
	for (size_t i = 0; i < W_COLUMNS; i++)
		r.w[i] = column_of(c, n);
	for (size_t i = 0; i < E_COLUMNS; i++)
		r.e[i] = column_of(c, n_events);
	for (size_t i = 0; i < 3; i++)
		r.left[i] = column_of(c, n);
	for (size_t i = 0; i < n; i++)
		put_write(&r, i + 1, &writes[i]);
	c->params = arena_memdup(c->arena, &(struct place){n, r.again}, sizeof(struct place));
	add_writes(c, &r);
	return call_run(c, deliver_writes);
}

/* A payload has less than 8,000 bytes. */
#define IDS_A_PAYLOAD 200

static void put_news(struct db_call *c, struct column *news, const struct db_told *told, size_t n)
{
	struct buf ids = {0};
	for (size_t i = 0; i < n; i++) {
		buf_fmt(&ids, "%s%s", ids.len ? " " : "", told[i].id.text);
		if (i + 1 < n && (i + 1) % IDS_A_PAYLOAD != 0)
			continue;
		put(news, str_dup(c->arena, buf_str(&ids)));
		ids.len = 0;
	}
	buf_finish(&ids);
}

struct db_call *job_tell(struct db *db, const struct db_told *told, size_t n, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	struct column texts[2] = {column_of(c, n), column_of(c, n)}; /* news, ready */
	struct column gone[2] = {column_of(c, n), column_of(c, n)};
	assert(n > 0 && n <= DB_TOLD_MAX);
	put_news(c, &texts[0], told, n);
	for (size_t i = 0; i < n; i++) {
		const struct db_told *t = &told[i];
		if (t->what == TOLD_READY) {
			put(&texts[1], arena_fmt(c->arena, "%s %s", t->project_id.text, t->id.text));
		} else if (t->what == TOLD_GONE) {
			put(&gone[0], arena_strdup(c->arena, t->project_id.text));
			put(&gone[1], t->stack_id.text[0] ? arena_strdup(c->arena, t->stack_id.text) : NULL);
		}
	}
	c->done.plain = done;
	call_add(c, &sql[TELL]);
	bind_columns(c, texts, 2);
	if (gone[0].n > 0) {
		call_add(c, &sql[GONE]);
		bind_columns(c, gone, 2);
	}
	return call_run(c, call_deliver_plain);
}
