/* watch: follows a job to its end, whatever happens to the connection, and shows how it goes in the
 * way that fits: drawn in place, line by line, as JSON events, or not at all. */
#pragma once
#include "cli/cli.h"

typedef struct Skep__V1__Job Skep__V1__Job;

/* The job as it was when the watch began. Returns the exit code: done, failed (with the whole story on
 * stderr), interrupted (with how to come back). */
int watch_job(struct cli *c, const Skep__V1__Job *job, uint64_t timeout_ms);
/* What a command does with the job that it started: with --detach it says how to follow it, otherwise it
 * follows it for as long as --wait-timeout allows. */
int watch_started(struct cli *c, const Skep__V1__Job *job);
/* --wait-timeout in ms; false: it is none, and that has been said. */
bool watch_timeout(struct cli *c, uint64_t *ret_ms);
