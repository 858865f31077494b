#include "jobs/claims.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "db/jobs.h"
#include "jobs/fair.h"

#define SWEEP_MS_MAX 5000
/* Another daemon claimed first, or a row was locked: soon, but not in step with it. */
#define LOST_TURN_MS     5
#define LOST_TURN_JITTER 20
/* The database did not answer: it may be back before anybody tells us. */
#define AGAIN_MS     500
#define AGAIN_JITTER 500
/* Jobs that we were told of, lately: the same news comes by Redis and by NOTIFY too. Should it be other news of the same job, it is
 * seen to soon enough. */
#define TOLD_MS 1000
#define ECHO_MS 100

static void start_turn(struct claims *c);

static void sweep_in(struct claims *c, uint64_t ms)
{
	if (c->on)
		timer_set(&c->sweep, ms < SWEEP_MS_MAX ? ms : SWEEP_MS_MAX);
}

static void end_turn(struct claims *c)
{
	c->turned(c->data);
	if (!c->again)
		return;
	c->again = false;
	start_turn(c);
}

/* ---- claim ---- */

/* Of a stack's release, each image is one point more. */
static void charge(struct claims *c, const struct db_job *job)
{
	if (job->images > 1)
		fair_charge(c->fair, &job->project_id, job->images - 1);
}

static void on_claimed(
	void *data, const struct status *st, const struct db_job *jobs, size_t n, bool more)
{
	struct claims *c = data;
	(void)more;
	c->turn = NULL;
	for (size_t i = 0; status_is_ok(st) && i < n; i++) {
		charge(c, &jobs[i]);
		c->claimed(c->data, &jobs[i], c->started_ms);
	}
	c->left |= !status_is_ok(st) || n < c->asked;
	if (!status_is_ok(st))
		sweep_in(c, AGAIN_MS + rng_below(c->rng, AGAIN_JITTER));
	else if (n == 0)
		sweep_in(c, LOST_TURN_MS + rng_below(c->rng, LOST_TURN_JITTER));
	else if (n < c->asked)
		c->again = true;
	end_turn(c);
}

static void send_claim(struct claims *c, const struct db_look *look, unsigned takeovers,
	const struct db_pick *picks, size_t n)
{
	const struct db_claim claim = {.owner = c->owner, .lease_ms = c->lease_ms,
		.takeovers = takeovers, .turn = look->turn, .picks = picks, .n = n};
	c->asked = takeovers;
	for (size_t i = 0; i < n; i++)
		c->asked += picks[i].n;
	c->started_ms = loop_now_ms(c->loop);
	c->turn = c->db->jobs->claim(c->db, &claim, on_claimed, c);
}

/* ---- look ---- */

/* More may wait than was picked: a queue that reached the limit of the look may be longer. */
static bool leaves_some(const struct claims *c, const struct db_look *look, unsigned takeovers,
	const struct db_pick *picks, size_t n)
{
	size_t waiting = look->expired, picked = takeovers;
	for (size_t i = 0; i < look->n; i++) {
		if (look->queues[i].waiting >= c->limit)
			return true;
		waiting += look->queues[i].waiting;
	}
	for (size_t i = 0; i < n; i++)
		picked += picks[i].n;
	return waiting > picked;
}

static void on_look(void *data, const struct status *st, const struct db_look *look)
{
	struct claims *c = data;
	c->turn = NULL;
	if (!status_is_ok(st))
		sweep_in(c, AGAIN_MS + rng_below(c->rng, AGAIN_JITTER));
	if (!status_is_ok(st) || !c->on) {
		c->left = true;
		end_turn(c);
		return;
	}
	if (look->due_ms >= 0)
		sweep_in(c, look->due_ms < 10 ? 10 : (uint64_t)look->due_ms);
	const struct fair_places *places = &c->runs->places;
	unsigned room = runs_room(c->runs, places->total);
	unsigned takeovers = look->expired < room ? look->expired : room;
	struct db_pick *picks = mem_realloc_array(NULL, sizeof(*picks), look->n + 1);
	size_t n = fair_pick(c->fair, places, takeovers + runs_too_many_ending(c->runs), look->queues, look->n, picks);
	c->left = leaves_some(c, look, takeovers, picks, n);
	if (takeovers > 0 || n > 0)
		send_claim(c, look, takeovers, picks, n);
	else
		end_turn(c);
	free(picks);
}

static void start_turn(struct claims *c)
{
	if (!c->on)
		return;
	struct runs *runs = c->runs;
	unsigned room = runs_room(runs, runs->places.total + runs_count_ahead(runs));
	if (room == 0 || runs->n_line >= runs->places.total) {
		c->left = true; /* the next run that ends wakes us */
		return;
	}
	if (c->turn) {
		c->again = true;
		return;
	}
	timer_set(&c->sweep, SWEEP_MS_MAX);
	timer_stop(&c->echo);
	/* one more: to see whether some are left. Of quick ones more may have ended by then. */
	c->limit = (runs->places.ahead ? runs->places.total + runs->places.ahead : room) + 1;
	c->turn = c->db->jobs->look(c->db, c->limit, on_look, c);
}

/* ---- reasons ---- */

static void on_sweep(struct timer *t)
{
	start_turn(container_of(t, struct claims, sweep));
}

static void on_echo(struct timer *t)
{
	start_turn(container_of(t, struct claims, echo));
}

static void on_soon(struct defer *d)
{
	struct claims *c = container_of(d, struct claims, soon);
	runs_fill_places(c->runs);
	start_turn(c);
}

void claims_wake(struct claims *c)
{
	defer_post(&c->soon);
}

static bool was_told(const struct claims *c, const char *job_id)
{
	uint64_t now = loop_now_ms(c->loop);
	for (size_t i = 0; i < CLAIMS_TOLD_MAX; i++)
		if (c->told[i].ms + TOLD_MS > now && strcmp(c->told[i].job.text, job_id) == 0)
			return true;
	return false;
}

void claims_tell(struct claims *c, const char *job_id)
{
	struct uuid id;
	if (!job_id || !uuid_parse(job_id, &id)) {
		claims_wake(c);
	} else if (!was_told(c, id.text)) {
		c->told[c->n_told].job = id;
		c->told[c->n_told].ms = loop_now_ms(c->loop);
		c->n_told = (c->n_told + 1) % CLAIMS_TOLD_MAX;
		claims_wake(c);
	} else if (c->on && !timer_is_set(&c->echo)) {
		timer_set(&c->echo, ECHO_MS);
	}
}

/* ---- on and off ---- */

void claims_init(struct claims *c)
{
	c->fair = fair_create();
	timer_init(&c->sweep, c->loop, on_sweep);
	timer_init(&c->echo, c->loop, on_echo);
	defer_init(&c->soon, c->loop, on_soon);
}

void claims_finish(struct claims *c)
{
	timer_stop(&c->sweep);
	timer_stop(&c->echo);
	defer_cancel(&c->soon);
	fair_destroy(c->fair);
	c->fair = NULL;
}

void claims_set_on(struct claims *c, bool on)
{
	c->on = on;
	if (on) {
		start_turn(c);
		return;
	}
	timer_stop(&c->sweep);
	timer_stop(&c->echo);
}

bool claims_is_idle(const struct claims *c)
{
	return !c->turn;
}
