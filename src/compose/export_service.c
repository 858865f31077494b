/* export_service: the body of one service → its mapping in a Compose text. What has no word here
 * is found by compose_export, which reads the text back. */
#include "compose/export.h"
#include <string.h>
#include "base/arena.h"
#include "compose/forms.h"

/* ---- the container ---- */

static json_t *environment(struct exporter *x, const json_t *env)
{
	json_t *map = json_object(), *v;
	size_t i;
	json_array_foreach(env, i, v)
	{
		const char *line = json_string_value(v), *equals = line ? strchr(line, '=') : NULL;
		if (!line || equals == line)
			continue;
		if (equals)
			json_object_set_new(map,
				str_dup(x->a, str_make(line, (size_t)(equals - line))),
				export_text(x, equals + 1));
		else
			json_object_set_new(map, line, json_null());
	}
	return map;
}

static json_t *hosts(struct exporter *x, const json_t *from)
{
	json_t *list = json_array(), *v;
	size_t i;
	json_array_foreach(from, i, v)
	{
		struct str rest = str_of(json_string_value(v));
		struct str ip = str_cut(&rest, ' ');
		while (rest.ptr && rest.len) {
			struct str name = str_cut(&rest, ' ');
			const char *entry =
				arena_fmt(x->a, STR_FMT ":" STR_FMT, STR_ARG(name), STR_ARG(ip));
			json_array_append_new(list, export_text(x, entry));
		}
	}
	return list;
}

static json_t *healthcheck(struct exporter *x, const json_t *from)
{
	static const struct export_field fields[] = {
		{"test", "Test", FORM_LIST},
		{"interval", "Interval", FORM_DURATION},
		{"timeout", "Timeout", FORM_DURATION},
		{"start_period", "StartPeriod", FORM_DURATION},
		{"start_interval", "StartInterval", FORM_DURATION},
		{"retries", "Retries", FORM_NUMBER},
		{0},
	};
	const json_t *first = json_array_get(json_at(from, "Test"), 0);
	json_t *out = json_object();
	if (json_is_string(first) && strcmp(json_string_value(first), "NONE") == 0)
		json_object_set_new(out, "disable", json_true());
	else
		export_fields(x, out, fields, from);
	return out;
}

static json_t *ulimits(const json_t *from)
{
	json_t *map = json_object(), *v;
	size_t i;
	json_array_foreach(from, i, v)
	{
		json_int_t soft = json_int(v, "Soft", 0), hard = json_int(v, "Hard", 0);
		json_object_set_new(map, json_text(v, "Name", ""),
			soft == hard ? json_integer(soft)
				     : json_pack("{s:I, s:I}", "soft", soft, "hard", hard));
	}
	return map;
}

/* ---- volumes ---- */

/* Without labels nobody's text declared it: it is named as one that exists. */
static json_t *volume(
	struct exporter *x, const char *source, const char *key, const json_t *options)
{
	static const struct export_field fields[] = {
		{"driver", "DriverConfig.Name", FORM_TEXT},
		{"driver_opts", "DriverConfig.Options", FORM_MAP},
		{0},
	};
	if (!json_at(options, "Labels") && !json_at(options, "DriverConfig"))
		return export_external(x, key, source);
	json_t *out = json_object();
	if (strcmp(source, arena_fmt(x->a, "%s_%s", x->e->namespace_, key)) != 0)
		json_object_set_new(out, "name", export_text(x, source));
	export_fields(x, out, fields, options);
	export_put(out, "labels", export_labels(x, json_at(options, "Labels")));
	return out;
}

static json_t *mount(struct exporter *x, const json_t *m)
{
	static const struct export_field fields[] = {
		{"type", "Type", FORM_TEXT},
		{"source", "Source", FORM_TEXT},
		{"target", "Target", FORM_TEXT},
		{"read_only", "ReadOnly", FORM_FLAG},
		{"consistency", "Consistency", FORM_TEXT},
		{0},
	};
	static const struct {
		const char *key, *options;
		struct export_field fields[3];
	} groups[] = {
		{"bind", "BindOptions", {{"propagation", "Propagation", FORM_TEXT}, {0}}},
		{"volume", "VolumeOptions",
			{{"nocopy", "NoCopy", FORM_FLAG}, {"subpath", "Subpath", FORM_TEXT}, {0}}},
		{"tmpfs", "TmpfsOptions", {{"size", "SizeBytes", FORM_NUMBER}, {0}}},
		{"image", "ImageOptions", {{"subpath", "Subpath", FORM_TEXT}, {0}}},
	};
	json_t *out = json_object();
	const char *type = json_text(m, "Type", ""), *source = json_text(m, "Source", "");
	export_fields(x, out, fields, m);
	bool named = strcmp(type, "volume") == 0 ||
		     (strcmp(type, "cluster") == 0 && strncmp(source, "group:", 6) != 0);
	if (named && *source) {
		const char *wish = export_key(x, source);
		const char *key = export_declare(x, x->volumes, wish, source,
			volume(x, source, wish, json_at(m, "VolumeOptions")));
		json_object_set_new(out, "source", json_string(key));
	}
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		json_t *group = json_object();
		export_fields(x, group, groups[i].fields, json_at(m, groups[i].options));
		export_put(out, groups[i].key, group);
	}
	return out;
}

static json_t *mounts(struct exporter *x, const json_t *from)
{
	json_t *list = json_array(), *v;
	size_t i;
	json_array_foreach(from, i, v) json_array_append_new(list, mount(x, v));
	return list;
}

/* ---- secrets, configs, networks ---- */

static const char *known_key(
	struct exporter *x, const struct compose_objects *objects, const char *name)
{
	for (size_t i = 0; i < objects->len; i++)
		if (strcmp(objects->items[i].name, name) == 0)
			return objects->items[i].key;
	return export_key(x, name);
}

static const char *external(struct exporter *x, enum compose_kind kind, const char *name)
{
	const struct compose_rendering *r = x->e->objects;
	bool secret = kind == COMPOSE_SECRET;
	const char *key = known_key(x, secret ? &r->secrets : &r->configs, name);
	return export_declare(
		x, secret ? x->secrets : x->configs, key, name, export_external(x, key, name));
}

static json_t *references(struct exporter *x, const json_t *from, enum compose_kind kind)
{
	json_t *list = json_array(), *v;
	const char *field = kind == COMPOSE_SECRET ? "SecretName" : "ConfigName";
	size_t i;
	json_array_foreach(from, i, v)
	{
		const json_t *file = json_at(v, "File");
		if (!json_is_object(file))
			continue;
		json_t *out = json_object();
		const char *key = external(x, kind, json_text(v, field, ""));
		json_object_set_new(out, "source", json_string(key));
		json_object_set_new(out, "target", export_text(x, json_text(file, "Name", "")));
		if (strcmp(json_text(file, "UID", "0"), "0") != 0)
			json_object_set_new(out, "uid", export_text(x, json_text(file, "UID", "")));
		if (strcmp(json_text(file, "GID", "0"), "0") != 0)
			json_object_set_new(out, "gid", export_text(x, json_text(file, "GID", "")));
		if (json_int(file, "Mode", 0444) != 0444)
			json_object_set(out, "mode", json_at(file, "Mode"));
		json_array_append_new(list, out);
	}
	return list;
}

static json_t *credential_spec(struct exporter *x, const json_t *container)
{
	static const struct export_field fields[] = {
		{"file", "File", FORM_TEXT}, {"registry", "Registry", FORM_TEXT}, {0}};
	json_t *out = json_object(), *v;
	const json_t *spec = json_at(container, "Privileges.CredentialSpec");
	size_t i;
	export_fields(x, out, fields, spec);
	json_array_foreach(json_at(container, "Configs"), i, v) if (json_at(v, "Runtime"))
		json_object_set_new(out, "config",
			json_string(external(x, COMPOSE_CONFIG, json_text(v, "ConfigName", ""))));
	return out;
}

static const char *network_key(struct exporter *x, const char *name)
{
	const struct compose_objects *list = &x->e->objects->networks;
	for (size_t i = 0; i < list->len; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return list->items[i].key;
	const char *key = export_key(x, name);
	return export_declare(x, x->networks, key, name, export_external(x, key, name));
}

/* Docker puts the service's own name behind the aliases. */
static json_t *attachment(struct exporter *x, const json_t *from, const char *service)
{
	static const struct export_field fields[] = {
		{"aliases", "Aliases", FORM_LIST}, {"driver_opts", "DriverOpts", FORM_MAP}, {0}};
	json_t *out = json_object();
	export_fields(x, out, fields, from);
	json_t *aliases = json_at(out, "aliases");
	size_t n = json_array_size(aliases);
	if (n && strcmp(json_string_value(json_array_get(aliases, n - 1)), service) == 0)
		json_array_remove(aliases, n - 1);
	if (json_array_size(aliases) == 0)
		json_object_del(out, "aliases");
	return out;
}

static json_t *networks(struct exporter *x, const json_t *from, const char *service)
{
	json_t *map = json_object(), *names = json_array(), *v;
	bool plain = true;
	size_t i;
	json_array_foreach(from, i, v)
	{
		const char *key = network_key(x, json_text(v, "Target", ""));
		json_t *entry = attachment(x, v, service);
		plain &= json_object_size(entry) == 0;
		json_array_append_new(names, json_string(key));
		json_object_set_new(
			map, key, json_object_size(entry) ? json_incref(entry) : json_null());
		json_decref(entry);
	}
	bool implied = plain && json_array_size(names) == 1 &&
		       strcmp(json_string_value(json_array_get(names, 0)), "default") == 0;
	if (implied)
		json_array_clear(names);
	json_decref(plain ? map : names);
	return plain ? names : map;
}

/* ---- deploy ---- */

static json_t *cpus(struct exporter *x, int64_t nano)
{
	char *text = arena_fmt(x->a, "%lld.%09lld", (long long)(nano / 1000000000),
		(long long)(nano % 1000000000));
	size_t n = strlen(text);
	while (text[n - 1] == '0' && text[n - 2] != '.')
		text[--n] = '\0';
	return json_string(text);
}

static json_t *memory(struct exporter *x, int64_t bytes)
{
	static const char units[] = "bkmgt";
	unsigned u = 0;
	while (u + 1 < sizeof(units) - 1 && bytes % 1024 == 0) {
		bytes /= 1024;
		u++;
	}
	return json_string(arena_fmt(x->a, "%lld%c", (long long)bytes, units[u]));
}

static json_t *amount(struct exporter *x, const json_t *from)
{
	static const struct export_field fields[] = {{"pids", "Pids", FORM_NUMBER}, {0}};
	json_t *out = json_object(), *generic = json_array(), *v;
	size_t i;
	if (json_int(from, "NanoCPUs", 0) > 0)
		json_object_set_new(out, "cpus", cpus(x, json_int(from, "NanoCPUs", 0)));
	if (json_int(from, "MemoryBytes", 0) > 0)
		json_object_set_new(out, "memory", memory(x, json_int(from, "MemoryBytes", 0)));
	export_fields(x, out, fields, from);
	json_array_foreach(json_at(from, "GenericResources"), i, v)
	{
		const json_t *discrete = json_at(v, "DiscreteResourceSpec");
		if (discrete)
			json_array_append_new(generic,
				json_pack("{s:{s:o, s:I}}", "discrete_resource_spec", "kind",
					export_text(x, json_text(discrete, "Kind", "")), "value",
					(json_int_t)json_int(discrete, "Value", 0)));
	}
	export_put(out, "generic_resources", generic);
	return out;
}

static json_t *rollout(struct exporter *x, const json_t *from)
{
	static const struct export_field fields[] = {
		{"delay", "Delay", FORM_DURATION},
		{"failure_action", "FailureAction", FORM_TEXT},
		{"monitor", "Monitor", FORM_DURATION},
		{"max_failure_ratio", "MaxFailureRatio", FORM_NUMBER},
		{"order", "Order", FORM_TEXT},
		{0},
	};
	json_t *out = json_object();
	if (!json_is_object(from))
		return out;
	/* 0 is "all at once", silence is 1 */
	json_object_set_new(out, "parallelism", json_integer(json_int(from, "Parallelism", 0)));
	export_fields(x, out, fields, from);
	return out;
}

static json_t *placement(struct exporter *x, const json_t *from)
{
	static const struct export_field fields[] = {{"constraints", "Constraints", FORM_LIST},
		{"max_replicas_per_node", "MaxReplicas", FORM_NUMBER}, {0}};
	static const struct export_field spread[] = {
		{"spread", "Spread.SpreadDescriptor", FORM_TEXT}, {0}};
	json_t *out = json_object(), *preferences = json_array(), *v;
	size_t i;
	export_fields(x, out, fields, from);
	json_array_foreach(json_at(from, "Preferences"), i, v)
	{
		json_t *entry = json_object();
		export_fields(x, entry, spread, v);
		json_array_append_new(preferences, entry);
	}
	export_put(out, "preferences", preferences);
	return out;
}

static void put_mode(json_t *out, const json_t *mode)
{
	const json_t *job = json_at(mode, "ReplicatedJob");
	json_t *replicas = json_at(mode, "Replicated.Replicas");
	if (json_at(mode, "Global"))
		json_object_set_new(out, "mode", json_string("global"));
	else if (json_at(mode, "GlobalJob"))
		json_object_set_new(out, "mode", json_string("global-job"));
	else if (job)
		json_object_set_new(out, "mode", json_string("replicated-job"));
	if (job)
		replicas = json_at(job, "TotalCompletions");
	if (json_is_integer(replicas))
		json_object_set(out, "replicas", replicas);
}

static json_t *deploy(struct exporter *x, const json_t *spec)
{
	static const struct export_field restart[] = {
		{"condition", "Condition", FORM_TEXT},
		{"delay", "Delay", FORM_DURATION_ZERO},
		{"max_attempts", "MaxAttempts", FORM_NUMBER},
		{"window", "Window", FORM_DURATION},
		{0},
	};
	json_t *out = json_object(), *policy = json_object(), *resources = json_object();
	put_mode(out, json_at(spec, "Mode"));
	export_put(out, "labels", export_labels(x, json_at(spec, "Labels")));
	if (strcmp(json_text(spec, "EndpointSpec.Mode", "vip"), "vip") != 0)
		export_put(out, "endpoint_mode",
			export_text(x, json_text(spec, "EndpointSpec.Mode", "")));
	export_put(out, "update_config", rollout(x, json_at(spec, "UpdateConfig")));
	export_put(out, "rollback_config", rollout(x, json_at(spec, "RollbackConfig")));
	export_put(resources, "limits", amount(x, json_at(spec, "TaskTemplate.Resources.Limits")));
	export_put(resources, "reservations",
		amount(x, json_at(spec, "TaskTemplate.Resources.Reservations")));
	export_put(out, "resources", resources);
	export_fields(x, policy, restart, json_at(spec, "TaskTemplate.RestartPolicy"));
	export_put(out, "restart_policy", policy);
	export_put(out, "placement", placement(x, json_at(spec, "TaskTemplate.Placement")));
	return out;
}

/* ---- the service ---- */

static json_t *ports(struct exporter *x, const json_t *from)
{
	static const struct export_field fields[] = {
		{"target", "TargetPort", FORM_NUMBER},
		{"published", "PublishedPort", FORM_NUMBER},
		{"protocol", "Protocol", FORM_TEXT},
		{"mode", "PublishMode", FORM_TEXT},
		{0},
	};
	json_t *list = json_array(), *v;
	size_t i;
	json_array_foreach(from, i, v)
	{
		json_t *port = json_object();
		export_fields(x, port, fields, v);
		json_array_append_new(list, port);
	}
	return list;
}

/* As written, where that is still what runs; else what runs. */
static const char *image(struct exporter *x, const json_t *spec)
{
	const char *runs = compose_body_image(spec), *written = compose_body_image_label(spec);
	const char *full = NULL;
	if (!*written || form_image(x->a, written, &full))
		return runs;
	size_t n = strlen(full);
	return strncmp(runs, full, n) == 0 && (runs[n] == '\0' || runs[n] == '@') ? written : runs;
}

/* Docker knows names only: a condition is not said. */
static json_t *depends_on(struct exporter *x, const struct compose_service *s)
{
	static const char *const conditions[] = {
		"", "service_healthy", "service_completed_successfully"};
	json_t *list = json_array();
	for (size_t i = 0; s && i < s->depends_on_len; i++) {
		const struct compose_depends *d = &s->depends_on[i];
		json_array_append_new(list, json_string(d->service));
		if (d->condition != COMPOSE_STARTED)
			export_lose(x, arena_fmt(x->a,
					       "service %s: depends_on.%s: condition %s cannot be "
					       "said in a Compose text for docker",
					       s->key, d->service, conditions[d->condition]));
	}
	return list;
}

static void container(struct exporter *x, json_t *out, const json_t *c)
{
	static const struct export_field fields[] = {
		{"entrypoint", "Command", FORM_LIST},
		{"command", "Args", FORM_LIST},
		{"hostname", "Hostname", FORM_TEXT},
		{"working_dir", "Dir", FORM_TEXT},
		{"user", "User", FORM_TEXT},
		{"init", "Init", FORM_TRISTATE},
		{"stop_signal", "StopSignal", FORM_TEXT},
		{"stop_grace_period", "StopGracePeriod", FORM_DURATION_ZERO},
		{"tty", "TTY", FORM_FLAG},
		{"stdin_open", "OpenStdin", FORM_FLAG},
		{"read_only", "ReadOnly", FORM_FLAG},
		{"dns", "DNSConfig.Nameservers", FORM_LIST},
		{"dns_search", "DNSConfig.Search", FORM_LIST},
		{"sysctls", "Sysctls", FORM_MAP},
		{"cap_add", "CapabilityAdd", FORM_LIST},
		{"cap_drop", "CapabilityDrop", FORM_LIST},
		{0},
	};
	export_fields(x, out, fields, c);
	export_put(out, "environment", environment(x, json_at(c, "Env")));
	export_put(out, "labels", export_labels(x, json_at(c, "Labels")));
	export_put(out, "extra_hosts", hosts(x, json_at(c, "Hosts")));
	export_put(out, "healthcheck", healthcheck(x, json_at(c, "Healthcheck")));
	export_put(out, "ulimits", ulimits(json_at(c, "Ulimits")));
	export_put(out, "volumes", mounts(x, json_at(c, "Mounts")));
	export_put(out, "credential_spec", credential_spec(x, c));
	export_put(out, "secrets", references(x, json_at(c, "Secrets"), COMPOSE_SECRET));
	export_put(out, "configs", references(x, json_at(c, "Configs"), COMPOSE_CONFIG));
	if (strcmp(json_text(c, "Isolation", "default"), "default") != 0)
		export_put(out, "isolation", export_text(x, json_text(c, "Isolation", "")));
}

json_t *export_service(struct exporter *x, const struct compose_object *o)
{
	static const struct export_field logging[] = {
		{"driver", "Name", FORM_TEXT}, {"options", "Options", FORM_MAP}, {0}};
	json_t *out = json_object(), *log = json_object();
	json_object_set_new(out, "image", export_text(x, image(x, o->body)));
	container(x, out, json_at(o->body, "TaskTemplate.ContainerSpec"));
	export_fields(x, log, logging, json_at(o->body, "TaskTemplate.LogDriver"));
	export_put(out, "logging", log);
	export_put(out, "networks", networks(x, json_at(o->body, "TaskTemplate.Networks"), o->key));
	export_put(out, "ports", ports(x, json_at(o->body, "EndpointSpec.Ports")));
	export_put(out, "depends_on", depends_on(x, o->service));
	export_put(out, "deploy", deploy(x, o->body));
	return out;
}
