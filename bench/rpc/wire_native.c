#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "rpc/details.h"
#include "rpc/frame.h"
#include "wire.h"

struct native {
	struct wire_request request;
	struct buf authorization;
};

static void *native_open(const struct wire_request *r, struct buf *out)
{
	struct native *n = mem_new(struct native);
	(void)out;
	n->request = *r;
	if (r->token)
		buf_fmt(&n->authorization, "Bearer %s", r->token);
	return n;
}

static void native_call(void *state, uint64_t number, struct buf *out)
{
	struct native *n = state;
	const struct str metadata[] = {STR("authorization"), buf_str(&n->authorization)};
	struct frame_open open = {.method = str_of(n->request.path),
		.end = true,
		.has_payload = true,
		.metadata = metadata,
		.n_metadata = n->request.token ? 1 : 0};
	(void)frame_open_begin(out, number, &open);
}

static void answer(const struct frame *f, const struct wire_hears *h)
{
	struct rpc_details d;
	struct status st;
	if (!f->has_status) {
		h->answered(h->data, f->call, NULL);
		return;
	}
	struct arena *a = arena_create();
	if (!rpc_status_unpack(a, f->status, &st, &d))
		st = status_err(ST_INTERNAL, "a malformed status");
	h->answered(h->data, f->call, &st);
	arena_destroy(a);
}

static size_t native_feed(void *state, struct str bytes, struct buf *out, const struct wire_hears *h, const char **ret_wrong)
{
	size_t pos = 0, len;
	(void)state;
	(void)out;
	while (!*ret_wrong && bytes.len - pos >= FRAME_HEADER && frame_header(bytes.ptr + pos, &len) &&
		bytes.len - pos - FRAME_HEADER >= len) {
		struct frame f;
		*ret_wrong = frame_parse(str_make(bytes.ptr + pos + FRAME_HEADER, len), &f);
		pos += FRAME_HEADER + len;
		if (!*ret_wrong && f.kind == FRAME_GOAWAY)
			*ret_wrong = "a goaway";
		else if (!*ret_wrong && f.kind == FRAME_FINISH)
			answer(&f, h);
	}
	return pos;
}

static void native_close(void *state)
{
	struct native *n = state;
	buf_finish(&n->authorization);
	free(n);
}

const struct load_wire load_native = {"native", native_open, native_call, native_feed, native_close};
