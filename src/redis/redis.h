/* redis: hiredis's asynchronous API with reconnect (50 ms doubling to 2 s, jitter). Called by
 * jobs/, api/ and app/. Redis holds nothing that Postgres does not: every caller goes on without
 * it.
 *
 * Commands go over one connection, subscriptions over another that is made when first needed. Host
 * names are resolved on the work queue. Making a connection, AUTH, SELECT and ROLE included, has
 * 3 s. Commands made in one turn go out together and are answered in order; one that is not
 * answered within 2 s takes the connection down, and all that wait behind it. So: no blocking
 * commands.
 *
 * Callbacks fire from the loop, never from inside a function of this page, except for those of
 * redis_destroy, which is not to be called from a callback of this page. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct loop;
struct redis;
struct redisReply;

/* reply is valid during the callback only; NULL unless st is OK. An error reply of the server is a
 * failed st in its words: NOSCRIPT NOT_FOUND, OOM RESOURCE_EXHAUSTED, WRONGTYPE
 * FAILED_PRECONDITION, NOPERM PERMISSION_DENIED, NOAUTH and WRONGPASS UNAUTHENTICATED, LOADING,
 * BUSY, READONLY, MASTERDOWN, CLUSTERDOWN, TRYAGAIN UNAVAILABLE, all else INTERNAL. (Errors inside
 * of an array reply are the caller's to find.) Lost after sending: UNAVAILABLE, not answered in
 * time: DEADLINE_EXCEEDED; it may have run. */
typedef void (*redis_done)(void *data, const struct status *st, const struct redisReply *reply);
typedef void (*redis_on_message)(void *data, const char *channel, struct str payload);
/* Of a text reply; "" for one of another type. */
struct str redis_reply_text(const struct redisReply *reply);
/* Of an integer reply; 0 for one of another type. */
int64_t redis_reply_number(const struct redisReply *reply);
/* The texts of an array reply, "" for what is none of them; how many, at most `max`. */
size_t redis_reply_texts(const struct redisReply *reply, struct str *ret_texts, size_t max);
/* A table of operations, so that tests and the simulation can hand in their own. */
struct redis_ops {
	void (*command)(struct redis *r, redis_done done, void *data, size_t argc,
		const struct str *argv);
	void (*subscribe)(struct redis *r, const char *channel, redis_on_message on_message,
		void *data);
};
struct redis {
	const struct redis_ops *ops;
};

struct redis_options {
	/* redis://[[user]:password@]host[:port][/db] or unix://[[user]:password@]/path[?db=n], with
	 * %XX for what would be misread; several between commas: the first that is there and no
	 * replica is used, and asked for its role every 5 s; copied */
	const char *url;
	/* What CLIENT LIST calls the connection for commands: no spaces; NULL: nothing; copied */
	const char *name;
	/* Connected (again; data may have been lost meanwhile) / lost, or the very first attempt
	 * failed (later ones are not told: redis_last_error knows). May be NULL. */
	void (*on_state)(void *data, bool up, const struct status *why);
	void *data;
};
/* Fails (NULL, ret_st) only for a URL that cannot be understood. */
struct redis *redis_create(struct loop *l, const struct redis_options *o, struct status *ret_st);
/* Waiting commands complete with CANCELLED first, from inside this call. NULL is fine. */
void redis_destroy(struct redis *r);
bool redis_is_up(const struct redis *r);
/* Why it is not up; OK when it is. */
struct status redis_last_error(const struct redis *r);

/* Not connected: done gets UNAVAILABLE (later in this turn); too many unanswered:
 * RESOURCE_EXHAUSTED. done may be NULL. argv is copied. */
#define REDIS_PENDING_MAX 10000
static inline void redis_command(
	struct redis *r, redis_done done, void *data, size_t argc, const struct str *argv)
{
	r->ops->command(r, done, data, argc, argv);
}

/* on_message(data, NULL, empty) after every (re)connect: something may have been missed. There is
 * no end to it but redis_destroy. */
static inline void redis_subscribe(
	struct redis *r, const char *channel, redis_on_message on_message, void *data)
{
	r->ops->subscribe(r, channel, on_message, data);
}
