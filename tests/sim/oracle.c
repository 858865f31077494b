/* What holds in every run, whatever goes wrong:
 *
 *	fence       what an older claim of a stack writes to the Engine has no effect once a newer
 *	            one has written the same object
 *	ends        a job ends once, and every job ends (world.c: within three hours of the last fault)
 *	one         at most one job of a stack runs
 *	caps        of a project, of a kind in it, of a daemon's places, are never exceeded
 *	truth       when a deploy has succeeded, the Engine holds its release; in the end it holds every
 *	            active release, or the stack says why not; status "running" is never said of one
 *	            that differs
 *	leftovers   nothing of a removed stack is left, nor services that no release names
 *	events      of a job are numbered without gap or repetition (work.c), each step said once an epoch
 *	fairness    fair.c
 *	schedules   schedules.c
 *	stream      stream.c
 *
 * Fed by the models' hooks; they never change anything. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "jobs/kinds.h"
#include "stacks/release.h"

#define CAP_KNOWN_MS 20000 /* by then every decision under an older cap is over */

/* ---- jobs ---- */

static const char *owner_of(const struct sim *s, const char *id)
{
	for (size_t i = 0; i < s->n_daemons; i++)
		if (strcmp(s->daemons[i]->id.text, id) == 0)
			return s->daemons[i]->name;
	return "-";
}

static void trace_job(struct sim *s, const struct store_job *j, enum job_state before)
{
	const struct db_job *r = &j->row;
	sim_trace(s, "job", "%s %s %s/%s: %s -> %s (epoch %d, %s, attempt %d, step \"%s\"%s)%s%s",
		r->id.text + 24, job_kind_name(r->kind), r->project, r->stack,
		job_state_name(before), job_state_name(r->state), r->epoch, owner_of(s, r->owner),
		r->attempt, r->step, r->undoing ? ", undoing" : "", r->error[0] ? ": " : "", r->error);
}

static void note_claim(struct sim *s, const struct store_job *j)
{
	s->claims = mem_realloc_array(s->claims, sizeof(*s->claims), s->n_claims + 1);
	struct sim_claim *c = &s->claims[s->n_claims++];
	*c = (struct sim_claim){.namespace_ = arena_fmt(s->arena, "%s-%s", j->row.project,
					j->row.stack),
		.job = j->row.id,
		.epoch = j->row.epoch,
		.number = s->n_claims};
}

static void check_caps(struct sim *s, const struct store_job *j)
{
	const struct store_project *p = store_project_find(s->store, j->row.project_id.text);
	unsigned of_project = 0, of_kind = 0, most = job_rule_of(j->row.kind)->in_project;
	unsigned cap = p->row.max_running ? (unsigned)p->row.max_running : s->max_running;
	uint64_t known = 0;
	for (size_t i = 0; i < s->n_projects; i++)
		if (s->projects[i] == p && s->caps[i].ms)
			known = s->caps[i].ms + CAP_KNOWN_MS;
	for (size_t i = 0; i < s->store->n_jobs; i++) {
		const struct store_job *o = s->store->jobs[i];
		if (o->row.state != JOB_RUNNING)
			continue;
		bool same = strcmp(o->row.project_id.text, p->row.id.text) == 0;
		of_project += same;
		of_kind += same && o->row.kind == j->row.kind;
		if (o != j && j->row.stack_id.text[0] &&
			strcmp(o->row.stack_id.text, j->row.stack_id.text) == 0)
			sim_fail(s, "two jobs of stack %s run: %s and %s", j->row.stack,
				o->row.id.text, j->row.id.text);
	}
	if (cap && of_project > cap && known <= loop_now_ms(s->loop))
		sim_fail(s, "%u jobs of project %s run, its cap is %u", of_project, p->row.name, cap);
	if (most && of_kind > most)
		sim_fail(s, "%u jobs of kind %s of project %s run, the cap is %u", of_kind,
			job_kind_name(j->row.kind), p->row.name, most);
}

static void check_end(struct sim *s, const struct store_job *j);

static void on_job(void *data, const struct store_job *j, enum job_state before)
{
	struct sim *s = data;
	enum job_state now = j->row.state;
	if (s->over)
		return;
	trace_job(s, j, before);
	if (job_state_is_end(before) && now != JOB_PENDING)
		sim_fail(s, "job %s had ended as %s and is %s now", j->row.id.text,
			job_state_name(before), job_state_name(now));
	if (now == JOB_RUNNING) {
		note_claim(s, j);
		if (before == JOB_PENDING) {
			check_caps(s, j);
			sim_flood_started(s, j);
		}
	}
	if (!job_state_is_end(now))
		return;
	s->ended++;
	if (j->ends != 1)
		sim_fail(s, "job %s ends %u times", j->row.id.text, j->ends);
	check_end(s, j);
}

bool sim_oracle_all_ended(const struct sim *s)
{
	for (size_t i = 0; i < s->store->n_jobs; i++)
		if (!job_state_is_end(s->store->jobs[i]->row.state))
			return false;
	return true;
}

void sim_oracle_init(struct sim *s)
{
	s->store->on_job = on_job;
}

void sim_oracle_turn(struct sim *s, const struct sim_daemon *d)
{
	size_t n = job_worker_running(d->worker);
	if (n > s->slots)
		sim_fail(s, "%s runs %zu jobs in %u places", d->name, n, s->slots);
	for (size_t i = 0; i < s->n_projects; i++) {
		int cap = s->projects[i]->row.max_running;
		if (cap == s->caps[i].cap)
			continue;
		s->caps[i].cap = cap;
		s->caps[i].ms = loop_now_ms(s->loop);
	}
}

/* ---- the fence ---- */

static const char *object_of(const char *name)
{
	static const char *const verbs[] = {"_create ", "_update ", "_remove "};
	if (strncmp(name, "docker ", 7) != 0)
		return NULL;
	for (size_t i = 0; i < 3; i++)
		if (strstr(name, verbs[i]))
			return strstr(name, verbs[i]) + 8;
	return NULL;
}

static struct sim_claim *held_of(struct sim_daemon *d, const char *object)
{
	for (size_t i = 0; i < d->n_held; i++) {
		const char *ns = d->held[i].namespace_;
		size_t n = strlen(ns);
		if (strncmp(object, ns, n) == 0 && object[n] == '_')
			return &d->held[i];
	}
	return NULL;
}

static void hold(struct sim *s, struct sim_daemon *d, const struct db_job *j)
{
	const struct sim_claim *c = NULL;
	for (size_t i = 0; i < s->n_claims; i++)
		if (s->claims[i].epoch == j->epoch &&
			strcmp(s->claims[i].job.text, j->id.text) == 0)
			c = &s->claims[i];
	if (!c)
		return;
	for (size_t i = 0; i < d->n_held; i++)
		if (strcmp(d->held[i].namespace_, c->namespace_) == 0) {
			d->held[i] = *c;
			return;
		}
	d->held = mem_realloc_array(d->held, sizeof(*d->held), d->n_held + 1);
	d->held[d->n_held++] = *c;
}

static void check_fence(struct sim *s, const struct sim_daemon *d, const struct fake_call *c,
	const char *name)
{
	const char *kind = strchr(c->name, ' ') + 1;
	const char *object =
		arena_fmt(s->arena, "%.*s %s", (int)strcspn(kind, "_"), kind, name);
	struct sim_writer *w = NULL;
	for (size_t i = 0; i < s->n_writers; i++)
		if (strcmp(s->writers[i].object, object) == 0)
			w = &s->writers[i];
	if (!w) {
		s->writers = mem_realloc_array(s->writers, sizeof(*s->writers), s->n_writers + 1);
		w = &s->writers[s->n_writers++];
		*w = (struct sim_writer){object, 0};
	}
	if (w->claim > c->tag) {
		const struct sim_claim *newer = &s->claims[w->claim - 1], *older = &s->claims[c->tag - 1];
		sim_fail(s, "\"%s\" of %s (job %s, epoch %d) has an effect after the newer claim of job %s, "
			    "epoch %d has written it",
			c->name, d->name, older->job.text + 24, older->epoch, newer->job.text + 24,
			newer->epoch);
	}
	w->claim = c->tag;
}

static bool is_read(const char *name)
{
	static const char *const reads[] = {"db look", "db schedules_due", "db events_read", "db alive", "db watched", "db renew", "db tell",
		"db job_events", "db good_releases", "db stack_get", "db load_release",
		"db registries_load", "docker service_list", "docker task_list", "docker node_list",
		"docker network_list", "docker secret_list", "docker config_list",
		"docker container_inspect", "docker image_resolve", "docker logs", "db progress", NULL};
	for (size_t i = 0; reads[i]; i++)
		if (strncmp(name, reads[i], strlen(reads[i])) == 0)
			return true;
	return false;
}

static void on_done(struct sim *s, const struct sim_daemon *d, const struct fake_call *c)
{
	const char *object = object_of(c->name);
	bool gave_up = c->delivered || c->cut;
	if (!is_read(c->name) || c->plan.fault || c->done_code != ST_OK)
		sim_trace(s, d->name, "%s: %s%s%s%s", c->name, st_code_name(c->done_code),
			c->plan.fault ? ", then the reply is " : "",
			c->plan.fault ? fault_names[c->plan.fault] : "",
			gave_up ? " (its caller has given up)" : "");
	if (!object || c->done_code != ST_OK)
		return;
	if (c->tag)
		check_fence(s, d, c, object);
	sim_bus_send(s, BUS_ENGINE, "update", "");
}

void sim_oracle_call(struct sim *s, struct fake_call *c, enum fake_phase phase)
{
	struct sim_daemon *d = c->front->owner;
	const char *object = object_of(c->name);
	if (s->over)
		return;
	sim_note(s, d->name, c->name, (uint64_t)phase * 100 + (uint64_t)c->done_code);
	switch (phase) {
	case FAKE_SENT:
		if (object && held_of(d, object))
			c->tag = held_of(d, object)->number;
		break;
	case FAKE_DONE:
		on_done(s, d, c);
		break;
	case FAKE_ANSWERED:
		if (strcmp(c->name, "db claim") == 0 && status_is_ok(&c->st))
			for (size_t i = 0; i < c->n; i++)
				hold(s, d, &((const struct db_job *)c->result)[i]);
		else if (!status_is_ok(&c->st) && !is_read(c->name))
			sim_trace(s, d->name, "hears of %s: %s", c->name, c->st.message);
		break;
	}
}

/* ---- the Engine and the active release ---- */

void sim_oracle_by_hand(struct sim *s, const char *service)
{
	s->by_hand = mem_realloc_array(s->by_hand, sizeof(*s->by_hand), s->n_by_hand + 1);
	s->by_hand[s->n_by_hand++] =
		arena_strndup(s->arena, service, strcspn(service, "_"));
}

static bool is_by_hand(const struct sim *s, const char *namespace_)
{
	for (size_t i = 0; i < s->n_by_hand; i++)
		if (strcmp(s->by_hand[i], namespace_) == 0)
			return true;
	return false;
}

static const char *label(const json_t *spec, const char *key)
{
	const char *value = json_string_value(json_object_get(json_object_get(spec, "Labels"), key));
	return value ? value : "";
}

/* What differs; NULL = nothing. */
static const char *compare_service(
	struct arena *a, const struct swarm *w, const struct release_service *want)
{
	const char *name = want->object.name;
	const struct swarm_service *v = swarm_service_find(w, name);
	if (!v)
		return arena_fmt(a, "service %s is not there", name);
	const char *is = json_text(v->spec, "TaskTemplate.ContainerSpec.Image", ""),
		   *shall = json_text(want->object.body, "TaskTemplate.ContainerSpec.Image", "");
	if (strcmp(is, shall) != 0)
		return arena_fmt(a, "service %s has image %s, its release says %s", name, is, shall);
	if (!json_equal(json_at(v->spec, "TaskTemplate.ContainerSpec.Env"),
		    json_at(want->object.body, "TaskTemplate.ContainerSpec.Env")) &&
		json_array_size(json_at(want->object.body, "TaskTemplate.ContainerSpec.Env")))
		return arena_fmt(a, "service %s has another environment", name);
	int64_t scale = strtol(label(v->spec, LABEL_SCALE), NULL, 10);
	int64_t replicas = json_int(v->spec, "Mode.Replicated.Replicas", 1),
		wanted = scale ? scale : json_int(want->object.body, "Mode.Replicated.Replicas", 1);
	if (replicas != wanted)
		return arena_fmt(a, "service %s has %lld replicas, not %lld", name,
			(long long)replicas, (long long)wanted);
	json_t *configs = json_at(v->spec, "TaskTemplate.ContainerSpec.Configs"),
	       *others = json_at(want->object.body, "TaskTemplate.ContainerSpec.Configs");
	if (json_array_size(configs) != json_array_size(others))
		return arena_fmt(a, "service %s has other configs", name);
	for (size_t i = 0; i < json_array_size(configs); i++)
		if (strcmp(json_text(json_array_get(configs, i), "ConfigName", ""),
			    json_text(json_array_get(others, i), "ConfigName", "")) != 0)
			return arena_fmt(a, "service %s has other configs", name);
	return NULL;
}

static const char *compare(struct sim *s, struct arena *a, const char *namespace_,
	const struct store_release *r)
{
	struct release release;
	struct status st = release_decode(a, r->has_rendered ? r->rendered : STR(""), &release);
	if (!status_is_ok(&st))
		return arena_strdup(a, st.message);
	for (size_t i = 0; i < release.n_services; i++) {
		const char *differs = compare_service(a, s->swarm, &release.services[i]);
		if (differs)
			return differs;
	}
	for (size_t i = 0; i < s->swarm->n_services; i++) {
		const json_t *spec = s->swarm->services[i]->spec;
		const char *name = json_text(spec, "Name", "");
		bool named = strcmp(label(spec, LABEL_NAMESPACE), namespace_) != 0;
		for (size_t k = 0; k < release.n_services; k++)
			named |= strcmp(release.services[k].object.name, name) == 0;
		if (!named)
			return arena_fmt(a, "service %s is in no release", name);
	}
	return NULL;
}

/* How many of its tasks run as its spec is now. */
static int64_t running_tasks(const struct swarm *w, const struct swarm_service *v)
{
	int64_t n = 0;
	for (size_t i = 0; i < w->n_tasks; i++) {
		const struct swarm_task *t = w->tasks[i];
		n += strcmp(t->service_id, v->id) == 0 && t->state == DOCKER_TASK_RUNNING &&
		     t->desired == DOCKER_TASK_RUNNING &&
		     json_equal(t->template, json_object_get(v->spec, "TaskTemplate"));
	}
	return n;
}

static void check_running(struct sim *s, const struct store_job *j, const char *namespace_)
{
	swarm_advance(s->swarm);
	for (size_t i = 0; i < s->swarm->n_services; i++) {
		const struct swarm_service *v = s->swarm->services[i];
		int64_t wanted = json_int(v->spec, "Mode.Replicated.Replicas", 1);
		if (strcmp(label(v->spec, LABEL_NAMESPACE), namespace_) == 0 &&
			running_tasks(s->swarm, v) != wanted)
			sim_fail(s, "job %s has succeeded, but %lld of %lld tasks of service %s run",
				j->row.id.text, (long long)running_tasks(s->swarm, v),
				(long long)wanted, json_text(v->spec, "Name", ""));
	}
}

/* When it has succeeded, it is so. */
static void check_end(struct sim *s, const struct store_job *j)
{
	enum job_kind k = j->row.kind;
	const struct store_release *r = store_release_find(s->store, j->row.deployment_id.text);
	const struct store_stack *t = store_stack_find(s->store, j->row.stack_id.text);
	bool deploys = k == JOB_DEPLOY || k == JOB_UPDATE || k == JOB_ROLLBACK;
	if (j->row.state != JOB_SUCCEEDED || !deploys || !t || !r || s->flood || s->faults.operator_)
		return;
	struct arena *a = arena_create();
	const char *differs = compare(s, a, t->row.namespace_, r);
	if (differs)
		sim_fail(s, "job %s has succeeded, but %s", j->row.id.text, differs);
	check_running(s, j, t->row.namespace_);
	if (strcmp(t->row.active_deployment_id.text, r->row.id.text) != 0)
		sim_fail(s, "job %s has succeeded, but its release is not active", j->row.id.text);
	arena_destroy(a);
}

/* ---- the end ---- */

/* Tasks that ran when the job ended have failed since: the Engine has stopped its update, or gone
 * back. */
static bool is_stopped(const struct sim *s, const char *namespace_)
{
	for (size_t i = 0; i < s->swarm->n_services; i++)
		if (s->swarm->services[i]->update != DOCKER_UPDATE_NONE &&
			s->swarm->services[i]->update != DOCKER_UPDATE_UPDATING &&
			s->swarm->services[i]->update != DOCKER_UPDATE_COMPLETED &&
			strcmp(label(s->swarm->services[i]->spec, LABEL_NAMESPACE), namespace_) == 0)
			return true;
	return false;
}

/* What somebody has changed by hand may be under repair when the run ends: these jobs are nobody's request. */
static bool is_being_repaired(const struct sim *s, const struct store_stack *t)
{
	for (size_t i = 0; i < s->store->n_jobs; i++) {
		const struct store_job *j = s->store->jobs[i];
		if (strcmp(j->row.stack_id.text, t->row.id.text) == 0 && !job_state_is_end(j->row.state) &&
			strcmp(j->created_by, "observer") == 0)
			return true;
	}
	return false;
}

static void check_stack(struct sim *s, struct store_stack *t)
{
	if (is_being_repaired(s, t))
		return;
	struct arena *a = arena_create();
	const struct db_stack *r = &t->row;
	struct store_release *active = store_release_find(s->store, r->active_deployment_id.text);
	static struct store_release nothing;
	const char *differs = compare(s, a, r->namespace_, active ? active : &nothing);
	bool by_hand = is_by_hand(s, r->namespace_), told = r->unfinished[0] != '\0';
	s->compared++;
	s->unfinished += told;
	sim_trace(s, "end", "stack %s: %s \"%s\"%s%s; release %lld; %s", r->namespace_,
		stack_status_name(r->status), r->status_message, told ? ", unfinished: " : "",
		r->unfinished, active ? (long long)active->row.number : 0LL,
		differs ? differs : "as it says");
	if (differs && r->status == STACK_RUNNING)
		sim_fail(s, "stack %s is said to run, but %s", r->namespace_, differs);
	if (differs && !by_hand && !told)
		sim_fail(s, "stack %s: %s, and nobody has said why", r->namespace_, differs);
	if (!differs && active && !told && r->status != STACK_RUNNING && !is_stopped(s, r->namespace_))
		sim_fail(s, "stack %s is as its release says, but its status is %s: %s", r->namespace_,
			stack_status_name(r->status), r->status_message);
	if (r->status == STACK_DEPLOYING || r->status == STACK_REMOVING)
		sim_fail(s, "no job of stack %s is left, but its status is %s", r->namespace_,
			stack_status_name(r->status));
	arena_destroy(a);
}

static bool exists(struct sim *s, const json_t *spec)
{
	const char *id = label(spec, LABEL_STACK);
	return !id[0] || store_stack_find(s->store, id);
}

static void check_leftovers(struct sim *s)
{
	const struct swarm *w = s->swarm;
	for (size_t i = 0; i < w->n_services; i++)
		if (!exists(s, w->services[i]->spec))
			sim_fail(s, "service %s is left of a removed stack",
				json_text(w->services[i]->spec, "Name", ""));
	for (size_t i = 0; i < w->n_objects; i++)
		if (!w->objects[i]->gone_ms && !exists(s, w->objects[i]->spec))
			sim_fail(s, "\"%s\" is left of a removed stack",
				json_text(w->objects[i]->spec, "Name", ""));
}

/* In one epoch each step is begun once, and taken back once. */
static void check_steps(struct sim *s, const struct store_job *j)
{
	const struct db_event *bad = NULL;
	size_t from = 0;
	for (size_t i = 0; i < j->n_log; i++) {
		const struct db_event *e = &j->log[i];
		if (strcmp(e->kind, "job.started") == 0 || strcmp(e->kind, "job.resumed") == 0)
			from = i;
		if (strcmp(e->kind, "job.step") != 0 && strcmp(e->kind, "job.undo") != 0)
			continue;
		for (size_t k = from; k < i; k++)
			if (strcmp(j->log[k].kind, e->kind) == 0 &&
				strcmp(j->log[k].step, e->step) == 0)
				bad = e;
	}
	for (size_t i = 0; bad && i < j->n_log; i++)
		sim_trace(s, "event", "%lld %s %s %s %s %d%% %s", (long long)j->log[i].sequence,
			j->log[i].kind, j->log[i].step, j->log[i].service, j->log[i].state,
			j->log[i].percent, j->log[i].message);
	if (bad)
		sim_fail(s, "job %s says twice in one epoch: %s %s", j->row.id.text, bad->kind,
			bad->step);
}

static void check_watchers(struct sim *s)
{
	for (size_t i = 0; i < s->n_watchers; i++) {
		const struct sim_watcher *w = &s->watchers[i];
		const struct store_job *j = store_job_find(s->store, w->job.text);
		if (j && w->after != j->row.last_sequence)
			sim_fail(s, "a watcher of job %s has seen %lld of its %lld events",
				w->job.text, (long long)w->after, (long long)j->row.last_sequence);
	}
}

void sim_oracle_end(struct sim *s)
{
	for (size_t i = 0; i < s->store->n_stacks; i++)
		check_stack(s, s->store->stacks[i]);
	for (size_t i = 0; i < s->store->n_jobs; i++)
		check_steps(s, s->store->jobs[i]);
	check_leftovers(s);
	check_watchers(s);
}
