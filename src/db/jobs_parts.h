/* jobs_parts: what jobs.c (callers' operations, the table) and jobs_worker.c (workers' ones)
 * share. */
#pragma once
#include "db/call.h"

struct db_call *job_claim(struct db *db, const char *owner, unsigned limit, unsigned lease_ms,
	db_jobs_done done, void *data);
struct db_call *job_renew(struct db *db, const char *owner, const struct uuid *ids,
	const int *epochs, size_t n, unsigned lease_ms, db_jobs_done done, void *data);
struct db_call *job_step(struct db *db, const char *id, int epoch, const char *step,
	const struct db_job_why *undoing, db_done done, void *data);
struct db_call *job_progress(struct db *db, const char *id, int epoch,
	const struct db_event *events, size_t n, db_done done, void *data);
struct db_call *job_finish(struct db *db, const char *id, int epoch, enum job_state state,
	const struct db_job_why *why, db_done done, void *data);
struct db_call *job_requeue(struct db *db, const char *id, int epoch, uint64_t delay_ms,
	bool failed, bool keep_step, const struct status *error, db_done done, void *data);
struct db_call *job_next_due(struct db *db, void (*done)(void *data, const struct status *st,
	int64_t in_ms), void *data);
struct db_call *job_housekeep(
	struct db *db, const struct db_retention *keep, db_done done, void *data);

/* What a job's end or change tells others: $1 is its id. */
extern const struct pg_stmt job_notify_event;   /* skep_events: something new to read */
extern const struct pg_stmt job_notify_waiting; /* skep_jobs: the next one of its stack may run */
extern const struct pg_stmt job_notify_ready;   /* skep_jobs: it waits to run */
