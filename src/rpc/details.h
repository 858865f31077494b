/* details: the machine-readable part of a failure, and its form as google.rpc.Status.
 * The server's handlers fill one in; the client gets one with each failed call. Views
 * only: the texts belong to whoever filled it in. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct arena;

struct rpc_violation {           /* BadRequest: a field of the request */
	const char *field;       /* path: "compose[0].name" */
	const char *description; /* what is wrong, and what would be right */
};
struct rpc_precondition {    /* PreconditionFailure: the state of the world */
	const char *type;    /* "STACK_BUSY" */
	const char *subject; /* "stack/web" */
	const char *description;
};
struct rpc_quota { /* QuotaFailure */
	const char *subject;
	const char *description;
};
struct rpc_any { /* any other message, packed */
	const char *type_url;
	struct str value;
};
struct rpc_details {
	const struct rpc_violation *violations;
	size_t n_violations;
	const struct rpc_precondition *preconditions;
	size_t n_preconditions;
	const struct rpc_quota *quotas;
	size_t n_quotas;
	uint64_t retry_ms; /* RetryInfo; 0 = none */
	const struct rpc_any *others; /* not read back by the client */
	size_t n_others;
};

/* Appends a serialized google.rpc.Status. details may be NULL. */
void rpc_status_pack(struct buf *b, const struct status *st, const struct rpc_details *details);
/* The other way; unknown details are skipped, texts live in the arena. False: not a
 * google.rpc.Status. */
bool rpc_status_unpack(
	struct arena *a, struct str bytes, struct status *ret_st, struct rpc_details *ret_details);
