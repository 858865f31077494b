/* zone: files of the time zone data base, against the C library. */
#include "base/zone.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "base/arena.h"

#define DAY INT64_C(86400)

static struct str read_zone(struct arena *a, const char *name)
{
	const char *path = arena_fmt(a, "/usr/share/zoneinfo/%s", name);
	char *text = arena_alloc(a, ZONE_FILE_MAX);
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s cannot be read: is tzdata installed?", path);
	size_t n = fread(text, 1, ZONE_FILE_MAX, f);
	(void)fclose(f);
	return str_make(text, n);
}

static const struct zone *load(struct arena *a, const char *name)
{
	const struct zone *z = NULL;
	struct status st = zone_parse(a, read_zone(a, name), &z);
	if (!status_is_ok(&st))
		fail_msg("%s: %s", name, st.message);
	return z;
}

/* Both sides of the equator, summer that begins before midnight, negative summer time, half hours, a day that was
 * skipped, a zone without a table, one whose rule has ended. */
static void agrees_with_the_c_library(void **state)
{
	static const char *const names[] = {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin",
		"America/Godthab", "Asia/Kolkata", "Pacific/Apia", "Etc/GMT+5", "America/Sao_Paulo", "Africa/Casablanca", "UTC",
		"Asia/Gaza", "America/Santiago"};
	struct arena *a = *state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct zone *z = load(a, names[i]);
		(void)setenv("TZ", arena_fmt(a, ":%s", names[i]), 1);
		tzset();
		for (int64_t at = -20 * 365 * DAY; at < 130 * 365 * DAY; at += 7 * 3600 + 11) {
			time_t t = (time_t)at;
			struct tm tm;
			localtime_r(&t, &tm);
			if (zone_offset(z, at) != tm.tm_gmtoff)
				fail_msg("%s at %lld: %d, but the C library has %ld", names[i], (long long)at, zone_offset(z, at),
					tm.tm_gmtoff);
		}
	}
}

/* Each change is one, nothing changes between two, and there is no end to them. */
static void changes_follow_each_other(void **state)
{
	struct arena *a = *state;
	const struct zone *z = load(a, "Europe/Berlin");
	int64_t at = 0;
	for (int i = 0; i < 200; i++) {
		int64_t next = zone_next_change(z, at);
		assert_true(next > at && next < INT64_MAX);
		assert_int_equal(zone_offset(z, next - 1), zone_offset(z, at));
		assert_int_not_equal(zone_offset(z, next), zone_offset(z, at));
		at = next;
	}
	assert_true(at > 100 * 365 * DAY);
	assert_int_equal(zone_next_change(z, 1774746000 - 1), 1774746000); /* 2026-03-29 01:00 UTC */
	assert_int_equal(zone_next_change(load(a, "Etc/GMT+5"), 0), INT64_MAX);
	assert_int_equal(zone_next_change(zone_utc(), 0), INT64_MAX);
}

static void what_is_no_file_is_refused(void **state)
{
	struct arena *a = *state;
	struct str file = read_zone(a, "Europe/Berlin");
	const struct zone *z = NULL;
	for (size_t len = 0; len < file.len; len++) { /* exactly so many bytes, for AddressSanitizer */
		char *part = malloc(len + 1);
		memcpy(part, file.ptr, len);
		struct status st = zone_parse(a, str_make(part, len), &z);
		assert_int_equal(st.code, ST_INVALID_ARGUMENT);
		free(part);
	}
	for (size_t i = 0; i < file.len; i++) { /* some are still files: none may be read out of bounds */
		char *bent = malloc(file.len);
		memcpy(bent, file.ptr, file.len);
		bent[i] = (char)~bent[i];
		struct status st = zone_parse(a, str_make(bent, file.len), &z);
		if (status_is_ok(&st))
			(void)zone_next_change(z, zone_offset(z, 4000000000));
		free(bent);
	}
	assert_non_null(z); /* some bytes do not matter */
}

static void names(void **state)
{
	static const char *const good[] = {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"};
	static const char *const bad[] = {"", "/etc/passwd", "../x", "Europe/../x", "Europe//Berlin", "Europe/", "a b", ".hidden",
		"Europe/.x", "\xc3\xa4", "-x"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(zone_is_name(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(zone_is_name(bad[i]));
}

static int begin(void **state)
{
	*state = arena_create();
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
		cmocka_unit_test_setup_teardown(agrees_with_the_c_library, begin, end),
		cmocka_unit_test_setup_teardown(changes_follow_each_other, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, begin, end),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
