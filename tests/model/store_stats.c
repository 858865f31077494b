/* What Jobs.Stats tells, which daemons there are, and what housekeeping takes away. */
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define MINUTE_US    INT64_C(60000000)
#define ALIVE_US     INT64_C(10000000)
#define FORGOTTEN_US INT64_C(3600000000)

static bool in_scope(const struct store_project *p, const struct store_job *j)
{
	return !p || strcmp(p->row.id.text, j->row.project_id.text) == 0;
}

static bool is_waiting(const struct store_job *j)
{
	return j->row.state == JOB_PENDING;
}

static bool is_running(const struct store_job *j)
{
	return j->row.state == JOB_RUNNING;
}

/* ---- what waits ---- */

struct waiting {
	struct db_waiting w;
	unsigned priority, place;
};

static int in_project_order(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;
	const struct db_job *j = &x->w.job, *k = &y->w.job;
	int order = strcmp(j->project, k->project);
	if (order)
		return order;
	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	if (j->run_us != k->run_us)
		return j->run_us < k->run_us ? -1 : 1;
	return strcmp(j->id.text, k->id.text);
}

/* Those of its stack that go first; one that runs is the one to blame. */
static unsigned count_before(const struct store *s, const struct store_job *j, struct uuid *ret_blocker)
{
	const struct store_job *blocker = NULL;
	unsigned n = 0;
	for (size_t i = 0; i < s->n_jobs && j->row.stack_id.text[0]; i++) {
		const struct store_job *x = s->jobs[i];
		bool older = is_waiting(x) && strcmp(x->row.id.text, j->row.id.text) < 0;
		if (strcmp(x->row.stack_id.text, j->row.stack_id.text) != 0 || !(is_running(x) || older))
			continue;
		n++;
		if (!blocker || (is_running(x) && !is_running(blocker)))
			blocker = x;
	}
	if (blocker)
		*ret_blocker = blocker->row.id;
	return n;
}

static const char *pause_of(const struct store *s, struct arena *a, const struct store_project *p, enum job_kind kind)
{
	const char *reason = p->pause ? p->pause : s->kind_pauses[kind];
	const char *what = p->pause ? "the project is paused" : arena_fmt(a, "jobs of kind %s are paused", job_kind_name(kind));
	return !reason ? "" : reason[0] ? arena_fmt(a, "%s: %s", what, reason) : what;
}

static struct db_waiting waiting_of(struct store *s, struct arena *a, const struct store_job *j)
{
	const struct store_project *p = store_project_find(s, j->row.project_id.text);
	struct db_waiting w = {.job = store_job_row(j, a), .pause = pause_of(s, a, p, j->row.kind),
		.later = j->row.run_us > store_now_us(s), .max_running = (unsigned)p->row.max_running};
	w.before = count_before(s, j, &w.blocker);
	for (size_t i = 0; i < s->n_jobs; i++) {
		bool runs = is_running(s->jobs[i]) && in_scope(p, s->jobs[i]);
		w.project_running += runs;
		w.kind_running += runs && s->jobs[i]->row.kind == j->row.kind;
	}
	return w;
}

static int by_place(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;
	int order = strcmp(x->w.job.project, y->w.job.project);
	return order ? order : (int)x->place - (int)y->place;
}

static void tell_waiting(struct store *s, struct arena *a, const struct store_project *p, const unsigned *priorities,
	unsigned limit, struct db_job_stats *ret)
{
	struct waiting *list = arena_array(a, struct waiting, s->n_jobs + 1);
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++)
		if (is_waiting(s->jobs[i]) && in_scope(p, s->jobs[i]))
			list[n++] = (struct waiting){waiting_of(s, a, s->jobs[i]), priorities[s->jobs[i]->row.kind], 0};
	qsort(list, n, sizeof(*list), in_project_order);
	for (size_t i = 1; i < n; i++)
		list[i].place = strcmp(list[i].w.job.project, list[i - 1].w.job.project) == 0 ? list[i - 1].place + 1 : 0;
	qsort(list, n, sizeof(*list), by_place);
	ret->n_waiting = n < limit ? n : limit;
	struct db_waiting *waiting = arena_array(a, struct db_waiting, ret->n_waiting);
	for (size_t i = 0; i < ret->n_waiting; i++) {
		waiting[i] = list[i].w;
		if (list[i].place > waiting[i].before)
			waiting[i].before = list[i].place;
	}
	ret->waiting = waiting;
}

/* ---- what there is ---- */

static int by_queue(const void *a, const void *b)
{
	const struct db_queue_stats *x = a, *y = b;
	int order = strcmp(x->project, y->project);
	return order ? order : (int)x->kind - (int)y->kind;
}

static void tell_queues(const struct store *s, struct arena *a, const struct store_project *p, struct db_job_stats *ret)
{
	struct db_queue_stats *queues = arena_array(a, struct db_queue_stats, s->n_jobs + 1);
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct store_job *j = s->jobs[i];
		size_t at = 0;
		if (!in_scope(p, j) || !(is_waiting(j) || is_running(j)))
			continue;
		const struct db_job row = store_job_row(j, a);
		while (at < n && (queues[at].kind != row.kind || strcmp(queues[at].project, row.project) != 0))
			at++;
		if (at == n)
			queues[n++] = (struct db_queue_stats){.project = row.project, .kind = row.kind};
		struct db_queue_stats *q = &queues[at];
		q->running += is_running(j);
		q->waiting += is_waiting(j);
		if (is_waiting(j) && (q->oldest_us == 0 || row.run_us < q->oldest_us))
			q->oldest_us = row.run_us;
	}
	qsort(queues, n, sizeof(*queues), by_queue);
	ret->queues = queues;
	ret->n_queues = n;
}

static int by_name(const void *a, const void *b)
{
	const struct db_pause *x = a, *y = b;
	int order = strcmp(x->project, y->project);
	return order ? order : strcmp(job_kind_name(x->kind), job_kind_name(y->kind));
}

static void tell_pauses(const struct store *s, struct arena *a, const struct store_project *p, struct db_job_stats *ret)
{
	struct db_pause *pauses = arena_array(a, struct db_pause, s->n_projects + JOB_KINDS);
	size_t n = 0;
	for (int k = 0; k < JOB_KINDS; k++)
		if (s->kind_pauses[k])
			pauses[n++] = (struct db_pause){.project = "", .kind = (enum job_kind)k, .reason = s->kind_pauses[k]};
	for (size_t i = 0; i < s->n_projects; i++)
		if (s->projects[i]->pause && (!p || p == s->projects[i]))
			pauses[n++] = (struct db_pause){.project = s->projects[i]->row.name, .reason = s->projects[i]->pause};
	qsort(pauses, n, sizeof(*pauses), by_name);
	ret->pauses = pauses;
	ret->n_pauses = n;
}

static int by_start(const void *a, const void *b)
{
	const struct db_job *x = a, *y = b;
	if (x->started_us != y->started_us)
		return x->started_us < y->started_us ? -1 : 1;
	return strcmp(x->id.text, y->id.text);
}

static void tell_running(const struct store *s, struct arena *a, const struct store_project *p, unsigned limit,
	struct db_job_stats *ret)
{
	struct db_job *jobs = arena_array(a, struct db_job, s->n_jobs + 1);
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++)
		if (is_running(s->jobs[i]) && in_scope(p, s->jobs[i]))
			jobs[n++] = store_job_row(s->jobs[i], a);
	qsort(jobs, n, sizeof(*jobs), by_start);
	ret->running_jobs = jobs;
	ret->n_running_jobs = n < limit ? n : limit;
}

/* ---- daemons ---- */

static bool is_alive(const struct store *s, const struct db_daemon *d)
{
	return d->seen_us > store_now_us(s) - ALIVE_US;
}

static void tell_daemons(const struct store *s, struct arena *a, bool everywhere, struct db_job_stats *ret)
{
	struct db_daemon *daemons = arena_array(a, struct db_daemon, s->n_daemons + 1);
	for (size_t i = 0; i < s->n_daemons; i++) {
		struct db_daemon *d = &daemons[i];
		*d = s->daemons[i];
		d->alive = is_alive(s, d);
		ret->slots += d->alive ? d->slots : 0;
		for (size_t k = 0; k < s->n_jobs; k++)
			d->running += is_running(s->jobs[k]) && strcmp(s->jobs[k]->row.owner, d->id.text) == 0;
	}
	ret->daemons = daemons;
	ret->n_daemons = everywhere ? s->n_daemons : 0;
}

void store_alive(struct store *s, const struct db_daemon *d)
{
	size_t at = 0, n = 0;
	while (at < s->n_daemons && strcmp(s->daemons[at].id.text, d->id.text) != 0)
		at++;
	if (at == s->n_daemons) {
		s->daemons = mem_realloc_array(s->daemons, sizeof(*s->daemons), ++s->n_daemons);
		s->daemons[at] = (struct db_daemon){.id = d->id, .host = arena_strdup(s->arena, d->host),
			.version = arena_strdup(s->arena, d->version), .started_us = store_now_us(s)};
	}
	s->daemons[at].slots = d->slots;
	s->daemons[at].seen_us = store_now_us(s);
	for (size_t i = 0; i < s->n_daemons; i++)
		if (s->daemons[i].seen_us >= store_now_us(s) - FORGOTTEN_US)
			s->daemons[n++] = s->daemons[i];
	s->n_daemons = n;
}

void store_gone(struct store *s, const char *id)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n_daemons; i++)
		if (strcmp(s->daemons[i].id.text, id) != 0)
			s->daemons[n++] = s->daemons[i];
	s->n_daemons = n;
}

struct status store_stats(struct store *s, struct arena *a, const struct db_scope *scope, const char *project,
	const unsigned *priorities, unsigned limit, struct db_job_stats *ret)
{
	struct store_project *p;
	struct status st = store_project_or_all(s, scope, project, &p);
	if (!status_is_ok(&st))
		return st;
	*ret = (struct db_job_stats){0};
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct store_job *j = s->jobs[i];
		if (j->archived)
			continue;
		bool lately = in_scope(p, j) && j->row.finished_us > store_now_us(s) - MINUTE_US;
		ret->running += is_running(j);
		ret->ended += lately;
		ret->failed += lately && j->row.state == JOB_FAILED;
		ret->submitted += in_scope(p, j) && j->row.created_us > store_now_us(s) - MINUTE_US;
	}
	tell_waiting(s, a, p, priorities, limit, ret);
	tell_queues(s, a, p, ret);
	tell_pauses(s, a, p, ret);
	tell_daemons(s, a, p == NULL, ret);
	tell_running(s, a, p, limit, ret);
	return status_ok();
}

/* ---- housekeeping ---- */

static bool is_replaced(const struct store_release *r)
{
	return r->row.state == RELEASE_SUPERSEDED || r->row.state == RELEASE_FAILED;
}

static bool is_worked_at(const struct store *s, const struct store_release *r)
{
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct db_job *j = &s->jobs[i]->row;
		if ((j->state == JOB_PENDING || j->state == JOB_RUNNING) &&
			(strcmp(j->deployment_id.text, r->row.id.text) == 0 || strcmp(j->id.text, r->row.job_id.text) == 0))
			return true;
	}
	return false;
}

/* The texts of releases that were replaced or failed, behind the newest `keep` of their kind and stack. */
void store_keep_house(struct store *s, unsigned keep)
{
	for (size_t i = 0; i < s->n_releases; i++) {
		struct store_release *r = s->releases[i];
		unsigned newer = 0;
		for (size_t k = 0; k < s->n_releases; k++) {
			const struct store_release *o = s->releases[k];
			newer += !o->archived && o->row.state == r->row.state && o->row.number > r->row.number &&
				 strcmp(o->row.stack_id.text, r->row.stack_id.text) == 0;
		}
		if (is_replaced(r) && !r->archived && newer >= keep && !is_worked_at(s, r))
			r->leaves = true;
	}
	for (size_t i = 0; i < s->n_releases; i++) {
		struct store_release *r = s->releases[i];
		if (!r->leaves)
			continue;
		r->leaves = false;
		r->archived = true;
		r->source = r->rendered = (struct str){"", 0};
		r->has_rendered = false;
		r->n_objects = 0;
	}
}

static bool is_newest(const struct store *s, const struct store_job *j)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		if (!s->jobs[i]->archived && strcmp(s->jobs[i]->row.stack_id.text, j->row.stack_id.text) == 0 &&
			strcmp(s->jobs[i]->row.id.text, j->row.id.text) > 0)
			return false;
	return true;
}

/* The newest of each stack stays. What the archive holds of a project that is gone leaves, one project at a time. */
void store_archive(struct store *s, int64_t age_s)
{
	struct uuid gone = {""};
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct store_job *j = s->jobs[i];
		if (!j->archived && job_state_is_end(j->row.state) && j->row.finished_us < store_now_us(s) - age_s * 1000000)
			j->leaves = !j->row.stack_id.text[0] || !is_newest(s, j);
		if (!gone.text[0] && !store_project_find(s, j->row.project_id.text))
			gone = j->row.project_id;
	}
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct store_job *j = s->jobs[i];
		j->archived |= j->leaves;
		j->leaves = false;
		if (strcmp(j->row.project_id.text, gone.text) == 0)
			store_job_drop(j);
		else
			s->jobs[n++] = j;
	}
	s->n_jobs = n;
}
