#include "stacks/placement.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/size.h"

struct refusal {
	struct arena *a;
	const struct placement_world *w;
	const struct docker_service *s;
	const struct docker_node *node;
	const json_t *task; /* the service's TaskTemplate */
	struct buf text;
};

static void refuse(struct refusal *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct refusal *r, const char *fmt, ...)
{
	va_list ap;
	if (r->text.len)
		buf_adds(&r->text, "; ");
	va_start(ap, fmt);
	buf_vfmt(&r->text, fmt, ap);
	va_end(ap);
}

/* ---- is it there ---- */

static void check_ready(struct refusal *r)
{
	const struct docker_node *n = r->node;
	if (n->state != DOCKER_NODE_READY)
		refuse(r, "it is %s", docker_node_state_name(n->state));
	if (n->availability == DOCKER_NODE_DRAIN)
		refuse(r, "it is drained");
	else if (n->availability == DOCKER_NODE_PAUSE)
		refuse(r, "it is paused");
}

/* ---- resources ---- */

/* It counts against its node from when it is placed until it has ended. */
static bool is_there(const struct docker_task *t, const struct docker_node *n)
{
	return strcmp(t->node_id, n->id) == 0 && !docker_task_state_ended(t->state) &&
	       t->desired_state <= DOCKER_TASK_COMPLETE;
}

static void check_generic(struct refusal *r, const json_t *reservations)
{
	json_t *entry;
	size_t i;
	json_array_foreach(json_at(reservations, "GenericResources"), i, entry)
	{
		const char *kind = json_text(entry, "DiscreteResourceSpec.Kind", "");
		int64_t wanted = json_int(entry, "DiscreteResourceSpec.Value", 0), has = 0;
		for (size_t k = 0; k < r->node->generic.len; k++) {
			const struct docker_pair *p = &r->node->generic.at[k];
			int64_t number;
			if (strcmp(p->key, kind) == 0)
				has += str_to_i64(str_of(p->value), &number) ? number : 1;
		}
		if (has < wanted)
			refuse(r, "it has %lld %s, %lld reserved", (long long)has, kind,
				(long long)wanted);
	}
}

static void check_resources(struct refusal *r)
{
	const json_t *reservations = json_at(r->task, "Resources.Reservations");
	int64_t cpus = json_int(reservations, "NanoCPUs", 0);
	int64_t bytes = json_int(reservations, "MemoryBytes", 0);
	int64_t free_cpus = r->node->nano_cpus, free_bytes = r->node->memory_bytes;
	for (size_t i = 0; i < r->w->n_tasks; i++) {
		const struct docker_task *t = &r->w->tasks[i];
		if (!is_there(t, r->node))
			continue;
		free_cpus -= t->reserved_nano_cpus;
		free_bytes -= t->reserved_bytes;
	}
	if (cpus > free_cpus)
		refuse(r, "%.4g CPUs free, %.4g reserved",
			free_cpus > 0 ? (double)free_cpus / 1e9 : 0.0, (double)cpus / 1e9);
	if (bytes > free_bytes)
		refuse(r, "%s of memory free, %s reserved",
			size_text(r->a, free_bytes > 0 ? free_bytes : 0), size_text(r->a, bytes));
	check_generic(r, reservations);
}

/* ---- drivers ---- */

static bool has_plugin(const struct docker_node *n, const char *type, const char *name)
{
	bool any = false;
	size_t len = strcspn(name, ":"); /* nodes name a managed plugin with its tag */
	for (size_t i = 0; i < n->plugins.len; i++) {
		const struct docker_pair *p = &n->plugins.at[i];
		if (strcmp(p->key, type) != 0)
			continue;
		any = true;
		if (strncmp(p->value, name, len) == 0 &&
			(p->value[len] == '\0' || p->value[len] == ':'))
			return true;
	}
	return !any; /* a node that tells of none is not filtered by them */
}

static void check_plugins(struct refusal *r)
{
	const char *log = json_text(r->task, "LogDriver.Name", "");
	json_t *mount;
	size_t i;
	if (log[0] && strcmp(log, "none") != 0 && !has_plugin(r->node, "Log", log))
		refuse(r, "it has no log driver \"%s\"", log);
	json_array_foreach(json_at(r->task, "ContainerSpec.Mounts"), i, mount)
	{
		const char *driver = json_text(mount, "VolumeOptions.DriverConfig.Name", "");
		if (driver[0] && strcmp(driver, "local") != 0 &&
			!has_plugin(r->node, "Volume", driver))
			refuse(r, "it has no volume driver \"%s\"", driver);
	}
}

/* ---- platform ---- */

static const char *arch_of(const char *word)
{
	return strcmp(word, "x86_64") == 0 ? "amd64" : strcmp(word, "aarch64") == 0 ? "arm64" : word;
}

static void check_platform(struct refusal *r)
{
	const json_t *platforms = json_at(r->task, "Placement.Platforms");
	json_t *p;
	size_t i;
	struct buf list = {0};
	bool fits = json_array_size(platforms) == 0;
	json_array_foreach((json_t *)(uintptr_t)platforms, i, p)
	{
		const char *os = json_text(p, "OS", ""), *arch = arch_of(json_text(p, "Architecture", ""));
		fits |= (!os[0] || strcasecmp(os, r->node->os) == 0) &&
			(!arch[0] || strcmp(arch, arch_of(r->node->arch)) == 0);
		buf_fmt(&list, "%s%s/%s", i ? ", " : "", os[0] ? os : "any", arch[0] ? arch : "any");
	}
	if (!fits)
		refuse(r, "it is %s/%s, the image is for %s", r->node->os, arch_of(r->node->arch),
			list.ptr);
	buf_finish(&list);
}

/* ---- constraints ---- */

static bool in_subnet(const char *addr, const char *text)
{
	struct in_addr have, want;
	char net[64];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	int64_t bits = 32;
	if (len >= sizeof(net) || (slash && !str_to_i64(str_of(slash + 1), &bits)) || bits < 0 ||
		bits > 32)
		return false;
	memcpy(net, text, len);
	net[len] = '\0';
	if (inet_pton(AF_INET, addr, &have) != 1 || inet_pton(AF_INET, net, &want) != 1)
		return strcmp(addr, text) == 0; /* IPv6: only as a whole */
	uint32_t mask = bits ? htonl(~UINT32_C(0) << (32 - bits)) : 0;
	return (have.s_addr & mask) == (want.s_addr & mask);
}

/* What the node has for a constraint's key; NULL: the key means nothing to the Engine. */
static const char *value_of(const struct docker_node *n, const char *key)
{
	const char *value;
	if (strcasecmp(key, "node.id") == 0)
		return n->id;
	if (strcasecmp(key, "node.hostname") == 0)
		return n->hostname;
	if (strcasecmp(key, "node.ip") == 0)
		return n->addr;
	if (strcasecmp(key, "node.role") == 0)
		return n->manager ? "manager" : "worker";
	if (strcasecmp(key, "node.platform.os") == 0)
		return n->os;
	if (strcasecmp(key, "node.platform.arch") == 0)
		return n->arch;
	if (strncasecmp(key, "node.labels.", 12) == 0) {
		value = docker_pair_get(&n->labels, key + 12);
		return value ? value : "";
	}
	if (strncasecmp(key, "engine.labels.", 14) == 0) {
		value = docker_pair_get(&n->engine_labels, key + 14);
		return value ? value : "";
	}
	return NULL;
}

static void check_constraint(struct refusal *r, const char *text)
{
	const char *equal = strstr(text, "=="), *differs = strstr(text, "!=");
	const char *op = equal && (!differs || equal < differs) ? equal : differs;
	if (!op)
		return;
	const char *key =
		str_dup(r->a, str_trim(str_make(text, (size_t)(op - text))));
	const char *want = str_dup(r->a, str_trim(str_of(op + 2)));
	const char *has = value_of(r->node, key);
	if (!has)
		return;
	bool same = strcasecmp(key, "node.ip") == 0 ? in_subnet(has, want)
						    : strcasecmp(has, want) == 0;
	if (same == (op == equal))
		return;
	if (has[0])
		refuse(r, "%s is not met (it is \"%s\")", text, has);
	else
		refuse(r, "%s is not met (it has none)", text);
}

static void check_constraints(struct refusal *r)
{
	json_t *entry;
	size_t i;
	json_array_foreach(json_at(r->task, "Placement.Constraints"), i, entry)
		check_constraint(r, json_string_value(entry) ? json_string_value(entry) : "");
}

/* ---- ports, replicas ---- */

static const json_t *host_port(const struct docker_service *s, int64_t number, const char *protocol)
{
	json_t *p;
	size_t i;
	json_array_foreach(json_at(s->spec, "EndpointSpec.Ports"), i, p)
		if (strcmp(json_text(p, "PublishMode", "ingress"), "host") == 0 &&
			json_int(p, "PublishedPort", 0) == number &&
			strcmp(json_text(p, "Protocol", "tcp"), protocol) == 0)
			return p;
	return NULL;
}

static size_t tasks_of(const struct refusal *r, const struct docker_service *s)
{
	size_t n = 0;
	for (size_t i = 0; i < r->w->n_tasks; i++)
		n += strcmp(r->w->tasks[i].service_id, s->id) == 0 &&
		     is_there(&r->w->tasks[i], r->node);
	return n;
}

static void check_port(struct refusal *r, int64_t number, const char *protocol)
{
	for (size_t i = 0; i < r->w->n_services; i++) {
		const struct docker_service *s = &r->w->services[i];
		if (host_port(s, number, protocol) && tasks_of(r, s) > 0)
			refuse(r, "port %lld/%s is held by service %s", (long long)number, protocol,
				s->name);
	}
}

static void check_ports(struct refusal *r)
{
	json_t *p;
	size_t i;
	json_array_foreach(json_at(r->s->spec, "EndpointSpec.Ports"), i, p)
	{
		int64_t number = json_int(p, "PublishedPort", 0);
		if (number && strcmp(json_text(p, "PublishMode", "ingress"), "host") == 0)
			check_port(r, number, json_text(p, "Protocol", "tcp"));
	}
}

static void check_replicas(struct refusal *r)
{
	int64_t most = json_int(r->task, "Placement.MaxReplicas", 0);
	size_t has = tasks_of(r, r->s);
	if (most > 0 && (int64_t)has >= most)
		refuse(r, "it runs %zu, max_replicas_per_node is %lld", has, (long long)most);
}

const char *placement_refusal(struct arena *a, const struct placement_world *w,
	const struct docker_service *s, const struct docker_node *node)
{
	struct refusal r = {.a = a, .w = w, .s = s, .node = node};
	r.task = json_at(s->spec, "TaskTemplate");
	check_ready(&r);
	check_resources(&r);
	check_plugins(&r);
	check_constraints(&r);
	check_platform(&r);
	check_ports(&r);
	check_replicas(&r);
	const char *text = r.text.len ? str_dup(a, buf_str(&r.text)) : NULL;
	buf_finish(&r.text);
	return text;
}
