#include "base/duration.h"
#include <stddef.h>
#include "base/arena.h"

/* 2^63: one more than the largest duration; the negative side reaches it. */
#define LIMIT (UINT64_C(1) << 63)

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\xc2\xb5s", 1000}, /* U+00B5, micro sign */
	{"\xce\xbcs", 1000}, /* U+03BC, the Greek letter */
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", UINT64_C(60) * 1000000000},
	{"h", UINT64_C(3600) * 1000000000},
};

static bool at_digit(struct str s)
{
	return s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9';
}

static unsigned take_byte(struct str *s)
{
	s->len--;
	return (unsigned char)*s->ptr++;
}

static bool take_whole(struct str *s, uint64_t *ret_value)
{
	uint64_t value = 0;
	while (at_digit(*s)) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, take_byte(s) - '0', &value) || value > LIMIT)
			return false;
	}
	*ret_value = value;
	return true;
}

/* The fraction is *ret_value / *ret_scale; digits that no longer fit are dropped. */
static void take_fraction(struct str *s, uint64_t *ret_value, double *ret_scale)
{
	uint64_t value = 0;
	double scale = 1;
	bool full = false;
	while (at_digit(*s)) {
		unsigned digit = take_byte(s) - '0';
		full = full || value > (LIMIT - 1) / 10 || value * 10 + digit > LIMIT;
		if (full)
			continue;
		value = value * 10 + digit;
		scale *= 10;
	}
	*ret_value = value;
	*ret_scale = scale;
}

static const struct unit *take_unit(struct str *s)
{
	struct str name = {s->ptr, 0};
	while (s->len && s->ptr[0] != '.' && !at_digit(*s)) {
		take_byte(s);
		name.len++;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (str_is(name, units[i].name))
			return &units[i];
	}
	return NULL;
}

/* One number with its unit: "1.5h", "2.s", ".5m". */
static bool take_part(struct str *s, uint64_t *ret_ns)
{
	uint64_t whole, fraction = 0, ns;
	double scale = 1;
	bool digits = at_digit(*s);
	if (!take_whole(s, &whole))
		return false;
	if (s->len && s->ptr[0] == '.') {
		take_byte(s);
		digits = digits || at_digit(*s);
		take_fraction(s, &fraction, &scale);
	}
	const struct unit *unit = digits ? take_unit(s) : NULL;
	if (!unit || __builtin_mul_overflow(whole, unit->ns, &ns) || ns > LIMIT)
		return false;
	if (fraction > 0)
		ns += (uint64_t)((double)fraction * ((double)unit->ns / scale));
	*ret_ns = ns;
	return ns <= LIMIT;
}

bool duration_parse(struct str s, int64_t *ret_ns)
{
	bool negative = s.len && s.ptr[0] == '-';
	if (s.len && (negative || s.ptr[0] == '+'))
		take_byte(&s);
	if (s.len == 0)
		return false;
	uint64_t total = 0;
	if (str_is(s, "0"))
		s.len = 0;
	while (s.len) {
		uint64_t part;
		if (!take_part(&s, &part) || __builtin_add_overflow(total, part, &total) ||
			total > LIMIT)
			return false;
	}
	if (total == LIMIT && !negative)
		return false;
	*ret_ns = negative ? (int64_t)(0 - total) : (int64_t)total;
	return true;
}

/* value / scale in decimal, without zeros at the end: "1.5" */
static void add_decimal(struct buf *b, uint64_t value, uint64_t scale)
{
	buf_fmt(b, "%llu", (unsigned long long)(value / scale));
	uint64_t rest = value % scale;
	if (rest == 0)
		return;
	buf_addc(b, '.');
	while (rest) {
		scale /= 10;
		buf_addc(b, (char)('0' + rest / scale));
		rest %= scale;
	}
}

char *duration_text(struct arena *a, int64_t ns)
{
	uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	const uint64_t second = 1000000000, minute = 60 * second, hour = 60 * minute;
	struct buf b = {0};
	if (ns < 0)
		buf_addc(&b, '-');
	if (left == 0) {
		buf_adds(&b, "0s");
	} else if (left < 1000) {
		buf_fmt(&b, "%uns", (unsigned)left);
	} else if (left < second) {
		bool micro = left < 1000000;
		add_decimal(&b, left, micro ? 1000 : 1000000);
		buf_adds(&b, micro ? "µs" : "ms");
	} else {
		if (left >= hour)
			buf_fmt(&b, "%lluh", (unsigned long long)(left / hour));
		if (left >= minute)
			buf_fmt(&b, "%um", (unsigned)(left / minute % 60));
		add_decimal(&b, left % minute, second);
		buf_addc(&b, 's');
	}
	char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}
