/* native: the server's side of the native protocol (proto/WIRE.md): wire and protocol in one. */
#pragma once
#include "rpc/conn.h"

extern const struct rpc_wire native_wire;
