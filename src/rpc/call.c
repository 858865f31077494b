#include "rpc/call.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/transport.h"
#include "rpc/call_impl.h"
#include "rpc/codec.h"
#include "rpc/conn.h"
#include "rpc/server_impl.h"
#include "rpc/validate.h"

/* Calls and their arenas are used again, so that a small one costs no malloc; not under
 * AddressSanitizer, which would not see what touches an ended one. */
#if defined(__SANITIZE_ADDRESS__)
#define FREE_CALLS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FREE_CALLS 0
#endif
#endif
#ifndef FREE_CALLS
#define FREE_CALLS 512
#endif

#define LONG_MESSAGE ((size_t)64 * 1024) /* shorter ones always find room */

static void on_deadline(struct timer *t);
static void on_events(struct defer *d);

struct rpc_call *call_create(struct rpc_conn *c, const struct rpc_protocol *p,
	const struct rpc_codec *codec, uint64_t id)
{
	struct rpc_server *s = c->server;
	struct list *node = list_pop(&s->free_calls);
	struct rpc_call *call =
		node ? container_of(node, struct rpc_call, conn_node) : mem_new(struct rpc_call);
	struct arena *arena = node ? call->arena : arena_create();
	s->n_free_calls -= node != NULL;
	*call = (struct rpc_call){.server = s, .conn = c, .protocol = p, .codec = codec, .id = id};
	call->arena = arena;
	call->peer = transport_peer(c->transport);
	list_init(&call->id_node);
	list_init(&call->token_node);
	list_init(&call->inbox);
	timer_init_named(&call->deadline, s->o.loop, on_deadline, "rpc_call_deadline");
	defer_init_named(&call->events, s->o.loop, on_events, "rpc_call_events");
	list_push(&c->calls, &call->conn_node);
	c->n_calls++;
	c->n_unfinished++;
	s->refs++;
	s->counters.calls++;
	s->counters.open_calls++;
	return call;
}

static void message_free(struct rpc_call *call, struct call_message *m)
{
	call->server->counters.received -= m->len;
	free(m);
}

static void drop_inbox(struct rpc_call *call)
{
	struct list *node;
	while ((node = list_pop(&call->inbox)))
		message_free(call, container_of(node, struct call_message, node));
}

void call_release(struct rpc_call *call)
{
	struct rpc_server *s = call->server;
	timer_stop(&call->deadline);
	defer_cancel(&call->events);
	list_remove(&call->conn_node);
	list_remove(&call->id_node);
	drop_inbox(call);
	buf_finish(&call->queue);
	arena_destroy(call->message_arena);
	s->counters.open_calls--;
	if (s->n_free_calls + 1 <= FREE_CALLS) {
		arena_reset(call->arena);
		list_push_front(&s->free_calls, &call->conn_node);
		s->n_free_calls++;
	} else {
		arena_destroy(call->arena);
		free(call);
	}
	server_unref(s);
}

void call_enter(struct rpc_call *call)
{
	call->entered++;
	call->server->entered++;
}

void call_leave(struct rpc_call *call)
{
	call->server->entered--;
	if (--call->entered == 0 && call->state == CALL_ENDED)
		call_release(call);
}

void call_end(struct rpc_call *call)
{
	call->state = CALL_ENDED;
	list_remove(&call->conn_node);
	list_remove(&call->id_node);
	list_remove(&call->token_node);
	if (call->conn)
		call->conn->n_unfinished--;
	call->conn = NULL;
	if (call->entered ==
		0) { /* whoever ended it may still look at what it got from the arena */
		list_push(&call->server->dead_calls, &call->conn_node);
		defer_post(&call->server->reap);
	}
}

/* ---- the client's side is over ---- */

static void log_internal(const struct rpc_call *call, const struct status *st)
{
	bool ours = st->code == ST_INTERNAL || st->code == ST_UNKNOWN || st->code == ST_DATA_LOSS;
	if (ours && !call->quiet)
		log_error("call failed", "method", call->method ? call->method->path : "?", "peer",
			call->peer, "caller", call->caller.name, "status", st_code_name(st->code),
			"error", st->message, "origin", st->origin, NULL);
}

/* Sends the one answer. */
static void answer(struct rpc_call *call, const ProtobufCMessage *reply, const struct status *st,
	const struct rpc_details *details)
{
	struct rpc_conn *c = call->conn;
	assert(!call->answered);
	call->answered = true;
	call->gone = true;
	timer_stop(&call->deadline);
	if (st->code != ST_OK) {
		call->server->counters.failed++;
		log_internal(call, st);
	}
	call->protocol->finish(call, reply, st, details);
	list_remove(&call->id_node);
	list_remove(&call->conn_node);
	list_push(&c->gone, &call->conn_node);
	c->n_calls--;
	conn_call_ended(c);
}

/* Whoever has the call hears of it, or nobody has it. */
static void client_is_gone(struct rpc_call *call)
{
	timer_stop(&call->deadline);
	switch (call->state) {
	case CALL_NEW:
	case CALL_READY:
	case CALL_FLUSHING:
		call_end(call);
		return;
	case CALL_AUTH:
	case CALL_RUNNING:
		drop_inbox(call);
		buf_finish(&call->queue);
		defer_post(&call->events);
		return;
	case CALL_ENDED:
		return;
	}
}

void call_abort(struct rpc_call *call, const struct status *st, const struct rpc_details *details)
{
	if (call->gone)
		return;
	answer(call, NULL, st, details);
	client_is_gone(call);
}

void call_lost(struct rpc_call *call)
{
	list_remove(&call->conn_node);
	list_remove(&call->id_node);
	call->peer = arena_strdup(call->arena, call->peer);
	call->conn->n_unfinished--;
	call->conn = NULL;
	if (!call->gone)
		call->server->counters.failed++;
	call->gone = true;
	client_is_gone(call);
}

static void on_deadline(struct timer *t)
{
	struct rpc_call *call = container_of(t, struct rpc_call, deadline);
	struct status st =
		status_err(ST_DEADLINE_EXCEEDED, "%s took longer than its caller had allowed",
			call->method ? call->method->path : "it");
	call_abort(call, &st, NULL);
}

void call_arm(struct rpc_call *call)
{
	if (!call->deadline_at || call->gone || call->state == CALL_ENDED ||
		timer_is_set(&call->deadline))
		return;
	uint64_t now = loop_now_ms(call->server->o.loop);
	timer_set(&call->deadline, call->deadline_at > now ? call->deadline_at - now : 0);
}

/* ---- what the client sends ---- */

static void refuse_fields(struct rpc_call *call, const struct rpc_violation *v, size_t n)
{
	struct rpc_details details = {.violations = v, .n_violations = n};
	struct status st = status_err(ST_INVALID_ARGUMENT, "%s: %s%s", v[0].field, v[0].description,
		n > 1 ? " (and more: see the details)" : "");
	call_abort(call, &st, &details);
}

/* NULL: it was malformed or broke the rules, and the call is over. */
static const ProtobufCMessage *unpack(struct rpc_call *call, struct arena *a, struct str bytes)
{
	const struct rpc_message *input = call->method->input;
	ProtobufCMessage *message;
	struct rpc_violation *violations;
	struct status st = call->protocol->unpack
				   ? call->protocol->unpack(call, a, bytes, &message)
				   : call->codec->unpack(a, input, bytes, &message);
	if (!status_is_ok(&st)) {
		call_abort(call, &st, NULL);
		return NULL;
	}
	size_t n = validate(a, input, message, &violations);
	if (n == 0)
		return message;
	refuse_fields(call, violations, n);
	return NULL;
}

static void run(struct rpc_call *call, struct str payload)
{
	const ProtobufCMessage *request = unpack(call, call->arena, payload);
	if (!request)
		return;
	call->state = CALL_RUNNING;
	call->method->handler(call, request);
}

static void deliver(struct rpc_call *call, struct str payload)
{
	if (!call->message_arena)
		call->message_arena = arena_create();
	const ProtobufCMessage *message = unpack(call, call->message_arena, payload);
	if (message) {
		call->on_message(call, message);
		if (!call->gone && call->state == CALL_RUNNING)
			call->protocol->consumed(call, payload.len);
	}
	arena_reset(call->message_arena);
}

/* Until its caller is known, or its handler listens. */
static void keep(struct rpc_call *call, struct str payload)
{
	struct rpc_server *s = call->server;
	if (payload.len > LONG_MESSAGE &&
		s->counters.received + payload.len > s->o.limits.max_buffered_total) {
		struct status st = status_err(ST_RESOURCE_EXHAUSTED,
			"too many long messages are waiting; try again later");
		server_limit(s, RPC_LIMIT_BUFFERED_TOTAL);
		call_abort(call, &st, NULL);
		return;
	}
	s->counters.received += payload.len;
	struct call_message *m = mem_alloc(sizeof(*m) + payload.len);
	m->len = payload.len;
	m->compressed = call->compressed;
	if (payload.len)
		memcpy(m->bytes, payload.ptr, payload.len);
	list_push(&call->inbox, &m->node);
}

static bool listens(const struct rpc_call *call)
{
	return call->state == CALL_RUNNING && !call->gone && call->on_message && !call->paused;
}

/* Hands over what waits, then the end. */
static void pump(struct rpc_call *call)
{
	while (listens(call) && !list_empty(&call->inbox)) {
		struct list *node = list_pop(&call->inbox);
		struct call_message *m = container_of(node, struct call_message, node);
		call->compressed = m->compressed;
		deliver(call, str_make(m->bytes, m->len));
		message_free(call, m);
	}
	if (listens(call) && call->ended && !call->end_told) {
		call->end_told = true;
		call->on_message(call, NULL);
	}
}

static bool breaks_order(struct rpc_call *call, bool has_payload)
{
	struct status st;
	if (call->ended)
		st = status_err(ST_INVALID_ARGUMENT,
			"data after the end: the client had already said that it sends no more");
	else if (has_payload && call->n_received++ > 0 && !call->method->client_streaming)
		st = status_err(ST_INVALID_ARGUMENT, "%s takes one message; a second one came",
			call->method->path);
	else
		return false;
	call_abort(call, &st, NULL);
	return true;
}

void call_receive(struct rpc_call *call, bool has_payload, struct str payload, bool end)
{
	if (call->gone || (!has_payload && !end) || breaks_order(call, has_payload))
		return;
	if (payload.len > call->server->peak_message)
		call->server->peak_message = payload.len;
	call_enter(call);
	call->ended = end;
	if (call->state == CALL_READY) {
		run(call, payload);
	} else if (call->state == CALL_RUNNING && list_empty(&call->inbox) && listens(call)) {
		if (has_payload)
			deliver(call, payload);
		pump(call);
	} else if (has_payload && call->state != CALL_FLUSHING && call->state != CALL_ENDED) {
		keep(call, payload);
	}
	call_leave(call);
}

void call_allowed(struct rpc_call *call)
{
	call_enter(call);
	call->state = CALL_READY;
	if (call->method->client_streaming) {
		call->state = CALL_RUNNING;
		call->method->handler(call, NULL);
		pump(call);
	} else if (!list_empty(&call->inbox)) {
		struct list *node = list_pop(&call->inbox);
		struct call_message *m = container_of(node, struct call_message, node);
		call->compressed = m->compressed;
		run(call, str_make(m->bytes, m->len));
		message_free(call, m);
	} else if (call->ended) {
		run(call, STR(""));
	}
	call_arm(call);
	call_leave(call);
}

/* ---- what the handler hears ---- */

static void on_events(struct defer *d)
{
	struct rpc_call *call = container_of(d, struct rpc_call, events);
	call_enter(call);
	if (call->state == CALL_RUNNING && call->gone && call->on_cancel && !call->cancel_told) {
		call->cancel_told = true;
		call->on_cancel(call);
	}
	pump(call);
	if (call->state == CALL_RUNNING && !call->gone && call->full && call->on_writable &&
		call->protocol->is_writable(call)) {
		call->full = false;
		call->on_writable(call);
	}
	call_leave(call);
}

void call_flushed(struct rpc_call *call)
{
	if (call->gone)
		return;
	if (call->state == CALL_FLUSHING && !call->protocol->is_waiting(call)) {
		answer(call, NULL, call->final.st, &call->final.details);
		call_end(call);
	} else if (call->full && call->on_writable) {
		defer_post(&call->events);
	}
}

/* ---- the handler's end ---- */

/* Failures after messages that wait: kept until those are out. */
static void finish_later(
	struct rpc_call *call, const struct status *st, const struct rpc_details *details)
{
	struct buf b = {0};
	call->state = CALL_FLUSHING;
	call->final.st = arena_memdup(call->arena, st, sizeof(*st));
	if (details) { /* a deep copy, the short way */
		struct status ignored;
		rpc_status_pack(&b, st, details);
		(void)rpc_status_unpack(call->arena, buf_str(&b), &ignored, &call->final.details);
		buf_finish(&b);
	}
}

static void end_by_handler(struct rpc_call *call, const ProtobufCMessage *reply,
	const struct status *st, const struct rpc_details *details)
{
	if (call->state != CALL_RUNNING)
		mem_abort("a handler ended a call that it does not have");
	drop_inbox(call);
	if (!call->gone && call->protocol->is_waiting(call)) {
		finish_later(call, st, details);
		return;
	}
	if (!call->gone)
		answer(call, reply, st, details);
	call_end(call);
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
	static const struct status ok = {.code = ST_OK, .origin = ""};
	assert(call->gone || !call->method->server_streaming);
	end_by_handler(call, message, &ok, NULL);
}

void rpc_call_finish(struct rpc_call *call, const struct status *st)
{
	end_by_handler(call, NULL, st, NULL);
}

void rpc_call_fail(
	struct rpc_call *call, const struct status *st, const struct rpc_details *details)
{
	end_by_handler(call, NULL, st, details);
}

void rpc_call_fail_fields(
	struct rpc_call *call, const struct status *st, const struct rpc_violation *v, size_t n)
{
	struct rpc_details details = {.violations = v, .n_violations = n};
	rpc_call_fail(call, st, &details);
}

void rpc_call_fail_preconditions(
	struct rpc_call *call, const struct status *st, const struct rpc_precondition *v, size_t n)
{
	struct rpc_details details = {.preconditions = v, .n_preconditions = n};
	rpc_call_fail(call, st, &details);
}

void rpc_call_fail_retry(struct rpc_call *call, const struct status *st, uint64_t retry_ms)
{
	struct rpc_details details = {.retry_ms = retry_ms};
	rpc_call_fail(call, st, &details);
}
