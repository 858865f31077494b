/* db/stacks.h, as calls. */
#include "fake_db.h"

#include <string.h>

/* ---- callers' mutations ---- */

static struct status deploy_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st = store_deploy(g->store, &g->scope, &g->deploy, &j);
	return fake_job_result(c, st, j);
}

static struct db_call *deploy(struct db *db, const struct db_scope *s,
	const struct db_stack_deploy *d, db_job_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	struct db_stack_deploy *g = &fake_args(c)->deploy;
	*g = *d;
	g->project = arena_strdup(c->arena, d->project);
	g->name = arena_strdup(c->arena, d->name);
	g->namespace_ = arena_strdup(c->arena, d->namespace_ ? d->namespace_ : "");
	g->source = fake_copy_str(c->arena, d->source);
	g->params = fake_copy_str(c->arena, d->params);
	g->images = fake_copy_texts(c->arena, d->images, d->n_images);
	g->warnings = fake_copy_texts(c->arena, d->warnings, d->n_warnings);
	fake_call_start(c, 0, deploy_effect, fake_deliver_job, "deploy %s", d->name);
	return fake_handle(c);
}

static struct db_stack_ref copy_ref(struct arena *a, const struct db_stack_ref *r)
{
	return (struct db_stack_ref){arena_strdup(a, r->id ? r->id : ""),
		arena_strdup(a, r->project ? r->project : ""),
		arena_strdup(a, r->name ? r->name : "")};
}

static struct status rollback_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st = store_rollback(g->store, &g->scope, &g->rollback, &j);
	return fake_job_result(c, st, j);
}

static struct db_call *rollback(struct db *db, const struct db_scope *s,
	const struct db_stack_rollback *r, db_job_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->rollback = *r;
	fake_args(c)->rollback.stack = copy_ref(c->arena, &r->stack);
	fake_call_start(c, 0, rollback_effect, fake_deliver_job, "rollback %s", r->stack.name);
	return fake_handle(c);
}

static struct status submit_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st = store_submit(g->store, &g->scope, &g->submit, &j);
	return fake_job_result(c, st, j);
}

static struct db_call *submit(struct db *db, const struct db_scope *s, const struct db_stack_job *j,
	db_job_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->submit = *j;
	fake_args(c)->submit.stack = copy_ref(c->arena, &j->stack);
	fake_args(c)->submit.params = fake_copy_str(c->arena, j->params);
	fake_call_start(c, 0, submit_effect, fake_deliver_job, "submit %s %s",
		job_kind_name(j->kind), j->stack.name);
	return fake_handle(c);
}

static struct status namespace_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_check_namespace(g->store, &g->scope, g->project, g->stack, g->text);
}

static struct db_call *check_namespace(struct db *db, const struct db_scope *s, const char *project,
	const char *name, const char *namespace_, db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->stack = arena_strdup(c->arena, name);
	fake_args(c)->text = arena_strdup(c->arena, namespace_);
	fake_call_start(c, 0, namespace_effect, fake_deliver_done, "check_namespace");
	return fake_handle(c);
}

/* ---- reads ---- */

static void own_services(struct arena *a, struct db_stack *t)
{
	t->services = fake_copy_services(a, t->services, t->n_services);
	t->status_message = arena_strdup(a, t->status_message);
	t->unfinished = arena_strdup(a, t->unfinished);
}

static struct status get_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_stack *t = NULL;
	struct status st = store_stack_ref(g->store, &g->scope, &g->ref, &t);
	if (!status_is_ok(&st))
		return st;
	struct db_stack *row = arena_new(c->arena, struct db_stack);
	*row = store_stack_row(g->store, t);
	own_services(c->arena, row);
	c->result = row;
	return st;
}

static void deliver_stack(struct fake_call *c, const struct status *st)
{
	((db_stack_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *get(struct db *db, const struct db_scope *s, const struct db_stack_ref *r,
	db_stack_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->ref = copy_ref(c->arena, r);
	fake_call_start(c, 0, get_effect, deliver_stack, "stack_get");
	return fake_handle(c);
}

static void deliver_stacks(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_stacks_done)c->done)(
		c->data, st, ok ? c->result : NULL, ok ? c->n : 0, ok && c->more);
}

static struct status list_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_stack *stacks = NULL;
	struct status st = store_stack_list(g->store, c->arena, &g->scope, g->project, &g->page, &stacks, &c->n, &c->more);
	for (size_t i = 0; i < c->n; i++)
		own_services(c->arena, &stacks[i]);
	c->result = stacks;
	return st;
}

static struct db_call *list(struct db *db, const struct db_scope *s, const char *project, const struct db_page *page,
	db_stacks_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->page = fake_copy_page(c->arena, page);
	fake_call_start(c, 0, list_effect, deliver_stacks, "stack_list");
	return fake_handle(c);
}

static struct status releases_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_release *list_ = NULL;
	struct status st = store_release_list(g->store, c->arena, &g->scope, &g->ref, &g->page, &list_, &c->n, &c->more);
	c->result = list_;
	return st;
}

static void deliver_releases(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_releases_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0, ok && c->more);
}

static struct db_call *releases(struct db *db, const struct db_scope *s, const struct db_stack_ref *r, const struct db_page *page,
	db_releases_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->ref = copy_ref(c->arena, r);
	fake_args(c)->page = fake_copy_page(c->arena, page);
	fake_call_start(c, 0, releases_effect, deliver_releases, "stack_releases");
	return fake_handle(c);
}

static struct status load_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_release *r = NULL;
	struct status st = store_load_release(g->store, g->project, g->id, &r);
	if (!status_is_ok(&st))
		return st;
	struct db_release *row = arena_new(c->arena, struct db_release);
	*row = store_release_row(g->store, r);
	row->source = fake_copy_str(c->arena, row->source);
	row->rendered = fake_copy_str(c->arena, row->rendered);
	c->result = row;
	return st;
}

static void deliver_release(struct fake_call *c, const struct status *st)
{
	((db_release_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *load_release(struct db *db, const char *project_id,
	const char *deployment_id, db_release_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project_id);
	fake_args(c)->id = arena_strdup(c->arena, deployment_id);
	fake_call_start(c, 0, load_effect, deliver_release, "load_release");
	return fake_handle(c);
}

static struct status good_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_release_objects *list;
	c->n = store_good_releases(g->store, c->arena, g->project, g->stack, g->limit, &list);
	c->result = list;
	return status_ok();
}

static void deliver_good(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_release_objects_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static struct db_call *good_releases(struct db *db, const char *project_id, const char *stack_id,
	unsigned limit, db_release_objects_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project_id);
	fake_args(c)->stack = arena_strdup(c->arena, stack_id);
	fake_args(c)->limit = limit;
	fake_call_start(c, 0, good_effect, deliver_good, "good_releases");
	return fake_handle(c);
}

static struct status reserved_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_reserved *list = arena_array(c->arena, struct db_reserved, g->n + 1);
	for (size_t i = 0; i < g->n; i++)
		if (store_reserved(g->store, g->project, g->text, g->names[i], &list[c->n].stack))
			list[c->n++].name = g->names[i];
	c->result = list;
	return status_ok();
}

static void deliver_reserved(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_reserved_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static struct db_call *reserved(struct db *db, const char *project_id, const char *namespace_,
	const char *const *names, size_t n, db_reserved_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	struct fake_args *g = fake_args(c);
	const char **copy = arena_array(c->arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(c->arena, names[i]);
	g->project = arena_strdup(c->arena, project_id);
	g->text = arena_strdup(c->arena, namespace_);
	g->names = copy;
	g->n = n;
	fake_call_start(c, 0, reserved_effect, deliver_reserved, "reserved");
	return fake_handle(c);
}

/* ---- fenced writes ---- */

static struct fake_call *fenced(struct db *db, const struct db_job *job, const char *deployment_id,
	db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	struct fake_args *g = fake_args(c);
	g->job = (struct db_job){
		.id = job->id, .epoch = job->epoch, .stack_id = job->stack_id, .stack = ""};
	g->id = arena_strdup(c->arena, deployment_id);
	return c;
}

static struct status source_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_source(g->store, &g->job, g->id, g->bytes);
}

static struct db_call *store_source_(struct db *db, const struct db_job *job,
	const char *deployment_id, struct str source, db_done done, void *data)
{
	struct fake_call *c = fenced(db, job, deployment_id, done, data);
	fake_args(c)->bytes = fake_copy_str(c->arena, source);
	fake_call_start(c, 0, source_effect, fake_deliver_done, "store_source");
	return fake_handle(c);
}

static struct status rendered_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_rendered(g->store, &g->job, g->id, &g->rendered);
}

static struct db_call *store_rendered_(struct db *db, const struct db_job *job,
	const char *deployment_id, const struct db_rendered *r, db_done done, void *data)
{
	struct fake_call *c = fenced(db, job, deployment_id, done, data);
	fake_args(c)->rendered = (struct db_rendered){fake_copy_str(c->arena, r->text),
		fake_copy_texts(c->arena, r->images, r->n_images),
		fake_copy_texts(c->arena, r->objects, r->n_objects), r->n_images, r->n_objects};
	fake_call_start(c, 0, rendered_effect, fake_deliver_done, "store_rendered");
	return fake_handle(c);
}

static struct status status_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_set_status(g->store, &g->job, g->status, g->message);
}

static struct db_call *set_status(struct db *db, const struct db_job *job, enum stack_status status,
	const char *message, db_done done, void *data)
{
	struct fake_call *c = fenced(db, job, "", done, data);
	fake_args(c)->status = status;
	fake_args(c)->message = arena_strdup(c->arena, message);
	fake_call_start(c, 0, status_effect, fake_deliver_done, "set_status %s",
		stack_status_name(status));
	return fake_handle(c);
}

static struct status activate_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_activate(g->store, &g->job, g->id, g->services, g->n);
}

static struct db_call *activate(struct db *db, const struct db_job *job, const char *deployment_id,
	const struct db_service *services, size_t n, db_done done, void *data)
{
	struct fake_call *c = fenced(db, job, deployment_id, done, data);
	fake_args(c)->services = fake_copy_services(c->arena, services, n);
	fake_args(c)->n = n;
	fake_call_start(c, 0, activate_effect, fake_deliver_done, "activate");
	return fake_handle(c);
}

static struct status fail_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_fail_release(g->store, &g->job, g->id);
}

static struct db_call *fail_release(struct db *db, const struct db_job *job,
	const char *deployment_id, db_done done, void *data)
{
	struct fake_call *c = fenced(db, job, deployment_id, done, data);
	fake_call_start(c, 0, fail_effect, fake_deliver_done, "fail_release");
	return fake_handle(c);
}

static struct status removed_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_removed(g->store, &g->job);
}

static struct db_call *removed(struct db *db, const struct db_job *job, db_done done, void *data)
{
	struct fake_call *c = fenced(db, job, "", done, data);
	fake_call_start(c, 0, removed_effect, fake_deliver_done, "removed");
	return fake_handle(c);
}

static struct status networks_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_set_networks(g->store, &g->job, g->names, g->engine_names, g->n);
}

static struct db_call *set_networks(struct db *db, const struct db_job *job,
	const char *const *names, const char *const *engine_names, size_t n, db_done done,
	void *data)
{
	struct fake_call *c = fenced(db, job, "", done, data);
	fake_args(c)->names = fake_copy_texts(c->arena, names, n);
	fake_args(c)->engine_names = fake_copy_texts(c->arena, engine_names, n);
	fake_args(c)->n = n;
	fake_call_start(c, 0, networks_effect, fake_deliver_done, "set_networks");
	return fake_handle(c);
}

/* ---- the observer's ---- */

static struct status watched_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_stack *stacks;
	c->n = store_watched(g->store, c->arena, g->id, g->limit, &stacks, &c->more);
	for (size_t i = 0; i < c->n; i++)
		own_services(c->arena, &stacks[i]);
	c->result = stacks;
	return status_ok();
}

static struct db_call *watched(
	struct db *db, const char *after_id, unsigned limit, db_stacks_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->id = arena_strdup(c->arena, after_id);
	fake_args(c)->limit = limit;
	fake_call_start(c, 0, watched_effect, deliver_stacks, "watched");
	return fake_handle(c);
}

static struct status observe_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_observe(
		g->store, g->stack, g->status, g->message, g->text, g->services, g->n, g->ms);
}

static struct db_call *observe(struct db *db, const char *stack_id, enum stack_status status,
	const char *message, const char *drifted, const struct db_service *services, size_t n, uint64_t age_ms,
	db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	struct fake_args *g = fake_args(c);
	g->stack = arena_strdup(c->arena, stack_id);
	g->text = arena_strdup(c->arena, drifted);
	g->status = status;
	g->message = arena_strdup(c->arena, message);
	g->services = fake_copy_services(c->arena, services, n);
	g->n = n;
	g->ms = age_ms;
	fake_call_start(
		c, 0, observe_effect, fake_deliver_done, "observe %s", stack_status_name(status));
	return fake_handle(c);
}

static struct status repair_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st =
		store_repair(g->store, g->stack, g->id, g->text, (int)g->limit, &j);
	return fake_job_result(c, st, j);
}

static struct db_call *repair(struct db *db, const char *stack_id, const char *deployment_id,
	const char *why, int max_an_hour, db_job_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	struct fake_args *g = fake_args(c);
	g->stack = arena_strdup(c->arena, stack_id);
	g->id = arena_strdup(c->arena, deployment_id);
	g->text = arena_strdup(c->arena, why);
	g->limit = (unsigned)max_an_hour;
	fake_call_start(c, 0, repair_effect, fake_deliver_job, "repair");
	return fake_handle(c);
}

const struct db_stack_ops fake_stack_ops = {
	.deploy = deploy,
	.rollback = rollback,
	.submit = submit,
	.check_namespace = check_namespace,
	.get = get,
	.list = list,
	.releases = releases,
	.load_release = load_release,
	.store_source = store_source_,
	.good_releases = good_releases,
	.reserved = reserved,
	.store_rendered = store_rendered_,
	.set_status = set_status,
	.activate = activate,
	.fail_release = fail_release,
	.removed = removed,
	.set_networks = set_networks,
	.watched = watched,
	.observe = observe,
	.repair = repair,
};
