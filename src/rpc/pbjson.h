/* pbjson: messages as JSON, the whole mapping of proto3
 * (https://protobuf.dev/programming-guides/json/), straight between text and protobuf-c's
 * structures, by the generated tables. Pure. Used by the protocols that speak JSON (as codec_json),
 * and by REST for single fields.
 *
 * Writing: json_name, fields with their default left out, 64 bits as strings, enums by name.
 * Reading: either name of a field; unknown fields, members that stand twice and everything out of
 * bounds are errors that name the field by its path; unknown numbers of enums pass (the field rules
 * decide), unknown names do not. The same limits as the binary pre-scan: depth, elements, memory.
 */
#pragma once
#include "rpc/codec.h"

struct rpc_field;

extern const struct rpc_codec codec_json;

/* The message must be initialised; fields that the text does not name keep what they have. */
struct status pbjson_merge(struct arena *a, const struct rpc_message *m, struct str text,
	ProtobufCMessage *message) __attribute__((warn_unused_result));
/* Sets one field from plain text, as it stands in a path or query: "stack.name", "states"
 * (repeated: one more element), "replicas.web" (of a map). INVALID_ARGUMENT names the field. */
struct status pbjson_set(struct arena *a, const struct rpc_message *m, ProtobufCMessage *message,
	struct str path, struct str text) __attribute__((warn_unused_result));
/* Reads the value of one field (REST's `body: "field"`). */
struct status pbjson_merge_field(struct arena *a, const struct rpc_message *m,
	ProtobufCMessage *message, const char *field, struct str text)
	__attribute__((warn_unused_result));
/* A message of this type with its defaults, in the arena. */
ProtobufCMessage *pbjson_new(struct arena *a, const ProtobufCMessageDescriptor *d);
/* Appends the number or string at this path as plain text ("event.sequence"). False: it is not set,
 * or holds control characters; b is as it was. */
bool pbjson_text(
	struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message, const char *path);
void pbjson_put_string(struct buf *b, struct str text); /* with quotes */

/* Inside: text of the well-known types. False: not one. */
bool pbjson_read_timestamp(struct str text, int64_t *ret_seconds, int32_t *ret_nanos);
bool pbjson_read_duration(struct str text, int64_t *ret_seconds, int32_t *ret_nanos);
void pbjson_put_timestamp(struct buf *b, int64_t seconds, int32_t nanos);
void pbjson_put_duration(struct buf *b, int64_t seconds, int32_t nanos);
