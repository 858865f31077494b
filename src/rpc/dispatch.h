/* dispatch: from a call's first bytes to its handler: finds the method, the caller, whether
 * the caller may, and refuses with words otherwise. Called by the protocols. */
#pragma once
#include <stdbool.h>
#include "base/str.h"

struct rpc_call;
struct rpc_method;
struct rpc_server;
struct status;

/* NULL: there is none at this path. */
const struct rpc_method *dispatch_find(const struct rpc_server *s, struct str path);
/* call->metadata and deadline_at are set. `m` is what dispatch_find finds at the path. */
void dispatch_open(struct rpc_call *call, const struct rpc_method *m, struct str path, bool has_payload,
	struct str payload, bool end);
/* Does call->caller have the role that the method needs? */
bool dispatch_may(const struct rpc_call *call, struct status *ret_st);
/* The caller is known: may it? Then on. */
void dispatch_authorised(struct rpc_call *call);
