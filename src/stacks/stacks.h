/* stacks: what jobs do to a stack in the Engine. The context of the job kinds deploy, update,
 * rollback, scale, restart, remove; made by app, handed to the worker. */
#pragma once
#include <stdint.h>
#include "stacks/turns.h"

struct clock;
struct docker;
struct job_kind_def;
struct lookout;

struct stacks {
	struct docker *docker;     /* borrowed */
	struct lookout *lookout;   /* borrowed */
	const struct clock *clock; /* borrowed */
	uint64_t stall_ms; /* converging without any progress for so long is a failure; default
			      60,000 */
	uint64_t hold_ms;  /* how long it must stay so, where update_config.monitor does not say;
			      default 5,000 */
	unsigned keep_releases; /* of so many good ones the secrets and configs stay */
	struct turns turns;     /* of the deploys here */
};
#define STACKS_STALL_MS 60000
#define STACKS_HOLD_MS  5000

/* NULL-terminated. */
extern const struct job_kind_def *const stacks_kinds[];
