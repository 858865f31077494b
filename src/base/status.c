#include "base/status.h"
#include <stdarg.h>
#include <stdio.h>
#include "base/str.h"

/* Length of the text without a UTF-8 character that `len` cut in two. */
static size_t whole_chars(const char *text, size_t len)
{
	size_t back = 0; /* continuation bytes at the end */
	while (back < 3 && back < len && ((unsigned char)text[len - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back == len)
		return len;
	unsigned char lead = (unsigned char)text[len - 1 - back];
	size_t want = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	return back < want ? len - 1 - back : len;
}

/* Appends at *len; whatever the arguments held, the message stays UTF-8. */
static void append(struct status *st, size_t *len, const char *fmt, va_list ap)
{
	size_t room = sizeof(st->message) - *len;
	int n = vsnprintf(st->message + *len, room, fmt, ap);
	if (n < 0)
		n = 0;
	if ((size_t)n >= room)
		*len = whole_chars(st->message, sizeof(st->message) - 1);
	else
		*len += (size_t)n;
	st->message[*len] = '\0';

	struct str rest = {st->message, *len};
	for (;;) {
		size_t bad = str_utf8_valid_upto(rest);
		if (bad == rest.len)
			return;
		st->message[*len - rest.len + bad] = '?';
		rest.ptr += bad + 1;
		rest.len -= bad + 1;
	}
}

static void append_fmt(struct status *st, size_t *len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void append_fmt(struct status *st, size_t *len, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	append(st, len, fmt, ap);
	va_end(ap);
}

struct status status_make(enum st_code code, const char *origin, const char *fmt, ...)
{
	struct status st = {.code = code, .origin = origin};
	size_t len = 0;
	va_list ap;
	va_start(ap, fmt);
	append(&st, &len, fmt, ap);
	va_end(ap);
	return st;
}

struct status status_wrap(const struct status *st, const char *fmt, ...)
{
	if (st->code == ST_OK)
		return *st;
	struct status outer = {.code = st->code, .retry_ms = st->retry_ms, .origin = st->origin};
	size_t len = 0;
	va_list ap;
	va_start(ap, fmt);
	append(&outer, &len, fmt, ap);
	va_end(ap);
	append_fmt(&outer, &len, ": %s", st->message);
	return outer;
}

const char *st_code_name(enum st_code code)
{
	switch (code) {
	case ST_OK:
		return "OK";
	case ST_CANCELLED:
		return "CANCELLED";
	case ST_UNKNOWN:
		return "UNKNOWN";
	case ST_INVALID_ARGUMENT:
		return "INVALID_ARGUMENT";
	case ST_DEADLINE_EXCEEDED:
		return "DEADLINE_EXCEEDED";
	case ST_NOT_FOUND:
		return "NOT_FOUND";
	case ST_ALREADY_EXISTS:
		return "ALREADY_EXISTS";
	case ST_PERMISSION_DENIED:
		return "PERMISSION_DENIED";
	case ST_RESOURCE_EXHAUSTED:
		return "RESOURCE_EXHAUSTED";
	case ST_FAILED_PRECONDITION:
		return "FAILED_PRECONDITION";
	case ST_ABORTED:
		return "ABORTED";
	case ST_OUT_OF_RANGE:
		return "OUT_OF_RANGE";
	case ST_UNIMPLEMENTED:
		return "UNIMPLEMENTED";
	case ST_INTERNAL:
		return "INTERNAL";
	case ST_UNAVAILABLE:
		return "UNAVAILABLE";
	case ST_DATA_LOSS:
		return "DATA_LOSS";
	case ST_UNAUTHENTICATED:
		return "UNAUTHENTICATED";
	}
	return "UNKNOWN";
}

enum st_code st_code_parse(const char *name)
{
	for (int code = ST_OK; code <= ST_CODE_MAX; code++)
		if (strcmp(st_code_name((enum st_code)code), name) == 0)
			return (enum st_code)code;
	return ST_UNKNOWN;
}
