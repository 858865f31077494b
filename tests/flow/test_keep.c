/* Secrets and configs of earlier releases: kept for roll-backs, collected behind the last one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/json.h"
#include "fake_sweep.h"

#define TEXT(image, content)                                                                       \
	"services: {web: {image: '" image "', configs: [site]}}\n"                                 \
	"configs: {site: {content: '" content "'}}\n"

static struct store_job *deploy(struct world *w, const char *compose)
{
	struct store_job *j = world_deploy(w, compose, ON_FAILURE_ROLLBACK, 1);
	w->script.trace.len = 0;
	if (w->n_daemons == 0)
		world_start(w);
	world_run(w, j);
	return j;
}

static size_t configs(const struct world *w)
{
	size_t n = 0;
	for (size_t i = 0; i < w->swarm->n_objects; i++)
		n += w->swarm->objects[i]->kind == SWARM_CONFIG && !w->swarm->objects[i]->gone_ms;
	return n;
}

static const char *config_of(const struct world *w, size_t release)
{
	return w->store->releases[release - 1]->objects[0];
}

static bool has(const struct world *w, const char *name)
{
	const struct swarm_object *o = swarm_object_find(w->swarm, SWARM_CONFIG, name);
	return o && !o->gone_ms;
}

static void the_newest_good_releases_keep_theirs(void **state)
{
	struct world *w = world_create();
	(void)state;
	w->keep_releases = 3;
	deploy(w, TEXT("nginx:1", "one"));
	deploy(w, TEXT("nginx:1", "two"));
	deploy(w, TEXT("nginx:1", "three"));
	assert_int_equal(configs(w), 3);
	deploy(w, TEXT("nginx:1", "four"));
	assert_int_equal(configs(w), 3);
	assert_false(has(w, config_of(w, 1)));
	assert_true(has(w, config_of(w, 2)) && has(w, config_of(w, 3)) && has(w, config_of(w, 4)));
	/* One that failed is nothing to go back to: its own go, the others' stay. */
	struct store_job *j = deploy(w, TEXT("crash", "five"));
	assert_int_equal(j->row.state, JOB_FAILED);
	assert_int_equal(configs(w), 3);
	assert_true(has(w, config_of(w, 2)));
	/* A stack that goes takes all of them along. */
	j = world_submit(w, JOB_REMOVE, "{}", 1);
	world_run(w, j);
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_int_equal(configs(w), 0);
	world_destroy(w);
}

static void one_that_is_needed_again_is_not_made_again(void **state)
{
	struct world *w = world_create();
	(void)state;
	w->keep_releases = 3;
	deploy(w, TEXT("nginx:1", "one"));
	deploy(w, TEXT("nginx:1", "two"));
	deploy(w, TEXT("nginx:1", "one"));
	assert_null(strstr(world_writes(w), "config_"));
	world_destroy(w);
}

/* A task outside the present specs: the Engine would let its config go. */
static void what_a_task_uses_stays(void **state)
{
	struct world *w = world_create();
	const char *id = "";
	(void)state;
	deploy(w, TEXT("nginx:1", "one"));
	const char *old = config_of(w, 1);
	const struct swarm_object *config = swarm_object_find(w->swarm, SWARM_CONFIG, old);
	json_t *spec = json_pack("{s:s, s:{s:s}, s:{s:{s:s, s:[{s:s, s:s}]}}}", "Name",
		"acme-shop_theirs", "Labels", "com.docker.stack.namespace", "acme-shop",
		"TaskTemplate", "ContainerSpec", "Image", "theirs:1", "Configs", "ConfigID",
		config->id, "ConfigName", old);
	struct status st = swarm_service_create(w->swarm, spec, &id);
	assert_int_equal(st.code, ST_OK);
	json_decref(spec);
	world_run_ms(w, 1000);
	struct store_job *j = deploy(w, TEXT("nginx:1", "two"));
	assert_int_equal(j->row.state, JOB_SUCCEEDED);
	assert_null(strstr(world_writes(w), "config_remove"));
	assert_false(world_said(j, "left behind"));
	assert_true(has(w, old));
	st = swarm_service_remove(w->swarm, "acme-shop_theirs");
	assert_int_equal(st.code, ST_OK);
	world_run_ms(w, 1000);
	deploy(w, TEXT("nginx:2", "two")); /* the next one collects it */
	assert_false(has(w, old));
	world_destroy(w);
}

static struct store_job *submit_third(struct world *w)
{
	return world_deploy(w, TEXT("nginx:1", "two"), ON_FAILURE_ROLLBACK, 3);
}
static const struct scenario rotation = {
	.name = "rotation", .prepared = TEXT("nginx:1", "one"), .submit = submit_third};

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_good_releases_keep_theirs),
		cmocka_unit_test(one_that_is_needed_again_is_not_made_again),
		cmocka_unit_test(what_a_task_uses_stays),
	};
	static const struct scenario *const scenarios[] = {&rotation, NULL};
	return sweep_main("keep", tests, sizeof(tests) / sizeof(tests[0]), scenarios);
}
