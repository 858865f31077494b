/* Networks whose options change: never from under what is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "fake_sweep.h"

#define TEXT(image, name, options)                                                                 \
	"services: {web: {image: '" image "', networks: [" name "]}}\n"                            \
	"networks: {" name ": {driver_opts: {" options "}}}\n"
#define PLAIN     TEXT("nginx:1", "back", "")
#define ENCRYPTED TEXT("nginx:1", "back", "encrypted: 'true'")

static struct store_job *deploy(struct world *w, const char *compose)
{
	struct store_job *j = world_deploy(w, compose, ON_FAILURE_ROLLBACK, 1);
	w->script.trace.len = 0;
	if (w->n_daemons == 0)
		world_start(w);
	world_run(w, j);
	return j;
}

static const char *option(const struct world *w)
{
	const struct swarm_object *o = swarm_object_find(w->swarm, SWARM_NETWORK, "acme-shop_back");
	return o ? json_text(o->spec, "Options.encrypted", "none") : "no network";
}

static void in_use_it_is_refused_before_anything_is_written(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, PLAIN);
	char *before = world_text(w);
	struct store_job *j = deploy(w, ENCRYPTED);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_non_null(strstr(j->row.error, "network \"acme-shop_back\" cannot be changed "
					 "(Options.encrypted differs) while service acme-shop_web is in it: "
					 "give it another name"));
	assert_null(strstr(world_writes(w), "docker"));
	assert_string_equal(world_text(w), before);
	assert_int_equal(world_active(w), 1);
	world_destroy(w);
}

static void the_way_out_works(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, PLAIN);
	struct store_job *j = deploy(w, TEXT("nginx:1", "back2", "encrypted: 'true'"));
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_string_equal(world_text(w), "network acme-shop_back2\n"
					   "service acme-shop_web nginx:1 1/1 acme-shop_back2\n");
	world_destroy(w);
}

static void leave(struct world *w)
{
	struct status st = swarm_service_remove(w->swarm, "acme-shop_web");
	assert_int_equal(st.code, ST_OK);
	world_run_ms(w, 1000);
}

static void an_empty_one_is_replaced(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, PLAIN);
	leave(w);
	struct store_job *j = deploy(w, ENCRYPTED);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_string_equal(option(w), "true");
	assert_true(world_said(j, "network acme-shop_back is replaced: Options.encrypted changes"));
	world_destroy(w);
}

static void what_is_outside_the_stack_counts(void **state)
{
	struct world *w = world_create();
	const char *id = "";
	(void)state;
	world_prepare(w, PLAIN);
	leave(w);
	json_t *spec = json_pack("{s:s, s:{}, s:{s:{s:s}, s:[{s:s}]}}", "Name", "theirs", "Labels",
		"TaskTemplate", "ContainerSpec", "Image", "theirs:1", "Networks", "Target",
		"acme-shop_back");
	struct status st = swarm_service_create(w->swarm, spec, &id);
	assert_int_equal(st.code, ST_OK);
	json_decref(spec);
	struct store_job *j = deploy(w, ENCRYPTED);
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_non_null(strstr(j->row.error, "network \"acme-shop_back\" cannot be replaced: "));
	assert_non_null(strstr(j->row.error, "in use by service theirs: give it another name"));
	assert_string_equal(option(w), "none");
	world_destroy(w);
}

static void the_way_back_does_not_break_what_runs(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, PLAIN);
	leave(w);
	struct store_job *j = deploy(w, TEXT("crash", "back", "encrypted: 'true'"));
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_null(strstr(j->row.error, "taking it back failed"));
	assert_true(world_said(j, "network acme-shop_back stays as it is"));
	assert_string_equal(world_text(w), "network acme-shop_back\n"
					   "service acme-shop_web nginx:1 1/1 acme-shop_back\n");
	world_destroy(w);
}

static void labels_are_no_reason(void **state)
{
	struct world *w = world_create();
	(void)state;
	world_prepare(w, PLAIN);
	struct store_job *j = deploy(w, "services: {web: {image: 'nginx:1', networks: [back]}}\n"
					"networks: {back: {labels: {a: b}}}\n");
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_null(strstr(world_writes(w), "docker"));
	world_destroy(w);
}

static struct store_job *submit_replacing(struct world *w)
{
	leave(w);
	return world_deploy(w, ENCRYPTED, ON_FAILURE_ROLLBACK, 3);
}

/* What was removed by hand is not the state before. */
static const struct scenario replacing = {.name = "replacing a network",
	.prepared = PLAIN,
	.submit = submit_replacing,
	.one_way = true};

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_use_it_is_refused_before_anything_is_written),
		cmocka_unit_test(the_way_out_works),
		cmocka_unit_test(an_empty_one_is_replaced),
		cmocka_unit_test(what_is_outside_the_stack_counts),
		cmocka_unit_test(the_way_back_does_not_break_what_runs),
		cmocka_unit_test(labels_are_no_reason),
	};
	static const struct scenario *const scenarios[] = {&replacing, NULL};
	return sweep_main("networks", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
