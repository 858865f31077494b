/* fuzz_native: bytes of a peer against the whole server: sniffing, frames, dispatch, streams. The
 * first byte chooses how the rest is taken: even: as the raw bytes of a connection; odd: as frames,
 * each a length byte and a body, to which the header is added, so that most inputs get behind it.
 */
#include "fuzz_server.h"
#include "rpc/details.h"
#include "rpc/frame.h"

static void frames_of(struct buf *b, const uint8_t *data, size_t size)
{
	while (size > 0) {
		size_t len = data[0] < size - 1 ? data[0] : size - 1;
		const uint8_t head[FRAME_HEADER] = {0, 0, 0, 0, (uint8_t)len};
		buf_add(b, head, sizeof(head));
		buf_add(b, data + 1, len);
		data += 1 + len;
		size -= 1 + len;
	}
}

static void parse_only(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size}, name, value;
	struct arena *a = arena_create();
	struct rpc_details details;
	struct status st;
	struct frame f;
	size_t pos = 0, n = 0;
	if (!frame_parse(bytes, &f) && f.n_metadata) {
		while (frame_metadata_next(&f, &pos, &name, &value))
			n++;
		assert(n == f.n_metadata);
	}
	(void)rpc_status_unpack(a, bytes, &st, &details);
	arena_destroy(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf b = {0};
	if (size < 2 || size > 16384)
		return 0;
	parse_only(data + 1, size - 1);
	if (data[0] & 1)
		frames_of(&b, data + 1, size - 1);
	else
		buf_add(&b, data + 1, size - 1);
	serve(&b);
	return 0;
}
