/* cors: whose pages a browser lets call us (https://fetch.spec.whatwg.org/#http-cors-protocol), by
 * rpc_server_options.cors_origins. For all that HTTP brings: REST, Connect, gRPC-Web. No cookies are
 * meant: tokens come in a header that the page must have. Called by http. */
#pragma once
#include "rpc/http.h"

/* Before anything is answered: tells the browser that the page may read it. */
void cors_allow(struct http_exchange *x);
/* Of OPTIONS: what the page may send. */
void cors_preflight(struct http_exchange *x, struct str verbs);
