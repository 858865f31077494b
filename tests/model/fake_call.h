/* fake_call: what the models behind the tables of operations share. Every operation is a call; it
 * completes on a later turn of its daemon's loop, exactly once.
 *
 * A model has two halves: the state of the world (a Swarm, a database), which outlives daemons, and
 * a front for each daemon, through which that one's calls go. A front that is dead (its daemon was
 * "killed") begins nothing any more.
 *
 * How a call goes says its script, in one of two ways:
 *
 *	flow tests   the effect comes at once; the calls `at` to `last` fail in a given way
 *	simulation   `plan` is asked: the effect comes after a while, in the world's time, whatever
 *	             has become of the daemon; the answer a while later, in the daemon's time */
#pragma once
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "loop/loop.h"

enum fault {
	FAULT_NONE,
	FAULT_REFUSED,     /* UNAVAILABLE before anything was done */
	FAULT_LOST,        /* done, but the reply is lost: UNAVAILABLE */
	FAULT_CONFLICT,    /* ABORTED, nothing was done */
	FAULT_GONE,        /* NOT_FOUND, nothing was done; what was to be removed is gone */
	FAULT_INTERNAL,    /* INTERNAL, nothing was done */
	FAULT_SLOW,        /* done and answered, 2 s later */
	FAULT_SILENT,      /* nothing is done, and nobody answers until the deadline */
	FAULT_DONE_SILENT, /* done, and nobody answers until the deadline */
	FAULT_TRUNCATED,   /* done, and the answer ends in its middle: DATA_LOSS */
	FAULT_COUNT,
};
extern const char *const fault_names[FAULT_COUNT];

struct fake_call;
struct fake_front;

/* For a simulation. Only REFUSED, LOST, SILENT, DONE_SILENT, INTERNAL and NONE mean something there. */
struct fake_plan {
	enum fault fault;
	uint64_t effect_ms;  /* from the call to its effect */
	uint64_t reply_ms;   /* from there to the answer */
	bool outlives_front; /* the effect comes even if the call was given up before */
};
enum fake_phase { FAKE_SENT, FAKE_DONE, FAKE_ANSWERED };

struct fake_script {
	struct loop *loop; /* the world's */
	unsigned calls;    /* begun so far, all fronts */
	unsigned at, last; /* the calls `at` to `last` fail; 0 = none */
	enum fault fault;
	const char
		*only; /* fail only calls whose name begins so; NULL = any (then `at` counts all) */
	/* After the call's effect; may kill, cancel, anything. May be NULL. */
	void (*after)(void *data, unsigned number, const char *name);
	/* Of a simulation; NULL in flow tests. */
	void (*plan)(void *data, const struct fake_call *c, struct fake_plan *ret_plan);
	void (*watch)(void *data, const struct fake_call *c, enum fake_phase phase);
	void *data;
	unsigned failed;  /* calls that were made to fail */
	struct buf trace; /* one name a line; flow tests */
};

struct fake_front {
	struct fake_script *script;
	struct loop *loop; /* the daemon's */
	struct list calls; /* under way */
	bool dead;
	enum st_code dead_code; /* what calls of a dead front end with */
	uint64_t deadline_ms;
	enum st_code late_code; /* what a call that nobody answers ends with */
	const char *what; /* "docker", "db" */
	void *owner;      /* the daemon */
};

struct fake_call {
	struct list node;
	struct fake_front *front;
	struct timer timer;  /* the answer */
	struct timer effect_timer; /* simulation, on the world's loop */
	struct arena *arena; /* arguments and results */
	const char *name;    /* "db claim" */
	struct fake_plan plan;
	bool cut; /* cancelled or killed: it has no effect any more (flow tests) */
	bool delivered;
	enum st_code done_code; /* of the effect; simulation */
	uint64_t tag;           /* the watcher's */
	struct status st;
	struct status (*effect)(struct fake_call *c);
	void (*deliver)(struct fake_call *c, const struct status *st);
	/* the operation's own */
	void *owner, *data, *args, *result;
	size_t n;
	bool more;
	void (*done)(void);
};

/* `l` is the daemon's loop; NULL = the world's. */
void fake_front_init(struct fake_front *f, struct fake_script *s, struct loop *l, const char *what,
	uint64_t deadline_ms, enum st_code dead_code);
/* Its calls under way end on a later turn. */
void fake_front_kill(struct fake_front *f);
/* The connection is lost, with all that is under way: UNAVAILABLE. */
void fake_front_disconnect(struct fake_front *f);

/* effect runs now, or after the delay; deliver runs once, later. Fill in owner, data, args and done
 * before fake_call_start. ms: the deadline; 0 = the front's. */
struct fake_call *fake_call_new(struct fake_front *f);
void fake_call_start(struct fake_call *c, uint64_t ms, struct status (*effect)(struct fake_call *c),
	void (*deliver)(struct fake_call *c, const struct status *st), const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void fake_call_cancel(struct fake_call *c);
/* It has no deadline any more (a stream that is open). */
void fake_call_hang(struct fake_call *c);
/* The lines of the trace that begin with one of these words (NULL-terminated). */
char *fake_trace(const struct fake_script *s, struct arena *a, const char *const *words);
void fake_script_finish(struct fake_script *s);
