/* config: the file's lines, and what is wrong with them: nothing is silently ignored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "app/config.h"
#include "base/arena.h"

static bool read_text(struct arena *a, struct str file, struct config *ret_config,
	struct config_errors *ret_errors)
{
	const struct config_input in = {.path = "c.yaml", .file = file};
	return config_read(a, &in, ret_config, ret_errors);
}

static void values_may_be_quoted_and_commented(void **state)
{
	static const struct {
		const char *line, *value;
	} good[] = {
		{"key_file: /d # mine", "/d"},
		{"key_file: \"/d #1\"", "/d #1"},
		{"key_file: '/d'   # mine", "/d"},
		{"key_file: \"\"", ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct arena *a = arena_create();
		struct config c;
		struct config_errors errors;
		assert_true(read_text(a, str_of(good[i].line), &c, &errors));
		assert_string_equal(config_text(&c, CONFIG_KEY_FILE), good[i].value);
		arena_destroy(a);
	}
}

static void addresses(void **state)
{
	static const char *const good[] = {"listen: \"\"", "listen: 127.0.0.1:0", "listen: \"[::1]:7700\"", "redis: \"\"",
		"redis: redis://:secret@r:6379/2", "redis: unix:///r", "docker: tcp://10.0.0.1:2376", "docker: unix:///d"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct arena *a = arena_create();
		struct config c;
		struct config_errors errors;
		assert_true(read_text(a, str_of(good[i]), &c, &errors));
		arena_destroy(a);
	}
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		struct str file;
		const char *where, *said;
	} bad[] = {
		{STR("key_file: \"a\" b"), "c.yaml:1", "behind the closing quote"},
		{STR("key_file: \"a\"b"), "c.yaml:1", "behind the closing quote"},
		{STR("key_file: \"a\"#b"), "c.yaml:1", "behind the closing quote"},
		{STR("key_file: \"a"), "c.yaml:1", "not closed"},
		{STR("log_level: info\0\nnonsense: 1\n"), "c.yaml", "NUL"},
		{STR("\nnonsense: 1"), "c.yaml:2", "is no option"},
		{STR("key_file: a\nkey_file: b"), "c.yaml:2", "stands twice"},
		{STR(" key_file: a"), "c.yaml:1", "key: value"},
		{STR("job_slots: 0"), "c.yaml:1", "between 1 and 1024"},
		{STR("hold: 5"), "c.yaml:1", "a duration"},
		{STR("listen: localhost"), "c.yaml:1", "it must be host:port"},
		{STR("listen: localhost:65536"), "c.yaml:1", "it must be host:port"},
		{STR("redis: 127.0.0.1:6379"), "c.yaml:1", "redis is \"***\"; it must be redis://"},
		{STR("docker: /var/run/docker.sock"), "c.yaml:1", "it must be unix:///path"},
		{STR("docker: \"\""), "c.yaml:1", "it must be unix:///path"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct arena *a = arena_create();
		struct config c;
		struct config_errors errors;
		assert_false(read_text(a, bad[i].file, &c, &errors));
		assert_int_equal(errors.len, 1);
		assert_string_equal(errors.items[0].where, bad[i].where);
		assert_non_null(strstr(errors.items[0].message, bad[i].said));
		arena_destroy(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_may_be_quoted_and_commented),
		cmocka_unit_test(addresses),
		cmocka_unit_test(what_is_wrong_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
