#include "sim.h"
void sim_flood_init(struct sim *s) { (void)s; }
const struct job_kind_def *const sim_flood_kinds[] = {NULL};
