/* redis against real servers: commands, errors, loss and return, subscriptions. */
#include <setjmp.h>
#include <hiredis.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "loop/loop.h"
#include "redis/redis.h"
#include "../servers.h"

struct fixture {
	struct loop *loop;
	struct redis *redis;
	int ups, downs;
	struct status why; /* of the last down */
};

struct reply {
	int calls;
	struct status st;
	bool given;
	int type;
	long long integer;
	size_t len;
	char text[256];
};

static struct server server;

static int start_server(void **state)
{
	(void)state;
	alarm(240);
	server_start_redis(&server, NULL);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	server_stop(&server);
	return 0;
}

static void assert_status(const struct status *st, enum st_code code, const char *words)
{
	if (st->code != code || strstr(st->message, words) == NULL)
		fail_msg("%s: \"%s\", but expected %s: \"%s\"", st_code_name(st->code), st->message,
			st_code_name(code), words);
}

static void on_state(void *data, bool up, const struct status *why)
{
	struct fixture *f = data;
	if (up) {
		f->ups++;
		assert_status(why, ST_OK, "");
	} else {
		f->downs++;
		f->why = *why;
	}
}

static void open_at(struct fixture *f, const char *url)
{
	struct redis_options o = {.url = url, .on_state = on_state, .data = f};
	struct status st;
	f->ups = f->downs = 0;
	f->redis = redis_create(f->loop, &o, &st);
	assert_status(&st, ST_OK, "");
	assert_false(redis_is_up(f->redis));
	st = redis_last_error(f->redis);
	assert_status(&st, ST_UNAVAILABLE, "still being made");
}

static void wait_for(struct fixture *f, const int *counter, int n)
{
	while (*counter < n)
		loop_turn(f->loop);
	assert_int_equal(*counter, n);
}

static void open_up(struct fixture *f, const char *url)
{
	open_at(f, url);
	wait_for(f, &f->ups, 1);
	assert_true(redis_is_up(f->redis));
	struct status st = redis_last_error(f->redis);
	assert_status(&st, ST_OK, "");
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
	redis_destroy(f->redis);
	loop_destroy(f->loop);
	free(f);
	return 0;
}

static void on_reply(void *data, const struct status *st, const struct redisReply *reply)
{
	struct reply *to = data;
	to->calls++;
	to->st = *st;
	assert_int_equal(reply != NULL, status_is_ok(st));
	to->given = reply != NULL;
	if (reply == NULL)
		return;
	to->type = reply->type;
	to->integer = reply->integer;
	to->len = reply->len;
	if (reply->str)
		(void)snprintf(to->text, sizeof to->text, "%s", reply->str);
}

#define WORDS_MAX 8

/* Space-separated words, without quoting. */
static void send_words(struct fixture *f, const char *text, redis_done done, void *data)
{
	struct str argv[WORDS_MAX], rest = str_of(text);
	size_t n = 0;
	while (rest.len > 0)
		argv[n++] = str_cut(&rest, ' ');
	redis_command(f->redis, done, data, n, argv);
}

static struct reply run(struct fixture *f, const char *text)
{
	struct reply r = {0};
	send_words(f, text, on_reply, &r);
	assert_int_equal(r.calls, 0);
	wait_for(f, &r.calls, 1);
	return r;
}

static void expect_text(struct fixture *f, const char *command, const char *text)
{
	struct reply r = run(f, command);
	assert_status(&r.st, ST_OK, "");
	assert_string_equal(r.text, text);
}

/* ---- commands ---- */

static void test_bad_url(void **state)
{
	struct fixture *f = *state;
	struct redis_options o = {.url = "localhost"};
	struct status st;
	assert_null(redis_create(f->loop, &o, &st));
	assert_status(&st, ST_INVALID_ARGUMENT, "must begin with");
}

static void test_not_yet_connected(void **state)
{
	struct fixture *f = *state;
	open_at(f, server.address);
	struct reply r = run(f, "PING");
	assert_status(&r.st, ST_UNAVAILABLE,
		"no connection to Redis: the first connection is still being made");
	wait_for(f, &f->ups, 1);
	expect_text(f, "PING", "PONG");
}

static void test_commands(void **state)
{
	struct fixture *f = *state;
	struct str many[101] = {STR("DEL")};
	char binary[256];
	struct reply r = {0};
	open_up(f, server.address);
	send_words(f, "FLUSHALL", NULL, NULL);
	for (int i = 0; i < 256; i++)
		binary[i] = (char)i;
	struct str set[] = {STR("SET"), STR("a key"), {binary, sizeof binary}};
	redis_command(f->redis, on_reply, &r, 3, set);
	wait_for(f, &r.calls, 1);
	assert_string_equal(r.text, "OK");
	memset(&r, 0, sizeof r);
	struct str get[] = {STR("GET"), STR("a key")};
	redis_command(f->redis, on_reply, &r, 2, get);
	wait_for(f, &r.calls, 1);
	assert_int_equal(r.len, 256);
	r = run(f, "GET nothing");
	assert_status(&r.st, ST_OK, "");
	assert_int_equal(r.type, REDIS_REPLY_NIL);
	memset(&r, 0, sizeof r);
	struct str set_empty[] = {STR("SET"), STR("empty"), {NULL, 0}};
	redis_command(f->redis, on_reply, &r, 3, set_empty);
	wait_for(f, &r.calls, 1);
	assert_string_equal(r.text, "OK");
	for (int i = 1; i <= 100; i++)
		many[i] = i % 2 ? STR("a key") : (struct str){NULL, 0};
	memset(&r, 0, sizeof r);
	redis_command(f->redis, on_reply, &r, 101, many);
	wait_for(f, &r.calls, 1);
	assert_int_equal(r.integer, 1);
}

static void test_error_replies(void **state)
{
	struct fixture *f = *state;
	open_up(f, server.address);
	expect_text(f, "SET s 1", "OK");
	struct reply r = run(f, "LPUSH s x");
	assert_status(&r.st, ST_FAILED_PRECONDITION, "Redis: WRONGTYPE ");
	r = run(f, "EVALSHA 0000000000000000000000000000000000000000 0");
	assert_status(&r.st, ST_NOT_FOUND, "NOSCRIPT");
	r = run(f, "NOSUCHCOMMAND");
	assert_status(&r.st, ST_INTERNAL, "unknown command");
	memset(&r, 0, sizeof r);
	redis_command(f->redis, on_reply, &r, 0, NULL);
	wait_for(f, &r.calls, 1);
	assert_status(&r.st, ST_INTERNAL, "0 words");
	expect_text(f, "GET s", "1"); /* none of it harmed the connection */
	assert_int_equal(f->downs, 0);
}

static void test_many_and_too_many(void **state)
{
	struct fixture *f = *state;
	enum { N = REDIS_PENDING_MAX };
	struct reply *r = calloc(N + 1, sizeof *r);
	open_up(f, server.address);
	expect_text(f, "SET n 0", "OK");
	for (int i = 0; i <= N; i++)
		send_words(f, "INCR n", on_reply, &r[i]);
	for (int i = 0; i < N; i++) {
		wait_for(f, &r[i].calls, 1);
		assert_status(&r[i].st, ST_OK, "");
		assert_int_equal(r[i].integer, i + 1);
	}
	assert_int_equal(r[N].calls, 1);
	assert_status(&r[N].st, ST_RESOURCE_EXHAUSTED, "10000 commands wait");
	expect_text(f, "GET n", "10000");
	free(r);
}

static void test_large(void **state)
{
	struct fixture *f = *state;
	enum { LEN = 3 * 1000 * 1000 };
	char *value = malloc(LEN);
	struct reply r = {0};
	memset(value, 'x', LEN);
	open_up(f, server.address);
	struct str echo[] = {STR("ECHO"), {value, LEN}};
	redis_command(f->redis, on_reply, &r, 2, echo);
	free(value); /* copied */
	wait_for(f, &r.calls, 1);
	assert_status(&r.st, ST_OK, "");
	assert_int_equal(r.len, LEN);
}

/* ---- who we are ---- */

static void test_database_of_the_url(void **state)
{
	struct fixture *f = *state;
	char url[256];
	open_up(f, server.address);
	expect_text(f, "SET where zero", "OK");
	redis_destroy(f->redis);
	(void)snprintf(url, sizeof url, "%s?db=3", server.address);
	open_up(f, url);
	expect_text(f, "SET where three", "OK");
	redis_destroy(f->redis);
	open_up(f, server.address);
	expect_text(f, "GET where", "zero");
	redis_destroy(f->redis);
	(void)snprintf(url, sizeof url, "%s?db=999", server.address);
	open_at(f, url);
	wait_for(f, &f->downs, 1);
	assert_status(&f->why, ST_INTERNAL, "DB index is out of range");
}

static void test_passwords(void **state)
{
	struct fixture *f = *state;
	struct server locked;
	char url[256];
	server_start_redis(&locked, "right");
	open_up(f, locked.address);
	expect_text(f, "ACL SETUSER bob on >bobs +@all ~*", "OK");
	redis_destroy(f->redis);
	(void)snprintf(url, sizeof url, "unix://bob:bobs@%s/s", locked.dir);
	open_up(f, url);
	expect_text(f, "ACL WHOAMI", "bob");
	redis_destroy(f->redis);
	(void)snprintf(url, sizeof url, "unix://:wrong@%s/s", locked.dir);
	open_at(f, url);
	wait_for(f, &f->downs, 1);
	assert_status(&f->why, ST_UNAUTHENTICATED, "WRONGPASS");
	redis_destroy(f->redis);
	(void)snprintf(url, sizeof url, "unix://%s/s", locked.dir);
	open_at(f, url);
	wait_for(f, &f->downs, 1);
	assert_status(&f->why, ST_UNAUTHENTICATED, "NOAUTH");
	struct reply r = run(f, "PING");
	assert_status(&r.st, ST_UNAVAILABLE, ": NOAUTH");
	server_stop(&locked);
}

/* ---- away ---- */

static void expect_unreachable(struct fixture *f, const char *url, const char *words)
{
	open_at(f, url);
	wait_for(f, &f->downs, 1);
	assert_status(&f->why, ST_UNAVAILABLE, words);
	struct status st = redis_last_error(f->redis);
	assert_status(&st, ST_UNAVAILABLE, words);
	struct reply r = run(f, "PING");
	assert_status(&r.st, ST_UNAVAILABLE, words);
	assert_int_equal(f->downs, 1);
	redis_destroy(f->redis);
	f->redis = NULL;
}

static void test_unreachable(void **state)
{
	struct fixture *f = *state;
	expect_unreachable(
		f, "unix:///nowhere/at/all", "Redis at /nowhere/at/all: No such file or directory");
	expect_unreachable(
		f, "redis://localhost:1", "Redis at localhost port 1: Connection refused");
	expect_unreachable(
		f, "redis://127.0.0.1:1/2", "Redis at 127.0.0.1 port 1: Connection refused");
	expect_unreachable(f, "redis://no..such..host", "\"no..such..host\" cannot be resolved");
}

/* A server that takes the connection and says nothing. */
static void test_mute(void **state)
{
	struct fixture *f = *state;
	char dir[] = "/tmp/skep-mute-XXXXXX", url[128];
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	assert_non_null(mkdtemp(dir));
	(void)snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 8), 0);
	(void)snprintf(url, sizeof url, "unix://%s/s", dir);
	expect_unreachable(f, url, "it does not answer");
	close(fd);
	unlink(at.sun_path);
	rmdir(dir);
}

struct again {
	struct fixture *f;
	struct reply first, second;
};

static void on_end_run_again(void *data, const struct status *st, const struct redisReply *reply)
{
	struct again *a = data;
	on_reply(&a->first, st, reply);
	send_words(a->f, "PING", on_reply, &a->second);
}

static void test_killed_and_started_again(void **state)
{
	struct fixture *f = *state;
	struct reply r[50] = {{0}};
	struct again a = {.f = f};
	open_up(f, server.address);
	expect_text(f, "SET k v", "OK");
	kill(server.pid, SIGSTOP); /* so that nothing is answered */
	for (int i = 0; i < 50; i++)
		send_words(f, "INCR k", on_reply, &r[i]);
	send_words(f, "PING", on_end_run_again, &a);
	send_words(f, "PING", NULL, NULL);
	loop_turn(f->loop);
	server_kill(&server, SIGKILL);
	for (int i = 0; i < 50; i++) {
		wait_for(f, &r[i].calls, 1);
		assert_int_equal(r[i].st.code, ST_UNAVAILABLE);
		assert_non_null(strstr(r[i].st.message, "Redis at /tmp/"));
	}
	wait_for(f, &a.first.calls, 1);
	assert_int_equal(a.first.st.code, ST_UNAVAILABLE);
	wait_for(f, &a.second.calls, 1);
	assert_int_equal(a.second.st.code, ST_UNAVAILABLE);
	wait_for(f, &f->downs, 1);
	assert_false(redis_is_up(f->redis));
	server_start(&server);
	wait_for(f, &f->ups, 2);
	struct reply nil = run(f, "GET k");
	assert_int_equal(nil.type, REDIS_REPLY_NIL); /* it lost everything */
	assert_int_equal(f->downs, 1);
}

/* One that hangs: the connection is given up, another is tried. */
static void test_no_answer(void **state)
{
	struct fixture *f = *state;
	struct reply r[3] = {{0}};
	open_up(f, server.address);
	kill(server.pid, SIGSTOP);
	for (int i = 0; i < 3; i++)
		send_words(f, "PING", on_reply, &r[i]);
	for (int i = 0; i < 3; i++) {
		wait_for(f, &r[i].calls, 1);
		assert_status(&r[i].st, ST_DEADLINE_EXCEEDED, "did not answer within 2000 ms");
	}
	wait_for(f, &f->downs, 1);
	kill(server.pid, SIGCONT);
	wait_for(f, &f->ups, 2);
	expect_text(f, "PING", "PONG");
}

static void test_thrown_out(void **state)
{
	struct fixture *f = *state;
	open_up(f, server.address);
	struct reply r = run(f, "CLIENT KILL TYPE normal SKIPME no");
	(void)r; /* answered or not: that is a race inside the server */
	wait_for(f, &f->downs, 1);
	assert_status(&f->why, ST_UNAVAILABLE, "Server closed the connection");
	wait_for(f, &f->ups, 2);
	expect_text(f, "PING", "PONG");
}

/* ---- the end ---- */

static void test_destroy(void **state)
{
	struct fixture *f = *state;
	struct reply sent = {0}, refused = {0};
	struct again a = {.f = f};
	open_at(f, server.address);
	send_words(f, "PING", on_reply, &refused);
	redis_destroy(f->redis);
	assert_int_equal(refused.calls, 1);
	assert_int_equal(refused.st.code, ST_UNAVAILABLE);
	open_up(f, server.address);
	send_words(f, "PING", on_reply, &sent);
	send_words(f, "PING", on_end_run_again, &a);
	redis_destroy(f->redis);
	f->redis = NULL;
	assert_status(&sent.st, ST_CANCELLED, "being closed");
	assert_status(&a.first.st, ST_CANCELLED, "being closed");
	assert_int_equal(a.second.calls, 0);
	wait_for(f, &a.second.calls, 1);
	assert_status(&a.second.st, ST_CANCELLED, "being closed");
}

static void test_destroyed_while_connecting(void **state)
{
	struct fixture *f = *state;
	static const char *const urls[] = {
		"redis://localhost:1", "redis://127.0.0.1:1", "unix:///nowhere"};
	for (int turns = 0; turns < 12; turns++) {
		open_at(f, turns % 4 == 3 ? server.address : urls[turns % 4]);
		for (int i = 0; i < turns / 4; i++)
			loop_turn(f->loop);
		redis_destroy(f->redis);
	}
	f->redis = NULL;
}

/* ---- subscriptions ---- */

struct heard {
	int again, messages;
	char last[64];
};

static void on_message(void *data, const char *channel, struct str payload)
{
	struct heard *h = data;
	if (channel == NULL) {
		h->again++;
		assert_int_equal(payload.len, 0);
		return;
	}
	h->messages++;
	(void)snprintf(h->last, sizeof h->last, "%s:" STR_FMT, channel, STR_ARG(payload));
}

static void test_subscribe(void **state)
{
	struct fixture *f = *state;
	struct heard jobs = {0}, odd = {0}, twice = {0};
	open_up(f, server.address);
	redis_subscribe(f->redis, "jobs", on_message, &jobs);
	redis_subscribe(f->redis, "odd name", on_message, &odd);
	assert_int_equal(jobs.again, 0);
	wait_for(f, &jobs.again, 1);
	wait_for(f, &odd.again, 1);
	redis_subscribe(f->redis, "jobs", on_message, &twice);
	wait_for(f, &twice.again, 1);
	assert_int_equal(jobs.again, 1);
	send_words(f, "PUBLISH jobs one", NULL, NULL);
	send_words(f, "PUBLISH other one", NULL, NULL);
	struct str publish[] = {STR("PUBLISH"), STR("odd name"), STR("")};
	redis_command(f->redis, NULL, NULL, 3, publish);
	wait_for(f, &odd.messages, 1);
	assert_int_equal(jobs.messages, 1);
	assert_int_equal(twice.messages, 1);
	assert_string_equal(jobs.last, "jobs:one");
	assert_string_equal(odd.last, "odd name:");

	server_kill(&server, SIGKILL);
	server_start(&server);
	wait_for(f, &jobs.again, 2);
	wait_for(f, &odd.again, 2);
	wait_for(f, &twice.again, 2);
	while (!redis_is_up(f->redis))
		loop_turn(f->loop);
	send_words(f, "PUBLISH jobs two", NULL, NULL);
	wait_for(f, &jobs.messages, 2);
	assert_string_equal(jobs.last, "jobs:two");
	assert_int_equal(odd.messages, 1);

	struct reply r = run(f, "CLIENT KILL TYPE pubsub");
	assert_status(&r.st, ST_OK, "");
	wait_for(f, &jobs.again, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_url),
		TEST(test_not_yet_connected),
		TEST(test_commands),
		TEST(test_error_replies),
		TEST(test_many_and_too_many),
		TEST(test_large),
		TEST(test_database_of_the_url),
		TEST(test_passwords),
		TEST(test_unreachable),
		TEST(test_mute),
		TEST(test_killed_and_started_again),
		TEST(test_no_answer),
		TEST(test_thrown_out),
		TEST(test_destroy),
		TEST(test_destroyed_while_connecting),
		TEST(test_subscribe),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
