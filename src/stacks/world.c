#include "stacks/world.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/list.h"
#include "base/mem.h"
#include "stacks/arena_leave.h"
#include "stacks/release.h"

/* One read. It outlives its world where that is given up: the last of its requests frees it. */
struct world_reading {
	struct world *w; /* NULL: given up */
	struct list requests;
	unsigned waiting;
	bool listed;
	char *namespace_, *stack_id;
	struct status st;
	void (*done)(void *data, const struct status *st);
	void *data;
};
struct request {
	struct list node;
	struct world_reading *reading;
	struct docker_call *call;
};

void world_init(struct world *w, struct loop *l, struct docker *d)
{
	*w = (struct world){.arena = arena_create(), .loop = l, .docker = d};
}

void world_finish(struct world *w)
{
	world_stop(w);
	arena_leave(w->loop, w->arena);
	w->arena = NULL;
}

void world_stop(struct world *w)
{
	struct world_reading *rd = w->reading;
	w->reading = NULL;
	if (!rd)
		return;
	rd->w = NULL;
	list_for_each (&rd->requests, n)
		docker_cancel(w->docker, container_of(n, struct request, node)->call);
}

static struct request *ask(struct world_reading *rd)
{
	struct request *q = mem_new(struct request);
	q->reading = rd;
	list_push(&rd->requests, &q->node);
	rd->waiting++;
	return q;
}

static void reading_destroy(struct world_reading *rd)
{
	free(rd->namespace_);
	free(rd->stack_id);
	free(rd);
}

/* First thing in every completion: the world to put the answer into, or NULL: it was given up. */
static struct world *answered(void *request, struct world_reading **ret_reading)
{
	struct request *q = request;
	struct world_reading *rd = q->reading;
	struct world *w = rd->w;
	list_remove(&q->node);
	free(q);
	*ret_reading = rd;
	if (!w && --rd->waiting == 0)
		reading_destroy(rd);
	return w;
}

static void look_up_hidden_networks(struct world_reading *rd);

/* Last thing in every completion. */
static void part_done(struct world_reading *rd, const struct status *st)
{
	if (!status_is_ok(st) && status_is_ok(&rd->st))
		rd->st = *st;
	if (rd->waiting == 1 && !rd->listed && status_is_ok(&rd->st)) {
		rd->listed = true;
		look_up_hidden_networks(rd);
	}
	if (--rd->waiting > 0)
		return;
	struct status result = rd->st;
	rd->w->api = rd->w->docker->api;
	void (*done)(void *, const struct status *) = rd->done;
	void *data = rd->data;
	rd->w->reading = NULL;
	reading_destroy(rd);
	done(data, &result);
}

static void free_json(void *j)
{
	json_decref(j);
}

/* Nobody changes what the Engine has answered. */
static json_t *hold_json(struct arena *a, const json_t *j)
{
	json_t *held = json_incref((json_t *)(uintptr_t)j);
	if (held)
		arena_on_free(a, free_json, held);
	return held;
}

static const char *label(struct arena *a, const struct docker_pairs *labels, const char *key)
{
	const char *value = docker_pair_get(labels, key);
	return arena_strdup(a, value ? value : "");
}

static bool is_ours(const struct world_reading *rd, const struct docker_pairs *labels)
{
	const char *stack = docker_pair_get(labels, LABEL_STACK);
	const char *ns = docker_pair_get(labels, LABEL_NAMESPACE);
	if (!stack)
		return rd->w->adopted && ns && strcmp(ns, rd->namespace_) == 0;
	return rd->stack_id[0] && strcmp(stack, rd->stack_id) == 0;
}

static bool is_elsewhere(const struct world_reading *rd, const struct docker_pairs *labels)
{
	const char *project = docker_pair_get(labels, LABEL_PROJECT), *own = rd->w->project_id;
	return project && strcmp(project, own ? own : "") != 0;
}

static int compare_names(const void *left, const void *right)
{
	const struct world_service *a = left, *b = right;
	return strcmp(a->name, b->name);
}

static void on_services(
	void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct world_reading *rd;
	struct world *w = answered(data, &rd);
	if (!w)
		return;
	struct arena *a = w->arena;
	w->services = arena_array(a, struct world_service, n + 1);
	for (size_t i = 0; i < n; i++) {
		int64_t epoch = 0;
		(void)str_to_i64(str_of(label(a, &s[i].labels, LABEL_EPOCH)), &epoch);
		w->services[i] = (struct world_service){
			.id = arena_strdup(a, s[i].id),
			.name = arena_strdup(a, s[i].name),
			.version = s[i].version,
			.spec = hold_json(a, s[i].spec),
			.previous_spec = hold_json(a, s[i].previous_spec),
			.ours = is_ours(rd, &s[i].labels),
			.label_stack = label(a, &s[i].labels, LABEL_STACK),
			.label_job = label(a, &s[i].labels, LABEL_JOB),
			.label_epoch = (int)epoch,
			.update = s[i].update.state,
		};
	}
	w->n_services = n;
	if (n > 0)
		qsort(w->services, n, sizeof(*w->services), compare_names);
	part_done(rd, st);
}

static void on_networks(
	void *data, const struct status *st, const struct docker_network *networks, size_t n)
{
	struct world_reading *rd;
	struct world *w = answered(data, &rd);
	if (!w)
		return;
	w->networks = arena_array(w->arena, struct world_object, n + 1);
	for (size_t i = 0; i < n; i++)
		w->networks[i] = (struct world_object){.id = arena_strdup(w->arena, networks[i].id),
			.name = arena_strdup(w->arena, networks[i].name),
			.scope = arena_strdup(w->arena, networks[i].scope),
			.content = "",
			.ours = is_ours(rd, &networks[i].labels),
			.elsewhere = is_elsewhere(rd, &networks[i].labels),
			.stored = hold_json(w->arena, networks[i].json)};
	w->n_networks = n;
	part_done(rd, st);
}

/* Takes the place of the local one of that name. Gone by now: then the service that named it is
 * written anew. */
static void on_hidden_network(
	void *data, const struct status *st, const struct docker_network *networks, size_t n)
{
	static const struct status ok;
	struct world_reading *rd;
	struct world *w = answered(data, &rd);
	if (!w)
		return;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < w->n_networks; k++)
			if (strcmp(w->networks[k].name, networks[i].name) == 0 &&
				!w->networks[k].ours) {
				w->networks[k].id = arena_strdup(w->arena, networks[i].id);
				w->networks[k].scope = "swarm";
			}
	part_done(rd, st->code == ST_NOT_FOUND ? &ok : st);
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
static void look_up_hidden_networks(struct world_reading *rd)
{
	struct world *w = rd->w;
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
			struct request *q = ask(rd);
			q->call = docker_network_inspect(w->docker, id, 0, on_hidden_network, q);
		}
	}
}

static struct world_object *copy_objects(
	const struct world_reading *rd, const struct docker_object *objects, size_t n)
{
	struct arena *a = rd->w->arena;
	struct world_object *copy = arena_array(a, struct world_object, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = (struct world_object){.id = arena_strdup(a, objects[i].id),
			.name = arena_strdup(a, objects[i].name),
			.scope = "swarm",
			.content = label(a, &objects[i].labels, LABEL_CONTENT),
			.ours = is_ours(rd, &objects[i].labels),
			.elsewhere = is_elsewhere(rd, &objects[i].labels),
			.version = objects[i].version,
			.stored = hold_json(a, objects[i].spec)};
	return copy;
}

static void on_secrets(
	void *data, const struct status *st, const struct docker_object *objects, size_t n)
{
	struct world_reading *rd;
	struct world *w = answered(data, &rd);
	if (!w)
		return;
	w->secrets = copy_objects(rd, objects, n);
	w->n_secrets = n;
	part_done(rd, st);
}

static void on_configs(
	void *data, const struct status *st, const struct docker_object *objects, size_t n)
{
	struct world_reading *rd;
	struct world *w = answered(data, &rd);
	if (!w)
		return;
	w->configs = copy_objects(rd, objects, n);
	w->n_configs = n;
	part_done(rd, st);
}

void world_read(struct world *w, const char *namespace_, const char *stack_id,
	void (*done)(void *data, const struct status *st), void *data)
{
	const char *labels[] = {NULL, NULL};
	const struct docker_filter ours = {.labels = labels};
	world_stop(w);
	struct world_reading *rd = mem_new(struct world_reading);
	*rd = (struct world_reading){.w = w,
		.namespace_ = mem_strdup(namespace_),
		.stack_id = mem_strdup(stack_id),
		.done = done,
		.data = data};
	list_init(&rd->requests);
	w->reading = rd;
	arena_leave(w->loop, w->arena);
	w->arena = arena_create();
	labels[0] = arena_fmt(w->arena, "%s=%s", LABEL_NAMESPACE, namespace_);
	w->n_services = w->n_networks = w->n_secrets = w->n_configs = 0;
	struct request *q = ask(rd);
	q->call = docker_service_list(w->docker, &ours, 0, on_services, q);
	q = ask(rd);
	q->call = docker_network_list(w->docker, NULL, 0, on_networks, q);
	q = ask(rd);
	q->call = docker_object_list(w->docker, DOCKER_SECRET, NULL, 0, on_secrets, q);
	q = ask(rd);
	q->call = docker_object_list(w->docker, DOCKER_CONFIG, NULL, 0, on_configs, q);
}

void world_add(
	struct world *w, struct world_object **objects, size_t *n, const char *id, const char *name)
{
	struct world_object *more = arena_array(w->arena, struct world_object, *n + 2);
	if (*n)
		memcpy(more, *objects, *n * sizeof(*more));
	more[(*n)++] = (struct world_object){.id = arena_strdup(w->arena, id),
		.name = arena_strdup(w->arena, name),
		.scope = "swarm",
		.content = "",
		.ours = true};
	*objects = more;
}

const struct world_service *world_service_find(const struct world *w, const char *name)
{
	const struct world_service key = {.name = name};
	return w->n_services
		       ? bsearch(&key, w->services, w->n_services, sizeof(key), compare_names)
		       : NULL;
}

const struct world_object *world_find(
	const struct world_object *objects, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(objects[i].name, name) == 0)
			return &objects[i];
	return NULL;
}
