#include "stacks/converge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"

#define NS_PER_MS 1000000

/* What the tasks of one service say. */
struct tally {
	int running, wanted, completed;
	bool job;
	bool pulling;                      /* some task pulls its image */
	const struct docker_task *pending; /* one that the scheduler cannot place */
	const struct docker_task *orphan;  /* ended, without a successor */
	const struct docker_task *stuck;   /* one that has not got to run yet */
	/* The newest failure of a slot that failed too often, and does not run; that runs now. */
	struct crash {
		const struct docker_task *task;
		int failures;
	} crash, relapse;
	uint64_t reached; /* how far all slots are on their way, together */
	uint64_t who;     /* which tasks run: the sum of their ids' hashes */
};

/* ---- tasks in order ---- */

/* docker's choice of the task that stands for a slot: lowest desired state, then lowest state; here
 * the newest breaks a tie. */
static int compare_standing(const struct docker_task *a, const struct docker_task *b)
{
	if (a->desired_state != b->desired_state)
		return a->desired_state < b->desired_state ? -1 : 1;
	if (a->state != b->state)
		return a->state < b->state ? -1 : 1;
	if (a->created_us != b->created_us)
		return a->created_us > b->created_us ? -1 : 1;
	return strcmp(a->id, b->id);
}

static int compare_tasks(const void *left, const void *right)
{
	const struct docker_task *a = left, *b = right;
	int order = strcmp(a->service_id, b->service_id);
	if (order == 0)
		order = (a->slot > b->slot) - (a->slot < b->slot);
	if (order == 0)
		order = strcmp(a->node_id, b->node_id);
	return order != 0 ? order : compare_standing(a, b);
}

void converge_sort(struct docker_task *tasks, size_t n)
{
	if (n > 0)
		qsort(tasks, n, sizeof(*tasks), compare_tasks);
}

const struct docker_task *converge_tasks(
	const struct docker_task *sorted, size_t n, const char *service_id, size_t *ret_n)
{
	size_t low = 0, high = n;
	*ret_n = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(sorted[middle].service_id, service_id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i < n && strcmp(sorted[i].service_id, service_id) == 0; i++)
		++*ret_n;
	return sorted + low;
}

static const struct docker_node *node_of(const struct converge_look *l, const char *node_id)
{
	for (size_t i = 0; i < l->n_nodes; i++)
		if (strcmp(l->nodes[i].id, node_id) == 0)
			return &l->nodes[i];
	return NULL;
}

static bool node_is_down(const struct converge_look *l, const char *node_id)
{
	const struct docker_node *n = node_of(l, node_id);
	return n && n->state == DOCKER_NODE_DOWN;
}

static const char *node_name(const struct converge_look *l, const char *node_id)
{
	const struct docker_node *n = node_of(l, node_id);
	return n ? n->hostname : node_id;
}

/* ---- counting ---- */

static bool may_end(const struct converge *c, const struct docker_service *s)
{
	return c->completes || s->mode == DOCKER_REPLICATED_JOB || s->mode == DOCKER_GLOBAL_JOB;
}

static bool is_global(const struct docker_service *s)
{
	return s->mode == DOCKER_GLOBAL || s->mode == DOCKER_GLOBAL_JOB;
}

static bool counts(const struct docker_service *s, const struct docker_task *t)
{
	return s->job_iteration < 0 || t->job_iteration == s->job_iteration;
}

/* When its spec was written. The Engine stamps the service anew whenever its update moves on, so
 * that where there is one, its beginning counts. */
static int64_t written_us(const struct docker_service *s)
{
	return s->update.started_us ? s->update.started_us : s->updated_us;
}

/* Since the service was last written: what an earlier attempt with the same spec left in the
 * history says nothing about this one. Of a service that is to stay, an end with code 0 is a
 * failure too: so end those that fail their health check and take SIGTERM well. */
static bool is_failure(const struct converge *c, const struct docker_service *s,
	const struct docker_task *t, bool job)
{
	bool old = (s->previous_spec && t->created_us < written_us(s)) ||
		   (c->found && t->state_us <= c->found_us);
	bool bad = t->state == DOCKER_TASK_FAILED || t->state == DOCKER_TASK_REJECTED ||
		   (t->state == DOCKER_TASK_COMPLETE && !job);
	return bad && !old && counts(s, t);
}

static void count_failures(struct crash *crash, bool job, const struct converge *c,
	const struct docker_service *s, const struct docker_task *slot, size_t n)
{
	const struct docker_task *last = NULL;
	int failures = 0;
	for (size_t i = 0; i < n; i++) {
		const struct docker_task *t = &slot[i];
		if (!is_failure(c, s, t, job))
			continue;
		failures++;
		if (!last || t->state_us > last->state_us)
			last = t;
	}
	int limit = last && last->state == DOCKER_TASK_REJECTED ? CONVERGE_REJECTIONS
								: CONVERGE_FAILURES;
	if (failures >= limit && failures > crash->failures)
		*crash = (struct crash){last, failures};
}

/* The tasks of jobs are desired to be complete. */
static bool is_to_run(const struct docker_task *t)
{
	return t->desired_state <= DOCKER_TASK_COMPLETE;
}

/* On a node that is down, or where the Engine itself ended it (a drained node), a global service's
 * task is not wanted. */
static bool is_wanted(const struct converge_look *l, const struct docker_task *t)
{
	if (node_is_down(l, t->node_id) || t->state == DOCKER_TASK_SHUTDOWN ||
		t->state >= DOCKER_TASK_REMOVE)
		return false;
	return is_to_run(t) || docker_task_state_ended(t->state);
}

static bool is_started_again(const struct docker_service *s)
{
	return strcmp(json_text(s->spec, "TaskTemplate.RestartPolicy.Condition", "any"), "any") ==
	       0;
}

/* FNV-1a. */
static uint64_t hash_of(const char *id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (const char *p = id; *p; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	return h;
}

/* `slot`: the tasks of one slot, of which `t` stands for it. */
static void tally_slot(struct tally *y, const struct converge *c, const struct converge_look *l,
	const struct docker_task *t, const struct docker_task *slot, size_t n)
{
	bool placed = t->node_id[0] && !node_is_down(l, t->node_id);
	bool runs = t->state == DOCKER_TASK_RUNNING ||
		    (c->started && t->state == DOCKER_TASK_STARTING);
	bool ran = c->started && t->state == DOCKER_TASK_COMPLETE;
	if (((runs && is_to_run(t)) || ran) && placed) {
		y->running++;
		y->reached += DOCKER_TASK_RUNNING;
		y->who += hash_of(t->id);
		count_failures(&y->relapse, y->job, c, l->service, slot, n);
		return;
	}
	if (t->state == DOCKER_TASK_COMPLETE &&
		(y->job || (c->once && !is_started_again(l->service)))) {
		y->completed++;
		y->reached += DOCKER_TASK_COMPLETE;
		return;
	}
	count_failures(&y->crash, y->job, c, l->service, slot, n);
	if (t->state == DOCKER_TASK_PENDING && t->err[0])
		y->pending = t;
	if (t->state == DOCKER_TASK_PREPARING)
		y->pulling = true;
	if (!docker_task_state_ended(t->state) && (!y->stuck || t->state < y->stuck->state))
		y->stuck = t;
	if (docker_task_state_ended(t->state) && t->state != DOCKER_TASK_SHUTDOWN)
		y->orphan = t;
	else
		y->reached += t->state;
}

static bool same_slot(const struct docker_task *a, const struct docker_task *b, bool global)
{
	return a->slot == b->slot && (!global || strcmp(a->node_id, b->node_id) == 0);
}

static struct tally tally_tasks(const struct converge *c, const struct converge_look *l)
{
	const struct docker_service *s = l->service;
	bool global = is_global(s);
	struct tally y = {.job = may_end(c, s)};
	for (size_t i = 0, next; i < l->n_tasks; i = next) {
		const struct docker_task *stands = NULL;
		for (next = i;
			next < l->n_tasks && same_slot(&l->tasks[i], &l->tasks[next], global);
			next++) {
			const struct docker_task *t = &l->tasks[next];
			if (counts(s, t) && (!stands || compare_standing(t, stands) < 0))
				stands = t;
		}
		if (!stands || (global && !is_wanted(l, stands)))
			continue;
		y.wanted++;
		tally_slot(&y, c, l, stands, &l->tasks[i], next - i);
	}
	if (s->replicas >= 0)
		y.wanted = (int)s->replicas;
	return y;
}

/* The service's own words on how long it may show no progress: its health check, the pauses of an
 * update, the time that an old task may take to stop. */
static uint64_t patience_ms(const struct converge *c, const struct docker_service *s)
{
	const json_t *task = json_at(s->spec, "TaskTemplate");
	const json_t *health = json_at(task, "ContainerSpec.Healthcheck");
	int64_t retries = json_int(health, "Retries", 0);
	int64_t ns = json_int(health, "StartPeriod", 0) +
		     (json_int(health, "Interval", 0) + json_int(health, "Timeout", 0)) *
			     (retries > 0 ? retries : 1) +
		     json_int(s->spec, "UpdateConfig.Delay", 0) +
		     json_int(s->spec, "UpdateConfig.Monitor", 0) +
		     json_int(task, "RestartPolicy.Delay", 0) +
		     json_int(task, "ContainerSpec.StopGracePeriod", 0);
	return c->stall_ms + (ns > 0 ? (uint64_t)(ns / NS_PER_MS) : 0);
}

static uint64_t hold_ms(const struct converge *c, const struct docker_service *s)
{
	int64_t ns = json_int(s->spec, "UpdateConfig.Monitor", 0);
	return ns > 0 ? (uint64_t)(ns / NS_PER_MS) : c->hold_ms;
}

/* ---- judging ---- */

static struct converge_task task_of(const struct converge_look *l, const struct docker_task *t)
{
	struct converge_task c = {.slot = t->slot, .exit_code = t->exit_code, .state = t->state};
	const char *node = t->node_id[0] ? node_name(l, t->node_id) : "";
	(void)snprintf(c.id, sizeof(c.id), "%s", t->id);
	(void)snprintf(c.container_id, sizeof(c.container_id), "%s", t->container_id);
	(void)snprintf(c.node_id, sizeof(c.node_id), "%s", t->node_id);
	(void)snprintf(c.node, sizeof(c.node), "%s", node);
	(void)snprintf(c.err, sizeof(c.err), "%s", t->err[0] ? t->err : t->message);
	return c;
}

static const struct converge_task no_task;

const struct converge_task *converge_failed(const struct converge *c)
{
	return c->kept ? &c->kept->failed : &no_task;
}

static const struct converge_task *last_failure(const struct converge *c)
{
	return c->kept ? &c->kept->last : &no_task;
}

static struct converge_kept *kept(struct converge *c)
{
	if (!c->kept)
		c->kept = arena_new(c->arena, struct converge_kept);
	return c->kept;
}

/* "task web.2 on node alpha failed: its error (exit code 3)" */
static void tell(char *ret, size_t size, const struct converge *c, const struct converge_task *t)
{
	char where[80] = "", code[40] = "", slot[32] = "";
	bool pending = t->state == DOCKER_TASK_PENDING;
	const char *state = docker_task_state_name(t->state);
	const char *err = strcmp(t->err, state) == 0 ? "" : t->err; /* "starting: starting" */
	if (t->node[0])
		(void)snprintf(where, sizeof(where), " on node %s", t->node);
	if (t->exit_code >= 0 && !strstr(t->err, "exit")) /* the Engine often says it itself */
		(void)snprintf(code, sizeof(code), " (exit code %lld)", (long long)t->exit_code);
	if (t->slot > 0)
		(void)snprintf(slot, sizeof(slot), ".%lld", (long long)t->slot);
	(void)snprintf(ret, size, "task %s%s%s %s%s%s%s%s", c->name, slot, where,
		docker_task_state_ended(t->state) || pending ? "" : "is ",
		state, err[0] ? ": " : "", err, code);
}

static enum converge_verdict fail(struct converge *c, enum converge_cause cause, const char *text)
{
	c->cause = cause;
	(void)snprintf(c->message, sizeof(c->message), "%s", text);
	return CONVERGE_FAILED;
}

static enum converge_verdict blame_kept(struct converge *c, const struct converge_task *t,
	enum converge_cause cause, const char *what)
{
	char story[600];
	tell(story, sizeof(story), c, t);
	c->cause = cause;
	kept(c)->failed = *t;
	(void)snprintf(c->message, sizeof(c->message), "%s: %s", what, story);
	return CONVERGE_FAILED;
}

static enum converge_verdict blame(struct converge *c, const struct converge_look *l,
	const struct docker_task *t, enum converge_cause cause, const char *what)
{
	const struct converge_task blamed = task_of(l, t);
	return blame_kept(c, &blamed, cause, what);
}

/* Of any slot, however often it failed. */
static void remember_failure(struct converge *c, const struct converge_look *l)
{
	const struct docker_task *newest = NULL;
	bool job = may_end(c, l->service);
	for (size_t i = 0; i < l->n_tasks; i++) {
		const struct docker_task *t = &l->tasks[i];
		if (is_failure(c, l->service, t, job) && (!newest || t->state_us > newest->state_us))
			newest = t;
	}
	if (newest)
		kept(c)->last = task_of(l, newest);
}

static bool has_outlasted(
	const struct converge *c, uint64_t *since, bool condition, uint64_t now, uint64_t limit)
{
	if (!condition)
		*since = 0;
	else if (*since == 0)
		*since = now;
	return condition && (c->once || now - *since >= limit);
}

/* By the Engine itself, because of a task that failed. */
static bool is_stopped(enum docker_update_state update)
{
	switch (update) {
	case DOCKER_UPDATE_NONE:
	case DOCKER_UPDATE_UPDATING:
	case DOCKER_UPDATE_COMPLETED:
		return false;
	case DOCKER_UPDATE_PAUSED:
	case DOCKER_ROLLBACK_STARTED:
	case DOCKER_ROLLBACK_PAUSED:
	case DOCKER_ROLLBACK_COMPLETED:
		break;
	}
	return true;
}

/* Services and tasks are two answers: the task that failed may stand in the next one only. */
static enum converge_verdict judge_stopped(struct converge *c, const struct converge_look *l)
{
	char what[80];
	const struct docker_service *s = l->service;
	bool told = last_failure(c)->id[0] != '\0';
	bool waited = has_outlasted(c, &c->stopped_since_ms, true, l->now_ms, CONVERGE_STOPPED_MS);
	(void)snprintf(what, sizeof(what), "the Engine's update is %s",
		docker_update_state_name(s->update.state));
	if (told)
		return blame_kept(c, last_failure(c), CONVERGE_STOPPED, what);
	(void)snprintf(c->message, sizeof(c->message), "%s: %s", what, s->update.message);
	c->cause = waited ? CONVERGE_STOPPED : CONVERGE_FINE;
	return waited ? CONVERGE_FAILED : CONVERGE_WAIT;
}

/* Progress is what was never reached before: a task that fails and is started again, again and
 * again, is none. */
static bool has_stalled(struct converge *c, const struct converge_look *l, const struct tally *y,
	uint64_t *ret_limit)
{
	bool moves = y->reached > c->best || l->service->update.state != c->update ||
		     (y->job && y->running > 0);
	if (c->progress_ms == 0 || moves)
		c->progress_ms = l->now_ms;
	if (y->reached > c->best)
		c->best = y->reached;
	c->update = l->service->update.state;
	*ret_limit = patience_ms(c, l->service);
	if (y->pulling && *ret_limit < CONVERGE_PULL_MS)
		*ret_limit = CONVERGE_PULL_MS;
	return l->now_ms - c->progress_ms >= *ret_limit;
}

/* The newest failure tells most; without one, the task that does not get on. */
static enum converge_verdict say_stalled(
	struct converge *c, const struct converge_look *l, const struct tally *y, uint64_t limit_ms)
{
	char story[640] = "";
	if (y->pending)
		return blame(c, l, y->pending, CONVERGE_UNSCHEDULABLE, "cannot be scheduled");
	if (!last_failure(c)->id[0] && y->stuck)
		kept(c)->failed = task_of(l, y->stuck);
	else if (c->kept)
		c->kept->failed = c->kept->last;
	if (converge_failed(c)->id[0])
		tell(story, sizeof(story), c, converge_failed(c));
	c->cause = CONVERGE_STALLED;
	(void)snprintf(c->message, sizeof(c->message),
		"no progress for %llu s: %d of %d tasks are running%s%s",
		(unsigned long long)(limit_ms / 1000), y->running + y->completed, y->wanted,
		story[0] ? "; " : "", story);
	return CONVERGE_FAILED;
}

static enum converge_verdict blame_crash(
	struct converge *c, const struct converge_look *l, const struct docker_task *t)
{
	if (t->state == DOCKER_TASK_REJECTED)
		return blame(c, l, t, CONVERGE_REJECTED, "cannot start");
	if (t->state == DOCKER_TASK_FAILED)
		return blame(c, l, t, CONVERGE_CRASHES, "crash loop");
	return blame(c, l, t, CONVERGE_ENDS,
		json_at(l->service->spec, "TaskTemplate.ContainerSpec.Healthcheck.Test")
			? "ends again and again; it may fail its health check"
			: "ends again and again");
}

static enum converge_verdict judge_missing_tasks(
	struct converge *c, const struct converge_look *l, const struct tally *y)
{
	uint64_t now = l->now_ms, limit;
	/* A global service's tasks are made for the nodes that suit: none is made for the others. */
	bool nowhere = is_global(l->service) && y->wanted == 0;
	if (y->crash.task)
		return blame_crash(c, l, y->crash.task);
	if (has_outlasted(c, &c->orphan_since_ms, y->orphan != NULL, now, CONVERGE_ORPHAN_MS))
		return blame(c, l, y->orphan, CONVERGE_ENDED,
			"ended, and its restart policy does not start it again");
	uint64_t unschedulable =
		c->stall_ms < CONVERGE_UNSCHEDULABLE_MS ? c->stall_ms : CONVERGE_UNSCHEDULABLE_MS;
	if (has_outlasted(c, &c->unschedulable_since_ms, y->pending || nowhere, now, unschedulable))
		return nowhere ? fail(c, CONVERGE_UNSCHEDULABLE,
					 "cannot be scheduled: no suitable node")
			       : blame(c, l, y->pending, CONVERGE_UNSCHEDULABLE,
					 "cannot be scheduled");
	if (has_stalled(c, l, y, &limit))
		return say_stalled(c, l, y, limit);
	if (y->pending)
		(void)snprintf(
			c->message, sizeof(c->message), "waits for a node: %s", y->pending->err);
	else
		(void)snprintf(c->message, sizeof(c->message), "%d of %d tasks are %s",
			y->running + y->completed, y->wanted,
			y->job ? "running or complete" : "running");
	return CONVERGE_WAIT;
}

uint64_t converge_hold_left(const struct converge *c, uint64_t now_ms)
{
	return c->good_until_ms > now_ms ? c->good_until_ms - now_ms : 0;
}

/* They run; while the Engine itself still watches its update, the time counts already. */
static void hold_on(struct converge *c, const struct converge_look *l, const struct tally *y)
{
	if (c->good_since_ms == 0 || c->who != y->who)
		c->good_since_ms = l->now_ms;
	c->who = y->who;
}

/* A task that failed and was started again between two looks has not held. */
static enum converge_verdict judge_hold(
	struct converge *c, const struct converge_look *l, const struct tally *y)
{
	uint64_t hold = hold_ms(c, l->service);
	bool relapsed = c->good_since_ms > 0 && c->who != y->who;
	if (relapsed && y->relapse.task && !y->job)
		return blame_crash(c, l, y->relapse.task);
	hold_on(c, l, y);
	c->good_until_ms = c->good_since_ms + hold;
	c->orphan_since_ms = c->unschedulable_since_ms = c->progress_ms = 0;
	c->message[0] = '\0';
	if (y->job || c->gate || c->once || l->now_ms - c->good_since_ms >= hold)
		return CONVERGE_DONE;
	bool whole = hold % 1000 == 0;
	(void)snprintf(c->message, sizeof(c->message),
		"running; verifying that it stays so for %llu %s",
		(unsigned long long)(whole ? hold / 1000 : hold), whole ? "s" : "ms");
	return CONVERGE_HOLD;
}

static int64_t newest_us(const struct converge_look *l)
{
	int64_t newest = 1;
	for (size_t i = 0; i < l->n_tasks; i++)
		if (l->tasks[i].state_us > newest)
			newest = l->tasks[i].state_us;
	return newest;
}

static enum converge_verdict judge(struct converge *c, const struct converge_look *l)
{
	const struct docker_service *s = l->service;
	if (c->kept)
		c->kept->failed = no_task;
	c->cause = CONVERGE_FINE;
	if (c->found && !c->found_us)
		c->found_us = newest_us(l);
	if (!s)
		return fail(c, CONVERGE_GONE, "the service is gone: somebody else removed it");
	struct tally y = tally_tasks(c, l);
	c->running = y.running + y.completed;
	c->wanted = y.wanted;
	remember_failure(c, l);
	if (is_stopped(s->update.state))
		return judge_stopped(c, l);
	bool enough = y.job ? y.completed >= y.wanted : y.running + y.completed == y.wanted;
	c->completed = y.completed > 0 && y.running == 0;
	enough &= !is_global(s) || y.wanted > 0;
	if (enough && s->update.state != DOCKER_UPDATE_UPDATING)
		return judge_hold(c, l, &y);
	if (!enough)
		c->good_since_ms = 0;
	else
		hold_on(c, l, &y);
	return judge_missing_tasks(c, l, &y);
}

void converge_interrupted(struct converge *c)
{
	c->good_since_ms = c->progress_ms = c->orphan_since_ms = c->unschedulable_since_ms = 0;
}

enum converge_verdict converge_judge(struct converge *c, const struct converge_look *look)
{
	c->verdict = judge(c, look);
	return c->verdict;
}

void converge_judge_failed(struct converge *c, const struct converge_look *look)
{
	struct converge now = *c;
	struct converge_kept kept_now;
	if (c->kept) {
		kept_now = *c->kept;
		now.kept = &kept_now;
	}
	if (converge_judge(&now, look) != CONVERGE_FAILED)
		return;
	if (c->kept) {
		*c->kept = kept_now;
		now.kept = c->kept;
	}
	*c = now;
}

enum service_state converge_state(const struct converge *c)
{
	switch (c->verdict) {
	case CONVERGE_WAIT:
		return SERVICE_CONVERGING;
	case CONVERGE_HOLD:
	case CONVERGE_DONE:
		return c->completed ? SERVICE_COMPLETED : SERVICE_RUNNING;
	case CONVERGE_FAILED:
		return SERVICE_FAILED;
	}
	return SERVICE_CONVERGING;
}
