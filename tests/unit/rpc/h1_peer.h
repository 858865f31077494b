/* The raw peer of HTTP/1.1: sends any text, takes responses apart. */
#pragma once
#include "fixture.h"

struct pair {
	struct world *w;
	struct peer p;
	unsigned status; /* of the last response */
	struct buf head, body;
};

static inline void start_in(struct pair *t, struct world *w)
{
	*t = (struct pair){.w = w};
	peer_connect(&t->p, t->w);
}

static inline void start(struct pair *t, const struct rpc_limits *limits)
{
	start_in(t, world_create(limits, false));
}

static inline void stop(struct pair *t)
{
	buf_finish(&t->head);
	buf_finish(&t->body);
	peer_close(&t->p);
	world_destroy(t->w);
}

static inline void send_text(struct pair *t, const char *text)
{
	peer_send(&t->p, text, strlen(text));
}

static inline const char *in_head(struct pair *t, const char *text)
{
	return strcasestr(buf_str(&t->head).ptr, text);
}

static inline void read_bytes(struct pair *t, size_t n)
{
	WAIT(t->w, t->p.in.len >= n || t->p.closed);
	assert_true(t->p.in.len >= n);
	buf_add(&t->body, t->p.in.ptr, n);
	buf_drop(&t->p.in, n);
}

static inline char *find(struct peer *p, const char *text)
{
	return p->in.len ? memmem(p->in.ptr, p->in.len, text, strlen(text)) : NULL;
}

static inline void read_chunks(struct pair *t)
{
	for (;;) {
		WAIT(t->w, find(&t->p, "\r\n") || t->p.closed);
		char *end;
		size_t n = strtoul(t->p.in.ptr, &end, 16);
		assert_memory_equal(end, "\r\n", 2);
		buf_drop(&t->p.in, (size_t)(end - t->p.in.ptr) + 2);
		read_bytes(t, n);
		WAIT(t->w, t->p.in.len >= 2 || t->p.closed);
		assert_memory_equal(t->p.in.ptr, "\r\n", 2);
		buf_drop(&t->p.in, 2);
		if (n == 0)
			return;
	}
}

static inline void read_head(struct pair *t)
{
	t->head.len = t->body.len = 0;
	WAIT(t->w, find(&t->p, "\r\n\r\n") || t->p.closed);
	char *end = find(&t->p, "\r\n\r\n");
	if (!end)
		fail_msg("no response, but: " STR_FMT, STR_ARG(buf_str(&t->p.in)));
	size_t n = (size_t)(end - t->p.in.ptr) + 4;
	buf_add(&t->head, t->p.in.ptr, n);
	buf_drop(&t->p.in, n);
	t->status = (unsigned)strtoul(t->head.ptr + 9, NULL, 10);
}

static inline void response(struct pair *t)
{
	read_head(t);
	const char *length = in_head(t, "\r\ncontent-length: ");
	if (length)
		read_bytes(t, strtoul(length + 18, NULL, 10));
	else if (in_head(t, "transfer-encoding: chunked"))
		read_chunks(t);
}

static inline void expect(struct pair *t, unsigned status, const char *body)
{
	response(t);
	if (t->status != status || !strstr(buf_str(&t->body).ptr, body))
		fail_msg("%s%s", t->head.ptr, buf_str(&t->body).ptr);
}

static inline void expect_closed(struct pair *t)
{
	WAIT(t->w, t->p.closed);
	assert_int_equal(t->p.in.len, 0);
}

static inline void post(
	struct pair *t, const char *path, const char *type, const char *more, const char *body)
{
	struct buf b = {0};
	buf_fmt(&b,
		"POST %s HTTP/1.1\r\nHost: t\r\nContent-Type: %s\r\n%sContent-Length: "
		"%zu\r\n\r\n%s",
		path, type, more, strlen(body), body);
	peer_send_buf(&t->p, &b);
}
