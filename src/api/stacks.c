/* skep.v1.Stacks, but for Deploy (stacks_deploy.c) and Watch (stacks_watch.c) */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "api/stacks.h"
#include "base/arena.h"
#include "jobs/kinds.h"
#include "base/json.h"

#define SERVICE_NAME_MAX 63 /* the Engine's; Restart has it in its field rules */

struct db_stack_ref api_stack_ref(const Skep__V1__StackRef *r)
{
	return (struct db_stack_ref){.id = r->id, .project = r->project, .name = r->name};
}

bool api_stack_ref_check(struct rpc_call *call, const Skep__V1__StackRef *r)
{
	if (r->id[0] || (r->project[0] && r->name[0]))
		return true;
	struct status st = status_err(ST_INVALID_ARGUMENT, "which stack? give its id, or its project and name");
	const struct rpc_violation v = {"stack", "id, or project and name, must be given"};
	rpc_call_fail_fields(call, &st, &v, 1);
	return false;
}

static void on_stack(void *data, const struct status *st, const struct db_stack *s)
{
	struct rpc_call *call = data;
	if (!status_is_ok(st))
		api_fail(call, st);
	else
		rpc_call_reply(call, &api_stack(rpc_call_arena(call), api_of(call), s)->base);
}

void api_stacks_get(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__GetStackRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_stack_ref ref = api_stack_ref(q->stack);
	if (api_stack_ref_check(call, q->stack))
		db->stacks->get(db, &scope, &ref, on_stack, call);
}

static void on_stacks(void *data, const struct status *st, const struct db_stack *s, size_t n, bool more)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__ListStacksResponse reply = SKEP__V1__LIST_STACKS_RESPONSE__INIT;
	reply.stacks = arena_array(a, Skep__V1__Stack *, n + 1);
	for (size_t i = 0; i < n; i++)
		reply.stacks[reply.n_stacks++] = api_stack(a, api_of(call), &s[i]);
	if (more)
		reply.next_page_token = api_text(a, s[n - 1].id.text);
	rpc_call_reply(call, &reply.base);
}

void api_stacks_list(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ListStacksRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_page page = api_page(q->page);
	db->stacks->list(db, &scope, q->project, &page, on_stacks, call);
}

static void on_releases(void *data, const struct status *st, const struct db_release *r, size_t n, bool more)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__ListReleasesResponse reply = SKEP__V1__LIST_RELEASES_RESPONSE__INIT;
	reply.releases = arena_array(a, Skep__V1__Release *, n + 1);
	for (size_t i = 0; i < n; i++)
		reply.releases[reply.n_releases++] = api_release(a, &r[i]);
	if (more)
		reply.next_page_token = api_text(a, r[n - 1].id.text);
	rpc_call_reply(call, &reply.base);
}

void api_stacks_releases(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ListReleasesRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_page page = api_page(q->page);
	struct db_stack_ref ref = api_stack_ref(q->stack);
	if (api_stack_ref_check(call, q->stack))
		db->stacks->releases(db, &scope, &ref, &page, on_releases, call);
}

/* ---- jobs on a stack ---- */

/* Takes params. */
static void submit(struct rpc_call *call, const ProtobufCMessage *request, char *const *request_id, const Skep__V1__StackRef *ref,
	enum job_kind kind, json_t *params)
{
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, request_id);
	struct db_stack_job job = {.stack = api_stack_ref(ref), .kind = kind, .max_attempts = (int)job_rule_of(kind)->attempts};
	job.params = str_of(json_to_text(rpc_call_arena(call), params));
	json_decref(params);
	if (api_stack_ref_check(call, ref))
		db->stacks->submit(db, &scope, &job, api_reply_new_job, call);
}

/* The field rules cannot speak of a map's keys. */
static bool check_names(struct rpc_call *call, const Skep__V1__ScaleStackRequest *q)
{
	for (size_t i = 0; i < q->n_replicas; i++) {
		size_t len = strlen(q->replicas[i]->key);
		if (len > 0 && len <= SERVICE_NAME_MAX)
			continue;
		struct status st = status_err(ST_INVALID_ARGUMENT,
			"replicas: a service's name has 1 to %d bytes; one has %zu", SERVICE_NAME_MAX, len);
		const struct rpc_violation v = {"replicas", st.message};
		rpc_call_fail_fields(call, &st, &v, 1);
		return false;
	}
	return true;
}

void api_stacks_scale(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ScaleStackRequest *q = (const void *)request;
	if (!check_names(call, q))
		return;
	json_t *replicas = json_object();
	for (size_t i = 0; i < q->n_replicas; i++)
		json_object_set_new(replicas, q->replicas[i]->key, json_integer(q->replicas[i]->value));
	submit(call, request, &q->request_id, q->stack, JOB_SCALE, json_pack("{s:o}", "replicas", replicas));
}

void api_stacks_restart(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__RestartStackRequest *q = (const void *)request;
	json_t *services = json_array();
	for (size_t i = 0; i < q->n_services; i++)
		json_array_append_new(services, json_string(q->services[i]));
	submit(call, request, &q->request_id, q->stack, JOB_RESTART, json_pack("{s:o}", "services", services));
}

void api_stacks_rollback(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__RollbackStackRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	const struct db_stack_rollback r = {.stack = api_stack_ref(q->stack), .to = q->release,
		.on_failure = api_on_failure(q->on_failure), .stall_seconds = q->stall_seconds, .max_attempts = (int)job_rule_of(JOB_ROLLBACK)->attempts};
	if (api_stack_ref_check(call, q->stack))
		db->stacks->rollback(db, &scope, &r, api_reply_new_job, call);
}

void api_stacks_remove(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__RemoveStackRequest *q = (const void *)request;
	submit(call, request, &q->request_id, q->stack, JOB_REMOVE, json_object());
}
