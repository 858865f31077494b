/* subscribe: the connection behind redis_subscribe, made when the first channel is asked for. */
#pragma once

#include "redis/redis.h"

struct status;
struct subscriber;

void redis_client_subscribe(
	struct redis *r, const char *channel, redis_on_message on_message, void *data);

/* Its server is no longer the one to listen to. NULL is fine. */
void subscriber_leave(struct subscriber *s, const struct status *why);
void subscriber_destroy(struct subscriber *s); /* NULL is fine */
