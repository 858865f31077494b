/* What the Engine says, word for word (20.10), and what is told to do about it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "stacks/hints.h"

#define RUNC                                                                                       \
	"starting container failed: failed to create shim task: OCI runtime create failed: runc "  \
	"create failed: unable to start container process: "
#define NO_NODE(why) CONVERGE_UNSCHEDULABLE, DOCKER_TASK_PENDING, "no suitable node (" why ")", -1

static const struct {
	enum converge_cause cause;
	enum docker_task_state state;
	const char *err;
	int64_t exit_code;
	const char *says;
} words[] = {
	/* no node */
	{NO_NODE("scheduling constraints not satisfied on 1 node"), "placement constraints"},
	{NO_NODE("insufficient resources on 1 node"), "reservations"},
	{NO_NODE("unsupported platform on 1 node"), "architecture"},
	{NO_NODE("host-mode port already in use on 1 node"), "host port"},
	{NO_NODE("max replicas per node limit exceed"), "max_replicas_per_node"},
	{NO_NODE("missing plugin on 1 node"), "driver"},
	{NO_NODE("1 node not available for new tasks"), "drained"},
	{CONVERGE_UNSCHEDULABLE, DOCKER_TASK_UNKNOWN, "cannot be scheduled: no suitable node", -1,
		"what each one says"},
	/* not started */
	{CONVERGE_REJECTED, DOCKER_TASK_REJECTED, "No such image: 127.0.0.1:5000/none:1", -1,
		"could not pull it"},
	{CONVERGE_REJECTED, DOCKER_TASK_REJECTED,
		"invalid mount config for type \"bind\": bind source path does not exist: "
		"/nope/nothing",
		-1, "must be there on every node"},
	{CONVERGE_REJECTED, DOCKER_TASK_REJECTED, "Cannot mkdir: /hello is not a directory", -1,
		"working_dir"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED,
		"starting container failed: driver failed programming external connectivity on "
		"endpoint web.1.bzm0e5m33rc0w0hw17yh4klt3 (2c693617f2b8): Error starting userland "
		"proxy: listen tcp4 0.0.0.0:18099: bind: address already in use",
		128, "published port"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED,
		RUNC "exec: \"/nothing\": stat /nothing: no such file or directory: unknown", 127,
		"no such program"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED,
		RUNC "exec: \"nothing\": executable file not found in $PATH: unknown", 127,
		"no such program"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED, RUNC "exec: \"/tmp\": permission denied: unknown", 126,
		"x bit"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED,
		RUNC "error during container init: open /proc/sys/net/nothing: no such file or "
		     "directory: unknown",
		127, "sysctls"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED,
		"starting container failed: unable to find user nobody2: no matching entries in "
		"passwd file",
		128, "no such user"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED,
		"task: non-zero exit (137): dockerexec: unhealthy container", 137, "health check"},
	/* refused at once */
	{CONVERGE_FINE, DOCKER_TASK_UNKNOWN,
		"port '18002' is already in use by service 'a' (qq3uwm29rgth1ldnz6ria45nt) as an "
		"ingress port",
		-1, "another service publishes the same port"},
	{CONVERGE_FINE, DOCKER_TASK_UNKNOWN, "secret not found: abc", -1, "secret is gone"},
	{CONVERGE_FINE, DOCKER_TASK_UNKNOWN,
		"network \"x\" is declared as external, but could not be found. You need to create "
		"a swarm-scoped network before the stack is deployed",
		-1, "docker network create"},
	/* ended */
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED, "task: non-zero exit (7)", 7, "its log says why"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED, "task: non-zero exit (137)", 137, "killed (137)"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED, "task: non-zero exit (139)", 139, "segmentation"},
	{CONVERGE_CRASHES, DOCKER_TASK_FAILED, "task: non-zero exit (127)", 127,
		"shell did not find"},
	{CONVERGE_ENDS, DOCKER_TASK_COMPLETE, "finished", 0, "stay in the foreground"},
	{CONVERGE_ENDED, DOCKER_TASK_COMPLETE, "finished", 0, "restart_policy"},
	{CONVERGE_GONE, DOCKER_TASK_UNKNOWN, "the service is gone", -1, "deploy again"},
	/* no progress */
	{CONVERGE_STALLED, DOCKER_TASK_PREPARING, "preparing", -1, "still pulls"},
	{CONVERGE_STALLED, DOCKER_TASK_STARTING, "starting", -1, "if it only needs more time"},
	{CONVERGE_STALLED, DOCKER_TASK_READY, "", -1, "--stall"},
};

static void each_has_its_hint(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct hint_facts f = {.cause = words[i].cause,
			.state = words[i].state,
			.err = words[i].err,
			.exit_code = words[i].exit_code};
		if (!strstr(hint_of(&f), words[i].says))
			fail_msg("\"%s\" gives \"%s\", without \"%s\"", words[i].err, hint_of(&f),
				words[i].says);
	}
}

static void the_registry_knows_better(void **state)
{
	static const struct {
		enum st_code code;
		const char *says;
	} cases[] = {{ST_PERMISSION_DENIED, "does not let"}, {ST_NOT_FOUND, "no such image or tag"},
		{ST_FAILED_PRECONDITION, "no registry answers"},
		{ST_INTERNAL, "no registry answers"}, {ST_OK, "could not pull it"},
		{ST_DEADLINE_EXCEEDED, "could not pull it"}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct hint_facts f = {.cause = CONVERGE_REJECTED,
			.state = DOCKER_TASK_REJECTED,
			.err = "No such image: 127.0.0.1:5000/denied:1",
			.exit_code = -1,
			.registry = cases[i].code};
		assert_non_null(strstr(hint_of(&f), cases[i].says));
	}
}

/* In every one of these the Engine says no more than an exit code. */
static void the_container_knows_better(void **state)
{
	struct hint_facts f = {.cause = CONVERGE_CRASHES,
		.state = DOCKER_TASK_FAILED,
		.err = "task: non-zero exit (1)",
		.log = "exec /junk: exec format error\n",
		.exit_code = 1};
	(void)state;
	assert_non_null(strstr(hint_of(&f), "another architecture"));
	f.log = "boom\n";
	assert_non_null(strstr(hint_of(&f), "its log says why"));
	f.oom_killed = true;
	f.exit_code = 137;
	assert_non_null(strstr(hint_of(&f), "deploy.resources.limits.memory"));
	f = (struct hint_facts){.cause = CONVERGE_ENDS,
		.state = DOCKER_TASK_COMPLETE,
		.err = "finished",
		.unhealthy = true,
		.health = "unhealthy: HTTP/1.1 503\n"};
	assert_non_null(strstr(hint_of(&f), "see what the check says"));
	f.health = "OCI runtime exec failed: exec failed: unable to start container process: exec: "
		   "\"/bin/sh\": stat /bin/sh: no such file or directory: unknown";
	assert_non_null(strstr(hint_of(&f), "health check's program is not in the image"));
	const struct hint_facts late = {.cause = CONVERGE_STALLED,
		.state = DOCKER_TASK_STARTING,
		.err = "starting",
		.exit_code = -1,
		.checked = true};
	assert_non_null(strstr(hint_of(&late), "start_period"));
	f.health = NULL;
	f.log = NULL;
	assert_non_null(strstr(hint_of(&f), "health check fails"));
}

static void nothing_known_is_nothing_said(void **state)
{
	const struct hint_facts f = {.err = "something broke", .exit_code = -1};
	(void)state;
	assert_string_equal(hint_of(&f), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_hint),
		cmocka_unit_test(the_registry_knows_better),
		cmocka_unit_test(the_container_knows_better),
		cmocka_unit_test(nothing_known_is_nothing_said),
	};
	return cmocka_run_group_tests_name("hints", tests, NULL, NULL);
}
