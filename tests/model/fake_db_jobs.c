/* db/jobs.h as calls: arguments copied, the store's function as effect. */
#include "fake_db.h"

#include <string.h>

/* ---- callers ---- */

static struct status get_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st = store_job_get(g->store, &g->scope, g->id, &j);
	st = fake_job_result(c, st, j);
	if (status_is_ok(&st))
		((struct db_job *)c->result)->attempts = store_attempts(j, c->arena);
	return st;
}

static struct db_call *get(struct db *db, const struct db_scope *s, const char *id,
	db_job_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->id = arena_strdup(c->arena, id);
	fake_call_start(c, 0, get_effect, fake_deliver_job, "job_get");
	return fake_handle(c);
}

static struct status list_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_job *jobs = NULL;
	struct status st = store_job_list(g->store, c->arena, &g->scope, &g->filter, &g->page,
		&jobs, &c->n, &c->more);
	c->result = jobs;
	return st;
}

static struct db_call *list(struct db *db, const struct db_scope *s, const struct db_job_filter *f,
	const struct db_page *page, db_jobs_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	struct db_job_filter *copy = &fake_args(c)->filter;
	*copy = *f;
	copy->project = arena_strdup(c->arena, f->project);
	copy->stack = arena_strdup(c->arena, f->stack);
	fake_args(c)->page = fake_copy_page(c->arena, page);
	fake_call_start(c, 0, list_effect, fake_deliver_jobs, "job_list");
	return fake_handle(c);
}

static struct status events_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st = store_job_get(g->store, &g->scope, g->id, &j);
	if (!status_is_ok(&st))
		return st;
	struct db_event *out = arena_array(c->arena, struct db_event, j->n_log + 1);
	for (size_t i = 0; i < j->n_log && c->n < g->limit; i++)
		if (j->log[i].sequence > g->after)
			out[c->n++] = j->log[i];
	c->result = out;
	return st;
}

static void deliver_events(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_events_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0);
}

static struct db_call *events(struct db *db, const struct db_scope *s, const char *id,
	int64_t after, unsigned limit, db_events_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->id = arena_strdup(c->arena, id);
	fake_args(c)->after = after;
	fake_args(c)->limit = limit;
	fake_call_start(c, 0, events_effect, deliver_events, "job_events");
	return fake_handle(c);
}

static struct status cancel_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st = store_cancel(g->store, &g->scope, g->id, &j);
	return fake_job_result(c, st, j);
}

static struct db_call *cancel(struct db *db, const struct db_scope *s, const char *id,
	db_job_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->id = arena_strdup(c->arena, id);
	fake_call_start(c, 0, cancel_effect, fake_deliver_job, "job_cancel");
	return fake_handle(c);
}

static struct status retry_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct store_job *j = NULL;
	struct status st = store_retry(g->store, &g->scope, g->id, &j);
	return fake_job_result(c, st, j);
}

static struct db_call *retry(struct db *db, const struct db_scope *s, const char *id,
	db_job_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->id = arena_strdup(c->arena, id);
	fake_call_start(c, 0, retry_effect, fake_deliver_job, "job_retry");
	return fake_handle(c);
}

static struct status retry_failed_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_job *jobs = NULL;
	struct status st = store_retry_failed(g->store, c->arena, &g->scope, g->project, g->stack,
		g->kind, &jobs, &c->n);
	c->result = jobs;
	return st;
}

static struct db_call *retry_failed(struct db *db, const struct db_scope *s, const char *project,
	const char *stack, enum job_kind kind, db_jobs_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->stack = arena_strdup(c->arena, stack);
	fake_args(c)->kind = kind;
	fake_call_start(c, 0, retry_failed_effect, fake_deliver_jobs, "job_retry_failed");
	return fake_handle(c);
}

static struct status pause_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return g->failed ? store_resume(g->store, &g->scope, g->project, g->kind)
			 : store_pause(g->store, &g->scope, g->project, g->kind, g->text);
}

static struct db_call *pause_(struct db *db, const struct db_scope *s, const char *project,
	enum job_kind kind, const char *reason, db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->kind = kind;
	fake_args(c)->text = arena_strdup(c->arena, reason);
	fake_call_start(c, 0, pause_effect, fake_deliver_done, "job_pause");
	return fake_handle(c);
}

static struct db_call *resume(struct db *db, const struct db_scope *s, const char *project,
	enum job_kind kind, db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->kind = kind;
	fake_args(c)->failed = true;
	fake_call_start(c, 0, pause_effect, fake_deliver_done, "job_resume");
	return fake_handle(c);
}

/* ---- those who show jobs elsewhere ---- */

static struct status view_effect(struct fake_call *c)
{
	struct store *s = fake_args(c)->store;
	struct db_job *jobs = arena_array(c->arena, struct db_job, fake_args(c)->n + 1);
	for (size_t i = 0; i < fake_args(c)->n; i++) {
		const struct store_job *j = store_job_find(s, fake_args(c)->ids[i].text);
		if (!j || !store_project_find(s, j->row.project_id.text))
			continue;
		jobs[c->n] = store_job_row(j, c->arena);
		jobs[c->n++].attempts = store_attempts(j, c->arena);
	}
	for (unsigned k = 0; k < JOB_KINDS; k++)
		fake_args(c)->limit |= s->kind_pauses[k] ? 1u << k : 0;
	c->result = jobs;
	return status_ok();
}

static void deliver_view(struct fake_call *c, const struct status *st)
{
	bool ok = status_is_ok(st);
	((db_job_view_done)c->done)(c->data, st, ok ? c->result : NULL, ok ? c->n : 0, ok ? fake_args(c)->limit : 0);
}

static struct db_call *view(struct db *db, const struct uuid *ids, size_t n, db_job_view_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->ids = arena_memdup(c->arena, ids, n * sizeof(*ids));
	fake_args(c)->n = n;
	fake_call_start(c, 0, view_effect, deliver_view, "job_view");
	return fake_handle(c);
}

/* ---- daemons ---- */

static struct status alive_effect(struct fake_call *c)
{
	store_alive(fake_args(c)->store, &fake_args(c)->daemon);
	return status_ok();
}

static struct db_call *alive(struct db *db, const struct db_daemon *daemon, db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->daemon = (struct db_daemon){.id = daemon->id, .host = arena_strdup(c->arena, daemon->host),
		.version = arena_strdup(c->arena, daemon->version), .slots = daemon->slots};
	fake_call_start(c, 0, alive_effect, fake_deliver_done, "alive");
	return fake_handle(c);
}

static struct status gone_effect(struct fake_call *c)
{
	store_gone(fake_args(c)->store, fake_args(c)->id);
	return status_ok();
}

static struct db_call *gone(struct db *db, const char *id, db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->id = arena_strdup(c->arena, id);
	fake_call_start(c, 0, gone_effect, fake_deliver_done, "gone");
	return fake_handle(c);
}

static struct status housekeep_effect(struct fake_call *c)
{
	store_keep_house(fake_args(c)->store, fake_args(c)->limit);
	return status_ok();
}

static struct db_call *housekeep(
	struct db *db, const struct db_retention *keep, db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->limit = keep->releases;
	fake_call_start(c, 0, housekeep_effect, fake_deliver_done, "housekeep");
	return fake_handle(c);
}

static struct status archive_effect(struct fake_call *c)
{
	store_archive(fake_args(c)->store, fake_args(c)->after);
	return status_ok();
}

/* All at once: there is never more. */
static void deliver_archived(struct fake_call *c, const struct status *st)
{
	((db_archived_done)c->done)(c->data, st, false);
}

static struct db_call *archive(struct db *db, const struct db_retention *keep, db_archived_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->after = keep->jobs_age_s;
	fake_call_start(c, 0, archive_effect, deliver_archived, "archive");
	return fake_handle(c);
}

static struct status stats_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	return store_stats(g->store, c->arena, &g->scope, g->project, g->priorities, g->limit, c->result);
}

static void deliver_stats(struct fake_call *c, const struct status *st)
{
	((db_job_stats_done)c->done)(c->data, st, c->result);
}

static struct db_call *stats(struct db *db, const struct db_scope *s, const char *project, const unsigned *priorities,
	unsigned limit, db_job_stats_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, s, DONE(done), data);
	fake_args(c)->project = arena_strdup(c->arena, project);
	fake_args(c)->priorities = arena_memdup(c->arena, priorities, JOB_KINDS * sizeof(*priorities));
	fake_args(c)->limit = limit;
	c->result = arena_new(c->arena, struct db_job_stats);
	fake_call_start(c, 0, stats_effect, deliver_stats, "job_stats");
	return fake_handle(c);
}

/* ---- look, claim, renew ---- */

static struct status look_effect(struct fake_call *c)
{
	struct db_look *look = arena_new(c->arena, struct db_look);
	store_look(fake_args(c)->store, c->arena, fake_args(c)->limit, look);
	c->result = look;
	return status_ok();
}

static void deliver_look(struct fake_call *c, const struct status *st)
{
	((db_look_done)c->done)(c->data, st, status_is_ok(st) ? c->result : NULL);
}

static struct db_call *look(struct db *db, unsigned limit, db_look_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	fake_args(c)->limit = limit;
	fake_call_start(c, 0, look_effect, deliver_look, "look");
	return fake_handle(c);
}

static struct status claim_effect(struct fake_call *c)
{
	struct db_job *jobs;
	store_claim(fake_args(c)->store, c->arena, &fake_args(c)->claim, &jobs, &c->n);
	c->result = jobs;
	return status_ok();
}

static struct db_call *claim(
	struct db *db, const struct db_claim *claim, db_jobs_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	struct db_claim *g = &fake_args(c)->claim;
	*g = *claim;
	g->owner = arena_strdup(c->arena, claim->owner);
	g->picks = claim->n ? arena_memdup(c->arena, claim->picks,
				      claim->n * sizeof(*claim->picks))
			    : NULL;
	fake_call_start(c, 0, claim_effect, fake_deliver_jobs, "claim");
	return fake_handle(c);
}

static struct status renew_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	struct db_job *jobs;
	store_renew(g->store, c->arena, g->text, g->ids, g->epochs, g->n, g->limit, &jobs, &c->n);
	c->result = jobs;
	return status_ok();
}

static struct db_call *renew(struct db *db, const char *owner, const struct uuid *ids,
	const int *epochs, size_t n, unsigned lease_ms, db_jobs_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	struct fake_args *g = fake_args(c);
	g->text = arena_strdup(c->arena, owner);
	g->limit = lease_ms;
	g->n = n;
	g->ids = arena_memdup(c->arena, ids, n * sizeof(*ids));
	g->epochs = arena_memdup(c->arena, epochs, n * sizeof(*epochs));
	fake_call_start(c, 0, renew_effect, fake_deliver_jobs, "renew");
	return fake_handle(c);
}

/* ---- writes ---- */

static const struct db_job_why *copy_why(struct arena *a, const struct db_job_why *why)
{
	struct db_job_why *copy = why ? arena_memdup(a, why, sizeof(*why)) : NULL;
	if (copy) {
		copy->text = arena_strdup(a, why->text ? why->text : "");
		copy->failures = fake_copy_str(a, why->failures);
	}
	return copy;
}

static const struct db_event *copy_events(struct arena *a, const struct db_event *events, size_t n)
{
	struct db_event *copy = arena_array(a, struct db_event, n + 1);
	for (size_t i = 0; i < n; i++) {
		copy[i] = events[i];
		copy[i].kind = arena_strdup(a, events[i].kind);
		copy[i].message = arena_strdup(a, events[i].message);
		copy[i].service = arena_strdup(a, events[i].service);
		copy[i].step = arena_strdup(a, events[i].step);
		copy[i].state = arena_strdup(a, events[i].state);
	}
	return copy;
}

static void copy_write(struct arena *a, struct db_job_write *w)
{
	w->id = arena_strdup(a, w->id);
	w->events = copy_events(a, w->events, w->n_events);
	w->step = w->step ? arena_strdup(a, w->step) : NULL;
	w->undoing = copy_why(a, w->undoing);
	w->why = copy_why(a, w->why);
}

/* In the trace each thing that is written has a line of its own. */
static void name_write(struct buf *b, const struct db_job_write *w)
{
	const char *gap = b->len ? "\ndb " : "";
	if (w->step)
		buf_fmt(b, "%s%s %s", gap, w->undoing ? "undo" : "step", w->step);
	else if (!w->state)
		buf_fmt(b, "%sprogress", gap);
	gap = b->len ? "\ndb " : "";
	if (job_state_is_end(w->state))
		buf_fmt(b, "%sfinish %s", gap, job_state_name(w->state));
	else if (w->state)
		buf_fmt(b, "%srequeue%s%s", gap, w->why ? " failed" : "", w->keep_step ? " keep" : "");
}

static struct status write_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	bool *held = c->result;
	for (size_t i = 0; i < g->n; i++)
		held[i] = store_write(g->store, &g->writes[i]);
	return status_ok();
}

static void deliver_writes(struct fake_call *c, const struct status *st)
{
	((db_writes_done)c->done)(c->data, st, c->result, fake_args(c)->n);
}

static struct db_call *write_jobs(struct db *db, const struct db_job_write *writes, size_t n,
	db_writes_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	struct fake_args *g = fake_args(c);
	struct buf name = {0};
	g->n = n;
	g->writes = arena_memdup(c->arena, writes, n * sizeof(*writes));
	c->result = arena_array(c->arena, bool, n);
	for (size_t i = 0; i < n; i++) {
		copy_write(c->arena, &g->writes[i]);
		name_write(&name, &writes[i]);
	}
	fake_call_start(c, 0, write_effect, deliver_writes, STR_FMT, STR_ARG(buf_str(&name)));
	buf_finish(&name);
	return fake_handle(c);
}

static struct status tell_effect(struct fake_call *c)
{
	const struct fake_args *g = fake_args(c);
	for (size_t i = 0; i < g->n; i++)
		store_told(g->store, &g->told[i]);
	return status_ok();
}

static struct db_call *tell(struct db *db, const struct db_told *told, size_t n, db_done done, void *data)
{
	struct fake_call *c = fake_db_call(db, NULL, DONE(done), data);
	struct fake_args *g = fake_args(c);
	g->n = n;
	g->told = arena_memdup(c->arena, told, n * sizeof(*told));
	fake_call_start(c, 0, tell_effect, fake_deliver_done, "tell");
	return fake_handle(c);
}

const struct db_job_ops fake_job_ops = {
	.get = get,
	.list = list,
	.events = events,
	.cancel = cancel,
	.retry = retry,
	.retry_failed = retry_failed,
	.view = view,
	.stats = stats,
	.pause = pause_,
	.resume = resume,
	.alive = alive,
	.gone = gone,
	.look = look,
	.claim = claim,
	.renew = renew,
	.write = write_jobs,
	.tell = tell,
	.housekeep = housekeep,
	.archive = archive,
};
