/* command: what a table of commands looks like, and reading a command line against it. The table
 * (commands.c) drives parsing, help and completion alike. Pure: nothing is printed, nothing waits.
 *
 * A command's path is one word ("version") or two ("stack deploy"). Options stand anywhere
 * behind the program's name, `--name value`, `--name=value`, `-cvalue` and `-qd` are all understood, and
 * `--` ends them. Strings of a parsed line point into argv; lists live in the arena. */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/status.h"

struct arena;
struct cli;

#define CLI_MANY UINT_MAX

/* What completion offers. */
enum cli_names {
	NAMES_NONE,
	NAMES_FILE,
	NAMES_SHELL,
	NAMES_CONTEXT,
	NAMES_PROJECT,
	NAMES_STACK,
	NAMES_JOB,
	NAMES_SCHEDULE,
};

struct cli_option {
	const char *name;    /* "wait-timeout"; NULL ends a list */
	char letter;         /* 'c'; 0 = none */
	const char *value;   /* how help calls it: "FILE"; NULL: a flag */
	const char *help;    /* one line */
	const char *choices; /* "json yaml": only these words are taken; NULL = anything */
	enum cli_names names;
	bool repeats; /* may be given more than once; otherwise the last one wins */
};

struct cli_command {
	const char *path;  /* "stack deploy" */
	const char *alias; /* another name of its last word; or NULL */
	const char *args;  /* as usage shows them: "NAME [SERVICE...]"; "" = none */
	unsigned min_args, max_args;
	const struct cli_option *options; /* NULL = only the global ones */
	const char *help;                 /* one line */
	const char *about;                /* paragraphs below the usage; or NULL */
	const char *example;              /* lines */
	enum cli_names names;             /* of its arguments; after the first: NAMES_NONE unless many are taken */
	bool hidden;                      /* from help and completion */
	int (*run)(struct cli *c);        /* returns the exit code */
};

struct cli_group {
	const char *name; /* "stack" */
	const char *help;
};

struct cli_program {
	const struct cli_command *commands;
	size_t n_commands;
	const struct cli_group *groups;
	size_t n_groups;
	const struct cli_option *options; /* global */
};

struct cli_given {
	const struct cli_option *option;
	const char *value; /* "" for a flag */
};

struct cli_args {
	const struct cli_command *command; /* NULL: none was named (help is what is wanted then) */
	const struct cli_group *group;     /* NULL: none */
	const char **args;
	size_t n_args;
	struct cli_given *given; /* in order */
	size_t n_given;
	bool help;
};

/* argv without the program's name. INVALID_ARGUMENT says what is wrong, with the nearest name;
 * *ret_args is filled as far as it was read all the same. */
struct status command_parse(struct arena *a, const struct cli_program *p, size_t argc,
	const char *const *argv, struct cli_args *ret_args) __attribute__((warn_unused_result));

/* The last value given, or NULL. A flag's is "". */
const char *command_option(const struct cli_args *args, const char *name);

const struct cli_option *command_find_option(
	const struct cli_program *p, const struct cli_command *command, const char *name, size_t len);
const struct cli_option *command_find_letter(
	const struct cli_program *p, const struct cli_command *command, char letter);
const struct cli_group *command_find_group(const struct cli_program *p, const char *word);
/* word2 is looked at only for a group; NULL: the one-word command. Aliases count. */
const struct cli_command *command_find(
	const struct cli_program *p, const char *word, const char *word2);
/* Whether `choices` has this word. */
bool command_is_choice(const char *choices, const char *word);
