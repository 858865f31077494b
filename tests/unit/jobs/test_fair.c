/* Turns, weights, costs, caps, reserved places: a small world of queues that fair empties. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "jobs/fair.h"
#include "jobs/kinds.h"

#define MAX 60

struct play {
	struct fair *fair;
	struct fair_places places;
	struct db_queue queues[MAX]; /* as they are */
	struct db_pick picks[MAX];
	size_t n, n_picks;
};

static int set_up(void **state)
{
	static struct play p;
	p = (struct play){.fair = fair_create(), .places = {.total = 10}};
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	fair_destroy(((struct play *)*state)->fair);
	return 0;
}

static struct db_queue *add(struct play *p, unsigned project, enum job_kind kind, unsigned waiting)
{
	struct db_queue *q = &p->queues[p->n++];
	*q = (struct db_queue){.kind = kind, .waiting = waiting, .weight = 1};
	(void)snprintf(q->project_id.text, sizeof(q->project_id.text), "%036u", project);
	return q;
}

/* What is left goes to fair; what it picks begins to run. */
static unsigned turn(struct play *p)
{
	struct db_queue left[MAX];
	unsigned sum = 0;
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->queues[i].waiting)
			left[n++] = p->queues[i];
	p->n_picks = fair_pick(p->fair, &p->places, 0, left, n, p->picks);
	for (size_t i = 0; i < p->n_picks; i++) {
		const struct db_pick *k = &p->picks[i];
		p->places.here[k->kind] += k->n;
		sum += k->n;
		for (size_t j = 0; j < p->n; j++) {
			struct db_queue *q = &p->queues[j];
			bool mine = strcmp(q->project_id.text, k->project_id.text) == 0;
			q->waiting -= mine && q->kind == k->kind ? k->n : 0;
			q->kind_running += mine && q->kind == k->kind ? k->n : 0;
			q->project_running += mine ? k->n : 0;
		}
	}
	return sum;
}

static void all_end(struct play *p)
{
	memset(p->places.here, 0, sizeof(p->places.here));
	for (size_t i = 0; i < p->n; i++)
		p->queues[i].kind_running = p->queues[i].project_running = 0;
}

static unsigned picked(const struct play *p, const struct db_queue *q)
{
	for (size_t i = 0; i < p->n_picks; i++)
		if (p->picks[i].kind == q->kind &&
			strcmp(p->picks[i].project_id.text, q->project_id.text) == 0)
			return p->picks[i].n;
	return 0;
}

static void a_lonely_project_has_every_place(void **state)
{
	struct play *p = *state;
	add(p, 1, JOB_DEPLOY, 100000);
	assert_int_equal(turn(p), 10);
	assert_int_equal(turn(p), 0);
}

static void nothing_waits(void **state)
{
	struct play *p = *state;
	assert_int_equal(turn(p), 0);
	add(p, 1, JOB_SCALE, 0);
	assert_int_equal(turn(p), 0);
}

static void places_are_shared(void **state)
{
	struct play *p = *state;
	struct db_queue *big = add(p, 1, JOB_SCALE, 100000);
	struct db_queue *small = add(p, 2, JOB_SCALE, 3), *other = add(p, 3, JOB_SCALE, 100);
	assert_int_equal(turn(p), 10);
	assert_int_equal(picked(p, small), 3);
	assert_in_range(picked(p, big), 3, 4);
	assert_in_range(picked(p, other), 3, 4);
}

/* However many wait in one project, the job of another is among the next that start. */
static void nobody_waits_behind_a_flood(void **state)
{
	struct play *p = *state;
	add(p, 1, JOB_SCALE, 100000);
	for (unsigned i = 2; i <= 51; i++)
		add(p, i, JOB_SCALE, 10);
	unsigned turns = 0, left = 500, seen[52] = {0};
	for (; left > 0; turns++) {
		all_end(p);
		assert_int_equal(turn(p), 10);
		for (unsigned i = 2; i <= 51; i++) {
			unsigned k = picked(p, &p->queues[i - 1]);
			left -= k;
			seen[i] += k;
			for (unsigned j = 2; j <= 51; j++) /* none is ahead by more than a turn */
				assert_true(seen[i] <= seen[j] + 2);
		}
	}
	assert_in_range(turns, 51, 52); /* 500 and one in 51 of the flood */
}

static void one_place_goes_round(void **state)
{
	struct play *p = *state;
	p->places.total = 1;
	for (unsigned i = 1; i <= 3; i++)
		add(p, i, JOB_SCALE, 10);
	for (unsigned i = 0; i < 6; i++) {
		all_end(p);
		assert_int_equal(turn(p), 1);
		assert_int_equal(picked(p, &p->queues[i % 3]), 1);
	}
}

static void weight_is_a_share(void **state)
{
	struct play *p = *state;
	struct db_queue *light = add(p, 1, JOB_SCALE, 1000), *heavy = add(p, 2, JOB_SCALE, 1000);
	unsigned got_light = 0, got_heavy = 0;
	heavy->weight = 3;
	for (unsigned i = 0; i < 20; i++) {
		all_end(p);
		turn(p);
		got_light += picked(p, light);
		got_heavy += picked(p, heavy);
	}
	assert_int_equal(got_light + got_heavy, 200);
	assert_in_range(got_heavy, 147, 153);
}

static void what_costs_more_comes_less_often(void **state)
{
	struct play *p = *state;
	struct db_queue *builds = add(p, 1, JOB_DEPLOY, 1000), *scales = add(p, 2, JOB_SCALE, 1000);
	unsigned got[2] = {0};
	for (unsigned i = 0; i < 20; i++) {
		all_end(p);
		turn(p);
		got[0] += picked(p, builds);
		got[1] += picked(p, scales);
	}
	unsigned cost = job_rule_of(JOB_DEPLOY)->cost;
	assert_in_range(got[0] * cost, got[1] - cost, got[1] + cost);
}

static void what_it_cost_on_top_is_paid_later(void **state)
{
	struct play *p = *state;
	struct db_queue *a = add(p, 1, JOB_SCALE, 1000), *b = add(p, 2, JOB_SCALE, 1000);
	p->places.total = 1;
	turn(p);
	assert_int_equal(picked(p, a), 1);
	fair_charge(p->fair, &a->project_id, 5);
	for (unsigned i = 0; i < 6; i++) {
		all_end(p);
		turn(p);
		assert_int_equal(picked(p, b), i < 5 || i == 5);
	}
	all_end(p);
	turn(p);
	assert_int_equal(picked(p, a), 1);
	/* Of a project that is not there: nothing. */
	fair_charge(p->fair, &(struct uuid){"nobody"}, 5);
}

/* A debt is bounded, and alone the project does not wait for anybody. */
static void a_debtor_alone_goes_on(void **state)
{
	struct play *p = *state;
	struct db_queue *a = add(p, 1, JOB_SCALE, 1000);
	turn(p);
	fair_charge(p->fair, &a->project_id, UINT32_MAX);
	all_end(p);
	assert_int_equal(turn(p), 10);
}

static void points_are_not_saved(void **state)
{
	struct play *p = *state;
	struct db_queue *a = add(p, 1, JOB_SCALE, 1), *b = add(p, 2, JOB_SCALE, 100000);
	a->weight = 100;
	turn(p);
	assert_int_equal(picked(p, a), 1);
	a->weight = 1;
	for (unsigned i = 0; i < 5; i++) {
		all_end(p);
		turn(p);
	}
	a->waiting = 100;
	all_end(p);
	turn(p);
	assert_in_range(picked(p, b), 5, 5);
}

static void a_project_has_its_cap(void **state)
{
	struct play *p = *state;
	struct db_queue *a = add(p, 1, JOB_SCALE, 100), *b = add(p, 1, JOB_DEPLOY, 100);
	struct db_queue *other = add(p, 2, JOB_SCALE, 100);
	a->max_running = b->max_running = 3;
	a->project_running = b->project_running = 1; /* in another daemon */
	p->places.max_running = 5;
	assert_int_equal(turn(p), 7);
	assert_int_equal(picked(p, a) + picked(p, b), 2);
	assert_int_equal(picked(p, other), 5); /* the default */
	a->project_running = 9;
	assert_int_equal(turn(p), 0);
}

static void a_kind_has_its_caps(void **state)
{
	struct play *p = *state;
	const struct job_rule *build = job_rule_of(JOB_BUILD);
	struct db_queue *a = add(p, 1, JOB_BUILD, 100);
	assert_int_equal(turn(p), build->in_project);
	assert_int_equal(turn(p), 0);
	a->kind_running = 0; /* they run here still */
	assert_int_equal(turn(p), build->here - build->in_project);
}

static void some_places_are_kept_for_short_jobs(void **state)
{
	struct play *p = *state;
	struct db_queue *deploys = add(p, 1, JOB_DEPLOY, 100);
	p->places.reserved = 2;
	assert_int_equal(turn(p), 8);
	struct db_queue *removes = add(p, 2, JOB_REMOVE, 100);
	assert_int_equal(turn(p), 2);
	assert_int_equal(picked(p, removes), 2);
	/* Short ones that run stand in the kept places first. */
	all_end(p);
	removes->waiting = 0;
	p->places.here[JOB_REMOVE] = 8;
	assert_int_equal(turn(p), 2);
	assert_int_equal(picked(p, deploys), 2);
	/* One place is never kept. */
	all_end(p);
	p->places.total = 1;
	assert_int_equal(turn(p), 1);
}

/* Places come free one by one, and behind each there are free ones that only short jobs may have. */
static void nobody_waits_behind_a_flood_beside_kept_places(void **state)
{
	struct play *p = *state;
	struct db_queue *flood = add(p, 1, JOB_SCALE, 100000), *two = add(p, 2, JOB_SCALE, 100),
			*three = add(p, 3, JOB_SCALE, 100);
	unsigned of_two = 0, of_three = 0;
	p->places.reserved = 2;
	three->weight = 2;
	assert_int_equal(turn(p), 8);
	for (int i = 0; i < 40; i++) {
		p->places.here[JOB_SCALE]--;
		assert_int_equal(turn(p), 1);
		assert_true(picked(p, flood) + picked(p, two) + picked(p, three) == 1);
		of_two += picked(p, two);
		of_three += picked(p, three);
	}
	assert_int_equal(of_two, 10);
	assert_int_equal(of_three, 20);
}

static void quick_ones_are_claimed_ahead(void **state)
{
	struct play *p = *state;
	struct db_queue *quick = add(p, 1, JOB_SCALE, 1000), *slow = add(p, 2, JOB_RESTART, 1000);
	p->places.ahead = 30;
	p->places.quick[JOB_SCALE] = true;
	assert_int_equal(turn(p), 40);
	assert_int_equal(picked(p, slow), 10); /* as many as there are places, though others have them for now */
	assert_int_equal(picked(p, quick), 30);
	assert_int_equal(turn(p), 0);
	/* The places are the slow ones' by now: nothing is claimed for them beyond. */
	p->places.here[JOB_SCALE] = 0;
	assert_int_equal(turn(p), 30);
	assert_int_equal(picked(p, slow), 0);
	/* It takes turns as ever. */
	all_end(p);
	struct db_queue *other = add(p, 3, JOB_SCALE, 100);
	slow->waiting = 0;
	assert_int_equal(turn(p), 40);
	assert_int_equal(picked(p, quick), 20);
	assert_int_equal(picked(p, other), 20);
}

static void ahead_the_caps_hold_and_places_are_kept(void **state)
{
	struct play *p = *state;
	struct db_queue *quick = add(p, 1, JOB_SCALE, 1000), *slow = add(p, 2, JOB_RESTART, 1000);
	p->places.ahead = 30;
	p->places.reserved = 2;
	p->places.quick[JOB_SCALE] = true;
	quick->max_running = 5;
	assert_int_equal(turn(p), 13);
	assert_int_equal(picked(p, quick), 5);
	assert_int_equal(picked(p, slow), 8);
	struct db_queue *removes = add(p, 3, JOB_REMOVE, 100);
	assert_int_equal(turn(p), 2);
	assert_int_equal(picked(p, removes), 2);
}

static void inside_a_project_priority_then_age(void **state)
{
	struct play *p = *state;
	struct db_queue *deploy = add(p, 1, JOB_DEPLOY, 5), *update = add(p, 1, JOB_UPDATE, 5);
	struct db_queue *remove = add(p, 1, JOB_REMOVE, 1);
	p->places.total = 1;
	deploy->oldest_us = 2;
	update->oldest_us = 1;
	turn(p);
	assert_int_equal(picked(p, remove), 1);
	all_end(p);
	turn(p);
	assert_int_equal(picked(p, update), 1);
}

static void what_is_taken_over_takes_places(void **state)
{
	struct play *p = *state;
	add(p, 1, JOB_SCALE, 100);
	size_t n = fair_pick(p->fair, &p->places, 7, p->queues, 1, p->picks);
	assert_int_equal(n, 1);
	assert_int_equal(p->picks[0].n, 3);
	assert_int_equal(fair_pick(p->fair, &p->places, 12, p->queues, 1, p->picks), 0);
}

static void why_a_job_waits(void **state)
{
	(void)state;
	struct db_job_stats s = {.slots = 4, .running = 3};
	struct db_waiting w = {.job = {.kind = JOB_BUILD}, .pause = ""};
	assert_int_equal(fair_wait(&s, &w, 0), WAIT_TURN);
	s.running = 4;
	assert_int_equal(fair_wait(&s, &w, 0), WAIT_PLACES);
	w.kind_running = job_rule_of(JOB_BUILD)->in_project;
	assert_int_equal(fair_wait(&s, &w, 0), WAIT_KIND_CAP);
	w.project_running = 3;
	assert_int_equal(fair_wait(&s, &w, 3), WAIT_PROJECT_CAP);
	w.max_running = 4;
	assert_int_equal(fair_wait(&s, &w, 3), WAIT_KIND_CAP);
	w.later = true;
	assert_int_equal(fair_wait(&s, &w, 0), WAIT_LATER);
	w.blocker = (struct uuid){"another"};
	assert_int_equal(fair_wait(&s, &w, 0), WAIT_STACK);
	w.pause = "the project is paused";
	assert_int_equal(fair_wait(&s, &w, 0), WAIT_PAUSED);
}

static void every_kind_has_a_rule(void **state)
{
	(void)state;
	for (int k = JOB_DEPLOY; k < JOB_KINDS; k++) {
		const struct job_rule *r = job_rule_of((enum job_kind)k);
		assert_int_equal(r->kind, k);
		assert_true(r->cost > 0 && r->attempts > 0 && r->limit_s > 0);
		assert_true(r->first_ms > 0 && r->first_ms <= r->most_ms);
	}
	assert_non_null(job_rule_of((enum job_kind)99));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lonely_project_has_every_place),
		TEST(nothing_waits),
		TEST(places_are_shared),
		TEST(nobody_waits_behind_a_flood),
		TEST(one_place_goes_round),
		TEST(weight_is_a_share),
		TEST(what_costs_more_comes_less_often),
		TEST(what_it_cost_on_top_is_paid_later),
		TEST(a_debtor_alone_goes_on),
		TEST(points_are_not_saved),
		TEST(a_project_has_its_cap),
		TEST(a_kind_has_its_caps),
		TEST(some_places_are_kept_for_short_jobs),
		TEST(nobody_waits_behind_a_flood_beside_kept_places),
		TEST(quick_ones_are_claimed_ahead),
		TEST(ahead_the_caps_hold_and_places_are_kept),
		TEST(inside_a_project_priority_then_age),
		TEST(what_is_taken_over_takes_places),
		TEST(why_a_job_waits),
		TEST(every_kind_has_a_rule),
	};
	return cmocka_run_group_tests_name("fair", tests, NULL, NULL);
}
