/* skep.v1.Jobs: Stats, Pause, Resume, RetryFailed */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "base/arena.h"
#include "base/clock.h"
#include "jobs/fair.h"
#include "jobs/kinds.h"

#define WAITING_TOLD 50

/* ---- stats ---- */

static char *why_of(struct arena *a, const struct db_job_stats *s, const struct db_waiting *w, enum job_wait reason)
{
	const char *kind = job_kind_name(w->job.kind);
	switch (reason) {
	case WAIT_PAUSED:
		return api_text(a, w->pause);
	case WAIT_STACK:
		return arena_fmt(a, "job %s of stack \"%s\" goes first", w->blocker.text, w->job.stack);
	case WAIT_LATER:
		return arena_fmt(a, "its attempt %d is due at %.19sZ", w->job.attempt + 1, time_rfc3339(a, w->job.run_us));
	case WAIT_PROJECT_CAP:
		return arena_fmt(a, "as many jobs of the project run as may at a time: %u", w->project_running);
	case WAIT_KIND_CAP:
		return arena_fmt(a, "as many jobs of kind %s run in the project as may at a time: %u", kind, w->kind_running);
	case WAIT_PLACES:
		if (s->slots == 0)
			return api_text(a, "no daemon can run it: none has been heard of for 10 seconds, or none reaches its Engine");
		return arena_fmt(a, "all places are taken: %u jobs run, the daemons have %u places", s->running, s->slots);
	case WAIT_TURN:
		break;
	}
	if (w->before)
		return arena_fmt(a, "%u job%s of its project go%s first", w->before, w->before == 1 ? "" : "s",
			w->before == 1 ? "es" : "");
	return api_text(a, "it is the next one of its project");
}

static Skep__V1__WaitingJob *waiting_of(
	struct arena *a, const struct api *api, const struct db_job_stats *s, const struct db_waiting *w)
{
	Skep__V1__WaitingJob *m = arena_new(a, Skep__V1__WaitingJob);
	skep__v1__waiting_job__init(m);
	enum job_wait reason = fair_wait(s, w, api->job_project_running);
	m->job = api_job(a, &w->job);
	m->reason = (Skep__V1__WaitReason)reason;
	m->why = why_of(a, s, w, reason);
	m->before = (int32_t)w->before;
	return m;
}

static Skep__V1__JobQueue *queue_of(struct arena *a, const struct db_queue_stats *q)
{
	Skep__V1__JobQueue *m = arena_new(a, Skep__V1__JobQueue);
	skep__v1__job_queue__init(m);
	m->project = api_text(a, q->project);
	m->kind = (Skep__V1__JobKind)q->kind;
	m->waiting = (int32_t)q->waiting;
	m->running = (int32_t)q->running;
	m->oldest = api_time(a, q->oldest_us);
	return m;
}

static Skep__V1__JobPause *pause_of(struct arena *a, const struct db_pause *p)
{
	Skep__V1__JobPause *m = arena_new(a, Skep__V1__JobPause);
	skep__v1__job_pause__init(m);
	m->project = api_text(a, p->project);
	m->kind = (Skep__V1__JobKind)p->kind;
	m->reason = api_text(a, p->reason);
	m->paused_by = api_text(a, p->paused_by);
	m->paused_at = api_time(a, p->paused_us);
	return m;
}

static Skep__V1__Daemon *daemon_of(struct arena *a, const struct db_daemon *d)
{
	Skep__V1__Daemon *m = arena_new(a, Skep__V1__Daemon);
	skep__v1__daemon__init(m);
	m->id = api_text(a, d->id.text);
	m->host = api_text(a, d->host);
	m->version = api_text(a, d->version);
	m->slots = (int32_t)d->slots;
	m->running = (int32_t)d->running;
	m->started_at = api_time(a, d->started_us);
	m->seen_at = api_time(a, d->seen_us);
	m->alive = d->alive;
	return m;
}

static void on_stats(void *data, const struct status *st, const struct db_job_stats *s)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__JobStats m = SKEP__V1__JOB_STATS__INIT;
	m.waiting = arena_array(a, Skep__V1__WaitingJob *, s->n_waiting + 1);
	m.queues = arena_array(a, Skep__V1__JobQueue *, s->n_queues + 1);
	m.pauses = arena_array(a, Skep__V1__JobPause *, s->n_pauses + 1);
	m.daemons = arena_array(a, Skep__V1__Daemon *, s->n_daemons + 1);
	for (size_t i = 0; i < s->n_waiting; i++)
		m.waiting[m.n_waiting++] = waiting_of(a, api_of(call), s, &s->waiting[i]);
	for (size_t i = 0; i < s->n_queues; i++) {
		m.queues[m.n_queues++] = queue_of(a, &s->queues[i]);
		m.total_waiting += (int32_t)s->queues[i].waiting;
		m.total_running += (int32_t)s->queues[i].running;
	}
	for (size_t i = 0; i < s->n_pauses; i++)
		m.pauses[m.n_pauses++] = pause_of(a, &s->pauses[i]);
	for (size_t i = 0; i < s->n_daemons; i++)
		m.daemons[m.n_daemons++] = daemon_of(a, &s->daemons[i]);
	m.running = arena_array(a, Skep__V1__Job *, s->n_running_jobs + 1);
	for (size_t i = 0; i < s->n_running_jobs; i++)
		m.running[m.n_running++] = api_job(a, &s->running_jobs[i]);
	m.slots = (int32_t)s->slots;
	m.ended_last_minute = (int32_t)s->ended;
	m.failed_last_minute = (int32_t)s->failed;
	m.submitted_last_minute = (int32_t)s->submitted;
	rpc_call_reply(call, &m.base);
}

void api_jobs_stats(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__JobStatsRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	unsigned priorities[JOB_KINDS];
	for (int k = 0; k < JOB_KINDS; k++)
		priorities[k] = job_rule_of((enum job_kind)k)->priority;
	db->jobs->stats(db, &scope, q->project, priorities, q->limit ? (unsigned)q->limit : WAITING_TOLD, on_stats, call);
}

/* ---- pause, resume ---- */

/* True: the call has failed. */
static bool may_not(struct rpc_call *call, const char *project, Skep__V1__JobKind kind)
{
	struct status st = status_ok();
	if ((project[0] != '\0') == (kind != 0))
		st = status_err(ST_INVALID_ARGUMENT, "name either a project or a kind of jobs");
	else if (kind && rpc_call_caller(call)->role != RPC_ROLE_ADMIN)
		st = status_err(ST_PERMISSION_DENIED,
			"a kind is paused in every project: only administrators may; pause the project instead");
	if (!status_is_ok(&st))
		api_fail(call, &st);
	return !status_is_ok(&st);
}

void api_jobs_pause(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__PauseJobsRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	if (!may_not(call, q->project, q->kind))
		db->jobs->pause(db, &scope, q->project, (enum job_kind)q->kind, q->reason, api_reply_empty, call);
}

/* The workers hear of it by NOTIFY. */
void api_jobs_resume(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ResumeJobsRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	if (!may_not(call, q->project, q->kind))
		db->jobs->resume(db, &scope, q->project, (enum job_kind)q->kind, api_reply_empty, call);
}

/* ---- retry by filter ---- */

static void on_retried(void *data, const struct status *st, const struct db_job *j, size_t n, bool more)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	(void)more;
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__RetryFailedJobsResponse reply = SKEP__V1__RETRY_FAILED_JOBS_RESPONSE__INIT;
	reply.jobs = arena_array(a, Skep__V1__Job *, n + 1);
	for (size_t i = 0; i < n; i++)
		reply.jobs[reply.n_jobs++] = api_job(a, &j[i]);
	if (n > 0)
		api_of(call)->job_ready(api_of(call)->data, j[0].id.text);
	rpc_call_reply(call, &reply.base);
}

void api_jobs_retry_failed(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__RetryFailedJobsRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	db->jobs->retry_failed(db, &scope, q->project, q->stack, (enum job_kind)q->kind, on_retried, call);
}
