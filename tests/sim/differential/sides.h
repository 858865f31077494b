/* sides: the same operations on two databases: the store in memory, and a real PostgreSQL. What each
 * answers is put into words in which ids are numbers, in the order in which they were seen, and times
 * are there or not; then the words are the same, or the store is wrong. */
#pragma once
#include "base/rng.h"
#include "fake_db.h"

struct pg;

#define JOBS_MAX 400
#define PLACES_MAX 80
#define REQUESTS 6 /* ids of them; for each scope */

enum side_list { LIST_PROJECTS, LIST_STACKS, LIST_WATCHED, LIST_RELEASES, LIST_JOBS, LIST_SCHEDULES, LISTS };

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
	struct uuid active[JOBS_MAX]; /* a stack's release, when it was told last; "" = none */
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
	unsigned limit; /* of what the last stats, or events, were to tell */
	bool archived; /* there may be jobs in the archive */
	struct uuid last_of[LISTS]; /* of the page that was told last */
	struct uuid schedules[16];
	int64_t revisions[16];
	size_t n_schedules;
	struct side_etag {
		char name[8], etag[DB_ETAG_MAX + 1];
	} etags[8]; /* of projects, when they were told last */
	size_t n_etags;
	struct db_stream_position begun, part; /* where the stream began, and where the last read of a part of it ended */
	size_t request; /* of what is asked + 1; 0: it has none */
	bool used[3 * REQUESTS];
	/* Daemons were heard of so much longer ago. */
	void (*silence)(struct side *s, unsigned seconds);
	/* ---- places.h ---- */
	unsigned asked; /* enum place */
	uint32_t notes;
	uint32_t seen[PLACES_MAX]; /* in all sequences */
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
void said_releases(void *data, const struct status *st, const struct db_release *r, size_t n, bool more);
void said_reserved(void *data, const struct status *st, const struct db_reserved *r, size_t n);
void said_view(void *data, const struct status *st, const struct db_job *j, size_t n, unsigned paused_kinds);
void said_schedules(void *data, const struct status *st, const struct db_schedule *t, size_t n, bool more);
void said_project(void *data, const struct status *st, const struct db_project *p);
void said_projects(void *data, const struct status *st, const struct db_project *p, size_t n, bool more);

/* ---- operations: chosen by a seed, then done on either side ---- */
/* Does the operation that `seed` says to a side, and waits for its answer. `words` say what it was. */
void op_run(struct side *s, uint64_t seed, struct buf *words);
void side_wait(struct side *s);
