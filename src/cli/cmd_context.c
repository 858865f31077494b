/* The context file, by command. */
#include "cli/commands.h"
#include <stdlib.h>
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "cli/view.h"

static int read_config(struct cli *c, const char **ret_path, json_t **ret_config)
{
	struct status st;
	*ret_path = settings_path(c->arena, c->host->env);
	if (!*ret_path)
		return cli_usage(c, "no place for a context file: set SKEP_CONFIG or HOME");
	st = settings_read(c->arena, *ret_path, ret_config);
	return status_is_ok(&st) ? CLI_DONE : cli_fail(c, &st);
}

/* Writes it back, and lets go of it. */
static int write_config(struct cli *c, const char *path, json_t *config)
{
	struct status st = settings_write(c->arena, path, config);
	json_decref(config);
	return status_is_ok(&st) ? CLI_DONE : cli_fail(c, &st);
}

static json_t *without_tokens(const json_t *contexts)
{
	json_t *list = json_array(), *context;
	const char *name;
	json_object_foreach ((json_t *)(uintptr_t)contexts, name, context)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b}", "name", name, "address",
			json_text(context, "address", ""), "project", json_text(context, "project", ""),
			"hasToken", *json_text(context, "token", "") != '\0'));
	return list;
}

static void ls_table(struct cli *c, const json_t *contexts, const char *current)
{
	static const char *const headers[] = {"CURRENT", "NAME", "ADDRESS", "PROJECT", "TOKEN", NULL};
	struct table *t = table_create(c->arena, headers);
	struct buf b = {0};
	const char *name;
	json_t *context;
	json_object_foreach ((json_t *)(uintptr_t)contexts, name, context) {
		table_cell(t, strcmp(name, current) == 0 ? "*" : "");
		table_cell(t, name);
		table_cell(t, json_text(context, "address", SETTINGS_ADDRESS));
		table_cell(t, json_text(context, "project", ""));
		table_cell(t, *json_text(context, "token", "") ? "yes" : "no");
	}
	table_print(t, c->color, &b);
	cli_write(c, &b);
}

int cmd_context_ls(struct cli *c)
{
	const char *path, *name;
	json_t *config = NULL, *contexts, *context;
	int code = read_config(c, &path, &config);
	if (code)
		return code;
	contexts = json_object_get(config, "contexts");
	switch (c->format) {
	case FORMAT_TABLE:
		ls_table(c, contexts, json_text(config, "current", ""));
		break;
	case FORMAT_NAME:
		json_object_foreach (contexts, name, context)
			cli_print(c, "%s\n", name);
		break;
	case FORMAT_JSON:
	case FORMAT_YAML:
		view_json(c, without_tokens(contexts));
		break;
	}
	json_decref(config);
	return CLI_DONE;
}

static int unknown(struct cli *c, const char *name, json_t *config)
{
	struct status st = status_err(ST_NOT_FOUND, "context \"%s\" does not exist (skep context ls)", name);
	json_decref(config);
	return cli_fail(c, &st);
}

int cmd_context_use(struct cli *c)
{
	const char *path, *name = c->args.args[0];
	json_t *config = NULL;
	int code = read_config(c, &path, &config);
	if (code)
		return code;
	if (!json_object_get(json_object_get(config, "contexts"), name))
		return unknown(c, name, config);
	json_object_set_new(config, "current", json_string(name));
	code = write_config(c, path, config);
	if (code == CLI_DONE && !c->quiet)
		cli_print(c, "context %s is in use\n", name);
	return code;
}

int cmd_context_set(struct cli *c)
{
	static const struct {
		const char *option, *key;
		bool is_file;
	} keys[] = {{"host", "address", false}, {"token", "token", false}, {"project", "project", false}, {"ca", "ca", true},
		{"certificate", "certificate", true}, {"key", "key", true}};
	const char *path, *name = c->args.args[0];
	json_t *config = NULL, *contexts, *context;
	int code = read_config(c, &path, &config);
	if (code)
		return code;
	contexts = json_object_get(config, "contexts");
	context = json_object_get(contexts, name);
	if (!json_is_object(context)) {
		context = json_object();
		json_object_set_new(contexts, name, context);
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const char *value = cli_option(c, keys[i].option);
		char *whole = value && keys[i].is_file ? realpath(value, NULL) : NULL; /* good in every folder */
		if (whole)
			value = arena_strdup(c->arena, whole);
		free(whole);
		if (value)
			json_object_set_new(context, keys[i].key, json_lossy(str_of(value)));
	}
	if (!*json_text(config, "current", ""))
		json_object_set_new(config, "current", json_string(name));
	code = write_config(c, path, config);
	if (code == CLI_DONE && !c->quiet)
		cli_print(c, "context %s is set\n", name);
	return code;
}

int cmd_context_rm(struct cli *c)
{
	const char *path, *name = c->args.args[0];
	json_t *config = NULL;
	int code = read_config(c, &path, &config);
	if (code)
		return code;
	if (json_object_del(json_object_get(config, "contexts"), name) != 0)
		return unknown(c, name, config);
	if (strcmp(json_text(config, "current", ""), name) == 0)
		json_object_del(config, "current");
	code = write_config(c, path, config);
	if (code == CLI_DONE && !c->quiet)
		cli_print(c, "context %s is removed\n", name);
	return code;
}
