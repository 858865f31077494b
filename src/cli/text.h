/* text: what people see: the width of a line on a terminal, control characters taken out, ages
 * and spans of time in words. Pure. UTF-8. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

struct arena;

/* Of text without control characters. Columns on a terminal: 2 for the wide characters of East Asia and pictures, 0 for combining ones. */
size_t text_width(struct str s);

/* Appends it so that it can do nothing to a terminal: what is not UTF-8 becomes U+FFFD, control
 * characters a space (and runs of them one). With `lines`, line breaks and tabs stay. */
void text_clean(struct buf *b, struct str s, bool lines);
/* JSON (or YAML whose strings are JSON's) with what a terminal would obey escaped (\u009b): JSON itself
 * escapes only what is below U+0020. */
void text_escape(struct buf *b, struct str json);
/* A cleaned copy on one line. */
char *text_line(struct arena *a, const char *s);
/* Appends at most so many columns of it, the last one "…" (or "~") when it was longer. */
void text_cut(struct buf *b, struct str s, size_t columns, bool utf8);
void text_pad(struct buf *b, size_t columns); /* spaces */

/* "3 minutes ago", "in 89 days", "just now"; "" for 0 (never). Microseconds since 1970. */
char *text_age(struct arena *a, int64_t now_us, int64_t then_us);
/* "0.4s", "12.3s", "2m05s", "1h02m". */
char *text_span(struct arena *a, uint64_t ms);
/* "90d", "12h", "1m30s": whole days, or Go's durations. Milliseconds; false: neither, or negative. */
bool text_parse_span(const char *s, uint64_t *ret_ms);

/* How many letters must be changed, left out, put in or swapped to make one of the other. */
unsigned text_distance(const char *from, const char *to);
