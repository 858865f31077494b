#include "rpc/pb.h"

#define FIELD_NUMBER_MAX ((1u << 29) - 1)

bool pb_read_varint_slow(struct pb_reader *r, uint64_t *ret_value)
{
	uint64_t v = 0;
	const uint8_t *p = r->at;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		if (p == r->end)
			return false;
		uint8_t b = *p++;
		v |= (uint64_t)(b & 0x7f)
		     << shift; /* the tenth byte holds one bit; the rest falls off */
		if (b < 0x80) {
			r->at = p;
			*ret_value = v;
			return true;
		}
	}
	return false;
}

static bool read_fixed(struct pb_reader *r, size_t len, uint64_t *ret_value)
{
	uint64_t v = 0;
	if ((size_t)(r->end - r->at) < len)
		return false;
	for (size_t i = len; i-- > 0;)
		v = v << 8 | r->at[i];
	r->at += len;
	*ret_value = v;
	return true;
}

static bool read_len(struct pb_reader *r, struct str *ret_bytes)
{
	uint64_t len;
	if (!pb_read_varint(r, &len) || len > (uint64_t)(r->end - r->at))
		return false;
	*ret_bytes = str_make((const char *)r->at, (size_t)len);
	r->at += len;
	return true;
}

bool pb_read(struct pb_reader *r, struct pb_field *ret_field)
{
	uint64_t tag;
	if (!pb_read_varint(r, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX)
		return false;
	ret_field->number = (uint32_t)(tag >> 3);
	ret_field->wire = (enum pb_wire)(tag & 7);
	switch (tag & 7) {
	case PB_VARINT:
		return pb_read_varint(r, &ret_field->value);
	case PB_64BIT:
		return read_fixed(r, 8, &ret_field->value);
	case PB_32BIT:
		return read_fixed(r, 4, &ret_field->value);
	case PB_LEN:
		return read_len(r, &ret_field->bytes);
	}
	return false; /* groups */
}
