/* frame: the native protocol's envelope (proto/WIRE.md), read and written by hand: bytes
 * in, bytes out, no I/O, no allocation but the output buffer. Used by native (server) and
 * client. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

#define FRAME_HEADER       ((size_t)5) /* flags, 4 bytes of big-endian length */
#define FRAME_FIRST_CREDIT 262144
#define FRAME_MESSAGE_COST 16 /* credit that a message costs beyond its payload's bytes */

enum frame_kind {
	FRAME_OPEN = 2, /* field numbers of Frame's oneof */
	FRAME_DATA,
	FRAME_CREDIT,
	FRAME_CANCEL,
	FRAME_FINISH,
	FRAME_PING,
	FRAME_GOAWAY,
};

/* All views point into the frame's bytes. */
struct frame {
	uint64_t call;
	enum frame_kind kind;
	bool has_payload, end, ack;
	struct str payload;  /* open, data, finish */
	struct str method;   /* open */
	uint32_t timeout_ms; /* open */
	uint32_t credit;     /* open, credit */
	struct str body;     /* open, finish: where frame_metadata_next reads */
	unsigned n_metadata;
	size_t metadata_len; /* bytes of all names and values */
	bool has_status;
	struct str status; /* finish, goaway: google.rpc.Status */
	uint64_t number;   /* ping; goaway: last_call */
};

/* The header's length; false when the flags are not 0 (ret_len is set all the same). */
bool frame_header(const char *bytes, size_t *ret_len);
/* The bytes behind the header. NULL, or which part is malformed, in static words. */
const char *frame_parse(struct str bytes, struct frame *ret_frame)
	__attribute__((warn_unused_result));
/* The call id from a frame's first bytes, for one that is too long to be read; 0 = not to be had.
 */
uint64_t frame_peek_call(struct str bytes);
/* Names and values in order; *pos starts at 0. Only on frames that frame_parse accepted. */
bool frame_metadata_next(
	const struct frame *f, size_t *pos, struct str *ret_name, struct str *ret_value);

/* Each appends one whole frame. The _begin ones return where the payload of `len` bytes goes. */
struct frame_open {
	struct str method;
	uint32_t timeout_ms;
	uint32_t credit;
	bool end, has_payload;
	size_t payload_len;
	const struct str *metadata; /* name, value, name, value */
	size_t n_metadata;          /* pairs */
};
uint8_t *frame_open_begin(struct buf *b, uint64_t call, const struct frame_open *o);
uint8_t *frame_data_begin(struct buf *b, uint64_t call, size_t len);
uint8_t *frame_finish_begin(struct buf *b, uint64_t call, size_t len);
void frame_put_end(struct buf *b, uint64_t call); /* a data frame with nothing but `end` */
void frame_put_credit(struct buf *b, uint64_t call, uint32_t bytes);
void frame_put_cancel(struct buf *b, uint64_t call);
void frame_put_finish(struct buf *b, uint64_t call, struct str status); /* "" = OK */
void frame_put_ping(struct buf *b, uint64_t number, bool ack);
void frame_put_goaway(struct buf *b, uint64_t last_call, struct str status);
