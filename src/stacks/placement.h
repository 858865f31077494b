/* placement: why a node cannot take one more task of a service, as swarmkit's scheduler decides it:
 * is the node there, has it the resources, the drivers, the platform, does it meet the constraints, is
 * the host port free, has it its share of replicas? Pure. */
#pragma once
#include "base/str.h"
#include "docker/docker.h"

struct arena;

/* All there is in the Swarm, other stacks' too. */
struct placement_world {
	const struct docker_node *nodes;
	const struct docker_task *tasks;
	const struct docker_service *services;
	size_t n_nodes, n_tasks, n_services;
};
/* "512MiB of memory are free, 1GiB is reserved; node.labels.disk==ssd is not met"; every reason;
 * NULL: none is known. */
const char *placement_refusal(struct arena *a, const struct placement_world *w,
	const struct docker_service *s, const struct docker_node *node);
