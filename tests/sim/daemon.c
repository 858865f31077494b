/* One daemon: what app/ wires, over fronts of the models. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include "api/hub.h"
#include "base/mem.h"
#include "jobs/pulse.h"
#include "jobs/schedules.h"
#include "jobs/wake.h"
#include "stacks/lookout.h"
#include "stacks/observer.h"

#define STALL_MS 10000
#define HOLD_MS  800
#define GRACE_MS 3000

static void on_redis_ready(void *data, const char *job_id)
{
	struct sim_daemon *d = data;
	job_worker_tell(d->worker, job_id);
}

static uint64_t work_ms(void *data)
{
	struct sim_daemon *d = data;
	return sim_below(&d->sim->faults_rng, 8);
}

static void make_fronts(struct sim_daemon *d)
{
	struct sim *s = d->sim;
	fake_docker_init(&d->docker, &s->script, d->loop, s->swarm);
	d->docker.log = "it began\nit ended badly\n";
	fake_db_init(&d->db, &s->script, d->loop, s->store);
	d->docker.front.owner = d->db.front.owner = d;
	sim_redis_init(&d->redis, d);
}

static void make_parts(struct sim_daemon *d)
{
	struct sim *s = d->sim;
	d->wake = job_wake_create(&d->redis.base, on_redis_ready, d);
	d->lookout = lookout_create(d->loop, &d->docker.base);
	d->stacks = (struct stacks){.docker = &d->docker.base,
		.lookout = d->lookout,
		.clock = &s->clock,
		.stall_ms = STALL_MS,
		.hold_ms = HOLD_MS,
		.keep_releases = s->keep_releases};
	const struct job_worker_options worker = {.loop = d->loop,
		.db = &d->db.base,
		.rng = &d->rng.base,
		.owner = d->id.text,
		.kinds = s->flood ? sim_flood_kinds : stacks_kinds,
		.context = &d->stacks,
		.slots = s->slots,
		.reserved = s->reserved,
		.max_running = s->max_running,
		.lease_ms = s->lease_ms};
	d->worker = job_worker_create(&worker);
	d->pulse = job_pulse_create(d->loop, &d->db.base, d->worker, d->id.text, d->name, "sim");
	d->api = (struct api){.loop = d->loop, .db = &d->db.base, .hub = api_hub_create(d->loop)};
	d->schedules = job_schedules_create(d->loop, &d->db.base, &d->rng.base);
	const struct observer_options observer = {
		.loop = d->loop, .lookout = d->lookout, .docker = &d->docker.base, .db = &d->db.base};
	d->observer = observer_create(&observer);
}

struct sim_daemon *sim_daemon_start(struct sim *s, unsigned place)
{
	if (s->n_daemons == SIM_DAEMONS)
		return NULL;
	struct sim_daemon *d = mem_new(struct sim_daemon);
	s->daemons[s->n_daemons++] = d;
	s->at[place] = d;
	d->sim = s;
	d->place = place;
	(void)snprintf(d->name, sizeof(d->name), "d%zu", s->n_daemons);
	d->id = store_id(s->store);
	sim_rng_init(&d->rng, s->seed, 100 + s->n_daemons);
	list_init(&d->messages);
	list_init(&d->watches);
	d->loop = loop_create();
	loop_set_watchdog(d->loop, 0);
	loop_set_now(d->loop, loop_now_ms(s->loop));
	loop_set_work_ms(d->loop, work_ms, d);
	make_fronts(d);
	make_parts(d);
	sim_trace(s, d->name, "starts at place %u as %s", place, d->id.text);
	lookout_start(d->lookout);
	job_worker_start(d->worker);
	job_pulse_start(d->pulse);
	if (s->n_schedules)
		job_schedules_start(d->schedules);
	if (!s->flood)
		observer_start(d->observer);
	return d;
}

/* ---- ending ---- */

static void on_drained(void *data)
{
	((struct sim_daemon *)data)->worker_drained = true;
}

static void on_stopped(void *data)
{
	((struct sim_daemon *)data)->observer_stopped = true;
}

static void on_schedules_stopped(void *data)
{
	((struct sim_daemon *)data)->schedules_stopped = true;
}

static void start_end(struct sim_daemon *d, uint64_t grace_ms)
{
	if (d->draining)
		return;
	d->draining = true;
	sim_stream_drop(d);
	job_pulse_stop(d->pulse);
	job_worker_drain(d->worker, grace_ms, on_drained, d);
	observer_stop(d->observer, on_stopped, d);
	job_schedules_stop(d->schedules, on_schedules_stopped, d);
}

static bool has_ended(const struct sim_daemon *d)
{
	return d->worker_drained && d->observer_stopped && d->schedules_stopped && list_empty(&d->watches) && list_empty(&d->db.front.calls) &&
	       list_empty(&d->docker.front.calls);
}

static void destroy_parts(struct sim_daemon *d)
{
	sim_bus_drop(d);
	job_pulse_destroy(d->pulse);
	job_schedules_destroy(d->schedules);
	api_hub_destroy(d->api.hub);
	job_worker_destroy(d->worker);
	observer_destroy(d->observer);
	lookout_destroy(d->lookout);
	job_wake_destroy(d->wake);
	loop_destroy(d->loop);
	d->loop = NULL;
	d->gone = true;
	if (d->sim->at[d->place] == d)
		d->sim->at[d->place] = NULL;
}

/* Nothing that it does from here on changes the world; so that its memory can be freed in order, its
 * code is told to end, in a time of its own. */
void sim_daemon_kill(struct sim_daemon *d)
{
	sim_trace(d->sim, d->name, "is killed");
	d->dead = true;
	d->to_kill = false;
	d->stopped_until = 0;
	sim_bus_drop(d);
	fake_front_kill(&d->docker.front);
	fake_front_kill(&d->db.front);
	if (d->draining) { /* it was about to: without grace now */
		for (unsigned i = 0; i < 100000 && !has_ended(d); i++) {
			(void)loop_skip(d->loop);
			loop_turn(d->loop);
		}
	}
	start_end(d, 0);
	for (unsigned i = 0; i < 100000 && !has_ended(d); i++) {
		(void)loop_skip(d->loop);
		loop_turn(d->loop);
	}
	if (!has_ended(d))
		sim_fail(d->sim, "%s was told to end and never does", d->name);
	else
		destroy_parts(d);
}

void sim_daemon_drain(struct sim_daemon *d)
{
	sim_trace(d->sim, d->name, "is asked to end");
	start_end(d, GRACE_MS);
}

void sim_daemon_reap(struct sim_daemon *d)
{
	if (!d->draining || d->gone || !has_ended(d))
		return;
	sim_trace(d->sim, d->name, "has ended");
	destroy_parts(d);
}

void sim_daemon_free(struct sim_daemon *d)
{
	free(d->held);
	free(d);
}
