#include "rpc/auth.h"
#include <stdlib.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rpc/call_impl.h"
#include "rpc/rate.h"
#include "rpc/dispatch.h"
#include "rpc/server_impl.h"

#define TOKENS_MAX 1024

struct rpc_token {
	struct rpc_server *server;
	bool asked;          /* the answer is under way (and holds the server); `waiting` waits for it */
	struct list waiting; /* rpc_call.token_node */
	struct list streams; /* the same, of open streams that were let in by it … */
	struct timer again;  /* … for whom it is asked about again */
	struct rpc_caller caller;
	uint64_t fresh_until; /* loop time */
	int64_t expires_us;   /* wall clock; 0 = never */
	struct rate calls;    /* that it has opened */
	struct str text;      /* behind it */
};

static bool has_expired(const struct rpc_token *t)
{
	const struct clock *c = t->server->o.clock;
	return t->expires_us != 0 && c->wall_us(c) >= t->expires_us;
}

static bool is_fresh(const struct rpc_token *t)
{
	return loop_now_ms(t->server->o.loop) < t->fresh_until && !has_expired(t);
}

static void forget(struct rpc_token *t)
{
	timer_stop(&t->again);
	map_remove(&t->server->tokens, t->text);
	explicit_bzero((char *)t->text.ptr, t->text.len);
	free(t);
}

static bool is_used(const struct rpc_token *t)
{
	return t->asked || !list_empty(&t->streams);
}

/* Only accepted tokens stay, so only somebody who holds many can fill the table. */
static void make_room(struct rpc_server *s, bool fresh_too)
{
	void *value;
	for (size_t it = 0; map_next(&s->tokens, &it, NULL, &value);) {
		struct rpc_token *t = value;
		if (!is_used(t) && (fresh_too || !is_fresh(t)))
			forget(t);
	}
}

static void on_again(struct timer *timer);

/* What is in use has its place beyond TOKENS_MAX: every one has an open call, and those are limited. */
static struct rpc_token *remember(struct rpc_server *s, struct str text)
{
	if (map_len(&s->tokens) >= TOKENS_MAX)
		make_room(s, false);
	if (map_len(&s->tokens) >= TOKENS_MAX)
		make_room(s, true);
	struct rpc_token *t = mem_zalloc(sizeof(*t) + text.len);
	memcpy(t + 1, text.ptr, text.len);
	t->server = s;
	t->text = str_make((const char *)(t + 1), text.len);
	list_init(&t->waiting);
	list_init(&t->streams);
	timer_init_named(&t->again, s->o.loop, on_again, "rpc_token_again");
	map_put(&s->tokens, t->text, t);
	return t;
}

/* ---- streams outlive the answer that let them in: it is asked for again ---- */

static void ask_again_later(struct rpc_token *t)
{
	const struct clock *c = t->server->o.clock;
	uint64_t ms = t->server->o.limits.auth_cache_ms / 2 + 1;
	if (list_empty(&t->streams) || t->asked || t->server->destroyed)
		return;
	if (t->expires_us != 0) {
		int64_t left = (t->expires_us - c->wall_us(c)) / 1000 + 1;
		if (left < (int64_t)ms)
			ms = left > 0 ? (uint64_t)left : 0;
	}
	timer_set(&t->again, ms);
}

static void let_in(struct rpc_token *t, struct rpc_call *call)
{
	const struct rpc_method *m = call->method;
	call->caller = t->caller;
	if (!m->server_streaming && !m->client_streaming)
		return;
	list_push(&t->streams, &call->token_node);
	if (!timer_is_set(&t->again))
		ask_again_later(t);
}

/* Those whose handlers have not ended them yet stay in nobody's list. */
static void end_streams(struct rpc_token *t, const struct status *st)
{
	struct list streams, *node;
	list_init(&streams);
	list_move_all(&streams, &t->streams);
	while ((node = list_pop(&streams)))
		call_abort(container_of(node, struct rpc_call, token_node), st, NULL);
}

static void end_streams_without_role(struct rpc_token *t)
{
	struct list streams, *node;
	struct status st;
	list_init(&streams);
	list_move_all(&streams, &t->streams);
	while ((node = list_pop(&streams))) {
		struct rpc_call *call = container_of(node, struct rpc_call, token_node);
		list_push(&t->streams, node);
		call->caller = t->caller;
		if (dispatch_may(call, &st))
			continue;
		list_remove(node);
		call_abort(call, &st, NULL);
	}
}

static void ask(struct rpc_token *t)
{
	const size_t prefix = sizeof(AUTH_CERTIFICATE) - 1;
	struct rpc_server *s = t->server;
	t->asked = true;
	s->refs++;
	timer_stop(&t->again);
	if (str_starts(t->text, AUTH_CERTIFICATE))
		s->o.identify(s->o.context, t, str_make(t->text.ptr + prefix, t->text.len - prefix));
	else
		s->o.authenticate(s->o.context, t, t->text);
}

static void on_again(struct timer *timer)
{
	struct rpc_token *t = container_of(timer, struct rpc_token, again);
	if (list_empty(&t->streams))
		return;
	if (!has_expired(t)) {
		ask(t);
		return;
	}
	struct status st = status_err(ST_UNAUTHENTICATED, "the token has expired");
	end_streams(t, &st);
}

/* ---- a call brings one ---- */

static void wait_for(struct rpc_call *call, struct rpc_token *t)
{
	call->state = CALL_AUTH;
	list_push(&t->waiting, &call->token_node);
}

/* False: it has opened too many calls lately, and this one was refused. */
static bool may_call(struct rpc_token *t, struct rpc_call *call)
{
	struct rpc_server *s = t->server;
	const struct rpc_limits *l = &s->o.limits;
	struct rpc_details details = {0};
	if (!l->token_per_s || rate_take(&t->calls, l->token_per_s, l->token_at_once,
				       loop_now_ms(s->o.loop), &details.retry_ms))
		return true;
	struct status st = status_err(ST_RESOURCE_EXHAUSTED,
		"this token has opened too many calls: %u a second are allowed, and %u at once",
		l->token_per_s, l->token_at_once);
	server_limit(s, RPC_LIMIT_TOKEN);
	call_abort(call, &st, &details);
	return false;
}

enum auth_answer auth_ask(struct rpc_call *call, struct str bearer)
{
	struct rpc_server *s = call->server;
	struct rpc_token *t = map_get(&s->tokens, bearer);
	if (t && is_fresh(t)) {
		if (!may_call(t, call))
			return AUTH_REFUSED;
		let_in(t, call);
		return AUTH_KNOWN;
	}
	if (!s->o.authenticate) {
		struct status st = status_err(ST_UNAUTHENTICATED, "this server accepts no tokens");
		call_abort(call, &st, NULL);
		return AUTH_REFUSED;
	}
	if (!t)
		t = remember(s, bearer);
	wait_for(call, t);
	if (!t->asked)
		ask(t);
	return AUTH_ASKED;
}

/* t NULL: refused. */
static void resolve(struct rpc_call *call, const struct status *st, struct rpc_token *t)
{
	call_enter(call);
	if (call->gone) { /* the client did not wait */
		call_end(call);
	} else if (!t) {
		call->state = CALL_READY; /* nobody has it now */
		call_abort(call, st, NULL);
	} else {
		call->state = CALL_READY;
		if (may_call(t, call)) {
			let_in(t, call);
			dispatch_authorised(call);
		}
	}
	call_leave(call);
}

/* Says nothing about the token: who was let in stays, and it is asked again. */
static bool is_no_answer(const struct status *st)
{
	return st->code != ST_UNAUTHENTICATED && st->code != ST_PERMISSION_DENIED;
}

static void accept(struct rpc_token *t, const struct rpc_caller *caller, int64_t expires_us)
{
	const struct rpc_server *s = t->server;
	t->caller = *caller;
	t->expires_us = expires_us;
	t->fresh_until = loop_now_ms(s->o.loop) + s->o.limits.auth_cache_ms;
	end_streams_without_role(t);
}

void rpc_token_answer(struct rpc_token *t, const struct status *st, const struct rpc_caller *caller,
	int64_t expires_us)
{
	struct rpc_server *s = t->server;
	bool ok = status_is_ok(st);
	struct list waiting, *node;
	if (!t->asked)
		mem_abort("rpc_token_answer: nobody asks");
	list_init(&waiting);
	list_move_all(&waiting, &t->waiting);
	if (ok)
		accept(t, caller, expires_us);
	else if (!is_no_answer(st))
		end_streams(t, st);
	while ((node = list_pop(&waiting)))
		resolve(container_of(node, struct rpc_call, token_node), st, ok ? t : NULL);
	t->asked = false;
	if (!ok && !is_used(t))
		forget(t);
	else
		ask_again_later(t);
	server_unref(s);
}

void auth_stop(struct rpc_server *s)
{
	void *value;
	for (size_t it = 0; map_next(&s->tokens, &it, NULL, &value);)
		timer_stop(&((struct rpc_token *)value)->again);
}

void auth_finish(struct rpc_server *s)
{
	make_room(s, true);
	map_finish(&s->tokens);
}
