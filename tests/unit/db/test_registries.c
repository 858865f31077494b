/* registries. */
#include "world.h"

#define REGISTRIES (w->db->registries)

static const struct db_page page = {10, ""};

static void credentials_live(void **state)
{
	struct world *w = *state;
	struct uuid id = make_project(w, "demo");
	struct db_registry_set set = {"demo", "r.example:5000", "ci", "pass \"word\"", ""};
	struct answer made = RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	assert_string_equal(made.registry.host, "r.example:5000");
	assert_string_equal(made.registry.username, "ci");
	assert_string_equal(made.registry.project_id.text, id.text);
	set.username = "other";
	set.password = "new";
	RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	set.host = "docker.io";
	set.password = "hub";
	RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	struct answer seen =
		RUN_OK(w, REGISTRIES->list(w->db, &admin, "demo", &page, on_registries, &a));
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.registries[0].host, "docker.io");
	assert_string_equal(seen.registries[1].username, "other");
	assert_string_equal(seen.registries[1].password, "");
	struct answer loaded = RUN_OK(w, REGISTRIES->load(w->db, id.text, on_registries, &a));
	assert_int_equal(loaded.n, 2);
	assert_string_equal(loaded.registries[0].password, "hub");
	assert_string_equal(loaded.registries[1].password, "new");
	RUN_OK(w, REGISTRIES->remove(w->db, &admin, "demo", "docker.io", "", on_done, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "no credentials for registry \"docker.io\"",
		REGISTRIES->remove(w->db, &admin, "demo", "docker.io", "", on_done, &a));
	loaded = RUN_OK(w, REGISTRIES->load(w->db, id.text, on_registries, &a));
	assert_int_equal(loaded.n, 1);
	assert_value(w,
		"select string_agg(target || ' ' || (detail->>'username'), ',' order by id)"
		" from audit_log where target like 'registry/%'",
		"registry/r.example:5000 ci,registry/r.example:5000 other,registry/docker.io other,"
		"registry/docker.io other");
}

static void what_somebody_else_has_replaced_stays(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	struct db_registry_set set = {"demo", "r.example", "ci", "one", ""};
	struct answer first = RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	set.etag = first.registry.id.text;
	struct answer second = RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	RUN_FAILS(w, ST_ABORTED, "registry \"r.example\" have been changed since",
		REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	RUN_FAILS(w, ST_ABORTED, "have been changed since", REGISTRIES->remove(w->db, &admin, "demo",
		"r.example", first.registry.id.text, on_done, &a));
	RUN_OK(w, REGISTRIES->remove(w->db, &admin, "demo", "r.example", second.registry.id.text,
		on_done, &a));
}

static void passwords_are_sealed(void **state)
{
	struct world *w = *state;
	struct uuid id = make_project(w, "demo");
	struct db_registry_set set = {"demo", "a.example", "ci", "first", ""};
	RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	set = (struct db_registry_set){"demo", "b.example", "ci", "second", ""};
	RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	assert_value(w, "select count(*) from registries where position('first' in"
			" encode(password, 'escape')) > 0", "0");
	/* One host's bytes in another's row do not open. */
	psql(w, "update registries set password = (select password from registries"
		" where host = 'a.example') where host = 'b.example'");
	RUN_FAILS(w, ST_DATA_LOSS, "the password for registry b.example",
		REGISTRIES->load(w->db, id.text, on_registries, &a));
}

static void they_stay_in_their_project(void **state)
{
	struct world *w = *state;
	struct uuid mine = make_project(w, "mine");
	make_project(w, "other");
	struct db_scope s = scope_of(&mine);
	struct db_registry_set set = {"other", "r.example", "ci", "word", ""};
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\"",
		REGISTRIES->set(w->db, &s, &set, on_registry, &a));
	RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\"",
		REGISTRIES->list(w->db, &s, "other", &page, on_registries, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\"",
		REGISTRIES->remove(w->db, &s, "other", "r.example", "", on_done, &a));
	assert_int_equal(RUN_OK(w, REGISTRIES->load(w->db, mine.text, on_registries, &a)).n, 0);
	/* They go with their project. */
	RUN_OK(w, w->db->projects->remove(w->db, &admin, "other", "", on_done, &a));
	assert_value(w, "select count(*) from registries", "0");
}

static void a_project_takes_so_many(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	psql(w, "insert into registries (id, project_id, host, username, password)"
		" select gen_random_uuid(), p.id, 'r' || i || '.example', 'ci', '' from projects p,"
		" generate_series(1, 100) i");
	struct db_registry_set set = {"demo", "one.more", "ci", "word", ""};
	RUN_FAILS(w, ST_RESOURCE_EXHAUSTED, "credentials for 100 registries",
		REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
	set.host = "r7.example";
	RUN_OK(w, REGISTRIES->set(w->db, &admin, &set, on_registry, &a));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(credentials_live),
		TEST(what_somebody_else_has_replaced_stays),
		TEST(passwords_are_sealed),
		TEST(they_stay_in_their_project),
		TEST(a_project_takes_so_many),
	};
	return cmocka_run_group_tests(tests, world_start, world_stop);
}
