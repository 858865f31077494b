#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "death.h"

/* Gives the numbers of a list, one a fill, then repeats the last. */
struct scripted {
	struct rng rng;
	const uint64_t *values;
	size_t left;
};

static void scripted_fill(struct rng *r, void *p, size_t len)
{
	struct scripted *s = (struct scripted *)(void *)r;
	assert_true(len <= sizeof(*s->values));
	memcpy(p, s->values, len);
	if (s->left > 1) {
		s->left--;
		s->values++;
	}
}

static int64_t fixed_us;
static int64_t fixed_wall(const struct clock *c)
{
	(void)c;
	return fixed_us;
}

static void system_fills(void **state)
{
	(void)state;
	struct rng *r = rng_system();
	unsigned char bytes[1000] = {0}; /* more than getrandom gives in one piece for sure */
	r->fill(r, bytes, sizeof(bytes));
	int zeros = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		zeros += bytes[i] == 0;
	assert_true(zeros < 100);
	assert_int_equal(bytes[0] == 0 && bytes[999] == 0 && bytes[500] == 0, 0);
	assert_true(rng_u64(r) != rng_u64(r));
}

static void below_is_below_and_even(void **state)
{
	(void)state;
	struct rng *r = rng_system();
	for (int i = 0; i < 1000; i++) {
		assert_true(rng_below(r, 7) < 7);
		assert_int_equal(rng_below(r, 1), 0);
	}
	/* 2^64 mod 3 = 1: the draw 0 is the uneven one and is drawn again */
	const uint64_t draws[] = {0, 5};
	struct scripted s = {{scripted_fill}, draws, 2};
	assert_int_equal(rng_below(&s.rng, 3), 2);
	const uint64_t top[] = {UINT64_MAX};
	s = (struct scripted){{scripted_fill}, top, 1};
	assert_true(rng_below(&s.rng, UINT64_MAX) == 0);
}

static void uuid_v7_has_its_fields(void **state)
{
	(void)state;
	struct clock c = {.wall_us = fixed_wall};
	const uint64_t ones[] = {UINT64_MAX};
	struct scripted s = {{scripted_fill}, ones, 1};
	fixed_us = INT64_C(0x0123456789ab) * 1000 + 500; /* half a millisecond in */
	struct uuid u = uuid_v7(&c, &s.rng);
	assert_string_equal(u.text, "01234567-89ab-7800-bfff-ffffffffffff");
	fixed_us += 499;
	u = uuid_v7(&c, &s.rng);
	assert_string_equal(u.text, "01234567-89ab-7ffb-bfff-ffffffffffff");
	const uint64_t zero[] = {0};
	s = (struct scripted){{scripted_fill}, zero, 1};
	fixed_us = -5; /* a clock before 1970 counts as 1970 */
	u = uuid_v7(&c, &s.rng);
	assert_string_equal(u.text, "00000000-0000-7000-8000-000000000000");
}

static void uuid_v7_sorts_by_time(void **state)
{
	(void)state;
	struct clock c = {.wall_us = fixed_wall};
	struct uuid last = {""};
	fixed_us = INT64_C(1795444260000000);
	for (int i = 0; i < 3000; i++, fixed_us++) {
		struct uuid u = uuid_v7(&c, rng_system());
		assert_true(strcmp(u.text, last.text) > 0);
		struct uuid again;
		assert_true(uuid_parse(u.text, &again));
		assert_string_equal(again.text, u.text);
		last = u;
	}
	fixed_us = 5;
	struct uuid a = uuid_v7(&c, rng_system()), b = uuid_v7(&c, rng_system());
	assert_string_not_equal(a.text, b.text);
}

static void uuid_floor_lies_below_its_millisecond(void **state)
{
	(void)state;
	assert_string_equal(uuid_floor(0).text, "00000000-0000-0000-0000-000000000000");
	assert_string_equal(uuid_floor(-5).text, uuid_floor(0).text);
	assert_string_equal(uuid_floor(INT64_C(1645557742999999)).text, "017f22e2-7d97-0000-0000-000000000000");
	int64_t now = clock_system()->wall_us(clock_system());
	struct uuid id = uuid_v7(clock_system(), rng_system());
	assert_true(strcmp(uuid_floor(now).text, id.text) < 0);
	assert_true(strcmp(uuid_floor(now + 10000000).text, id.text) > 0);
}

static void uuid_parse_is_strict(void **state)
{
	(void)state;
	struct uuid u = {"untouched"};
	static const char *const bad[] = {"", "0190b8e2", "00000000-0000-0000-0000-000000000000",
		"0190b8e27c4d7abc8def0123456789ab", "0190b8e2-7c4d-7abc-8def-0123456789a",
		"0190b8e2-7c4d-7abc-8def-0123456789abc", "0190b8e2-7c4d-7abc-8def-0123456789ag",
		"0190b8e2-7c4d-7abc-8def_0123456789ab", "{190b8e2-7c4d-7abc-8def-0123456789ab",
		"0190b8e-27c4d-7abc-8def-0123456789ab", " 190b8e2-7c4d-7abc-8def-0123456789ab"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(uuid_parse(bad[i], &u));
	assert_false(uuid_parse(NULL, &u));
	assert_string_equal(u.text, "untouched");
	assert_true(uuid_parse("0190B8E2-7c4d-7ABC-8def-0123456789aB", &u));
	assert_string_equal(u.text, "0190b8e2-7c4d-7abc-8def-0123456789ab");
}

static void below_zero(void)
{
	(void)rng_below(rng_system(), 0);
}

static void below_zero_aborts(void **state)
{
	(void)state;
	assert_true(aborts(below_zero));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_fills),
		cmocka_unit_test(below_is_below_and_even),
		cmocka_unit_test(uuid_v7_has_its_fields),
		cmocka_unit_test(uuid_v7_sorts_by_time),
		cmocka_unit_test(uuid_floor_lies_below_its_millisecond),
		cmocka_unit_test(uuid_parse_is_strict),
		cmocka_unit_test(below_zero_aborts),
	};
	return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
