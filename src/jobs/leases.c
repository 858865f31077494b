#include "jobs/leases.h"

#include "db/jobs.h"

#define RENEWALS 5 /* in a lease */

/* A lease began when the statement ran, after we sent it: so what we trust, counted from before sending, ends first; a fifth is
 * margin for a slow loop. */
uint64_t leases_trusted_until(const struct leases *l, uint64_t sent_ms)
{
	return sent_ms + l->ms - l->ms / 5;
}

static void on_renewed(
	void *data, const struct status *st, const struct db_job *jobs, size_t n, bool more)
{
	struct leases *l = data;
	(void)more;
	l->call = NULL;
	l->renewed(l->data);
	for (size_t i = 0; status_is_ok(st) && i < n; i++) {
		struct job_run *run = runs_find(l->runs, jobs[i].id.text);
		if (!run || run->job->epoch != jobs[i].epoch)
			continue;
		job_run_trust(run, leases_trusted_until(l, l->started_ms));
		if (jobs[i].cancel_requested)
			job_run_cancel(run);
	}
}

static void send_renewal(struct leases *l)
{
	struct uuid ids[RUNS_MAX];
	int epochs[RUNS_MAX];
	size_t n = 0;
	list_for_each (&l->runs->all, node) {
		const struct job_run *run = container_of(node, struct job_run, node);
		if (n < RUNS_MAX && !job_run_is_over(run)) {
			ids[n] = run->job->id;
			epochs[n++] = run->job->epoch;
		}
	}
	l->started_ms = loop_now_ms(l->loop);
	l->call = l->db->jobs->renew(l->db, l->owner, ids, epochs, n, l->ms, on_renewed, l);
}

static void on_timer(struct timer *t)
{
	struct leases *l = container_of(t, struct leases, timer);
	if (l->runs->n > 0 && !l->call)
		send_renewal(l);
	timer_set(&l->timer, l->ms / RENEWALS);
}

void leases_init(struct leases *l)
{
	timer_init(&l->timer, l->loop, on_timer);
}

void leases_start(struct leases *l)
{
	timer_set(&l->timer, l->ms / RENEWALS);
}

void leases_stop(struct leases *l)
{
	timer_stop(&l->timer);
}

bool leases_is_idle(const struct leases *l)
{
	return !l->call;
}
