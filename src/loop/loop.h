/* loop: the reactor's glue over libuv: one timer heap behind one uv_timer, deferred
 * callbacks, a bounded queue for what would block, a watchdog.
 *
 * One `struct loop` a process, made by main (tests make their own); everything
 * else gets a pointer. Every callback fires on the loop's thread, from
 * loop_run, never from inside the call that asked for it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/heap.h"
#include "base/list.h"
#include "base/status.h"

struct uv_loop_s;
struct loop;

/* Aborts when the machine gives no event queue (out of descriptors). */
struct loop *loop_create(void);
/* Waits for the work that runs, lets every closing handle close, frees. Whoever owns timers,
 * defers and handles must have stopped them before: what was left is logged by its kind, and
 * fails an assertion in debug builds. NULL is fine. */
void loop_destroy(struct loop *l);
/* Runs until loop_stop. */
void loop_run(struct loop *l);
/* Runs one turn: waits for at most one batch of events, and not at all when a timer or defer ran
 * without waiting. For tests: `while (!done) loop_turn(l);` */
void loop_turn(struct loop *l);
/* The present turn is the last one. */
void loop_stop(struct loop *l);
struct uv_loop_s *loop_uv(struct loop *l);
/* Monotonic, as of this turn (moved on after a callback of 1 ms or more). */
uint64_t loop_now_ms(const struct loop *l);
/* ---- virtual time, for tests and simulations without I/O ----
 * From the first call of one of these on the clock moves by them alone, a turn looks at timers and
 * defers only, and work (below) runs on the loop's thread, in turn: so a run can be repeated
 * exactly. */
/* When there is something to do: now, if a defer waits; UINT64_MAX: never. */
uint64_t loop_next_ms(const struct loop *l);
/* The clock is at `ms` from now on; never back, but for the first time. */
void loop_set_now(struct loop *l, uint64_t ms);
/* It jumps to the first timer, so that the next turn fires it. False: no timer is set, or a defer
 * waits to run first. */
bool loop_skip(struct loop *l);
/* So long takes each piece of work; NULL: none. */
void loop_set_work_ms(struct loop *l, uint64_t (*work_ms)(void *data), void *data);

/* The watchdog logs, with `name`, every callback that ran longer than this (default 20 ms;
 * 0 = off). Modules that enter from libuv bracket their callback: the name is a static string.
 * Brackets nest, the last entered is left first; a stall is logged once, under the innermost name
 * that explains it. Beside how long it took (`ms`) stands how much of that the thread has worked
 * (`cpu_ms`, to 2 ms): the rest it waited, for a CPU or a disk, and the callback is not to blame. Timers, defers, work and flow steps are bracketed already. */
void loop_set_watchdog(struct loop *l, unsigned ms);
uint64_t loop_enter(struct loop *l, const char *name);
void loop_leave(struct loop *l, uint64_t token);
/* The present callback has run for long enough (4 ms): what there is still to do goes on in a later
 * turn, by a defer. Never in virtual time, whose turns are all alike. */
bool loop_must_yield(const struct loop *l);
/* The longest callback since the start, µs, and the number over the limit. */
uint64_t loop_longest_us(const struct loop *l);
uint64_t loop_stalls(const struct loop *l);

/* ---- timer: embedded in its owner, in one heap; fires once ----
 * Timers fire in order of time, then of setting. Inside fire() it is no longer set: it may set
 * or stop itself and any other timer, and its memory may be freed. One set to 0 ms
 * fires in the next turn, so that timers cannot starve I/O. */
struct timer {
	struct heap_node node;
	struct loop *loop;
	void (*fire)(struct timer *t);
	const char *name; /* for the watchdog */
};
void timer_init_named(
	struct timer *t, struct loop *l, void (*fire)(struct timer *t), const char *name);
#define timer_init(t, l, fire) timer_init_named((t), (l), (fire), #fire)
void timer_set(struct timer *t, uint64_t ms); /* from now; a set timer is moved */
void timer_stop(struct timer *t);             /* not set: nothing happens; no close phase */
static inline bool timer_is_set(const struct timer *t)
{
	return heap_contains(&t->node);
}

/* ---- defer: run once, after the present callback, before the loop waits again ----
 * In order of posting. One that is posted while defers run comes after the next look at I/O.
 * Inside run() it is no longer posted, and its memory may be freed. */
struct defer {
	struct list node;
	struct loop *loop;
	void (*run)(struct defer *d);
	const char *name; /* for the watchdog */
};
void defer_init_named(
	struct defer *d, struct loop *l, void (*run)(struct defer *d), const char *name);
#define defer_init(d, l, run) defer_init_named((d), (l), (run), #run)
void defer_post(struct defer *d);   /* already posted: nothing happens */
void defer_cancel(struct defer *d); /* not posted: nothing happens */

/* ---- work: a blocking function on libuv's pool ---- */
/* run(data) on a pool thread, then done(data, st) on the loop. At most LOOP_WORK_LIMIT wait or run
 * at once: beyond, done gets RESOURCE_EXHAUSTED and run is not called. Cannot be cancelled. */
void loop_work(struct loop *l, void (*run)(void *data),
	void (*done)(void *data, const struct status *st), void *data);
#define LOOP_WORK_LIMIT 64
/* The same, but beyond the limit it waits for its turn: for callers of whom there are not more than
 * what they work at has a limit of its own. done gets UNAVAILABLE when the loop is destroyed before. */
void loop_work_queued(struct loop *l, void (*run)(void *data),
	void (*done)(void *data, const struct status *st), void *data);
