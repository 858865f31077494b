#include "cli/text.h"
#include "base/arena.h"
#include "base/duration.h"

/* ---- characters ---- */

/* The character at s, which is valid UTF-8, and its bytes. */
static uint32_t character(struct str s, size_t *ret_len)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	*ret_len = len;
	return c;
}

static bool is_wide(uint32_t c)
{
	static const uint32_t ranges[][2] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3},
		{0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6},
		{0x1f300, 0x1f64f}, {0x1f680, 0x1faff}, {0x20000, 0x3fffd}};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

static size_t columns_of(uint32_t c)
{
	if ((c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f))
		return 0;
	return is_wide(c) ? 2 : 1;
}

/* C0, DEL, C1, and what turns the direction of the line around. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
}

size_t text_width(struct str s)
{
	size_t width = 0, len;
	for (size_t i = 0; i < s.len; i += len)
		width += columns_of(character(str_make(s.ptr + i, s.len - i), &len));
	return width;
}

static void clean_valid(struct buf *b, struct str s, bool lines)
{
	size_t len;
	for (size_t i = 0; i < s.len; i += len) {
		uint32_t c = character(str_make(s.ptr + i, s.len - i), &len);
		if (!is_control(c) || (lines && (c == '\n' || c == '\t')))
			buf_add(b, s.ptr + i, len);
		else if (b->len > 0 && b->ptr[b->len - 1] != ' ')
			buf_addc(b, ' ');
	}
}

void text_clean(struct buf *b, struct str s, bool lines)
{
	while (s.len) {
		size_t valid = str_utf8_valid_upto(s);
		clean_valid(b, str_make(s.ptr, valid), lines);
		if (valid == s.len)
			return;
		buf_adds(b, "\xef\xbf\xbd");
		s = str_make(s.ptr + valid + 1, s.len - valid - 1);
	}
}

void text_escape(struct buf *b, struct str json)
{
	size_t len;
	for (size_t i = 0; i < json.len; i += len) {
		uint32_t c = character(str_make(json.ptr + i, json.len - i), &len);
		if (c >= 0x7f && is_control(c))
			buf_fmt(b, "\\u%04x", (unsigned)c);
		else
			buf_add(b, json.ptr + i, len);
	}
}

char *text_line(struct arena *a, const char *s)
{
	struct buf b = {0};
	text_clean(&b, str_of(s), false);
	char *line = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return line;
}

void text_cut(struct buf *b, struct str s, size_t columns, bool utf8)
{
	size_t width = 0, len, i = 0;
	if (text_width(s) <= columns) {
		buf_add_str(b, s);
		return;
	}
	if (columns == 0)
		return;
	for (; i < s.len; i += len) {
		width += columns_of(character(str_make(s.ptr + i, s.len - i), &len));
		if (width > columns - 1)
			break;
	}
	buf_add(b, s.ptr, i);
	buf_adds(b, utf8 ? "\xe2\x80\xa6" : "~");
}

void text_pad(struct buf *b, size_t columns)
{
	while (columns-- > 0)
		buf_addc(b, ' ');
}

/* ---- time ---- */

static const struct {
	int64_t seconds;
	const char *name;
} units[] = {{365 * 86400, "year"}, {30 * 86400, "month"}, {7 * 86400, "week"}, {86400, "day"},
	{3600, "hour"}, {60, "minute"}, {1, "second"}};

char *text_age(struct arena *a, int64_t now_us, int64_t then_us)
{
	if (then_us == 0)
		return arena_strdup(a, "");
	int64_t us = now_us - then_us;
	bool future = us < 0;
	int64_t seconds = future ? (999999 - us) / 1000000 : us / 1000000; /* what was made to last a day has one left */
	size_t i = 0;
	if (seconds == 0)
		return arena_strdup(a, "just now");
	while (seconds < units[i].seconds ||
		(units[i].seconds == 7 * 86400 && seconds < 14 * 86400)) /* "10 days", not "1 week" */
		i++;
	int64_t n = seconds / units[i].seconds;
	return arena_fmt(a, "%s%lld %s%s%s", future ? "in " : "", (long long)n, units[i].name,
		n == 1 ? "" : "s", future ? "" : " ago");
}

char *text_span(struct arena *a, uint64_t ms)
{
	unsigned long long s = ms / 1000;
	if (s < 60)
		return arena_fmt(a, "%llu.%llus", s, (unsigned long long)(ms % 1000 / 100));
	if (s < 3600)
		return arena_fmt(a, "%llum%02llus", s / 60, s % 60);
	return arena_fmt(a, "%lluh%02llum", s / 3600, s % 3600 / 60);
}

bool text_parse_span(const char *s, uint64_t *ret_ms)
{
	struct str text = str_of(s);
	uint64_t days;
	int64_t ns;
	if (text.len > 1 && text.ptr[text.len - 1] == 'd') {
		if (!str_to_u64(str_make(text.ptr, text.len - 1), &days) || days > 36500)
			return false;
		*ret_ms = days * 86400 * 1000;
		return true;
	}
	if (!duration_parse(text, &ns) || ns < 0)
		return false;
	*ret_ms = (uint64_t)ns / 1000000;
	return true;
}

/* ---- distance ---- */

#define DISTANCE_MAX 40 /* longer names are near nothing */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned text_distance(const char *from, const char *to)
{
	unsigned rows[3][DISTANCE_MAX + 1];
	size_t n = strlen(from), m = strlen(to);
	if (n > DISTANCE_MAX || m > DISTANCE_MAX)
		return UINT32_MAX;
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned cost = from[i - 1] != to[j - 1];
			row[j] = least(above[j - 1] + cost, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
				row[j] = least(row[j], above2[j - 2] + 1);
		}
	}
	return rows[n % 3][m];
}
