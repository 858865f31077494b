#include "rpc/h2.h"
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "net/transport.h"
#include "rpc/call_impl.h"
#include "rpc/h2_memory.h"
#include "rpc/h2_scan.h"
#include "rpc/http.h"
#include "rpc/server_impl.h"

#define STREAM_WINDOW     (256 * 1024)
#define CONNECTION_WINDOW (16 * 1024 * 1024)
#define NOTICE_MS         1000 /* the second GOAWAY does not wait longer for the peer's PING */
/* So long the end of an unwanted request may still come: some clients take a reset for a failure. */
#define UNWANTED_MS 250
#define FIELDS_OUT        (HTTP_FIELDS_MAX + 1)

/* Nothing is sent inside nghttp2's callbacks: what is submitted goes out at the end of the feed,
 * or by `send` at the end of the turn. */
struct h2 {
	struct rpc_conn *conn;
	nghttp2_session *session; /* in memory: h2_memory_unpack comes before every use */
	struct h2_memory memory;
	struct list exchanges;
	struct h2_scan scan;
	struct defer send;
	struct timer notice; /* draining: between the two GOAWAYs (RFC 9113 §6.8) */
};

static const struct http_ops h2_ops;

static struct http_exchange *find(struct h2 *h, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(h->session, stream);
}

/* ---- in: nghttp2's callbacks ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct h2 *h = data;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct http_exchange *x = http_create(h->conn, &h2_ops);
	x->stream = frame->hd.stream_id;
	list_push(&h->exchanges, &x->node);
	(void)nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, x);
	return 0;
}

/* HPACK may make much of little: what is over the limit is dropped, and what is far over it ends the stream, since nghttp2 would look
 * at each byte of what is named a thousand times. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *data)
{
	struct http_exchange *x = find(data, frame->hd.stream_id);
	struct str n = {(const char *)name, name_len}, v = {(const char *)value, value_len};
	(void)session;
	(void)flags;
	if (!x)
		return 0;
	/* trailers of a request say nothing to us */
	if (x->too_large || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
		x->fields_len += n.len + v.len;
		return x->fields_len > 2 * x->conn->server->o.limits.max_header ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
	}
	if (n.len == 0 || n.ptr[0] != ':') {
		(void)http_add_field(x, n, v);
		return 0;
	}
	x->fields_len += n.len + v.len;
	if (x->fields_len > x->conn->server->o.limits.max_header)
		x->too_large = true;
	else if (str_is(n, ":method"))
		x->method = str_make(str_dup(x->arena, v), v.len);
	else if (str_is(n, ":path"))
		http_set_target(x, v);
	else if (str_is(n, ":authority"))
		x->authority = str_make(str_dup(x->arena, v), v.len);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct h2 *h = data;
	struct http_exchange *x;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		x = find(h, frame->hd.stream_id);
		if (x && frame->hd.type == NGHTTP2_HEADERS &&
			frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			http_begin(x);
		if (x && !x->done && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
			http_end_of_body(x);
		break;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK && timer_is_set(&h->notice))
			timer_set(&h->notice, 0);
		break;
	default:
		break;
	}
	(void)session;
	return 0;
}

/* The connection's window is given back at once, so that a stream that waits holds up no other. */
static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
	size_t len, void *data)
{
	struct http_exchange *x = find(data, stream);
	(void)flags;
	if (nghttp2_session_consume_connection(session, len) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (x && !x->done)
		http_body(x, str_make((const char *)bytes, len));
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *data)
{
	struct http_exchange *x = find(data, stream);
	(void)session;
	(void)code;
	if (x)
		http_destroy(x);
	return 0;
}

/* ---- out ---- */

static void flush(struct h2 *h)
{
	struct rpc_conn *c = h->conn;
	struct transport *t = c->transport;
	struct status gone = status_ok();
	h2_memory_unpack(&h->memory);
	while (!c->closing && !transport_is_pressed(t)) {
		const uint8_t *bytes;
		ssize_t n = nghttp2_session_mem_send(h->session, &bytes);
		if (n < 0) {
			struct status st =
				status_err(ST_INTERNAL, "HTTP/2: %s", nghttp2_strerror((int)n));
			conn_close(c, &st);
			return;
		}
		if (n == 0 && transport_out(t)->len == 0)
			break;
		buf_add(transport_out(t), bytes, (size_t)n);
		transport_commit(t);
		if (n == 0)
			break;
	}
	if (!c->closing && !nghttp2_session_want_read(h->session) &&
		!nghttp2_session_want_write(h->session))
		conn_finish(c, &gone);
}

static void on_send(struct defer *d)
{
	flush(container_of(d, struct h2, send));
}

static void mark(struct rpc_conn *c)
{
	struct h2 *h = c->wire_state;
	if (!c->closing)
		defer_post(&h->send);
}

static void put_fields(nghttp2_nv *to, size_t *n, const struct http_field *from, size_t n_from)
{
	for (size_t i = 0; i < n_from && *n < FIELDS_OUT; i++)
		to[(*n)++] = (nghttp2_nv){(uint8_t *)from[i].name.ptr, (uint8_t *)from[i].value.ptr,
			from[i].name.len, from[i].value.len, NGHTTP2_NV_FLAG_NONE};
}

/* How much of the body goes into the next frame; the bytes are taken by on_send_data. */
static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t length,
	uint32_t *flags, nghttp2_data_source *source, void *data)
{
	struct http_exchange *x = source->ptr;
	struct str rest = http_pending(x);
	nghttp2_nv nva[FIELDS_OUT];
	size_t n = 0;
	(void)buf;
	(void)data;
	if (rest.len == 0 && !x->ended) {
		x->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (rest.len > length || !x->ended)
		return (ssize_t)(rest.len < length ? rest.len : length);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (x->n_trailers == 0)
		return (ssize_t)rest.len;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	put_fields(nva, &n, x->trailers, x->n_trailers);
	int err = nghttp2_submit_trailer(session, stream, nva, n);
	return err ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : (ssize_t)rest.len;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
	size_t length, nghttp2_data_source *source, void *data)
{
	struct h2 *h = data;
	struct http_exchange *x = source->ptr;
	struct buf *out = transport_out(h->conn->transport);
	(void)session;
	(void)frame; /* we choose no padding */
	buf_reserve(out, H2_HEAD + length);
	buf_add(out, head, H2_HEAD);
	buf_add(out, http_pending(x).ptr, length);
	http_sent(x, length);
	return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct h2 *h = data;
	(void)session;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	h2_scan_sent(&h->scan);
	struct http_exchange *x = find(h, frame->hd.stream_id);
	if (!x || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	x->done = true;
	if (!x->in_ended) { /* the rest of the request is not wanted (RFC 9113 §8.1) */
		x->stalled = x->taken;
		timer_set(&x->timer, UNWANTED_MS);
	}
	return 0;
}

static void begin_response(struct h2 *h, struct http_exchange *x)
{
	nghttp2_data_provider body = {.source.ptr = x, .read_callback = on_read};
	nghttp2_nv nva[FIELDS_OUT];
	char status[8];
	size_t n = 0;
	bool has_body = !x->no_body && !(x->ended && http_pending(x).len == 0 && !x->n_trailers);
	x->begun = true;
	struct http_field first = {STR(":status"), STR("200")}; /* nearly always: printf would be a tenth of the call */
	if (x->status != 200) {
		(void)snprintf(status, sizeof(status), "%u", x->status);
		first.value = str_of(status);
	}
	put_fields(nva, &n, &first, 1);
	put_fields(nva, &n, x->headers, x->n_headers);
	if (nghttp2_submit_response(h->session, x->stream, nva, n, has_body ? &body : NULL) != 0)
		mem_abort("nghttp2_submit_response");
}

static void h2_flush(struct http_exchange *x)
{
	struct h2 *h = x->conn->wire_state;
	if (!x->begun) {
		begin_response(h, x);
	} else if (x->deferred) {
		x->deferred = false;
		(void)nghttp2_session_resume_data(h->session, x->stream);
	}
	mark(x->conn);
}

static void h2_consumed(struct http_exchange *x, size_t bytes)
{
	struct h2 *h = x->conn->wire_state;
	(void)nghttp2_session_consume_stream(h->session, x->stream, bytes);
	mark(x->conn);
}

static void h2_reset(struct http_exchange *x)
{
	struct h2 *h = x->conn->wire_state;
	uint32_t code = x->done ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL;
	x->done = true;
	(void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, x->stream, code);
	mark(x->conn);
}

static const struct http_ops h2_ops = {"HTTP/2", true, h2_flush, h2_consumed, h2_reset};

/* ---- the connection ---- */

/* The last word before it is closed. */
static void terminate(struct h2 *h, uint32_t code, struct str why)
{
	h2_memory_unpack(&h->memory);
	(void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(h->session), code, (const uint8_t *)why.ptr,
		why.len);
	flush(h);
}

static uint32_t error_of(const struct status *why)
{
	if (why->code == ST_UNAVAILABLE)
		return NGHTTP2_NO_ERROR;
	return why->code == ST_RESOURCE_EXHAUSTED || why->code == ST_DEADLINE_EXCEEDED
		       ? NGHTTP2_ENHANCE_YOUR_CALM
		       : NGHTTP2_PROTOCOL_ERROR;
}

static void h2_goaway(struct rpc_conn *c, const struct status *why)
{
	struct h2 *h = c->wire_state;
	if (why) {
		c->refusing = true;
		terminate(h, error_of(why), str_of(why->message));
		return;
	}
	h2_memory_unpack(&h->memory);
	(void)nghttp2_submit_shutdown_notice(h->session);
	(void)nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
	timer_set(&h->notice, NOTICE_MS);
	mark(c);
}

/* Whoever opens a stream from now on has seen the notice, or had the time to. */
static void on_notice(struct timer *t)
{
	struct h2 *h = container_of(t, struct h2, notice);
	if (h->conn->closing)
		return;
	h2_memory_unpack(&h->memory);
	(void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR, NULL, 0);
	h->conn->refusing = true;
	flush(h);
	conn_settle(h->conn);
}

static nghttp2_session *make_session(struct h2 *h)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *o;
	nghttp2_session *session;
	nghttp2_mem mem = h2_memory_callbacks(&h->memory);
	if (nghttp2_session_callbacks_new(&cb) != 0 || nghttp2_option_new(&o) != 0)
		mem_abort("out of memory");
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	/* h2_scan counts them by our own limits */
	nghttp2_option_set_stream_reset_rate_limit(o, UINT32_MAX, UINT32_MAX);
	if (nghttp2_session_server_new3(&session, cb, h, o, &mem) != 0)
		mem_abort("out of memory");
	h2_memory_settle(&h->memory);
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(o);
	return session;
}

static void h2_open(struct rpc_conn *c)
{
	const struct rpc_limits *l = &c->server->o.limits;
	struct h2 *h = mem_new(struct h2);
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->max_streams},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->max_header},
	};
	h->conn = c;
	h2_memory_init(&h->memory);
	h->session = make_session(h);
	list_init(&h->exchanges);
	defer_init_named(&h->send, c->server->o.loop, on_send, "rpc_h2_send");
	timer_init_named(&h->notice, c->server->o.loop, on_notice, "rpc_h2_notice");
	c->wire_state = h;
	if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
		    sizeof(settings) / sizeof(settings[0])) != 0 ||
		nghttp2_session_set_local_window_size(
			h->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) != 0)
		mem_abort("out of memory");
	mark(c);
}

static bool is_allowed(struct h2 *h, const char *bytes, size_t len)
{
	struct rpc_conn *c = h->conn;
	const struct rpc_limits *l = &c->server->o.limits;
	const struct h2_rates rates = {l->resets_per_s, l->controls_per_s, l->ping_interval_ms};
	bool whole;
	struct status st;
	enum h2_breach breach =
		h2_scan(&h->scan, &rates, loop_now_ms(c->server->o.loop), bytes, len, &whole);
	if (whole)
		conn_spoke(c);
	switch (breach) {
	case H2_FINE:
		return true;
	case H2_TOO_MANY_PINGS: /* the words that gRPC's clients know */
		server_limit(c->server, RPC_LIMIT_PINGS);
		st = status_err(ST_RESOURCE_EXHAUSTED, "too_many_pings");
		break;
	case H2_TOO_MANY_RESETS:
		server_limit(c->server, RPC_LIMIT_RESETS);
		st = status_err(ST_RESOURCE_EXHAUSTED,
			"too many streams were opened and taken back (%u/s are allowed)",
			l->resets_per_s);
		break;
	case H2_TOO_MANY_CONTROLS:
		server_limit(c->server, RPC_LIMIT_CONTROLS);
		st = status_err(ST_RESOURCE_EXHAUSTED,
			"too many frames that carry nothing (%u/s are allowed)", l->controls_per_s);
		break;
	}
	c->server->counters.abuses++;
	conn_fail(c, &st);
	return false;
}

static size_t h2_feed(struct rpc_conn *c, const char *bytes, size_t len)
{
	struct h2 *h = c->wire_state;
	if (!is_allowed(h, bytes, len))
		return len;
	h2_memory_unpack(&h->memory);
	ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes, len);
	if (c->closing)
		return len;
	if (n < 0) {
		struct status st =
			status_err(ST_INVALID_ARGUMENT, "HTTP/2: %s", nghttp2_strerror((int)n));
		conn_fail(c, &st);
		return len;
	}
	flush(h);
	c->partial_need = h2_scan_partial(&h->scan);
	return len;
}

static void h2_drained(struct rpc_conn *c)
{
	flush(c->wire_state);
}

/* With nothing to send, and nobody who could want to. */
static void h2_rest(struct rpc_conn *c)
{
	struct h2 *h = c->wire_state;
	if (!h2_memory_is_packed(&h->memory) && list_empty(&h->exchanges) && !timer_is_set(&h->notice) &&
		!nghttp2_session_want_write(h->session))
		h2_memory_pack(&h->memory);
}

static void h2_close(struct rpc_conn *c)
{
	struct h2 *h = c->wire_state;
	struct list *node;
	defer_cancel(&h->send);
	timer_stop(&h->notice);
	while ((node = list_pop(&h->exchanges)))
		http_destroy(container_of(node, struct http_exchange, node));
	if (!h2_memory_is_whole(&h->memory)) {
		h2_memory_unpack(&h->memory);
		nghttp2_session_del(h->session);
	}
	h2_memory_finish(&h->memory);
	free(h);
}

const struct rpc_wire h2_wire = {"h2", h2_open, h2_feed, h2_goaway, h2_drained, h2_rest, h2_close};
