/* conn: one PostgreSQL connection on the loop: look-up, connect, read, write, loss. It knows
 * nothing of statements: the pipeline (batches) and the listener (LISTEN) stand on it.
 * Embedded in its owner, which makes the reconnects.
 *
 *	CLOSED ──open──▶ STARTING ─▶ RESOLVING ─▶ CONNECTING ─▶ UP
 *	   ▲                 │           │            │          │ pg_conn_fail
 *	   └── on_down ── FAILING ◀──────┴────────────┴──────────┘
 *
 * Callbacks fire from the loop, never from inside a function of this page. After on_down the
 * connection is CLOSED and may be opened again, also from inside on_down. */
#pragma once
#include <libpq-fe.h>
#include "base/status.h"
#include "loop/loop.h"

struct pg_conn;
struct pg_dsn;
struct pg_poll;
struct resolve;

enum pg_conn_state {
	PG_CONN_CLOSED,
	PG_CONN_STARTING,
	PG_CONN_RESOLVING,
	PG_CONN_CONNECTING,
	PG_CONN_UP,
	PG_CONN_FAILING,
};

struct pg_conn_ops {
	void (*on_up)(struct pg_conn *c);
	/* Something was read: take the results there are, without waiting (PQisBusy). */
	void (*on_input)(struct pg_conn *c);
	/* Could not be made, or is lost; why is in the server's or the system's words. */
	void (*on_down)(struct pg_conn *c, const struct status *why);
};

struct pg_conn {
	struct loop *loop;
	const char *conninfo; /* borrowed */
	const struct pg_conn_ops *ops;
	enum pg_conn_state state;
	PGconn *pq; /* NULL unless CONNECTING, UP, FAILING */
	struct pg_dsn *dsn;
	struct resolve *resolve;
	struct pg_poll *poll;
	struct timer limit; /* of making the connection */
	struct defer defer; /* STARTING: begin; FAILING: tear down */
	struct status why;
	struct status fatal; /* what the server said before it hung up: UNAVAILABLE, or OK */
};

void pg_conn_init(
	struct pg_conn *c, struct loop *l, const char *conninfo, const struct pg_conn_ops *ops);
void pg_conn_open(struct pg_conn *c); /* must be CLOSED */
/* Closes at once, without on_down. */
void pg_conn_close(struct pg_conn *c);
/* Gives it up: on_down comes later in this turn. Ignored when CLOSED or FAILING. */
void pg_conn_fail(struct pg_conn *c, const struct status *why);
/* As above, in libpq's words. */
void pg_conn_fail_pq(struct pg_conn *c);
/* The server said why it will hang up: better words than libpq's. */
void pg_conn_hangs_up(struct pg_conn *c, const PGresult *res);
/* Writes what libpq holds, now and as the socket takes it. */
void pg_conn_flush(struct pg_conn *c);
static inline bool pg_conn_is_up(const struct pg_conn *c)
{
	return c->state == PG_CONN_UP;
}
