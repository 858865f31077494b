/* The other end of HTTP/2, frame by frame: what it sends may be wrong on purpose. */
#pragma once
#include "fixture.h"
#include <nghttp2/nghttp2.h>

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PUSH_PROMISE,
	PING,
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

struct h2_frame {
	unsigned type, flags;
	uint32_t stream;
	struct str payload; /* until the next frame */
};

#define H2_STREAMS 512

struct h2_response {
	struct buf head, body; /* "name: value\n" …, trailers too; DATA */
	unsigned n_heads;
	bool ended;
	uint32_t reset; /* RST_STREAM's code + 1 */
};

struct h2_peer {
	struct peer p;
	nghttp2_hd_deflater *deflater;
	nghttp2_hd_inflater *inflater;
	struct h2_response *streams; /* by number / 2 */
	struct h2_response *last;    /* that was waited for */
	uint32_t goaway_last, goaway_code;
	unsigned n_goaways, n_pings, n_pongs;
	bool settled; /* the server's SETTINGS have come, and were acknowledged */
	uint64_t ping;
	char goaway_words[600];
	uint32_t granted; /* WINDOW_UPDATE of streams, bytes */
};

static inline void put_u32(struct buf *b, uint32_t v)
{
	const uint8_t bytes[] = {
		(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	buf_add(b, bytes, sizeof(bytes));
}

static inline void put_h2(
	struct buf *b, unsigned type, unsigned flags, uint32_t stream, struct str payload)
{
	const uint8_t head[] = {(uint8_t)(payload.len >> 16), (uint8_t)(payload.len >> 8),
		(uint8_t)payload.len, (uint8_t)type, (uint8_t)flags};
	buf_add(b, head, sizeof(head));
	put_u32(b, stream);
	buf_add_str(b, payload);
}

static inline void h2_send(
	struct h2_peer *h, unsigned type, unsigned flags, uint32_t stream, struct str payload)
{
	struct buf b = {0};
	put_h2(&b, type, flags, stream, payload);
	peer_send_buf(&h->p, &b);
}

static inline void put_setting(struct buf *b, unsigned id, uint32_t value)
{
	const uint8_t head[] = {(uint8_t)(id >> 8), (uint8_t)id};
	buf_add(b, head, sizeof(head));
	put_u32(b, value);
}

static inline void h2_close_peer(struct h2_peer *h)
{
	nghttp2_hd_deflate_del(h->deflater);
	nghttp2_hd_inflate_del(h->inflater);
	for (size_t i = 0; i < H2_STREAMS; i++) {
		buf_finish(&h->streams[i].head);
		buf_finish(&h->streams[i].body);
	}
	free(h->streams);
	peer_close(&h->p);
}

/* fields: name, value, …, NULL */
static inline void put_fields(struct h2_peer *h, struct buf *b, const char *const *fields)
{
	nghttp2_nv nva[200];
	size_t n = 0;
	for (; fields[2 * n]; n++)
		nva[n] = (nghttp2_nv){(uint8_t *)fields[2 * n], (uint8_t *)fields[2 * n + 1],
			strlen(fields[2 * n]), strlen(fields[2 * n + 1]), NGHTTP2_NV_FLAG_NONE};
	size_t bound = nghttp2_hd_deflate_bound(h->deflater, nva, n);
	buf_reserve(b, bound);
	ssize_t len = nghttp2_hd_deflate_hd(h->deflater, (uint8_t *)b->ptr + b->len, bound, nva, n);
	assert_true(len >= 0);
	b->len += (size_t)len;
}

static inline void h2_headers(
	struct h2_peer *h, uint32_t stream, bool end, const char *const *fields)
{
	struct buf block = {0};
	put_fields(h, &block, fields);
	h2_send(h, HEADERS, END_HEADERS | (end ? END_STREAM : 0u), stream, buf_str(&block));
	buf_finish(&block);
}

#define GRPC_HEAD(path)                                                                            \
	":method", "POST", ":scheme", "http", ":path", path, ":authority", "t", "te", "trailers",  \
		"content-type", "application/grpc"

static inline void h2_open_grpc(struct h2_peer *h, uint32_t stream, const char *path)
{
	h2_headers(h, stream, false, (const char *const[]){GRPC_HEAD(path), NULL});
}

static inline void put_envelope(struct buf *b, unsigned flags, struct str payload)
{
	buf_addc(b, (char)flags);
	put_u32(b, (uint32_t)payload.len);
	buf_add_str(b, payload);
}

static inline void put_event_envelope(struct buf *b, int64_t sequence, size_t text)
{
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	char *x = mem_zalloc(text + 1);
	struct buf packed = {0};
	memset(x, 'x', text);
	e.sequence = sequence;
	e.message = x;
	buf_reserve(&packed, skep__v1__event__get_packed_size(&e));
	packed.len = skep__v1__event__pack(&e, (uint8_t *)packed.ptr);
	put_envelope(b, 0, buf_str(&packed));
	buf_finish(&packed);
	free(x);
}

static inline void h2_event(
	struct h2_peer *h, uint32_t stream, int64_t sequence, size_t text, bool end)
{
	struct buf b = {0};
	put_event_envelope(&b, sequence, text);
	h2_send(h, DATA, end ? END_STREAM : 0, stream, buf_str(&b));
	buf_finish(&b);
}

static inline void h2_unary(struct h2_peer *h, uint32_t stream, const char *path, int64_t sequence)
{
	h2_open_grpc(h, stream, path);
	h2_event(h, stream, sequence, 1, true);
}

/* ---- what comes back ---- */

static inline size_t h2_whole(const struct peer *p)
{
	const uint8_t *b = (const uint8_t *)p->in.ptr;
	if (p->in.len < 9)
		return 0;
	size_t len = 9 + ((size_t)b[0] << 16 | (size_t)b[1] << 8 | b[2]);
	return p->in.len >= len ? len : 0;
}

static inline uint32_t u32_at(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline void inflate_fields(struct h2_peer *h, struct h2_response *r, struct str block)
{
	r->n_heads++;
	while (block.len > 0) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(
			h->inflater, &nv, &flags, (const uint8_t *)block.ptr, block.len, 1);
		assert_true(n >= 0);
		block = str_make(block.ptr + n, block.len - (size_t)n);
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			buf_fmt(&r->head, "%s: %s\n", nv.name, nv.value);
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
	}
	nghttp2_hd_inflate_end_headers(h->inflater);
}

static inline void take_frame(struct h2_peer *h, const struct h2_frame *f)
{
	struct h2_response *r = &h->streams[f->stream / 2 % H2_STREAMS];
	if (f->type == HEADERS || f->type == DATA)
		r->ended |= f->flags & END_STREAM;
	if (f->type == HEADERS) {
		inflate_fields(h, r, f->payload);
	} else if (f->type == DATA) {
		buf_add_str(&r->body, f->payload);
	} else if (f->type == RST_STREAM) {
		r->reset = u32_at(f->payload.ptr) + 1;
	} else if (f->type == SETTINGS && !(f->flags & ACK)) {
		h2_send(h, SETTINGS, ACK, 0, STR(""));
		h->settled = true;
	} else if (f->type == WINDOW_UPDATE && f->stream) {
		h->granted += u32_at(f->payload.ptr);
	} else if (f->type == PING && f->flags & ACK) {
		h->n_pongs++;
	} else if (f->type == PING) {
		h->n_pings++;
		memcpy(&h->ping, f->payload.ptr, 8);
	} else if (f->type == GOAWAY) {
		h->n_goaways++;
		h->goaway_last = u32_at(f->payload.ptr);
		h->goaway_code = u32_at(f->payload.ptr + 4);
		(void)snprintf(h->goaway_words, sizeof(h->goaway_words), "%.*s",
			(int)f->payload.len - 8, f->payload.ptr + 8);
	}
}

/* Takes one frame, if a whole one is there. */
static inline bool h2_take(struct h2_peer *h, struct h2_frame *f)
{
	size_t len = h2_whole(&h->p);
	if (!len)
		return false;
	h->p.frame.len = 0;
	buf_add(&h->p.frame, h->p.in.ptr, len);
	buf_drop(&h->p.in, len);
	*f = (struct h2_frame){.type = (uint8_t)h->p.frame.ptr[3],
		.flags = (uint8_t)h->p.frame.ptr[4],
		.stream = u32_at(h->p.frame.ptr + 5),
		.payload = {h->p.frame.ptr + 9, len - 9}};
	take_frame(h, f);
	return true;
}

/* Until this stream has ended, or was reset. */
static inline void h2_response(struct h2_peer *h, uint32_t stream)
{
	struct h2_frame f = {0};
	h->last = &h->streams[stream / 2];
	while (!h->last->ended && !h->last->reset) {
		WAIT(h->p.w, h2_whole(&h->p) || h->p.closed);
		if (!h2_take(h, &f))
			fail_msg("the connection was closed: %s", h->goaway_words);
	}
}

/* Takes all that is there now. */
static inline void h2_take_all(struct h2_peer *h)
{
	struct h2_frame f;
	while (h2_take(h, &f))
		;
}

static inline void h2_connect(struct h2_peer *h, struct world *w, uint32_t window)
{
	struct buf settings = {0};
	*h = (struct h2_peer){.streams = mem_zalloc(H2_STREAMS * sizeof(*h->streams))};
	peer_connect(&h->p, w);
	assert_int_equal(nghttp2_hd_deflate_new(&h->deflater, 4096), 0);
	assert_int_equal(nghttp2_hd_inflate_new(&h->inflater), 0);
	peer_send(&h->p, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	if (window != UINT32_MAX)
		put_setting(&settings, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window);
	h2_send(h, SETTINGS, 0, 0, buf_str(&settings));
	buf_finish(&settings);
	while (!h->settled) {
		WAIT(w, h2_whole(&h->p));
		h2_take_all(h);
	}
}

static inline void h2_expect_goaway(struct h2_peer *h, uint32_t code, const char *words)
{
	WAIT(h->p.w, h->p.closed);
	h2_take_all(h);
	assert_true(h->n_goaways > 0);
	if (h->goaway_code != code || !strstr(h->goaway_words, words))
		fail_msg("goaway with %u: %s", h->goaway_code, h->goaway_words);
}

static inline bool h2_has(struct h2_peer *h, const char *line)
{
	const char *head = buf_str(&h->last->head).ptr, *at = strstr(head, line);
	return at && (at == head || at[-1] == '\n');
}

static inline void h2_expect(struct h2_peer *h, const char *line)
{
	if (!h2_has(h, line))
		fail_msg("no \"%s\" in:\n%s", line, buf_str(&h->last->head).ptr);
}

/* The stream's end: its code, and words in grpc-message (percent-encoded). */
static inline void h2_expect_status(
	struct h2_peer *h, uint32_t stream, enum st_code code, const char *words)
{
	char line[32];
	h2_response(h, stream);
	(void)snprintf(line, sizeof(line), "grpc-status: %d\n", (int)code);
	h2_expect(h, line);
	if (words && !strstr(h->last->head.ptr, words))
		fail_msg("no \"%s\" in:\n%s", words, h->last->head.ptr);
}

static inline void h2_expect_reply(struct h2_peer *h, uint32_t stream, int64_t sequence)
{
	h2_expect_status(h, stream, ST_OK, NULL);
	h2_expect(h, ":status: 200\n");
	assert_true(h->last->body.len >= 5);
	assert_int_equal(u32_at(h->last->body.ptr + 1), h->last->body.len - 5);
	assert_int_equal(
		event_sequence(str_make(h->last->body.ptr + 5, h->last->body.len - 5)), sequence);
}
