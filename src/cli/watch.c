#include "cli/watch.h"
#include "base/arena.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/progress.h"
#include "cli/screen.h"
#include "cli/text.h"
#include "cli/view.h"
#include "cli/views.h"
#include "loop/loop.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"

#define WAIT_MS 600000 /* for what a command started, without --wait-timeout */

struct watch {
	struct cli *c;
	const Skep__V1__Job *job;   /* as it began */
	const Skep__V1__Job *ended; /* as it ended; NULL = not yet */
	Skep__V1__WatchJobRequest request;
	struct progress progress;
	struct screen screen;
	uint64_t start_ms, event_ms; /* loop time of the first turn, of the last event */
	bool draws, prints, dumps; /* in place; a line a change; events as JSON or YAML */
	bool troubled;
};

/* "deploy shop" */
static const char *title_of(struct cli *c, const Skep__V1__Job *j)
{
	const char *kind = enum_word(c->arena, &skep__v1__job_kind__descriptor, (int)j->kind);
	return *j->stack ? arena_fmt(c->arena, "%s %s", kind, j->stack) : kind;
}

static bool is_ended(const Skep__V1__Job *j)
{
	return j->state != SKEP__V1__JOB_STATE__JOB_STATE_PENDING &&
	       j->state != SKEP__V1__JOB_STATE__JOB_STATE_RUNNING;
}

/* From the first event to the last by the server's clock, and from there by ours: the two may differ. */
static uint64_t elapsed_ms(const struct watch *w)
{
	const struct progress *p = &w->progress;
	uint64_t events = p->last_us > p->first_us ? (uint64_t)(p->last_us - p->first_us) / 1000 : 0;
	uint64_t since = w->event_ms ? w->event_ms : w->start_ms;
	return events + (w->ended ? 0 : loop_now_ms(w->c->loop) - since);
}

/* ---- what comes ---- */

static void on_message(void *data, const ProtobufCMessage *message)
{
	const Skep__V1__WatchJobResponse *m = (const Skep__V1__WatchJobResponse *)message;
	struct watch *w = data;
	struct buf line = {0};
	if (m->event && m->event->sequence > w->request.after_sequence) {
		w->request.after_sequence = m->event->sequence;
		w->event_ms = loop_now_ms(w->c->loop);
		progress_event(&w->progress, m->event, &line);
		if (w->dumps)
			view_json_next(w->c, message_json(&skep_v1_msg_event, &m->event->base));
		if (w->prints)
			cli_write(w->c, &line);
	}
	if (m->job && is_ended(m->job))
		w->ended = (const Skep__V1__Job *)message_copy(w->c->arena, &skep_v1_msg_job, &m->job->base);
	buf_finish(&line);
}

static bool finished(void *data)
{
	const struct watch *w = data;
	return w->ended != NULL;
}

static void turn(void *data, const char *trouble)
{
	struct watch *w = data;
	if (w->ended)
		return; /* the last picture is drawn at the end */
	if (trouble && !w->troubled && !w->draws)
		cli_error(w->c, "%s; trying again", trouble);
	w->troubled = trouble != NULL;
	if (w->draws)
		screen_draw(&w->screen, &w->progress, elapsed_ms(w), trouble, false);
}

/* ---- the end ---- */

static void come_back(struct cli *c, const char *why, const char *id)
{
	(void)fprintf(c->host->err,
		"%s; the job goes on. Come back with: skep job watch %s; stop it with: skep job cancel %s\n", why,
		id, id);
}

static void say_outcome(struct watch *w)
{
	struct cli *c = w->c;
	const char *state = enum_word(c->arena, &skep__v1__job_state__descriptor, (int)w->ended->state);
	struct buf b = {0};
	bool good = w->ended->state == SKEP__V1__JOB_STATE__JOB_STATE_SUCCEEDED;
	text_clean(&b, str_of(title_of(c, w->ended)), false);
	buf_fmt(&b, ": %s%s%s", c->color ? tone_begin(tone_of(state)) : "", state, c->color ? TONE_END : "");
	buf_fmt(&b, " after %s", text_span(c->arena, elapsed_ms(w)));
	if (good && w->ended->release)
		buf_fmt(&b, ", release %lld", (long long)w->ended->release);
	buf_addc(&b, '\n');
	cli_write(c, &b);
}

/* The whole story, as it stands. */
static void say_error(struct watch *w)
{
	struct cli *c = w->c;
	struct buf b = {0};
	bool cancelled = w->ended->state == SKEP__V1__JOB_STATE__JOB_STATE_CANCELLED;
	buf_fmt(&b, "skep: %s %s%s", title_of(c, w->ended), cancelled ? "was cancelled" : "failed",
		*w->ended->error ? ": " : "");
	text_clean(&b, str_of(w->ended->error), true);
	buf_addc(&b, '\n');
	(void)fwrite(b.ptr, 1, b.len, c->host->err);
	buf_finish(&b);
}

static void draw_end(struct watch *w)
{
	struct progress *p = &w->progress;
	const char *state = enum_word(w->c->arena, &skep__v1__job_state__descriptor, (int)w->ended->state);
	bool good = w->ended->state == SKEP__V1__JOB_STATE__JOB_STATE_SUCCEEDED;
	p->ended = true;
	(void)snprintf(p->state, sizeof(p->state), "%s", state);
	p->message[0] = '\0';
	if (good && w->ended->release)
		(void)snprintf(p->message, sizeof(p->message), "release %lld", (long long)w->ended->release);
	screen_draw(&w->screen, p, elapsed_ms(w), NULL, true);
}

static int end_of_job(struct watch *w)
{
	struct cli *c = w->c;
	if (w->draws)
		draw_end(w);
	else if (c->format == FORMAT_TABLE)
		say_outcome(w);
	else if (w->dumps)
		view_json_next(c, message_json(&skep_v1_msg_job, &w->ended->base));
	else
		view_one(c, &view_job, &skep_v1_msg_job, &w->ended->base);
	if (w->ended->state == SKEP__V1__JOB_STATE__JOB_STATE_SUCCEEDED)
		return CLI_DONE;
	say_error(w);
	return CLI_FAILED;
}

static int end_of_watch(struct watch *w, enum cli_end end, uint64_t timeout_ms)
{
	struct cli *c = w->c;
	switch (end) {
	case END_DONE:
	case END_CLOSED:
		return end_of_job(w);
	case END_FAILED:
		return CLI_FAILED;
	case END_INTERRUPTED:
		come_back(c, "detached", w->job->id);
		return CLI_INTERRUPTED;
	case END_TIMEOUT:
		come_back(c, arena_fmt(c->arena, "skep: not done after %s", text_span(c->arena, timeout_ms)),
			w->job->id);
		return CLI_FAILED;
	}
	return CLI_FAILED;
}

/* `events`: they are wanted in JSON and YAML too, not only the job. */
static int watch(struct cli *c, const Skep__V1__Job *job, uint64_t timeout_ms, bool events)
{
	bool is_table = c->format == FORMAT_TABLE, is_name = c->format == FORMAT_NAME;
	struct watch w = {.c = c, .job = job, .start_ms = loop_now_ms(c->loop), .draws = is_table && c->live,
		.prints = is_table && !c->live, .dumps = events && !is_table && !is_name};
	skep__v1__watch_job_request__init(&w.request);
	w.request.id = job->id;
	w.screen.c = c;
	progress_init(&w.progress, title_of(c, job));
	enum cli_end end = cli_stream(c, &(struct cli_stream){
		.method = "/skep.v1.Jobs/Watch",
		.reply = &skep_v1_msg_watch_job_response,
		.request = &w.request.base,
		.timeout_ms = timeout_ms,
		.on_message = on_message,
		.finished = finished,
		.turn = turn,
		.data = &w,
	});
	int code = end_of_watch(&w, end, timeout_ms);
	progress_finish(&w.progress);
	return code;
}

int watch_job(struct cli *c, const Skep__V1__Job *job, uint64_t timeout_ms)
{
	return watch(c, job, timeout_ms, true);
}

bool watch_timeout(struct cli *c, uint64_t *ret_ms)
{
	const char *text = cli_option(c, "wait-timeout");
	*ret_ms = 0;
	if (!text || text_parse_span(text, ret_ms))
		return true;
	(void)cli_usage(c, "--wait-timeout %s: expected a time as 90s, 10m or 1h30m", text);
	return false;
}

int watch_started(struct cli *c, const Skep__V1__Job *job)
{
	uint64_t timeout_ms;
	if (!watch_timeout(c, &timeout_ms))
		return CLI_USAGE;
	if (!cli_flag(c, "detach"))
		return watch(c, job, cli_option(c, "wait-timeout") ? timeout_ms : WAIT_MS, false);
	if (c->format == FORMAT_TABLE)
		cli_print(c, "%s: job %s started. Follow it with: skep job watch %s\n", title_of(c, job), job->id,
			job->id);
	else
		view_one(c, &view_job, &skep_v1_msg_job, &job->base);
	return CLI_DONE;
}
