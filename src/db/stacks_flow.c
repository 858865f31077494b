#include "db/stacks_parts.h"
#include "crypto/crypto.h"

enum {
	LOAD,
	GOOD,
	RESERVED,
	NEED_RELEASE,
	SOURCE,
	RENDERED,
	SUPERSEDE,
	ACTIVATE,
	ACTIVE,
	FAIL,
	LOCK,
	KEEP,
	DROP,
	RELEASE_NETWORKS,
	PUT_NETWORKS,
	NOTIFY
};
static const struct pg_stmt sql[] = {
	/* $1 project, $2 id */
	[LOAD] = {"release_load",
		"select " RELEASE_COLUMNS ", d.archived_at is not null,"
		"  coalesce(d.source_of, d.id), d.source,"
		"  coalesce(d.rendered_of, d.id), d.rendered" RELEASE_FROM
		" where d.project_id = $1 and d.id = skep_uuid($2)"},

	/* $1 project, $2 stack, $3 limit */
	[GOOD] = {"release_good",
		"select d.number, to_json(d.objects) from deployments d"
		" where d.project_id = $1 and d.stack_id = skep_uuid($2)"
		" and d.state in ('active', 'superseded') order by d.id desc limit $3"},

	/* ---- the job is fenced: $1 release, $2 its stack ---- */
	[NEED_RELEASE] = {"release_need",
		"select skep_raise(5, format("
		"  'release \"%s\" is not one of the job''s stack', $1::text))"
		" where not exists ("
		"  select from deployments where id = skep_uuid($1) and stack_id = $2)"},
	[SOURCE] = {"release_source",
		"update deployments set source = $3 where id = skep_uuid($1) and stack_id = $2"},
	[RENDERED] = {"release_rendered",
		"update deployments set rendered = $3, rendered_of = null,"
		"  images = $4::text[], objects = $5::text[]"
		" where id = skep_uuid($1) and stack_id = $2"},
	[SUPERSEDE] = {"release_supersede",
		"update deployments set state = 'superseded'"
		" where stack_id = $2 and state = 'active' and id <> skep_uuid($1)"},
	[ACTIVATE] = {"release_activate",
		"update deployments set state = 'active',"
		"  finished_at = coalesce(finished_at, clock_timestamp())"
		" where id = skep_uuid($1) and stack_id = $2 and state <> 'active'"},
	[ACTIVE] = {"release_active",
		"update orchestration_stacks set active_deployment_id = skep_uuid($1)"
		" where id = $2"},
	[FAIL] = {"release_fail",
		"update deployments set state = 'failed', finished_at = clock_timestamp()"
		" where id = skep_uuid($1) and stack_id = $2 and state = 'pending'"},

	/* ---- removed: $1 stack ---- */
	/* The next statements see every job that was submitted before: that takes this lock too. */
	[LOCK] = {"stack_lock",
		"select from orchestration_stacks where id = skep_uuid($1) for update"},
	[KEEP] = {"stack_keep",
		"with kept as ("
		"  update orchestration_stacks s set status = 'pending', status_message = '',"
		"   active_deployment_id = null, adopted = false"
		"  where s.id = skep_uuid($1) and exists (select from deployment_jobs j"
		"   where j.stack_id = s.id and j.state = 'pending') returning s.id),"
		" release as ("
		"  update deployments d set state = 'superseded' from kept"
		"  where d.stack_id = kept.id and d.state = 'active'),"
		" services as ("
		"  delete from service_instances i using kept where i.stack_id = kept.id)"
		" update network_assignments n"
		" set state = 'released', released_at = clock_timestamp()"
		" from kept where n.stack_id = kept.id and n.state = 'assigned'"},
	[DROP] = {"stack_drop",
		"delete from orchestration_stacks s"
		" where s.id = skep_uuid($1) and not exists (select from deployment_jobs j"
		"  where j.stack_id = s.id and j.state = 'pending')"},
	[NOTIFY] = {"stack_notify", "select pg_notify('skep_stacks', skep_uuid($1)::text)"},

	/* $1 project, $2 its own namespace, $3 names. Where it lies in two, the stranger decides. */
	[RESERVED] = {"flow_reserved",
		"select distinct on (n.name) n.name,"
		"  case when o.project_id = skep_uuid($1) then o.name else '' end"
		" from unnest($3::text[]) as n (name)"
		" join orchestration_stacks o on starts_with(n.name, o.namespace || '_')"
		" where o.namespace <> $2 order by n.name, o.project_id = skep_uuid($1)"},

	/* ---- networks: $1 stack, $2 names, $3 the Engine's names ---- */
	[RELEASE_NETWORKS] = {"networks_release",
		"update network_assignments n"
		" set state = 'released', released_at = clock_timestamp()"
		" where n.stack_id = skep_uuid($1) and n.state = 'assigned' and not exists ("
		"  select from unnest($2::text[], $3::text[]) as w (name, engine_name)"
		"  where w.name = n.network and w.engine_name = n.engine_name)"},
	/* $4 ids for the new ones */
	[PUT_NETWORKS] = {"networks_put",
		"insert into network_assignments (id, project_id, stack_id, network, engine_name)"
		" select w.id, s.project_id, s.id, w.name, w.engine_name"
		" from orchestration_stacks s,"
		"  unnest($4::uuid[], $2::text[], $3::text[]) as w (id, name, engine_name)"
		" where s.id = skep_uuid($1) and not exists (select from network_assignments n"
		"  where n.stack_id = s.id and n.state = 'assigned'"
		"  and n.network = w.name and n.engine_name = w.engine_name)"},
};

/* ---- reading a release ---- */

/* Opens a sealed column, behind the id of the release that it was sealed for; null stays empty. */
static struct status open_column(
	struct db_call *c, struct cursor *at, const char *column, struct buf *b)
{
	const char *id = next_text(at);
	struct str sealed = pg_bytes(at->r, at->stmt, at->row, at->col++);
	if (sealed.len == 0)
		return status_ok();
	struct status st = crypto_open(c->db->keyring, release_aad(c, id, column), sealed, b);
	return status_wrap(&st, "%s of release %s", column, id);
}

/* What was opened may hold passwords: it does not stay in freed memory. */
static void wipe(struct buf *b)
{
	if (b->ptr)
		explicit_bzero(b->ptr, b->len);
	buf_finish(b);
}

static void deliver_release(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_release d = {0};
	struct buf source = {0}, rendered = {0};
	struct status why = *st;
	if (r && pg_rows(r, 0) == 0)
		why = status_err(
			ST_NOT_FOUND, "release \"%s\" does not exist", (const char *)c->params);
	if (status_is_ok(&why)) {
		struct cursor at = {c, r, 0, 0, 0};
		release_read(&at, &d);
		if (next_bool(&at))
			why = status_err(ST_FAILED_PRECONDITION,
				"release %lld was archived, its texts are gone: deploy them again",
				(long long)d.number);
		else
			why = open_column(c, &at, "source", &source);
		if (status_is_ok(&why))
			why = open_column(c, &at, "rendered", &rendered);
		d.source = buf_str(&source);
		d.rendered = buf_str(&rendered);
	}
	c->done.release(c->data, &why, status_is_ok(&why) ? &d : NULL);
	wipe(&source);
	wipe(&rendered);
}

struct db_call *stack_load_release(struct db *db, const char *project_id, const char *deployment_id,
	db_release_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.release = done;
	c->params = arena_strdup(c->arena, deployment_id);
	call_add(c, &sql[LOAD]);
	call_bind_id(c, project_id);
	call_bind(c, deployment_id);
	return call_run(c, deliver_release);
}

static void deliver_good(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t n = r ? (size_t)pg_rows(r, 0) : 0;
	struct db_release_objects *list = arena_array(c->arena, struct db_release_objects, n);
	for (size_t i = 0; i < n; i++) {
		struct cursor at = {c, r, 0, (int)i, 0};
		list[i].number = next_i64(&at);
		list[i].objects = next_texts(&at, &list[i].n_objects);
	}
	c->done.release_objects(c->data, st, list, n);
}

struct db_call *stack_good_releases(struct db *db, const char *project_id, const char *stack_id,
	unsigned limit, db_release_objects_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.release_objects = done;
	call_add(c, &sql[GOOD]);
	call_bind_id(c, project_id);
	call_bind(c, stack_id);
	pg_bind_i64(c->batch, limit);
	return call_run(c, deliver_good);
}

static void deliver_reserved(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	size_t n = r ? (size_t)pg_rows(r, 0) : 0;
	struct db_reserved *list = arena_array(c->arena, struct db_reserved, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct cursor at = {c, r, 0, (int)i, 0};
		list[i].name = next_text(&at);
		list[i].stack = next_text(&at);
	}
	c->done.reserved(c->data, st, list, n);
}

struct db_call *stack_reserved(struct db *db, const char *project_id, const char *namespace_,
	const char *const *names, size_t n_names, db_reserved_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.reserved = done;
	call_add(c, &sql[RESERVED]);
	call_bind_id(c, project_id);
	call_bind(c, namespace_);
	pg_bind_text_array(c->batch, names, n_names);
	return call_run(c, deliver_reserved);
}

/* ---- writes of a job ---- */

static struct db_call *fenced(struct db *db, const struct db_job *job, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	c->subject = arena_strdup(c->arena, job->stack);
	call_fence(c, job->id.text, job->epoch);
	return c;
}

static void add_release(struct db_call *c, const struct pg_stmt *s, const char *deployment_id,
	const struct db_job *job)
{
	call_add_text(c, s, deployment_id);
	call_bind_id(c, job->stack_id.text);
}

struct db_call *stack_store_source(struct db *db, const struct db_job *job,
	const char *deployment_id, struct str source, db_done done, void *data)
{
	struct db_call *c = fenced(db, job, done, data);
	struct buf sealed = {0};
	crypto_seal(c->db->keyring, release_aad(c, deployment_id, "source"), source, &sealed);
	add_release(c, &sql[NEED_RELEASE], deployment_id, job);
	add_release(c, &sql[SOURCE], deployment_id, job);
	pg_bind_bytes(c->batch, buf_str(&sealed));
	buf_finish(&sealed);
	return call_run(c, call_deliver_plain);
}

struct db_call *stack_store_rendered(struct db *db, const struct db_job *job,
	const char *deployment_id, const struct db_rendered *r, db_done done, void *data)
{
	struct db_call *c = fenced(db, job, done, data);
	struct buf sealed = {0};
	call_seal(c, release_aad(c, deployment_id, "rendered"), r->text, &sealed);
	add_release(c, &sql[NEED_RELEASE], deployment_id, job);
	add_release(c, &sql[RENDERED], deployment_id, job);
	pg_bind_bytes(c->batch, buf_str(&sealed));
	pg_bind_text_array(c->batch, r->images, r->n_images);
	pg_bind_text_array(c->batch, r->objects, r->n_objects);
	buf_finish(&sealed);
	return call_run(c, call_deliver_plain);
}

struct db_call *stack_set_status(struct db *db, const struct db_job *job, enum stack_status status,
	const char *message, db_done done, void *data)
{
	struct db_call *c = fenced(db, job, done, data);
	stack_add_status(c, job->stack_id.text, status, message, "", STACK_OWN_STATUS);
	return call_run(c, call_deliver_plain);
}

struct db_call *stack_activate(struct db *db, const struct db_job *job, const char *deployment_id,
	const struct db_service *services, size_t n, db_done done, void *data)
{
	struct db_call *c = fenced(db, job, done, data);
	add_release(c, &sql[NEED_RELEASE], deployment_id, job);
	add_release(c, &sql[SUPERSEDE], deployment_id, job);
	add_release(c, &sql[ACTIVATE], deployment_id, job);
	add_release(c, &sql[ACTIVE], deployment_id, job);
	stack_add_status(c, job->stack_id.text, STACK_RUNNING, "", "", STACK_OWN_STATUS);
	stack_add_services(c, job->stack_id.text, services, n, STACK_OWN_STATUS);
	call_add_text(c, &sql[NOTIFY], job->stack_id.text);
	return call_run(c, call_deliver_plain);
}

struct db_call *stack_fail_release(struct db *db, const struct db_job *job,
	const char *deployment_id, db_done done, void *data)
{
	struct db_call *c = fenced(db, job, done, data);
	add_release(c, &sql[NEED_RELEASE], deployment_id, job);
	add_release(c, &sql[FAIL], deployment_id, job);
	return call_run(c, call_deliver_plain);
}

struct db_call *stack_removed(struct db *db, const struct db_job *job, db_done done, void *data)
{
	struct db_call *c = fenced(db, job, done, data);
	call_add_text(c, &sql[LOCK], job->stack_id.text);
	call_add_text(c, &sql[KEEP], job->stack_id.text);
	call_add_text(c, &sql[DROP], job->stack_id.text);
	call_add_text(c, &sql[NOTIFY], job->stack_id.text);
	return call_run(c, call_deliver_plain);
}

struct db_call *stack_set_networks(struct db *db, const struct db_job *job,
	const char *const *names, const char *const *engine_names, size_t n, db_done done,
	void *data)
{
	struct db_call *c = fenced(db, job, done, data);
	const char **ids = arena_array(c->arena, const char *, n);
	for (size_t i = 0; i < n; i++)
		ids[i] = call_uuid(c);
	call_add_text(c, &sql[RELEASE_NETWORKS], job->stack_id.text);
	pg_bind_text_array(c->batch, names, n);
	pg_bind_text_array(c->batch, engine_names, n);
	call_add_text(c, &sql[PUT_NETWORKS], job->stack_id.text);
	pg_bind_text_array(c->batch, names, n);
	pg_bind_text_array(c->batch, engine_names, n);
	pg_bind_text_array(c->batch, ids, n);
	return call_run(c, call_deliver_plain);
}
