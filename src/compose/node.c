#include "compose/node.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void path_write(struct buf *b, const struct path *p, enum path_style style)
{
	if (p->up)
		path_write(b, p->up, style);
	if (p->key) {
		if (b->len)
			buf_addc(b, '.');
		buf_adds(b, p->key);
	} else if (style == PATH_BRACKETS) {
		buf_fmt(b, "[%zu]", p->index);
	} else if (style == PATH_DOTS) {
		buf_fmt(b, ".%zu", p->index);
	} else {
		buf_adds(b, ".[]");
	}
}

char *path_text(struct arena *a, const struct path *p, enum path_style style)
{
	struct buf b = {0};
	if (p)
		path_write(&b, p, style);
	char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

struct node *node_new(struct arena *a, enum node_kind kind, struct compose_mark at)
{
	struct node *n = arena_new(a, struct node);
	n->kind = kind;
	n->at = at;
	return n;
}

struct node *node_string(struct arena *a, const char *text, struct compose_mark at)
{
	struct node *n = node_new(a, NODE_STRING, at);
	n->text = text;
	return n;
}

struct node *node_int(struct arena *a, int64_t number, struct compose_mark at)
{
	struct node *n = node_new(a, NODE_INT, at);
	n->number = number;
	return n;
}

struct node *node_bool(struct arena *a, bool flag, struct compose_mark at)
{
	struct node *n = node_new(a, NODE_BOOL, at);
	n->flag = flag;
	return n;
}

void node_push(struct arena *a, struct node *seq, struct node *item)
{
	if (seq->seq.len == seq->seq.cap) {
		size_t cap = seq->seq.cap ? seq->seq.cap * 2 : 4;
		struct node **items = arena_array(a, struct node *, cap);
		if (seq->seq.len)
			memcpy(items, seq->seq.items, seq->seq.len * sizeof(*items));
		seq->seq.items = items;
		seq->seq.cap = cap;
	}
	seq->seq.items[seq->seq.len++] = item;
}

void node_put(struct arena *a, struct node *map, const char *key, struct compose_mark at,
	struct node *value)
{
	if (map->map.len == map->map.cap) {
		size_t cap = map->map.cap ? map->map.cap * 2 : 4;
		struct node_entry *entries = arena_array(a, struct node_entry, cap);
		if (map->map.len)
			memcpy(entries, map->map.entries, map->map.len * sizeof(*entries));
		map->map.entries = entries;
		map->map.cap = cap;
	}
	map->map.entries[map->map.len++] =
		(struct node_entry){.key = key, .at = at, .value = value};
}

void node_remove(struct node *map, const char *key)
{
	struct node_entry *e = node_entry(map, key);
	if (!e)
		return;
	size_t after = map->map.len - (size_t)(e - map->map.entries) - 1;
	memmove(e, e + 1, after * sizeof(*e));
	map->map.len--;
}

struct node_entry *node_entry(const struct node *map, const char *key)
{
	if (!node_is(map, NODE_MAP))
		return NULL;
	for (size_t i = 0; i < map->map.len; i++) {
		const char *mine = map->map.entries[i].key;
		if (mine[0] == key[0] && strcmp(mine, key) == 0)
			return &map->map.entries[i];
	}
	return NULL;
}

struct node *node_get(const struct node *map, const char *key)
{
	struct node_entry *e = node_entry(map, key);
	return e ? e->value : NULL;
}

const char *node_get_text(const struct node *map, const char *key, const char *otherwise)
{
	const struct node *n = node_get(map, key);
	return node_is(n, NODE_STRING) ? n->text : otherwise;
}

bool node_equal(const struct node *a, const struct node *b)
{
	if (a->kind != b->kind || a->tag != b->tag)
		return false;
	switch (a->kind) {
	case NODE_NULL:
		return true;
	case NODE_BOOL:
		return a->flag == b->flag;
	case NODE_INT:
		return a->number == b->number;
	case NODE_FLOAT:
		return a->real == b->real;
	case NODE_STRING:
		return strcmp(a->text, b->text) == 0;
	case NODE_SEQ:
		for (size_t i = 0; a->seq.len == b->seq.len && i < a->seq.len; i++)
			if (!node_equal(a->seq.items[i], b->seq.items[i]))
				return false;
		return a->seq.len == b->seq.len;
	case NODE_MAP:
		for (size_t i = 0; a->map.len == b->map.len && i < a->map.len; i++) {
			const struct node *twin = node_get(b, a->map.entries[i].key);
			if (!twin || !node_equal(a->map.entries[i].value, twin))
				return false;
		}
		return a->map.len == b->map.len;
	}
	return false;
}

const char *node_scalar_text(struct arena *a, const struct node *n)
{
	char real[STR_REAL_MAX];
	if (n->raw && (n->kind == NODE_INT || n->kind == NODE_FLOAT))
		return n->raw;
	switch (n->kind) {
	case NODE_BOOL:
		return n->flag ? "true" : "false";
	case NODE_INT:
		return arena_fmt(a, "%lld", (long long)n->number);
	case NODE_FLOAT:
		return arena_strdup(a, str_real(real, n->real));
	case NODE_STRING:
		return n->text;
	case NODE_NULL:
	case NODE_SEQ:
	case NODE_MAP:
		break;
	}
	return "";
}

static bool one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

/* Skips the prefix: 0x 0o 0b or the octal 0. */
static int take_base(const char **text)
{
	const char *p = *text;
	if (p[0] != '0' || !p[1])
		return 10;
	int base = p[1] == 'x' || p[1] == 'X'   ? 16
		   : p[1] == 'o' || p[1] == 'O' ? 8
		   : p[1] == 'b' || p[1] == 'B' ? 2
						: 0;
	*text += base ? 2 : 1;
	return base ? base : 8;
}

/* 99: no digit */
static int digit_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : 99;
}

/* A whole number with sign and prefix; underscores dropped by the caller. */
static bool parse_int(const char *text, int64_t *ret_value)
{
	bool negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	int base = take_base(&text);
	if (!*text)
		return false;
	uint64_t v = 0;
	for (; *text; text++) {
		int d = digit_value(*text);
		if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
			__builtin_add_overflow(v, (uint64_t)d, &v))
			return false;
	}
	uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
	if (v > limit)
		return false;
	*ret_value = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* Digits, one dot, an exponent: [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_real(const char *p)
{
	size_t before, after = 0;
	if (*p == '-' || *p == '+')
		p++;
	before = strspn(p, "0123456789");
	p += before;
	if (*p == '.') {
		after = strspn(p + 1, "0123456789");
		p += 1 + after;
	}
	if (before + after == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '-' || *p == '+')
			p++;
		size_t digits = strspn(p, "0123456789");
		if (digits == 0)
			return false;
		p += digits;
	}
	return *p == '\0';
}

/* Leaves a string that is no number as it is. */
static void resolve_number(struct node *n, const char *text)
{
	char plain[64]; /* no number that fits 64 bits is longer */
	size_t len = 0;
	for (const char *p = text; *p; p++) {
		if (*p == '_')
			continue;
		if (len + 1 == sizeof(plain))
			return;
		plain[len++] = *p;
	}
	plain[len] = '\0';
	int64_t number;
	if (parse_int(plain, &number)) {
		n->kind = NODE_INT;
		n->number = number;
		n->raw = text;
	} else if (looks_real(plain) && isfinite(strtod(plain, NULL))) {
		n->kind = NODE_FLOAT;
		n->real = strtod(plain, NULL);
		n->raw = text;
	}
}

void node_resolve(struct node *n, const char *text)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	n->kind = NODE_STRING;
	n->text = text;
	if (one_of(text, nulls)) {
		n->kind = NODE_NULL;
	} else if (one_of(text, trues) || one_of(text, falses)) {
		n->kind = NODE_BOOL;
		n->flag = text[0] == 't' || text[0] == 'T';
	} else if (strchr("+-.0123456789", text[0])) {
		resolve_number(n, text);
	}
}
