/* render_service: one service → the body of POST /services/create, as docker's Go types marshal:
 * what is always sent (Privileges, Resources, Placement, EndpointSpec, ForceUpdate) and what only
 * when not empty, lists in docker's order. */
#include "compose/render.h"
#include <stdlib.h>
#include <string.h>
#include "compose/forms.h"

static void put_int(json_t *o, const char *key, int64_t v)
{
	if (v != 0)
		json_object_set_new(o, key, json_integer(v));
}

static void put_opt(json_t *o, const char *key, struct opt_i64 v)
{
	if (v.set)
		json_object_set_new(o, key, json_integer(v.value));
}

static void put_flag(json_t *o, const char *key, bool flag)
{
	if (flag)
		json_object_set_new(o, key, json_true());
}

static void put_map(json_t *o, const char *key, const struct compose_pairs *pairs)
{
	if (pairs->len)
		json_object_set_new(o, key, render_pairs(pairs));
}

static int by_word(const void *x, const void *y)
{
	const char *const *a = x, *const *b = y;
	return strcmp(*a, *b);
}

/* ---- parts of the container ---- */

static void put_env(struct render *r, json_t *container, const struct compose_pairs *env)
{
	struct compose_strings lines = {
		.items = arena_array(r->a, const char *, env->len + 1), .len = env->len};
	for (size_t i = 0; i < env->len; i++) {
		const struct compose_pair *p = &env->items[i];
		lines.items[i] = p->value ? arena_fmt(r->a, "%s=%s", p->key, p->value) : p->key;
	}
	qsort(lines.items, lines.len, sizeof(*lines.items), by_word);
	render_list(container, "Env", &lines);
}

static void put_hosts(struct render *r, json_t *container, const struct compose_strings *hosts)
{
	json_t *list = json_array();
	for (size_t i = 0; i < hosts->len; i++) {
		const char *colon = strchr(hosts->items[i], ':');
		if (colon)
			json_array_append_new(
				list, json_string(arena_fmt(r->a, "%s %.*s", colon + 1,
					      (int)(colon - hosts->items[i]), hosts->items[i])));
	}
	if (json_array_size(list))
		json_object_set(container, "Hosts", list);
	json_decref(list);
}

static void put_healthcheck(json_t *container, const struct compose_healthcheck *h)
{
	json_t *o = json_object();
	if (!h->set) {
		json_decref(o);
		return;
	}
	if (h->disable) {
		json_object_set_new(o, "Test", json_pack("[s]", "NONE"));
	} else {
		render_list(o, "Test", &h->test);
		put_int(o, "Interval", h->interval.value);
		put_int(o, "Timeout", h->timeout.value);
		put_int(o, "StartPeriod", h->start_period.value);
		put_int(o, "StartInterval", h->start_interval.value);
		put_int(o, "Retries", h->retries.value);
	}
	json_object_set_new(container, "Healthcheck", o);
}

static json_t *volume_options(
	struct render *r, const struct compose_mount *m, const struct compose_volume *v)
{
	json_t *o = json_object();
	put_flag(o, "NoCopy", m->nocopy);
	render_text(o, "Subpath", m->subpath);
	if (v->external)
		return o;
	json_object_set_new(o, "Labels", render_labels(r, &v->labels));
	if ((v->driver.name && *v->driver.name) || v->driver.options.items) {
		json_t *d = json_object();
		render_text(d, "Name", v->driver.name);
		put_map(d, "Options", &v->driver.options);
		json_object_set_new(o, "DriverConfig", d);
	}
	return o;
}

static json_t *mount(struct render *r, const struct compose_mount *m)
{
	json_t *o = json_object();
	bool volume = strcmp(m->type, "volume") == 0, cluster = strcmp(m->type, "cluster") == 0;
	const struct compose_volume *v =
		(volume || cluster) && m->source && *m->source ? map_gets(&r->volumes, m->source) : NULL;
	json_object_set_new(o, "Type", json_string(m->type));
	render_text(o, "Source", v ? v->name : m->source);
	render_text(o, "Target", m->target);
	put_flag(o, "ReadOnly", m->read_only);
	render_text(o, "Consistency", m->consistency);
	if (volume && v)
		json_object_set_new(o, "VolumeOptions", volume_options(r, m, v));
	if (cluster)
		json_object_set_new(o, "ClusterOptions", json_object());
	if (m->has_bind) {
		json_t *bind = json_object();
		render_text(bind, "Propagation", m->propagation);
		json_object_set_new(o, "BindOptions", bind);
	}
	if (m->has_tmpfs) {
		json_t *tmpfs = json_object();
		put_int(tmpfs, "SizeBytes", m->tmpfs_size);
		put_int(tmpfs, "Mode", m->tmpfs_mode);
		json_object_set_new(o, "TmpfsOptions", tmpfs);
	}
	if (m->has_image) {
		json_t *image = json_object();
		render_text(image, "Subpath", m->image_subpath);
		json_object_set_new(o, "ImageOptions", image);
	}
	return o;
}

static void put_mounts(struct render *r, json_t *container, const struct compose_service *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->volumes_len; i++)
		json_array_append_new(list, mount(r, &s->volumes[i]));
	if (s->volumes_len)
		json_object_set(container, "Mounts", list);
	json_decref(list);
}

/* ---- references to secrets and configs ---- */

struct reference {
	const char *name, *target;
	json_t *json;
};

static int by_name(const void *x, const void *y)
{
	const struct reference *a = x, *b = y;
	int order = strcmp(a->name, b->name);
	return order ? order : strcmp(a->target, b->target);
}

static json_t *file_target(const struct compose_file_use *u, const char *target)
{
	json_t *o = json_object();
	json_object_set_new(o, "Name", json_string(target));
	json_object_set_new(o, "UID", json_string(u->uid && *u->uid ? u->uid : "0"));
	json_object_set_new(o, "GID", json_string(u->gid && *u->gid ? u->gid : "0"));
	json_object_set_new(o, "Mode", json_integer(u->mode.set ? u->mode.value : 0444));
	return o;
}

static void put_references(struct render *r, json_t *container, const struct compose_service *s,
	enum compose_kind kind)
{
	bool secret = kind == COMPOSE_SECRET;
	const struct compose_file_use *uses = secret ? s->secrets : s->configs;
	size_t len = secret ? s->secrets_len : s->configs_len, n = 0;
	const char *runtime = !secret && s->credential_spec.config && *s->credential_spec.config
				      ? s->credential_spec.config
				      : NULL;
	struct reference *refs = arena_array(r->a, struct reference, len + 1);
	for (size_t i = 0; i < len + (runtime ? 1 : 0); i++) {
		const struct compose_file_use *u = i < len ? &uses[i] : NULL;
		const char *target = !u ? "" : u->target && *u->target ? u->target : u->source;
		struct reference *ref = &refs[n++];
		*ref = (struct reference){.name = render_name_of(r, kind, u ? u->source : runtime),
			.target = target,
			.json = json_object()};
		json_object_set_new(ref->json, secret ? "SecretID" : "ConfigID", json_string(""));
		json_object_set_new(
			ref->json, secret ? "SecretName" : "ConfigName", json_string(ref->name));
		json_object_set_new(ref->json, u ? "File" : "Runtime",
			u ? file_target(u, target) : json_object());
	}
	qsort(refs, n, sizeof(*refs), by_name);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, refs[i].json);
	if (n)
		json_object_set(container, secret ? "Secrets" : "Configs", list);
	json_decref(list);
}

static void put_privileges(json_t *container, const struct compose_credential *c)
{
	json_t *o = json_object(), *spec = json_null();
	if (c->set) {
		spec = json_object();
		json_object_set_new(spec, "Config", json_string(""));
		json_object_set_new(spec, "File", json_string(c->file ? c->file : ""));
		json_object_set_new(spec, "Registry", json_string(c->registry ? c->registry : ""));
	}
	json_object_set_new(o, "CredentialSpec", spec);
	json_object_set_new(o, "SELinuxContext", json_null());
	json_object_set_new(o, "NoNewPrivileges", json_false());
	json_object_set_new(container, "Privileges", o);
}

static void put_ulimits(json_t *container, const struct compose_service *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->ulimits_len; i++) {
		json_t *o = json_object();
		json_object_set_new(o, "Name", json_string(s->ulimits[i].name));
		json_object_set_new(o, "Soft", json_integer(s->ulimits[i].soft));
		json_object_set_new(o, "Hard", json_integer(s->ulimits[i].hard));
		json_array_append_new(list, o);
	}
	if (s->ulimits_len)
		json_object_set(container, "Ulimits", list);
	json_decref(list);
}

static void put_dns(json_t *container, const struct compose_service *s)
{
	if (!s->has_dns)
		return;
	json_t *o = json_object();
	render_list(o, "Nameservers", &s->dns);
	render_list(o, "Search", &s->dns_search);
	render_list(o, "Options", &s->dns_options);
	json_object_set_new(container, "DNSConfig", o);
}

static json_t *container_spec(struct render *r, const struct compose_service *s)
{
	json_t *o = json_object();
	render_text(o, "Image", s->image_full);
	json_object_set_new(o, "Labels", render_labels(r, &s->labels));
	render_list(o, "Command", &s->entrypoint);
	render_list(o, "Args", &s->command);
	render_text(o, "Hostname", s->hostname);
	put_env(r, o, &s->environment);
	render_text(o, "Dir", s->working_dir);
	render_text(o, "User", s->user);
	render_list(o, "Groups", &s->groups);
	put_privileges(o, &s->credential_spec);
	if (s->init.set)
		json_object_set_new(o, "Init", json_boolean(s->init.value));
	render_text(o, "StopSignal", s->stop_signal);
	put_flag(o, "TTY", s->tty);
	put_flag(o, "OpenStdin", s->stdin_open);
	put_flag(o, "ReadOnly", s->read_only);
	put_mounts(r, o, s);
	put_opt(o, "StopGracePeriod", s->stop_grace_period);
	put_int(o, "OomScoreAdj", s->oom_score_adj.value);
	put_healthcheck(o, &s->healthcheck);
	put_hosts(r, o, &s->extra_hosts);
	put_dns(o, s);
	put_references(r, o, s, COMPOSE_SECRET);
	put_references(r, o, s, COMPOSE_CONFIG);
	render_text(o, "Isolation", s->isolation);
	put_map(o, "Sysctls", &s->sysctls);
	render_list(o, "CapabilityAdd", &s->cap_add);
	render_list(o, "CapabilityDrop", &s->cap_drop);
	put_ulimits(o, s);
	return o;
}

/* ---- the task and the service ---- */

static void put_amount(json_t *resources, const char *key, const struct compose_amount *m)
{
	if (!m->set)
		return;
	json_t *o = json_object(), *generic = json_array();
	put_int(o, "NanoCPUs", m->nano_cpus);
	put_int(o, "MemoryBytes", m->memory);
	put_int(o, "Pids", m->pids);
	for (size_t i = 0; i < m->generic_len; i++) {
		json_t *spec = json_object(), *entry = json_object();
		render_text(spec, "Kind", m->generic[i].kind);
		put_int(spec, "Value", m->generic[i].value);
		if (m->generic[i].kind)
			json_object_set(entry, "DiscreteResourceSpec", spec);
		json_decref(spec);
		json_array_append_new(generic, entry);
	}
	if (m->generic_len)
		json_object_set(o, "GenericResources", generic);
	json_decref(generic);
	json_object_set_new(resources, key, o);
}

static json_t *placement(const struct compose_service *s)
{
	json_t *o = json_object(), *list = json_array();
	render_list(o, "Constraints", &s->constraints);
	for (size_t i = 0; i < s->spread.len; i++) {
		json_t *over = json_object(), *entry = json_object();
		json_object_set_new(over, "SpreadDescriptor", json_string(s->spread.items[i]));
		json_object_set_new(entry, "Spread", over);
		json_array_append_new(list, entry);
	}
	if (s->spread.len)
		json_object_set(o, "Preferences", list);
	json_decref(list);
	put_int(o, "MaxReplicas", s->max_replicas_per_node);
	return o;
}

struct attachment {
	const char *target;
	const struct compose_attachment *a;
};

static int by_target(const void *x, const void *y)
{
	const struct attachment *a = x, *b = y;
	return strcmp(a->target, b->target);
}

/* Aliases make sense in networks that somebody made. */
static bool user_defined(const char *name)
{
	return strcmp(name, "host") != 0 && strcmp(name, "bridge") != 0 &&
	       strcmp(name, "none") != 0 && strcmp(name, "default") != 0 &&
	       strncmp(name, "container:", 10) != 0;
}

static json_t *networks(struct render *r, const struct compose_service *s)
{
	struct attachment *list = arena_array(r->a, struct attachment, s->networks_len + 1);
	for (size_t i = 0; i < s->networks_len; i++)
		list[i] = (struct attachment){
			.target = render_name_of(r, COMPOSE_NETWORK, s->networks[i].network),
			.a = &s->networks[i]};
	qsort(list, s->networks_len, sizeof(*list), by_target);
	json_t *out = json_array();
	for (size_t i = 0; i < s->networks_len; i++) {
		json_t *o = json_object(), *aliases = render_strings(&list[i].a->aliases);
		if (user_defined(list[i].target))
			json_array_append_new(aliases, json_string(s->key));
		json_object_set_new(o, "Target", json_string(list[i].target));
		if (json_array_size(aliases))
			json_object_set(o, "Aliases", aliases);
		json_decref(aliases);
		put_map(o, "DriverOpts", &list[i].a->driver_opts);
		json_array_append_new(out, o);
	}
	return out;
}

static json_t *task_template(struct render *r, const struct compose_service *s)
{
	json_t *o = json_object(), *resources = json_object();
	put_amount(resources, "Limits", &s->limits);
	put_amount(resources, "Reservations", &s->reservations);
	json_object_set_new(o, "ContainerSpec", container_spec(r, s));
	json_object_set_new(o, "Resources", resources);
	if (s->restart_policy.set) {
		json_t *policy = json_object();
		render_text(policy, "Condition", s->restart_policy.condition);
		put_opt(policy, "Delay", s->restart_policy.delay);
		put_opt(policy, "MaxAttempts", s->restart_policy.max_attempts);
		put_opt(policy, "Window", s->restart_policy.window);
		json_object_set_new(o, "RestartPolicy", policy);
	}
	json_object_set_new(o, "Placement", placement(s));
	json_object_set_new(o, "Networks", networks(r, s));
	if (s->has_logging) {
		json_t *driver = json_object();
		render_text(driver, "Name", s->logging.name);
		put_map(driver, "Options", &s->logging.options);
		json_object_set_new(o, "LogDriver", driver);
	}
	json_object_set_new(o, "ForceUpdate", json_integer(0));
	return o;
}

static json_t *mode(const struct compose_service *s)
{
	json_t *o = json_object(), *inner = json_object();
	switch (s->mode) {
	case COMPOSE_REPLICATED:
		put_opt(inner, "Replicas", s->replicas);
		json_object_set_new(o, "Replicated", inner);
		break;
	case COMPOSE_GLOBAL:
		json_object_set_new(o, "Global", inner);
		break;
	case COMPOSE_REPLICATED_JOB:
		put_opt(inner, "MaxConcurrent", s->replicas);
		put_opt(inner, "TotalCompletions", s->replicas);
		json_object_set_new(o, "ReplicatedJob", inner);
		break;
	case COMPOSE_GLOBAL_JOB:
		json_object_set_new(o, "GlobalJob", inner);
		break;
	}
	return o;
}

/* Docker holds the ratio as a float32: 0.1 is the shortest text of the nearest one. */
static double as_float32(double v)
{
	char text[32];
	for (int digits = 1; digits < 10; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, (double)(float)v);
		if (strtof(text, NULL) == (float)v)
			break;
	}
	return strtod(text, NULL);
}

static void put_rollout(json_t *o, const char *key, const struct compose_rollout *r)
{
	if (!r->set)
		return;
	json_t *c = json_object();
	double ratio = r->max_failure_ratio.value;
	json_object_set_new(
		c, "Parallelism", json_integer(r->parallelism.set ? r->parallelism.value : 1));
	put_int(c, "Delay", r->delay.value);
	render_text(c, "FailureAction", r->failure_action);
	put_int(c, "Monitor", r->monitor.value);
	json_object_set_new(
		c, "MaxFailureRatio", ratio == 0 ? json_integer(0) : json_real(as_float32(ratio)));
	json_object_set_new(c, "Order", json_string(r->order ? r->order : ""));
	json_object_set_new(o, key, c);
}

static int by_published(const void *x, const void *y)
{
	const struct compose_port *const *a = x, *const *b = y;
	if ((*a)->published != (*b)->published)
		return (*a)->published < (*b)->published ? -1 : 1;
	return *a < *b ? -1 : *a > *b; /* stable: both point into one array */
}

/* With more than 12 ports Go's sort, which docker uses, is not stable; ties then go by target. */
static int by_published_and_target(const void *x, const void *y)
{
	const struct compose_port *const *a = x, *const *b = y;
	if ((*a)->published == (*b)->published && (*a)->target != (*b)->target)
		return (*a)->target < (*b)->target ? -1 : 1;
	return by_published(x, y);
}

static json_t *endpoint(struct render *r, const struct compose_service *s)
{
	enum { STABLE = 12 };
	json_t *o = json_object(), *list = json_array();
	if (s->endpoint_mode && *s->endpoint_mode) {
		char *lower = arena_strdup(r->a, s->endpoint_mode);
		for (char *p = lower; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
		json_object_set_new(o, "Mode", json_string(lower));
	}
	const struct compose_port **ports =
		arena_array(r->a, const struct compose_port *, s->ports_len + 1);
	for (size_t i = 0; i < s->ports_len; i++)
		ports[i] = &s->ports[i];
	bool sorted = true;
	for (size_t i = 1; i < s->ports_len; i++)
		sorted &= s->ports[i - 1].published <= s->ports[i].published;
	if (!sorted)
		qsort(ports, s->ports_len, sizeof(*ports),
			s->ports_len > STABLE ? by_published_and_target : by_published);
	for (size_t i = 0; i < s->ports_len; i++) {
		json_t *port = json_object();
		render_text(port, "Protocol", ports[i]->protocol);
		put_int(port, "TargetPort", ports[i]->target);
		put_int(port, "PublishedPort", ports[i]->published);
		render_text(port, "PublishMode", ports[i]->mode);
		json_array_append_new(list, port);
	}
	if (s->ports_len)
		json_object_set(o, "Ports", list);
	json_decref(list);
	return o;
}

json_t *render_service(struct render *r, const struct compose_service *s)
{
	json_t *o = json_object(), *labels = render_labels(r, &s->deploy_labels);
	json_object_set_new(labels, "com.docker.stack.image", json_string(s->image));
	json_object_set_new(o, "Name", json_string(arena_fmt(r->a, "%s_%s", r->p->name, s->key)));
	json_object_set_new(o, "Labels", labels);
	json_object_set_new(o, "TaskTemplate", task_template(r, s));
	json_object_set_new(o, "Mode", mode(s));
	put_rollout(o, "UpdateConfig", &s->update_config);
	put_rollout(o, "RollbackConfig", &s->rollback_config);
	json_object_set_new(o, "EndpointSpec", endpoint(r, s));
	return o;
}
