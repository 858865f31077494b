#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../rpc/histogram.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "add.h"
#include "bench.h"
#include "jobs/wake.h"
#include "jobs/worker.h"

/* What the one command of this process holds. */
static struct {
	struct bench *b;
	unsigned n, rate, sent, answered, ended;
	uint64_t began, counted_from;
	struct timer tick;
	struct map due; /* job id → when it was due, ns */
	struct histogram took;
} run;

static void fail(const char *what, const struct status *st)
{
	(void)fprintf(stderr, "bench_jobs: %s: %s\n", what, st->message);
	bench_exit(1);
}

static struct uuid new_id(void)
{
	return uuid_v7(clock_system(), rng_system());
}

/* ---- add ---- */

static void on_added(void *data, const struct status *st);

static void add_next(void)
{
	const struct uuid id = new_id();
	run.sent++;
	bench_add_job(&id, on_added, NULL);
}

static void on_added(void *data, const struct status *st)
{
	(void)data;
	if (!status_is_ok(st))
		fail("add", st);
	run.answered++;
	if (run.sent < run.n)
		add_next();
	else if (run.answered == run.n)
		loop_stop(run.b->loop);
}

void bench_add(struct bench *b, unsigned n, unsigned flight)
{
	run.b = b;
	run.n = n;
	bench_add_start(b);
	run.began = now_ns();
	for (unsigned i = 0; i < flight && i < n; i++)
		add_next();
}

/* ---- add to done, at a rate ---- */

static void on_done(struct bench *b, const struct uuid *id)
{
	uint64_t *due = map_gets(&run.due, id->text);
	if (!due)
		return;
	if (*due >= run.counted_from)
		histogram_add(&run.took, now_ns() - *due);
	map_removes(&run.due, id->text);
	free(due);
	if (++run.ended == run.n)
		loop_stop(b->loop);
}

/* As api does: this daemon's worker at once, the others by Redis. */
static void on_submitted(void *data, const struct status *st)
{
	struct uuid *id = data;
	if (!status_is_ok(st))
		fail("add", st);
	job_worker_tell(run.b->worker, id->text);
	job_wake_ready(run.b->wake, id->text);
	free(id);
}

static void on_tick(struct timer *t)
{
	for (; run.sent < run.n; run.sent++) {
		uint64_t due = run.began + (uint64_t)run.sent * 1000000000U / run.rate;
		if (due > now_ns())
			break;
		uint64_t *at = mem_new(uint64_t);
		struct uuid *id = mem_new(struct uuid);
		*at = due;
		*id = new_id();
		map_puts(&run.due, id->text, at);
		bench_add_job(id, on_submitted, id);
	}
	if (run.sent < run.n)
		timer_set(t, 1);
}

void bench_latency(struct bench *b, unsigned n, unsigned rate)
{
	run.b = b;
	run.n = n + rate / 2; /* the first half second warms up, as it does on the other side */
	run.rate = rate;
	bench_add_start(b);
	map_init(&run.due);
	b->on_ended = on_done;
	bench_start_worker(b);
	timer_init(&run.tick, b->loop, on_tick);
	run.began = now_ns() + 500000000U;
	run.counted_from = run.began + 500000000U;
	timer_set(&run.tick, 500);
}

/* ---- pages of the list ---- */

static void on_page(void *data, const struct status *st, const struct db_job *j, size_t n, bool more);

#define BIT(x) (1u << (x))
static const struct {
	const char *name, *stack;
	unsigned states, kinds, before_days, from_days, until_days; /* ago; 0 = not asked for */
	bool everywhere;
} pages[] = {
	{.name = "project"},
	{.name = "project, 150 days ago", .before_days = 150},
	{.name = "project, failed", .states = BIT(JOB_FAILED)},
	{.name = "project, under way", .states = BIT(JOB_PENDING) | BIT(JOB_RUNNING)},
	{.name = "project, deploys", .kinds = BIT(JOB_DEPLOY)},
	{.name = "project, failed restarts and updates", .states = BIT(JOB_FAILED), .kinds = BIT(JOB_RESTART) | BIT(JOB_UPDATE)},
	{.name = "project, one day, 100 days ago", .from_days = 101, .until_days = 100},
	{.name = "stack", .stack = "stack-7"},
	{.name = "stack, failed deploys", .stack = "stack-7", .states = BIT(JOB_FAILED), .kinds = BIT(JOB_DEPLOY)},
	{.name = "stack that is not there", .stack = "nothing"},
	{.name = "everywhere", .everywhere = true},
	{.name = "everywhere, 150 days ago", .everywhere = true, .before_days = 150},
	{.name = "everywhere, failed", .everywhere = true, .states = BIT(JOB_FAILED)},
	{.name = "everywhere, a kind that is not there", .everywhere = true, .kinds = BIT(JOB_BUILD)},
	{.name = "everywhere, stack's name", .everywhere = true, .stack = "stack-7"},
};
#define PAGES (sizeof(pages) / sizeof(pages[0]))
static struct {
	struct histogram took;
	size_t rows;
} read_pages[PAGES];

static int64_t days_ago(unsigned days)
{
	return days ? clock_system()->wall_us(clock_system()) - (int64_t)days * 86400 * 1000000 : 0;
}

static void ask(void)
{
	size_t k = run.sent++ % PAGES;
	const struct db_scope scope = {.project_id = "", .actor = "bench", .method = "", .request_id = ""};
	const struct db_job_filter filter = {.project = pages[k].everywhere ? "" : run.b->o.project.text,
		.stack = pages[k].stack ? pages[k].stack : "", .states = pages[k].states, .kinds = pages[k].kinds,
		.from_us = days_ago(pages[k].from_days), .until_us = days_ago(pages[k].until_days)};
	struct uuid before = uuid_floor(days_ago(pages[k].before_days));
	const struct db_page page = {50, pages[k].before_days ? before.text : ""};
	run.began = now_ns();
	run.b->db->jobs->list(run.b->db, &scope, &filter, &page, on_page, (void *)k);
}

/* The first of each is not counted: the server plans. */
static void on_page(void *data, const struct status *st, const struct db_job *j, size_t n, bool more)
{
	(void)j;
	(void)more;
	if (!status_is_ok(st))
		fail("list", st);
	size_t k = (size_t)data;
	if (run.sent > PAGES)
		histogram_add(&read_pages[k].took, now_ns() - run.began);
	read_pages[k].rows = n;
	if (run.sent < run.n)
		ask();
	else
		loop_stop(run.b->loop);
}

void bench_list(struct bench *b, unsigned n)
{
	run.b = b;
	run.n = n;
	ask();
}

static void print_pages(void)
{
	printf(", \"pages\": {");
	for (size_t k = 0; k < PAGES; k++)
		printf("%s\"%s\": {\"rows\": %zu, \"p50_ms\": %.2f, \"p99_ms\": %.2f}", k ? ", " : "", pages[k].name, read_pages[k].rows,
			(double)histogram_at(&read_pages[k].took, 50) / 1e6, (double)histogram_at(&read_pages[k].took, 99) / 1e6);
	printf("}");
}

/* ---- results ---- */

void bench_print(struct bench *b, double seconds, unsigned long rss_kib, double cpu_s);
void bench_print(struct bench *b, double seconds, unsigned long rss_kib, double cpu_s)
{
	uint64_t n = run.answered ? run.answered : b->ended;
	if (run.began && run.answered)
		seconds = (double)(now_ns() - run.began) / 1e9;
	printf("{\"n\": %llu, \"seconds\": %.3f, \"rate\": %.0f, \"rss_mib\": %.1f, \"cpu_s\": %.2f, \"stalls\": %llu",
		(unsigned long long)n, seconds, (double)n / seconds, (double)rss_kib / 1024, cpu_s,
		(unsigned long long)loop_stalls(b->loop));
	if (run.took.total)
		printf(", \"p50_ms\": %.2f, \"p99_ms\": %.2f", (double)histogram_at(&run.took, 50) / 1e6,
			(double)histogram_at(&run.took, 99) / 1e6);
	timed_print();
	if (read_pages[0].took.total)
		print_pages();
	printf("}\n");
}
