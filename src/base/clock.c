#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include "base/arena.h"

#define US_PER_S   INT64_C(1000000)
#define S_PER_DAY  INT64_C(86400)
#define US_PER_DAY (S_PER_DAY * US_PER_S)

static uint64_t system_mono_ms(const struct clock *c)
{
	(void)c;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int64_t system_wall_us(const struct clock *c)
{
	(void)c;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

const struct clock *clock_system(void)
{
	static const struct clock system = {system_mono_ms, system_wall_us};
	return &system;
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. The year is taken to begin
 * in March, so that the leap day is its last; 719468 days lie between 0000-03-01 and 1970-01-01. */
int64_t date_to_days(int64_t year, int64_t month, int64_t day)
{
	if (month <= 2)
		year--;
	int64_t from_march = (month + 9) % 12;
	int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;
	return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int64_t date_days_in_month(int64_t year, int64_t month)
{
	static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

/* The other way; for years 1 to 9999. */
void date_from_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
	int64_t since = days + 719468; /* since 0000-03-01 */
	int64_t era = since / 146097;  /* of 400 years */
	int64_t in_era = since % 146097;
	int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t day_of_year = in_era - (year * 365 + year / 4 - year / 100);
	int64_t from_march = (day_of_year * 5 + 2) / 153;
	*ret_day = day_of_year - (153 * from_march + 2) / 5 + 1;
	*ret_month = (from_march + 2) % 12 + 1;
	*ret_year = era * 400 + year + (*ret_month <= 2);
}

char *time_rfc3339(struct arena *a, int64_t wall_us)
{
	const int64_t first = date_to_days(1, 1, 1) * US_PER_DAY;
	const int64_t last = date_to_days(10000, 1, 1) * US_PER_DAY - 1;
	if (wall_us < first)
		wall_us = first;
	if (wall_us > last)
		wall_us = last;
	int64_t days = wall_us / US_PER_DAY;
	int64_t in_day = wall_us % US_PER_DAY;
	if (in_day < 0) {
		in_day += US_PER_DAY;
		days--;
	}
	int64_t year, month, day;
	date_from_days(days, &year, &month, &day);
	int64_t s = in_day / US_PER_S;
	return arena_fmt(a, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)year, (int)month, (int)day,
		(int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60), (int)(in_day % US_PER_S));
}

/* Takes exactly `digits` digits whose number lies in min..max. */
static bool take_number(const char **p, int digits, int64_t min, int64_t max, int64_t *ret_value)
{
	int64_t value = 0;
	for (int i = 0; i < digits; i++) {
		char c = (*p)[i];
		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (c - '0');
	}
	if (value < min || value > max)
		return false;
	*p += digits;
	*ret_value = value;
	return true;
}

static bool take_char(const char **p, const char *any_of)
{
	for (; *any_of; any_of++) {
		if (**p == *any_of) {
			++*p;
			return true;
		}
	}
	return false;
}

/* "YYYY-MM-DD" */
static bool take_date(const char **p, int64_t *ret_days)
{
	int64_t year, month, day;
	if (!take_number(p, 4, 1, 9999, &year) || !take_char(p, "-") ||
		!take_number(p, 2, 1, 12, &month) || !take_char(p, "-") ||
		!take_number(p, 2, 1, date_days_in_month(year, month), &day))
		return false;
	*ret_days = date_to_days(year, month, day);
	return true;
}

/* "HH:MM:SS[.digits]"; digits after the sixth are dropped. */
static bool take_time(const char **p, int64_t *ret_us)
{
	int64_t hour, minute, second, us = 0;
	if (!take_number(p, 2, 0, 23, &hour) || !take_char(p, ":") ||
		!take_number(p, 2, 0, 59, &minute) || !take_char(p, ":") ||
		!take_number(p, 2, 0, 60, &second)) /* 60: a leap second */
		return false;
	if (take_char(p, ".")) {
		int64_t unit = US_PER_S / 10, digit;
		if (!take_number(p, 1, 0, 9, &digit))
			return false;
		do {
			us += digit * unit;
			unit /= 10;
		} while (take_number(p, 1, 0, 9, &digit));
	}
	*ret_us = ((hour * 60 + minute) * 60 + second) * US_PER_S + us;
	return true;
}

/* "Z", "+HH", "+HHMM", "+HH:MM", "+HH:MM:SS" (PostgreSQL, for times before time zones) */
static bool take_zone(const char **p, int64_t *ret_us)
{
	int64_t hour, minute = 0, second = 0;
	*ret_us = 0;
	if (take_char(p, "Zz"))
		return true;
	int64_t sign = **p == '-' ? -1 : 1;
	if (!take_char(p, "+-") || !take_number(p, 2, 0, 23, &hour))
		return false;
	if (**p != '\0') {
		bool colon = take_char(p, ":");
		if (!take_number(p, 2, 0, 59, &minute))
			return false;
		if (colon && take_char(p, ":") && !take_number(p, 2, 0, 59, &second))
			return false;
	}
	*ret_us = sign * ((hour * 60 + minute) * 60 + second) * US_PER_S;
	return true;
}

int64_t time_parse(const char *text)
{
	int64_t days, in_day, zone;
	const char *p = text;
	if (!text || !take_date(&p, &days) || !take_char(&p, "Tt ") || !take_time(&p, &in_day) ||
		!take_zone(&p, &zone) || *p != '\0')
		return 0;
	int64_t us = days * US_PER_DAY + in_day - zone;
	/* Go's zero time is how Docker writes "never". */
	return us == date_to_days(1, 1, 1) * US_PER_DAY ? 0 : us;
}
