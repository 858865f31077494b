/* The observer: what it sees becomes the stack's status, soon. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "fake_world.h"
#include "stacks/lookout.h"
#include "stacks/observer.h"
#include "stacks/picture.h"

static const char *const shop = "services:\n"
				"  db:\n"
				"    image: postgres:1\n"
				"  web:\n"
				"    image: nginx:1\n"
				"    deploy: {replicas: 2}\n";

struct ctx {
	struct world *w;
	struct fake_docker docker;
	struct fake_db db;
	struct lookout *lookout;
	struct observer *observer;
	unsigned ups, downs;
	char why[sizeof(((struct status *)NULL)->message)];
	bool stopped;
};

static void on_engine(void *data, bool up, const struct status *why)
{
	struct ctx *c = data;
	c->ups += up;
	c->downs += !up;
	(void)snprintf(c->why, sizeof(c->why), "%s", up ? "" : why->message);
}

static void on_stopped(void *data)
{
	((struct ctx *)data)->stopped = true;
}

static int setup(void **state)
{
	struct ctx *c = calloc(1, sizeof(*c));
	c->w = world_create();
	world_prepare(c->w, shop);
	fake_docker_init(&c->docker, &c->w->script, NULL, c->w->swarm);
	fake_db_init(&c->db, &c->w->script, NULL, c->w->store);
	c->lookout = lookout_create(c->w->loop, &c->docker.base);
	const struct observer_options o = {.loop = c->w->loop,
		.lookout = c->lookout,
		.docker = &c->docker.base,
		.db = &c->db.base,
		.on_engine = on_engine,
		.data = c};
	c->observer = observer_create(&o);
	lookout_start(c->lookout);
	observer_start(c->observer);
	world_run_ms(c->w, 15000); /* until all is quiet, */
	while (!list_empty(&c->docker.front.calls) || !list_empty(&c->db.front.calls))
		world_turn(c->w); /* and between two looks */
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *c = *state;
	observer_stop(c->observer, on_stopped, c);
	assert_false(c->stopped); /* never from inside */
	while (!c->stopped)
		world_turn(c->w);
	observer_destroy(c->observer);
	lookout_stop(c->lookout);
	while (!list_empty(&c->docker.front.calls))
		world_turn(c->w);
	lookout_destroy(c->lookout);
	world_destroy(c->w);
	free(c);
	return 0;
}

static const struct db_service *service(const struct ctx *c, const char *name)
{
	const struct db_stack *s = &world_stack(c->w)->row;
	for (size_t i = 0; i < s->n_services; i++)
		if (strcmp(s->services[i].service, name) == 0)
			return &s->services[i];
	fail_msg("no service %s", name);
	return NULL;
}

static void must(struct status st)
{
	if (!status_is_ok(&st))
		fail_msg("%s", st.message);
}

static json_t *changed(
	const struct ctx *c, const char *name, const char *image, json_int_t replicas)
{
	json_t *spec = json_deep_copy(swarm_service_find(c->w->swarm, name)->spec);
	if (image)
		json_object_set_new(
			json_object_get(json_object_get(spec, "TaskTemplate"), "ContainerSpec"),
			"Image", json_string(image));
	json_object_set_new(
		spec, "Mode", json_pack("{s:{s:I}}", "Replicated", "Replicas", replicas));
	return spec;
}

static void update_by_hand(struct ctx *c, const char *name, const char *image, json_int_t replicas)
{
	struct swarm_service *s = swarm_service_find(c->w->swarm, name);
	json_t *spec = changed(c, name, image, replicas);
	must(swarm_service_update(c->w->swarm, s->id, s->version, spec));
	json_decref(spec);
}

static char *image_of(const struct ctx *c, const char *name)
{
	return strdup(json_string_value(json_object_get(
		json_object_get(json_object_get(swarm_service_find(c->w->swarm, name)->spec,
					"TaskTemplate"),
			"ContainerSpec"),
		"Image")));
}

static void what_runs_is_running_and_nothing_is_written(void **state)
{
	struct ctx *c = *state;
	assert_int_equal(c->ups, 1);
	assert_int_equal(c->downs, 0);
	unsigned observed = world_stack(c->w)->observed;
	world_run_ms(c->w, 60000);
	assert_int_equal(world_stack(c->w)->observed, observed);
	assert_int_equal(world_stack(c->w)->row.status, STACK_RUNNING);
	assert_int_equal(service(c, "web")->running, 2);
	const struct picture *seen = observer_picture(c->observer);
	assert_int_equal(seen->n_services, 2);
	assert_int_equal(seen->n_tasks, 3);
	assert_int_equal(seen->n_nodes, 2);
}

static void a_service_removed_by_hand_has_drifted_within_two_seconds(void **state)
{
	struct ctx *c = *state;
	must(swarm_service_remove(c->w->swarm, "acme-shop_web"));
	world_run_ms(c->w, 2000);
	assert_int_equal(world_stack(c->w)->row.status, STACK_DRIFTED);
	assert_int_equal(service(c, "web")->state, SERVICE_MISSING);
	assert_int_equal(service(c, "web")->running, 0);
	assert_int_equal(service(c, "db")->state, SERVICE_RUNNING);
	assert_non_null(strstr(world_stack(c->w)->row.status_message, "service web is gone"));
}

static void an_event_makes_it_look_at_once(void **state)
{
	struct ctx *c = *state;
	must(swarm_service_remove(c->w->swarm, "acme-shop_web"));
	fake_docker_event(&c->docker, DOCKER_EVENT_SERVICE, "remove", NULL);
	world_run_ms(c->w, 150);
	assert_int_equal(world_stack(c->w)->row.status, STACK_DRIFTED);
}

static void but_not_that_of_a_health_check(void **state)
{
	struct ctx *c = *state;
	unsigned before = c->w->script.calls;
	world_run_ms(c->w, 10);
	fake_docker_event(&c->docker, DOCKER_EVENT_CONTAINER, "exec_start: /bin/check", NULL);
	world_run_ms(c->w, 150);
	assert_true(c->w->script.calls - before <= 4);
	before = c->w->script.calls;
	for (int i = 0; i < 40; i++) {
		fake_docker_event(&c->docker, DOCKER_EVENT_CONTAINER, "exec_die", NULL);
		world_run_ms(c->w, 150);
	}
	assert_true(c->w->script.calls - before <= 5 * 4);
}

static void so_does_a_nudge(void **state)
{
	struct ctx *c = *state;
	must(swarm_service_remove(c->w->swarm, "acme-shop_web"));
	observer_nudge(c->observer);
	world_run_ms(c->w, 150);
	assert_int_equal(world_stack(c->w)->row.status, STACK_DRIFTED);
}

static void many_events_do_not_put_the_look_off(void **state)
{
	struct ctx *c = *state;
	must(swarm_service_remove(c->w->swarm, "acme-shop_web"));
	for (int i = 0; i < 10; i++) {
		fake_docker_event(&c->docker, DOCKER_EVENT_CONTAINER, "die", NULL);
		world_run_ms(c->w, 50);
	}
	assert_int_equal(world_stack(c->w)->row.status, STACK_DRIFTED);
}

static void what_crashes_is_told_and_what_recovers_too(void **state)
{
	struct ctx *c = *state;
	char *released = image_of(c, "acme-shop_web");
	update_by_hand(c, "acme-shop_web", "nginx:crash", 2);
	world_run_ms(c->w, 5000);
	assert_int_equal(world_stack(c->w)->row.status, STACK_DRIFTED);
	assert_int_not_equal(service(c, "web")->state, SERVICE_RUNNING);
	assert_int_equal(service(c, "db")->state, SERVICE_RUNNING);
	update_by_hand(c, "acme-shop_web", released, 2);
	world_run_ms(c->w, 3000);
	assert_int_equal(world_stack(c->w)->row.status, STACK_RUNNING);
	assert_string_equal(service(c, "web")->image, released);
	assert_string_equal(service(c, "web")->message, "");
	free(released);
}

/* ---- drift ---- */

static void a_field_changed_by_hand_is_drift(void **state)
{
	struct ctx *c = *state;
	char *released = image_of(c, "acme-shop_web");
	update_by_hand(c, "acme-shop_web", "nginx:2", 2);
	fake_docker_event(&c->docker, DOCKER_EVENT_SERVICE, "update", NULL);
	world_run_ms(c->w, 500);
	assert_int_equal(world_stack(c->w)->row.status, STACK_DRIFTED);
	assert_string_equal(world_stack(c->w)->row.status_message, "service web was changed by hand: Image");
	assert_string_equal(world_stack(c->w)->drifted, "web");
	update_by_hand(c, "acme-shop_web", released, 2);
	world_run_ms(c->w, 3000);
	assert_int_equal(world_stack(c->w)->row.status, STACK_RUNNING);
	free(released);
}

static unsigned loads(const struct ctx *c)
{
	unsigned n = 0;
	for (const char *at = c->w->script.trace.ptr; at && (at = strstr(at, "load_release")); at++)
		n++;
	return n;
}

static void what_does_not_move_is_not_compared(void **state)
{
	struct ctx *c = *state;
	unsigned before = loads(c);
	world_run_ms(c->w, 60000);
	assert_int_equal(loads(c), before);
	update_by_hand(c, "acme-shop_web", "nginx:2", 2);
	world_run_ms(c->w, 60000);
	assert_in_range(loads(c), before + 1, before + 2);
}

static void an_object_that_is_gone_is_noticed(void **state)
{
	struct ctx *c = *state;
	const struct docker_event e = {.type = DOCKER_EVENT_NETWORK,
		.action = "destroy",
		.id = "",
		.name = "acme-shop_default",
		.service_id = "",
		.task_id = "",
		.node_id = "",
		.exit_code = -1};
	unsigned before = loads(c);
	c->docker.on_event(c->docker.event_data, &e);
	world_run_ms(c->w, 1000);
	assert_int_equal(loads(c), before + 1);
	assert_int_equal(world_stack(c->w)->row.status, STACK_RUNNING);
}

static void a_check_that_fails_is_made_again(void **state)
{
	struct ctx *c = *state;
	c->w->script.at = 1;
	c->w->script.last = UINT32_MAX;
	c->w->script.fault = FAULT_REFUSED;
	c->w->script.only = "db load_release";
	update_by_hand(c, "acme-shop_web", "nginx:2", 2);
	world_run_ms(c->w, 10000);
	assert_true(c->w->script.failed > 1);
	assert_int_equal(world_stack(c->w)->row.status, STACK_RUNNING);
	c->w->script.at = 0;
	world_run_ms(c->w, 5000);
	assert_int_equal(world_stack(c->w)->row.status, STACK_DRIFTED);
}

static void nothing_is_repaired_where_nobody_asked(void **state)
{
	struct ctx *c = *state;
	update_by_hand(c, "acme-shop_web", "nginx:2", 2);
	world_run_ms(c->w, 10000);
	assert_int_equal(c->w->store->repairs_asked, 0);
}

static void drift_is_repaired_five_times_an_hour(void **state)
{
	struct ctx *c = *state;
	struct store *s = c->w->store;
	const struct db_stack *t = &world_stack(c->w)->row;
	char *released = image_of(c, "acme-shop_web");
	(void)world_start(c->w);
	c->w->project->row.drift_policy = DRIFT_REPAIR;
	for (int i = 0; i < 5; i++) {
		update_by_hand(c, "acme-shop_web", "nginx:2", 2);
		world_run_ms(c->w, 200000); /* the gaps between repairs grow */
		char *now = image_of(c, "acme-shop_web");
		assert_string_equal(now, released);
		assert_int_equal(t->status, STACK_RUNNING);
		free(now);
	}
	size_t jobs = s->n_jobs;
	update_by_hand(c, "acme-shop_web", "nginx:2", 2);
	world_run_ms(c->w, 20000);
	assert_int_equal(t->status, STACK_DEGRADED);
	assert_non_null(strstr(t->status_message, "repaired 5 times within an hour"));
	assert_int_equal(s->n_jobs, jobs);
	assert_true(s->repairs_asked < 20);
	/* That no repair is asked for in a while must not put off what looks. */
	update_by_hand(c, "acme-shop_web", released, 2);
	world_run_ms(c->w, 5000);
	assert_int_equal(t->status, STACK_RUNNING);
	update_by_hand(c, "acme-shop_web", "nginx:2", 2);
	world_run_ms(c->w, 5000);
	assert_int_equal(t->status, STACK_DRIFTED);
	c->w->project->row.drift_policy = DRIFT_REPORT;
	world_run_ms(c->w, 5000);
	assert_int_equal(t->status, STACK_DRIFTED);
	free(released);
}

static void a_node_that_is_down_counts_for_nothing(void **state)
{
	struct ctx *c = *state;
	c->w->swarm->nodes[1].state = DOCKER_NODE_DOWN;
	world_run_ms(c->w, 2000);
	assert_int_equal(service(c, "web")->running, 1);
	assert_int_equal(service(c, "web")->state, SERVICE_DEGRADED);
	assert_int_equal(world_stack(c->w)->row.status, STACK_DEGRADED);
}

static void what_hangs_is_not_looked_at_faster(void **state)
{
	struct ctx *c = *state;
	update_by_hand(c, "acme-shop_web", "nginx:slow", 2);
	world_run_ms(c->w, 20000);
	unsigned before = c->w->script.calls;
	world_run_ms(c->w, 15000);
	assert_in_range(c->w->script.calls - before, 4 * 8, 4 * 11);
}

static void an_engine_that_is_away_is_told_once_and_changes_nothing(void **state)
{
	struct ctx *c = *state;
	c->w->script.at = 1;
	c->w->script.last = UINT32_MAX;
	c->w->script.fault = FAULT_REFUSED;
	c->w->script.only = "docker";
	fake_docker_event(&c->docker, DOCKER_EVENT_LOST, "", "the connection was reset");
	assert_int_equal(c->downs, 1);
	assert_string_equal(c->why, "the connection was reset");
	world_run_ms(c->w, 10000);
	assert_int_equal(c->downs, 1);
	assert_int_equal(world_stack(c->w)->row.status, STACK_RUNNING);
	c->w->script.at = 0;
	world_run_ms(c->w, 1500);
	assert_int_equal(c->ups, 2);
}

static void a_database_that_is_away_is_written_later(void **state)
{
	struct ctx *c = *state;
	c->w->script.at = 1;
	c->w->script.last = UINT32_MAX;
	c->w->script.fault = FAULT_REFUSED;
	c->w->script.only = "db";
	must(swarm_service_remove(c->w->swarm, "acme-shop_web"));
	world_run_ms(c->w, 5000);
	assert_int_equal(world_stack(c->w)->row.status, STACK_RUNNING);
	c->w->script.at = 0;
	world_run_ms(c->w, 2000);
	assert_int_equal(world_stack(c->w)->row.status, STACK_DRIFTED);
}

static void a_stop_waits_for_what_is_under_way(void **state)
{
	struct ctx *c = *state;
	c->w->script.at = c->w->script.calls + 1;
	c->w->script.last = UINT32_MAX;
	c->w->script.fault = FAULT_SLOW;
	while (list_empty(&c->docker.front.calls))
		world_turn(c->w);
	/* teardown stops it */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_runs_is_running_and_nothing_is_written),
		TEST(a_service_removed_by_hand_has_drifted_within_two_seconds),
		TEST(an_event_makes_it_look_at_once),
		TEST(but_not_that_of_a_health_check),
		TEST(so_does_a_nudge),
		TEST(many_events_do_not_put_the_look_off),
		TEST(what_crashes_is_told_and_what_recovers_too),
		TEST(a_field_changed_by_hand_is_drift),
		TEST(what_does_not_move_is_not_compared),
		TEST(an_object_that_is_gone_is_noticed),
		TEST(a_check_that_fails_is_made_again),
		TEST(nothing_is_repaired_where_nobody_asked),
		TEST(drift_is_repaired_five_times_an_hour),
		TEST(a_node_that_is_down_counts_for_nothing),
		TEST(what_hangs_is_not_looked_at_faster),
		TEST(an_engine_that_is_away_is_told_once_and_changes_nothing),
		TEST(a_database_that_is_away_is_written_later),
		TEST(a_stop_waits_for_what_is_under_way),
	};
	return cmocka_run_group_tests_name("observer", tests, NULL, NULL);
}
