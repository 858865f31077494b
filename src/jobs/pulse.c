#include "jobs/pulse.h"

#include <stdlib.h>
#include "base/mem.h"
#include "base/rng.h"
#include "db/jobs.h"
#include "jobs/worker.h"
#include "loop/loop.h"

#define PULSE_MS 3000

struct job_pulse {
	struct db *db;
	const struct job_worker *worker;
	struct db_daemon daemon;
	struct timer timer;
	struct db_call *call;
};

static void on_said(void *data, const struct status *st)
{
	struct job_pulse *p = data;
	(void)st; /* the next one says it again */
	p->call = NULL;
}

static void on_gone(void *data, const struct status *st)
{
	(void)data;
	(void)st; /* then it is forgotten in time */
}

static void on_timer(struct timer *t)
{
	struct job_pulse *p = container_of(t, struct job_pulse, timer);
	p->daemon.slots = job_worker_slots(p->worker);
	if (!p->call)
		p->call = p->db->jobs->alive(p->db, &p->daemon, on_said, p);
	timer_set(t, PULSE_MS);
}

struct job_pulse *job_pulse_create(struct loop *l, struct db *db, const struct job_worker *worker,
	const char *id, const char *host, const char *version)
{
	struct job_pulse *p = mem_new(struct job_pulse);
	p->db = db;
	p->worker = worker;
	(void)uuid_parse(id, &p->daemon.id);
	p->daemon.host = host;
	p->daemon.version = version;
	timer_init(&p->timer, l, on_timer);
	return p;
}

void job_pulse_start(struct job_pulse *p)
{
	timer_set(&p->timer, 0);
}

void job_pulse_stop(struct job_pulse *p)
{
	timer_stop(&p->timer);
	p->db->jobs->gone(p->db, p->daemon.id.text, on_gone, NULL);
}

void job_pulse_destroy(struct job_pulse *p)
{
	if (!p)
		return;
	timer_stop(&p->timer);
	free(p);
}
