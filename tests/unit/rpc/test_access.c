/* Who may call what: peer credentials, tokens, the cache of their answers, roles. */
#include "fixture.h"
#include "base/clock.h"

static void peer_call_as(
	struct peer *p, uint64_t call, const char *method, const char *authorization)
{
	struct buf b = {0};
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	e.sequence = (int64_t)call;
	put_open(&b, call, method, &e.base, true, authorization);
	peer_send_buf(p, &b);
}

static void without_token_only_anonymous(void **state)
{
	struct world *w = world_create(NULL, true);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_call(&p, 1, "/t.T/Echo", 1);
	peer_expect_finish(&p, 1, ST_UNAUTHENTICATED, "authorization: Bearer");
	peer_call(&p, 2, "/t.T/Anon", 2);
	peer_expect_reply(&p, 2, 2);
	assert_int_equal(w->caller.role, RPC_ROLE_NONE);
	assert_string_equal(w->caller.name, "");
	peer_call_as(&p, 3, "/t.T/Anon", "Bearer nonsense"); /* not looked at */
	peer_expect_reply(&p, 3, 3);
	assert_int_equal(w->asked, 0);
	peer_close(&p);
	world_destroy(w);
}

static void malformed_authorization(void **state)
{
	static const char *const bad[] = {
		"", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer \x7f"};
	struct world *w = world_create(NULL, false);
	struct peer p;
	uint64_t call = 0;
	(void)state;
	peer_connect(&p, w);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		peer_call_as(&p, ++call, "/t.T/Echo", bad[i]);
		peer_expect_finish(&p, call, ST_UNAUTHENTICATED, "malformed");
	}
	assert_int_equal(w->asked, 0);
	peer_close(&p);
	world_destroy(w);
}

static void token_is_asked_about_once(void **state)
{
	struct world *w = world_create(NULL, true);
	struct peer p, q;
	(void)state;
	peer_connect(&p, w);
	peer_connect(&q, w);
	peer_call_as(&p, 1, "/t.T/Echo", "Bearer viewer");
	peer_expect_reply(&p, 1, 1);
	assert_string_equal(w->caller.name, "token:viewer");
	peer_call_as(&p, 2, "/t.T/Echo", "bearer  viewer ");
	peer_call_as(&q, 1, "/t.T/Echo", "Bearer viewer");
	peer_expect_reply(&p, 2, 2);
	peer_expect_reply(&q, 1, 1);
	assert_int_equal(w->asked, 1);
	peer_call_as(&p, 3, "/t.T/Echo", "Bearer other");
	peer_expect_finish(&p, 3, ST_UNAUTHENTICATED, "the token is unknown");
	peer_call_as(&p, 4, "/t.T/Echo", "Bearer other"); /* failures are not remembered */
	peer_expect_finish(&p, 4, ST_UNAUTHENTICATED, "the token is unknown");
	assert_int_equal(w->asked, 3);
	peer_close(&p);
	peer_close(&q);
	world_destroy(w);
}

/* The token counts more than the socket's trust; the role is enforced before the message is looked
 * at. */
static void role_is_enforced(void **state)
{
	struct world *w = world_create(NULL, false);
	struct peer p;
	(void)state;
	peer_connect(&p, w);
	peer_call_as(&p, 1, "/t.T/Deploy", "Bearer viewer");
	peer_expect_finish(&p, 1, ST_PERMISSION_DENIED,
		"/t.T/Deploy needs the role deployer; token:viewer has the role viewer");
	assert_int_equal(w->handled, 0);
	peer_close(&p);
	world_destroy(w);
}

static void calls_wait_for_the_same_answer(void **state)
{
	struct world *w = world_create(NULL, true);
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "late"};
	struct status ok = status_ok();
	struct peer p;
	struct buf b = {0};
	(void)state;
	w->answer_by_hand = true;
	peer_connect(&p, w);
	peer_call_as(&p, 1, "/t.T/Echo", "Bearer t");
	peer_call_as(&p, 2, "/t.T/Echo", "Bearer t");
	put_open(&b, 3, "/t.T/Sink", NULL, false, "Bearer t"); /* what follows waits too */
	put_event(&b, 3, 30);
	put_event(&b, 3, 3);
	frame_put_end(&b, 3);
	put_open(&b, 4, "/t.T/Echo", NULL, false, "Bearer t");
	peer_send_buf(&p, &b);
	peer_call(&p, 5, "/t.T/Anon", 5);
	peer_expect_reply(&p, 5, 5); /* others do not wait */
	assert_int_equal(w->asked, 1);
	rpc_call_authenticated(w->asking, &ok, &viewer, 0);
	peer_expect_reply(&p, 1, 1);
	peer_expect_reply(&p, 2, 2);
	peer_expect_reply(&p, 3, 33);
	put_event(&b, 4, 4);
	peer_send_buf(&p, &b);
	peer_expect_reply(&p, 4, 4);
	assert_string_equal(w->caller.name, "late");
	peer_close(&p);
	world_destroy(w);
}

static void refused_while_they_wait(void **state)
{
	struct world *w = world_create(NULL, true);
	struct status st = status_err(ST_UNAVAILABLE, "no database");
	struct peer p;
	(void)state;
	w->answer_by_hand = true;
	peer_connect(&p, w);
	peer_call_as(&p, 1, "/t.T/Echo", "Bearer t");
	peer_call_as(&p, 2, "/t.T/Echo", "Bearer t");
	WAIT(w, rpc_server_counters(w->server)->open_calls == 2);
	rpc_call_authenticated(w->asking, &st, NULL, 0);
	peer_expect_finish(&p, 1, ST_UNAVAILABLE, "no database");
	peer_expect_finish(&p, 2, ST_UNAVAILABLE, "no database");
	peer_close(&p);
	world_destroy(w);
}

/* The one who asked has gone: the hook answers all the same, and the others get theirs. */
static void asker_goes_away(void **state)
{
	struct world *w = world_create(NULL, true);
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "late"};
	struct status ok = status_ok();
	struct peer p, q;
	(void)state;
	w->answer_by_hand = true;
	peer_connect(&p, w);
	peer_connect(&q, w);
	peer_call_as(&p, 1, "/t.T/Echo", "Bearer t");
	WAIT(w, w->asking);
	peer_call_as(&q, 1, "/t.T/Echo", "Bearer t");
	peer_close(&p);
	WAIT(w, rpc_server_counters(w->server)->connections == 1 &&
			rpc_server_counters(w->server)->open_calls == 2);
	rpc_call_authenticated(w->asking, &ok, &viewer, 0);
	peer_expect_reply(&q, 1, 1);
	assert_int_equal(w->handled, 1);
	peer_close(&q);
	world_destroy(w);
}

static void server_ends_while_asking(void **state)
{
	struct world *w = world_create(NULL, true);
	struct status st = status_err(ST_UNAVAILABLE, "late");
	struct peer p;
	(void)state;
	w->answer_by_hand = true;
	peer_connect(&p, w);
	peer_call_as(&p, 1, "/t.T/Echo", "Bearer t");
	WAIT(w, w->asking);
	rpc_server_destroy(w->server);
	w->server = NULL;
	rpc_call_authenticated(w->asking, &st, NULL, 0);
	WAIT(w, p.closed);
	peer_close(&p);
	world_destroy(w);
}

static void answer_grows_old(void **state)
{
	struct rpc_limits l = {.auth_cache_ms = 1};
	struct world *w = world_create(&l, true);
	struct peer p;
	uint64_t call = 0;
	(void)state;
	peer_connect(&p, w);
	while (w->asked < 3) { /* each time a millisecond has gone by, it is asked again */
		peer_call_as(&p, ++call, "/t.T/Echo", "Bearer viewer");
		peer_expect_reply(&p, call, (int64_t)call);
	}
	peer_close(&p);
	world_destroy(w);
}

static void token_expires(void **state)
{
	struct world *w = world_create(NULL, true);
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "short"};
	const struct clock *c = clock_system();
	struct status ok = status_ok();
	struct peer p;
	(void)state;
	w->answer_by_hand = true;
	peer_connect(&p, w);
	peer_call_as(&p, 1, "/t.T/Echo", "Bearer t");
	WAIT(w, w->asked == 1);
	rpc_call_authenticated(w->asking, &ok, &viewer, c->wall_us(c) - 1);
	peer_expect_reply(&p, 1, 1);
	peer_call_as(&p, 2, "/t.T/Echo", "Bearer t"); /* within the 10 s, but it has expired */
	WAIT(w, w->asked == 2);
	rpc_call_authenticated(w->asking, &ok, &viewer, c->wall_us(c) + 60000000);
	peer_expect_reply(&p, 2, 2);
	peer_call_as(&p, 3, "/t.T/Echo", "Bearer t");
	peer_expect_reply(&p, 3, 3);
	assert_int_equal(w->asked, 2);
	peer_close(&p);
	world_destroy(w);
}

static void many_tokens_make_room(void **state)
{
	struct world *w = world_create(NULL, true);
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "many"};
	struct status ok = status_ok();
	struct peer p;
	char text[40];
	(void)state;
	w->answer_by_hand = true;
	peer_connect(&p, w);
	for (uint64_t i = 1; i <= 1100; i++) {
		(void)snprintf(text, sizeof(text), "Bearer t%d", (int)i);
		peer_call_as(&p, i, "/t.T/Echo", text);
		WAIT(w, w->asked == i);
		rpc_call_authenticated(w->asking, &ok, &viewer, 0);
		peer_expect_reply(&p, i, (int64_t)i);
	}
	peer_close(&p);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_token_only_anonymous),
		cmocka_unit_test(malformed_authorization),
		cmocka_unit_test(token_is_asked_about_once),
		cmocka_unit_test(role_is_enforced),
		cmocka_unit_test(calls_wait_for_the_same_answer),
		cmocka_unit_test(refused_while_they_wait),
		cmocka_unit_test(asker_goes_away),
		cmocka_unit_test(server_ends_while_asking),
		cmocka_unit_test(answer_grows_old),
		cmocka_unit_test(token_expires),
		cmocka_unit_test(many_tokens_make_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
