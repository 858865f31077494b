/* http_client: curl multi driven by the loop: HTTP/1.1 over TCP, TLS and unix sockets, plain
 * and streamed replies. Callers: docker/, later acme/ and monitor/.
 *
 * Connections are kept and reused; a request that finds a kept connection dead is sent again on a
 * new one (curl's doing). At most max_connections plain requests are in flight, and max_streams
 * streams, which hold a connection each for long; more wait, first come first served, their
 * deadline running. No redirect is followed.
 *
 * All callbacks fire from the loop, never from inside a call of this module (but
 * http_client_destroy). What they receive is valid during them. They may start, cancel and drop
 * requests freely.
 *
 * Codes: UNAVAILABLE: no connection, or lost before the reply was whole (`sent` tells which);
 * DEADLINE_EXCEEDED; CANCELLED; RESOURCE_EXHAUSTED: the reply is larger than max_body;
 * INVALID_ARGUMENT: the URL; INTERNAL: what came is not HTTP. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct loop;
struct http_client;
struct http_request;

#define HTTP_MAX_BODY (32u << 20)

struct http_client *http_client_create(
	struct loop *l, unsigned max_connections, unsigned max_streams);
/* Requests under way complete with CANCELLED first (they must not start others then). NULL is fine.
 * Not from inside a callback of this module. */
void http_client_destroy(struct http_client *c);

struct http_response {
	long code;                /* 0 when none came */
	bool sent;                /* false: the server has certainly not seen the request */
	struct str body;          /* plain requests: the whole; streams: "" */
	const char *content_type; /* "" when absent */
	/* One header's value or NULL; name in any case. Valid while r is, until the next call. */
	const char *(*header)(const struct http_response *r, const char *name);
};
struct http_request_options {
	const char *method;      /* "GET" */
	const char *url;         /* http://localhost/v1.41/info */
	const char *unix_socket; /* path or NULL */
	const char *peer;        /* in messages: "the Docker Engine"; NULL = "the server"; copied */
	const char *const *headers; /* "Name: value", NULL-terminated, or NULL; copied */
	struct str body;            /* copied; ptr NULL = no body */
	uint64_t deadline_ms;       /* whole request; for a stream: until the headers; 0 = none */
	size_t max_body; /* plain: larger replies fail with RESOURCE_EXHAUSTED; 0 = HTTP_MAX_BODY */
	/* Streams: each piece as it comes (at most 16 KiB), NULL = plain request. Return false to
	 * pause: the piece is taken, the next one comes after http_request_continue. Only
	 * called for a 2xx; another code's body is collected for on_done. */
	bool (*on_data)(void *data, struct str piece);
	/* With on_data: a plain request all the same, whose reply is taken piece by piece, not to hold
	 * the whole: the deadline is of all of it, and on_open is not called. max_body is not looked
	 * at. */
	bool pieces;
	/* Streams: the headers of a 2xx are there. May be NULL. */
	void (*on_open)(void *data, const struct http_response *r);
	/* Exactly once, never before http_request returned. st is OK for every complete reply,
	 * whatever its code. */
	void (*on_done)(void *data, const struct status *st, const struct http_response *r);
	void *data;
};
/* The handle is dead once on_done was called. */
struct http_request *http_request(struct http_client *c, const struct http_request_options *o);
void http_request_cancel(struct http_request *r);
/* Ends it without on_done: for an owner that has completed, or goes away. The handle is dead at
 * once. */
void http_request_drop(struct http_request *r);
void http_request_continue(struct http_request *r);
