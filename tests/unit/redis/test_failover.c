/* redis with several servers: a replica is not used, and one that becomes one is left. Two real servers, the second a
 * replica of the first, which is then promoted. */
#include <setjmp.h>
#include <hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "base/status.h"
#include "loop/loop.h"
#include "redis/redis.h"
#include "../servers.h"

struct world {
	struct loop *loop;
	struct server a, b;
	char port_a[8], port_b[8], urls[512];
	struct redis *redis;
	int ups, downs, heard, joined;
	struct status why;
};

static void free_port(char ret_text[8])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	(void)snprintf(ret_text, 8, "%u", ntohs(at.sin_port));
	(void)close(fd);
}

/* Replicas need a port of their master's. */
static void start(struct server *s, char *port)
{
	free_port(port);
	*s = (struct server){.ready = "eady to accept connections", .stop_signal = SIGTERM};
	server_make_dir(s, "/tmp/skep-redis-XXXXXX");
	(void)snprintf(s->text[0], sizeof(s->text[0]), "%s/s", s->dir);
	const char *const argv[] = {"redis-server", "--bind", "127.0.0.1", "--port", port, "--unixsocket", s->text[0], "--save", "",
		"--appendonly", "no", "--dir", s->dir, NULL};
	memcpy(s->argv, argv, sizeof(argv));
	(void)snprintf(s->address, sizeof(s->address), "unix://%s/s", s->dir);
	server_start(s);
}

/* By hand, on another connection. */
static void tell(const struct server *s, const char *command)
{
	redisContext *c = redisConnectUnix(s->text[0]);
	assert_true(c && !c->err);
	redisReply *r = redisCommand(c, command);
	assert_true(r && r->type != REDIS_REPLY_ERROR);
	freeReplyObject(r);
	redisFree(c);
}

static void on_state(void *data, bool up, const struct status *why)
{
	struct world *w = data;
	if (up)
		w->ups++;
	else
		w->downs++;
	w->why = *why;
}

static void on_message(void *data, const char *channel, struct str payload)
{
	struct world *w = data;
	(void)payload;
	if (channel)
		w->heard++;
	else
		w->joined++;
}

static void until(struct world *w, const int *counter, int n)
{
	while (*counter < n)
		loop_turn(w->loop);
}

static void open_urls(struct world *w, const char *first, const char *second)
{
	struct status st;
	(void)snprintf(w->urls, sizeof(w->urls), "%s, %s", first, second);
	const struct redis_options o = {.url = w->urls, .on_state = on_state, .data = w};
	w->redis = redis_create(w->loop, &o, &st);
	assert_true(status_is_ok(&st));
	redis_subscribe(w->redis, "news", on_message, w);
	until(w, &w->joined, 1);
	if (!redis_is_up(w->redis))
		until(w, &w->ups, 1);
}

/* What the server that is used says of itself, by what it publishes to. */
static void assert_uses(struct world *w, const struct server *s)
{
	int before = w->heard;
	tell(s, "PUBLISH news x");
	until(w, &w->heard, before + 1);
}

static int begin(void **state)
{
	struct world *w = *state = calloc(1, sizeof(*w));
	char command[64];
	alarm(120);
	w->loop = loop_create();
	loop_set_watchdog(w->loop, 0);
	start(&w->a, w->port_a);
	start(&w->b, w->port_b);
	(void)snprintf(command, sizeof(command), "REPLICAOF 127.0.0.1 %s", w->port_a);
	tell(&w->b, command);
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;
	redis_destroy(w->redis);
	server_stop(&w->a);
	server_stop(&w->b);
	loop_destroy(w->loop);
	free(w);
	return 0;
}

static void a_replica_is_not_used(void **state)
{
	struct world *w = *state;
	open_urls(w, w->b.address, w->a.address);
	assert_int_equal(w->ups, 1);
	assert_uses(w, &w->a);
}

static void a_promoted_one_is(void **state)
{
	struct world *w = *state;
	open_urls(w, w->a.address, w->b.address);
	assert_uses(w, &w->a);
	server_kill(&w->a, SIGKILL);
	until(w, &w->downs, 1);
	tell(&w->b, "REPLICAOF NO ONE");
	until(w, &w->ups, 2);
	until(w, &w->joined, 2);
	assert_uses(w, &w->b);
}

/* Nobody closes the connection. */
static void one_that_becomes_a_replica_is_left(void **state)
{
	struct world *w = *state;
	char command[64];
	open_urls(w, w->a.address, w->b.address);
	assert_uses(w, &w->a);
	tell(&w->b, "REPLICAOF NO ONE");
	(void)snprintf(command, sizeof(command), "REPLICAOF 127.0.0.1 %s", w->port_b);
	tell(&w->a, command);
	until(w, &w->downs, 1);
	assert_non_null(strstr(w->why.message, "it is a replica"));
	until(w, &w->ups, 2);
	until(w, &w->joined, 2);
	assert_uses(w, &w->b);
}

static void only_replicas(void **state)
{
	struct world *w = *state;
	struct status st;
	const struct redis_options o = {.url = w->b.address, .on_state = on_state, .data = w};
	w->redis = redis_create(w->loop, &o, &st);
	until(w, &w->downs, 1);
	assert_non_null(strstr(w->why.message, "it is a replica: name the one that it follows"));
	assert_int_equal(w->ups, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_replica_is_not_used, begin, end),
		cmocka_unit_test_setup_teardown(a_promoted_one_is, begin, end),
		cmocka_unit_test_setup_teardown(one_that_becomes_a_replica_is_left, begin, end),
		cmocka_unit_test_setup_teardown(only_replicas, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
