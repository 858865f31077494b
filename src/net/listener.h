/* listener: accepts connections on a TCP address or a unix socket and hands each over as a
 * transport that has not been started yet. Used by rpc's server. The owner closes it with
 * listener_destroy; a unix socket's file goes with it. */
#pragma once
#include <sys/types.h>
#include "base/status.h"

struct listener;
struct tls_files;
struct transport;
struct transport_env;

/* `t` belongs to the callee. */
typedef void (*listener_accept)(void *data, struct transport *t);

/* host is an IP address; port 0 picks a free one. */
struct status listener_tcp(struct transport_env *env, const char *host, unsigned port,
	listener_accept on_accept, void *data, struct listener **ret_listener)
	__attribute__((warn_unused_result));
unsigned listener_port(const struct listener *l);
/* mode: of the socket's file, set before anybody can connect. A file that is left over from a
 * process that is gone is replaced; a socket that answers is ALREADY_EXISTS. */
struct status listener_unix(struct transport_env *env, const char *path, mode_t mode,
	listener_accept on_accept, void *data, struct listener **ret_listener)
	__attribute__((warn_unused_result));
/* From now on connections may speak TLS, or must. `files` outlives the listener. */
void listener_offer_tls(struct listener *l, struct tls_files *files, bool required);
void listener_destroy(struct listener *l); /* NULL is fine */
