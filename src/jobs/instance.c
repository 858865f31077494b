#include "jobs/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "loop/loop.h"
#include "redis/redis.h"

#define KEY     "skep:instance"
#define LOOK_MS 2000

struct job_instance {
	struct redis *redis;
	struct rng *rng;
	struct timer timer;
	char seen[UUID_LEN + 1]; /* "" before the first look */
	void (*on_replaced)(void *data);
	void *data;
};

static void changed(struct job_instance *i, struct str value)
{
	bool first = i->seen[0] == '\0';
	(void)snprintf(i->seen, sizeof(i->seen), STR_FMT, STR_ARG(value));
	if (!first)
		i->on_replaced(i->data);
}

static void on_value(void *data, const struct status *st, const struct redisReply *reply)
{
	struct job_instance *i = data;
	const struct str clear[] = {STR("DEL"), STR(KEY)};
	struct str value = status_is_ok(st) ? redis_reply_text(reply) : str_of("");
	if (status_is_ok(st) && value.len == UUID_LEN) {
		if (!str_is(value, i->seen))
			changed(i, value);
	} else if (status_is_ok(st) || st->code == ST_FAILED_PRECONDITION) { /* none of ours: the next look puts one there */
		redis_command(i->redis, NULL, NULL, 2, clear);
		changed(i, STR("?"));
	}
}

static void on_timer(struct timer *t)
{
	struct job_instance *i = container_of(t, struct job_instance, timer);
	const struct uuid id = uuid_v7(clock_system(), i->rng);
	const struct str put[] = {STR("SET"), STR(KEY), str_of(id.text), STR("NX")};
	const struct str get[] = {STR("GETRANGE"), STR(KEY), STR("0"), STR("64")}; /* however long somebody has made it */
	timer_set(t, LOOK_MS);
	redis_command(i->redis, NULL, NULL, 4, put);
	redis_command(i->redis, on_value, i, 4, get);
}

struct job_instance *job_instance_create(
	struct loop *l, struct redis *redis, struct rng *rng, void (*on_replaced)(void *data), void *data)
{
	struct job_instance *i = mem_new(struct job_instance);
	i->redis = redis;
	i->rng = rng;
	i->on_replaced = on_replaced;
	i->data = data;
	timer_init(&i->timer, l, on_timer);
	return i;
}

void job_instance_start(struct job_instance *i)
{
	if (i->redis)
		timer_set(&i->timer, 0);
}

void job_instance_stop(struct job_instance *i)
{
	timer_stop(&i->timer);
}

void job_instance_destroy(struct job_instance *i)
{
	if (!i)
		return;
	timer_stop(&i->timer);
	free(i);
}
