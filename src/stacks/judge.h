/* judge: a picture of the Engine (copied out of its answers), and what it says of a stack. Pure. */
#pragma once
#include "db/stacks.h"
#include "docker/docker.h"

struct arena;

struct picture {
	struct arena *arena;
	struct docker_service *services;
	struct docker_task *tasks;
	struct docker_node *nodes;
	size_t n_services, n_tasks, n_nodes;
};
struct picture *picture_create(void);
void picture_destroy(struct picture *p);
void picture_reset(struct picture *p);
/* Copy what judging and the api need; label lists are left out. Services are kept in order of their
 * names, tasks as converge_sort puts them. */
void picture_set_services(struct picture *p, const struct docker_service *s, size_t n);
void picture_set_tasks(struct picture *p, const struct docker_task *t, size_t n);
void picture_set_nodes(struct picture *p, const struct docker_node *m, size_t n);

struct converge;
struct converge_look;
/* What there is to see of one service, nodes and time aside. */
struct converge_look picture_look(const struct picture *p, const char *name);
/* NULL: not there. */
const struct docker_service *picture_service(const struct picture *p, const char *name);

struct drift_seen;

struct judged_stack {
	enum stack_status status;
	const char *message;
	const char *drifted;         /* the service that drifted; "" = none */
	struct db_service *services; /* every service the stack has in the database, as seen now */
	size_t n_services;
	bool differs; /* from what the database says */
	bool moving;  /* look again soon */
};
/* `s` with its services, as db gives it; results live in `a`. drift: NULL = none; known = false:
 * nobody knows yet, and what db says of it stands. */
void judge_stack(struct arena *a, const struct picture *p, const struct db_stack *s, bool known,
	const struct drift_seen *drift, struct judged_stack *ret);
