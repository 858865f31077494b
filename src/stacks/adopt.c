/* adopt: takes over a stack that `docker stack deploy` made, without touching a task: its services
 * get our labels (of the service, not of its containers), and what the Engine holds becomes the
 * stack's first release. Failed or cancelled before the end, the labels go, and the stack's row. */
#include "stacks/kinds.h"

#include "base/arena.h"
#include "stacks/adopted.h"
#include "stacks/arena_leave.h"
#include "stacks/stack_run.h"

#define LOST_MAX 20 /* lines told */

/* ---- prelude ---- */

/* Of thousands of services it takes longer than a turn of the loop may. */
struct making {
	struct release release;
	struct status st;
};

/* On the pool, in an arena that nobody else uses meanwhile; what the Engine holds stays as it is. */
static void make(void *op)
{
	const struct stack_run *sr = ((struct stack_op *)op)->sr;
	struct making *m = ((struct stack_op *)op)->data;
	const struct release_labels labels = {
		sr->run->job->project_id.text, sr->run->job->stack_id.text};
	m->st = adopted_release(sr->bodies, sr->namespace_, &sr->world, &labels, &m->release);
}

static void on_made(void *data, const struct status *st)
{
	struct stack_run *sr;
	void *making;
	if (!stack_op_end(data, &sr, &making))
		return;
	const struct making *m = making;
	sr->adopted = m->st;
	sr->target = m->release;
	stack_step_done(sr, st);
}

/* What comes of it the steps look at: one that fails takes back what was announced. */
static enum flow_next make_target(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	sr->forward.mode = ROLLOUT_ADOPT;
	sr->back.mode = ROLLOUT_BACK;
	struct making *m = arena_new(sr->run->arena, struct making);
	m->release = (struct release){.n_levels = 0};
	loop_work_queued(sr->run->loop, make, on_made, stack_op_begin(sr, m));
	return FLOW_WAIT;
}

/* ---- steps ---- */

static enum flow_next announce(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->set_status(
		sr->db, sr->run->job, STACK_DEPLOYING, "", stack_op_step_done, op);
	return FLOW_WAIT;
}

static void on_release_failed(void *data, const struct status *st)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->removed(sr->db, sr->run->job, stack_op_step_done, op);
}

static enum flow_next forget(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->fail_release(
		sr->db, sr->run->job, sr->deployment_id, on_release_failed, op);
	return FLOW_WAIT;
}

/* ---- the release ---- */

static void on_source_stored(void *data, const struct status *st)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	(void)stack_store_release(sr->run->flow);
}

static void tell_lost(struct stack_run *sr, const struct compose_strings *lost)
{
	for (size_t i = 0; i < lost->len && i < LOST_MAX; i++)
		job_run_say(sr->run, "not in the text: %s", lost->items[i]);
	if (lost->len > LOST_MAX)
		job_run_say(sr->run, "not in the text: %zu more", lost->len - LOST_MAX);
}

/* In its own arena. */
struct writing {
	struct arena *arena;
	const struct release *release; /* stays as it is meanwhile */
	const char *namespace_, *text;
	struct compose_strings lost;
	struct str source;
	bool made;
};

/* On the pool. */
static void write_text(void *op)
{
	struct writing *x = ((struct stack_op *)op)->data;
	const char *head = arena_fmt(
		x->arena, "Made from the services of the Engine's stack %s.", x->namespace_);
	x->made = release_export(
		x->arena, x->namespace_, head, x->release, &x->text, &x->lost);
	if (!x->made)
		return;
	struct compose_text compose = {"compose.yml", str_of(x->text)};
	const struct release_upload upload = {.texts = &compose, .n_texts = 1};
	x->source = release_source_encode(x->arena, &upload);
}

static void store_text(struct stack_run *sr, const struct writing *x)
{
	if (!x->made) {
		struct status st = status_err(ST_FAILED_PRECONDITION,
			"no Compose text can be made of it: %s", x->lost.len ? x->lost.items[0] : "");
		flow_step_done(sr->run->flow, &st);
		return;
	}
	tell_lost(sr, &x->lost);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->store_source(
		sr->db, sr->run->job, sr->deployment_id, x->source, on_source_stored, op);
}

static void on_text(void *data, const struct status *st)
{
	struct stack_run *sr;
	void *writing;
	bool wanted = stack_op_end(data, &sr, &writing);
	struct writing *x = writing;
	if (wanted && status_is_ok(st))
		store_text(sr, x);
	else if (wanted)
		stack_step_done(sr, st);
	arena_leave(sr->run->loop, x->arena); /* what was begun has copies */
}

static enum flow_next store(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	f->st = sr->adopted;
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	struct arena *a = arena_create();
	struct writing *x = arena_new(a, struct writing);
	*x = (struct writing){.arena = a, .release = &sr->target, .namespace_ = sr->namespace_};
	loop_work_queued(sr->run->loop, write_text, on_text, stack_op_begin(sr, x));
	return FLOW_WAIT;
}

static enum flow_next assign_networks(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	f->st = sr->adopted;
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	stack_assign_networks(sr);
	return FLOW_WAIT;
}

/* ---- labels ---- */

static enum flow_next services(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	f->st = sr->adopted;
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	sr->forward.target = &sr->target;
	rollout_run(&sr->forward, ROLLOUT_SERVICES, stack_on_rollout);
	return FLOW_WAIT;
}

static enum flow_next labels_back(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	f->undo_st = sr->adopted;
	if (!status_is_ok(&f->undo_st))
		return FLOW_FAIL;
	sr->back.target = &sr->target;
	sr->back.stale = true;
	rollout_run(&sr->back, ROLLOUT_SERVICES, stack_on_rollout);
	return FLOW_WAIT;
}

/* ---- the end ---- */

static void on_activated(void *data, const struct status *st)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (status_is_ok(st))
		job_run_say(sr->run, "%zu service%s adopted, no task touched",
			sr->target.n_services, sr->target.n_services == 1 ? "" : "s");
	stack_step_done(sr, st);
}

static void on_looked(struct stack_run *sr, const struct status *st)
{
	if (status_is_ok(st))
		flow_resume(sr->run->flow);
	else
		flow_step_done(sr->run->flow, st);
}

static enum flow_next activate(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	size_t n;
	f->st = sr->adopted;
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	sr->forward.target = &sr->target;
	if (!sr->forward.judged_all) {
		rollout_run(&sr->forward, ROLLOUT_LOOK, on_looked);
		return FLOW_WAIT;
	}
	struct db_service *seen = rollout_services(&sr->forward, sr->run->arena, &n);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->activate(
		sr->db, sr->run->job, sr->deployment_id, seen, n, on_activated, op);
	return FLOW_WAIT;
}

static const struct flow_step adopt_prelude[] = {
	{"load_stack", stack_load_stack, NULL, 60},
	{"look", stack_look, NULL, 120},
	{"make", make_target, NULL, 120},
	{0},
};
static const struct flow_step adopt_steps[] = {
	{"announce", announce, forget, 60},
	{"store", store, NULL, 60},
	{"assign_networks", assign_networks, NULL, 60},
	{"services", services, labels_back, 600},
	{"activate", activate, NULL, 0}, /* it may be done unheard: no limit, no return */
	{0},
};

const struct job_kind_def stacks_adopt_kind = {JOB_ADOPT, adopt_prelude, adopt_steps,
	stack_run_begin, stack_run_interrupt, stack_run_end, "activate"};
