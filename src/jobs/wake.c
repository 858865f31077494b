#include "jobs/wake.h"

#include <stdlib.h>
#include "base/mem.h"
#include "base/rng.h"
#include "redis/redis.h"

#define READY_CHANNEL  "skep:jobs:ready"
#define CANCEL_CHANNEL "skep:jobs:cancel"

struct job_wake {
	struct redis *redis;
	void (*on_ready)(void *data);
	void (*on_cancel)(void *data, const char *job_id);
	void *data;
};

/* Also after every reconnect (channel NULL): something may have been missed. */
static void on_ready_message(void *data, const char *channel, struct str payload)
{
	struct job_wake *w = data;
	(void)channel;
	(void)payload;
	w->on_ready(w->data);
}

static void on_cancel_message(void *data, const char *channel, struct str payload)
{
	struct job_wake *w = data;
	char text[UUID_LEN + 1] = "";
	struct uuid id;
	if (!channel || payload.len != UUID_LEN)
		return;
	memcpy(text, payload.ptr, UUID_LEN);
	if (uuid_parse(text, &id))
		w->on_cancel(w->data, id.text);
}

struct job_wake *job_wake_create(struct redis *redis, void (*on_ready)(void *data),
	void (*on_cancel)(void *data, const char *job_id), void *data)
{
	struct job_wake *w = mem_new(struct job_wake);
	w->redis = redis;
	w->on_ready = on_ready;
	w->on_cancel = on_cancel;
	w->data = data;
	if (redis) {
		redis_subscribe(redis, READY_CHANNEL, on_ready_message, w);
		redis_subscribe(redis, CANCEL_CHANNEL, on_cancel_message, w);
	}
	return w;
}

void job_wake_destroy(struct job_wake *w)
{
	free(w);
}

static void publish(struct job_wake *w, const char *channel, const char *job_id)
{
	const struct str argv[] = {STR("PUBLISH"), str_of(channel), str_of(job_id)};
	if (w->redis)
		redis_command(w->redis, NULL, NULL, 3, argv);
}

void job_wake_ready(struct job_wake *w, const char *job_id)
{
	publish(w, READY_CHANNEL, job_id);
}

void job_wake_cancel(struct job_wake *w, const char *job_id)
{
	publish(w, CANCEL_CHANNEL, job_id);
}
