#include "stacks/world.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/stack_run.h"

void world_init(struct world *w)
{
	*w = (struct world){.arena = arena_create()};
}

void world_finish(struct world *w)
{
	arena_destroy(w->arena);
	w->arena = NULL;
}

static void free_json(void *j)
{
	json_decref(j);
}

static json_t *keep_json(struct arena *a, const json_t *j)
{
	if (!j)
		return NULL;
	json_t *kept = json_deep_copy(j);
	arena_on_free(a, free_json, kept);
	return kept;
}

static void look_up_hidden_networks(struct stack_run *sr, struct world *w);

static void part_done(struct stack_run *sr, struct world *w, const struct status *st)
{
	if (!status_is_ok(st) && status_is_ok(&w->st))
		w->st = *st;
	if (w->waiting == 1 && !w->listed && status_is_ok(&w->st)) {
		w->listed = true;
		look_up_hidden_networks(sr, w);
	}
	if (--w->waiting == 0)
		w->done(sr, w->data, &w->st);
}

static const char *label(struct arena *a, const struct docker_pairs *labels, const char *key)
{
	const char *value = docker_pair_get(labels, key);
	return arena_strdup(a, value ? value : "");
}

static bool is_ours(const struct stack_run *sr, const struct docker_pairs *labels)
{
	const char *stack = docker_pair_get(labels, LABEL_STACK);
	return stack && strcmp(stack, sr->run->job->stack_id.text) == 0;
}

static void on_services(
	void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct stack_run *sr;
	void *world;
	if (!stack_op_end(data, &sr, &world))
		return;
	struct world *w = world;
	struct arena *a = w->arena;
	w->services = arena_array(a, struct world_service, n + 1);
	for (size_t i = 0; i < n; i++) {
		int64_t epoch = 0;
		(void)str_to_i64(str_of(label(a, &s[i].labels, LABEL_EPOCH)), &epoch);
		w->services[i] = (struct world_service){
			.id = arena_strdup(a, s[i].id),
			.name = arena_strdup(a, s[i].name),
			.version = s[i].version,
			.spec = keep_json(a, s[i].spec),
			.previous_spec = keep_json(a, s[i].previous_spec),
			.ours = is_ours(sr, &s[i].labels),
			.label_job = label(a, &s[i].labels, LABEL_JOB),
			.label_epoch = (int)epoch,
			.update = s[i].update.state,
		};
	}
	w->n_services = n;
	part_done(sr, w, st);
}

static void on_networks(
	void *data, const struct status *st, const struct docker_network *networks, size_t n)
{
	struct stack_run *sr;
	void *world;
	if (!stack_op_end(data, &sr, &world))
		return;
	struct world *w = world;
	w->networks = arena_array(w->arena, struct world_object, n + 1);
	for (size_t i = 0; i < n; i++)
		w->networks[i] = (struct world_object){arena_strdup(w->arena, networks[i].id),
			arena_strdup(w->arena, networks[i].name),
			arena_strdup(w->arena, networks[i].scope), "",
			is_ours(sr, &networks[i].labels)};
	w->n_networks = n;
	part_done(sr, w, st);
}

/* Takes the place of the local one of that name. Gone by now: then the service that named it is
 * written anew. */
static void on_hidden_network(
	void *data, const struct status *st, const struct docker_network *networks, size_t n)
{
	static const struct status ok;
	struct stack_run *sr;
	void *world;
	if (!stack_op_end(data, &sr, &world))
		return;
	struct world *w = world;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < w->n_networks; k++)
			if (strcmp(w->networks[k].name, networks[i].name) == 0 &&
				!w->networks[k].ours) {
				w->networks[k].id = arena_strdup(w->arena, networks[i].id);
				w->networks[k].scope = "swarm";
			}
	part_done(sr, w, st->code == ST_NOT_FOUND ? &ok : st);
}

static bool is_listed(const struct world *w, const char *network_id)
{
	for (size_t i = 0; i < w->n_networks; i++)
		if (strcmp(w->networks[i].id, network_id) == 0)
			return true;
	return false;
}

/* What stands in the Swarm for the Engine's own networks (host, bridge) is in no list, yet services
 * name it by its id. */
static void look_up_hidden_networks(struct stack_run *sr, struct world *w)
{
	const char *asked = "";
	for (size_t i = 0; i < w->n_services; i++) {
		const json_t *entry,
			*attached = json_at(w->services[i].spec, "TaskTemplate.Networks");
		size_t k;
		json_array_foreach(attached, k, entry)
		{
			const char *id = json_text(entry, "Target", "");
			if (!id[0] || is_listed(w, id) || strstr(asked, id))
				continue;
			asked = arena_fmt(w->arena, "%s %s", asked, id);
			w->waiting++;
			struct stack_op *op = stack_op_begin(sr, w);
			op->docker =
				docker_network_inspect(sr->docker, id, 0, on_hidden_network, op);
		}
	}
}

static struct world_object *copy_objects(
	struct stack_run *sr, struct arena *a, const struct docker_object *objects, size_t n)
{
	struct world_object *copy = arena_array(a, struct world_object, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = (struct world_object){arena_strdup(a, objects[i].id),
			arena_strdup(a, objects[i].name), "swarm",
			label(a, &objects[i].labels, LABEL_CONTENT),
			is_ours(sr, &objects[i].labels)};
	return copy;
}

static void on_secrets(
	void *data, const struct status *st, const struct docker_object *objects, size_t n)
{
	struct stack_run *sr;
	void *world;
	if (!stack_op_end(data, &sr, &world))
		return;
	struct world *w = world;
	w->secrets = copy_objects(sr, w->arena, objects, n);
	w->n_secrets = n;
	part_done(sr, w, st);
}

static void on_configs(
	void *data, const struct status *st, const struct docker_object *objects, size_t n)
{
	struct stack_run *sr;
	void *world;
	if (!stack_op_end(data, &sr, &world))
		return;
	struct world *w = world;
	w->configs = copy_objects(sr, w->arena, objects, n);
	w->n_configs = n;
	part_done(sr, w, st);
}

void world_read(struct world *w, struct stack_run *sr,
	void (*done)(struct stack_run *sr, void *data, const struct status *st), void *data)
{
	struct docker *d = sr->docker;
	const char *labels[] = {NULL, NULL};
	const struct docker_filter ours = {.labels = labels};
	arena_reset(w->arena);
	labels[0] = arena_fmt(w->arena, "%s=%s", LABEL_NAMESPACE, sr->namespace_);
	w->st = status_ok();
	w->done = done;
	w->data = data;
	w->waiting = 4;
	w->listed = false;
	w->n_services = w->n_networks = w->n_secrets = w->n_configs = 0;
	struct stack_op *op = stack_op_begin(sr, w);
	op->docker = docker_service_list(d, &ours, 0, on_services, op);
	op = stack_op_begin(sr, w);
	op->docker = docker_network_list(d, NULL, 0, on_networks, op);
	op = stack_op_begin(sr, w);
	op->docker = docker_object_list(d, DOCKER_SECRET, NULL, 0, on_secrets, op);
	op = stack_op_begin(sr, w);
	op->docker = docker_object_list(d, DOCKER_CONFIG, NULL, 0, on_configs, op);
}

void world_add(
	struct world *w, struct world_object **objects, size_t *n, const char *id, const char *name)
{
	struct world_object *more = arena_array(w->arena, struct world_object, *n + 2);
	if (*n)
		memcpy(more, *objects, *n * sizeof(*more));
	more[(*n)++] = (struct world_object){
		arena_strdup(w->arena, id), arena_strdup(w->arena, name), "swarm", "", true};
	*objects = more;
}

const struct world_service *world_service_find(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->n_services; i++)
		if (strcmp(w->services[i].name, name) == 0)
			return &w->services[i];
	return NULL;
}

const struct world_object *world_find(
	const struct world_object *objects, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(objects[i].name, name) == 0)
			return &objects[i];
	return NULL;
}
