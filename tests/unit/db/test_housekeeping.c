/* housekeeping: what leaves, what stays, one daemon at a time; which keys the sealed rows need. */
#include "world.h"
#include "db/sealed.h"

#define DAY ((int64_t)24 * 3600)

static const struct db_retention usual = {30 * DAY, 400 * DAY, 20, DAY, 400 * DAY};

static void housekeep(struct world *w, struct db *db, const struct db_retention *keep)
{
	PGconn *due = PQconnectdb(server.address); /* psql may be in a transaction */
	PQclear(PQexec(due, "delete from chores"));
	PQfinish(due);
	RUN_OK(w, db->jobs->housekeep(db, keep, on_done, &a));
}

/* ---- partitions ---- */

/* A partition `months` before this one, with a row in it. */
static void make_month(struct world *w, const char *parent, int months)
{
	psql(w, arena_fmt(w->arena,
		"do $$ declare f timestamp := date_trunc('month', now() at time zone 'utc')"
		" - make_interval(months => %d); begin"
		" execute format('create table if not exists %%I partition of %s for values from (%%L)"
		" to (%%L)', '%s_' || to_char(f, 'YYYYMM'), f::text || '+00',"
		" (f + interval '1 month')::text || '+00'); end $$",
		months, parent, parent));
}

static const char *months_of(struct world *w, const char *parent)
{
	return value(w, arena_fmt(w->arena,
		"select string_agg((extract(year from age(date_trunc('month', now() at time zone 'utc'),"
		" to_date(right(c.relname, 6), 'YYYYMM'))) * 12 + extract(month from age("
		" date_trunc('month', now() at time zone 'utc'), to_date(right(c.relname, 6), 'YYYYMM')))"
		" )::text, ' ' order by c.relname) from pg_inherits i join pg_class c on c.oid = i.inhrelid"
		" where i.inhparent = '%s'::regclass", parent));
}

static void old_partitions_leave_by_whole_months(void **state)
{
	struct world *w = *state;
	make_month(w, "events", 2);
	make_month(w, "events", 14);
	make_month(w, "audit_log", 2);
	make_month(w, "audit_log", 14);
	make_month(w, "audit_log", 16);
	psql(w, "create table events_mine partition of events for values from ('2001-01-01') to"
		" ('2001-02-01')"); /* of another name: not ours to drop */
	housekeep(w, w->db, &usual);
	/* A month whose last day is within the 30 days stays; two months ago it cannot be. */
	assert_value(w, "select to_regclass('events_mine') is not null", "t");
	psql(w, "drop table events_mine");
	assert_string_equal(months_of(w, "events"), "0 -1");
	assert_string_equal(months_of(w, "audit_log"), "2 0 -1"); /* 14 months: over 400 days */
	psql(w, "delete from audit_log");
	housekeep(w, w->db, &(struct db_retention){DAY, DAY, 20, DAY, 400 * DAY});
	assert_string_equal(months_of(w, "audit_log"), "0 -1");
}

static void partitions_are_made_ahead(void **state)
{
	struct world *w = *state;
	psql(w, "do $$ begin execute 'drop table events_' || to_char("
		"(now() at time zone 'utc') + interval '1 month', 'YYYYMM'); end $$");
	housekeep(w, w->db, &usual);
	assert_string_equal(months_of(w, "events"), "0 -1");
}

/* Somebody reads the table: whoever writes must not wait behind the drop. */
static void a_partition_in_use_stays_for_now(void **state)
{
	struct world *w = *state;
	make_month(w, "events", 14);
	psql(w, "begin; select count(*) from events");
	housekeep(w, w->db, &usual);
	psql(w, "commit");
	assert_string_equal(months_of(w, "events"), "14 0 -1");
	housekeep(w, w->db, &usual);
	assert_string_equal(months_of(w, "events"), "0 -1");
}

static void one_daemon_at_a_time(void **state)
{
	struct world *w = *state;
	make_month(w, "events", 14);
	psql(w, "begin; select pg_advisory_xact_lock(hashtext('skep_housekeep'))");
	housekeep(w, w->db, &usual);
	assert_string_equal(months_of(w, "events"), "14 0 -1");
	psql(w, "commit");
	housekeep(w, w->db2, &usual);
	assert_string_equal(months_of(w, "events"), "0 -1");
}

/* Whatever the number of daemons, and however often they start. */
static void it_is_due_once_an_hour(void **state)
{
	struct world *w = *state;
	housekeep(w, w->db, &usual);
	make_month(w, "events", 14);
	for (int i = 0; i < 4; i++)
		RUN_OK(w, (i % 2 ? w->db : w->db2)->jobs->housekeep(i % 2 ? w->db : w->db2, &usual, on_done, &a));
	assert_string_equal(months_of(w, "events"), "14 0 -1");
	psql(w, "update chores set next_at = now()");
	RUN_OK(w, w->db2->jobs->housekeep(w->db2, &usual, on_done, &a));
	assert_string_equal(months_of(w, "events"), "0 -1");
}

static void what_fails_undoes_nothing_else(void **state)
{
	struct world *w = *state;
	psql(w, "delete from chores");
	make_month(w, "events", 14);
	psql(w, "insert into request_ids values ('', 'a', 'r', 'm', '', null, now() - interval '2 days')");
	psql(w, "begin; select from request_ids for update"); /* and for longer than anybody waits */
	RUN_FAILS(w, ST_INTERNAL, "delete from request_ids", w->db->jobs->housekeep(w->db, &usual, on_done, &a));
	psql(w, "commit");
	assert_string_equal(months_of(w, "events"), "0 -1");
	assert_value(w, "select last_error like '%lock timeout%' from chores", "t");
	housekeep(w, w->db, &usual);
	assert_value(w, "select count(*) || (select last_error from chores) from request_ids", "0");
}

/* ---- releases ---- */

static void releases(struct world *w, const char *states)
{
	psql(w, arena_fmt(w->arena,
		"insert into deployments (id, project_id, stack_id, number, state, source, rendered,"
		" created_by) select gen_random_uuid(), s.project_id, s.id, 100 + i, x::release_state,"
		" '\\x0102', '\\x0102', 'me' from orchestration_stacks s,"
		" unnest(string_to_array('%s', ' ')) with ordinality as t (x, i)", states));
}

static const char *archived(struct world *w)
{
	return value(w, "select string_agg((number - 100)::text, ' ' order by number) from deployments"
		" where archived_at is not null and source = '' and rendered is null");
}

static void old_releases_are_archived(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_job job = deploy(w, "demo", "web"); /* release 1: pending */
	releases(w, "superseded superseded failed superseded active failed failed failed");
	housekeep(w, w->db, &(struct db_retention){DAY, DAY, 2, DAY, 400 * DAY});
	assert_string_equal(archived(w), "1 3 6");
	assert_value(w, "select count(*) from deployments where source = ''", "3");
	housekeep(w, w->db, &(struct db_retention){DAY, DAY, 1, DAY, 400 * DAY});
	assert_string_equal(archived(w), "1 2 3 6 7");
	const char *id = value(w, "select id from deployments where number = 101");
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "release 101 was archived",
		w->db->stacks->load_release(w->db, job.project_id.text, id, on_release, &a));
	struct db_page page = {100, ""};
	struct db_stack_ref ref = {"", "demo", "web"};
	struct answer all =
		RUN_OK(w, w->db->stacks->releases(w->db, &admin, &ref, &page, on_releases, &a));
	assert_int_equal(all.n, 9); /* the rows stay */
}

static void a_release_that_a_job_wants_stays(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	deploy(w, "demo", "web");
	releases(w, "superseded superseded superseded");
	psql(w, "update deployment_jobs set deployment_id ="
		" (select id from deployments where number = 101)");
	housekeep(w, w->db, &(struct db_retention){DAY, DAY, 1, DAY, 400 * DAY});
	assert_string_equal(archived(w), "2");
	psql(w, "update deployment_jobs set state = 'succeeded'");
	housekeep(w, w->db, &(struct db_retention){DAY, DAY, 1, DAY, 400 * DAY});
	assert_string_equal(archived(w), "1 2");
}

/* ---- keys ---- */

static void on_keys(void *data, const struct status *st, const char *const *ids, size_t n)
{
	struct answer *a = data;
	struct buf b = {0};
	begin_answer(a, st);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%s", i ? " " : "", ids[i]);
	a->project.name = str_dup(a->w->arena, buf_str(&b));
	a->n = n;
	buf_finish(&b);
}

static const char *sealed_with(struct world *w)
{
	struct answer a = {.w = w};
	db_sealed_keys(w->pg, on_keys, &a);
	wait_for(&a);
	assert_status(&a.st, ST_OK, "");
	return a.project.name;
}

static void the_keys_of_sealed_rows_are_known(void **state)
{
	struct world *w = *state;
	assert_string_equal(sealed_with(w), "");
	make_project(w, "demo");
	deploy(w, "demo", "web");
	deploy(w, "demo", "web");
	assert_string_equal(sealed_with(w), keyring_first_id(keyring));
	psql(w, "update deployments set source = ''"); /* archived */
	assert_string_equal(sealed_with(w), "");
	psql(w, "update deployments set rendered = '\\x01026b6211'");
	psql(w, "insert into registries (id, project_id, host, username, password)"
		" select gen_random_uuid(), id, 'h', 'u', '\\x01026b6111' from"
		" projects");
	psql(w, "insert into ssl_certificates (id, project_id, names, private_key)"
		" select gen_random_uuid(), id, '{n}', '\\x01026b6311' from"
		" projects");
	assert_string_equal(sealed_with(w), "ka kb kc");
}

static const char *seals(struct world *w, const char *first, const char *second, bool anew)
{
	const char *const held[] = {first, second};
	struct answer a = {.w = w};
	db_sealing_key(w->pg, held, first ? 2 : 0, anew, on_keys, &a);
	wait_for(&a);
	assert_status(&a.st, ST_OK, "");
	return a.project.name;
}

/* A new key is first held by all beside the old one, then may seal. */
static void a_daemon_holds_the_key_that_the_others_seal_with(void **state)
{
	struct world *w = *state;
	psql(w, "delete from sealing_keys");
	assert_string_equal(seals(w, NULL, NULL, false), "");
	assert_string_equal(seals(w, "k1", "k0", false), "");
	assert_string_equal(seals(w, NULL, NULL, false), "k1");
	assert_string_equal(seals(w, "k2", "k0", false), "k1");
	assert_string_equal(seals(w, "k2", "k1", false), "");
	assert_string_equal(seals(w, "k1", "k2", false), "");
	assert_string_equal(seals(w, "k1", "k0", false), "k2");
	assert_string_equal(seals(w, "k1", "k0", true), "");
	assert_string_equal(seals(w, "k2", "k0", false), "k1");
}

static void nothing_is_sealed_without_a_key(void **state)
{
	struct world *w = *state;
	struct keyring *none = NULL;
	struct status st = keyring_load("/nowhere/keys", &none);
	assert_status(&st, ST_OK, "");
	struct db *db = db_pg_create(w->pg, none, clock_system(), rng_system());
	make_project(w, "demo");
	struct db_stack_deploy d = deploy_of("demo", "web");
	RUN_FAILS(w, ST_UNAVAILABLE, "there is no key file yet",
		db->stacks->deploy(db, &admin, &d, on_job, &a));
	assert_value(w, "select count(*) from deployments", "0");
	db_pg_destroy(db);
	keyring_destroy(none);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(old_partitions_leave_by_whole_months),
		TEST(partitions_are_made_ahead),
		TEST(a_partition_in_use_stays_for_now),
		TEST(one_daemon_at_a_time),
		TEST(it_is_due_once_an_hour),
		TEST(what_fails_undoes_nothing_else),
		TEST(old_releases_are_archived),
		TEST(a_release_that_a_job_wants_stays),
		TEST(the_keys_of_sealed_rows_are_known),
		TEST(a_daemon_holds_the_key_that_the_others_seal_with),
		TEST(nothing_is_sealed_without_a_key),
	};
	return cmocka_run_group_tests_name("housekeeping", tests, world_start, world_stop);
}
