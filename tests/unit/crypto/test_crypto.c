#include "crypto/crypto.h"
#include "base/arena.h"
#include "scratch.h"

#define KEYS                                                                                       \
	"main 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"                  \
	"old 1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100\n"
#define PLACE STR("deployments/1/texts")
#define HEAD  6 /* version, length, "main" */

static struct keyring *load(const struct scratch *s, const char *keys)
{
	struct keyring *k = NULL;
	scratch_write(s, keys, strlen(keys), 0600);
	struct status st = keyring_load(s->path, &k);
	assert_true(status_is_ok(&st));
	return k;
}

static void sha256_vectors(void **state)
{
	(void)state;
	unsigned char digest[SHA256_LEN];
	struct arena *a = arena_create();
	crypto_sha256(STR("abc"), digest);
	assert_string_equal(str_hex(a, digest, sizeof(digest)),
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypto_sha256((struct str){NULL, 0}, digest);
	assert_string_equal(str_hex(a, digest, sizeof(digest)),
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	arena_destroy(a);
}

static void equal_compares_all_bytes(void **state)
{
	(void)state;
	assert_true(crypto_equal("abc", "abc", 3));
	assert_false(crypto_equal("abc", "abd", 3));
	assert_false(crypto_equal("xbc", "abc", 3));
	assert_true(crypto_equal("abc", "abd", 2));
	assert_true(crypto_equal("a", "b", 0));
}

static void opens_what_it_sealed(void **state)
{
	struct keyring *k = load(*state, KEYS);
	for (size_t len = 0; len < 5000; len = len * 2 + 1) {
		struct buf text = {0}, sealed = {0}, plain = {0};
		for (size_t i = 0; i < len; i++)
			buf_addc(&text, (char)i);
		buf_adds(&sealed, "kept");
		buf_adds(&plain, "kept");
		crypto_seal(k, PLACE, buf_str(&text), &sealed);
		assert_int_equal(sealed.len, 4 + HEAD + 12 + len + 16);
		struct str bytes = {sealed.ptr + 4, sealed.len - 4};
		struct status st = crypto_open(k, PLACE, bytes, &plain);
		assert_true(status_is_ok(&st));
		assert_int_equal(plain.len, 4 + len);
		assert_memory_equal(plain.ptr, "kept", 4);
		assert_true(str_eq(str_make(plain.ptr + 4, len), buf_str(&text)));
		assert_int_equal(plain.ptr[plain.len], 0);
		buf_finish(&text);
		buf_finish(&sealed);
		buf_finish(&plain);
	}
	keyring_destroy(k);
}

/* Sealed by another implementation of AES-256-GCM: the layout of the bytes stays. */
static void opens_the_layout_of_record(void **state)
{
	struct keyring *k = load(*state, KEYS);
	struct arena *a = arena_create();
	struct str sealed = {0};
	struct buf plain = {0};
	assert_true(str_unhex(a,
		STR("01046d61696e6465666768696a6b6c6d6e6f3b7eac10108a33ed0442249520ef11c5bc66757941"
		    "f6"
		    "2cf031c04eea"),
		&sealed));
	struct status st = crypto_open(k, PLACE, sealed, &plain);
	assert_true(status_is_ok(&st));
	assert_string_equal(plain.ptr, "services: {}");
	buf_finish(&plain);
	arena_destroy(a);
	keyring_destroy(k);
}

static void never_twice_the_same(void **state)
{
	struct keyring *k = load(*state, KEYS);
	struct buf a = {0}, b = {0};
	crypto_seal(k, PLACE, STR("secret text"), &a);
	crypto_seal(k, PLACE, STR("secret text"), &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.ptr, "\x01\x04main", HEAD);
	assert_memory_not_equal(a.ptr + HEAD, b.ptr + HEAD, 12);
	assert_null(memmem(a.ptr, a.len, "secret", 6));
	buf_finish(&a);
	buf_finish(&b);
	keyring_destroy(k);
}

static void stays_closed(const struct keyring *k, struct str place, struct str sealed)
{
	struct buf plain = {0};
	buf_adds(&plain, "kept");
	struct status st = crypto_open(k, place, sealed, &plain);
	assert_true(st.code == ST_DATA_LOSS || st.code == ST_FAILED_PRECONDITION);
	assert_string_equal(plain.ptr, "kept");
	assert_int_equal(plain.len, 4);
	assert_null(memmem(plain.ptr, plain.cap, "secret", 6)); /* nor behind the end */
	buf_finish(&plain);
}

static void every_changed_byte_shows(void **state)
{
	struct keyring *k = load(*state, KEYS);
	struct buf sealed = {0};
	crypto_seal(k, PLACE, STR("secret text"), &sealed);
	for (size_t i = 0; i < sealed.len; i++) {
		for (int bit = 1; bit < 256; bit <<= 1) {
			sealed.ptr[i] = (char)(sealed.ptr[i] ^ bit);
			stays_closed(k, PLACE, buf_str(&sealed));
			sealed.ptr[i] = (char)(sealed.ptr[i] ^ bit);
		}
	}
	/* copies of the exact size, so that ASan sees overreads */
	for (size_t len = 0; len < sealed.len; len++) {
		char *cut = malloc(len ? len : 1);
		memcpy(cut, sealed.ptr, len);
		stays_closed(k, PLACE, str_make(cut, len));
		free(cut);
	}
	buf_addc(&sealed, 'x');
	stays_closed(k, PLACE, buf_str(&sealed));
	stays_closed(k, PLACE, (struct str){NULL, 0});
	struct buf plain = {0};
	sealed.ptr[0] = 2;
	struct status st = crypto_open(k, PLACE, buf_str(&sealed), &plain);
	assert_int_equal(st.code, ST_DATA_LOSS);
	assert_non_null(strstr(st.message, "version 1"));
	buf_finish(&sealed);
	keyring_destroy(k);
}

static void bound_to_its_place(void **state)
{
	struct keyring *k = load(*state, KEYS);
	struct buf sealed = {0}, plain = {0};
	crypto_seal(k, PLACE, STR("secret text"), &sealed);
	stays_closed(k, STR("deployments/2/texts"), buf_str(&sealed));
	stays_closed(k, STR(""), buf_str(&sealed));
	struct status st = crypto_open(k, STR("deployments/2/texts"), buf_str(&sealed), &plain);
	assert_int_equal(st.code, ST_DATA_LOSS);
	assert_non_null(strstr(st.message, "another place"));
	buf_finish(&sealed);
	crypto_seal(k, STR(""), STR("no place"), &sealed);
	st = crypto_open(k, STR(""), buf_str(&sealed), &plain);
	assert_true(status_is_ok(&st));
	buf_finish(&sealed);
	buf_finish(&plain);
	keyring_destroy(k);
}

static void keys_rotate(void **state)
{
	const struct scratch *s = *state;
	struct keyring *k =
		load(s, "old 1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100\n");
	struct buf sealed = {0}, plain = {0};
	crypto_seal(k, PLACE, STR("secret text"), &sealed);
	keyring_destroy(k);

	k = load(s, KEYS); /* a new first key; the old one still opens */
	struct status st = crypto_open(k, PLACE, buf_str(&sealed), &plain);
	assert_true(status_is_ok(&st));
	assert_string_equal(plain.ptr, "secret text");
	buf_finish(&plain);
	struct buf newer = {0};
	crypto_seal(k, PLACE, STR("secret text"), &newer);
	assert_memory_equal(newer.ptr, "\x01\x04main", HEAD);
	keyring_destroy(k);

	k = load(s, "main 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n");
	st = crypto_open(k, PLACE, buf_str(&sealed), &plain);
	assert_int_equal(st.code, ST_FAILED_PRECONDITION);
	assert_non_null(strstr(st.message, "\"old\""));
	assert_non_null(strstr(st.message, s->path));
	assert_null(plain.ptr);
	/* the same id with another key */
	struct keyring *wrong =
		load(s, "main ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\n");
	stays_closed(wrong, PLACE, buf_str(&newer));
	keyring_destroy(wrong);
	keyring_destroy(k);
	buf_finish(&sealed);
	buf_finish(&newer);
}

#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(equal_compares_all_bytes),
		WITH_SCRATCH(opens_what_it_sealed),
		WITH_SCRATCH(opens_the_layout_of_record),
		WITH_SCRATCH(never_twice_the_same),
		WITH_SCRATCH(every_changed_byte_shows),
		WITH_SCRATCH(bound_to_its_place),
		WITH_SCRATCH(keys_rotate),
	};
	return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
