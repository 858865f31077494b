#include "compose/export.h"
#include <string.h>
#include "base/arena.h"
#include "base/duration.h"
#include "base/yaml.h"
#include "compose/render.h"

#define LABEL_NAMESPACE "com.docker.stack.namespace"
#define LABEL_IMAGE     "com.docker.stack.image"

/* ---- what both files use ---- */

json_t *export_text(struct exporter *x, const char *s)
{
	struct buf b = {0};
	(void)x;
	for (; *s; s++) {
		buf_addc(&b, *s);
		if (*s == '$')
			buf_addc(&b, '$');
	}
	json_t *j = json_stringn(b.ptr ? b.ptr : "", b.len);
	buf_finish(&b);
	return j;
}

void export_put(json_t *out, const char *key, json_t *value)
{
	bool empty = !value || json_is_null(value) ||
		     (json_is_object(value) && json_object_size(value) == 0) ||
		     (json_is_array(value) && json_array_size(value) == 0);
	if (empty)
		json_decref(value);
	else
		json_object_set_new(out, key, value);
}

static json_t *text_list(struct exporter *x, const json_t *from)
{
	json_t *list = json_array(), *v;
	size_t i;
	json_array_foreach(from, i, v) if (json_is_string(v))
		json_array_append_new(list, export_text(x, json_string_value(v)));
	return list;
}

static json_t *text_map(struct exporter *x, const json_t *from)
{
	json_t *map = json_object(), *v;
	const char *key;
	json_object_foreach((json_t *)from, key, v) if (json_is_string(v))
		json_object_set_new(map, key, export_text(x, json_string_value(v)));
	return map;
}

static json_t *duration(struct exporter *x, const json_t *v)
{
	return json_string(duration_text(x->a, json_int(v, "", 0)));
}

static json_t *field_value(struct exporter *x, enum export_form form, const json_t *v)
{
	const bool number = json_is_number(v), counts = number && json_number_value(v) != 0;
	switch (form) {
	case FORM_TEXT:
		return json_is_string(v) && *json_string_value(v)
			       ? export_text(x, json_string_value(v))
			       : NULL;
	case FORM_FLAG:
		return json_is_true(v) ? json_true() : NULL;
	case FORM_TRISTATE:
		return json_is_boolean(v) ? json_boolean(json_is_true(v)) : NULL;
	case FORM_LIST:
		return text_list(x, v);
	case FORM_MAP:
		return text_map(x, v);
	case FORM_NUMBER:
		return counts ? json_incref((json_t *)(uintptr_t)v) : NULL;
	case FORM_DURATION:
		return counts ? duration(x, v) : NULL;
	case FORM_DURATION_ZERO:
		return number ? duration(x, v) : NULL;
	}
	return NULL;
}

void export_fields(
	struct exporter *x, json_t *out, const struct export_field *table, const json_t *from)
{
	for (; table->key; table++)
		export_put(
			out, table->key, field_value(x, table->form, json_at(from, table->field)));
}

static bool is_own_label(const struct exporter *x, const char *key)
{
	if (strcmp(key, LABEL_NAMESPACE) == 0 || strcmp(key, LABEL_IMAGE) == 0)
		return true;
	for (const char *const *own = x->e->own_labels; own && *own; own++)
		if (strcmp(*own, key) == 0)
			return true;
	return false;
}

json_t *export_labels(struct exporter *x, const json_t *labels)
{
	json_t *map = json_object(), *v;
	const char *key;
	json_object_foreach((json_t *)labels, key, v) if (!is_own_label(x, key))
		json_object_set_new(
			map, key, export_text(x, json_is_string(v) ? json_string_value(v) : ""));
	return map;
}

const char *export_key(struct exporter *x, const char *name)
{
	size_t n = strlen(x->e->namespace_);
	if (strncmp(name, x->e->namespace_, n) == 0 && name[n] == '_' && name[n + 1])
		name += n + 1;
	char *key = arena_strdup(x->a, name);
	for (char *p = key; *p; p++) {
		bool fine = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			    (*p >= '0' && *p <= '9') || strchr("._-", *p);
		if (!fine)
			*p = '_';
	}
	return key;
}

const char *export_declare(
	struct exporter *x, json_t *section, const char *key, const char *name, json_t *entry)
{
	const char *wanted = key;
	for (unsigned n = 2; json_object_get(section, key); n++) {
		if (json_equal(json_object_get(section, key), entry)) {
			json_decref(entry);
			return key;
		}
		key = arena_fmt(x->a, "%s_%u", wanted, n);
		json_object_set_new(entry, "name", export_text(x, name));
	}
	json_object_set_new(section, key, entry);
	return key;
}

json_t *export_external(struct exporter *x, const char *key, const char *name)
{
	json_t *entry = json_object();
	json_object_set_new(entry, "external", json_true());
	if (strcmp(name, key) != 0)
		json_object_set_new(entry, "name", export_text(x, name));
	return entry;
}

void export_lose(struct exporter *x, const char *line)
{
	struct compose_strings *l = x->lost;
	const char **items = arena_array(x->a, const char *, l->len + 1);
	if (l->len)
		memcpy(items, l->items, l->len * sizeof(*items));
	items[l->len++] = arena_strdup(x->a, line);
	l->items = items;
}

/* ---- networks ---- */

static json_t *ipam(struct exporter *x, const json_t *from)
{
	json_t *out = json_object(), *configs = json_array(), *v;
	const char *driver = json_text(from, "Driver", "");
	size_t i;
	json_array_foreach(json_at(from, "Config"), i, v)
	{
		json_t *config = json_object();
		export_fields(x, config,
			(const struct export_field[]){{"subnet", "Subnet", FORM_TEXT}, {0}}, v);
		if (json_object_size(config))
			json_array_append(configs, config);
		json_decref(config);
	}
	if (strcmp(driver, "default") != 0 && *driver)
		export_put(out, "driver", export_text(x, driver));
	export_put(out, "config", configs);
	return out;
}

static json_t *network(struct exporter *x, const struct compose_object *o)
{
	static const struct export_field fields[] = {
		{"driver_opts", "Options", FORM_MAP},
		{"internal", "Internal", FORM_FLAG},
		{"attachable", "Attachable", FORM_FLAG},
		{0},
	};
	if (o->external)
		return export_external(x, o->key, o->name);
	json_t *out = json_object();
	const char *driver = json_text(o->body, "Driver", "overlay");
	if (strcmp(o->name, arena_fmt(x->a, "%s_%s", x->e->namespace_, o->key)) != 0)
		json_object_set_new(out, "name", export_text(x, o->name));
	if (strcmp(driver, "overlay") != 0)
		export_put(out, "driver", export_text(x, driver));
	export_fields(x, out, fields, o->body);
	export_put(out, "labels", export_labels(x, json_at(o->body, "Labels")));
	export_put(out, "ipam", ipam(x, json_at(o->body, "IPAM")));
	return out;
}

static void add_networks(struct exporter *x)
{
	const struct compose_objects *list = &x->e->objects->networks;
	for (size_t i = 0; i < list->len; i++) {
		json_t *entry = network(x, &list->items[i]);
		bool implied =
			strcmp(list->items[i].key, "default") == 0 && json_object_size(entry) == 0;
		if (implied)
			json_decref(entry);
		else
			json_object_set_new(x->networks, list->items[i].key, entry);
	}
}

void compose_name_networks(
	json_t *service_body, const char *(*name)(void *data, const char *id), void *data)
{
	json_t *v;
	size_t i;
	json_array_foreach(json_at(service_body, "TaskTemplate.Networks"), i, v)
	{
		const char *known = name(data, json_text(v, "Target", ""));
		if (known)
			json_object_set_new(v, "Target", json_string(known));
	}
}

/* ---- the text, and what it does not say ---- */

static void write_text(struct exporter *x, json_t *services, struct buf *b)
{
	json_t *root = json_object();
	struct str head = str_of(x->e->head);
	while (head.ptr && head.len) {
		struct str line = str_cut(&head, '\n');
		buf_fmt(b, "# " STR_FMT "\n", STR_ARG(line));
	}
	json_object_set_new(root, "version", json_string("3.13"));
	json_object_set(root, "services", services);
	export_put(root, "networks", json_incref(x->networks));
	export_put(root, "volumes", json_incref(x->volumes));
	export_put(root, "secrets", json_incref(x->secrets));
	export_put(root, "configs", json_incref(x->configs));
	yaml_write(b, root);
	json_decref(root);
}

static void compare(struct exporter *x, enum compose_kind kind, const char *key,
	const json_t *again, const json_t *before)
{
	const struct compose_plan_options o = {.ignore_labels = x->e->own_labels};
	struct compose_diff diff;
	compose_plan(x->a, kind, again, before, &o, &diff);
	for (size_t i = 0; i < diff.len; i++) {
		const struct compose_change *c = &diff.changes[i];
		const char *what = !c->after ? "cannot be said in a Compose text for docker"
					     : arena_fmt(x->a, "becomes %s", c->after);
		export_lose(x,
			arena_fmt(x->a, "%s %s: %s%s%s %s", compose_kind_name(kind), key, c->path,
				c->before ? " = " : "", c->before ? c->before : "", what));
	}
}

static void compare_all(struct exporter *x, enum compose_kind kind,
	const struct compose_objects *again, const struct compose_objects *before)
{
	for (size_t i = 0; i < before->len; i++)
		for (size_t k = 0; k < again->len; k++)
			if (strcmp(again->items[k].name, before->items[i].name) == 0 &&
				again->items[k].body && before->items[i].body)
				compare(x, kind, before->items[i].key, again->items[k].body,
					before->items[i].body);
}

/* Reads the text as docker would. False: docker would not take it. */
static bool read_back(struct exporter *x, struct str text)
{
	const struct compose_text t = {.name = "export", .text = text};
	const struct compose_input in = {
		.name = x->e->namespace_, .texts = &t, .texts_len = 1, .compat = true};
	struct compose_project *p;
	struct compose_problems errors, warnings;
	if (!compose_load(x->a, &in, &p, &errors, &warnings)) {
		for (size_t i = 0; i < errors.len; i++)
			export_lose(x, compose_problem_text(x->a, &errors.items[i]));
		return false;
	}
	const struct compose_rendering *r =
		compose_render(x->a, p, &(struct compose_render_options){0});
	compare_all(x, COMPOSE_NETWORK, &r->networks, &x->e->objects->networks);
	compare_all(x, COMPOSE_SERVICE, &r->services, &x->e->objects->services);
	return true;
}

static bool check_names(struct exporter *x)
{
	const struct compose_objects *services = &x->e->objects->services;
	size_t n = strlen(x->e->namespace_);
	for (size_t i = 0; i < services->len; i++) {
		const char *name = services->items[i].name;
		if (strncmp(name, x->e->namespace_, n) != 0 || name[n] != '_')
			export_lose(x, arena_fmt(x->a,
					       "service %s carries the stack's label, but is not "
					       "named %s_…: no Compose text makes it",
					       name, x->e->namespace_));
	}
	return x->lost->len == 0;
}

static bool export_all(struct exporter *x, const char **ret_text)
{
	const struct compose_objects *list = &x->e->objects->services;
	json_t *services = json_object();
	struct buf b = {0};
	add_networks(x);
	for (size_t i = 0; i < list->len; i++)
		json_object_set_new(
			services, list->items[i].key, export_service(x, &list->items[i]));
	write_text(x, services, &b);
	json_decref(services);
	*ret_text = str_dup(x->a, buf_str(&b));
	buf_finish(&b);
	return read_back(x, str_of(*ret_text));
}

bool compose_export(struct arena *a, const struct compose_export *e, const char **ret_text,
	struct compose_strings *ret_lost)
{
	struct exporter x = {.a = a, .e = e, .lost = ret_lost};
	*ret_lost = (struct compose_strings){0};
	if (!check_names(&x))
		return false;
	x.networks = json_object();
	x.volumes = json_object();
	x.secrets = json_object();
	x.configs = json_object();
	bool ok = export_all(&x, ret_text);
	json_decref(x.networks);
	json_decref(x.volumes);
	json_decref(x.secrets);
	json_decref(x.configs);
	return ok;
}
