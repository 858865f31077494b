/* The store's life, ids, requests, projects, and what all of its files need. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "loop/loop.h"

#define EPOCH_US INT64_C(1700000000000000) /* the loop's 0 */
#define MINUTE_US INT64_C(60000000)

static int64_t wall_us(const struct clock *c)
{
	const struct store *s = container_of(c, struct store, clock);
	return s->last_us;
}

struct store *store_create(struct loop *l, struct rng *rng)
{
	struct store *s = mem_new(struct store);
	s->loop = l;
	s->rng = rng;
	s->arena = arena_create();
	s->clock.wall_us = wall_us;
	s->turn = 1;
	return s;
}

void store_destroy(struct store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_jobs; i++)
		store_job_drop(s->jobs[i]);
	free(s->projects);
	free(s->stacks);
	free(s->releases);
	free(s->jobs);
	free(s->requests);
	free(s->schedules);
	free(s->daemons);
	s->notify = NULL;
	store_stream_finish(s);
	arena_destroy(s->arena);
	free(s);
}

int64_t store_now_us(const struct store *s)
{
	return EPOCH_US + (int64_t)(loop_now_ms(s->loop) + s->clock_ms) * 1000;
}

/* Each one after the one before. */
struct uuid store_id(struct store *s)
{
	int64_t now = store_now_us(s);
	s->last_us = now > s->last_us ? now : s->last_us + 1;
	return uuid_v7(&s->clock, s->rng);
}

void store_tell(struct store *s, const char *channel, const char *payload)
{
	if (s->notify)
		s->notify(s->data, channel, payload);
}

#define FINDER(what, type, list, n) \
	struct type *store_##what##_find(struct store *s, const char *id) \
	{ \
		for (size_t i = 0; id && i < s->n; i++) \
			if (strcmp(s->list[i]->row.id.text, id) == 0) \
				return s->list[i]; \
		return NULL; \
	}
FINDER(project, store_project, projects, n_projects)
FINDER(stack, store_stack, stacks, n_stacks)
FINDER(release, store_release, releases, n_releases)
FINDER(job, store_job, jobs, n_jobs)

/* ---- request ids ---- */

static const char *request_key(struct arena *a, const struct db_scope *scope)
{
	return arena_fmt(a, "%s\n%s\n%s", scope->project_id, scope->actor, scope->request_id);
}

bool store_replays(struct store *s, const struct db_scope *scope, struct status *ret_st,
	struct uuid *ret_result)
{
	if (!scope->request_id || !scope->request_id[0])
		return false;
	const char *key = request_key(s->arena, scope);
	for (size_t i = 0; i < s->n_requests; i++) {
		const struct store_request *q = &s->requests[i];
		if (strcmp(q->key, key) != 0)
			continue;
		*ret_result = q->result;
		*ret_st = strcmp(q->method, scope->method) == 0 &&
					  str_eq(q->fingerprint, scope->fingerprint)
				  ? status_ok()
				  : status_err(ST_FAILED_PRECONDITION,
					    "request id \"%s\" was used for another request",
					    scope->request_id);
		return true;
	}
	return false;
}

void store_remember(struct store *s, const struct db_scope *scope, const char *result_id)
{
	if (!scope->request_id || !scope->request_id[0])
		return;
	s->requests = mem_realloc_array(s->requests, sizeof(*s->requests), s->n_requests + 1);
	struct store_request *q = &s->requests[s->n_requests++];
	*q = (struct store_request){.key = request_key(s->arena, scope),
		.method = arena_strdup(s->arena, scope->method),
		.fingerprint = {str_dup(s->arena, scope->fingerprint), scope->fingerprint.len}};
	(void)snprintf(q->result.text, sizeof(q->result.text), "%s", result_id);
}

/* ---- projects ---- */

struct status store_project_ref(struct store *s, const struct db_scope *scope, const char *ref,
	struct store_project **ret_project)
{
	if (!ref[0])
		ref = scope->project_id;
	if (!ref[0])
		return status_err(ST_INVALID_ARGUMENT, "no project is named: give its name or id");
	for (size_t i = 0; i < s->n_projects; i++) {
		struct store_project *p = s->projects[i];
		bool named = strcmp(p->row.name, ref) == 0 || strcmp(p->row.id.text, ref) == 0;
		if (named && (!scope->project_id[0] || strcmp(scope->project_id, p->row.id.text) == 0)) {
			*ret_project = p;
			return status_ok();
		}
	}
	return status_err(ST_NOT_FOUND, "project \"%s\" does not exist", ref);
}

struct status store_project_or_all(struct store *s, const struct db_scope *scope, const char *ref, struct store_project **ret_project)
{
	*ret_project = NULL;
	return ref[0] || scope->project_id[0] ? store_project_ref(s, scope, ref, ret_project) : status_ok();
}

struct db_project store_project_row(struct store *s, const struct store_project *p)
{
	struct db_project row = p->row;
	for (size_t i = 0; i < s->n_stacks; i++)
		row.stacks += strcmp(s->stacks[i]->row.project_id.text, row.id.text) == 0;
	(void)snprintf(row.etag, sizeof(row.etag), "%llx", (unsigned long long)row.updated_us);
	return row;
}

static struct status replayed(struct store *s, const struct status *st, const struct uuid *id, struct store_project **ret_project)
{
	*ret_project = store_project_find(s, id->text);
	if (status_is_ok(st) && !*ret_project)
		return status_err(ST_NOT_FOUND, "the project does not exist any more");
	return *st;
}

static bool is_project_name(const char *name)
{
	size_t n = strlen(name);
	struct uuid id;
	return n > 0 && n <= 40 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && name[0] != '-' &&
	       name[n - 1] != '-' && !uuid_parse(name, &id);
}

struct status store_project_create(struct store *s, const struct db_scope *scope, const char *name,
	const char *description, struct store_project **ret_project)
{
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return replayed(s, &st, &old, ret_project);
	if (!is_project_name(name))
		return status_err(ST_INVALID_ARGUMENT, "\"%s\" is no name of a project", name);
	for (size_t i = 0; i < s->n_projects; i++)
		if (strcmp(s->projects[i]->row.name, name) == 0)
			return status_err(ST_ALREADY_EXISTS, "project \"%s\" exists already", name);
	struct store_project *p = arena_new(s->arena, struct store_project);
	p->row = (struct db_project){.id = store_id(s),
		.name = arena_strdup(s->arena, name),
		.description = arena_strdup(s->arena, description),
		.created_us = store_now_us(s),
		.updated_us = store_now_us(s),
		.drift_policy = DRIFT_REPORT,
		.weight = 1};
	s->projects = mem_realloc_array(s->projects, sizeof(*s->projects), s->n_projects + 1);
	s->projects[s->n_projects++] = p;
	store_remember(s, scope, p->row.id.text);
	*ret_project = p;
	return st;
}

size_t store_project_list(struct store *s, struct arena *a, const struct db_scope *scope, const struct db_page *page,
	struct db_project **ret_list, bool *ret_more)
{
	size_t n = 0;
	*ret_list = arena_array(a, struct db_project, s->n_projects + 1);
	for (size_t i = s->n_projects; i-- > 0;) {
		const struct store_project *p = s->projects[i];
		if ((!scope->project_id[0] || strcmp(scope->project_id, p->row.id.text) == 0) && store_on_page(page, &p->row.id))
			(*ret_list)[n++] = store_project_row(s, p);
	}
	*ret_more = n > page->size;
	return *ret_more ? page->size : n;
}

static struct status need_etag(struct store *s, const struct store_project *p, const char *etag)
{
	if (!etag || !etag[0] || strcmp(store_project_row(s, p).etag, etag) == 0)
		return status_ok();
	return status_err(ST_ABORTED, "project \"%s\" has been changed since", p->row.name);
}

/* Its jobs go with it; those in the archive follow. */
static void drop_project(struct store *s, const struct store_project *p)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct store_job *j = s->jobs[i];
		if (j->archived || strcmp(j->row.project_id.text, p->row.id.text) != 0)
			s->jobs[n++] = j;
		else
			store_job_drop(j);
	}
	s->n_jobs = n;
	n = 0;
	for (size_t i = 0; i < s->n_projects; i++)
		if (s->projects[i] != p)
			s->projects[n++] = s->projects[i];
	s->n_projects = n;
}

struct status store_project_remove(struct store *s, const struct db_scope *scope, const char *ref, const char *etag)
{
	struct store_project *p;
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return st;
	st = store_project_ref(s, scope, ref, &p);
	if (status_is_ok(&st))
		st = need_etag(s, p, etag);
	if (!status_is_ok(&st))
		return st;
	if (store_project_row(s, p).stacks > 0)
		return status_err(ST_FAILED_PRECONDITION, "project \"%s\" still has stacks", p->row.name);
	for (size_t i = 0; i < s->n_jobs; i++)
		if (!job_state_is_end(s->jobs[i]->row.state) && strcmp(s->jobs[i]->row.project_id.text, p->row.id.text) == 0)
			return status_err(ST_FAILED_PRECONDITION, "a job of project \"%s\" has not ended", p->row.name);
	store_remember(s, scope, "");
	drop_project(s, p);
	return st;
}

/* What was decided before it is void, and everybody looks anew. */
static void new_turn(struct store *s)
{
	s->turn++;
	store_tell(s, "skep_jobs", "");
}

struct status store_project_update(struct store *s, const struct db_scope *scope, const char *ref,
	const struct db_project_change *change, struct store_project **ret_project)
{
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return replayed(s, &st, &old, ret_project);
	st = store_project_ref(s, scope, ref, ret_project);
	if (!status_is_ok(&st))
		return st;
	st = need_etag(s, *ret_project, change->etag);
	if (!status_is_ok(&st))
		return st;
	store_remember(s, scope, (*ret_project)->row.id.text);
	struct db_project *p = &(*ret_project)->row;
	if (change->description)
		p->description = arena_strdup(s->arena, change->description);
	if (change->drift_policy)
		p->drift_policy = change->drift_policy;
	if (change->weight)
		p->weight = change->weight;
	if (change->max_running)
		p->max_running = change->max_running < 0 ? 0 : change->max_running;
	p->updated_us = store_now_us(s);
	if (change->weight || change->max_running)
		new_turn(s);
	return st;
}

/* One more job of the project: its wait list and its rate are bounded. */
struct status store_admit(struct store *s, struct store_project *p)
{
	const struct db_job_limits *l = &s->limits;
	unsigned waiting = 0;
	for (size_t i = 0; i < s->n_jobs; i++)
		waiting += s->jobs[i]->row.state == JOB_PENDING &&
			   strcmp(s->jobs[i]->row.project_id.text, p->row.id.text) == 0;
	if (l->backlog && waiting >= l->backlog)
		return status_err(ST_RESOURCE_EXHAUSTED, "%u jobs of project \"%s\" wait already",
			waiting, p->row.name);
	if (!l->per_minute)
		return status_ok();
	int64_t every = MINUTE_US / l->per_minute, now = store_now_us(s);
	int64_t due = (p->gate_us > now ? p->gate_us : now) + every;
	if (due - now > every * (int64_t)(l->burst ? l->burst : 1))
		return status_err(
			ST_RESOURCE_EXHAUSTED, "project \"%s\" submits too fast", p->row.name);
	p->gate_us = due;
	return status_ok();
}

/* ---- pauses ---- */

static struct status put_pause(struct store *s, const struct db_scope *scope, const char *project,
	enum job_kind kind, const char *reason)
{
	struct store_project *p;
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return st;
	const char *text = reason ? arena_strdup(s->arena, reason) : NULL;
	if (kind) {
		s->kind_pauses[kind] = text;
	} else {
		st = store_project_ref(s, scope, project, &p);
		if (!status_is_ok(&st))
			return st;
		p->pause = text;
	}
	store_remember(s, scope, "");
	new_turn(s);
	return st;
}

struct status store_pause(struct store *s, const struct db_scope *scope, const char *project,
	enum job_kind kind, const char *reason)
{
	return put_pause(s, scope, project, kind, reason);
}

struct status store_resume(struct store *s, const struct db_scope *scope, const char *project,
	enum job_kind kind)
{
	return put_pause(s, scope, project, kind, NULL);
}
