/* restart: new tasks for services of the active release, by their own update settings. params:
 * {"services": ["web"]}, empty = all. A restart cannot be taken back; cancelling it ends the
 * watching. */
#include "stacks/kinds.h"

#include "base/arena.h"
#include "base/json.h"
#include "stacks/stack_run.h"

static void free_json(void *j)
{
	json_decref(j);
}

static enum flow_next check(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct arena *a = sr->run->arena;
	json_t *params = NULL, *entry;
	size_t i;
	f->st = json_parse(sr->run->job->params, &params);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	arena_on_free(a, free_json, params);
	json_t *services = json_at(params, "services");
	const char **only = arena_array(a, const char *, json_array_size(services) + 1);
	json_array_foreach(services, i, entry)
	{
		only[i] = json_string_value(entry);
		if (!only[i] || !release_service_find(&sr->previous, only[i])) {
			f->st = status_err(ST_NOT_FOUND,
				"service \"%s\" is not in the stack's active release",
				only[i] ? only[i] : "");
			return FLOW_FAIL;
		}
	}
	sr->forward.mode = ROLLOUT_RESTART;
	sr->forward.target = &sr->previous;
	sr->forward.only = json_array_size(services) > 0 ? only : NULL;
	return FLOW_NEXT;
}

static const struct flow_step restart_prelude[] = {
	{"load_stack", stack_load_stack, NULL, 60},
	{"check", check, NULL, 0},
	{"look", stack_look, NULL, 120},
	{0},
};
static const struct flow_step restart_steps[] = {
	{"services", stack_services, NULL, 600},
	{"converge", stack_converge, NULL, 3600},
	{0},
};

const struct job_kind_def stacks_restart_kind = {JOB_RESTART, restart_prelude, restart_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, NULL};
