#include "fake_docker.h"

#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "loop/loop.h"

#define DEADLINE_MS 30000

static struct fake_docker *fake(struct docker *d)
{
	return container_of(d, struct fake_docker, base);
}

/* What an operation was asked for: copied. */
struct args {
	struct swarm *w;
	const char *id;
	uint64_t version;
	json_t *spec;
	enum swarm_kind kind;
	const char *const *labels, *const *names;
	bool up_to_date;
	struct docker_logs logs;
	const char *auth; /* "" = none */
};

static void free_json(void *j)
{
	json_decref(j);
}

static struct args *args_of(struct fake_call *c)
{
	return c->args;
}

static struct fake_call *call_new(struct docker *d, const char *id, const json_t *spec)
{
	struct fake_call *c = fake_call_new(&fake(d)->front);
	struct args *g = arena_new(c->arena, struct args);
	g->w = fake(d)->swarm;
	g->id = arena_strdup(c->arena, id);
	if (spec) {
		g->spec = json_deep_copy(spec);
		arena_on_free(c->arena, free_json, g->spec);
	}
	c->owner = fake(d);
	c->args = g;
	c->result = "";
	return c;
}

static struct docker_call *handle(struct fake_call *c)
{
	return (struct docker_call *)(void *)c;
}

static const char *name_of(const json_t *spec)
{
	return json_text(spec, "Name", "");
}

static struct docker_pairs pairs_of(struct arena *a, const json_t *spec)
{
	json_t *labels = json_object_get(spec, "Labels"), *value;
	struct docker_pair *pairs =
		arena_array(a, struct docker_pair, json_object_size(labels) + 1);
	const char *key;
	size_t n = 0;
	json_object_foreach(labels, key, value) pairs[n++] = (struct docker_pair){
		arena_strdup(a, key), arena_strdup(a, json_string_value(value))};
	return (struct docker_pairs){pairs, n};
}

static bool matches(const json_t *spec, const char *const *labels)
{
	for (size_t i = 0; labels && labels[i]; i++) {
		struct str want = str_of(labels[i]);
		struct str key = str_cut(&want, '=');
		char text[128] = "";
		memcpy(text, key.ptr, key.len < sizeof(text) ? key.len : 0);
		const char *value =
			json_string_value(json_object_get(json_object_get(spec, "Labels"), text));
		if (!value || (want.ptr && !str_is(want, value)))
			return false;
	}
	return true;
}

static void copy_labels(struct fake_call *c, const char *const *labels)
{
	size_t n = 0;
	while (labels && labels[n])
		n++;
	const char **copy = arena_array(c->arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(c->arena, labels[i]);
	args_of(c)->labels = copy;
}

static void copy_filter(struct fake_call *c, const struct docker_filter *f)
{
	size_t n = 0;
	copy_labels(c, f ? f->labels : NULL);
	if (!f || !f->names)
		return;
	while (f->names[n])
		n++;
	const char **copy = arena_array(c->arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(c->arena, f->names[i]);
	args_of(c)->names = copy;
}

/* As the Engine does it: those too that only begin with one. */
static bool is_named(const json_t *spec, const char *const *names)
{
	for (size_t i = 0; names && names[i]; i++)
		if (strncmp(name_of(spec), names[i], strlen(names[i])) == 0)
			return true;
	return !names;
}

/* ---- services ---- */

static enum docker_mode mode_of(const json_t *spec)
{
	const json_t *mode = json_object_get(spec, "Mode");
	if (json_at(mode, "Global"))
		return DOCKER_GLOBAL;
	if (json_at(mode, "GlobalJob"))
		return DOCKER_GLOBAL_JOB;
	return json_at(mode, "ReplicatedJob") ? DOCKER_REPLICATED_JOB : DOCKER_REPLICATED;
}

static int64_t replicas_of(const json_t *spec)
{
	switch (mode_of(spec)) {
	case DOCKER_REPLICATED:
		return json_int(spec, "Mode.Replicated.Replicas", 1);
	case DOCKER_REPLICATED_JOB:
		return json_int(spec, "Mode.ReplicatedJob.TotalCompletions", 1);
	case DOCKER_GLOBAL:
	case DOCKER_GLOBAL_JOB:
		break;
	}
	return -1;
}

static json_t *keep_json(struct arena *a, json_t *j)
{
	if (j)
		arena_on_free(a, free_json, json_incref(j));
	return j;
}

static struct status list_services(struct fake_call *c)
{
	struct args *g = args_of(c);
	swarm_advance(g->w);
	struct docker_service *out =
		arena_array(c->arena, struct docker_service, g->w->n_services + 1);
	c->result = out;
	for (size_t i = 0; i < g->w->n_services; i++) {
		struct swarm_service *s = g->w->services[i];
		if (!matches(s->spec, g->labels))
			continue;
		out[c->n++] = (struct docker_service){
			.id = arena_strdup(c->arena, s->id),
			.name = name_of(s->spec),
			.version = s->version,
			.labels = pairs_of(c->arena, s->spec),
			.mode = mode_of(s->spec),
			.replicas = replicas_of(s->spec),
			.image = json_text(s->spec, "TaskTemplate.ContainerSpec.Image", ""),
			.spec = keep_json(c->arena, s->spec),
			.previous_spec = keep_json(c->arena, s->previous),
			.update = {.state = s->update, .message = s->update_message},
			.job_iteration = -1,
			.created_us = (int64_t)s->created_ms * 1000,
			.updated_us = (int64_t)s->updated_ms * 1000,
		};
	}
	return status_ok();
}

static void deliver_services(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((docker_on_services)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static struct docker_call *service_list(struct docker *d, const struct docker_filter *f,
	uint64_t ms, docker_on_services done, void *data)
{
	struct fake_call *c = call_new(d, "", NULL);
	copy_labels(c, f ? f->labels : NULL);
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, list_services, deliver_services, "service_list");
	return handle(c);
}

static void deliver_id(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((docker_on_id)c->done)(c->data, st, ok ? c->result : NULL, ok ? "" : NULL);
}

static struct status create_service(struct fake_call *c)
{
	const char *id = "";
	struct status st = swarm_service_create(args_of(c)->w, args_of(c)->spec, &id);
	c->result = arena_strdup(c->arena, id);
	return st;
}

static void keep_auth(struct fake_call *c, const struct docker_service_options *o)
{
	struct swarm *w = args_of(c)->w;
	(void)snprintf(w->last_auth, sizeof(w->last_auth), "%s",
		o && o->registry_auth ? o->registry_auth : "");
}

static struct docker_call *service_create(struct docker *d, const json_t *spec,
	const struct docker_service_options *o, uint64_t ms, docker_on_id done, void *data)
{
	struct fake_call *c = call_new(d, "", spec);
	keep_auth(c, o);
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, create_service, deliver_id, "service_create %s", name_of(spec));
	return handle(c);
}

static struct status update_service(struct fake_call *c)
{
	const struct args *g = args_of(c);
	c->result = arena_strdup(c->arena, g->id);
	return swarm_service_update(g->w, g->id, g->version, g->spec);
}

static struct docker_call *service_update(struct docker *d, const char *id, uint64_t version,
	const json_t *spec, const struct docker_service_options *o, uint64_t ms, docker_on_id done,
	void *data)
{
	struct fake_call *c = call_new(d, id, spec);
	keep_auth(c, o);
	args_of(c)->version = version;
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, update_service, deliver_id, "service_update %s", name_of(spec));
	return handle(c);
}

static void deliver_done(struct fake_call *c, const struct status *st)
{
	((docker_on_done)c->done)(c->data, st);
}

static struct status remove_service(struct fake_call *c)
{
	return swarm_service_remove(args_of(c)->w, args_of(c)->id);
}

static struct docker_call *service_remove(
	struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data)
{
	struct fake_call *c = call_new(d, id, NULL);
	const struct swarm_service *s = swarm_service_find(args_of(c)->w, id);
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, remove_service, deliver_done, "service_remove %s",
		s ? name_of(s->spec) : id);
	return handle(c);
}

/* ---- tasks, nodes ---- */

static const json_t *spec_of_task(const struct swarm *w, const struct swarm_task *t)
{
	const struct swarm_service *s = swarm_service_find(w, t->service_id);
	return s ? s->spec : NULL;
}

static struct status list_tasks(struct fake_call *c)
{
	struct args *g = args_of(c);
	swarm_advance(g->w);
	struct docker_task *out = arena_array(c->arena, struct docker_task, g->w->n_tasks + 1);
	c->result = out;
	for (size_t i = 0; i < g->w->n_tasks; i++) {
		const struct swarm_task *t = g->w->tasks[i];
		const json_t *spec = spec_of_task(g->w, t);
		if (spec && !matches(spec, g->labels))
			continue;
		if (g->up_to_date &&
			(!spec || !json_equal(json_object_get(spec, "TaskTemplate"), t->template)))
			continue;
		bool global = spec && (mode_of(spec) == DOCKER_GLOBAL ||
					      mode_of(spec) == DOCKER_GLOBAL_JOB);
		out[c->n++] = (struct docker_task){
			.id = arena_strdup(c->arena, t->id),
			.service_id = arena_strdup(c->arena, t->service_id),
			.node_id = arena_strdup(c->arena, t->node_id),
			.container_id = t->state >= DOCKER_TASK_STARTING &&
							t->state != DOCKER_TASK_REJECTED
						? arena_strdup(c->arena, t->id)
						: "",
			.slot = global ? 0 : t->slot,
			.desired_state = t->desired,
			.state = t->state,
			.message = docker_task_state_name(t->state),
			.err = t->err,
			.exit_code = t->exit_code,
			.image = arena_strdup(c->arena, t->image),
			.spec = keep_json(c->arena, t->template),
			.job_iteration = -1,
			.created_us = (int64_t)t->created_ms * 1000,
			.state_us = (int64_t)t->since_ms * 1000,
		};
	}
	return status_ok();
}

static void deliver_tasks(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((docker_on_tasks)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static struct docker_call *task_list(struct docker *d, const struct docker_task_filter *f,
	uint64_t ms, docker_on_tasks done, void *data)
{
	struct fake_call *c = call_new(d, "", NULL);
	copy_labels(c, f ? f->labels : NULL);
	args_of(c)->up_to_date = f && f->up_to_date;
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, list_tasks, deliver_tasks, "task_list");
	return handle(c);
}

static struct status list_nodes(struct fake_call *c)
{
	const struct swarm *w = args_of(c)->w;
	struct docker_node *out = arena_array(c->arena, struct docker_node, 2);
	c->result = out;
	for (c->n = 0; c->n < 2; c->n++)
		out[c->n] = (struct docker_node){.id = w->nodes[c->n].id,
			.hostname = w->nodes[c->n].hostname,
			.state = w->nodes[c->n].state};
	return status_ok();
}

static void deliver_nodes(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((docker_on_nodes)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static struct docker_call *node_list(
	struct docker *d, uint64_t ms, docker_on_nodes done, void *data)
{
	struct fake_call *c = call_new(d, "", NULL);
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, list_nodes, deliver_nodes, "node_list");
	return handle(c);
}

/* ---- networks, secrets, configs ---- */

static const char *const kind_words[] = {"network", "secret", "config"};

static struct docker_network network_of(struct arena *a, const struct swarm_object *o)
{
	return (struct docker_network){.id = arena_strdup(a, o->id),
		.name = arena_strdup(a, name_of(o->spec)),
		.driver = "overlay",
		.scope = "swarm",
		.labels = pairs_of(a, o->spec),
		.json = keep_json(a, o->spec)};
}

static struct status list_objects(struct fake_call *c)
{
	struct args *g = args_of(c);
	struct docker_network *networks =
		arena_array(c->arena, struct docker_network, g->w->n_objects + 1);
	struct docker_object *objects =
		arena_array(c->arena, struct docker_object, g->w->n_objects + 1);
	swarm_advance(g->w);
	c->result = g->kind == SWARM_NETWORK ? (void *)networks : (void *)objects;
	for (size_t i = 0; i < g->w->n_objects; i++) {
		const struct swarm_object *o = g->w->objects[i];
		if (o->kind != g->kind || !matches(o->spec, g->labels) || !is_named(o->spec, g->names))
			continue;
		const char *id = arena_strdup(c->arena, o->id),
			   *name = arena_strdup(c->arena, name_of(o->spec));
		networks[c->n] = network_of(c->arena, o);
		objects[c->n++] = (struct docker_object){.id = id,
			.name = name,
			.version = o->version,
			.labels = pairs_of(c->arena, o->spec),
			.spec = keep_json(c->arena, o->spec)};
	}
	return status_ok();
}

static void deliver_networks(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((docker_on_networks)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static void deliver_objects(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((docker_on_objects)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static struct docker_call *network_list(struct docker *d, const struct docker_filter *f,
	uint64_t ms, docker_on_networks done, void *data)
{
	struct fake_call *c = call_new(d, "", NULL);
	copy_filter(c, f);
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, list_objects, deliver_networks, "network_list");
	return handle(c);
}

static struct status inspect_network(struct fake_call *c)
{
	const struct args *g = args_of(c);
	const struct swarm_object *o = swarm_object_find(g->w, SWARM_NETWORK, g->id);
	if (!o)
		return status_err(ST_NOT_FOUND, "network %s not found", g->id);
	struct docker_network *one = arena_new(c->arena, struct docker_network);
	*one = network_of(c->arena, o);
	c->result = one;
	c->n = 1;
	return status_ok();
}

static struct docker_call *network_inspect(
	struct docker *d, const char *id, uint64_t ms, docker_on_networks done, void *data)
{
	struct fake_call *c = call_new(d, id, NULL);
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, inspect_network, deliver_networks, "network_inspect");
	return handle(c);
}

static enum swarm_kind kind_of(enum docker_kind k)
{
	return k == DOCKER_SECRET ? SWARM_SECRET : SWARM_CONFIG;
}

static struct docker_call *object_list(struct docker *d, enum docker_kind k,
	const struct docker_filter *f, uint64_t ms, docker_on_objects done, void *data)
{
	struct fake_call *c = call_new(d, "", NULL);
	copy_filter(c, f);
	args_of(c)->kind = kind_of(k);
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, list_objects, deliver_objects, "%s_list", kind_words[kind_of(k)]);
	return handle(c);
}

static struct status create_object(struct fake_call *c)
{
	const char *id = "";
	struct status st =
		swarm_object_create(args_of(c)->w, args_of(c)->kind, args_of(c)->spec, &id);
	c->result = arena_strdup(c->arena, id);
	return st;
}

static struct docker_call *create(struct docker *d, enum swarm_kind kind, const json_t *spec,
	uint64_t ms, docker_on_id done, void *data)
{
	struct fake_call *c = call_new(d, "", spec);
	args_of(c)->kind = kind;
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(
		c, ms, create_object, deliver_id, "%s_create %s", kind_words[kind], name_of(spec));
	return handle(c);
}

static struct docker_call *network_create(
	struct docker *d, const json_t *spec, uint64_t ms, docker_on_id done, void *data)
{
	return create(d, SWARM_NETWORK, spec, ms, done, data);
}

static struct docker_call *object_create(struct docker *d, enum docker_kind k, const json_t *spec,
	uint64_t ms, docker_on_id done, void *data)
{
	return create(d, kind_of(k), spec, ms, done, data);
}

static struct status remove_object(struct fake_call *c)
{
	return swarm_object_remove(args_of(c)->w, args_of(c)->kind, args_of(c)->id);
}

static struct docker_call *drop(struct docker *d, enum swarm_kind kind, const char *id, uint64_t ms,
	docker_on_done done, void *data)
{
	struct fake_call *c = call_new(d, id, NULL);
	const struct swarm_object *o = swarm_object_find(args_of(c)->w, kind, id);
	args_of(c)->kind = kind;
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, remove_object, deliver_done, "%s_remove %s", kind_words[kind],
		o ? name_of(o->spec) : id);
	return handle(c);
}

static struct docker_call *network_remove(
	struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data)
{
	return drop(d, SWARM_NETWORK, id, ms, done, data);
}

static struct docker_call *object_remove(struct docker *d, enum docker_kind k, const char *id,
	uint64_t ms, docker_on_done done, void *data)
{
	return drop(d, kind_of(k), id, ms, done, data);
}

/* ---- containers, images ---- */

static struct status inspect_container(struct fake_call *c)
{
	const struct fake_docker *d = c->owner;
	return d->container ? status_ok() : status_err(ST_NOT_FOUND, "No such container");
}

static void deliver_container(struct fake_call *c, const struct status *st)
{
	const struct fake_docker *d = c->owner;
	((docker_on_container)c->done)(c->data, st, status_is_ok(st) ? d->container : NULL);
}

static struct docker_call *container_inspect(struct docker *d, const char *id, uint64_t ms,
	docker_on_container done, void *data)
{
	struct fake_call *c = call_new(d, id, NULL);
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, inspect_container, deliver_container, "container_inspect");
	return handle(c);
}

static const struct swarm_image *image_find(const struct swarm *w, const char *ref)
{
	for (size_t i = 0; i < sizeof(w->images) / sizeof(*w->images) && w->images[i].ref; i++)
		if (strcmp(w->images[i].ref, ref) == 0)
			return &w->images[i];
	return NULL;
}

static struct status resolve_image(struct fake_call *c)
{
	struct args *g = args_of(c);
	const struct swarm_image *i = image_find(g->w, g->id);
	g->w->questions++;
	if (g->w->registries_down)
		return status_err(ST_INTERNAL, "dial tcp: connection refused");
	if (!i)
		return status_err(ST_NOT_FOUND, "manifest unknown");
	if (i->guarded && !g->auth[0])
		return status_err(ST_PERMISSION_DENIED, "authentication required");
	c->result = arena_strdup(c->arena, i->digest);
	return status_ok();
}

static void deliver_image(struct fake_call *c, const struct status *st)
{
	static const struct docker_platform platform = {"linux", "amd64", ""};
	const struct docker_image image = {
		.digest = c->result, .platforms = &platform, .platform_count = 1};
	((docker_on_image)c->done)(c->data, st, status_is_ok(st) ? &image : NULL);
}

static struct docker_call *image_resolve(struct docker *d, const char *ref,
	const char *registry_auth, uint64_t ms, docker_on_image done, void *data)
{
	struct fake_call *c = call_new(d, ref, NULL);
	args_of(c)->auth = arena_strdup(c->arena, registry_auth ? registry_auth : "");
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, resolve_image, deliver_image, "image_resolve %s", ref);
	return handle(c);
}

/* ---- logs, events ---- */

static struct status read_log(struct fake_call *c)
{
	(void)c;
	return status_ok();
}

static void deliver_log(struct fake_call *c, const struct status *st)
{
	const struct docker_logs *l = &args_of(c)->logs;
	const struct fake_docker *d = c->owner;
	struct str rest = str_of(d->log);
	while (status_is_ok(st) && rest.len > 0) {
		const struct docker_log_line line = {.stream = DOCKER_STDERR,
			.text = str_cut(&rest, '\n'),
			.task_id = l->task,
			.node_id = ""};
		(void)l->on_line(c->data, &line);
	}
	((docker_on_done)c->done)(c->data, st);
}

static struct docker_call *logs(
	struct docker *d, const struct docker_logs *l, uint64_t ms, docker_on_done done, void *data)
{
	struct fake_call *c = call_new(d, l->task, NULL);
	args_of(c)->logs = *l;
	c->done = (void (*)(void))done;
	c->data = data;
	fake_call_start(c, ms, read_log, deliver_log, "logs");
	if (fake(d)->logs_hang) /* opened in time: the deadline is over, the stream is not */
		fake_call_hang(c);
	return handle(c);
}

static void logs_continue(struct docker *d, struct docker_call *c)
{
	(void)d;
	(void)c;
}

static struct docker_events *events_start(struct docker *d, docker_on_event on_event, void *data)
{
	fake(d)->on_event = on_event;
	fake(d)->event_data = data;
	return (struct docker_events *)(void *)d;
}

static void events_stop(struct docker *d, struct docker_events *e)
{
	(void)e;
	fake(d)->on_event = NULL;
}

void fake_docker_event(
	struct fake_docker *d, enum docker_event_type type, const char *action, const char *why)
{
	struct status st = status_err(ST_UNAVAILABLE, "%s", why ? why : "");
	const struct docker_event e = {.type = type,
		.why = type == DOCKER_EVENT_LOST ? &st : NULL,
		.action = action,
		.id = "",
		.name = "",
		.service_id = "",
		.task_id = "",
		.node_id = "",
		.exit_code = -1};
	if (d->on_event && !d->front.dead)
		d->on_event(d->event_data, &e);
}

static void cancel(struct docker *d, struct docker_call *c)
{
	(void)d;
	fake_call_cancel((struct fake_call *)(void *)c);
}

static const struct docker_ops ops = {
	.cancel = cancel,
	.service_list = service_list,
	.service_create = service_create,
	.service_update = service_update,
	.service_remove = service_remove,
	.task_list = task_list,
	.container_inspect = container_inspect,
	.network_list = network_list,
	.network_inspect = network_inspect,
	.network_create = network_create,
	.network_remove = network_remove,
	.object_list = object_list,
	.object_create = object_create,
	.object_remove = object_remove,
	.node_list = node_list,
	.image_resolve = image_resolve,
	.logs = logs,
	.logs_continue = logs_continue,
	.events_start = events_start,
	.events_stop = events_stop,
};

void fake_docker_init(
	struct fake_docker *d, struct fake_script *s, struct loop *l, struct swarm *w)
{
	*d = (struct fake_docker){.base = {.ops = &ops}, .swarm = w, .log = ""};
	fake_front_init(&d->front, s, l, "docker", DEADLINE_MS, ST_UNAVAILABLE);
}
