/* method: the shape of the tables that tools/protoc-gen-skep writes into gen/. Data only: the
 * dispatcher, the validator and the pre-scan read them; the handlers are functions of src/api,
 * named by the generated code, so that rpc never includes api. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>
#include "base/str.h"

struct rpc_call;

enum rpc_role { /* skep.v1.Role's numbers; a caller's role must be ≥ a method's */
	RPC_ROLE_NONE = 0,
	RPC_ROLE_VIEWER = 1,
	RPC_ROLE_DEPLOYER = 2,
	RPC_ROLE_OWNER = 3,
	RPC_ROLE_ADMIN = 4,
};

enum rpc_wkt {
	RPC_WKT_NONE,
	RPC_WKT_TIMESTAMP,
	RPC_WKT_DURATION,
	RPC_WKT_ANY,
	RPC_WKT_EMPTY,
	RPC_WKT_STRUCT,
	RPC_WKT_VALUE,
	RPC_WKT_LIST_VALUE,
	RPC_WKT_FIELD_MASK,
	RPC_WKT_WRAPPER
};

struct rpc_message;

/* Beside each ProtobufCFieldDescriptor, what protobuf-c loses at run time. */
struct rpc_field {
	const char *name, *json_name;
	const struct rpc_message *message; /* sub-message's table, or NULL */
	bool is_map;                       /* repeated entries {key = 1, value = 2} */
	bool is_optional;                  /* proto3 optional */
	bool is_secret;                    /* logged as *** */
	bool is_flat; /* REST: its fields stand in the query without its name ("page_token") */
	/* rules; unset: 0, NULL, has_* false */
	bool required, uuid, open_enum, has_min, has_max;
	int64_t min, max;
	uint32_t min_len, max_len, max_items;
	const char *pattern; /* POSIX ERE, anchored by the generator */
	const char *pattern_help;
};

/* fields[i] belongs to descriptor->fields[i]. */
struct rpc_message {
	const ProtobufCMessageDescriptor *descriptor;
	const struct rpc_field *fields;
	unsigned n_fields;
	enum rpc_wkt wkt;
	const struct rpc_registry *registry; /* of google.protobuf.Any: the types it may hold */
};

struct rpc_registry { /* sorted by the full name (bytewise) */
	const struct rpc_message *const *messages;
	size_t n;
};
/* NULL: unknown. The registry may be NULL. */
const struct rpc_message *rpc_registry_find(const struct rpc_registry *r, struct str name);

struct rpc_method {
	const char *path; /* "/skep.v1.Stacks/Deploy" */
	const struct rpc_message *input, *output;
	enum rpc_role role;
	bool anonymous, no_side_effects, client_streaming, server_streaming;
	/* string fields of these names: REST's Idempotency-Key, If-Match, ETag */
	bool takes_request_id, takes_etag, gives_etag;
	/* A server stream that can go on behind a position: the request's field for it, and the path
	 * of the field that says where each reply is. NULL: it cannot. */
	const char *resume_from, *resume_at;
	/* Unary and server streaming: `request` lives as long as the call. Client streaming: NULL,
	 * and messages come by rpc_call_on_message. The handler ends the call exactly once
	 * (rpc_call_reply, _finish), now or later. */
	void (*handler)(struct rpc_call *call, const ProtobufCMessage *request);
};

/* gen/skep/v1/methods.c, sorted by path (bytewise). */
extern const struct rpc_method skep_v1_methods[];
extern const size_t skep_v1_method_count;
/* Every file of proto/skep/v1 with its imports, a serialized google.protobuf.FileDescriptorSet. */
extern const unsigned char skep_v1_descriptor_set[];
extern const size_t skep_v1_descriptor_set_len;
