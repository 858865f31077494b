/* transport: a connected byte stream (TCP or unix socket, either of them plain or inside TLS): bytes
 * in by callback, bytes out by one buffer that is written once per turn of the loop, and a pressure
 * signal. Used by rpc's connections and client. Made by listener, transport_connect or
 * transport_adopt; owned by whoever got it, until transport_destroy or _finish.
 *
 * Callbacks fire on the loop, never from inside a function of this header; none fires after
 * transport_destroy or _finish. Both may be called inside a callback. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/status.h"
#include "base/str.h"

struct loop;
struct tls_context;
struct transport;
struct uv_stream_s;

struct transport_events {
	/* `bytes` may be changed, and are gone when the callback returns. */
	void (*on_data)(void *data, char *bytes, size_t len);
	/* The output has fallen below half of the high-water mark after it was above. */
	void (*on_drain)(void *data);
	/* What waited was handed to the kernel, or queued behind what the peer has not taken. May
	 * be NULL. */
	void (*on_flush)(void *data);
	/* The peer closed (OK) or the connection broke. Only transport_destroy makes sense now.
	 * Fires once. */
	void (*on_close)(void *data, const struct status *why);
};

/* What transports of one owner share: the buffer that is read into. Creating the first makes the
 * process ignore SIGPIPE (where that is not handled): writing to what has gone is an error then. */
struct transport_env;
struct transport_env *transport_env_create(struct loop *l);
/* Closes the transports that are still there (those being finished too). NULL is fine. */
void transport_env_destroy(struct transport_env *env);
struct loop *transport_env_loop(const struct transport_env *env);
/* Those not closed yet, with those being finished. */
unsigned transport_env_open(const struct transport_env *env);
/* Reads of clients' TLS handshakes that were put off to a later turn, since the start: a turn does so many, then serves
 * whoever has his behind him, and whoever speaks in clear. */
uint64_t transport_env_put_off(const struct transport_env *env);

/* Owns fd from now on, also on failure. */
struct status transport_adopt(struct transport_env *env, int fd, struct transport **ret_t)
	__attribute__((warn_unused_result));

/* Connects to a unix socket's path, or to an IP address and port. done fires once, later; its
 * transport (NULL on failure) belongs to the callee. transport_connect_cancel: done will not fire.
 */
struct transport_connect;
typedef void (*transport_connected)(void *data, const struct status *st, struct transport *t);
struct transport_connect *transport_connect_unix(
	struct transport_env *env, const char *path, transport_connected done, void *data);
struct transport_connect *transport_connect_tcp(struct transport_env *env, const char *address,
	unsigned port, transport_connected done, void *data);
/* … and shakes hands: done follows when the server has shown a certificate that is made out to `host`
 * (a name or an IP address). The callee starts it before it returns. */
struct transport_connect *transport_connect_tls(struct transport_env *env, const char *address, unsigned port,
	struct tls_context *tls, const char *host, transport_connected done, void *data);
void transport_connect_cancel(struct transport_connect *c);

/* Sets the callbacks and starts reading. high_water: bytes of output from which on it counts as
 * pressed. */
void transport_start(
	struct transport *t, const struct transport_events *events, void *data, size_t high_water);
void transport_pause(struct transport *t); /* stops reading: the peer is held back by the kernel */
void transport_resume(struct transport *t);

/* Output: append to this buffer (never drop from it), then commit. Written at the end of this turn.
 */
struct buf *transport_out(struct transport *t);
void transport_commit(struct transport *t);
void transport_write(struct transport *t, const struct str *bufs, size_t n); /* both in one */
size_t transport_pending(const struct transport *t); /* bytes the kernel has not taken */
/* Buffers that hold nothing are freed until they are needed. */
void transport_rest(struct transport *t);
bool transport_is_pressed(const struct transport *t);

/* Bytes since the start, as they travel. `taken` grows as the kernel takes output: the sign that the peer reads. */
uint64_t transport_received(const struct transport *t);
uint64_t transport_taken(const struct transport *t);

/* "192.0.2.1:4711" or "unix:uid=0,pid=42". */
const char *transport_peer(const struct transport *t);
/* A unix socket's peer, as the kernel vouches for it at connect time. False for other kinds. */
bool transport_peer_uid(const struct transport *t, uid_t *ret_uid);

/* What follows `prefix` in a URI of the verified client certificate; see tls.h. False: none. */
bool transport_peer_uri(const struct transport *t, const char *prefix, char *ret_rest, size_t size);
/* Nobody on the way can read it: it is inside TLS, or does not leave the machine. */
bool transport_is_private(const struct transport *t);
/* Its listener takes only TLS, and the peer has begun without. */
bool transport_needs_tls(const struct transport *t);

/* Closes at once. NULL is fine. */
void transport_destroy(struct transport *t);
/* Sends what waits, tells the peer, reads and drops until it has closed too, at most linger_ms. */
void transport_finish(struct transport *t, uint64_t linger_ms);

/* For listener, before it is started: TLS if the first byte says so. */
void transport_offer_tls(struct transport *t, struct tls_context *context, bool required);
/* For transport_connect: as the client. on_up fires once, when the handshake is over. */
void transport_secure(
	struct transport *t, struct tls_context *context, const char *host, void (*on_up)(void *data), void *data);
struct status transport_error(const char *what, int uv_err); /* UNAVAILABLE "what: words" */
/* For listener: a handle of the given kind to accept into. */
struct transport *transport_prepare(struct transport_env *env, bool is_unix);
struct uv_stream_s *transport_stream(struct transport *t);
void transport_accepted(struct transport *t);
