/* Secrets and configs: one API under two names. */
#include "docker/ops.h"
#include "base/json.h"
#include "docker/call.h"

static const char *const roots[] = {[DOCKER_SECRET] = "/secrets", [DOCKER_CONFIG] = "/configs"};

static void read_object(struct arena *a, const json_t *j, struct docker_object *o)
{
	o->id = json_text(j, "ID", "");
	o->name = json_text(j, "Spec.Name", "");
	o->version = (uint64_t)json_int(j, "Version.Index", 0);
	o->labels = read_pairs(a, json_at(j, "Spec.Labels"));
	o->data = STR("");
	(void)str_unbase64(a, str_of(json_text(j, "Spec.Data", "")), &o->data);
	o->created_us = read_time_us(j, "CreatedAt");
	o->spec = json_at(j, "Spec");
}

static void deliver_objects(struct docker_call *c, const struct status *st, const json_t *reply)
{
	size_t n;
	struct status result = call_count(c, st, reply, &n);
	struct docker_object *o = arena_array(c->arena, struct docker_object, n);
	for (size_t i = 0; i < n; i++)
		read_object(c->arena, call_item(reply, i), &o[i]);
	c->done.objects(c->data, &result, n ? o : NULL, n);
}

struct docker_call *engine_object_list(struct docker *d, enum docker_kind k,
	const struct docker_filter *f, uint64_t ms, docker_on_objects done, void *data)
{
	struct call_request r = {
		.ms = ms, .deliver = deliver_objects, .done.objects = done, .data = data};
	return call_list(d, roots[k], f, &r);
}

struct docker_call *engine_object_inspect(struct docker *d, enum docker_kind k, const char *id,
	uint64_t ms, docker_on_objects done, void *data)
{
	struct call_request r = {
		.ms = ms, .deliver = deliver_objects, .done.objects = done, .data = data};
	return call_inspect(d, roots[k], id, &r);
}

struct docker_call *engine_object_create(struct docker *d, enum docker_kind k, const json_t *spec,
	uint64_t ms, docker_on_id done, void *data)
{
	struct buf path = {0};
	struct call_request r = {.method = "POST",
		.body = spec,
		.ms = ms,
		.deliver = call_deliver_id,
		.done.id = done,
		.data = data};
	buf_fmt(&path, "%s/create", roots[k]);
	return call_start_buf(engine_of(d), &path, &r);
}

struct docker_call *engine_object_remove(struct docker *d, enum docker_kind k, const char *id,
	uint64_t ms, docker_on_done done, void *data)
{
	return call_remove(d, roots[k], id, ms, done, data);
}
