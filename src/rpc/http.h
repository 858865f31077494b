/* http: one exchange (a request and its response) as both HTTP wires give it, and the choice of
 * the protocol that takes it. Inside of rpc.
 *
 *	h2, h1 ──http_begin, http_body, http_end_of_body──► protocol (grpc, connect, rest …) ──►
 *call h2, h1 ◄──ops: flush, consumed, reset──────────────── protocol
 *
 * An exchange belongs to its wire, from http_create to http_destroy: it outlives its call, whose
 * answer may wait for the peer's window. The response is put together here (http_respond, then
 * bytes appended to http_out, then http_end); the wire takes from it what it can send.
 *
 * Back-pressure: the request's bytes that a call has not used up are not given back to the wire
 * (ops->consumed), which holds the peer back; the response's bytes count as full from HTTP_FULL on.
*/
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"
#include "base/status.h"
#include "base/str.h"
#include "loop/loop.h"
#include "rpc/details.h"

struct arena;
struct http_exchange;
struct rpc_call;
struct rpc_codec;
struct rpc_conn;
struct rpc_method;
struct rpc_protocol;
struct rpc_server;

#define HTTP_FULL       ((size_t)64 * 1024)
#define HTTP_FIELDS_MAX 100

struct http_field {
	struct str name, value; /* name in lower case */
};

/* What both wires can do. None of these calls back before it returns, and none frees the exchange.
 */
struct http_ops {
	const char *name;  /* "HTTP/2" */
	bool has_trailers; /* of responses, and messages both ways at a time */
	/* The response has more to send than before. */
	void (*flush)(struct http_exchange *x);
	/* The peer may send so many more bytes of the request. */
	void (*consumed)(struct http_exchange *x, size_t bytes);
	/* Nothing more of this exchange: the response cannot be completed. */
	void (*reset)(struct http_exchange *x);
};

/* Who takes the request. */
struct http_protocol {
	const char *name;
	/* The header is complete. Makes a call, or answers. */
	void (*begin)(struct http_exchange *x);
	/* More of the body is in x->in. */
	void (*body)(struct http_exchange *x);
	/* All of it is. */
	void (*end)(struct http_exchange *x);
	/* The timer that `end` set has fired, and the call still lives. May be NULL. */
	void (*idle)(struct http_exchange *x);
};

struct http_exchange {
	struct list node; /* the wire's */
	struct rpc_conn *conn;
	const struct http_ops *ops;
	int32_t stream; /* HTTP/2's number */
	struct arena *arena;

	/* the request; texts live in the arena */
	struct str method, path, query, authority; /* path: not decoded, without the query */
	struct http_field *fields;
	unsigned n_fields, cap_fields;
	size_t fields_len;
	const struct rpc_method *rpc; /* whose path it is; NULL: no method's */
	bool too_large; /* the header: what is over the limit was dropped */
	bool is_secure; /* came through TLS */

	/* its body */
	const struct http_protocol *protocol; /* NULL: nobody listens; it is dropped */
	void *state;                          /* the protocol's, in the arena */
	struct rpc_call *call;                /* until it is answered or lost */
	struct buf in;                        /* what has come and is not with the call yet */
	size_t counted;                       /* of it, in conn->collected */
	size_t unconsumed;                    /* bytes that the wire waits to have given back */
	bool in_ended;                        /* the whole request has come */
	uint64_t since_ms;                    /* when the present message began to come */
	struct timer timer;                   /* the body's; then the response's */

	/* the response */
	unsigned status; /* 0: not begun */
	struct http_field *headers, *trailers;
	unsigned n_headers, n_trailers, cap_headers, cap_trailers;
	struct buf out;
	size_t sent;           /* of out, from its front */
	size_t queued;         /* of the rest, in conn->queued */
	size_t taken, stalled; /* bytes the wire took in all, and at the last look, if there was one */
	struct timer unread;   /* of a stream whose request goes on (`timer` is the request's): is it taken? */
	size_t unread_at;      /* `taken`, when `unread` was set */
	bool begun;            /* the wire has sent the header */
	bool ended;            /* nothing is added any more */
	bool done;             /* the wire has sent all, or given up */
	bool no_body;          /* HEAD: the header alone is sent */
	bool deferred;         /* HTTP/2: asked for more when there was none */
};

/* ---- for the wires ---- */
struct http_exchange *http_create(struct rpc_conn *c, const struct http_ops *ops);
/* One field of the request's header; pseudo-fields of HTTP/2 too. False: over the limits. */
bool http_add_field(struct http_exchange *x, struct str name, struct str value);
void http_set_target(struct http_exchange *x, struct str target); /* path and query */
void http_begin(struct http_exchange *x);
void http_body(struct http_exchange *x, struct str bytes);
void http_end_of_body(struct http_exchange *x);
/* What waits to be sent, and that so much of it went. */
struct str http_pending(const struct http_exchange *x);
void http_sent(struct http_exchange *x, size_t bytes);
/* The exchange is over: its call, if there still is one, is cancelled (not when the connection is
 * closing: its calls are detached already). */
void http_destroy(struct http_exchange *x);

void http_forget_free(struct rpc_server *s);

/* ---- for the protocols ---- */
/* A header of the request by its lower-case name; len 0 when absent, the first when repeated. Here, so that a literal's length is
 * known where it is compiled: a small call asks for a dozen. */
static inline struct str http_header(const struct http_exchange *x, const char *name)
{
	struct str wanted = str_of(name);
	for (unsigned i = 0; i < x->n_fields; i++)
		if (str_eq(x->fields[i].name, wanted))
			return x->fields[i].value;
	return STR("");
}
/* A parameter of the query, percent-decoded, in the arena. False: absent, or malformed. */
bool http_query(struct http_exchange *x, const char *name, struct str *ret_value);
/* %XX and, in a query, + for a space. False: malformed. */
bool http_decode(struct arena *a, struct str text, bool is_query, struct str *ret_text);
void http_respond(struct http_exchange *x, unsigned status);
/* Texts are static or in the arena. Before the header is sent, and before the end. */
void http_add_header(struct http_exchange *x, const char *name, struct str value);
void http_add_trailer(struct http_exchange *x, const char *name, struct str value);
struct buf *http_out(struct http_exchange *x); /* append only */
void http_flush(struct http_exchange *x);      /* what was appended is to go out */
void http_end(struct http_exchange *x);
/* What was appended, by gzip, if that is shorter: before the end, of a whole body. */
void http_compress(struct http_exchange *x);
/* Retry-After: whole seconds, at least 1. */
void http_add_retry(struct http_exchange *x, uint64_t ms);
const char *http_reason(unsigned status); /* "Not Found" */
/* A short complete answer. */
void http_answer(struct http_exchange *x, unsigned status, const char *type, struct str body);
/* … in words, for what is no RPC. */
void http_refuse(struct http_exchange *x, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Makes the exchange's call with its metadata; method paths are found by dispatch. */
struct rpc_call *http_call(
	struct http_exchange *x, const struct rpc_protocol *p, const struct rpc_codec *codec);
/* Gives the wire back what has been used up, unless messages wait for the handler. */
void http_consume(struct http_exchange *x);
/* Watches the time that the present message takes to come. */
void http_expect(struct http_exchange *x, bool more);

/* ---- shared by the protocols' struct rpc_protocol ---- */
bool http_is_writable(const struct rpc_call *call);
bool http_is_waiting(const struct rpc_call *call);
void http_consumed(struct rpc_call *call, size_t bytes);
/* Before an append of `more` bytes to a stream. False: the call was aborted, its client is too
 * slow. */
bool http_has_room(struct rpc_call *call, size_t more);
/* The call has its answer: from now on the exchange is alone. Returns it. */
struct http_exchange *http_detach(struct rpc_call *call);
