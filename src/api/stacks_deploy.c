/* skep.v1.Stacks.Deploy: every error of the texts at once, before anything is stored; then one transaction. */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "base/arena.h"
#include "stacks/release_build.h"

#define ATTEMPTS 3

struct deploy {
	struct rpc_call *call;
	const Skep__V1__DeployStackRequest *request;
	const char **warnings;
	size_t n_warnings;
};

static struct release_upload upload_of(struct arena *a, const Skep__V1__DeployStackRequest *q)
{
	struct release_upload u = {.n_texts = q->n_compose, .n_files = q->n_files, .n_variables = q->n_variables};
	u.texts = arena_array(a, struct compose_text, q->n_compose + 1);
	for (size_t i = 0; i < q->n_compose; i++)
		u.texts[i] = (struct compose_text){
			q->compose[i]->name, str_make((const char *)q->compose[i]->text.data, q->compose[i]->text.len)};
	u.files = arena_array(a, struct compose_upload, q->n_files + 1);
	for (size_t i = 0; i < q->n_files; i++)
		u.files[i] = (struct compose_upload){
			q->files[i]->path, str_make((const char *)q->files[i]->content.data, q->files[i]->content.len)};
	u.variables = arena_array(a, struct compose_variable, q->n_variables + 1);
	for (size_t i = 0; i < q->n_variables; i++)
		u.variables[i] = (struct compose_variable){q->variables[i]->key, q->variables[i]->value};
	return u;
}

static void refuse(struct deploy *d, const struct compose_problems *errors)
{
	struct arena *a = rpc_call_arena(d->call);
	struct rpc_violation *v = arena_array(a, struct rpc_violation, errors->len + 1);
	for (size_t i = 0; i < errors->len; i++) {
		const struct compose_problem *p = &errors->items[i];
		v[i].field = p->line ? arena_fmt(a, "%s:%u:%u", p->file, p->line, p->column) : p->file[0] ? p->file : "compose";
		bool named = strncmp(p->message, "services.", 9) == 0; /* docker's words name the place themselves */
		v[i].description = arena_fmt(a, "%s%s%s%s%s%s", named ? "" : p->path, named || !p->path[0] ? "" : ": ", p->message,
			p->hint[0] ? " (" : "", p->hint, p->hint[0] ? ")" : "");
	}
	struct status st = status_err(ST_INVALID_ARGUMENT, "the Compose text has %zu error%s; nothing was stored",
		errors->len + errors->more, errors->len + errors->more == 1 ? "" : "s");
	rpc_call_fail_fields(d->call, &st, v, errors->len);
}

static void on_job(void *data, const struct status *st, const struct db_job *j)
{
	struct deploy *d = data;
	const struct api *api = api_of(d->call);
	struct arena *a = rpc_call_arena(d->call);
	if (!status_is_ok(st)) {
		api_fail(d->call, st);
		return;
	}
	api->job_ready(api->data, j->id.text);
	Skep__V1__DeployStackResponse reply = SKEP__V1__DEPLOY_STACK_RESPONSE__INIT;
	reply.job = api_job(a, j);
	reply.n_warnings = d->n_warnings;
	reply.warnings = arena_array(a, char *, d->n_warnings + 1);
	for (size_t i = 0; i < d->n_warnings; i++)
		reply.warnings[i] = api_text(a, d->warnings[i]);
	rpc_call_reply(d->call, &reply.base);
}

/* What the job is told beside the release. */
static struct str params_of(const Skep__V1__DeployStackRequest *q)
{
	switch (q->resolve_image) {
	case SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_UNSPECIFIED:
	case SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_ALWAYS:
		break;
	case SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_CHANGED:
		return STR("{\"resolve_image\":\"changed\"}");
	case SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_NEVER:
		return STR("{\"resolve_image\":\"never\"}");
	}
	return STR("{}");
}

static void store(struct deploy *d, const struct release_build *b)
{
	const struct compose_project *model = b->project;
	const Skep__V1__DeployStackRequest *q = d->request;
	struct arena *a = rpc_call_arena(d->call);
	struct db *db = api_of(d->call)->db;
	const char **images = arena_array(a, const char *, model->services_len + 1);
	for (size_t i = 0; i < model->services_len; i++)
		images[i] = model->services[i].image_full ? model->services[i].image_full : model->services[i].image;
	struct db_stack_deploy deploy = {
		.project = q->project,
		.name = q->name,
		.namespace_ = q->namespace_,
		.on_failure = q->on_failure == SKEP__V1__ON_FAILURE__ON_FAILURE_PAUSE ? ON_FAILURE_PAUSE : ON_FAILURE_ROLLBACK,
		.source = b->source,
		.images = images,
		.n_images = model->services_len,
		.warnings = d->warnings,
		.n_warnings = d->n_warnings,
		.params = params_of(q),
		.max_attempts = ATTEMPTS,
	};
	struct db_scope scope = api_scope_once(d->call, &q->base, &q->request_id);
	db->stacks->deploy(db, &scope, &deploy, on_job, d);
}

static void on_built(void *data, const struct status *st, const struct release_build *b)
{
	struct deploy *d = data;
	struct arena *a = rpc_call_arena(d->call);
	if (b->errors.len > 0) {
		refuse(d, &b->errors);
		return;
	}
	if (!status_is_ok(st)) {
		api_fail(d->call, st);
		return;
	}
	d->warnings = arena_array(a, const char *, b->warnings.len + 1);
	for (size_t i = 0; i < b->warnings.len; i++)
		d->warnings[d->n_warnings++] = compose_problem_text(a, &b->warnings.items[i]);
	store(d, b);
}

/* The project's name is part of the Engine's names, whose length counts. */
static void on_project(void *data, const struct status *st, const struct db_project *p)
{
	struct deploy *d = data;
	const Skep__V1__DeployStackRequest *q = d->request;
	struct arena *a = rpc_call_arena(d->call);
	if (!status_is_ok(st)) {
		api_fail(d->call, st);
		return;
	}
	const char *ns = q->namespace_[0] ? q->namespace_ : arena_fmt(a, "%s-%s", p->name, q->name);
	const char *wrong = compose_check_name(a, ns);
	if (wrong) {
		struct status bad = status_err(ST_INVALID_ARGUMENT, "namespace \"%s\": %s", ns, wrong);
		const struct rpc_violation v = {"namespace", bad.message};
		rpc_call_fail_fields(d->call, &bad, &v, 1);
		return;
	}
	const struct release_upload upload = upload_of(a, q);
	release_build(api_of(d->call)->loop, a, &(struct release_build_input){.namespace_ = ns, .upload = &upload}, on_built, d);
}

void api_stacks_deploy(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__DeployStackRequest *q = (const void *)request;
	struct db *db = api_of(call)->db;
	struct db_scope scope = api_scope(call);
	struct deploy *d = arena_new(rpc_call_arena(call), struct deploy);
	d->call = call;
	d->request = q;
	db->projects->get(db, &scope, q->project, on_project, d);
}
