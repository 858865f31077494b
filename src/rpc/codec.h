/* codec: a message as bytes. Which one a call uses, the protocol decides (by content type,
 * where it has one); the native protocol knows only codec_proto. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include "base/status.h"
#include "base/str.h"

struct arena;
struct rpc_message;

struct rpc_codec {
	const char *name;
	/* The message lives in the arena. Bytes are the peer's: anything may stand in them. */
	struct status (*unpack)(struct arena *a, const struct rpc_message *m, struct str bytes,
		ProtobufCMessage **ret_message);
	/* Appends. */
	void (*pack)(struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message);
};
extern const struct rpc_codec codec_proto;

/* The pre-scan, then protobuf-c. */
struct status codec_proto_unpack(struct arena *a, const ProtobufCMessageDescriptor *d,
	struct str bytes, ProtobufCMessage **ret_message) __attribute__((warn_unused_result));
