#include "jobs/batch.h"

#include <stdlib.h>
#include "base/mem.h"
#include "jobs/teller.h"

struct job_batch {
	struct gather gather;
	struct db *db;
	struct job_teller *teller;
};

static struct job_write *write_of(struct gather_item *item)
{
	return container_of(item, struct job_write, item);
}

static void on_written(void *data, const struct status *st, const bool *held, size_t n)
{
	(void)n;
	gather_landed(data, st, held);
}

static void send_writes(struct gather *g, struct gather_load *load)
{
	struct job_batch *b = container_of(g, struct job_batch, gather);
	struct db_job_write what[DB_WRITES_MAX];
	for (size_t i = 0; i < load->n; i++)
		what[i] = write_of(load->items[i])->what;
	b->db->jobs->write(b->db, what, load->n, on_written, load);
}

static enum db_told_what told_of(enum job_state state)
{
	return !state ? TOLD_EVENTS : state == JOB_PENDING ? TOLD_READY : TOLD_GONE;
}

static void tell_run(struct gather *g, struct gather_item *item, const struct status *st, bool held)
{
	struct job_batch *b = container_of(g, struct job_batch, gather);
	struct job_write *w = write_of(item);
	struct status lost;
	if (status_is_ok(st) && held && b->teller && (w->what.state || w->what.n_events > 0))
		job_teller_put(b->teller, w->job, told_of(w->what.state));
	if (status_is_ok(st) && !held) {
		lost = status_err(ST_ABORTED, "job %s is no longer run under epoch %d", w->what.id,
			w->what.epoch);
		st = &lost;
	}
	w->done(w, st);
}

struct job_batch *job_batch_create(struct loop *l, struct db *db, struct job_teller *teller)
{
	struct job_batch *b = mem_zalloc(sizeof(*b));
	b->db = db;
	b->teller = teller;
	gather_init(&b->gather, l, DB_WRITES_MAX, send_writes, tell_run);
	return b;
}

void job_batch_destroy(struct job_batch *b)
{
	if (!b)
		return;
	gather_finish(&b->gather);
	free(b);
}

void job_batch_put(struct job_batch *b, struct job_write *w)
{
	gather_put(&b->gather, &w->item);
}

bool job_batch_take_back(struct job_write *w)
{
	return gather_take_back(&w->item);
}
