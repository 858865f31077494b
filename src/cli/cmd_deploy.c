#include "cli/commands.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/plan_file.h"
#include "cli/text.h"
#include "cli/upload.h"
#include "cli/watch.h"
#include "skep/v1/messages.h"
#include "skep/v1/stacks.pb-c.h"

int cmd_stack_ref(struct cli *c, Skep__V1__StackRef *ret_ref)
{
	const char *project;
	int code = cmd_need_project(c, &project);
	ret_ref->project = message_str(project);
	ret_ref->name = message_str(c->args.args[0]);
	return code;
}

static Skep__V1__OnFailure on_failure(struct cli *c)
{
	const char *word = cli_option(c, "on-failure");
	if (!word)
		return SKEP__V1__ON_FAILURE__ON_FAILURE_UNSPECIFIED;
	if (strcmp(word, "pause") == 0)
		return SKEP__V1__ON_FAILURE__ON_FAILURE_PAUSE;
	if (strcmp(word, "continue") == 0)
		return SKEP__V1__ON_FAILURE__ON_FAILURE_CONTINUE;
	return SKEP__V1__ON_FAILURE__ON_FAILURE_ROLLBACK;
}

static bool stall_limit(struct cli *c, int32_t *ret_seconds)
{
	const char *text = cli_option(c, "stall");
	uint64_t ms;
	*ret_seconds = 0;
	if (!text)
		return true;
	if (!text_parse_span(text, &ms) || ms < 1000 || ms > 86400000) {
		(void)cli_usage(c, "--stall %s: expected a time from 1s to 24h, as 90s or 10m", text);
		return false;
	}
	*ret_seconds = (int32_t)(ms / 1000);
	return true;
}

static Skep__V1__ResolveImage resolve_image(struct cli *c)
{
	const char *word = cli_option(c, "resolve-image");
	int value = SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_UNSPECIFIED;
	if (word)
		(void)enum_parse(&skep__v1__resolve_image__descriptor, word, &value);
	return (Skep__V1__ResolveImage)value;
}

int cmd_deploy_request(struct cli *c, Skep__V1__DeployStackRequest *ret_request)
{
	const char *project, *namespace = cli_option(c, "namespace");
	int code = upload_collect(c, ret_request);
	if (code == CLI_DONE)
		code = cmd_need_project(c, &project);
	if (code)
		return code;
	ret_request->project = message_str(project);
	if (namespace)
		ret_request->namespace_ = message_str(namespace);
	ret_request->resolve_image = resolve_image(c);
	return code;
}

static int take_plan(struct cli *c, Skep__V1__DeployStackRequest *r)
{
	const char *plan = cli_option(c, "plan");
	if (!plan)
		return CLI_DONE;
	struct status st = plan_file_read(c->arena, plan, &plan);
	if (!status_is_ok(&st))
		return cli_fail(c, &st);
	r->plan_fingerprint = message_str(plan);
	return CLI_DONE;
}

int cmd_stack_deploy(struct cli *c)
{
	Skep__V1__DeployStackRequest r = SKEP__V1__DEPLOY_STACK_REQUEST__INIT;
	ProtobufCMessage *reply;
	uint64_t timeout_ms;
	bool valid = watch_timeout(c, &timeout_ms) && stall_limit(c, &r.stall_seconds);
	int code = valid ? cmd_deploy_request(c, &r) : CLI_USAGE;
	if (code == CLI_DONE)
		code = take_plan(c, &r);
	if (code)
		return code;
	r.on_failure = on_failure(c);
	r.request_id = message_str(cli_request_id(c));
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Stacks/Deploy", .reply = &skep_v1_msg_deploy_stack_response,
		.request = &r.base, .resend = true, .timeout_ms = 120000}, &reply);
	if (code)
		return code;
	const Skep__V1__DeployStackResponse *d = (const Skep__V1__DeployStackResponse *)reply;
	for (size_t i = 0; i < d->n_warnings; i++)
		cli_warn(c, d->warnings[i]);
	if (!d->job) {
		struct status st = status_err(ST_INTERNAL, "skepd answered without a job");
		return cli_fail(c, &st);
	}
	return watch_started(c, d->job);
}

/* Sends what answers with a job, and follows the job. */
static int start_job(struct cli *c, const char *method, const ProtobufCMessage *request)
{
	ProtobufCMessage *reply;
	uint64_t timeout_ms;
	if (!watch_timeout(c, &timeout_ms))
		return CLI_USAGE;
	int code = cli_call(c, &(struct cli_call){.method = method, .reply = &skep_v1_msg_job, .request = request,
		.resend = true}, &reply);
	return code ? code : watch_started(c, (const Skep__V1__Job *)reply);
}

bool cmd_scale_word(struct cli *c, const char *word, char **ret_service, uint32_t *ret_n)
{
	struct str rest = str_of(word);
	struct str name = str_cut(&rest, '=');
	uint64_t n;
	if (name.len == 0 || !rest.ptr || !str_to_u64(rest, &n) || n > UINT32_MAX)
		return false;
	*ret_service = str_dup(c->arena, name);
	*ret_n = (uint32_t)n;
	return true;
}

int cmd_stack_scale(struct cli *c)
{
	Skep__V1__ScaleStackRequest r = SKEP__V1__SCALE_STACK_REQUEST__INIT;
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	r.replicas = arena_array(c->arena, Skep__V1__ScaleStackRequest__ReplicasEntry *, c->args.n_args);
	for (size_t i = 1; i < c->args.n_args; i++) {
		Skep__V1__ScaleStackRequest__ReplicasEntry *e =
			arena_new(c->arena, Skep__V1__ScaleStackRequest__ReplicasEntry);
		skep__v1__scale_stack_request__replicas_entry__init(e);
		if (!cmd_scale_word(c, c->args.args[i], &e->key, &e->value))
			return cli_usage(c, "%s: expected SERVICE=NUMBER, as in web=3", c->args.args[i]);
		r.replicas[r.n_replicas++] = e;
	}
	int code = cmd_stack_ref(c, &ref);
	if (code)
		return code;
	r.stack = &ref;
	r.request_id = message_str(cli_request_id(c));
	return start_job(c, "/skep.v1.Stacks/Scale", &r.base);
}

int cmd_stack_restart(struct cli *c)
{
	Skep__V1__RestartStackRequest r = SKEP__V1__RESTART_STACK_REQUEST__INIT;
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	int code = cmd_stack_ref(c, &ref);
	if (code)
		return code;
	r.stack = &ref;
	r.services = (char **)(uintptr_t)(c->args.args + 1);
	r.n_services = c->args.n_args - 1;
	r.request_id = message_str(cli_request_id(c));
	return start_job(c, "/skep.v1.Stacks/Restart", &r.base);
}

int cmd_stack_adopt(struct cli *c)
{
	Skep__V1__AdoptStackRequest r = SKEP__V1__ADOPT_STACK_REQUEST__INIT;
	const char *project, *namespace = cli_option(c, "namespace");
	int code = cmd_need_project(c, &project);
	if (code)
		return code;
	r.project = message_str(project);
	r.name = message_str(c->args.args[0]);
	if (namespace)
		r.namespace_ = message_str(namespace);
	r.request_id = message_str(cli_request_id(c));
	return start_job(c, "/skep.v1.Stacks/Adopt", &r.base);
}

int cmd_stack_rollback(struct cli *c)
{
	Skep__V1__RollbackStackRequest r = SKEP__V1__ROLLBACK_STACK_REQUEST__INIT;
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	const char *to = cli_option(c, "to");
	if (to && (!str_to_i64(str_of(to), &r.release) || r.release < 1))
		return cli_usage(c, "--to %s: expected a release's number (skep stack releases lists them)", to);
	int code = stall_limit(c, &r.stall_seconds) ? cmd_stack_ref(c, &ref) : CLI_USAGE;
	if (code)
		return code;
	r.stack = &ref;
	r.on_failure = on_failure(c);
	r.request_id = message_str(cli_request_id(c));
	return start_job(c, "/skep.v1.Stacks/Rollback", &r.base);
}

int cmd_stack_rm(struct cli *c)
{
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	int worst = cmd_stack_ref(c, &ref);
	if (worst)
		return worst;
	for (size_t i = 0; i < c->args.n_args && worst != CLI_INTERRUPTED; i++) {
		Skep__V1__RemoveStackRequest r = SKEP__V1__REMOVE_STACK_REQUEST__INIT;
		ref.name = message_str(c->args.args[i]);
		r.stack = &ref;
		r.request_id = message_str(cli_request_id(c));
		int code = start_job(c, "/skep.v1.Stacks/Remove", &r.base);
		worst = code > worst ? code : worst;
	}
	return worst;
}
