/* skep.v1.Schedules */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/rng.h"
#include "db/schedules.h"
#include "jobs/schedules.h"
#include "jobs/timetable.h"
#include "skep/v1/schedules.pb-c.h"

#define SERVICE_NAME_MAX 63 /* the Engine's; Create has it in its field rules */

/* ---- rows → messages ---- */

static void add_params(struct arena *a, Skep__V1__Schedule *m, struct str text)
{
	json_t *params, *value;
	const char *key;
	size_t i;
	struct status st = json_parse(text, &params);
	if (!status_is_ok(&st))
		return; /* PostgreSQL has checked it */
	const json_t *services = json_object_get(params, "services");
	m->services = arena_array(a, char *, json_array_size(services) + 1);
	json_array_foreach(services, i, value)
		m->services[m->n_services++] = api_text(a, json_string_value(value));
	json_t *replicas = json_object_get(params, "replicas");
	m->replicas = arena_array(a, Skep__V1__Schedule__ReplicasEntry *, json_object_size(replicas) + 1);
	json_object_foreach(replicas, key, value) {
		Skep__V1__Schedule__ReplicasEntry *e = arena_new(a, Skep__V1__Schedule__ReplicasEntry);
		skep__v1__schedule__replicas_entry__init(e);
		e->key = api_text(a, key);
		e->value = (uint32_t)json_integer_value(value);
		m->replicas[m->n_replicas++] = e;
	}
	json_decref(params);
}

static Skep__V1__Schedule *schedule_of(struct arena *a, const struct db_schedule *s)
{
	Skep__V1__Schedule *m = arena_new(a, Skep__V1__Schedule);
	skep__v1__schedule__init(m);
	m->id = api_text(a, s->id.text);
	m->project_id = api_text(a, s->project_id.text);
	m->project = api_text(a, s->project);
	m->stack_id = api_text(a, s->stack_id.text);
	m->stack = api_text(a, s->stack);
	m->name = api_text(a, s->name);
	m->action = (Skep__V1__ScheduleAction)s->action;
	add_params(a, m, s->params);
	m->cron = api_text(a, s->cron);
	m->time_zone = api_text(a, s->time_zone);
	m->jitter_seconds = s->jitter_s;
	m->missed = (Skep__V1__MissedRuns)s->missed;
	m->paused = s->paused;
	m->next_at = api_time(a, s->next_us);
	m->last_at = api_time(a, s->last_us);
	m->last_outcome = (Skep__V1__ScheduleOutcome)s->last_outcome;
	m->last_message = api_text(a, s->last_message);
	m->last_job_id = api_text(a, s->last_job_id.text);
	m->last_job_state = (Skep__V1__JobState)s->last_job_state;
	m->last_job_error = api_text(a, s->last_job_error);
	m->created_by = api_text(a, s->created_by);
	m->created_at = api_time(a, s->created_us);
	m->updated_at = api_time(a, s->updated_us);
	return m;
}

static void reply(void *data, const struct status *st, const struct db_schedule *s)
{
	struct rpc_call *call = data;
	if (status_is_ok(st))
		rpc_call_reply(call, &schedule_of(rpc_call_arena(call), s)->base);
	else
		api_fail(call, st);
}

/* ---- create, update, pause, resume: when is it due next, then one transaction ---- */

struct edit {
	struct rpc_call *call;
	const ProtobufCMessage *request;
	char *const *request_id;
	struct db_schedule_new made;       /* create */
	const char *id;                    /* else */
	int64_t revision;
	struct db_schedule_change change;
	const Skep__V1__UpdateScheduleRequest *wish; /* NULL: pause or resume, as change.paused says */
};

static int64_t now_s(void)
{
	return clock_system()->wall_us(clock_system()) / 1000000;
}

static struct db_schedule_times times_of(int64_t next_s, int jitter_s)
{
	return (struct db_schedule_times){next_s, schedule_due_s(next_s, jitter_s, rng_system())};
}

static void refuse(struct rpc_call *call, const char *field, const struct status *st)
{
	const struct rpc_violation v = {field, st->message};
	if (st->code == ST_INVALID_ARGUMENT)
		rpc_call_fail_fields(call, st, &v, 1);
	else
		api_fail(call, st);
}

static const char *field_of(const struct status *st)
{
	return strstr(st->message, "time zone") ? "time_zone" : "cron";
}

/* What the action needs; NULL with the call failed. */
static const char *params_of(struct rpc_call *call, const Skep__V1__CreateScheduleRequest *q)
{
	struct status st = status_ok();
	bool restart = q->action == SKEP__V1__SCHEDULE_ACTION__SCHEDULE_ACTION_RESTART;
	bool scale = q->action == SKEP__V1__SCHEDULE_ACTION__SCHEDULE_ACTION_SCALE;
	if (scale && q->n_replicas == 0)
		st = status_err(ST_INVALID_ARGUMENT, "which services to how many tasks? A schedule that scales needs replicas");
	else if (!scale && q->n_replicas > 0)
		st = status_err(ST_INVALID_ARGUMENT, "replicas go with the action scale");
	else if (!restart && q->n_services > 0)
		st = status_err(ST_INVALID_ARGUMENT, "services go with the action restart");
	for (size_t i = 0; i < q->n_replicas && status_is_ok(&st); i++)
		if (strlen(q->replicas[i]->key) - 1 >= SERVICE_NAME_MAX)
			st = status_err(ST_INVALID_ARGUMENT, "a service's name has 1 to %d characters", SERVICE_NAME_MAX);
	if (!status_is_ok(&st)) {
		refuse(call, scale || q->n_replicas ? "replicas" : "services", &st);
		return NULL;
	}
	json_t *params = json_object(), *services = json_array(), *replicas = json_object();
	for (size_t i = 0; i < q->n_services; i++)
		json_array_append_new(services, json_string(q->services[i]));
	for (size_t i = 0; i < q->n_replicas; i++)
		json_object_set_new(replicas, q->replicas[i]->key, json_integer(q->replicas[i]->value));
	if (restart)
		json_object_set(params, "services", services);
	if (scale)
		json_object_set(params, "replicas", replicas);
	const char *text = json_to_text(rpc_call_arena(call), params);
	json_decref(services);
	json_decref(replicas);
	json_decref(params);
	return text;
}

static void on_first(void *data, const struct status *st, int64_t next_s)
{
	struct edit *e = data;
	struct db *db = api_of(e->call)->db;
	if (!status_is_ok(st)) {
		refuse(e->call, field_of(st), st);
		return;
	}
	struct db_scope scope = api_scope_once(e->call, e->request, e->request_id);
	e->made.times = times_of(next_s, e->made.jitter_s);
	db->schedules->create(db, &scope, &e->made, reply, e->call);
}

void api_schedules_create(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__CreateScheduleRequest *q = (const void *)request;
	struct edit *e = arena_new(rpc_call_arena(call), struct edit);
	const char *params = params_of(call, q);
	if (!params)
		return;
	*e = (struct edit){.call = call, .request = request, .request_id = &q->request_id};
	e->made = (struct db_schedule_new){.project = q->project, .stack = q->stack, .name = q->name,
		.action = (enum schedule_action)q->action, .params = str_of(params), .cron = q->cron,
		.time_zone = q->time_zone[0] ? q->time_zone : "UTC", .jitter_s = q->jitter_seconds,
		.missed = q->missed ? (enum schedule_missed)q->missed : SCHEDULE_SKIP};
	timetable_next(api_of(call)->loop, e->made.cron, e->made.time_zone, now_s(), on_first, e);
}

static void on_then(void *data, const struct status *st, int64_t next_s)
{
	struct edit *e = data;
	struct db *db = api_of(e->call)->db;
	if (!status_is_ok(st)) {
		refuse(e->call, field_of(st), st);
		return;
	}
	struct db_scope scope = api_scope_once(e->call, e->request, e->request_id);
	e->change.times = times_of(next_s, e->change.jitter_s);
	db->schedules->update(db, &scope, e->id, e->revision, &e->change, reply, e->call);
}

static void on_found(void *data, const struct status *st, const struct db_schedule *s)
{
	struct edit *e = data;
	struct arena *a = rpc_call_arena(e->call);
	const Skep__V1__UpdateScheduleRequest *w = e->wish;
	if (!status_is_ok(st)) {
		api_fail(e->call, st);
		return;
	}
	e->id = api_text(a, s->id.text);
	e->revision = s->revision;
	e->change.cron = w && w->cron[0] ? w->cron : api_text(a, s->cron);
	e->change.time_zone = w && w->time_zone[0] ? w->time_zone : api_text(a, s->time_zone);
	e->change.jitter_s = w && w->jitter_seconds ? w->jitter_seconds : s->jitter_s;
	if (e->change.jitter_s < 0)
		e->change.jitter_s = 0;
	e->change.missed = w && w->missed ? (enum schedule_missed)w->missed : s->missed;
	if (w)
		e->change.paused = s->paused;
	timetable_next(api_of(e->call)->loop, e->change.cron, e->change.time_zone, now_s(), on_then, e);
}

static void edit(struct edit *e, const char *project, const char *name)
{
	struct db *db = api_of(e->call)->db;
	struct db_scope scope = api_scope(e->call);
	struct edit *kept = arena_memdup(rpc_call_arena(e->call), e, sizeof(*e));
	db->schedules->get(db, &scope, project, name, on_found, kept);
}

void api_schedules_update(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__UpdateScheduleRequest *q = (const void *)request;
	edit(&(struct edit){.call = call, .request = request, .request_id = &q->request_id, .wish = q}, q->project, q->name);
}

void api_schedules_pause(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__PauseScheduleRequest *q = (const void *)request;
	edit(&(struct edit){.call = call, .request = request, .request_id = &q->request_id, .change = {.paused = true}},
		q->project, q->name);
}

void api_schedules_resume(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__PauseScheduleRequest *q = (const void *)request;
	edit(&(struct edit){.call = call, .request = request, .request_id = &q->request_id}, q->project, q->name);
}

/* ---- the rest ---- */

void api_schedules_get(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__GetScheduleRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	db->schedules->get(db, &scope, q->project, q->name, reply, call);
}

static void on_schedules(void *data, const struct status *st, const struct db_schedule *s, size_t n, bool more)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__ListSchedulesResponse m = SKEP__V1__LIST_SCHEDULES_RESPONSE__INIT;
	m.schedules = arena_array(a, Skep__V1__Schedule *, n + 1);
	for (size_t i = 0; i < n; i++)
		m.schedules[m.n_schedules++] = schedule_of(a, &s[i]);
	if (more)
		m.next_page_token = api_text(a, s[n - 1].id.text);
	rpc_call_reply(call, &m.base);
}

void api_schedules_list(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ListSchedulesRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_page page = api_page(q->page);
	db->schedules->list(db, &scope, q->project, &page, on_schedules, call);
}

void api_schedules_delete(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__DeleteScheduleRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	db->schedules->remove(db, &scope, q->project, q->name, api_reply_empty, call);
}
