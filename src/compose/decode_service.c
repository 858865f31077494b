/* decode_service: one service's canonical mapping → struct compose_service. */
#include "compose/decode.h"
#include <stdlib.h>
#include <string.h>
#include "base/size.h"

struct scope { /* the service at hand */
	struct loader *l;
	struct compose_service *s;
	const struct node *n;
	const struct path *path;
};

static const struct node *list_of(const struct scope *c, const char *key, size_t *ret_len)
{
	const struct node *n = node_get(c->n, key);
	*ret_len = node_is(n, NODE_SEQ) ? n->seq.len : 0;
	return n;
}

static const struct node *names_of(const struct scope *c, const char *key, size_t *ret_len)
{
	const struct node *n = node_get(c->n, key);
	*ret_len = node_is(n, NODE_MAP) ? n->map.len : 0;
	return n;
}

static void service_error(const struct scope *c, const struct node *at, const char *key,
	const char *hint, const char *what)
{
	struct path path = {.up = c->path, .key = key};
	loader_error(c->l, at ? at->at : c->s->at, &path, hint, "service %s: %s", c->s->key, what);
}

/* ---- ports, volumes ---- */

static void decode_ports(const struct scope *c)
{
	const struct node *n = list_of(c, "ports", &c->s->ports_len);
	const struct schema_key *table = schema_service("ports")->sub;
	c->s->ports = arena_array(c->l->a, struct compose_port, c->s->ports_len + 1);
	for (size_t i = 0; i < c->s->ports_len; i++) {
		struct compose_port *p = &c->s->ports[i];
		decode_fields(c->l, n->seq.items[i], table, p);
		p->at = n->seq.items[i]->at;
		p->target = decode_int(n->seq.items[i], "target", 0);
		p->published = decode_int(n->seq.items[i], "published", 0);
	}
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

/* A Windows share with a path, as Go tells it: \\server\share\path. */
static bool is_share(const char *path)
{
	if (strlen(path) < 5 || !is_slash(path[0]) || !is_slash(path[1]) || is_slash(path[2]) ||
		path[2] == '.')
		return false;
	size_t n = 3 + strcspn(path + 3, "/\\");
	if (!path[n] || !path[n + 1] || is_slash(path[n + 1]) || path[n + 1] == '.')
		return false;
	return path[n + 1 + strcspn(path + n + 1, "/\\")] != '\0';
}

static bool is_absolute(const char *path)
{
	bool letter = (path[0] >= 'a' && path[0] <= 'z') || (path[0] >= 'A' && path[0] <= 'Z');
	return path[0] == '/' || (letter && path[1] == ':' && is_slash(path[2])) || is_share(path);
}

#define DIR_HINT                                                                                   \
	"write an absolute path, say as `directory` of the request which folder the texts are in, " \
	"or use a volume or a config"
#define HOME_HINT "write an absolute path, or say as `home` of the request what ~ is"

/* A bind source is a path of the nodes: "~" and relative paths become absolute, as on the caller's
 * machine. */
static void resolve_source(const struct scope *c, const struct node *at, struct compose_mount *m)
{
	struct loader *l = c->l;
	if (!m->source || !*m->source) {
		struct path path = {.up = c->path, .key = "volumes"};
		loader_error(l, at->at, &path, "give it a source",
			"invalid mount config for type \"bind\": field Source must not be empty");
		return;
	}
	if (m->source[0] == '~') {
		if (l->in->home)
			m->source = arena_fmt(l->a, "%s%s", l->in->home, m->source + 1);
		else
			service_error(c, at, "volumes", HOME_HINT,
				"a bind source that begins with ~ means nothing on the nodes");
		l->home_used |= l->in->home != NULL;
	}
	if (is_absolute(m->source) || m->source[0] == '~')
		return;
	m->source = loader_path(l, at->at, m->source);
	l->dir_used |= l->in->dir != NULL;
	if (l->in->dir)
		m->source = form_path(l->a, l->in->dir, m->source);
	else
		service_error(c, at, "volumes", DIR_HINT,
			arena_fmt(l->a, "the relative bind source %s means nothing on the nodes",
				m->source));
}

/* "/run:size=64m,mode=1777,ro" */
static void decode_tmpfs(const struct scope *c, const struct node *item, struct compose_mount *m)
{
	struct str options = str_of(item->text);
	m->at = item->at;
	m->type = "tmpfs";
	m->target = str_dup(c->l->a, str_cut(&options, ':'));
	m->has_tmpfs = true;
	while (options.ptr) {
		struct str value = str_cut(&options, ',');
		struct str name = str_cut(&value, '=');
		const char *text = str_dup(c->l->a, value);
		bool mode = str_is(name, "mode") && *text && strlen(text) <= 6 &&
			    strspn(text, "01234567") == strlen(text);
		for (const char *p = text; mode && *p; p++)
			m->tmpfs_mode = m->tmpfs_mode * 8 + (*p - '0');
		if (str_is(name, "ro") || str_is(name, "rw"))
			m->read_only = str_is(name, "ro");
		else if (!mode &&
			 !(str_is(name, "size") && size_parse(str_of(text), &m->tmpfs_size)))
			service_error(c, item, "tmpfs", "/run:size=64m,mode=1777",
				arena_fmt(c->l->a, "the option " STR_FMT " of a tmpfs is not known",
					STR_ARG(name)));
	}
}

static void decode_volumes(const struct scope *c)
{
	const struct node *n = list_of(c, "volumes", &c->s->volumes_len);
	const struct schema_key *table = schema_service("volumes")->sub;
	size_t tmpfs_len;
	const struct node *tmpfs = list_of(c, "tmpfs", &tmpfs_len);
	c->s->volumes =
		arena_array(c->l->a, struct compose_mount, c->s->volumes_len + tmpfs_len + 1);
	for (size_t i = 0; i < c->s->volumes_len; i++) {
		struct compose_mount *m = &c->s->volumes[i];
		const struct node *item = n->seq.items[i];
		decode_fields(c->l, item, table, m);
		m->at = item->at;
		m->has_bind = node_is(node_get(item, "bind"), NODE_MAP);
		m->has_volume = node_is(node_get(item, "volume"), NODE_MAP);
		m->has_tmpfs = node_is(node_get(item, "tmpfs"), NODE_MAP);
		m->has_image = node_is(node_get(item, "image"), NODE_MAP);
		m->has_cluster = node_is(node_get(item, "cluster"), NODE_MAP);
		m->tmpfs_size = decode_int(node_get(item, "tmpfs"), "size", 0);
		m->tmpfs_mode =
			c->l->in->compat ? 0 : decode_int(node_get(item, "tmpfs"), "mode", 0);
		m->type = m->type && *m->type ? m->type : "volume";
		if (strcmp(m->type, "bind") == 0)
			resolve_source(c, item, m);
	}
	for (size_t i = 0; i < tmpfs_len && !c->l->in->compat; i++)
		decode_tmpfs(c, tmpfs->seq.items[i], &c->s->volumes[c->s->volumes_len++]);
}

/* ---- secrets, configs, networks, depends_on ---- */

static struct compose_file_use *decode_files(
	const struct scope *c, const char *key, size_t *ret_len)
{
	const struct node *n = list_of(c, key, ret_len);
	struct compose_file_use *list = arena_array(c->l->a, struct compose_file_use, *ret_len + 1);
	for (size_t i = 0; i < *ret_len; i++) {
		decode_fields(c->l, n->seq.items[i], schema_service(key)->sub, &list[i]);
		list[i].at = n->seq.items[i]->at;
		list[i].source = list[i].source ? list[i].source : "";
	}
	return list;
}

static void decode_networks(const struct scope *c)
{
	const struct node *n = names_of(c, "networks", &c->s->networks_len);
	struct compose_attachment *list =
		arena_array(c->l->a, struct compose_attachment, c->s->networks_len + 1);
	c->s->networks = list;
	for (size_t i = 0; i < c->s->networks_len; i++) {
		decode_fields(
			c->l, n->map.entries[i].value, schema_service("networks")->sub, &list[i]);
		list[i].network = n->map.entries[i].key;
		list[i].at = n->map.entries[i].at;
	}
	if (c->s->networks_len == 0) {
		list[0] = (struct compose_attachment){.network = "default", .at = c->s->at};
		c->s->networks_len = 1;
	}
}

static void decode_depends(const struct scope *c)
{
	const struct node *n = names_of(c, "depends_on", &c->s->depends_on_len);
	c->s->depends_on = arena_array(c->l->a, struct compose_depends, c->s->depends_on_len + 1);
	for (size_t i = 0; i < c->s->depends_on_len; i++) {
		const struct node_entry *e = &n->map.entries[i];
		const struct node *required = node_get(e->value, "required");
		const char *condition = node_get_text(e->value, "condition", "service_started");
		struct compose_depends *d = &c->s->depends_on[i];
		*d = (struct compose_depends){.at = e->at, .service = e->key};
		d->optional = node_is(required, NODE_BOOL) && !required->flag;
		if (strcmp(condition, "service_healthy") == 0)
			d->condition = COMPOSE_HEALTHY;
		else if (strcmp(condition, "service_completed_successfully") == 0)
			d->condition = COMPOSE_COMPLETED;
		else if (strcmp(condition, "service_started") != 0)
			service_error(c, node_get(e->value, "condition"), "depends_on",
				"service_started, service_healthy or "
				"service_completed_successfully",
				arena_fmt(c->l->a, "unknown condition: %s", condition));
	}
}

/* ---- deploy ---- */

static void decode_mode(const struct scope *c, const struct node *deploy)
{
	static const struct {
		const char *name;
		enum compose_mode mode;
	} modes[] = {{"", COMPOSE_REPLICATED}, {"replicated", COMPOSE_REPLICATED},
		{"global", COMPOSE_GLOBAL}, {"replicated-job", COMPOSE_REPLICATED_JOB},
		{"global-job", COMPOSE_GLOBAL_JOB}};
	const char *name = node_get_text(deploy, "mode", "");
	size_t i = 0;
	while (i < 5 && strcmp(modes[i].name, name) != 0)
		i++;
	if (i == 5) {
		service_error(c, node_get(deploy, "mode"), "deploy",
			"replicated, global, replicated-job or global-job",
			arena_fmt(c->l->a, "Unknown mode: %s", name));
		return;
	}
	c->s->mode = modes[i].mode;
	if (c->s->replicas.set &&
		(c->s->mode == COMPOSE_GLOBAL || c->s->mode == COMPOSE_GLOBAL_JOB))
		service_error(c, node_get(deploy, "replicas"), "deploy",
			"a global service has a task on every node",
			"replicas can only be used with replicated or replicated-job mode");
}

/* The Compose specification's older word for deploy.replicas. */
static void decode_scale(const struct scope *c)
{
	const struct node *scale = node_get(c->n, "scale");
	if (!node_is(scale, NODE_INT))
		return;
	if (c->s->replicas.set && c->s->replicas.value != scale->number)
		service_error(c, scale, "scale", "leave scale out",
			"scale and deploy.replicas say different numbers");
	c->s->replicas = (struct opt_i64){true, scale->number};
}

static void check_word(const struct scope *c, const struct node *map, const char *section,
	const char *key, const char *const *words, const char *list)
{
	const struct node *n = node_get(map, key);
	if (!node_is(n, NODE_STRING) || *n->text == '\0')
		return;
	for (; *words; words++)
		if (strcmp(*words, n->text) == 0)
			return;
	struct path deploy = {.up = c->path, .key = "deploy"}, up = {.up = &deploy, .key = section};
	struct path path = {.up = &up, .key = key};
	const char *where = path_text(c->l->a, &path, PATH_DOTS);
	loader_error(c->l, n->at, &path, NULL, "%s%s%s must be one of the following: %s", where,
		c->l->in->compat ? " " : "", c->l->in->compat ? where : "", list);
}

static void decode_rollout(const struct scope *c, const struct node *deploy, const char *key,
	struct compose_rollout *r)
{
	static const char *const orders[] = {"start-first", "stop-first", NULL};
	static const char *const actions[] = {"pause", "continue", "rollback", NULL};
	const struct node *n = node_get(deploy, key);
	r->set = node_is(n, NODE_MAP);
	check_word(c, n, key, "order", orders, "\"start-first\", \"stop-first\"");
	if (!c->l->in->compat)
		check_word(c, n, key, "failure_action", actions,
			"\"pause\", \"continue\", \"rollback\"");
}

static void decode_amounts(const struct scope *c, const struct node *deploy)
{
	const struct node *resources = node_get(deploy, "resources");
	const struct node *limits = node_get(resources, "limits"),
			  *wants = node_get(resources, "reservations");
	const struct node *list = node_get(wants, "generic_resources");
	struct compose_amount *r = &c->s->reservations;
	c->s->limits.set = node_is(limits, NODE_MAP);
	c->s->limits.pids = decode_int(limits, "pids", 0);
	r->set = node_is(wants, NODE_MAP);
	if (!node_is(list, NODE_SEQ) || list->seq.len == 0)
		return;
	r->generic = arena_array(c->l->a, struct compose_generic, list->seq.len);
	for (size_t i = 0; i < list->seq.len; i++) {
		const struct node *spec = node_get(list->seq.items[i], "discrete_resource_spec");
		r->generic[r->generic_len++] = (struct compose_generic){
			.kind = spec ? node_get_text(spec, "kind", "") : NULL,
			.value = decode_int(spec, "value", 0)};
	}
}

static void decode_restart(const struct scope *c, const struct node *deploy)
{
	static const char *const conditions[] = {"none", "on-failure", "any", NULL};
	const struct node *policy = node_get(deploy, "restart_policy"),
			  *restart = node_get(c->n, "restart");
	c->s->restart_policy.set = node_is(policy, NODE_MAP);
	if (c->s->restart_policy.set) {
		if (!c->l->in->compat)
			check_word(c, policy, "restart_policy", "condition", conditions,
				"\"none\", \"on-failure\", \"any\"");
	} else if (node_is(restart, NODE_STRING)) {
		const char *error = form_restart(c->l->a, restart->text, &c->s->restart_policy);
		if (error)
			service_error(c, restart, "restart",
				"no, always, unless-stopped or on-failure[:n]", error);
	}
}

static void decode_deploy(const struct scope *c)
{
	const struct node_entry *e = node_entry(c->n, "deploy");
	const struct node *deploy = e ? e->value : NULL;
	c->s->deploy_at = e ? e->at : c->s->at;
	decode_scale(c);
	decode_mode(c, deploy);
	decode_rollout(c, deploy, "update_config", &c->s->update_config);
	decode_rollout(c, deploy, "rollback_config", &c->s->rollback_config);
	decode_amounts(c, deploy);
	decode_restart(c, deploy);
	const struct node *placement = node_get(deploy, "placement");
	const struct node *preferences = node_get(placement, "preferences");
	c->s->max_replicas_per_node = decode_int(placement, "max_replicas_per_node", 0);
	if (node_is(preferences, NODE_SEQ) && preferences->seq.len) {
		c->s->spread.items = arena_array(c->l->a, const char *, preferences->seq.len);
		for (size_t i = 0; i < preferences->seq.len; i++)
			c->s->spread.items[c->s->spread.len++] =
				node_get_text(preferences->seq.items[i], "spread", "");
	}
}

/* ---- the rest ---- */

static int by_word(const void *x, const void *y)
{
	const char *const *a = x, *const *b = y;
	return strcmp(*a, *b);
}

/* Capabilities as the Engine wants them, sorted, each once; ALL swallows the rest. */
static void normal_capabilities(struct arena *a, struct compose_strings *caps)
{
	size_t kept = 0;
	for (size_t i = 0; i < caps->len; i++)
		caps->items[i] = form_capability(a, caps->items[i]);
	if (caps->len)
		qsort(caps->items, caps->len, sizeof(*caps->items), by_word);
	for (size_t i = 0; i < caps->len; i++) {
		if (strcmp(caps->items[i], "ALL") == 0) {
			caps->items[0] = "ALL";
			caps->len = 1;
			return;
		}
	}
	for (size_t i = 0; i < caps->len; i++)
		if (kept == 0 || strcmp(caps->items[kept - 1], caps->items[i]) != 0)
			caps->items[kept++] = caps->items[i];
	caps->len = kept;
}

static void decode_capabilities(const struct scope *c)
{
	struct compose_strings *add = &c->s->cap_add, *drop = &c->s->cap_drop;
	normal_capabilities(c->l->a, add);
	normal_capabilities(c->l->a, drop);
	size_t kept = 0;
	for (size_t i = 0; i < drop->len; i++)
		if (add->len == 0 || !bsearch(&drop->items[i], add->items, add->len,
					     sizeof(*add->items), by_word))
			drop->items[kept++] = drop->items[i];
	drop->len = kept;
}

static int by_limit(const void *x, const void *y)
{
	const struct compose_ulimit *a = x, *b = y;
	return strcmp(a->name, b->name);
}

static void decode_ulimits(const struct scope *c)
{
	const struct node *n = names_of(c, "ulimits", &c->s->ulimits_len);
	c->s->ulimits = arena_array(c->l->a, struct compose_ulimit, c->s->ulimits_len + 1);
	for (size_t i = 0; i < c->s->ulimits_len; i++)
		c->s->ulimits[i] = (struct compose_ulimit){
			.name = n->map.entries[i].key,
			.soft = decode_int(n->map.entries[i].value, "soft", 0),
			.hard = decode_int(n->map.entries[i].value, "hard", 0),
		};
	qsort(c->s->ulimits, c->s->ulimits_len, sizeof(*c->s->ulimits), by_limit);
}

static void decode_credential(const struct scope *c)
{
	static const char *const names[] = {"\"Config\"", "\"File\"", "\"Registry\""};
	struct compose_credential *s = &c->s->credential_spec;
	const char *values[] = {s->config, s->file, s->registry}, *given[3];
	size_t n = 0;
	for (size_t i = 0; i < 3; i++)
		if (values[i] && *values[i])
			given[n++] = names[i];
	s->set = n != 0;
	if (n == 2)
		service_error(c, node_get(c->n, "credential_spec"), "credential_spec", NULL,
			arena_fmt(c->l->a, "invalid credential spec: cannot specify both %s and %s",
				given[0], given[1]));
	if (n == 3)
		service_error(c, node_get(c->n, "credential_spec"), "credential_spec", NULL,
			arena_fmt(c->l->a,
				"invalid credential spec: cannot specify both %s, %s, and %s",
				given[0], given[1], given[2]));
}

static void decode_image(const struct scope *c)
{
	const struct node_entry *e = node_entry(c->n, "image");
	struct path path = {.up = c->path, .key = "image"};
	c->s->image_at = e ? e->at : c->s->at;
	if (!c->s->image || !*c->s->image) {
		if (!e ||
			e->value->kind != NODE_NULL) /* null: reported as it is of the wrong type */
			loader_error(c->l, c->s->image_at, &path,
				"every service of a stack needs an image: key",
				"invalid image reference for service %s: no image specified",
				c->s->key);
		return;
	}
	const char *error = form_image(c->l->a, c->s->image, &c->s->image_full);
	if (error)
		loader_error(c->l, c->s->image_at, &path, "[registry/]name[:tag][@sha256:digest]",
			"invalid image reference for service %s: %s", c->s->key, error);
}

void decode_service(
	struct loader *l, const struct node *n, const struct path *path, struct compose_service *s)
{
	struct scope c = {.l = l, .s = s, .n = n, .path = path};
	decode_fields(l, n, schema_find(schema_root, "services")->sub, s);
	decode_image(&c);
	decode_ports(&c);
	decode_volumes(&c);
	s->secrets = decode_files(&c, "secrets", &s->secrets_len);
	s->configs = decode_files(&c, "configs", &s->configs_len);
	decode_networks(&c);
	decode_depends(&c);
	decode_deploy(&c);
	decode_capabilities(&c);
	decode_ulimits(&c);
	decode_credential(&c);
	s->has_logging = node_is(node_get(n, "logging"), NODE_MAP);
	s->healthcheck.set = node_is(node_get(n, "healthcheck"), NODE_MAP);
	if (s->healthcheck.disable && s->healthcheck.test.len)
		service_error(&c, node_get(n, "healthcheck"), "healthcheck", NULL,
			"test and disable can't be set at the same time");
	s->has_dns = node_is(node_get(n, "dns"), NODE_SEQ) ||
		     node_is(node_get(n, "dns_search"), NODE_SEQ) ||
		     node_is(node_get(n, "dns_opt"), NODE_SEQ);
}
