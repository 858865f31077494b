#include "stacks/adopted.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "compose/export.h"
#include "crypto/crypto.h"
#include "stacks/world.h"

struct adoption {
	struct arena *a;
	const char *namespace_;
	const struct world *w;
	const struct release_labels *labels;
	struct release *r;
};

static void put_labels(const struct adoption *ad, json_t *body)
{
	json_t *labels = json_object_get(body, "Labels");
	if (!json_is_object(labels)) {
		json_object_set_new(body, "Labels", json_object());
		labels = json_object_get(body, "Labels");
	}
	json_object_set_new(labels, LABEL_PROJECT, json_string(ad->labels->project_id));
	json_object_set_new(labels, LABEL_STACK, json_string(ad->labels->stack_id));
	json_object_del(labels, LABEL_JOB);
	json_object_del(labels, LABEL_EPOCH);
}

/* The name without the namespace; NULL: it has none. */
static const char *suffix(const struct adoption *ad, const char *name)
{
	size_t n = strlen(ad->namespace_);
	return strncmp(name, ad->namespace_, n) == 0 && name[n] == '_' && name[n + 1] ? name + n + 1
										      : NULL;
}

/* ---- networks ---- */

/* What the services name: values of `key` in the list at `path`. */
static void find_used(const struct adoption *ad, const char *path, const char *key, struct map *ret)
{
	map_init(ret);
	for (size_t i = 0; i < ad->w->n_services; i++) {
		const json_t *entry;
		size_t k;
		json_array_foreach(json_at(ad->w->services[i].spec, path), k, entry)
			map_puts(ret, json_text(entry, key, ""), ret);
	}
}

/* What the Engine put in by itself is not said again: it will do so again. Its own choice of a
 * subnet cannot be told from a wish for the same, and is said. */
static json_t *network_body(const struct adoption *ad, const struct world_object *o)
{
	static const char *const same[] = {
		"Name", "Driver", "Internal", "Attachable", "Ingress", "Labels", NULL};
	json_t *body = json_object(), *options = json_object(), *configs = json_array(), *v;
	const char *key;
	size_t i;
	for (const char *const *k = same; *k; k++)
		if (json_at(o->stored, *k))
			json_object_set_new(body, *k, json_deep_copy(json_at(o->stored, *k)));
	json_object_foreach(json_at(o->stored, "Options"), key, v)
	{
		if (strncmp(key, "com.docker.network.driver.overlay.", 34) != 0)
			json_object_set(options, key, v);
	}
	json_array_foreach(json_at(o->stored, "IPAM.Config"), i, v) json_array_append_new(
		configs, json_pack("{s:s}", "Subnet", json_text(v, "Subnet", "")));
	json_object_set_new(body, "Options", options);
	json_object_set_new(body, "IPAM",
		json_pack("{s:s, s:o}", "Driver", json_text(o->stored, "IPAM.Driver", "default"),
			"Config", configs));
	put_labels(ad, body);
	return json_keep(ad->a, body);
}

static void add_networks(const struct adoption *ad)
{
	const struct world *w = ad->w;
	struct release *r = ad->r;
	struct map used;
	find_used(ad, "TaskTemplate.Networks", "Target", &used);
	r->networks = arena_array(ad->a, struct release_object, w->n_networks + 1);
	for (size_t i = 0; i < w->n_networks; i++) {
		const struct world_object *o = &w->networks[i];
		const char *key = o->ours ? suffix(ad, o->name) : NULL;
		if (o->ours || map_gets(&used, o->id))
			r->networks[r->n_networks++] = (struct release_object){
				.key = arena_strdup(ad->a, key ? key : o->name),
				.name = arena_strdup(ad->a, o->name),
				.external = !o->ours,
				.body = o->ours ? network_body(ad, o) : NULL};
	}
	map_finish(&used);
}

/* ---- secrets and configs ---- */

/* A config's content can be read, and known again; a secret's cannot. */
static json_t *object_body(const struct adoption *ad, const struct world_object *o)
{
	json_t *body = json_deep_copy(o->stored);
	const char *data = json_text(body, "Data", NULL);
	unsigned char digest[SHA256_LEN];
	put_labels(ad, body);
	if (data) {
		crypto_sha256(str_of(data), digest);
		json_object_set_new(json_object_get(body, "Labels"), LABEL_CONTENT,
			json_string(str_hex(ad->a, digest, 12)));
	}
	return json_keep(ad->a, body);
}

static struct release_object *objects(const struct adoption *ad, enum compose_kind kind,
	const struct world_object *seen, size_t n, size_t *ret_n)
{
	struct release_object *items = arena_array(ad->a, struct release_object, n + 1);
	struct map used;
	if (kind == COMPOSE_SECRET)
		find_used(ad, "TaskTemplate.ContainerSpec.Secrets", "SecretName", &used);
	else
		find_used(ad, "TaskTemplate.ContainerSpec.Configs", "ConfigName", &used);
	for (size_t i = 0; i < n; i++) {
		const struct world_object *o = &seen[i];
		const char *key = o->ours ? suffix(ad, o->name) : NULL;
		if (o->ours || map_gets(&used, o->name))
			items[(*ret_n)++] = (struct release_object){
				.key = arena_strdup(ad->a, key ? key : o->name),
				.name = arena_strdup(ad->a, o->name),
				.external = !o->ours,
				.body = o->ours ? object_body(ad, o) : NULL};
	}
	map_finish(&used);
	return items;
}

/* ---- services ---- */

static const char *network_name(void *data, const char *id)
{
	const struct world *w = data;
	for (size_t i = 0; i < w->n_networks; i++)
		if (strcmp(w->networks[i].id, id) == 0)
			return w->networks[i].name;
	return NULL;
}

static const char *no_id(void *data, enum compose_kind kind, const char *name)
{
	(void)data;
	(void)kind;
	(void)name;
	return "";
}

static const char *mode_name(const json_t *spec)
{
	if (json_at(spec, "Mode.Global"))
		return "global";
	if (json_at(spec, "Mode.ReplicatedJob"))
		return "replicated-job";
	return json_at(spec, "Mode.GlobalJob") ? "global-job" : "replicated";
}

static void add_service(const struct adoption *ad, const struct world_service *s)
{
	json_t *body = json_keep(ad->a, json_deep_copy(s->spec));
	const char *written = compose_body_image_label(body);
	compose_name_networks(body, network_name, (void *)(uintptr_t)ad->w);
	(void)compose_resolve(body, no_id, NULL);
	put_labels(ad, body);
	ad->r->services[ad->r->n_services++] =
		(struct release_service){.object = {.key = arena_strdup(ad->a, suffix(ad, s->name)),
						 .name = arena_strdup(ad->a, s->name),
						 .body = body},
			.image = *written ? written : compose_body_image(body),
			.mode = mode_name(body)};
}

static struct status check(const char *namespace_, const struct adoption *ad)
{
	const struct world *w = ad->w;
	if (w->n_services == 0)
		return status_err(ST_NOT_FOUND,
			"no service in the Engine belongs to a stack \"%s\": `docker stack ls` "
			"shows what there is",
			namespace_);
	for (size_t i = 0; i < w->n_services; i++) {
		const struct world_service *s = &w->services[i];
		if (!s->ours)
			return status_err(ST_FAILED_PRECONDITION,
				"service %s is deployed by another Skep, as stack %s: remove its "
				"label " LABEL_STACK " if that one is gone",
				s->name, s->label_stack);
		if (!suffix(ad, s->name))
			return status_err(ST_FAILED_PRECONDITION,
				"service %s carries the label of stack \"%s\", but is not named "
				"%s_…: no Compose text makes it; take the label off",
				s->name, namespace_, namespace_);
	}
	return status_ok();
}

struct status adopted_release(struct arena *a, const char *namespace_, const struct world *w,
	const struct release_labels *labels, struct release *ret_release)
{
	struct release r = {.n_levels = 1};
	const struct adoption ad = {
		.a = a, .namespace_ = namespace_, .w = w, .labels = labels, .r = &r};
	struct status st = check(namespace_, &ad);
	if (!status_is_ok(&st))
		return st;
	add_networks(&ad);
	r.secrets = objects(&ad, COMPOSE_SECRET, w->secrets, w->n_secrets, &r.n_secrets);
	r.configs = objects(&ad, COMPOSE_CONFIG, w->configs, w->n_configs, &r.n_configs);
	r.services = arena_array(a, struct release_service, w->n_services + 1);
	for (size_t i = 0; i < w->n_services; i++)
		add_service(&ad, &w->services[i]);
	*ret_release = r;
	return st;
}

/* ---- as text ---- */

static struct compose_objects objects_of(
	struct arena *a, enum compose_kind kind, const struct release_object *objects, size_t n)
{
	struct compose_objects list = {arena_array(a, struct compose_object, n + 1), n};
	for (size_t i = 0; i < n; i++)
		list.items[i] = (struct compose_object){.kind = kind,
			.key = objects[i].key,
			.name = objects[i].name,
			.external = objects[i].external,
			.body = objects[i].body};
	return list;
}

static const struct compose_service *depends_of(struct arena *a, const struct release_service *s)
{
	struct compose_service *c = arena_new(a, struct compose_service);
	c->key = s->object.key;
	c->depends_on = arena_array(a, struct compose_depends, s->n_depends + 1);
	for (size_t i = 0; i < s->n_depends; i++)
		c->depends_on[c->depends_on_len++] = (struct compose_depends){
			.service = s->depends[i].service, .condition = s->depends[i].condition};
	return c;
}

bool release_export(struct arena *a, const char *namespace_, const char *head,
	const struct release *r, const char **ret_text, struct compose_strings *ret_lost)
{
	static const char *const own_labels[] = {
		LABEL_PROJECT, LABEL_STACK, LABEL_JOB, LABEL_EPOCH, LABEL_SCALE,
		LABEL_CONTENT, NULL};
	struct compose_rendering objects = {
		.networks = objects_of(a, COMPOSE_NETWORK, r->networks, r->n_networks),
		.secrets = objects_of(a, COMPOSE_SECRET, r->secrets, r->n_secrets),
		.configs = objects_of(a, COMPOSE_CONFIG, r->configs, r->n_configs),
		.services = {
			arena_array(a, struct compose_object, r->n_services + 1), r->n_services}};
	for (size_t i = 0; i < r->n_services; i++)
		objects.services.items[i] = (struct compose_object){.kind = COMPOSE_SERVICE,
			.key = r->services[i].object.key,
			.name = r->services[i].object.name,
			.body = r->services[i].object.body,
			.service = depends_of(a, &r->services[i])};
	const struct compose_export e = {.namespace_ = namespace_,
		.objects = &objects,
		.own_labels = own_labels,
		.head = head};
	return compose_export(a, &e, ret_text, ret_lost);
}
