/* db/projects.h, and what is used of db/registries.h, as calls. */
#include "fake_db.h"

#include <string.h>

/* ---- registries ---- */

static struct status nothing_effect(struct fake_call *c)
{
	(void)c;
	return status_ok();
}

static void deliver_registries(struct fake_call *c, const struct status *st)
{
	const struct store *s = fake_args(c)->store;
	bool ok = status_is_ok(st);
	((db_registries_done)c->done)(
		c->data, st, ok ? &s->registry : NULL, ok && s->registry.host ? 1 : 0, false);
}

static struct db_call *load_registries(
	struct db *db, const char *project_id, db_registries_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	(void)project_id;
	fake_call_start(c, 0, nothing_effect, deliver_registries, "registries_load");
	return fake_handle(c);
}

const struct db_registry_ops fake_registry_ops = {.load = load_registries};

/* ---- projects ---- */

static struct status project_result(
	struct fake_call *c, struct status st, const struct store_project *p)
{
	if (status_is_ok(&st)) {
		struct db_project *row = arena_new(c->arena, struct db_project);
		*row = store_project_row(fake_args(c)->store, p);
		c->result = row;
	}
	return st;
}

static struct status create_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_project *p = NULL;
	struct status st = store_project_create(g->store, &g->scope, g->project, g->text, &p);
	return project_result(c, st, p);
}

static void deliver_project(struct fake_call *c, const struct status *st)
{
	((db_project_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *project_create(struct db *db, const struct db_scope *s, const char *name,
	const char *description, db_project_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, name);
	fake_args(c)->text = arena_strdup(c->arena, description);
	fake_call_start(c, 0, create_effect, deliver_project, "project_create");
	return fake_handle(c);
}

static struct status update_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_project *p = NULL;
	struct status st =
		store_project_update(g->store, &g->scope, g->project, &g->change, &p);
	return project_result(c, st, p);
}

static struct db_call *project_update(struct db *db, const struct db_scope *s, const char *project,
	const struct db_project_change *change, db_project_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->change = *change;
	fake_args(c)->change.description = arena_strdup(c->arena, change->description);
	fake_args(c)->change.etag = arena_strdup(c->arena, change->etag);
	fake_call_start(c, 0, update_effect, deliver_project, "project_update");
	return fake_handle(c);
}

static struct status get_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_project *p = NULL;
	struct status st = store_project_ref(g->store, &g->scope, g->project, &p);
	return project_result(c, st, p);
}

static struct db_call *project_get(
	struct db *db, const struct db_scope *s, const char *project, db_project_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_call_start(c, 0, get_effect, deliver_project, "project_get");
	return fake_handle(c);
}

static struct status list_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_project *list;
	c->n = store_project_list(g->store, c->arena, &g->scope, &g->page, &list, &c->more);
	c->result = list;
	return status_ok();
}

static void deliver_projects(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_projects_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0, ok && c->more);
}

static struct db_call *project_list(
	struct db *db, const struct db_scope *s, const struct db_page *page, db_projects_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->page = fake_copy_page(c->arena, page);
	fake_call_start(c, 0, list_effect, deliver_projects, "project_list");
	return fake_handle(c);
}

static struct status remove_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_project_remove(g->store, &g->scope, g->project, g->text);
}

static struct db_call *project_remove(
	struct db *db, const struct db_scope *s, const char *project, const char *etag, db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->text = arena_strdup(c->arena, etag);
	fake_call_start(c, 0, remove_effect, fake_deliver_done, "project_remove");
	return fake_handle(c);
}

const struct db_project_ops fake_project_ops = {.create = project_create,
	.get = project_get,
	.list = project_list,
	.update = project_update,
	.remove = project_remove};
