/* rest: plain HTTP and JSON for whoever has only curl or a browser: resources at paths, from the
 * methods' google.api.http. Called by http (the choice by path), which it answers through.
 *
 *	path, query, body, Idempotency-Key, If-Match ──► the request   (rest_request.c)
 *	the reply ──► JSON, ETag; a stream ──► NDJSON or SSE            (rest.c)
 *	a failure ──► application/problem+json, RFC 9457                (rest_problem.c)
 *
 * Client streams have no form here: their methods have no path. */
#pragma once
#include <protobuf-c/protobuf-c.h>
#include "base/status.h"
#include "rpc/http.h"
#include "rpc/route.h"

extern const struct http_protocol rest_protocol;

struct rest { /* an exchange's state, in its arena */
	const struct rpc_route *route;
	struct str variables[ROUTE_VARIABLES];
	bool gzip_in, gzip_out;
	bool is_sse;         /* a stream as events, else as lines */
	bool has_type;       /* the body's */
	bool if_match;       /* ABORTED is 412 */
	unsigned status;     /* of a failure, where its code's own does not say it; 0: that */
};

/* Has the path a route? Sets x->state then; *ret_verb: and for this method. When not, *ret_node
 * (NULL: no path) tells route_allowed which it has. */
bool rest_find(struct http_exchange *x, const struct rpc_route_node **ret_node);

/* Inside: the request as a message, in the arena. */
struct status rest_message(const struct rpc_call *call, struct arena *a, struct str body,
	ProtobufCMessage **ret_message);
/* A problem as JSON, appended. details may be NULL. */
void rest_put_problem(struct buf *b, unsigned status, const struct status *st,
	const struct rpc_details *details);
/* Answers with one, where there is no call. */
void rest_refuse(struct http_exchange *x, unsigned status, enum st_code code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
