#include "redis/conn.h"
#include <stdlib.h>
#include <uv.h>
#include "base/mem.h"

#define CONNECT_MS 3000

/* ---- hiredis on libuv. Its own adapter does not see errors of the poll ---- */

/* Freed in the close callback, when hiredis's context is gone. */
struct poll {
	uv_poll_t uv;
	struct loop *loop;
	redisAsyncContext *ac; /* NULL: closing */
	int events;
};

static void on_poll(uv_poll_t *uv, int err, int events);

static void poll_update(struct poll *p, int events)
{
	if (p->events == events)
		return;
	p->events = events;
	if (events)
		uv_poll_start(&p->uv, events, on_poll);
	else
		uv_poll_stop(&p->uv);
}

static void on_poll(uv_poll_t *uv, int err, int events)
{
	struct poll *p = uv->data;
	int wanted = p->events;
	uint64_t token = loop_enter(p->loop, "redis");
	if (err) { /* libuv has stopped it: hiredis finds out why */
		p->events = 0;
		events = UV_READABLE;
	}
	if (p->ac && (events & UV_READABLE))
		redisAsyncHandleRead(p->ac);
	if (p->ac && (events & UV_WRITABLE))
		redisAsyncHandleWrite(p->ac);
	if (p->ac && err)
		poll_update(p, wanted);
	loop_leave(p->loop, token);
}

static void add_read(void *data)
{
	struct poll *p = data;
	poll_update(p, p->events | UV_READABLE);
}

static void del_read(void *data)
{
	struct poll *p = data;
	poll_update(p, p->events & ~UV_READABLE);
}

static void add_write(void *data)
{
	struct poll *p = data;
	poll_update(p, p->events | UV_WRITABLE);
}

static void del_write(void *data)
{
	struct poll *p = data;
	poll_update(p, p->events & ~UV_WRITABLE);
}

static void on_poll_closed(uv_handle_t *h)
{
	free(h->data);
}

static void cleanup(void *data)
{
	struct poll *p = data;
	p->ac = NULL;
	uv_close((uv_handle_t *)&p->uv, on_poll_closed);
}

/* 0 or libuv's error. */
static int attach(struct redis_conn *c)
{
	struct poll *p = mem_new(struct poll);
	int err = uv_poll_init(loop_uv(c->loop), &p->uv, c->ac->c.fd);
	if (err) {
		free(p);
		return err;
	}
	p->uv.data = p;
	p->loop = c->loop;
	p->ac = c->ac;
	c->ac->ev.data = p;
	c->ac->ev.addRead = add_read;
	c->ac->ev.delRead = del_read;
	c->ac->ev.addWrite = add_write;
	c->ac->ev.delWrite = del_write;
	c->ac->ev.cleanup = cleanup;
	return 0;
}

/* ---- words ---- */

struct status redis_reply_status(const redisReply *reply)
{
	static const struct {
		const char *word;
		enum st_code code;
	} codes[] = {
		{"NOSCRIPT ", ST_NOT_FOUND},
		{"OOM ", ST_RESOURCE_EXHAUSTED},
		{"WRONGTYPE ", ST_FAILED_PRECONDITION},
		{"NOPERM ", ST_PERMISSION_DENIED},
		{"NOAUTH ", ST_UNAUTHENTICATED},
		{"WRONGPASS ", ST_UNAUTHENTICATED},
		{"LOADING ", ST_UNAVAILABLE},
		{"BUSY ", ST_UNAVAILABLE},
		{"READONLY ", ST_UNAVAILABLE},
		{"MASTERDOWN ", ST_UNAVAILABLE},
		{"CLUSTERDOWN ", ST_UNAVAILABLE},
		{"TRYAGAIN ", ST_UNAVAILABLE},
	};
	if (reply->type != REDIS_REPLY_ERROR)
		return status_ok();
	struct str words = str_make(reply->str, reply->len);
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (str_starts(words, codes[i].word))
			return status_err(codes[i].code, "Redis: " STR_FMT, STR_ARG(words));
	return status_err(ST_INTERNAL, "Redis: " STR_FMT, STR_ARG(words));
}

struct status redis_reply_role(const redisReply *reply)
{
	const redisReply *role = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 ? reply->element[0] : NULL;
	if (role && role->str && str_is(str_make(role->str, role->len), "master"))
		return status_ok();
	return status_err(ST_UNAVAILABLE, "it is a replica: name the one that it follows");
}

static struct status failure(const struct redis_conn *c, const char *words)
{
	if (c->url->path)
		return status_err(ST_UNAVAILABLE, "Redis at %s: %s", c->url->path, words);
	return status_err(
		ST_UNAVAILABLE, "Redis at %s port %d: %s", c->url->host, c->url->port, words);
}

static void fail_words(struct redis_conn *c, const char *words)
{
	struct status st = failure(c, words);
	redis_conn_fail(c, &st);
}

/* ---- making the connection ---- */

struct status redis_conn_lost(struct redis_conn *c, const redisAsyncContext *ac)
{
	fail_words(c, ac->c.err ? ac->c.errstr : "the connection was closed");
	return c->why;
}

static void on_greeted(redisAsyncContext *ac, void *r, void *data)
{
	struct redis_conn *c = ac->data;
	const redisReply *reply = r;
	const bool *last = data;
	if (c == NULL || c->state != REDIS_CONN_GREETING)
		return;
	if (reply == NULL) {
		(void)redis_conn_lost(c, ac);
		return;
	}
	struct status st = redis_reply_status(reply);
	if (last && status_is_ok(&st))
		st = redis_reply_role(reply);
	if (last && st.code == ST_PERMISSION_DENIED) /* a user who may not ask: then nobody can tell */
		st = status_ok();
	if (!status_is_ok(&st)) {
		struct status why = failure(c, strncmp(st.message, "Redis: ", 7) == 0 ? st.message + 7 : st.message);
		why.code = st.code;
		redis_conn_fail(c, &why);
	} else if (last) {
		c->tried = 0;
		c->state = REDIS_CONN_UP;
		timer_stop(&c->timer);
		backoff_reset(&c->backoff);
		c->ops->on_up(c);
	}
}

/* ROLE tells what a connection that was accepted is worth: NOAUTH, LOADING, a replica. */
static void greet(struct redis_conn *c)
{
	static const bool last = true;
	const struct redis_url *u = c->url;
	c->state = REDIS_CONN_GREETING;
	if (u->password && u->user)
		redisAsyncCommand(c->ac, on_greeted, NULL, "AUTH %s %s", u->user, u->password);
	else if (u->password)
		redisAsyncCommand(c->ac, on_greeted, NULL, "AUTH %s", u->password);
	if (u->db)
		redisAsyncCommand(c->ac, on_greeted, NULL, "SELECT %d", u->db);
	if (c->name)
		redisAsyncCommand(c->ac, NULL, NULL, "CLIENT SETNAME %s", c->name); /* who may not has none */
	redisAsyncCommand(c->ac, on_greeted, (void *)(uintptr_t)&last, "ROLE");
}

static void on_connect(const redisAsyncContext *ac, int status)
{
	struct redis_conn *c = ac->data;
	if (c == NULL)
		return;
	if (status == REDIS_OK) {
		greet(c);
		return;
	}
	fail_words(c, ac->c.errstr);
	c->ac = NULL; /* hiredis frees it */
}

/* After the pending callbacks, if there were any. */
static void on_disconnect(const redisAsyncContext *ac, int status)
{
	struct redis_conn *c = ac->data;
	(void)status;
	if (c == NULL)
		return;
	(void)redis_conn_lost(c, ac);
	c->ac = NULL; /* hiredis frees it */
}

static void begin_connect(struct redis_conn *c)
{
	const struct redis_url *u = c->url;
	char words[128];
	c->state = REDIS_CONN_CONNECTING;
	if (u->path)
		c->ac = redisAsyncConnectUnix(u->path);
	else
		c->ac = redisAsyncConnect(c->addrs.text[--c->addrs.n], u->port);
	if (c->ac == NULL)
		mem_abort("out of memory");
	c->ac->data = c;
	int err = c->ac->err ? 0 : attach(c);
	if (c->ac->err || err) {
		fail_words(c, err ? uv_strerror_r(err, words, sizeof words) : c->ac->errstr);
		return;
	}
	if (u->host)
		(void)redisEnableKeepAlive(&c->ac->c); /* a peer that is gone without a word */
	redisAsyncSetConnectCallback(c->ac, on_connect);
	redisAsyncSetDisconnectCallback(c->ac, on_disconnect);
}

static void on_resolved(void *data, const struct status *st, const struct resolve_addrs *addrs)
{
	struct redis_conn *c = data;
	c->resolve = NULL;
	if (!status_is_ok(st)) {
		redis_conn_fail(c, st);
		return;
	}
	/* the first one comes last, from where it is taken first */
	for (size_t i = addrs->n; i-- > 0;)
		memcpy(c->addrs.text[c->addrs.n++], addrs->text[i], sizeof addrs->text[i]);
	begin_connect(c);
}

static void begin(struct redis_conn *c)
{
	c->state = REDIS_CONN_RESOLVING;
	c->addrs.n = 0;
	timer_set(&c->timer, CONNECT_MS);
	if (c->url->path)
		begin_connect(c);
	else
		c->resolve = resolve_start(c->loop, c->url->host, on_resolved, c);
}

static void on_timer(struct timer *t)
{
	struct redis_conn *c = container_of(t, struct redis_conn, timer);
	if (c->state == REDIS_CONN_WAITING)
		begin(c);
	else
		fail_words(c, c->state == REDIS_CONN_RESOLVING
				      ? "the host name was not resolved in time"
				      : "no connection in time: it does not answer");
}

/* ---- the end ---- */

/* Pending callbacks run inside. */
static void let_go(struct redis_conn *c)
{
	redisAsyncContext *ac = c->ac;
	timer_stop(&c->timer);
	defer_cancel(&c->defer);
	resolve_cancel(c->resolve);
	c->resolve = NULL;
	c->ac = NULL;
	if (ac) {
		ac->data = NULL;
		redisAsyncFree(ac);
	}
}

static void on_failing(struct defer *d)
{
	struct redis_conn *c = container_of(d, struct redis_conn, defer);
	struct status why = c->why;
	let_go(c);
	if (c->unreached && c->addrs.n > 0) {
		timer_set(&c->timer, CONNECT_MS);
		begin_connect(c); /* the next address of the same name */
		return;
	}
	c->state = REDIS_CONN_WAITING;
	c->url = c->url + 1 < c->urls->list + c->urls->n ? c->url + 1 : c->urls->list;
	bool round = ++c->tried >= c->urls->n;
	if (round)
		c->tried = 0;
	timer_set(&c->timer, round ? backoff_next(&c->backoff) : 0);
	c->ops->on_down(c, &why);
}

void redis_conn_fail(struct redis_conn *c, const struct status *why)
{
	if (c->state == REDIS_CONN_IDLE || c->state == REDIS_CONN_WAITING ||
		c->state == REDIS_CONN_FAILING)
		return;
	c->unreached = c->state == REDIS_CONN_CONNECTING;
	c->why = *why;
	c->state = REDIS_CONN_FAILING;
	defer_post(&c->defer);
}

void redis_conn_close(struct redis_conn *c)
{
	c->state = REDIS_CONN_IDLE;
	let_go(c);
}

void redis_conn_start(struct redis_conn *c)
{
	c->state = REDIS_CONN_WAITING;
	timer_set(&c->timer, 0);
}

void redis_conn_init(struct redis_conn *c, struct loop *l, const struct redis_urls *urls,
	const struct redis_conn_ops *ops)
{
	*c = (struct redis_conn){.loop = l, .urls = urls, .url = urls->list, .ops = ops};
	c->backoff = (struct backoff){.first = 50, .max = 2000};
	timer_init(&c->timer, l, on_timer);
	defer_init(&c->defer, l, on_failing);
}
