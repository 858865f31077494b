/* skep.v1.Registries */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "base/arena.h"
#include "db/registries.h"
#include "skep/v1/registries.pb-c.h"
#include "stacks/registry.h"
#include "stacks/registry_login.h"
#include "stacks/stacks.h"

static Skep__V1__Registry *registry_of(struct arena *a, const struct db_registry *r)
{
	Skep__V1__Registry *m = arena_new(a, Skep__V1__Registry);
	skep__v1__registry__init(m);
	m->id = api_text(a, r->id.text);
	m->project_id = api_text(a, r->project_id.text);
	m->host = api_text(a, r->host);
	m->username = api_text(a, r->username);
	m->created_at = api_time(a, r->created_us);
	m->updated_at = api_time(a, r->updated_us);
	m->etag = m->id;
	return m;
}

/* The host as images name it; NULL: the call was refused. */
static const char *host_of(struct rpc_call *call, const char *text)
{
	const char *host = registry_host(rpc_call_arena(call), text);
	if (host)
		return host;
	struct status st = status_err(ST_INVALID_ARGUMENT,
		"\"%s\" is no registry's host: expected a name with an optional port, as registry.example.com:5000", text);
	const struct rpc_violation v = {"host", st.message};
	rpc_call_fail_fields(call, &st, &v, 1);
	return NULL;
}

static void on_set(void *data, const struct status *st, const struct db_registry *r)
{
	struct rpc_call *call = data;
	const struct rpc_violation v = {"password", st->message};
	if (status_is_ok(st))
		rpc_call_reply(call, &registry_of(rpc_call_arena(call), r)->base);
	else if (st->code == ST_INVALID_ARGUMENT) /* the registry's word */
		rpc_call_fail_fields(call, st, &v, 1);
	else
		api_fail(call, st);
}

void api_registries_set(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__SetRegistryRequest *q = (const void *)request;
	const struct api *api = api_of(call);
	const struct registry_login_input in = {.loop = api->loop,
		.db = api->db,
		.docker = api->stacks->docker,
		.arena = rpc_call_arena(call),
		.set = {q->project, host_of(call, q->host), q->username, q->password, q->etag},
		.scope = api_scope_once(call, request, &q->request_id),
		.unseen = q->no_verify};
	if (in.set.host)
		registry_login(&in, on_set, call);
}

static void on_registries(void *data, const struct status *st, const struct db_registry *r, size_t n, bool more)
{
	struct rpc_call *call = data;
	struct arena *a = rpc_call_arena(call);
	if (!status_is_ok(st)) {
		api_fail(call, st);
		return;
	}
	Skep__V1__ListRegistriesResponse reply = SKEP__V1__LIST_REGISTRIES_RESPONSE__INIT;
	reply.registries = arena_array(a, Skep__V1__Registry *, n + 1);
	for (size_t i = 0; i < n; i++)
		reply.registries[reply.n_registries++] = registry_of(a, &r[i]);
	if (more)
		reply.next_page_token = api_text(a, r[n - 1].id.text);
	rpc_call_reply(call, &reply.base);
}

void api_registries_list(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ListRegistriesRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_page page = api_page(q->page);
	db->registries->list(db, &scope, q->project, &page, on_registries, call);
}

void api_registries_delete(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__DeleteRegistryRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	const char *host = host_of(call, q->host);
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	if (host)
		db->registries->remove(db, &scope, q->project, host, q->etag, api_reply_empty, call);
}
