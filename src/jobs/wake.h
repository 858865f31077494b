/* wake: tells the other daemons by Redis that a job is ready or was cancelled, and hears the same
 * from them. Only hints: a lost message costs the time until the sweep, an invented one costs one
 * empty claim. Owned by app. */
#pragma once

struct job_wake;
struct redis;

/* redis is borrowed and may be NULL: then announcing does nothing. on_ready(data): claim now;
 * on_cancel(data, job id): that job was asked to stop. */
struct job_wake *job_wake_create(struct redis *redis, void (*on_ready)(void *data),
	void (*on_cancel)(void *data, const char *job_id), void *data);
void job_wake_destroy(struct job_wake *w); /* after redis_destroy */
void job_wake_ready(struct job_wake *w, const char *job_id);
void job_wake_cancel(struct job_wake *w, const char *job_id);
