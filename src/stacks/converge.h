/* converge: has a service become what its spec says, is it still on its way, or will it never? Pure: one
 * judgement a look at the Engine, with a little memory between looks. Knows what docker's own
 * `--detach=false` knows (running tasks of the present spec, one a slot, on nodes that are not
 * down; held for the monitor time) and what it does not: a roll-back by the Engine, a task that nobody
 * starts again, a crash loop, a task no node can take, and no progress at all are failures. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "db/stacks.h"
#include "docker/docker.h"

enum converge_verdict {
	CONVERGE_WAIT, /* on its way */
	CONVERGE_HOLD, /* as wanted, not yet for long enough */
	CONVERGE_DONE,
	CONVERGE_FAILED,
};

/* One service's memory; zero it, then set the first group. */
struct converge {
	const char *key, *name; /* in the text, in the Engine */
	bool gate;              /* a dependency: as wanted is enough, no hold */
	bool completes;         /* others wait for its successful end: an ended task is what is wanted, as for jobs */
	uint64_t stall_ms, hold_ms;

	enum converge_verdict verdict;
	int running, wanted;
	char message[400];           /* what it waits for, or why it failed */
	char failed_task[64];        /* whose log tells more; "" = none */
	/* private */
	uint64_t good_since_ms, progress_ms, orphan_since_ms, unschedulable_since_ms, signature;
	char last_failure[320], last_failed[64]; /* the newest that was seen, and its task: the Engine's own roll-back hides it */
};

struct converge_look {
	const struct docker_service *service; /* NULL: it is not there */
	const struct docker_task *tasks;      /* of the present spec, of any service */
	size_t n_tasks;
	const struct docker_node *nodes;
	size_t n_nodes;
	uint64_t now_ms;
};
/* True when running, wanted, verdict or message changed. */
bool converge_judge(struct converge *c, const struct converge_look *look);

/* The state for people: verdict, counts and mode together. */
enum service_state converge_state(const struct converge *c, enum docker_mode mode);

/* How often a slot may fail before it counts as a crash loop. */
#define CONVERGE_FAILURES   3
#define CONVERGE_REJECTIONS 2
/* A slot whose last task ended and has no successor for so long will not get one. */
#define CONVERGE_ORPHAN_MS 3000
/* The scheduler has said for so long that no node suits. */
#define CONVERGE_UNSCHEDULABLE_MS 15000
/* Pulling an image shows no progress: its own limit. */
#define CONVERGE_PULL_MS 600000
