/* drift_watch: which stacks drifted, as far as a daemon knows. Owned by the observer, which asks
 * for each stack in each of its looks. The versions that a look shows are compared with those of
 * the last check of the stack: only when they moved, its release is loaded and compared with the
 * Engine field by field (planner_diff). Also repairs, where the project says so, within bounds. */
#pragma once
#include <stdbool.h>
#include "db/stacks.h"

struct docker;
struct loop;
struct picture;
struct drift_watch;

#define DRIFT_REPAIRS_MAX 5 /* within an hour; then it is somebody's to look at */

struct drift_seen {
	const char *service; /* the first one that drifted; "" = no service, but something else */
	const char *message; /* what drifted; no values */
	bool given_up;       /* repaired too often */
};

/* on_known: something was found out; not from inside a call. */
struct drift_watch *drift_watch_create(
	struct loop *l, struct docker *d, struct db *db, void (*on_known)(void *data), void *data);
/* Nothing may be under way. */
void drift_watch_destroy(struct drift_watch *dw);
/* Nothing begins afterwards; what is under way ends by itself, each with an on_known. */
void drift_watch_stop(struct drift_watch *dw);
bool drift_watch_is_busy(const struct drift_watch *dw);

/* A new look: `p` must live until the last drift_watch_ask of it. */
void drift_watch_begin(struct drift_watch *dw, const struct picture *p);
/* False: not known yet, a check is under way or will be. True: *ret is NULL (no drift) or what
 * drifted, valid until the next turn. */
bool drift_watch_ask(
	struct drift_watch *dw, const struct db_stack *s, const struct drift_seen **ret);
/* A network, secret or config of this name changed: no version shows it. */
void drift_watch_doubt(struct drift_watch *dw, const char *name);
