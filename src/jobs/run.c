#include "jobs/run.h"

#include <string.h>
#include "base/arena.h"
#include "base/str.h"
#include "jobs/retry.h"

/* How soon a write that did not reach the database is tried again. */
#define AGAIN_MS 300

struct run_events {
	struct arena *arena;
	struct db_event *items;
	size_t len, cap;
};

static void end_tick(struct job_run *run);
static void start_leaving(struct job_run *run, enum run_outcome outcome);

static struct run_events *events_create(void)
{
	struct arena *a = arena_create();
	struct run_events *e = arena_new(a, struct run_events);
	e->arena = a;
	return e;
}

static void events_destroy(struct run_events *e)
{
	if (e)
		arena_destroy(e->arena);
}

static const struct db_job *job_copy(struct arena *a, const struct db_job *j)
{
	struct db_job *c = arena_memdup(a, j, sizeof(*j));
	c->project = arena_strdup(a, j->project);
	c->stack = arena_strdup(a, j->stack);
	c->params = str_of(arena_strndup(a, j->params.ptr, j->params.len));
	c->step = arena_strdup(a, j->step);
	c->message = arena_strdup(a, j->message);
	c->error = arena_strdup(a, j->error);
	c->error_code = arena_strdup(a, j->error_code);
	c->owner = arena_strdup(a, j->owner);
	const char **warnings = arena_array(a, const char *, j->n_warnings);
	for (size_t i = 0; i < j->n_warnings; i++)
		warnings[i] = arena_strdup(a, j->warnings[i]);
	c->warnings = warnings;
	return c;
}

/* ---- holding ---- */

void job_run_hold(struct job_run *run)
{
	run->holds++;
}

void job_run_release(struct job_run *run)
{
	run->holds--;
	if (run->phase == RUN_LEAVING && run->holds == 0)
		defer_post(&run->leave);
}

static void on_leave(struct defer *d)
{
	struct job_run *run = container_of(d, struct job_run, leave);
	if (run->holds > 0)
		return;
	if (run->kind->end)
		run->kind->end(run);
	run->on_over(run, run->outcome);
}

static void start_leaving(struct job_run *run, enum run_outcome outcome)
{
	run->phase = RUN_LEAVING;
	run->outcome = outcome;
	timer_stop(&run->again);
	defer_cancel(&run->flush);
	if (run->holds == 0)
		defer_post(&run->leave);
}

/* ---- events ---- */

static void on_progress(void *data, const struct status *st)
{
	struct job_run *run = data;
	if (status_is_ok(st)) {
		events_destroy(run->sent);
		run->sent = NULL;
	}
	bool lost = st->code == ST_ABORTED || st->code == ST_NOT_FOUND;
	if (run->phase != RUN_LEAVING) {
		if (lost)
			job_run_abandon(run);
		else if (!status_is_ok(st))
			timer_set(&run->again, AGAIN_MS);
		else if (run->queued->len > 0)
			defer_post(&run->flush);
		else if (run->phase == RUN_ENDING)
			end_tick(run);
	}
	job_run_release(run);
}

static void send_events(struct job_run *run)
{
	job_run_hold(run);
	run->db->jobs->progress(run->db, run->job->id.text, run->job->epoch, run->sent->items, run->sent->len, on_progress, run);
}

static void on_flush(struct defer *d)
{
	struct job_run *run = container_of(d, struct job_run, flush);
	if (run->sent || run->phase == RUN_LEAVING)
		return; /* on_progress comes back here */
	if (run->queued->len == 0)
		return;
	run->sent = run->queued;
	run->queued = events_create();
	send_events(run);
}

void job_run_event(struct job_run *run, const struct db_event *e)
{
	if (run->phase == RUN_LEAVING)
		return;
	struct run_events *q = run->queued;
	if (q->len == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 16;
		struct db_event *items = arena_array(q->arena, struct db_event, cap);
		if (q->len)
			memcpy(items, q->items, q->len * sizeof(*items));
		q->items = items;
		q->cap = cap;
	}
	if (e->percent >= 0)
		run->percent = e->percent;
	struct db_event *c = &q->items[q->len++];
	*c = *e;
	c->percent = run->percent;
	c->kind = arena_strdup(q->arena, e->kind);
	c->message = arena_strdup(q->arena, e->message);
	c->service = arena_strdup(q->arena, e->service);
	c->step = arena_strdup(q->arena, e->step);
	c->state = arena_strdup(q->arena, e->state);
	defer_post(&run->flush);
}

void job_run_say(struct job_run *run, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = arena_vfmt(run->arena, fmt, ap);
	va_end(ap);
	job_run_event(run, &(struct db_event){.kind = "job.message", .message = text, .percent = -1});
}

void job_run_story(struct job_run *run, const char *story)
{
	run->story = arena_strdup(run->arena, story);
}

/* ---- the end ---- */

static void on_ended(void *data, const struct status *st)
{
	struct job_run *run = data;
	if (run->phase == RUN_ENDING) {
		if (status_is_ok(st))
			start_leaving(run, run->ending == END_FINISH ? RUN_FINISHED : RUN_REQUEUED);
		else if (st->code == ST_ABORTED || st->code == ST_NOT_FOUND)
			job_run_abandon(run);
		else
			timer_set(&run->again, AGAIN_MS); /* same epoch, same outcome: harmless twice */
	}
	job_run_release(run);
}

/* The whole story of a failed or cancelled run: what failed, then what taking back did. */
static const char *error_text(struct job_run *run)
{
	const struct flow *f = run->flow;
	const char *what = run->story ? run->story : f->st.message;
	if (status_is_ok(&f->undo_st))
		return what;
	return arena_fmt(run->arena, "%s\ntaking it back failed too: %s", what, f->undo_st.message);
}

static void end_tick(struct job_run *run)
{
	struct db *db = run->db;
	const struct db_job *j = run->job;
	const struct status *st = &run->flow->st;
	job_run_hold(run);
	switch (run->ending) {
	case END_FINISH: {
		enum job_state state = status_is_ok(st) ? JOB_SUCCEEDED : run->cancelled ? JOB_CANCELLED : JOB_FAILED;
		const char *text = status_is_ok(st) ? "" : error_text(run);
		db->jobs->finish(db, j->id.text, j->epoch, state, st, text, on_ended, run);
		break;
	}
	case END_REQUEUE: {
		uint64_t delay = retry_delay_ms(j->attempt, run->rng);
		bool keep_step = run->flow == &run->prelude; /* nothing was undone */
		db->jobs->requeue(db, j->id.text, j->epoch, delay, true, keep_step, st, on_ended, run);
		break;
	}
	case END_HAND_BACK:
		db->jobs->requeue(db, j->id.text, j->epoch, 0, false, true, st, on_ended, run);
		break;
	}
}

/* The last events first, so that a watcher sees them before the end. */
static void start_ending(struct job_run *run, enum run_ending ending)
{
	run->phase = RUN_ENDING;
	run->ending = ending;
	if (run->queued->len > 0 || run->sent)
		defer_post(&run->flush);
	else
		end_tick(run);
}

static void store_step(struct job_run *run);

static void on_again(struct timer *t)
{
	struct job_run *run = container_of(t, struct job_run, again);
	if (loop_now_ms(run->loop) >= run->trusted_until_ms) {
		job_run_abandon(run);
		return;
	}
	if (run->step_to_store)
		store_step(run);
	if (run->sent)
		send_events(run);
	else if (run->phase == RUN_ENDING)
		end_tick(run);
}

static void end_of_flow(struct job_run *run)
{
	const struct flow *f = run->flow;
	bool again = retry_is_transient(f->st.code) && status_is_ok(&f->undo_st) && !run->cancelled &&
		run->job->attempt < run->job->max_attempts;
	start_ending(run, again ? END_REQUEUE : END_FINISH);
}

/* ---- the flows ---- */

static void on_step(struct flow *f, const char *name, unsigned index, unsigned count)
{
	struct job_run *run = f->data;
	bool undo = f->state == FLOW_UNDOING;
	int percent = undo ? -1 : (int)(100 * index / (count ? count : 1));
	job_run_event(run, &(struct db_event){.kind = undo ? "job.undo" : "job.step", .step = name, .percent = percent});
}

static void on_step_stored(void *data, const struct status *st)
{
	struct job_run *run = data;
	if (run->phase == RUN_STEPS) {
		if (st->code == ST_ABORTED || st->code == ST_NOT_FOUND) {
			job_run_abandon(run);
		} else if (!status_is_ok(st)) {
			timer_set(&run->again, AGAIN_MS);
		} else {
			run->step_to_store = NULL;
			flow_persisted(&run->steps, st);
		}
	}
	job_run_release(run);
}

static void store_step(struct job_run *run)
{
	const struct db_job *j = run->job;
	job_run_hold(run);
	run->db->jobs->step(run->db, j->id.text, j->epoch, run->step_to_store, run->storing_undo, on_step_stored, run);
}

static void on_persist(struct flow *f, const char *name, bool undo)
{
	struct job_run *run = f->data;
	run->step_to_store = name;
	run->storing_undo = undo;
	store_step(run);
}

static void on_interrupt(struct flow *f)
{
	struct job_run *run = f->data;
	if (run->kind->interrupt)
		run->kind->interrupt(run);
}

static void on_steps_end(struct flow *f)
{
	struct job_run *run = f->data;
	if (run->phase == RUN_STEPS)
		end_of_flow(run);
}

/* The step behind the last completed one: where a crash may have left something half done. */
static const char *step_to_undo(const struct job_run *run)
{
	const struct flow_step *s = run->kind->steps;
	while (s->name && strcmp(s->name, run->job->step) != 0)
		s++;
	return s->name && s[1].name ? s[1].name : run->job->step;
}

static void on_prelude_end(struct flow *f)
{
	struct job_run *run = f->data;
	const struct db_job *j = run->job;
	if (run->phase != RUN_PRELUDE)
		return;
	if (!status_is_ok(&f->st)) {
		end_of_flow(run);
		return;
	}
	run->phase = RUN_STEPS;
	run->flow = &run->steps;
	if (j->undoing) {
		run->steps.st = status_err(ST_ABORTED, "%s", j->error[0] ? j->error : "interrupted while taking it back");
		flow_start(&run->steps, j->step, true);
	} else if (run->cancelled) {
		run->steps.st = status_err(ST_CANCELLED, "cancelled");
		flow_start(&run->steps, step_to_undo(run), true);
	} else {
		flow_start(&run->steps, j->step[0] ? j->step : NULL, false);
	}
}

static const struct flow_ops prelude_ops = {.on_step = on_step, .interrupt = on_interrupt, .on_end = on_prelude_end};
static const struct flow_ops steps_ops = {
	.on_step = on_step, .persist = on_persist, .interrupt = on_interrupt, .on_end = on_steps_end};

/* ---- life ---- */

struct job_run *job_run_create(struct loop *l, struct db *db, struct rng *rng, const struct job_kind_def *kind, void *context,
	const struct db_job *job)
{
	struct arena *a = arena_create();
	struct job_run *run = arena_new(a, struct job_run);
	run->loop = l;
	run->db = db;
	run->rng = rng;
	run->arena = a;
	run->kind = kind;
	run->context = context;
	run->job = job_copy(a, job);
	run->percent = job->percent;
	run->cancelled = job->cancel_requested;
	run->queued = events_create();
	list_init(&run->node);
	timer_init(&run->again, l, on_again);
	defer_init(&run->flush, l, on_flush);
	defer_init(&run->leave, l, on_leave);
	flow_init(&run->prelude, l, kind->prelude, &prelude_ops, run);
	flow_init(&run->steps, l, kind->steps, &steps_ops, run);
	run->flow = &run->prelude;
	kind->begin(run);
	return run;
}

static bool has_begun(const struct job_run *run)
{
	return run->job->step[0] || run->job->undoing;
}

void job_run_start(struct job_run *run)
{
	if (run->cancelled && !has_begun(run)) {
		run->flow->st = status_err(ST_CANCELLED, "cancelled before it began");
		start_ending(run, END_FINISH);
		return;
	}
	flow_start(&run->prelude, NULL, false);
}

void job_run_destroy(struct job_run *run)
{
	timer_stop(&run->again);
	defer_cancel(&run->flush);
	defer_cancel(&run->leave);
	events_destroy(run->queued);
	events_destroy(run->sent);
	arena_destroy(run->arena);
}

void job_run_cancel(struct job_run *run)
{
	struct status why = status_err(ST_CANCELLED, "cancelled");
	if (run->cancelled || run->phase >= RUN_ENDING)
		return;
	run->cancelled = true;
	/* What a dead daemon began must be taken back, and that needs what the prelude finds. */
	if (run->phase == RUN_STEPS || !has_begun(run))
		flow_cancel(run->flow, &why);
}

static void stop_flow(struct job_run *run)
{
	if (run->phase == RUN_PRELUDE || run->phase == RUN_STEPS)
		flow_abandon(run->flow);
}

void job_run_abandon(struct job_run *run)
{
	if (run->phase == RUN_LEAVING)
		return;
	stop_flow(run);
	start_leaving(run, RUN_ABANDONED);
}

void job_run_hand_back(struct job_run *run)
{
	if (run->phase >= RUN_ENDING)
		return;
	stop_flow(run);
	start_ending(run, END_HAND_BACK);
}
