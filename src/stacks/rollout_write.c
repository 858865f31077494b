/* The writing phases of a rollout: networks, secrets and configs, services. Each compares with
 * the world first. */
#include "stacks/rollout.h"

#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/stack_run.h"

static void refuse(struct rollout *ro, const struct status *st)
{
	rollout_await(ro);
	rollout_part(ro, st);
}

/* ---- networks ---- */

struct making { /* one create under way */
	struct rollout *ro;
	const char *name;
	enum compose_kind kind;
};

static struct stack_op *begin(struct rollout *ro, const char *name, enum compose_kind kind)
{
	struct making *m = arena_new(ro->sr->run->arena, struct making);
	*m = (struct making){ro, name, kind};
	rollout_await(ro);
	return stack_op_begin(ro->sr, m);
}

static void on_made(void *data, const struct status *st, const char *id, const char *warning)
{
	struct stack_run *sr;
	void *making;
	if (!stack_op_end(data, &sr, &making))
		return;
	const struct making *m = making;
	struct world *w = &sr->world;
	if (status_is_ok(st)) {
		if (warning[0])
			job_run_say(
				sr->run, "%s %s: %s", compose_kind_name(m->kind), m->name, warning);
		if (m->kind == COMPOSE_NETWORK)
			world_add(w, &w->networks, &w->n_networks, id, m->name);
		else if (m->kind == COMPOSE_SECRET)
			world_add(w, &w->secrets, &w->n_secrets, id, m->name);
		else if (m->kind == COMPOSE_CONFIG)
			world_add(w, &w->configs, &w->n_configs, id, m->name);
	}
	struct status wrapped = status_wrap(st, "%s %s", compose_kind_name(m->kind), m->name);
	rollout_part(m->ro, &wrapped);
}

static bool is_predefined_network(const char *name)
{
	static const char *const names[] = {"host", "bridge", "none", "default"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "container:", 10) == 0;
}

static struct status check_network(const struct release_object *o, const struct world_object *seen)
{
	if (o->external && !is_predefined_network(o->name)) {
		if (!seen)
			return status_err(ST_FAILED_PRECONDITION,
				"network \"%s\" is declared as external, but could not be found. "
				"You need to "
				"create a swarm-scoped network before the stack is deployed",
				o->name);
		if (strcmp(seen->scope, "swarm") != 0)
			return status_err(ST_FAILED_PRECONDITION,
				"network \"%s\" is declared as external, but it is not in the "
				"right scope: "
				"\"%s\" instead of \"swarm\"",
				o->name, seen->scope);
	}
	if (!o->external && seen && !seen->ours)
		return status_err(ST_FAILED_PRECONDITION,
			"network \"%s\" exists and is not this stack's: remove it, or declare it "
			"as external",
			o->name);
	return status_ok();
}

void rollout_write_networks(struct rollout *ro)
{
	struct world *w = &ro->sr->world;
	rollout_await(ro);
	for (size_t i = 0; i < ro->target->n_networks; i++) {
		const struct release_object *o = &ro->target->networks[i];
		const struct world_object *seen = world_find(w->networks, w->n_networks, o->name);
		struct status st = check_network(o, seen);
		if (!status_is_ok(&st)) {
			refuse(ro, &st);
		} else if (!o->external && !seen) {
			struct stack_op *op = begin(ro, o->name, COMPOSE_NETWORK);
			op->docker = docker_network_create(ro->sr->docker, o->body, 0, on_made, op);
		}
	}
	struct status ok = status_ok();
	rollout_part(ro, &ok);
}

/* ---- secrets and configs ---- */

static void write_object(struct rollout *ro, enum compose_kind kind, const struct release_object *o,
	const struct world_object *seen)
{
	const char *word = compose_kind_name(kind);
	if (o->external && !seen) {
		struct status st =
			status_err(ST_FAILED_PRECONDITION, "%s not found: %s", word, o->name);
		refuse(ro, &st);
	} else if (!o->external && !seen) {
		struct stack_op *op = begin(ro, o->name, kind);
		enum docker_kind k = kind == COMPOSE_SECRET ? DOCKER_SECRET : DOCKER_CONFIG;
		op->docker = docker_object_create(ro->sr->docker, k, o->body, 0, on_made, op);
	} else if (!o->external && !seen->ours) {
		struct status st = status_err(ST_FAILED_PRECONDITION,
			"%s \"%s\" exists and is not this stack's: give it another name, or "
			"declare it as external",
			word, o->name);
		refuse(ro, &st);
	} else if (!o->external && seen->content[0] && o->body &&
		   strcmp(seen->content, json_text(json_at(o->body, "Labels"), LABEL_CONTENT,
						 seen->content)) != 0) {
		struct status st = status_err(ST_FAILED_PRECONDITION,
			"%s \"%s\" exists with another content, and the Engine cannot change it: "
			"give it another name, or leave `name` out",
			word, o->name);
		refuse(ro, &st);
	}
}

void rollout_write_objects(struct rollout *ro)
{
	struct world *w = &ro->sr->world;
	rollout_await(ro);
	for (size_t i = 0; i < ro->target->n_secrets; i++) {
		const struct release_object *o = &ro->target->secrets[i];
		write_object(ro, COMPOSE_SECRET, o, world_find(w->secrets, w->n_secrets, o->name));
	}
	for (size_t i = 0; i < ro->target->n_configs; i++) {
		const struct release_object *o = &ro->target->configs[i];
		write_object(ro, COMPOSE_CONFIG, o, world_find(w->configs, w->n_configs, o->name));
	}
	struct status ok = status_ok();
	rollout_part(ro, &ok);
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

static void free_json(void *j)
{
	json_decref(j);
}

static json_t *own_copy(struct rollout *ro, const json_t *j)
{
	json_t *copy = json_deep_copy(j);
	arena_on_free(ro->sr->run->arena, free_json, copy);
	return copy;
}

static void put_labels(struct rollout *ro, json_t *body)
{
	const struct db_job *job = ro->sr->run->job;
	char epoch[16];
	(void)snprintf(epoch, sizeof(epoch), "%d", job->epoch);
	json_t *labels = json_object_get(body, "Labels");
	if (!json_is_object(labels)) {
		json_object_set_new(body, "Labels", json_object());
		labels = json_object_get(body, "Labels");
	}
	json_object_set_new(labels, LABEL_JOB, json_string(job->id.text));
	json_object_set_new(labels, LABEL_EPOCH, json_string(epoch));
}

static bool is_written_by_us(const struct rollout *ro, const struct world_service *seen)
{
	return strcmp(seen->label_job, ro->sr->run->job->id.text) == 0;
}

static void set_replicas(json_t *body, json_int_t replicas)
{
	json_t *mode = json_at(body, "Mode.Replicated");
	if (mode) {
		json_object_set_new(mode, "Replicas", json_integer(replicas));
		return;
	}
	mode = json_at(body, "Mode.ReplicatedJob");
	if (mode)
		json_object_set_new(mode, "TotalCompletions", json_integer(replicas));
}

static void force(json_t *body)
{
	json_t *task = json_object_get(body, "TaskTemplate");
	json_object_set_new(
		task, "ForceUpdate", json_integer(json_int(task, "ForceUpdate", 0) + 1));
}

/* An update of the Engine's went wrong here once, and it says so until the next one: only writing
 * the service makes its state mean something again. */
static bool is_marked(const struct world_service *seen)
{
	switch (seen->update) {
	case DOCKER_UPDATE_NONE:
	case DOCKER_UPDATE_UPDATING:
	case DOCKER_UPDATE_COMPLETED:
		return false;
	case DOCKER_UPDATE_PAUSED:
	case DOCKER_ROLLBACK_STARTED:
	case DOCKER_ROLLBACK_PAUSED:
	case DOCKER_ROLLBACK_COMPLETED:
		break;
	}
	return true;
}

/* The body to write, or NULL: the service is as it should be. */
static json_t *body_for(struct rollout *ro, const struct release_service *s,
	const struct world_service *seen, bool *ret_replace)
{
	static const char *const ignore[] = {LABEL_JOB, LABEL_EPOCH, NULL};
	struct arena *a = ro->sr->run->arena;
	struct compose_plan_options options = {
		.ignore_labels = ignore, .network_id = network_id, .data = &ro->sr->world};
	struct compose_diff diff;
	json_t *body;
	switch (ro->mode) {
	case ROLLOUT_RELEASE:
		body = own_copy(ro, s->object.body);
		if (compose_resolve(body, lookup, &ro->sr->world) || !seen)
			return body; /* what cannot be resolved is the Engine's to refuse */
		compose_plan(a, COMPOSE_SERVICE, body, seen->spec, &options, &diff);
		*ret_replace = diff.verdict == COMPOSE_REPLACE;
		if (diff.verdict == COMPOSE_KEEP && !is_marked(seen))
			return NULL;
		for (size_t i = 0; i < diff.len && i < 8; i++)
			job_run_say(
				ro->sr->run, "%s: %s changes", s->object.key, diff.changes[i].path);
		return own_copy(ro, compose_update_body(a, body, seen->spec, false));
	case ROLLOUT_RESTART:
		if (is_written_by_us(ro, seen))
			return NULL;
		body = own_copy(ro, seen->spec);
		force(body);
		return body;
	case ROLLOUT_SCALE:
		body = own_copy(ro, seen->spec);
		set_replicas(
			body, json_integer_value(json_object_get(ro->replicas, s->object.key)));
		return json_equal(body, seen->spec) ? NULL : body;
	case ROLLOUT_BACK:
		return is_written_by_us(ro, seen) && seen->previous_spec
			       ? own_copy(ro, seen->previous_spec)
			       : NULL;
	}
	return NULL;
}

static void on_written(void *data, const struct status *st, const char *id, const char *warning)
{
	struct stack_run *sr;
	void *making;
	if (!stack_op_end(data, &sr, &making))
		return;
	const struct making *m = making;
	(void)id;
	if (status_is_ok(st) && warning[0])
		job_run_say(sr->run, "service %s: %s", m->name, warning);
	struct status wrapped = status_wrap(st, "service %s", m->name);
	rollout_part(m->ro, &wrapped);
}

/* Removed so that it can be made anew: then a look, and the next try creates it. */
static void on_replaced(void *data, const struct status *st)
{
	struct stack_run *sr;
	void *making;
	if (!stack_op_end(data, &sr, &making))
		return;
	const struct making *m = making;
	struct status again = status_err(
		ST_UNAVAILABLE, "service %s is being replaced: its mode changed", m->name);
	rollout_part(m->ro, status_is_ok(st) ? &again : st);
}

static void remember_written(struct rollout *ro, const char *name)
{
	const char **more = arena_array(ro->sr->run->arena, const char *, ro->n_written + 1);
	if (ro->n_written)
		memcpy(more, ro->written, ro->n_written * sizeof(*more));
	more[ro->n_written++] = name;
	ro->written = more;
}

static void write_service(struct rollout *ro, const struct release_service *s)
{
	struct stack_run *sr = ro->sr;
	const struct world_service *seen = world_service_find(&sr->world, s->object.name);
	bool by_us = seen && is_written_by_us(ro, seen);
	if (by_us && seen->label_epoch > sr->run->job->epoch) {
		job_run_abandon(sr->run); /* a later owner of this job has written it */
		return;
	}
	if (!seen && ro->mode != ROLLOUT_RELEASE) {
		struct status st = status_err(ST_FAILED_PRECONDITION,
			"service %s does not exist in the Engine: deploy the stack again",
			s->object.name);
		refuse(ro, &st);
		return;
	}
	if (seen && !seen->ours) {
		struct status st = status_err(ST_FAILED_PRECONDITION,
			"service %s exists and is not this stack's: remove it, or give the stack "
			"another namespace",
			s->object.name);
		refuse(ro, &st);
		return;
	}
	bool replace = false;
	json_t *body = body_for(ro, s, seen, &replace);
	if (body || by_us)
		remember_written(ro, s->object.name);
	if (!body) {
		ro->kept++;
		return;
	}
	if (ro->mode != ROLLOUT_BACK) /* the spec before has its own */
		put_labels(ro, body);
	struct stack_op *op = begin(ro, s->object.name, COMPOSE_SERVICE);
	if (!seen) {
		ro->created++;
		rollout_tell(ro, s->object.key, SERVICE_CONVERGING, 0, 0, "created");
		op->docker = docker_service_create(sr->docker, body, NULL, 0, on_written, op);
	} else if (replace) {
		ro->removed++;
		rollout_tell(
			ro, s->object.key, SERVICE_CONVERGING, 0, 0, "replaced: its mode changed");
		op->docker = docker_service_remove(sr->docker, seen->id, 0, on_replaced, op);
	} else {
		ro->updated++;
		rollout_tell(ro, s->object.key, SERVICE_CONVERGING, 0, 0, "updated");
		op->docker = docker_service_update(
			sr->docker, seen->id, seen->version, body, NULL, 0, on_written, op);
	}
}

/* Does some later service wait for this one, and for what? */
static bool is_awaited(
	const struct rollout *ro, const struct release_service *s, bool *ret_completes)
{
	bool awaited = false;
	for (size_t i = 0; i < ro->target->n_services; i++) {
		const struct release_service *other = &ro->target->services[i];
		for (size_t k = 0; k < other->n_depends; k++)
			if (strcmp(other->depends[k].service, s->object.key) == 0) {
				awaited = true;
				*ret_completes |= other->depends[k].condition == COMPOSE_COMPLETED;
			}
	}
	return awaited;
}

static void next_level(struct rollout *ro);

/* The level is written: what others depend on must be there before they start. */
static void open_gate(struct rollout *ro)
{
	const struct release *r = ro->target;
	struct converge *gate = arena_array(ro->sr->run->arena, struct converge, r->n_services + 1);
	size_t n = 0;
	for (size_t i = 0; i < r->n_services; i++) {
		const struct release_service *s = &r->services[i];
		bool completes = false;
		if (s->level == ro->level && rollout_includes(ro, s->object.key) &&
			is_awaited(ro, s, &completes))
			gate[n++] = (struct converge){.key = s->object.key,
				.name = s->object.name,
				.gate = true,
				.completes = completes};
	}
	rollout_watch(ro, gate, n, next_level);
}

static void write_level(struct rollout *ro)
{
	ro->next = ro->mode == ROLLOUT_RELEASE && ro->level + 1 < ro->target->n_levels ? open_gate
										       : next_level;
	rollout_await(ro);
	for (size_t i = 0; i < ro->target->n_services && !ro->stopped; i++) {
		const struct release_service *s = &ro->target->services[i];
		bool now = ro->mode != ROLLOUT_RELEASE || s->level == ro->level;
		if (now && rollout_includes(ro, s->object.key))
			write_service(ro, s);
	}
	struct status ok = status_ok();
	rollout_part(ro, &ok);
}

static void next_level(struct rollout *ro)
{
	ro->level++;
	if (ro->mode == ROLLOUT_RELEASE && ro->level < ro->target->n_levels)
		write_level(ro);
	else
		rollout_phase_over(ro);
}

void rollout_write_services(struct rollout *ro)
{
	ro->created = ro->updated = ro->kept = ro->removed = 0;
	ro->level = 0;
	write_level(ro);
}
