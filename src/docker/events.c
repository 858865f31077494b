#include "docker/ops.h"
#include <inttypes.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "docker/call.h"
#include "loop/backoff.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   5000
#define LINE_MAX_BYTES   (1u << 20)
#define OVERLAP_NS       INT64_C(1000000000) /* the first time: our clock and the Engine's may differ */

/* One subscription: a stream call (`call`) or, between two of them, a set timer. */
struct docker_events {
	struct list node;
	struct engine *engine;
	struct docker_call *call; /* or NULL */
	struct timer retry;
	struct backoff backoff;
	docker_on_event on_event;
	void *data;
	struct buf line;
	int64_t last_ns;
	bool emitting, stopped; /* stopped inside on_event: freed when that returns */
};

static const struct {
	const char *name;
	enum docker_event_type type;
} types[] = {
	{"service", DOCKER_EVENT_SERVICE},
	{"node", DOCKER_EVENT_NODE},
	{"network", DOCKER_EVENT_NETWORK},
	{"secret", DOCKER_EVENT_SECRET},
	{"config", DOCKER_EVENT_CONFIG},
	{"container", DOCKER_EVENT_CONTAINER},
};
#define TYPES (sizeof types / sizeof types[0])

static void connect_events(struct docker_events *ev);

static void events_free(struct docker_events *ev)
{
	buf_finish(&ev->line);
	free(ev);
}

/* False: the subscription was stopped by the listener; the caller frees it and leaves. */
static bool emit(struct docker_events *ev, const struct docker_event *e)
{
	ev->emitting = true;
	ev->on_event(ev->data, e);
	ev->emitting = false;
	return !ev->stopped;
}

/* What has no attributes, ids or words. */
static struct docker_event bare_event(enum docker_event_type type)
{
	return (struct docker_event){.type = type,
		.action = "",
		.id = "",
		.name = "",
		.service_id = "",
		.task_id = "",
		.node_id = "",
		.exit_code = -1};
}

static void on_retry(struct timer *t)
{
	connect_events(container_of(t, struct docker_events, retry));
}

/* The stream is over, for whatever reason: tell, wait, connect again. */
static void lost(struct docker_events *ev, const struct status *why)
{
	struct docker_event e = bare_event(DOCKER_EVENT_LOST);
	e.why = why;
	ev->call = NULL;
	timer_set(&ev->retry, backoff_next(&ev->backoff));
	if (!emit(ev, &e))
		events_free(ev);
}

static const char *attribute(const struct docker_event *e, const char *key)
{
	const char *value = docker_pair_get(&e->attributes, key);
	return value ? value : "";
}

static bool emit_json(struct docker_events *ev, enum docker_event_type type, const json_t *j)
{
	struct arena *a = arena_create();
	struct docker_event e = bare_event(type);
	uint64_t code;
	e.action = json_text(j, "Action", "");
	e.id = json_text(j, "Actor.ID", "");
	e.attributes = read_pairs(a, json_at(j, "Actor.Attributes"));
	e.name = attribute(&e, "name");
	e.service_id = attribute(&e, "com.docker.swarm.service.id");
	e.task_id = attribute(&e, "com.docker.swarm.task.id");
	e.node_id = attribute(&e, "com.docker.swarm.node.id");
	if (str_to_u64(str_of(attribute(&e, "exitCode")), &code) && code <= INT64_MAX)
		e.exit_code = (int64_t)code;
	e.time_ns = json_int(j, "timeNano", 0);
	if (e.time_ns > ev->last_ns)
		ev->last_ns = e.time_ns;
	bool go_on = emit(ev, &e);
	arena_destroy(a);
	return go_on;
}

/* False: stopped. */
static bool emit_line(struct docker_events *ev, struct str line, struct status *ret_st)
{
	json_t *j = NULL;
	bool go_on = true;
	if (str_trim(line).len == 0)
		return true;
	*ret_st = json_parse(line, &j);
	if (!status_is_ok(ret_st))
		return true;
	for (size_t i = 0; i < TYPES; i++)
		if (strcmp(json_text(j, "Type", ""), types[i].name) == 0)
			go_on = emit_json(ev, types[i].type, j);
	json_decref(j);
	return go_on;
}

/* Takes the whole lines of ev->line. False: stopped. */
static bool emit_lines(struct docker_events *ev, struct status *ret_st)
{
	struct str rest = buf_str(&ev->line);
	const char *end;
	bool go_on = true;
	while (go_on && status_is_ok(ret_st) && (end = memchr(rest.ptr, '\n', rest.len)) != NULL) {
		size_t len = (size_t)(end - rest.ptr);
		go_on = emit_line(ev, str_make(rest.ptr, len), ret_st);
		rest = str_make(end + 1, rest.len - len - 1);
	}
	buf_drop(&ev->line, ev->line.len - rest.len);
	return go_on;
}

static bool on_piece(struct docker_call *c, struct str piece)
{
	struct docker_events *ev = c->data;
	struct status st = status_ok();
	buf_add_str(&ev->line, piece);
	if (!emit_lines(ev, &st)) {
		events_free(ev); /* and c is gone already */
		return true;
	}
	if (status_is_ok(&st) && ev->line.len > LINE_MAX_BYTES)
		st = status_err(ST_INTERNAL, "longer than %u bytes", LINE_MAX_BYTES);
	if (!status_is_ok(&st)) {
		st = status_err(ST_INTERNAL, "an event of the Docker Engine at %s is %s",
			ev->engine->where, st.message);
		docker_call_end(c, &st);
	}
	return true;
}

static void on_open(struct docker_call *c)
{
	struct docker_events *ev = c->data;
	struct docker_event e = bare_event(DOCKER_EVENT_RESET);
	backoff_reset(&ev->backoff);
	buf_drop(&ev->line, ev->line.len);
	if (!emit(ev, &e))
		events_free(ev);
}

static struct status on_end(struct docker_call *c)
{
	return status_err(ST_UNAVAILABLE, "the Docker Engine at %s ended the stream of events",
		c->engine->where);
}

static void deliver_end(struct docker_call *c, const struct status *st, const json_t *reply)
{
	(void)reply;
	lost(c->data, st);
}

static void connect_events(struct docker_events *ev)
{
	struct buf path = {0};
	const char *names[TYPES + 1] = {NULL};
	struct call_request r = {.method = "GET",
		.deliver = deliver_end,
		.on_open = on_open,
		.on_piece = on_piece,
		.on_end = on_end,
		.data = ev};
	for (size_t i = 0; i < TYPES; i++)
		names[i] = types[i].name;
	buf_fmt(&path, "/events?since=%" PRId64 ".%09" PRId64, ev->last_ns / 1000000000,
		ev->last_ns % 1000000000);
	path_filters(&path, '&', filter_add(NULL, "type", names));
	ev->call = call_start_buf(ev->engine, &path, &r);
}

struct docker_events *engine_events_start(struct docker *d, docker_on_event on_event, void *data)
{
	struct docker_events *ev = mem_new(struct docker_events);
	const struct clock *clock = clock_system();
	ev->engine = engine_of(d);
	ev->on_event = on_event;
	ev->data = data;
	ev->backoff = (struct backoff){.first = BACKOFF_FIRST_MS, .max = BACKOFF_MAX_MS};
	ev->last_ns = clock->wall_us(clock) * 1000 - OVERLAP_NS;
	timer_init(&ev->retry, ev->engine->loop, on_retry);
	list_push(&ev->engine->events, &ev->node);
	connect_events(ev);
	return ev;
}

void engine_events_stop(struct docker *d, struct docker_events *ev)
{
	(void)d;
	list_remove(&ev->node);
	timer_stop(&ev->retry);
	if (ev->call)
		call_drop(ev->call);
	ev->call = NULL;
	ev->stopped = true;
	if (!ev->emitting)
		events_free(ev);
}

void engine_events_stop_all(struct engine *e)
{
	while (!list_empty(&e->events))
		engine_events_stop(
			&e->base, container_of(e->events.next, struct docker_events, node));
}
