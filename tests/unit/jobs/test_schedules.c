/* schedules: what becomes of one that is due. */
#include "jobs/schedules.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/rng.h"
#include "db/schedules.h"

#define NOW INT64_C(1800000000)

static struct db_schedule due(int64_t late_s, enum schedule_missed missed, enum job_state last)
{
	return (struct db_schedule){.due_us = (NOW - late_s) * 1000000, .missed = missed, .last_job_state = last};
}

static void verdicts(void **state)
{
	static const struct {
		int64_t late_s;
		enum schedule_missed missed;
		enum job_state last;
		enum schedule_verdict verdict;
	} cases[] = {
		{0, SCHEDULE_SKIP, 0, SCHEDULE_RUNS},
		{60, SCHEDULE_SKIP, JOB_SUCCEEDED, SCHEDULE_RUNS},
		{61, SCHEDULE_SKIP, JOB_SUCCEEDED, SCHEDULE_IS_MISSED},
		{61, SCHEDULE_RUN_ONCE, JOB_FAILED, SCHEDULE_RUNS},
		{86400 * 30, SCHEDULE_RUN_ONCE, JOB_CANCELLED, SCHEDULE_RUNS},
		{0, SCHEDULE_SKIP, JOB_PENDING, SCHEDULE_IS_BUSY},
		{0, SCHEDULE_RUN_ONCE, JOB_RUNNING, SCHEDULE_IS_BUSY},
		{86400, SCHEDULE_SKIP, JOB_RUNNING, SCHEDULE_IS_BUSY},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct db_schedule s = due(cases[i].late_s, cases[i].missed, cases[i].last);
		if (schedule_decide(&s, NOW) != cases[i].verdict)
			fail_msg("case %zu", i);
	}
}

static void jitter_stays_within(void **state)
{
	int64_t low = INT64_MAX, high = 0;
	(void)state;
	assert_int_equal(schedule_due_s(NOW, 0, rng_system()), NOW);
	for (int i = 0; i < 1000; i++) {
		int64_t s = schedule_due_s(NOW, 10, rng_system()) - NOW;
		low = s < low ? s : low;
		high = s > high ? s : high;
	}
	assert_int_equal(low, 0);
	assert_int_equal(high, 10);
}

static void who_sees_to_some_goes_on(void **state)
{
	static const struct {
		struct schedule_look look;
		uint64_t ms;
	} cases[] = {
		{{.due_ms = -1}, 30000},
		{{.due_ms = 700}, 700},
		{{.due_ms = 86400000}, 30000},
		{{.seen_to = true, .due_ms = 700}, 700},
		{{.seen_to = true, .more = true, .due_ms = 700}, 0},
		{{.seen_to = true, .more = true, .passed_over = true, .due_ms = -1}, 0},
		{{.seen_to = true, .passed_over = true, .due_ms = -1}, 0},
		{{.more = true, .passed_over = true, .due_ms = -1}, 1000},
		{{.passed_over = true, .due_ms = 5}, 1000},
		{{.failed = true, .seen_to = true, .more = true, .due_ms = 5}, 1000},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (schedule_rest_ms(&cases[i].look) != cases[i].ms)
			fail_msg("case %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(jitter_stays_within),
		cmocka_unit_test(who_sees_to_some_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
