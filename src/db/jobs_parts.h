/* jobs_parts: what jobs.c, jobs_stats.c and jobs_view.c (callers' operations, the table), jobs_worker.c, jobs_claim.c and
 * jobs_write.c (workers' ones) and projects.c (caps) share. */
#pragma once
#include "db/call.h"

struct db_call *job_look(struct db *db, unsigned limit, db_look_done done, void *data);
struct db_call *job_claim(
	struct db *db, const struct db_claim *claim, db_jobs_done done, void *data);
struct db_call *job_renew(struct db *db, const char *owner, const struct uuid *ids,
	const int *epochs, size_t n, unsigned lease_ms, db_jobs_done done, void *data);
struct db_call *job_write(struct db *db, const struct db_job_write *writes, size_t n,
	db_writes_done done, void *data);
struct db_call *job_tell(struct db *db, const struct db_told *told, size_t n, db_done done, void *data);
struct db_call *job_list(struct db *db, const struct db_scope *s, const struct db_job_filter *f, const struct db_page *page,
	db_jobs_done done, void *data);
/* Its statements, one a shape, for the test of their plans. All take $1 states, $2 kinds, $3 below which id, $4 from which id
 * on, $5 rows. */
enum job_list { JOB_LIST_ALL, JOB_LIST_PROJECT, JOB_LIST_STACK, JOB_LIST_STACK_ANYWHERE, JOB_LISTS };
extern const struct pg_stmt job_list_statements[JOB_LISTS];

struct db_call *job_archive(struct db *db, const struct db_retention *keep, db_archived_done done, void *data);
struct db_call *job_housekeep(
	struct db *db, const struct db_retention *keep, db_done done, void *data);

struct db_call *job_view(
	struct db *db, const struct uuid *ids, size_t n, db_job_view_done done, void *data);
struct db_call *job_stats(struct db *db, const struct db_scope *s, const char *project,
	const unsigned *priorities, unsigned limit, db_job_stats_done done, void *data);
struct db_call *job_pause(struct db *db, const struct db_scope *s, const char *project,
	enum job_kind kind, const char *reason, db_done done, void *data);
struct db_call *job_resume(struct db *db, const struct db_scope *s, const char *project,
	enum job_kind kind, db_done done, void *data);
struct db_call *job_alive(
	struct db *db, const struct db_daemon *daemon, db_done done, void *data);
struct db_call *job_gone(struct db *db, const char *id, db_done done, void *data);

/* The columns of a job, where it is not alone in its row. */
void job_read_columns(struct cursor *at, struct db_job *j);
/* The kind in the next column; 0 for one that this skepd does not know. */
enum job_kind job_next_kind(struct cursor *at);
/* A row of a claim: JOB_COLUMNS, images. */
void job_read_claimed(struct db_call *c, const struct pg_results *r, int row, struct db_job *j);

/* What a job's end or change tells others: $1 is its id. */
extern const struct pg_stmt job_notify_event;   /* skep_events: something new to read */
extern const struct pg_stmt job_notify_ready;   /* skep_jobs: it waits to run */
/* These run no more: skep_jobs for those of them that wait again, and for what may run in their place. */
void job_add_next(struct db_call *c, const char *const *ids, size_t n);
/* What may run has changed (a pause, a cap): what was decided before is void, and every daemon looks anew. */
void job_add_turn(struct db_call *c);

/* An event about the change that the CTE `j` made to a job. */
#define EVENT_OF_J(kind, message) \
	" insert into events (project_id, stack_id, job_id, job_sequence, kind, message," \
	"  state, step, percent)" \
	" select project_id, stack_id, id, last_sequence, " kind ", " message "," \
	"  state, step, percent from j"

/* What is known of the attempts that did not succeed of a job `j` of ANY_JOB: struct db_job's `attempts`. */
#define JOB_ATTEMPTS "coalesce(j.attempts, skep_attempts(j.id))"

/* The row of an attempt that did not succeed. */
#define ATTEMPT_OF_J \
	" insert into job_attempts (job_id, epoch, attempt, owner, step, error, error_code, started_at)" \
	" select id, epoch, attempt, owner, step, error, error_code, claimed_at from j"
