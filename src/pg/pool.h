/* pool: the inside of struct pg: which batch goes over which connection, and when connections are
 * made. Waiting batches are dispatched once a turn, first come first served, each to the connection
 * with the fewest in flight. One connection is made at a time; failures delay the next attempt. */
#pragma once
#include "loop/backoff.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "pg/pipeline.h"

struct listener;

struct pg {
	struct loop *loop;
	char *conninfo;
	struct pg_options o;        /* conninfo points to ours */
	struct pipeline *pipelines; /* o.pool_size */
	unsigned ups;
	enum { PG_TOLD_NOTHING, PG_TOLD_DOWN, PG_TOLD_UP } told;
	struct status why;   /* of being down */
	struct list batches; /* running, by `all` */
	struct list waiting;
	size_t nwaiting;
	struct defer dispatch;
	struct timer retry; /* set: no connection is made before it fires */
	struct backoff backoff;
	struct listener *listener; /* NULL until pg_listen */
	bool closing;
};

/* Dispatches later in this turn. */
void pool_wake(struct pg *pg);
/* Puts a batch that was sent, and surely rolled back, in front of the queue. */
void pool_again(struct pg *pg, struct pg_batch *b);
void pool_on_up(struct pg *pg);
void pool_on_down(struct pg *pg, const struct status *why, bool was_up);
