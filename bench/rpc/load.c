#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>
#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "loop/loop.h"
#include "net/transport.h"

#define CONNECT_MS 5000
#define RING       4096u /* calls of a connection that may be open between the oldest and the newest */
#define PACE_NS    100000 /* open loop: what comes due in so many ns goes out together */
#define REST_MS    5000 /* how long replies are waited for at the end */

struct run;

struct link {
	struct run *run;
	struct transport *t;
	struct buf in;
	void *wire;        /* what r->o->wire made */
	uint64_t sequence; /* the last call's number */
	unsigned in_flight;
	uint64_t *due; /* by number: when the call was (to be) sent; 0 = it is not open */
};

struct run {
	const struct load_options *o;
	struct load_result *result;
	struct loop *loop;
	struct transport_env *env;
	struct link *links;
	unsigned n_up, next_link;
	struct timer phase;
	int pace_fd; /* open loop: the timer of the next call */
	uv_poll_t pace;
	bool measuring, stopping, done;
	uint64_t started, next_due, now;
	double server_before, client_before;
	uint64_t server_waited, client_waited;
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

/* How long it has stood ready to run and did not get its core, in ns; 0 when it cannot be read. */
static uint64_t waited_of(pid_t pid)
{
	char path[64], text[128] = "";
	uint64_t waited = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	(void)!fgets(text, sizeof(text), f);
	(void)fclose(f);
	struct str rest = str_of(text);
	(void)str_cut(&rest, ' ');
	return str_to_u64(str_cut(&rest, ' '), &waited) ? waited : 0;
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
	uint64_t number = ++l->sequence;
	l->due[number % RING] = due;
	l->in_flight++;
	l->run->o->wire->call(l->wire, number, transport_out(l->t));
}

static void on_answer(void *data, uint64_t number, const struct status *failure)
{
	struct link *l = data;
	struct run *r = l->run;
	uint64_t *due = &l->due[number % RING];
	if (number > l->sequence || *due == 0) {
		struct status st = status_err(ST_INTERNAL, "the server answered a call that was not open");
		stop(r, &st);
		return;
	}
	l->in_flight--;
	if (failure && r->result->failures++ == 0)
		r->result->first_failure = *failure;
	if (r->measuring) {
		r->result->requests++;
		histogram_add(&r->result->latency, r->now - *due);
	}
	*due = 0;
	if (!r->stopping && r->o->rate <= 0)
		send_call(l, r->now);
}

static size_t feed(struct link *l, const char *bytes, size_t len)
{
	const struct wire_hears hears = {l, on_answer};
	const char *wrong = NULL;
	l->run->now = uv_hrtime(); /* one look at the clock for what came in one read */
	size_t used = l->run->o->wire->feed(l->wire, str_make(bytes, len), transport_out(l->t), &hears, &wrong);
	if (wrong) {
		struct status st = status_err(ST_UNAVAILABLE, "the server sent %s", wrong);
		stop(l->run, &st);
	}
	transport_commit(l->t);
	return used;
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

static bool is_full(const struct link *l)
{
	/* one may overtake many others, but not RING of them */
	return l->in_flight == l->run->o->in_flight || l->due[(l->sequence + 1) % RING] != 0;
}

static void fill(struct link *l, uint64_t now)
{
	while (!is_full(l))
		send_call(l, now);
	transport_commit(l->t);
}

/* Sends what has come due. Where every place is taken the call waits, and its latency with it. */
static void send_due(struct run *r)
{
	uint64_t now = uv_hrtime(), step = (uint64_t)(1e9 / r->o->rate);
	unsigned full = 0;
	while (!r->stopping && r->next_due <= now && full < r->o->connections) {
		struct link *l = &r->links[r->next_link];
		r->next_link = (r->next_link + 1) % r->o->connections;
		if (is_full(l)) {
			full++;
			continue;
		}
		full = 0;
		send_call(l, r->next_due);
		transport_commit(l->t);
		r->next_due += step ? step : 1;
	}
}

/* Open loop: asleep until a call is due. Whoever turned in circles instead would have used up its share of the core, and be set aside by the
 * kernel for milliseconds whenever anybody else has something to do; that was measured as the server's latency. */
static void on_pace(uv_poll_t *poll, int err, int events)
{
	struct run *r = poll->data;
	uint64_t expired;
	(void)err;
	(void)events;
	(void)!read(r->pace_fd, &expired, sizeof(expired));
	send_due(r);
	uint64_t next = uv_hrtime() + PACE_NS;
	if (next < r->next_due)
		next = r->next_due;
	struct itimerspec at = {.it_value = {(time_t)(next / 1000000000), (long)(next % 1000000000)}};
	(void)timerfd_settime(r->pace_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static bool start_pace(struct run *r)
{
	r->pace_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC); /* uv_hrtime's clock */
	if (r->pace_fd < 0 || uv_poll_init(loop_uv(r->loop), &r->pace, r->pace_fd) != 0)
		return false;
	r->pace.data = r;
	(void)uv_poll_start(&r->pace, UV_READABLE, on_pace);
	on_pace(&r->pace, 0, 0);
	return true;
}

static void begin_measuring(struct run *r)
{
	r->measuring = true;
	r->started = uv_hrtime();
	r->client_before = cpu_of(getpid());
	r->server_before = r->o->server ? cpu_of(r->o->server) : -1;
	r->server_waited = waited_of(r->o->server);
	r->client_waited = waited_of(getpid());
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
	res->server_waited = r->o->server ? (double)(waited_of(r->o->server) - r->server_waited) / 1e9 : 0;
	res->client_waited = (double)(waited_of(getpid()) - r->client_waited) / 1e9;
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
	l->wire = r->o->wire->open(&r->o->request, transport_out(t));
	transport_commit(t);
	if (++r->n_up < r->o->connections)
		return;
	uint64_t now = uv_hrtime();
	r->next_due = now;
	timer_set(&r->phase, (uint64_t)(r->o->warm_up * 1000));
	if (r->o->rate > 0 && !start_pace(r)) {
		struct status none = status_err(ST_INTERNAL, "no timer");
		stop(r, &none);
	}
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
	l->due = mem_zalloc(RING * sizeof(*l->due));
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
	if (r->pace.data) {
		uv_close((uv_handle_t *)&r->pace, NULL);
		close(r->pace_fd);
	}
	transport_env_destroy(r->env);
	loop_destroy(r->loop);
	for (unsigned i = 0; i < r->o->connections; i++) {
		buf_finish(&r->links[i].in);
		free(r->links[i].due);
		if (r->links[i].wire)
			r->o->wire->close(r->links[i].wire);
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
