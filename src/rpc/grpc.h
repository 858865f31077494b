/* grpc: gRPC over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
#pragma once
#include "rpc/http.h"

struct envelope_state;
struct rpc_metadata;

extern const struct http_protocol grpc_protocol;

/* Shared with gRPC-Web. */
/* "application/grpc+json" behind `prefix`: the codec, or NULL. */
const struct rpc_codec *grpc_codec(struct str content_type, const char *prefix);
/* "10S", "100m" …: RPC's milliseconds from now, at least 1; false: malformed. */
bool grpc_timeout(struct str text, uint64_t *ret_ms);
/* Makes the call: codec, encodings, deadline; state: the exchange's, set up. */
void grpc_open(struct http_exchange *x, const struct rpc_protocol *p, const struct rpc_codec *codec,
	struct envelope_state *s);
/* The lines a response ends with, as fields: `add` is called for each. Texts in the arena. */
typedef void (*grpc_add)(struct http_exchange *x, const char *name, struct str value);
void grpc_put_status(struct http_exchange *x, const struct rpc_call *call, const struct status *st,
	const struct rpc_details *details, grpc_add add);
/* What the handler set, copied into the exchange. */
void grpc_put_metadata(
	struct http_exchange *x, const struct rpc_metadata *m, size_t n, grpc_add add);
