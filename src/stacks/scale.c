/* scale: other numbers of replicas for services of the active release. params: {"replicas": {"web":
 * 3}} */
#include "stacks/kinds.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/stack_run.h"

static void free_json(void *j)
{
	json_decref(j);
}

/* The services that the job names; the active release must have, and be able to scale, each. */
static enum flow_next check(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct arena *a = sr->run->arena;
	json_t *params = NULL, *value;
	const char *key;
	f->st = json_parse(sr->run->job->params, &params);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	arena_on_free(a, free_json, params);
	sr->forward.replicas = json_at(params, "replicas");
	const char **only =
		arena_array(a, const char *, json_object_size(sr->forward.replicas) + 1);
	size_t n = 0;
	json_object_foreach((json_t *)(uintptr_t)sr->forward.replicas, key, value)
	{
		const struct release_service *s = release_service_find(&sr->previous, key);
		if (!s)
			f->st = status_err(ST_NOT_FOUND,
				"service \"%s\" is not in the stack's active release", key);
		else if (strncmp(s->mode, "global", 6) == 0)
			f->st = status_err(ST_FAILED_PRECONDITION,
				"service \"%s\" runs once on every node (mode %s): it cannot be "
				"scaled",
				key, s->mode);
		if (!status_is_ok(&f->st))
			return FLOW_FAIL;
		only[n++] = key;
	}
	sr->forward.mode = ROLLOUT_SCALE;
	sr->forward.target = &sr->previous;
	sr->forward.only = only;
	sr->back.mode = ROLLOUT_BACK;
	sr->back.target = &sr->previous;
	sr->back.only = only;
	return FLOW_NEXT;
}

static enum flow_next scale_back(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	sr->back.stale = true;
	rollout_run(&sr->back, ROLLOUT_SERVICES | ROLLOUT_CONVERGE, stack_on_rollout);
	return FLOW_WAIT;
}

static const struct flow_step scale_prelude[] = {
	{"load_stack", stack_load_stack, NULL, 60},
	{"check", check, NULL, 0},
	{"look", stack_look, NULL, 120},
	{0},
};
static const struct flow_step scale_steps[] = {
	{"services", stack_services, scale_back, 600},
	{"converge", stack_converge, NULL, 3600},
	{0},
};

const struct job_kind_def stacks_scale_kind = {JOB_SCALE, scale_prelude, scale_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, NULL};
