#include "docker/stream.h"

enum { STDIN, STDOUT, STDERR, SYSTEMERR };

void stream_init(struct stream *s, enum stream_format format, size_t max,
	void (*on_line)(void *data, const struct stream_line *line), void *data)
{
	*s = (struct stream){.format = format, .max = max, .on_line = on_line, .data = data};
}

void stream_finish(struct stream *s)
{
	for (int i = 0; i < 4; i++)
		buf_finish(&s->lines[i]);
}

static void give(struct stream *s, unsigned which, bool partial)
{
	struct buf *b = &s->lines[which];
	struct str text = buf_str(b);
	if (!partial && text.len && text.ptr[text.len - 1] == '\r')
		text.len--;
	const struct stream_line line = {
		which == STDERR ? DOCKER_STDERR : DOCKER_STDOUT, text, !s->middle[which], partial};
	s->middle[which] = partial;
	s->on_line(s->data, &line);
	b->len = 0;
}

static void add_text(struct stream *s, unsigned which, struct str text)
{
	struct buf *b = &s->lines[which];
	while (text.len) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t len = end ? (size_t)(end - text.ptr) : text.len;
		size_t room = s->max - b->len;
		if (len && room == 0) {
			give(s, which, true);
			continue;
		}
		size_t take = len < room ? len : room;
		bool whole = end && take == len;
		buf_add(b, text.ptr, take);
		take += whole ? 1 : 0;
		text = str_make(text.ptr + take, text.len - take);
		if (whole)
			give(s, which, false);
	}
}

/* A message without an end of line is the first part of a longer one; the next part has a frame,
 * and whatever stands before each message, of its own. */
static void end_frame(struct stream *s)
{
	if (s->lines[s->which].len)
		give(s, s->which, true);
	s->middle[s->which] = false;
}

static struct status begin_frame(struct stream *s)
{
	const unsigned char *h = s->header;
	s->header_len = 0;
	s->which = h[0];
	s->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	if (h[0] > SYSTEMERR || h[1] || h[2] || h[3])
		return status_err(ST_DATA_LOSS,
			"not a Docker stream: a frame begins with %02x%02x%02x%02x", h[0], h[1],
			h[2], h[3]);
	return status_ok();
}

static struct str take_header(struct stream *s, struct str bytes, size_t upto)
{
	size_t n = upto - s->header_len < bytes.len ? upto - s->header_len : bytes.len;
	memcpy(s->header + s->header_len, bytes.ptr, n);
	s->header_len += n;
	return str_make(bytes.ptr + n, bytes.len - n);
}

static void take_error(struct stream *s, struct str text)
{
	struct buf *b = &s->lines[SYSTEMERR];
	size_t room = s->max - b->len;
	buf_add(b, text.ptr, text.len < room ? text.len : room);
}

static struct status feed_frames(struct stream *s, struct str bytes)
{
	while (bytes.len) {
		if (s->left == 0) {
			bytes = take_header(s, bytes, sizeof s->header);
			if (s->header_len < sizeof s->header)
				break;
			struct status st = begin_frame(s);
			if (!status_is_ok(&st))
				return st;
			continue;
		}
		struct str text = str_make(bytes.ptr, bytes.len < s->left ? bytes.len : s->left);
		bytes = str_make(bytes.ptr + text.len, bytes.len - text.len);
		s->left -= (uint32_t)text.len;
		if (s->which == SYSTEMERR)
			take_error(s, text);
		else
			add_text(s, s->which, text);
		if (s->left == 0 && s->which == SYSTEMERR)
			return status_err(
				ST_INTERNAL, STR_FMT, STR_ARG(buf_str(&s->lines[SYSTEMERR])));
		if (s->left == 0)
			end_frame(s);
	}
	return status_ok();
}

/* Four bytes tell; they then stand in the header already. */
static struct str guess(struct stream *s, struct str bytes)
{
	bytes = take_header(s, bytes, 4);
	const unsigned char *h = s->header;
	if (s->header_len < 4 && h[0] <= SYSTEMERR)
		return bytes;
	s->format = STREAM_FRAMES;
	if (h[0] > SYSTEMERR || h[1] || h[2] || h[3]) {
		s->format = STREAM_RAW;
		add_text(s, STDOUT, str_make((const char *)h, s->header_len));
		s->header_len = 0;
	}
	return bytes;
}

struct status stream_feed(struct stream *s, struct str bytes)
{
	if (bytes.len && s->format == STREAM_GUESS)
		bytes = guess(s, bytes);
	if (s->format == STREAM_FRAMES)
		return feed_frames(s, bytes);
	if (s->format == STREAM_RAW)
		add_text(s, STDOUT, bytes);
	return status_ok();
}

struct status stream_end(struct stream *s)
{
	if (s->format == STREAM_GUESS) /* fewer than four bytes */
		add_text(s, STDOUT, str_make((const char *)s->header, s->header_len));
	if (s->format == STREAM_FRAMES && (s->left || s->header_len))
		return status_err(ST_DATA_LOSS, "a Docker stream ends in the middle of a frame");
	for (unsigned i = STDIN; i < SYSTEMERR; i++)
		if (s->lines[i].len)
			give(s, i, false);
	return status_ok();
}
