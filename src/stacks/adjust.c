/* adjust: writes services of the active release as they stand in the Engine, each a little otherwise; two
 * kinds. Read the tables at the end.
 *
 *	scale    other numbers of replicas. params: {"replicas": {"web": 3}}
 *	restart  new tasks, by their own update settings. params: {"services": ["web"]}, empty = all.
 *	         It cannot be taken back; cancelling it ends the watching. */
#include "stacks/kinds.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/stack_run.h"

/* ---- prelude ---- */

/* The active release must have the service; a scale must be able to scale it. */
static struct status check_service(const struct stack_run *sr, const char *key, bool scale)
{
	const struct release_service *s = release_service_find(&sr->previous, key);
	if (!s)
		return status_err(ST_NOT_FOUND,
			"service \"%s\" is not in the stack's active release", key);
	if (scale && strncmp(s->mode, "global", 6) == 0)
		return status_err(ST_FAILED_PRECONDITION,
			"service \"%s\" runs once on every node (mode %s): it cannot be scaled", key,
			s->mode);
	return status_ok();
}

/* The keys of the services that the job names, NULL-terminated. */
static const char **named_services(struct arena *a, const json_t *params)
{
	json_t *replicas = json_at(params, "replicas"), *services = json_at(params, "services"),
	       *value;
	const char **keys = arena_array(
		a, const char *, json_object_size(replicas) + json_array_size(services) + 1);
	const char *key;
	size_t n = 0, i;
	json_object_foreach(replicas, key, value) keys[n++] = key;
	json_array_foreach(services, i, value) if (json_is_string(value))
		keys[n++] = json_string_value(value);
	return keys;
}

static enum flow_next check(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct arena *a = sr->run->arena;
	bool scale = sr->run->job->kind == JOB_SCALE;
	json_t *params = NULL;
	if (!sr->has_previous) { /* the deploy that it waited behind came to nothing */
		f->st = status_err(ST_FAILED_PRECONDITION,
			"stack \"%s\" has no release that runs: deploy it first", sr->run->job->stack);
		return FLOW_FAIL;
	}
	f->st = json_parse(sr->run->job->params, &params);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	json_keep(a, params);
	const char **only = named_services(a, params);
	for (size_t i = 0; only[i]; i++) {
		f->st = check_service(sr, only[i], scale);
		if (!status_is_ok(&f->st))
			return FLOW_FAIL;
	}
	sr->forward.mode = scale ? ROLLOUT_SCALE : ROLLOUT_RESTART;
	sr->forward.replicas = json_at(params, "replicas");
	sr->back.mode = ROLLOUT_BACK;
	sr->forward.target = sr->back.target = &sr->previous;
	sr->forward.only = sr->back.only = scale || only[0] ? only : NULL;
	return FLOW_NEXT;
}

/* ---- steps ---- */

static enum flow_next services(struct flow *f)
{
	rollout_run(&stack_run_of(f)->forward, ROLLOUT_SERVICES, stack_on_rollout);
	return FLOW_WAIT;
}

static enum flow_next scale_back(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	sr->back.stale = true;
	rollout_run(&sr->back, ROLLOUT_SERVICES | ROLLOUT_CONVERGE, stack_on_rollout);
	return FLOW_WAIT;
}

static void on_converged(struct stack_run *sr, const struct status *st)
{
	if (status_is_ok(st))
		rollout_say_result(&sr->forward);
	flow_step_done(sr->run->flow, st);
}

static enum flow_next converge(struct flow *f)
{
	rollout_run(&stack_run_of(f)->forward, ROLLOUT_CONVERGE, on_converged);
	return FLOW_WAIT;
}

static const struct flow_step prelude[] = {
	{"load_stack", stack_load_stack, NULL, 60},
	{"check", check, NULL, 0},
	{"look", stack_look, NULL, 120},
	{0},
};
static const struct flow_step scale_steps[] = {
	{"services", services, scale_back, 600},
	{"converge", converge, NULL, 3600},
	{0},
};
static const struct flow_step restart_steps[] = {
	{"services", services, NULL, 600},
	{"converge", converge, NULL, 3600},
	{0},
};

const struct job_kind_def stacks_scale_kind = {JOB_SCALE, prelude, scale_steps, stack_run_begin,
	stack_run_interrupt, stack_run_end, NULL};
const struct job_kind_def stacks_restart_kind = {JOB_RESTART, prelude, restart_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, NULL};
