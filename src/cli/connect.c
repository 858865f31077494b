#include "cli/connect.h"
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/arena.h"
#include "cli/message.h"
#include "cli/report.h"
#include "google/protobuf/empty.pb-c.h"
#include "loop/backoff.h"
#include "loop/loop.h"
#include "rpc/client.h"
#include "skep/v1/messages.h"

#define TICK_MS    100
#define CALL_MS    30000
#define RESEND_MS  60000 /* a lost mutation is sent again for so long */
#define RETRY_MS   200   /* first wait; doubles up to … */
#define RETRY_MAX  3000

/* ---- Ctrl-C ---- */

/* Unless whoever started us wants it ignored, as shells do for what runs in the background. */
static void catch_interrupt(struct cli *c)
{
	struct sigaction now;
	sigset_t set, before;
	if (c->interrupt >= 0 || sigaction(SIGINT, NULL, &now) != 0 || now.sa_handler == SIG_IGN)
		return;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &set, &before);
	c->was_blocked = sigismember(&before, SIGINT) == 1;
	c->interrupt = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool was_interrupted(const struct cli *c)
{
	struct signalfd_siginfo info;
	return c->interrupt >= 0 && read(c->interrupt, &info, sizeof(info)) == (ssize_t)sizeof(info);
}

static void release_interrupt(struct cli *c)
{
	sigset_t set;
	if (c->interrupt < 0)
		return;
	while (was_interrupted(c))
		; /* a second one came while the first was being answered */
	(void)close(c->interrupt);
	c->interrupt = -1;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	if (!c->was_blocked)
		(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- the connection ---- */

static void need_client(struct cli *c)
{
	if (c->client)
		return;
	catch_interrupt(c); /* before libuv makes threads that would take it */
	c->client = rpc_client_create(c->loop,
		&(struct rpc_client_options){.address = c->settings.address, .token = c->settings.token, .ca = c->settings.ca,
			.certificate = c->settings.certificate, .key = c->settings.key});
}

void cli_disconnect(struct cli *c)
{
	rpc_client_destroy(c->client);
	c->client = NULL;
	release_interrupt(c);
}

/* ---- one try of a call or stream ---- */

struct attempt {
	struct cli *c;
	const struct rpc_message *reply;
	void (*on_message)(void *data, const ProtobufCMessage *message);
	void *data;
	struct rpc_client_call *call;
	struct status st;
	struct buf report; /* what to say when it fails: details die with the callback */
	bool done;
	struct timer tick;
};

static void on_tick(struct timer *t)
{
	timer_set(t, TICK_MS);
}

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct attempt *a = data;
	a->c->reached = true;
	a->on_message(a->data, message);
}

static void on_done(void *data, const struct status *st, const struct rpc_details *details)
{
	struct attempt *a = data;
	a->st = *st;
	a->done = true;
	if (!status_is_ok(st))
		report_write(&a->report, st, details, &a->c->settings);
}

static void attempt_start(struct attempt *a, const char *method, const ProtobufCMessage *request,
	uint64_t deadline_ms)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	need_client(a->c);
	timer_init(&a->tick, a->c->loop, on_tick);
	timer_set(&a->tick, TICK_MS);
	a->call = rpc_client_call(a->c->client, &(struct rpc_client_call_options){
		.method = method,
		.reply = a->reply->descriptor,
		.request = request ? request : &empty.base,
		.deadline_ms = deadline_ms,
		.on_message = on_message,
		.on_done = on_done,
		.data = a,
	});
}

/* Ends it, whatever it was doing. */
static void attempt_finish(struct attempt *a)
{
	if (!a->done)
		rpc_client_cancel(a->call);
	while (!a->done)
		loop_turn(a->c->loop);
	timer_stop(&a->tick);
	buf_finish(&a->report);
}

static void say_report(struct cli *c, const struct buf *report)
{
	(void)fwrite(report->ptr, 1, report->len, c->host->err);
	(void)fflush(c->host->err);
}

/* ---- calls ---- */

struct unary {
	struct cli *c;
	const struct rpc_message *reply;
	ProtobufCMessage *copy;
};

static void keep_reply(void *data, const ProtobufCMessage *message)
{
	struct unary *u = data;
	u->copy = message_copy(u->c->arena, u->reply, message);
}

/* Waits so long, or until Ctrl-C: false. */
static bool pause_for(struct cli *c, uint64_t ms)
{
	struct timer tick;
	uint64_t end = loop_now_ms(c->loop) + ms;
	bool interrupted = false;
	timer_init(&tick, c->loop, on_tick);
	timer_set(&tick, ms < TICK_MS ? ms : TICK_MS);
	while (loop_now_ms(c->loop) < end && !interrupted) {
		loop_turn(c->loop);
		interrupted = was_interrupted(c);
	}
	timer_stop(&tick);
	return !interrupted;
}

/* One try. CLI_INTERRUPTED, or CLI_DONE with the outcome in *ret_st. */
static int try_call(struct cli *c, const struct cli_call *call, struct unary *u, struct status *ret_st,
	struct buf *ret_report)
{
	struct attempt a = {.c = c, .reply = call->reply, .on_message = keep_reply, .data = u};
	bool interrupted = false;
	attempt_start(&a, call->method, call->request, call->timeout_ms ? call->timeout_ms : CALL_MS);
	while (!a.done && !interrupted) {
		loop_turn(c->loop);
		interrupted = was_interrupted(c);
	}
	if (a.done && status_is_ok(&a.st) && !u->copy)
		a.st = status_err(ST_INTERNAL, "%s: skepd answered without a message", call->method);
	if (a.done)
		*ret_st = a.st;
	*ret_report = a.report;
	a.report = (struct buf){0};
	attempt_finish(&a);
	return interrupted ? CLI_INTERRUPTED : CLI_DONE;
}

static int call_with_retries(struct cli *c, const struct cli_call *call, struct unary *u,
	struct status *ret_st, struct buf *ret_report)
{
	struct backoff backoff = {.first = RETRY_MS, .max = RETRY_MAX};
	uint64_t start = loop_now_ms(c->loop);
	for (;;) {
		if (try_call(c, call, u, ret_st, ret_report))
			return CLI_INTERRUPTED;
		bool again = ret_st->code == ST_UNAVAILABLE && call->resend && c->reached &&
			     loop_now_ms(c->loop) - start < RESEND_MS;
		if (!again)
			return CLI_DONE;
		if (!backoff.next)
			cli_error(c, "%s; sending it again", ret_st->message);
		buf_finish(ret_report);
		if (!pause_for(c, backoff_next(&backoff)))
			return CLI_INTERRUPTED;
	}
}

/* Whether anybody is there at all is found out before a request that is sent again and again. */
static int knock(struct cli *c, struct status *ret_st, struct buf *ret_report)
{
	struct cli_call info = {.method = "/skep.v1.System/Info", .reply = &skep_v1_msg_system_info};
	struct unary u = {.c = c, .reply = info.reply};
	return try_call(c, &info, &u, ret_st, ret_report);
}

static int call_once_reached(struct cli *c, const struct cli_call *call, ProtobufCMessage **ret_reply,
	struct status *ret_st, struct buf *ret_report)
{
	struct unary u = {.c = c, .reply = call->reply};
	*ret_st = status_ok();
	if (call->resend && !c->reached && knock(c, ret_st, ret_report))
		return CLI_INTERRUPTED;
	if (!status_is_ok(ret_st))
		return CLI_DONE;
	if (call_with_retries(c, call, &u, ret_st, ret_report))
		return CLI_INTERRUPTED;
	*ret_reply = u.copy;
	return CLI_DONE;
}

int cli_call(struct cli *c, const struct cli_call *call, ProtobufCMessage **ret_reply)
{
	struct status st = status_ok();
	struct buf report = {0};
	int code = call_once_reached(c, call, ret_reply, &st, &report);
	if (code == CLI_DONE && !status_is_ok(&st)) {
		if (report.len)
			say_report(c, &report);
		else
			cli_fail(c, &st);
		code = CLI_FAILED;
	}
	buf_finish(&report);
	return code;
}

struct status cli_call_quietly(struct cli *c, const struct cli_call *call, ProtobufCMessage **ret_reply)
{
	struct status st = status_ok();
	struct buf report = {0};
	if (call_once_reached(c, call, ret_reply, &st, &report) != CLI_DONE)
		st = status_err(ST_CANCELLED, "interrupted");
	buf_finish(&report);
	return st;
}

/* ---- streams ---- */

struct streaming {
	struct cli *c;
	const struct cli_stream *s;
	uint64_t start;
	struct backoff backoff;
	bool heard; /* something came in this try */
	char trouble[320];
};

static void on_stream_message(void *data, const ProtobufCMessage *message)
{
	struct streaming *r = data;
	r->heard = true;
	r->trouble[0] = '\0';
	backoff_reset(&r->backoff);
	r->s->on_message(r->s->data, message);
}

/* After each turn: is it over? */
static bool look(struct streaming *r, enum cli_end *ret_end)
{
	const struct cli_stream *s = r->s;
	if (s->turn)
		s->turn(s->data, r->trouble[0] ? r->trouble : NULL);
	if (s->finished && s->finished(s->data))
		*ret_end = END_DONE;
	else if (was_interrupted(r->c))
		*ret_end = END_INTERRUPTED;
	else if (s->timeout_ms && loop_now_ms(r->c->loop) - r->start >= s->timeout_ms)
		*ret_end = END_TIMEOUT;
	else
		return false;
	return true;
}

/* True: over, by *ret_end. False: the connection was lost. */
static bool stream_once(struct streaming *r, enum cli_end *ret_end)
{
	struct attempt a = {
		.c = r->c, .reply = r->s->reply, .on_message = on_stream_message, .data = r};
	bool over = false;
	attempt_start(&a, r->s->method, r->s->request, 0);
	while (!over && !a.done) {
		loop_turn(r->c->loop);
		over = look(r, ret_end);
	}
	if (!over && status_is_ok(&a.st) && r->s->open_end) {
		*ret_end = END_CLOSED;
		over = true;
	} else if (!over && !status_is_ok(&a.st) &&
		   !(a.st.code == ST_UNAVAILABLE && r->c->reached)) {
		say_report(r->c, &a.report);
		*ret_end = END_FAILED;
		over = true;
	}
	if (!over) /* also a stream that ended before its end */
		(void)snprintf(r->trouble, sizeof(r->trouble), "connection lost (%.240s)",
			status_is_ok(&a.st) ? "skepd ended the stream" : a.st.message);
	attempt_finish(&a);
	return over;
}

enum cli_end cli_stream(struct cli *c, const struct cli_stream *s)
{
	struct streaming r = {.c = c, .s = s, .start = loop_now_ms(c->loop),
		.backoff = {.first = RETRY_MS, .max = RETRY_MAX}};
	enum cli_end end = END_FAILED;
	while (!stream_once(&r, &end)) {
		struct timer tick;
		uint64_t until = loop_now_ms(c->loop) + backoff_next(&r.backoff);
		bool over = false;
		timer_init(&tick, c->loop, on_tick);
		timer_set(&tick, 1);
		while (!over && loop_now_ms(c->loop) < until) {
			loop_turn(c->loop);
			over = look(&r, &end);
		}
		timer_stop(&tick);
		if (over)
			break;
	}
	return end;
}
