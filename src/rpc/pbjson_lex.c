#include "rpc/pbjson_lex.h"
#include "base/arena.h"

static void spaces(struct lex *l)
{
	while (l->at < l->end &&
		(*l->at == ' ' || *l->at == '\t' || *l->at == '\n' || *l->at == '\r'))
		l->at++;
}

bool lex_take(struct lex *l, char c)
{
	spaces(l);
	if (l->at == l->end || *l->at != c)
		return false;
	l->at++;
	return true;
}

bool lex_at_end(struct lex *l)
{
	spaces(l);
	return l->at == l->end;
}

static struct lex_token bad(struct lex *l, const char *what)
{
	l->wrong = what;
	return (struct lex_token){.kind = LEX_BAD};
}

/* ---- strings ---- */

static bool hex4(struct lex *l, unsigned *ret_value)
{
	unsigned v = 0;
	if (l->end - l->at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *l->at++;
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
							: 16;
		if (digit > 15)
			return false;
		v = v << 4 | digit;
	}
	*ret_value = v;
	return true;
}

static char *put_utf8(char *p, unsigned c)
{
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*p++ = (char)(0xe0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	} else {
		*p++ = (char)(0xf0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 0x3f));
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	}
	return p;
}

/* Behind "\u"; two halves make one character. NULL: not one. */
static char *unicode(struct lex *l, char *p)
{
	unsigned c, low;
	if (!hex4(l, &c) || c == 0 || (c >= 0xdc00 && c < 0xe000))
		return NULL;
	if (c >= 0xd800 && c < 0xdc00) {
		if (l->end - l->at < 2 || l->at[0] != '\\' || l->at[1] != 'u')
			return NULL;
		l->at += 2;
		if (!hex4(l, &low) || low < 0xdc00 || low >= 0xe000)
			return NULL;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	return put_utf8(p, c);
}

static char *escape(struct lex *l, char *p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (l->at == l->end)
		return NULL;
	char c = *l->at++;
	if (c == 'u')
		return unicode(l, p);
	const char *found = c ? strchr(from, c) : NULL;
	if (!found)
		return NULL;
	*p++ = to[found - from];
	return p;
}

/* Behind the opening quote. What is decoded is never longer than what stands there. */
static struct lex_token string(struct lex *l)
{
	const char *close = l->at;
	while (close < l->end && *close != '"')
		close += *close == '\\' && l->end - close > 1 ? 2 : 1;
	if (close >= l->end)
		return bad(l, "a string does not end");
	char *text = arena_alloc(l->arena, (size_t)(close - l->at) + 1), *p = text;
	while (l->at < close) {
		unsigned char c = (unsigned char)*l->at++;
		if (c < 0x20)
			return bad(l, "a control character in a string must be escaped");
		if (c != '\\') {
			*p++ = (char)c;
			continue;
		}
		p = escape(l, p);
		if (!p)
			return bad(
				l, "a string has a wrong escape (\\u0000 and half characters too)");
	}
	l->at = close + 1;
	*p = '\0';
	struct str s = {text, (size_t)(p - text)};
	if (!str_is_utf8(s))
		return bad(l, "a string is not valid UTF-8");
	return (struct lex_token){LEX_STRING, s};
}

/* ---- numbers, words ---- */

static bool run(struct lex *l)
{
	const char *from = l->at;
	while (l->at < l->end && *l->at >= '0' && *l->at <= '9')
		l->at++;
	return l->at > from;
}

static struct lex_token number(struct lex *l)
{
	const char *from = l->at;
	if (l->at < l->end && *l->at == '-')
		l->at++;
	bool zero = l->at < l->end && *l->at == '0';
	const char *digits = l->at;
	bool fine = run(l) && !(zero && l->at - digits > 1);
	if (fine && l->at < l->end && *l->at == '.') {
		l->at++;
		fine = run(l);
	}
	if (fine && l->at < l->end && (*l->at == 'e' || *l->at == 'E')) {
		l->at++;
		if (l->at < l->end && (*l->at == '+' || *l->at == '-'))
			l->at++;
		fine = run(l);
	}
	if (!fine)
		return bad(l, "a number is malformed");
	return (struct lex_token){LEX_NUMBER, {from, (size_t)(l->at - from)}};
}

static struct lex_token word(struct lex *l, const char *text, enum lex_kind kind)
{
	size_t n = strlen(text);
	if ((size_t)(l->end - l->at) < n || memcmp(l->at, text, n) != 0)
		return bad(l, "a value is expected");
	l->at += n;
	return (struct lex_token){.kind = kind};
}

struct lex_token lex_next(struct lex *l)
{
	spaces(l);
	if (l->at == l->end)
		return bad(l, "the text ends too early");
	switch (*l->at) {
	case '{':
		l->at++;
		return (struct lex_token){.kind = LEX_OBJECT};
	case '[':
		l->at++;
		return (struct lex_token){.kind = LEX_ARRAY};
	case '"':
		l->at++;
		return string(l);
	case 't':
		return word(l, "true", LEX_TRUE);
	case 'f':
		return word(l, "false", LEX_FALSE);
	case 'n':
		return word(l, "null", LEX_NULL);
	}
	return number(l);
}

/* ---- skipping ---- */

static bool skip_members(struct lex *l, char close, unsigned depth)
{
	if (depth == 0) {
		l->wrong = "it is nested too deep";
		return false;
	}
	if (lex_take(l, close))
		return true;
	do {
		if (close == '}' && (lex_next(l).kind != LEX_STRING || !lex_take(l, ':'))) {
			l->wrong = "a member's name is expected";
			return false;
		}
		if (!lex_skip(l, depth - 1))
			return false;
	} while (lex_take(l, ','));
	l->wrong = "a comma or the closing bracket is expected";
	return lex_take(l, close);
}

bool lex_skip(struct lex *l, unsigned depth)
{
	struct lex_token t = lex_next(l);
	if (t.kind == LEX_OBJECT)
		return skip_members(l, '}', depth);
	if (t.kind == LEX_ARRAY)
		return skip_members(l, ']', depth);
	return t.kind != LEX_BAD;
}
