/* What a handler may ask and set; the ways to end a call are in call.c. */
#include "rpc/call_impl.h"
#include <string.h>
#include "base/arena.h"
#include "rpc/server_impl.h"

struct arena *rpc_call_arena(struct rpc_call *call)
{
	return call->arena;
}

void *rpc_call_context(const struct rpc_call *call)
{
	return call->server->o.context;
}

const struct rpc_caller *rpc_call_caller(const struct rpc_call *call)
{
	return &call->caller;
}

const struct rpc_method *rpc_call_method(const struct rpc_call *call)
{
	return call->method;
}

const char *rpc_call_peer(const struct rpc_call *call)
{
	return call->peer;
}

uint64_t rpc_call_deadline_ms(const struct rpc_call *call)
{
	uint64_t now = loop_now_ms(call->server->o.loop);
	if (!call->deadline_at)
		return UINT64_MAX;
	return call->deadline_at > now ? call->deadline_at - now : 0;
}

const char *rpc_call_metadata(const struct rpc_call *call, const char *name)
{
	for (size_t i = 0; i < call->n_metadata; i++)
		if (strcmp(call->metadata[i].name, name) == 0)
			return call->metadata[i].value;
	return NULL;
}

bool rpc_call_metadata_at(
	const struct rpc_call *call, size_t i, const char **ret_name, const char **ret_value)
{
	if (i >= call->n_metadata)
		return false;
	*ret_name = call->metadata[i].name;
	*ret_value = call->metadata[i].value;
	return true;
}

static void add_metadata(struct arena *a, struct rpc_metadata **list, size_t *n, const char *name,
	const char *value)
{
	if (!*list)
		*list = arena_array(a, struct rpc_metadata, RPC_METADATA_MAX);
	if (*n < RPC_METADATA_MAX)
		(*list)[(*n)++] =
			(struct rpc_metadata){arena_strdup(a, name), arena_strdup(a, value)};
}

void rpc_call_set_header(struct rpc_call *call, const char *name, const char *value)
{
	add_metadata(call->arena, &call->headers, &call->n_headers, name, value);
}

void rpc_call_set_trailer(struct rpc_call *call, const char *name, const char *value)
{
	add_metadata(call->arena, &call->trailers, &call->n_trailers, name, value);
}

bool rpc_call_was_compressed(const struct rpc_call *call)
{
	return call->compressed;
}

const struct rpc_counters *rpc_call_counters(const struct rpc_call *call)
{
	return rpc_server_counters(call->server);
}

bool rpc_call_is_cancelled(const struct rpc_call *call)
{
	return call->gone;
}

void rpc_call_set_data(struct rpc_call *call, void *data)
{
	call->data = data;
}

void *rpc_call_data(const struct rpc_call *call)
{
	return call->data;
}

bool rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	if (call->gone)
		return false;
	bool more = call->protocol->send(call, message);
	call->full = !more;
	return more;
}

void rpc_call_on_writable(struct rpc_call *call, void (*fn)(struct rpc_call *call))
{
	call->on_writable = fn;
	if (call->full)
		defer_post(&call->events);
}

void rpc_call_on_message(
	struct rpc_call *call, void (*fn)(struct rpc_call *call, const ProtobufCMessage *message))
{
	call->on_message = fn;
	defer_post(&call->events); /* something may be waiting */
}

void rpc_call_pause(struct rpc_call *call)
{
	call->paused = true;
}

void rpc_call_resume(struct rpc_call *call)
{
	call->paused = false;
	defer_post(&call->events);
}

void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(struct rpc_call *call))
{
	call->on_cancel = fn;
	if (call->gone)
		defer_post(&call->events);
}
