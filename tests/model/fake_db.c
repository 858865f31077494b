#include "fake_db.h"

#include <string.h>

#define DEADLINE_MS 5000

static struct db_scope copy_scope(struct arena *a, const struct db_scope *s)
{
	return (struct db_scope){.project_id = arena_strdup(a, s->project_id),
		.actor = arena_strdup(a, s->actor),
		.method = arena_strdup(a, s->method ? s->method : ""),
		.request_id = arena_strdup(a, s->request_id ? s->request_id : ""),
		.fingerprint = fake_copy_str(a, s->fingerprint)};
}

struct fake_call *fake_db_call(struct db *db, const struct db_scope *s, void (*done)(void), void *data)
{
	struct fake_db *d = (struct fake_db *)(void *)db; /* base is its first member */
	struct fake_call *c = fake_call_new(&d->front);
	struct fake_args *g = arena_new(c->arena, struct fake_args);
	g->store = d->store;
	if (s)
		g->scope = copy_scope(c->arena, s);
	c->args = g;
	c->owner = d;
	c->done = done;
	c->data = data;
	return c;
}

const char *const *fake_copy_texts(struct arena *a, const char *const *texts, size_t n)
{
	const char **copy = arena_array(a, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, texts[i]);
	return copy;
}

struct str fake_copy_str(struct arena *a, struct str s)
{
	return (struct str){arena_strndup(a, s.ptr ? s.ptr : "", s.len), s.len};
}

/* What is no id is no page: the list starts anew. */
struct db_page fake_copy_page(struct arena *a, const struct db_page *p)
{
	struct uuid before;
	bool is_id = p->before && uuid_parse(p->before, &before);
	return (struct db_page){p->size < 1 ? 1 : p->size > 500 ? 500 : p->size,
		is_id ? arena_strdup(a, before.text) : ""};
}

struct db_service *fake_copy_services(struct arena *a, const struct db_service *v, size_t n)
{
	struct db_service *copy = arena_array(a, struct db_service, n + 1);
	for (size_t i = 0; i < n; i++) {
		copy[i] = v[i];
		copy[i].service = arena_strdup(a, v[i].service);
		copy[i].engine_id = arena_strdup(a, v[i].engine_id);
		copy[i].engine_name = arena_strdup(a, v[i].engine_name);
		copy[i].image = arena_strdup(a, v[i].image);
		copy[i].message = arena_strdup(a, v[i].message);
		copy[i].mode = arena_strdup(a, v[i].mode);
	}
	return copy;
}

void fake_deliver_done(struct fake_call *c, const struct status *st)
{
	((db_done)c->done)(c->data, st);
}

void fake_deliver_job(struct fake_call *c, const struct status *st)
{
	((db_job_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

void fake_deliver_jobs(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_jobs_done)c->done)(
		c->data, st, ok ? c->result : NULL, ok ? c->n : 0, ok && c->more);
}

struct status fake_job_result(struct fake_call *c, struct status st, const struct store_job *j)
{
	if (status_is_ok(&st)) {
		struct db_job *row = arena_new(c->arena, struct db_job);
		*row = store_job_row(j, c->arena);
		c->result = row;
	}
	return st;
}

static void cancel(struct db *db, struct db_call *c)
{
	(void)db;
	fake_call_cancel((struct fake_call *)(void *)c);
}

void fake_db_init(struct fake_db *d, struct fake_script *s, struct loop *l, struct store *store)
{
	*d = (struct fake_db){.base = {.projects = &fake_project_ops,
				      .registries = &fake_registry_ops,
				      .stacks = &fake_stack_ops,
				      .jobs = &fake_job_ops,
				      .schedules = &fake_schedule_ops,
				      .events = &fake_event_ops,
				      .cancel = cancel},
		.store = store};
	fake_front_init(&d->front, s, l, "db", DEADLINE_MS, ST_ABORTED);
	d->front.late_code = ST_UNAVAILABLE;
}
