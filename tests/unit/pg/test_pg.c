/* pg on a server that is well: statements, batches, scripts, errors, cancel, deadline. */
#include <setjmp.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include "reply.h"
#include "../servers.h"

struct fixture {
	struct loop *loop;
	struct pg *pg;
};

static struct server server;

static int start_server(void **state)
{
	(void)state;
	alarm(240);
	server_start_pg(&server, NULL);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	server_stop(&server);
	return 0;
}

static void open_pool(struct fixture *f, unsigned size, size_t queue_limit)
{
	struct pg_options o = {
		.conninfo = server.address, .pool_size = size, .queue_limit = queue_limit};
	f->pg = pg_create(f->loop, &o);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->loop = loop_create();
	loop_set_watchdog(f->loop, 0);
	open_pool(f, 0, 0);
	run_ok(f->loop, f->pg,
		"drop table if exists t;"
		"create table t (id bigint primary key, name text constraint named check (name <> "
		"''));");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	pg_destroy(f->pg);
	loop_destroy(f->loop);
	free(f);
	return 0;
}

/* The fixture's pool made anew, with one connection. */
static void one_connection(struct fixture *f)
{
	pg_destroy(f->pg);
	open_pool(f, 1, 0);
}

static const struct pg_stmt insert = {"t.insert", "insert into t (id, name) values ($1, $2)"};
static const struct pg_stmt count = {"t.count", "select count(*) from t"};

static void add_insert(struct pg_batch *b, int64_t id, const char *name)
{
	pg_add(b, &insert);
	pg_bind_i64(b, id);
	pg_bind_text(b, name);
}

static void expect_count(struct fixture *f, const char *n)
{
	struct reply r = {0};
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_add(b, &count);
	pg_run(b, 20000, on_reply, &r);
	reply_wait(f->loop, &r);
	assert_ok(&r.st);
	assert_string_equal(r.cell[0][0], n);
}

/* ---- parameters and results ---- */

static void check_kinds(void *data, const struct status *st, const struct pg_results *r)
{
	assert_ok(st);
	assert_int_equal(pg_result_count(r), 1);
	assert_int_equal(pg_rows(r, 0), 1);
	assert_string_equal(pg_text(r, 0, 0, 0), "Ünïcødé 🐝 'quoted\" \\ text");
	assert_true(str_is(pg_str(r, 0, 0, 1), "view"));
	assert_true(pg_i64(r, 0, 0, 2) == INT64_MIN);
	assert_true(pg_f64(r, 0, 0, 3) == 0.1);
	assert_true(isinf(pg_f64(r, 0, 0, 4)) && pg_f64(r, 0, 0, 4) < 0);
	assert_true(isnan(pg_f64(r, 0, 0, 5)));
	assert_true(pg_bool(r, 0, 0, 6));
	assert_false(pg_bool(r, 0, 0, 7));
	struct str bytes = pg_bytes(r, 0, 0, 8);
	assert_int_equal(bytes.len, 256);
	for (int i = 0; i < 256; i++)
		assert_int_equal((unsigned char)bytes.ptr[i], i);
	assert_true(pg_is_null(r, 0, 0, 9));
	assert_string_equal(pg_text(r, 0, 0, 9), "");
	assert_true(pg_is_null(r, 0, 0, 10));
	assert_string_equal(pg_text(r, 0, 0, 11), "4|a,b|\"q\" \\ {x}||é");
	assert_false(pg_is_null(r, 0, 0, 0));
	assert_int_equal(pg_str(r, 0, 0, 12).len, 0); /* empty text is not null */
	assert_false(pg_is_null(r, 0, 0, 12));
	assert_string_equal(pg_text(r, 0, 0, 13), "2026-03-01 12:00:00.5+00");
	/* what is not there */
	assert_string_equal(pg_text(r, 0, 1, 0), "");
	assert_string_equal(pg_text(r, 0, 0, 99), "");
	assert_string_equal(pg_text(r, 7, -1, -1), "");
	assert_true(pg_is_null(r, 1, 0, 0));
	assert_int_equal(pg_bytes(r, 1, 0, 0).len, 0);
	assert_int_equal(pg_i64(r, 0, 0, 0), 0);
	assert_int_equal(pg_rows(r, 1), 0);
	assert_int_equal(pg_affected(r, 1), 0);
	*(int *)data += 1;
}

static void test_bind_kinds(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt s = {"kinds",
		"select $1::text, $2::text, $3::bigint, $4::float8, $5::float8, $6::float8, "
		"$7::bool, $8::bool,"
		" $9::bytea, $10::int, $11::text, cardinality($12::text[]) || '|' || "
		"array_to_string($12::text[], '|', ''),"
		" $13::text, timestamptz '2026-03-01 13:00:00.5+01'"};
	static const char *const texts[] = {"a,b", "\"q\" \\ {x}", NULL, "é"};
	char all[256];
	int done = 0;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_add(b, &s);
	pg_bind_text(b, "Ünïcødé 🐝 'quoted\" \\ text");
	pg_bind_str(b, str_make("viewed from here", 4));
	pg_bind_i64(b, INT64_MIN);
	pg_bind_f64(b, 0.1);
	pg_bind_f64(b, -INFINITY);
	pg_bind_f64(b, NAN);
	pg_bind_bool(b, true);
	pg_bind_bool(b, false);
	pg_bind_bytes(b, str_make(all, sizeof all));
	pg_bind_null(b);
	pg_bind_text(b, NULL);
	pg_bind_text_array(b, texts, 4);
	pg_bind_str(b, str_make(NULL, 0));
	pg_run(b, 20000, check_kinds, &done);
	while (done == 0)
		loop_turn(f->loop);
}

static void test_batch_of_many(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt all = {"t.all", "select id, name from t order by id desc"};
	static const struct pg_stmt change = {
		"t.change", "update t set name = name || '!' where id < $1"};
	struct reply r = {0};
	struct pg_batch *b = pg_batch_create(f->pg);
	add_insert(b, 1, "one");
	add_insert(b, 2, "two");
	pg_add(b, &change);
	pg_bind_i64(b, 100);
	pg_add(b, &all);
	pg_run(b, 20000, on_reply, &r);
	reply_wait(f->loop, &r);
	assert_ok(&r.st);
	assert_int_equal(r.count, 4);
	assert_int_equal(r.affected[0], 1);
	assert_int_equal(r.affected[2], 2);
	assert_int_equal(r.rows[3], 2);
	assert_string_equal(r.cell[3][1], "two!");
	assert_false(r.sent);
	assert_string_equal(r.sqlstate, "");
}

static void test_empty_batch(void **state)
{
	struct fixture *f = *state;
	struct reply r = {0};
	pg_run(pg_batch_create(f->pg), 20000, on_reply, &r);
	assert_int_equal(r.calls, 0);
	reply_wait(f->loop, &r);
	assert_ok(&r.st);
	assert_int_equal(r.count, 0);
	struct pg_batch *never_run = pg_batch_create(f->pg);
	add_insert(never_run, 1, "x");
	pg_batch_destroy(never_run);
	pg_batch_destroy(NULL);
}

static void expect_mistake(
	struct fixture *f, struct pg_batch *b, enum st_code code, const char *words)
{
	struct reply r = {0};
	pg_run(b, 20000, on_reply, &r);
	assert_int_equal(r.calls, 0);
	reply_wait(f->loop, &r);
	assert_status(&r.st, code, words);
	assert_false(r.sent);
}

static void test_mistakes_in_building(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt long_name = {
		"a name of a statement that PostgreSQL would have to cut off", "select 1"};
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_bind_i64(b, 1);
	expect_mistake(f, b, ST_INTERNAL, "before any statement");
	b = pg_batch_create(f->pg);
	pg_add(b, &insert);
	pg_bind_str(b, str_make("a\0b", 3));
	expect_mistake(f, b, ST_INVALID_ARGUMENT, "NUL byte");
	b = pg_batch_create(f->pg);
	pg_add(b, &count);
	pg_add_script(b, "select 1");
	expect_mistake(f, b, ST_INTERNAL, "alone");
	b = pg_batch_create(f->pg);
	pg_add_script(b, "select 1");
	pg_add(b, &count);
	expect_mistake(f, b, ST_INTERNAL, "alone");
	b = pg_batch_create(f->pg);
	pg_add(b, &long_name);
	expect_mistake(f, b, ST_INTERNAL, "longer than 50 bytes");
	b = pg_batch_create(f->pg);
	pg_add(b, &insert);
	pg_bind_i64(b, 1);
	expect_mistake(f, b, ST_INTERNAL, "statement t.insert: bind message supplies 1 parameters");
	b = pg_batch_create(f->pg);
	pg_add(b, &insert);
	for (int i = 0; i < 65536; i++)
		pg_bind_null(b);
	expect_mistake(f, b, ST_INTERNAL, "more than 65535 parameters");
}

/* ---- errors ---- */

static void test_failure_rolls_the_batch_back(void **state)
{
	struct fixture *f = *state;
	struct reply r = {0};
	struct pg_batch *b = pg_batch_create(f->pg);
	add_insert(b, 1, "kept?");
	add_insert(b, 1, "twice");
	add_insert(b, 2, "never reached");
	pg_run(b, 20000, on_reply, &r);
	reply_wait(f->loop, &r);
	assert_status(&r.st, ST_ALREADY_EXISTS,
		"duplicate key value violates unique constraint \"t_pkey\": Key (id)=(1) already "
		"exists.");
	assert_string_equal(r.sqlstate, "23505");
	assert_string_equal(r.constraint, "t_pkey");
	assert_int_equal(r.count, 0);
	assert_false(r.sent);
	expect_count(f, "0");

	memset(&r, 0, sizeof r);
	b = pg_batch_create(f->pg);
	add_insert(b, 1, "");
	pg_run(b, 20000, on_reply, &r);
	reply_wait(f->loop, &r);
	assert_status(&r.st, ST_FAILED_PRECONDITION, "named");
	assert_string_equal(r.constraint, "named");
}

static void test_failure_at_the_commit(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt late = {"late.insert", "insert into late values ($1), ($1)"};
	struct reply r = {0};
	run_ok(f->loop, f->pg,
		"drop table if exists late; create table late (id int constraint once unique "
		"deferrable initially deferred)");
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_add(b, &late);
	pg_bind_i64(b, 7);
	pg_run(b, 20000, on_reply, &r);
	reply_wait(f->loop, &r);
	assert_status(&r.st, ST_ALREADY_EXISTS, "once");
	assert_string_equal(r.constraint, "once");
	expect_count(f, "0"); /* the connection goes on */
}

static void test_raised_codes_and_words(void **state)
{
	struct fixture *f = *state;
	struct reply r = run_text(f->loop, f->pg,
		"do $$ begin raise 'stack is busy' using errcode = 'SK009', detail = 'job 7 runs', "
		"hint = 'wait'; end $$");
	assert_status(&r.st, ST_FAILED_PRECONDITION, "stack is busy: job 7 runs (hint: wait)");
	assert_string_equal(r.sqlstate, "SK009");
	r = run_text(f->loop, f->pg, "selec 1");
	assert_status(&r.st, ST_INTERNAL, "syntax error at or near \"selec\"");
}

static void test_errors_among_others(void **state)
{
	struct fixture *f = *state;
	enum { N = 300 };
	struct reply *r = calloc(N, sizeof *r);
	one_connection(f);
	for (int i = 0; i < N; i++) {
		struct pg_batch *b = pg_batch_create(f->pg);
		add_insert(b, i, i % 3 == 1 ? "" : "good");
		pg_run(b, 20000, on_reply, &r[i]);
	}
	for (int i = 0; i < N; i++) {
		reply_wait(f->loop, &r[i]);
		assert_int_equal(r[i].st.code, i % 3 == 1 ? ST_FAILED_PRECONDITION : ST_OK);
		assert_int_equal(r[i].calls, 1);
	}
	expect_count(f, "200");
	free(r);
}

/* ---- prepared statements ---- */

/* In one turn, on one connection: the first batch fails at its Parse, so the statement that the
 * others count on is never prepared by it. */
static void test_parse_that_was_skipped(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt wrong = {"wrong", "select * from there_is_no_such_table"};
	struct reply bad = {0}, good[3] = {{0}};
	one_connection(f);
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_add(b, &wrong);
	add_insert(b, 1, "never");
	pg_run(b, 20000, on_reply, &bad);
	for (int i = 0; i < 3; i++) {
		b = pg_batch_create(f->pg);
		add_insert(b, 10 + i, "good");
		pg_run(b, 20000, on_reply, &good[i]);
	}
	reply_wait(f->loop, &bad);
	assert_status(&bad.st, ST_INTERNAL, "statement wrong: relation \"there_is_no_such_table\"");
	for (int i = 0; i < 3; i++) {
		reply_wait(f->loop, &good[i]);
		assert_ok(&good[i].st);
	}
	expect_count(f, "3");
}

/* Parse is not undone by the roll-back: the next use must not prepare again. */
static void test_parse_outlives_the_failure(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt names = {
		"names", "select count(*) from pg_prepared_statements"};
	struct reply r = {0};
	one_connection(f);
	struct pg_batch *b = pg_batch_create(f->pg);
	add_insert(b, 1, "");
	pg_add(b, &count);
	pg_run(b, 20000, on_reply, &r);
	reply_wait(f->loop, &r);
	assert_int_equal(r.st.code, ST_FAILED_PRECONDITION);
	for (int i = 0; i < 2; i++) {
		memset(&r, 0, sizeof r);
		b = pg_batch_create(f->pg);
		add_insert(b, 1 + i, "good");
		pg_add(b, &count);
		pg_add(b, &names);
		pg_run(b, 20000, on_reply, &r);
		reply_wait(f->loop, &r);
		assert_ok(&r.st);
	}
	assert_string_equal(r.cell[2][0], "3"); /* each of them once */
}

static void test_plan_gone_stale(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt star = {"t.star", "select * from t"};
	one_connection(f);
	for (int i = 0; i < 2; i++) {
		struct reply r[2] = {{0}};
		for (int k = 0; k < 2; k++) {
			struct pg_batch *b = pg_batch_create(f->pg);
			add_insert(b, 10 * i + k, "row");
			pg_add(b, &star);
			pg_run(b, 20000, on_reply, &r[k]);
		}
		for (int k = 0; k < 2; k++) {
			reply_wait(f->loop, &r[k]);
			assert_ok(&r[k].st);
		}
		run_ok(f->loop, f->pg,
			i == 0 ? "alter table t add column x int" : "alter table t drop column x");
	}
	expect_count(f, "4");
}

static void test_deallocated_behind_our_back(void **state)
{
	struct fixture *f = *state;
	one_connection(f);
	expect_count(f, "0");
	run_ok(f->loop, f->pg, "deallocate all");
	expect_count(f, "0");
}

/* ---- many, and large ---- */

static void test_ten_thousand(void **state)
{
	struct fixture *f = *state;
	enum { N = 10000 };
	struct reply *r = calloc(N, sizeof *r);
	for (int i = 0; i < N; i++) {
		struct pg_batch *b = pg_batch_create(f->pg);
		add_insert(b, i, "many");
		pg_run(b, 60000, on_reply, &r[i]);
	}
	for (int i = 0; i < N; i++) {
		reply_wait(f->loop, &r[i]);
		assert_ok(&r[i].st);
		assert_int_equal(r[i].calls, 1);
	}
	expect_count(f, "10000");
	free(r);
}

/* Both sides' buffers are full in both directions: whoever only wrote would hang. */
static void test_large_both_ways(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt echo = {
		"echo", "select length($1::text), repeat('x', 3000000)"};
	enum { N = 12, LEN = 2000000 };
	struct reply r[N] = {{0}};
	char *text = malloc(LEN + 1);
	memset(text, 'y', LEN);
	text[LEN] = '\0';
	one_connection(f);
	for (int i = 0; i < N; i++) {
		struct pg_batch *b = pg_batch_create(f->pg);
		pg_add(b, &echo);
		pg_bind_text(b, text);
		pg_run(b, 60000, on_reply, &r[i]);
	}
	for (int i = 0; i < N; i++) {
		reply_wait(f->loop, &r[i]);
		assert_ok(&r[i].st);
		assert_string_equal(r[i].cell[0][0], "2000000");
	}
	free(text);
}

static void test_pool_grows_when_deep(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt nap = {"nap", "select pg_sleep(0.05)"};
	struct reply r[60] = {{0}};
	for (int i = 0; i < 60; i++) {
		struct pg_batch *b = pg_batch_create(f->pg);
		pg_add(b, &nap);
		pg_run(b, 20000, on_reply, &r[i]);
	}
	reply_wait(f->loop, &r[0]);
	struct reply n = run_text(f->loop, f->pg,
		"select count(*) > 1 and count(*) <= 4 from pg_stat_activity where "
		"application_name = 'skep'");
	assert_string_equal(n.cell[0][0], "t");
	for (int i = 0; i < 60; i++)
		reply_wait(f->loop, &r[i]);
}

/* ---- scripts ---- */

static void test_script_is_atomic(void **state)
{
	struct fixture *f = *state;
	struct reply r = run_text(f->loop, f->pg,
		"insert into t values (1, 'a'), (2, 'b'); select name from t order by id; select "
		"5");
	assert_ok(&r.st);
	assert_int_equal(r.count, 3);
	assert_int_equal(r.affected[0], 2);
	assert_string_equal(r.cell[1][0], "a");
	assert_string_equal(r.cell[2][0], "5");
	r = run_text(f->loop, f->pg,
		"create table u (id int); insert into t values (3, 'c'); select 1/0");
	assert_status(&r.st, ST_INVALID_ARGUMENT, "division by zero");
	assert_int_equal(r.count, 0);
	r = run_text(f->loop, f->pg, "select count(*), to_regclass('u') is null from t");
	assert_string_equal(r.cell[0][0], "2");
	assert_string_equal(r.cell[0][1], "t");
	run_ok(f->loop, f->pg, "-- nothing but a comment");
}

static void test_script_among_batches(void **state)
{
	struct fixture *f = *state;
	struct reply r[30] = {{0}};
	one_connection(f);
	for (int i = 0; i < 30; i++) {
		struct pg_batch *b = pg_batch_create(f->pg);
		if (i % 10 == 5)
			pg_add_script(b, "update t set name = 'changed'; select count(*) from t");
		else
			add_insert(b, i, "row");
		pg_run(b, 20000, on_reply, &r[i]);
	}
	for (int i = 0; i < 30; i++) {
		reply_wait(f->loop, &r[i]);
		assert_ok(&r[i].st);
	}
	assert_string_equal(r[5].cell[1][0], "5");
	assert_string_equal(r[25].cell[1][0], "23");
}

static void test_script_that_misbehaves(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt copy = {"copy", "copy t from stdin"};
	struct reply r = run_text(f->loop, f->pg, "begin; insert into t values (1, 'x')");
	assert_status(&r.st, ST_INTERNAL, "left a transaction open");
	expect_count(f, "0");
	r = run_text(f->loop, f->pg, "copy t from stdin");
	assert_status(&r.st, ST_UNIMPLEMENTED, "cannot COPY");
	expect_count(f, "0");
	r = run_text(f->loop, f->pg, "copy t to stdout");
	assert_status(&r.st, ST_UNIMPLEMENTED, "cannot COPY");
	memset(&r, 0, sizeof r);
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_add(b, &copy);
	pg_run(b, 20000, on_reply, &r);
	reply_wait(f->loop, &r);
	assert_status(&r.st, ST_UNIMPLEMENTED, "cannot COPY");
	expect_count(f, "0");
}

/* ---- giving up ---- */

static const struct pg_stmt slow = {"slow", "select pg_sleep(60)"};

static void test_cancel_waiting(void **state)
{
	struct fixture *f = *state;
	struct reply r = {0};
	struct pg_batch *b = pg_batch_create(f->pg);
	add_insert(b, 1, "x");
	struct pg_batch *ticket = pg_run(b, 20000, on_reply, &r);
	pg_cancel(ticket);
	pg_cancel(ticket);
	assert_int_equal(r.calls, 0);
	reply_wait(f->loop, &r);
	assert_status(&r.st, ST_CANCELLED, "");
	assert_false(r.sent);
	expect_count(f, "0");
	assert_int_equal(r.calls, 1);
}

/* Its results come after its end, and are nobody's. */
static void test_cancel_sent(void **state)
{
	struct fixture *f = *state;
	struct reply r = {0}, next = {0};
	one_connection(f);
	expect_count(f, "0"); /* connected */
	static const struct pg_stmt nap = {"nap", "select pg_sleep(0.3)"};
	struct pg_batch *b = pg_batch_create(f->pg);
	add_insert(b, 1, "x");
	pg_add(b, &nap);
	struct pg_batch *ticket = pg_run(b, 20000, on_reply, &r);
	b = pg_batch_create(f->pg);
	pg_add(b, &count);
	pg_run(b, 20000, on_reply, &next);
	loop_turn(f->loop); /* sent */
	pg_cancel(ticket);
	reply_wait(f->loop, &r);
	assert_status(&r.st, ST_CANCELLED, "");
	assert_true(r.sent);
	reply_wait(f->loop, &next);
	assert_ok(&next.st);
	assert_string_equal(next.cell[0][0], "1");
	assert_int_equal(r.calls, 1);
}

/* The one behind a statement that hangs is not lost with it, though the cancel may hit it instead.
 */
static void test_deadline(void **state)
{
	struct fixture *f = *state;
	struct reply r = {0}, behind[3] = {{0}};
	one_connection(f);
	expect_count(f, "0");
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_add(b, &slow);
	pg_run(b, 100, on_reply, &r);
	for (int i = 0; i < 3; i++) {
		b = pg_batch_create(f->pg);
		add_insert(b, i, "x");
		pg_run(b, 20000, on_reply, &behind[i]);
	}
	reply_wait(f->loop, &r);
	assert_status(&r.st, ST_DEADLINE_EXCEEDED, "PostgreSQL: no answer within 100 ms");
	assert_true(r.sent);
	for (int i = 0; i < 3; i++) {
		reply_wait(f->loop, &behind[i]);
		assert_ok(&behind[i].st);
	}
	expect_count(f, "3");
}

/* As soon as the statement runs. */
static void cancel_backend(struct fixture *f, struct pg *admin, const char *pid)
{
	char sql[800];
	(void)snprintf(sql, sizeof sql,
		"do $$ begin while not exists (select from pg_stat_activity where pid = %s and "
		"state = 'active') loop perform pg_stat_clear_snapshot(); end loop; "
		"perform pg_cancel_backend(%s); end $$",
		pid, pid);
	run_ok(f->loop, admin, sql);
}

/* What an administrator cancels is told; what our own late request hit is sent again. */
static void test_cancel_that_hits_another(void **state)
{
	struct fixture *f = *state;
	static const struct pg_stmt stubborn = {"stubborn",
		"do $$ begin perform pg_sleep(60); exception when query_canceled then null; "
		"end $$"};
	static const struct pg_stmt nap = {"nap",
		"select pg_sleep(1), set_config('test.ran', "
		"coalesce(current_setting('test.ran', true), '') || 'x', false)"};
	struct pg_options o = {.conninfo = server.address, .pool_size = 1};
	struct pg *admin = pg_create(f->loop, &o);
	struct reply r = {0}, hit[2] = {{0}};
	one_connection(f);
	run_ok(f->loop, admin, "select 1");
	struct reply pid = run_text(f->loop, f->pg, "select pg_backend_pid()");
	for (int i = 0; i < 2; i++) {
		struct pg_batch *b = pg_batch_create(f->pg);
		pg_add(b, &nap);
		pg_run(b, 20000, on_reply, &hit[i]);
		loop_turn(f->loop);
		cancel_backend(f, admin, pid.cell[0][0]);
		reply_wait(f->loop, &hit[i]);
		if (i == 1)
			break;
		b = pg_batch_create(f->pg);
		pg_add(b, &stubborn);
		pg_run(b, 50, on_reply, &r);
		reply_wait(f->loop, &r);
		expect_count(f, "0"); /* our request has ended the stubborn one, and well */
	}
	assert_int_equal(r.st.code, ST_DEADLINE_EXCEEDED);
	assert_status(&hit[0].st, ST_DEADLINE_EXCEEDED, "canceling statement due to user request");
	assert_ok(&hit[1].st);
	assert_string_equal(hit[1].cell[0][1], "x"); /* the first attempt was rolled back */
	pg_destroy(admin);
}

static void test_deadline_while_all_are_busy(void **state)
{
	struct fixture *f = *state;
	struct reply nap = {0}, r = {0};
	one_connection(f);
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_add_script(b, "select pg_sleep(0.5)");
	pg_run(b, 20000, on_reply, &nap);
	b = pg_batch_create(f->pg);
	add_insert(b, 1, "x");
	pg_run(b, 100, on_reply, &r);
	reply_wait(f->loop, &r);
	assert_status(&r.st, ST_DEADLINE_EXCEEDED, "every connection to PostgreSQL was busy");
	assert_false(r.sent);
	reply_wait(f->loop, &nap);
	assert_ok(&nap.st);
	expect_count(f, "0");
}

static void test_queue_limit(void **state)
{
	struct fixture *f = *state;
	struct reply r[12] = {{0}};
	pg_destroy(f->pg);
	open_pool(f, 1, 10);
	for (int i = 0; i < 12; i++) {
		struct pg_batch *b = pg_batch_create(f->pg);
		add_insert(b, i, "x");
		pg_run(b, 20000, on_reply, &r[i]);
	}
	for (int i = 0; i < 12; i++)
		reply_wait(f->loop, &r[i]);
	assert_ok(&r[9].st);
	assert_status(&r[10].st, ST_RESOURCE_EXHAUSTED, "10 batches are waiting");
	assert_status(&r[11].st, ST_RESOURCE_EXHAUSTED, "try again later");
	expect_count(f, "10");
}

struct again {
	struct fixture *f;
	struct reply first, second;
};

static void on_end_run_again(void *data, const struct status *st, const struct pg_results *results)
{
	struct again *a = data;
	on_reply(&a->first, st, results);
	struct pg_batch *b = pg_batch_create(a->f->pg);
	add_insert(b, 2, "x");
	pg_run(b, 20000, on_reply, &a->second);
}

static void test_destroy(void **state)
{
	struct fixture *f = *state;
	struct reply sent = {0}, given_up = {0};
	struct again a = {.f = f};
	one_connection(f);
	expect_count(f, "0");
	struct pg_batch *b = pg_batch_create(f->pg);
	pg_add(b, &slow);
	pg_run(b, 20000, on_reply, &sent);
	b = pg_batch_create(f->pg);
	add_insert(b, 1, "x");
	struct pg_batch *ticket = pg_run(b, 20000, on_reply, &given_up);
	loop_turn(f->loop); /* both sent */
	pg_cancel(ticket);
	reply_wait(f->loop, &given_up);
	b = pg_batch_create(f->pg);
	add_insert(b, 1, "x");
	pg_run(b, 20000, on_end_run_again, &a);
	pg_destroy(f->pg);
	f->pg = NULL;
	assert_status(&sent.st, ST_CANCELLED, "being closed");
	assert_true(sent.sent);
	assert_status(&a.first.st, ST_CANCELLED, "being closed");
	assert_false(a.first.sent);
	assert_int_equal(a.second.calls, 0);
	reply_wait(f->loop, &a.second);
	assert_status(&a.second.st, ST_CANCELLED, "being closed");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bind_kinds),
		TEST(test_batch_of_many),
		TEST(test_empty_batch),
		TEST(test_mistakes_in_building),
		TEST(test_failure_rolls_the_batch_back),
		TEST(test_failure_at_the_commit),
		TEST(test_raised_codes_and_words),
		TEST(test_errors_among_others),
		TEST(test_parse_that_was_skipped),
		TEST(test_parse_outlives_the_failure),
		TEST(test_plan_gone_stale),
		TEST(test_deallocated_behind_our_back),
		TEST(test_ten_thousand),
		TEST(test_large_both_ways),
		TEST(test_pool_grows_when_deep),
		TEST(test_script_is_atomic),
		TEST(test_script_among_batches),
		TEST(test_script_that_misbehaves),
		TEST(test_cancel_waiting),
		TEST(test_cancel_sent),
		TEST(test_deadline),
		TEST(test_cancel_that_hits_another),
		TEST(test_deadline_while_all_are_busy),
		TEST(test_queue_limit),
		TEST(test_destroy),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
