/* Who watches all events: the daemons' api/events.c, over calls that are ours (rpc/call.h), and clients that lose their
 * connection, are slow, and go on at any daemon with the last token they have seen; while others keep transactions open that
 * have said something, or will. What must hold: each sees every event once, in the order of the stream. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api/api.h"
#include "api/hub.h"
#include "base/mem.h"
#include "rpc/call.h"
#include "skep/v1/events.pb-c.h"
#include "skep/v1/methods.h"

#define AGAIN_MS 600

/* One call of a client, as a daemon has it. */
struct rpc_call {
	struct list node; /* in its daemon's list */
	struct sim_daemon *daemon;
	struct sim_reader *reader; /* NULL: it has left */
	struct arena *arena;
	void *data;
	void (*on_cancel)(struct rpc_call *call);
	void (*on_writable)(struct rpc_call *call);
	Skep__V1__WatchEventsRequest request;
	struct timer writable;
	unsigned room; /* messages until it is full */
};

/* ---- rpc/call.h, as far as api/events.c goes ---- */

struct arena *rpc_call_arena(struct rpc_call *call)
{
	return call->arena;
}

void *rpc_call_context(const struct rpc_call *call)
{
	return &call->daemon->api;
}

const struct rpc_caller *rpc_call_caller(const struct rpc_call *call)
{
	static const struct rpc_caller reader = {.name = "reader"};
	(void)call;
	return &reader;
}

const struct rpc_method *rpc_call_method(const struct rpc_call *call)
{
	static const struct rpc_method method = {.path = "/skep.v1.Events/Watch"};
	(void)call;
	return &method;
}

void rpc_call_set_data(struct rpc_call *call, void *data)
{
	call->data = data;
}

void *rpc_call_data(const struct rpc_call *call)
{
	return call->data;
}

void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(struct rpc_call *call))
{
	call->on_cancel = fn;
}

void rpc_call_on_writable(struct rpc_call *call, void (*fn)(struct rpc_call *call))
{
	call->on_writable = fn;
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
	(void)message;
	sim_fail(call->daemon->sim, "a watch is answered");
}

static void call_end(struct rpc_call *call)
{
	struct sim_reader *r = call->reader;
	if (r) {
		r->call = NULL;
		timer_set(&r->timer, AGAIN_MS);
	}
	timer_stop(&call->writable);
	list_remove(&call->node);
	arena_destroy(call->arena);
	free(call);
}

void rpc_call_finish(struct rpc_call *call, const struct status *st)
{
	(void)st;
	call_end(call);
}

void rpc_call_fail_retry(struct rpc_call *call, const struct status *st, uint64_t retry_ms)
{
	(void)st;
	(void)retry_ms;
	call_end(call);
}

static void on_writable(struct timer *t)
{
	struct rpc_call *call = container_of(t, struct rpc_call, writable);
	call->room = 1 + (unsigned)sim_below(&call->daemon->sim->stream_rng, 30);
	call->on_writable(call);
}

static void seen(struct sim_reader *r, const Skep__V1__WatchEventsResponse *m)
{
	struct sim *s = r->sim;
	int64_t xact = 0, seq = 0;
	if (sscanf(m->token, "%" SCNd64 ".%" SCNd64, &xact, &seq) != 2)
		sim_fail(s, "a reader is given the token \"%s\"", m->token);
	(void)snprintf(r->token, sizeof(r->token), "%s", m->token);
	if (!m->event)
		return;
	r->seen = mem_realloc_array(r->seen, sizeof(*r->seen), r->n_seen + 1);
	r->seen[r->n_seen++] = seq;
}

bool rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message)
{
	if (call->reader)
		seen(call->reader, (const Skep__V1__WatchEventsResponse *)(const void *)message);
	call->room -= call->room > 0;
	if (call->room == 0 && !timer_is_set(&call->writable))
		timer_set(&call->writable, 1 + sim_below(&call->daemon->sim->stream_rng, 3000));
	return call->room > 0;
}

/* ---- clients ---- */

static void begin(struct sim_reader *r)
{
	struct sim *s = r->sim;
	struct sim_daemon *d = s->at[sim_below(&s->stream_rng, s->places)];
	if (!sim_daemon_serves(d)) {
		timer_set(&r->timer, AGAIN_MS);
		return;
	}
	struct rpc_call *call = mem_new(struct rpc_call);
	call->daemon = d;
	call->reader = r;
	call->arena = arena_create();
	call->room = 1 + (unsigned)sim_below(&s->stream_rng, 30);
	skep__v1__watch_events_request__init(&call->request);
	call->request.token = arena_strdup(call->arena, r->token);
	timer_init(&call->writable, d->loop, on_writable);
	list_push(&d->watches, &call->node);
	r->call = call;
	sim_trace(s, "user", "a reader watches at %s behind %s", d->name, r->token);
	timer_set(&r->timer, sim_between(&s->stream_rng, 2000, 30000)); /* then it goes elsewhere */
	api_events_watch(call, &call->request.base);
}

static void leave(struct rpc_call *call)
{
	if (call->reader)
		call->reader->call = NULL;
	call->reader = NULL;
	timer_stop(&call->writable);
	call->on_cancel(call);
}

static void on_reader(struct timer *t)
{
	struct sim_reader *r = container_of(t, struct sim_reader, timer);
	if (r->call && r->sim->quiet) {
		timer_set(t, 20000);
		return;
	}
	if (r->call)
		leave(r->call);
	begin(r);
}

/* Its clients lose it. */
void sim_stream_drop(struct sim_daemon *d)
{
	struct list all;
	list_init(&all);
	list_move_all(&all, &d->watches);
	for (struct list *n; (n = list_pop(&all)) != NULL;) {
		struct rpc_call *call = container_of(n, struct rpc_call, node);
		list_push(&d->watches, n); /* it may have something under way */
		if (!call->reader)
			continue;
		timer_set(&call->reader->timer, AGAIN_MS);
		leave(call);
	}
}

/* ---- transactions that stay open ---- */

static void on_open(struct timer *t)
{
	struct sim *s = container_of(t, struct sim, open_timer);
	struct sim_rng *r = &s->stream_rng;
	size_t n = sizeof(s->open) / sizeof(*s->open), at = (size_t)sim_below(r, n);
	if (!s->open[at]) {
		s->open[at] = store_open(s->store);
		sim_trace(s, "world", "a transaction is open");
	} else if (sim_chance(r, 600)) {
		store_open_event(s->store, s->open[at]);
	} else {
		store_open_commit(s->store, s->open[at]);
		s->open[at] = NULL;
		sim_trace(s, "world", "a transaction is committed");
	}
	timer_set(t, sim_between(r, 50, 4000));
}

/* In a quarter of the runs. */
void sim_stream_init(struct sim *s)
{
	sim_rng_init(&s->stream_rng, s->seed, 5);
	timer_init(&s->open_timer, s->loop, on_open);
	if (s->flood || sim_below(&s->stream_rng, 4) > 0)
		return;
	s->n_readers = SIM_READERS;
	for (size_t i = 0; i < s->n_readers; i++) {
		s->readers[i] = (struct sim_reader){.sim = s, .token = "0.0"};
		timer_init(&s->readers[i].timer, s->loop, on_reader);
		timer_set(&s->readers[i].timer, sim_below(&s->stream_rng, 20000));
	}
	timer_set(&s->open_timer, 1000);
}

void sim_stream_quiet(struct sim *s)
{
	timer_stop(&s->open_timer);
	for (size_t i = 0; i < sizeof(s->open) / sizeof(*s->open); i++) {
		if (s->open[i])
			store_open_commit(s->store, s->open[i]);
		s->open[i] = NULL;
	}
}

/* Everything has settled. */
void sim_stream_check(struct sim *s)
{
	for (size_t i = 0; i < s->n_readers; i++) {
		const struct sim_reader *r = &s->readers[i];
		for (size_t k = 0; k < r->n_seen || k < s->store->n_stream; k++) {
			const struct store_streamed *e = &s->store->stream[k];
			if (k >= s->store->n_stream || (k < r->n_seen && r->seen[k] != e->seq))
				sim_fail(s, "reader %zu has seen event %lld as the %zuth of the stream, which is another one", i,
					(long long)r->seen[k], k + 1);
			else if (k >= r->n_seen)
				sim_fail(s, "reader %zu has not seen event %lld", i, (long long)e->seq);
			if (s->failure)
				return;
		}
	}
}

void sim_stream_finish(struct sim *s)
{
	timer_stop(&s->open_timer);
	for (size_t i = 0; i < s->n_readers; i++) {
		timer_stop(&s->readers[i].timer);
		free(s->readers[i].seen);
		s->readers[i].seen = NULL;
	}
	s->n_readers = 0;
}
