#include "rpc/grpc.h"
#include <inttypes.h>
#include "base/arena.h"
#include "rpc/call_impl.h"
#include "rpc/codec.h"
#include "rpc/dispatch.h"
#include "rpc/envelope.h"
#include "rpc/pbjson.h"
#include "rpc/server_impl.h"

#define TIMEOUT_DIGITS 8
#define DETAILS_MAX    ((size_t)4096) /* clients allow 8 KiB for all trailers */

static const struct rpc_protocol grpc_calls;

/* ---- the request's header ---- */

const struct rpc_codec *grpc_codec(struct str content_type, const char *prefix)
{
	struct str type = str_trim(str_cut(&content_type, ';'));
	size_t n = strlen(prefix);
	if (!str_starts(type, prefix))
		return NULL;
	struct str suffix = {type.ptr + n, type.len - n};
	if (suffix.len == 0 || str_is(suffix, "+proto"))
		return &codec_proto;
	return str_is(suffix, "+json") ? &codec_json : NULL;
}

static uint64_t unit_ns(char unit)
{
	switch (unit) {
	case 'H':
		return UINT64_C(3600000000000);
	case 'M':
		return UINT64_C(60000000000);
	case 'S':
		return 1000000000;
	case 'm':
		return 1000000;
	case 'u':
		return 1000;
	case 'n':
		return 1;
	}
	return 0;
}

bool grpc_timeout(struct str text, uint64_t *ret_ms)
{
	uint64_t n, unit;
	if (text.len < 2 || text.len > TIMEOUT_DIGITS + 1 || text.ptr[0] < '0' || text.ptr[0] > '9')
		return false;
	unit = unit_ns(text.ptr[text.len - 1]);
	if (!unit || !str_to_u64(str_make(text.ptr, text.len - 1), &n))
		return false;
	/* 99999999 hours in nanoseconds fit, just not with a multiplication of 64 bits. */
	*ret_ms = unit >= 1000000 ? n * (unit / 1000000) : (n * unit + 999999) / 1000000;
	return true;
}

static void refuse(struct rpc_call *call, struct status st)
{
	call_abort(call, &st, NULL);
}

void grpc_open(struct http_exchange *x, const struct rpc_protocol *p, const struct rpc_codec *codec,
	struct envelope_state *s)
{
	struct str encoding = http_header(x, "grpc-encoding");
	struct str timeout = http_header(x, "grpc-timeout");
	int is_gzip = envelope_encoding(encoding);
	uint64_t ms = 0;
	s->gzip_in = is_gzip == 1;
	s->gzip_out = envelope_accepts_gzip(http_header(x, "grpc-accept-encoding"));
	struct rpc_call *call = http_call(x, p, codec);
	if (timeout.len > 0 && !grpc_timeout(timeout, &ms)) {
		refuse(call, status_err(ST_INVALID_ARGUMENT,
				     "grpc-timeout is \"" STR_FMT
				     "\"; it must be up to 8 digits and one of H M S m u n",
				     STR_ARG(timeout)));
		return;
	}
	if (is_gzip < 0) {
		refuse(call, status_err(ST_UNIMPLEMENTED,
				     "grpc-encoding \"" STR_FMT
				     "\" is not known here; gzip and identity are",
				     STR_ARG(encoding)));
		return;
	}
	if (timeout.len > 0)
		call->deadline_at = loop_now_ms(call->server->o.loop) + ms;
	dispatch_open(call, x->rpc, x->path, false, STR(""), false);
	if (x->call)
		http_expect(x, !x->call->method->client_streaming);
}

static void grpc_begin(struct http_exchange *x)
{
	struct str type = http_header(x, "content-type");
	const struct rpc_codec *codec = grpc_codec(type, "application/grpc");
	if (!x->ops->has_trailers) {
		http_refuse(
			x, 505, "gRPC needs HTTP/2; over HTTP/1.1 there are gRPC-Web and Connect");
	} else if (!str_is(x->method, "POST")) {
		http_add_header(x, "allow", STR("POST"));
		http_refuse(x, 405, "gRPC calls are made with POST");
	} else if (!codec) {
		http_refuse(x, 415, "\"" STR_FMT "\" is not application/grpc, +proto or +json",
			STR_ARG(type));
	} else {
		x->state = arena_new(x->arena, struct envelope_state);
		grpc_open(x, &grpc_calls, codec, x->state);
	}
}

static void grpc_body(struct http_exchange *x)
{
	envelope_receive(x, x->state, false);
}

static void grpc_end(struct http_exchange *x)
{
	envelope_receive(x, x->state, true);
}

const struct http_protocol grpc_protocol = {"grpc", grpc_begin, grpc_body, grpc_end, NULL};

/* ---- the response ---- */

/* Bytes outside of printable ASCII, and %, as %XX. */
static struct str percent_encode(struct arena *a, const char *text)
{
	struct buf b = {0};
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p > 0x7e || *p == '%')
			buf_fmt(&b, "%%%02X", (unsigned)*p);
		else
			buf_addc(&b, (char)*p);
	}
	struct str encoded = {str_dup(a, buf_str(&b)), b.len};
	buf_finish(&b);
	return encoded;
}

/* As much of them as the client's limit on trailers lets through. */
static struct str encode_details(
	struct arena *a, const struct status *st, const struct rpc_details *details)
{
	struct rpc_details d = *details;
	struct buf b = {0};
	rpc_status_pack(&b, st, &d);
	while (b.len > DETAILS_MAX && d.n_violations + d.n_preconditions + d.n_quotas + d.n_others > 0) {
		d.n_violations /= 2;
		d.n_preconditions /= 2;
		d.n_quotas /= 2;
		d.n_others /= 2;
		b.len = 0;
		rpc_status_pack(&b, st, &d);
	}
	struct str text = str_of(str_base64(a, b.ptr, b.len));
	while (str_ends(text, "="))
		text.len--; /* whoever sends binary metadata leaves them out */
	buf_finish(&b);
	return text;
}

static bool has_details(const struct rpc_details *d)
{
	return d && (d->n_violations || d->n_preconditions || d->n_quotas || d->retry_ms || d->n_others);
}

void grpc_put_metadata(
	struct http_exchange *x, const struct rpc_metadata *m, size_t n, grpc_add add)
{
	for (size_t i = 0; i < n; i++)
		add(x, arena_strdup(x->arena, m[i].name),
			str_of(arena_strdup(x->arena, m[i].value)));
}

void grpc_put_status(struct http_exchange *x, const struct rpc_call *call, const struct status *st,
	const struct rpc_details *details, grpc_add add)
{
	add(x, "grpc-status", st->code == ST_OK ? STR("0") : str_of(arena_fmt(x->arena, "%d", (int)st->code)));
	if (st->message[0])
		add(x, "grpc-message", percent_encode(x->arena, st->message));
	if (has_details(details))
		add(x, "grpc-status-details-bin", encode_details(x->arena, st, details));
	grpc_put_metadata(x, call->trailers, call->n_trailers, add);
}

static void start(struct http_exchange *x, const struct rpc_call *call)
{
	const struct envelope_state *s = x->state;
	if (x->status)
		return;
	http_respond(x, 200);
	http_add_header(x, "content-type", http_header(x, "content-type"));
	http_add_header(x, "grpc-accept-encoding", STR("identity,gzip"));
	if (s->gzip_out)
		http_add_header(x, "grpc-encoding", STR("gzip"));
	grpc_put_metadata(x, call->headers, call->n_headers, http_add_header);
}

static bool grpc_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct http_exchange *x = call->exchange;
	start(x, call);
	envelope_put(http_out(x), x->state, call->codec, call->method->output, message);
	http_flush(x);
	return http_has_room(call, 0) && http_is_writable(call);
}

static void grpc_finish(struct rpc_call *call, const ProtobufCMessage *reply,
	const struct status *st, const struct rpc_details *details)
{
	struct http_exchange *x = http_detach(call);
	bool trailers_only = !x->status && !reply && call->n_headers == 0; /* clients take all of it for trailers */
	start(x, call);
	if (reply)
		envelope_put(http_out(x), x->state, call->codec, call->method->output, reply);
	grpc_put_status(x, call, st, details, trailers_only ? http_add_header : http_add_trailer);
	http_end(x);
}

static const struct rpc_protocol grpc_calls = {
	"grpc", grpc_send, http_is_writable, http_is_waiting, grpc_finish, http_consumed, NULL};
