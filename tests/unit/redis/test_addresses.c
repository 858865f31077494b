/* A name with several addresses, of which only the last one is a Redis: the resolver is ours here.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "loop/loop.h"
#include "loop/resolve.h"
#include "redis/redis.h"
#include "../servers.h"

/* ---- the resolver, in the place of loop/resolve.c ---- */

struct resolve {
	struct defer defer;
	resolve_done done;
	void *data;
};

static void on_resolve(struct defer *d)
{
	struct resolve *r = container_of(d, struct resolve, defer);
	struct resolve_addrs addrs = {.n = 3, .text = {"127.0.0.3", "127.0.0.2", "127.0.0.1"}};
	struct status ok = status_ok();
	r->done(r->data, &ok, &addrs);
	free(r);
}

struct resolve *resolve_start(struct loop *l, const char *host, resolve_done done, void *data)
{
	struct resolve *r = mem_new(struct resolve);
	assert_string_equal(host, "many.example");
	r->done = done;
	r->data = data;
	defer_init(&r->defer, l, on_resolve);
	defer_post(&r->defer);
	return r;
}

void resolve_cancel(struct resolve *r)
{
	if (r)
		defer_cancel(&r->defer);
	free(r);
}

/* ---- */

struct seen {
	int ups, downs, calls;
	struct status st;
};

static void on_state(void *data, bool up, const struct status *why)
{
	struct seen *s = data;
	s->st = *why;
	s->ups += up;
	s->downs += !up;
}

static void on_done(void *data, const struct status *st, const struct redisReply *reply)
{
	struct seen *s = data;
	(void)reply;
	s->calls++;
	s->st = *st;
}

/* One that was free a moment ago. */
static int free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static void test_each_address_is_tried(void **state)
{
	struct server server;
	struct seen seen = {0};
	struct status st;
	char url[64], port[16];
	(void)state;
	alarm(60);
	int number = free_port();
	(void)snprintf(url, sizeof url, "redis://many.example:%d", number);
	(void)snprintf(port, sizeof port, "%d", number);
	struct loop *l = loop_create();
	struct redis_options tcp = {.url = url, .on_state = on_state, .data = &seen};
	struct redis *r = redis_create(l, &tcp, &st);
	while (seen.downs == 0)
		loop_turn(l);
	assert_non_null(strstr(seen.st.message, "Redis at many.example port "));
	assert_non_null(strstr(seen.st.message, "Connection refused"));

	server_start_redis(&server, NULL);
	struct redis_options local = {.url = server.address};
	struct redis *admin = redis_create(l, &local, &st);
	while (!redis_is_up(admin))
		loop_turn(l);
	struct str listen_there[] = {STR("CONFIG"), STR("SET"), STR("bind"), STR("127.0.0.1"),
		STR("port"), str_of(port)};
	redis_command(admin, on_done, &seen, 6, listen_there);
	while (seen.calls == 0)
		loop_turn(l);
	assert_string_equal(seen.st.message, "");
	while (seen.ups == 0)
		loop_turn(l);
	assert_true(redis_is_up(r));
	assert_int_equal(seen.downs, 1);
	redis_destroy(admin);
	redis_destroy(r);
	loop_destroy(l);
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_address_is_tried)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
