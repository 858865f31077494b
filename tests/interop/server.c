/* The server of gRPC's interoperability tests: grpc.testing.TestService on src/rpc, for the clients that gRPC's makers test each of
 * their implementations with (tests/e2e/test_interop.py). What a server does is in gRPC's doc/interop-test-descriptions.md.
 *
 *	interop_server              prints its port; ends when its standard input does */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "base/arena.h"
#include "base/log.h"
#include "grpc/testing/messages.pb-c.h"
#include "loop/loop.h"
#include "rpc/call.h"
#include "rpc/server.h"
#include "skep/test/v1/messages.h"

typedef Grpc__Testing__SimpleRequest simple_request;
typedef Grpc__Testing__StreamingInputCallRequest input_request;
typedef Grpc__Testing__StreamingOutputCallRequest output_request;
typedef Grpc__Testing__StreamingOutputCallResponse output_response;

#define MAX_SIZE (4 * 1024 * 1024)

/* One answer that is to be sent. */
struct part {
	struct part *next;
	size_t size;
	uint64_t delay_ms;
};

struct test {
	struct rpc_call *call;
	struct timer delay;
	struct part *first, **last; /* of the answers still to be sent */
	bool client_ended;
	int64_t received;
};

/* ---- what every method does ---- */

/* Metadata by these names goes back: as a header, as a trailer. */
static void echo_metadata(struct rpc_call *call)
{
	static const char initial[] = "x-grpc-test-echo-initial", trailing[] = "x-grpc-test-echo-trailing-bin";
	const char *value = rpc_call_metadata(call, initial);
	if (value)
		rpc_call_set_header(call, initial, value);
	value = rpc_call_metadata(call, trailing);
	if (value)
		rpc_call_set_trailer(call, trailing, value);
}

/* True: the client wanted a failure, and has it. */
static bool echo_status(struct rpc_call *call, const Grpc__Testing__EchoStatus *wanted)
{
	if (!wanted || wanted->code == 0)
		return false;
	struct status st = status_err((enum st_code)wanted->code, "%s", wanted->message);
	rpc_call_finish(call, &st);
	return true;
}

/* True: the request came otherwise than the client says it should have. */
static bool refuse_compression(struct rpc_call *call, const Grpc__Testing__BoolValue *expected)
{
	if (!expected || expected->value == rpc_call_was_compressed(call))
		return false;
	struct status st =
		status_err(ST_INVALID_ARGUMENT, "the message came %scompressed", expected->value ? "un" : "");
	rpc_call_finish(call, &st);
	return true;
}

static Grpc__Testing__Payload *payload_of(struct arena *a, size_t size)
{
	Grpc__Testing__Payload *p = arena_new(a, Grpc__Testing__Payload);
	grpc__testing__payload__init(p);
	p->body.data = arena_zalloc(a, size + 1);
	p->body.len = size;
	return p;
}

/* False: it is refused. */
static bool check_size(struct rpc_call *call, int32_t size)
{
	if (size >= 0 && size <= MAX_SIZE)
		return true;
	struct status st = status_err(ST_INVALID_ARGUMENT, "a size of %d is out of bounds", size);
	rpc_call_finish(call, &st);
	return false;
}

/* ---- unary ---- */

static void handle_empty(struct rpc_call *call, const ProtobufCMessage *request)
{
	Grpc__Testing__Empty reply = GRPC__TESTING__EMPTY__INIT;
	(void)request;
	echo_metadata(call);
	rpc_call_reply(call, &reply.base);
}

static void handle_unary(struct rpc_call *call, const ProtobufCMessage *request)
{
	const simple_request *r = (const simple_request *)request;
	Grpc__Testing__SimpleResponse reply = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
	echo_metadata(call);
	if (refuse_compression(call, r->expect_compressed) || echo_status(call, r->response_status) ||
		!check_size(call, r->response_size))
		return;
	reply.payload = payload_of(rpc_call_arena(call), (size_t)r->response_size);
	rpc_call_reply(call, &reply.base);
}

/* ---- streams ---- */

static void stop_delay(void *data)
{
	timer_stop(&((struct test *)data)->delay);
}

static void on_cancel(struct rpc_call *call)
{
	struct status gone = status_err(ST_CANCELLED, "the client has gone");
	struct test *t = rpc_call_data(call);
	timer_stop(&t->delay);
	rpc_call_finish(call, &gone);
}

/* Sends what is due, or waits for it. */
static void go_on(struct test *t)
{
	struct status ok = status_ok();
	if (timer_is_set(&t->delay))
		return;
	if (t->first)
		timer_set(&t->delay, t->first->delay_ms);
	else if (t->client_ended)
		rpc_call_finish(t->call, &ok);
}

static void on_delay(struct timer *timer)
{
	struct test *t = container_of(timer, struct test, delay);
	struct arena *a = arena_create();
	output_response reply = GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__INIT;
	reply.payload = payload_of(a, t->first->size);
	t->first = t->first->next;
	if (!t->first)
		t->last = &t->first;
	(void)rpc_call_send(t->call, &reply.base);
	arena_destroy(a);
	go_on(t);
}

static struct test *begin(struct rpc_call *call)
{
	struct test *t = arena_new(rpc_call_arena(call), struct test);
	t->call = call;
	t->last = &t->first;
	timer_init(&t->delay, rpc_call_context(call), on_delay);
	arena_on_free(rpc_call_arena(call), stop_delay, t);
	rpc_call_set_data(call, t);
	rpc_call_on_cancel(call, on_cancel);
	echo_metadata(call);
	return t;
}

/* False: the call has ended. */
static bool add_parts(struct test *t, const output_request *r)
{
	if (echo_status(t->call, r->response_status))
		return false;
	for (size_t i = 0; i < r->n_response_parameters; i++) {
		const Grpc__Testing__ResponseParameters *p = r->response_parameters[i];
		if (!check_size(t->call, p->size))
			return false;
		struct part *part = arena_new(rpc_call_arena(t->call), struct part);
		part->size = (size_t)p->size;
		part->delay_ms = p->interval_us > 0 ? (uint64_t)p->interval_us / 1000 : 0;
		*t->last = part;
		t->last = &part->next;
	}
	return true;
}

static void handle_output(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct test *t = begin(call);
	t->client_ended = true;
	if (add_parts(t, (const output_request *)request))
		go_on(t);
}

static void on_input(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct test *t = rpc_call_data(call);
	const input_request *r = (const input_request *)message;
	Grpc__Testing__StreamingInputCallResponse reply = GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__INIT;
	if (r) {
		if (!refuse_compression(call, r->expect_compressed) && r->payload)
			t->received += (int64_t)r->payload->body.len;
		return;
	}
	reply.aggregated_payload_size = (int32_t)t->received;
	rpc_call_reply(call, &reply.base);
}

static void handle_input(struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	(void)begin(call);
	rpc_call_on_message(call, on_input);
}

static void on_duplex(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct test *t = rpc_call_data(call);
	t->client_ended = !message;
	if (!message || add_parts(t, (const output_request *)message))
		go_on(t);
}

static void handle_duplex(struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	(void)begin(call);
	rpc_call_on_message(call, on_duplex);
}

/* ---- for h2spec: a stream stays half-closed for a while ---- */

#define LATE_MS 300

static void on_late(struct timer *timer)
{
	struct test *t = container_of(timer, struct test, delay);
	Grpc__Testing__Empty reply = GRPC__TESTING__EMPTY__INIT;
	rpc_call_reply(t->call, &reply.base);
}

static void handle_late(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct test *t = begin(call);
	(void)request;
	timer_init(&t->delay, rpc_call_context(call), on_late);
	timer_set(&t->delay, LATE_MS);
}

#define SERVICE       "/grpc.testing.TestService/"
#define MESSAGE(name) &grpc_testing_msg_##name
static const struct rpc_method methods[] = {
	{SERVICE "CacheableUnaryCall", MESSAGE(simple_request), MESSAGE(simple_response), .anonymous = true,
		.no_side_effects = true, .handler = handle_unary},
	{SERVICE "EmptyCall", MESSAGE(empty), MESSAGE(empty), .anonymous = true, .handler = handle_empty},
	{SERVICE "FullDuplexCall", MESSAGE(streaming_output_call_request), MESSAGE(streaming_output_call_response),
		.anonymous = true, .client_streaming = true, .server_streaming = true, .handler = handle_duplex},
	{SERVICE "StreamingInputCall", MESSAGE(streaming_input_call_request), MESSAGE(streaming_input_call_response),
		.anonymous = true, .client_streaming = true, .handler = handle_input},
	{SERVICE "StreamingOutputCall", MESSAGE(streaming_output_call_request),
		MESSAGE(streaming_output_call_response), .anonymous = true, .server_streaming = true,
		.handler = handle_output},
	{SERVICE "UnaryCall", MESSAGE(simple_request), MESSAGE(simple_response), .anonymous = true,
		.handler = handle_unary},
	{"/skep.test.Late/Empty", MESSAGE(empty), MESSAGE(empty), .anonymous = true, .no_side_effects = true,
		.handler = handle_late},
};

/* ---- the server ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret_buf)
{
	static char nothing[64]; /* what comes says nothing */
	(void)h;
	(void)suggested;
	*ret_buf = uv_buf_init(nothing, sizeof(nothing));
}

static void on_input_end(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	if (n < 0)
		loop_stop(s->data);
}

int main(void)
{
	struct loop *l = loop_create();
	struct rpc_server_options o = {
		.loop = l, .methods = methods, .n_methods = sizeof(methods) / sizeof(methods[0]), .context = l};
	struct rpc_server *server = rpc_server_create(&o);
	uv_pipe_t input = {.data = l};
	unsigned port = 0;
	log_configure(LOG_WARN, LOG_KEY_VALUE);
	struct status st = rpc_server_listen_tcp(server, "127.0.0.1", 0, &port);
	if (!status_is_ok(&st) || uv_pipe_init(loop_uv(l), &input, 0) != 0 || uv_pipe_open(&input, STDIN_FILENO) != 0 ||
		uv_read_start((uv_stream_t *)&input, on_alloc, on_input_end) != 0) {
		(void)fprintf(stderr, "interop_server: %s\n", st.message);
		return 1;
	}
	(void)printf("%u\n", port);
	(void)fflush(stdout);
	loop_run(l);
	uv_close((uv_handle_t *)&input, NULL);
	rpc_server_destroy(server);
	loop_destroy(l);
	return 0;
}
