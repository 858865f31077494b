/* skep.v1.Projects */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "base/arena.h"

static void on_project(void *data, const struct status *st, const struct db_project *p)
{
	struct rpc_call *call = data;
	if (!status_is_ok(st))
		api_fail(call, st);
	else
		rpc_call_reply(call, &api_project(rpc_call_arena(call), p)->base);
}

void api_projects_create(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__CreateProjectRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	db->projects->create(db, &scope, q->name, q->description, on_project, call);
}

void api_projects_get(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__GetProjectRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	db->projects->get(db, &scope, q->project, on_project, call);
}

static void on_projects(void *data, const struct status *st, const struct db_project *p, size_t n, bool more)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__ListProjectsResponse reply = SKEP__V1__LIST_PROJECTS_RESPONSE__INIT;
	reply.projects = arena_array(a, Skep__V1__Project *, n + 1);
	for (size_t i = 0; i < n; i++)
		reply.projects[reply.n_projects++] = api_project(a, &p[i]);
	if (more)
		reply.next_page_token = api_text(a, p[n - 1].id.text);
	rpc_call_reply(call, &reply.base);
}

void api_projects_list(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ListProjectsRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_page page = api_page(q->page);
	db->projects->list(db, &scope, &page, on_projects, call);
}

void api_projects_update(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__UpdateProjectRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	const struct db_project_change change = {.description = q->description[0] ? q->description : NULL,
		.drift_policy = (enum drift_policy)q->drift_policy, .weight = q->weight, .max_running = q->max_running,
		.etag = q->etag};
	if ((q->weight || q->max_running) && rpc_call_caller(call)->role != RPC_ROLE_ADMIN) {
		struct status st = status_err(ST_PERMISSION_DENIED, "weight and max_running are an administrator's to change");
		api_fail(call, &st);
		return;
	}
	db->projects->update(db, &scope, q->project, &change, on_project, call);
}

void api_projects_delete(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__DeleteProjectRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	db->projects->remove(db, &scope, q->project, q->etag, api_reply_empty, call);
}
