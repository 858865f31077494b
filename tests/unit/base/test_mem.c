#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "death.h"

static void gives_memory(void **state)
{
	(void)state;
	void *none = mem_alloc(0);
	assert_non_null(none);
	none = mem_realloc(none, 0);
	assert_non_null(none);
	free(none);
	long *zero = mem_new(long);
	assert_int_equal(*zero, 0);
	zero = mem_realloc_array(zero, sizeof(long), 10);
	zero[9] = 1;
	free(zero);
	char *copy = mem_strdup("text");
	assert_string_equal(copy, "text");
	free(copy);
	assert_null(mem_strdup(NULL));
}

static void too_many(void)
{
	free(mem_realloc_array(NULL, SIZE_MAX / 2, 3));
}

/* An address space that is full; not under AddressSanitizer, whose shadow needs it. */
static void too_much(void)
{
	setrlimit(RLIMIT_AS, &(struct rlimit){1 << 28, 1 << 28});
	free(mem_alloc((size_t)1 << 40));
}

static void says_why(void)
{
	mem_abort("on purpose");
}

static void aborts_without_memory(void **state)
{
	(void)state;
	assert_true(aborts(too_many));
	assert_true(aborts(says_why));
#ifdef UNDER_ASAN
	(void)too_much;
#else
	assert_true(aborts(too_much));
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_memory),
		cmocka_unit_test(aborts_without_memory),
	};
	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
