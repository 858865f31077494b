/* Credentials for image registries. */
#include "cli/commands.h"
#include <termios.h>
#include <unistd.h>
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/files.h"
#include "cli/message.h"
#include "cli/views.h"
#include "google/protobuf/empty.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/registries.pb-c.h"

#define PASSWORD_MAX 16384

/* A line of the terminal, without echo. */
static struct status ask(struct cli *c, struct str *ret_text)
{
	int fd = fileno(c->host->in);
	struct termios was, quiet;
	char line[PASSWORD_MAX];
	if (tcgetattr(fd, &was) != 0)
		return status_err(ST_UNKNOWN, "the terminal cannot be asked for a password");
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)fprintf(c->host->err, "Password: ");
	(void)fflush(c->host->err);
	(void)tcsetattr(fd, TCSAFLUSH, &quiet);
	const char *got = fgets(line, sizeof(line), c->host->in);
	(void)tcsetattr(fd, TCSAFLUSH, &was);
	(void)fprintf(c->host->err, "\n");
	*ret_text = str_of(arena_strdup(c->arena, got ? line : ""));
	explicit_bzero(line, sizeof(line));
	return status_ok();
}

static int read_password(struct cli *c, const char **ret_password)
{
	struct str text = {0};
	struct status st = isatty(fileno(c->host->in)) == 1
		? ask(c, &text) : file_read_stream(c->arena, c->host->in, "stdin", PASSWORD_MAX, &text);
	if (!status_is_ok(&st))
		return cli_fail(c, &st);
	while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
		text.len--;
	if (text.len == 0 || memchr(text.ptr, '\0', text.len))
		return cli_usage(c, "no password came from stdin: skep registry login -u NAME HOST <password-file");
	*ret_password = str_dup(c->arena, text);
	return CLI_DONE;
}

int cmd_registry_login(struct cli *c)
{
	Skep__V1__SetRegistryRequest r = SKEP__V1__SET_REGISTRY_REQUEST__INIT;
	const char *project, *username = cli_option(c, "username"), *password = "";
	ProtobufCMessage *reply;
	if (!username || !*username)
		return cli_usage(c, "as whom? Give --username");
	int code = cmd_need_project(c, &project);
	if (code == CLI_DONE)
		code = read_password(c, &password);
	if (code)
		return code;
	r.project = message_str(project);
	r.host = message_str(c->args.n_args > 0 ? c->args.args[0] : "");
	r.username = message_str(username);
	r.password = message_str(password);
	r.no_verify = cli_flag(c, "no-verify");
	r.request_id = message_str(cli_request_id(c));
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Registries/Set", .reply = &skep_v1_msg_registry,
		.request = &r.base, .resend = true}, &reply);
	if (code)
		return code;
	if (c->format == FORMAT_TABLE)
		cli_print(c, "registry %s: images are pulled as %s from now on%s\n",
			((const Skep__V1__Registry *)reply)->host, username,
			r.no_verify ? " (it was not asked whether the password is right)" : "");
	else
		view_one(c, &view_registry, &skep_v1_msg_registry, reply);
	return CLI_DONE;
}

int cmd_registry_ls(struct cli *c)
{
	Skep__V1__ListRegistriesRequest r = SKEP__V1__LIST_REGISTRIES_REQUEST__INIT;
	const char *project;
	struct cli_items items;
	int code = cmd_need_project(c, &project);
	if (code)
		return code;
	r.project = message_str(project);
	code = view_fetch(c, &(struct cli_call){.method = "/skep.v1.Registries/List",
		.reply = &skep_v1_msg_list_registries_response, .request = &r.base}, 0, &items);
	if (code == CLI_DONE)
		view_list(c, &view_registry, &items);
	return code;
}

int cmd_registry_logout(struct cli *c)
{
	Skep__V1__DeleteRegistryRequest r = SKEP__V1__DELETE_REGISTRY_REQUEST__INIT;
	const char *project, *host = c->args.n_args > 0 ? c->args.args[0] : "docker.io";
	ProtobufCMessage *reply;
	int code = cmd_need_project(c, &project);
	if (code)
		return code;
	r.project = message_str(project);
	r.host = message_str(host);
	r.request_id = message_str(cli_request_id(c));
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Registries/Delete", .reply = &google_protobuf_msg_empty,
		.request = &r.base, .resend = true}, &reply);
	if (code == CLI_DONE)
		cli_print(c, c->format == FORMAT_TABLE ? "registry %s: credentials removed\n" : "%s\n", host);
	return code;
}
