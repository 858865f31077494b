#include "rpc/conn.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/transport.h"
#include "rpc/address.h"
#include "rpc/auth.h"
#include "rpc/call_impl.h"
#include "rpc/h1.h"
#include "rpc/h2.h"
#include "rpc/native.h"
#include "rpc/server_impl.h"

#define LINGER_MS     2000
#define KEEP_CAPACITY ((size_t)64 * 1024)
#define FRAME_RATE    ((size_t)64 * 1024) /* a long frame gets a second more for each of these */

/* ---- which wire: the one place where another slots in ---- */

enum sniffed { SNIFF_NO, SNIFF_YES, SNIFF_MORE };

static enum sniffed is_native(struct str first)
{
	return first.ptr[0] == 0x00 ? SNIFF_YES : SNIFF_NO;
}

static enum sniffed is_tls(struct str first)
{
	return first.ptr[0] == 0x16 ? SNIFF_YES : SNIFF_NO;
}

static enum sniffed is_http2(struct str first) /* RFC 9113 §3.4; no method begins like it */
{
	static const char preface[] = "PRI";
	size_t n = first.len < 3 ? first.len : 3;
	if (memcmp(first.ptr, preface, n) != 0)
		return SNIFF_NO;
	return n == 3 ? SNIFF_YES : SNIFF_MORE;
}

static enum sniffed is_http1(struct str first)
{
	return first.ptr[0] >= 'A' && first.ptr[0] <= 'Z' ? SNIFF_YES : SNIFF_NO;
}

static const struct {
	enum sniffed (*matches)(struct str first);
	const char *name;
	const struct rpc_wire *wire; /* NULL: known, but not served here */
} wires[] = {
	{is_native, "native", &native_wire},
	{is_tls, "TLS", NULL},
	{is_http2, "HTTP/2", &h2_wire},
	{is_http1, "HTTP/1", &h1_wire},
};

/* NULL, and *ret_why is not OK: it is something else. NULL and OK: too little has come to say. */
static const struct rpc_wire *sniff(struct str first, struct status *ret_why)
{
	*ret_why = status_ok();
	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
		enum sniffed is = wires[i].matches(first);
		if (is == SNIFF_NO)
			continue;
		if (is == SNIFF_MORE)
			return NULL;
		if (!wires[i].wire)
			*ret_why = status_err(ST_UNIMPLEMENTED,
				"it speaks %s, which is not served here", wires[i].name);
		return wires[i].wire;
	}
	*ret_why =
		status_err(ST_INVALID_ARGUMENT, "it speaks no known protocol (first byte 0x%02x)",
			(unsigned)(unsigned char)first.ptr[0]);
	return NULL;
}

/* ---- the end ---- */

static void log_close(const struct rpc_conn *c, const struct status *why)
{
	if (status_is_ok(why))
		log_debug("connection closed", "peer", transport_peer(c->transport), NULL);
	else if (why->code == ST_UNAVAILABLE) /* the network, or we stop */
		log_info("connection closed", "peer", transport_peer(c->transport), "reason",
			why->message, NULL);
	else
		log_warn("connection closed", "peer", transport_peer(c->transport), "reason",
			why->message, NULL);
}

static void count_traffic(struct rpc_conn *c)
{
	struct rpc_counters *n = &c->server->counters;
	uint64_t in = transport_received(c->transport), out = transport_taken(c->transport);
	size_t buffered = c->closing ? 0 : transport_pending(c->transport) + c->queued;
	n->bytes_in += in - c->bytes_in;
	n->bytes_out += out - c->bytes_out;
	n->buffered += buffered - c->buffered;
	if (n->buffered > c->server->peak_buffered)
		c->server->peak_buffered = n->buffered;
	c->bytes_in = in;
	c->bytes_out = out;
	c->buffered = buffered;
}

static void count_input(struct rpc_conn *c)
{
	size_t received = c->closing ? 0 : c->in.len + c->collected;
	c->server->counters.received += received - c->received;
	c->received = received;
}

void conn_count(struct rpc_conn *c)
{
	count_traffic(c);
	count_input(c);
}

static void lose_calls(struct list *calls)
{
	while (!list_empty(calls))
		call_lost(container_of(calls->next, struct rpc_call, conn_node));
}

/* One that is over, and whose peer does not go, holds a descriptor for LINGER_MS: so many may. */
static bool may_linger(const struct rpc_server *s)
{
	return transport_env_open(s->env) - s->counters.connections <=
	       s->o.limits.max_connections / 4 + 16;
}

static void close_with(struct rpc_conn *c, const struct status *why, bool send_rest)
{
	if (c->closing)
		return;
	c->closing = true;
	log_close(c, why);
	count_traffic(c);
	count_input(c);
	c->server->counters.closed++;
	c->server->counters.connections--;
	c->server->counters.resting -= c->resting;
	address_leave(c->server, c->address);
	c->address = NULL;
	timer_stop(&c->timer);
	defer_cancel(&c->settle);
	defer_cancel(&c->again);
	lose_calls(&c->calls);
	lose_calls(&c->gone);
	c->n_calls = 0;
	list_remove(&c->silent);
	list_remove(&c->node);
	list_push(&c->server->dead_conns, &c->node);
	defer_post(&c->server->reap);
	if (send_rest && may_linger(c->server))
		transport_finish(c->transport, LINGER_MS);
	else
		transport_destroy(c->transport);
}

void conn_close(struct rpc_conn *c, const struct status *why)
{
	close_with(c, why, false);
}

void conn_finish(struct rpc_conn *c, const struct status *why)
{
	close_with(c, why, true);
}

void conn_fail(struct rpc_conn *c, const struct status *why)
{
	if (!c->closing)
		(c->wire ? c->wire : &native_wire)->goaway(c, why);
	close_with(c, why, true);
}

void conn_free(struct rpc_conn *c)
{
	list_remove(&c->node);
	if (c->wire)
		c->wire->close(c);
	buf_finish(&c->in);
	free(c);
}

static bool is_idle(const struct rpc_conn *c)
{
	return c->n_calls == 0 && c->n_exchanges == 0;
}

static void on_settle(struct defer *d)
{
	struct rpc_conn *c = container_of(d, struct rpc_conn, settle);
	struct status ok = status_ok();
	if (c->draining && c->refusing && is_idle(c))
		close_with(c, &ok, true);
}

void conn_settle(struct rpc_conn *c)
{
	if (c->draining && !c->closing)
		defer_post(&c->settle);
}

void conn_call_ended(struct rpc_conn *c)
{
	c->last_frame_ms = loop_now_ms(c->server->o.loop); /* idle from now on */
	if (is_idle(c))
		conn_settle(c);
}

void conn_drain(struct rpc_conn *c)
{
	if (c->closing || c->draining)
		return;
	c->draining = true;
	if (c->wire)
		c->wire->goaway(c, NULL);
	else
		c->refusing = true;
	conn_settle(c);
}

/* ---- time ---- */

static void arm(struct rpc_conn *c, uint64_t due)
{
	uint64_t now = loop_now_ms(c->server->o.loop);
	if (!timer_is_set(&c->timer) || c->timer.node.key > due)
		timer_set(&c->timer, due > now ? due - now : 0);
}

static uint64_t frame_due(const struct rpc_conn *c)
{
	return c->partial_ms + c->server->o.limits.frame_ms + c->partial_need / FRAME_RATE * 1000;
}

/* False: nothing is. */
static bool is_late(struct rpc_conn *c, const struct rpc_limits *l, uint64_t now, struct status *ret_st)
{
	enum rpc_limit limit = RPC_LIMIT_HANDSHAKE;
	if (!c->spoke && c->accepted_ms + l->handshake_ms <= now) {
		*ret_st = status_err(ST_DEADLINE_EXCEEDED, "no whole frame came within %llu ms",
			(unsigned long long)l->handshake_ms);
	} else if (c->partial_ms && frame_due(c) <= now) {
		limit = RPC_LIMIT_FRAME;
		*ret_st = status_err(ST_DEADLINE_EXCEEDED, "a frame took longer than %llu ms to come",
			(unsigned long long)(frame_due(c) - c->partial_ms));
	} else if (c->waits && c->taken_ms + l->stall_ms <= now) {
		limit = RPC_LIMIT_STALL;
		*ret_st = status_err(ST_DEADLINE_EXCEEDED, "the peer has read nothing for %llu ms",
			(unsigned long long)l->stall_ms);
	} else if (is_idle(c) && c->last_frame_ms + l->idle_ms <= now) {
		limit = RPC_LIMIT_IDLE;
		*ret_st = status_err(ST_UNAVAILABLE, "idle for %llu ms", (unsigned long long)l->idle_ms);
	} else {
		return false;
	}
	server_limit(c->server, limit);
	return true;
}

static void begin_rest(struct rpc_conn *c)
{
	c->resting = true;
	c->server->counters.resting++;
	transport_rest(c->transport);
	if (c->in.len == 0)
		buf_finish(&c->in);
	if (c->wire->rest)
		c->wire->rest(c);
}

static void end_rest(struct rpc_conn *c)
{
	if (!c->resting)
		return;
	c->resting = false;
	c->server->counters.resting--;
	arm(c, loop_now_ms(c->server->o.loop) + c->server->o.limits.rest_ms);
}

/* When it may be time to rest; what happens in between makes it later. */
static uint64_t rest_due(const struct rpc_conn *c, uint64_t now)
{
	uint64_t rest_ms = c->server->o.limits.rest_ms;
	return is_idle(c) && !c->waits ? c->last_frame_ms + rest_ms : now + rest_ms;
}

/* Nothing re-arms the timer per frame: when it fires it looks at what has happened since. */
static void on_timer(struct timer *t)
{
	struct rpc_conn *c = container_of(t, struct rpc_conn, timer);
	const struct rpc_limits *l = &c->server->o.limits;
	uint64_t now = loop_now_ms(c->server->o.loop);
	struct status st;
	uint64_t due = now + l->idle_ms;

	if (c->waits && transport_taken(c->transport) != c->taken) {
		c->taken = transport_taken(c->transport);
		c->taken_ms = now;
	}
	if (is_late(c, l, now, &st)) {
		if (c->waits)
			conn_close(c, &st);
		else
			conn_fail(c, &st);
		return;
	}
	if (!c->spoke)
		due = c->accepted_ms + l->handshake_ms;
	else if (is_idle(c))
		due = c->last_frame_ms + l->idle_ms;
	arm(c, due);
	if (c->spoke && !c->resting && rest_due(c, now) <= now)
		begin_rest(c);
	if (c->spoke && !c->resting)
		arm(c, rest_due(c, now));
	if (c->partial_ms)
		arm(c, frame_due(c));
	if (c->waits)
		arm(c, c->taken_ms + l->stall_ms);
}

void conn_spoke(struct rpc_conn *c)
{
	c->last_frame_ms = loop_now_ms(c->server->o.loop);
	c->partial_ms = 0;
	if (c->spoke)
		return;
	c->spoke = true;
	list_remove(&c->silent);
	arm(c, c->last_frame_ms + c->server->o.limits.rest_ms);
}

/* ---- bytes ---- */

/* conn_spoke takes the time back with each whole frame. */
static void watch_partial(struct rpc_conn *c)
{
	if (c->partial_need == 0 || c->held || c->paused) {
		c->partial_ms = 0;
	} else if (!c->partial_ms) {
		c->partial_ms = loop_now_ms(c->server->o.loop);
		arm(c, frame_due(c));
	}
}

static void hold_when_pressed(struct rpc_conn *c)
{
	if (c->held || !transport_is_pressed(c->transport))
		return;
	server_limit(c->server, RPC_LIMIT_PRESSED);
	c->held = true;
	transport_pause(c->transport);
}

/* Of those who send much at a time, when all together have sent too much. */
static bool has_room(struct rpc_conn *c)
{
	count_input(c);
	if (c->received <= KEEP_CAPACITY ||
		c->server->counters.received <= c->server->o.limits.max_buffered_total)
		return true;
	struct status st = status_err(ST_RESOURCE_EXHAUSTED,
		"too many long messages are being sent at a time; try again later");
	server_limit(c->server, RPC_LIMIT_BUFFERED_TOTAL);
	conn_fail(c, &st);
	return false;
}

static void feed(struct rpc_conn *c, const char *bytes, size_t len)
{
	size_t used = 0;
	if (c->in.len == 0) {
		used = c->wire->feed(c, bytes, len);
		if (!c->closing)
			buf_add(&c->in, bytes + used, len - used);
	} else {
		buf_add(&c->in, bytes, len);
		used = c->wire->feed(c, c->in.ptr, c->in.len);
		if (!c->closing)
			buf_drop(&c->in, used);
	}
	if (c->closing || !has_room(c))
		return;
	if (c->in.len == 0 && c->in.cap > KEEP_CAPACITY)
		buf_finish(&c->in);
	hold_when_pressed(c);
	watch_partial(c);
}

/* In words that the peer's protocol has, if it has any before the first request. */
static void refuse_clear(struct rpc_conn *c)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
				   "this address takes only TLS: connect with https:// or tls://\n";
	struct status why = status_err(
		ST_FAILED_PRECONDITION, "this address takes only TLS: connect with https:// or tls://");
	if (c->wire == &h1_wire) {
		buf_adds(transport_out(c->transport), http);
		transport_commit(c->transport);
		c->wire = NULL;
		conn_finish(c, &why);
		return;
	}
	c->wire->open(c);
	conn_fail(c, &why);
}

/* A client certificate stands for a token whose id is a URI of it. */
static void take_certificate(struct rpc_conn *c)
{
	static const char asked[] = AUTH_CERTIFICATE;
	size_t n = sizeof(asked) - 1;
	if (transport_peer_uri(c->transport, RPC_CERTIFICATE_URI, c->certificate + n, sizeof(c->certificate) - n))
		memcpy(c->certificate, asked, n);
}

/* False: nothing to do with it yet, or any more. */
static bool choose_wire(struct rpc_conn *c, struct str first)
{
	struct status why;
	c->wire = sniff(first, &why);
	if (c->wire && transport_needs_tls(c->transport)) {
		refuse_clear(c);
		return false;
	}
	if (c->wire) {
		take_certificate(c);
		c->wire->open(c);
	} else if (!status_is_ok(&why)) {
		conn_close(c, &why);
	} else {
		buf_add_str(&c->in, first);
	}
	return c->wire != NULL;
}

static void on_data(void *data, char *bytes, size_t len)
{
	struct rpc_conn *c = data;
	struct buf first = {0};
	end_rest(c);
	if (!c->wire && c->in.len > 0) { /* as many bytes as it takes to tell */
		first = c->in;
		c->in = (struct buf){0};
		buf_add(&first, bytes, len);
		bytes = first.ptr;
		len = first.len;
	}
	if (c->wire || choose_wire(c, str_make(bytes, len)))
		feed(c, bytes, len);
	buf_finish(&first);
}

static void wake_calls(struct rpc_conn *c)
{
	list_for_each (&c->calls, n)
		call_flushed(container_of(n, struct rpc_call, conn_node));
}

/* What came before it was held. */
static void feed_again(struct rpc_conn *c)
{
	if (c->held || c->paused || c->closing)
		return;
	if (c->wire && c->in.len > 0) {
		size_t used = c->wire->feed(c, c->in.ptr, c->in.len);
		if (c->closing)
			return;
		buf_drop(&c->in, used);
		count_input(c);
		hold_when_pressed(c);
		watch_partial(c);
	}
	if (!c->held && !c->paused)
		transport_resume(c->transport);
}

static void on_again(struct defer *d)
{
	feed_again(container_of(d, struct rpc_conn, again));
}

void conn_pause(struct rpc_conn *c)
{
	if (c->paused || c->closing)
		return;
	c->paused = true;
	transport_pause(c->transport);
}

void conn_resume(struct rpc_conn *c)
{
	if (c->closing || (!c->paused && c->in.len == 0))
		return;
	c->paused = false;
	defer_post(&c->again);
}

static void on_drain(void *data)
{
	struct rpc_conn *c = data;
	if (c->wire && c->wire->drained)
		c->wire->drained(c);
	if (!c->closing)
		wake_calls(c);
	if (!c->held || c->closing)
		return;
	c->held = false;
	feed_again(c);
}

static bool holds_too_much(struct rpc_conn *c)
{
	const struct rpc_limits *l = &c->server->o.limits;
	return c->buffered > l->max_buffered_hard ||
	       (c->buffered > l->max_buffered &&
		       c->server->counters.buffered > l->max_buffered_total);
}

static void on_flush(void *data)
{
	struct rpc_conn *c = data;
	count_traffic(c);
	if (holds_too_much(c)) {
		server_limit(c->server, c->buffered > c->server->o.limits.max_buffered_hard
						? RPC_LIMIT_BUFFERED
						: RPC_LIMIT_BUFFERED_TOTAL);
		struct status st = status_err(ST_RESOURCE_EXHAUSTED,
			"the peer does not read: %zu bytes wait to be sent", c->buffered);
		conn_close(c, &st);
		return;
	}
	bool waits = transport_pending(c->transport) > 0;
	if (waits && !c->waits) {
		c->taken = transport_taken(c->transport);
		c->taken_ms = loop_now_ms(c->server->o.loop);
		arm(c, c->taken_ms + c->server->o.limits.stall_ms);
	}
	c->waits = waits;
}

static void on_close(void *data, const struct status *why)
{
	struct rpc_conn *c = data;
	conn_close(c, why);
}

/* ---- the beginning ---- */

/* Root and our own user are administrators on the unix socket. */
static void trust_peer(struct rpc_conn *c)
{
	uid_t uid;
	if (c->server->o.no_peer_admin || !transport_peer_uid(c->transport, &uid) ||
		(uid != 0 && uid != geteuid()))
		return;
	c->trusted.role = RPC_ROLE_ADMIN;
	if (uid == 0)
		(void)snprintf(c->trusted.name, sizeof(c->trusted.name), "unix:root");
	else
		(void)snprintf(c->trusted.name, sizeof(c->trusted.name), "unix:uid=%u", uid);
}

void conn_create(struct rpc_server *s, struct transport *t)
{
	static const struct transport_events events = {on_data, on_drain, on_flush, on_close};
	struct rpc_conn *c = mem_new(struct rpc_conn);
	c->server = s;
	c->transport = t;
	c->accepted_ms = c->last_frame_ms = loop_now_ms(s->o.loop);
	list_init(&c->calls);
	list_init(&c->gone);
	list_push(&s->conns, &c->node);
	list_push(&s->silent, &c->silent);
	s->counters.connections++;
	c->address = address_enter(s, transport_peer(t));
	timer_init_named(&c->timer, s->o.loop, on_timer, "rpc_conn_timer");
	defer_init_named(&c->settle, s->o.loop, on_settle, "rpc_conn_settle");
	defer_init_named(&c->again, s->o.loop, on_again, "rpc_conn_again");
	trust_peer(c);
	transport_start(t, &events, c, s->o.limits.max_buffered);
	arm(c, c->accepted_ms + s->o.limits.handshake_ms);
}
