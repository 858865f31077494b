/* hints: what to do about a service that failed, in one sentence: a table of the Engine's words, exit
 * codes and causes, the most telling row first. Pure. */
#pragma once
#include "base/status.h"
#include "stacks/converge.h"

struct hint_facts {
	enum converge_cause cause;
	enum docker_task_state state; /* of the task that is to blame */
	const char *err;              /* the Engine's words; of a refused write too */
	const char *log;              /* the task's last lines */
	const char *health;           /* what its failing check has written */
	int64_t exit_code;            /* -1: no container has ended */
	bool oom_killed;
	bool checked;          /* it has a health check */
	bool unhealthy;        /* its health check fails, or has not passed yet */
	enum st_code registry; /* what the image's registry answers; OK: not asked, or it is there */
};
/* Strings may be NULL. Never NULL; "": nothing to say. */
const char *hint_of(const struct hint_facts *f);
