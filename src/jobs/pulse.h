/* pulse: says every few seconds that this daemon lives, so that people see which daemons there are.
 * Nothing is decided by it. Owned by app. */
#pragma once

struct db;
struct job_pulse;
struct job_worker;
struct loop;

/* Everything is borrowed; id, host and version outlive it. */
struct job_pulse *job_pulse_create(struct loop *l, struct db *db, const struct job_worker *worker,
	const char *id, const char *host, const char *version);
void job_pulse_start(struct job_pulse *p);
/* Says that it is gone. */
void job_pulse_stop(struct job_pulse *p);
void job_pulse_destroy(struct job_pulse *p); /* NULL is fine; after pg_destroy */
