/* HTTP/2 as its peer sees it, with gRPC on top. */
#include "h2_peer.h"

#define WINDOW (256 * 1024u) /* what the server gives a stream */

struct pair {
	struct world *w;
	struct h2_peer h;
};

static void start(struct pair *t, const struct rpc_limits *limits, uint32_t window)
{
	t->w = world_create(limits, false);
	h2_connect(&t->h, t->w, window);
}

static void stop(struct pair *t)
{
	h2_close_peer(&t->h);
	world_destroy(t->w);
}

/* ---- what works ---- */

static void unary_has_header_message_and_trailers(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Echo", 42);
	h2_expect_reply(&t.h, 1, 42);
	h2_expect(&t.h, "content-type: application/grpc\n");
	assert_int_equal(t.h.last->n_heads, 2);
	assert_int_equal(t.w->caller.role, RPC_ROLE_ADMIN);
	stop(&t);
}

static void byte_by_byte_is_the_same(void **state)
{
	struct pair t;
	struct buf b = {0}, block = {0}, data = {0};
	(void)state;
	t.w = world_create(NULL, false);
	h2_connect(&t.h, t.w, UINT32_MAX);
	put_fields(&t.h, &block, (const char *const[]){GRPC_HEAD("/t.T/Echo"), NULL});
	put_event_envelope(&data, 7, 10);
	put_h2(&b, HEADERS, END_HEADERS, 1, buf_str(&block));
	put_h2(&b, DATA, 0, 1, str_make(data.ptr, 3)); /* boundaries mean nothing */
	put_h2(&b, DATA, END_STREAM, 1, str_make(data.ptr + 3, data.len - 3));
	for (size_t i = 0; i < b.len; i++) {
		peer_send(&t.h.p, b.ptr + i, 1);
		loop_turn(t.w->loop);
	}
	h2_expect_reply(&t.h, 1, 7);
	buf_finish(&b);
	buf_finish(&block);
	buf_finish(&data);
	stop(&t);
}

static void preface_byte_by_byte_is_told_from_http1(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	for (size_t i = 0; i < NGHTTP2_CLIENT_MAGIC_LEN; i++) {
		peer_send(&p, &NGHTTP2_CLIENT_MAGIC[i], 1);
		loop_turn(w->loop);
	}
	WAIT(w, h2_whole(&p));
	assert_int_equal(p.in.ptr[3], SETTINGS);
	peer_close(&p);
	world_destroy(w);
}

static void many_streams_at_once(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	for (uint32_t i = 0; i < 200; i++)
		h2_unary(&t.h, 2 * i + 1, "/t.T/Echo", i);
	for (uint32_t i = 0; i < 200; i++)
		h2_expect_reply(&t.h, 2 * i + 1, i);
	stop(&t);
}

static void streams_both_ways(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_open_grpc(&t.h, 1, "/t.T/Bidi");
	for (int64_t i = 1; i <= 3; i++)
		h2_event(&t.h, 1, i, 10, i == 3);
	h2_expect_status(&t.h, 1, ST_OK, NULL);
	assert_int_equal(t.h.last->n_heads, 2);
	assert_true(t.h.last->body.len > 3 * 15);
	h2_open_grpc(&t.h, 3, "/t.T/Sink");
	for (int64_t i = 1; i <= 4; i++)
		h2_event(&t.h, 3, i, 10, false);
	h2_send(&t.h, DATA, END_STREAM, 3, STR(""));
	h2_expect_reply(&t.h, 3, 10);
	stop(&t);
}

static void errors_are_trailers_only_with_details(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Fail", 1);
	h2_expect_status(&t.h, 1, ST_FAILED_PRECONDITION, "grpc-message: not x\n");
	h2_expect(&t.h, ":status: 200\n");
	h2_expect(&t.h, "grpc-status-details-bin: ");
	assert_int_equal(t.h.last->n_heads, 1);
	assert_int_equal(t.h.last->body.len, 0);
	stop(&t);
}

static void message_is_percent_encoded(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/100%\xc3\xa9", 1);
	h2_expect_status(&t.h, 1, ST_UNIMPLEMENTED, "there is no method \"/t.T/100%25%C3%A9\"\n");
	stop(&t);
}

/* ---- gRPC's own rules ---- */

static void header_is_held_to_the_protocol(void **state)
{
	static const struct {
		const char *method, *type, *expect;
	} cases[] = {
		{"POST", "application/grpcx", ":status: 415\n"},
		{"POST", "application/grpc+xml", ":status: 415\n"},
		{"GET", "application/grpc", ":status: 405\n"},
		{"POST", "text/html", ":status: 415\n"},
		{"POST", "application/grpc+proto;v=1", "grpc-status: 0\n"},
	};
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		h2_headers(&t.h, 2 * i + 1, false,
			(const char *const[]){":method", cases[i].method, ":scheme", "http",
				":authority", "t", ":path", "/t.T/Echo", "content-type",
				cases[i].type, NULL});
		h2_event(&t.h, 2 * i + 1, 1, 1, true);
		h2_response(&t.h, 2 * i + 1);
		h2_expect(&t.h, cases[i].expect);
	}
	stop(&t);
}

static void open_with(struct pair *t, uint32_t stream, const char *name, const char *value)
{
	h2_headers(&t->h, stream, false,
		(const char *const[]){GRPC_HEAD("/t.T/Echo"), name, value, NULL});
}

static void timeouts_are_read(void **state)
{
	static const char *const bad[] = {"1", "S", "123456789S", "-1S", "1x", "1 S", "1.5S", ""};
	struct pair t;
	uint32_t stream = 1;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) - 1; i++, stream += 2) {
		open_with(&t, stream, "grpc-timeout", bad[i]);
		h2_event(&t.h, stream, 1, 1, true);
		h2_expect_status(&t.h, stream, ST_INVALID_ARGUMENT, "grpc-timeout is");
	}
	open_with(&t, stream, "grpc-timeout", "99999999H");
	h2_event(&t.h, stream, 9, 1, true);
	h2_expect_reply(&t.h, stream, 9);
	stream += 2;
	h2_headers(&t.h, stream, false,
		(const char *const[]){GRPC_HEAD("/t.T/Hang"), "grpc-timeout", "20m", NULL});
	h2_event(&t.h, stream, 9, 1, true);
	h2_expect_status(&t.h, stream, ST_DEADLINE_EXCEEDED, NULL);
	WAIT(t.w, t.w->cancelled == 1);
	stop(&t);
}

static void envelopes_are_held_to_the_protocol(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.max_message = 1000}, UINT32_MAX);
	h2_open_grpc(&t.h, 1, "/t.T/Echo"); /* no message */
	h2_send(&t.h, DATA, END_STREAM, 1, STR(""));
	h2_expect_status(&t.h, 1, ST_UNIMPLEMENTED, "none came");
	h2_open_grpc(&t.h, 3, "/t.T/Echo"); /* two */
	h2_event(&t.h, 3, 1, 1, false);
	h2_event(&t.h, 3, 1, 1, true);
	h2_expect_status(&t.h, 3, ST_UNIMPLEMENTED, "a second one came");
	assert_int_equal(t.w->handled, 0);
	h2_open_grpc(&t.h, 5, "/t.T/Echo");
	h2_send(&t.h, DATA, END_STREAM, 5, STR("\0\0\0"));
	h2_expect_status(&t.h, 5, ST_INVALID_ARGUMENT, "cut off");
	h2_open_grpc(&t.h, 7, "/t.T/Echo");
	h2_send(&t.h, DATA, END_STREAM, 7, STR("\0\0\0\0\5ab"));
	h2_expect_status(&t.h, 7, ST_INVALID_ARGUMENT, "cut off");
	h2_open_grpc(&t.h, 9, "/t.T/Echo");
	h2_send(&t.h, DATA, END_STREAM, 9, STR("\2\0\0\0\0"));
	h2_expect_status(&t.h, 9, ST_INVALID_ARGUMENT, "flags 0x02");
	h2_open_grpc(&t.h, 11, "/t.T/Echo");
	h2_send(&t.h, DATA, END_STREAM, 11, STR("\1\0\0\0\0"));
	h2_expect_status(&t.h, 11, ST_INTERNAL, "names no encoding");
	h2_open_grpc(&t.h, 13, "/t.T/Echo"); /* refused by its length, before it has come */
	h2_send(&t.h, DATA, 0, 13, STR("\0\xff\xff\xff\xff"));
	h2_expect_status(&t.h, 13, ST_RESOURCE_EXHAUSTED, "at most 1000");
	h2_open_grpc(&t.h, 15, "/t.T/Sink");
	h2_event(&t.h, 15, 1, 1, false);
	h2_send(&t.h, DATA, END_STREAM, 15, STR("\0\0"));
	h2_expect_status(&t.h, 15, ST_INVALID_ARGUMENT, "cut off");
	h2_open_grpc(&t.h, 17, "/t.T/Echo"); /* not protobuf */
	h2_send(&t.h, DATA, END_STREAM, 17, STR("\0\0\0\0\2\xff\xff"));
	h2_expect_status(&t.h, 17, ST_INVALID_ARGUMENT, NULL);
	h2_unary(&t.h, 19, "/t.T/Echo", 3);
	h2_expect_reply(&t.h, 19, 3);
	stop(&t);
}

/* ---- gzip ---- */

static void gzip_both_ways(void **state)
{
	static const char packed[] = /* 1000 times "a" in Event.message, by gzip -9 */
		"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03";
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	open_with(&t, 1, "grpc-encoding", "br");
	h2_expect_status(&t.h, 1, ST_UNIMPLEMENTED, "grpc-accept-encoding: identity,gzip\n");
	open_with(&t, 3, "grpc-encoding", "gzip");
	struct buf b = {0};
	put_envelope(&b, 1, str_make(packed, 10));
	h2_send(&t.h, DATA, END_STREAM, 3, buf_str(&b));
	h2_expect_status(&t.h, 3, ST_INVALID_ARGUMENT, "not what gzip makes");
	b.len = 0;
	open_with(&t, 5, "grpc-accept-encoding", "deflate, gzip;q=0.5");
	put_event_envelope(&b, 5, 50000);
	h2_send(&t.h, DATA, 0, 5, str_make(b.ptr, 16384));
	h2_send(&t.h, DATA, 0, 5, str_make(b.ptr + 16384, 16384));
	h2_send(&t.h, DATA, 0, 5, str_make(b.ptr + 32768, 16384));
	h2_send(&t.h, DATA, END_STREAM, 5, str_make(b.ptr + 49152, b.len - 49152));
	h2_expect_status(&t.h, 5, ST_OK, NULL);
	h2_expect(&t.h, "grpc-encoding: gzip\n");
	assert_int_equal(t.h.last->body.ptr[0], 1);
	assert_true(t.h.last->body.len < 1000);
	/* … which is taken the other way too */
	struct buf echo = {0};
	buf_add_str(&echo, buf_str(&t.h.last->body));
	open_with(&t, 7, "grpc-encoding", "gzip");
	h2_send(&t.h, DATA, END_STREAM, 7, buf_str(&echo));
	h2_expect_reply(&t.h, 7, 5);
	buf_finish(&echo);
	buf_finish(&b);
	stop(&t);
}

/* ---- back-pressure ---- */

static void slow_reader_holds_only_its_own_memory(void **state)
{
	struct pair t;
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	(void)state;
	start(&t, NULL, 100);
	e.sequence = 10000;
	e.percent = 1000;
	uint8_t packed[32];
	put_envelope(&b, 0, str_make((char *)packed, skep__v1__event__pack(&e, packed)));
	h2_open_grpc(&t.h, 1, "/t.T/Source");
	h2_send(&t.h, DATA, END_STREAM, 1, buf_str(&b));
	buf_finish(&b);
	for (uint32_t i = 1; i <= 50; i++) { /* others are served, as far as their windows go */
		h2_unary(&t.h, 2 * i + 1, "/t.T/Echo", 1);
		h2_expect_reply(&t.h, 2 * i + 1, 1);
	}
	assert_true(rpc_server_counters(t.w->server)->buffered < 80000);
	assert_int_equal(rpc_server_counters(t.w->server)->open_calls, 1);
	b = (struct buf){0};
	put_u32(&b, 20000000);
	h2_send(&t.h, WINDOW_UPDATE, 0, 1, buf_str(&b));
	h2_send(&t.h, WINDOW_UPDATE, 0, 0, buf_str(&b));
	buf_finish(&b);
	h2_expect_status(&t.h, 1, ST_OK, NULL);
	assert_true(t.h.last->body.len > 9000000);
	WAIT(t.w, rpc_server_counters(t.w->server)->buffered == 0);
	stop(&t);
}

static void greedy_handler_loses_the_call(void **state)
{
	struct pair t;
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	(void)state;
	start(&t, &(struct rpc_limits){.max_message = 10000, .max_buffered = 100000}, 100);
	t.w->greedy = true;
	e.sequence = 10000;
	e.percent = 1000;
	uint8_t packed[32];
	put_envelope(&b, 0, str_make((char *)packed, skep__v1__event__pack(&e, packed)));
	h2_open_grpc(&t.h, 1, "/t.T/Source");
	h2_send(&t.h, DATA, END_STREAM, 1, buf_str(&b));
	WAIT(t.w, rpc_server_counters(t.w->server)->failed == 1);
	assert_true(rpc_server_counters(t.w->server)->buffered < 120000);
	buf_finish(&b);
	stop(&t);
}

static void paused_handler_holds_the_sender(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	t.w->paused_after = 1;
	h2_open_grpc(&t.h, 1, "/t.T/Sink");
	for (int64_t i = 1; i <= 16; i++)
		h2_event(&t.h, 1, i, 15000, false);
	h2_unary(&t.h, 3, "/t.T/Echo", 3);
	h2_expect_reply(&t.h, 3, 3); /* the others go on */
	assert_int_equal(t.w->messages, 1);
	assert_true(t.h.granted <= 16384);
	rpc_call_resume(t.w->held);
	h2_send(&t.h, DATA, END_STREAM, 1, STR(""));
	h2_expect_reply(&t.h, 1, 136);
	assert_true(t.h.granted > 128 * 1024);
	stop(&t);
}

static void longer_than_the_window_is_taken(void **state)
{
	struct pair t;
	struct buf b = {0};
	(void)state;
	start(&t, NULL, UINT32_MAX);
	put_event_envelope(&b, 5, 1000000);
	h2_open_grpc(&t.h, 1, "/t.T/Sink");
	for (size_t at = 0; at < b.len; at += 16384) {
		size_t n = b.len - at < 16384 ? b.len - at : 16384;
		h2_take_all(&t.h);
		WAIT(t.w, (h2_take_all(&t.h), WINDOW + t.h.granted >= at + n));
		h2_send(&t.h, DATA, at + n == b.len ? END_STREAM : 0, 1, str_make(b.ptr + at, n));
	}
	h2_expect_reply(&t.h, 1, 5);
	buf_finish(&b);
	stop(&t);
}

/* ---- cancelling, draining ---- */

static void reset_cancels(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Hang", 1);
	WAIT(t.w, t.w->hanging == 1);
	h2_send(&t.h, RST_STREAM, 0, 1, STR("\0\0\0\x08"));
	WAIT(t.w, t.w->cancelled == 1);
	h2_unary(&t.h, 3, "/t.T/Echo", 3);
	h2_expect_reply(&t.h, 3, 3);
	stop(&t);
}

static void lost_connection_cancels(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Hang", 1);
	WAIT(t.w, t.w->hanging == 1);
	h2_close_peer(&t.h);
	WAIT(t.w, t.w->cancelled == 1);
	world_destroy(t.w);
}

static void drained(void *data)
{
	*(bool *)data = true;
}

static void drain_takes_what_crossed_the_notice(void **state)
{
	struct pair t;
	bool done = false;
	struct status ok = status_ok();
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Hang", 1);
	WAIT(t.w, t.w->hanging == 1);
	rpc_server_drain(t.w->server, 10000, drained, &done);
	WAIT(t.w, (h2_take_all(&t.h), t.h.n_goaways == 1 && t.h.n_pings == 1));
	assert_int_equal(t.h.goaway_last, 0x7fffffff);
	assert_int_equal(t.h.goaway_code, 0);
	h2_unary(&t.h, 3, "/t.T/Echo", 3); /* sent before it was seen */
	h2_expect_reply(&t.h, 3, 3);
	h2_send(&t.h, PING, ACK, 0, str_make((char *)&t.h.ping, 8));
	WAIT(t.w, (h2_take_all(&t.h), t.h.n_goaways == 2));
	assert_int_equal(t.h.goaway_last, 3);
	h2_unary(&t.h, 5, "/t.T/Echo", 5); /* not answered: it is above the last */
	h2_send(&t.h, PING, 0, 0, STR("12345678"));
	WAIT(t.w, (h2_take_all(&t.h), t.h.n_pongs == 1));
	assert_false(done);
	assert_int_equal(t.w->handled, 1);
	struct rpc_call *held = t.w->held;
	t.w->held = NULL;
	t.w->hanging = 0;
	rpc_call_finish(held, &ok);
	h2_expect_status(&t.h, 1, ST_OK, NULL);
	WAIT(t.w, t.h.p.closed && done);
	stop(&t);
}

/* ---- rest ---- */

static void wait_rest(struct pair *t)
{
	WAIT(t->w, rpc_server_counters(t->w->server)->resting == 1);
}

/* What both sides have in their HPACK tables, windows and settings outlives it. */
static void rested_connection_goes_on(void **state)
{
	struct pair t;
	uint32_t stream = 1;
	(void)state;
	start(&t, &(struct rpc_limits){.rest_ms = 1}, UINT32_MAX);
	for (uint32_t round = 1; round <= 10; round++) {
		for (uint32_t i = 0; i < 3 * round; i++)
			h2_unary(&t.h, stream + 2 * i, "/t.T/Echo", (int)(stream + i));
		for (uint32_t i = 0; i < 3 * round; i++)
			h2_expect_reply(&t.h, stream + 2 * i, (int)(stream + i));
		stream += 6 * round;
		wait_rest(&t);
	}
	h2_send(&t.h, PING, 0, 0, STR("12345678"));
	WAIT(t.w, (h2_take_all(&t.h), t.h.n_pongs == 1));
	wait_rest(&t);
	stop(&t);
	assert_true(stream > 300);
}

/* A stream that waits keeps the connection awake, and one in pieces is no rest. */
static void open_call_is_no_rest(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.rest_ms = 1, .idle_ms = 100}, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Hang", 1);
	WAIT(t.w, t.w->hanging == 1);
	struct rpc_call *held = t.w->held;
	t.w->held = NULL;
	t.w->hanging = 0;
	for (int i = 0; i < 20; i++)
		loop_turn(t.w->loop);
	assert_int_equal(rpc_server_counters(t.w->server)->resting, 0);
	struct status ok = status_ok();
	rpc_call_finish(held, &ok);
	h2_expect_status(&t.h, 1, ST_OK, NULL);
	wait_rest(&t);
	h2_expect_goaway(&t.h, NGHTTP2_NO_ERROR, "idle"); /* said by one that rests */
	assert_int_equal(rpc_server_counters(t.w->server)->resting, 0);
	stop(&t);
}

static void rested_connection_drains(void **state)
{
	struct pair t;
	bool done = false;
	(void)state;
	start(&t, &(struct rpc_limits){.rest_ms = 1}, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Echo", 1);
	h2_expect_reply(&t.h, 1, 1);
	wait_rest(&t);
	rpc_server_drain(t.w->server, 10000, drained, &done);
	WAIT(t.w, (h2_take_all(&t.h), t.h.n_goaways == 1 && t.h.n_pings == 1));
	h2_send(&t.h, PING, ACK, 0, str_make((char *)&t.h.ping, 8));
	WAIT(t.w, t.h.p.closed && done);
	stop(&t);
}

/* ---- limits ---- */

static void too_many_streams_are_refused(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.max_streams = 4}, UINT32_MAX);
	for (uint32_t i = 0; i < 4; i++)
		h2_unary(&t.h, 2 * i + 1, "/t.T/Hang", 1);
	WAIT(t.w, t.w->hanging == 4);
	h2_unary(&t.h, 9, "/t.T/Hang", 1); /* the peer was told, and has said that it knows */
	h2_expect_goaway(&t.h, NGHTTP2_PROTOCOL_ERROR, "max concurrent streams");
	WAIT(t.w, t.w->cancelled == 4);
	stop(&t);
}

/* Handlers that do not end count, though their streams have gone. */
static void reset_streams_count_until_their_handlers_end(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.max_streams = 1}, UINT32_MAX);
	t.w->stubborn = true;
	h2_open_grpc(&t.h, 1, "/t.T/Sink");
	h2_event(&t.h, 1, 1, 1, true);
	WAIT(t.w, t.w->ends == 1);
	h2_send(&t.h, RST_STREAM, 0, 1, STR("\0\0\0\x08"));
	h2_unary(&t.h, 3, "/t.T/Echo", 1);
	h2_expect_status(&t.h, 3, ST_RESOURCE_EXHAUSTED, "1 calls are open");
	assert_limit(t.w, RPC_LIMIT_STREAMS, 1);
	stop(&t);
}

static void rapid_reset_ends_the_connection(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.resets_per_s = 5}, UINT32_MAX);
	for (uint32_t i = 0; i < 60; i++) {
		h2_unary(&t.h, 2 * i + 1, "/t.T/Echo", 1);
		h2_send(&t.h, RST_STREAM, 0, 2 * i + 1, STR("\0\0\0\x08"));
	}
	h2_expect_goaway(&t.h, NGHTTP2_ENHANCE_YOUR_CALM, "taken back");
	assert_int_equal(rpc_server_counters(t.w->server)->abuses, 1);
	assert_limit(t.w, RPC_LIMIT_RESETS, 1);
	stop(&t);
}

static void pings_are_answered_but_not_too_many(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_send(&t.h, PING, 0, 0, STR("12345678"));
	h2_unary(&t.h, 1, "/t.T/Echo", 1);
	h2_expect_reply(&t.h, 1, 1); /* data in between: no strike */
	for (int i = 0; i < 3; i++)
		h2_send(&t.h, PING, 0, 0, STR("12345678"));
	h2_unary(&t.h, 3, "/t.T/Echo", 3);
	h2_expect_reply(&t.h, 3, 3);
	for (int i = 0; i < 4; i++)
		h2_send(&t.h, PING, 0, 0, STR("12345678"));
	h2_expect_goaway(&t.h, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
	assert_limit(t.w, RPC_LIMIT_PINGS, 1);
	stop(&t);
}

static void frames_that_carry_nothing_are_limited(void **state)
{
	static const struct {
		unsigned type, flags;
		uint32_t stream;
		struct str payload;
	} floods[] = {
		{SETTINGS, 0, 0, {"", 0}},
		{PRIORITY, 0, 3, {"\0\0\0\0\x10", 5}},
		{DATA, 0, 1, {"", 0}},
		{0xbe, 0, 1, {"x", 1}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		struct pair t;
		start(&t, &(struct rpc_limits){.controls_per_s = 3}, UINT32_MAX);
		h2_open_grpc(&t.h, 1, "/t.T/Sink");
		for (int n = 0; n < 40; n++)
			h2_send(&t.h, floods[i].type, floods[i].flags, floods[i].stream,
				floods[i].payload);
		h2_expect_goaway(&t.h, NGHTTP2_ENHANCE_YOUR_CALM, "carry nothing");
		assert_limit(t.w, RPC_LIMIT_CONTROLS, 1);
		stop(&t);
	}
}

static void continuation_flood_ends_the_connection(void **state)
{
	struct pair t;
	struct buf block = {0};
	(void)state;
	start(&t, NULL, UINT32_MAX);
	put_fields(&t.h, &block, (const char *const[]){GRPC_HEAD("/t.T/Echo"), NULL});
	h2_send(&t.h, HEADERS, 0, 1, buf_str(&block));
	for (int i = 0; i < 100; i++)
		h2_send(&t.h, CONTINUATION, 0, 1, STR(""));
	WAIT(t.w, t.h.p.closed);
	h2_take_all(&t.h);
	assert_true(t.h.goaway_code != 0);
	buf_finish(&block);
	stop(&t);
}

static void headers_are_limited(void **state)
{
	const char *fields[240] = {GRPC_HEAD("/t.T/Echo")};
	char *big = mem_zalloc(3001);
	struct pair t;
	(void)state;
	memset(big, 'x', 3000);
	start(&t, &(struct rpc_limits){.max_header = 5000}, UINT32_MAX);
	for (size_t i = 12; i < 238; i++)
		fields[i] = "a";
	h2_headers(&t.h, 1, false, fields); /* many */
	h2_response(&t.h, 1);
	h2_expect(&t.h, ":status: 431\n");
	/* a bomb: the second is one byte on the wire */
	h2_headers(&t.h, 3, false,
		(const char *const[]){GRPC_HEAD("/t.T/Echo"), "b", big, "b", big, NULL});
	h2_response(&t.h, 3);
	h2_expect(&t.h, ":status: 431\n");
	h2_unary(&t.h, 5, "/t.T/Echo", 5);
	h2_expect_reply(&t.h, 5, 5);
	free(big);
	assert_true(rpc_server_counters(t.w->server)->limits[RPC_LIMIT_HEADER] > 0);
	stop(&t);
}

static void slow_frame_ends_the_connection(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.frame_ms = 30}, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Echo", 1);
	h2_expect_reply(&t.h, 1, 1);
	peer_send(&t.h.p, "\0\0\x08\x06", 4); /* half a frame's header, and no more */
	h2_expect_goaway(&t.h, NGHTTP2_ENHANCE_YOUR_CALM, "took longer");
	stop(&t);
}

static void silent_preface_ends_the_connection(void **state)
{
	struct world *w = world_create(&(struct rpc_limits){.handshake_ms = 30}, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_send(&p, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	WAIT(w, p.closed);
	peer_close(&p);
	world_destroy(w);
}

static void slow_message_ends_its_call_only(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.frame_ms = 30}, UINT32_MAX);
	h2_open_grpc(&t.h, 1, "/t.T/Echo");
	h2_expect_status(&t.h, 1, ST_DEADLINE_EXCEEDED, "took longer");
	h2_open_grpc(&t.h, 3, "/t.T/Sink"); /* a stream may wait between messages, not inside one */
	h2_send(&t.h, DATA, 0, 3, STR("\0\0\0"));
	h2_expect_status(&t.h, 3, ST_DEADLINE_EXCEEDED, "took longer");
	h2_unary(&t.h, 5, "/t.T/Echo", 5);
	h2_expect_reply(&t.h, 5, 5);
	stop(&t);
}

static void response_that_nobody_takes_is_reset(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.stall_ms = 30}, 0);
	h2_unary(&t.h, 1, "/t.T/Echo", 1);
	h2_response(&t.h, 1);
	assert_int_equal(t.h.last->reset, NGHTTP2_CANCEL + 1);
	WAIT(t.w, rpc_server_counters(t.w->server)->buffered == 0);
	stop(&t);
}

/* Its request goes on, as a bidirectional stream's does. */
static void open_stream_that_nobody_takes_is_reset(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.stall_ms = 30}, 0);
	h2_open_grpc(&t.h, 1, "/t.T/Bidi");
	h2_event(&t.h, 1, 1, 1, false);
	h2_response(&t.h, 1);
	assert_int_equal(t.h.last->reset, NGHTTP2_CANCEL + 1);
	WAIT(t.w, rpc_server_counters(t.w->server)->buffered == 0 && rpc_server_counters(t.w->server)->open_calls == 0);
	assert_int_equal(rpc_server_counters(t.w->server)->limits[RPC_LIMIT_STALL], 1);
	stop(&t);
}

static void unread_request_is_not_waited_for(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_open_grpc(&t.h, 1, "/t.T/Nix");
	h2_expect_status(&t.h, 1, ST_UNIMPLEMENTED, NULL);
	WAIT(t.w, (h2_take_all(&t.h), t.h.last->reset > 0));
	assert_int_equal(t.h.last->reset, NGHTTP2_NO_ERROR + 1);
	h2_event(&t.h, 1, 1, 1, true); /* had been under way */
	h2_unary(&t.h, 3, "/t.T/Echo", 3);
	h2_expect_reply(&t.h, 3, 3);
	stop(&t);
}

static void what_is_not_http2_gets_a_goaway(void **state)
{
	struct pair t;
	(void)state;
	start(&t, NULL, UINT32_MAX);
	h2_send(&t.h, HEADERS, END_HEADERS, 2, STR("\xff\xff\xff\xff")); /* an even number */
	WAIT(t.w, t.h.p.closed);
	h2_take_all(&t.h);
	assert_int_equal(t.h.n_goaways, 1);
	assert_true(t.h.goaway_code != 0);
	stop(&t);
	start(&t, NULL, UINT32_MAX);
	peer_send(&t.h.p, "GET / HTTP/1.1\r\n\r\n                      ", 40);
	WAIT(t.w, t.h.p.closed);
	stop(&t);
}

static void idle_connection_is_closed(void **state)
{
	struct pair t;
	(void)state;
	start(&t, &(struct rpc_limits){.idle_ms = 50}, UINT32_MAX);
	h2_unary(&t.h, 1, "/t.T/Echo", 1);
	h2_expect_reply(&t.h, 1, 1);
	h2_expect_goaway(&t.h, NGHTTP2_NO_ERROR, "idle");
	stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unary_has_header_message_and_trailers),
		cmocka_unit_test(byte_by_byte_is_the_same),
		cmocka_unit_test(preface_byte_by_byte_is_told_from_http1),
		cmocka_unit_test(many_streams_at_once),
		cmocka_unit_test(streams_both_ways),
		cmocka_unit_test(errors_are_trailers_only_with_details),
		cmocka_unit_test(message_is_percent_encoded),
		cmocka_unit_test(header_is_held_to_the_protocol),
		cmocka_unit_test(timeouts_are_read),
		cmocka_unit_test(envelopes_are_held_to_the_protocol),
		cmocka_unit_test(gzip_both_ways),
		cmocka_unit_test(slow_reader_holds_only_its_own_memory),
		cmocka_unit_test(greedy_handler_loses_the_call),
		cmocka_unit_test(paused_handler_holds_the_sender),
		cmocka_unit_test(longer_than_the_window_is_taken),
		cmocka_unit_test(reset_cancels),
		cmocka_unit_test(lost_connection_cancels),
		cmocka_unit_test(drain_takes_what_crossed_the_notice),
		cmocka_unit_test(rested_connection_goes_on),
		cmocka_unit_test(open_call_is_no_rest),
		cmocka_unit_test(rested_connection_drains),
		cmocka_unit_test(too_many_streams_are_refused),
		cmocka_unit_test(reset_streams_count_until_their_handlers_end),
		cmocka_unit_test(rapid_reset_ends_the_connection),
		cmocka_unit_test(pings_are_answered_but_not_too_many),
		cmocka_unit_test(frames_that_carry_nothing_are_limited),
		cmocka_unit_test(continuation_flood_ends_the_connection),
		cmocka_unit_test(headers_are_limited),
		cmocka_unit_test(slow_frame_ends_the_connection),
		cmocka_unit_test(silent_preface_ends_the_connection),
		cmocka_unit_test(slow_message_ends_its_call_only),
		cmocka_unit_test(response_that_nobody_takes_is_reset),
		cmocka_unit_test(open_stream_that_nobody_takes_is_reset),
		cmocka_unit_test(unread_request_is_not_waited_for),
		cmocka_unit_test(what_is_not_http2_gets_a_goaway),
		cmocka_unit_test(idle_connection_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
