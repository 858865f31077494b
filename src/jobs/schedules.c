#include "jobs/schedules.h"

#include <stdlib.h>
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "db/schedules.h"
#include "jobs/kinds.h"
#include "jobs/timetable.h"
#include "loop/loop.h"

#define LOOK_MS  30000 /* at the latest; NOTIFY wakes it sooner */
#define AGAIN_MS 1000  /* after a failure, and when somebody else was at it */
#define AT_ONCE  20    /* schedules a look */
#define DAY_S    86400
#define US       1000000

struct job_schedules {
	struct loop *loop;
	struct db *db;
	struct rng *rng;
	struct arena *arena; /* of the look: NULL between two */
	struct timer timer;
	bool started, dirty, stopping;
	struct schedule_look look;
	struct db_schedule *due; /* seen to one after the other */
	size_t n, at;
	int64_t now_s;
	struct db_schedule_times next; /* of due[at] */
	struct defer stopped;
	void (*on_stopped)(void *data);
	void *stopped_data;
};

/* ---- decisions ---- */

enum schedule_verdict schedule_decide(const struct db_schedule *s, int64_t now_s)
{
	bool ended = s->last_job_state == 0 || job_state_is_end(s->last_job_state);
	if (!ended)
		return SCHEDULE_IS_BUSY;
	if (s->missed == SCHEDULE_SKIP && now_s - s->due_us / US > SCHEDULE_LATE_S)
		return SCHEDULE_IS_MISSED;
	return SCHEDULE_RUNS;
}

int64_t schedule_due_s(int64_t next_s, int jitter_s, struct rng *rng)
{
	return next_s + (jitter_s > 0 ? (int64_t)rng_below(rng, (uint64_t)jitter_s + 1) : 0);
}

uint64_t schedule_rest_ms(const struct schedule_look *l)
{
	if (l->failed || (l->passed_over && !l->seen_to))
		return AGAIN_MS;
	if (l->more || l->passed_over)
		return 0;
	return l->due_ms >= 0 && l->due_ms < LOOK_MS ? (uint64_t)l->due_ms : LOOK_MS;
}

/* What the stack, or a limit, says against it: it would say the same in a minute. */
static bool is_refused(enum st_code code)
{
	return code == ST_FAILED_PRECONDITION || code == ST_NOT_FOUND || code == ST_RESOURCE_EXHAUSTED ||
		code == ST_INVALID_ARGUMENT;
}

/* ---- one look ---- */

static void next_one(struct job_schedules *s);

static void rest(struct job_schedules *s)
{
	s->look.more = s->dirty || s->n == AT_ONCE;
	arena_destroy(s->arena);
	s->arena = NULL;
	if (s->stopping)
		defer_post(&s->stopped);
	else
		timer_set(&s->timer, schedule_rest_ms(&s->look));
}

static void done_with(struct job_schedules *s)
{
	s->at++;
	next_one(s);
}

static void give_up(struct job_schedules *s, const char *what, const struct status *st)
{
	log_warn(what, "schedule", s->due[s->at].name, "project", s->due[s->at].project, "error", st->message, NULL);
	s->look.failed = true;
	done_with(s);
}

static void on_passed(void *data, const struct status *st)
{
	struct job_schedules *s = data;
	s->look.passed_over |= st->code == ST_ABORTED;
	s->look.seen_to |= status_is_ok(st);
	if (status_is_ok(st) || st->code == ST_ABORTED)
		done_with(s);
	else
		give_up(s, "a schedule cannot be stored; it is tried again", st);
}

static void pass(struct job_schedules *s, enum schedule_outcome outcome, const char *message)
{
	const struct db_schedule *one = &s->due[s->at];
	log_info("a schedule does not run", "schedule", one->name, "project", one->project, "why", message, NULL);
	s->db->schedules->pass(s->db, one, outcome, message, &s->next, on_passed, s);
}

static void on_fired(void *data, const struct status *st, const struct db_job *j)
{
	struct job_schedules *s = data;
	const struct db_schedule *one = &s->due[s->at];
	if (is_refused(st->code)) {
		pass(s, SCHEDULE_REFUSED, st->message);
	} else if (!status_is_ok(st)) {
		on_passed(s, st);
	} else {
		log_info("a schedule runs", "schedule", one->name, "project", one->project, "job", j->id.text, NULL);
		s->look.seen_to = true;
		done_with(s);
	}
}

static void act(struct job_schedules *s)
{
	const struct db_schedule *one = &s->due[s->at];
	enum job_kind kind = one->action == SCHEDULE_SCALE ? JOB_SCALE : one->action == SCHEDULE_RESTART ? JOB_RESTART : JOB_UPDATE;
	switch (schedule_decide(one, s->now_s)) {
	case SCHEDULE_IS_BUSY:
		pass(s, SCHEDULE_SKIPPED,
			arena_fmt(s->arena, "job %s of the run before has not ended", one->last_job_id.text));
		return;
	case SCHEDULE_IS_MISSED:
		pass(s, SCHEDULE_MISSED, "no daemon was there when it was due");
		return;
	case SCHEDULE_RUNS:
		s->db->schedules->fire(s->db, one, (int)job_rule_of(kind)->attempts, &s->next, on_fired, s);
	}
}

static void on_next(void *data, const struct status *st, int64_t next_s)
{
	struct job_schedules *s = data;
	const struct db_schedule *one = &s->due[s->at];
	if (st->code == ST_INVALID_ARGUMENT) { /* its zone has left the data base: looked at again in a day */
		s->next = (struct db_schedule_times){s->now_s + DAY_S, s->now_s + DAY_S};
		pass(s, SCHEDULE_REFUSED, st->message);
	} else if (!status_is_ok(st)) {
		give_up(s, "when a schedule is due next cannot be told; it is tried again", st);
	} else {
		s->next = (struct db_schedule_times){next_s, schedule_due_s(next_s, one->jitter_s, s->rng)};
		act(s);
	}
}

static void next_one(struct job_schedules *s)
{
	if (s->at == s->n || s->stopping) {
		rest(s);
		return;
	}
	const struct db_schedule *one = &s->due[s->at];
	int64_t behind = one->next_us / US > s->now_s ? one->next_us / US : s->now_s;
	timetable_next(s->loop, one->cron, one->time_zone, behind, on_next, s);
}

static void keep(struct job_schedules *s, const struct db_schedule *list, size_t n)
{
	struct arena *a = s->arena;
	s->due = n ? arena_memdup(a, list, n * sizeof(*list)) : NULL;
	s->n = n;
	for (size_t i = 0; i < n; i++) {
		struct db_schedule *one = &s->due[i];
		one->project = arena_strdup(a, one->project);
		one->stack = arena_strdup(a, one->stack);
		one->name = arena_strdup(a, one->name);
		one->params = str_of(str_dup(a, one->params));
		one->cron = arena_strdup(a, one->cron);
		one->time_zone = arena_strdup(a, one->time_zone);
		one->last_message = one->last_job_error = one->created_by = "";
	}
}

static void on_due(
	void *data, const struct status *st, const struct db_schedule *list, size_t n, int64_t now_us, int64_t due_ms)
{
	struct job_schedules *s = data;
	s->look = (struct schedule_look){.failed = !status_is_ok(st), .due_ms = due_ms}; /* app tells of a database that is away */
	s->now_s = now_us / US;
	s->at = 0;
	keep(s, list, n);
	next_one(s);
}

static void on_timer(struct timer *t)
{
	struct job_schedules *s = container_of(t, struct job_schedules, timer);
	s->arena = arena_create();
	s->dirty = false;
	s->db->schedules->due(s->db, AT_ONCE, on_due, s);
}

/* ---- life ---- */

static void on_stopped(struct defer *d)
{
	struct job_schedules *s = container_of(d, struct job_schedules, stopped);
	s->on_stopped(s->stopped_data);
}

struct job_schedules *job_schedules_create(struct loop *l, struct db *db, struct rng *rng)
{
	struct job_schedules *s = mem_new(struct job_schedules);
	s->loop = l;
	s->db = db;
	s->rng = rng;
	timer_init(&s->timer, l, on_timer);
	defer_init(&s->stopped, l, on_stopped);
	return s;
}

void job_schedules_start(struct job_schedules *s)
{
	s->started = true;
	timer_set(&s->timer, 0);
}

void job_schedules_wake(struct job_schedules *s)
{
	s->dirty = true;
	if (s->started && !s->arena && !s->stopping)
		timer_set(&s->timer, 0);
}

void job_schedules_stop(struct job_schedules *s, void (*done)(void *data), void *data)
{
	s->stopping = true;
	s->on_stopped = done;
	s->stopped_data = data;
	timer_stop(&s->timer);
	if (!s->arena)
		defer_post(&s->stopped);
}

void job_schedules_destroy(struct job_schedules *s)
{
	if (!s)
		return;
	timer_stop(&s->timer);
	defer_cancel(&s->stopped);
	arena_destroy(s->arena);
	free(s);
}
