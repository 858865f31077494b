#include "base/zone.h"

#include <ctype.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/clock.h"

#define DAY        INT64_C(86400)
#define HEADER     44
#define COUNT_MAX  8192 /* of changes in a file */
#define OFFSET_MAX (26 * 3600)
#define TIME_MAX   (INT64_C(1) << 60) /* the first change of some files is the Big Bang */

/* One of the two changes of a year: "M3.5.0/2". */
struct yearly {
	enum { BY_WEEKDAY, BY_DAY, BY_DAY_BUT_FEB_29 } form;
	int64_t month, week, day; /* BY_WEEKDAY: week 5 is the last; day: from Sunday; else of the year */
	int64_t time;             /* on the wall, seconds of the day; may be outside of it */
};
/* What holds behind the last change of the table. */
struct rule {
	bool known, has_summer;
	int32_t winter, summer;
	struct yearly to_summer, to_winter;
};
struct zone {
	size_t n;
	const int64_t *at;     /* ascending */
	const int32_t *offset; /* from at[i] on */
	int32_t first;         /* before at[0] */
	struct rule rule;
};

bool zone_is_name(const char *name)
{
	size_t len = strlen(name);
	bool begins = true; /* a part of the path */
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '/' ? begins : !isalnum((unsigned char)name[i]) && (begins || !strchr("_+-", name[i])))
			return false;
		begins = name[i] == '/';
	}
	return len > 0 && len <= ZONE_NAME_MAX && !begins;
}

const struct zone *zone_utc(void)
{
	static const struct zone utc = {.first = 0};
	return &utc;
}

/* ---- the rule at the end of the file: POSIX's TZ ---- */

static bool take(struct str *s, char c)
{
	if (s->len == 0 || s->ptr[0] != c)
		return false;
	*s = str_make(s->ptr + 1, s->len - 1);
	return true;
}

static bool take_number(struct str *s, int64_t max, int64_t *ret_value)
{
	int64_t n = 0;
	size_t i = 0;
	for (; i < s->len && i < 4 && isdigit((unsigned char)s->ptr[i]); i++)
		n = n * 10 + (s->ptr[i] - '0');
	*s = str_make(s->ptr + i, s->len - i);
	*ret_value = n;
	return i > 0 && n <= max;
}

/* "CET" or "<+0330>" */
static bool take_name(struct str *s)
{
	size_t i = 0;
	if (take(s, '<')) {
		while (i < s->len && s->ptr[i] != '>')
			i++;
		*s = str_make(s->ptr + i, s->len - i);
		return take(s, '>');
	}
	while (i < s->len && isalpha((unsigned char)s->ptr[i]))
		i++;
	*s = str_make(s->ptr + i, s->len - i);
	return i >= 3;
}

/* "[+-]hh[:mm[:ss]]" in seconds */
static bool take_time(struct str *s, int64_t *ret_seconds)
{
	int64_t h, m = 0, sec = 0;
	bool minus = take(s, '-');
	if (!minus)
		(void)take(s, '+');
	if (!take_number(s, 167, &h))
		return false;
	if (take(s, ':') && !take_number(s, 59, &m))
		return false;
	if (take(s, ':') && !take_number(s, 59, &sec))
		return false;
	*ret_seconds = (minus ? -1 : 1) * (h * 3600 + m * 60 + sec);
	return true;
}

static bool take_yearly(struct str *s, struct yearly *y)
{
	bool ok;
	*y = (struct yearly){.time = 2 * INT64_C(3600)};
	if (!take(s, ','))
		return false;
	if (take(s, 'M')) {
		ok = take_number(s, 12, &y->month) && y->month > 0 && take(s, '.') && take_number(s, 5, &y->week)
			&& y->week > 0 && take(s, '.') && take_number(s, 6, &y->day);
	} else {
		y->form = take(s, 'J') ? BY_DAY_BUT_FEB_29 : BY_DAY;
		ok = take_number(s, 365, &y->day) && (y->form == BY_DAY || y->day > 0);
	}
	return ok && (!take(s, '/') || take_time(s, &y->time));
}

/* What the text counts to the west. */
static bool take_offset(struct str *s, int32_t *ret_offset)
{
	int64_t west;
	if (!take_time(s, &west) || west > OFFSET_MAX || west < -OFFSET_MAX)
		return false;
	*ret_offset = (int32_t)-west;
	return true;
}

static bool read_rule(struct str text, struct rule *r)
{
	if (text.len == 0)
		return true;
	r->known = true;
	if (!take_name(&text) || !take_offset(&text, &r->winter))
		return false;
	if (text.len == 0)
		return true;
	r->has_summer = true;
	if (!take_name(&text))
		return false;
	r->summer = r->winter + 3600;
	if (text.len > 0 && text.ptr[0] != ',' && !take_offset(&text, &r->summer))
		return false;
	return take_yearly(&text, &r->to_summer) && take_yearly(&text, &r->to_winter) && text.len == 0;
}

/* ---- the file ---- */

static int64_t number(const char *p, size_t bytes)
{
	uint64_t v = 0;
	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | (unsigned char)p[i];
	return bytes == 4 ? (int32_t)(uint32_t)v : (int64_t)v;
}

struct counts {
	size_t ut, wall, leaps, changes, types, chars;
};

/* The counts of a block; false: there is none here. */
static bool read_counts(struct str s, struct counts *c)
{
	size_t *const all[] = {&c->ut, &c->wall, &c->leaps, &c->changes, &c->types, &c->chars};
	if (s.len < HEADER || memcmp(s.ptr, "TZif", 4) != 0)
		return false;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int64_t n = number(s.ptr + 20 + 4 * i, 4);
		if (n < 0 || n > COUNT_MAX)
			return false;
		*all[i] = (size_t)n;
	}
	return c->types > 0;
}

static size_t block_len(const struct counts *c, size_t time_len)
{
	return c->changes * (time_len + 1) + c->types * 6 + c->chars + c->leaps * (time_len + 4) + c->wall + c->ut;
}

static bool read_table(struct arena *a, const char *p, const struct counts *c, struct zone *z)
{
	const char *which = p + c->changes * 8, *types = which + c->changes;
	int64_t *at = arena_array(a, int64_t, c->changes);
	int32_t *offset = arena_array(a, int32_t, c->changes);
	for (size_t i = 0; i < c->types; i++)
		if (number(types + 6 * i, 4) > OFFSET_MAX || number(types + 6 * i, 4) < -OFFSET_MAX)
			return false;
	for (size_t i = 0; i < c->changes; i++) {
		size_t type = (unsigned char)which[i];
		at[i] = number(p + 8 * i, 8);
		if (type >= c->types || (i > 0 && at[i] <= at[i - 1]) || at[i] > TIME_MAX || at[i] < -TIME_MAX)
			return false;
		offset[i] = (int32_t)number(types + 6 * type, 4);
	}
	z->n = c->changes;
	z->at = at;
	z->offset = offset;
	z->first = (int32_t)number(types, 4);
	return true;
}

/* The second block has the times in 64 bits, and the rule stands behind it. */
static bool read_file(struct arena *a, struct str s, struct zone *z)
{
	struct counts c;
	if (!read_counts(s, &c) || s.ptr[4] < '2')
		return false;
	size_t skip = HEADER + block_len(&c, 4);
	if (s.len < skip)
		return false;
	s = str_make(s.ptr + skip, s.len - skip);
	if (!read_counts(s, &c) || s.len < HEADER + block_len(&c, 8))
		return false;
	if (!read_table(a, s.ptr + HEADER, &c, z))
		return false;
	skip = HEADER + block_len(&c, 8);
	s = str_make(s.ptr + skip, s.len - skip);
	if (!take(&s, '\n'))
		return false;
	struct str text = str_cut(&s, '\n');
	return s.ptr != NULL && read_rule(text, &z->rule);
}

struct status zone_parse(struct arena *a, struct str file, const struct zone **ret_zone)
{
	struct zone *z = arena_new(a, struct zone);
	if (file.len > ZONE_FILE_MAX || !read_file(a, file, z))
		return status_err(ST_INVALID_ARGUMENT, "this is no time zone file (TZif of version 2 or later)");
	*ret_zone = z;
	return status_ok();
}

/* ---- looking up ---- */

/* The instant of a yearly change; `offset` is what holds before it. */
static int64_t instant_of(const struct yearly *y, int64_t year, int32_t offset)
{
	int64_t day = date_to_days(year, 1, 1) + y->day;
	if (y->form == BY_DAY_BUT_FEB_29) {
		bool behind_leap_day = y->day >= 60 && date_days_in_month(year, 2) == 29;
		day += behind_leap_day ? 0 : -1;
	} else if (y->form == BY_WEEKDAY) {
		int64_t first = date_to_days(year, y->month, 1), last = first + date_days_in_month(year, y->month) - 1;
		int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
		day = first + (y->day - weekday + 7) % 7 + 7 * (y->week - 1);
		if (day > last)
			day -= 7;
	}
	return day * DAY + y->time - offset;
}

static int64_t year_of(int64_t at)
{
	int64_t year, month, day, days = at / DAY - (at % DAY < 0);
	date_from_days(days, &year, &month, &day);
	return year;
}

static int32_t rule_offset(const struct rule *r, int64_t at)
{
	if (!r->has_summer)
		return r->winter;
	int64_t year = year_of(at + r->winter);
	int64_t begin = instant_of(&r->to_summer, year, r->winter), end = instant_of(&r->to_winter, year, r->summer);
	bool summer = begin < end ? begin <= at && at < end : !(end <= at && at < begin);
	return summer ? r->summer : r->winter;
}

static int64_t rule_next(const struct rule *r, int64_t at)
{
	int64_t next = INT64_MAX;
	if (!r->known || !r->has_summer)
		return next;
	int64_t year = year_of(at);
	for (int64_t y = year - 1; y <= year + 1; y++) {
		const int64_t both[] = {instant_of(&r->to_summer, y, r->winter), instant_of(&r->to_winter, y, r->summer)};
		for (size_t i = 0; i < 2; i++)
			if (both[i] > at && both[i] < next && rule_offset(r, both[i]) != rule_offset(r, both[i] - 1))
				next = both[i];
	}
	return next;
}

/* How many changes of the table lie at or before `at`. */
static size_t passed(const struct zone *z, int64_t at)
{
	size_t low = 0, high = z->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (z->at[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int32_t zone_offset(const struct zone *z, int64_t at)
{
	size_t n = passed(z, at);
	if (n == z->n && z->rule.known)
		return rule_offset(&z->rule, at);
	return n == 0 ? z->first : z->offset[n - 1];
}

int64_t zone_next_change(const struct zone *z, int64_t at)
{
	int32_t now = zone_offset(z, at);
	for (size_t i = passed(z, at); i < z->n; i++)
		if (zone_offset(z, z->at[i]) != now)
			return z->at[i];
	return rule_next(&z->rule, z->n > 0 && z->at[z->n - 1] > at ? z->at[z->n - 1] : at);
}
