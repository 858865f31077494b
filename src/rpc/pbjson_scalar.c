#include "rpc/pbjson_impl.h"
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include "base/arena.h"

size_t pbjson_size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
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

static bool to_double(struct str text, double *ret_value)
{
	char copy[400]; /* numbers in JSON may be long; what is longer is no honest one */
	char *end;
	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("0123456789+-.eE", copy[i]))
			return false;
	errno = 0;
	*ret_value = strtod(copy, &end);
	return *end == '\0' && (errno == 0 || fabs(*ret_value) < 1);
}

/* Whole numbers, as "12", "1.2e1" too. */
static bool to_integer(struct str text, bool is_signed, int64_t *ret_signed, uint64_t *ret_unsigned)
{
	double d;
	if (is_signed ? str_to_i64(text, ret_signed) : str_to_u64(text, ret_unsigned))
		return true;
	if (!memchr(text.ptr, '.', text.len) && !memchr(text.ptr, 'e', text.len) &&
		!memchr(text.ptr, 'E', text.len) && !str_is(text, "-0"))
		return false;
	if (!to_double(text, &d) || d != floor(d))
		return false;
	if (is_signed && d >= -0x1p63 && d < 0x1p63) {
		*ret_signed = (int64_t)d;
		return true;
	}
	if (!is_signed && d >= 0 && d < 0x1p64) {
		*ret_unsigned = (uint64_t)d;
		return true;
	}
	return false;
}

static bool is_text(struct lex_token t)
{
	return t.kind == LEX_STRING || t.kind == LEX_NUMBER;
}

static bool read_signed(struct lex_token t, int64_t min, int64_t max, int64_t *ret_value)
{
	return is_text(t) && to_integer(t.text, true, ret_value, NULL) && *ret_value >= min &&
	       *ret_value <= max;
}

static bool read_unsigned(struct lex_token t, uint64_t max, uint64_t *ret_value)
{
	return is_text(t) && to_integer(t.text, false, NULL, ret_value) && *ret_value <= max;
}

static bool read_double(struct lex_token t, double *ret_value)
{
	if (t.kind == LEX_STRING && str_is(t.text, "NaN"))
		*ret_value = (double)NAN;
	else if (t.kind == LEX_STRING && str_is(t.text, "Infinity"))
		*ret_value = (double)INFINITY;
	else if (t.kind == LEX_STRING && str_is(t.text, "-Infinity"))
		*ret_value = -(double)INFINITY;
	else
		return is_text(t) && to_double(t.text, ret_value);
	return true;
}

static bool read_float(struct lex_token t, float *ret_value)
{
	double d;
	if (!read_double(t, &d) || (isfinite(d) && fabs(d) > (double)FLT_MAX * (1 + 0x1p-25)))
		return false;
	*ret_value = (float)d;
	return true;
}

/* plain: text of a query or a map's key, where nothing tells a word from a string. */
static bool read_bool(struct lex_token t, bool plain, protobuf_c_boolean *ret_value)
{
	bool is_true = t.kind == LEX_TRUE || (plain && str_is(t.text, "true"));
	bool is_false = t.kind == LEX_FALSE || (plain && str_is(t.text, "false"));
	*ret_value = is_true;
	return is_true || is_false;
}

static bool read_enum(
	const ProtobufCEnumDescriptor *d, struct lex_token t, bool plain, int *ret_value)
{
	int64_t number;
	if (t.kind == LEX_NULL && strcmp(d->name, "google.protobuf.NullValue") == 0) {
		*ret_value = 0;
		return true;
	}
	if (t.kind == LEX_STRING) {
		const ProtobufCEnumValue *v =
			protobuf_c_enum_descriptor_get_value_by_name(d, t.text.ptr);
		if (v)
			*ret_value = v->value;
		if (v || !plain)
			return v != NULL;
	}
	if (!read_signed(t, INT32_MIN, INT32_MAX, &number))
		return false;
	*ret_value = (int)number;
	return true;
}

static bool read_bytes(struct arena *a, struct lex_token t, ProtobufCBinaryData *ret_value)
{
	struct str bytes;
	if (t.kind != LEX_STRING || !str_unbase64(a, t.text, &bytes))
		return false;
	*ret_value = (ProtobufCBinaryData){bytes.len, (uint8_t *)bytes.ptr};
	return true;
}

const char *pbjson_store(struct arena *a, const ProtobufCFieldDescriptor *d, struct lex_token t,
	bool plain, void *to)
{
	int64_t i;
	uint64_t u;
	switch (d->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		if (!read_signed(t, INT32_MIN, INT32_MAX, &i))
			return "must be a whole number of 32 bits";
		*(int32_t *)to = (int32_t)i;
		return NULL;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		if (!read_unsigned(t, UINT32_MAX, &u))
			return "must be a whole number from 0 to 4294967295";
		*(uint32_t *)to = (uint32_t)u;
		return NULL;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return read_signed(t, INT64_MIN, INT64_MAX, to)
			       ? NULL
			       : "must be a whole number of 64 bits";
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return read_unsigned(t, UINT64_MAX, to)
			       ? NULL
			       : "must be a whole number of 64 bits, not negative";
	case PROTOBUF_C_TYPE_FLOAT:
		return read_float(t, to) ? NULL : "must be a number that a float holds";
	case PROTOBUF_C_TYPE_DOUBLE:
		return read_double(t, to) ? NULL : "must be a number";
	case PROTOBUF_C_TYPE_BOOL:
		return read_bool(t, plain, to) ? NULL : "must be true or false";
	case PROTOBUF_C_TYPE_ENUM:
		return read_enum(d->descriptor, t, plain, to) ? NULL
							      : "is none of the enum's values";
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes(a, t, to) ? NULL : "must be a string of base64";
	case PROTOBUF_C_TYPE_STRING:
		if (t.kind != LEX_STRING)
			return "must be a string";
		*(char **)to = (char *)t.text.ptr;
		return NULL;
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return "is a message";
}
