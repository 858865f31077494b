#include "rpc/prescan.h"
#include <stdio.h>
#include "rpc/pb.h"

/* What protobuf-c keeps for each field it meets while it parses, about. */
#define SCANNED_MEMBER 40

struct scan {
	struct prescan_budget left;
	struct status st;
};

/* The way from the root to the present field, on the stack of the recursion: it is
 * written out only when something is wrong. */
struct level {
	const struct level *up;
	const ProtobufCFieldDescriptor *field;
	size_t index; /* among the message's fields with this number */
	unsigned depth;
};

struct prescan_budget prescan_budget_for(size_t len)
{
	return (struct prescan_budget){.elements = 100000, .memory = ((size_t)1 << 20) + 8 * len};
}

static void write_path(const struct level *at, char *out, size_t cap)
{
	const struct level *levels[PRESCAN_MAX_DEPTH + 2];
	size_t n = 0, len = 0;
	for (; at && at->field && n < sizeof(levels) / sizeof(levels[0]); at = at->up)
		levels[n++] = at;
	out[0] = '\0';
	while (n-- > 0 && len < cap - 1) {
		const struct level *l = levels[n];
		bool repeated = l->field->label == PROTOBUF_C_LABEL_REPEATED;
		int w = repeated ? snprintf(out + len, cap - len, "%s[%zu]%s", l->field->name,
					   l->index, n ? "." : "")
				 : snprintf(out + len, cap - len, "%s%s", l->field->name,
					   n ? "." : "");
		len += w > 0 ? (size_t)w : 0;
	}
}

static bool refuse(struct scan *s, enum st_code code, const struct level *at, const char *what)
{
	char path[200];
	write_path(at, path, sizeof(path));
	s->st = status_err(code, "%s%s%s", path, path[0] ? ": " : "", what);
	return false;
}

static bool spend(struct scan *s, const struct level *at, size_t elements, size_t memory)
{
	if (elements > s->left.elements)
		return refuse(s, ST_RESOURCE_EXHAUSTED, at, "the message has too many elements");
	if (memory > s->left.memory)
		return refuse(
			s, ST_RESOURCE_EXHAUSTED, at, "the message would need too much memory");
	s->left.elements -= elements;
	s->left.memory -= memory;
	return true;
}

static const ProtobufCFieldDescriptor *find_field(
	const ProtobufCMessageDescriptor *d, uint32_t number, const ProtobufCFieldDescriptor *last)
{
	if (last && last->id == number)
		return last;
	size_t low = 0, high = d->n_fields;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (d->fields[mid].id < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low < d->n_fields && d->fields[low].id == number ? &d->fields[low] : NULL;
}

/* The wire type of one value, and the bytes it takes in memory. */
static enum pb_wire scalar_shape(ProtobufCType type, size_t *ret_size)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		*ret_size = 4;
		return PB_32BIT;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		*ret_size = 8;
		return PB_64BIT;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT64:
		*ret_size = 8;
		return PB_VARINT;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
		*ret_size = 4;
		return PB_VARINT;
	case PROTOBUF_C_TYPE_STRING:
		*ret_size = sizeof(char *) + 1;
		return PB_LEN;
	case PROTOBUF_C_TYPE_BYTES:
		*ret_size = sizeof(ProtobufCBinaryData);
		return PB_LEN;
	case PROTOBUF_C_TYPE_MESSAGE:
		*ret_size = sizeof(void *);
		return PB_LEN;
	}
	*ret_size = 0;
	return PB_LEN;
}

/* A packed array: one length-delimited field that holds values without tags. */
static bool scan_packed(
	struct scan *s, const struct level *at, enum pb_wire wire, size_t size, struct str bytes)
{
	size_t n = 0, width = wire == PB_32BIT ? 4 : 8;
	if (wire == PB_VARINT) {
		struct pb_reader r = pb_reader(bytes);
		uint64_t v;
		for (; !pb_done(&r); n++)
			if (!pb_read_varint(&r, &v))
				return refuse(
					s, ST_INVALID_ARGUMENT, at, "malformed packed numbers");
	} else {
		if (bytes.len % width)
			return refuse(s, ST_INVALID_ARGUMENT, at, "malformed packed numbers");
		n = bytes.len / width;
	}
	return spend(s, at, 0, n * size);
}

static bool scan_message(struct scan *s, const ProtobufCMessageDescriptor *d, struct str bytes,
	const struct level *at);

static bool scan_value(struct scan *s, const struct level *at, const struct pb_field *f)
{
	size_t size;
	enum pb_wire wire = scalar_shape(at->field->type, &size);
	if (wire != f->wire) {
		if (f->wire == PB_LEN && at->field->label == PROTOBUF_C_LABEL_REPEATED)
			return scan_packed(s, at, wire, size, f->bytes);
		return refuse(s, ST_INVALID_ARGUMENT, at, "has the wrong wire type");
	}
	if (wire != PB_LEN)
		return spend(s, at, 0, size);
	bool is_message = at->field->type == PROTOBUF_C_TYPE_MESSAGE;
	if (!spend(s, at, 1, is_message ? size : size + f->bytes.len))
		return false;
	if (is_message)
		return scan_message(s, at->field->descriptor, f->bytes, at);
	if (at->field->type != PROTOBUF_C_TYPE_STRING)
		return true;
	if (!str_is_utf8(f->bytes))
		return refuse(s, ST_INVALID_ARGUMENT, at, "is not valid UTF-8");
	if (f->bytes.len && memchr(f->bytes.ptr, 0, f->bytes.len))
		return refuse(s, ST_INVALID_ARGUMENT, at, "contains a NUL byte");
	return true;
}

static bool scan_message(struct scan *s, const ProtobufCMessageDescriptor *d, struct str bytes,
	const struct level *up)
{
	struct pb_reader r = pb_reader(bytes);
	struct level at = {.up = up, .depth = up ? up->depth + 1 : 1};
	struct pb_field f;
	if (at.depth > PRESCAN_MAX_DEPTH)
		return refuse(
			s, ST_RESOURCE_EXHAUSTED, NULL, "messages are nested deeper than 100");
	if (!spend(s, up, 0, d->sizeof_message))
		return false;
	while (!pb_done(&r)) {
		if (!pb_read(&r, &f))
			return refuse(s, ST_INVALID_ARGUMENT, up, "cut off or not protobuf");
		const ProtobufCFieldDescriptor *field = find_field(d, f.number, at.field);
		/* Unknown fields are kept by protobuf-c, each with a copy of its bytes. */
		size_t unknown =
			field ? 0
			      : sizeof(ProtobufCMessageUnknownField) + (f.wire == PB_LEN ? f.bytes.len : 0) + 10;
		if (!spend(s, up, field ? 0 : 1, SCANNED_MEMBER + unknown))
			return false;
		if (!field)
			continue;
		at.index = field == at.field ? at.index + 1 : 0;
		at.field = field;
		if (!scan_value(s, &at, &f))
			return false;
	}
	return true;
}

struct status prescan(
	const ProtobufCMessageDescriptor *d, struct str bytes, struct prescan_budget budget)
{
	struct scan s = {.left = budget, .st = status_ok()};
	(void)scan_message(&s, d, bytes, NULL);
	return s.st;
}
