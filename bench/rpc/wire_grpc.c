#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "wire.h"

/* gRPC over HTTP/2 with as little of a client as there can be, so that the server is the limit: a call is two prepared frames, and of an
 * answer only what is new is decoded. The server's windows are not watched: requests are 5 bytes long. */

#define FRAME_HEAD     9u
#define LONGEST_FRAME  (1u << 20)
#define WINDOW         0x7fffffff
#define WINDOW_REFILL  (1u << 29)
#define BLOCK_MAX      32u /* a header block of an answer that is kept to be known again */
#define FIRST_WINDOW   65535u
#define TABLE          4096u /* HPACK's, until the server says that it has less */
#define SETTING        6u
#define NO_STATUS      (-1)

struct known {
	size_t len;
	uint8_t bytes[BLOCK_MAX];
};

struct grpc {
	nghttp2_hd_inflater *in;
	nghttp2_hd_deflater *out;
	struct wire_request request;
	struct buf calls[2]; /* HEADERS and DATA: of the first call, and of the others, which have all in the table */
	bool begun;          /* the first went out */
	/* The last blocks with headers, and with the trailers of calls that went well, of nothing but indexes: nothing was added to the
	 * table since, so that the same bytes mean the same again. */
	struct known headers, trailers;
	uint32_t unreturned; /* of the connection's window */
};

static void put_u32(char *p, uint32_t v)
{
	const unsigned char bytes[] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v};
	memcpy(p, bytes, sizeof(bytes));
}

static uint32_t get_u32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put_frame(struct buf *b, unsigned type, unsigned flags, uint32_t stream, const void *payload, size_t len)
{
	char head[FRAME_HEAD];
	put_u32(head, (uint32_t)len << 8 | type);
	head[4] = (char)flags;
	put_u32(head + 5, stream);
	buf_add(b, head, sizeof(head));
	buf_add(b, payload, len);
}

static void put_window(struct buf *b, uint32_t stream, uint32_t bytes)
{
	char payload[4];
	put_u32(payload, bytes);
	put_frame(b, NGHTTP2_WINDOW_UPDATE, 0, stream, payload, sizeof(payload));
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void prepare_call(struct grpc *g, size_t which)
{
	const struct wire_request *r = &g->request;
	static const char message[5];
	char authorization[600];
	uint8_t block[2048];
	(void)snprintf(authorization, sizeof(authorization), "Bearer %s", r->token ? r->token : "");
	nghttp2_nv nva[] = {field(":method", "POST"), field(":scheme", "http"), field(":path", r->path),
		field(":authority", "bench"), field("content-type", "application/grpc"), field("te", "trailers"),
		field("user-agent", "grpc-bench"), field("authorization", authorization)};
	size_t n = sizeof(nva) / sizeof(nva[0]);
	ssize_t len = nghttp2_hd_deflate_hd(g->out, block, sizeof(block), nva, r->token ? n : n - 1);
	if (len < 0)
		mem_abort("nghttp2_hd_deflate_hd");
	g->calls[which].len = 0;
	put_frame(&g->calls[which], NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 0, block, (size_t)len);
	put_frame(&g->calls[which], NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, message, sizeof(message));
}

static void prepare_calls(struct grpc *g)
{
	prepare_call(g, 0);
	prepare_call(g, 1);
	g->begun = false;
}

static void *grpc_open(const struct wire_request *r, struct buf *out)
{
	static const char preface[] = NGHTTP2_CLIENT_MAGIC;
	static const char settings[] = "\0\4\x7f\xff\xff\xff"; /* INITIAL_WINDOW_SIZE */
	struct grpc *g = mem_new(struct grpc);
	if (nghttp2_hd_inflate_new(&g->in) != 0 || nghttp2_hd_deflate_new(&g->out, TABLE) != 0)
		mem_abort("out of memory");
	g->request = *r;
	prepare_calls(g);
	buf_adds(out, preface);
	put_frame(out, NGHTTP2_SETTINGS, 0, 0, settings, sizeof(settings) - 1);
	put_window(out, 0, WINDOW - FIRST_WINDOW);
	return g;
}

static void grpc_call(void *state, uint64_t number, struct buf *out)
{
	struct grpc *g = state;
	const struct buf *call = &g->calls[g->begun];
	size_t at = out->len, data = call->len - FRAME_HEAD - 5;
	uint32_t stream = (uint32_t)(2 * number - 1);
	g->begun = true;
	buf_add_str(out, buf_str(call));
	put_u32(out->ptr + at + 5, stream);
	put_u32(out->ptr + at + data + 5, stream);
}

/* ---- answers ---- */

static bool is_known(const struct known *k, struct str block)
{
	return k->len == block.len && memcmp(k->bytes, block.ptr, block.len) == 0;
}

/* Only indexes of one byte: it changes no table. */
static bool is_plain(struct str block)
{
	for (size_t i = 0; i < block.len; i++)
		if ((unsigned char)block.ptr[i] <= 0x80 || (unsigned char)block.ptr[i] == 0xff)
			return false;
	return block.len <= BLOCK_MAX;
}

/* The block's grpc-status, or NO_STATUS. False: it cannot be decoded. */
static bool decode(struct grpc *g, struct str block, int *ret_status)
{
	const uint8_t *p = (const uint8_t *)block.ptr;
	size_t left = block.len;
	int flags = 0;
	*ret_status = NO_STATUS;
	while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		nghttp2_nv nv;
		ssize_t n = nghttp2_hd_inflate_hd2(g->in, &nv, &flags, p, left, 1);
		if (n < 0)
			return false;
		p += n;
		left -= (size_t)n;
		uint64_t code;
		if (flags & NGHTTP2_HD_INFLATE_EMIT && str_is(str_make((const char *)nv.name, nv.namelen), "grpc-status"))
			*ret_status = str_to_u64(str_make((const char *)nv.value, nv.valuelen), &code) ? (int)code : ST_UNKNOWN;
	}
	nghttp2_hd_inflate_end_headers(g->in);
	return true;
}

/* Headers or trailers. The status of a call that this ends; NO_STATUS otherwise. */
static int on_block(struct grpc *g, struct str block, bool end, const char **ret_wrong)
{
	struct known *k = end ? &g->trailers : &g->headers;
	int status;
	if (is_known(k, block))
		return end ? ST_OK : NO_STATUS;
	if (!decode(g, block, &status)) {
		*ret_wrong = "a header block that cannot be decoded";
		return NO_STATUS;
	}
	if (!is_plain(block)) {
		g->headers.len = g->trailers.len = 0;
	} else if (!end || status == ST_OK) {
		k->len = block.len;
		memcpy(k->bytes, block.ptr, block.len);
	}
	return end && status == NO_STATUS ? ST_UNKNOWN : status;
}

static void answer(uint32_t stream, int status, const struct wire_hears *h)
{
	uint64_t number = ((uint64_t)stream + 1) / 2;
	if (status == ST_OK) {
		h->answered(h->data, number, NULL);
		return;
	}
	struct status st = status_err((enum st_code)status, "grpc-status %d", status);
	h->answered(h->data, number, &st);
}

/* A smaller table: what goes out from now on is encoded anew. */
static void on_settings(struct grpc *g, struct str entries, struct buf *out)
{
	for (; entries.len >= SETTING; entries.ptr += SETTING, entries.len -= SETTING) {
		uint32_t value = get_u32(entries.ptr + 2);
		if (get_u32(entries.ptr) >> 16 != NGHTTP2_SETTINGS_HEADER_TABLE_SIZE || value >= TABLE)
			continue;
		if (nghttp2_hd_deflate_change_table_size(g->out, value) != 0)
			mem_abort("out of memory");
		prepare_calls(g);
	}
	put_frame(out, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
}

static const char *on_frame(struct grpc *g, const char *head, struct str payload, struct buf *out, const struct wire_hears *h)
{
	unsigned type = (unsigned char)head[3], flags = (unsigned char)head[4];
	uint32_t stream = get_u32(head + 5);
	const char *wrong = NULL;
	int status;
	switch (type) {
	case NGHTTP2_HEADERS:
		if (!(flags & NGHTTP2_FLAG_END_HEADERS) || flags & (NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_PRIORITY))
			return "a header block in parts, or padded";
		status = on_block(g, payload, flags & NGHTTP2_FLAG_END_STREAM, &wrong);
		if (!wrong && flags & NGHTTP2_FLAG_END_STREAM)
			answer(stream, status, h);
		return wrong;
	case NGHTTP2_DATA:
		g->unreturned += (uint32_t)payload.len;
		if (g->unreturned > WINDOW_REFILL) {
			put_window(out, 0, g->unreturned);
			g->unreturned = 0;
		}
		return NULL;
	case NGHTTP2_RST_STREAM:
		answer(stream, ST_CANCELLED, h);
		return NULL;
	case NGHTTP2_SETTINGS:
		if (!(flags & NGHTTP2_FLAG_ACK))
			on_settings(g, payload, out);
		return NULL;
	case NGHTTP2_PING:
		if (!(flags & NGHTTP2_FLAG_ACK))
			put_frame(out, type, NGHTTP2_FLAG_ACK, 0, payload.ptr, payload.len);
		return NULL;
	case NGHTTP2_GOAWAY:
		return "a goaway";
	default:
		return NULL;
	}
}

static size_t grpc_feed(void *state, struct str bytes, struct buf *out, const struct wire_hears *h, const char **ret_wrong)
{
	struct grpc *g = state;
	size_t pos = 0;
	while (!*ret_wrong && bytes.len - pos >= FRAME_HEAD) {
		const char *head = bytes.ptr + pos;
		size_t len = get_u32(head) >> 8;
		if (len > LONGEST_FRAME)
			*ret_wrong = "a frame that is too long, or no HTTP/2";
		if (*ret_wrong || bytes.len - pos - FRAME_HEAD < len)
			break;
		*ret_wrong = on_frame(g, head, str_make(head + FRAME_HEAD, len), out, h);
		pos += FRAME_HEAD + len;
	}
	return pos;
}

static void grpc_close(void *state)
{
	struct grpc *g = state;
	nghttp2_hd_inflate_del(g->in);
	nghttp2_hd_deflate_del(g->out);
	for (size_t i = 0; i < 2; i++)
		buf_finish(&g->calls[i]);
	free(g);
}

const struct load_wire load_grpc = {"grpc", grpc_open, grpc_call, grpc_feed, grpc_close};
