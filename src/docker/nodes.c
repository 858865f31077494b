#include "docker/ops.h"
#include "base/json.h"
#include "docker/call.h"

static const char *const node_states[] = {
	[DOCKER_NODE_UNKNOWN] = "unknown",
	[DOCKER_NODE_DOWN] = "down",
	[DOCKER_NODE_READY] = "ready",
	[DOCKER_NODE_DISCONNECTED] = "disconnected",
};
static const char *const availabilities[] = {
	[DOCKER_NODE_ACTIVE] = "active",
	[DOCKER_NODE_PAUSE] = "pause",
	[DOCKER_NODE_DRAIN] = "drain",
};

const char *docker_node_state_name(enum docker_node_state s)
{
	return node_states[s];
}

const char *docker_availability_name(enum docker_availability a)
{
	return availabilities[a];
}

static size_t find(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return 0;
}

static struct docker_pairs read_plugins(struct arena *a, const json_t *list)
{
	size_t n = json_array_size(list);
	struct docker_pair *at = arena_array(a, struct docker_pair, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *p = json_array_get(list, i);
		at[i] = (struct docker_pair){json_text(p, "Type", ""), json_text(p, "Name", "")};
	}
	return (struct docker_pairs){at, n};
}

/* One entry a number of a kind, or a name of one. */
static struct docker_pairs read_generic(struct arena *a, const json_t *list)
{
	size_t n = json_array_size(list);
	struct docker_pair *at = arena_array(a, struct docker_pair, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *p = json_array_get(list, i);
		const json_t *named = json_at(p, "NamedResourceSpec");
		const json_t *number = json_at(p, "DiscreteResourceSpec");
		at[i].key = json_text(named ? named : number, "Kind", "");
		at[i].value = named ? json_text(named, "Value", "")
				    : arena_fmt(a, "%lld", (long long)json_int(number, "Value", 0));
	}
	return (struct docker_pairs){at, n};
}

static void read_node(struct arena *a, const json_t *j, struct docker_node *m)
{
	m->id = json_text(j, "ID", "");
	m->hostname = json_text(j, "Description.Hostname", "");
	m->addr = json_text(j, "Status.Addr", "");
	m->engine_version = json_text(j, "Description.Engine.EngineVersion", "");
	m->os = json_text(j, "Description.Platform.OS", "");
	m->arch = json_text(j, "Description.Platform.Architecture", "");
	m->state = (enum docker_node_state)find(node_states,
		sizeof node_states / sizeof node_states[0], json_text(j, "Status.State", ""));
	m->state_message = json_text(j, "Status.Message", "");
	m->availability = (enum docker_availability)find(availabilities,
		sizeof availabilities / sizeof availabilities[0],
		json_text(j, "Spec.Availability", ""));
	m->manager = strcmp(json_text(j, "Spec.Role", ""), "manager") == 0;
	m->leader = json_flag(j, "ManagerStatus.Leader", false);
	m->labels = read_pairs(a, json_at(j, "Spec.Labels"));
	m->engine_labels = read_pairs(a, json_at(j, "Description.Engine.Labels"));
	m->plugins = read_plugins(a, json_at(j, "Description.Engine.Plugins"));
	m->generic = read_generic(a, json_at(j, "Description.Resources.GenericResources"));
	m->nano_cpus = json_int(j, "Description.Resources.NanoCPUs", 0);
	m->memory_bytes = json_int(j, "Description.Resources.MemoryBytes", 0);
}

static void deliver_nodes(struct docker_call *c, const struct status *st, const json_t *reply)
{
	size_t n;
	struct status result = call_count(c, st, reply, &n);
	struct docker_node *m = arena_array(c->arena, struct docker_node, n);
	for (size_t i = 0; i < n; i++)
		read_node(c->arena, call_item(reply, i), &m[i]);
	c->done.nodes(c->data, &result, n ? m : NULL, n);
}

struct docker_call *engine_node_list(
	struct docker *d, uint64_t ms, docker_on_nodes done, void *data)
{
	struct call_request r = {.method = "GET",
		.path = "/nodes",
		.ms = ms,
		.deliver = deliver_nodes,
		.done.nodes = done,
		.data = data};
	return call_start(engine_of(d), &r);
}
