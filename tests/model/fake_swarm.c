#include "fake_swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "stacks/release.h"

#define LATE_MS    25000
#define STEP_MS    100 /* new → preparing → running */
#define CRASH_MS   100
#define ONCE_MS    300
#define DELAY_MS   100 /* before a failed task is started again */
#define LINGER_MS  300 /* tasks of a removed service, removed networks */
#define MONITOR_MS 300
#define HISTORY    5

struct swarm *swarm_create(struct loop *l)
{
	struct swarm *w = mem_new(struct swarm);
	w->loop = l;
	w->nodes[0] = (struct swarm_node){"node1", "alpha", DOCKER_NODE_READY};
	w->nodes[1] = (struct swarm_node){"node2", "beta", DOCKER_NODE_READY};
	w->index = 10;
	return w;
}

static void service_free(struct swarm_service *s)
{
	json_decref(s->spec);
	json_decref(s->previous);
	free(s);
}

static void task_free(struct swarm_task *t)
{
	json_decref(t->template);
	free(t);
}

static void object_free(struct swarm_object *o)
{
	json_decref(o->spec);
	free(o);
}

void swarm_destroy(struct swarm *w)
{
	for (size_t i = 0; i < w->n_services; i++)
		service_free(w->services[i]);
	for (size_t i = 0; i < w->n_tasks; i++)
		task_free(w->tasks[i]);
	for (size_t i = 0; i < w->n_objects; i++)
		object_free(w->objects[i]);
	free(w->services);
	free(w->tasks);
	free(w->objects);
	free(w);
}

static void make_id(struct swarm *w, char *id, const char *what)
{
	(void)snprintf(id, 24, "%s%llu", what, (unsigned long long)++w->index);
}

/* ---- tasks ---- */

static const json_t *template_of(const struct swarm_service *s)
{
	return json_object_get(s->spec, "TaskTemplate");
}

static bool is_up_to_date(const struct swarm_service *s, const struct swarm_task *t)
{
	return json_equal(t->template, template_of(s));
}

static struct swarm_task *task_add(
	struct swarm *w, const struct swarm_service *s, int64_t slot, uint64_t start_ms)
{
	struct swarm_task *t = mem_new(struct swarm_task);
	w->tasks = mem_realloc_array(w->tasks, sizeof(*w->tasks), w->n_tasks + 1);
	w->tasks[w->n_tasks++] = t;
	make_id(w, t->id, "task");
	memcpy(t->service_id, s->id, sizeof(t->service_id));
	t->slot = slot;
	t->desired = DOCKER_TASK_RUNNING;
	t->state = DOCKER_TASK_NEW;
	t->template = json_deep_copy(template_of(s));
	t->image = json_text(t->template, "ContainerSpec.Image", "");
	t->err = "";
	t->exit_code = -1;
	t->created_ms = t->since_ms = start_ms;
	const struct swarm_node *n = &w->nodes[(size_t)slot % 2];
	if (!strstr(t->image, "nonode"))
		(void)snprintf(t->node_id, sizeof(t->node_id), "%s", n->id);
	return t;
}

static void task_drop(struct swarm *w, size_t i)
{
	task_free(w->tasks[i]);
	memmove(&w->tasks[i], &w->tasks[i + 1], (w->n_tasks - i - 1) * sizeof(*w->tasks));
	w->n_tasks--;
}

static bool move(struct swarm_task *t, uint64_t now, uint64_t after, enum docker_task_state state,
	const char *err, int64_t exit_code)
{
	if (t->since_ms + after > now)
		return false;
	t->since_ms += after;
	t->state = state;
	t->err = err;
	t->exit_code = exit_code;
	return true;
}

/* One step of a task's own life; false: nothing happens before `now`. */
static bool task_step(const struct swarm *w, struct swarm_task *t, uint64_t now)
{
	bool crashes = strstr(t->image, "crash") || (w->crashes && strstr(t->image, w->crashes));
	if (t->desired > DOCKER_TASK_RUNNING)
		return false;
	if (t->state == DOCKER_TASK_NEW && strstr(t->image, "nonode"))
		return move(t, now, 0, DOCKER_TASK_PENDING,
			"no suitable node (scheduling constraints not satisfied on 2 nodes)", -1);
	if (t->state == DOCKER_TASK_NEW)
		return move(t, now, STEP_MS, DOCKER_TASK_PREPARING, "", -1);
	if (t->state == DOCKER_TASK_PREPARING && strstr(t->image, "reject"))
		return move(t, now, STEP_MS, DOCKER_TASK_REJECTED, "No such image", -1);
	if (t->state == DOCKER_TASK_PREPARING && (strstr(t->image, "sick") || strstr(t->image, "tardy")))
		return move(t, now, STEP_MS, DOCKER_TASK_STARTING, "", -1);
	if (t->state == DOCKER_TASK_STARTING && strstr(t->image, "tardy"))
		return move(t, now, LATE_MS, DOCKER_TASK_RUNNING, "", -1);
	if (t->state == DOCKER_TASK_PREPARING && !strstr(t->image, "slow"))
		return move(t, now, STEP_MS, DOCKER_TASK_RUNNING, "", -1);
	if (t->state == DOCKER_TASK_RUNNING && crashes)
		return move(t, now, CRASH_MS, DOCKER_TASK_FAILED, "task: non-zero exit (1)", 1);
	if (t->state == DOCKER_TASK_RUNNING && strstr(t->image, "once"))
		return move(t, now, ONCE_MS, DOCKER_TASK_COMPLETE, "", 0);
	return false;
}

/* ---- services ---- */

static int64_t wanted_slots(const struct swarm_service *s, bool *ret_job)
{
	const json_t *mode = json_object_get(s->spec, "Mode");
	*ret_job = json_at(mode, "ReplicatedJob") || json_at(mode, "GlobalJob");
	if (json_at(mode, "ReplicatedJob"))
		return json_int(mode, "ReplicatedJob.TotalCompletions", 1);
	if (json_at(mode, "Global") || json_at(mode, "GlobalJob"))
		return 2;
	return json_int(mode, "Replicated.Replicas", 1);
}

static bool restarts(const struct swarm_task *t)
{
	const char *condition = json_text(t->template, "RestartPolicy.Condition", "any");
	if (strcmp(condition, "none") == 0)
		return false;
	return strcmp(condition, "any") == 0 || t->state != DOCKER_TASK_COMPLETE;
}

static void set_spec(struct swarm *w, struct swarm_service *s, json_t *spec)
{
	json_t *old = s->previous;
	s->previous = s->spec;
	s->spec = spec;
	json_decref(old);
	s->version = ++w->index;
	s->updated_ms = loop_now_ms(w->loop);
}

/* A task of an update failed: what the service's update_config says about it. */
static void update_failed(struct swarm *w, struct swarm_service *s)
{
	const char *action = json_text(s->spec, "UpdateConfig.FailureAction", "pause");
	if (s->update == DOCKER_UPDATE_UPDATING && strcmp(action, "rollback") == 0) {
		set_spec(w, s, json_deep_copy(s->previous));
		s->update = DOCKER_ROLLBACK_STARTED;
		s->update_message =
			"update rolled back due to failure or early termination of a task";
	} else if (s->update == DOCKER_UPDATE_UPDATING && strcmp(action, "pause") == 0) {
		s->update = DOCKER_UPDATE_PAUSED;
		s->update_message = "update paused due to failure or early termination of a task";
	}
}

static bool slot_step(
	struct swarm *w, struct swarm_service *s, int64_t slot, bool job, bool *ret_well)
{
	uint64_t now = loop_now_ms(w->loop);
	bool final = false;
	for (size_t i = w->n_tasks; i-- > 0;) {
		struct swarm_task *t = w->tasks[i];
		if (t->slot != slot || strcmp(t->service_id, s->id) != 0)
			continue;
		final |= t->final && is_up_to_date(s, t);
		if (t->desired != DOCKER_TASK_RUNNING)
			continue;
		if (!is_up_to_date(s, t)) { /* stop first */
			t->desired = t->state = DOCKER_TASK_SHUTDOWN;
			t->since_ms = now;
			return true;
		}
		if (job && t->state == DOCKER_TASK_COMPLETE)
			return false;
		if (!docker_task_state_ended(t->state)) {
			*ret_well &= t->state == DOCKER_TASK_RUNNING;
			return false;
		}
		*ret_well = false;
		t->desired = DOCKER_TASK_SHUTDOWN;
		t->final = !restarts(t);
		if (t->state != DOCKER_TASK_COMPLETE)
			update_failed(w, s);
		if (!t->final && is_up_to_date(s, t))
			task_add(w, s, slot, t->since_ms + DELAY_MS);
		return true;
	}
	*ret_well = false;
	if (final)
		return false;
	task_add(w, s, slot, now);
	return true;
}

/* An update is complete when all its tasks have run for the monitor time. */
static bool update_step(struct swarm *w, struct swarm_service *s, bool well)
{
	uint64_t now = loop_now_ms(w->loop),
		 monitor = (uint64_t)json_int(s->spec, "UpdateConfig.Monitor", 0) / 1000000;
	if (!well)
		s->well_ms = 0;
	else if (s->well_ms == 0)
		s->well_ms = now;
	if (!well || now - s->well_ms < (monitor ? monitor : MONITOR_MS))
		return false;
	if (s->update != DOCKER_UPDATE_UPDATING && s->update != DOCKER_ROLLBACK_STARTED)
		return false;
	s->update = s->update == DOCKER_UPDATE_UPDATING ? DOCKER_UPDATE_COMPLETED
							: DOCKER_ROLLBACK_COMPLETED;
	return true;
}

static bool service_step(struct swarm *w, struct swarm_service *s)
{
	bool job, well = true, changed = false;
	int64_t n = wanted_slots(s, &job);
	for (int64_t slot = 1; slot <= n; slot++)
		changed |= slot_step(w, s, slot, job, &well);
	for (size_t i = 0; i < w->n_tasks; i++) {
		struct swarm_task *t = w->tasks[i];
		if (strcmp(t->service_id, s->id) != 0 || t->slot <= n ||
			t->desired == DOCKER_TASK_REMOVE)
			continue;
		t->desired = DOCKER_TASK_REMOVE;
		t->since_ms = loop_now_ms(w->loop);
		changed = true;
	}
	return changed || update_step(w, s, well);
}

static size_t later_in_slot(const struct swarm *w, size_t i)
{
	size_t n = 0;
	for (size_t k = i + 1; k < w->n_tasks; k++)
		n += w->tasks[k]->slot == w->tasks[i]->slot &&
		     strcmp(w->tasks[k]->service_id, w->tasks[i]->service_id) == 0;
	return n;
}

static void forget_old(struct swarm *w)
{
	uint64_t now = loop_now_ms(w->loop);
	for (size_t i = w->n_tasks; i-- > 0;) {
		const struct swarm_task *t = w->tasks[i];
		bool leaving = t->desired == DOCKER_TASK_REMOVE && t->since_ms + LINGER_MS <= now;
		bool old = docker_task_state_ended(t->state) && later_in_slot(w, i) >= HISTORY;
		if (leaving || old)
			task_drop(w, i);
	}
	for (size_t i = w->n_objects; i-- > 0;) {
		struct swarm_object *o = w->objects[i];
		if (o->gone_ms == 0 || o->gone_ms > now)
			continue;
		object_free(o);
		memmove(&w->objects[i], &w->objects[i + 1],
			(w->n_objects - i - 1) * sizeof(*w->objects));
		w->n_objects--;
	}
}

void swarm_advance(struct swarm *w)
{
	uint64_t now = loop_now_ms(w->loop);
	bool changed = true;
	while (changed) {
		changed = false;
		for (size_t i = 0; i < w->n_tasks; i++)
			changed |= task_step(w, w->tasks[i], now);
		for (size_t i = 0; i < w->n_services; i++)
			changed |= service_step(w, w->services[i]);
		forget_old(w);
	}
}

void swarm_restart(struct swarm *w)
{
	swarm_advance(w);
	for (size_t i = 0; i < w->n_tasks; i++) {
		struct swarm_task *t = w->tasks[i];
		if (t->desired > DOCKER_TASK_RUNNING || t->state != DOCKER_TASK_RUNNING)
			continue;
		t->state = DOCKER_TASK_FAILED;
		t->err = "task: non-zero exit (255)";
		t->exit_code = 255;
		t->since_ms = loop_now_ms(w->loop);
	}
}

struct swarm_service *swarm_service_find(const struct swarm *w, const char *id)
{
	for (size_t i = 0; i < w->n_services; i++)
		if (strcmp(w->services[i]->id, id) == 0 ||
			strcmp(json_text(w->services[i]->spec, "Name", ""), id) == 0)
			return w->services[i];
	return NULL;
}

struct swarm_object *swarm_object_find(const struct swarm *w, enum swarm_kind kind, const char *id)
{
	for (size_t i = 0; i < w->n_objects; i++) {
		struct swarm_object *o = w->objects[i];
		if (o->kind == kind &&
			(strcmp(o->id, id) == 0 || strcmp(json_text(o->spec, "Name", ""), id) == 0))
			return o;
	}
	return NULL;
}

/* The Engine stores networks by id; refuses what is not there. */
static struct status check_spec(struct swarm *w, json_t *spec)
{
	json_t *entry;
	size_t i;
	json_array_foreach(json_at(spec, "TaskTemplate.Networks"), i, entry)
	{
		const char *target = json_text(entry, "Target", "");
		const struct swarm_object *o = swarm_object_find(w, SWARM_NETWORK, target);
		if (!o || o->gone_ms)
			return status_err(ST_NOT_FOUND, "network %s not found", target);
		json_object_set_new(entry, "Target", json_string(o->id));
	}
	json_array_foreach(json_at(spec, "TaskTemplate.ContainerSpec.Secrets"), i,
		entry) if (!swarm_object_find(w, SWARM_SECRET,
				   json_text(entry, "SecretID",
					   ""))) return status_err(ST_INVALID_ARGUMENT,
		"secret not found: %s", json_text(entry, "SecretName", ""));
	json_array_foreach(json_at(spec, "TaskTemplate.ContainerSpec.Configs"), i,
		entry) if (!swarm_object_find(w, SWARM_CONFIG,
				   json_text(entry, "ConfigID",
					   ""))) return status_err(ST_INVALID_ARGUMENT,
		"config not found: %s", json_text(entry, "ConfigName", ""));
	return status_ok();
}

struct status swarm_service_create(struct swarm *w, const json_t *spec, const char **ret_id)
{
	const char *name = json_text(spec, "Name", "");
	swarm_advance(w);
	if (swarm_service_find(w, name))
		return status_err(ST_ALREADY_EXISTS,
			"name conflicts with an existing object: service %s already exists", name);
	json_t *copy = json_deep_copy(spec);
	struct status st = check_spec(w, copy);
	if (!status_is_ok(&st)) {
		json_decref(copy);
		return st;
	}
	struct swarm_service *s = mem_new(struct swarm_service);
	w->services = mem_realloc_array(w->services, sizeof(*w->services), w->n_services + 1);
	w->services[w->n_services++] = s;
	make_id(w, s->id, "service");
	s->version = w->index;
	s->spec = copy;
	s->update_message = "";
	s->created_ms = s->updated_ms = loop_now_ms(w->loop);
	w->service_writes++;
	swarm_advance(w);
	*ret_id = s->id;
	return st;
}

static const char *label(const json_t *spec, const char *key)
{
	const char *value =
		json_string_value(json_object_get(json_object_get(spec, "Labels"), key));
	return value ? value : "";
}

struct status swarm_service_update(
	struct swarm *w, const char *id, uint64_t version, const json_t *spec)
{
	struct swarm_service *s = swarm_service_find(w, id);
	swarm_advance(w);
	if (!s)
		return status_err(ST_NOT_FOUND, "service %s not found", id);
	if (s->version != version)
		return status_err(ST_ABORTED, "update out of sequence");
	json_t *copy = json_deep_copy(spec);
	struct status st = check_spec(w, copy);
	if (!status_is_ok(&st)) {
		json_decref(copy);
		return st;
	}
	if (strcmp(label(s->spec, LABEL_JOB), label(copy, LABEL_JOB)) == 0 &&
		strtol(label(copy, LABEL_EPOCH), NULL, 10) <
			strtol(label(s->spec, LABEL_EPOCH), NULL, 10))
		w->epoch_breaches++;
	bool changes = !json_equal(json_object_get(copy, "TaskTemplate"), template_of(s));
	set_spec(w, s, copy);
	s->update = changes ? DOCKER_UPDATE_UPDATING : DOCKER_UPDATE_NONE;
	s->well_ms = 0;
	s->update_message = "";
	w->service_writes++;
	swarm_advance(w);
	return st;
}

struct status swarm_service_remove(struct swarm *w, const char *id)
{
	struct swarm_service *s = swarm_service_find(w, id);
	swarm_advance(w);
	if (!s)
		return status_err(ST_NOT_FOUND, "service %s not found", id);
	for (size_t i = 0; i < w->n_tasks; i++)
		if (strcmp(w->tasks[i]->service_id, s->id) == 0) {
			w->tasks[i]->desired = DOCKER_TASK_REMOVE;
			w->tasks[i]->since_ms = loop_now_ms(w->loop);
		}
	for (size_t i = 0; i < w->n_services; i++)
		if (w->services[i] == s)
			w->services[i] = w->services[--w->n_services];
	service_free(s);
	w->service_writes++;
	return status_ok();
}

/* ---- networks, secrets, configs ---- */

struct status swarm_object_create(
	struct swarm *w, enum swarm_kind kind, const json_t *spec, const char **ret_id)
{
	static const char *const words[] = {"net", "secret", "config"};
	const char *name = json_text(spec, "Name", "");
	swarm_advance(w);
	if (swarm_object_find(w, kind, name))
		return status_err(
			ST_ALREADY_EXISTS, "%s with name %s already exists", words[kind], name);
	struct swarm_object *o = mem_new(struct swarm_object);
	w->objects = mem_realloc_array(w->objects, sizeof(*w->objects), w->n_objects + 1);
	w->objects[w->n_objects++] = o;
	o->kind = kind;
	make_id(w, o->id, words[kind]);
	o->version = w->index;
	o->spec = json_deep_copy(spec);
	o->created_ms = loop_now_ms(w->loop);
	*ret_id = o->id;
	return status_ok();
}

static bool holds_id(const json_t *list, const char *key, const char *id)
{
	json_t *entry;
	size_t i;
	json_array_foreach((json_t *)(uintptr_t)list, i,
		entry) if (strcmp(json_text(entry, key, ""), id) == 0) return true;
	return false;
}

static bool template_uses(const json_t *template, const struct swarm_object *o)
{
	return holds_id(json_at(template, "Networks"), "Target", o->id) ||
	       holds_id(json_at(template, "ContainerSpec.Secrets"), "SecretID", o->id) ||
	       holds_id(json_at(template, "ContainerSpec.Configs"), "ConfigID", o->id);
}

struct status swarm_object_remove(struct swarm *w, enum swarm_kind kind, const char *id)
{
	swarm_advance(w); /* forgets what is gone */
	struct swarm_object *o = swarm_object_find(w, kind, id);
	if (!o || o->gone_ms)
		return status_err(ST_NOT_FOUND, "%s not found", id);
	for (size_t i = 0; i < w->n_services; i++)
		if (template_uses(template_of(w->services[i]), o))
			return status_err(kind == SWARM_NETWORK ? ST_FAILED_PRECONDITION
								: ST_INVALID_ARGUMENT,
				"%s is in use by service %s", id,
				json_text(w->services[i]->spec, "Name", ""));
	for (size_t i = 0; kind == SWARM_NETWORK && i < w->n_tasks; i++)
		if (!docker_task_state_ended(w->tasks[i]->state) &&
			template_uses(w->tasks[i]->template, o))
			return status_err(
				ST_FAILED_PRECONDITION, "network %s has active endpoints", id);
	o->gone_ms = loop_now_ms(w->loop) + (kind == SWARM_NETWORK ? LINGER_MS : 0);
	swarm_advance(w);
	return status_ok();
}

/* ---- for comparing ---- */

static void describe_service(struct swarm *w, const struct swarm_service *s, struct buf *b)
{
	bool job;
	int64_t running = 0;
	for (size_t i = 0; i < w->n_tasks; i++) {
		const struct swarm_task *t = w->tasks[i];
		if (strcmp(t->service_id, s->id) == 0 && t->desired == DOCKER_TASK_RUNNING &&
			is_up_to_date(s, t))
			running += t->state == DOCKER_TASK_RUNNING;
	}
	buf_fmt(b, "service %s %s %lld/%lld", json_text(s->spec, "Name", ""),
		json_text(template_of(s), "ContainerSpec.Image", ""), (long long)running,
		(long long)wanted_slots(s, &job));
	json_t *configs = json_at(template_of(s), "ContainerSpec.Configs"), *entry;
	size_t i;
	json_array_foreach(configs, i, entry) buf_fmt(b, " %s", json_text(entry, "ConfigName", ""));
	json_array_foreach(json_at(template_of(s), "Networks"), i, entry)
	{
		const struct swarm_object *o =
			swarm_object_find(w, SWARM_NETWORK, json_text(entry, "Target", ""));
		buf_fmt(b, " %s", o ? json_text(o->spec, "Name", "") : "?");
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *swarm_text(struct swarm *w, struct arena *a)
{
	static const char *const words[] = {"network", "secret", "config"};
	const char **lines = arena_array(a, const char *, w->n_services + w->n_objects + 1);
	size_t n = 0;
	struct buf b = {0};
	swarm_advance(w);
	for (size_t i = 0; i < w->n_services; i++) {
		b.len = 0;
		describe_service(w, w->services[i], &b);
		lines[n++] = str_dup(a, buf_str(&b));
	}
	for (size_t i = 0; i < w->n_objects; i++)
		if (!w->objects[i]->gone_ms)
			lines[n++] = arena_fmt(a, "%s %s", words[w->objects[i]->kind],
				json_text(w->objects[i]->spec, "Name", ""));
	qsort(lines, n, sizeof(*lines), by_text);
	b.len = 0;
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s\n", lines[i]);
	char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}
