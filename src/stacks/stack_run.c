#include "stacks/stack_run.h"

#include <stdlib.h>
#include "base/arena.h"
#include "base/mem.h"
#include "db/registries.h"
#include "stacks/arena_leave.h"
#include "stacks/images.h"

#define RETRY_MS 300

static void on_retry(struct timer *t)
{
	struct stack_run *sr = container_of(t, struct stack_run, retry);
	flow_resume(sr->run->flow);
}

static void on_turn(struct turn *t)
{
	struct stack_run *sr = container_of(t, struct stack_run, turn);
	struct status ok = status_ok();
	flow_step_done(sr->run->flow, &ok);
}

void stack_run_begin(struct job_run *run)
{
	struct stack_run *sr = arena_new(run->arena, struct stack_run);
	struct stacks *stacks = run->context;
	sr->run = run;
	sr->stacks = stacks;
	sr->docker = stacks->docker;
	sr->db = run->db;
	sr->namespace_ = sr->unfinished = "";
	sr->on_failure = ON_FAILURE_ROLLBACK;
	sr->stall_ms = stacks->stall_ms;
	sr->deployment_id = run->job->deployment_id.text;
	sr->bodies = arena_create_small();
	sr->previous_id = "";
	turn_init(&sr->turn, &stacks->turns, run->loop, on_turn);
	list_init(&sr->ops);
	map_init(&sr->told);
	timer_init(&sr->retry, run->loop, on_retry);
	again_init(&sr->tries, run->rng);
	world_init(&sr->world, run->loop, stacks->docker);
	sr->world.wants[0] = &sr->target;
	sr->world.wants[1] = &sr->previous;
	rollout_init(&sr->forward, sr);
	rollout_init(&sr->back, sr);
	run->state = sr;
}

/* A step that took too long has failed by what it waited for: that is what people must hear. */
static void explain_limit(struct stack_run *sr)
{
	struct flow *f = sr->run->flow;
	struct status *st = f->state == FLOW_UNDOING ? &f->undo_st : &f->st;
	const char *waits = rollout_waits_for(f->state == FLOW_UNDOING ? &sr->back : &sr->forward);
	if (f->state == FLOW_ENDED || st->code != ST_DEADLINE_EXCEEDED)
		return;
	struct status limit = *st;
	if (!status_is_ok(&sr->trouble))
		*st = status_err(sr->trouble.code, "%s: %s", limit.message, sr->trouble.message);
	else if (waits)
		*st = status_err(limit.code, "%s: %s", limit.message, waits);
}

void stack_run_interrupt(struct job_run *run)
{
	struct stack_run *sr = run->state;
	explain_limit(sr);
	timer_stop(&sr->retry);
	again_reset(&sr->tries);
	turn_leave(&sr->turn);
	images_cancel(sr->images);
	sr->images = NULL;
	rollout_stop(&sr->forward);
	rollout_stop(&sr->back);
	world_stop(&sr->world);
	sr->after_writes = NULL;
	list_for_each (&sr->ops, n) {
		struct stack_op *op = container_of(n, struct stack_op, node);
		bool given_up = op->cancelled;
		op->cancelled = true;
		if (op->writes && run->flow->state != FLOW_ENDED)
			continue; /* its completion is waited for: after_writes */
		if (given_up && !op->writes)
			continue;
		if (op->docker)
			docker_cancel(sr->docker, op->docker);
		if (op->db)
			db_cancel(sr->db, op->db);
	}
}

void stack_run_end(struct job_run *run)
{
	struct stack_run *sr = run->state;
	timer_stop(&sr->retry);
	rollout_finish(&sr->forward);
	rollout_finish(&sr->back);
	world_finish(&sr->world);
	turn_leave(&sr->turn);
	if (sr->bodies)
		arena_leave(run->loop, sr->bodies);
	map_finish(&sr->told);
}

/* ---- operations ---- */

struct stack_op *stack_op_begin(struct stack_run *sr, void *data)
{
	struct stack_op *op = mem_new(struct stack_op);
	op->sr = sr;
	op->data = data;
	list_push(&sr->ops, &op->node);
	job_run_hold(sr->run);
	return op;
}

struct stack_op *stack_write_begin(struct stack_run *sr, void *data)
{
	if (!job_run_holds_lease(sr->run))
		return NULL;
	struct stack_op *op = stack_op_begin(sr, data);
	op->writes = true;
	sr->n_writes++;
	return op;
}

/* What the Engine is asked for while the step is given up, it may do: only then can be seen what is to be taken back. */
static void go_on_without_writes(struct stack_run *sr)
{
	void (*next)(struct stack_run *sr) = sr->after_writes;
	if (!next || sr->n_writes > 0)
		return;
	sr->after_writes = NULL;
	next(sr);
}

static void after_writes(struct stack_run *sr, void (*next)(struct stack_run *sr))
{
	sr->after_writes = next;
	go_on_without_writes(sr);
}

static void write_over(struct stack_run *sr)
{
	sr->n_writes--;
	go_on_without_writes(sr);
}

bool stack_op_end(struct stack_op *op, struct stack_run **ret_sr, void **ret_data)
{
	bool wanted = !op->cancelled;
	struct job_run *run = op->sr->run;
	*ret_sr = op->sr;
	if (ret_data)
		*ret_data = op->data;
	list_remove(&op->node);
	if (op->writes)
		write_over(op->sr);
	free(op);
	job_run_release(run); /* frees nothing before a later turn */
	return wanted;
}

void stack_step_done(struct stack_run *sr, const struct status *st)
{
	sr->trouble = status_ok();
	if (st->code == ST_UNAVAILABLE || st->code == ST_DEADLINE_EXCEEDED) {
		sr->trouble = *st;
		timer_set(&sr->retry, RETRY_MS);
	} else if (st->code == ST_ABORTED) {
		job_run_abandon(sr->run, st->message);
	} else {
		flow_step_done(sr->run->flow, st);
	}
}

uint64_t stack_try_again(struct stack_run *sr, struct again *tries, const struct status *st)
{
	sr->trouble = *st;
	if (tries->tries == 0)
		job_run_say(sr->run, "trying again: %s", st->message);
	return again_next(tries, st->code);
}

void stack_look_done(struct stack_run *sr, const struct status *st)
{
	sr->trouble = status_ok();
	if (!status_is_ok(st) && again_may_pass(&sr->tries, st->code)) {
		timer_set(&sr->retry, stack_try_again(sr, &sr->tries, st));
		return;
	}
	struct status end = again_explain(&sr->tries, st);
	again_reset(&sr->tries);
	flow_step_done(sr->run->flow, &end);
}

void stack_on_rollout(struct stack_run *sr, const struct status *st)
{
	flow_step_done(sr->run->flow, st);
}

void stack_op_step_done(void *op, const struct status *st)
{
	struct stack_run *sr;
	if (stack_op_end(op, &sr, NULL))
		stack_step_done(sr, st);
}

/* ---- room ---- */

enum flow_next stack_take_turn(struct flow *f)
{
	turn_ask(&stack_run_of(f)->turn);
	return FLOW_WAIT;
}

void stack_lighten(struct stack_run *sr)
{
	struct arena *a = sr->run->arena;
	turn_leave(&sr->turn);
	if (!sr->bodies)
		return;
	rollout_forget_watched(&sr->forward);
	sr->target = release_outline(a, &sr->target);
	sr->previous = release_outline(a, &sr->previous);
	arena_leave(sr->run->loop, sr->bodies);
	sr->bodies = NULL;
	world_lighten(&sr->world);
}

/* ---- loading ---- */

void stack_build_release(struct stack_run *sr, const struct db_release *r,
	void (*done)(void *op, const struct status *st, const struct release_build *b))
{
	const struct release_labels labels = {
		sr->run->job->project_id.text, sr->run->job->stack_id.text};
	const struct release_build_input in = {.namespace_ = sr->namespace_,
		.source = r->source,
		.rendered = r->rendered,
		.labels = &labels,
		.lean = true};
	if (!sr->bodies)
		sr->bodies = arena_create_small();
	release_build(sr->run->loop, sr->bodies, &in, done, stack_op_begin(sr, NULL));
}

static struct db_scope scope_of(const struct stack_run *sr)
{
	return (struct db_scope){.project_id = sr->run->job->project_id.text,
		.actor = "skepd",
		.method = "",
		.request_id = ""};
}

static void on_previous_built(void *data, const struct status *st, const struct release_build *b)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	sr->previous = b->release;
	sr->has_previous = true;
	stack_step_done(sr, st);
}

static void on_previous(void *data, const struct status *st, const struct db_release *r)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	stack_build_release(sr, r, on_previous_built);
}

static void on_registries(
	void *data, const struct status *st, const struct db_registry *r, size_t n, bool more)
{
	struct stack_run *sr;
	void *active;
	(void)more;
	if (!stack_op_end(data, &sr, &active))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	registry_auths_make(sr->run->arena, r, n, &sr->auths);
	if (!active) {
		flow_step_done(sr->run->flow, st);
		return;
	}
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->load_release(
		sr->db, sr->run->job->project_id.text, active, on_previous, op);
}

static void on_stack(void *data, const struct status *st, const struct db_stack *s)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (!status_is_ok(st)) {
		stack_step_done(sr, st);
		return;
	}
	sr->namespace_ = arena_strdup(sr->run->arena, s->namespace_);
	sr->world.adopted = s->adopted;
	sr->previous_number = s->active_number;
	sr->unfinished = arena_strdup(sr->run->arena, s->unfinished);
	sr->world.project_id = sr->run->job->project_id.text;
	const char *active = s->active_deployment_id.text;
	sr->previous_id = arena_strdup(sr->run->arena, active);
	struct stack_op *op = stack_op_begin(sr, active[0] ? (void *)(uintptr_t)sr->previous_id : NULL);
	op->db = sr->db->registries->load(
		sr->db, sr->run->job->project_id.text, on_registries, op);
}

enum flow_next stack_load_stack(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	const struct db_stack_ref ref = {
		.id = sr->run->job->stack_id.text, .project = "", .name = ""};
	if (!ref.id[0] && sr->run->job->kind == JOB_REMOVE)
		return FLOW_NEXT; /* resumed behind its own end */
	if (!ref.id[0]) {
		f->st = status_err(ST_NOT_FOUND,
			"stack \"%s\" is gone: it was removed before this job ran",
			sr->run->job->stack);
		return FLOW_FAIL;
	}
	struct db_scope scope = scope_of(sr);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->get(sr->db, &scope, &ref, on_stack, op);
	return FLOW_WAIT;
}

void stack_read_world(
	struct stack_run *sr, void (*done)(void *data, const struct status *st), void *data)
{
	world_read(&sr->world, sr->namespace_, sr->run->job->stack_id.text, done, data);
}

static void on_looked(void *data, const struct status *st)
{
	stack_look_done(data, st);
}

enum flow_next stack_look(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	stack_read_world(sr, on_looked, sr);
	return FLOW_WAIT;
}

void stack_assign_networks(struct stack_run *sr)
{
	const struct release *r = &sr->target;
	const char **names = arena_array(sr->run->arena, const char *, r->n_networks + 1);
	const char **engine_names = arena_array(sr->run->arena, const char *, r->n_networks + 1);
	size_t n = 0;
	for (size_t i = 0; i < r->n_networks; i++) {
		if (r->networks[i].external)
			continue;
		names[n] = r->networks[i].key;
		engine_names[n++] = r->networks[i].name;
	}
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->set_networks(
		sr->db, sr->run->job, names, engine_names, n, stack_op_step_done, op);
}

/* ---- storing ---- */

static void add_names(
	struct db_rendered *r, const char **names, const struct release_object *objects, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!objects[i].external)
			names[r->n_objects++] = objects[i].name;
}

struct storing {
	const struct release *release; /* stays as it is meanwhile */
	struct arena *arena;
	struct str text;
};

/* On the pool. */
static void encode(void *op)
{
	struct storing *s = ((struct stack_op *)op)->data;
	s->text = release_encode(s->arena, s->release);
}

static void store_text(struct stack_run *sr, struct arena *a, struct str text)
{
	const struct release *t = &sr->target;
	const char **images = arena_array(a, const char *, t->n_services);
	const char **objects = arena_array(a, const char *, t->n_secrets + t->n_configs);
	struct db_rendered r = {.text = text, .images = images, .objects = objects};
	for (size_t i = 0; i < t->n_services; i++)
		images[r.n_images++] = t->services[i].image;
	add_names(&r, objects, t->secrets, t->n_secrets);
	add_names(&r, objects, t->configs, t->n_configs);
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->store_rendered(
		sr->db, sr->run->job, sr->deployment_id, &r, stack_op_step_done, op);
}

static void on_encoded(void *data, const struct status *st)
{
	struct stack_run *sr;
	void *storing;
	bool wanted = stack_op_end(data, &sr, &storing);
	struct storing *s = storing;
	if (wanted && status_is_ok(st))
		store_text(sr, s->arena, s->text);
	else if (wanted)
		stack_step_done(sr, st);
	arena_destroy(s->arena); /* what was begun has copies */
}

/* The text of thousands of services takes longer to write than a turn of the loop may. */
enum flow_next stack_store_release(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	struct arena *a = arena_create_small();
	struct storing *s = arena_new(a, struct storing);
	*s = (struct storing){.release = &sr->target, .arena = a};
	loop_work_queued(sr->run->loop, encode, on_encoded, stack_op_begin(sr, s));
	return FLOW_WAIT;
}

/* ---- the way back ---- */

/* What failed stays as it is by choice. Who cancels wants to have back what there was. */
static bool is_left(const struct stack_run *sr)
{
	return sr->on_failure >= ON_FAILURE_PAUSE && sr->run->flow->st.code != ST_CANCELLED;
}

static void go_back(struct stack_run *sr);

static void on_restored(struct stack_run *sr, const struct status *st)
{
	struct arena *a = sr->run->arena;
	bool back = sr->has_previous;
	if (!status_is_ok(st) && back && !sr->went_back_again) {
		/* An Engine that restarts meanwhile kills tasks and pauses the update that was to
		 * mend things: only writing the service again goes on with it. */
		sr->went_back_again = true;
		job_run_say(sr->run, "going back failed, it is tried once more: %s",
			st->message);
		go_back(sr);
		return;
	}
	struct status wrapped = status_wrap(
		st, back ? "going back to the release before" : "removing what was begun");
	sr->unrestored = !status_is_ok(st);
	sr->restore_st = *st;
	if (status_is_ok(st)) {
		job_run_say(sr->run, "%s",
			back ? "back at the release before" : "what was begun is removed");
		job_run_story(sr->run,
			back ? arena_fmt(a, "went back: release %lld runs again",
				       (long long)sr->previous_number)
			     : "what was begun is removed",
			NULL);
	}
	flow_step_done(sr->run->flow, &wrapped);
}

static void start_back(struct stack_run *sr)
{
	sr->back.target = &sr->previous;
	sr->back.stale = true;
	sr->back.thorough = true;
	rollout_run(&sr->back, ROLLOUT_ALL, on_restored);
}

static void on_previous_again(void *data, const struct status *st, const struct release_build *b)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	sr->previous = b->release;
	if (status_is_ok(st))
		go_back(sr);
	else
		stack_step_done(sr, st);
}

static void on_previous_text(void *data, const struct status *st, const struct db_release *r)
{
	struct stack_run *sr;
	if (!stack_op_end(data, &sr, NULL))
		return;
	if (status_is_ok(st))
		stack_build_release(sr, r, on_previous_again);
	else
		stack_step_done(sr, st);
}

static void load_previous_again(struct stack_run *sr)
{
	struct stack_op *op = stack_op_begin(sr, NULL);
	op->db = sr->db->stacks->load_release(sr->db, sr->run->job->project_id.text,
		sr->previous_id, on_previous_text, op);
}

static void go_back(struct stack_run *sr)
{
	after_writes(sr, start_back);
}

enum flow_next stack_restore(struct flow *f)
{
	struct stack_run *sr = stack_run_of(f);
	sr->touched = true;
	if (is_left(sr)) {
		job_run_story(sr->run, "left as it is", NULL);
		return FLOW_NEXT;
	}
	job_run_say(sr->run, "%s",
		sr->has_previous ? "going back to the release before" : "removing what was begun");
	sr->unrestored = true;
	sr->restore_st = status_err(ST_DEADLINE_EXCEEDED, "it took too long");
	if (sr->has_previous && !sr->bodies)
		load_previous_again(sr);
	else
		go_back(sr);
	return FLOW_WAIT;
}

enum stack_status stack_left_as(const struct stack_run *sr, const char **ret_message)
{
	struct arena *a = sr->run->arena;
	const struct db_job *job = sr->run->job;
	const char *why = sr->run->flow->st.message;
	const char *name = job->stack;
	long long number = (long long)sr->previous_number;
	*ret_message = "";
	if (sr->has_previous && !sr->touched) {
		*ret_message = sr->unfinished;
		return sr->unfinished[0] ? STACK_DEGRADED : STACK_RUNNING;
	}
	if (sr->has_previous && !sr->unrestored && !is_left(sr))
		return STACK_RUNNING;
	if (sr->unrestored && sr->has_previous)
		*ret_message = arena_fmt(a,
			"%s; going back to release %lld failed too: %s; next: mend that, then "
			"skep stack rollback %s --to %lld",
			why, number, sr->restore_st.message, name, number);
	else if (sr->unrestored)
		*ret_message = arena_fmt(a,
			"%s; removing what was begun failed too: %s; next: skep stack rm %s", why,
			sr->restore_st.message, name);
	else if (is_left(sr) && sr->has_previous)
		*ret_message = arena_fmt(a,
			"%s; left as it is; next: deploy again, or skep stack rollback %s (to "
			"release %lld)",
			why, name, number);
	else if (is_left(sr))
		*ret_message = arena_fmt(a, "%s; left as it is; next: deploy again, or skep stack rm %s",
			why, name);
	else
		*ret_message = why;
	return sr->has_previous ? STACK_DEGRADED : STACK_FAILED;
}
