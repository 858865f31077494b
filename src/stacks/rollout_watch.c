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

/* What moves is looked at often at first, and less often the longer it takes; what only has to stay
 * as it is, now and then, and when that is over. */
#define LOOK_MS      200
#define LOOK_MORE_MS 30  /* with each look */
#define LOOK_MAX_MS  500 /* what crashes and is started again must be seen */
#define LOOK_HOLD_MS 500
#define LOOK_AWAY_MS 500
#define NODES_EVERY  10 /* looks */

static void look_now(struct rollout *ro);

/* ---- looking ---- */

void rollout_tell(struct rollout *ro, const char *key, enum service_state state, int running,
	int wanted, const char *message)
{
	struct stack_run *sr = ro->sr;
	struct arena *a = sr->run->arena;
	struct service_told *told = NULL;
	for (size_t i = 0; i < sr->n_told && !told; i++)
		if (strcmp(sr->told[i].key, key) == 0)
			told = &sr->told[i];
	if (told && told->state == state && told->running == running && told->wanted == wanted &&
		strcmp(told->message, message) == 0)
		return;
	if (!told) {
		struct service_told *more = arena_array(a, struct service_told, sr->n_told + 1);
		if (sr->n_told)
			memcpy(more, sr->told, sr->n_told * sizeof(*more));
		sr->told = more;
		told = &more[sr->n_told++];
	}
	*told = (struct service_told){key, arena_strdup(a, message), state, running, wanted};
	job_run_event(sr->run, &(struct db_event){.kind = "service.state",
				       .service = key,
				       .message = message,
				       .state = service_state_name(state),
				       .running = running,
				       .wanted = wanted,
				       .percent = -1});
}

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
	struct converge now = *c;
	if (c->cause != CONVERGE_HELD_BACK && converge_judge(&now, look) == CONVERGE_FAILED)
		*c = now;
}

static void judge_all(struct rollout *ro)
{
	bool waits = false, holds = false, fails = false;
	uint64_t hold_ms = LOOK_HOLD_MS, wait_ms = LOOK_MS + LOOK_MORE_MS * ro->looks;
	for (size_t i = 0; i < ro->n_watched; i++) {
		struct converge *c = &ro->watched[i];
		struct converge_look look = picture_look(ro->seen, c->name);
		look.nodes = ro->seen_nodes->nodes;
		look.n_nodes = ro->seen_nodes->n_nodes;
		look.now_ms = loop_now_ms(ro->sr->run->loop);
		if (c->verdict == CONVERGE_FAILED || is_given_up(ro, c)) {
			judge_failed(c, &look);
			fails |= !c->optional;
			continue;
		}
		enum converge_verdict verdict = converge_judge(c, &look);
		rollout_tell(ro, c->key, converge_state(c), c->running, c->wanted, c->message);
		waits |= verdict == CONVERGE_WAIT;
		holds |= verdict == CONVERGE_HOLD;
		if (verdict == CONVERGE_HOLD && converge_hold_left(c, look.now_ms) < hold_ms)
			hold_ms = converge_hold_left(c, look.now_ms);
		fails |= verdict == CONVERGE_FAILED && !c->optional;
		if (verdict == CONVERGE_FAILED && c->optional)
			job_run_say(ro->sr->run, "warning: not waiting for service %s: %s", c->key,
				c->message);
	}
	if (ro->phase == ROLLOUT_LOOK)
		ro->next(ro);
	else if ((waits || holds) && (!fails || rollout_carries_on(ro)))
		timer_set(&ro->poll, !waits                  ? hold_ms
				     : wait_ms < LOOK_MAX_MS ? wait_ms
							     : LOOK_MAX_MS);
	else if (fails && ro->phase == ROLLOUT_SERVICES && rollout_carries_on(ro))
		give_up_failed(ro);
	else if (fails)
		story_tell(ro);
	else
		ro->next(ro);
}

static void look_part(struct rollout *ro, const struct status *st)
{
	if (!status_is_ok(st))
		ro->look_st = *st;
	if (--ro->look_waiting > 0)
		return;
	if (status_is_ok(&ro->look_st)) {
		ro->sr->trouble = status_ok();
		ro->on_seen(ro);
	} else if (ro->look_st.code == ST_UNAVAILABLE || ro->look_st.code == ST_DEADLINE_EXCEEDED) {
		for (size_t i = 0; i < ro->n_watched; i++)
			converge_interrupted(&ro->watched[i]);
		ro->sr->trouble = ro->look_st;
		timer_set(&ro->poll, LOOK_AWAY_MS);
	} else {
		ro->st = ro->look_st;
		rollout_phase_over(ro);
	}
}

static void on_services(
	void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct stack_run *sr;
	void *rollout;
	if (!stack_op_end(data, &sr, &rollout))
		return;
	struct rollout *ro = rollout;
	picture_set_services(ro->seen, s, n);
	look_part(ro, st);
}

static void on_tasks(void *data, const struct status *st, const struct docker_task *t, size_t n)
{
	struct stack_run *sr;
	void *rollout;
	if (!stack_op_end(data, &sr, &rollout))
		return;
	struct rollout *ro = rollout;
	picture_set_tasks(ro->seen, t, n);
	look_part(ro, st);
}

static void on_nodes(void *data, const struct status *st, const struct docker_node *m, size_t n)
{
	struct stack_run *sr;
	void *rollout;
	if (!stack_op_end(data, &sr, &rollout))
		return;
	struct rollout *ro = rollout;
	if (status_is_ok(st)) {
		picture_reset(ro->seen_nodes);
		picture_set_nodes(ro->seen_nodes, m, n);
	}
	look_part(ro, st);
}

static void look_now(struct rollout *ro)
{
	struct stack_run *sr = ro->sr;
	const char *labels[] = {NULL, NULL};
	picture_reset(ro->seen);
	labels[0] = arena_fmt(ro->seen->arena, "%s=%s", LABEL_NAMESPACE, sr->namespace_);
	const struct docker_filter services = {.labels = labels};
	const struct docker_task_filter tasks = {.labels = labels, .up_to_date = !ro->look_at_all};
	ro->look_st = status_ok();
	ro->look_waiting = 2;
	struct stack_op *op = stack_op_begin(sr, ro);
	op->docker = docker_service_list(sr->docker, &services, 0, on_services, op);
	op = stack_op_begin(sr, ro);
	op->docker = docker_task_list(sr->docker, &tasks, 0, on_tasks, op);
	if (ro->looks++ % NODES_EVERY == 0) {
		ro->look_waiting++;
		op = stack_op_begin(sr, ro);
		op->docker = docker_node_list(sr->docker, 0, on_nodes, op);
	}
}

void rollout_look(struct rollout *ro, void (*on_seen)(struct rollout *ro))
{
	ro->n_watched = 0;
	ro->looks = 0;
	ro->look_at_all = true;
	ro->on_seen = on_seen;
	look_now(ro);
}

void rollout_look_again(struct rollout *ro, uint64_t ms)
{
	timer_set(&ro->poll, ms);
}

static void on_poll(struct timer *t)
{
	look_now(container_of(t, struct rollout, poll));
}

void rollout_watch_init(struct rollout *ro)
{
	ro->seen = picture_create();
	ro->seen_nodes = picture_create();
	timer_init(&ro->poll, ro->sr->run->loop, on_poll);
}

void rollout_watch_finish(struct rollout *ro)
{
	timer_stop(&ro->poll);
	picture_destroy(ro->seen);
	picture_destroy(ro->seen_nodes);
}

void rollout_watch(
	struct rollout *ro, struct converge *watched, size_t n, void (*next)(struct rollout *ro))
{
	const struct stacks *settings = ro->sr->stacks;
	for (size_t i = 0; i < n; i++) {
		watched[i].stall_ms = ro->sr->stall_ms;
		watched[i].hold_ms = settings->hold_ms;
	}
	ro->watched = watched;
	ro->n_watched = n;
	ro->next = next;
	ro->looks = 0;
	ro->look_at_all = false;
	ro->on_seen = judge_all;
	if (n == 0)
		next(ro);
	else
		look_now(ro);
}

static bool someone_awaits_end(const struct release *r, const char *key)
{
	for (size_t i = 0; i < r->n_services; i++)
		for (size_t k = 0; k < r->services[i].n_depends; k++)
			if (strcmp(r->services[i].depends[k].service, key) == 0 &&
				r->services[i].depends[k].condition == COMPOSE_COMPLETED)
				return true;
	return false;
}

/* Nobody wrote it in this job: as wanted is enough. After a restart in the middle of a deploy, its
 * label tells. */
static bool is_unchanged(const struct rollout *ro, const char *name)
{
	const struct world_service *seen = world_service_find(&ro->sr->world, name);
	for (size_t i = 0; i < ro->n_written; i++)
		if (strcmp(ro->written[i], name) == 0)
			return false;
	return seen && strcmp(seen->label_job, ro->sr->run->job->id.text) != 0;
}

static void watch_all(struct rollout *ro, bool once)
{
	const struct release *r = ro->target;
	struct converge *all = arena_array(ro->sr->run->arena, struct converge, r->n_services + 1);
	size_t n = 0;
	for (size_t i = 0; i < r->n_services; i++) {
		const struct release_object *o = &r->services[i].object;
		if (rollout_includes(ro, o->key))
			all[n++] = (struct converge){.key = o->key,
				.name = o->name,
				.once = once,
				.gate = is_unchanged(ro, o->name),
				.completes = someone_awaits_end(r, o->key)};
	}
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
	*ret_n = 0;
	for (size_t i = 0; i < ro->n_watched; i++) {
		const struct converge *c = &ro->watched[i];
		const struct release_service *s = release_service_find(ro->target, c->key);
		const struct docker_service *seen = picture_service(ro->seen, c->name);
		if (s && seen)
			out[(*ret_n)++] = service_of(a, s, seen, c);
	}
	return out;
}
