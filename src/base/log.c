#include "base/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"

/* A value longer than this is cut: one line must not hold up the loop. */
#define LOG_VALUE_MAX ((size_t)8192)

static _Atomic(enum log_level) log_level = LOG_INFO;
static _Atomic(enum log_format) log_format = LOG_KEY_VALUE;

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};

void log_configure(enum log_level level, enum log_format format)
{
	log_level = level;
	log_format = format;
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; name && i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* Takes one character off the front of valid UTF-8. */
static unsigned take_char(struct str *s, struct str *ret_bytes)
{
	unsigned char lead = (unsigned char)s->ptr[0];
	size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	unsigned code = len == 1 ? lead : lead & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++)
		code = code << 6 | ((unsigned char)s->ptr[i] & 0x3fu);
	*ret_bytes = (struct str){s->ptr, len};
	s->ptr += len;
	s->len -= len;
	return code;
}

/* What a terminal would obey instead of show: C0, DEL, C1, line separators, and the marks that
 * turn the direction of writing. */
static bool is_control(unsigned code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x200e || code == 0x200f ||
		(code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* JSON's escapes serve both formats. `text` is valid UTF-8. */
static void add_escaped(struct buf *b, struct str text)
{
	while (text.len) {
		struct str bytes;
		unsigned code = take_char(&text, &bytes);
		if (code == '"' || code == '\\')
			buf_fmt(b, "\\%c", (char)code);
		else if (code == '\n')
			buf_adds(b, "\\n");
		else if (code == '\r')
			buf_adds(b, "\\r");
		else if (code == '\t')
			buf_adds(b, "\\t");
		else if (is_control(code))
			buf_fmt(b, "\\u%04x", code);
		else
			buf_add_str(b, bytes);
	}
}

static bool needs_quotes(struct str text)
{
	if (text.len == 0)
		return true;
	while (text.len) {
		struct str bytes;
		unsigned code = take_char(&text, &bytes);
		if (code == ' ' || code == '=' || code == '"' || code == '\\' || is_control(code))
			return true;
	}
	return false;
}

static void add_text(struct buf *b, const char *text, bool always_quote)
{
	struct buf clean = {0};
	size_t len = strnlen(text, LOG_VALUE_MAX + 1);
	buf_add_lossy(&clean, (struct str){text, len > LOG_VALUE_MAX ? LOG_VALUE_MAX : len});
	if (len > LOG_VALUE_MAX)
		buf_adds(&clean, "…");
	bool quote = always_quote || needs_quotes(buf_str(&clean));
	if (quote)
		buf_addc(b, '"');
	add_escaped(b, buf_str(&clean));
	if (quote)
		buf_addc(b, '"');
	buf_finish(&clean);
}

static void add_pair(struct buf *b, bool json, const char *key, const char *value, bool quote)
{
	if (b->len > (json ? 1 : 0))
		buf_addc(b, json ? ',' : ' ');
	add_text(b, key, json);
	buf_addc(b, json ? ':' : '=');
	add_text(b, value ? value : "", json || quote);
}

static void add_time(struct buf *b, bool json)
{
	struct arena *a = arena_create();
	const struct clock *c = clock_system();
	char *ts = time_rfc3339(a, c->wall_us(c));
	/* Milliseconds are enough: "….123456Z" becomes "….123Z". */
	size_t len = strlen(ts);
	ts[len - 4] = 'Z';
	ts[len - 3] = '\0';
	add_pair(b, json, "ts", ts, false);
	arena_destroy(a);
}

/* One write(2): lines of several processes on one pipe do not mix. A reader that is gone or full
 * loses the line: there is nobody else to tell. */
static void write_line(struct str line)
{
	while (line.len) {
		ssize_t n = write(STDERR_FILENO, line.ptr, line.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line.ptr += n;
		line.len -= (size_t)n;
	}
}

void log_line(enum log_level level, const char *msg, ...)
{
	if (level < log_level)
		return;
	int saved_errno = errno;
	bool json = log_format == LOG_JSON;
	struct buf b = {0};
	if (json)
		buf_addc(&b, '{');
	add_time(&b, json);
	add_pair(&b, json, "level", level_names[level], false);
	add_pair(&b, json, "msg", msg, true);
	va_list ap;
	va_start(ap, msg);
	for (const char *key; (key = va_arg(ap, const char *));) {
		const char *value = va_arg(ap, const char *);
		add_pair(&b, json, key, value, false);
		if (!value) /* not to be told from the end of the list */
			break;
	}
	va_end(ap);
	buf_adds(&b, json ? "}\n" : "\n");
	write_line(buf_str(&b));
	buf_finish(&b);
	errno = saved_errno;
}
