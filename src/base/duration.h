/* duration: spans of time as Go writes them ("1m30s"), which is how Compose files, the Engine and
 * this program's options write them. Nanoseconds. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

/* The rules of Go's time.ParseDuration: an optional sign, then numbers with optional fraction, each
 * with its unit (ns, us, µs, ms, s, m, h); "0" alone needs no unit. False for anything else and for
 * what does not fit; *ret_ns is then untouched. */
bool duration_parse(struct str s, int64_t *ret_ns);

/* What Go's Duration.String prints: "1h0m5s", "1.5ms", "0s". */
char *duration_text(struct arena *a, int64_t ns);
