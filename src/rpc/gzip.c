#include "rpc/gzip.h"
#define ZLIB_CONST /* next_in points to const */
#include <zlib.h>
#include "base/mem.h"

#define WINDOW_GZIP (15 + 16) /* zlib.h: 16 more means gzip */
#define MEMORY      8
#define STEP        ((size_t)16 * 1024)

void gzip_pack(struct buf *b, struct str bytes)
{
	z_stream z = {0};
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, WINDOW_GZIP, MEMORY, Z_DEFAULT_STRATEGY) !=
		Z_OK)
		mem_abort("out of memory");
	size_t bound = deflateBound(&z, (uLong)bytes.len);
	buf_reserve(b, bound);
	z.next_in = (const Bytef *)bytes.ptr;
	z.avail_in = (uInt)bytes.len;
	z.next_out = (Bytef *)b->ptr + b->len;
	z.avail_out = (uInt)bound;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		mem_abort("gzip: deflateBound was too small");
	b->len += bound - z.avail_out;
	(void)deflateEnd(&z);
}

struct status gzip_unpack(struct buf *b, struct str bytes, size_t max)
{
	z_stream z = {.next_in = (const Bytef *)bytes.ptr, .avail_in = (uInt)bytes.len};
	size_t len = 0;
	int err = inflateInit2(&z, WINDOW_GZIP);
	if (err != Z_OK)
		mem_abort("out of memory");
	while (err == Z_OK && len <= max) {
		size_t room = max + 1 - len < STEP ? max + 1 - len : STEP;
		buf_reserve(b, room);
		z.next_out = (Bytef *)b->ptr + b->len;
		z.avail_out = (uInt)room;
		err = inflate(&z, Z_NO_FLUSH);
		b->len += room - z.avail_out;
		len += room - z.avail_out;
	}
	bool whole = err == Z_STREAM_END && z.avail_in == 0;
	(void)inflateEnd(&z);
	if (len > max)
		return status_err(ST_RESOURCE_EXHAUSTED,
			"the message has more than %zu bytes when unpacked, which is the limit",
			max);
	if (!whole)
		return status_err(ST_INVALID_ARGUMENT, "the message is not what gzip makes");
	return status_ok();
}
