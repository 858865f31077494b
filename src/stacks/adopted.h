/* adopted: a release made of what the Engine holds, so that a stack which `docker stack deploy`
 * made goes on as if it had been deployed here; and a release as Compose text. Pure. Callers: the
 * adopt flow, api (Stacks.Export). */
#pragma once
#include "stacks/release.h"

struct arena;
struct compose_strings;
struct world;

/* The services of the namespace, the networks, secrets and configs they use and those that carry
 * the namespace. Bodies are as the Engine stores them, with names for ids; everything is in the
 * arena. NOT_FOUND: there are no services. FAILED_PRECONDITION: they are another stack's. */
struct status adopted_release(struct arena *a, const char *namespace_, const struct world *w,
	const struct release_labels *labels, struct release *ret_release)
	__attribute__((warn_unused_result));

/* See compose_export. */
bool release_export(struct arena *a, const char *namespace_, const char *head,
	const struct release *r, const char **ret_text, struct compose_strings *ret_lost);
