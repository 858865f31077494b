#include "rpc/connect.h"
#include <strings.h>
#include "base/arena.h"
#include "rpc/call_impl.h"
#include "rpc/codec.h"
#include "rpc/conn.h"
#include "rpc/dispatch.h"
#include "rpc/envelope.h"
#include "rpc/grpc.h"
#include "rpc/gzip.h"
#include "rpc/pb.h"
#include "rpc/pbjson.h"
#include "rpc/server_impl.h"

#define END_STREAM     0x02u
#define TIMEOUT_DIGITS 10
#define TYPE_PREFIX    "type.googleapis.com/"

struct connect {
	struct envelope_state envelopes; /* gzip_in and _out mean unary bodies too */
	bool is_get;
};

static const struct rpc_protocol unary_calls, stream_calls;

/* ---- codes ---- */

unsigned connect_http_status(enum st_code code)
{
	switch (code) {
	case ST_OK:
		return 200;
	case ST_INVALID_ARGUMENT:
	case ST_FAILED_PRECONDITION:
	case ST_OUT_OF_RANGE:
		return 400;
	case ST_UNAUTHENTICATED:
		return 401;
	case ST_PERMISSION_DENIED:
		return 403;
	case ST_NOT_FOUND:
		return 404;
	case ST_ALREADY_EXISTS:
	case ST_ABORTED:
		return 409;
	case ST_RESOURCE_EXHAUSTED:
		return 429;
	case ST_CANCELLED:
		return 499;
	case ST_UNIMPLEMENTED:
		return 501;
	case ST_UNAVAILABLE:
		return 503;
	case ST_DEADLINE_EXCEEDED:
		return 504;
	case ST_UNKNOWN:
	case ST_INTERNAL:
	case ST_DATA_LOSS:
		return 500;
	}
	return 500;
}

void connect_put_code(struct buf *b, enum st_code code)
{
	if (code == ST_CANCELLED) {
		buf_adds(b, "canceled");
		return;
	}
	for (const char *p = st_code_name(code); *p; p++)
		buf_addc(b, *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p);
}

/* ---- errors as JSON ---- */

/* One google.protobuf.Any of the packed status: {"type", "value"}. */
static void put_detail(struct buf *b, struct arena *a, struct str any)
{
	struct pb_reader r = pb_reader(any);
	struct pb_field f;
	struct str type = STR(""), value = STR("");
	while (!pb_done(&r) && pb_read(&r, &f)) {
		if (f.number == 1 && f.wire == PB_LEN)
			type = f.bytes;
		else if (f.number == 2 && f.wire == PB_LEN)
			value = f.bytes;
	}
	if (str_starts(type, TYPE_PREFIX))
		type = str_make(type.ptr + strlen(TYPE_PREFIX), type.len - strlen(TYPE_PREFIX));
	struct str base64 = str_of(str_base64(a, value.ptr, value.len));
	while (base64.len > 0 && base64.ptr[base64.len - 1] == '=')
		base64.len--;
	buf_adds(b, "{\"type\":");
	pbjson_put_string(b, type);
	buf_fmt(b, ",\"value\":\"" STR_FMT "\"}", STR_ARG(base64));
}

static void put_details(struct buf *b, const struct status *st, const struct rpc_details *details)
{
	struct arena *a = arena_create();
	struct buf packed = {0};
	struct pb_field f;
	bool first = true;
	rpc_status_pack(&packed, st, details);
	struct pb_reader r = pb_reader(buf_str(&packed));
	while (!pb_done(&r) && pb_read(&r, &f)) {
		if (f.number != 3 || f.wire != PB_LEN)
			continue;
		buf_adds(b, first ? ",\"details\":[" : ",");
		first = false;
		put_detail(b, a, f.bytes);
	}
	if (!first)
		buf_addc(b, ']');
	buf_finish(&packed);
	arena_destroy(a);
}

static void put_error(struct buf *b, const struct status *st, const struct rpc_details *details)
{
	buf_adds(b, "{\"code\":\"");
	connect_put_code(b, st->code);
	buf_addc(b, '"');
	if (st->message[0]) {
		buf_adds(b, ",\"message\":");
		pbjson_put_string(b, str_of(st->message));
	}
	if (details)
		put_details(b, st, details);
	buf_addc(b, '}');
}

/* ---- the request's header ---- */

const struct rpc_codec *connect_codec(struct str content_type)
{
	struct str type = str_trim(str_cut(&content_type, ';'));
	if (type.len == 16 && strncasecmp(type.ptr, "application/json", 16) == 0)
		return &codec_json;
	return type.len == 17 && strncasecmp(type.ptr, "application/proto", 17) == 0 ? &codec_proto
										    : NULL;
}

static void refuse(struct rpc_call *call, struct status st)
{
	call_abort(call, &st, NULL);
}

/* Makes the call. False: it is answered already. */
static bool open_call(struct http_exchange *x, const struct rpc_protocol *p,
	const struct rpc_codec *codec, struct str encoding, struct str accepted)
{
	struct connect *s = x->state;
	struct str timeout = http_header(x, "connect-timeout-ms");
	struct str version = http_header(x, "connect-protocol-version");
	int is_gzip = envelope_encoding(encoding);
	uint64_t ms = 0;
	s->envelopes.gzip_in = is_gzip == 1;
	s->envelopes.gzip_out = envelope_accepts_gzip(accepted);
	struct rpc_call *call = http_call(x, p, codec);
	if (version.len > 0 && !str_is(version, "1"))
		refuse(call, status_err(ST_INVALID_ARGUMENT,
				     "connect-protocol-version is \"" STR_FMT "\"; it must be 1",
				     STR_ARG(version)));
	else if (is_gzip < 0)
		refuse(call, status_err(ST_UNIMPLEMENTED,
				     "the encoding \"" STR_FMT
				     "\" is not known here; gzip and identity are",
				     STR_ARG(encoding)));
	else if (timeout.len > TIMEOUT_DIGITS || (timeout.len > 0 && !str_to_u64(timeout, &ms)))
		refuse(call, status_err(ST_INVALID_ARGUMENT,
				     "connect-timeout-ms is \"" STR_FMT
				     "\"; it must be a whole number of up to 10 digits",
				     STR_ARG(timeout)));
	else if (timeout.len > 0)
		call->deadline_at = loop_now_ms(call->server->o.loop) + ms;
	if (!x->call)
		return false;
	dispatch_open(call, x->rpc, x->path, false, STR(""), false);
	return x->call != NULL;
}

/* ---- unary ---- */

static bool refuse_long(struct http_exchange *x, uint64_t length)
{
	size_t max = x->conn->server->o.limits.max_message;
	if (length <= max)
		return false;
	server_limit(x->conn->server, RPC_LIMIT_MESSAGE);
	refuse(x->call, status_err(ST_RESOURCE_EXHAUSTED, "the message has more than %zu bytes, which is the limit", max));
	return true;
}

/* The whole body, or the message of a GET's query. */
static void deliver(struct http_exchange *x, struct str body)
{
	const struct connect *s = x->state;
	size_t max = x->conn->server->o.limits.max_message;
	struct buf plain = {0};
	struct status st = status_ok();
	if (refuse_long(x, body.len))
		return;
	if (s->envelopes.gzip_in && body.len > 0)
		st = gzip_unpack(&plain, body, max);
	x->call->compressed = plain.len > 0;
	if (st.code == ST_RESOURCE_EXHAUSTED)
		server_limit(x->conn->server, RPC_LIMIT_MESSAGE);
	if (!status_is_ok(&st))
		call_abort(x->call, &st, NULL);
	else
		call_receive(x->call, true, plain.len > 0 ? buf_str(&plain) : body, true);
	buf_finish(&plain);
}

static void begin_get(struct http_exchange *x)
{
	struct str encoding = STR(""), message, base64, version, compression = STR("");
	const struct connect *s = x->state;
	(void)s;
	if (!http_query(x, "encoding", &encoding) || !http_query(x, "message", &message)) {
		http_refuse(
			x, 415, "a GET has the parameters encoding (json or proto) and message");
		return;
	}
	const struct rpc_codec *codec = str_is(encoding, "json")    ? &codec_json
					: str_is(encoding, "proto") ? &codec_proto
								    : NULL;
	if (!codec) {
		http_refuse(x, 415, "the encoding \"" STR_FMT "\" is not json or proto",
			STR_ARG(encoding));
		return;
	}
	(void)http_query(x, "compression", &compression);
	if (!open_call(x, &unary_calls, codec, compression, http_header(x, "accept-encoding")))
		return;
	if (http_query(x, "connect", &version) && !str_is(version, "v1"))
		refuse(x->call, status_err(ST_INVALID_ARGUMENT, "the parameter connect is \"" STR_FMT "\"; it must be v1",
					STR_ARG(version)));
	else if (http_query(x, "base64", &base64) && str_is(base64, "1") &&
		!str_unbase64(x->arena, message, &message))
		refuse(x->call, status_err(ST_INVALID_ARGUMENT, "the message is not base64"));
	else
		deliver(x, message);
}

static void unary_begin(struct http_exchange *x)
{
	const struct rpc_method *m = x->rpc;
	struct connect *s = arena_new(x->arena, struct connect);
	uint64_t length;
	x->state = s;
	s->is_get = str_is(x->method, "GET");
	if (m->client_streaming || m->server_streaming) {
		http_refuse(x, 415,
			"%s is a stream: its content type is application/connect+json or +proto",
			m->path);
	} else if (s->is_get) {
		begin_get(x);
	} else if (open_call(x, &unary_calls, connect_codec(http_header(x, "content-type")),
			   http_header(x, "content-encoding"), http_header(x, "accept-encoding"))) {
		if (!str_to_u64(http_header(x, "content-length"), &length) || !refuse_long(x, length))
			http_expect(x, true);
	}
}

static void unary_body(struct http_exchange *x)
{
	const struct connect *s = x->state;
	if (s->is_get)
		x->in.len = 0;
	else if (x->in.len > x->conn->server->o.limits.max_message)
		deliver(x, buf_str(&x->in));
}

static void unary_end(struct http_exchange *x)
{
	const struct connect *s = x->state;
	if (!s->is_get)
		deliver(x, buf_str(&x->in));
}

const struct http_protocol connect_unary_protocol = {"connect", unary_begin, unary_body, unary_end, NULL};

static void add_prefixed(struct http_exchange *x, const struct rpc_metadata *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		http_add_header(x, arena_fmt(x->arena, "trailer-%s", m[i].name),
			str_of(arena_strdup(x->arena, m[i].value)));
}

static void unary_finish(struct rpc_call *call, const ProtobufCMessage *reply,
	const struct status *st, const struct rpc_details *details)
{
	const struct connect *s = call->exchange->state;
	struct http_exchange *x = http_detach(call);
	bool is_json = call->codec == &codec_json;
	http_respond(x, connect_http_status(st->code));
	grpc_put_metadata(x, call->headers, call->n_headers, http_add_header);
	add_prefixed(x, call->trailers, call->n_trailers);
	if (s->is_get)
		http_add_header(x, "vary", STR("accept-encoding, authorization"));
	else
		http_add_header(x, "accept-encoding", STR("gzip"));
	http_add_header(x, "content-type",
		is_json || !reply ? STR("application/json") : STR("application/proto"));
	if (details && details->retry_ms)
		http_add_retry(x, details->retry_ms);
	if (reply)
		call->codec->pack(http_out(x), call->method->output, reply);
	else
		put_error(http_out(x), st, details);
	if (reply && s->envelopes.gzip_out)
		http_compress(x);
	http_end(x);
}

/* A unary call sends nothing before its end. */
static bool unary_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)message;
	return http_is_writable(call);
}

static const struct rpc_protocol unary_calls = {
	"connect", unary_send, http_is_writable, http_is_waiting, unary_finish, http_consumed, NULL};

/* ---- streams ---- */

static void stream_begin(struct http_exchange *x)
{
	const struct rpc_method *m = x->rpc;
	struct str type = http_header(x, "content-type"), rest = type;
	struct str name = str_trim(str_cut(&rest, ';'));
	const struct rpc_codec *codec = str_is(name, "application/connect+json")    ? &codec_json
					: str_is(name, "application/connect+proto") ? &codec_proto
										    : NULL;
	x->state = arena_new(x->arena, struct connect);
	if (!str_is(x->method, "POST")) {
		http_add_header(x, "allow", STR("POST"));
		http_refuse(x, 405, "streams are opened with POST");
	} else if (!codec) {
		http_refuse(x, 415, "\"" STR_FMT "\" is not application/connect+json or +proto",
			STR_ARG(type));
	} else if (m && !m->client_streaming && !m->server_streaming) {
		http_refuse(x, 415,
			"%s is no stream: its content type is application/json or /proto", m->path);
	} else if (open_call(x, &stream_calls, codec, http_header(x, "connect-content-encoding"),
			   http_header(x, "connect-accept-encoding"))) {
		http_expect(x, !x->call->method->client_streaming);
	}
}

static void stream_body(struct http_exchange *x)
{
	const struct connect *s = x->state;
	envelope_receive(x, &s->envelopes, false);
}

static void stream_end(struct http_exchange *x)
{
	const struct connect *s = x->state;
	envelope_receive(x, &s->envelopes, true);
}

const struct http_protocol connect_stream_protocol = {
	"connect stream", stream_begin, stream_body, stream_end, NULL};

static void start(struct http_exchange *x, const struct rpc_call *call)
{
	const struct connect *s = x->state;
	if (x->status)
		return;
	http_respond(x, 200);
	http_add_header(x, "content-type",
		call->codec == &codec_json ? STR("application/connect+json")
					   : STR("application/connect+proto"));
	http_add_header(x, "connect-accept-encoding", STR("gzip"));
	if (s->envelopes.gzip_out)
		http_add_header(x, "connect-content-encoding", STR("gzip"));
	grpc_put_metadata(x, call->headers, call->n_headers, http_add_header);
}

static bool stream_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct http_exchange *x = call->exchange;
	const struct connect *s = x->state;
	start(x, call);
	envelope_put(http_out(x), &s->envelopes, call->codec, call->method->output, message);
	http_flush(x);
	return http_has_room(call, 0) && http_is_writable(call);
}

/* {"name": ["value", …], …}: values of one name stand together. */
static void put_metadata(struct buf *b, const struct rpc_metadata *m, size_t n)
{
	bool first = true;
	for (size_t i = 0; i < n; i++) {
		bool again = false;
		for (size_t j = 0; j < i; j++)
			again |= strcasecmp(m[j].name, m[i].name) == 0;
		if (again)
			continue;
		buf_adds(b, first ? "" : ",");
		first = false;
		pbjson_put_string(b, str_of(m[i].name));
		buf_adds(b, ":[");
		for (size_t j = i, k = 0; j < n; j++) {
			if (strcasecmp(m[j].name, m[i].name) != 0)
				continue;
			buf_adds(b, k++ ? "," : "");
			pbjson_put_string(b, str_of(m[j].value));
		}
		buf_addc(b, ']');
	}
}

static void stream_finish(struct rpc_call *call, const ProtobufCMessage *reply,
	const struct status *st, const struct rpc_details *details)
{
	struct http_exchange *x = http_detach(call);
	const struct connect *s = x->state;
	struct buf end = {0};
	start(x, call);
	if (reply)
		envelope_put(http_out(x), &s->envelopes, call->codec, call->method->output, reply);
	buf_addc(&end, '{');
	if (st->code != ST_OK) {
		buf_adds(&end, "\"error\":");
		put_error(&end, st, details);
	}
	if (call->n_trailers > 0) {
		buf_adds(&end, st->code != ST_OK ? ",\"metadata\":{" : "\"metadata\":{");
		put_metadata(&end, call->trailers, call->n_trailers);
		buf_addc(&end, '}');
	}
	buf_addc(&end, '}');
	envelope_put_raw(http_out(x), END_STREAM, buf_str(&end));
	buf_finish(&end);
	http_end(x);
}

static const struct rpc_protocol stream_calls = {"connect stream", stream_send, http_is_writable,
	http_is_waiting, stream_finish, http_consumed, NULL};
