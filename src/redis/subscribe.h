/* subscribe: the connection behind redis_subscribe, made when the first channel is asked for. */
#pragma once

#include "redis/redis.h"

struct subscriber;

void redis_client_subscribe(
	struct redis *r, const char *channel, redis_on_message on_message, void *data);

void subscriber_destroy(struct subscriber *s); /* NULL is fine */
