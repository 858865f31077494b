/* stacks: orchestration_stacks, deployments (releases), service_instances. Sources and rendered
 * objects are sealed with aad "deployments/<id>/source" and "…/rendered". */
#pragma once
#include "db/jobs.h"

enum stack_status { STACK_PENDING = 1, STACK_DEPLOYING, STACK_RUNNING, STACK_DEGRADED,
	STACK_DRIFTED, STACK_FAILED, STACK_REMOVING };
enum release_state { RELEASE_PENDING = 1, RELEASE_ACTIVE, RELEASE_SUPERSEDED, RELEASE_FAILED };
enum service_state { SERVICE_PENDING = 1, SERVICE_CONVERGING, SERVICE_RUNNING, SERVICE_DEGRADED,
	SERVICE_FAILED, SERVICE_COMPLETED, SERVICE_MISSING };
/* What a deploy does when a service does not come to run: go back; stop; go on with the others. The
 * last two leave everything as it is then. */
enum failure_policy { ON_FAILURE_ROLLBACK = 1, ON_FAILURE_PAUSE, ON_FAILURE_CONTINUE };
const char *stack_status_name(enum stack_status s);
const char *service_state_name(enum service_state s);

struct db_service {
	const char *service, *engine_id, *engine_name, *image, *message;
	const char *mode; /* "replicated", "global", "replicated-job", "global-job" */
	enum service_state state;
	int running, wanted;
};
struct db_stack {
	struct uuid id, project_id, active_deployment_id /* "" = none */, last_job_id;
	const char *project, *name, *namespace_, *status_message;
	/* Why the Engine does not hold the active release as a whole, and what to do; "": it does. */
	const char *unfinished;
	enum stack_status status;
	bool repairs_drift; /* the project's policy */
	bool at_work; /* a job runs, or was handed back in the middle */
	int64_t active_number, created_us, updated_us;
	int services_running, services_total;
	bool adopted; /* what carries its namespace and no stack's label is its too */
	const struct db_service *services; /* get and watched only */
	size_t n_services;
};
struct db_release {
	struct uuid id, stack_id, project_id, job_id;
	int64_t number;
	enum release_state state;
	enum failure_policy on_failure;
	int stall_seconds;      /* 0 = the daemon's limit */
	int64_t rolled_back_to; /* it repeats this one; 0 = it does not */
	const char *message;    /* why it failed, in one line */
	const char *created_by;
	const char *const *images;
	size_t n_images;
	int64_t created_us, finished_us;
	struct str source, rendered; /* plain JSON; load only; "" = none */
};
/* The Engine's names of a release's own secrets and configs. */
struct db_release_objects {
	int64_t number;
	const char *const *objects;
	size_t n_objects;
};
/* By id, or by project (id or name) and name. */
struct db_stack_ref {
	const char *id, *project, *name;
};

typedef void (*db_stack_done)(void *data, const struct status *st, const struct db_stack *s);
typedef void (*db_stacks_done)(void *data, const struct status *st, const struct db_stack *s,
	size_t n, bool more);
typedef void (*db_release_done)(void *data, const struct status *st, const struct db_release *r);
/* A name that lies in another stack's namespace. */
struct db_reserved {
	const char *name;
	const char *stack; /* of the same project; "" = another project's, which is nobody's business */
};
typedef void (*db_reserved_done)(
	void *data, const struct status *st, const struct db_reserved *r, size_t n);
typedef void (*db_release_objects_done)(void *data, const struct status *st,
	const struct db_release_objects *r, size_t n);
typedef void (*db_releases_done)(void *data, const struct status *st, const struct db_release *r,
	size_t n, bool more);

struct db_stack_deploy {
	const char *project; /* id or name */
	const char *name, *namespace_; /* "" = <project>-<name>, or what the stack has */
	/* Of services that are there already: ALREADY_EXISTS when the stack is; the job's kind is
	 * adopt, and the release's source follows (store_source). */
	bool adopt;
	enum failure_policy on_failure;
	int stall_seconds;
	/* JSON {"compose":[{"name","text"}],"files":[{"path","base64"}],"variables":{}} */
	struct str source;
	const char *const *images, *const *warnings;
	size_t n_images, n_warnings;
	struct str params; /* JSON, of the job: {"resolve_image":"changed"} */
	int max_attempts;
};
struct db_stack_rollback {
	struct db_stack_ref stack;
	int64_t to; /* number; 0 = the last good one before what is there now */
	enum failure_policy on_failure;
	int stall_seconds, max_attempts;
};
/* Scale, restart, remove: a job on an existing stack. */
struct db_stack_job {
	struct db_stack_ref stack;
	enum job_kind kind;
	struct str params; /* JSON */
	int max_attempts;
};

struct db_rendered {
	struct str text; /* JSON */
	const char *const *images, *const *objects; /* objects: see db_release_objects */
	size_t n_images, n_objects;
};

struct db_stack_ops {
	/* One transaction: the stack row (made or kept; namespace taken elsewhere: ALREADY_EXISTS;
	 * longer than 63: INVALID_ARGUMENT; another than it has: FAILED_PRECONDITION; one that
	 * would give services of another project's stack the same names, such as a and a_b:
	 * ALREADY_EXISTS), the release, the job (kind deploy or, with an active release, update),
	 * older pending deploy jobs of the stack cancelled as superseded (their releases → failed),
	 * event "job.created", audit, request id. Notifies skep_jobs. */
	struct db_call *(*deploy)(struct db *db, const struct db_scope *s,
		const struct db_stack_deploy *d, db_job_done done, void *data);
	/* One transaction: a new release with what `to` has (its texts and its objects), and its job;
	 * pending deploys are superseded as by a deploy. NOT_FOUND: no such release;
	 * FAILED_PRECONDITION: it never ran, what it sent to the Engine is not known, or `to` is 0
	 * and there is none before, or a deploy has not ended. */
	struct db_call *(*rollback)(struct db *db, const struct db_scope *s,
		const struct db_stack_rollback *r, db_job_done done, void *data);
	/* Scale and restart need a release that runs or is going to, and no remove behind it
	 * (FAILED_PRECONDITION). Remove supersedes every pending job of the stack that is not a
	 * remove itself. At most 100 jobs of a stack wait (RESOURCE_EXHAUSTED). */
	struct db_call *(*submit)(struct db *db, const struct db_scope *s,
		const struct db_stack_job *j, db_job_done done, void *data);
	/* What `deploy` says of this namespace ("" as there), now. Nothing is kept for the caller. */
	struct db_call *(*check_namespace)(struct db *db, const struct db_scope *s,
		const char *project, const char *name, const char *namespace_, db_done done,
		void *data);
	struct db_call *(*get)(struct db *db, const struct db_scope *s,
		const struct db_stack_ref *r, db_stack_done done, void *data);
	struct db_call *(*list)(struct db *db, const struct db_scope *s, const char *project,
		const struct db_page *page, db_stacks_done done, void *data);
	struct db_call *(*releases)(struct db *db, const struct db_scope *s,
		const struct db_stack_ref *r, const struct db_page *page, db_releases_done done,
		void *data);

	/* ---- for flows (the job says which project) ---- */
	/* One release with source and rendered opened. */
	struct db_call *(*load_release)(struct db *db, const char *project_id,
		const char *deployment_id, db_release_done done, void *data);
	/* Fenced. What the release is made from, where the caller could not say it. */
	struct db_call *(*store_source)(struct db *db, const struct db_job *job,
		const char *deployment_id, struct str source, db_done done, void *data);
	/* The newest `limit` releases of a stack that are good (they run, or did), the newest
	 * first. */
	struct db_call *(*good_releases)(struct db *db, const char *project_id,
		const char *stack_id, unsigned limit, db_release_objects_done done, void *data);
	/* Which of these names of the Engine's lie in the namespace (<namespace>_…) of a stack that
	 * has another one than this. */
	struct db_call *(*reserved)(struct db *db, const char *project_id, const char *namespace_,
		const char *const *names, size_t n_names, db_reserved_done done, void *data);
	/* Stores what was rendered (fenced by the job's epoch: ABORTED). */
	struct db_call *(*store_rendered)(struct db *db, const struct db_job *job,
		const char *deployment_id, const struct db_rendered *r, db_done done, void *data);
	/* Fenced. Sets the stack's status and message (deploying, removing …). The message of
	 * DEGRADED and FAILED stays as `unfinished` until RUNNING is set or a release is activated. */
	struct db_call *(*set_status)(struct db *db, const struct db_job *job,
		enum stack_status status, const char *message, db_done done, void *data);
	/* Fenced. The release is good: it becomes active, the one before superseded, the stack's
	 * services exactly these. */
	struct db_call *(*activate)(struct db *db, const struct db_job *job,
		const char *deployment_id, const struct db_service *services, size_t n,
		db_done done, void *data);
	/* Fenced. The release never converged. */
	struct db_call *(*fail_release)(struct db *db, const struct db_job *job,
		const char *deployment_id, db_done done, void *data);
	/* Fenced. The stack is gone from the Engine: deletes the row, or, where another job waits
	 * for it, makes it pending again. */
	struct db_call *(*removed)(struct db *db, const struct db_job *job, db_done done,
		void *data);
	/* Fenced. network_assignments of the stack are exactly these names. */
	struct db_call *(*set_networks)(struct db *db, const struct db_job *job,
		const char *const *names, const char *const *engine_names, size_t n, db_done done,
		void *data);

	/* ---- for the observer (no scope) ---- */
	/* All stacks with an active release or services, by namespace: at start and in the full
	 * pass. */
	struct db_call *(*watched)(struct db *db, const char *after_id, unsigned limit,
		db_stacks_done done, void *data);
	/* What is seen now of the services that `watched` told; which there are says activate alone
	 * (it may have come between). Writes only rows that differ; adds "stack.status"/"service.state" events for changes, and "stack.drift" about the
	 * service `drifted` with the status drifted. Not while a job of the stack runs: then only
	 * services. Nothing at all when a job has said what the status is after what is told was seen: age_ms ago. */
	struct db_call *(*observe)(struct db *db, const char *stack_id, enum stack_status status,
		const char *message, const char *drifted, const struct db_service *services,
		size_t n, uint64_t age_ms, db_done done, void *data);
	/* A job (kind update) that brings the stack back to its active release, which must be this
	 * one; audit's actor is "observer", `why` stands in the audit row. FAILED_PRECONDITION: not
	 * now, or not wanted (a job runs or waits, the project only reports).
	 * RESOURCE_EXHAUSTED: so many repairs were begun within the last hour. */
	struct db_call *(*repair)(struct db *db, const char *stack_id, const char *deployment_id,
		const char *why, int max_an_hour, db_job_done done, void *data);
};
