/* How many jobs are claimed beyond the places, by how long those of their kind took. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "jobs/ahead.h"

static void ran(struct ahead *a, enum job_kind kind, unsigned times, uint64_t ms)
{
	for (unsigned i = 0; i < times; i++)
		ahead_ran(a, kind, ms);
}

static void none_of_a_kind_that_is_not_known(void **state)
{
	struct ahead a;
	(void)state;
	ahead_init(&a);
	assert_int_equal(ahead_of(&a, 50), 0);
	ran(&a, JOB_SCALE, 10, 0);
	assert_int_equal(ahead_of(&a, 50), 0);
	assert_false(ahead_is_quick(&a, JOB_SCALE));
}

static void three_times_the_places_of_the_quickest(void **state)
{
	struct ahead a;
	(void)state;
	ahead_init(&a);
	ran(&a, JOB_SCALE, 50, 0);
	assert_true(ahead_is_quick(&a, JOB_SCALE));
	assert_false(ahead_is_quick(&a, JOB_DEPLOY));
	assert_int_equal(ahead_of(&a, 1), 3);
	assert_int_equal(ahead_of(&a, 50), 150);
	assert_int_equal(ahead_of(&a, 1000), AHEAD_MOST);
}

/* What waits is run within AHEAD_MS. */
static void the_slower_the_fewer(void **state)
{
	(void)state;
	for (unsigned ms = 1; ms <= AHEAD_MS; ms++) {
		struct ahead a;
		ahead_init(&a);
		ran(&a, JOB_SCALE, 100, ms);
		unsigned n = ahead_of(&a, 10);
		assert_in_range(n, ms <= 2 ? 30 : 10 * AHEAD_MS / ms, 10 * AHEAD_MS / ms);
		/* The slowest of the quick kinds counts. */
		ran(&a, JOB_RESTART, 100, 0);
		assert_int_equal(ahead_of(&a, 10), n);
	}
}

static void one_slow_run_ends_it(void **state)
{
	struct ahead a;
	(void)state;
	ahead_init(&a);
	ran(&a, JOB_SCALE, 1000, 0);
	ahead_ran(&a, JOB_SCALE, AHEAD_MS + 1);
	assert_int_equal(ahead_of(&a, 50), 0);
	ran(&a, JOB_SCALE, 100, 0);
	assert_int_equal(ahead_of(&a, 50), 150);
	ahead_ran(&a, JOB_SCALE, UINT64_MAX);
	ran(&a, JOB_SCALE, 30, 0);
	assert_int_equal(ahead_of(&a, 50), 0);
	ran(&a, JOB_SCALE, 30, 0);
	assert_in_range(ahead_of(&a, 50), 50, 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_of_a_kind_that_is_not_known),
		cmocka_unit_test(three_times_the_places_of_the_quickest),
		cmocka_unit_test(the_slower_the_fewer),
		cmocka_unit_test(one_slow_run_ends_it),
	};
	return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
