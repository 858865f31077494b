/* How Jobs.List reads: each of its shapes is explained on tables that hold more than a page, and must follow indexes alone. */
#include <stdlib.h>
#include <string.h>
#include "world.h"
#include "db/jobs_parts.h"

#define PAGE  51 /* rows, with the one that says there is more */
#define EVERY_STATE "{pending,running,succeeded,failed,cancelled}"
#define EVERY_KIND \
	"{deploy,update,scale,restart,remove,rollback,build,renew_certificate,publish_routes,housekeeping,adopt}"

/* In each of four projects, of five stacks, over this month and half a year; what is older than this month and the one before is in the archive. */
static void make_history(struct world *w, int n, bool counted)
{
	for (int i = 0; i < 4; i++)
		make_project(w, arena_fmt(w->arena, "p%d", i));
	psql(w, "insert into orchestration_stacks (id, project_id, name, namespace, created_at)"
		" select gen_random_uuid(), p.id, 's3', p.name || '-s3', now() - interval '1 year' from projects p");
	psql(w, arena_fmt(w->arena,
		"insert into deployment_jobs (id, project_id, stack_id, stack_name, kind, state, created_by, created_at, finished_at)"
		" select (left(skep_uuid_floor(t)::text, 15) || right(gen_random_uuid()::text, 21))::uuid, p.id,"
		"  case when i %% 5 = 3 then s.id end, 's' || i %% 5,"
		"  (array['scale', 'scale', 'scale', 'update', 'deploy'])[1 + i / 5 %% 5]::job_kind,"
		"  case when i %% 20 = 0 then 'failed' when i %% 100 = 1 then 'cancelled' else 'succeeded' end::job_state, 'me', t, t"
		" from generate_series(1, %d) i, projects p, orchestration_stacks s,"
		"  lateral (select now() - (now() - date_trunc('month', now()) + interval '180 days') * i / %d as t) x where s.project_id = p.id", n, n));
	psql(w, "select skep_archive_jobs(now() - date_trunc('month', now()) + interval '31 days', '400 days', 100000)");
	if (counted)
		psql(w, "vacuum analyze deployment_jobs, deployment_jobs_archive");
}

static long number_behind(const char *line, const char *words)
{
	const char *at = strstr(line, words);
	return at ? strtol(at + strlen(words), NULL, 10) : 0;
}

/* "" = it is well. `scan`: the scan of jobs that the line is about, or NULL. */
static const char *wrong_in(const char *line, const char *scan, bool sorted, bool counted)
{
	if (scan == line) {
		if (!strstr(line, "Index"))
			return "not along an index";
		if (sorted)
			return "sorted behind the scan";
		return number_behind(line, "actual rows=") > PAGE ? "more than a page" : "";
	}
	if (scan && counted && strstr(line, "Index Cond:")) {
		bool one = strstr(line, "(id = "), next = strstr(line, "project_id > ");
		bool page = strstr(line, "(state = ") && strstr(line, "(kind = ") && strstr(line, "(id < ");
		return one || next || page ? "" : "does not begin at the page";
	}
	return scan && counted && number_behind(line, "Rows Removed by Filter: ") > 0 ? "reads what it does not want" : "";
}

/* Each scan of jobs is along an index that leads to just the rows it hands up: a page at most; nothing is sorted to find them. */
static void assert_by_index(struct world *w, const char *name, struct str plan, bool counted)
{
	const char *scan = NULL;
	const struct str whole = plan;
	bool sorted = false;
	while (plan.len) {
		const char *line = str_dup(w->arena, str_cut(&plan, '\n'));
		bool node = strstr(line, "(actual ") || strstr(line, "(never executed)");
		if (node)
			scan = strstr(line, "Scan") && strstr(line, " on deployment_jobs") ? line : NULL;
		const char *why = wrong_in(line, scan, sorted, counted);
		if (why[0]) {
			(void)fprintf(stderr, STR_FMT "\n", STR_ARG(whole));
			fail_msg("%s: %s: %s", name, why, line);
		}
		if (node)
			sorted = strstr(line, "Sort ");
	}
}

#define BY_ID ", '%s', '', null"
static const struct {
	enum job_list list;
	const char *states, *kinds;
	const char *more; /* parameters behind the first five: see jobs_list.c */
} shapes[] = {
	{JOB_LIST_ALL, EVERY_STATE, EVERY_KIND, ""},
	{JOB_LIST_ALL, "{failed}", EVERY_KIND, ""},
	{JOB_LIST_ALL, EVERY_STATE, "{deploy,build}", ""},
	{JOB_LIST_PROJECT, EVERY_STATE, EVERY_KIND, ", 'p1', null"},
	{JOB_LIST_PROJECT, "{pending,running}", EVERY_KIND, ", 'p1', null"},
	{JOB_LIST_PROJECT, "{failed}", "{scale}", ", 'p1', null"},
	{JOB_LIST_STACK, EVERY_STATE, EVERY_KIND, ", 's3', 'p1', null"},
	{JOB_LIST_STACK, "{cancelled}", "{update}", ", 's3', 'p1', null"},
	{JOB_LIST_STACK, EVERY_STATE, EVERY_KIND, BY_ID},
	{JOB_LIST_STACK_ANYWHERE, EVERY_STATE, EVERY_KIND, ", 's3'"},
	{JOB_LIST_STACK_ANYWHERE, "{failed}", "{scale}", ", 's3'"},
};
static const char *const types[JOB_LISTS] = {
	[JOB_LIST_ALL] = "", [JOB_LIST_PROJECT] = ", text, uuid", [JOB_LIST_STACK] = ", text, text, uuid",
	[JOB_LIST_STACK_ANYWHERE] = ", text"};
static const char *const ranges[][2] = {
	{"'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'00000000-0000-0000-0000-000000000000'"},
	{"skep_uuid_floor(now() - interval '120 days')", "'00000000-0000-0000-0000-000000000000'"},
	{"skep_uuid_floor(now() - interval '40 days')", "skep_uuid_floor(now() - interval '60 days')"}};

static void explain(struct world *w, size_t shape, size_t range, bool counted)
{
	const char *stack = value(w, "select id from orchestration_stacks limit 1"), *more = shapes[shape].more;
	const struct pg_stmt *s = &job_list_statements[shapes[shape].list];
	psql(w, "begin; select skep_by_index()"); /* as the operation does */
	psql(w, arena_fmt(w->arena, "prepare %s (job_state[], job_kind[], uuid, uuid, bigint%s) as %s", s->name,
		types[shapes[shape].list], s->sql));
	PGresult *res = PQexec(w->psql, arena_fmt(w->arena,
		"explain (costs off, analyze, timing off, summary off) execute %s ('%s', '%s', %s, %s, %d%s)", s->name,
		shapes[shape].states, shapes[shape].kinds, ranges[range][0], ranges[range][1], PAGE, strcmp(more, BY_ID) == 0 ? arena_fmt(w->arena, BY_ID, stack) : more));
	struct buf plan = {0};
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", s->name, PQresultErrorMessage(res));
	for (int row = 0; row < PQntuples(res); row++)
		buf_fmt(&plan, "%s\n", PQgetvalue(res, row, 0));
	PQclear(res);
	assert_by_index(w, s->name, buf_str(&plan), counted);
	buf_finish(&plan);
	psql(w, arena_fmt(w->arena, "deallocate %s; commit", s->name));
}

static void lists_follow_indexes(void **state)
{
	struct world *w = *state;
	make_history(w, 12000, true);
	assert_value(w, "select count(*) > 30000 from deployment_jobs_archive", "t");
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (size_t k = 0; k < sizeof(ranges) / sizeof(ranges[0]); k++)
			explain(w, i, k, true);
}

/* While nobody has counted what the tables hold, it may be another index, but it is one. */
static void so_they_do_when_nothing_was_counted(void **state)
{
	struct world *w = *state;
	make_history(w, 1000, false);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		explain(w, i, 0, false);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(so_they_do_when_nothing_was_counted),
		TEST(lists_follow_indexes),
	};
	return cmocka_run_group_tests_name("job_list", tests, world_start, world_stop);
}
