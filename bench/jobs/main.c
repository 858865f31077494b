/* bench_jobs: jobs/ and db/ as skepd has them, on the real loop, with a kind of job that does nothing (or waits so
 * many ms). bench/jobs/run drives it. Prints one line of JSON. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench.h"
#include "crypto/crypto.h"
#include "db/migrate.h"
#include "jobs/run.h"
#include "jobs/wake.h"
#include "jobs/worker.h"
#include "pg/pg.h"
#include "redis/redis.h"

void bench_print(struct bench *b, double seconds, unsigned long rss_kib, double cpu_s);

static const char usage[] =
	"usage: bench_jobs --postgres CONNINFO [--redis URL] [--pool N] [--slots N] [--job-ms N] [--project ID] COMMAND\n"
	"  migrate           make the schema\n"
	"  work              run jobs until SIGTERM\n"
	"  add N FLIGHT      store N jobs, FLIGHT in flight\n"
	"  latency N RATE    store N jobs at RATE/s and run them; how long each takes to its stored end\n"
	"  list N            ask for N pages of the list\n";

/* ---- the kind: one step that does nothing, or waits ---- */

struct nothing {
	struct job_run *run;
	struct timer timer;
	bool waited;
};

static void on_waited(struct timer *t)
{
	struct nothing *k = container_of(t, struct nothing, timer);
	k->waited = true;
	flow_resume(k->run->flow);
}

static enum flow_next do_nothing(struct flow *f)
{
	struct job_run *run = f->data;
	struct nothing *k = run->state;
	const struct bench *b = run->context;
	if (b->o.job_ms == 0 || k->waited)
		return FLOW_NEXT;
	timer_set(&k->timer, b->o.job_ms);
	return FLOW_WAIT;
}

static void begin(struct job_run *run)
{
	struct nothing *k = arena_new(run->arena, struct nothing);
	k->run = run;
	timer_init(&k->timer, run->loop, on_waited);
	run->state = k;
}

static void interrupt(struct job_run *run)
{
	timer_stop(&((struct nothing *)run->state)->timer);
}

static void end(struct job_run *run)
{
	struct bench *b = run->context;
	interrupt(run);
	if (run->outcome != RUN_FINISHED)
		return;
	b->ended++;
	if (b->on_ended)
		b->on_ended(b, &run->job->id);
}

/* It looks, and writes nothing: all of it is prelude. */
static const struct flow_step prelude[] = {{"nothing", do_nothing, NULL, 0}, {0}};
static const struct flow_step no_steps[] = {{0}};
static const struct job_kind_def kind = {JOB_SCALE, prelude, no_steps, begin, interrupt, end, NULL};
static const struct job_kind_def *const kinds[] = {&kind, NULL};

/* ---- one daemon ---- */

static void on_pg_state(void *data, bool up, const struct status *why)
{
	struct bench *b = data;
	if (!up) {
		(void)fprintf(stderr, "bench_jobs: PostgreSQL: %s\n", why->message);
		return;
	}
	if (b->on_up) {
		void (*go)(struct bench *) = b->on_up;
		b->on_up = NULL;
		go(b);
	}
}

static void on_ready(void *data, const char *job_id)
{
	struct bench *b = data;
	if (b->worker)
		job_worker_tell(b->worker, job_id);
}

static void on_pg_jobs(void *data, const char *channel, const char *payload)
{
	(void)channel;
	on_ready(data, job_told(payload));
}

static void on_pg_events(void *data, const char *channel, const char *payload)
{
	(void)data;
	(void)channel;
	(void)payload;
}

void bench_exit(int status)
{
	exit(status); /* NOLINT(concurrency-mt-unsafe): there is one thread */
}

void bench_start(struct bench *b, const struct bench_options *o, void (*on_up)(struct bench *b))
{
	struct status st;
	*b = (struct bench){.o = *o, .on_up = on_up};
	b->loop = loop_create();
	if (o->redis && o->redis[0])
		b->redis = redis_create(b->loop, &(struct redis_options){.url = o->redis}, &st);
	b->wake = job_wake_create(b->redis, on_ready, b);
	b->pg = pg_create(b->loop, &(struct pg_options){.conninfo = o->postgres, .pool_size = o->pool,
		.on_state = on_pg_state, .data = b});
	b->db = timed_create(db_pg_create(b->pg, NULL, clock_system(), rng_system()));
}

void bench_start_worker(struct bench *b)
{
	const struct uuid id = uuid_v7(clock_system(), rng_system());
	b->worker = job_worker_create(&(struct job_worker_options){.loop = b->loop, .db = b->db,
		.rng = rng_system(), .owner = id.text, .kinds = kinds, .context = b, .slots = b->o.slots,
		.max_running = b->o.max_running});
	pg_listen(b->pg, "skep_jobs", on_pg_jobs, b);
	pg_listen(b->pg, "skep_events", on_pg_events, b);
	job_worker_start(b->worker);
}

static void on_migrated(void *data, const struct status *st, unsigned applied)
{
	struct bench *b = data;
	(void)applied;
	if (!status_is_ok(st)) {
		(void)fprintf(stderr, "bench_jobs: migrate: %s\n", st->message);
		bench_exit(1);
	}
	loop_stop(b->loop);
}

void bench_migrate(struct bench *b)
{
	db_migrate(b->pg, skep_migrations, on_migrated, b);
}

static double cpu_seconds(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

/* ---- the command line ---- */

static struct {
	const char *name;
	unsigned n, arg;
} command;

static void go(struct bench *b)
{
	if (strcmp(command.name, "migrate") == 0)
		bench_migrate(b);
	else if (strcmp(command.name, "work") == 0)
		bench_start_worker(b);
	else if (strcmp(command.name, "add") == 0)
		bench_add(b, command.n, command.arg);
	else if (strcmp(command.name, "latency") == 0)
		bench_latency(b, command.n, command.arg);
	else
		bench_list(b, command.n);
}

static void on_term(uv_signal_t *s, int number)
{
	(void)number;
	loop_stop(s->data);
}

static void stop_usage(void)
{
	(void)fputs(usage, stderr);
	bench_exit(2);
}

static struct bench_options parse(int argc, char **argv)
{
	static const struct option options[] = {{"postgres", 1, NULL, 'p'}, {"redis", 1, NULL, 'r'},
		{"pool", 1, NULL, 'c'}, {"slots", 1, NULL, 's'}, {"job-ms", 1, NULL, 'm'},
		{"project", 1, NULL, 'j'}, {"max-running", 1, NULL, 'x'}, {0}};
	struct bench_options o = {.redis = "", .slots = 50, .pool = 4};
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		unsigned n = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
		switch (c) {
		case 'p': o.postgres = optarg; break;
		case 'r': o.redis = optarg; break;
		case 'c': o.pool = n; break;
		case 's': o.slots = n; break;
		case 'm': o.job_ms = n; break;
		case 'x': o.max_running = n; break;
		case 'j': (void)snprintf(o.project.text, sizeof(o.project.text), "%s", optarg); break;
		default: stop_usage();
		}
	}
	if (!o.postgres || optind == argc)
		stop_usage();
	command.name = argv[optind];
	command.n = optind + 1 < argc ? (unsigned)strtoul(argv[optind + 1], NULL, 10) : 0;
	command.arg = optind + 2 < argc ? (unsigned)strtoul(argv[optind + 2], NULL, 10) : 0;
	return o;
}

int main(int argc, char **argv)
{
	struct bench b;
	struct rusage u;
	const struct bench_options o = parse(argc, argv);
	uv_signal_t term;
	log_configure(LOG_WARN, LOG_KEY_VALUE);
	bench_start(&b, &o, go);
	(void)uv_signal_init(loop_uv(b.loop), &term);
	term.data = b.loop;
	(void)uv_signal_start(&term, on_term, SIGTERM);
	uint64_t began = now_ns();
	loop_run(b.loop);
	(void)getrusage(RUSAGE_SELF, &u);
	bench_print(&b, (double)(now_ns() - began) / 1e9, (unsigned long)u.ru_maxrss, cpu_seconds(&u));
	return 0; /* what is left goes with the process: it is measured, not drained */
}
