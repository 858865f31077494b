/* leases: keeps the leases of a daemon's runs: all of them are renewed together, five times in the length of one. They are on the
 * database's clock; what is trusted here ends a margin earlier. A renewal also brings the word that a job was asked to stop. A part of worker. */
#pragma once
#include <stdbool.h>
#include "jobs/runs.h"
#include "loop/loop.h"

struct db;
struct db_call;

struct leases {
	struct loop *loop;
	struct db *db;
	struct runs *runs;
	const char *owner; /* borrowed */
	unsigned ms;
	void (*renewed)(void *data); /* or failed: none is under way */
	void *data;
	/* private */
	struct timer timer;
	struct db_call *call;
	uint64_t started_ms;
};

/* The public fields are set. */
void leases_init(struct leases *l);
void leases_start(struct leases *l);
void leases_stop(struct leases *l); /* its timer */
bool leases_is_idle(const struct leases *l);
/* Loop time until which a lease is trusted whose statement was sent then. */
uint64_t leases_trusted_until(const struct leases *l, uint64_t sent_ms);
