/* What goes wrong: each call by itself, and now and then something for everybody. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#define DB_DEADLINE_MS 5000

/* ---- of a run ---- */

/* Half of the runs know nothing of a kind of fault: others show better then. */
static unsigned rate(struct sim *s, unsigned most)
{
	return sim_chance(&s->faults_rng, 500) ? 0 : (unsigned)sim_below(&s->faults_rng, most + 1);
}

static void choose(struct sim *s)
{
	struct sim_faults *f = &s->faults;
	struct sim_rng *r = &s->faults_rng;
	f->refused = rate(s, 60);
	f->lost = rate(s, 60);
	f->silent = rate(s, 15);
	f->slow = rate(s, 60);
	f->engine_refused = rate(s, 40);
	f->engine_lost = rate(s, 60);
	f->engine_silent = rate(s, 8);
	f->engine_slow = rate(s, 60);
	f->engine_broken = rate(s, 60);
	f->crash_at_call = rate(s, 40);
	f->crash = rate(s, 10);
	f->stop = rate(s, 10);
	f->drain = rate(s, 6);
	f->outage = rate(s, 5);
	f->disconnect = rate(s, 8);
	f->redis = rate(s, 5);
	f->operator_ = s->flood ? 0 : rate(s, 8);
	f->gap_ms = sim_between(r, 1500, 15000);
	s->places = 1 + (unsigned)sim_below(r, SIM_PLACES);
	s->chaos_ms = sim_between(r, 30000, 120000);
	s->lease_ms = 4000;
	s->slots = (unsigned)sim_between(r, 1, 6);
	s->reserved = (unsigned)sim_below(r, s->slots);
	s->max_running = (unsigned)sim_below(r, 4);
	s->keep_releases = (unsigned)sim_between(r, 1, 3);
}

/* ---- calls ---- */

/* Mostly a moment; seldom long. */
static uint64_t latency(struct sim_rng *r)
{
	uint64_t n = sim_below(r, 100);
	return n < 60 ? sim_below(r, 3) : n < 95 ? sim_below(r, 20) : sim_below(r, 200);
}

static bool is_away(const struct sim *s, bool db)
{
	return loop_now_ms(s->loop) < (db ? s->db_away_until : s->engine_away_until);
}

static enum fault fault_of(struct sim *s, bool db)
{
	const struct sim_faults *f = &s->faults;
	struct sim_rng *r = &s->faults_rng;
	if (sim_chance(r, db ? f->refused : f->engine_refused))
		return FAULT_REFUSED;
	if (!db && sim_chance(r, f->engine_broken))
		return FAULT_INTERNAL;
	if (sim_chance(r, db ? f->lost : f->engine_lost))
		return FAULT_LOST;
	if (sim_chance(r, db ? f->silent : f->engine_silent))
		return sim_chance(r, 500) ? FAULT_SILENT : FAULT_DONE_SILENT;
	return FAULT_NONE;
}

/* Beyond the deadline too: then what is done later was given up by its caller. What writes to the
 * Engine is not kept longer than its writer's lease can be trusted to be over (see README.md). */
static uint64_t slowness(struct sim *s, const struct fake_call *c, bool db)
{
	bool writes = strstr(c->name, "_create ") || strstr(c->name, "_update ") ||
		      strstr(c->name, "_remove ");
	return sim_below(&s->faults_rng, db ? 2 * DB_DEADLINE_MS : writes ? s->lease_ms / 6 : 20000);
}

void sim_plan(void *data, const struct fake_call *c, struct fake_plan *p)
{
	struct sim *s = data;
	struct sim_rng *r = &s->faults_rng;
	struct sim_daemon *d = c->front->owner;
	bool db = c->front == &d->db.front;
	*p = (struct fake_plan){.effect_ms = latency(r), .reply_ms = latency(r)};
	p->outlives_front = sim_chance(r, 500);
	if (is_away(s, db))
		p->fault = FAULT_REFUSED;
	if (s->quiet || p->fault)
		return;
	p->fault = fault_of(s, db);
	if (sim_chance(r, db ? s->faults.slow : s->faults.engine_slow)) {
		uint64_t ms = slowness(s, c, db);
		if (sim_chance(r, 500))
			p->effect_ms += ms;
		else
			p->reply_ms += ms;
	}
	if (sim_chance(r, 100) && sim_chance(r, s->faults.crash_at_call))
		d->to_kill = true;
}

/* ---- events ---- */

static struct sim_daemon *somebody(struct sim *s)
{
	struct sim_daemon *d = s->at[sim_below(&s->faults_rng, s->places)];
	return d && !d->dead && !d->to_kill && !d->stopped_until ? d : NULL;
}

static void crash(struct sim *s)
{
	struct sim_daemon *d = somebody(s);
	if (d)
		d->to_kill = true;
}

static void stop(struct sim *s)
{
	struct sim_daemon *d = somebody(s);
	uint64_t ms = sim_between(&s->faults_rng, 200, sim_chance(&s->faults_rng, 500) ? 4000 : 30000);
	if (!d)
		return;
	d->stopped_until = loop_now_ms(s->loop) + ms;
	sim_trace(s, d->name, "is stopped for %llu ms", (unsigned long long)ms);
}

static void drain(struct sim *s)
{
	struct sim_daemon *d = somebody(s);
	if (d && !d->draining)
		sim_daemon_drain(d);
}

static void outage(struct sim *s)
{
	bool db = sim_chance(&s->faults_rng, 500);
	uint64_t ms = sim_between(&s->faults_rng, 100, 12000);
	*(db ? &s->db_away_until : &s->engine_away_until) = loop_now_ms(s->loop) + ms;
	sim_trace(s, "world", "%s is away for %llu ms", db ? "the database" : "the Engine",
		(unsigned long long)ms);
	for (unsigned i = 0; i < s->places; i++)
		if (s->at[i])
			fake_front_disconnect(
				db ? &s->at[i]->db.front : &s->at[i]->docker.front);
}

static void disconnect(struct sim *s)
{
	struct sim_daemon *d = somebody(s);
	bool db = sim_chance(&s->faults_rng, 700);
	if (!d)
		return;
	sim_trace(s, d->name, "loses its connection to %s", db ? "the database" : "the Engine");
	fake_front_disconnect(db ? &d->db.front : &d->docker.front);
	sim_bus_tell(d, db ? BUS_PG : BUS_ENGINE, NULL, "");
}

/* Down, flushed (nothing of ours is kept there), and what somebody writes into it by hand. */
static void redis(struct sim *s)
{
	char text[64] = "";
	if (sim_chance(&s->faults_rng, 500)) {
		s->redis_away_until = loop_now_ms(s->loop) + sim_below(&s->faults_rng, 20000);
		sim_trace(s, "world", "Redis is away");
		return;
	}
	for (unsigned i = 0; i < 5; i++) {
		size_t n = (size_t)sim_below(&s->faults_rng, sizeof(text));
		for (size_t k = 0; k < n; k++)
			text[k] = (char)sim_between(&s->faults_rng, 1, 127);
		text[n < sizeof(text) ? n : 0] = '\0';
		if (sim_chance(&s->faults_rng, 300)) {
			struct uuid id = store_id(s->store);
			memcpy(text, id.text, sizeof(id.text));
		}
		sim_bus_send(s, BUS_REDIS, "skep:jobs:ready", text);
	}
	sim_trace(s, "world", "somebody writes into Redis by hand");
}

static const struct swarm_service *some_service(struct sim *s)
{
	size_t n = s->swarm->n_services;
	return n ? s->swarm->services[sim_below(&s->faults_rng, n)] : NULL;
}

static void remove_by_hand(struct sim *s, const struct swarm_service *v, const char *name)
{
	struct status st = swarm_service_remove(s->swarm, v->id);
	sim_trace(s, "oper", "removes service %s: %s", name, st_code_name(st.code));
	sim_oracle_by_hand(s, name);
}

static void change_by_hand(struct sim *s, const struct swarm_service *v, const char *name)
{
	json_t *spec = json_deep_copy(v->spec);
	json_t *container = json_object_get(json_object_get(spec, "TaskTemplate"), "ContainerSpec");
	json_object_set_new(container, "Image", json_string("byhand:1"));
	struct status st = swarm_service_update(s->swarm, v->id, v->version, spec);
	sim_trace(s, "oper", "changes service %s: %s", name, st_code_name(st.code));
	json_decref(spec);
	sim_oracle_by_hand(s, name);
}

static void operator_(struct sim *s)
{
	struct sim_rng *r = &s->faults_rng;
	const struct swarm_service *v = some_service(s);
	char name[128] = "";
	if (v)
		(void)snprintf(name, sizeof(name), "%s",
			json_string_value(json_object_get(v->spec, "Name")));
	switch (sim_below(r, 5)) {
	case 0:
		sim_trace(s, "oper", "all tasks fail once");
		swarm_restart(s->swarm);
		break;
	case 1:
		s->swarm->nodes[1].state = s->swarm->nodes[1].state == DOCKER_NODE_READY
						   ? DOCKER_NODE_DOWN
						   : DOCKER_NODE_READY;
		sim_trace(s, "oper", "node beta is %s",
			s->swarm->nodes[1].state == DOCKER_NODE_READY ? "up" : "down");
		break;
	case 2:
		s->swarm->crashes = "app";
		s->crashes_until = loop_now_ms(s->loop) + sim_between(r, 500, 15000);
		sim_trace(s, "oper", "every app crashes");
		break;
	case 3:
		if (v)
			remove_by_hand(s, v, name);
		break;
	case 4:
		if (v)
			change_by_hand(s, v, name);
		break;
	}
}

static void one_event(struct sim *s)
{
	const struct sim_faults *f = &s->faults;
	const struct {
		unsigned weight;
		void (*happens)(struct sim *s);
	} kinds[] = {{f->crash, crash}, {f->stop, stop}, {f->drain, drain}, {f->outage, outage},
		{f->disconnect, disconnect}, {f->redis, redis}, {f->operator_, operator_}};
	uint64_t all = 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		all += kinds[i].weight;
	uint64_t at = all ? sim_below(&s->faults_rng, all) : 0;
	for (size_t i = 0; all && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (at < kinds[i].weight) {
			kinds[i].happens(s);
			return;
		}
		at -= kinds[i].weight;
	}
}

static void on_event(struct timer *t)
{
	struct sim *s = container_of(t, struct sim, event);
	if (s->swarm->crashes && s->crashes_until <= loop_now_ms(s->loop)) {
		s->swarm->crashes = NULL;
		sim_trace(s, "oper", "apps run again");
	}
	if (s->quiet)
		return;
	one_event(s);
	timer_set(t, sim_between(&s->faults_rng, 100, 2 * s->faults.gap_ms));
}

void sim_faults_init(struct sim *s)
{
	s->flood = s->seed % 8 == 7;
	choose(s);
	timer_init(&s->event, s->loop, on_event);
	timer_set(&s->event, s->faults.gap_ms);
	sim_trace(s, "world",
		"%u daemons of %u places (%u reserved), cap %u, faults until %llu ms%s", s->places,
		s->slots, s->reserved, s->max_running, (unsigned long long)s->chaos_ms,
		s->flood ? ", many quick jobs" : "");
}

void sim_faults_stop(struct sim *s)
{
	sim_trace(s, "world", "no more faults");
	s->quiet = true;
	s->db_away_until = s->engine_away_until = s->redis_away_until = 0;
	s->swarm->crashes = NULL;
	s->swarm->nodes[1].state = DOCKER_NODE_READY;
	timer_stop(&s->event);
	for (unsigned i = 0; i < s->places; i++)
		if (s->at[i] && s->at[i]->stopped_until)
			s->at[i]->stopped_until = loop_now_ms(s->loop) + 1;
}
