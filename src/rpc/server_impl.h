/* The inside of a server, for server.c, conn, call, dispatch and auth. */
#pragma once
#include <time.h>
#include "base/list.h"
#include "base/map.h"
#include "loop/loop.h"
#include "rpc/server.h"

#define SERVER_LISTENERS 16

struct listener;
struct transport_env;

struct rpc_server {
	struct rpc_server_options o; /* limits with their defaults */
	struct transport_env *env;
	struct listener *listeners[SERVER_LISTENERS];
	unsigned n_listeners;
	struct list conns;
	struct list silent; /* connections that have not sent a whole frame, oldest first */
	struct list dead_conns, dead_calls;
	struct defer reap;
	struct list free_calls;
	unsigned n_free_calls;
	struct list free_exchanges;
	unsigned n_free_exchanges;
	struct buf *packed_pages; /* page.c's, one a page; NULL: none was asked for */
	struct map addresses; /* struct rpc_address by its text */
	struct map tokens; /* struct rpc_token by the token's text */
	struct rpc_counters counters;
	time_t date_at; /* when `date`, the header's line of HTTP/1.1, was written */
	char date[48];
	/* since memory was last given back: the most connections, bytes that waited for clients, and bytes of one
	 * message as it was handed over (one that was too long: the limit) */
	uint64_t peak, peak_buffered, peak_message;
	struct timer trim;
	unsigned refs;    /* the owner, each call, each question about a token */
	unsigned entered; /* handlers and guards of calls that are on the stack */
	bool destroyed;
	bool draining;
	struct timer grace;
	void (*drained)(void *data);
	void *drained_data;
};

void server_unref(struct rpc_server *s);
/* Somebody ran into it. */
static inline void server_limit(struct rpc_server *s, enum rpc_limit limit)
{
	s->counters.limits[limit]++;
	if (limit == RPC_LIMIT_MESSAGE)
		s->peak_message = s->o.limits.max_message;
}
