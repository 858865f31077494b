/* skep.v1.Jobs.Watch: a job's events from the database, in order, from where the caller left off; then again after each
 * piece of news, and after a second without, until the job has ended. News may be missed or doubled: what is sent is only what was
 * read. */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "api/hub.h"
#include "base/arena.h"
#include "loop/loop.h"

#define BATCH    100
#define QUIET_MS 1000 /* until the next look without news: who stored something may have died before it told of it */

struct job_watch {
	struct rpc_call *call;
	struct api_subscription news;
	struct timer quiet;
	struct uuid id; /* as news has it: in lower case */
	int64_t after;
	bool reading; /* a read is under way */
	bool dirty;   /* and there was news since it began */
	bool full;    /* the caller takes no more for now */
	bool left;    /* the caller is gone */
	bool ended;   /* so was the job, and what it has told before that was read */
};

static void read_events(struct job_watch *w);

static void leave(struct job_watch *w, const struct status *st)
{
	api_hub_unsubscribe(&w->news);
	timer_stop(&w->quiet);
	api_fail(w->call, st);
}

static bool has_left(struct job_watch *w)
{
	struct status st = status_err(ST_CANCELLED, "the caller left");
	w->reading = false;
	if (!w->left)
		return false;
	leave(w, &st); /* which ends the call, and frees `w` */
	return true;
}

static void on_job(void *data, const struct status *st, const struct db_job *j)
{
	struct job_watch *w = data;
	if (has_left(w))
		return;
	if (!status_is_ok(st)) {
		leave(w, st);
	} else if (job_state_is_end(j->state) && (j->last_sequence <= w->after || w->ended)) {
		struct arena *a = arena_create();
		Skep__V1__WatchJobResponse last = SKEP__V1__WATCH_JOB_RESPONSE__INIT;
		struct status ok = status_ok();
		last.job = api_job(a, j);
		(void)rpc_call_send(w->call, &last.base);
		arena_destroy(a);
		leave(w, &ok);
	} else if (w->dirty || j->last_sequence > w->after) {
		w->ended = job_state_is_end(j->state);
		read_events(w);
	} else {
		timer_set(&w->quiet, QUIET_MS);
	}
}

static void on_events(void *data, const struct status *st, const struct db_event *e, size_t n)
{
	struct job_watch *w = data;
	if (has_left(w))
		return;
	if (!status_is_ok(st)) {
		leave(w, st);
		return;
	}
	struct arena *a = arena_create();
	for (size_t i = 0; i < n; i++) {
		Skep__V1__WatchJobResponse m = SKEP__V1__WATCH_JOB_RESPONSE__INIT;
		m.event = api_event(a, &e[i]);
		w->full = !rpc_call_send(w->call, &m.base);
		w->after = e[i].sequence;
	}
	arena_destroy(a);
	w->ended &= n == 0; /* its last events have left with their month */
	if (w->full)
		return;
	if (n == BATCH) {
		read_events(w);
		return;
	}
	struct db *db = api_of(w->call)->db;
	struct db_scope scope = api_scope(w->call);
	w->reading = true;
	db->jobs->get(db, &scope, w->id.text, on_job, w);
}

static void read_events(struct job_watch *w)
{
	struct db *db = api_of(w->call)->db;
	struct db_scope scope = api_scope(w->call);
	w->reading = true;
	w->dirty = false;
	timer_stop(&w->quiet);
	db->jobs->events(db, &scope, w->id.text, w->after, BATCH, on_events, w);
}

static void on_news(struct api_subscription *s)
{
	struct job_watch *w = container_of(s, struct job_watch, news);
	w->dirty = true;
	if (!w->reading && !w->full)
		read_events(w);
}

static void on_quiet(struct timer *t)
{
	read_events(container_of(t, struct job_watch, quiet));
}

static void on_writable(struct rpc_call *call)
{
	struct job_watch *w = rpc_call_data(call);
	if (!w->full)
		return;
	w->full = false;
	if (!w->reading)
		read_events(w);
}

static void on_cancel(struct rpc_call *call)
{
	struct job_watch *w = rpc_call_data(call);
	w->left = true;
	if (!w->reading)
		(void)has_left(w);
}

void api_jobs_watch(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__WatchJobRequest *q = (const void *)request;
	struct job_watch *w = arena_new(rpc_call_arena(call), struct job_watch);
	w->call = call;
	(void)uuid_parse(q->id, &w->id); /* the field rules say that it is one */
	w->after = q->after_sequence;
	w->news.on_news = on_news;
	timer_init(&w->quiet, api_of(call)->loop, on_quiet);
	rpc_call_set_data(call, w);
	rpc_call_on_cancel(call, on_cancel);
	rpc_call_on_writable(call, on_writable);
	api_hub_subscribe(api_of(call)->hub, w->id.text, &w->news);
	read_events(w);
}
