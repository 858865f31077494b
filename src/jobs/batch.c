#include "jobs/batch.h"

#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"
#include "loop/loop.h"

/* Two, so that one is worked at while the other's commit is waited for. */
#define BATCHES_MAX 2

struct job_batch {
	struct db *db;
	struct list waiting;
	unsigned under_way;
	struct defer flush;
};

/* One batch under way. */
struct shipment {
	struct job_batch *batch;
	size_t n;
	struct job_write *writes[];
};

/* ---- results ---- */

/* The server was not reached, or did not answer: nothing is wrong with the writes. */
static bool may_pass(const struct status *st)
{
	return st->code == ST_UNAVAILABLE || st->code == ST_DEADLINE_EXCEEDED ||
	       st->code == ST_CANCELLED || st->code == ST_RESOURCE_EXHAUSTED;
}

static void tell(struct job_write *w, const struct status *st, bool held)
{
	struct status lost;
	w->place = WRITE_IDLE;
	w->alone = false;
	if (status_is_ok(st) && !held) {
		lost = status_err(ST_ABORTED, "job %s is no longer run under epoch %d", w->what.id,
			w->what.epoch);
		st = &lost;
	}
	w->done(w, st);
}

static void wait_alone(struct job_batch *b, struct job_write *w)
{
	w->place = WRITE_WAITS;
	w->alone = true;
	list_push(&b->waiting, &w->node);
}

static void on_written(void *data, const struct status *st, const bool *held, size_t n)
{
	struct shipment *s = data;
	struct job_batch *b = s->batch;
	bool split = n > 1 && !status_is_ok(st) && !may_pass(st);
	b->under_way--;
	for (size_t i = 0; i < n; i++) {
		if (split)
			wait_alone(b, s->writes[i]);
		else
			tell(s->writes[i], st, held[i]);
	}
	free(s);
	if (!list_empty(&b->waiting))
		defer_post(&b->flush);
}

/* ---- sending ---- */

static struct job_write *first(const struct job_batch *b)
{
	return list_empty(&b->waiting) ? NULL : container_of(b->waiting.next, struct job_write, node);
}

static void send(struct job_batch *b)
{
	struct db_job_write what[DB_WRITES_MAX];
	struct shipment *s = mem_alloc(sizeof(*s) + DB_WRITES_MAX * sizeof(s->writes[0]));
	struct job_write *w;
	s->batch = b;
	s->n = 0;
	while ((w = first(b)) != NULL && s->n < DB_WRITES_MAX && !(w->alone && s->n > 0)) {
		list_remove(&w->node);
		w->place = WRITE_SENT;
		what[s->n] = w->what;
		s->writes[s->n++] = w;
		if (w->alone)
			break;
	}
	b->under_way++;
	b->db->jobs->write(b->db, what, s->n, on_written, s);
}

static void on_flush_writes(struct defer *d)
{
	struct job_batch *b = container_of(d, struct job_batch, flush);
	while (!list_empty(&b->waiting) && b->under_way < BATCHES_MAX)
		send(b);
}

/* ---- public ---- */

struct job_batch *job_batch_create(struct loop *l, struct db *db)
{
	struct job_batch *b = mem_zalloc(sizeof(*b));
	b->db = db;
	list_init(&b->waiting);
	defer_init(&b->flush, l, on_flush_writes);
	return b;
}

void job_batch_destroy(struct job_batch *b)
{
	if (!b)
		return;
	assert(list_empty(&b->waiting) && b->under_way == 0);
	defer_cancel(&b->flush);
	free(b);
}

void job_batch_put(struct job_batch *b, struct job_write *w)
{
	assert(w->place == WRITE_IDLE);
	w->place = WRITE_WAITS;
	list_push(&b->waiting, &w->node);
	defer_post(&b->flush);
}

bool job_batch_take_back(struct job_write *w)
{
	if (w->place != WRITE_WAITS)
		return false;
	list_remove(&w->node);
	w->place = WRITE_IDLE;
	w->alone = false;
	return true;
}
