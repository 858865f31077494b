/* judge: what a picture of the Engine says of a stack. Pure. */
#pragma once
#include "db/stacks.h"

struct arena;
struct drift_seen;
struct picture;

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
