#include "rpc/server.h"
#include <assert.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "net/transport.h"
#include "rpc/address.h"
#include "rpc/auth.h"
#include "rpc/call_impl.h"
#include "rpc/conn.h"
#include "rpc/http.h"
#include "rpc/page.h"
#include "rpc/server_impl.h"

#define CROWD       64                /* connections */
#define CROWD_BYTES ((size_t)4 << 20) /* that waited for them */
#define LONG_BYTES  ((size_t)1 << 20) /* of a message: more than the allocator gives back by itself */
#define TRIM_MS     3000              /* what lingers is gone by then */

static const struct rpc_limits default_limits = {
	.max_message = (size_t)4 << 20,
	.max_metadata = (size_t)16 << 10,
	.max_connections = 4096,
	.max_streams = 256,
	.max_calls = 16384,
	.max_buffered = (size_t)1 << 20,
	.max_buffered_hard = (size_t)32 << 20,
	.max_buffered_total = (size_t)256 << 20,
	.handshake_ms = 10000,
	.frame_ms = 30000,
	.idle_ms = 600000,
	.rest_ms = 5000,
	.stall_ms = 30000,
	.max_header = (size_t)32 << 10,
	.resets_per_s = 100,
	.controls_per_s = 100,
	.ping_interval_ms = 300000,
	.sse_heartbeat_ms = 15000,
	.auth_cache_ms = 10000,
};

static void set_defaults(struct rpc_limits *l)
{
	const struct rpc_limits *d = &default_limits;
#define OR_DEFAULT(field)                                                                          \
	if (!l->field)                                                                             \
	l->field = d->field
	OR_DEFAULT(max_message);
	OR_DEFAULT(max_metadata);
	OR_DEFAULT(max_connections);
	if (!l->max_per_address)
		l->max_per_address = l->max_connections;
	if (!l->token_at_once)
		l->token_at_once = 2 * l->token_per_s;
	OR_DEFAULT(max_streams);
	OR_DEFAULT(max_calls);
	OR_DEFAULT(max_buffered);
	OR_DEFAULT(max_buffered_hard);
	OR_DEFAULT(max_buffered_total);
	OR_DEFAULT(handshake_ms);
	OR_DEFAULT(frame_ms);
	OR_DEFAULT(idle_ms);
	OR_DEFAULT(rest_ms);
	OR_DEFAULT(stall_ms);
	OR_DEFAULT(max_header);
	OR_DEFAULT(resets_per_s);
	OR_DEFAULT(controls_per_s);
	OR_DEFAULT(ping_interval_ms);
	OR_DEFAULT(sse_heartbeat_ms);
	OR_DEFAULT(auth_cache_ms);
#undef OR_DEFAULT
}

/* ---- the reaper: frees what ended while somebody may have been looking at it ---- */

static void tell_drained(struct rpc_server *s)
{
	void (*done)(void *data) = s->drained;
	if (!done || !list_empty(&s->conns))
		return;
	s->drained = NULL;
	timer_stop(&s->grace);
	done(s->drained_data);
}

/* When a crowd has gone its memory is for others again. */
static void on_trim(struct timer *t)
{
	struct rpc_server *s = container_of(t, struct rpc_server, trim);
	s->peak = s->counters.connections;
	s->peak_buffered = s->counters.buffered;
	s->peak_message = 0;
	mem_give_back();
}

static void notice_crowd(struct rpc_server *s)
{
	const struct rpc_counters *n = &s->counters;
	bool fewer = s->peak >= CROWD && n->connections <= s->peak / 2;
	bool less = s->peak_buffered >= CROWD_BYTES && n->buffered <= s->peak_buffered / 2;
	bool was_long = s->peak_message >= LONG_BYTES;
	if (n->connections > s->peak)
		s->peak = n->connections;
	else if ((fewer || less || was_long) && !timer_is_set(&s->trim))
		timer_set(&s->trim, TRIM_MS);
}

static void reap(struct rpc_server *s)
{
	struct list *node;
	s->refs++;
	while ((node = list_pop(&s->dead_calls)))
		call_release(container_of(node, struct rpc_call, conn_node));
	while ((node = list_pop(&s->dead_conns)))
		conn_free(container_of(node, struct rpc_conn, node));
	if (!s->destroyed)
		notice_crowd(s);
	server_unref(s);
}

static void on_reap(struct defer *d)
{
	struct rpc_server *s = container_of(d, struct rpc_server, reap);
	s->refs++;
	reap(s);
	tell_drained(s);
	server_unref(s);
}

void server_unref(struct rpc_server *s)
{
	struct list *node;
	if (--s->refs > 0)
		return;
	defer_cancel(&s->reap);
	auth_finish(s);
	while ((node = list_pop(&s->free_calls))) {
		struct rpc_call *call = container_of(node, struct rpc_call, conn_node);
		arena_destroy(call->arena);
		free(call);
	}
	http_forget_free(s);
	page_forget(s);
	map_finish(&s->addresses);
	free(s);
}

/* ---- draining ---- */

static void close_all(struct rpc_server *s, const struct status *why)
{
	while (!list_empty(&s->conns))
		conn_fail(container_of(s->conns.next, struct rpc_conn, node), why);
}

static void stop_listening(struct rpc_server *s)
{
	while (s->n_listeners)
		listener_destroy(s->listeners[--s->n_listeners]);
}

static void on_grace(struct timer *t)
{
	struct rpc_server *s = container_of(t, struct rpc_server, grace);
	struct status why = status_err(ST_UNAVAILABLE, "the server stops; try again");
	close_all(s, &why);
}

void rpc_server_drain(struct rpc_server *s, uint64_t grace_ms, void (*done)(void *data), void *data)
{
	s->drained = done;
	s->drained_data = data;
	s->draining = true;
	stop_listening(s);
	list_for_each (&s->conns, n)
		conn_drain(container_of(n, struct rpc_conn, node));
	timer_set(&s->grace, grace_ms);
	defer_post(&s->reap);
}

/* ---- the beginning and the end ---- */

struct rpc_server *rpc_server_create(const struct rpc_server_options *o)
{
	struct rpc_server *s = mem_new(struct rpc_server);
	s->o = *o;
	s->refs = 1;
	set_defaults(&s->o.limits);
	if (!s->o.clock)
		s->o.clock = clock_system();
	s->env = transport_env_create(o->loop);
	list_init(&s->conns);
	list_init(&s->silent);
	list_init(&s->dead_conns);
	list_init(&s->dead_calls);
	list_init(&s->free_calls);
	list_init(&s->free_exchanges);
	map_init(&s->addresses);
	map_init(&s->tokens);
	defer_init_named(&s->reap, o->loop, on_reap, "rpc_server_reap");
	timer_init_named(&s->grace, o->loop, on_grace, "rpc_server_grace");
	timer_init_named(&s->trim, o->loop, on_trim, "rpc_server_trim");
	return s;
}

void rpc_server_destroy(struct rpc_server *s)
{
	struct status why = status_err(ST_UNAVAILABLE, "the server stops; try again");
	if (!s)
		return;
	assert(s->entered == 0 && "a handler must not destroy its server");
	s->drained = NULL;
	s->draining = true;
	s->destroyed = true;
	timer_stop(&s->grace);
	timer_stop(&s->trim);
	auth_stop(s);
	stop_listening(s);
	while (!list_empty(&s->conns))
		conn_close(container_of(s->conns.next, struct rpc_conn, node), &why);
	reap(s);
	transport_env_destroy(s->env);
	s->env = NULL;
	server_unref(s);
}

const struct rpc_counters *rpc_server_counters(struct rpc_server *s)
{
	if (s->env)
		s->counters.put_off = transport_env_put_off(s->env);
	return &s->counters;
}

/* ---- connections ---- */

/* Those who have said nothing make room for who comes. */
static bool make_room(struct rpc_server *s)
{
	struct status why = status_err(
		ST_RESOURCE_EXHAUSTED, "too many connections, and this one has said nothing");
	if (s->counters.connections < s->o.limits.max_connections)
		return true;
	server_limit(s, RPC_LIMIT_CONNECTIONS);
	if (list_empty(&s->silent))
		return false;
	conn_fail(container_of(s->silent.next, struct rpc_conn, silent), &why);
	return true;
}

static void on_accept(void *data, struct transport *t)
{
	struct rpc_server *s = data;
	const struct rpc_limits *l = &s->o.limits;
	bool room = make_room(s);
	s->counters.accepted++;
	conn_create(s, t);
	notice_crowd(s);
	struct rpc_conn *c = container_of(s->conns.prev, struct rpc_conn, node);
	bool crowded = address_count(c->address) > l->max_per_address;
	if (room && !crowded)
		return;
	struct status why = crowded ? status_err(ST_RESOURCE_EXHAUSTED,
					      "too many connections from your address (%u); use those you have",
					      l->max_per_address)
				    : status_err(ST_RESOURCE_EXHAUSTED,
					      "too many connections (%u); try again later",
					      l->max_connections);
	if (crowded)
		server_limit(s, RPC_LIMIT_ADDRESS);
	s->counters.refused++;
	conn_fail(c, &why);
}

static struct status add_listener(struct rpc_server *s, const struct status *st, struct listener *l)
{
	if (status_is_ok(st))
		s->listeners[s->n_listeners++] = l;
	return *st;
}

static struct status check_listeners(const struct rpc_server *s)
{
	if (s->n_listeners == SERVER_LISTENERS)
		return status_err(ST_RESOURCE_EXHAUSTED, "at most %d addresses to listen on",
			SERVER_LISTENERS);
	return status_ok();
}

struct status rpc_server_listen_tcp(
	struct rpc_server *s, const char *host, unsigned port, unsigned *ret_port)
{
	return rpc_server_listen_tls(s, host, port, NULL, false, ret_port);
}

struct status rpc_server_listen_tls(struct rpc_server *s, const char *host, unsigned port, struct tls_files *files,
	bool required, unsigned *ret_port)
{
	struct listener *l = NULL;
	struct status st = check_listeners(s);
	if (status_is_ok(&st))
		st = listener_tcp(s->env, host, port, on_accept, s, &l);
	if (status_is_ok(&st) && ret_port)
		*ret_port = listener_port(l);
	if (status_is_ok(&st) && files)
		listener_offer_tls(l, files, required);
	return add_listener(s, &st, l);
}

struct status rpc_server_listen_unix(struct rpc_server *s, const char *path, mode_t mode)
{
	struct listener *l = NULL;
	struct status st = check_listeners(s);
	if (status_is_ok(&st))
		st = listener_unix(s->env, path, mode, on_accept, s, &l);
	return add_listener(s, &st, l);
}

struct status rpc_server_adopt(struct rpc_server *s, int fd)
{
	struct transport *t;
	struct status st = transport_adopt(s->env, fd, &t);
	if (status_is_ok(&st))
		on_accept(s, t);
	return st;
}
