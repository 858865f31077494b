/* board: keeps a view of the jobs in Redis that bull-board can show (docs/jobs.md), behind the truth by a moment. Made by app
 * when the option `bull_board` says under which prefix; nothing else reads or writes those keys, and nothing is decided by them.
 *
 *	        another one writes
 *	   ┌──────── HOLD ◀───────────── any failure, after a while; "no" from Redis
 *	   │ later ▶ │  │ no view, or one that is old
 *	   └─────────┘  ├──────────▶ BEGIN ─▶ CLEAR ─▶ LIST ─▶ LOAD ─▶ PUT ─┐
 *	                │                      ↺        ▲ open jobs, then   │
 *	                │ a view               newest ended ones └──────────┤
 *	                ▼                                                   │
 *	               READ ─▶ LOAD ─▶ PUT ─▶ READ …  ◀─────────────────────┘
 *
 * Each daemon asks; one at a time writes, for as long as it says so again in time (script.h). It reads which jobs have
 * changed from the stream of events (db/events.h), so that none is missed; reads how those are by now; and puts that, with
 * the new position in the stream, in one script. So whatever is lost is lost together: an emptied Redis has no position and
 * is filled anew, a replica that was behind is behind in both. A view from nothing is all jobs that have not ended and the
 * newest of the others, a number of them; it is made anew every hour, because somebody may have written into it.
 *
 * Redis and PostgreSQL may be away: it asks again every few seconds, and nobody waits for it. */
#pragma once

struct board;
struct clock;
struct db;
struct loop;
struct redis;

/* Borrowed, but for texts, which are copied. */
struct board_options {
	struct loop *loop;
	struct db *db;
	struct redis *redis;
	const struct clock *clock;
	const char *prefix;    /* of the keys: letters, digits and . _ - { } */
	const char *owner;     /* this daemon's id */
	unsigned keep;         /* completed jobs a queue, and failed ones; 0: 1,000 */
	unsigned listed;       /* ended jobs that a new view is made of, of all queues; 0: 10,000 */
	unsigned look_ms;      /* between two looks without news; 0: 3 s */
};
struct board *board_create(const struct board_options *o);
void board_start(struct board *b);
/* There is news of jobs, or of Redis. */
void board_wake(struct board *b);
/* done fires once, when nothing is under way; another daemon may write from then on. */
void board_stop(struct board *b, void (*done)(void *data), void *data);
void board_destroy(struct board *b); /* NULL is fine; after pg_destroy and redis_destroy */
