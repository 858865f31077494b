#include "jobs/run.h"

#include <inttypes.h>
#include <string.h>
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "jobs/retry.h"

/* How soon a write that did not reach the database is tried again. */
#define AGAIN_MS 300
/* What is stored as the step before the first one is run. */
#define BEGUN "begun"
#define EVENTS_MS 10

struct run_events {
	struct arena *arena;
	struct db_event *items;
	size_t len, cap;
};

static void add_end(struct job_run *run, struct db_job_write *w);
static void on_step_stored(struct job_run *run);
static void start_steps(struct job_run *run);

static struct run_events *events_create(void)
{
	struct arena *a = arena_create_small();
	struct run_events *e = arena_new(a, struct run_events);
	e->arena = a;
	return e;
}

static void events_destroy(struct run_events *e)
{
	arena_destroy(e->arena);
}

static void events_add(struct run_events *q, const struct db_event *e, int percent)
{
	if (q->len == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 4;
		struct db_event *items = arena_array(q->arena, struct db_event, cap);
		if (q->len)
			memcpy(items, q->items, q->len * sizeof(*items));
		q->items = items;
		q->cap = cap;
	}
	struct db_event *c = &q->items[q->len++];
	*c = *e;
	c->percent = percent;
	c->kind = arena_strdup(q->arena, e->kind);
	c->message = arena_strdup(q->arena, e->message);
	c->service = arena_strdup(q->arena, e->service);
	c->step = arena_strdup(q->arena, e->step);
	c->state = arena_strdup(q->arena, e->state);
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
	c->failures = str_of(arena_strndup(a, j->failures.ptr, j->failures.len));
	c->owner = arena_strdup(a, j->owner);
	const char **warnings = arena_array(a, const char *, j->n_warnings);
	for (size_t i = 0; i < j->n_warnings; i++)
		warnings[i] = arena_strdup(a, j->warnings[i]);
	c->warnings = warnings;
	return c;
}

/* Some daemon may have done something that must be taken back. */
static bool has_begun(const struct job_run *run)
{
	return run->job->step[0] || run->job->undoing;
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

/* What is not sent yet is put together anew, or not at all. False: it is under way. */
static bool take_back_write(struct job_run *run)
{
	if (run->writing && !job_batch_take_back(&run->write))
		return false;
	run->holds -= run->writing;
	run->writing = false;
	return true;
}

static void start_leaving(struct job_run *run, enum run_outcome outcome)
{
	run->phase = RUN_LEAVING;
	run->outcome = outcome;
	timer_stop(&run->soon);
	timer_stop(&run->lease);
	timer_stop(&run->limit);
	take_back_write(run);
	if (run->holds == 0)
		defer_post(&run->leave);
}

/* ---- what waits for the database ---- */

static bool is_lost(const struct status *st)
{
	return st->code == ST_ABORTED || st->code == ST_NOT_FOUND;
}

static bool may_pass(const struct status *st)
{
	return retry_is_transient(st->code) || st->code == ST_DEADLINE_EXCEEDED ||
	       st->code == ST_CANCELLED;
}

/* Writes what there is: events, then the step, then the end. */
static void pump(struct job_run *run)
{
	struct db_job_write *w = &run->write.what;
	bool over = run->phase == RUN_ENDING;
	if (run->phase == RUN_LEAVING || !take_back_write(run))
		return;
	if (!run->again || run->n_sent == 0)
		run->n_sent = run->events->len;
	if (run->n_sent == 0 && !run->step_to_store && !over)
		return;
	timer_stop(&run->soon);
	run->n_writes++;
	if (!run->again)
		run->first_write = run->n_writes;
	*w = (struct db_job_write){.id = run->job->id.text, .epoch = run->job->epoch,
		.number = run->n_writes, .first = run->first_write, .events = run->events->items, .n_events = run->n_sent,
		.step = run->step_to_store};
	if (run->step_to_store && run->storing_undo) {
		const struct flow *f = run->flow;
		run->why = (struct db_job_why){f->st, run->story ? run->story : f->st.message, run->failures};
		w->undoing = &run->why;
	}
	if (over)
		add_end(run, w);
	run->writing = true;
	job_run_hold(run);
	job_batch_put(run->batch, &run->write);
}

static void on_soon(struct timer *t)
{
	pump(container_of(t, struct job_run, soon));
}

/* The database has the events that were sent; or never will. */
static void forget_events(struct job_run *run)
{
	struct run_events *old = run->events;
	if (run->n_sent == 0)
		return;
	run->events = events_create();
	for (size_t i = run->n_sent; i < old->len; i++)
		events_add(run->events, &old->items[i], old->items[i].percent);
	run->n_sent = 0;
	events_destroy(old);
}

static void on_stored(struct job_run *run)
{
	const struct db_job_write *w = &run->write.what;
	run->again = false;
	forget_events(run);
	if (w->state)
		start_leaving(run, run->ending == END_FINISH ? RUN_FINISHED : RUN_REQUEUED);
	else if (w->step && w->step == run->step_to_store)
		on_step_stored(run);
	if (run->step_to_store || run->phase == RUN_ENDING)
		pump(run);
	else if (run->events->len > 0 && run->phase != RUN_LEAVING)
		timer_set(&run->soon, EVENTS_MS);
}

static void on_written(struct job_write *jw, const struct status *st)
{
	struct job_run *run = container_of(jw, struct job_run, write);
	run->writing = false;
	if (run->phase == RUN_LEAVING) {
		; /* too late to matter */
	} else if (status_is_ok(st)) {
		on_stored(run);
	} else if (is_lost(st)) {
		job_run_abandon(run, st->message);
	} else if (!may_pass(st) && run->n_sent > 0) {
		log_warn("events of a job are lost", "job", run->job->id.text, "error", st->message,
			NULL);
		forget_events(run); /* or the job would never end */
		pump(run);
	} else {
		run->again |= jw->what.n_events > 0 || jw->what.state;
		timer_set(&run->soon, AGAIN_MS);
	}
	job_run_release(run);
}

/* ---- events ---- */

void job_run_event(struct job_run *run, const struct db_event *e)
{
	if (run->phase == RUN_LEAVING)
		return;
	if (e->percent >= 0)
		run->percent = e->percent;
	events_add(run->events, e, run->percent);
	if (!run->writing && !timer_is_set(&run->soon))
		timer_set(&run->soon, EVENTS_MS);
}

void job_run_say(struct job_run *run, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = arena_vfmt(run->arena, fmt, ap);
	va_end(ap);
	job_run_event(
		run, &(struct db_event){.kind = "job.message", .message = text, .percent = -1});
}

void job_run_story(struct job_run *run, const char *story, const char *failures)
{
	if (run->flow->state == FLOW_UNDOING) {
		run->undo_story = arena_strdup(run->arena, story);
	} else {
		run->story = arena_strdup(run->arena, story);
		run->failures = str_of(arena_strdup(run->arena, failures));
	}
}

/* ---- the end ---- */

/* What failed, then what taking back did. */
static const char *error_text(struct job_run *run)
{
	const struct flow *f = run->flow;
	const char *failed = run->story ? run->story : f->st.message;
	if (!status_is_ok(&f->undo_st))
		return arena_fmt(run->arena, "%s\ntaking it back failed too: %s", failed,
			run->undo_story ? run->undo_story : f->undo_st.message);
	if (run->undo_story)
		return arena_fmt(run->arena, "%s\n%s", failed, run->undo_story);
	return failed;
}

static enum job_state state_of(const struct status *st)
{
	if (status_is_ok(st))
		return JOB_SUCCEEDED;
	return st->code == ST_CANCELLED ? JOB_CANCELLED : JOB_FAILED;
}

static void add_end(struct job_run *run, struct db_job_write *w)
{
	const struct status *st = &run->flow->st;
	run->why = (struct db_job_why){*st, error_text(run), run->failures};
	w->state = JOB_PENDING;
	w->keep_step = true;
	if (run->ending == END_REQUEUE || run->ending == END_SNOOZE)
		w->delay_ms = retry_delay_ms(run->rule, run->job->attempt, run->rng);
	switch (run->ending) {
	case END_FINISH:
		w->state = state_of(st);
		w->step = status_is_ok(st) ? run->last_step : NULL;
		w->why = status_is_ok(st) ? NULL : &run->why;
		break;
	case END_REQUEUE:
		w->why = &run->why;
		w->keep_step = run->flow == &run->prelude; /* nothing was undone */
		break;
	case END_SNOOZE:
	case END_HAND_BACK:
		break;
	}
}

void job_run_try_no_more(struct job_run *run)
{
	run->no_more = true;
}

static void start_ending(struct job_run *run, enum run_ending ending)
{
	run->phase = RUN_ENDING;
	run->ending = ending;
	run->step_to_store = NULL;
	pump(run);
	run->on_ending(run);
}

static void end_of_flow(struct job_run *run)
{
	const struct flow *f = run->flow;
	bool transient =
		!run->no_more && retry_is_transient(f->st.code) && status_is_ok(&f->undo_st);
	if (f == &run->prelude && has_begun(run) &&
		(transient || f->st.code == ST_DEADLINE_EXCEEDED))
		start_ending(run, END_SNOOZE); /* what was begun is neither done nor taken back */
	else if (transient && !run->cancelled && run->job->attempt < run->job->max_attempts)
		start_ending(run, END_REQUEUE);
	else
		start_ending(run, END_FINISH);
}

/* ---- the flows ---- */

static void on_step(struct flow *f, const char *name, unsigned index, unsigned count)
{
	struct job_run *run = f->data;
	bool undo = f->state == FLOW_UNDOING;
	int percent = undo || f == &run->prelude ? -1 : (int)(100 * index / (count ? count : 1));
	job_run_event(run,
		&(struct db_event){
			.kind = undo ? "job.undo" : "job.step", .step = name, .percent = percent});
}

static void on_step_stored(struct job_run *run)
{
	const struct status ok = status_ok();
	run->step_to_store = NULL;
	if (run->phase == RUN_STEPS && run->steps.state == FLOW_IDLE)
		start_steps(run);
	else if (run->phase == RUN_STEPS)
		flow_persisted(&run->steps, &ok);
}

static void on_persist(struct flow *f, const char *name, bool undo)
{
	struct job_run *run = f->data;
	const struct status ok = status_ok();
	if (!undo && f->at + 1 == f->count) {
		run->last_step = name;
		flow_persisted(f, &ok);
		return;
	}
	if (undo)
		job_run_event(run, &(struct db_event){.kind = "job.failed",
					   .state = job_state_name(state_of(&f->st)),
					   .message = run->story ? run->story : f->st.message,
					   .percent = -1});
	run->step_to_store = name;
	run->storing_undo = undo;
	pump(run);
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

/* The last step that is known to be done; NULL: none. */
static const char *last_step(const struct job_run *run)
{
	const char *step = run->job->step;
	return step[0] && strcmp(step, BEGUN) != 0 ? step : NULL;
}

/* The step behind it: where a crash may have left something half done. */
static const char *step_under_way(const struct job_run *run)
{
	const struct flow_step *s = run->kind->steps;
	const char *last = last_step(run);
	if (!last)
		return s->name;
	while (s->name && strcmp(s->name, last) != 0)
		s++;
	return s->name && s[1].name ? s[1].name : last;
}

static bool is_no_return(const struct job_run *run, const char *step)
{
	return step && run->kind->no_return && strcmp(run->kind->no_return, step) == 0;
}

/* Too many daemons have died over it, `times` as many as may. It may be what kills them. */
static bool is_deadly(const struct job_run *run, int times)
{
	return run->max_takeovers > 0 && run->job->takeovers > times * run->max_takeovers;
}

static const char *first_line(struct job_run *run, const char *text)
{
	struct str rest = str_of(text);
	return str_dup(run->arena, str_cut(&rest, '\n'));
}

static void start_steps(struct job_run *run)
{
	const struct db_job *j = run->job;
	struct flow *f = &run->steps;
	if (j->undoing) { /* the reason was stored with the mark */
		f->st = status_err(st_code_parse(j->error_code), "%s", first_line(run, j->error));
		run->story = j->error;
		run->failures = j->failures;
		flow_start(f, j->step, true);
	} else if (run->cancelled && !is_no_return(run, step_under_way(run))) {
		f->st = status_err(ST_CANCELLED, "cancelled");
		flow_start(f, step_under_way(run), true);
	} else if (is_deadly(run, 1) && !is_no_return(run, step_under_way(run))) {
		f->st = status_err(ST_INTERNAL,
			"%d daemons have died over this job, the last one at step %s: it is not "
			"tried again",
			run->job->takeovers, step_under_way(run));
		flow_start(f, step_under_way(run), true);
	} else {
		flow_start(f, last_step(run), false);
	}
}

static void on_prelude_end(struct flow *f)
{
	struct job_run *run = f->data;
	if (run->phase != RUN_PRELUDE)
		return;
	if (!status_is_ok(&f->st)) {
		end_of_flow(run);
		return;
	}
	run->phase = RUN_STEPS;
	run->flow = &run->steps;
	if (has_begun(run) || !run->kind->steps->name) {
		start_steps(run);
		return;
	}
	run->step_to_store = BEGUN;
	run->storing_undo = false;
	pump(run);
}

static const struct flow_ops prelude_ops = {
	.on_step = on_step, .interrupt = on_interrupt, .on_end = on_prelude_end};
static const struct flow_ops steps_ops = {.on_step = on_step,
	.persist = on_persist,
	.interrupt = on_interrupt,
	.on_end = on_steps_end};

/* ---- stopping ---- */

/* Its effect may be known already: taking back would contradict it. */
static bool is_behind_return(const struct job_run *run)
{
	const struct flow *f = &run->steps;
	bool downward = f->state == FLOW_RUNNING || f->state == FLOW_PERSISTING;
	return run->phase == RUN_STEPS && downward &&
	       (!f->steps[f->at].name || is_no_return(run, f->steps[f->at].name));
}

/* Its kind is only cancelled while it waits. */
static bool must_go_on(const struct job_run *run)
{
	return run->rule->cancel == CANCEL_WAITING && (run->phase == RUN_STEPS || has_begun(run));
}

void job_run_cancel(struct job_run *run)
{
	struct status why = status_err(ST_CANCELLED, "cancelled");
	if (run->cancelled || must_go_on(run) || run->phase >= RUN_ENDING || is_behind_return(run))
		return;
	run->cancelled = true;
	/* What a dead daemon began must be taken back, and that needs what the prelude finds. */
	if (run->phase == RUN_STEPS || !has_begun(run))
		flow_cancel(run->flow, &why);
}

static void on_limit(struct timer *t)
{
	struct job_run *run = container_of(t, struct job_run, limit);
	struct status why = status_err(ST_DEADLINE_EXCEEDED,
		"it took longer than the %" PRIu64 " s that a job of kind %s may take",
		run->rule->limit_s, job_kind_name(run->job->kind));
	if (!run->cancelled && run->phase < RUN_ENDING && !is_behind_return(run))
		flow_cancel(run->flow, &why);
}

/* ---- life ---- */

bool job_run_holds_lease(struct job_run *run)
{
	if (run->phase == RUN_LEAVING)
		return false;
	if (run->trusted_until_ms == 0 || loop_now_ms(run->loop) < run->trusted_until_ms)
		return true;
	job_run_abandon(run, "its lease could not be renewed in time: it is left to whoever takes it over");
	return false;
}

static void on_lease(struct timer *t)
{
	(void)job_run_holds_lease(container_of(t, struct job_run, lease));
}

void job_run_trust(struct job_run *run, uint64_t until_ms)
{
	uint64_t now = loop_now_ms(run->loop);
	run->trusted_until_ms = until_ms;
	if (run->phase != RUN_LEAVING)
		timer_set(&run->lease, until_ms > now ? until_ms - now : 0);
}

struct job_run *job_run_create(struct loop *l, struct db *db, struct job_batch *batch, struct rng *rng,
	const struct job_kind_def *kind, void *context, const struct db_job *job)
{
	struct arena *a = arena_create_small();
	struct job_run *run = arena_new(a, struct job_run);
	run->loop = l;
	run->db = db;
	run->rng = rng;
	run->arena = a;
	run->kind = kind;
	run->rule = job_rule_of(job->kind);
	run->context = context;
	run->job = job_copy(a, job);
	run->percent = job->percent;
	run->cancelled = job->cancel_requested && !must_go_on(run);
	run->events = events_create();
	run->batch = batch;
	run->write.done = on_written;
	run->write.job = run->job;
	list_init(&run->node);
	list_init(&run->line);
	timer_init(&run->soon, l, on_soon);
	timer_init(&run->lease, l, on_lease);
	timer_init(&run->limit, l, on_limit);
	defer_init(&run->leave, l, on_leave);
	flow_init(&run->prelude, l, kind->prelude, &prelude_ops, run);
	flow_init(&run->steps, l, kind->steps, &steps_ops, run);
	run->flow = &run->prelude;
	kind->begin(run);
	return run;
}

void job_run_start(struct job_run *run)
{
	if (run->cancelled && !has_begun(run)) {
		run->flow->st = status_err(ST_CANCELLED, "cancelled before it began");
		start_ending(run, END_FINISH);
		return;
	}
	if (is_deadly(run, has_begun(run) ? 2 : 1)) {
		run->flow->st = status_err(ST_INTERNAL,
			"%d daemons have died over this job%s: it is given up%s",
			run->job->takeovers, has_begun(run) ? " and over taking it back" : "",
			has_begun(run) ? " as it is; deploy the stack again, or remove it" : "");
		start_ending(run, END_FINISH);
		return;
	}
	timer_set(&run->limit, run->rule->limit_s * 1000);
	flow_start(&run->prelude, NULL, false);
}

void job_run_destroy(struct job_run *run)
{
	timer_stop(&run->soon);
	timer_stop(&run->lease);
	timer_stop(&run->limit);
	defer_cancel(&run->leave);
	events_destroy(run->events);
	arena_destroy(run->arena);
}

static void stop_flow(struct job_run *run)
{
	if (run->phase == RUN_PRELUDE || run->phase == RUN_STEPS)
		flow_abandon(run->flow);
}

void job_run_abandon(struct job_run *run, const char *why)
{
	if (run->phase == RUN_LEAVING)
		return;
	run->abandoned = arena_strdup(run->arena, why);
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
