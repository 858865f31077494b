#include "jobs/teller.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "loop/loop.h"

#define REST_MS  10
#define AGAIN_MS 500
#define MOST     4096

struct job_teller {
	struct db *db;
	struct db_told told[MOST];
	size_t n, n_sent; /* the first so many are under way */
	struct timer rest;
	struct defer soon;
	bool hurries;
	void (*on_idle)(void *data);
	void *data;
};

static void send_some(struct job_teller *t);

static void on_told(void *data, const struct status *st)
{
	struct job_teller *t = data;
	bool ok = status_is_ok(st);
	size_t over = ok ? t->n_sent : t->hurries ? t->n : 0;
	t->n -= over;
	memmove(t->told, t->told + over, t->n * sizeof(*t->told));
	t->n_sent = 0;
	if (!t->hurries)
		timer_set(&t->rest, !ok ? AGAIN_MS : t->n >= DB_TOLD_MAX ? 0 : REST_MS);
	else if (t->n > 0)
		send_some(t);
	else
		t->on_idle(t->data);
}

static int by_job(const void *a, const void *b)
{
	const struct db_told *x = a, *y = b;
	int order = strcmp(x->id.text, y->id.text);
	return order ? order : (int)y->what - (int)x->what;
}

/* What is known of a job several times is told once: the most of it. */
static void sort_out(struct job_teller *t)
{
	size_t n = 0;
	qsort(t->told, t->n, sizeof(*t->told), by_job);
	for (size_t i = 0; i < t->n; i++)
		if (n == 0 || strcmp(t->told[n - 1].id.text, t->told[i].id.text) != 0)
			t->told[n++] = t->told[i];
	t->n = n;
}

static void send_some(struct job_teller *t)
{
	if (t->n == 0 || t->n_sent > 0)
		return;
	sort_out(t);
	t->n_sent = t->n < DB_TOLD_MAX ? t->n : DB_TOLD_MAX;
	t->db->jobs->tell(t->db, t->told, t->n_sent, on_told, t);
}

static void on_soon(struct defer *d)
{
	send_some(container_of(d, struct job_teller, soon));
}

static void on_rest(struct timer *timer)
{
	send_some(container_of(timer, struct job_teller, rest));
}

struct job_teller *job_teller_create(struct loop *l, struct db *db, void (*on_idle)(void *data), void *data)
{
	struct job_teller *t = mem_zalloc(sizeof(*t));
	t->db = db;
	t->on_idle = on_idle;
	t->data = data;
	timer_init(&t->rest, l, on_rest);
	defer_init(&t->soon, l, on_soon);
	return t;
}

void job_teller_destroy(struct job_teller *t)
{
	if (!t)
		return;
	timer_stop(&t->rest);
	defer_cancel(&t->soon);
	free(t);
}

void job_teller_put(struct job_teller *t, const struct db_job *job, enum db_told_what what)
{
	if (t->n == MOST)
		return;
	t->told[t->n++] = (struct db_told){job->id, job->project_id, job->stack_id, what};
	if (t->n_sent == 0 && !timer_is_set(&t->rest))
		defer_post(&t->soon);
}

void job_teller_hurry(struct job_teller *t)
{
	t->hurries = true;
	timer_stop(&t->rest);
	defer_post(&t->soon);
}

bool job_teller_is_idle(const struct job_teller *t)
{
	return t->n == 0;
}
