/* Mutates Compose text as a writer would, not as noise would: blocks are copied, moved, taken out and indented anew; keys become
 * other keys of the schema, values become what is tricky. Every other time libFuzzer mutates bytes, as ever. The first byte
 * of an input is no text. For one fuzzer, which includes it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "compose/schema.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#define MUTATE_LINES 512
#define MUTATE_KEYS  512

struct yaml_line {
	const char *p;
	size_t len, indent; /* len: with the line's end */
};
struct yaml_text {
	struct yaml_line lines[MUTATE_LINES];
	size_t n;
	char *out;
	size_t len, max;
	unsigned seed;
};

static size_t pick(struct yaml_text *t, size_t below)
{
	t->seed = t->seed * 1664525u + 1013904223u;
	return below ? (t->seed >> 8) % below : 0;
}

static void put(struct yaml_text *t, const char *p, size_t len)
{
	len = len < t->max - t->len ? len : t->max - t->len;
	memcpy(t->out + t->len, p, len);
	t->len += len;
}

static void put_text(struct yaml_text *t, const char *text)
{
	put(t, text, strlen(text));
}

static void put_blanks(struct yaml_text *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(t, " ", 1);
}

static void split(struct yaml_text *t, const char *p, size_t size)
{
	while (size > 0 && t->n < MUTATE_LINES) {
		const char *end = memchr(p, '\n', size);
		struct yaml_line *line = &t->lines[t->n++];
		*line = (struct yaml_line){p, end ? (size_t)(end - p) + 1 : size, 0};
		while (line->indent < line->len && p[line->indent] == ' ')
			line->indent++;
		p += line->len;
		size -= line->len;
	}
}

/* The line behind a line and all that stands below it. */
static size_t block_end(const struct yaml_text *t, size_t at)
{
	size_t end = at + 1;
	while (end < t->n && t->lines[end].indent > t->lines[at].indent)
		end++;
	return end;
}

static void put_lines(struct yaml_text *t, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		put(t, t->lines[i].p, t->lines[i].len);
}

static void put_block(struct yaml_text *t, size_t from, size_t to, size_t indent)
{
	for (size_t i = from; i < to; i++) {
		const struct yaml_line *line = &t->lines[i];
		put_blanks(t, indent + line->indent - t->lines[from].indent);
		put(t, line->p + line->indent, line->len - line->indent);
	}
}

static void collect(const struct schema_key *table, const char **keys, size_t *n)
{
	for (; table && table->name && *n < MUTATE_KEYS; table++) {
		keys[(*n)++] = table->name;
		collect(table->sub, keys, n);
	}
}

static const char *some_key(struct yaml_text *t)
{
	static const char *keys[MUTATE_KEYS];
	static size_t n;
	if (n == 0)
		collect(schema_root, keys, &n);
	return keys[pick(t, n)];
}

static const char *some_value(struct yaml_text *t)
{
	static const char *const values[] = {"", "null", "~", "true", "no", "0", "-1", "1.5", "1e99", "0x10", "0440",
		"9223372036854775808", "\"\"", "'x'", "x", "80", "80-90:80-90/udp", "10s", "1d", "64m", "1/3", "a=b", "a:b:ro",
		"/s:/d", "./f", "~/f", "f", "[]", "{}", "[a, a]", "{a: b}", "[{a: b}]", "${A}", "${E:-d}", "${U:?why}", "$$", "${",
		"${A:-${N}}", "*x", "&x y", "!reset null", "!override []", "2021-01-01", "|\n    text", "host", "service:a",
		"web", "localhost/x@sha256:0", "node.role == manager", "replicated-job", "service_healthy"};
	return values[pick(t, sizeof(values) / sizeof(*values))];
}

static void put_entry(struct yaml_text *t, size_t indent)
{
	put_blanks(t, indent);
	put_text(t, pick(t, 4) == 0 ? "- " : "");
	put_text(t, some_key(t));
	put_text(t, ": ");
	put_text(t, some_value(t));
	put_text(t, "\n");
}

/* The line, with another key or another value. */
static void put_changed(struct yaml_text *t, const struct yaml_line *line)
{
	const char *colon = memchr(line->p, ':', line->len);
	bool value = pick(t, 2) == 0 || !colon;
	put_blanks(t, line->indent);
	if (value) {
		put(t, line->p + line->indent, colon ? (size_t)(colon - line->p) + 1 - line->indent : 0);
		put_text(t, colon ? " " : "- ");
		put_text(t, some_value(t));
		put_text(t, "\n");
	} else {
		put_text(t, some_key(t));
		put(t, colon, line->len - (size_t)(colon - line->p));
	}
}

static void mutate(struct yaml_text *t)
{
	size_t at = pick(t, t->n), end = block_end(t, at), other = pick(t, t->n);
	size_t indent = t->lines[at].indent, below = t->lines[other].indent + (pick(t, 2) ? 2 : 0);
	switch (pick(t, 6)) {
	case 0: /* copied below another */
		put_lines(t, 0, other + 1);
		put_block(t, at, end, below);
		put_lines(t, other + 1, t->n);
		break;
	case 1: /* taken out */
		put_lines(t, 0, at);
		put_lines(t, end, t->n);
		break;
	case 2: /* indented anew */
		put_lines(t, 0, at);
		put_block(t, at, end, pick(t, 2) || indent < 2 ? indent + 2 : indent - 2);
		put_lines(t, end, t->n);
		break;
	case 3:
		put_lines(t, 0, at + 1);
		put_entry(t, indent + (pick(t, 2) ? 2 : 0));
		put_lines(t, at + 1, t->n);
		break;
	case 4: /* one value instead of all below */
		put_lines(t, 0, at);
		put_changed(t, &t->lines[at]);
		put_lines(t, end, t->n);
		break;
	default:
		put_lines(t, 0, at);
		put_changed(t, &t->lines[at]);
		put_lines(t, at + 1, t->n);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct yaml_text *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->seed = seed;
	if (size > 1)
		split(t, (const char *)data + 1, size - 1);
	if (t->n == 0 || pick(t, 2) == 0) {
		free(t);
		return LLVMFuzzerMutate(data, size, max_size);
	}
	t->max = max_size - 1;
	t->out = malloc(max_size);
	if (!t->out)
		abort();
	mutate(t);
	memcpy(data + 1, t->out, t->len);
	size = t->len + 1;
	free(t->out);
	free(t);
	return size;
}
