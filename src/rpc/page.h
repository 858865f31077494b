/* page: fixed answers at fixed paths, for browsers and for whoever asks whether the daemon lives:
 * documents that are part of the program, and a few words made at the moment. No call, no token.
 * Called by http (the choice by path); the table is its owner's (rpc_server_options.pages). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"
#include "rpc/http.h"

struct rpc_page {
	const char *path; /* "/docs" */
	const char *type; /* content-type */
	/* What it says: at `body`, or made at each request by `make`, which returns the status. */
	const char *body;
	const size_t *len;
	unsigned (*make)(void *context, struct buf *body);
};

/* gen/skep/v1/pages.c */
extern const char skep_v1_openapi[], skep_v1_docs[];
extern const size_t skep_v1_openapi_len, skep_v1_docs_len;

extern const struct http_protocol page_protocol;

/* Is one at the exchange's path? Sets x->state then. */
bool page_find(struct http_exchange *x);
void page_forget(struct rpc_server *s); /* what was packed */
