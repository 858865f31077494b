/* bench_compose: what it takes to read a Compose file and to render it: YAML text → model → the
 * bodies of the Engine's create calls. One process, no Engine, no daemon. Prints JSON; the times
 * are of the processor, for nothing waits. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/arena.h"
#include "base/json.h"
#include "compose/compose.h"

enum { MOST_RUNS = 1000 };

/* A service as people write them: about 25 lines, a dependency, an env file, three networks. */
static void write_service(struct buf *b, unsigned i)
{
	buf_fmt(b,
		"  web%u:\n    image: registry.example.com/shop/web%u:${TAG:-1.2.3}\n"
		"    command: [\"serve\", \"--port\", \"80%02u\", \"--name\", \"web%u\"]\n"
		"    environment:\n      DATABASE_URL: postgres://db%u/shop\n      LOG_LEVEL: "
		"${LEVEL:-info}\n"
		"      WORKERS: 4\n      NAME: web%u\n    env_file: [common.env]\n",
		i, i, i % 100, i, i, i);
	if (i % 10)
		buf_fmt(b, "    depends_on: [web%u]\n", i - 1);
	buf_fmt(b,
		"    ports: [\"%u:80\"]\n    networks: [front, back%u]\n"
		"    volumes:\n      - data%u:/data\n      - type: tmpfs\n        target: /tmp\n"
		"    secrets: [key%u]\n    configs:\n      - source: conf%u\n        target: "
		"/etc/app.conf\n"
		"    healthcheck: {test: [CMD, curl, -f, localhost], interval: 10s, retries: 3}\n"
		"    deploy:\n      replicas: 2\n      resources:\n        limits: {cpus: '0.5', "
		"memory: 256M}\n"
		"        reservations: {memory: 64M}\n      update_config: {order: start-first, "
		"parallelism: 1}\n"
		"      labels: {tier: web}\n",
		1024 + i, i % 50, i % 100, i % 20, i % 20);
}

static void write_text(struct buf *b, unsigned services)
{
	buf_adds(b, "name: bench\nservices:\n");
	for (unsigned i = 0; i < services; i++)
		write_service(b, i);
	buf_adds(b, "networks:\n  front: {}\n");
	for (unsigned i = 0; i < 50; i++)
		buf_fmt(b, "  back%u: {internal: true}\n", i);
	buf_adds(b, "volumes:\n");
	for (unsigned i = 0; i < 100; i++)
		buf_fmt(b, "  data%u: {}\n", i);
	for (unsigned k = 0; k < 2; k++) {
		buf_adds(b, k ? "configs:\n" : "secrets:\n");
		for (unsigned i = 0; i < 20; i++)
			buf_fmt(b, "  %s%u: {file: ./f.txt}\n", k ? "conf" : "key", i);
	}
}

static double now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void no_hash(struct str bytes, unsigned char ret_digest[32])
{
	for (size_t i = 0; i < 32; i++)
		ret_digest[i] = (unsigned char)(bytes.len >> (i % 8));
}

struct times {
	double load, render, both;
	size_t memory;
};

static struct times measure(struct str text)
{
	static const struct compose_upload uploads[] = {
		{"common.env", {"A=1\nB=two\nC='three'\n", 20}}, {"f.txt", {"content", 7}}};
	const struct compose_text texts[] = {{"compose.yml", text}};
	const struct compose_input in = {
		.texts = texts, .texts_len = 1, .uploads = uploads, .uploads_len = 2};
	const struct compose_render_options o = {.sha256 = no_hash};
	struct compose_problems errors, warnings;
	struct compose_project *p;
	struct arena *a = arena_create();
	double start = now_ms();
	if (!compose_load(a, &in, &p, &errors, &warnings)) {
		(void)fprintf(stderr, "%s\n", compose_problem_text(a, &errors.items[0]));
		abort(); /* the text is our own */
	}
	double loaded = now_ms();
	compose_render(a, p, &o);
	double done = now_ms();
	struct times t = {loaded - start, done - loaded, done - start, arena_used(a)};
	arena_destroy(a);
	return t;
}

static int by_time(const void *x, const void *y)
{
	const struct times *a = x, *b = y;
	return a->both < b->both ? -1 : a->both > b->both;
}

static json_t *row(unsigned services, unsigned runs)
{
	struct times t[MOST_RUNS];
	struct buf b = {0};
	write_text(&b, services);
	for (unsigned i = 0; i < runs; i++)
		t[i] = measure(buf_str(&b));
	qsort(t, runs, sizeof(*t), by_time);
	const struct times *m = &t[runs / 2];
	json_t *j = json_pack("{s:i, s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "services",
		(int)services, "bytes", (json_int_t)b.len, "runs", (int)runs, "load_ms", m->load,
		"render_ms", m->render, "median_ms", m->both, "least_ms", t[0].both, "p95_ms",
		t[runs * 95 / 100].both, "memory_mib", (double)m->memory / 1048576);
	buf_finish(&b);
	return j;
}

int main(int argc, char **argv)
{
	static const unsigned sizes[] = {10, 100, 500, 1000};
	long runs = argc > 1 ? strtol(argv[1], NULL, 10) : 21;
	if (runs < 1 || runs > MOST_RUNS) {
		(void)fprintf(stderr, "usage: bench_compose [RUNS]\n");
		return 2;
	}
	json_t *rows = json_array();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		json_array_append_new(rows, row(sizes[i], (unsigned)runs));
	int failed = json_dumpf(rows, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(5));
	(void)puts("");
	json_decref(rows);
	return failed ? 1 : 0;
}
