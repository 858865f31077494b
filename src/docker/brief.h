/* brief: of a service's spec, what others than its writer need: how it converges, where it may run,
 * which ports it has, whose it is. Private to docker/. A spec as JSON takes five times its text: of
 * thousands only this is kept. Pure. */
#pragma once
#include <jansson.h>

/* New; its parts are the spec's own. */
json_t *brief_spec(const json_t *spec);
