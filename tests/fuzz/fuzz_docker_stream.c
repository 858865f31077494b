/* Docker's stream frames: any bytes, cut anywhere. The first byte chooses the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include "docker/stream.h"

#define LINE_MAX_BYTES 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void on_line(void *data, const struct stream_line *line)
{
	size_t *total = data;
	if (line->text.len > LINE_MAX_BYTES)
		abort();
	if (line->stream != DOCKER_STDOUT && line->stream != DOCKER_STDERR)
		abort();
	*total += line->text.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct stream s;
	size_t total = 0;
	if (len == 0)
		return 0;
	size_t step = (size_t)bytes[0] + 1;
	stream_init(&s, STREAM_GUESS, LINE_MAX_BYTES, on_line, &total);
	struct status st = status_ok();
	for (size_t at = 1; at < len && status_is_ok(&st); at += step)
		st = stream_feed(
			&s, str_make((const char *)bytes + at, len - at < step ? len - at : step));
	if (status_is_ok(&st))
		st = stream_end(&s);
	if (total > len)
		abort();
	stream_finish(&s);
	return 0;
}
