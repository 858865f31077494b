#include "stacks/plan.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "stacks/reserved.h"

const char *plan_verdict_name(enum plan_verdict v)
{
	static const char *const names[PLAN_VERDICTS] = {
		"keep", "create", "update", "replace", "remove", "refuse"};
	return names[v];
}

static void begin(struct plan_action *p, enum compose_kind kind, const struct release_object *o)
{
	*p = (struct plan_action){.kind = kind,
		.key = o->key,
		.name = o->name,
		.id = "",
		.reason = "",
		.external = o->external,
		.wanted = o->external ? NULL : o->body};
}

static void decide(struct plan_action *p, enum plan_verdict verdict, const char *reason)
{
	p->verdict = verdict;
	p->reason = reason;
}

static void take_changes(struct plan_action *p, const struct compose_diff *diff)
{
	p->changes = diff->changes;
	p->n_changes = diff->len;
}

/* What is another project's is neither used nor shown. */
static void see_object(struct plan_action *p, const struct world_object *seen)
{
	if (!seen || seen->elsewhere)
		return;
	p->object = seen;
	p->id = seen->id;
}

/* Labels that are ours, or docker's, say nothing to people. */
static void create(struct arena *a, struct plan_action *p)
{
	static const char *const ignore[] = {LABEL_PROJECT, LABEL_STACK, LABEL_CONTENT,
		LABEL_NAMESPACE, "com.docker.stack.image", NULL};
	const struct compose_plan_options options = {.ignore_labels = ignore};
	struct compose_diff diff;
	json_t *nothing = json_object();
	if (p->kind == COMPOSE_SECRET || p->kind == COMPOSE_CONFIG)
		json_object_set_new(nothing, "Data", json_null());
	compose_plan(a, p->kind, p->wanted, nothing, &options, &diff);
	json_decref(nothing);
	take_changes(p, &diff);
	decide(p, PLAN_CREATE, "it does not exist yet");
}

const char *plan_field_name(const char *path)
{
	static const char *const heads[] = {
		"TaskTemplate.ContainerSpec.", "TaskTemplate.", "EndpointSpec.", "Mode."};
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		if (strncmp(path, heads[i], strlen(heads[i])) == 0)
			return path + strlen(heads[i]);
	return path;
}

bool plan_is_sensitive(const struct compose_change *c)
{
	return strncmp(c->path, "TaskTemplate.ContainerSpec.Env", 30) == 0 ||
	       strcmp(c->path, "Data") == 0;
}

/* What would be made must not lie in another stack's namespace. */
static void create_named(struct arena *a, const struct world *w, struct plan_action *p)
{
	const char *word = compose_kind_name(p->kind);
	const struct db_reserved *r = reserved_find(w, p->name);
	if (!r)
		create(a, p);
	else if (r->stack[0])
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"%s \"%s\" cannot be made: the name lies in the namespace of stack "
				"%s: give it another name",
				word, p->name, r->stack));
	else
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"%s \"%s\" cannot be made: the name lies in the namespace of "
				"another project's stack: give it another name",
				word, p->name));
}

/* ---- networks ---- */

static bool is_predefined_network(const char *name)
{
	static const char *const names[] = {"host", "bridge", "none", "default"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "container:", 10) == 0;
}

static void plan_external_network(struct arena *a, const struct world *w,
	const struct world_object *seen, struct plan_action *p)
{
	if (is_predefined_network(p->name))
		return;
	const struct db_reserved *r = reserved_find(w, p->name);
	if (!seen || seen->elsewhere || (r && !r->stack[0]))
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"network \"%s\" is declared as external, but could not be found. "
				"You "
				"need to create a swarm-scoped network before the stack is "
				"deployed",
				p->name));
	else if (strcmp(seen->scope, "swarm") != 0)
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"network \"%s\" is declared as external, but it is not in the "
				"right "
				"scope: \"%s\" instead of \"swarm\"",
				p->name, seen->scope));
}

static const char *service_in(const struct world *w, const char *network_id)
{
	json_t *entry;
	size_t k;
	for (size_t i = 0; i < w->n_services; i++)
		json_array_foreach(json_at(w->services[i].spec, "TaskTemplate.Networks"), k,
			entry) if (strcmp(json_text(entry, "Target", ""), network_id) == 0) return w
			->services[i]
			.name;
	return NULL;
}

static bool only_labels_differ(const struct compose_diff *diff)
{
	for (size_t i = 0; i < diff->len; i++)
		if (strncmp(diff->changes[i].path, "Labels", 6) != 0)
			return false;
	return true;
}

/* The Engine cannot change a network, nor take one away from under its tasks: nor do we. */
static void plan_changed_network(struct arena *a, const struct world *w,
	const struct world_object *seen, const struct compose_diff *diff, struct plan_action *p)
{
	const char *service = service_in(w, seen->id);
	if (diff->len == 0)
		return;
	if (only_labels_differ(diff)) { /* no reason to take it away */
		p->reason = "its labels differ, and the Engine cannot change them";
		return;
	}
	take_changes(p, diff);
	if (service)
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"network \"%s\" cannot be changed (%s differs) while service %s "
				"is in it: " PLAN_NETWORK_WAY_OUT,
				p->name, diff->changes[0].path, service));
	else
		decide(p, PLAN_REPLACE,
			"the Engine cannot change a network, and no service is in this one");
}

void plan_network(struct arena *a, const struct world *w, const struct release_object *o,
	struct plan_action *p)
{
	static const char *const ignore[] = {LABEL_PROJECT, LABEL_STACK, NULL};
	const struct compose_plan_options options = {.ignore_labels = ignore};
	const struct world_object *seen = world_find(w->networks, w->n_networks, o->name);
	struct compose_diff diff;
	begin(p, COMPOSE_NETWORK, o);
	see_object(p, seen);
	if (o->external) {
		plan_external_network(a, w, seen, p);
	} else if (!seen) {
		create_named(a, w, p);
	} else if (!seen->ours) {
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"network \"%s\" exists and is not this stack's: remove it, or "
				"declare "
				"it as external",
				o->name));
	} else if (seen->stored) {
		compose_plan(a, COMPOSE_NETWORK, o->body, seen->stored, &options, &diff);
		plan_changed_network(a, w, seen, &diff, p);
	}
}

/* ---- secrets and configs ---- */

static bool content_differs(const struct release_object *o, const struct world_object *seen)
{
	const char *wanted = release_content(o);
	return seen->content[0] && wanted[0] && strcmp(seen->content, wanted) != 0;
}

void plan_object(struct arena *a, const struct world *w, enum compose_kind kind,
	const struct release_object *o, struct plan_action *p)
{
	const char *word = compose_kind_name(kind);
	const struct world_object *seen = kind == COMPOSE_SECRET
						  ? world_find(w->secrets, w->n_secrets, o->name)
						  : world_find(w->configs, w->n_configs, o->name);
	begin(p, kind, o);
	see_object(p, seen);
	const struct db_reserved *r = o->external ? reserved_find(w, o->name) : NULL;
	if (o->external && (!seen || seen->elsewhere || (r && !r->stack[0])))
		decide(p, PLAN_REFUSE, arena_fmt(a, "%s not found: %s", word, o->name));
	else if (!o->external && !seen)
		create_named(a, w, p);
	else if (!o->external && !seen->ours)
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"%s \"%s\" exists and is not this stack's: give it another name, "
				"or "
				"declare it as external",
				word, o->name));
	else if (!o->external && content_differs(o, seen))
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"%s \"%s\" exists with another content, and the Engine cannot "
				"change "
				"it: give it another name, or leave `name` out",
				word, o->name));
}

/* ---- services ---- */

static const char *lookup(void *data, enum compose_kind kind, const char *name)
{
	const struct world *w = data;
	const struct world_object *o = kind == COMPOSE_SECRET
					       ? world_find(w->secrets, w->n_secrets, name)
					       : world_find(w->configs, w->n_configs, name);
	return o ? o->id : NULL;
}

static const char *network_id(void *data, const char *name)
{
	const struct world *w = data;
	const struct world_object *o = world_find(w->networks, w->n_networks, name);
	return o ? o->id : NULL;
}

static json_t *own_copy(struct arena *a, const json_t *j)
{
	return json_keep(a, json_deep_copy(j));
}

const char *plan_mark(const struct world_service *seen)
{
	switch (seen->update) {
	case DOCKER_UPDATE_NONE:
	case DOCKER_UPDATE_UPDATING:
	case DOCKER_UPDATE_COMPLETED:
		return NULL;
	case DOCKER_UPDATE_PAUSED:
		return "its last update is paused";
	case DOCKER_ROLLBACK_STARTED:
		return "the Engine is rolling its last update back";
	case DOCKER_ROLLBACK_PAUSED:
		return "the roll-back of its last update is paused";
	case DOCKER_ROLLBACK_COMPLETED:
		return "the Engine rolled its last update back";
	}
	return NULL;
}

static void compare_service(struct arena *a, const struct world *w, json_t *body,
	const struct world_service *seen, struct plan_action *p)
{
	static const char *const ignore[] = {
		LABEL_PROJECT, LABEL_STACK, LABEL_JOB, LABEL_EPOCH, LABEL_SCALE, NULL};
	const struct compose_plan_options options = {
		.ignore_labels = ignore,
		.network_id = network_id,
		.data = (void *)(uintptr_t)w,
		.api = w->api};
	struct compose_diff diff;
	const char *mark = plan_mark(seen);
	compose_plan(a, COMPOSE_SERVICE, body, seen->spec, &options, &diff);
	take_changes(p, &diff);
	if (diff.verdict == COMPOSE_REPLACE)
		decide(p, PLAN_REPLACE, "the Engine cannot change a service's mode");
	else if (diff.verdict == COMPOSE_UPDATE)
		decide(p, PLAN_UPDATE,
			diff.len == 1
				? arena_fmt(a, "%s differs", plan_field_name(diff.changes[0].path))
				: arena_fmt(a, "%s and %zu more differ",
					  plan_field_name(diff.changes[0].path), diff.len - 1));
	else if (mark)
		decide(p, PLAN_UPDATE, arena_fmt(a, "%s: it is written again", mark));
	if (p->verdict != PLAN_KEEP)
		p->body = own_copy(a, p->verdict == PLAN_UPDATE
					      ? compose_update_body(a, body, seen->spec, false)
					      : body);
}

void plan_service(struct arena *a, const struct world *w, const struct release_service *s,
	struct plan_action *p)
{
	const struct release_object *o = &s->object;
	const struct world_service *seen = world_service_find(w, o->name);
	begin(p, COMPOSE_SERVICE, o);
	p->service = seen;
	if (seen)
		p->id = seen->id;
	if (seen && !seen->ours) {
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"service %s exists and is not this stack's: remove it, or give the "
				"stack another namespace",
				o->name));
		return;
	}
	const char *volume = reserved_volume(w, o->body);
	if (volume) {
		decide(p, PLAN_REFUSE,
			arena_fmt(a,
				"service %s mounts volume \"%s\", and that name lies in the "
				"namespace of another project's stack: give the volume another "
				"name",
				o->key, volume));
		return;
	}
	json_t *body = own_copy(a, o->body);
	/* What cannot be resolved is made before it, or is the Engine's to refuse. */
	(void)compose_resolve(body, lookup, (void *)(uintptr_t)w);
	if (seen) {
		compare_service(a, w, body, seen, p);
		return;
	}
	create(a, p);
	p->body = body;
}

/* ---- what goes ---- */

static bool is_among(const struct release_object *objects, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(objects[i].name, name) == 0)
			return true;
	return false;
}

bool plan_wants(const struct release *r, enum compose_kind kind, const char *name)
{
	switch (kind) {
	case COMPOSE_NETWORK:
		return is_among(r->networks, r->n_networks, name);
	case COMPOSE_SECRET:
		return is_among(r->secrets, r->n_secrets, name);
	case COMPOSE_CONFIG:
		return is_among(r->configs, r->n_configs, name);
	case COMPOSE_SERVICE:
		for (size_t i = 0; i < r->n_services; i++)
			if (strcmp(r->services[i].object.name, name) == 0)
				return true;
		break;
	}
	return false;
}

struct plan_kept plan_kept_copy(
	struct arena *a, const struct db_release_objects *releases, size_t n)
{
	struct db_release_objects *copy = arena_array(a, struct db_release_objects, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct db_release_objects *r = &releases[i];
		const char **names = arena_array(a, const char *, r->n_objects + 1);
		for (size_t k = 0; k < r->n_objects; k++)
			names[k] = arena_strdup(a, r->objects[k]);
		copy[i] = (struct db_release_objects){r->number, names, r->n_objects};
	}
	return (struct plan_kept){copy, n};
}

bool plan_keeps(const struct plan_kept *kept, const char *name)
{
	for (size_t i = 0; i < kept->n; i++)
		for (size_t k = 0; k < kept->releases[i].n_objects; k++)
			if (strcmp(kept->releases[i].objects[k], name) == 0)
				return true;
	return false;
}

static void put_names(struct map *names, const struct release_object *objects, size_t n)
{
	for (size_t i = 0; i < n; i++)
		map_puts(names, objects[i].name, names);
}

void plan_staying(const struct release *r, const struct plan_kept *kept, enum compose_kind kind,
	struct map *ret_names)
{
	map_init(ret_names);
	switch (kind) {
	case COMPOSE_NETWORK:
		put_names(ret_names, r->networks, r->n_networks);
		return;
	case COMPOSE_SECRET:
		put_names(ret_names, r->secrets, r->n_secrets);
		break;
	case COMPOSE_CONFIG:
		put_names(ret_names, r->configs, r->n_configs);
		break;
	case COMPOSE_SERVICE:
		for (size_t i = 0; i < r->n_services; i++)
			map_puts(ret_names, r->services[i].object.name, ret_names);
		return;
	}
	for (size_t i = 0; i < kept->n; i++)
		for (size_t k = 0; k < kept->releases[i].n_objects; k++)
			map_puts(ret_names, kept->releases[i].objects[k], ret_names);
}

/* ---- what the Engine does not know ---- */

void plan_unknown_fields(struct arena *a, const struct world *w, const struct release *r,
	void (*say)(void *data, const char *text), void *data)
{
	for (size_t i = 0; i < r->n_services; i++) {
		const struct release_object *o = &r->services[i].object;
		const struct compose_strings lost = compose_unknown_fields(a, o->body, w->api);
		for (size_t k = 0; k < lost.len; k++)
			say(data, arena_fmt(a,
					  "warning: service %s: the Engine speaks API 1.%u and drops "
					  "what it does not know: %s",
					  o->key, w->api, lost.items[k]));
	}
}

/* ---- all ---- */

static struct plan_action *next(struct plan *p)
{
	return &p->actions[p->n];
}

static void add(struct plan *p)
{
	p->counts[p->actions[p->n++].verdict]++;
}

static struct plan_action removal(enum compose_kind kind, const char *id, const char *name)
{
	return (struct plan_action){.kind = kind,
		.verdict = PLAN_REMOVE,
		.key = name,
		.name = name,
		.id = id,
		.reason = "it is not in the text"};
}

static void add_removed_services(struct plan *p, const struct release *r, const struct world *w)
{
	for (size_t i = 0; i < w->n_services; i++) {
		const struct world_service *s = &w->services[i];
		if (!s->ours || plan_wants(r, COMPOSE_SERVICE, s->name))
			continue;
		*next(p) = removal(COMPOSE_SERVICE, s->id, s->name);
		next(p)->service = s;
		add(p);
	}
}

static void add_removed_objects(struct plan *p, const struct release *r,
	const struct plan_kept *kept, enum compose_kind kind, const struct world_object *objects,
	size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!objects[i].ours || plan_wants(r, kind, objects[i].name))
			continue;
		*next(p) = removal(kind, objects[i].id, objects[i].name);
		next(p)->object = &objects[i];
		if (kind != COMPOSE_NETWORK && plan_keeps(kept, objects[i].name))
			decide(next(p), PLAN_KEEP, "a roll-back could want it");
		add(p);
	}
}

void plan_make(struct arena *a, const struct world *w, const struct release *r,
	const struct plan_kept *kept, struct plan *ret_plan)
{
	static const struct plan_kept none;
	struct plan p = {0};
	kept = kept ? kept : &none;
	p.actions = arena_array(a, struct plan_action,
		r->n_networks + r->n_secrets + r->n_configs + r->n_services + w->n_networks +
			w->n_secrets + w->n_configs + w->n_services + 1);
	for (size_t i = 0; i < r->n_networks; i++, add(&p))
		plan_network(a, w, &r->networks[i], next(&p));
	for (size_t i = 0; i < r->n_secrets; i++, add(&p))
		plan_object(a, w, COMPOSE_SECRET, &r->secrets[i], next(&p));
	for (size_t i = 0; i < r->n_configs; i++, add(&p))
		plan_object(a, w, COMPOSE_CONFIG, &r->configs[i], next(&p));
	for (size_t i = 0; i < r->n_services; i++, add(&p))
		plan_service(a, w, &r->services[i], next(&p));
	add_removed_services(&p, r, w);
	add_removed_objects(&p, r, kept, COMPOSE_SECRET, w->secrets, w->n_secrets);
	add_removed_objects(&p, r, kept, COMPOSE_CONFIG, w->configs, w->n_configs);
	add_removed_objects(&p, r, kept, COMPOSE_NETWORK, w->networks, w->n_networks);
	*ret_plan = p;
}
