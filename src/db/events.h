/* events: the stream of all events, in an order in which each can be read once: (transaction, sequence), below the oldest
 * transaction that has not ended. A position in it holds for every daemon. A transaction that stays open and has written
 * (anybody's, in the whole PostgreSQL server) holds the stream up; nothing is lost by it. */
#pragma once
#include "db/jobs.h"

/* What lies behind it has not been read. */
struct db_stream_position {
	int64_t xact, seq;
};
struct db_stream_event {
	struct db_stream_position at; /* the position behind it */
	struct uuid project_id, stack_id, job_id; /* "" = none */
	const char *project, *stack;  /* names; "" = it is gone */
	struct db_event e;
};
struct db_stream_filter {
	const char *project; /* id or name, "" = all in scope */
	const char *stack;   /* name or id, "" = all */
	const char *const *kinds; /* "job.ended", or "job": all that begin so; none = all */
	size_t n_kinds;
};
struct db_stream_batch {
	const struct db_stream_event *events;
	size_t n;
	struct db_stream_position next; /* behind all of it, also behind what the filter left out */
	bool more;   /* there is more to read now */
	bool held;   /* there are events that an open transaction holds up: look again soon */
};

typedef void (*db_position_done)(void *data, const struct status *st, struct db_stream_position at);
typedef void (*db_stream_done)(void *data, const struct status *st, const struct db_stream_batch *b);

struct db_event_ops {
	/* From when on; 0: from now on. */
	struct db_call *(*position)(struct db *db, int64_t since_us, db_position_done done, void *data);
	/* At most `limit` behind the position. OUT_OF_RANGE: no such position was ever given out by this
	 * database, or events behind it (of the project that is asked for) have been dropped with their month. */
	struct db_call *(*read)(struct db *db, const struct db_scope *s, const struct db_stream_filter *f,
		struct db_stream_position after, unsigned limit, db_stream_done done, void *data);
};
