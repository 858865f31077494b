/* cli: one run of `skep`. skep.c calls cli_main with the process's streams and environment;
 * tests call it with their own, and with a loop that a server of theirs turns on too.
 *
 * A command is a function of the table in commands.c. It reads top down and waits by turning
 * the loop (connect.h): there is nothing else to do meanwhile. It returns an exit code; what went
 * wrong has been said on stderr by then. Memory is the run's arena. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/status.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/settings.h"

struct arena;
struct loop;
struct rpc_client;
struct rpc_details;

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };
enum cli_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_YAML, FORMAT_NAME };

struct cli_host {
	struct loop *loop; /* NULL: cli_main makes its own */
	FILE *in, *out, *err;
	const char *const *env; /* "K=V", NULL-terminated */
	bool out_is_terminal, err_is_terminal;
	unsigned columns, rows; /* of the terminal; 0: ask it */
};

struct cli {
	const struct cli_host *host;
	struct arena *arena;
	struct loop *loop;
	struct cli_args args;
	struct settings settings;
	enum cli_format format;
	bool quiet;
	bool color, color_err; /* on stdout, on stderr */
	bool live;             /* stdout can be drawn on again */
	bool utf8;             /* the terminal shows it */
	bool write_failed;     /* stdout is gone */
	struct rpc_client *client; /* made by the first call */
	bool reached;              /* the daemon has answered once: what fails now may come back */
	int interrupt;             /* signalfd of SIGINT; -1 = none */
	bool was_blocked;          /* SIGINT, before us */
};

/* argv as main gets it. Returns the exit code. */
int cli_main(const struct cli_host *h, int argc, const char *const *argv);

/* Writes to stdout and empties b. */
void cli_write(struct cli *c, struct buf *b);
void cli_print(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line on stderr: "skep: …", "warning: …". */
void cli_error(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_warn(struct cli *c, const char *text);
/* An error of usage, with where help is; returns CLI_USAGE. */
int cli_usage(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says a failed status; returns CLI_FAILED. */
int cli_fail(struct cli *c, const struct status *st);

static inline const char *cli_option(const struct cli *c, const char *name)
{
	return command_option(&c->args, name);
}
static inline bool cli_flag(const struct cli *c, const char *name)
{
	return command_option(&c->args, name) != NULL;
}
/* What the options say of where to call, and as whom. */
struct settings_given cli_given(const struct cli_args *args);
/* Microseconds since 1970. */
int64_t cli_now_us(void);
/* A new id for a mutation, or the caller's --request-id. */
const char *cli_request_id(struct cli *c);
