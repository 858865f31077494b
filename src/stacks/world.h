/* world: what the Engine holds at one moment, as far as one stack is concerned: what carries its
 * namespace, and what else its release or its services name. What others have is never asked for: a
 * thousand stacks that are deployed at once must not each read the other ones' things. Read in up to
 * three rounds: by the namespace (four requests at once); by the names that this did not show (one
 * request a kind and hundred, a kind a turn of the loop); one request for each network that services name and no list shows. Everything
 * lives in the world's own arena until it is read again. Owned by whoever asks: a job's run, a
 * plan. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "docker/docker.h"

struct arena;
struct db_reserved;
struct loop;
struct release;
struct world_reading;

struct world_service {
	const char *id, *name;
	uint64_t version;
	json_t *spec, *previous_spec; /* as stored, not to be changed; previous may be NULL */
	bool has_previous;            /* the Engine has a previous spec of it */
	const char *label_job;
	int label_epoch;
	bool ours; /* carries our stack's label, see also world.adopted: nothing else is ever
		      touched */
	const char *label_stack; /* whose it is; "" = nobody's */
	enum docker_update_state update;
};
struct world_object { /* network, secret, config */
	const char *id, *name, *scope;
	const char *content; /* LABEL_CONTENT; "" = none */
	bool ours;           /* carries our stack's label: nothing else is ever touched */
	bool elsewhere;      /* another project's: for us it is not there */
	uint64_t version;    /* secrets and configs */
	/* A network as the Engine shows it, a secret's or config's spec; NULL: made since the read,
	 * or let go of. */
	const json_t *stored;
};
struct world {
	struct arena *arena;
	struct world_service *services; /* in order of their names */
	struct world_object *networks, *secrets, *configs;
	size_t n_services, n_networks, n_secrets, n_configs;
	/* Set before world_read: the stack was adopted, so that what carries its namespace and no
	 * stack's label is ours too. */
	bool adopted;
	/* Set before world_read: whose networks, secrets and configs are looked up by their names; NULL:
	 * none. Borrowed until it is read. */
	const struct release *wants[2];
	/* Set before a plan is made: names that lie in other stacks' namespaces (reserved.h); borrowed. */
	const struct db_reserved *reserved;
	size_t n_reserved;
	unsigned api; /* minor of the Engine's API 1.x; 0: not known */
	const char *project_id; /* set before world_read: whose we are; borrowed */
	/* private */
	struct loop *loop;
	struct docker *docker;
	struct world_reading *reading; /* under way; NULL: none */
};

void world_init(struct world *w, struct loop *l, struct docker *d);
/* A read under way is given up. */
void world_finish(struct world *w);
/* stack_id: whose label makes an object ours; "" = nothing is. Both texts are copied. done fires
 * once, later; not at all after world_stop, world_finish or another world_read. */
void world_read(struct world *w, const char *namespace_, const char *stack_id,
	void (*done)(void *data, const struct status *st), void *data);
void world_stop(struct world *w);

/* Lets go of everything as it is stored (specs): nothing can be compared any more until it is read
 * again. Names, ids, versions and labels stay. Not while it is read. */
void world_lighten(struct world *w);

/* Something was made since: it need not be read again. */
void world_add(struct world *w, struct world_object **objects, size_t *n, const char *id,
	const char *name);

const struct world_service *world_service_find(const struct world *w, const char *name);
const struct world_object *world_find(
	const struct world_object *objects, size_t n, const char *name);
