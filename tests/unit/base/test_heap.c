#include "base/heap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "death.h"

static void leaves_in_order_of_key_then_insertion(void **state)
{
	(void)state;
	struct heap h;
	struct heap_node n[6] = {{0}};
	const uint64_t keys[6] = {5, 1, UINT64_MAX, 1, 0, 5};
	const int order[6] = {4, 1, 3, 0, 5, 2};
	heap_init(&h);
	assert_null(heap_min(&h));
	for (int i = 0; i < 6; i++)
		heap_insert(&h, &n[i], keys[i]);
	for (int i = 0; i < 6; i++) {
		struct heap_node *min = heap_min(&h);
		assert_ptr_equal(min, &n[order[i]]);
		assert_true(heap_contains(min));
		heap_remove(&h, min);
		assert_false(heap_contains(min));
		heap_remove(&h, min); /* nothing happens */
	}
	assert_null(heap_min(&h));
	heap_finish(&h);
}

static void finish_lets_nodes_go(void **state)
{
	(void)state;
	struct heap h;
	struct heap_node n = {0};
	heap_init(&h);
	heap_insert(&h, &n, 1);
	heap_finish(&h);
	assert_false(heap_contains(&n));
	heap_insert(&h, &n, 2);
	assert_ptr_equal(heap_min(&h), &n);
	heap_finish(&h);
}

static void check_shape(const struct heap *h)
{
	for (size_t i = 0; i < h->len; i++) {
		assert_int_equal(h->nodes[i]->at, i + 1);
		if (i > 0)
			assert_true(h->nodes[(i - 1) / 2]->key <= h->nodes[i]->key);
	}
}

static void keeps_its_shape_under_random_use(void **state)
{
	(void)state;
	struct heap h;
	struct heap_node n[300] = {{0}};
	unsigned dice = 7;
	heap_init(&h);
	for (int round = 0; round < 20000; round++) {
		dice = dice * 1103515245 + 12345;
		struct heap_node *node = &n[(dice >> 8) % 300];
		if (heap_contains(node))
			heap_remove(&h, node); /* from the middle */
		else
			heap_insert(&h, node, (dice >> 16) % 50);
		if (round % 50 == 0)
			check_shape(&h);
	}
	uint64_t last_key = 0, last_order = 0;
	for (struct heap_node *min; (min = heap_min(&h));) {
		assert_true(min->key >= last_key);
		if (min->key == last_key && last_order)
			assert_true(min->order > last_order);
		last_key = min->key;
		last_order = min->order;
		heap_remove(&h, min);
		check_shape(&h);
	}
	heap_finish(&h);
}

static void insert_twice(void)
{
	struct heap h;
	struct heap_node n = {0};
	heap_init(&h);
	heap_insert(&h, &n, 1);
	heap_insert(&h, &n, 2);
}

static void inserting_twice_aborts(void **state)
{
	(void)state;
	assert_true(aborts(insert_twice));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_in_order_of_key_then_insertion),
		cmocka_unit_test(finish_lets_nodes_go),
		cmocka_unit_test(keeps_its_shape_under_random_use),
		cmocka_unit_test(inserting_twice_aborts),
	};
	return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
