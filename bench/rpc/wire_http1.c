#include <stdlib.h>
#include <strings.h>
#include "base/mem.h"
#include "wire.h"

/* One request, again and again; answers come in order. */
struct http1 {
	struct buf request;
	uint64_t answered;
};

static void *http1_open(const struct wire_request *r, struct buf *out)
{
	struct http1 *h = mem_new(struct http1);
	(void)out;
	buf_fmt(&h->request, "%s %s HTTP/1.1\r\nHost: bench\r\n", r->body.ptr ? "POST" : "GET", r->path);
	if (r->token)
		buf_fmt(&h->request, "Authorization: Bearer %s\r\n", r->token);
	if (r->body.ptr)
		buf_fmt(&h->request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", r->body.len);
	buf_adds(&h->request, "\r\n");
	buf_add_str(&h->request, r->body.ptr ? r->body : STR(""));
	return h;
}

static void http1_call(void *state, uint64_t number, struct buf *out)
{
	struct http1 *h = state;
	(void)number; /* rises by one */
	buf_add_str(out, buf_str(&h->request));
}

/* The body's length by its Content-Length. False: it has none, as only answers of another kind have. */
static bool body_length(struct str head, size_t *ret_len)
{
	static const char name[] = "content-length:";
	uint64_t n;
	while (head.len > 0) {
		struct str line = str_trim(str_cut(&head, '\n'));
		size_t at = sizeof(name) - 1;
		if (line.len <= at || strncasecmp(line.ptr, name, at) != 0)
			continue;
		bool ok = str_to_u64(str_trim(str_make(line.ptr + at, line.len - at)), &n);
		*ret_len = (size_t)n;
		return ok;
	}
	return false;
}

static size_t http1_feed(void *state, struct str bytes, struct buf *out, const struct wire_hears *hears, const char **ret_wrong)
{
	struct http1 *h = state;
	size_t pos = 0, len;
	(void)out;
	while (pos < bytes.len) {
		const char *at = bytes.ptr + pos, *end = memmem(at, bytes.len - pos, "\r\n\r\n", 4);
		if (!end)
			break;
		struct str head = {at, (size_t)(end + 4 - at)};
		if (!body_length(head, &len)) {
			*ret_wrong = "an answer without Content-Length";
			break;
		}
		if (bytes.len - pos - head.len < len)
			break;
		pos += head.len + len;
		struct status st = status_ok();
		bool good = str_starts(head, "HTTP/1.1 200 ");
		if (!good)
			st = status_err(ST_UNKNOWN, STR_FMT, STR_ARG(str_trim(str_cut(&head, '\n'))));
		hears->answered(hears->data, ++h->answered, good ? NULL : &st);
	}
	return pos;
}

static void http1_close(void *state)
{
	struct http1 *h = state;
	buf_finish(&h->request);
	free(h);
}

const struct load_wire load_http1 = {"http1", http1_open, http1_call, http1_feed, http1_close};
