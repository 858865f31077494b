/* db/schedules.h, as calls. */
#include "fake_db.h"

struct due {
	struct db_schedule *list;
	int64_t now_us, due_ms;
};

static struct status due_effect(struct fake_call *c)
{
	struct due *d = c->result;
	c->n = store_schedules_due(fake_args(c)->store, c->arena, fake_args(c)->limit, &d->list, &d->due_ms);
	d->now_us = store_schedule_now_us(fake_args(c)->store);
	return status_ok();
}

static void deliver_due(struct fake_call *c, const struct status *st)
{
	const struct due *d = c->result;
	bool ok = status_is_ok(st);
	((db_schedules_due_done)c->done)(c->data, st, ok ? d->list : NULL, ok ? c->n : 0, ok ? d->now_us : 0, ok ? d->due_ms : -1);
}

static struct db_call *due(struct db *db, unsigned limit, db_schedules_due_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->limit = limit;
	c->result = arena_new(c->arena, struct due);
	fake_call_start(c, 0, due_effect, deliver_due, "schedules_due");
	return fake_handle(c);
}

/* The arguments: id and revision are what counts. */
static struct fake_call *about(
	struct db *db, const struct db_schedule *s, const struct db_schedule_times *next, void (*done)(void), void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, done, data);
	fake_args(c)->schedule = (struct db_schedule){.id = s->id, .revision = s->revision};
	fake_args(c)->times = *next;
	return c;
}

static struct status fire_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st = store_schedule_fire(g->store, &g->schedule, (int)g->limit, &g->times, &j);
	return fake_job_result(c, st, j);
}

static struct db_call *fire(struct db *db, const struct db_schedule *s, int attempts, const struct db_schedule_times *next,
	db_job_done done, void *data)
{
	struct fake_call *c = about(db, s, next, DONE(done), data);
	fake_args(c)->limit = (unsigned)attempts;
	fake_call_start(c, 0, fire_effect, fake_deliver_job, "schedule_fire %s", s->name);
	return fake_handle(c);
}

static struct status pass_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_schedule_pass(g->store, &g->schedule, (enum schedule_outcome)g->after, g->message, &g->times);
}

static struct db_call *pass(struct db *db, const struct db_schedule *s, enum schedule_outcome outcome, const char *message,
	const struct db_schedule_times *next, db_done done, void *data)
{
	struct fake_call *c = about(db, s, next, DONE(done), data);
	fake_args(c)->after = outcome;
	fake_args(c)->message = arena_strdup(c->arena, message);
	fake_call_start(c, 0, pass_effect, fake_deliver_done, "schedule_pass %s: %s", s->name, message);
	return fake_handle(c);
}

/* ---- callers ---- */

static struct status schedule_result(struct fake_call *c, struct status st, const struct db_schedule *row)
{
	if (status_is_ok(&st)) {
		struct db_schedule *copy = arena_new(c->arena, struct db_schedule);
		*copy = store_schedule_row(fake_args(c)->store, c->arena, row);
		c->result = copy;
	}
	return st;
}

static struct status create_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_schedule *row = NULL;
	struct status st = store_schedule_create(g->store, &g->scope, &g->new_schedule, &row);
	return schedule_result(c, st, row);
}

static void deliver_schedule(struct fake_call *c, const struct status *st)
{
	((db_schedule_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *create(
	struct db *db, const struct db_scope *s, const struct db_schedule_new *n, db_schedule_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	struct db_schedule_new *g = &fake_args(c)->new_schedule;
	*g = *n;
	g->project = arena_strdup(c->arena, n->project);
	g->stack = arena_strdup(c->arena, n->stack);
	g->name = arena_strdup(c->arena, n->name);
	g->cron = arena_strdup(c->arena, n->cron);
	g->time_zone = arena_strdup(c->arena, n->time_zone);
	g->params = fake_copy_str(c->arena, n->params);
	fake_call_start(c, 0, create_effect, deliver_schedule, "schedule_create %s", n->name);
	return fake_handle(c);
}

/* The arguments: a project and a name in it, or an id. */
static struct fake_call *named(
	struct db *db, const struct db_scope *s, const char *project, const char *name, void (*done)(void), void *data)
{
	struct fake_call *c = fake_db_call(db, s, done, data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->id = arena_strdup(c->arena, name);
	return c;
}

static struct status get_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_schedule *row = NULL;
	struct status st = store_schedule_get(g->store, &g->scope, g->project, g->id, &row);
	return schedule_result(c, st, row);
}

static struct db_call *get(struct db *db, const struct db_scope *s, const char *project, const char *name, db_schedule_done done,
	void *data)
{
	struct fake_call *c = named(db, s, project, name, DONE(done), data);
	fake_call_start(c, 0, get_effect, deliver_schedule, "schedule_get");
	return fake_handle(c);
}

static struct status list_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_schedule *rows = NULL;
	struct status st = store_schedule_list(g->store, c->arena, &g->scope, g->project, &g->page, &rows, &c->n, &c->more);
	c->result = rows;
	return st;
}

static void deliver_list(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_schedules_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0, ok && c->more);
}

static struct db_call *list(struct db *db, const struct db_scope *s, const char *project, const struct db_page *page,
	db_schedules_done done, void *data)
{
	struct fake_call *c = named(db, s, project, "", DONE(done), data);
	fake_args(c)->page = fake_copy_page(c->arena, page);
	fake_call_start(c, 0, list_effect, deliver_list, "schedule_list");
	return fake_handle(c);
}

static struct status update_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_schedule *row = NULL;
	struct status st = store_schedule_update(g->store, &g->scope, g->id, g->after, &g->schedule_change, &row);
	return schedule_result(c, st, row);
}

static struct db_call *update(struct db *db, const struct db_scope *s, const char *id, int64_t revision,
	const struct db_schedule_change *change, db_schedule_done done, void *data)
{
	struct fake_call *c = named(db, s, "", id, DONE(done), data);
	struct db_schedule_change *g = &fake_args(c)->schedule_change;
	*g = *change;
	g->cron = arena_strdup(c->arena, change->cron);
	g->time_zone = arena_strdup(c->arena, change->time_zone);
	fake_args(c)->after = revision;
	fake_call_start(c, 0, update_effect, deliver_schedule, "schedule_update");
	return fake_handle(c);
}

static struct status remove_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_schedule_remove(g->store, &g->scope, g->project, g->id);
}

static struct db_call *remove_(
	struct db *db, const struct db_scope *s, const char *project, const char *name, db_done done, void *data)
{
	struct fake_call *c = named(db, s, project, name, DONE(done), data);
	fake_call_start(c, 0, remove_effect, fake_deliver_done, "schedule_remove");
	return fake_handle(c);
}

const struct db_schedule_ops fake_schedule_ops = {.create = create,
	.get = get,
	.list = list,
	.update = update,
	.remove = remove_,
	.due = due,
	.fire = fire,
	.pass = pass};
