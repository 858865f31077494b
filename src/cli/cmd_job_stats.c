#include "cli/commands.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/stats.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"

int cmd_job_kind(struct cli *c, int *ret_kind)
{
	const char *word = cli_option(c, "kind");
	*ret_kind = 0;
	if (!word)
		return CLI_DONE;
	if (!enum_parse(&skep__v1__job_kind__descriptor, word, ret_kind) || *ret_kind == 0)
		return cli_usage(c, "--kind %s: there is no such kind", word);
	return CLI_DONE;
}

/* ---- stats ---- */

int cmd_job_stats(struct cli *c)
{
	Skep__V1__JobStatsRequest r = SKEP__V1__JOB_STATS_REQUEST__INIT;
	ProtobufCMessage *reply;
	uint64_t limit;
	if (!cmd_limit(c, 50, &limit))
		return CLI_USAGE;
	r.limit = limit == 0 || limit > 500 ? 500 : (int32_t)limit;
	if (!cli_flag(c, "all-projects"))
		r.project = message_str(c->settings.project);
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Jobs/Stats", .reply = &skep_v1_msg_job_stats,
		.request = &r.base}, &reply);
	return code ? code : stats_print(c, (const Skep__V1__JobStats *)reply);
}

/* ---- pause, resume ---- */

static const char *kind_word(struct cli *c, Skep__V1__JobKind kind)
{
	return enum_word(c->arena, &skep__v1__job_kind__descriptor, (int)kind);
}

/* What it is about: the kind, or else the project. */
static int take_subject(struct cli *c, Skep__V1__JobKind *ret_kind, char **ret_project)
{
	const char *project;
	int kind;
	int code = cmd_job_kind(c, &kind);
	*ret_kind = (Skep__V1__JobKind)kind;
	if (code || kind)
		return code;
	code = cmd_need_project(c, &project);
	if (code == CLI_DONE)
		*ret_project = message_str(project);
	return code;
}

static void say_what(struct cli *c, Skep__V1__JobKind kind, const char *project, const char *state)
{
	if (c->format != FORMAT_TABLE || c->quiet)
		return;
	if (kind)
		cli_print(c, "jobs of kind %s are %s\n", kind_word(c, kind), state);
	else
		cli_print(c, "jobs of project %s are %s\n", project, state);
}

int cmd_job_pause(struct cli *c)
{
	Skep__V1__PauseJobsRequest r = SKEP__V1__PAUSE_JOBS_REQUEST__INIT;
	ProtobufCMessage *reply;
	const char *reason = cli_option(c, "reason");
	int code = take_subject(c, &r.kind, &r.project);
	if (code)
		return code;
	if (reason)
		r.reason = message_str(reason);
	r.request_id = message_str(cli_request_id(c));
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Jobs/Pause", .reply = &google_protobuf_msg_empty,
		.request = &r.base, .resend = true}, &reply);
	if (code == CLI_DONE)
		say_what(c, r.kind, r.project, "paused; what runs goes on");
	return code;
}

int cmd_job_resume(struct cli *c)
{
	Skep__V1__ResumeJobsRequest r = SKEP__V1__RESUME_JOBS_REQUEST__INIT;
	ProtobufCMessage *reply;
	int code = take_subject(c, &r.kind, &r.project);
	if (code)
		return code;
	r.request_id = message_str(cli_request_id(c));
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Jobs/Resume", .reply = &google_protobuf_msg_empty,
		.request = &r.base, .resend = true}, &reply);
	if (code == CLI_DONE)
		say_what(c, r.kind, r.project, "resumed");
	return code;
}
