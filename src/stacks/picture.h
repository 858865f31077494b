/* picture: what the Engine answered last, copied: services, tasks, nodes, each list as of its own
 * answer. One a daemon, filled by the lookout, read by everybody who judges or tells. */
#pragma once
#include <stddef.h>
#include "docker/docker.h"

struct arena;
struct converge_look;
struct loop;

enum picture_list {
	PICTURE_SERVICES,
	PICTURE_TASKS,
	PICTURE_CURRENT, /* only those tasks that the Engine itself counts to their service's present spec */
	PICTURE_NODES,
	PICTURE_LISTS,
};
struct picture {
	struct docker_service *services; /* in order of their names */
	struct docker_task *tasks, *current; /* as converge_sort puts them */
	struct docker_node *nodes;
	size_t n_services, n_tasks, n_current, n_nodes;
	struct arena *arenas[PICTURE_LISTS]; /* of each list */
	struct loop *loop;
};
/* What is no longer up to date is freed on l's pool where it is much. */
struct picture *picture_create(struct loop *l);
void picture_destroy(struct picture *p);
/* Copy what judging and the api need into the place of the list before; label lists of services are
 * left out. */
void picture_set_services(struct picture *p, const struct docker_service *s, size_t n);
void picture_set_tasks(struct picture *p, const struct docker_task *t, size_t n);
void picture_set_current(struct picture *p, const struct docker_task *t, size_t n);
void picture_set_nodes(struct picture *p, const struct docker_node *m, size_t n);

/* NULL: not there. */
const struct docker_service *picture_service(const struct picture *p, const char *name);
/* What there is to see of one service, with all its tasks; time aside. */
struct converge_look picture_look(const struct picture *p, const char *name);
/* The same with those of its present spec only. */
struct converge_look picture_look_current(const struct picture *p, const char *name);
/* Nobody has ever written it after it was made: all its tasks are of its present spec. */
bool picture_is_first_spec(const struct docker_service *s);
