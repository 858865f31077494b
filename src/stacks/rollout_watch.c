/* The watching phase of a rollout: looks at services and tasks of the namespace again and again,
 * has each service judged (converge.h), and tells watchers what changed. What failed is story.c's
 * to tell. */
#include "stacks/rollout.h"

#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "stacks/judge.h"
#include "stacks/stack_run.h"
#include "stacks/story.h"

/* What moves is looked at often at first, and less often the longer it takes; and when the Engine's
 * events say that it may have got there. What happens on other nodes makes no events, and is looked
 * at more often. What only has to stay as it is, now and then, and when that is over. */
#define LOOK_MS       200
#define LOOK_MAX_MS   1500
#define LOOK_OTHER_MS 500 /* the same where there are other nodes, or no events */
#define LOOK_EVENT_MS 150 /* a container's event comes before the Swarm knows of its task */
#define LOOK_HOLD_MS  1700 /* or sooner: so that looks have the same distances */
#define LOOK_AWAY_MS  500

#define LOOK_BASE (LOOKOUT_LIST(PICTURE_SERVICES) | LOOKOUT_LIST(PICTURE_NODES))

const struct picture *rollout_picture(const struct rollout *ro)
{
	return lookout_picture(ro->sr->stacks->lookout);
}

/* ---- telling ---- */

void rollout_tell(struct rollout *ro, const char *key, enum service_state state, int running,
	int wanted, const char *message)
{
	struct stack_run *sr = ro->sr;
	struct arena *a = sr->run->arena;
	struct service_told *told = map_gets(&sr->told, key);
	if (told && told->state == state && told->running == running && told->wanted == wanted &&
		strcmp(told->message, message) == 0)
		return;
	if (!told) {
		told = arena_new(a, struct service_told);
		map_puts(&sr->told, key, told);
	}
	*told = (struct service_told){arena_strdup(a, message), state, running, wanted};
	job_run_event(sr->run, &(struct db_event){.kind = "service.state",
				       .service = key,
				       .message = message,
				       .state = service_state_name(state),
				       .running = running,
				       .wanted = wanted,
				       .percent = -1});
}

/* ---- judging ---- */

/* What was never written is not judged. */
static bool is_given_up(struct rollout *ro, struct converge *c)
{
	const struct rollout_given_up *g = rollout_given_up(ro, c->key);
	const char *dependency = rollout_failed_dependency(ro, c->key);
	if (g && g->why)
		(void)snprintf(c->message, sizeof(c->message), "%s", g->why);
	else if (dependency)
		(void)snprintf(c->message, sizeof(c->message),
			"not brought to the release: it depends on %s, which failed", dependency);
	else
		return false;
	c->verdict = CONVERGE_FAILED;
	c->cause = CONVERGE_HELD_BACK;
	rollout_tell(ro, c->key, SERVICE_FAILED, 0, 0, c->message);
	return true;
}

/* Those behind the gate that do not depend on what failed go on. */
static void give_up_failed(struct rollout *ro)
{
	for (size_t i = 0; i < ro->n_watched; i++)
		if (ro->watched[i].verdict == CONVERGE_FAILED)
			rollout_give_up(ro, ro->watched[i].key, NULL);
	ro->next(ro);
}

/* It has failed for good, and the others are awaited; but of a crash loop the Engine keeps the newest
 * tasks only, and these are to be asked about in the end. */
static void judge_failed(struct converge *c, const struct converge_look *look)
{
	if (c->cause != CONVERGE_HELD_BACK)
		converge_judge_failed(c, look);
}

/* What one look says of all that are watched. */
struct outcome {
	bool waits, holds, fails;
	uint64_t hold_ms; /* until the first one has held for long enough */
	unsigned missing; /* tasks that do not run yet */
};

static void judge_one(struct rollout *ro, struct converge *c, struct outcome *o)
{
	const struct picture *seen = rollout_picture(ro);
	struct converge_look look = ro->lists & LOOKOUT_LIST(PICTURE_CURRENT)
					    ? picture_look_current(seen, c->name)
					    : picture_look(seen, c->name);
	look.now_ms = ro->watched_ms;
	if (c->verdict == CONVERGE_FAILED || is_given_up(ro, c)) {
		judge_failed(c, &look);
		o->fails |= !c->optional;
		return;
	}
	enum converge_verdict verdict = converge_judge(c, &look);
	rollout_tell(ro, c->key, converge_state(c), c->running, c->wanted, c->message);
	o->waits |= verdict == CONVERGE_WAIT;
	o->holds |= verdict == CONVERGE_HOLD;
	if (verdict == CONVERGE_WAIT)
		o->missing += c->wanted > c->running ? (unsigned)(c->wanted - c->running) : 1;
	if (verdict == CONVERGE_HOLD && converge_hold_left(c, look.now_ms) < o->hold_ms)
		o->hold_ms = converge_hold_left(c, look.now_ms);
	o->fails |= verdict == CONVERGE_FAILED && !c->optional;
	if (verdict == CONVERGE_FAILED && c->optional)
		job_run_say(ro->sr->run, "warning: not waiting for service %s: %s", c->key,
			c->message);
}

/* Those that are missing may all have been told of while the look was under way. */
static uint64_t next_look_ms(const struct rollout *ro, const struct outcome *o)
{
	bool alone = rollout_picture(ro)->n_nodes == 1 && lookout_hears(ro->sr->stacks->lookout);
	uint64_t max = alone ? LOOK_MAX_MS : LOOK_OTHER_MS, ms = LOOK_MS;
	if (!o->waits)
		return o->hold_ms / (o->hold_ms / LOOK_HOLD_MS + 1) + 1;
	for (unsigned i = 1; i < ro->looks && ms < max; i++)
		ms *= 2;
	return ro->events >= o->missing ? LOOK_MS : ms < max ? ms : max;
}

static void look_in(struct rollout *ro, uint64_t ms)
{
	lookout_wish(&ro->watcher, ro->lists, 0, ms);
}

static void is_over(struct rollout *ro)
{
	ro->judged_all = ro->phase == ROLLOUT_CONVERGE || ro->phase == ROLLOUT_LOOK;
	ro->next(ro);
}

static void judge_all(struct rollout *ro)
{
	struct outcome o = {.hold_ms = UINT64_MAX};
	for (size_t i = 0; i < ro->n_watched; i++)
		judge_one(ro, &ro->watched[i], &o);
	if (ro->phase == ROLLOUT_LOOK) {
		is_over(ro);
	} else if ((o.waits || o.holds) && (!o.fails || rollout_carries_on(ro))) {
		look_in(ro, next_look_ms(ro, &o));
		ro->missing = o.missing;
		ro->events = 0;
	} else if (o.fails && ro->phase == ROLLOUT_SERVICES && rollout_carries_on(ro)) {
		give_up_failed(ro);
	} else if (o.fails) {
		story_tell(ro);
	} else {
		is_over(ro);
	}
}

/* ---- looking ---- */

/* Time goes on only while nobody waits for the Engine's answer: one that takes long to answer is no
 * service that gets nowhere, and none that has held. */
static void count_time(struct rollout *ro, const struct lookout_times *times)
{
	if (times->begun_ms > ro->answered_ms)
		ro->watched_ms += times->begun_ms - ro->answered_ms;
	ro->answered_ms = times->ended_ms;
}

/* Somebody else has written one of them: which of its tasks are of its present spec, the Engine
 * knows. */
static bool needs_current(const struct rollout *ro)
{
	for (size_t i = 0; i < ro->n_watched; i++) {
		const struct docker_service *s =
			picture_service(rollout_picture(ro), ro->watched[i].name);
		if (s && !picture_is_first_spec(s))
			return !(ro->lists & LOOKOUT_LIST(PICTURE_CURRENT));
	}
	return false;
}

static void on_look(struct lookout_watcher *w, const struct status *st,
	const struct lookout_times *times)
{
	struct rollout *ro = container_of(w, struct rollout, watcher);
	count_time(ro, times);
	if (status_is_ok(st)) {
		ro->sr->trouble = status_ok();
		again_reset(&ro->blind);
		ro->looks++;
		if (needs_current(ro)) {
			ro->lists = LOOK_BASE | LOOKOUT_LIST(PICTURE_CURRENT);
			look_in(ro, 0);
		} else {
			ro->on_seen(ro);
		}
	} else if (st->code == ST_UNAVAILABLE || st->code == ST_DEADLINE_EXCEEDED) {
		for (size_t i = 0; i < ro->n_watched; i++)
			converge_interrupted(&ro->watched[i]);
		ro->sr->trouble = *st;
		look_in(ro, LOOK_AWAY_MS);
	} else if (again_may_pass(&ro->blind, st->code)) {
		look_in(ro, stack_try_again(ro->sr, &ro->blind, st));
	} else if (again_is_given_up(&ro->blind, st->code)) {
		ro->st = again_explain(&ro->blind, st);
		rollout_phase_failed(ro);
	} else {
		ro->st = *st;
		rollout_phase_over(ro);
	}
}

static bool is_of_stack(const struct rollout *ro, const struct docker_event *e)
{
	const char *name = e->type == DOCKER_EVENT_SERVICE
				   ? e->name
				   : docker_pair_get(&e->attributes, "com.docker.swarm.service.name");
	size_t n = strlen(ro->sr->namespace_);
	return name && strncmp(name, ro->sr->namespace_, n) == 0 && name[n] == '_';
}

/* As many as are missing have been started, have become healthy, or have ended: look whether that is
 * all. The Engine's own updates move on by themselves. */
static void on_event(struct lookout_watcher *w, const struct docker_event *e)
{
	struct rollout *ro = container_of(w, struct rollout, watcher);
	bool moves = e->type == DOCKER_EVENT_CONTAINER &&
		     (strcmp(e->action, "start") == 0 || strcmp(e->action, "die") == 0 ||
			     strcmp(e->action, "health_status: healthy") == 0);
	bool updates = e->type == DOCKER_EVENT_SERVICE &&
		       docker_pair_get(&e->attributes, "updatestate.new");
	if (!lookout_is_wished(w) || ro->looks == 0 || !(moves || updates) || !is_of_stack(ro, e))
		return;
	ro->events++;
	if (ro->events == (ro->missing > 0 ? ro->missing : 1) || updates)
		lookout_wish(w, ro->lists, LOOK_EVENT_MS, LOOK_EVENT_MS);
}

static void look_anew(struct rollout *ro, unsigned lists, uint64_t ms)
{
	ro->looks = ro->missing = ro->events = 0;
	again_reset(&ro->blind);
	ro->lists = LOOK_BASE | lists;
	ro->answered_ms = loop_now_ms(ro->sr->run->loop);
	ro->watched_ms = 1;
	lookout_wish_anew(&ro->watcher, ro->lists, ms);
}

void rollout_look(struct rollout *ro, void (*on_seen)(struct rollout *ro))
{
	ro->n_watched = 0;
	ro->judged_all = false;
	ro->on_seen = on_seen;
	look_anew(ro, LOOKOUT_LIST(PICTURE_TASKS), 0);
}

void rollout_look_again(struct rollout *ro, uint64_t ms)
{
	look_in(ro, ms);
}

void rollout_watch_init(struct rollout *ro)
{
	again_init(&ro->blind, ro->sr->run->rng);
	ro->watcher.on_look = on_look;
	ro->watcher.on_event = on_event;
	lookout_join(ro->sr->stacks->lookout, &ro->watcher);
}

void rollout_watch_stop(struct rollout *ro)
{
	lookout_withdraw(&ro->watcher);
}

void rollout_watch_finish(struct rollout *ro)
{
	lookout_leave(&ro->watcher);
}

/* No look shows at once what was just written. */
static bool anything_was_written(const struct rollout *ro)
{
	for (size_t i = 0; i < ro->n_watched; i++)
		if (rollout_wrote(ro, ro->watched[i].name) == ROLLOUT_WROTE_NOW)
			return true;
	return false;
}

/* All their tasks are of their present spec: as far as we know, and needs_current sees more. */
static bool all_are_new(const struct rollout *ro)
{
	for (size_t i = 0; i < ro->n_watched; i++) {
		const char *name = ro->watched[i].name;
		const struct world_service *was = world_service_find(&ro->sr->world, name);
		if (was && (was->has_previous || was->update != DOCKER_UPDATE_NONE ||
				   rollout_wrote(ro, name) == ROLLOUT_WROTE_NOW))
			return false;
	}
	return true;
}

void rollout_watch(
	struct rollout *ro, struct converge *watched, size_t n, void (*next)(struct rollout *ro))
{
	const struct stacks *settings = ro->sr->stacks;
	for (size_t i = 0; i < n; i++) {
		watched[i].arena = ro->sr->run->arena;
		watched[i].stall_ms = ro->sr->stall_ms;
		watched[i].hold_ms = settings->hold_ms;
		watched[i].found = !watched[i].once &&
				   rollout_wrote(ro, watched[i].name) != ROLLOUT_WROTE_NOW;
	}
	ro->watched = watched;
	ro->n_watched = n;
	ro->next = next;
	ro->judged_all = false;
	ro->on_seen = judge_all;
	if (n == 0)
		is_over(ro);
	else
		look_anew(ro, all_are_new(ro) ? LOOKOUT_LIST(PICTURE_TASKS) : LOOKOUT_LIST(PICTURE_CURRENT),
			anything_was_written(ro) ? LOOK_MS : 0);
}

void rollout_forget_watched(struct rollout *ro)
{
	ro->watched = NULL;
	ro->n_watched = 0;
	ro->judged_all = false;
}

/* Keys of those whose end somebody awaits. */
static void find_ends_awaited(const struct release *r, struct map *ret)
{
	map_init(ret);
	for (size_t i = 0; i < r->n_services; i++)
		for (size_t k = 0; k < r->services[i].n_depends; k++) {
			struct release_depends *d = &r->services[i].depends[k];
			if (d->condition == COMPOSE_COMPLETED)
				map_puts(ret, d->service, d);
		}
}

/* Nobody wrote it in this job: as wanted is enough. After a restart in the middle of a deploy, its
 * label tells. */
static bool is_unchanged(const struct rollout *ro, const char *name)
{
	const struct world_service *seen = world_service_find(&ro->sr->world, name);
	return seen && rollout_wrote(ro, name) == ROLLOUT_WROTE_NOT &&
	       strcmp(seen->label_job, ro->sr->run->job->id.text) != 0;
}

static void watch_all(struct rollout *ro, bool once)
{
	const struct release *r = ro->target;
	struct converge *all = arena_array(ro->sr->run->arena, struct converge, r->n_services);
	struct map ends;
	size_t n = 0;
	find_ends_awaited(r, &ends);
	for (size_t i = 0; i < r->n_services; i++) {
		const struct release_object *o = &r->services[i].object;
		if (rollout_includes(ro, o->key))
			all[n++] = (struct converge){.key = o->key,
				.name = o->name,
				.once = once,
				.gate = is_unchanged(ro, o->name),
				.completes = map_gets(&ends, o->key) != NULL};
	}
	map_finish(&ends);
	rollout_watch(ro, all, n, rollout_phase_over);
}

void rollout_watch_all(struct rollout *ro)
{
	watch_all(ro, false);
}

void rollout_look_once(struct rollout *ro)
{
	watch_all(ro, true);
}

/* ---- what was seen ---- */

const char *rollout_waits_for(struct rollout *ro)
{
	for (size_t i = 0; i < ro->n_watched; i++) {
		const struct converge *c = &ro->watched[i];
		if (c->verdict == CONVERGE_WAIT || c->verdict == CONVERGE_HOLD)
			return arena_fmt(ro->sr->run->arena, "service %s: %s", c->key, c->message);
	}
	return NULL;
}

void rollout_say_result(struct rollout *ro)
{
	unsigned run = 0, ended = 0;
	for (size_t i = 0; i < ro->n_watched; i++) {
		bool completed = converge_state(&ro->watched[i]) == SERVICE_COMPLETED;
		ended += completed;
		run += !completed;
	}
	struct buf text = {0};
	if (run > 0 || ended == 0)
		buf_fmt(&text, "%u service%s", run, run == 1 ? " runs" : "s run");
	if (ended > 0)
		buf_fmt(&text, "%s%u complete", run > 0 ? ", " : "", ended);
	job_run_say(ro->sr->run, "%s", text.ptr);
	buf_finish(&text);
}

static struct db_service service_of(struct arena *a, const struct release_service *s,
	const struct docker_service *seen, const struct converge *c)
{
	return (struct db_service){
		.service = s->object.key,
		.engine_id = arena_strdup(a, seen->id),
		.engine_name = s->object.name,
		.image = arena_strdup(a, seen->image),
		.mode = s->mode,
		.message = "",
		.state = converge_state(c),
		.running = c->running,
		.wanted = c->wanted,
	};
}

struct db_service *rollout_services(struct rollout *ro, struct arena *a, size_t *ret_n)
{
	struct db_service *out = arena_array(a, struct db_service, ro->n_watched + 1);
	const struct release *r = ro->target;
	size_t at = 0;
	*ret_n = 0;
	for (size_t i = 0; i < ro->n_watched; i++) {
		const struct converge *c = &ro->watched[i];
		while (at < r->n_services && r->services[at].object.key != c->key)
			at++; /* watched in the target's order */
		const struct release_service *s = at < r->n_services ? &r->services[at] : NULL;
		const struct docker_service *seen = picture_service(rollout_picture(ro), c->name);
		if (s && seen)
			out[(*ret_n)++] = service_of(a, s, seen, c);
	}
	return out;
}
