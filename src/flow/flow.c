#include "flow/flow.h"
#include <assert.h>
#include <string.h>

static const struct flow_step *present(const struct flow *f)
{
	return &f->steps[f->at];
}

/* A step has begun and is not over. */
static bool is_open(const struct flow *f)
{
	return f->entered && (f->pending == FLOW_WAIT || f->pending == FLOW_AGAIN);
}

static void tick_later(struct flow *f, enum flow_next pending)
{
	f->pending = pending;
	defer_post(&f->defer);
}

static void leave_step(struct flow *f)
{
	timer_stop(&f->limit);
	f->entered = false;
	f->generation++;
}

/* The functions below that return bool are parts of the tick: true = go on at once; false =
 * something will call, or the flow is gone. */

static bool end(struct flow *f)
{
	leave_step(f);
	defer_cancel(&f->defer);
	f->state = FLOW_ENDED;
	f->undo_st = f->undo_first;
	f->ops->on_end(f);
	return false;
}

/* Makes the present step fail with st. Our defer goes behind those of the operations that the
 * owner cancels here, so that their completions find the step over. */
static void interrupt(struct flow *f, const struct status *st)
{
	timer_stop(&f->limit);
	f->generation++;
	if (f->state == FLOW_UNDOING)
		f->undo_st = *st;
	else
		f->st = *st;
	f->pending = FLOW_FAIL;
	defer_cancel(&f->defer);
	if (f->ops->interrupt)
		f->ops->interrupt(f);
	if (f->state != FLOW_ENDED)
		defer_post(&f->defer);
}

static void on_limit(struct timer *t)
{
	struct flow *f = container_of(t, struct flow, limit);
	struct status st = status_err(ST_DEADLINE_EXCEEDED, "step \"%s\" took longer than %u s",
		present(f)->name, present(f)->seconds);
	interrupt(f, &st);
}

static bool call_persist(struct flow *f, const char *name)
{
	f->state = FLOW_PERSISTING;
	f->pending = FLOW_WAIT;
	f->ops->persist(f, name, f->undo);
	return false;
}

/* ---- downward ---- */

/* Takes back the first `left` steps, the last of them first. */
static bool begin_undo(struct flow *f, unsigned left)
{
	unsigned from = left;
	leave_step(f);
	while (left > 0 && f->steps[left - 1].undo == NULL)
		left--;
	if (left == 0)
		return end(f);
	f->left = left;
	f->undo = true;
	if (f->ops->persist)
		return call_persist(f, f->steps[from - 1].name);
	f->state = FLOW_UNDOING;
	f->pending = FLOW_AGAIN;
	return true;
}

static bool run_failed(struct flow *f)
{
	if (status_is_ok(&f->st))
		f->st = status_err(
			ST_INTERNAL, "step \"%s\" failed without a reason", present(f)->name);
	return begin_undo(f, f->at + 1);
}

static bool run_done(struct flow *f)
{
	leave_step(f);
	f->st = status_ok(); /* what it tried in vain before it found another way */
	if (f->ops->persist)
		return call_persist(f, present(f)->name);
	f->at++;
	f->pending = FLOW_AGAIN;
	return true;
}

static bool run_cancelled(struct flow *f)
{
	if (is_open(f)) {
		interrupt(f, &f->why);
		return false;
	}
	f->st = f->why;
	return begin_undo(f, f->entered ? f->at + 1 : f->at);
}

/* ---- upward ---- */

static bool undo_over(struct flow *f, bool failed)
{
	if (failed && status_is_ok(&f->undo_st))
		f->undo_st = status_err(ST_INTERNAL, "failed without a reason");
	if (failed && status_is_ok(&f->undo_first))
		f->undo_first = status_wrap(&f->undo_st, "undo of step \"%s\"", present(f)->name);
	leave_step(f);
	f->left--;
	f->pending = FLOW_AGAIN;
	return true;
}

/* ---- both ways ---- */

/* Goes to the step that comes next; false when there is none. */
static bool find_step(struct flow *f)
{
	if (f->state == FLOW_RUNNING)
		return f->at < f->count;
	while (f->left > 0 && f->steps[f->left - 1].undo == NULL)
		f->left--;
	if (f->left == 0)
		return false;
	f->at = f->left - 1;
	f->undo_st = status_ok();
	return true;
}

static bool enter_step(struct flow *f)
{
	if (!find_step(f))
		return end(f);
	if (f->ops->on_step)
		f->ops->on_step(f, present(f)->name, f->at, f->count);
	if (f->state == FLOW_ENDED)
		return false;
	if (f->state == FLOW_RUNNING && f->cancelled)
		return true;
	f->entered = true;
	f->generation++;
	if (present(f)->seconds > 0)
		timer_set(&f->limit, (uint64_t)present(f)->seconds * 1000);
	return true;
}

static bool call_step(struct flow *f)
{
	const struct flow_step *s = present(f);
	f->pending = FLOW_WAIT;
	uint64_t token = loop_enter(f->loop, s->name);
	enum flow_next next = f->state == FLOW_UNDOING ? s->undo(f) : s->run(f);
	loop_leave(f->loop, token);
	if (f->state == FLOW_ENDED)
		return false;
	if (next == FLOW_AGAIN) {
		tick_later(f, FLOW_AGAIN);
		return false;
	}
	if (next != FLOW_WAIT)
		f->pending = next;
	return true;
}

static bool advance(struct flow *f)
{
	if (f->state == FLOW_PERSISTING) {
		if (f->pending != FLOW_NEXT)
			return false;
		f->state = f->undo ? FLOW_UNDOING : FLOW_RUNNING;
		if (!f->undo)
			f->at++;
		f->pending = FLOW_AGAIN;
	}
	bool failed = f->entered && f->pending == FLOW_FAIL;
	if (f->cancelled && f->state == FLOW_RUNNING && !failed)
		return run_cancelled(f);
	switch (f->pending) {
	case FLOW_WAIT:
		return false;
	case FLOW_AGAIN:
		return f->entered ? call_step(f) : enter_step(f);
	case FLOW_NEXT:
		return f->state == FLOW_UNDOING ? undo_over(f, false) : run_done(f);
	case FLOW_FAIL:
		return f->state == FLOW_UNDOING ? undo_over(f, true) : run_failed(f);
	}
	return false;
}

static void on_flow_tick(struct defer *d)
{
	struct flow *f = container_of(d, struct flow, defer);
	while (advance(f))
		continue;
}

/* ---- the owner's side ---- */

void flow_init(struct flow *f, struct loop *l, const struct flow_step *steps,
	const struct flow_ops *ops, void *data)
{
	*f = (struct flow){.loop = l, .steps = steps, .ops = ops, .data = data};
	f->st = f->undo_st = f->undo_first = f->why = status_ok();
	timer_init(&f->limit, l, on_limit);
	defer_init(&f->defer, l, on_flow_tick);
	while (steps[f->count].name != NULL)
		f->count++;
}

void flow_start(struct flow *f, const char *after, bool undoing)
{
	assert(f->state == FLOW_IDLE);
	unsigned next = 0; /* the step behind `after` */
	bool known = after == NULL;
	while (!known && next < f->count)
		known = strcmp(f->steps[next++].name, after) == 0;
	f->state = undoing ? FLOW_UNDOING : FLOW_RUNNING;
	if (!known) {
		f->st = status_err(ST_INTERNAL, "there is no step \"%s\" to resume from", after);
		f->state = FLOW_UNDOING;
		next = 0;
	} else if (undoing && status_is_ok(&f->st)) {
		f->st = status_err(
			ST_ABORTED, "the work was being taken back when its process ended");
	}
	f->undo = f->state == FLOW_UNDOING;
	f->at = f->undo ? 0 : next;
	f->left = f->undo ? next : 0;
	tick_later(f, FLOW_AGAIN);
}

void flow_resume(struct flow *f)
{
	if (f->state != FLOW_ENDED && is_open(f))
		tick_later(f, FLOW_AGAIN);
}

void flow_step_done(struct flow *f, const struct status *st)
{
	if (f->state == FLOW_ENDED || !is_open(f))
		return;
	bool ok = status_is_ok(st);
	if (f->state == FLOW_UNDOING)
		f->undo_st = *st;
	else
		f->st = *st;
	timer_stop(&f->limit); /* in time */
	f->generation++;
	tick_later(f, ok ? FLOW_NEXT : FLOW_FAIL);
}

void flow_persisted(struct flow *f, const struct status *st)
{
	if (f->state != FLOW_PERSISTING)
		return;
	if (status_is_ok(st))
		tick_later(f, FLOW_NEXT);
	else
		flow_abandon(f);
}

void flow_cancel(struct flow *f, const struct status *why)
{
	bool downward = f->state == FLOW_RUNNING || (f->state == FLOW_PERSISTING && !f->undo);
	if (!downward || f->cancelled)
		return;
	f->cancelled = true;
	f->why = why ? *why : status_err(ST_CANCELLED, "cancelled");
	defer_post(&f->defer);
}

void flow_abandon(struct flow *f)
{
	bool open = is_open(f);
	if (f->state == FLOW_ENDED)
		return;
	leave_step(f);
	defer_cancel(&f->defer);
	f->state = FLOW_ENDED;
	if (open && f->ops->interrupt)
		f->ops->interrupt(f);
}
