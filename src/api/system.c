/* skep.v1.System */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "base/arena.h"
#include "google/protobuf/empty.pb-c.h"
#include "rpc/server.h"
#include "skep/v1/system.pb-c.h"

void api_system_info(struct rpc_call *call, const ProtobufCMessage *request)
{
	static char version[] = SKEP_VERSION;
	const struct api *api = api_of(call);
	(void)request;
	Google__Protobuf__Timestamp started = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	started.seconds = api->started_us / 1000000;
	started.nanos = (int32_t)(api->started_us % 1000000) * 1000;
	Skep__V1__SystemInfo reply = SKEP__V1__SYSTEM_INFO__INIT;
	reply.version = version;
	reply.instance = (char *)(uintptr_t)api->instance;
	reply.started_at = &started;
	rpc_call_reply(call, &reply.base);
}

void api_system_health(struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	Google__Protobuf__Empty reply = GOOGLE__PROTOBUF__EMPTY__INIT;
	rpc_call_reply(call, &reply.base);
}

bool api_is_ready(const struct api_dependency seen[API_DEPENDENCIES])
{
	for (size_t i = 0; i < API_DEPENDENCIES; i++)
		if (!seen[i].up && strcmp(seen[i].name, "redis") != 0)
			return false;
	return true;
}

void api_system_ready(struct rpc_call *call, const ProtobufCMessage *request)
{
	const struct api *api = api_of(call);
	struct arena *a = rpc_call_arena(call);
	struct api_dependency seen[API_DEPENDENCIES];
	bool admin = rpc_call_caller(call)->role == RPC_ROLE_ADMIN;
	(void)request;
	api->dependencies(api->data, seen);
	Skep__V1__ReadyResponse reply = SKEP__V1__READY_RESPONSE__INIT;
	reply.ready = api_is_ready(seen);
	reply.dependencies = arena_array(a, Skep__V1__Dependency *, API_DEPENDENCIES);
	for (size_t i = 0; i < API_DEPENDENCIES; i++) {
		Skep__V1__Dependency *d = arena_new(a, Skep__V1__Dependency);
		skep__v1__dependency__init(d);
		d->name = api_text(a, seen[i].name);
		d->up = seen[i].up;
		/* The words name hosts, users and files: anybody may ask. */
		d->message = api_text(a, seen[i].up ? "" : admin ? seen[i].why.message : "not reachable");
		reply.dependencies[reply.n_dependencies++] = d;
	}
	rpc_call_reply(call, &reply.base);
}

void api_system_counters(struct rpc_call *call, const ProtobufCMessage *request)
{
	const char *counters = (const void *)rpc_call_counters(call);
	struct arena *a = rpc_call_arena(call);
	(void)request;
	Skep__V1__CountersResponse reply = SKEP__V1__COUNTERS_RESPONSE__INIT;
	reply.counters = arena_array(a, Skep__V1__Counter *, rpc_counter_count);
	for (size_t i = 0; i < rpc_counter_count; i++) {
		const struct rpc_counter *from = &rpc_counter_table[i];
		Skep__V1__Counter *c = arena_new(a, Skep__V1__Counter);
		skep__v1__counter__init(c);
		c->name = api_text(a, from->name);
		c->help = api_text(a, from->help);
		c->gauge = from->is_gauge;
		memcpy(&c->value, counters + from->offset, sizeof(c->value));
		reply.counters[reply.n_counters++] = c;
	}
	rpc_call_reply(call, &reply.base);
}
