/* The server that connectconformance tests: connectrpc.conformance.v1.ConformanceService on src/rpc, with what
 * the runner asks for on standard input (one ServerCompatRequest behind its length), and where it listens on
 * standard output (a ServerCompatResponse likewise). Ends on SIGTERM. docs: the runner's testing_servers.md. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>
#include "base/arena.h"
#include "base/log.h"
#include "connectrpc/conformance/v1/messages.h"
#include "connectrpc/conformance/v1/server_compat.pb-c.h"
#include "connectrpc/conformance/v1/service.pb-c.h"
#include "google/protobuf/any.pb-c.h"
#include "loop/loop.h"
#include "net/tls_files.h"
#include "rpc/call.h"
#include "rpc/server.h"

typedef Connectrpc__Conformance__V1__UnaryRequest unary_request;
typedef Connectrpc__Conformance__V1__ServerStreamRequest stream_request;
typedef Connectrpc__Conformance__V1__BidiStreamRequest bidi_request;
typedef Connectrpc__Conformance__V1__UnaryResponseDefinition unary_definition;
typedef Connectrpc__Conformance__V1__StreamResponseDefinition stream_definition;
typedef Connectrpc__Conformance__V1__ConformancePayload payload;
typedef Connectrpc__Conformance__V1__ConformancePayload__RequestInfo request_info;
typedef Connectrpc__Conformance__V1__Header header;
typedef Connectrpc__Conformance__V1__Error error;
typedef Google__Protobuf__Any any;

/* What an Any holds is of this service: gen/'s own table knows only Skep's messages (tests/conformance/setup). */
extern const struct rpc_message conformance_any;
static const struct rpc_field any_fields[] = {
	{.name = "type_url", .json_name = "typeUrl"},
	{.name = "value", .json_name = "value"},
};
static struct rpc_registry registry; /* its size is no constant */
const struct rpc_message conformance_any = {
	&google__protobuf__any__descriptor, any_fields, 2, RPC_WKT_ANY, &registry};

#define PREFIX "type.googleapis.com/"

/* Every answer of the service has this shape. */
struct answer {
	ProtobufCMessage base;
	payload *payload;
};

struct test {
	struct rpc_call *call;
	struct arena *arena;
	struct timer delay;
	any **requests; /* those not told of yet */
	size_t n_requests, capacity;
	const unary_definition *unary;   /* one of them, or none */
	const stream_definition *stream;
	bool has_first, full_duplex, client_ended;
	size_t sent;
};

static uint32_t delay_of(const struct test *t)
{
	return t->unary ? t->unary->response_delay_ms : t->stream ? t->stream->response_delay_ms : 0;
}

static const error *error_of(const struct test *t)
{
	if (t->stream)
		return t->stream->error;
	return t->unary && t->unary->response_case == CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_ERROR
		? t->unary->error : NULL;
}

/* ---- what was asked ---- */

static void free_copy(void *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

/* Messages of a stream are gone when their callback returns. */
static const void *keep(struct test *t, const any *packed, const ProtobufCMessageDescriptor *d)
{
	ProtobufCMessage *copy = protobuf_c_message_unpack(d, NULL, packed->value.len, packed->value.data);
	arena_on_free(t->arena, free_copy, copy);
	return copy;
}

static any *pack_any(struct arena *a, const ProtobufCMessage *m)
{
	any *x = arena_new(a, any);
	google__protobuf__any__init(x);
	x->type_url = arena_fmt(a, PREFIX "%s", m->descriptor->name);
	x->value.len = protobuf_c_message_get_packed_size(m);
	x->value.data = arena_zalloc(a, x->value.len + 1);
	protobuf_c_message_pack(m, x->value.data);
	return x;
}

static const any *add_request(struct test *t, const ProtobufCMessage *m)
{
	if (t->n_requests == t->capacity) {
		t->capacity = t->capacity * 2 + 4;
		any **more = arena_array(t->arena, any *, t->capacity);
		for (size_t i = 0; i < t->n_requests; i++)
			more[i] = t->requests[i];
		t->requests = more;
	}
	return t->requests[t->n_requests++] = pack_any(t->arena, m);
}

static header *header_of(request_info *info, struct arena *a, const char *name, size_t room)
{
	for (size_t i = 0; i < info->n_request_headers; i++)
		if (strcmp(info->request_headers[i]->name, name) == 0)
			return info->request_headers[i];
	header *h = arena_new(a, header);
	connectrpc__conformance__v1__header__init(h);
	h->name = arena_strdup(a, name);
	h->value = arena_array(a, char *, room);
	info->request_headers[info->n_request_headers++] = h;
	return h;
}

static void add_headers(const struct test *t, request_info *info)
{
	const char *name, *value;
	size_t n = 0;
	while (rpc_call_metadata_at(t->call, n, &name, &value))
		n++;
	info->request_headers = arena_array(t->arena, header *, n);
	for (size_t i = 0; rpc_call_metadata_at(t->call, i, &name, &value); i++) {
		header *h = header_of(info, t->arena, name, n);
		h->value[h->n_value++] = arena_strdup(t->arena, value);
	}
}

static request_info *tell_requests(const struct test *t)
{
	request_info *info = arena_new(t->arena, request_info);
	connectrpc__conformance__v1__conformance_payload__request_info__init(info);
	info->requests = t->requests;
	info->n_requests = t->n_requests;
	return info;
}

static request_info *tell_all(const struct test *t)
{
	request_info *info = tell_requests(t);
	uint64_t deadline = rpc_call_deadline_ms(t->call);
	add_headers(t, info);
	if (deadline != UINT64_MAX) {
		info->_timeout_ms_case = CONNECTRPC__CONFORMANCE__V1__CONFORMANCE_PAYLOAD__REQUEST_INFO___TIMEOUT_MS_TIMEOUT_MS;
		info->timeout_ms = (int64_t)deadline;
	}
	return info;
}

/* ---- what is answered ---- */

static void set_metadata(struct test *t, header *const *headers, size_t n,
	void (*set)(struct rpc_call *call, const char *name, const char *value))
{
	for (size_t i = 0; i < n; i++)
		for (size_t v = 0; v < headers[i]->n_value; v++)
			set(t->call, headers[i]->name, headers[i]->value[v]);
}

static void announce(struct test *t)
{
	if (t->unary) {
		set_metadata(t, t->unary->response_headers, t->unary->n_response_headers, rpc_call_set_header);
		set_metadata(t, t->unary->response_trailers, t->unary->n_response_trailers, rpc_call_set_trailer);
	} else if (t->stream) {
		set_metadata(t, t->stream->response_headers, t->stream->n_response_headers, rpc_call_set_header);
		set_metadata(t, t->stream->response_trailers, t->stream->n_response_trailers, rpc_call_set_trailer);
	}
}

static struct answer *make_answer(const struct test *t, ProtobufCBinaryData data, request_info *info)
{
	struct answer *r = arena_new(t->arena, struct answer);
	protobuf_c_message_init(rpc_call_method(t->call)->output->descriptor, r);
	r->payload = arena_new(t->arena, payload);
	connectrpc__conformance__v1__conformance_payload__init(r->payload);
	r->payload->data = data;
	r->payload->request_info = info;
	return r;
}

static void fail(struct test *t, const error *e, bool with_info)
{
	struct rpc_any *others = arena_array(t->arena, struct rpc_any, e->n_details + 1);
	struct rpc_details d = {.others = others};
	for (size_t i = 0; i < e->n_details; i++)
		others[d.n_others++] = (struct rpc_any){e->details[i]->type_url,
			str_make((const char *)e->details[i]->value.data, e->details[i]->value.len)};
	if (with_info) {
		any *info = pack_any(t->arena, &tell_all(t)->base);
		others[d.n_others++] =
			(struct rpc_any){info->type_url, str_make((const char *)info->value.data, info->value.len)};
	}
	bool has_message = e->_message_case == CONNECTRPC__CONFORMANCE__V1__ERROR___MESSAGE_MESSAGE;
	struct status st = status_err((enum st_code)e->code, "%s", has_message ? e->message : "");
	rpc_call_fail(t->call, &st, &d);
}

static void answer_once(struct test *t)
{
	ProtobufCBinaryData data = {0};
	const error *e = error_of(t);
	if (e) {
		fail(t, e, true);
		return;
	}
	if (t->unary && t->unary->response_case == CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_RESPONSE_DATA)
		data = t->unary->response_data;
	rpc_call_reply(t->call, &make_answer(t, data, tell_all(t))->base);
}

static void end_stream(struct test *t)
{
	struct status ok = status_ok();
	const error *e = error_of(t);
	if (e)
		fail(t, e, t->sent == 0);
	else
		rpc_call_finish(t->call, &ok);
}

static bool has_data(const struct test *t)
{
	return t->stream && t->sent < t->stream->n_response_data;
}

static void send_one(struct test *t)
{
	bool interleaved = t->full_duplex && !t->client_ended;
	request_info *info = t->sent == 0 ? tell_all(t) : interleaved ? tell_requests(t) : NULL;
	(void)rpc_call_send(t->call, &make_answer(t, t->stream->response_data[t->sent], info)->base);
	t->sent++;
	if (interleaved) { /* those are told */
		t->requests = NULL;
		t->n_requests = t->capacity = 0;
	}
}

static void go_on(struct test *t);

static void on_delay(struct timer *timer)
{
	struct test *t = container_of(timer, struct test, delay);
	if (!rpc_call_method(t->call)->server_streaming) {
		answer_once(t);
		return;
	}
	send_one(t);
	if (t->full_duplex && !t->client_ended)
		rpc_call_resume(t->call);
	else
		go_on(t);
}

/* Waits as long as is asked for, and answers. */
static void go_on(struct test *t)
{
	if (rpc_call_method(t->call)->server_streaming && !has_data(t))
		end_stream(t);
	else if (delay_of(t) > 0)
		timer_set(&t->delay, delay_of(t));
	else
		on_delay(&t->delay);
}

/* ---- handlers ---- */

static void stop_delay(void *t)
{
	timer_stop(&((struct test *)t)->delay);
}

static void on_cancel(struct rpc_call *call)
{
	struct status gone = status_err(ST_CANCELLED, "the client has gone");
	struct test *t = rpc_call_data(call);
	timer_stop(&t->delay);
	rpc_call_finish(call, &gone);
}

static struct test *begin(struct rpc_call *call)
{
	struct test *t = arena_new(rpc_call_arena(call), struct test);
	t->call = call;
	t->arena = rpc_call_arena(call);
	timer_init(&t->delay, rpc_call_context(call), on_delay);
	arena_on_free(t->arena, stop_delay, t);
	rpc_call_set_data(call, t);
	rpc_call_on_cancel(call, on_cancel);
	return t;
}

static void handle_unary(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct test *t = begin(call);
	(void)add_request(t, request);
	t->unary = ((const unary_request *)request)->response_definition; /* the idempotent one has the same shape */
	announce(t);
	go_on(t);
}

static void handle_server_stream(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct test *t = begin(call);
	(void)add_request(t, request);
	t->stream = ((const stream_request *)request)->response_definition;
	announce(t);
	go_on(t);
}

static void take_first(struct test *t, const any *packed, const ProtobufCMessage *m)
{
	const void *first = keep(t, packed, m->descriptor);
	t->has_first = true;
	if (rpc_call_method(t->call)->server_streaming) {
		t->stream = ((const bidi_request *)first)->response_definition;
		t->full_duplex = ((const bidi_request *)first)->full_duplex;
	} else {
		t->unary = ((const unary_request *)first)->response_definition;
	}
	announce(t);
}

static void on_message(struct rpc_call *call, const ProtobufCMessage *m)
{
	struct test *t = rpc_call_data(call);
	if (!m) {
		t->client_ended = true;
		go_on(t);
		return;
	}
	const any *packed = add_request(t, m);
	if (!t->has_first)
		take_first(t, packed, m);
	if (!t->full_duplex)
		return;
	if (has_data(t) && delay_of(t) > 0)
		rpc_call_pause(call);
	go_on(t);
}

/* In full duplex nothing more is asked for once on_message has ended the call. */
static void handle_stream(struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	(void)begin(call);
	rpc_call_on_message(call, on_message);
}

#define SERVICE      "/connectrpc.conformance.v1.ConformanceService/"
#define MESSAGE(name) &connectrpc_conformance_v1_msg_##name
static const struct rpc_method methods[] = {
	{SERVICE "BidiStream", MESSAGE(bidi_stream_request), MESSAGE(bidi_stream_response), .anonymous = true,
		.client_streaming = true, .server_streaming = true, .handler = handle_stream},
	{SERVICE "ClientStream", MESSAGE(client_stream_request), MESSAGE(client_stream_response), .anonymous = true,
		.client_streaming = true, .handler = handle_stream},
	{SERVICE "IdempotentUnary", MESSAGE(idempotent_unary_request), MESSAGE(idempotent_unary_response),
		.anonymous = true, .no_side_effects = true, .handler = handle_unary},
	{SERVICE "ServerStream", MESSAGE(server_stream_request), MESSAGE(server_stream_response), .anonymous = true,
		.server_streaming = true, .handler = handle_server_stream},
	{SERVICE "Unary", MESSAGE(unary_request), MESSAGE(unary_response), .anonymous = true, .handler = handle_unary},
};

/* ---- the server ---- */

typedef Connectrpc__Conformance__V1__ServerCompatRequest wanted;
typedef Connectrpc__Conformance__V1__ServerCompatResponse found;

static wanted *read_wanted(void)
{
	uint32_t len;
	uint8_t *bytes = NULL;
	wanted *w = NULL;
	if (fread(&len, sizeof(len), 1, stdin) == 1) {
		len = ntohl(len);
		bytes = malloc(len + 1U);
		if (bytes && fread(bytes, 1, len, stdin) == len)
			w = connectrpc__conformance__v1__server_compat_request__unpack(NULL, len, bytes);
	}
	free(bytes);
	return w;
}

static void write_found(const found *f)
{
	size_t len = connectrpc__conformance__v1__server_compat_response__get_packed_size(f);
	uint8_t *bytes = malloc(len + 1);
	uint32_t head = htonl((uint32_t)len);
	if (!bytes)
		abort();
	connectrpc__conformance__v1__server_compat_response__pack(f, bytes);
	(void)fwrite(&head, sizeof(head), 1, stdout);
	(void)fwrite(bytes, 1, len, stdout);
	(void)fflush(stdout);
	free(bytes);
}

static const char *write_pem(struct arena *a, const char *folder, const char *name, ProtobufCBinaryData pem)
{
	const char *path = arena_fmt(a, "%s/%s", folder, name);
	FILE *f = fopen(path, "we");
	if (!f || fwrite(pem.data, 1, pem.len, f) != pem.len || fclose(f) != 0)
		abort();
	return path;
}

/* The files are read at once, and gone again. */
static struct status load_tls(struct loop *l, const wanted *w, struct tls_files **ret_files)
{
	struct arena *a = arena_create();
	char folder[] = "/tmp/skep-conformance-XXXXXX";
	if (!mkdtemp(folder))
		abort();
	struct tls_server_files f = {.certificate = write_pem(a, folder, "certificate", w->server_creds->cert),
		.key = write_pem(a, folder, "key", w->server_creds->key)};
	if (w->client_tls_cert.len) {
		f.client_ca = write_pem(a, folder, "ca", w->client_tls_cert);
		f.require_client = true;
	}
	struct status st = tls_files_create(l, &f, 0, ret_files);
	(void)unlink(f.certificate);
	(void)unlink(f.key);
	if (f.client_ca)
		(void)unlink(f.client_ca);
	(void)rmdir(folder);
	arena_destroy(a);
	return st;
}

static void on_term(uv_signal_t *handle, int number)
{
	(void)number;
	loop_stop(handle->data);
}

static int serve(struct loop *l, const wanted *w)
{
	struct tls_files *files = NULL;
	struct rpc_server_options o = {.loop = l, .methods = methods, .n_methods = sizeof(methods) / sizeof(methods[0]),
		.context = l, .limits = {.max_message = w->message_receive_limit}};
	struct rpc_server *server = rpc_server_create(&o);
	unsigned port = 0;
	struct status st = w->use_tls ? load_tls(l, w, &files) : status_ok();
	if (status_is_ok(&st))
		st = rpc_server_listen_tls(server, "127.0.0.1", 0, files, w->use_tls, &port);
	if (status_is_ok(&st)) {
		found f = CONNECTRPC__CONFORMANCE__V1__SERVER_COMPAT_RESPONSE__INIT;
		f.host = (char *)(uintptr_t)"127.0.0.1";
		f.port = port;
		if (w->use_tls)
			f.pem_cert = w->server_creds->cert;
		write_found(&f);
		loop_run(l);
	} else {
		(void)fprintf(stderr, "conformance server: %s\n", st.message);
	}
	rpc_server_destroy(server);
	tls_files_destroy(files);
	return status_is_ok(&st) ? 0 : 1;
}

int main(void)
{
	wanted *w = read_wanted();
	registry = (struct rpc_registry){connectrpc_conformance_v1_messages, connectrpc_conformance_v1_message_count};
	if (!w) {
		(void)fprintf(stderr, "conformance server: no ServerCompatRequest on standard input\n");
		return 2;
	}
	struct loop *l = loop_create();
	uv_signal_t term = {.data = l};
	log_configure(LOG_INFO, LOG_KEY_VALUE);
	uv_signal_init(loop_uv(l), &term);
	uv_signal_start(&term, on_term, SIGTERM);
	int code = serve(l, w);
	uv_close((uv_handle_t *)&term, NULL);
	loop_destroy(l);
	connectrpc__conformance__v1__server_compat_request__free_unpacked(w, NULL);
	return code;
}
