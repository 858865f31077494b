/* The inside of a client: client.c has the calls, client_link.c the connection. */
#pragma once
#include "base/list.h"
#include "loop/loop.h"
#include "loop/resolve.h"
#include "rpc/client.h"
#include "rpc/frame.h"

#define CLIENT_BUCKETS 64

struct arena;
struct tls_context;
struct transport;
struct transport_connect;
struct transport_env;

enum link_state {
	LINK_DOWN,
	LINK_CONNECTING,
	LINK_UP,
	LINK_LEAVING, /* the server takes no more calls on this connection */
};

struct rpc_client {
	struct loop *loop;
	struct transport_env *env;
	struct transport *transport;
	struct transport_connect *connect;
	struct resolve *resolve;
	struct resolve_addrs addrs;
	size_t next_addr;
	struct timer connect_timer;
	struct defer begin; /* starts connecting, later than the call that needs it */
	enum link_state state;
	struct status why; /* what the server's goaway said; OK = nothing */
	char *address, *authorization;
	const char *path; /* of a unix socket, inside address; or NULL */
	char *host;
	unsigned port;
	bool is_tls;
	bool clear_token; /* it may travel in clear: the address says so */
	char *ca, *certificate, *key;
	struct tls_context *tls; /* made from them by the first connection */
	uint64_t connect_timeout_ms;
	size_t max_message;
	uint64_t last_id;
	struct list calls;                 /* rpc_client_call.node: sent */
	struct list waiting;               /* … not sent yet, in order of their numbers */
	struct list table[CLIENT_BUCKETS]; /* rpc_client_call.id_node, of both */
	struct buf in;
	struct arena *arena; /* of the message or status that is being delivered */
	unsigned entered;    /* callbacks on the stack */
	bool destroyed;
};

struct rpc_client_call {
	struct list node, id_node;
	struct rpc_client *client;
	uint64_t id;
	const ProtobufCMessageDescriptor *reply;
	void (*on_message)(void *data, const ProtobufCMessage *message);
	void (*on_writable)(void *data);
	void (*on_done)(void *data, const struct status *st, const struct rpc_details *details);
	void *data;
	struct timer deadline;
	struct defer cancel;
	struct buf unsent; /* whole frames, while there is no connection */
	struct buf queue;  /* messages that wait for credit: length (size_t), bytes */
	int64_t send_credit;
	uint32_t ungranted;
	bool sent;  /* on the connection, not in `unsent` */
	bool ended; /* rpc_client_end was called */
	bool full;
};

/* Between them the client's memory stays, even if a callback destroys it. */
void client_enter(struct rpc_client *c);
void client_leave(struct rpc_client *c);

/* client.c, for client_link.c */
void client_on_frame(struct rpc_client *c, struct str bytes);
void client_send_waiting(struct rpc_client *c);
void client_fail_calls(struct rpc_client *c, struct list *calls, const struct status *st);
void client_wake_writers(struct rpc_client *c);
/* client_link.c, for client.c */
void link_init(struct rpc_client *c, const char *address);
void link_finish(struct rpc_client *c);
void link_need(struct rpc_client *c); /* a call waits */
void link_drop(struct rpc_client *c, const struct status *why);
void link_leave(struct rpc_client *c); /* nothing may wait for what it does any more */
