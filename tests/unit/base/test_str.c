#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/arena.h"
#include "death.h"

static void compares(void **state)
{
	(void)state;
	assert_true(str_eq(STR("ab"), str_of("ab")));
	assert_false(str_eq(STR("ab"), STR("ac")));
	assert_false(str_eq(STR("ab"), STR("abc")));
	assert_true(str_eq(str_of(NULL), (struct str){NULL, 0}));
	assert_true(str_is(STR("x"), "x"));
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("b"), STR("a")) > 0);
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("ab"), STR("a")) > 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* bytes are unsigned */
	assert_int_equal(str_cmp(STR(""), (struct str){NULL, 0}), 0);
	assert_true(str_starts(STR("service"), "ser"));
	assert_true(str_starts(STR("service"), ""));
	assert_false(str_starts(STR("se"), "ser"));
	assert_true(str_ends(STR("stack.yaml"), ".yaml"));
	assert_true(str_ends((struct str){NULL, 0}, ""));
	assert_false(str_ends(STR("yaml"), ".yaml"));
}

static void trims(void **state)
{
	(void)state;
	assert_true(str_is(str_trim(STR(" \t\r\n\v\fa b\n")), "a b"));
	assert_int_equal(str_trim(STR(" \n ")).len, 0);
	assert_int_equal(str_trim((struct str){NULL, 0}).len, 0);
	assert_true(str_is(str_trim(STR("\xc2\xa0x")), "\xc2\xa0x")); /* ASCII only */
}

static void cuts(void **state)
{
	(void)state;
	struct str s = STR("a,,b");
	assert_true(str_is(str_cut(&s, ','), "a"));
	assert_true(str_is(str_cut(&s, ','), ""));
	assert_non_null(s.ptr);
	assert_true(str_is(str_cut(&s, ','), "b"));
	assert_null(s.ptr);
	assert_int_equal(s.len, 0);
	s = STR("a,"); /* ends with an empty part */
	assert_true(str_is(str_cut(&s, ','), "a"));
	assert_non_null(s.ptr);
	assert_true(str_is(str_cut(&s, ','), ""));
	assert_null(s.ptr);
	assert_int_equal(str_cut(&s, ',').len, 0); /* nothing left: stays so */
}

static void reads_whole_numbers(void **state)
{
	(void)state;
	int64_t i = 77;
	uint64_t u = 77;
	assert_true(str_to_u64(STR("18446744073709551615"), &u));
	assert_int_equal(u, UINT64_MAX);
	assert_true(str_to_u64(STR("007"), &u));
	assert_int_equal(u, 7);
	static const char *const no_u64[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1.0", "1e3",
		"18446744073709551616", "99999999999999999999", "١"};
	for (size_t n = 0; n < sizeof(no_u64) / sizeof(no_u64[0]); n++)
		assert_false(str_to_u64(str_of(no_u64[n]), &u));
	assert_int_equal(u, 7); /* untouched */

	assert_true(str_to_i64(STR("9223372036854775807"), &i));
	assert_true(i == INT64_MAX);
	assert_true(str_to_i64(STR("-9223372036854775808"), &i));
	assert_true(i == INT64_MIN);
	assert_true(str_to_i64(STR("+5"), &i));
	assert_true(i == 5);
	assert_true(str_to_i64(STR("-0"), &i));
	assert_true(i == 0);
	static const char *const no_i64[] = {"", "-", "+", "--1", "+-1", "9223372036854775808",
		"-9223372036854775809", "- 1", "1-"};
	for (size_t n = 0; n < sizeof(no_i64) / sizeof(no_i64[0]); n++)
		assert_false(str_to_i64(str_of(no_i64[n]), &i));
	assert_false(str_to_u64(str_make("1\0", 2), &u));
}

static void assert_double(const char *text, double want)
{
	double got = -77;
	assert_true(str_to_double(str_of(text), &got));
	assert_memory_equal(&got, &want, sizeof(got));
}

static void reads_decimals(void **state)
{
	(void)state;
	assert_double("0.1", 0.1);
	assert_double("-1.5e3", -1500);
	assert_double("+2E-2", 0.02);
	assert_double("5.", 5);
	assert_double(".5", 0.5);
	assert_double("-0", -0.0);
	assert_double("1e-999", 0);
	/* longer than the buffer inside */
	assert_double(
		"0.1000000000000000055511151231257827021181583404541015625000000000000000000000",
		0.1);
	static const char *const bad[] = {"", ".", "-", "+.", "e1", "1e", "1e+", "1.2.3", "1,5",
		"nan", "inf", "infinity", "0x10", "1e999", "-1e999", " 1", "1 ", "1_000", "--1",
		"1f"};
	double value = 3;
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		assert_false(str_to_double(str_of(bad[n]), &value));
	assert_true(value > 2.9 && value < 3.1);
	assert_false(str_to_double((struct str){NULL, 0}, &value));
	/* a view: what lies behind does not count */
	assert_true(str_to_double(str_make("12345", 2), &value));
	assert_true(value > 11.9 && value < 12.1);
}

static void writes_decimals(void **state)
{
	(void)state;
	static const struct {
		double v;
		const char *text;
	} cases[] = {{0, "0"}, {1, "1"}, {-1.5, "-1.5"}, {0.1, "0.1"}, {100000, "100000"},
		{1e6, "1e+06"}, {1.5e30, "1.5e+30"}, {1e-4, "0.0001"}, {1e-7, "1e-07"},
		{123456.75, "123456.75"}, {0.30000000000000004, "0.30000000000000004"},
		{123456789012345678.0, "1.2345678901234568e+17"}, {5e-324, "5e-324"},
		{-1.7976931348623157e308, "-1.7976931348623157e+308"}};
	char text[STR_REAL_MAX];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(str_real(text, cases[i].v), cases[i].text);
}

static void utf8(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len, valid;
	} cases[] = {
		{"", 0, 0},
		{"plain", 5, 5},
		{"a\0b", 3, 3},
		{"\xc2\x80\xdf\xbf", 4, 4},
		{"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12, 12},
		{"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, 8},
		{"x\x80", 2, 1},             /* continuation alone */
		{"x\xc0\x80", 3, 1},         /* too long a form */
		{"x\xc1\xbf", 3, 1},         /* too long a form */
		{"x\xe0\x9f\xbf", 4, 1},     /* too long a form */
		{"x\xf0\x8f\xbf\xbf", 5, 1}, /* too long a form */
		{"x\xed\xa0\x80", 4, 1},     /* surrogate */
		{"x\xf4\x90\x80\x80", 5, 1}, /* above U+10FFFF */
		{"x\xf5\x80\x80\x80", 5, 1}, /* above U+10FFFF */
		{"x\xff", 2, 1},             /* no lead byte */
		{"x\xc3", 2, 1},             /* cut off */
		{"x\xe2\x82", 3, 1},         /* cut off */
		{"x\xf0\x9f\x90", 4, 1},     /* cut off */
		{"x\xc3\xa9", 2, 1},         /* the view ends in the middle */
		{"x\xc3(", 3, 1},            /* second byte */
		{"x\xe2\x82(", 4, 1},        /* third byte */
		{"x\xf0\x9f\x90(", 5, 1},    /* fourth byte */
		{"12345678é901234567\xff", 20, 19},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str s = str_make(cases[i].text, cases[i].len);
		assert_int_equal(str_utf8_valid_upto(s), cases[i].valid);
		assert_int_equal(str_is_utf8(s), cases[i].valid == cases[i].len);
	}
	/* the fast path, with the bad byte at each place of two words */
	for (size_t bad = 0; bad < 16; bad++) {
		char text[16];
		memset(text, 'a', sizeof(text));
		text[bad] = (char)0xff;
		assert_int_equal(str_utf8_valid_upto(str_make(text, sizeof(text))), bad);
	}
}

static void lossy(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	assert_string_equal(str_lossy(a, STR("")), "");
	assert_string_equal(str_lossy(a, STR("grün")), "grün");
	assert_string_equal(
		str_lossy(a, STR("\0a\0\xff\xc3z\0")), "\ufffda\ufffd\ufffd\ufffdz\ufffd");
	assert_string_equal(str_lossy(a, STR("\xe2\x82")), "\ufffd\ufffd");
	arena_destroy(a);
}

static void buf_builds(void **state)
{
	(void)state;
	struct buf b = {0};
	assert_string_equal(buf_str(&b).ptr, "");
	buf_add(&b, NULL, 0);
	assert_string_equal(b.ptr, "");
	buf_adds(&b, "one");
	buf_addc(&b, ' ');
	buf_add_str(&b, STR("two"));
	buf_add_str(&b, (struct str){NULL, 0});
	buf_fmt(&b, " %d", 3);
	assert_string_equal(b.ptr, "one two 3");
	assert_int_equal(b.len, 9);
	buf_drop(&b, 0);
	buf_drop(&b, 4);
	assert_string_equal(b.ptr, "two 3");
	buf_drop(&b, 5);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.ptr, "");
	buf_finish(&b);
	assert_null(b.ptr);
	buf_drop(&b, 0);
	buf_finish(&b);
}

static void buf_writes_numbers(void **state)
{
	(void)state;
	struct buf b = {0};
	buf_add_u64(&b, 0);
	buf_addc(&b, ' ');
	buf_add_u64(&b, UINT64_MAX);
	buf_addc(&b, ' ');
	buf_add_i64(&b, INT64_MIN);
	buf_addc(&b, ' ');
	buf_add_i64(&b, 7);
	assert_string_equal(b.ptr, "0 18446744073709551615 -9223372036854775808 7");
	b.len = 0;
	buf_add_digits(&b, 7, 3);
	buf_add_digits(&b, 12345, 2); /* the last ones */
	buf_add_digits(&b, 1, 0);
	assert_string_equal(b.ptr, "00745");
	buf_finish(&b);
}

static void buf_grows(void **state)
{
	(void)state;
	for (int width = 0; width < 200; width++) { /* formats around each capacity */
		struct buf b = {0};
		for (int i = 0; i < 20; i++)
			buf_fmt(&b, "%*d", width, i % 10);
		assert_int_equal(b.len, width ? width * 20 : 20);
		assert_int_equal(strlen(b.ptr), b.len);
		assert_int_equal(b.ptr[b.len - 1], '9');
		buf_finish(&b);
	}
	struct buf b = {0};
	for (int i = 0; i < 100000; i++)
		buf_addc(&b, (char)('a' + i % 26));
	for (int i = 0; i < 100000; i++)
		assert_int_equal(b.ptr[i], 'a' + i % 26);
	buf_reserve(&b, 1000);
	char *before = b.ptr;
	for (int i = 0; i < 1000; i++)
		buf_addc(&b, 'x');
	assert_ptr_equal(b.ptr, before); /* reserved means no move */
	buf_finish(&b);
}

static void reserve_everything(void)
{
	struct buf b = {0};
	buf_addc(&b, 'x');
	buf_reserve(&b, SIZE_MAX);
}

static void drop_too_much(void)
{
	struct buf b = {0};
	buf_addc(&b, 'x');
	buf_drop(&b, 2);
}

static void buf_contracts(void **state)
{
	(void)state;
	assert_true(aborts(reserve_everything));
	assert_true(aborts(drop_too_much));
}

static void hex(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	struct str bytes = {0};
	assert_string_equal(str_hex(a, "\x00\x1f\xff", 3), "001fff");
	assert_string_equal(str_hex(a, "", 0), "");
	assert_true(str_unhex(a, STR("001fFF"), &bytes));
	assert_int_equal(bytes.len, 3);
	assert_memory_equal(bytes.ptr, "\x00\x1f\xff", 3);
	assert_true(str_unhex(a, STR(""), &bytes));
	assert_int_equal(bytes.len, 0);
	assert_false(str_unhex(a, STR("0"), &bytes));
	assert_false(str_unhex(a, STR("0g"), &bytes));
	assert_false(str_unhex(a, STR("g0"), &bytes));
	assert_false(str_unhex(a, STR(" 0"), &bytes));
	arena_destroy(a);
}

static void base64(void **state)
{
	(void)state;
	/* RFC 4648 §10 */
	static const char *const vectors[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}};
	struct arena *a = arena_create();
	struct str bytes = {0};
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_string_equal(
			str_base64(a, vectors[i][0], strlen(vectors[i][0])), vectors[i][1]);
		assert_true(str_unbase64(a, str_of(vectors[i][1]), &bytes));
		assert_true(str_is(bytes, vectors[i][0]));
	}
	assert_string_equal(str_base64(a, "\xfb\xff\xfe", 3), "+//+");
	assert_string_equal(str_base64url(a, "\xfb\xff\xfe", 3), "-__-");
	assert_string_equal(str_base64url(a, "f", 1), "Zg");
	assert_true(str_unbase64(a, STR("-__-"), &bytes));
	assert_memory_equal(bytes.ptr, "\xfb\xff\xfe", 3);
	assert_true(str_unbase64(a, STR("Zg"), &bytes));
	static const char *const bad[] = {"Z", "A", "Zm9vA", "Zg=", "Zg===", "Zm9v=", "=",
		"==", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "Zm9v\n", "+_aa", "Z\xc3\xa9g"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(str_unbase64(a, str_of(bad[i]), &bytes));
	for (size_t len = 0; len < 256; len++) { /* there and back */
		char text[256];
		for (size_t i = 0; i < len; i++)
			text[i] = (char)(i * 37 + len);
		assert_true(str_unbase64(a, str_of(str_base64(a, text, len)), &bytes));
		assert_true(str_eq(bytes, str_make(text, len)));
		assert_true(str_unbase64(a, str_of(str_base64url(a, text, len)), &bytes));
		assert_true(str_eq(bytes, str_make(text, len)));
	}
	arena_destroy(a);
}

static size_t plain_one_by_one(struct str s, unsigned char least)
{
	size_t n = 0;
	while (n < s.len && (unsigned char)s.ptr[n] >= least && (unsigned char)s.ptr[n] < 0x7f && s.ptr[n] != '"' && s.ptr[n] != '\\')
		n++;
	return n;
}

/* Every byte at every place among plain ones, with every other byte behind it. */
static void plain_bytes(void **state)
{
	(void)state;
	char text[20];
	for (unsigned i = 0; i < 256 * 256; i++)
		for (size_t at = 0; at < 10; at++) {
			memset(text, 'a', sizeof(text));
			text[at] = (char)(i & 255);
			text[at + 1] = (char)(i >> 8);
			struct str s = str_make(text, 11 + i % 9);
			assert_int_equal(str_plain_upto(s, ' '), plain_one_by_one(s, ' '));
			assert_int_equal(str_plain_upto(s, ' ' + 1), plain_one_by_one(s, ' ' + 1));
		}
	assert_int_equal(str_plain_upto(STR(""), ' '), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares),
		cmocka_unit_test(trims),
		cmocka_unit_test(cuts),
		cmocka_unit_test(reads_whole_numbers),
		cmocka_unit_test(reads_decimals),
		cmocka_unit_test(writes_decimals),
		cmocka_unit_test(utf8),
		cmocka_unit_test(plain_bytes),
		cmocka_unit_test(lossy),
		cmocka_unit_test(buf_builds),
		cmocka_unit_test(buf_writes_numbers),
		cmocka_unit_test(buf_grows),
		cmocka_unit_test(buf_contracts),
		cmocka_unit_test(hex),
		cmocka_unit_test(base64),
	};
	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
