#include "add.h"

#include <stdlib.h>
#include "base/mem.h"
#include "base/str.h"
#include "bench.h"
#include "jobs/gather.h"
#include "pg/pg.h"

#define MOST 200 /* in a transaction */
#define PAYLOAD \
	"{\"text\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}"

enum { ADD, TELL };
static const struct pg_stmt sql[] = {
	/* $1 ids, $2 project, $3 params */
	[ADD] = {"bench_add",
		"with j as ("
		"  insert into deployment_jobs (id, project_id, kind, params, created_by, max_attempts, last_sequence)"
		"  select id, $2, 'scale', $3::jsonb, 'bench', 3, 1 from unnest($1::uuid[]) as n (id)"
		"  returning id, project_id, kind, state)"
		" insert into events (project_id, job_id, job_sequence, kind, state, message)"
		" select project_id, id, 1, 'job.created', state, kind::text from j"},
	/* $1 "<project> <job>": the first of them; a claim takes the others too. $2 all ids */
	[TELL] = {"bench_added", "select pg_notify('skep_jobs', $1), pg_notify('skep_events', $2)"},
};

struct addition {
	struct gather_item item;
	struct uuid id;
	void (*done)(void *data, const struct status *st);
	void *data;
};

/* One process, one bench. */
static struct {
	struct bench *b;
	struct gather gather;
} add;

static struct addition *addition_of(struct gather_item *item)
{
	return container_of(item, struct addition, item);
}

static void on_added(void *data, const struct status *st, const struct pg_results *r)
{
	static bool held[MOST];
	(void)r;
	gather_landed(data, st, held);
}

static void send_jobs(struct gather *g, struct gather_load *load)
{
	const char *ids[MOST];
	struct buf text = {0};
	struct pg_batch *batch = pg_batch_create(add.b->pg);
	(void)g;
	for (size_t i = 0; i < load->n; i++) {
		ids[i] = addition_of(load->items[i])->id.text;
		buf_fmt(&text, "%s%s", i ? " " : "", ids[i]);
	}
	pg_add(batch, &sql[ADD]);
	pg_bind_text_array(batch, ids, load->n);
	pg_bind_text(batch, add.b->o.project.text);
	pg_bind_text(batch, PAYLOAD);
	pg_add(batch, &sql[TELL]);
	struct buf first = {0};
	buf_fmt(&first, "%s %s", add.b->o.project.text, ids[0]);
	pg_bind_str(batch, buf_str(&first));
	pg_bind_str(batch, buf_str(&text));
	buf_finish(&first);
	buf_finish(&text);
	pg_run(batch, 5000, on_added, load);
}

static void tell(struct gather *g, struct gather_item *item, const struct status *st, bool held)
{
	struct addition *n = addition_of(item);
	(void)g;
	(void)held;
	n->done(n->data, st);
	free(n);
}

void bench_add_start(struct bench *b)
{
	add.b = b;
	gather_init(&add.gather, b->loop, MOST, send_jobs, tell);
}

void bench_add_job(const struct uuid *id, void (*done)(void *data, const struct status *st), void *data)
{
	struct addition *n = mem_zalloc(sizeof(*n));
	n->id = *id;
	n->done = done;
	n->data = data;
	gather_put(&add.gather, &n->item);
}
