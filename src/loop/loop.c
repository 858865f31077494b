#include "loop/loop.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>
#include "base/log.h"
#include "base/mem.h"

#define NS_PER_MS 1000000u
#define YIELD_NS  (4 * NS_PER_MS)
#define FRAMES    16 /* nesting that the watchdog tells apart */
#define NEVER     UINT64_MAX

/* One bracket of loop_enter and loop_leave. */
struct frame {
	const char *name;
	uint64_t start;    /* ns */
	uint64_t reported; /* ns inside that were logged under a name further in */
	uint64_t cpu;      /* ns that the thread had used when it was looked at last before */
};

/* A turn of libuv, and what we hang on it:
 *
 *	timers   on_timer: fires what is due in our heap
 *	prepare  on_prepare: defers of the timers; sets the uv timer to the heap's first; keeps the
 *	         poll from waiting (an active idle handle) while defers are posted
 *	poll     the modules' callbacks
 *	check    on_check: defers of the modules
 *	closing  close callbacks; their defers run in the next prepare
 *
 * Setting a timer and posting a defer therefore touch only our own heap and list. In virtual time
 * there is no libuv: a turn is defers, timers, their defers. */
struct loop {
	uv_loop_t uv;
	uv_timer_t timer;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle;
	struct heap timers;
	uint64_t armed; /* what the uv timer is set to; NEVER = not set */
	bool is_virtual; /* the clock is moved by hand */
	uint64_t virtual_ms;
	uint64_t (*work_ms)(void *data);
	void *work_data;
	struct list defers;
	struct list running; /* this round's defers, while they run */
	unsigned works;
	struct list works_waiting; /* loop_work_queued's, beyond the limit */
	bool idling;
	bool single; /* inside loop_turn … */
	bool ran;    /* … and a timer or defer has run in it */
	bool closing;
	unsigned left_open;
	uint64_t left; /* ns: when the callback before ended; 0: there was none since the poll began */
	uint64_t limit_ns, longest_ns, stalls;
	uint64_t cpu_ns, cpu_at; /* what the thread had used, and when it was looked at (ms) */
	unsigned depth;
	struct frame frames[FRAMES];
};

/* ---- watchdog ---- */

static uint64_t enter_at(struct loop *l, const char *name, uint64_t now)
{
	unsigned depth = l->depth++;
	if (depth < FRAMES)
		l->frames[depth] = (struct frame){name, now, 0, l->cpu_ns};
	return depth;
}

/* Asking costs a system call: once a millisecond at most, and behind each callback that was long
 * enough to matter. So what a callback used is known to a millisecond or two. */
static uint64_t look_at_cpu(struct loop *l)
{
	struct timespec ts = {0};
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	l->cpu_ns = (uint64_t)ts.tv_sec * 1000 * NS_PER_MS + (uint64_t)ts.tv_nsec;
	l->cpu_at = uv_now(&l->uv);
	return l->cpu_ns;
}

static void report(struct loop *l, struct frame *f, uint64_t elapsed, uint64_t cpu)
{
	char ms[24], cpu_ms[24];
	(void)snprintf(ms, sizeof ms, "%.1f", (double)elapsed / NS_PER_MS);
	(void)snprintf(cpu_ms, sizeof cpu_ms, "%.1f", (double)cpu / NS_PER_MS);
	log_warn("callback blocked the loop", "name", f->name, "ms", ms, "cpu_ms", cpu_ms, NULL);
	l->stalls++;
	f->reported = elapsed;
}

static void leave_at(struct loop *l, uint64_t token, uint64_t now)
{
	assert(l->depth == token + 1);
	l->depth = (unsigned)token;
	struct frame *f = token < FRAMES ? &l->frames[token] : NULL;
	if (f == NULL)
		return;
	uint64_t elapsed = now - f->start;
	if (elapsed > l->longest_ns)
		l->longest_ns = elapsed;
	if (elapsed < NS_PER_MS)
		return;
	uv_update_time(&l->uv); /* or timers set from here on would fire too early */
	uint64_t cpu = look_at_cpu(l) - f->cpu;
	if (elapsed - f->reported > l->limit_ns)
		report(l, f, elapsed, cpu < elapsed ? cpu : elapsed);
	if (token > 0)
		l->frames[token - 1].reported += f->reported;
}

/* libuv goes from one callback of a poll to the next without waiting: where one ends the next begins. */
uint64_t loop_enter(struct loop *l, const char *name)
{
	bool follows = l->depth == 0 && l->left > 0;
	return enter_at(l, name, follows ? l->left : uv_hrtime());
}

void loop_leave(struct loop *l, uint64_t token)
{
	l->left = uv_hrtime();
	leave_at(l, token, l->left);
}

bool loop_must_yield(const struct loop *l)
{
	return l->depth > 0 && !l->is_virtual && uv_hrtime() - l->frames[0].start >= YIELD_NS;
}

void loop_set_watchdog(struct loop *l, unsigned ms)
{
	l->limit_ns = ms ? (uint64_t)ms * NS_PER_MS : NEVER;
}

uint64_t loop_longest_us(const struct loop *l)
{
	return l->longest_ns / 1000;
}

uint64_t loop_stalls(const struct loop *l)
{
	return l->stalls;
}

/* ---- timers ---- */

void timer_init_named(
	struct timer *t, struct loop *l, void (*fire)(struct timer *t), const char *name)
{
	*t = (struct timer){.loop = l, .fire = fire, .name = name};
}

void timer_set(struct timer *t, uint64_t ms)
{
	struct loop *l = t->loop;
	uint64_t now = loop_now_ms(l);
	heap_remove(&l->timers, &t->node);
	heap_insert(&l->timers, &t->node, ms < NEVER - now ? now + ms : NEVER);
}

void timer_stop(struct timer *t)
{
	if (timer_is_set(t))
		heap_remove(&t->loop->timers, &t->node);
}

/* Fires what was due, and set, when the pass began: later ones wait for the next turn. */
static void fire_timers(struct loop *l)
{
	uint64_t now = loop_now_ms(l), order = l->timers.next_order, clock = uv_hrtime();
	struct heap_node *n;
	while ((n = heap_min(&l->timers)) != NULL && n->key <= now && n->order < order) {
		struct timer *t = container_of(n, struct timer, node);
		heap_remove(&l->timers, n);
		l->ran = true;
		uint64_t token = enter_at(l, t->name, clock);
		t->fire(t);
		clock = uv_hrtime();
		leave_at(l, token, clock);
	}
}

static void on_timer(uv_timer_t *handle)
{
	struct loop *l = handle->data;
	l->armed = NEVER;
	fire_timers(l);
}

/* Only ever moved forward in time by firing: when the first timer is stopped, waking
 * up once for nothing costs less than restarting the uv timer on every stop. */
static void arm(struct loop *l)
{
	struct heap_node *n = heap_min(&l->timers);
	if (n == NULL || n->key >= l->armed)
		return;
	uint64_t now = loop_now_ms(l);
	l->armed = n->key;
	uv_timer_start(&l->timer, on_timer, n->key > now ? n->key - now : 0, 0);
}

/* ---- defers ---- */

void defer_init_named(
	struct defer *d, struct loop *l, void (*run)(struct defer *d), const char *name)
{
	*d = (struct defer){.loop = l, .run = run, .name = name};
	list_init(&d->node);
}

void defer_post(struct defer *d)
{
	if (list_empty(&d->node))
		list_push(&d->loop->defers, &d->node);
}

void defer_cancel(struct defer *d)
{
	list_remove(&d->node);
}

/* One round: those posted by the ones that run here come with the next. */
static void run_defers(struct loop *l)
{
	if (list_empty(&l->defers))
		return;
	uint64_t clock = uv_hrtime();
	struct list *n;
	list_move_all(&l->running, &l->defers);
	while ((n = list_pop(&l->running)) != NULL) {
		struct defer *d = container_of(n, struct defer, node);
		l->ran = true;
		uint64_t token = enter_at(l, d->name, clock);
		d->run(d);
		clock = uv_hrtime();
		leave_at(l, token, clock);
	}
}

static void on_idle(uv_idle_t *handle)
{
	(void)handle; /* being active is all it is for */
}

static void on_prepare(uv_prepare_t *handle)
{
	struct loop *l = handle->data;
	run_defers(l);
	arm(l);
	l->left = 0;
	if (uv_now(&l->uv) != l->cpu_at)
		(void)look_at_cpu(l);
	bool must_not_wait = !list_empty(&l->defers) || (l->single && l->ran);
	if (must_not_wait == l->idling)
		return;
	l->idling = must_not_wait;
	if (must_not_wait)
		uv_idle_start(&l->idle, on_idle);
	else
		uv_idle_stop(&l->idle);
}

static void on_check(uv_check_t *handle)
{
	struct loop *l = handle->data;
	run_defers(l);
	l->left = 0;
}

/* ---- work ---- */

struct work {
	uv_work_t req;
	struct list node; /* in works_waiting */
	struct defer later; /* not on the pool: refused, or in virtual time */
	struct timer end;   /* in virtual time: when it is done */
	bool has_place;
	struct loop *loop;
	void (*run)(void *data);
	void (*done)(void *data, const struct status *st);
	void *data;
};

static void on_work_run(uv_work_t *req)
{
	struct work *w = req->data;
	w->run(w->data);
}

static void start_waiting(struct loop *l);

static void work_end(struct work *w)
{
	struct status st = status_ok();
	struct loop *l = w->loop;
	l->works--;
	w->done(w->data, &st);
	free(w);
	start_waiting(l);
}

static void on_work_done(uv_work_t *req, int err)
{
	struct work *w = req->data;
	struct loop *l = w->loop;
	(void)err; /* only uv_cancel makes one, and nobody calls it */
	uint64_t token = loop_enter(l, "work");
	work_end(w);
	loop_leave(l, token);
}

static void on_work_end(struct timer *t)
{
	work_end(container_of(t, struct work, end));
}

static void on_work_later(struct defer *d)
{
	struct work *w = container_of(d, struct work, later);
	struct loop *l = w->loop;
	struct status st;
	if (w->has_place) {
		w->run(w->data);
		if (l->work_ms)
			timer_set(&w->end, l->work_ms(l->work_data));
		else
			work_end(w);
		return;
	}
	if (w->loop->closing)
		st = status_err(ST_UNAVAILABLE, "the process is stopping");
	else
		st = status_err(ST_RESOURCE_EXHAUSTED,
			"%d blocking calls are under way or waiting already; try again later",
			LOOP_WORK_LIMIT);
	w->done(w->data, &st);
	free(w);
}

static bool has_place(const struct loop *l)
{
	return l->works < LOOP_WORK_LIMIT && !l->closing;
}

static struct work *work_create(struct loop *l, void (*run)(void *data),
	void (*done)(void *data, const struct status *st), void *data)
{
	struct work *w = mem_alloc(sizeof *w);
	*w = (struct work){.loop = l, .run = run, .done = done, .data = data};
	w->req.data = w;
	list_init(&w->node);
	return w;
}

/* With a place or refused. */
static void work_start(struct work *w)
{
	struct loop *l = w->loop;
	w->has_place = has_place(l);
	if (w->has_place && !l->is_virtual &&
		uv_queue_work(&l->uv, &w->req, on_work_run, on_work_done) == 0) {
		l->works++;
		return;
	}
	w->has_place = w->has_place && l->is_virtual;
	l->works += w->has_place;
	timer_init(&w->end, l, on_work_end);
	defer_init(&w->later, l, on_work_later);
	defer_post(&w->later);
}

/* All of them, refused, when the loop goes. */
static void start_waiting(struct loop *l)
{
	while (!list_empty(&l->works_waiting) && (l->closing || has_place(l)))
		work_start(container_of(list_pop(&l->works_waiting), struct work, node));
}

void loop_work(struct loop *l, void (*run)(void *data),
	void (*done)(void *data, const struct status *st), void *data)
{
	work_start(work_create(l, run, done, data));
}

void loop_work_queued(struct loop *l, void (*run)(void *data),
	void (*done)(void *data, const struct status *st), void *data)
{
	struct work *w = work_create(l, run, done, data);
	if (has_place(l) || l->closing)
		work_start(w);
	else
		list_push(&l->works_waiting, &w->node);
}

/* ---- the loop ---- */

struct loop *loop_create(void)
{
	struct loop *l = mem_new(struct loop);
	int err = uv_loop_init(&l->uv);
	if (err)
		mem_abort(uv_strerror(err));
	heap_init(&l->timers);
	list_init(&l->defers);
	list_init(&l->running);
	list_init(&l->works_waiting);
	l->armed = NEVER;
	(void)look_at_cpu(l);
	l->limit_ns = 20 * NS_PER_MS;
	uv_timer_init(&l->uv, &l->timer);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_check_init(&l->uv, &l->check);
	uv_idle_init(&l->uv, &l->idle);
	l->timer.data = l->prepare.data = l->check.data = l->idle.data = l;
	uv_prepare_start(&l->prepare, on_prepare);
	uv_check_start(&l->check, on_check);
	return l;
}

void loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT); /* prepare and check keep it alive until uv_stop */
}

void loop_turn(struct loop *l)
{
	if (l->is_virtual) {
		run_defers(l);
		fire_timers(l);
		run_defers(l);
		return;
	}
	l->single = true;
	l->ran = false;
	uv_run(&l->uv, UV_RUN_ONCE);
	l->single = false;
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

uint64_t loop_now_ms(const struct loop *l)
{
	return l->is_virtual ? l->virtual_ms : uv_now(&l->uv);
}

uint64_t loop_next_ms(const struct loop *l)
{
	struct heap_node *n = heap_min(&l->timers);
	if (!list_empty(&l->defers))
		return loop_now_ms(l);
	return n ? n->key : NEVER;
}

void loop_set_now(struct loop *l, uint64_t ms)
{
	if (!l->is_virtual || ms > l->virtual_ms)
		l->virtual_ms = ms;
	l->is_virtual = true;
}

bool loop_skip(struct loop *l)
{
	struct heap_node *n = heap_min(&l->timers);
	loop_set_now(l, loop_now_ms(l));
	if (n == NULL || n->key == NEVER || !list_empty(&l->defers))
		return false;
	loop_set_now(l, n->key);
	return true;
}

void loop_set_work_ms(struct loop *l, uint64_t (*work_ms)(void *data), void *data)
{
	l->work_ms = work_ms;
	l->work_data = data;
}

static void close_left_open(uv_handle_t *h, void *arg)
{
	struct loop *l = arg;
	if (h->data == l) {
		uv_unref(h); /* ours: the others first */
		return;
	}
	if (uv_is_closing(h))
		return;
	log_error("a handle was left open", "type", uv_handle_type_name(h->type), NULL);
	l->left_open++;
	uv_close(h, NULL);
}

void loop_destroy(struct loop *l)
{
	if (l == NULL)
		return;
	l->closing = true;
	start_waiting(l);
	while (l->works > 0) {
		if (l->is_virtual)
			(void)loop_skip(l);
		loop_turn(l);
	}
	uv_walk(&l->uv, close_left_open, l);
	int alive;
	do {
		run_defers(l);
		alive = uv_run(&l->uv, UV_RUN_DEFAULT);
	} while (alive || !list_empty(&l->defers));
	uv_close((uv_handle_t *)&l->timer, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	assert(l->left_open == 0 && "whoever owns a handle closes it before loop_destroy");
	assert(heap_min(&l->timers) == NULL && "whoever owns a timer stops it before loop_destroy");
	if (uv_loop_close(&l->uv) != 0) {
		log_error("the event loop is still in use and is not freed", NULL);
		assert(false);
		return;
	}
	heap_finish(&l->timers);
	free(l);
}
