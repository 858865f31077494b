/* board: the view in a real Redis, of jobs that a table of operations tells: each change is in it, whatever is lost. */
#include "board/board.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <hiredis.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/str.h"
#include "db/events.h"
#include "loop/loop.h"
#include "redis/redis.h"
#include "../servers.h"

#define JOBS_MAX   1500
#define EVENTS_MAX 6000

static struct server server;

/* Jobs and the events about them, as PostgreSQL would tell. */
struct fake {
	struct db base;
	struct loop *loop;
	struct db_job jobs[JOBS_MAX];
	size_t n;
	struct db_stream_event events[EVENTS_MAX];
	size_t n_events, visible; /* what lies behind `visible` is held by an open transaction */
	unsigned paused;
	bool away;
	int views; /* how often a new one was begun */
	struct defer answer;
	struct { /* the operation under way: one at a time */
		db_position_done position;
		db_stream_done stream;
		db_jobs_done list;
		db_job_view_done view;
		void *data;
		struct db_stream_position after;
		unsigned limit, states;
		struct uuid before, ids[JOBS_MAX];
		size_t n;
	} op;
};

struct world {
	struct loop *loop;
	struct redis *redis;
	redisContext *look; /* to look with */
	struct fake db;
	struct board *board;
	bool stopped;
};

static void answer_list(struct fake *f, db_jobs_done done, void *data)
{
	struct db_job found[500];
	size_t n = 0;
	for (size_t i = f->n; i-- > 0 && n < f->op.limit;)
		if (f->op.states & 1u << f->jobs[i].state && (!f->op.before.text[0] || strcmp(f->jobs[i].id.text, f->op.before.text) < 0))
			found[n++] = f->jobs[i];
	struct status ok = status_ok();
	done(data, &ok, found, n, n == f->op.limit);
}

static void answer_view(struct fake *f, db_job_view_done done, void *data)
{
	static struct db_job found[JOBS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < f->op.n; i++)
		for (size_t k = 0; k < f->n; k++)
			if (strcmp(f->jobs[k].id.text, f->op.ids[i].text) == 0)
				found[n++] = f->jobs[k];
	struct status ok = status_ok();
	done(data, &ok, found, n, f->paused);
}

static void answer_stream(struct fake *f, db_stream_done done, void *data)
{
	size_t from = (size_t)f->op.after.xact, n = f->visible > from ? f->visible - from : 0;
	struct status ok = status_ok(), bad = status_err(ST_OUT_OF_RANGE, "this position is none of this database");
	struct db_stream_batch b = {.n = n < f->op.limit ? n : f->op.limit};
	b.events = f->events + from;
	b.more = b.n == f->op.limit;
	b.next = (struct db_stream_position){f->op.after.xact + (int64_t)b.n, 0};
	b.held = f->visible < f->n_events;
	done(data, from > f->n_events ? &bad : &ok, from > f->n_events ? NULL : &b);
}

static void on_answer(struct defer *d)
{
	struct fake *f = container_of(d, struct fake, answer);
	struct status away = status_err(ST_UNAVAILABLE, "no connection");
	__typeof__(f->op.position) position = f->op.position;
	__typeof__(f->op.stream) stream = f->op.stream;
	__typeof__(f->op.list) list = f->op.list;
	__typeof__(f->op.view) view = f->op.view;
	f->op.position = NULL;
	f->op.stream = NULL;
	f->op.list = NULL;
	f->op.view = NULL;
	struct status ok = status_ok();
	const struct status *st = f->away ? &away : &ok;
	if (position)
		position(f->op.data, st, (struct db_stream_position){(int64_t)f->visible, 0});
	else if (stream && f->away)
		stream(f->op.data, st, NULL);
	else if (stream)
		answer_stream(f, stream, f->op.data);
	else if (list && f->away)
		list(f->op.data, st, NULL, 0, false);
	else if (list)
		answer_list(f, list, f->op.data);
	else if (view && f->away)
		view(f->op.data, st, NULL, 0, 0);
	else if (view)
		answer_view(f, view, f->op.data);
}

static struct db_call *later(struct fake *f, void *data)
{
	f->op.data = data;
	defer_post(&f->answer);
	return NULL;
}

static struct db_call *position(struct db *db, int64_t since_us, db_position_done done, void *data)
{
	struct fake *f = (struct fake *)db;
	assert_int_equal(since_us, 0);
	f->views++;
	f->op.position = done;
	return later(f, data);
}

static struct db_call *read_stream(struct db *db, const struct db_scope *s, const struct db_stream_filter *filter,
	struct db_stream_position after, unsigned limit, db_stream_done done, void *data)
{
	struct fake *f = (struct fake *)db;
	assert_string_equal(s->project_id, "");
	assert_string_equal(filter->kinds[0], "job");
	f->op.stream = done;
	f->op.after = after;
	f->op.limit = limit;
	return later(f, data);
}

static struct db_call *list(struct db *db, const struct db_scope *s, const struct db_job_filter *filter, const struct db_page *page,
	db_jobs_done done, void *data)
{
	struct fake *f = (struct fake *)db;
	assert_string_equal(s->project_id, "");
	f->op.list = done;
	f->op.states = filter->states;
	f->op.limit = page->size;
	(void)snprintf(f->op.before.text, sizeof(f->op.before.text), "%s", page->before);
	return later(f, data);
}

static struct db_call *view(struct db *db, const struct uuid *ids, size_t n, db_job_view_done done, void *data)
{
	struct fake *f = (struct fake *)db;
	f->op.view = done;
	f->op.n = n;
	memcpy(f->op.ids, ids, n * sizeof(*ids));
	return later(f, data);
}

static const struct db_event_ops event_ops = {position, read_stream};
static const struct db_job_ops job_ops = {.list = list, .view = view};

/* ---- the world ---- */

static void event(struct world *w, const struct db_job *j)
{
	assert_true(w->db.n_events < EVENTS_MAX);
	w->db.events[w->db.n_events++].job_id = j->id;
}

/* Told when it is visible. */
static void tell(struct world *w)
{
	w->db.visible = w->db.n_events;
	if (w->board)
		board_wake(w->board);
}

static struct db_job *add(struct world *w, enum job_kind kind, enum job_state state)
{
	struct db_job *j = &w->db.jobs[w->db.n];
	assert_true(w->db.n < JOBS_MAX);
	*j = (struct db_job){.project = "p", .stack = "s", .kind = kind, .state = state, .step = "", .error = "", .error_code = "",
		.message = "", .owner = "", .attempts = STR("[]"), .params = STR("{}"), .created_us = 1000000, .run_us = 1000000,
		.finished_us = job_state_is_end(state) ? 2000000 + (int64_t)w->db.n * 1000 : 0};
	(void)snprintf(j->id.text, sizeof(j->id.text), "018f4c2e-7d1a-7c3b-9f00-%012zu", ++w->db.n);
	event(w, j);
	return j;
}

static void change(struct world *w, struct db_job *j, enum job_state state)
{
	j->state = state;
	j->finished_us = job_state_is_end(state) ? 3000000 + (int64_t)w->db.n_events * 1000 : 0;
	event(w, j);
}

static redisReply *ask(struct world *w, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	redisReply *r = redisvCommand(w->look, format, ap);
	va_end(ap);
	assert_non_null(r);
	return r;
}

static void order(struct world *w, const char *words)
{
	redisReply *r = ask(w, words);
	assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
	freeReplyObject(r);
}

/* "wait 3 active 1 …" of the deploy queue: what is not empty. */
static void counts(struct world *w, char *ret_text, size_t size)
{
	static const char *const places[] = {"wait", "active", "delayed", "completed", "failed"};
	size_t len = 0;
	ret_text[0] = '\0';
	for (size_t i = 0; i < 5; i++) {
		redisReply *r = ask(w, i < 2 ? "LLEN bull:skep-deploy:%s" : "ZCARD bull:skep-deploy:%s", places[i]);
		if (r->type == REDIS_REPLY_ERROR || r->integer > 0)
			len += (size_t)snprintf(ret_text + len, size - len, "%s%s %lld", len ? " " : "", places[i],
				r->type == REDIS_REPLY_ERROR ? -1 : r->integer);
		freeReplyObject(r);
	}
}

/* A view that is being made has no position yet. */
static bool is_whole(struct world *w)
{
	redisReply *r = ask(w, "HGET bull:skep-view position");
	bool whole = r->type == REDIS_REPLY_STRING && r->len > 0;
	freeReplyObject(r);
	return whole;
}

/* Runs until the deploy queue shows that. */
static void until(struct world *w, const char *expected)
{
	char shown[200];
	uint64_t begun = clock_system()->mono_ms(clock_system());
	do {
		loop_turn(w->loop);
		counts(w, shown, sizeof(shown));
		if (clock_system()->mono_ms(clock_system()) - begun > 20000)
			fail_msg("shown: %s; expected: %s", shown, expected);
	} while (strcmp(shown, expected) != 0 || !is_whole(w));
}

static void until_hash(struct world *w, const struct db_job *j, const char *name, const char *expected)
{
	char is[64] = "";
	uint64_t begun = clock_system()->mono_ms(clock_system());
	do {
		loop_turn(w->loop);
		redisReply *r = ask(w, "HGET bull:skep-deploy:%s %s", j->id.text, name);
		(void)snprintf(is, sizeof(is), "%s", r->str ? r->str : "");
		freeReplyObject(r);
		if (clock_system()->mono_ms(clock_system()) - begun > 20000)
			fail_msg("%s is \"%s\"; expected: \"%s\"", name, is, expected);
	} while (strcmp(is, expected) != 0);
}

static void on_time(struct timer *t)
{
	timer_set(t, 20);
}

static void run_ms(struct world *w, uint64_t ms)
{
	uint64_t until = clock_system()->mono_ms(clock_system()) + ms;
	struct timer turn; /* so that a turn comes to its end */
	timer_init(&turn, w->loop, on_time);
	timer_set(&turn, 20);
	while (clock_system()->mono_ms(clock_system()) < until)
		loop_turn(w->loop);
	timer_stop(&turn);
}

static struct board *begin(struct world *w, const char *owner)
{
	const struct board_options o = {.loop = w->loop, .db = &w->db.base, .redis = w->redis, .clock = clock_system(), .prefix = "bull",
		.owner = owner, .keep = 300, .listed = 700, .look_ms = 200};
	struct board *b = board_create(&o);
	board_start(b);
	return b;
}

static void on_stopped(void *data)
{
	*(bool *)data = true;
}

static void end(struct world *w)
{
	bool stopped = false;
	board_stop(w->board, on_stopped, &stopped);
	assert_false(stopped);
	while (!stopped)
		loop_turn(w->loop);
	board_destroy(w->board);
	w->board = NULL;
}

static int setup(void **state)
{
	static struct world world;
	struct status st;
	struct world *w = &world;
	memset(w, 0, sizeof(*w));
	w->loop = loop_create();
	const struct redis_options o = {.url = server.address};
	w->redis = redis_create(w->loop, &o, &st);
	assert_int_equal(st.code, ST_OK);
	while (!redis_is_up(w->redis))
		loop_turn(w->loop);
	w->look = redisConnectUnix(strchr(server.address, '/') + 2);
	assert_int_equal(w->look->err, 0);
	order(w, "FLUSHALL");
	w->db.base.events = &event_ops;
	w->db.base.jobs = &job_ops;
	w->db.loop = w->loop;
	defer_init(&w->db.answer, w->loop, on_answer);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	if (w->board)
		end(w);
	redis_destroy(w->redis);
	defer_cancel(&w->db.answer);
	loop_destroy(w->loop);
	redisFree(w->look);
	return 0;
}

/* ---- the tests ---- */

static void each_change_is_in_it(void **state)
{
	struct world *w = *state;
	struct db_job *old = add(w, JOB_DEPLOY, JOB_SUCCEEDED), *a = add(w, JOB_DEPLOY, JOB_PENDING), *b = add(w, JOB_DEPLOY, JOB_RUNNING);
	add(w, JOB_SCALE, JOB_PENDING);
	tell(w);
	w->board = begin(w, "d1");
	until(w, "wait 1 active 1 completed 1");
	until_hash(w, old, "name", "p/s");
	change(w, a, JOB_RUNNING);
	tell(w);
	until(w, "active 2 completed 1");
	change(w, a, JOB_FAILED);
	tell(w);
	until(w, "active 1 completed 1 failed 1");
	change(w, b, JOB_CANCELLED);
	change(w, a, JOB_PENDING); /* retried */
	a->run_us = clock_system()->wall_us(clock_system()) + 500000;
	tell(w);
	until(w, "delayed 1 completed 1 failed 1");
	until_hash(w, a, "failedReason", "");
	until(w, "wait 1 completed 1 failed 1"); /* when it is due */
	w->db.paused = 1u << JOB_DEPLOY;
	redisReply *r;
	do {
		loop_turn(w->loop);
		r = ask(w, "HGET bull:skep-deploy:meta paused");
		bool is = r->str && strcmp(r->str, "1") == 0;
		freeReplyObject(r);
		if (is)
			break;
	} while (true);
	w->db.n = 1; /* a project went with its jobs */
	event(w, a);
	event(w, b);
	tell(w);
	until(w, "completed 1");
	assert_int_equal(w->db.views, 1);
}

/* What an open transaction holds up is read when it ends. */
static void what_is_held_comes_later(void **state)
{
	struct world *w = *state;
	struct db_job *a = add(w, JOB_DEPLOY, JOB_PENDING);
	tell(w);
	w->board = begin(w, "d1");
	until(w, "wait 1");
	change(w, a, JOB_RUNNING);
	board_wake(w->board);
	run_ms(w, 300);
	until(w, "wait 1");
	w->db.visible = w->db.n_events; /* without a word */
	until(w, "active 1");
}

static void many_jobs_and_no_more_than_are_kept(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 450; i++)
		add(w, JOB_DEPLOY, JOB_PENDING);
	for (int i = 0; i < 450; i++)
		add(w, JOB_DEPLOY, i % 2 ? JOB_SUCCEEDED : JOB_FAILED);
	tell(w);
	w->board = begin(w, "d1");
	until(w, "wait 450 completed 225 failed 225");
	redisReply *r = ask(w, "LRANGE bull:skep-deploy:wait 0 -1"); /* the newest first, as BullMQ has it */
	assert_string_equal(r->element[0]->str, w->db.jobs[449].id.text);
	assert_string_equal(r->element[449]->str, w->db.jobs[0].id.text);
	freeReplyObject(r);
	for (size_t i = 0; i < 450; i++) {
		change(w, &w->db.jobs[i], JOB_RUNNING);
		change(w, &w->db.jobs[i], JOB_SUCCEEDED);
	}
	tell(w);
	until(w, "completed 300 failed 225");
	r = ask(w, "ZRANGE bull:skep-deploy:completed 0 0");
	assert_string_equal(r->element[0]->str, w->db.jobs[150].id.text); /* the oldest of them */
	freeReplyObject(r);
	/* Nothing is left of those that had to go. */
	size_t keys = 0;
	r = ask(w, "KEYS bull:skep-deploy:018*");
	keys = r->elements;
	freeReplyObject(r);
	assert_int_equal(keys, 525);
}

/* Emptied, written into, of wrong types: made anew. */
static void whatever_becomes_of_it(void **state)
{
	struct world *w = *state;
	static const char *const orders[] = {"FLUSHALL", "DEL bull:skep-view", "SET bull:skep-view x", "HSET bull:skep-view position x",
		"RENAME bull:skep-deploy:wait bull:skep-deploy:completed", "HSET bull:skep-view moved 5 position 7.7",
		"HSET bull:skep-view position 99999999.0", "DEL bull:skep-view-writer"};
	struct db_job *a = add(w, JOB_DEPLOY, JOB_PENDING);
	for (int i = 0; i < 3; i++)
		add(w, JOB_DEPLOY, i ? JOB_RUNNING : JOB_CANCELLED);
	tell(w);
	w->board = begin(w, "d1");
	until(w, "wait 1 active 2 failed 1");
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		order(w, orders[i]);
		change(w, a, i % 2 ? JOB_PENDING : JOB_SUCCEEDED);
		tell(w);
		until(w, i % 2 ? "wait 1 active 2 failed 1" : "active 2 completed 1 failed 1");
	}
	order(w, "DEL bull:skep-view-writer");
	order(w, "SADD bull:skep-view-writer x");
	change(w, a, JOB_FAILED);
	tell(w);
	until(w, "active 2 failed 2");
	/* What it shows is moved by bull-board's buttons; Skep's next word about the job puts it right. */
	order(w, "LREM bull:skep-deploy:active 0 018f4c2e-7d1a-7c3b-9f00-000000000003");
	order(w, "LPUSH bull:skep-deploy:wait 018f4c2e-7d1a-7c3b-9f00-000000000003");
	change(w, &w->db.jobs[2], JOB_FAILED);
	tell(w);
	until(w, "active 1 failed 3");
}

static void one_writes_and_another_goes_on(void **state)
{
	struct world *w = *state;
	struct db_job *a = add(w, JOB_DEPLOY, JOB_PENDING);
	tell(w);
	w->board = begin(w, "d1");
	until(w, "wait 1");
	end(w); /* says that it leaves, so the next one need not wait */
	w->db.away = true;
	w->board = begin(w, "d2");
	change(w, a, JOB_RUNNING);
	run_ms(w, 300);
	w->db.away = false;
	tell(w);
	until(w, "active 1");
	assert_int_equal(w->db.views, 1); /* it went on where the first one had been */
	/* Somebody else writes: hands off, until he is not heard of any more. */
	order(w, "SET bull:skep-view-writer d3 PX 600");
	change(w, a, JOB_SUCCEEDED);
	tell(w);
	run_ms(w, 300);
	until(w, "active 1");
	until(w, "completed 1");
	assert_int_equal(w->db.views, 1);
}

static void redis_comes_and_goes(void **state)
{
	struct world *w = *state;
	struct db_job *a = add(w, JOB_DEPLOY, JOB_PENDING);
	tell(w);
	w->board = begin(w, "d1");
	until(w, "wait 1");
	server_kill(&server, SIGKILL);
	change(w, a, JOB_RUNNING);
	tell(w);
	while (redis_is_up(w->redis))
		loop_turn(w->loop);
	server_start(&server);
	redisReconnect(w->look);
	until(w, "active 1");
	assert_int_equal(w->db.views, 2);
}

static int start_server(void **state)
{
	(void)state;
	alarm(240);
	server_start_redis(&server, NULL);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	server_stop(&server);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_change_is_in_it),
		TEST(what_is_held_comes_later),
		TEST(many_jobs_and_no_more_than_are_kept),
		TEST(whatever_becomes_of_it),
		TEST(one_writes_and_another_goes_on),
		TEST(redis_comes_and_goes),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
