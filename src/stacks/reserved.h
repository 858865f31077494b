/* reserved: names of the Engine's objects that lie in another stack's namespace (<namespace>_…). The
 * Engine knows one name space for everybody: who takes such a name keeps that stack from its own
 * next deploy, and who names one may get at what another project keeps there. Decided by the plan
 * (plan.h), for every kind of deploy: nobody but that stack makes one; one of another project's is
 * not there, also as external, and no volume of it is mounted. Pure. */
#pragma once
#include "db/stacks.h"
#include "stacks/release.h"

struct arena;
struct world;

/* The names of a release that db must be asked about (db->stacks->reserved); its own namespace's are
 * not among them. */
const char *const *reserved_candidates(
	struct arena *a, const char *namespace_, const struct release *r, size_t *ret_n);
/* What db answered, copied into the arena, for world.reserved. */
const struct db_reserved *reserved_copy(struct arena *a, const struct db_reserved *r, size_t n);
/* NULL: it lies in no other stack's namespace. */
const struct db_reserved *reserved_find(const struct world *w, const char *name);
/* The first volume of another project's that a service's body mounts; NULL: none. */
const char *reserved_volume(const struct world *w, const json_t *body);
