#include "docker/ops.h"
#include "base/json.h"
#include "docker/call.h"

static void read_network(struct arena *a, const json_t *j, struct docker_network *w)
{
	const json_t *pools = json_at(j, "IPAM.Config");
	const char **subnets = arena_array(a, const char *, json_array_size(pools));
	w->id = json_text(j, "Id", "");
	w->name = json_text(j, "Name", "");
	w->driver = json_text(j, "Driver", "");
	w->scope = json_text(j, "Scope", "");
	w->labels = read_pairs(a, json_at(j, "Labels"));
	w->options = read_pairs(a, json_at(j, "Options"));
	for (size_t i = 0; i < json_array_size(pools); i++) {
		const char *subnet = json_text(json_array_get(pools, i), "Subnet", "");
		if (subnet[0])
			subnets[w->subnet_count++] = subnet;
	}
	w->subnets = subnets;
	w->internal = json_flag(j, "Internal", false);
	w->attachable = json_flag(j, "Attachable", false);
	w->ingress = json_flag(j, "Ingress", false);
	w->ipv6 = json_flag(j, "EnableIPv6", false);
	w->containers = json_object_size(json_at(j, "Containers"));
	w->created_us = read_time_us(j, "Created");
	w->json = j;
}

static void deliver_networks(struct docker_call *c, const struct status *st, const json_t *reply)
{
	size_t n;
	struct status result = call_count(c, st, reply, &n);
	struct docker_network *w = arena_array(c->arena, struct docker_network, n);
	for (size_t i = 0; i < n; i++)
		read_network(c->arena, call_item(reply, i), &w[i]);
	c->done.networks(c->data, &result, n ? w : NULL, n);
}

struct docker_call *engine_network_list(struct docker *d, const struct docker_filter *f,
	uint64_t ms, docker_on_networks done, void *data)
{
	struct call_request r = {
		.ms = ms, .deliver = deliver_networks, .done.networks = done, .data = data};
	return call_list(d, "/networks", f, &r);
}

struct docker_call *engine_network_inspect(
	struct docker *d, const char *id, uint64_t ms, docker_on_networks done, void *data)
{
	struct call_request r = {
		.ms = ms, .deliver = deliver_networks, .done.networks = done, .data = data};
	return call_inspect(d, "/networks", id, &r);
}

struct docker_call *engine_network_create(
	struct docker *d, const json_t *spec, uint64_t ms, docker_on_id done, void *data)
{
	json_t *body = json_copy((json_t *)spec);
	struct call_request r = {.method = "POST",
		.path = "/networks/create",
		.body = body,
		.ms = ms,
		.deliver = call_deliver_id,
		.done.id = done,
		.data = data};
	/* Without it the Engine makes a second one by that name. */
	(void)json_object_set_new(body, "CheckDuplicate", json_true());
	struct docker_call *c = call_start(engine_of(d), &r);
	json_decref(body);
	return c;
}

struct docker_call *engine_network_remove(
	struct docker *d, const char *id, uint64_t ms, docker_on_done done, void *data)
{
	return call_remove(d, "/networks", id, ms, done, data);
}
