#include "db/stacks_parts.h"

/* The observer leaves it as it is, and who is at work: he may take back all that he does. */
#define UNFINISHED \
	"case when $4::bigint >= 0 then s.unfinished" \
	" when $2::stack_status in ('degraded', 'failed') then $3::text" \
	" when $2::stack_status in ('deploying', 'removing') then s.unfinished else '' end"

/* What was seen so many ms ago is not older than what a job has said of the stack. */
#define SEEN_SINCE(ms) "s.set_at <= clock_timestamp() - " ms " * interval '1 ms'"

enum { LOCK, STATUS, SERVICES, MAY_REPAIR, REPAIR };
static const struct pg_stmt sql[] = {
	/* What follows sees whether a job runs, and its writes: they take this lock too. */
	[LOCK] = {"observe_lock",
		"with s as ("
		"  select from orchestration_stacks where id = skep_uuid($1) for no key update)"
		" select skep_raise(5, format('stack \"%s\" does not exist', $1::text))"
		" where not exists (select from s)"},
	/* $1 stack, $2 status, $3 message, $4 how old what was seen is, in ms (STACK_OWN_STATUS: nobody has looked), $5 the service
	 * that drifted */
	[STATUS] = {"observe_status",
		"with s as ("
		"  update orchestration_stacks s"
		"  set status = $2::stack_status, status_message = $3,"
		"   unfinished = " UNFINISHED ","
		"   set_at = case when $4 < 0 then clock_timestamp() else s.set_at end"
		"  where s.id = skep_uuid($1)"
		"  and (s.status, s.status_message, s.unfinished)"
		"   is distinct from ($2::stack_status, $3::text, " UNFINISHED ")"
		"  and ($4 < 0 or " SEEN_SINCE("$4") " and not exists (select from deployment_jobs j"
		"   where j.stack_id = s.id and j.state = 'running')) returning s.*),"
		" e as ("
		"  insert into events (project_id, stack_id, kind, state, message)"
		"  select project_id, id, 'stack.status', status, status_message from s),"
		" d as ("
		"  insert into events (project_id, stack_id, kind, service, state, message)"
		"  select project_id, id, 'stack.drift', $5::text, status, status_message from s"
		"  where status = 'drifted')"
		" select pg_notify('skep_stacks', id::text) from s"},
	/* $1 stack, $2 services, $3 as $4 above. `old` is what was there before this statement. What was
	 * observed of a service that a release has taken away meanwhile does not bring its row back. */
	[SERVICES] = {"observe_services",
		"with seen as materialized ("
		"  select * from jsonb_to_recordset($2::jsonb) as x (service text,"
		"   engine_id text, engine_name text, image text, mode service_mode,"
		"   state service_state, running integer, wanted integer, message text)),"
		" old as materialized ("
		"  select * from service_instances where stack_id = skep_uuid($1)),"
		" gone as ("
		"  delete from service_instances i where i.stack_id = skep_uuid($1) and $3::bigint < 0"
		"  and not exists (select from seen where seen.service = i.service)"
		"  returning i.service),"
		" put as ("
		"  insert into service_instances as i (project_id, stack_id, service, engine_id,"
		"   engine_name, image, mode, state, running, wanted, message)"
		"  select s.project_id, s.id, v.service, v.engine_id,"
		"   v.engine_name, v.image, v.mode, v.state, v.running, v.wanted, v.message"
		"  from orchestration_stacks s, seen v where s.id = skep_uuid($1)"
		"  and ($3 < 0 or " SEEN_SINCE("$3") " and exists (select from old where old.service = v.service))"
		"  on conflict (stack_id, service) do update set engine_id = excluded.engine_id,"
		"   engine_name = excluded.engine_name, image = excluded.image,"
		"   mode = excluded.mode, state = excluded.state, running = excluded.running,"
		"   wanted = excluded.wanted, message = excluded.message"
		"  where (i.engine_id, i.engine_name, i.image, i.mode, i.state, i.running,"
		"    i.wanted, i.message)"
		"   is distinct from (excluded.engine_id, excluded.engine_name, excluded.image,"
		"    excluded.mode, excluded.state, excluded.running, excluded.wanted,"
		"    excluded.message) returning i.*),"
		" e as ("
		"  insert into events (project_id, stack_id, kind, service, state, message,"
		"   running, wanted)"
		"  select put.project_id, put.stack_id, 'service.state', put.service, put.state,"
		"   put.message, put.running, put.wanted"
		"  from put left join old on old.service = put.service"
		"  where $3 >= 0 and (old.state, old.running, old.wanted, old.message)"
		"   is distinct from (put.state, put.running, put.wanted, put.message))"
		" select pg_notify('skep_stacks', skep_uuid($1)::text)"
		" where exists (select from put) or exists (select from gone)"},
	/* $1 stack, $2 its release, $3 most within an hour. Who fights with somebody lets more and
	 * more time pass: 5 s, 15 s, 45 s, 135 s. */
	[MAY_REPAIR] = {"repair_may",
		"select case"
		" when p.drift_policy <> 'repair' then skep_raise(9, format("
		"  'project \"%s\" only reports drift', p.name))"
		" when s.active_deployment_id is distinct from skep_uuid($2)"
		"  then skep_raise(9, 'another release runs by now')"
		" when exists (select from deployment_jobs j where j.stack_id = s.id"
		"   and j.state in ('pending', 'running'))"
		"  then skep_raise(9, 'a job is at work on the stack')"
		" when (select count(*) from deployment_jobs j where j.stack_id = s.id"
		"   and j.created_by = 'observer' and j.created_at > now() - interval '1 hour')"
		"   >= $3::bigint then skep_raise(8, format("
		"    'stack \"%s\" was repaired %s times within an hour', s.name, $3::bigint))"
		" when now() < (select max(j.created_at) + interval '5 seconds'"
		"    * 3 ^ (count(*) - 1) from deployment_jobs j where j.stack_id = s.id"
		"   and j.created_by = 'observer' and j.created_at > now() - interval '1 hour')"
		"  then skep_raise(9, format("
		"   'stack \"%s\" was repaired a moment ago', s.name))"
		" end from orchestration_stacks s join projects p on p.id = s.project_id"
		" where s.id = skep_uuid($1)"},
	/* $1 stack, $2 its release, $3 the job, $4 attempts, $5 params */
	[REPAIR] = {"repair_put_job",
		"insert into deployment_jobs (id, project_id, stack_id, stack_name, deployment_id,"
		"  release_number, kind, created_by, max_attempts, params, last_sequence)"
		" select $3, s.project_id, s.id, s.name, d.id, d.number, 'update', 'observer',"
		"  $4, $5::jsonb, 1"
		" from orchestration_stacks s join deployments d on d.id = skep_uuid($2)"
		" where s.id = skep_uuid($1)"},
};

static void bind_services(struct db_call *c, const struct db_service *services, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		const struct db_service *v = &services[i];
		json_t *o = json_object();
		call_json_text(o, "service", v->service);
		call_json_text(o, "engine_id", v->engine_id);
		call_json_text(o, "engine_name", v->engine_name);
		call_json_text(o, "image", v->image);
		call_json_text(o, "mode", v->mode && v->mode[0] ? v->mode : "replicated");
		call_json_text(o, "state", v->state ? service_state_name(v->state) : "pending");
		call_json_text(o, "message", v->message);
		json_object_set_new(o, "running", json_integer(v->running));
		json_object_set_new(o, "wanted", json_integer(v->wanted));
		json_array_append_new(list, o);
	}
	pg_bind_text(c->batch, json_to_text(c->arena, list));
	json_decref(list);
}

void stack_add_status(struct db_call *c, const char *stack_id, enum stack_status status,
	const char *message, const char *drifted, int64_t age_ms)
{
	call_add_text(c, &sql[STATUS], stack_id);
	call_bind(c, stack_status_name(status));
	call_bind_lossy(c, message);
	pg_bind_i64(c->batch, age_ms);
	call_bind(c, drifted);
}

void stack_add_services(struct db_call *c, const char *stack_id, const struct db_service *services,
	size_t n, int64_t age_ms)
{
	call_add_text(c, &sql[SERVICES], stack_id);
	bind_services(c, services, n);
	pg_bind_i64(c->batch, age_ms);
}

struct db_call *stack_observe(struct db *db, const char *stack_id, enum stack_status status,
	const char *message, const char *drifted, const struct db_service *services, size_t n,
	uint64_t age_ms, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_add_text(c, &sql[LOCK], stack_id);
	stack_add_status(c, stack_id, status, message, drifted, (int64_t)age_ms);
	stack_add_services(c, stack_id, services, n, (int64_t)age_ms);
	return call_run(c, call_deliver_plain);
}

#define REPAIR_ATTEMPTS 3

struct db_call *stack_repair(struct db *db, const char *stack_id, const char *deployment_id,
	const char *why, int max_an_hour, db_job_done done, void *data)
{
	static const struct db_scope scope = {
		.project_id = "", .actor = "observer", .method = "drift/repair", .request_id = ""};
	struct db_call *c = db_call_create(db, data);
	const char *job_id = call_uuid(c);
	c->done.job = done;
	call_add_text(c, &sql[LOCK], stack_id);
	call_add_text(c, &sql[MAY_REPAIR], stack_id);
	call_bind(c, deployment_id);
	pg_bind_i64(c->batch, max_an_hour);
	call_add_text(c, &sql[REPAIR], stack_id);
	call_bind(c, deployment_id);
	call_bind_id(c, job_id);
	pg_bind_i64(c->batch, REPAIR_ATTEMPTS);
	json_t *params = json_object();
	call_json_text(params, "drift", why);
	call_bind(c, json_to_text(c->arena, params));
	json_decref(params);
	return stack_job_created(c, &scope, job_id);
}
