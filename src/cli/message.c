#include "cli/message.h"
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include "base/arena.h"
#include "base/clock.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "rpc/codec.h"

/* ---- scalars ---- */

static json_t *text_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static json_t *text_of(const char *fmt, ...)
{
	char text[64];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return json_string(text);
}

static json_t *real_json(double v)
{
	if (isnan(v))
		return json_string("NaN");
	if (isinf(v))
		return json_string(v > 0 ? "Infinity" : "-Infinity");
	return json_real(v);
}

static json_t *enum_json(const ProtobufCEnumDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
	return v ? json_string(v->name) : json_integer(value);
}

static json_t *bytes_json(const ProtobufCBinaryData *b)
{
	struct arena *a = arena_create();
	json_t *j = json_string(str_base64(a, b->data, b->len));
	arena_destroy(a);
	return j;
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	}
	return 0;
}

/* One value; NULL for an absent message. */
static json_t *value_json(
	const ProtobufCFieldDescriptor *d, const struct rpc_field *f, const void *p)
{
	const char *s;
	const ProtobufCMessage *sub;
	switch (d->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_integer(*(const int32_t *)p);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_integer(*(const uint32_t *)p);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return text_of("%" PRId64, *(const int64_t *)p);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return text_of("%" PRIu64, *(const uint64_t *)p);
	case PROTOBUF_C_TYPE_FLOAT:
		return real_json((double)*(const float *)p);
	case PROTOBUF_C_TYPE_DOUBLE:
		return real_json(*(const double *)p);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)p);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_json(d->descriptor, *(const int *)p);
	case PROTOBUF_C_TYPE_STRING:
		s = *(const char *const *)p;
		return json_lossy(str_of(s));
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_json(p);
	case PROTOBUF_C_TYPE_MESSAGE:
		sub = *(const ProtobufCMessage *const *)p;
		return sub ? message_json(f->message, sub) : NULL;
	}
	return NULL;
}

/* ---- fields ---- */

static const char *member(const ProtobufCMessage *message, unsigned offset)
{
	return (const char *)message + offset;
}

static json_t *list_json(
	const ProtobufCFieldDescriptor *d, const struct rpc_field *f, const ProtobufCMessage *message)
{
	size_t n = *(const size_t *)(const void *)member(message, d->quantifier_offset);
	const char *items = *(const char *const *)(const void *)member(message, d->offset);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, value_json(d, f, items + i * size_of(d->type)));
	return list;
}

/* A map's key as JSON has it: always text. */
static char *key_text(struct arena *a, json_t *key)
{
	if (json_is_string(key))
		return arena_strdup(a, json_string_value(key));
	return json_to_text(a, key);
}

static json_t *map_json(
	const ProtobufCFieldDescriptor *d, const struct rpc_field *f, const ProtobufCMessage *message)
{
	size_t n = *(const size_t *)(const void *)member(message, d->quantifier_offset);
	ProtobufCMessage *const *items =
		*(ProtobufCMessage *const *const *)(const void *)member(message, d->offset);
	struct arena *a = arena_create();
	json_t *map = json_object();
	for (size_t i = 0; i < n; i++) {
		json_t *entry = message_json(f->message, items[i]);
		json_t *value = json_object_get(entry, "value");
		json_object_set(map, key_text(a, json_object_get(entry, "key")),
			value ? value : json_null());
		json_decref(entry);
	}
	arena_destroy(a);
	return map;
}

static bool is_set(const ProtobufCFieldDescriptor *d, const ProtobufCMessage *message)
{
	if (!(d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		return true;
	return *(const uint32_t *)(const void *)member(message, d->quantifier_offset) == d->id;
}

static json_t *time_json(int64_t us)
{
	struct arena *a = arena_create();
	json_t *j = json_string(time_rfc3339(a, us));
	arena_destroy(a);
	return j;
}

static json_t *span_json(const Google__Protobuf__Duration *d)
{
	bool negative = d->seconds < 0 || d->nanos < 0;
	int nanos = d->nanos < 0 ? -d->nanos : d->nanos;
	uint64_t seconds = d->seconds < 0 ? 0 - (uint64_t)d->seconds : (uint64_t)d->seconds;
	if (nanos == 0)
		return text_of("%s%" PRIu64 "s", negative ? "-" : "", seconds);
	return text_of("%s%" PRIu64 ".%09ds", negative ? "-" : "", seconds, nanos);
}

json_t *message_json(const struct rpc_message *m, const ProtobufCMessage *message)
{
	if (m->wkt == RPC_WKT_TIMESTAMP)
		return time_json(message_time_us((const Google__Protobuf__Timestamp *)message));
	if (m->wkt == RPC_WKT_DURATION)
		return span_json((const Google__Protobuf__Duration *)message);
	json_t *object = json_object();
	for (unsigned i = 0; i < m->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
		const struct rpc_field *f = &m->fields[i];
		json_t *value = NULL;
		if (f->is_map)
			value = map_json(d, f, message);
		else if (d->label == PROTOBUF_C_LABEL_REPEATED)
			value = list_json(d, f, message);
		else if (is_set(d, message))
			value = value_json(d, f, member(message, d->offset));
		if (value)
			json_object_set_new(object, f->json_name, value);
	}
	return object;
}

/* ---- beside JSON ---- */

ProtobufCMessage *message_copy(
	struct arena *a, const struct rpc_message *m, const ProtobufCMessage *message)
{
	struct buf bytes = {0};
	ProtobufCMessage *copy = NULL;
	codec_proto.pack(&bytes, m, message);
	struct status st = codec_proto_unpack(a, m->descriptor, buf_str(&bytes), &copy);
	buf_finish(&bytes);
	return status_is_ok(&st) ? copy : NULL;
}

const ProtobufCFieldDescriptor *message_field(const ProtobufCMessage *message, const char *name)
{
	return protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
}

const struct rpc_field *message_items(const struct rpc_message *m, const ProtobufCMessage *message,
	size_t *ret_len, ProtobufCMessage ***ret_items)
{
	for (unsigned i = 0; i < m->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
		if (d->label != PROTOBUF_C_LABEL_REPEATED || d->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		*ret_len = *(const size_t *)(const void *)member(message, d->quantifier_offset);
		*ret_items = *(ProtobufCMessage **const *)(const void *)member(message, d->offset);
		return &m->fields[i];
	}
	return NULL;
}

int64_t message_time_us(const Google__Protobuf__Timestamp *t)
{
	return t ? t->seconds * 1000000 + t->nanos / 1000 : 0;
}

/* ---- enums ---- */

/* Behind "JOB_STATE_" of "JOB_STATE_SUCCEEDED", which is how the type JobState begins its names. */
static const char *without_prefix(const ProtobufCEnumDescriptor *d, const char *name)
{
	const char *type = d->short_name, *at = name;
	for (; *type; type++) {
		if (isupper((unsigned char)*type) && type != d->short_name && *at++ != '_')
			return name;
		if (*at++ != toupper((unsigned char)*type))
			return name;
	}
	return *at == '_' ? at + 1 : name;
}

const char *enum_word(struct arena *a, const ProtobufCEnumDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
	if (!v)
		return arena_fmt(a, "%d", value);
	char *word = arena_strdup(a, without_prefix(d, v->name));
	for (char *p = word; *p; p++)
		*p = *p == '_' ? ' ' : (char)tolower((unsigned char)*p);
	return strcmp(word, "unspecified") == 0 ? "" : word;
}

bool enum_parse(const ProtobufCEnumDescriptor *d, const char *word, int *ret_value)
{
	for (unsigned i = 0; i < d->n_values; i++) {
		if (d->values[i].value == 0 || strcasecmp(without_prefix(d, d->values[i].name), word) != 0)
			continue;
		*ret_value = d->values[i].value;
		return true;
	}
	return false;
}
