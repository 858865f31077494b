/* skep: a small client of Skep's native protocol (proto/WIRE.md) in plain C: a socket that blocks and protobuf-c, nothing else. One
 * connection, one call at a time. For many calls at once, TLS and reconnecting there is src/rpc/client.h, which is asynchronous, on libuv. */
#pragma once
#include <google/rpc/status.pb-c.h>
#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

struct skep {
	int fd;            /* -1: none */
	uint64_t last;     /* the last call's number */
	const char *token; /* the caller's; NULL: none */
};

/* "unix:///run/skep/skep.sock" or "host:7700" (in clear: for this machine, or a network that is yours). False: errno says why. */
int skep_connect(struct skep *s, const char *address, const char *token);
void skep_close(struct skep *s);

/* Makes the call and waits to its end. on_reply gets each message (one of a unary method, any number of a stream), valid until it returns.
 * The status: NULL is OK; otherwise the caller frees it with google__rpc__status__free_unpacked(st, NULL). A lost connection is a status
 * too: code 14 (UNAVAILABLE). */
Google__Rpc__Status *skep_call(struct skep *s, const char *method, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *reply, void (*on_reply)(void *data, const ProtobufCMessage *message), void *data);
