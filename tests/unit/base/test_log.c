#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/json.h"

/* A socket of packets on stderr's place: each write(2) is one packet. */
static int saved_stderr, reader;
static char line[65536];

static int redirect(void **state)
{
	(void)state;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	reader = pair[0];
	saved_stderr = dup(STDERR_FILENO);
	dup2(pair[1], STDERR_FILENO);
	close(pair[1]);
	return 0;
}

static int restore(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(reader);
	log_configure(LOG_INFO, LOG_KEY_VALUE);
	return 0;
}

/* The next line without its newline; NULL when nothing was written. */
static char *next_line(void)
{
	ssize_t n = recv(reader, line, sizeof(line) - 1, 0);
	if (n < 0)
		return NULL;
	assert_true(n > 0);
	line[n] = '\0';
	assert_int_equal(line[n - 1], '\n');
	line[n - 1] = '\0';
	assert_null(strchr(line, '\n'));
	return line;
}

/* What stands behind the time stamp. */
static char *rest_of_line(void)
{
	char *text = next_line();
	assert_non_null(text);
	assert_memory_equal(text, "ts=", 3);
	char *space = strchr(text, ' ');
	assert_non_null(space);
	return space + 1;
}

static void key_value_lines(void **state)
{
	(void)state;
	log_info("job ended", "job", "42", "state", "failed", NULL);
	assert_string_equal(rest_of_line(), "level=info msg=\"job ended\" job=42 state=failed");
	log_error("x", NULL);
	assert_string_equal(rest_of_line(), "level=error msg=\"x\"");
	log_warn("x", "token", LOG_SECRET, NULL);
	assert_string_equal(rest_of_line(), "level=warn msg=\"x\" token=***");
	assert_null(next_line());
}

static void stamp_is_rfc3339_with_ms(void **state)
{
	(void)state;
	const struct clock *c = clock_system();
	int64_t before = c->wall_us(c);
	log_info("x", NULL);
	int64_t after = c->wall_us(c);
	char *text = next_line();
	char *end = strchr(text, ' ');
	assert_non_null(end);
	*end = '\0';
	assert_int_equal(strlen(text), strlen("ts=2026-03-01T12:00:00.123Z"));
	int64_t stamp = time_parse(text + 3);
	assert_true(stamp >= before / 1000 * 1000 && stamp <= after);
}

static void quotes_only_when_needed(void **state)
{
	(void)state;
	log_info("m", "a", "", "b", "two words", "c", "k=v", "d", "say \"hi\"", "e", "C:\\x", "f",
		"grün/€:1,2", NULL);
	assert_string_equal(rest_of_line(),
		"level=info msg=\"m\" a=\"\" b=\"two words\" c=\"k=v\" d=\"say \\\"hi\\\"\" "
		"e=\"C:\\\\x\" f=grün/€:1,2");
}

static void terminal_never_obeys(void **state)
{
	(void)state;
	log_info("a\nb", "tab", "1\t2\r", "esc", "\x1b[31m\x07\x7f", "c1", "\xc2\x9b", "bidi",
		"\u202e\u2066\u200f", "line", "\u2028", "bad", "x\xff\xc3", NULL);
	assert_string_equal(rest_of_line(),
		"level=info msg=\"a\\nb\" tab=\"1\\t2\\r\" esc=\"\\u001b[31m\\u0007\\u007f\" "
		"c1=\"\\u009b\" bidi=\"\\u202e\\u2066\\u200f\" line=\"\\u2028\" bad=x\ufffd\ufffd");
	log_info("m", "evil\nkey", "v", NULL);
	assert_string_equal(rest_of_line(), "level=info msg=\"m\" \"evil\\nkey\"=v");
}

static void json_lines_parse(void **state)
{
	(void)state;
	log_configure(LOG_INFO, LOG_JSON);
	log_info("a \"b\"\n", "path", "C:\\x", "esc", "\x1b\x01", "bad", "\xff", "n", "7", NULL);
	json_t *j = NULL;
	struct status st = json_parse(str_of(next_line()), &j);
	assert_true(status_is_ok(&st));
	assert_string_equal(json_text(j, "level", ""), "info");
	assert_string_equal(json_text(j, "msg", ""), "a \"b\"\n");
	assert_string_equal(json_text(j, "path", ""), "C:\\x");
	assert_string_equal(json_text(j, "esc", ""), "\x1b\x01");
	assert_string_equal(json_text(j, "bad", ""), "\ufffd");
	assert_string_equal(json_text(j, "n", ""), "7");
	assert_true(time_parse(json_text(j, "ts", "")) > 0);
	assert_null(strchr(line, '\x1b'));
	json_decref(j);
	log_configure(LOG_INFO, LOG_KEY_VALUE);
}

static void levels_filter(void **state)
{
	(void)state;
	log_debug("x", NULL);
	assert_null(next_line());
	log_configure(LOG_DEBUG, LOG_KEY_VALUE);
	log_debug("x", NULL);
	assert_non_null(next_line());
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	log_warn("x", NULL);
	assert_null(next_line());
	log_error("x", NULL);
	assert_non_null(next_line());
	log_configure(LOG_INFO, LOG_KEY_VALUE);
}

static void level_names(void **state)
{
	(void)state;
	enum log_level level = LOG_ERROR;
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_DEBUG);
	assert_true(log_level_parse("info", &level));
	assert_int_equal(level, LOG_INFO);
	assert_true(log_level_parse("warn", &level));
	assert_int_equal(level, LOG_WARN);
	assert_true(log_level_parse("error", &level));
	assert_int_equal(level, LOG_ERROR);
	assert_false(log_level_parse("INFO", &level));
	assert_false(log_level_parse("", &level));
	assert_false(log_level_parse(NULL, &level));
	assert_int_equal(level, LOG_ERROR);
}

static void null_value_ends_the_line(void **state)
{
	(void)state;
	const char *none = NULL;
	log_info("x", "image", none, "never", "read", NULL);
	assert_string_equal(rest_of_line(), "level=info msg=\"x\" image=\"\"");
}

static void long_values_are_cut(void **state)
{
	(void)state;
	static char text[20000];
	memset(text, 'x', sizeof(text) - 1);
	log_info("m", "big", text, "next", "y", NULL);
	char *rest = rest_of_line();
	char *value = strstr(rest, "big=");
	assert_non_null(value);
	assert_int_equal(strspn(value + 4, "x"), 8192);
	assert_string_equal(value + 4 + 8192, "… next=y");
}

static void survives_a_full_reader(void **state)
{
	(void)state;
	for (int i = 0; i < 5000; i++) { /* nobody reads: the socket fills */
		errno = ENOENT;
		log_info("x", NULL);
		assert_int_equal(errno, ENOENT);
	}
	while (next_line())
		;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(key_value_lines, redirect, restore),
		cmocka_unit_test_setup_teardown(stamp_is_rfc3339_with_ms, redirect, restore),
		cmocka_unit_test_setup_teardown(quotes_only_when_needed, redirect, restore),
		cmocka_unit_test_setup_teardown(terminal_never_obeys, redirect, restore),
		cmocka_unit_test_setup_teardown(json_lines_parse, redirect, restore),
		cmocka_unit_test_setup_teardown(levels_filter, redirect, restore),
		cmocka_unit_test(level_names),
		cmocka_unit_test_setup_teardown(null_value_ends_the_line, redirect, restore),
		cmocka_unit_test_setup_teardown(long_values_are_cut, redirect, restore),
		cmocka_unit_test_setup_teardown(survives_a_full_reader, redirect, restore),
	};
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
