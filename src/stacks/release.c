#include "stacks/release.h"

#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/map.h"
#include "crypto/crypto.h"

#define JSON_ROOM 4 /* a text takes so many times its length when it is read */

/* ---- source ---- */

struct str release_source_encode(struct arena *a, const struct release_upload *u)
{
	json_t *compose = json_array(), *files = json_array(), *variables = json_object();
	for (size_t i = 0; i < u->n_texts; i++)
		json_array_append_new(compose,
			json_pack("{s:s, s:s}", "name", u->texts[i].name, "base64",
				str_base64(a, u->texts[i].text.ptr, u->texts[i].text.len)));
	for (size_t i = 0; i < u->n_files; i++)
		json_array_append_new(files,
			json_pack("{s:s, s:s}", "path", u->files[i].path, "base64",
				str_base64(a, u->files[i].bytes.ptr, u->files[i].bytes.len)));
	for (size_t i = 0; i < u->n_variables; i++)
		json_object_set_new(
			variables, u->variables[i].name, json_lossy(str_of(u->variables[i].value)));
	json_t *j = json_pack(
		"{s:o, s:o, s:o}", "compose", compose, "files", files, "variables", variables);
	if (u->dir)
		json_object_set_new(j, "directory", json_string(u->dir));
	if (u->home)
		json_object_set_new(j, "home", json_string(u->home));
	const char *text = json_to_text(a, j);
	json_decref(j);
	return str_of(text);
}

/* The parsed text lives as long as the arena: the decoded strings point into it. */
static struct status parse_into(struct arena *a, struct str text, json_t **ret_json)
{
	struct status st = json_parse(text, ret_json);
	if (!status_is_ok(&st))
		return st;
	json_keep(a, *ret_json);
	arena_weigh(a, JSON_ROOM * text.len);
	return st;
}

static struct str bytes_of(struct arena *a, const json_t *entry)
{
	struct str bytes = str_of("");
	if (!str_unbase64(a, str_of(json_text(entry, "base64", "")), &bytes))
		bytes = str_of("");
	return bytes;
}

struct status release_source_decode(
	struct arena *a, struct str source, struct release_upload *ret_upload)
{
	json_t *j;
	struct status st = parse_into(a, source, &j);
	if (!status_is_ok(&st))
		return status_wrap(&st, "the stored source of the release cannot be read");
	struct release_upload u = {0};
	json_t *compose = json_at(j, "compose"), *files = json_at(j, "files"),
	       *variables = json_at(j, "variables"), *entry;
	size_t i;
	const char *key;
	u.texts = arena_array(a, struct compose_text, json_array_size(compose) + 1);
	json_array_foreach(compose, i, entry) u.texts[u.n_texts++] =
		(struct compose_text){json_text(entry, "name", ""), bytes_of(a, entry)};
	u.files = arena_array(a, struct compose_upload, json_array_size(files) + 1);
	json_array_foreach(files, i, entry) u.files[u.n_files++] =
		(struct compose_upload){json_text(entry, "path", ""), bytes_of(a, entry)};
	u.variables = arena_array(a, struct compose_variable, json_object_size(variables) + 1);
	json_object_foreach(variables, key, entry) u.variables[u.n_variables++] =
		(struct compose_variable){key, json_string_value(entry)};
	u.dir = json_text(j, "directory", NULL);
	u.home = json_text(j, "home", NULL);
	*ret_upload = u;
	return status_ok();
}

/* ---- labels that are ours ---- */

struct refusing {
	struct arena *a;
	const struct release_upload *upload;
	struct compose_problems *errors;
};

static void refuse_labels(const struct refusing *r, struct compose_mark at, const char *path,
	const struct compose_pairs *labels)
{
	struct compose_problems *errors = r->errors;
	const struct release_upload *u = r->upload;
	for (size_t i = 0; i < labels->len; i++) {
		const char *key = labels->items[i].key;
		if (strncmp(key, LABELS_OWN, strlen(LABELS_OWN)) != 0)
			continue;
		struct compose_problem *items =
			arena_array(r->a, struct compose_problem, errors->len + 1);
		if (errors->len)
			memcpy(items, errors->items, errors->len * sizeof(*items));
		items[errors->len++] = (struct compose_problem){
			.file = at.file < u->n_texts ? u->texts[at.file].name : "",
			.line = at.line,
			.column = at.column,
			.path = path,
			.message = arena_fmt(r->a, "label \"%s\" is one of Skep's own", key),
			.hint = "leave out labels that begin with " LABELS_OWN};
		errors->items = items;
	}
}

/* They say whose an object is. */
static void refuse_own_labels(const struct refusing *r, const struct compose_project *p)
{
	struct arena *a = r->a;
	for (size_t i = 0; i < p->services_len; i++) {
		const struct compose_service *s = &p->services[i];
		refuse_labels(r, s->at, arena_fmt(a, "services.%s.labels", s->key), &s->labels);
		refuse_labels(r, s->at, arena_fmt(a, "services.%s.deploy.labels", s->key),
			&s->deploy_labels);
	}
	for (size_t i = 0; i < p->networks_len; i++)
		refuse_labels(r, p->networks[i].at,
			arena_fmt(a, "networks.%s.labels", p->networks[i].key),
			&p->networks[i].labels);
	for (size_t i = 0; i < p->secrets_len; i++)
		refuse_labels(r, p->secrets[i].at,
			arena_fmt(a, "secrets.%s.labels", p->secrets[i].key),
			&p->secrets[i].labels);
	for (size_t i = 0; i < p->configs_len; i++)
		refuse_labels(r, p->configs[i].at,
			arena_fmt(a, "configs.%s.labels", p->configs[i].key),
			&p->configs[i].labels);
}

bool release_model(struct arena *a, const char *namespace_, const struct release_upload *u,
	struct compose_project **ret_project, struct compose_problems *errors,
	struct compose_problems *warnings)
{
	struct compose_input in = {
		.name = namespace_,
		.texts = u->texts,
		.texts_len = u->n_texts,
		.uploads = u->files,
		.uploads_len = u->n_files,
		.variables = u->variables,
		.variables_len = u->n_variables,
		.dir = u->dir,
		.home = u->home,
	};
	if (!compose_load(a, &in, ret_project, errors, warnings))
		return false;
	refuse_own_labels(&(struct refusing){a, u, errors}, *ret_project);
	return errors->len == 0;
}

/* ---- rendering ---- */

static void sha256_of(struct str bytes, unsigned char ret_digest[32])
{
	crypto_sha256(bytes, ret_digest);
}

static void add_labels(void *data, enum compose_kind kind, const char *key, json_t *labels)
{
	const struct release_labels *l = data;
	(void)kind;
	(void)key;
	json_object_set_new(labels, LABEL_PROJECT, json_string(l->project_id));
	json_object_set_new(labels, LABEL_STACK, json_string(l->stack_id));
}

static const char *mode_name(enum compose_mode mode)
{
	switch (mode) {
	case COMPOSE_REPLICATED:
		return "replicated";
	case COMPOSE_GLOBAL:
		return "global";
	case COMPOSE_REPLICATED_JOB:
		return "replicated-job";
	case COMPOSE_GLOBAL_JOB:
		return "global-job";
	}
	return "replicated";
}

/* The Engine never shows a secret's content and cannot change either: this says whether it is still
 * the same. */
static void label_content(struct arena *a, const struct compose_objects *objects)
{
	for (size_t i = 0; i < objects->len; i++) {
		unsigned char digest[SHA256_LEN];
		const char *data = json_text(objects->items[i].body, "Data", NULL);
		json_t *labels = json_at(objects->items[i].body, "Labels");
		if (!data || !labels)
			continue;
		crypto_sha256(str_of(data), digest);
		json_object_set_new(labels, LABEL_CONTENT, json_string(str_hex(a, digest, 12)));
	}
}

static struct release_object object_of(const struct compose_object *o)
{
	return (struct release_object){o->key, o->name, o->external, o->body};
}

static struct release_object *objects_of(
	struct arena *a, const struct compose_objects *objects, size_t *ret_n)
{
	struct release_object *items = arena_array(a, struct release_object, objects->len + 1);
	for (size_t i = 0; i < objects->len; i++)
		items[i] = object_of(&objects->items[i]);
	*ret_n = objects->len;
	return items;
}

static struct release_service service_of(
	struct arena *a, const struct compose_object *o, unsigned level)
{
	const struct compose_service *s = o->service;
	struct release_service r = {.object = object_of(o),
		.level = level,
		.image = s->image_full ? s->image_full : s->image,
		.mode = mode_name(s->mode)};
	r.depends = arena_array(a, struct release_depends, s->depends_on_len + 1);
	for (size_t i = 0; i < s->depends_on_len; i++)
		r.depends[r.n_depends++] = (struct release_depends){
			s->depends_on[i].service, s->depends_on[i].condition,
			s->depends_on[i].optional};
	return r;
}

void release_render(struct arena *a, const struct compose_project *p,
	const struct release_labels *labels, struct release *ret_release)
{
	struct release_labels l = *labels;
	const struct compose_render_options o = {
		.sha256 = sha256_of, .add_labels = add_labels, .data = &l};
	struct compose_rendering *rendering = compose_render(a, p, &o);
	struct release r = {0};
	label_content(a, &rendering->secrets);
	label_content(a, &rendering->configs);
	r.networks = objects_of(a, &rendering->networks, &r.n_networks);
	r.secrets = objects_of(a, &rendering->secrets, &r.n_secrets);
	r.configs = objects_of(a, &rendering->configs, &r.n_configs);

	struct compose_level *levels;
	size_t n_levels;
	compose_levels(a, p, &levels, &n_levels);
	r.n_levels = (unsigned)n_levels;
	r.services = arena_array(a, struct release_service, rendering->services.len + 1);
	for (unsigned level = 0; level < r.n_levels; level++)
		for (size_t i = 0; i < levels[level].len; i++)
			for (size_t k = 0; k < rendering->services.len; k++)
				if (rendering->services.items[k].service ==
					levels[level].services[i])
					r.services[r.n_services++] =
						service_of(a, &rendering->services.items[k], level);
	*ret_release = r;
}

const char *release_content(const struct release_object *o)
{
	const json_t *label = json_object_get(json_object_get(o->body, "Labels"), LABEL_CONTENT);
	return json_is_string(label) ? json_string_value(label) : "";
}

/* The name without the content's hash, where the release before has the same content by it; else NULL. */
static const char *plain_name(struct arena *a, const char *namespace_,
	const struct release_object *o, const struct release_object *old)
{
	if (!old || o->external || !release_content(o)[0] ||
		strcmp(release_content(o), release_content(old)) != 0)
		return NULL;
	const char *plain = arena_fmt(a, "%s_%s", namespace_, o->key);
	return strcmp(old->name, plain) == 0 && strncmp(o->name, plain, strlen(plain)) == 0 ? plain
											    : NULL;
}

static const char *new_name(void *data, const char *from)
{
	return map_gets(data, from);
}

void release_keep_names(
	struct arena *a, const char *namespace_, struct release *r, const struct release *before)
{
	struct map old, renamed; /* key → its object; name → the one that is kept */
	map_init(&old);
	map_init(&renamed);
	for (size_t i = 0; i < before->n_configs; i++)
		map_puts(&old, before->configs[i].key, &before->configs[i]);
	for (size_t i = 0; i < r->n_configs; i++) {
		struct release_object *o = &r->configs[i];
		const char *plain = plain_name(a, namespace_, o, map_gets(&old, o->key));
		if (!plain)
			continue;
		map_puts(&renamed, o->name, (void *)(uintptr_t)plain);
		json_object_set_new(o->body, "Name", json_string(plain));
		o->name = plain;
	}
	for (size_t i = 0; i < r->n_services && renamed.len > 0; i++)
		compose_rename(r->services[i].object.body, COMPOSE_CONFIG, new_name, &renamed);
	map_finish(&old);
	map_finish(&renamed);
}

/* ---- rendered ---- */

static json_t *encode_object(const struct release_object *o)
{
	return json_pack("{s:s, s:s, s:b, s:O*}", "key", o->key, "name", o->name, "external",
		o->external, "body", o->body);
}

static json_t *encode_objects(const struct release_object *objects, size_t n)
{
	json_t *j = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(j, encode_object(&objects[i]));
	return j;
}

static const char *const condition_names[] = {
	"service_started", "service_healthy", "service_completed_successfully"};

static json_t *encode_service(const struct release_service *s)
{
	json_t *j = encode_object(&s->object), *depends = json_object();
	for (size_t i = 0; i < s->n_depends; i++)
		json_object_set_new(depends, s->depends[i].service,
			json_pack("{s:s, s:b}", "condition",
				condition_names[s->depends[i].condition], "optional",
				s->depends[i].optional));
	json_object_set_new(j, "level", json_integer(s->level));
	json_object_set_new(j, "image", json_string(s->image));
	json_object_set_new(j, "mode", json_string(s->mode));
	json_object_set_new(j, "depends_on", depends);
	return j;
}

struct str release_encode(struct arena *a, const struct release *r)
{
	json_t *services = json_array();
	for (size_t i = 0; i < r->n_services; i++)
		json_array_append_new(services, encode_service(&r->services[i]));
	json_t *j = json_pack("{s:o, s:o, s:o, s:o}", "networks",
		encode_objects(r->networks, r->n_networks), "secrets",
		encode_objects(r->secrets, r->n_secrets), "configs",
		encode_objects(r->configs, r->n_configs), "services", services);
	const char *text = json_to_text(a, j);
	json_decref(j);
	return str_of(text);
}

static struct release_object decode_object(const json_t *j)
{
	return (struct release_object){json_text(j, "key", ""), json_text(j, "name", ""),
		json_flag(j, "external", false), json_at(j, "body")};
}

static struct release_object *decode_objects(struct arena *a, const json_t *list, size_t *ret_n)
{
	struct release_object *items =
		arena_array(a, struct release_object, json_array_size(list) + 1);
	json_t *entry;
	size_t i;
	json_array_foreach(list, i, entry) items[i] = decode_object(entry);
	*ret_n = json_array_size(list);
	return items;
}

static struct release_service decode_service(struct arena *a, const json_t *j)
{
	struct release_service s = {.object = decode_object(j),
		.level = (unsigned)json_int(j, "level", 0),
		.image = json_text(j, "image", ""),
		.mode = json_text(j, "mode", "replicated")};
	json_t *depends = json_at(j, "depends_on"), *entry;
	const char *key;
	s.depends = arena_array(a, struct release_depends, json_object_size(depends) + 1);
	json_object_foreach(depends, key, entry)
	{
		struct release_depends *d = &s.depends[s.n_depends++];
		/* Older releases have the condition alone. */
		const char *condition = json_is_string(entry) ? json_string_value(entry)
							      : json_text(entry, "condition", "");
		d->service = key;
		d->optional = json_flag(entry, "optional", false);
		for (int c = COMPOSE_STARTED; c <= COMPOSE_COMPLETED; c++)
			if (strcmp(condition, condition_names[c]) == 0)
				d->condition = (enum compose_condition)c;
	}
	return s;
}

struct status release_decode(struct arena *a, struct str rendered, struct release *ret_release)
{
	struct release r = {0};
	json_t *j, *services, *entry;
	size_t i;
	*ret_release = r;
	if (rendered.len == 0)
		return status_ok();
	struct status st = parse_into(a, rendered, &j);
	if (!status_is_ok(&st))
		return status_wrap(&st, "the stored rendering of the release cannot be read");
	r.networks = decode_objects(a, json_at(j, "networks"), &r.n_networks);
	r.secrets = decode_objects(a, json_at(j, "secrets"), &r.n_secrets);
	r.configs = decode_objects(a, json_at(j, "configs"), &r.n_configs);
	services = json_at(j, "services");
	r.services = arena_array(a, struct release_service, json_array_size(services) + 1);
	json_array_foreach(services, i, entry)
	{
		r.services[i] = decode_service(a, entry);
		if (r.services[i].level + 1 > r.n_levels)
			r.n_levels = r.services[i].level + 1;
	}
	r.n_services = json_array_size(services);
	*ret_release = r;
	return st;
}

static struct release_object outline_object(struct arena *a, const struct release_object *o)
{
	return (struct release_object){.key = arena_strdup(a, o->key),
		.name = arena_strdup(a, o->name),
		.external = o->external};
}

static struct release_object *outline_objects(
	struct arena *a, const struct release_object *objects, size_t n)
{
	struct release_object *items = arena_array(a, struct release_object, n + 1);
	for (size_t i = 0; i < n; i++)
		items[i] = outline_object(a, &objects[i]);
	return items;
}

struct release release_outline(struct arena *a, const struct release *r)
{
	struct release out = *r;
	out.networks = outline_objects(a, r->networks, r->n_networks);
	out.secrets = outline_objects(a, r->secrets, r->n_secrets);
	out.configs = outline_objects(a, r->configs, r->n_configs);
	out.services = arena_array(a, struct release_service, r->n_services + 1);
	for (size_t i = 0; i < r->n_services; i++) {
		const struct release_service *s = &r->services[i];
		struct release_service *c = &out.services[i];
		*c = *s;
		c->object = outline_object(a, &s->object);
		c->image = arena_strdup(a, s->image);
		c->mode = arena_strdup(a, s->mode);
		c->depends = arena_array(a, struct release_depends, s->n_depends + 1);
		for (size_t k = 0; k < s->n_depends; k++) {
			c->depends[k] = s->depends[k];
			c->depends[k].service = arena_strdup(a, s->depends[k].service);
		}
	}
	return out;
}

const struct release_service *release_service_find(const struct release *r, const char *key)
{
	for (size_t i = 0; i < r->n_services; i++)
		if (strcmp(r->services[i].object.key, key) == 0)
			return &r->services[i];
	return NULL;
}
