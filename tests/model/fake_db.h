/* fake_db: struct db in memory, as far as the worker, the flows and the observer use it: one stack,
 * its releases and its jobs, epochs, leases on the loop's clock plus `clock_ms`, events. `store`
 * outlives daemons; each daemon has its front. */
#pragma once
#include "db/registries.h"
#include "db/stacks.h"
#include "fake_call.h"

#define STORE_MAX 16

struct store_job {
	struct db_job row; /* texts point to what follows, or are static */
	char step[64], message[1024], error[4096], error_code[32], owner[64], params[512];
	char failures[8192];
	uint64_t lease_ms, run_ms;
	struct buf events; /* "kind service step state running/wanted message" a line */
	unsigned n_events, ends;
	int last_percent;
	bool percent_fell;
	bool repair; /* the observer's */
};
struct store_release {
	struct db_release row;
	struct buf source, rendered;
	const char *objects[STORE_MAX];
	size_t n_objects;
};
struct store {
	struct loop *loop;
	struct arena *arena;
	uint64_t clock_ms; /* ahead of the loop's: lets leases end */
	struct uuid project_id;
	bool has_stack;
	struct db_stack stack;
	char status_message[1400], unfinished[1400];
	struct store_job jobs[STORE_MAX];
	struct store_release releases[STORE_MAX];
	size_t n_jobs, n_releases;
	const char *networks[STORE_MAX];
	size_t n_networks;
	struct db_registry registry; /* the project's credentials; host NULL: none */
	bool many_stacks;            /* jobs do not wait for each other */
	int64_t turn;                /* of claims */
	unsigned fenced;             /* writes that were refused: the job was somebody else's */
	unsigned observed;
	char drifted[64];       /* what observe said last */
	unsigned repairs_asked; /* calls of repair */
};
struct store *store_create(struct loop *l);
void store_destroy(struct store *s);

/* What the api would do. The stack is made with the first release. */
struct store_job *store_deploy(
	struct store *s, const char *compose, enum failure_policy policy, int max_attempts);
/* The stack is made, without a release's source. */
struct store_job *store_adopt(struct store *s, int max_attempts);
/* To release number `to`, which exists. */
struct store_job *store_rollback(
	struct store *s, int64_t to, enum failure_policy policy, int max_attempts);
struct store_job *store_submit(
	struct store *s, enum job_kind kind, const char *params, int max_attempts);
void store_cancel(struct store *s, struct store_job *j);
struct store_release *store_release_find(struct store *s, const char *id);
/* The number of the active release; 0 = none. */
int64_t store_active(const struct store *s);

struct fake_db {
	struct db base;
	struct fake_front front;
	struct store *store;
};
void fake_db_init(struct fake_db *d, struct fake_script *s, struct store *store);
extern const struct db_job_ops fake_job_ops;     /* fake_db_jobs.c */
extern const struct db_stack_ops fake_stack_ops; /* fake_db.c */

/* ---- between the two ---- */
struct store_args {
	struct store *store;
	const char *id, *owner, *text, *message;
	int epoch;
	unsigned limit, lease_ms;
	uint64_t delay_ms;
	bool failed, keep;
	enum job_state state;
	enum stack_status status;
	struct status why;
	struct str bytes;
	struct uuid *ids;
	int *epochs;
	struct db_event *events;
	struct db_pick *picks;
	int64_t turn;
	struct db_service *services;
	const char **names;
	size_t n;
};
struct fake_call *store_call(struct db *db, db_done done, void *data);
struct store_args *store_args(struct fake_call *c);
void store_deliver_done(struct fake_call *c, const struct status *st);
struct store_job *store_job_find(struct store *s, const char *id);
struct status store_fence(struct store *s, const char *job_id, int epoch)
	__attribute__((warn_unused_result));
struct store_job *store_job_add(
	struct store *s, enum job_kind kind, const char *params, int max_attempts);
