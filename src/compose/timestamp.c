/* timestamp: the scalars that docker's YAML library reads as points in time, and what Go prints for
 * them: 2024-01-01 → "2024-01-01 00:00:00 +0000 UTC". */
#include "compose/node.h"
#include <ctype.h>
#include <string.h>

struct cursor {
	const char *p;
	bool failed;
};

static int number(struct cursor *c, int least, int most)
{
	int n = 0, v = 0;
	for (; n < most && isdigit((unsigned char)*c->p); n++)
		v = v * 10 + (*c->p++ - '0');
	c->failed |= n < least;
	return v;
}

static void expect(struct cursor *c, char want)
{
	if (*c->p == want)
		c->p++;
	else
		c->failed = true;
}

static int days(int year, int month)
{
	static const int of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month == 2 && leap ? 29 : month >= 1 && month <= 12 ? of[month - 1] : 0;
}

/* Z or ±hh:mm */
static const char *zone(struct arena *a, struct cursor *c)
{
	if (*c->p == 'Z') {
		c->p++;
		return "+0000 UTC";
	}
	char sign = *c->p;
	if (sign != '+' && sign != '-') {
		c->failed = true;
		return "";
	}
	c->p++;
	int hours = number(c, 2, 2);
	expect(c, ':');
	int minutes = number(c, 2, 2);
	c->failed |= hours > 24 || minutes > 60;
	if (hours == 0 && minutes == 0)
		return "+0000 +0000";
	return arena_fmt(a, "%c%02d%02d %c%02d%02d", sign, hours, minutes, sign, hours, minutes);
}

/* ".10" → ".1", ".0" → "" */
static const char *fraction(struct arena *a, struct cursor *c)
{
	if (*c->p != '.')
		return "";
	size_t len = strspn(c->p + 1, "0123456789");
	const char *digits = c->p + 1;
	c->failed |= len == 0;
	c->p += 1 + len;
	len = len > 9 ? 9 : len;
	while (len && digits[len - 1] == '0')
		len--;
	return len ? arena_fmt(a, ".%.*s", (int)len, digits) : "";
}

const char *timestamp_text(struct arena *a, const char *text)
{
	struct cursor c = {.p = text};
	int year = number(&c, 4, 4);
	expect(&c, '-');
	int month = number(&c, 1, 2);
	expect(&c, '-');
	int day = number(&c, 1, 2);
	if (c.failed || day < 1 || day > days(year, month))
		return NULL;
	if (!*c.p)
		return arena_fmt(a, "%04d-%02d-%02d 00:00:00 +0000 UTC", year, month, day);
	char between = *c.p++;
	if (!strchr("Tt ", between))
		return NULL;
	int hour = number(&c, 1, 2);
	expect(&c, ':');
	int minute = number(&c, 1, 2);
	expect(&c, ':');
	int second = number(&c, 1, 2);
	const char *rest = fraction(a, &c);
	const char *offset = between == ' ' ? "+0000 UTC" : zone(a, &c);
	if (c.failed || *c.p || hour > 23 || minute > 59 || second > 59)
		return NULL;
	return arena_fmt(a, "%04d-%02d-%02d %02d:%02d:%02d%s %s", year, month, day, hour, minute,
		second, rest, offset);
}
