#include "rpc/auth.h"
#include <stdlib.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rpc/call_impl.h"
#include "rpc/dispatch.h"
#include "rpc/server_impl.h"

#define TOKENS_MAX 1024

struct auth_token {
	bool asked;          /* the answer is under way; `waiting` waits for it */
	struct list waiting; /* rpc_call.wait_node; the one that carries the question among them */
	struct rpc_caller caller;
	uint64_t fresh_until; /* loop time */
	int64_t expires_us;   /* wall clock; 0 = never */
	struct str text;      /* behind it */
};

static bool is_fresh(const struct rpc_server *s, const struct auth_token *t)
{
	return loop_now_ms(s->o.loop) < t->fresh_until &&
	       (t->expires_us == 0 || s->o.clock->wall_us(s->o.clock) < t->expires_us);
}

static void forget(struct rpc_server *s, struct auth_token *t)
{
	map_remove(&s->tokens, t->text);
	explicit_bzero((char *)t->text.ptr, t->text.len);
	free(t);
}

/* Only accepted tokens stay, so only somebody who holds many can fill the table. */
static void make_room(struct rpc_server *s, bool fresh_too)
{
	void *value;
	for (size_t it = 0; map_next(&s->tokens, &it, NULL, &value);) {
		struct auth_token *t = value;
		if (!t->asked && (fresh_too || !is_fresh(s, t)))
			forget(s, t);
	}
}

static struct auth_token *remember(struct rpc_server *s, struct str text)
{
	if (map_len(&s->tokens) >= TOKENS_MAX)
		make_room(s, false);
	if (map_len(&s->tokens) >= TOKENS_MAX)
		make_room(s, true);
	if (map_len(&s->tokens) >= TOKENS_MAX)
		return NULL;
	struct auth_token *t = mem_zalloc(sizeof(*t) + text.len);
	memcpy(t + 1, text.ptr, text.len);
	t->text = str_make((const char *)(t + 1), text.len);
	list_init(&t->waiting);
	map_put(&s->tokens, t->text, t);
	return t;
}

static void wait_for(struct rpc_call *call, struct auth_token *t)
{
	call->state = CALL_AUTH;
	list_push(&t->waiting, &call->wait_node);
}

static enum auth_answer refuse(struct rpc_call *call, struct status st)
{
	call_abort(call, &st, NULL);
	return AUTH_REFUSED;
}

enum auth_answer auth_ask(struct rpc_call *call, struct str bearer)
{
	struct rpc_server *s = call->server;
	struct auth_token *t = map_get(&s->tokens, bearer);
	if (t && !t->asked && is_fresh(s, t)) {
		call->caller = t->caller;
		return AUTH_KNOWN;
	}
	if (t && t->asked) {
		wait_for(call, t);
		return AUTH_ASKED;
	}
	if (!s->o.authenticate)
		return refuse(call, status_err(ST_UNAUTHENTICATED, "this server accepts no tokens"));
	if (!t)
		t = remember(s, bearer);
	if (!t)
		return refuse(call, status_err(ST_RESOURCE_EXHAUSTED,
					    "too many tokens are being checked; try again"));
	t->asked = true;
	call->asked = t;
	wait_for(call, t);
	s->o.authenticate(s->o.context, call, bearer);
	return AUTH_ASKED;
}

static void resolve(struct rpc_call *call, const struct status *st, const struct rpc_caller *caller)
{
	call_enter(call);
	if (call->gone) { /* the client did not wait */
		call_end(call);
	} else if (!status_is_ok(st)) {
		call->state = CALL_READY; /* nobody has it now */
		call_abort(call, st, NULL);
	} else {
		call->caller = *caller;
		dispatch_authorised(call);
	}
	call_leave(call);
}

void rpc_call_authenticated(struct rpc_call *call, const struct status *st,
	const struct rpc_caller *caller, int64_t expires_us)
{
	struct rpc_server *s = call->server;
	struct auth_token *t = call->asked;
	struct list waiting, *node;
	if (call->state != CALL_AUTH || !t)
		mem_abort("rpc_call_authenticated: the call does not ask");
	call->asked = NULL;
	list_init(&waiting);
	list_move_all(&waiting, &t->waiting);
	s->refs++; /* the calls may be the last to hold it */
	if (status_is_ok(st)) {
		t->asked = false;
		t->caller = *caller;
		t->expires_us = expires_us;
		t->fresh_until = loop_now_ms(s->o.loop) + s->o.limits.auth_cache_ms;
	} else {
		forget(s, t);
	}
	while ((node = list_pop(&waiting)))
		resolve(container_of(node, struct rpc_call, wait_node), st, caller);
	server_unref(s);
}

void auth_finish(struct rpc_server *s)
{
	make_room(s, true);
	map_finish(&s->tokens);
}
