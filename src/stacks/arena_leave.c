#include "stacks/arena_leave.h"

#include "base/arena.h"
#include "loop/loop.h"

#define LARGE (256u << 10)

static void destroy(void *arena)
{
	arena_destroy(arena);
}

static void on_destroyed(void *arena, const struct status *st)
{
	if (!status_is_ok(st)) /* never begun: the process stops */
		arena_destroy(arena);
}

void arena_leave(struct loop *l, struct arena *a)
{
	if (arena_used(a) < LARGE)
		arena_destroy(a);
	else
		loop_work_queued(l, destroy, on_destroyed, a);
}
