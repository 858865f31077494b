#include "stacks/lookout.h"

#include <stdlib.h>
#include "base/mem.h"
#include "loop/loop.h"
#include "stacks/release.h"

/* So old may services and nodes be of which no event has told. */
#define QUIET_MS 5000
/* After a look that took long: so many times as long nothing is asked. */
#define REST_FACTOR 3
#define REST_MAX_MS 3000
/* After every look: a millisecond for so many services and tasks. */
#define REST_LISTED 10
#define REST_LISTED_MAX_MS 1000

/* One look. It outlives a lookout that is stopped: the last of its requests frees it. */
struct look {
	struct lookout *lookout; /* NULL: given up */
	unsigned lists; /* that watchers get: those that are read, and those that stand as they are */
	unsigned waiting;
	uint64_t number; /* the first one is 1 */
	struct lookout_times times;
	struct status st;
	struct request {
		struct look *look;
		enum picture_list list;
		struct docker_call *call; /* NULL: not under way */
	} requests[PICTURE_LISTS];
};
struct lookout {
	struct loop *loop;
	struct docker *docker;
	struct picture *picture;
	struct list watchers;
	struct timer next;
	uint64_t next_ms; /* what it is set to; UINT64_MAX: not set */
	struct docker_events *events;
	bool hears, stopped;
	struct look *look; /* under way, until all have their answers; NULL: none */
	struct list due;   /* whom the look still has to answer */
	struct defer more; /* answers */
	struct lookout_watcher cursor; /* among the watchers, behind the one that is told of an event */
	uint64_t looks, n_events; /* so far */
	uint64_t rest_until_ms, short_rest_ms; /* short: for who has written */
	unsigned known;   /* lists that were read, and nothing has been heard since */
	uint64_t read_ms[PICTURE_LISTS];
};

static void schedule(struct lookout *lo);

/* ---- the answer ---- */

static bool is_answered_by(const struct lookout_watcher *w, const struct look *k)
{
	return w->lists && (w->lists & ~k->lists) == 0 && w->looks_then < k->number &&
	       w->from_ms <= k->times.begun_ms;
}

static void answers_over(struct lookout *lo)
{
	free(lo->look);
	lo->look = NULL;
	schedule(lo);
}

/* Some a turn: there may be a thousand. Any of them may leave, and wish again, and make others do
 * so. */
static void answer_more(struct defer *d)
{
	struct lookout *lo = container_of(d, struct lookout, more);
	struct list *n;
	while (!lo->stopped && (n = list_pop(&lo->due)) != NULL) {
		struct lookout_watcher *w = container_of(n, struct lookout_watcher, due);
		const struct look *k = lo->look;
		w->lists = 0;
		w->on_look(w, &k->st, &k->times);
		if (!list_empty(&lo->due) && loop_must_yield(lo->loop)) {
			defer_post(&lo->more);
			return;
		}
	}
	if (!lo->stopped)
		answers_over(lo);
}

/* Who has written waits no longer than a long list costs. */
static uint64_t long_list_rest_ms(const struct picture *p)
{
	uint64_t ms = (p->n_services + p->n_tasks + p->n_current) / REST_LISTED;
	return ms < REST_LISTED_MAX_MS ? ms : REST_LISTED_MAX_MS;
}

static void look_over(struct look *k)
{
	struct lookout *lo = k->lookout;
	uint64_t rest;
	if (!lo) {
		free(k);
		return;
	}
	k->times.ended_ms = loop_now_ms(lo->loop);
	rest = (k->times.ended_ms - k->times.begun_ms) * REST_FACTOR;
	lo->rest_until_ms = k->times.ended_ms + (rest < REST_MAX_MS ? rest : REST_MAX_MS);
	lo->short_rest_ms = k->times.ended_ms + long_list_rest_ms(lo->picture);
	list_for_each (&lo->watchers, n) {
		struct lookout_watcher *w = container_of(n, struct lookout_watcher, node);
		if (is_answered_by(w, k))
			list_push(&lo->due, &w->due);
	}
	answer_more(&lo->more);
}

/* First thing in every completion: into whose picture the answer goes; NULL: nobody's. */
static struct lookout *answered(struct request *q, const struct status *st)
{
	struct look *k = q->look;
	struct lookout *lo = k->lookout;
	q->call = NULL;
	if (!lo)
		return NULL;
	if (status_is_ok(st))
		return lo;
	lo->known &= ~LOOKOUT_LIST(q->list);
	if (status_is_ok(&k->st))
		k->st = *st;
	return NULL;
}

/* Last thing. */
static void part_over(struct look *k)
{
	if (--k->waiting == 0)
		look_over(k);
}

static void on_services(
	void *data, const struct status *st, const struct docker_service *s, size_t n)
{
	struct request *q = data;
	struct lookout *lo = answered(q, st);
	if (lo)
		picture_set_services(lo->picture, s, n);
	part_over(q->look);
}

static void on_tasks(void *data, const struct status *st, const struct docker_task *t, size_t n)
{
	struct request *q = data;
	struct lookout *lo = answered(q, st);
	if (lo)
		picture_set_tasks(lo->picture, t, n);
	part_over(q->look);
}

static void on_current(void *data, const struct status *st, const struct docker_task *t, size_t n)
{
	struct request *q = data;
	struct lookout *lo = answered(q, st);
	if (lo)
		picture_set_current(lo->picture, t, n);
	part_over(q->look);
}

static void on_nodes(void *data, const struct status *st, const struct docker_node *m, size_t n)
{
	struct request *q = data;
	struct lookout *lo = answered(q, st);
	if (lo)
		picture_set_nodes(lo->picture, m, n);
	part_over(q->look);
}

/* ---- looking ---- */

static bool must_be_read(const struct lookout *lo, enum picture_list list)
{
	bool quiet = list == PICTURE_SERVICES || list == PICTURE_NODES;
	return !quiet || !lo->hears || !(lo->known & LOOKOUT_LIST(list)) ||
	       loop_now_ms(lo->loop) - lo->read_ms[list] >= QUIET_MS;
}

static struct docker_call *ask(struct lookout *lo, struct request *q)
{
	static const char *const stacked[] = {LABEL_NAMESPACE, NULL};
	const struct picture *p = lo->picture;
	const struct docker_filter services = {
		.labels = stacked, .brief = true, .known = p->services, .n_known = p->n_services};
	const struct docker_task_filter
		tasks = {.labels = stacked, .brief = true, .known = p->tasks, .n_known = p->n_tasks},
		current = {.labels = stacked,
			.up_to_date = true,
			.brief = true,
			.known = p->current,
			.n_known = p->n_current};
	switch (q->list) {
	case PICTURE_SERVICES:
		return docker_service_list(lo->docker, &services, 0, on_services, q);
	case PICTURE_TASKS:
		return docker_task_list(lo->docker, &tasks, 0, on_tasks, q);
	case PICTURE_CURRENT:
		return docker_task_list(lo->docker, &current, 0, on_current, q);
	case PICTURE_NODES:
		return docker_node_list(lo->docker, 0, on_nodes, q);
	case PICTURE_LISTS:
		break;
	}
	return NULL;
}

/* Everything that somebody wants now. */
static unsigned wanted_lists(const struct lookout *lo)
{
	uint64_t now = loop_now_ms(lo->loop);
	unsigned lists = 0;
	list_for_each (&lo->watchers, n) {
		const struct lookout_watcher *w = container_of(n, struct lookout_watcher, node);
		if (w->from_ms <= now)
			lists |= w->lists;
	}
	return lists;
}

static void look_now(struct lookout *lo)
{
	struct look *k = mem_new(struct look);
	k->lookout = lo;
	k->number = ++lo->looks;
	k->lists = wanted_lists(lo);
	k->times.begun_ms = loop_now_ms(lo->loop);
	lo->look = k;
	k->waiting = 1;
	for (unsigned i = 0; i < PICTURE_LISTS; i++) {
		struct request *q = &k->requests[i];
		*q = (struct request){.look = k, .list = (enum picture_list)i};
		if (!(k->lists & LOOKOUT_LIST(i)) || !must_be_read(lo, q->list))
			continue;
		k->waiting++;
		lo->known |= LOOKOUT_LIST(i);
		lo->read_ms[i] = k->times.begun_ms;
		q->call = ask(lo, q);
	}
	part_over(k);
}

/* When this one's look is due; an Engine that took long rests before. */
static uint64_t due_ms(const struct lookout *lo, const struct lookout_watcher *w)
{
	if (!w->lists)
		return UINT64_MAX;
	uint64_t rest = w->urgent ? lo->short_rest_ms : lo->rest_until_ms;
	return w->by_ms > rest ? w->by_ms : rest;
}

static void set_next(struct lookout *lo, uint64_t at)
{
	uint64_t now = loop_now_ms(lo->loop);
	if (at == UINT64_MAX)
		timer_stop(&lo->next);
	else
		timer_set(&lo->next, at > now ? at - now : 0);
	lo->next_ms = at;
}

/* The timer stands at the nearest wish. */
static void schedule(struct lookout *lo)
{
	uint64_t at = UINT64_MAX;
	if (lo->look || lo->stopped)
		return;
	list_for_each (&lo->watchers, n) {
		uint64_t by = due_ms(lo, container_of(n, struct lookout_watcher, node));
		if (by < at)
			at = by;
	}
	set_next(lo, at);
}

/* The wish it was set for may have been taken back meanwhile. */
static void on_next(struct timer *t)
{
	struct lookout *lo = container_of(t, struct lookout, next);
	lo->next_ms = UINT64_MAX;
	if (lo->look)
		return;
	schedule(lo);
	if (lo->next_ms <= loop_now_ms(lo->loop)) {
		set_next(lo, UINT64_MAX);
		look_now(lo);
	}
}

/* ---- events ---- */

static void doubt(struct lookout *lo, unsigned lists)
{
	lo->known &= ~lists;
}

static void on_event(void *data, const struct docker_event *e)
{
	struct lookout *lo = data;
	struct list *n, *cursor = &lo->cursor.node;
	lo->n_events++;
	if (e->type == DOCKER_EVENT_RESET || e->type == DOCKER_EVENT_LOST) {
		lo->hears = e->type == DOCKER_EVENT_RESET;
		doubt(lo, LOOKOUT_LIST(PICTURE_SERVICES) | LOOKOUT_LIST(PICTURE_NODES));
	}
	if (e->type == DOCKER_EVENT_SERVICE)
		doubt(lo, LOOKOUT_LIST(PICTURE_SERVICES));
	if (e->type == DOCKER_EVENT_NODE)
		doubt(lo, LOOKOUT_LIST(PICTURE_NODES));
	list_push_front(&lo->watchers, cursor);
	while (!lo->stopped && (n = cursor->next) != &lo->watchers) {
		struct lookout_watcher *w = container_of(n, struct lookout_watcher, node);
		list_remove(cursor);
		list_push_front(n, cursor); /* behind it */
		if (w->on_event && w->event != lo->n_events)
			w->on_event(w, e);
	}
	list_remove(cursor);
}

/* ---- watchers ---- */

void lookout_join(struct lookout *lo, struct lookout_watcher *w)
{
	w->lookout = lo;
	w->lists = 0;
	w->event = lo->n_events; /* none that is being told of now */
	list_init(&w->due);
	list_push(&lo->watchers, &w->node);
}

void lookout_leave(struct lookout_watcher *w)
{
	if (!w->lookout)
		return;
	lookout_withdraw(w);
	list_remove(&w->node);
	w->lookout = NULL;
}

static void wish(struct lookout_watcher *w, unsigned lists, uint64_t from, uint64_t by, bool urgent)
{
	struct lookout *lo = w->lookout;
	uint64_t now = loop_now_ms(lo->loop);
	w->lists = lists;
	w->from_ms = now + from;
	w->by_ms = now + (by > from ? by : from);
	w->looks_then = lo->looks;
	w->urgent = urgent;
	list_remove(&w->due);
	if (!lo->look && !lo->stopped && due_ms(lo, w) < lo->next_ms)
		set_next(lo, due_ms(lo, w));
}

void lookout_wish(struct lookout_watcher *w, unsigned lists, uint64_t from, uint64_t by)
{
	wish(w, lists, from, by, false);
}

void lookout_wish_anew(struct lookout_watcher *w, unsigned lists, uint64_t ms)
{
	doubt(w->lookout, lists);
	wish(w, lists, ms, ms, true);
}

void lookout_withdraw(struct lookout_watcher *w)
{
	w->lists = 0;
	if (w->lookout)
		list_remove(&w->due);
}

const struct picture *lookout_picture(const struct lookout *lo)
{
	return lo->picture;
}

bool lookout_hears(const struct lookout *lo)
{
	return lo->hears;
}

/* ---- life ---- */

struct lookout *lookout_create(struct loop *l, struct docker *d)
{
	struct lookout *lo = mem_new(struct lookout);
	lo->loop = l;
	lo->docker = d;
	lo->picture = picture_create(l);
	list_init(&lo->watchers);
	list_init(&lo->due);
	list_init(&lo->cursor.node);
	lo->next_ms = UINT64_MAX;
	timer_init(&lo->next, l, on_next);
	defer_init(&lo->more, l, answer_more);
	return lo;
}

void lookout_start(struct lookout *lo)
{
	lo->events = docker_events_start(lo->docker, on_event, lo);
}

void lookout_stop(struct lookout *lo)
{
	struct look *k = lo->look;
	lo->stopped = true;
	timer_stop(&lo->next);
	if (lo->events)
		docker_events_stop(lo->docker, lo->events);
	lo->events = NULL;
	lo->look = NULL;
	defer_cancel(&lo->more);
	while (list_pop(&lo->due))
		;
	if (!k)
		return;
	if (k->waiting == 0) { /* its answers were being given */
		free(k);
		return;
	}
	k->lookout = NULL;
	for (size_t i = 0; i < PICTURE_LISTS; i++)
		if (k->requests[i].call)
			docker_cancel(lo->docker, k->requests[i].call);
}

void lookout_destroy(struct lookout *lo)
{
	if (!lo)
		return;
	lookout_stop(lo);
	picture_destroy(lo->picture);
	free(lo);
}
