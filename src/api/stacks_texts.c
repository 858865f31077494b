/* The texts that a Deploy and a Plan carry, and what is wrong with them. */
#include "api/stacks.h"

#include "api/convert.h"
#include "base/arena.h"

struct release_upload api_upload(struct arena *a, const Skep__V1__DeployStackRequest *q)
{
	struct release_upload u = {.n_texts = q->n_compose, .n_files = q->n_files, .n_variables = q->n_variables};
	u.dir = q->directory[0] ? q->directory : NULL;
	u.home = q->home[0] ? q->home : NULL;
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

const char *api_resolve_image(const Skep__V1__DeployStackRequest *q)
{
	switch (q->resolve_image) {
	case SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_UNSPECIFIED:
	case SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_ALWAYS:
		break;
	case SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_CHANGED:
		return "changed";
	case SKEP__V1__RESOLVE_IMAGE__RESOLVE_IMAGE_NEVER:
		return "never";
	}
	return "";
}

void api_refuse_texts(struct rpc_call *call, const struct compose_problems *errors)
{
	struct arena *a = rpc_call_arena(call);
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
	rpc_call_fail_fields(call, &st, v, errors->len);
}

const char **api_warnings(struct arena *a, const struct compose_problems *warnings)
{
	const char **texts = arena_array(a, const char *, warnings->len + 1);
	for (size_t i = 0; i < warnings->len; i++)
		texts[i] = compose_problem_text(a, &warnings->items[i]);
	return texts;
}
