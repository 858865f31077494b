#include "net/transport.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <uv.h>
#include "base/mem.h"
#include "loop/loop.h"
#include "net/tls.h"

struct transport_connect {
	uv_connect_t req;
	struct defer failed; /* what failed before libuv took it */
	struct transport *t;
	transport_connected done;
	void *data;
	struct tls_context *tls; /* NULL: in clear */
	char *host;              /* whom the certificate must name */
	bool connected;          /* and the handshake is under way */
	bool cancelled;
	char where[200];
	int err;
};

static void connect_free(struct transport_connect *c)
{
	tls_context_unref(c->tls);
	free(c->host);
	free(c);
}

static void connect_failed(struct transport_connect *c, const struct status *why)
{
	transport_destroy(c->t);
	c->done(c->data, why, NULL);
	connect_free(c);
}

static void connect_done(struct transport_connect *c)
{
	struct status st = status_ok();
	c->done(c->data, &st, c->t);
	connect_free(c);
}

/* ---- the handshake ---- */

static void on_up(void *data)
{
	connect_done(data);
}

static void on_early_data(void *data, char *bytes, size_t len)
{
	(void)data; /* there is none before on_up */
	(void)bytes;
	(void)len;
}

static void on_drain(void *data)
{
	(void)data;
}

static void on_close(void *data, const struct status *why)
{
	struct transport_connect *c = data;
	struct status st = status_err(ST_UNAVAILABLE, "connect to %s: the other side left the TLS handshake", c->where);
	if (!status_is_ok(why))
		st = status_wrap(why, "connect to %s", c->where);
	connect_failed(c, &st);
}

static void shake_hands(struct transport_connect *c)
{
	static const struct transport_events events = {on_early_data, on_drain, NULL, on_close};
	c->connected = true;
	transport_secure(c->t, c->tls, c->host, on_up, c);
	transport_start(c->t, &events, c, 0);
}

/* ---- the connection ---- */

static void connect_ended(struct transport_connect *c, int err)
{
	if (c->cancelled) {
		connect_free(c);
		return;
	}
	if (err) {
		char what[240];
		(void)snprintf(what, sizeof(what), "connect to %s", c->where);
		struct status st = transport_error(what, err);
		connect_failed(c, &st);
		return;
	}
	transport_accepted(c->t);
	if (c->tls)
		shake_hands(c);
	else
		connect_done(c);
}

static void on_connect(uv_connect_t *req, int err)
{
	struct transport_connect *c = req->data;
	struct loop *l = c->failed.loop;
	uint64_t token = loop_enter(l, "transport_connect");
	connect_ended(c, err);
	loop_leave(l, token);
}

static void on_connect_failed(struct defer *d)
{
	struct transport_connect *c = container_of(d, struct transport_connect, failed);
	connect_ended(c, c->err);
}

static struct transport_connect *connect_create(
	struct transport_env *env, bool is_unix, transport_connected done, void *data)
{
	struct transport_connect *c = mem_new(struct transport_connect);
	defer_init_named(&c->failed, transport_env_loop(env), on_connect_failed, "transport_connect");
	c->t = transport_prepare(env, is_unix);
	c->done = done;
	c->data = data;
	c->req.data = c;
	return c;
}

static struct transport_connect *connect_fails(struct transport_connect *c, int err)
{
	c->err = err;
	defer_post(&c->failed);
	return c;
}

struct transport_connect *transport_connect_unix(
	struct transport_env *env, const char *path, transport_connected done, void *data)
{
	struct transport_connect *c = connect_create(env, true, done, data);
	(void)snprintf(c->where, sizeof(c->where), "%s", path);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return connect_fails(c, UV_ENAMETOOLONG); /* libuv would cut it */
	uv_pipe_connect(&c->req, (uv_pipe_t *)transport_stream(c->t), path, on_connect);
	return c;
}

struct transport_connect *transport_connect_tls(struct transport_env *env, const char *address, unsigned port,
	struct tls_context *tls, const char *host, transport_connected done, void *data)
{
	struct transport_connect *c = transport_connect_tcp(env, address, port, done, data);
	c->tls = tls_context_ref(tls);
	c->host = mem_strdup(host);
	return c;
}

struct transport_connect *transport_connect_tcp(struct transport_env *env, const char *address,
	unsigned port, transport_connected done, void *data)
{
	struct transport_connect *c = connect_create(env, false, done, data);
	struct sockaddr_storage sa;
	(void)snprintf(c->where, sizeof(c->where), strchr(address, ':') ? "[%s]:%u" : "%s:%u",
		address, port);
	int err = uv_ip4_addr(address, (int)port, (struct sockaddr_in *)&sa);
	if (err)
		err = uv_ip6_addr(address, (int)port, (struct sockaddr_in6 *)&sa);
	if (!err)
		err = uv_tcp_connect(&c->req, (uv_tcp_t *)transport_stream(c->t), (struct sockaddr *)&sa, on_connect);
	return err ? connect_fails(c, err) : c;
}

void transport_connect_cancel(struct transport_connect *c)
{
	c->cancelled = true;
	if (c->connected || !list_empty(&c->failed.node)) { /* libuv is done with it, or never saw it */
		defer_cancel(&c->failed);
		transport_destroy(c->t);
		connect_free(c);
		return;
	}
	transport_destroy(c->t); /* on_connect comes with UV_ECANCELED */
}
