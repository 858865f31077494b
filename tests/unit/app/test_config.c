#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "app/config.h"
#include "base/arena.h"

static struct arena *arena;
static struct config config;
static struct config_errors errors;

static int setup(void **state)
{
	(void)state;
	arena = arena_create();
	memset(&config, 0, sizeof(config));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_destroy(arena);
	return 0;
}

static bool read_all(const char *file, const char *const *env, const char *const *flags)
{
	const struct config_input in = {.path = file ? "skepd.yaml" : NULL,
		.file = str_of(file),
		.env = env,
		.flags = flags};
	return config_read(arena, &in, &config, &errors);
}

static void assert_reads(const char *file)
{
	if (!read_all(file, NULL, NULL))
		fail_msg("%s: %s", errors.items[0].where, errors.items[0].message);
}

static void assert_refused(const char *file, const char *where, const char *message)
{
	assert_false(read_all(file, NULL, NULL));
	assert_int_equal(errors.len, 1);
	assert_string_equal(errors.items[0].where, where);
	assert_string_equal(errors.items[0].message, message);
}

static char *printed(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (print)
		print(out);
	else
		config_print(out, &config);
	(void)fclose(out);
	char *copy = arena_strdup(arena, text);
	free(text);
	return copy;
}

/* ---- */

static void defaults_are_complete_and_in_their_own_bounds(void **state)
{
	(void)state;
	assert_true(read_all(NULL, NULL, NULL));
	for (int i = 0; i < CONFIG_COUNT; i++) {
		assert_non_null(config.values[i].text);
		assert_string_equal(config.values[i].from, "default");
		assert_non_null(config_key((enum config_option)i));
	}
	assert_string_equal(config_text(&config, CONFIG_LISTEN), "127.0.0.1:7700");
	assert_int_equal(config_number(&config, CONFIG_SOCKET_MODE), 0660);
	assert_int_equal(config_number(&config, CONFIG_JOB_LEASE), 4000);
	assert_int_equal(config_number(&config, CONFIG_MAX_MESSAGE), 4 << 20);
	assert_int_equal(config_number(&config, CONFIG_MIGRATE), 1);
	assert_int_equal(config_number(&config, CONFIG_LOG_LEVEL), 1);
}

static void every_type(void **state)
{
	(void)state;
	assert_reads("---\n"
		     "# a comment\n"
		     "\n"
		     "listen: 0.0.0.0:0\n"
		     "socket_mode: 600\n"
		     "redis: unix:///run/redis.sock\n"
		     "docker: tcp://10.0.0.1:2375\n"
		     "job_slots: 3\n"
		     "job_lease: 1m30s\n"
		     "max_message: 1KiB\n"
		     "log_level: error\n"
		     "log_format: json\n"
		     "migrate: off\n");
	assert_string_equal(config_text(&config, CONFIG_LISTEN), "0.0.0.0:0");
	assert_int_equal(config_number(&config, CONFIG_SOCKET_MODE), 0600);
	assert_int_equal(config_number(&config, CONFIG_JOB_SLOTS), 3);
	assert_int_equal(config_number(&config, CONFIG_JOB_LEASE), 90000);
	assert_int_equal(config_number(&config, CONFIG_MAX_MESSAGE), 1024);
	assert_int_equal(config_number(&config, CONFIG_LOG_LEVEL), 3);
	assert_int_equal(config_number(&config, CONFIG_LOG_FORMAT), 1);
	assert_int_equal(config_number(&config, CONFIG_MIGRATE), 0);
	assert_string_equal(config.values[CONFIG_JOB_SLOTS].from, "skepd.yaml:8");
}

static void booleans_in_their_forms(void **state)
{
	static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
									     "off", "0"};
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_reads(arena_fmt(arena, "migrate: %s", yes[i]));
		assert_int_equal(config_number(&config, CONFIG_MIGRATE), 1);
		assert_reads(arena_fmt(arena, "migrate: %s", no[i]));
		assert_int_equal(config_number(&config, CONFIG_MIGRATE), 0);
	}
}

static void bounds_are_inclusive(void **state)
{
	(void)state;
	assert_reads("job_slots: 1\n");
	assert_reads("job_slots: 1024\n");
	assert_refused("job_slots: 0\n", "skepd.yaml:1",
		"job_slots is \"0\"; it must be between 1 and 1024");
	assert_refused("job_slots: 1025\n", "skepd.yaml:1",
		"job_slots is \"1025\"; it must be between 1 and 1024");
	assert_reads("job_lease: 1s\n");
	assert_refused("job_lease: 999ms\n", "skepd.yaml:1",
		"job_lease is \"999ms\"; it must be between 1s and 10m0s");
	assert_reads("hold: 0\n");
	assert_refused(
		"hold: -1s\n", "skepd.yaml:1", "hold is \"-1s\"; it must be between 0s and 1h0m0s");
	assert_reads("socket_mode: 0777\n");
	assert_refused("socket_mode: 1000\n", "skepd.yaml:1",
		"socket_mode is \"1000\"; it must be between 0 and 0777");
}

static void wrong_types(void **state)
{
	static const char *const cases[][2] = {
		{"job_slots: many", "job_slots is \"many\"; it must be a whole number"},
		{"job_slots: 1.5", "job_slots is \"1.5\"; it must be a whole number"},
		{"job_slots:", "job_slots is \"\"; it must be a whole number"},
		{"job_slots: 99999999999999999999",
			"job_slots is \"99999999999999999999\"; it must be a whole number"},
		{"job_lease: 15",
			"job_lease is \"15\"; it must be a duration, such as 30s or 1m30s"},
		{"max_message: big", "max_message is \"big\"; it must be a size, such as 4MiB"},
		{"socket_mode: 0668",
			"socket_mode is \"0668\"; it must be octal permissions, such as 0660"},
		{"bull_board: \"two words\"", "bull_board is \"two words\"; it must be at most 40 letters, digits and . _ - { }"},
		{"bull_board: a*", "bull_board is \"a*\"; it must be at most 40 letters, digits and . _ - { }"},
		{"migrate: perhaps", "migrate is \"perhaps\"; it must be true or false"},
		{"log_level: loud",
			"log_level is \"loud\"; it must be one of debug|info|warn|error"},
		{"log_level: inf", "log_level is \"inf\"; it must be one of debug|info|warn|error"},
		{"listen: 7700",
			"listen is \"7700\"; it must be host:port, tls://host:port or tcp://host:port, "
			"such as 127.0.0.1:7700"},
		{"listen: 127.0.0.1:1, udp",
			"listen is \"127.0.0.1:1, udp\"; it must be host:port, tls://host:port or "
			"tcp://host:port, such as 127.0.0.1:7700"},
		{"listen: a:70000",
			"listen is \"a:70000\"; it must be host:port, tls://host:port or tcp://host:port, "
			"such as 127.0.0.1:7700"},
		{"docker: /run/docker.sock", "docker is \"/run/docker.sock\"; it must be "
					     "unix:///path or tcp://host:port"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i][0], "skepd.yaml:1", cases[i][1]);
}

static void a_value_that_is_refused_leaves_the_one_before(void **state)
{
	(void)state;
	assert_refused("job_slots: 0\n", "skepd.yaml:1",
		"job_slots is \"0\"; it must be between 1 and 1024");
	assert_int_equal(config_number(&config, CONFIG_JOB_SLOTS), 16);
}

static void unknown_and_doubled_keys(void **state)
{
	(void)state;
	assert_refused("# x\njob_slot: 3\n", "skepd.yaml:2",
		"\"job_slot\" is no option; see `skepd config --help`");
	assert_refused("job_slotss: 3\n", "skepd.yaml:1",
		"\"job_slotss\" is no option; see `skepd config --help`");
	assert_refused(
		"job_slots: 3\nhold: 1s\njob_slots: 3\n", "skepd.yaml:3", "job_slots stands twice");
	assert_refused("job-slots: 3\njob_slots: 4\n", "skepd.yaml:2",
		"job_slots stands twice"); /* the same key */
}

static void lines_that_are_no_options(void **state)
{
	(void)state;
	assert_refused(
		"nonsense\n", "skepd.yaml:1", "expected `key: value` at the start of the line");
	assert_refused("hold: 1s\n  job_slots: 3\n", "skepd.yaml:2",
		"expected `key: value` at the start of the line");
	assert_reads("hold: 1s\r\njob_slots: 4\r\n");
	assert_int_equal(config_number(&config, CONFIG_JOB_SLOTS), 4);
	const struct config_input in = {.path = "skepd.yaml", .file = STR("hold: 1s\n\0")};
	assert_false(config_read(arena, &in, &config, &errors));
	assert_string_equal(errors.items[0].message, "is no text: it holds a NUL byte");
}

static void quotes_and_comments(void **state)
{
	(void)state;
	assert_reads("socket: \"/run/a # b.sock\" # not this\n"
		     "key_file: 'it is: \"here\"'\n"
		     "postgres: host=x password=a#b # but this\n"
		     "redis: ''\n");
	assert_string_equal(config_text(&config, CONFIG_SOCKET), "/run/a # b.sock");
	assert_string_equal(config_text(&config, CONFIG_KEY_FILE), "it is: \"here\"");
	assert_string_equal(config_text(&config, CONFIG_POSTGRES), "host=x password=a#b");
	assert_string_equal(config_text(&config, CONFIG_REDIS), "");
	assert_refused("socket: \"/run/x\n", "skepd.yaml:1", "the quote is not closed");
	assert_refused("socket: \"/run/x\" y\n", "skepd.yaml:1",
		"something stands behind the closing quote");
	assert_refused("socket: \"/run/x\"# y\n", "skepd.yaml:1",
		"something stands behind the closing quote");
}

static void all_errors_at_once_but_not_without_end(void **state)
{
	(void)state;
	assert_false(read_all("job_slots: x\nnonsense: 1\nhold: y\n", NULL, NULL));
	assert_int_equal(errors.len, 3);
	assert_string_equal(errors.items[2].where, "skepd.yaml:3");
	struct buf many = {0};
	for (int i = 0; i < 1000; i++)
		buf_adds(&many, "nonsense: 1\n");
	assert_false(read_all(many.ptr, NULL, NULL));
	assert_in_range(errors.len, 10, 100);
	buf_finish(&many);
}

static void later_sources_win(void **state)
{
	static const char *const env[] = {"PATH=/bin", "SKEP_JOB_SLOTS=5", "SKEP_HOLD=2s",
		"SKEP_TOKEN=theirs", "SKEP_=x", "SKEPJOB_LEASE=1h", NULL};
	static const char *const flags[] = {"--hold=3s", "--job-lease", "20s", "--migrate", NULL};
	(void)state;
	assert_true(
		read_all("job_slots: 4\nhold: 1s\nstall_limit: 9s\nmigrate: false\n", env, flags));
	assert_int_equal(config_number(&config, CONFIG_STALL_LIMIT), 9000);
	assert_string_equal(config.values[CONFIG_STALL_LIMIT].from, "skepd.yaml:3");
	assert_int_equal(config_number(&config, CONFIG_JOB_SLOTS), 5);
	assert_string_equal(config.values[CONFIG_JOB_SLOTS].from, "SKEP_JOB_SLOTS");
	assert_int_equal(config_number(&config, CONFIG_HOLD), 3000);
	assert_string_equal(config.values[CONFIG_HOLD].from, "--hold");
	assert_int_equal(config_number(&config, CONFIG_JOB_LEASE), 20000);
	assert_int_equal(config_number(&config, CONFIG_MIGRATE), 1);
}

static void flags_that_are_wrong(void **state)
{
	static const char *const unknown[] = {"--nonsense=1", NULL},
				 *const bare[] = {"hold=1s", NULL},
				 *const empty[] = {"--hold", NULL},
				 *const bad[] = {"--job_slots=x", NULL};
	(void)state;
	assert_false(read_all(NULL, NULL, unknown));
	assert_string_equal(errors.items[0].where, "--nonsense=1");
	assert_false(read_all(NULL, NULL, bare));
	assert_false(read_all(NULL, NULL, empty));
	assert_string_equal(errors.items[0].message, "needs a value");
	assert_false(read_all(NULL, NULL, bad));
	assert_string_equal(errors.items[0].where, "--job_slots");
}

static void passwords_are_not_shown(void **state)
{
	static const char *const env[] = {"SKEP_REDIS=redis://:sesame@127.0.0.1:1", NULL};
	(void)state;
	assert_true(read_all("postgres: host=x password=sesame\n", env, NULL));
	char *text = printed(NULL);
	assert_null(strstr(text, "sesame"));
	assert_non_null(strstr(text, "postgres: \"***\" # skepd.yaml:1\n"));
	assert_non_null(strstr(text, "redis: \"***\" # SKEP_REDIS\n"));
	assert_non_null(strstr(text, "listen: \"127.0.0.1:7700\" # default\n"));
	assert_false(read_all("redis: http://:sesame@x\n", NULL, NULL));
	assert_null(strstr(errors.items[0].message, "sesame"));
}

static void help_names_every_option(void **state)
{
	(void)state;
	char *text = printed(config_print_help);
	for (int i = 0; i < CONFIG_COUNT; i++)
		assert_non_null(strstr(
			text, arena_fmt(arena, "\n  %s ", config_key((enum config_option)i))));
	assert_non_null(strstr(text, "changes on SIGHUP"));
	assert_true(config_is_live(CONFIG_LOG_LEVEL));
	assert_false(config_is_live(CONFIG_LISTEN));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static void several_listeners(void **state)
{
	struct arena *a = arena_create();
	struct str list = STR("127.0.0.1:7700, tls://[::]:7701 ,tcp://10.0.0.1:0");
	const struct config_listen expected[] = {{"127.0.0.1", 7700, CONFIG_TLS_OPTIONAL},
		{"::", 7701, CONFIG_TLS_REQUIRED}, {"10.0.0.1", 0, CONFIG_TLS_OFF}};
	struct config_listen one;
	bool bad;
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_true(config_next_listen(a, &list, &one, &bad));
		assert_string_equal(one.host, expected[i].host);
		assert_int_equal(one.port, expected[i].port);
		assert_int_equal(one.tls, expected[i].tls);
	}
	assert_false(config_next_listen(a, &list, &one, &bad));
	assert_false(bad);
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_listeners),
		TEST(defaults_are_complete_and_in_their_own_bounds),
		TEST(every_type),
		TEST(booleans_in_their_forms),
		TEST(bounds_are_inclusive),
		TEST(wrong_types),
		TEST(a_value_that_is_refused_leaves_the_one_before),
		TEST(unknown_and_doubled_keys),
		TEST(lines_that_are_no_options),
		TEST(quotes_and_comments),
		TEST(all_errors_at_once_but_not_without_end),
		TEST(later_sources_win),
		TEST(flags_that_are_wrong),
		TEST(passwords_are_not_shown),
		TEST(help_names_every_option),
	};
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
