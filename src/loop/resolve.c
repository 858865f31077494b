#include "loop/resolve.h"
#include <netdb.h>
#include <stdlib.h>
#include <uv.h>
#include "base/mem.h"
#include "loop/loop.h"

struct resolve {
	uv_getaddrinfo_t req;
	struct defer refused; /* libuv would not even start */
	struct loop *loop;
	char *host;
	resolve_done done; /* NULL: cancelled */
	void *data;
	int err;
};

static void resolve_free(struct resolve *r)
{
	free(r->host);
	free(r);
}

static void fail(struct resolve *r, int err)
{
	char words[128];
	struct resolve_addrs none = {0};
	struct status st = status_err(ST_UNAVAILABLE, "the host name \"%s\" cannot be resolved: %s",
		r->host, uv_strerror_r(err, words, sizeof words));
	r->done(r->data, &st, &none);
}

static void collect(const struct addrinfo *list, struct resolve_addrs *ret_addrs)
{
	ret_addrs->n = 0;
	for (const struct addrinfo *ai = list; ai && ret_addrs->n < RESOLVE_MAX; ai = ai->ai_next) {
		char *text = ret_addrs->text[ret_addrs->n];
		if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof ret_addrs->text[0], NULL,
			    0, NI_NUMERICHOST) == 0)
			ret_addrs->n++;
	}
}

static void on_resolved(uv_getaddrinfo_t *req, int err, struct addrinfo *list)
{
	struct resolve *r = req->data;
	if (r->done) {
		uint64_t token = loop_enter(r->loop, "resolve");
		struct resolve_addrs addrs = {0};
		struct status ok = status_ok();
		collect(err ? NULL : list, &addrs);
		if (addrs.n > 0)
			r->done(r->data, &ok, &addrs);
		else
			fail(r, err ? err : UV_EAI_NONAME);
		loop_leave(r->loop, token);
	}
	uv_freeaddrinfo(list);
	resolve_free(r);
}

static void on_refused(struct defer *d)
{
	struct resolve *r = container_of(d, struct resolve, refused);
	fail(r, r->err);
	resolve_free(r);
}

struct resolve *resolve_start(struct loop *l, const char *host, resolve_done done, void *data)
{
	static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct resolve *r = mem_new(struct resolve);
	r->loop = l;
	r->host = mem_strdup(host);
	r->done = done;
	r->data = data;
	r->req.data = r;
	defer_init(&r->refused, l, on_refused);
	r->err = uv_getaddrinfo(loop_uv(l), &r->req, on_resolved, host, NULL, &hints);
	if (r->err)
		defer_post(&r->refused);
	return r;
}

void resolve_cancel(struct resolve *r)
{
	if (r == NULL)
		return;
	r->done = NULL;
	if (r->err) {
		defer_cancel(&r->refused);
		resolve_free(r);
		return;
	}
	(void)uv_cancel((uv_req_t *)&r->req); /* one that runs already ends by itself, unheard */
}
