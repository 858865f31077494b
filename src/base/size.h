/* size: amounts of memory and disk as Docker writes them: "50M", "1.5gb", "512KiB". Bytes. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

/* The rules of Docker's units.RAMInBytes: a decimal number, at most one space, and b, k, m, g, t or
 * p of any case, optionally with b or ib behind; every unit is a power of 1024. False for anything
 * else, for negative sizes and what does not fit; *ret_bytes is then untouched. */
bool size_parse(struct str s, int64_t *ret_bytes);

/* Four significant digits in the unit that fits: "1.5GiB", "512B". */
char *size_text(struct arena *a, int64_t bytes);
