/* conn: one accepted connection: its transport, the wire its first bytes named, the limits
 * on its time and bytes, its calls. Inside of rpc; owned by the server. A closed connection is
 * freed by the server's reaper, so code that runs beneath conn_* may still look at `closing`.
 *
 *	sniffing → (a wire) → [draining] → closed */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"
#include "base/status.h"
#include "base/str.h"
#include "loop/loop.h"
#include "rpc/call.h"

/* AUTH_CERTIFICATE and a token's id. */
#define RPC_CERTIFICATE_MAX 63

struct rpc_address;
struct rpc_conn;
struct rpc_server;
struct transport;

/* A wire turns bytes into calls. */
struct rpc_wire {
	const char *name;
	void (*open)(struct rpc_conn *c);
	/* Returns how many bytes it is done with; the rest comes again, with more behind it. Stops
	 * early when the connection closes or its output is pressed. Sets c->partial_need. */
	size_t (*feed)(struct rpc_conn *c, const char *bytes, size_t len);
	/* Tells the peer that no new call is taken; why = NULL: because we drain. wire_state may be
	 * NULL: the peer has not spoken. Sets c->refusing once no call is taken. */
	void (*goaway)(struct rpc_conn *c, const struct status *why);
	/* The output has room again. May be NULL. */
	void (*drained)(struct rpc_conn *c);
	/* Nothing has happened for a while: what can be had again later may go, and comes back by itself. May be NULL. */
	void (*rest)(struct rpc_conn *c);
	void (*close)(struct rpc_conn *c); /* frees c->wire_state; calls are detached already */
};

struct rpc_conn {
	struct list node;   /* in server->conns, then server->dead_conns */
	struct list silent; /* in server->silent until the first frame */
	struct rpc_server *server;
	struct transport *transport;
	const struct rpc_wire *wire; /* NULL while sniffing */
	void *wire_state;
	struct buf in; /* what the wire is not done with */
	struct timer timer;
	struct defer settle; /* closes it when it drains and no call is left */
	struct defer again;  /* after a pause: what waits in `in` */
	uint64_t accepted_ms, last_frame_ms;
	uint64_t partial_ms;      /* since when a frame is incomplete; 0 = none is */
	size_t partial_need;      /* its length; 0 = what came were whole frames */
	uint64_t taken, taken_ms; /* the output's last progress, while some waits */
	bool waits;               /* output waits for the peer */
	bool held;                /* not read from, until output has gone out */
	bool paused;              /* … by the wire: until what came has been used up */
	bool draining, closing;
	bool resting; /* nothing has come since its buffers were given back */
	bool refusing;     /* no new call is taken */
	bool spoke;        /* a whole frame has come */
	struct list calls; /* rpc_call.conn_node: those the client waits for */
	unsigned n_calls;
	struct list gone;      /* … and those it no longer does, whose handlers have not ended */
	unsigned n_unfinished; /* both */
	unsigned n_exchanges;  /* HTTP: whose responses are not out; a call ends before */
	size_t queued;         /* HTTP/2: output that waits for the peer's window */
	size_t collected;      /* HTTP: request bodies that are not complete */
	struct rpc_address *address; /* that it comes from; NULL: by no network */
	struct rpc_caller trusted; /* role NONE: no trust by peer credentials */
	char certificate[RPC_CERTIFICATE_MAX + 1]; /* what auth asks about when a call brings no token; "" = nothing */
	size_t buffered;           /* what of its output the server's counters know of … */
	size_t received;           /* … and of `in` */
	uint64_t bytes_in, bytes_out;
};

/* Takes the transport. */
void conn_create(struct rpc_server *s, struct transport *t);
/* Ends it now. why: OK = the peer left or we drained; otherwise it is logged. */
void conn_close(struct rpc_conn *c, const struct status *why);
/* Ends it with a goaway that says why. */
void conn_fail(struct rpc_conn *c, const struct status *why);
/* No new calls; closes when the open ones have ended. */
void conn_drain(struct rpc_conn *c);
/* Ends it when what waits has been sent. */
void conn_finish(struct rpc_conn *c, const struct status *why);
/* A call has left c->calls, or an exchange has ended. */
void conn_call_ended(struct rpc_conn *c);
/* Looks again whether a connection that drains is done. */
void conn_settle(struct rpc_conn *c);
/* The wire's own brake on the input: bytes it has not taken stay in c->in, and come again after
 * conn_resume (which may also be called without a pause, for them alone). */
void conn_pause(struct rpc_conn *c);
void conn_resume(struct rpc_conn *c);
/* c->queued or c->collected have changed. */
void conn_count(struct rpc_conn *c);
/* A whole frame came. */
void conn_spoke(struct rpc_conn *c);
void conn_free(struct rpc_conn *c); /* by the reaper */
