/* cmd_compose: what Compose files mean, offline: no daemon, no Engine. */
#include "cli/commands.h"
#include "base/arena.h"
#include "base/json.h"
#include "cli/settings.h"
#include "cli/sources.h"
#include "cli/view.h"

static bool like_docker(struct cli *c)
{
	return cli_option(c, "compat") != NULL;
}

/* `otherwise`: the stack's name where nobody gives one; NULL: somebody must. */
static int load(struct cli *c, const char *otherwise, struct compose_project **ret_project)
{
	struct sources s;
	struct compose_problems errors = {0}, warnings = {0};
	int code = sources_collect(c, like_docker(c), &s);
	if (code)
		return code;
	const char *name = sources_name(c, like_docker(c), &s, otherwise);
	if (!name)
		return CLI_USAGE;
	struct compose_input in = {
		.name = name,
		.texts = s.texts,
		.texts_len = s.n_texts,
		.uploads = s.files,
		.uploads_len = s.n_files,
		.variables = s.variables,
		.variables_len = s.n_variables,
		.dir = s.dir,
		.home = env_get(c->host->env, "HOME"),
		.compat = like_docker(c),
	};
	bool ok = compose_load(c->arena, &in, ret_project, &errors, &warnings);
	for (size_t i = 0; i < warnings.len; i++)
		cli_warn(c, compose_problem_text(c->arena, &warnings.items[i]));
	return ok ? CLI_DONE : sources_refuse(c, &errors);
}

/* JSON as it is printed everywhere, or YAML: `otherwise` when the caller did not say. */
static void print(struct cli *c, json_t *j, enum cli_format otherwise)
{
	if (c->format != FORMAT_JSON && c->format != FORMAT_YAML)
		c->format = otherwise;
	view_json(c, j);
}

int cmd_compose_config(struct cli *c)
{
	struct compose_project *p;
	int code = load(c, "stack", &p);
	if (code == CLI_DONE)
		print(c, json_incref(compose_config(c->arena, p, !like_docker(c))), FORMAT_YAML);
	return code;
}

static json_t *bodies(const struct compose_objects *objects)
{
	json_t *list = json_array();
	for (size_t i = 0; i < objects->len; i++)
		if (!objects->items[i].external)
			json_array_append(list, objects->items[i].body);
	return list;
}

int cmd_compose_render(struct cli *c)
{
	struct compose_project *p;
	int code = load(c, NULL, &p);
	if (code)
		return code;
	struct compose_render_options o = {0}; /* docker's names */
	const struct compose_rendering *r = compose_render(c->arena, p, &o);
	json_t *j = json_object();
	json_object_set_new(j, "networks", bodies(&r->networks));
	json_object_set_new(j, "secrets", bodies(&r->secrets));
	json_object_set_new(j, "configs", bodies(&r->configs));
	json_object_set_new(j, "services", bodies(&r->services));
	print(c, j, FORMAT_JSON);
	return CLI_DONE;
}
