/* Jobs as the worker sees them. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

static bool is_due(const struct store *s, const struct store_job *j)
{
	return j->row.state == JOB_PENDING && j->row.run_us <= store_now_us(s);
}

static bool is_expired(const struct store *s, const struct store_job *j)
{
	return j->row.state == JOB_RUNNING && j->lease_us < store_now_us(s);
}

/* ---- look ---- */

static bool is_paused(struct store *s, const struct store_job *j)
{
	const struct store_project *p = store_project_find(s, j->row.project_id.text);
	return s->kind_pauses[j->row.kind] || p->pause;
}

static void count_running(const struct store *s, struct db_queue *q)
{
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct db_job *r = &s->jobs[i]->row;
		if (r->state != JOB_RUNNING || strcmp(r->project_id.text, q->project_id.text) != 0)
			continue;
		q->project_running++;
		q->kind_running += r->kind == q->kind;
	}
}

static struct db_queue *queue_of(
	struct store *s, struct db_queue *queues, size_t *n, const struct store_job *j)
{
	for (size_t i = 0; i < *n; i++)
		if (queues[i].kind == j->row.kind &&
			strcmp(queues[i].project_id.text, j->row.project_id.text) == 0)
			return &queues[i];
	const struct store_project *p = store_project_find(s, j->row.project_id.text);
	struct db_queue *q = &queues[(*n)++];
	*q = (struct db_queue){.project_id = p->row.id,
		.kind = j->row.kind,
		.oldest_us = INT64_MAX,
		.weight = (unsigned)p->row.weight,
		.max_running = (unsigned)p->row.max_running};
	count_running(s, q);
	return q;
}

static int by_project(const void *a, const void *b)
{
	const struct db_queue *x = a, *y = b;
	int order = strcmp(x->project_id.text, y->project_id.text);
	return order ? order : (int)x->kind - (int)y->kind;
}

static void note_due(struct db_look *look, int64_t at_us, int64_t now_us)
{
	int64_t ms = at_us > now_us ? (at_us - now_us + 999) / 1000 : 0;
	if (look->due_ms < 0 || ms < look->due_ms)
		look->due_ms = ms;
}

void store_look(struct store *s, struct arena *a, unsigned limit, struct db_look *ret_look)
{
	struct db_queue *queues = arena_array(a, struct db_queue, s->n_jobs + 1);
	int64_t now = store_now_us(s);
	*ret_look = (struct db_look){.turn = s->turn, .due_ms = -1, .queues = queues};
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct store_job *j = s->jobs[i];
		ret_look->expired += is_expired(s, j);
		if (j->row.state == JOB_RUNNING)
			note_due(ret_look, j->lease_us, now);
		if (j->row.state == JOB_PENDING && j->row.run_us > now)
			note_due(ret_look, j->row.run_us, now);
		if (!is_due(s, j) || store_is_blocked(s, j) || is_paused(s, j))
			continue;
		struct db_queue *q = queue_of(s, queues, &ret_look->n, j);
		q->waiting += q->waiting < limit;
		if (j->row.run_us < q->oldest_us)
			q->oldest_us = j->row.run_us;
	}
	qsort(queues, ret_look->n, sizeof(*queues), by_project);
}

/* ---- claim ---- */

static int by_run(const void *a, const void *b)
{
	const struct store_job *x = *(struct store_job *const *)a, *y = *(struct store_job *const *)b;
	if (x->row.run_us != y->row.run_us)
		return x->row.run_us < y->row.run_us ? -1 : 1;
	return strcmp(x->row.id.text, y->row.id.text);
}

static int by_lease(const void *a, const void *b)
{
	const struct store_job *x = *(struct store_job *const *)a, *y = *(struct store_job *const *)b;
	if (x->lease_us != y->lease_us)
		return x->lease_us < y->lease_us ? -1 : 1;
	return strcmp(x->row.id.text, y->row.id.text);
}

static size_t pick_expired(struct store *s, unsigned most, struct store_job **picked)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++)
		if (is_expired(s, s->jobs[i]))
			picked[n++] = s->jobs[i];
	qsort(picked, n, sizeof(struct store_job *), by_lease);
	return n < most ? n : most;
}

static size_t pick_ready(struct store *s, const struct db_pick *p, struct store_job **picked)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct store_job *j = s->jobs[i];
		if (j->row.kind == p->kind && is_due(s, j) && !store_is_blocked(s, j) &&
			strcmp(j->row.project_id.text, p->project_id.text) == 0)
			picked[n++] = j;
	}
	qsort(picked, n, sizeof(struct store_job *), by_run);
	return n < p->n ? n : p->n;
}

static void take(struct store *s, const struct db_claim *c, struct store_job *j)
{
	bool takeover = j->row.state == JOB_RUNNING;
	int64_t now = store_now_us(s);
	if (takeover)
		store_attempt_add(s, j,
			"its daemon was not heard of any more: another one goes on", "UNAVAILABLE");
	j->row.epoch++;
	j->row.owner = arena_strdup(s->arena, c->owner);
	j->row.attempt += !takeover;
	j->row.takeovers += takeover;
	j->lease_us = now + (int64_t)c->lease_ms * 1000;
	j->row.started_us = j->row.started_us ? j->row.started_us : now;
	j->claimed_us = now;
	j->write_number = 0;
	store_put_state(s, j, JOB_RUNNING);
	store_job_event(s, j, takeover || j->row.step[0] ? "job.resumed" : "job.started",
		arena_fmt(s->arena, "attempt %d of %d", j->row.attempt, j->row.max_attempts));
}

void store_claim(struct store *s, struct arena *a, const struct db_claim *claim,
	struct db_job **ret_jobs, size_t *ret_n)
{
	struct store_job **picked =
		arena_array(a, struct store_job *, s->n_jobs * (claim->n + 1) + 1);
	size_t n = pick_expired(s, claim->takeovers, picked);
	if (claim->turn == s->turn && claim->n > 0) {
		s->turn++;
		for (size_t i = 0; i < claim->n; i++)
			n += pick_ready(s, &claim->picks[i], picked + n);
	}
	for (size_t i = 0; i < n; i++)
		take(s, claim, picked[i]);
	qsort(picked, n, sizeof(struct store_job *), by_run);
	*ret_jobs = arena_array(a, struct db_job, n + 1);
	*ret_n = n;
	for (size_t i = 0; i < n; i++) {
		const struct store_release *d =
			store_release_find(s, picked[i]->row.deployment_id.text);
		(*ret_jobs)[i] = store_job_row(picked[i], a);
		(*ret_jobs)[i].images = d ? (unsigned)d->row.n_images : 0;
	}
}

void store_renew(struct store *s, struct arena *a, const char *owner, const struct uuid *ids,
	const int *epochs, size_t n, unsigned lease_ms, struct db_job **ret_jobs, size_t *ret_n)
{
	*ret_jobs = arena_array(a, struct db_job, n + 1);
	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		struct store_job *j = store_job_find(s, ids[i].text);
		if (!j || j->row.state != JOB_RUNNING || j->row.epoch != epochs[i] ||
			strcmp(j->row.owner, owner) != 0 || j->lease_us <= store_now_us(s))
			continue;
		j->lease_us = store_now_us(s) + (int64_t)lease_ms * 1000;
		(*ret_jobs)[(*ret_n)++] = store_job_row(j, a);
	}
}

/* ---- step, progress ---- */

struct status store_fence(struct store *s, const char *job_id, int epoch)
{
	const struct store_job *j = store_job_find(s, job_id);
	if (j && j->row.epoch == epoch && j->row.state == JOB_RUNNING)
		return status_ok();
	s->fenced++;
	return status_err(
		ST_ABORTED, "job %s is no longer run under epoch %d", job_id, epoch);
}

static void put_why(struct store *s, struct store_job *j, const struct db_job_why *why)
{
	const char *text = !why ? "" : why->text && why->text[0] ? why->text : why->st.message;
	j->row.error = arena_strdup(s->arena, text);
	j->row.error_code = why ? st_code_name(why->st.code) : "";
	j->row.failures = why && why->failures.len
				  ? (struct str){str_dup(s->arena, why->failures), why->failures.len}
				  : STR("[]");
}

static void put_step(struct store *s, struct store_job *j, const struct db_job_write *w)
{
	j->row.step = arena_strdup(s->arena, w->step);
	j->row.undoing = w->undoing != NULL;
	j->row.takeovers = 0;
	if (w->undoing)
		put_why(s, j, w->undoing);
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static void put_progress(struct store *s, struct store_job *j, const struct db_event *events, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct db_event *e = &events[i];
		if (e->percent > 0) {
			j->percent_fell |= e->percent < j->row.percent;
			j->row.percent = e->percent;
		}
		if (e->message && e->message[0] && !(e->service && e->service[0]))
			j->row.message = arena_strdup(s->arena, e->message);
	}
}

static void put_events(struct store *s, struct store_job *j, const struct db_job_write *w)
{
	put_progress(s, j, w->events, w->n_events);
	if (w->state == JOB_SUCCEEDED) /* it is one write */
		j->row.percent = 100;
	if (w->first < w->number && j->write_number >= w->first)
		return; /* an earlier one has stored them */
	for (size_t i = 0; i < w->n_events; i++) {
		struct db_event e = w->events[i];
		e.percent = e.percent > 0 ? e.percent : j->row.percent;
		store_event(s, j, &e);
	}
}

/* ---- the end ---- */

/* Neither a job that was given up nor a first deploy that was refused before it began has said
 * anything of its stack. */
static void leave_stack(struct store *s, const struct store_job *j, const char *error)
{
	struct store_stack *t = store_stack_find(s, j->row.stack_id.text);
	if (!t)
		return;
	bool never = !t->row.active_deployment_id.text[0];
	enum job_kind k = j->row.kind;
	bool refused = never && !j->row.step[0] &&
		       (k == JOB_DEPLOY || k == JOB_UPDATE || k == JOB_ADOPT);
	bool said = t->row.status == STACK_FAILED && same_text(t->row.unfinished, error);
	if (t->row.status != STACK_DEPLOYING && t->row.status != STACK_REMOVING && (!refused || said))
		return;
	t->row.status_message = t->row.unfinished = arena_strdup(s->arena, error);
	t->row.status = never ? STACK_FAILED : STACK_DEGRADED;
	t->row.updated_us = t->set_us = store_now_us(s);
	store_tell(s, "skep_stacks", t->row.id.text);
}

static void end_job(struct store *s, struct store_job *j, enum job_state state,
	const struct db_job_why *why)
{
	put_why(s, j, why);
	if (state == JOB_SUCCEEDED)
		j->row.percent = 100;
	store_put_state(s, j, state);
	struct store_release *r = store_release_find(s, j->row.deployment_id.text);
	if (state != JOB_SUCCEEDED) {
		if (r && r->row.state == RELEASE_PENDING) {
			r->row.state = RELEASE_FAILED;
			r->row.finished_us = store_now_us(s);
		}
		store_attempt_add(s, j, j->row.error, j->row.error_code);
	}
	store_job_event(s, j, "job.ended", why ? why->st.message : "");
}

static void put_back(struct store *s, struct store_job *j, const struct db_job_write *w)
{
	j->row.run_us = store_now_us(s) + (int64_t)w->delay_ms * 1000;
	if (!w->why && j->row.attempt > 0)
		j->row.attempt--;
	if (!w->keep_step)
		j->row.step = "";
	j->row.undoing = j->row.undoing && w->keep_step;
	if (w->why) {
		j->row.error = arena_strdup(s->arena, w->why->st.message);
		j->row.error_code = st_code_name(w->why->st.code);
		store_attempt_add(s, j, j->row.error, j->row.error_code);
	}
	store_put_state(s, j, JOB_PENDING);
	store_job_event(s, j, "job.requeued", w->why ? j->row.error : "handed back");
}

bool store_write(struct store *s, const struct db_job_write *w)
{
	struct store_job *j = store_job_find(s, w->id);
	bool stored = w->first < w->number && w->state && j && j->row.epoch == w->epoch && j->row.state == w->state;
	if (!stored) {
		struct status st = store_fence(s, w->id, w->epoch);
		if (!status_is_ok(&st) || j->write_number >= w->number)
			return false;
		put_events(s, j, w);
		j->write_number = w->number;
		if (w->step)
			put_step(s, j, w);
		if (job_state_is_end(w->state))
			end_job(s, j, w->state, w->why);
		else if (w->state)
			put_back(s, j, w);
	}
	if (w->state == JOB_FAILED)
		leave_stack(s, j, w->why ? w->why->st.message : "");
	return true;
}

void store_told(struct store *s, const struct db_told *told)
{
	const struct store_job *j = store_job_find(s, told->id.text);
	store_tell(s, "skep_events", told->id.text);
	if (j && told->what == TOLD_READY)
		store_tell_ready(s, j);
	else if (j && told->what == TOLD_GONE)
		store_tell_waiting(s, j);
}
