#include "api/pages.h"
#include "api/api.h"

static unsigned healthz(void *context, struct buf *body)
{
	(void)context;
	buf_adds(body, "ok\n");
	return 200;
}

/* The words of why not are for administrators: System.Ready. */
static unsigned readyz(void *context, struct buf *body)
{
	const struct api *api = context;
	struct api_dependency seen[API_DEPENDENCIES];
	api->dependencies(api->data, seen);
	for (size_t i = 0; i < API_DEPENDENCIES; i++)
		buf_fmt(body, "%s: %s\n", seen[i].name, seen[i].up ? "ok" : "not reachable");
	return api_is_ready(seen) ? 200 : 503;
}

#define TEXT "text/plain; charset=utf-8"
const struct rpc_page api_pages[] = {
	{"/docs", "text/html; charset=utf-8", skep_v1_docs, &skep_v1_docs_len, NULL},
	{"/healthz", TEXT, NULL, NULL, healthz},
	{"/openapi.json", "application/json", skep_v1_openapi, &skep_v1_openapi_len, NULL},
	{"/readyz", TEXT, NULL, NULL, readyz},
};
const size_t api_page_count = sizeof(api_pages) / sizeof(api_pages[0]);
