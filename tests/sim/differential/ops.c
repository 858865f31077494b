/* What is done, and with which arguments: small worlds, so that things meet. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "sides.h"

struct chooser {
	struct rng base;
	uint64_t x;
	struct side *s;
	struct buf *words;
};

static void fill(struct rng *r, void *p, size_t len)
{
	struct chooser *c = container_of(r, struct chooser, base);
	for (size_t i = 0; i < len; i++) {
		c->x ^= c->x >> 12;
		c->x ^= c->x << 25;
		c->x ^= c->x >> 27;
		((unsigned char *)p)[i] =
			(unsigned char)((c->x * UINT64_C(0x2545F4914F6CDD1D)) >> 56);
	}
}

static size_t below(struct chooser *c, size_t n)
{
	return (size_t)rng_below(&c->base, n);
}

static bool chance(struct chooser *c, size_t of_hundred)
{
	return below(c, 100) < of_hundred;
}

static const char *one_of(struct chooser *c, const char *const *list, size_t n)
{
	const char *text = list[below(c, n)];
	buf_fmt(c->words, " %s", text);
	return text;
}
#define ONE_OF(c, ...) \
	one_of(c, (const char *const[]){__VA_ARGS__}, \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static const char *const nobody = "01234567-89ab-7cde-8f01-23456789abcd";

static const char *some_job(struct chooser *c)
{
	size_t n = c->s->n_jobs, i = n && !chance(c, 3) ? below(c, n) : SIZE_MAX;
	if (i != SIZE_MAX && n > 6 && chance(c, 60))
		i = n - 1 - i % 6; /* rather one of the last */
	buf_fmt(c->words, " job %zd", (ssize_t)i);
	return i == SIZE_MAX ? nobody : c->s->jobs[i].text;
}

static struct db_scope scope_of(struct chooser *c, const char *method)
{
	struct db_scope s = {.project_id = "", .actor = "user", .method = method, .request_id = ""};
	if (chance(c, 15)) {
		static const char *const ids[] = {"r1", "r2", "r3", "r4", "r5", "r6"};
		s.request_id = ids[below(c, 6)];
		buf_fmt(c->words, " (request %s)", s.request_id);
		s.fingerprint = chance(c, 70) ? STR("same") : STR("other");
	}
	return s;
}

static const char *project(struct chooser *c)
{
	return chance(c, 96) ? ONE_OF(c, "acme", "bolt") : ONE_OF(c, "nothere", "");
}

static const char *stack(struct chooser *c)
{
	return ONE_OF(c, "web", "db", "shop");
}

static const char *service(struct chooser *c)
{
	return ONE_OF(c, "front", "back", "queue");
}

/* The job that a fenced operation is about; now and then under an epoch that is over. */
static struct db_job fenced_job(struct chooser *c)
{
	struct side *s = c->s;
	struct db_job j = {.stack = "web"};
	size_t first = s->n_jobs ? below(c, s->n_jobs) : 0, i = SIZE_MAX;
	bool any = chance(c, 20);
	for (size_t k = 0; k < s->n_jobs && i == SIZE_MAX; k++)
		if (any || s->running[(first + k) % s->n_jobs])
			i = (first + k) % s->n_jobs;
	buf_fmt(c->words, " job %zd", (ssize_t)i);
	memcpy(j.id.text, i == SIZE_MAX ? nobody : s->jobs[i].text, sizeof(j.id.text));
	if (i == SIZE_MAX)
		return j;
	if (s->of_release[i])
		j.deployment_id = s->releases[s->of_release[i] - 1];
	j.epoch = s->epochs[i] - (chance(c, 5) ? 1 : 0);
	if (s->of_stack[i])
		j.stack_id = s->stacks[s->of_stack[i] - 1];
	return j;
}

static const char *some_release(struct chooser *c)
{
	size_t n = c->s->n_releases, i = n ? below(c, n) : 0;
	buf_fmt(c->words, " release %zu", i);
	return n ? c->s->releases[i].text : nobody;
}

/* Mostly the job's own. */
static const char *release_for(struct chooser *c, const struct db_job *j)
{
	const char *other = some_release(c);
	return j->deployment_id.text[0] && chance(c, 80) ? j->deployment_id.text : other;
}

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
	c->s->db->stacks->deploy(c->s->db, &scope, &d, said_job, c->s);
}

static struct db_stack_ref some_stack(struct chooser *c)
{
	size_t n = c->s->n_stacks;
	struct db_stack_ref r = {"", "", ""};
	if (n && chance(c, 20)) {
		size_t i = below(c, n);
		buf_fmt(c->words, " stack %zu", i);
		r.id = c->s->stacks[i].text;
	} else {
		r.project = project(c);
		r.name = stack(c);
	}
	return r;
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
	c->s->db->stacks->submit(c->s->db, &scope, &j, said_job, c->s);
}

static void op_rollback(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "rollback");
	const struct db_stack_rollback r = {.stack = some_stack(c),
		.to = (int64_t)below(c, 5),
		.on_failure = ON_FAILURE_ROLLBACK,
		.max_attempts = 2};
	buf_fmt(c->words, " to %lld", (long long)r.to);
	c->s->db->stacks->rollback(c->s->db, &scope, &r, said_job, c->s);
}

static void op_cancel(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "cancel");
	c->s->db->jobs->cancel(c->s->db, &scope, some_job(c), said_job, c->s);
}

static void op_retry(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "retry");
	c->s->db->jobs->retry(c->s->db, &scope, some_job(c), said_job, c->s);
}

static void op_retry_failed(struct chooser *c)
{
	struct db_scope scope = scope_of(c, "retry_failed");
	scope.request_id = "";
	c->s->db->jobs->retry_failed(c->s->db, &scope, project(c), chance(c, 50) ? "" : stack(c),
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
		db->jobs->pause(db, &scope, name, k, "because", said, c->s);
	else
		db->jobs->resume(db, &scope, name, k, said, c->s);
}

static void op_project(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "update");
	const struct db_project_change change = {.description = chance(c, 30) ? "words" : NULL,
		.drift_policy = (enum drift_policy)below(c, 3),
		.weight = (int)below(c, 4),
		.max_running = (int)below(c, 4) - 1};
	c->s->db->projects->update(
		c->s->db, &scope, project(c), &change, said_project, c->s);
}

static void op_list(struct chooser *c)
{
	const struct db_scope scope = {.project_id = "", .actor = "user", .method = "", .request_id = ""};
	const struct db_page page = {1 + (unsigned)below(c, 6), chance(c, 50) ? "" : some_job(c)};
	const struct db_job_filter f = {.project = chance(c, 50) ? "" : project(c), .stack = chance(c, 50) ? "" : stack(c),
		.states = chance(c, 50) ? 0 : (unsigned)below(c, 64) & 62u, .kinds = chance(c, 50) ? 0 : (unsigned)below(c, 4096) & 4094u};
	c->s->db->jobs->list(c->s->db, &scope, &f, &page, said_jobs, c->s);
}

/* All that ended goes to the archive; nothing that is told changes. */
static void op_archive(struct chooser *c)
{
	const struct db_retention keep = {.jobs_age_s = 0, .jobs_s = (int64_t)400 * 24 * 3600};
	c->s->archived = true;
	c->s->db->jobs->archive(c->s->db, &keep, said_archived, c->s);
}

static void op_stats(struct chooser *c)
{
	static const unsigned priorities[JOB_KINDS] = {[JOB_DEPLOY] = 2, [JOB_UPDATE] = 2, [JOB_SCALE] = 3, [JOB_RESTART] = 3,
		[JOB_REMOVE] = 5, [JOB_ROLLBACK] = 4};
	const struct db_scope scope = {.project_id = "", .actor = "user", .method = "", .request_id = ""};
	const char *of = chance(c, 50) ? "" : project(c);
	unsigned limit = chance(c, 50) ? 100 : 1 + (unsigned)below(c, 4);
	c->s->limit = limit;
	c->s->db->jobs->stats(c->s->db, &scope, of, priorities, limit, said_stats, c->s);
}

static void op_housekeep(struct chooser *c)
{
	const struct db_retention keep = {.events_s = (int64_t)30 * 24 * 3600, .audit_s = (int64_t)400 * 24 * 3600,
		.releases = (unsigned)below(c, 3), .jobs_age_s = 24 * 3600, .jobs_s = (int64_t)400 * 24 * 3600};
	buf_fmt(c->words, " keep %u", keep.releases);
	c->s->db->jobs->housekeep(c->s->db, &keep, said, c->s);
}

/* Long due, or not for long: on both sides, whatever their clocks say. */
static struct db_schedule_times times(struct chooser *c)
{
	int64_t at = chance(c, 70) ? 1000 + (int64_t)below(c, 100000) : INT64_C(9000000000) + (int64_t)below(c, 1000);
	buf_fmt(c->words, " at %lld", (long long)at);
	return (struct db_schedule_times){at, at + (int64_t)below(c, 60)};
}

static void op_schedule(struct chooser *c)
{
	struct side *s = c->s;
	const struct db_scope scope = {.project_id = "", .actor = "user", .method = "schedule", .request_id = ""};
	const struct db_schedule_new n = {.project = project(c), .stack = stack(c), .name = ONE_OF(c, "nightly", "hourly", "often"),
		.action = SCHEDULE_RESTART, .params = STR("{}"), .cron = "@daily", .time_zone = "UTC", .missed = SCHEDULE_SKIP,
		.times = times(c)};
	s->db->schedules->create(s->db, &scope, &n, said_schedule, s);
}

/* Those that were due at the last look: now and then somebody else has seen to them meanwhile. */
static void op_due(struct chooser *c)
{
	static const enum schedule_outcome outcomes[] = {SCHEDULE_SKIPPED, SCHEDULE_MISSED, SCHEDULE_REFUSED};
	struct side *s = c->s;
	const struct db_schedule_times next = times(c);
	size_t which = below(c, 8), outcome = below(c, 3);
	if (s->n_due == 0 || chance(c, 40)) {
		s->db->schedules->due(s->db, 1 + (unsigned)below(c, 4), said_due, s);
		return;
	}
	const struct db_schedule *t = &s->due[which % s->n_due];
	buf_fmt(c->words, " %s", t->name);
	if (chance(c, 60))
		s->db->schedules->fire(s->db, t, 2, &next, said_job, s);
	else
		s->db->schedules->pass(s->db, t, outcomes[outcome], "", &next, said, s);
}

/* Goes on where it stood, in pages. PostgreSQL's own housekeepers may hold it up: then it is read again. */
static void op_stream(struct chooser *c)
{
	static const char *const kinds[] = {"job"}; /* the observer's the model does not have */
	const struct db_scope scope = {.project_id = "", .actor = "user", .method = "", .request_id = ""};
	const struct db_stream_filter f = {.project = "", .stack = "", .kinds = kinds, .n_kinds = 1};
	const struct timespec wait = {.tv_nsec = 1000000};
	struct side *s = c->s;
	unsigned limit = 1 + (unsigned)below(c, 30);
	buf_fmt(c->words, " %u", limit);
	s->stream_held = s->stream_more = true;
	for (int tries = 0; tries < 10000 && (s->stream_held || s->stream_more); tries++) {
		s->done = false;
		s->db->events->read(s->db, &scope, &f, s->stream, limit, said_stream, s);
		side_wait(s);
		if (s->stream_held && !s->stream_more)
			(void)nanosleep(&wait, NULL);
	}
	tell_stream(s);
}

static void op_namespace(struct chooser *c)
{
	const struct db_scope scope = scope_of(c, "check");
	c->s->db->stacks->check_namespace(c->s->db, &scope, project(c), stack(c),
		chance(c, 50) ? "" : ONE_OF(c, "acme-web", "mine", "acme-web_a"), said, c->s);
}

/* ---- workers' operations ---- */

static void op_look(struct chooser *c)
{
	c->s->db->jobs->look(c->s->db, 1 + (unsigned)below(c, 3), said_look, c->s);
}

static void op_claim(struct chooser *c)
{
	struct side *s = c->s;
	struct db_claim q = {.owner = ONE_OF(c, "d1", "d2"),
		.lease_ms = chance(c, 30) ? 1 : 3600000,
		/* All or none: leases that were renewed together end in no order. */
		.takeovers = chance(c, 50) ? 0 : 100,
		.turn = s->turn - (chance(c, 10) ? 1 : 0),
		.picks = s->picks,
		.n = s->n_picks};
	buf_fmt(c->words, " for %u ms, %u takeovers", q.lease_ms, q.takeovers);
	s->db->jobs->claim(s->db, &q, said_jobs, s);
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
	s->db->jobs->renew(s->db, ONE_OF(c, "d1", "d2"), ids, epochs, n,
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
		s->db->jobs->tell(s->db, told, n, said, s);
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
		c->s->db->jobs->write(c->s->db, w, n, said_writes, c->s);
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
		db->stacks->store_source(db, &j, release, STR("{\"compose\":[1]}"), said, c->s);
		break;
	case 1:
		db->stacks->store_rendered(db, &j, release, &rendered, said, c->s);
		break;
	case 2:
		db->stacks->set_status(db, &j, (enum stack_status)(1 + below(c, 7)),
			ONE_OF(c, "", "words"), said, c->s);
		break;
	default:
		db->stacks->fail_release(db, &j, release, said, c->s);
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
	c->s->db->stacks->activate(c->s->db, &j, release, v, n, said, c->s);
}

static void op_removed(struct chooser *c)
{
	struct db_job j = fenced_job(c);
	c->s->db->stacks->removed(c->s->db, &j, said, c->s);
}

static void op_networks(struct chooser *c)
{
	static const char *const names[] = {"inner", "outer"};
	static const char *const engine[][2] = {{"acme-web_inner", "acme-web_outer"}, {"shared", "own"}};
	struct db_job j = fenced_job(c);
	c->s->db->stacks->set_networks(
		c->s->db, &j, names, engine[below(c, 2)], below(c, 3), said, c->s);
}

static const char *stack_id(struct chooser *c)
{
	size_t n = c->s->n_stacks, i = n ? below(c, n) : 0;
	buf_fmt(c->words, " stack %zu", i);
	return n ? c->s->stacks[i].text : nobody;
}

static void op_observe(struct chooser *c)
{
	struct db_service v[3];
	const char *id = stack_id(c);
	size_t n = some_services(c, v);
	c->s->db->stacks->observe(c->s->db, id, (enum stack_status)(1 + below(c, 7)),
		ONE_OF(c, "", "seen"), ONE_OF(c, "", "front"), v, n, chance(c, 20) ? 3600000 : 0, said, c->s);
}

static void op_repair(struct chooser *c)
{
	const char *id = stack_id(c), *release = some_release(c);
	c->s->db->stacks->repair(
		c->s->db, id, release, "why", 1 + (int)below(c, 3), said_job, c->s);
}

static void op_read_release(struct chooser *c)
{
	struct db *db = c->s->db;
	const struct db_scope all = {.project_id = "", .actor = "user", .method = "", .request_id = ""};
	const char *id = some_release(c), *of = stack_id(c);
	/* The project is that of number 0 or 1: they were seen first. */
	const char *project_id = c->s->ids[below(c, 2)].text;
	const struct db_stack_ref ref = some_stack(c);
	switch (below(c, 3)) {
	case 0:
		db->stacks->load_release(db, project_id, id, said_release, c->s);
		break;
	case 1:
		db->stacks->good_releases(db, project_id, of, 1 + (unsigned)below(c, 3), said_objects, c->s);
		break;
	default:
		db->stacks->get(db, &all, &ref, said_stack, c->s);
		break;
	}
}

/* ---- choosing ---- */

static const struct {
	const char *name;
	void (*run)(struct chooser *c);
	size_t weight;
} ops[] = {{"deploy", op_deploy, 14}, {"submit", op_submit, 10}, {"rollback", op_rollback, 4},
	{"cancel", op_cancel, 6}, {"retry", op_retry, 4}, {"retry failed", op_retry_failed, 2},
	{"pause or resume", op_pause, 3}, {"update project", op_project, 2}, {"list", op_list, 3}, {"archive", op_archive, 4},
	{"stats", op_stats, 8}, {"stream", op_stream, 8},
	{"schedule", op_schedule, 4}, {"due schedules", op_due, 9}, {"housekeep", op_housekeep, 3},
	{"check namespace", op_namespace, 1}, {"look", op_look, 14}, {"claim", op_claim, 16},
	{"renew", op_renew, 4}, {"tell", op_tell, 2}, {"write", op_write, 24}, {"flow", op_flow, 10},
	{"activate", op_activate, 8}, {"removed", op_removed, 2}, {"networks", op_networks, 2},
	{"observe", op_observe, 4}, {"repair", op_repair, 3}, {"read", op_read_release, 6}};

void op_run(struct side *s, uint64_t seed, struct buf *words)
{
	struct chooser c = {.base = {fill}, .x = seed | 1, .s = s, .words = words};
	size_t all = 0, i = 0;
	for (size_t k = 0; k < sizeof(ops) / sizeof(*ops); k++)
		all += ops[k].weight;
	size_t at = below(&c, all);
	while (at >= ops[i].weight)
		at -= ops[i++].weight;
	buf_fmt(words, "%s:", ops[i].name);
	s->done = false;
	ops[i].run(&c);
	side_wait(s);
}
