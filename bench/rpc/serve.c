#include "serve.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>
#include "base/str.h"
#include "loop/loop.h"
#include "rpc/server.h"
#include "skep/v1/messages.h"
#include "skep/v1/system.pb-c.h"

static void handle_info(struct rpc_call *call, const ProtobufCMessage *request)
{
	Skep__V1__SystemInfo reply = SKEP__V1__SYSTEM_INFO__INIT;
	Google__Protobuf__Timestamp started = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	(void)request;
	reply.version = (char *)SKEP_VERSION;
	reply.instance = (char *)"018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f";
	started.seconds = 1760000000;
	reply.started_at = &started;
	rpc_call_reply(call, &reply.base);
}

static const struct rpc_method methods[] = {
	{"/skep.v1.System/Info", &google_protobuf_msg_empty, &skep_v1_msg_system_info,
		.anonymous = true, .handler = handle_info},
};

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	loop_stop(handle->data);
}

static struct status listen_on(struct rpc_server *s, const char *address)
{
	uint64_t port;
	char host[64];
	const char *colon = strrchr(address, ':');
	if (str_starts(str_of(address), "unix://"))
		return rpc_server_listen_unix(s, address + 7, 0600);
	if (!colon || !str_to_u64(str_of(colon + 1), &port) ||
		(size_t)(colon - address) >= sizeof(host))
		return status_err(ST_INVALID_ARGUMENT, "\"%s\" is no address", address);
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	return rpc_server_listen_tcp(s, host, (unsigned)port, NULL);
}

int serve(const char *address)
{
	static const int numbers[] = {SIGTERM, SIGINT};
	uv_signal_t signals[2];
	struct loop *l = loop_create();
	struct rpc_server_options o = {.loop = l, .methods = methods, .n_methods = 1, .limits = {.max_connections = 20000}};
	struct rpc_server *s = rpc_server_create(&o);
	struct status st = listen_on(s, address);
	for (size_t i = 0; i < 2; i++) {
		uv_signal_init(loop_uv(l), &signals[i]);
		signals[i].data = l;
		uv_signal_start(&signals[i], on_signal, numbers[i]);
	}
	if (status_is_ok(&st))
		loop_run(l);
	else
		(void)fprintf(stderr, "bench_rpc: %s\n", st.message);
	for (size_t i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&signals[i], NULL);
	rpc_server_destroy(s);
	loop_destroy(l);
	return status_is_ok(&st) ? 0 : 1;
}
