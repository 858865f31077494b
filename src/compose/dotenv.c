#include "compose/dotenv.h"
#include <string.h>
#include "base/arena.h"

struct dotenv dotenv_open(struct arena *a, struct str text, bool raw)
{
	if (str_starts(text, "\xef\xbb\xbf"))
		text = str_make(text.ptr + 3, text.len - 3);
	return (struct dotenv){.a = a, .rest = text, .number = 1, .raw = raw};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool has_space(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (strchr(" \t\r\n\v\f", s.ptr[i]))
			return true;
	return false;
}

static struct str skip(struct str s, size_t n)
{
	return str_make(s.ptr + n, s.len - n);
}

static bool fail(struct dotenv_line *line, const char *why)
{
	line->error = why;
	line->name = line->value = NULL;
	return true;
}

static bool take_name(struct dotenv *d, struct dotenv_line *line, struct str name)
{
	if (has_space(name))
		return !fail(line, arena_fmt(d->a, "variable '" STR_FMT "' contains whitespaces",
					   STR_ARG(name)));
	if (name.len == 0)
		return !fail(line, "no variable name in front of the '='");
	line->name = str_dup(d->a, name);
	return true;
}

/* Up to a '#' behind a blank. */
static struct str unquoted(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '#' && (i == 0 || is_blank(s.ptr[i - 1])))
			s.len = i;
	return str_trim(s);
}

/* What stands between quotes, perhaps over several lines. *at stands behind the first quote, and
 * behind the last one afterwards. */
static bool quoted(struct str *at, char quote, struct buf *b)
{
	for (; at->len; *at = skip(*at, 1)) {
		char c = at->ptr[0];
		if (c == quote) {
			*at = skip(*at, 1);
			return true;
		}
		if (c == '\\' && quote == '"' && at->len > 1) {
			*at = skip(*at, 1);
			c = at->ptr[0];
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
		}
		buf_addc(b, c);
	}
	return false;
}

/* `rest` begins behind the '='. */
static bool take_value(struct dotenv *d, struct dotenv_line *line, struct str rest)
{
	while (rest.len && is_blank(rest.ptr[0]))
		rest = skip(rest, 1);
	char quote = rest.len && strchr("'\"", rest.ptr[0]) ? rest.ptr[0] : '\0';
	if (!quote) {
		line->value = str_dup(d->a, unquoted(str_cut(&rest, '\n')));
		return true;
	}
	struct buf b = {0};
	struct str at = skip(rest, 1);
	bool closed = quoted(&at, quote, &b);
	const char *value = str_dup(d->a, buf_str(&b));
	buf_finish(&b);
	if (!closed)
		return fail(line, "the closing quote is missing");
	for (const char *p = rest.ptr; p < at.ptr; p++)
		d->number += *p == '\n';
	d->rest = at;
	struct str tail = str_cut(&d->rest, '\n');
	if (unquoted(tail).len)
		return fail(line, "there is something behind the closing quote");
	line->value = value;
	line->literal = quote == '\'';
	return true;
}

/* s: one line, blanks in front dropped; `rest` the text from there on. */
static bool read_line(struct dotenv *d, struct dotenv_line *line, struct str s, struct str rest)
{
	if (d->raw) {
		struct str name = str_cut(&s, '=');
		line->literal = true;
		if (take_name(d, line, name) && s.ptr)
			line->value = str_dup(d->a, s);
		return true;
	}
	if (str_starts(s, "export ")) {
		s = skip(s, 7);
		rest = skip(rest, 7);
	}
	const char *equals = memchr(s.ptr, '=', s.len);
	size_t n = equals ? (size_t)(equals - s.ptr) : s.len;
	if (take_name(d, line, str_trim(str_make(s.ptr, n))) && equals)
		return take_value(d, line, skip(rest, n + 1));
	return true;
}

/* Bytes that no value can hold end the walk. */
static bool refuse_bytes(struct dotenv *d, struct dotenv_line *line)
{
	size_t valid = str_utf8_valid_upto(d->rest);
	const char *nul = d->rest.len ? memchr(d->rest.ptr, '\0', d->rest.len) : NULL;
	if (valid == d->rest.len && !nul)
		return false;
	if (nul && (size_t)(nul - d->rest.ptr) < valid)
		valid = (size_t)(nul - d->rest.ptr);
	*line = (struct dotenv_line){
		.number = d->number, .error = "invalid utf8 bytes or a NUL byte in it"};
	for (size_t i = 0; i < valid; i++)
		line->number += d->rest.ptr[i] == '\n';
	d->rest.len = 0;
	return true;
}

bool dotenv_next(struct dotenv *d, struct dotenv_line *ret_line)
{
	if (d->number == 1 && refuse_bytes(d, ret_line))
		return true;
	while (d->rest.len) {
		struct str rest = d->rest, s = str_cut(&d->rest, '\n');
		*ret_line = (struct dotenv_line){.number = d->number++};
		if (s.len && s.ptr[s.len - 1] == '\r')
			s.len--;
		while (s.len && strchr(" \t\r\v\f", s.ptr[0])) {
			s = skip(s, 1);
			rest = skip(rest, 1);
		}
		if (s.len && s.ptr[0] != '#')
			return read_line(d, ret_line, s, rest);
	}
	return false;
}
