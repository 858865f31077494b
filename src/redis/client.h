/* client: the inside of struct redis as redis_create makes it. */
#pragma once
#include "redis/conn.h"
#include "redis/redis.h"

struct arena;
struct subscriber;

struct redis_client {
	struct redis base;
	struct loop *loop;
	struct arena *arena; /* the URL's texts */
	struct redis_urls urls;
	struct redis_options o;
	struct redis_conn conn;
	struct list sent; /* commands in the order of their answers */
	size_t nsent;
	struct timer oldest; /* looks at the first of `sent` now and then */
	struct timer role;   /* is it still no replica? */
	struct list refused; /* commands that were never sent, until done is called */
	enum { REDIS_TOLD_NOTHING, REDIS_TOLD_DOWN, REDIS_TOLD_UP } told;
	struct status why;             /* of being down */
	struct subscriber *subscriber; /* NULL until redis_subscribe */
	bool closing;
};

static inline struct redis_client *redis_client_of(struct redis *r)
{
	return (struct redis_client *)r; /* base is its first member */
}
static inline const struct redis_client *redis_client_of_const(const struct redis *r)
{
	return (const struct redis_client *)r;
}
