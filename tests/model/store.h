/* store: what PostgreSQL holds, in memory: projects, stacks, releases, jobs, events. Each function
 * is one operation of src/db (struct db_*_ops), done at once and as a whole, as a transaction that
 * met no other; what it answers is what the SQL answers (tests/sim/differential.c holds it to that).
 * fake_db.h puts it behind struct db.
 *
 * Everything lives in the store's arena until store_destroy; rows that were handed out stay as they
 * were. Time is the loop's, plus clock_ms. */
#pragma once
#include "base/arena.h"
#include "base/clock.h"
#include "db/events.h"
#include "db/projects.h"
#include "db/registries.h"
#include "db/schedules.h"
#include "db/stacks.h"

struct loop;

struct store_project {
	struct db_project row;
	const char *pause; /* NULL = it is not paused */
	int64_t gate_us;   /* when the next submission would be due */
};
struct store_stack {
	struct db_stack row; /* services: a list of its own, in the order of names */
	const char *networks[64]; /* "name=engine's name" */
	size_t n_networks;
	int64_t set_us;      /* when a job said last what the status is */
	unsigned observed;   /* how often */
	const char *drifted; /* what observe said last */
};
struct store_release {
	struct db_release row;
	struct str source, rendered;
	bool has_rendered;
	const char *const *objects;
	size_t n_objects;
	bool archived, leaves; /* its texts are gone; leaves: store_keep_house's own */
};
struct store_attempt {
	int epoch, attempt;
	const char *owner, *step, *error, *error_code;
	int64_t started_us, ended_us;
};
struct store_job {
	struct db_job row;
	const char *created_by;
	int64_t lease_us, claimed_us;
	int write_number; /* of the last one under this claim */
	struct db_event *log;
	size_t n_log, cap_log;
	struct store_attempt *attempts;
	size_t n_attempts;
	/* for tests */
	struct buf events; /* "kind|service|step|state|running/wanted|percent|message" a line */
	unsigned ends;     /* how often it ended and was not retried by hand since */
	bool percent_fell;
	bool archived, leaves; /* it ended long ago: told as before, but no more in the way; leaves: store_archive's own */
};
struct store_open;
struct store_streamed {
	int64_t xact, seq;
	struct uuid project_id, stack_id, job_id;
	struct db_event e;
};
struct store_request {
	const char *key, *method;
	struct str fingerprint;
	struct uuid result;
};

struct store {
	struct loop *loop;
	struct rng *rng; /* for ids */
	struct arena *arena;
	uint64_t clock_ms; /* ahead of the loop's: lets leases end */
	struct clock clock;
	int64_t last_us; /* of an id */
	struct store_project **projects; /* in the order of ids, as all of these */
	struct store_stack **stacks;
	struct store_release **releases;
	struct store_job **jobs;
	struct store_request *requests;
	size_t n_projects, n_stacks, n_releases, n_jobs, n_requests;
	const char *kind_pauses[JOB_KINDS]; /* NULL = it is not paused */
	int64_t turn;                       /* of claims */
	struct db_job_limits limits;
	struct store_streamed *stream; /* what is committed of it, in its order */
	struct store_open **open;
	size_t n_stream, n_open;
	int64_t xact, stream_seq, streamed_us;
	const struct store_job *streamed_job;
	struct db_schedule **schedules;
	size_t n_schedules;
	struct db_daemon *daemons; /* in the order in which they started */
	size_t n_daemons;
	struct db_registry registry; /* every project's credentials; host NULL: none */
	/* for tests */
	unsigned fenced; /* writes that were refused: the job was somebody else's */
	unsigned repairs_asked;
	/* NOTIFY, as soon as the transaction is done. May be NULL. */
	void (*notify)(void *data, const char *channel, const char *payload);
	/* A job's row changed. May be NULL. */
	void (*on_job)(void *data, const struct store_job *j, enum job_state before);
	/* One has been seen to. May be NULL. */
	void (*on_schedule)(void *data, const struct db_schedule *before, const struct db_schedule *after);
	void *data;
};

struct store *store_create(struct loop *l, struct rng *rng);
void store_destroy(struct store *s);
int64_t store_now_us(const struct store *s);

struct store_project *store_project_find(struct store *s, const char *id);
struct store_stack *store_stack_find(struct store *s, const char *id);
struct store_release *store_release_find(struct store *s, const char *id);
struct store_job *store_job_find(struct store *s, const char *id);

#define MUST_USE __attribute__((warn_unused_result))

/* ---- projects ---- */
struct status store_project_create(struct store *s, const struct db_scope *scope, const char *name,
	const char *description, struct store_project **ret_project) MUST_USE;
struct status store_project_ref(struct store *s, const struct db_scope *scope, const char *ref,
	struct store_project **ret_project) MUST_USE;
/* As skep_project_or_all(): NULL where none is named and the caller may see every one. */
struct status store_project_or_all(struct store *s, const struct db_scope *scope, const char *ref,
	struct store_project **ret_project) MUST_USE;
/* The row as it is told, with what is counted. */
struct db_project store_project_row(struct store *s, const struct store_project *p);
size_t store_project_list(struct store *s, struct arena *a, const struct db_scope *scope, const struct db_page *page,
	struct db_project **ret_list, bool *ret_more);
struct status store_project_remove(
	struct store *s, const struct db_scope *scope, const char *ref, const char *etag) MUST_USE;
struct status store_project_update(struct store *s, const struct db_scope *scope, const char *ref,
	const struct db_project_change *change, struct store_project **ret_project) MUST_USE;

/* ---- jobs: callers ---- */
struct status store_job_get(struct store *s, const struct db_scope *scope, const char *id,
	struct store_job **ret_job) MUST_USE;
struct status store_job_list(struct store *s, struct arena *a, const struct db_scope *scope,
	const struct db_job_filter *f, const struct db_page *page, struct db_job **ret_jobs,
	size_t *ret_n, bool *ret_more) MUST_USE;
struct status store_cancel(struct store *s, const struct db_scope *scope, const char *id,
	struct store_job **ret_job) MUST_USE;
struct status store_retry(struct store *s, const struct db_scope *scope, const char *id,
	struct store_job **ret_job) MUST_USE;
struct status store_retry_failed(struct store *s, struct arena *a, const struct db_scope *scope,
	const char *project, const char *stack, enum job_kind kind, struct db_job **ret_jobs,
	size_t *ret_n) MUST_USE;
struct status store_pause(struct store *s, const struct db_scope *scope, const char *project,
	enum job_kind kind, const char *reason) MUST_USE;
struct status store_resume(struct store *s, const struct db_scope *scope, const char *project,
	enum job_kind kind) MUST_USE;
struct status store_stats(struct store *s, struct arena *a, const struct db_scope *scope, const char *project,
	const unsigned *priorities, unsigned limit, struct db_job_stats *ret_stats) MUST_USE;
void store_keep_house(struct store *s, unsigned releases_keep);
void store_archive(struct store *s, int64_t age_s);
void store_alive(struct store *s, const struct db_daemon *d);
void store_gone(struct store *s, const char *id);
/* The JSON that `get` tells. */
struct str store_attempts(const struct store_job *j, struct arena *a);

/* ---- jobs: workers ---- */
void store_look(struct store *s, struct arena *a, unsigned limit, struct db_look *ret_look);
void store_claim(struct store *s, struct arena *a, const struct db_claim *claim,
	struct db_job **ret_jobs, size_t *ret_n);
void store_renew(struct store *s, struct arena *a, const char *owner, const struct uuid *ids,
	const int *epochs, size_t n, unsigned lease_ms, struct db_job **ret_jobs, size_t *ret_n);
struct status store_fence(struct store *s, const char *job_id, int epoch) MUST_USE;
bool store_write(struct store *s, const struct db_job_write *w);
void store_told(struct store *s, const struct db_told *told);

/* ---- stacks: callers ---- */
struct status store_deploy(struct store *s, const struct db_scope *scope,
	const struct db_stack_deploy *d, struct store_job **ret_job) MUST_USE;
struct status store_rollback(struct store *s, const struct db_scope *scope,
	const struct db_stack_rollback *r, struct store_job **ret_job) MUST_USE;
struct status store_submit(struct store *s, const struct db_scope *scope,
	const struct db_stack_job *j, struct store_job **ret_job) MUST_USE;
/* False: the name lies in the namespace of no stack but this one's. *ret_stack: "" = another project's. */
bool store_reserved(const struct store *s, const char *project_id, const char *namespace_,
	const char *name, const char **ret_stack);
struct status store_check_namespace(struct store *s, const struct db_scope *scope,
	const char *project, const char *name, const char *namespace_) MUST_USE;
struct status store_stack_ref(struct store *s, const struct db_scope *scope,
	const struct db_stack_ref *r, struct store_stack **ret_stack) MUST_USE;
/* The row as `get` tells it: with what is counted. */
struct db_stack store_stack_row(struct store *s, const struct store_stack *t);
struct db_release store_release_row(struct store *s, const struct store_release *r);
struct status store_stack_list(struct store *s, struct arena *a, const struct db_scope *scope, const char *project,
	const struct db_page *page, struct db_stack **ret_list, size_t *ret_n, bool *ret_more) MUST_USE;
struct status store_release_list(struct store *s, struct arena *a, const struct db_scope *scope, const struct db_stack_ref *r,
	const struct db_page *page, struct db_release **ret_list, size_t *ret_n, bool *ret_more) MUST_USE;
/* What a schedule of that kind submits. */
struct status store_redeploy(struct store *s, const struct db_scope *scope, const struct db_stack_ref *r, int max_attempts,
	struct store_job **ret_job) MUST_USE;
/* Are the services there that the job's parameters name? */
struct status store_need_services(struct store *s, const struct store_stack *t, const struct db_stack_job *q) MUST_USE;
/* A job of no stack, for tests of the queue. */
struct store_job *store_job_add(struct store *s, const struct store_project *p, enum job_kind kind,
	const char *params, int max_attempts);

/* ---- stacks: flows and the observer ---- */
struct status store_load_release(struct store *s, const char *project_id, const char *id,
	struct store_release **ret_release) MUST_USE;
size_t store_good_releases(struct store *s, struct arena *a, const char *project_id,
	const char *stack_id, unsigned limit, struct db_release_objects **ret_list);
struct status store_source(struct store *s, const struct db_job *job, const char *release_id,
	struct str source) MUST_USE;
struct status store_rendered(struct store *s, const struct db_job *job, const char *release_id,
	const struct db_rendered *r) MUST_USE;
struct status store_set_status(struct store *s, const struct db_job *job, enum stack_status status,
	const char *message) MUST_USE;
struct status store_activate(struct store *s, const struct db_job *job, const char *release_id,
	const struct db_service *services, size_t n) MUST_USE;
struct status store_fail_release(
	struct store *s, const struct db_job *job, const char *release_id) MUST_USE;
struct status store_removed(struct store *s, const struct db_job *job) MUST_USE;
struct status store_set_networks(struct store *s, const struct db_job *job,
	const char *const *names, const char *const *engine_names, size_t n) MUST_USE;
size_t store_watched(struct store *s, struct arena *a, const char *after_id, unsigned limit,
	struct db_stack **ret_stacks, bool *ret_more);
struct status store_observe(struct store *s, const char *stack_id, enum stack_status status,
	const char *message, const char *drifted, const struct db_service *services,
	size_t n, uint64_t age_ms) MUST_USE;
struct status store_repair(struct store *s, const char *stack_id, const char *release_id,
	const char *why, int max_an_hour, struct store_job **ret_job) MUST_USE;

/* ---- schedules ---- */
#define STORE_SCHEDULE_SPEED 10 /* their clock's: a minute of their expressions is so much shorter */
int64_t store_schedule_now_us(const struct store *s);
struct db_schedule *store_schedule_add(struct store *s, const struct store_stack *t, const char *name, enum schedule_action action,
	const char *cron, enum schedule_missed missed, int jitter_s);
/* As a caller makes one: the names are looked up, the times are given. */
struct status store_schedule_create(struct store *s, const struct db_scope *scope, const struct db_schedule_new *n,
	struct db_schedule **ret_row) MUST_USE;
struct status store_schedule_get(struct store *s, const struct db_scope *scope, const char *project, const char *name,
	struct db_schedule **ret_row) MUST_USE;
/* As it is told, with what became of its last job. */
struct db_schedule store_schedule_row(struct store *s, struct arena *a, const struct db_schedule *row);
struct status store_schedule_list(struct store *s, struct arena *a, const struct db_scope *scope, const char *project,
	const struct db_page *page, struct db_schedule **ret_list, size_t *ret_n, bool *ret_more) MUST_USE;
struct status store_schedule_update(struct store *s, const struct db_scope *scope, const char *id, int64_t revision,
	const struct db_schedule_change *change, struct db_schedule **ret_row) MUST_USE;
struct status store_schedule_remove(
	struct store *s, const struct db_scope *scope, const char *project, const char *name) MUST_USE;
void store_schedule_pause(struct store *s, struct db_schedule *row);
size_t store_schedules_due(struct store *s, struct arena *a, unsigned limit, struct db_schedule **ret_list, int64_t *ret_due_ms);
struct status store_schedule_fire(struct store *s, const struct db_schedule *asked, int attempts,
	const struct db_schedule_times *next, struct store_job **ret_job) MUST_USE;
struct status store_schedule_pass(struct store *s, const struct db_schedule *asked, enum schedule_outcome outcome,
	const char *message, const struct db_schedule_times *next) MUST_USE;

/* ---- the stream of all events ---- */
/* Where it goes on for who has seen all: behind the last event below the horizon; 0: there is none. */
int64_t store_stream_end(const struct store *s);
/* Those that the observer writes are left out. */
struct status store_stream_read(struct store *s, struct arena *a, const struct db_scope *scope, const struct db_stream_filter *f,
	struct db_stream_position after, unsigned limit, struct db_stream_batch *ret_batch) MUST_USE;
/* Somebody else's transaction, which stays open; committing frees it. */
struct store_open *store_open(struct store *s);
void store_open_event(struct store *s, struct store_open *o);
void store_open_commit(struct store *s, struct store_open *o);

/* ---- between the files of the store ---- */
void store_stream_add(struct store *s, const struct store_job *j, const struct db_event *e);
void store_stream_finish(struct store *s);
struct uuid store_id(struct store *s);
void store_tell(struct store *s, const char *channel, const char *payload);
/* Has this request been answered? True: *ret_st is that answer's, *ret_result the id in it. */
bool store_replays(struct store *s, const struct db_scope *scope, struct status *ret_st,
	struct uuid *ret_result);
void store_remember(struct store *s, const struct db_scope *scope, const char *result_id);
void store_event(struct store *s, struct store_job *j, const struct db_event *e);
/* It is deleted, with all that is known of it. */
void store_job_drop(struct store_job *j);
/* The job's own state, step and percent in it. */
void store_job_event(struct store *s, struct store_job *j, const char *kind, const char *message);
void store_attempt_add(struct store *s, struct store_job *j, const char *error,
	const char *error_code);
/* Ends it or starts it: row.state, told to on_job. */
void store_put_state(struct store *s, struct store_job *j, enum job_state state);
void store_tell_ready(struct store *s, const struct store_job *j);
void store_tell_waiting(struct store *s, const struct store_job *j);
bool store_is_blocked(const struct store *s, const struct store_job *j);
/* Is the row of this id on the page? */
static inline bool store_on_page(const struct db_page *page, const struct uuid *id)
{
	return !page->before[0] || strcmp(id->text, page->before) < 0;
}
/* Is the job the stack's? */
static inline bool store_is_of(const struct store_job *j, const struct store_stack *t)
{
	return strcmp(j->row.stack_id.text, t->row.id.text) == 0;
}
struct db_job store_job_row(const struct store_job *j, struct arena *a);
struct status store_admit(struct store *s, struct store_project *p) MUST_USE;
struct store_job *store_stack_job_add(struct store *s, struct store_stack *t, enum job_kind kind,
	const char *params, int max_attempts, const char *created_by, struct store_release *r);
void store_created(struct store *s, struct store_job *j);
