/* Going back to a release that ran before. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_sweep.h"

#define DB "services:\n  db:\n    image: postgres:1\n"

#define assert_in(text, part)                                                                      \
	do {                                                                                       \
		if (!strstr(text, part))                                                           \
			fail_msg("no \"%s\" in: %s", part, text);                                  \
	} while (0)

static const char *const first = DB "  web:\n"
				    "    image: nginx:1\n"
				    "    deploy: {replicas: 2}\n"
				    "    configs: [site]\n"
				    "  worker: {image: worker:1}\n"
				    "configs: {site: {content: one}}\n";
static const char *const second = DB "  web:\n"
				     "    image: nginx:2\n"
				     "    configs: [site]\n"
				     "  extra: {image: extra:1}\n"
				     "configs: {site: {content: two}}\n";

static void deploy_second(struct world *w)
{
	world_prepare(w, second);
}

static struct store_job *submit_back(struct world *w)
{
	return world_rollback(w, 1, ON_FAILURE_ROLLBACK, 3);
}

static void going_back_is_a_new_release(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, first);
	char *before = world_text(w);
	world_prepare(w, second);
	struct store_job *j = submit_back(w);
	assert_string_not_equal(world_text(w), before);
	world_start(w);
	world_run(w, j);
	world_run_ms(w, 2000);
	assert_string_equal(j->row.error, "");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_string_equal(world_text(w), before);
	assert_int_equal(world_active(w), 3);
	assert_int_equal(w->store->releases[1]->row.state, RELEASE_SUPERSEDED);
	world_destroy(w);
}

/* What release 1 was does not run any more: release 2, which does, stays. */
static void going_back_may_fail_and_is_taken_back(void **state)
{
	(void)state;
	struct world *w = world_create();
	world_prepare(w, first);
	world_prepare(w, second);
	struct store_job *j = submit_back(w);
	char *before = world_text(w);
	w->swarm->crashes = "nginx:1";
	world_start(w);
	world_run(w, j);
	world_run_ms(w, 2000);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_in(j->row.error, "service web: the Engine's update is paused: task");
	assert_in(j->row.error, "\nwent back: release 2 runs again");
	assert_string_equal(world_text(w), before);
	assert_int_equal(world_active(w), 2);
	assert_int_equal(w->store->releases[2]->row.state, RELEASE_FAILED);
	assert_int_equal(world_stack(w)->row.status, STACK_RUNNING);
	world_destroy(w);
}

/* stall_seconds of the release, not the daemon's. (Pulling has its own limit, which is longer.) */
static void a_release_has_its_own_patience(void **state)
{
	(void)state;
	for (int seconds = 0; seconds <= 900; seconds += 900) {
		struct world *w = world_create();
		struct store_job *j = world_deploy(w, "services: {web: {image: 'x:slow'}}\n",
			ON_FAILURE_ROLLBACK, 1);
		w->store->releases[0]->row.stall_seconds = seconds;
		world_start(w);
		world_run(w, j);
		assert_in(j->row.error, seconds ? "no progress for 900 s" : "no progress for 600 s");
		world_destroy(w);
	}
}

static const struct scenario going_back = {
	.name = "rollback", .prepared = first, .arrange = deploy_second, .submit = submit_back};

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(going_back_is_a_new_release),
		cmocka_unit_test(going_back_may_fail_and_is_taken_back),
		cmocka_unit_test(a_release_has_its_own_patience),
	};
	static const struct scenario *const scenarios[] = {&going_back, NULL};
	return sweep_main("going back", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
