#include "compose/render.h"
#include <string.h>

#define LABEL_NAMESPACE "com.docker.stack.namespace"

const char *compose_kind_name(enum compose_kind kind)
{
	switch (kind) {
	case COMPOSE_NETWORK:
		return "network";
	case COMPOSE_SECRET:
		return "secret";
	case COMPOSE_CONFIG:
		return "config";
	case COMPOSE_SERVICE:
		return "service";
	}
	return "object";
}

json_t *render_pairs(const struct compose_pairs *pairs)
{
	json_t *o = json_object();
	for (size_t i = 0; i < pairs->len; i++)
		json_object_set_new(o, pairs->items[i].key,
			json_string(pairs->items[i].value ? pairs->items[i].value : ""));
	return o;
}

json_t *render_strings(const struct compose_strings *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->len; i++)
		json_array_append_new(list, json_string(s->items[i]));
	return list;
}

void render_text(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(o, key, json_string(text));
}

void render_list(json_t *o, const char *key, const struct compose_strings *s)
{
	if (s->len)
		json_object_set_new(o, key, render_strings(s));
}

json_t *render_labels(struct render *r, const struct compose_pairs *labels)
{
	json_t *o = render_pairs(labels);
	json_object_set_new(o, LABEL_NAMESPACE, json_string(r->p->name));
	return o;
}

static void add_object(struct render *r, struct compose_objects *list, struct compose_object object)
{
	if (object.body) {
		json_t *labels = json_object_get(object.body, "Labels");
		if (r->o->add_labels)
			r->o->add_labels(r->o->data, object.kind, object.key, labels);
		json_keep(r->a, object.body);
	}
	list->items[list->len++] = object;
	if (object.kind != COMPOSE_SERVICE)
		map_puts(&r->names[object.kind], object.key, (void *)(uintptr_t)object.name);
}

/* ---- networks ---- */

static json_t *network_ipam(const struct compose_network *n)
{
	if (!n->has_ipam)
		return json_null();
	json_t *configs = json_array();
	for (size_t i = 0; i < n->subnets.len; i++) {
		json_t *config = json_object();
		render_text(config, "Subnet", n->subnets.items[i]);
		json_array_append_new(configs, config);
	}
	json_t *o = json_object();
	json_object_set_new(o, "Driver", json_string(n->ipam_driver ? n->ipam_driver : ""));
	json_object_set_new(o, "Options", json_null());
	if (json_array_size(configs))
		json_object_set(o, "Config", configs);
	json_decref(configs);
	return o;
}

static json_t *network_body(struct render *r, const struct compose_network *n)
{
	json_t *o = json_object();
	const char *driver = n->driver.name && *n->driver.name ? n->driver.name : "overlay";
	json_object_set_new(o, "Name", json_string(n->name));
	json_object_set_new(o, "Driver", json_string(driver));
	json_object_set_new(o, "Scope", json_string(""));
	json_object_set_new(o, "IPAM", network_ipam(n));
	json_object_set_new(o, "Internal", json_boolean(n->internal));
	json_object_set_new(o, "Attachable", json_boolean(n->attachable));
	json_object_set_new(o, "Ingress", json_false());
	json_object_set_new(o, "ConfigOnly", json_false());
	json_object_set_new(o, "ConfigFrom", json_null());
	json_object_set_new(o, "Options",
		n->driver.options.items ? render_pairs(&n->driver.options) : json_null());
	json_object_set_new(o, "Labels", render_labels(r, &n->labels));
	return o;
}

static void render_networks(struct render *r)
{
	struct compose_objects *list = &r->out->networks;
	list->items = arena_array(r->a, struct compose_object, r->p->networks_len + 1);
	for (size_t i = 0; i < r->p->networks_len; i++) {
		const struct compose_network *n = &r->p->networks[i];
		if (n->used)
			add_object(r, list,
				(struct compose_object){.kind = COMPOSE_NETWORK,
					.key = n->key,
					.name = n->name,
					.at = n->at,
					.external = n->external,
					.body = n->external ? NULL : network_body(r, n)});
	}
}

/* ---- secrets, configs ---- */

static json_t *driver(const struct compose_driver *d)
{
	json_t *o = json_object();
	render_text(o, "Name", d->name);
	if (d->options.len)
		json_object_set_new(o, "Options", render_pairs(&d->options));
	return o;
}

static json_t *secret_body(struct render *r, const struct compose_secret *s)
{
	json_t *o = json_object();
	if (s->has_data && s->data.len)
		json_object_set_new(
			o, "Data", json_string(str_base64(r->a, s->data.ptr, s->data.len)));
	if (s->driver.name && *s->driver.name)
		json_object_set_new(o, "Driver", driver(&s->driver));
	if (s->template_driver && *s->template_driver) {
		json_t *templating = json_object();
		json_object_set_new(templating, "Name", json_string(s->template_driver));
		json_object_set_new(o, "Templating", templating);
	}
	return o;
}

/* The name changes when what the Engine cannot change in place does: all but the labels. */
static const char *secret_name(
	struct render *r, const struct compose_secret *s, const json_t *content)
{
	if (s->name)
		return s->name;
	const char *plain = arena_fmt(r->a, "%s_%s", r->p->name, s->key);
	if (!r->o->sha256)
		return plain;
	unsigned char digest[32];
	struct buf b = {0};
	json_write_sorted(&b, content);
	r->o->sha256(buf_str(&b), digest);
	memset(b.ptr, 0, b.len);
	buf_finish(&b);
	/* A name has 64 characters at most in the Engine: the digest distinguishes, the key may be
	 * cut. */
	return arena_fmt(r->a, "%.51s_%.12s", plain, str_hex(r->a, digest, 6));
}

static void render_secrets(struct render *r, enum compose_kind kind,
	const struct compose_secret *secrets, size_t len, struct compose_objects *list)
{
	list->items = arena_array(r->a, struct compose_object, len + 1);
	for (size_t i = 0; i < len; i++) {
		const struct compose_secret *s = &secrets[i];
		struct compose_object o = {.kind = kind,
			.key = s->key,
			.at = s->at,
			.external = s->external,
			.name = s->name};
		if (!s->external) {
			o.body = secret_body(r, s);
			o.name = secret_name(r, s, o.body);
			json_object_set_new(o.body, "Name", json_string(o.name));
			json_object_set_new(o.body, "Labels", render_labels(r, &s->labels));
		}
		add_object(r, list, o);
	}
}

const char *render_name_of(const struct render *r, enum compose_kind kind, const char *key)
{
	const char *name = map_gets(&r->names[kind], key);
	return name ? name : key;
}

/* ---- all ---- */

struct compose_rendering *compose_render(
	struct arena *a, const struct compose_project *p, const struct compose_render_options *o)
{
	struct compose_rendering *out = arena_new(a, struct compose_rendering);
	struct render r = {.a = a, .p = p, .o = o, .out = out};
	for (size_t i = 0; i < 3; i++)
		map_init(&r.names[i]);
	map_init(&r.volumes);
	for (size_t i = 0; i < p->volumes_len; i++)
		map_puts(&r.volumes, p->volumes[i].key, &p->volumes[i]);
	render_networks(&r);
	render_secrets(&r, COMPOSE_SECRET, p->secrets, p->secrets_len, &out->secrets);
	render_secrets(&r, COMPOSE_CONFIG, p->configs, p->configs_len, &out->configs);
	out->services.items = arena_array(a, struct compose_object, p->services_len + 1);
	for (size_t i = 0; i < p->services_len; i++) {
		const struct compose_service *s = &p->services[i];
		add_object(&r, &out->services,
			(struct compose_object){.kind = COMPOSE_SERVICE,
				.key = s->key,
				.at = s->at,
				.service = s,
				.name = arena_fmt(a, "%s_%s", p->name, s->key),
				.body = render_service(&r, s)});
	}
	for (size_t k = 0; k < 3; k++)
		map_finish(&r.names[k]);
	map_finish(&r.volumes);
	return out;
}

static const char *resolve_list(json_t *list, enum compose_kind kind,
	const char *(*lookup)(void *data, enum compose_kind kind, const char *name), void *data)
{
	bool secret = kind == COMPOSE_SECRET;
	size_t i;
	json_t *ref;
	json_array_foreach(list, i, ref)
	{
		const char *name = json_text(ref, secret ? "SecretName" : "ConfigName", "");
		const char *id = lookup(data, kind, name);
		if (!id)
			return name;
		json_object_set_new(ref, secret ? "SecretID" : "ConfigID", json_string(id));
	}
	return NULL;
}

/* The one reference with a Runtime is the credential spec's. */
static void resolve_credential(json_t *container)
{
	json_t *spec = json_at(container, "Privileges.CredentialSpec"), *ref;
	size_t i;
	if (!json_is_object(spec) || *json_text(spec, "File", "") ||
		*json_text(spec, "Registry", ""))
		return;
	json_array_foreach(
		json_object_get(container, "Configs"), i, ref) if (json_object_get(ref, "Runtime"))
		json_object_set(spec, "Config", json_object_get(ref, "ConfigID"));
}

const char *compose_resolve(json_t *service_body,
	const char *(*lookup)(void *data, enum compose_kind kind, const char *name), void *data)
{
	json_t *container = json_at(service_body, "TaskTemplate.ContainerSpec");
	const char *missing =
		resolve_list(json_object_get(container, "Secrets"), COMPOSE_SECRET, lookup, data);
	if (!missing)
		missing = resolve_list(
			json_object_get(container, "Configs"), COMPOSE_CONFIG, lookup, data);
	if (!missing)
		resolve_credential(container);
	return missing;
}

/* The Engine's order is by name, then target. */
static bool comes_after(const json_t *a, const json_t *b, const char *field)
{
	int order = strcmp(json_text(a, field, ""), json_text(b, field, ""));
	return order > 0 || (order == 0 && strcmp(json_text(a, "File.Name", ""),
						   json_text(b, "File.Name", "")) > 0);
}

void compose_rename(json_t *service_body, enum compose_kind kind,
	const char *(*name)(void *data, const char *from), void *data)
{
	bool secret = kind == COMPOSE_SECRET;
	const char *field = secret ? "SecretName" : "ConfigName";
	json_t *list = json_at(service_body, secret ? "TaskTemplate.ContainerSpec.Secrets"
						    : "TaskTemplate.ContainerSpec.Configs"),
	       *ref;
	size_t i;
	json_array_foreach(list, i, ref)
	{
		const char *to = name(data, json_text(ref, field, ""));
		if (to)
			json_object_set_new(ref, field, json_string(to));
	}
	for (i = 1; i < json_array_size(list); i++)
		for (size_t k = i; k > 0; k--) {
			json_t *left = json_array_get(list, k - 1),
			       *right = json_array_get(list, k);
			if (!comes_after(left, right, field))
				break;
			json_incref(left);
			json_array_set(list, k - 1, right);
			json_array_set_new(list, k, left);
		}
}

const char *compose_body_image(const json_t *service_body)
{
	return json_text(service_body, "TaskTemplate.ContainerSpec.Image", "");
}

const char *compose_body_image_label(const json_t *service_body)
{
	const json_t *label =
		json_object_get(json_object_get(service_body, "Labels"), "com.docker.stack.image");
	return json_is_string(label) ? json_string_value(label) : "";
}

void compose_body_pin(json_t *service_body, const char *image, json_t *platforms)
{
	json_t *task = json_object_get(service_body, "TaskTemplate");
	json_object_set_new(json_object_get(task, "ContainerSpec"), "Image", json_string(image));
	if (platforms)
		json_object_set(json_object_get(task, "Placement"), "Platforms", platforms);
	else
		json_object_del(json_object_get(task, "Placement"), "Platforms");
}
