/* The lookout: one look at the Engine for everybody who watches. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_world.h"
#include "stacks/lookout.h"

#define LISTS                                                                                      \
	(LOOKOUT_LIST(PICTURE_SERVICES) | LOOKOUT_LIST(PICTURE_TASKS) | LOOKOUT_LIST(PICTURE_NODES))
#define WATCHERS 20

struct watcher {
	struct lookout_watcher base;
	struct ctx *ctx;
	unsigned answers, failures, events;
	uint64_t begun_ms;
	size_t seen; /* services, when it was answered */
	struct watcher *leaves; /* whom it makes leave when it is answered */
	bool again;
};
struct ctx {
	struct world *w;
	struct fake_docker docker;
	struct lookout *lookout;
	struct watcher watchers[WATCHERS];
};

static void on_look(struct lookout_watcher *base, const struct status *st,
	const struct lookout_times *times)
{
	struct watcher *w = container_of(base, struct watcher, base);
	w->answers++;
	w->failures += !status_is_ok(st);
	w->begun_ms = times->begun_ms;
	assert_true(times->ended_ms >= times->begun_ms);
	w->seen = lookout_picture(w->ctx->lookout)->n_services;
	if (w->leaves)
		lookout_leave(&w->leaves->base);
	if (w->again)
		lookout_wish(base, LISTS, 0, 100);
}

static void on_event(struct lookout_watcher *base, const struct docker_event *e)
{
	struct watcher *w = container_of(base, struct watcher, base);
	(void)e;
	w->events++;
	if (w->leaves)
		lookout_leave(&w->leaves->base);
}

static int setup(void **state)
{
	struct ctx *c = calloc(1, sizeof(*c));
	c->w = world_create();
	world_prepare(c->w, "services: {web: {image: 'nginx:1'}}\n");
	fake_docker_init(&c->docker, &c->w->script, NULL, c->w->swarm);
	c->lookout = lookout_create(c->w->loop, &c->docker.base);
	lookout_start(c->lookout);
	for (size_t i = 0; i < WATCHERS; i++) {
		c->watchers[i] = (struct watcher){
			.base = {.on_look = on_look, .on_event = on_event}, .ctx = c};
		lookout_join(c->lookout, &c->watchers[i].base);
	}
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *c = *state;
	for (size_t i = 0; i < WATCHERS; i++)
		lookout_leave(&c->watchers[i].base);
	lookout_stop(c->lookout);
	while (!list_empty(&c->docker.front.calls))
		world_turn(c->w);
	lookout_destroy(c->lookout);
	world_destroy(c->w);
	free(c);
	return 0;
}

/* What is asked from now on. */
static unsigned asked(const struct ctx *c, const char *name)
{
	unsigned n = 0;
	const char *at = c->w->script.trace.len ? c->w->script.trace.ptr : NULL;
	for (; at && (at = strstr(at, name)) != NULL; at++)
		n++;
	return n;
}

static void make_service(struct ctx *c)
{
	const char *id;
	json_t *spec = json_pack("{s:s,s:{s:s},s:{s:{s:i}},s:{s:{s:s}}}", "Name", "acme-shop_more",
		"Labels", "com.docker.stack.namespace", "acme-shop", "Mode", "Replicated",
		"Replicas", 1, "TaskTemplate", "ContainerSpec", "Image", "nginx:1");
	struct status st = swarm_service_create(c->w->swarm, spec, &id);
	assert_true(status_is_ok(&st));
	json_decref(spec);
}

static void one_look_is_for_all(void **state)
{
	struct ctx *c = *state;
	for (size_t i = 0; i < WATCHERS; i++)
		lookout_wish(&c->watchers[i].base, LISTS, 0, 50 + i * 50);
	world_run_ms(c->w, 2000);
	for (size_t i = 0; i < WATCHERS; i++)
		assert_int_equal(c->watchers[i].answers, 1);
	assert_int_equal(c->w->script.calls, 3);
	assert_int_equal(asked(c, "service_list"), 1);
	assert_int_equal(c->watchers[0].seen, 1);
	assert_false(lookout_is_wished(&c->watchers[0].base));
}

static void nobody_gets_a_look_that_was_under_way(void **state)
{
	struct ctx *c = *state;
	struct watcher *early = &c->watchers[0], *late = &c->watchers[1];
	lookout_wish_anew(&early->base, LISTS, 0);
	while (list_empty(&c->docker.front.calls))
		world_turn(c->w);
	uint64_t wished_ms = loop_now_ms(c->w->loop);
	make_service(c); /* the answer was made before */
	lookout_wish_anew(&late->base, LISTS, 0);
	world_run_ms(c->w, 1000);
	assert_int_equal(early->answers, 1);
	assert_int_equal(early->seen, 1);
	assert_int_equal(late->answers, 1);
	assert_int_equal(late->seen, 2);
	assert_true(late->begun_ms >= wished_ms);
}

static void nobody_is_answered_before_it_asked_to_be(void **state)
{
	struct ctx *c = *state;
	uint64_t now = loop_now_ms(c->w->loop);
	lookout_wish(&c->watchers[0].base, LISTS, 1000, 1500);
	lookout_wish(&c->watchers[1].base, LISTS, 0, 100);
	world_run_ms(c->w, 500);
	assert_int_equal(c->watchers[0].answers, 0);
	assert_int_equal(c->watchers[1].answers, 1);
	lookout_wish(&c->watchers[1].base, LISTS, 0, 700); /* at 1200 */
	world_run_ms(c->w, 3000);
	assert_int_equal(c->watchers[0].answers, 1);
	assert_int_equal(c->watchers[0].begun_ms - now, 1200);
	assert_int_equal(c->w->script.calls, 6);
}

static void a_look_that_fails_is_told_to_all(void **state)
{
	struct ctx *c = *state;
	c->w->script.at = 2;
	c->w->script.last = 2;
	c->w->script.fault = FAULT_REFUSED;
	for (size_t i = 0; i < WATCHERS; i++)
		lookout_wish(&c->watchers[i].base, LISTS, 0, 50);
	world_run_ms(c->w, 1000);
	for (size_t i = 0; i < WATCHERS; i++)
		assert_int_equal(c->watchers[i].failures, 1);
}

static void what_events_tell_of_is_read_when_they_come(void **state)
{
	struct ctx *c = *state;
	struct watcher *w = &c->watchers[0];
	fake_docker_event(&c->docker, DOCKER_EVENT_RESET, "", NULL);
	assert_true(lookout_hears(c->lookout));
	assert_int_equal(w->events, 1);
	w->again = true;
	lookout_wish(&w->base, LISTS, 0, 100);
	world_run_ms(c->w, 3000);
	assert_true(asked(c, "task_list") > 20);
	assert_int_equal(asked(c, "service_list"), 1);
	assert_int_equal(asked(c, "node_list"), 1);
	fake_docker_event(&c->docker, DOCKER_EVENT_SERVICE, "update", NULL);
	world_run_ms(c->w, 500);
	assert_int_equal(asked(c, "service_list"), 2);
	fake_docker_event(&c->docker, DOCKER_EVENT_NODE, "update", NULL);
	world_run_ms(c->w, 500);
	assert_int_equal(asked(c, "service_list"), 2);
	assert_int_equal(asked(c, "node_list"), 2);
	world_run_ms(c->w, 5000); /* a stream may hang */
	assert_int_equal(asked(c, "service_list"), 3);
	lookout_wish_anew(&w->base, LISTS, 0);
	world_run_ms(c->w, 300);
	assert_int_equal(asked(c, "service_list"), 4);
	fake_docker_event(&c->docker, DOCKER_EVENT_LOST, "", "cut");
	world_run_ms(c->w, 2000);
	assert_true(asked(c, "service_list") > 14);
	w->again = false;
}

static void a_list_that_failed_is_read_again(void **state)
{
	struct ctx *c = *state;
	struct watcher *w = &c->watchers[0];
	fake_docker_event(&c->docker, DOCKER_EVENT_RESET, "", NULL);
	c->w->script.at = 1;
	c->w->script.last = 1;
	c->w->script.fault = FAULT_REFUSED;
	c->w->script.only = "docker service_list";
	lookout_wish(&w->base, LISTS, 0, 0);
	world_run_ms(c->w, 500);
	assert_int_equal(w->failures, 1);
	lookout_wish(&w->base, LISTS, 0, 0);
	world_run_ms(c->w, 500);
	assert_int_equal(w->answers, 2);
	assert_int_equal(asked(c, "service_list"), 2);
	assert_int_equal(asked(c, "node_list"), 1);
}

static void who_is_answered_may_make_others_leave(void **state)
{
	struct ctx *c = *state;
	c->watchers[0].leaves = &c->watchers[1];
	c->watchers[2].leaves = &c->watchers[2];
	for (size_t i = 0; i < 4; i++)
		lookout_wish(&c->watchers[i].base, LISTS, 0, 0);
	world_run_ms(c->w, 500);
	assert_int_equal(c->watchers[0].answers, 1);
	assert_int_equal(c->watchers[1].answers, 0);
	assert_int_equal(c->watchers[2].answers, 1);
	assert_int_equal(c->watchers[3].answers, 1);
	fake_docker_event(&c->docker, DOCKER_EVENT_NODE, "update", NULL);
	assert_int_equal(c->watchers[0].events, 1);
	assert_int_equal(c->watchers[2].events, 0);
	assert_int_equal(c->watchers[3].events, 1);
}

/* Three times as long as it took. */
static void an_engine_that_is_slow_is_asked_less_often(void **state)
{
	struct ctx *c = *state;
	struct watcher *w = &c->watchers[0];
	c->w->script.at = 1;
	c->w->script.last = UINT32_MAX;
	c->w->script.fault = FAULT_SLOW;
	w->again = true;
	lookout_wish(&w->base, LISTS, 0, 0);
	world_run_ms(c->w, 20000);
	assert_in_range(w->answers, 3, 5);
	lookout_wish_anew(&c->watchers[1].base, LISTS, 0); /* who has written does not wait */
	world_run_ms(c->w, 4100);
	assert_int_equal(c->watchers[1].answers, 1);
	w->again = false;
}

static void a_stop_gives_up_the_look(void **state)
{
	struct ctx *c = *state;
	lookout_wish(&c->watchers[0].base, LISTS, 0, 0);
	while (list_empty(&c->docker.front.calls))
		world_turn(c->w);
	lookout_stop(c->lookout);
	world_run_ms(c->w, 1000);
	assert_int_equal(c->watchers[0].answers, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_look_is_for_all),
		TEST(nobody_gets_a_look_that_was_under_way),
		TEST(nobody_is_answered_before_it_asked_to_be),
		TEST(a_look_that_fails_is_told_to_all),
		TEST(what_events_tell_of_is_read_when_they_come),
		TEST(a_list_that_failed_is_read_again),
		TEST(who_is_answered_may_make_others_leave),
		TEST(an_engine_that_is_slow_is_asked_less_often),
		TEST(a_stop_gives_up_the_look),
	};
	return cmocka_run_group_tests_name("lookout", tests, NULL, NULL);
}
