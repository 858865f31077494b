/* call: the inside of every operation. An operation makes a call, adds statements to its
 * batch (one batch = one transaction) and runs it; `deliver` then reads the rows and calls the
 * caller's done. Used by the files of this folder only.
 *
 *	struct db_call *c = db_call_create(db, data);
 *	c->done.job = done;
 *	call_add(c, JOB_GET);
 *	…bind its parameters…
 *	return call_run(c, deliver_job);
 *
 * The call owns an arena for what it reads; all of it goes when `deliver` returns. */
#pragma once
#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "db/events.h"
#include "db/jobs.h"
#include "db/projects.h"
#include "db/registries.h"
#include "db/schedules.h"
#include "db/stacks.h"
#include "db/tokens.h"
#include "pg/pg.h"

struct keyring;

#define DB_DEADLINE_MS 5000

struct db_pg {
	struct db base;
	struct pg *pg;
	struct keyring *keyring;
	/* For ids: PostgreSQL's clock, as near as job_alive was told last, so that those of different daemons are
	 * in the order of their making, and never backwards within a daemon. */
	struct clock clock;
	const struct clock *own;
	int64_t ahead_us, last_us;
	int64_t round_trip_us; /* of the answer that ahead_us is from, and a quarter more with each since; 0: none */
	struct rng *rng;
	struct db_job_limits limits;
};
static inline struct db_pg *db_pg_of(struct db *db)
{
	return (struct db_pg *)db; /* base is its first member */
}

/* The request id of a mutation, kept until the batch has ended. */
struct call_request {
	const char *scope, *requester, *id, *method;
	struct str fingerprint;
	const struct pg_stmt *replay;
};

struct db_call {
	struct db_pg *db;
	struct arena *arena;
	struct pg_batch *batch; /* being built, then under way */
	/* st is OK and r the results, or st the failure and r NULL. Calls done, exactly once. */
	void (*deliver)(struct db_call *c, const struct status *st, const struct pg_results *r);
	/* A failed batch goes here first: true = another batch is under way instead. May be
	 * NULL. */
	bool (*recover)(struct db_call *c, const struct pg_results *r);
	struct call_request request;
	const char *subject; /* the name that a violated constraint is about */
	const void *params;  /* the operation's own, in the arena */
	union {
		db_done plain;
		db_archived_done archived;
		db_project_done project;
		db_projects_done projects;
		db_token_done token;
		db_tokens_done tokens;
		db_registry_done registry;
		db_registries_done registries;
		db_job_done job;
		db_jobs_done jobs;
		db_events_done events;
		db_stack_done stack;
		db_stacks_done stacks;
		db_release_done release;
		db_releases_done releases;
		db_release_objects_done release_objects;
		db_reserved_done reserved;
		db_look_done look;
		db_writes_done writes;
		db_job_stats_done job_stats;
		db_job_view_done job_view;
		db_schedule_done schedule;
		db_position_done position;
		db_stream_done stream;
		db_schedules_done schedules;
		db_schedules_due_done schedules_due;
	} done;
	void *data;
	unsigned page_size; /* of a list: one row more is asked for */
};

struct db_call *db_call_create(struct db *db, void *data);
struct db_call *call_run(struct db_call *c,
	void (*deliver)(struct db_call *c, const struct status *st, const struct pg_results *r));
/* `deliver` for operations whose answer is a status. */
void call_deliver_plain(struct db_call *c, const struct status *st, const struct pg_results *r);

/* The first statements of a caller's mutation: with a request id they make sending it twice
 * harmless. `result_id` is what the answer will name ("" = nothing); `replay` (NULL = nothing)
 * reads that answer again, its $1–$3 are scope, requester and request id. The rows of the answer are
 * those of the last statement, here and in the replay. */
void call_once(struct db_call *c, const struct db_scope *s, const char *result_id,
	const struct pg_stmt *replay);
/* Who it is to whom a request id belongs: $2 of its statements. */
const char *call_requester(const struct db_scope *s);
/* Looks for the first answer, where the answer costs more than a batch: the first statement's row says that there is one,
 * the last statement's (`replay`'s) are the answer. s->request_id is not empty. */
void call_recall(struct db_call *c, const struct db_scope *s, const struct pg_stmt *replay);
#define REPLAYED_ID \
	"(select result_id from request_ids where scope = $1 and actor = $2 and request_id = $3)"

/* A new id, kept in the arena. */
const char *call_uuid(struct db_call *c);
void call_add(struct db_call *c, const struct pg_stmt *s);
/* A statement whose only parameter is a text. */
void call_add_text(struct db_call *c, const struct pg_stmt *s, const char *text);

/* ---- binding: like pg_bind_* ---- */
void call_bind(struct db_call *c, const char *text);          /* NULL binds '' */
/* other programs' words: made UTF-8 */
void call_bind_lossy(struct db_call *c, const char *text);
/* the same, for rows that travel as JSON */
void call_json_text(json_t *object, const char *key, const char *text);
void call_bind_id(struct db_call *c, const char *id);         /* "" and NULL bind null */
void call_bind_scope(struct db_call *c, const struct db_scope *s);
/* How many rows a page has, of which call_page_rows tells whether there are more. */
unsigned call_page_size(struct db_call *c, const struct db_page *page);
/* The last two parameters of a list: the id to begin below (or null) and the number of rows. */
void call_bind_page(struct db_call *c, const struct db_page *page);
/* An audit row needs id, actor, method, request id: $1–$4 of every audit statement. */
void call_bind_audit(struct db_call *c, const struct db_scope *s);
void call_bind_audit_as(struct db_call *c, const struct db_scope *s, const char *id);

/* ---- reading ---- */
struct cursor { /* walks over the columns of a row */
	struct db_call *call;
	const struct pg_results *r;
	size_t stmt;
	int row, col;
};
const char *next_text(struct cursor *c);
struct uuid next_uuid(struct cursor *c);
int64_t next_i64(struct cursor *c);
int next_int(struct cursor *c);
bool next_bool(struct cursor *c);
struct str next_str(struct cursor *c);
/* The place of the text in `names` (an SQL enum; [0] is NULL), 0 when it is not there. */
int next_enum(struct cursor *c, const char *const *names);
/* A JSON array of texts (`to_json(text[])`). */
const char *const *next_texts(struct cursor *c, size_t *ret_n);
/* Rows of the list without the one that says there is more. */
size_t call_page_rows(const struct db_call *c, const struct pg_results *r, size_t stmt,
	bool *ret_more);
/* The rows of the answer: the last statement. */
static inline size_t call_last(const struct pg_results *r)
{
	return pg_result_count(r) - 1;
}
/* NOT_FOUND when the answer that a request id names is gone by now. */
struct status call_need_row(const struct db_call *c, const struct pg_results *r, const char *what);

/* ---- shared statements and readers ---- */
extern const struct pg_stmt db_fence; /* skep_fence(job, epoch) */
void call_fence(struct db_call *c, const char *job_id, int epoch);

/* Columns of a job, from `deployment_jobs j join projects p`. */
#define JOB_COLUMNS \
	"j.id, j.project_id, j.stack_id, j.deployment_id, p.name, j.stack_name, j.kind, j.state," \
	" j.params, j.epoch, j.attempt, j.max_attempts, j.takeovers, j.percent, j.undoing," \
	" j.cancel_requested, j.step, j.message, j.error, j.error_code, j.owner," \
	" to_json(j.warnings), j.release_number, j.last_sequence," \
	" skep_us(j.created_at), skep_us(j.run_at), skep_us(j.started_at), skep_us(j.finished_at)," \
	" j.failures"
#define JOB_COLUMNS_FROM \
	"select " JOB_COLUMNS " from deployment_jobs j join projects p on p.id = j.project_id "
/* What readers are told of a job, wherever it is: deployment_jobs and deployment_jobs_archive have these columns. `attempts`
 * is null while it is not in the archive. In a `from`, behind what `id` names: [left join] lateral ANY_JOB("d.job_id") j. */
#define JOB_KEPT \
	"id, project_id, stack_name, kind, state, params, epoch, attempt, max_attempts, takeovers, percent, undoing," \
	" cancel_requested, step, message, error, error_code, owner, warnings, release_number, last_sequence, created_at," \
	" run_at, started_at, finished_at, failures"
#define ANY_JOB(id_) \
	"(select " JOB_KEPT ", stack_id, deployment_id, null::json as attempts from deployment_jobs where id = " id_ \
	" union all select " JOB_KEPT ", (select s.id from orchestration_stacks s where s.id = a.stack_id)," \
	"  (select d.id from deployments d where d.id = a.deployment_id), attempts" \
	"  from deployment_jobs_archive a where id = " id_ ")"
void job_read(struct db_call *c, const struct pg_results *r, size_t stmt, int row,
	struct db_job *ret_job);
void job_deliver(struct db_call *c, const struct status *st, const struct pg_results *r);
void jobs_deliver(struct db_call *c, const struct status *st, const struct pg_results *r);
extern const struct pg_stmt job_replay;
/* The state in the next column; 0 for "". */
enum job_state job_next_state(struct cursor *at);
/* The last statements of a mutation that made or changed a job: audit, hints, the job as it is
 * now. */
void job_add_answer(struct db_call *c, const struct db_scope *s, const char *id);

/* Seals for a column of this call's rows. While there is no key yet (keyring_make), the call fails
 * with UNAVAILABLE. */
void call_seal(struct db_call *c, struct str aad, struct str plain, struct buf *ret_sealed);

/* The tables of operations, one file each; those of jobs and stacks are filled from several. */
extern const struct db_project_ops db_pg_projects;
extern const struct db_token_ops db_pg_tokens;
extern const struct db_registry_ops db_pg_registries;
extern const struct db_stack_ops db_pg_stacks;
extern const struct db_job_ops db_pg_jobs;
extern const struct db_schedule_ops db_pg_schedules;
extern const struct db_event_ops db_pg_events;
