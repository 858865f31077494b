#include "stacks/planner.h"

#include <string.h>
#include "base/arena.h"
#include "db/registries.h"
#include "flow/flow.h"
#include "stacks/images.h"
#include "stacks/plan_work.h"
#include "stacks/reserved.h"

struct planner {
	struct flow flow;
	struct planner_input in;
	struct planner_result result;
	const char *project_id, *stack_id;
	struct release release;
	struct registry_auths auths;
	struct plan_kept kept;
	struct world world;
	void (*done)(void *data, const struct status *st, const struct planner_result *r);
	void *data;
};

static struct planner *planner_of(const struct flow *f)
{
	return f->data;
}

/* ---- what it is about ---- */

static void on_project(void *data, const struct status *st, const struct db_project *p)
{
	struct planner *pl = data;
	if (status_is_ok(st)) {
		pl->world.project_id = pl->project_id = arena_strdup(pl->in.arena, p->id.text);
		pl->result.project = arena_strdup(pl->in.arena, p->name);
	}
	flow_step_done(&pl->flow, st);
}

static enum flow_next load_project(struct flow *f)
{
	struct planner *pl = planner_of(f);
	pl->in.db->projects->get(pl->in.db, &pl->in.scope, pl->in.stack.project, on_project, pl);
	return FLOW_WAIT;
}

static void take_stack(struct planner *pl, const struct db_stack *s)
{
	struct arena *a = pl->in.arena;
	pl->world.project_id = pl->project_id = arena_strdup(a, s->project_id.text);
	pl->stack_id = arena_strdup(a, s->id.text);
	pl->result.active_id = arena_strdup(a, s->active_deployment_id.text);
	pl->result.project = arena_strdup(a, s->project);
	pl->result.name = arena_strdup(a, s->name);
	pl->result.namespace_ = arena_strdup(a, s->namespace_);
	pl->result.release = s->active_number;
	pl->world.adopted = s->adopted;
	pl->result.busy = s->status == STACK_DEPLOYING || s->status == STACK_REMOVING;
}

static void on_stack(void *data, const struct status *st, const struct db_stack *s)
{
	struct planner *pl = data;
	struct status result = *st;
	if (status_is_ok(st))
		take_stack(pl, s);
	else if (st->code == ST_NOT_FOUND && pl->in.upload)
		result = status_ok(); /* its first deploy */
	flow_step_done(&pl->flow, &result);
}

static enum flow_next load_stack(struct flow *f)
{
	struct planner *pl = planner_of(f);
	pl->in.db->stacks->get(pl->in.db, &pl->in.scope, &pl->in.stack, on_stack, pl);
	return FLOW_WAIT;
}

static void on_namespace_checked(void *data, const struct status *st)
{
	struct planner *pl = data;
	flow_step_done(&pl->flow, st);
}

/* As a deploy does it. */
static enum flow_next choose_namespace(struct flow *f)
{
	struct planner *pl = planner_of(f);
	struct arena *a = pl->in.arena;
	const char *wish = pl->in.namespace_, **name = &pl->result.namespace_;
	if (!(*name)[0])
		*name = wish[0] ? wish : arena_fmt(a, "%s-%s", pl->result.project, pl->result.name);
	const char *chosen = wish[0] ? wish : *name, *wrong = compose_check_name(a, chosen);
	if (wrong) {
		f->st = status_err(ST_INVALID_ARGUMENT, "namespace \"%s\": %s", chosen, wrong);
		return FLOW_FAIL;
	}
	pl->in.db->stacks->check_namespace(pl->in.db, &pl->in.scope, pl->in.stack.project,
		pl->in.stack.name, wish, on_namespace_checked, pl);
	return FLOW_WAIT;
}

/* ---- what is wanted ---- */

static void on_built(void *data, const struct status *st, const struct release_build *b)
{
	struct planner *pl = data;
	pl->result.build = b;
	pl->release = b->release;
	flow_step_done(&pl->flow, st);
}

static enum flow_next build(struct flow *f)
{
	struct planner *pl = planner_of(f);
	const struct release_labels labels = {pl->project_id, pl->stack_id};
	release_build(pl->in.loop, pl->in.arena,
		&(struct release_build_input){.namespace_ = pl->result.namespace_,
			.upload = pl->in.upload,
			.labels = &labels},
		on_built, pl);
	return FLOW_WAIT;
}

static void on_release(void *data, const struct status *st, const struct db_release *r)
{
	struct planner *pl = data;
	if (!status_is_ok(st)) {
		flow_step_done(&pl->flow, st);
		return;
	}
	const struct release_labels labels = {pl->project_id, pl->stack_id};
	release_build(pl->in.loop, pl->in.arena,
		&(struct release_build_input){.namespace_ = pl->result.namespace_,
			.source = r->source,
			.rendered = r->rendered,
			.labels = &labels},
		on_built, pl);
}

static enum flow_next load_release(struct flow *f)
{
	struct planner *pl = planner_of(f);
	if (!pl->result.active_id[0]) {
		f->st = status_err(ST_FAILED_PRECONDITION,
			"stack \"%s\" has no release that runs: there is nothing to compare with",
			pl->result.name);
		return FLOW_FAIL;
	}
	pl->in.db->stacks->load_release(
		pl->in.db, pl->project_id, pl->result.active_id, on_release, pl);
	return FLOW_WAIT;
}

static void on_good(
	void *data, const struct status *st, const struct db_release_objects *r, size_t n)
{
	struct planner *pl = data;
	pl->kept = plan_kept_copy(pl->in.arena, r, n);
	flow_step_done(&pl->flow, st);
}

/* The release that is deployed becomes one of them: a deploy keeps one less of those before. */
static enum flow_next load_good(struct flow *f)
{
	struct planner *pl = planner_of(f);
	unsigned keep = pl->in.keep_releases;
	if (!pl->stack_id[0] || keep < 2)
		return FLOW_NEXT;
	pl->in.db->stacks->good_releases(
		pl->in.db, pl->project_id, pl->stack_id, keep - 1, on_good, pl);
	return FLOW_WAIT;
}

static void on_before_built(void *data, const struct status *st, const struct release_build *b)
{
	struct planner *pl = data;
	if (status_is_ok(st))
		release_keep_names(pl->in.arena, pl->result.namespace_, &pl->release, &b->release);
	flow_step_done(&pl->flow, st);
}

static void on_before(void *data, const struct status *st, const struct db_release *r)
{
	struct planner *pl = data;
	if (!status_is_ok(st)) {
		flow_step_done(&pl->flow, st);
		return;
	}
	release_build(pl->in.loop, pl->in.arena,
		&(struct release_build_input){
			.namespace_ = pl->result.namespace_, .rendered = r->rendered},
		on_before_built, pl);
}

/* As a deploy does it. */
static enum flow_next keep_names(struct flow *f)
{
	struct planner *pl = planner_of(f);
	if (!pl->world.adopted || !pl->result.active_id[0])
		return FLOW_NEXT;
	pl->in.db->stacks->load_release(
		pl->in.db, pl->project_id, pl->result.active_id, on_before, pl);
	return FLOW_WAIT;
}

/* ---- what is there, and what follows ---- */

static void on_looked(void *data, const struct status *st)
{
	struct planner *pl = data;
	flow_step_done(&pl->flow, st);
}

static enum flow_next look(struct flow *f)
{
	struct planner *pl = planner_of(f);
	world_read(&pl->world, pl->result.namespace_, pl->stack_id, on_looked, pl);
	return FLOW_WAIT;
}

static void on_reserved(
	void *data, const struct status *st, const struct db_reserved *r, size_t n)
{
	struct planner *pl = data;
	if (status_is_ok(st)) {
		pl->world.reserved = reserved_copy(pl->in.arena, r, n);
		pl->world.n_reserved = n;
	}
	flow_step_done(&pl->flow, st);
}

/* As a deploy does it. */
static enum flow_next check_names(struct flow *f)
{
	struct planner *pl = planner_of(f);
	size_t n;
	const char *const *names =
		reserved_candidates(pl->in.arena, pl->result.namespace_, &pl->release, &n);
	if (n == 0)
		return FLOW_NEXT;
	pl->in.db->stacks->reserved(pl->in.db, pl->project_id, pl->result.namespace_, names, n,
		on_reserved, pl);
	return FLOW_WAIT;
}

static void on_registries(
	void *data, const struct status *st, const struct db_registry *r, size_t n, bool more)
{
	struct planner *pl = data;
	(void)more;
	if (status_is_ok(st))
		registry_auths_make(pl->in.arena, r, n, &pl->auths);
	flow_step_done(&pl->flow, st);
}

static enum flow_next load_registries(struct flow *f)
{
	struct planner *pl = planner_of(f);
	pl->in.db->registries->load(pl->in.db, pl->project_id, on_registries, pl);
	return FLOW_WAIT;
}

static void say(void *data, const char *words)
{
	struct planner *pl = data;
	struct planner_result *r = &pl->result;
	if (strncmp(words, "warning: ", 9) == 0) /* of a job's events; here all are warnings */
		words += 9;
	const char **more = arena_array(pl->in.arena, const char *, r->n_said + 1);
	if (r->n_said)
		memcpy(more, r->said, r->n_said * sizeof(*more));
	more[r->n_said++] = arena_strdup(pl->in.arena, words);
	r->said = more;
}

static void on_images(void *data, const struct image_answer *answers, size_t n)
{
	struct planner *pl = data;
	struct status st = status_ok();
	for (size_t i = 0; i < n; i++)
		if (answers[i].st.code == ST_UNAVAILABLE)
			st = answers[i].st;
	images_pin(pl->in.arena, &pl->release, &pl->world, answers, n, say, pl);
	flow_step_done(&pl->flow, &st);
}

/* As a deploy does it. */
static enum flow_next resolve_images(struct flow *f)
{
	struct planner *pl = planner_of(f);
	enum image_policy policy;
	size_t n;
	if (!image_policy_parse(pl->in.resolve_image, &policy))
		policy = IMAGES_ALWAYS;
	const char *const *refs = images_wanted(pl->in.arena, &pl->release, &pl->world, policy, &n);
	const struct images_options o = {
		.loop = pl->in.loop, .docker = pl->in.docker, .auths = &pl->auths};
	(void)images_ask(&o, refs, n, on_images, pl);
	return FLOW_WAIT;
}

static void on_decided(void *data, const struct status *st, const struct plan_work *w)
{
	struct planner *pl = data;
	for (size_t i = 0; i < w->n_said; i++)
		say(pl, w->said[i]);
	pl->result.plan = w->plan;
	pl->result.fingerprint = w->fingerprint;
	pl->result.drifts = w->drifts;
	flow_step_done(&pl->flow, st);
}

static enum flow_next decide(struct flow *f)
{
	struct planner *pl = planner_of(f);
	const struct plan_work_input in = {
		.world = &pl->world, .release = &pl->release, .kept = &pl->kept};
	plan_work(pl->in.loop, pl->in.arena, &in, on_decided, pl);
	return FLOW_WAIT;
}

static enum flow_next compare(struct flow *f)
{
	struct planner *pl = planner_of(f);
	const struct plan_work_input in = {
		.world = &pl->world, .release = &pl->release, .drifts = true};
	plan_work(pl->in.loop, pl->in.arena, &in, on_decided, pl);
	return FLOW_WAIT;
}

static const struct flow_step plan_steps[] = {
	{"load_project", load_project, NULL, 0},
	{"load_stack", load_stack, NULL, 0},
	{"choose_namespace", choose_namespace, NULL, 0},
	{"build", build, NULL, 0},
	{"keep_names", keep_names, NULL, 0},
	{"load_registries", load_registries, NULL, 0},
	{"load_good", load_good, NULL, 0},
	{"check_names", check_names, NULL, 0},
	{"look", look, NULL, 0},
	{"images", resolve_images, NULL, 0},
	{"decide", decide, NULL, 0},
	{0},
};
static const struct flow_step diff_steps[] = {
	{"load_stack", load_stack, NULL, 0},
	{"load_release", load_release, NULL, 0},
	{"look", look, NULL, 0},
	{"compare", compare, NULL, 0},
	{0},
};

/* ---- the run ---- */

static void on_end(struct flow *f)
{
	struct planner *pl = planner_of(f);
	const struct status st = f->st;
	pl->done(pl->data, &st, &pl->result);
}

static void release_world(void *world)
{
	world_finish(world);
}

static void start(const struct planner_input *in, const struct flow_step *steps,
	void (*done)(void *data, const struct status *st, const struct planner_result *r),
	void *data)
{
	static const struct flow_ops ops = {.on_end = on_end};
	static const struct release_build none;
	struct planner *pl = arena_new(in->arena, struct planner);
	*pl = (struct planner){.in = *in,
		.project_id = "",
		.stack_id = "",
		.result = {.build = &none,
			.project = "",
			.name = in->stack.name,
			.namespace_ = "",
			.active_id = ""},
		.done = done,
		.data = data};
	pl->result.world = &pl->world;
	world_init(&pl->world, in->loop, in->docker);
	pl->world.wants[0] = &pl->release;
	arena_on_free(in->arena, release_world, &pl->world);
	flow_init(&pl->flow, in->loop, steps, &ops, pl);
	flow_start(&pl->flow, NULL, false);
}

void planner_plan(const struct planner_input *in,
	void (*done)(void *data, const struct status *st, const struct planner_result *r),
	void *data)
{
	start(in, plan_steps, done, data);
}

void planner_diff(const struct planner_input *in,
	void (*done)(void *data, const struct status *st, const struct planner_result *r),
	void *data)
{
	start(in, diff_steps, done, data);
}
