/* planner: makes a plan for somebody who asks, outside of any job: loads what the plan is about,
 * looks at the Engine, decides (plan.h). It writes nothing. Two questions:
 *
 *   plan   what would a deploy of these texts do?
 *   diff   what would bring the Engine back to the release that runs: what did somebody change by
 *          hand?
 *
 * Callers: api. There is nothing to cancel; everything has a deadline of its own. */
#pragma once
#include "db/projects.h"
#include "db/stacks.h"
#include "stacks/drift.h"
#include "stacks/release_build.h"

struct docker;
struct loop;

struct planner_input {
	struct loop *loop;
	struct db *db;
	struct docker *docker;
	struct arena *arena;       /* of the caller: everything is in it, until it is freed */
	struct db_scope scope;     /* its texts, and those below, live as long as the arena */
	struct db_stack_ref stack; /* of a plan: project and name; it need not exist yet */
	/* Of a plan only. */
	const struct release_upload *upload;
	const char *namespace_;    /* "" = the stack's, or <project>-<name> */
	const char *resolve_image; /* image_policy_parse's words */
	unsigned keep_releases;    /* see struct stacks */
};
struct planner_result {
	/* Of a plan, with its errors where the texts are wrong; empty: it came not so far. */
	const struct release_build *build;
	const char *project, *name, *namespace_;
	int64_t release;       /* the active one's number; 0 = none */
	bool busy;             /* a job is at work on the stack: its writes may change the answer */
	const char *active_id; /* the release that it was compared with; "" = none */
	const char **said;     /* of images that no registry answered for, fields the Engine drops */
	size_t n_said;
	struct world *world;
	struct plan plan;        /* of a plan */
	const char *fingerprint; /* of a plan */
	struct drifts drifts;    /* of a diff */
};

/* done fires once, later; the result lives as long as the arena. INVALID_ARGUMENT with
 * build->errors: the texts are wrong. */
void planner_plan(const struct planner_input *in,
	void (*done)(void *data, const struct status *st, const struct planner_result *r),
	void *data);
/* FAILED_PRECONDITION: no release runs. */
void planner_diff(const struct planner_input *in,
	void (*done)(void *data, const struct status *st, const struct planner_result *r),
	void *data);
