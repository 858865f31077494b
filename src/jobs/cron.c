#include "jobs/cron.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/clock.h"
#include "base/str.h"
#include "base/zone.h"

#define MINUTE   INT64_C(60)
#define DAY      INT64_C(86400)
#define DAYS_MAX (9 * 366) /* 29 February may be eight years away */

struct field {
	const char *name;
	unsigned min, max;
	const char *words; /* of three letters, the first means `min` */
};
static const struct field fields[] = {
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of the month", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{"day of the week", 0, 7, "sunmontuewedthufrisat"},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* ---- reading ---- */

static bool read_value(const struct field *f, struct str text, unsigned *ret_value)
{
	uint64_t n;
	for (size_t i = 0; text.len == 3 && f->words[i]; i += 3) {
		if (strncasecmp(f->words + i, text.ptr, 3) == 0) {
			*ret_value = f->min + (unsigned)(i / 3);
			return true;
		}
	}
	if (text.len > 2 || !str_to_u64(text, &n) || n < f->min || n > f->max)
		return false;
	*ret_value = (unsigned)n;
	return true;
}

static struct status wrong(const struct field *f, struct str text, const char *why)
{
	return status_err(ST_INVALID_ARGUMENT, "\"" STR_FMT "\" as the %s: %s", STR_ARG(text), f->name, why);
}

static struct status bad_value(const struct field *f, struct str text)
{
	if (f->words[0])
		return status_err(ST_INVALID_ARGUMENT, "\"" STR_FMT "\" as the %s: expected %u to %u, or a name as %.3s",
			STR_ARG(text), f->name, f->min, f->max, f->words);
	return status_err(ST_INVALID_ARGUMENT, "\"" STR_FMT "\" as the %s: expected %u to %u", STR_ARG(text), f->name, f->min,
		f->max);
}

/* "*", "5", "1-5", each with or without "/2" */
static struct status read_item(const struct field *f, struct str item, uint64_t *bits)
{
	struct str rest = item, range = str_cut(&rest, '/');
	unsigned first = f->min, last = f->max;
	uint64_t step = 1;
	bool stepped = rest.ptr != NULL;
	if (stepped && (rest.len > 2 || !str_to_u64(rest, &step) || step == 0))
		return wrong(f, item, "a step is 1 to 99, as in */15");
	if (!str_is(range, "*")) {
		struct str to = range, from = str_cut(&to, '-');
		if (!read_value(f, from, &first))
			return bad_value(f, from);
		last = first;
		if (to.ptr && !read_value(f, to, &last))
			return bad_value(f, to);
		if (!to.ptr && stepped)
			return wrong(f, item, "a step needs a range or *, as in 0-30/5");
		if (last < first)
			return wrong(f, item, "the range ends before it begins");
	}
	for (uint64_t i = first; i <= last; i += step)
		*bits |= UINT64_C(1) << i;
	return status_ok();
}

static struct status read_field(const struct field *f, struct str text, uint64_t *bits)
{
	struct status st = status_ok();
	while (text.ptr && status_is_ok(&st))
		st = read_item(f, str_cut(&text, ','), bits);
	return st;
}

static const char *of_word(const char *text)
{
	static const struct {
		const char *word, *meaning;
	} words[] = {
		{"@hourly", "0 * * * *"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@weekly", "0 0 * * 0"},
		{"@monthly", "0 0 1 * *"},
		{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(words[i].word, text) == 0)
			return words[i].meaning;
	return NULL;
}

/* The next run of characters that are no blanks; len 0: none. */
static struct str next_word(struct str *s)
{
	*s = str_trim(*s);
	size_t n = 0;
	while (n < s->len && !isspace((unsigned char)s->ptr[n]))
		n++;
	struct str word = str_make(s->ptr, n);
	*s = str_make(s->ptr + n, s->len - n);
	return word;
}

/* L among the days, which is then taken out of it. */
static bool take_last_day(struct str *field)
{
	if (!str_is(*field, "L") && !str_is(*field, "l"))
		return false;
	*field = (struct str){NULL, 0};
	return true;
}

static struct status need_fields(struct str text)
{
	size_t n = 0;
	struct str rest = text;
	while (next_word(&rest).len > 0)
		n++;
	if (n == FIELDS)
		return status_ok();
	return status_err(ST_INVALID_ARGUMENT, "\"" STR_FMT "\" has %zu fields: expected minute, hour, day of the month, month, "
		"day of the week, as in \"30 3 * * sun\"; or @hourly, @daily, @weekly, @monthly, @yearly", STR_ARG(text), n);
}

struct status cron_parse(const char *text, struct cron *ret_cron)
{
	struct cron c = {0};
	uint64_t bits[FIELDS] = {0};
	bool any[FIELDS];
	if (strlen(text) > CRON_MAX)
		return status_err(ST_INVALID_ARGUMENT, "a cron expression has at most %d characters", CRON_MAX);
	const char *meaning = of_word(text);
	struct str rest = str_trim(str_of(meaning ? meaning : text));
	struct status st = need_fields(rest);
	for (size_t i = 0; i < FIELDS && status_is_ok(&st); i++) {
		struct str word = next_word(&rest);
		any[i] = word.ptr[0] == '*';
		if (i == 2)
			c.last_day = take_last_day(&word);
		st = read_field(&fields[i], word, &bits[i]);
	}
	if (!status_is_ok(&st))
		return st;
	c.minutes = bits[0];
	c.hours = (uint32_t)bits[1];
	c.days = (uint32_t)bits[2];
	c.months = (uint32_t)bits[3];
	c.weekdays = (uint32_t)(bits[4] & 0x7f) | (uint32_t)(bits[4] >> 7); /* 7 is 0 */
	c.any_day = any[2];
	c.any_weekday = any[4];
	c.passing = any[0] || any[1];
	if (cron_next(&c, zone_utc(), 0) == INT64_MAX)
		return status_err(ST_INVALID_ARGUMENT, "\"%s\" never comes: none of its months has that day", text);
	*ret_cron = c;
	return status_ok();
}

/* ---- on the wall ---- */

static bool is_day(const struct cron *c, int64_t days)
{
	int64_t year, month, day;
	date_from_days(days, &year, &month, &day);
	if (!(c->months >> month & 1))
		return false;
	bool by_day = (c->days >> day & 1) || (c->last_day && day == date_days_in_month(year, month));
	bool by_weekday = c->weekdays >> ((days + 4) % 7) & 1; /* 1970-01-01 was a Thursday */
	return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

/* The first time on the wall (as seconds since its 1970) that is meant, at or behind `from`. */
static int64_t wall_next(const struct cron *c, int64_t from)
{
	from = (from + MINUTE - 1) / MINUTE * MINUTE;
	int64_t days = from / DAY, minute = from % DAY / MINUTE;
	for (int64_t end = days + DAYS_MAX; days < end; days++, minute = 0) {
		if (!is_day(c, days))
			continue;
		for (; minute < 24 * 60; minute++)
			if ((c->hours >> minute / 60 & 1) && (c->minutes >> minute % 60 & 1))
				return days * DAY + minute * MINUTE;
	}
	return INT64_MAX;
}

/* ---- in a zone ---- */

/* By the time that passes: what is meant while an offset holds, then while the next one does. */
static int64_t next_passing(const struct cron *c, const struct zone *z, int64_t after)
{
	int64_t at = after + 1, limit = after + DAYS_MAX * DAY;
	while (at < limit) {
		int64_t end = zone_next_change(z, at);
		int32_t offset = zone_offset(z, at);
		int64_t wall = wall_next(c, at + offset);
		if (wall == INT64_MAX)
			return wall;
		if (wall - offset < end)
			return wall - offset;
		at = end;
	}
	return INT64_MAX;
}

/* The first instant at which the wall shows this; where it is skipped, the one at which the clock is turned. `from`:
 * an instant well before. */
static int64_t instant_of(const struct zone *z, int64_t wall, int64_t from)
{
	for (;;) {
		int32_t offset = zone_offset(z, from);
		int64_t end = zone_next_change(z, from);
		if (wall < from + offset)
			return from;
		if (wall - offset < end)
			return wall - offset;
		from = end;
	}
}

static int64_t next_of_day(const struct cron *c, const struct zone *z, int64_t after)
{
	int64_t wall = after + zone_offset(z, after);
	for (;;) {
		wall = wall_next(c, wall + 1);
		if (wall == INT64_MAX)
			return wall;
		int64_t at = instant_of(z, wall, after - 2 * DAY);
		if (at > after)
			return at;
	}
}

int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after)
{
	return c->passing ? next_passing(c, z, after) : next_of_day(c, z, after);
}
