#include "board/board.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "board/entry.h"
#include "board/script.h"
#include "db/events.h"
#include "loop/loop.h"
#include "redis/redis.h"

#define BATCH      200   /* events a look, jobs a script */
#define CLEAR      "500" /* jobs of a list a script */
#define KEEP       1000
#define LISTED     10000
#define HOLD_MS    "10000" /* who writes is given up behind it */
#define LOOK_MS    3000    /* until the next look, without news, after a failure, and whether anybody writes */
#define ANEW_MS    10000   /* after a failure that a new view has not mended */
#define NEWS_MS    100     /* between two looks, however much news there is */
#define HELD_MS    500     /* while an open transaction holds events up */
#define OLD_MS     3600000 /* then it is made anew */
#define BEHIND_MS  600000  /* a view that nobody has moved for so long is not caught up with but made anew */

enum board_state { BOARD_HOLD, BOARD_READ, BOARD_BEGIN, BOARD_CLEAR, BOARD_LIST, BOARD_LOAD, BOARD_PUT };

struct board {
	struct board_options o;
	struct arena *arena; /* texts of `o` and the names of keys and queues */
	const char *view, *writer, *queues;
	struct timer timer;
	enum board_state state;
	bool under_way, stopping;
	bool writes; /* as far as we know */
	bool anew;   /* the view cannot be gone on with */
	bool told;   /* that Redis refuses it */

	struct db_stream_position at, next; /* what lies behind it is not in the view yet; where that read led */
	bool more, held, dirty;
	struct uuid ids[BATCH]; /* of jobs to be put */
	size_t n;
	struct buf entries, paused;

	/* While a view is made: jobs of these states, newest first, behind that one. */
	bool making, last;
	unsigned states, listed;
	struct uuid before;

	struct defer stopped;
	void (*on_stopped)(void *data);
	void *stopped_data;
};

#define OPEN  (1u << JOB_PENDING | 1u << JOB_RUNNING)
#define ENDED (1u << JOB_SUCCEEDED | 1u << JOB_FAILED | 1u << JOB_CANCELLED)

static const struct db_scope everybody = {.project_id = "", .actor = "board", .method = "", .request_id = ""};

static void board_tick(struct board *b);

static void go(struct board *b, enum board_state state)
{
	b->state = state;
	b->under_way = true;
	board_tick(b);
}

static void rest(struct board *b, enum board_state state, uint64_t ms)
{
	b->state = state;
	b->under_way = false;
	if (b->stopping)
		defer_post(&b->stopped);
	else
		timer_set(&b->timer, ms);
}

static int64_t now_us(const struct board *b)
{
	return b->o.clock->wall_us(b->o.clock);
}

/* ---- failures ---- */

static void put_off(struct board *b, uint64_t ms)
{
	b->writes = b->making = false;
	rest(b, BOARD_HOLD, ms);
}

/* app tells of a database that is away. */
static void db_failed(struct board *b, const struct status *st)
{
	b->anew |= st->code == ST_OUT_OF_RANGE;
	put_off(b, b->o.look_ms);
}

/* app tells of a Redis that is away, too; what it refuses (a user without rights, memory, a key of another type) we do. */
static void redis_failed(struct board *b, const struct status *st)
{
	bool away = st->code == ST_UNAVAILABLE || st->code == ST_DEADLINE_EXCEEDED || st->code == ST_CANCELLED;
	if (!away && !b->told)
		log_warn("the view for bull-board cannot be written; it is made anew until it can", "prefix", b->o.prefix, "error",
			st->message, NULL);
	put_off(b, away || !b->told ? b->o.look_ms : ANEW_MS);
	b->told |= !away;
	b->anew |= !away;
}

/* ---- Redis ---- */

static void run(struct board *b, const char *script, redis_done done, size_t n, const struct str *args)
{
	struct str argv[5 + 16] = {STR("EVAL"), str_of(script), STR("2"), str_of(b->view), str_of(b->writer)};
	for (size_t i = 0; i < n; i++)
		argv[5 + i] = args[i];
	redis_command(b->o.redis, done, b, 5 + n, argv);
}

static bool position_of(struct str text, struct db_stream_position *ret_at)
{
	struct str xact = str_cut(&text, '.');
	return str_to_i64(xact, &ret_at->xact) && str_to_i64(text, &ret_at->seq) && ret_at->xact >= 0 && ret_at->seq >= 0;
}

static void on_held(void *data, const struct status *st, const struct redisReply *reply)
{
	struct board *b = data;
	struct str answer[4];
	if (!status_is_ok(st)) {
		redis_failed(b, st);
		return;
	}
	size_t n = redis_reply_texts(reply, answer, 4);
	if (n < 4) {
		put_off(b, b->o.look_ms);
		return;
	}
	int64_t now_ms = now_us(b) / 1000, made = 0, moved = 0;
	bool old = !str_to_i64(answer[2], &made) || !str_to_i64(answer[3], &moved) || llabs(now_ms - made) > OLD_MS ||
		llabs(now_ms - moved) > BEHIND_MS;
	b->writes = true;
	go(b, old || b->anew || !position_of(answer[1], &b->at) ? BOARD_BEGIN : BOARD_READ);
}

static void on_cleared(void *data, const struct status *st, const struct redisReply *reply)
{
	struct board *b = data;
	if (!status_is_ok(st))
		redis_failed(b, st);
	else if (redis_reply_number(reply) == 0)
		put_off(b, b->o.look_ms);
	else
		go(b, redis_reply_number(reply) == 2 ? BOARD_CLEAR : BOARD_LIST);
}

/* Of a view that is made: the jobs that have not ended, then some that have, then where it stands. */
static void on_listed_put(struct board *b)
{
	if (!b->last && b->states == OPEN) {
		b->states = ENDED;
		b->before.text[0] = '\0';
		go(b, BOARD_LIST);
	} else if (!b->last) {
		b->last = true;
		b->n = 0;
		go(b, BOARD_LOAD);
	} else {
		b->making = b->anew = b->told = false;
		log_info("a new view for bull-board", "prefix", b->o.prefix, NULL);
		go(b, BOARD_READ);
	}
}

static void on_put(void *data, const struct status *st, const struct redisReply *reply)
{
	struct board *b = data;
	if (!status_is_ok(st)) {
		redis_failed(b, st);
	} else if (redis_reply_number(reply) == 0) {
		put_off(b, 0);
	} else if (b->making && b->more) {
		go(b, BOARD_LIST);
	} else if (b->making) {
		on_listed_put(b);
	} else {
		b->at = b->next;
		if (b->more)
			go(b, BOARD_READ);
		else
			rest(b, BOARD_READ, b->dirty ? NEWS_MS : b->held ? HELD_MS : b->o.look_ms);
	}
}

static void put(struct board *b)
{
	char from[48], to[48], now[24], keep[16];
	bool rest_of_making = b->making && !b->last;
	(void)snprintf(from, sizeof(from), "%lld.%lld", (long long)b->at.xact, (long long)b->at.seq);
	(void)snprintf(to, sizeof(to), "%lld.%lld", (long long)b->next.xact, (long long)b->next.seq);
	(void)snprintf(now, sizeof(now), "%lld", (long long)now_us(b) / 1000);
	(void)snprintf(keep, sizeof(keep), "%u", b->o.keep);
	const struct str args[] = {str_of(b->o.owner), STR(HOLD_MS), str_of(b->queues), str_of(b->o.prefix),
		str_of(b->making ? "" : from), str_of(rest_of_making ? "" : to), str_of(now), str_of(keep),
		str_of(b->making ? "tail" : "head"), buf_str(&b->entries), buf_str(&b->paused)};
	run(b, board_script_put, on_put, sizeof(args) / sizeof(args[0]), args);
}

/* ---- PostgreSQL ---- */

static void on_view(void *data, const struct status *st, const struct db_job *jobs, size_t n, unsigned paused_kinds)
{
	struct board *b = data;
	char queue[BOARD_QUEUE_MAX];
	if (!status_is_ok(st)) {
		db_failed(b, st);
		return;
	}
	b->entries.len = b->paused.len = 0;
	board_entries(&b->entries, b->ids, b->n, jobs, n, now_us(b));
	buf_addc(&b->paused, '[');
	for (int k = JOB_DEPLOY; k < JOB_KINDS; k++)
		if (paused_kinds & 1u << k)
			buf_fmt(&b->paused, "%s\"%s\"", b->paused.len > 1 ? "," : "", board_queue(queue, (enum job_kind)k));
	buf_addc(&b->paused, ']');
	go(b, BOARD_PUT);
}

static void on_events(void *data, const struct status *st, const struct db_stream_batch *batch)
{
	struct board *b = data;
	struct map seen;
	if (!status_is_ok(st)) {
		db_failed(b, st);
		return;
	}
	map_init(&seen);
	b->n = 0;
	for (size_t i = 0; i < batch->n; i++) {
		const struct uuid *id = &batch->events[i].job_id;
		if (!id->text[0] || map_gets(&seen, id->text))
			continue;
		b->ids[b->n] = *id;
		map_puts(&seen, b->ids[b->n].text, b);
		b->n++;
	}
	map_finish(&seen);
	b->next = batch->next;
	b->more = batch->more;
	b->held = batch->held;
	go(b, BOARD_LOAD);
}

static void on_begun(void *data, const struct status *st, struct db_stream_position at)
{
	struct board *b = data;
	if (!status_is_ok(st)) {
		db_failed(b, st);
		return;
	}
	b->next = at; /* what happens while the view is made is read again from there on */
	b->making = true;
	b->last = false;
	b->states = OPEN;
	b->before.text[0] = '\0';
	b->listed = 0;
	go(b, BOARD_CLEAR);
}

static void on_list(void *data, const struct status *st, const struct db_job *jobs, size_t n, bool more)
{
	struct board *b = data;
	if (!status_is_ok(st)) {
		db_failed(b, st);
		return;
	}
	for (size_t i = 0; i < n; i++)
		b->ids[i] = jobs[i].id;
	b->n = n;
	b->before = n ? jobs[n - 1].id : b->before;
	b->listed += b->states == ENDED ? (unsigned)n : 0;
	b->more = more && b->listed < b->o.listed;
	go(b, BOARD_LOAD);
}

static void list(struct board *b)
{
	const struct db_job_filter f = {.project = "", .stack = "", .states = b->states};
	const struct db_page page = {.size = BATCH, .before = b->before.text};
	b->o.db->jobs->list(b->o.db, &everybody, &f, &page, on_list, b);
}

static void read_events(struct board *b)
{
	static const char *const kinds[] = {"job"};
	const struct db_stream_filter f = {.project = "", .stack = "", .kinds = kinds, .n_kinds = 1};
	b->dirty = false;
	b->o.db->events->read(b->o.db, &everybody, &f, b->at, BATCH, on_events, b);
}

/* ---- the machine ---- */

static void board_tick(struct board *b)
{
	struct db *db = b->o.db;
	const struct str who[] = {str_of(b->o.owner), STR(HOLD_MS)};
	const struct str all[] = {who[0], who[1], str_of(b->queues), str_of(b->o.prefix), STR(CLEAR)};
	if (b->stopping) {
		rest(b, b->state, 0);
		return;
	}
	switch (b->state) {
	case BOARD_HOLD:
		run(b, board_script_hold, on_held, 2, who);
		return;
	case BOARD_READ:
		b->making = false;
		read_events(b);
		return;
	case BOARD_BEGIN:
		db->events->position(db, 0, on_begun, b);
		return;
	case BOARD_CLEAR:
		run(b, board_script_clear, on_cleared, 5, all);
		return;
	case BOARD_LIST:
		list(b);
		return;
	case BOARD_LOAD:
		db->jobs->view(db, b->ids, b->n, on_view, b);
		return;
	case BOARD_PUT:
		put(b);
		return;
	}
}

static void on_timer(struct timer *t)
{
	struct board *b = container_of(t, struct board, timer);
	go(b, b->state);
}

/* ---- life ---- */

static void on_left(void *data, const struct status *st, const struct redisReply *reply)
{
	struct board *b = data;
	(void)st; /* then it is given up in time */
	(void)reply;
	b->on_stopped(b->stopped_data);
}

static void on_stopped(struct defer *d)
{
	struct board *b = container_of(d, struct board, stopped);
	const struct str who = str_of(b->o.owner);
	if (b->writes)
		run(b, board_script_leave, on_left, 1, &who);
	else
		b->on_stopped(b->stopped_data);
}

static const char *queue_list(struct arena *a)
{
	char queue[BOARD_QUEUE_MAX];
	struct buf list = {0};
	for (int k = JOB_DEPLOY; k < JOB_KINDS; k++)
		buf_fmt(&list, "%s\"%s\"", k == JOB_DEPLOY ? "[" : ",", board_queue(queue, (enum job_kind)k));
	buf_addc(&list, ']');
	const char *text = str_dup(a, buf_str(&list));
	buf_finish(&list);
	return text;
}

struct board *board_create(const struct board_options *o)
{
	struct board *b = mem_new(struct board);
	b->arena = arena_create();
	b->o = *o;
	b->o.prefix = arena_strdup(b->arena, o->prefix);
	b->o.owner = arena_strdup(b->arena, o->owner);
	b->o.keep = o->keep ? o->keep : KEEP;
	b->o.listed = o->listed ? o->listed : LISTED;
	b->o.look_ms = o->look_ms ? o->look_ms : LOOK_MS;
	b->view = arena_fmt(b->arena, "%s:skep-view", o->prefix);
	b->writer = arena_fmt(b->arena, "%s:skep-view-writer", o->prefix);
	b->queues = queue_list(b->arena);
	timer_init(&b->timer, o->loop, on_timer);
	defer_init(&b->stopped, o->loop, on_stopped);
	return b;
}

void board_start(struct board *b)
{
	timer_set(&b->timer, 0);
}

void board_wake(struct board *b)
{
	bool first = !b->dirty; /* a timer that is set again and again never fires */
	b->dirty = true;
	if (first && b->writes && !b->under_way && !b->stopping)
		timer_set(&b->timer, NEWS_MS);
}

void board_stop(struct board *b, void (*done)(void *data), void *data)
{
	b->stopping = true;
	b->on_stopped = done;
	b->stopped_data = data;
	timer_stop(&b->timer);
	if (!b->under_way)
		defer_post(&b->stopped);
}

void board_destroy(struct board *b)
{
	if (!b)
		return;
	timer_stop(&b->timer);
	defer_cancel(&b->stopped);
	buf_finish(&b->entries);
	buf_finish(&b->paused);
	arena_destroy(b->arena);
	free(b);
}
