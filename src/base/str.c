#include "base/str.h"
#include <endian.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"

int str_cmp(struct str a, struct str b)
{
	size_t shorter = a.len < b.len ? a.len : b.len;
	int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

bool str_starts(struct str s, const char *prefix)
{
	size_t len = strlen(prefix);
	return s.len >= len && str_eq((struct str){s.ptr, len}, (struct str){prefix, len});
}

bool str_ends(struct str s, const char *suffix)
{
	size_t len = strlen(suffix);
	if (s.len < len)
		return false;
	if (len == 0)
		return true;
	return str_eq((struct str){s.ptr + (s.len - len), len}, (struct str){suffix, len});
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
	while (s.len && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct str str_cut(struct str *s, char sep)
{
	struct str whole = *s;
	const char *at = whole.len ? memchr(whole.ptr, sep, whole.len) : NULL;
	if (!at) {
		*s = (struct str){NULL, 0};
		return whole;
	}
	size_t before = (size_t)(at - whole.ptr);
	*s = (struct str){at + 1, whole.len - before - 1};
	return (struct str){whole.ptr, before};
}

char *str_dup(struct arena *a, struct str s)
{
	return arena_strndup(a, s.ptr, s.len);
}

#define ONES 0x0101010101010101U

/* The lowest top bit that is set is that of the first zero byte; borrows set others only above it. */
static uint64_t zero_bytes(uint64_t w)
{
	return (w - ONES) & ~w;
}

/* The same for bytes that are not plain. */
static uint64_t odd_bytes(uint64_t w, unsigned char least)
{
	return (w | (w - ONES * least) | (w + ONES) | zero_bytes(w ^ ONES * '"') | zero_bytes(w ^ ONES * '\\')) & ONES << 7;
}

size_t str_plain_upto(struct str s, unsigned char least)
{
	size_t n = 0;
	for (uint64_t w; s.len - n >= sizeof(w); n += sizeof(w)) {
		memcpy(&w, s.ptr + n, sizeof(w));
		uint64_t odd = odd_bytes(le64toh(w), least);
		if (odd)
			return n + (size_t)__builtin_ctzll(odd) / 8;
	}
	while (n < s.len && (unsigned char)s.ptr[n] >= least && (unsigned char)s.ptr[n] < 0x7f && s.ptr[n] != '"' &&
		s.ptr[n] != '\\')
		n++;
	return n;
}

/* ---- numbers ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool str_to_u64(struct str s, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.ptr[i]) || __builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value))
			return false;
	}
	*ret_value = value;
	return true;
}

bool str_to_i64(struct str s, int64_t *ret_value)
{
	uint64_t value;
	bool negative = s.len && s.ptr[0] == '-';
	if (s.len && (negative || s.ptr[0] == '+')) {
		s.ptr++;
		s.len--;
	}
	if (!str_to_u64(s, &value) || value > (uint64_t)INT64_MAX + negative)
		return false;
	if (!negative)
		*ret_value = (int64_t)value;
	else if (value > INT64_MAX)
		*ret_value = INT64_MIN;
	else
		*ret_value = -(int64_t)value;
	return true;
}

static size_t digits_at(struct str s, size_t at)
{
	size_t from = at;
	while (at < s.len && is_digit(s.ptr[at]))
		at++;
	return at - from;
}

static size_t sign_at(struct str s, size_t at)
{
	return at < s.len && (s.ptr[at] == '+' || s.ptr[at] == '-');
}

/* [sign] digits [. digits] [e [sign] digits], at least one digit around the point */
static bool is_decimal(struct str s)
{
	size_t at = sign_at(s, 0);
	size_t digits = digits_at(s, at);
	at += digits;
	if (at < s.len && s.ptr[at] == '.') {
		size_t fraction = digits_at(s, at + 1);
		at += 1 + fraction;
		digits += fraction;
	}
	if (digits == 0)
		return false;
	if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
		at += 1 + sign_at(s, at + 1);
		size_t exponent = digits_at(s, at);
		if (exponent == 0)
			return false;
		at += exponent;
	}
	return at == s.len;
}

bool str_to_double(struct str s, double *ret_value)
{
	if (!is_decimal(s))
		return false;
	/* strtod_l: the process's locale may write a comma. glibc's "C" locale is static, so this
	 * allocates nothing. */
	locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c_locale)
		mem_abort("newlocale failed");
	char small[64];
	char *text = s.len < sizeof(small) ? small : mem_alloc(s.len + 1);
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	double value = strtod_l(text, NULL, c_locale);
	if (text != small)
		free(text);
	freelocale(c_locale);
	if (!isfinite(value))
		return false;
	*ret_value = value;
	return true;
}

const char *str_real(char ret_text[STR_REAL_MAX], double v)
{
	double back = 0;
	int digits = 0;
	do
		(void)snprintf(ret_text, STR_REAL_MAX, "%.*e", digits++, v);
	while (digits < 17 && !(str_to_double(str_of(ret_text), &back) && back == v));
	const char *e = strchr(ret_text, 'e');
	long exponent = e ? strtol(e + 1, NULL, 10) : 0;
	if (exponent >= -4 && exponent < 6)
		(void)snprintf(ret_text, STR_REAL_MAX, "%.*f",
			digits - 1 > exponent ? digits - 1 - (int)exponent : 0, v);
	return ret_text;
}

/* ---- UTF-8 ---- */

/* Length of the character that starts at p (left > 0 bytes there); 0 when it is malformed, too
 * long a form, a surrogate, above U+10FFFF or cut off. RFC 3629 §4. */
static size_t utf8_char(const unsigned char *p, size_t left)
{
	unsigned char lead = p[0];
	if (lead < 0x80)
		return 1;
	size_t len = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
	if (len == 0 || left < len)
		return 0;
	unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

size_t str_utf8_valid_upto(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t at = 0;
	while (at < s.len) {
		uint64_t word;
		if (s.len - at >= sizeof(word)) { /* eight ASCII characters at once */
			memcpy(&word, p + at, sizeof(word));
			if (!(word & 0x8080808080808080u)) {
				at += sizeof(word);
				continue;
			}
		}
		size_t len = utf8_char(p + at, s.len - at);
		if (len == 0)
			return at;
		at += len;
	}
	return at;
}

static void add_replacement(struct buf *b)
{
	buf_adds(b, "\xef\xbf\xbd"); /* U+FFFD */
}

void buf_add_lossy(struct buf *b, struct str bytes)
{
	while (bytes.len) {
		size_t good = str_utf8_valid_upto(bytes);
		struct str text = {bytes.ptr, good};
		for (;;) {
			buf_add_str(b, str_cut(&text, '\0'));
			if (!text.ptr)
				break;
			add_replacement(b);
		}
		if (good == bytes.len)
			return;
		add_replacement(b);
		bytes.ptr += good + 1;
		bytes.len -= good + 1;
	}
}

char *str_lossy(struct arena *a, struct str bytes)
{
	struct buf b = {0};
	buf_add_lossy(&b, bytes);
	char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

/* ---- buf ---- */

void buf_finish(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf){0};
}

void buf_grow(struct buf *b, size_t extra)
{
	size_t need;
	if (__builtin_add_overflow(b->len, extra, &need) || need >= PTRDIFF_MAX)
		mem_abort("buffer too large");
	need++; /* the NUL */
	size_t cap = b->cap < PTRDIFF_MAX / 2 ? b->cap * 2 : need;
	if (cap < need)
		cap = need;
	if (cap < 64)
		cap = 64;
	b->ptr = mem_realloc(b->ptr, cap);
	b->cap = cap;
	b->ptr[b->len] = '\0';
}

void buf_add_u64(struct buf *b, uint64_t value)
{
	char digits[24], *end = digits + sizeof(digits), *p = end;
	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	buf_add(b, p, (size_t)(end - p));
}

void buf_add_i64(struct buf *b, int64_t value)
{
	if (value < 0)
		buf_addc(b, '-');
	buf_add_u64(b, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void buf_add_digits(struct buf *b, uint64_t value, unsigned width)
{
	buf_reserve(b, width);
	for (unsigned i = width; i > 0; i--, value /= 10)
		b->ptr[b->len + i - 1] = (char)('0' + value % 10);
	b->len += width;
	b->ptr[b->len] = '\0';
}

void buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	buf_reserve(b, 64);
	int len = vsnprintf(b->ptr + b->len, b->cap - b->len, fmt, ap);
	if (len < 0)
		mem_abort("vsnprintf failed");
	if ((size_t)len >= b->cap - b->len) {
		buf_reserve(b, (size_t)len);
		(void)vsnprintf(b->ptr + b->len, b->cap - b->len, fmt, again);
	}
	va_end(again);
	b->len += (size_t)len;
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void buf_drop(struct buf *b, size_t n)
{
	if (n > b->len)
		mem_abort("buf_drop: more than there is");
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->ptr, b->ptr + n, b->len);
	b->ptr[b->len] = '\0';
}
