/* upload: what a deploy sends: the Compose texts, the files that they name, and the variables that they
 * read, all from the caller's disk and environment. The daemon reads none of its own machine's files.
 *
 * Relative paths are seen from the first text's folder (from the working directory for stdin). A variable's
 * value is -e's, else the environment's, else that of the last --env-file that has it (.env beside the first text
 * when none is given). Only variables that something names are sent, and those of -e. */
#pragma once
#include "cli/cli.h"

typedef struct Skep__V1__DeployStackRequest Skep__V1__DeployStackRequest;

/* Fills compose, files and variables of the request from the options -c, -e and --env-file. Everything lives in the run's arena.
 * Returns an exit code; what is wrong has been said, all of it. */
int upload_collect(struct cli *c, Skep__V1__DeployStackRequest *request);
