#include "stacks/observer.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "stacks/drift_watch.h"
#include "stacks/judge.h"
#include "stacks/lookout.h"

#define EVENT_MS  100
#define PROMPT_MS 1000 /* at least, between looks that events bring about */
#define STEADY_MS 1700
#define MOVING_MS 1000
#define EARLY_MS  900 /* so much earlier a look for others will do */
#define EMPTY_MS  10000
#define DOWN_MS   1000
#define PAGE      200
/* How long after a change something is expected to go on moving. */
#define MOVING_FOR_MS 10000

#define LISTS                                                                                      \
	(LOOKOUT_LIST(PICTURE_SERVICES) | LOOKOUT_LIST(PICTURE_TASKS) | LOOKOUT_LIST(PICTURE_NODES))

struct observer {
	struct loop *loop;
	struct db *db;
	struct observer_options options;
	struct lookout_watcher watcher;
	struct drift_watch *drift;

	bool passing;     /* judging, page by page */
	unsigned writing; /* db writes under way */
	struct status st;
	bool engine_up, engine_known, stopped, moving;
	bool nudged, doubtful; /* during a pass: look again soon; judge again what is seen */
	uint64_t next_ms, prompt_ms; /* loop time: of the look that is wished, of the last one for an event */
	uint64_t seen_ms;    /* when the look began that is judged */
	uint64_t changed_ms; /* when the last change was seen */
	size_t n_stacks;
	char after[UUID_LEN + 1];
	struct defer leave, again;
	void (*on_stopped)(void *data);
	void *stopped_data;
};

static void check_stopped(struct observer *ob)
{
	if (ob->stopped && !ob->passing && ob->writing == 0 && !drift_watch_is_busy(ob->drift))
		defer_post(&ob->leave);
}

static void on_leave(struct defer *d)
{
	struct observer *ob = container_of(d, struct observer, leave);
	void (*done)(void *) = ob->on_stopped;
	ob->on_stopped = NULL;
	if (done)
		done(ob->stopped_data);
}

static void look_in(struct observer *ob, uint64_t from, uint64_t ms)
{
	ob->next_ms = loop_now_ms(ob->loop) + ms;
	lookout_wish(&ob->watcher, LISTS, from, ms);
}

/* ---- the end of a pass ---- */

static void engine_is(struct observer *ob, bool up, const struct status *why)
{
	if (ob->engine_known && ob->engine_up == up)
		return;
	ob->engine_known = true;
	ob->engine_up = up;
	if (ob->options.on_engine)
		ob->options.on_engine(ob->options.data, up, why);
}

static void pass_over(struct observer *ob)
{
	bool moving = ob->moving && loop_now_ms(ob->loop) - ob->changed_ms < MOVING_FOR_MS;
	uint64_t ms = !status_is_ok(&ob->st) ? DOWN_MS
		      : ob->n_stacks == 0    ? EMPTY_MS
		      : moving               ? MOVING_MS
					     : STEADY_MS;
	bool nudged = ob->nudged, doubtful = ob->doubtful;
	ob->passing = ob->nudged = ob->doubtful = false;
	if (!ob->stopped && nudged)
		look_in(ob, EVENT_MS * 2, EVENT_MS * 2);
	else if (!ob->stopped && !lookout_is_wished(&ob->watcher)) /* judged again: it is */
		look_in(ob, ms > EARLY_MS ? ms - EARLY_MS : 0, ms);
	if (!ob->stopped && doubtful)
		defer_post(&ob->again);
	check_stopped(ob);
}

/* ---- judging and writing ---- */

static void on_written(void *data, const struct status *st)
{
	struct observer *ob = data;
	(void)st; /* what was not written differs still at the next pass */
	ob->writing--;
	check_stopped(ob);
}

static void on_watched(
	void *data, const struct status *st, const struct db_stack *stacks, size_t n, bool more)
{
	struct observer *ob = data;
	struct arena *a = arena_create();
	if (!status_is_ok(st))
		ob->st = *st;
	if (!status_is_ok(st) || ob->stopped)
		n = 0, more = false;
	for (size_t i = 0; i < n; i++) {
		struct judged_stack j;
		const struct drift_seen *drift;
		bool known = drift_watch_ask(ob->drift, &stacks[i], &drift);
		judge_stack(a, lookout_picture(ob->options.lookout), &stacks[i], known, drift, &j);
		ob->n_stacks++;
		ob->moving |= j.moving;
		if (!j.differs)
			continue;
		ob->changed_ms = loop_now_ms(ob->loop);
		ob->writing++;
		ob->db->stacks->observe(ob->db, stacks[i].id.text, j.status, j.message, j.drifted,
			j.services, j.n_services, loop_now_ms(ob->loop) - ob->seen_ms, on_written, ob);
	}
	if (more) {
		memcpy(ob->after, stacks[n - 1].id.text, sizeof(ob->after));
		ob->db->stacks->watched(ob->db, ob->after, PAGE, on_watched, ob);
	} else {
		pass_over(ob);
	}
	arena_destroy(a);
}

static void pass(struct observer *ob)
{
	ob->passing = true;
	ob->st = status_ok();
	ob->n_stacks = 0;
	ob->moving = false;
	drift_watch_begin(ob->drift, lookout_picture(ob->options.lookout));
	ob->db->stacks->watched(ob->db, "", PAGE, on_watched, ob);
}

/* ---- looking ---- */

static void on_look(struct lookout_watcher *w, const struct status *st,
	const struct lookout_times *times)
{
	struct observer *ob = container_of(w, struct observer, watcher);
	engine_is(ob, status_is_ok(st), st);
	if (ob->passing) { /* judging again what was seen before */
		ob->nudged = true;
		return;
	}
	ob->seen_ms = times->begun_ms;
	ob->st = *st;
	if (status_is_ok(st))
		pass(ob);
	else
		pass_over(ob);
}

/* What we found out ourselves: nothing new is to be seen. */
static void judge_again(struct defer *d)
{
	struct observer *ob = container_of(d, struct observer, again);
	if (ob->passing || !ob->engine_up)
		ob->doubtful = ob->passing;
	else if (!ob->stopped)
		pass(ob);
}

/* Never later than it would have been: many events do not put the look off. */
static void look_soon(struct observer *ob)
{
	uint64_t now = loop_now_ms(ob->loop), ms = EVENT_MS;
	if (ob->stopped)
		return;
	ob->changed_ms = now;
	if (ob->prompt_ms && now + ms < ob->prompt_ms + PROMPT_MS)
		ms = ob->prompt_ms + PROMPT_MS - now;
	if (!lookout_is_wished(&ob->watcher)) { /* a pass is under way */
		ob->nudged = true;
	} else if (ob->next_ms > now + ms) {
		look_in(ob, ms, ms);
		ob->prompt_ms = ob->next_ms;
	}
}

static void on_event(struct lookout_watcher *w, const struct docker_event *e)
{
	struct observer *ob = container_of(w, struct observer, watcher);
	if (e->type == DOCKER_EVENT_LOST)
		engine_is(ob, false, e->why);
	if (e->type == DOCKER_EVENT_NETWORK || e->type == DOCKER_EVENT_SECRET ||
		e->type == DOCKER_EVENT_CONFIG)
		drift_watch_doubt(ob->drift, e->name);
	if (strncmp(e->action, "exec_", 5) != 0) /* every health check is one */
		look_soon(ob);
}

static void on_drift_known(void *data)
{
	struct observer *ob = data;
	if (!ob->stopped)
		defer_post(&ob->again);
	check_stopped(ob);
}

/* ---- public ---- */

struct observer *observer_create(const struct observer_options *o)
{
	struct observer *ob = mem_new(struct observer);
	ob->loop = o->loop;
	ob->db = o->db;
	ob->options = *o;
	ob->watcher.on_look = on_look;
	ob->watcher.on_event = on_event;
	ob->drift = drift_watch_create(o->loop, o->docker, o->db, on_drift_known, ob);
	defer_init(&ob->leave, o->loop, on_leave);
	defer_init(&ob->again, o->loop, judge_again);
	return ob;
}

void observer_start(struct observer *ob)
{
	lookout_join(ob->options.lookout, &ob->watcher);
	look_in(ob, 0, 0);
}

void observer_stop(struct observer *ob, void (*done)(void *data), void *data)
{
	ob->stopped = true;
	ob->on_stopped = done;
	ob->stopped_data = data;
	lookout_leave(&ob->watcher);
	drift_watch_stop(ob->drift);
	check_stopped(ob);
}

void observer_destroy(struct observer *ob)
{
	if (!ob)
		return;
	lookout_leave(&ob->watcher);
	defer_cancel(&ob->leave);
	defer_cancel(&ob->again);
	drift_watch_destroy(ob->drift);
	free(ob);
}

void observer_nudge(struct observer *ob)
{
	look_soon(ob);
}

const struct picture *observer_picture(const struct observer *ob)
{
	return lookout_picture(ob->options.lookout);
}
