#include "stacks/world.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "stacks/arena_leave.h"
#include "stacks/release.h"

/* So many names are asked for in one request. */
#define NAMES_MAX 100

enum round { ROUND_OWN, ROUND_NAMED, ROUND_HIDDEN };

/* One read. It outlives its world where that is given up: the last of its requests frees it. */
struct world_reading {
	struct world *w; /* NULL: given up */
	struct list requests;
	unsigned waiting; /* for requests, and for `more` */
	enum round round;
	struct defer more; /* the next round, or kind: of thousands of names each is asked for in a turn of its own */
	bool goes_on;           /* `more` is posted */
	enum compose_kind kind; /* of ROUND_NAMED: which names are asked for next */
	char *namespace_, *stack_id;
	struct status st;
	void (*done)(void *data, const struct status *st);
	void *data;
};
struct request {
	struct list node;
	struct world_reading *reading;
	struct docker_call *call;
	const char *const *names; /* that were asked for; NULL: all that carry the namespace */
};

void world_init(struct world *w, struct loop *l, struct docker *d)
{
	*w = (struct world){.arena = arena_create_small(), .loop = l, .docker = d};
}

void world_finish(struct world *w)
{
	world_stop(w);
	arena_leave(w->loop, w->arena);
	w->arena = NULL;
}

static void reading_destroy(struct world_reading *rd)
{
	free(rd->namespace_);
	free(rd->stack_id);
	free(rd);
}

/* Of one that was given up. */
static void leave_reading(struct world_reading *rd)
{
	if (--rd->waiting == 0)
		reading_destroy(rd);
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
	if (rd->goes_on) {
		defer_cancel(&rd->more);
		leave_reading(rd);
	}
}

static struct request *ask(struct world_reading *rd)
{
	struct request *q = mem_new(struct request);
	q->reading = rd;
	list_push(&rd->requests, &q->node);
	rd->waiting++;
	return q;
}

/* First thing in every completion: the world to put the answer into, or NULL: it was given up. */
static struct world *answered(
	void *request, struct world_reading **ret_reading, const char *const **ret_names)
{
	struct request *q = request;
	struct world_reading *rd = q->reading;
	struct world *w = rd->w;
	*ret_names = q->names;
	list_remove(&q->node);
	free(q);
	*ret_reading = rd;
	if (!w)
		leave_reading(rd);
	return w;
}

static void look_up_named(struct world_reading *rd);
static void look_up_hidden_networks(struct world_reading *rd);

static void go_on(struct world_reading *rd)
{
	rd->goes_on = true;
	defer_post(&rd->more);
}

/* Last thing in every completion: its own wait becomes that of the next round. */
static void part_done(struct world_reading *rd, const struct status *st)
{
	if (!status_is_ok(st) && status_is_ok(&rd->st))
		rd->st = *st;
	if (rd->waiting == 1 && rd->round != ROUND_HIDDEN && status_is_ok(&rd->st)) {
		rd->round++;
		go_on(rd);
		return;
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

static void on_more(struct defer *d)
{
	static const struct status ok;
	struct world_reading *rd = container_of(d, struct world_reading, more);
	rd->goes_on = false;
	if (status_is_ok(&rd->st) && rd->round == ROUND_NAMED)
		look_up_named(rd);
	else if (status_is_ok(&rd->st))
		look_up_hidden_networks(rd);
	if (!rd->goes_on)
		part_done(rd, &ok);
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
	const char *const *names;
	struct world *w = answered(data, &rd, &names);
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
			.spec = json_hold(a, s[i].spec),
			.previous_spec = json_hold(a, s[i].previous_spec),
			.has_previous = s[i].previous_spec != NULL,
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

/* Room for one more; at every power of two it moves. */
static struct world_object *add_object(struct arena *a, struct world_object **objects, size_t *n)
{
	if ((*n & (*n - 1)) == 0) {
		struct world_object *more = arena_array(a, struct world_object, *n ? *n * 2 : 1);
		if (*n)
			memcpy(more, *objects, *n * sizeof(*more));
		*objects = more;
	}
	return &(*objects)[(*n)++];
}

/* The Engine shows more than what was asked for by name, and may show again what it has shown. */
static bool is_asked_for(const char *const *names, const struct world_object *seen, size_t n_seen,
	const char *id, const char *name)
{
	bool named = false;
	if (!names) /* all that carry the namespace: nothing was seen before */
		return true;
	for (size_t i = 0; names[i]; i++)
		named |= strcmp(names[i], name) == 0;
	for (size_t i = 0; named && i < n_seen; i++)
		named = strcmp(seen[i].id, id) != 0;
	return named;
}

static void add_network(struct world_reading *rd, const struct docker_network *n)
{
	struct world *w = rd->w;
	*add_object(w->arena, &w->networks, &w->n_networks) =
		(struct world_object){.id = arena_strdup(w->arena, n->id),
			.name = arena_strdup(w->arena, n->name),
			.scope = arena_strdup(w->arena, n->scope),
			.content = "",
			.ours = is_ours(rd, &n->labels),
			.elsewhere = is_elsewhere(rd, &n->labels),
			.stored = json_hold(w->arena, n->json)};
}

static void on_networks(
	void *data, const struct status *st, const struct docker_network *networks, size_t n)
{
	struct world_reading *rd;
	const char *const *names;
	struct world *w = answered(data, &rd, &names);
	if (!w)
		return;
	for (size_t i = 0; i < n; i++)
		if (is_asked_for(names, w->networks, w->n_networks, networks[i].id, networks[i].name))
			add_network(rd, &networks[i]);
	part_done(rd, st);
}

/* Takes the place of the local one of that name. Gone by now: then the service that named it is
 * written anew. */
static void on_hidden_network(
	void *data, const struct status *st, const struct docker_network *networks, size_t n)
{
	static const struct status ok;
	struct world_reading *rd;
	const char *const *names;
	struct world *w = answered(data, &rd, &names);
	if (!w)
		return;
	for (size_t i = 0; i < n; i++) {
		bool there = false;
		for (size_t k = 0; k < w->n_networks; k++)
			if (strcmp(w->networks[k].name, networks[i].name) == 0) {
				there = true;
				if (w->networks[k].ours)
					continue;
				w->networks[k].id = arena_strdup(w->arena, networks[i].id);
				w->networks[k].scope = "swarm";
			}
		if (!there)
			add_network(rd, &networks[i]);
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

static void add_objects(const struct world_reading *rd, struct world_object **seen, size_t *n_seen,
	const char *const *names, const struct docker_object *objects, size_t n)
{
	struct arena *a = rd->w->arena;
	for (size_t i = 0; i < n; i++)
		if (is_asked_for(names, *seen, *n_seen, objects[i].id, objects[i].name))
			*add_object(a, seen, n_seen) =
				(struct world_object){.id = arena_strdup(a, objects[i].id),
					.name = arena_strdup(a, objects[i].name),
					.scope = "swarm",
					.content = label(a, &objects[i].labels, LABEL_CONTENT),
					.ours = is_ours(rd, &objects[i].labels),
					.elsewhere = is_elsewhere(rd, &objects[i].labels),
					.version = objects[i].version,
					.stored = json_hold(a, objects[i].spec)};
}

static void on_secrets(
	void *data, const struct status *st, const struct docker_object *objects, size_t n)
{
	struct world_reading *rd;
	const char *const *names;
	struct world *w = answered(data, &rd, &names);
	if (!w)
		return;
	add_objects(rd, &w->secrets, &w->n_secrets, names, objects, n);
	part_done(rd, st);
}

static void on_configs(
	void *data, const struct status *st, const struct docker_object *objects, size_t n)
{
	struct world_reading *rd;
	const char *const *names;
	struct world *w = answered(data, &rd, &names);
	if (!w)
		return;
	add_objects(rd, &w->configs, &w->n_configs, names, objects, n);
	part_done(rd, st);
}

/* ---- what is not of the namespace ---- */

struct names {
	struct arena *arena;
	const char **items; /* NULL-terminated */
	size_t len;
	struct map known; /* those that were seen, and the items */
};

static void names_init(
	struct names *s, struct arena *a, const struct world_object *seen, size_t n_seen)
{
	*s = (struct names){.arena = a};
	map_init(&s->known);
	for (size_t i = 0; i < n_seen; i++)
		map_puts(&s->known, seen[i].name, s);
}

static void add_name(struct names *s, const char *name)
{
	if (!name[0] || map_puts(&s->known, name, s))
		return;
	if ((s->len & (s->len - 1)) == 0) {
		const char **more =
			arena_array(s->arena, const char *, s->len ? s->len * 2 + 1 : 2);
		if (s->len)
			memcpy(more, s->items, s->len * sizeof(*more));
		s->items = more;
	}
	s->items[s->len++] = name;
}

static void add_wanted(struct names *s, const struct world *w, enum compose_kind kind)
{
	for (size_t i = 0; i < sizeof(w->wants) / sizeof(w->wants[0]); i++) {
		const struct release *r = w->wants[i];
		const struct release_object *objects = !r                ? NULL
			: kind == COMPOSE_NETWORK ? r->networks
			: kind == COMPOSE_SECRET  ? r->secrets
						  : r->configs;
		size_t n = !r                     ? 0
			: kind == COMPOSE_NETWORK ? r->n_networks
			: kind == COMPOSE_SECRET  ? r->n_secrets
						  : r->n_configs;
		for (size_t k = 0; k < n; k++)
			add_name(s, objects[k].name);
	}
}

/* Services name networks by their ids, secrets and configs by both. */
static void add_used(struct names *s, const struct world *w, const char *path, const char *key)
{
	json_t *entry;
	size_t k;
	for (size_t i = 0; i < w->n_services; i++) {
		const json_t *used = json_at(w->services[i].spec, path);
		json_array_foreach(used, k, entry) add_name(s, json_text(entry, key, ""));
	}
}

/* Some at a time; the pieces are terminated in copies of their own. */
static void ask_by_name(struct world_reading *rd, const struct names *s, enum compose_kind kind)
{
	struct docker *d = rd->w->docker;
	for (size_t at = 0; at < s->len; at += NAMES_MAX) {
		size_t n = s->len - at < NAMES_MAX ? s->len - at : NAMES_MAX;
		const char **names = arena_array(s->arena, const char *, n + 1);
		memcpy(names, s->items + at, n * sizeof(*names));
		const struct docker_filter named = {.names = names};
		struct request *q = ask(rd);
		q->names = names;
		if (kind == COMPOSE_NETWORK)
			q->call = docker_network_list(d, &named, 0, on_networks, q);
		else if (kind == COMPOSE_SECRET)
			q->call = docker_object_list(d, DOCKER_SECRET, &named, 0, on_secrets, q);
		else
			q->call = docker_object_list(d, DOCKER_CONFIG, &named, 0, on_configs, q);
	}
}

static void names_of(const struct world *w, enum compose_kind kind, struct names *ret)
{
	if (kind == COMPOSE_NETWORK) {
		names_init(ret, w->arena, w->networks, w->n_networks);
	} else if (kind == COMPOSE_SECRET) {
		names_init(ret, w->arena, w->secrets, w->n_secrets);
		add_used(ret, w, "TaskTemplate.ContainerSpec.Secrets", "SecretName");
	} else {
		names_init(ret, w->arena, w->configs, w->n_configs);
		add_used(ret, w, "TaskTemplate.ContainerSpec.Configs", "ConfigName");
	}
	add_wanted(ret, w, kind);
}

/* One kind; the others in the next turns. */
static void look_up_named(struct world_reading *rd)
{
	enum compose_kind kind = rd->kind;
	struct names names;
	names_of(rd->w, kind, &names);
	ask_by_name(rd, &names, kind);
	map_finish(&names.known);
	if (kind == COMPOSE_CONFIG)
		return;
	rd->kind = kind == COMPOSE_NETWORK ? COMPOSE_SECRET : COMPOSE_CONFIG;
	go_on(rd);
}

/* ---- reading ---- */

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
		.data = data,
		.kind = COMPOSE_NETWORK};
	list_init(&rd->requests);
	defer_init(&rd->more, w->loop, on_more);
	w->reading = rd;
	arena_leave(w->loop, w->arena);
	w->arena = arena_create_small();
	labels[0] = arena_fmt(w->arena, "%s=%s", LABEL_NAMESPACE, namespace_);
	w->n_services = w->n_networks = w->n_secrets = w->n_configs = 0;
	w->networks = w->secrets = w->configs = NULL;
	struct request *q = ask(rd);
	q->call = docker_service_list(w->docker, &ours, 0, on_services, q);
	q = ask(rd);
	q->call = docker_network_list(w->docker, &ours, 0, on_networks, q);
	q = ask(rd);
	q->call = docker_object_list(w->docker, DOCKER_SECRET, &ours, 0, on_secrets, q);
	q = ask(rd);
	q->call = docker_object_list(w->docker, DOCKER_CONFIG, &ours, 0, on_configs, q);
}

static struct world_object *lighten_objects(
	struct arena *a, const struct world_object *objects, size_t n)
{
	struct world_object *light = NULL;
	for (size_t i = 0, made = 0; i < n; i++)
		*add_object(a, &light, &made) = (struct world_object){
			.id = arena_strdup(a, objects[i].id),
			.name = arena_strdup(a, objects[i].name),
			.scope = arena_strdup(a, objects[i].scope),
			.content = arena_strdup(a, objects[i].content),
			.ours = objects[i].ours,
			.elsewhere = objects[i].elsewhere,
			.version = objects[i].version,
		};
	return light;
}

void world_lighten(struct world *w)
{
	struct arena *a = arena_create_small(), *heavy = w->arena;
	struct world_service *services = arena_array(a, struct world_service, w->n_services);
	for (size_t i = 0; i < w->n_services; i++) {
		services[i] = w->services[i];
		services[i].id = arena_strdup(a, services[i].id);
		services[i].name = arena_strdup(a, services[i].name);
		services[i].label_job = arena_strdup(a, services[i].label_job);
		services[i].label_stack = arena_strdup(a, services[i].label_stack);
		services[i].spec = services[i].previous_spec = NULL;
	}
	w->services = services;
	w->networks = lighten_objects(a, w->networks, w->n_networks);
	w->secrets = lighten_objects(a, w->secrets, w->n_secrets);
	w->configs = lighten_objects(a, w->configs, w->n_configs);
	w->arena = a;
	arena_leave(w->loop, heavy);
}

void world_add(
	struct world *w, struct world_object **objects, size_t *n, const char *id, const char *name)
{
	*add_object(w->arena, objects, n) = (struct world_object){.id = arena_strdup(w->arena, id),
		.name = arena_strdup(w->arena, name),
		.scope = "swarm",
		.content = "",
		.ours = true};
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
