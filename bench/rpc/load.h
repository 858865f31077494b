/* load: one run against one server: so many connections, each with so many calls in flight
 * (closed loop: a reply is followed by the next call), or calls at a fixed rate (open loop: latency
 * counts from the time a call was due, so a server that stalls cannot hide it). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/status.h"
#include "base/str.h"
#include "histogram.h"
#include "wire.h"

struct load_options {
	const char *address; /* unix:///path or IP:port */
	const struct load_wire *wire;
	struct wire_request request;
	unsigned connections, in_flight;
	uint64_t max_requests;
	double seconds, warm_up;
	double rate;  /* calls a second over all connections; 0 = closed loop */
	pid_t server; /* whose CPU time is measured; 0 = none */
};
struct load_result {
	uint64_t requests, failures;
	double seconds;
	double server_cpu, client_cpu; /* seconds; server: < 0 when not measured */
	double server_waited, client_waited; /* seconds ready to run while somebody else had the core */
	struct histogram latency;
	struct status first_failure;
};
struct status load_run(const struct load_options *o, struct load_result *ret_result)
	__attribute__((warn_unused_result));
