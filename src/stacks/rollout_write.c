/* The writing phases of a rollout: networks, secrets and configs, services. Each compares with
 * the world first. */
#include "stacks/rollout.h"

#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "stacks/plan.h"
#include "stacks/stack_run.h"

#define AT_ONCE 16

static void refuse(struct rollout *ro, const char *reason)
{
	struct status st = status_err(ST_FAILED_PRECONDITION, "%s", reason);
	rollout_await(ro);
	rollout_part(ro, &st);
}

/* ---- networks ---- */

struct making { /* one create under way */
	struct rollout *ro;
	const char *name;
	enum compose_kind kind;
};

/* NULL: as stack_write_begin. */
static struct stack_op *begin(struct rollout *ro, const char *name, enum compose_kind kind)
{
	struct making *m = arena_new(ro->sr->run->arena, struct making);
	*m = (struct making){ro, name, kind};
	rollout_await(ro);
	return stack_write_begin(ro->sr, m);
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

/* Removed so that it can be made anew: then a look, and the next try creates it. The Engine says when
 * something outside the stack is in it. */
static void on_network_removed(void *data, const struct status *st)
{
	struct stack_run *sr;
	void *making;
	if (!stack_op_end(data, &sr, &making))
		return;
	const struct making *m = making;
	bool gone = status_is_ok(st) || st->code == ST_NOT_FOUND;
	struct status result = status_err(ST_UNAVAILABLE, "network %s is being replaced", m->name);
	if (!gone && (st->code == ST_FAILED_PRECONDITION || st->code == ST_INVALID_ARGUMENT ||
			     st->code == ST_PERMISSION_DENIED))
		result = status_err(ST_FAILED_PRECONDITION,
			"network \"%s\" cannot be replaced: %s: " PLAN_NETWORK_WAY_OUT, m->name,
			st->message);
	else if (!gone)
		result = *st;
	rollout_part(m->ro, &result);
}

static void write_network(struct rollout *ro, const struct release_object *o, struct arena *scratch)
{
	struct docker *d = ro->sr->docker;
	struct plan_action p;
	plan_network(scratch, &ro->sr->world, o, &p);
	bool changes = p.verdict == PLAN_REPLACE || (p.verdict == PLAN_REFUSE && p.n_changes > 0);
	if (changes && ro == &ro->sr->back) { /* what runs matters more on the way back */
		job_run_say(ro->sr->run, "network %s stays as it is", o->name);
	} else if (p.verdict == PLAN_REFUSE) {
		refuse(ro, p.reason);
	} else if (p.verdict == PLAN_CREATE) {
		struct stack_op *op = begin(ro, o->name, COMPOSE_NETWORK);
		if (!op)
			return;
		op->docker = docker_network_create(d, o->body, 0, on_made, op);
	} else if (p.verdict == PLAN_REPLACE) {
		job_run_say(ro->sr->run, "network %s is replaced: %s changes", o->name,
			p.changes[0].path);
		struct stack_op *op = begin(ro, o->name, COMPOSE_NETWORK);
		if (!op)
			return;
		op->docker = docker_network_remove(d, p.id, 0, on_network_removed, op);
	}
}

void rollout_write_networks(struct rollout *ro)
{
	struct arena *scratch = arena_create_small(); /* nobody needs a plan when it is carried out */
	rollout_await(ro);
	for (size_t i = 0; i < ro->target->n_networks; i++)
		write_network(ro, &ro->target->networks[i], scratch);
	arena_destroy(scratch);
	struct status ok = status_ok();
	rollout_part(ro, &ok);
}

/* ---- secrets and configs ---- */

static void write_object(struct rollout *ro, enum compose_kind kind, const struct release_object *o,
	struct arena *scratch)
{
	struct plan_action p;
	plan_object(scratch, &ro->sr->world, kind, o, &p);
	if (p.verdict == PLAN_REFUSE) {
		refuse(ro, p.reason);
	} else if (p.verdict == PLAN_CREATE) {
		struct stack_op *op = begin(ro, o->name, kind);
		if (!op)
			return;
		enum docker_kind k = kind == COMPOSE_SECRET ? DOCKER_SECRET : DOCKER_CONFIG;
		op->docker = docker_object_create(ro->sr->docker, k, o->body, 0, on_made, op);
	}
}

/* Some a turn: there may be thousands. */
static void write_more_objects(struct rollout *ro)
{
	const struct release *r = ro->target;
	size_t end = r->n_secrets + r->n_configs;
	struct arena *scratch = arena_create_small();
	bool more = ro->written_to < end;
	while (more && !loop_must_yield(ro->sr->run->loop)) {
		size_t i = ro->written_to++;
		if (i < r->n_secrets)
			write_object(ro, COMPOSE_SECRET, &r->secrets[i], scratch);
		else
			write_object(ro, COMPOSE_CONFIG, &r->configs[i - r->n_secrets], scratch);
		more = ro->written_to < end && !ro->stopped;
	}
	arena_destroy(scratch);
	if (more) {
		defer_post(&ro->more);
		return;
	}
	struct status ok = status_ok();
	rollout_part(ro, &ok);
}

void rollout_write_objects(struct rollout *ro)
{
	rollout_await(ro);
	ro->written_to = 0;
	write_more_objects(ro);
}

/* ---- services ---- */

static json_t *own_copy(struct rollout *ro, const json_t *j)
{
	return json_keep(ro->bodies, json_deep_copy(j));
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

/* So that it is not taken for drift. */
static void put_scale_label(json_t *body, json_int_t replicas)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%lld", (long long)replicas);
	json_t *labels = json_object_get(body, "Labels");
	if (json_is_object(labels))
		json_object_set_new(labels, LABEL_SCALE, json_string(text));
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

/* To write a job would be to run it again, and an update that was paused would go on. */
static json_t *body_of_adopted(struct rollout *ro, const struct world_service *seen)
{
	const struct db_job *job = ro->sr->run->job;
	bool is_job =
		json_at(seen->spec, "Mode.ReplicatedJob") || json_at(seen->spec, "Mode.GlobalJob");
	if (seen->label_stack[0] || is_job || plan_mark(seen))
		return NULL;
	json_t *body = own_copy(ro, seen->spec), *labels = json_object_get(body, "Labels");
	json_object_set_new(labels, LABEL_PROJECT, json_string(job->project_id.text));
	json_object_set_new(labels, LABEL_STACK, json_string(job->stack_id.text));
	return body;
}

/* What to write, or NULL: the service is as it should be, or must not be touched (see the verdict).
 */
static json_t *body_for(struct rollout *ro, const struct release_service *s,
	const struct world_service *seen, struct plan_action *ret)
{
	json_t *body;
	json_int_t replicas;
	*ret = (struct plan_action){.verdict = PLAN_UPDATE};
	if (!seen && ro->mode != ROLLOUT_RELEASE)
		return NULL; /* wrong_service has refused it */
	switch (ro->mode) {
	case ROLLOUT_RELEASE:
		plan_service(ro->bodies, &ro->sr->world, s, ret);
		return ret->body;
	case ROLLOUT_RESTART:
		if (is_written_by_us(ro, seen))
			return NULL;
		body = own_copy(ro, seen->spec);
		force(body);
		return body;
	case ROLLOUT_SCALE:
		body = own_copy(ro, seen->spec);
		replicas = json_integer_value(json_object_get(ro->replicas, s->object.key));
		set_replicas(body, replicas);
		put_scale_label(body, replicas);
		return json_equal(body, seen->spec) ? NULL : body;
	case ROLLOUT_ADOPT:
		return body_of_adopted(ro, seen);
	case ROLLOUT_BACK:
		return is_written_by_us(ro, seen) && seen->previous_spec
			       ? own_copy(ro, seen->previous_spec)
			       : NULL;
	}
	return NULL;
}

/* One service's write is over. Who carries on leaves a refused one behind. */
static void settle(struct rollout *ro, const char *name, const struct status *st)
{
	struct status ok = status_ok();
	bool refused = !status_is_ok(st) && rollout_carries_on(ro) &&
		       !rollout_may_pass(ro, st->code);
	for (size_t i = 0; refused && i < ro->target->n_services; i++)
		if (strcmp(ro->target->services[i].object.name, name) == 0)
			rollout_give_up(ro, ro->target->services[i].object.key, st->message);
	rollout_part(ro, refused ? &ok : st);
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
	settle(m->ro, m->name, &wrapped);
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

/* Services that only their spec before, or the stored one, can be written to. */
static const char *wrong_service(
	struct rollout *ro, const struct release_service *s, const struct world_service *seen)
{
	struct arena *a = ro->sr->run->arena;
	if (ro->mode == ROLLOUT_RELEASE)
		return NULL; /* the plan's to judge */
	if (!seen)
		return arena_fmt(a,
			"service %s does not exist in the Engine: deploy the stack again",
			s->object.name);
	return seen->ours
		       ? NULL
		       : arena_fmt(a, "service %s exists and is not this stack's", s->object.name);
}

static void write_body(struct rollout *ro, const struct release_service *s,
	const struct world_service *seen, const struct plan_action *p, json_t *body)
{
	struct docker *d = ro->sr->docker;
	if (ro->mode != ROLLOUT_BACK) /* the spec before has its own */
		put_labels(ro, body);
	for (size_t i = 0; seen && i < p->n_changes && i < 8; i++)
		job_run_say(ro->sr->run, "%s: %s changes", s->object.key, p->changes[i].path);
	const struct docker_service_options o = {
		.registry_auth = registry_auth_for(
			ro->sr->run->arena, &ro->sr->auths, compose_body_image(body))};
	struct stack_op *op = begin(ro, s->object.name, COMPOSE_SERVICE);
	if (!op)
		return;
	if (!seen) {
		ro->created++;
		rollout_tell(ro, s->object.key, SERVICE_CONVERGING, 0, 0, "created");
		op->docker = docker_service_create(d, body, &o, 0, on_written, op);
	} else if (p->verdict == PLAN_REPLACE) {
		ro->removed++;
		rollout_tell(
			ro, s->object.key, SERVICE_CONVERGING, 0, 0, "replaced: its mode changed");
		op->docker = docker_service_remove(d, seen->id, 0, on_replaced, op);
	} else {
		ro->updated++;
		rollout_tell(ro, s->object.key, SERVICE_CONVERGING, 0, 0, "updated");
		op->docker = docker_service_update(
			d, seen->id, seen->version, body, &o, 0, on_written, op);
	}
}

static void write_service(struct rollout *ro, const struct release_service *s)
{
	struct stack_run *sr = ro->sr;
	const struct world_service *seen = world_service_find(&sr->world, s->object.name);
	bool by_us = seen && is_written_by_us(ro, seen);
	struct plan_action p;
	if (by_us && seen->label_epoch > sr->run->job->epoch) {
		job_run_abandon(sr->run, "a daemon with a later epoch has written its services");
		return;
	}
	if (rollout_failed_dependency(ro, s->object.key)) {
		rollout_give_up(ro, s->object.key, NULL);
		return;
	}
	const char *wrong = wrong_service(ro, s, seen);
	json_t *body = wrong ? NULL : body_for(ro, s, seen, &p);
	if (!wrong && p.verdict == PLAN_REFUSE)
		wrong = p.reason;
	if (wrong) {
		struct status st = status_err(ST_FAILED_PRECONDITION, "%s", wrong);
		rollout_await(ro);
		settle(ro, s->object.name, &st);
		return;
	}
	if (body || by_us)
		rollout_remember(ro, s->object.name, body ? ROLLOUT_WROTE_NOW : ROLLOUT_WROTE_BEFORE);
	if (body)
		write_body(ro, s, seen, &p, body);
	else
		ro->kept++;
}

static void next_level(struct rollout *ro);

/* key → the dependency that asks for most: some service waits for this one. */
static void find_awaited(const struct release *r, struct arena *a, struct map *ret)
{
	map_init(ret);
	for (size_t i = 0; i < r->n_services; i++)
		for (size_t k = 0; k < r->services[i].n_depends; k++) {
			const struct release_depends *d = &r->services[i].depends[k];
			struct converge *c = map_gets(ret, d->service);
			if (!c) {
				c = arena_new(a, struct converge);
				*c = (struct converge){
					.gate = true, .started = true, .optional = true};
				map_puts(ret, d->service, c);
			}
			c->completes |= d->condition == COMPOSE_COMPLETED;
			c->started &= d->condition == COMPOSE_STARTED;
			c->optional &= d->optional;
		}
}

/* The level is written: what others depend on must be there before they start. */
static void open_gate(struct rollout *ro)
{
	const struct release *r = ro->target;
	size_t n = 0, n_written = 0;
	for (size_t i = 0; i < r->n_services; i++)
		n_written += r->services[i].level == ro->level;
	struct converge *gate = arena_array(ro->sr->run->arena, struct converge, n_written);
	struct arena *scratch = arena_create();
	struct map awaited;
	find_awaited(r, scratch, &awaited);
	for (size_t i = 0; i < r->n_services; i++) {
		const struct release_service *s = &r->services[i];
		const struct converge *c = map_gets(&awaited, s->object.key);
		if (!c || s->level != ro->level || !rollout_includes(ro, s->object.key))
			continue;
		gate[n] = *c;
		gate[n].key = s->object.key;
		gate[n++].name = s->object.name;
	}
	map_finish(&awaited);
	arena_destroy(scratch);
	rollout_watch(ro, gate, n, next_level);
}

/* A few a turn: a level may have thousands. */
static void write_more_services(struct rollout *ro)
{
	const struct release *r = ro->target;
	size_t end = ro->written_to + AT_ONCE;
	ro->bodies = arena_create();
	for (; ro->written_to < r->n_services && ro->written_to < end && !ro->stopped;
		ro->written_to++) {
		const struct release_service *s = &r->services[ro->written_to];
		bool now = ro->mode != ROLLOUT_RELEASE || s->level == ro->level;
		if (now && rollout_includes(ro, s->object.key))
			write_service(ro, s);
	}
	arena_destroy(ro->bodies);
	ro->bodies = NULL;
	if (ro->written_to < r->n_services && !ro->stopped) {
		defer_post(&ro->more);
		return;
	}
	struct status ok = status_ok();
	rollout_part(ro, &ok);
}

void rollout_write_more(struct rollout *ro)
{
	if (ro->phase == ROLLOUT_OBJECTS)
		write_more_objects(ro);
	else
		write_more_services(ro);
}

static void write_level(struct rollout *ro)
{
	ro->next = ro->mode == ROLLOUT_RELEASE && ro->level + 1 < ro->target->n_levels ? open_gate
										       : next_level;
	rollout_await(ro);
	ro->written_to = 0;
	write_more_services(ro);
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
