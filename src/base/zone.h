/* zone: what a clock on the wall of a place shows, from a file of the IANA time zone data base (TZif, RFC 9636:
 * /usr/share/zoneinfo/<name>). Pure: bytes in, offsets out; who needs one reads the file. The C library's own
 * time zones hang on the environment of the whole process.
 *
 * Instants are seconds since 1970 in UTC, leap seconds not counted; an offset is what is added to an instant to get
 * the time on the wall, in seconds. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct arena;
struct zone;

#define ZONE_NAME_MAX 64
#define ZONE_FILE_MAX 65536

/* May it be the name of a zone, and so a path below /usr/share/zoneinfo? "Europe/Berlin", "Etc/GMT+5", "UTC". */
bool zone_is_name(const char *name);
/* The zone lives in the arena. INVALID_ARGUMENT: the bytes are no TZif file of version 2 or later. */
struct status zone_parse(struct arena *a, struct str file, const struct zone **ret_zone)
	__attribute__((warn_unused_result));
/* Offset 0 for ever. Static. */
const struct zone *zone_utc(void);

int32_t zone_offset(const struct zone *z, int64_t at);
/* The first instant behind `at` from which another offset holds; INT64_MAX: none. */
int64_t zone_next_change(const struct zone *z, int64_t at);
