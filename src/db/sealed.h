/* sealed: which keys the sealed columns need. Asked by app before it makes a new key file: beside rows
 * that another key has sealed, a new one would hide that the old one is missing. */
#pragma once
#include <stddef.h>
#include "base/status.h"

struct pg;

/* done(data, st, ids, n), once, later: the ids of the keys (crypto.h) that rows are sealed with, in
 * order, at most 10. They die with the callback. On a database that is migrated. */
void db_sealed_keys(struct pg *pg,
	void (*done)(void *data, const struct status *st, const char *const *ids, size_t n),
	void *data);
