/* A run: who has something to do next does it; the clocks of all who run move together. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define END_MS    (3 * 3600 * UINT64_C(1000)) /* behind the last fault: every job has ended */
#define SETTLE_MS (45 * UINT64_C(1000))      /* behind the last job: everybody has seen it */
#define SCHEDULES_MS (60 * UINT64_C(1000)) /* behind the last fault: schedules go on for so long */
#define TURNS_MAX 3000000u
#define WALL_US   INT64_C(1700000000000000)

/* ---- random numbers ---- */

static void fill(struct rng *r, void *p, size_t len)
{
	struct sim_rng *s = container_of(r, struct sim_rng, base);
	for (size_t i = 0; i < len; i++) {
		s->x ^= s->x >> 12;
		s->x ^= s->x << 25;
		s->x ^= s->x >> 27;
		((unsigned char *)p)[i] =
			(unsigned char)((s->x * UINT64_C(0x2545F4914F6CDD1D)) >> 56);
	}
}

/* splitmix64, so that neighbouring seeds have nothing in common */
void sim_rng_init(struct sim_rng *r, uint64_t seed, uint64_t stream)
{
	uint64_t z = seed * UINT64_C(0x9E3779B97F4A7C15) + stream * UINT64_C(0xD1B54A32D192ED03) + 1;
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	r->base.fill = fill;
	r->x = z ? z : 1;
}

bool sim_chance(struct sim_rng *r, unsigned of_thousand)
{
	return of_thousand > 0 && sim_below(r, 1000) < of_thousand;
}

uint64_t sim_between(struct sim_rng *r, uint64_t from, uint64_t to)
{
	return from + sim_below(r, to - from + 1);
}

/* ---- the trace ---- */

static void add(struct sim *s, const char *text) /* FNV-1a */
{
	for (const char *c = text; *c && !s->over; c++)
		s->hash = (s->hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
}

void sim_trace(struct sim *s, const char *who, const char *fmt, ...)
{
	char line[1024];
	uint64_t now = loop_now_ms(s->loop);
	int n = snprintf(line, sizeof(line), "%6llu.%03llu %-5s ", (unsigned long long)now / 1000,
		(unsigned long long)now % 1000, who);
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	for (char *c = strchr(line, '\n'); c; c = strchr(c, '\n'))
		*c = ';';
	add(s, line);
	if (s->tracing && !s->over)
		printf("%s\n", line);
}

void sim_note(struct sim *s, const char *who, const char *what, uint64_t number)
{
	add(s, who);
	add(s, what);
	s->hash = (s->hash ^ number ^ loop_now_ms(s->loop) << 20) * UINT64_C(0x100000001b3);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = arena_vfmt(s->arena, fmt, ap);
	va_end(ap);
	sim_trace(s, "ORACLE", "%s", text);
	if (!s->failure)
		s->failure = text;
}

/* ---- the models' hooks ---- */

static void on_notify(void *data, const char *channel, const char *payload)
{
	sim_bus_send(data, BUS_PG, channel, payload);
}

static int64_t wall_us(const struct clock *c)
{
	const struct sim *s = container_of(c, struct sim, clock);
	return WALL_US + (int64_t)loop_now_ms(s->loop) * 1000;
}

static uint64_t mono_ms(const struct clock *c)
{
	const struct sim *s = container_of(c, struct sim, clock);
	return loop_now_ms(s->loop);
}

static void on_call(void *data, const struct fake_call *c, enum fake_phase phase)
{
	sim_oracle_call(data, (struct fake_call *)(uintptr_t)c, phase);
}

/* ---- daemons come and go ---- */

/* Stopped ones go on, dead ones come again, drained ones are freed. */
static void look_after(struct sim *s)
{
	uint64_t now = loop_now_ms(s->loop);
	for (unsigned i = 0; i < s->places; i++) {
		struct sim_daemon *d = s->at[i];
		if (d && d->to_kill)
			sim_daemon_kill(d);
		else if (d && d->stopped_until && d->stopped_until <= now) {
			sim_trace(s, d->name, "goes on");
			d->stopped_until = 0;
		}
		if (s->at[i] || s->leaving)
			continue;
		if (!s->comes[i])
			s->comes[i] = now + (s->quiet ? 100 : sim_between(&s->faults_rng, 100, 12000));
		if (s->comes[i] <= now) {
			s->comes[i] = 0;
			sim_daemon_start(s, i);
		}
	}
}

/* ---- time ---- */

static uint64_t next_ms(const struct sim *s)
{
	uint64_t next = loop_next_ms(s->loop);
	for (unsigned i = 0; i < s->places; i++) {
		const struct sim_daemon *d = s->at[i];
		uint64_t at = !d	? (s->leaving ? UINT64_MAX : s->comes[i])
			      : d->stopped_until ? d->stopped_until
						 : loop_next_ms(d->loop);
		if (d && d->to_kill)
			at = loop_now_ms(s->loop);
		next = at < next ? at : next;
	}
	return next;
}

static bool turn(struct sim *s, uint64_t until)
{
	uint64_t now = next_ms(s);
	if (now > until)
		now = until;
	if (now > loop_now_ms(s->loop))
		loop_set_now(s->loop, now);
	now = loop_now_ms(s->loop);
	look_after(s);
	if (loop_next_ms(s->loop) <= now)
		loop_turn(s->loop);
	for (unsigned i = 0; i < s->places && !s->failure; i++) {
		struct sim_daemon *d = s->at[i];
		if (!d || d->stopped_until || d->to_kill)
			continue;
		loop_set_now(d->loop, now);
		if (loop_next_ms(d->loop) <= now)
			loop_turn(d->loop);
		sim_oracle_turn(s, d);
		sim_daemon_reap(d);
	}
	if (++s->turns > TURNS_MAX)
		sim_fail(s, "it never comes to rest: %u turns", s->turns);
	return !s->failure && now < until;
}

static void run_until(struct sim *s, uint64_t until, bool (*over)(const struct sim *s))
{
	while (turn(s, until) && !(over && over(s)))
		continue;
}

/* ---- a run ---- */

struct sim *sim_create(uint64_t seed, bool tracing)
{
	struct sim *s = mem_new(struct sim);
	s->seed = seed;
	s->tracing = tracing;
	s->hash = UINT64_C(0xcbf29ce484222325);
	s->arena = arena_create();
	s->loop = loop_create();
	loop_set_watchdog(s->loop, 0);
	loop_set_now(s->loop, 0);
	s->clock = (struct clock){mono_ms, wall_us};
	sim_rng_init(&s->faults_rng, seed, 1);
	sim_rng_init(&s->work_rng, seed, 2);
	sim_rng_init(&s->ids_rng, seed, 3);
	s->script = (struct fake_script){
		.loop = s->loop, .plan = sim_plan, .watch = on_call, .data = s};
	s->swarm = swarm_create(s->loop);
	s->store = store_create(s->loop, &s->ids_rng.base);
	s->store->notify = on_notify;
	s->store->data = s;
	sim_oracle_init(s);
	return s;
}

static bool has_ended(const struct sim *s)
{
	return sim_work_is_over(s) && sim_oracle_all_ended(s);
}

static bool has_left(const struct sim *s)
{
	for (unsigned i = 0; i < s->places; i++)
		if (s->at[i])
			return false;
	return true;
}

static void leave(struct sim *s)
{
	uint64_t until = loop_now_ms(s->loop) + 60000;
	s->leaving = true;
	for (unsigned i = 0; i < s->places; i++)
		if (s->at[i])
			sim_daemon_drain(s->at[i]);
	run_until(s, until, has_left);
	if (!s->failure && !has_left(s))
		sim_fail(s, "a daemon that was asked to end never does");
}

bool sim_run(struct sim *s)
{
	sim_faults_init(s);
	sim_schedules_init(s);
	sim_stream_init(s);
	sim_work_init(s);
	run_until(s, s->chaos_ms, NULL);
	sim_faults_stop(s);
	sim_work_stop(s);
	sim_stream_quiet(s);
	if (!s->failure && s->n_schedules)
		run_until(s, loop_now_ms(s->loop) + SCHEDULES_MS, NULL);
	sim_schedules_stop(s);
	uint64_t until = s->chaos_ms + END_MS;
	if (!s->failure && !has_ended(s))
		run_until(s, until, has_ended);
	if (!s->failure && !has_ended(s))
		sim_fail(s, "%s long after the last fault",
			sim_work_is_over(s) ? "a job has not ended" : "a request is not answered");
	if (!s->failure)
		run_until(s, loop_now_ms(s->loop) + SETTLE_MS, NULL);
	if (!s->failure && !has_ended(s)) /* repairs */
		run_until(s, loop_now_ms(s->loop) + END_MS, has_ended);
	if (!s->failure)
		run_until(s, loop_now_ms(s->loop) + SETTLE_MS, NULL);
	if (!s->failure)
		sim_oracle_end(s);
	if (!s->failure)
		sim_stream_check(s);
	if (!s->failure)
		leave(s);
	sim_trace(s, "end", "%zu jobs, %u turns", s->store->n_jobs, s->turns);
	return !s->failure;
}

static void stop_timers(struct sim *s)
{
	timer_stop(&s->event);
	timer_stop(&s->schedule_timer);
	if (s->flood)
		timer_stop(&s->visitor);
	for (size_t i = 0; i < s->n_requests; i++)
		timer_stop(&s->requests[i].timer);
	for (size_t i = 0; i < s->n_watchers; i++)
		timer_stop(&s->watchers[i].timer);
}

void sim_destroy(struct sim *s)
{
	s->over = true;
	s->quiet = true;
	for (size_t i = 0; i < s->n_daemons; i++) {
		if (!s->daemons[i]->gone)
			sim_daemon_kill(s->daemons[i]);
	}
	stop_timers(s);
	sim_stream_finish(s);
	while (loop_skip(s->loop)) /* effects of calls whose daemon is dead */
		loop_turn(s->loop);
	loop_turn(s->loop);
	for (size_t i = 0; i < s->n_daemons; i++)
		sim_daemon_free(s->daemons[i]);
	stop_timers(s);
	swarm_destroy(s->swarm);
	store_destroy(s->store);
	fake_script_finish(&s->script);
	free(s->by_hand);
	free(s->claims);
	free(s->writers);
	loop_destroy(s->loop);
	arena_destroy(s->arena);
	free(s);
}
