/* engine: the real implementation of docker.h: HTTP to one Engine. Made by app/ (and tests),
 * which owns it; docker_destroy ends it. It connects when first asked, agrees on the API version
 * with GET /_ping, and does so again after each lost connection (the Engine may have been
 * upgraded). */
#pragma once
#include "base/status.h"

struct docker;
struct loop;

struct docker_engine_options {
	/* unix:///path, tcp://host:port or http://…; NULL = unix:///var/run/docker.sock; copied */
	const char *host;
	unsigned max_connections; /* 0 = 16 */
	unsigned max_streams;     /* log and event streams at a time, more wait; 0 = 64 */
};
/* Fails only for a host that cannot be understood. */
struct status docker_engine_create(struct loop *l, const struct docker_engine_options *o,
	struct docker **ret_docker) __attribute__((warn_unused_result));
