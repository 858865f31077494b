#include "docker/ops.h"
#include <inttypes.h>
#include "base/json.h"
#include "docker/brief.h"
#include "docker/call.h"

static const char *const update_states[] = {
	[DOCKER_UPDATE_NONE] = "",
	[DOCKER_UPDATE_UPDATING] = "updating",
	[DOCKER_UPDATE_PAUSED] = "paused",
	[DOCKER_UPDATE_COMPLETED] = "completed",
	[DOCKER_ROLLBACK_STARTED] = "rollback_started",
	[DOCKER_ROLLBACK_PAUSED] = "rollback_paused",
	[DOCKER_ROLLBACK_COMPLETED] = "rollback_completed",
};

const char *docker_update_state_name(enum docker_update_state s)
{
	return update_states[s];
}

static enum docker_update_state read_update_state(const char *name)
{
	for (size_t i = 0; i < sizeof update_states / sizeof update_states[0]; i++)
		if (strcmp(name, update_states[i]) == 0)
			return (enum docker_update_state)i;
	return DOCKER_UPDATE_NONE;
}

static void read_mode(struct docker_service *s, const json_t *mode)
{
	s->replicas = -1;
	if (json_object_get(mode, "Global")) {
		s->mode = DOCKER_GLOBAL;
	} else if (json_object_get(mode, "GlobalJob")) {
		s->mode = DOCKER_GLOBAL_JOB;
	} else if (json_object_get(mode, "ReplicatedJob")) {
		s->mode = DOCKER_REPLICATED_JOB;
		s->replicas = json_int(mode, "ReplicatedJob.TotalCompletions", 1);
	} else {
		s->mode = DOCKER_REPLICATED;
		s->replicas = json_int(mode, "Replicated.Replicas", 1);
	}
}

static void read_service(
	struct arena *a, const json_t *j, bool brief, struct docker_service *s)
{
	const json_t *job = json_at(j, "JobStatus.JobIteration"); /* {} is iteration 0 */
	const json_t *spec = json_at(j, "Spec"), *update = json_at(j, "UpdateStatus"),
		     *status = json_at(j, "ServiceStatus");
	s->id = json_text(j, "ID", "");
	s->name = json_text(spec, "Name", "");
	s->version = (uint64_t)json_int(j, "Version.Index", 0);
	if (!brief)
		s->labels = read_pairs(a, json_at(spec, "Labels"));
	read_mode(s, json_at(spec, "Mode"));
	s->image = json_text(spec, "TaskTemplate.ContainerSpec.Image", "");
	s->spec = spec;
	s->previous_spec = json_at(j, "PreviousSpec");
	if (json_is_null(s->previous_spec))
		s->previous_spec = NULL;
	s->update.state = read_update_state(json_text(update, "State", ""));
	s->update.message = json_text(update, "Message", "");
	s->update.started_us = read_time_us(update, "StartedAt");
	s->update.completed_us = read_time_us(update, "CompletedAt");
	s->job_iteration = job ? json_int(job, "Index", 0) : -1;
	s->running = json_int(status, "RunningTasks", -1);
	s->desired = json_int(status, "DesiredTasks", -1);
	s->completed = json_int(status, "CompletedTasks", -1);
	s->created_us = read_time_us(j, "CreatedAt");
	s->updated_us = read_time_us(j, "UpdatedAt");
}

static void deliver_services(struct docker_call *c, const struct status *st, const json_t *reply)
{
	size_t n;
	struct status result = call_count(c, st, reply, &n);
	struct docker_service *s = arena_array(c->arena, struct docker_service, n);
	for (size_t i = 0; i < n; i++)
		read_service(c->arena, call_item(reply, i), false, &s[i]);
	c->done.services(c->data, &result, n ? s : NULL, n);
}

/* ---- brief lists ---- */

/* An element is gone when the next one comes, and the list before at the end. */
static void keep(struct arena *a, struct docker_service *s, json_t *spec, json_t *previous)
{
	s->spec = json_keep(a, spec);
	s->previous_spec = json_keep(a, previous);
	s->id = arena_strdup(a, s->id);
	s->name = arena_strdup(a, s->name);
	s->image = arena_strdup(a, s->image);
	s->update.message = arena_strdup(a, s->update.message);
}

static json_t *hold(const json_t *j)
{
	return json_incref((json_t *)(uintptr_t)j);
}

static struct status on_brief_service(struct docker_call *c, struct str text)
{
	const uint64_t hash = known_hash(text);
	const struct docker_service *known = known_find(c, hash);
	struct docker_service *s;
	json_t *j = NULL;
	if (known) {
		s = call_room(c, sizeof(*s));
		*s = *known;
		keep(c->arena, s, hold(known->spec), hold(known->previous_spec));
		return status_ok();
	}
	struct status st = json_parse(text, &j);
	if (!status_is_ok(&st))
		return st;
	s = call_room(c, sizeof(*s));
	read_service(c->arena, j, true, s);
	s->text_hash = hash;
	keep(c->arena, s, brief_spec(s->spec), s->previous_spec ? json_object() : NULL);
	json_decref(j);
	return st;
}

static void deliver_brief(struct docker_call *c, const struct status *st, const json_t *reply)
{
	(void)reply;
	bool ok = status_is_ok(st);
	c->done.services(c->data, st, ok ? c->extra : NULL, ok ? c->n_extra : 0);
}

struct docker_call *engine_service_list(struct docker *d, const struct docker_filter *f,
	uint64_t ms, docker_on_services done, void *data)
{
	bool brief = f && f->brief;
	struct call_request r = {.ms = ms,
		.deliver = brief ? deliver_brief : deliver_services,
		.on_item = brief ? on_brief_service : NULL,
		.done.services = done,
		.data = data};
	struct docker_call *c = call_list(d, "/services?status=true", f, &r);
	if (brief)
		known_set(c, f->known, f->n_known, sizeof(*f->known),
			offsetof(struct docker_service, text_hash));
	return c;
}

struct docker_call *engine_service_inspect(
	struct docker *d, const char *id, uint64_t ms, docker_on_services done, void *data)
{
	struct call_request r = {
		.ms = ms, .deliver = deliver_services, .done.services = done, .data = data};
	return call_inspect(d, "/services", id, &r);
}

struct docker_call *engine_service_create(struct docker *d, const json_t *spec,
	const struct docker_service_options *o, uint64_t ms, docker_on_id done, void *data)
{
	struct call_request r = {.method = "POST",
		.path = "/services/create",
		.body = spec,
		.auth = o ? o->registry_auth : NULL,
		.ms = ms,
		.deliver = call_deliver_id,
		.done.id = done,
		.data = data};
	return call_start(engine_of(d), &r);
}

struct docker_call *engine_service_update(struct docker *d, const char *id, uint64_t version,
	const json_t *spec, const struct docker_service_options *o, uint64_t ms, docker_on_id done,
	void *data)
{
	struct buf path = {0};
	struct call_request r = {.method = "POST",
		.body = spec,
		.auth = o ? o->registry_auth : NULL,
		.ms = ms,
		.deliver = call_deliver_id,
		.done.id = done,
		.data = data};
	path_id(&path, "/services/", id, &r.bad);
	buf_fmt(&path, "/update?version=%" PRIu64, version);
	if (o && o->rollback)
		buf_adds(&path, "&rollback=previous");
	struct docker_call *c = call_start_buf(engine_of(d), &path, &r);
	c->extra = arena_strdup(c->arena, id); /* the reply does not say it */
	return c;
}

struct docker_call *engine_service_remove(
	struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data)
{
	return call_remove(d, "/services", id, ms, done, data);
}
