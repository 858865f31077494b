/* registry_login: credentials that somebody gives for an image registry. The registry is asked, through the Engine,
 * whether it takes them; then they are kept. Callers: api. There is nothing to cancel; everything has a deadline of its
 * own. */
#pragma once
#include "db/registries.h"

struct arena;
struct docker;
struct loop;

struct registry_login_input {
	struct loop *loop;
	struct db *db;
	struct docker *docker;
	struct arena *arena;        /* of the caller; texts below live as long as it does */
	struct db_scope scope;
	struct db_registry_set set; /* host: as registry_host gives it */
	bool unseen;                /* the registry is not asked */
};

/* done fires once, later. INVALID_ARGUMENT: the registry refuses them, in its words. FAILED_PRECONDITION: it did not
 * answer. UNAVAILABLE: no Engine could ask it. In all three nothing was kept. */
void registry_login(const struct registry_login_input *in, db_registry_done done, void *data);
