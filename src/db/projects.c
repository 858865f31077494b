#include "db/projects.h"
#include <inttypes.h>
#include <stdio.h>
#include "db/call.h"
#include "db/jobs_parts.h"

#define COLUMNS                                                                                    \
	"p.id, p.name, p.description, skep_us(p.created_at), skep_us(p.updated_at),"               \
	" (select count(*) from orchestration_stacks s where s.project_id = p.id), p.drift_policy,"    \
	" p.weight, p.max_running"

enum {
	CREATE,
	REPLAY,
	GET,
	LIST,
	LOCK,
	NO_STACKS,
	NO_JOBS,
	DELETE,
	AUDIT,
	AUDIT_REMOVE,
	UPDATE,
	UPDATED,
	AUDIT_UPDATE,
	MATCH
};
static const struct pg_stmt sql[] = {
	[CREATE] = {"project_create",
		"insert into projects (id, name, description) values ($1, $2, $3)"},
	[REPLAY] = {"project_replay",
		"select " COLUMNS " from projects p where p.id = " REPLAYED_ID},
	/* $1 project, $2 scope */
	[GET] = {"project_get",
		"select " COLUMNS " from projects p where p.id = skep_project($1, $2)"},
	/* $1 scope, $2 before, $3 rows */
	[LIST] = {"project_list",
		"select " COLUMNS " from projects p"
		" where ($1::uuid is null or p.id = $1) and ($2::uuid is null or p.id < $2)"
		" order by p.id desc limit $3"},
	/* No stack can be made from here on: that takes a share of this lock. */
	[LOCK] = {"project_lock",
		"select from projects p where p.id = skep_project($1, $2) for update"},
	[NO_STACKS] = {"project_no_stacks",
		"select skep_raise(9, format("
		"  'project \"%s\" still has stacks (%s%s): remove them first', min(x.project),"
		"  string_agg(x.name, ', ' order by x.name) filter (where x.n <= 10),"
		"  case when count(*) > 10 then ', …' else '' end))"
		" from ("
		"  select p.name as project, s.name, row_number() over (order by s.name) as n"
		"  from orchestration_stacks s join projects p on p.id = s.project_id"
		"  where p.id = skep_project($1, $2)) x"
		" having count(*) > 0"},
	[NO_JOBS] = {"project_no_jobs",
		"select skep_raise(9, format("
		"  'job %s of project \"%s\" is still %s: wait for its end or cancel it',"
		"  j.id, p.name, j.state))"
		" from deployment_jobs j join projects p on p.id = j.project_id"
		" where p.id = skep_project($1, $2) and j.state in ('pending', 'running') limit 1"},
	[DELETE] = {"project_delete", "delete from projects where id = skep_project($1, $2)"},
	[AUDIT] = {"project_audit",
		"insert into audit_log (id, actor, method, request_id, project_id, target)"
		" select $1, $2, $3, $4, p.id, 'project/' || p.name from projects p"
		" where p.id = $5"},
	/* $1 project, $2 scope, $3 description, $4 policy (null = as it is), $5 weight, $6 cap */
	[UPDATE] = {"project_update",
		"update projects set description = coalesce($3::text, description),"
		"  drift_policy = coalesce($4::text::drift_policy, drift_policy),"
		"  weight = coalesce(nullif($5::integer, 0), weight),"
		"  max_running = case $6::integer when 0 then max_running else greatest($6, 0) end"
		" where id = skep_project($1, $2)"},
	/* What the answer names is known only now. $1 scope, $2 requester, $3 request id, $4 project, $5 scope */
	[UPDATED] = {"project_updated",
		"update request_ids set result_id = skep_project($4, $5)"
		" where scope = $1 and actor = $2 and request_id = $3"},
	[AUDIT_UPDATE] = {"project_audit_update",
		"insert into audit_log (id, actor, method, request_id, project_id, target, detail)"
		" select $1, $2, $3, $4, p.id, 'project/' || p.name,"
		"  jsonb_build_object('drift_policy', p.drift_policy, 'weight', p.weight,"
		"   'max_running', p.max_running)"
		" from projects p where p.id = skep_project($5, $6)"},
	/* $3 etag. Locks the row, so that what was compared is what is changed. */
	[MATCH] = {"project_match",
		"select skep_raise(10, format("
		"  'project \"%s\" has been changed since: read it again', x.name))"
		" from (select p.name, p.updated_at from projects p"
		"  where p.id = skep_project($1, $2) for update) x"
		" where to_hex(skep_us(x.updated_at)) <> $3"},
	[AUDIT_REMOVE] = {"project_audit_remove",
		"insert into audit_log (id, actor, method, request_id, project_id, target)"
		" select $1, $2, $3, $4, p.id, 'project/' || p.name from projects p"
		" where p.id = skep_project($5, $6)"},
};

static const char *const policy_names[] = {NULL, "report", "repair", NULL};

static void read_row(
	struct db_call *c, const struct pg_results *r, size_t stmt, int row, struct db_project *p)
{
	struct cursor at = {c, r, stmt, row, 0};
	p->id = next_uuid(&at);
	p->name = next_text(&at);
	p->description = next_text(&at);
	p->created_us = next_i64(&at);
	p->updated_us = next_i64(&at);
	p->stacks = next_int(&at);
	p->drift_policy = (enum drift_policy)next_enum(&at, policy_names);
	p->weight = next_int(&at);
	p->max_running = next_int(&at);
	(void)snprintf(p->etag, sizeof(p->etag), "%" PRIx64, (uint64_t)p->updated_us);
}

static void deliver(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	struct db_project p;
	struct status gone = r ? call_need_row(c, r, "project") : *st;
	if (!status_is_ok(&gone)) {
		c->done.project(c->data, &gone, NULL);
		return;
	}
	read_row(c, r, call_last(r), 0, &p);
	c->done.project(c->data, st, &p);
}

static void deliver_list(struct db_call *c, const struct status *st, const struct pg_results *r)
{
	bool more = false;
	size_t n = r ? call_page_rows(c, r, 0, &more) : 0;
	struct db_project *list = arena_array(c->arena, struct db_project, n);
	for (size_t i = 0; i < n; i++)
		read_row(c, r, 0, (int)i, &list[i]);
	c->done.projects(c->data, st, list, n, more);
}

static void add(struct db_call *c, const struct pg_stmt *s, const char *project,
	const struct db_scope *scope)
{
	call_add(c, s);
	call_bind(c, project);
	call_bind_scope(c, scope);
}

static void add_match(
	struct db_call *c, const char *project, const struct db_scope *scope, const char *etag)
{
	if (!etag || !etag[0])
		return;
	add(c, &sql[MATCH], project, scope);
	call_bind(c, etag);
}

static struct db_call *create(struct db *db, const struct db_scope *s, const char *name,
	const char *description, db_project_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	const char *id = call_uuid(c);
	c->done.project = done;
	c->subject = arena_strdup(c->arena, name);
	call_once(c, s, id, &sql[REPLAY]);
	call_add(c, &sql[CREATE]);
	call_bind_id(c, id);
	call_bind(c, name);
	call_bind(c, description);
	call_add(c, &sql[AUDIT]);
	call_bind_audit(c, s);
	call_bind_id(c, id);
	call_add(c, &sql[GET]);
	call_bind(c, id);
	call_bind_id(c, NULL);
	return call_run(c, deliver);
}

static struct db_call *get(struct db *db, const struct db_scope *s, const char *project,
	db_project_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.project = done;
	add(c, &sql[GET], project, s);
	return call_run(c, deliver);
}

static struct db_call *list(struct db *db, const struct db_scope *s, const struct db_page *page,
	db_projects_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.projects = done;
	call_add(c, &sql[LIST]);
	call_bind_scope(c, s);
	call_bind_page(c, page);
	return call_run(c, deliver_list);
}

static struct db_call *update(struct db *db, const struct db_scope *s, const char *project,
	const struct db_project_change *change, db_project_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.project = done;
	call_once(c, s, "", &sql[REPLAY]);
	add_match(c, project, s, change->etag);
	add(c, &sql[UPDATE], project, s);
	pg_bind_text(c->batch, change->description);
	pg_bind_text(c->batch, policy_names[change->drift_policy]);
	pg_bind_i64(c->batch, change->weight);
	pg_bind_i64(c->batch, change->max_running);
	if (change->weight != 0 || change->max_running != 0)
		job_add_turn(c);
	call_add_text(c, &sql[UPDATED], s->project_id);
	call_bind(c, call_requester(s));
	call_bind(c, s->request_id);
	call_bind(c, project);
	call_bind_scope(c, s);
	call_add(c, &sql[AUDIT_UPDATE]);
	call_bind_audit(c, s);
	call_bind(c, project);
	call_bind_scope(c, s);
	add(c, &sql[GET], project, s);
	return call_run(c, deliver);
}

static struct db_call *remove_(struct db *db, const struct db_scope *s, const char *project,
	const char *etag, db_done done, void *data)
{
	struct db_call *c = db_call_create(db, data);
	c->done.plain = done;
	call_once(c, s, "", NULL);
	add(c, &sql[LOCK], project, s);
	add_match(c, project, s, etag);
	add(c, &sql[NO_STACKS], project, s);
	add(c, &sql[NO_JOBS], project, s);
	call_add(c, &sql[AUDIT_REMOVE]);
	call_bind_audit(c, s);
	call_bind(c, project);
	call_bind_scope(c, s);
	add(c, &sql[DELETE], project, s);
	return call_run(c, call_deliver_plain);
}

const struct db_project_ops db_pg_projects = {create, get, list, update, remove_};
