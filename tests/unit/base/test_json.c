#include "base/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/arena.h"

static json_t *parse(const char *text)
{
	json_t *j = NULL;
	struct status st = json_parse(str_of(text), &j);
	if (!status_is_ok(&st))
		fail_msg("%s: %s", text, st.message);
	return j;
}

static void getters_read_or_default(void **state)
{
	(void)state;
	json_t *j = parse("{\"a\":{\"b\":{\"text\":\"x\",\"n\":7,\"r\":2.5,\"t\":true,\"f\":false,"
			  "\"none\":null,\"list\":[1]}},\"\":9}");
	assert_string_equal(json_text(j, "a.b.text", "?"), "x");
	assert_string_equal(json_text(j, "a.b.n", "?"), "?");
	assert_string_equal(json_text(j, "a.b.none", "?"), "?");
	assert_null(json_text(j, "a.missing.text", NULL));
	assert_int_equal(json_int(j, "a.b.n", -1), 7);
	assert_int_equal(json_int(j, "a.b.r", -1), -1); /* not whole */
	assert_int_equal(json_int(j, "a.b.text", -1), -1);
	assert_true(json_num(j, "a.b.r", 0) > 2.4 && json_num(j, "a.b.r", 0) < 2.6);
	assert_true(json_num(j, "a.b.n", 0) > 6.9);
	assert_true(json_num(j, "a.b.text", 5) > 4.9);
	assert_true(json_flag(j, "a.b.t", false));
	assert_false(json_flag(j, "a.b.f", true));
	assert_true(json_flag(j, "a.b.n", true));
	assert_ptr_equal(json_at(j, ""), j);
	assert_true(json_is_null(json_at(j, "a.b.none")));
	assert_null(json_at(j, "a.b.list.0"));
	assert_null(json_at(j, "a.b.text.more"));
	assert_null(json_at(NULL, "a"));
	assert_int_equal(json_int(NULL, "a", 4), 4);
	json_decref(j);
}

static void any_value_will_do(void **state)
{
	(void)state;
	json_t *j = parse(" \"text\" ");
	assert_string_equal(json_text(j, "", "?"), "text");
	json_decref(j);
	j = parse("null");
	assert_true(json_is_null(j));
	json_decref(j);
}

static void refuse(struct str text, const char *part)
{
	json_t *j = NULL;
	struct status st = json_parse(text, &j);
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	assert_null(j);
	assert_true(str_is_utf8(str_of(st.message)));
	if (!strstr(st.message, part))
		fail_msg("\"%s\" does not say \"%s\"", st.message, part);
}

static void errors_say_where(void **state)
{
	(void)state;
	refuse(STR(""), "line 1");
	refuse((struct str){NULL, 0}, "line 1");
	refuse(STR("{\n\"a\": 1,\n\"b\" 2}"), "line 3, column");
	refuse(STR("{\"a\":1,\"a\":2}"), "duplicate");
	refuse(STR("[1] x"), "line 1");
	refuse(STR("{\"a\":"), "line 1");
	refuse(STR("[\"\xff\"]"), "byte 0xff");
	refuse(STR("[\"\\u0000\"]"), "line 1");
	refuse(STR("[nan]"), "line 1");
	refuse(STR("[1e999]"), "overflow");
	refuse(STR("{\"a\0\":1}"), "line 1");
}

static struct status parse_nested(size_t depth, const char *open, const char *close)
{
	struct buf b = {0};
	for (size_t i = 0; i < depth; i++)
		buf_adds(&b, open);
	buf_adds(&b, "1");
	for (size_t i = 0; i < depth; i++)
		buf_adds(&b, close);
	json_t *j = NULL;
	struct status st = json_parse(buf_str(&b), &j);
	json_decref(j);
	buf_finish(&b);
	return st;
}

static void depth_is_limited(void **state)
{
	(void)state;
	struct status st = parse_nested(512, "[", "]");
	assert_true(status_is_ok(&st));
	st = parse_nested(513, "[", "]");
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	assert_non_null(strstr(st.message, "deep"));
	st = parse_nested(300, "[{\"[\":", "}]"); /* two a turn */
	assert_non_null(strstr(st.message, "deep"));
	st = parse_nested(100000, "\n[", "]");
	assert_non_null(strstr(st.message, "line 514"));
}

static void brackets_in_strings_are_not_depth(void **state)
{
	(void)state;
	struct buf b = {0};
	buf_adds(&b, "[\"\\\"");
	for (int i = 0; i < 2000; i++)
		buf_addc(&b, '[');
	buf_adds(&b, "\\\\\",[");
	buf_adds(&b, "1]]");
	json_t *j = NULL;
	struct status st = json_parse(buf_str(&b), &j);
	assert_true(status_is_ok(&st));
	json_decref(j);
	buf_finish(&b);
}

static void wide_is_not_deep(void **state)
{
	(void)state;
	struct buf b = {0};
	buf_addc(&b, '[');
	for (int i = 0; i < 2000; i++)
		buf_adds(&b, "{},[],");
	buf_adds(&b, "0]");
	json_t *j = NULL;
	struct status st = json_parse(buf_str(&b), &j);
	assert_true(status_is_ok(&st));
	json_decref(j);
	buf_finish(&b);
}

/* The Engine writes 2^64-1 for "no limit". */
static void large_integers(void **state)
{
	(void)state;
	json_t *j = parse("{\"limit\":18446744073709551615,\"n\":5,\"x\":1.5}");
	assert_true(json_num(j, "limit", 0) > 1.8e19);
	assert_int_equal(json_int(j, "limit", -1), -1);
	assert_int_equal(json_int(j, "n", -1), 5);
	assert_int_equal(json_int(j, "x", -1), -1);
	json_decref(j);
	j = parse("[9223372036854775807]");
	assert_true(json_integer_value(json_array_get(j, 0)) == INT64_MAX);
	json_decref(j);
	j = parse("{\"low\":-9.223372036854775808e18,\"high\":9.223372036854775808e18}");
	assert_true(json_int(j, "low", 1) == INT64_MIN);
	assert_int_equal(json_int(j, "high", 1), 1);
	json_decref(j);
}

static void writes(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	json_t *j = parse("{ \"z\" : [1, true, null], \"a\" : \"q\\\"\\n\xc3\xa9\" }");
	assert_string_equal(json_to_text(a, j), "{\"z\":[1,true,null],\"a\":\"q\\\"\\n\xc3\xa9\"}");
	struct buf b = {0};
	buf_adds(&b, "x=");
	json_write_sorted(&b, j);
	assert_string_equal(b.ptr, "x={\"a\":\"q\\\"\\n\xc3\xa9\",\"z\":[1,true,null]}");
	buf_finish(&b);
	json_decref(j);
	assert_string_equal(json_to_text(a, NULL), "null");
	j = json_string("alone");
	assert_string_equal(json_to_text(a, j), "\"alone\"");
	json_decref(j);
	arena_destroy(a);
}

static void lossy_is_always_a_string(void **state)
{
	(void)state;
	json_t *j = json_lossy(STR("a\xff\0z"));
	assert_string_equal(json_string_value(j), "a\ufffd\ufffdz");
	json_decref(j);
	j = json_lossy((struct str){NULL, 0});
	assert_string_equal(json_string_value(j), "");
	json_decref(j);
}

/* Whoever frees the arena is told that there is more to it than its own bytes. */
static void an_arena_keeps_a_reference(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	json_t *j = parse("[1]");
	size_t before = arena_used(a);
	assert_ptr_equal(json_keep(a, json_incref(j)), j);
	assert_true(arena_used(a) >= before + 1024);
	assert_null(json_keep(a, NULL));
	assert_int_equal(j->refcount, 2);
	arena_destroy(a);
	assert_int_equal(j->refcount, 1);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(getters_read_or_default),
		cmocka_unit_test(any_value_will_do),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(brackets_in_strings_are_not_depth),
		cmocka_unit_test(wide_is_not_deep),
		cmocka_unit_test(large_integers),
		cmocka_unit_test(writes),
		cmocka_unit_test(lossy_is_always_a_string),
		cmocka_unit_test(an_arena_keeps_a_reference),
	};
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
