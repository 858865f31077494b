#include "rpc/rest.h"
#include "base/arena.h"
#include "rpc/call_impl.h"
#include "rpc/codec.h"
#include "rpc/conn.h"
#include "rpc/connect.h"
#include "rpc/dispatch.h"
#include "rpc/envelope.h"
#include "rpc/grpc.h"
#include "rpc/gzip.h"
#include "rpc/pbjson.h"
#include "rpc/server_impl.h"

#define JSON   "application/json"
#define LINES  "application/x-ndjson"
#define EVENTS "text/event-stream"

static const struct rpc_protocol unary_calls, stream_calls;

/* ---- may it come so? ---- */

bool rest_find(struct http_exchange *x, const struct rpc_route_node **ret_node)
{
	const struct rpc_routes *routes = x->conn->server->o.routes;
	struct str variables[ROUTE_VARIABLES] = {0};
	*ret_node = route_find(routes, x->path, variables);
	const struct rpc_route *route = *ret_node ? route_verb(routes, *ret_node, x->method) : NULL;
	if (!route)
		return false;
	struct rest *r = arena_new(x->arena, struct rest);
	r->route = route;
	memcpy(r->variables, variables, sizeof(variables));
	x->state = r;
	return true;
}

/* Is this media type among what the request accepts (RFC 9110 §12.5.1)? Weights do not matter,
 * other than 0. */
static bool accepts(struct str list, const char *type, bool by_name)
{
	struct str full = str_of(type), group = str_cut(&full, '/');
	while (list.len > 0) {
		struct str rest = str_cut(&list, ','), item = str_trim(str_cut(&rest, ';'));
		struct str weight = str_trim(rest);
		bool none = str_is(weight, "q=0") || str_is(weight, "q=0.0");
		bool any = !by_name && (str_is(item, "*/*") ||
					       (str_ends(item, "/*") && str_starts(item, "") &&
						       item.len == group.len + 2 &&
						       memcmp(item.ptr, group.ptr, group.len) == 0));
		if (!none && (any || str_is(item, type)))
			return true;
	}
	return false;
}

/* False: answered with 406. */
static bool choose_form(struct http_exchange *x, struct rest *r)
{
	struct str accept = http_header(x, "accept");
	if (!r->route->method->server_streaming) {
		if (accept.len == 0 || accepts(accept, JSON, false))
			return true;
		rest_refuse(x, 406, ST_INVALID_ARGUMENT, "there is " JSON " here, and no other form");
		return false;
	}
	r->is_sse = accepts(accept, EVENTS, true);
	if (r->is_sse || accept.len == 0 || accepts(accept, LINES, false))
		return true;
	rest_refuse(x, 406, ST_INVALID_ARGUMENT,
		"this is a stream: there is " LINES " or " EVENTS ", and no other form");
	return false;
}

static bool has_body(const struct http_exchange *x)
{
	struct str length = http_header(x, "content-length");
	return http_header(x, "transfer-encoding").len > 0 ||
	       (length.len > 0 && !str_is(length, "0"));
}

/* False: answered with 400, 413 or 415. */
static bool check_body(struct http_exchange *x, struct rest *r)
{
	struct str type = http_header(x, "content-type");
	struct str encoding = http_header(x, "content-encoding");
	int is_gzip = envelope_encoding(encoding);
	size_t max = x->conn->server->o.limits.max_message;
	uint64_t length;
	r->has_type = type.len > 0;
	r->gzip_in = is_gzip == 1;
	if (!r->route->body) {
		if (!has_body(x))
			return true;
		rest_refuse(x, 400, ST_INVALID_ARGUMENT, "%s takes no body here",
			r->route->verb);
	} else if (type.len > 0 && connect_codec(type) != &codec_json) {
		http_add_header(x, "accept", STR(JSON));
		rest_refuse(x, 415, ST_INVALID_ARGUMENT,
			"the body is \"%.*s\"; it must be " JSON,
			(int)(type.len < 100 ? type.len : 100), type.ptr);
	} else if (is_gzip < 0) {
		http_add_header(x, "accept-encoding", STR("gzip"));
		rest_refuse(x, 415, ST_INVALID_ARGUMENT,
			"the encoding of the body is not known here; gzip and identity are");
	} else if (str_to_u64(http_header(x, "content-length"), &length) && length > max) {
		server_limit(x->conn->server, RPC_LIMIT_MESSAGE);
		rest_refuse(x, 413, ST_RESOURCE_EXHAUSTED,
			"the body has more than %zu bytes, which is the limit", max);
	} else {
		return true;
	}
	return false;
}

/* What the method could not keep. False: answered. */
static bool check_conditions(struct http_exchange *x, struct rest *r)
{
	const struct rpc_method *m = r->route->method;
	struct str match = http_header(x, "if-match"), key = http_header(x, "idempotency-key");
	r->if_match = match.len > 0;
	if (match.len > 0 && !m->takes_etag && !str_is(match, "*")) {
		rest_refuse(x, 412, ST_FAILED_PRECONDITION,
			"there are no versions here that if-match could name");
	} else if (key.len > 0 && !m->takes_request_id && !m->no_side_effects) {
		rest_refuse(x, 400, ST_INVALID_ARGUMENT,
			"this is done each time it is asked for: it takes no idempotency-key");
	} else if (x->no_body && m->server_streaming) {
		http_add_header(x, "allow", STR("GET, OPTIONS"));
		rest_refuse(x, 405, ST_UNIMPLEMENTED, "a stream has no HEAD");
	} else {
		return true;
	}
	return false;
}

/* ---- the request ---- */

static void deliver(struct http_exchange *x, struct str body)
{
	struct rest *r = x->state;
	size_t max = x->conn->server->o.limits.max_message;
	struct buf plain = {0};
	struct status st = status_ok();
	if (body.len > max) {
		r->status = 413;
		st = status_err(ST_RESOURCE_EXHAUSTED,
			"the body has more than %zu bytes, which is the limit", max);
	} else if (body.len > 0 && !r->has_type) {
		r->status = 415;
		st = status_err(ST_INVALID_ARGUMENT,
			"the body has no content-type; it must be " JSON);
	} else if (r->gzip_in && body.len > 0) {
		st = gzip_unpack(&plain, body, max);
		r->status = st.code == ST_RESOURCE_EXHAUSTED ? 413 : 0;
	}
	if (st.code == ST_RESOURCE_EXHAUSTED)
		server_limit(x->conn->server, RPC_LIMIT_MESSAGE);
	if (!status_is_ok(&st))
		call_abort(x->call, &st, NULL);
	else
		call_receive(x->call, true, plain.len > 0 ? buf_str(&plain) : body, true);
	buf_finish(&plain);
}

static void rest_begin(struct http_exchange *x)
{
	struct rest *r = x->state;
	const struct rpc_method *m = r->route->method;
	x->no_body = str_is(x->method, "HEAD");
	if (!check_body(x, r) || !choose_form(x, r) || !check_conditions(x, r))
		return;
	r->gzip_out = envelope_accepts_gzip(http_header(x, "accept-encoding"));
	struct rpc_call *call =
		http_call(x, m->server_streaming ? &stream_calls : &unary_calls, &codec_json);
	dispatch_open(call, m, str_of(m->path), false, STR(""), false);
	if (!x->call)
		return;
	if (r->route->body)
		http_expect(x, true);
	else
		deliver(x, STR(""));
}

static void rest_body(struct http_exchange *x)
{
	const struct rest *r = x->state;
	if (!r->route->body)
		x->in.len = 0;
	else if (x->in.len > x->conn->server->o.limits.max_message)
		deliver(x, buf_str(&x->in));
}

static void expect_quiet(struct http_exchange *x)
{
	const struct rest *r = x->state;
	if (x->call && r->is_sse)
		timer_set(&x->timer, x->conn->server->o.limits.sse_heartbeat_ms);
}

static void rest_end(struct http_exchange *x)
{
	const struct rest *r = x->state;
	if (r->route->body)
		deliver(x, buf_str(&x->in));
	expect_quiet(x);
}

/* ---- the answer ---- */

/* As Connect has it, but for what the state of the world forbids: the request itself is fine. */
static unsigned status_of(enum st_code code)
{
	return code == ST_FAILED_PRECONDITION ? 409 : connect_http_status(code);
}

static void rest_fail(struct http_exchange *x, const struct rest *r, const struct status *st,
	const struct rpc_details *details)
{
	unsigned status = status_of(st->code);
	if (r->status)
		status = r->status;
	else if (st->code == ST_ABORTED && r->if_match)
		status = 412;
	else if (st->code == ST_DEADLINE_EXCEEDED && !x->in_ended)
		status = 408;
	http_respond(x, status);
	http_add_header(x, "content-type", STR("application/problem+json"));
	if (status == 401)
		http_add_header(x, "www-authenticate", STR("Bearer"));
	if (details && details->retry_ms)
		http_add_retry(x, details->retry_ms);
	rest_put_problem(http_out(x), status, st, details);
	http_end(x);
}

/* Sets the ETag; true: it is what the client has (RFC 9110 §13.1.2). */
static bool is_known(struct http_exchange *x, const struct rpc_method *m,
	const ProtobufCMessage *reply)
{
	struct buf b = {0};
	struct str have = http_header(x, "if-none-match");
	if (!m->gives_etag)
		return false;
	buf_addc(&b, '"');
	bool known = pbjson_text(&b, m->output, reply, "etag");
	buf_addc(&b, '"');
	const char *etag = str_dup(x->arena, buf_str(&b));
	buf_finish(&b);
	if (!known)
		return false;
	http_add_header(x, "etag", str_of(etag));
	return m->no_side_effects && (str_is(have, "*") || strstr(str_dup(x->arena, have), etag));
}

static void unary_finish(struct rpc_call *call, const ProtobufCMessage *reply,
	const struct status *st, const struct rpc_details *details)
{
	struct http_exchange *x = http_detach(call);
	const struct rest *r = x->state;
	const struct rpc_method *m = r->route->method;
	grpc_put_metadata(x, call->headers, call->n_headers, http_add_header);
	if (m->no_side_effects)
		http_add_header(x, "vary", STR("accept, accept-encoding, authorization"));
	if (!reply) {
		rest_fail(x, r, st, details);
		return;
	}
	if (is_known(x, m, reply)) {
		http_respond(x, 304);
	} else if (m->output->wkt == RPC_WKT_EMPTY) {
		http_respond(x, 204);
	} else {
		http_respond(x, 200);
		http_add_header(x, "content-type", STR(JSON));
		codec_json.pack(http_out(x), m->output, reply);
		if (r->gzip_out)
			http_compress(x);
	}
	http_end(x);
}

static bool unary_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)message;
	return http_is_writable(call);
}

static const struct rpc_protocol unary_calls = {"rest", unary_send, http_is_writable,
	http_is_waiting, unary_finish, http_consumed, rest_message};

/* ---- streams ---- */

static void start(struct http_exchange *x)
{
	const struct rest *r = x->state;
	if (x->status)
		return;
	http_respond(x, 200);
	http_add_header(x, "content-type", r->is_sse ? STR(EVENTS) : STR(LINES));
	http_add_header(x, "cache-control", STR("no-store"));
	http_add_header(x, "x-accel-buffering", STR("no")); /* nginx would hold it back */
}

/* JSON of ours holds no line breaks. */
static bool stream_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct http_exchange *x = call->exchange;
	const struct rest *r = x->state;
	const struct rpc_method *m = call->method;
	struct buf *out = http_out(x);
	start(x);
	if (r->is_sse && m->resume_at) {
		size_t before = out->len;
		buf_adds(out, "id: ");
		if (pbjson_text(out, m->output, message, m->resume_at))
			buf_addc(out, '\n');
		else
			out->len = before;
	}
	if (r->is_sse)
		buf_adds(out, "data: ");
	codec_json.pack(out, m->output, message);
	buf_adds(out, r->is_sse ? "\n\n" : "\n");
	http_flush(x);
	return http_has_room(call, 0) && http_is_writable(call);
}

static void stream_finish(struct rpc_call *call, const ProtobufCMessage *reply,
	const struct status *st, const struct rpc_details *details)
{
	struct http_exchange *x = http_detach(call);
	const struct rest *r = x->state;
	struct buf *out = http_out(x);
	(void)reply; /* streams have none */
	if (!x->status && st->code != ST_OK) {
		rest_fail(x, r, st, details);
		return;
	}
	start(x);
	if (st->code != ST_OK) {
		buf_adds(out, r->is_sse ? "event: error\ndata: " : "{\"error\":");
		rest_put_problem(out, status_of(st->code), st, details);
		buf_adds(out, r->is_sse ? "\n\n" : "}\n");
	} else if (r->is_sse) {
		buf_adds(out, "event: end\ndata: {}\n\n"); /* or EventSource would come again */
	}
	http_end(x);
}

/* Nothing was sent for a while: whoever stands between, and the client, know that it lives. */
static void rest_idle(struct http_exchange *x)
{
	if (http_pending(x).len == 0) {
		start(x);
		buf_adds(http_out(x), ":\n\n");
		http_flush(x);
	}
	expect_quiet(x);
}

static const struct rpc_protocol stream_calls = {"rest stream", stream_send, http_is_writable,
	http_is_waiting, stream_finish, http_consumed, rest_message};

const struct http_protocol rest_protocol = {"rest", rest_begin, rest_body, rest_end, rest_idle};
