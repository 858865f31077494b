/* sides: the same operations on two databases: the store in memory, and a real PostgreSQL. What each
 * answers is put into words in which ids are numbers, in the order in which they were seen, and times
 * are there or not; then the words are the same, or the store is wrong. */
#pragma once
#include "base/rng.h"
#include "fake_db.h"

struct pg;

#define JOBS_MAX 400

struct side {
	const char *name;
	struct loop *loop;
	struct db *db;
	struct arena *arena;
	bool is_model;
	bool done;
	struct buf answer;
	/* ids in the order in which they were seen; jobs also by themselves */
	struct uuid ids[4 * JOBS_MAX], jobs[JOBS_MAX], stacks[JOBS_MAX], releases[JOBS_MAX];
	size_t n_ids, n_jobs, n_stacks, n_releases;
	int epochs[JOBS_MAX];
	bool running[JOBS_MAX];
	size_t of_stack[JOBS_MAX], of_release[JOBS_MAX]; /* a job's: in `stacks` + 1; 0 = none */
	int64_t turn; /* of the last look */
	int n_writes;
	struct db_schedule due[8]; /* of the last look at the schedules; their texts are the arena's */
	size_t n_due;
	struct db_stream_position stream; /* what was read of it */
	bool stream_held, stream_more; /* what the last read of it said */
	struct streamed {
		size_t job;
		int64_t number;
		const char *text;
	} *streamed; /* what was read and not told yet */
	size_t n_streamed;
	unsigned limit; /* of what the last stats were to tell */
	bool archived; /* there may be jobs in the archive */
	struct db_pick picks[64];
	size_t n_picks;
};

/* Which job is it? SIZE_MAX: not known. */
size_t side_job(const struct side *s, const char *id);

/* ---- answers: completions, data is the side ---- */
void said(void *data, const struct status *st);
void said_job(void *data, const struct status *st, const struct db_job *j);
void said_jobs(void *data, const struct status *st, const struct db_job *j, size_t n, bool more);
void said_renewed(void *data, const struct status *st, const struct db_job *j, size_t n, bool more);
void said_events(void *data, const struct status *st, const struct db_event *e, size_t n);
void said_schedule(void *data, const struct status *st, const struct db_schedule *t);
void said_due(void *data, const struct status *st, const struct db_schedule *t, size_t n, int64_t now_us, int64_t due_ms);
void said_position(void *data, const struct status *st, struct db_stream_position at);
void said_stream(void *data, const struct status *st, const struct db_stream_batch *b);
/* What was read since: of each job in order. The order of several jobs' events in one transaction nobody promises. */
void tell_stream(struct side *s);
void said_archived(void *data, const struct status *st, bool more);
void said_stats(void *data, const struct status *st, const struct db_job_stats *s);
void said_look(void *data, const struct status *st, const struct db_look *l);
void said_writes(void *data, const struct status *st, const bool *held, size_t n);
void said_stack(void *data, const struct status *st, const struct db_stack *t);
void said_stacks(void *data, const struct status *st, const struct db_stack *t, size_t n, bool more);
void said_release(void *data, const struct status *st, const struct db_release *r);
void said_objects(void *data, const struct status *st, const struct db_release_objects *r, size_t n);
void said_project(void *data, const struct status *st, const struct db_project *p);

/* ---- operations: chosen by a seed, then done on either side ---- */
struct op {
	struct rng *rng; /* the same numbers for both sides */
	struct buf words;
};
/* Does the operation that `seed` says to a side, and waits for its answer. `words` say what it was. */
void op_run(struct side *s, uint64_t seed, struct buf *words);
void side_wait(struct side *s);
