/* The table of SQLSTATEs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "pg/error.h"

static void test_codes(void **state)
{
	static const struct {
		const char *sqlstate;
		enum st_code code;
	} rows[] = {
		{"23505", ST_ALREADY_EXISTS},
		{"23503", ST_FAILED_PRECONDITION},
		{"23514", ST_FAILED_PRECONDITION},
		{"23502", ST_INVALID_ARGUMENT},
		{"40001", ST_ABORTED},
		{"40P01", ST_ABORTED},
		{"40002", ST_INTERNAL},
		{"53300", ST_RESOURCE_EXHAUSTED},
		{"53100", ST_RESOURCE_EXHAUSTED},
		{"57P01", ST_UNAVAILABLE},
		{"57P05", ST_UNAVAILABLE},
		{"57014", ST_DEADLINE_EXCEEDED},
		{"08006", ST_UNAVAILABLE},
		{"08P01", ST_INTERNAL},
		{"25006", ST_UNAVAILABLE},
		{"22P02", ST_INVALID_ARGUMENT},
		{"42501", ST_PERMISSION_DENIED},
		{"42P01", ST_INTERNAL},
		{"SK001", ST_CANCELLED},
		{"SK005", ST_NOT_FOUND},
		{"SK016", ST_UNAUTHENTICATED},
		{"SK000", ST_INTERNAL}, /* an error that says it is none */
		{"SK017", ST_INTERNAL},
		{"SKabc", ST_INTERNAL},
		{"SK-01", ST_INTERNAL},
		{"XX000", ST_INTERNAL},
		{NULL, ST_UNAVAILABLE},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (pg_error_code(rows[i].sqlstate) != rows[i].code)
			fail_msg("%s gives %s", rows[i].sqlstate,
				st_code_name(pg_error_code(rows[i].sqlstate)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_codes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
