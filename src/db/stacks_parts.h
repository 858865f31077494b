/* stacks_parts: what stacks.c (reads, the table), stacks_submit.c (callers' mutations),
 * stacks_flow.c (flows' writes) and stacks_observe.c share. */
#pragma once
#include "db/call.h"

struct db_call *stack_deploy(struct db *db, const struct db_scope *s,
	const struct db_stack_deploy *d, db_job_done done, void *data);
struct db_call *stack_rollback(struct db *db, const struct db_scope *s,
	const struct db_stack_rollback *r, db_job_done done, void *data);
struct db_call *stack_submit(struct db *db, const struct db_scope *s, const struct db_stack_job *j,
	db_job_done done, void *data);

struct db_call *stack_check_namespace(struct db *db, const struct db_scope *s, const char *project,
	const char *name, const char *namespace_, db_done done, void *data);

struct db_call *stack_load_release(struct db *db, const char *project_id, const char *deployment_id,
	db_release_done done, void *data);
struct db_call *stack_store_source(struct db *db, const struct db_job *job,
	const char *deployment_id, struct str source, db_done done, void *data);
struct db_call *stack_store_rendered(struct db *db, const struct db_job *job,
	const char *deployment_id, const struct db_rendered *r, db_done done, void *data);
struct db_call *stack_good_releases(struct db *db, const char *project_id, const char *stack_id,
	unsigned limit, db_release_objects_done done, void *data);
struct db_call *stack_reserved(struct db *db, const char *project_id, const char *namespace_,
	const char *const *names, size_t n_names, db_reserved_done done, void *data);
struct db_call *stack_set_status(struct db *db, const struct db_job *job, enum stack_status status,
	const char *message, db_done done, void *data);
struct db_call *stack_activate(struct db *db, const struct db_job *job, const char *deployment_id,
	const struct db_service *services, size_t n, db_done done, void *data);
struct db_call *stack_fail_release(struct db *db, const struct db_job *job,
	const char *deployment_id, db_done done, void *data);
struct db_call *stack_removed(struct db *db, const struct db_job *job, db_done done, void *data);
struct db_call *stack_set_networks(struct db *db, const struct db_job *job,
	const char *const *names, const char *const *engine_names, size_t n, db_done done,
	void *data);

struct db_call *stack_observe(struct db *db, const char *stack_id, enum stack_status status,
	const char *message, const char *drifted, const struct db_service *services, size_t n,
	uint64_t age_ms, db_done done, void *data);
struct db_call *stack_repair(struct db *db, const char *stack_id, const char *deployment_id,
	const char *why, int max_an_hour, db_job_done done, void *data);
/* The statements of a submission, and of a new release from the text of the one that runs; the job of this id is made.
 * Then stack_job_created. A redeploy is refused while a job that deploys or removes the stack has not ended. */
/* NOT_FOUND names a service of the params that the stack does not have (and no job may still bring). */
void stack_need_services(struct db_call *c, const struct db_scope *s, const struct db_stack_ref *stack, enum job_kind kind,
	struct str params);
void stack_add_job(struct db_call *c, const struct db_scope *s, const char *job_id, const struct db_stack_job *j);
void stack_add_redeploy(struct db_call *c, const struct db_scope *s, const char *job_id, const struct db_stack_ref *stack,
	int max_attempts);
/* The event of a new job, and what its maker is answered: the last statements. */
struct db_call *stack_job_created(struct db_call *c, const struct db_scope *s, const char *job_id);
/* Statements of `observe` that `activate` and `set_status` need too. `observed`: with events, and
 * the status only while no job of the stack runs. */
/* age_ms: of what was seen, or a job says so. */
#define STACK_OWN_STATUS INT64_C(-1)
void stack_add_status(struct db_call *c, const char *stack_id, enum stack_status status,
	const char *message, const char *drifted, int64_t age_ms);
void stack_add_services(struct db_call *c, const char *stack_id, const struct db_service *services,
	size_t n, int64_t age_ms);

/* Of a release. */
#define RELEASE_COLUMNS \
	"d.id, d.stack_id, d.project_id, d.job_id, d.number, d.state, d.on_failure," \
	" d.stall_seconds, d.rolled_back_to," \
	" case when d.state = 'failed' then split_part(j.error, E'\n', 1) else '' end," \
	" d.created_by, to_json(d.images), skep_us(d.created_at), skep_us(d.finished_at)"
#define RELEASE_FROM \
	" from deployments d left join lateral " ANY_JOB("d.job_id") " j on true"
void release_read(struct cursor *at, struct db_release *ret_release);
const char *failure_policy_name(enum failure_policy p);

/* What a release's column is sealed to. */
struct str release_aad(struct db_call *c, const char *deployment_id, const char *column);
