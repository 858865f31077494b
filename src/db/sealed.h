/* sealed: which keys the sealed columns need, and which one daemons seal with. Asked by app before it makes a
 * new key file: beside rows that another key has sealed, a new one would hide that the old one is missing;
 * and before it begins its work: what one daemon seals the others must open. */
#pragma once
#include <stddef.h>
#include "base/status.h"

struct pg;

/* done(data, st, ids, n), once, later: the ids of the keys (crypto.h) that rows are sealed with, in
 * order, at most 10. They die with the callback. On a database that is migrated. */
void db_sealed_keys(struct pg *pg,
	void (*done)(void *data, const struct status *st, const char *const *ids, size_t n),
	void *data);

/* This daemon holds these keys and is to seal with the first (n 0: it only asks). done(data, st, ids, n), once,
 * later: n 0, it may; or the one key that the daemons of this database seal with, which it does not hold. anew:
 * that key is lost, and the first one takes its place. Repeated it does nothing more. */
void db_sealing_key(struct pg *pg, const char *const *held, size_t n_held, bool anew,
	void (*done)(void *data, const struct status *st, const char *const *ids, size_t n),
	void *data);
