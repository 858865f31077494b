/* upload: what a deploy sends: the stack's sources (sources.h) as a request. The daemon reads none of its own
 * machine's files. */
#pragma once
#include "cli/cli.h"

typedef struct Skep__V1__DeployStackRequest Skep__V1__DeployStackRequest;

/* Fills compose, files and variables of the request from the options -c, -e and --env-file. Everything lives in the run's arena.
 * Returns an exit code; what is wrong has been said, all of it. */
int upload_collect(struct cli *c, Skep__V1__DeployStackRequest *request);
