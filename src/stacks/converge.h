/* converge: has a service become what its spec says, is it still on its way, or will it never?
 * Pure: one judgement a look at the Engine, with a little memory between looks. Knows what docker's
 * own `--detach=false` knows (running tasks of the present spec, one a slot, on nodes that are not
 * down; held for the monitor time) and what it does not: a roll-back by the Engine, a task that
 * nobody starts again, a crash loop, a task no node can take, and no progress at all are
 * failures. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "db/stacks.h"
#include "docker/docker.h"

struct arena;

enum converge_verdict {
	CONVERGE_WAIT, /* on its way */
	CONVERGE_HOLD, /* as wanted, not yet for long enough */
	CONVERGE_DONE,
	CONVERGE_FAILED,
};

/* Why it will never become what it should be. */
enum converge_cause {
	CONVERGE_FINE,
	CONVERGE_GONE,          /* the service was removed */
	CONVERGE_CRASHES,       /* a slot's tasks fail again and again */
	CONVERGE_REJECTED,      /* a node does not even start them */
	CONVERGE_ENDS,          /* they end well, again and again */
	CONVERGE_ENDED,         /* one ended, and is not started again */
	CONVERGE_UNSCHEDULABLE, /* no node takes them */
	CONVERGE_STOPPED,       /* the Engine has stopped its own update, or taken it back */
	CONVERGE_STALLED,
	CONVERGE_HELD_BACK,     /* never written: what it depends on has failed */
};

/* What is kept of a task that is to blame; the Engine may hide it before the story is told. */
struct converge_task {
	char id[32], container_id[72], node_id[32], node[64]; /* "": none; node: host name */
	int64_t slot, exit_code;
	enum docker_task_state state;
	char err[512]; /* the Engine's words */
};

/* One service's memory; zero it, then set the first group. */
struct converge {
	const char *key, *name; /* in the text, in the Engine */
	struct arena *arena;    /* outlives it; takes what is kept of tasks that fail, if any do */
	bool gate;              /* a dependency: as wanted is enough, no hold */
	/* There is one look only: no hold; what needs time to be believed is believed; an end that
	 * the restart policy takes for good is good. */
	bool once;
	/* Others wait for its successful end: an ended task is what is wanted, as for jobs. */
	bool completes;
	/* With gate. started: containers that were started are enough, healthy or not yet.
	 * optional: its failure is no reason not to go on. */
	bool started, optional;
	/* It was not written by whoever watches: what failed before the first look is nobody's
	 * failure now. */
	bool found;
	uint64_t stall_ms, hold_ms;

	enum converge_verdict verdict;
	int running, wanted;
	bool completed;    /* as wanted, by having ended well */
	char message[720]; /* what it waits for, or why it failed */
	enum converge_cause cause;
	/* private */
	uint64_t good_since_ms, good_until_ms, progress_ms, orphan_since_ms, unschedulable_since_ms,
		stopped_since_ms, best;
	uint64_t who;        /* of the tasks that run */
	int64_t found_us;    /* the newest that was seen in the first look, by the Engine's clock */
	enum docker_update_state update;
	struct converge_kept {
		struct converge_task failed; /* see converge_failed */
		struct converge_task last;   /* the newest failure that was seen */
	} *kept; /* NULL: none so far; most services never need the room */
};

struct converge_look {
	const struct docker_service *service; /* NULL: it is not there */
	/* Of this service's present spec, sorted (converge_sort). */
	const struct docker_task *tasks;
	size_t n_tasks;
	const struct docker_node *nodes;
	size_t n_nodes;
	uint64_t now_ms; /* of a clock that may stand still while the Engine does not answer; never 0 */
};
/* By service, slot and node: the tasks of one slot are neighbours. */
void converge_sort(struct docker_task *tasks, size_t n);
/* Those of one service, of a sorted list. */
const struct docker_task *converge_tasks(
	const struct docker_task *sorted, size_t n, const char *service_id, size_t *ret_n);

/* The verdict; running, wanted and message beside it. */
enum converge_verdict converge_judge(struct converge *c, const struct converge_look *look);
/* Of one whose verdict is CONVERGE_HOLD: how long it must still stay so. */
uint64_t converge_hold_left(const struct converge *c, uint64_t now_ms);
/* Nothing could be seen for a while: neither holding nor stalling goes on from before. */
void converge_interrupted(struct converge *c);

/* The task that is to blame for CONVERGE_FAILED. id "": none. */
const struct converge_task *converge_failed(const struct converge *c);
/* Like converge_judge, but nothing is changed unless it fails. */
void converge_judge_failed(struct converge *c, const struct converge_look *look);

/* The state for people. */
enum service_state converge_state(const struct converge *c);

/* How often a slot may fail, since the service was last written, before it is a crash loop. */
#define CONVERGE_FAILURES   3
#define CONVERGE_REJECTIONS 2
/* A slot whose last task ended and has no successor for so long will not get one. */
#define CONVERGE_ORPHAN_MS 3000
/* The Engine has stopped its update, and the task that made it do so is not yet seen. */
#define CONVERGE_STOPPED_MS 1000
/* The scheduler has said for so long that no node suits. */
#define CONVERGE_UNSCHEDULABLE_MS 15000
/* A service without progress for stall_ms, and the times that its own spec asks for (health check,
 * delays, grace periods), has failed. Pulling an image shows no progress: it has its own limit; a
 * job's task may run as long as it likes. */
#define CONVERGE_PULL_MS 600000
