#include "cli/commands.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/views.h"
#include "cli/watch.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"

/* What --state and --kind ask for; either may be given often. */
static int take_words(struct cli *c, Skep__V1__ListJobsRequest *r)
{
	const struct cli_args *args = &c->args;
	r->states = arena_array(c->arena, Skep__V1__JobState, args->n_given);
	r->kinds = arena_array(c->arena, Skep__V1__JobKind, args->n_given);
	for (size_t i = 0; i < args->n_given; i++) {
		const char *name = args->given[i].option->name, *word = args->given[i].value;
		bool is_kind = strcmp(name, "kind") == 0;
		int v;
		if (!is_kind && strcmp(name, "state") != 0)
			continue;
		if (!enum_parse(is_kind ? &skep__v1__job_kind__descriptor : &skep__v1__job_state__descriptor, word, &v))
			return cli_usage(c, "--%s %s: there is no such %s", name, word, name);
		if (is_kind)
			r->kinds[r->n_kinds++] = (Skep__V1__JobKind)v;
		else
			r->states[r->n_states++] = (Skep__V1__JobState)v;
	}
	return CLI_DONE;
}

static int take_filter(struct cli *c, Skep__V1__ListJobsRequest *r)
{
	int code = take_words(c, r);
	if (code == CLI_DONE)
		code = cmd_time(c, "since", NULL, &r->created_after);
	return code ? code : cmd_time(c, "until", NULL, &r->created_before);
}

int cmd_job_ls(struct cli *c)
{
	Skep__V1__ListJobsRequest r = SKEP__V1__LIST_JOBS_REQUEST__INIT;
	struct cli_items items;
	const char *stack = cli_option(c, "stack");
	uint64_t limit;
	int code = cmd_limit(c, 50, &limit) ? take_filter(c, &r) : CLI_USAGE;
	if (code)
		return code;
	if (!cli_flag(c, "all-projects"))
		r.project = message_str(c->settings.project);
	if (stack)
		r.stack = message_str(stack);
	code = view_fetch(c, &(struct cli_call){.method = "/skep.v1.Jobs/List",
		.reply = &skep_v1_msg_list_jobs_response, .request = &r.base}, limit, &items);
	if (code == CLI_DONE)
		view_list(c, &view_job, &items);
	return code;
}

static int get_job(struct cli *c, const Skep__V1__Job **ret_job)
{
	Skep__V1__GetJobRequest r = SKEP__V1__GET_JOB_REQUEST__INIT;
	ProtobufCMessage *reply;
	r.id = message_str(c->args.args[0]);
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Jobs/Get", .reply = &skep_v1_msg_job,
		.request = &r.base}, &reply);
	if (code == CLI_DONE)
		*ret_job = (const Skep__V1__Job *)reply;
	return code;
}

/* Each that did not succeed, in a line; -o json has all of it. */
static void print_attempts(struct cli *c, const Skep__V1__Job *job)
{
	static const char *const headers[] = {"ATTEMPT", "DAEMON", "ENDED", "CODE", "ERROR", NULL};
	struct table *t = table_create(c->arena, headers);
	struct buf b = {0};
	for (size_t i = 0; i < job->n_attempts; i++) {
		const Skep__V1__JobAttempt *a = job->attempts[i];
		struct str rest = str_of(a->error);
		table_fmt(t, "%d", a->attempt);
		table_cell(t, a->daemon);
		table_cell(t, text_age(c->arena, cli_now_us(), message_time_us(a->ended_at)));
		table_cell(t, a->error_code);
		table_cell(t, str_dup(c->arena, str_cut(&rest, '\n')));
	}
	buf_addc(&b, '\n');
	table_print(t, c->color, &b);
	cli_write(c, &b);
}

int cmd_job_get(struct cli *c)
{
	const Skep__V1__Job *job;
	int code = get_job(c, &job);
	if (code)
		return code;
	view_one(c, &view_job, &skep_v1_msg_job, &job->base);
	if (c->format == FORMAT_TABLE && !c->quiet && job->n_attempts > 0)
		print_attempts(c, job);
	return CLI_DONE;
}

int cmd_job_watch(struct cli *c)
{
	const Skep__V1__Job *job;
	uint64_t timeout_ms;
	int code = watch_timeout(c, &timeout_ms) ? get_job(c, &job) : CLI_USAGE;
	return code ? code : watch_job(c, job, timeout_ms);
}

int cmd_job_cancel(struct cli *c)
{
	Skep__V1__CancelJobRequest r = SKEP__V1__CANCEL_JOB_REQUEST__INIT;
	ProtobufCMessage *reply;
	r.id = message_str(c->args.args[0]);
	r.request_id = message_str(cli_request_id(c));
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Jobs/Cancel", .reply = &skep_v1_msg_job,
		.request = &r.base, .resend = true}, &reply);
	if (code)
		return code;
	const Skep__V1__Job *job = (const Skep__V1__Job *)reply;
	if (c->format != FORMAT_TABLE)
		view_one(c, &view_job, &skep_v1_msg_job, reply);
	else if (job->state == SKEP__V1__JOB_STATE__JOB_STATE_CANCELLED)
		cli_print(c, "job %s is cancelled\n", job->id);
	else
		cli_print(c, "job %s is asked to stop and to take back what it did. See: skep job watch %s\n", job->id,
			job->id);
	return CLI_DONE;
}

static int retry_failed(struct cli *c)
{
	Skep__V1__RetryFailedJobsRequest r = SKEP__V1__RETRY_FAILED_JOBS_REQUEST__INIT;
	ProtobufCMessage *reply;
	const char *project, *stack = cli_option(c, "stack");
	int kind, code = cmd_job_kind(c, &kind);
	r.kind = (Skep__V1__JobKind)kind;
	if (code == CLI_DONE)
		code = cmd_need_project(c, &project);
	if (code)
		return code;
	r.project = message_str(project);
	if (stack)
		r.stack = message_str(stack);
	r.request_id = message_str(cli_request_id(c));
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Jobs/RetryFailed",
		.reply = &skep_v1_msg_retry_failed_jobs_response, .request = &r.base, .resend = true}, &reply);
	if (code)
		return code;
	const Skep__V1__RetryFailedJobsResponse *m = (const Skep__V1__RetryFailedJobsResponse *)reply;
	if (m->n_jobs == 0 && c->format == FORMAT_TABLE && !c->quiet) {
		cli_print(c, "nothing to run again: there is no stack whose last job%s failed\n", kind ? " is of this kind and" : "");
		return CLI_DONE;
	}
	view_list(c, &view_job, &(struct cli_items){&skep_v1_msg_job, (ProtobufCMessage **)m->jobs, m->n_jobs});
	return CLI_DONE;
}

int cmd_job_retry(struct cli *c)
{
	bool failed = cli_flag(c, "failed");
	if (failed == (c->args.n_args > 0))
		return cli_usage(c, "give either the ID of a job or --failed");
	if (failed)
		return retry_failed(c);
	if (cli_option(c, "stack") || cli_option(c, "kind"))
		return cli_usage(c, "--stack and --kind go with --failed");
	Skep__V1__RetryJobRequest r = SKEP__V1__RETRY_JOB_REQUEST__INIT;
	ProtobufCMessage *reply;
	uint64_t timeout_ms;
	if (!watch_timeout(c, &timeout_ms))
		return CLI_USAGE;
	r.id = message_str(c->args.args[0]);
	r.request_id = message_str(cli_request_id(c));
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Jobs/Retry", .reply = &skep_v1_msg_job,
		.request = &r.base, .resend = true}, &reply);
	return code ? code : watch_started(c, (const Skep__V1__Job *)reply);
}
