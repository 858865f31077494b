/* What flows and the observer read and write of a stack: db/stacks.h. */
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include "base/json.h"

#define HOUR_US (3600 * INT64_C(1000000))

/* ---- releases ---- */

struct status store_load_release(struct store *s, const char *project_id, const char *id,
	struct store_release **ret_release)
{
	struct store_release *r = store_release_find(s, id);
	if (!r || strcmp(r->row.project_id.text, project_id) != 0)
		return status_err(ST_NOT_FOUND, "release \"%s\" does not exist", id);
	if (r->archived)
		return status_err(ST_FAILED_PRECONDITION, "release %lld was archived", (long long)r->row.number);
	*ret_release = r;
	return status_ok();
}

size_t store_good_releases(struct store *s, struct arena *a, const char *project_id,
	const char *stack_id, unsigned limit, struct db_release_objects **ret_list)
{
	size_t n = 0;
	*ret_list = arena_array(a, struct db_release_objects, s->n_releases + 1);
	for (size_t i = s->n_releases; i-- > 0 && n < limit;) {
		const struct store_release *r = s->releases[i];
		if ((r->row.state == RELEASE_ACTIVE || r->row.state == RELEASE_SUPERSEDED) &&
			strcmp(r->row.stack_id.text, stack_id) == 0 &&
			strcmp(r->row.project_id.text, project_id) == 0)
			(*ret_list)[n++] = (struct db_release_objects){
				r->row.number, r->objects, r->n_objects};
	}
	return n;
}

/* Fenced: the job's release, of its stack. */
static struct status fenced_release(struct store *s, const struct db_job *job,
	const char *release_id, struct store_release **ret_release)
{
	struct status st = store_fence(s, job->id.text, job->epoch);
	if (!status_is_ok(&st))
		return st;
	*ret_release = store_release_find(s, release_id);
	if (!*ret_release || strcmp((*ret_release)->row.stack_id.text, job->stack_id.text) != 0)
		return status_err(ST_NOT_FOUND,
			"release \"%s\" is not one of the job's stack", release_id);
	return st;
}

struct status store_source(struct store *s, const struct db_job *job, const char *release_id,
	struct str source)
{
	struct store_release *r;
	struct status st = fenced_release(s, job, release_id, &r);
	if (status_is_ok(&st))
		r->source = (struct str){str_dup(s->arena, source), source.len};
	return st;
}

static const char *const *copy_texts(struct arena *a, const char *const *texts, size_t n)
{
	const char **copy = arena_array(a, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, texts[i]);
	return copy;
}

struct status store_rendered(struct store *s, const struct db_job *job, const char *release_id,
	const struct db_rendered *d)
{
	struct store_release *r;
	struct status st = fenced_release(s, job, release_id, &r);
	if (!status_is_ok(&st))
		return st;
	r->rendered = (struct str){str_dup(s->arena, d->text), d->text.len};
	r->has_rendered = true;
	r->row.images = copy_texts(s->arena, d->images, d->n_images);
	r->row.n_images = d->n_images;
	r->objects = copy_texts(s->arena, d->objects, d->n_objects);
	r->n_objects = d->n_objects;
	return st;
}

/* ---- the stack ---- */

static void put_status(struct store *s, struct store_stack *t, enum stack_status status,
	const char *message, const char *unfinished)
{
	if (t->row.status == status && strcmp(t->row.status_message, message) == 0 &&
		strcmp(t->row.unfinished, unfinished) == 0)
		return;
	t->row.status = status;
	t->row.status_message = arena_strdup(s->arena, message);
	t->row.unfinished = arena_strdup(s->arena, unfinished);
	t->row.updated_us = store_now_us(s);
	store_tell(s, "skep_stacks", t->row.id.text);
}

static void put_own_status(struct store *s, const char *stack_id, enum stack_status status,
	const char *message)
{
	struct store_stack *t = store_stack_find(s, stack_id);
	bool bad = status == STACK_DEGRADED || status == STACK_FAILED;
	bool at_work = status == STACK_DEPLOYING || status == STACK_REMOVING;
	if (!t)
		return;
	put_status(s, t, status, message, bad ? message : at_work ? t->row.unfinished : "");
	t->set_us = store_now_us(s);
}

struct status store_set_status(struct store *s, const struct db_job *job, enum stack_status status,
	const char *message)
{
	struct status st = store_fence(s, job->id.text, job->epoch);
	if (status_is_ok(&st))
		put_own_status(s, job->stack_id.text, status, message);
	return st;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct db_service *)a)->service,
		((const struct db_service *)b)->service);
}

static bool same_service(const struct db_service *a, const struct db_service *b)
{
	return strcmp(a->service, b->service) == 0 && strcmp(a->engine_id, b->engine_id) == 0 &&
	       strcmp(a->engine_name, b->engine_name) == 0 && strcmp(a->image, b->image) == 0 &&
	       strcmp(a->mode, b->mode) == 0 && strcmp(a->message, b->message) == 0 &&
	       a->state == b->state && a->running == b->running && a->wanted == b->wanted;
}

static const char *text_of(struct store *s, const char *text)
{
	return arena_strdup(s->arena, text ? text : "");
}

static struct db_service own_service(struct store *s, const struct db_service *v)
{
	struct db_service c = *v;
	c.service = text_of(s, v->service);
	c.engine_id = text_of(s, v->engine_id);
	c.engine_name = text_of(s, v->engine_name);
	c.image = text_of(s, v->image);
	c.message = text_of(s, v->message);
	c.mode = text_of(s, v->mode && v->mode[0] ? v->mode : "replicated");
	c.state = v->state ? v->state : SERVICE_PENDING;
	return c;
}

static void put_services(
	struct store *s, struct store_stack *t, const struct db_service *services, size_t n)
{
	struct db_service *copy = arena_array(s->arena, struct db_service, n + 1);
	bool same = n == t->row.n_services;
	for (size_t i = 0; i < n; i++)
		copy[i] = own_service(s, &services[i]);
	qsort(copy, n, sizeof(*copy), by_name);
	for (size_t i = 0; same && i < n; i++)
		same = same_service(&copy[i], &t->row.services[i]);
	if (same)
		return;
	t->row.services = copy;
	t->row.n_services = n;
	store_tell(s, "skep_stacks", t->row.id.text);
}

/* Of those that there are. */
static void update_services(
	struct store *s, struct store_stack *t, const struct db_service *services, size_t n)
{
	struct db_service *now = arena_array(s->arena, struct db_service, t->row.n_services + 1);
	for (size_t i = 0; i < t->row.n_services; i++) {
		now[i] = t->row.services[i];
		for (size_t k = 0; k < n; k++)
			if (strcmp(services[k].service, now[i].service) == 0)
				now[i] = services[k];
	}
	put_services(s, t, now, t->row.n_services);
}

struct status store_activate(struct store *s, const struct db_job *job, const char *release_id,
	const struct db_service *services, size_t n)
{
	struct store_release *r;
	struct status st = fenced_release(s, job, release_id, &r);
	if (!status_is_ok(&st))
		return st;
	for (size_t i = 0; i < s->n_releases; i++) {
		struct store_release *o = s->releases[i];
		if (o != r && o->row.state == RELEASE_ACTIVE &&
			strcmp(o->row.stack_id.text, job->stack_id.text) == 0)
			o->row.state = RELEASE_SUPERSEDED;
	}
	if (r->row.state != RELEASE_ACTIVE && !r->row.finished_us)
		r->row.finished_us = store_now_us(s);
	r->row.state = RELEASE_ACTIVE;
	struct store_stack *t = store_stack_find(s, job->stack_id.text);
	t->row.active_deployment_id = r->row.id;
	put_status(s, t, STACK_RUNNING, "", "");
	put_services(s, t, services, n);
	store_tell(s, "skep_stacks", t->row.id.text);
	return st;
}

struct status store_fail_release(
	struct store *s, const struct db_job *job, const char *release_id)
{
	struct store_release *r;
	struct status st = fenced_release(s, job, release_id, &r);
	if (status_is_ok(&st) && r->row.state == RELEASE_PENDING) {
		r->row.state = RELEASE_FAILED;
		r->row.finished_us = store_now_us(s);
	}
	return st;
}

/* ---- removed ---- */

/* Another job waits for it: it begins anew. */
static void keep_stack(struct store *s, struct store_stack *t)
{
	t->row.status = STACK_PENDING;
	t->row.status_message = "";
	t->row.active_deployment_id = (struct uuid){""};
	t->row.adopted = false;
	t->row.services = NULL;
	t->row.n_services = 0;
	t->n_networks = 0;
	for (size_t i = 0; i < s->n_releases; i++)
		if (s->releases[i]->row.state == RELEASE_ACTIVE &&
			strcmp(s->releases[i]->row.stack_id.text, t->row.id.text) == 0)
			s->releases[i]->row.state = RELEASE_SUPERSEDED;
}

static void drop_stack(struct store *s, const struct store_stack *t)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_releases; i++)
		if (strcmp(s->releases[i]->row.stack_id.text, t->row.id.text) != 0)
			s->releases[n++] = s->releases[i];
	s->n_releases = n;
	for (size_t i = 0; i < s->n_jobs; i++)
		if (store_is_of(s->jobs[i], t))
			s->jobs[i]->row.stack_id = s->jobs[i]->row.deployment_id =
				(struct uuid){""};
	n = 0;
	for (size_t i = 0; i < s->n_stacks; i++)
		if (s->stacks[i] != t)
			s->stacks[n++] = s->stacks[i];
	s->n_stacks = n;
}

struct status store_removed(struct store *s, const struct db_job *job)
{
	struct status st = store_fence(s, job->id.text, job->epoch);
	struct store_stack *t = store_stack_find(s, job->stack_id.text);
	bool waited_for = false;
	if (!status_is_ok(&st) || !t)
		return st;
	for (size_t i = 0; i < s->n_jobs; i++)
		waited_for |= store_is_of(s->jobs[i], t) && s->jobs[i]->row.state == JOB_PENDING;
	if (waited_for)
		keep_stack(s, t);
	else
		drop_stack(s, t);
	store_tell(s, "skep_stacks", job->stack_id.text);
	return st;
}

/* ---- networks ---- */

static bool is_taken(const struct store *s, const struct store_stack *t, const char *engine_name)
{
	for (size_t i = 0; i < s->n_stacks; i++)
		for (size_t k = 0; s->stacks[i] != t && k < s->stacks[i]->n_networks; k++)
			if (strcmp(strchr(s->stacks[i]->networks[k], '=') + 1, engine_name) == 0)
				return true;
	return false;
}

struct status store_set_networks(struct store *s, const struct db_job *job,
	const char *const *names, const char *const *engine_names, size_t n)
{
	struct status st = store_fence(s, job->id.text, job->epoch);
	struct store_stack *t = store_stack_find(s, job->stack_id.text);
	if (!status_is_ok(&st) || !t)
		return st;
	for (size_t i = 0; i < n; i++)
		if (is_taken(s, t, engine_names[i]))
			return status_err(ST_ALREADY_EXISTS,
				"a network name of stack \"%s\" is taken by another stack",
				t->row.name);
	t->n_networks = n < 64 ? n : 64;
	for (size_t i = 0; i < t->n_networks; i++)
		t->networks[i] = arena_fmt(s->arena, "%s=%s", names[i], engine_names[i]);
	return st;
}

/* ---- the observer's ---- */

size_t store_watched(struct store *s, struct arena *a, const char *after_id, unsigned limit,
	struct db_stack **ret_stacks, bool *ret_more)
{
	size_t n = 0;
	*ret_stacks = arena_array(a, struct db_stack, s->n_stacks + 1);
	*ret_more = false;
	for (size_t i = 0; i < s->n_stacks && !*ret_more; i++) {
		const struct db_stack *r = &s->stacks[i]->row;
		bool busy = r->status == STACK_DEPLOYING || r->status == STACK_REMOVING;
		if ((after_id[0] && strcmp(r->id.text, after_id) <= 0) ||
			!(r->active_deployment_id.text[0] || busy || r->n_services))
			continue;
		if (n == limit)
			*ret_more = true;
		else
			(*ret_stacks)[n++] = store_stack_row(s, s->stacks[i]);
	}
	return n;
}

static bool has_job(const struct store *s, const struct store_stack *t, bool waiting_too)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		if (store_is_of(s->jobs[i], t) &&
			(s->jobs[i]->row.state == JOB_RUNNING ||
				(waiting_too && s->jobs[i]->row.state == JOB_PENDING)))
			return true;
	return false;
}

struct status store_observe(struct store *s, const char *stack_id, enum stack_status status,
	const char *message, const char *drifted, const struct db_service *services, size_t n, uint64_t age_ms)
{
	struct store_stack *t = store_stack_find(s, stack_id);
	if (!t)
		return status_err(ST_NOT_FOUND, "stack \"%s\" does not exist", stack_id);
	bool since = t->set_us <= store_now_us(s) - (int64_t)age_ms * 1000;
	if (since && !has_job(s, t, false))
		put_status(s, t, status, message, t->row.unfinished);
	if (since)
		update_services(s, t, services, n);
	t->observed++;
	t->drifted = arena_strdup(s->arena, drifted);
	return status_ok();
}

static struct status may_repair(struct store *s, const struct store_stack *t,
	const char *release_id, int max_an_hour)
{
	const struct store_project *p = store_project_find(s, t->row.project_id.text);
	int64_t now = store_now_us(s), last = 0, gap = 5 * INT64_C(1000000);
	int repairs = 0;
	if (p->row.drift_policy != DRIFT_REPAIR)
		return status_err(ST_FAILED_PRECONDITION, "it only reports drift");
	if (strcmp(t->row.active_deployment_id.text, release_id) != 0)
		return status_err(ST_FAILED_PRECONDITION, "another release runs by now");
	if (has_job(s, t, true))
		return status_err(ST_FAILED_PRECONDITION, "a job is at work on the stack");
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct store_job *j = s->jobs[i];
		if (j->archived || !store_is_of(j, t) || strcmp(j->created_by, "observer") != 0 ||
			j->row.created_us <= now - HOUR_US)
			continue;
		gap = repairs++ ? gap * 3 : gap;
		last = j->row.created_us;
	}
	if (repairs >= max_an_hour)
		return status_err(ST_RESOURCE_EXHAUSTED, "it was repaired %d times", repairs);
	if (repairs && now < last + gap)
		return status_err(ST_FAILED_PRECONDITION, "it was repaired a moment ago");
	return status_ok();
}

struct status store_repair(struct store *s, const char *stack_id, const char *release_id,
	const char *why, int max_an_hour, struct store_job **ret_job)
{
	struct store_stack *t = store_stack_find(s, stack_id);
	s->repairs_asked++;
	if (!t)
		return status_err(ST_NOT_FOUND, "stack \"%s\" does not exist", stack_id);
	struct status st = may_repair(s, t, release_id, max_an_hour);
	if (!status_is_ok(&st))
		return st;
	if (!store_release_find(s, release_id))
		return status_err(ST_NOT_FOUND, "stack \"%s\" has no release", t->row.name);
	json_t *params = json_pack("{s:o}", "drift", json_lossy(str_of(why)));
	*ret_job = store_stack_job_add(s, t, JOB_UPDATE, json_to_text(s->arena, params), 3,
		"observer", store_release_find(s, release_id));
	json_decref(params);
	store_created(s, *ret_job);
	return st;
}
