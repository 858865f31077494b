#include "base/status.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/str.h"

static void makes_a_failure(void **state)
{
	(void)state;
	struct status st = status_err(ST_NOT_FOUND, "stack \"%s\" does not exist", "web");
	assert_int_equal(st.code, ST_NOT_FOUND);
	assert_false(status_is_ok(&st));
	assert_string_equal(st.message, "stack \"web\" does not exist");
	assert_non_null(strstr(st.origin, "test_status.c:"));
}

static void ok_is_ok_and_stays_so(void **state)
{
	(void)state;
	struct status st = status_ok();
	assert_true(status_is_ok(&st));
	assert_string_equal(st.message, "");
	assert_non_null(st.origin);
	struct status wrapped = status_wrap(&st, "context");
	assert_true(status_is_ok(&wrapped));
	assert_string_equal(wrapped.message, "");
}

static void wrap_keeps_code_and_origin(void **state)
{
	(void)state;
	struct status st = status_err(ST_UNAVAILABLE, "connection refused");
	const char *origin = st.origin;
	st = status_wrap(&st, "service %d", 7); /* into itself */
	st = status_wrap(&st, "deploy");
	assert_int_equal(st.code, ST_UNAVAILABLE);
	assert_ptr_equal(st.origin, origin);
	assert_string_equal(st.message, "deploy: service 7: connection refused");
}

/* A message of every length up to the limit and beyond, of characters of one to four bytes. */
static void cuts_between_characters(void **state)
{
	(void)state;
	static const char *const chars[] = {"a", "é", "€", "\xf0\x9f\x90\x9d"};
	for (size_t c = 0; c < 4; c++) {
		size_t width = strlen(chars[c]);
		for (size_t shift = 0; shift < 4; shift++) {
			char text[1024] = "";
			size_t len = shift;
			memset(text, 'x', shift);
			while (len + width < sizeof(text)) {
				memcpy(text + len, chars[c], width);
				len += width;
			}
			text[len] = '\0';
			struct status st = status_err(ST_INTERNAL, "%s", text);
			size_t got = strlen(st.message);
			assert_true(str_is_utf8(str_of(st.message)));
			assert_memory_equal(st.message, text, got);
			assert_int_equal((got - shift) % width, 0);
			assert_true(got > sizeof(st.message) - 1 - width);
			assert_true(got < sizeof(st.message));
		}
	}
}

static void fits_exactly(void **state)
{
	(void)state;
	struct status st;
	char text[sizeof(st.message)];
	memset(text, 'x', sizeof(text) - 3);
	memcpy(text + sizeof(text) - 3, "é", 3);
	st = status_err(ST_INTERNAL, "%s", text);
	assert_string_equal(st.message, text);
	st = status_err(ST_INTERNAL, "x%s", text); /* one byte too long: the last character goes */
	assert_int_equal(strlen(st.message), sizeof(text) - 2);
}

static void wrap_cuts_the_end(void **state)
{
	(void)state;
	char text[1024];
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	struct status st = status_err(ST_INTERNAL, "%s", text);
	st = status_wrap(&st, "outer");
	assert_int_equal(strlen(st.message), sizeof(st.message) - 1);
	assert_memory_equal(st.message, "outer: yyy", 10);
	st = status_wrap(&st, "%s", text); /* no room for what it wraps */
	assert_int_equal(strlen(st.message), sizeof(st.message) - 1);
	assert_null(strchr(st.message, ':'));
}

static void message_is_always_utf8(void **state)
{
	(void)state;
	struct status st = status_err(ST_INTERNAL, "%s", "a\xff\xc3|\xe2\x82");
	assert_string_equal(st.message, "a??|??");
	char many[600];
	memset(many, 0xbf, sizeof(many) - 1); /* nothing but continuation bytes, cut as well */
	many[sizeof(many) - 1] = '\0';
	st = status_err(ST_INTERNAL, "%s", many);
	assert_int_equal(strspn(st.message, "?"), sizeof(st.message) - 1);
}

static void codes_have_names(void **state)
{
	(void)state;
	assert_string_equal(st_code_name(ST_OK), "OK");
	assert_string_equal(st_code_name(ST_UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_string_equal(st_code_name((enum st_code)99), "UNKNOWN");
	assert_string_equal(st_code_name((enum st_code)(ST_CODE_MAX + 1)), "UNKNOWN");
	for (int a = 0; a <= ST_CODE_MAX; a++) {
		for (int b = 0; b < a; b++)
			assert_string_not_equal(
				st_code_name((enum st_code)a), st_code_name((enum st_code)b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_a_failure),
		cmocka_unit_test(ok_is_ok_and_stays_so),
		cmocka_unit_test(wrap_keeps_code_and_origin),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(fits_exactly),
		cmocka_unit_test(wrap_cuts_the_end),
		cmocka_unit_test(message_is_always_utf8),
		cmocka_unit_test(codes_have_names),
	};
	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
