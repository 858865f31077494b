/* str: a view of bytes (pointer and length, not NUL-terminated, not owned), and
 * buf: the one builder. A buf owns its heap memory until buf_finish; its
 * text is always NUL-terminated behind len. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>
#include <string.h>

struct arena;

struct str {
	const char *ptr;
	size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
static inline struct str str_of(const char *s) /* NULL gives the empty view */
{
	return (struct str){s ? s : "", s ? strlen(s) : 0};
}
static inline struct str str_make(const char *p, size_t len)
{
	return (struct str){p, len};
}
static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool str_is(struct str a, const char *s)
{
	return str_eq(a, str_of(s));
}
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).len, (s).ptr

int str_cmp(struct str a, struct str b); /* bytewise, like strcmp */
bool str_starts(struct str s, const char *prefix);
bool str_ends(struct str s, const char *suffix);
struct str str_trim(struct str s); /* ASCII white space, both ends */
/* Cuts at the first `sep`: returns the part before, leaves the rest in *s; the
 * whole of *s when there is none (and *s becomes empty with ptr NULL). */
struct str str_cut(struct str *s, char sep);
char *str_dup(struct arena *a, struct str s); /* NUL-terminated copy */
/* Whole string as a decimal number without locale, sign only for i64. */
bool str_to_i64(struct str s, int64_t *ret_value);
bool str_to_u64(struct str s, uint64_t *ret_value);
bool str_to_double(struct str s, double *ret_value); /* no NaN, no infinity, no hex */
/* The shortest decimal that reads back as v, with an exponent below 1e-4 and from 1e+06 on, as Go
 * prints numbers. v is finite. Returns ret_text. */
#define STR_REAL_MAX 32
const char *str_real(char ret_text[STR_REAL_MAX], double v);
/* Offset of the first byte that is not valid UTF-8 (RFC 3629), or len. */
size_t str_utf8_valid_upto(struct str s);
static inline bool str_is_utf8(struct str s)
{
	return str_utf8_valid_upto(s) == s.len;
}

/* How many bytes in front are printable ASCII, `least` or above, and neither '"' nor '\\': what most texts
 * consist of, passed over eight at a time. */
size_t str_plain_upto(struct str s, unsigned char least);

/* A NUL-terminated copy with U+FFFD in place of every byte that is not UTF-8 and of NUL: what goes
 * into a protobuf string or onto a screen. */
char *str_lossy(struct arena *a, struct str bytes);

struct buf {
	char *ptr; /* NULL while empty */
	size_t len, cap;
};

void buf_finish(struct buf *b); /* frees; leaves an empty buf */
void buf_grow(struct buf *b, size_t extra); /* buf_reserve's slow half */
static inline void buf_reserve(struct buf *b, size_t extra)
{
	if (extra >= b->cap - b->len) /* the NUL needs one too */
		buf_grow(b, extra);
}
static inline void buf_add(struct buf *b, const void *p, size_t len)
{
	buf_reserve(b, len);
	if (len)
		memcpy(b->ptr + b->len, p, len);
	b->len += len;
	b->ptr[b->len] = '\0';
}
static inline void buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.ptr, s.len);
}
static inline void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}
static inline void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vfmt(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_add_u64(struct buf *b, uint64_t value);
void buf_add_i64(struct buf *b, int64_t value);
void buf_add_digits(struct buf *b, uint64_t value, unsigned width); /* its last digits, zeros in front */
void buf_add_lossy(struct buf *b, struct str bytes); /* like str_lossy */
void buf_drop(struct buf *b, size_t n);              /* removes n bytes from the front */
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->ptr ? b->ptr : "", b->len};
}

/* Lower-case hex and base64 (RFC 4648 §4; url: §5 without padding); results live in the arena.
 * Decoding returns false for what is not well formed. It takes both cases of hex, and both
 * alphabets of base64 (not mixed) with or without padding; left-over bits must be zero. */
char *str_hex(struct arena *a, const void *p, size_t len);
char *str_base64(struct arena *a, const void *p, size_t len);
char *str_base64url(struct arena *a, const void *p, size_t len);
bool str_unbase64(struct arena *a, struct str s, struct str *ret_bytes);
bool str_unhex(struct arena *a, struct str s, struct str *ret_bytes);
