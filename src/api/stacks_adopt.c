/* skep.v1.Stacks.Adopt and Export: stacks come from docker, and can go back to it. */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "api/stacks.h"
#include "base/arena.h"
#include "jobs/kinds.h"
#include "stacks/release_build.h"


/* ---- adopt ---- */

void api_stacks_adopt(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__AdoptStackRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	const struct db_stack_deploy deploy = {
		.project = q->project,
		.name = q->name,
		.namespace_ = q->namespace_[0] ? q->namespace_ : q->name,
		.adopt = true,
		.on_failure = ON_FAILURE_ROLLBACK,
		.source = release_source_encode(rpc_call_arena(call), &(struct release_upload){0}),
		.max_attempts = (int)job_rule_of(JOB_ADOPT)->attempts,
	};
	struct db_scope scope = api_scope_once(call, request, &q->request_id);
	db->stacks->deploy(db, &scope, &deploy, api_reply_new_job, call);
}

/* ---- export ---- */

struct export {
	struct rpc_call *call;
	bool source;
	const char *project, *name, *namespace_;
	int64_t number;
};

static void reply_source(struct export *e, const struct release_upload *u)
{
	struct arena *a = rpc_call_arena(e->call);
	Skep__V1__ExportStackResponse reply = SKEP__V1__EXPORT_STACK_RESPONSE__INIT;
	reply.release = e->number;
	reply.compose = arena_array(a, Skep__V1__ComposeFile *, u->n_texts + 1);
	for (size_t i = 0; i < u->n_texts; i++) {
		Skep__V1__ComposeFile *f = reply.compose[reply.n_compose++] = arena_new(a, Skep__V1__ComposeFile);
		skep__v1__compose_file__init(f);
		f->name = api_text(a, u->texts[i].name);
		f->text = (ProtobufCBinaryData){u->texts[i].text.len, (uint8_t *)(uintptr_t)u->texts[i].text.ptr};
	}
	reply.files = arena_array(a, Skep__V1__UploadedFile *, u->n_files + 1);
	for (size_t i = 0; i < u->n_files; i++) {
		Skep__V1__UploadedFile *f = reply.files[reply.n_files++] = arena_new(a, Skep__V1__UploadedFile);
		skep__v1__uploaded_file__init(f);
		f->path = api_text(a, u->files[i].path);
		f->content = (ProtobufCBinaryData){u->files[i].bytes.len, (uint8_t *)(uintptr_t)u->files[i].bytes.ptr};
	}
	reply.variables = arena_array(a, Skep__V1__ExportStackResponse__VariablesEntry *, u->n_variables + 1);
	for (size_t i = 0; i < u->n_variables; i++) {
		Skep__V1__ExportStackResponse__VariablesEntry *v = reply.variables[reply.n_variables++] =
			arena_new(a, Skep__V1__ExportStackResponse__VariablesEntry);
		skep__v1__export_stack_response__variables_entry__init(v);
		v->key = api_text(a, u->variables[i].name);
		v->value = api_text(a, u->variables[i].value);
	}
	reply.directory = api_text(a, u->dir);
	reply.home = api_text(a, u->home);
	rpc_call_reply(e->call, &reply.base);
}

static void reply_text(struct export *e, const struct release_build *b)
{
	struct arena *a = rpc_call_arena(e->call);
	const struct compose_strings lost = b->lost;
	if (!b->text) {
		struct status st = status_err(ST_FAILED_PRECONDITION, "no Compose text for docker can be made of release %lld: %s",
			(long long)e->number, lost.len ? lost.items[0] : "");
		api_fail(e->call, &st);
		return;
	}
	Skep__V1__ExportStackResponse reply = SKEP__V1__EXPORT_STACK_RESPONSE__INIT;
	reply.release = e->number;
	reply.text = api_text(a, b->text);
	reply.warnings = arena_array(a, char *, lost.len + 1);
	for (size_t i = 0; i < lost.len; i++)
		reply.warnings[reply.n_warnings++] = api_text(a, lost.items[i]);
	rpc_call_reply(e->call, &reply.base);
}

static void on_built(void *data, const struct status *st, const struct release_build *b)
{
	struct export *e = data;
	if (!status_is_ok(st))
		api_fail(e->call, st);
	else
		reply_text(e, b);
}

static const char *head_of(struct arena *a, const struct export *e)
{
	return arena_fmt(a,
		"Stack %s of project %s, release %lld; made by skep stack export from what runs.\n"
		"Secrets and configs are named as they stand in the Engine: no text holds their values.\n"
		"docker stack deploy -c FILE %s",
		e->name, e->project, (long long)e->number, e->namespace_);
}

static void on_release(void *data, const struct status *st, const struct db_release *r)
{
	struct export *e = data;
	struct arena *a = rpc_call_arena(e->call);
	struct release_upload upload = {0};
	struct status result = *st;
	if (status_is_ok(st) && e->source)
		result = release_source_decode(a, str_of(arena_strndup(a, r->source.ptr, r->source.len)), &upload);
	if (!status_is_ok(&result))
		api_fail(e->call, &result);
	else if (e->source)
		reply_source(e, &upload);
	else
		release_build(api_of(e->call)->loop, a,
			&(struct release_build_input){.namespace_ = e->namespace_, .rendered = r->rendered, .export = head_of(a, e)},
			on_built, e);
}

static void on_stack(void *data, const struct status *st, const struct db_stack *s)
{
	struct export *e = data;
	struct arena *a = rpc_call_arena(e->call);
	struct db *db = api_of(e->call)->db;
	if (!status_is_ok(st)) {
		api_fail(e->call, st);
		return;
	}
	if (!s->active_deployment_id.text[0]) {
		struct status none = status_err(
			ST_FAILED_PRECONDITION, "stack \"%s\" has no release that runs: deploy it first", s->name);
		api_fail(e->call, &none);
		return;
	}
	e->project = arena_strdup(a, s->project);
	e->name = arena_strdup(a, s->name);
	e->namespace_ = arena_strdup(a, s->namespace_);
	e->number = s->active_number;
	db->stacks->load_release(db, s->project_id.text, s->active_deployment_id.text, on_release, e);
}

void api_stacks_export(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ExportStackRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct db_stack_ref ref = api_stack_ref(q->stack);
	struct export *e = arena_new(rpc_call_arena(call), struct export);
	e->call = call;
	e->source = q->source;
	if (api_stack_ref_check(call, q->stack))
		db->stacks->get(db, &scope, &ref, on_stack, e);
}
