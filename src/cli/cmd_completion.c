#include "cli/commands.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/text.h"
#include "cli/views.h"
#include "skep/v1/common.pb-c.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/projects.pb-c.h"
#include "skep/v1/schedules.pb-c.h"
#include "skep/v1/stacks.pb-c.h"

#define ASK_MS  1500 /* who presses Tab does not wait longer */
#define ASK_MAX 100

int cmd_completion(struct cli *c)
{
	const char *script = complete_script(c->args.args[0]);
	if (!script)
		return cli_usage(c, "%s: expected bash, zsh or fish", c->args.args[0]);
	cli_print(c, "%s", script);
	return CLI_DONE;
}

/* Names that the daemon knows. Whatever goes wrong: none. */
static void add_names(struct cli *c, const struct cli_call *call, const struct cli_view *v, const char *front,
	const char *typed, struct buf *b)
{
	ProtobufCMessage *reply, **items;
	size_t n;
	struct status st = cli_call_quietly(c, call, &reply);
	if (!status_is_ok(&st) || !message_items(call->reply, reply, &n, &items))
		return;
	for (size_t i = 0; i < n; i++) {
		const char *name = v->name(c, items[i]);
		if (strncmp(name, typed, strlen(typed)) == 0)
			buf_fmt(b, "%s%s\t\n", front, text_line(c->arena, name));
	}
}

static void ask_daemon(struct cli *c, enum cli_names names, const char *front, const char *typed, struct buf *b)
{
	Skep__V1__Page page = SKEP__V1__PAGE__INIT;
	Skep__V1__ListProjectsRequest projects = SKEP__V1__LIST_PROJECTS_REQUEST__INIT;
	Skep__V1__ListStacksRequest stacks = SKEP__V1__LIST_STACKS_REQUEST__INIT;
	Skep__V1__ListJobsRequest jobs = SKEP__V1__LIST_JOBS_REQUEST__INIT;
	Skep__V1__ListSchedulesRequest schedules = SKEP__V1__LIST_SCHEDULES_REQUEST__INIT;
	struct cli_call call = {.timeout_ms = ASK_MS};
	const struct cli_view *view = NULL;
	page.page_size = ASK_MAX;
	projects.page = stacks.page = jobs.page = schedules.page = &page;
	stacks.project = jobs.project = schedules.project = message_str(c->settings.project);
	if (names == NAMES_PROJECT) {
		call.method = "/skep.v1.Projects/List";
		call.reply = &skep_v1_msg_list_projects_response;
		call.request = &projects.base;
		view = &view_project;
	} else if (names == NAMES_STACK) {
		call.method = "/skep.v1.Stacks/List";
		call.reply = &skep_v1_msg_list_stacks_response;
		call.request = &stacks.base;
		view = &view_stack;
	} else if (names == NAMES_SCHEDULE) {
		call.method = "/skep.v1.Schedules/List";
		call.reply = &skep_v1_msg_list_schedules_response;
		call.request = &schedules.base;
		view = &view_schedule;
	} else {
		call.method = "/skep.v1.Jobs/List";
		call.reply = &skep_v1_msg_list_jobs_response;
		call.request = &jobs.base;
		view = &view_job;
	}
	add_names(c, &call, view, front, typed, b);
}

static void add_contexts(struct cli *c, const char *front, const char *typed, struct buf *b)
{
	const char *path = settings_path(c->arena, c->host->env), *name;
	json_t *config, *context;
	if (!path)
		return;
	struct status st = settings_read(c->arena, path, &config);
	if (!status_is_ok(&st))
		return;
	json_object_foreach (json_object_get(config, "contexts"), name, context)
		if (strncmp(name, typed, strlen(typed)) == 0)
			buf_fmt(b, "%s%s\t%s\n", front, name, json_text(context, "address", ""));
	json_decref(config);
}

/* `--project x` of the line that is being typed is ours too. */
static void adopt_options(struct cli *c)
{
	struct cli_args typed;
	struct status st = command_parse(c->arena, &cli_program, c->args.n_args, c->args.args, &typed);
	(void)st; /* the line is not whole yet */
	struct settings_given given = cli_given(&typed);
	struct settings settings;
	st = settings_resolve(c->arena, &given, c->host->env, &settings);
	if (status_is_ok(&st))
		c->settings = settings;
}

int cmd_complete(struct cli *c)
{
	struct buf b = {0};
	enum cli_names names;
	const char *front, *typed = c->args.n_args ? c->args.args[c->args.n_args - 1] : "";
	complete_words(c->arena, &cli_program, c->args.n_args, c->args.args, &b, &names, &front);
	typed += strlen(front);
	adopt_options(c);
	switch (names) {
	case NAMES_NONE:
	case NAMES_SHELL:
		break;
	case NAMES_FILE:
		buf_adds(&b, ":files\n");
		break;
	case NAMES_CONTEXT:
		add_contexts(c, front, typed, &b);
		break;
	case NAMES_PROJECT:
	case NAMES_STACK:
	case NAMES_JOB:
	case NAMES_SCHEDULE:
		ask_daemon(c, names, front, typed, &b);
		break;
	}
	cli_write(c, &b);
	return CLI_DONE;
}
