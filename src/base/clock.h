/* clock: time as a table of operations, so that a simulation can hand in its own. */
#pragma once
#include <stdint.h>

struct arena;

struct clock {
	uint64_t (*mono_ms)(const struct clock *c); /* monotonic, for intervals */
	int64_t (*wall_us)(const struct clock *c);  /* microseconds since 1970, UTC */
};
const struct clock *clock_system(void);

/* RFC 3339 with microseconds, "2026-03-01T12:00:00.000000Z". */
char *time_rfc3339(struct arena *a, int64_t wall_us);
/* Accepts what Docker, PostgreSQL (ISO, with time zone) and RFC 3339 write; 0 = not a time. */
int64_t time_parse(const char *text);
