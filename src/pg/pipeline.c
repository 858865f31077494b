#include "pg/pipeline.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "pg/batch.h"
#include "pg/cancel.h"
#include "pg/error.h"
#include "pg/pool.h"

#define RETRIES   3
#define STALL_MS  1000 /* until the server is asked to cancel */
#define CANCEL_MS 5000 /* until the connection is given up */

/* One statement on this connection. A new version is a new name on the server: for one whose
 * plan went stale, so that units in flight never meet a name twice. */
struct prepared {
	unsigned version;
	bool known; /* its Parse was sent, and has not failed */
};

static struct prepared *prepared_get(struct pipeline *p, const char *name)
{
	struct prepared *prep = map_gets(&p->prepared, name);
	if (prep == NULL) {
		prep = mem_new(struct prepared);
		map_puts(&p->prepared, name, prep);
	}
	return prep;
}

static void prepared_forget_all(struct pipeline *p)
{
	void *prep;
	for (size_t it = 0; map_next(&p->prepared, &it, NULL, &prep);)
		free(prep);
	map_finish(&p->prepared);
	map_init(&p->prepared);
}

/* ---- sending ---- */

struct name {
	char text[64];
};

static struct name server_name(const struct pg_item *it)
{
	struct name n;
	(void)snprintf(n.text, sizeof n.text, "%s.%u", it->stmt->name, it->version);
	return n;
}

static bool send_parse(struct pipeline *p, struct pg_item *it)
{
	it->prepared = prepared_get(p, it->stmt->name);
	it->version = it->prepared->version;
	it->prepares = !it->prepared->known;
	if (!it->prepares)
		return true;
	it->prepared->known = true;
	struct name name = server_name(it);
	return PQsendPrepare(p->conn.pq, name.text, it->stmt->sql, 0, NULL);
}

static bool send_execute(struct pipeline *p, const struct pg_batch *b, const struct pg_item *it)
{
	struct name name = server_name(it);
	size_t at = it->first_param;
	if (it->nparams == 0)
		return PQsendQueryPrepared(p->conn.pq, name.text, 0, NULL, NULL, NULL, 0);
	return PQsendQueryPrepared(p->conn.pq, name.text, (int)it->nparams, &b->values[at],
		&b->lengths[at], &b->formats[at], 0);
}

/* libpq before 17 writes at every Sync; from 17 a whole turn's batches go out together. */
static bool send_sync(struct pipeline *p)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	return PQsendPipelineSync(p->conn.pq);
#else
	return PQpipelineSync(p->conn.pq);
#endif
}

static bool send_unit(struct pipeline *p, struct pg_batch *b)
{
	for (size_t i = 0; i < b->nitems; i++)
		if (!send_parse(p, &b->items[i]))
			return false;
	for (size_t i = 0; i < b->nitems; i++)
		if (!send_execute(p, b, &b->items[i]))
			return false;
	return send_sync(p);
}

static bool send_script(struct pipeline *p, const struct pg_batch *b)
{
	p->script = true;
	return PQexitPipelineMode(p->conn.pq) && PQsendQuery(p->conn.pq, b->script);
}

void pipeline_send(struct pipeline *p, struct pg_batch *b)
{
	b->place = PG_SENT;
	b->pipeline = p;
	b->at = 0;
	b->failed = NULL;
	list_push(&p->sent, &b->node);
	p->depth++;
	p->unflushed = true;
	if (!(b->script ? send_script(p, b) : send_unit(p, b)))
		pg_conn_fail_pq(&p->conn);
}

void pipeline_flush(struct pipeline *p)
{
	if (!p->unflushed)
		return;
	p->unflushed = false;
	pg_conn_flush(&p->conn);
}

bool pipeline_takes(const struct pipeline *p)
{
	return pg_conn_is_up(&p->conn) && !p->script && !p->stalled;
}

/* ---- one that keeps the others waiting ---- */

static struct pg_batch *first(const struct pipeline *p)
{
	return list_empty(&p->sent) ? NULL : container_of(p->sent.next, struct pg_batch, node);
}

void pipeline_gave_up(struct pipeline *p)
{
	const struct pg_batch *b = first(p);
	p->stalled = b && b->given_up;
	if (!p->stalled)
		timer_stop(&p->stall);
	else if (!timer_is_set(&p->stall))
		timer_set(&p->stall, STALL_MS);
}

static void on_stall(struct timer *t)
{
	struct pipeline *p = container_of(t, struct pipeline, stall);
	struct status st = status_err(ST_UNAVAILABLE,
		"a statement did not end %d ms after it was cancelled; its connection is closed",
		CANCEL_MS);
	if (first(p)->cancelled) {
		pg_conn_fail(&p->conn, &st);
		return;
	}
	first(p)->cancelled = true;
	p->stray_until = loop_now_ms(p->conn.loop) + CANCEL_MS;
	cancel_request(p->conn.loop, p->conn.pq);
	timer_set(&p->stall, CANCEL_MS);
}

/* ---- receiving ---- */

static const char *field(const PGresult *res, int code)
{
	const char *text = PQresultErrorField(res, code);
	return text ? text : "";
}

/* The first one is the batch's; parsed is the item whose Parse failed, or NULL. */
static void take_error(
	struct pipeline *p, struct pg_batch *b, PGresult *res, struct pg_item *parsed)
{
	if (pg_error_is_fatal(res))
		pg_conn_hangs_up(&p->conn, res);
	if (b->results.error) {
		PQclear(res);
		return;
	}
	b->results.error = res;
	b->failed = parsed;
	if (parsed == NULL && b->results.n < b->nitems)
		b->failed = &b->items[b->results.n];
}

/* The batch does what cannot be done here. Its connection is of no use any more. */
static void give_up(struct pipeline *p, struct pg_batch *b, const struct status *st)
{
	b->mistake = *st;
	pg_conn_fail(&p->conn, st);
}

/* Failed for our reasons, not for its own: it was rolled back and can be sent again. */
static bool worth_retry(struct pipeline *p, const struct pg_batch *b)
{
	const char *state = field(b->results.error, PG_DIAG_SQLSTATE);
	bool again = !b->given_up && b->retries < RETRIES;
	if (strcmp(state, "57014") == 0) /* one request is up to two signals in the backend */
		return again && loop_now_ms(p->conn.loop) < p->stray_until;
	bool missing = strcmp(state, "26000") == 0;
	bool stale = strcmp(state, "0A000") == 0 &&
		     strcmp(field(b->results.error, PG_DIAG_SOURCE_FUNCTION),
			     "RevalidateCachedQuery") == 0;
	const struct pg_item *it = b->failed;
	if ((!missing && !stale) || it == NULL || b->script)
		return false;
	if (it->version == it->prepared->version && (stale || b->retries > 0)) {
		it->prepared->version++;
		it->prepared->known = false;
	}
	return again;
}

static struct status outcome(const struct pg_batch *b)
{
	if (b->results.error == NULL)
		return status_ok();
	return pg_error_status(b->results.error, b->failed ? b->failed->stmt->name : NULL);
}

static void unit_end(struct pipeline *p, struct pg_batch *b)
{
	list_remove(&b->node);
	p->depth--;
	timer_stop(&p->stall);
	if (b->results.error && worth_retry(p, b)) {
		b->retries++;
		batch_clear_results(b);
		pool_again(p->pg, b);
	} else {
		struct status st = outcome(b);
		batch_end(b, &st);
	}
	pipeline_gave_up(p);
	pool_wake(p->pg);
}

/* Parses are answered first, in the order of the items that sent one. */
static struct pg_item *parse_answered(struct pg_batch *b)
{
	while (b->at < b->nitems && !b->items[b->at].prepares)
		b->at++;
	return b->at < b->nitems ? &b->items[b->at++] : NULL;
}

static void take(struct pipeline *p, struct pg_batch *b, PGresult *res)
{
	ExecStatusType s = PQresultStatus(res);
	bool ok = s == PGRES_TUPLES_OK || s == PGRES_COMMAND_OK || s == PGRES_EMPTY_QUERY;
	struct pg_item *parsed = s == PGRES_PIPELINE_SYNC ? NULL : parse_answered(b);
	if (parsed && !ok && parsed->version == parsed->prepared->version)
		parsed->prepared->known = false;
	if (s == PGRES_FATAL_ERROR) {
		take_error(p, b, res, parsed);
		return;
	}
	if (ok && !parsed) {
		batch_add_result(b, res);
		return;
	}
	PQclear(res);
	if (s == PGRES_PIPELINE_SYNC) {
		unit_end(p, b);
	} else if (!ok && s != PGRES_PIPELINE_ABORTED) {
		struct status st =
			status_err(ST_UNIMPLEMENTED, "a batch cannot COPY (%s)", PQresStatus(s));
		give_up(p, b, &st);
	}
}

static void read_units(struct pipeline *p)
{
	unsigned ends = 0; /* in a row: libpq puts one NULL behind each statement */
	struct pg_batch *b;
	while (pg_conn_is_up(&p->conn) && (b = first(p)) != NULL && !PQisBusy(p->conn.pq)) {
		PGresult *res = PQgetResult(p->conn.pq);
		if (res) {
			take(p, b, res);
			ends = 0;
		} else if (PQstatus(p->conn.pq) == CONNECTION_BAD) {
			return; /* the connection ends in its own words */
		} else if (++ends > 2) {
			struct status st =
				status_err(ST_INTERNAL, "answers and batches do not match");
			pg_conn_fail(&p->conn, &st);
		}
	}
}

static void script_end(struct pipeline *p, struct pg_batch *b)
{
	p->script = false;
	if (PQtransactionStatus(p->conn.pq) == PQTRANS_IDLE && PQenterPipelineMode(p->conn.pq)) {
		unit_end(p, b);
		return;
	}
	struct status st = status_err(ST_INTERNAL, "the script left a transaction open");
	give_up(p, b, &st); /* which rolls it back */
}

static void read_script(struct pipeline *p)
{
	while (pg_conn_is_up(&p->conn) && p->script && !PQisBusy(p->conn.pq)) {
		struct pg_batch *b = first(p);
		PGresult *res = PQgetResult(p->conn.pq);
		ExecStatusType s = PQresultStatus(res);
		if (res == NULL) {
			script_end(p, b);
		} else if (s == PGRES_FATAL_ERROR) {
			take_error(p, b, res, NULL);
		} else if (s == PGRES_TUPLES_OK || s == PGRES_COMMAND_OK ||
			   s == PGRES_EMPTY_QUERY) {
			batch_add_result(b, res);
		} else {
			struct status st = status_err(
				ST_UNIMPLEMENTED, "a script cannot COPY (%s)", PQresStatus(s));
			PQclear(res);
			give_up(p, b, &st);
		}
	}
}

/* ---- the connection ---- */

static void on_up(struct pg_conn *c)
{
	struct pipeline *p = container_of(c, struct pipeline, conn);
	if (!PQenterPipelineMode(c->pq)) {
		pg_conn_fail_pq(c);
		return;
	}
	p->up = true;
	pool_on_up(p->pg);
}

static void on_input(struct pg_conn *c)
{
	struct pipeline *p = container_of(c, struct pipeline, conn);
	if (p->script)
		read_script(p);
	else
		read_units(p);
	while (PQisBusy(c->pq) == 0 && first(p) == NULL) {
		PGresult *res =
			PQgetResult(c->pq); /* what came though nobody asked: an error at the end */
		if (res == NULL)
			break;
		PQclear(res);
	}
}

/* An error of the batch's own is final even if the answer to its Sync is lost; all else is unknown.
 */
static struct status lost(struct pg_batch *b, const struct status *why)
{
	const PGresult *error = b->results.error;
	if (!status_is_ok(&b->mistake))
		return b->mistake;
	if (error && !pg_error_is_fatal(error) && PQresultErrorField(error, PG_DIAG_SQLSTATE))
		return outcome(b);
	b->results.sent = true;
	struct status st =
		status_wrap(why, "the connection to PostgreSQL was lost before the answer came");
	st.code = ST_UNAVAILABLE;
	return st;
}

static void on_down(struct pg_conn *c, const struct status *why)
{
	struct pipeline *p = container_of(c, struct pipeline, conn);
	bool was_up = p->up;
	struct list *n;
	while ((n = list_pop(&p->sent)) != NULL) {
		struct pg_batch *b = container_of(n, struct pg_batch, node);
		struct status st = lost(b, why);
		batch_end(b, &st);
	}
	prepared_forget_all(p);
	timer_stop(&p->stall);
	p->depth = 0;
	p->stray_until = 0;
	p->up = p->script = p->stalled = p->unflushed = false;
	pool_on_down(p->pg, why, was_up);
}

void pipeline_init(struct pipeline *p, struct pg *pg)
{
	static const struct pg_conn_ops ops = {on_up, on_input, on_down};
	*p = (struct pipeline){.pg = pg};
	pg_conn_init(&p->conn, pg->loop, pg->conninfo, &ops);
	list_init(&p->sent);
	map_init(&p->prepared);
	timer_init(&p->stall, pg->loop, on_stall);
}

void pipeline_finish(struct pipeline *p)
{
	struct list *n;
	pg_conn_close(&p->conn);
	timer_stop(&p->stall);
	while ((n = list_pop(&p->sent)) != NULL)
		batch_free(container_of(n, struct pg_batch, node));
	prepared_forget_all(p);
	map_finish(&p->prepared);
}
