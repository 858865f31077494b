/* grpc_web: gRPC-Web (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md), binary and
 * text: gRPC for browsers, whose trailers are a last message. Over both HTTP wires. */
#pragma once
#include "rpc/http.h"

extern const struct http_protocol grpc_web_protocol;
