/* world: a private PostgreSQL with the real schema, a key file, and two db instances on it, as two
 * daemons would have them. Each test begins with empty tables. Answers are copied out of the
 * callbacks. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <libpq-fe.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "crypto/crypto.h"
#include "db/events.h"
#include "db/migrate.h"
#include "db/projects.h"
#include "db/registries.h"
#include "db/schedules.h"
#include "db/stacks.h"
#include "db/tokens.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "../servers.h"

static struct server server;
static struct keyring *keyring;

struct world {
	struct loop *loop;
	struct arena *arena;
	struct pg *pg, *pg2;
	struct db *db, *db2;
	PGconn *psql; /* to look at the tables with */
	int n_writes; /* of put: numbers */
	bool again; /* the next put is the last one again: nobody knows whether that arrived */
};

/* What an operation answered; texts live in the world's arena. */
struct answer {
	struct world *w;
	int calls;
	struct status st;
	struct db_project project, *projects;
	struct db_token token, *tokens;
	struct db_registry registry, *registries;
	struct db_job job, *jobs;
	struct db_stack stack, *stacks;
	struct db_release release, *releases;
	struct db_event *events;
	struct db_release_objects *release_objects;
	struct db_reserved *reserved;
	struct db_look look;
	struct db_job_stats stats;
	struct db_schedule schedule, *schedules;
	struct db_stream_position position;
	struct db_stream_batch batch;
	size_t n;
	bool more;
	int64_t number;
};

static inline void assert_status(const struct status *st, enum st_code code, const char *words)
{
	if (st->code != code || strstr(st->message, words) == NULL)
		fail_msg("%s: \"%s\", but expected %s: \"%s\"", st_code_name(st->code), st->message,
			st_code_name(code), words);
}

static inline void wait_for(struct answer *a)
{
	assert_int_equal(a->calls, 0); /* never before the operation returned */
	while (a->calls == 0)
		loop_turn(a->w->loop);
	assert_int_equal(a->calls, 1);
}

/* Runs an operation to its end. `call` names the answer `a`. */
#define RUN(w_, call) \
	({ \
		struct answer a = {.w = (w_)}; \
		(void)(call); \
		wait_for(&a); \
		a; \
	})
#define RUN_OK(w_, call) \
	({ \
		struct answer ok_ = RUN(w_, call); \
		assert_status(&ok_.st, ST_OK, ""); \
		ok_; \
	})
#define RUN_FAILS(w_, code, words, call) \
	do { \
		struct answer bad_ = RUN(w_, call); \
		assert_status(&bad_.st, code, words); \
	} while (0)

/* ---- copies ---- */

static inline void *copy(struct answer *a, const void *p, size_t size, size_t n)
{
	return n ? arena_memdup(a->w->arena, p, size * n) : NULL;
}
#define KEEP(text) ((text) = arena_strdup(a->w->arena, (text)))

static inline void keep_texts(struct answer *a, const char *const **texts, size_t n)
{
	const char **kept = arena_array(a->w->arena, const char *, n);
	for (size_t i = 0; i < n; i++)
		kept[i] = arena_strdup(a->w->arena, (*texts)[i]);
	*texts = kept;
}

static inline void keep_str(struct answer *a, struct str *s)
{
	s->ptr = str_dup(a->w->arena, *s);
}

static inline void keep_job(struct answer *a, struct db_job *j)
{
	KEEP(j->project), KEEP(j->stack), KEEP(j->step), KEEP(j->message), KEEP(j->error),
		KEEP(j->error_code);
	KEEP(j->owner);
	keep_str(a, &j->params);
	keep_str(a, &j->attempts);
	keep_str(a, &j->failures);
	keep_texts(a, &j->warnings, j->n_warnings);
}

static inline void keep_stack(struct answer *a, struct db_stack *s)
{
	KEEP(s->project), KEEP(s->name), KEEP(s->namespace_), KEEP(s->status_message);
	KEEP(s->unfinished);
	struct db_service *v = copy(a, s->services, sizeof *v, s->n_services);
	for (size_t i = 0; i < s->n_services; i++) {
		KEEP(v[i].service), KEEP(v[i].engine_id), KEEP(v[i].engine_name), KEEP(v[i].image);
		KEEP(v[i].mode), KEEP(v[i].message);
	}
	s->services = v;
}

static inline void keep_release(struct answer *a, struct db_release *d)
{
	KEEP(d->created_by), KEEP(d->message);
	keep_texts(a, &d->images, d->n_images);
	keep_str(a, &d->source);
	keep_str(a, &d->rendered);
}

static inline void begin_answer(struct answer *a, const struct status *st)
{
	a->calls++;
	a->st = *st;
}

static inline void on_done(void *data, const struct status *st)
{
	begin_answer(data, st);
}
static inline void on_archived(void *data, const struct status *st, bool more)
{
	begin_answer(data, st);
	((struct answer *)data)->more = more;
}
/* Of one write. */
static inline void on_written(void *data, const struct status *st, const bool *held, size_t n)
{
	struct status lost = status_err(ST_ABORTED, "not held");
	assert_int_equal(n, 1);
	begin_answer(data, status_is_ok(st) && !held[0] ? &lost : st);
}
static inline void on_project(void *data, const struct status *st, const struct db_project *p)
{
	struct answer *a = data;
	begin_answer(a, st);
	assert_int_equal(p != NULL, st->code == ST_OK);
	if (p) {
		a->project = *p;
		KEEP(a->project.name), KEEP(a->project.description);
	}
}
static inline void on_projects(void *data, const struct status *st, const struct db_project *p,
	size_t n, bool more)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->projects = copy(a, p, sizeof *p, n);
	for (size_t i = 0; i < n; i++)
		KEEP(a->projects[i].name);
	a->n = n;
	a->more = more;
}
static inline void keep_token(struct answer *a, struct db_token *t)
{
	KEEP(t->name), KEEP(t->prefix), KEEP(t->project_id), KEEP(t->project);
}
static inline void on_token(void *data, const struct status *st, const struct db_token *t)
{
	struct answer *a = data;
	begin_answer(a, st);
	assert_int_equal(t != NULL, st->code == ST_OK);
	if (t) {
		a->token = *t;
		keep_token(a, &a->token);
	}
}
static inline void on_tokens(void *data, const struct status *st, const struct db_token *t,
	size_t n, bool more)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->tokens = copy(a, t, sizeof *t, n);
	for (size_t i = 0; i < n; i++)
		keep_token(a, &a->tokens[i]);
	a->n = n;
	a->more = more;
}
static inline void keep_registry(struct answer *a, struct db_registry *r)
{
	KEEP(r->host), KEEP(r->username), KEEP(r->password);
}
static inline void on_registry(void *data, const struct status *st, const struct db_registry *r)
{
	struct answer *a = data;
	begin_answer(a, st);
	assert_int_equal(r != NULL, st->code == ST_OK);
	if (r) {
		a->registry = *r;
		keep_registry(a, &a->registry);
	}
}
static inline void on_registries(void *data, const struct status *st, const struct db_registry *r,
	size_t n, bool more)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->registries = copy(a, r, sizeof *r, n);
	for (size_t i = 0; i < n; i++)
		keep_registry(a, &a->registries[i]);
	a->n = n;
	a->more = more;
}
static inline void keep_schedule(struct answer *a, struct db_schedule *s)
{
	KEEP(s->project), KEEP(s->stack), KEEP(s->name), KEEP(s->cron), KEEP(s->time_zone), KEEP(s->last_message);
	KEEP(s->last_job_error), KEEP(s->created_by);
	keep_str(a, &s->params);
}
static inline void on_schedule(void *data, const struct status *st, const struct db_schedule *s)
{
	struct answer *a = data;
	begin_answer(a, st);
	assert_int_equal(s != NULL, st->code == ST_OK);
	if (s) {
		a->schedule = *s;
		keep_schedule(a, &a->schedule);
	}
}
static inline void on_schedules(void *data, const struct status *st, const struct db_schedule *s, size_t n, bool more)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->schedules = copy(a, s, sizeof *s, n);
	for (size_t i = 0; i < n; i++)
		keep_schedule(a, &a->schedules[i]);
	a->n = n;
	a->more = more;
}
static inline void on_schedules_due(void *data, const struct status *st, const struct db_schedule *s, size_t n,
	int64_t now_us, int64_t due_ms)
{
	struct answer *a = data;
	on_schedules(data, st, s, n, false);
	assert_true(st->code != ST_OK || now_us > 0);
	a->number = due_ms;
}
static inline void on_release_objects(void *data, const struct status *st,
	const struct db_release_objects *r, size_t n)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->release_objects = copy(a, r, sizeof *r, n);
	for (size_t i = 0; i < n; i++)
		keep_texts(a, &a->release_objects[i].objects, r[i].n_objects);
	a->n = n;
}
static inline void on_reserved(
	void *data, const struct status *st, const struct db_reserved *r, size_t n)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->reserved = copy(a, r, sizeof *r, n);
	for (size_t i = 0; i < n; i++) {
		a->reserved[i].name = arena_strdup(a->w->arena, r[i].name);
		a->reserved[i].stack = arena_strdup(a->w->arena, r[i].stack);
	}
	a->n = n;
}
static inline void on_job(void *data, const struct status *st, const struct db_job *j)
{
	struct answer *a = data;
	begin_answer(a, st);
	assert_int_equal(j != NULL, st->code == ST_OK);
	if (j) {
		a->job = *j;
		keep_job(a, &a->job);
	}
}
static inline void on_jobs(void *data, const struct status *st, const struct db_job *j, size_t n,
	bool more)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->jobs = copy(a, j, sizeof *j, n);
	for (size_t i = 0; i < n; i++)
		keep_job(a, &a->jobs[i]);
	a->n = n;
	a->more = more;
}
static inline void on_events(void *data, const struct status *st, const struct db_event *e,
	size_t n)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->events = copy(a, e, sizeof *e, n);
	for (size_t i = 0; i < n; i++) {
		struct db_event *v = &a->events[i];
		KEEP(v->kind), KEEP(v->message), KEEP(v->service), KEEP(v->step), KEEP(v->state);
	}
	a->n = n;
}
static inline void on_position(void *data, const struct status *st, struct db_stream_position at)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->position = at;
}
static inline void on_batch(void *data, const struct status *st, const struct db_stream_batch *b)
{
	struct answer *a = data;
	begin_answer(a, st);
	assert_int_equal(b != NULL, st->code == ST_OK);
	if (!b)
		return;
	a->batch = *b;
	struct db_stream_event *e = copy(a, b->events, sizeof(*e), b->n);
	for (size_t i = 0; i < b->n; i++) {
		KEEP(e[i].project), KEEP(e[i].stack), KEEP(e[i].e.kind), KEEP(e[i].e.message), KEEP(e[i].e.service);
		KEEP(e[i].e.step), KEEP(e[i].e.state);
	}
	a->batch.events = e;
	a->n = b->n;
}
static inline void on_stack(void *data, const struct status *st, const struct db_stack *s)
{
	struct answer *a = data;
	begin_answer(a, st);
	assert_int_equal(s != NULL, st->code == ST_OK);
	if (s) {
		a->stack = *s;
		keep_stack(a, &a->stack);
	}
}
static inline void on_stacks(void *data, const struct status *st, const struct db_stack *s,
	size_t n, bool more)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->stacks = copy(a, s, sizeof *s, n);
	for (size_t i = 0; i < n; i++)
		keep_stack(a, &a->stacks[i]);
	a->n = n;
	a->more = more;
}
static inline void on_release(void *data, const struct status *st, const struct db_release *d)
{
	struct answer *a = data;
	begin_answer(a, st);
	assert_int_equal(d != NULL, st->code == ST_OK);
	if (d) {
		a->release = *d;
		keep_release(a, &a->release);
	}
}
static inline void on_releases(void *data, const struct status *st, const struct db_release *d,
	size_t n, bool more)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->releases = copy(a, d, sizeof *d, n);
	for (size_t i = 0; i < n; i++)
		keep_release(a, &a->releases[i]);
	a->n = n;
	a->more = more;
}
static inline void on_number(void *data, const struct status *st, int64_t number)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->number = number;
}
static inline void on_look(void *data, const struct status *st, const struct db_look *l)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->look = *l;
	a->look.queues = copy(a, l->queues, sizeof(*l->queues), l->n);
}
static inline void on_stats(void *data, const struct status *st, const struct db_job_stats *s)
{
	struct answer *a = data;
	begin_answer(a, st);
	a->stats = *s;
	struct db_waiting *w = copy(a, s->waiting, sizeof(*w), s->n_waiting);
	struct db_queue_stats *q = copy(a, s->queues, sizeof(*q), s->n_queues);
	struct db_pause *p = copy(a, s->pauses, sizeof(*p), s->n_pauses);
	struct db_daemon *d = copy(a, s->daemons, sizeof(*d), s->n_daemons);
	for (size_t i = 0; i < s->n_waiting; i++)
		keep_job(a, &w[i].job), KEEP(w[i].pause);
	for (size_t i = 0; i < s->n_queues; i++)
		KEEP(q[i].project);
	for (size_t i = 0; i < s->n_pauses; i++)
		KEEP(p[i].project), KEEP(p[i].reason), KEEP(p[i].paused_by);
	for (size_t i = 0; i < s->n_daemons; i++)
		KEEP(d[i].host), KEEP(d[i].version);
	struct db_job *r = copy(a, s->running_jobs, sizeof(*r), s->n_running_jobs);
	for (size_t i = 0; i < s->n_running_jobs; i++)
		keep_job(a, &r[i]);
	a->stats.running_jobs = r;
	a->stats.waiting = w;
	a->stats.queues = q;
	a->stats.pauses = p;
	a->stats.daemons = d;
}
static inline void on_migrated(void *data, const struct status *st, unsigned applied)
{
	on_number(data, st, applied);
}

/* ---- looking at the tables ---- */

static inline void psql(struct world *w, const char *sql)
{
	PGresult *res = PQexec(w->psql, sql);
	if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQresultErrorMessage(res));
	PQclear(res);
}

/* The one value, "" for no row. */
static inline const char *value(struct world *w, const char *sql)
{
	PGresult *res = PQexec(w->psql, sql);
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQresultErrorMessage(res));
	const char *text = arena_strdup(w->arena, PQntuples(res) ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	return text;
}

static inline void assert_value(struct world *w, const char *sql, const char *want)
{
	const char *got = value(w, sql);
	if (strcmp(got, want) != 0)
		fail_msg("%s: \"%s\", but expected \"%s\"", sql, got, want);
}

/* The payload of the next notification that psql listens to, "" for none. The query makes the server hand
 * over what was sent before it. */
static inline const char *notified(struct world *w)
{
	psql(w, "select 1");
	PGnotify *n = PQnotifies(w->psql);
	const char *payload = n ? arena_strdup(w->arena, n->extra) : "";
	PQfreemem(n);
	return payload;
}

static inline void on_tick(struct timer *t)
{
	(void)t;
}

/* Until the server waits for a lock that psql holds. */
static inline void wait_blocked(struct world *w)
{
	struct timer tick = {0};
	timer_init(&tick, w->loop, on_tick);
	while (value(w, "select count(*) from pg_locks where not granted")[0] == '0') {
		timer_set(&tick, 1); /* nothing on the loop tells */
		loop_turn(w->loop);
	}
	timer_stop(&tick);
}

/* ---- life ---- */

static inline struct pg *open_pg(struct loop *loop)
{
	struct pg_options o = {.conninfo = server.address, .pool_size = 2};
	return pg_create(loop, &o);
}

static inline struct world *world_open(void)
{
	struct world *w = calloc(1, sizeof *w);
	w->loop = loop_create();
	loop_set_watchdog(w->loop, 0);
	w->arena = arena_create();
	w->pg = open_pg(w->loop);
	w->pg2 = open_pg(w->loop);
	w->db = db_pg_create(w->pg, keyring, clock_system(), rng_system());
	w->db2 = db_pg_create(w->pg2, keyring, clock_system(), rng_system());
	w->psql = PQconnectdb(server.address);
	psql(w, "set client_min_messages = warning");
	return w;
}

static inline void world_close(struct world *w)
{
	PQfinish(w->psql);
	db_pg_destroy(w->db);
	db_pg_destroy(w->db2);
	pg_destroy(w->pg);
	pg_destroy(w->pg2);
	loop_destroy(w->loop);
	arena_destroy(w->arena);
	free(w);
}

static inline int world_start(void **state)
{
	char key[96];
	(void)state;
	alarm(300);
	server_start_pg(&server, NULL);
	(void)snprintf(key, sizeof key, "%s.key", server.dir);
	struct status st = keyring_load(key, &keyring);
	assert_status(&st, ST_OK, "");
	st = keyring_make(keyring);
	unlink(key);
	assert_status(&st, ST_OK, "");
	struct world *w = world_open();
	struct answer a = {.w = w};
	db_migrate(w->pg, skep_migrations, on_migrated, &a);
	wait_for(&a);
	assert_status(&a.st, ST_OK, "");
	world_close(w);
	return 0;
}

static inline int world_stop(void **state)
{
	(void)state;
	keyring_destroy(keyring);
	server_stop(&server);
	return 0;
}

static inline int set_up(void **state)
{
	struct world *w = *state = world_open();
	psql(w, "truncate projects, request_ids, events, audit_log, daemons, deployment_jobs_archive cascade");
	return 0;
}

static inline int tear_down(void **state)
{
	world_close(*state);
	return 0;
}

/* ---- things that most tests need ---- */

static const struct db_scope admin = {.project_id = "", .actor = "unix:root",
	.method = "/test/Admin", .request_id = ""};

static inline struct db_scope scope_of(const struct uuid *project_id)
{
	return (struct db_scope){.project_id = project_id->text, .actor = "token:ci",
		.method = "/test/Scoped", .request_id = ""};
}

static inline struct uuid make_project(struct world *w, const char *name)
{
	return RUN_OK(w, w->db->projects->create(w->db, &admin, name, "", on_project,
		&a)).project.id;
}

static inline struct db_stack_deploy deploy_of(const char *project, const char *name)
{
	return (struct db_stack_deploy){
		.project = project,
		.name = name,
		.namespace_ = "",
		.on_failure = ON_FAILURE_ROLLBACK,
		.source = STR("{\"compose\":[]}"),
		.max_attempts = 3,
	};
}

static inline struct db_job deploy(struct world *w, const char *project, const char *name)
{
	struct db_stack_deploy d = deploy_of(project, name);
	return RUN_OK(w, w->db->stacks->deploy(w->db, &admin, &d, on_job, &a)).job;
}

static inline struct db_job submit(struct world *w, const char *project, const char *name,
	enum job_kind kind)
{
	struct db_stack_job j = {{"", project, name}, kind, STR("{}"), 1};
	return RUN_OK(w, w->db->stacks->submit(w->db, &admin, &j, on_job, &a)).job;
}

static inline struct db_look look(struct world *w)
{
	return RUN_OK(w, w->db->jobs->look(w->db, 100, on_look, &a)).look;
}

/* All that is there to claim, at most `limit` of each queue and of what can be taken over. */
static inline struct db_claim claim_of(struct world *w, const char *owner, unsigned limit,
	unsigned lease_ms)
{
	struct db_look l = look(w);
	struct db_pick *picks = arena_array(w->arena, struct db_pick, l.n);
	for (size_t i = 0; i < l.n; i++)
		picks[i] = (struct db_pick){l.queues[i].project_id, l.queues[i].kind, limit};
	return (struct db_claim){owner, lease_ms, limit, l.turn, picks, l.n};
}

static inline struct answer claim_all(struct world *w, const char *owner, unsigned limit,
	unsigned lease_ms)
{
	struct db_claim c = claim_of(w, owner, limit, lease_ms);
	return RUN_OK(w, w->db->jobs->claim(w->db, &c, on_jobs, &a));
}

/* Claims exactly one. */
static inline struct db_job claim(struct world *w, const char *owner)
{
	struct answer got = claim_all(w, owner, 10, 60000);
	assert_int_equal(got.n, 1);
	return got.jobs[0];
}

static inline void claim_none(struct world *w)
{
	assert_int_equal(claim_all(w, "nobody", 10, 60000).n, 0);
}

/* One write alone, behind the one before; ABORTED when it is not held. */
static inline struct answer put(struct world *w, struct db_job_write what)
{
	what.number = ++w->n_writes;
	what.first = what.number - w->again;
	w->again = false;
	return RUN(w, w->db->jobs->write(w->db, &what, 1, on_written, &a));
}
static inline struct answer put_step(struct world *w, const struct db_job *j, const char *step,
	const struct db_job_why *undoing)
{
	return put(w, (struct db_job_write){.id = j->id.text, .epoch = j->epoch, .step = step, .undoing = undoing});
}
static inline struct answer put_events(struct world *w, const struct db_job *j, const struct db_event *e, size_t n)
{
	return put(w, (struct db_job_write){.id = j->id.text, .epoch = j->epoch, .events = e, .n_events = n});
}
static inline struct answer put_end(struct world *w, const struct db_job *j, enum job_state state,
	const struct db_job_why *why)
{
	return put(w, (struct db_job_write){.id = j->id.text, .epoch = j->epoch, .state = state, .why = why});
}
static inline struct answer put_back(struct world *w, const struct db_job *j, uint64_t delay_ms, bool keep_step,
	const struct db_job_why *why)
{
	return put(w, (struct db_job_write){.id = j->id.text, .epoch = j->epoch, .state = JOB_PENDING,
		.delay_ms = delay_ms, .keep_step = keep_step, .why = why});
}
#define PUT_OK(call) \
	do { \
		struct answer put_ = call; \
		assert_status(&put_.st, ST_OK, ""); \
	} while (0)
#define PUT_LOST(call) \
	do { \
		struct answer put_ = call; \
		assert_status(&put_.st, ST_ABORTED, "not held"); \
	} while (0)

static inline void finish(struct world *w, const struct db_job *j, enum job_state state)
{
	const struct db_job_why why = {.st = status_err(ST_UNKNOWN, "it broke"), .text = ""};
	PUT_OK(put_end(w, j, state, state == JOB_SUCCEEDED ? NULL : &why));
}

/* A stack whose release 1 runs. */
static inline struct db_job running_stack(struct world *w, const char *project, const char *name)
{
	deploy(w, project, name);
	struct db_job j = claim(w, "d1");
	struct db_service web = {.service = "web", .engine_id = "e1", .engine_name = "x_web",
		.image = "nginx",
		.mode = "replicated", .state = SERVICE_RUNNING, .running = 1, .wanted = 1};
	RUN_OK(w, w->db->stacks->activate(w->db, &j, j.deployment_id.text, &web, 1, on_done, &a));
	finish(w, &j, JOB_SUCCEEDED);
	return j;
}
