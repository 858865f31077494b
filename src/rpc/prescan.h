/* prescan: reads serialized bytes by a message's descriptor before protobuf-c may unpack
 * them, because protobuf-c neither limits depth nor memory, nor looks at text. Pure: no
 * allocation, no I/O. Called by the codec for requests and replies. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include "base/status.h"
#include "base/str.h"

#define PRESCAN_MAX_DEPTH 100

struct prescan_budget {
	size_t elements; /* sub-messages, strings and repeated values it may hold */
	size_t memory;   /* bytes protobuf-c would allocate, about */
};
/* What a message of `len` bytes gets by default: generous for honest ones (a small constant and a
 * few times its size). */
struct prescan_budget prescan_budget_for(size_t len);

/* OK, or INVALID_ARGUMENT (malformed, wrong wire type, not UTF-8, NUL in text), RESOURCE_EXHAUSTED
 * (too deep, too many elements, too much memory). The message names the field by its path:
 * "files[3].path". */
struct status prescan(const ProtobufCMessageDescriptor *d, struct str bytes,
	struct prescan_budget budget) __attribute__((warn_unused_result));
