#include "rpc/http.h"
#include <stdarg.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "net/transport.h"
#include "rpc/call_impl.h"
#include "rpc/conn.h"
#include "rpc/connect.h"
#include "rpc/cors.h"
#include "rpc/dispatch.h"
#include "rpc/grpc.h"
#include "rpc/grpc_web.h"
#include "rpc/gzip.h"
#include "rpc/http_fields.h"
#include "rpc/page.h"
#include "rpc/rest.h"
#include "rpc/server_impl.h"

#define FIELDS_FIRST   16u
#define KEEP_CAPACITY  ((size_t)64 * 1024)
#define BODY_RATE      ((size_t)64 * 1024) /* a long message gets a second more for each of these */
#define METADATA_FIRST 8u
#define NEVER_LOOKED   SIZE_MAX /* http_exchange.stalled */
#define SMALL          ((size_t)1024)

/* Exchanges and their arenas are used again, like calls; not under AddressSanitizer. */
#if defined(__SANITIZE_ADDRESS__)
#define FREE_EXCHANGES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FREE_EXCHANGES 0
#endif
#endif
#ifndef FREE_EXCHANGES
#define FREE_EXCHANGES 512
#endif

static void on_timer(struct timer *t);
static void on_unread(struct timer *t);

/* ---- the beginning and the end ---- */

struct http_exchange *http_create(struct rpc_conn *c, const struct http_ops *ops)
{
	struct rpc_server *s = c->server;
	struct list *node = list_pop(&s->free_exchanges);
	struct http_exchange *x = node ? container_of(node, struct http_exchange, node)
				       : mem_new(struct http_exchange);
	struct arena *arena = node ? x->arena : arena_create();
	s->n_free_exchanges -= node != NULL;
	*x = (struct http_exchange){
		.conn = c, .ops = ops, .arena = arena, .stalled = NEVER_LOOKED, .in = x->in, .out = x->out};
	list_init(&x->node);
	timer_init_named(&x->timer, s->o.loop, on_timer, "rpc_http_timer");
	timer_init_named(&x->unread, s->o.loop, on_unread, "rpc_http_unread");
	c->n_exchanges++;
	return x;
}

/* Tells the connection what the exchange holds of both bodies. */
static void count(struct http_exchange *x)
{
	struct rpc_conn *c = x->conn;
	size_t waits = x->out.len - x->sent;
	if (c->closing || (x->counted == x->in.len && x->queued == waits))
		return;
	c->collected += x->in.len - x->counted;
	c->queued += waits - x->queued;
	x->counted = x->in.len;
	x->queued = waits;
	conn_count(c);
}

/* Small ones are kept for the exchange that uses this one's place next. */
static void empty(struct buf *b)
{
	b->len = 0;
	if (b->cap > SMALL)
		buf_finish(b);
}

static void exchange_free(struct http_exchange *x)
{
	buf_finish(&x->in);
	buf_finish(&x->out);
	arena_destroy(x->arena);
	free(x);
}

void http_destroy(struct http_exchange *x)
{
	struct rpc_conn *c = x->conn;
	struct rpc_server *s = c->server;
	x->done = true;
	if (x->call && !c->closing) {
		struct status st = status_err(ST_CANCELLED, "cancelled by the client");
		call_abort(x->call, &st, NULL);
	}
	timer_stop(&x->timer);
	timer_stop(&x->unread);
	list_remove(&x->node);
	empty(&x->in);
	empty(&x->out);
	x->sent = 0;
	count(x);
	c->n_exchanges--;
	if (!c->closing)
		conn_call_ended(c);
	if (s->n_free_exchanges + 1 <= FREE_EXCHANGES) {
		arena_reset(x->arena);
		list_push_front(&s->free_exchanges, &x->node);
		s->n_free_exchanges++;
	} else {
		exchange_free(x);
	}
}

void http_forget_free(struct rpc_server *s)
{
	struct list *node;
	while ((node = list_pop(&s->free_exchanges)))
		exchange_free(container_of(node, struct http_exchange, node));
}

/* ---- the request's header ---- */

static void *grow(struct arena *a, const void *old, size_t n, unsigned *cap, unsigned first)
{
	unsigned more = *cap ? *cap * 2 : first;
	struct http_field *fresh = arena_array(a, struct http_field, more);
	if (n)
		memcpy(fresh, old, n * sizeof(*fresh));
	*cap = more;
	return fresh;
}

/* A copy at *to, which moves on behind it and its NUL. */
static struct str copy_to(char **to, struct str s)
{
	char *at = *to;
	if (s.len)
		memcpy(at, s.ptr, s.len);
	at[s.len] = '\0';
	*to = at + s.len + 1;
	return str_make(at, s.len);
}

bool http_add_field(struct http_exchange *x, struct str name, struct str value)
{
	x->fields_len += name.len + value.len + 32; /* as RFC 9113 §6.5.2 counts */
	if (x->fields_len > x->conn->server->o.limits.max_header ||
		x->n_fields == HTTP_FIELDS_MAX) {
		x->too_large = true;
		return false;
	}
	if (x->n_fields == x->cap_fields)
		x->fields = grow(x->arena, x->fields, x->n_fields, &x->cap_fields, FIELDS_FIRST);
	struct http_field *f = &x->fields[x->n_fields++];
	char *at = arena_alloc(x->arena, name.len + value.len + 2);
	f->name = copy_to(&at, name);
	f->value = copy_to(&at, value);
	return true;
}

void http_set_target(struct http_exchange *x, struct str target)
{
	struct str rest = str_make(str_dup(x->arena, target), target.len);
	x->path = str_cut(&rest, '?');
	x->query = rest.ptr ? rest : STR("");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_decode(struct arena *a, struct str text, bool is_query, struct str *ret_text)
{
	char *out = arena_alloc(a, text.len + 1), *p = out;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '%') {
			if (text.len - i < 3 || hex_digit(text.ptr[i + 1]) < 0 ||
				hex_digit(text.ptr[i + 2]) < 0)
				return false;
			c = (char)(hex_digit(text.ptr[i + 1]) << 4 | hex_digit(text.ptr[i + 2]));
			i += 2;
		} else if (c == '+' && is_query) {
			c = ' ';
		}
		*p++ = c;
	}
	*p = '\0';
	*ret_text = str_make(out, (size_t)(p - out));
	return true;
}

bool http_query(struct http_exchange *x, const char *name, struct str *ret_value)
{
	struct str rest = x->query;
	while (rest.len > 0) {
		struct str value = str_cut(&rest, '&'), key = str_cut(&value, '=');
		if (str_is(key, name))
			return http_decode(x->arena, value.ptr ? value : STR(""), true, ret_value);
	}
	return false;
}

static const struct http_protocol *choose_by_path(struct http_exchange *x, unsigned *ret_status)
{
	const struct rpc_route_node *node;
	*ret_status = 404;
	if (rest_find(x, &node))
		return &rest_protocol;
	if (page_find(x)) {
		*ret_status = 405;
		if (str_is(x->method, "GET") || str_is(x->method, "HEAD"))
			return &page_protocol;
		http_add_header(x, "allow", STR("GET, HEAD, OPTIONS"));
	} else if (node) {
		*ret_status = 405;
		http_add_header(x, "allow", route_allowed(x->arena, x->conn->server->o.routes, node));
	}
	return NULL;
}

/* By the content type, which is orthogonal to the wire, or by the path. NULL: *ret_status says why. */
static const struct http_protocol *choose(struct http_exchange *x, unsigned *ret_status)
{
	struct str type = http_header(x, "content-type");
	const struct rpc_method *m = x->rpc;
	if (str_starts(type, "application/grpc-web"))
		return &grpc_web_protocol;
	if (str_starts(type, "application/grpc"))
		return &grpc_protocol;
	if (str_starts(type, "application/connect+"))
		return &connect_stream_protocol;
	if (m && str_is(x->method, "POST") && connect_codec(type))
		return &connect_unary_protocol;
	if (m && str_is(x->method, "GET") && m->no_side_effects)
		return &connect_unary_protocol;
	*ret_status = str_is(x->method, "POST") ? 415 : 405;
	return m ? NULL : choose_by_path(x, ret_status);
}

/* What a path can do, for OPTIONS. */
static struct str verbs_of(struct http_exchange *x)
{
	const struct rpc_server *s = x->conn->server;
	const struct rpc_method *m = x->rpc;
	struct str variables[ROUTE_VARIABLES];
	const struct rpc_route_node *node = route_find(s->o.routes, x->path, variables);
	if (m)
		return m->no_side_effects ? STR("GET, POST, OPTIONS") : STR("POST, OPTIONS");
	if (node)
		return route_allowed(x->arena, s->o.routes, node);
	if (page_find(x))
		return STR("GET, HEAD, OPTIONS");
	return str_is(x->path, "*") ? STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") : STR("");
}

/* RFC 9110 §9.3.7, and CORS's preflight. */
static void http_options(struct http_exchange *x)
{
	struct str verbs = verbs_of(x);
	if (verbs.len == 0) {
		rest_refuse(x, 404, ST_NOT_FOUND, "there is nothing at " STR_FMT, STR_ARG(x->path));
		return;
	}
	http_add_header(x, "allow", verbs);
	cors_preflight(x, verbs);
	http_respond(x, 204);
	http_end(x);
}

void http_begin(struct http_exchange *x)
{
	unsigned status;
	if (x->too_large) {
		server_limit(x->conn->server, RPC_LIMIT_HEADER);
		http_refuse(x, 431,
			"the header is longer than %zu bytes or has more than %d fields",
			x->conn->server->o.limits.max_header, HTTP_FIELDS_MAX);
		return;
	}
	const char *wrong = http_fields_wrong(x);
	if (wrong) {
		http_refuse(x, 400, "%s", wrong);
		return;
	}
	cors_allow(x);
	x->rpc = dispatch_find(x->conn->server, x->path);
	if (str_is(x->method, "OPTIONS")) {
		http_options(x);
		return;
	}
	x->protocol = choose(x, &status);
	if (x->protocol) {
		x->protocol->begin(x);
	} else if (status == 404) {
		rest_refuse(x, 404, ST_NOT_FOUND, "there is nothing at " STR_FMT, STR_ARG(x->path));
	} else if (status == 405 && !x->rpc) {
		rest_refuse(x, 405, ST_UNIMPLEMENTED, STR_FMT " is nothing that " STR_FMT " can do",
			STR_ARG(x->method), STR_ARG(x->path));
	} else if (status == 405) {
		http_add_header(x, "allow", STR("POST"));
		http_refuse(x, 405, "calls are made with POST");
	} else {
		http_add_header(x, "accept-post",
			STR("application/json, application/proto, application/connect+json, "
			    "application/connect+proto, application/grpc, application/grpc-web"));
		http_refuse(x, 415, "the content type \"" STR_FMT "\" is not known here",
			STR_ARG(http_header(x, "content-type")));
	}
}

/* ---- the request's body ---- */

void http_consume(struct http_exchange *x)
{
	if (!x->unconsumed || (x->call && !list_empty(&x->call->inbox)))
		return;
	size_t n = x->unconsumed;
	x->unconsumed = 0;
	x->ops->consumed(x, n);
}

/* Of messages that are not whole, on this connection and in all. */
static bool is_too_much(const struct http_exchange *x)
{
	const struct rpc_limits *l = &x->conn->server->o.limits;
	return x->in.len > KEEP_CAPACITY &&
	       (x->conn->collected > l->max_buffered_hard ||
		       x->conn->server->counters.received > l->max_buffered_total);
}

void http_body(struct http_exchange *x, struct str bytes)
{
	x->unconsumed += bytes.len;
	if (x->protocol) {
		buf_add_str(&x->in, bytes);
		count(x);
		if (is_too_much(x) && x->call) {
			struct status st = status_err(ST_RESOURCE_EXHAUSTED,
				"too many long messages are being sent at a time; try again later");
			server_limit(x->conn->server, RPC_LIMIT_BUFFERED_TOTAL);
			call_abort(x->call, &st, NULL);
		} else {
			x->protocol->body(x);
		}
	}
	if (!x->protocol || x->in.len == 0) {
		x->in.len = 0;
		if (x->in.cap > KEEP_CAPACITY)
			buf_finish(&x->in);
	}
	count(x);
	http_consume(x);
}

void http_end_of_body(struct http_exchange *x)
{
	x->in_ended = true;
	if (!x->protocol)
		return;
	timer_stop(&x->timer);
	x->protocol->end(x);
	empty(&x->in);
	count(x);
	http_consume(x);
}

void http_expect(struct http_exchange *x, bool more)
{
	if (x->ended)
		return;
	if (!more) {
		timer_stop(&x->timer);
	} else if (!timer_is_set(&x->timer)) {
		x->since_ms = loop_now_ms(x->conn->server->o.loop);
		timer_set(&x->timer, x->conn->server->o.limits.frame_ms);
	}
}

/* The request is too slow, or the peer takes nothing of the response. */
static void on_body_late(struct http_exchange *x, uint64_t now)
{
	const struct rpc_limits *l = &x->conn->server->o.limits;
	uint64_t due = x->since_ms + l->frame_ms + x->in.len / BODY_RATE * 1000;
	if (due > now) {
		timer_set(&x->timer, due - now);
	} else if (x->call) {
		server_limit(x->conn->server, RPC_LIMIT_FRAME);
		struct status st = status_err(ST_DEADLINE_EXCEEDED,
			"the request took longer than %llu ms to come",
			(unsigned long long)(due - x->since_ms));
		call_abort(x->call, &st, NULL);
	}
}

static void on_timer(struct timer *t)
{
	struct http_exchange *x = container_of(t, struct http_exchange, timer);
	uint64_t stall_ms = x->conn->server->o.limits.stall_ms;
	if (x->conn->closing)
		return;
	if (!x->in_ended && !x->ended) {
		on_body_late(x, loop_now_ms(x->conn->server->o.loop));
	} else if (!x->ended && http_pending(x).len == 0) {
		x->stalled = NEVER_LOOKED;
		if (x->protocol && x->protocol->idle)
			x->protocol->idle(x);
	} else if (x->taken != x->stalled || transport_is_pressed(x->conn->transport)) {
		x->stalled = x->taken; /* a transport that is stuck is the connection's matter */
		timer_set(&x->timer, stall_ms);
	} else {
		if (!x->done)
			server_limit(x->conn->server, RPC_LIMIT_STALL);
		x->ops->reset(x);
	}
}

static void watch_unread(struct http_exchange *x)
{
	x->unread_at = x->taken;
	timer_set(&x->unread, x->conn->server->o.limits.stall_ms);
}

static void on_unread(struct timer *t)
{
	struct http_exchange *x = container_of(t, struct http_exchange, unread);
	if (x->conn->closing || x->ended || x->done || http_pending(x).len == 0)
		return;
	if (x->taken != x->unread_at || transport_is_pressed(x->conn->transport)) {
		watch_unread(x);
		return;
	}
	server_limit(x->conn->server, RPC_LIMIT_STALL);
	x->ops->reset(x);
}

/* ---- the response ---- */

void http_respond(struct http_exchange *x, unsigned status)
{
	x->status = status;
}

void http_add_header(struct http_exchange *x, const char *name, struct str value)
{
	if (x->n_headers == x->cap_headers)
		x->headers =
			grow(x->arena, x->headers, x->n_headers, &x->cap_headers, METADATA_FIRST);
	x->headers[x->n_headers++] = (struct http_field){str_of(name), value};
}

void http_add_trailer(struct http_exchange *x, const char *name, struct str value)
{
	if (x->n_trailers == x->cap_trailers)
		x->trailers = grow(
			x->arena, x->trailers, x->n_trailers, &x->cap_trailers, METADATA_FIRST);
	x->trailers[x->n_trailers++] = (struct http_field){str_of(name), value};
}

struct buf *http_out(struct http_exchange *x)
{
	return &x->out;
}

void http_flush(struct http_exchange *x)
{
	if (x->done)
		x->out.len = x->sent = 0;
	else
		x->ops->flush(x);
	count(x);
	if (x->ended || x->done)
		return;
	if (!x->in_ended && http_pending(x).len > 0 && !timer_is_set(&x->unread))
		watch_unread(x);
	if (!x->in_ended || timer_is_set(&x->timer))
		return;
	x->stalled = x->taken; /* of a stream: is it taken? */
	timer_set(&x->timer, x->conn->server->o.limits.stall_ms);
}

void http_end(struct http_exchange *x)
{
	x->ended = true;
	http_flush(x);
	http_consume(x);
	if (x->done)
		return;
	x->stalled = x->taken;
	timer_set(&x->timer, x->conn->server->o.limits.stall_ms);
}

struct str http_pending(const struct http_exchange *x)
{
	return str_make(x->out.ptr ? x->out.ptr + x->sent : "", x->out.len - x->sent);
}

void http_sent(struct http_exchange *x, size_t bytes)
{
	x->sent += bytes;
	x->taken += bytes;
	if (x->sent == x->out.len) {
		x->out.len = x->sent = 0;
		if (x->out.cap > KEEP_CAPACITY)
			buf_finish(&x->out);
	} else if (x->sent > KEEP_CAPACITY) {
		buf_drop(&x->out, x->sent);
		x->sent = 0;
	}
	count(x);
	if (x->call && x->call->full && x->out.len - x->sent < HTTP_FULL / 2)
		call_flushed(x->call);
}

void http_answer(struct http_exchange *x, unsigned status, const char *type, struct str body)
{
	http_respond(x, status);
	http_add_header(x, "content-type", str_of(type));
	buf_add_str(http_out(x), body);
	http_end(x);
}

void http_refuse(struct http_exchange *x, unsigned status, const char *fmt, ...)
{
	struct buf words = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(&words, fmt, ap);
	va_end(ap);
	buf_addc(&words, '\n');
	x->protocol = NULL;
	http_answer(x, status, "text/plain; charset=utf-8", buf_str(&words));
	buf_finish(&words);
}

const char *http_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *words;
	} reasons[] = {{100, "Continue"}, {200, "OK"}, {201, "Created"}, {204, "No Content"},
		{304, "Not Modified"}, {400, "Bad Request"}, {401, "Unauthorized"},
		{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
		{408, "Request Timeout"}, {409, "Conflict"}, {412, "Precondition Failed"},
		{413, "Content Too Large"}, {415, "Unsupported Media Type"},
		{417, "Expectation Failed"}, {429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"}, {499, "Client Closed Request"},
		{500, "Internal Server Error"}, {501, "Not Implemented"},
		{503, "Service Unavailable"}, {504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"}};
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].words;
	return "Status";
}

void http_compress(struct http_exchange *x)
{
	struct buf packed = {0};
	if (x->out.len < GZIP_FROM)
		return;
	gzip_pack(&packed, buf_str(&x->out));
	if (packed.len < x->out.len) {
		http_add_header(x, "content-encoding", STR("gzip"));
		x->out.len = 0;
		buf_add_str(&x->out, buf_str(&packed));
	}
	buf_finish(&packed);
}

void http_add_retry(struct http_exchange *x, uint64_t ms)
{
	http_add_header(x, "retry-after",
		str_of(arena_fmt(x->arena, "%llu", (unsigned long long)(ms + 999) / 1000)));
}

/* ---- calls ---- */

struct rpc_call *http_call(
	struct http_exchange *x, const struct rpc_protocol *p, const struct rpc_codec *codec)
{
	struct rpc_call *call = call_create(x->conn, p, codec, 0);
	struct rpc_metadata *m = arena_array(call->arena, struct rpc_metadata, x->n_fields);
	size_t len = 0;
	for (unsigned i = 0; i < x->n_fields; i++)
		len += x->fields[i].name.len + x->fields[i].value.len + 2;
	char *at = arena_alloc(call->arena, len);
	for (unsigned i = 0; i < x->n_fields; i++) {
		m[i].name = copy_to(&at, x->fields[i].name).ptr;
		m[i].value = copy_to(&at, x->fields[i].value).ptr;
	}
	call->metadata = m;
	call->n_metadata = x->n_fields;
	call->exchange = x;
	x->call = call;
	return call;
}

struct http_exchange *http_detach(struct rpc_call *call)
{
	struct http_exchange *x = call->exchange;
	call->exchange = NULL;
	x->call = NULL;
	x->protocol = NULL;
	timer_stop(&x->timer);
	return x;
}

bool http_is_writable(const struct rpc_call *call)
{
	const struct http_exchange *x = call->exchange;
	return x->out.len - x->sent < HTTP_FULL && !transport_is_pressed(x->conn->transport);
}

bool http_is_waiting(const struct rpc_call *call)
{
	(void)call; /* the exchange keeps what waits */
	return false;
}

void http_consumed(struct rpc_call *call, size_t bytes)
{
	(void)bytes;
	http_consume(call->exchange);
}

bool http_has_room(struct rpc_call *call, size_t more)
{
	const struct http_exchange *x = call->exchange;
	const struct rpc_limits *l = &call->server->o.limits;
	if (x->out.len - x->sent + more <= l->max_buffered + l->max_message)
		return true;
	struct status st = status_err(
		ST_RESOURCE_EXHAUSTED, "the client takes the messages of this stream too slowly");
	server_limit(call->server, RPC_LIMIT_BUFFERED);
	call_abort(call, &st, NULL);
	return false;
}
