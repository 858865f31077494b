/* fake_swarm: a Swarm in memory, in the loop's time: services whose tasks appear, start, run, fail
 *and are started again; networks, secrets, configs. What an image's name holds says how its tasks
 *behave:
 *
 *	crash   runs for 100 ms, then fails with exit code 1
 *	reject  is rejected by its node
 *	once    runs for 300 ms, then is complete
 *	nonode  no node suits
 *	sick    starts, and never becomes healthy
 *	tardy   starts, and becomes healthy after 25 s
 *	slow    never gets further than preparing
 *	other   runs after 200 ms, and stays so
 *
 * It refuses what an Engine refuses: names taken, networks in use, secrets that are not there,
 *versions that are old. */
#pragma once
#include <jansson.h>
#include "docker/docker.h"

struct arena;
struct loop;

struct swarm_service {
	char id[24];
	uint64_t version;
	json_t *spec, *previous;
	enum docker_update_state update;
	const char *update_message;
	uint64_t created_ms, updated_ms;
	uint64_t well_ms; /* since when all its tasks run; 0 = they do not */
};
struct swarm_task {
	char id[24], service_id[24], node_id[16];
	int64_t slot;
	enum docker_task_state desired, state;
	json_t *template;
	const char *image, *err;
	int64_t exit_code;
	uint64_t created_ms, since_ms;
	bool final; /* ended, and not started again */
};
enum swarm_kind { SWARM_NETWORK, SWARM_SECRET, SWARM_CONFIG };
struct swarm_object {
	enum swarm_kind kind;
	char id[24];
	json_t *spec;
	uint64_t version, created_ms;
	uint64_t gone_ms; /* a removed network is listed until then; 0 = it is there */
};
struct swarm_node {
	const char *id, *hostname;
	enum docker_node_state state;
};
struct swarm_image { /* in a registry */
	const char *ref, *digest;
	bool guarded; /* only with X-Registry-Auth */
};
struct swarm {
	struct loop *loop;
	struct swarm_service **services;
	struct swarm_task **tasks;
	struct swarm_object **objects;
	size_t n_services, n_tasks, n_objects;
	struct swarm_node nodes[2];
	uint64_t index;
	const char
		*crashes; /* tasks of images whose name holds this crash from now on; NULL = none */
	struct swarm_image images[4]; /* ref NULL: the end */
	bool registries_down;
	unsigned questions;    /* of images */
	char last_auth[2048];  /* that came with a service; "" = none did */
	unsigned service_writes; /* creates, updates, removes */
	unsigned epoch_breaches; /* writes of a job's older epoch over a newer one */
};

struct swarm *swarm_create(struct loop *l);
void swarm_destroy(struct swarm *w);
/* The Engine is started anew: what ran has failed, and is started again as its service says. */
void swarm_restart(struct swarm *w);
/* Everything that happens by itself up to now. */
void swarm_advance(struct swarm *w);

struct status swarm_service_create(struct swarm *w, const json_t *spec, const char **ret_id)
	__attribute__((warn_unused_result));
struct status swarm_service_update(struct swarm *w, const char *id, uint64_t version,
	const json_t *spec) __attribute__((warn_unused_result));
struct status swarm_service_remove(struct swarm *w, const char *id)
	__attribute__((warn_unused_result));
struct status swarm_object_create(struct swarm *w, enum swarm_kind kind, const json_t *spec,
	const char **ret_id) __attribute__((warn_unused_result));
struct status swarm_object_remove(struct swarm *w, enum swarm_kind kind, const char *id)
	__attribute__((warn_unused_result));
/* By id or name; NULL: it is not there. */
struct swarm_service *swarm_service_find(const struct swarm *w, const char *id);
struct swarm_object *swarm_object_find(const struct swarm *w, enum swarm_kind kind, const char *id);

/* What is wanted of it, and how many tasks of that run: one line an object, sorted. */
char *swarm_text(struct swarm *w, struct arena *a);
