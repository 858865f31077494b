/* events: the stream of all of them: each once and in order, whatever is open beside it. */
#include "world.h"

#define EVENTS (w->db->events)

static const struct db_stream_filter everything = {.project = "", .stack = ""};

static struct db_stream_position now(struct world *w)
{
	return RUN_OK(w, EVENTS->position(w->db, 0, on_position, &a)).position;
}

static struct answer look_at(struct world *w, struct db *db, struct db_stream_position after, unsigned limit)
{
	return RUN_OK(w, db->events->read(db, &admin, &everything, after, limit, on_batch, &a));
}

/* "kind/message" of each. */
static const char *texts(struct world *w, const struct answer *a)
{
	struct buf b = {0};
	for (size_t i = 0; i < a->n; i++)
		buf_fmt(&b, "%s%s/%s", i ? " " : "", a->batch.events[i].e.kind, a->batch.events[i].e.message);
	char *text = str_dup(w->arena, buf_str(&b));
	buf_finish(&b);
	return text;
}

#define INSERT(message) \
	"insert into events (project_id, kind, message) select id, 'test', '" message "' from projects where name = 'demo'"

/* Another session, beside psql. */
static PGconn *session(void)
{
	return PQconnectdb(server.address);
}

static void run(PGconn *c, const char *text)
{
	PGresult *res = PQexec(c, text);
	assert_true(PQresultStatus(res) == PGRES_COMMAND_OK || PQresultStatus(res) == PGRES_TUPLES_OK);
	PQclear(res);
}

/* A number from a sequence alone would lose `late`: it is smaller than what was read already. */
static void what_commits_late_is_not_lost(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_stream_position at = now(w);
	PGconn *open = session();
	run(open, "begin");
	run(open, INSERT("late"));
	psql(w, INSERT("a"));
	psql(w, INSERT("b"));
	struct answer held = look_at(w, w->db, at, 100);
	assert_string_equal(texts(w, &held), "");
	assert_true(held.batch.held);
	run(open, INSERT("later"));
	run(open, "commit");
	struct answer all = look_at(w, w->db2, held.batch.next, 100); /* by another daemon */
	assert_string_equal(texts(w, &all), "test/late test/later test/a test/b");
	assert_false(all.batch.held || all.batch.more);
	struct answer none = look_at(w, w->db, all.batch.next, 100);
	assert_int_equal(none.n, 0);
	/* From each of them on: what is behind it, and nothing twice. */
	for (size_t i = 0; i < all.n; i++) {
		struct answer rest = look_at(w, w->db, all.batch.events[i].at, 100);
		assert_int_equal(rest.n, all.n - 1 - i);
	}
	PQfinish(open);
}

/* Writers that overlap in every order, one that stays open all the time, and a reader in small pieces. */
static void each_is_read_once(void **state)
{
	struct world *w = *state;
	PGconn *writers[4], *open = session();
	bool busy[4] = {false};
	unsigned written = 0, seen = 0, seed = 7;
	make_project(w, "demo");
	struct db_stream_position at = now(w);
	psql(w, "create temp table seen (message text primary key)"); /* fails for one that comes twice */
	for (int i = 0; i < 4; i++)
		writers[i] = session();
	run(open, "begin");
	for (int round = 0; round < 300; round++) {
		unsigned i = (seed = seed * 1103515245 + 12345) >> 16 & 3;
		if (round == 100) { /* from here on something older than all that follows is open */
			run(open, INSERT("the open one"));
			written++;
		}
		if (round == 250)
			run(open, "commit");
		if (!busy[i])
			run(writers[i], "begin");
		run(writers[i], arena_fmt(w->arena, "insert into events (project_id, kind, message) select id, 'test', '%u'"
			" from projects", written++));
		if (busy[i])
			run(writers[i], "commit");
		busy[i] = !busy[i];
		struct answer got = look_at(w, round % 2 ? w->db : w->db2, at, 3);
		for (size_t k = 0; k < got.n; k++, seen++)
			psql(w, arena_fmt(w->arena, "insert into seen values ('%s')", got.batch.events[k].e.message));
		at = got.batch.next;
	}
	for (int i = 0; i < 4; i++) {
		if (busy[i])
			run(writers[i], "commit");
		PQfinish(writers[i]);
	}
	for (bool more = true; more;) {
		struct answer got = look_at(w, w->db, at, 3);
		seen += (unsigned)got.n;
		at = got.batch.next;
		more = got.batch.more;
	}
	assert_int_equal(seen, written);
	PQfinish(open);
}

static void filters(void **state)
{
	struct world *w = *state;
	static const char *const ended[] = {"job.ended"}, *const job[] = {"job"};
	make_project(w, "demo");
	struct uuid other = make_project(w, "other");
	struct db_stream_position at = now(w);
	running_stack(w, "demo", "web");
	running_stack(w, "demo", "api");
	running_stack(w, "other", "web");
	struct db_scope theirs = scope_of(&other);
	const struct {
		const struct db_scope *scope;
		struct db_stream_filter f;
		size_t n; /* of job.ended, job.started and job.created each stack has one */
	} cases[] = {
		{&admin, {.project = "", .stack = "", .kinds = ended, .n_kinds = 1}, 3},
		{&admin, {.project = "demo", .stack = "", .kinds = ended, .n_kinds = 1}, 2},
		{&admin, {.project = "demo", .stack = "web", .kinds = job, .n_kinds = 1}, 3},
		{&admin, {.project = "", .stack = "web", .kinds = ended, .n_kinds = 1}, 2},
		{&admin, {.project = "demo", .stack = "nowhere"}, 0},
		{&theirs, {.project = "", .stack = "", .kinds = job, .n_kinds = 1}, 3},
		{&theirs, {.project = "", .stack = "api"}, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer got = RUN_OK(w, EVENTS->read(w->db, cases[i].scope, &cases[i].f, at, 100, on_batch, &a));
		if (got.n != cases[i].n)
			fail_msg("case %zu: %zu: %s", i, got.n, texts(w, &got));
	}
	const struct db_stream_filter demo = {.project = "demo", .stack = ""};
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", EVENTS->read(w->db, &theirs, &demo, at, 100, on_batch, &a));
	struct answer first = look_at(w, w->db, at, 1);
	assert_string_equal(first.batch.events[0].project, "demo");
	assert_string_equal(first.batch.events[0].stack, "web");
	assert_int_equal(first.batch.events[0].e.sequence, 1);
	assert_true(first.batch.more);
}

static void since(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	psql(w, INSERT("old"));
	psql(w, "update events set created_at = now() - interval '1 minute'");
	psql(w, INSERT("new"));
	int64_t ago = clock_system()->wall_us(clock_system()) - 30000000;
	struct db_stream_position at = RUN_OK(w, EVENTS->position(w->db, ago, on_position, &a)).position;
	struct answer got = look_at(w, w->db, at, 10);
	assert_string_equal(texts(w, &got), "test/new");
}

/* Transactions are numbered anew in a restored database. */
static void after_a_dump_was_restored(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	psql(w, INSERT("old"));
	psql(w, "update events set xact = '4000000000000'");
	RUN_FAILS(w, ST_OUT_OF_RANGE, "Begin anew", EVENTS->read(w->db, &admin, &everything,
		(struct db_stream_position){4000000000000, 1}, 10, on_batch, &a));
	struct db_stream_position at = now(w);
	assert_true(look_at(w, w->db, at, 10).batch.held);
	psql(w, "select skep_settle_events()");
	struct answer got = look_at(w, w->db, at, 10);
	assert_true(got.n == 0 && !got.batch.held);
	psql(w, INSERT("new"));
	got = look_at(w, w->db, at, 10);
	assert_string_equal(texts(w, &got), "test/new");
	got = look_at(w, w->db, (struct db_stream_position){0, 0}, 10);
	assert_string_equal(texts(w, &got), "test/old test/new");
}

/* A month of events is dropped: who would miss some of those that he watches is told so; nobody else. */
static void what_was_dropped_is_not_passed_over(void **state)
{
	struct world *w = *state;
	const struct db_stream_filter demo = {.project = "demo", .stack = ""}, quiet = {.project = "quiet", .stack = ""};
	int64_t ago = clock_system()->wall_us(clock_system()) - INT64_C(200) * 24 * 3600 * 1000000;
	make_project(w, "demo");
	make_project(w, "quiet");
	psql(w, "do $$ declare f timestamp := date_trunc('month', now() at time zone 'utc') - interval '3 months'; begin"
		" execute format('create table events_%s partition of events for values from (%L) to (%L)',"
		"  to_char(f, 'YYYYMM'), f::text || '+00', (f + interval '1 month')::text || '+00'); end $$");
	struct db_stream_position before = now(w);
	psql(w, INSERT("old") "; update events set created_at = date_trunc('month', now() at time zone 'utc')"
		" - interval '2 months 1 day'");
	struct db_stream_position behind = look_at(w, w->db, before, 1).batch.events[0].at;
	psql(w, INSERT("new"));
	struct answer got = look_at(w, w->db, before, 10);
	assert_string_equal(texts(w, &got), "test/old test/new");
	psql(w, "begin; lock table events in access share mode");
	PGconn *other = session();
	run(other, "select skep_drop_partitions('events', '30 days')");
	assert_value(w, "select count(*) from events_dropped", "0"); /* it was in use, and is still there */
	psql(w, "commit");
	run(other, "select skep_drop_partitions('events', '30 days')");
	PQfinish(other);
	assert_value(w, "select count(*) from events", "1");
	RUN_FAILS(w, ST_OUT_OF_RANGE, "not kept any more", EVENTS->read(w->db, &admin, &everything, before, 10, on_batch, &a));
	RUN_FAILS(w, ST_OUT_OF_RANGE, "not kept any more", EVENTS->read(w->db, &admin, &demo, before, 10, on_batch, &a));
	RUN_OK(w, EVENTS->read(w->db, &admin, &quiet, before, 10, on_batch, &a));
	got = look_at(w, w->db, behind, 10);
	assert_string_equal(texts(w, &got), "test/new");
	struct db_stream_position anew = RUN_OK(w, EVENTS->position(w->db, ago, on_position, &a)).position;
	got = look_at(w, w->db, anew, 10);
	assert_string_equal(texts(w, &got), "test/new");
	psql(w, "update events set xact = '3'; update events_dropped set xact = '5'"); /* as of one moment, about */
	anew = RUN_OK(w, EVENTS->position(w->db, ago, on_position, &a)).position;
	RUN_OK(w, EVENTS->read(w->db, &admin, &everything, anew, 10, on_batch, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_commits_late_is_not_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_is_read_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(filters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(since, set_up, tear_down),
		cmocka_unit_test_setup_teardown(after_a_dump_was_restored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_dropped_is_not_passed_over, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, world_start, world_stop);
}
