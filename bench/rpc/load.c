#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "loop/loop.h"
#include "net/transport.h"
#include "rpc/details.h"
#include "rpc/frame.h"

#define CONNECT_MS 5000
#define REST_MS    5000 /* how long replies are waited for at the end */

struct run;

struct link {
	struct run *run;
	struct transport *t;
	struct buf in;
	uint64_t sequence;
	unsigned in_flight;
	unsigned *free_slots, n_free;
	uint64_t *due; /* by slot: when its call was (to be) sent */
};

struct run {
	const struct load_options *o;
	struct load_result *result;
	struct loop *loop;
	struct transport_env *env;
	struct link *links;
	unsigned n_up, next_link;
	struct timer phase;
	uv_idle_t pace; /* open loop: keeps the loop turning */
	bool measuring, stopping, done;
	uint64_t started, next_due;
	double server_before, client_before;
	struct status st;
};

/* ---- CPU time ---- */

/* User and system time of a process in seconds; -1 when it cannot be read. */
static double cpu_of(pid_t pid)
{
	char path[64], text[1024];
	uint64_t user = 0, system = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return -1;
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	const char *p = strrchr(text, ')'); /* the name may hold anything */
	struct str rest = str_of(p ? p + 2 : "");
	for (int field = 3; field < 14; field++)
		(void)str_cut(&rest, ' ');
	if (!str_to_u64(str_cut(&rest, ' '), &user) || !str_to_u64(str_cut(&rest, ' '), &system))
		return -1;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- calls ---- */

static void stop(struct run *r, const struct status *st)
{
	if (!r->done)
		r->st = *st;
	r->done = true;
}

static void send_call(struct link *l, uint64_t due)
{
	const struct load_options *o = l->run->o;
	struct buf authorization = {0};
	struct str metadata[] = {STR("authorization"), {0}};
	struct frame_open open = {.method = str_of(o->method),
		.end = true,
		.has_payload = true,
		.metadata = metadata};
	if (o->token) {
		buf_fmt(&authorization, "Bearer %s", o->token);
		metadata[1] = buf_str(&authorization);
		open.n_metadata = 1;
	}
	unsigned slot = l->free_slots[--l->n_free];
	uint64_t id = ++l->sequence * o->in_flight + slot; /* rises, and leads back to the slot */
	l->due[slot] = due;
	l->in_flight++;
	(void)frame_open_begin(transport_out(l->t), id, &open);
	buf_finish(&authorization);
}

static void note_failure(struct run *r, const struct frame *f)
{
	struct arena *a = arena_create();
	struct rpc_details d;
	if (r->result->failures++ == 0 &&
		!rpc_status_unpack(a, f->status, &r->result->first_failure, &d))
		r->result->first_failure = status_err(ST_INTERNAL, "a malformed status");
	arena_destroy(a);
}

static void on_reply(struct link *l, const struct frame *f, uint64_t now)
{
	struct run *r = l->run;
	unsigned slot = (unsigned)(f->call % r->o->in_flight);
	l->in_flight--;
	l->free_slots[l->n_free++] = slot;
	if (f->has_status)
		note_failure(r, f);
	if (r->measuring) {
		r->result->requests++;
		histogram_add(&r->result->latency, now - l->due[slot]);
	}
	if (r->stopping || r->o->rate > 0)
		return;
	send_call(l, now);
	transport_commit(l->t);
}

static void on_frame(struct link *l, struct str bytes, uint64_t now)
{
	struct frame f;
	const char *wrong = frame_parse(bytes, &f);
	if (wrong || f.kind == FRAME_GOAWAY) {
		struct status st = status_err(ST_UNAVAILABLE, "the server sent %s%s",
			wrong ? "a malformed frame: " : "a goaway", wrong ? wrong : "");
		stop(l->run, &st);
	} else if (f.kind == FRAME_FINISH) {
		on_reply(l, &f, now);
	}
}

static size_t feed(struct link *l, const char *bytes, size_t len)
{
	uint64_t now = uv_hrtime(); /* one look at the clock for what came in one read */
	size_t pos = 0, frame;
	while (len - pos >= FRAME_HEADER && frame_header(bytes + pos, &frame) &&
		len - pos - FRAME_HEADER >= frame) {
		on_frame(l, str_make(bytes + pos + FRAME_HEADER, frame), now);
		pos += FRAME_HEADER + frame;
	}
	return pos;
}

static void end_phase(struct timer *t);

static void on_data(void *data, char *bytes, size_t len)
{
	struct link *l = data;
	struct run *r = l->run;
	if (l->in.len) {
		buf_add(&l->in, bytes, len);
		buf_drop(&l->in, feed(l, l->in.ptr, l->in.len));
	} else {
		size_t used = feed(l, bytes, len);
		buf_add(&l->in, bytes + used, len - used);
	}
	if (r->measuring && !r->stopping && r->result->requests >= r->o->max_requests)
		end_phase(&r->phase);
}

static void on_drain(void *data)
{
	(void)data;
}

static void on_close(void *data, const struct status *why)
{
	struct link *l = data;
	struct status st = status_err(ST_UNAVAILABLE, "the server closed a connection%s%s",
		status_is_ok(why) ? "" : ": ", why->message);
	stop(l->run, &st);
}

/* ---- phases: connecting, warming up, measuring, waiting for the rest ---- */

static void fill(struct link *l, uint64_t now)
{
	while (l->n_free)
		send_call(l, now);
	transport_commit(l->t);
}

/* Open loop: sends what has come due. Where every slot is taken the call waits, and its
 * latency with it. */
static void on_pace(uv_idle_t *idle)
{
	struct run *r = idle->data;
	uint64_t now = uv_hrtime(), step = (uint64_t)(1e9 / r->o->rate);
	unsigned full = 0;
	while (!r->stopping && r->next_due <= now && full < r->o->connections) {
		struct link *l = &r->links[r->next_link];
		r->next_link = (r->next_link + 1) % r->o->connections;
		if (l->n_free == 0) {
			full++;
			continue;
		}
		full = 0;
		send_call(l, r->next_due);
		transport_commit(l->t);
		r->next_due += step ? step : 1;
	}
}

static void begin_measuring(struct run *r)
{
	r->measuring = true;
	r->started = uv_hrtime();
	r->client_before = cpu_of(getpid());
	r->server_before = r->o->server ? cpu_of(r->o->server) : -1;
	timer_set(&r->phase, (uint64_t)(r->o->seconds * 1000));
}

static void end_measuring(struct run *r)
{
	struct load_result *res = r->result;
	r->stopping = true;
	r->measuring = false;
	res->seconds = (double)(uv_hrtime() - r->started) / 1e9;
	res->client_cpu = cpu_of(getpid()) - r->client_before;
	res->server_cpu = r->server_before >= 0 ? cpu_of(r->o->server) - r->server_before : -1;
	timer_set(&r->phase, REST_MS);
}

static void end_phase(struct timer *t)
{
	struct run *r = container_of(t, struct run, phase);
	struct status st = status_ok();
	if (r->n_up < r->o->connections)
		st = status_err(ST_UNAVAILABLE, "only %u of %u connections were made within %d ms",
			r->n_up, r->o->connections, CONNECT_MS);
	else if (r->stopping)
		st = status_err(ST_UNAVAILABLE, "replies are missing after %d ms", REST_MS);
	if (!status_is_ok(&st))
		stop(r, &st);
	else if (!r->measuring)
		begin_measuring(r);
	else
		end_measuring(r);
}

static void on_connected(void *data, const struct status *st, struct transport *t)
{
	static const struct transport_events events = {on_data, on_drain, NULL, on_close};
	struct link *l = data;
	struct run *r = l->run;
	if (!status_is_ok(st)) {
		stop(r, st);
		return;
	}
	l->t = t;
	transport_start(t, &events, l, 0);
	if (++r->n_up < r->o->connections)
		return;
	uint64_t now = uv_hrtime();
	r->next_due = now;
	timer_set(&r->phase, (uint64_t)(r->o->warm_up * 1000));
	if (r->o->rate > 0)
		uv_idle_start(&r->pace, on_pace);
	for (unsigned i = 0; r->o->rate <= 0 && i < r->n_up; i++)
		fill(&r->links[i], now);
}

static bool connect_link(struct run *r, struct link *l)
{
	struct str s = str_of(r->o->address);
	uint64_t port;
	if (str_starts(s, "unix://")) {
		(void)transport_connect_unix(r->env, r->o->address + 7, on_connected, l);
		return true;
	}
	const char *colon = strrchr(r->o->address, ':');
	if (!colon || !str_to_u64(str_of(colon + 1), &port) || port > UINT16_MAX)
		return false;
	struct arena *a = arena_create();
	const char *host = str_dup(a, str_make(r->o->address, (size_t)(colon - r->o->address)));
	(void)transport_connect_tcp(r->env, host, (unsigned)port, on_connected, l);
	arena_destroy(a);
	return true;
}

static void init_link(struct run *r, struct link *l)
{
	l->run = r;
	l->due = mem_zalloc(r->o->in_flight * sizeof(*l->due));
	l->free_slots = mem_zalloc(r->o->in_flight * sizeof(*l->free_slots));
	while (l->n_free < r->o->in_flight) {
		l->free_slots[l->n_free] = l->n_free;
		l->n_free++;
	}
}

static unsigned unanswered(const struct run *r)
{
	unsigned n = 0;
	for (unsigned i = 0; i < r->o->connections; i++)
		n += r->links[i].in_flight;
	return n;
}

static void finish(struct run *r)
{
	timer_stop(&r->phase);
	uv_idle_stop(&r->pace);
	uv_close((uv_handle_t *)&r->pace, NULL);
	transport_env_destroy(r->env);
	loop_destroy(r->loop);
	for (unsigned i = 0; i < r->o->connections; i++) {
		buf_finish(&r->links[i].in);
		free(r->links[i].due);
		free(r->links[i].free_slots);
	}
	free(r->links);
}

struct status load_run(const struct load_options *o, struct load_result *ret_result)
{
	struct run r = {.o = o, .result = ret_result, .st = status_ok()};
	*ret_result = (struct load_result){0};
	r.loop = loop_create();
	r.env = transport_env_create(r.loop);
	r.links = mem_zalloc(o->connections * sizeof(*r.links));
	loop_set_watchdog(r.loop, 0);
	timer_init(&r.phase, r.loop, end_phase);
	timer_set(&r.phase, CONNECT_MS);
	uv_idle_init(loop_uv(r.loop), &r.pace);
	r.pace.data = &r;
	for (unsigned i = 0; i < o->connections; i++)
		init_link(&r, &r.links[i]);
	for (unsigned i = 0; i < o->connections && !r.done; i++)
		if (!connect_link(&r, &r.links[i])) {
			struct status st = status_err(ST_INVALID_ARGUMENT,
				"\"%s\" is no address: give unix:///path or IP:port", o->address);
			stop(&r, &st);
		}
	while (!r.done && !(r.stopping && unanswered(&r) == 0))
		loop_turn(r.loop);
	finish(&r);
	return r.st;
}
