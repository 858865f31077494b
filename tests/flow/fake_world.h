/* fake_world: a Swarm, a store and any number of daemons (worker, flows) in virtual time. A test
 * submits a job, lets it run to its end, and compares the Swarm and the store with what the outcome
 * says. */
#pragma once
#include "fake_db.h"
#include "fake_docker.h"
#include "jobs/worker.h"
#include "stacks/lookout.h"
#include "stacks/stacks.h"

#define WORLD_DAEMONS 4

struct world_daemon {
	struct fake_docker docker;
	struct fake_db db;
	struct stacks stacks;
	struct lookout *lookout;
	struct job_worker *worker;
	bool dead, drained, gone;
};
struct world {
	struct loop *loop;
	struct arena *arena;
	struct fake_script script;
	struct swarm *swarm;
	struct store *store;
	struct store_project *project;
	struct world_daemon daemons[WORLD_DAEMONS];
	size_t n_daemons;
	struct rng *rng;
	/* for daemons that are started from now on */
	const char *log;
	const struct docker_container *container; /* what every one looks like */
	bool logs_hang;
	const struct job_kind_def *const *kinds; /* NULL = stacks_kinds */
	unsigned max_takeovers; /* of daemons that are started from now on; 0 = the default */
	unsigned slots, keep_releases; /* 0 = the default; keep_releases: 1 */
};
struct world *world_create(void);
/* Drains every daemon first; also asserts what must hold in every world (see fake_world.c). */
void world_destroy(struct world *w);

/* What the api would do with project "acme" and its stack "shop", which is made with its first
 * release. */
struct store_job *world_deploy(
	struct world *w, const char *compose, enum failure_policy policy, int max_attempts);
struct store_job *world_adopt(struct world *w, int max_attempts); /* without a release's source */
struct store_job *world_rollback(
	struct world *w, int64_t to, enum failure_policy policy, int max_attempts);
/* Where there is no stack: a job of none. */
struct store_job *world_submit(
	struct world *w, enum job_kind kind, const char *params, int max_attempts);
void world_cancel(struct world *w, const struct store_job *j);
struct store_stack *world_stack(const struct world *w); /* NULL = there is none */
/* The number of the active release; 0 = none. */
int64_t world_active(const struct world *w);

struct world_daemon *world_start(struct world *w);
/* kill -9: from now on it changes nothing. */
void world_kill(struct world *w, struct world_daemon *d);
/* SIGTERM, and waits until it is gone. */
void world_drain(struct world *w, struct world_daemon *d, uint64_t grace_ms);

/* One turn of the loop; the clock jumps to what comes next. */
void world_turn(struct world *w);
/* Until the job has ended. Fails the test when that takes more than six hours or never comes. */
void world_run(struct world *w, struct store_job *j);
void world_run_ms(struct world *w, uint64_t ms);
void world_wake(struct world *w); /* every living daemon's worker */

/* Deploys this text with a daemon that is drained afterwards; the script starts anew. */
void world_prepare(struct world *w, const char *compose);
char *world_text(struct world *w);                            /* swarm_text, in the world's arena */
bool world_said(const struct store_job *j, const char *text); /* among its events */

/* The script's lines that are writes, without those of claiming, renewing, progress. */
char *world_writes(struct world *w);
