/* pg when the server is away, goes away, or will not have us; LISTEN across it all. */
#include <setjmp.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#include "reply.h"
#include "../servers.h"

struct fixture {
	struct loop *loop;
	struct pg *pg;
	int ups, downs;
	struct status why; /* of the last down */
};

static struct server server;

static int start_server(void **state)
{
	(void)state;
	alarm(240);
	server_start_pg(&server, "local all skep trust\nlocal all all scram-sha-256");
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	server_stop(&server);
	return 0;
}

static void on_state(void *data, bool up, const struct status *why)
{
	struct fixture *f = data;
	if (up) {
		f->ups++;
		assert_ok(why);
	} else {
		f->downs++;
		f->why = *why;
	}
}

static void open_pool(struct fixture *f, const char *conninfo, unsigned size)
{
	struct pg_options o = {
		.conninfo = conninfo, .pool_size = size, .on_state = on_state, .data = f};
	f->pg = pg_create(f->loop, &o);
	assert_false(pg_is_up(f->pg));
	struct status st = pg_last_error(f->pg);
	assert_status(&st, ST_UNAVAILABLE, "still being made");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->loop = loop_create();
	loop_set_watchdog(f->loop, 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	pg_destroy(f->pg);
	loop_destroy(f->loop);
	free(f);
	return 0;
}

static const struct pg_stmt one = {"one", "select 1"};
static const struct pg_stmt nap = {"nap", "select pg_sleep(30)"};

static void start(struct fixture *f, const struct pg_stmt *s, uint64_t ms, struct reply *to)
{
	struct pg_batch *b = pg_batch_create(f->pg);
	memset(to, 0, sizeof *to);
	pg_add(b, s);
	pg_run(b, ms, on_reply, to);
}

static void expect_works(struct fixture *f)
{
	struct reply r;
	start(f, &one, 20000, &r);
	reply_wait(f->loop, &r);
	assert_ok(&r.st);
	assert_string_equal(r.cell[0][0], "1");
	assert_true(pg_is_up(f->pg));
	struct status st = pg_last_error(f->pg);
	assert_ok(&st);
}

/* A pool that cannot connect: what it says, and what its batches say. */
static void expect_unreachable(struct fixture *f, const char *conninfo, const char *words)
{
	struct reply r;
	open_pool(f, conninfo, 0);
	while (f->downs == 0)
		loop_turn(f->loop);
	start(f, &one, 150, &r);
	reply_wait(f->loop, &r);
	assert_int_equal(f->downs, 1); /* once, not at each attempt */
	assert_status(&f->why, f->why.code, words);
	assert_status(&r.st, ST_UNAVAILABLE, "no connection to PostgreSQL: ");
	assert_status(&r.st, ST_UNAVAILABLE, words);
	assert_false(r.sent);
	struct status st = pg_last_error(f->pg);
	assert_int_not_equal(st.code, ST_OK);
	assert_non_null(strstr(st.message, words));
	assert_null(strchr(st.message, '\n'));
	assert_int_equal(f->ups, 0);
}

static void test_no_socket(void **state)
{
	expect_unreachable(*state, "host=/nowhere/at/all user=skep",
		"connection to server on socket \"/nowhere/at/all/.s.PGSQL.5432\" failed: No such "
		"file or directory");
}

static void test_refused_by_name(void **state)
{
	expect_unreachable(*state, "host=localhost port=1 user=skep",
		"connection to server at \"127.0.0.1\", port 1 failed: Connection refused");
}

static void test_name_that_is_none(void **state)
{
	expect_unreachable(
		*state, "host=no..such..host user=skep", "\"no..such..host\" cannot be resolved");
}

static void test_conninfo_that_is_none(void **state)
{
	expect_unreachable(
		*state, "host", "missing \"=\" after \"host\" in connection info string");
}

static void test_ports_that_do_not_match(void **state)
{
	expect_unreachable(
		*state, "host=localhost port=1,2", "could not match 2 port numbers to 1 hosts");
}

/* The first host is gone, the second has no name, the third is ours. */
static void test_several_hosts(void **state)
{
	struct fixture *f = *state;
	char conninfo[256];
	(void)snprintf(conninfo, sizeof conninfo,
		"host=localhost,no..such..host,%s port=1,2,5432 user=skep "
		"dbname=postgres",
		server.dir);
	open_pool(f, conninfo, 1);
	expect_works(f);
}

static void test_passwords(void **state)
{
	struct fixture *f = *state;
	char conninfo[256];
	open_pool(f, server.address, 1);
	run_ok(f->loop, f->pg, "create user guest password 'right'");
	pg_destroy(f->pg);
	f->ups = 0;
	(void)snprintf(conninfo, sizeof conninfo,
		"host=%s user=guest dbname=postgres password=wrong", server.dir);
	expect_unreachable(f, conninfo, "password authentication failed for user \"guest\"");
	assert_null(strstr(f->why.message, "wrong"));
	pg_destroy(f->pg);
	(void)snprintf(conninfo, sizeof conninfo,
		"host=%s user=guest dbname=postgres password=right", server.dir);
	open_pool(f, conninfo, 1);
	expect_works(f);
}

/* A server that takes the connection and says nothing. */
static void test_connect_timeout(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/skep-mute-XXXXXX", conninfo[128];
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	assert_non_null(mkdtemp(dir));
	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s/.s.PGSQL.5432", dir);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 8), 0);
	(void)snprintf(conninfo, sizeof conninfo, "host=%s user=skep connect_timeout=1", dir);
	open_pool(f, conninfo, 1);
	while (f->downs == 0)
		loop_turn(f->loop);
	assert_status(&f->why, ST_UNAVAILABLE, "within 1000 ms (it does not answer)");
	close(fd);
	unlink(at.sun_path);
	rmdir(dir);
}

static void test_destroyed_while_connecting(void **state)
{
	struct fixture *f = *state;
	open_pool(f, "host=localhost port=1", 4);
	loop_turn(f->loop);
	pg_destroy(f->pg);
	open_pool(f, server.address, 4);
	loop_turn(f->loop);
}

/* Killed with batches in every state: in flight, waiting behind them, new while it is away. */
static void test_restart(void **state)
{
	struct fixture *f = *state;
	enum { FLYING = 64, WAITING = 20 };
	struct reply flying[FLYING], waiting[WAITING], late;
	open_pool(f, server.address, 1);
	expect_works(f);
	for (int i = 0; i < FLYING; i++)
		start(f, &nap, 20000, &flying[i]);
	for (int i = 0; i < WAITING; i++)
		start(f, &one, 20000, &waiting[i]);
	loop_turn(f->loop);
	server_kill(&server, SIGQUIT);
	for (int i = 0; i < FLYING; i++) {
		reply_wait(f->loop, &flying[i]);
		assert_status(&flying[i].st, ST_UNAVAILABLE, "was lost before the answer came: ");
		assert_true(flying[i].sent);
		assert_int_equal(flying[i].calls, 1);
	}
	while (f->downs == 0)
		loop_turn(f->loop);
	assert_int_equal(f->why.code, ST_UNAVAILABLE); /* last words may be lost with the socket */
	assert_false(pg_is_up(f->pg));
	start(f, &one, 20000, &late);
	for (int i = 0; i < WAITING; i++)
		assert_int_equal(waiting[i].calls, 0);
	server_start(&server);
	for (int i = 0; i < WAITING; i++) {
		reply_wait(f->loop, &waiting[i]);
		assert_ok(&waiting[i].st);
	}
	reply_wait(f->loop, &late);
	assert_ok(&late.st);
	assert_int_equal(f->ups, 2);
	assert_int_equal(f->downs, 1);
}

/* kill -9 of a backend: no last words. */
static void test_backend_killed(void **state)
{
	struct fixture *f = *state;
	struct reply r, flying;
	open_pool(f, server.address, 1);
	r = run_text(f->loop, f->pg, "select pg_backend_pid()");
	start(f, &nap, 20000, &flying);
	loop_turn(f->loop);
	pid_t pid = (pid_t)strtol(r.cell[0][0], NULL, 10);
	assert_true(pid > 1);
	kill(pid, SIGKILL);
	reply_wait(f->loop, &flying);
	assert_status(&flying.st, ST_UNAVAILABLE, "server closed the connection unexpectedly");
	assert_true(flying.sent);
	expect_works(f);
}

/* Thrown out while it runs, and while it idles. The other connection lives on: no state change. */
static void test_terminated_by_an_administrator(void **state)
{
	struct fixture *f = *state;
	struct pg_options o = {.conninfo = server.address, .pool_size = 1};
	struct pg *admin = pg_create(f->loop, &o);
	struct reply flying;
	static const char kick[] = "select pg_terminate_backend(pid) from pg_stat_activity where "
				   "pid <> pg_backend_pid() and backend_type = 'client backend'";
	open_pool(f, server.address, 1);
	expect_works(f);
	start(f, &nap, 20000, &flying);
	loop_turn(f->loop);
	run_ok(f->loop, admin, kick);
	reply_wait(f->loop, &flying);
	assert_status(
		&flying.st, ST_UNAVAILABLE, "terminating connection due to administrator command");
	assert_true(flying.sent);
	expect_works(f);
	int downs = f->downs;
	run_ok(f->loop, admin, kick);
	while (f->downs == downs)
		loop_turn(f->loop);
	assert_status(
		&f->why, ST_UNAVAILABLE, "terminating connection due to administrator command");
	expect_works(f);
	pg_destroy(admin);
}

/* ---- LISTEN ---- */

struct heard {
	int again, payloads;
	char last[64];
};

static void on_notify(void *data, const char *channel, const char *payload)
{
	struct heard *h = data;
	if (channel == NULL) {
		h->again++;
		assert_null(payload);
		return;
	}
	h->payloads++;
	(void)snprintf(h->last, sizeof h->last, "%s:%s", channel, payload);
}

static void wait_for(struct fixture *f, const int *counter, int n)
{
	while (*counter < n)
		loop_turn(f->loop);
	assert_int_equal(*counter, n);
}

static void test_listen(void **state)
{
	struct fixture *f = *state;
	struct heard jobs = {0}, odd = {0}, twice = {0};
	open_pool(f, server.address, 1);
	pg_listen(f->pg, "jobs", on_notify, &jobs);
	pg_listen(f->pg, "Odd \"name\"", on_notify, &odd);
	assert_int_equal(jobs.again, 0);
	wait_for(f, &jobs.again, 1);
	wait_for(f, &odd.again, 1);
	pg_listen(f->pg, "jobs", on_notify, &twice);
	wait_for(f, &twice.again, 1);
	assert_int_equal(jobs.again, 1);
	run_ok(f->loop, f->pg,
		"select pg_notify('jobs', 'é 1'), pg_notify('Odd \"name\"', ''), "
		"pg_notify('other', '')");
	wait_for(f, &jobs.payloads, 1);
	wait_for(f, &twice.payloads, 1);
	wait_for(f, &odd.payloads, 1);
	assert_string_equal(jobs.last, "jobs:é 1");
	assert_string_equal(odd.last, "Odd \"name\":");

	server_kill(&server, SIGQUIT);
	server_start(&server);
	wait_for(f, &jobs.again, 2);
	wait_for(f, &odd.again, 2);
	run_ok(f->loop, f->pg, "notify jobs, 'after'");
	wait_for(f, &jobs.payloads, 2);
	assert_string_equal(jobs.last, "jobs:after");
	assert_int_equal(odd.payloads, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_socket),
		TEST(test_refused_by_name),
		TEST(test_name_that_is_none),
		TEST(test_conninfo_that_is_none),
		TEST(test_ports_that_do_not_match),
		TEST(test_several_hosts),
		TEST(test_passwords),
		TEST(test_connect_timeout),
		TEST(test_destroyed_while_connecting),
		TEST(test_restart),
		TEST(test_backend_killed),
		TEST(test_terminated_by_an_administrator),
		TEST(test_listen),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
