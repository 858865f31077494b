#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>
#include "base/arena.h"

#define T0 INT64_C(1795444260) /* 2026-11-23T14:31:00Z */

static void parses_what_others_write(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us;
	} cases[] = {
		{"2026-11-23T14:31:00Z", T0 * 1000000},
		{"2026-11-23T14:31:00.123456789Z", T0 * 1000000 + 123456},
		{"2026-11-23T14:31:00.5Z", T0 * 1000000 + 500000},
		{"2026-11-23t14:31:00z", T0 * 1000000},
		{"2026-11-23 14:31:00.123456+00", T0 * 1000000 + 123456},
		{"2026-11-23T16:01:00+01:30", T0 * 1000000},
		{"2026-11-23 13:01:00-01:30", T0 * 1000000},
		{"2026-11-23T16:01:00+0130", T0 * 1000000},
		{"2026-11-23 14:31:30+00:00:30", T0 * 1000000},
		{"2026-11-24T00:31:00+10", T0 * 1000000},
		{"1969-12-31T23:59:59.999999Z", -1},
		{"2000-02-29T00:00:00Z", INT64_C(951782400000000)},
		{"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
		{"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(time_parse(cases[i].text) == cases[i].us);
}

static void refuses_the_rest(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "now", "infinity", "-infinity", "2026-11-23",
		"2026-11-23T14:31:00", "2026-11-23T14:31Z", "2026-11-23T14:31:00.Z",
		"2026-11-23T14:31:00,5Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T14:60:00Z",
		"2026-11-23T14:31:61Z", "2026-11-23T14:31:00ZZ", "2026-11-23T14:31:00Z ",
		" 2026-11-23T14:31:00Z", "2026-11-23T14:31:00+1", "2026-11-23T14:31:00+24:00",
		"2026-11-23T14:31:00+01:60",
		"2026-11-23T14:31:00+01:", "2026-11-23T14:31:00+01:30:", "2026-11-23T14:31:00 +01",
		"0000-01-01T00:00:00Z", "02026-11-23T14:31:00Z", "2026-11-23 14:31:00+00 BC",
		"2026/11/23T14:31:00Z", "2026-1-23T14:31:00Z", "0001-01-01T00:00:00Z",
		"0001-01-01 00:00:00+00", "0001-01-01T00:00:00.000000000Z"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (time_parse(bad[i]) != 0)
			fail_msg("\"%s\" was taken for a time", bad[i]);
	}
	assert_true(time_parse(NULL) == 0);
	assert_true(time_parse("0001-01-01T00:00:01Z") < 0); /* only the zero time is "never" */
}

static void writes_rfc3339(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	assert_string_equal(time_rfc3339(a, 0), "1970-01-01T00:00:00.000000Z");
	assert_string_equal(time_rfc3339(a, -1), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(time_rfc3339(a, T0 * 1000000 + 42), "2026-11-23T14:31:00.000042Z");
	assert_string_equal(time_rfc3339(a, INT64_MIN), "0001-01-01T00:00:00.000000Z");
	assert_string_equal(time_rfc3339(a, INT64_MAX), "9999-12-31T23:59:59.999999Z");
	arena_destroy(a);
}

/* Every day of four centuries and around, against the C library. */
static void every_day_agrees_with_libc(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	for (int64_t day = -200000; day < 200000; day++) {
		time_t s = day * 86400 + 3661;
		struct tm tm;
		char want[32];
		gmtime_r(&s, &tm);
		assert_int_equal(
			strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000000Z", &tm), 27);
		char *got = time_rfc3339(a, (int64_t)s * 1000000);
		assert_string_equal(got, want);
		assert_true(time_parse(got) == (int64_t)s * 1000000);
		arena_reset(a);
	}
	arena_destroy(a);
}

static void system_clock_runs(void **state)
{
	(void)state;
	const struct clock *c = clock_system();
	uint64_t mono = c->mono_ms(c);
	assert_true(c->mono_ms(c) >= mono);
	int64_t drift = c->wall_us(c) / 1000000 - (int64_t)time(NULL);
	assert_true(drift >= -2 && drift <= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_what_others_write),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(writes_rfc3339),
		cmocka_unit_test(every_day_agrees_with_libc),
		cmocka_unit_test(system_clock_runs),
	};
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
