/* http_server: a scripted HTTP server on the test's own loop, on a unix socket in a directory of
 * its own. on_request gets each whole request and answers with any bytes it likes. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "loop/loop.h"

struct server_conn;
struct server {
	uv_pipe_t listen;
	struct list conns;
	char dir[32], path[48];
	/* text: head and body, NUL-terminated. */
	void (*on_request)(struct server_conn *c, const char *text);
	void *data;
	unsigned accepted, requests;
	struct loop *loop;
	bool listening, closed;
};
struct server_conn {
	struct list node;
	uv_pipe_t pipe;
	struct server *server;
	struct buf in;
	unsigned requests;
	bool closing;
};

static inline void server_on_conn_closed(uv_handle_t *h)
{
	struct server_conn *c = h->data;
	list_remove(&c->node);
	buf_finish(&c->in);
	free(c);
}

static inline void server_close_conn(struct server_conn *c)
{
	if (!c->closing)
		uv_close((uv_handle_t *)&c->pipe, server_on_conn_closed);
	c->closing = true;
}

static inline void server_on_written(uv_write_t *w, int status)
{
	(void)status;
	free(w->data);
	free(w);
}

static inline void server_send_bytes(struct server_conn *c, const void *p, size_t len)
{
	uv_write_t *w = mem_new(uv_write_t);
	w->data = mem_alloc(len + 1);
	memcpy(w->data, p, len);
	uv_buf_t b = uv_buf_init(w->data, (unsigned)len);
	assert_int_equal(uv_write(w, (uv_stream_t *)&c->pipe, &b, 1, server_on_written), 0);
}

static inline void server_send(struct server_conn *c, const char *text)
{
	server_send_bytes(c, text, strlen(text));
}

static inline void server_on_shutdown(uv_shutdown_t *s, int status)
{
	(void)status;
	free(s);
}

/* Nothing more will be sent. */
static inline void server_end(struct server_conn *c)
{
	uv_shutdown_t *s = mem_new(uv_shutdown_t);
	assert_int_equal(uv_shutdown(s, (uv_stream_t *)&c->pipe, server_on_shutdown), 0);
}

static inline void server_reply(struct server_conn *c, int code, const char *body)
{
	struct buf b = {0};
	buf_fmt(&b,
		"HTTP/1.1 %d Words\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
		"X-Test: yes\r\n\r\n%s",
		code, strlen(body), body);
	server_send_bytes(c, b.ptr, b.len);
	buf_finish(&b);
}

static inline void server_chunk(struct server_conn *c, const void *p, size_t len)
{
	struct buf b = {0};
	buf_fmt(&b, "%zx\r\n", len);
	buf_add(&b, p, len);
	buf_adds(&b, "\r\n");
	server_send_bytes(c, b.ptr, b.len);
	buf_finish(&b);
}

static inline void server_on_alloc(uv_handle_t *h, size_t size, uv_buf_t *ret_buf)
{
	(void)h;
	*ret_buf = uv_buf_init(mem_alloc(size), (unsigned)size);
}

static inline size_t server_request_len(const struct buf *in)
{
	const char *end = in->len ? strstr(in->ptr, "\r\n\r\n") : NULL;
	if (end == NULL)
		return 0;
	const char *length = strcasestr(in->ptr, "\r\nContent-Length: ");
	size_t body = length && length < end ? strtoul(length + 18, NULL, 10) : 0;
	size_t len = (size_t)(end - in->ptr) + 4 + body;
	return in->len >= len ? len : 0;
}

static inline void server_on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct server_conn *c = s->data;
	size_t len;
	if (n > 0)
		buf_add(&c->in, b->base, (size_t)n);
	free(b->base);
	if (n < 0)
		server_close_conn(c);
	while (!c->closing && (len = server_request_len(&c->in)) > 0) {
		char *text = strndup(c->in.ptr, len);
		buf_drop(&c->in, len);
		c->requests++;
		c->server->requests++;
		c->server->on_request(c, text);
		free(text);
	}
}

static inline void server_on_connection(uv_stream_t *s, int status)
{
	struct server *v = s->data;
	struct server_conn *c = mem_new(struct server_conn);
	assert_int_equal(status, 0);
	c->server = v;
	assert_int_equal(uv_pipe_init(s->loop, &c->pipe, 0), 0);
	c->pipe.data = c;
	list_push(&v->conns, &c->node);
	assert_int_equal(uv_accept(s, (uv_stream_t *)&c->pipe), 0);
	v->accepted++;
	assert_int_equal(
		uv_read_start((uv_stream_t *)&c->pipe, server_on_alloc, server_on_read), 0);
}

static inline void server_listen(struct server *v)
{
	assert_int_equal(uv_pipe_init(loop_uv(v->loop), &v->listen, 0), 0);
	v->listen.data = v;
	assert_int_equal(uv_pipe_bind(&v->listen, v->path), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&v->listen, 64, server_on_connection), 0);
	v->listening = true;
}

static inline void server_start(struct server *v, struct loop *l)
{
	*v = (struct server){.loop = l};
	list_init(&v->conns);
	(void)snprintf(v->dir, sizeof v->dir, "/tmp/skep-http-XXXXXX");
	assert_non_null(mkdtemp(v->dir));
	(void)snprintf(v->path, sizeof v->path, "%s/s", v->dir);
	server_listen(v);
}

static inline void server_on_closed(uv_handle_t *h)
{
	((struct server *)h->data)->closed = true;
}

/* As if the server had died: the socket and all connections are gone. */
static inline void server_kill(struct server *v)
{
	if (!v->listening)
		return;
	v->closed = v->listening = false;
	uv_close((uv_handle_t *)&v->listen, server_on_closed);
	list_for_each (&v->conns, n)
		server_close_conn(container_of(n, struct server_conn, node));
	while (!v->closed || !list_empty(&v->conns))
		loop_turn(v->loop);
}

static inline void server_stop(struct server *v)
{
	server_kill(v);
	(void)unlink(v->path);
	assert_int_equal(rmdir(v->dir), 0);
}
