/* conn: one Redis connection on the loop: look-up, connect, AUTH, SELECT, ROLE, loss, and the next
 * attempt, at the next of its servers and after each round of them with back-off, for as long as it lives.
 * A replica is not used. The commands (redis.c) and the subscriber
 * stand on it. Embedded in its owner.
 *
 *	WAITING ─▶ RESOLVING ─▶ CONNECTING ─▶ GREETING ─▶ UP
 *	   ▲           │             │            │        │ redis_conn_fail
 *	   └─ on_down ─┴─ FAILING ◀──┴────────────┴────────┘
 *
 * Callbacks fire from the loop, never from inside a function of this page. When a connection ends,
 * hiredis calls every pending command's callback with NULL, before on_down. */
#pragma once
#include <async.h>
#include "base/status.h"
#include "loop/backoff.h"
#include "loop/loop.h"
#include "loop/resolve.h"
#include "redis/url.h"

struct redis_conn;

enum redis_conn_state {
	REDIS_CONN_IDLE, /* never started, or closed */
	REDIS_CONN_WAITING,
	REDIS_CONN_RESOLVING,
	REDIS_CONN_CONNECTING,
	REDIS_CONN_GREETING,
	REDIS_CONN_UP,
	REDIS_CONN_FAILING,
};

struct redis_conn_ops {
	void (*on_up)(struct redis_conn *c);
	void (*on_down)(struct redis_conn *c, const struct status *why);
};

struct redis_conn {
	struct loop *loop;
	const struct redis_urls *urls; /* borrowed */
	const struct redis_url *url;   /* the one of them that is tried or used */
	size_t tried;                  /* of this round */
	const char *name;              /* for CLIENT SETNAME; NULL: none; borrowed */
	const struct redis_conn_ops *ops;
	enum redis_conn_state state;
	redisAsyncContext *ac; /* NULL unless CONNECTING, GREETING, UP, FAILING */
	struct resolve *resolve;
	struct resolve_addrs addrs; /* still to be tried, from the end */
	struct timer timer;         /* WAITING: the next attempt; up to UP: its limit */
	struct defer defer;         /* FAILING: tear down */
	struct backoff backoff;
	struct status why;
	bool unreached; /* it failed before the server took the connection */
};

void redis_conn_init(struct redis_conn *c, struct loop *l, const struct redis_urls *urls,
	const struct redis_conn_ops *ops);
void redis_conn_start(struct redis_conn *c);
/* For good, at once, without on_down; pending callbacks are called with NULL. */
void redis_conn_close(struct redis_conn *c);
/* Gives the connection up: on_down comes later in this turn. Ignored when there is none. */
void redis_conn_fail(struct redis_conn *c, const struct status *why);
/* A callback got NULL: hiredis is taking the connection down. Returns why. */
struct status redis_conn_lost(struct redis_conn *c, const redisAsyncContext *ac);
static inline bool redis_conn_is_up(const struct redis_conn *c)
{
	return c->state == REDIS_CONN_UP;
}

/* What ROLE answered: UNAVAILABLE for a replica. */
struct status redis_reply_role(const redisReply *reply);
/* An error reply as a status. */
struct status redis_reply_status(const redisReply *reply);
