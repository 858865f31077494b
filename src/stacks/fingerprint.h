/* fingerprint: what a plan was made from, as one word, so that a deploy can be bound to it: 32 hex
 * digits over all of it, which decide, then a dot and six bytes an object (base64url), which tell
 * what differs. Of an object counts what is wanted of it, and what the Engine holds of it: a
 * service's stored spec, what it says of its last update; the ids and versions of others. Pure. */
#pragma once
#include "stacks/plan.h"

#define FINGERPRINT_MAX 16384

const char *fingerprint_make(struct arena *a, const struct plan *p);
/* OK: `given` is this plan's. ABORTED: it is another's, and which objects differ.
 * INVALID_ARGUMENT: it is none. */
struct status fingerprint_check(struct arena *a, const char *given, const struct plan *p)
	__attribute__((warn_unused_result));
