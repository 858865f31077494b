#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "api/hub.h"
#include "base/mem.h"
#include "loop/loop.h"

struct ctx {
	struct loop *loop;
	struct api_hub *hub;
};

struct listener {
	struct api_subscription sub;
	unsigned told;
	struct ctx *ctx;
	struct listener *leaves; /* when told: this one goes */
	const char *joins;       /* when told: `other` listens to this */
	struct listener *other;
	const char *publishes;
};

static void on_news(struct api_subscription *s)
{
	struct listener *l = container_of(s, struct listener, sub);
	l->told++;
	if (l->leaves)
		api_hub_unsubscribe(&l->leaves->sub);
	if (l->joins)
		api_hub_subscribe(l->ctx->hub, l->joins, &l->other->sub);
	l->joins = NULL;
	if (l->publishes)
		api_hub_publish(l->ctx->hub, l->publishes);
	l->publishes = NULL;
}

static void listener_init(struct listener *l, struct ctx *c)
{
	*l = (struct listener){.ctx = c, .sub = {.on_news = on_news}};
	list_init(&l->sub.node);
}

static void on_alarm(struct timer *t)
{
	(void)t;
}

/* Whatever was deferred has run, and what that deferred too. */
static void turns(struct ctx *c)
{
	struct timer alarm;
	timer_init(&alarm, c->loop, on_alarm);
	for (int i = 0; i < 3; i++) {
		timer_set(&alarm, 1);
		while (timer_is_set(&alarm)) {
			(void)loop_skip(c->loop);
			loop_turn(c->loop);
		}
	}
}

static int setup(void **state)
{
	struct ctx *c = mem_new(struct ctx);
	c->loop = loop_create();
	c->hub = api_hub_create(c->loop);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *c = *state;
	api_hub_destroy(c->hub);
	loop_destroy(c->loop);
	free(c);
	return 0;
}

static void news_reach_those_who_listen_to_the_id_later_and_once(void **state)
{
	struct ctx *c = *state;
	struct listener a, b, other;
	listener_init(&a, c), listener_init(&b, c), listener_init(&other, c);
	api_hub_subscribe(c->hub, "job1", &a.sub);
	api_hub_subscribe(c->hub, "job1", &b.sub);
	api_hub_subscribe(c->hub, "job2", &other.sub);
	api_hub_publish(c->hub, "job1");
	api_hub_publish(c->hub, "job1");
	assert_int_equal(a.told, 0);
	turns(c);
	assert_int_equal(a.told, 1);
	assert_int_equal(b.told, 1);
	assert_int_equal(other.told, 0);
	api_hub_publish(c->hub, "job1");
	turns(c);
	assert_int_equal(a.told, 2);
	api_hub_publish(c->hub, "nobody");
	turns(c);
	assert_int_equal(a.told, 2);
	api_hub_unsubscribe(&a.sub), api_hub_unsubscribe(&b.sub), api_hub_unsubscribe(&other.sub);
}

static void everybody_looks(void **state)
{
	struct ctx *c = *state;
	struct listener l[3];
	static const char *const ids[] = {"a", "b", API_HUB_ANY};
	for (int i = 0; i < 3; i++) {
		listener_init(&l[i], c);
		api_hub_subscribe(c->hub, ids[i], &l[i].sub);
	}
	api_hub_publish_all(c->hub);
	api_hub_publish(c->hub, "a");
	turns(c);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(l[i].told, 1);
	}
	api_hub_publish(c->hub, "nobody's");
	turns(c);
	assert_int_equal(l[0].told, 1);
	assert_int_equal(l[2].told, 2); /* hears of any id */
	for (int i = 0; i < 3; i++)
		api_hub_unsubscribe(&l[i].sub);
}

static void who_has_left_hears_nothing(void **state)
{
	struct ctx *c = *state;
	struct listener a;
	listener_init(&a, c);
	api_hub_unsubscribe(&a.sub); /* never subscribed */
	api_hub_subscribe(c->hub, "x", &a.sub);
	api_hub_publish(c->hub, "x");
	api_hub_unsubscribe(&a.sub);
	api_hub_unsubscribe(&a.sub);
	turns(c);
	assert_int_equal(a.told, 0);
	api_hub_publish(c->hub, "x");
	turns(c);
	assert_int_equal(a.told, 0);
}

/* One that is told takes itself, the one before or the one behind it away. */
static void leaving_while_news_are_told(void **state)
{
	struct ctx *c = *state;
	for (int who = 0; who < 3; who++) {
		struct listener l[3];
		for (int i = 0; i < 3; i++) {
			listener_init(&l[i], c);
			api_hub_subscribe(c->hub, "x", &l[i].sub);
		}
		l[1].leaves = &l[who];
		api_hub_publish(c->hub, "x");
		turns(c);
		assert_int_equal(l[0].told, 1);
		assert_int_equal(l[1].told, 1);
		assert_int_equal(l[2].told, who == 2 ? 0 : 1);
		api_hub_publish(c->hub, "x");
		turns(c);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(l[i].told, i == who ? (who == 2 ? 0 : 1) : 2);
			api_hub_unsubscribe(&l[i].sub);
		}
	}
}

static void joining_and_publishing_while_news_are_told(void **state)
{
	struct ctx *c = *state;
	struct listener a, b;
	listener_init(&a, c), listener_init(&b, c);
	api_hub_subscribe(c->hub, "x", &a.sub);
	a.joins = "x";
	a.other = &b;
	a.publishes = "x";
	api_hub_publish(c->hub, "x");
	turns(c);
	assert_int_equal(a.told, 2);
	assert_true(b.told >= 1);
	api_hub_unsubscribe(&a.sub), api_hub_unsubscribe(&b.sub);
}

/* Topics come and go; what is left behind is swept, also while others have news. */
static void many_topics(void **state)
{
	struct ctx *c = *state;
	enum { N = 500 };
	struct listener *l = mem_zalloc(N * sizeof(*l));
	char id[32];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			listener_init(&l[i], c);
			(void)snprintf(id, sizeof(id), "%d.%d", round, i);
			api_hub_subscribe(c->hub, id, &l[i].sub);
			if (i % 7 == 0)
				api_hub_publish(c->hub, id);
		}
		turns(c);
		for (int i = 0; i < N; i++) {
			assert_int_equal(l[i].told, i % 7 == 0);
			api_hub_unsubscribe(&l[i].sub);
		}
	}
	free(l);
}

static void destroyed_with_news_not_yet_told(void **state)
{
	struct ctx *c = *state;
	struct listener a;
	listener_init(&a, c);
	api_hub_subscribe(c->hub, "x", &a.sub);
	api_hub_publish(c->hub, "x");
	api_hub_unsubscribe(&a.sub);
	api_hub_destroy(c->hub);
	api_hub_destroy(NULL);
	c->hub = NULL;
	assert_int_equal(a.told, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(news_reach_those_who_listen_to_the_id_later_and_once),
		TEST(everybody_looks),
		TEST(who_has_left_hears_nothing),
		TEST(leaving_while_news_are_told),
		TEST(joining_and_publishing_while_news_are_told),
		TEST(many_topics),
		TEST(destroyed_with_news_not_yet_told),
	};
	return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
