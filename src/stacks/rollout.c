#include "stacks/rollout.h"

#include <string.h>
#include "base/arena.h"
#include "stacks/stack_run.h"
#include "stacks/story.h"

/* So often NOT_FOUND and ALREADY_EXISTS may be the echo of something just gone or just made before they are believed. */
#define ECHOES_MAX 20
/* And so often an answer to a write may make no sense: a look tells what it did. */
#define SENSELESS_MAX 3

static void run_phase(struct rollout *ro);

static void on_world(void *data, const struct status *st)
{
	struct rollout *ro = data;
	ro->st = *st;
	if (!status_is_ok(st)) {
		rollout_phase_over(ro);
		return;
	}
	ro->stale = false;
	if (!ro->sr->bodies) /* see stack_lighten */
		world_lighten(&ro->sr->world);
	run_phase(ro);
}

static void run_phase(struct rollout *ro)
{
	if (ro->stale) {
		stack_read_world(ro->sr, on_world, ro);
		return;
	}
	ro->st = status_ok();
	ro->next = rollout_phase_over;
	switch (ro->phase) {
	case ROLLOUT_NETWORKS:
		rollout_write_networks(ro);
		break;
	case ROLLOUT_OBJECTS:
		rollout_write_objects(ro);
		break;
	case ROLLOUT_SERVICES:
		rollout_write_services(ro);
		break;
	case ROLLOUT_CONVERGE:
		rollout_watch_all(ro);
		break;
	case ROLLOUT_PRUNE:
		rollout_prune(ro);
		break;
	case ROLLOUT_LOOK:
		rollout_look_once(ro);
		break;
	case ROLLOUT_ALL:
		break;
	}
}

static void next_phase(struct rollout *ro)
{
	unsigned lowest = ro->phases & (~ro->phases + 1);
	if (lowest == 0) {
		void (*done)(struct stack_run *, const struct status *) = ro->done;
		ro->stopped = true;
		if (!status_is_ok(&ro->first))
			ro->st = ro->first;
		done(ro->sr, &ro->st);
		return;
	}
	ro->phase = (enum rollout_phase)lowest;
	ro->level = 0;
	run_phase(ro);
}

bool rollout_may_pass(const struct rollout *ro, enum st_code code)
{
	if (code == ST_ABORTED || code == ST_NOT_FOUND || code == ST_ALREADY_EXISTS)
		return ro->tries.tries < ECHOES_MAX;
	if (code == ST_DATA_LOSS)
		return ro->tries.tries < SENSELESS_MAX;
	return again_may_pass(&ro->tries, code);
}

/* The first try, and every other one. A network that vanished under a service must be made again
 * first. */
static void on_again(struct timer *t)
{
	struct rollout *ro = container_of(t, struct rollout, again);
	if (ro->tries.tries > 0)
		ro->stale = true;
	if (ro->tries.tries > 0 && ro->phase == ROLLOUT_SERVICES && ro->mode == ROLLOUT_RELEASE)
		ro->phases |= ROLLOUT_NETWORKS | ROLLOUT_OBJECTS;
	next_phase(ro);
}

static void phase_done(struct rollout *ro)
{
	if (ro->phase >= ro->tried) /* not one that was run again for the sake of a later one */
		again_reset(&ro->tries);
	ro->sr->trouble = status_ok();
	ro->phases &= ~(unsigned)ro->phase;
	next_phase(ro);
}

void rollout_phase_failed(struct rollout *ro)
{
	if (!ro->told)
		story_of_refusal(ro, &ro->st);
	bool go_on = ro->thorough && ro->phase == ROLLOUT_CONVERGE;
	ro->first = ro->st;
	ro->phases = go_on ? ro->phases & ROLLOUT_PRUNE : 0;
	ro->stale = true;
	next_phase(ro);
}

void rollout_phase_over(struct rollout *ro)
{
	if (ro->stopped)
		return;
	if (status_is_ok(&ro->st)) {
		phase_done(ro);
		return;
	}
	if (ro->phase != ro->tried)
		again_reset(&ro->tries);
	ro->tried = ro->phase;
	if (!rollout_may_pass(ro, ro->st.code)) {
		ro->st = again_explain(&ro->tries, &ro->st);
		rollout_phase_failed(ro);
		return;
	}
	timer_set(&ro->again, stack_try_again(ro->sr, &ro->tries, &ro->st));
}

void rollout_await(struct rollout *ro)
{
	ro->waiting++;
}

void rollout_part(struct rollout *ro, const struct status *st)
{
	if (ro->stopped)
		return;
	if (!status_is_ok(st) && (status_is_ok(&ro->st) || ro->st.code == ST_UNAVAILABLE))
		ro->st = *st;
	if (--ro->waiting > 0)
		return;
	if (status_is_ok(&ro->st))
		ro->next(ro);
	else
		rollout_phase_over(ro);
}

static void on_more(struct defer *d)
{
	rollout_write_more(container_of(d, struct rollout, more));
}

void rollout_init(struct rollout *ro, struct stack_run *sr)
{
	*ro = (struct rollout){.sr = sr, .mode = ROLLOUT_RELEASE, .stopped = true};
	map_init(&ro->written);
	map_init(&ro->in_use);
	rollout_watch_init(ro);
	again_init(&ro->tries, sr->run->rng);
	timer_init(&ro->again, sr->run->loop, on_again);
	defer_init(&ro->more, sr->run->loop, on_more);
}

void rollout_finish(struct rollout *ro)
{
	rollout_stop(ro);
	rollout_watch_finish(ro);
	map_finish(&ro->written);
	map_finish(&ro->in_use);
}

static void *wrote(enum rollout_wrote w)
{
	static const enum rollout_wrote values[] = {
		[ROLLOUT_WROTE_BEFORE] = ROLLOUT_WROTE_BEFORE,
		[ROLLOUT_WROTE_NOW] = ROLLOUT_WROTE_NOW,
	};
	return (void *)(uintptr_t)&values[w];
}

void rollout_remember(struct rollout *ro, const char *name, enum rollout_wrote w)
{
	if (rollout_wrote(ro, name) != ROLLOUT_WROTE_NOW)
		map_puts(&ro->written, name, wrote(w));
}

enum rollout_wrote rollout_wrote(const struct rollout *ro, const char *name)
{
	const enum rollout_wrote *w = map_gets(&ro->written, name);
	return w ? *w : ROLLOUT_WROTE_NOT;
}

/* A rollout that is run again begins anew. */
static void forget_now(struct rollout *ro)
{
	struct str key;
	void *value;
	for (size_t it = 0; map_next(&ro->written, &it, &key, &value);)
		map_put(&ro->written, key, wrote(ROLLOUT_WROTE_BEFORE));
}

void rollout_run(struct rollout *ro, unsigned phases,
	void (*done)(struct stack_run *sr, const struct status *st))
{
	ro->phases = phases;
	ro->done = done;
	ro->stopped = false;
	ro->waiting = 0;
	again_reset(&ro->tries);
	ro->st = ro->first = status_ok();
	ro->phase = ro->tried = 0;
	if (phases & ROLLOUT_SERVICES)
		forget_now(ro);
	ro->busy = ro->told = false;
	ro->busy_rounds = 0;
	ro->sr->trouble = status_ok();
	timer_set(&ro->again, 0); /* never from inside */
}

void rollout_stop(struct rollout *ro)
{
	ro->stopped = true;
	timer_stop(&ro->again);
	defer_cancel(&ro->more);
	rollout_watch_stop(ro);
	story_stop(ro);
}

bool rollout_carries_on(const struct rollout *ro)
{
	return ro == &ro->sr->forward && ro->sr->on_failure == ON_FAILURE_CONTINUE;
}

const struct rollout_given_up *rollout_given_up(const struct rollout *ro, const char *key)
{
	for (size_t i = 0; i < ro->n_given_up; i++)
		if (strcmp(ro->given_up[i].key, key) == 0)
			return &ro->given_up[i];
	return NULL;
}

void rollout_give_up(struct rollout *ro, const char *key, const char *why)
{
	struct arena *a = ro->sr->run->arena;
	if (rollout_given_up(ro, key))
		return;
	struct rollout_given_up *more =
		arena_array(a, struct rollout_given_up, ro->n_given_up + 1);
	if (ro->n_given_up)
		memcpy(more, ro->given_up, ro->n_given_up * sizeof(*more));
	more[ro->n_given_up++] = (struct rollout_given_up){
		arena_strdup(a, key), arena_strdup(a, why)};
	ro->given_up = more;
}

const char *rollout_failed_dependency(const struct rollout *ro, const char *key)
{
	const struct release_service *s =
		ro->n_given_up ? release_service_find(ro->target, key) : NULL;
	for (size_t i = 0; s && i < s->n_depends; i++)
		if (!s->depends[i].optional && rollout_given_up(ro, s->depends[i].service))
			return s->depends[i].service;
	return NULL;
}

bool rollout_includes(const struct rollout *ro, const char *key)
{
	if (!ro->only)
		return true;
	for (size_t i = 0; ro->only[i]; i++)
		if (strcmp(ro->only[i], key) == 0)
			return true;
	return false;
}
