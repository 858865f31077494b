/* stack_run: the state of one job's run on a stack: what was loaded, what the Engine holds, and the
 * operations under way, so that an interrupt can give them all up. Owned by the job_run
 * (run->state).
 *
 * A write to the Engine that is under way when its step is cancelled, or its time is up, cannot be called back: the way
 * back (stack_restore) begins when it has been answered. Only who has lost the job drops it. */
#pragma once
#include "db/stacks.h"
#include "docker/docker.h"
#include "jobs/run.h"
#include "stacks/again.h"
#include "stacks/registry.h"
#include "stacks/release_build.h"
#include "stacks/rollout.h"
#include "stacks/stacks.h"
#include "stacks/world.h"

struct stack_run {
	struct job_run *run;
	struct stacks *stacks;
	struct docker *docker;
	struct db *db;
	struct list ops;
	unsigned n_writes; /* of these to the Engine */
	void (*after_writes)(struct stack_run *sr); /* what waits for their end; NULL: nothing */

	const char *namespace_;
	struct registry_auths auths; /* of the project */
	const char *deployment_id; /* the release to deploy; "" for other kinds */
	enum failure_policy on_failure;
	uint64_t stall_ms;       /* the release's own limit, else the daemon's */
	int64_t previous_number; /* of the release that `previous` is */
	struct turn turn;
	/* What the two releases lie in; NULL: they were lightened, and have no bodies any more. */
	struct arena *bodies;
	const char *previous_id; /* "" = there is none */
	struct release target;   /* what is wanted */
	struct release previous; /* the last good one; empty when there is none */
	bool has_previous;
	struct status adopted;   /* of an adoption: whether a target could be made of what there is */
	bool pinned; /* the target is as it was stored: its images were asked for before */
	struct images *images; /* under way */
	/* The newest good releases, the newest first, with the Engine's names of their secrets and
	 * configs. */
	const struct db_release_objects *kept;
	size_t n_kept;
	struct world world;
	struct rollout forward, back;
	struct timer retry;        /* runs the present step again */
	struct again tries;        /* of the Engine's answers that the present step waits for */
	struct status trouble;     /* what the present step waits to pass; OK: nothing */
	bool went_back_again;      /* the way back is tried twice */
	const char *unfinished;    /* what an earlier one has left, in words; "" = nothing */
	bool touched;              /* stack_restore was called: there may be something to take back */
	bool unrestored;           /* stack_restore has begun and has not succeeded */
	struct status restore_st;  /* why not */
	struct map told; /* key → struct service_told: what watchers know; see rollout_tell */
};
struct service_told {
	const char *message;
	enum service_state state;
	int running, wanted;
};

static inline struct stack_run *stack_run_of(const struct flow *f)
{
	return ((struct job_run *)f->data)->state;
}

/* job_kind_def's begin, interrupt, end for every kind of this folder. */
void stack_run_begin(struct job_run *run);
void stack_run_interrupt(struct job_run *run);
void stack_run_end(struct job_run *run);

/* A step of a prelude: the next ones read much. */
enum flow_next stack_take_turn(struct flow *f);
/* Everything is written: what is only watched, and pruned by name, needs no bodies, neither those that were wanted nor
 * those that the Engine held. Again: nothing. */
void stack_lighten(struct stack_run *sr);

/* One operation under way. `docker` or `db` is set to its handle right after it was started. */
struct stack_op {
	struct list node;
	struct stack_run *sr;
	void *data;
	struct docker_call *docker;
	struct db_call *db;
	bool cancelled, writes;
};
struct stack_op *stack_op_begin(struct stack_run *sr, void *data);
/* The same for what changes something in the Engine. NULL: it may be somebody else's by now, the run is given up. */
struct stack_op *stack_write_begin(struct stack_run *sr, void *data);
/* First thing in every completion: frees the op; false = it was given up: touch nothing. */
bool stack_op_end(struct stack_op *op, struct stack_run **ret_sr, void **ret_data);
/* The Engine's objects into `world`: done fires once, later; not when the run is interrupted. */
void stack_read_world(
	struct stack_run *sr, void (*done)(void *data, const struct status *st), void *data);
/* Ends the present step; what may pass by itself (a server that is away) runs it again a little
 * later, until its time limit; a fence that says the job is somebody else's (ABORTED from db) gives
 * the run up. */
void stack_step_done(struct stack_run *sr, const struct status *st);
/* What the Engine could not do may pass: the step is waiting for that, and says so the first time. After how many ms it is tried again. */
uint64_t stack_try_again(struct stack_run *sr, struct again *tries, const struct status *st);
/* The same as stack_step_done for what the Engine has answered a look; see again.h. */
void stack_look_done(struct stack_run *sr, const struct status *st);
/* The end of a rollout is the end of the present step: a `done` for rollout_run. */
void stack_on_rollout(struct stack_run *sr, const struct status *st);
/* The same as a db_done; data is the op. */
void stack_op_step_done(void *op, const struct status *st);

/* What a release wants: as it was rendered, or from its texts (release_build.h). `done` gets an op. */
void stack_build_release(struct stack_run *sr, const struct db_release *r,
	void (*done)(void *op, const struct status *st, const struct release_build *b));

/* ---- prelude steps shared by the kinds ---- */
/* Namespace, credentials for registries, and the active release into `previous`. */
enum flow_next stack_load_stack(struct flow *f);
enum flow_next stack_look(struct flow *f); /* the Engine's objects into `world` */
/* ---- steps shared by the kinds ---- */
enum flow_next stack_store_release(struct flow *f); /* what `target` has become */
/* network_assignments are the target's own networks; ends the step. */
void stack_assign_networks(struct stack_run *sr);
/* An undo: back to `previous`; nothing there: all is removed. */
enum flow_next stack_restore(struct flow *f);
/* Behind stack_restore: what the stack is now, and for people why, and what to do next. */
enum stack_status stack_left_as(const struct stack_run *sr, const char **ret_message);
