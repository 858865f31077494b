#include "net/listener.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/str.h"
#include "loop/loop.h"
#include "net/transport.h"

struct world {
	struct loop *loop;
	struct transport_env *env;
	struct listener *listener;
	struct timer guard;
	struct transport *accepted, *connected;
	unsigned n_accepted;
	char dir[64], path[80];
};

static void on_accept(void *data, struct transport *t)
{
	struct world *w = data;
	w->n_accepted++;
	transport_destroy(w->accepted);
	w->accepted = t;
}

static void on_connected(void *data, const struct status *st, struct transport *t)
{
	struct world *w = data;
	assert_string_equal(st->message, "");
	w->connected = t;
}

static void on_guard(struct timer *t)
{
	(void)t;
	fail_msg("nothing happened for 20 s");
}

static void setup(struct world *w)
{
	*w = (struct world){.loop = loop_create()};
	loop_set_watchdog(w->loop, 0);
	w->env = transport_env_create(w->loop);
	timer_init(&w->guard, w->loop, on_guard);
	timer_set(&w->guard, 20000);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/skep-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->path, sizeof(w->path), "%s/s", w->dir);
}

static void teardown(struct world *w)
{
	listener_destroy(w->listener);
	transport_destroy(w->accepted);
	transport_destroy(w->connected);
	transport_env_destroy(w->env);
	timer_stop(&w->guard);
	loop_destroy(w->loop);
	(void)unlink(w->path);
	assert_int_equal(rmdir(w->dir), 0);
}

static struct status listen_unix(struct world *w, mode_t mode)
{
	return listener_unix(w->env, w->path, mode, on_accept, w, &w->listener);
}

static void unix_socket_with_mode(void **state)
{
	struct world w;
	struct stat sb;
	uid_t uid;
	(void)state;
	setup(&w);
	struct status st = listen_unix(&w, 0620);
	assert_string_equal(st.message, "");
	assert_int_equal(stat(w.path, &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 0620);
	(void)transport_connect_unix(w.env, w.path, on_connected, &w);
	while (!w.accepted || !w.connected)
		loop_turn(w.loop);
	assert_true(transport_peer_uid(w.accepted, &uid));
	assert_int_equal(uid, geteuid());
	listener_destroy(w.listener);
	w.listener = NULL;
	assert_int_equal(stat(w.path, &sb), -1); /* the file goes with it */
	teardown(&w);
}

static void tcp_on_a_free_port(void **state)
{
	struct world w;
	uid_t uid;
	struct listener *second;
	(void)state;
	setup(&w);
	struct status st = listener_tcp(w.env, "127.0.0.1", 0, on_accept, &w, &w.listener);
	assert_string_equal(st.message, "");
	assert_true(listener_port(w.listener) > 0);
	(void)transport_connect_tcp(
		w.env, "127.0.0.1", listener_port(w.listener), on_connected, &w);
	while (!w.accepted || !w.connected)
		loop_turn(w.loop);
	assert_false(transport_peer_uid(w.accepted, &uid));
	assert_true(str_starts(str_of(transport_peer(w.accepted)), "127.0.0.1:"));
	st = listener_tcp(w.env, "127.0.0.1", listener_port(w.listener), on_accept, &w, &second);
	assert_int_equal(st.code, ST_ALREADY_EXISTS);
	assert_non_null(strstr(st.message, "address already in use"));
	teardown(&w);
}

static void bad_addresses_have_words(void **state)
{
	struct world w;
	char path[201];
	(void)state;
	setup(&w);
	struct status st = listener_tcp(w.env, "localhost", 0, on_accept, &w, &w.listener);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	assert_non_null(strstr(st.message, "\"localhost\" is not an IP address"));
	st = listener_tcp(w.env, "127.0.0.1", 65536, on_accept, &w, &w.listener);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	memset(path, 'p', 200);
	path[200] = '\0';
	st = listener_unix(w.env, path, 0600, on_accept, &w, &w.listener);
	assert_non_null(strstr(st.message, "at most 107 bytes"));
	st = listener_unix(w.env, "/nonexistent/s", 0600, on_accept, &w, &w.listener);
	assert_int_equal(st.code, ST_UNAVAILABLE);
	assert_non_null(strstr(st.message, "/nonexistent/s: no such file or directory"));
	teardown(&w);
}

static void stale_file_is_replaced_others_are_not(void **state)
{
	struct world w;
	struct listener *second = NULL;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	(void)state;
	setup(&w);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", w.path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd); /* the file stays, nobody is behind it */
	struct status st = listen_unix(&w, 0600);
	assert_string_equal(st.message, "");
	st = listener_unix(w.env, w.path, 0600, on_accept, &w, &second); /* somebody is */
	assert_int_equal(st.code, ST_ALREADY_EXISTS);
	assert_non_null(strstr(st.message, "another process serves"));
	listener_destroy(w.listener);
	w.listener = NULL;
	fd = open(w.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	st = listen_unix(&w, 0600);
	assert_int_equal(st.code, ST_FAILED_PRECONDITION);
	assert_int_equal(access(w.path, F_OK), 0); /* not ours to remove */
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unix_socket_with_mode),
		cmocka_unit_test(tcp_on_a_free_port),
		cmocka_unit_test(bad_addresses_have_words),
		cmocka_unit_test(stale_file_is_replaced_others_are_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
