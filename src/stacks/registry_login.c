#include "stacks/registry_login.h"

#include "base/arena.h"
#include "base/json.h"
#include "db/projects.h"
#include "docker/docker.h"
#include "flow/flow.h"
#include "stacks/registry.h"

#define ASK_MS 20000

struct login {
	struct flow flow;
	struct registry_login_input in;
	struct db_registry kept; /* the answer … */
	bool is_kept;            /* … when there is one */
	db_registry_done done;
	void *data;
};

static struct login *login_of(const struct flow *f)
{
	return f->data;
}

static void keep_answer(struct login *l, const struct db_registry *r)
{
	struct arena *a = l->in.arena;
	l->kept = *r;
	l->kept.host = arena_strdup(a, r->host);
	l->kept.username = arena_strdup(a, r->username);
	l->kept.password = "";
	l->is_kept = true;
}

/* Of recall: NULL, and OK, when the request has not been answered yet. */
static void on_kept(void *data, const struct status *st, const struct db_registry *r)
{
	struct login *l = data;
	if (status_is_ok(st) && r)
		keep_answer(l, r);
	flow_step_done(&l->flow, st);
}

/* A request that comes again is answered as it was, whatever the registry would say today. */
static enum flow_next recall(struct flow *f)
{
	struct login *l = login_of(f);
	if (!l->in.scope.request_id[0])
		return FLOW_NEXT;
	l->in.db->registries->recall(l->in.db, &l->in.scope, on_kept, l);
	return FLOW_WAIT;
}

static void on_project(void *data, const struct status *st, const struct db_project *p)
{
	struct login *l = data;
	(void)p;
	flow_step_done(&l->flow, st);
}

/* Nobody has the Engine ask around for a project that is not there for him. */
static enum flow_next find_project(struct flow *f)
{
	struct login *l = login_of(f);
	if (l->in.unseen || l->is_kept)
		return FLOW_NEXT; /* what keeps them looks for it too */
	l->in.db->projects->get(l->in.db, &l->in.scope, l->in.set.project, on_project, l);
	return FLOW_WAIT;
}

static void on_asked(void *data, const struct status *st)
{
	struct login *l = data;
	const struct db_registry_set *s = &l->in.set;
	struct status result = *st;
	if (st->code == ST_PERMISSION_DENIED)
		result = status_err(ST_INVALID_ARGUMENT, "registry %s does not take them for \"%s\": %s", s->host,
			s->username, st->message);
	else if (st->code == ST_FAILED_PRECONDITION)
		result = status_err(ST_FAILED_PRECONDITION,
			"registry %s cannot be asked whether they are right (no_verify keeps them unseen): %s", s->host,
			st->message);
	flow_step_done(&l->flow, &result);
}

static enum flow_next ask(struct flow *f)
{
	struct login *l = login_of(f);
	const struct db_registry_set *s = &l->in.set;
	if (l->in.unseen || l->is_kept)
		return FLOW_NEXT;
	json_t *auth = registry_auth_config(s->host, s->username, s->password);
	docker_registry_login(l->in.docker, auth, ASK_MS, on_asked, l);
	json_decref(auth);
	return FLOW_WAIT;
}

static enum flow_next keep(struct flow *f)
{
	struct login *l = login_of(f);
	if (l->is_kept)
		return FLOW_NEXT;
	l->in.db->registries->set(l->in.db, &l->in.scope, &l->in.set, on_kept, l);
	return FLOW_WAIT;
}

static const struct flow_step steps[] = {
	{"recall", recall, NULL, 0},
	{"find_project", find_project, NULL, 0},
	{"ask", ask, NULL, 0},
	{"keep", keep, NULL, 0},
	{0},
};

static void on_end(struct flow *f)
{
	struct login *l = login_of(f);
	const struct status st = f->st;
	l->done(l->data, &st, status_is_ok(&st) ? &l->kept : NULL);
}

void registry_login(const struct registry_login_input *in, db_registry_done done, void *data)
{
	static const struct flow_ops ops = {.on_end = on_end};
	struct login *l = arena_new(in->arena, struct login);
	*l = (struct login){.in = *in, .done = done, .data = data};
	flow_init(&l->flow, in->loop, steps, &ops, l);
	flow_start(&l->flow, NULL, false);
}
