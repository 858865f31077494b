/* http_client: curl multi driven by the loop: HTTP/1.1 over TCP and unix sockets, plain
 * and streamed replies. Callers: docker/, later acme/ and monitor/. Connections are kept
 * and reused; streams are counted apart (their own cap) since they hold one each. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "base/str.h"

struct loop;
struct http_client;
struct http_request;

struct http_client *http_client_create(struct loop *l, unsigned max_connections, unsigned max_streams);
/* Waiting requests complete with CANCELLED first. */
void http_client_destroy(struct http_client *c);

struct http_response {
	long code;               /* 0 when none came */
	struct str body;         /* plain requests: the whole; streams: "" */
	const char *content_type; /* "" when absent */
	/* One header's value or NULL; name in any case. */
	const char *(*header)(const struct http_response *r, const char *name);
};
struct http_request_options {
	const char *method;      /* "GET" */
	const char *url;         /* http://localhost/v1.41/info */
	const char *unix_socket; /* path or NULL */
	const char *const *headers; /* "Name: value", NULL-terminated, or NULL; copied */
	struct str body;         /* copied; ptr NULL = no body */
	uint64_t deadline_ms;    /* whole request; for a stream: until the headers; 0 = none */
	size_t max_body;         /* plain: larger replies fail with RESOURCE_EXHAUSTED; default 32 MiB */
	/* Streams: each piece as it comes; its memory is valid during the call. Return false to pause:
	 * then http_request_continue. NULL = plain request. on_data is only called for a 2xx; another code's body is collected. */
	bool (*on_data)(void *data, struct str piece);
	/* Streams: the headers of a 2xx are there. May be NULL. */
	void (*on_open)(void *data, const struct http_response *r);
	/* Exactly once, never before http_request returned. st is OK for every complete reply, whatever its code. */
	void (*on_done)(void *data, const struct status *st, const struct http_response *r);
	void *data;
};
/* The handle is dead once on_done was called. */
struct http_request *http_request(struct http_client *c, const struct http_request_options *o);
void http_request_cancel(struct http_request *r);
void http_request_continue(struct http_request *r);
