/* Who may call what: peer credentials, tokens, the cache of their answers, roles. */
#include "fixture.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
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
	rpc_token_answer(w->asking, &ok, &viewer, 0);
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
	rpc_token_answer(w->asking, &st, NULL, 0);
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
	rpc_token_answer(w->asking, &ok, &viewer, 0);
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
	rpc_token_answer(w->asking, &st, NULL, 0);
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
	rpc_token_answer(w->asking, &ok, &viewer, c->wall_us(c) - 1);
	peer_expect_reply(&p, 1, 1);
	peer_call_as(&p, 2, "/t.T/Echo", "Bearer t"); /* within the 10 s, but it has expired */
	WAIT(w, w->asked == 2);
	rpc_token_answer(w->asking, &ok, &viewer, c->wall_us(c) + 60000000);
	peer_expect_reply(&p, 2, 2);
	peer_call_as(&p, 3, "/t.T/Echo", "Bearer t");
	peer_expect_reply(&p, 3, 3);
	assert_int_equal(w->asked, 2);
	peer_close(&p);
	world_destroy(w);
}

/* ---- a stream is open longer than the answer that let it in is good ---- */

/* A stream as "Bearer t", let in for `ttl_us`, in a world that asks again every few milliseconds. */
static struct world *world_with_stream(struct peer *p, int64_t ttl_us)
{
	struct rpc_limits l = {.auth_cache_ms = 4};
	struct world *w = world_create(&l, true);
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "stream"};
	const struct clock *c = clock_system();
	struct status ok = status_ok();
	struct buf b = {0};
	w->answer_by_hand = true;
	peer_connect(p, w);
	put_open(&b, 1, "/t.T/Bidi", NULL, false, "Bearer t");
	peer_send_buf(p, &b);
	WAIT(w, w->asked == 1);
	rpc_token_answer(w->asking, &ok, &viewer, ttl_us ? c->wall_us(c) + ttl_us : 0);
	return w;
}

static void end_of_stream(struct world *w, struct peer *p)
{
	WAIT(w, w->cancelled == 1);
	WAIT(w, rpc_server_counters(w->server)->open_calls == 0);
	peer_close(p);
	world_destroy(w);
}

static void revoked_token_ends_its_streams(void **state)
{
	struct peer p;
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "stream"};
	struct status ok = status_ok(), no = status_err(ST_UNAUTHENTICATED, "the token is revoked");
	struct world *w = world_with_stream(&p, 0);
	(void)state;
	for (unsigned i = 2; i < 5; i++) {
		WAIT(w, w->asked == i);
		rpc_token_answer(w->asking, &ok, &viewer, 0);
		assert_int_equal(w->cancelled, 0);
	}
	WAIT(w, w->asked == 5);
	peer_call_as(&p, 2, "/t.T/Echo", "Bearer t"); /* comes with the question, or behind it */
	rpc_token_answer(w->asking, &no, NULL, 0);
	w->answer_by_hand = false;
	peer_expect_finish(&p, 1, ST_UNAUTHENTICATED, "the token is revoked");
	peer_expect_finish(&p, 2, ST_UNAUTHENTICATED, "the token is");
	end_of_stream(w, &p);
}

static void no_answer_ends_no_stream(void **state)
{
	struct peer p;
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "stream"};
	struct status ok = status_ok(), away = status_err(ST_UNAVAILABLE, "no database");
	struct world *w = world_with_stream(&p, 0);
	struct buf b = {0};
	(void)state;
	for (unsigned i = 2; i < 5; i++) {
		WAIT(w, w->asked == i);
		rpc_token_answer(w->asking, &away, NULL, 0);
	}
	WAIT(w, w->asked == 5);
	rpc_token_answer(w->asking, &ok, &viewer, 0);
	put_event(&b, 1, 7);
	frame_put_end(&b, 1);
	peer_send_buf(&p, &b);
	struct frame f = peer_frame(&p);
	assert_int_equal(f.kind, FRAME_DATA);
	peer_close(&p);
	WAIT(w, rpc_server_counters(w->server)->open_calls == 0);
	world_destroy(w);
}

/* Nobody need be asked, nor be there to answer. */
static void expired_token_ends_its_streams(void **state)
{
	struct peer p;
	struct world *w = world_with_stream(&p, 1);
	(void)state;
	peer_expect_finish(&p, 1, ST_UNAUTHENTICATED, "the token has expired");
	assert_int_equal(w->asked, 1);
	end_of_stream(w, &p);
}

static void lost_role_ends_its_streams(void **state)
{
	struct peer p;
	struct rpc_caller nobody = {.role = RPC_ROLE_NONE, .name = "stream"};
	struct status ok = status_ok();
	struct world *w = world_with_stream(&p, 0);
	(void)state;
	WAIT(w, w->asked == 2);
	rpc_token_answer(w->asking, &ok, &nobody, 0);
	peer_expect_finish(&p, 1, ST_PERMISSION_DENIED,
		"/t.T/Bidi needs the role viewer; stream has the role nobody");
	end_of_stream(w, &p);
}

static void nobody_is_asked_without_a_stream(void **state)
{
	struct peer p, q;
	struct rpc_caller viewer = {.role = RPC_ROLE_VIEWER, .name = "stream"};
	struct status ok = status_ok();
	struct world *w = world_with_stream(&p, 0);
	(void)state;
	peer_close(&p);
	WAIT(w, rpc_server_counters(w->server)->open_calls == 0);
	if (w->asked > 1) /* it was faster */
		rpc_token_answer(w->asking, &ok, &viewer, 0);
	unsigned asked = w->asked;
	peer_connect(&q, w);
	for (int i = 1; i <= 50; i++) {
		peer_call(&q, (uint64_t)i, "/t.T/Anon", i);
		peer_expect_reply(&q, (uint64_t)i, i);
	}
	assert_int_equal(w->asked, asked);
	peer_close(&q);
	world_destroy(w);
}

static void server_ends_while_asking_again(void **state)
{
	struct peer p;
	struct status no = status_err(ST_UNAUTHENTICATED, "late");
	struct world *w = world_with_stream(&p, 0);
	(void)state;
	WAIT(w, w->asked == 2);
	rpc_server_destroy(w->server);
	w->server = NULL;
	WAIT(w, w->cancelled == 1);
	rpc_token_answer(w->asking, &no, NULL, 0);
	peer_close(&p);
	world_destroy(w);
}

#ifndef NDEBUG
static struct rpc_server *doomed;

static void destroy_it(void *context, struct rpc_token *token, struct str bearer)
{
	(void)context;
	(void)token;
	(void)bearer;
	rpc_server_destroy(doomed);
}

/* In a child: the calls above would go on with what is gone. */
static void destroy_inside_a_call_aborts(void **state)
{
	int how;
	(void)state;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		struct rlimit none = {0, 0};
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		struct world *w = world_create(NULL, true);
		struct rpc_server_options o = {.loop = w->loop,
			.methods = world_methods,
			.n_methods = sizeof(world_methods) / sizeof(world_methods[0]),
			.authenticate = destroy_it,
			.no_peer_admin = true};
		struct peer p;
		doomed = w->server = rpc_server_create(&o);
		peer_connect(&p, w);
		peer_call_as(&p, 1, "/t.T/Echo", "Bearer t");
		WAIT(w, p.closed);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
}
#endif

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
		rpc_token_answer(w->asking, &ok, &viewer, 0);
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
		cmocka_unit_test(revoked_token_ends_its_streams),
		cmocka_unit_test(no_answer_ends_no_stream),
		cmocka_unit_test(expired_token_ends_its_streams),
		cmocka_unit_test(lost_role_ends_its_streams),
		cmocka_unit_test(nobody_is_asked_without_a_stream),
		cmocka_unit_test(server_ends_while_asking_again),
#ifndef NDEBUG
		cmocka_unit_test(destroy_inside_a_call_aborts),
#endif
		cmocka_unit_test(many_tokens_make_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
