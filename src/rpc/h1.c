#include "rpc/h1.h"
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/transport.h"
#include "rpc/call_impl.h"
#include "rpc/h1_head.h"
#include "rpc/http.h"
#include "rpc/server_impl.h"

#define WINDOW        ((size_t)64 * 1024)  /* of a body, that the call has not used up */
#define PIPELINED_MAX ((size_t)64 * 1024)  /* requests behind the present one */
#define AT_ONCE       64                   /* pipelined requests; then others have their turn */
#define DROPPED_MAX   ((size_t)256 * 1024) /* of a body that nobody wants; then it is closed */

struct h1 {
	struct rpc_conn *conn;
	llhttp_t parser;
	struct http_exchange *x; /* the present one; NULL between requests */
	struct h1_head head;
	struct buf target, name, value;
	struct defer next; /* the response is out: what comes behind it */
	size_t held;       /* bytes of the body given and not given back */
	size_t trailer;    /* bytes of the request's trailer */
	size_t dropped;
	bool in_body; /* the head is complete */
	bool is_11;   /* HTTP/1.1 */
	bool last;    /* no further request on this connection */
	bool chunked; /* the response is */
	bool failed;  /* the request is broken, and is answered */
	bool more;    /* of what is pipelined, when the others had their turn */
};

static const struct http_ops h1_ops;

/* ---- out ---- */

/* RFC 9110 §5.6.7; not by strftime, which asks the locale. Written once a second. */
static void put_date(struct buf *b, struct rpc_server *s)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = (time_t)(s->o.clock->wall_us(s->o.clock) / 1000000);
	struct tm t;
	if (now != s->date_at && gmtime_r(&now, &t)) {
		s->date_at = now;
		(void)snprintf(s->date, sizeof(s->date), "date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
			days[t.tm_wday], t.tm_mday, months[t.tm_mon], (t.tm_year + 1900) % 10000, t.tm_hour,
			t.tm_min, t.tm_sec);
	}
	buf_adds(b, s->date);
}

static void put_line(struct buf *b, struct str name, struct str value)
{
	buf_reserve(b, name.len + value.len + 4);
	buf_add_str(b, name);
	buf_add(b, ": ", 2);
	buf_add_str(b, value);
	buf_add(b, "\r\n", 2);
}

static void put_length(struct buf *b, size_t n)
{
	buf_adds(b, "content-length: ");
	buf_add_u64(b, n);
	buf_add(b, "\r\n", 2);
}

static bool has_body(const struct http_exchange *x)
{
	return !x->no_body && x->status != 204 && x->status != 304;
}

/* Answered before its body has come, and perhaps more is to come than is dropped: the client must know that the connection ends,
 * or its next request goes into the void. */
static bool is_cut_off(const struct h1 *h, const struct http_exchange *x)
{
	return x->ended && !x->in_ended && h->in_body &&
	       (h->parser.flags & F_CHUNKED || h->parser.content_length > DROPPED_MAX);
}

static void begin_response(struct h1 *h, struct http_exchange *x, struct buf *out)
{
	struct rpc_conn *c = h->conn;
	x->begun = true;
	h->chunked = !x->ended && h->is_11 && has_body(x);
	h->last |= c->refusing || (!x->ended && !h->is_11) || is_cut_off(h, x);
	buf_adds(out, "HTTP/1.1 ");
	buf_add_u64(out, x->status);
	buf_addc(out, ' ');
	buf_adds(out, http_reason(x->status));
	buf_adds(out, "\r\n");
	for (unsigned i = 0; i < x->n_headers; i++)
		put_line(out, x->headers[i].name, x->headers[i].value);
	put_date(out, c->server);
	if (h->chunked)
		buf_adds(out, "transfer-encoding: chunked\r\n");
	else if (x->ended && x->status != 204)
		put_length(out, http_pending(x).len);
	if (h->last)
		buf_adds(out, "connection: close\r\n");
	else if (!h->is_11)
		buf_adds(out, "connection: keep-alive\r\n");
	buf_adds(out, "\r\n");
}

static void h1_flush(struct http_exchange *x)
{
	struct h1 *h = x->conn->wire_state;
	struct transport *t = x->conn->transport;
	struct buf *out = transport_out(t);
	struct str body = http_pending(x);
	if (!x->begun)
		begin_response(h, x, out);
	if (body.len > 0 && has_body(x)) {
		if (h->chunked)
			buf_fmt(out, "%zx\r\n", body.len);
		buf_add_str(out, body);
		if (h->chunked)
			buf_adds(out, "\r\n");
	}
	if (x->ended) {
		if (h->chunked)
			buf_adds(out, "0\r\n\r\n");
		x->done = true;
		defer_post(&h->next);
	}
	transport_commit(t);
	http_sent(x, body.len);
}

/* Nothing was promised that must be taken back, other than by closing. */
static void h1_reset(struct http_exchange *x)
{
	struct h1 *h = x->conn->wire_state;
	x->done = true;
	h->last = true;
	defer_post(&h->next);
}

/* ---- in: llhttp's callbacks ---- */

static struct h1 *of(llhttp_t *p)
{
	return p->data;
}

static int on_begin(llhttp_t *p)
{
	struct h1 *h = of(p);
	h->x = http_create(h->conn, &h1_ops);
	h->in_body = h->chunked = false;
	h->held = h->trailer = h->dropped = 0;
	h->target.len = h->name.len = h->value.len = 0;
	return 0;
}

static int on_target(llhttp_t *p, const char *bytes, size_t len)
{
	buf_add(&of(p)->target, bytes, len);
	return 0;
}

/* Of a trailer only the length counts. */
static int on_trailer(struct h1 *h, size_t len)
{
	h->trailer += len;
	if (h->trailer <= h->conn->server->o.limits.max_header)
		return 0;
	llhttp_set_error_reason(&h->parser, "the trailer is longer than a header may be");
	return HPE_USER;
}

static int on_name(llhttp_t *p, const char *bytes, size_t len)
{
	struct h1 *h = of(p);
	if (h->in_body)
		return on_trailer(h, len);
	buf_reserve(&h->name, len);
	char *to = h->name.ptr + h->name.len;
	for (size_t i = 0; i < len; i++)
		to[i] = (char)(bytes[i] | (bytes[i] >= 'A' && bytes[i] <= 'Z') << 5);
	h->name.len += len;
	return 0;
}

static int on_value(llhttp_t *p, const char *bytes, size_t len)
{
	struct h1 *h = of(p);
	if (h->in_body)
		return on_trailer(h, len);
	buf_add(&h->value, bytes, len);
	return 0;
}

static int on_field_end(llhttp_t *p)
{
	struct h1 *h = of(p);
	if (!h->in_body)
		(void)http_add_field(h->x, buf_str(&h->name), str_trim(buf_str(&h->value)));
	h->name.len = h->value.len = 0;
	return 0;
}

/* "/path?query", "http://host/path" (RFC 9112 §3.2.2) or "*". False: none of them. */
static bool set_target(struct h1 *h, struct http_exchange *x)
{
	struct str t = buf_str(&h->target);
	if (str_starts(t, "http://") || str_starts(t, "https://")) {
		const char *host = (const char *)memchr(t.ptr, '/', t.len) + 2;
		const char *path = memchr(host, '/', t.len - (size_t)(host - t.ptr));
		t = path ? str_make(path, t.len - (size_t)(path - t.ptr)) : STR("/");
	}
	http_set_target(x, t);
	x->fields_len += t.len; /* as HTTP/2 counts :path */
	x->too_large |= x->fields_len > x->conn->server->o.limits.max_header;
	return str_starts(t, "/") || (str_is(t, "*") && str_is(x->method, "OPTIONS"));
}

static unsigned count_headers(const struct http_exchange *x, const char *name)
{
	unsigned n = 0;
	for (unsigned i = 0; i < x->n_fields; i++)
		n += str_is(x->fields[i].name, name);
	return n;
}

static bool is_word(struct str s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

static void refuse(struct h1 *h, unsigned status, const char *why)
{
	h->last = true;
	h->x->fields_len = 0;
	http_refuse(h->x, status, "%s", why);
}

/* False: answered already. */
static bool check_request(struct h1 *h, struct http_exchange *x, bool fine_target)
{
	struct str encoding = http_header(x, "transfer-encoding"),
		   expect = http_header(x, "expect");
	if (x->too_large)
		return true; /* http_begin says it */
	if (!fine_target)
		refuse(h, 400, "the target must be a path");
	else if (h->is_11 && count_headers(x, "host") != 1)
		refuse(h, 400, "a request has one host header");
	else if (count_headers(x, "content-length") > 1 ||
		 count_headers(x, "transfer-encoding") > 1)
		refuse(h, 400, "the length of the body is given twice");
	else if (encoding.len > 0 && (http_header(x, "content-length").len > 0 || !h->is_11))
		refuse(h, 400, "transfer-encoding stands beside content-length, or in HTTP/1.0");
	else if (encoding.len > 0 && !is_word(encoding, "chunked"))
		refuse(h, 501, "the only transfer-encoding known here is chunked");
	else if (expect.len > 0 && !is_word(expect, "100-continue"))
		refuse(h, 417, "the only expectation known here is 100-continue");
	else
		return true;
	return false;
}

static int on_head(llhttp_t *p)
{
	struct h1 *h = of(p);
	struct http_exchange *x = h->x;
	const char *method = llhttp_method_name((llhttp_method_t)p->method);
	h->in_body = true;
	h->is_11 = p->http_major == 1 && p->http_minor == 1;
	h->last |= !llhttp_should_keep_alive(p);
	p->upgrade = 0; /* to nothing that we speak: answered as if it had not been asked for */
	x->method = str_of(method);
	x->no_body = str_is(x->method, "HEAD");
	x->authority = http_header(x, "host");
	conn_spoke(h->conn);
	if (p->http_major != 1) {
		refuse(h, 505, "this is HTTP/1.1");
		return 0;
	}
	if (!check_request(h, x, set_target(h, x)))
		return 0;
	http_begin(x);
	if (!x->status && is_word(http_header(x, "expect"), "100-continue") && h->is_11) {
		buf_adds(transport_out(h->conn->transport), "HTTP/1.1 100 Continue\r\n\r\n");
		transport_commit(h->conn->transport);
	}
	return 0;
}

static int on_body(llhttp_t *p, const char *bytes, size_t len)
{
	struct h1 *h = of(p);
	h->held += len;
	if (!h->x->protocol)
		h->dropped += len;
	http_body(h->x, str_make(bytes, len));
	return 0;
}

static int on_end(llhttp_t *p)
{
	struct h1 *h = of(p);
	conn_spoke(h->conn);
	http_end_of_body(h->x);
	if (h->x->done)
		defer_post(&h->next);
	return HPE_PAUSED;
}

static const llhttp_settings_t *settings(void)
{
	static const llhttp_settings_t callbacks = {
		.on_message_begin = on_begin,
		.on_url = on_target,
		.on_header_field = on_name,
		.on_header_value = on_value,
		.on_header_value_complete = on_field_end,
		.on_headers_complete = on_head,
		.on_body = on_body,
		.on_message_complete = on_end,
	};
	return &callbacks;
}

/* ---- the connection ---- */

static void h1_open(struct rpc_conn *c);

/* The request cannot be understood, nor what follows it. */
static void fail(struct h1 *h, unsigned status, const char *why)
{
	struct status st = status_err(ST_INVALID_ARGUMENT, "HTTP/1: %s", why);
	if (!h->x)
		h->x = http_create(h->conn, &h1_ops);
	h->last = h->failed = true;
	if (h->x->call)
		call_abort(h->x->call, &st, NULL);
	if (!h->x->status)
		http_refuse(h->x, status, "%s", why);
	h->x->done = h->x->in_ended = true;
	defer_post(&h->next);
}

/* Bytes of the head, up to where it ends. */
static size_t take_head(struct h1 *h, const char *bytes, size_t len)
{
	const char *wrong;
	bool done;
	size_t n = h1_head_scan(&h->head, bytes, len, &done, &wrong);
	if (wrong) {
		fail(h, 400, wrong);
		return len;
	}
	if (h->head.len > 2 * h->conn->server->o.limits.max_header + 1024) {
		server_limit(h->conn->server, RPC_LIMIT_HEADER);
		fail(h, 431, "the header is too long");
		return len;
	}
	if (done)
		h->head = (struct h1_head){.last = 0};
	return n;
}

/* One step: the rest of the head, or what there is of the body. */
static size_t step(struct h1 *h, const char *bytes, size_t len)
{
	size_t n = h->in_body ? len : take_head(h, bytes, len);
	if (h->failed)
		return len;
	llhttp_errno_t err = llhttp_execute(&h->parser, bytes, n);
	if (err == HPE_PAUSED) {
		n = (size_t)(llhttp_get_error_pos(&h->parser) - bytes);
		llhttp_resume(&h->parser);
	} else if (err != HPE_OK) {
		const char *why = llhttp_get_error_reason(&h->parser);
		fail(h, 400, why && *why ? why : llhttp_errno_name(err));
		return len;
	}
	return n;
}

static bool is_waiting(const struct h1 *h) /* for the response of a request that is complete */
{
	return h->failed || (h->x && h->x->in_ended);
}

/* The present exchange is over. */
static void forget(struct h1 *h)
{
	http_destroy(h->x);
	h->x = NULL;
	h->in_body = false;
	h->held = 0;
}

/* Answered at once: what comes behind it needs no turn of the loop. */
static bool is_answered(const struct h1 *h)
{
	return !h->conn->refusing && h->x && h->x->done && h->x->in_ended && !h->last;
}

static size_t h1_feed(struct rpc_conn *c, const char *bytes, size_t len)
{
	struct h1 *h = c->wire_state;
	size_t pos = 0, n = 0;
	while (pos < len && n < AT_ONCE && !is_waiting(h) && h->held < WINDOW && !c->closing &&
		!transport_is_pressed(c->transport)) {
		pos += step(h, bytes + pos, len - pos);
		if (c->closing || !is_answered(h))
			continue;
		defer_cancel(&h->next);
		forget(h);
		n++;
	}
	if (c->closing)
		return len;
	bool drops = h->x && h->x->done && !h->x->in_ended;
	if (drops && h->dropped > DROPPED_MAX) {
		h->x->in_ended = h->last = true;
		defer_post(&h->next);
	}
	if (n == AT_ONCE && pos < len) {
		h->more = true;
		defer_post(&h->next);
	}
	if (h->more || h->held >= WINDOW || (is_waiting(h) && len - pos > PIPELINED_MAX))
		conn_pause(c);
	bool in_head = !h->in_body && (h->x || h->head.len > 0);
	c->partial_need = in_head || drops ? 1 : 0;
	return h->failed ? len : pos;
}

/* The rest of a request that is answered is dropped as it comes. It has as long as a message has, or the connection would be neither
 * used nor idle for ever. */
static void expect_rest(struct http_exchange *x)
{
	if (timer_is_set(&x->timer))
		return;
	x->stalled = x->taken;
	timer_set(&x->timer, x->conn->server->o.limits.frame_ms);
}

static void on_next(struct defer *d)
{
	struct h1 *h = container_of(d, struct h1, next);
	struct rpc_conn *c = h->conn;
	struct status ok = status_ok();
	if (c->closing)
		return;
	if (h->more) {
		h->more = false;
		conn_resume(c);
	}
	if (!h->x || !h->x->done)
		return;
	if (!h->x->in_ended && !h->last) {
		expect_rest(h->x);
		return;
	}
	forget(h);
	if (h->last || c->refusing)
		conn_finish(c, &ok);
	else
		conn_resume(c);
}

static void h1_consumed(struct http_exchange *x, size_t bytes)
{
	struct h1 *h = x->conn->wire_state;
	h->held -= bytes;
	if (h->held < WINDOW)
		conn_resume(x->conn);
}

static const struct http_ops h1_ops = {"HTTP/1.1", false, h1_flush, h1_consumed, h1_reset};

static void h1_open(struct rpc_conn *c)
{
	struct h1 *h = mem_new(struct h1);
	h->conn = c;
	llhttp_init(&h->parser, HTTP_REQUEST, settings());
	h->parser.data = h;
	defer_init_named(&h->next, c->server->o.loop, on_next, "rpc_h1_next");
	c->wire_state = h;
}

/* Nobody can be told that no request is taken, but by the answer to the present one. */
static void h1_goaway(struct rpc_conn *c, const struct status *why)
{
	struct h1 *h = c->wire_state;
	c->refusing = true;
	if (why && !is_waiting(h) && (h->x || h->head.len > 0))
		fail(h, why->code == ST_DEADLINE_EXCEEDED ? 408 : 503, why->message);
}

static void h1_close(struct rpc_conn *c)
{
	struct h1 *h = c->wire_state;
	defer_cancel(&h->next);
	if (h->x)
		http_destroy(h->x);
	buf_finish(&h->target);
	buf_finish(&h->name);
	buf_finish(&h->value);
	free(h);
}

const struct rpc_wire h1_wire = {"h1", h1_open, h1_feed, h1_goaway, NULL, NULL, h1_close};
