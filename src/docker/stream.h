/* stream: Docker's multiplexed output stream (API: "Attach to a container", stream format) into
 * lines. Pure: bytes in, lines out, in pieces of any size. Owned by logs.c; memory is bounded by
 * `max` a stream.
 *
 * Multiplexed: frames of an 8-byte header {stream, 0, 0, 0, big-endian length} and that many bytes;
 * each frame is one message. A terminal's output is raw. Which of both it is, is told, or seen from
 * the first bytes: text does not begin with a byte 0..3 and three zeros. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"
#include "docker/docker.h"

enum stream_format { STREAM_GUESS, STREAM_FRAMES, STREAM_RAW };

struct stream_line {
	enum docker_stream stream;
	struct str text; /* without \n, \r\n */
	bool first;      /* begins a message (in a raw stream: a line) */
	bool partial;    /* the message goes on in the next line of this stream */
};

struct stream {
	enum stream_format format;
	size_t max;
	void (*on_line)(void *data, const struct stream_line *line);
	void *data;
	/* private */
	unsigned char header[8];
	size_t header_len;
	uint32_t left;  /* bytes of the present frame still to come */
	unsigned which; /* its stream */
	bool middle[4]; /* of a message whose beginning has been given out */
	struct buf lines[4];
};

/* max: longer lines are given out in parts. */
void stream_init(struct stream *s, enum stream_format format, size_t max,
	void (*on_line)(void *data, const struct stream_line *line), void *data);
void stream_finish(struct stream *s);
/* DATA_LOSS: not such a stream; INTERNAL: the Engine's own words, sent as an error frame. Feed no
 * more then. */
struct status stream_feed(struct stream *s, struct str bytes) __attribute__((warn_unused_result));
/* The end: gives out what is left; DATA_LOSS in the middle of a frame. */
struct status stream_end(struct stream *s) __attribute__((warn_unused_result));
