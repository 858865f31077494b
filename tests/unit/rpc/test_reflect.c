/* Files found in a descriptor set: the tests' own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include "rpc/reflect.h"

extern const unsigned char skep_test_v1_descriptor_set[];
extern const size_t skep_test_v1_descriptor_set_len;

static struct str set(void)
{
	return str_make((const char *)skep_test_v1_descriptor_set, skep_test_v1_descriptor_set_len);
}

static bool has(struct str file, const char *text)
{
	return memmem(file.ptr, file.len, text, strlen(text)) != NULL;
}

static void files_by_name(void **state)
{
	struct str file;
	(void)state;
	assert_true(reflect_file_by_name(set(), STR("skep/test/v1/all.proto"), &file));
	assert_true(has(file, "skep.test.v1"));
	assert_true(reflect_file_by_name(set(), STR("google/protobuf/any.proto"), &file));
	assert_false(reflect_file_by_name(set(), STR("nix.proto"), &file));
	assert_false(reflect_file_by_name(set(), STR(""), &file));
}

static void files_by_symbol(void **state)
{
	static const char *const known[] = {"skep.test.v1.All", "skep.test.v1.All.Inner",
		"skep.test.v1.All.Inner.a", "skep.test.v1.All.int32_field", "skep.test.v1.Color",
		"skep.test.v1.Color.COLOR_RED", "skep.test.v1.All.choice"};
	static const char *const unknown[] = {"skep.test.v1", "skep.test.v1.", "skep.test.v1.Al",
		"skep.test.v1.All.Nix", "skep.test.v1.All.Inner.b", "All", "", ".",
		"skep.test.v1.All."};
	struct str file;
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!reflect_file_by_symbol(set(), str_of(known[i]), &file))
			fail_msg("%s", known[i]);
		assert_true(has(file, "skep/test/v1/all.proto"));
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]) - 1; i++)
		if (reflect_file_by_symbol(set(), str_of(unknown[i]), &file))
			fail_msg("%s", unknown[i]);
	assert_true(reflect_file_by_symbol(set(), STR("google.protobuf.Any"), &file));
	assert_true(reflect_file_by_symbol(set(), STR("skep.v1.rules"), &file));
}

static void count(void *data, int number)
{
	assert_true(number >= 50700);
	++*(int *)data;
}

static void extensions(void **state)
{
	struct str file;
	int n = 0;
	(void)state;
	assert_true(reflect_extension(
		set(), STR("google.protobuf.FieldOptions"), 50701, &file, NULL, NULL));
	assert_true(has(file, "skep/v1/options.proto"));
	assert_false(reflect_extension(
		set(), STR("google.protobuf.FieldOptions"), 1, &file, NULL, NULL));
	assert_true(reflect_extension(
		set(), STR("google.protobuf.MethodOptions"), 0, &file, count, &n));
	assert_true(n >= 3);
	assert_false(reflect_extension(set(), STR("nix"), 0, &file, count, &n));
}

static void dependencies(void **state)
{
	struct str file, name;
	size_t n = 0;
	(void)state;
	assert_true(reflect_file_by_name(set(), STR("skep/test/v1/all.proto"), &file));
	for (size_t pos = 0; reflect_dependency(file, &pos, &name); n++)
		assert_true(reflect_file_by_name(set(), name, &(struct str){0}));
	assert_int_equal(n, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_by_name),
		cmocka_unit_test(files_by_symbol),
		cmocka_unit_test(extensions),
		cmocka_unit_test(dependencies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
