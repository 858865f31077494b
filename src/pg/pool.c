#include "pg/pool.h"
#include <stdlib.h>
#include "base/mem.h"
#include "pg/batch.h"
#include "pg/listen.h"

/* ---- state ---- */

bool pg_is_up(const struct pg *pg)
{
	return pg->ups > 0;
}

struct status pg_last_error(const struct pg *pg)
{
	return pg_is_up(pg) ? status_ok() : pg->why;
}

static void tell(struct pg *pg, bool up)
{
	int now = up ? PG_TOLD_UP : PG_TOLD_DOWN;
	if ((int)pg->told == now)
		return;
	pg->told = up ? PG_TOLD_UP : PG_TOLD_DOWN;
	struct status st = pg_last_error(pg);
	if (pg->o.on_state)
		pg->o.on_state(pg->o.data, up, &st);
}

void pool_on_up(struct pg *pg)
{
	pg->ups++;
	backoff_reset(&pg->backoff);
	pool_wake(pg);
	tell(pg, true);
}

void pool_on_down(struct pg *pg, const struct status *why, bool was_up)
{
	pg->why = *why;
	if (was_up)
		pg->ups--;
	if (!timer_is_set(&pg->retry))
		timer_set(&pg->retry, backoff_next(&pg->backoff));
	if (pg->ups == 0)
		tell(pg, false);
}

/* ---- dispatch ---- */

void pool_wake(struct pg *pg)
{
	if (!pg->closing)
		defer_post(&pg->dispatch);
}

static void on_retry(struct timer *t)
{
	pool_wake(container_of(t, struct pg, retry));
}

/* The least deep connection that may take the batch; NULL: it waits. */
static struct pipeline *pick(struct pg *pg, const struct pg_batch *b)
{
	struct pipeline *best = NULL;
	unsigned limit = b->script ? 1 : pg->o.pipeline_depth;
	for (unsigned i = 0; i < pg->o.pool_size; i++) {
		struct pipeline *p = &pg->pipelines[i];
		if (pipeline_takes(p) && p->depth < limit) {
			best = p;
			limit = p->depth;
		}
	}
	return best;
}

/* One at a time, and only while every one is at work: what is behind another waits for its commit. */
static void open_more(struct pg *pg)
{
	struct pipeline *closed = NULL;
	bool suffice = false;
	for (unsigned i = 0; i < pg->o.pool_size; i++) {
		struct pipeline *p = &pg->pipelines[i];
		if (p->conn.state == PG_CONN_CLOSED)
			closed = closed ? closed : p;
		else if (!pg_conn_is_up(&p->conn))
			return;
		else if (pipeline_takes(p) && p->depth == 0)
			suffice = true;
	}
	if (pg->nwaiting > 0)
		suffice = false;
	if (closed && !suffice && !timer_is_set(&pg->retry))
		pg_conn_open(&closed->conn);
}

static void on_dispatch(struct defer *d)
{
	struct pg *pg = container_of(d, struct pg, dispatch);
	while (!list_empty(&pg->waiting)) {
		struct pg_batch *b = container_of(pg->waiting.next, struct pg_batch, node);
		struct pipeline *p = pick(pg, b);
		if (p == NULL)
			break;
		list_remove(&b->node);
		pg->nwaiting--;
		pipeline_send(p, b);
	}
	for (unsigned i = 0; i < pg->o.pool_size; i++)
		pipeline_flush(&pg->pipelines[i]);
	open_more(pg);
}

void pool_again(struct pg *pg, struct pg_batch *b)
{
	b->place = PG_WAITING;
	list_push_front(&pg->waiting, &b->node);
	pg->nwaiting++;
}

/* ---- running a batch ---- */

void batch_end(struct pg_batch *b, const struct status *st)
{
	list_remove(&b->node);
	b->place = PG_ENDED;
	if (b->delivered)
		batch_free(b);
	else
		op_finish(&b->op, st); /* ignored when it was given up in this very turn */
}

static void deliver(struct pg_batch *b, const struct status *st)
{
	b->delivered = true;
	list_remove(&b->all);
	if (st->code != ST_OK) {
		for (size_t i = 0; i < b->results.n; i++)
			PQclear(b->results.list[i]);
		b->results.n = 0; /* rolled back, or unknown */
	}
	if (b->done)
		b->done(b->data, st, &b->results);
	if (b->place != PG_SENT)
		batch_free(b);
}

/* A deadline's words, for those who wonder what to mend. */
static struct status too_late(const struct pg_batch *b)
{
	if (b->results.sent)
		return status_wrap(&b->op.st, "PostgreSQL");
	if (!pg_is_up(b->pg))
		return status_err(
			ST_UNAVAILABLE, "no connection to PostgreSQL: %s", b->pg->why.message);
	return status_wrap(&b->op.st, "every connection to PostgreSQL was busy");
}

static void on_complete(struct op *op)
{
	struct pg_batch *b = container_of(op, struct pg_batch, op);
	struct status st = op->st;
	if (b->given_up && st.code == ST_DEADLINE_EXCEEDED)
		st = too_late(b);
	deliver(b, &st);
}

/* Cancelled, or too late. */
static void on_abort(struct op *op)
{
	struct pg_batch *b = container_of(op, struct pg_batch, op);
	b->given_up = true;
	if (b->place == PG_WAITING) {
		list_remove(&b->node);
		b->pg->nwaiting--;
		b->place = PG_ENDED;
	} else if (b->place == PG_SENT) {
		b->results.sent = true;
		pipeline_gave_up(b->pipeline);
	}
}

/* Why it does not even wait; OK when it does. */
static struct status refusal(const struct pg *pg, const struct pg_batch *b)
{
	if (pg->closing)
		return status_err(ST_CANCELLED, "the connections to PostgreSQL are being closed");
	if (!status_is_ok(&b->mistake))
		return b->mistake;
	if (pg->nwaiting >= pg->o.queue_limit)
		return status_err(ST_RESOURCE_EXHAUSTED,
			"%zu batches are waiting for PostgreSQL already; try again later",
			pg->nwaiting);
	return status_ok();
}

struct pg_batch *pg_run(struct pg_batch *b, uint64_t deadline_ms, pg_done done, void *data)
{
	struct pg *pg = b->pg;
	struct status st = refusal(pg, b);
	b->done = done;
	b->data = data;
	op_start(&b->op, pg->loop, deadline_ms, on_abort, on_complete);
	if (!pg->closing)
		list_push(&pg->batches, &b->all);
	if (!status_is_ok(&st) || (b->nitems == 0 && b->script == NULL)) {
		b->place = PG_ENDED;
		op_finish(&b->op, &st);
		return b;
	}
	b->place = PG_WAITING;
	list_push(&pg->waiting, &b->node);
	pg->nwaiting++;
	pool_wake(pg);
	return b;
}

void pg_cancel(struct pg_batch *b)
{
	op_cancel(&b->op);
}

/* ---- life ---- */

struct pg *pg_create(struct loop *l, const struct pg_options *o)
{
	struct pg *pg = mem_new(struct pg);
	pg->loop = l;
	pg->o = *o;
	pg->o.conninfo = pg->conninfo = mem_strdup(o->conninfo ? o->conninfo : "");
	pg->o.pool_size = o->pool_size ? o->pool_size : 4;
	pg->o.pipeline_depth = o->pipeline_depth ? o->pipeline_depth : 64;
	pg->o.queue_limit = o->queue_limit ? o->queue_limit : 10000;
	pg->why = status_err(ST_UNAVAILABLE, "the first connection is still being made");
	pg->backoff = (struct backoff){.first = 50, .max = 5000};
	list_init(&pg->batches);
	list_init(&pg->waiting);
	defer_init(&pg->dispatch, l, on_dispatch);
	timer_init(&pg->retry, l, on_retry);
	pg->pipelines = mem_realloc_array(NULL, sizeof(struct pipeline), pg->o.pool_size);
	for (unsigned i = 0; i < pg->o.pool_size; i++)
		pipeline_init(&pg->pipelines[i], pg);
	pool_wake(pg);
	return pg;
}

/* `done` may run new batches: they are refused, and complete without us. */
static void cancel_all(struct pg *pg)
{
	struct list *n;
	while ((n = list_pop(&pg->batches)) != NULL) {
		struct pg_batch *b = container_of(n, struct pg_batch, all);
		struct status st =
			status_err(ST_CANCELLED, "the connections to PostgreSQL are being closed");
		if (b->op.state == OP_FINISHING)
			st = b->op.st;
		op_drop(&b->op);
		deliver(b, &st);
	}
}

void pg_destroy(struct pg *pg)
{
	if (pg == NULL)
		return;
	pg->closing = true;
	defer_cancel(&pg->dispatch);
	timer_stop(&pg->retry);
	cancel_all(pg);
	for (unsigned i = 0; i < pg->o.pool_size; i++)
		pipeline_finish(&pg->pipelines[i]);
	pg_listener_destroy(pg->listener);
	free(pg->pipelines);
	free(pg->conninfo);
	free(pg);
}
