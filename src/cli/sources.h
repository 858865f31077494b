/* sources: what a stack is made of: the Compose texts, the files that they name, and the variables
 * that they read, all from the caller's disk and environment. For what is sent to the daemon and
 * for what needs none.
 *
 * Texts are those of -c, which may come more than once and hold several names with commas between
 * them; "-" is stdin; without it the first of compose.yaml, compose.yml, docker-compose.yaml,
 * docker-compose.yml here. Relative paths are seen from the first text's folder (from the working
 * directory for stdin). Files that are included or extended are read as well, and what they name.
 * A variable's value is -e's, else the environment's; the env file ".env" (those of --env-file when
 * some are given, else the one beside the first text; docker reads none) goes along as a file. Only
 * variables that something names are taken (for docker's rules the whole environment), and those of
 * -e; --profile is COMPOSE_PROFILES. */
#pragma once
#include "cli/cli.h"
#include "compose/compose.h"

#define SOURCES_TEXTS_MAX 16

struct sources {         /* all in the run's arena */
	const char *dir; /* the folder of the first text, absolute */
	struct compose_text texts[SOURCES_TEXTS_MAX];
	size_t n_texts;
	struct compose_upload *files;
	size_t n_files;
	struct compose_variable *variables;
	size_t n_variables;
};

/* Returns an exit code; what is wrong has been said, all of it. With `compat` variables are read as
 * docker does, and a file that is missing is left to compose_load, which has docker's words for it.
 */
int sources_collect(struct cli *c, bool compat, struct sources *ret);

/* The stack's name: the first argument's, else the texts' `name:`, else `otherwise`; that NULL, a
 * stack must have a name: NULL = it has none, which was said. */
const char *sources_name(
	struct cli *c, bool compat, const struct sources *s, const char *otherwise);

/* Says every problem of the texts; returns CLI_FAILED. */
int sources_refuse(struct cli *c, const struct compose_problems *problems);
