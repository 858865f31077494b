#include "cli/table.h"
#include <stdarg.h>
#include <string.h>
#include "base/arena.h"
#include "base/str.h"
#include "cli/text.h"

struct cell {
	const char *text;
	size_t width;
	enum tone tone;
};
struct table {
	struct arena *arena;
	const char *const *headers;
	size_t columns;
	size_t *widths;
	struct cell *cells;
	size_t len, cap;
};

enum tone tone_of(const char *word)
{
	static const struct {
		const char *word;
		enum tone tone;
	} words[] = {{"running", TONE_GOOD}, {"succeeded", TONE_GOOD}, {"active", TONE_GOOD},
		{"completed", TONE_GOOD}, {"complete", TONE_GOOD}, {"up", TONE_GOOD}, {"ready", TONE_GOOD},
		{"failed", TONE_BAD}, {"missing", TONE_BAD}, {"rejected", TONE_BAD}, {"down", TONE_BAD},
		{"orphaned", TONE_BAD}, {"degraded", TONE_BUSY}, {"drifted", TONE_BUSY},
		{"converging", TONE_BUSY}, {"deploying", TONE_BUSY}, {"removing", TONE_BUSY},
		{"starting", TONE_BUSY}, {"preparing", TONE_BUSY}, {"pending", TONE_DIM},
		{"cancelled", TONE_DIM}, {"superseded", TONE_DIM}, {"shutdown", TONE_DIM}};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].tone;
	return TONE_PLAIN;
}

const char *tone_begin(enum tone t)
{
	switch (t) {
	case TONE_PLAIN:
		return "";
	case TONE_GOOD:
		return "\x1b[32m";
	case TONE_BAD:
		return "\x1b[31m";
	case TONE_BUSY:
		return "\x1b[33m";
	case TONE_DIM:
		return "\x1b[2m";
	}
	return "";
}

struct table *table_create(struct arena *a, const char *const *headers)
{
	struct table *t = arena_new(a, struct table);
	t->arena = a;
	t->headers = headers;
	while (headers[t->columns])
		t->columns++;
	t->widths = arena_array(a, size_t, t->columns);
	for (size_t i = 0; i < t->columns; i++)
		t->widths[i] = strlen(headers[i]);
	return t;
}

void table_tone(struct table *t, enum tone tone, const char *text)
{
	if (t->len == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct cell *cells = arena_array(t->arena, struct cell, cap);
		if (t->len)
			memcpy(cells, t->cells, t->len * sizeof(*cells));
		t->cells = cells;
		t->cap = cap;
	}
	struct cell *c = &t->cells[t->len];
	c->text = text_line(t->arena, text);
	c->width = text_width(str_of(c->text));
	c->tone = tone;
	size_t *width = &t->widths[t->len++ % t->columns];
	if (c->width > *width)
		*width = c->width;
}

void table_cell(struct table *t, const char *text)
{
	table_tone(t, TONE_PLAIN, text);
}

void table_fmt(struct table *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	table_tone(t, TONE_PLAIN, arena_vfmt(t->arena, fmt, ap));
	va_end(ap);
}

/* Spaces at a line's end help nobody. */
static void end_line(struct buf *b)
{
	while (b->len > 0 && b->ptr[b->len - 1] == ' ')
		b->len--;
	buf_addc(b, '\n');
}

void table_print(const struct table *t, bool color, struct buf *b)
{
	for (size_t i = 0; i < t->columns; i++) {
		buf_adds(b, t->headers[i]);
		if (i + 1 < t->columns)
			text_pad(b, t->widths[i] - strlen(t->headers[i]) + 2);
	}
	end_line(b);
	for (size_t i = 0, column = 0; i < t->len; i++) {
		const struct cell *c = &t->cells[i];
		bool last = column + 1 == t->columns, toned = color && c->tone != TONE_PLAIN;
		if (toned)
			buf_adds(b, tone_begin(c->tone));
		buf_adds(b, c->text);
		if (toned)
			buf_adds(b, TONE_END);
		if (last)
			end_line(b);
		else
			text_pad(b, t->widths[column] - c->width + 2);
		column = last ? 0 : column + 1;
	}
}
