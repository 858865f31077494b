/* convert: db's rows → messages, in the call's arena (or another), and what handlers share: the scope of the
 * caller, pages, failures. */
#pragma once
#include "db/jobs.h"
#include "db/projects.h"
#include "db/stacks.h"
#include "db/tokens.h"
#include "rpc/call.h"
#include "skep/v1/auth.pb-c.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/projects.pb-c.h"
#include "skep/v1/stacks.pb-c.h"

struct api;
struct arena;

struct api *api_of(const struct rpc_call *call);

/* Of a read. Lives as long as the call. */
struct db_scope api_scope(const struct rpc_call *call);
/* Of a mutation: with the request's id and fingerprint. `request_id` points at the field inside `request`. */
struct db_scope api_scope_once(struct rpc_call *call, const ProtobufCMessage *request, char *const *request_id);
struct db_page api_page(const Skep__V1__Page *page);
char *api_text(struct arena *a, const char *s);
Google__Protobuf__Timestamp *api_time(struct arena *a, int64_t us); /* 0 gives NULL */
/* The other way: NULL gives 0; what lies before 1970 gives the moment behind it, never 0. */
int64_t api_time_us(const Google__Protobuf__Timestamp *t);

/* Ends the call with what db said: UNAVAILABLE gets a RetryInfo, and what says when. */
void api_fail(struct rpc_call *call, const struct status *st);

Skep__V1__Project *api_project(struct arena *a, const struct db_project *p);
Skep__V1__Job *api_job(struct arena *a, const struct db_job *j);
Skep__V1__Event *api_event(struct arena *a, const struct db_event *e);
Skep__V1__Stack *api_stack(struct arena *a, const struct api *api, const struct db_stack *s);
Skep__V1__Release *api_release(struct arena *a, const struct db_release *r);
Skep__V1__Token *api_token(struct arena *a, const struct db_token *t);

/* A db_done whose data is the call: replies with nothing. */
void api_reply_empty(void *call, const struct status *st);
enum failure_policy api_on_failure(Skep__V1__OnFailure wish); /* unspecified: go back */

/* A db_job_done whose data is the call: replies with the job. */
void api_reply_job(void *call, const struct status *st, const struct db_job *j);
/* The same for a mutation that made a job: wakes the workers. */
void api_reply_new_job(void *call, const struct status *st, const struct db_job *j);
