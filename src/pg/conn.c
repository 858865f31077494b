#include "pg/conn.h"
#include <stdlib.h>
#include <uv.h>
#include "base/mem.h"
#include "loop/resolve.h"
#include "pg/dsn.h"
#include "pg/error.h"

/* Its own allocation: libuv frees it in the close callback, when the connection may be gone. */
struct pg_poll {
	uv_poll_t uv;
	struct pg_conn *conn; /* NULL: closing */
	int events;
};

static const bool allowed[][PG_CONN_FAILING + 1] = {
	[PG_CONN_CLOSED] = {[PG_CONN_STARTING] = true},
	[PG_CONN_STARTING] =
		{[PG_CONN_RESOLVING] = true, [PG_CONN_FAILING] = true, [PG_CONN_CLOSED] = true},
	[PG_CONN_RESOLVING] =
		{[PG_CONN_CONNECTING] = true, [PG_CONN_FAILING] = true, [PG_CONN_CLOSED] = true},
	[PG_CONN_CONNECTING] =
		{[PG_CONN_UP] = true, [PG_CONN_FAILING] = true, [PG_CONN_CLOSED] = true},
	[PG_CONN_UP] = {[PG_CONN_FAILING] = true, [PG_CONN_CLOSED] = true},
	[PG_CONN_FAILING] = {[PG_CONN_CLOSED] = true},
};

static void move(struct pg_conn *c, enum pg_conn_state to)
{
	if (!allowed[c->state][to])
		mem_abort("pg_conn: a transition that is not allowed");
	c->state = to;
}

/* ---- the socket ---- */

static void on_poll_closed(uv_handle_t *h)
{
	free(h->data);
}

static void poll_close(struct pg_conn *c)
{
	if (c->poll == NULL)
		return;
	c->poll->conn = NULL;
	uv_close((uv_handle_t *)&c->poll->uv, on_poll_closed);
	c->poll = NULL;
}

static void connecting(struct pg_conn *c);
static void ready(struct pg_conn *c);

static void on_poll(uv_poll_t *uv, int err, int events)
{
	struct pg_conn *c = ((struct pg_poll *)uv->data)->conn;
	(void)events;
	if (c == NULL)
		return;
	if (err)
		c->poll->events = 0; /* libuv has stopped it: libpq finds out why */
	uint64_t token = loop_enter(c->loop, "pg");
	if (c->state == PG_CONN_CONNECTING)
		connecting(c);
	else if (c->state == PG_CONN_UP)
		ready(c);
	loop_leave(c->loop, token);
}

static void poll_for(struct pg_conn *c, int events)
{
	if (c->poll == NULL) {
		c->poll = mem_new(struct pg_poll);
		c->poll->uv.data = c->poll;
		int err = uv_poll_init(loop_uv(c->loop), &c->poll->uv, PQsocket(c->pq));
		if (err) {
			char words[128];
			struct status st =
				status_err(ST_UNAVAILABLE, "cannot watch the connection: %s",
					uv_strerror_r(err, words, sizeof words));
			free(c->poll);
			c->poll = NULL;
			pg_conn_fail(c, &st);
			return;
		}
		c->poll->conn = c;
	}
	if (c->poll->events == events)
		return;
	c->poll->events = events;
	uv_poll_start(&c->poll->uv, events, on_poll);
}

/* ---- making the connection ---- */

/* What the server says outside of any query: a notice, or why it hangs up. */
static void on_notice(void *data, const PGresult *res)
{
	if (pg_error_is_fatal(res))
		pg_conn_hangs_up(data, res);
}

static void connected(struct pg_conn *c)
{
	timer_stop(&c->limit);
	pg_dsn_destroy(c->dsn);
	c->dsn = NULL;
	move(c, PG_CONN_UP);
	PQsetnonblocking(c->pq, 1);
	poll_for(c, UV_READABLE);
	if (c->state == PG_CONN_UP)
		c->ops->on_up(c);
}

/* libpq may go to another socket between two calls, even one with the same number: the
 * handle never outlives a call. */
static void connecting(struct pg_conn *c)
{
	poll_close(c);
	PostgresPollingStatusType next = PQconnectPoll(c->pq);
	if (next == PGRES_POLLING_READING)
		poll_for(c, UV_READABLE);
	else if (next == PGRES_POLLING_WRITING)
		poll_for(c, UV_WRITABLE);
	else if (next == PGRES_POLLING_OK)
		connected(c);
	else
		pg_conn_fail_pq(c);
}

static void begin_connect(struct pg_conn *c)
{
	struct status st = pg_dsn_connect(c->dsn, &c->pq);
	if (!status_is_ok(&st)) {
		pg_conn_fail(c, &st);
		return;
	}
	move(c, PG_CONN_CONNECTING);
	PQsetNoticeReceiver(c->pq, on_notice, c);
	if (PQstatus(c->pq) == CONNECTION_BAD)
		pg_conn_fail_pq(c);
	else
		poll_for(c, UV_WRITABLE); /* as libpq asks for before the first PQconnectPoll */
}

static void resolve_next(struct pg_conn *c);

static void on_resolved(void *data, const struct status *st, const struct resolve_addrs *addrs)
{
	struct pg_conn *c = data;
	c->resolve = NULL;
	pg_dsn_looked_up(c->dsn, st, addrs);
	resolve_next(c);
}

static void resolve_next(struct pg_conn *c)
{
	const char *host = pg_dsn_lookup(c->dsn);
	if (host)
		c->resolve = resolve_start(c->loop, host, on_resolved, c);
	else
		begin_connect(c);
}

static void on_limit(struct timer *t)
{
	struct pg_conn *c = container_of(t, struct pg_conn, limit);
	struct status st =
		status_err(ST_UNAVAILABLE, "no connection within %u ms (%s)",
			(unsigned)pg_dsn_timeout_ms(c->dsn),
			c->state == PG_CONN_RESOLVING ? "its host name is not resolved"
						      : "it does not answer");
	pg_conn_fail(c, &st);
}

static void begin(struct pg_conn *c)
{
	struct status st = pg_dsn_parse(c->conninfo, &c->dsn);
	if (!status_is_ok(&st)) {
		pg_conn_fail(c, &st);
		return;
	}
	move(c, PG_CONN_RESOLVING);
	timer_set(&c->limit, pg_dsn_timeout_ms(c->dsn));
	resolve_next(c);
}

/* ---- while it is up ---- */

/* Reads before it writes: a server that cannot send does not read either. */
static void ready(struct pg_conn *c)
{
	bool lost = PQconsumeInput(c->pq) == 0;
	c->ops->on_input(c);
	if (c->state != PG_CONN_UP)
		return;
	if (lost || PQstatus(c->pq) == CONNECTION_BAD)
		pg_conn_fail_pq(c);
	else
		pg_conn_flush(c);
}

void pg_conn_flush(struct pg_conn *c)
{
	if (c->state != PG_CONN_UP)
		return;
	int left = PQflush(c->pq);
	if (left < 0)
		pg_conn_fail_pq(c);
	else
		poll_for(c, left ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* ---- the end ---- */

void pg_conn_close(struct pg_conn *c)
{
	defer_cancel(&c->defer);
	timer_stop(&c->limit);
	resolve_cancel(c->resolve);
	c->resolve = NULL;
	poll_close(c); /* before the descriptor closes */
	PQfinish(c->pq);
	c->pq = NULL;
	pg_dsn_destroy(c->dsn);
	c->dsn = NULL;
	if (c->state != PG_CONN_CLOSED)
		move(c, PG_CONN_CLOSED);
}

void pg_conn_fail(struct pg_conn *c, const struct status *why)
{
	if (c->state == PG_CONN_CLOSED || c->state == PG_CONN_FAILING)
		return;
	c->why = status_is_ok(&c->fatal) ? *why : c->fatal;
	move(c, PG_CONN_FAILING);
	poll_close(c);
	defer_post(&c->defer);
}

void pg_conn_hangs_up(struct pg_conn *c, const PGresult *res)
{
	c->fatal = pg_error_status(res, NULL);
	c->fatal.code = ST_UNAVAILABLE;
}

void pg_conn_fail_pq(struct pg_conn *c)
{
	struct status st = pg_error_connection(c->pq);
	pg_conn_fail(c, &st);
}

static void on_defer(struct defer *d)
{
	struct pg_conn *c = container_of(d, struct pg_conn, defer);
	if (c->state == PG_CONN_STARTING) {
		begin(c);
		return;
	}
	struct status why = c->why;
	pg_conn_close(c);
	c->ops->on_down(c, &why);
}

void pg_conn_open(struct pg_conn *c)
{
	move(c, PG_CONN_STARTING);
	c->fatal = status_ok();
	defer_post(&c->defer);
}

void pg_conn_init(
	struct pg_conn *c, struct loop *l, const char *conninfo, const struct pg_conn_ops *ops)
{
	*c = (struct pg_conn){.loop = l, .conninfo = conninfo, .ops = ops, .state = PG_CONN_CLOSED};
	timer_init(&c->limit, l, on_limit);
	defer_init(&c->defer, l, on_defer);
}
