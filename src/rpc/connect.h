/* connect: the Connect protocol (https://connectrpc.com/docs/protocol/): unary calls with bare
 * bodies, by GET too where a method has no side effects, and streams of envelopes. Over both HTTP
 * wires. */
#pragma once
#include "rpc/http.h"

extern const struct http_protocol connect_unary_protocol, connect_stream_protocol;

/* "application/json" and "application/proto", with parameters; NULL: another. */
const struct rpc_codec *connect_codec(struct str content_type);
/* The HTTP status of a failed call: REST's too. */
unsigned connect_http_status(enum st_code code);
/* "invalid_argument" */
void connect_put_code(struct buf *b, enum st_code code);
