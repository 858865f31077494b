/* What the daemons use of db/schedules.h, as calls. */
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
	return store_schedule_pass(g->store, &g->schedule, (enum schedule_outcome)g->after, &g->times);
}

static struct db_call *pass(struct db *db, const struct db_schedule *s, enum schedule_outcome outcome, const char *message,
	const struct db_schedule_times *next, db_done done, void *data)
{
	struct fake_call *c = about(db, s, next, DONE(done), data);
	fake_args(c)->after = outcome;
	fake_call_start(c, 0, pass_effect, fake_deliver_done, "schedule_pass %s: %s", s->name, message);
	return fake_handle(c);
}

static struct status create_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_schedule *row = NULL;
	struct status st = store_schedule_create(g->store, &g->scope, &g->new_schedule, &row);
	c->result = row;
	return st;
}

static void deliver_schedule(struct fake_call *c, const struct status *st)
{
	((db_schedule_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

/* What is asked for is borrowed: only sim_differential does, of constant texts. */
static struct db_call *create(
	struct db *db, const struct db_scope *s, const struct db_schedule_new *n, db_schedule_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->new_schedule = *n;
	fake_call_start(c, 0, create_effect, deliver_schedule, "schedule_create %s", n->name);
	return fake_handle(c);
}

const struct db_schedule_ops fake_schedule_ops = {.create = create, .due = due, .fire = fire, .pass = pass};
