/* validate: holds an unpacked message against the field rules of the .proto files (the
 * generated tables of rpc/method.h) and reports every violation, each with its path.
 * Pure. Called by dispatch before a handler sees the message. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include "rpc/details.h"
#include "rpc/method.h"

struct arena;

#define VALIDATE_MAX_VIOLATIONS 100 /* then it says that there are more */

/* Returns how many; *ret_violations and their texts live in the arena. */
size_t validate(struct arena *a, const struct rpc_message *m, const ProtobufCMessage *message,
	struct rpc_violation **ret_violations);
