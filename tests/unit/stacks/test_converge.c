#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <time.h>
#include "base/arena.h"
#include "stacks/converge.h"

#define STALL_MS 20000
#define HOLD_MS  5000
#define TASKS    32

/* One service, its tasks and two nodes; time goes on by hand. */
struct scene {
	struct converge c;
	struct docker_service service;
	struct docker_task tasks[TASKS];
	size_t n_tasks;
	struct docker_node nodes[2];
	json_t *spec;
	uint64_t now;
	char ids[TASKS][8];
};

static struct scene scene_of(enum docker_mode mode, int64_t replicas)
{
	struct scene s = {
		.c = {.key = "web",
			.name = "shop_web",
			.arena = arena_create_small(),
			.stall_ms = STALL_MS,
			.hold_ms = HOLD_MS},
		.service = {.id = "s1",
			.name = "shop_web",
			.mode = mode,
			.replicas = replicas,
			.job_iteration = -1,
			.update = {.message = ""}},
		.nodes = {{.id = "n1", .hostname = "alpha", .state = DOCKER_NODE_READY},
			{.id = "n2", .hostname = "beta", .state = DOCKER_NODE_READY}},
		.spec = json_object(),
		.now = 1000,
	};
	s.service.spec = s.spec;
	return s;
}

static void end(struct scene *s)
{
	json_decref(s->spec);
	arena_destroy(s->c.arena);
}

static struct docker_task *add(struct scene *s, int64_t slot, const char *node,
	enum docker_task_state desired, enum docker_task_state state)
{
	struct docker_task *t = &s->tasks[s->n_tasks];
	(void)snprintf(s->ids[s->n_tasks], sizeof(s->ids[0]), "t%zu", s->n_tasks);
	*t = (struct docker_task){.id = s->ids[s->n_tasks++],
		.service_id = "s1",
		.node_id = node,
		.container_id = "",
		.slot = slot,
		.desired_state = desired,
		.state = state,
		.message = "",
		.err = "",
		.exit_code = -1,
		.job_iteration = -1,
		.created_us = (int64_t)(s->now * 1000 + s->n_tasks),
		.state_us = (int64_t)(s->now * 1000 + s->n_tasks)};
	return t;
}

static struct docker_task *run(struct scene *s, int64_t slot)
{
	return add(s, slot, slot % 2 ? "n1" : "n2", DOCKER_TASK_RUNNING, DOCKER_TASK_RUNNING);
}

static struct docker_task *crash(struct scene *s, int64_t slot, const char *err, int64_t exit_code)
{
	struct docker_task *t = add(s, slot, "n1", DOCKER_TASK_SHUTDOWN, DOCKER_TASK_FAILED);
	t->err = err;
	t->exit_code = exit_code;
	return t;
}

static enum converge_verdict look_at(struct scene *s, const struct docker_service *service)
{
	struct docker_task sorted[TASKS];
	memcpy(sorted, s->tasks, sizeof(sorted));
	converge_sort(sorted, s->n_tasks);
	const struct converge_look l = {.service = service,
		.tasks = sorted,
		.n_tasks = s->n_tasks,
		.nodes = s->nodes,
		.n_nodes = 2,
		.now_ms = s->now};
	return converge_judge(&s->c, &l);
}

static enum converge_verdict look(struct scene *s)
{
	return look_at(s, &s->service);
}

static enum converge_verdict look_after(struct scene *s, uint64_t ms)
{
	s->now += ms;
	return look(s);
}

#define assert_says(s, text)                                                                       \
	do {                                                                                       \
		if (!strstr((s).c.message, text))                                                  \
			fail_msg("no \"%s\" in \"%s\"", text, (s).c.message);                      \
	} while (0)

/* ---- what is wanted ---- */

static void replicas_run_then_hold(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 2);
	(void)state;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_string_equal(s.c.message, "0 of 2 tasks are running");
	run(&s, 1);
	struct docker_task *second = add(&s, 2, "n2", DOCKER_TASK_RUNNING, DOCKER_TASK_STARTING);
	assert_int_equal(look_after(&s, 200), CONVERGE_WAIT);
	assert_int_equal(s.c.running, 1);
	assert_int_equal(s.c.wanted, 2);
	second->state = DOCKER_TASK_RUNNING;
	assert_int_equal(look_after(&s, 200), CONVERGE_HOLD);
	assert_int_equal(converge_state(&s.c), SERVICE_RUNNING);
	assert_string_equal(s.c.message, "running; verifying that it stays so for 5 s");
	assert_int_equal(look_after(&s, HOLD_MS - 1), CONVERGE_HOLD);
	assert_int_equal(look_after(&s, 1), CONVERGE_DONE);
	assert_string_equal(s.c.message, "");
	end(&s);
}

static void a_relapse_starts_the_hold_anew(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	struct docker_task *t = run(&s, 1);
	assert_int_equal(look(&s), CONVERGE_HOLD);
	t->state = DOCKER_TASK_FAILED;
	t->desired_state = DOCKER_TASK_SHUTDOWN;
	struct docker_task *next = add(&s, 1, "n1", DOCKER_TASK_READY, DOCKER_TASK_READY);
	assert_int_equal(look_after(&s, 4000), CONVERGE_WAIT);
	next->state = next->desired_state = DOCKER_TASK_RUNNING;
	assert_int_equal(look_after(&s, 500), CONVERGE_HOLD);
	assert_int_equal(look_after(&s, 4000), CONVERGE_HOLD);
	assert_int_equal(look_after(&s, 1000), CONVERGE_DONE);
	end(&s);
}

/* It failed and runs again, all between two looks. */
static void a_relapse_that_nobody_saw_starts_the_hold_anew(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	struct docker_task *t = run(&s, 1);
	assert_int_equal(look(&s), CONVERGE_HOLD);
	t->state = DOCKER_TASK_FAILED;
	t->desired_state = DOCKER_TASK_SHUTDOWN;
	t = run(&s, 1);
	assert_int_equal(look_after(&s, 4000), CONVERGE_HOLD);
	assert_int_equal(look_after(&s, 4000), CONVERGE_HOLD);
	crash(&s, 1, "boom", 1);
	assert_int_equal(look_after(&s, 500), CONVERGE_HOLD);
	crash(&s, 1, "boom", 1);
	t->state = DOCKER_TASK_FAILED;
	t->desired_state = DOCKER_TASK_SHUTDOWN;
	run(&s, 1);
	assert_int_equal(look_after(&s, 100), CONVERGE_FAILED);
	assert_int_equal(s.c.cause, CONVERGE_CRASHES);
	end(&s);
}

static void the_services_monitor_is_how_long_it_holds(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	json_object_set_new(
		s.spec, "UpdateConfig", json_pack("{s:I}", "Monitor", (json_int_t)1500000000));
	run(&s, 1);
	assert_int_equal(look(&s), CONVERGE_HOLD);
	assert_says(s, "1500 ms");
	assert_int_equal(look_after(&s, 1499), CONVERGE_HOLD);
	assert_int_equal(look_after(&s, 1), CONVERGE_DONE);
	end(&s);
}

static void a_gate_does_not_hold(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	s.c.gate = true;
	run(&s, 1);
	assert_int_equal(look(&s), CONVERGE_DONE);
	end(&s);
}

static void none_wanted_is_none_running(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 0);
	(void)state;
	struct docker_task *t = run(&s, 1);
	assert_int_equal(look(&s), CONVERGE_WAIT); /* the Engine has not yet stopped it */
	t->desired_state = DOCKER_TASK_REMOVE;
	assert_int_equal(look(&s), CONVERGE_HOLD);
	s.n_tasks = 0;
	assert_int_equal(look_after(&s, HOLD_MS), CONVERGE_DONE);
	end(&s);
}

static void one_task_stands_for_its_slot(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	crash(&s, 1, "old", 1);
	run(&s, 1);
	add(&s, 1, "n2", DOCKER_TASK_SHUTDOWN, DOCKER_TASK_SHUTDOWN);
	assert_int_equal(look(&s), CONVERGE_HOLD);
	assert_int_equal(s.c.running, 1);
	end(&s);
}

static void a_task_on_a_node_that_is_down_does_not_run(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 2);
	(void)state;
	run(&s, 1);
	run(&s, 2);
	s.nodes[1].state = DOCKER_NODE_DOWN;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(s.c.running, 1);
	end(&s);
}

static void a_global_service_runs_where_the_engine_wants_it(void **state)
{
	struct scene s = scene_of(DOCKER_GLOBAL, -1);
	(void)state;
	assert_int_equal(look(&s), CONVERGE_WAIT); /* no node has a task yet */
	add(&s, 0, "n1", DOCKER_TASK_RUNNING, DOCKER_TASK_RUNNING);
	struct docker_task *second = add(&s, 0, "n2", DOCKER_TASK_RUNNING, DOCKER_TASK_PREPARING);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(s.c.wanted, 2);
	second->state = DOCKER_TASK_RUNNING;
	assert_int_equal(look(&s), CONVERGE_HOLD);
	second->state = second->desired_state = DOCKER_TASK_SHUTDOWN; /* drained */
	assert_int_equal(look(&s), CONVERGE_HOLD);
	assert_int_equal(s.c.wanted, 1);
	second->state = second->desired_state = DOCKER_TASK_RUNNING;
	s.nodes[1].state = DOCKER_NODE_DOWN;
	assert_int_equal(look(&s), CONVERGE_HOLD);
	assert_int_equal(s.c.wanted, 1);
	end(&s);
}

static void a_job_is_done_when_all_have_ended_well(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED_JOB, 2);
	(void)state;
	s.service.job_iteration = 1;
	struct docker_task *old = add(&s, 0, "n1", DOCKER_TASK_COMPLETE, DOCKER_TASK_COMPLETE);
	old->job_iteration = 0;
	struct docker_task *first = add(&s, 0, "n1", DOCKER_TASK_COMPLETE, DOCKER_TASK_RUNNING);
	struct docker_task *second = add(&s, 1, "n1", DOCKER_TASK_COMPLETE, DOCKER_TASK_RUNNING);
	first->job_iteration = second->job_iteration = 1;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(
		look_after(&s, 100 * STALL_MS), CONVERGE_WAIT); /* it may run as long as it likes */
	first->state = DOCKER_TASK_COMPLETE;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	second->state = DOCKER_TASK_COMPLETE;
	assert_int_equal(look(&s), CONVERGE_DONE);
	assert_int_equal(converge_state(&s.c), SERVICE_COMPLETED);
	assert_int_equal(s.c.running, 2);
	end(&s);
}

/* Its first slot has the number 0, and its tasks may have been on several nodes. */
static void a_global_job(void **state)
{
	struct scene s = scene_of(DOCKER_GLOBAL_JOB, -1);
	(void)state;
	struct docker_task *first = add(&s, 0, "n1", DOCKER_TASK_COMPLETE, DOCKER_TASK_RUNNING);
	add(&s, 0, "n2", DOCKER_TASK_COMPLETE, DOCKER_TASK_COMPLETE);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(s.c.wanted, 2);
	first->state = DOCKER_TASK_COMPLETE;
	assert_int_equal(look(&s), CONVERGE_DONE);
	end(&s);
}

static void a_jobs_slot_is_one_whatever_the_node(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED_JOB, 1);
	(void)state;
	add(&s, 0, "n1", DOCKER_TASK_SHUTDOWN, DOCKER_TASK_FAILED);
	add(&s, 0, "n2", DOCKER_TASK_COMPLETE, DOCKER_TASK_COMPLETE);
	assert_int_equal(look(&s), CONVERGE_DONE);
	assert_int_equal(s.c.running, 1);
	end(&s);
}

static void what_others_wait_for_to_end_is_like_a_job(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	s.c.completes = s.c.gate = true;
	struct docker_task *t = run(&s, 1);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	t->state = DOCKER_TASK_COMPLETE;
	t->desired_state = DOCKER_TASK_SHUTDOWN;
	assert_int_equal(look(&s), CONVERGE_DONE);
	assert_int_equal(converge_state(&s.c), SERVICE_COMPLETED);
	end(&s);
}

/* ---- failures ---- */

static void a_crash_loop(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	add(&s, 1, "n1", DOCKER_TASK_READY, DOCKER_TASK_READY);
	crash(&s, 1, "boom", 3);
	crash(&s, 1, "boom", 3);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	struct docker_task *last = crash(&s, 1, "bang", 4);
	assert_int_equal(look(&s), CONVERGE_FAILED);
	assert_string_equal(s.c.message,
		"crash loop: task shop_web.1 on node alpha failed: bang (exit code 4)");
	assert_string_equal(converge_failed(&s.c)->id, last->id);
	assert_int_equal(converge_state(&s.c), SERVICE_FAILED);
	end(&s);
}

/* The Engine keeps the newest tasks only: who asks again later is told of one that is still there. */
static void what_has_failed_is_judged_again_by_what_failed_since(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	for (int i = 0; i < 3; i++)
		crash(&s, 1, "boom", 3);
	assert_int_equal(look(&s), CONVERGE_FAILED);
	char first[32];
	(void)snprintf(first, sizeof(first), "%s", converge_failed(&s.c)->id);
	struct docker_task *last = run(&s, 1);
	const struct converge_look l = {&s.service, s.tasks, s.n_tasks, s.nodes, 2, s.now};
	converge_judge_failed(&s.c, &l); /* it runs at this moment: no news */
	assert_int_equal(s.c.verdict, CONVERGE_FAILED);
	assert_string_equal(converge_failed(&s.c)->id, first);
	assert_says(s, "boom");
	last->state = DOCKER_TASK_FAILED;
	last->desired_state = DOCKER_TASK_SHUTDOWN;
	last->err = "bang";
	last->state_us += 1000000;
	converge_judge_failed(&s.c, &l);
	assert_int_equal(s.c.verdict, CONVERGE_FAILED);
	assert_string_equal(converge_failed(&s.c)->id, last->id);
	assert_says(s, "bang");
	end(&s);
}

static void failures_of_several_slots_are_no_loop(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 3);
	(void)state;
	for (int64_t slot = 1; slot <= 3; slot++) {
		crash(&s, slot, "boom", 1);
		add(&s, slot, "n1", DOCKER_TASK_RUNNING, DOCKER_TASK_STARTING);
	}
	assert_int_equal(look(&s), CONVERGE_WAIT);
	end(&s);
}

/* The same broken release was tried before: its history says nothing about this time. */
static void what_failed_before_the_last_write_does_not_count(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	for (int i = 0; i < 4; i++)
		crash(&s, 1, "boom", 1);
	s.now += 60000;
	s.service.updated_us = (int64_t)s.now * 1000;
	s.service.previous_spec = s.spec;
	add(&s, 1, "n1", DOCKER_TASK_RUNNING, DOCKER_TASK_PREPARING);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	for (int i = 0; i < 3; i++)
		crash(&s, 1, "boom", 1);
	assert_int_equal(look_after(&s, 200), CONVERGE_FAILED);
	end(&s);
}

/* Nobody has written it now: the cause may be mended since. */
static void what_failed_before_it_was_found_does_not_count(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	s.c.found = true;
	for (int i = 0; i < 4; i++)
		crash(&s, 1, "boom", 1);
	s.now += 1000;
	struct docker_task *t = add(&s, 1, "n1", DOCKER_TASK_RUNNING, DOCKER_TASK_PREPARING);
	t->state_us = s.tasks[0].state_us;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	for (int i = 0; i < 2; i++)
		crash(&s, 1, "boom", 1);
	assert_int_equal(look_after(&s, 200), CONVERGE_WAIT);
	crash(&s, 1, "boom", 1);
	assert_int_equal(look_after(&s, 200), CONVERGE_FAILED);
	end(&s);
}

/* The Engine stamps the service whenever its update moves on; what counts is when the update began.
 */
static void what_failed_since_the_update_began_counts(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	s.service.update.started_us = (int64_t)s.now * 1000;
	s.service.previous_spec = s.spec;
	for (int i = 0; i < 3; i++)
		crash(&s, 1, "boom", 1);
	add(&s, 1, "n1", DOCKER_TASK_READY, DOCKER_TASK_READY);
	s.now += 60000;
	s.service.updated_us = (int64_t)s.now * 1000;
	assert_int_equal(look(&s), CONVERGE_FAILED);
	end(&s);
}

static void rejections_are_believed_sooner(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	add(&s, 1, "n1", DOCKER_TASK_READY, DOCKER_TASK_READY);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(look(&s), CONVERGE_WAIT);
		add(&s, 1, "n1", DOCKER_TASK_SHUTDOWN, DOCKER_TASK_REJECTED)->err =
			"No such image: x";
	}
	assert_int_equal(look(&s), CONVERGE_FAILED);
	assert_says(s, "cannot start: task shop_web.1 on node alpha rejected: No such image: x");
	end(&s);
}

static void ending_well_again_and_again_is_failing_too(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	json_object_set_new(s.spec, "TaskTemplate",
		json_pack("{s:{s:{s:[s]}}}", "ContainerSpec", "Healthcheck", "Test", "CMD"));
	add(&s, 1, "n1", DOCKER_TASK_READY, DOCKER_TASK_READY);
	for (int i = 0; i < 3; i++)
		add(&s, 1, "n1", DOCKER_TASK_SHUTDOWN, DOCKER_TASK_COMPLETE)->exit_code = 0;
	assert_int_equal(look(&s), CONVERGE_FAILED);
	assert_says(s, "ends again and again; it may fail its health check: task shop_web.1");
	end(&s);
}

static void an_orphan(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	crash(&s, 1, "", 7)->message = "finished";
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, CONVERGE_ORPHAN_MS - 1), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, 1), CONVERGE_FAILED);
	assert_says(s, "ended, and its restart policy does not start it again: task shop_web.1 on "
		       "node alpha failed: finished");
	end(&s);
}

static void an_orphan_that_gets_a_successor_is_none(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	crash(&s, 1, "boom", 1);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	add(&s, 1, "n1", DOCKER_TASK_READY, DOCKER_TASK_READY);
	assert_int_equal(look_after(&s, CONVERGE_ORPHAN_MS), CONVERGE_WAIT);
	s.n_tasks--;
	assert_int_equal(look_after(&s, 100), CONVERGE_WAIT); /* counted from here */
	end(&s);
}

static void unschedulable(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	add(&s, 1, "", DOCKER_TASK_RUNNING, DOCKER_TASK_PENDING)->err = "no suitable node";
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_string_equal(s.c.message, "waits for a node: no suitable node");
	assert_int_equal(look_after(&s, CONVERGE_UNSCHEDULABLE_MS), CONVERGE_FAILED);
	assert_string_equal(
		s.c.message, "cannot be scheduled: task shop_web.1 pending: no suitable node");
	end(&s);
}

static void a_stall(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	struct docker_task *t = add(&s, 1, "n1", DOCKER_TASK_RUNNING, DOCKER_TASK_ACCEPTED);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, STALL_MS - 1), CONVERGE_WAIT);
	t->state = DOCKER_TASK_STARTING; /* progress */
	assert_int_equal(look_after(&s, 1), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, STALL_MS - 1), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, 1), CONVERGE_FAILED);
	assert_string_equal(s.c.message, "no progress for 20 s: 0 of 1 tasks are running; task shop_web.1 on node alpha is starting");
	end(&s);
}

/* An Engine that keeps no history shows one failure at a time: starting again is no progress. */
static void a_crash_loop_without_history_is_a_stall(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	enum converge_verdict v = CONVERGE_WAIT;
	unsigned looks = 0;
	(void)state;
	while (v == CONVERGE_WAIT && looks++ < 1000) {
		s.n_tasks = 0;
		crash(&s, 1, "boom", 1);
		add(&s, 1, "n1", DOCKER_TASK_RUNNING,
			looks % 2 ? DOCKER_TASK_READY : DOCKER_TASK_STARTING);
		v = look_after(&s, 500);
	}
	assert_int_equal(v, CONVERGE_FAILED);
	assert_in_range(looks, STALL_MS / 500, STALL_MS / 500 + 3);
	assert_says(s, "boom");
	assert_string_not_equal(converge_failed(&s.c)->id, "");
	end(&s);
}

static void patience_is_what_the_spec_asks_for(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	const json_int_t second = 1000000000;
	(void)state;
	json_object_set_new(s.spec, "TaskTemplate",
		json_pack("{s:{s:{s:I, s:I, s:I, s:i}, s:I}, s:{s:I}}", "ContainerSpec",
			"Healthcheck", "StartPeriod", 30 * second, "Interval", 10 * second,
			"Timeout", 5 * second, "Retries", 3, "StopGracePeriod", 60 * second,
			"RestartPolicy", "Delay", 5 * second));
	json_object_set_new(s.spec, "UpdateConfig",
		json_pack("{s:I, s:I}", "Delay", 100 * second, "Monitor", 7 * second));
	uint64_t patience = STALL_MS + 1000 * (30 + 3 * (10 + 5) + 60 + 5 + 100 + 7);
	add(&s, 1, "n1", DOCKER_TASK_RUNNING, DOCKER_TASK_STARTING);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, patience - 1), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, 1), CONVERGE_FAILED);
	end(&s);
}

static void pulling_may_take_longer(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	add(&s, 1, "n1", DOCKER_TASK_RUNNING, DOCKER_TASK_PREPARING);
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, CONVERGE_PULL_MS - 1), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, 1), CONVERGE_FAILED);
	end(&s);
}

static void an_interruption_counts_for_nothing(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	struct docker_task *t = run(&s, 1);
	assert_int_equal(look(&s), CONVERGE_HOLD);
	converge_interrupted(&s.c);
	assert_int_equal(look_after(&s, HOLD_MS * 2), CONVERGE_HOLD);
	t->state = DOCKER_TASK_STARTING;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	converge_interrupted(&s.c);
	assert_int_equal(look_after(&s, STALL_MS * 2), CONVERGE_WAIT);
	end(&s);
}

static void the_engines_own_update(void **state)
{
	static const struct {
		enum docker_update_state state;
		enum converge_verdict verdict;
	} cases[] = {
		{DOCKER_UPDATE_NONE, CONVERGE_HOLD},
		{DOCKER_UPDATE_UPDATING, CONVERGE_WAIT},
		{DOCKER_UPDATE_COMPLETED, CONVERGE_HOLD},
		{DOCKER_UPDATE_PAUSED, CONVERGE_FAILED},
		{DOCKER_ROLLBACK_STARTED, CONVERGE_FAILED},
		{DOCKER_ROLLBACK_PAUSED, CONVERGE_FAILED},
		{DOCKER_ROLLBACK_COMPLETED, CONVERGE_FAILED},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s = scene_of(DOCKER_REPLICATED, 1);
		run(&s, 1);
		s.service.update.state = cases[i].state;
		s.service.update.message = "its words";
		bool bad = cases[i].verdict == CONVERGE_FAILED;
		assert_int_equal(look(&s),
			bad ? CONVERGE_WAIT
			    : cases[i].verdict); /* the task that did it may come to be seen */
		assert_int_equal(look_after(&s, CONVERGE_STOPPED_MS), cases[i].verdict);
		if (bad)
			assert_says(s, "its words");
		end(&s);
	}
}

/* Both watch the same tasks for the same time: one after the other would be twice as long. */
static void the_hold_begins_while_the_engine_still_watches(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	run(&s, 1);
	s.service.update.state = DOCKER_UPDATE_UPDATING;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, HOLD_MS + 100), CONVERGE_WAIT);
	s.service.update.state = DOCKER_UPDATE_COMPLETED;
	assert_int_equal(look_after(&s, 100), CONVERGE_DONE);
	end(&s);
	s = scene_of(DOCKER_REPLICATED, 1);
	struct docker_task *t = run(&s, 1);
	s.service.update.state = DOCKER_UPDATE_UPDATING;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	t->state = DOCKER_TASK_FAILED;
	t->desired_state = DOCKER_TASK_SHUTDOWN;
	run(&s, 1);
	assert_int_equal(look_after(&s, HOLD_MS), CONVERGE_WAIT);
	s.service.update.state = DOCKER_UPDATE_COMPLETED;
	assert_int_equal(look_after(&s, 100), CONVERGE_HOLD);
	assert_int_equal(look_after(&s, HOLD_MS), CONVERGE_DONE);
	end(&s);
}

/* The Engine has rolled back: the task that failed is of another spec now, but it was seen. */
static void a_roll_back_is_told_by_the_task_that_was_seen(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	const char *id = crash(&s, 1, "boom", 1)->id;
	add(&s, 1, "n1", DOCKER_TASK_READY, DOCKER_TASK_READY);
	s.service.update.state = DOCKER_UPDATE_UPDATING;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	s.n_tasks = 0;
	run(&s, 1);
	s.service.update.state = DOCKER_ROLLBACK_COMPLETED;
	assert_int_equal(look(&s), CONVERGE_FAILED);
	assert_says(s, "the Engine's update is rollback_completed: task shop_web.1 on node alpha "
		       "failed: boom");
	assert_string_equal(converge_failed(&s.c)->id, id);
	end(&s);
}

/* A global service's tasks are made for nodes that suit: where none does, there is nothing to see. */
static void a_global_service_that_suits_no_node(void **state)
{
	struct scene s = scene_of(DOCKER_GLOBAL, -1);
	(void)state;
	assert_int_equal(look(&s), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, CONVERGE_UNSCHEDULABLE_MS - 1), CONVERGE_WAIT);
	assert_int_equal(look_after(&s, 1), CONVERGE_FAILED);
	assert_int_equal(s.c.cause, CONVERGE_UNSCHEDULABLE);
	assert_says(s, "cannot be scheduled: no suitable node");
	end(&s);
}

static void a_service_that_is_gone(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	assert_int_equal(look_at(&s, NULL), CONVERGE_FAILED);
	assert_says(s, "gone");
	end(&s);
}

static void one_look_only(void **state)
{
	struct scene s = scene_of(DOCKER_REPLICATED, 1);
	(void)state;
	s.c.once = true;
	struct docker_task *t = run(&s, 1);
	assert_int_equal(look(&s), CONVERGE_DONE);
	t->desired_state = DOCKER_TASK_SHUTDOWN;
	t->state = DOCKER_TASK_FAILED;
	assert_int_equal(look(&s), CONVERGE_FAILED);
	t->state = DOCKER_TASK_COMPLETE;
	assert_int_equal(look(&s), CONVERGE_FAILED);
	json_object_set_new(s.spec, "TaskTemplate",
		json_pack("{s:{s:s}}", "RestartPolicy", "Condition", "none"));
	assert_int_equal(look(&s), CONVERGE_DONE);
	assert_int_equal(converge_state(&s.c), SERVICE_COMPLETED);
	t->state = DOCKER_TASK_PENDING;
	t->desired_state = DOCKER_TASK_RUNNING;
	t->err = "no suitable node";
	assert_int_equal(look(&s), CONVERGE_FAILED);
	t->err = "";
	assert_int_equal(look(&s), CONVERGE_WAIT);
	end(&s);
}

/* ---- many ---- */

static void tasks_of_one_service_are_found(void **state)
{
	struct docker_task t[6];
	const char *services[] = {"c", "a", "b", "a", "c", "c"};
	size_t n;
	(void)state;
	for (size_t i = 0; i < 6; i++)
		t[i] = (struct docker_task){.id = "x", .service_id = services[i], .node_id = ""};
	converge_sort(t, 6);
	assert_string_equal(converge_tasks(t, 6, "a", &n)->service_id, "a");
	assert_int_equal(n, 2);
	converge_tasks(t, 6, "c", &n);
	assert_int_equal(n, 3);
	converge_tasks(t, 6, "aa", &n);
	assert_int_equal(n, 0);
	converge_tasks(t, 6, "z", &n);
	assert_int_equal(n, 0);
	converge_tasks(NULL, 0, "a", &n);
	assert_int_equal(n, 0);
}

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* 10,000 replicas with a history, in the worst order. The bound is for a build with sanitizers. */
static void many_tasks_do_not_stall_the_loop(void **state)
{
	enum { N = 10000 };
	struct docker_task *tasks = calloc(2 * N, sizeof(*tasks));
	char(*ids)[12] = calloc(2 * N, sizeof(*ids));
	struct scene s = scene_of(DOCKER_REPLICATED, N);
	(void)state;
	for (size_t i = 0; i < 2 * N; i++) {
		bool old = i >= N;
		(void)snprintf(ids[i], sizeof(ids[i]), "t%zu", i);
		tasks[i] = (struct docker_task){.id = ids[i],
			.service_id = "s1",
			.node_id = i % 2 ? "n1" : "n2",
			.slot = (int64_t)(i * 7919 % N) + 1,
			.desired_state = old ? DOCKER_TASK_SHUTDOWN : DOCKER_TASK_RUNNING,
			.state = old ? DOCKER_TASK_FAILED : DOCKER_TASK_STARTING,
			.message = "",
			.err = "",
			.job_iteration = -1};
	}
	int64_t before = now_us();
	converge_sort(tasks, 2 * N);
	const struct converge_look l = {&s.service, tasks, 2 * N, s.nodes, 2, s.now};
	assert_int_equal(converge_judge(&s.c, &l), CONVERGE_WAIT);
	assert_true(now_us() - before < 200000);
	assert_int_equal(s.c.wanted, N);
	free(tasks);
	free(ids);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replicas_run_then_hold),
		cmocka_unit_test(a_relapse_starts_the_hold_anew),
		cmocka_unit_test(a_relapse_that_nobody_saw_starts_the_hold_anew),
		cmocka_unit_test(the_services_monitor_is_how_long_it_holds),
		cmocka_unit_test(a_gate_does_not_hold),
		cmocka_unit_test(none_wanted_is_none_running),
		cmocka_unit_test(one_task_stands_for_its_slot),
		cmocka_unit_test(a_task_on_a_node_that_is_down_does_not_run),
		cmocka_unit_test(a_global_service_runs_where_the_engine_wants_it),
		cmocka_unit_test(a_job_is_done_when_all_have_ended_well),
		cmocka_unit_test(a_global_job),
		cmocka_unit_test(a_jobs_slot_is_one_whatever_the_node),
		cmocka_unit_test(what_others_wait_for_to_end_is_like_a_job),
		cmocka_unit_test(a_crash_loop),
		cmocka_unit_test(what_has_failed_is_judged_again_by_what_failed_since),
		cmocka_unit_test(failures_of_several_slots_are_no_loop),
		cmocka_unit_test(what_failed_before_the_last_write_does_not_count),
		cmocka_unit_test(what_failed_before_it_was_found_does_not_count),
		cmocka_unit_test(what_failed_since_the_update_began_counts),
		cmocka_unit_test(rejections_are_believed_sooner),
		cmocka_unit_test(ending_well_again_and_again_is_failing_too),
		cmocka_unit_test(an_orphan),
		cmocka_unit_test(an_orphan_that_gets_a_successor_is_none),
		cmocka_unit_test(unschedulable),
		cmocka_unit_test(a_stall),
		cmocka_unit_test(a_crash_loop_without_history_is_a_stall),
		cmocka_unit_test(patience_is_what_the_spec_asks_for),
		cmocka_unit_test(pulling_may_take_longer),
		cmocka_unit_test(an_interruption_counts_for_nothing),
		cmocka_unit_test(the_engines_own_update),
		cmocka_unit_test(the_hold_begins_while_the_engine_still_watches),
		cmocka_unit_test(a_roll_back_is_told_by_the_task_that_was_seen),
		cmocka_unit_test(a_global_service_that_suits_no_node),
		cmocka_unit_test(a_service_that_is_gone),
		cmocka_unit_test(one_look_only),
		cmocka_unit_test(tasks_of_one_service_are_found),
		cmocka_unit_test(many_tasks_do_not_stall_the_loop),
	};
	return cmocka_run_group_tests_name("converge", tests, NULL, NULL);
}
