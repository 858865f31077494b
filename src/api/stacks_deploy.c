/* skep.v1.Stacks.Deploy: every error of the texts at once, before anything is stored; then one transaction. */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "api/stacks.h"
#include "base/arena.h"
#include "jobs/kinds.h"
#include "base/json.h"
#include "stacks/release_build.h"


struct deploy {
	struct rpc_call *call;
	const Skep__V1__DeployStackRequest *request;
	const char **warnings;
	size_t n_warnings;
};

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
static struct str params_of(struct arena *a, const Skep__V1__DeployStackRequest *q)
{
	json_t *params = json_object();
	const char *resolve = api_resolve_image(q);
	if (resolve[0])
		json_object_set_new(params, "resolve_image", json_string(resolve));
	if (q->plan_fingerprint[0])
		json_object_set_new(params, "plan_fingerprint", json_string(q->plan_fingerprint));
	struct str text = str_of(json_to_text(a, params));
	json_decref(params);
	return text;
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
		.on_failure = api_on_failure(q->on_failure),
		.stall_seconds = q->stall_seconds,
		.source = b->source,
		.images = images,
		.n_images = model->services_len,
		.warnings = d->warnings,
		.n_warnings = d->n_warnings,
		.params = params_of(a, q),
		.max_attempts = (int)job_rule_of(JOB_DEPLOY)->attempts,
	};
	Skep__V1__DeployStackRequest same = *q; /* wherever it was sent from, but where that says something */
	same.directory = api_text(a, b->upload.dir);
	same.home = api_text(a, b->upload.home);
	struct db_scope scope = api_scope_once(d->call, &same.base, &q->request_id);
	db->stacks->deploy(db, &scope, &deploy, on_job, d);
}

static void on_built(void *data, const struct status *st, const struct release_build *b)
{
	struct deploy *d = data;
	struct arena *a = rpc_call_arena(d->call);
	if (b->errors.len > 0) {
		api_refuse_texts(d->call, &b->errors);
		return;
	}
	if (!status_is_ok(st)) {
		api_fail(d->call, st);
		return;
	}
	d->warnings = api_warnings(a, &b->warnings);
	d->n_warnings = b->warnings.len;
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
	const struct release_upload upload = api_upload(a, q);
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
