#include "docker/ops.h"
#include "base/json.h"
#include "docker/call.h"

static const char *const task_states[] = {
	[DOCKER_TASK_UNKNOWN] = "unknown",
	[DOCKER_TASK_NEW] = "new",
	[DOCKER_TASK_ALLOCATED] = "allocated",
	[DOCKER_TASK_PENDING] = "pending",
	[DOCKER_TASK_ASSIGNED] = "assigned",
	[DOCKER_TASK_ACCEPTED] = "accepted",
	[DOCKER_TASK_PREPARING] = "preparing",
	[DOCKER_TASK_READY] = "ready",
	[DOCKER_TASK_STARTING] = "starting",
	[DOCKER_TASK_RUNNING] = "running",
	[DOCKER_TASK_COMPLETE] = "complete",
	[DOCKER_TASK_SHUTDOWN] = "shutdown",
	[DOCKER_TASK_FAILED] = "failed",
	[DOCKER_TASK_REJECTED] = "rejected",
	[DOCKER_TASK_REMOVE] = "remove",
	[DOCKER_TASK_ORPHANED] = "orphaned",
};

const char *docker_task_state_name(enum docker_task_state s)
{
	return task_states[s];
}

enum docker_task_state docker_task_state_parse(const char *name)
{
	for (size_t i = 0; i < sizeof task_states / sizeof task_states[0]; i++)
		if (strcmp(name, task_states[i]) == 0)
			return (enum docker_task_state)i;
	return DOCKER_TASK_UNKNOWN;
}

static void read_task(const json_t *j, struct docker_task *t)
{
	const json_t *job = json_at(j, "JobIteration"); /* {} is iteration 0 */
	t->id = json_text(j, "ID", "");
	t->service_id = json_text(j, "ServiceID", "");
	t->node_id = json_text(j, "NodeID", "");
	t->container_id = json_text(j, "Status.ContainerStatus.ContainerID", "");
	t->slot = json_int(j, "Slot", 0);
	t->desired_state = docker_task_state_parse(json_text(j, "DesiredState", ""));
	t->state = docker_task_state_parse(json_text(j, "Status.State", ""));
	t->message = json_text(j, "Status.Message", "");
	t->err = json_text(j, "Status.Err", "");
	/* The Engine says 0 for a container that still runs, and for one that never did. */
	t->exit_code = -1;
	if (docker_task_state_ended(t->state) && t->container_id[0])
		t->exit_code = json_int(j, "Status.ContainerStatus.ExitCode", -1);
	t->image = json_text(j, "Spec.ContainerSpec.Image", "");
	t->version = (uint64_t)json_int(j, "Version.Index", 0);
	t->job_iteration = job ? json_int(job, "Index", 0) : -1;
	t->spec = json_at(j, "Spec");
	t->reserved_nano_cpus = json_int(t->spec, "Resources.Reservations.NanoCPUs", 0);
	t->reserved_bytes = json_int(t->spec, "Resources.Reservations.MemoryBytes", 0);
	t->created_us = read_time_us(j, "CreatedAt");
	t->updated_us = read_time_us(j, "UpdatedAt");
	t->state_us = read_time_us(j, "Status.Timestamp");
}

static void deliver_tasks(struct docker_call *c, const struct status *st, const json_t *reply)
{
	size_t n;
	struct status result = call_count(c, st, reply, &n);
	struct docker_task *t = arena_array(c->arena, struct docker_task, n);
	for (size_t i = 0; i < n; i++)
		read_task(call_item(reply, i), &t[i]);
	c->done.tasks(c->data, &result, n ? t : NULL, n);
}

static struct status on_brief_task(struct docker_call *c, struct str text)
{
	const uint64_t hash = known_hash(text);
	const struct docker_task *known = known_find(c, hash);
	struct arena *a = c->arena;
	struct docker_task *t;
	json_t *j = NULL;
	struct status st = known ? status_ok() : json_parse(text, &j);
	if (!status_is_ok(&st))
		return st;
	t = call_room(c, sizeof(*t));
	if (known)
		*t = *known;
	else
		read_task(j, t);
	t->text_hash = hash;
	t->id = arena_strdup(a, t->id);
	t->service_id = arena_strdup(a, t->service_id);
	t->node_id = arena_strdup(a, t->node_id);
	t->container_id = arena_strdup(a, t->container_id);
	t->message = arena_strdup(a, t->message);
	t->err = arena_strdup(a, t->err);
	t->image = arena_strdup(a, t->image);
	t->spec = NULL;
	json_decref(j);
	return st;
}

static void deliver_brief(struct docker_call *c, const struct status *st, const json_t *reply)
{
	(void)reply;
	bool ok = status_is_ok(st);
	c->done.tasks(c->data, st, ok ? c->extra : NULL, ok ? c->n_extra : 0);
}

static json_t *task_filters(const struct docker_task_filter *f)
{
	const char *const desired[] = {f->desired_state, NULL}, *const yes[] = {"true", NULL};
	json_t *filters = filter_add(NULL, "service", f->services);
	filters = filter_add(filters, "label", f->labels);
	filters = filter_add(filters, "node", f->nodes);
	filters = filter_add(filters, "desired-state", desired);
	return f->up_to_date ? filter_add(filters, "_up-to-date", yes) : filters;
}

struct docker_call *engine_task_list(struct docker *d, const struct docker_task_filter *f,
	uint64_t ms, docker_on_tasks done, void *data)
{
	struct buf path = {0};
	bool brief = f && f->brief;
	struct call_request r = {.method = "GET",
		.ms = ms,
		.deliver = brief ? deliver_brief : deliver_tasks,
		.on_item = brief ? on_brief_task : NULL,
		.done.tasks = done,
		.data = data};
	buf_adds(&path, "/tasks");
	if (f)
		path_filters(&path, '?', task_filters(f));
	struct docker_call *c = call_start_buf(engine_of(d), &path, &r);
	if (brief)
		known_set(c, f->known, f->n_known, sizeof(*f->known),
			offsetof(struct docker_task, text_hash));
	return c;
}
