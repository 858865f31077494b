/* deploy: bring one stack to one release; the kinds deploy, update and rollback. Read the tables at
 * the end; the steps above them stand in the same order and do one thing each. */
#include "stacks/kinds.h"

#include "base/arena.h"
#include "base/json.h"
#include "stacks/images.h"
#include "stacks/plan_work.h"
#include "stacks/reserved.h"
#include "stacks/stack_run.h"

/* ---- prelude ---- */

static void on_built(void *data, const struct status *st, const struct release_build *b)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	sr->target = b->release;
	release_keep_names(sr->run->arena, sr->namespace_, &sr->target, &sr->previous);
	stack_step_done(sr, st);
}

static void on_release(void *data, const struct status *st, const struct db_release *r)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	sr->on_failure = r->on_failure;
	if (r->stall_seconds > 0)
		sr->stall_ms = (uint64_t)r->stall_seconds * 1000;
	sr->pinned = r->rendered.len > 0;
	stack_build_release(sr, r, on_built);
}

static enum flow_next load_release(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->load_release(
		sr->db, sr->run->job->project_id.text, sr->deployment_id, on_release, op);
	return FLOW_WAIT;
}

static void on_good(
	void *data, const struct status *st, const struct db_release_objects *r, size_t n)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	const struct plan_kept kept = plan_kept_copy(sr->run->arena, r, n);
	sr->kept = kept.releases;
	sr->n_kept = kept.n;
	stack_step_done(sr, st);
}

/* What roll-backs could want. The release that is deployed becomes one of them when it is good. */
static enum flow_next load_good(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	const struct db_job *j = sr->run->job;
	unsigned keep = sr->stacks->keep_releases;
	sr->forward.keeps = keep > 0 ? keep - 1 : 0;
	sr->back.keeps = keep;
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->good_releases(
		sr->db, j->project_id.text, j->stack_id.text, keep, on_good, op);
	return FLOW_WAIT;
}

static void on_reserved(
	void *data, const struct status *st, const struct db_reserved *r, size_t n)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (status_is_ok(st)) {
		sr->world.reserved = reserved_copy(sr->run->arena, r, n);
		sr->world.n_reserved = n;
	}
	stack_step_done(sr, st);
}

static enum flow_next check_names(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	size_t n;
	const char *const *names =
		reserved_candidates(sr->run->arena, sr->namespace_, &sr->target, &n);
	if (n == 0)
		return FLOW_NEXT;
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->reserved(sr->db, sr->run->job->project_id.text, sr->namespace_,
		names, n, on_reserved, op);
	return FLOW_WAIT;
}

static void say(void *data, const char *text)
{
	const struct stack_run *sr = data;
	job_run_say(sr->run, "%s", text);
}

/* A registry that does not answer is no reason not to deploy; an Engine that does not is. */
static void on_images(void *data, const struct image_answer *answers, size_t n)
{
	struct stack_run *sr = data;
	sr->images = NULL;
	for (size_t i = 0; i < n; i++)
		if (answers[i].st.code == ST_UNAVAILABLE) {
			stack_step_done(sr, &answers[i].st);
			return;
		}
	images_pin(sr->run->arena, &sr->target, &sr->world, answers, n, say, sr);
	sr->pinned = true;
	flow_resume(sr->run->flow);
}

/* Once a release: whoever goes back to it gets the same bytes. */
static enum flow_next resolve_images(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct arena *a = sr->run->arena;
	enum image_policy policy;
	json_t *params;
	size_t n;
	if (sr->pinned)
		return FLOW_NEXT;
	f->st = json_parse(sr->run->job->params, &params);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	if (!image_policy_parse(json_text(params, "resolve_image", ""), &policy))
		policy = IMAGES_ALWAYS;
	json_decref(params);
	const char *const *refs = images_wanted(a, &sr->target, &sr->world, policy, &n);
	const struct images_options o = {
		.loop = sr->run->loop, .docker = sr->docker, .auths = &sr->auths};
	sr->images = images_ask(&o, refs, n, on_images, sr);
	return FLOW_WAIT;
}

static void on_checked(void *data, const struct status *st, const struct plan_work *w)
{
	struct stack_run *sr;
	void *scratch;
	if (!stack_op_end(data, &sr, &scratch)) {
		arena_destroy(scratch);
		return;
	}
	struct status result = *st;
	if (status_is_ok(st) && !status_is_ok(&w->given_st)) {
		result = w->given_st;
		job_run_try_no_more(sr->run);
	} else if (status_is_ok(st) && w->refusals) {
		result = status_err(ST_FAILED_PRECONDITION, "%s", w->refusals);
		job_run_story(sr->run, w->refusals, NULL);
	}
	for (size_t i = 0; status_is_ok(&result) && i < w->n_said; i++)
		say(sr, w->said[i]);
	arena_destroy(scratch);
	if (result.code == ST_UNAVAILABLE)
		stack_step_done(sr, &result); /* it may pass */
	else
		flow_step_done(sr->run->flow, &result);
}

/* Before the first write: is what would be done now what was planned, and can it be done? Behind
 * the first step the world has moved by our own writes. */
static enum flow_next check_plan(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct arena *a = sr->run->arena;
	json_t *params;
	if (sr->run->job->step[0])
		return FLOW_NEXT;
	f->st = json_parse(sr->run->job->params, &params);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	struct plan_kept *kept = arena_new(a, struct plan_kept);
	*kept = rollout_kept(&sr->forward);
	const struct plan_work_input in = {.world = &sr->world,
		.release = &sr->target,
		.kept = kept,
		.given = json_text(params, "plan_fingerprint", "")};
	struct arena *scratch = arena_create_small(); /* the plan is of no more use afterwards */
	plan_work(sr->run->loop, scratch, &in, on_checked, stack_op_begin(sr, scratch));
	json_decref(params);
	return FLOW_WAIT;
}

/* ---- steps ---- */

static enum flow_next announce(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->set_status(
		sr->db, sr->run->job, STACK_DEPLOYING, "", stack_op_step_done, op);
	return FLOW_WAIT;
}

static void on_status_taken_back(void *data, const struct status *st)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->fail_release(
		sr->db, sr->run->job, sr->deployment_id, stack_op_step_done, op);
}

static enum flow_next mark_failed(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	const char *message;
	enum stack_status status = stack_left_as(sr, &message);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->set_status(
		sr->db, sr->run->job, status, message, on_status_taken_back, op);
	return FLOW_WAIT;
}

static enum flow_next assign_networks(struct flow *f)
{
	stack_assign_networks(stack_run_of(f));
	return FLOW_WAIT;
}

static enum flow_next run_phase(struct flow *f, enum rollout_phase phase,
	void (*done)(struct stack_run *sr, const struct status *st))
{
	struct stack_run *sr = stack_run_of(f);
	sr->forward.target = &sr->target;
	rollout_run(&sr->forward, (unsigned)phase, done);
	return FLOW_WAIT;
}

static enum flow_next networks(struct flow *f)
{
	return run_phase(f, ROLLOUT_NETWORKS, stack_on_rollout);
}

static enum flow_next objects(struct flow *f)
{
	return run_phase(f, ROLLOUT_OBJECTS, stack_on_rollout);
}

static void on_services(struct stack_run *sr, const struct status *st)
{
	const struct rollout *ro = &sr->forward;
	if (status_is_ok(st))
		job_run_say(sr->run, "services: %u created, %u updated, %u unchanged", ro->created,
			ro->updated, ro->kept);
	flow_step_done(sr->run->flow, st);
}

static enum flow_next services(struct flow *f)
{
	return run_phase(f, ROLLOUT_SERVICES, on_services);
}

static enum flow_next converge(struct flow *f)
{
	stack_lighten(stack_run_of(f));
	return run_phase(f, ROLLOUT_CONVERGE, stack_on_rollout);
}

static enum flow_next prune(struct flow *f)
{
	stack_lighten(stack_run_of(f));
	return run_phase(f, ROLLOUT_PRUNE, stack_on_rollout);
}

static void on_activated(void *data, const struct status *st)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (status_is_ok(st))
		rollout_say_result(&sr->forward);
	stack_step_done(sr, st);
}

static void on_looked(struct stack_run *sr, const struct status *st)
{
	if (status_is_ok(st))
		flow_resume(sr->run->flow);
	else
		flow_step_done(sr->run->flow, st);
}

/* Where `prune` had to look at what leaves, and where another daemon has seen them converge, they are
 * looked at once more. */
static enum flow_next activate(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	size_t n;
	stack_lighten(sr);
	if (!sr->forward.judged_all)
		return run_phase(f, ROLLOUT_LOOK, on_looked);
	struct db_service *seen = rollout_services(&sr->forward, sr->run->arena, &n);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->activate(
		sr->db, sr->run->job, sr->deployment_id, seen, n, on_activated, op);
	return FLOW_WAIT;
}

static const struct flow_step deploy_prelude[] = {
	{"turn", stack_take_turn, NULL, 0},
	{"load_stack", stack_load_stack, NULL, 60},
	{"load_release", load_release, NULL, 60},
	{"load_good", load_good, NULL, 60},
	{"check_names", check_names, NULL, 60},
	{"look", stack_look, NULL, 120},
	{"images", resolve_images, NULL, 120},
	{"check_plan", check_plan, NULL, 120},
	{0},
};
static const struct flow_step deploy_steps[] = {
	{"announce", announce, mark_failed, 60},
	{"store", stack_store_release, NULL, 60},
	{"assign_networks", assign_networks, NULL, 60},
	{"networks", networks, stack_restore, 600},
	{"objects", objects, NULL, 120},
	{"services", services, NULL, 3600},
	{"converge", converge, NULL, 3600},
	{"prune", prune, NULL, 300},
	{"activate", activate, NULL, 0}, /* it may be done unheard: no limit, no return */
	{0},
};

const struct job_kind_def stacks_deploy_kind = {JOB_DEPLOY, deploy_prelude, deploy_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, "activate"};
/* Its release has its objects already: those of the one that it repeats. */
const struct job_kind_def stacks_rollback_kind = {JOB_ROLLBACK, deploy_prelude, deploy_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, "activate"};
const struct job_kind_def stacks_update_kind = {JOB_UPDATE, deploy_prelude, deploy_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, "activate"};
