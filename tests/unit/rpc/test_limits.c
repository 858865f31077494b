/* Peers that trickle, say nothing, read nothing or are too many: bounded, closed with
 * words, and nobody else notices. */
#include "fixture.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static void put_source(struct buf *b, uint64_t call, int64_t count, int32_t size, uint32_t credit)
{
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	e.sequence = count;
	e.percent = size;
	struct frame_open o = {.method = STR("/t.T/Source"),
		.end = true,
		.has_payload = true,
		.credit = credit,
		.payload_len = skep__v1__event__get_packed_size(&e)};
	skep__v1__event__pack(&e, frame_open_begin(b, call, &o));
}

static void silent_connection_is_closed(void **state)
{
	struct rpc_limits l = {.handshake_ms = 30};
	struct world *w = world_create(&l, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_expect_goaway(&p, ST_DEADLINE_EXCEEDED, "no whole frame came within 30 ms");
	assert_limit(w, RPC_LIMIT_HANDSHAKE, 1);
	peer_close(&p);
	world_destroy(w);
}

static void first_frame_must_be_whole(void **state)
{
	struct rpc_limits l = {.handshake_ms = 30};
	struct world *w = world_create(&l, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_send(&p, "\0\0\0", 3);
	peer_expect_goaway(&p, ST_DEADLINE_EXCEEDED, "no whole frame came");
	peer_close(&p);
	world_destroy(w);
}

static void trickled_frame_is_cut(void **state)
{
	struct rpc_limits l = {.frame_ms = 30};
	struct world *w = world_create(&l, false);
	struct peer p, q;
	(void)state;
	peer_connect(&p, w);
	peer_connect(&q, w);
	peer_call(&p, 1, "/t.T/Echo", 1);
	peer_expect_reply(&p, 1, 1);
	peer_send(&p, "\0\0\0\0\x20\x08", 6);
	while (!peer_has_frame(&p)) { /* others are served meanwhile */
		static uint64_t n;
		peer_call(&q, ++n, "/t.T/Echo", 5);
		peer_expect_reply(&q, n, 5);
	}
	peer_expect_goaway(&p, ST_DEADLINE_EXCEEDED, "a frame took longer than 30 ms");
	assert_limit(w, RPC_LIMIT_FRAME, 1);
	peer_close(&p);
	peer_close(&q);
	world_destroy(w);
}

/* Never between two frames, but each of them comes soon enough: that is a busy peer, no slow one.
 */
static void always_partial_is_no_trickle(void **state)
{
	struct rpc_limits l = {.frame_ms = 100};
	struct world *w = world_create(&l, false);
	struct peer p;
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	uint64_t started = loop_now_ms(w->loop), call = 0;
	(void)state;
	peer_connect(&p, w);
	put_open(&b, ++call, "/t.T/Echo", &e.base, true, NULL);
	while (loop_now_ms(w->loop) < started + 300) {
		put_open(&b, ++call, "/t.T/Echo", &e.base, true, NULL);
		peer_send(&p, b.ptr, b.len - 3); /* one frame, and the next but for its end */
		peer_expect_reply(&p, call - 1, 0);
		buf_drop(&b, b.len - 3);
	}
	buf_finish(&b);
	peer_close(&p);
	world_destroy(w);
}

static void trickle_of_a_refused_frame_is_cut(void **state)
{
	struct rpc_limits l = {.frame_ms = 30, .max_message = 4096, .max_metadata = 100};
	struct world *w = world_create(&l, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_send(&p, "\0\0\0\x40\0\x08\x01\x12\x7f\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
	peer_expect_finish(&p, 1, ST_RESOURCE_EXHAUSTED, "16384 bytes");
	peer_expect_goaway(&p, ST_DEADLINE_EXCEEDED, "a frame took longer");
	peer_close(&p);
	world_destroy(w);
}

static void idle_connection_is_closed_but_not_with_a_call(void **state)
{
	struct rpc_limits l = {.idle_ms = 30, .handshake_ms = 300}; /* the timer's first look */
	struct world *w = world_create(&l, false);
	struct peer p, q;
	(void)state;
	peer_connect(&q, w);
	peer_call(&q, 1, "/t.T/Hang", 0);
	WAIT(w, w->hanging == 1);
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Echo", 1);
	peer_expect_reply(&p, 1, 1);
	peer_expect_goaway(&p, ST_UNAVAILABLE, "idle for 30 ms");
	assert_false(q.closed);
	assert_limit(w, RPC_LIMIT_IDLE, 1);
	peer_close(&p);
	peer_close(&q);
	WAIT(w, w->hanging == 0);
	world_destroy(w);
}

static void too_many_are_refused_and_the_silent_make_room(void **state)
{
	struct rpc_limits l = {.max_connections = 2};
	struct world *w = world_create(&l, false);
	struct peer p, silent, r, refused;
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Echo", 1);
	peer_expect_reply(&p, 1, 1);
	peer_connect(&silent, w);
	peer_connect(&r, w);
	peer_expect_goaway(&silent, ST_RESOURCE_EXHAUSTED, "this one has said nothing");
	peer_call(&r, 1, "/t.T/Echo", 3);
	peer_expect_reply(&r, 1, 3);
	peer_connect(&refused, w);
	peer_expect_goaway(&refused, ST_RESOURCE_EXHAUSTED, "too many connections (2)");
	peer_call(&p, 2, "/t.T/Echo", 2);
	peer_expect_reply(&p, 2, 2);
	assert_int_equal(rpc_server_counters(w->server)->refused, 1);
	assert_limit(w, RPC_LIMIT_CONNECTIONS, 2);
	peer_close(&p);
	peer_close(&silent);
	peer_close(&r);
	peer_close(&refused);
	world_destroy(w);
}

static void a_thousand_silent_ones_hurt_nobody(void **state)
{
	struct rpc_limits l = {.max_connections = 100};
	struct world *w = world_create(&l, false);
	struct peer *silent = mem_zalloc(400 * sizeof(*silent)), p;
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Echo", 1);
	peer_expect_reply(&p, 1, 1);
	for (size_t i = 0; i < 400; i++)
		peer_connect(&silent[i], w);
	WAIT(w, silent[300].closed);
	assert_int_equal(rpc_server_counters(w->server)->connections, 100);
	peer_call(&p, 2, "/t.T/Echo", 2);
	peer_expect_reply(&p, 2, 2);
	for (size_t i = 0; i < 400; i++)
		peer_close(&silent[i]);
	free(silent);
	peer_close(&p);
	world_destroy(w);
}

/* What was closed, but neither reads nor goes, still has its descriptor. */
static void few_may_linger(void **state)
{
	enum { N = 60, MAY_LINGER = 4 / 4 + 16 - 1 }; /* one of them is the one that comes */
	struct rpc_limits l = {.max_connections = 4};
	struct world *w = world_create(&l, false);
	int fds[N][2];
	unsigned told = 0;
	(void)state;
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[i]), 0);
		struct status st = rpc_server_adopt(w->server, fds[i][0]);
		assert_int_equal(st.code, ST_OK);
	}
	loop_turn(w->loop);
	for (size_t i = 0; i < N - 4; i++) {
		char bytes[256];
		told += recv(fds[i][1], bytes, sizeof(bytes), MSG_DONTWAIT) > 0;
		if (told < MAY_LINGER)
			continue;
		while (recv(fds[i][1], bytes, sizeof(bytes), MSG_DONTWAIT) != 0)
			loop_turn(w->loop); /* closed without words: at once */
	}
	assert_int_equal(told, MAY_LINGER);
	assert_int_equal(rpc_server_counters(w->server)->connections, 4);
	for (size_t i = 0; i < N; i++)
		close(fds[i][1]);
	world_destroy(w);
}

/* More replies than the kernel takes: the server stops reading, then gives up on the peer. */
static void peer_that_reads_nothing_is_closed(void **state)
{
	struct rpc_limits l = {.stall_ms = 50, .max_buffered = 100000};
	struct world *w = world_create(&l, false);
	struct peer p, q;
	struct buf b = {0};
	(void)state;
	peer_connect(&p, w);
	peer_connect(&q, w);
	transport_pause(p.t);
	for (uint64_t i = 1; i <= 200; i++)
		put_source(&b, i, 20, 10000, 0);
	peer_send_buf(&p, &b);
	WAIT(w, rpc_server_counters(w->server)->buffered > 0);
	for (uint64_t n = 1; rpc_server_counters(w->server)->connections == 2; n++) {
		assert_true(rpc_server_counters(w->server)->buffered < 1000000);
		peer_call(&q, n, "/t.T/Echo", 5);
		peer_expect_reply(&q, n, 5);
	}
	assert_int_equal(rpc_server_counters(w->server)->buffered, 0);
	assert_limit(w, RPC_LIMIT_STALL, 1);
	transport_resume(p.t);
	WAIT(w, p.closed);
	peer_close(&p);
	peer_close(&q);
	world_destroy(w);
}

/* The same peer reads after all: nothing is lost, in spite of all the pausing. */
static void pressed_output_drains(void **state)
{
	struct rpc_limits l = {.max_buffered = 50000};
	struct world *w = world_create(&l, false);
	struct peer p;
	struct buf b = {0};
	unsigned messages = 0, finished = 0;
	(void)state;
	peer_connect(&p, w);
	transport_pause(p.t);
	for (uint64_t i = 1; i <= 100; i++)
		put_source(&b, i, 20, 10000, 0);
	peer_send_buf(&p, &b);
	WAIT(w, rpc_server_counters(w->server)->buffered > 50000);
	transport_resume(p.t);
	while (finished < 100) {
		struct frame f = peer_frame(&p);
		messages += f.kind == FRAME_DATA;
		finished += f.kind == FRAME_FINISH;
	}
	assert_int_equal(messages, 2000);
	peer_close(&p);
	world_destroy(w);
}

static void hard_limit_closes(void **state)
{
	struct rpc_limits l = {.max_buffered = 100000, .max_buffered_hard = 2000000};
	struct world *w = world_create(&l, false);
	struct peer p;
	struct buf b = {0};
	(void)state;
	w->greedy = true;
	peer_connect(&p, w);
	transport_pause(p.t);
	put_source(&b, 1, 500, 10000, 100000000);
	peer_send_buf(&p, &b);
	WAIT(w, rpc_server_counters(w->server)->connections == 0);
	assert_int_equal(rpc_server_counters(w->server)->buffered, 0);
	assert_limit(w, RPC_LIMIT_BUFFERED, 1);
	peer_close(&p);
	world_destroy(w);
}

/* Halves of long messages, none of which breaks a limit of its connection. */
static void long_halves_are_bounded_in_all(void **state)
{
	struct rpc_limits l = {.max_buffered_total = 1000000};
	struct world *w = world_create(&l, false);
	struct peer p[4], other;
	static char half[300000] = "\0\0\x08\0\0"; /* of 512 KiB */
	(void)state;
	peer_connect(&other, w);
	for (size_t i = 0; i < 3; i++) {
		peer_connect(&p[i], w);
		peer_send(&p[i], half, sizeof(half));
	}
	WAIT(w, rpc_server_counters(w->server)->received == 3 * sizeof(half));
	peer_connect(&p[3], w);
	peer_send(&p[3], half, sizeof(half));
	peer_expect_goaway(&p[3], ST_RESOURCE_EXHAUSTED, "too many long messages");
	peer_call(&other, 1, "/t.T/Echo", 7); /* a short one finds room */
	peer_expect_reply(&other, 1, 7);
	assert_int_equal(rpc_server_counters(w->server)->received, 3 * sizeof(half));
	assert_limit(w, RPC_LIMIT_BUFFERED_TOTAL, 1);
	for (size_t i = 0; i < 3; i++)
		peer_close(&p[i]);
	WAIT(w, rpc_server_counters(w->server)->received == 0);
	peer_close(&p[3]);
	peer_close(&other);
	world_destroy(w);
}

/* Whole messages of callers that nobody knows yet. */
static void long_messages_are_bounded_while_the_caller_is_asked_for(void **state)
{
	struct rpc_limits l = {.max_buffered_total = 160000};
	struct world *w = world_create(&l, true);
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "late"};
	struct status ok = status_ok();
	static char text[70001];
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	struct peer p;
	struct buf b = {0};
	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	e.message = text;
	w->answer_by_hand = true;
	peer_connect(&p, w);
	for (uint64_t i = 1; i <= 3; i++) {
		put_open(&b, i, "/t.T/Echo", &e.base, true, "Bearer t");
		peer_send_buf(&p, &b);
		WAIT(w, i == 3 || rpc_server_counters(w->server)->received > i * 70000);
	}
	peer_expect_finish(&p, 3, ST_RESOURCE_EXHAUSTED, "too many long messages");
	rpc_token_answer(w->asking, &ok, &viewer, 0);
	peer_expect_reply(&p, 1, 0);
	peer_expect_reply(&p, 2, 0);
	assert_int_equal(rpc_server_counters(w->server)->received, 0);
	peer_close(&p);
	world_destroy(w);
}

static void greedy_handler_loses_its_call(void **state)
{
	struct rpc_limits l = {.max_buffered = 100000, .max_message = 100000};
	struct world *w = world_create(&l, false);
	struct peer p;
	struct buf b = {0};
	struct frame f;
	(void)state;
	w->greedy = true;
	peer_connect(&p, w);
	put_source(&b, 1, 500, 10000, 0);
	peer_send_buf(&p, &b);
	while ((f = peer_frame(&p)).kind == FRAME_DATA)
		;
	assert_int_equal(f.kind, FRAME_FINISH);
	assert_non_null(strstr(status_of(f.status).message, "too slowly"));
	peer_close(&p);
	world_destroy(w);
}

static int dial(unsigned port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* … and when one goes there is room for another. */
static void one_address_has_so_many(void **state)
{
	struct rpc_limits l = {.max_per_address = 2};
	struct world *w = world_create(&l, false);
	char bytes[512];
	unsigned port;
	int fds[3];
	(void)state;
	struct status st = rpc_server_listen_tcp(w->server, "127.0.0.1", 0, &port);
	assert_int_equal(st.code, ST_OK);
	for (size_t i = 0; i < 3; i++)
		fds[i] = dial(port);
	WAIT(w, rpc_server_counters(w->server)->closed == 1);
	assert_limit(w, RPC_LIMIT_ADDRESS, 1);
	struct peer p; /* a unix socket has no address */
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Echo", 1);
	peer_expect_reply(&p, 1, 1);
	ssize_t n = recv(fds[2], bytes, sizeof(bytes), 0);
	assert_true(n > 0 && memmem(bytes, (size_t)n, "from your address (2)", 21));
	close(fds[0]);
	WAIT(w, rpc_server_counters(w->server)->closed == 2);
	fds[0] = dial(port);
	WAIT(w, rpc_server_counters(w->server)->accepted == 5);
	assert_int_equal(rpc_server_counters(w->server)->closed, 2);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	peer_close(&p);
	world_destroy(w);
}

static void flood(struct world *w, bool is_ping, enum rpc_limit limit, const char *words)
{
	struct peer p;
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	peer_connect(&p, w);
	for (uint64_t i = 1; i <= 60; i++) {
		if (!is_ping)
			put_open(&b, i, "/t.T/Hang", &e.base, true, NULL);
		if (is_ping)
			frame_put_ping(&b, i, false);
		else
			frame_put_cancel(&b, i);
	}
	peer_send_buf(&p, &b);
	WAIT(w, p.closed);
	assert_non_null(memmem(p.in.ptr, p.in.len, words, strlen(words)));
	assert_limit(w, limit, 1);
	peer_close(&p);
}

static void native_floods_end_the_connection(void **state)
{
	struct rpc_limits l = {.resets_per_s = 5, .controls_per_s = 5};
	struct world *w = world_create(&l, false);
	(void)state;
	flood(w, true, RPC_LIMIT_CONTROLS, "too many pings (5/s are allowed)");
	flood(w, false, RPC_LIMIT_RESETS, "opened and taken back (5/s are allowed)");
	assert_int_equal(rpc_server_counters(w->server)->abuses, 2);
	WAIT(w, w->hanging == 0);
	world_destroy(w);
}

static void calls_in_all_are_limited(void **state)
{
	struct rpc_limits l = {.max_calls = 2};
	struct world *w = world_create(&l, false);
	struct peer p, q;
	(void)state;
	peer_connect(&p, w);
	peer_connect(&q, w);
	peer_call(&p, 1, "/t.T/Hang", 0);
	peer_call(&p, 2, "/t.T/Hang", 0);
	WAIT(w, w->hanging == 2);
	peer_call(&q, 1, "/t.T/Echo", 0);
	peer_expect_finish(&q, 1, ST_RESOURCE_EXHAUSTED, "too many calls are open");
	assert_limit(w, RPC_LIMIT_CALLS, 1);
	peer_close(&p);
	peer_close(&q);
	WAIT(w, w->hanging == 0);
	world_destroy(w);
}

static void counters_have_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < rpc_counter_count; i++)
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(rpc_counter_table[i].offset, rpc_counter_table[j].offset);
			assert_string_not_equal(rpc_counter_table[i].name, rpc_counter_table[j].name);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_connection_is_closed),
		cmocka_unit_test(first_frame_must_be_whole),
		cmocka_unit_test(trickled_frame_is_cut),
		cmocka_unit_test(always_partial_is_no_trickle),
		cmocka_unit_test(trickle_of_a_refused_frame_is_cut),
		cmocka_unit_test(idle_connection_is_closed_but_not_with_a_call),
		cmocka_unit_test(too_many_are_refused_and_the_silent_make_room),
		cmocka_unit_test(a_thousand_silent_ones_hurt_nobody),
		cmocka_unit_test(few_may_linger),
		cmocka_unit_test(peer_that_reads_nothing_is_closed),
		cmocka_unit_test(pressed_output_drains),
		cmocka_unit_test(hard_limit_closes),
		cmocka_unit_test(long_halves_are_bounded_in_all),
		cmocka_unit_test(long_messages_are_bounded_while_the_caller_is_asked_for),
		cmocka_unit_test(greedy_handler_loses_its_call),
		cmocka_unit_test(one_address_has_so_many),
		cmocka_unit_test(native_floods_end_the_connection),
		cmocka_unit_test(calls_in_all_are_limited),
		cmocka_unit_test(counters_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
