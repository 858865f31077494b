/* world: what the Engine holds at one moment, as far as one stack is concerned: the services of
 * its namespace, and all networks, secrets, configs (external ones are looked up by name). Read by
 * four requests at once, and one for each network that services name and no list shows. Everything
 * lives in the world's own arena until it is read again. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "docker/docker.h"

struct arena;
struct stack_run;

struct world_service {
	const char *id, *name;
	uint64_t version;
	json_t *spec, *previous_spec; /* as stored; previous may be NULL */
	const char *label_job;
	int label_epoch;
	bool ours; /* carries our stack's label: nothing else is ever touched */
	enum docker_update_state update;
};
struct world_object { /* network, secret, config */
	const char *id, *name, *scope;
	const char *content; /* LABEL_CONTENT; "" = none */
	bool ours;           /* carries our stack's label: nothing else is ever touched */
};
struct world {
	struct arena *arena;
	struct world_service *services;
	struct world_object *networks, *secrets, *configs;
	size_t n_services, n_networks, n_secrets, n_configs;
	/* private: a read under way */
	unsigned waiting;
	bool listed;
	struct status st;
	void (*done)(struct stack_run *sr, void *data, const struct status *st);
	void *data;
};

void world_init(struct world *w);
void world_finish(struct world *w);
/* done fires once, later; not at all when the run is interrupted. */
void world_read(struct world *w, struct stack_run *sr,
	void (*done)(struct stack_run *sr, void *data, const struct status *st), void *data);

/* Something was made since: it need not be read again. */
void world_add(struct world *w, struct world_object **objects, size_t *n, const char *id,
	const char *name);

const struct world_service *world_service_find(const struct world *w, const char *name);
const struct world_object *world_find(
	const struct world_object *objects, size_t n, const char *name);
