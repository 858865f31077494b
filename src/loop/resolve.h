/* resolve: a host name to addresses, on libuv's pool. For pg and redis, whose libraries would
 * resolve synchronously; addresses in text pass through unchanged.
 *
 * done is called once, later, from the loop, unless resolve_cancel came first. The handle is
 * the module's and is gone when done returns. There is no deadline: the caller's own
 * timer calls resolve_cancel. */
#pragma once
#include <netinet/in.h>
#include <stddef.h>
#include "base/status.h"

struct loop;
struct resolve;

#define RESOLVE_MAX 8
struct resolve_addrs {
	size_t n;
	char text[RESOLVE_MAX][INET6_ADDRSTRLEN + 16]; /* with "%scope" where there is one */
};

/* addrs is valid during the call; empty unless st is OK, which means n > 0. */
typedef void (*resolve_done)(
	void *data, const struct status *st, const struct resolve_addrs *addrs);
struct resolve *resolve_start(struct loop *l, const char *host, resolve_done done, void *data);
void resolve_cancel(struct resolve *r); /* NULL is fine */
