#include "db/stacks.h"
#include "db/call.h"
#include "db/stacks_parts.h"

#define SELECT_STACK \
	"select s.id, s.project_id, s.active_deployment_id, s.last_job_id, p.name, s.name," \
	"  s.namespace, s.status_message, s.unfinished, s.status, a.number," \
	"  skep_us(s.created_at), skep_us(s.updated_at), n.running, n.total," \
	"  exists (select from deployment_jobs j where j.stack_id = s.id and" \
	"   (j.state = 'running' or j.state = 'pending' and j.step <> '')), s.adopted," \
	"  p.drift_policy = 'repair'" \
	" from orchestration_stacks s join projects p on p.id = s.project_id" \
	" left join deployments a on a.id = s.active_deployment_id," \
	" lateral (select count(*) as total," \
	"   count(*) filter (where i.state in ('running', 'completed')) as running" \
	"  from service_instances i where i.stack_id = s.id) n "
#define SERVICE_COLUMNS \
	"i.stack_id, i.service, i.engine_id, i.engine_name, i.image, i.mode, i.message, i.state," \
	" i.running, i.wanted"
/* $1 after, $2 rows */
#define WATCHED \
	"($1::uuid is null or s.id > $1) and (s.active_deployment_id is not null" \
	" or s.status in ('deploying', 'removing')" \
	" or exists (select from service_instances i where i.stack_id = s.id))" \
	" order by s.id limit $2"

enum { GET, GET_SERVICES, LIST_PROJECT, LIST_ALL, RELEASES, WATCH, WATCH_SERVICES };
static const struct pg_stmt sql[] = {
	/* $1 id, $2 project, $3 name, $4 scope */
	[GET] = {"stack_get", SELECT_STACK "where s.id = skep_stack($1, $2, $3, $4)"},
	[GET_SERVICES] = {"stack_get_services",
		"select " SERVICE_COLUMNS " from service_instances i"
		" where i.stack_id = skep_stack($1, $2, $3, $4) order by i.service"},
	[LIST_PROJECT] = {"stack_list_project",
		SELECT_STACK "where s.project_id = skep_project($1, $2)"
		" and ($3::uuid is null or s.id < $3) order by s.id desc limit $4"},
	[LIST_ALL] = {"stack_list_all",
		SELECT_STACK "where ($1::uuid is null or s.id < $1) order by s.id desc limit $2"},
	[RELEASES] = {"stack_releases",
		"select " RELEASE_COLUMNS RELEASE_FROM
		" where d.stack_id = skep_stack($1, $2, $3, $4)"
		" and ($5::uuid is null or d.id < $5) order by d.id desc limit $6"},
	[WATCH] = {"stack_watched", SELECT_STACK "where " WATCHED},
	[WATCH_SERVICES] = {"stack_watched_services",
		"select " SERVICE_COLUMNS " from service_instances i"
		" where i.stack_id in (select s.id from orchestration_stacks s where " WATCHED ")"
		" order by i.stack_id, i.service"},
};

static const char *const status_names[] = {NULL, "pending", "deploying", "running", "degraded",
	"drifted", "failed",
	"removing", NULL};
static const char *const release_names[] = {NULL, "pending", "active", "superseded", "failed",
	NULL};
static const char *const service_names[] = {NULL, "pending", "converging", "running", "degraded",
	"failed", "completed",
	"missing", NULL};
static const char *const policy_names[] = {NULL, "rollback", "pause", "continue", NULL};

const char *stack_status_name(enum stack_status s)
{
	return s >= STACK_PENDING && s <= STACK_REMOVING ? status_names[s] : "";
}

const char *service_state_name(enum service_state s)
{
	return s >= SERVICE_PENDING && s <= SERVICE_MISSING ? service_names[s] : "";
}

const char *failure_policy_name(enum failure_policy p)
{
	return p >= ON_FAILURE_ROLLBACK && p <= ON_FAILURE_CONTINUE ? policy_names[p] : "rollback";
}

struct str release_aad(struct db_call *c, const char *deployment_id, const char *column)
{
	return str_of(arena_fmt(c->arena, "deployments/%s/%s", deployment_id, column));
}

/* ---- reading ---- */

static void read_stack(struct db_call *c, const struct pg_results *r, int row, struct db_stack *s)
{
	struct cursor at = {c, r, 0, row, 0};
	s->id = next_uuid(&at);
	s->project_id = next_uuid(&at);
	s->active_deployment_id = next_uuid(&at);
	s->last_job_id = next_uuid(&at);
	s->project = next_text(&at);
	s->name = next_text(&at);
	s->namespace_ = next_text(&at);
	s->status_message = next_text(&at);
	s->unfinished = next_text(&at);
	s->status = (enum stack_status)next_enum(&at, status_names);
	s->active_number = next_i64(&at);
	s->created_us = next_i64(&at);
	s->updated_us = next_i64(&at);
	s->services_running = next_int(&at);
	s->services_total = next_int(&at);
	s->at_work = next_bool(&at);
	s->adopted = next_bool(&at);
	s->repairs_drift = next_bool(&at);
}

/* The services of statement 1 go to the stacks of statement 0; each statement sees a moment of its
 * own, so a stack may have none or be unknown. */
static void read_services(struct db_call *c, const struct pg_results *r, struct db_stack *stacks,
	size_t n)
{
	size_t rows = (size_t)pg_rows(r, 1);
	struct db_service *services = arena_array(c->arena, struct db_service, rows);
	size_t stack = 0;
	for (size_t i = 0; i < rows; i++) {
		struct cursor at = {c, r, 1, (int)i, 0};
		struct db_service *v = &services[i];
		const char *stack_id = next_text(&at);
		v->service = next_text(&at);
		v->engine_id = next_text(&at);
		v->engine_name = next_text(&at);
		v->image = next_text(&at);
		v->mode = next_text(&at);
		v->message = next_text(&at);
		v->state = (enum service_state)next_enum(&at, service_names);
		v->running = next_int(&at);
		v->wanted = next_int(&at);
		/* Both are in the order of stack ids. */
		while (stack < n && strcmp(stacks[stack].id.text, stack_id) < 0)
			stack++;
		if (stack == n || strcmp(stacks[stack].id.text, stack_id) != 0)
			continue;
		if (stacks[stack].n_services++ == 0)
			stacks[stack].services = v;
	}
}

void release_read(struct cursor *at, struct db_release *d)
{
	d->id = next_uuid(at);
	d->stack_id = next_uuid(at);
	d->project_id = next_uuid(at);
	d->job_id = next_uuid(at);
	d->number = next_i64(at);
	d->state = (enum release_state)next_enum(at, release_names);
	d->on_failure = (enum failure_policy)next_enum(at, policy_names);
	d->stall_seconds = next_int(at);
	d->rolled_back_to = next_i64(at);
	d->message = next_text(at);
	d->created_by = next_text(at);
	d->images = next_texts(at, &d->n_images);
	d->created_us = next_i64(at);
	d->finished_us = next_i64(at);
}

static void deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_stack s = {0};
	struct status gone = *st;
	if (r && pg_rows(r, 0) == 0)
		gone = status_err(ST_NOT_FOUND, "the stack does not exist any more");
	if (!status_is_ok(&gone)) {
		c->done.stack(c->data, &gone, NULL);
		return;
	}
	read_stack(c, r, 0, &s);
	read_services(c, r, &s, 1);
	c->done.stack(c->data, st, &s);
}

static void deliver_list(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	bool more = false;
	size_t n = r ? call_page_rows(c, r, 0, &more) : 0;
	struct db_stack *stacks = arena_array(c->arena, struct db_stack, n);
	for (size_t i = 0; i < n; i++)
		read_stack(c, r, (int)i, &stacks[i]);
	if (r && pg_result_count(r) > 1)
		read_services(c, r, stacks, n);
	c->done.stacks(c->data, st, stacks, n, more);
}

static void deliver_releases(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	bool more = false;
	size_t n = r ? call_page_rows(c, r, 0, &more) : 0;
	struct db_release *releases = arena_array(c->arena, struct db_release, n);
	for (size_t i = 0; i < n; i++) {
		struct cursor at = {c, r, 0, (int)i, 0};
		release_read(&at, &releases[i]);
	}
	c->done.releases(c->data, st, releases, n, more);
}

/* ---- the operations ---- */

static void add(struct db_call *c, const struct pg_stmt *s, const struct db_stack_ref *ref,
	const struct db_scope *scope)
{
	call_add_text(c, s, ref->id);
	call_bind(c, ref->project);
	call_bind(c, ref->name);
	call_bind_scope(c, scope);
}

static struct db_call *get(struct db *db, const struct db_scope *s, const struct db_stack_ref *r,
	db_stack_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.stack = done;
	add(c, &sql[GET], r, s);
	add(c, &sql[GET_SERVICES], r, s);
	return call_run(c, deliver);
}

static struct db_call *list(struct db *db, const struct db_scope *s, const char *project,
	const struct db_page *page, db_stacks_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.stacks = done;
	if (project[0] || s->project_id[0]) {
		call_add_text(c, &sql[LIST_PROJECT], project);
		call_bind_scope(c, s);
	} else {
		call_add(c, &sql[LIST_ALL]);
	}
	call_bind_page(c, page);
	return call_run(c, deliver_list);
}

static struct db_call *releases(struct db *db, const struct db_scope *s,
	const struct db_stack_ref *r, const struct db_page *page, db_releases_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.releases = done;
	add(c, &sql[RELEASES], r, s);
	call_bind_page(c, page);
	return call_run(c, deliver_releases);
}

static struct db_call *watched(struct db *db, const char *after_id, unsigned limit,
	db_stacks_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.stacks = done;
	c->page_size = limit;
	for (int i = WATCH; i <= WATCH_SERVICES; i++) {
		call_add(c, &sql[i]);
		call_bind_id(c, after_id);
		pg_bind_i64(c->batch, (int64_t)limit + 1);
	}
	return call_run(c, deliver_list);
}

const struct db_stack_ops db_pg_stacks = {
	.deploy = stack_deploy,
	.rollback = stack_rollback,
	.submit = stack_submit,
	.check_namespace = stack_check_namespace,
	.get = get,
	.list = list,
	.releases = releases,
	.load_release = stack_load_release,
	.store_source = stack_store_source,
	.good_releases = stack_good_releases,
	.reserved = stack_reserved,
	.store_rendered = stack_store_rendered,
	.set_status = stack_set_status,
	.activate = stack_activate,
	.fail_release = stack_fail_release,
	.removed = stack_removed,
	.set_networks = stack_set_networks,
	.watched = watched,
	.observe = stack_observe,
	.repair = stack_repair,
};
