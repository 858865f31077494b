/* Deploys: of a stack that is not there, and over one that runs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_sweep.h"

static const char *const shop = "services:\n"
				"  db:\n"
				"    image: postgres:1\n"
				"  web:\n"
				"    image: nginx:1\n"
				"    depends_on: [db]\n"
				"    deploy: {replicas: 2}\n"
				"    configs: [site]\n"
				"configs:\n"
				"  site: {content: one}\n";

static struct store_job *submit_shop(struct world *w)
{
	return world_deploy(w, shop, ON_FAILURE_ROLLBACK, 3);
}

static const struct scenario deploy = {.name = "deploy", .submit = submit_shop};

static void writes_in_this_order(void **state)
{
	(void)state;
	struct world *w = scenario_run(&deploy);
	assert_string_equal(world_writes(w), "db step begun\n"
					     "db set_status deploying\n"
					     "db step announce\n"
					     "db store_rendered\n"
					     "db step store\n"
					     "db set_networks\n"
					     "db step assign_networks\n"
					     "docker network_create acme-shop_default\n"
					     "db step networks\n"
					     "docker config_create acme-shop_site_e513572c4e1b\n"
					     "db step objects\n"
					     "docker service_create acme-shop_db\n"
					     "docker service_create acme-shop_web\n"
					     "db step services\n"
					     "db step converge\n"
					     "db step prune\n"
					     "db activate\n"
					     "db step activate\n"
					     "db finish succeeded\n");
	assert_string_equal(world_text(w), "config acme-shop_site_e513572c4e1b\n"
					   "network acme-shop_default\n"
					   "service acme-shop_db postgres:1 1/1 acme-shop_default\n"
					   "service acme-shop_web nginx:1 2/2 "
					   "acme-shop_site_e513572c4e1b acme-shop_default\n");
	world_destroy(w);
}

static struct store_job *deploy_tardy(struct world *w)
{
	struct store_job *j = world_deploy(
		w, "services: {web: {image: 'tardy:1'}}\n", ON_FAILURE_ROLLBACK, 1);
	world_start(w);
	return j;
}

/* Of 25 s in which nothing moves, more than the limit of 20 were waits for the Engine's answers. */
static void an_engine_that_answers_late_is_no_stall(void **state)
{
	(void)state;
	struct world *w = world_create();
	struct store_job *j = deploy_tardy(w);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_non_null(strstr(j->row.error, "no progress for 20 s"));
	world_destroy(w);
	w = world_create();
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.fault = FAULT_SLOW;
	w->script.only = "docker task_list";
	j = deploy_tardy(w);
	world_run(w, j);
	assert_string_equal(j->row.error, "");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	world_destroy(w);
}

/* ---- reads of the Engine that fail for a moment ---- */

struct trouble {
	struct world *w;
	unsigned times; /* so often it fails; 0: always */
	uint64_t took_ms;
};

static void after_call(void *data, unsigned number, const char *name)
{
	struct trouble *t = data;
	(void)number, (void)name;
	if (t->times && t->w->script.failed == t->times)
		t->w->script.at = 0;
}

/* A deploy of which the calls of this name fail. */
static struct store_job *deploy_in_trouble(struct trouble *t, const char *call, enum fault fault)
{
	struct world *w = t->w = world_create();
	w->script.at = 1;
	w->script.last = UINT32_MAX;
	w->script.only = call;
	w->script.fault = fault;
	w->script.data = t;
	w->script.after = after_call;
	struct store_job *j = submit_shop(w);
	uint64_t began = loop_now_ms(w->loop);
	world_start(w);
	world_run(w, j);
	t->took_ms = loop_now_ms(w->loop) - began;
	return j;
}

static const char *const reads[] = {"docker service_list", "docker network_list", "docker secret_list",
	"docker config_list", "docker task_list", "docker node_list"};
#define N_READS (sizeof(reads) / sizeof(reads[0]))

static void a_read_that_breaks_is_tried_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_READS; i++) {
		struct trouble t = {.times = 3};
		struct store_job *j = deploy_in_trouble(&t, reads[i], FAULT_INTERNAL);
		assert_string_equal(j->row.error, "");
		assert_int_equal(j->row.state, JOB_SUCCEEDED);
		assert_int_equal(j->row.attempt, 1);
		assert_true(world_said(j, "trying again: something broke"));
		world_destroy(t.w);
	}
}

static void a_read_that_breaks_for_good_is_told_of(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_READS; i++) {
		struct trouble t = {0};
		struct store_job *j = deploy_in_trouble(&t, reads[i], FAULT_INTERNAL);
		assert_int_equal(j->row.state, JOB_FAILED);
		assert_non_null(strstr(j->row.error, "something broke"));
		assert_non_null(strstr(j->row.error, "tried 6 times"));
		assert_string_equal(j->row.error_code, "INTERNAL");
		assert_in_range(t.took_ms, 3000, 60000);
		world_destroy(t.w);
	}
}

/* Nobody finds out more by asking again. */
static void a_read_without_sense_fails_at_once(void **state)
{
	(void)state;
	static const enum fault faults[] = {FAULT_TRUNCATED, FAULT_GONE};
	for (size_t i = 0; i < 2; i++) {
		struct trouble t = {0};
		struct store_job *j = deploy_in_trouble(&t, "docker secret_list", faults[i]);
		assert_int_equal(j->row.state, JOB_FAILED);
		assert_int_equal(t.w->script.failed, 1);
		world_destroy(t.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_in_this_order),
		cmocka_unit_test(an_engine_that_answers_late_is_no_stall),
		cmocka_unit_test(a_read_that_breaks_is_tried_again),
		cmocka_unit_test(a_read_that_breaks_for_good_is_told_of),
		cmocka_unit_test(a_read_without_sense_fails_at_once),
	};
	static const struct scenario *const scenarios[] = {&deploy, NULL};
	return sweep_main("deploy", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
