#include "db/jobs_parts.h"

enum { RENEW, STEP, PROGRESS, FINISHING, FINISH, LEFT, REQUEUEING, REQUEUE };
static const struct pg_stmt sql[] = {
	/* $1 owner, $2 ids, $3 epochs, $4 lease in ms */
	[RENEW] = {"job_renew",
		"with j as ("
		"  update deployment_jobs j"
		"  set lease_until = clock_timestamp() + $4::bigint * interval '1 ms'"
		"  from unnest($2::uuid[], $3::integer[]) as mine (id, epoch)"
		"  where j.id = mine.id and j.epoch = mine.epoch"
		"  and j.state = 'running' and j.owner = $1 returning j.*)"
		" select " JOB_COLUMNS " from j join projects p on p.id = j.project_id"},
	[STEP] = {"job_step",
		"update deployment_jobs set step = $2, undoing = $3, takeovers = 0,"
		" error = case when $3 then $4 else error end,"
		" error_code = case when $3 then $5 else error_code end,"
		" failures = case when $3 then $6::jsonb else failures end"
		" where id = skep_uuid($1)"},
	/* $1 id, $2 events, $3 their number. `same`: the job's last events are these already. */
	[PROGRESS] = {"job_progress",
		"with e as materialized ("
		"  select * from rows from (jsonb_to_recordset($2::jsonb) as (kind text,"
		"   message text, service text, step text, state text, percent integer,"
		"   running integer, wanted integer)) with ordinality"
		"  as x (kind, message, service, step, state, percent, running, wanted, at)),"
		" same as materialized ("
		"  select count(*) = $3 as yes from deployment_jobs j join e on true"
		"  join events x on x.job_id = j.id"
		"  and x.job_sequence = j.last_sequence - $3 + e.at"
		"  and (x.kind, x.message, x.service, x.step, x.state, x.running, x.wanted)"
		"   = (e.kind, e.message, e.service, e.step, e.state, e.running, e.wanted)"
		"  and e.percent in (0, x.percent) where j.id = skep_uuid($1)),"
		" j as ("
		"  update deployment_jobs set last_sequence = last_sequence + $3,"
		"   percent = coalesce("
		"    (select percent from e where percent > 0 order by at desc limit 1), percent),"
		"   message = coalesce((select message from e where message <> '' and service = ''"
		"    order by at desc limit 1), message)"
		"  where id = skep_uuid($1) and not (select yes from same) returning *)"
		" insert into events (project_id, stack_id, job_id, job_sequence,"
		"  kind, message, service, step, state, percent, running, wanted)"
		" select j.project_id, j.stack_id, j.id, j.last_sequence - $3 + e.at,"
		"  e.kind, e.message, e.service, e.step, e.state,"
		"  case when e.percent > 0 then e.percent else j.percent end, e.running, e.wanted"
		" from j, e order by e.at"},
	/* $1 id, $2 epoch, $3 state: the fence, unless this very end was stored before */
	[FINISHING] = {"job_finishing",
		"select skep_fence(skep_uuid($1), $2) where not exists (select from deployment_jobs"
		" where id = skep_uuid($1) and epoch = $2 and state = $3::job_state)"},
	/* $4 error, $5 its code, $6 the same in one line, $7 failures. A release whose job did not succeed never
	 * became active. */
	[FINISH] = {"job_finish",
		"with j as ("
		"  update deployment_jobs set state = $3::job_state, error = $4, error_code = $5,"
		"   failures = $7::jsonb,"
		"   percent = case when $3::job_state = 'succeeded' then 100 else percent end,"
		"   lease_until = null, finished_at = clock_timestamp(),"
		"   last_sequence = last_sequence + 1"
		"  where id = skep_uuid($1) and epoch = $2 and state = 'running' returning *),"
		" release as ("
		"  update deployments d set state = 'failed', finished_at = j.finished_at from j"
		"  where d.id = j.deployment_id and d.state = 'pending' and j.state <> 'succeeded'),"
		" attempt as (" ATTEMPT_OF_J " where j.state <> 'succeeded')"
		EVENT_OF_J("'job.ended'", "$6")},
	/* $1 id, $2 error in one line. Neither a job that was given up nor a first deploy that was
	 * refused before it began has said anything of its stack. */
	[LEFT] = {"job_left",
		"with s as ("
		"  update orchestration_stacks s set status_message = $2, unfinished = $2,"
		"   status = case when s.active_deployment_id is null then 'failed'"
		"    else 'degraded' end::stack_status"
		"  from deployment_jobs j where j.id = skep_uuid($1) and s.id = j.stack_id"
		"  and j.state = 'failed' and (s.status in ('deploying', 'removing')"
		"   or s.active_deployment_id is null and j.step = ''"
		"    and j.kind in ('deploy', 'update', 'adopt'))"
		"  returning s.*),"
		" e as ("
		"  insert into events (project_id, stack_id, kind, state, message)"
		"  select project_id, id, 'stack.status', status, status_message from s)"
		" select pg_notify('skep_stacks', id::text) from s"},
	[REQUEUEING] = {"job_requeueing",
		"select skep_fence(skep_uuid($1), $2) where not exists (select from deployment_jobs"
		" where id = skep_uuid($1) and epoch = $2 and state = 'pending')"},
	/* $3 delay in ms, $4 failed, $5 keep the step, $6 error, $7 its code. A job that is handed
	 * back gets its attempt back. */
	[REQUEUE] = {"job_requeue",
		"with j as ("
		"  update deployment_jobs set state = 'pending', lease_until = null,"
		"   run_at = clock_timestamp() + $3::bigint * interval '1 ms',"
		"   attempt = case when $4 then attempt else greatest(attempt - 1, 0) end,"
		"   step = case when $5 then step else '' end, undoing = undoing and $5,"
		"   error = case when $4 then $6 else error end,"
		"   error_code = case when $4 then $7 else error_code end,"
		"   last_sequence = last_sequence + 1"
		"  where id = skep_uuid($1) and epoch = $2 and state = 'running' returning *),"
		" attempt as (" ATTEMPT_OF_J " where $4)"
		EVENT_OF_J("'job.requeued'", "case when $4 then error else 'handed back' end")},
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

static void bind_failures(struct db_call *c, const struct db_job_why *why)
{
	pg_bind_str(c->batch, why && why->failures.len ? why->failures : STR("[]"));
}

static const char *text_of(const struct db_job_why *why)
{
	return !why ? "" : why->text && why->text[0] ? why->text : why->st.message;
}

struct db_call *job_step(struct db *db, const char *id, int epoch, const char *step,
	const struct db_job_why *undoing, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_fence(c, id, epoch);
	call_add_text(c, &sql[STEP], id);
	call_bind(c, step);
	pg_bind_bool(c->batch, undoing != NULL);
	call_bind_lossy(c, text_of(undoing));
	call_bind(c, undoing ? st_code_name(undoing->st.code) : "");
	bind_failures(c, undoing);
	return call_run(c, call_deliver_plain);
}

static void bind_events(struct db_call *c, const struct db_event *events, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		const struct db_event *e = &events[i];
		json_t *o = json_object();
		call_json_text(o, "kind", e->kind);
		call_json_text(o, "message", e->message);
		call_json_text(o, "service", e->service);
		call_json_text(o, "step", e->step);
		call_json_text(o, "state", e->state);
		json_object_set_new(o, "percent", json_integer(e->percent));
		json_object_set_new(o, "running", json_integer(e->running));
		json_object_set_new(o, "wanted", json_integer(e->wanted));
		json_array_append_new(list, o);
	}
	pg_bind_text(c->batch, json_to_text(c->arena, list));
	json_decref(list);
}

struct db_call *job_progress(struct db *db, const char *id, int epoch,
	const struct db_event *events, size_t n, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_fence(c, id, epoch);
	if (n > 0) {
		call_add_text(c, &sql[PROGRESS], id);
		bind_events(c, events, n);
		pg_bind_i64(c->batch, (int64_t)n);
		call_add_text(c, &job_notify_event, id);
	}
	return call_run(c, call_deliver_plain);
}

struct db_call *job_finish(struct db *db, const char *id, int epoch, enum job_state state,
	const struct db_job_why *why, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_add_text(c, &sql[FINISHING], id);
	pg_bind_i64(c->batch, epoch);
	call_bind(c, job_state_name(state));
	call_add_text(c, &sql[FINISH], id);
	pg_bind_i64(c->batch, epoch);
	call_bind(c, job_state_name(state));
	call_bind_lossy(c, text_of(why));
	call_bind(c, why ? st_code_name(why->st.code) : "");
	call_bind_lossy(c, why ? why->st.message : "");
	bind_failures(c, why);
	if (state == JOB_FAILED) {
		call_add_text(c, &sql[LEFT], id);
		call_bind_lossy(c, why ? why->st.message : "");
	}
	call_add_text(c, &job_notify_event, id);
	call_add_text(c, &job_notify_waiting, id);
	return call_run(c, call_deliver_plain);
}

struct db_call *job_requeue(struct db *db, const char *id, int epoch, uint64_t delay_ms,
	bool failed, bool keep_step, const struct status *error, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	bool bad = error && !status_is_ok(error);
	c->done.plain = done;
	call_add_text(c, &sql[REQUEUEING], id);
	pg_bind_i64(c->batch, epoch);
	call_add_text(c, &sql[REQUEUE], id);
	pg_bind_i64(c->batch, epoch);
	pg_bind_i64(c->batch, (int64_t)delay_ms);
	pg_bind_bool(c->batch, failed);
	pg_bind_bool(c->batch, keep_step);
	call_bind_lossy(c, bad ? error->message : "");
	call_bind(c, bad ? st_code_name(error->code) : "");
	call_add_text(c, &job_notify_event, id);
	call_add_text(c, &job_notify_ready, id);
	return call_run(c, call_deliver_plain);
}
