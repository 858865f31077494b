#include "base/map.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "death.h"

static int values[4096];

static void puts_gets_removes(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	assert_null(map_gets(&m, "a"));
	assert_null(map_removes(&m, "a"));
	assert_null(map_puts(&m, "a", &values[1]));
	assert_ptr_equal(map_puts(&m, "a", &values[2]), &values[1]);
	assert_int_equal(map_len(&m), 1);
	assert_ptr_equal(map_gets(&m, "a"), &values[2]);
	assert_null(map_gets(&m, "b"));
	assert_ptr_equal(map_removes(&m, "a"), &values[2]);
	assert_null(map_gets(&m, "a"));
	assert_int_equal(map_len(&m), 0);
	map_finish(&m);
	assert_null(map_gets(&m, "a")); /* empty again, and usable */
	map_puts(&m, "a", &values[1]);
	map_finish(&m);
}

static void keys_are_bytes_and_copied(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	char key[] = "x\0y";
	map_put(&m, str_make(key, 3), &values[1]);
	map_put(&m, str_make(key, 1), &values[2]);
	map_put(&m, (struct str){NULL, 0}, &values[3]);
	key[0] = '?';
	assert_ptr_equal(map_get(&m, str_make("x\0y", 3)), &values[1]);
	assert_ptr_equal(map_gets(&m, "x"), &values[2]);
	assert_ptr_equal(map_gets(&m, ""), &values[3]);
	assert_ptr_equal(map_removes(&m, ""), &values[3]);
	map_finish(&m);
}

static const char *name(size_t i, char text[32])
{
	snprintf(text, 32, "name-%zu", i);
	return text;
}

/* Against an array as the model: many puts and removes, then the order of what is left. */
static void agrees_with_a_model(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	bool there[1000] = {0};
	unsigned dice = 12345;
	char text[32];
	size_t len = 0;
	for (int round = 0; round < 50000; round++) {
		dice = dice * 1103515245 + 12345;
		size_t i = (dice >> 8) % 1000;
		/* waves, so that the table grows and shrinks */
		bool put = (dice >> 20) % 100 < (round / 10000 % 2 ? 10u : 90u);
		void *want = there[i] ? &values[i] : NULL;
		assert_ptr_equal(map_gets(&m, name(i, text)), want);
		if (put)
			assert_ptr_equal(map_puts(&m, name(i, text), &values[i]), want);
		else
			assert_ptr_equal(map_removes(&m, name(i, text)), want);
		len += put && !want;
		len -= !put && want;
		there[i] = put;
		assert_int_equal(map_len(&m), len);
	}
	size_t seen = 0;
	void *value;
	struct str key;
	for (size_t it = 0; map_next(&m, &it, &key, &value); seen++) {
		size_t i = (size_t)((int *)value - values);
		assert_true(there[i]);
		assert_true(str_is(key, name(i, text)));
	}
	assert_int_equal(seen, len);
	map_finish(&m);
}

static void iterates_in_order_of_insertion(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	char text[32];
	for (size_t i = 0; i < 200; i++)
		map_puts(&m, name(i, text), &values[i]);
	map_puts(&m, "name-5", &values[5]); /* replaced: keeps its place */
	map_removes(&m, "name-7");
	map_puts(&m, "name-7", &values[7]); /* put anew: goes to the end */
	size_t want = 0, it = 0;
	for (void *value; map_next(&m, &it, NULL, &value);) {
		if (want == 7)
			want++;
		assert_ptr_equal(value, &values[want == 200 ? 7 : want]);
		want++;
	}
	assert_int_equal(want, 201);
	map_finish(&m);
}

static void current_entry_may_go(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	char text[32];
	for (size_t i = 0; i < 100; i++)
		map_puts(&m, name(i, text), &values[i]);
	size_t seen = 0, it = 0;
	struct str key;
	while (map_next(&m, &it, &key, NULL)) {
		if (seen++ % 2)
			assert_non_null(map_remove(&m, key));
	}
	assert_int_equal(seen, 100);
	assert_int_equal(map_len(&m), 50);
	it = 0;
	while (map_next(&m, &it, &key, NULL))
		map_remove(&m, key);
	assert_int_equal(map_len(&m), 0);
	map_finish(&m);
}

static void memory_follows_what_is_in_use(void **state)
{
	(void)state;
	struct map m;
	map_init(&m);
	char text[32];
	for (size_t i = 0; i < 100000; i++) { /* a queue of ten */
		map_puts(&m, name(i, text), &values[0]);
		if (i >= 10)
			assert_non_null(map_removes(&m, name(i - 10, text)));
	}
	assert_int_equal(map_len(&m), 10);
	assert_true(m.cap <= 64);
	map_finish(&m);
}

/* Key 00 01 … 0f, texts 00 01 … (n-1); from an independent implementation that was checked with the
 * vector of the SipHash paper (2-4). */
static void siphash_vectors(void **state)
{
	(void)state;
	const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
	char text[16];
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	assert_int_equal(map_siphash13(key, str_make(text, 0)), 0xabac0158050fc4dcu);
	assert_int_equal(map_siphash13(key, str_make(text, 1)), 0xc9f49bf37d57ca93u);
	assert_int_equal(map_siphash13(key, str_make(text, 7)), 0xd3927d989bb11140u);
	assert_int_equal(map_siphash13(key, str_make(text, 8)), 0x369095118d299a8eu);
	assert_int_equal(map_siphash13(key, str_make(text, 15)), 0xd320d86d2a519956u);
}

static void put_null(void)
{
	struct map m;
	map_init(&m);
	map_puts(&m, "a", NULL);
}

static void null_value_aborts(void **state)
{
	(void)state;
	assert_true(aborts(put_null));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_gets_removes),
		cmocka_unit_test(keys_are_bytes_and_copied),
		cmocka_unit_test(agrees_with_a_model),
		cmocka_unit_test(iterates_in_order_of_insertion),
		cmocka_unit_test(current_entry_may_go),
		cmocka_unit_test(memory_follows_what_is_in_use),
		cmocka_unit_test(siphash_vectors),
		cmocka_unit_test(null_value_aborts),
	};
	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
