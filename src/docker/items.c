#include "docker/items.h"

static const bool is_mark[256] = {
	['"'] = true, ['['] = true, [']'] = true, ['{'] = true, ['}'] = true, [','] = true};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Up to where nothing can end or begin: texts are long, and most of an element is in them. */
static const char *skip_plain(const struct items *i, const char *p, const char *end)
{
	if (i->in_text)
		while (p < end && *p != '"' && *p != '\\')
			p++;
	else
		while (p < end && !is_mark[(unsigned char)*p])
			p++;
	return p;
}

static struct status hand_over(struct items *i, struct str rest,
	struct status (*on_item)(void *data, struct str item), void *data)
{
	struct status st = status_ok();
	struct str item = rest;
	if (i->item.len > 0) {
		buf_add_str(&i->item, rest);
		item = buf_str(&i->item);
	}
	item = str_trim(item);
	if (item.len > 0)
		st = on_item(data, item);
	buf_drop(&i->item, i->item.len);
	return st;
}

/* One byte outside of texts. False: it belongs to no element. */
static bool take_mark(struct items *i, char c)
{
	switch (c) {
	case '"':
		i->in_text = true;
		return true;
	case '[':
	case '{':
		i->depth++;
		return true;
	case ']':
	case '}':
		i->depth--;
		return i->depth > 0;
	case ',':
		return i->depth > 1;
	default:
		return true;
	}
}

/* Inside a text. */
static void take_text(struct items *i, char c)
{
	if (i->escaped)
		i->escaped = false;
	else if (c == '\\')
		i->escaped = true;
	else if (c == '"')
		i->in_text = false;
}

static struct status begin(struct items *i, const char **p, const char *end)
{
	while (*p < end && is_space(**p))
		(*p)++;
	if (*p == end)
		return status_ok();
	if (**p != '[')
		return status_err(ST_INTERNAL, "no list");
	(*p)++;
	i->begun = true;
	i->depth = 1;
	return status_ok();
}

struct status items_feed(struct items *i, struct str piece,
	struct status (*on_item)(void *data, struct str item), void *data)
{
	const char *p = piece.ptr, *end = p + piece.len, *from;
	struct status st = status_ok();
	if (!i->begun)
		st = begin(i, &p, end);
	from = p;
	while (p < end && status_is_ok(&st) && i->begun && !i->ended) {
		if (!i->escaped)
			p = skip_plain(i, p, end);
		if (p == end)
			break;
		char c = *p++;
		if (i->in_text) {
			take_text(i, c);
		} else if (!take_mark(i, c)) {
			st = hand_over(i, str_make(from, (size_t)(p - 1 - from)), on_item, data);
			i->ended = i->depth == 0;
			from = p;
		}
	}
	if (status_is_ok(&st) && i->begun && !i->ended)
		buf_add_str(&i->item, str_make(from, (size_t)(end - from)));
	if (status_is_ok(&st) && i->item.len > ITEM_MAX)
		st = status_err(ST_INTERNAL, "a list with an element of more than %u bytes", ITEM_MAX);
	return st;
}

struct status items_end(const struct items *i)
{
	if (!i->ended)
		return i->begun ? status_err(ST_UNAVAILABLE, "a list that breaks off")
				: status_err(ST_INTERNAL, "no list");
	return status_ok();
}

void items_finish(struct items *i)
{
	buf_finish(&i->item);
}
