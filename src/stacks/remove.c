/* remove: everything that carries the stack's namespace leaves the Engine, then the stack's row
 * goes. Cancelled or failed before the end, the active release is deployed again. */
#include "stacks/kinds.h"

#include "stacks/stack_run.h"

static enum flow_next announce(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->set_status(
		sr->db, sr->run->job, STACK_REMOVING, "", stack_op_step_done, op);
	return FLOW_WAIT;
}

static enum flow_next take_back_status(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	const char *message;
	enum stack_status status = stack_left_as(sr, &message);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->set_status(sr->db, sr->run->job, status,
		message, stack_op_step_done, op);
	return FLOW_WAIT;
}

static void on_pruned(struct stack_run *sr, const struct status *st)
{
	if (status_is_ok(st))
		job_run_say(sr->run, "%u service%s removed", sr->forward.removed,
			sr->forward.removed == 1 ? "" : "s");
	flow_step_done(sr->run->flow, st);
}

static enum flow_next objects(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	sr->forward.target = &sr->target; /* the empty release */
	rollout_run(&sr->forward, ROLLOUT_PRUNE, on_pruned);
	return FLOW_WAIT;
}

/* Of a stack that never had a good release nothing can be brought back. */
static enum flow_next restore(struct flow *f)
{
	return stack_run_of(f)->has_previous ? stack_restore(f) : FLOW_NEXT;
}

static enum flow_next forget(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->removed(sr->db, sr->run->job, stack_op_step_done, op);
	return FLOW_WAIT;
}

static const struct flow_step remove_prelude[] = {
	{"load_stack", stack_load_stack, NULL, 60},
	{"look", stack_look, NULL, 120},
	{0},
};
static const struct flow_step remove_steps[] = {
	{"announce", announce, take_back_status, 60},
	{"objects", objects, restore, 600},
	{"forget", forget, NULL, 0}, /* it may be done though nobody says so: no limit, no return */
	{0},
};

const struct job_kind_def stacks_remove_kind = {JOB_REMOVE, remove_prelude, remove_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, "forget"};
