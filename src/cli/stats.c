#include "cli/stats.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/message.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/view.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"

static const char *kind_word(struct cli *c, Skep__V1__JobKind kind)
{
	return enum_word(c->arena, &skep__v1__job_kind__descriptor, (int)kind);
}

static const char *age_of(struct cli *c, const Google__Protobuf__Timestamp *t)
{
	return t ? text_age(c->arena, cli_now_us(), message_time_us(t)) : "-";
}

static void print_queues(struct cli *c, const Skep__V1__JobStats *s, bool color, struct buf *b)
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
	table_print(t, color, b);
}

/* Of those that are not told one by one. */
static void add_rest(int32_t all, size_t told, const char *what, struct buf *b)
{
	if (all > 0 && (size_t)all > told)
		buf_fmt(b, "and %zu more %s\n", (size_t)all - told, what);
}

static void print_running(struct cli *c, const Skep__V1__JobStats *s, bool color, struct buf *b)
{
	static const char *const headers[] = {"RUNNING", "KIND", "FOR", "DONE", "STEP", "JOB", "DAEMON", NULL};
	struct table *t = table_create(c->arena, headers);
	for (size_t i = 0; i < s->n_running; i++) {
		const Skep__V1__Job *j = s->running[i];
		int64_t us = cli_now_us() - message_time_us(j->started_at);
		table_fmt(t, "%s/%s", j->project, j->stack);
		table_cell(t, kind_word(c, j->kind));
		table_cell(t, text_span(c->arena, us > 0 ? (uint64_t)us / 1000 : 0));
		table_fmt(t, "%d%%", j->percent);
		table_cell(t, j->step);
		table_cell(t, j->id);
		table_cell(t, j->daemon);
	}
	table_print(t, color, b);
	add_rest(s->total_running, s->n_running, "run", b);
}

static void print_waiting(struct cli *c, const Skep__V1__JobStats *s, bool color, struct buf *b)
{
	static const char *const headers[] = {"WAITING", "KIND", "CREATED", "BEFORE", "WHY", "JOB", NULL};
	struct table *t = table_create(c->arena, headers);
	for (size_t i = 0; i < s->n_waiting; i++) {
		const Skep__V1__WaitingJob *w = s->waiting[i];
		table_fmt(t, "%s/%s", w->job->project, w->job->stack);
		table_cell(t, kind_word(c, w->job->kind));
		table_cell(t, age_of(c, w->job->created_at));
		table_fmt(t, "%d", w->before);
		table_cell(t, w->why);
		table_cell(t, w->job->id);
	}
	table_print(t, color, b);
	add_rest(s->total_waiting, s->n_waiting, "wait", b);
}

static void print_pauses(struct cli *c, const Skep__V1__JobStats *s, bool color, struct buf *b)
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
	table_print(t, color, b);
}

static void print_daemons(struct cli *c, const Skep__V1__JobStats *s, bool color, struct buf *b)
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
	table_print(t, color, b);
}

static const char *oldest_of(struct cli *c, const Skep__V1__JobStats *s)
{
	int64_t oldest = 0;
	for (size_t i = 0; i < s->n_queues; i++) {
		int64_t us = message_time_us(s->queues[i]->oldest);
		if (us && (oldest == 0 || us < oldest))
			oldest = us;
	}
	int64_t waited = cli_now_us() - oldest;
	return oldest ? text_span(c->arena, waited > 0 ? (uint64_t)waited / 1000 : 0) : NULL;
}

void stats_add(struct cli *c, const Skep__V1__JobStats *s, bool color, struct buf *b)
{
	static void (*const parts[])(struct cli *, const Skep__V1__JobStats *, bool, struct buf *) = {
		print_queues, print_running, print_waiting, print_pauses, print_daemons};
	const size_t lengths[] = {s->n_queues, s->n_running, s->n_waiting, s->n_pauses, s->n_daemons};
	const char *oldest = oldest_of(c, s);
	buf_fmt(b, "%d waiting%s%s, %d running in %d places; in the last minute %d submitted, %d ended, %d of them failed\n",
		s->total_waiting, oldest ? ", the oldest for " : "", oldest ? oldest : "", s->total_running, s->slots,
		s->submitted_last_minute, s->ended_last_minute, s->failed_last_minute);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (lengths[i] == 0)
			continue;
		buf_addc(b, '\n');
		parts[i](c, s, color, b);
	}
}

int stats_print(struct cli *c, const Skep__V1__JobStats *s)
{
	struct buf b = {0};
	if (c->format == FORMAT_NAME || c->quiet) {
		for (size_t i = 0; i < s->n_waiting; i++)
			buf_fmt(&b, "%s\n", s->waiting[i]->job->id);
		for (size_t i = 0; i < s->n_running; i++)
			buf_fmt(&b, "%s\n", s->running[i]->id);
	} else if (c->format == FORMAT_TABLE) {
		stats_add(c, s, c->color, &b);
	} else {
		view_json(c, message_json(&skep_v1_msg_job_stats, &s->base));
	}
	cli_write(c, &b);
	return CLI_DONE;
}
