#include "compose/decode.h"
#include <string.h>
#include "base/duration.h"
#include "base/size.h"

struct compose_strings decode_strings(struct loader *l, const struct node *n)
{
	struct compose_strings s = {0};
	if (!node_is(n, NODE_SEQ) || n->seq.len == 0)
		return s;
	s.items = arena_array(l->a, const char *, n->seq.len);
	for (size_t i = 0; i < n->seq.len; i++)
		if (n->seq.items[i]->kind == NODE_STRING)
			s.items[s.len++] = n->seq.items[i]->text;
	return s;
}

static struct compose_pairs decode_pairs(struct loader *l, const struct node *n)
{
	struct compose_pairs p = {0};
	if (!node_is(n, NODE_MAP))
		return p;
	p.items = arena_array(l->a, struct compose_pair, n->map.len + 1);
	for (size_t i = 0; i < n->map.len; i++) {
		const struct node *v = n->map.entries[i].value;
		p.items[p.len++] = (struct compose_pair){.key = n->map.entries[i].key,
			.value = v->kind == NODE_STRING ? v->text : NULL};
	}
	return p;
}

int64_t decode_int(const struct node *map, const char *key, int64_t otherwise)
{
	const struct node *n = node_get(map, key);
	return node_is(n, NODE_INT) ? n->number : otherwise;
}

static void decode_scalar(
	struct loader *l, const struct node *n, enum schema_kind kind, void *field)
{
	if (kind == K_STRING && n->kind == NODE_STRING) {
		*(const char **)field = n->text;
	} else if (kind == K_BOOL && n->kind == NODE_BOOL) {
		*(bool *)field = n->flag;
	} else if (kind == K_TRISTATE && n->kind == NODE_BOOL) {
		*(struct opt_bool *)field = (struct opt_bool){true, n->flag};
	} else if (kind == K_INT && n->kind == NODE_INT) {
		*(struct opt_i64 *)field = (struct opt_i64){true, n->number};
	} else if (kind == K_NUMBER && n->kind == NODE_FLOAT) {
		*(struct opt_double *)field = (struct opt_double){true, n->real};
	} else if (kind == K_DURATION && n->kind == NODE_STRING) {
		struct opt_i64 *d = field;
		d->set = duration_parse(str_of(n->text), &d->value);
	} else if (kind == K_BYTES && n->kind == NODE_STRING) {
		if (!size_parse(str_of(n->text), field))
			*(int64_t *)field = 0;
	} else if (kind == K_CPUS && n->kind == NODE_STRING && *n->text) {
		form_cpus(l->a, n->text, field);
	}
}

void decode_fields(
	struct loader *l, const struct node *n, const struct schema_key *table, void *base)
{
	for (size_t i = 0; node_is(n, NODE_MAP) && i < n->map.len; i++) {
		const struct node *v = n->map.entries[i].value;
		const struct schema_key *k = schema_find(table, n->map.entries[i].key);
		if (!k || k->offset == NO_FIELD || v->kind == NODE_NULL ||
			((k->flags & F_SENT) && l->in->compat))
			continue;
		void *field = (char *)base + k->offset;
		switch (k->kind) {
		case K_STRING:
		case K_BOOL:
		case K_TRISTATE:
		case K_INT:
		case K_NUMBER:
		case K_DURATION:
		case K_BYTES:
		case K_CPUS:
			decode_scalar(l, v, k->kind, field);
			break;
		case K_STRINGS:
		case K_ONE_OR_MORE:
		case K_COMMAND:
		case K_TEST:
		case K_HOSTS:
			*(struct compose_strings *)field = decode_strings(l, v);
			break;
		case K_PAIRS:
		case K_ENV:
		case K_OPTIONS:
			*(struct compose_pairs *)field = decode_pairs(l, v);
			break;
		case K_MAP:
			decode_fields(l, v, k->sub, field);
			break;
		case K_ANY:
		case K_NAMED:
		case K_ITEMS:
		case K_PORTS:
		case K_VOLUMES:
		case K_FILES:
		case K_NETWORKS:
		case K_DEPENDS:
		case K_ULIMITS:
		case K_EXTERNAL:
		case K_ENV_FILE:
		case K_TEXT:
		case K_BUILD:
		case K_EXTENDS:
		case K_INCLUDE:
			break;
		}
	}
}

/* ---- what stands beside the services ---- */

/* external: true, or the old external: {name: x}. Returns whether it is external; *name is the
 * Engine's. */
static bool decode_external(struct loader *l, const struct node *n, const char *what,
	const char *key, const struct path *path, const char **name)
{
	const struct node *external = node_get(n, "external");
	bool is = node_is(external, NODE_MAP) || (node_is(external, NODE_BOOL) && external->flag);
	const char *old = node_get_text(external, "name", NULL);
	int name_since = strcmp(what, "volume") == 0 ? 4 : 5; /* docker's versions 3.x */
	if (!is)
		return false;
	if (old && *old && *name && **name)
		loader_error(l, external->at, path, NULL,
			"%s %s: %s.external.name and %s.name conflict; only use %s.name", what, key,
			what, what, what);
	else if (old && *old && (!l->in->compat || l->minor >= name_since))
		loader_warn(l, external->at, path, NULL,
			"%s %s: %s.external.name is deprecated in favor of %s.name", what, key,
			what, what);
	if (old && *old)
		*name = old;
	else if (!*name || !**name)
		*name = key;
	return true;
}

static void decode_network(
	struct loader *l, const struct node *n, const struct path *path, struct compose_network *w)
{
	const struct schema_key *table = schema_find(schema_root, "networks")->sub;
	decode_fields(l, n, table, w);
	w->external = decode_external(l, n, "network", w->key, path, &w->name);
	const struct node *ipam = node_get(n, "ipam"), *config = node_get(ipam, "config");
	w->has_ipam = (w->ipam_driver && *w->ipam_driver) ||
		      (node_is(config, NODE_SEQ) && config->seq.len);
	if (node_is(config, NODE_SEQ) && config->seq.len) {
		w->subnets.items = arena_array(l->a, const char *, config->seq.len);
		for (size_t i = 0; i < config->seq.len; i++)
			w->subnets.items[w->subnets.len++] =
				node_get_text(config->seq.items[i], "subnet", "");
	}
	if (!w->external && (!w->name || !*w->name))
		w->name = arena_fmt(l->a, "%s_%s", l->name, w->key);
}

static void decode_volume(
	struct loader *l, const struct node *n, const struct path *path, struct compose_volume *v)
{
	const struct schema_key *table = schema_find(schema_root, "volumes")->sub;
	decode_fields(l, n, table, v);
	v->external = decode_external(l, n, "volume", v->key, path, &v->name);
	const char *conflict = v->driver.name && *v->driver.name ? "driver"
			       : v->driver.options.len           ? "driver_opts"
			       : v->labels.len                   ? "labels"
								 : NULL;
	if (v->external && conflict)
		loader_error(l, node_entry(n, conflict)->at, path, NULL,
			"conflicting parameters \"external\" and \"%s\" specified for volume "
			"\"%s\"",
			conflict, v->key);
	if (!v->external && (!v->name || !*v->name))
		v->name = arena_fmt(l->a, "%s_%s", l->name, v->key);
}

static void decode_data(struct loader *l, const struct node *n, const char *what,
	const struct path *path, struct compose_secret *s)
{
	const struct node *file = node_get(n, "file"), *content = node_get(n, "content");
	const struct node *environment = node_get(n, "environment");
	if (node_is(content, NODE_STRING)) {
		s->data = str_of(content->text);
	} else if (node_is(environment, NODE_STRING)) {
		const char *value = loader_variable(l, environment->at, environment->text);
		if (!value)
			loader_error(l, environment->at, path, "give it with the request",
				"%s %s: variable %s is not set", what, s->key, environment->text);
		if (loader_add_bytes(l, environment->at, path, str_of(value).len))
			s->data = str_of(value);
	} else if (node_is(file, NODE_STRING) && (*file->text || !l->in->compat)) {
		const char *name = loader_path(l, file->at, file->text);
		const struct compose_upload *u = loader_upload(l, name);
		if (u && !loader_add_bytes(l, file->at, path, u->bytes.len))
			return;
		if (!u)
			loader_error(l, file->at, path,
				l->in->compat ? NULL : "send it along with the text",
				"open %s: no such file or directory",
				l->in->dir ? form_path(l->a, l->in->dir, name) : name);
		else
			s->data = str_make(
				arena_memdup(l->a, u->bytes.ptr, u->bytes.len), u->bytes.len);
	} else if (l->in->compat && l->in->dir) { /* docker takes "" for the folder */
		loader_error(l, n->at, path, NULL, "read %s: is a directory", l->in->dir);
	} else if (!node_get(n, "file")) {
		loader_error(l, n->at, path, "name one of file, external, environment or content",
			"%s %s: nothing says what is in it", what, s->key);
	}
	s->has_data = true;
}

static void decode_secret(struct loader *l, const struct node *n, const char *what,
	const struct path *path, struct compose_secret *s)
{
	const struct schema_key *table = schema_find(schema_root, "secrets")->sub;
	static const char *const sources[] = {"file", "content", "environment"};
	size_t sources_len = 0;
	decode_fields(l, n, table, s);
	for (size_t i = 0; i < 3; i++)
		sources_len += node_get(n, sources[i]) != NULL;
	s->external = decode_external(l, n, what, s->key, path, &s->name);
	if (s->name && !*s->name)
		s->name = NULL;
	if (s->file && *s->file)
		s->file = loader_path(l, node_get(n, "file")->at, s->file);
	if (s->external)
		return;
	if (s->driver.name && *s->driver.name && sources_len)
		loader_error(l, n->at, path, NULL,
			"%s %s: %s.driver and %s.file conflict; only use %s.driver", what, s->key,
			what, what, what);
	else if (sources_len > 1)
		loader_error(l, n->at, path, NULL,
			"%s %s: only one of file, content and environment may be given", what,
			s->key);
	else if (!s->driver.name || !*s->driver.name)
		decode_data(l, n, what, path, s);
}

static const struct node *section(const struct node *root, const char *name, size_t *ret_len)
{
	const struct node *n = node_get(root, name);
	*ret_len = node_is(n, NODE_MAP) ? n->map.len : 0;
	return n;
}

static void decode_objects(struct loader *l, struct node *root, struct compose_project *p)
{
	const struct node *n = section(root, "networks", &p->networks_len);
	struct path top = {.key = "networks"};
	p->networks = arena_array(
		l->a, struct compose_network, p->networks_len + 1); /* room for "default" */
	for (size_t i = 0; i < p->networks_len; i++) {
		const struct node_entry *e = &n->map.entries[i];
		p->networks[i].key = e->key;
		p->networks[i].at = e->at;
		decode_network(
			l, e->value, &(struct path){.up = &top, .key = e->key}, &p->networks[i]);
	}
	n = section(root, "volumes", &p->volumes_len);
	top.key = "volumes";
	p->volumes = arena_array(l->a, struct compose_volume, p->volumes_len + 1);
	for (size_t i = 0; i < p->volumes_len; i++) {
		const struct node_entry *e = &n->map.entries[i];
		p->volumes[i].key = e->key;
		p->volumes[i].at = e->at;
		decode_volume(
			l, e->value, &(struct path){.up = &top, .key = e->key}, &p->volumes[i]);
	}
}

static struct compose_secret *decode_secrets(
	struct loader *l, struct node *root, const char *name, const char *what, size_t *ret_len)
{
	const struct node *n = section(root, name, ret_len);
	struct path top = {.key = name};
	struct compose_secret *list = arena_array(l->a, struct compose_secret, *ret_len + 1);
	for (size_t i = 0; i < *ret_len; i++) {
		const struct node_entry *e = &n->map.entries[i];
		list[i].key = e->key;
		list[i].at = e->at;
		decode_secret(
			l, e->value, what, &(struct path){.up = &top, .key = e->key}, &list[i]);
	}
	return list;
}

struct compose_project *decode_project(struct loader *l, struct node *root)
{
	struct compose_project *p = arena_new(l->a, struct compose_project);
	p->name = arena_strdup(l->a, l->name);
	p->text_name = node_get_text(root, "name", NULL);
	p->tree = root;
	p->dir = l->in->dir ? arena_strdup(l->a, l->in->dir) : NULL;
	decode_objects(l, root, p);
	p->secrets = decode_secrets(l, root, "secrets", "secret", &p->secrets_len);
	p->configs = decode_secrets(l, root, "configs", "config", &p->configs_len);
	const struct node *n = section(root, "services", &p->services_len);
	struct path top = {.key = "services"};
	p->services = arena_array(l->a, struct compose_service, p->services_len + 1);
	for (size_t i = 0; i < p->services_len; i++) {
		const struct node_entry *e = &n->map.entries[i];
		p->services[i].key = e->key;
		p->services[i].at = e->at;
		decode_service(
			l, e->value, &(struct path){.up = &top, .key = e->key}, &p->services[i]);
	}
	p->dir_used = l->dir_used;
	p->home_used = l->home_used;
	return p;
}
