/* auth: secrets, bearer values, what may be given out; the look-up against a table of
 * operations of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "auth/auth.h"
#include "base/arena.h"
#include "db/tokens.h"

static void fill_counting(struct rng *r, void *p, size_t len)
{
	(void)r;
	for (size_t i = 0; i < len; i++)
		((unsigned char *)p)[i] = (unsigned char)(i * 37 + 250);
}

static void a_secret_is_its_bytes_in_base64url(void **state)
{
	struct rng rng = {fill_counting};
	struct arena *a = arena_create();
	unsigned char bytes[32], hash[SHA256_LEN];
	struct auth_secret s;
	(void)state;
	fill_counting(&rng, bytes, sizeof bytes);
	auth_secret_make(&rng, &s);
	assert_int_equal(strlen(s.text), AUTH_SECRET_LEN);
	assert_string_equal(s.text, arena_fmt(a, "skep_%s", str_base64url(a, bytes, sizeof bytes)));
	assert_int_equal(strlen(s.prefix), AUTH_PREFIX_LEN);
	assert_memory_equal(s.prefix, s.text, AUTH_PREFIX_LEN);
	crypto_sha256(str_of(s.text), hash);
	assert_memory_equal(s.hash, hash, sizeof hash);
	auth_secret_wipe(&s);
	for (size_t i = 0; i < sizeof s; i++)
		assert_int_equal(((unsigned char *)&s)[i], 0);
	arena_destroy(a);
}

static void two_secrets_differ(void **state)
{
	struct auth_secret x, y;
	(void)state;
	auth_secret_make(rng_system(), &x);
	auth_secret_make(rng_system(), &y);
	assert_string_not_equal(x.text, y.text);
	assert_memory_not_equal(x.hash, y.hash, sizeof x.hash);
}

static void a_bearer_value_is_hashed(void **state)
{
	struct auth_secret s;
	unsigned char hash[SHA256_LEN];
	char value[128];
	static const struct {
		const char *before, *after;
	} good[] = {{"Bearer ", ""}, {"bearer ", ""}, {"  BEARER   ", " \t"}};
	(void)state;
	auth_secret_make(rng_system(), &s);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		(void)snprintf(value, sizeof value, "%s%s%s", good[i].before, s.text, good[i].after);
		struct status st = auth_bearer_hash(str_of(value), hash);
		assert_int_equal(st.code, ST_OK);
		assert_memory_equal(hash, s.hash, sizeof hash);
	}
}

static void what_is_no_bearer_value_is_refused_without_repeating_it(void **state)
{
	static const char *const bad[] = {"", " ", "Bearer", "Bearer ", "Basic c2VjcmV0",
		"skep_secret", "Bearer secret",
		"Bearer skep_secret", "Bearer SKEP_secretsecretsecretsecretsecretsecretsecret01",
		"Bearer"
		" skep_secretsecretsecretsecretsecretsecretsecret0123", "Bearerskep_secret", "Bear"
		" skep_secret"};
	unsigned char hash[SHA256_LEN];
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct status st = auth_bearer_hash(str_of(bad[i]), hash);
		assert_int_equal(st.code, ST_UNAUTHENTICATED);
		assert_null(strstr(st.message, "secret"));
	}
	struct status st = auth_bearer_hash((struct str){"Bearer \0\0", 9}, hash);
	assert_int_equal(st.code, ST_UNAUTHENTICATED);
}

static void nobody_gives_more_than_he_has(void **state)
{
	struct auth_caller root = {.role = AUTH_ADMIN, .name = "unix:root"};
	struct auth_caller owner = {.role = AUTH_OWNER, .name = "token:o", .project = "demo",
		.project_id = {"0190a3c0-1111-7111-8111-111111111111"}};
	static const struct {
		bool root;
		int role;
		const char *project;
		enum st_code code;
	} cases[] = {
		{true, AUTH_ADMIN, "", ST_OK},
		{true, AUTH_VIEWER, "", ST_OK},
		{true, AUTH_OWNER, "demo", ST_OK},
		{true, AUTH_ADMIN, "demo", ST_INVALID_ARGUMENT},
		{true, 0, "demo", ST_INVALID_ARGUMENT},
		{true, 5, "demo", ST_INVALID_ARGUMENT},
		{true, -1, "demo", ST_INVALID_ARGUMENT},
		{false, AUTH_OWNER, "demo", ST_OK},
		{false, AUTH_VIEWER, "demo", ST_OK},
		{false, AUTH_ADMIN, "demo", ST_PERMISSION_DENIED},
		{false, AUTH_ADMIN, "", ST_PERMISSION_DENIED},
		{false, AUTH_VIEWER, "", ST_PERMISSION_DENIED},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct status st = auth_may_grant(cases[i].root ? &root : &owner,
			(enum auth_role)cases[i].role, cases[i].project);
		assert_int_equal(st.code, cases[i].code);
	}
}

/* ---- the look-up ---- */

struct fake {
	struct db db;
	struct str hash;
	db_token_done done;
	void *data;
};
struct seen {
	int calls;
	struct status st;
	struct auth_caller caller;
};

static struct db_call *fake_authenticate(struct db *db, struct str hash, db_token_done done,
	void *data)
{
	struct fake *f = (struct fake *)db;
	f->hash = hash;
	f->done = done;
	f->data = data;
	return (struct db_call *)f;
}

static void on_caller(void *data, const struct status *st, const struct auth_caller *c)
{
	struct seen *s = data;
	s->calls++;
	s->st = *st;
	assert_int_equal(c != NULL, st->code == ST_OK);
	if (c)
		s->caller = *c;
}

static const struct db_token_ops fake_tokens = {.authenticate = fake_authenticate};

static void a_token_becomes_a_caller(void **state)
{
	struct fake f = {.db = {.tokens = &fake_tokens}};
	struct seen s = {0};
	unsigned char hash[SHA256_LEN] = {1, 2, 3};
	struct db_token t = {.name = "ci", .project_id = "0190a3c0-1111-7111-8111-111111111111",
		.project = "demo", .role = 2};
	struct status ok = status_ok();
	(void)state;
	assert_non_null(auth_authenticate(&f.db, hash, on_caller, &s));
	assert_int_equal(s.calls, 0);
	assert_int_equal(f.hash.len, SHA256_LEN);
	assert_memory_equal(f.hash.ptr, hash, sizeof hash);
	f.done(f.data, &ok, &t);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.caller.role, AUTH_DEPLOYER);
	assert_string_equal(s.caller.name, "token:ci");
	assert_string_equal(s.caller.project_id.text, t.project_id);
	assert_string_equal(s.caller.project, "demo");
}

static void a_failed_look_up_is_passed_on(void **state)
{
	struct fake f = {.db = {.tokens = &fake_tokens}};
	struct seen s = {0};
	unsigned char hash[SHA256_LEN] = {0};
	struct status bad = status_err(ST_UNAVAILABLE, "no database");
	(void)state;
	auth_authenticate(&f.db, hash, on_caller, &s);
	f.done(f.data, &bad, NULL);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.st.code, ST_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_its_bytes_in_base64url),
		cmocka_unit_test(two_secrets_differ),
		cmocka_unit_test(a_bearer_value_is_hashed),
		cmocka_unit_test(what_is_no_bearer_value_is_refused_without_repeating_it),
		cmocka_unit_test(nobody_gives_more_than_he_has),
		cmocka_unit_test(a_token_becomes_a_caller),
		cmocka_unit_test(a_failed_look_up_is_passed_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
