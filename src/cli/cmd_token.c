#include "cli/commands.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/text.h"
#include "cli/views.h"
#include "skep/v1/auth.pb-c.h"
#include "skep/v1/messages.h"

/* --role and --ttl. */
static int take_options(struct cli *c, Skep__V1__CreateTokenRequest *r)
{
	const char *role = cli_option(c, "role"), *ttl = cli_option(c, "ttl");
	uint64_t ms;
	int value;
	if (!role)
		return cli_usage(c, "which role? --role viewer, deployer, owner or admin");
	if (!enum_parse(&skep__v1__role__descriptor, role, &value))
		return cli_usage(c, "--role %s: there is no such role", role);
	r->role = (Skep__V1__Role)value;
	if (ttl && (!text_parse_span(ttl, &ms) || ms < 1000))
		return cli_usage(c, "--ttl %s: expected a time as 30d or 12h", ttl);
	if (ttl)
		r->ttl_seconds = (int64_t)(ms / 1000);
	return CLI_DONE;
}

int cmd_token_create(struct cli *c)
{
	Skep__V1__CreateTokenRequest r = SKEP__V1__CREATE_TOKEN_REQUEST__INIT;
	ProtobufCMessage *reply;
	const char *project = "";
	int code = take_options(c, &r);
	if (code == CLI_DONE && !cli_flag(c, "all-projects"))
		code = cmd_need_project(c, &project);
	if (code)
		return code;
	r.name = message_str(c->args.args[0]);
	r.project = message_str(project);
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Auth/CreateToken",
		.reply = &skep_v1_msg_create_token_response, .request = &r.base}, &reply);
	if (code)
		return code;
	const Skep__V1__CreateTokenResponse *t = (const Skep__V1__CreateTokenResponse *)reply;
	if (c->format == FORMAT_JSON || c->format == FORMAT_YAML) {
		view_json(c, message_json(&skep_v1_msg_create_token_response, reply));
		return CLI_DONE;
	}
	cli_print(c, "%s\n", t->secret);
	if (c->format == FORMAT_TABLE)
		(void)fprintf(c->host->err, "This is the token, shown this once. It expires %s. Use it as SKEP_TOKEN, or keep "
			"it with: skep context set NAME --token TOKEN\n", t->token && t->token->expires_at
			? text_age(c->arena, cli_now_us(), message_time_us(t->token->expires_at)) : "never");
	return CLI_DONE;
}

int cmd_token_ls(struct cli *c)
{
	Skep__V1__ListTokensRequest r = SKEP__V1__LIST_TOKENS_REQUEST__INIT;
	struct cli_items items;
	if (!cli_flag(c, "all-projects"))
		r.project = message_str(c->settings.project);
	int code = view_fetch(c, &(struct cli_call){.method = "/skep.v1.Auth/ListTokens",
		.reply = &skep_v1_msg_list_tokens_response, .request = &r.base}, 0, &items);
	if (code == CLI_DONE)
		view_list(c, &view_token, &items);
	return code;
}

int cmd_token_rm(struct cli *c)
{
	int worst = CLI_DONE;
	for (size_t i = 0; i < c->args.n_args && worst != CLI_INTERRUPTED; i++) {
		Skep__V1__RevokeTokenRequest r = SKEP__V1__REVOKE_TOKEN_REQUEST__INIT;
		ProtobufCMessage *reply;
		r.id = message_str(c->args.args[i]);
		int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Auth/RevokeToken",
			.reply = &google_protobuf_msg_empty, .request = &r.base}, &reply);
		if (code == CLI_DONE)
			cli_print(c, c->format == FORMAT_TABLE ? "token %s revoked\n" : "%s\n", r.id);
		worst = code > worst ? code : worst;
	}
	return worst;
}
