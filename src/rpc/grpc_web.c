#include "rpc/grpc_web.h"
#include "base/arena.h"
#include "rpc/call_impl.h"
#include "rpc/codec.h"
#include "rpc/conn.h"
#include "rpc/envelope.h"
#include "rpc/grpc.h"
#include "rpc/server_impl.h"

#define TRAILERS 0x80u
#define QUANTUM  ((size_t)4) /* characters of base64 that stand for whole bytes */

struct web {
	struct envelope_state envelopes;
	bool is_text;     /* base64 both ways */
	struct buf coded; /* a message of the response before it is encoded */
	size_t decoded;   /* of x->in, from its front */
};

static const struct rpc_protocol web_calls;

static void free_coded(void *data)
{
	buf_finish(data);
}

static void web_begin(struct http_exchange *x)
{
	struct str type = http_header(x, "content-type");
	bool is_text = str_starts(type, "application/grpc-web-text");
	const struct rpc_codec *codec =
		grpc_codec(type, is_text ? "application/grpc-web-text" : "application/grpc-web");
	if (!str_is(x->method, "POST")) {
		http_add_header(x, "allow", STR("POST"));
		http_refuse(x, 405, "gRPC-Web calls are made with POST");
	} else if (!codec) {
		http_refuse(x, 415, "\"" STR_FMT "\" is not application/grpc-web, +proto or +json",
			STR_ARG(type));
	} else {
		struct web *s = arena_new(x->arena, struct web);
		s->is_text = is_text;
		arena_on_free(x->arena, free_coded, &s->coded);
		x->state = s;
		grpc_open(x, &web_calls, codec, &s->envelopes);
	}
}

/* Decodes in place what is whole of the text behind the decoded part; chunks may end with padding
 * in the middle. False: not base64. */
static bool decode(struct http_exchange *x, struct web *s, bool ended)
{
	struct arena *a = arena_create();
	size_t from = s->decoded, have = x->in.len - from;
	bool fine = !ended || have % QUANTUM == 0;
	struct str rest = {x->in.ptr + from, have - have % QUANTUM};
	char *to = x->in.ptr + from;
	while (fine && rest.len > 0) {
		const char *pad = memchr(rest.ptr, '=', rest.len);
		size_t n = pad ? ((size_t)(pad - rest.ptr) / QUANTUM + 1) * QUANTUM : rest.len;
		struct str bytes;
		fine = str_unbase64(a, str_make(rest.ptr, n), &bytes);
		if (!fine)
			break;
		memmove(to, bytes.ptr, bytes.len);
		to += bytes.len;
		rest = str_make(rest.ptr + n, rest.len - n);
	}
	size_t left = have % QUANTUM;
	if (fine && have > 0) {
		s->decoded = (size_t)(to - x->in.ptr);
		memmove(to, x->in.ptr + from + have - left, left);
		x->in.len = s->decoded + left;
	}
	arena_destroy(a);
	return fine;
}

/* Of text the envelopes see the decoded part alone. */
static void receive(struct http_exchange *x, bool ended)
{
	struct web *s = x->state;
	char left[QUANTUM];
	if (!s->is_text) {
		envelope_receive(x, &s->envelopes, ended);
		return;
	}
	if (!decode(x, s, ended)) {
		struct status st = status_err(ST_INVALID_ARGUMENT, "the body is not base64");
		call_abort(x->call, &st, NULL);
		return;
	}
	size_t n_left = x->in.len - s->decoded;
	memcpy(left, buf_str(&x->in).ptr + s->decoded, n_left);
	x->in.len = s->decoded;
	envelope_receive(x, &s->envelopes, ended);
	s->decoded = x->in.len;
	buf_add(&x->in, left, n_left);
}

static void web_body(struct http_exchange *x)
{
	receive(x, false);
}

static void web_end(struct http_exchange *x)
{
	receive(x, true);
}

const struct http_protocol grpc_web_protocol = {"grpc-web", web_begin, web_body, web_end, NULL};

/* ---- the response ---- */

static struct buf *out_of(struct http_exchange *x)
{
	struct web *s = x->state;
	return s->is_text ? &s->coded : http_out(x);
}

static void encode(struct http_exchange *x)
{
	struct web *s = x->state;
	if (s->coded.len == 0)
		return;
	struct arena *a = arena_create();
	buf_adds(http_out(x), str_base64(a, s->coded.ptr, s->coded.len));
	arena_destroy(a);
	s->coded.len = 0;
}

static void start(struct http_exchange *x, const struct rpc_call *call)
{
	const struct web *s = x->state;
	if (x->status)
		return;
	http_respond(x, 200);
	http_add_header(x, "content-type", http_header(x, "content-type"));
	http_add_header(x, "grpc-accept-encoding", STR("identity,gzip"));
	if (s->envelopes.gzip_out)
		http_add_header(x, "grpc-encoding", STR("gzip"));
	grpc_put_metadata(x, call->headers, call->n_headers, http_add_header);
}

static bool web_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct http_exchange *x = call->exchange;
	const struct web *s = x->state;
	start(x, call);
	envelope_put(out_of(x), &s->envelopes, call->codec, call->method->output, message);
	encode(x);
	http_flush(x);
	return http_has_room(call, 0) && http_is_writable(call);
}

static void web_finish(struct rpc_call *call, const ProtobufCMessage *reply,
	const struct status *st, const struct rpc_details *details)
{
	struct http_exchange *x = http_detach(call);
	const struct web *s = x->state;
	struct buf lines = {0};
	start(x, call);
	if (reply)
		envelope_put(out_of(x), &s->envelopes, call->codec, call->method->output, reply);
	grpc_put_status(x, call, st, details, http_add_trailer);
	for (unsigned i = 0; i < x->n_trailers; i++)
		buf_fmt(&lines, STR_FMT ": " STR_FMT "\r\n", STR_ARG(x->trailers[i].name),
			STR_ARG(x->trailers[i].value));
	x->n_trailers = 0; /* they are in the body */
	envelope_put_raw(out_of(x), TRAILERS, buf_str(&lines));
	buf_finish(&lines);
	encode(x);
	http_end(x);
}

static const struct rpc_protocol web_calls = {
	"grpc-web", web_send, http_is_writable, http_is_waiting, web_finish, http_consumed, NULL};
