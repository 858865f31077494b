/* Many quick jobs of a few projects, for the queue alone: one project floods it, the others come now and
 * then. Half of these runs have jobs of one cost, and bound how many jobs of others may begin while a
 * project has one that could; the other half have all kinds, and watch the caps of a daemon. */
#include "sim.h"

#include <string.h>
#include "jobs/kinds.h"
#include "jobs/run.h"

#define FLOOD 250

/* ---- the jobs ---- */

struct quick {
	struct job_run *run;
	struct timer timer;
	struct sim_daemon *daemon;
	bool counts; /* as one that runs here */
};

static struct sim_daemon *daemon_of(const struct job_run *run)
{
	return container_of(run->context, struct sim_daemon, stacks);
}

/* Its work is over: its place is somebody else's, also while its end is being stored. */
static void leave(struct quick *q)
{
	timer_stop(&q->timer);
	q->daemon->here[q->run->job->kind] -= q->counts;
	q->counts = false;
}

static void on_worked(struct timer *t)
{
	struct quick *q = container_of(t, struct quick, timer);
	struct status ok = status_ok();
	leave(q);
	flow_step_done(q->run->flow, &ok);
}

/* A job that is taken over comes whatever its kind: the caps are for those that are begun. */
static bool counts(const struct job_run *run)
{
	return run->job->takeovers == 0;
}

static void check_here(struct sim_daemon *d, const struct job_run *run)
{
	const struct job_rule *rule = job_rule_of(run->job->kind);
	unsigned of_long = 0, places = d->sim->slots - d->sim->reserved;
	for (size_t k = 0; k < JOB_KINDS; k++)
		of_long += job_rule_of((enum job_kind)k)->is_short ? 0 : d->here[k];
	if (rule->here && d->here[run->job->kind] > rule->here)
		sim_fail(d->sim, "%u jobs of kind %s run in %s, the cap is %u", d->here[run->job->kind],
			job_kind_name(run->job->kind), d->name, rule->here);
	if (!rule->is_short && of_long > places)
		sim_fail(d->sim, "%u long jobs run in %s, which keeps %u of its %u places", of_long,
			d->name, d->sim->reserved, d->sim->slots);
}

static void begin(struct job_run *run)
{
	struct quick *q = arena_new(run->arena, struct quick);
	q->run = run;
	q->daemon = daemon_of(run);
	timer_init(&q->timer, run->loop, on_worked);
	run->state = q;
	q->counts = counts(run);
	if (!q->counts)
		return;
	q->daemon->here[run->job->kind]++;
	check_here(q->daemon, run);
}

static void interrupt(struct job_run *run)
{
	leave(run->state);
}

static enum flow_next work(struct flow *f)
{
	struct job_run *run = f->data;
	struct quick *q = run->state;
	timer_set(&q->timer, sim_between(&q->daemon->rng, 5, 400));
	return FLOW_WAIT;
}

static const struct flow_step prelude[] = {{"work", work, NULL, 60}, {0}}; /* leaves nothing behind */
static const struct flow_step steps[] = {{0}};
#define KIND(name, kind) \
	static const struct job_kind_def name = {kind, prelude, steps, begin, interrupt, interrupt, NULL}
KIND(deploy, JOB_DEPLOY);
KIND(scale, JOB_SCALE);
KIND(remove_, JOB_REMOVE);
KIND(build, JOB_BUILD);
KIND(renew, JOB_RENEW_CERTIFICATE);
KIND(routes, JOB_PUBLISH_ROUTES);
const struct job_kind_def *const sim_flood_kinds[] = {
	&deploy, &scale, &remove_, &build, &renew, &routes, NULL};

/* ---- who comes when ---- */

static void add(struct sim *s, size_t project)
{
	static const enum job_kind kinds[] = {JOB_SCALE, JOB_DEPLOY, JOB_BUILD, JOB_BUILD, JOB_REMOVE,
		JOB_RENEW_CERTIFICATE, JOB_PUBLISH_ROUTES};
	enum job_kind k = s->one_cost ? JOB_SCALE
				      : kinds[sim_below(&s->work_rng, sizeof(kinds) / sizeof(*kinds))];
	(void)store_job_add(s->store, s->projects[project], k, "{}", 3);
}

static void on_visitor(struct timer *t)
{
	struct sim *s = container_of(t, struct sim, visitor);
	if (s->quiet)
		return;
	for (uint64_t n = sim_between(&s->work_rng, 1, 5); n > 0; n--)
		add(s, (size_t)sim_below(&s->work_rng, s->n_projects));
	timer_set(t, sim_between(&s->work_rng, 100, 4000));
}

void sim_flood_init(struct sim *s)
{
	s->one_cost = sim_chance(&s->work_rng, 500);
	for (unsigned i = 0; i < FLOOD; i++)
		add(s, 0);
	timer_init(&s->visitor, s->loop, on_visitor);
	timer_set(&s->visitor, sim_between(&s->work_rng, 100, 4000));
}

/* ---- fairness ---- */

static bool may_start(struct sim *s, size_t project)
{
	const struct store_project *p = s->projects[project];
	unsigned running = 0, waiting = 0;
	unsigned cap = p->row.max_running ? (unsigned)p->row.max_running : s->max_running;
	for (size_t i = 0; i < s->store->n_jobs; i++) {
		const struct db_job *r = &s->store->jobs[i]->row;
		if (strcmp(r->project_id.text, p->row.id.text) != 0)
			continue;
		running += r->state == JOB_RUNNING;
		waiting += r->state == JOB_PENDING && r->run_us <= store_now_us(s->store);
	}
	return waiting > 0 && (!cap || running < cap);
}

/* A turn each: so each daemon begins, while somebody waits, at most what one round of turns gives to the
 * others; twice, since what it decides on may have been seen before he came. */
void sim_flood_started(struct sim *s, const struct store_job *j)
{
	uint64_t weights = 0;
	if (!s->flood || !s->one_cost)
		return;
	for (size_t i = 0; i < s->n_projects; i++)
		weights += (uint64_t)s->projects[i]->row.weight;
	for (size_t i = 0; i < s->n_projects; i++) {
		bool own = strcmp(s->projects[i]->row.id.text, j->row.project_id.text) == 0;
		if (own || !may_start(s, i)) {
			s->passed[i] = 0;
			s->daemons_then[i] = s->n_daemons;
			continue;
		}
		uint64_t daemons = s->places + s->n_daemons - s->daemons_then[i];
		if (++s->passed[i] > 2 * daemons * weights)
			sim_fail(s, "%u jobs of others have begun while one of project %s waited",
				s->passed[i], s->projects[i]->row.name);
	}
}
