/* cron: expressions, what they mean, and the two nights on which the clock is turned. */
#include "jobs/cron.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/zone.h"

static const struct zone *zone;

static int64_t at(const char *text)
{
	int64_t us = time_parse(text);
	assert_true(us > 0);
	return us / 1000000;
}

static struct cron parsed(const char *text)
{
	struct cron c;
	struct status st = cron_parse(text, &c);
	if (!status_is_ok(&st))
		fail_msg("%s: %s", text, st.message);
	return c;
}

/* The next `n` times as "MM-DD HH:MM" on the wall. */
static const char *next(struct arena *a, const char *text, const struct zone *z, const char *after, int n)
{
	struct cron c = parsed(text);
	struct buf b = {0};
	int64_t t = at(after);
	for (int i = 0; i < n; i++) {
		t = cron_next(&c, z, t);
		const char *wall = time_rfc3339(a, (t + zone_offset(z, t)) * 1000000);
		buf_fmt(&b, "%s%.5s %.5s", i ? ", " : "", wall + 5, wall + 11);
	}
	const char *all = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return all;
}

static void times(void **state)
{
	static const struct {
		const char *text, *after, *times;
	} cases[] = {
		{"* * * * *", "2026-01-01T00:00:00Z", "01-01 00:01, 01-01 00:02, 01-01 00:03"},
		{"* * * * *", "2026-01-01T00:00:59Z", "01-01 00:01, 01-01 00:02, 01-01 00:03"},
		{"*/20 8-9 * * *", "2026-01-01T09:30:00Z", "01-01 09:40, 01-02 08:00, 01-02 08:20"},
		{"5-10/5,59 0 * * *", "2026-01-01T00:00:00Z", "01-01 00:05, 01-01 00:10, 01-01 00:59"},
		{"30 3 * * sun", "2026-01-01T00:00:00Z", "01-04 03:30, 01-11 03:30, 01-18 03:30"},
		{"30 3 * * 7", "2026-01-01T00:00:00Z", "01-04 03:30, 01-11 03:30, 01-18 03:30"},
		{"0 0 * * Mon-Fri", "2026-01-02T00:00:00Z", "01-05 00:00, 01-06 00:00, 01-07 00:00"},
		{"0 0 31 * *", "2026-01-31T00:00:00Z", "03-31 00:00, 05-31 00:00, 07-31 00:00"},
		{"0 0 L * *", "2026-01-31T00:00:00Z", "02-28 00:00, 03-31 00:00, 04-30 00:00"},
		{"0 0 29 feb *", "2096-03-01T00:00:00Z", "02-29 00:00, 02-29 00:00, 02-29 00:00"},
		/* either day is enough … */
		{"0 0 1 * mon", "2026-01-25T00:00:00Z", "01-26 00:00, 02-01 00:00, 02-02 00:00"},
		/* … when both are restricted: a field that begins with * is not */
		{"0 0 */2 * mon", "2026-01-01T00:00:00Z", "01-05 00:00, 01-19 00:00, 02-09 00:00"},
		{"0 0 13 * fri", "2026-01-01T00:00:00Z", "01-02 00:00, 01-09 00:00, 01-13 00:00"},
		{"@hourly", "2026-01-01T00:00:00Z", "01-01 01:00, 01-01 02:00, 01-01 03:00"},
		{"@daily", "2026-01-01T00:00:00Z", "01-02 00:00, 01-03 00:00, 01-04 00:00"},
		{"@weekly", "2026-01-01T00:00:00Z", "01-04 00:00, 01-11 00:00, 01-18 00:00"},
		{"@monthly", "2026-01-01T00:00:00Z", "02-01 00:00, 03-01 00:00, 04-01 00:00"},
		{"@yearly", "2026-01-02T00:00:00Z", "01-01 00:00, 01-01 00:00, 01-01 00:00"},
		{" 0\t0  1 1 * ", "2026-01-02T00:00:00Z", "01-01 00:00, 01-01 00:00, 01-01 00:00"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = next(*state, cases[i].text, zone_utc(), cases[i].after, 3);
		if (strcmp(got, cases[i].times) != 0)
			fail_msg("%s: %s, but expected %s", cases[i].text, got, cases[i].times);
	}
}

/* Berlin, 2026-03-29: 02:00 becomes 03:00. 2026-10-25: 03:00 becomes 02:00. */
static void the_clock_is_turned(void **state)
{
	static const struct {
		const char *text, *after, *times;
	} cases[] = {
		{"30 2 * * *", "2026-03-28T12:00:00Z", "03-29 03:00, 03-30 02:30, 03-31 02:30"},   /* skipped: at once */
		{"0,30 2 * * *", "2026-03-28T12:00:00Z", "03-29 03:00, 03-30 02:00, 03-30 02:30"}, /* once for both */
		{"0 2,3 * * *", "2026-03-28T12:00:00Z", "03-29 03:00, 03-30 02:00, 03-30 03:00"},
		{"30 2 * * *", "2026-10-24T12:00:00Z", "10-25 02:30, 10-26 02:30, 10-27 02:30"}, /* doubled: once */
		{"0 3 * * *", "2026-10-24T12:00:00Z", "10-25 03:00, 10-26 03:00, 10-27 03:00"},
		{"0 * * * *", "2026-03-28T23:30:00Z", "03-29 01:00, 03-29 03:00, 03-29 04:00"}, /* the time that passes */
		{"0 * * * *", "2026-10-24T23:30:00Z", "10-25 02:00, 10-25 02:00, 10-25 03:00"},
		{"*/30 2 * * *", "2026-10-24T23:30:00Z", "10-25 02:00, 10-25 02:30, 10-25 02:00"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = next(*state, cases[i].text, zone, cases[i].after, 3);
		if (strcmp(got, cases[i].times) != 0)
			fail_msg("%s: %s, but expected %s", cases[i].text, got, cases[i].times);
	}
	struct cron c = parsed("30 2 * * *");
	assert_int_equal(cron_next(&c, zone, at("2026-10-24T12:00:00Z")), at("2026-10-25T00:30:00Z")); /* the first of the two */
	assert_int_equal(cron_next(&c, zone, at("2026-10-25T01:10:00Z")), at("2026-10-26T01:30:00Z")); /* between them */
	assert_int_equal(cron_next(&c, zone, at("2026-03-28T12:00:00Z")), at("2026-03-29T01:00:00Z"));
}

/* Whatever the expression: times grow, and asking from just before one gives it again. */
static void times_grow(void **state)
{
	static const char *const texts[] = {"*/7 * * * *", "30 2 * * *", "0 0 29 2 *", "15 2,3 * 3,10 sun", "59 23 L * *", "* 2 * * *"};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct cron c = parsed(texts[i]);
		int64_t t = at("2026-03-20T00:00:00Z");
		for (int n = 0; n < 300; n++) {
			int64_t then = cron_next(&c, zone, t);
			assert_true(then > t);
			assert_int_equal(cron_next(&c, zone, then - 1), then);
			if (then == INT64_MAX || then > at("2200-01-01T00:00:00Z"))
				break;
			t = then;
		}
	}
}

static void mistakes(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"", "has 0 fields: expected minute, hour"},
		{"* * * *", "has 4 fields"},
		{"* * * * * *", "has 6 fields"},
		{"@reboot", "has 1 fields"},
		{"60 * * * *", "\"60\" as the minute: expected 0 to 59"},
		{"* 24 * * *", "\"24\" as the hour: expected 0 to 23"},
		{"* * 0 * *", "\"0\" as the day of the month: expected 1 to 31"},
		{"* * * janu *", "\"janu\" as the month: expected 1 to 12, or a name as jan"},
		{"* * * * 8", "\"8\" as the day of the week: expected 0 to 7, or a name as sun"},
		{"5-1 * * * *", "the range ends before it begins"},
		{"5/2 * * * *", "a step needs a range"},
		{"*/0 * * * *", "a step is 1 to 99"},
		{"*/ * * * *", "a step is 1 to 99"},
		{"*/100 * * * *", "\"*/100\" as the minute: a step is 1 to 99"},
		{", * * * *", "\"\" as the minute"},
		{"1,, * * * *", "\"\" as the minute"},
		{"-1 * * * *", "\"\" as the minute"},
		{"1- * * * *", "\"\" as the minute"},
		{"+1 * * * *", "\"+1\" as the minute"},
		{"0 0 30 2 *", "never comes"},
		{"0 0 31 4,6,9,11 *", "never comes"},
		{"1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1 * * * *", "at most 100"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cron c;
		struct status st = cron_parse(cases[i].text, &c);
		if (st.code != ST_INVALID_ARGUMENT || !strstr(st.message, cases[i].words))
			fail_msg("\"%s\": \"%s\", but expected \"%s\"", cases[i].text, st.message, cases[i].words);
	}
}

static int begin(void **state)
{
	static char file[ZONE_FILE_MAX];
	FILE *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
	*state = arena_create();
	if (!f)
		fail_msg("no zone file: is tzdata installed?");
	size_t n = fread(file, 1, sizeof(file), f);
	(void)fclose(f);
	struct status st = zone_parse(*state, str_make(file, n), &zone);
	assert_true(status_is_ok(&st));
	return 0;
}

static int end(void **state)
{
	arena_destroy(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(the_clock_is_turned),
		cmocka_unit_test(times_grow),
		cmocka_unit_test(mistakes),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
