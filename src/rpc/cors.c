#include "rpc/cors.h"
#include "rpc/conn.h"
#include "rpc/server_impl.h"

#define MAX_AGE "7200" /* seconds that browsers keep the answer; they cap it there */
#define HEADERS                                                                                    \
	"accept, accept-encoding, authorization, connect-accept-encoding, connect-content-encoding, "       \
	"connect-protocol-version, connect-timeout-ms, content-encoding, content-type, "                    \
	"grpc-accept-encoding, grpc-encoding, grpc-timeout, idempotency-key, if-match, if-none-match, "     \
	"last-event-id, x-grpc-web, x-user-agent"

static bool is_allowed(const struct http_exchange *x, struct str origin)
{
	struct str rest = str_of(x->conn->server->o.cors_origins);
	while (rest.len > 0) {
		struct str one = str_trim(str_cut(&rest, ','));
		if (str_is(one, "*") || (one.len > 0 && str_eq(one, origin)))
			return true;
	}
	return false;
}

/* The browser's own header; "" when the page is ours or may not. */
static struct str origin_of(const struct http_exchange *x)
{
	const char *origins = x->conn->server->o.cors_origins;
	struct str origin = STR("");
	if (origins && origins[0])
		origin = http_header(x, "origin");
	return origin.len > 0 && is_allowed(x, origin) ? origin : STR("");
}

void cors_allow(struct http_exchange *x)
{
	const char *origins = x->conn->server->o.cors_origins;
	struct str origin = origin_of(x);
	if (origins && origins[0] && !str_is(str_of(origins), "*"))
		http_add_header(x, "vary", STR("origin"));
	if (origin.len == 0)
		return;
	http_add_header(x, "access-control-allow-origin",
		str_is(str_of(origins), "*") ? STR("*") : origin);
	http_add_header(x, "access-control-expose-headers", STR("*"));
}

void cors_preflight(struct http_exchange *x, struct str verbs)
{
	if (origin_of(x).len == 0 || http_header(x, "access-control-request-method").len == 0)
		return;
	http_add_header(x, "access-control-allow-methods", verbs);
	http_add_header(x, "access-control-allow-headers", STR(HEADERS));
	http_add_header(x, "access-control-max-age", STR(MAX_AGE));
}
