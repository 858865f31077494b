/* clock: time as a table of operations, so that a simulation can hand in its own. */
#pragma once
#include <stdint.h>

struct arena;

struct clock {
	uint64_t (*mono_ms)(const struct clock *c); /* monotonic, for intervals */
	int64_t (*wall_us)(const struct clock *c);  /* microseconds since 1970, UTC */
};
const struct clock *clock_system(void);

/* RFC 3339 with microseconds, "2026-03-01T12:00:00.000000Z". Years 1 to 9999: what lies outside is
 * given as the first or last moment inside. */
char *time_rfc3339(struct arena *a, int64_t wall_us);
/* Microseconds since 1970 from what Docker, PostgreSQL (ISO, with time zone) and RFC 3339 write;
 * digits after the sixth are dropped. 0 = not a time, or Docker's "never" (0001-01-01T00:00:00Z). */
int64_t time_parse(const char *text);

/* Dates of the proleptic Gregorian calendar, years 1 to 9999, as days since 1970-01-01; month and day from 1. */
int64_t date_to_days(int64_t year, int64_t month, int64_t day);
void date_from_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day);
int64_t date_days_in_month(int64_t year, int64_t month);
