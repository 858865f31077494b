/* call: one RPC as its handler sees it, whichever wire it came by. Called by the
 * handlers of src/api; made by the wires and handed over by dispatch, after the
 * caller's role, the pre-scan, and the field rules were checked.
 *
 * Ownership: a call belongs to its handler until the handler ends it, exactly
 * once, with rpc_call_reply, _finish or _fail, now or later. After that neither the
 * call nor anything in its arena may be touched. A call that the client cancelled,
 * that ran into its deadline or whose connection was lost still belongs to the handler:
 * sends are dropped, on_cancel fires (once), and the handler still has to end it.
 *
 * Callbacks fire on the loop, never from inside a function of this header. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>
#include "base/status.h"
#include "base/str.h"
#include "rpc/details.h"
#include "rpc/method.h"

struct arena;
struct rpc_call;
struct rpc_counters;

#define RPC_NAME_MAX 127
struct rpc_caller {
	enum rpc_role role;
	char project_id[37];         /* the project the token is bound to; "" = every project */
	char token_id[37];           /* "" for peers trusted by their credentials */
	char name[RPC_NAME_MAX + 1]; /* "unix:root", "token:ci"; "" = anonymous */
};

/* Freed with the call. Not for what grows with the life of a long stream. */
struct arena *rpc_call_arena(struct rpc_call *call);
void *rpc_call_context(const struct rpc_call *call); /* what the server was created with */
const struct rpc_caller *rpc_call_caller(const struct rpc_call *call);
const struct rpc_method *rpc_call_method(const struct rpc_call *call);
/* "unix:uid=1000,pid=42" or "192.0.2.1:4711". */
const char *rpc_call_peer(const struct rpc_call *call);
/* Milliseconds left (0 = it has passed), or UINT64_MAX when the client set none. */
uint64_t rpc_call_deadline_ms(const struct rpc_call *call);
/* A request metadatum by its lower-case name; NULL when absent. Lives as long as the call. */
const char *rpc_call_metadata(const struct rpc_call *call, const char *name);
/* Every metadatum in its order, repeated names too; false behind the last. */
bool rpc_call_metadata_at(
	const struct rpc_call *call, size_t i, const char **ret_name, const char **ret_value);
/* Metadata of the answer, at most RPC_METADATA_MAX of each kind (more are dropped). Texts are
 * copied; names in lower case; a name that ends in "-bin" has base64 as its value. Headers go with
 * the first message or the end, trailers with the end. The native protocol has no place for them
 * yet. */
#define RPC_METADATA_MAX 32
void rpc_call_set_header(struct rpc_call *call, const char *name, const char *value);
void rpc_call_set_trailer(struct rpc_call *call, const char *name, const char *value);
/* What the server that it came by has counted (rpc/server.h). */
const struct rpc_counters *rpc_call_counters(const struct rpc_call *call);
bool rpc_call_is_cancelled(const struct rpc_call *call);
/* Whether the request, or the message that on_message has in its hands, came compressed. */
bool rpc_call_was_compressed(const struct rpc_call *call);

/* The handler's own pointer. */
void rpc_call_set_data(struct rpc_call *call, void *data);
void *rpc_call_data(const struct rpc_call *call);

/* ---- streams ---- */
/* Sends one message of a server stream; it is packed at once, the caller keeps it. The message is
 * always taken; false means full: send no more until on_writable. A handler that goes on
 * all the same loses the call (RESOURCE_EXHAUSTED) when the limit is reached. */
bool rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message);
void rpc_call_on_writable(struct rpc_call *call, void (*fn)(struct rpc_call *call));
/* Client streams: fn gets each message, checked like a request, valid during the callback; then
 * NULL once: the client has sent all. A message that breaks the rules ends the call for the client;
 * fn is not called for it. */
void rpc_call_on_message(
	struct rpc_call *call, void (*fn)(struct rpc_call *call, const ProtobufCMessage *message));
/* No further message is delivered until resume; the client is held back by its credit. */
void rpc_call_pause(struct rpc_call *call);
void rpc_call_resume(struct rpc_call *call);
/* The client is no longer interested: cancelled, deadline, connection lost, or the server drains no
 * longer. */
void rpc_call_on_cancel(struct rpc_call *call, void (*fn)(struct rpc_call *call));

/* ---- the end, exactly once ---- */
/* OK, with the one message of a unary or client-streaming method. */
void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *message);
/* OK (the end of a server stream) or a failure. */
void rpc_call_finish(struct rpc_call *call, const struct status *st);
/* A failure with machine-readable details (rpc/details.h). */
void rpc_call_fail(
	struct rpc_call *call, const struct status *st, const struct rpc_details *details);
/* The usual ones in short: BadRequest, PreconditionFailure, RetryInfo. */
void rpc_call_fail_fields(
	struct rpc_call *call, const struct status *st, const struct rpc_violation *v, size_t n);
void rpc_call_fail_preconditions(
	struct rpc_call *call, const struct status *st, const struct rpc_precondition *v, size_t n);
void rpc_call_fail_retry(struct rpc_call *call, const struct status *st, uint64_t retry_ms);
