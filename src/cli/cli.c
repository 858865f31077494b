#include "cli/cli.h"
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/help.h"
#include "cli/report.h"
#include "cli/text.h"
#include "loop/loop.h"
#include "rpc/client.h"

/* ---- what commands say ---- */

void cli_write(struct cli *c, struct buf *b)
{
	FILE *out = c->host->out;
	if (b->len && (fwrite(b->ptr, 1, b->len, out) != b->len || fflush(out) != 0)) {
		if (!c->write_failed && errno != EPIPE) { /* who closed the pipe knows */
			char words[128];
			cli_error(c, "write: %s", strerror_r(errno, words, sizeof(words)));
		}
		c->write_failed = true;
	}
	buf_finish(b);
}

void cli_print(struct cli *c, const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	cli_write(c, &b);
}

static void say(struct cli *c, const char *front, const char *text)
{
	struct buf b = {0};
	buf_adds(&b, front);
	text_clean(&b, str_of(text), true);
	buf_addc(&b, '\n');
	(void)fwrite(b.ptr, 1, b.len, c->host->err);
	(void)fflush(c->host->err);
	buf_finish(&b);
}

void cli_error(struct cli *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(c, "skep: ", arena_vfmt(c->arena, fmt, ap));
	va_end(ap);
}

void cli_warn(struct cli *c, const char *text)
{
	say(c, c->color_err ? "\x1b[33mwarning:\x1b[0m " : "warning: ", text);
}

int cli_usage(struct cli *c, const char *fmt, ...)
{
	const struct cli_args *args = &c->args;
	va_list ap;
	va_start(ap, fmt);
	say(c, "skep: ", arena_vfmt(c->arena, fmt, ap));
	va_end(ap);
	if (args->command || args->group)
		(void)fprintf(c->host->err, "See: skep %s -h\n",
			args->command ? args->command->path : args->group->name);
	else
		(void)fprintf(c->host->err, "See: skep -h\n");
	return CLI_USAGE;
}

int cli_fail(struct cli *c, const struct status *st)
{
	struct buf b = {0};
	report_write(&b, st, NULL, &c->settings);
	(void)fwrite(b.ptr, 1, b.len, c->host->err);
	buf_finish(&b);
	return CLI_FAILED;
}

int64_t cli_now_us(void)
{
	return clock_system()->wall_us(clock_system());
}

const char *cli_request_id(struct cli *c)
{
	const char *given = cli_option(c, "request-id");
	struct uuid id;
	if (given && *given)
		return given;
	id = uuid_v7(clock_system(), rng_system());
	return arena_strdup(c->arena, id.text);
}

/* ---- the run ---- */

static bool says_utf8(const char *const *env)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = env_get(env, names[i]);
		if (value && *value)
			return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
	}
	return false;
}

static void take_looks(struct cli *c)
{
	static const struct {
		const char *word;
		enum cli_format format;
	} formats[] = {{"json", FORMAT_JSON}, {"yaml", FORMAT_YAML}, {"name", FORMAT_NAME}, {"table", FORMAT_TABLE}};
	const struct cli_host *h = c->host;
	const char *output = cli_option(c, "output"), *no_color = env_get(h->env, "NO_COLOR");
	const char *term = env_get(h->env, "TERM");
	bool dumb = term && strcmp(term, "dumb") == 0;
	bool colors = !cli_flag(c, "no-color") && !(no_color && *no_color) && !dumb;
	c->quiet = cli_flag(c, "quiet");
	c->format = c->quiet ? FORMAT_NAME : FORMAT_TABLE;
	for (size_t i = 0; output && i < sizeof(formats) / sizeof(*formats); i++)
		if (strcmp(formats[i].word, output) == 0)
			c->format = formats[i].format;
	c->color = h->out_is_terminal && colors;
	c->color_err = h->err_is_terminal && colors;
	c->live = h->out_is_terminal && !dumb;
	c->utf8 = says_utf8(h->env);
}

struct settings_given cli_given(const struct cli_args *args)
{
	return (struct settings_given){.host = command_option(args, "host"), .token = command_option(args, "token"),
		.project = command_option(args, "project"), .context = command_option(args, "context"),
		.ca = command_option(args, "ca"), .certificate = command_option(args, "certificate"),
		.key = command_option(args, "key")};
}

static int run_command(struct cli *c)
{
	struct settings_given given = cli_given(&c->args);
	const char *path = c->args.command->path;
	bool is_offline = strncmp(path, "context ", 8) == 0 || strncmp(path, "compose ", 8) == 0 ||
			  strcmp(path, "completion") == 0;
	struct status st = status_ok();
	if (!is_offline) /* a broken context file can be mended by these */
		st = settings_resolve(c->arena, &given, c->host->env, &c->settings);
	if (!status_is_ok(&st))
		return cli_fail(c, &st);
	if (!is_offline)
		st = rpc_client_check_address(c->settings.address);
	if (!status_is_ok(&st))
		return cli_usage(c, "%s", st.message);
	int code = c->args.command->run(c);
	cli_disconnect(c);
	return code;
}

static int show_help(struct cli *c, bool asked)
{
	struct buf b = {0};
	help_write(&b, &cli_program, &c->args);
	if (asked) {
		cli_write(c, &b);
		return CLI_DONE;
	}
	(void)fwrite(b.ptr, 1, b.len, c->host->err);
	buf_finish(&b);
	return CLI_USAGE;
}

static int run(struct cli *c, size_t argc, const char *const *argv)
{
	struct status st = command_parse(c->arena, &cli_program, argc, argv, &c->args);
	take_looks(c);
	if (!status_is_ok(&st))
		return cli_usage(c, "%s", st.message);
	if (c->args.help || !c->args.command)
		return show_help(c, c->args.help);
	return run_command(c);
}

int cli_main(const struct cli_host *h, int argc, const char *const *argv)
{
	struct cli c = {.host = h, .arena = arena_create(), .interrupt = -1,
		.settings = {.address = "", .token = "", .project = "", .context = ""}};
	c.loop = h->loop ? h->loop : loop_create();
	if (!h->loop)
		loop_set_watchdog(c.loop, 0); /* nobody waits behind us */
	int code = run(&c, argc > 0 ? (size_t)argc - 1 : 0, argv + 1);
	if (!h->loop)
		loop_destroy(c.loop);
	arena_destroy(c.arena);
	return c.write_failed && code == CLI_DONE ? CLI_FAILED : code;
}
