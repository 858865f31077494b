#include "cli/dotenv.h"
#include <ctype.h>
#include "base/arena.h"

static bool is_name_char(char c, bool first)
{
	return isalpha((unsigned char)c) || c == '_' || (!first && isdigit((unsigned char)c));
}

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_name_char(s.ptr[i], i == 0) && !(i > 0 && strchr("-.", s.ptr[i])))
			return false;
	return s.len > 0;
}

static struct str skip_blanks(struct str s)
{
	while (s.len && strchr(" \t", s.ptr[0]))
		s = str_make(s.ptr + 1, s.len - 1);
	return s;
}

/* What stands between quotes; *at is behind the first one, and behind the last one afterwards. Values may go on over several lines. */
static bool read_quoted(struct str *at, char quote, struct buf *b)
{
	for (; at->len; *at = str_make(at->ptr + 1, at->len - 1)) {
		char c = at->ptr[0];
		if (c == quote) {
			*at = str_make(at->ptr + 1, at->len - 1);
			return true;
		}
		if (c == '\\' && quote == '"' && at->len > 1) {
			*at = str_make(at->ptr + 1, at->len - 1);
			c = at->ptr[0];
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
		}
		buf_addc(b, c);
	}
	return false;
}

/* A value without quotes goes to the end of the line, or to a # behind a blank. */
static struct str unquoted(struct str line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '#' && (i == 0 || line.ptr[i - 1] == ' ' || line.ptr[i - 1] == '\t'))
			line.len = i;
	return str_trim(line);
}

struct dotenv {
	struct arena *a;
	const char *file;
	size_t line;
	struct map *into;
};

static struct status wrong(const struct dotenv *d, const char *why)
{
	return status_err(ST_INVALID_ARGUMENT, "%s:%zu: %s", d->file, d->line, why);
}

static size_t count_lines(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == '\n';
	return n;
}

/* *rest stands behind the '='. */
static struct status read_value(struct dotenv *d, struct str *rest, char **ret_value)
{
	struct str at = skip_blanks(*rest);
	char quote = at.len && strchr("'\"", at.ptr[0]) ? at.ptr[0] : '\0';
	if (!quote) {
		*ret_value = str_dup(d->a, unquoted(str_cut(rest, '\n')));
		d->line++;
		return status_ok();
	}
	struct buf b = {0};
	const char *from = at.ptr++;
	at.len--;
	bool closed = read_quoted(&at, quote, &b);
	*ret_value = str_dup(d->a, buf_str(&b));
	buf_finish(&b);
	if (!closed)
		return wrong(d, "the closing quote is missing");
	size_t lines = count_lines(str_make(from, (size_t)(at.ptr - from)));
	*rest = at;
	struct str tail = unquoted(str_cut(rest, '\n'));
	if (tail.len)
		return wrong(d, "there is something behind the closing quote");
	d->line += lines + 1;
	return status_ok();
}

static struct status read_entry(struct dotenv *d, struct str *rest)
{
	size_t end = 0;
	while (end < rest->len && rest->ptr[end] != '\n' && rest->ptr[end] != '=')
		end++;
	bool has_value = end < rest->len && rest->ptr[end] == '=';
	struct str name = str_trim(str_make(rest->ptr, end));
	if (str_starts(name, "export "))
		name = str_trim(str_make(name.ptr + 7, name.len - 7));
	if (!is_name(name))
		return wrong(d, has_value ? "what stands before the = is no variable's name"
					  : "expected NAME=value");
	if (!has_value) { /* a bare NAME says nothing: the environment's is taken anyway */
		(void)str_cut(rest, '\n');
		d->line++;
		return status_ok();
	}
	*rest = str_make(rest->ptr + end + 1, rest->len - end - 1);
	char *value;
	struct status st = read_value(d, rest, &value);
	if (status_is_ok(&st))
		(void)map_put(d->into, name, value);
	return st;
}

struct status dotenv_parse(struct arena *a, const char *file, struct str text, struct map *into)
{
	struct dotenv d = {.a = a, .file = file, .line = 1, .into = into};
	if (str_starts(text, "\xef\xbb\xbf"))
		text = str_make(text.ptr + 3, text.len - 3);
	if (!str_is_utf8(text) || (text.len && memchr(text.ptr, '\0', text.len)))
		return status_err(ST_INVALID_ARGUMENT, "%s is not UTF-8 text", file);
	while (text.len) {
		struct str line = text;
		line = str_trim(str_cut(&line, '\n'));
		if (line.len == 0 || line.ptr[0] == '#') {
			(void)str_cut(&text, '\n');
			d.line++;
			continue;
		}
		struct status st = read_entry(&d, &text);
		if (!status_is_ok(&st))
			return st;
	}
	return status_ok();
}

void dotenv_names(struct arena *a, struct str text, void (*fn)(void *data, const char *name), void *data)
{
	for (size_t i = 0; i + 1 < text.len; i++) {
		if (text.ptr[i] != '$')
			continue;
		size_t from = text.ptr[i + 1] == '{' ? i + 2 : i + 1, to = from;
		while (to < text.len && is_name_char(text.ptr[to], to == from))
			to++;
		if (to > from)
			fn(data, arena_strndup(a, text.ptr + from, to - from));
	}
}
