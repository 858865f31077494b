/* entry: a job as bull-board is to see it. */
#include "board/entry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/json.h"

#define NOW INT64_C(1800000000000000)

static struct db_job job(enum job_state state)
{
	return (struct db_job){.id = {"018f4c2e-7d1a-7c3b-9f00-000000000001"}, .project_id = {"018f4c2e-7d1a-7c3b-9f00-00000000000a"},
		.stack_id = {"018f4c2e-7d1a-7c3b-9f00-00000000000b"}, .project = "shop", .stack = "web", .kind = JOB_DEPLOY, .state = state,
		.params = STR("{\"password\":\"sesame\"}"), .attempt = 2, .max_attempts = 3, .percent = 40, .step = "services",
		.message = "sesame", .error = "sesame", .error_code = "FAILED_PRECONDITION", .owner = "d1",
		.failures = STR("[{\"log\":[\"sesame\"]}]"), .release_number = 7, .created_us = NOW - 9000000, .run_us = NOW - 8000000,
		.started_us = NOW - 7000000, .finished_us = NOW - 1000000,
		.attempts = STR("[{\"attempt\":1,\"daemon\":\"d1\",\"step\":\"\",\"error\":\"sesame\",\"error_code\":\"UNAVAILABLE\","
				"\"started_us\":1,\"ended_us\":1799999990000000}]")};
}

/* The whole list as text; the caller frees it. */
static char *text_of(const struct db_job *j)
{
	struct buf b = {0};
	board_entries(&b, &j->id, 1, j, 1, NOW);
	return b.ptr;
}

static json_t *entry_of(const struct db_job *j)
{
	char *text = text_of(j);
	json_t *list;
	struct status st = json_parse(str_of(text), &list);
	assert_int_equal(st.code, ST_OK);
	assert_int_equal(json_array_size(list), 1);
	json_t *one = json_incref(json_array_get(list, 0));
	json_decref(list);
	free(text);
	return one;
}

/* NULL: it is not said. */
static const char *field(const json_t *entry, const char *name)
{
	const json_t *f = json_at(entry, "f");
	for (size_t i = 0; i + 1 < json_array_size(f); i += 2)
		if (strcmp(json_string_value(json_array_get(f, i)), name) == 0)
			return json_string_value(json_array_get(f, i + 1));
	return NULL;
}

static void each_state_has_its_place(void **state)
{
	static const struct {
		enum job_state state;
		int64_t run_us;
		const char *place, *score, *attempts, *failed;
	} cases[] = {
		{JOB_PENDING, NOW, "wait", "7372800000000000", "2", NULL},
		{JOB_PENDING, NOW + 5000000, "delayed", "7372800020480000", "2", NULL},
		{JOB_RUNNING, NOW, "active", "1799999999000", "1", NULL},
		{JOB_SUCCEEDED, NOW, "completed", "1799999999000", "2", NULL},
		{JOB_FAILED, NOW, "failed", "1799999999000", "2",
			"FAILED_PRECONDITION behind step \"services\"; `skep job get 018f4c2e-7d1a-7c3b-9f00-000000000001` tells why"},
		{JOB_CANCELLED, NOW, "failed", "1799999999000", "2",
			"cancelled behind step \"services\"; `skep job get 018f4c2e-7d1a-7c3b-9f00-000000000001` tells why"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct db_job j = job(cases[i].state);
		j.run_us = cases[i].run_us;
		json_t *e = entry_of(&j);
		assert_string_equal(json_text(e, "q", ""), "skep-deploy");
		assert_string_equal(json_text(e, "at", ""), cases[i].place);
		assert_string_equal(json_text(e, "score", ""), cases[i].score);
		assert_string_equal(field(e, "attemptsMade"), cases[i].attempts);
		if (cases[i].failed)
			assert_string_equal(field(e, "failedReason"), cases[i].failed);
		else
			assert_null(field(e, "failedReason"));
		assert_true((field(e, "finishedOn") != NULL) == job_state_is_end(cases[i].state));
		json_decref(e);
	}
}

static void every_field(void **state)
{
	struct db_job j = job(JOB_SUCCEEDED);
	json_t *e = entry_of(&j);
	(void)state;
	assert_string_equal(field(e, "name"), "shop/web");
	assert_string_equal(field(e, "data"), "{\"kind\":\"deploy\",\"project\":\"shop\",\"project_id\":\"018f4c2e-7d1a-7c3b-9f00-00000000000a\","
					      "\"stack\":\"web\",\"stack_id\":\"018f4c2e-7d1a-7c3b-9f00-00000000000b\",\"release\":7}");
	assert_string_equal(field(e, "timestamp"), "1799999991000");
	assert_string_equal(field(e, "processedOn"), "1799999993000");
	assert_string_equal(field(e, "finishedOn"), "1799999999000");
	assert_string_equal(field(e, "progress"), "100");
	assert_string_equal(field(e, "opts"), "{\"attempts\":3}");
	assert_string_equal(field(e, "returnvalue"), "{\"release\":7}");
	assert_string_equal(field(e, "pb"), "d1");
	assert_string_equal(
		field(e, "stacktrace"), "[\"attempt 1: UNAVAILABLE before its first step was done, 2027-01-15T07:59:50.000000Z\"]");
	json_decref(e);
}

/* Parameters, messages, errors, logs: a tenant's words. */
static void no_word_of_a_tenant(void **state)
{
	(void)state;
	for (int s = JOB_PENDING; s <= JOB_CANCELLED; s++) {
		struct db_job j = job((enum job_state)s);
		char *text = text_of(&j);
		assert_null(strstr(text, "sesame"));
		free(text);
	}
}

static void no_job_and_no_kind_of_ours(void **state)
{
	struct db_job j = job(JOB_RUNNING), later = j;
	const struct uuid ids[] = {{"018f4c2e-7d1a-7c3b-9f00-000000000002"}, {"018f4c2e-7d1a-7c3b-9f00-000000000003"}};
	struct buf b = {0};
	(void)state;
	later.id = ids[1];
	later.kind = 0;
	board_entries(&b, ids, 2, &later, 1, NOW);
	assert_string_equal(b.ptr, "[{\"id\":\"018f4c2e-7d1a-7c3b-9f00-000000000002\"}]");
	buf_finish(&b);
	j.stack = ""; /* about no stack */
	json_t *e = entry_of(&j);
	assert_string_equal(field(e, "name"), "shop");
	json_decref(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_has_its_place),
		cmocka_unit_test(every_field),
		cmocka_unit_test(no_word_of_a_tenant),
		cmocka_unit_test(no_job_and_no_kind_of_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
