/* schedules: what is done to a stack again and again. When a schedule is due next is worked out by the caller
 * (jobs/timetable) and stored with it. Every change bumps `revision`: a change that was decided on an older one is
 * ABORTED, so whatever the number of daemons, a run is submitted once.
 *
 * Notification: skep_schedules when one was made or changed. */
#pragma once
#include "db/jobs.h"

#define DB_SCHEDULES_MAX 100 /* of a project */

enum schedule_action { SCHEDULE_REDEPLOY = 1, SCHEDULE_RESTART, SCHEDULE_SCALE };
enum schedule_missed { SCHEDULE_SKIP = 1, SCHEDULE_RUN_ONCE };
enum schedule_outcome { SCHEDULE_SUBMITTED = 1, SCHEDULE_SKIPPED, SCHEDULE_MISSED, SCHEDULE_REFUSED };
const char *schedule_action_name(enum schedule_action a); /* as in SQL: "redeploy" */

struct db_schedule {
	struct uuid id, project_id, stack_id, last_job_id; /* "" = none */
	const char *project, *stack, *name;                /* names */
	enum schedule_action action;
	struct str params; /* JSON, of the job */
	const char *cron, *time_zone;
	int jitter_s;
	enum schedule_missed missed;
	bool paused;
	int64_t revision;
	int64_t next_us, due_us, last_us;
	enum schedule_outcome last_outcome; /* 0 = it has never been due */
	const char *last_message;
	enum job_state last_job_state; /* 0 = there is no such job */
	const char *last_job_error;    /* its first line */
	const char *created_by;
	int64_t created_us, updated_us;
};
/* When it is due next: as the expression says, and with the jitter; seconds since 1970. */
struct db_schedule_times {
	int64_t next_s, due_s;
};
struct db_schedule_new {
	const char *project, *stack, *name;
	enum schedule_action action;
	struct str params;
	const char *cron, *time_zone;
	int jitter_s;
	enum schedule_missed missed;
	struct db_schedule_times times;
};
/* The whole of what can be changed. */
struct db_schedule_change {
	const char *cron, *time_zone;
	int jitter_s;
	enum schedule_missed missed;
	bool paused;
	struct db_schedule_times times;
};

typedef void (*db_schedule_done)(void *data, const struct status *st, const struct db_schedule *s);
typedef void (*db_schedules_done)(
	void *data, const struct status *st, const struct db_schedule *s, size_t n, bool more);
/* now_us: the database's clock. due_ms: until the next one that is not among them is due; -1 = none is. */
typedef void (*db_schedules_due_done)(void *data, const struct status *st, const struct db_schedule *s, size_t n,
	int64_t now_us, int64_t due_ms);

struct db_schedule_ops {
	/* ---- callers: `name` is a name in the project, or an id ---- */
	struct db_call *(*create)(struct db *db, const struct db_scope *s, const struct db_schedule_new *n,
		db_schedule_done done, void *data);
	struct db_call *(*get)(struct db *db, const struct db_scope *s, const char *project, const char *name,
		db_schedule_done done, void *data);
	/* project "" = every one in scope */
	struct db_call *(*list)(struct db *db, const struct db_scope *s, const char *project, const struct db_page *page,
		db_schedules_done done, void *data);
	struct db_call *(*update)(struct db *db, const struct db_scope *s, const char *id, int64_t revision,
		const struct db_schedule_change *change, db_schedule_done done, void *data);
	struct db_call *(*remove)(struct db *db, const struct db_scope *s, const char *project, const char *name,
		db_done done, void *data);

	/* ---- the daemon that looks after them (jobs/schedules) ---- */
	/* At most `limit` that are due, the longest first. */
	struct db_call *(*due)(struct db *db, unsigned limit, db_schedules_due_done done, void *data);
	/* Submits its job, stores that, and when it is due next, in one transaction. `attempts`: of the job. ABORTED too when its last
	 * job runs or waits, whatever was read of that: somebody has run it once more. What its stack refuses is FAILED_PRECONDITION,
	 * NOT_FOUND or RESOURCE_EXHAUSTED: then nothing is stored. */
	struct db_call *(*fire)(struct db *db, const struct db_schedule *s, int attempts,
		const struct db_schedule_times *next, db_job_done done, void *data);
	/* It does not run this time. */
	struct db_call *(*pass)(struct db *db, const struct db_schedule *s, enum schedule_outcome outcome,
		const char *message, const struct db_schedule_times *next, db_done done, void *data);
};
