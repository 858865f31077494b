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

struct loop *loop_create(void);
/* Stops accepting work, runs until every handle has closed, frees. Whoever owns timers,
 * defers and handles must have stopped them before. */
void loop_destroy(struct loop *l);
/* Runs until loop_stop. */
void loop_run(struct loop *l);
/* Runs one turn: waits for at most one batch of events. For tests: `while (!done) loop_turn(l);` */
void loop_turn(struct loop *l);
void loop_stop(struct loop *l);
struct uv_loop_s *loop_uv(struct loop *l);
uint64_t loop_now_ms(const struct loop *l); /* monotonic, as of this turn */

/* The watchdog logs, with `name`, every callback that ran longer than this (default 20 ms; 0 = off).
 * Modules that enter from libuv bracket their callback: the name is a static string. */
void loop_set_watchdog(struct loop *l, unsigned ms);
uint64_t loop_enter(struct loop *l, const char *name);
void loop_leave(struct loop *l, uint64_t token);
/* The longest callback since the start, µs, and the number over the limit. */
uint64_t loop_longest_us(const struct loop *l);
uint64_t loop_stalls(const struct loop *l);

/* ---- timer: embedded in its owner, in one heap; fires once ---- */
struct timer {
	struct heap_node node;
	struct loop *loop;
	void (*fire)(struct timer *t);
};
void timer_init(struct timer *t, struct loop *l, void (*fire)(struct timer *t));
void timer_set(struct timer *t, uint64_t ms); /* from now; a set timer is moved */
void timer_stop(struct timer *t);             /* not set: nothing happens; no close phase */
static inline bool timer_is_set(const struct timer *t)
{
	return heap_contains(&t->node);
}

/* ---- defer: run once, after the present callback, before the loop waits again ---- */
struct defer {
	struct list node;
	struct loop *loop;
	void (*run)(struct defer *d);
};
void defer_init(struct defer *d, struct loop *l, void (*run)(struct defer *d));
void defer_post(struct defer *d);   /* already posted: nothing happens */
void defer_cancel(struct defer *d); /* not posted: nothing happens */

/* ---- work: a blocking function on libuv's pool ---- */
/* run(data) on a pool thread, then done(data, st) on the loop. At most `loop_work_limit` wait or run at
 * once (default 64): beyond, done gets RESOURCE_EXHAUSTED. Cannot be cancelled once it runs. */
void loop_work(struct loop *l, void (*run)(void *data), void (*done)(void *data, const struct status *st), void *data);
#define LOOP_WORK_LIMIT 64
