/* jobs: deployment_jobs and their events. Two kinds of callers: api (by scope) and the worker (by
 * epoch): every write of a worker is `where id and epoch and state = 'running'`; when no row
 * matches, the job belongs to somebody else now, and the worker stops. UNAVAILABLE:
 * it may or may not have been written; a worker repeats the operation, which is harmless.
 *
 * * Notifications (LISTEN), in the transaction: skep_jobs "<project id> <job id>" when a job waits
 * to run (made, retried, handed back, or the one before it on its stack ended); skep_events "<job
 * id> …" on new events of jobs; skep_cancel "<job id>"; skep_stacks "<stack id>" when a status
 * of a stack or of its services changed. Of what `claim` and `write` do, `tell` notifies, behind
 * their commits: commits that notify wait for each other, and for each one's way to the disk. */
#pragma once
#include <string.h>
#include "db/db.h"

/* The job of a payload of skep_jobs; NULL: it names none. */
static inline const char *job_told(const char *payload)
{
	const char *space = payload ? strchr(payload, ' ') : NULL;
	return space ? space + 1 : NULL;
}

enum job_kind { JOB_DEPLOY = 1, JOB_UPDATE, JOB_SCALE, JOB_RESTART, JOB_REMOVE, JOB_ROLLBACK,
	JOB_BUILD, JOB_RENEW_CERTIFICATE, JOB_PUBLISH_ROUTES, JOB_HOUSEKEEPING, JOB_ADOPT };
#define JOB_KINDS (JOB_ADOPT + 1)
enum job_state { JOB_PENDING = 1, JOB_RUNNING, JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED };
const char *job_kind_name(enum job_kind k);   /* as in SQL: "deploy" */
const char *job_state_name(enum job_state s); /* "pending" */
static inline bool job_state_is_end(enum job_state s)
{
	return s >= JOB_SUCCEEDED;
}

struct db_job {
	struct uuid id, project_id, stack_id, deployment_id; /* "" = none */
	const char *project, *stack; /* names */
	enum job_kind kind;
	enum job_state state;
	struct str params; /* JSON */
	int epoch, attempt, max_attempts, percent;
	int takeovers; /* since a step was last completed */
	bool undoing, cancel_requested;
	const char *step, *message, *error, *error_code, *owner;
	const char *const *warnings;
	size_t n_warnings;
	struct str failures; /* JSON, see struct db_job_why */
	int64_t release_number, last_sequence;
	int64_t created_us, run_us, started_us, finished_us; /* 0 = not yet */
	unsigned images;     /* of the release; only a claim tells it */
	struct str attempts; /* that did not succeed; only `get` and `view` tell them: a JSON list of {"attempt",
			      * "daemon","step","error","error_code","started_us","ended_us"} */
};

/* A job that waits, and what may hold it back. */
struct db_waiting {
	struct db_job job;
	struct uuid blocker;    /* an older job of its stack that has not ended; "" = none */
	const char *pause;      /* why its project or kind is paused; "" = it is not */
	bool later;             /* it is not due yet */
	unsigned before;        /* jobs of its project that go first */
	unsigned project_running, kind_running, max_running;
};
struct db_queue_stats {
	const char *project;
	enum job_kind kind;
	unsigned waiting, running;
	int64_t oldest_us; /* 0 = nothing waits */
};
struct db_pause {
	const char *project; /* "" = of a kind */
	enum job_kind kind;  /* 0 = of a project */
	const char *reason, *paused_by;
	int64_t paused_us;
};
struct db_daemon {
	struct uuid id;
	const char *host, *version;
	unsigned slots;
	unsigned running; /* out */
	int64_t started_us, seen_us;
	bool alive; /* seen within 10 s */
};
struct db_job_stats {
	const struct db_waiting *waiting; /* by project, in the order in which they go */
	const struct db_queue_stats *queues;
	const struct db_pause *pauses;
	const struct db_daemon *daemons; /* none for a scope of one project */
	const struct db_job *running_jobs; /* longest first */
	size_t n_waiting, n_queues, n_pauses, n_daemons, n_running_jobs;
	unsigned slots, running; /* of the daemons that are alive, and all running jobs */
	unsigned ended, failed, submitted; /* in the last minute, in scope */
};

/* What could be started of one kind in one project. */
struct db_queue {
	struct uuid project_id;
	enum job_kind kind;
	unsigned waiting;      /* and could run now; at most what the look asked for */
	int64_t oldest_us;     /* since when the first of them is due */
	unsigned project_running, kind_running; /* of the project, and of this kind in it; anywhere */
	unsigned weight, max_running;           /* the project's */
};
struct db_look {
	int64_t turn;     /* for the claim */
	unsigned expired; /* jobs whose lease has ended: anybody may take them over */
	int64_t due_ms;   /* when the next lease ends or the next job is due; -1 = nothing is */
	const struct db_queue *queues; /* in the order of project ids; none that is paused */
	size_t n;
};
struct db_pick {
	struct uuid project_id;
	enum job_kind kind;
	unsigned n;
};
struct db_claim {
	const char *owner;
	unsigned lease_ms;
	unsigned takeovers; /* at most */
	int64_t turn;       /* of the look that the picks are a decision about */
	const struct db_pick *picks;
	size_t n;
};

/* Why a job does not succeed. */
struct db_job_why {
	struct status st;
	const char *text; /* the whole story; "" = st.message */
	/* A list, one object a service: {"service","message","task","slot","node","error",
	 * "exit_code","oom_killed","health","registry","hint","nodes":[],"log":[]}; "" = none. */
	struct str failures;
};

struct db_event {
	int64_t sequence; /* out */
	int64_t time_us;  /* out */
	const char *kind, *message, *service, *step, *state; /* NULL reads as "" */
	int percent, running, wanted;
};

/* What one run of a job has to write. What is not set is left as it is. */
struct db_job_write {
	const char *id;
	int epoch;
	/* Counts the run's writes under this claim, from 1. One that the server gets to behind a later one is not held: its sender has
	 * given it up and gone on. */
	int number;
	/* Of the first that had these events: `number`, or a lower one when it is sent again because nobody knows whether that arrived. */
	int first;
	/* Appended, numbered by the job's row. Percent and message of the job become those of the
	 * last one that has them (> 0, not ""; a message of the job, not of a service). An event
	 * without percent gets the job's. */
	const struct db_event *events;
	size_t n_events;
	/* The last completed step, NULL = unchanged; with `undoing`, that it is taken back from
	 * here on, and why: a daemon that takes over tells the same. Takeovers are counted from
	 * here again. */
	const char *step;
	const struct db_job_why *undoing;
	/* 0: it goes on. An end: `why` it does not succeed (NULL: it did); adds "job.ended".
	 * JOB_PENDING: it waits for delay_ms, then anybody may claim it; after a failed attempt
	 * with `why`, else (NULL) handed back untouched: the attempt is not counted. The step is
	 * kept when keep_step. Adds "job.requeued". */
	enum job_state state;
	const struct db_job_why *why;
	uint64_t delay_ms;
	bool keep_step;
};
#define DB_WRITES_MAX 200 /* at a time */

/* What a claim or a write has done that others may want to hear of. */
struct db_told {
	struct uuid id, project_id, stack_id; /* of the job */
	enum db_told_what {
		TOLD_EVENTS, /* it has new ones */
		TOLD_READY,  /* and waits to run */
		TOLD_GONE,   /* and runs no more: another may run in its place */
	} what;
};
#define DB_TOLD_MAX 1000 /* at a time */

typedef void (*db_job_done)(void *data, const struct status *st, const struct db_job *j);
typedef void (*db_jobs_done)(void *data, const struct status *st, const struct db_job *j, size_t n,
	bool more);
/* held: by write, that it is stored; else the job is somebody else's. */
typedef void (*db_writes_done)(void *data, const struct status *st, const bool *held, size_t n);
typedef void (*db_look_done)(void *data, const struct status *st, const struct db_look *look);
/* paused_kinds: bit 1 << enum job_kind */
typedef void (*db_job_view_done)(void *data, const struct status *st, const struct db_job *j, size_t n,
	unsigned paused_kinds);
typedef void (*db_job_stats_done)(void *data, const struct status *st, const struct db_job_stats *s);
typedef void (*db_archived_done)(void *data, const struct status *st, bool more);
typedef void (*db_events_done)(void *data, const struct status *st, const struct db_event *e,
	size_t n);

struct db_job_filter {
	const char *project; /* id or name, "" = all in scope */
	const char *stack;   /* name or id, "" = all */
	unsigned states;     /* bit 1 << enum job_state; 0 = all */
	unsigned kinds;      /* bit 1 << enum job_kind; 0 = all */
	int64_t from_us, until_us; /* made then or later, and before then; 0 = whenever */
};

/* What is kept at least. Events and audit rows leave by whole months. */
struct db_retention {
	int64_t events_s, audit_s;
	unsigned releases; /* superseded ones of a stack; and as many failed ones */
	int64_t jobs_age_s; /* since their end: then they go to the archive */
	int64_t jobs_s;     /* in all, since they were made; they leave by whole months */
};

struct db_job_ops {
	/* ---- callers ---- */
	/* `get`, `list` and `events` tell of jobs in the archive as of the others. */
	struct db_call *(*get)(struct db *db, const struct db_scope *s, const char *id,
		db_job_done done, void *data);
	/* Newest first, in the order of ids. OUT_OF_RANGE: the page begins at a job that was dropped since. */
	struct db_call *(*list)(struct db *db, const struct db_scope *s,
		const struct db_job_filter *f, const struct db_page *page, db_jobs_done done,
		void *data);
	/* Events with sequence > after, at most `limit`, in order. */
	struct db_call *(*events)(struct db *db, const struct db_scope *s, const char *id,
		int64_t after, unsigned limit, db_events_done done, void *data);
	/* Pending → cancelled (its release → failed) in one transaction with an event; running →
	 * cancel_requested. A pending one that was handed back in the middle (step is kept) has
	 * something to take back: cancel_requested, and it runs at once. An ended job:
	 * FAILED_PRECONDITION. Notifies skep_cancel with the id. */
	struct db_call *(*cancel)(struct db *db, const struct db_scope *s, const char *id,
		db_job_done done, void *data);
	/* Failed or cancelled → pending, run now, one more attempt allowed, step and undoing
	 * cleared; a superseded release's job: FAILED_PRECONDITION. One in the archive comes back. */
	struct db_call *(*retry)(struct db *db, const struct db_scope *s, const char *id,
		db_job_done done, void *data);
	/* The last job of each stack of the project (or of that stack: NOT_FOUND when there is none), if it failed
	 * and is of that kind (0 = any): as by `retry`. At most 500. */
	struct db_call *(*retry_failed)(struct db *db, const struct db_scope *s, const char *project,
		const char *stack, enum job_kind kind, db_jobs_done done, void *data);
	/* For who shows jobs elsewhere: those of these ids that there are, of all projects, in any order, and what is
	 * paused just now. */
	struct db_call *(*view)(struct db *db, const struct uuid *ids, size_t n, db_job_view_done done,
		void *data);
	/* priorities: by kind, of JOB_KINDS; at most `limit` waiting ones, and running ones. */
	struct db_call *(*stats)(struct db *db, const struct db_scope *s, const char *project,
		const unsigned *priorities, unsigned limit, db_job_stats_done done, void *data);
	/* Either a project ("" = none) or a kind (0 = none). Pausing again changes the reason. */
	struct db_call *(*pause)(struct db *db, const struct db_scope *s, const char *project,
		enum job_kind kind, const char *reason, db_done done, void *data);
	struct db_call *(*resume)(struct db *db, const struct db_scope *s, const char *project,
		enum job_kind kind, db_done done, void *data);

	/* ---- workers ---- */
	/* This daemon lives. Those not heard of for an hour are forgotten. Tells db what PostgreSQL's clock says: new ids
	 * are by that. */
	struct db_call *(*alive)(
		struct db *db, const struct db_daemon *daemon, db_done done, void *data);
	/* It has drained and ends. */
	struct db_call *(*gone)(struct db *db, const char *id, db_done done, void *data);
	/* What there is to claim: of each queue at most `limit`. */
	struct db_call *(*look)(struct db *db, unsigned limit, db_look_done done, void *data);
	/* Takes over jobs whose lease has ended (takeovers + 1), and takes from each picked queue
	 * so many that are due, oldest first: the oldest pending one of each stack, none of it
	 * running. When another claim came between the look and this one, the picks are void and
	 * only takeovers happen. Bumps epoch, sets owner, lease, started_at; adds event
	 * "job.started" or "job.resumed". */
	struct db_call *(*claim)(
		struct db *db, const struct db_claim *claim, db_jobs_done done, void *data);
	/* Extends the leases of this owner's jobs (ids and epochs pairwise) that have not ended. done
	 * gets those, with cancel_requested. */
	struct db_call *(*renew)(struct db *db, const char *owner, const struct uuid *ids,
		const int *epochs, size_t n, unsigned lease_ms, db_jobs_done done, void *data);
	/* What runs have to write, at most one write a job and DB_WRITES_MAX of them, in one
	 * transaction. Each is fenced for itself: one that is not held any more writes nothing, and
	 * the others are not held up by it. A failure stands for all of them. Repeating a write
	 * (`again`) is harmless: events that are there already are not appended, an end that is
	 * stored already is held. */
	struct db_call *(*write)(struct db *db, const struct db_job_write *writes, size_t n,
		db_writes_done done, void *data);
	/* Notifies skep_events of these jobs, and skep_jobs of what may run by now: those of them that are ready; of those that are gone the
	 * next one of each stack, and one of each project. At most DB_TOLD_MAX. What is stored does not depend on it. */
	struct db_call *(*tell)(struct db *db, const struct db_told *told, size_t n, db_done done, void *data);
	/* Does nothing unless it is due, once an hour in all daemons: partitions of this month and the next are made, those that are older than
	 * is to be kept are dropped; old releases archived, request ids that no longer count
	 * forgotten. One daemon at a time: while another is at it, it is OK at once. What fails
	 * undoes nothing else: INTERNAL says what it was. */
	struct db_call *(*housekeep)(
		struct db *db, const struct db_retention *keep, db_done done, void *data);
	/* Moves a batch of the jobs that ended long ago to the archive: they are read as before, and no more in the way. The
	 * newest of each stack stays. Does nothing unless it is due, once a minute in all daemons, and at once while there is
	 * more; nor while another daemon is at it. */
	struct db_call *(*archive)(
		struct db *db, const struct db_retention *keep, db_archived_done done, void *data);
};
