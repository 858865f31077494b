#include "stacks/converge.h"

#include <stdio.h>
#include <string.h>
#include "base/json.h"

#define NS_PER_MS 1000000

/* What the tasks of one service say. */
struct tally {
	int running, wanted, completed;
	bool job;
	bool pulling;                       /* some task pulls its image */
	const struct docker_task *pending;  /* one that the scheduler cannot place */
	const struct docker_task *orphan;   /* ended, without a successor */
	const struct docker_task *crashed;  /* the newest failure of a slot that failed too often */
	int crashes;
	uint64_t signature;
};

static bool node_is_down(const struct converge_look *l, const char *node_id)
{
	for (size_t i = 0; i < l->n_nodes; i++)
		if (strcmp(l->nodes[i].id, node_id) == 0)
			return l->nodes[i].state == DOCKER_NODE_DOWN;
	return false;
}

static const char *node_name(const struct converge_look *l, const char *node_id)
{
	for (size_t i = 0; i < l->n_nodes; i++)
		if (strcmp(l->nodes[i].id, node_id) == 0)
			return l->nodes[i].hostname;
	return node_id;
}

static bool same_slot(const struct docker_task *a, const struct docker_task *b)
{
	if (strcmp(a->service_id, b->service_id) != 0)
		return false;
	if (a->slot != 0 || b->slot != 0)
		return a->slot == b->slot;
	return strcmp(a->node_id, b->node_id) == 0;
}

static bool counts(const struct converge_look *l, const struct docker_task *t)
{
	const struct docker_service *s = l->service;
	return strcmp(t->service_id, s->id) == 0 && (s->job_iteration < 0 || t->job_iteration == s->job_iteration);
}

/* docker's choice of the task that stands for a slot: lowest desired state, then lowest state; here the newest
 * breaks a tie. */
static bool stands_before(const struct docker_task *a, const struct docker_task *b)
{
	if (a->desired_state != b->desired_state)
		return a->desired_state < b->desired_state;
	if (a->state != b->state)
		return a->state < b->state;
	return a->created_us > b->created_us;
}

static const struct docker_task *task_of_slot(const struct converge_look *l, const struct docker_task *of)
{
	const struct docker_task *best = NULL;
	for (size_t i = 0; i < l->n_tasks; i++) {
		const struct docker_task *t = &l->tasks[i];
		if (counts(l, t) && same_slot(t, of) && (!best || stands_before(t, best)))
			best = t;
	}
	return best;
}

static bool ends(const struct converge *c, const struct docker_service *s)
{
	return c->completes || s->mode == DOCKER_REPLICATED_JOB || s->mode == DOCKER_GLOBAL_JOB;
}

/* Of a service that is to stay, an end with code 0 is none either: so end those that fail their health check and take
 * SIGTERM well. */
static bool is_failure(const struct docker_task *t, bool may_end)
{
	return t->state == DOCKER_TASK_FAILED || t->state == DOCKER_TASK_REJECTED || (t->state == DOCKER_TASK_COMPLETE && !may_end);
}

/* Failures of the slot that `of` belongs to; *ret_last is the newest. */
static int failures_of_slot(
	const struct converge_look *l, const struct docker_task *of, bool may_end, const struct docker_task **ret_last)
{
	int n = 0;
	for (size_t i = 0; i < l->n_tasks; i++) {
		const struct docker_task *t = &l->tasks[i];
		if (!counts(l, t) || !same_slot(t, of) || !is_failure(t, may_end))
			continue;
		n++;
		if (!*ret_last || t->state_us > (*ret_last)->state_us)
			*ret_last = t;
	}
	return n;
}

static void tally_slot(struct tally *y, const struct converge_look *l, const struct docker_task *t)
{
	bool placed = t->node_id[0] && !node_is_down(l, t->node_id);
	if (t->state == DOCKER_TASK_RUNNING && t->desired_state == DOCKER_TASK_RUNNING && placed) {
		y->running++;
		return;
	}
	if (t->state == DOCKER_TASK_COMPLETE && y->job) {
		y->completed++;
		return;
	}
	const struct docker_task *last = NULL;
	int failures = failures_of_slot(l, t, y->job, &last);
	int limit = last && last->state == DOCKER_TASK_REJECTED ? CONVERGE_REJECTIONS : CONVERGE_FAILURES;
	if (failures >= limit && failures > y->crashes) {
		y->crashes = failures;
		y->crashed = last;
	}
	if (t->state == DOCKER_TASK_PENDING && t->err[0])
		y->pending = t;
	if (t->state == DOCKER_TASK_PREPARING)
		y->pulling = true;
	if (docker_task_state_ended(t->state) && t->state != DOCKER_TASK_SHUTDOWN)
		y->orphan = t;
}

static struct tally tally_tasks(const struct converge *c, const struct converge_look *l)
{
	const struct docker_service *s = l->service;
	struct tally y = {.job = ends(c, s)};
	int slots = 0;
	for (size_t i = 0; i < l->n_tasks; i++) {
		const struct docker_task *t = &l->tasks[i];
		if (!counts(l, t))
			continue;
		y.signature = y.signature * 31 + (uint64_t)t->state + (uint64_t)t->created_us;
		if (task_of_slot(l, t) != t)
			continue;
		slots++;
		tally_slot(&y, l, t);
	}
	y.wanted = s->replicas >= 0 ? (int)s->replicas : slots;
	y.signature = y.signature * 31 + (uint64_t)s->update.state;
	return y;
}

/* The service's own words on how long it may take: its health check, its monitor. */
static uint64_t patience_ms(const struct converge *c, const struct docker_service *s)
{
	const char *base = "TaskTemplate.ContainerSpec.Healthcheck.";
	char path[96];
	int64_t value[4];
	static const char *const keys[] = {"StartPeriod", "Interval", "Timeout", "Retries"};
	for (int i = 0; i < 4; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", base, keys[i]);
		value[i] = json_int(s->spec, path, 0);
	}
	int64_t ns = value[0] + (value[1] + value[2]) * (value[3] > 0 ? value[3] : 1);
	return c->stall_ms + (ns > 0 ? (uint64_t)(ns / NS_PER_MS) : 0);
}

static uint64_t hold_ms(const struct converge *c, const struct docker_service *s)
{
	int64_t ns = json_int(s->spec, "UpdateConfig.Monitor", 0);
	return ns > 0 ? (uint64_t)(ns / NS_PER_MS) : c->hold_ms;
}

/* "task web.1 on node n1 failed: its error (exit code 3)" */
static void tell(char *ret, size_t size, const struct converge *c, const struct converge_look *l, const struct docker_task *t)
{
	char where[200] = "", code[40] = "";
	if (t->node_id[0])
		(void)snprintf(where, sizeof(where), " on node %s", node_name(l, t->node_id));
	if (t->exit_code >= 0)
		(void)snprintf(code, sizeof(code), " (exit code %lld)", (long long)t->exit_code);
	char slot[32] = "";
	if (t->slot > 0)
		(void)snprintf(slot, sizeof(slot), ".%lld", (long long)t->slot);
	(void)snprintf(ret, size, "task %s%s%s %s: %s%s", c->name, slot, where, docker_task_state_name(t->state),
		t->err[0] ? t->err : t->message, code);
}

static void blame(struct converge *c, const struct converge_look *l, const struct docker_task *t, const char *what)
{
	char story[sizeof(c->last_failure)];
	tell(story, sizeof(story), c, l, t);
	(void)snprintf(c->message, sizeof(c->message), "%s: %s", what, story);
	(void)snprintf(c->failed_task, sizeof(c->failed_task), "%s", t->id);
}

/* Of any slot, however often it failed. */
static void remember_failure(struct converge *c, const struct converge_look *l)
{
	const struct docker_task *newest = NULL;
	for (size_t i = 0; i < l->n_tasks; i++) {
		const struct docker_task *t = &l->tasks[i];
		if (counts(l, t) && is_failure(t, ends(c, l->service)) && (!newest || t->state_us > newest->state_us))
			newest = t;
	}
	if (!newest)
		return;
	tell(c->last_failure, sizeof(c->last_failure), c, l, newest);
	(void)snprintf(c->last_failed, sizeof(c->last_failed), "%s", newest->id);
}

static bool has_outlasted(uint64_t *since, bool condition, uint64_t now, uint64_t limit)
{
	if (!condition)
		*since = 0;
	else if (*since == 0)
		*since = now;
	return condition && now - *since >= limit;
}

static enum converge_verdict fail(struct converge *c, const char *text)
{
	(void)snprintf(c->message, sizeof(c->message), "%s", text);
	return CONVERGE_FAILED;
}

/* What the Engine's own update says; WAIT: nothing final. */
static enum converge_verdict judge_update(struct converge *c, const struct docker_service *s)
{
	switch (s->update.state) {
	case DOCKER_UPDATE_NONE:
	case DOCKER_UPDATE_UPDATING:
	case DOCKER_UPDATE_COMPLETED:
		return CONVERGE_WAIT;
	case DOCKER_UPDATE_PAUSED:
	case DOCKER_ROLLBACK_STARTED:
	case DOCKER_ROLLBACK_PAUSED:
	case DOCKER_ROLLBACK_COMPLETED:
		break;
	}
	(void)snprintf(c->message, sizeof(c->message), "the Engine's update is %s: %s", docker_update_state_name(s->update.state),
		c->last_failure[0] ? c->last_failure : s->update.message);
	(void)snprintf(c->failed_task, sizeof(c->failed_task), "%s", c->last_failed);
	return CONVERGE_FAILED;
}

static const char *name_crash(const struct docker_service *s, const struct docker_task *t)
{
	if (t->state == DOCKER_TASK_REJECTED)
		return "cannot start";
	if (t->state == DOCKER_TASK_FAILED)
		return "crash loop";
	return json_at(s->spec, "TaskTemplate.ContainerSpec.Healthcheck.Test") ? "ends again and again; it may fail its health check" :
										 "ends again and again";
}

static enum converge_verdict judge_missing_tasks(struct converge *c, const struct converge_look *l, const struct tally *y)
{
	uint64_t now = l->now_ms;
	if (y->crashed) {
		blame(c, l, y->crashed, name_crash(l->service, y->crashed));
		return CONVERGE_FAILED;
	}
	if (has_outlasted(&c->orphan_since_ms, y->orphan != NULL, now, CONVERGE_ORPHAN_MS)) {
		blame(c, l, y->orphan, "ended, and its restart policy does not start it again");
		return CONVERGE_FAILED;
	}
	uint64_t unschedulable = c->stall_ms < CONVERGE_UNSCHEDULABLE_MS ? c->stall_ms : CONVERGE_UNSCHEDULABLE_MS;
	if (has_outlasted(&c->unschedulable_since_ms, y->pending != NULL, now, unschedulable)) {
		blame(c, l, y->pending, "cannot be scheduled");
		return CONVERGE_FAILED;
	}
	uint64_t limit = patience_ms(c, l->service);
	if (y->pulling && limit < CONVERGE_PULL_MS)
		limit = CONVERGE_PULL_MS;
	if (now - c->progress_ms >= limit) {
		if (y->pending) {
			blame(c, l, y->pending, "cannot be scheduled");
			return CONVERGE_FAILED;
		}
		(void)snprintf(c->message, sizeof(c->message), "no progress for %llu s: %d of %d tasks are running",
			(unsigned long long)(limit / 1000), y->running + y->completed, y->wanted);
		return CONVERGE_FAILED;
	}
	if (y->pending)
		(void)snprintf(c->message, sizeof(c->message), "waits for a node: %s", y->pending->err);
	else
		(void)snprintf(c->message, sizeof(c->message), "%d of %d tasks are running", y->running + y->completed, y->wanted);
	return CONVERGE_WAIT;
}

static enum converge_verdict judge(struct converge *c, const struct converge_look *l)
{
	const struct docker_service *s = l->service;
	if (!s)
		return fail(c, "the service is gone: somebody else removed it");
	struct tally y = tally_tasks(c, l);
	c->running = y.running + y.completed;
	c->wanted = y.wanted;
	if (c->progress_ms == 0 || y.signature != c->signature) {
		c->signature = y.signature;
		c->progress_ms = l->now_ms;
	}
	remember_failure(c, l);
	if (judge_update(c, s) == CONVERGE_FAILED)
		return CONVERGE_FAILED;
	bool enough = y.job ? y.completed >= y.wanted : y.running >= y.wanted;
	bool global = s->mode == DOCKER_GLOBAL || s->mode == DOCKER_GLOBAL_JOB;
	bool good = enough && s->update.state != DOCKER_UPDATE_UPDATING && (!global || y.wanted > 0);
	if (!good) {
		c->good_since_ms = 0;
		return judge_missing_tasks(c, l, &y);
	}
	if (c->good_since_ms == 0)
		c->good_since_ms = l->now_ms;
	c->orphan_since_ms = c->unschedulable_since_ms = 0;
	(void)snprintf(c->message, sizeof(c->message), "%s", "");
	bool held = y.job || c->gate || l->now_ms - c->good_since_ms >= hold_ms(c, s);
	return held ? CONVERGE_DONE : CONVERGE_HOLD;
}

bool converge_judge(struct converge *c, const struct converge_look *look)
{
	int running = c->running, wanted = c->wanted;
	enum converge_verdict before = c->verdict;
	char message[sizeof(c->message)];
	memcpy(message, c->message, sizeof(message));
	c->verdict = judge(c, look);
	return running != c->running || wanted != c->wanted || before != c->verdict || strcmp(message, c->message) != 0;
}

enum service_state converge_state(const struct converge *c, enum docker_mode mode)
{
	switch (c->verdict) {
	case CONVERGE_WAIT:
		return SERVICE_CONVERGING;
	case CONVERGE_HOLD:
	case CONVERGE_DONE:
		return mode == DOCKER_REPLICATED_JOB || mode == DOCKER_GLOBAL_JOB ? SERVICE_COMPLETED : SERVICE_RUNNING;
	case CONVERGE_FAILED:
		return SERVICE_FAILED;
	}
	return SERVICE_CONVERGING;
}
