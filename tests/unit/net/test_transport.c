#include "net/transport.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/list.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "net/listener.h"

struct end {
	struct transport *t;
	struct buf in;
	bool closed, destroy_on_data;
	struct status why;
	unsigned drained, flushed;
};

struct world {
	struct loop *loop;
	struct transport_env *env;
	struct timer guard;
	struct end a, b;
};

static void on_data(void *data, char *bytes, size_t len)
{
	struct end *e = data;
	buf_add(&e->in, bytes, len);
	if (e->destroy_on_data) {
		transport_destroy(e->t);
		e->t = NULL;
	}
}

static void on_drain(void *data)
{
	((struct end *)data)->drained++;
}

static void on_flush(void *data)
{
	((struct end *)data)->flushed++;
}

static void on_close(void *data, const struct status *why)
{
	struct end *e = data;
	assert_false(e->closed);
	e->closed = true;
	e->why = *why;
}

static const struct transport_events events = {on_data, on_drain, on_flush, on_close};

static void on_guard(struct timer *t)
{
	(void)t;
	fail_msg("nothing happened for 20 s");
}

static void setup_alone(struct world *w)
{
	*w = (struct world){.loop = loop_create()};
	loop_set_watchdog(w->loop, 0);
	w->env = transport_env_create(w->loop);
	timer_init(&w->guard, w->loop, on_guard);
	timer_set(&w->guard, 20000);
}

static void setup(struct world *w, size_t high_water)
{
	int fds[2];
	setup_alone(w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	struct status st = transport_adopt(w->env, fds[0], &w->a.t);
	assert_int_equal(st.code, ST_OK);
	st = transport_adopt(w->env, fds[1], &w->b.t);
	assert_int_equal(st.code, ST_OK);
	transport_start(w->a.t, &events, &w->a, high_water);
	transport_start(w->b.t, &events, &w->b, high_water);
}

static void teardown(struct world *w)
{
	transport_destroy(w->a.t);
	transport_destroy(w->b.t);
	transport_env_destroy(w->env);
	timer_stop(&w->guard);
	loop_destroy(w->loop);
	buf_finish(&w->a.in);
	buf_finish(&w->b.in);
}

#define WAIT(w, condition)                                                                         \
	while (!(condition))                                                                       \
	loop_turn((w)->loop)

static void say(struct transport *t, const char *text)
{
	struct str s = str_of(text);
	transport_write(t, &s, 1);
}

static void writes_of_a_turn_arrive_together(void **state)
{
	struct world w;
	(void)state;
	setup(&w, 0);
	say(w.a.t, "one ");
	buf_adds(transport_out(w.a.t), "two ");
	say(w.a.t, "three");
	assert_int_equal(transport_pending(w.a.t), 13);
	WAIT(&w, w.b.in.len > 0);
	assert_true(str_is(buf_str(&w.b.in), "one two three"));
	assert_int_equal(w.a.flushed, 1);
	assert_int_equal(transport_pending(w.a.t), 0);
	assert_int_equal(transport_taken(w.a.t), 13);
	assert_int_equal(transport_received(w.b.t), 13);
	teardown(&w);
}

static void peer_is_described(void **state)
{
	struct world w;
	uid_t uid;
	char expected[80];
	(void)state;
	setup(&w, 0);
	(void)snprintf(expected, sizeof(expected), "unix:uid=%u,pid=%d", geteuid(), getpid());
	assert_string_equal(transport_peer(w.a.t), expected);
	assert_true(transport_peer_uid(w.a.t, &uid));
	assert_int_equal(uid, geteuid());
	teardown(&w);
}

/* 8 MiB to a peer that does not read at first: pressed, then drained, nothing lost, in order. */
static void pressure_and_relief(void **state)
{
	struct world w;
	size_t n = (size_t)8 << 20;
	char *bytes = mem_alloc(n);
	(void)state;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 7 + i / 1000);
	setup(&w, (size_t)1 << 20);
	transport_pause(w.b.t);
	assert_false(transport_is_pressed(w.a.t));
	for (size_t i = 0; i < 8; i++) {
		struct str s = {bytes + i * (n / 8), n / 8};
		transport_write(w.a.t, &s, 1);
	}
	assert_true(transport_is_pressed(w.a.t));
	WAIT(&w, w.a.flushed);
	say(w.a.t, "tail"); /* while the rest waits in libuv */
	uint64_t taken = transport_taken(w.a.t);
	assert_true(taken < n);
	assert_int_equal(transport_pending(w.a.t), n + 4 - taken);
	transport_resume(w.b.t);
	WAIT(&w, w.b.in.len >= n / 4);
	assert_true(transport_taken(w.a.t) > taken);
	WAIT(&w, w.b.in.len == n + 4);
	assert_memory_equal(w.b.in.ptr, bytes, n);
	assert_memory_equal(w.b.in.ptr + n, "tail", 4);
	WAIT(&w, transport_pending(w.a.t) == 0);
	assert_int_equal(w.a.drained, 1);
	assert_false(transport_is_pressed(w.a.t));
	free(bytes);
	teardown(&w);
}

static void end_of_peer_is_told_once(void **state)
{
	struct world w;
	(void)state;
	setup(&w, 0);
	transport_destroy(w.b.t);
	w.b.t = NULL;
	WAIT(&w, w.a.closed);
	assert_int_equal(w.a.why.code, ST_OK);
	say(w.a.t, "into the void"); /* dropped */
	assert_int_equal(transport_pending(w.a.t), 0);
	teardown(&w);
}

static void broken_write_is_told(void **state)
{
	struct world w;
	(void)state;
	setup(&w, 0);
	transport_pause(w.a.t); /* only writing can notice */
	transport_destroy(w.b.t);
	w.b.t = NULL;
	loop_turn(w.loop);
	say(w.a.t, "x");
	WAIT(&w, w.a.closed);
	assert_int_equal(w.a.why.code, ST_UNAVAILABLE);
	assert_non_null(strstr(w.a.why.message, "write: broken pipe"));
	teardown(&w);
}

static void destroyed_inside_its_callback(void **state)
{
	struct world w;
	(void)state;
	setup(&w, 0);
	w.b.destroy_on_data = true;
	say(w.b.t, "never sent");
	say(w.a.t, "x");
	WAIT(&w, w.a.closed);
	assert_null(w.b.t);
	teardown(&w);
}

/* What was written arrives although the owner has let go; the peer sees an orderly end. */
static void finish_sends_the_rest(void **state)
{
	struct world w;
	size_t n = (size_t)4 << 20;
	char *bytes = mem_zalloc(n);
	struct str s = {bytes, n};
	(void)state;
	setup(&w, 0);
	transport_write(w.a.t, &s, 1);
	transport_finish(w.a.t, 10000);
	w.a.t = NULL;
	say(w.b.t, "ignored");
	WAIT(&w, w.b.closed);
	assert_int_equal(w.b.in.len, n);
	assert_int_equal(w.b.why.code, ST_OK);
	assert_int_equal(w.a.in.len, 0);
	free(bytes);
	teardown(&w);
}

/* A peer that neither reads nor closes does not keep it for longer than the linger time. */
static void finish_gives_up(void **state)
{
	struct world w;
	size_t n = (size_t)4 << 20;
	char *bytes = mem_zalloc(n);
	struct str s = {bytes, n};
	(void)state;
	setup(&w, 0);
	transport_pause(w.b.t);
	transport_write(w.a.t, &s, 1);
	transport_finish(w.a.t, 20);
	w.a.t = NULL;
	uint64_t started = loop_now_ms(w.loop);
	while (loop_now_ms(w.loop) < started + 20)
		loop_turn(w.loop);
	transport_resume(w.b.t);
	WAIT(&w, w.b.closed);
	assert_true(w.b.in.len < n);
	free(bytes);
	teardown(&w);
}

static void env_closes_what_is_left(void **state)
{
	struct world w;
	(void)state;
	setup(&w, 0);
	say(w.a.t, "bye");
	transport_finish(w.a.t, 60000);
	transport_env_destroy(w.env);
	w.env = NULL;
	w.a.t = w.b.t = NULL;
	teardown(&w); /* loop_destroy would not return, or leak */
}

/* Whoever is still there is served before a crowd that goes has been closed, and all of it is closed in the end. */
static void crowd_that_goes_holds_nobody_up(void **state)
{
	enum { CROWD = 500 };
	struct world w;
	struct end crowd = {0};
	struct transport *gone[CROWD];
	int others[CROWD], fds[2];
	(void)state;
	setup(&w, 0);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		struct status st = transport_adopt(w.env, fds[0], &gone[i]);
		assert_int_equal(st.code, ST_OK);
		transport_start(gone[i], &events, &crowd, 0);
		others[i] = fds[1];
		assert_int_equal(write(others[i], "x", 1), 1); /* is not heard any more */
	}
	for (int i = 0; i < CROWD; i++)
		transport_destroy(gone[i]);
	say(w.a.t, "here");
	WAIT(&w, w.b.in.len > 0);
	assert_true(transport_env_open(w.env) > 2 + CROWD / 2);
	WAIT(&w, transport_env_open(w.env) == 2);
	assert_int_equal(crowd.in.len, 0);
	for (int i = 0; i < CROWD; i++)
		close(others[i]);
	teardown(&w);
}

static void env_closes_a_crowd_that_waits(void **state)
{
	struct world w;
	int fds[2], others[100];
	(void)state;
	setup(&w, 0);
	for (int i = 0; i < 100; i++) {
		struct transport *t;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		struct status st = transport_adopt(w.env, fds[0], &t);
		assert_int_equal(st.code, ST_OK);
		others[i] = fds[1];
		transport_destroy(t);
	}
	teardown(&w); /* the loop would miss what is open, LeakSanitizer what is not freed */
	for (int i = 0; i < 100; i++) {
		char end;
		assert_int_equal(read(others[i], &end, 1), 0);
		close(others[i]);
	}
}

static void adopt_refuses_what_is_no_socket(void **state)
{
	struct world w;
	int fds[2];
	(void)state;
	setup_alone(&w);
	assert_int_equal(pipe(fds), 0);
	struct status st = transport_adopt(w.env, fds[0], &w.a.t);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	assert_int_equal(write(fds[1], "x", 1), -1); /* it was closed */
	close(fds[1]);
	teardown(&w);
}

/* ---- connecting ---- */

static void on_connected(void *data, const struct status *st, struct transport *t)
{
	struct end *e = data;
	e->why = *st;
	e->t = t;
	e->closed = true; /* it has been called */
}

static void connect_failures_have_words(void **state)
{
	struct world w;
	char path[201];
	(void)state;
	setup_alone(&w);
	(void)transport_connect_unix(w.env, "/nonexistent/s", on_connected, &w.a);
	assert_false(w.a.closed);
	WAIT(&w, w.a.closed);
	assert_int_equal(w.a.why.code, ST_UNAVAILABLE);
	assert_string_equal(
		w.a.why.message, "connect to /nonexistent/s: no such file or directory");
	memset(path, 'p', 200);
	path[200] = '\0';
	w.a.closed = false;
	(void)transport_connect_unix(w.env, path, on_connected, &w.a);
	WAIT(&w, w.a.closed);
	assert_non_null(strstr(w.a.why.message, "name too long"));
	w.a.closed = false;
	(void)transport_connect_tcp(w.env, "not an address", 1, on_connected, &w.a);
	WAIT(&w, w.a.closed);
	assert_int_equal(w.a.why.code, ST_UNAVAILABLE);
	w.a.closed = false;
	(void)transport_connect_tcp(w.env, "127.0.0.1", 1, on_connected, &w.a);
	WAIT(&w, w.a.closed);
	assert_non_null(strstr(w.a.why.message, "127.0.0.1:1: connection refused"));
	teardown(&w);
}

static void cancelled_connects_say_nothing(void **state)
{
	struct world w;
	(void)state;
	setup_alone(&w);
	transport_connect_cancel(
		transport_connect_unix(w.env, "/nonexistent/s", on_connected, &w.a));
	transport_connect_cancel(transport_connect_tcp(w.env, "127.0.0.1", 1, on_connected, &w.a));
	transport_connect_cancel(transport_connect_tcp(w.env, "?", 1, on_connected, &w.a));
	(void)transport_connect_unix(w.env, "/nonexistent/t", on_connected, &w.b);
	WAIT(&w, w.b.closed);
	assert_false(w.a.closed);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_of_a_turn_arrive_together),
		cmocka_unit_test(peer_is_described),
		cmocka_unit_test(pressure_and_relief),
		cmocka_unit_test(end_of_peer_is_told_once),
		cmocka_unit_test(broken_write_is_told),
		cmocka_unit_test(destroyed_inside_its_callback),
		cmocka_unit_test(finish_sends_the_rest),
		cmocka_unit_test(finish_gives_up),
		cmocka_unit_test(env_closes_what_is_left),
		cmocka_unit_test(crowd_that_goes_holds_nobody_up),
		cmocka_unit_test(env_closes_a_crowd_that_waits),
		cmocka_unit_test(adopt_refuses_what_is_no_socket),
		cmocka_unit_test(connect_failures_have_words),
		cmocka_unit_test(cancelled_connects_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
