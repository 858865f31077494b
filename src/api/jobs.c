/* skep.v1.Jobs, but for Watch (jobs_watch.c) */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "base/arena.h"

void api_jobs_get(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__GetJobRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	db->jobs->get(db, &scope, q->id, api_reply_job, call);
}

static void on_jobs(void *data, const struct status *st, const struct db_job *j, size_t n, bool more)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__ListJobsResponse reply = SKEP__V1__LIST_JOBS_RESPONSE__INIT;
	reply.jobs = arena_array(a, Skep__V1__Job *, n + 1);
	for (size_t i = 0; i < n; i++)
		reply.jobs[reply.n_jobs++] = api_job(a, &j[i]);
	if (more)
		reply.next_page_token = api_text(a, j[n - 1].id.text);
	rpc_call_reply(call, &reply.base);
}

void api_jobs_list(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ListJobsRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_page page = api_page(q->page);
	struct db_job_filter filter = {.project = q->project, .stack = q->stack};
	for (size_t i = 0; i < q->n_states; i++)
		filter.states |= 1U << q->states[i];
	for (size_t i = 0; i < q->n_kinds; i++)
		filter.kinds |= 1U << q->kinds[i];
	filter.from_us = api_time_us(q->created_after);
	filter.until_us = api_time_us(q->created_before);
	db->jobs->list(db, &scope, &filter, &page, on_jobs, call);
}

/* The worker that runs it hears of it by NOTIFY; this daemon's own at once. */
static void on_cancelled(void *data, const struct status *st, const struct db_job *j)
{
	struct rpc_call *call = data;
	const struct api *api = api_of(call);
	if (status_is_ok(st))
		api->job_cancel(api->data, j->id.text);
	api_reply_job(call, st, j);
}

void api_jobs_cancel(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__CancelJobRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	db->jobs->cancel(db, &scope, q->id, on_cancelled, call);
}

void api_jobs_retry(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__RetryJobRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	db->jobs->retry(db, &scope, q->id, api_reply_new_job, call);
}
