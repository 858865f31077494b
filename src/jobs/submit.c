#include "jobs/submit.h"

#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "db/jobs.h"
#include "jobs/gather.h"

struct job_submit {
	struct gather gather;
	struct db *db;
};

struct submission {
	struct gather_item item;
	struct arena *arena;
	struct db_new_job job;
	void (*done)(void *data, const struct status *st);
	void *data;
};

static struct submission *submission_of(struct gather_item *item)
{
	return container_of(item, struct submission, item);
}

static void on_added(void *data, const struct status *st, const bool *held, size_t n)
{
	(void)n;
	gather_landed(data, st, held);
}

static void send_jobs(struct gather *g, struct gather_load *load)
{
	struct job_submit *s = container_of(g, struct job_submit, gather);
	struct db_new_job jobs[DB_WRITES_MAX];
	for (size_t i = 0; i < load->n; i++)
		jobs[i] = submission_of(load->items[i])->job;
	s->db->jobs->add(s->db, jobs, load->n, on_added, load);
}

static void tell_caller(struct gather *g, struct gather_item *item, const struct status *st, bool held)
{
	struct submission *w = submission_of(item);
	struct status gone;
	(void)g;
	if (status_is_ok(st) && !held) {
		gone = status_err(ST_NOT_FOUND, "project \"%s\" does not exist", w->job.project_id);
		st = &gone;
	}
	w->done(w->data, st);
	arena_destroy(w->arena);
}

struct job_submit *job_submit_create(struct loop *l, struct db *db)
{
	struct job_submit *s = mem_zalloc(sizeof(*s));
	s->db = db;
	gather_init(&s->gather, l, DB_WRITES_MAX, send_jobs, tell_caller);
	return s;
}

void job_submit_destroy(struct job_submit *s)
{
	if (!s)
		return;
	gather_finish(&s->gather);
	free(s);
}

void job_submit_add(struct job_submit *s, const struct db_new_job *job,
	void (*done)(void *data, const struct status *st), void *data)
{
	struct arena *a = arena_create();
	struct submission *w = arena_new(a, struct submission);
	w->arena = a;
	w->job = *job;
	w->job.project_id = arena_strdup(a, job->project_id);
	w->job.params = str_of(str_dup(a, job->params));
	w->job.by = arena_strdup(a, job->by);
	w->done = done;
	w->data = data;
	gather_put(&s->gather, &w->item);
}
