/* schedules: submits what schedules (db/schedules.h) are due. In every daemon; whoever comes first takes a schedule, by an
 * advisory lock and the schedule's revision, and stores the job and the next time in one transaction: a run is submitted
 * once, whatever the number of daemons, and whichever of them sleeps or dies.
 *
 * A run whose time has passed by a minute was missed (no daemon was there): by the schedule's policy it is left out, or
 * made up for once, however many were missed. While the job of the run before has not ended, a run is left out. Owned by
 * app. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct db;
struct db_schedule;
struct job_schedules;
struct loop;
struct rng;

#define SCHEDULE_LATE_S 60 /* later than that, a run was missed */

/* What becomes of a schedule that is due. Pure. */
enum schedule_verdict { SCHEDULE_RUNS, SCHEDULE_IS_MISSED, SCHEDULE_IS_BUSY };
enum schedule_verdict schedule_decide(const struct db_schedule *s, int64_t now_s);
/* When a run of then is to begin: up to jitter_s later. */
int64_t schedule_due_s(int64_t next_s, int jitter_s, struct rng *rng);
/* How a look at what is due went. */
struct schedule_look {
	bool failed;      /* the database was away, say */
	bool passed_over; /* another daemon was at one: it may have been at another one */
	bool seen_to;     /* one at least was seen to here */
	bool more;        /* there may be more that is due now */
	int64_t due_ms;   /* until the next one is due; -1: none is */
};
/* Until the next look. Daemons that are at the same schedules leave them to the one that sees to some, which does not wait: a
 * thousand that are due at once are not to be late. Pure. */
uint64_t schedule_rest_ms(const struct schedule_look *l);

/* Everything is borrowed. */
struct job_schedules *job_schedules_create(struct loop *l, struct db *db, struct rng *rng);
void job_schedules_start(struct job_schedules *s);
/* One was made or changed, perhaps. */
void job_schedules_wake(struct job_schedules *s);
/* No more from here on; done fires once, when nothing is under way. */
void job_schedules_stop(struct job_schedules *s, void (*done)(void *data), void *data);
void job_schedules_destroy(struct job_schedules *s); /* NULL is fine; after pg_destroy */
