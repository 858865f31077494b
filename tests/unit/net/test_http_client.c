#include "http_server.h"
#include <stdbool.h>
#include "base/status.h"
#include "net/http_client.h"

struct answer {
	unsigned done, opened, pieces;
	struct status st;
	long code;
	bool sent;
	struct buf body;
	char type[64], header[64];
	bool pause;
	struct http_request *request;
	unsigned order;
};

static struct loop *loop;
static struct server server;
static struct http_client *client;
static unsigned finished;

static void on_done(void *data, const struct status *st, const struct http_response *r)
{
	struct answer *a = data;
	a->done++;
	a->order = ++finished;
	a->st = *st;
	a->code = r->code;
	a->sent = r->sent;
	buf_add_str(&a->body, r->body);
	(void)snprintf(a->type, sizeof a->type, "%s", r->content_type);
	const char *h = r->header(r, "x-tEST");
	(void)snprintf(a->header, sizeof a->header, "%s", h ? h : "");
}

static bool on_data(void *data, struct str piece)
{
	struct answer *a = data;
	a->pieces++;
	buf_add_str(&a->body, piece);
	return !a->pause;
}

static void on_open(void *data, const struct http_response *r)
{
	struct answer *a = data;
	a->opened++;
	a->code = r->code;
}

static struct http_request_options options(const char *url, struct answer *a)
{
	return (struct http_request_options){.method = "GET",
		.url = url,
		.unix_socket = server.path,
		.peer = "the peer",
		.deadline_ms = 5000,
		.on_done = on_done,
		.data = a};
}

static void start(const struct http_request_options *o)
{
	struct answer *a = o->data;
	*a = (struct answer){.pause = a->pause};
	a->request = http_request(client, o);
	assert_int_equal(a->done, 0);
}

static void wait_done(struct answer *a)
{
	while (!a->done)
		loop_turn(loop);
	assert_int_equal(a->done, 1);
}

static void get(const char *url, struct answer *a)
{
	struct http_request_options o = options(url, a);
	a->pause = false;
	start(&o);
	wait_done(a);
}

static void expect(struct answer *a, enum st_code code, const char *words)
{
	if (a->st.code != code || !strstr(a->st.message, words))
		fail_msg("%s: %s (expected %s: %s)", st_code_name(a->st.code), a->st.message,
			st_code_name(code), words);
	buf_finish(&a->body);
}

static bool asks(const char *text, const char *path)
{
	const char *at = strchr(text, ' ');
	return at && strncmp(at + 1, path, strlen(path)) == 0;
}

static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

static void send_big(struct server_conn *c)
{
	char *bytes = mem_zalloc(3 << 20);
	memset(bytes, 'x', 3 << 20);
	server_send(c, chunked);
	server_chunk(c, bytes, 3 << 20);
	server_chunk(c, "", 0);
	free(bytes);
}

static void on_request(struct server_conn *c, const char *text)
{
	if (asks(text, "/echo")) {
		server_reply(c, 200, text);
	} else if (asks(text, "/500")) {
		server_reply(c, 500, "{\"message\":\"words\"}");
	} else if (asks(text, "/close")) {
		server_close_conn(c);
	} else if (asks(text, "/short")) {
		server_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew");
		server_end(c);
	} else if (asks(text, "/garbage")) {
		server_send(c, "\x01\x02what?\r\n\r\n\r\n");
	} else if (asks(text, "/big")) {
		send_big(c);
	} else if (asks(text, "/stream")) {
		server_send(c, "HTTP/1.1 100 Continue\r\n\r\n");
		server_send(c, chunked);
		server_chunk(c, "one", 3);
		c->server->data = c;
	} else if (asks(text, "/gone")) { /* only the first request of a connection is answered */
		if (c->requests > 1)
			server_close_conn(c);
		else
			server_reply(c, 200, "ok");
	} else if (asks(text, "/hold")) {
		c->server->data = c;
	}
}

static int setup(void **state)
{
	(void)state;
	loop = loop_create();
	server_start(&server, loop);
	server.on_request = on_request;
	client = http_client_create(loop, 2, 2);
	finished = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_client_destroy(client);
	server_stop(&server);
	loop_destroy(loop);
	return 0;
}

static void reply_is_whole(void **state)
{
	struct answer a = {0};
	struct http_request_options o = options("http://localhost/echo?x=1", &a);
	(void)state;
	o.method = "POST";
	o.headers = (const char *const[]){"X-One: 1", "Content-Type: application/json", NULL};
	o.body = STR("{\"a\":1}");
	start(&o);
	wait_done(&a);
	assert_int_equal(a.st.code, ST_OK);
	assert_int_equal(a.code, 200);
	assert_true(a.sent);
	assert_string_equal(a.type, "application/json");
	assert_string_equal(a.header, "yes");
	assert_true(str_starts(buf_str(&a.body), "POST /echo?x=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(a.body.ptr, "\r\nX-One: 1\r\n"));
	assert_null(strstr(a.body.ptr, "Expect:"));
	assert_true(str_ends(buf_str(&a.body), "\r\n\r\n{\"a\":1}"));
	buf_finish(&a.body);
}

static void methods(void **state)
{
	static const char *const names[] = {"DELETE", "PUT", "POST", "GET"};
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct answer a = {0};
		struct http_request_options o = options("http://localhost/echo", &a);
		o.method = names[i];
		start(&o);
		wait_done(&a);
		assert_int_equal(strncmp(a.body.ptr, names[i], strlen(names[i])), 0);
		buf_finish(&a.body);
	}
	assert_int_equal(server.accepted, 1); /* kept */
}

static void an_error_code_is_a_reply(void **state)
{
	struct answer a;
	(void)state;
	get("http://localhost/500", &a);
	assert_int_equal(a.code, 500);
	assert_string_equal(a.body.ptr, "{\"message\":\"words\"}");
	expect(&a, ST_OK, "");
}

static void failures_have_words(void **state)
{
	struct answer a;
	(void)state;
	get("http://localhost/close", &a);
	assert_true(a.sent);
	expect(&a, ST_UNAVAILABLE, "the peer at unix:///tmp/skep-http-");
	get("http://localhost/short", &a);
	expect(&a, ST_UNAVAILABLE, "connection lost: ");
	get("http://localhost/garbage", &a);
	expect(&a, ST_INTERNAL, "the reply is not HTTP: ");
	get("gopher://localhost/", &a);
	assert_false(a.sent);
	expect(&a, ST_INVALID_ARGUMENT, "not a URL that can be used");
	struct http_request_options o = options("http://localhost/", &a);
	o.unix_socket = "/nonexistent/s";
	start(&o);
	wait_done(&a);
	assert_false(a.sent);
	expect(&a, ST_UNAVAILABLE,
		"cannot connect to the peer at unix:///nonexistent/s: No such file or directory");
	o.unix_socket = NULL;
	o.url = "http://127.0.0.1:1/x";
	start(&o);
	wait_done(&a);
	expect(&a, ST_UNAVAILABLE,
		"cannot connect to the peer at http://127.0.0.1:1: Connection refused");
}

static void body_is_bounded(void **state)
{
	struct answer a = {0};
	struct http_request_options o = options("http://localhost/big", &a);
	(void)state;
	o.max_body = 1 << 20;
	start(&o);
	wait_done(&a);
	expect(&a, ST_RESOURCE_EXHAUSTED, "larger than 1048576 bytes");
	o.max_body = 3 << 20; /* just fits */
	start(&o);
	wait_done(&a);
	assert_int_equal(a.body.len, 3 << 20);
	expect(&a, ST_OK, "");
}

static void deadline_and_cancel(void **state)
{
	struct answer a = {0};
	struct http_request_options o = options("http://localhost/hold", &a);
	(void)state;
	o.deadline_ms = 20;
	start(&o);
	wait_done(&a);
	expect(&a, ST_DEADLINE_EXCEEDED, "no answer within 20 ms");
	o.deadline_ms = 0;
	start(&o);
	server.data = NULL;
	while (!server.data)
		loop_turn(loop);
	http_request_cancel(a.request);
	http_request_cancel(a.request);
	assert_int_equal(a.done, 0);
	wait_done(&a);
	expect(&a, ST_CANCELLED, "cancelled");
	start(&o); /* before it has even begun */
	http_request_cancel(a.request);
	wait_done(&a);
	expect(&a, ST_CANCELLED, "cancelled");
	get("http://localhost/echo", &a);
	expect(&a, ST_OK, "");
}

static void dropped_says_nothing(void **state)
{
	struct answer a = {0}, b = {0}, c;
	struct http_request_options o = options("http://localhost/hold", &a);
	(void)state;
	start(&o);
	server.data = NULL;
	while (!server.data)
		loop_turn(loop);
	http_request_drop(a.request);
	o.data = &b;
	start(&o);
	http_request_drop(b.request);
	get("http://localhost/echo", &c);
	expect(&c, ST_OK, "");
	assert_int_equal(a.done + b.done, 0);
}

static void stale_connection_is_replaced(void **state)
{
	struct answer a;
	(void)state;
	get("http://localhost/gone", &a);
	expect(&a, ST_OK, "");
	get("http://localhost/gone", &a); /* closed without a word: sent again */
	expect(&a, ST_OK, "");
	assert_int_equal(server.accepted, 2);
	server_kill(&server);
	(void)unlink(server.path);
	server_listen(&server);
	get("http://localhost/gone", &a);
	expect(&a, ST_OK, "");
}

static void caps_and_queue(void **state)
{
	struct answer a[5] = {0}, s;
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct http_request_options o = options("http://localhost/echo", &a[i]);
		start(&o);
	}
	for (int i = 0; i < 5; i++)
		wait_done(&a[i]);
	assert_true(server.accepted <= 2);
	assert_int_equal(server.requests, 5);
	for (int i = 0; i < 5; i++)
		expect(&a[i], ST_OK, "");
	for (int i = 0; i < 2; i++) { /* both places taken for good … */
		struct http_request_options o = options("http://localhost/stream", &a[i]);
		o.on_data = on_data;
		start(&o);
		while (!a[i].pieces)
			loop_turn(loop);
	}
	struct http_request_options o = options("http://localhost/stream", &a[2]);
	o.on_data = on_data;
	o.deadline_ms = 20;
	start(&o);
	wait_done(&a[2]); /* … the third waits in vain … */
	expect(&a[2], ST_DEADLINE_EXCEEDED, "20 ms");
	get("http://localhost/echo", &s); /* … plain requests do not … */
	expect(&s, ST_OK, "");
	o.data = &a[3];
	o.deadline_ms = 0;
	start(&o);
	http_request_cancel(a[0].request);
	while (!a[3].pieces) /* … and a place that falls free is taken */
		loop_turn(loop);
	assert_int_equal(a[0].done, 1);
	http_request_cancel(a[1].request);
	http_request_cancel(a[3].request);
	wait_done(&a[1]);
	wait_done(&a[3]);
	expect(&a[0], ST_CANCELLED, "");
	expect(&a[1], ST_CANCELLED, "");
	expect(&a[3], ST_CANCELLED, "");
}

static void stream_pauses(void **state)
{
	struct answer a = {.pause = true};
	struct http_request_options o = options("http://localhost/big", &a);
	(void)state;
	o.on_data = on_data;
	o.on_open = on_open;
	start(&o);
	size_t want = 0;
	while (!a.done) {
		unsigned before = a.pieces;
		while (a.pieces == before && !a.done)
			loop_turn(loop);
		assert_true(a.pieces <= before + 1);
		want++;
		if (!a.done)
			http_request_continue(a.request);
	}
	assert_int_equal(a.opened, 1);
	assert_int_equal(a.body.len, 3 << 20);
	assert_true(want > 100);
	expect(&a, ST_OK, "");
}

static void stream_has_its_deadline_until_the_headers(void **state)
{
	struct answer a = {0}, b = {0};
	struct http_request_options o = options("http://localhost/stream", &a);
	(void)state;
	o.on_data = on_data;
	o.on_open = on_open;
	o.deadline_ms = 200;
	start(&o);
	while (!a.pieces)
		loop_turn(loop);
	assert_int_equal(a.opened, 1);
	struct server_conn *held = server.data;
	o.url = "http://localhost/hold";
	o.data = &b;
	start(&o);
	wait_done(&b); /* the same time without headers */
	expect(&b, ST_DEADLINE_EXCEEDED, "200 ms");
	assert_int_equal(a.done, 0);
	server_chunk(held, "two", 3);
	server_chunk(held, "", 0);
	wait_done(&a);
	assert_string_equal(a.body.ptr, "onetwo");
	expect(&a, ST_OK, "");
}

static void stream_breaks_and_refuses(void **state)
{
	struct answer a = {0};
	struct http_request_options o = options("http://localhost/stream", &a);
	(void)state;
	o.on_data = on_data;
	o.on_open = on_open;
	start(&o);
	while (!a.pieces)
		loop_turn(loop);
	server_close_conn(server.data);
	wait_done(&a);
	expect(&a, ST_UNAVAILABLE, "connection lost: ");
	o.url = "http://localhost/500";
	start(&o);
	wait_done(&a);
	assert_int_equal(a.opened + a.pieces, 0);
	assert_int_equal(a.code, 500);
	assert_string_equal(a.body.ptr, "{\"message\":\"words\"}");
	expect(&a, ST_OK, "");
}

static struct http_request *victim;
static bool drop_inside(void *data, struct str piece)
{
	struct answer *a = data;
	(void)piece;
	a->pieces++;
	http_request_drop(victim);
	return true;
}
static bool cancel_inside(void *data, struct str piece)
{
	struct answer *a = data;
	(void)piece;
	a->pieces++;
	http_request_cancel(victim);
	return false;
}

static void ends_from_inside_a_callback(void **state)
{
	struct answer a = {0}, b;
	struct http_request_options o = options("http://localhost/big", &a);
	(void)state;
	o.on_data = drop_inside;
	start(&o);
	victim = a.request;
	while (!a.pieces)
		loop_turn(loop);
	get("http://localhost/echo", &b);
	expect(&b, ST_OK, "");
	assert_int_equal(a.done, 0);
	assert_int_equal(a.pieces, 1);
	o.on_data = cancel_inside;
	start(&o);
	victim = a.request;
	wait_done(&a);
	assert_int_equal(a.pieces, 1);
	expect(&a, ST_CANCELLED, "cancelled");
}

static void destroy_completes(void **state)
{
	struct answer a[4] = {0};
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct http_request_options o = options("http://localhost/hold", &a[i]);
		start(&o);
	}
	server.data = NULL;
	while (!server.data)
		loop_turn(loop);
	http_client_destroy(client);
	client = NULL;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(a[i].done, 1);
		expect(&a[i], ST_CANCELLED, "closed");
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(reply_is_whole),
		TEST(methods),
		TEST(an_error_code_is_a_reply),
		TEST(failures_have_words),
		TEST(body_is_bounded),
		TEST(deadline_and_cancel),
		TEST(dropped_says_nothing),
		TEST(stale_connection_is_replaced),
		TEST(caps_and_queue),
		TEST(stream_pauses),
		TEST(stream_has_its_deadline_until_the_headers),
		TEST(stream_breaks_and_refuses),
		TEST(ends_from_inside_a_callback),
		TEST(destroy_completes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
