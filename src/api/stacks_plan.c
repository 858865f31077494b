/* skep.v1.Stacks.Plan and Diff: what a deploy would do, and what somebody changed by hand. */
#include "skep/v1/methods.h"

#include "api/api.h"
#include "api/convert.h"
#include "api/stacks.h"
#include "base/arena.h"
#include "stacks/drift.h"
#include "stacks/planner.h"
#include "stacks/stacks.h"

#define HIDDEN "(sensitive)"

static char *shown(struct arena *a, const char *value, bool hide)
{
	return api_text(a, value && hide ? HIDDEN : value);
}

/* `before` and `after` as the plan has them, or (for a diff) the other way round. */
static Skep__V1__FieldChange **field_changes(
	struct arena *a, const struct compose_change *changes, size_t n, bool show, bool turned)
{
	Skep__V1__FieldChange **list = arena_array(a, Skep__V1__FieldChange *, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct compose_change *c = &changes[i];
		Skep__V1__FieldChange *m = list[i] = arena_new(a, Skep__V1__FieldChange);
		skep__v1__field_change__init(m);
		m->sensitive = plan_is_sensitive(c);
		m->path = api_text(a, c->path);
		m->before = shown(a, turned ? c->after : c->before, m->sensitive && !show);
		m->after = shown(a, turned ? c->before : c->after, m->sensitive && !show);
	}
	return list;
}

/* ---- plan ---- */

struct planning {
	struct rpc_call *call;
	const Skep__V1__PlanStackRequest *request;
};

static Skep__V1__PlanVerdict verdict_of(enum plan_verdict v)
{
	switch (v) {
	case PLAN_KEEP:
		return SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_KEEP;
	case PLAN_CREATE:
		return SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_CREATE;
	case PLAN_UPDATE:
		return SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_UPDATE;
	case PLAN_REPLACE:
		return SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_REPLACE;
	case PLAN_REMOVE:
		return SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_REMOVE;
	case PLAN_REFUSE:
		return SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_REFUSE;
	}
	return SKEP__V1__PLAN_VERDICT__PLAN_VERDICT_UNSPECIFIED;
}

static Skep__V1__ObjectKind kind_of(enum compose_kind k)
{
	switch (k) {
	case COMPOSE_NETWORK:
		return SKEP__V1__OBJECT_KIND__OBJECT_KIND_NETWORK;
	case COMPOSE_SECRET:
		return SKEP__V1__OBJECT_KIND__OBJECT_KIND_SECRET;
	case COMPOSE_CONFIG:
		return SKEP__V1__OBJECT_KIND__OBJECT_KIND_CONFIG;
	case COMPOSE_SERVICE:
		return SKEP__V1__OBJECT_KIND__OBJECT_KIND_SERVICE;
	}
	return SKEP__V1__OBJECT_KIND__OBJECT_KIND_UNSPECIFIED;
}

static Skep__V1__PlanAction *action_of(struct arena *a, const struct plan_action *p, bool show)
{
	Skep__V1__PlanAction *m = arena_new(a, Skep__V1__PlanAction);
	skep__v1__plan_action__init(m);
	m->kind = kind_of(p->kind);
	m->verdict = verdict_of(p->verdict);
	m->key = api_text(a, p->key);
	m->name = api_text(a, p->name);
	m->engine_id = api_text(a, p->id);
	m->reason = api_text(a, p->reason);
	m->n_changes = p->n_changes;
	m->changes = field_changes(a, p->changes, p->n_changes, show, false);
	return m;
}

static void add_warnings(struct arena *a, const struct planner_result *r, Skep__V1__StackPlan *m)
{
	const struct compose_problems *w = &r->build->warnings;
	const char **texts = api_warnings(a, w);
	m->warnings = arena_array(a, char *, w->len + r->n_said + 1);
	for (size_t i = 0; i < w->len; i++)
		m->warnings[m->n_warnings++] = api_text(a, texts[i]);
	for (size_t i = 0; i < r->n_said; i++)
		m->warnings[m->n_warnings++] = api_text(a, r->said[i]);
	if (r->busy)
		m->warnings[m->n_warnings++] =
			api_text(a, "a job is at work on this stack: what it does may make this plan wrong");
}

static void on_plan(void *data, const struct status *st, const struct planner_result *r)
{
	struct planning *g = data;
	struct arena *a = rpc_call_arena(g->call);
	const struct plan *p = &r->plan;
	if (r->build->errors.len > 0) {
		api_refuse_texts(g->call, &r->build->errors);
		return;
	}
	if (!status_is_ok(st)) {
		api_fail(g->call, st);
		return;
	}
	Skep__V1__StackPlan m = SKEP__V1__STACK_PLAN__INIT;
	m.actions = arena_array(a, Skep__V1__PlanAction *, p->n + 1);
	for (size_t i = 0; i < p->n; i++)
		m.actions[m.n_actions++] = action_of(a, &p->actions[i], g->request->show_values);
	add_warnings(a, r, &m);
	m.fingerprint = api_text(a, r->fingerprint);
	m.namespace_ = api_text(a, r->namespace_);
	m.release = r->release;
	m.to_create = p->counts[PLAN_CREATE];
	m.to_update = p->counts[PLAN_UPDATE];
	m.to_replace = p->counts[PLAN_REPLACE];
	m.to_remove = p->counts[PLAN_REMOVE];
	m.unchanged = p->counts[PLAN_KEEP];
	m.refused = p->counts[PLAN_REFUSE];
	rpc_call_reply(g->call, &m.base);
}

static struct planner_input input_of(struct rpc_call *call)
{
	const struct api *api = api_of(call);
	return (struct planner_input){.loop = api->loop,
		.db = api->db,
		.docker = api->stacks->docker,
		.arena = rpc_call_arena(call),
		.scope = api_scope(call),
		.namespace_ = ""};
}

void api_stacks_plan(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__PlanStackRequest *q = (const void *)request;
	struct arena *a = rpc_call_arena(call);
	const struct release_upload upload = api_upload(a, q->deploy);
	struct planning *g = arena_new(a, struct planning);
	*g = (struct planning){call, q};
	struct planner_input in = input_of(call);
	in.stack = (struct db_stack_ref){.id = "", .project = q->deploy->project, .name = q->deploy->name};
	in.namespace_ = q->deploy->namespace_;
	in.resolve_image = api_resolve_image(q->deploy);
	in.keep_releases = api_of(call)->stacks->keep_releases;
	in.upload = arena_memdup(a, &upload, sizeof(upload));
	planner_plan(&in, on_plan, g);
}

/* ---- diff ---- */

struct diffing {
	struct rpc_call *call;
	bool show;
};

static Skep__V1__DriftKind drift_of(enum drift_kind k)
{
	switch (k) {
	case DRIFT_CHANGED:
		return SKEP__V1__DRIFT_KIND__DRIFT_KIND_CHANGED;
	case DRIFT_MISSING:
		return SKEP__V1__DRIFT_KIND__DRIFT_KIND_MISSING;
	case DRIFT_FOREIGN:
		return SKEP__V1__DRIFT_KIND__DRIFT_KIND_FOREIGN;
	}
	return SKEP__V1__DRIFT_KIND__DRIFT_KIND_UNSPECIFIED;
}

static void on_diff(void *data, const struct status *st, const struct planner_result *r)
{
	struct diffing *g = data;
	struct arena *a = rpc_call_arena(g->call);
	if (!status_is_ok(st)) {
		api_fail(g->call, st);
		return;
	}
	Skep__V1__StackDiff m = SKEP__V1__STACK_DIFF__INIT;
	m.drifts = arena_array(a, Skep__V1__Drift *, r->drifts.n + 1);
	for (size_t i = 0; i < r->drifts.n; i++) {
		const struct drift *d = &r->drifts.items[i];
		Skep__V1__Drift *x = m.drifts[m.n_drifts++] = arena_new(a, Skep__V1__Drift);
		skep__v1__drift__init(x);
		x->kind = kind_of(d->kind);
		x->drift = drift_of(d->drift);
		x->key = api_text(a, d->key);
		x->name = api_text(a, d->name);
		x->message = api_text(a, d->message);
		x->n_changes = d->n_changes;
		x->changes = field_changes(a, d->changes, d->n_changes, g->show, true);
	}
	m.namespace_ = api_text(a, r->namespace_);
	m.release = r->release;
	m.busy = r->busy;
	rpc_call_reply(g->call, &m.base);
}

void api_stacks_diff(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__DiffStackRequest *q = (const void *)request;
	if (!api_stack_ref_check(call, q->stack))
		return;
	if (q->show_values && rpc_call_caller(call)->role < RPC_ROLE_DEPLOYER) {
		struct status st = status_err(ST_PERMISSION_DENIED, "values are shown to deployers only: leave show_values out");
		rpc_call_finish(call, &st);
		return;
	}
	struct diffing *g = arena_new(rpc_call_arena(call), struct diffing);
	*g = (struct diffing){call, q->show_values};
	struct planner_input in = input_of(call);
	in.stack = api_stack_ref(q->stack);
	planner_diff(&in, on_diff, g);
}
