#include "db/stacks_parts.h"
#include "crypto/crypto.h"

enum { LOCK_PROJECT, LOCK_NAMESPACES, CHECK_NAMESPACE, CHECK_NEW, PUT_STACK, PUT_RELEASE, LOCK_STACK,
	ADMIT_NEW, ADMIT, NEED_ROOM, NEED_RELEASE, NEED_SERVICES, SUPERSEDE, DEPLOY_JOB, PUT_ROLLBACK, NEED_IDLE,
	PUT_REDEPLOY, STACK_JOB,
	CREATED };
static const struct pg_stmt sql[] = {
	/* ---- deploy: $1 project, $2 scope, $3 name ---- */
	/* It cannot be deleted from here on. */
	[LOCK_PROJECT] = {"deploy_lock_project", "select skep_lock_project($1, $2)"},
	/* $4 backlog, $5 a minute, $6 burst */
	[ADMIT_NEW] = {"deploy_admit",
		"select skep_admit_job(skep_project($1, $2), $4, $5, $6) where $3 <> ''"},
	/* A new stack: one at a time, so that the next statement sees every other namespace. */
	[LOCK_NAMESPACES] = {"deploy_lock_namespaces",
		"select pg_advisory_xact_lock(hashtext('skep_namespaces'))"
		" where not exists (select from orchestration_stacks"
		"  where project_id = skep_project($1, $2) and name = $3)"},
	/* $4 namespace. The Engine's names are <namespace>_<service>: of two namespaces a and a_b,
	 * service b_web of the first and web of the second would be the same. Inside a project that
	 * is left to the deploy itself. */
	[CHECK_NAMESPACE] = {"deploy_check_namespace",
		"select case"
		" when w.has <> '' and w.wish in ('', w.has) then null"
		" when w.has <> '' then skep_raise(9, format("
		"  'stack \"%s\" has the namespace \"%s\" since its first deploy:"
			" it cannot become \"%s\"', $3::text, w.has, w.wish))"
		" when length(w.name) > 63 then skep_raise(3, format("
		"  'namespace \"%s\" has %s characters and the Engine takes 63:"
			" choose a shorter one', w.name, length(w.name)))"
		" when exists (select from orchestration_stacks o where o.namespace = w.name"
		"   or o.project_id <> w.project_id and (starts_with(o.namespace, w.name || '_')"
		"    or starts_with(w.name, o.namespace || '_')))"
		"  then skep_raise(6, format("
		"  'namespace \"%s\" is taken, or its services would share names with another"
			" stack: choose another one', w.name))"
		" end from ("
		"  select p.id as project_id, coalesce(s.namespace, '') as has, $4::text as wish,"
		"   coalesce(nullif($4::text, ''), p.name || '-' || $3::text) as name"
		"  from projects p"
		"  left join orchestration_stacks s on s.project_id = p.id and s.name = $3"
		"  where p.id = skep_project($1, $2)) w"},
	/* One whose adoption never began can be adopted again. */
	[CHECK_NEW] = {"adopt_check_new",
		"select skep_raise(6, format("
		"  'stack \"%s\" exists already in this project:"
			" adopt under another name, or remove it first', $3::text))"
		" where exists (select from orchestration_stacks"
		"  where project_id = skep_project($1, $2) and name = $3"
		"  and not (adopted and active_deployment_id is null))"},
	/* $4 namespace, $5 id, $6 adopted. One that exists is locked: its releases and jobs come one after the
	 * other. */
	[PUT_STACK] = {"deploy_put_stack",
		"insert into orchestration_stacks as s (id, project_id, name, namespace, adopted)"
		" select $5, p.id, $3, coalesce(nullif($4::text, ''), p.name || '-' || $3::text), $6"
		" from projects p where p.id = skep_project($1, $2)"
		" on conflict (project_id, name) do update set status_message = s.status_message"},
	/* $4 id, $5 policy, $6 source, $7 images, $8 actor, $9 job, $10 stall limit */
	[PUT_RELEASE] = {"deploy_put_release",
		"insert into deployments (id, project_id, stack_id, number, on_failure, source,"
		"  images, created_by, job_id, stall_seconds)"
		" select $4, s.project_id, s.id, 1 + coalesce("
		"   (select max(d.number) from deployments d where d.stack_id = s.id), 0),"
		"  $5::failure_policy, $6, $7::text[], $8, $9, $10"
		" from orchestration_stacks s"
		" where s.project_id = skep_project($1, $2) and s.name = $3"},
	/* $1 id, $2 release, $3 actor, $4 warnings, $5 attempts, $6 params, $7 adopt */
	[DEPLOY_JOB] = {"deploy_put_job",
		"insert into deployment_jobs (id, project_id, stack_id, stack_name, deployment_id,"
		"  release_number, kind, created_by, warnings, max_attempts, last_sequence,"
		"  params)"
		" select $1, s.project_id, s.id, s.name, d.id, d.number,"
		"  case when $7 then 'adopt'::job_kind when d.rolled_back_to > 0 then 'rollback'"
		"   when s.active_deployment_id is null then 'deploy' else 'update' end,"
		"  $3, $4::text[], $5, 1, $6::jsonb"
		" from deployments d join orchestration_stacks s on s.id = d.stack_id"
		" where d.id = $2"},

	/* $1 id, $2 project, $3 name, $4 scope of the stack, $5 id, $6 job, $7 target, $8 policy,
	 * $9 stall limit, $10 actor */
	[PUT_ROLLBACK] = {"rollback_put_release",
		"insert into deployments (id, project_id, stack_id, number, on_failure,"
		"  source, source_of, rendered, rendered_of, objects, images, created_by, job_id,"
		"  stall_seconds, rolled_back_to)"
		" select $5, t.project_id, t.stack_id,"
		"  1 + (select max(d.number) from deployments d where d.stack_id = t.stack_id),"
		"  $8::failure_policy, t.source, coalesce(t.source_of, t.id),"
		"  t.rendered, coalesce(t.rendered_of, t.id), t.objects, t.images, $10, $6,"
		"  $9, coalesce(nullif(t.rolled_back_to, 0), t.number)"
		" from (select skep_rollback_target(skep_stack($1, $2, $3, $4), $7) as id) w"
		" join deployments t on t.id = w.id"},

	/* ---- redeploy: $1 id, $2 project, $3 name, $4 scope of the stack, $5 id, $6 job, $7 actor ---- */
	/* It would overtake, or undo, what is under way. */
	[NEED_IDLE] = {"redeploy_need_idle",
		"select case"
		" when j.id is not null then skep_raise(9, format('job %s (%s) of stack \"%s\" has not ended', j.id, j.kind, s.name))"
		" when s.active_deployment_id is null then skep_raise(9, format("
		"  'stack \"%s\" has no release that runs: deploy it first', s.name))"
		" end from orchestration_stacks s left join lateral ("
		"  select j.id, j.kind from deployment_jobs j where j.stack_id = s.id and j.state in ('pending', 'running')"
		"  and j.kind in ('deploy', 'update', 'adopt', 'rollback', 'remove') order by j.id limit 1) j on true"
		" where s.id = skep_stack($1, $2, $3, $4)"},
	[PUT_REDEPLOY] = {"redeploy_put_release",
		"insert into deployments (id, project_id, stack_id, number, on_failure,"
		"  source, source_of, images, created_by, job_id, stall_seconds)"
		" select $5, t.project_id, t.stack_id,"
		"  1 + (select max(d.number) from deployments d where d.stack_id = t.stack_id),"
		"  t.on_failure, t.source, coalesce(t.source_of, t.id), t.images, $7, $6, t.stall_seconds"
		" from orchestration_stacks s join deployments t on t.id = s.active_deployment_id"
		" where s.id = skep_stack($1, $2, $3, $4)"},

	/* ---- submit: $1 id, $2 project, $3 name, $4 scope of the stack ---- */
	[LOCK_STACK] = {"submit_lock_stack", "select skep_lock_stack($1, $2, $3, $4)"},
	/* $5 backlog, $6 a minute, $7 burst */
	[ADMIT] = {"submit_admit",
		"select skep_admit_job(s.project_id, $5, $6, $7) from orchestration_stacks s"
		" where s.id = skep_stack($1, $2, $3, $4)"},
	/* The new job is counted too. A claim looks at each one that waits behind another. */
	[NEED_ROOM] = {"submit_need_room",
		"select skep_raise_for(8, format("
		"  '%s jobs of stack \"%s\" wait already: let them run, or cancel some',"
		"  count(*) - 1, min(s.name)), 5000)"
		" from orchestration_stacks s join deployment_jobs j on j.stack_id = s.id"
		" where s.id = skep_stack($1, $2, $3, $4) and j.state = 'pending'"
		" having count(*) > 100"},
	/* Of the jobs that make or remove services, the last one that has not ended decides. */
	[NEED_RELEASE] = {"submit_need_release",
		"select case"
		" when last.kind = 'remove'"
		"  then skep_raise(9, format('stack \"%s\" is being removed', s.name))"
		" when last.kind is null and s.active_deployment_id is null"
		"  then skep_raise(9, format("
		"   'stack \"%s\" has no release that runs: deploy it first', s.name))"
		" end from orchestration_stacks s left join lateral ("
		"  select j.kind from deployment_jobs j where j.stack_id = s.id"
		"  and j.kind in ('deploy', 'update', 'adopt', 'rollback', 'remove')"
		"  and j.state in ('pending', 'running')"
		"  order by j.id desc limit 1) last on true"
		" where s.id = skep_stack($1, $2, $3, $4)"},
	/* $5 params, $6 kind. While a job may still bring the service, the job itself looks. */
	[NEED_SERVICES] = {"submit_need_services",
		"select case"
		" when i.service is null then skep_raise(5, format("
		"  'service \"%s\" is not in stack \"%s\": it has %s', w.name, s.name,"
		"  (select coalesce(string_agg(x.service, ', ' order by x.service), 'none')"
		"   from service_instances x where x.stack_id = s.id)))"
		" when $6 = 'scale' and i.mode in ('global', 'global-job')"
		"  then skep_raise(9, format('service \"%s\" runs once on every node (mode %s):"
		" it cannot be scaled', w.name, i.mode))"
		" end from orchestration_stacks s cross join lateral ("
		"  select jsonb_object_keys($5::jsonb -> 'replicas')"
		"   union all select jsonb_array_elements_text($5::jsonb -> 'services')"
		" ) as w (name)"
		" left join service_instances i on i.stack_id = s.id and i.service = w.name"
		" where s.id = skep_stack($1, $2, $3, $4) and not exists ("
		"  select from deployment_jobs j where j.stack_id = s.id"
		"  and j.state in ('pending', 'running') and j.kind not in ('scale', 'restart'))"},
	/* $5 job, $6 kind, $7 params, $8 actor, $9 attempts */
	[STACK_JOB] = {"submit_put_job",
		"insert into deployment_jobs (id, project_id, stack_id, stack_name, kind, params,"
		"  created_by, max_attempts, last_sequence)"
		" select $5, s.project_id, s.id, s.name, $6::job_kind, $7::jsonb, $8, $9, 1"
		" from orchestration_stacks s where s.id = skep_stack($1, $2, $3, $4)"},

	/* ---- both: $1 the new job ---- */
	/* What waits and would only be done over: older releases by a newer one, everything by a
	 * remove. One that was handed back in the middle is asked to stop: it takes back what it began,
	 * which the newer one may never come to do over. */
	[SUPERSEDE] = {"submit_supersede",
		"with old as ("
		"  update deployment_jobs o set"
		"   state = case when o.step = '' then 'cancelled' else o.state end,"
		"   error = case when o.step = '' then 'superseded by job ' || n.id else o.error end,"
		"   error_code = case when o.step = '' then 'ABORTED' else o.error_code end,"
		"   finished_at = case when o.step = '' then clock_timestamp() end,"
		"   cancel_requested = o.cancel_requested or o.step <> '',"
		"   run_at = case when o.step = '' then o.run_at else least(o.run_at, n.run_at) end,"
		"   last_sequence = o.last_sequence + 1"
		"  from deployment_jobs n"
		"  where n.id = skep_uuid($1) and o.stack_id = n.stack_id and o.id <> n.id"
		"  and o.state = 'pending' and (o.step = '' or not o.cancel_requested)"
		"  and (o.kind in ('deploy', 'update', 'rollback')"
		"   or o.kind <> 'remove' and n.kind = 'remove') returning o.*),"
		" release as ("
		"  update deployments d set state = 'failed', finished_at = old.finished_at"
		"  from old where d.id = old.deployment_id and d.state = 'pending'"
		"  and old.state = 'cancelled'),"
		" e as ("
		"  insert into events (project_id, stack_id, job_id, job_sequence, kind, state,"
		"   message, step, percent)"
		"  select project_id, stack_id, id, last_sequence,"
		"   case state when 'cancelled' then 'job.ended' else 'job.cancel_requested' end, state,"
		"   'superseded by job ' || skep_uuid($1), step, percent from old)"
		" select pg_notify('skep_events', id::text) from old"},
	[CREATED] = {"submit_created",
		"with j as (select * from deployment_jobs where id = skep_uuid($1)),"
		" stack as ("
		"  update orchestration_stacks s set last_job_id = j.id from j"
		"  where s.id = j.stack_id)"
		" insert into events (project_id, stack_id, job_id, job_sequence, kind, state,"
		"  message)"
		" select project_id, stack_id, id, 1, 'job.created', state, case"
		"  when kind = 'rollback' then format('rollback to release %s, as release %s',"
		"   (select rolled_back_to from deployments d where d.id = deployment_id),"
		"   release_number)"
		"  when release_number > 0 then format('%s of release %s', kind, release_number)"
		"  else kind::text end from j"},
};

static int attempts(int wish)
{
	return wish < 1 ? 1 : wish;
}

static void bind_limits(struct db_call *c)
{
	const struct db_job_limits *l = &c->db->limits;
	pg_bind_i64(c->batch, l->backlog);
	pg_bind_i64(c->batch, l->per_minute);
	pg_bind_i64(c->batch, l->burst);
}

/* A statement about the stack that is deployed: $1 project, $2 scope, $3 name. */
static void add(struct db_call *c, const struct pg_stmt *s, const struct db_scope *scope,
	const struct db_stack_deploy *d)
{
	call_add_text(c, s, d->project);
	call_bind_scope(c, scope);
	call_bind(c, d->name);
}

static void put_release(struct db_call *c, const struct db_scope *s,
	const struct db_stack_deploy *d, const char *id, const char *job_id)
{
	struct buf sealed = {0};
	call_seal(c, release_aad(c, id, "source"), d->source, &sealed);
	add(c, &sql[PUT_RELEASE], s, d);
	call_bind_id(c, id);
	call_bind(c, failure_policy_name(d->on_failure));
	pg_bind_bytes(c->batch, buf_str(&sealed));
	pg_bind_text_array(c->batch, d->images, d->n_images);
	call_bind(c, s->actor);
	call_bind_id(c, job_id);
	pg_bind_i64(c->batch, d->stall_seconds);
	buf_finish(&sealed);
}

static void put_job(struct db_call *c, const struct db_scope *s, const char *id,
	const char *release_id, const struct db_stack_deploy *new)
{
	call_add(c, &sql[DEPLOY_JOB]);
	call_bind_id(c, id);
	call_bind_id(c, release_id);
	call_bind(c, s->actor);
	pg_bind_text_array(c->batch, new->warnings, new->n_warnings);
	pg_bind_i64(c->batch, attempts(new->max_attempts));
	pg_bind_str(c->batch, new->params.len ? new->params : STR("{}"));
	pg_bind_bool(c->batch, new->adopt);
	call_add_text(c, &sql[SUPERSEDE], id);
}

struct db_call *stack_job_created(struct db_call *c, const struct db_scope *s, const char *job_id)
{
	call_add_text(c, &sql[CREATED], job_id);
	job_add_answer(c, s, job_id);
	return call_run(c, job_deliver);
}

struct db_call *stack_deploy(struct db *db, const struct db_scope *s,
	const struct db_stack_deploy *d, db_job_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *job_id = call_uuid(c), *id = call_uuid(c);
	c->done.job = done;
	c->subject = arena_strdup(c->arena, d->name);
	call_once(c, s, job_id, &job_replay);
	call_add_text(c, &sql[LOCK_PROJECT], d->project);
	call_bind_scope(c, s);
	add(c, &sql[ADMIT_NEW], s, d);
	bind_limits(c);
	add(c, &sql[LOCK_NAMESPACES], s, d);
	add(c, &sql[CHECK_NAMESPACE], s, d);
	call_bind(c, d->namespace_);
	if (d->adopt)
		add(c, &sql[CHECK_NEW], s, d);
	add(c, &sql[PUT_STACK], s, d);
	call_bind(c, d->namespace_);
	call_bind_id(c, call_uuid(c));
	pg_bind_bool(c->batch, d->adopt);
	put_release(c, s, d, id, job_id);
	put_job(c, s, job_id, id, d);
	return stack_job_created(c, s, job_id);
}

struct db_call *stack_check_namespace(struct db *db, const struct db_scope *s, const char *project,
	const char *name, const char *namespace_, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const struct db_stack_deploy d = {.project = project, .name = name};
	c->done.plain = done;
	add(c, &sql[CHECK_NAMESPACE], s, &d);
	call_bind(c, namespace_);
	return call_run(c, call_deliver_plain);
}

/* A statement about the stack of a job. */
static void add_ref(struct db_call *c, const struct pg_stmt *s, const struct db_scope *scope,
	const struct db_stack_ref *r)
{
	call_add_text(c, s, r->id);
	call_bind(c, r->project);
	call_bind(c, r->name);
	call_bind_scope(c, scope);
}

struct db_call *stack_rollback(struct db *db, const struct db_scope *s,
	const struct db_stack_rollback *r, db_job_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *job_id = call_uuid(c), *id = call_uuid(c);
	c->done.job = done;
	call_once(c, s, job_id, &job_replay);
	add_ref(c, &sql[LOCK_STACK], s, &r->stack);
	add_ref(c, &sql[ADMIT], s, &r->stack);
	bind_limits(c);
	add_ref(c, &sql[NEED_RELEASE], s, &r->stack);
	add_ref(c, &sql[PUT_ROLLBACK], s, &r->stack);
	call_bind_id(c, id);
	call_bind_id(c, job_id);
	pg_bind_i64(c->batch, r->to);
	call_bind(c, failure_policy_name(r->on_failure));
	pg_bind_i64(c->batch, r->stall_seconds);
	call_bind(c, s->actor);
	put_job(c, s, job_id, id, &(struct db_stack_deploy){.max_attempts = r->max_attempts});
	add_ref(c, &sql[NEED_ROOM], s, &r->stack);
	return stack_job_created(c, s, job_id);
}

void stack_add_redeploy(struct db_call *c, const struct db_scope *s, const char *job_id, const struct db_stack_ref *stack,
	int max_attempts)
{
	const char *id = call_uuid(c);
	add_ref(c, &sql[LOCK_STACK], s, stack);
	add_ref(c, &sql[ADMIT], s, stack);
	bind_limits(c);
	add_ref(c, &sql[NEED_IDLE], s, stack);
	add_ref(c, &sql[PUT_REDEPLOY], s, stack);
	call_bind_id(c, id);
	call_bind_id(c, job_id);
	call_bind(c, s->actor);
	put_job(c, s, job_id, id,
		&(struct db_stack_deploy){.max_attempts = max_attempts, .params = STR("{\"resolve_image\":\"always\"}")});
	add_ref(c, &sql[NEED_ROOM], s, stack);
}

void stack_need_services(struct db_call *c, const struct db_scope *s, const struct db_stack_ref *stack, enum job_kind kind,
	struct str params)
{
	add_ref(c, &sql[NEED_SERVICES], s, stack);
	pg_bind_str(c->batch, params.len ? params : STR("{}"));
	call_bind(c, job_kind_name(kind));
}

void stack_add_job(struct db_call *c, const struct db_scope *s, const char *job_id, const struct db_stack_job *j)
{
	add_ref(c, &sql[LOCK_STACK], s, &j->stack);
	add_ref(c, &sql[ADMIT], s, &j->stack);
	bind_limits(c);
	if (j->kind != JOB_REMOVE)
		add_ref(c, &sql[NEED_RELEASE], s, &j->stack);
	if (j->kind == JOB_SCALE || j->kind == JOB_RESTART)
		stack_need_services(c, s, &j->stack, j->kind, j->params);
	add_ref(c, &sql[STACK_JOB], s, &j->stack);
	call_bind_id(c, job_id);
	call_bind(c, job_kind_name(j->kind));
	pg_bind_str(c->batch, j->params.len ? j->params : STR("{}"));
	call_bind(c, s->actor);
	pg_bind_i64(c->batch, attempts(j->max_attempts));
	if (j->kind == JOB_REMOVE)
		call_add_text(c, &sql[SUPERSEDE], job_id);
	add_ref(c, &sql[NEED_ROOM], s, &j->stack);
}

struct db_call *stack_submit(struct db *db, const struct db_scope *s, const struct db_stack_job *j,
	db_job_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *job_id = call_uuid(c);
	c->done.job = done;
	call_once(c, s, job_id, &job_replay);
	stack_add_job(c, s, job_id, j);
	return stack_job_created(c, s, job_id);
}
