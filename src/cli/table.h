/* table: rows under headers, columns as wide as their widest cell, two spaces apart; the last one
 * is not padded. Everything lives in the arena; cells are copied and cleaned of control characters. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;
struct table;

enum tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_BUSY, TONE_DIM };
/* How a state's word looks: "running" is good, "failed" bad, "converging" busy. */
enum tone tone_of(const char *word);
/* The escape sequence that begins it; "" for plain. */
const char *tone_begin(enum tone t);
#define TONE_END "\x1b[0m"

/* headers: NULL-terminated, static. */
struct table *table_create(struct arena *a, const char *const *headers);
/* The next cell of the present row; a full row is followed by the next one. NULL is an empty cell. */
void table_cell(struct table *t, const char *text);
void table_tone(struct table *t, enum tone tone, const char *text);
void table_fmt(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *t, bool color, struct buf *b);
