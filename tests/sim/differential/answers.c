#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "places.h"

/* ---- words ---- */

static size_t number_of(struct side *s, const char *id)
{
	for (size_t i = 0; i < s->n_ids; i++)
		if (strcmp(s->ids[i].text, id) == 0)
			return i;
	memcpy(s->ids[s->n_ids].text, id, UUID_LEN + 1);
	return s->n_ids++;
}

static void add_id(struct side *s, const char *key, const struct uuid *id)
{
	if (id->text[0])
		buf_fmt(&s->answer, " %s=#%zu", key, number_of(s, id->text));
}

/* Ids inside of texts are numbers too. */
static void add_text(struct side *s, const char *key, const char *text)
{
	struct uuid id;
	char part[UUID_LEN + 1] = "";
	if (!text || !text[0])
		return;
	buf_fmt(&s->answer, " %s=\"", key);
	for (size_t i = 0, n = strlen(text); i < n; i++) {
		if (n - i >= UUID_LEN) {
			memcpy(part, text + i, UUID_LEN);
			if (uuid_parse(part, &id)) {
				buf_fmt(&s->answer, "#%zu", number_of(s, id.text));
				i += UUID_LEN - 1;
				continue;
			}
		}
		buf_addc(&s->answer, text[i]);
	}
	buf_addc(&s->answer, '"');
}

static void add_number(struct side *s, const char *key, int64_t n)
{
	if (n != 0)
		buf_fmt(&s->answer, " %s=%lld", key, (long long)n);
}

static void add_time(struct side *s, const char *key, int64_t us)
{
	if (us != 0)
		buf_fmt(&s->answer, " %s", key);
}

static void hide_times(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;
	if (json_is_array(j))
		json_array_foreach(j, i, value) hide_times(value);
	json_object_foreach(j, key, value) if (strstr(key, "_us"))
		json_integer_set(value, json_integer_value(value) ? 1 : 0);
}

static void add_json(struct side *s, const char *key, struct str text)
{
	json_t *j = json_loadb(text.ptr, text.len, 0, NULL);
	hide_times(j);
	char *dump = j ? json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
	add_text(s, key, dump ? dump : "?");
	free(dump);
	json_decref(j);
}

static void add_texts(struct side *s, const char *key, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add_text(s, key, texts[i]);
}

/* True: there is more to say. */
static bool begin(struct side *s, const struct status *st)
{
	const uint32_t of_rows = BEHIND | FILTERED;
	s->done = true;
	s->seen[s->asked] |= SEEN(st->code) | (status_is_ok(st) ? s->notes & ~of_rows : 0);
	if (status_is_ok(st) && s->request)
		s->used[s->request - 1] = true;
	buf_fmt(&s->answer, "%s", st_code_name(st->code));
	return status_is_ok(st);
}

/* What came has rows: these notes mean something then. */
static void told_rows(struct side *s, size_t n, bool more)
{
	s->seen[s->asked] |= (n ? s->notes & (BEHIND | FILTERED) : 0) | (more ? MORE : 0);
	buf_fmt(&s->answer, "%s", more ? "\n and more" : "");
}

void said(void *data, const struct status *st)
{
	(void)begin(data, st);
}

void said_archived(void *data, const struct status *st, bool more)
{
	(void)more;
	said(data, st);
}

/* ---- jobs ---- */

size_t side_job(const struct side *s, const char *id)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		if (strcmp(s->jobs[i].text, id) == 0)
			return i;
	return SIZE_MAX;
}

static size_t keep(struct uuid *list, size_t *n, const struct uuid *id)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(list[i].text, id->text) == 0)
			return i;
	list[*n] = *id;
	return (*n)++;
}

static void know_job(struct side *s, const struct db_job *j)
{
	size_t i = keep(s->jobs, &s->n_jobs, &j->id);
	s->epochs[i] = j->epoch;
	s->running[i] = j->state == JOB_RUNNING;
	if (j->stack_id.text[0])
		s->of_stack[i] = 1 + keep(s->stacks, &s->n_stacks, &j->stack_id);
	if (j->deployment_id.text[0])
		s->of_release[i] = 1 + keep(s->releases, &s->n_releases, &j->deployment_id);
}

static void tell_job(struct side *s, const struct db_job *j)
{
	know_job(s, j);
	buf_fmt(&s->answer, "\n job");
	add_id(s, "id", &j->id);
	add_id(s, "project", &j->project_id);
	add_id(s, "stack", &j->stack_id);
	add_id(s, "release", &j->deployment_id);
	add_text(s, "project", j->project);
	add_text(s, "stack", j->stack);
	buf_fmt(&s->answer, " %s %s", job_kind_name(j->kind), job_state_name(j->state));
	add_json(s, "params", j->params);
	add_number(s, "epoch", j->epoch);
	add_number(s, "attempt", j->attempt);
	add_number(s, "max", j->max_attempts);
	add_number(s, "percent", j->percent);
	add_number(s, "takeovers", j->takeovers);
	buf_fmt(&s->answer, "%s%s", j->undoing ? " undoing" : "",
		j->cancel_requested ? " cancelled" : "");
	add_text(s, "step", j->step);
	add_text(s, "message", j->message);
	add_text(s, "error", j->error);
	add_text(s, "code", j->error_code);
	add_text(s, "owner", j->owner);
	add_texts(s, "warning", j->warnings, j->n_warnings);
	add_json(s, "failures", j->failures);
	add_number(s, "number", j->release_number);
	add_number(s, "last", j->last_sequence);
	add_time(s, "created", j->created_us);
	add_time(s, "run", j->run_us);
	add_time(s, "started", j->started_us);
	add_time(s, "finished", j->finished_us);
	add_number(s, "images", j->images);
	add_json(s, "attempts", j->attempts);
}

void said_job(void *data, const struct status *st, const struct db_job *j)
{
	if (begin(data, st))
		tell_job(data, j);
}

void said_jobs(void *data, const struct status *st, const struct db_job *j, size_t n, bool more)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	for (size_t i = 0; i < n; i++)
		tell_job(s, &j[i]);
	if (n && s->asked == PLACE_jobs_list)
		s->last_of[LIST_JOBS] = j[n - 1].id;
	told_rows(s, n, more);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct db_job *)a)->id.text, ((const struct db_job *)b)->id.text);
}

/* In no order. */
static const struct db_job *sorted(struct side *s, const struct db_job *j, size_t n)
{
	struct db_job *copy = n ? arena_memdup(s->arena, j, n * sizeof(*j)) : NULL;
	if (n)
		qsort(copy, n, sizeof(*copy), by_id);
	return copy;
}

static void tell_by_id(struct side *s, const struct db_job *j, size_t n)
{
	const struct db_job *list = sorted(s, j, n);
	for (size_t i = 0; i < n; i++)
		tell_job(s, &list[i]);
}

void said_view(void *data, const struct status *st, const struct db_job *j, size_t n, unsigned paused_kinds)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	buf_fmt(&s->answer, " paused %x", paused_kinds);
	tell_by_id(s, j, n);
	told_rows(s, n, false);
}

void said_renewed(void *data, const struct status *st, const struct db_job *j, size_t n, bool more)
{
	said_jobs(data, st, sorted(data, j, n), n, more);
}

void said_events(void *data, const struct status *st, const struct db_event *e, size_t n)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	for (size_t i = 0; i < n; i++) {
		buf_fmt(&s->answer, "\n event %lld %s", (long long)e[i].sequence, e[i].kind);
		add_text(s, "message", e[i].message);
		add_text(s, "service", e[i].service);
		add_text(s, "step", e[i].step);
		add_text(s, "state", e[i].state);
		add_number(s, "percent", e[i].percent);
		add_number(s, "running", e[i].running);
		add_number(s, "wanted", e[i].wanted);
		add_time(s, "time", e[i].time_us);
	}
	told_rows(s, n, n == s->limit);
}

void said_look(void *data, const struct status *st, const struct db_look *l)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	s->turn = l->turn;
	s->n_picks = 0;
	buf_fmt(&s->answer, " expired=%u due=%s", l->expired,
		l->due_ms < 0 ? "never" : l->due_ms > 600000 ? "later" : "soon");
	for (size_t i = 0; i < l->n; i++) {
		const struct db_queue *q = &l->queues[i];
		buf_fmt(&s->answer, "\n queue");
		add_id(s, "project", &q->project_id);
		buf_fmt(&s->answer, " %s waiting=%u running=%u/%u weight=%u cap=%u",
			job_kind_name(q->kind), q->waiting, q->project_running, q->kind_running,
			q->weight, q->max_running);
		add_time(s, "oldest", q->oldest_us);
		if (s->n_picks < sizeof(s->picks) / sizeof(*s->picks))
			s->picks[s->n_picks++] =
				(struct db_pick){q->project_id, q->kind, q->waiting};
	}
}

/* ---- schedules ---- */

static void know_schedule(struct side *s, const struct db_schedule *t)
{
	if (s->n_schedules == sizeof(s->schedules) / sizeof(*s->schedules) && strcmp(s->schedules[0].text, t->id.text) != 0)
		s->n_schedules--; /* the last place is everybody's */
	s->revisions[keep(s->schedules, &s->n_schedules, &t->id)] = t->revision;
}

static void tell_schedule(struct side *s, const struct db_schedule *t)
{
	know_schedule(s, t);
	buf_fmt(&s->answer, "\n schedule");
	add_id(s, "id", &t->id);
	add_id(s, "project", &t->project_id);
	add_id(s, "stack", &t->stack_id);
	add_text(s, "project", t->project);
	add_text(s, "stack", t->stack);
	add_text(s, "name", t->name);
	buf_fmt(&s->answer, " %s%s", schedule_action_name(t->action), t->paused ? " paused" : "");
	add_json(s, "params", t->params);
	add_text(s, "cron", t->cron);
	add_text(s, "zone", t->time_zone);
	add_text(s, "by", t->created_by);
	add_number(s, "jitter", t->jitter_s);
	add_number(s, "missed", t->missed);
	add_number(s, "next", t->next_us);
	add_number(s, "due", t->due_us);
	add_number(s, "revision", t->revision);
	add_time(s, "last", t->last_us);
	add_number(s, "outcome", t->last_outcome);
	add_text(s, "message", t->last_message);
	add_id(s, "job", &t->last_job_id);
	add_text(s, "error", t->last_job_error);
	buf_fmt(&s->answer, " %s", job_state_name(t->last_job_state));
}

void said_schedules(void *data, const struct status *st, const struct db_schedule *t, size_t n, bool more)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	for (size_t i = 0; i < n; i++)
		tell_schedule(s, &t[i]);
	if (n)
		s->last_of[LIST_SCHEDULES] = t[n - 1].id;
	told_rows(s, n, more);
}

void said_schedule(void *data, const struct status *st, const struct db_schedule *t)
{
	if (begin(data, st))
		tell_schedule(data, t);
}

void said_due(void *data, const struct status *st, const struct db_schedule *t, size_t n, int64_t now_us, int64_t due_ms)
{
	struct side *s = data;
	(void)now_us;
	if (!begin(s, st))
		return;
	buf_fmt(&s->answer, " %s", due_ms < 0 ? "none later" : "some later");
	s->n_due = n < 8 ? n : 8;
	for (size_t i = 0; i < n; i++)
		tell_schedule(s, &t[i]);
	for (size_t i = 0; i < s->n_due; i++) {
		s->due[i] = t[i];
		s->due[i].name = arena_strdup(s->arena, t[i].name);
		s->due[i].params = str_of(str_dup(s->arena, t[i].params));
	}
}

/* ---- the stream ---- */

void said_position(void *data, const struct status *st, struct db_stream_position at)
{
	struct side *s = data;
	if (begin(s, st))
		s->stream = at;
}

void said_stream(void *data, const struct status *st, const struct db_stream_batch *b)
{
	struct side *s = data;
	s->done = true;
	s->seen[s->asked] |= SEEN(st->code) | (status_is_ok(st) ? s->notes & SCOPED : 0);
	s->stream_held = status_is_ok(st) && b->held;
	s->stream_more = status_is_ok(st) && b->more;
	if (!status_is_ok(st))
		buf_fmt(&s->answer, "%s", st_code_name(st->code));
	if (!status_is_ok(st))
		return;
	s->stream = b->next;
	if (b->n == 0)
		return;
	s->seen[s->asked] |= (s->notes & (BEHIND | FILTERED)) | (b->more ? MORE : 0);
	struct streamed *all = arena_array(s->arena, struct streamed, s->n_streamed + b->n);
	if (s->n_streamed)
		memcpy(all, s->streamed, s->n_streamed * sizeof(*all));
	for (size_t i = 0; i < b->n; i++) {
		const struct db_stream_event *e = &b->events[i];
		all[s->n_streamed++] = (struct streamed){number_of(s, e->job_id.text), e->e.sequence,
			arena_fmt(s->arena, "%s/%s %s %s %s", e->project, e->stack, e->e.kind, e->e.state, e->e.step)};
	}
	s->streamed = all;
}

static int by_job(const void *a, const void *b)
{
	const struct streamed *x = a, *y = b;
	if (x->job != y->job)
		return x->job < y->job ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

void tell_stream(struct side *s)
{
	for (size_t i = 0; i < s->n_streamed; i++)
		for (size_t k = i + 1; k < s->n_streamed; k++)
			if (s->streamed[k].job == s->streamed[i].job && s->streamed[k].number <= s->streamed[i].number)
				buf_adds(&s->answer, "\n out of order:");
	if (s->n_streamed)
		qsort(s->streamed, s->n_streamed, sizeof(*s->streamed), by_job);
	for (size_t i = 0; i < s->n_streamed; i++)
		buf_fmt(&s->answer, "\n streamed job #%zu %lld %s", s->streamed[i].job, (long long)s->streamed[i].number,
			s->streamed[i].text);
	s->n_streamed = 0;
}

void said_stats(void *data, const struct status *st, const struct db_job_stats *t)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	buf_fmt(&s->answer, " running=%u/%u ended=%u failed=%u submitted=%u", t->running, t->slots, t->ended, t->failed, t->submitted);
	for (size_t i = 0; i < t->n_waiting; i++) {
		const struct db_waiting *w = &t->waiting[i];
		buf_fmt(&s->answer, "\n waiting%s behind %u, running %u/%u of %u", w->later ? " later" : "", w->before,
			w->project_running, w->kind_running, w->max_running);
		add_id(s, "blocker", &w->blocker);
		add_text(s, "pause", w->pause);
		tell_job(s, &w->job);
	}
	for (size_t i = 0; i < t->n_queues; i++) {
		const struct db_queue_stats *q = &t->queues[i];
		buf_fmt(&s->answer, "\n queue %s %s %u/%u", q->project, job_kind_name(q->kind), q->waiting, q->running);
		add_time(s, "oldest", q->oldest_us);
	}
	for (size_t i = 0; i < t->n_pauses; i++) {
		buf_fmt(&s->answer, "\n pause %s %s", t->pauses[i].project, job_kind_name(t->pauses[i].kind));
		add_text(s, "reason", t->pauses[i].reason);
	}
	for (size_t i = 0; i < t->n_daemons; i++) {
		const struct db_daemon *d = &t->daemons[i];
		buf_fmt(&s->answer, "\n daemon %s %s %u/%u%s", d->host, d->version, d->running, d->slots, d->alive ? "" : " silent");
		add_id(s, "id", &d->id);
		add_time(s, "started", d->started_us);
		add_time(s, "seen", d->seen_us);
	}
	if (t->n_running_jobs < s->limit) /* claimed together they began in no order */
		tell_by_id(s, t->running_jobs, t->n_running_jobs);
}

void said_writes(void *data, const struct status *st, const bool *held, size_t n)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	for (size_t i = 0; i < n; i++)
		buf_fmt(&s->answer, " %s", held[i] ? "held" : "lost");
}

/* ---- stacks ---- */

static void tell_stack(struct side *s, const struct db_stack *t)
{
	s->active[keep(s->stacks, &s->n_stacks, &t->id)] = t->active_deployment_id;
	buf_fmt(&s->answer, "\n stack");
	add_id(s, "id", &t->id);
	add_id(s, "project", &t->project_id);
	add_id(s, "active", &t->active_deployment_id);
	add_id(s, "job", &t->last_job_id);
	add_text(s, "project", t->project);
	add_text(s, "name", t->name);
	add_text(s, "namespace", t->namespace_);
	add_text(s, "message", t->status_message);
	add_text(s, "unfinished", t->unfinished);
	buf_fmt(&s->answer, " %s%s%s%s", stack_status_name(t->status),
		t->repairs_drift ? " repairs" : "", t->at_work ? " at_work" : "",
		t->adopted ? " adopted" : "");
	add_number(s, "number", t->active_number);
	add_time(s, "created", t->created_us);
	buf_fmt(&s->answer, " %d/%d", t->services_running, t->services_total);
	for (size_t i = 0; i < t->n_services; i++) {
		const struct db_service *v = &t->services[i];
		buf_fmt(&s->answer, "\n  service %s %s %s %d/%d", v->service, v->mode,
			service_state_name(v->state), v->running, v->wanted);
		add_text(s, "id", v->engine_id);
		add_text(s, "name", v->engine_name);
		add_text(s, "image", v->image);
		add_text(s, "message", v->message);
	}
}

void said_stack(void *data, const struct status *st, const struct db_stack *t)
{
	if (begin(data, st))
		tell_stack(data, t);
}

void said_stacks(void *data, const struct status *st, const struct db_stack *t, size_t n, bool more)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	for (size_t i = 0; i < n; i++)
		tell_stack(s, &t[i]);
	if (n)
		s->last_of[s->asked == PLACE_stacks_list ? LIST_STACKS : LIST_WATCHED] = t[n - 1].id;
	told_rows(s, n, more);
}

static void tell_release(struct side *s, const struct db_release *r)
{
	static const char *const states[] = {"", "pending", "active", "superseded", "failed"};
	add_id(s, "id", &r->id);
	add_id(s, "stack", &r->stack_id);
	add_id(s, "project", &r->project_id);
	add_id(s, "job", &r->job_id);
	buf_fmt(&s->answer, " %lld %s", (long long)r->number, states[r->state]);
	add_number(s, "policy", r->on_failure);
	add_number(s, "stall", r->stall_seconds);
	add_number(s, "back_to", r->rolled_back_to);
	add_text(s, "message", r->message);
	add_text(s, "by", r->created_by);
	add_texts(s, "image", r->images, r->n_images);
	add_time(s, "created", r->created_us);
	add_time(s, "finished", r->finished_us);
	add_text(s, "source", str_dup(s->arena, r->source));
	add_text(s, "rendered", str_dup(s->arena, r->rendered));
}

void said_release(void *data, const struct status *st, const struct db_release *r)
{
	if (begin(data, st))
		tell_release(data, r);
}

void said_releases(void *data, const struct status *st, const struct db_release *r, size_t n, bool more)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	for (size_t i = 0; i < n; i++) {
		buf_fmt(&s->answer, "\n release");
		tell_release(s, &r[i]);
	}
	if (n)
		s->last_of[LIST_RELEASES] = r[n - 1].id;
	told_rows(s, n, more);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct db_reserved *)a)->name, ((const struct db_reserved *)b)->name);
}

void said_reserved(void *data, const struct status *st, const struct db_reserved *r, size_t n)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	struct db_reserved *list = n ? arena_memdup(s->arena, r, n * sizeof(*r)) : NULL; /* in no order */
	if (n)
		qsort(list, n, sizeof(*list), by_text);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&s->answer, "\n %s by %s", list[i].name, list[i].stack);
	told_rows(s, n, false);
}

void said_objects(
	void *data, const struct status *st, const struct db_release_objects *r, size_t n)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	for (size_t i = 0; i < n; i++) {
		buf_fmt(&s->answer, "\n release %lld", (long long)r[i].number);
		add_texts(s, "object", r[i].objects, r[i].n_objects);
	}
}

static void tell_etag(struct side *s, const struct db_project *p)
{
	size_t i = 0;
	while (i < s->n_etags && strcmp(s->etags[i].name, p->name) != 0)
		i++;
	struct side_etag *e = &s->etags[i];
	buf_fmt(&s->answer, " %s etag", i < s->n_etags && strcmp(e->etag, p->etag) == 0 ? "same" : "new");
	s->n_etags += i == s->n_etags;
	(void)snprintf(e->name, sizeof(e->name), "%s", p->name);
	(void)snprintf(e->etag, sizeof(e->etag), "%s", p->etag);
}

static void tell_project(struct side *s, const struct db_project *p)
{
	add_id(s, "id", &p->id);
	add_text(s, "name", p->name);
	add_text(s, "description", p->description);
	buf_fmt(&s->answer, " stacks=%d policy=%d weight=%d cap=%d", p->stacks,
		(int)p->drift_policy, p->weight, p->max_running);
	add_time(s, "created", p->created_us);
	tell_etag(s, p);
}

void said_project(void *data, const struct status *st, const struct db_project *p)
{
	if (begin(data, st))
		tell_project(data, p);
}

void said_projects(void *data, const struct status *st, const struct db_project *p, size_t n, bool more)
{
	struct side *s = data;
	if (!begin(s, st))
		return;
	for (size_t i = 0; i < n; i++) {
		buf_fmt(&s->answer, "\n project");
		tell_project(s, &p[i]);
	}
	if (n)
		s->last_of[LIST_PROJECTS] = p[n - 1].id;
	told_rows(s, n, more);
}
