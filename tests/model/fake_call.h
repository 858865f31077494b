/* fake_call: what the fakes of the flow tests share. Every operation is a call with a number; it
 * completes on a later turn, and a script may make it fail, or may watch it.
 *
 * A fake has two halves: the state of the world (a Swarm, a database), which outlives
 * daemons, and a front for each daemon, through which that one's calls go. A front that is dead
 * (its daemon was "killed") changes nothing any more. */
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
	FAULT_TRUNCATED,   /* done, and the answer ends in its middle: INTERNAL */
	FAULT_COUNT,
};
extern const char *const fault_names[FAULT_COUNT];

struct fake_script {
	struct loop *loop;
	unsigned calls;    /* begun so far, all fronts */
	unsigned at, last; /* the calls `at` to `last` fail; 0 = none */
	enum fault fault;
	const char
		*only; /* fail only calls whose name begins so; NULL = any (then `at` counts all) */
	/* After the call's effect; may kill, cancel, anything. May be NULL. */
	void (*after)(void *data, unsigned number, const char *name);
	void *data;
	unsigned failed;  /* calls that were made to fail */
	struct buf trace; /* one name a line */
};

struct fake_front {
	struct fake_script *script;
	struct list calls; /* under way */
	bool dead;
	enum st_code dead_code; /* what calls of a dead front end with */
	uint64_t deadline_ms;
	enum st_code late_code; /* what a call that nobody answers ends with */
	const char *what; /* "docker", "db" */
};

struct fake_call {
	struct list node;
	struct fake_front *front;
	struct timer timer;
	struct arena *arena; /* arguments and results */
	enum fault fault;
	bool cut; /* cancelled or killed: it has no effect any more */
	struct status st;
	struct status (*effect)(struct fake_call *c);
	void (*deliver)(struct fake_call *c, const struct status *st);
	/* the operation's own */
	void *owner, *data, *args, *result;
	size_t n;
	void (*done)(void);
};

void fake_front_init(struct fake_front *f, struct fake_script *s, const char *what,
	uint64_t deadline_ms, enum st_code dead_code);
/* Its calls under way end on a later turn, without effect. */
void fake_front_kill(struct fake_front *f);

/* effect runs now, or after the delay; deliver runs once, later. Fill in owner, data, args and done
 * before fake_call_start. */
struct fake_call *fake_call_new(struct fake_front *f);
void fake_call_start(struct fake_call *c, uint64_t ms, struct status (*effect)(struct fake_call *c),
	void (*deliver)(struct fake_call *c, const struct status *st), const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void fake_call_cancel(struct fake_call *c);
/* The lines of the trace that begin with one of these words (NULL-terminated). */
char *fake_trace(const struct fake_script *s, struct arena *a, const char *const *words);
void fake_script_finish(struct fake_script *s);
