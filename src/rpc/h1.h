/* h1: HTTP/1.1 (RFC 9112) by llhttp: bytes to exchanges and back, one after the other on a
 * connection. Strict: what two readers could understand in two ways is refused. */
#pragma once
#include "rpc/conn.h"

extern const struct rpc_wire h1_wire;
