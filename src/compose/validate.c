/* validate: what only the whole model can tell. Docker finds some of it half-way through its
 * writes; we find all of it before the first one. The Engine's own rules are left to the Engine in
 * compat mode, where a rendered body must be what docker sends. */
#include "compose/levels.h"
#include "compose/loader.h"
#include <stdlib.h>
#include <string.h>

struct scope {
	struct loader *l;
	struct compose_project *p;
	struct compose_service *s;
	struct path path; /* services.<key>; its `up` is the caller's */
	struct map networks, volumes, secrets, configs, services, ports;
};

static void complain(struct scope *c, struct compose_mark at, const char *key, const char *hint,
	const char *what)
{
	struct path path = {.up = &c->path, .key = key};
	loader_error(c->l, at, key ? &path : &c->path, hint, "service %s: %s", c->s->key, what);
}

static void undefined(struct scope *c, struct compose_mark at, const char *key, const char *what,
	const char *name)
{
	complain(c, at, key, arena_fmt(c->l->a, "declare it under the top-level %ss:", what),
		arena_fmt(c->l->a, "undefined %s \"%s\"", what, name));
}

/* ---- references ---- */

static void check_networks(struct scope *c)
{
	for (size_t i = 0; i < c->s->networks_len; i++) {
		const struct compose_attachment *w = &c->s->networks[i];
		struct compose_network *n = map_gets(&c->networks, w->network);
		if (!n && strcmp(w->network, "default") == 0) {
			n = &c->p->networks[c->p->networks_len++]; /* decode left room for it */
			*n = (struct compose_network){
				.at = w->at, .key = "default", .implied = true};
			n->name = arena_fmt(c->l->a, "%s_default", c->l->name);
			map_puts(&c->networks, "default", n);
		}
		if (n)
			n->used = true;
		else
			undefined(c, w->at, "networks", "network", w->network);
	}
}

static const char *mount_problem(struct scope *c, const struct compose_mount *m)
{
	const struct {
		const char *name;
		bool given;
	} groups[] = {{"tmpfs", m->has_tmpfs}, {"bind", m->has_bind}, {"volume", m->has_volume},
		{"image", m->has_image}, {"cluster", m->has_cluster}};
	static const char *const types[] = {"volume", "bind", "tmpfs", "npipe", "image", "cluster"};
	bool empty = !m->source || !*m->source, known = false;
	for (size_t i = 0; i < 6; i++)
		known |= strcmp(types[i], m->type) == 0;
	if (!known)
		return "volume type must be volume, bind, tmpfs, npipe, or cluster";
	for (size_t i = 0; i < 5; i++) {
		bool npipe = strcmp(m->type, "npipe") == 0 && strcmp(groups[i].name, "bind") == 0;
		if (groups[i].given && strcmp(groups[i].name, m->type) != 0 && !npipe)
			return arena_fmt(c->l->a, "%s options are incompatible with type %s",
				groups[i].name, m->type);
	}
	if (strcmp(m->type, "tmpfs") == 0)
		return empty ? NULL : "invalid tmpfs source, source must be empty";
	if (empty && strcmp(m->type, "volume") != 0 && strcmp(m->type, "bind") != 0)
		return arena_fmt(c->l->a, "invalid %s source, source cannot be empty", m->type);
	return NULL;
}

static void check_mounts(struct scope *c)
{
	struct map targets;
	map_init(&targets);
	for (size_t i = 0; i < c->s->volumes_len; i++) {
		const struct compose_mount *m = &c->s->volumes[i];
		const char *problem = mount_problem(c, m);
		bool volume = strcmp(m->type, "volume") == 0 && m->source && *m->source;
		bool cluster = strcmp(m->type, "cluster") == 0 && m->source &&
			       strncmp(m->source, "group:", 6) != 0;
		if (problem)
			complain(c, m->at, "volumes", NULL, problem);
		else if ((volume || cluster) && !map_gets(&c->volumes, m->source))
			undefined(c, m->at, "volumes", "volume", m->source);
		if (c->l->in->compat)
			continue;
		const char *target = m->target ? m->target : "";
		if (target[0] != '/' && !strchr(target, '\\'))
			complain(c, m->at, "volumes", "a volume's name has at least two characters",
				arena_fmt(c->l->a, "the target \"%s\" must be an absolute path",
					target));
		else if (map_gets(&targets, target))
			complain(c, m->at, "volumes", NULL,
				arena_fmt(c->l->a, "two volumes have the target %s", target));
		map_puts(&targets, target, c->s);
	}
	map_finish(&targets);
}

static void check_uses(struct scope *c, const struct compose_file_use *uses, size_t len,
	struct map *declared, const char *what)
{
	const char *key = strcmp(what, "secret") == 0 ? "secrets" : "configs";
	struct map targets;
	map_init(&targets);
	for (size_t i = 0; i < len; i++) {
		const struct compose_secret *s = map_gets(declared, uses[i].source);
		const char *target =
			uses[i].target && *uses[i].target ? uses[i].target : uses[i].source;
		if (!s) {
			undefined(c, uses[i].at, key, what, uses[i].source);
			continue;
		}
		if (map_gets(&targets, target))
			complain(c, uses[i].at, key, "give each its own target",
				arena_fmt(c->l->a, "duplicate %s target for %s not allowed", what,
					s->name ? s->name
						: arena_fmt(c->l->a, "%s_%s", c->l->name, s->key)));
		map_puts(&targets, target, c->s);
	}
	map_finish(&targets);
}

static void check_depends(struct scope *c)
{
	size_t kept = 0;
	for (size_t i = 0; i < c->s->depends_on_len; i++) {
		struct compose_depends *d = &c->s->depends_on[i];
		struct path path = {.up = &c->path, .key = "depends_on"};
		if (map_gets(&c->services, d->service))
			c->s->depends_on[kept++] = *d;
		else if (d->optional && map_gets(&c->l->disabled, d->service))
			continue; /* said by required: false */
		else if (d->optional || c->l->in->compat)
			loader_warn(c->l, d->at, &path, NULL,
				"service %s depends on %s, which is not in the text", c->s->key,
				d->service);
		else if (map_gets(&c->l->disabled, d->service))
			loader_error(c->l, d->at, &path,
				"ask for the profile, or say required: false",
				"service %s depends on %s, which is only in the profile \"%s\"",
				c->s->key, d->service,
				(const char *)map_gets(&c->l->disabled, d->service));
		else
			loader_error(c->l, d->at, &path,
				"declare the service, or say required: false",
				"service %s depends on undefined service \"%s\"", c->s->key,
				d->service);
	}
	c->s->depends_on_len = kept;
}

/* ---- the Engine's rules ---- */

static void check_port(struct scope *c, const struct compose_port *p)
{
	const char *protocol = p->protocol && *p->protocol ? p->protocol : "tcp",
		   *mode = p->mode && *p->mode ? p->mode : "ingress";
	bool host = strcmp(mode, "host") == 0;
	struct arena *a = c->l->a;
	if (p->target < 1 || p->target > 65535 || p->published < 0 || p->published > 65535) {
		complain(c, p->at, "ports", "1 to 65535", "a port is out of range");
		return;
	}
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0 &&
		strcmp(protocol, "sctp") != 0)
		complain(c, p->at, "ports", "tcp, udp or sctp",
			arena_fmt(a, "unknown protocol: %s", protocol));
	if (!host && strcmp(mode, "ingress") != 0)
		complain(c, p->at, "ports", "ingress or host",
			arena_fmt(a, "unknown mode of a port: %s", mode));
	if (!host && c->s->endpoint_mode && strcasecmp(c->s->endpoint_mode, "dnsrr") == 0)
		complain(c, p->at, "ports", "say mode: host, or endpoint_mode: vip",
			"port published with ingress mode can't be used with dnsrr mode");
	if (p->published == 0)
		return;
	const char *key = arena_fmt(a, "%lld/%s", (long long)p->published, protocol);
	const struct compose_service *taken = map_gets(&c->ports, key);
	if (taken && !(host && taken != c->s)) /* host ports of two services may lie on two nodes */
		complain(c, p->at, "ports", "publish each port once",
			arena_fmt(
				a, "port %s is already published by service %s", key, taken->key));
	if (!taken)
		map_puts(&c->ports, key, c->s);
}

static void check_amount(struct scope *c, const struct compose_amount *r, const char *name)
{
	enum { LEAST_CPU = 1000000, LEAST_MEMORY = 4 * 1024 * 1024 };
	if (r->nano_cpus != 0 && r->nano_cpus < LEAST_CPU)
		complain(c, c->s->deploy_at, "deploy", NULL,
			arena_fmt(c->l->a, "%s.cpus: the Engine takes no less than 0.001", name));
	if (r->memory != 0 && r->memory < LEAST_MEMORY)
		complain(c, c->s->deploy_at, "deploy",
			"sizes are in bytes unless they have a unit: 64M",
			arena_fmt(c->l->a, "%s.memory: the Engine takes no less than 4MiB", name));
}

/* The Engine's name, <stack>_<key>, is a DNS component: letters and digits, '-' and '_' between
 * them. The stack's part is compose_check_name's business. */
static void check_name(struct scope *c)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const char *key = c->s->key;
	size_t len = strlen(key);
	bool ends = len && (key[len - 1] == '-' || key[len - 1] == '_');
	if (ends || strspn(key, letters) != len)
		complain(c, c->s->at, NULL, "letters, digits, and '-' and '_' between them",
			"the Engine takes no such name of a service");
}

static void check_health(struct scope *c)
{
	const struct {
		const char *name;
		struct opt_i64 time;
	} times[] = {{"interval", c->s->healthcheck.interval},
		{"timeout", c->s->healthcheck.timeout},
		{"start_period", c->s->healthcheck.start_period},
		{"start_interval", c->s->healthcheck.start_interval}};
	for (size_t i = 0; i < 4; i++)
		if (times[i].time.value != 0 && times[i].time.value < 1000000)
			complain(c, c->s->at, "healthcheck", "1ms or more, or 0 for the default",
				arena_fmt(c->l->a, "%s: the Engine takes no less than 1ms",
					times[i].name));
}

static void check_span(struct scope *c, struct opt_i64 span, const char *name)
{
	if (span.value < 0)
		complain(c, c->s->deploy_at, "deploy", "0s or more",
			arena_fmt(c->l->a, "%s: the Engine takes no less than 0", name));
}

static void check_propagation(struct scope *c)
{
	static const char *const words[] = {
		"", "private", "rprivate", "shared", "rshared", "slave", "rslave"};
	for (size_t i = 0; i < c->s->volumes_len; i++) {
		const struct compose_mount *m = &c->s->volumes[i];
		bool known = !m->propagation;
		for (size_t k = 0; k < 7 && !known; k++)
			known = strcmp(words[k], m->propagation) == 0;
		if (!known)
			complain(c, m->at, "volumes",
				"private, rprivate, shared, rshared, slave or rslave",
				arena_fmt(c->l->a, "the Engine takes no propagation \"%s\"",
					m->propagation));
	}
}

static void check_engine(struct scope *c)
{
	check_propagation(c);
	check_span(c, c->s->restart_policy.delay, "restart_policy.delay");
	check_span(c, c->s->restart_policy.window, "restart_policy.window");
	check_span(c, c->s->update_config.delay, "update_config.delay");
	check_span(c, c->s->update_config.monitor, "update_config.monitor");
	check_span(c, c->s->rollback_config.delay, "rollback_config.delay");
	check_span(c, c->s->rollback_config.monitor, "rollback_config.monitor");
	check_name(c);
	check_health(c);
	const char *endpoint = c->s->endpoint_mode;
	bool job = c->s->mode == COMPOSE_REPLICATED_JOB || c->s->mode == COMPOSE_GLOBAL_JOB;
	for (size_t i = 0; i < c->s->ports_len; i++)
		check_port(c, &c->s->ports[i]);
	check_amount(c, &c->s->limits, "limits");
	check_amount(c, &c->s->reservations, "reservations");
	if (job && (c->s->update_config.set || c->s->rollback_config.set))
		complain(c, c->s->deploy_at, "deploy",
			"leave update_config and rollback_config out",
			"Jobs may not have an update config");
	if (job && c->s->restart_policy.set &&
		strcmp(c->s->restart_policy.condition ? c->s->restart_policy.condition : "any",
			"any") == 0)
		complain(c, c->s->deploy_at, "deploy",
			"say restart_policy.condition: none or on-failure",
			"a job may not restart for ever");
	if (endpoint && *endpoint && strcasecmp(endpoint, "vip") != 0 &&
		strcasecmp(endpoint, "dnsrr") != 0)
		complain(c, c->s->deploy_at, "deploy", "vip or dnsrr",
			arena_fmt(c->l->a, "unknown endpoint_mode: %s", endpoint));
}

/* Of secrets and configs: letters, digits, '-', '_' and '.', the last three inside only. */
static bool is_object_name(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strlen(name);
	return len > 0 && len <= 64 && strspn(name, letters) == len && !strchr("-_.", name[0]) &&
	       !strchr("-_.", name[len - 1]);
}

static void check_names(struct loader *l, const struct compose_secret *list, size_t len,
	const char *section, const char *what)
{
	struct path top = {.key = section};
	for (size_t i = 0; i < len && !l->in->compat; i++) {
		struct path path = {.up = &top, .key = list[i].key};
		if (list[i].name && !list[i].external && !is_object_name(list[i].name))
			loader_error(l, list[i].at, &path,
				"letters, digits, '-', '_' and '.', 64 at most",
				"the Engine takes no %s named \"%s\"", what, list[i].name);
	}
}

static void check_subnets(struct loader *l, const struct compose_project *p)
{
	struct path top = {.key = "networks"};
	for (size_t i = 0; i < p->networks_len && !l->in->compat; i++) {
		const struct compose_network *n = &p->networks[i];
		struct path path = {.up = &top, .key = n->key};
		for (size_t k = 0; k < n->subnets.len && n->used; k++)
			if (!strchr(n->subnets.items[k], '/'))
				loader_error(l, n->at, &path, "write it like 10.5.0.0/16",
					"network %s: the Engine takes no subnet \"%s\"", n->key,
					n->subnets.items[k]);
	}
}

static void check_sizes(struct loader *l, const struct compose_secret *list, size_t len,
	const char *section, const char *what, size_t most)
{
	struct path top = {.key = section};
	for (size_t i = 0; i < len && !l->in->compat; i++) {
		struct path path = {.up = &top, .key = list[i].key};
		if (!list[i].has_data || (list[i].data.len != 0 && list[i].data.len <= most))
			continue;
		loader_error(l, list[i].at, &path, NULL,
			"%s %s has %zu bytes: the Engine takes 1 to %zu", what, list[i].key,
			list[i].data.len, most);
	}
}

/* ---- all ---- */

static void check_cycles(struct scope *c)
{
	struct graph *g = graph_create(c->l->a, c->p);
	size_t at = graph_levels(c->l->a, g);
	struct path top = {.key = "services"};
	if (at == GRAPH_NONE)
		return;
	const struct compose_service *s = &c->p->services[at];
	struct path service = {.up = &top, .key = s->key},
		    path = {.up = &service, .key = "depends_on"};
	if (c->l->in->compat)
		loader_warn(c->l, s->at, &path, NULL,
			"service %s depends on itself, by way of others or directly", s->key);
	else
		loader_error(c->l, s->at, &path, "take one of the dependencies out",
			"service %s depends on itself, by way of others or directly", s->key);
}

static void check_credential(struct scope *c)
{
	const char *key = c->s->credential_spec.config;
	if (!key || !*key)
		return;
	const struct compose_secret *config = map_gets(&c->configs, key);
	bool renamed = config && config->name && strcmp(config->name, key) != 0 &&
		       strcmp(config->name, arena_fmt(c->l->a, "%s_%s", c->l->in->name, key)) != 0;
	if (!config)
		undefined(c, c->s->at, "credential_spec", "config", key);
	else if (renamed && c->l->in->compat) /* docker looks for the key among the names */
		complain(c, c->s->at, "credential_spec", NULL,
			arena_fmt(c->l->a,
				"invalid credential spec: spec specifies config %s, but no such "
				"config can be found",
				key));
}

static void check_one(struct scope *c)
{
	size_t len = strlen(c->l->name) + 1 + strlen(c->s->key);
	if (len > 63)
		complain(c, c->s->at, NULL, "shorten the stack's or the service's name",
			arena_fmt(c->l->a, "the Engine's name %s_%s is longer than 63 characters",
				c->l->name, c->s->key));
	check_networks(c);
	check_mounts(c);
	check_uses(c, c->s->secrets, c->s->secrets_len, &c->secrets, "secret");
	check_uses(c, c->s->configs, c->s->configs_len, &c->configs, "config");
	check_credential(c);
	check_depends(c);
	if (!c->l->in->compat)
		check_engine(c);
}

void validate_project(struct loader *l, struct compose_project *p)
{
	struct scope c = {.l = l, .p = p};
	struct map *maps[] = {
		&c.networks, &c.volumes, &c.secrets, &c.configs, &c.services, &c.ports};
	struct path top = {.key = "services"};
	for (size_t i = 0; i < 6; i++)
		map_init(maps[i]);
	for (size_t i = 0; i < p->networks_len; i++)
		map_puts(&c.networks, p->networks[i].key, &p->networks[i]);
	for (size_t i = 0; i < p->volumes_len; i++)
		map_puts(&c.volumes, p->volumes[i].key, &p->volumes[i]);
	for (size_t i = 0; i < p->secrets_len; i++)
		map_puts(&c.secrets, p->secrets[i].key, &p->secrets[i]);
	for (size_t i = 0; i < p->configs_len; i++)
		map_puts(&c.configs, p->configs[i].key, &p->configs[i]);
	for (size_t i = 0; i < p->services_len; i++)
		map_puts(&c.services, p->services[i].key, &p->services[i]);
	for (size_t i = 0; i < p->services_len; i++) {
		c.s = &p->services[i];
		c.path = (struct path){.up = &top, .key = c.s->key};
		check_one(&c);
	}
	check_cycles(&c);
	check_names(l, p->secrets, p->secrets_len, "secrets", "secret");
	check_names(l, p->configs, p->configs_len, "configs", "config");
	check_subnets(l, p);
	check_sizes(l, p->secrets, p->secrets_len, "secrets", "secret", 500 * 1024);
	check_sizes(l, p->configs, p->configs_len, "configs", "config", 1000 * 1024);
	if (p->services_len == 0 && !l->in->compat && l->errors->len == 0)
		loader_error(l, (struct compose_mark){.line = 1, .column = 1}, &top,
			"services: {web: {image: nginx}}", "the text has no services");
	for (size_t i = 0; i < 6; i++)
		map_finish(maps[i]);
}
