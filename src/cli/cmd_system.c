#include "cli/commands.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/views.h"
#include "skep/v1/auth.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/system.pb-c.h"

static int call_empty(struct cli *c, const char *method, const struct rpc_message *reply, ProtobufCMessage **ret_reply)
{
	return cli_call(c, &(struct cli_call){.method = method, .reply = reply}, ret_reply);
}

int cmd_whoami(struct cli *c)
{
	ProtobufCMessage *reply;
	int code = call_empty(c, "/skep.v1.Auth/WhoAmI", &skep_v1_msg_caller, &reply);
	if (code == CLI_DONE)
		view_one(c, &view_caller, &skep_v1_msg_caller, reply);
	return code;
}

int cmd_info(struct cli *c)
{
	ProtobufCMessage *reply;
	int code = call_empty(c, "/skep.v1.System/Info", &skep_v1_msg_system_info, &reply);
	if (code == CLI_DONE)
		view_one(c, &view_info, &skep_v1_msg_system_info, reply);
	return code;
}

int cmd_ready(struct cli *c)
{
	ProtobufCMessage *reply;
	int code = call_empty(c, "/skep.v1.System/Ready", &skep_v1_msg_ready_response, &reply);
	if (code)
		return code;
	const Skep__V1__ReadyResponse *r = (const Skep__V1__ReadyResponse *)reply;
	if (c->format == FORMAT_JSON || c->format == FORMAT_YAML)
		view_json(c, message_json(&skep_v1_msg_ready_response, reply));
	else if (!c->quiet)
		view_list(c, &view_dependency, &(struct cli_items){&skep_v1_msg_dependency,
			(ProtobufCMessage **)r->dependencies, r->n_dependencies});
	return r->ready ? CLI_DONE : CLI_FAILED;
}

int cmd_version(struct cli *c)
{
	ProtobufCMessage *reply = NULL;
	const char *server = "";
	int code = CLI_DONE;
	if (!cli_flag(c, "client"))
		code = call_empty(c, "/skep.v1.System/Info", &skep_v1_msg_system_info, &reply);
	if (reply && code == CLI_DONE)
		server = ((const Skep__V1__SystemInfo *)reply)->version;
	if (c->format == FORMAT_JSON || c->format == FORMAT_YAML) {
		view_json(c, json_pack("{s:s, s:s}", "client", SKEP_VERSION, "server", server));
		return code;
	}
	cli_print(c, "skep %s\n", SKEP_VERSION);
	if (*server)
		cli_print(c, "skepd %s\n", server);
	return code;
}
