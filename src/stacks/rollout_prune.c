/* The pruning phase of a rollout: removes what carries the stack's label and is not in the release:
 * services first, then, when their tasks are gone, secrets, configs and networks; and waits until
 * the networks are gone too, so that the same stack can be made anew at once. */
#include "stacks/rollout.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/plan.h"
#include "stacks/stack_run.h"

#define LOOK_MS 200
/* So often what is still in use (a container outside the stack in its network) is waited for,
 * before a release that runs well leaves it behind. */
#define BUSY_ROUNDS 20

/* Gone already is as good. */
static void on_removed(void *data, const struct status *st)
{
	struct stack_run *sr;
	void *ro;
	if (!stack_op_end(data, &sr, &ro))
		return;
	struct status ok = status_ok();
	rollout_part(ro, st->code == ST_NOT_FOUND ? &ok : st);
}

/* Still in use: tasks leave their networks a moment after they are gone from the list. */
static void on_object_removed(void *data, const struct status *st)
{
	struct stack_run *sr;
	void *rollout;
	if (!stack_op_end(data, &sr, &rollout))
		return;
	struct rollout *ro = rollout;
	struct status again = status_err(ST_UNAVAILABLE, "%s", st->message);
	struct status ok = status_ok();
	bool busy = st->code == ST_FAILED_PRECONDITION || st->code == ST_INVALID_ARGUMENT ||
		    st->code == ST_ABORTED;
	ro->busy |= busy;
	rollout_part(ro, busy ? &again : st->code == ST_NOT_FOUND ? &ok : st);
}

/* ---- secrets and configs that stay ---- */

struct plan_kept rollout_kept(const struct rollout *ro)
{
	const struct stack_run *sr = ro->sr;
	return (struct plan_kept){sr->kept, sr->n_kept < ro->keeps ? sr->n_kept : ro->keeps};
}

static bool goes(
	const struct rollout *ro, const struct map *staying, const struct world_object *o)
{
	return o->ours && !map_gets(staying, o->name) && !map_gets(&ro->in_use, o->id);
}

static bool any_goes(const struct rollout *ro, enum compose_kind kind,
	const struct world_object *seen, size_t n_seen)
{
	const struct plan_kept kept = rollout_kept(ro);
	struct map staying;
	bool any = false;
	plan_staying(ro->target, &kept, kind, &staying);
	for (size_t i = 0; i < n_seen && !any; i++)
		any = goes(ro, &staying, &seen[i]);
	map_finish(&staying);
	return any;
}

static void add_in_use(struct rollout *ro, const json_t *list, const char *key)
{
	json_t *entry;
	size_t i;
	json_array_foreach((json_t *)(uintptr_t)list, i, entry)
		map_puts(&ro->in_use, json_text(entry, key, ""), ro);
}

static void remove_the_rest(struct rollout *ro);

static void on_users(void *data, const struct status *st, const struct docker_task *t, size_t n)
{
	struct stack_run *sr;
	void *rollout;
	if (!stack_op_end(data, &sr, &rollout))
		return;
	struct rollout *ro = rollout;
	for (size_t i = 0; i < n; i++) {
		if (docker_task_state_ended(t[i].state))
			continue;
		add_in_use(ro, json_at(t[i].spec, "ContainerSpec.Secrets"), "SecretID");
		add_in_use(ro, json_at(t[i].spec, "ContainerSpec.Configs"), "ConfigID");
	}
	rollout_part(ro, st);
}

/* The Engine knows which services use one, and not which tasks of an earlier spec still do. */
static void find_users(struct rollout *ro)
{
	struct stack_run *sr = ro->sr;
	const struct world *w = &sr->world;
	bool any = any_goes(ro, COMPOSE_SECRET, w->secrets, w->n_secrets) ||
		   any_goes(ro, COMPOSE_CONFIG, w->configs, w->n_configs);
	if (!any || ro->target->n_services == 0) { /* of a stack that goes no task is left */
		remove_the_rest(ro);
		return;
	}
	const char *const labels[] = {
		arena_fmt(sr->run->arena, "%s=%s", LABEL_NAMESPACE, sr->namespace_), NULL};
	const struct docker_task_filter f = {.labels = labels};
	ro->next = remove_the_rest;
	rollout_await(ro);
	struct stack_op *op = stack_op_begin(sr, ro);
	op->docker = docker_task_list(sr->docker, &f, 0, on_users, op);
}

/* ---- removing ---- */

static void remove_objects(
	struct rollout *ro, enum compose_kind kind, const struct world_object *seen, size_t n_seen)
{
	enum docker_kind k = kind == COMPOSE_SECRET ? DOCKER_SECRET : DOCKER_CONFIG;
	const struct plan_kept kept = rollout_kept(ro);
	struct map staying;
	plan_staying(ro->target, &kept, kind, &staying);
	for (size_t i = 0; i < n_seen; i++) {
		if (!goes(ro, &staying, &seen[i]))
			continue;
		rollout_await(ro);
		struct stack_op *op = stack_write_begin(ro->sr, ro);
		if (!op)
			break;
		op->docker = docker_object_remove(
			ro->sr->docker, k, seen[i].id, 0, on_object_removed, op);
	}
	map_finish(&staying);
}

static unsigned remove_networks(struct rollout *ro)
{
	const struct world *w = &ro->sr->world;
	unsigned n = 0;
	for (size_t i = 0; i < w->n_networks; i++) {
		if (!w->networks[i].ours ||
			plan_wants(ro->target, COMPOSE_NETWORK, w->networks[i].name))
			continue;
		n++;
		rollout_await(ro);
		struct stack_op *op = stack_write_begin(ro->sr, ro);
		if (!op)
			return 0;
		op->docker = docker_network_remove(
			ro->sr->docker, w->networks[i].id, 0, on_object_removed, op);
	}
	return n;
}

static void on_networks_left(void *data, const struct status *st);

static void wait_for_networks(struct rollout *ro)
{
	stack_read_world(ro->sr, on_networks_left, ro);
}

/* A removed network lingers in the list; the Engine would refuse to make another of its name. */
static void on_networks_left(void *data, const struct status *st)
{
	struct rollout *ro = data;
	const struct world *w = &ro->sr->world;
	ro->st = *st;
	if (status_is_ok(st))
		for (size_t i = 0; i < w->n_networks; i++) {
			const struct world_object *o = &w->networks[i];
			if (o->ours && !plan_wants(ro->target, COMPOSE_NETWORK, o->name))
				ro->st = status_err(ST_UNAVAILABLE,
					"network %s is still being removed", o->name);
		}
	rollout_phase_over(ro);
}

static void remove_the_rest(struct rollout *ro)
{
	const struct world *w = &ro->sr->world;
	rollout_await(ro);
	remove_objects(ro, COMPOSE_SECRET, w->secrets, w->n_secrets);
	remove_objects(ro, COMPOSE_CONFIG, w->configs, w->n_configs);
	ro->next = remove_networks(ro) > 0 ? wait_for_networks : rollout_phase_over;
	struct status ok = status_ok();
	rollout_part(ro, &ok);
}

static bool node_is_down(const struct picture *p, const char *node_id)
{
	for (size_t i = 0; i < p->n_nodes; i++)
		if (strcmp(p->nodes[i].id, node_id) == 0)
			return p->nodes[i].state == DOCKER_NODE_DOWN;
	return false;
}

/* A node that is down cannot say that its tasks have ended; it will end them when it is back. */
static void on_tasks_seen(struct rollout *ro)
{
	const struct picture *p = rollout_picture(ro);
	bool left = false;
	for (size_t i = 0; i < ro->n_leaving; i++) {
		size_t n;
		const struct docker_task *t =
			converge_tasks(p->tasks, p->n_tasks, ro->leaving[i], &n);
		for (size_t k = 0; k < n; k++)
			left |= !docker_task_state_ended(t[k].state) &&
				!node_is_down(p, t[k].node_id);
	}
	if (left)
		rollout_look_again(ro, LOOK_MS);
	else
		find_users(ro);
}

static void wait_for_tasks(struct rollout *ro)
{
	rollout_look(ro, on_tasks_seen);
}

/* Something outside the stack holds what is left: no reason to take a good release back. */
static bool gives_up(struct rollout *ro)
{
	if (ro->busy)
		ro->busy_rounds++;
	ro->busy = false;
	return ro->busy_rounds >= BUSY_ROUNDS && ro->target->n_services > 0;
}

void rollout_prune(struct rollout *ro)
{
	struct stack_run *sr = ro->sr;
	const struct world *w = &sr->world;
	size_t n = 0;
	if (gives_up(ro)) {
		job_run_say(sr->run, "left behind: %s", sr->trouble.message);
		rollout_phase_over(ro);
		return;
	}
	const char **leaving =
		arena_array(sr->run->arena, const char *, w->n_services + ro->n_leaving + 1);
	for (size_t i = 0; i < ro->n_leaving; i++)
		leaving[n++] = ro->leaving[i];
	map_finish(&ro->in_use);
	map_init(&ro->in_use);
	ro->next = find_users;
	rollout_await(ro);
	struct map staying;
	plan_staying(ro->target, NULL, COMPOSE_SERVICE, &staying);
	bool leased = true;
	for (size_t i = 0; i < w->n_services && leased; i++) {
		if (!w->services[i].ours || map_gets(&staying, w->services[i].name))
			continue;
		leaving[n++] = arena_strdup(sr->run->arena, w->services[i].id);
		ro->removed++;
		job_run_say(sr->run, "service %s is removed", w->services[i].name);
		rollout_await(ro);
		struct stack_op *op = stack_write_begin(sr, ro);
		leased = op != NULL;
		if (op)
			op->docker = docker_service_remove(
				sr->docker, w->services[i].id, 0, on_removed, op);
	}
	map_finish(&staying);
	if (!leased)
		return;
	ro->leaving = leaving;
	ro->n_leaving = n;
	if (n > 0)
		ro->next = wait_for_tasks;
	struct status ok = status_ok();
	rollout_part(ro, &ok);
}
