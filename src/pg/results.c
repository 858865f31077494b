#include "pg/batch.h"
#include <math.h>
#include "base/arena.h"
#include "base/mem.h"

void batch_add_result(struct pg_batch *b, PGresult *res)
{
	struct pg_results *r = &b->results;
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : b->nitems ? b->nitems : 8;
		r->list = mem_realloc_array(r->list, sizeof(PGresult *), r->cap);
	}
	r->list[r->n++] = res;
}

void batch_clear_results(struct pg_batch *b)
{
	struct pg_results *r = &b->results;
	for (size_t i = 0; i < r->n; i++)
		PQclear(r->list[i]);
	r->n = 0;
	PQclear(r->error);
	r->error = NULL;
}

size_t pg_result_count(const struct pg_results *r)
{
	return r->n;
}

static const PGresult *result(const struct pg_results *r, size_t stmt)
{
	return stmt < r->n ? r->list[stmt] : NULL;
}

/* NULL for what is not there, and for null. */
static const PGresult *cell(const struct pg_results *r, size_t stmt, int row, int col)
{
	const PGresult *res = result(r, stmt);
	if (row < 0 || row >= PQntuples(res) || col < 0 || col >= PQnfields(res) ||
		PQgetisnull(res, row, col))
		return NULL;
	return res;
}

int pg_rows(const struct pg_results *r, size_t stmt)
{
	return PQntuples(result(r, stmt));
}

int64_t pg_affected(const struct pg_results *r, size_t stmt)
{
	int64_t n;
	PGresult *res = stmt < r->n ? r->list[stmt] : NULL;
	return res && str_to_i64(str_of(PQcmdTuples(res)), &n) ? n : 0;
}

bool pg_is_null(const struct pg_results *r, size_t stmt, int row, int col)
{
	return cell(r, stmt, row, col) == NULL;
}

const char *pg_text(const struct pg_results *r, size_t stmt, int row, int col)
{
	const PGresult *res = cell(r, stmt, row, col);
	return res ? PQgetvalue(res, row, col) : "";
}

struct str pg_str(const struct pg_results *r, size_t stmt, int row, int col)
{
	const PGresult *res = cell(r, stmt, row, col);
	if (res == NULL)
		return str_of("");
	return str_make(PQgetvalue(res, row, col), (size_t)PQgetlength(res, row, col));
}

int64_t pg_i64(const struct pg_results *r, size_t stmt, int row, int col)
{
	int64_t v;
	return str_to_i64(pg_str(r, stmt, row, col), &v) ? v : 0;
}

bool pg_bool(const struct pg_results *r, size_t stmt, int row, int col)
{
	return pg_text(r, stmt, row, col)[0] == 't';
}

double pg_f64(const struct pg_results *r, size_t stmt, int row, int col)
{
	double v;
	struct str text = pg_str(r, stmt, row, col);
	if (str_is(text, "NaN"))
		return NAN;
	if (str_is(text, "Infinity") || str_is(text, "-Infinity"))
		return text.ptr[0] == '-' ? -INFINITY : INFINITY;
	return str_to_double(text, &v) ? v : 0;
}

struct str pg_bytes(const struct pg_results *r, size_t stmt, int row, int col)
{
	const PGresult *res = cell(r, stmt, row, col);
	size_t len = 0;
	if (res == NULL)
		return str_of("");
	unsigned char *raw =
		PQunescapeBytea((const unsigned char *)PQgetvalue(res, row, col), &len);
	if (raw == NULL)
		mem_abort("out of memory");
	struct str bytes = str_make(arena_memdup(r->arena, raw, len), len);
	PQfreemem(raw);
	return bytes;
}

static const char *error_field(const struct pg_results *r, int field)
{
	const char *text = PQresultErrorField(r->error, field);
	return text ? text : "";
}

const char *pg_sqlstate(const struct pg_results *r)
{
	return error_field(r, PG_DIAG_SQLSTATE);
}

const char *pg_constraint(const struct pg_results *r)
{
	return error_field(r, PG_DIAG_CONSTRAINT_NAME);
}

bool pg_was_sent(const struct pg_results *r)
{
	return r->sent;
}
