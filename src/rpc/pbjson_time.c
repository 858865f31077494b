#include "rpc/pbjson.h"
#include <stdlib.h>

#define DAY          86400
#define TIME_MIN     (-INT64_C(62135596800)) /* 0001-01-01T00:00:00Z */
#define TIME_MAX     INT64_C(253402300799)   /* 9999-12-31T23:59:59Z */
#define DURATION_MAX INT64_C(315576000000)
#define NANOS        1000000000

/* ---- the calendar, proleptic Gregorian (days since 1970-01-01; years begin in March) ---- */

static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (int64_t)(m > 2 ? m - 3 : m + 9) + 2) / 5 + (int64_t)d - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *ret_y, unsigned *ret_m, unsigned *ret_d)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t of_era = days - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;
	*ret_d = (unsigned)(of_year - (153 * month + 2) / 5 + 1);
	*ret_m = (unsigned)(month < 10 ? month + 3 : month - 9);
	*ret_y = year + era * 400 + (*ret_m <= 2);
}

static unsigned month_length(int64_t y, unsigned m)
{
	static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	return m == 2 && leap ? 29 : lengths[m - 1];
}

/* ---- reading ---- */

/* Exactly so many digits at the front of *s, which it leaves. */
static bool digits(struct str *s, size_t n, unsigned *ret_value)
{
	unsigned v = 0;
	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->ptr[i] < '0' || s->ptr[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s->ptr[i] - '0');
	}
	*s = str_make(s->ptr + n, s->len - n);
	*ret_value = v;
	return true;
}

static bool skip(struct str *s, const char *set)
{
	if (s->len == 0 || !strchr(set, s->ptr[0]) || s->ptr[0] == '\0')
		return false;
	*s = str_make(s->ptr + 1, s->len - 1);
	return true;
}

/* ".5", up to nine digits; nothing is nothing. */
static bool fraction(struct str *s, int32_t *ret_nanos)
{
	int32_t v = 0;
	size_t n = 0;
	*ret_nanos = 0;
	if (!skip(s, "."))
		return true;
	for (; n < 9 && n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++)
		v = v * 10 + (s->ptr[n] - '0');
	for (size_t i = n; i < 9; i++)
		v *= 10;
	*s = str_make(s->ptr + n, s->len - n);
	*ret_nanos = v;
	return n > 0;
}

/* "Z", "+01:00" */
static bool zone(struct str *s, int64_t *ret_seconds)
{
	unsigned h, m;
	*ret_seconds = 0;
	if (skip(s, "Z"))
		return true;
	int64_t sign = s->len && s->ptr[0] == '-' ? -1 : 1;
	if (!skip(s, "+-") || !digits(s, 2, &h) || !skip(s, ":") || !digits(s, 2, &m) || h > 23 ||
		m > 59)
		return false;
	*ret_seconds = sign * (h * 3600 + m * 60);
	return true;
}

bool pbjson_read_timestamp(struct str s, int64_t *ret_seconds, int32_t *ret_nanos)
{
	unsigned y, mo, d, h, mi, se;
	int64_t off;
	if (!digits(&s, 4, &y) || !skip(&s, "-") || !digits(&s, 2, &mo) || !skip(&s, "-") ||
		!digits(&s, 2, &d) || !skip(&s, "T") || !digits(&s, 2, &h) || !skip(&s, ":") ||
		!digits(&s, 2, &mi) || !skip(&s, ":") || !digits(&s, 2, &se) ||
		!fraction(&s, ret_nanos) || !zone(&s, &off) || s.len > 0)
		return false;
	if (y < 1 || mo < 1 || mo > 12 || d < 1 || d > month_length(y, mo) || h > 23 || mi > 59 ||
		se > 59)
		return false;
	*ret_seconds = days_of(y, mo, d) * DAY + h * 3600 + mi * 60 + se - off;
	return *ret_seconds >= TIME_MIN && *ret_seconds <= TIME_MAX;
}

bool pbjson_read_duration(struct str s, int64_t *ret_seconds, int32_t *ret_nanos)
{
	bool minus = skip(&s, "-");
	size_t n = 0;
	while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
		n++;
	if (n == 0 || n > 12 || !str_to_i64(str_make(s.ptr, n), ret_seconds))
		return false;
	s = str_make(s.ptr + n, s.len - n);
	if (!fraction(&s, ret_nanos) || !str_is(s, "s") || *ret_seconds > DURATION_MAX)
		return false;
	if (minus) {
		*ret_seconds = -*ret_seconds;
		*ret_nanos = -*ret_nanos;
	}
	return true;
}

/* ---- writing ---- */

/* None, three, six or nine digits. */
static void put_fraction(struct buf *b, int32_t nanos)
{
	if (nanos == 0)
		return;
	buf_addc(b, '.');
	if (nanos % 1000000 == 0)
		buf_add_digits(b, (uint64_t)nanos / 1000000, 3);
	else if (nanos % 1000 == 0)
		buf_add_digits(b, (uint64_t)nanos / 1000, 6);
	else
		buf_add_digits(b, (uint64_t)nanos, 9);
}

/* What lies outside is given as the first or last moment inside. */
void pbjson_put_timestamp(struct buf *b, int64_t seconds, int32_t nanos)
{
	int64_t y;
	unsigned m, d;
	seconds = seconds < TIME_MIN ? TIME_MIN : seconds > TIME_MAX ? TIME_MAX : seconds;
	nanos = nanos < 0 ? 0 : nanos >= NANOS ? NANOS - 1 : nanos;
	int64_t days = seconds / DAY - (seconds % DAY < 0), rest = seconds - days * DAY;
	date_of(days, &y, &m, &d);
	const struct {
		char before;
		uint64_t value;
		unsigned width;
	} parts[] = {{'"', (uint64_t)y, 4}, {'-', m, 2}, {'-', d, 2}, {'T', (uint64_t)rest / 3600, 2},
		{':', (uint64_t)rest / 60 % 60, 2}, {':', (uint64_t)rest % 60, 2}};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		buf_addc(b, parts[i].before);
		buf_add_digits(b, parts[i].value, parts[i].width);
	}
	put_fraction(b, nanos);
	buf_adds(b, "Z\"");
}

void pbjson_put_duration(struct buf *b, int64_t seconds, int32_t nanos)
{
	bool minus = seconds < 0 || nanos < 0;
	buf_adds(b, minus ? "\"-" : "\"");
	buf_add_u64(b, seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds);
	put_fraction(b, (nanos < 0 ? -(nanos % NANOS) : nanos % NANOS));
	buf_adds(b, "s\"");
}
