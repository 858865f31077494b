#include "pg/listen.h"
#include <stdlib.h>
#include "base/mem.h"
#include "pg/conn.h"
#include "pg/error.h"
#include "pg/pool.h"

struct channel {
	struct list node;
	char *name;
	void (*on_notify)(void *data, const char *channel, const char *payload);
	void *data;
	enum { CHANNEL_NEW, CHANNEL_SENT, CHANNEL_ON } state;
};

struct listener {
	struct pg_conn conn;
	struct list channels;
	bool busy; /* LISTEN is under way */
	struct status failed;
	struct timer retry;
	struct backoff backoff;
};

/* All new ones in one go. */
static void send_listen(struct listener *l)
{
	struct buf sql = {0};
	if (l->busy || !pg_conn_is_up(&l->conn))
		return;
	list_for_each (&l->channels, n) {
		struct channel *ch = container_of(n, struct channel, node);
		if (ch->state != CHANNEL_NEW)
			continue;
		char *name = PQescapeIdentifier(l->conn.pq, ch->name, strlen(ch->name));
		buf_fmt(&sql, "listen %s;", name ? name : "\"\"");
		PQfreemem(name);
		ch->state = CHANNEL_SENT;
	}
	if (sql.len > 0) {
		l->busy = true;
		l->failed = status_ok();
		if (PQsendQuery(l->conn.pq, sql.ptr))
			pg_conn_flush(&l->conn);
		else
			pg_conn_fail_pq(&l->conn);
	}
	buf_finish(&sql);
}

static void on_listening(struct listener *l)
{
	l->busy = false;
	if (!status_is_ok(&l->failed)) {
		pg_conn_fail(&l->conn, &l->failed); /* such as a standby: tried again later */
		return;
	}
	backoff_reset(&l->backoff);
	list_for_each (&l->channels, n) {
		struct channel *ch = container_of(n, struct channel, node);
		if (ch->state != CHANNEL_SENT)
			continue;
		ch->state = CHANNEL_ON;
		ch->on_notify(ch->data, NULL, NULL);
	}
	send_listen(l);
}

static void read_results(struct listener *l)
{
	while (l->busy && pg_conn_is_up(&l->conn) && !PQisBusy(l->conn.pq)) {
		PGresult *res = PQgetResult(l->conn.pq);
		if (res == NULL) {
			on_listening(l);
		} else if (PQresultStatus(res) == PGRES_FATAL_ERROR) {
			l->failed = pg_error_status(res, "listen");
			if (pg_error_is_fatal(res))
				pg_conn_hangs_up(&l->conn, res);
		}
		PQclear(res);
	}
}

static void read_notifications(struct listener *l)
{
	PGnotify *n;
	while (pg_conn_is_up(&l->conn) && (n = PQnotifies(l->conn.pq)) != NULL) {
		list_for_each (&l->channels, node) {
			struct channel *ch = container_of(node, struct channel, node);
			if (ch->state == CHANNEL_ON && strcmp(ch->name, n->relname) == 0)
				ch->on_notify(ch->data, n->relname, n->extra);
		}
		PQfreemem(n);
	}
}

static void on_up(struct pg_conn *c)
{
	send_listen(container_of(c, struct listener, conn));
}

static void on_input(struct pg_conn *c)
{
	struct listener *l = container_of(c, struct listener, conn);
	(void)PQisBusy(c->pq); /* parses what came, also when nothing is under way */
	read_results(l);
	read_notifications(l);
}

static void on_down(struct pg_conn *c, const struct status *why)
{
	struct listener *l = container_of(c, struct listener, conn);
	(void)why; /* the pool meets the same server and says it */
	l->busy = false;
	list_for_each (&l->channels, n)
		container_of(n, struct channel, node)->state = CHANNEL_NEW;
	timer_set(&l->retry, backoff_next(&l->backoff));
}

static void on_retry(struct timer *t)
{
	pg_conn_open(&container_of(t, struct listener, retry)->conn);
}

struct listener *listener_create(struct pg *pg)
{
	static const struct pg_conn_ops ops = {on_up, on_input, on_down};
	struct listener *l = mem_new(struct listener);
	pg_conn_init(&l->conn, pg->loop, pg->conninfo, &ops);
	list_init(&l->channels);
	l->failed = status_ok();
	timer_init(&l->retry, pg->loop, on_retry);
	l->backoff = pg->backoff;
	backoff_reset(&l->backoff);
	pg_conn_open(&l->conn);
	return l;
}

void pg_listener_destroy(struct listener *l)
{
	struct list *n;
	if (l == NULL)
		return;
	pg_conn_close(&l->conn);
	timer_stop(&l->retry);
	while ((n = list_pop(&l->channels)) != NULL) {
		struct channel *ch = container_of(n, struct channel, node);
		free(ch->name);
		free(ch);
	}
	free(l);
}

void pg_listen(struct pg *pg, const char *channel,
	void (*on_notify)(void *data, const char *channel, const char *payload), void *data)
{
	struct channel *ch = mem_new(struct channel);
	ch->name = mem_strdup(channel);
	ch->on_notify = on_notify;
	ch->data = data;
	if (pg->listener == NULL)
		pg->listener = listener_create(pg);
	list_push(&pg->listener->channels, &ch->node);
	send_listen(pg->listener);
}
