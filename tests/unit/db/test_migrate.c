/* migrate: twice, two at once, a changed file, a newer database, a broken file. */
#include "world.h"

static struct answer migrate(struct world *w, struct pg *pg, const struct migration *files)
{
	struct answer a = {.w = w};
	db_migrate(pg, files, on_migrated, &a);
	wait_for(&a);
	return a;
}

static int set_up_empty(void **state)
{
	struct world *w = *state = world_open();
	psql(w, "drop schema public cascade; create schema public");
	return 0;
}

static const struct migration two[] = {
	{"0001_one.sql", STR("create table one (id int);\n"
		"create function skep_ensure_partitions() returns void language sql as 'select"
		" null::void';\n")},
	{"0002_two.sql", STR("create table two (id int); insert into two values (1), (2);\n")},
	{0},
};

static void applies_each_file_once(void **state)
{
	struct world *w = *state;
	struct answer a = migrate(w, w->pg, two);
	assert_status(&a.st, ST_OK, "");
	assert_int_equal(a.number, 2);
	a = migrate(w, w->pg, two);
	assert_status(&a.st, ST_OK, "");
	assert_int_equal(a.number, 0);
	assert_value(w, "select count(*) from two", "2");
	assert_value(w, "select string_agg(name, ' ' order by name) from schema_migrations",
		"0001_one.sql 0002_two.sql");
}

static void the_real_files_from_two_daemons_at_once(void **state)
{
	struct world *w = *state;
	unsigned files = 0;
	while (skep_migrations[files].name)
		files++;
	struct answer a = {.w = w}, b = {.w = w};
	db_migrate(w->pg, skep_migrations, on_migrated, &a);
	db_migrate(w->pg2, skep_migrations, on_migrated, &b);
	while (a.calls == 0 || b.calls == 0)
		loop_turn(w->loop);
	assert_status(&a.st, ST_OK, "");
	assert_status(&b.st, ST_OK, "");
	assert_int_equal(a.number + b.number, files);
	assert_value(w, "select count(*) = 2 from pg_inherits where inhparent = 'events'::regclass",
		"t");
	a = migrate(w, w->pg, skep_migrations);
	assert_status(&a.st, ST_OK, "");
	assert_int_equal(a.number, 0);
}

static void a_changed_file_is_refused_by_name(void **state)
{
	struct world *w = *state;
	struct migration changed[] = {two[0], {two[1].name, STR("create table two (id bigint);\n")},
		{0}};
	struct answer a = migrate(w, w->pg, two);
	assert_status(&a.st, ST_OK, "");
	a = migrate(w, w->pg, changed);
	assert_status(&a.st, ST_FAILED_PRECONDITION, "0002_two.sql was applied and has changed");
}

static void a_newer_database_is_refused(void **state)
{
	struct world *w = *state;
	struct migration old[] = {two[0], {0}};
	struct answer a = migrate(w, w->pg, two);
	assert_status(&a.st, ST_OK, "");
	a = migrate(w, w->pg, old);
	assert_status(&a.st, ST_FAILED_PRECONDITION, "newer skepd");
	assert_non_null(strstr(a.st.message, "0002_two.sql"));
}

static void a_file_before_an_applied_one_is_refused(void **state)
{
	struct world *w = *state;
	struct migration late[] = {two[0], {"0001_z.sql", STR("select 1;\n")}, two[1], {0}};
	struct answer a = migrate(w, w->pg, two);
	assert_status(&a.st, ST_OK, "");
	a = migrate(w, w->pg, late);
	assert_status(&a.st, ST_FAILED_PRECONDITION,
		"0002_two.sql was applied and one before it was not");
}

static void a_broken_file_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct migration broken[] = {two[0], {"0002_bad.sql",
		STR("create table bad (id int);\nselect 1 / 0;\n")}, {0}};
	struct answer a = migrate(w, w->pg, broken);
	assert_status(&a.st, ST_INVALID_ARGUMENT, "migration 0002_bad.sql: division by zero");
	assert_int_equal(a.number, 1);
	assert_value(w, "select to_regclass('bad') is null", "t");
	assert_value(w, "select count(*) from schema_migrations", "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(applies_each_file_once, set_up_empty, tear_down),
		cmocka_unit_test_setup_teardown(the_real_files_from_two_daemons_at_once,
			set_up_empty, tear_down),
		cmocka_unit_test_setup_teardown(a_changed_file_is_refused_by_name, set_up_empty,
			tear_down),
		cmocka_unit_test_setup_teardown(a_newer_database_is_refused, set_up_empty,
			tear_down),
		cmocka_unit_test_setup_teardown(a_file_before_an_applied_one_is_refused,
			set_up_empty, tear_down),
		cmocka_unit_test_setup_teardown(a_broken_file_leaves_nothing, set_up_empty,
			tear_down),
	};
	return cmocka_run_group_tests(tests, world_start, world_stop);
}
