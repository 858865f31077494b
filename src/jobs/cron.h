/* cron: when a schedule is due. Pure.
 *
 * An expression has five fields, as in crontab(5): minute (0–59), hour (0–23), day of the month (1–31, or L: its last),
 * month (1–12 or jan–dec), day of the week (0–7 or sun–sat; 0 and 7 are Sunday). A field is a list of numbers and ranges
 * (1-5) between commas, or *; a range and * may have a step (8-18/2). When both days are restricted (neither begins with *), either
 * is enough. @hourly, @daily or @midnight, @weekly, @monthly, @yearly or @annually stand for what they say.
 *
 * Where the clock of the zone is turned: an expression whose minute or hour begins with * goes on by the time that passes.
 * Any other names times of the day: one that is skipped runs once, as soon as the clock was turned; one that comes twice
 * runs the first time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

struct zone;

#define CRON_MAX 100 /* characters of an expression */

struct cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays; /* bit n: n is meant */
	bool last_day;
	bool any_day, any_weekday; /* the field begins with * */
	bool passing;              /* the minute's or the hour's does: it goes by the time that passes */
};

/* INVALID_ARGUMENT says which field is wrong and what would be right; also for one that never comes (30 February). */
struct status cron_parse(const char *text, struct cron *ret_cron) __attribute__((warn_unused_result));
/* The first instant (seconds since 1970, a whole minute) behind `after`; INT64_MAX: none within nine years. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after);
