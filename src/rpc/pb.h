/* pb: protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), read and
 * written by hand: for the envelope, the pre-scan and google.rpc.Status. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

enum pb_wire { PB_VARINT = 0, PB_64BIT = 1, PB_LEN = 2, PB_32BIT = 5 };

struct pb_reader {
	const uint8_t *at, *end;
};
struct pb_field {
	uint32_t number;
	enum pb_wire wire;
	uint64_t value;   /* VARINT, 64BIT, 32BIT */
	struct str bytes; /* LEN: a view */
};

static inline struct pb_reader pb_reader(struct str bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.ptr;
	return (struct pb_reader){p, bytes.len ? p + bytes.len : p}; /* NULL + 0 is undefined */
}
static inline bool pb_done(const struct pb_reader *r)
{
	return r->at == r->end;
}
bool pb_read_varint_slow(struct pb_reader *r, uint64_t *ret_value);
static inline bool pb_read_varint(struct pb_reader *r, uint64_t *ret_value)
{
	if (r->at < r->end && *r->at < 0x80) {
		*ret_value = *r->at++;
		return true;
	}
	return pb_read_varint_slow(r, ret_value);
}
/* False: malformed (cut off, a field number of 0 or ≥ 2^29, a group, a varint over 10 bytes). */
bool pb_read(struct pb_reader *r, struct pb_field *ret_field);

static inline size_t pb_varint_len(uint64_t v)
{
	return (size_t)(70 - __builtin_clzll(v | 1)) / 7;
}
static inline uint8_t *pb_put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}
static inline uint8_t *pb_put_tag(uint8_t *p, uint32_t number, enum pb_wire wire)
{
	return pb_put_varint(p, number << 3 | wire);
}
/* A length-delimited field: its size with tag and length, and its bytes. Numbers < 16. */
static inline size_t pb_bytes_len(size_t len)
{
	return 1 + pb_varint_len(len) + len;
}
static inline uint8_t *pb_put_head(uint8_t *p, uint32_t number, size_t len)
{
	return pb_put_varint(pb_put_tag(p, number, PB_LEN), len);
}
static inline uint8_t *pb_put_bytes(uint8_t *p, uint32_t number, struct str s)
{
	p = pb_put_head(p, number, s.len);
	if (s.len)
		memcpy(p, s.ptr, s.len);
	return p + s.len;
}
