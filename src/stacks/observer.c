#include "stacks/observer.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "stacks/drift_watch.h"
#include "stacks/judge.h"
#include "stacks/release.h"

#define EVENT_MS  100
#define MOVING_MS 1000
#define PROMPT_MS 1000 /* at least, between looks that events bring about */
#define NODES_MS  1400 /* nodes are looked at so often at most, and after events of theirs */
#define STEADY_MS 1500
#define EMPTY_MS  10000
#define DOWN_MS   1000
#define PAGE      200
/* How long after a change something is expected to go on moving. */
#define MOVING_FOR_MS 10000

struct observer {
	struct loop *loop;
	struct docker *docker;
	struct db *db;
	struct observer_options options;
	struct timer next;
	struct docker_events *events;
	struct drift_watch *drift;

	/* The picture. Read into `reading`, then swapped with `picture`: readers never see half of
	 * one. */
	struct picture *picture, *reading;
	unsigned waiting; /* answers still to come of the present pass */
	unsigned writing; /* db writes under way */
	struct status st;
	bool engine_up, engine_known, nudged, moving, stopped, nodes_changed;
	/* loop time: of the next look, the last one at the nodes, the last one for an event, the
	 * last change */
	uint64_t next_ms, nodes_ms, prompt_ms, changed_ms;
	size_t n_stacks;
	char after[UUID_LEN + 1];
	struct defer leave;
	void (*on_stopped)(void *data);
	void *stopped_data;
};

static void look_now(struct observer *ob);

static void check_stopped(struct observer *ob)
{
	if (ob->stopped && ob->waiting == 0 && ob->writing == 0 && !drift_watch_is_busy(ob->drift))
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

static void look_in(struct observer *ob, uint64_t ms)
{
	ob->next_ms = loop_now_ms(ob->loop) + ms;
	timer_set(&ob->next, ms);
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
	uint64_t ms = ob->n_stacks == 0 ? EMPTY_MS : moving ? MOVING_MS : STEADY_MS;
	if (!status_is_ok(&ob->st))
		ms = DOWN_MS;
	if (ob->nudged)
		ms = EVENT_MS * 2;
	ob->nudged = false;
	if (!ob->stopped)
		look_in(ob, ms);
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
	ob->waiting--;
	if (!status_is_ok(st))
		ob->st = *st;
	if (!status_is_ok(st) || ob->stopped)
		n = 0, more = false;
	for (size_t i = 0; i < n; i++) {
		struct judged_stack j;
		const struct drift_seen *drift;
		bool known = drift_watch_ask(ob->drift, &stacks[i], &drift);
		judge_stack(a, ob->picture, &stacks[i], known, drift, &j);
		ob->moving |= j.moving;
		ob->n_stacks++;
		if (!j.differs)
			continue;
		ob->changed_ms = loop_now_ms(ob->loop);
		ob->writing++;
		ob->db->stacks->observe(ob->db, stacks[i].id.text, j.status, j.message, j.drifted,
			j.services, j.n_services, on_written, ob);
	}
	if (more) {
		memcpy(ob->after, stacks[n - 1].id.text, sizeof(ob->after));
		ob->waiting++;
		ob->db->stacks->watched(ob->db, ob->after, PAGE, on_watched, ob);
	} else {
		pass_over(ob);
	}
	arena_destroy(a);
}

/* ---- looking ---- */

static void look_part(struct observer *ob, const struct status *st)
{
	if (!status_is_ok(st))
		ob->st = *st;
	if (--ob->waiting > 0)
		return;
	engine_is(ob, status_is_ok(&ob->st), &ob->st);
	if (!status_is_ok(&ob->st) || ob->stopped) {
		pass_over(ob);
		return;
	}
	struct picture *old = ob->picture;
	ob->picture = ob->reading;
	ob->reading = old;
	ob->n_stacks = 0;
	ob->moving = false;
	drift_watch_begin(ob->drift, ob->picture);
	ob->waiting++;
	ob->db->stacks->watched(ob->db, "", PAGE, on_watched, ob);
}

static void on_services(
	void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct observer *ob = data;
	picture_set_services(ob->reading, s, n);
	look_part(ob, st);
}

static void on_tasks(void *data, const struct status *st, const struct docker_task *t, size_t n)
{
	struct observer *ob = data;
	picture_set_tasks(ob->reading, t, n);
	look_part(ob, st);
}

static void on_nodes(void *data, const struct status *st, const struct docker_node *m, size_t n)
{
	struct observer *ob = data;
	picture_set_nodes(ob->reading, m, n);
	look_part(ob, st);
}

static void look_now(struct observer *ob)
{
	static const char *const stacked[] = {LABEL_NAMESPACE, NULL};
	const struct docker_filter services = {.labels = stacked};
	const struct docker_task_filter tasks = {.labels = stacked};
	uint64_t now = loop_now_ms(ob->loop);
	bool nodes = ob->nodes_changed || !ob->nodes_ms || now - ob->nodes_ms >= NODES_MS;
	picture_reset(ob->reading);
	ob->st = status_ok();
	ob->waiting = nodes ? 3 : 2;
	docker_service_list(ob->docker, &services, 0, on_services, ob);
	docker_task_list(ob->docker, &tasks, 0, on_tasks, ob);
	if (!nodes) {
		picture_set_nodes(ob->reading, ob->picture->nodes, ob->picture->n_nodes);
		return;
	}
	ob->nodes_changed = false;
	ob->nodes_ms = now;
	docker_node_list(ob->docker, 0, on_nodes, ob);
}

static void on_next(struct timer *t)
{
	look_now(container_of(t, struct observer, next));
}

static void look_promptly(struct observer *ob, uint64_t ms)
{
	look_in(ob, ms);
	ob->prompt_ms = ob->next_ms;
}

/* Never later than it would have been: many events do not put the look off. 0: what we found out
 * ourselves, and not too often. */
static void look_soon(struct observer *ob, uint64_t ms)
{
	if (ob->stopped)
		return;
	ob->changed_ms = loop_now_ms(ob->loop);
	if (ms > 0 && ob->prompt_ms && ob->changed_ms + ms < ob->prompt_ms + PROMPT_MS)
		ms = ob->prompt_ms + PROMPT_MS - ob->changed_ms;
	if (ob->waiting > 0)
		ob->nudged = true;
	else if (!timer_is_set(&ob->next) || ob->next_ms > ob->changed_ms + ms)
		look_promptly(ob, ms);
}

static void on_event(void *data, const struct docker_event *e)
{
	struct observer *ob = data;
	if (e->type == DOCKER_EVENT_LOST)
		engine_is(ob, false, e->why);
	if (e->type == DOCKER_EVENT_NETWORK || e->type == DOCKER_EVENT_SECRET ||
		e->type == DOCKER_EVENT_CONFIG)
		drift_watch_doubt(ob->drift, e->name);
	ob->nodes_changed |= e->type == DOCKER_EVENT_NODE || e->type == DOCKER_EVENT_RESET;
	if (strncmp(e->action, "exec_", 5) != 0) /* every health check is one */
		look_soon(ob, EVENT_MS);
}

static void on_drift_known(void *data)
{
	struct observer *ob = data;
	look_soon(ob, 0);
	check_stopped(ob);
}

/* ---- public ---- */

struct observer *observer_create(const struct observer_options *o)
{
	struct observer *ob = mem_new(struct observer);
	ob->loop = o->loop;
	ob->docker = o->docker;
	ob->db = o->db;
	ob->options = *o;
	ob->picture = picture_create();
	ob->reading = picture_create();
	ob->drift = drift_watch_create(o->loop, o->docker, o->db, on_drift_known, ob);
	timer_init(&ob->next, o->loop, on_next);
	defer_init(&ob->leave, o->loop, on_leave);
	return ob;
}

void observer_start(struct observer *ob)
{
	ob->events = docker_events_start(ob->docker, on_event, ob);
	look_in(ob, 0);
}

void observer_stop(struct observer *ob, void (*done)(void *data), void *data)
{
	ob->stopped = true;
	ob->on_stopped = done;
	ob->stopped_data = data;
	timer_stop(&ob->next);
	drift_watch_stop(ob->drift);
	if (ob->events)
		docker_events_stop(ob->docker, ob->events);
	ob->events = NULL;
	check_stopped(ob);
}

void observer_destroy(struct observer *ob)
{
	if (!ob)
		return;
	timer_stop(&ob->next);
	defer_cancel(&ob->leave);
	drift_watch_destroy(ob->drift);
	picture_destroy(ob->picture);
	picture_destroy(ob->reading);
	free(ob);
}

void observer_nudge(struct observer *ob)
{
	look_soon(ob, EVENT_MS);
}

const struct picture *observer_picture(const struct observer *ob)
{
	return ob->picture;
}
