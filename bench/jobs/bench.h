/* bench: what the parts of bench_jobs share: one daemon's jobs/ and db/ on the real loop, and a clock on each
 * operation of the database. */
#pragma once
#include "base/rng.h"
#include "db/jobs.h"
#include "loop/loop.h"

struct bench_options {
	const char *postgres, *redis; /* redis NULL or "": none */
	unsigned pool, slots, job_ms, max_running;
	struct uuid project;
};

/* How long an operation took, and how much it carried. */
enum timed_op { TIMED_LOOK, TIMED_CLAIM, TIMED_WRITE, TIMED_LIST, TIMED_OPS };

struct bench {
	struct loop *loop;
	struct bench_options o;
	struct pg *pg;
	struct redis *redis;
	struct job_wake *wake;
	struct db *db; /* timed */
	struct job_worker *worker;
	struct keyring *keyring;
	void (*on_up)(struct bench *b);
	/* A job that this daemon ran is stored as ended. */
	void (*on_ended)(struct bench *b, const struct uuid *id);
	uint64_t ended;
	bool migrated;
};

void bench_start(struct bench *b, const struct bench_options *o, void (*on_up)(struct bench *b));
void bench_start_worker(struct bench *b);
void bench_stop(struct bench *b);
_Noreturn void bench_exit(int status);

/* The same operations, with a clock on the hot ones. */
struct db *timed_create(struct db *db);
void timed_print(void); /* as members of a JSON object */
uint64_t now_ns(void);

/* The commands; each ends by loop_stop. */
void bench_add(struct bench *b, unsigned n, unsigned flight);
void bench_latency(struct bench *b, unsigned n, unsigned rate);
void bench_list(struct bench *b, unsigned n);
void bench_migrate(struct bench *b);
