/* flow: a step table run downward, one step after the other; on failure or cancel
 * the undo functions of the finished steps run upward. Decisions are the
 * owner's; the flow only keeps place, deadline, cancel and persistence.
 *
 *	static const struct flow_step deploy_steps[] = {
 *		{ "load_stack", load_stack, NULL, 5 },
 *		{ "services", put_services, restore_services, 60 },
 *		{ 0 },
 *	};
 *
 * A step's run function returns FLOW_NEXT (done), FLOW_WAIT (flow_resume
 * will be called from a completion), FLOW_FAIL (flow->st says why) or FLOW_AGAIN (from a
 * resumed step: call run once more, later in this turn). After flow_resume the same
 * step's `run` is called again unless flow_step_done was used: small steps therefore
 * finish with flow_step_done(f, st) from their completion. */
#pragma once
#include "loop/loop.h"

struct flow;

enum flow_next { FLOW_NEXT, FLOW_WAIT, FLOW_FAIL, FLOW_AGAIN };

struct flow_step {
	const char *name;
	enum flow_next (*run)(struct flow *f);
	/* Takes back what run did; also called for a step that failed or was interrupted in the
	 * middle. NULL = nothing to take back. Same return values; FLOW_FAIL is
	 * remembered in f->undo_st and the next undo runs all the same. */
	enum flow_next (*undo)(struct flow *f);
	unsigned seconds; /* time limit of one run or undo; 0 = none */
};

enum flow_state { FLOW_IDLE, FLOW_RUNNING, FLOW_PERSISTING, FLOW_UNDOING, FLOW_ENDED };

/* The owner's hooks. All fire on the loop, never from inside flow_start/flow_resume/flow_cancel. */
struct flow_ops {
	/* Step `name` is about to run (NULL: may be NULL). For progress. */
	void (*on_step)(struct flow *f, const char *name, unsigned index, unsigned count);
	/* Store that `name` is done, then call flow_persisted. NULL: nothing is stored. Called
	 * before the next step starts, and with undo = true before the undo pass. */
	void (*persist)(struct flow *f, const char *name, bool undo);
	/* A wait of the present step must be given up (cancel, time limit): cancel outstanding operations.
	 * Their late completions must not call flow_resume. May be NULL. */
	void (*interrupt)(struct flow *f);
	/* The end. f->st: OK, or why it failed; f->undo_st: OK, or the first failure of the undo pass. */
	void (*on_end)(struct flow *f);
};

struct flow {
	struct loop *loop;
	const struct flow_step *steps;
	const struct flow_ops *ops;
	void *data; /* the owner */
	enum flow_state state;
	unsigned at;         /* index of the present step */
	struct status st;    /* first failure */
	struct status undo_st;
	/* private */
	struct timer limit;
	struct defer defer;
	unsigned generation, count;
	bool cancelled, waiting, abandoned;
	enum flow_next pending;
};

void flow_init(struct flow *f, struct loop *l, const struct flow_step *steps, const struct flow_ops *ops, void *data);
/* Starts behind the step named `after` (NULL = at the first); `undoing` resumes a compensation
 * at that step. An unknown name ends the flow with INTERNAL. */
void flow_start(struct flow *f, const char *after, bool undoing);
/* From a completion of the present step: run it again (it looks at what arrived). */
void flow_resume(struct flow *f);
/* From a completion: the present step is over, with st. */
void flow_step_done(struct flow *f, const struct status *st);
/* From persist's completion. A failure st abandons the flow (no undo): the job is no longer ours. */
void flow_persisted(struct flow *f, const struct status *st);
/* Interrupts the present step, then undoes. f->st becomes CANCELLED (or `why`). Ignored while undoing. */
void flow_cancel(struct flow *f, const struct status *why);
/* Ends at once, without undo, without on_end: for a job that another daemon has taken, or destruction. */
void flow_abandon(struct flow *f);
