/* h2: HTTP/2 (RFC 9113) by nghttp2: bytes to exchanges and back. */
#pragma once
#include "rpc/conn.h"

extern const struct rpc_wire h2_wire;
