/* The stream of all events, as src/db/events.c reads it: in the order of (transaction, sequence), below the oldest transaction
 * that has not ended. Each operation of the store is a transaction of its own; store_open makes those that stay open. */
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

struct store_open {
	int64_t xact;
	struct store_streamed *events;
	size_t n;
};

static void put(struct store *s, struct store_streamed e)
{
	s->stream = mem_realloc_array(s->stream, sizeof(*s->stream), s->n_stream + 1);
	size_t at = s->n_stream++;
	for (; at > 0 && (s->stream[at - 1].xact > e.xact || (s->stream[at - 1].xact == e.xact && s->stream[at - 1].seq > e.seq)); at--)
		s->stream[at] = s->stream[at - 1];
	s->stream[at] = e;
}

/* What one operation says of one job in one moment is of one transaction. */
void store_stream_add(struct store *s, const struct store_job *j, const struct db_event *e)
{
	int64_t now = store_now_us(s);
	if (now != s->streamed_us || j != s->streamed_job)
		s->xact++;
	s->streamed_us = now;
	s->streamed_job = j;
	put(s, (struct store_streamed){s->xact, ++s->stream_seq, j->row.project_id, j->row.stack_id, j->row.id, *e});
}

struct store_open *store_open(struct store *s)
{
	struct store_open *o = mem_new(struct store_open);
	o->xact = ++s->xact;
	s->streamed_job = NULL;
	s->open = mem_realloc_array(s->open, sizeof(struct store_open *), s->n_open + 1);
	s->open[s->n_open++] = o;
	return o;
}

void store_open_event(struct store *s, struct store_open *o)
{
	const struct db_event e = {.time_us = store_now_us(s), .kind = "test", .message = "", .service = "", .step = "", .state = ""};
	o->events = mem_realloc_array(o->events, sizeof(*o->events), o->n + 1);
	o->events[o->n++] = (struct store_streamed){o->xact, ++s->stream_seq, {""}, {""}, {""}, e};
}

void store_open_commit(struct store *s, struct store_open *o)
{
	for (size_t i = 0; i < s->n_open; i++)
		if (s->open[i] == o)
			s->open[i--] = s->open[--s->n_open];
	for (size_t i = 0; i < o->n; i++)
		put(s, o->events[i]);
	free(o->events);
	free(o);
	store_tell(s, "skep_events", "");
}

/* The oldest transaction that has not ended, or the next one. */
static int64_t horizon(const struct store *s)
{
	int64_t xmin = s->xact + 1;
	for (size_t i = 0; i < s->n_open; i++)
		xmin = s->open[i]->xact < xmin ? s->open[i]->xact : xmin;
	return xmin;
}

int64_t store_stream_end(const struct store *s)
{
	int64_t xmin = horizon(s);
	for (size_t i = s->n_stream; i-- > 0;)
		if (s->stream[i].xact < xmin)
			return s->stream[i].xact + 1;
	return 0;
}

static bool is_of_kind(const char *kind, const struct db_stream_filter *f)
{
	for (size_t i = 0; i < f->n_kinds; i++) {
		size_t n = strlen(f->kinds[i]);
		if (strncmp(kind, f->kinds[i], n) == 0 && (kind[n] == '.' || kind[n] == '\0'))
			return true;
	}
	return f->n_kinds == 0;
}

/* By id, or by the name of one that is there. */
static bool is_of_stack(struct store *s, const struct store_streamed *e, const char *asked)
{
	const struct store_stack *t = store_stack_find(s, e->stack_id.text);
	return !asked[0] || strcmp(e->stack_id.text, asked) == 0 || (t && strcmp(t->row.name, asked) == 0);
}

static struct db_stream_event told(struct store *s, const struct store_streamed *e)
{
	const struct store_project *p = store_project_find(s, e->project_id.text);
	const struct store_stack *t = store_stack_find(s, e->stack_id.text);
	return (struct db_stream_event){.at = {e->xact, e->seq}, .project_id = e->project_id, .stack_id = e->stack_id,
		.job_id = e->job_id, .project = p ? p->row.name : "", .stack = t ? t->row.name : "", .e = e->e};
}

struct status store_stream_read(struct store *s, struct arena *a, const struct db_scope *scope, const struct db_stream_filter *f,
	struct db_stream_position after, unsigned limit, struct db_stream_batch *ret_batch)
{
	struct db_stream_event *events = arena_array(a, struct db_stream_event, limit);
	int64_t xmin = horizon(s), end = store_stream_end(s);
	struct store_project *p;
	struct status st = store_project_or_all(s, scope, f->project, &p);
	size_t n = 0;
	if (!status_is_ok(&st))
		return st;
	s->streamed_job = NULL; /* what is said next, in this moment too, is of a transaction that has not begun */
	for (size_t i = 0; i < s->n_stream && n < limit && s->stream[i].xact < xmin; i++) {
		const struct store_streamed *e = &s->stream[i];
		bool behind = e->xact > after.xact || (e->xact == after.xact && e->seq > after.seq);
		if (behind && is_of_kind(e->e.kind, f) && is_of_stack(s, e, f->stack) &&
			(!p || strcmp(p->row.id.text, e->project_id.text) == 0))
			events[n++] = told(s, e);
	}
	*ret_batch = (struct db_stream_batch){.events = events, .n = n, .more = n == limit,
		.held = s->n_stream > 0 && s->stream[s->n_stream - 1].xact >= xmin,
		.next = n == limit ? events[n - 1].at : end > after.xact ? (struct db_stream_position){end, 0} : after};
	return status_ok();
}

void store_stream_finish(struct store *s)
{
	while (s->n_open > 0)
		store_open_commit(s, s->open[0]);
	free(s->stream);
	free(s->open);
}
