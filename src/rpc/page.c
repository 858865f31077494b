#include "rpc/page.h"
#include <stdlib.h>
#include "base/mem.h"
#include "rpc/conn.h"
#include "rpc/envelope.h"
#include "rpc/gzip.h"
#include "rpc/server_impl.h"

/* The page needs nothing but its own style. */
#define POLICY "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

bool page_find(struct http_exchange *x)
{
	const struct rpc_server_options *o = &x->conn->server->o;
	for (size_t i = 0; i < o->n_pages; i++) {
		if (!str_is(x->path, o->pages[i].path))
			continue;
		x->state = (void *)(uintptr_t)&o->pages[i];
		return true;
	}
	return false;
}

/* Packed once, at the first request for it. */
static struct str packed(struct rpc_server *s, const struct rpc_page *p)
{
	if (!s->packed_pages)
		s->packed_pages = mem_zalloc(s->o.n_pages * sizeof(*s->packed_pages));
	struct buf *b = &s->packed_pages[p - s->o.pages];
	if (b->len == 0)
		gzip_pack(b, str_make(p->body, *p->len));
	return buf_str(b);
}

static void page_begin(struct http_exchange *x)
{
	struct rpc_server *s = x->conn->server;
	const struct rpc_page *p = x->state;
	x->protocol = NULL; /* nobody wants a body */
	x->no_body = str_is(x->method, "HEAD");
	http_add_header(x, "content-type", str_of(p->type));
	http_add_header(x, "x-content-type-options", STR("nosniff"));
	if (p->make) {
		http_add_header(x, "cache-control", STR("no-store"));
		http_respond(x, p->make(s->o.context, http_out(x)));
		http_end(x);
		return;
	}
	http_add_header(x, "content-security-policy", STR(POLICY));
	http_add_header(x, "vary", STR("accept-encoding"));
	http_respond(x, 200);
	if (envelope_accepts_gzip(http_header(x, "accept-encoding"))) {
		http_add_header(x, "content-encoding", STR("gzip"));
		buf_add_str(http_out(x), packed(s, p));
	} else {
		buf_add(http_out(x), p->body, *p->len);
	}
	http_end(x);
}

static void nothing(struct http_exchange *x)
{
	(void)x;
}

void page_forget(struct rpc_server *s)
{
	for (size_t i = 0; s->packed_pages && i < s->o.n_pages; i++)
		buf_finish(&s->packed_pages[i]);
	free(s->packed_pages);
}

const struct http_protocol page_protocol = {"page", page_begin, nothing, nothing, NULL};
