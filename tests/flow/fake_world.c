#include "fake_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/clock.h"
#include "stacks/release.h"

#define LEASE_MS 15000
#define LIMIT_MS (6 * 3600 * UINT64_C(1000))
#define STALL_MS 20000
#define HOLD_MS  800

/* A generator with a seed, so that a run can be repeated (xorshift64*). */
struct seeded {
	struct rng base;
	uint64_t x;
};

static void seeded_fill(struct rng *r, void *p, size_t len)
{
	struct seeded *s = container_of(r, struct seeded, base);
	for (size_t i = 0; i < len; i++) {
		s->x ^= s->x >> 12;
		s->x ^= s->x << 25;
		s->x ^= s->x >> 27;
		((unsigned char *)p)[i] =
			(unsigned char)((s->x * UINT64_C(0x2545F4914F6CDD1D)) >> 56);
	}
}

static const struct db_scope scope = {
	.project_id = "", .actor = "test", .method = "test", .request_id = ""};

static void must(const struct status *st)
{
	if (!status_is_ok(st))
		fail_msg("%s", st->message);
}

struct world *world_create(void)
{
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	struct world *w = mem_new(struct world);
	struct seeded *r = mem_new(struct seeded);
	r->base.fill = seeded_fill;
	r->x = 88172645463325252ULL;
	w->rng = &r->base;
	w->loop = loop_create();
	loop_set_watchdog(w->loop, 0);
	w->arena = arena_create();
	w->script.loop = w->loop;
	w->swarm = swarm_create(w->loop);
	w->store = store_create(w->loop, w->rng);
	struct status st = store_project_create(w->store, &scope, "acme", "", &w->project);
	must(&st);
	return w;
}

/* ---- what the api would do ---- */

struct store_stack *world_stack(const struct world *w)
{
	return w->store->n_stacks ? w->store->stacks[0] : NULL;
}

int64_t world_active(const struct world *w)
{
	const struct store_stack *t = world_stack(w);
	return t ? store_stack_row(w->store, t).active_number : 0;
}

static struct store_job *deploy(struct world *w, struct str source, bool adopt,
	enum failure_policy policy, int max_attempts)
{
	const struct db_stack_deploy d = {.project = "acme",
		.name = "shop",
		.namespace_ = "",
		.adopt = adopt,
		.on_failure = policy,
		.source = source,
		.max_attempts = max_attempts};
	struct store_job *j = NULL;
	struct status st = store_deploy(w->store, &scope, &d, &j);
	must(&st);
	return j;
}

struct store_job *world_deploy(
	struct world *w, const char *compose, enum failure_policy policy, int max_attempts)
{
	struct compose_text text = {"compose.yml", str_of(compose)};
	const struct release_upload u = {.texts = &text, .n_texts = 1};
	return deploy(w, release_source_encode(w->arena, &u), false, policy, max_attempts);
}

struct store_job *world_adopt(struct world *w, int max_attempts)
{
	return deploy(w, STR(""), true, ON_FAILURE_ROLLBACK, max_attempts);
}

static const struct db_stack_ref shop = {"", "acme", "shop"};

struct store_job *world_rollback(
	struct world *w, int64_t to, enum failure_policy policy, int max_attempts)
{
	const struct db_stack_rollback r = {
		.stack = shop, .to = to, .on_failure = policy, .max_attempts = max_attempts};
	struct store_job *j = NULL;
	struct status st = store_rollback(w->store, &scope, &r, &j);
	must(&st);
	return j;
}

struct store_job *world_submit(
	struct world *w, enum job_kind kind, const char *params, int max_attempts)
{
	const struct db_stack_job q = {
		.stack = shop, .kind = kind, .params = str_of(params), .max_attempts = max_attempts};
	struct store_job *j = NULL;
	if (!world_stack(w))
		return store_job_add(w->store, w->project, kind, params, max_attempts);
	struct status st = store_submit(w->store, &scope, &q, &j);
	must(&st);
	return j;
}

void world_cancel(struct world *w, const struct store_job *j)
{
	struct store_job *same;
	struct status st = store_cancel(w->store, &scope, j->row.id.text, &same);
	if (!job_state_is_end(j->row.state))
		must(&st);
}

/* ---- daemons ---- */

static void on_drained(void *data)
{
	struct world_daemon *d = data;
	d->drained = true;
}

void world_drain(struct world *w, struct world_daemon *d, uint64_t grace_ms)
{
	if (d->gone)
		return;
	if (d->dead) /* its runs find out as soon as they ask */
		grace_ms = 0;
	job_worker_drain(d->worker, grace_ms, on_drained, d);
	uint64_t until = loop_now_ms(w->loop) + LIMIT_MS;
	while (!d->drained && loop_now_ms(w->loop) < until)
		world_turn(w);
	assert_true(d->drained);
	job_worker_destroy(d->worker);
	lookout_stop(d->lookout);
	while (!list_empty(&d->docker.front.calls)) /* the look that was under way */
		world_turn(w);
	lookout_destroy(d->lookout);
	d->gone = true;
}

/* Whatever happened: no job ended twice, no older epoch wrote over a newer one. */
void world_destroy(struct world *w)
{
	for (size_t i = 0; i < w->n_daemons; i++)
		world_drain(w, &w->daemons[i], 1000);
	for (size_t i = 0; i < w->store->n_jobs; i++)
		assert_true(w->store->jobs[i]->ends <= 1);
	assert_int_equal(w->swarm->epoch_breaches, 0);
	swarm_destroy(w->swarm);
	store_destroy(w->store);
	fake_script_finish(&w->script);
	arena_destroy(w->arena);
	loop_destroy(w->loop);
	free(container_of(w->rng, struct seeded, base));
	free(w);
}

struct world_daemon *world_start(struct world *w)
{
	struct world_daemon *d = &w->daemons[w->n_daemons++];
	assert_true(w->n_daemons <= WORLD_DAEMONS);
	*d = (struct world_daemon){0};
	fake_docker_init(&d->docker, &w->script, NULL, w->swarm);
	d->docker.log = w->log ? w->log : "";
	d->docker.logs_hang = w->logs_hang;
	d->docker.container = w->container;
	fake_db_init(&d->db, &w->script, NULL, w->store);
	d->lookout = lookout_create(w->loop, &d->docker.base);
	lookout_start(d->lookout);
	d->stacks = (struct stacks){.docker = &d->docker.base,
		.lookout = d->lookout,
		.clock = clock_system(),
		.stall_ms = STALL_MS,
		.hold_ms = HOLD_MS,
		.keep_releases = w->keep_releases ? w->keep_releases : 1};
	char owner[16];
	(void)snprintf(owner, sizeof(owner), "daemon%zu", w->n_daemons);
	const struct job_worker_options o = {.loop = w->loop,
		.db = &d->db.base,
		.rng = w->rng,
		.owner = owner,
		.kinds = w->kinds ? w->kinds : stacks_kinds,
		.context = &d->stacks,
		.slots = w->slots,
		.lease_ms = LEASE_MS,
		.max_takeovers = w->max_takeovers};
	d->worker = job_worker_create(&o);
	job_worker_start(d->worker);
	return d;
}

void world_kill(struct world *w, struct world_daemon *d)
{
	(void)w;
	d->dead = true;
	fake_front_kill(&d->docker.front);
	fake_front_kill(&d->db.front);
}

void world_turn(struct world *w)
{
	(void)loop_skip(w->loop);
	loop_turn(w->loop);
}

void world_wake(struct world *w)
{
	for (size_t i = 0; i < w->n_daemons; i++)
		if (!w->daemons[i].dead && !w->daemons[i].gone)
			job_worker_wake(w->daemons[i].worker);
}

void world_run(struct world *w, struct store_job *j)
{
	uint64_t until = loop_now_ms(w->loop) + LIMIT_MS;
	world_wake(w);
	while (!job_state_is_end(j->row.state) && loop_now_ms(w->loop) < until)
		world_turn(w);
	if (!job_state_is_end(j->row.state))
		fail_msg("job %s never ends: step \"%s\"%s, events:\n%s",
			job_kind_name(j->row.kind), j->row.step, j->row.undoing ? " (undoing)" : "",
			j->events.ptr);
}

static void on_alarm(struct timer *t)
{
	(void)t;
}

void world_run_ms(struct world *w, uint64_t ms)
{
	struct timer alarm; /* or the clock would jump further */
	timer_init(&alarm, w->loop, on_alarm);
	timer_set(&alarm, ms);
	while (timer_is_set(&alarm))
		world_turn(w);
}

void world_prepare(struct world *w, const char *compose)
{
	struct store_job *j = world_deploy(w, compose, ON_FAILURE_ROLLBACK, 1);
	struct world_daemon *d = world_start(w);
	world_run(w, j);
	if (j->row.state != JOB_SUCCEEDED)
		fail_msg("preparing failed: %s", j->row.error);
	world_drain(w, d, 1000);
	w->n_daemons--;
	w->script.calls = 0;
	w->script.trace.len = 0;
}

char *world_text(struct world *w)
{
	return swarm_text(w->swarm, w->arena);
}

bool world_said(const struct store_job *j, const char *text)
{
	return j->events.len && strstr(j->events.ptr, text) != NULL;
}

char *world_writes(struct world *w)
{
	static const char *const writes[] = {"docker service_create", "docker service_update",
		"docker service_remove", "docker network_create", "docker network_remove",
		"docker secret_create", "docker secret_remove", "docker config_create",
		"docker config_remove", "db step", "db undo", "db store_source", "db store_rendered", "db set_status",
		"db activate", "db fail_release", "db removed", "db set_networks", "db finish",
		"db requeue", NULL};
	return fake_trace(&w->script, w->arena, writes);
}
