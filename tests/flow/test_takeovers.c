/* A job that kills its daemon again and again: it is taken back; when that kills too, it is given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "fake_world.h"

static const char *const before = "services: {web: {image: 'nginx:1'}}";
static const char *const after = "services: {web: {image: 'nginx:2'}}";

struct killer {
	struct world *w;
	struct world_daemon *d; /* the one that lives */
	const char *call;       /* it dies of this call */
	unsigned left;          /* so many die */
};

static void on_call(void *data, unsigned number, const char *name)
{
	struct killer *k = data;
	(void)number;
	if (k->left == 0 || !k->d || k->d->dead || strcmp(name, k->call) != 0)
		return;
	k->left--;
	world_kill(k->w, k->d);
}

/* At most one takeover. Starts a daemon whenever one has died. */
static struct store_job *run(struct world *w, struct store_job *j, const char *call, unsigned deaths)
{
	struct killer k = {.w = w, .call = call, .left = deaths};
	w->max_takeovers = 1;
	w->script.data = &k;
	w->script.after = on_call;
	k.d = world_start(w);
	world_wake(w);
	while (!job_state_is_end(j->row.state)) {
		if (k.d->dead)
			k.d = world_start(w);
		world_turn(w);
	}
	w->script.after = NULL;
	return j;
}

static struct store_job *update(struct world *w)
{
	return world_deploy(w, after, ON_FAILURE_ROLLBACK, 3);
}

static void one_death_is_gone_over(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, before);
	struct store_job *j = run(w, update(w), "docker service_update acme-shop_web", 1);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	world_destroy(w);
}

static void then_it_is_taken_back(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, before);
	/* the second death is in the watching */
	struct store_job *j = run(w, update(w), "docker task_list", 2);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_non_null(strstr(j->row.error, "2 daemons have died over this job, the last one at step"));
	assert_int_equal(world_active(w), 1);
	assert_int_equal(world_stack(w)->row.status, STACK_RUNNING);
	world_run_ms(w, 2000);
	assert_string_equal(world_text(w), "network acme-shop_default\n"
					   "service acme-shop_web nginx:1 1/1 acme-shop_default\n");
	world_destroy(w);
}

static void in_the_end_it_is_given_up(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, before);
	struct store_job *j = run(w, update(w), "docker task_list", 5);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_int_equal(j->row.takeovers, 3);
	assert_non_null(strstr(j->row.error, "3 daemons have died over this job and over taking it back: it "
					 "is given up as it is; deploy the stack again"));
	world_destroy(w);
}

static void one_that_never_begins_is_just_ended(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, before);
	struct store_job *j = run(w, update(w), "docker network_list", 2);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_non_null(strstr(j->row.error, "2 daemons have died over this job: it is given up"));
	assert_null(strstr(world_writes(w), "docker"));
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_death_is_gone_over),
		cmocka_unit_test(then_it_is_taken_back),
		cmocka_unit_test(in_the_end_it_is_given_up),
		cmocka_unit_test(one_that_never_begins_is_just_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
