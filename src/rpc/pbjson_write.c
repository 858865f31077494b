#include "rpc/pbjson.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/map.h"
#include "rpc/method.h"
#include "rpc/pbjson_impl.h"

static void put_message(
	struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message);

/* ---- scalars ---- */

static void put_escape(struct buf *b, unsigned char c)
{
	if (c == '"' || c == '\\')
		buf_fmt(b, "\\%c", c);
	else if (c == '\n')
		buf_adds(b, "\\n");
	else if (c == '\t')
		buf_adds(b, "\\t");
	else if (c == '\r')
		buf_adds(b, "\\r");
	else
		buf_fmt(b, "\\u%04x", c);
}

void pbjson_put_string(struct buf *b, struct str text)
{
	size_t from = 0, i = 0;
	buf_addc(b, '"');
	while ((i += str_plain_upto(str_make(text.ptr + i, text.len - i), ' ')) < text.len) {
		unsigned char c = (unsigned char)text.ptr[i++];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, text.ptr + from, i - 1 - from);
		from = i;
		put_escape(b, c);
	}
	buf_add(b, text.ptr + from, text.len - from);
	buf_addc(b, '"');
}

/* The fewest digits that give the same number back; without the locale's comma. */
static void put_number(struct buf *b, double v, bool is_float)
{
	char text[40];
	int least = is_float ? FLT_DIG : DBL_DIG, most = is_float ? 9 : 17;
	if (isnan(v)) {
		buf_adds(b, "\"NaN\"");
		return;
	}
	if (isinf(v)) {
		buf_adds(b, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
		return;
	}
	for (int digits = least; digits <= most; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, v);
		bool same = is_float ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
		if (same)
			break;
	}
	for (char *p = text; *p; p++)
		if (*p == ',')
			*p = '.';
	buf_adds(b, text);
}

static void put_enum(struct buf *b, const ProtobufCEnumDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
	if (strcmp(d->name, "google.protobuf.NullValue") == 0)
		buf_adds(b, "null");
	else if (v)
		buf_fmt(b, "\"%s\"", v->name);
	else
		buf_fmt(b, "%d", value);
}

static void put_bytes(struct buf *b, const ProtobufCBinaryData *bytes)
{
	struct arena *a = arena_create();
	buf_addc(b, '"');
	buf_adds(b, str_base64(a, bytes->data, bytes->len));
	buf_addc(b, '"');
	arena_destroy(a);
}

/* An entry of a map may come without its value: that is one with its defaults. */
static void put_sub_message(struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message)
{
	if (message) {
		put_message(b, m, message);
		return;
	}
	struct arena *a = arena_create();
	put_message(b, m, pbjson_new(a, m->descriptor));
	arena_destroy(a);
}

static void put_value(struct buf *b, const ProtobufCFieldDescriptor *d,
	const struct rpc_message *message, const void *at)
{
	switch (d->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		buf_add_i64(b, *(const int32_t *)at);
		return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		buf_add_u64(b, *(const uint32_t *)at);
		return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		buf_addc(b, '"');
		buf_add_i64(b, *(const int64_t *)at);
		buf_addc(b, '"');
		return;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		buf_addc(b, '"');
		buf_add_u64(b, *(const uint64_t *)at);
		buf_addc(b, '"');
		return;
	case PROTOBUF_C_TYPE_FLOAT:
		put_number(b, (double)*(const float *)at, true);
		return;
	case PROTOBUF_C_TYPE_DOUBLE:
		put_number(b, *(const double *)at, false);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		buf_adds(b, *(const protobuf_c_boolean *)at ? "true" : "false");
		return;
	case PROTOBUF_C_TYPE_ENUM:
		put_enum(b, d->descriptor, *(const int *)at);
		return;
	case PROTOBUF_C_TYPE_STRING:
		pbjson_put_string(b, str_of(*(char *const *)at));
		return;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(b, at);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		if (message) /* always */
			put_sub_message(b, message, *(const ProtobufCMessage *const *)at);
		return;
	}
}

/* Numbers and strings as plain text. */
static bool put_plain(struct buf *b, const ProtobufCFieldDescriptor *d, const void *at)
{
	if (d->type == PROTOBUF_C_TYPE_STRING) {
		struct str text = str_of(*(char *const *)at);
		for (size_t i = 0; i < text.len; i++)
			if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
				return false;
		buf_add_str(b, text);
		return text.len > 0;
	}
	if (d->type == PROTOBUF_C_TYPE_INT64)
		buf_add_i64(b, *(const int64_t *)at);
	else if (d->type == PROTOBUF_C_TYPE_UINT64)
		buf_add_u64(b, *(const uint64_t *)at);
	else if (d->type == PROTOBUF_C_TYPE_INT32)
		buf_add_i64(b, *(const int32_t *)at);
	else
		return false;
	return true;
}

/* ---- fields ---- */

static bool is_zero(const ProtobufCFieldDescriptor *d, const void *at)
{
	static const char zeros[16];
	if (d->type == PROTOBUF_C_TYPE_STRING)
		return !*(char *const *)at || !**(char *const *)at;
	if (d->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)at)->len == 0;
	return memcmp(at, zeros, pbjson_size_of(d->type)) ==
	       0; /* -0.0 is not zero: it is written */
}

static bool is_set(const ProtobufCFieldDescriptor *d, const char *base)
{
	if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(const void *)(base + d->quantifier_offset) == d->id;
	if (d->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(const void *)(base + d->quantifier_offset) > 0;
	return !is_zero(d, base + d->offset);
}

/* A key is a JSON string, whatever its type. */
static void put_key(struct buf *b, const ProtobufCFieldDescriptor *d, const void *at)
{
	size_t from = b->len;
	put_value(b, d, NULL, at);
	if (b->ptr[from] == '"')
		return;
	buf_addc(b, '"');
	buf_reserve(b, 1);
	memmove(b->ptr + from + 1, b->ptr + from, b->len - from);
	b->ptr[from] = '"';
	b->len++;
}

/* Of each key the last entry: more of them may have come, by the binary format, and JSON has no place for two. */
static void find_last_entries(struct map *last, const ProtobufCFieldDescriptor *key, size_t n, char *const *entries)
{
	struct buf text = {0};
	map_init(last);
	for (size_t i = 0; i < n; i++) {
		text.len = 0;
		put_key(&text, key, entries[i] + key->offset);
		(void)map_put(last, buf_str(&text), entries[i]);
	}
	buf_finish(&text);
}

static void put_map(struct buf *b, const struct rpc_field *f, size_t n, char *const *entries)
{
	const ProtobufCMessageDescriptor *entry = f->message->descriptor;
	const ProtobufCFieldDescriptor *key = &entry->fields[0], *value = &entry->fields[1];
	struct map last;
	bool first = true;
	find_last_entries(&last, key, n, entries);
	buf_addc(b, '{');
	for (size_t i = 0; i < n; i++) {
		size_t from = b->len;
		put_key(b, key, entries[i] + key->offset);
		bool is_last = map_get(&last, str_make(b->ptr + from, b->len - from)) == entries[i];
		b->len = from;
		if (!is_last)
			continue;
		if (!first)
			buf_addc(b, ',');
		first = false;
		put_key(b, key, entries[i] + key->offset);
		buf_addc(b, ':');
		put_value(b, value, f->message->fields[1].message, entries[i] + value->offset);
	}
	buf_addc(b, '}');
	map_finish(&last);
}

static void put_field(struct buf *b, const struct rpc_field *f, const ProtobufCFieldDescriptor *d,
	const char *base)
{
	if (d->label != PROTOBUF_C_LABEL_REPEATED) {
		put_value(b, d, f->message, base + d->offset);
		return;
	}
	size_t n = *(const size_t *)(const void *)(base + d->quantifier_offset);
	const char *items = *(const char *const *)(const void *)(base + d->offset);
	if (f->is_map) {
		put_map(b, f, n, (char *const *)(const void *)items);
		return;
	}
	buf_addc(b, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_addc(b, ',');
		put_value(b, d, f->message, items + i * pbjson_size_of(d->type));
	}
	buf_addc(b, ']');
}

/* Without the braces; `first`: nothing stands before. */
static void put_fields(
	struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message, bool first)
{
	for (unsigned i = 0; i < m->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
		if (!is_set(d, (const char *)message))
			continue;
		if (!first)
			buf_addc(b, ',');
		first = false;
		buf_addc(b, '"');
		buf_adds(b, m->fields[i].json_name);
		buf_adds(b, "\":");
		put_field(b, &m->fields[i], d, (const char *)message);
	}
}

/* ---- well-known types ---- */

static const void *member(const struct rpc_message *m, const ProtobufCMessage *message, unsigned i)
{
	return (const char *)message + m->descriptor->fields[i].offset;
}

static void put_list(struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message)
{
	put_field(b, &m->fields[0], &m->descriptor->fields[0], (const char *)message);
}

/* One of the kinds, which are a oneof. */
static void put_any_value(
	struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message)
{
	for (unsigned i = 0; i < m->n_fields; i++) {
		if (!is_set(&m->descriptor->fields[i], (const char *)message))
			continue;
		put_field(b, &m->fields[i], &m->descriptor->fields[i], (const char *)message);
		return;
	}
	buf_adds(b, "null");
}

/* snake_case to camelCase, joined by commas */
static void put_mask(struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message)
{
	const ProtobufCFieldDescriptor *d = &m->descriptor->fields[0];
	size_t n = *(const size_t *)(const void *)((const char *)message + d->quantifier_offset);
	char *const *paths = *(char *const *const *)member(m, message, 0);
	struct buf text = {0};
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_addc(&text, ',');
		for (const char *p = paths[i]; *p; p++) {
			bool up = *p == '_' && p[1] >= 'a' && p[1] <= 'z';
			buf_addc(&text, up ? (char)(*++p - 'a' + 'A') : *p);
		}
	}
	pbjson_put_string(b, buf_str(&text));
	buf_finish(&text);
}

static const struct rpc_message *find_type(const struct rpc_message *any, struct str url)
{
	const char *slash = memrchr(url.ptr, '/', url.len);
	struct str name =
		slash ? str_make(slash + 1, url.len - (size_t)(slash + 1 - url.ptr)) : url;
	return rpc_registry_find(any->registry, name);
}

static void put_any(struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message)
{
	struct str url = str_of(*(char *const *)member(m, message, 0));
	const ProtobufCBinaryData *value = member(m, message, 1);
	const struct rpc_message *type = find_type(m, url);
	struct arena *a = arena_create();
	ProtobufCMessage *inner = NULL;
	struct status st = status_err(ST_NOT_FOUND, "no such type");
	if (type)
		st = codec_proto_unpack(a, type->descriptor,
			str_make((const char *)value->data, value->len), &inner);
	buf_addc(b, '{');
	if (url.len > 0 || value->len > 0) {
		buf_adds(b, "\"@type\":");
		pbjson_put_string(b, url);
	}
	if (!type || !status_is_ok(&st)) { /* a type we do not know: what it holds, as bytes */
		if (value->len > 0) {
			buf_adds(b, ",\"value\":");
			put_bytes(b, value);
		}
	} else if (type->wkt != RPC_WKT_NONE) {
		buf_adds(b, ",\"value\":");
		put_message(b, type, inner);
	} else {
		put_fields(b, type, inner, false);
	}
	buf_addc(b, '}');
	arena_destroy(a);
}

static void put_message(struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message)
{
	switch (m->wkt) {
	case RPC_WKT_NONE:
	case RPC_WKT_EMPTY:
		buf_addc(b, '{');
		put_fields(b, m, message, true);
		buf_addc(b, '}');
		return;
	case RPC_WKT_TIMESTAMP:
		pbjson_put_timestamp(b, *(const int64_t *)member(m, message, 0),
			*(const int32_t *)member(m, message, 1));
		return;
	case RPC_WKT_DURATION:
		pbjson_put_duration(b, *(const int64_t *)member(m, message, 0),
			*(const int32_t *)member(m, message, 1));
		return;
	case RPC_WKT_ANY:
		put_any(b, m, message);
		return;
	case RPC_WKT_STRUCT:
	case RPC_WKT_LIST_VALUE:
		put_list(b, m, message);
		return;
	case RPC_WKT_VALUE:
		put_any_value(b, m, message);
		return;
	case RPC_WKT_FIELD_MASK:
		put_mask(b, m, message);
		return;
	case RPC_WKT_WRAPPER:
		put_value(b, &m->descriptor->fields[0], NULL, member(m, message, 0));
		return;
	}
}

bool pbjson_text(
	struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message, const char *path)
{
	struct str rest = str_of(path);
	while (message) {
		struct str name = str_cut(&rest, '.');
		unsigned i = 0;
		while (i < m->n_fields && !str_is(name, m->fields[i].name))
			i++;
		if (i == m->n_fields || m->descriptor->fields[i].label == PROTOBUF_C_LABEL_REPEATED)
			return false;
		const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
		const void *at = member(m, message, i);
		if (!rest.ptr)
			return put_plain(b, d, at);
		if (d->type != PROTOBUF_C_TYPE_MESSAGE)
			return false;
		m = m->fields[i].message;
		message = *(const ProtobufCMessage *const *)at;
	}
	return false;
}

static void pack(struct buf *b, const struct rpc_message *m, const ProtobufCMessage *message)
{
	put_message(b, m, message);
}

static struct status unpack(struct arena *a, const struct rpc_message *m, struct str bytes,
	ProtobufCMessage **ret_message)
{
	*ret_message = pbjson_new(a, m->descriptor);
	return pbjson_merge(a, m, bytes, *ret_message);
}

const struct rpc_codec codec_json = {"json", unpack, pack};
