#include "jobs/wake.h"

#include <stdlib.h>
#include "base/mem.h"
#include "base/rng.h"
#include "redis/redis.h"

#define CHANNEL "skep:jobs:ready"

struct job_wake {
	struct redis *redis;
	void (*on_ready)(void *data, const char *job_id);
	void *data;
};

static bool read_id(struct str payload, struct uuid *ret_id)
{
	char text[UUID_LEN + 1] = "";
	if (payload.len != UUID_LEN)
		return false;
	memcpy(text, payload.ptr, UUID_LEN);
	return uuid_parse(text, ret_id);
}

/* Also after every reconnect (channel NULL): something may have been missed. */
static void on_message(void *data, const char *channel, struct str payload)
{
	struct job_wake *w = data;
	struct uuid id;
	w->on_ready(w->data, channel && read_id(payload, &id) ? id.text : NULL);
}

struct job_wake *job_wake_create(struct redis *redis, void (*on_ready)(void *data, const char *job_id),
	void *data)
{
	struct job_wake *w = mem_new(struct job_wake);
	w->redis = redis;
	w->on_ready = on_ready;
	w->data = data;
	if (redis)
		redis_subscribe(redis, CHANNEL, on_message, w);
	return w;
}

void job_wake_destroy(struct job_wake *w)
{
	free(w);
}

void job_wake_ready(struct job_wake *w, const char *job_id)
{
	const struct str argv[] = {STR("PUBLISH"), STR(CHANNEL), str_of(job_id)};
	if (w->redis)
		redis_command(w->redis, NULL, NULL, 3, argv);
}
