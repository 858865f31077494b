#include "fake_db.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "stacks/release.h"

#define DEADLINE_MS 5000

/* ---- the store ---- */

static struct uuid id_of(unsigned kind, size_t n)
{
	struct uuid id;
	(void)snprintf(id.text, sizeof(id.text), "00000000-0000-7000-8000-%04u%08zu", kind, n);
	return id;
}

struct store *store_create(struct loop *l)
{
	struct store *s = mem_new(struct store);
	s->loop = l;
	s->arena = arena_create();
	s->project_id = id_of(1, 1);
	return s;
}

void store_destroy(struct store *s)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		buf_finish(&s->jobs[i].events);
	for (size_t i = 0; i < s->n_releases; i++) {
		buf_finish(&s->releases[i].source);
		buf_finish(&s->releases[i].rendered);
	}
	arena_destroy(s->arena);
	free(s);
}

struct store_release *store_release_find(struct store *s, const char *id)
{
	for (size_t i = 0; i < s->n_releases; i++)
		if (strcmp(s->releases[i].row.id.text, id) == 0)
			return &s->releases[i];
	return NULL;
}

int64_t store_active(const struct store *s)
{
	return s->has_stack && s->stack.active_deployment_id.text[0] ? s->stack.active_number : 0;
}

struct store_job *store_job_find(struct store *s, const char *id)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		if (strcmp(s->jobs[i].row.id.text, id) == 0)
			return &s->jobs[i];
	return NULL;
}

static void stack_make(struct store *s)
{
	if (s->has_stack)
		return;
	s->has_stack = true;
	s->stack = (struct db_stack){.id = id_of(2, 1),
		.project_id = s->project_id,
		.project = "acme",
		.name = "shop",
		.namespace_ = "acme-shop",
		.status_message = s->status_message,
		.unfinished = s->unfinished,
		.status = STACK_PENDING};
}

struct store_job *store_job_add(
	struct store *s, enum job_kind kind, const char *params, int max_attempts)
{
	struct store_job *j = &s->jobs[s->n_jobs++];
	j->row = (struct db_job){.id = id_of(3, s->n_jobs),
		.project_id = s->project_id,
		.stack_id = s->stack.id,
		.project = "acme",
		.stack = "shop",
		.kind = kind,
		.state = JOB_PENDING,
		.max_attempts = max_attempts,
		.step = j->step,
		.message = j->message,
		.error = j->error,
		.error_code = j->error_code,
		.owner = j->owner};
	(void)snprintf(j->params, sizeof(j->params), "%s", params);
	j->row.params = str_of(j->params);
	return j;
}

/* A release, and its job. */
static struct store_job *release_add(struct store *s, enum job_kind kind,
	enum failure_policy policy, int max_attempts, struct store_release **ret_release)
{
	struct store_release *r = &s->releases[s->n_releases++];
	struct store_job *j = store_job_add(s, kind, "{}", max_attempts);
	r->row = (struct db_release){.id = id_of(4, s->n_releases),
		.stack_id = s->stack.id,
		.project_id = s->project_id,
		.job_id = j->row.id,
		.number = (int64_t)s->n_releases,
		.state = RELEASE_PENDING,
		.on_failure = policy,
		.message = "",
		.created_by = "test"};
	j->row.deployment_id = r->row.id;
	j->row.release_number = r->row.number;
	*ret_release = r;
	return j;
}

struct store_job *store_deploy(
	struct store *s, const char *compose, enum failure_policy policy, int max_attempts)
{
	struct arena *a = arena_create();
	struct compose_text text = {"compose.yml", str_of(compose)};
	const struct release_upload u = {.texts = &text, .n_texts = 1};
	struct store_release *r;
	stack_make(s);
	struct store_job *j = release_add(
		s, store_active(s) ? JOB_UPDATE : JOB_DEPLOY, policy, max_attempts, &r);
	buf_add_str(&r->source, release_source_encode(a, &u));
	arena_destroy(a);
	return j;
}

struct store_job *store_adopt(struct store *s, int max_attempts)
{
	struct store_job *j = store_deploy(s, "", ON_FAILURE_ROLLBACK, max_attempts);
	s->stack.adopted = true;
	j->row.kind = JOB_ADOPT;
	return j;
}

struct store_job *store_rollback(
	struct store *s, int64_t to, enum failure_policy policy, int max_attempts)
{
	struct store_release *r, *old = &s->releases[to - 1];
	struct store_job *j = release_add(s, JOB_ROLLBACK, policy, max_attempts, &r);
	r->row.rolled_back_to = to;
	buf_add_str(&r->source, buf_str(&old->source));
	buf_add_str(&r->rendered, buf_str(&old->rendered));
	return j;
}

struct store_job *store_submit(
	struct store *s, enum job_kind kind, const char *params, int max_attempts)
{
	return store_job_add(s, kind, params, max_attempts);
}

void store_cancel(struct store *s, struct store_job *j)
{
	if (j->row.state == JOB_PENDING && !j->step[0]) {
		j->row.state = JOB_CANCELLED;
		(void)snprintf(j->error, sizeof(j->error), "cancelled");
		(void)snprintf(j->error_code, sizeof(j->error_code), "CANCELLED");
		struct store_release *r = store_release_find(s, j->row.deployment_id.text);
		if (r && r->row.state == RELEASE_PENDING)
			r->row.state = RELEASE_FAILED;
		j->ends++;
	} else if (j->row.state <= JOB_RUNNING) {
		j->row.cancel_requested = true;
		j->run_ms = 0;
	}
}

/* ---- calls ---- */

struct store_args *store_args(struct fake_call *c)
{
	return c->args;
}

struct fake_call *store_call(struct db *db, db_done done, void *data)
{
	struct fake_db *d = container_of(db, struct fake_db, base);
	struct fake_call *c = fake_call_new(&d->front);
	struct store_args *g = arena_new(c->arena, struct store_args);
	g->store = d->store;
	c->args = g;
	c->done = (void (*)(void))done;
	c->data = data;
	return c;
}

void store_deliver_done(struct fake_call *c, const struct status *st)
{
	((db_done)c->done)(c->data, st);
}

struct status store_fence(struct store *s, const char *job_id, int epoch)
{
	const struct store_job *j = store_job_find(s, job_id);
	if (j && j->row.state == JOB_RUNNING && j->row.epoch == epoch)
		return status_ok();
	s->fenced++;
	return status_err(ST_ABORTED, "job %s is no longer run under epoch %d", job_id, epoch);
}

static struct db_call *handle(struct fake_call *c)
{
	return (struct db_call *)(void *)c;
}

/* ---- stacks ---- */

static struct status get_effect(struct fake_call *c)
{
	struct store *s = store_args(c)->store;
	if (!s->has_stack)
		return status_err(ST_NOT_FOUND, "stack does not exist");
	c->result = arena_memdup(c->arena, &s->stack, sizeof(s->stack));
	return status_ok();
}

static void deliver_stack(struct fake_call *c, const struct status *st)
{
	((db_stack_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *stack_get(struct db *db, const struct db_scope *scope,
	const struct db_stack_ref *r, db_stack_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	(void)scope;
	(void)r;
	fake_call_start(c, 0, get_effect, deliver_stack, "stack_get");
	return handle(c);
}

static struct status load_effect(struct fake_call *c)
{
	struct store_release *r = store_release_find(store_args(c)->store, store_args(c)->id);
	if (!r)
		return status_err(ST_NOT_FOUND, "release does not exist");
	struct db_release *copy = arena_memdup(c->arena, &r->row, sizeof(r->row));
	copy->source = str_of(arena_strndup(c->arena, buf_str(&r->source).ptr, r->source.len));
	copy->rendered =
		str_of(arena_strndup(c->arena, buf_str(&r->rendered).ptr, r->rendered.len));
	c->result = copy;
	return status_ok();
}

static void deliver_release(struct fake_call *c, const struct status *st)
{
	((db_release_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *load_release(struct db *db, const char *project_id,
	const char *deployment_id, db_release_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	(void)project_id;
	store_args(c)->id = arena_strdup(c->arena, deployment_id);
	fake_call_start(c, 0, load_effect, deliver_release, "load_release");
	return handle(c);
}

static struct fake_call *fenced_call(struct db *db, const struct db_job *job,
	const char *deployment_id, db_done done, void *data)
{
	struct fake_call *c = store_call(db, done, data);
	struct store_args *g = store_args(c);
	g->owner = arena_strdup(c->arena, job->id.text);
	g->epoch = job->epoch;
	g->id = arena_strdup(c->arena, deployment_id);
	return c;
}

static struct status fence(struct fake_call *c)
{
	const struct store_args *g = store_args(c);
	return store_fence(g->store, g->owner, g->epoch);
}

static struct status store_source_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct status st = fence(c);
	struct store_release *r = store_release_find(g->store, g->id);
	if (status_is_ok(&st) && r) {
		r->source.len = 0;
		buf_add_str(&r->source, g->bytes);
	}
	return st;
}

static struct db_call *store_source(struct db *db, const struct db_job *job,
	const char *deployment_id, struct str source, db_done done, void *data)
{
	struct fake_call *c = fenced_call(db, job, deployment_id, done, data);
	store_args(c)->bytes = str_of(arena_strndup(c->arena, source.ptr, source.len));
	fake_call_start(c, 0, store_source_effect, store_deliver_done, "store_source");
	return handle(c);
}

static struct status store_rendered_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct status st = fence(c);
	struct store_release *r = store_release_find(g->store, g->id);
	if (status_is_ok(&st) && r) {
		r->rendered.len = 0;
		buf_add_str(&r->rendered, g->bytes);
		r->n_objects = g->n;
		for (size_t i = 0; i < g->n; i++)
			r->objects[i] = arena_strdup(g->store->arena, g->names[i]);
	}
	return st;
}

static struct db_call *store_rendered(struct db *db, const struct db_job *job,
	const char *deployment_id, const struct db_rendered *r, db_done done, void *data)
{
	struct fake_call *c = fenced_call(db, job, deployment_id, done, data);
	struct store_args *g = store_args(c);
	g->bytes = str_of(arena_strndup(c->arena, r->text.ptr, r->text.len));
	g->names = arena_array(c->arena, const char *, r->n_objects + 1);
	for (size_t i = 0; i < r->n_objects; i++)
		g->names[g->n++] = arena_strdup(c->arena, r->objects[i]);
	fake_call_start(c, 0, store_rendered_effect, store_deliver_done, "store_rendered");
	return handle(c);
}

static struct status good_effect(struct fake_call *c)
{
	struct store *s = store_args(c)->store;
	struct db_release_objects *list =
		arena_array(c->arena, struct db_release_objects, STORE_MAX);
	for (size_t i = s->n_releases; i-- > 0 && c->n < store_args(c)->limit;) {
		const struct store_release *r = &s->releases[i];
		if (r->row.state == RELEASE_ACTIVE || r->row.state == RELEASE_SUPERSEDED)
			list[c->n++] = (struct db_release_objects){
				r->row.number, r->objects, r->n_objects};
	}
	c->result = list;
	return status_ok();
}

static void deliver_good(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_release_objects_done)c->done)(
		c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static struct db_call *good_releases(struct db *db, const char *project_id, const char *stack_id,
	unsigned limit, db_release_objects_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	(void)project_id;
	(void)stack_id;
	store_args(c)->limit = limit;
	fake_call_start(c, 0, good_effect, deliver_good, "good_releases");
	return handle(c);
}

static void put_status(struct store *s, enum stack_status status, const char *message)
{
	s->stack.status = status;
	(void)snprintf(s->status_message, sizeof(s->status_message), "%s", message);
}

static struct status set_status_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct status st = fence(c);
	bool bad = g->status == STACK_DEGRADED || g->status == STACK_FAILED;
	if (!status_is_ok(&st))
		return st;
	put_status(g->store, g->status, g->message);
	(void)snprintf(g->store->unfinished, sizeof(g->store->unfinished), "%s",
		bad ? g->message : "");
	return st;
}

static struct db_call *set_status(struct db *db, const struct db_job *job, enum stack_status status,
	const char *message, db_done done, void *data)
{
	struct fake_call *c = fenced_call(db, job, "", done, data);
	store_args(c)->status = status;
	store_args(c)->message = arena_strdup(c->arena, message);
	fake_call_start(c, 0, set_status_effect, store_deliver_done, "set_status %s",
		stack_status_name(status));
	return handle(c);
}

static struct db_service *copy_services(
	struct arena *a, const struct db_service *services, size_t n)
{
	struct db_service *copy = arena_array(a, struct db_service, n + 1);
	for (size_t i = 0; i < n; i++) {
		copy[i] = services[i];
		copy[i].service = arena_strdup(a, services[i].service);
		copy[i].engine_id = arena_strdup(a, services[i].engine_id);
		copy[i].engine_name = arena_strdup(a, services[i].engine_name);
		copy[i].image = arena_strdup(a, services[i].image);
		copy[i].message = arena_strdup(a, services[i].message);
		copy[i].mode = arena_strdup(a, services[i].mode);
	}
	return copy;
}

static struct status activate_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct store *s = g->store;
	struct status st = fence(c);
	if (!status_is_ok(&st))
		return st;
	for (size_t i = 0; i < s->n_releases; i++)
		if (s->releases[i].row.state == RELEASE_ACTIVE)
			s->releases[i].row.state = RELEASE_SUPERSEDED;
	struct store_release *r = store_release_find(s, g->id);
	r->row.state = RELEASE_ACTIVE;
	s->stack.active_deployment_id = r->row.id;
	s->stack.active_number = r->row.number;
	s->stack.services = copy_services(s->arena, g->services, g->n);
	s->stack.n_services = g->n;
	put_status(s, STACK_RUNNING, "");
	s->unfinished[0] = '\0';
	return st;
}

static struct db_call *activate(struct db *db, const struct db_job *job, const char *deployment_id,
	const struct db_service *services, size_t n, db_done done, void *data)
{
	struct fake_call *c = fenced_call(db, job, deployment_id, done, data);
	store_args(c)->services = copy_services(c->arena, services, n);
	store_args(c)->n = n;
	fake_call_start(c, 0, activate_effect, store_deliver_done, "activate");
	return handle(c);
}

static struct status fail_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct status st = fence(c);
	struct store_release *r = store_release_find(g->store, g->id);
	if (status_is_ok(&st) && r && r->row.state == RELEASE_PENDING)
		r->row.state = RELEASE_FAILED;
	return st;
}

static struct db_call *fail_release(struct db *db, const struct db_job *job,
	const char *deployment_id, db_done done, void *data)
{
	struct fake_call *c = fenced_call(db, job, deployment_id, done, data);
	fake_call_start(c, 0, fail_effect, store_deliver_done, "fail_release");
	return handle(c);
}

/* The row goes, and with it the jobs' references to it. */
static struct status removed_effect(struct fake_call *c)
{
	struct store *s = store_args(c)->store;
	struct status st = fence(c);
	if (!status_is_ok(&st))
		return st;
	s->has_stack = false;
	s->stack = (struct db_stack){0};
	for (size_t i = 0; i < s->n_jobs; i++)
		s->jobs[i].row.stack_id = (struct uuid){""};
	return st;
}

static struct db_call *removed(struct db *db, const struct db_job *job, db_done done, void *data)
{
	struct fake_call *c = fenced_call(db, job, "", done, data);
	fake_call_start(c, 0, removed_effect, store_deliver_done, "removed");
	return handle(c);
}

static struct status networks_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct status st = fence(c);
	g->store->n_networks = status_is_ok(&st) ? g->n : g->store->n_networks;
	for (size_t i = 0; status_is_ok(&st) && i < g->n; i++)
		g->store->networks[i] = arena_strdup(g->store->arena, g->names[i]);
	return st;
}

static struct db_call *set_networks(struct db *db, const struct db_job *job,
	const char *const *names, const char *const *engine_names, size_t n, db_done done,
	void *data)
{
	struct fake_call *c = fenced_call(db, job, "", done, data);
	(void)names;
	store_args(c)->names = arena_array(c->arena, const char *, n + 1);
	store_args(c)->n = n;
	for (size_t i = 0; i < n; i++)
		store_args(c)->names[i] = arena_strdup(c->arena, engine_names[i]);
	fake_call_start(c, 0, networks_effect, store_deliver_done, "set_networks");
	return handle(c);
}

/* ---- the observer's ---- */

/* A job runs, or was handed back in the middle. */
static bool is_at_work(const struct store *s)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		if (s->jobs[i].row.state == JOB_RUNNING ||
			(s->jobs[i].row.state == JOB_PENDING && s->jobs[i].step[0]))
			return true;
	return false;
}

static struct status watched_effect(struct fake_call *c)
{
	struct store *s = store_args(c)->store;
	bool busy = s->stack.status == STACK_DEPLOYING || s->stack.status == STACK_REMOVING;
	c->n = s->has_stack &&
	       (s->stack.active_deployment_id.text[0] || s->stack.n_services || busy);
	struct db_stack *copy = arena_memdup(c->arena, &s->stack, sizeof(s->stack));
	copy->unfinished = c->n ? arena_strdup(c->arena, s->unfinished) : "";
	copy->at_work = is_at_work(s);
	copy->status_message = c->n ? arena_strdup(c->arena, s->status_message) : "";
	c->result = copy;
	return status_ok();
}

static void deliver_stacks(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_stacks_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0, false);
}

static struct db_call *watched(
	struct db *db, const char *after_id, unsigned limit, db_stacks_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	(void)after_id;
	(void)limit;
	fake_call_start(c, 0, watched_effect, deliver_stacks, "watched");
	return handle(c);
}

static bool is_busy(const struct store *s)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		if (s->jobs[i].row.state == JOB_RUNNING)
			return true;
	return false;
}

static struct status observe_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct store *s = g->store;
	s->stack.services = copy_services(s->arena, g->services, g->n);
	s->stack.n_services = g->n;
	s->observed++;
	(void)snprintf(s->drifted, sizeof(s->drifted), "%s", g->text);
	if (!is_busy(s))
		put_status(s, g->status, g->message);
	return status_ok();
}

static struct db_call *observe(struct db *db, const char *stack_id, enum stack_status status,
	const char *message, const char *drifted, const struct db_service *services, size_t n,
	db_done done, void *data)
{
	struct fake_call *c = store_call(db, done, data);
	(void)stack_id;
	store_args(c)->text = arena_strdup(c->arena, drifted);
	store_args(c)->status = status;
	store_args(c)->message = arena_strdup(c->arena, message);
	store_args(c)->services = copy_services(c->arena, services, n);
	store_args(c)->n = n;
	fake_call_start(
		c, 0, observe_effect, store_deliver_done, "observe %s", stack_status_name(status));
	return handle(c);
}

static struct status repair_effect(struct fake_call *c)
{
	const struct store_args *g = store_args(c);
	struct store *s = g->store;
	unsigned repairs = 0;
	s->repairs_asked++;
	for (size_t i = 0; i < s->n_jobs; i++) {
		repairs += s->jobs[i].repair;
		if (s->jobs[i].row.state <= JOB_RUNNING)
			return status_err(ST_FAILED_PRECONDITION, "a job is at work");
	}
	if (repairs >= g->limit)
		return status_err(ST_RESOURCE_EXHAUSTED, "repaired too often");
	struct store_job *j = store_job_add(s, JOB_UPDATE, "{}", 3);
	j->repair = true;
	j->row.deployment_id = s->stack.active_deployment_id;
	c->result = &j->row;
	return status_ok();
}

static void deliver_job(struct fake_call *c, const struct status *st)
{
	((db_job_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *repair(struct db *db, const char *stack_id, const char *deployment_id,
	const char *why, int max_an_hour, db_job_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	(void)stack_id;
	(void)deployment_id;
	(void)why;
	store_args(c)->limit = (unsigned)max_an_hour;
	fake_call_start(c, 0, repair_effect, deliver_job, "repair");
	return handle(c);
}

/* ---- registries ---- */

static struct status nothing_effect(struct fake_call *c)
{
	(void)c;
	return status_ok();
}

static void deliver_registries(struct fake_call *c, const struct status *st)
{
	const struct store *s = store_args(c)->store;
	bool ok = status_is_ok(st);
	((db_registries_done)c->done)(
		c->data, st, ok ? &s->registry : NULL, ok && s->registry.host ? 1 : 0, false);
}

static struct db_call *load_registries(
	struct db *db, const char *project_id, db_registries_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	(void)project_id;
	fake_call_start(c, 0, nothing_effect, deliver_registries, "registries_load");
	return handle(c);
}

static const struct db_registry_ops fake_registry_ops = {.load = load_registries};

const struct db_stack_ops fake_stack_ops = {
	.get = stack_get,
	.load_release = load_release,
	.store_source = store_source,
	.good_releases = good_releases,
	.store_rendered = store_rendered,
	.set_status = set_status,
	.activate = activate,
	.fail_release = fail_release,
	.removed = removed,
	.set_networks = set_networks,
	.watched = watched,
	.observe = observe,
	.repair = repair,
};

static void cancel(struct db *db, struct db_call *c)
{
	(void)db;
	fake_call_cancel((struct fake_call *)(void *)c);
}

void fake_db_init(struct fake_db *d, struct fake_script *s, struct store *store)
{
	*d = (struct fake_db){.base = {.stacks = &fake_stack_ops,
				      .registries = &fake_registry_ops,
				      .jobs = &fake_job_ops,
				      .cancel = cancel},
		.store = store};
	fake_front_init(&d->front, s, "db", DEADLINE_MS, ST_ABORTED);
	d->front.late_code = ST_UNAVAILABLE;
}
