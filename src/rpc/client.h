/* client: the native protocol from the caller's side, on the loop. Used by src/cli, the
 * load tester and tests. One client is one connection, made at the first call and made again
 * at the first call after it was lost; any number of calls run on it at once. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>
#include "base/status.h"
#include "rpc/details.h"

struct loop;
struct rpc_client;
struct rpc_client_call;

struct rpc_client_options {
	/* "unix:///run/skep/skep.sock"; "tls://host:7700" (or https://): inside TLS; "127.0.0.1:7700",
	 * "[::1]:7700", "host:7700": in clear, without the token unless the host is this machine;
	 * "tcp://host:7700": in clear, with it. */
	const char *address;
	/* Of TLS; NULL or "": the system's authorities, no certificate of our own. key NULL: it stands in
	 * the certificate's file. */
	const char *ca, *certificate, *key;
	const char *token;   /* sent as "authorization: Bearer …"; NULL or "" = none */
	uint64_t connect_timeout_ms; /* default 5 s */
	size_t max_message;          /* a larger reply ends the connection; default 16 MiB */
};
/* INVALID_ARGUMENT with words: it is none. Nothing is looked up. */
struct status rpc_client_check_address(const char *address) __attribute__((warn_unused_result));
/* Copies its options. An address that is none fails the calls, with words. */
struct rpc_client *rpc_client_create(struct loop *l, const struct rpc_client_options *o);
/* Calls that have not ended are dropped without on_done. NULL is fine. */
void rpc_client_destroy(struct rpc_client *c);

struct rpc_client_call_options {
	const char *method;                      /* "/skep.v1.System/Info" */
	const ProtobufCMessageDescriptor *reply; /* of the method's reply message */
	const ProtobufCMessage *request;         /* packed at once; NULL: client streaming */
	const char *const *metadata;             /* name, value, name, value, NULL; or NULL */
	uint64_t deadline_ms;                    /* 0 = none */
	/* A reply message (one for unary, any number for server streams); valid during the
	 * callback. May be NULL. */
	void (*on_message)(void *data, const ProtobufCMessage *message);
	/* Room again after rpc_client_send said false. May be NULL. */
	void (*on_writable)(void *data);
	/* Exactly once, never before rpc_client_call returned, last of all. `details` is never
	 * NULL; valid during the callback. The status of a lost or refused connection is
	 * UNAVAILABLE. */
	void (*on_done)(void *data, const struct status *st, const struct rpc_details *details);
	void *data;
};
/* The handle is dead once on_done has been called. */
struct rpc_client_call *rpc_client_call(
	struct rpc_client *c, const struct rpc_client_call_options *o);
/* Client streams. Always taken; false means full: wait for on_writable. */
bool rpc_client_send(struct rpc_client_call *call, const ProtobufCMessage *message);
void rpc_client_end(struct rpc_client_call *call);
/* on_done comes with CANCELLED (or with what the server had answered before). */
void rpc_client_cancel(struct rpc_client_call *call);
