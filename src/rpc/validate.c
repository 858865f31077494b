#include "rpc/validate.h"
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/rng.h"
#include "base/str.h"

#define PATTERNS      8
#define KEY_SHOWN     ((size_t)64)
#define TEXT_IN_REGEX ((size_t)64 * 1024)

/* The way to the present field; written out only for a violation. */
struct level {
	const struct level *up;
	const char *name;
	bool indexed;
	size_t index;
	const char *key; /* of a map's entry */
};

struct check {
	struct arena *arena;
	struct rpc_violation *violations;
	size_t n;
	struct { /* compiling costs more than matching, and lists repeat their pattern */
		const char *text;
		regex_t regex;
	} patterns[PATTERNS];
	size_t n_patterns;
};

/* A key is the caller's text: cut, but not inside a character. */
static int key_len(const char *key)
{
	size_t len = strnlen(key, KEY_SHOWN + 1);
	if (len <= KEY_SHOWN)
		return (int)len;
	for (len = KEY_SHOWN; len > 0 && ((unsigned char)key[len] & 0xc0) == 0x80;)
		len--;
	return (int)len;
}

static void write_path(struct buf *b, const struct level *at)
{
	if (at->up) {
		write_path(b, at->up);
		buf_addc(b, '.');
	}
	buf_adds(b, at->name);
	if (at->key)
		buf_fmt(b, "[\"%.*s\"]", key_len(at->key), at->key);
	else if (at->indexed)
		buf_fmt(b, "[%zu]", at->index);
}

static void __attribute__((format(printf, 3, 4)))
violated(struct check *c, const struct level *at, const char *fmt, ...)
{
	if (c->n > VALIDATE_MAX_VIOLATIONS)
		return;
	struct rpc_violation *v = &c->violations[c->n++];
	if (c->n > VALIDATE_MAX_VIOLATIONS) {
		*v = (struct rpc_violation){"", "there are more; only the first 100 are listed"};
		return;
	}
	struct buf path = {0};
	va_list ap;
	write_path(&path, at);
	v->field = str_dup(c->arena, buf_str(&path));
	buf_finish(&path);
	va_start(ap, fmt);
	v->description = arena_vfmt(c->arena, fmt, ap);
	va_end(ap);
}

/* ---- one value ---- */

static const regex_t *pattern_of(struct check *c, const char *text)
{
	for (size_t i = 0; i < c->n_patterns; i++)
		if (c->patterns[i].text == text)
			return &c->patterns[i].regex;
	if (c->n_patterns == PATTERNS)
		regfree(&c->patterns[--c->n_patterns].regex);
	size_t i = c->n_patterns;
	if (regcomp(&c->patterns[i].regex, text, REG_EXTENDED | REG_NOSUB) != 0)
		return NULL;
	c->patterns[i].text = text;
	c->n_patterns++;
	return &c->patterns[i].regex;
}

static size_t count_chars(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void check_len(struct check *c, const struct level *at, const struct rpc_field *f,
	size_t len, const char *unit)
{
	if (f->max_len && len > f->max_len)
		violated(c, at, "is %zu %s long; at most %" PRIu32 " are allowed", len, unit,
			f->max_len);
	else if (len < f->min_len)
		violated(c, at, "is %zu %s long; at least %" PRIu32 " are needed", len, unit,
			f->min_len);
}

static void check_string(
	struct check *c, const struct level *at, const struct rpc_field *f, const char *s)
{
	struct uuid uuid;
	size_t bytes = strlen(s);
	check_len(c, at, f, count_chars(s), "characters");
	if (f->uuid && !uuid_parse(s, &uuid))
		violated(c, at,
			"is not a UUID (36 characters, like 018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f)");
	if (!f->pattern || bytes > TEXT_IN_REGEX || (f->max_len && bytes > 4 * (size_t)f->max_len))
		return;
	const regex_t *regex = pattern_of(c, f->pattern);
	if (!regex || regexec(regex, s, 0, NULL, 0) == 0)
		return;
	if (f->pattern_help)
		violated(c, at, "must be %s", f->pattern_help);
	else
		violated(c, at, "must match %s", f->pattern);
}

static void check_number(
	struct check *c, const struct level *at, const struct rpc_field *f, int64_t v)
{
	if (f->has_min && v < f->min)
		violated(c, at, "is %" PRId64 "; must be at least %" PRId64, v, f->min);
	if (f->has_max && v > f->max)
		violated(c, at, "is %" PRId64 "; must be at most %" PRId64, v, f->max);
}

static void check_double(
	struct check *c, const struct level *at, const struct rpc_field *f, double v)
{
	if (f->has_min && !(v >= (double)f->min)) /* NaN is out of every range */
		violated(c, at, "is %g; must be at least %" PRId64, v, f->min);
	if (f->has_max && !(v <= (double)f->max))
		violated(c, at, "is %g; must be at most %" PRId64, v, f->max);
}

static void check_enum(struct check *c, const struct level *at, const struct rpc_field *f,
	const ProtobufCEnumDescriptor *d, int v)
{
	if (!f->open_enum && !protobuf_c_enum_descriptor_get_value(d, v))
		violated(c, at, "%d is no value of %s", v, d->name);
}

static void check_message(struct check *c, const struct level *up, const struct rpc_message *m,
	const ProtobufCMessage *message);

static void check_timestamp(
	struct check *c, const struct level *at, const ProtobufCMessage *message)
{
	const ProtobufCFieldDescriptor *d = message->descriptor->fields;
	const int64_t *seconds = (const void *)((const char *)message + d[0].offset);
	const int32_t *nanos = (const void *)((const char *)message + d[1].offset);
	if (*seconds < -62135596800 || *seconds > 253402300799)
		violated(c, at, "is not a time of the years 1 to 9999");
	if (*nanos < 0 || *nanos > 999999999)
		violated(c, at, "has nanos outside 0 to 999999999");
}

static void check_one(struct check *c, const struct level *at, const ProtobufCFieldDescriptor *d,
	const struct rpc_field *f, const void *p)
{
	switch (d->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		check_number(c, at, f, *(const int32_t *)p);
		return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		check_number(c, at, f, *(const int64_t *)p);
		return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		check_number(c, at, f, *(const uint32_t *)p);
		return;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		check_number(c, at, f,
			*(const uint64_t *)p > INT64_MAX ? INT64_MAX
							 : (int64_t) * (const uint64_t *)p);
		return;
	case PROTOBUF_C_TYPE_FLOAT:
		check_double(c, at, f, (double)*(const float *)p);
		return;
	case PROTOBUF_C_TYPE_DOUBLE:
		check_double(c, at, f, *(const double *)p);
		return;
	case PROTOBUF_C_TYPE_BOOL:
		return;
	case PROTOBUF_C_TYPE_ENUM:
		check_enum(c, at, f, d->descriptor, *(const int *)p);
		return;
	case PROTOBUF_C_TYPE_STRING:
		if (**(char *const *)p)
			check_string(c, at, f, *(char *const *)p);
		return;
	case PROTOBUF_C_TYPE_BYTES:
		if (((const ProtobufCBinaryData *)p)->len)
			check_len(c, at, f, ((const ProtobufCBinaryData *)p)->len, "bytes");
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		check_message(c, at, f->message, *(const ProtobufCMessage *const *)p);
		return;
	}
}

/* ---- presence ---- */

static bool is_empty(const ProtobufCFieldDescriptor *d, const void *p)
{
	static const uint64_t zero;
	switch (d->type) {
	case PROTOBUF_C_TYPE_STRING:
		return !*(char *const *)p || !**(char *const *)p;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)p)->len == 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(void *const *)p;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return memcmp(p, &zero, 8) == 0;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
		return memcmp(p, &zero, 4) == 0;
	}
	return true;
}

static void check_single(struct check *c, const struct level *at, const ProtobufCFieldDescriptor *d,
	const struct rpc_field *f, const ProtobufCMessage *message)
{
	const void *p = (const char *)message + d->offset;
	bool tracked = d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF; /* proto3 optional too */
	if (tracked) {
		const uint32_t *which =
			(const void *)((const char *)message + d->quantifier_offset);
		if (*which != d->id) {
			if (f->required && f->is_optional)
				violated(c, at, "is required");
			return;
		}
	}
	bool is_number = d->type != PROTOBUF_C_TYPE_STRING && d->type != PROTOBUF_C_TYPE_BYTES &&
			 d->type != PROTOBUF_C_TYPE_MESSAGE;
	if (f->required && is_empty(d, p) && !(tracked && is_number)) {
		violated(c, at, "is required");
		return;
	}
	if (d->type == PROTOBUF_C_TYPE_MESSAGE && is_empty(d, p))
		return;
	check_one(c, at, d, f, p);
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return 4;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	}
	return 0;
}

/* A map's rules hold for each of its values. */
static void check_entry(
	struct check *c, struct level *at, const struct rpc_field *f, const ProtobufCMessage *entry)
{
	const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];
	const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
	const void *p = (const char *)entry + value->offset;
	struct rpc_field rules = *f;
	rules.message = f->message->fields[1].message;
	if (key->type == PROTOBUF_C_TYPE_STRING)
		at->key = *(char *const *)(const void *)((const char *)entry + key->offset);
	check_one(c, at, value, &rules, p);
}

static void check_repeated(struct check *c, struct level *at, const ProtobufCFieldDescriptor *d,
	const struct rpc_field *f, const ProtobufCMessage *message)
{
	size_t n = *(const size_t *)(const void *)((const char *)message + d->quantifier_offset);
	const char *items = *(char *const *)(const void *)((const char *)message + d->offset);
	if (f->required && n == 0)
		violated(c, at, "is required: at least one");
	if (f->max_items && n > f->max_items) {
		violated(c, at, "has %zu items; at most %" PRIu32 " are allowed", n, f->max_items);
		return;
	}
	at->indexed = true;
	for (size_t i = 0; i < n && c->n <= VALIDATE_MAX_VIOLATIONS; i++) {
		const void *p = items + i * size_of(d->type);
		at->index = i;
		if (f->is_map)
			check_entry(c, at, f, *(const ProtobufCMessage *const *)p);
		else
			check_one(c, at, d, f, p);
	}
}

static void check_message(struct check *c, const struct level *up, const struct rpc_message *m,
	const ProtobufCMessage *message)
{
	if (!m || !message)
		return;
	if (m->wkt == RPC_WKT_TIMESTAMP && up) {
		check_timestamp(c, up, message);
		return;
	}
	for (unsigned i = 0; i < m->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];
		struct level at = {.up = up, .name = d->name};
		if (d->label == PROTOBUF_C_LABEL_REPEATED)
			check_repeated(c, &at, d, &m->fields[i], message);
		else
			check_single(c, &at, d, &m->fields[i], message);
	}
}

size_t validate(struct arena *a, const struct rpc_message *m, const ProtobufCMessage *message,
	struct rpc_violation **ret_violations)
{
	struct check c = {.arena = a};
	struct rpc_violation found[VALIDATE_MAX_VIOLATIONS + 1];
	c.violations = found;
	check_message(&c, NULL, m, message);
	while (c.n_patterns)
		regfree(&c.patterns[--c.n_patterns].regex);
	*ret_violations = c.n ? arena_memdup(a, found, c.n * sizeof(*found)) : NULL;
	return c.n;
}
