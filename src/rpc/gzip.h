/* gzip: messages compressed as gRPC and Connect name it (RFC 1952), by zlib. Pure. */
#pragma once
#include "base/status.h"
#include "base/str.h"

#define GZIP_FROM ((size_t)1024) /* shorter messages are not worth the time */

void gzip_pack(struct buf *b, struct str bytes); /* appends */
/* Appends. RESOURCE_EXHAUSTED: it would be longer than max (a bomb is not unpacked further than
 * that); INVALID_ARGUMENT: not gzip, cut off, or followed by something. */
struct status gzip_unpack(struct buf *b, struct str bytes, size_t max)
	__attribute__((warn_unused_result));
