/* yaml: libyaml's events → nodes. The first document only. Bounded: bytes before the
 * parse, depth and nodes during it, aliases by the nodes that their copies are. */
#include "compose/loader.h"
#include <string.h>
#include <yaml.h>

struct yaml {
	struct loader *l;
	uint16_t file;
	yaml_parser_t parser;
	yaml_event_t event;
	struct map anchors; /* name → node */
	bool failed;        /* the text cannot be read on */
	bool refused;       /* something was reported; reading goes on to find more */
};

static struct node *read_node(struct yaml *y, size_t depth);

static struct compose_mark mark_of(const struct yaml *y, yaml_mark_t m)
{
	return (struct compose_mark){
		.line = (uint32_t)m.line + 1, .column = (uint32_t)m.column + 1, .file = y->file};
}

static struct compose_mark here(const struct yaml *y)
{
	return mark_of(y, y->event.start_mark);
}

/* The line and column (in characters) of a byte of the text. */
static struct compose_mark mark_at(struct str text, size_t offset, uint16_t file)
{
	struct compose_mark m = {.line = 1, .column = 1, .file = file};
	for (size_t i = 0; i < offset && i < text.len; i++) {
		if (text.ptr[i] == '\n') {
			m.line++;
			m.column = 1;
		} else if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
			m.column++;
		}
	}
	return m;
}

static struct node *fail_hint(
	struct yaml *y, struct compose_mark at, const char *message, const char *hint)
{
	if (!y->failed)
		loader_error(y->l, at, NULL, hint, "yaml: line %u: %s", at.line, message);
	y->failed = true;
	return NULL;
}

static struct node *fail(struct yaml *y, struct compose_mark at, const char *message)
{
	return fail_hint(y, at, message, NULL);
}

/* Without a line in the words: what docker's YAML library says of references. */
static struct node *fail_plain(struct yaml *y, struct compose_mark at, const char *message)
{
	if (!y->failed)
		loader_error(y->l, at, NULL, NULL, "yaml: %s", message);
	y->failed = true;
	return NULL;
}

/* Docker's YAML library counts lines from 0 but for the scanner's, and leaves 0 out. */
static void fail_as_docker(struct yaml *y, const yaml_parser_t *p, const char *problem)
{
	size_t line = p->context_mark.line ? p->context_mark.line : p->problem_mark.line;
	if (line && p->error == YAML_SCANNER_ERROR)
		line++;
	const char *text = line ? arena_fmt(y->l->a, "line %zu: %s", line, problem) : problem;
	fail_plain(y, mark_of(y, p->problem_mark), text);
}

/* What is wrong in this line is nearly always its tabs. */
static const char *tab_hint(struct str text, uint32_t line)
{
	struct str rest = text, found = {0};
	while (rest.ptr && line-- > 0)
		found = str_cut(&rest, '\n');
	size_t blank = 0;
	while (blank < found.len && found.ptr[blank] == ' ')
		blank++;
	return blank < found.len && found.ptr[blank] == '\t'
		       ? "indent with spaces: YAML takes no tabs there"
		       : NULL;
}

static bool next(struct yaml *y)
{
	yaml_event_delete(&y->event);
	if (yaml_parser_parse(&y->parser, &y->event))
		return true;
	memset(&y->event, 0, sizeof(y->event));
	const yaml_parser_t *p = &y->parser;
	const char *problem = p->problem ? p->problem : "the text cannot be read";
	if (p->error == YAML_READER_ERROR)
		fail(y, mark_at(y->l->sources[y->file].text, p->problem_offset, y->file), problem);
	else if (y->l->in->compat)
		fail_as_docker(y, p, problem);
	else
		fail_hint(y, mark_of(y, p->problem_mark), problem,
			tab_hint(y->l->sources[y->file].text, (uint32_t)p->problem_mark.line + 1));
	return false;
}

static struct node *make(struct yaml *y, enum node_kind kind, struct compose_mark at)
{
	if (++y->l->nodes > y->l->limits.nodes)
		return fail(y, at,
			arena_fmt(y->l->a,
				"the document has more than %zu values, aliases expanded: "
				"excessive aliasing?",
				y->l->limits.nodes));
	return node_new(y->l->a, kind, at);
}

static bool add_text(struct yaml *y, const char *text, struct compose_mark alias)
{
	if (loader_add_bytes(y->l, alias, NULL, strlen(text)))
		return true;
	y->failed = true;
	return false;
}

/* An alias stands for a copy: every node has one parent. */
static struct node *copy(
	struct yaml *y, const struct node *from, size_t depth, struct compose_mark alias)
{
	if (depth > y->l->limits.depth)
		return fail(y, alias,
			arena_fmt(y->l->a, "nested more than %zu deep", y->l->limits.depth));
	struct node *n = make(y, from->kind, from->at);
	if (!n)
		return NULL;
	if (node_is_scalar(from)) {
		*n = *from;
		if (n->kind == NODE_STRING && !add_text(y, n->text, alias))
			return NULL;
	} else if (from->kind == NODE_SEQ) {
		for (size_t i = 0; i < from->seq.len; i++) {
			struct node *item = copy(y, from->seq.items[i], depth + 1, alias);
			if (!item)
				return NULL;
			node_push(y->l->a, n, item);
		}
	} else {
		for (size_t i = 0; i < from->map.len; i++) {
			const struct node_entry *e = &from->map.entries[i];
			struct node *value = copy(y, e->value, depth + 1, alias);
			if (!value || !add_text(y, e->key, alias))
				return NULL;
			node_put(y->l->a, n, e->key, e->at, value);
		}
	}
	n->tag = NODE_PLAIN;
	n->open = false;
	return n;
}

static struct node *read_alias(struct yaml *y, size_t depth)
{
	const char *name = (const char *)y->event.data.alias.anchor;
	const struct node *from = map_gets(&y->anchors, name);
	if (!from)
		return fail_plain(
			y, here(y), arena_fmt(y->l->a, "unknown anchor '%s' referenced", name));
	if (from->open) {
		loader_error(
			y->l, here(y), NULL, NULL, "yaml: anchor '%s' value contains itself", name);
		y->failed = true;
		return NULL;
	}
	return copy(y, from, depth, here(y));
}

static bool take_tag(struct yaml *y, struct node *n, const char *tag)
{
	if (!tag || strcmp(tag, "!") == 0 || strncmp(tag, "tag:yaml.org,2002:", 18) == 0)
		return true;
	if (!y->l->in->compat && strcmp(tag, "!reset") == 0)
		n->tag = NODE_RESET;
	else if (!y->l->in->compat && strcmp(tag, "!override") == 0)
		n->tag = NODE_OVERRIDE;
	else if (!y->l->in->compat)
		loader_warn(y->l, n->at, NULL, NULL, "the tag %s means nothing here and is ignored",
			tag);
	return true;
}

static void resolve_time(struct yaml *y, struct node *n)
{
	const char *text = timestamp_text(y->l->a, n->text);
	n->time = text != NULL;
	n->text = text ? text : n->text;
}

/* Numbers that docker makes of a plain scalar, but JSON has not, or int64_t. */
static void resolve_docker(struct yaml *y, struct node *n, const char *text)
{
	static const char *const words[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF",
		"-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN"};
	uint64_t large;
	for (size_t i = 0; n->kind == NODE_STRING && i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i], text) != 0)
			continue;
		const char *name = i < 6 ? "+Inf" : i < 9 ? "-Inf" : "NaN";
		loader_error(
			y->l, n->at, NULL, "put it in quotes", "json: unsupported value: %s", name);
		y->refused = true;
		return;
	}
	n->raw = n->kind == NODE_FLOAT && *text != '0' && str_to_u64(str_of(text), &large) ? text
											   : NULL;
	if (n->kind == NODE_STRING)
		resolve_time(y, n);
}

/* A scalar with one of YAML's own tags must read as what the tag says. */
static bool resolve_tagged(struct yaml *y, struct node *n, const char *text, const char *type)
{
	static const struct {
		const char *type;
		enum node_kind kind;
	} known[] = {
		{"null", NODE_NULL}, {"bool", NODE_BOOL}, {"int", NODE_INT}, {"float", NODE_FLOAT}};
	bool time = strcmp(type, "timestamp") == 0;
	if (strcmp(type, "str") == 0 || time) {
		n->kind = NODE_STRING;
		n->text = text;
		if (time && y->l->in->compat)
			resolve_time(y, n);
		return true;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(type, known[i].type) != 0)
			continue;
		node_resolve(n, text);
		if (y->l->in->compat)
			n->raw = NULL;
		if (n->kind == NODE_INT && known[i].kind == NODE_FLOAT) {
			n->kind = NODE_FLOAT;
			n->real = (double)n->number;
		}
		if (n->kind == known[i].kind)
			return true;
		fail(y, n->at, arena_fmt(y->l->a, "cannot decode `%s` as a !!%s", text, type));
		return false;
	}
	fail(y, n->at, arena_fmt(y->l->a, "the tag !!%s is not supported", type));
	return false;
}

static struct node *read_scalar(struct yaml *y)
{
	const char *value = (const char *)y->event.data.scalar.value;
	size_t len = y->event.data.scalar.length;
	const char *tag = (const char *)y->event.data.scalar.tag;
	struct node *n = make(y, NODE_STRING, here(y));
	if (!n)
		return NULL;
	if (memchr(value, '\0', len))
		return fail(y, n->at, "a string may not hold a NUL byte");
	const char *text = arena_strndup(y->l->a, value, len);
	bool plain = y->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (tag && strncmp(tag, "tag:yaml.org,2002:", 18) == 0) {
		if (!resolve_tagged(y, n, text, tag + 18))
			return NULL;
	} else if (plain && !(tag && strcmp(tag, "!") == 0)) {
		node_resolve(n, text);
		if (y->l->in->compat)
			resolve_docker(y, n, text);
	} else {
		n->text = text;
	}
	return take_tag(y, n, tag) ? n : NULL;
}

static struct node *read_seq(struct yaml *y, size_t depth)
{
	struct node *n = make(y, NODE_SEQ, here(y));
	if (!n || !take_tag(y, n, (const char *)y->event.data.sequence_start.tag))
		return NULL;
	const char *anchor = (const char *)y->event.data.sequence_start.anchor;
	if (anchor) {
		n->open = true;
		map_puts(&y->anchors, anchor, n);
	}
	while (next(y) && y->event.type != YAML_SEQUENCE_END_EVENT) {
		struct node *item = read_node(y, depth + 1);
		if (!item)
			return NULL;
		node_push(y->l->a, n, item);
	}
	n->open = false;
	return y->failed ? NULL : n;
}

/* A mapping that is being read: its keys are hashed when they become many. */
struct keys {
	struct node *map;
	struct map hash;     /* empty, or all but the last few */
	struct node *merges; /* the values of `<<` */
};

static bool keys_have(struct keys *k, const char *key)
{
	enum { MANY = 16 };
	if (k->map->map.len < MANY)
		return node_entry(k->map, key) != NULL;
	for (size_t i = map_len(&k->hash); i < k->map->map.len; i++)
		map_puts(&k->hash, k->map->map.entries[i].key, k);
	return map_gets(&k->hash, key) != NULL;
}

/* What `<<` brings comes behind the mapping's own keys and never replaces one. */
static bool merge_keys(struct yaml *y, struct keys *keys, const struct node *from)
{
	if (from->kind == NODE_SEQ) {
		for (size_t i = 0; i < from->seq.len; i++) {
			if (from->seq.items[i]->kind != NODE_MAP)
				break;
			if (!merge_keys(y, keys, from->seq.items[i]))
				return false;
			if (i + 1 == from->seq.len)
				return true;
		}
		if (from->seq.len == 0)
			return true;
	} else if (from->kind == NODE_MAP) {
		for (size_t i = 0; i < from->map.len; i++) {
			const struct node_entry *e = &from->map.entries[i];
			if (!keys_have(keys, e->key))
				node_put(y->l->a, keys->map, e->key, e->at, e->value);
		}
		return true;
	}
	fail_plain(y, from->at, "map merge requires map or sequence of maps as the value");
	return false;
}

static void refuse_twin(
	struct yaml *y, const struct keys *keys, const char *key, struct compose_mark at)
{
	const struct node_entry *first = node_entry(keys->map, key);
	uint32_t line = first ? first->at.line : keys->merges->seq.items[0]->at.line;
	const char *hint = "keep one of the two";
	if (y->l->in->compat)
		loader_error(y->l, at, NULL, hint,
			"yaml: unmarshal errors:\n  line %u: mapping key \"%s\" already defined at "
			"line %u",
			at.line, key, line);
	else
		loader_error(y->l, at, NULL, hint, "the key \"%s\" is already defined at line %u",
			key, line);
	y->refused = true;
}

static void refuse_key(struct yaml *y, const struct node *key)
{
	y->refused = true;
	if (y->l->in->compat && node_is_scalar(key))
		loader_error(y->l, key->at, NULL, "put the key in quotes",
			"json: unsupported type: map[interface {}]interface {}");
	else
		loader_error(y->l, key->at, NULL, "put it in quotes", "non-string key: %s",
			node_is_scalar(key) ? node_scalar_text(y->l->a, key)
					    : "a list or a mapping");
}

/* A key and its value, at the key's event. */
static bool read_entry(struct yaml *y, struct keys *keys, size_t depth)
{
	bool plain = y->event.type == YAML_SCALAR_EVENT &&
		     y->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		     !y->event.data.scalar.tag;
	struct node *key = read_node(y, depth + 1);
	if (!key)
		return false;
	struct node *value = next(y) ? read_node(y, depth + 1) : NULL;
	if (!value)
		return false;
	if (key->kind != NODE_STRING || key->time) {
		refuse_key(y, key);
		return true;
	}
	bool merge = plain && strcmp(key->text, "<<") == 0;
	if (keys_have(keys, key->text) || (merge && keys->merges->seq.len))
		refuse_twin(y, keys, key->text, key->at);
	else if (merge)
		node_push(y->l->a, keys->merges, value);
	else
		node_put(y->l->a, keys->map, key->text, key->at, value);
	return true;
}

static bool read_entries(struct yaml *y, struct keys *keys, size_t depth)
{
	while (next(y) && y->event.type != YAML_MAPPING_END_EVENT)
		if (!read_entry(y, keys, depth))
			return false;
	for (size_t i = 0; i < keys->merges->seq.len && !y->failed; i++)
		merge_keys(y, keys, keys->merges->seq.items[i]);
	return !y->failed;
}

static struct node *read_map(struct yaml *y, size_t depth)
{
	struct node *n = make(y, NODE_MAP, here(y));
	if (!n || !take_tag(y, n, (const char *)y->event.data.mapping_start.tag))
		return NULL;
	const char *anchor = (const char *)y->event.data.mapping_start.anchor;
	if (anchor) {
		n->open = true;
		map_puts(&y->anchors, anchor, n);
	}
	struct keys keys = {.map = n, .merges = node_new(y->l->a, NODE_SEQ, n->at)};
	map_init(&keys.hash);
	bool ok = read_entries(y, &keys, depth);
	map_finish(&keys.hash);
	n->open = false;
	return ok ? n : NULL;
}

static struct node *read_node(struct yaml *y, size_t depth)
{
	if (depth > y->l->limits.depth)
		return fail(y, here(y),
			arena_fmt(y->l->a, "nested more than %zu deep", y->l->limits.depth));
	if (y->event.type == YAML_ALIAS_EVENT)
		return read_alias(y, depth);
	if (y->event.type == YAML_SEQUENCE_START_EVENT)
		return read_seq(y, depth);
	if (y->event.type == YAML_MAPPING_START_EVENT)
		return read_map(y, depth);
	if (y->event.type != YAML_SCALAR_EVENT)
		return fail(y, here(y), "a value was expected");
	const char *anchor = (const char *)y->event.data.scalar.anchor;
	struct node *n = read_scalar(y);
	if (n && anchor)
		map_puts(&y->anchors, anchor, n);
	return n;
}

static struct node *read_document(struct yaml *y)
{
	while (next(y)) {
		if (y->event.type == YAML_STREAM_END_EVENT)
			return node_new(y->l->a, NODE_NULL,
				(struct compose_mark){.line = 1, .column = 1, .file = y->file});
		if (y->event.type == YAML_DOCUMENT_START_EVENT)
			return next(y) ? read_node(y, 1) : NULL;
	}
	return NULL;
}

/* Docker says nothing of it. What cannot be read there is nobody's error. */
static void warn_of_more(struct yaml *y)
{
	yaml_event_t e;
	struct compose_mark at = {.file = y->file};
	bool begun = false, filled = false;
	for (bool more = !y->l->in->compat; more && yaml_parser_parse(&y->parser, &e);) {
		if (e.type == YAML_DOCUMENT_START_EVENT)
			at = mark_of(y, e.start_mark);
		filled = begun && (e.type != YAML_SCALAR_EVENT || e.data.scalar.length > 0);
		begun = e.type == YAML_DOCUMENT_START_EVENT;
		more = begun || e.type == YAML_DOCUMENT_END_EVENT;
		yaml_event_delete(&e);
	}
	if (filled)
		loader_warn(y->l, at, NULL, "put it into a file of its own, and give that with -c too",
			"only the first document of a file is read: what begins here is left out");
}

struct node *yaml_load(struct loader *l, uint16_t file)
{
	struct str text = l->sources[file].text;
	size_t valid = str_utf8_valid_upto(text);
	struct yaml y = {.l = l, .file = file};
	if (valid < text.len)
		return fail_hint(&y, mark_at(text, valid, file), "the text is not UTF-8",
			str_starts(text, "\xff\xfe") || str_starts(text, "\xfe\xff")
				? "it looks like UTF-16: save it as UTF-8"
				: "save it as UTF-8");
	if (!yaml_parser_initialize(&y.parser))
		return fail(&y, (struct compose_mark){.line = 1, .column = 1, .file = file},
			"out of memory");
	yaml_parser_set_encoding(&y.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&y.parser, (const unsigned char *)(text.len ? text.ptr : ""), text.len);
	map_init(&y.anchors);
	struct node *root = read_document(&y);
	if (root && !y.failed)
		warn_of_more(&y);
	yaml_event_delete(&y.event);
	yaml_parser_delete(&y.parser);
	map_finish(&y.anchors);
	if (root && root->kind != NODE_MAP) {
		loader_error(l, root->at, NULL, "begin with \"services:\"",
			"top-level object must be a mapping");
		return NULL;
	}
	return y.failed || y.refused ? NULL : root;
}
