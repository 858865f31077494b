/* fake_docker: struct docker over a swarm in memory (fake_swarm.h); one a daemon. */
#pragma once
#include "docker/docker.h"
#include "fake_call.h"
#include "fake_swarm.h"

struct fake_docker {
	struct docker base;
	struct fake_front front;
	struct swarm *swarm;
	const char *log; /* what every task has written; lines end with \n */
	bool logs_hang;  /* the log opens and never ends */
	const struct docker_container *container; /* what every one looks like; NULL: not here */
	/* the subscription to events; NULL = none */
	docker_on_event on_event;
	void *event_data;
};

void fake_docker_init(
	struct fake_docker *d, struct fake_script *s, struct loop *l, struct swarm *w);
/* Tells the subscriber; later. */
void fake_docker_event(
	struct fake_docker *d, enum docker_event_type type, const char *action, const char *why);
