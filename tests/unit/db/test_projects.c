/* projects and tokens. */
#include "world.h"

#define PROJECTS (w->db->projects)
#define TOKENS   (w->db->tokens)

static void a_project_lives(void **state)
{
	struct world *w = *state;
	struct answer made = RUN_OK(w, PROJECTS->create(w->db, &admin, "demo", "for show",
		on_project, &a));
	assert_string_equal(made.project.name, "demo");
	assert_string_equal(made.project.description, "for show");
	assert_true(made.project.created_us > 1600000000000000);
	struct answer by_name = RUN_OK(w, PROJECTS->get(w->db, &admin, "demo", on_project, &a));
	assert_string_equal(by_name.project.id.text, made.project.id.text);
	struct answer by_id = RUN_OK(w, PROJECTS->get(w->db, &admin, made.project.id.text,
		on_project, &a));
	assert_string_equal(by_id.project.name, "demo");
	assert_int_equal(by_id.project.stacks, 0);
	RUN_OK(w, PROJECTS->remove(w->db, &admin, "demo", "", on_done, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "project \"demo\" does not exist", PROJECTS->get(w->db, &admin,
		"demo", on_project, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "project \"demo\" does not exist", PROJECTS->remove(w->db,
		&admin, "demo", "", on_done, &a));
	assert_value(w,
		"select string_agg(method || ' ' || target || ' ' || actor, ',' order by id) from audit_log",
		"/test/Admin project/demo unix:root,/test/Admin project/demo unix:root");
}

static void what_is_not_given_stays(void **state)
{
	struct world *w = *state;
	struct answer made = RUN_OK(w, PROJECTS->create(w->db, &admin, "demo", "for show",
		on_project, &a));
	assert_int_equal(made.project.drift_policy, DRIFT_REPORT);
	struct answer one = RUN_OK(w, PROJECTS->update(w->db, &admin, "demo",
		&(struct db_project_change){.drift_policy = DRIFT_REPAIR, .weight = 5, .max_running = 7},
		on_project, &a));
	assert_int_equal(one.project.drift_policy, DRIFT_REPAIR);
	assert_string_equal(one.project.description, "for show");
	struct answer two = RUN_OK(w, PROJECTS->update(w->db, &admin, "demo",
		&(struct db_project_change){.description = "new"}, on_project, &a));
	assert_int_equal(two.project.drift_policy, DRIFT_REPAIR);
	assert_string_equal(two.project.description, "new");
	assert_int_equal(two.project.weight, 5);
	assert_int_equal(two.project.max_running, 7);
	assert_int_equal(RUN_OK(w, PROJECTS->update(w->db, &admin, "demo",
		&(struct db_project_change){.max_running = -1}, on_project, &a)).project.max_running, 0);
	assert_value(w, "select count(*) from audit_log where detail->>'drift_policy' = 'repair'", "3");
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\" does not exist", PROJECTS->update(w->db, &admin,
		"other", &(struct db_project_change){.drift_policy = DRIFT_REPAIR}, on_project, &a));
}

static void a_change_that_is_sent_again_has_the_same_answer(void **state)
{
	struct world *w = *state;
	struct db_scope s = admin;
	struct db_project one[2];
	(void)make_project(w, "demo");
	s.request_id = "r1";
	for (int i = 0; i < 2; i++)
		one[i] = RUN_OK(w, PROJECTS->update(w->db, &s, "demo",
			&(struct db_project_change){.weight = 5}, on_project, &a)).project;
	assert_string_equal(one[1].id.text, one[0].id.text);
	assert_string_equal(one[1].name, "demo");
	assert_int_equal(one[1].weight, 5);
	assert_value(w, "select count(*) from audit_log where detail ? 'weight'", "1");
}

static void what_somebody_else_has_changed_is_not(void **state)
{
	struct world *w = *state;
	struct answer made = RUN_OK(w, PROJECTS->create(w->db, &admin, "demo", "", on_project, &a));
	assert_true(made.project.etag[0] != 0);
	struct answer one = RUN_OK(w, PROJECTS->update(w->db, &admin, "demo",
		&(struct db_project_change){.weight = 5, .etag = made.project.etag}, on_project, &a));
	assert_string_not_equal(one.project.etag, made.project.etag);
	RUN_FAILS(w, ST_ABORTED, "project \"demo\" has been changed since", PROJECTS->update(w->db, &admin,
		"demo", &(struct db_project_change){.weight = 6, .etag = made.project.etag}, on_project, &a));
	assert_int_equal(RUN_OK(w, PROJECTS->get(w->db, &admin, "demo", on_project, &a)).project.weight, 5);
	RUN_FAILS(w, ST_ABORTED, "has been changed since", PROJECTS->remove(w->db, &admin, "demo",
		made.project.etag, on_done, &a));
	RUN_OK(w, PROJECTS->remove(w->db, &admin, "demo", one.project.etag, on_done, &a));
}

static void a_bad_project_name_is_refused(void **state)
{
	struct world *w = *state;
	static const char *const bad[] = {"", "-a", "A", "a_b",
		"0190a3c0-1111-7111-8111-111111111111",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a\nb", "';drop table projects"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		RUN_FAILS(w, ST_INVALID_ARGUMENT, "must be at most 40",
			PROJECTS->create(w->db, &admin, bad[i], "", on_project, &a));
	make_project(w, "demo");
	RUN_FAILS(w, ST_ALREADY_EXISTS, "project \"demo\" exists already",
		PROJECTS->create(w->db, &admin, "demo", "", on_project, &a));
	assert_value(w, "select count(*) from audit_log", "1");
}

static void pages_go_from_new_to_old(void **state)
{
	struct world *w = *state;
	make_project(w, "one"), make_project(w, "two"), make_project(w, "three");
	struct db_page page = {2, ""};
	struct answer a1 = RUN_OK(w, PROJECTS->list(w->db, &admin, &page, on_projects, &a));
	assert_int_equal(a1.n, 2);
	assert_true(a1.more);
	assert_string_equal(a1.projects[0].name, "three");
	page.before = a1.projects[1].id.text;
	struct answer a2 = RUN_OK(w, PROJECTS->list(w->db, &admin, &page, on_projects, &a));
	assert_int_equal(a2.n, 1);
	assert_false(a2.more);
	assert_string_equal(a2.projects[0].name, "one");
	page = (struct db_page){0, "no id"}; /* at least one, from the start */
	struct answer a3 = RUN_OK(w, PROJECTS->list(w->db, &admin, &page, on_projects, &a));
	assert_int_equal(a3.n, 1);
	assert_string_equal(a3.projects[0].name, "three");
}

static void a_scope_sees_its_own_project_only(void **state)
{
	struct world *w = *state;
	struct uuid mine = make_project(w, "mine"), other = make_project(w, "other");
	struct db_scope s = scope_of(&mine);
	struct db_page page = {10, ""};
	struct answer list = RUN_OK(w, PROJECTS->list(w->db, &s, &page, on_projects, &a));
	assert_int_equal(list.n, 1);
	assert_string_equal(list.projects[0].name, "mine");
	RUN_OK(w, PROJECTS->get(w->db, &s, "mine", on_project, &a));
	/* The same words as for one that is not there. */
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\" does not exist", PROJECTS->get(w->db, &s,
		"other", on_project, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", PROJECTS->get(w->db, &s, other.text,
		on_project, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", PROJECTS->remove(w->db, &s, other.text, "",
		on_done, &a));
	assert_value(w, "select count(*) from projects", "2");
}

static void a_project_with_stacks_or_jobs_stays(void **state)
{
	struct world *w = *state;
	make_project(w, "demo");
	for (int i = 0; i < 12; i++)
		deploy(w, "demo", arena_fmt(w->arena, "s%02d", i));
	RUN_FAILS(w, ST_FAILED_PRECONDITION,
		"project \"demo\" still has stacks (s00, s01, s02, s03, s04, s05, s06, s07, s08,"
		" s09, …): remove them first",
		PROJECTS->remove(w->db, &admin, "demo", "", on_done, &a));
	psql(w, "delete from orchestration_stacks");
	RUN_FAILS(w, ST_FAILED_PRECONDITION, "of project \"demo\" is still pending",
		PROJECTS->remove(w->db, &admin, "demo", "", on_done, &a));
	psql(w, "update deployment_jobs set state = 'failed'");
	RUN_OK(w, PROJECTS->remove(w->db, &admin, "demo", "", on_done, &a));
	assert_value(w, "select count(*) from deployment_jobs", "0");
}

/* ---- tokens ---- */

static struct db_token_create token_of(const char *project, const char *name, int role,
	struct str hash)
{
	return (struct db_token_create){project, name, "skep_abc", role, hash, 3600};
}

static const struct str hash_1 = {"11111111111111111111111111111111", 32};
static const struct str hash_2 = {"22222222222222222222222222222222", 32};

static void a_token_lives(void **state)
{
	struct world *w = *state;
	struct uuid demo = make_project(w, "demo");
	struct db_token_create t = token_of("demo", "ci", 2, hash_1);
	struct answer made = RUN_OK(w, TOKENS->create(w->db, &admin, &t, on_token, &a));
	assert_string_equal(made.token.project_id, demo.text);
	assert_string_equal(made.token.project, "demo");
	assert_int_equal(made.token.role, 2);
	assert_int_equal(made.token.last_used_us, 0);
	assert_int_equal((made.token.expires_us - made.token.created_us) / 1000000, 3600);
	struct answer who = RUN_OK(w, TOKENS->authenticate(w->db, hash_1, on_token, &a));
	assert_string_equal(who.token.name, "ci");
	assert_string_equal(who.token.project_id, demo.text);
	const char *used = value(w, "select last_used_at from api_tokens");
	assert_string_not_equal(used, "");
	RUN_OK(w, TOKENS->authenticate(w->db, hash_1, on_token, &a));
	assert_value(w, "select last_used_at from api_tokens", used); /* at most once a minute */
	RUN_OK(w, TOKENS->revoke(w->db, &admin, made.token.id.text, on_done, &a));
	/* again: nothing */
	RUN_OK(w, TOKENS->revoke(w->db, &admin, made.token.id.text, on_done, &a));
	RUN_FAILS(w, ST_UNAUTHENTICATED, "unknown, expired or revoked", TOKENS->authenticate(w->db,
		hash_1, on_token, &a));
	struct db_page page = {10, ""};
	assert_int_equal(RUN_OK(w, TOKENS->list(w->db, &admin, "demo", &page, on_tokens, &a)).n, 0);
}

static void an_expired_or_unknown_token_is_nobody(void **state)
{
	struct world *w = *state;
	struct db_token_create t = token_of("", "old", 4, hash_1);
	RUN_OK(w, TOKENS->create(w->db, &admin, &t, on_token, &a));
	struct answer who = RUN_OK(w, TOKENS->authenticate(w->db, hash_1, on_token, &a));
	assert_string_equal(who.token.project_id, "");
	assert_string_equal(who.token.project, "");
	RUN_FAILS(w, ST_UNAUTHENTICATED, "unknown", TOKENS->authenticate(w->db, hash_2, on_token,
		&a));
	RUN_FAILS(w, ST_UNAUTHENTICATED, "unknown", TOKENS->authenticate(w->db, STR(""), on_token,
		&a));
	psql(w, "update api_tokens set expires_at = now()");
	RUN_FAILS(w, ST_UNAUTHENTICATED, "unknown", TOKENS->authenticate(w->db, hash_1, on_token,
		&a));
	psql(w, "delete from api_tokens");
}

static void tokens_stay_in_their_project(void **state)
{
	struct world *w = *state;
	struct uuid mine = make_project(w, "mine");
	make_project(w, "other");
	struct db_scope s = scope_of(&mine);
	struct db_token_create t = token_of("other", "theirs", 1, hash_1);
	struct db_page page = {10, ""};
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\" does not exist", TOKENS->create(w->db, &s, &t,
		on_token, &a));
	t.project = "";
	RUN_FAILS(w, ST_PERMISSION_DENIED, "takes an administrator", TOKENS->create(w->db, &s, &t,
		on_token, &a));
	t.project = "mine";
	t.role = 4;
	RUN_FAILS(w, ST_INVALID_ARGUMENT, "token \"theirs\" is of one project",
		TOKENS->create(w->db, &s, &t, on_token, &a));
	assert_value(w, "select count(*) from api_tokens", "0");
	t = token_of("other", "theirs", 1, hash_1);
	struct answer theirs = RUN_OK(w, TOKENS->create(w->db, &admin, &t, on_token, &a));
	t = token_of("mine", "ours", 1, hash_2);
	RUN_OK(w, TOKENS->create(w->db, &s, &t, on_token, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "does not exist", TOKENS->revoke(w->db, &s, theirs.token.id.text,
		on_done, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "token \"x\" does not exist", TOKENS->revoke(w->db, &admin, "x",
		on_done, &a));
	RUN_OK(w, TOKENS->authenticate(w->db, hash_1, on_token, &a));
	RUN_FAILS(w, ST_NOT_FOUND, "project \"other\"", TOKENS->list(w->db, &s, "other", &page,
		on_tokens, &a));
	struct answer seen = RUN_OK(w, TOKENS->list(w->db, &s, "", &page, on_tokens, &a));
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.tokens[0].name, "ours");
	assert_int_equal(RUN_OK(w, TOKENS->list(w->db, &admin, "", &page, on_tokens, &a)).n, 2);
	assert_value(w, "select count(*) from audit_log where target like 'token/%'", "2");
}

static void a_cancelled_call_ends_with_cancelled(void **state)
{
	struct world *w = *state;
	struct answer a = {.w = w};
	struct db_call *call = PROJECTS->get(w->db, &admin, "demo", on_project, &a);
	db_cancel(w->db, call);
	wait_for(&a);
	assert_status(&a.st, ST_CANCELLED, "");
}

static void calls_end_when_pg_is_destroyed(void **state)
{
	struct world *w = *state;
	struct answer a = {.w = w};
	struct pg *pg = open_pg(w->loop);
	struct db *db = db_pg_create(pg, keyring, clock_system(), rng_system());
	db->projects->get(db, &admin, "demo", on_project, &a);
	db_pg_destroy(db);
	pg_destroy(pg);
	assert_int_equal(a.calls, 1);
	assert_status(&a.st, ST_CANCELLED, "");
}

/* The plans in which a table without a fitting row is walked through: what is said of a name must not hang on there being one. */
static void a_name_that_is_none_is_said_to_be_none(void **state)
{
	static const unsigned priorities[JOB_KINDS] = {0};
	static const char *const none = "01234567-89ab-7cde-8f01-23456789abcd";
	const struct db_page page = {10, ""};
	const struct db_job_filter jobs = {.project = "nothere", .stack = ""};
	const struct db_stream_filter stream = {.project = "nothere", .stack = ""};
	const struct db_stack_ref stack = {.id = "", .project = "nothere", .name = "web"};
	struct world *w = *state;
	char walks[400];
	(void)snprintf(walks, sizeof(walks),
		"%s options='-c plan_cache_mode=force_generic_plan -c enable_indexscan=off -c enable_indexonlyscan=off"
		" -c enable_bitmapscan=off'", server.address);
	const struct pg_options o = {.conninfo = walks, .pool_size = 1};
	struct pg *pg = pg_create(w->loop, &o);
	struct db *db = db_pg_create(pg, keyring, clock_system(), rng_system());
#define NONE(call) RUN_FAILS(w, ST_NOT_FOUND, "does not exist", call)
	NONE(db->projects->get(db, &admin, "nothere", on_project, &a));
	NONE(db->projects->remove(db, &admin, "nothere", "", on_done, &a));
	NONE(db->tokens->list(db, &admin, "nothere", &page, on_tokens, &a));
	NONE(db->registries->list(db, &admin, "nothere", &page, on_registries, &a));
	NONE(db->registries->remove(db, &admin, "nothere", "docker.io", "", on_done, &a));
	NONE(db->stacks->list(db, &admin, "nothere", &page, on_stacks, &a));
	NONE(db->stacks->releases(db, &admin, &stack, &page, on_releases, &a));
	NONE(db->stacks->check_namespace(db, &admin, "nothere", "web", "", on_done, &a));
	NONE(db->jobs->list(db, &admin, &jobs, &page, on_jobs, &a));
	NONE(db->jobs->get(db, &admin, none, on_job, &a));
	NONE(db->jobs->events(db, &admin, none, 0, 10, on_events, &a));
	NONE(db->jobs->retry_failed(db, &admin, "nothere", "", 0, on_jobs, &a));
	NONE(db->jobs->stats(db, &admin, "nothere", priorities, 10, on_stats, &a));
	NONE(db->jobs->resume(db, &admin, "nothere", 0, on_done, &a));
	NONE(db->schedules->list(db, &admin, "nothere", &page, on_schedules, &a));
	NONE(db->schedules->get(db, &admin, "nothere", "nightly", on_schedule, &a));
	NONE(db->schedules->remove(db, &admin, "nothere", "nightly", on_done, &a));
	NONE(db->events->read(db, &admin, &stream, (struct db_stream_position){3, 0}, 10, on_batch, &a));
#undef NONE
	db_pg_destroy(db);
	pg_destroy(pg);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_project_lives),
		TEST(what_is_not_given_stays),
		TEST(a_change_that_is_sent_again_has_the_same_answer),
		TEST(what_somebody_else_has_changed_is_not),
		TEST(a_bad_project_name_is_refused),
		TEST(pages_go_from_new_to_old),
		TEST(a_scope_sees_its_own_project_only),
		TEST(a_project_with_stacks_or_jobs_stays),
		TEST(a_name_that_is_none_is_said_to_be_none),
		TEST(a_token_lives),
		TEST(an_expired_or_unknown_token_is_nobody),
		TEST(tokens_stay_in_their_project),
		TEST(a_cancelled_call_ends_with_cancelled),
		TEST(calls_end_when_pg_is_destroyed),
	};
	return cmocka_run_group_tests(tests, world_start, world_stop);
}
