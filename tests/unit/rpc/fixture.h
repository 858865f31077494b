/* A server with a table of its own, and a raw peer at the other end of a socket pair that
 * sends any bytes and takes frames apart. Everything runs on one loop; waiting is turning it,
 * under a guard that fails the test instead of hanging. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "net/transport.h"
#include "rpc/call.h"
#include "rpc/frame.h"
#include "rpc/server.h"
#include "skep/v1/common.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/stacks.pb-c.h"

#define GUARD_MS 20000

struct world {
	struct loop *loop;
	struct rpc_server *server;
	struct transport_env *env;
	struct timer guard;
	unsigned handled, cancelled, writable, messages, ends;
	unsigned hanging;        /* calls that Hang holds */
	unsigned asked;          /* questions to authenticate */
	struct rpc_token *asking; /* the last one, when answers are by hand */
	bool answer_by_hand;
	bool stubborn; /* Hang does not end when it is cancelled, nor Sink when the client has ended
			*/
	bool greedy;   /* Source ignores that it is full */
	struct rpc_caller caller; /* of the last call handled */
	struct rpc_call *held;
	unsigned paused_after; /* Sink pauses after so many messages; 0 = never */
};

static inline struct world *world_of(struct rpc_call *call)
{
	return rpc_call_context(call);
}

static inline void handle_echo(struct rpc_call *call, const ProtobufCMessage *request)
{
	world_of(call)->handled++;
	world_of(call)->caller = *rpc_call_caller(call);
	rpc_call_reply(call, request);
}

static inline void handle_deploy(struct rpc_call *call, const ProtobufCMessage *request)
{
	Skep__V1__Event reply = SKEP__V1__EVENT__INIT;
	reply.message = ((const Skep__V1__DeployStackRequest *)request)->name;
	world_of(call)->handled++;
	rpc_call_reply(call, &reply.base);
}

static inline void handle_fail(struct rpc_call *call, const ProtobufCMessage *request)
{
	const struct rpc_violation v[] = {{"name", "is taken"}};
	const struct rpc_precondition p[] = {{"STACK_BUSY", "stack/web", "a job runs"}};
	const struct rpc_quota q[] = {{"project/a", "no room"}};
	struct rpc_details d = {.violations = v, .n_violations = 1, .preconditions = p, .n_preconditions = 1,
		.quotas = q, .n_quotas = 1, .retry_ms = 1500};
	struct status st = status_err(
		ST_FAILED_PRECONDITION, "not %s", ((const Skep__V1__Event *)request)->message);
	rpc_call_fail(call, &st, &d);
}

static inline void hang_cancelled(struct rpc_call *call)
{
	struct status st = status_err(ST_CANCELLED, "gone");
	assert_true(rpc_call_is_cancelled(call));
	world_of(call)->cancelled++;
	world_of(call)->hanging--;
	if (world_of(call)->stubborn)
		return;
	world_of(call)->held = NULL;
	rpc_call_finish(call, &st);
}

static inline void handle_hang(struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	world_of(call)->hanging++;
	world_of(call)->held = call;
	rpc_call_on_cancel(call, hang_cancelled);
}

struct source {
	int64_t next, count;
	char *text;
};

static inline void source_more(struct rpc_call *call)
{
	struct source *s = rpc_call_data(call);
	struct world *w = world_of(call);
	struct status ok = status_ok();
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	e.message = s->text;
	w->writable++;
	while (s->next < s->count) {
		e.sequence = ++s->next;
		if (!rpc_call_send(call, &e.base) && !w->greedy && s->next < s->count)
			return;
	}
	rpc_call_finish(call, &ok);
}

static inline void source_cancelled(struct rpc_call *call)
{
	struct status st = status_err(ST_CANCELLED, "gone");
	struct world *w = world_of(call);
	w->cancelled++;
	if (w->held == call)
		w->held = NULL;
	rpc_call_finish(call, &st);
}

/* Sends `sequence` messages of `percent` bytes each. */
static inline void handle_source(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__Event *e = (const Skep__V1__Event *)request;
	struct source *s = arena_new(rpc_call_arena(call), struct source);
	s->count = e->sequence;
	s->text = arena_zalloc(rpc_call_arena(call), (size_t)e->percent + 1);
	memset(s->text, 'x', (size_t)e->percent);
	rpc_call_set_data(call, s);
	rpc_call_on_cancel(call, source_cancelled);
	rpc_call_on_writable(call, source_more);
	source_more(call);
}

static inline void sink_message(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct world *w = world_of(call);
	Skep__V1__Event *sum = rpc_call_data(call);
	if (!message) {
		w->ends++;
		if (w->stubborn)
			return;
		w->held = NULL;
		rpc_call_reply(call, &sum->base);
		return;
	}
	w->messages++;
	sum->sequence += ((const Skep__V1__Event *)message)->sequence;
	if (w->messages == w->paused_after)
		rpc_call_pause(call);
}

static inline void handle_sink(struct rpc_call *call, const ProtobufCMessage *request)
{
	Skep__V1__Event *sum = arena_new(rpc_call_arena(call), Skep__V1__Event);
	assert_null(request);
	skep__v1__event__init(sum);
	rpc_call_set_data(call, sum);
	world_of(call)->held = call;
	rpc_call_on_message(call, sink_message);
	rpc_call_on_cancel(call, source_cancelled);
}

static inline void bidi_message(struct rpc_call *call, const ProtobufCMessage *message)
{
	struct status ok = status_ok();
	if (message)
		(void)rpc_call_send(call, message);
	else
		rpc_call_finish(call, &ok);
}

static inline void handle_bidi(struct rpc_call *call, const ProtobufCMessage *request)
{
	assert_null(request);
	rpc_call_on_message(call, bidi_message);
	rpc_call_on_cancel(call, source_cancelled);
}

#define EVENT &skep_v1_msg_event
static const struct rpc_method world_methods[] = {
	{"/t.T/Anon", EVENT, EVENT, .anonymous = true, .no_side_effects = true, .handler = handle_echo},
	{"/t.T/Bidi", EVENT, EVENT, .role = RPC_ROLE_VIEWER, .client_streaming = true,
		.server_streaming = true, .handler = handle_bidi},
	{"/t.T/Deploy", &skep_v1_msg_deploy_stack_request, EVENT, .role = RPC_ROLE_DEPLOYER,
		.handler = handle_deploy},
	{"/t.T/Echo", EVENT, EVENT, .role = RPC_ROLE_VIEWER, .handler = handle_echo},
	{"/t.T/Fail", EVENT, EVENT, .role = RPC_ROLE_VIEWER, .handler = handle_fail},
	{"/t.T/Hang", EVENT, EVENT, .role = RPC_ROLE_VIEWER, .handler = handle_hang},
	{"/t.T/Sink", EVENT, EVENT, .role = RPC_ROLE_VIEWER, .client_streaming = true,
		.handler = handle_sink},
	{"/t.T/Source", EVENT, EVENT, .role = RPC_ROLE_VIEWER, .server_streaming = true,
		.handler = handle_source},
};

static inline void world_authenticate(void *context, struct rpc_token *token, struct str bearer)
{
	struct world *w = context;
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "token:viewer"};
	struct status st = status_ok();
	w->asked++;
	w->asking = token;
	if (w->answer_by_hand)
		return;
	if (!str_is(bearer, "viewer"))
		st = status_err(ST_UNAUTHENTICATED, "the token is unknown");
	rpc_token_answer(token, &st, &viewer, 0);
}

static inline void guard_fired(struct timer *t)
{
	(void)t;
	fail_msg("nothing happened for %d ms", GUARD_MS);
}

/* A server of these options; the loop, the context and authenticate are the world's. */
static inline struct world *world_create_with(struct rpc_server_options o)
{
	struct world *w = mem_new(struct world);
	o.context = w;
	o.authenticate = world_authenticate;
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	w->loop = o.loop = loop_create();
	loop_set_watchdog(w->loop, 0);
	w->server = rpc_server_create(&o);
	w->env = transport_env_create(w->loop);
	timer_init(&w->guard, w->loop, guard_fired);
	timer_set(&w->guard, GUARD_MS);
	return w;
}

static inline struct world *world_create(const struct rpc_limits *limits, bool no_peer_admin)
{
	struct rpc_server_options o = {
		.methods = world_methods,
		.n_methods = sizeof(world_methods) / sizeof(world_methods[0]),
		.no_peer_admin = no_peer_admin,
	};
	if (limits)
		o.limits = *limits;
	return world_create_with(o);
}

static inline void world_destroy(struct world *w)
{
	struct status st = status_err(ST_CANCELLED, "gone");
	rpc_server_destroy(w->server);
	if (w->held && w->hanging == 0)
		rpc_call_finish(w->held, &st);
	while (w->hanging) /* on_cancel ends them */
		loop_turn(w->loop);
	transport_env_destroy(w->env);
	timer_stop(&w->guard);
	loop_destroy(w->loop);
	free(w);
}

#define WAIT(w, condition)                                                                         \
	while (!(condition))                                                                       \
	loop_turn((w)->loop)

/* So often somebody has run into it. */
static inline void assert_limit(const struct world *w, enum rpc_limit limit, uint64_t n)
{
	assert_int_equal(rpc_server_counters(w->server)->limits[limit], n);
}

/* ---- the raw peer ---- */

struct peer {
	struct world *w;
	struct transport *t;
	struct buf in, frame;
	bool closed;
};

static inline void peer_data(void *data, char *bytes, size_t len)
{
	buf_add(&((struct peer *)data)->in, bytes, len);
}

static inline void peer_drain(void *data)
{
	(void)data;
}

static inline void peer_closed(void *data, const struct status *why)
{
	(void)why;
	((struct peer *)data)->closed = true;
}

static inline void peer_connect(struct peer *p, struct world *w)
{
	static const struct transport_events events = {peer_data, peer_drain, NULL, peer_closed};
	int fds[2];
	*p = (struct peer){.w = w};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	struct status st = rpc_server_adopt(w->server, fds[0]);
	assert_int_equal(st.code, ST_OK);
	st = transport_adopt(w->env, fds[1], &p->t);
	assert_int_equal(st.code, ST_OK);
	transport_start(p->t, &events, p, 0);
}

static inline void peer_close(struct peer *p)
{
	transport_destroy(p->t);
	buf_finish(&p->in);
	buf_finish(&p->frame);
}

static inline void peer_send(struct peer *p, const void *bytes, size_t len)
{
	struct str s = {bytes, len};
	transport_write(p->t, &s, 1);
}

static inline void peer_send_buf(struct peer *p, struct buf *b)
{
	peer_send(p, b->ptr, b->len);
	buf_finish(b);
}

static inline bool peer_has_frame(const struct peer *p)
{
	size_t len;
	if (p->in.len < FRAME_HEADER)
		return false;
	assert_true(frame_header(p->in.ptr, &len));
	return p->in.len >= FRAME_HEADER + len;
}

/* The next frame; its views live until the next call. */
static inline struct frame peer_frame(struct peer *p)
{
	struct frame f;
	size_t len;
	WAIT(p->w, peer_has_frame(p) || p->closed);
	assert_true(peer_has_frame(p));
	(void)frame_header(p->in.ptr, &len);
	p->frame.len = 0;
	buf_add(&p->frame, p->in.ptr + FRAME_HEADER, len);
	buf_drop(&p->in, FRAME_HEADER + len);
	assert_null(frame_parse(buf_str(&p->frame), &f));
	return f;
}

static inline struct status status_of(struct str bytes)
{
	struct arena *a = arena_create();
	struct rpc_details d;
	struct status st;
	assert_true(rpc_status_unpack(a, bytes, &st, &d));
	arena_destroy(a);
	return st;
}

/* The next frame must be a finish of this call with this code, and words that contain `words`. */
static inline void peer_expect_finish(
	struct peer *p, uint64_t call, enum st_code code, const char *words)
{
	struct frame f = peer_frame(p);
	assert_int_equal(f.kind, FRAME_FINISH);
	assert_int_equal(f.call, call);
	struct status st = status_of(f.status);
	if (st.code != code || (words && !strstr(st.message, words)))
		fail_msg("call %llu ended with %s: %s", (unsigned long long)call,
			st_code_name(st.code), st.message);
}

/* … or a goaway, and then the end of the connection. */
static inline void peer_expect_goaway(struct peer *p, enum st_code code, const char *words)
{
	struct frame f = peer_frame(p);
	assert_int_equal(f.kind, FRAME_GOAWAY);
	struct status st = status_of(f.status);
	if (st.code != code || (words && !strstr(st.message, words)))
		fail_msg("goaway with %s: %s", st_code_name(st.code), st.message);
	WAIT(p->w, p->closed);
}

static inline void put_open(struct buf *b, uint64_t call, const char *method,
	const ProtobufCMessage *m, bool end, const char *authorization)
{
	struct str metadata[] = {STR("authorization"), str_of(authorization)};
	struct frame_open o = {.method = str_of(method),
		.end = end,
		.has_payload = m != NULL,
		.metadata = metadata,
		.n_metadata = authorization ? 1 : 0};
	if (m)
		o.payload_len = protobuf_c_message_get_packed_size(m);
	uint8_t *p = frame_open_begin(b, call, &o);
	if (m)
		protobuf_c_message_pack(m, p);
}

static inline void put_event(struct buf *b, uint64_t call, int64_t sequence)
{
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	e.sequence = sequence;
	size_t len = skep__v1__event__get_packed_size(&e);
	skep__v1__event__pack(&e, frame_data_begin(b, call, len));
}

/* Opens a unary call whose message is an event with this number. */
static inline void peer_call(struct peer *p, uint64_t call, const char *method, int64_t sequence)
{
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	e.sequence = sequence;
	e.message = (char *)"x";
	put_open(&b, call, method, &e.base, true, NULL);
	peer_send_buf(p, &b);
}

static inline int64_t event_sequence(struct str bytes)
{
	Skep__V1__Event *e = skep__v1__event__unpack(NULL, bytes.len, (const uint8_t *)bytes.ptr);
	assert_non_null(e);
	int64_t sequence = e->sequence;
	skep__v1__event__free_unpacked(e, NULL);
	return sequence;
}

static inline void peer_expect_reply(struct peer *p, uint64_t call, int64_t sequence)
{
	struct frame f = peer_frame(p);
	if (f.has_status)
		fail_msg("call %llu failed: %s", (unsigned long long)call,
			status_of(f.status).message);
	assert_int_equal(f.kind, FRAME_FINISH);
	assert_int_equal(f.call, call);
	assert_true(f.has_payload);
	assert_int_equal(event_sequence(f.payload), sequence);
}
