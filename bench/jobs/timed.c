#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "../rpc/histogram.h"
#include "base/mem.h"
#include "bench.h"

static const char *const names[TIMED_OPS] = {"look", "claim", "write", "list"};

/* One process, one bench. */
static struct {
	struct db front;
	struct db_job_ops ops;
	struct db *real;
	struct histogram took[TIMED_OPS];
	uint64_t carried[TIMED_OPS];
} timed;

struct shot {
	enum timed_op op;
	uint64_t began;
	void (*done)(void);
	void *data;
};

uint64_t now_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static struct shot *shoot(enum timed_op op, void (*done)(void), void *data)
{
	struct shot *s = mem_new(struct shot);
	*s = (struct shot){op, now_ns(), done, data};
	return s;
}

static struct shot land(void *data, size_t carried)
{
	struct shot s = *(struct shot *)data;
	free(data);
	histogram_add(&timed.took[s.op], now_ns() - s.began);
	timed.carried[s.op] += carried;
	return s;
}

static void on_look(void *data, const struct status *st, const struct db_look *look)
{
	struct shot s = land(data, look->n);
	((db_look_done)s.done)(s.data, st, look);
}

static void on_jobs(void *data, const struct status *st, const struct db_job *j, size_t n, bool more)
{
	struct shot s = land(data, n);
	((db_jobs_done)s.done)(s.data, st, j, n, more);
}

static void on_writes(void *data, const struct status *st, const bool *held, size_t n)
{
	struct shot s = land(data, n);
	((db_writes_done)s.done)(s.data, st, held, n);
}

#define DONE ((void (*)(void))done)

static struct db_call *look(struct db *db, unsigned limit, db_look_done done, void *data)
{
	(void)db;
	return timed.real->jobs->look(timed.real, limit, on_look, shoot(TIMED_LOOK, DONE, data));
}

static struct db_call *claim(struct db *db, const struct db_claim *c, db_jobs_done done, void *data)
{
	(void)db;
	return timed.real->jobs->claim(timed.real, c, on_jobs, shoot(TIMED_CLAIM, DONE, data));
}

static struct db_call *write_(struct db *db, const struct db_job_write *w, size_t n, db_writes_done done,
	void *data)
{
	(void)db;
	return timed.real->jobs->write(timed.real, w, n, on_writes, shoot(TIMED_WRITE, DONE, data));
}

static struct db_call *list(struct db *db, const struct db_scope *scope, const struct db_job_filter *f,
	const struct db_page *page, db_jobs_done done, void *data)
{
	(void)db;
	return timed.real->jobs->list(timed.real, scope, f, page, on_jobs, shoot(TIMED_LIST, DONE, data));
}

/* The rest of the operations are not called with the front. */
static struct db_call *renew(struct db *db, const char *owner, const struct uuid *ids, const int *epochs,
	size_t n, unsigned lease_ms, db_jobs_done done, void *data)
{
	(void)db;
	return timed.real->jobs->renew(timed.real, owner, ids, epochs, n, lease_ms, done, data);
}

static struct db_call *tell(struct db *db, const struct db_told *told, size_t n, db_done done, void *data)
{
	(void)db;
	return timed.real->jobs->tell(timed.real, told, n, done, data);
}

static void cancel(struct db *db, struct db_call *call)
{
	(void)db;
	db_cancel(timed.real, call);
}

struct db *timed_create(struct db *db)
{
	timed.real = db;
	timed.ops = (struct db_job_ops){.look = look, .claim = claim, .write = write_, .list = list,
		.renew = renew, .tell = tell};
	timed.front = (struct db){.jobs = &timed.ops, .cancel = cancel};
	return &timed.front;
}

void timed_print(void)
{
	for (int op = 0; op < TIMED_OPS; op++) {
		const struct histogram *h = &timed.took[op];
		if (h->total)
			printf(", \"%s\": {\"n\": %llu, \"each\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f}",
				names[op], (unsigned long long)h->total, (double)timed.carried[op] / (double)h->total,
				(double)histogram_at(h, 50) / 1e6, (double)histogram_at(h, 99) / 1e6);
	}
}
