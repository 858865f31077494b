/* str_codec: the hex and base64 half of str.h. */
#include "base/str.h"
#include "base/arena.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

char *str_hex(struct arena *a, const void *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = p;
	char *text = arena_alloc(a, len * 2 + 1);
	for (size_t i = 0; i < len; i++) {
		text[i * 2] = digits[bytes[i] >> 4];
		text[i * 2 + 1] = digits[bytes[i] & 15];
	}
	text[len * 2] = '\0';
	return text;
}

bool str_unhex(struct arena *a, struct str s, struct str *ret_bytes)
{
	if (s.len % 2 != 0)
		return false;
	char *bytes = arena_alloc(a, s.len / 2 + 1);
	for (size_t i = 0; i < s.len / 2; i++) {
		int high = hex_value(s.ptr[i * 2]), low = hex_value(s.ptr[i * 2 + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[i] = (char)(high << 4 | low);
	}
	bytes[s.len / 2] = '\0';
	*ret_bytes = (struct str){bytes, s.len / 2};
	return true;
}

#define BASE64_COMMON "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static char *base64_encode(
	struct arena *a, const unsigned char *p, size_t len, const char *alphabet, bool pad)
{
	char *text = arena_alloc(a, len / 3 * 4 + 5);
	size_t out = 0;
	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		unsigned word = (unsigned)p[i] << 16;
		if (have > 1)
			word |= (unsigned)p[i + 1] << 8;
		if (have > 2)
			word |= p[i + 2];
		for (size_t c = 0; c < 4; c++) {
			if (c <= have)
				text[out++] = alphabet[word >> (18 - 6 * c) & 63];
			else if (pad)
				text[out++] = '=';
		}
	}
	text[out] = '\0';
	return text;
}

char *str_base64(struct arena *a, const void *p, size_t len)
{
	return base64_encode(a, p, len, BASE64_COMMON "+/", true);
}

char *str_base64url(struct arena *a, const void *p, size_t len)
{
	return base64_encode(a, p, len, BASE64_COMMON "-_", false);
}

/* -1 = in neither alphabet; `last2` collects which alphabet's two last characters were seen */
static int base64_value(char c, unsigned *last2)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '/')
		*last2 |= 1;
	else if (c == '-' || c == '_')
		*last2 |= 2;
	else
		return -1;
	return c == '+' || c == '-' ? 62 : 63;
}

bool str_unbase64(struct arena *a, struct str s, struct str *ret_bytes)
{
	size_t padding = 0;
	while (padding < 2 && padding < s.len && s.ptr[s.len - 1 - padding] == '=')
		padding++;
	if (padding && s.len % 4 != 0)
		return false;
	s.len -= padding;
	if (s.len % 4 == 1)
		return false;

	char *bytes = arena_alloc(a, s.len / 4 * 3 + 4);
	size_t out = 0;
	unsigned word = 0, bits = 0, last2 = 0;
	for (size_t i = 0; i < s.len; i++) {
		int value = base64_value(s.ptr[i], &last2);
		if (value < 0)
			return false;
		word = word << 6 | (unsigned)value;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			bytes[out++] = (char)(word >> bits & 0xff);
		}
	}
	/* Left-over bits must be zero, so that no two texts of one form mean the same bytes. */
	if ((word & ((1u << bits) - 1)) != 0 || last2 == 3)
		return false;
	bytes[out] = '\0';
	*ret_bytes = (struct str){bytes, out};
	return true;
}
