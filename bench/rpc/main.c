/* bench_rpc: a load tester for native, gRPC and HTTP/1.1. See README.md. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "load.h"
#include "serve.h"

#define MAX_CONNECTIONS 4000
#define MAX_IN_FLIGHT   256
#define MAX_SECONDS     600.0
#define METHOD          "/skep.v1.System/Info"
#define MAX_REQUESTS    1000000000u

static const char usage[] =
	"usage: bench_rpc [options] ADDRESS          unix:///path or IP:port\n"
	"       bench_rpc --serve ADDRESS            a server with nothing behind it\n"
	"\n"
	"  --load CxN[,CxN…]   connections x calls in flight on each (default "
	"1x1,1x100,8x100,50x1,50x20)\n"
	"  --seconds S         measured time of each load, at most 600 (default 3)\n"
	"  --warm-up S         before it (default 0.5)\n"
	"  --requests N        … or so many calls, whichever comes first (default 1000000000)\n"
	"  --rate R            open loop: R calls a second; latency counts from when a call was "
	"due\n"
	"  --server-pid PID    measure this process's CPU time\n"
	"  --wire WIRE         native, grpc, connect (HTTP/1.1, JSON) or rest (HTTP/1.1, GET) (default "
	"native)\n"
	"  --method PATH       a method that takes an empty message (default "
	"/skep.v1.System/Info)\n"
	"  --token TOKEN\n"
	"  --json              one JSON object a line instead of the table\n";

enum option_id {
	O_LOAD = 256,
	O_SECONDS,
	O_WARM_UP,
	O_REQUESTS,
	O_RATE,
	O_PID,
	O_METHOD,
	O_WIRE,
	O_TOKEN,
	O_JSON,
	O_SERVE,
	O_HELP
};

static const struct option options[] = {
	{"load", required_argument, NULL, O_LOAD},
	{"seconds", required_argument, NULL, O_SECONDS},
	{"warm-up", required_argument, NULL, O_WARM_UP},
	{"requests", required_argument, NULL, O_REQUESTS},
	{"rate", required_argument, NULL, O_RATE},
	{"server-pid", required_argument, NULL, O_PID},
	{"method", required_argument, NULL, O_METHOD},
	{"wire", required_argument, NULL, O_WIRE},
	{"token", required_argument, NULL, O_TOKEN},
	{"json", no_argument, NULL, O_JSON},
	{"serve", required_argument, NULL, O_SERVE},
	{"help", no_argument, NULL, O_HELP},
	{0},
};

struct args {
	struct load_options load;
	const char *loads, *serve;
	bool json, help, bad;
};

static double number(struct args *a, const char *text, double max)
{
	double v = 0;
	if (!str_to_double(str_of(text), &v) || v < 0 || v > max) {
		(void)fprintf(
			stderr, "bench_rpc: \"%s\" is not a number from 0 to %g\n", text, max);
		a->bad = true;
	}
	return v;
}

static void set_wire(struct args *a, const char *name)
{
	static const struct {
		const char *name;
		const struct load_wire *wire;
		const char *body, *path;
	} wires[] = {{"native", &load_native, NULL, METHOD}, {"grpc", &load_grpc, NULL, METHOD},
		{"connect", &load_http1, "{}", METHOD}, {"rest", &load_http1, NULL, "/v1/system"}};
	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
		if (strcmp(wires[i].name, name) != 0)
			continue;
		a->load.wire = wires[i].wire;
		if (!a->load.request.path)
			a->load.request.path = wires[i].path;
		if (wires[i].body)
			a->load.request.body = str_of(wires[i].body);
		return;
	}
	(void)fprintf(stderr, "bench_rpc: there is no wire \"%s\": native, grpc, connect, rest\n", name);
	a->bad = true;
}

static void set_option(struct args *a, int id)
{
	switch (id) {
	case O_LOAD:
		a->loads = optarg;
		return;
	case O_SECONDS:
		a->load.seconds = number(a, optarg, MAX_SECONDS);
		return;
	case O_WARM_UP:
		a->load.warm_up = number(a, optarg, MAX_SECONDS);
		return;
	case O_REQUESTS:
		a->load.max_requests = (uint64_t)number(a, optarg, MAX_REQUESTS);
		return;
	case O_RATE:
		a->load.rate = number(a, optarg, 1e7);
		return;
	case O_PID:
		a->load.server = (pid_t)number(a, optarg, 1 << 22);
		return;
	case O_METHOD:
		a->load.request.path = optarg;
		return;
	case O_WIRE:
		set_wire(a, optarg);
		return;
	case O_TOKEN:
		a->load.request.token = optarg;
		return;
	case O_JSON:
		a->json = true;
		return;
	case O_SERVE:
		a->serve = optarg;
		return;
	case O_HELP:
		a->help = true;
		return;
	}
	a->bad = true;
}

/* Takes the first "CxN" off *rest. */
static bool next_load(struct str *rest, struct load_options *o)
{
	struct str one = str_cut(rest, ','), connections = str_cut(&one, 'x');
	uint64_t c, n;
	if (!str_to_u64(connections, &c) || !one.ptr || !str_to_u64(one, &n) || c == 0 || n == 0 ||
		c > MAX_CONNECTIONS || n > MAX_IN_FLIGHT)
		return false;
	o->connections = (unsigned)c;
	o->in_flight = (unsigned)n;
	return true;
}

static double us(const struct load_result *r, double percent)
{
	return (double)histogram_at(&r->latency, percent) / 1e3;
}

static void print_row(const struct load_options *o, const struct load_result *r)
{
	char load[32], server[32] = "-";
	(void)snprintf(load, sizeof(load), "%ux%u", o->connections, o->in_flight);
	if (r->server_cpu >= 0 && r->requests)
		(void)snprintf(
			server, sizeof(server), "%.2f", r->server_cpu * 1e6 / (double)r->requests);
	printf("%-9s %10llu %11.0f %9.1f %9.1f %9.1f %9.1f %9.1f %10s %8.2f\n", load,
		(unsigned long long)r->requests, (double)r->requests / r->seconds, us(r, 50),
		us(r, 90), us(r, 99), us(r, 99.9), (double)r->latency.max / 1e3, server,
		r->requests ? r->client_cpu * 1e6 / (double)r->requests : 0);
}

static void print_json(const struct load_options *o, const struct load_result *r)
{
	printf("{\"connections\":%u,\"in_flight\":%u,\"rate\":%.0f,\"requests\":%llu,\"failures\":%"
	       "llu,"
	       "\"seconds\":%.3f,\"requests_per_second\":%.0f,\"p50_us\":%.1f,\"p90_us\":%.1f,"
	       "\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f",
		o->connections, o->in_flight, o->rate, (unsigned long long)r->requests,
		(unsigned long long)r->failures, r->seconds, (double)r->requests / r->seconds,
		us(r, 50), us(r, 90), us(r, 99), us(r, 99.9), (double)r->latency.max / 1e3);
	if (r->server_cpu >= 0 && r->requests)
		printf(",\"server_us_per_request\":%.3f",
			r->server_cpu * 1e6 / (double)r->requests);
	printf(",\"client_us_per_request\":%.3f,\"server_waited_ms\":%.1f,\"client_waited_ms\":%.1f}\n",
		r->requests ? r->client_cpu * 1e6 / (double)r->requests : 0, r->server_waited * 1e3, r->client_waited * 1e3);
}

static int run_loads(struct args *a)
{
	static struct load_result r; /* its histogram is large */
	int failed = 0;
	if (!a->json)
		printf("%-9s %10s %11s %9s %9s %9s %9s %9s %10s %8s\n%-9s %10s %11s %9s %9s %9s "
		       "%9s %9s %10s %8s\n",
			"load", "requests", "requests/s", "p50", "p90", "p99", "p99.9", "max",
			"server CPU", "client", "", "", "", "µs ", "", "", "", "", "µs/request",
			"");
	for (struct str rest = str_of(a->loads); rest.ptr;) {
		if (!next_load(&rest, &a->load)) {
			(void)fprintf(stderr,
				"bench_rpc: --load takes CxN with C up to %d and N up to %d\n",
				MAX_CONNECTIONS, MAX_IN_FLIGHT);
			return 2;
		}
		struct status st = load_run(&a->load, &r);
		if (!status_is_ok(&st)) {
			(void)fprintf(stderr, "bench_rpc: %s\n", st.message);
			return 1;
		}
		if (a->json)
			print_json(&a->load, &r);
		else
			print_row(&a->load, &r);
		(void)fflush(stdout);
		if (r.failures) {
			(void)fprintf(stderr, "bench_rpc: %llu calls failed; the first: %s: %s\n",
				(unsigned long long)r.failures, st_code_name(r.first_failure.code),
				r.first_failure.message);
			failed = 1;
		}
	}
	return failed;
}

int main(int argc, char **argv)
{
	struct args a = {.loads = "1x1,1x100,8x100,50x1,50x20"};
	a.load = (struct load_options){.seconds = 3,
		.warm_up = 0.5,
		.max_requests = MAX_REQUESTS};
	int id;
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	while ((id = getopt_long(argc, argv, "h", options, NULL)) != -1)
		set_option(&a, id == 'h' ? O_HELP : id);
	if (!a.load.wire)
		set_wire(&a, "native");
	if (a.help) {
		(void)fputs(usage, stdout);
		return 0;
	}
	if (!a.bad && a.serve)
		return serve(a.serve);
	if (a.bad || optind + 1 != argc) {
		(void)fputs(usage, stderr);
		return 2;
	}
	a.load.address = argv[optind];
	return run_loads(&a);
}
