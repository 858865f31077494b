#include "jobs/runs.h"

#include <string.h>

/* What was claimed ahead and has no place by then goes back: the kind was not as quick as it had been. */
#define LINE_MS 100

struct job_run *runs_find(const struct runs *r, const char *job_id)
{
	list_for_each (&r->all, n) {
		struct job_run *run = container_of(n, struct job_run, node);
		if (!job_run_is_over(run) && strcmp(run->job->id.text, job_id) == 0)
			return run;
	}
	return NULL;
}

/* ---- places and the line ---- */

static void take_place(struct runs *r, struct job_run *run)
{
	run->has_place = true;
	run->began_ms = loop_now_ms(r->loop);
	r->n_placed++;
	job_run_start(run);
}

static void leave_line(struct runs *r, struct job_run *run)
{
	run->waits = false;
	list_remove(&run->line);
	r->n_line--;
}

void runs_leave_place(struct runs *r, struct job_run *run)
{
	if (!run->has_place && !run->waits)
		return;
	if (run->waits) {
		leave_line(r, run);
	} else {
		ahead_ran(&r->ahead, run->job->kind, loop_now_ms(r->loop) - run->began_ms);
		run->has_place = false;
		r->n_placed--;
	}
	r->places.here[run->job->kind]--;
}

/* Those that were abandoned meanwhile are on their way out. */
static struct job_run *first_in_line(struct runs *r)
{
	while (r->n_line > 0) {
		struct job_run *run = container_of(r->line.next, struct job_run, line);
		if (!job_run_is_over(run))
			return run;
		runs_leave_place(r, run);
	}
	return NULL;
}

void runs_fill_places(struct runs *r)
{
	struct job_run *run;
	while (r->n_placed < r->places.total && (run = first_in_line(r))) {
		leave_line(r, run);
		take_place(r, run);
	}
}

static void take_place_or_wait(struct runs *r, struct job_run *run)
{
	r->places.here[run->job->kind]++;
	if (r->n_line == 0 && r->n_placed < r->places.total) {
		take_place(r, run);
		return;
	}
	run->waits = true;
	run->began_ms = loop_now_ms(r->loop);
	list_push(&r->line, &run->line);
	r->n_line++;
	if (!timer_is_set(&r->line_limit))
		timer_set(&r->line_limit, LINE_MS);
}

/* Those that have waited since then or before, and have done nothing. */
static void hand_line_back(struct runs *r, uint64_t since_ms)
{
	struct job_run *run;
	while ((run = first_in_line(r)) && run->began_ms <= since_ms)
		job_run_hand_back(run); /* which takes it out of the line */
}

void runs_hand_line_back(struct runs *r)
{
	hand_line_back(r, UINT64_MAX);
}

static void on_line_limit(struct timer *t)
{
	struct runs *r = container_of(t, struct runs, line_limit);
	hand_line_back(r, loop_now_ms(r->loop) - LINE_MS);
	if (r->n_line > 0)
		timer_set(t, LINE_MS);
}

/* ---- all ---- */

void runs_init(struct runs *r, struct loop *loop, const struct fair_places *places)
{
	*r = (struct runs){.loop = loop, .places = *places};
	list_init(&r->all);
	list_init(&r->line);
	ahead_init(&r->ahead);
	timer_init(&r->line_limit, loop, on_line_limit);
}

void runs_stop(struct runs *r)
{
	timer_stop(&r->line_limit);
}

void runs_add(struct runs *r, struct job_run *run)
{
	list_push(&r->all, &run->node);
	r->n++;
	take_place_or_wait(r, run);
}

void runs_remove(struct runs *r, struct job_run *run)
{
	list_remove(&run->node);
	r->n--;
	runs_leave_place(r, run);
}

void runs_hand_all_back(struct runs *r)
{
	list_for_each (&r->all, n)
		job_run_hand_back(container_of(n, struct job_run, node));
}

/* ---- room ---- */

/* What runs for longer than its kind used to is no quick one any more. */
unsigned runs_count_ahead(struct runs *r)
{
	uint64_t now = loop_now_ms(r->loop);
	list_for_each (&r->all, n) {
		const struct job_run *run = container_of(n, struct job_run, node);
		if (run->has_place && now - run->began_ms > AHEAD_MS)
			ahead_ran(&r->ahead, run->job->kind, now - run->began_ms);
	}
	for (int k = 0; k < JOB_KINDS; k++)
		r->places.quick[k] = ahead_is_quick(&r->ahead, (enum job_kind)k);
	r->places.ahead = ahead_of(&r->ahead, r->places.total);
	return r->places.ahead;
}

unsigned runs_too_many_ending(const struct runs *r)
{
	size_t ending = r->n - r->n_placed - r->n_line, most = r->places.total + r->places.ahead;
	return ending > most ? (unsigned)(ending - most) : 0;
}

unsigned runs_room(const struct runs *r, unsigned places)
{
	size_t taken = r->n_placed + r->n_line + runs_too_many_ending(r);
	return places > taken ? places - (unsigned)taken : 0;
}
