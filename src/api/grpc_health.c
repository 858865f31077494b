/* grpc.health.v1.Health, fed by readiness: what System.Ready says. */
#include "skep/v1/methods.h"

#include <string.h>
#include "api/api.h"
#include "api/convert.h"
#include "base/arena.h"
#include "grpc/health/v1/health.pb-c.h"
#include "loop/loop.h"

#define LOOK_MS 500 /* a watcher hears of a change so soon */

typedef Grpc__Health__V1__HealthCheckRequest request_t;
typedef Grpc__Health__V1__HealthCheckResponse response_t;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus status_t;

#define UNKNOWN_SERVICE GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
#define SERVING         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING

/* "/skep.v1.Stacks/Get" belongs to "skep.v1.Stacks". */
static bool is_method_of(const struct rpc_method *m, const char *service)
{
	size_t n = strlen(service);
	return strncmp(m->path + 1, service, n) == 0 && m->path[1 + n] == '/';
}

static bool is_served(const char *service)
{
	for (size_t i = 0; i < skep_v1_method_count; i++)
		if (is_method_of(&skep_v1_methods[i], service))
			return true;
	return service[0] == '\0';
}

static status_t status_of(const struct api *api, const char *service)
{
	struct api_dependency seen[API_DEPENDENCIES];
	if (!is_served(service))
		return UNKNOWN_SERVICE;
	api->dependencies(api->data, seen);
	return api_is_ready(seen) ? SERVING : NOT_SERVING;
}

void api_grpc_health_check(struct rpc_call *call, const ProtobufCMessage *request)
{
	const char *service = ((const request_t *)request)->service;
	response_t reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	reply.status = status_of(api_of(call), service);
	if (reply.status == UNKNOWN_SERVICE) {
		struct status st =
			status_err(ST_NOT_FOUND, "there is no service \"%s\" here", service);
		rpc_call_finish(call, &st);
		return;
	}
	rpc_call_reply(call, &reply.base);
}

void api_grpc_health_list(struct rpc_call *call, const ProtobufCMessage *request)
{
	typedef Grpc__Health__V1__HealthListResponse__StatusesEntry entry_t;
	struct arena *a = rpc_call_arena(call);
	Grpc__Health__V1__HealthListResponse reply = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
	response_t *now = arena_new(a, response_t);
	(void)request;
	grpc__health__v1__health_check_response__init(now);
	now->status = status_of(api_of(call), "");
	reply.statuses = arena_array(a, entry_t *, skep_v1_method_count + 1);
	for (size_t i = 0; i <= skep_v1_method_count; i++) {
		const char *path = i ? skep_v1_methods[i - 1].path + 1 : "/";
		char *name = arena_strndup(a, path, strcspn(path, "/"));
		size_t n = reply.n_statuses;
		if (n > 0 && strcmp(reply.statuses[n - 1]->key, name) == 0)
			continue; /* the table is sorted */
		entry_t *e = arena_new(a, entry_t);
		grpc__health__v1__health_list_response__statuses_entry__init(e);
		e->key = name;
		e->value = now;
		reply.statuses[reply.n_statuses++] = e;
	}
	rpc_call_reply(call, &reply.base);
}

struct health_watch {
	struct rpc_call *call;
	struct timer look;
	const char *service;
	status_t told;
	bool full;
};

static void look(struct health_watch *w)
{
	response_t now = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	now.status = status_of(api_of(w->call), w->service);
	if (now.status != w->told && !w->full) {
		w->told = now.status;
		w->full = !rpc_call_send(w->call, &now.base);
	}
	timer_set(&w->look, LOOK_MS);
}

static void on_look(struct timer *t)
{
	look(container_of(t, struct health_watch, look));
}

static void on_writable(struct rpc_call *call)
{
	((struct health_watch *)rpc_call_data(call))->full = false;
}

static void on_cancel(struct rpc_call *call)
{
	struct health_watch *w = rpc_call_data(call);
	struct status st = status_err(ST_CANCELLED, "the client has left");
	timer_stop(&w->look);
	rpc_call_finish(call, &st);
}

void api_grpc_health_watch(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct health_watch *w = arena_new(rpc_call_arena(call), struct health_watch);
	w->call = call;
	w->service = ((const request_t *)request)->service;
	timer_init(&w->look, api_of(call)->loop, on_look);
	rpc_call_set_data(call, w);
	rpc_call_on_cancel(call, on_cancel);
	rpc_call_on_writable(call, on_writable);
	look(w);
}
