/* adopt: takes over a stack that `docker stack deploy` made, without touching a task: its services
 * get our labels (of the service, not of its containers), and what the Engine holds becomes the
 * stack's first release. Failed or cancelled before the end, the labels go, and the stack's row. */
#include "stacks/kinds.h"

#include "base/arena.h"
#include "stacks/adopted.h"
#include "stacks/stack_run.h"

#define LOST_MAX 20 /* lines told */

/* Made again by a daemon that takes over: it is in the Engine. */
static struct status need_target(struct stack_run *sr)
{
	const struct release_labels labels = {
		sr->run->job->project_id.text, sr->run->job->stack_id.text};
	if (sr->target.n_services > 0)
		return status_ok();
	sr->forward.mode = ROLLOUT_ADOPT;
	sr->back.mode = ROLLOUT_BACK;
	return adopted_release(sr->run->arena, sr->namespace_, &sr->world, &labels, &sr->target);
}

static enum flow_next announce(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->set_status(
		sr->db, sr->run->job, STACK_DEPLOYING, "", stack_op_step_done, op);
	return FLOW_WAIT;
}

static void on_release_failed(void *data, const struct status *st)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->removed(sr->db, sr->run->job, stack_op_step_done, op);
}

static enum flow_next forget(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->fail_release(
		sr->db, sr->run->job, sr->deployment_id, on_release_failed, op);
	return FLOW_WAIT;
}

/* ---- the release ---- */

static void on_source_stored(void *data, const struct status *st)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	(void)stack_store_release(sr->run->flow);
}

static void tell_lost(struct stack_run *sr, const struct compose_strings *lost)
{
	for (size_t i = 0; i < lost->len && i < LOST_MAX; i++)
		job_run_say(sr->run, "not in the text: %s", lost->items[i]);
	if (lost->len > LOST_MAX)
		job_run_say(sr->run, "not in the text: %zu more", lost->len - LOST_MAX);
}

static enum flow_next store(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct arena *a = sr->run->arena;
	const char *text;
	struct compose_strings lost;
	f->st = need_target(sr);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	const char *head =
		arena_fmt(a, "Made from the services of the Engine's stack %s.", sr->namespace_);
	if (!release_export(a, sr->namespace_, head, &sr->target, &text, &lost)) {
		f->st = status_err(ST_FAILED_PRECONDITION, "no Compose text can be made of it: %s",
			lost.len ? lost.items[0] : "");
		return FLOW_FAIL;
	}
	tell_lost(sr, &lost);
	struct compose_text compose = {"compose.yml", str_of(text)};
	const struct release_upload upload = {.texts = &compose, .n_texts = 1};
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->store_source(sr->db, sr->run->job, sr->deployment_id,
		release_source_encode(a, &upload), on_source_stored, op);
	return FLOW_WAIT;
}

static enum flow_next assign_networks(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	f->st = need_target(sr);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	stack_assign_networks(sr);
	return FLOW_WAIT;
}

/* ---- labels ---- */

static enum flow_next services(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	f->st = need_target(sr);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	sr->forward.target = &sr->target;
	rollout_run(&sr->forward, ROLLOUT_SERVICES, stack_on_rollout);
	return FLOW_WAIT;
}

static enum flow_next labels_back(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	f->undo_st = need_target(sr);
	if (!status_is_ok(&f->undo_st))
		return FLOW_FAIL;
	sr->back.target = &sr->target;
	sr->back.stale = true;
	rollout_run(&sr->back, ROLLOUT_SERVICES, stack_on_rollout);
	return FLOW_WAIT;
}

/* ---- the end ---- */

static void on_activated(void *data, const struct status *st)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (status_is_ok(st))
		job_run_say(sr->run, "%zu service%s adopted, no task touched",
			sr->target.n_services, sr->target.n_services == 1 ? "" : "s");
	stack_step_done(sr, st);
}

static void on_looked(struct stack_run *sr, const struct status *st)
{
	if (status_is_ok(st))
		flow_resume(sr->run->flow);
	else
		flow_step_done(sr->run->flow, st);
}

static enum flow_next activate(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	size_t n;
	f->st = need_target(sr);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	sr->forward.target = &sr->target;
	if (!sr->forward.judged_all) {
		rollout_run(&sr->forward, ROLLOUT_LOOK, on_looked);
		return FLOW_WAIT;
	}
	struct db_service *seen = rollout_services(&sr->forward, sr->run->arena, &n);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->activate(
		sr->db, sr->run->job, sr->deployment_id, seen, n, on_activated, op);
	return FLOW_WAIT;
}

static const struct flow_step adopt_prelude[] = {
	{"load_stack", stack_load_stack, NULL, 60},
	{"look", stack_look, NULL, 120},
	{0},
};
static const struct flow_step adopt_steps[] = {
	{"announce", announce, forget, 60},
	{"store", store, NULL, 60},
	{"assign_networks", assign_networks, NULL, 60},
	{"services", services, labels_back, 600},
	{"activate", activate, NULL, 0}, /* it may be done unheard: no limit, no return */
	{0},
};

const struct job_kind_def stacks_adopt_kind = {JOB_ADOPT, adopt_prelude, adopt_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, "activate"};
