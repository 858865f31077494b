#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include "base/arena.h"
#include "stacks/converge.h"
#include "stacks/drift_watch.h"
#include "stacks/judge.h"
#include "stacks/picture.h"

/* A stack of two services, db and web (two replicas), as the database knows it, and a picture of
 * the Engine. */
struct scene {
	struct arena *arena;
	struct picture *picture;
	struct db_service known[2];
	struct db_stack stack;
	struct docker_service services[3];
	size_t n_services;
	struct docker_task tasks[8];
	size_t n_tasks;
	json_t *spec;
	const struct drift_seen *drift;
	bool unknown; /* whether it drifted */
};

static int setup(void **state)
{
	struct arena *a = arena_create();
	struct scene *s = arena_new(a, struct scene);
	s->arena = a;
	s->picture = picture_create(NULL);
	s->spec = json_object();
	s->known[0] = (struct db_service){.service = "db",
		.engine_id = "s1",
		.engine_name = "shop_db",
		.image = "pg:1",
		.message = "",
		.mode = "replicated",
		.state = SERVICE_RUNNING,
		.running = 1,
		.wanted = 1};
	s->known[1] = (struct db_service){.service = "web",
		.engine_id = "s2",
		.engine_name = "shop_web",
		.image = "nginx:1",
		.message = "",
		.mode = "replicated",
		.state = SERVICE_RUNNING,
		.running = 2,
		.wanted = 2};
	s->stack = (struct db_stack){.id = {"stack"},
		.active_deployment_id = {"release"},
		.namespace_ = "shop",
		.status_message = "",
		.unfinished = "",
		.status = STACK_RUNNING,
		.services = s->known,
		.n_services = 2};
	s->services[0] = (struct docker_service){.id = "s2",
		.name = "shop_web",
		.image = "nginx:1",
		.replicas = 2,
		.job_iteration = -1,
		.update = {.message = ""},
		.spec = s->spec};
	s->services[1] = (struct docker_service){.id = "s1",
		.name = "shop_db",
		.image = "pg:1",
		.replicas = 1,
		.job_iteration = -1,
		.update = {.message = ""},
		.spec = s->spec};
	s->n_services = 2;
	static const char *const owners[] = {"s2", "s1", "s2"};
	for (size_t i = 0; i < 3; i++)
		s->tasks[s->n_tasks++] = (struct docker_task){.id = "t",
			.service_id = owners[i],
			.node_id = "n1",
			.container_id = "",
			.slot = i == 2 ? 2 : 1,
			.desired_state = DOCKER_TASK_RUNNING,
			.state = DOCKER_TASK_RUNNING,
			.message = "",
			.err = "",
			.exit_code = -1,
			.image = "",
			.job_iteration = -1};
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;
	picture_destroy(s->picture);
	json_decref(s->spec);
	arena_destroy(s->arena);
	return 0;
}

static struct judged_stack judge(struct scene *s)
{
	struct judged_stack j;
	const struct docker_node node = {
		.id = "n1", .hostname = "alpha", .state = DOCKER_NODE_READY};
	picture_set_services(s->picture, s->services, s->n_services);
	picture_set_tasks(s->picture, s->tasks, s->n_tasks);
	picture_set_nodes(s->picture, &node, 1);
	judge_stack(s->arena, s->picture, &s->stack, !s->unknown, s->drift, &j);
	return j;
}

/* The database has been told. */
static void believe(struct scene *s, const struct judged_stack *j)
{
	memcpy(s->known, j->services, sizeof(s->known));
	s->stack.status = j->status;
	s->stack.status_message = j->message;
}

static void all_as_known(void **state)
{
	struct judged_stack j = judge(*state);
	assert_int_equal(j.status, STACK_RUNNING);
	assert_string_equal(j.message, "");
	assert_false(j.differs);
	assert_false(j.moving);
	assert_int_equal(j.n_services, 2);
	assert_string_equal(j.services[1].service, "web");
}

static void what_was_changed_by_hand_is_drift(void **state)
{
	struct scene *s = *state;
	const struct drift_seen drift = {
		.service = "web", .message = "service web was changed by hand: Image"};
	s->drift = &drift;
	struct judged_stack j = judge(s);
	assert_int_equal(j.status, STACK_DRIFTED);
	assert_string_equal(j.message, drift.message);
	assert_string_equal(j.drifted, "web");
	assert_string_equal(j.services[1].message, "changed by hand");
	assert_string_equal(j.services[0].message, "");
	assert_true(j.differs);
	believe(s, &j);
	assert_false(judge(s).differs);
	s->drift = NULL;
	s->unknown = true; /* a check is under way: what is known stands */
	assert_false(judge(s).differs);
	s->unknown = false;
	j = judge(s);
	assert_int_equal(j.status, STACK_RUNNING);
	assert_string_equal(j.services[1].message, "");
}

static void drift_explains_what_fails(void **state)
{
	struct scene *s = *state;
	const struct drift_seen drift = {.service = "web", .message = "by hand"};
	s->drift = &drift;
	s->tasks[0].state = DOCKER_TASK_FAILED;
	s->tasks[0].err = "crashed";
	struct judged_stack j = judge(s);
	assert_int_equal(j.status, STACK_DRIFTED);
	assert_string_not_equal(j.services[1].message, "changed by hand");
}

static void who_is_repaired_too_often_is_degraded(void **state)
{
	struct scene *s = *state;
	const struct drift_seen drift = {.service = "", .message = "network n", .given_up = true};
	s->drift = &drift;
	struct judged_stack j = judge(s);
	assert_int_equal(j.status, STACK_DEGRADED);
	assert_non_null(strstr(j.message, "network n; it was repaired 5 times within an hour"));
}

static void nobody_knows_is_no_drift(void **state)
{
	struct scene *s = *state;
	s->unknown = true;
	assert_false(judge(s).differs);
}

static void a_missing_service_is_drift(void **state)
{
	struct scene *s = *state;
	s->services[0] = s->services[1];
	s->n_services = 1;
	struct judged_stack j = judge(s);
	assert_true(j.differs);
	assert_int_equal(j.status, STACK_DRIFTED);
	assert_string_equal(j.message, "service web is gone from the Engine: somebody removed it");
	assert_int_equal(j.services[1].state, SERVICE_MISSING);
	assert_int_equal(j.services[1].wanted, 2); /* as it was */
	assert_int_equal(j.services[0].state, SERVICE_RUNNING);
	believe(s, &j);
	assert_false(judge(s).differs);
}

static void one_task_less_is_degraded(void **state)
{
	struct scene *s = *state;
	s->tasks[2].state = DOCKER_TASK_STARTING;
	struct judged_stack j = judge(s);
	assert_true(j.differs);
	assert_int_equal(j.status, STACK_DEGRADED);
	assert_int_equal(j.services[1].state, SERVICE_DEGRADED);
	assert_int_equal(j.services[1].running, 1);
	assert_string_equal(j.message, "service web: 1 of 2 tasks are running");
	believe(s, &j);
	assert_false(judge(s).differs);
	s->tasks[2].state = DOCKER_TASK_RUNNING;
	j = judge(s);
	assert_true(j.differs);
	assert_int_equal(j.status, STACK_RUNNING);
	assert_string_equal(j.services[1].message, "");
}

static void nothing_running_and_on_its_way_is_converging(void **state)
{
	struct scene *s = *state;
	s->tasks[1].state = DOCKER_TASK_STARTING;
	struct judged_stack j = judge(s);
	assert_int_equal(j.services[0].state, SERVICE_CONVERGING);
	assert_true(j.moving);
	assert_int_equal(j.status, STACK_DEGRADED);
}

static void all_failed_is_failed(void **state)
{
	struct scene *s = *state;
	for (size_t i = 0; i < s->n_tasks; i++) {
		s->tasks[i].state = DOCKER_TASK_FAILED;
		s->tasks[i].desired_state = DOCKER_TASK_SHUTDOWN;
		s->tasks[i].err = "boom";
	}
	struct judged_stack j = judge(s);
	assert_int_equal(j.status, STACK_FAILED);
	assert_int_equal(j.services[0].state, SERVICE_FAILED);
	assert_non_null(strstr(j.message, "boom"));
	assert_non_null(strstr(j.message, "on node alpha"));
}

static void a_new_image_or_scale_is_noted(void **state)
{
	struct scene *s = *state;
	s->services[0].image = "nginx:2";
	struct judged_stack j = judge(s);
	assert_true(j.differs);
	assert_string_equal(j.services[1].image, "nginx:2");
	assert_int_equal(j.status, STACK_RUNNING);
	s->services[0].image = "nginx:1";
	s->services[0].replicas = 1;
	s->n_tasks = 2;
	j = judge(s);
	assert_true(j.differs);
	assert_int_equal(j.services[1].wanted, 1);
	assert_int_equal(j.services[1].state, SERVICE_RUNNING);
}

static void one_shots_that_ended_well_are_well(void **state)
{
	struct scene *s = *state;
	json_object_set_new(s->spec, "TaskTemplate",
		json_pack("{s:{s:s}}", "RestartPolicy", "Condition", "none"));
	s->tasks[1].state = DOCKER_TASK_COMPLETE;
	s->tasks[1].desired_state = DOCKER_TASK_SHUTDOWN;
	struct judged_stack j = judge(s);
	assert_int_equal(j.status, STACK_RUNNING);
	assert_int_equal(j.services[0].state, SERVICE_COMPLETED);
	assert_string_equal(j.services[0].message, "");
}

static void while_a_job_works_on_it_its_status_is_the_jobs(void **state)
{
	struct scene *s = *state;
	s->stack.status = STACK_DEPLOYING;
	s->stack.at_work = true;
	struct judged_stack j = judge(s);
	assert_false(j.differs);
	assert_false(j.moving);
	s->tasks[2].state = DOCKER_TASK_STARTING;
	assert_true(judge(s).differs); /* its services are seen all the same */
	s->stack.status = STACK_REMOVING;
	s->n_services = 0;
	assert_false(judge(s).differs); /* what is gone is meant to be gone */
}

/* The last write of its job was lost: what is seen counts. */
static void what_nobody_works_on_does_not_stay_deploying(void **state)
{
	struct scene *s = *state;
	s->stack.status = STACK_DEPLOYING;
	struct judged_stack j = judge(s);
	assert_true(j.differs);
	assert_int_equal(j.status, STACK_RUNNING);
	believe(s, &j);
	assert_false(judge(s).moving);
	s->stack.active_deployment_id = (struct uuid){""};
	s->stack.n_services = 0;
	s->stack.status = STACK_REMOVING;
	j = judge(s);
	assert_true(j.differs);
	assert_int_equal(j.status, STACK_FAILED);
	assert_string_equal(j.message, "no release of it has come to run");
}

static void what_was_left_half_done_is_degraded_however_well_it_runs(void **state)
{
	struct scene *s = *state;
	s->stack.unfinished = "cache is missing; next: deploy again";
	struct judged_stack j = judge(s);
	assert_int_equal(j.status, STACK_DEGRADED);
	assert_string_equal(j.message, "cache is missing; next: deploy again");
	believe(s, &j);
	assert_false(judge(s).differs);
	s->n_services = 0;
	j = judge(s);
	assert_int_equal(j.status, STACK_DEGRADED); /* a deploy did it, nobody's hand */
	assert_string_equal(j.drifted, "");
	assert_string_equal(j.message, "cache is missing; next: deploy again");
}

static void without_a_release_its_status_stays(void **state)
{
	struct scene *s = *state;
	s->stack.active_deployment_id = (struct uuid){""};
	s->stack.status = STACK_FAILED;
	s->stack.status_message = "it never ran";
	s->n_services = 0;
	struct judged_stack j = judge(s);
	assert_int_equal(j.status, STACK_FAILED);
	assert_string_equal(j.message, "it never ran");
}

static void a_picture_finds_by_name_whatever_the_order(void **state)
{
	struct scene *s = *state;
	(void)judge(s);
	assert_string_equal(picture_service(s->picture, "shop_db")->id, "s1");
	assert_string_equal(picture_service(s->picture, "shop_web")->id, "s2");
	assert_null(picture_service(s->picture, "shop_we"));
	assert_int_equal(picture_look(s->picture, "shop_web").n_tasks, 2);
	assert_int_equal(picture_look(s->picture, "none").n_tasks, 0);
	picture_set_services(s->picture, NULL, 0);
	assert_null(picture_service(s->picture, "shop_db"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_as_known),
		TEST(what_was_changed_by_hand_is_drift),
		TEST(drift_explains_what_fails),
		TEST(who_is_repaired_too_often_is_degraded),
		TEST(nobody_knows_is_no_drift),
		TEST(a_missing_service_is_drift),
		TEST(one_task_less_is_degraded),
		TEST(nothing_running_and_on_its_way_is_converging),
		TEST(all_failed_is_failed),
		TEST(a_new_image_or_scale_is_noted),
		TEST(one_shots_that_ended_well_are_well),
		TEST(while_a_job_works_on_it_its_status_is_the_jobs),
		TEST(what_nobody_works_on_does_not_stay_deploying),
		TEST(what_was_left_half_done_is_degraded_however_well_it_runs),
		TEST(without_a_release_its_status_stays),
		TEST(a_picture_finds_by_name_whatever_the_order),
	};
	return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
