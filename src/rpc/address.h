/* address: how many connections each network address holds. A network of IPv6 (/64) counts as one
 * address: its owner has all of them. Unix sockets have none. Used by the server and its
 * connections; an address lives as long as a connection from it. */
#pragma once
#include <stddef.h>

struct rpc_address;
struct rpc_server;

/* One connection more from this peer ("192.0.2.1:4711", "[2001:db8::1]:4711"); NULL: it has no
 * address. */
struct rpc_address *address_enter(struct rpc_server *s, const char *peer);
void address_leave(struct rpc_server *s, struct rpc_address *a); /* NULL is fine */
unsigned address_count(const struct rpc_address *a);             /* NULL: 0 */
