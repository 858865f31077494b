/* fake_db: struct db over a store (store.h), with the faults of a script. The store outlives daemons;
 * each daemon has its front. */
#pragma once
#include "fake_call.h"
#include "store.h"

struct fake_db {
	struct db base;
	struct fake_front front;
	struct store *store;
};
/* `l` is the daemon's loop; NULL = the script's. */
void fake_db_init(struct fake_db *d, struct fake_script *s, struct loop *l, struct store *store);

/* ---- between its files ---- */
extern const struct db_job_ops fake_job_ops;         /* fake_db_jobs.c */
extern const struct db_stack_ops fake_stack_ops;     /* fake_db_stacks.c */
extern const struct db_project_ops fake_project_ops; /* fake_db_projects.c */
extern const struct db_registry_ops fake_registry_ops;
extern const struct db_event_ops fake_event_ops;       /* fake_db_events.c */
extern const struct db_schedule_ops fake_schedule_ops; /* fake_db_schedules.c */

/* What an operation was asked for: copied. */
struct fake_args {
	struct store *store;
	struct db_scope scope;
	struct db_job job; /* id, epoch, stack */
	const char *id, *text, *message, *project, *stack;
	int64_t after;
	uint64_t ms;
	unsigned limit;
	int epoch;
	bool failed, keep, has_why;
	enum job_kind kind;
	enum job_state state;
	enum stack_status status;
	struct db_job_why why;
	struct str bytes;
	struct db_page page;
	struct db_job_filter filter;
	struct db_claim claim;
	struct db_stack_ref ref;
	struct db_stack_deploy deploy;
	struct db_stack_rollback rollback;
	struct db_stack_job submit;
	struct db_rendered rendered;
	struct db_project_change change;
	struct db_schedule schedule;
	struct db_schedule_change schedule_change;
	struct db_stream_filter stream;
	struct db_daemon daemon;
	struct db_schedule_new new_schedule;
	struct db_stream_position position;
	struct db_schedule_times times;
	const struct uuid *ids;
	const int *epochs;
	const unsigned *priorities;
	struct db_job_write *writes;
	const struct db_told *told;
	const struct db_service *services;
	const char *const *names, *const *engine_names;
	size_t n;
};
struct fake_call *fake_db_call(struct db *db, const struct db_scope *s, void (*done)(void), void *data);
static inline struct fake_args *fake_args(struct fake_call *c)
{
	return c->args;
}
static inline struct db_call *fake_handle(struct fake_call *c)
{
	return (struct db_call *)(void *)c;
}
#define DONE(f) ((void (*)(void))(f))
const char *const *fake_copy_texts(struct arena *a, const char *const *texts, size_t n);
struct str fake_copy_str(struct arena *a, struct str s);
struct db_page fake_copy_page(struct arena *a, const struct db_page *p);
struct db_service *fake_copy_services(struct arena *a, const struct db_service *v, size_t n);
void fake_deliver_done(struct fake_call *c, const struct status *st);
void fake_deliver_job(struct fake_call *c, const struct status *st); /* result: struct db_job */
void fake_deliver_jobs(struct fake_call *c, const struct status *st);
/* The result of a call that made or changed a job. */
struct status fake_job_result(
	struct fake_call *c, struct status st, const struct store_job *j) __attribute__((warn_unused_result));
