/* plan: what is to be done so that the Engine holds one release: for each object one verdict, the
 * fields that differ, and why. Pure. The one home of these decisions: rollouts write what it says
 * (rollout_write.c, rollout_prune.c), Stacks.Plan shows it, Stacks.Diff and the observer ask it
 * what somebody changed by hand. Everything returned lives in the arena or is borrowed from release
 * and world. */
#pragma once
#include "compose/compose.h"
#include "db/stacks.h"
#include "stacks/release.h"
#include "stacks/world.h"

struct arena;
struct map;

enum plan_verdict {
	PLAN_KEEP,
	PLAN_CREATE,
	PLAN_UPDATE,  /* in place */
	PLAN_REPLACE, /* removed and made anew: the Engine cannot change it */
	PLAN_REMOVE,  /* ours, and not in the release */
	PLAN_REFUSE,  /* cannot be done; nothing of the kind must be written */
};
#define PLAN_VERDICTS (PLAN_REFUSE + 1)
const char *plan_verdict_name(enum plan_verdict v); /* "keep" */

/* Why a service whose spec is as wanted is written all the same; NULL: nothing. An update of the
 * Engine's went wrong here once, and it says so until the next one: only writing the service makes
 * its state mean something again. */
const char *plan_mark(const struct world_service *seen);

struct plan_action {
	enum compose_kind kind;
	enum plan_verdict verdict;
	const char *key;    /* in the text; of what the text does not have: the Engine's name */
	const char *name;   /* the Engine's */
	const char *id;     /* the Engine's; "" = not there */
	const char *reason; /* in words; "" = kept because nothing differs */
	const struct compose_change *changes; /* of what is created: all that it will have */
	size_t n_changes;
	bool external;
	const json_t *wanted; /* the release's body; NULL: external, or removed */
	/* What is there; both NULL: nothing. */
	const struct world_service *service;
	const struct world_object *object;
	/* Of a service that is created, updated or replaced: what to write, without the job's
	 * labels. The caller's to change; in the arena. */
	json_t *body;
};

/* Of a network whose options change while something is in it. */
#define PLAN_NETWORK_WAY_OUT                                                                       \
	"give it another name in the text, and the services move to a new one by their "           \
	"update_config while the old one stays until the end; or remove the stack first"

/* One object of the release. */
void plan_network(struct arena *a, const struct world *w, const struct release_object *o,
	struct plan_action *ret);
/* kind: COMPOSE_SECRET or COMPOSE_CONFIG. */
void plan_object(struct arena *a, const struct world *w, enum compose_kind kind,
	const struct release_object *o, struct plan_action *ret);
void plan_service(struct arena *a, const struct world *w, const struct release_service *s,
	struct plan_action *ret);
/* Is an object of this name in the release? What is ours and is not, is removed. */
bool plan_wants(const struct release *r, enum compose_kind kind, const char *name);

/* Good releases, the newest first, that a roll-back could want: their secrets and configs stay. */
struct plan_kept {
	const struct db_release_objects *releases;
	size_t n;
};
bool plan_keeps(const struct plan_kept *kept, const char *name);
/* Names of the kind that stay, of thousands at once: what the release wants, and of secrets and configs
 * what is kept. Values say nothing; map_finish is the caller's. */
void plan_staying(const struct release *r, const struct plan_kept *kept, enum compose_kind kind,
	struct map *ret_names);
struct plan_kept plan_kept_copy(
	struct arena *a, const struct db_release_objects *releases, size_t n);

/* Environment and content: what may be a password. Their values are shown to those who ask for them
 * and may. */
bool plan_is_sensitive(const struct compose_change *c);
/* What people call a service's field: "Image" of "TaskTemplate.ContainerSpec.Image". */
const char *plan_field_name(const char *path);

/* Says each field of the services that the Engine is too old for: it drops them without a word. */
void plan_unknown_fields(struct arena *a, const struct world *w, const struct release *r,
	void (*say)(void *data, const char *text), void *data);

/* All of it: networks, secrets, configs, services in the release's order, then what is removed. */
struct plan {
	struct plan_action *actions;
	size_t n;
	unsigned counts[PLAN_VERDICTS];
};
/* kept: see plan_keeps; NULL = none. */
void plan_make(struct arena *a, const struct world *w, const struct release *r,
	const struct plan_kept *kept, struct plan *ret_plan);
