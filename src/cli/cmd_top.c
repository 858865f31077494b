/* Jobs.Stats again and again, drawn in place. */
#include "cli/commands.h"
#include <poll.h>
#include <termios.h>
#include <unistd.h>
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/screen.h"
#include "cli/stats.h"
#include "cli/text.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"

#define LOOK_MS 2000 /* keys wait for an answer */

struct top {
	struct cli *c;
	struct screen screen;
	Skep__V1__JobStatsRequest request;
	struct cli_call call;
	struct buf text; /* of the last answer */
	uint64_t interval_ms;
	int keys; /* the terminal's descriptor; -1: none */
	struct termios was;
};

static bool take_interval(struct cli *c, uint64_t *ret_ms)
{
	const char *text = cli_option(c, "interval");
	*ret_ms = 1000;
	if (!text || (text_parse_span(text, ret_ms) && *ret_ms >= 500 && *ret_ms <= 3600000))
		return true;
	(void)cli_usage(c, "--interval %s: expected a time from 500ms to 1h, as 2s", text);
	return false;
}

/* Keys come at once, and are not shown. */
static void open_keys(struct top *t)
{
	int fd = fileno(t->c->host->in);
	t->keys = -1;
	if (tcgetattr(fd, &t->was) != 0)
		return;
	struct termios quiet = t->was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
	if (tcsetattr(fd, TCSANOW, &quiet) == 0)
		t->keys = fd;
}

static void close_keys(struct top *t)
{
	if (t->keys >= 0)
		(void)tcsetattr(t->keys, TCSANOW, &t->was);
}

enum pressed { PRESSED_NOTHING, PRESSED_KEY, PRESSED_QUIT, PRESSED_INTERRUPT };

/* Until a key, Ctrl-C, or the next look. */
static enum pressed wait_key(struct top *t)
{
	struct pollfd on[2] = {{t->c->interrupt, POLLIN, 0}, {t->keys, POLLIN, 0}};
	char key = '\0';
	(void)poll(on, 2, (int)t->interval_ms);
	if (on[0].revents)
		return PRESSED_INTERRUPT;
	if (!on[1].revents)
		return PRESSED_NOTHING;
	if (read(t->keys, &key, 1) != 1) /* the terminal is gone */
		return PRESSED_QUIT;
	return key == 'q' || key == 'Q' || key == '\x04' ? PRESSED_QUIT : PRESSED_KEY;
}

/* False: Ctrl-C came meanwhile. */
static bool look(struct top *t)
{
	struct cli *c = t->c;
	ProtobufCMessage *reply;
	const char *foot = "q ends";
	struct status st = cli_call_quietly(c, &t->call, &reply);
	if (status_is_ok(&st)) {
		t->text.len = 0;
		stats_add(c, (const Skep__V1__JobStats *)reply, false, &t->text);
	} else {
		foot = arena_fmt(c->arena, "%s; trying again (q ends)", st.message);
	}
	screen_show(&t->screen, &t->text, foot);
	return st.code != ST_CANCELLED;
}

/* Each look has an arena of its own: it may go on for days. */
static int run(struct top *t)
{
	struct arena *kept = t->c->arena;
	enum pressed pressed;
	open_keys(t);
	do {
		t->c->arena = arena_create();
		bool goes_on = look(t);
		arena_destroy(t->c->arena);
		t->c->arena = kept;
		pressed = goes_on ? wait_key(t) : PRESSED_INTERRUPT;
	} while (pressed < PRESSED_QUIT && !t->c->write_failed);
	close_keys(t);
	buf_finish(&t->text);
	return pressed == PRESSED_INTERRUPT ? CLI_INTERRUPTED : CLI_DONE;
}

int cmd_top(struct cli *c)
{
	struct top t = {.c = c, .screen = {.c = c}};
	ProtobufCMessage *reply;
	skep__v1__job_stats_request__init(&t.request);
	t.request.limit = 50;
	if (!take_interval(c, &t.interval_ms))
		return CLI_USAGE;
	if (!cli_flag(c, "all-projects"))
		t.request.project = message_str(c->settings.project);
	t.call = (struct cli_call){.method = "/skep.v1.Jobs/Stats", .reply = &skep_v1_msg_job_stats, .request = &t.request.base};
	int code = cli_call(c, &t.call, &reply); /* says what is wrong, before anything is drawn */
	if (code)
		return code;
	if (!c->live || c->format != FORMAT_TABLE || c->quiet || cli_flag(c, "once"))
		return stats_print(c, (const Skep__V1__JobStats *)reply);
	t.call.timeout_ms = LOOK_MS;
	return run(&t);
}
