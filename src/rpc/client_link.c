/* The client's connection: address, connecting, bytes to frames, loss. */
#include "rpc/client_impl.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/tls.h"
#include "net/transport.h"

#define HIGH_WATER    ((size_t)1 << 20)
#define KEEP_CAPACITY ((size_t)64 * 1024)
#define ENVELOPE      ((size_t)32 * 1024) /* room for what a frame has beside its message */
#define LINGER_MS     2000

/* ---- address ---- */

static bool cut_scheme(struct str *s, const char *scheme)
{
	if (!str_starts(*s, scheme))
		return false;
	*s = str_make(s->ptr + strlen(scheme), s->len - strlen(scheme));
	if (str_ends(*s, "/"))
		s->len--;
	return true;
}

/* What stands before host and port. */
static struct str read_scheme(const char *address, bool *ret_tls, bool *ret_clear)
{
	struct str rest = str_of(address);
	*ret_tls = cut_scheme(&rest, "tls://") || cut_scheme(&rest, "https://");
	*ret_clear = !*ret_tls && cut_scheme(&rest, "tcp://");
	return rest;
}

static bool parse_host_port(struct str s, struct str *ret_host, uint64_t *ret_port)
{
	if (s.len && s.ptr[0] == '[') { /* [::1]:7700 */
		s = str_make(s.ptr + 1, s.len - 1);
		*ret_host = str_cut(&s, ']');
		if (s.len == 0 || s.ptr[0] != ':')
			return false;
		s = str_make(s.ptr + 1, s.len - 1);
	} else {
		*ret_host = str_cut(&s, ':');
	}
	return ret_host->len > 0 && s.ptr && str_to_u64(s, ret_port) && *ret_port > 0 &&
	       *ret_port <= UINT16_MAX;
}

/* The path of "unix:///path", or NULL. */
static const char *unix_path(const char *address)
{
	static const char prefix[] = "unix://";
	size_t len = sizeof(prefix) - 1;
	return strncmp(address, prefix, len) == 0 && address[len] ? address + len : NULL;
}

struct status rpc_client_check_address(const char *address)
{
	struct str host;
	uint64_t port;
	bool tls, clear;
	if (unix_path(address) || parse_host_port(read_scheme(address, &tls, &clear), &host, &port))
		return status_ok();
	return status_err(ST_INVALID_ARGUMENT,
		"\"%s\" is no address: give unix:///path, host:port or tls://host:port", address);
}

static void parse_address(struct rpc_client *c)
{
	struct str host;
	uint64_t port;
	c->path = unix_path(c->address);
	struct str rest = read_scheme(c->address, &c->is_tls, &c->clear_token);
	if (c->path || !parse_host_port(rest, &host, &port))
		return;
	c->host = mem_zalloc(host.len + 1);
	memcpy(c->host, host.ptr, host.len);
	c->port = (unsigned)port;
}

/* ---- loss ---- */

static void close_transport(struct rpc_client *c)
{
	transport_destroy(c->transport);
	c->transport = NULL;
	c->state = LINK_DOWN;
	buf_finish(&c->in);
}

/* The calls that were sent fail; those that wait get a new connection. */
void link_drop(struct rpc_client *c, const struct status *why)
{
	struct status st = status_is_ok(&c->why) ? *why : c->why;
	close_transport(c);
	c->why = status_ok();
	client_fail_calls(c, &c->calls, &st);
	if (!c->destroyed && !list_empty(&c->waiting))
		link_need(c);
}

void link_leave(struct rpc_client *c)
{
	if (c->state == LINK_UP)
		c->state = LINK_LEAVING;
	if (c->state != LINK_LEAVING || !list_empty(&c->calls))
		return;
	struct transport *t = c->transport;
	struct status st = status_ok();
	c->transport = NULL;
	transport_finish(t, LINGER_MS);
	link_drop(c, &st);
}

/* ---- bytes ---- */

static bool feed_one(struct rpc_client *c, const char *bytes, size_t len, size_t *ret_used)
{
	size_t frame;
	struct status st = status_ok();
	if (len < FRAME_HEADER)
		return false;
	if (!frame_header(bytes, &frame))
		st = status_err(ST_INTERNAL, "%s does not speak Skep's protocol", c->address);
	else if (frame > c->max_message + ENVELOPE)
		st = status_err(ST_RESOURCE_EXHAUSTED,
			"%s sent a frame of %zu bytes; at most %zu are taken", c->address, frame,
			c->max_message);
	if (!status_is_ok(&st)) {
		link_drop(c, &st);
		return false;
	}
	if (len - FRAME_HEADER < frame)
		return false;
	client_on_frame(c, str_make(bytes + FRAME_HEADER, frame));
	*ret_used += FRAME_HEADER + frame;
	return true;
}

/* A callback may have destroyed the client, or dropped this connection. */
static bool is_current(const struct rpc_client *c, const struct transport *t)
{
	return !c->destroyed && c->transport == t;
}

static void on_data(void *data, char *bytes, size_t len)
{
	struct rpc_client *c = data;
	const struct transport *t = c->transport;
	struct buf in = c->in; /* ours while frames are read from it */
	size_t used = 0;
	c->in = (struct buf){0};
	if (in.len) {
		buf_add(&in, bytes, len);
		bytes = in.ptr;
		len = in.len;
	}
	client_enter(c);
	while (is_current(c, t) && feed_one(c, bytes + used, len - used, &used))
		;
	if (is_current(c, t)) {
		if (in.len)
			buf_drop(&in, used);
		else
			buf_add(&in, bytes + used, len - used);
		if (in.len > 0 || in.cap <= KEEP_CAPACITY) {
			c->in = in;
			in = (struct buf){0};
		}
	}
	buf_finish(&in);
	client_leave(c);
}

static void on_drain(void *data)
{
	struct rpc_client *c = data;
	client_enter(c);
	client_wake_writers(c);
	client_leave(c);
}

static void on_close(void *data, const struct status *why)
{
	struct rpc_client *c = data;
	struct status st = status_err(ST_UNAVAILABLE, "%s closed the connection%s%s", c->address,
		status_is_ok(why) ? "" : ": ", why->message);
	client_enter(c);
	link_drop(c, &st);
	client_leave(c);
}

/* ---- connecting ---- */

static void connect_failed(struct rpc_client *c, const struct status *st)
{
	timer_stop(&c->connect_timer);
	c->state = LINK_DOWN;
	client_enter(c);
	client_fail_calls(c, &c->waiting, st);
	client_leave(c);
}

static void connect_next(struct rpc_client *c);

static void on_connected(void *data, const struct status *st, struct transport *t)
{
	static const struct transport_events events = {on_data, on_drain, NULL, on_close};
	struct rpc_client *c = data;
	c->connect = NULL;
	if (!status_is_ok(st)) {
		if (!c->path && c->next_addr < c->addrs.n)
			connect_next(c);
		else
			connect_failed(c, st);
		return;
	}
	if (c->authorization && !c->clear_token && !transport_is_private(t)) {
		struct status bare = status_err(ST_FAILED_PRECONDITION,
			"the token would travel to %s in clear, and was not sent: use tls://%s (or tcp://%s where the network is "
			"trusted)", c->address, c->address, c->address);
		transport_destroy(t);
		connect_failed(c, &bare);
		return;
	}
	timer_stop(&c->connect_timer);
	c->state = LINK_UP;
	c->transport = t;
	transport_start(t, &events, c, HIGH_WATER);
	client_send_waiting(c);
}

static void connect_next(struct rpc_client *c)
{
	const char *address = c->addrs.text[c->next_addr++];
	if (c->tls)
		c->connect = transport_connect_tls(c->env, address, c->port, c->tls, c->host, on_connected, c);
	else
		c->connect = transport_connect_tcp(c->env, address, c->port, on_connected, c);
}

static void on_resolved(void *data, const struct status *st, const struct resolve_addrs *addrs)
{
	struct rpc_client *c = data;
	c->resolve = NULL;
	if (!status_is_ok(st)) {
		connect_failed(c, st);
		return;
	}
	c->addrs = *addrs;
	c->next_addr = 0;
	connect_next(c);
}

static void stop_connecting(struct rpc_client *c)
{
	timer_stop(&c->connect_timer);
	defer_cancel(&c->begin);
	if (c->resolve)
		resolve_cancel(c->resolve);
	if (c->connect)
		transport_connect_cancel(c->connect);
	c->resolve = NULL;
	c->connect = NULL;
}

static void on_connect_timeout(struct timer *t)
{
	struct rpc_client *c = container_of(t, struct rpc_client, connect_timer);
	struct status st = status_err(ST_UNAVAILABLE, "connect to %s: no answer within %llu ms",
		c->address, (unsigned long long)c->connect_timeout_ms);
	stop_connecting(c);
	connect_failed(c, &st);
}

static struct status need_tls(struct rpc_client *c)
{
	const struct tls_client_files f = {c->ca, c->certificate, c->key};
	return c->is_tls && !c->tls ? tls_context_client(&f, &c->tls) : status_ok();
}

static void on_begin(struct defer *d)
{
	struct rpc_client *c = container_of(d, struct rpc_client, begin);
	timer_set(&c->connect_timer, c->connect_timeout_ms);
	struct status st = need_tls(c);
	if (!status_is_ok(&st)) {
		connect_failed(c, &st);
	} else if (c->path) {
		c->connect = transport_connect_unix(c->env, c->path, on_connected, c);
	} else if (c->host) {
		c->resolve = resolve_start(c->loop, c->host, on_resolved, c);
	} else {
		st = rpc_client_check_address(c->address);
		connect_failed(c, &st);
	}
}

void link_need(struct rpc_client *c)
{
	if (c->state != LINK_DOWN)
		return;
	c->state = LINK_CONNECTING;
	defer_post(&c->begin);
}

void link_init(struct rpc_client *c, const char *address)
{
	c->env = transport_env_create(c->loop);
	c->address = mem_strdup(address);
	c->why = status_ok();
	timer_init_named(&c->connect_timer, c->loop, on_connect_timeout, "rpc_client_connect");
	defer_init_named(&c->begin, c->loop, on_begin, "rpc_client_connect");
	parse_address(c);
}

void link_finish(struct rpc_client *c)
{
	stop_connecting(c);
	close_transport(c);
	tls_context_unref(c->tls);
	transport_env_destroy(c->env);
}
