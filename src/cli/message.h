/* message: any reply as JSON, by the tables that were generated from the .proto files: proto3's
 * JSON (https://protobuf.dev/programming-guides/json/): lowerCamel names, 64-bit integers as strings, enums by
 * name, bytes in base64, timestamps as RFC 3339. Fields without presence are always there, also when empty, so
 * that a script may count on them; an absent message is left out. Pure. */
#pragma once
#include <stdbool.h>
#include <protobuf-c/protobuf-c.h>
#include "base/json.h"
#include "rpc/method.h"

struct arena;
typedef struct Google__Protobuf__Timestamp Google__Protobuf__Timestamp;

json_t *message_json(const struct rpc_message *m, const ProtobufCMessage *message); /* owned by the caller */

/* A copy that lives in the arena: what a callback borrowed. */
ProtobufCMessage *message_copy(
	struct arena *a, const struct rpc_message *m, const ProtobufCMessage *message);

/* The field of this name (as in the .proto file), or NULL. */
const ProtobufCFieldDescriptor *message_field(const ProtobufCMessage *message, const char *name);
/* The first field that repeats messages: what a list is about. *ret_items is the message's own. */
const struct rpc_field *message_items(const struct rpc_message *m, const ProtobufCMessage *message,
	size_t *ret_len, ProtobufCMessage ***ret_items);

/* protobuf-c's messages know no const; a request only borrows its texts. */
static inline char *message_str(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* Microseconds since 1970; 0 for NULL. */
int64_t message_time_us(const Google__Protobuf__Timestamp *t);

/* People's words for enums: JOB_STATE_SUCCEEDED of JobState is "succeeded", UNSPECIFIED is "", a number without a name
 * is the number. Words are static or in the arena. */
const char *enum_word(struct arena *a, const ProtobufCEnumDescriptor *d, int value);
bool enum_parse(const ProtobufCEnumDescriptor *d, const char *word, int *ret_value);
