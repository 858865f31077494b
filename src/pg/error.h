/* error: PostgreSQL's errors as statuses, in its own words. The table of SQLSTATEs stands in pg.h.
 */
#pragma once
#include <libpq-fe.h>
#include <stdbool.h>
#include "base/status.h"

enum st_code pg_error_code(const char *sqlstate);
/* "<message>: <detail> (hint: <hint>)"; the name of the statement is put in front of
 * what is a fault of the program (INTERNAL). stmt may be NULL. */
struct status pg_error_status(const PGresult *res, const char *stmt);
/* The server ends the connection after this one. */
bool pg_error_is_fatal(const PGresult *res);
/* Why the connection failed: UNAVAILABLE. */
struct status pg_error_connection(const PGconn *pq);
