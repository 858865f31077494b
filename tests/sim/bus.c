/* What is only said: NOTIFY of PostgreSQL, PUBLISH of Redis, the Engine's events. A message comes a
 * while later, in the daemon's time; those of Redis and the Engine may be lost, doubled, invented. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>
#include "api/hub.h"
#include "base/mem.h"
#include "jobs/schedules.h"
#include "jobs/wake.h"
#include "stacks/observer.h"

struct message {
	struct list node;
	struct timer timer;
	struct sim_daemon *to;
	enum sim_bus bus;
	char *channel, *payload; /* channel NULL: the connection is back */
};

static void message_free(struct message *m)
{
	list_remove(&m->node);
	timer_stop(&m->timer);
	free(m->channel);
	free(m->payload);
	free(m);
}

static void news(struct sim_daemon *d, const char *job_id)
{
	sim_work_news(d, job_id);
	if (job_id)
		api_hub_publish(d->api.hub, job_id);
	else
		api_hub_publish_all(d->api.hub);
}

static void on_pg(struct sim_daemon *d, const char *channel, const char *payload)
{
	bool all = !channel;
	if (all || strcmp(channel, "skep_jobs") == 0)
		job_worker_tell(d->worker, job_told(all ? NULL : payload));
	if (!all && strcmp(channel, "skep_cancel") == 0)
		job_worker_cancel(d->worker, payload);
	if (all || strcmp(channel, "skep_schedules") == 0)
		job_schedules_wake(d->schedules);
	if (all || strcmp(channel, "skep_events") == 0)
		news(d, all ? NULL : payload);
	if (all || strcmp(channel, "skep_stacks") == 0)
		observer_nudge(d->observer);
}

static void on_redis(struct sim_redis *r, const char *channel, const char *payload)
{
	for (size_t i = 0; i < r->n; i++)
		if (!channel || strcmp(channel, r->subscriptions[i].channel) == 0)
			r->subscriptions[i].on_message(
				r->subscriptions[i].data, channel, str_of(payload));
}

static void on_message(struct timer *t)
{
	struct message *m = container_of(t, struct message, timer);
	struct sim_daemon *d = m->to;
	switch (m->bus) {
	case BUS_PG:
		on_pg(d, m->channel, m->payload);
		break;
	case BUS_REDIS:
		on_redis(&d->redis, m->channel, m->payload);
		break;
	case BUS_ENGINE:
		fake_docker_event(&d->docker,
			m->channel ? DOCKER_EVENT_SERVICE : DOCKER_EVENT_RESET,
			m->channel ? m->channel : "", NULL);
		break;
	}
	message_free(m);
}

void sim_bus_tell(struct sim_daemon *d, enum sim_bus bus, const char *channel, const char *payload)
{
	struct sim *s = d->sim;
	if (d->dead || d->gone || (d->draining && bus == BUS_PG && !channel))
		return;
	struct message *m = mem_new(struct message);
	m->to = d;
	m->bus = bus;
	m->channel = channel ? mem_strdup(channel) : NULL;
	m->payload = mem_strdup(payload);
	timer_init(&m->timer, d->loop, on_message);
	list_push(&d->messages, &m->node);
	uint64_t at = loop_now_ms(s->loop) + sim_below(&s->faults_rng, 4);
	uint64_t now = loop_now_ms(d->loop);
	timer_set(&m->timer, at > now ? at - now : 0);
}

void sim_bus_send(struct sim *s, enum sim_bus bus, const char *channel, const char *payload)
{
	for (unsigned i = 0; i < s->places; i++) {
		struct sim_daemon *d = s->at[i];
		if (!d)
			continue;
		bool loses = bus != BUS_PG && !s->quiet && sim_chance(&s->faults_rng, 50);
		if (!loses)
			sim_bus_tell(d, bus, channel, payload);
		if (!s->quiet && sim_chance(&s->faults_rng, 20))
			sim_bus_tell(d, bus, channel, payload);
	}
}

void sim_bus_drop(struct sim_daemon *d)
{
	struct list *n;
	while ((n = list_pop(&d->messages)) != NULL)
		message_free(container_of(n, struct message, node));
}

/* ---- Redis ---- */

static struct sim_redis *redis_of(struct redis *r)
{
	return container_of(r, struct sim_redis, base);
}

/* Only PUBLISH, whose caller waits for no answer. */
static void command(
	struct redis *r, redis_done done, void *data, size_t argc, const struct str *argv)
{
	struct sim_daemon *d = redis_of(r)->daemon;
	struct sim *s = d->sim;
	(void)data;
	if (done || argc != 3 || !str_is(argv[0], "PUBLISH")) {
		sim_fail(s, "the model of Redis does not know this command");
		return;
	}
	if (d->dead || loop_now_ms(s->loop) < s->redis_away_until)
		return;
	struct arena *a = arena_create();
	sim_bus_send(s, BUS_REDIS, str_dup(a, argv[1]), str_dup(a, argv[2]));
	arena_destroy(a);
}

static void subscribe(struct redis *r, const char *channel, redis_on_message on, void *data)
{
	struct sim_redis *sr = redis_of(r);
	if (sr->n == sizeof(sr->subscriptions) / sizeof(*sr->subscriptions)) {
		sim_fail(sr->daemon->sim, "more subscriptions than the model of Redis has room for");
		return;
	}
	sr->subscriptions[sr->n].channel = channel;
	sr->subscriptions[sr->n].on_message = on;
	sr->subscriptions[sr->n++].data = data;
}

void sim_redis_init(struct sim_redis *r, struct sim_daemon *d)
{
	static const struct redis_ops ops = {command, subscribe};
	*r = (struct sim_redis){.base = {&ops}, .daemon = d};
}
