/* dev: the servers of `skepd --dev` as our children: a private PostgreSQL and Redis, and, where no Engine answers, a Docker
 * Engine made a Swarm of one node. Their data stand under the directory; it may be used again. They end with us,
 * also when we are killed (setpriv --pdeathsig). */
#pragma once
#include "base/status.h"

struct dev;
struct loop;

struct dev_servers { /* for the options of the same names; owned by the dev */
	const char *postgres, *redis, *docker;
	bool own_engine;
};
struct dev_options {
	const char *dir;    /* made if need be; copied */
	const char *docker; /* an Engine to use instead of our own; NULL: $DOCKER_HOST, /var/run/docker.sock, or our own */
	/* Once: everything answers, or what does not and where its log is. */
	void (*on_ready)(void *data, const struct status *st, const struct dev_servers *servers);
	/* A server ended by itself. */
	void (*on_lost)(void *data, const struct status *why);
	void *data;
};
struct dev *dev_start(struct loop *l, const struct dev_options *o);
/* Ends the servers; done once they are gone. Then dev_destroy. */
void dev_stop(struct dev *dev, void (*done)(void *data), void *data);
void dev_destroy(struct dev *dev);
