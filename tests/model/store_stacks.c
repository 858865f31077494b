/* Stacks as callers see and change them: what db/stacks.h says. */
#include "store.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

#define WAITING_MAX 100 /* jobs of a stack */

/* ---- reading ---- */

struct status store_stack_ref(struct store *s, const struct db_scope *scope,
	const struct db_stack_ref *r, struct store_stack **ret_stack)
{
	struct store_project *p = NULL;
	if (r->id[0]) {
		struct store_stack *t = store_stack_find(s, r->id);
		if (!t || (scope->project_id[0] &&
				  strcmp(scope->project_id, t->row.project_id.text) != 0))
			return status_err(ST_NOT_FOUND, "stack \"%s\" does not exist", r->id);
		*ret_stack = t;
		return status_ok();
	}
	struct status st = store_project_ref(s, scope, r->project, &p);
	for (size_t i = 0; status_is_ok(&st) && i < s->n_stacks; i++) {
		struct store_stack *t = s->stacks[i];
		if (strcmp(t->row.project_id.text, p->row.id.text) == 0 &&
			strcmp(t->row.name, r->name) == 0) {
			*ret_stack = t;
			return st;
		}
	}
	if (status_is_ok(&st))
		st = status_err(ST_NOT_FOUND, "stack \"%s\" does not exist in project \"%s\"",
			r->name, p->row.name);
	return st;
}

struct db_stack store_stack_row(struct store *s, const struct store_stack *t)
{
	struct db_stack c = t->row;
	const struct store_release *a = store_release_find(s, c.active_deployment_id.text);
	const struct store_project *p = store_project_find(s, c.project_id.text);
	c.active_number = a ? a->row.number : 0;
	c.repairs_drift = p->row.drift_policy == DRIFT_REPAIR;
	c.services_total = (int)c.n_services;
	c.services_running = 0;
	for (size_t i = 0; i < c.n_services; i++)
		c.services_running += c.services[i].state == SERVICE_RUNNING ||
				      c.services[i].state == SERVICE_COMPLETED;
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct store_job *j = s->jobs[i];
		c.at_work |= store_is_of(j, t) &&
			     (j->row.state == JOB_RUNNING ||
				     (j->row.state == JOB_PENDING && j->row.step[0]));
	}
	return c;
}

struct db_release store_release_row(struct store *s, const struct store_release *r)
{
	struct db_release c = r->row;
	const struct store_job *j = store_job_find(s, c.job_id.text);
	struct str error = str_of(j ? j->row.error : "");
	c.message = c.state == RELEASE_FAILED ? str_dup(s->arena, str_cut(&error, '\n')) : "";
	c.source = r->source;
	c.rendered = r->has_rendered ? r->rendered : STR("");
	return c;
}

struct status store_stack_list(struct store *s, struct arena *a, const struct db_scope *scope, const char *project,
	const struct db_page *page, struct db_stack **ret_list, size_t *ret_n, bool *ret_more)
{
	struct store_project *p;
	struct status st = store_project_or_all(s, scope, project, &p);
	if (!status_is_ok(&st))
		return st;
	size_t n = 0;
	*ret_list = arena_array(a, struct db_stack, s->n_stacks + 1);
	for (size_t i = s->n_stacks; i-- > 0;) {
		const struct db_stack *r = &s->stacks[i]->row;
		if ((p && strcmp(r->project_id.text, p->row.id.text) != 0) || !store_on_page(page, &r->id))
			continue;
		(*ret_list)[n] = store_stack_row(s, s->stacks[i]);
		(*ret_list)[n++].n_services = 0; /* they are counted alone */
	}
	*ret_more = n > page->size;
	*ret_n = *ret_more ? page->size : n;
	return status_ok();
}

struct status store_release_list(struct store *s, struct arena *a, const struct db_scope *scope, const struct db_stack_ref *ref,
	const struct db_page *page, struct db_release **ret_list, size_t *ret_n, bool *ret_more)
{
	struct store_stack *t;
	struct status st = store_stack_ref(s, scope, ref, &t);
	if (!status_is_ok(&st))
		return st;
	size_t n = 0;
	*ret_list = arena_array(a, struct db_release, s->n_releases + 1);
	for (size_t i = s->n_releases; i-- > 0;) {
		const struct store_release *r = s->releases[i];
		if (strcmp(r->row.stack_id.text, t->row.id.text) != 0 || !store_on_page(page, &r->row.id))
			continue;
		(*ret_list)[n] = store_release_row(s, r);
		(*ret_list)[n].source = (*ret_list)[n].rendered = STR("");
		n++;
	}
	*ret_more = n > page->size;
	*ret_n = *ret_more ? page->size : n;
	return st;
}

/* ---- making jobs ---- */

static struct store_job *job_add(struct store *s, const struct store_project *p, enum job_kind kind,
	const char *params, int max_attempts)
{
	struct store_job *j = arena_new(s->arena, struct store_job);
	int64_t now = store_now_us(s);
	j->row = (struct db_job){.id = store_id(s),
		.project_id = p->row.id,
		.project = p->row.name,
		.stack = "",
		.kind = kind,
		.state = JOB_PENDING,
		.params = str_of(arena_strdup(s->arena, params[0] ? params : "{}")),
		.max_attempts = max_attempts < 1 ? 1 : max_attempts,
		.step = "",
		.message = "",
		.error = "",
		.error_code = "",
		.owner = "",
		.failures = STR("[]"),
		.attempts = STR("[]"),
		.created_us = now,
		.run_us = now};
	j->created_by = "";
	s->jobs = mem_realloc_array(s->jobs, sizeof(*s->jobs), s->n_jobs + 1);
	s->jobs[s->n_jobs++] = j;
	return j;
}

struct store_job *store_job_add(struct store *s, const struct store_project *p, enum job_kind kind,
	const char *params, int max_attempts)
{
	struct store_job *j = job_add(s, p, kind, params, max_attempts);
	store_job_event(s, j, "job.created", job_kind_name(kind));
	store_tell_ready(s, j);
	return j;
}

struct store_job *store_stack_job_add(struct store *s, struct store_stack *t, enum job_kind kind,
	const char *params, int max_attempts, const char *created_by, struct store_release *r)
{
	const struct store_project *p = store_project_find(s, t->row.project_id.text);
	struct store_job *j = job_add(s, p, kind, params, max_attempts);
	j->row.stack_id = t->row.id;
	j->row.stack = t->row.name;
	j->created_by = arena_strdup(s->arena, created_by);
	if (r) {
		j->row.deployment_id = r->row.id;
		j->row.release_number = r->row.number;
	}
	return j;
}

/* Its first event, and everybody is told. */
void store_created(struct store *s, struct store_job *j)
{
	struct store_stack *t = store_stack_find(s, j->row.stack_id.text);
	const struct store_release *r = store_release_find(s, j->row.deployment_id.text);
	const char *text = job_kind_name(j->row.kind);
	if (j->row.kind == JOB_ROLLBACK)
		text = arena_fmt(s->arena, "rollback to release %lld, as release %lld",
			(long long)r->row.rolled_back_to, (long long)r->row.number);
	else if (j->row.release_number > 0)
		text = arena_fmt(s->arena, "%s of release %lld", text,
			(long long)j->row.release_number);
	t->row.last_job_id = j->row.id;
	store_event(s, j,
		&(struct db_event){.kind = "job.created",
			.state = job_state_name(j->row.state),
			.message = text});
	store_tell_ready(s, j);
}

static void supersede_one(struct store *s, struct store_job *o, const char *why)
{
	if (o->row.step[0]) { /* it takes back what it began */
		o->row.cancel_requested = true;
		if (o->row.run_us > store_now_us(s))
			o->row.run_us = store_now_us(s);
		store_job_event(s, o, "job.cancel_requested", why);
		return;
	}
	o->row.error = why;
	o->row.error_code = "ABORTED";
	store_put_state(s, o, JOB_CANCELLED);
	struct store_release *r = store_release_find(s, o->row.deployment_id.text);
	if (r && r->row.state == RELEASE_PENDING) {
		r->row.state = RELEASE_FAILED;
		r->row.finished_us = store_now_us(s);
	}
	store_job_event(s, o, "job.ended", why);
}

/* What waits and would only be done over. */
static void supersede(struct store *s, const struct store_job *n)
{
	const char *why = arena_fmt(s->arena, "superseded by job %s", n->row.id.text);
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct store_job *o = s->jobs[i];
		enum job_kind k = o->row.kind;
		bool done_over = k == JOB_DEPLOY || k == JOB_UPDATE || k == JOB_ROLLBACK ||
				 (k != JOB_REMOVE && n->row.kind == JOB_REMOVE);
		if (o != n && o->row.state == JOB_PENDING && done_over &&
			strcmp(o->row.stack_id.text, n->row.stack_id.text) == 0 &&
			!(o->row.step[0] && o->row.cancel_requested))
			supersede_one(s, o, why);
	}
}

/* ---- names ---- */

static bool is_name(const char *text, size_t most)
{
	size_t n = strlen(text);
	struct uuid id;
	if (n == 0 || n > most || uuid_parse(text, &id))
		return false;
	for (size_t i = 0; i < n; i++) {
		bool inner = i > 0 && i < n - 1;
		char c = text[i];
		if (!(islower((unsigned char)c) || isdigit((unsigned char)c)) &&
			!(inner && (c == '-' || c == '_')))
			return false;
	}
	return true;
}

static bool starts_with_name(const char *text, const char *name)
{
	size_t n = strlen(name);
	return strncmp(text, name, n) == 0 && text[n] == '_';
}

static struct status check_namespace(struct store *s, const struct store_project *p,
	const struct store_stack *has, const char *wish, const char *name)
{
	if (has && (!wish[0] || strcmp(wish, has->row.namespace_) == 0))
		return status_ok();
	if (has)
		return status_err(ST_FAILED_PRECONDITION, "stack \"%s\" has the namespace \"%s\"",
			has->row.name, has->row.namespace_);
	if (strlen(name) > 63)
		return status_err(ST_INVALID_ARGUMENT, "namespace \"%s\" is too long", name);
	for (size_t i = 0; i < s->n_stacks; i++) {
		const struct db_stack *o = &s->stacks[i]->row;
		bool foreign = strcmp(o->project_id.text, p->row.id.text) != 0;
		if (strcmp(o->namespace_, name) == 0 ||
			(foreign && (starts_with_name(o->namespace_, name) ||
					    starts_with_name(name, o->namespace_))))
			return status_err(ST_ALREADY_EXISTS, "namespace \"%s\" is taken", name);
	}
	return status_ok();
}

static struct store_stack *stack_of(
	struct store *s, const struct store_project *p, const char *name)
{
	for (size_t i = 0; i < s->n_stacks; i++)
		if (strcmp(s->stacks[i]->row.project_id.text, p->row.id.text) == 0 &&
			strcmp(s->stacks[i]->row.name, name) == 0)
			return s->stacks[i];
	return NULL;
}

static const char *namespace_of(struct store *s, const struct store_project *p, const char *name,
	const char *wish)
{
	return wish && wish[0] ? wish : arena_fmt(s->arena, "%s-%s", p->row.name, name);
}

struct status store_check_namespace(struct store *s, const struct db_scope *scope,
	const char *project, const char *name, const char *namespace_)
{
	struct store_project *p;
	struct status st = store_project_ref(s, scope, project, &p);
	if (!status_is_ok(&st))
		return st;
	return check_namespace(s, p, stack_of(s, p, name), namespace_,
		namespace_of(s, p, name, namespace_));
}

bool store_reserved(const struct store *s, const char *project_id, const char *namespace_,
	const char *name, const char **ret_stack)
{
	bool found = false;
	for (size_t i = 0; i < s->n_stacks; i++) {
		const struct db_stack *o = &s->stacks[i]->row;
		if (strcmp(o->namespace_, namespace_) == 0 || !starts_with_name(name, o->namespace_))
			continue;
		bool foreign = strcmp(o->project_id.text, project_id) != 0;
		if (!found || foreign)
			*ret_stack = foreign ? "" : o->name;
		found = true;
	}
	return found;
}

/* ---- deploy ---- */

static struct store_stack *stack_add(struct store *s, const struct store_project *p,
	const char *name, const char *namespace_, bool adopted)
{
	struct store_stack *t = arena_new(s->arena, struct store_stack);
	t->row = (struct db_stack){.id = store_id(s),
		.project_id = p->row.id,
		.project = p->row.name,
		.name = arena_strdup(s->arena, name),
		.namespace_ = arena_strdup(s->arena, namespace_),
		.status_message = "",
		.unfinished = "",
		.status = STACK_PENDING,
		.adopted = adopted,
		.created_us = store_now_us(s),
		.updated_us = store_now_us(s)};
	t->set_us = store_now_us(s);
	t->drifted = "";
	s->stacks = mem_realloc_array(s->stacks, sizeof(*s->stacks), s->n_stacks + 1);
	s->stacks[s->n_stacks++] = t;
	return t;
}

static struct store_release *release_add(struct store *s, const struct store_stack *t,
	enum failure_policy policy, int stall_seconds, const char *actor)
{
	struct store_release *r = arena_new(s->arena, struct store_release);
	int64_t number = 0;
	for (size_t i = 0; i < s->n_releases; i++)
		if (strcmp(s->releases[i]->row.stack_id.text, t->row.id.text) == 0 &&
			s->releases[i]->row.number > number)
			number = s->releases[i]->row.number;
	r->row = (struct db_release){.id = store_id(s),
		.stack_id = t->row.id,
		.project_id = t->row.project_id,
		.number = number + 1,
		.state = RELEASE_PENDING,
		.on_failure = policy ? policy : ON_FAILURE_ROLLBACK,
		.stall_seconds = stall_seconds,
		.message = "",
		.created_by = arena_strdup(s->arena, actor),
		.created_us = store_now_us(s)};
	s->releases = mem_realloc_array(s->releases, sizeof(*s->releases), s->n_releases + 1);
	s->releases[s->n_releases++] = r;
	return r;
}

static const char *const *copy_texts(struct arena *a, const char *const *texts, size_t n)
{
	const char **copy = arena_array(a, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, texts[i]);
	return copy;
}

static struct store_job *release_job_add(struct store *s, struct store_stack *t, enum job_kind kind,
	const char *params, int max_attempts, const char *actor, struct store_release *r)
{
	struct store_job *j =
		store_stack_job_add(s, t, kind, params, max_attempts, actor, r);
	r->row.job_id = j->row.id;
	supersede(s, j);
	return j;
}

static struct status answered(struct store *s, const struct db_scope *scope,
	const struct status *st, const struct uuid *id, struct store_job **ret_job)
{
	return status_is_ok(st) ? store_job_get(s, scope, id->text, ret_job) : *st;
}

static struct status may_deploy(struct store *s, struct store_project *p,
	const struct store_stack *has, const struct db_stack_deploy *d)
{
	const char *wish = d->namespace_ ? d->namespace_ : "";
	const char *name = namespace_of(s, p, d->name, wish);
	struct status st = store_admit(s, p);
	if (status_is_ok(&st))
		st = check_namespace(s, p, has, wish, name);
	if (!status_is_ok(&st))
		return st;
	if (has && d->adopt && !(has->row.adopted && !has->row.active_deployment_id.text[0]))
		return status_err(ST_ALREADY_EXISTS, "stack \"%s\" exists already", d->name);
	if (!has && (!is_name(d->name, 40) || !is_name(name, 63)))
		return status_err(ST_INVALID_ARGUMENT, "\"%s\" is no name of a stack", d->name);
	return st;
}

struct status store_deploy(struct store *s, const struct db_scope *scope,
	const struct db_stack_deploy *d, struct store_job **ret_job)
{
	struct store_project *p;
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return answered(s, scope, &st, &old, ret_job);
	st = store_project_ref(s, scope, d->project, &p);
	if (!status_is_ok(&st))
		return st;
	struct store_stack *t = stack_of(s, p, d->name);
	int64_t gate = p->gate_us;
	st = may_deploy(s, p, t, d);
	if (!status_is_ok(&st)) {
		p->gate_us = gate; /* it is one transaction */
		return st;
	}
	if (!t)
		t = stack_add(s, p, d->name, namespace_of(s, p, d->name, d->namespace_), d->adopt);
	struct store_release *r =
		release_add(s, t, d->on_failure, d->stall_seconds, scope->actor);
	r->source = (struct str){str_dup(s->arena, d->source), d->source.len};
	r->row.images = copy_texts(s->arena, d->images, d->n_images);
	r->row.n_images = d->n_images;
	enum job_kind kind = d->adopt                               ? JOB_ADOPT
			     : t->row.active_deployment_id.text[0] ? JOB_UPDATE
								    : JOB_DEPLOY;
	struct store_job *j = release_job_add(s, t, kind, str_dup(s->arena, d->params),
		d->max_attempts, scope->actor, r);
	j->row.warnings = copy_texts(s->arena, d->warnings, d->n_warnings);
	j->row.n_warnings = d->n_warnings;
	store_created(s, j);
	store_remember(s, scope, j->row.id.text);
	*ret_job = j;
	return st;
}

/* ---- rollback, submit ---- */

/* Of the jobs that make or remove services, the last one that has not ended decides. */
static struct status need_release(struct store *s, const struct store_stack *t)
{
	for (size_t i = s->n_jobs; i-- > 0;) {
		const struct store_job *j = s->jobs[i];
		enum job_kind k = j->row.kind;
		if (!store_is_of(j, t) || job_state_is_end(j->row.state))
			continue;
		if (k == JOB_REMOVE)
			return status_err(ST_FAILED_PRECONDITION, "it is being removed");
		if (k == JOB_DEPLOY || k == JOB_UPDATE || k == JOB_ADOPT || k == JOB_ROLLBACK)
			return status_ok();
	}
	return t->row.active_deployment_id.text[0]
		       ? status_ok()
		       : status_err(ST_FAILED_PRECONDITION, "it has no release that runs");
}

static struct status need_room(struct store *s, const struct store_stack *t)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++)
		n += store_is_of(s->jobs[i], t) && s->jobs[i]->row.state == JOB_PENDING;
	return n < WAITING_MAX ? status_ok()
			       : status_err(ST_RESOURCE_EXHAUSTED, "%zu jobs wait already", n);
}

static bool has_deploy(struct store *s, const struct store_stack *t)
{
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct db_job *r = &s->jobs[i]->row;
		if (store_is_of(s->jobs[i], t) && !job_state_is_end(r->state) &&
			(r->kind == JOB_DEPLOY || r->kind == JOB_UPDATE || r->kind == JOB_ROLLBACK))
			return true;
	}
	return false;
}

/* The last good one before what is there now. */
static struct store_release *good_before(struct store *s, const struct store_stack *t)
{
	struct store_release *a = store_release_find(s, t->row.active_deployment_id.text);
	struct store_release *best = NULL;
	if (a && t->row.unfinished[0])
		return a;
	int64_t before = !a ? 0 : a->row.rolled_back_to ? a->row.rolled_back_to : a->row.number;
	for (size_t i = 0; i < s->n_releases; i++) {
		struct store_release *r = s->releases[i];
		if (strcmp(r->row.stack_id.text, t->row.id.text) == 0 && r->has_rendered &&
			r->row.state == RELEASE_SUPERSEDED && r->row.number < before &&
			(!best || r->row.number > best->row.number))
			best = r;
	}
	return best;
}

static struct status rollback_target(struct store *s, const struct store_stack *t, int64_t want,
	struct store_release **ret_release)
{
	struct store_release *r = NULL;
	if (want == 0 && has_deploy(s, t))
		return status_err(ST_FAILED_PRECONDITION, "a deploy has not ended");
	if (want == 0)
		r = good_before(s, t);
	for (size_t i = 0; want && i < s->n_releases; i++)
		if (strcmp(s->releases[i]->row.stack_id.text, t->row.id.text) == 0 &&
			s->releases[i]->row.number == want)
			r = s->releases[i];
	if (!r)
		return status_err(want ? ST_NOT_FOUND : ST_FAILED_PRECONDITION, "no release");
	if (want && r->row.state != RELEASE_ACTIVE && r->row.state != RELEASE_SUPERSEDED)
		return status_err(ST_FAILED_PRECONDITION, "it never ran");
	if (!r->has_rendered)
		return status_err(ST_FAILED_PRECONDITION, "what it sent is not known");
	*ret_release = r;
	return status_ok();
}

/* A submission about a stack: what `check` says, the rate, the room. */
static struct status may_submit(struct store *s, struct store_stack *t,
	struct status (*check)(struct store *s, struct store_stack *t, const void *q), const void *q)
{
	struct store_project *p = store_project_find(s, t->row.project_id.text);
	int64_t gate = p->gate_us;
	struct status st = store_admit(s, p);
	if (status_is_ok(&st))
		st = check(s, t, q);
	if (!status_is_ok(&st))
		p->gate_us = gate;
	return st;
}

static struct status check_rollback(struct store *s, struct store_stack *t, const void *q)
{
	const struct db_stack_rollback *r = q;
	struct store_release *target;
	struct status st = need_release(s, t);
	if (status_is_ok(&st))
		st = rollback_target(s, t, r->to, &target);
	return st;
}

struct status store_rollback(struct store *s, const struct db_scope *scope,
	const struct db_stack_rollback *q, struct store_job **ret_job)
{
	struct store_stack *t;
	struct store_release *to = NULL;
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return answered(s, scope, &st, &old, ret_job);
	st = store_stack_ref(s, scope, &q->stack, &t);
	if (status_is_ok(&st))
		st = may_submit(s, t, check_rollback, q);
	if (status_is_ok(&st))
		st = rollback_target(s, t, q->to, &to);
	if (!status_is_ok(&st))
		return st;
	struct store_release *r =
		release_add(s, t, q->on_failure, q->stall_seconds, scope->actor);
	r->source = to->source;
	r->rendered = to->rendered;
	r->has_rendered = true;
	r->objects = to->objects;
	r->n_objects = to->n_objects;
	r->row.images = to->row.images;
	r->row.n_images = to->row.n_images;
	r->row.rolled_back_to = to->row.rolled_back_to ? to->row.rolled_back_to : to->row.number;
	*ret_job = release_job_add(s, t, JOB_ROLLBACK, "{}", q->max_attempts, scope->actor, r);
	store_created(s, *ret_job);
	store_remember(s, scope, (*ret_job)->row.id.text);
	return st;
}

static struct status need_service(
	const struct store_stack *t, const char *name, enum job_kind kind)
{
	for (size_t i = 0; i < t->row.n_services; i++) {
		const struct db_service *v = &t->row.services[i];
		if (strcmp(v->service, name) != 0)
			continue;
		return kind == JOB_SCALE && strncmp(v->mode, "global", 6) == 0
			       ? status_err(ST_FAILED_PRECONDITION, "it cannot be scaled")
			       : status_ok();
	}
	return status_err(ST_NOT_FOUND, "service \"%s\" is not in stack \"%s\"", name, t->row.name);
}

struct status store_need_services(struct store *s, const struct store_stack *t, const struct db_stack_job *q)
{
	for (size_t i = 0; i < s->n_jobs; i++) { /* the job itself looks */
		const struct db_job *r = &s->jobs[i]->row;
		if (store_is_of(s->jobs[i], t) && !job_state_is_end(r->state) &&
			r->kind != JOB_SCALE && r->kind != JOB_RESTART)
			return status_ok();
	}
	json_t *params, *value;
	const char *key;
	size_t i;
	struct status st = json_parse(q->params.len ? q->params : STR("{}"), &params);
	if (!status_is_ok(&st))
		return st;
	json_object_foreach(json_object_get(params, "replicas"), key, value)
	{
		if (status_is_ok(&st))
			st = need_service(t, key, q->kind);
	}
	json_array_foreach(json_object_get(params, "services"), i, value)
	{
		if (status_is_ok(&st))
			st = need_service(t, json_string_value(value), q->kind);
	}
	json_decref(params);
	return st;
}

static struct status check_submit(struct store *s, struct store_stack *t, const void *query)
{
	const struct db_stack_job *q = query;
	struct status st = status_ok();
	if (q->kind != JOB_REMOVE)
		st = need_release(s, t);
	if (status_is_ok(&st) && (q->kind == JOB_SCALE || q->kind == JOB_RESTART))
		st = store_need_services(s, t, q);
	if (status_is_ok(&st) && q->kind != JOB_REMOVE) /* which makes room */
		st = need_room(s, t);
	return st;
}

struct status store_submit(struct store *s, const struct db_scope *scope,
	const struct db_stack_job *q, struct store_job **ret_job)
{
	struct store_stack *t;
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return answered(s, scope, &st, &old, ret_job);
	st = store_stack_ref(s, scope, &q->stack, &t);
	if (status_is_ok(&st))
		st = may_submit(s, t, check_submit, q);
	if (!status_is_ok(&st))
		return st;
	struct store_job *j = store_stack_job_add(s, t, q->kind, str_dup(s->arena, q->params),
		q->max_attempts, scope->actor, NULL);
	if (q->kind == JOB_REMOVE)
		supersede(s, j);
	store_created(s, j);
	store_remember(s, scope, j->row.id.text);
	*ret_job = j;
	return st;
}

/* It would overtake, or undo, what is under way. */
static struct status check_redeploy(struct store *s, struct store_stack *t, const void *query)
{
	(void)query;
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct db_job *r = &s->jobs[i]->row;
		if (store_is_of(s->jobs[i], t) && !job_state_is_end(r->state) && r->kind != JOB_SCALE && r->kind != JOB_RESTART)
			return status_err(ST_FAILED_PRECONDITION, "a job has not ended");
	}
	if (!t->row.active_deployment_id.text[0])
		return status_err(ST_FAILED_PRECONDITION, "it has no release that runs");
	return need_room(s, t);
}

struct status store_redeploy(struct store *s, const struct db_scope *scope, const struct db_stack_ref *ref, int max_attempts,
	struct store_job **ret_job)
{
	struct store_stack *t;
	struct status st = store_stack_ref(s, scope, ref, &t);
	if (status_is_ok(&st))
		st = may_submit(s, t, check_redeploy, NULL);
	if (!status_is_ok(&st))
		return st;
	const struct store_release *active = store_release_find(s, t->row.active_deployment_id.text);
	struct store_release *r = release_add(s, t, active->row.on_failure, active->row.stall_seconds, scope->actor);
	r->source = active->source;
	r->row.images = active->row.images;
	r->row.n_images = active->row.n_images;
	*ret_job = release_job_add(s, t, JOB_UPDATE, "{\"resolve_image\":\"always\"}", max_attempts, scope->actor, r);
	store_created(s, *ret_job);
	return st;
}
