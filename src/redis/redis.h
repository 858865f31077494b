/* redis: hiredis's asynchronous API with reconnect (50 ms doubling to 2 s). Redis holds
 * nothing that Postgres does not: every caller goes on without it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct loop;
struct redis;
struct redisReply;

struct redis_options {
	const char *url;       /* redis://[:password@]host:port[/db] or unix:///path[?db=n]; copied */
	/* Connected (again; data may have been lost meanwhile) / lost. May be NULL. */
	void (*on_state)(void *data, bool up, const struct status *why);
	void *data;
};
/* Fails (NULL, ret_st) only for a URL that cannot be understood. */
struct redis *redis_create(struct loop *l, const struct redis_options *o, struct status *ret_st);
/* Waiting commands complete with CANCELLED first. */
void redis_destroy(struct redis *r);
bool redis_is_up(const struct redis *r);
struct status redis_last_error(const struct redis *r);

/* reply is valid during the callback only; NULL unless st is OK. An error reply of the server is a failed st. */
typedef void (*redis_done)(void *data, const struct status *st, const struct redisReply *reply);
/* Not connected: done gets UNAVAILABLE (later in this turn). done may be NULL. Deadline 2 s. */
void redis_command(struct redis *r, redis_done done, void *data, size_t argc, const struct str *argv);

/* On a connection of its own, again after each reconnect. on_message(data, NULL-channel, …) after every (re)connect. */
void redis_subscribe(struct redis *r, const char *channel, void (*on_message)(void *data, const char *channel, struct str payload), void *data);
