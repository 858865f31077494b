/* The native protocol as its peer sees it: what is right works, what is wrong gets words. */
#include "fixture.h"

static void put_header(struct buf *b, uint8_t flags, uint32_t len)
{
	const uint8_t head[] = {flags, (uint8_t)(len >> 24), (uint8_t)(len >> 16),
		(uint8_t)(len >> 8), (uint8_t)len};
	buf_add(b, head, sizeof(head));
}

static void put_raw(struct buf *b, const void *body, size_t len)
{
	put_header(b, 0, (uint32_t)len);
	buf_add(b, body, len);
}

/* ---- what works ---- */

static void unary_is_one_frame_each_way(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Echo", 42);
	peer_expect_reply(&p, 1, 42);
	assert_int_equal(w->caller.role, RPC_ROLE_ADMIN);
	assert_true(str_starts(str_of(w->caller.name), "unix:"));
	assert_int_equal(rpc_server_counters(w->server)->calls, 1);
	assert_int_equal(rpc_server_counters(w->server)->failed, 0);
	peer_close(&p);
	world_destroy(w);
}

static void many_in_one_write_and_byte_by_byte(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	(void)state;
	peer_connect(&p, w);
	for (uint64_t i = 1; i <= 500; i++) {
		e.sequence = (int64_t)i;
		put_open(&b, i, "/t.T/Echo", &e.base, true, NULL);
	}
	peer_send_buf(&p, &b);
	for (uint64_t i = 1; i <= 500; i++)
		peer_expect_reply(&p, i, (int64_t)i);
	e.sequence = 7;
	put_open(&b, 501, "/t.T/Echo", &e.base, true, NULL);
	for (size_t i = 0; i < b.len; i++) {
		peer_send(&p, b.ptr + i, 1);
		loop_turn(w->loop);
	}
	buf_finish(&b);
	peer_expect_reply(&p, 501, 7);
	peer_close(&p);
	world_destroy(w);
}

static void unary_message_may_follow_in_data(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Echo", NULL, false, NULL);
	put_event(&b, 1, 9);
	put_open(&b, 2, "/t.T/Echo", NULL, true, NULL); /* no message at all: the empty one */
	peer_send_buf(&p, &b);
	peer_expect_reply(&p, 1, 9);
	peer_expect_reply(&p, 2, 0);
	peer_close(&p);
	world_destroy(w);
}

static void client_stream_is_summed(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Sink", NULL, false, NULL);
	for (int i = 1; i <= 10; i++)
		put_event(&b, 1, i);
	frame_put_end(&b, 1);
	peer_send_buf(&p, &b);
	peer_expect_reply(&p, 1, 55);
	assert_int_equal(w->messages, 10);
	assert_int_equal(w->ends, 1);
	peer_close(&p);
	world_destroy(w);
}

static void pause_holds_messages_and_resume_delivers(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	w->paused_after = 3;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Sink", NULL, false, NULL);
	for (int i = 1; i <= 10; i++)
		put_event(&b, 1, i);
	frame_put_end(&b, 1);
	frame_put_ping(&b, 5, false);
	peer_send_buf(&p, &b);
	assert_int_equal(peer_frame(&p).kind, FRAME_PING); /* all of it has been read */
	assert_int_equal(w->messages, 3);
	rpc_call_resume(w->held);
	peer_expect_reply(&p, 1, 55);
	peer_close(&p);
	world_destroy(w);
}

static void end_is_told_once(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	Skep__V1__Event reply = SKEP__V1__EVENT__INIT;
	(void)state;
	w->stubborn = true;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Sink", NULL, true, NULL);
	peer_send_buf(&p, &b);
	WAIT(w, w->ends == 1);
	rpc_call_resume(w->held);
	frame_put_ping(&b, 5, false);
	peer_send_buf(&p, &b);
	assert_int_equal(peer_frame(&p).kind, FRAME_PING);
	assert_int_equal(w->ends, 1);
	reply.sequence = 3;
	rpc_call_reply(w->held, &reply.base);
	w->held = NULL;
	peer_expect_reply(&p, 1, 3);
	peer_close(&p);
	world_destroy(w);
}

static void bidi_echoes_each(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Bidi", NULL, false, NULL);
	peer_send_buf(&p, &b);
	for (int i = 1; i <= 3; i++) {
		put_event(&b, 1, i);
		peer_send_buf(&p, &b);
		struct frame f = peer_frame(&p);
		assert_int_equal(f.kind, FRAME_DATA);
		assert_int_equal(event_sequence(f.payload), i);
	}
	frame_put_end(&b, 1);
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 1, ST_OK, NULL);
	peer_close(&p);
	world_destroy(w);
}

/* 400 messages of 1,000 bytes are more than the first credit: the server stops, and goes on with
 * more. */
static void server_stream_keeps_to_its_credit(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	struct frame f;
	size_t got = 0, bytes = 0;
	(void)state;
	e.sequence = 400;
	e.percent = 1000;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Source", &e.base, true, NULL);
	frame_put_ping(&b, 1, false);
	peer_send_buf(&p, &b);
	for (; (f = peer_frame(&p)).kind == FRAME_DATA; got++)
		bytes += f.payload.len + FRAME_MESSAGE_COST;
	assert_int_equal(f.kind, FRAME_PING);
	assert_true(got < 400);
	assert_true(bytes >= FRAME_FIRST_CREDIT && bytes < FRAME_FIRST_CREDIT + 2000);
	assert_int_equal(w->writable, 1);
	frame_put_credit(&b, 1, 1000000);
	peer_send_buf(&p, &b);
	for (; (f = peer_frame(&p)).kind == FRAME_DATA; got++)
		assert_int_equal(event_sequence(f.payload), got + 1);
	assert_int_equal(f.kind, FRAME_FINISH);
	assert_int_equal(got, 400);
	assert_int_equal(w->writable, 2);
	peer_close(&p);
	world_destroy(w);
}

/* A handler that does not mind being full: messages wait for credit, the finish behind them. */
static void finish_comes_after_what_waits(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	struct frame f;
	int got = 0;
	(void)state;
	w->greedy = true;
	e.sequence = 400;
	e.percent = 1000;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Source", &e.base, true, NULL);
	frame_put_credit(&b, 1, 1000000);
	peer_send_buf(&p, &b);
	for (; (f = peer_frame(&p)).kind == FRAME_DATA; got++)
		;
	assert_int_equal(f.kind, FRAME_FINISH);
	assert_false(f.has_status);
	assert_int_equal(got, 400);
	peer_close(&p);
	world_destroy(w);
}

static void client_stream_gets_credit_back(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	char text[1001] = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	int64_t credit = FRAME_FIRST_CREDIT;
	(void)state;
	memset(text, 'y', 1000);
	e.message = text;
	e.sequence = 1;
	size_t len = skep__v1__event__get_packed_size(&e);
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Sink", NULL, false, NULL);
	for (int i = 0; i < 1000; i++) {
		if (credit <= 0) {
			peer_send_buf(&p, &b);
			struct frame f = peer_frame(&p);
			assert_int_equal(f.kind, FRAME_CREDIT);
			credit += f.credit;
			assert_true(credit <= FRAME_FIRST_CREDIT); /* never more than was used up */
		}
		skep__v1__event__pack(&e, frame_data_begin(&b, 1, len));
		credit -= (int64_t)len + FRAME_MESSAGE_COST;
	}
	frame_put_end(&b, 1);
	peer_send_buf(&p, &b);
	struct frame f;
	while ((f = peer_frame(&p)).kind == FRAME_CREDIT)
		;
	assert_int_equal(f.kind, FRAME_FINISH);
	assert_int_equal(event_sequence(f.payload), 1000);
	peer_close(&p);
	world_destroy(w);
}

static void ping_is_answered(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	peer_connect(&p, w);
	frame_put_ping(&b, 0x1122334455667788, false);
	peer_send_buf(&p, &b);
	struct frame f = peer_frame(&p);
	assert_int_equal(f.kind, FRAME_PING);
	assert_true(f.ack);
	assert_int_equal(f.number, 0x1122334455667788);
	peer_close(&p);
	world_destroy(w);
}

/* ---- ends ---- */

static void cancel_reaches_the_handler(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	frame_put_cancel(&b, 1);
	frame_put_cancel(&b, 1); /* twice, and once more below, is no mistake */
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 1, ST_CANCELLED, "cancelled");
	WAIT(w, w->cancelled == 1);
	frame_put_cancel(&b, 1);
	put_event(&b, 1, 1);
	peer_send_buf(&p, &b);
	peer_call(&p, 2, "/t.T/Echo", 2);
	peer_expect_reply(&p, 2, 2);
	assert_int_equal(rpc_server_counters(w->server)->open_calls, 0);
	peer_close(&p);
	world_destroy(w);
}

static void deadline_passes(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	struct frame_open o = {.method = STR("/t.T/Hang"), .timeout_ms = 20, .end = true};
	peer_connect(&p, w);
	frame_open_begin(&b, 1, &o);
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 1, ST_DEADLINE_EXCEEDED, "/t.T/Hang took longer");
	WAIT(w, w->cancelled == 1);
	peer_close(&p);
	world_destroy(w);
}

/* The client has cancelled and gone, and the handler takes its time: it still has its call. */
static void late_handler_outlives_the_connection(void **state)
{
	struct world *w = world_create(NULL, false);
	struct status st = status_err(ST_INTERNAL, "nobody hears it");
	struct buf b = {0};
	struct peer p;
	(void)state;
	w->stubborn = true;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	frame_put_cancel(&b, 1);
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 1, ST_CANCELLED, NULL);
	WAIT(w, w->cancelled == 1);
	peer_close(&p);
	WAIT(w, rpc_server_counters(w->server)->connections == 0);
	assert_int_equal(rpc_server_counters(w->server)->open_calls, 1);
	assert_true(str_starts(str_of(rpc_call_peer(w->held)), "unix:"));
	assert_false(rpc_call_send(w->held, NULL));
	rpc_call_finish(w->held, &st);
	w->held = NULL;
	WAIT(w, rpc_server_counters(w->server)->open_calls == 0);
	assert_int_equal(w->cancelled, 1);
	world_destroy(w);
}

static void lost_connection_cancels(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	peer_call(&p, 2, "/t.T/Hang", 0);
	WAIT(w, w->hanging == 2);
	peer_close(&p);
	WAIT(w, w->cancelled == 2);
	WAIT(w, rpc_server_counters(w->server)->open_calls == 0);
	assert_int_equal(rpc_server_counters(w->server)->connections, 0);
	world_destroy(w);
}

static void destroy_cancels(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	WAIT(w, w->hanging == 1);
	world_destroy(w); /* waits for on_cancel */
	buf_finish(&p.in);
	buf_finish(&p.frame);
}

static void failure_carries_details(void **state)
{
	struct world *w = world_create(NULL, false);
	struct arena *a = arena_create();
	struct rpc_details d;
	struct status st;
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Fail", 0);
	struct frame f = peer_frame(&p);
	assert_true(rpc_status_unpack(a, f.status, &st, &d));
	assert_int_equal(st.code, ST_FAILED_PRECONDITION);
	assert_string_equal(st.message, "not x");
	assert_int_equal(d.n_violations, 1);
	assert_string_equal(d.violations[0].field, "name");
	assert_string_equal(d.preconditions[0].type, "STACK_BUSY");
	assert_string_equal(d.quotas[0].description, "no room");
	assert_int_equal(d.retry_ms, 1500);
	arena_destroy(a);
	peer_close(&p);
	world_destroy(w);
}

/* ---- refused, the connection goes on ---- */

static void refusals_have_words(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Nope", 0);
	peer_expect_finish(&p, 1, ST_UNIMPLEMENTED, "\"/t.T/Nope\"");
	put_event(&b, 9, 1); /* never opened */
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 9, ST_NOT_FOUND, "call 9 was never opened");
	put_open(&b, 10, "/t.T/Hang", NULL, true, NULL);
	put_event(&b, 10, 1);
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 10, ST_INVALID_ARGUMENT, "data after the end");
	put_open(&b, 11, "/t.T/Hang", NULL, false, NULL);
	put_event(&b, 11, 1);
	put_event(&b, 11, 2);
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 11, ST_INVALID_ARGUMENT, "takes one message");
	peer_call(&p, 12, "/t.T/Echo", 5);
	peer_expect_reply(&p, 12, 5);
	peer_close(&p);
	world_destroy(w);
}

static void send_payload(struct peer *p, uint64_t call, const char *bytes, size_t len)
{
	struct buf b = {0};
	struct frame_open o = {
		.method = STR("/t.T/Echo"), .end = true, .has_payload = true, .payload_len = len};
	memcpy(frame_open_begin(&b, call, &o), bytes, len);
	peer_send_buf(p, &b);
}

static void bad_messages_have_words(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	send_payload(&p, 1, "\x22\x02\xff\xfe", 4);
	peer_expect_finish(&p, 1, ST_INVALID_ARGUMENT, "message: is not valid UTF-8");
	send_payload(&p, 2,
		"\x22\x03"
		"a\0b",
		5);
	peer_expect_finish(&p, 2, ST_INVALID_ARGUMENT, "message: contains a NUL");
	send_payload(&p, 3, "\x0a\x01x", 3); /* sequence is a number */
	peer_expect_finish(&p, 3, ST_INVALID_ARGUMENT, "sequence: has the wrong wire type");
	send_payload(&p, 4, "\x22\x7f", 2);
	peer_expect_finish(&p, 4, ST_INVALID_ARGUMENT, "cut off or not protobuf");
	peer_call(&p, 5, "/t.T/Echo", 5);
	peer_expect_reply(&p, 5, 5);
	assert_int_equal(w->handled, 1);
	peer_close(&p);
	world_destroy(w);
}

static void all_violations_are_told(void **state)
{
	struct world *w = world_create(NULL, false);
	struct arena *a = arena_create();
	struct buf b = {0};
	struct peer p;
	struct rpc_details d;
	struct status st;
	Skep__V1__DeployStackRequest r = SKEP__V1__DEPLOY_STACK_REQUEST__INIT;
	Skep__V1__ComposeFile file = SKEP__V1__COMPOSE_FILE__INIT, *files[] = {&file};
	(void)state;
	r.name = (char *)"Not Good";
	r.compose = files;
	r.n_compose = 1;
	r.on_failure = (Skep__V1__OnFailure)77;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Deploy", &r.base, true, NULL);
	peer_send_buf(&p, &b);
	struct frame f = peer_frame(&p);
	assert_true(rpc_status_unpack(a, f.status, &st, &d));
	assert_int_equal(st.code, ST_INVALID_ARGUMENT);
	assert_non_null(strstr(st.message, "project: is required"));
	assert_int_equal(d.n_violations, 4);
	assert_string_equal(d.violations[0].field, "project");
	assert_string_equal(d.violations[1].field, "name");
	assert_non_null(strstr(d.violations[1].description, "lower-case letters"));
	assert_string_equal(d.violations[2].field, "compose[0].name");
	assert_string_equal(d.violations[3].field, "on_failure");
	assert_int_equal(w->handled, 0);
	arena_destroy(a);
	peer_close(&p);
	world_destroy(w);
}

/* Longer than the limit: its call gets the status, its neighbours go on. */
static void oversized_frame_costs_only_its_call(void **state)
{
	struct rpc_limits l = {.max_message = 10000, .max_metadata = 1000};
	struct world *w = world_create(&l, false);
	struct peer p;
	char *big = mem_zalloc(100000);
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	send_payload(&p, 2, big, 100000);
	peer_call(&p, 3, "/t.T/Echo", 3);
	peer_expect_finish(&p, 2, ST_RESOURCE_EXHAUSTED, "at most 10000");
	peer_expect_reply(&p, 3, 3);
	send_payload(&p, 4, big, 10001); /* within the frame's limit, beyond the message's */
	peer_expect_finish(&p, 4, ST_RESOURCE_EXHAUSTED, "has 10001 bytes; at most 10000");
	assert_int_equal(w->hanging, 1);
	free(big);
	peer_close(&p);
	world_destroy(w);
}

static void metadata_is_limited(void **state)
{
	struct rpc_limits l = {.max_metadata = 100};
	struct world *w = world_create(&l, false);
	struct peer p;
	struct buf b = {0};
	char text[102] = {0};
	(void)state;
	memset(text, 'a', 101);
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Echo", NULL, true, text);
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 1, ST_RESOURCE_EXHAUSTED, "metadata");
	assert_limit(w, RPC_LIMIT_METADATA, 1);
	peer_close(&p);
	world_destroy(w);
}

static void credit_is_enforced(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	struct frame f;
	(void)state;
	w->paused_after = 1;
	peer_connect(&p, w);
	put_open(&b, 1, "/t.T/Sink", NULL, false, NULL);
	for (int i = 0; i < FRAME_FIRST_CREDIT / FRAME_MESSAGE_COST + 2; i++)
		put_event(&b, 1, 1);
	peer_send_buf(&p, &b);
	f = peer_frame(&p);
	assert_int_equal(f.kind, FRAME_FINISH);
	assert_int_equal(status_of(f.status).code, ST_RESOURCE_EXHAUSTED);
	WAIT(w, w->cancelled == 1);
	w->held = NULL;
	peer_close(&p);
	world_destroy(w);
}

static void streams_are_limited(void **state)
{
	struct rpc_limits l = {.max_streams = 2};
	struct world *w = world_create(&l, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	for (uint64_t i = 1; i <= 3; i++)
		peer_call(&p, i, "/t.T/Hang", 0);
	peer_expect_finish(&p, 3, ST_RESOURCE_EXHAUSTED, "2 calls are open");
	peer_close(&p);
	WAIT(w, w->cancelled == 2);
	world_destroy(w);
}

/* ---- broken: a goaway says why ---- */

static void expect_broken(const void *bytes, size_t len, enum st_code code, const char *words)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	peer_send(&p, bytes, len);
	peer_expect_goaway(&p, code, words);
	WAIT(w, w->cancelled == 1); /* what was open is not forgotten */
	peer_close(&p);
	world_destroy(w);
}

static void malformed_frames_end_the_connection(void **state)
{
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	(void)state;
	put_header(&b, 1, 0);
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "flags are 0x01");
	b.len = 0;
	put_raw(&b, "\xff\xff\xff", 3);
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "not protobuf");
	b.len = 0;
	put_raw(&b, "", 0);
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "no known kind");
	b.len = 0;
	put_raw(&b, "\x08\x02\x2a\x00\x2a\x00", 6);
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "more than one kind");
	b.len = 0;
	put_raw(&b, "\x2a\x00", 2);
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "starts at 1");
	b.len = 0;
	frame_put_finish(&b, 1, STR(""));
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "finish frame from the client");
	b.len = 0;
	put_open(&b, 2, "/t.T/\xff", &e.base, true, NULL);
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "open.method is not text");
	b.len = 0;
	put_open(&b, 2, "/t.T/Echo", &e.base, true, "\xc0\x80");
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "metadata is not text");
	b.len = 0;
	put_open(&b, 1, "/t.T/Echo", &e.base, true, NULL);
	expect_broken(b.ptr, b.len, ST_INVALID_ARGUMENT, "numbers of calls must rise");
	b.len = 0;
	put_header(&b, 0, 0x7fffffff);
	buf_add(&b, "\x08\x02\x12\xff\xff\xff\x7f\x0a\x00\x00\x00\x00\x00\x00\x00\x00", 16);
	expect_broken(b.ptr, b.len, ST_RESOURCE_EXHAUSTED, "2147483647 bytes");
	buf_finish(&b);
}

static void other_protocols_are_closed(void **state)
{
	static const char *const firsts[] = {
		"\x16\x03\x01", "\x01\x02", "pri * http/2.0\r\n", "{"};
	struct world *w = world_create(NULL, false);
	(void)state;
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		struct peer p;
		peer_connect(&p, w);
		peer_send(&p, firsts[i], strlen(firsts[i]));
		WAIT(w, p.closed);
		assert_int_equal(p.in.len, 0);
		peer_close(&p);
	}
	assert_int_equal(rpc_server_counters(w->server)->closed, 4);
	world_destroy(w);
}

/* ---- drain ---- */

static void set_flag(void *data)
{
	*(bool *)data = true;
}

static void drain_lets_calls_end(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p, idle;
	struct buf b = {0};
	bool done = false;
	(void)state;
	peer_connect(&p, w);
	peer_connect(&idle, w);
	peer_call(&p, 1, "/t.T/Bidi", 0); /* ended by the client already … */
	peer_frame(&p);
	peer_expect_finish(&p, 1, ST_OK, NULL);
	put_open(&b, 2, "/t.T/Bidi", NULL, false, NULL);
	put_event(&b, 2, 1);
	peer_send_buf(&p, &b);
	assert_int_equal(peer_frame(&p).kind, FRAME_DATA);
	rpc_server_drain(w->server, 10000, set_flag, &done);
	struct frame f = peer_frame(&p);
	assert_int_equal(f.kind, FRAME_GOAWAY);
	assert_int_equal(f.number, 2);
	assert_false(f.has_status);
	WAIT(w, idle.closed);
	peer_call(&p, 3, "/t.T/Echo", 0);
	peer_expect_finish(&p, 3, ST_UNAVAILABLE, "no more calls");
	assert_false(done);
	frame_put_end(&b, 2);
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 2, ST_OK, NULL);
	WAIT(w, done && p.closed);
	peer_close(&p);
	peer_close(&idle);
	world_destroy(w);
}

static void grace_ends(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	bool done = false;
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	WAIT(w, w->hanging == 1);
	rpc_server_drain(w->server, 20, set_flag, &done);
	assert_int_equal(peer_frame(&p).kind, FRAME_GOAWAY);
	peer_expect_goaway(&p, ST_UNAVAILABLE, "the server stops");
	WAIT(w, done && w->cancelled == 1);
	peer_close(&p);
	world_destroy(w);
}

static void client_goaway_closes_when_done(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	frame_put_goaway(&b, 0, STR(""));
	frame_put_cancel(&b, 1);
	peer_send_buf(&p, &b);
	peer_expect_finish(&p, 1, ST_CANCELLED, NULL);
	WAIT(w, p.closed && w->cancelled == 1);
	peer_close(&p);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unary_is_one_frame_each_way),
		cmocka_unit_test(many_in_one_write_and_byte_by_byte),
		cmocka_unit_test(unary_message_may_follow_in_data),
		cmocka_unit_test(client_stream_is_summed),
		cmocka_unit_test(pause_holds_messages_and_resume_delivers),
		cmocka_unit_test(end_is_told_once),
		cmocka_unit_test(bidi_echoes_each),
		cmocka_unit_test(server_stream_keeps_to_its_credit),
		cmocka_unit_test(finish_comes_after_what_waits),
		cmocka_unit_test(client_stream_gets_credit_back),
		cmocka_unit_test(ping_is_answered),
		cmocka_unit_test(cancel_reaches_the_handler),
		cmocka_unit_test(deadline_passes),
		cmocka_unit_test(late_handler_outlives_the_connection),
		cmocka_unit_test(lost_connection_cancels),
		cmocka_unit_test(destroy_cancels),
		cmocka_unit_test(failure_carries_details),
		cmocka_unit_test(refusals_have_words),
		cmocka_unit_test(bad_messages_have_words),
		cmocka_unit_test(all_violations_are_told),
		cmocka_unit_test(oversized_frame_costs_only_its_call),
		cmocka_unit_test(metadata_is_limited),
		cmocka_unit_test(credit_is_enforced),
		cmocka_unit_test(streams_are_limited),
		cmocka_unit_test(malformed_frames_end_the_connection),
		cmocka_unit_test(other_protocols_are_closed),
		cmocka_unit_test(drain_lets_calls_end),
		cmocka_unit_test(grace_ends),
		cmocka_unit_test(client_goaway_closes_when_done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
