/* teller: tells the other daemons (and this one's watchers) what claims and writes have done, behind their commits and a little at a
 * time: at once when it is quiet, else together, REST apart. Owned by the worker.
 *
 * What is not told because this process ends, or cannot be told for long, is found by who looks by himself: a worker's
 * sweep, a watcher's poll. */
#pragma once
#include <stdbool.h>
#include "db/jobs.h"

struct job_teller;
struct loop;

/* on_idle: after job_teller_hurry, once nothing is left to tell. */
struct job_teller *job_teller_create(struct loop *l, struct db *db, void (*on_idle)(void *data), void *data);
void job_teller_destroy(struct job_teller *t); /* NULL is fine */
/* Its ids are copied. */
void job_teller_put(struct job_teller *t, const struct db_job *job, enum db_told_what what);
/* Everything that is known, and from now on without rests; what fails is forgotten. */
void job_teller_hurry(struct job_teller *t);
bool job_teller_is_idle(const struct job_teller *t);
