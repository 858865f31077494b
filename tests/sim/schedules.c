/* Schedules: restarts and scales that nobody asks for. What must hold, whoever sleeps, dies or is not answered:
 *
 *	once        each run is seen to once, in order, and none is left out without a word
 *	no overlap  none is submitted while the job of the run before has not ended; none before it is due
 *	alive       behind the faults every schedule is looked after (at most ALIVE_MS late) */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_US INT64_C(60000000)
#define ALIVE_MS  40000 /* a look every 30 s, at the latest */

/* All expressions are of the form "every n minutes". */
static int64_t first_after(const char *cron, int64_t us)
{
	int64_t every = (cron[1] == '/' ? cron[2] - '0' : 1) * MINUTE_US;
	return us - us % every + every;
}

static void on_schedule(void *data, const struct db_schedule *before, const struct db_schedule *after)
{
	static const char *const outcomes[] = {"", "submitted", "skipped", "missed", "refused"};
	struct sim *s = data;
	int64_t now = store_schedule_now_us(s->store);
	if (s->over)
		return;
	sim_trace(s, "job", "schedule %s of %s/%s: the run of %lld is %s; the next one is of %lld", after->name, after->project, after->stack,
		(long long)before->next_us / 1000000, outcomes[after->last_outcome], (long long)after->next_us / 1000000);
	s->scheduled++;
	if (after->next_us <= before->next_us || after->due_us < after->next_us)
		sim_fail(s, "schedule %s: behind the run of %lld comes that of %lld", after->name, (long long)before->next_us / 1000000,
			(long long)after->next_us / 1000000);
	if (after->next_us > first_after(after->cron, now))
		sim_fail(s, "schedule %s: the run of %lld is left out", after->name, (long long)first_after(after->cron, now) / 1000000);
	if (before->due_us > now)
		sim_fail(s, "schedule %s: the run of %lld comes too early", after->name, (long long)before->next_us / 1000000);
	bool ended = before->last_job_state == 0 || job_state_is_end(before->last_job_state);
	if (after->last_outcome == SCHEDULE_SUBMITTED && !ended)
		sim_fail(s, "schedule %s: its job %s has not ended, and there is another", after->name, before->last_job_id.text);
}

static void on_make(struct timer *t)
{
	static const char *const crons[] = {"* * * * *", "*/2 * * * *", "*/5 * * * *"};
	struct sim *s = container_of(t, struct sim, schedule_timer);
	struct sim_rng *r = &s->schedule_rng;
	if (s->quiet || s->store->n_schedules == s->n_schedules)
		return;
	if (s->store->n_stacks > 0) {
		const struct store_stack *stack = s->store->stacks[sim_below(r, s->store->n_stacks)];
		char name[8];
		(void)snprintf(name, sizeof(name), "t%zu", s->store->n_schedules + 1);
		const struct db_schedule *made = store_schedule_add(s->store, stack, name, sim_chance(r, 500) ? SCHEDULE_SCALE : SCHEDULE_RESTART,
			crons[sim_below(r, 3)], sim_chance(r, 500) ? SCHEDULE_SKIP : SCHEDULE_RUN_ONCE, sim_chance(r, 300) ? 60 : 0);
		sim_trace(s, "user", "makes schedule %s of %s/%s: %s", made->name, made->project, made->stack, made->cron);
	}
	timer_set(t, sim_between(r, 1000, 8000));
}

/* Three of four runs have none. */
void sim_schedules_init(struct sim *s)
{
	sim_rng_init(&s->schedule_rng, s->seed, 4);
	s->store->on_schedule = on_schedule;
	timer_init(&s->schedule_timer, s->loop, on_make);
	if (s->flood || sim_below(&s->schedule_rng, 4) > 0)
		return;
	s->n_schedules = (size_t)sim_between(&s->schedule_rng, 1, 3);
	timer_set(&s->schedule_timer, 3000);
}

/* Behind the faults, some time later: then nothing more is to come. */
void sim_schedules_stop(struct sim *s)
{
	int64_t now = store_schedule_now_us(s->store);
	for (size_t i = 0; i < s->store->n_schedules; i++) {
		struct db_schedule *row = s->store->schedules[i];
		if (store_stack_find(s->store, row->stack_id.text) && now - row->due_us > ALIVE_MS * 1000 * STORE_SCHEDULE_SPEED)
			sim_fail(s, "schedule %s: nobody looks after the run of %lld", row->name, (long long)row->next_us / 1000000);
		store_schedule_pause(s->store, row);
	}
}
