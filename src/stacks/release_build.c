#include "stacks/release_build.h"

#include "base/arena.h"
#include "loop/loop.h"
#include "stacks/adopted.h"
#include "stacks/arena_leave.h"

/* In its own arena. While the pool has it, the loop's thread touches only `dropped`. */
struct build {
	struct loop *loop;
	struct arena *arena;
	struct arena *given; /* what it is made of: gone when it is made, of a lean one */
	struct release_build_input in;
	struct release_labels labels;
	struct release_build result;
	struct status st;
	bool under_way, dropped;
	void (*done)(void *data, const struct status *st, const struct release_build *b);
	void *data;
};

/* ---- on the pool ---- */

/* The model takes many times the room of what is made of it. */
static struct status make_lean(struct build *b)
{
	const struct release_build_input *in = &b->in;
	struct arena *a = b->given;
	struct release_upload upload;
	struct compose_project *project;
	struct compose_problems errors = {0}, warnings = {0};
	struct release r;
	struct status st = release_source_decode(a, in->source, &upload);
	if (!status_is_ok(&st))
		return st;
	if (!release_model(a, in->namespace_, &upload, &project, &errors, &warnings))
		return status_err(
			ST_INVALID_ARGUMENT, "%s", compose_problem_text(a, &errors.items[0]));
	release_render(a, project, in->labels, &r);
	return release_decode(b->arena, release_encode(a, &r), &b->result.release);
}

static struct status make(struct build *b)
{
	const struct release_build_input *in = &b->in;
	struct release_build *r = &b->result;
	struct status st = status_ok();
	if (in->rendered.len > 0) {
		st = release_decode(b->arena, in->rendered, &r->release);
		if (status_is_ok(&st) && in->export &&
			!release_export(b->arena, in->namespace_, in->export, &r->release, &r->text,
				&r->lost))
			r->text = NULL;
		return st;
	}
	if (in->lean)
		return make_lean(b);
	if (in->upload)
		r->upload = *in->upload;
	else
		st = release_source_decode(b->arena, in->source, &r->upload);
	if (!status_is_ok(&st))
		return st;
	if (!release_model(b->arena, in->namespace_, &r->upload, &r->project, &r->errors,
		    &r->warnings)) {
		r->project = NULL;
		return status_err(ST_INVALID_ARGUMENT, "%s",
			compose_problem_text(b->arena, &r->errors.items[0]));
	}
	if (in->upload) { /* where it was sent from is kept only where it says something */
		r->upload.dir = r->project->dir_used ? r->upload.dir : NULL;
		r->upload.home = r->project->home_used ? r->upload.home : NULL;
		r->source = release_source_encode(b->arena, &r->upload);
	}
	if (in->labels)
		release_render(b->arena, r->project, in->labels, &r->release);
	return st;
}

static void run(void *data)
{
	struct build *b = data;
	b->st = make(b);
	if (b->in.lean) {
		arena_destroy(b->given);
		b->given = b->arena;
	}
}

/* ---- on the loop ---- */

static struct str copy_str(struct arena *a, struct str s)
{
	return str_make(arena_memdup(a, s.ptr, s.len), s.len);
}

static const struct release_upload *copy_upload(struct arena *a, const struct release_upload *u)
{
	struct release_upload *c = arena_memdup(a, u, sizeof(*u));
	c->texts = arena_array(a, struct compose_text, u->n_texts + 1);
	for (size_t i = 0; i < u->n_texts; i++)
		c->texts[i] = (struct compose_text){
			arena_strdup(a, u->texts[i].name), copy_str(a, u->texts[i].text)};
	c->files = arena_array(a, struct compose_upload, u->n_files + 1);
	for (size_t i = 0; i < u->n_files; i++)
		c->files[i] = (struct compose_upload){
			arena_strdup(a, u->files[i].path), copy_str(a, u->files[i].bytes)};
	c->dir = arena_strdup(a, u->dir);
	c->home = arena_strdup(a, u->home);
	c->variables = arena_array(a, struct compose_variable, u->n_variables + 1);
	for (size_t i = 0; i < u->n_variables; i++)
		c->variables[i] =
			(struct compose_variable){arena_strdup(a, u->variables[i].name),
				arena_strdup(a, u->variables[i].value)};
	return c;
}

static void copy_input(struct build *b, const struct release_build_input *in)
{
	struct arena *a = b->given;
	b->in.lean = in->lean;
	b->in.export = arena_strdup(a, in->export);
	b->in.namespace_ = arena_strdup(a, in->namespace_);
	b->in.upload = in->upload ? copy_upload(a, in->upload) : NULL;
	b->in.source = copy_str(a, in->source);
	b->in.rendered = copy_str(a, in->rendered);
	if (!in->labels)
		return;
	b->labels = (struct release_labels){
		arena_strdup(a, in->labels->project_id), arena_strdup(a, in->labels->stack_id)};
	b->in.labels = &b->labels;
}

static void leave(struct build *b)
{
	if (b->given != b->arena)
		arena_destroy(b->given);
	arena_leave(b->loop, b->arena);
}

static void on_owner_gone(void *data)
{
	struct build *b = data;
	if (b->under_way)
		b->dropped = true;
	else
		leave(b);
}

static void on_made(void *data, const struct status *st)
{
	struct build *b = data;
	b->under_way = false;
	if (b->dropped) {
		leave(b);
		return;
	}
	struct status result = b->st;
	if (!status_is_ok(st)) /* never begun: it may pass */
		result = status_err(ST_UNAVAILABLE, "%s", st->message);
	b->done(b->data, &result, &b->result);
}

void release_build(struct loop *l, struct arena *a, const struct release_build_input *in,
	void (*done)(void *data, const struct status *st, const struct release_build *b),
	void *data)
{
	struct arena *own = in->lean ? arena_create_small() : arena_create();
	struct build *b = arena_new(own, struct build);
	b->loop = l;
	b->arena = own;
	b->under_way = true;
	b->given = in->lean ? arena_create() : own;
	b->done = done;
	b->data = data;
	copy_input(b, in);
	arena_on_free(a, on_owner_gone, b);
	if (in->lean)
		loop_work_queued(l, run, on_made, b);
	else
		loop_work(l, run, on_made, b);
}
