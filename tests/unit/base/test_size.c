#include "base/size.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/arena.h"

#define K INT64_C(1024)

static void parses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t bytes;
	} cases[] = {
		{"0", 0},
		{"32", 32},
		{"32b", 32},
		{"32B", 32},
		{"32k", 32 * K},
		{"32K", 32 * K},
		{"32kb", 32 * K},
		{"32Kb", 32 * K},
		{"32KiB", 32 * K},
		{"32 kB", 32 * K},
		{"32 ", 32},
		{"50M", 50 * K * K},
		{"1.5gb", 3 * K * K * K / 2},
		{"32Tb", 32 * K * K * K * K},
		{"32pib", 32 * K * K * K * K * K},
		{"32.3", 32},
		{"32.3 mb", INT64_C(33869004)},
		{"0.3K", 307},
		{".5k", 512},
		{"5.k", 5 * K},
		{"1e3k", 1000 * K},
		{"+5", 5},
		{"8191p", 8191 * K * K * K * K * K},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t bytes = 77;
		if (!size_parse(str_of(cases[i].text), &bytes) || bytes != cases[i].bytes)
			fail_msg("\"%s\" gave %lld", cases[i].text, (long long)bytes);
	}
}

static void refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "hello", "k", ".", ". ", " ", "-32", "-32k", "32bb",
		"32kbb", "32kibb", "32ki", "32kx", "32kix", "32kxb", "32bi", "32x", "32e", "32 k b",
		" 32", "32  k", "32m b", "32.3.1", "1,5g", "inf", "nan", "inf ", "0x10", "8192p",
		"1e30", "1e999", "12k5"};
	int64_t bytes = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (size_parse(str_of(bad[i]), &bytes))
			fail_msg("\"%s\" was taken for %lld", bad[i], (long long)bytes);
	}
	assert_false(size_parse(str_make("32\0", 3), &bytes));
	assert_false(size_parse((struct str){NULL, 0}, &bytes));
	assert_int_equal(bytes, 77);
}

static void writes(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	assert_string_equal(size_text(a, 0), "0B");
	assert_string_equal(size_text(a, 1023), "1023B");
	assert_string_equal(size_text(a, 1024), "1KiB");
	assert_string_equal(size_text(a, 1000000), "976.6KiB");
	assert_string_equal(size_text(a, 3 * K * K * K / 2), "1.5GiB");
	assert_string_equal(size_text(a, -2048), "-2KiB");
	assert_string_equal(size_text(a, INT64_MAX), "8EiB");
	assert_string_equal(size_text(a, INT64_MIN), "-8EiB");
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(writes),
	};
	return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
