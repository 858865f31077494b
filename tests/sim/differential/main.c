/* sim_differential: holds the store of tests/model to PostgreSQL. Random sequences of operations are
 * done on both, and all that they answer must be the same; behind every third the jobs, the stacks
 * and the look too.
 *
 *	sim_differential [--seed N | --from N] [--seconds N] [--trace]
 *
 * --seed: that sequence alone. Else those from N on, or fresh ones, for so many seconds (20), and until there were enough of
 * them for all of places.h to be seen. */
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../../unit/servers.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "db/migrate.h"
#include "pg/pg.h"
#include "places.h"

#define OPS_IN_SEQUENCE 250
#define SEQUENCES_MOST  300 /* until all of places.h is seen: of most seeds 30 are enough */
#define OPS_PER_LOOK    3
#define STEP_MS         15 /* of the store's clock, an operation: below 5 s in all, as on the other side */

struct run {
	struct side real, model;
	struct pg *pg;
	struct keyring *keyring;
	PGconn *psql;
	struct fake_script script;
	struct fake_db fake;
	struct store *store;
	bool tracing;
	uint64_t ops;
};

static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "%s: %s\n", what, why);
	exit(99);
}

static void psql(struct run *r, const char *sql)
{
	PGresult *res = PQexec(r->psql, sql);
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		die(sql, PQerrorMessage(r->psql));
	PQclear(res);
}

void side_wait(struct side *s)
{
	while (!s->done) {
		if (s->is_model)
			(void)loop_skip(s->loop);
		loop_turn(s->loop);
	}
}

/* ---- PostgreSQL ---- */

static struct server server;

static void on_migrated(void *data, const struct status *st, unsigned applied)
{
	(void)applied;
	said(data, st);
	if (!status_is_ok(st))
		die("migrating", st->message);
}

static void start_real(struct run *r)
{
	char key[96];
	server_start_pg(&server, NULL);
	(void)snprintf(key, sizeof(key), "%s.key", server.dir);
	struct status st = keyring_load(key, &r->keyring);
	if (status_is_ok(&st))
		st = keyring_make(r->keyring);
	(void)unlink(key);
	if (!status_is_ok(&st))
		die("the key", st.message);
	r->real.loop = loop_create();
	loop_set_watchdog(r->real.loop, 0);
	const struct pg_options o = {.conninfo = server.address, .pool_size = 1};
	r->pg = pg_create(r->real.loop, &o);
	r->real.db = db_pg_create(r->pg, r->keyring, clock_system(), rng_system());
	db_migrate(r->pg, skep_migrations, on_migrated, &r->real);
	side_wait(&r->real);
	r->psql = PQconnectdb(server.address);
	psql(r, "set client_min_messages = warning");
	psql(r, "create or replace function skep_take_chore(chore text, every interval) returns boolean language sql as"
		" 'select true'"); /* due whenever it is asked for */
}

static void stop_real(struct run *r)
{
	PQfinish(r->psql);
	db_pg_destroy(r->real.db);
	pg_destroy(r->pg);
	loop_destroy(r->real.loop);
	keyring_destroy(r->keyring);
	server_stop(&server);
}

/* ---- a sequence ---- */

static void forget(struct side *s, const char *name)
{
	struct loop *loop = s->loop;
	struct db *db = s->db;
	bool is_model = s->is_model;
	buf_finish(&s->answer);
	arena_destroy(s->arena);
	memset(s, 0, offsetof(struct side, seen));
	s->name = name;
	s->loop = loop;
	s->db = db;
	s->is_model = is_model;
	s->arena = arena_create();
}

static const struct db_scope all = {
	.project_id = "", .actor = "user", .method = "sim", .request_id = ""};

static void real_silence(struct side *s, unsigned seconds)
{
	char sql[96];
	(void)snprintf(sql, sizeof(sql), "update daemons set seen_at = seen_at - interval '%u seconds'", seconds);
	psql(container_of(s, struct run, real), sql);
}

static void model_silence(struct side *s, unsigned seconds)
{
	struct store *store = container_of(s, struct run, model)->store;
	for (size_t i = 0; i < store->n_daemons; i++)
		store->daemons[i].seen_us -= (int64_t)seconds * 1000000;
}

static void begin_sequence(struct run *r, uint64_t seed)
{
	psql(r, "truncate projects, request_ids, events, audit_log, daemons, deployment_jobs_archive cascade");
	psql(r, "delete from job_pauses");
	store_destroy(r->store);
	loop_destroy(r->model.loop);
	r->model.loop = loop_create();
	loop_set_watchdog(r->model.loop, 0);
	loop_set_now(r->model.loop, 0);
	r->script.loop = r->model.loop;
	r->script.trace.len = 0;
	r->store = store_create(r->model.loop, rng_system());
	fake_db_init(&r->fake, &r->script, NULL, r->store);
	r->model.db = &r->fake.base;
	r->model.is_model = true;
	forget(&r->model, "model");
	forget(&r->real, "PostgreSQL");
	r->model.silence = model_silence;
	r->real.silence = real_silence;
	bool tight = seed % 4 == 0;
	const struct db_job_limits limits = {.backlog = tight ? 3 : 12, .per_minute = 1, .burst = tight ? 6 : 30};
	r->store->limits = limits;
	db_pg_limit_jobs(r->real.db, limits);
}

static bool same(struct run *r, uint64_t seed, unsigned step, const char *what)
{
	struct buf *a = &r->real.answer, *b = &r->model.answer;
	bool equal = str_eq(buf_str(a), buf_str(b));
	if (r->tracing || !equal)
		printf("%3u %s\n    %s\n", step, what, buf_str(a).ptr);
	if (!equal)
		printf("FAILED seed %" PRIu64 ", operation %u: %s\nPostgreSQL says:\n%s\nthe model says:\n%s\n",
			seed, step, what, buf_str(a).ptr, buf_str(b).ptr);
	a->len = b->len = 0;
	return equal;
}

static void look_at(struct side *s)
{
	const struct db_page page = {500, ""};
	const struct db_job_filter every = {.project = "", .stack = ""};
	int64_t turn = s->turn; /* what was looked at before stays the last look */
	struct db_pick picks[64];
	size_t n = s->n_picks;
	memcpy(picks, s->picks, sizeof(picks));
	s->done = false;
	side_begins(s);
	ASK(s, jobs, list)(s->db, &all, &every, &page, said_jobs, s);
	side_wait(s);
	s->done = false;
	side_begins(s);
	ASK(s, stacks, watched)(s->db, "", 100, said_stacks, s);
	side_wait(s);
	s->done = false;
	side_begins(s);
	ASK(s, jobs, look)(s->db, 10, said_look, s);
	side_wait(s);
	s->turn = turn;
	s->n_picks = n;
	memcpy(s->picks, picks, sizeof(picks));
}

static void look_at_history(struct side *s, size_t job)
{
	s->done = false;
	side_begins(s);
	s->limit = 500;
	ASK(s, jobs, events)(s->db, &all, s->jobs[job].text, 0, 500, said_events, s);
	side_wait(s);
	s->done = false;
	side_begins(s);
	ASK(s, jobs, get)(s->db, &all, s->jobs[job].text, said_job, s);
	side_wait(s);
}

static void begin_stream(struct side *s)
{
	s->done = false;
	side_begins(s);
	ASK(s, events, position)(s->db, 0, said_position, s);
	side_wait(s);
	s->begun = s->part = s->stream;
}

static void create_projects(struct side *s)
{
	static const char *const names[] = {"acme", "bolt"};
	for (size_t i = 0; i < 2; i++) {
		s->done = false;
		side_begins(s);
		ASK(s, projects, create)(s->db, &all, names[i], "", said_project, s);
		side_wait(s);
	}
}

static uint64_t mix(uint64_t seed, uint64_t n)
{
	uint64_t z = seed * UINT64_C(0x9E3779B97F4A7C15) + n * UINT64_C(0xD1B54A32D192ED03) + 1;
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	return z ^ (z >> 27);
}

/* A lease of 1 ms is over by the next operation, on both sides. */
static void pass_time(struct run *r)
{
	const struct timespec wait = {.tv_nsec = 1200000};
	(void)nanosleep(&wait, NULL);
	loop_set_now(r->model.loop, loop_now_ms(r->model.loop) + STEP_MS);
}

static bool run_sequence(struct run *r, uint64_t seed)
{
	struct buf words = {0}, again = {0};
	bool equal = true;
	begin_sequence(r, seed);
	begin_stream(&r->real);
	begin_stream(&r->model);
	create_projects(&r->real);
	create_projects(&r->model);
	equal = same(r, seed, 0, "projects");
	for (unsigned i = 1; equal && i <= OPS_IN_SEQUENCE; i++) {
		words.len = again.len = 0;
		pass_time(r);
		op_run(&r->real, mix(seed, i), &words);
		op_run(&r->model, mix(seed, i), &again);
		equal = same(r, seed, i, words.ptr);
		r->ops++;
		if (i % OPS_PER_LOOK)
			continue;
		pass_time(r);
		look_at(&r->real);
		look_at(&r->model);
		equal = equal && same(r, seed, i, "everything");
	}
	for (size_t i = 0; equal && i < r->real.n_jobs; i++) {
		look_at_history(&r->real, i);
		look_at_history(&r->model, i);
		equal = same(r, seed, (unsigned)i, "history of a job");
	}
	buf_finish(&words);
	buf_finish(&again);
	return equal;
}

/* Beyond its time. */
static bool goes_on(const struct run *r, uint64_t sequences)
{
	return sequences < SEQUENCES_MOST && !places_were_seen(&r->real);
}

int main(int argc, char **argv)
{
	struct run r = {.real = {.name = "PostgreSQL"}};
	uint64_t seed = rng_u64(rng_system()) >> 24, seconds = 20, sequences = 0;
	bool one = false, equal = true;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0)
			r.tracing = true;
		else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
			one = true, seed = strtoull(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--from") == 0)
			seed = strtoull(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
			seconds = strtoull(argv[++i], NULL, 10);
		else
			die("usage", "sim_differential [--seed N | --from N] [--seconds N] [--trace]");
	}
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	start_real(&r);
	printf("sequences from seed %" PRIu64 " on\n", seed);
	uint64_t until = (uint64_t)time(NULL) + seconds;
	do {
		equal = run_sequence(&r, seed + sequences);
		sequences++;
	} while (equal && !one && ((uint64_t)time(NULL) < until || goes_on(&r, sequences)));
	printf("%" PRIu64 " sequences, %" PRIu64 " operations, %s\n", sequences, r.ops,
		equal ? "all the same" : "one differs");
	bool enough = one || !equal || places_were_seen(&r.real);
	if (!enough)
		places_tell_unseen(&r.real);
	store_destroy(r.store);
	loop_destroy(r.model.loop);
	fake_script_finish(&r.script);
	buf_finish(&r.real.answer);
	buf_finish(&r.model.answer);
	arena_destroy(r.real.arena);
	arena_destroy(r.model.arena);
	stop_real(&r);
	return equal && enough ? 0 : 1;
}
