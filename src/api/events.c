/* skep.v1.Events.Watch: the stream of all events from the database, from a position on; then again after each piece of news,
 * and soon again while an open transaction holds some up. News may be missed or doubled: what is sent is only what was
 * read. */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "api/hub.h"
#include "base/arena.h"
#include "db/events.h"
#include "loop/loop.h"
#include "skep/v1/events.pb-c.h"

#define BATCH    200
#define HELD_MS  50   /* until the next look while something is held up; and between two looks, however much news there is */
#define QUIET_MS 1000 /* until the next look without news */

struct event_watch {
	struct rpc_call *call;
	const Skep__V1__WatchEventsRequest *request;
	struct api_subscription news;
	struct timer look;
	struct db_stream_position after;
	bool caught_up; /* that has been said */
	bool reading, dirty, full, left; /* dirty: there was news since the read began */
};

static void leave(struct event_watch *w, const struct status *st)
{
	timer_stop(&w->look);
	api_hub_unsubscribe(&w->news);
	api_fail(w->call, st);
}

static bool has_left(struct event_watch *w)
{
	struct status st = status_err(ST_CANCELLED, "the caller left");
	w->reading = false;
	if (!w->left)
		return false;
	leave(w, &st); /* which ends the call, and frees `w` */
	return true;
}

static char *token_of(struct arena *a, struct db_stream_position at)
{
	return arena_fmt(a, "%lld.%lld", (long long)at.xact, (long long)at.seq);
}

static void send_event(struct event_watch *w, struct arena *a, const struct db_stream_event *e)
{
	Skep__V1__WatchEventsResponse m = SKEP__V1__WATCH_EVENTS_RESPONSE__INIT;
	m.event = api_event(a, &e->e);
	m.token = token_of(a, e->at);
	m.project_id = api_text(a, e->project_id.text);
	m.project = api_text(a, e->project);
	m.stack_id = api_text(a, e->stack_id.text);
	m.stack = api_text(a, e->stack);
	m.job_id = api_text(a, e->job_id.text);
	w->full = !rpc_call_send(w->call, &m.base);
}

static void say_caught_up(struct event_watch *w, struct arena *a)
{
	Skep__V1__WatchEventsResponse m = SKEP__V1__WATCH_EVENTS_RESPONSE__INIT;
	m.token = token_of(a, w->after);
	w->caught_up = true;
	w->full = !rpc_call_send(w->call, &m.base);
}

static void on_batch(void *data, const struct status *st, const struct db_stream_batch *b)
{
	struct event_watch *w = data;
	if (has_left(w))
		return;
	if (!status_is_ok(st)) {
		leave(w, st);
		return;
	}
	struct arena *a = arena_create();
	for (size_t i = 0; i < b->n; i++)
		send_event(w, a, &b->events[i]);
	w->after = b->next;
	if (!b->more && !w->caught_up)
		say_caught_up(w, a);
	arena_destroy(a);
	timer_set(&w->look, b->more ? 0 : b->held || w->dirty ? HELD_MS : QUIET_MS);
}

static void on_look(struct timer *t)
{
	struct event_watch *w = container_of(t, struct event_watch, look);
	const Skep__V1__WatchEventsRequest *q = w->request;
	struct db *db = api_of(w->call)->db;
	struct db_scope scope = api_scope(w->call);
	const struct db_stream_filter f = {q->project, q->stack, (const char *const *)q->kinds, q->n_kinds};
	if (w->full) /* on_writable goes on */
		return;
	w->reading = true;
	w->dirty = false;
	db->events->read(db, &scope, &f, w->after, BATCH, on_batch, w);
}

/* Much news at once is one look. */
static void on_news(struct api_subscription *s)
{
	struct event_watch *w = container_of(s, struct event_watch, news);
	w->dirty = true;
	if (!w->reading && !w->full && w->caught_up)
		timer_set(&w->look, 1);
}

static void on_writable(struct rpc_call *call)
{
	struct event_watch *w = rpc_call_data(call);
	if (!w->full)
		return;
	w->full = false;
	if (!w->reading)
		timer_set(&w->look, 0);
}

static void on_cancel(struct rpc_call *call)
{
	struct event_watch *w = rpc_call_data(call);
	w->left = true;
	if (!w->reading)
		(void)has_left(w);
}

static void on_position(void *data, const struct status *st, struct db_stream_position at)
{
	struct event_watch *w = data;
	if (has_left(w))
		return;
	if (!status_is_ok(st)) {
		leave(w, st);
		return;
	}
	w->after = at;
	on_look(&w->look);
}

/* The field rules say that it is two numbers. */
static struct db_stream_position position_of(const char *token)
{
	struct db_stream_position at = {0};
	struct str rest = str_of(token), xact = str_cut(&rest, '.');
	(void)str_to_i64(xact, &at.xact);
	(void)str_to_i64(rest, &at.seq);
	return at;
}

void api_events_watch(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__WatchEventsRequest *q = (const void *)request;
	struct event_watch *w = arena_new(rpc_call_arena(call), struct event_watch);
	w->call = call;
	w->request = q;
	w->news.on_news = on_news;
	timer_init(&w->look, api_of(call)->loop, on_look);
	rpc_call_set_data(call, w);
	rpc_call_on_cancel(call, on_cancel);
	rpc_call_on_writable(call, on_writable);
	api_hub_subscribe(api_of(call)->hub, API_HUB_ANY, &w->news);
	w->reading = true;
	if (q->token[0]) {
		struct status ok = status_ok();
		on_position(w, &ok, position_of(q->token));
	} else {
		struct db *db = api_of(call)->db;
		db->events->position(db, api_time_us(q->since), on_position, w);
	}
}
