/* sources: what a stack is made of: the Compose texts, the files that they name, and the variables
 * that they read, all from the caller's disk and environment. For what is sent to the daemon and
 * for what needs none.
 *
 * Texts are those of -c, which may come more than once and hold several names with commas between
 * them; "-" is stdin; without it the first of compose.yaml, compose.yml, docker-compose.yaml,
 * docker-compose.yml here. Relative paths are seen from the first text's folder (from the working
 * directory for stdin). A variable's value is -e's, else the environment's, else that of the last
 * --env-file that has it (.env beside the first text when none is given; docker reads no .env).
 * Only variables that something names are taken, and
 * those of -e; for docker's rules the whole environment is. */
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

/* Says every problem of the texts; returns CLI_FAILED. */
int sources_refuse(struct cli *c, const struct compose_problems *problems);
