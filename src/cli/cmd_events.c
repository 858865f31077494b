/* The stream of all events. */
#include "cli/commands.h"
#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/view.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "skep/v1/events.pb-c.h"
#include "skep/v1/messages.h"

struct events {
	struct cli *c;
	Skep__V1__WatchEventsRequest request;
	char token[64]; /* behind what was seen: where a broken stream goes on */
	bool follow, caught_up, troubled;
};

/* A table's line, but written as it comes: time, where, what, how far, words. */
static void print_event(struct cli *c, const Skep__V1__WatchEventsResponse *m)
{
	const Skep__V1__Event *e = m->event;
	struct buf b = {0}, words = {0};
	const char *when = time_rfc3339(c->arena, message_time_us(e->time));
	enum tone tone = tone_of(e->state);
	buf_fmt(&b, "%.19sZ  ", when);
	buf_fmt(&words, "%s%s%s", m->project, *m->stack ? "/" : "", m->stack);
	if (*e->service)
		buf_fmt(&words, "/%s", e->service);
	buf_fmt(&words, "  %s", e->kind);
	text_clean(&b, buf_str(&words), false);
	if (*e->state) {
		words.len = 0;
		text_clean(&words, str_of(e->state), false);
		buf_fmt(&b, "  %s" STR_FMT "%s", c->color ? tone_begin(tone) : "", STR_ARG(buf_str(&words)), c->color ? TONE_END : "");
	}
	if (e->wanted > 0)
		buf_fmt(&b, " %d/%d", e->running, e->wanted);
	if (*e->step && strcmp(e->kind, "job.step") == 0) {
		buf_adds(&b, "  ");
		text_clean(&b, str_of(e->step), false);
	}
	if (*e->message) {
		buf_adds(&b, "  ");
		text_clean(&b, str_of(e->message), false);
	}
	buf_addc(&b, '\n');
	buf_finish(&words);
	cli_write(c, &b);
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct events *v = data;
	const Skep__V1__WatchEventsResponse *m = (const Skep__V1__WatchEventsResponse *)message;
	struct cli *c = v->c;
	(void)snprintf(v->token, sizeof(v->token), "%s", m->token);
	v->request.token = v->token;
	v->request.since = NULL;
	if (!m->event) {
		v->caught_up = true;
		return;
	}
	if (v->caught_up && !v->follow)
		return;
	if (c->format == FORMAT_TABLE)
		print_event(c, m);
	else if (c->format == FORMAT_NAME)
		cli_print(c, "%s\n", m->event->kind);
	else
		view_json_next(c, message_json(&skep_v1_msg_watch_events_response, message));
}

static bool finished(void *data)
{
	const struct events *v = data;
	return v->caught_up && !v->follow;
}

static void turn(void *data, const char *trouble)
{
	struct events *v = data;
	if (trouble && !v->troubled)
		cli_error(v->c, "%s; trying again", trouble);
	v->troubled = trouble != NULL;
}

static void take_kinds(struct cli *c, Skep__V1__WatchEventsRequest *r)
{
	r->kinds = arena_array(c->arena, char *, c->args.n_given + 1);
	for (size_t i = 0; i < c->args.n_given; i++)
		if (strcmp(c->args.given[i].option->name, "kind") == 0)
			r->kinds[r->n_kinds++] = message_str(c->args.given[i].value);
}

int cmd_events(struct cli *c)
{
	struct events v = {.c = c, .follow = cli_flag(c, "follow")};
	const char *since = cli_option(c, "since"), *stack = cli_option(c, "stack"), *after = cli_option(c, "after");
	int code = CLI_DONE;
	skep__v1__watch_events_request__init(&v.request);
	if (since && after)
		return cli_usage(c, "give either --since or --after");
	if (after)
		v.request.token = message_str(after);
	else if (since || !v.follow)
		code = cmd_time(c, "since", "1h", &v.request.since);
	if (code)
		return code;
	if (!cli_flag(c, "all-projects"))
		v.request.project = message_str(c->settings.project);
	if (stack)
		v.request.stack = message_str(stack);
	take_kinds(c, &v.request);
	enum cli_end end = cli_stream(c, &(struct cli_stream){.method = "/skep.v1.Events/Watch",
		.reply = &skep_v1_msg_watch_events_response, .request = &v.request.base, .on_message = on_message,
		.finished = finished, .turn = turn, .data = &v});
	return end == END_DONE || end == END_CLOSED ? CLI_DONE : end == END_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
}
