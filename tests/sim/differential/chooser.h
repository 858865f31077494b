/* chooser: what an operation is about. Drawn from a seed, so that both sides are asked the same; from a small world, so that things
 * meet. What was drawn is told in `words`. */
#pragma once
#include "sides.h"

struct chooser {
	struct rng base;
	uint64_t x;
	struct side *s;
	struct buf *words;
};

void chooser_init(struct chooser *c, struct side *s, uint64_t seed, struct buf *words);
size_t below(struct chooser *c, size_t n);
bool chance(struct chooser *c, size_t of_hundred);
const char *one_of(struct chooser *c, const char *const *list, size_t n);
#define ONE_OF(c, ...) \
	one_of(c, (const char *const[]){__VA_ARGS__}, \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

extern const char *const nobody; /* an id of nothing */
extern const struct db_scope everybody; /* who may read everything */

/* A mutation's caller: now and then with a request id, now and then one of one project. */
struct db_scope scope_of(struct chooser *c, const char *method);
/* A reader's. */
struct db_scope reader(struct chooser *c);
const char *project(struct chooser *c);
const char *stack(struct chooser *c);
const char *service(struct chooser *c);
const char *daemon_id(struct chooser *c, size_t of);
const char *some_job(struct chooser *c);
const char *some_release(struct chooser *c);
const char *stack_id(struct chooser *c);
struct db_stack_ref some_stack(struct chooser *c);
/* From the start, behind the page that was told last, or behind any row. */
struct db_page some_page(struct chooser *c, enum side_list list, const char *any);
/* What it had when it was told last, something else, or none. */
const char *some_etag(struct chooser *c, const char *project);
/* The job that a fenced operation is about; now and then under an epoch that is over. */
struct db_job fenced_job(struct chooser *c);
/* Mostly the job's own. */
const char *release_for(struct chooser *c, const struct db_job *j);
/* Long due, or not for long: on both sides, whatever their clocks say. */
struct db_schedule_times times(struct chooser *c);

/* ---- operations of reads.c ---- */
void op_new_project(struct chooser *c);
void op_remove_project(struct chooser *c);
void op_read_projects(struct chooser *c);
void op_list_stacks(struct chooser *c);
void op_list_jobs(struct chooser *c);
void op_read_job(struct chooser *c);
void op_read_release(struct chooser *c);
void op_reserved(struct chooser *c);
void op_daemon(struct chooser *c);
/* ---- of scheduled.c ---- */
void op_schedule(struct chooser *c);
void op_change_schedule(struct chooser *c);
void op_read_schedules(struct chooser *c);
void op_due(struct chooser *c);
