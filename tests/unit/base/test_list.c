#include "base/list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

struct item {
	int number;
	struct list node;
};

static void assert_numbers(struct list *head, const int *numbers, int n)
{
	int i = 0;
	list_for_each(head, at)
	{
		assert_true(i < n);
		assert_int_equal(container_of(at, struct item, node)->number, numbers[i]);
		assert_ptr_equal(at->next->prev, at);
		i++;
	}
	assert_int_equal(i, n);
}

static void pushes_and_pops(void **state)
{
	(void)state;
	struct list head;
	struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_pop(&head));
	list_push(&head, &items[1].node);
	list_push(&head, &items[2].node);
	list_push_front(&head, &items[0].node);
	assert_numbers(&head, (int[]){1, 2, 3}, 3);
	assert_ptr_equal(list_pop(&head), &items[0].node);
	list_remove(&items[0].node); /* again: nothing happens */
	list_remove(&items[2].node);
	assert_numbers(&head, (int[]){2}, 1);
}

static void moves_all(void **state)
{
	(void)state;
	struct list from, to;
	struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
	list_init(&from);
	list_init(&to);
	list_move_all(&to, &from); /* nothing to move */
	assert_true(list_empty(&to));
	list_push(&to, &items[0].node);
	list_push(&from, &items[1].node);
	list_push(&from, &items[2].node);
	list_move_all(&to, &from);
	assert_true(list_empty(&from));
	assert_numbers(&to, (int[]){1, 2, 3}, 3);
	list_move_all(&from, &to);
	assert_numbers(&from, (int[]){1, 2, 3}, 3);
}

static void current_node_may_go(void **state)
{
	(void)state;
	struct list head;
	struct item items[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
	list_init(&head);
	for (int i = 0; i < 4; i++)
		list_push(&head, &items[i].node);
	list_for_each(&head, at)
	{
		if (container_of(at, struct item, node)->number % 2 == 0)
			list_remove(at);
	}
	assert_numbers(&head, (int[]){1, 3}, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pushes_and_pops),
		cmocka_unit_test(moves_all),
		cmocka_unit_test(current_node_may_go),
	};
	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
