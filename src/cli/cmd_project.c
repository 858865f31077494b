#include "cli/commands.h"
#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/text.h"
#include "cli/views.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "skep/v1/auth.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/projects.pb-c.h"

int cmd_need_project(struct cli *c, const char **ret_project)
{
	ProtobufCMessage *reply;
	*ret_project = c->settings.project;
	if (**ret_project)
		return CLI_DONE;
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Auth/WhoAmI", .reply = &skep_v1_msg_caller}, &reply);
	if (code)
		return code;
	*ret_project = ((const Skep__V1__Caller *)reply)->project;
	if (**ret_project)
		return CLI_DONE;
	return cli_usage(c, "which project? Give --project, set SKEP_PROJECT, or name one in the context");
}

bool cmd_limit(struct cli *c, uint64_t otherwise, uint64_t *ret_limit)
{
	const char *text = cli_option(c, "limit");
	*ret_limit = otherwise;
	if (!text || str_to_u64(str_of(text), ret_limit))
		return true;
	(void)cli_usage(c, "--limit %s: expected a number; 0 = all", text);
	return false;
}

int cmd_time(struct cli *c, const char *name, const char *otherwise, Google__Protobuf__Timestamp **ret_time)
{
	const char *text = cli_option(c, name) ? cli_option(c, name) : otherwise;
	uint64_t ms;
	int64_t us;
	if (!text)
		return CLI_DONE;
	if (text_parse_span(text, &ms))
		us = cli_now_us() - (int64_t)ms * 1000;
	else
		us = time_parse(text);
	if (us <= 0)
		return cli_usage(c, "--%s %s: expected a time as 90s, 10m, 2h or 2026-03-01T12:00:00Z", name, text);
	*ret_time = arena_new(c->arena, Google__Protobuf__Timestamp);
	google__protobuf__timestamp__init(*ret_time);
	(*ret_time)->seconds = us / 1000000;
	(*ret_time)->nanos = (int32_t)(us % 1000000 * 1000);
	return CLI_DONE;
}

static bool take_number(struct cli *c, const char *option, const char *text, int64_t min, int64_t max, int32_t *ret_value)
{
	int64_t n;
	if (!text)
		return true;
	if (!str_to_i64(str_of(text), &n) || n < min || n > max) {
		(void)cli_usage(c, "--%s %s: expected a number from %lld to %lld", option, text, (long long)min, (long long)max);
		return false;
	}
	*ret_value = (int32_t)n;
	return true;
}

int cmd_project_update(struct cli *c)
{
	Skep__V1__UpdateProjectRequest r = SKEP__V1__UPDATE_PROJECT_REQUEST__INIT;
	ProtobufCMessage *reply;
	const char *description = cli_option(c, "description"), *policy = cli_option(c, "drift-policy");
	const char *weight = cli_option(c, "weight"), *most = cli_option(c, "max-running");
	int value = 0;
	if (!description && !policy && !weight && !most)
		return cli_usage(c, "nothing to change: give --description, --drift-policy, --weight or --max-running");
	if (!take_number(c, "weight", weight, 1, 100, &r.weight) || !take_number(c, "max-running", most, -1, 10000, &r.max_running))
		return CLI_USAGE;
	if (most && r.max_running == 0)
		r.max_running = -1;
	r.project = message_str(c->args.args[0]);
	if (description)
		r.description = message_str(description);
	if (policy)
		(void)enum_parse(&skep__v1__drift_policy__descriptor, policy, &value);
	r.drift_policy = (Skep__V1__DriftPolicy)value;
	r.request_id = message_str(cli_request_id(c));
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Projects/Update", .reply = &skep_v1_msg_project,
		.request = &r.base, .resend = true}, &reply);
	if (code == CLI_DONE)
		view_one(c, &view_project, &skep_v1_msg_project, reply);
	return code;
}

int cmd_project_create(struct cli *c)
{
	Skep__V1__CreateProjectRequest r = SKEP__V1__CREATE_PROJECT_REQUEST__INIT;
	ProtobufCMessage *reply;
	const char *description = cli_option(c, "description");
	r.name = message_str(c->args.args[0]);
	if (description)
		r.description = message_str(description);
	r.request_id = message_str(cli_request_id(c));
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Projects/Create", .reply = &skep_v1_msg_project,
		.request = &r.base, .resend = true}, &reply);
	if (code)
		return code;
	if (c->format == FORMAT_TABLE)
		cli_print(c, "project %s created\n", ((const Skep__V1__Project *)reply)->name);
	else
		view_one(c, &view_project, &skep_v1_msg_project, reply);
	return CLI_DONE;
}

int cmd_project_ls(struct cli *c)
{
	Skep__V1__ListProjectsRequest r = SKEP__V1__LIST_PROJECTS_REQUEST__INIT;
	struct cli_items items;
	int code = view_fetch(c, &(struct cli_call){.method = "/skep.v1.Projects/List",
		.reply = &skep_v1_msg_list_projects_response, .request = &r.base}, 0, &items);
	if (code)
		return code;
	view_list(c, &view_project, &items);
	return CLI_DONE;
}

int cmd_project_get(struct cli *c)
{
	Skep__V1__GetProjectRequest r = SKEP__V1__GET_PROJECT_REQUEST__INIT;
	ProtobufCMessage *reply;
	r.project = message_str(c->args.args[0]);
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Projects/Get", .reply = &skep_v1_msg_project,
		.request = &r.base}, &reply);
	if (code)
		return code;
	view_one(c, &view_project, &skep_v1_msg_project, reply);
	return CLI_DONE;
}

static int remove_one(struct cli *c, const char *name)
{
	Skep__V1__DeleteProjectRequest r = SKEP__V1__DELETE_PROJECT_REQUEST__INIT;
	ProtobufCMessage *reply;
	r.project = message_str(name);
	r.request_id = message_str(cli_request_id(c));
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Projects/Delete", .reply = &google_protobuf_msg_empty,
		.request = &r.base, .resend = true}, &reply);
	if (code == CLI_DONE)
		cli_print(c, c->format == FORMAT_TABLE ? "project %s removed\n" : "%s\n", name);
	return code;
}

int cmd_project_rm(struct cli *c)
{
	int worst = CLI_DONE;
	for (size_t i = 0; i < c->args.n_args && worst != CLI_INTERRUPTED; i++) {
		int code = remove_one(c, c->args.args[i]);
		worst = code > worst ? code : worst;
	}
	return worst;
}
