/* wake: tells the other daemons by Redis that a job is ready, and hears the same from them. Only hints, and anybody who
 * reaches Redis can write them: a lost one costs the time until the sweep, an invented one costs one empty claim. What
 * would be believed (that a job was asked to stop) does not come this way, but from PostgreSQL. Owned by app. */
#pragma once

struct job_wake;
struct redis;

/* redis is borrowed and may be NULL: then announcing does nothing. on_ready(data, job id): claim now; NULL: any may have been
 * missed. */
struct job_wake *job_wake_create(struct redis *redis, void (*on_ready)(void *data, const char *job_id), void *data);
void job_wake_destroy(struct job_wake *w); /* after redis_destroy */
void job_wake_ready(struct job_wake *w, const char *job_id);
