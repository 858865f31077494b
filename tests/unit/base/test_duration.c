#include "base/duration.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/arena.h"

#define US INT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)
#define M  (60 * S)
#define H  (60 * M)

static void parses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{"0", 0},
		{"+0", 0},
		{"-0", 0},
		{"0s", 0},
		{"5s", 5 * S},
		{"1m30s", 90 * S},
		{"30s1m", 90 * S},
		{"1s1s", 2 * S},
		{"-1.5h", -90 * M},
		{"+5s", 5 * S},
		{"5.s", 5 * S},
		{".5s", 500 * MS},
		{"0.25s", 250 * MS},
		{"1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4 * MS + 5 * US + 6},
		{"10us", 10 * US},
		{"10\u00b5s", 10 * US},
		{"10\u03bcs", 10 * US},
		{"3.9ns", 3}, /* below a nanosecond is dropped */
		{"52763797000ns", INT64_C(52763797000)},
		{"0.3333333333333333333h", 20 * M},
		{"0.100000000000000000000h", 6 * M},
		{"0.830103483285477580700h", INT64_C(2988372539827)},
		{"9007199254.740993ms", INT64_C(9007199254740993)},
		{"9223372036854775807ns", INT64_MAX},
		{"9223372036854775.807us", INT64_MAX},
		{"-9223372036854775808ns", INT64_MIN},
		{"-2562047h47m16.854775808s", INT64_MIN},
		{"2562047h47m16.854775807s", INT64_MAX},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t ns = 77;
		if (!duration_parse(str_of(cases[i].text), &ns) || ns != cases[i].ns)
			fail_msg("\"%s\" gave %lld", cases[i].text, (long long)ns);
	}
}

static void refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "3", "-", "+", "s", ".", "-.", ".s", "+.s", "-.s",
		"1d", "1w", "1S", "1H", " 1s", "1s ", "1 s", "1m 30s", "--1s", "1m-30s", "1e3s",
		"0x1s", "1,5s", "00", "3000000h", "9223372036854775808ns", "9223372036854775.808us",
		"-9223372036854775809ns", "9223372036854775808s", "99999999999999999999s",
		"9223372036854775807ns1ns", "9223372036854775808ns9223372036854775808ns",
		"18446744073709551615.9ns", "18446744073.709551615999s", "18446744073.8s",
		"5124095.576h", "1\xc2s", "1\xb5s"};
	int64_t ns = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (duration_parse(str_of(bad[i]), &ns))
			fail_msg("\"%s\" was taken for %lld", bad[i], (long long)ns);
	}
	assert_false(duration_parse((struct str){NULL, 0}, &ns));
	assert_int_equal(ns, 77);
	assert_true(duration_parse(str_make("1s5m", 2), &ns)); /* a view */
	assert_int_equal(ns, S);
}

static void writes(void **state)
{
	(void)state;
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{1, "1ns"},
		{1100, "1.1\u00b5s"},
		{2200000, "2.2ms"},
		{3300000000, "3.3s"},
		{999999, "999.999\u00b5s"},
		{5 * M + 1, "5m0.000000001s"},
		{4 * M + 5001 * MS, "4m5.001s"},
		{5 * H + 6 * M + 7001 * MS, "5h6m7.001s"},
		{90 * S, "1m30s"},
		{H, "1h0m0s"},
		{-90 * S, "-1m30s"},
		{INT64_MAX, "2562047h47m16.854775807s"},
		{INT64_MIN, "-2562047h47m16.854775808s"},
	};
	struct arena *a = arena_create();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = duration_text(a, cases[i].ns);
		int64_t back = 77;
		assert_string_equal(text, cases[i].text);
		assert_true(duration_parse(str_of(text), &back));
		assert_true(back == cases[i].ns);
	}
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(writes),
	};
	return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
