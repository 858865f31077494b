/* The inside of a call, for call.c, dispatch, auth and the protocols.
 *
 *	NEW ──► AUTH ──► READY ──► RUNNING ──► FLUSHING ──► ENDED
 *	  └───────────────┴─(refused)──┴──(nothing waits)──────┘
 *
 * NEW       being set up, inside dispatch
 * AUTH      waits for the answer about its token (auth.h)
 * READY     allowed; a unary call's message has not come yet
 * RUNNING   with its handler
 * FLUSHING  the handler has ended it; messages wait for the client's credit
 * ENDED     waits for the reaper, or for the callback it ended in to return
 *
 * `gone` cuts across: the client has its answer already, or is lost. */
#pragma once
#include "base/list.h"
#include "loop/loop.h"
#include "rpc/call.h"

struct http_exchange;
struct rpc_codec;
struct rpc_conn;
struct rpc_server;

enum call_state { CALL_NEW, CALL_AUTH, CALL_READY, CALL_RUNNING, CALL_FLUSHING, CALL_ENDED };

/* What a call asks of the protocol that brought it. None is called on a call that is gone. */
struct rpc_protocol {
	const char *name;
	/* Sends or queues; false = full. May abort the call. */
	bool (*send)(struct rpc_call *call, const ProtobufCMessage *message);
	bool (*is_writable)(const struct rpc_call *call);
	/* Messages wait: finish must not be called before they are out (then: call_flushed). */
	bool (*is_waiting)(const struct rpc_call *call);
	/* The one answer: a reply, or NULL and a status (details may be NULL). Forgets the call. */
	void (*finish)(struct rpc_call *call, const ProtobufCMessage *reply,
		const struct status *st, const struct rpc_details *details);
	/* The handler has used up messages worth so many bytes. */
	void (*consumed)(struct rpc_call *call, size_t bytes);
	/* Where a request is more than its bytes (REST: path and query too). NULL: the codec alone. */
	struct status (*unpack)(const struct rpc_call *call, struct arena *a, struct str bytes,
		ProtobufCMessage **ret_message);
};

struct rpc_metadata {
	const char *name, *value;
};

struct call_message { /* received, not delivered; malloc'd */
	struct list node;
	size_t len;
	bool compressed; /* when it came */
	char bytes[];
};

struct rpc_call {
	struct list conn_node; /* conn->calls or conn->gone; free list; server->dead */
	struct list id_node;   /* the wire's table of ids */
	struct list token_node; /* of the token it brought (auth.h): waits for, or a stream let in by it */
	struct rpc_server *server;
	struct rpc_conn *conn; /* NULL once the connection is gone */
	const struct rpc_protocol *protocol;
	const struct rpc_codec *codec;
	const struct rpc_method *method; /* NULL: unknown */
	struct arena *arena;
	uint64_t id;
	enum call_state state;
	unsigned entered; /* callbacks and guards that are on the stack */
	bool gone;
	bool answered; /* the client has its finish */
	bool ended;    /* the client sends no more */
	bool compressed; /* the message that came last, or is being delivered, was */
	bool quiet; /* its failure is the peer's fault, whatever the code says */
	bool end_told, cancel_told, paused, full;
	unsigned n_received;
	struct list inbox;           /* call_message */
	struct arena *message_arena; /* of the message that is being delivered */
	const struct rpc_metadata *metadata;
	size_t n_metadata;
	struct rpc_caller caller;
	uint64_t deadline_at;     /* loop time; 0 = none */
	struct timer deadline;
	struct defer events;
	void *data;
	void (*on_writable)(struct rpc_call *call);
	void (*on_message)(struct rpc_call *call, const ProtobufCMessage *message);
	void (*on_cancel)(struct rpc_call *call);
	const char *peer;
	struct { /* while FLUSHING: what the client will be told */
		struct status *st;
		struct rpc_details details;
	} final;
	struct http_exchange *exchange; /* HTTP's protocols; NULL once the call is gone */
	/* what the handler adds to the response */
	struct rpc_metadata *headers, *trailers;
	size_t n_headers, n_trailers;
	/* flow control, where the protocol has its own */
	int64_t send_credit, receive_credit;
	uint32_t ungranted;
	struct buf queue; /* packed messages that wait: length (size_t), bytes */
};

struct rpc_call *call_create(struct rpc_conn *c, const struct rpc_protocol *p,
	const struct rpc_codec *codec, uint64_t id);
/* Guards: between them the call is not freed, whatever ends it. */
void call_enter(struct rpc_call *call);
void call_leave(struct rpc_call *call);
/* A message and/or the end of the client's side. The bytes are not needed any more when it returns.
 */
void call_receive(struct rpc_call *call, bool has_payload, struct str payload, bool end);
/* The method's handler takes it from here; delivers what waits. */
void call_allowed(struct rpc_call *call);
/* Answers the client with a failure that is not the handler's. */
void call_abort(struct rpc_call *call, const struct status *st, const struct rpc_details *details);
/* The connection is lost. */
void call_lost(struct rpc_call *call);
/* No handler, no hook has it (any more): free it. */
void call_end(struct rpc_call *call);
/* The protocol's queue is empty, or credit came. */
void call_flushed(struct rpc_call *call);
/* Starts the deadline's timer, for a call that outlives its first callback. */
void call_arm(struct rpc_call *call);
void call_release(struct rpc_call *call); /* by the reaper */
