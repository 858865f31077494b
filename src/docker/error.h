/* error: what the Engine answered, as a status with the Engine's own words. Pure. Private to
 * docker/. */
#pragma once
#include "base/status.h"
#include "base/str.h"

/* code: HTTP status ≥ 300; body: {"message": "…"}, or text. */
struct status engine_error(long code, struct str body) __attribute__((warn_unused_result));
