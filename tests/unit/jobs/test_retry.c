#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/rng.h"
#include "jobs/kinds.h"
#include "jobs/retry.h"

static void what_may_pass_by_itself(void **state)
{
	(void)state;
	for (int code = 0; code <= ST_CODE_MAX; code++) {
		bool transient = code == ST_UNAVAILABLE || code == ST_ABORTED ||
				 code == ST_RESOURCE_EXHAUSTED;
		assert_int_equal(retry_is_transient((enum st_code)code), transient);
	}
}

/* A quarter less to a quarter more, and both ends are reached. */
static void assert_around(const struct job_rule *rule, int attempt, uint64_t ms)
{
	uint64_t low = UINT64_MAX, high = 0;
	for (int i = 0; i < 5000; i++) {
		uint64_t delay = retry_delay_ms(rule, attempt, rng_system());
		low = delay < low ? delay : low;
		high = delay > high ? delay : high;
	}
	assert_in_range(low, ms * 3 / 4, ms * 3 / 4 + ms / 100);
	assert_in_range(high, ms * 5 / 4 - ms / 100, ms * 5 / 4);
}

static void the_delay_doubles_up_to_a_minute(void **state)
{
	(void)state;
	const struct job_rule *rule = job_rule_of(JOB_DEPLOY);
	assert_around(rule, 1, 1000);
	assert_around(rule, 2, 2000);
	assert_around(rule, 3, 4000);
	assert_around(rule, 6, 32000);
	assert_around(rule, 7, 60000);
	assert_around(rule, 1000000, 60000);
	assert_around(rule, 0, 1000);
	assert_around(rule, -5, 1000);
	assert_around(job_rule_of(JOB_RENEW_CERTIFICATE), 2, 120000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_pass_by_itself),
		cmocka_unit_test(the_delay_doubles_up_to_a_minute),
	};
	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
