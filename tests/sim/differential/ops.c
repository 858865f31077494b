/* What is done, and with which arguments: small worlds, so that things meet. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "chooser.h"
#include "places.h"

/* ---- callers' operations ---- */

static void op_deploy(struct chooser *c)
{
	static const char *const texts[] = {"a:1", "b:1", "c:1"};
	const struct db_scope scope = scope_of(c, "deploy");
	struct db_stack_deploy d = {.project = project(c),
		.name = chance(c, 97) ? stack(c) : ONE_OF(c, "No", "-x", "a_b"),
		.namespace_ = chance(c, 90) ? "" : ONE_OF(c, "acme-web", "mine", "mine_a", "BAD"),
		.adopt = chance(c, 5),
		.on_failure = (enum failure_policy)(1 + below(c, 3)),
		.stall_seconds = (int)below(c, 3),
		.source = STR("{\"compose\":[]}"),
		.images = texts,
		.n_images = below(c, 4),
		.warnings = texts,
		.n_warnings = below(c, 2),
		.params = chance(c, 50) ? STR("{}") : STR("{\"resolve_image\":\"never\"}"),
		.max_attempts = (int)below(c, 4)};
	ASK(c->s, stacks, deploy)(c->s->db, &scope, &d, said_job, c->s);
}

static void op_submit(struct chooser *c)
{
	static const enum job_kind kinds[] = {JOB_SCALE, JOB_RESTART, JOB_REMOVE};
	const struct db_scope scope = scope_of(c, "submit");
	struct db_stack_job j = {.stack = some_stack(c), .max_attempts = (int)below(c, 4)};
	j.kind = kinds[chance(c, 25) ? 2 : below(c, 2)];
	char text[64] = "{}";
	if (j.kind == JOB_SCALE)
		(void)snprintf(text, sizeof(text), "{\"replicas\":{\"%s\":2}}", service(c));
	if (j.kind == JOB_RESTART && chance(c, 50))
		(void)snprintf(text, sizeof(text), "{\"services\":[\"%s\"]}", service(c));
	buf_fmt(c->words, " %s", job_kind_name(j.kind));
	j.params = str_of(text);
	ASK(c->s, stacks, submit)(c->s->db, &scope, &j, said_job, c->s);
}

static void op_rollback(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "rollback");
	const struct db_stack_rollback r = {.stack = some_stack(c),
		.to = (int64_t)below(c, 5),
		.on_failure = ON_FAILURE_ROLLBACK,
		.max_attempts = 2};
	buf_fmt(c->words, " to %lld", (long long)r.to);
	ASK(c->s, stacks, rollback)(c->s->db, &scope, &r, said_job, c->s);
}

static void op_cancel(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "cancel");
	ASK(c->s, jobs, cancel)(c->s->db, &scope, some_job(c), said_job, c->s);
}

static void op_retry(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "retry");
	ASK(c->s, jobs, retry)(c->s->db, &scope, some_job(c), said_job, c->s);
}

static void op_retry_failed(struct chooser *c)
{
	struct db_scope scope = scope_of(c, "retry_failed");
	scope.request_id = ""; /* the answer is a list */
	c->s->request = 0;
	ASK(c->s, jobs, retry_failed)(c->s->db, &scope, project(c), chance(c, 50) ? "" : stack(c),
		chance(c, 50) ? 0 : JOB_DEPLOY, said_jobs, c->s);
}

static void op_pause(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "pause");
	struct db *db = c->s->db;
	bool kind = chance(c, 40);
	const char *name = kind ? "" : project(c);
	enum job_kind k = kind ? (chance(c, 50) ? JOB_DEPLOY : JOB_SCALE) : 0;
	buf_fmt(c->words, " %s", kind ? job_kind_name(k) : "");
	if (chance(c, 40))
		ASK(c->s, jobs, pause)(db, &scope, name, k, "because", said, c->s);
	else
		ASK(c->s, jobs, resume)(db, &scope, name, k, said, c->s);
}

static void op_project(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "update");
	const char *name = project(c);
	const struct db_project_change change = {.description = chance(c, 30) ? "words" : NULL,
		.drift_policy = (enum drift_policy)below(c, 3),
		.weight = (int)below(c, 4),
		.max_running = (int)below(c, 4) - 1,
		.etag = some_etag(c, name)};
	ASK(c->s, projects, update)(c->s->db, &scope, name, &change, said_project, c->s);
}

/* All that ended goes to the archive: it is told as before, but for the stats. */
static void op_archive(struct chooser *c)
{
	const struct db_retention keep = {.jobs_age_s = 0, .jobs_s = (int64_t)400 * 24 * 3600};
	c->s->archived = true; /* see op_write */
	ASK(c->s, jobs, archive)(c->s->db, &keep, said_archived, c->s);
}

static void op_stats(struct chooser *c)
{
	static const unsigned priorities[JOB_KINDS] = {[JOB_DEPLOY] = 2, [JOB_UPDATE] = 2, [JOB_SCALE] = 3, [JOB_RESTART] = 3,
		[JOB_REMOVE] = 5, [JOB_ROLLBACK] = 4};
	const struct db_scope scope = reader(c);
	const char *of = chance(c, 50) ? "" : project(c);
	unsigned limit = chance(c, 50) ? 100 : 1 + (unsigned)below(c, 4);
	c->s->limit = limit;
	ASK(c->s, jobs, stats)(c->s->db, &scope, of, priorities, limit, said_stats, c->s);
}

static void op_housekeep(struct chooser *c)
{
	const struct db_retention keep = {.events_s = (int64_t)30 * 24 * 3600, .audit_s = (int64_t)400 * 24 * 3600,
		.releases = (unsigned)below(c, 3), .jobs_age_s = 24 * 3600, .jobs_s = (int64_t)400 * 24 * 3600};
	buf_fmt(c->words, " keep %u", keep.releases);
	ASK(c->s, jobs, housekeep)(c->s->db, &keep, said, c->s);
}

/* From `at` on, in pages, to the end of the stream. PostgreSQL's own housekeepers may hold it up: then it is read again. */
static void read_stream(struct side *s, const struct db_scope *scope, const struct db_stream_filter *f, unsigned limit)
{
	const struct timespec wait = {.tv_nsec = 1000000};
	s->stream_held = s->stream_more = true;
	for (int tries = 0; tries < 10000 && (s->stream_held || s->stream_more); tries++) {
		s->done = false;
		ASK(s, events, read)(s->db, scope, f, s->stream, limit, said_stream, s);
		side_wait(s);
		if (s->stream_held && !s->stream_more)
			(void)nanosleep(&wait, NULL);
	}
	tell_stream(s);
}

/* Goes on where it stood. */
static void op_stream(struct chooser *c)
{
	static const char *const kinds[] = {"job"}; /* the observer's the model does not have */
	const struct db_stream_filter f = {.project = "", .stack = "", .kinds = kinds, .n_kinds = 1};
	unsigned limit = 1 + (unsigned)below(c, 30);
	buf_fmt(c->words, " %u", limit);
	side_notes(c->s, BEHIND);
	read_stream(c->s, &everybody, &f, limit);
}

/* What there is of something since the last such look, and now and then since the beginning. */
static void op_part(struct chooser *c)
{
	static const char *const kinds[] = {"job.created", "job.ended", "job"};
	struct side *s = c->s;
	const struct db_scope scope = reader(c);
	const struct db_stream_filter f = {.project = chance(c, 50) ? "" : project(c),
		.stack = chance(c, 50) ? "" : chance(c, 70) ? stack(c) : stack_id(c),
		.kinds = chance(c, 50) ? kinds : kinds + 2,
		.n_kinds = 1};
	const struct db_stream_filter both = {f.project, f.stack, f.kinds, f.kinds == kinds ? 2 : 1};
	const struct db_stream_position stood = s->stream;
	unsigned limit = 1 + (unsigned)below(c, 8);
	buf_fmt(c->words, " %u of %zu kinds", limit, both.n_kinds);
	side_notes(s, BEHIND | FILTERED);
	s->stream = chance(c, 30) ? s->begun : s->part;
	read_stream(s, &scope, chance(c, 50) ? &f : &both, limit);
	s->part = s->stream;
	s->stream = stood;
}

static void op_namespace(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "check");
	ASK(c->s, stacks, check_namespace)(c->s->db, &scope, project(c), stack(c),
		chance(c, 50) ? "" : ONE_OF(c, "acme-web", "mine", "acme-web_a"), said, c->s);
}

/* ---- workers' operations ---- */

static void op_look(struct chooser *c)
{
	ASK(c->s, jobs, look)(c->s->db, 1 + (unsigned)below(c, 3), said_look, c->s);
}

static void op_claim(struct chooser *c)
{
	struct side *s = c->s;
	struct db_claim q = {.owner = daemon_id(c, 2),
		.lease_ms = chance(c, 30) ? 1 : 3600000,
		/* All or none: leases that were renewed together end in no order. */
		.takeovers = chance(c, 50) ? 0 : 100,
		.turn = s->turn - (chance(c, 10) ? 1 : 0),
		.picks = s->picks,
		.n = s->n_picks};
	buf_fmt(c->words, " for %u ms, %u takeovers", q.lease_ms, q.takeovers);
	ASK(s, jobs, claim)(s->db, &q, said_jobs, s);
}

static void op_renew(struct chooser *c)
{
	struct side *s = c->s;
	struct uuid ids[JOBS_MAX];
	int epochs[JOBS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++)
		if (chance(c, 70)) {
			ids[n] = s->jobs[i];
			epochs[n++] = s->epochs[i];
		}
	ASK(s, jobs, renew)(s->db, daemon_id(c, 2), ids, epochs, n,
		chance(c, 30) ? 1 : 3600000, said_renewed, s);
}

static void op_tell(struct chooser *c)
{
	struct side *s = c->s;
	struct db_told told[JOBS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < s->n_jobs; i++)
		if (chance(c, 50))
			told[n++] = (struct db_told){.id = s->jobs[i], .project_id = s->jobs[0], .what = (enum db_told_what)below(c, 3)};
	if (n == 0)
		said(s, &(struct status){0});
	else
		ASK(s, jobs, tell)(s->db, told, n, said, s);
}

static void choose_end(struct chooser *c, struct db_job_write *w, const struct db_job_why *why)
{
	static const enum job_state ends[] = {JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED, JOB_PENDING};
	w->state = ends[below(c, 4)];
	buf_fmt(c->words, " -> %s", job_state_name(w->state));
	w->undoing = NULL; /* nobody says both */
	if (w->state == JOB_PENDING)
		w->step = NULL;
	if (w->state == JOB_FAILED || w->state == JOB_CANCELLED ||
		(w->state == JOB_PENDING && chance(c, 50)))
		w->why = why;
	w->delay_ms = chance(c, 50) ? 0 : 3600000;
	w->keep_step = chance(c, 50);
}

static void op_write(struct chooser *c)
{
	static const struct db_event events[] = {{.kind = "job.step", .step = "one", .percent = 10},
		{.kind = "job.message", .message = "words", .percent = 20},
		{.kind = "service.state", .service = "front", .state = "running", .message = "w", .running = 1,
			.wanted = 2}};
	static const char *const steps[] = {"begun", "one", "two"};
	static const struct db_job_why whys[] = {
		{.st = {.code = ST_UNAVAILABLE, .message = "it broke"}, .text = ""},
		{.st = {.code = ST_CANCELLED, .message = "cancelled"}, .text = "a long story\nof it",
			.failures = {"[{\"service\":\"front\"}]", 21}}};
	struct db_job_write w[3];
	struct db_job jobs[3];
	size_t n = 0, want = 1 + below(c, 3);
	for (size_t i = 0; i < want; i++) {
		struct db_job j = fenced_job(c);
		bool twice = false;
		for (size_t k = 0; k < n; k++)
			twice |= strcmp(jobs[k].id.text, j.id.text) == 0;
		if (twice)
			continue;
		jobs[n] = j;
		w[n] = (struct db_job_write){.id = jobs[n].id.text, .epoch = j.epoch,
			.number = (int)++c->s->n_writes};
		w[n].first = w[n].number - (chance(c, 30) ? (int)below(c, 3) : 0);
		if (chance(c, 5)) /* late */
			w[n].number -= 3;
		if (c->s->archived) /* nobody repeats a write a day later: what becomes of it there, the model does not know */
			w[n].first = w[n].number;
		if (chance(c, 60)) {
			size_t first = below(c, 3);
			w[n].events = events + first;
			w[n].n_events = 1 + below(c, 3 - first);
		}
		if (chance(c, 40)) {
			w[n].step = steps[below(c, 3)];
			w[n].undoing = chance(c, 30) ? &whys[below(c, 2)] : NULL;
		}
		if (chance(c, 30))
			choose_end(c, &w[n], &whys[below(c, 2)]);
		if (w[n].n_events || w[n].step || w[n].state)
			n++;
	}
	if (n == 0)
		said(c->s, &(struct status){0});
	else
		ASK(c->s, jobs, write)(c->s->db, w, n, said_writes, c->s);
}

/* ---- flows' and the observer's operations ---- */

static void op_flow(struct chooser *c)
{
	static const char *const texts[] = {"x1", "x2"};
	struct db *db = c->s->db;
	struct db_job j = fenced_job(c);
	const char *release = release_for(c, &j);
	const struct db_rendered rendered = {STR("{\"services\":[]}"), texts, texts, below(c, 3), below(c, 3)};
	switch (below(c, 4)) {
	case 0:
		ASK(c->s, stacks, store_source)(db, &j, release, STR("{\"compose\":[1]}"), said, c->s);
		break;
	case 1:
		ASK(c->s, stacks, store_rendered)(db, &j, release, &rendered, said, c->s);
		break;
	case 2:
		ASK(c->s, stacks, set_status)(db, &j, (enum stack_status)(1 + below(c, 7)),
			ONE_OF(c, "", "words"), said, c->s);
		break;
	default:
		ASK(c->s, stacks, fail_release)(db, &j, release, said, c->s);
		break;
	}
}

static size_t some_services(struct chooser *c, struct db_service *v)
{
	static const char *const names[] = {"back", "front", "queue"};
	size_t n = 0;
	for (size_t i = 0; i < 3; i++)
		if (chance(c, 60))
			v[n++] = (struct db_service){.service = names[i],
				.engine_id = "e",
				.engine_name = names[i],
				.image = chance(c, 50) ? "a:1" : "b:1",
				.message = chance(c, 50) ? "" : "words",
				.mode = i == 2 ? "global" : "replicated",
				.state = (enum service_state)(1 + below(c, 7)),
				.running = (int)below(c, 3),
				.wanted = 2};
	return n;
}

static void op_activate(struct chooser *c)
{
	struct db_service v[3];
	struct db_job j = fenced_job(c);
	const char *release = release_for(c, &j);
	size_t n = some_services(c, v);
	ASK(c->s, stacks, activate)(c->s->db, &j, release, v, n, said, c->s);
}

/* A deploy that comes to its end: what it rendered, and that it is good. */
static void op_deployed(struct chooser *c)
{
	struct side *s = c->s;
	struct db_service v[3];
	struct db_job j = fenced_job(c);
	const struct db_rendered rendered = {.text = STR("{\"services\":[]}")};
	size_t n = some_services(c, v);
	ASK(s, stacks, store_rendered)(s->db, &j, j.deployment_id.text, &rendered, said, s);
	side_wait(s);
	s->done = false;
	ASK(s, stacks, activate)(s->db, &j, j.deployment_id.text, v, n, said, s);
}

static void op_removed(struct chooser *c)
{
	struct db_job j = fenced_job(c);
	ASK(c->s, stacks, removed)(c->s->db, &j, said, c->s);
}

static void op_networks(struct chooser *c)
{
	static const char *const names[] = {"inner", "outer"};
	static const char *const engine[][2] = {{"acme-web_inner", "acme-web_outer"}, {"shared", "own"}};
	struct db_job j = fenced_job(c);
	ASK(c->s, stacks, set_networks)(c->s->db, &j, names, engine[below(c, 2)], below(c, 3), said, c->s);
}

static void op_observe(struct chooser *c)
{
	struct db_service v[3];
	const char *id = stack_id(c);
	size_t n = some_services(c, v);
	ASK(c->s, stacks, observe)(c->s->db, id, (enum stack_status)(1 + below(c, 7)),
		ONE_OF(c, "", "seen"), ONE_OF(c, "", "front"), v, n, chance(c, 20) ? 3600000 : 0, said, c->s);
}

static void op_repair(struct chooser *c)
{
	const char *id = stack_id(c), *release = some_release(c);
	const struct db_project_change repairs = {.drift_policy = DRIFT_REPAIR};
	size_t known = 0;
	if (chance(c, 30)) {
		ASK(c->s, projects, update)(c->s->db, &everybody, "acme", &repairs, said_project, c->s);
		side_wait(c->s);
		c->s->done = false;
	}
	while (known < c->s->n_stacks && c->s->stacks[known].text != id)
		known++;
	if (known < c->s->n_stacks && chance(c, 80)) {
		buf_fmt(c->words, ", its own");
		release = c->s->active[known].text;
	}
	ASK(c->s, stacks, repair)(c->s->db, id, release, "why", 1 + (int)below(c, 3), said_job, c->s);
}

/* ---- choosing ---- */

static const struct {
	const char *name;
	void (*run)(struct chooser *c);
	size_t weight;
} ops[] = {{"deploy", op_deploy, 14}, {"submit", op_submit, 10}, {"rollback", op_rollback, 7},
	{"cancel", op_cancel, 6}, {"retry", op_retry, 4}, {"retry failed", op_retry_failed, 2},
	{"pause or resume", op_pause, 3}, {"update project", op_project, 3}, {"list jobs", op_list_jobs, 3}, {"archive", op_archive, 4},
	{"stats", op_stats, 8}, {"stream", op_stream, 6}, {"part of the stream", op_part, 5},
	{"schedule", op_schedule, 7}, {"due schedules", op_due, 9}, {"housekeep", op_housekeep, 3},
	{"check namespace", op_namespace, 3}, {"look", op_look, 14}, {"claim", op_claim, 16},
	{"renew", op_renew, 4}, {"tell", op_tell, 2}, {"write", op_write, 24}, {"flow", op_flow, 14},
	{"activate", op_activate, 8}, {"deployed", op_deployed, 10}, {"removed", op_removed, 2}, {"networks", op_networks, 4},
	{"observe", op_observe, 4}, {"repair", op_repair, 9}, {"read", op_read_release, 6},
	{"new project", op_new_project, 3}, {"remove project", op_remove_project, 4}, {"read projects", op_read_projects, 4},
	{"list stacks", op_list_stacks, 9}, {"read job", op_read_job, 4}, {"reserved names", op_reserved, 2}, {"daemon", op_daemon, 5},
	{"change schedule", op_change_schedule, 4}, {"read schedules", op_read_schedules, 6}};

void op_run(struct side *s, uint64_t seed, struct buf *words)
{
	struct chooser c;
	chooser_init(&c, s, seed, words);
	size_t all = 0, i = 0;
	for (size_t k = 0; k < sizeof(ops) / sizeof(*ops); k++)
		all += ops[k].weight;
	size_t at = below(&c, all);
	while (at >= ops[i].weight)
		at -= ops[i++].weight;
	buf_fmt(words, "%s:", ops[i].name);
	s->done = false;
	side_begins(s);
	ops[i].run(&c);
	side_wait(s);
}
