#include "pg/error.h"
#include <string.h>
#include "base/str.h"

/* The first prefix that matches decides. */
static const struct {
	const char *prefix;
	enum st_code code;
} codes[] = {
	{"08P01", ST_INTERNAL}, /* protocol violation, such as a missing parameter */
	{"08", ST_UNAVAILABLE},
	{"22", ST_INVALID_ARGUMENT},
	{"23502", ST_INVALID_ARGUMENT},
	{"23503", ST_FAILED_PRECONDITION},
	{"23505", ST_ALREADY_EXISTS},
	{"23514", ST_FAILED_PRECONDITION},
	{"23P01", ST_FAILED_PRECONDITION},
	{"25006", ST_UNAVAILABLE}, /* read only: a standby, until it is promoted */
	{"40001", ST_ABORTED},
	{"40P01", ST_ABORTED},
	{"42501", ST_PERMISSION_DENIED},
	{"53", ST_RESOURCE_EXHAUSTED},
	{"55P03", ST_ABORTED}, /* lock not available */
	{"57014", ST_DEADLINE_EXCEEDED},
	{"57P0", ST_UNAVAILABLE},
};

/* "SKxxx": skep_raise of the migrations puts the code's number there. */
static enum st_code raised_code(const char *digits)
{
	int64_t n;
	if (!str_to_i64(str_of(digits), &n) || n <= ST_OK || n > ST_CODE_MAX)
		return ST_INTERNAL;
	return (enum st_code)n;
}

enum st_code pg_error_code(const char *sqlstate)
{
	if (sqlstate == NULL)
		return ST_UNAVAILABLE; /* libpq's own: the connection broke */
	if (strlen(sqlstate) == 5 && strncmp(sqlstate, "SK", 2) == 0)
		return raised_code(sqlstate + 2);
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (strncmp(sqlstate, codes[i].prefix, strlen(codes[i].prefix)) == 0)
			return codes[i].code;
	return ST_INTERNAL;
}

/* libpq's texts for people are several indented lines: one line. */
static void add_line(struct buf *b, const char *text)
{
	bool space = false;
	for (const char *p = text; *p; p++) {
		bool blank = *p == '\n' || *p == '\t' || *p == ' ';
		if (!blank && space && b->len)
			buf_addc(b, ' ');
		if (!blank)
			buf_addc(b, *p);
		space = blank;
	}
}

/* By skep_raise_for, whose hint is a number of ms. */
static bool is_raised(const PGresult *res)
{
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	return sqlstate && strncmp(sqlstate, "SK", 2) == 0;
}

struct status pg_error_status(const PGresult *res, const char *stmt)
{
	enum st_code code = pg_error_code(PQresultErrorField(res, PG_DIAG_SQLSTATE));
	const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	struct buf b = {0};
	if (code == ST_INTERNAL && stmt)
		buf_fmt(&b, "statement %s: ", stmt);
	if (primary)
		buf_adds(&b, primary);
	else
		add_line(&b, PQresultErrorMessage(res));
	if (detail)
		buf_fmt(&b, ": %s", detail);
	uint64_t retry_ms = 0;
	bool is_wait = hint && is_raised(res) && str_to_u64(str_of(hint), &retry_ms);
	if (hint && !is_wait)
		buf_fmt(&b, " (hint: %s)", hint);
	struct status st = status_err(code, "%s", buf_str(&b).ptr);
	st.retry_ms = retry_ms < UINT32_MAX ? (unsigned)retry_ms : UINT32_MAX;
	buf_finish(&b);
	return st;
}

bool pg_error_is_fatal(const PGresult *res)
{
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	if (sqlstate && strncmp(sqlstate, "57P", 3) == 0)
		return true; /* an immediate shutdown is announced by a mere warning */
	return severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

struct status pg_error_connection(const PGconn *pq)
{
	struct buf b = {0};
	add_line(&b, PQerrorMessage(pq));
	struct status st = status_err(
		ST_UNAVAILABLE, "%s", b.len ? b.ptr : "the server closed the connection");
	buf_finish(&b);
	return st;
}
