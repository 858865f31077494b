/* submit: new jobs that are about no stack, gathered (jobs/gather) and stored once a loop turn. What is about a
 * stack is submitted by db/stacks in the transaction that changes the stack. Owned by whoever makes such jobs. */
#pragma once
#include "base/status.h"

struct db;
struct db_new_job;
struct job_submit;
struct loop;

struct job_submit *job_submit_create(struct loop *l, struct db *db); /* borrowed */
/* Nothing waits or is under way. NULL is fine. */
void job_submit_destroy(struct job_submit *s);
/* `job` is copied. done, once, on a later turn: OK: it is stored. NOT_FOUND: its project does not exist.
 * UNAVAILABLE: it may be stored; the same again, with the same id, makes no second one. */
void job_submit_add(struct job_submit *s, const struct db_new_job *job,
	void (*done)(void *data, const struct status *st), void *data);
