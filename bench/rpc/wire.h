/* wire: what one connection of a load says and hears. Calls are numbered from 1 up and become bytes; bytes become answers to those numbers.
 * Pure: load.c has the sockets and the clock. A state belongs to one connection, from open to close. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct wire_request {
	const char *path, *token; /* token: NULL = none */
	struct str body;          /* HTTP/1.1: of a POST; without one it is a GET */
};

struct wire_hears {
	void *data;
	/* failure NULL: the call went well. The number is of a call that was made; load.c looks. */
	void (*answered)(void *data, uint64_t number, const struct status *failure);
};

struct load_wire {
	const char *name;
	/* Appends to `out` what is said before the first call. */
	void *(*open)(const struct wire_request *r, struct buf *out);
	void (*call)(void *state, uint64_t number, struct buf *out);
	/* How many bytes it is done with; the rest comes again with more behind it. May append to `out`. *ret_wrong: the server broke the
	 * protocol, or ends the connection, in static words. */
	size_t (*feed)(void *state, struct str bytes, struct buf *out, const struct wire_hears *h, const char **ret_wrong);
	void (*close)(void *state);
};

extern const struct load_wire load_native, load_grpc, load_http1;
