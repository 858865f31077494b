/* kinds: what holds for every job of a kind, whether this daemon can run it or not. One row a kind;
 * what such a job does stands in its job_kind_def (jobs/run.h). Static. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "db/jobs.h"

enum job_cancel {
	CANCEL_TAKES_BACK, /* a running one stops and undoes what it did */
	CANCEL_WAITING,    /* only one that waits: it is short, and half of it is worse than all */
};

struct job_rule {
	enum job_kind kind;
	unsigned priority;   /* in its project: higher first */
	unsigned cost;       /* in its project's turns; see jobs/fair.h */
	bool is_short;       /* may take the reserved places too */
	unsigned in_project; /* at a time in a project, in all daemons; 0 = no cap */
	unsigned here;       /* at a time in a daemon; 0 = no cap */
	unsigned attempts;   /* at most, when what failed may pass by itself */
	uint64_t first_ms, most_ms; /* the wait before the second attempt; doubles up to the most */
	uint64_t limit_s;    /* an attempt that takes longer is stopped as if cancelled, and fails */
	enum job_cancel cancel;
};

/* Never NULL: a kind that this skepd does not know has the row of an ordinary one. */
const struct job_rule *job_rule_of(enum job_kind kind);
