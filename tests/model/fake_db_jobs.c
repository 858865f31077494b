/* The jobs of the store, as the worker sees them: jobs.h says what each operation does. */
#include "fake_db.h"

#include <stdio.h>
#include <string.h>

static uint64_t now_of(const struct store *s)
{
	return loop_now_ms(s->loop) + s->clock_ms;
}

static struct db_call *handle(struct fake_call *c)
{
	return (struct db_call *)(void *)c;
}

static void add_event(struct store_job *j, const struct db_event *e)
{
	buf_fmt(&j->events, "%s|%s|%s|%s|%d/%d|%d|%s\n", e->kind, e->service ? e->service : "",
		e->step ? e->step : "", e->state ? e->state : "", e->running, e->wanted, e->percent,
		e->message ? e->message : "");
	j->n_events++;
	j->row.last_sequence++;
}

static struct db_job *copy_job(struct arena *a, const struct store_job *j)
{
	struct db_job *c = arena_memdup(a, &j->row, sizeof(j->row));
	c->step = arena_strdup(a, j->step);
	c->message = arena_strdup(a, j->message);
	c->error = arena_strdup(a, j->error);
	c->error_code = arena_strdup(a, j->error_code);
	c->failures = str_of(arena_strdup(a, j->failures));
	c->owner = arena_strdup(a, j->owner);
	c->params = str_of(arena_strdup(a, j->params));
	return c;
}

static void deliver_jobs(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_jobs_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0, false);
}

/* ---- claim, renew ---- */

static bool is_blocked(const struct store *s, const struct store_job *j)
{
	for (size_t i = 0; i < s->n_jobs && !s->many_stacks; i++) {
		const struct store_job *o = &s->jobs[i];
		if (o != j &&
			(o->row.state == JOB_RUNNING || (o->row.state == JOB_PENDING && o < j)))
			return true;
	}
	return false;
}

static bool is_ready(const struct store *s, const struct store_job *j)
{
	return j->row.state == JOB_PENDING && j->run_ms <= now_of(s) && !is_blocked(s, j);
}

static bool is_expired(const struct store *s, const struct store_job *j)
{
	return j->row.state == JOB_RUNNING && j->lease_ms < now_of(s);
}

/* One project: a queue a kind. */
static void add_queue(struct db_queue *queues, size_t *n, const struct store_job *j)
{
	struct db_queue *q = queues;
	while (q < queues + *n && q->kind != j->row.kind)
		q++;
	if (q == queues + *n) {
		*q = (struct db_queue){.project_id = j->row.project_id, .kind = j->row.kind, .weight = 1};
		(*n)++;
	}
	q->waiting++;
}

static struct status look_effect(struct fake_call *c)
{
	const struct store *s = store_args(c)->store;
	struct db_look *look = arena_new(c->arena, struct db_look);
	struct db_queue *queues = arena_array(c->arena, struct db_queue, s->n_jobs + 1);
	*look = (struct db_look){.turn = s->turn, .due_ms = -1, .queues = queues};
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct store_job *j = &s->jobs[i];
		uint64_t at = j->row.state == JOB_RUNNING ? j->lease_ms : j->run_ms, now = now_of(s);
		int64_t ms = at > now ? (int64_t)(at - now) : 0;
		look->expired += is_expired(s, j);
		if (is_ready(s, j))
			add_queue(queues, &look->n, j);
		else if ((j->row.state == JOB_RUNNING || (j->row.state == JOB_PENDING && at > now)) &&
			(look->due_ms < 0 || ms < look->due_ms))
			look->due_ms = ms;
	}
	c->result = look;
	return status_ok();
}

static void deliver_look(struct fake_call *c, const struct status *st)
{
	((db_look_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *look(struct db *db, unsigned limit, db_look_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	store_args(c)->limit = limit;
	fake_call_start(c, 0, look_effect, deliver_look, "look");
	return handle(c);
}

/* May the claim have it? Then it is counted. */
static bool take(const struct store_args *g, struct store_job *j, unsigned *takeovers)
{
	if (is_expired(g->store, j) && *takeovers > 0) {
		(*takeovers)--;
		return true;
	}
	for (size_t i = 0; is_ready(g->store, j) && i < g->n; i++) {
		if (g->picks[i].kind == j->row.kind && g->picks[i].n > 0) {
			g->picks[i].n--;
			return true;
		}
	}
	return false;
}

static struct status claim_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct store *s = g->store;
	struct db_job *out = arena_array(c->arena, struct db_job, s->n_jobs + 1);
	unsigned takeovers = g->limit;
	c->result = out;
	if (g->turn != s->turn)
		g->n = 0;
	s->turn += g->n > 0;
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct store_job *j = &s->jobs[i];
		bool takeover = j->row.state == JOB_RUNNING;
		if (!take(g, j, &takeovers))
			continue;
		j->row.state = JOB_RUNNING;
		j->row.epoch++;
		j->row.takeovers += takeover;
		j->row.attempt += !takeover;
		j->lease_ms = now_of(s) + g->lease_ms;
		(void)snprintf(j->owner, sizeof(j->owner), "%s", g->owner);
		add_event(j, &(struct db_event){.kind = takeover || j->step[0] ? "job.resumed"
									       : "job.started"});
		out[c->n++] = *copy_job(c->arena, j);
	}
	return status_ok();
}

static struct db_call *claim(struct db *db, const struct db_claim *claim, db_jobs_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	struct store_args *g = store_args(c);
	g->owner = arena_strdup(c->arena, claim->owner);
	g->limit = claim->takeovers;
	g->lease_ms = claim->lease_ms;
	g->turn = claim->turn;
	g->n = claim->n;
	g->picks = claim->n ? arena_memdup(c->arena, claim->picks, claim->n * sizeof(*claim->picks)) : NULL;
	fake_call_start(c, 0, claim_effect, deliver_jobs, "claim");
	return handle(c);
}

static struct status renew_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct db_job *out = arena_array(c->arena, struct db_job, g->n + 1);
	c->result = out;
	for (size_t i = 0; i < g->n; i++) {
		struct store_job *j = store_job_find(g->store, g->ids[i].text);
		if (!j || j->row.state != JOB_RUNNING || j->row.epoch != g->epochs[i] ||
			strcmp(j->owner, g->owner) != 0)
			continue;
		j->lease_ms = now_of(g->store) + g->lease_ms;
		out[c->n++] = *copy_job(c->arena, j);
	}
	return status_ok();
}

static struct db_call *renew(struct db *db, const char *owner, const struct uuid *ids,
	const int *epochs, size_t n, unsigned lease_ms, db_jobs_done done, void *data)
{
	struct fake_call *c = store_call(db, (db_done)(void (*)(void))done, data);
	struct store_args *g = store_args(c);
	g->owner = arena_strdup(c->arena, owner);
	g->lease_ms = lease_ms;
	g->n = n;
	g->ids = arena_memdup(c->arena, ids, n * sizeof(*ids));
	g->epochs = arena_memdup(c->arena, epochs, n * sizeof(*epochs));
	fake_call_start(c, 0, renew_effect, deliver_jobs, "renew");
	return handle(c);
}

/* ---- step, progress ---- */

static void put_why(struct store_job *j, const struct store_args *g)
{
	bool bad = !status_is_ok(&g->why);
	(void)snprintf(j->error, sizeof(j->error), "%s",
		g->message[0] ? g->message
		: bad         ? g->why.message
			      : "");
	(void)snprintf(
		j->error_code, sizeof(j->error_code), "%s", bad ? st_code_name(g->why.code) : "");
	(void)snprintf(j->failures, sizeof(j->failures), STR_FMT, STR_ARG(g->bytes));
}

static void take_why(struct fake_call *c, const struct db_job_why *why)
{
	struct store_args *g = store_args(c);
	g->why = why ? why->st : status_ok();
	g->message = arena_strdup(c->arena, why && why->text ? why->text : "");
	g->bytes = why ? str_of(arena_strndup(c->arena, why->failures.ptr, why->failures.len))
		       : STR("");
}

static struct status step_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct status st = store_fence(g->store, g->id, g->epoch);
	struct store_job *j = store_job_find(g->store, g->id);
	if (!status_is_ok(&st))
		return st;
	(void)snprintf(j->step, sizeof(j->step), "%s", g->text);
	j->row.undoing = g->failed;
	j->row.takeovers = 0;
	if (g->failed)
		put_why(j, g);
	return st;
}

static struct db_call *step(struct db *db, const char *id, int epoch, const char *name,
	const struct db_job_why *undoing, db_done done, void *data)
{
	struct fake_call *c = store_call(db, done, data);
	struct store_args *g = store_args(c);
	g->id = arena_strdup(c->arena, id);
	g->epoch = epoch;
	g->text = arena_strdup(c->arena, name);
	g->failed = undoing != NULL;
	take_why(c, undoing);
	fake_call_start(
		c, 0, step_effect, store_deliver_done, "%s %s", undoing ? "undo" : "step", name);
	return handle(c);
}

static void take_event(struct store_job *j, const struct db_event *e)
{
	bool about_job = !e->service || !e->service[0];
	add_event(j, e);
	if (e->percent > 0) {
		j->percent_fell |= e->percent < j->row.percent;
		j->row.percent = e->percent;
	}
	if (about_job && e->message && e->message[0])
		(void)snprintf(j->message, sizeof(j->message), "%s", e->message);
}

static struct status progress_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct status st = store_fence(g->store, g->id, g->epoch);
	for (size_t i = 0; status_is_ok(&st) && i < g->n; i++)
		take_event(store_job_find(g->store, g->id), &g->events[i]);
	return st;
}

static struct db_call *progress(struct db *db, const char *id, int epoch,
	const struct db_event *events, size_t n, db_done done, void *data)
{
	struct fake_call *c = store_call(db, done, data);
	struct store_args *g = store_args(c);
	g->id = arena_strdup(c->arena, id);
	g->epoch = epoch;
	g->n = n;
	g->events = arena_memdup(
		c->arena, events, n * sizeof(*events)); /* their texts live until `done` */
	fake_call_start(c, 0, progress_effect, store_deliver_done, "progress");
	return handle(c);
}

/* ---- the end ---- */

static struct status finish_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct store_job *j = store_job_find(g->store, g->id);
	if (j && j->row.epoch == g->epoch && j->row.state == g->state)
		return status_ok();
	struct status st = store_fence(g->store, g->id, g->epoch);
	if (!status_is_ok(&st))
		return st;
	j->row.state = g->state;
	j->ends++;
	put_why(j, g);
	struct store_release *r = store_release_find(g->store, j->row.deployment_id.text);
	if (r && r->row.state == RELEASE_PENDING && g->state != JOB_SUCCEEDED)
		r->row.state = RELEASE_FAILED;
	add_event(j, &(struct db_event){.kind = "job.ended", .state = job_state_name(g->state)});
	return st;
}

static struct db_call *finish(struct db *db, const char *id, int epoch, enum job_state state,
	const struct db_job_why *why, db_done done, void *data)
{
	struct fake_call *c = store_call(db, done, data);
	struct store_args *g = store_args(c);
	g->id = arena_strdup(c->arena, id);
	g->epoch = epoch;
	g->state = state;
	take_why(c, why);
	fake_call_start(
		c, 0, finish_effect, store_deliver_done, "finish %s", job_state_name(state));
	return handle(c);
}

static struct status requeue_effect(struct fake_call *c)
{
	struct store_args *g = store_args(c);
	struct store_job *j = store_job_find(g->store, g->id);
	if (j && j->row.epoch == g->epoch && j->row.state == JOB_PENDING)
		return status_ok();
	struct status st = store_fence(g->store, g->id, g->epoch);
	if (!status_is_ok(&st))
		return st;
	j->row.state = JOB_PENDING;
	j->run_ms = now_of(g->store) + g->delay_ms;
	j->row.attempt -= !g->failed && j->row.attempt > 0;
	j->row.undoing = j->row.undoing && g->keep;
	if (!g->keep)
		j->step[0] = '\0';
	if (g->failed)
		(void)snprintf(j->error, sizeof(j->error), "%s", g->why.message);
	add_event(j, &(struct db_event){.kind = "job.requeued"});
	return st;
}

static struct db_call *requeue(struct db *db, const char *id, int epoch, uint64_t delay_ms,
	bool failed, bool keep_step, const struct status *error, db_done done, void *data)
{
	struct fake_call *c = store_call(db, done, data);
	struct store_args *g = store_args(c);
	g->id = arena_strdup(c->arena, id);
	g->epoch = epoch;
	g->delay_ms = delay_ms;
	g->failed = failed;
	g->keep = keep_step;
	g->why = error ? *error : status_ok();
	fake_call_start(c, 0, requeue_effect, store_deliver_done, "requeue%s%s",
		failed ? " failed" : "", keep_step ? " keep" : "");
	return handle(c);
}

const struct db_job_ops fake_job_ops = {
	.look = look,
	.claim = claim,
	.renew = renew,
	.step = step,
	.progress = progress,
	.finish = finish,
	.requeue = requeue,
};
