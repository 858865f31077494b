/* HTTP/1.1 as its peer sees it, with Connect and gRPC-Web on top. */
#include "h1_peer.h"

static void post_json(struct pair *t, const char *method, const char *body)
{
	char path[100];
	(void)snprintf(path, sizeof(path), "/t.T/%s", method);
	post(t, path, "application/json", "", body);
}

/* ---- the wire ---- */

static void one_after_the_other(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	post_json(&t, "Echo", "{\"sequence\":\"42\"}");
	expect(&t, 200, "{\"sequence\":\"42\"}");
	assert_non_null(in_head(&t, "\r\ndate: "));
	assert_null(in_head(&t, "connection:"));
	post_json(&t, "Echo", "{\"sequence\":\"43\"}");
	expect(&t, 200, "{\"sequence\":\"43\"}");
	assert_int_equal(rpc_server_counters(t.w->server)->accepted, 1);
	stop(&t);
}

static void byte_by_byte_is_the_same(void **state)
{
	static const char text[] =
		"\r\nPOST /t.T/Echo HTTP/1.1\r\nHOST:t\r\ncontent-TYPE:\tapplication/json \r\n"
		"Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\n{\"seq\r\n0c\r\nuence\":\"42\"}\r\n"
		"0\r\nTrailer: x\r\n\r\n";
	struct pair t;
	(void)state;
	start(&t, NULL);
	for (size_t i = 2; i < sizeof(text) - 1; i++) {
		peer_send(&t.p, text + i, 1);
		loop_turn(t.w->loop);
	}
	expect(&t, 200, "{\"sequence\":\"42\"}");
	peer_send(&t.p, text, sizeof(text) - 1); /* an empty line between requests is passed over */
	expect(&t, 200, "{\"sequence\":\"42\"}");
	stop(&t);
}

static void pipelined_answers_keep_the_order(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	post_json(&t, "Hang", "{}");
	for (int i = 0; i < 50; i++)
		post_json(&t, "Echo", "{\"sequence\":\"7\"}");
	WAIT(t.w, t.w->hanging == 1);
	assert_int_equal(t.w->handled, 0);
	struct rpc_call *held = t.w->held;
	struct status st = status_err(ST_ABORTED, "enough");
	t.w->held = NULL;
	t.w->hanging = 0;
	rpc_call_finish(held, &st);
	expect(&t, 409, "{\"code\":\"aborted\",\"message\":\"enough\"}");
	for (int i = 0; i < 50; i++)
		expect(&t, 200, "{\"sequence\":\"7\"}");
	stop(&t);
}

static void client_that_leaves_cancels(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	post_json(&t, "Hang", "{}");
	WAIT(t.w, t.w->hanging == 1);
	peer_close(&t.p);
	WAIT(t.w, t.w->cancelled == 1);
	world_destroy(t.w);
}

static void continue_is_sent_when_it_makes_sense(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	send_text(&t, "POST /t.T/Echo HTTP/1.1\r\nHost: t\r\nExpect: 100-Continue\r\n"
		      "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n");
	read_head(&t);
	assert_int_equal(t.status, 100);
	send_text(&t, "{}");
	expect(&t, 200, "{}");
	send_text(&t, "POST /nix HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: "
		      "2\r\n\r\n");
	expect(&t, 404, "nothing at /nix");
	send_text(&t, "{}"); /* it comes all the same, and is dropped */
	post_json(&t, "Echo", "{}");
	expect(&t, 200, "{}");
	send_text(&t,
		"POST /t.T/Echo HTTP/1.1\r\nHost: t\r\nExpect: tea\r\nContent-Length: 2\r\n\r\n{}");
	expect(&t, 417, "100-continue");
	stop(&t);
	start(&t, &(struct rpc_limits){.max_message = 1000}); /* nor for what could not be taken */
	send_text(&t, "POST /t.T/Echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
		      "Content-Type: application/json\r\nContent-Length: 1001\r\n\r\n");
	expect(&t, 429, "more than 1000 bytes");
	stop(&t);
}

static void connection_is_kept_or_closed_as_asked(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	post(&t, "/t.T/Echo", "application/json", "Connection: close\r\n", "{}");
	expect(&t, 200, "{}");
	assert_non_null(in_head(&t, "connection: close"));
	expect_closed(&t);
	stop(&t);
	start(&t, NULL);
	send_text(&t, "POST /t.T/Echo HTTP/1.0\r\nContent-Type: "
		      "application/json\r\nContent-Length: 2\r\n\r\n{}");
	expect(&t, 200, "{}");
	expect_closed(&t);
	stop(&t);
	start(&t, NULL);
	send_text(&t, "POST /t.T/Echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Type: "
		      "application/json\r\n"
		      "Content-Length: 2\r\n\r\n{}");
	expect(&t, 200, "{}");
	assert_non_null(in_head(&t, "connection: keep-alive"));
	stop(&t);
}

static void head_has_no_body(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	send_text(&t, "HEAD /nix HTTP/1.1\r\nHost: t\r\n\r\n");
	read_head(&t);
	assert_int_equal(t.status, 404);
	assert_non_null(in_head(&t, "content-length: "));
	post_json(&t, "Echo", "{}");
	expect(&t, 200, "{}");
	stop(&t);
}

static void absolute_target_is_taken(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	post(&t, "http://t/t.T/Echo", "application/json", "", "{}");
	expect(&t, 200, "{}");
	stop(&t);
}

/* ---- what two readers could understand in two ways ---- */

static void smuggling_is_refused(void **state)
{
#define P "POST /t.T/Echo HTTP/1.1\r\nContent-Type: application/json\r\n"
#define H P "Host: t\r\n"
	static const struct {
		const char *text;
		unsigned status;
	} cases[] = {
		{H "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", 400},
		{H "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400},
		{H "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400},
		{H "Content-Length: 2, 2\r\n\r\n{}", 400},
		{H "Content-Length: +2\r\n\r\n{}", 400},
		{H "Content-Length: -2\r\n\r\n{}", 400},
		{H "Content-Length: 0x2\r\n\r\n{}", 400},
		{H "Content-Length: 2 2\r\n\r\n{}", 400},
		{H "Content-Length: 99999999999999999999999\r\n\r\n{}", 400},
		{H "Content-Length: \r\n\r\n{}", 400},
		{H "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 0},
		{H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			400},
		{H "Transfer-Encoding: identity\r\n\r\n{}", 0},
		{H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		{H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0},
		{H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n X: y\r\n\r\n0\r\n\r\n", 400},
		{H "X: y\r\n\tz\r\nContent-Length: 2\r\n\r\n{}", 400},
		{H "X: y\nContent-Length: 2\r\n\r\n{}", 400},
		{H "X: y\rContent-Length: 2\r\n\r\n{}", 400},
		{H "Content-Length: 2\r\n\n{}", 400},
		{H "X: a\001b\r\nContent-Length: 2\r\n\r\n{}", 400},
		{H "X: a\x7f\r\nContent-Length: 2\r\n\r\n{}", 400},
		{H " X: y\r\nContent-Length: 2\r\n\r\n{}", 400},
		{H "X y\r\nContent-Length: 2\r\n\r\n{}", 400},
		{H ": y\r\nContent-Length: 2\r\n\r\n{}", 400},
		{H "Host: u\r\nContent-Length: 2\r\n\r\n{}", 400},
		{P "Content-Length: 2\r\n\r\n{}", 400},
		{"POST /t.T/Echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"POST /t.T/Echo HTTP/1.2\r\nHost: t\r\n\r\n", 400},
		{"POST /t.T/Echo HTTP/2.0\r\nHost: t\r\n\r\n", 505},
		{"POST /t.T/Echo\r\n\r\n", 505},
		{"POST  /t.T/Echo HTTP/1.1\r\nHost: t\r\n\r\n", 400},
		{"POST /t.T/Echo  HTTP/1.1\r\nHost: t\r\n\r\n", 400},
		{"POST /t.T/ Echo HTTP/1.1\r\nHost: t\r\n\r\n", 400},
		{"POST\t/t.T/Echo HTTP/1.1\r\nHost: t\r\n\r\n", 400},
		{"POST t.T/Echo HTTP/1.1\r\nHost: t\r\n\r\n", 400},
		{"GARBAGE /t.T/Echo HTTP/1.1\r\nHost: t\r\n\r\n", 400},
		{"CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n", 400},
		{H "Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n", 400},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair t;
		start(&t, NULL);
		send_text(&t, cases[i].text);
		response(&t);
		if (cases[i].status ? t.status != cases[i].status
				    : t.status < 400 || t.status > 505)
			fail_msg("%s\n-> %s%s", cases[i].text, t.head.ptr, buf_str(&t.body).ptr);
		assert_non_null(in_head(&t, "connection: close"));
		expect_closed(&t);
		assert_int_equal(t.w->handled, 0);
		stop(&t);
	}
}

/* ---- limits ---- */

static void headers_are_limited(void **state)
{
	struct pair t;
	struct buf b = {0};
	(void)state;
	start(&t, &(struct rpc_limits){.max_header = 2000});
	buf_adds(&b, "POST /t.T/Echo HTTP/1.1\r\nHost: t\r\n");
	for (int i = 0; i < 60; i++)
		buf_fmt(&b, "X-%d: y\r\n", i);
	buf_adds(&b, "Content-Length: 2\r\n\r\n{}");
	peer_send(&t.p, b.ptr, b.len);
	expect(&t, 431, "longer than 2000 bytes");
	stop(&t);
	start(&t, &(struct rpc_limits){.max_header = 2000});
	for (int i = 0; i < 3; i++) /* an endless one is not waited for */
		peer_send(&t.p, b.ptr, b.len - 24);
	for (int i = 0; i < 100; i++)
		send_text(&t, "X: "
			      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
			      "yyyyy\r\n");
	response(&t);
	assert_true(t.status == 431 || t.status == 400);
	expect_closed(&t);
	stop(&t);
	start(&t, &(struct rpc_limits){.max_header = 2000}); /* the trailer too */
	send_text(&t, H "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n");
	for (int i = 0; i < 60; i++)
		send_text(&t, "X: "
			      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
			      "yyyyy\r\n");
	expect(&t, 400, "the trailer is longer than a header may be");
	stop(&t);
	buf_finish(&b);
}

static void slow_ones_are_answered_and_closed(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.handshake_ms = 30, .frame_ms = 30});
	send_text(&t, "POST /t.T/Echo HTTP/1.1\r\nHost: t\r\n");
	expect(&t, 408, "");
	expect_closed(&t);
	stop(&t);
	start(&t, &(struct rpc_limits){.frame_ms = 30}); /* the body; the next request's head */
	send_text(&t, H "Content-Length: 5\r\n\r\n{");
	expect(&t, 504, "deadline_exceeded");
	stop(&t);
	start(&t, &(struct rpc_limits){.frame_ms = 30});
	post_json(&t, "Echo", "{}");
	expect(&t, 200, "{}");
	send_text(&t, "POST ");
	expect(&t, 408, "");
	expect_closed(&t);
	stop(&t);
	start(&t, &(struct rpc_limits){.idle_ms = 30});
	post_json(&t, "Echo", "{}");
	expect(&t, 200, "{}");
	expect_closed(&t);
	stop(&t);
}

static void long_bodies(void **state)
{
	struct pair t;
	char *big = mem_zalloc(600001);
	(void)state;
	memset(big, ' ', 600000);
	start(&t, &(struct rpc_limits){.max_message = 1000});
	post_json(&t, "Echo", big);
	expect(&t, 429, "more than 1000 bytes");
	/* more than is worth dropping: closed */
	expect_closed(&t);
	stop(&t);
	big[100000] = '\0';
	start(&t, &(struct rpc_limits){.max_message = 1000});
	post_json(&t, "Echo", big);
	expect(&t, 429, "more than 1000 bytes");
	post_json(&t, "Echo", "{}");
	expect(&t, 200, "{}");
	stop(&t);
	free(big);
}

static void drain_ends_after_the_answer(void **state)
{
	struct pair t;
	struct status st = status_err(ST_NOT_FOUND, "x");
	(void)state;
	start(&t, NULL);
	post_json(&t, "Hang", "{}");
	post_json(&t, "Echo", "{}");
	WAIT(t.w, t.w->hanging == 1);
	rpc_server_drain(t.w->server, 10000, NULL, NULL);
	struct rpc_call *held = t.w->held;
	t.w->held = NULL;
	t.w->hanging = 0;
	rpc_call_finish(held, &st);
	expect(&t, 404, "not_found");
	assert_non_null(in_head(&t, "connection: close"));
	expect_closed(&t);
	stop(&t);
}

static void slow_reader_holds_its_stream(void **state)
{
	struct pair t;
	struct buf b = {0};
	static const char message[] = "{\"sequence\":\"2000\",\"percent\":10000}";
	(void)state;
	start(&t, &(struct rpc_limits){.max_buffered = 100000});
	transport_pause(t.p.t);
	buf_fmt(&b,
		"POST /t.T/Source HTTP/1.1\r\nHost: t\r\nContent-Type: application/connect+json\r\n"
		"Content-Length: %zu\r\n\r\n",
		sizeof(message) - 1 + 5);
	buf_add(&b, "\0\0\0\0", 4);
	buf_addc(&b, (char)(sizeof(message) - 1));
	buf_adds(&b, message);
	peer_send_buf(&t.p, &b);
	struct peer other; /* somebody else is served */
	peer_connect(&other, t.w);
	for (uint64_t i = 1; i < 100; i++) {
		peer_call(&other, i, "/t.T/Echo", 3);
		peer_expect_reply(&other, i, 3);
	}
	assert_true(rpc_server_counters(t.w->server)->buffered < 250000);
	assert_int_equal(rpc_server_counters(t.w->server)->open_calls, 1);
	transport_resume(t.p.t);
	response(&t);
	assert_int_equal(t.status, 200);
	assert_true(t.body.len > 20000000);
	peer_close(&other);
	stop(&t);
}

static void paused_handler_holds_the_sender(void **state)
{
	struct pair t;
	char *text = mem_zalloc(20001);
	(void)state;
	memset(text, ' ', 20000);
	start(&t, NULL);
	t.w->paused_after = 1;
	send_text(&t,
		"POST /t.T/Sink HTTP/1.1\r\nHost: t\r\nContent-Type: application/connect+json\r\n"
		"Transfer-Encoding: chunked\r\n\r\n");
	memcpy(text, "{\"sequence\":\"1\"}", 16);
	for (int i = 0; i < 400; i++) {
		send_text(&t, "4e25\r\n");
		peer_send(&t.p, "\0\0\0\x4e\x20", 5);
		send_text(&t, text);
		send_text(&t, "\r\n");
	}
	send_text(&t, "0\r\n\r\n");
	WAIT(t.w, t.w->messages == 1);
	struct peer other;
	peer_connect(&other, t.w);
	for (uint64_t i = 1; i < 100; i++) {
		peer_call(&other, i, "/t.T/Echo", 3);
		peer_expect_reply(&other, i, 3);
	}
	assert_true(rpc_server_counters(t.w->server)->received < 500000);
	rpc_call_resume(t.w->held);
	response(&t);
	assert_int_equal(t.status, 200);
	assert_int_equal(t.w->messages, 400);
	peer_close(&other);
	free(text);
	stop(&t);
}

/* ---- Connect ---- */

static void failures_have_status_code_and_details(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	post_json(&t, "Fail", "{\"message\":\"x\"}");
	expect(&t, 400,
		"{\"code\":\"failed_precondition\",\"message\":\"not x\",\"details\":["
		"{\"type\":\"google.rpc.BadRequest\",\"value\":\"ChAKBG5hbWUSCGlzIHRha2Vu\"}");
	assert_non_null(in_head(&t, "content-type: application/json"));
	post_json(&t, "Echo", "{\"nix\":1}");
	expect(&t, 400, "\"nix: there is no such field\"");
	post_json(&t, "Echo", "");
	expect(&t, 400, "not JSON at byte 0");
	post(&t, "/t.T/Echo", "application/json", "Connect-Protocol-Version: 2\r\n", "{}");
	expect(&t, 400, "it must be 1");
	post(&t, "/t.T/Echo", "application/json", "Content-Encoding: br\r\n", "{}");
	expect(&t, 501, "gzip and identity are");
	post(&t, "/t.T/Echo", "application/json", "Content-Encoding: gzip\r\n", "{}");
	expect(&t, 400, "not what gzip makes");
	post(&t, "/t.T/Echo", "application/json", "Connect-Timeout-Ms: x\r\n", "{}");
	expect(&t, 400, "connect-timeout-ms is");
	post(&t, "/t.T/Hang", "application/json", "Connect-Timeout-Ms: 20\r\n", "{}");
	expect(&t, 504, "deadline_exceeded");
	post(&t, "/t.T/Echo", "application/json", "Authorization: Bearer nix\r\n", "{}");
	expect(&t, 401, "unauthenticated");
	post(&t, "/t.T/Echo", "text/plain", "", "{}");
	expect(&t, 415, "\"text/plain\" is not known here");
	assert_non_null(in_head(&t, "accept-post: application/json"));
	post(&t, "/t.T/Source", "application/json", "", "{}");
	expect(&t, 415, "is a stream");
	post(&t, "/t.T/Echo", "application/connect+json", "", "{}");
	expect(&t, 415, "is no stream");
	post(&t, "/t.T/Echo", "application/grpc", "", "");
	expect(&t, 505, "gRPC needs HTTP/2");
	send_text(&t, "GET /t.T/Echo HTTP/1.1\r\nHost: t\r\n\r\n"); /* it may have side effects */
	expect(&t, 405, "POST");
	stop(&t);
}

/* What is answered before its body has come, and may be long, is the last one; the client is told. */
static void early_answers_say_close(void **state)
{
	static const char *const lengths[] = {"Transfer-Encoding: chunked", "Content-Length: 300000", "Content-Length: 3"};
	struct pair t;
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct buf b = {0};
		start(&t, NULL);
		buf_fmt(&b, "POST /t.T/Echo HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n%s\r\n\r\n", lengths[i]);
		peer_send_buf(&t.p, &b);
		expect(&t, 415, "text/plain");
		assert_int_equal(in_head(&t, "connection: close") != NULL, i < 2);
		stop(&t);
	}
}

/* One way after the other: HTTP/1.1 is enough. */
static void both_ways(void **state)
{
	static const char request[] = "POST /t.T/Bidi HTTP/1.1\r\nHost: t\r\nContent-Type: application/connect+json\r\n"
				      "Content-Length: 25\r\n\r\n"
				      "\0\0\0\0\x14{\"message\":\"ping 1\"}";
	struct pair t;
	(void)state;
	start(&t, NULL);
	peer_send(&t.p, request, sizeof(request) - 1);
	response(&t);
	assert_int_equal(t.status, 200);
	assert_non_null(memmem(t.body.ptr, t.body.len, "{\"message\":\"ping 1\"}", 20));
	assert_non_null(memmem(t.body.ptr, t.body.len, "\2\0\0\0\2{}", 7));
	stop(&t);
}

static void proto_bodies(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	post(&t, "/t.T/Echo", "application/proto", "", "\x08\x07");
	expect(&t, 200, "\x08\x07");
	assert_non_null(in_head(&t, "content-type: application/proto"));
	post(&t, "/t.T/Echo", "application/proto", "", "\xff");
	expect(&t, 400, "invalid_argument");
	post(&t, "/t.T/Echo", "application/proto", "", "");
	expect(&t, 200, "");
	assert_int_equal(t.body.len, 0);
	stop(&t);
}

static void get_for_what_has_no_side_effects(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
#define GET(query) send_text(&t, "GET /t.T/Anon?" query " HTTP/1.1\r\nHost: t\r\n\r\n")
	GET("connect=v1&encoding=json&message=%7b%22message%22:%22a+b%22%7D");
	expect(&t, 200, "{\"message\":\"a b\"}");
	assert_non_null(in_head(&t, "vary: "));
	GET("encoding=proto&base64=1&message=CAc");
	expect(&t, 200, "\x08\x07");
	GET("encoding=proto&base64=1&message=C");
	expect(&t, 400, "not base64");
	GET("connect=v2&encoding=json&message={}");
	expect(&t, 400, "must be v1");
	GET("encoding=xml&message=CAc");
	expect(&t, 415, "not json or proto");
	GET("encoding=json");
	expect(&t, 415, "parameters");
	GET("encoding=json&message=%7");
	expect(&t, 415, "parameters");
	GET("encoding=json&compression=br&message={}");
	expect(&t, 501, "gzip and identity are");
	stop(&t);
}

static void streams_end_with_an_envelope(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL);
	send_text(&t,
		"POST /t.T/Sink HTTP/1.1\r\nHost: t\r\nContent-Type: application/connect+json\r\n"
		"Content-Length: 42\r\n\r\n");
	peer_send(&t.p, "\0\0\0\0\x10{\"sequence\":\"1\"}\0\0\0\0\x10{\"sequence\":\"2\"}", 42);
	response(&t);
	assert_int_equal(t.status, 200);
	assert_int_equal(t.body.len, 5 + 16 + 5 + 2);
	assert_memory_equal(t.body.ptr, "\0\0\0\0\x10{\"sequence\":\"3\"}\2\0\0\0\2{}", 28);
	send_text(&t,
		"POST /t.T/Sink HTTP/1.1\r\nHost: t\r\nContent-Type: application/connect+json\r\n"
		"Content-Length: 8\r\n\r\n");
	peer_send(&t.p, "\0\0\0\0\3abc", 8);
	response(&t);
	assert_int_equal(t.status, 200);
	assert_int_equal(t.body.ptr[0], 2);
	assert_non_null(
		memmem(t.body.ptr, t.body.len, "{\"error\":{\"code\":\"invalid_argument\"", 34));
	send_text(&t, "POST /t.T/Source HTTP/1.1\r\nHost: t\r\nContent-Type: "
		      "application/connect+proto\r\n"
		      "Content-Length: 0\r\n\r\n");
	response(&t);
	assert_non_null(memmem(t.body.ptr, t.body.len, "none came", 9));
	stop(&t);
}

/* ---- gRPC-Web ---- */

static void web_has_its_trailers_in_the_body(void **state)
{
	static const char trailers[] = "\x80\0\0\0\x10grpc-status: 0\r\n";
	struct pair t;
	(void)state;
	start(&t, NULL);
	send_text(&t, "POST /t.T/Echo HTTP/1.1\r\nHost: t\r\nContent-Type: application/grpc-web\r\n"
		      "Content-Length: 7\r\n\r\n");
	peer_send(&t.p, "\0\0\0\0\2\x08\x07", 7);
	response(&t);
	assert_int_equal(t.body.len, 7 + 21);
	assert_memory_equal(t.body.ptr, "\0\0\0\0\2\x08\x07", 7);
	assert_memory_equal(t.body.ptr + 7, trailers, 21);
	/* as text; each chunk may have its own padding */
	post(&t, "/t.T/Echo", "application/grpc-web-text+proto", "", "AAAAAAI=CAc=");
	expect(&t, 200, "AAAAAAIIB4AAAAAQZ3JwYy1zdGF0dXM6IDANCg==");
	post(&t, "/t.T/Echo", "application/grpc-web-text", "", "AAAA*AI=");
	response(&t);
	assert_int_equal(t.status, 200);
	struct arena *a = arena_create();
	struct str decoded;
	assert_true(str_unbase64(a, buf_str(&t.body), &decoded));
	assert_non_null(memmem(decoded.ptr, decoded.len,
		"grpc-status: 3\r\ngrpc-message: the body is not base64", 52));
	arena_destroy(a);
	post(&t, "/t.T/Echo", "application/grpc-web+xml", "", "");
	expect(&t, 415, "is not application/grpc-web");
	stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(byte_by_byte_is_the_same),
		cmocka_unit_test(pipelined_answers_keep_the_order),
		cmocka_unit_test(client_that_leaves_cancels),
		cmocka_unit_test(continue_is_sent_when_it_makes_sense),
		cmocka_unit_test(connection_is_kept_or_closed_as_asked),
		cmocka_unit_test(head_has_no_body),
		cmocka_unit_test(absolute_target_is_taken),
		cmocka_unit_test(smuggling_is_refused),
		cmocka_unit_test(headers_are_limited),
		cmocka_unit_test(slow_ones_are_answered_and_closed),
		cmocka_unit_test(long_bodies),
		cmocka_unit_test(drain_ends_after_the_answer),
		cmocka_unit_test(slow_reader_holds_its_stream),
		cmocka_unit_test(paused_handler_holds_the_sender),
		cmocka_unit_test(failures_have_status_code_and_details),
		cmocka_unit_test(early_answers_say_close),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(proto_bodies),
		cmocka_unit_test(get_for_what_has_no_side_effects),
		cmocka_unit_test(streams_end_with_an_envelope),
		cmocka_unit_test(web_has_its_trailers_in_the_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
