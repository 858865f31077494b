/* The server that the fuzzers of the wires feed: handlers of every shape, small limits. One fuzzer
 * includes it, once. */
#pragma once
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/log.h"
#include "loop/loop.h"
#include "rpc/server.h"
#include "skep/test/v1/methods.h"
#include "skep/test/v1/rest.pb-c.h"
#include "skep/v1/common.pb-c.h"
#include "skep/v1/messages.h"

static void on_echo(struct rpc_call *call, const ProtobufCMessage *request)
{
	rpc_call_reply(call, request);
}

static void end(struct rpc_call *call)
{
	struct status st = status_err(ST_CANCELLED, "gone");
	rpc_call_finish(call, &st);
}

static void on_message(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct status ok = status_ok();
	if (message)
		(void)rpc_call_send(call, message);
	else
		rpc_call_finish(call, &ok);
}

static void on_bidi(struct rpc_call *call, const ProtobufCMessage *request)
{
	assert(!request);
	rpc_call_on_message(call, on_message);
	rpc_call_on_cancel(call, end);
}

static void on_hang(struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	rpc_call_on_cancel(call, end);
}

static void on_writable(struct rpc_call *call)
{
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	char text[2000] = {0};
	struct status ok = status_ok();
	int64_t *left = rpc_call_data(call);
	e.message = memset(text, 'x', sizeof(text) - 1);
	while (*left > 0) {
		--*left;
		if (!rpc_call_send(call, &e.base))
			return;
	}
	rpc_call_finish(call, &ok);
}

static void on_source(struct rpc_call *call, const ProtobufCMessage *request)
{
	int64_t *left = arena_alloc(rpc_call_arena(call), sizeof(*left));
	*left = ((const Skep__V1__Event *)request)->sequence & 0x1ff;
	rpc_call_set_data(call, left);
	rpc_call_on_writable(call, on_writable);
	rpc_call_on_cancel(call, end);
	on_writable(call);
}

/* The methods of tests/proto/skep/test/v1/rest.proto, which have paths. */
#define GIVES_BACK(name)                                                                           \
	void name(struct rpc_call *call, const ProtobufCMessage *request)                          \
	{                                                                                          \
		rpc_call_reply(call, request);                                                     \
	}
GIVES_BACK(api_rest_do)
GIVES_BACK(api_rest_get)
GIVES_BACK(api_rest_list)
GIVES_BACK(api_rest_part)
GIVES_BACK(api_rest_put)
GIVES_BACK(api_rest_sum)

void api_rest_drop(struct rpc_call *call, const ProtobufCMessage *request)
{
	Google__Protobuf__Empty nothing = GOOGLE__PROTOBUF__EMPTY__INIT;
	(void)request;
	rpc_call_reply(call, &nothing.base);
}

void api_rest_fail(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__Test__V1__Thing *q = (const void *)request;
	const struct rpc_violation v = {q->name, q->etag};
	struct status st = status_err(ST_NOT_FOUND, "%s", q->name);
	rpc_call_fail_fields(call, &st, &v, 1);
}

void api_rest_count(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__Test__V1__Thing *q = (const void *)request;
	Skep__Test__V1__Thing thing = SKEP__TEST__V1__THING__INIT;
	Skep__Test__V1__Counted m = SKEP__TEST__V1__COUNTED__INIT;
	struct status st = status_ok();
	m.thing = &thing;
	thing.name = q->name;
	for (thing.number64 = q->number64 & 0xff; thing.number64 < (q->number & 0xff); thing.number64++)
		(void)rpc_call_send(call, &m.base);
	rpc_call_finish(call, &st);
}

static void authenticate(void *context, struct rpc_token *token, struct str bearer)
{
	struct rpc_caller caller = {.role = (enum rpc_role)(bearer.len % 5), .name = "fuzz"};
	struct status st = status_ok();
	(void)context;
	if (bearer.ptr[0] == 'x')
		st = status_err(ST_UNAUTHENTICATED, "no");
	rpc_token_answer(token, &st, &caller, 0);
}

#define E &skep_v1_msg_event
static const struct rpc_method methods[] = {
	{"/b", E, E, .role = RPC_ROLE_VIEWER, .client_streaming = true, .server_streaming = true,
		.handler = on_bidi},
	{"/d", &skep_v1_msg_deploy_stack_request, &skep_v1_msg_deploy_stack_request,
		.anonymous = true, .handler = on_echo},
	{"/e", E, E, .role = RPC_ROLE_VIEWER, .handler = on_echo},
	{"/h", E, E, .role = RPC_ROLE_VIEWER, .handler = on_hang},
	{"/s", E, E, .role = RPC_ROLE_VIEWER, .server_streaming = true, .handler = on_source},
};

#define OWN (sizeof(methods) / sizeof(methods[0]))
#define REST_MAX 16
static struct rpc_method all_methods[OWN + REST_MAX];
static struct loop *loop;
static struct rpc_server *server;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	loop = loop_create();
	assert(skep_test_v1_method_count <= REST_MAX);
	memcpy(all_methods, methods, sizeof(methods));
	memcpy(all_methods + OWN, skep_test_v1_methods,
		skep_test_v1_method_count * sizeof(all_methods[0])); /* "/s…", behind "/s" */
	struct rpc_server_options o = {.loop = loop,
		.methods = all_methods,
		.n_methods = OWN + skep_test_v1_method_count,
		.routes = &skep_test_v1_routes,
		.cors_origins = "https://f",
		.authenticate = authenticate,
		.limits = {.max_message = 2000,
			.max_metadata = 300,
			.max_streams = 8,
			.max_buffered = 20000}};
	server = rpc_server_create(&o);
	return 0;
}

/* One connection that says this and then nothing more; b is emptied. */
static void serve(struct buf *b)
{
	char sink[65536];
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		abort();
	struct status st = rpc_server_adopt(server, fds[0]);
	assert(status_is_ok(&st));
	ssize_t written = write(fds[1], b->ptr, b->len);
	assert(written > 0);
	buf_finish(b);
	(void)shutdown(fds[1], SHUT_WR);
	const struct rpc_counters *n = rpc_server_counters(server);
	while (n->connections > 0 || n->open_calls > 0) {
		loop_turn(loop);
		while (read(fds[1], sink, sizeof(sink)) > 0)
			;
	}
	(void)close(fds[1]);
	assert(n->buffered == 0 && n->received == 0);
}
