/* Jobs and their events, as callers see them: db/jobs.h says what each operation does. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

#define RETRIES_MAX 500

/* ---- what the others need too ---- */

static const char *keep(struct arena *a, const char *text)
{
	return arena_strdup(a, text ? text : "");
}

struct db_job store_job_row(const struct store_job *j, struct arena *a)
{
	struct db_job c = j->row;
	c.project = keep(a, c.project);
	c.stack = keep(a, c.stack);
	c.step = keep(a, c.step);
	c.message = keep(a, c.message);
	c.error = keep(a, c.error);
	c.error_code = keep(a, c.error_code);
	c.owner = keep(a, c.owner);
	c.params.ptr = str_dup(a, c.params);
	c.failures.ptr = str_dup(a, c.failures);
	c.attempts = STR("[]");
	return c;
}

void store_job_drop(struct store_job *j)
{
	buf_finish(&j->events);
	free(j->log);
	free(j->attempts);
}

void store_event(struct store *s, struct store_job *j, const struct db_event *e)
{
	struct arena *a = s->arena;
	if (j->n_log == j->cap_log) {
		j->cap_log = j->cap_log ? 2 * j->cap_log : 32;
		j->log = mem_realloc_array(j->log, sizeof(*j->log), j->cap_log);
	}
	j->row.last_sequence++;
	struct db_event *c = &j->log[j->n_log++];
	*c = (struct db_event){.sequence = j->row.last_sequence,
		.time_us = store_now_us(s),
		.kind = keep(a, e->kind),
		.message = keep(a, e->message),
		.service = keep(a, e->service),
		.step = keep(a, e->step),
		.state = keep(a, e->state),
		.percent = e->percent,
		.running = e->running,
		.wanted = e->wanted};
	store_stream_add(s, j, c);
	buf_fmt(&j->events, "%s|%s|%s|%s|%d/%d|%d|%s\n", c->kind, c->service, c->step, c->state,
		c->running, c->wanted, c->percent, c->message);
	store_tell(s, "skep_events", j->row.id.text);
}

void store_job_event(struct store *s, struct store_job *j, const char *kind, const char *message)
{
	store_event(s, j,
		&(struct db_event){.kind = kind,
			.message = message,
			.state = job_state_name(j->row.state),
			.step = j->row.step,
			.percent = j->row.percent});
}

void store_attempt_add(
	struct store *s, struct store_job *j, const char *error, const char *error_code)
{
	j->attempts = mem_realloc_array(j->attempts, sizeof(*j->attempts), j->n_attempts + 1);
	j->attempts[j->n_attempts++] = (struct store_attempt){.epoch = j->row.epoch,
		.attempt = j->row.attempt,
		.owner = j->row.owner,
		.step = j->row.step,
		.error = keep(s->arena, error),
		.error_code = keep(s->arena, error_code),
		.started_us = j->claimed_us,
		.ended_us = store_now_us(s)};
}

void store_put_state(struct store *s, struct store_job *j, enum job_state state)
{
	enum job_state before = j->row.state;
	j->row.state = state;
	if (job_state_is_end(state)) {
		j->row.finished_us = store_now_us(s);
		j->ends++;
	}
	if (s->on_job)
		s->on_job(s->data, j, before);
}

bool store_is_blocked(const struct store *s, const struct store_job *j)
{
	for (size_t i = 0; j->row.stack_id.text[0] && i < s->n_jobs; i++) {
		const struct store_job *o = s->jobs[i];
		bool older = strcmp(o->row.id.text, j->row.id.text) < 0;
		if (strcmp(o->row.stack_id.text, j->row.stack_id.text) == 0 &&
			(o->row.state == JOB_RUNNING || (o->row.state == JOB_PENDING && older)))
			return true;
	}
	return false;
}

static void tell_job(struct store *s, const struct store_job *j)
{
	char text[2 * UUID_LEN + 2];
	(void)snprintf(text, sizeof(text), "%s %s", j->row.project_id.text, j->row.id.text);
	store_tell(s, "skep_jobs", text);
}

void store_tell_ready(struct store *s, const struct store_job *j)
{
	if (j->row.state == JOB_PENDING)
		tell_job(s, j);
}

/* The next of its stack, or else of its project: a cap may have held it back. */
void store_tell_waiting(struct store *s, const struct store_job *j)
{
	const struct store_job *next = NULL;
	for (size_t i = 0; i < s->n_jobs && !next; i++) {
		const struct store_job *o = s->jobs[i];
		if (o->row.state == JOB_PENDING && j->row.stack_id.text[0] &&
			strcmp(o->row.stack_id.text, j->row.stack_id.text) == 0)
			next = o;
	}
	for (size_t i = 0; i < s->n_jobs && !next; i++) {
		const struct store_job *o = s->jobs[i];
		if (o->row.state == JOB_PENDING && o->row.run_us <= store_now_us(s) &&
			strcmp(o->row.project_id.text, j->row.project_id.text) == 0)
			next = o;
	}
	if (next)
		tell_job(s, next);
}

/* ---- reading ---- */

static struct status find(struct store *s, const struct db_scope *scope, const char *id,
	struct store_job **ret_job)
{
	struct store_job *j = store_job_find(s, id);
	if (!j || !store_project_find(s, j->row.project_id.text) ||
		(scope->project_id[0] && strcmp(scope->project_id, j->row.project_id.text) != 0))
		return status_err(ST_NOT_FOUND, "job \"%s\" does not exist", id);
	*ret_job = j;
	return status_ok();
}

struct status store_job_get(struct store *s, const struct db_scope *scope, const char *id,
	struct store_job **ret_job)
{
	return find(s, scope, id, ret_job);
}

struct str store_attempts(const struct store_job *j, struct arena *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < j->n_attempts; i++) {
		const struct store_attempt *t = &j->attempts[i];
		json_array_append_new(list,
			json_pack("{s:i,s:i,s:s,s:s,s:s,s:s,s:I,s:I}", "epoch", t->epoch, "attempt", t->attempt, "daemon",
				t->owner, "step", t->step, "error", t->error, "error_code",
				t->error_code, "started_us", (json_int_t)t->started_us, "ended_us",
				(json_int_t)t->ended_us));
	}
	const char *text = json_to_text(a, list);
	json_decref(list);
	return str_of(text);
}

static bool is_listed(const struct store_job *j, const struct store_project *p,
	const struct db_job_filter *f, const struct db_page *page)
{
	const struct db_job *r = &j->row;
	if (p && strcmp(r->project_id.text, p->row.id.text) != 0)
		return false;
	if (f->stack[0] && strcmp(r->stack, f->stack) != 0 &&
		strcmp(r->stack_id.text, f->stack) != 0)
		return false;
	if (f->states && !(f->states & 1u << r->state))
		return false;
	if (f->kinds && !(f->kinds & 1u << r->kind))
		return false;
	if (f->from_us > 0 && strcmp(r->id.text, uuid_floor(f->from_us).text) < 0)
		return false;
	if (f->until_us > 0 && strcmp(r->id.text, uuid_floor(f->until_us).text) >= 0)
		return false;
	return store_on_page(page, &r->id);
}

/* One in the archive may be of a project that is gone. */
static struct db_job listed(struct store *s, const struct store_job *j, struct arena *a)
{
	struct db_job row = store_job_row(j, a);
	row.project = store_project_find(s, row.project_id.text) ? row.project : "";
	return row;
}

struct status store_job_list(struct store *s, struct arena *a, const struct db_scope *scope,
	const struct db_job_filter *f, const struct db_page *page, struct db_job **ret_jobs,
	size_t *ret_n, bool *ret_more)
{
	struct store_project *p;
	struct status st = store_project_or_all(s, scope, f->project, &p);
	if (!status_is_ok(&st))
		return st;
	*ret_jobs = arena_array(a, struct db_job, s->n_jobs + 1);
	*ret_n = 0;
	*ret_more = false;
	for (size_t i = s->n_jobs; i-- > 0 && !*ret_more;) {
		if (!is_listed(s->jobs[i], p, f, page))
			continue;
		if (*ret_n == page->size)
			*ret_more = true;
		else
			(*ret_jobs)[(*ret_n)++] = listed(s, s->jobs[i], a);
	}
	return status_ok();
}

/* ---- cancel ---- */

static void fail_release_of(struct store *s, const struct store_job *j)
{
	struct store_release *r = store_release_find(s, j->row.deployment_id.text);
	if (r && r->row.state == RELEASE_PENDING) {
		r->row.state = RELEASE_FAILED;
		r->row.finished_us = store_now_us(s);
	}
}

/* It ends here: nobody has begun it. */
static void cancel_untouched(struct store *s, struct store_job *j)
{
	j->row.error = "cancelled before it ran";
	j->row.error_code = "CANCELLED";
	store_put_state(s, j, JOB_CANCELLED);
	fail_release_of(s, j);
	struct store_stack *t = store_stack_find(s, j->row.stack_id.text);
	if (t && t->row.status == STACK_DEPLOYING && !t->row.active_deployment_id.text[0]) {
		t->row.status = STACK_FAILED;
		t->row.status_message = j->row.error;
	}
}

struct status store_cancel(struct store *s, const struct db_scope *scope, const char *id,
	struct store_job **ret_job)
{
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return status_is_ok(&st) ? find(s, scope, old.text, ret_job) : st;
	st = find(s, scope, id, ret_job);
	if (!status_is_ok(&st))
		return st;
	struct store_job *j = *ret_job;
	if (job_state_is_end(j->row.state))
		return status_err(ST_FAILED_PRECONDITION, "job %s has ended already", id);
	bool untouched = j->row.state == JOB_PENDING && !j->row.step[0];
	if (untouched || !j->row.cancel_requested) {
		j->row.cancel_requested = true;
		if (j->row.run_us > store_now_us(s))
			j->row.run_us = store_now_us(s);
		if (untouched)
			cancel_untouched(s, j);
		store_job_event(s, j, untouched ? "job.ended" : "job.cancel_requested",
			j->row.error);
	}
	store_remember(s, scope, id);
	store_tell(s, "skep_cancel", id);
	store_tell_waiting(s, j);
	store_tell_ready(s, j);
	return st;
}

/* ---- retry ---- */

static struct status can_retry(struct store *s, const struct store_job *j)
{
	const struct db_job *r = &j->row;
	if (r->state != JOB_FAILED && r->state != JOB_CANCELLED)
		return status_err(
			ST_FAILED_PRECONDITION, "only a failed or cancelled job can be retried");
	if (!r->stack_id.text[0] && r->stack[0])
		return status_err(ST_FAILED_PRECONDITION, "stack \"%s\" was removed", r->stack);
	const struct store_release *d = store_release_find(s, r->deployment_id.text);
	for (size_t i = 0; d && i < s->n_releases; i++) {
		const struct db_release *n = &s->releases[i]->row;
		if (strcmp(n->stack_id.text, d->row.stack_id.text) == 0 &&
			n->number > d->row.number && n->state != RELEASE_FAILED)
			return status_err(ST_FAILED_PRECONDITION, "it is superseded by a newer one");
	}
	return status_ok();
}

static void run_again(struct store *s, struct store_job *j)
{
	struct db_job *r = &j->row;
	struct store_release *d = store_release_find(s, r->deployment_id.text);
	struct store_stack *t = store_stack_find(s, r->stack_id.text);
	r->run_us = store_now_us(s);
	if (r->max_attempts < r->attempt + 1)
		r->max_attempts = r->attempt + 1;
	r->takeovers = r->percent = 0;
	r->undoing = r->cancel_requested = false;
	r->step = r->error = r->error_code = r->message = "";
	r->failures = STR("[]");
	r->started_us = r->finished_us = 0;
	j->ends = 0;
	j->archived = false;
	store_put_state(s, j, JOB_PENDING);
	if (d && d->row.state == RELEASE_FAILED) {
		d->row.state = RELEASE_PENDING;
		d->row.finished_us = 0;
	}
	if (t)
		t->row.last_job_id = r->id;
	store_event(s, j, &(struct db_event){.kind = "job.retried", .state = "pending"});
	store_tell_ready(s, j);
}

struct status store_retry(struct store *s, const struct db_scope *scope, const char *id,
	struct store_job **ret_job)
{
	struct status st = status_ok();
	struct uuid old;
	if (store_replays(s, scope, &st, &old))
		return status_is_ok(&st) ? find(s, scope, old.text, ret_job) : st;
	st = find(s, scope, id, ret_job);
	if (status_is_ok(&st))
		st = can_retry(s, *ret_job);
	if (!status_is_ok(&st))
		return st;
	run_again(s, *ret_job);
	store_remember(s, scope, id);
	return st;
}

static struct store_job *last_of(const struct store *s, const struct store_stack *t)
{
	for (size_t i = s->n_jobs; i-- > 0;)
		if (store_is_of(s->jobs[i], t))
			return s->jobs[i];
	return NULL;
}

static bool is_failed(const struct store_job *j, enum job_kind kind)
{
	return j && j->row.state == JOB_FAILED && (!kind || j->row.kind == kind);
}

struct status store_retry_failed(struct store *s, struct arena *a, const struct db_scope *scope,
	const char *project, const char *stack, enum job_kind kind, struct db_job **ret_jobs,
	size_t *ret_n)
{
	struct store_project *p;
	struct store_stack *named;
	struct uuid id;
	bool by_id = uuid_parse(stack, &id);
	const struct db_stack_ref ref = {by_id ? stack : "", project, by_id ? "" : stack};
	struct status st = store_project_ref(s, scope, project, &p);
	if (status_is_ok(&st) && stack[0])
		st = store_stack_ref(s, scope, &ref, &named);
	*ret_n = 0;
	if (!status_is_ok(&st))
		return st;
	struct store_job **picked = arena_array(a, struct store_job *, s->n_stacks + 1);
	size_t n = 0;
	for (size_t i = 0; i < s->n_stacks && n < RETRIES_MAX; i++) {
		const struct store_stack *t = s->stacks[i];
		struct store_job *j = last_of(s, t);
		bool asked = !stack[0] || strcmp(t->row.name, stack) == 0 ||
			     strcmp(t->row.id.text, stack) == 0;
		if (asked && is_failed(j, kind) &&
			strcmp(t->row.project_id.text, p->row.id.text) == 0)
			picked[n++] = j;
	}
	*ret_jobs = arena_array(a, struct db_job, n + 1);
	for (size_t i = s->n_jobs; i-- > 0;) { /* newest first */
		for (size_t k = 0; k < n; k++) {
			if (picked[k] != s->jobs[i])
				continue;
			run_again(s, picked[k]);
			(*ret_jobs)[(*ret_n)++] = store_job_row(picked[k], a);
		}
	}
	return st;
}
