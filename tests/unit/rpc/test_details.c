/* google.rpc.Status by hand against its generated code. */
#include "rpc/details.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/arena.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

static const struct rpc_violation violations[] = {
	{"compose[0].name", "is required"}, {"project", "é"}};
static const struct rpc_precondition preconditions[] = {{"T", "s", "d"}};
static const struct rpc_quota quotas[] = {{"project/a", "no room"}};
static const struct rpc_details full = {.violations = violations, .n_violations = 2,
	.preconditions = preconditions, .n_preconditions = 1, .quotas = quotas, .n_quotas = 1, .retry_ms = 2500};

static void generated_code_reads_it(void **state)
{
	struct buf b = {0};
	struct status st = status_err(ST_NOT_FOUND, "stack \"web\" does not exist");
	(void)state;
	rpc_status_pack(&b, &st, &full);
	Google__Rpc__Status *s = google__rpc__status__unpack(NULL, b.len, (uint8_t *)b.ptr);
	assert_non_null(s);
	assert_int_equal(s->code, 5);
	assert_string_equal(s->message, "stack \"web\" does not exist");
	assert_int_equal(s->n_details, 4);
	assert_string_equal(s->details[0]->type_url, "type.googleapis.com/google.rpc.BadRequest");
	Google__Rpc__BadRequest *bad = google__rpc__bad_request__unpack(
		NULL, s->details[0]->value.len, s->details[0]->value.data);
	assert_int_equal(bad->n_field_violations, 2);
	assert_string_equal(bad->field_violations[1]->description, "é");
	google__rpc__bad_request__free_unpacked(bad, NULL);
	Google__Rpc__RetryInfo *retry = google__rpc__retry_info__unpack(
		NULL, s->details[3]->value.len, s->details[3]->value.data);
	assert_int_equal(retry->retry_delay->seconds, 2);
	assert_int_equal(retry->retry_delay->nanos, 500000000);
	google__rpc__retry_info__free_unpacked(retry, NULL);
	google__rpc__status__free_unpacked(s, NULL);
	buf_finish(&b);
}

static void round_trip(void **state)
{
	struct arena *a = arena_create();
	struct buf b = {0};
	struct status st = status_err(ST_ABORTED, "m"), back;
	struct rpc_details d;
	(void)state;
	rpc_status_pack(&b, &st, &full);
	assert_true(rpc_status_unpack(a, buf_str(&b), &back, &d));
	assert_int_equal(back.code, ST_ABORTED);
	assert_int_equal(d.n_violations, 2);
	assert_string_equal(d.violations[0].field, "compose[0].name");
	assert_string_equal(d.preconditions[0].subject, "s");
	assert_string_equal(d.quotas[0].subject, "project/a");
	assert_int_equal(d.retry_ms, 2500);
	b.len = 0;
	st = status_ok();
	rpc_status_pack(&b, &st, NULL);
	assert_int_equal(b.len, 0);
	assert_true(rpc_status_unpack(a, buf_str(&b), &back, &d));
	assert_int_equal(back.code, ST_OK);
	assert_int_equal(d.n_violations, 0);
	buf_finish(&b);
	arena_destroy(a);
}

static void strange_ones_are_bounded(void **state)
{
	struct arena *a = arena_create();
	struct status st;
	struct rpc_details d;
	(void)state;
	assert_true(rpc_status_unpack(a, STR("\x08\xe8\x07"), &st, &d)); /* code 1000 */
	assert_int_equal(st.code, ST_UNKNOWN);
	assert_true(rpc_status_unpack(a, STR("\x08\x05\x12\x01\xff"), &st, &d));
	assert_int_equal(st.code, ST_NOT_FOUND);
	assert_false(rpc_status_unpack(a, STR("\x08"), &st, &d));
	assert_false(rpc_status_unpack(a, STR("\x08\x05\x18\x05"), &st, &d));
	assert_false(rpc_status_unpack(a, STR("\x08\x05\x1a\x01\x0a"), &st, &d));
	arena_destroy(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generated_code_reads_it),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(strange_ones_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
