#include "stacks/plan_work.h"

#include <string.h>
#include "base/arena.h"
#include "loop/loop.h"
#include "stacks/arena_leave.h"
#include "stacks/fingerprint.h"

/* In its own arena: the loop's thread goes on with the owner's. */
struct work {
	struct loop *loop;
	struct arena *arena, *owner;
	struct plan_work_input in;
	struct plan_work result;
	void (*done)(void *data, const struct status *st, const struct plan_work *w);
	void *data;
};

static const char *refusals(struct arena *a, const struct plan *p)
{
	const char *text = NULL;
	for (size_t i = 0; i < p->n; i++)
		if (p->actions[i].verdict == PLAN_REFUSE)
			text = text ? arena_fmt(a, "%s\n%s", text, p->actions[i].reason)
				    : p->actions[i].reason;
	return text;
}

static void say(void *data, const char *words)
{
	struct work *k = data;
	struct plan_work *w = &k->result;
	if (w->n_said % 16 == 0) {
		const char **more = arena_array(k->arena, const char *, w->n_said + 16);
		if (w->n_said)
			memcpy(more, w->said, w->n_said * sizeof(*more));
		w->said = more;
	}
	w->said[w->n_said++] = words;
}

static void run(void *data)
{
	struct work *k = data;
	const struct plan_work_input *in = &k->in;
	struct plan_work *w = &k->result;
	if (in->drifts) {
		drift_make(k->arena, in->world, in->release, &w->drifts);
		return;
	}
	plan_make(k->arena, in->world, in->release, in->kept, &w->plan);
	w->fingerprint = fingerprint_make(k->arena, &w->plan);
	if (in->given[0])
		w->given_st = fingerprint_check(k->arena, in->given, &w->plan);
	w->refusals = refusals(k->arena, &w->plan);
	plan_unknown_fields(k->arena, in->world, in->release, say, k);
}

static void on_owner_gone(void *data)
{
	struct work *k = data;
	arena_leave(k->loop, k->arena);
}

static void on_ran(void *data, const struct status *st)
{
	struct work *k = data;
	struct status result = status_ok();
	arena_on_free(k->owner, on_owner_gone, k);
	if (!status_is_ok(st)) /* never begun: it may pass */
		result = status_err(ST_UNAVAILABLE, "%s", st->message);
	k->done(k->data, &result, &k->result);
}

void plan_work(struct loop *l, struct arena *a, const struct plan_work_input *in,
	void (*done)(void *data, const struct status *st, const struct plan_work *w), void *data)
{
	struct arena *own = arena_create();
	struct work *k = arena_new(own, struct work);
	*k = (struct work){.loop = l, .arena = own, .owner = a, .in = *in, .done = done, .data = data};
	k->in.given = arena_strdup(own, in->given ? in->given : "");
	k->result.given_st = status_ok();
	loop_work_queued(l, run, on_ran, k);
}
