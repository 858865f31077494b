/* Widths, cleaning, ages, tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/arena.h"
#include "cli/table.h"
#include "cli/text.h"

static void test_width(void **state)
{
	(void)state;
	assert_int_equal(text_width(STR("")), 0);
	assert_int_equal(text_width(STR("web")), 3);
	assert_int_equal(text_width(STR("größe")), 5);
	assert_int_equal(text_width(STR("日本")), 4);
	assert_int_equal(text_width(STR("e\xcc\x81")), 1); /* a combining accent */
	assert_int_equal(text_width(STR("🐝")), 2);
}

/* Nothing that a container prints reaches the terminal as a command. */
static void test_cleaning(void **state)
{
	struct arena *a = arena_create();
	struct buf b = {0};
	(void)state;
	assert_string_equal(text_line(a, "a\x1b[2Jb\r\n\tc\x7f" "d"), "a [2Jb c d");
	assert_string_equal(text_line(a, "\xc2\x9b" "31m!"), "31m!");           /* CSI as one character of C1 */
	assert_string_equal(text_line(a, "a\xff" "b"), "a\xef\xbf\xbd" "b");
	assert_string_equal(text_line(a, "x\xe2\x80\xae" "y"), "x y");          /* right-to-left override */
	text_clean(&b, STR("one\n\ttwo\x1b[0m"), true);
	assert_string_equal(b.ptr, "one\n\ttwo [0m");
	buf_finish(&b);
	arena_destroy(a);
}

static void test_escaping(void **state)
{
	struct buf b = {0};
	(void)state;
	text_escape(&b, STR("{\"a\": \"é\xc2\x9b" "31m\x7f\xe2\x80\xae\\u001b\"}\n"));
	assert_string_equal(b.ptr, "{\"a\": \"é\\u009b31m\\u007f\\u202e\\u001b\"}\n");
	buf_finish(&b);
}

static void assert_cut(const char *text, size_t columns, bool utf8, const char *expected)
{
	struct buf b = {0};
	text_cut(&b, str_of(text), columns, utf8);
	assert_string_equal(buf_str(&b).ptr, expected);
	buf_finish(&b);
}

static void test_cutting(void **state)
{
	(void)state;
	assert_cut("hello", 5, true, "hello");
	assert_cut("hello", 4, true, "hel…");
	assert_cut("hello", 4, false, "hel~");
	assert_cut("日本語", 4, true, "日…");
	assert_cut("hello", 0, true, "");
}

static void test_ages(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {{0, "just now"}, {1, "1 second ago"}, {59, "59 seconds ago"}, {60, "1 minute ago"},
		{185, "3 minutes ago"}, {3600, "1 hour ago"}, {86400, "1 day ago"}, {10 * 86400, "10 days ago"},
		{15 * 86400, "2 weeks ago"}, {40 * 86400, "1 month ago"}, {800 * 86400, "2 years ago"},
		{-90, "in 1 minute"}, {-89 * 86400, "in 2 months"}};
	struct arena *a = arena_create();
	int64_t now = 1700000000000000;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(text_age(a, now, now - cases[i].seconds * 1000000), cases[i].text);
	assert_string_equal(text_age(a, now, now + 86399900000), "in 1 day");
	assert_string_equal(text_age(a, now, 0), "");
	assert_string_equal(text_span(a, 0), "0.0s");
	assert_string_equal(text_span(a, 12340), "12.3s");
	assert_string_equal(text_span(a, 125000), "2m05s");
	assert_string_equal(text_span(a, 3720000), "1h02m");
	arena_destroy(a);
}

static void test_spans_are_read(void **state)
{
	uint64_t ms = 7;
	(void)state;
	assert_true(text_parse_span("90s", &ms) && ms == 90000);
	assert_true(text_parse_span("1h30m", &ms) && ms == 5400000);
	assert_true(text_parse_span("30d", &ms) && ms == 2592000000);
	assert_true(text_parse_span("0", &ms) && ms == 0);
	ms = 7;
	assert_false(text_parse_span("", &ms));
	assert_false(text_parse_span("d", &ms));
	assert_false(text_parse_span("10", &ms));
	assert_false(text_parse_span("-5s", &ms));
	assert_false(text_parse_span("1.5d", &ms));
	assert_false(text_parse_span("99999999999d", &ms));
	assert_int_equal(ms, 7);
}

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(text_distance("deploy", "deploy"), 0);
	assert_int_equal(text_distance("depoly", "deploy"), 1); /* swapped */
	assert_int_equal(text_distance("deply", "deploy"), 1);
	assert_int_equal(text_distance("", "abc"), 3);
	assert_int_equal(text_distance("kitten", "sitting"), 3);
}

static void test_table(void **state)
{
	static const char *const headers[] = {"NAME", "STATE", "MESSAGE", NULL};
	struct arena *a = arena_create();
	struct table *t = table_create(a, headers);
	struct buf b = {0};
	(void)state;
	table_cell(t, "größe");
	table_tone(t, tone_of("running"), "running");
	table_cell(t, "");
	table_cell(t, "w");
	table_tone(t, tone_of("failed"), "failed");
	table_fmt(t, "exit code %d\nsecond\x1b", 3);
	table_print(t, false, &b);
	assert_string_equal(b.ptr, "NAME   STATE    MESSAGE\n"
				   "größe  running\n"
				   "w      failed   exit code 3 second\n");
	b.len = 0;
	table_print(t, true, &b);
	assert_non_null(strstr(b.ptr, "größe  \x1b[32mrunning\x1b[0m"));
	assert_non_null(strstr(b.ptr, "\x1b[31mfailed\x1b[0m   exit"));
	buf_finish(&b);
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_cleaning),
		cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_cutting),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_spans_are_read),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
