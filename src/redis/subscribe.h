/* subscribe: the connection behind redis_subscribe, made when the first channel is asked for. */
#pragma once

struct redis;
struct subscriber;

void subscriber_destroy(struct subscriber *s); /* NULL is fine */
