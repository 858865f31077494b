/* Redis URLs, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/arena.h"
#include "redis/url.h"

static void same(const char *text, const char *a, const char *b)
{
	if ((a == NULL) != (b == NULL) || (a && strcmp(a, b) != 0))
		fail_msg("%s: \"%s\", expected \"%s\"", text, a ? a : "(null)", b ? b : "(null)");
}

static void test_good(void **state)
{
	static const struct {
		const char *text, *path, *host;
		int port;
		const char *user, *password;
		int db;
	} rows[] = {
		{"redis://localhost", NULL, "localhost", 6379, NULL, NULL, 0},
		{"redis://10.0.0.1:7000", NULL, "10.0.0.1", 7000, NULL, NULL, 0},
		{"redis://[::1]:7000/3", NULL, "::1", 7000, NULL, NULL, 3},
		{"redis://[::1]", NULL, "::1", 6379, NULL, NULL, 0},
		{"redis://h/", NULL, "h", 6379, NULL, NULL, 0},
		{"redis://:secret@h:1/15", NULL, "h", 1, NULL, "secret", 15},
		{"redis://bob:p%40ss%2Fw@h", NULL, "h", 6379, "bob", "p@ss/w", 0},
		{"redis://:a:b@c@h", NULL, "h", 6379, NULL, "a:b@c", 0},
		{"redis://:@h", NULL, "h", 6379, NULL, NULL, 0},
		{"unix:///run/redis.sock", "/run/redis.sock", NULL, 0, NULL, NULL, 0},
		{"unix:///run/my%20redis?db=2", "/run/my redis", NULL, 0, NULL, NULL, 2},
		{"unix://u:pw@/run/a@b", "/run/a@b", NULL, 0, "u", "pw", 0},
	};
	(void)state;
	struct arena *a = arena_create();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct redis_url u;
		struct status st = redis_url_parse(a, rows[i].text, &u);
		if (!status_is_ok(&st))
			fail_msg("%s: %s", rows[i].text, st.message);
		same(rows[i].text, u.path, rows[i].path);
		same(rows[i].text, u.host, rows[i].host);
		same(rows[i].text, u.user, rows[i].user);
		same(rows[i].text, u.password, rows[i].password);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.db, rows[i].db);
	}
	arena_destroy(a);
}

static void test_bad(void **state)
{
	static const char *const rows[][2] = {
		{NULL, "must begin with"},
		{"", "must begin with"},
		{"localhost:6379", "must begin with"},
		{"http://h", "must begin with"},
		{"rediss://h", "TLS"},
		{"redis://", "names no host"},
		{"redis://:6379", "names no host"},
		{"redis://h:", "port \"\""},
		{"redis://h:0", "port \"0\""},
		{"redis://h:65536", "port \"65536\""},
		{"redis://h:6379x", "port \"6379x\""},
		{"redis://h/one", "database \"one\""},
		{"redis://h/-1", "database \"-1\""},
		{"redis://[::1", "lacks its ]"},
		{"redis://[::1]x", "lacks its ]"},
		{"redis://TOPSECRET@h", "user without a password"},
		{"redis://:TOPSECRET%4@h", "password in the Redis URL has a bad"},
		{"redis://:TOPSECRET%zz@h", "password in the Redis URL has a bad"},
		{"redis://:TOPSECRET%00@h", "password in the Redis URL has a bad"},
		{"redis://%:TOPSECRET@h", "user in the Redis URL has a bad"},
		{"unix://relative", "not absolute"},
		{"unix:///", "not absolute"},
		{"unix:///a%", "path in the Redis URL has a bad"},
		{"unix:///a?database=1", "?db=n"},
		{"unix:///a?db=x", "database \"x\""},
		{"unix:///"
		 "012345678901234567890123456789012345678901234567890123456789012345678901234567890"
		 "1234567890123456789"
		 "01234567",
			"longer than 107"},
	};
	(void)state;
	struct arena *a = arena_create();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct redis_url u;
		struct status st = redis_url_parse(a, rows[i][0], &u);
		if (st.code != ST_INVALID_ARGUMENT || !strstr(st.message, rows[i][1]) ||
			strstr(st.message, "TOPSECRET"))
			fail_msg("%s: \"%s\", expected \"%s\"", rows[i][0], st.message, rows[i][1]);
	}
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
