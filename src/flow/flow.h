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
 * A step's run function returns FLOW_NEXT (done), FLOW_WAIT (a completion will call flow_resume or
 * flow_step_done), FLOW_FAIL (flow->st says why) or FLOW_AGAIN (call run once more, after the
 * loop has looked at its other events). After flow_resume the same step's `run` is called again
 * and looks at what has arrived; small steps finish with flow_step_done(f, st) from their
 * completion.
 *
 *	flow_start ─→ RUNNING ─ step done ─→ PERSISTING ─→ RUNNING … last one ─→ ENDED
 *	                 │                        │ cancelled
 *	                 └─ failed, cancelled ─→ PERSISTING (undo) ─→ UNDOING ─→ ENDED
 *
 * Everything fires from the loop. The flow, its table and its owner live until on_end,
 * flow_abandon or a failed flow_persisted; a step or hook may call any function
 * below, but only on_end may free the flow. */
#pragma once
#include "loop/loop.h"

struct flow;

enum flow_next { FLOW_NEXT, FLOW_WAIT, FLOW_FAIL, FLOW_AGAIN };

struct flow_step {
	const char *name;
	enum flow_next (*run)(struct flow *f);
	/* Takes back what run did; the first one called is that of the step that failed or was
	 * interrupted in the middle, so it must cope with work half done, and (after a restart)
	 * with work already taken back. NULL = nothing to take back. Same return values; says
	 * why it failed in f->undo_st and leaves f->st alone. The next undo runs all the same. */
	enum flow_next (*undo)(struct flow *f);
	unsigned seconds; /* time limit of one run or undo, waits included; 0 = none */
};

enum flow_state { FLOW_IDLE, FLOW_RUNNING, FLOW_PERSISTING, FLOW_UNDOING, FLOW_ENDED };

/* The owner's hooks. All fire on the loop, never from inside flow_start/flow_resume/flow_cancel. */
struct flow_ops {
	/* Step `name` is about to run, or (state UNDOING) to be taken back; once each. For
	 * progress. May be NULL. */
	void (*on_step)(struct flow *f, const char *name, unsigned index, unsigned count);
	/* Store that `name` is done, then call flow_persisted. Called for every step, the last one
	 * too, before the next one starts. With undo = true: store that the undo pass begins at
	 * `name`; called once before it, and not when no step has anything to take back. What was
	 * stored last is what flow_start resumes from. NULL: nothing is stored. */
	void (*persist)(struct flow *f, const char *name, bool undo);
	/* A wait of the present step must be given up (cancel, time limit, abandon): cancel
	 * outstanding operations. What they complete with in this turn (op_cancel) is ignored; what
	 * completes later must not call the flow (compare flow_ticket). May be NULL. */
	void (*interrupt)(struct flow *f);
	/* The end. f->st: OK, or why it failed; f->undo_st: OK, or the first failure of the undo
	 * pass. May free the flow. */
	void (*on_end)(struct flow *f);
};

struct flow {
	struct loop *loop;
	const struct flow_step *steps;
	const struct flow_ops *ops;
	void *data; /* the owner */
	enum flow_state state;
	unsigned at;      /* index of the present step */
	struct status st; /* first failure */
	struct status undo_st;
	/* private */
	struct timer limit;
	struct defer defer;
	unsigned generation, count;
	unsigned left;          /* undo pass: the first so many steps are still to be taken back */
	bool entered;           /* the present step has begun */
	bool cancelled;
	bool undo;              /* the undo pass is being persisted or runs */
	enum flow_next pending; /* what the next tick does with the step; FLOW_WAIT: nothing */
	struct status why;      /* of the cancel */
	struct status undo_first;
};

void flow_init(struct flow *f, struct loop *l, const struct flow_step *steps,
	const struct flow_ops *ops, void *data);
/* Once after flow_init. Starts behind the step named `after` (NULL = at the first); `undoing`
 * resumes a compensation at that step: f->st may be set to the first failure before, otherwise it
 * becomes ABORTED. An unknown name ends the flow with INTERNAL. */
void flow_start(struct flow *f, const char *after, bool undoing);
/* From a completion of the present step: run it again (it looks at what arrived). Several
 * before it runs count as one. Ignored when no step waits. */
void flow_resume(struct flow *f);
/* From a completion: the present step is over, with st. Ignored when no step waits. */
void flow_step_done(struct flow *f, const struct status *st);
/* From persist's completion. A failure st abandons the flow (no undo, no on_end): the job is no
 * longer ours. */
void flow_persisted(struct flow *f, const struct status *st);
/* Interrupts the present step, then undoes. f->st becomes CANCELLED (or `why`; NULL = none given),
 * but a step that has failed already keeps its reason. Ignored while undoing. */
void flow_cancel(struct flow *f, const struct status *why);
/* Ends at once, without undo, without on_end: for a job that another daemon has taken, or
 * destruction. Calls interrupt, from inside, if a step waits. */
void flow_abandon(struct flow *f);
/* Changes whenever a step begins, is interrupted or ends: a completion that cannot be cancelled
 * compares the one it was started under. */
static inline unsigned flow_ticket(const struct flow *f)
{
	return f->generation;
}
