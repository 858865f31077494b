/* plan: a body we would send against what the Engine stores. Absent, null, zero, "" and empty are
 * one, as Go's omitempty has it, but where the table below says otherwise; what the Engine puts in
 * by itself makes no difference. Values that only the Engine has are differences too: somebody set
 * them by hand. */
#include "compose/compose.h"
#include <string.h>
#include "base/arena.h"
#include "base/map.h"

struct plan {
	struct arena *a;
	const struct compose_plan_options *o;
	struct compose_diff *diff;
	size_t cap;
	bool keep_digest; /* the image as written is the same */
	bool replace;
};

/* Nodes of the walk, so that a rule can look at the last few names without lists' indexes. */
struct step {
	const struct step *up;
	const char *key; /* NULL: an element of a list */
	size_t index;
};

static bool is_identifier(const char *key)
{
	size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	return n > 0 && key[n] == '\0';
}

static void write_step(struct buf *b, const struct step *s)
{
	if (s->up)
		write_step(b, s->up);
	if (!s->key)
		buf_fmt(b, "[%zu]", s->index);
	else if (is_identifier(s->key))
		buf_fmt(b, "%s%s", b->len ? "." : "", s->key);
	else
		buf_fmt(b, "[\"%s\"]", s->key);
}

static const char *value_text(struct arena *a, const json_t *v)
{
	return v && !json_is_null(v) ? json_to_text(a, v) : NULL;
}

/* Texts: JSON or NULL. */
static void change_text(struct plan *p, const struct step *s, const char *before, const char *after)
{
	struct compose_diff *d = p->diff;
	struct buf b = {0};
	if (d->len == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 8;
		struct compose_change *items = arena_array(p->a, struct compose_change, p->cap);
		if (d->len)
			memcpy(items, d->changes, d->len * sizeof(*items));
		d->changes = items;
	}
	write_step(&b, s);
	d->changes[d->len++] = (struct compose_change){
		.path = str_dup(p->a, buf_str(&b)), .before = before, .after = after};
	buf_finish(&b);
}

static void change(struct plan *p, const struct step *s, const json_t *before, const json_t *after)
{
	change_text(p, s, value_text(p->a, before), value_text(p->a, after));
}

/* Maps with keys of the user's: there "" is another thing than absence, and no rule of ours holds.
 */
static bool is_users(const struct step *s)
{
	static const char *const maps[] = {"Labels", "Options", "DriverOpts", "Sysctls"};
	for (size_t i = 0; s->key && s->up && s->up->key && i < sizeof(maps) / sizeof(*maps); i++)
		if (strcmp(s->up->key, maps[i]) == 0)
			return true;
	return false;
}

/* Does the walk stand at `path`? "Ports.Protocol" is any port's protocol; the first name may be
 * anywhere. */
static bool at(const struct step *s, const char *path)
{
	size_t len = strlen(path);
	if (is_users(s))
		return false;
	for (; s; s = s->up) {
		if (!s->key)
			continue;
		size_t n = strlen(s->key);
		if (n > len || memcmp(path + len - n, s->key, n) != 0)
			return false;
		if (n == len)
			return true;
		len -= n;
		if (path[len - 1] != '.')
			return false;
		len--;
	}
	return false;
}

/* What the Engine takes when a field is absent, where that is no zero. */
static const char *default_text(const struct step *s)
{
	static const struct {
		const char *path, *value;
	} defaults[] = {
		{"ContainerSpec.Isolation", "default"},
		{"TaskTemplate.Runtime", "container"},
		{"Ports.Protocol", "tcp"},
		{"Ports.PublishMode", "ingress"},
		{"EndpointSpec.Mode", "vip"},
		{"RestartPolicy.Condition", "any"},
		{"UpdateConfig.FailureAction", "pause"},
		{"UpdateConfig.Order", "stop-first"},
		{"RollbackConfig.FailureAction", "pause"},
		{"RollbackConfig.Order", "stop-first"},
	};
	for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++)
		if (at(s, defaults[i].path))
			return defaults[i].value;
	return "";
}

/* Pointers in Go: false or 0 written down is another thing than silence. */
static bool zero_counts(const struct step *s)
{
	return at(s, "ContainerSpec.Init") || at(s, "ContainerSpec.StopGracePeriod") ||
	       at(s, "RestartPolicy.Delay") || at(s, "Replicated.Replicas");
}

/* Objects that mean something by being there, even empty. */
static bool is_pointer(const struct step *s)
{
	return at(s, "UpdateConfig") || at(s, "RollbackConfig") || at(s, "Mode.Replicated") ||
	       at(s, "Mode.Global") || at(s, "Mode.ReplicatedJob") || at(s, "Mode.GlobalJob");
}

static bool is_empty(const json_t *v, const struct step *s);

static bool is_empty_object(const json_t *v, const struct step *s)
{
	const char *key;
	json_t *child;
	json_object_foreach((json_t *)v, key,
		child) if (!is_empty(child, &(struct step){.up = s, .key = key})) return false;
	return true;
}

static bool is_empty(const json_t *v, const struct step *s)
{
	if (!v || json_is_null(v))
		return true;
	if (is_users(s))
		return false;
	if (json_is_string(v))
		return strcmp(json_string_value(v), "") == 0 ||
		       strcmp(json_string_value(v), default_text(s)) == 0;
	if (json_is_object(v))
		return is_empty_object(v, s);
	if (json_is_array(v))
		return json_array_size(v) == 0;
	if (zero_counts(s))
		return false;
	if ((at(s, "ReplicatedJob.MaxConcurrent") || at(s, "ReplicatedJob.TotalCompletions")) &&
		json_number_value(v) == 1)
		return true;
	return json_is_false(v) || (json_is_number(v) && json_number_value(v) == 0);
}

static bool ignored_label(const struct plan *p, const struct step *s)
{
	const char *const *k = p->o->ignore_labels;
	if (!s->key || !s->up || !s->up->key || strcmp(s->up->key, "Labels") != 0)
		return false;
	for (; k && *k; k++)
		if (strcmp(*k, s->key) == 0)
			return true;
	return false;
}

/* Fields that are the Engine's, or that `want` may leave to it. */
static bool left_to_engine(const struct plan *p, const struct step *s, const json_t *want)
{
	bool silent = !want || json_is_null(want);
	const char *in = s->up && s->up->key ? s->up->key : "";
	if (!silent && p->o->api && s->key && compose_field_api(in, s->key) > p->o->api)
		return true;
	if (at(s, "TaskTemplate.ForceUpdate") || ignored_label(p, s))
		return true;
	if (silent && (at(s, "Replicated.Replicas") || at(s, "Placement.Platforms")))
		return true;
	if (at(s, "SecretID") || at(s, "ConfigID") || at(s, "CredentialSpec.Config"))
		return silent ||
		       *json_string_value(want) == '\0'; /* not resolved: the names are compared */
	return false;
}

static bool same_text(
	const struct plan *p, const struct step *s, const char *want, const char *have)
{
	if (strcmp(want, have) == 0)
		return true;
	if (at(s, "Networks.Target") && p->o->network_id) {
		const char *id = p->o->network_id(p->o->data, want);
		return id && strcmp(id, have) == 0;
	}
	if (at(s, "ContainerSpec.Image") && p->keep_digest && !strchr(want, '@'))
		return strncmp(have, want, strlen(want)) == 0 && have[strlen(want)] == '@';
	return false;
}

static bool same_scalar(
	const struct plan *p, const struct step *s, const json_t *want, const json_t *have)
{
	if (is_empty(want, s) && is_empty(have, s))
		return true;
	if (json_is_string(want) && json_is_string(have))
		return same_text(p, s, json_string_value(want), json_string_value(have));
	if (json_is_real(want) || json_is_real(have)) /* the Engine's ratios are float32 */
		return json_is_number(want) && json_is_number(have) &&
		       (float)json_number_value(want) == (float)json_number_value(have);
	return json_equal(want, have);
}

static void compare(struct plan *p, const struct step *s, const json_t *want, const json_t *have);

/* Either may be absent, then all of the other's fields are. */
static void compare_objects(
	struct plan *p, const struct step *s, const json_t *want, const json_t *have)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)want, key, v)
		compare(p, &(struct step){.up = s, .key = key}, v, json_object_get(have, key));
	json_object_foreach((json_t *)have, key, v) if (!json_object_get(want, key))
		compare(p, &(struct step){.up = s, .key = key}, NULL, v);
}

/* ---- environment: by name, so that a new variable does not make all behind it differ ---- */

struct variables {
	struct map values; /* name → JSON text; "null" where a name stands alone */
	bool plain;        /* names do not repeat: their order means nothing */
};

static void read_variables(struct plan *p, const json_t *list, struct variables *ret)
{
	json_t *entry;
	size_t i;
	map_init(&ret->values);
	ret->plain = true;
	json_array_foreach(list, i, entry)
	{
		struct str rest = str_of(json_is_string(entry) ? json_string_value(entry) : "");
		const struct str name = str_cut(&rest, '=');
		json_t *value = rest.ptr ? json_stringn(rest.ptr, rest.len) : json_null();
		ret->plain &= !map_get(&ret->values, name);
		map_put(&ret->values, name, (void *)(uintptr_t)json_to_text(p->a, value));
		json_decref(value);
	}
}

static void compare_variables(
	struct plan *p, const struct step *s, struct variables *want, struct variables *have)
{
	struct str name;
	void *value;
	for (size_t it = 0; map_next(&want->values, &it, &name, &value);) {
		const char *before = map_get(&have->values, name);
		if (!before || strcmp(before, value) != 0)
			change_text(p, &(struct step){.up = s, .key = str_dup(p->a, name)}, before,
				value);
	}
	for (size_t it = 0; map_next(&have->values, &it, &name, &value);)
		if (!map_get(&want->values, name))
			change_text(p, &(struct step){.up = s, .key = str_dup(p->a, name)}, value,
				NULL);
}

/* False: some name stands there twice, so that places count. */
static bool compare_env(
	struct plan *p, const struct step *s, const json_t *want, const json_t *have)
{
	struct variables w, h;
	read_variables(p, want, &w);
	read_variables(p, have, &h);
	bool plain = w.plain && h.plain;
	if (plain)
		compare_variables(p, s, &w, &h);
	map_finish(&w.values);
	map_finish(&h.values);
	return plain;
}

static void compare_arrays(
	struct plan *p, const struct step *s, const json_t *want, const json_t *have)
{
	size_t n = json_array_size(want), m = json_array_size(have);
	if (at(s, "ContainerSpec.Env") && compare_env(p, s, want, have))
		return;
	for (size_t i = 0; i < n || i < m; i++)
		compare(p, &(struct step){.up = s, .index = i}, json_array_get(want, i),
			json_array_get(have, i));
}

static void compare(struct plan *p, const struct step *s, const json_t *want, const json_t *have)
{
	if (left_to_engine(p, s, want))
		return;
	bool no_want = !want || json_is_null(want), no_have = !have || json_is_null(have);
	if ((!s->key || is_pointer(s)) && no_want != no_have)
		change(p, s, have, want);
	else if ((json_is_object(want) && (no_have || json_is_object(have))) ||
		 (json_is_object(have) && no_want))
		compare_objects(p, s, want, have);
	else if ((json_is_array(want) || json_is_array(have)) && !json_is_string(want))
		compare_arrays(p, s, want, have);
	else if (!same_scalar(p, s, want, have))
		change(p, s, have, want);
}

/* ---- kinds ---- */

static const char *mode_of(const json_t *spec)
{
	static const char *const modes[] = {"Replicated", "Global", "ReplicatedJob", "GlobalJob"};
	for (size_t i = 0; i < 4; i++)
		if (json_is_object(json_object_get(json_object_get(spec, "Mode"), modes[i])))
			return modes[i];
	return "Replicated";
}

static void plan_service(struct plan *p, const json_t *desired, const json_t *stored)
{
	const char *key;
	json_t *v;
	p->keep_digest =
		strcmp(compose_body_image_label(desired), compose_body_image_label(stored)) == 0;
	p->replace = strcmp(mode_of(desired), mode_of(stored)) != 0;
	json_object_foreach((json_t *)desired, key, v)
		compare(p, &(struct step){.key = key}, v, json_object_get(stored, key));
	json_object_foreach((json_t *)stored, key, v) if (!json_object_get(desired, key))
		compare(p, &(struct step){.key = key}, NULL, v);
}

/* The Engine fills in addresses and the overlay's ids; only what we ask for is compared. */
static void plan_network(struct plan *p, const json_t *desired, const json_t *stored)
{
	static const char *const keys[] = {"Driver", "Internal", "Attachable", "Labels"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		compare(p, &(struct step){.key = keys[i]}, json_object_get(desired, keys[i]),
			json_object_get(stored, keys[i]));
	const char *key;
	json_t *v, *options = json_object_get(desired, "Options"),
		   *have = json_object_get(stored, "Options");
	struct step up = {.key = "Options"};
	json_object_foreach(options, key, v)
		compare(p, &(struct step){.up = &up, .key = key}, v, json_object_get(have, key));
	json_object_foreach(
		have, key, v) if (!json_object_get(options, key) &&
				  strncmp(key, "com.docker.network.driver.overlay.", 34) != 0)
		compare(p, &(struct step){.up = &up, .key = key}, NULL, v);
	const json_t *wants = json_at(desired, "IPAM.Config"),
		     *has = json_at(stored, "IPAM.Config");
	struct step ipam = {.key = "IPAM"}, config = {.up = &ipam, .key = "Config"};
	for (size_t i = 0; i < json_array_size(wants); i++) {
		struct step item = {.up = &config, .index = i};
		compare(p, &(struct step){.up = &item, .key = "Subnet"},
			json_object_get(json_array_get(wants, i), "Subnet"),
			json_object_get(json_array_get(has, i), "Subnet"));
	}
	p->replace = p->diff->len != 0;
}

/* Labels can be changed; content cannot. The Engine never gives a secret's data back. */
static void plan_secret(struct plan *p, const json_t *desired, const json_t *stored)
{
	static const char *const keys[] = {"Data", "Driver", "Templating"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const json_t *have = json_object_get(stored, keys[i]);
		if (have || i != 0)
			compare(p, &(struct step){.key = keys[i]},
				json_object_get(desired, keys[i]), have);
	}
	p->replace = p->diff->len != 0;
	compare(p, &(struct step){.key = "Labels"}, json_object_get(desired, "Labels"),
		json_object_get(stored, "Labels"));
}

void compose_plan(struct arena *a, enum compose_kind kind, const json_t *desired,
	const json_t *stored, const struct compose_plan_options *o, struct compose_diff *ret_diff)
{
	static const struct compose_plan_options none;
	struct plan p = {.a = a, .o = o ? o : &none, .diff = ret_diff};
	*ret_diff = (struct compose_diff){.verdict = COMPOSE_KEEP};
	switch (kind) {
	case COMPOSE_SERVICE:
		plan_service(&p, desired, stored);
		break;
	case COMPOSE_NETWORK:
		plan_network(&p, desired, stored);
		break;
	case COMPOSE_SECRET:
	case COMPOSE_CONFIG:
		plan_secret(&p, desired, stored);
		break;
	}
	if (ret_diff->len)
		ret_diff->verdict = p.replace ? COMPOSE_REPLACE : COMPOSE_UPDATE;
}

/* ---- the body of an update ---- */

static void keep_digest(json_t *body, const json_t *stored)
{
	const char *want = compose_body_image(body), *have = compose_body_image(stored);
	bool same = strcmp(compose_body_image_label(body), compose_body_image_label(stored)) == 0;
	if (!same || strchr(want, '@') || strncmp(have, want, strlen(want)) != 0 ||
		have[strlen(want)] != '@')
		return;
	compose_body_pin(body, have, json_at(stored, "TaskTemplate.Placement.Platforms"));
}

json_t *compose_update_body(
	struct arena *a, const json_t *desired, const json_t *stored, bool force)
{
	json_t *body = json_deep_copy(desired);
	json_keep(a, body);
	int64_t count = json_int(stored, "TaskTemplate.ForceUpdate", 0);
	json_object_set_new(json_object_get(body, "TaskTemplate"), "ForceUpdate",
		json_integer(count + (force ? 1 : 0)));
	json_t *replicated = json_at(body, "Mode.Replicated"),
	       *scale = json_at(stored, "Mode.Replicated.Replicas");
	if (replicated && scale && !json_object_get(replicated, "Replicas"))
		json_object_set(replicated, "Replicas", scale);
	keep_digest(body, stored);
	return body;
}
