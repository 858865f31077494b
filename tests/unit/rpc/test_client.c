/* The client against a real server on a unix socket and on TCP, and against servers that misbehave.
 */
#include "fixture.h"
#include <sys/stat.h>
#include "net/listener.h"
#include "rpc/client.h"

struct caller {
	struct world *w;
	struct rpc_client *client;
	struct rpc_client_call *call;
	bool done, destroy_in_message, destroy_in_done;
	unsigned n_done, n_messages, n_writable;
	int64_t last, to_send;
	struct status st;
	struct rpc_details details;
	struct arena *a;
	char dir[64], address[160];
};

static void on_message(void *data, const ProtobufCMessage *message)
{
	struct caller *c = data;
	c->n_messages++;
	c->last = ((const Skep__V1__Event *)message)->sequence;
	if (c->destroy_in_message) {
		rpc_client_destroy(c->client);
		c->client = NULL;
		c->done = true;
	}
}

static void on_done(void *data, const struct status *st, const struct rpc_details *details)
{
	struct caller *c = data;
	struct status ignored;
	struct buf b = {0};
	c->done = true;
	c->n_done++;
	c->st = *st;
	rpc_status_pack(&b, st, details);
	assert_true(rpc_status_unpack(c->a, buf_str(&b), &ignored, &c->details));
	buf_finish(&b);
	if (c->destroy_in_done) {
		rpc_client_destroy(c->client);
		c->client = NULL;
	}
}

static void setup(struct caller *c, struct world *w, const char *token)
{
	*c = (struct caller){.w = w, .a = arena_create()};
	(void)snprintf(c->dir, sizeof(c->dir), "/tmp/skep-test-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	(void)snprintf(c->address, sizeof(c->address), "unix://%s/s", c->dir);
	struct status st = rpc_server_listen_unix(w->server, c->address + 7, 0600);
	assert_int_equal(st.code, ST_OK);
	struct rpc_client_options o = {.address = c->address, .token = token};
	c->client = rpc_client_create(w->loop, &o);
}

static void teardown(struct caller *c)
{
	rpc_client_destroy(c->client);
	world_destroy(c->w);
	arena_destroy(c->a);
	(void)rmdir(c->dir);
}

static void start(
	struct caller *c, const char *method, const Skep__V1__Event *request, uint64_t deadline)
{
	struct rpc_client_call_options o = {
		.method = method,
		.reply = &skep__v1__event__descriptor,
		.request = request ? &request->base : NULL,
		.deadline_ms = deadline,
		.on_message = on_message,
		.on_done = on_done,
		.data = c,
	};
	c->done = false;
	c->call = rpc_client_call(c->client, &o);
	assert_false(c->done);
}

static void start_number(struct caller *c, const char *method, int64_t sequence)
{
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	e.sequence = sequence;
	e.message = (char *)"m";
	start(c, method, &e, 0);
}

static void calls_and_reconnects(void **state)
{
	struct caller c;
	(void)state;
	setup(&c, world_create(NULL, true), "viewer");
	start_number(&c, "/t.T/Echo", 11);
	WAIT(c.w, c.done);
	assert_int_equal(c.st.code, ST_OK);
	assert_int_equal(c.last, 11);
	assert_string_equal(c.w->caller.name, "token:viewer");
	start_number(&c, "/t.T/Fail", 1);
	WAIT(c.w, c.done);
	assert_int_equal(c.st.code, ST_FAILED_PRECONDITION);
	assert_string_equal(c.st.message, "not m");
	assert_string_equal(c.details.violations[0].description, "is taken");
	assert_int_equal(c.details.retry_ms, 1500);
	assert_int_equal(rpc_server_counters(c.w->server)->accepted, 1);
	teardown(&c);
}

static void works_on_tcp_by_name(void **state)
{
	struct caller c;
	unsigned port;
	(void)state;
	setup(&c, world_create(NULL, true), NULL);
	struct status st = rpc_server_listen_tcp(c.w->server, "127.0.0.1", 0, &port);
	assert_int_equal(st.code, ST_OK);
	rpc_client_destroy(c.client);
	(void)snprintf(c.address, sizeof(c.address), "localhost:%u", port);
	struct rpc_client_options o = {.address = c.address};
	c.client = rpc_client_create(c.w->loop, &o);
	start_number(&c, "/t.T/Anon", 5);
	WAIT(c.w, c.done);
	assert_string_equal(c.st.message, "");
	assert_int_equal(c.last, 5);
	teardown(&c);
}

static void server_stream_with_credit(void **state)
{
	struct caller c;
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	(void)state;
	setup(&c, world_create(NULL, false), NULL);
	e.sequence = 3000;
	e.percent = 1000;
	start(&c, "/t.T/Source", &e, 0);
	WAIT(c.w, c.done);
	assert_int_equal(c.st.code, ST_OK);
	assert_int_equal(c.n_messages, 3000);
	assert_int_equal(c.last, 3000);
	assert_true(c.w->writable > 1);
	teardown(&c);
}

static void send_more(void *data)
{
	struct caller *c = data;
	static char text[1001];
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	memset(text, 'z', 1000);
	e.message = text;
	c->n_writable++;
	while (c->to_send > 0) {
		e.sequence = c->to_send--;
		if (!rpc_client_send(c->call, &e.base) && c->to_send)
			return;
	}
	rpc_client_end(c->call);
}

static void client_stream_with_credit(void **state)
{
	struct caller c;
	(void)state;
	setup(&c, world_create(NULL, false), NULL);
	struct rpc_client_call_options o = {
		.method = "/t.T/Sink",
		.reply = &skep__v1__event__descriptor,
		.on_message = on_message,
		.on_writable = send_more,
		.on_done = on_done,
		.data = &c,
	};
	c.to_send = 2000;
	c.call = rpc_client_call(c.client, &o);
	send_more(&c); /* before there is a connection */
	WAIT(c.w, c.done);
	assert_int_equal(c.st.code, ST_OK);
	assert_int_equal(c.last, 2000 * 2001 / 2);
	assert_true(c.n_writable > 2);
	teardown(&c);
}

static void stuff(struct caller *c, int n)
{
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	char *text = mem_zalloc(100001);
	memset(text, 'q', 100000);
	e.message = text;
	e.sequence = 1;
	for (int i = 0; i < n; i++)
		(void)rpc_client_send(c->call, &e.base); /* although it is full */
	rpc_client_end(c->call);
	free(text);
}

static void end_waits_behind_the_queue(void **state)
{
	struct caller c;
	(void)state;
	setup(&c, world_create(NULL, false), NULL);
	start(&c, "/t.T/Sink", NULL, 0);
	stuff(&c, 50);
	WAIT(c.w, c.done);
	assert_int_equal(c.st.code, ST_OK);
	assert_int_equal(c.last, 50);
	teardown(&c);
}

static void cancel_and_deadline(void **state)
{
	struct caller c;
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	(void)state;
	setup(&c, world_create(NULL, false), NULL);
	start(&c, "/t.T/Hang", &e, 0);
	WAIT(c.w, c.w->hanging == 1);
	rpc_client_cancel(c.call);
	assert_false(c.done);
	WAIT(c.w, c.done && c.w->cancelled == 1);
	assert_int_equal(c.st.code, ST_CANCELLED);
	start(&c, "/t.T/Hang", &e, 20);
	WAIT(c.w, c.done && c.w->cancelled == 2);
	assert_int_equal(c.st.code, ST_DEADLINE_EXCEEDED);
	start(&c, "/t.T/Hang", &e, 0); /* before it was ever sent */
	rpc_client_cancel(c.call);
	WAIT(c.w, c.done);
	assert_int_equal(c.n_done, 3);
	WAIT(c.w, rpc_server_counters(c.w->server)->open_calls == 0);
	teardown(&c);
}

static void nobody_there(void **state)
{
	static const char *const bad[] = {
		"", "nonsense", "host:", ":1", "host:99999", "unix://", "[::1]", "[::1:5"};
	struct caller c;
	(void)state;
	setup(&c, world_create(NULL, false), NULL);
	rpc_client_destroy(c.client);
	struct rpc_client_options o = {.address = "unix:///nonexistent/skep.sock"};
	c.client = rpc_client_create(c.w->loop, &o);
	start_number(&c, "/t.T/Echo", 1);
	WAIT(c.w, c.done);
	assert_int_equal(c.st.code, ST_UNAVAILABLE);
	assert_non_null(strstr(c.st.message, "/nonexistent/skep.sock: no such file"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rpc_client_destroy(c.client);
		o.address = bad[i];
		c.client = rpc_client_create(c.w->loop, &o);
		start_number(&c, "/t.T/Echo", 1);
		WAIT(c.w, c.done);
		assert_int_equal(c.st.code, ST_INVALID_ARGUMENT);
		assert_non_null(strstr(c.st.message, "is no address"));
	}
	teardown(&c);
}

static void lost_and_found(void **state)
{
	struct caller c;
	(void)state;
	setup(&c, world_create(NULL, false), NULL);
	start_number(&c, "/t.T/Hang", 1);
	WAIT(c.w, c.w->hanging == 1);
	rpc_server_destroy(c.w->server);
	WAIT(c.w, c.done && c.w->hanging == 0);
	assert_int_equal(c.st.code, ST_UNAVAILABLE);
	struct rpc_server_options o = {.loop = c.w->loop,
		.methods = world_methods,
		.n_methods = sizeof(world_methods) / sizeof(world_methods[0]),
		.context = c.w};
	c.w->server = rpc_server_create(&o);
	struct status st = rpc_server_listen_unix(c.w->server, c.address + 7, 0600);
	assert_int_equal(st.code, ST_OK);
	start_number(&c, "/t.T/Echo", 8);
	WAIT(c.w, c.done);
	assert_int_equal(c.st.code, ST_OK);
	teardown(&c);
}

static void drained_server_says_so(void **state)
{
	struct caller c;
	(void)state;
	setup(&c, world_create(NULL, false), NULL);
	start_number(&c, "/t.T/Hang", 1);
	WAIT(c.w, c.w->hanging == 1);
	rpc_server_drain(c.w->server, 20, NULL, NULL);
	WAIT(c.w, c.done && c.w->hanging == 0);
	assert_int_equal(c.st.code, ST_UNAVAILABLE);
	assert_string_equal(c.st.message, "the server stops; try again");
	start_number(&c, "/t.T/Echo", 1);
	WAIT(c.w, c.done);
	assert_int_equal(c.st.code, ST_UNAVAILABLE);
	teardown(&c);
}

static void destroyed_in_callbacks(void **state)
{
	struct caller c;
	(void)state;
	setup(&c, world_create(NULL, false), NULL);
	start_number(&c, "/t.T/Hang", 1);
	c.destroy_in_message = true;
	start_number(&c, "/t.T/Echo", 2);
	WAIT(c.w, c.done && c.w->hanging == 0);
	assert_int_equal(c.n_done, 0);
	teardown(&c);
	setup(&c, world_create(NULL, false), NULL);
	start_number(&c, "/t.T/Hang", 1);
	c.destroy_in_done = true;
	start_number(&c, "/t.T/Echo", 2);
	WAIT(c.w, c.done && c.w->hanging == 0);
	assert_int_equal(c.n_done, 1);
	teardown(&c);
}

/* ---- a server that is none ---- */

struct fake {
	struct transport *t;
	const void *bytes;
	size_t len;
	bool seen;
};

static void fake_data(void *data, char *bytes, size_t len)
{
	struct fake *f = data;
	struct str answer = {f->bytes, f->len};
	(void)bytes;
	(void)len;
	f->seen = true;
	transport_write(f->t, &answer, 1);
}

static void fake_closed(void *data, const struct status *why)
{
	(void)data;
	(void)why;
}

static void fake_accept(void *data, struct transport *t)
{
	static const struct transport_events events = {fake_data, peer_drain, NULL, fake_closed};
	struct fake *f = data;
	f->t = t;
	transport_start(t, &events, f, 0);
}

static void expect_from(const void *bytes, size_t len, enum st_code code, const char *words)
{
	struct caller c;
	struct listener *l;
	struct fake f = {.bytes = bytes, .len = len};
	char path[100];
	setup(&c, world_create(NULL, false), NULL);
	rpc_client_destroy(c.client);
	(void)snprintf(path, sizeof(path), "%s/fake", c.dir);
	struct status st = listener_unix(c.w->env, path, 0600, fake_accept, &f, &l);
	assert_int_equal(st.code, ST_OK);
	(void)snprintf(c.address, sizeof(c.address), "unix://%s", path);
	struct rpc_client_options o = {.address = c.address};
	c.client = rpc_client_create(c.w->loop, &o);
	start_number(&c, "/t.T/Echo", 1);
	WAIT(c.w, c.done);
	if (c.st.code != code || !strstr(c.st.message, words))
		fail_msg("%s: %s", st_code_name(c.st.code), c.st.message);
	listener_destroy(l);
	teardown(&c);
}

static void misbehaving_servers(void **state)
{
	struct buf b = {0};
	(void)state;
	expect_from(
		"HTTP/1.1 400 Bad Request\r\n", 26, ST_INTERNAL, "does not speak Skep's protocol");
	expect_from("\0\x7f\0\0\0", 5, ST_RESOURCE_EXHAUSTED, "sent a frame of");
	expect_from("\0\0\0\0\x01\xff", 6, ST_INTERNAL, "what is not Skep's protocol");
	frame_put_finish(&b, 1, STR("\xff"));
	expect_from(b.ptr, b.len, ST_INTERNAL, "status is malformed");
	b.len = 0;
	memcpy(frame_finish_begin(&b, 1, 3), "\x22\x01\xff", 3);
	expect_from(b.ptr, b.len, ST_INTERNAL, "answer is malformed: message: is not valid UTF-8");
	b.len = 0;
	frame_put_goaway(&b, 0,
		STR("\x08\x08\x12\x04"
		    "full"));
	expect_from(b.ptr, b.len, ST_RESOURCE_EXHAUSTED, "full");
	b.len = 0;
	frame_put_goaway(&b, 0, STR(""));
	expect_from(b.ptr, b.len, ST_UNAVAILABLE, "no more calls");
	buf_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_and_reconnects),
		cmocka_unit_test(works_on_tcp_by_name),
		cmocka_unit_test(server_stream_with_credit),
		cmocka_unit_test(client_stream_with_credit),
		cmocka_unit_test(end_waits_behind_the_queue),
		cmocka_unit_test(cancel_and_deadline),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(lost_and_found),
		cmocka_unit_test(drained_server_says_so),
		cmocka_unit_test(destroyed_in_callbacks),
		cmocka_unit_test(misbehaving_servers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
