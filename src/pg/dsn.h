/* dsn: libpq's connection string with its host names looked up, so that libpq never does (it
 * would block). One a connection attempt: parse, then look up what pg_dsn_lookup names, then
 * connect. A name with several addresses becomes several hosts, which libpq tries in turn.
 *
 * What the string leaves open comes from the environment (PGHOST …) as libpq would have it.
 * A service file's host is the one thing that libpq still looks up itself. */
#pragma once
#include <libpq-fe.h>
#include <stdint.h>
#include "base/status.h"

struct pg_dsn;
struct resolve_addrs;

struct status pg_dsn_parse(const char *conninfo, struct pg_dsn **ret_dsn)
	__attribute__((warn_unused_result));
void pg_dsn_destroy(struct pg_dsn *d); /* NULL is fine */

/* The next name to look up; NULL: all are known. */
const char *pg_dsn_lookup(const struct pg_dsn *d);
/* What the name of pg_dsn_lookup came to. */
void pg_dsn_looked_up(struct pg_dsn *d, const struct status *st, const struct resolve_addrs *addrs);

/* connect_timeout of the string, for all hosts together; 10 s where it has none. */
uint64_t pg_dsn_timeout_ms(const struct pg_dsn *d);

/* Begins the connection (PQconnectStart). *ret_pq goes to PQfinish also when it is in a bad
 * state; on failure there is none: no host name could be resolved. */
struct status pg_dsn_connect(const struct pg_dsn *d, PGconn **ret_pq)
	__attribute__((warn_unused_result));
