/* timetable: when a schedule is due next. Reads the zone's file from /usr/share/zoneinfo on the work queue, then asks
 * jobs/cron. Called by api/ and jobs/schedules. */
#pragma once
#include <stdint.h>
#include "base/status.h"

struct loop;

/* Seconds since 1970. INVALID_ARGUMENT: the expression or the zone's name is wrong, and how; UNAVAILABLE: this machine
 * has no time zone files at all. */
typedef void (*timetable_done)(void *data, const struct status *st, int64_t next_s);
/* The first time behind after_s. Texts are copied. done fires once, later, and cannot be taken back. */
void timetable_next(struct loop *l, const char *cron, const char *zone, int64_t after_s, timetable_done done, void *data);
