/* rollout: brings the Engine to one release, phase by phase. A deploy's steps run one phase each;
 * its undo runs all of them towards the release before. Every phase compares first and writes only
 * what differs, so it may be run again at any time: that is how it goes on after a lost reply, an
 * Engine's restart, or another daemon's death. What may pass by itself (no Engine, `update out of
 * sequence`) is tried again, after a new look, until the step's time limit.
 *
 * Every service that is written carries the job's id and epoch as labels; a service whose label
 * shows our job at a later epoch ends the run: the job is somebody else's now. What does not carry
 * the stack's label is never changed or removed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"
#include "loop/loop.h"
#include "stacks/again.h"
#include "stacks/converge.h"
#include "stacks/lookout.h"
#include "stacks/plan.h"

struct arena;
struct release;
struct stack_run;

enum rollout_phase {
	ROLLOUT_NETWORKS = 1, /* create what is missing; external ones must be there */
	ROLLOUT_OBJECTS = 2,  /* secrets and configs */
	ROLLOUT_SERVICES = 4, /* level by level */
	ROLLOUT_CONVERGE = 8,
	ROLLOUT_PRUNE = 16, /* what carries the namespace and is not in the release */
	ROLLOUT_ALL = 31,
	ROLLOUT_LOOK = 32, /* only looks how the services are, for rollout_services */
};
/* What a service's body is made of. */
enum rollout_mode {
	ROLLOUT_RELEASE, /* the release's body */
	ROLLOUT_RESTART, /* the stored one, forced; once a job */
	ROLLOUT_SCALE,   /* the stored one with rollout.replicas */
	ROLLOUT_ADOPT,   /* the stored one with our labels, where that touches no task */
	ROLLOUT_BACK,    /* PreviousSpec of what this job has written */
};

struct rollout {
	struct stack_run *sr;
	enum rollout_mode mode;
	const struct release *target;
	const json_t *replicas;  /* SCALE: {"service": n}; borrowed */
	const char *const *only; /* service keys, NULL-terminated; NULL = all of the target */
	/* Prunes also when a service did not converge; the failure is reported all the same. */
	bool thorough;
	/* Prune leaves the secrets and configs of so many of sr->kept, the newest good releases. */
	size_t keeps;
	unsigned created, updated, kept, removed; /* services */

	bool stale; /* sr->world must be read before anything is compared */

	/* private */
	unsigned phases; /* still to run, the present one included */
	enum rollout_phase phase;
	enum rollout_phase tried; /* the one that `tries` counts for */
	unsigned level, waiting;
	struct again tries;
	bool stopped;
	struct status st, first; /* first: the failure in spite of which the rest is done */
	struct timer again;
	struct defer more; /* objects, or services of the level, that are still to be written */
	size_t written_to; /* the next one */
	struct arena *bodies; /* of those that are written now; NULL: none are */
	void (*next)(struct rollout *ro); /* when nothing is waited for any more */
	void (*done)(struct stack_run *sr, const struct status *st);
	/* Services that this job has written (name → enum rollout_wrote): they must hold, others need
	 * only be well. */
	struct map written;
	/* prune: services that were removed, whose tasks may still be there */
	const char **leaving;
	size_t n_leaving;
	/* ids of secrets and configs that tasks use which have not ended */
	struct map in_use;
	bool busy; /* something that was to go is still in use */
	unsigned busy_rounds;
	/* watch: see rollout_watch.c */
	struct lookout_watcher watcher;
	struct converge *watched;
	size_t n_watched;
	bool judged_all;  /* watched are all of the target's, as they were seen last */
	unsigned lists;   /* that are looked at */
	unsigned looks;   /* since the watching began */
	unsigned missing, events; /* tasks that the last look missed, and what was heard since */
	struct again blind; /* looks that failed since the last one that did not */
	uint64_t watched_ms, answered_ms; /* see count_time */
	void (*on_seen)(struct rollout *ro);
	struct story *story; /* being gathered; else NULL */
	bool told;           /* the story of the failure */
	struct rollout_given_up *given_up; /* see rollout_carries_on */
	size_t n_given_up;
};
/* What map written holds. */
enum rollout_wrote {
	ROLLOUT_WROTE_NOT,
	ROLLOUT_WROTE_BEFORE, /* before rollout_run, or another daemon has */
	ROLLOUT_WROTE_NOW,
};
struct rollout_given_up {
	const char *key, *why; /* why: what the Engine refused it with; or NULL */
};

void rollout_init(struct rollout *ro, struct stack_run *sr);
void rollout_finish(struct rollout *ro);
/* Runs the phases in their order. `done` fires once, later; never after rollout_stop. */
void rollout_run(struct rollout *ro, unsigned phases,
	void (*done)(struct stack_run *sr, const struct status *st));
void rollout_stop(struct rollout *ro);
/* What it watched last is no longer there. */
void rollout_forget_watched(struct rollout *ro);
/* "service web: 1 of 2 tasks are running": the first one that is watched and not yet as wanted;
 * NULL: none. */
const char *rollout_waits_for(struct rollout *ro);
/* Says how many services run. */
void rollout_say_result(struct rollout *ro);
/* The services as they were seen last (by CONVERGE or LOOK), for db. */
struct db_service *rollout_services(struct rollout *ro, struct arena *a, size_t *ret_n);

/* ---- between the files of the rollout ---- */
/* One more completion is awaited; then every completion calls rollout_part with its status, and
 * after the last one `next` runs, or (some failed) the phase is tried again or the rollout ends. */
void rollout_await(struct rollout *ro);
void rollout_part(struct rollout *ro, const struct status *st);
/* The phase is over, with ro->st; and where that is a failure for good. */
void rollout_phase_over(struct rollout *ro);
void rollout_phase_failed(struct rollout *ro);
void rollout_write_networks(struct rollout *ro);
void rollout_write_objects(struct rollout *ro);
void rollout_write_services(struct rollout *ro);
void rollout_write_more(struct rollout *ro); /* services of the present level */
void rollout_prune(struct rollout *ro);
/* Releases whose secrets and configs stay. */
struct plan_kept rollout_kept(const struct rollout *ro);
/* Watches these (in the run's arena) until all are done or one failed; then `next`, or the story of
 * the failure. */
void rollout_watch(
	struct rollout *ro, struct converge *watched, size_t n, void (*next)(struct rollout *ro));
void rollout_watch_all(struct rollout *ro);
/* Looks at services, nodes and all tasks; then on_seen. While no Engine answers it tries again; then,
 * or when asked to, after ms. */
void rollout_look(struct rollout *ro, void (*on_seen)(struct rollout *ro));
void rollout_look_again(struct rollout *ro, uint64_t ms);
void rollout_look_once(struct rollout *ro);
/* A service's state for watchers; only what differs from what they know is sent. */
void rollout_tell(struct rollout *ro, const char *key, enum service_state state, int running,
	int wanted, const char *message);
void rollout_watch_init(struct rollout *ro);
void rollout_watch_stop(struct rollout *ro);
void rollout_watch_finish(struct rollout *ro);
/* What was seen last. */
const struct picture *rollout_picture(const struct rollout *ro);
enum rollout_wrote rollout_wrote(const struct rollout *ro, const char *name);
void rollout_remember(struct rollout *ro, const char *name, enum rollout_wrote w);
/* A service that fails holds back only those that depend on it; the others go on. */
bool rollout_carries_on(const struct rollout *ro);
/* The same write may yet go well when it is tried again. */
bool rollout_may_pass(const struct rollout *ro, enum st_code code);
/* It carries on without this service, for a while or for good; `why` is kept. */
void rollout_give_up(struct rollout *ro, const char *key, const char *why);
/* NULL: it was not given up. */
const struct rollout_given_up *rollout_given_up(const struct rollout *ro, const char *key);
/* The first service that this one depends on and that was given up; NULL: none. */
const char *rollout_failed_dependency(const struct rollout *ro, const char *key);
bool rollout_includes(const struct rollout *ro, const char *key);
