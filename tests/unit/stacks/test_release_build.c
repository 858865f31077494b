#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "loop/loop.h"
#include "stacks/release_build.h"

static const struct release_labels labels = {"project-1", "stack-1"};

struct ctx {
	struct loop *l;
	struct arena *a;
	unsigned ended;
	struct status st;
	struct release_build result;
};

static int setup(void **state)
{
	static struct ctx c;
	c = (struct ctx){.l = loop_create(), .a = arena_create()};
	*state = &c;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *c = *state;
	arena_destroy(c->a);
	loop_destroy(c->l);
	return 0;
}

static void on_built(void *data, const struct status *st, const struct release_build *b)
{
	struct ctx *c = data;
	c->ended++;
	c->st = *st;
	c->result = *b;
}

/* All of the input is gone when it returns. */
static void begin(struct ctx *c, const char *text, bool render)
{
	struct arena *a = arena_create();
	struct compose_text t = {arena_strdup(a, "compose.yml"), str_of(arena_strdup(a, text))};
	struct compose_upload f = {arena_strdup(a, "./key.bin"), str_of(arena_strdup(a, "k"))};
	struct compose_variable v = {arena_strdup(a, "IMAGE"), arena_strdup(a, "nginx:1")};
	struct release_upload u = {&t, 1, &f, 1, &v, 1, arena_strdup(a, "/srv/shop"),
		arena_strdup(a, "/home/me")};
	const struct release_labels own = {
		arena_strdup(a, labels.project_id), arena_strdup(a, labels.stack_id)};
	release_build(c->l, c->a,
		&(struct release_build_input){.namespace_ = arena_strdup(a, "shop"),
			.upload = &u,
			.labels = render ? &own : NULL},
		on_built, c);
	assert_int_equal(c->ended, 0);
	arena_destroy(a);
}

static void run_to_end(struct ctx *c)
{
	while (!c->ended)
		loop_turn(c->l);
	assert_int_equal(c->ended, 1);
}

static const char *const shop = "services:\n"
				"  web: {image: '${IMAGE}', secrets: [key]}\n"
				"secrets:\n"
				"  key: {file: ./key.bin}\n";

static void texts_are_checked(void **state)
{
	struct ctx *c = *state;
	begin(c, shop, false);
	run_to_end(c);
	assert_int_equal(c->st.code, ST_OK);
	assert_int_equal(c->result.errors.len, 0);
	assert_int_equal(c->result.project->services_len, 1);
	assert_string_equal(c->result.project->services[0].image, "nginx:1");
	assert_int_equal(c->result.release.n_services, 0);
	assert_int_equal(c->result.upload.n_files, 1);
	struct release_upload back;
	struct status st = release_source_decode(c->a, c->result.source, &back);
	assert_int_equal(st.code, ST_OK);
	assert_true(str_is(back.texts[0].text, shop));
	assert_null(back.dir); /* it says nothing here: the same text from elsewhere is the same */
	assert_null(back.home);
}

static const char *bind_of(const struct ctx *c, size_t i)
{
	const json_t *mounts = json_at(
		c->result.release.services[0].object.body, "TaskTemplate.ContainerSpec.Mounts");
	return json_text(json_array_get(mounts, i), "Source", "");
}

/* Also when the job makes it of what is stored. */
static void binds_are_seen_from_where_the_text_is(void **state)
{
	struct ctx *c = *state;
	begin(c, "services: {web: {image: x, volumes: ['./../data:/a', '~/b:/b', '/c:/c']}}\n", true);
	run_to_end(c);
	struct str source = c->result.source;
	for (int lean = 0; lean < 3; lean++) {
		assert_int_equal(c->st.code, ST_OK);
		assert_string_equal(bind_of(c, 0), "/srv/data");
		assert_string_equal(bind_of(c, 1), "/home/me/b");
		assert_string_equal(bind_of(c, 2), "/c");
		c->ended = 0;
		release_build(c->l, c->a,
			&(struct release_build_input){.namespace_ = "shop",
				.source = source,
				.labels = &labels,
				.lean = lean},
			on_built, c);
		run_to_end(c);
	}
}

/* The same release from the texts, from what is stored of them, and from what was made of them. */
static void three_ways_to_one_release(void **state)
{
	struct ctx *c = *state;
	begin(c, shop, true);
	run_to_end(c);
	assert_int_equal(c->st.code, ST_OK);
	struct str rendered = release_encode(c->a, &c->result.release);
	struct release_build_input in = {
		.namespace_ = "shop", .source = c->result.source, .labels = &labels};
	c->ended = 0;
	release_build(c->l, c->a, &in, on_built, c);
	run_to_end(c);
	assert_int_equal(c->st.code, ST_OK);
	assert_true(str_eq(release_encode(c->a, &c->result.release), rendered));
	assert_non_null(c->result.project);
	in.source = str_of("never looked at");
	in.rendered = rendered;
	c->ended = 0;
	release_build(c->l, c->a, &in, on_built, c);
	run_to_end(c);
	assert_int_equal(c->st.code, ST_OK);
	assert_true(str_eq(release_encode(c->a, &c->result.release), rendered));
	assert_null(c->result.project);
}

static void every_error_is_told(void **state)
{
	struct ctx *c = *state;
	begin(c, "services:\n  a: {imagee: x}\n  b: {image: x, nonsense: 1}\n", true);
	run_to_end(c);
	assert_int_equal(c->st.code, ST_INVALID_ARGUMENT);
	assert_true(c->result.errors.len >= 2);
	assert_string_equal(
		c->st.message, compose_problem_text(c->a, &c->result.errors.items[0]));
	assert_null(c->result.project);
}

static void what_is_stored_and_cannot_be_read(void **state)
{
	struct ctx *c = *state;
	struct release_build_input in = {
		.namespace_ = "shop", .source = str_of("{"), .labels = &labels};
	release_build(c->l, c->a, &in, on_built, c);
	run_to_end(c);
	assert_non_null(strstr(c->st.message, "the stored source of the release cannot be read"));
	in.rendered = str_of("[");
	c->ended = 0;
	release_build(c->l, c->a, &in, on_built, c);
	run_to_end(c);
	assert_non_null(strstr(c->st.message, "the stored rendering of the release cannot be read"));
}

struct ticks {
	struct timer timer;
	unsigned n;
};

static void on_tick(struct timer *t)
{
	container_of(t, struct ticks, timer)->n++;
	timer_set(t, 1);
}

/* A megabyte of text takes long: the loop goes on meanwhile. */
static void the_loop_is_not_held_up(void **state)
{
	struct ctx *c = *state;
	struct buf text = {0};
	struct ticks ticks = {.n = 0};
	buf_adds(&text, "services:\n");
	for (unsigned i = 0; i < 400; i++) {
		buf_fmt(&text, "  s%u:\n    image: nginx\n    environment:\n", i);
		for (unsigned k = 0; k < 80; k++)
			buf_fmt(&text, "      VARIABLE_%u: 'value %u'\n", k, k);
	}
	begin(c, text.ptr, true);
	buf_finish(&text);
	timer_init(&ticks.timer, c->l, on_tick);
	timer_set(&ticks.timer, 1);
	run_to_end(c);
	timer_stop(&ticks.timer);
	assert_int_equal(c->st.code, ST_OK);
	assert_int_equal(c->result.release.n_services, 400);
	assert_true(ticks.n > 2);
}

static void dropped_with_its_owner(void **state)
{
	struct ctx *c = *state;
	begin(c, shop, true);
	begin(c, "{", true);
	arena_destroy(c->a);
	c->a = NULL;
	loop_destroy(c->l); /* waits for the work */
	c->l = NULL;
	assert_int_equal(c->ended, 0);
}

static void too_much_at_once_may_pass(void **state)
{
	struct ctx *c = *state;
	struct ctx others = {.a = arena_create()};
	for (unsigned i = 0; i < LOOP_WORK_LIMIT; i++) {
		struct release_build_input in = {.namespace_ = "shop", .rendered = str_of("{}")};
		release_build(c->l, others.a, &in, on_built, &others);
	}
	begin(c, shop, true);
	run_to_end(c);
	assert_int_equal(c->st.code, ST_UNAVAILABLE);
	while (others.ended < LOOP_WORK_LIMIT)
		loop_turn(c->l);
	assert_int_equal(others.st.code, ST_OK);
	arena_destroy(others.a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(texts_are_checked),
		TEST(binds_are_seen_from_where_the_text_is),
		TEST(three_ways_to_one_release),
		TEST(every_error_is_told),
		TEST(what_is_stored_and_cannot_be_read),
		TEST(the_loop_is_not_held_up),
		TEST(dropped_with_its_owner),
		TEST(too_much_at_once_may_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
