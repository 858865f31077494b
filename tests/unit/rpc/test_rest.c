/* REST as its peer sees it: paths, queries, bodies, conditions, failures, streams. The methods and
 * routes are those of tests/proto/skep/test/v1/rest.proto: most give their request back. */
#include "h1_peer.h"
#include "rpc/page.h"
#include "skep/test/v1/messages.h"
#include "skep/test/v1/methods.h"
#include "skep/test/v1/rest.pb-c.h"

/* ---- the handlers ---- */

#define ECHO(name)                                                                                 \
	void name(struct rpc_call *call, const ProtobufCMessage *request)                          \
	{                                                                                          \
		world_of(call)->handled++;                                                         \
		rpc_call_reply(call, request);                                                     \
	}
ECHO(api_rest_get)
ECHO(api_rest_list)
ECHO(api_rest_sum)
ECHO(api_rest_put)
ECHO(api_rest_part)
ECHO(api_rest_do)

void api_rest_drop(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__Test__V1__Thing *q = (const void *)request;
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct status st = status_err(ST_ABORTED, "somebody has changed %s since", q->name);
	if (q->etag[0] && strcmp(q->etag, "1") != 0)
		rpc_call_finish(call, &st);
	else
		rpc_call_reply(call, &empty.base);
}

void api_rest_fail(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__Test__V1__Thing *q = (const void *)request;
	const struct rpc_violation v[] = {{"name", "is \"taken\""}, {"words[1]", "is long"}};
	const struct rpc_precondition p[] = {{"STACK_BUSY", "stack/web", "a job runs"}};
	const struct rpc_quota u[] = {{"project/a", "no room"}};
	struct rpc_details d = {.violations = v, .n_violations = 2, .preconditions = p,
		.n_preconditions = 1, .quotas = u, .n_quotas = 1, .retry_ms = 1500};
	struct status st = status_err((enum st_code)q->number, "not %s", q->name);
	rpc_call_fail(call, &st, q->flag ? &d : NULL);
}

void api_rest_count(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__Test__V1__Thing *q = (const void *)request;
	struct status st = status_ok();
	for (int64_t i = q->number64 + 1; i <= q->number; i++) {
		Skep__Test__V1__Thing thing = SKEP__TEST__V1__THING__INIT;
		Skep__Test__V1__Counted m = SKEP__TEST__V1__COUNTED__INIT;
		thing.number64 = i;
		m.thing = &thing;
		(void)rpc_call_send(call, &m.base);
	}
	if (q->flag) { /* and stays quiet */
		world_of(call)->held = call;
		rpc_call_on_cancel(call, source_cancelled);
		return;
	}
	if (q->name[0])
		st = status_err(ST_UNAVAILABLE, "%s", q->name);
	rpc_call_finish(call, &st);
}

static void begin_with(struct pair *t, struct rpc_server_options o)
{
	o.methods = skep_test_v1_methods;
	o.n_methods = skep_test_v1_method_count;
	o.routes = &skep_test_v1_routes;
	start_in(t, world_create_with(o));
}

static void begin(struct pair *t)
{
	begin_with(t, (struct rpc_server_options){0});
}

static void ask(struct pair *t, const char *verb, const char *path, const char *headers,
	const char *body)
{
	struct buf b = {0};
	buf_fmt(&b, "%s %s HTTP/1.1\r\nhost: t\r\n%s", verb, path, headers);
	if (body[0])
		buf_fmt(&b, "content-length: %zu\r\n", strlen(body));
	buf_fmt(&b, "\r\n%s", body);
	peer_send_buf(&t->p, &b);
}

static void get(struct pair *t, const char *path, const char *body)
{
	ask(t, "GET", path, "", "");
	expect(t, 200, body);
}

#define JSON    "content-type: application/json\r\n"
#define PROBLEM "content-type: application/problem+json"

static void refused(struct pair *t, const char *verb, const char *path, const char *headers,
	const char *body, unsigned status, const char *words)
{
	ask(t, verb, path, headers, body);
	expect(t, status, words);
	assert_non_null(in_head(t, PROBLEM));
}

/* ---- the request ---- */

static void path_and_query_make_the_request(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	get(&t, "/v1/things/web", "{\"name\":\"web\"}");
	get(&t, "/v1/things/a%2Fb%3Ac%20d", "{\"name\":\"a/b:c d\"}");
	get(&t, "/v1/things/host:5000", "{\"name\":\"host:5000\"}"); /* no verb of this name */
	get(&t, "/v1/boxes/red/7:open", "{\"inner\":{\"name\":\"red\",\"number\":7}}");
	get(&t, "/v1/things", "{}");
	get(&t, "/v1/things?", "{}");
	get(&t, "/v1/things?words=a&words=b+c&words=d%26e&&", "{\"words\":[\"a\",\"b c\",\"d&e\"]}");
	get(&t, "/v1/things?colors=COLOR_RED&colors=-2", "{\"colors\":[\"COLOR_RED\",\"COLOR_BLUE\"]}");
	get(&t, "/v1/things?inner.name=x&inner.number=-3&flag=false",
		"{\"inner\":{\"name\":\"x\",\"number\":-3},\"flag\":false}");
	get(&t, "/v1/things?time=2026-03-01T12:00:00Z&duration=1.5s&wrapped=0&blob=aGk&ratio=0.5",
		"{\"blob\":\"aGk=\",\"time\":\"2026-03-01T12:00:00Z\",\"duration\":\"1.500s\","
		"\"wrapped\":0,\"ratio\":0.5}");
	get(&t, "/v1/things?page_size=7&pageToken=018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f",
		"{\"page\":{\"pageSize\":7,\"pageToken\":\"018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f\"}}");
	get(&t, "/v1/things?page.page_size=8&request_id=r&labels.a=b",
		"{\"requestId\":\"r\",\"page\":{\"pageSize\":8},\"labels\":{\"a\":\"b\"}}");
	stop(&t);
}

static void body_makes_the_request(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	ask(&t, "PUT", "/v1/things/web", JSON, "{\"number64\":\"5\",\"name\":\"web\"}");
	expect(&t, 200, "{\"name\":\"web\",\"number64\":\"5\"}"); /* the same in the body does no harm */
	ask(&t, "PUT", "/v1/things/web", "content-type: Application/JSON; charset=utf-8\r\n", "{}");
	expect(&t, 200, "{\"name\":\"web\"}");
	ask(&t, "PUT", "/v1/things/web", "", "");
	expect(&t, 200, "{\"name\":\"web\"}");
	ask(&t, "POST", "/v1/things/box:part?number=4", JSON, "{\"number\":5}");
	expect(&t, 200, "{\"inner\":{\"name\":\"box\",\"number\":5},\"number\":4}");
	ask(&t, "PUT", "/v1/things/web", JSON "transfer-encoding: chunked\r\n", "");
	send_text(&t, "5\r\n{\"num\r\n8\r\nber\": 9}\r\n0\r\n\r\n");
	expect(&t, 200, "\"number\":9}");
	stop(&t);
}

static void bad_requests_are_told(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	refused(&t, "GET", "/v1/things?nix=1", "", "", 400, "\"detail\":\"nix: there is no such field\"");
	refused(&t, "GET", "/v1/things?number=x", "", "", 400, "number: must be");
	refused(&t, "GET", "/v1/things?number=1&number=2", "", "", 400, "number: stands twice");
	refused(&t, "GET", "/v1/things?number=1&%6eumber=2", "", "", 400, "number: stands twice");
	refused(&t, "GET", "/v1/things?number64=1&number64=2", "", "", 400, "number64: stands twice");
	refused(&t, "PUT", "/v1/things/web", JSON, "{\"name\":\"other\"}", 400, "name: stands in the path");
	refused(&t, "GET", "/v1/things/web?name=x", "", "", 400, "name: stands in the path");
	refused(&t, "GET", "/v1/things?words=%4", "", "", 400, "the query is malformed");
	refused(&t, "GET", "/v1/things?words=%ff", "", "", 400, "words: is not valid UTF-8");
	refused(&t, "GET", "/v1/things?%ff=1", "", "", 400, "not valid UTF-8");
	refused(&t, "GET", "/v1/things/%zz", "", "", 400, "the path is malformed");
	refused(&t, "GET", "/v1/things?inner=1", "", "", 400, "inner: is a message");
	refused(&t, "GET", "/v1/things?page_size=501", "", "", 400,
		"{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":"
		"[{\"field\":\"page.page_size\",\"description\":\"is 501; must be at most 500\"}]}");
	refused(&t, "PUT", "/v1/things/web?number=1", JSON, "{}", 400, "the body takes it");
	refused(&t, "PUT", "/v1/things/web", JSON, "{\"number\":", 400, "not JSON at byte");
	refused(&t, "PUT", "/v1/things/web", JSON, "[]", 400, "must be an object");
	refused(&t, "DELETE", "/v1/things/web", JSON, "{}", 400, "DELETE takes no body here");
	refused(&t, "PUT", "/v1/things/web", "content-type: text/plain\r\n", "{}", 415,
		"the body is \\\"text/plain\\\"; it must be application/json");
	refused(&t, "PUT", "/v1/things/web", "", "{}", 415, "the body has no content-type");
	refused(&t, "PUT", "/v1/things/web", JSON "content-encoding: br\r\n", "{}", 415, "gzip");
	refused(&t, "GET", "/v1/things", "accept: text/html\r\n", "", 406, "there is application/json");
	refused(&t, "GET", "/v1/things", "accept: application/json;q=0\r\n", "", 406, "no other form");
	ask(&t, "GET", "/v1/things", "accept: text/html, application/*;q=0.5\r\n", "");
	expect(&t, 200, "{}");
	assert_int_equal(rpc_server_counters(t.w->server)->open_calls, 0);
	stop(&t);
}

static void long_bodies_are_refused(void **state)
{
	struct pair t;
	char text[3000];
	(void)state;
	begin_with(&t, (struct rpc_server_options){.limits = {.max_message = 2000}});
	(void)snprintf(text, sizeof(text), "{\"words\":[\"%*s\"]}", 2500, "x");
	refused(&t, "PUT", "/v1/things/web", JSON, text, 413, "more than 2000 bytes");
	ask(&t, "PUT", "/v1/things/web", JSON "transfer-encoding: chunked\r\n", "");
	struct buf b = {0};
	buf_fmt(&b, "%zx\r\n%s\r\n0\r\n\r\n", strlen(text), text);
	peer_send_buf(&t.p, &b);
	expect(&t, 413, "more than 2000 bytes");
	assert_limit(t.w, RPC_LIMIT_MESSAGE, 2);
	stop(&t);
}

static void paths_and_verbs(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	refused(&t, "GET", "/v1/nix", "", "", 404, "there is nothing at /v1/nix");
	refused(&t, "GET", "/v1/things/", "", "", 404, "\"status\":404,\"code\":\"NOT_FOUND\"");
	refused(&t, "GET", "/v1/things//x", "", "", 404, "nothing at");
	refused(&t, "GET", "/v1/:sum", "", "", 404, "nothing at");
	refused(&t, "POST", "/v1/things:nix", "", "", 404, "nothing at");
	refused(&t, "PATCH", "/v1/things/web", "", "", 405, "PATCH");
	assert_non_null(in_head(&t, "allow: DELETE, GET, HEAD, PUT, OPTIONS"));
	refused(&t, "GET", "/v1/things/web:part", "", "", 405, "GET");
	assert_non_null(in_head(&t, "allow: POST, OPTIONS"));
	ask(&t, "HEAD", "/v1/things/web", "", "");
	read_head(&t);
	assert_int_equal(t.status, 200);
	assert_non_null(in_head(&t, "content-length: 14"));
	ask(&t, "HEAD", "/v1/nix", "", "");
	read_head(&t);
	assert_int_equal(t.status, 404);
	get(&t, "/v1/things/web", "{\"name\":\"web\"}"); /* no body came before it */
	ask(&t, "DELETE", "/v1/things/web", "", "");
	response(&t);
	assert_int_equal(t.status, 204);
	assert_null(in_head(&t, "content-length"));
	post(&t, "/skep.test.v1.Rest/List", "application/json", "", "{}"); /* beside Connect */
	expect(&t, 200, "{}");
	stop(&t);
}

static void who_may(void **state)
{
	struct pair t;
	(void)state;
	begin_with(&t, (struct rpc_server_options){.no_peer_admin = true});
	refused(&t, "GET", "/v1/things:sum", "", "", 401, "needs a token");
	assert_non_null(in_head(&t, "www-authenticate: Bearer"));
	refused(&t, "PUT", "/v1/things/x", JSON, "{broken", 401, "needs a token");
	ask(&t, "GET", "/v1/things:sum?number=3", "authorization: Bearer viewer\r\n", "");
	expect(&t, 200, "{\"number\":3}");
	ask(&t, "PUT", "/v1/things/x", JSON "authorization: Bearer viewer\r\n", "{\"number\":3}");
	expect(&t, 200, "{\"name\":\"x\",\"number\":3}");
	stop(&t);
}

/* The request waits for the answer about its token, path and query with it. */
static void token_is_asked_for_first(void **state)
{
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "late"};
	struct status ok = status_ok();
	struct pair t;
	(void)state;
	begin_with(&t, (struct rpc_server_options){.no_peer_admin = true});
	t.w->answer_by_hand = true;
	ask(&t, "PUT", "/v1/things/x", JSON "authorization: Bearer late\r\n", "{\"number\":3}");
	WAIT(t.w, t.w->asked == 1);
	rpc_token_answer(t.w->asking, &ok, &viewer, 0);
	expect(&t, 200, "{\"name\":\"x\",\"number\":3}");
	stop(&t);
}

/* A token opens three at once, then one each 100 ms. */
static void tokens_have_a_rate(void **state)
{
	static const char viewer[] = "authorization: Bearer viewer\r\n";
	struct pair t;
	(void)state;
	begin_with(&t, (struct rpc_server_options){.no_peer_admin = true,
			       .limits = {.token_per_s = 10, .token_at_once = 3}});
	for (unsigned i = 0; i < 3; i++) {
		ask(&t, "GET", "/v1/things:sum", viewer, "");
		expect(&t, 200, "{}");
	}
	refused(&t, "GET", "/v1/things:sum", viewer, "", 429, "\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\"");
	assert_non_null(in_head(&t, "retry-after: 1"));
	assert_non_null(strstr(buf_str(&t.body).ptr, "10 a second are allowed, and 3 at once"));
	post(&t, "/skep.test.v1.Rest/Sum", "application/json", viewer, "{}");
	expect(&t, 429, "resource_exhausted");
	assert_non_null(in_head(&t, "retry-after: 1"));
	assert_limit(t.w, RPC_LIMIT_TOKEN, 2);
	ask(&t, "GET", "/v1/things/web", "", ""); /* nobody's token */
	expect(&t, 200, "web");
	do { /* and there is room again */
		ask(&t, "GET", "/v1/things:sum", viewer, "");
		response(&t);
	} while (t.status == 429);
	assert_int_equal(t.status, 200);
	stop(&t);
}

/* ---- conditions ---- */

static void versions(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	ask(&t, "GET", "/v1/things/web?etag=7", "", "");
	expect(&t, 200, "\"etag\":\"7\"");
	assert_non_null(in_head(&t, "etag: \"7\""));
	ask(&t, "GET", "/v1/things/web?etag=7", "if-none-match: \"6\", \"7\"\r\n", "");
	response(&t);
	assert_int_equal(t.status, 304);
	assert_int_equal(t.body.len, 0);
	ask(&t, "GET", "/v1/things/web?etag=7", "if-none-match: *\r\n", ""); /* RFC 9110 §13.1.2: if there is one at all */
	response(&t);
	assert_int_equal(t.status, 304);
	ask(&t, "GET", "/v1/things/web?etag=8", "if-none-match: \"7\"\r\n", "");
	expect(&t, 200, "8");
	ask(&t, "PUT", "/v1/things/web", JSON "if-match: \"7\"\r\n", "{}");
	expect(&t, 200, "\"etag\":\"7\"");
	ask(&t, "DELETE", "/v1/things/web", "if-match: \"1\"\r\n", "");
	response(&t);
	assert_int_equal(t.status, 204);
	ask(&t, "PUT", "/v1/things/web", JSON "if-match: 7\r\n", "{}"); /* from a shell */
	expect(&t, 200, "\"etag\":\"7\"");
	ask(&t, "DELETE", "/v1/things/web", "if-match: *\r\n", "");
	response(&t);
	assert_int_equal(t.status, 204);
	refused(&t, "DELETE", "/v1/things/web", "if-match: \"2\"\r\n", "", 412, "changed web since");
	refused(&t, "DELETE", "/v1/things/web?etag=2", "", "", 409, "changed web since");
	refused(&t, "DELETE", "/v1/things/web", "if-match: \"1\", \"2\"\r\n", "", 400, "one ETag");
	refused(&t, "DELETE", "/v1/things/web", "if-match: W/\"1\"\r\n", "", 400, "one ETag");
	refused(&t, "POST", "/v1/plain", JSON "if-match: \"1\"\r\n", "{}", 412, "no versions here");
	stop(&t);
}

static void idempotency_key_is_the_request_id(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	ask(&t, "PUT", "/v1/things/web", JSON "idempotency-key: \"k-1\"\r\n", "{}");
	expect(&t, 200, "\"requestId\":\"k-1\"");
	ask(&t, "PUT", "/v1/things/web", JSON "idempotency-key: k-2\r\n", "{}");
	expect(&t, 200, "\"requestId\":\"k-2\"");
	refused(&t, "POST", "/v1/plain", JSON "idempotency-key: 1\r\n", "{}", 400, "each time");
	stop(&t);
}

/* ---- failures ---- */

static void failures_have_their_status(void **state)
{
	static const struct {
		int code;
		unsigned status;
	} cases[] = {{1, 499}, {2, 500}, {3, 400}, {4, 504}, {5, 404}, {6, 409}, {7, 403}, {8, 429},
		{9, 409}, {10, 409}, {11, 400}, {12, 501}, {13, 500}, {14, 503}, {15, 500}, {16, 401}};
	struct pair t;
	char body[40];
	(void)state;
	begin(&t);
	log_configure(LOG_ERROR + 1, LOG_KEY_VALUE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(body, sizeof(body), "{\"number\":%d}", cases[i].code);
		refused(&t, "POST", "/v1/things/x:fail", JSON, body, cases[i].status, "\"detail\":\"not x\"}");
	}
	stop(&t);
}

static void details_are_the_same(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	refused(&t, "POST", "/v1/things/x:fail", JSON, "{\"number\":14,\"flag\":true}", 503,
		"{\"title\":\"Service Unavailable\",\"status\":503,\"code\":\"UNAVAILABLE\","
		"\"detail\":\"not x\",\"details\":["
		"{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":["
		"{\"field\":\"name\",\"description\":\"is \\\"taken\\\"\"},"
		"{\"field\":\"words[1]\",\"description\":\"is long\"}]},"
		"{\"@type\":\"type.googleapis.com/google.rpc.PreconditionFailure\",\"violations\":["
		"{\"type\":\"STACK_BUSY\",\"subject\":\"stack/web\",\"description\":\"a job runs\"}]},"
		"{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":["
		"{\"subject\":\"project/a\",\"description\":\"no room\"}]},"
		"{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"1.500s\"}]}");
	assert_non_null(in_head(&t, "retry-after: 2"));
	stop(&t);
}

/* ---- streams ---- */

static void stream_of_lines(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	ask(&t, "GET", "/v1/things:count?number=2", "", "");
	expect(&t, 200, "{\"thing\":{\"number64\":\"1\"}}\n{\"thing\":{\"number64\":\"2\"}}\n");
	assert_non_null(in_head(&t, "content-type: application/x-ndjson"));
	ask(&t, "GET", "/v1/things:count?number=1&name=broken", "accept: application/x-ndjson\r\n", "");
	expect(&t, 200,
		"{\"thing\":{\"number64\":\"1\"}}\n{\"error\":{\"title\":\"Service Unavailable\","
		"\"status\":503,\"code\":\"UNAVAILABLE\",\"detail\":\"broken\"}}\n");
	refused(&t, "GET", "/v1/things:count?name=broken", "", "", 503, "\"detail\":\"broken\"");
	refused(&t, "GET", "/v1/things:count", "accept: application/json\r\n", "", 406, "a stream");
	refused(&t, "GET", "/v1/things:count?number=x", "", "", 400, "number: must be");
	ask(&t, "HEAD", "/v1/things:count", "", "");
	read_head(&t);
	assert_int_equal(t.status, 405);
	stop(&t);
}

static void stream_of_events_goes_on(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	ask(&t, "GET", "/v1/things:count?number=2", "accept: text/event-stream\r\n", "");
	expect(&t, 200,
		"id: 1\ndata: {\"thing\":{\"number64\":\"1\"}}\n\n"
		"id: 2\ndata: {\"thing\":{\"number64\":\"2\"}}\n\nevent: end\ndata: {}\n\n");
	assert_non_null(in_head(&t, "content-type: text/event-stream"));
	ask(&t, "GET", "/v1/things:count?number=3&number64=1&name=broken",
		"accept: text/event-stream\r\nlast-event-id: 2\r\n", "");
	expect(&t, 200, "id: 3\ndata: {\"thing\":{\"number64\":\"3\"}}\n\nevent: error\ndata: {\"title\":");
	assert_null(strstr(buf_str(&t.body).ptr, "id: 2"));
	refused(&t, "GET", "/v1/things:count", "accept: text/event-stream\r\nlast-event-id: x\r\n", "",
		400, "number64: must be");
	stop(&t);
}

static void quiet_events_are_heard(void **state)
{
	struct pair t;
	(void)state;
	begin_with(&t, (struct rpc_server_options){.limits = {.sse_heartbeat_ms = 10}});
	ask(&t, "GET", "/v1/things:count?flag=true", "accept: text/event-stream\r\n", "");
	read_head(&t);
	assert_int_equal(t.status, 200);
	for (unsigned i = 0; i < 3; i++) {
		WAIT(t.w, find(&t.p, "3\r\n:\n\n\r\n"));
		buf_drop(&t.p.in, 8);
	}
	assert_int_equal(t.w->cancelled, 0);
	peer_close(&t.p);
	WAIT(t.w, t.w->cancelled == 1);
	peer_connect(&t.p, t.w);
	stop(&t);
}

/* ---- browsers ---- */

#define ORIGIN "origin: https://app.example\r\n"

static void options_tells_the_verbs(void **state)
{
	struct pair t;
	(void)state;
	begin(&t);
	ask(&t, "OPTIONS", "/v1/things/web", "", "");
	read_head(&t);
	assert_int_equal(t.status, 204);
	assert_non_null(in_head(&t, "allow: DELETE, GET, HEAD, PUT, OPTIONS"));
	ask(&t, "OPTIONS", "/skep.test.v1.Rest/List", "", "");
	read_head(&t);
	assert_non_null(in_head(&t, "allow: GET, POST, OPTIONS"));
	ask(&t, "OPTIONS", "*", "", "");
	read_head(&t);
	assert_int_equal(t.status, 204);
	refused(&t, "OPTIONS", "/v1/nix", "", "", 404, "nothing at");
	ask(&t, "OPTIONS", "/v1/plain", ORIGIN "access-control-request-method: POST\r\n", "");
	read_head(&t);
	assert_int_equal(t.status, 204);
	assert_null(in_head(&t, "access-control")); /* nobody's pages may */
	stop(&t);
}

static void pages_of_these_origins_may(void **state)
{
	struct pair t;
	(void)state;
	begin_with(&t, (struct rpc_server_options){.cors_origins = "https://other.example, https://app.example"});
	ask(&t, "OPTIONS", "/v1/plain", ORIGIN "access-control-request-method: POST\r\n", "");
	read_head(&t);
	assert_int_equal(t.status, 204);
	assert_non_null(in_head(&t, "access-control-allow-origin: https://app.example\r\n"));
	assert_non_null(in_head(&t, "access-control-allow-methods: POST, OPTIONS\r\n"));
	assert_non_null(in_head(&t, "idempotency-key"));
	assert_non_null(in_head(&t, "vary: origin"));
	ask(&t, "GET", "/v1/things/web", ORIGIN, "");
	expect(&t, 200, "web");
	assert_non_null(in_head(&t, "access-control-allow-origin: https://app.example"));
	assert_non_null(in_head(&t, "access-control-expose-headers: *"));
	refused(&t, "GET", "/v1/nix", ORIGIN, "", 404, "nothing at");
	assert_non_null(in_head(&t, "access-control-allow-origin"));
	post(&t, "/skep.test.v1.Rest/List", "application/json", ORIGIN, "{}");
	expect(&t, 200, "{}");
	assert_non_null(in_head(&t, "access-control-allow-origin"));
	post(&t, "/skep.test.v1.Rest/List", "application/grpc-web+proto", ORIGIN, "");
	response(&t);
	assert_non_null(in_head(&t, "access-control-allow-origin"));
	ask(&t, "GET", "/v1/things/web", "origin: https://evil.example\r\n", "");
	expect(&t, 200, "web");
	assert_null(in_head(&t, "access-control"));
	assert_non_null(in_head(&t, "vary: origin"));
	stop(&t);
	begin_with(&t, (struct rpc_server_options){.cors_origins = "*"});
	ask(&t, "GET", "/v1/things/web", ORIGIN, "");
	expect(&t, 200, "web");
	assert_non_null(in_head(&t, "access-control-allow-origin: *\r\n"));
	stop(&t);
}

static unsigned make_page(void *context, struct buf *body)
{
	(void)context;
	buf_adds(body, "not yet\n");
	return 503;
}

static const char long_page[] = "<p>------------------------------------------------------------------"
	"----------------------------------------------------------------------------------------";
static const size_t long_page_len = sizeof(long_page) - 1;
static const struct rpc_page pages[] = {
	{"/made", "text/plain", NULL, NULL, make_page},
	{"/page", "text/html", long_page, &long_page_len, NULL},
};

static void pages_are_there_for_all(void **state)
{
	struct pair t;
	(void)state;
	begin_with(&t, (struct rpc_server_options){.no_peer_admin = true, .pages = pages, .n_pages = 2});
	ask(&t, "GET", "/page?x=1", "", "");
	expect(&t, 200, long_page);
	assert_non_null(in_head(&t, "content-security-policy: default-src 'none'"));
	for (unsigned i = 0; i < 2; i++) {
		ask(&t, "GET", "/page", "accept-encoding: gzip\r\n", "");
		response(&t);
		assert_non_null(in_head(&t, "content-encoding: gzip"));
		assert_true(t.body.len < long_page_len);
	}
	ask(&t, "HEAD", "/page", "", "");
	read_head(&t);
	assert_int_equal(t.status, 200);
	ask(&t, "GET", "/made", "", "");
	expect(&t, 503, "not yet\n");
	refused(&t, "POST", "/page", JSON, "{}", 405, "POST");
	assert_non_null(in_head(&t, "allow: GET, HEAD, OPTIONS"));
	stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_and_query_make_the_request),
		cmocka_unit_test(body_makes_the_request),
		cmocka_unit_test(bad_requests_are_told),
		cmocka_unit_test(long_bodies_are_refused),
		cmocka_unit_test(paths_and_verbs),
		cmocka_unit_test(who_may),
		cmocka_unit_test(token_is_asked_for_first),
		cmocka_unit_test(tokens_have_a_rate),
		cmocka_unit_test(versions),
		cmocka_unit_test(idempotency_key_is_the_request_id),
		cmocka_unit_test(failures_have_their_status),
		cmocka_unit_test(details_are_the_same),
		cmocka_unit_test(stream_of_lines),
		cmocka_unit_test(stream_of_events_goes_on),
		cmocka_unit_test(quiet_events_are_heard),
		cmocka_unit_test(options_tells_the_verbs),
		cmocka_unit_test(pages_of_these_origins_may),
		cmocka_unit_test(pages_are_there_for_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
