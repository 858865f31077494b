#include "base/arena.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "death.h"

static void allocations_are_aligned_and_apart(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	unsigned char *blocks[500];
	size_t total = 0;
	for (size_t i = 0; i < 500; i++) {
		size_t size = i * 7 % 1500;
		blocks[i] = arena_alloc(a, size);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		memset(blocks[i], (int)(i & 0xff), size);
		total += size;
	}
	for (size_t i = 0; i < 500; i++) {
		for (size_t at = 0; at < i * 7 % 1500; at++)
			assert_int_equal(blocks[i][at], i & 0xff);
	}
	assert_int_equal(arena_used(a), total);
	arena_destroy(a);
	arena_destroy(NULL);
}

static void large_ones_do_not_disturb_small_ones(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	char *before = arena_strdup(a, "before");
	char *large = arena_zalloc(a, 1 << 20);
	char *after = arena_strdup(a, "after");
	for (size_t i = 0; i < 1 << 20; i++)
		assert_int_equal(large[i], 0);
	memset(large, 'x', 1 << 20);
	assert_string_equal(before, "before");
	assert_string_equal(after, "after");
	arena_reset(a);
	large = arena_alloc(a, 1 << 20); /* as the first of all */
	memset(large, 'x', 1 << 20);
	assert_string_equal(arena_strdup(a, "small"), "small");
	arena_destroy(a);
}

static void a_small_one_is_an_arena_too(void **state)
{
	(void)state;
	struct arena *a = arena_create_small();
	for (int round = 0; round < 3; round++) {
		char *first = arena_strdup(a, "first");
		for (size_t i = 0; i < 300; i++)
			memset(arena_alloc(a, i * 3 % 700), 'x', i * 3 % 700);
		assert_string_equal(first, "first");
		arena_reset(a);
		assert_int_equal(arena_used(a), 0);
	}
	arena_destroy(a);
}

static void zeroed_means_zeroed(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	struct pair {
		int x, y;
	};
	memset(arena_alloc(a, 2000), 0xff, 2000);
	arena_reset(a); /* memory comes back dirty */
	struct pair *p = arena_new(a, struct pair);
	assert_int_equal(p->x + p->y, 0);
	struct pair *many = arena_array(a, struct pair, 50);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(many[i].x + many[i].y, 0);
	arena_destroy(a);
}

static void copies_text(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	assert_null(arena_strdup(a, NULL));
	assert_string_equal(arena_strdup(a, ""), "");
	assert_string_equal(arena_strndup(a, "swarm", 2), "sw");
	assert_string_equal(arena_strndup(a, NULL, 0), "");
	assert_memory_equal(arena_memdup(a, "a\0b", 3), "a\0b", 3);
	assert_non_null(arena_memdup(a, NULL, 0));
	assert_string_equal(arena_fmt(a, "%s-%d", "web", 3), "web-3");
	/* around the size of the inner buffer */
	for (int len = 250; len < 262; len++) {
		char *text = arena_fmt(a, "%*d", len, 1);
		assert_int_equal(strlen(text), len);
		assert_int_equal(text[len - 1], '1');
	}
	arena_destroy(a);
}

static void reset_reuses_the_first_chunk(void **state)
{
	(void)state;
	struct arena *a = arena_create();
	void *first = arena_alloc(a, 100);
	arena_alloc(a, 100000);
	arena_reset(a);
	void *again = arena_alloc(a, 100);
#ifdef UNDER_ASAN
	assert_ptr_not_equal(again, first); /* so that a use after the reset shows */
#else
	assert_ptr_equal(again, first);
#endif
	arena_destroy(a);
}

static char order[8];
static void note(void *data)
{
	strncat(order, data, sizeof(order) - strlen(order) - 1);
}

static struct arena *hooked;
static void note_and_add(void *data)
{
	note(data);
	arena_on_free(hooked, note, arena_strdup(hooked, "z"));
}

static void hooks_run_newest_first_while_memory_stands(void **state)
{
	(void)state;
	order[0] = '\0';
	struct arena *a = hooked = arena_create();
	arena_on_free(a, note, arena_strdup(a, "1"));
	arena_on_free(a, note_and_add, arena_strdup(a, "2"));
	arena_on_free(a, note, arena_strdup(a, "3"));
	assert_int_equal(arena_used(a), 6);
	arena_reset(a);
	assert_string_equal(order, "32z1");
	assert_int_equal(arena_used(a), 0);
	arena_reset(a); /* hooks ran once */
	assert_string_equal(order, "32z1");
	arena_on_free(a, note, arena_strdup(a, "4"));
	arena_weigh(a, 1000); /* behind the hooks */
	assert_int_equal(arena_used(a), 1002);
	arena_destroy(a);
	assert_string_equal(order, "32z14");
}

static void overflowing_array(void)
{
	arena_zalloc_array(arena_create(), SIZE_MAX / 2, 3);
}

static void impossible_size(void)
{
	arena_alloc(arena_create(), SIZE_MAX);
}

static void impossible_sizes_abort(void **state)
{
	(void)state;
	assert_true(aborts(overflowing_array));
	assert_true(aborts(impossible_size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_are_aligned_and_apart),
		cmocka_unit_test(large_ones_do_not_disturb_small_ones),
		cmocka_unit_test(a_small_one_is_an_arena_too),
		cmocka_unit_test(zeroed_means_zeroed),
		cmocka_unit_test(copies_text),
		cmocka_unit_test(reset_reuses_the_first_chunk),
		cmocka_unit_test(hooks_run_newest_first_while_memory_stands),
		cmocka_unit_test(impossible_sizes_abort),
	};
	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
