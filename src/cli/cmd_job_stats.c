#include "cli/commands.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/views.h"
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

static const char *age_of(struct cli *c, const Google__Protobuf__Timestamp *t)
{
	return t ? text_age(c->arena, cli_now_us(), message_time_us(t)) : "-";
}

static const char *kind_word(struct cli *c, Skep__V1__JobKind kind)
{
	return enum_word(c->arena, &skep__v1__job_kind__descriptor, (int)kind);
}

static void print_queues(struct cli *c, const Skep__V1__JobStats *s, struct buf *b)
{
	static const char *const headers[] = {"PROJECT", "KIND", "WAITING", "RUNNING", "OLDEST", NULL};
	struct table *t = table_create(c->arena, headers);
	for (size_t i = 0; i < s->n_queues; i++) {
		const Skep__V1__JobQueue *q = s->queues[i];
		table_cell(t, q->project);
		table_cell(t, kind_word(c, q->kind));
		table_fmt(t, "%d", q->waiting);
		table_fmt(t, "%d", q->running);
		table_cell(t, age_of(c, q->oldest));
	}
	table_print(t, c->color, b);
}

static void print_waiting(struct cli *c, const Skep__V1__JobStats *s, struct buf *b)
{
	static const char *const headers[] = {"WAITING", "KIND", "STACK", "CREATED", "BEFORE", "WHY", NULL};
	struct table *t = table_create(c->arena, headers);
	for (size_t i = 0; i < s->n_waiting; i++) {
		const Skep__V1__WaitingJob *w = s->waiting[i];
		table_cell(t, w->job->id);
		table_cell(t, kind_word(c, w->job->kind));
		table_fmt(t, "%s/%s", w->job->project, w->job->stack);
		table_cell(t, age_of(c, w->job->created_at));
		table_fmt(t, "%d", w->before);
		table_cell(t, w->why);
	}
	table_print(t, c->color, b);
}

static void print_pauses(struct cli *c, const Skep__V1__JobStats *s, struct buf *b)
{
	static const char *const headers[] = {"PAUSED", "SINCE", "BY", "REASON", NULL};
	struct table *t = table_create(c->arena, headers);
	for (size_t i = 0; i < s->n_pauses; i++) {
		const Skep__V1__JobPause *p = s->pauses[i];
		table_fmt(t, "%s %s", p->kind ? "kind" : "project", p->kind ? kind_word(c, p->kind) : p->project);
		table_cell(t, age_of(c, p->paused_at));
		table_cell(t, p->paused_by);
		table_cell(t, p->reason);
	}
	table_print(t, c->color, b);
}

static void print_daemons(struct cli *c, const Skep__V1__JobStats *s, struct buf *b)
{
	static const char *const headers[] = {"DAEMON", "HOST", "VERSION", "JOBS", "STARTED", "SEEN", NULL};
	struct table *t = table_create(c->arena, headers);
	for (size_t i = 0; i < s->n_daemons; i++) {
		const Skep__V1__Daemon *d = s->daemons[i];
		table_cell(t, d->id);
		table_cell(t, d->host);
		table_cell(t, d->version);
		table_fmt(t, "%d/%d", d->running, d->slots);
		table_cell(t, age_of(c, d->started_at));
		table_tone(t, d->alive ? TONE_GOOD : TONE_BAD, d->alive ? "alive" : age_of(c, d->seen_at));
	}
	table_print(t, c->color, b);
}

static void print_stats(struct cli *c, const Skep__V1__JobStats *s)
{
	static void (*const parts[])(struct cli *, const Skep__V1__JobStats *, struct buf *) = {
		print_queues, print_waiting, print_pauses, print_daemons};
	const size_t lengths[] = {s->n_queues, s->n_waiting, s->n_pauses, s->n_daemons};
	struct buf b = {0};
	buf_fmt(&b, "%d waiting, %d running, %d ended in the last minute\n", s->total_waiting, s->total_running,
		s->ended_last_minute);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (lengths[i] == 0)
			continue;
		buf_addc(&b, '\n');
		parts[i](c, s, &b);
	}
	cli_write(c, &b);
}

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
	if (code)
		return code;
	if (c->format == FORMAT_TABLE)
		print_stats(c, (const Skep__V1__JobStats *)reply);
	else
		view_json(c, message_json(&skep_v1_msg_job_stats, reply));
	return CLI_DONE;
}

/* ---- pause, resume ---- */

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
