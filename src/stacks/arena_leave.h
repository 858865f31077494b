/* arena_leave: destroys an arena that nobody uses any more, a large one on the pool: to free what the
 * Engine said of thousands of services takes longer than a turn of the loop may. Its clean-up hooks
 * must not care on which thread they run (json_decref does not). */
#pragma once

struct arena;
struct loop;

void arena_leave(struct loop *l, struct arena *a);
