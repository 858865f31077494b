/* migrate: applies migrations/NNNN_*.sql in order under an advisory lock, each in one transaction,
 * and keeps their SHA-256 in schema_migrations. A file that was applied and has changed since is
 * refused by name; a number that is in the database but not among the files: this skepd is too old,
 * refused too. */
#pragma once
#include "base/status.h"
#include "base/str.h"

struct pg;
struct migration {
	const char *name; /* "0001_foundation.sql" */
	struct str sql;
};
/* The embedded files (gen/migrations.c), in order; ends with name NULL. */
extern const struct migration skep_migrations[];

/* done exactly once; applied = how many were new. Also calls skep_ensure_partitions. */
void db_migrate(struct pg *pg, const struct migration *files, void (*done)(void *data,
	const struct status *st, unsigned applied), void *data);
