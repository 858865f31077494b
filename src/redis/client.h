/* client: the inside of struct redis. */
#pragma once
#include "redis/conn.h"
#include "redis/redis.h"

struct arena;
struct subscriber;

struct redis {
	struct loop *loop;
	struct arena *arena; /* the URL's texts */
	struct redis_url url;
	struct redis_options o;
	struct redis_conn conn;
	struct list sent; /* commands in the order of their answers */
	size_t nsent;
	struct timer oldest; /* looks at the first of `sent` now and then */
	struct list refused; /* commands that were never sent, until done is called */
	enum { REDIS_TOLD_NOTHING, REDIS_TOLD_DOWN, REDIS_TOLD_UP } told;
	struct status why;             /* of being down */
	struct subscriber *subscriber; /* NULL until redis_subscribe */
	bool closing;
};
