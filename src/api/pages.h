/* pages: what skepd answers to GET besides the API: /openapi.json and /docs (both generated), /healthz and /readyz.
 * The table is for rpc_server_options.pages; its context is the struct api. */
#pragma once
#include "rpc/page.h"

extern const struct rpc_page api_pages[];
extern const size_t api_page_count;
