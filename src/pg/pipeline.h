/* pipeline: batches on one connection. Each batch is one unit between two Syncs: the Parse of what
 * this connection has not prepared yet, then its statements; the server runs a unit as one
 * transaction and, when something in it fails, skips the rest of it.
 *
 * What a unit prepared stays prepared even if the unit fails later; what it did not come to
 * is prepared by the next unit that needs it. Units that were sent in between, counting on it, fail
 * with 26000 and are sent once more: being rolled back, they have done nothing.
 *
 * A script leaves pipeline mode for its time: PQsendQuery, which is one transaction too. */
#pragma once
#include "base/map.h"
#include "pg/conn.h"

struct pg;
struct pg_batch;

struct pipeline {
	struct pg_conn conn;
	struct pg *pg;
	struct list sent; /* batches in the order of their answers */
	unsigned depth;
	struct map prepared; /* name → struct prepared */
	bool up;
	bool script; /* out of pipeline mode, for the only one in `sent` */
	bool unflushed;
	/* The first of `sent` was given up and keeps the others waiting: the server is asked to
	 * cancel it; when that does not help the connection is closed. */
	struct timer stall;
	bool stalled;
	uint64_t stray_until; /* loop time: till then a request to cancel may hit the wrong one */
};

void pipeline_init(struct pipeline *p, struct pg *pg);
/* Closes it, frees the batches that were given up; nobody else may be in it. */
void pipeline_finish(struct pipeline *p);
/* Open to more batches: connected, no script, nobody stuck in front. */
bool pipeline_takes(const struct pipeline *p);
void pipeline_send(struct pipeline *p, struct pg_batch *b);
void pipeline_flush(struct pipeline *p);
/* A batch in it was given up. */
void pipeline_gave_up(struct pipeline *p);
