#include "api/convert.h"

#include <stdlib.h>
#include "api/api.h"
#include "base/arena.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "google/protobuf/empty.pb-c.h"
#include "stacks/converge.h"
#include "stacks/observer.h"
#include "stacks/picture.h"

#define PAGE_DEFAULT 50
#define RETRY_MS     1000

struct api *api_of(const struct rpc_call *call)
{
	return rpc_call_context(call);
}

struct db_scope api_scope(const struct rpc_call *call)
{
	const struct rpc_caller *c = rpc_call_caller(call);
	return (struct db_scope){.project_id = c->project_id,
		.actor = c->name,
		.method = rpc_call_method(call)->path,
		.request_id = "",
		.token_id = c->token_id};
}

struct db_scope api_scope_once(struct rpc_call *call, const ProtobufCMessage *request, char *const *request_id)
{
	struct db_scope s = api_scope(call);
	if (!(*request_id)[0])
		return s;
	struct arena *a = rpc_call_arena(call);
	size_t len = protobuf_c_message_get_packed_size(request);
	uint8_t *bytes = arena_alloc(a, len + 1);
	unsigned char *digest = arena_alloc(a, SHA256_LEN);
	/* The id is part of the bytes: the same request sent twice has the same id. */
	protobuf_c_message_pack(request, bytes);
	crypto_sha256(str_make((const char *)bytes, len), digest);
	s.request_id = *request_id;
	s.fingerprint = str_make((const char *)digest, SHA256_LEN);
	return s;
}

struct db_page api_page(const Skep__V1__Page *page)
{
	struct db_page p = {.size = PAGE_DEFAULT, .before = ""};
	if (page && page->page_size > 0)
		p.size = (unsigned)page->page_size;
	if (page)
		p.before = page->page_token;
	return p;
}

char *api_text(struct arena *a, const char *s)
{
	return arena_strdup(a, s ? s : "");
}

Google__Protobuf__Timestamp *api_time(struct arena *a, int64_t us)
{
	if (us == 0)
		return NULL;
	Google__Protobuf__Timestamp *t = arena_new(a, Google__Protobuf__Timestamp);
	google__protobuf__timestamp__init(t);
	t->seconds = us / 1000000;
	t->nanos = (int32_t)(us % 1000000) * 1000;
	return t;
}

int64_t api_time_us(const Google__Protobuf__Timestamp *t)
{
	if (!t)
		return 0;
	int64_t us = t->seconds * 1000000 + t->nanos / 1000; /* it was checked: of the years 1 to 9999 */
	return us > 0 ? us : 1;
}

void api_fail(struct rpc_call *call, const struct status *st)
{
	if (st->retry_ms || st->code == ST_UNAVAILABLE)
		rpc_call_fail_retry(call, st, st->retry_ms ? st->retry_ms : RETRY_MS);
	else
		rpc_call_finish(call, st);
}

Skep__V1__Project *api_project(struct arena *a, const struct db_project *p)
{
	Skep__V1__Project *m = arena_new(a, Skep__V1__Project);
	skep__v1__project__init(m);
	m->id = api_text(a, p->id.text);
	m->name = api_text(a, p->name);
	m->description = api_text(a, p->description);
	m->created_at = api_time(a, p->created_us);
	m->updated_at = api_time(a, p->updated_us);
	m->stacks = p->stacks;
	m->drift_policy = (Skep__V1__DriftPolicy)p->drift_policy;
	m->weight = p->weight;
	m->max_running = p->max_running;
	m->etag = api_text(a, p->etag);
	return m;
}

static char **texts_of(struct arena *a, const json_t *list, size_t *ret_n)
{
	json_t *entry;
	size_t i;
	char **texts = arena_array(a, char *, json_array_size(list) + 1);
	json_array_foreach((json_t *)(uintptr_t)list, i, entry)
		texts[i] = api_text(a, json_string_value(entry));
	*ret_n = json_array_size(list);
	return texts;
}

static Skep__V1__ServiceFailure *failure_of(struct arena *a, const json_t *o)
{
	Skep__V1__ServiceFailure *m = arena_new(a, Skep__V1__ServiceFailure);
	skep__v1__service_failure__init(m);
	m->service = api_text(a, json_text(o, "service", ""));
	m->message = api_text(a, json_text(o, "message", ""));
	m->task_id = api_text(a, json_text(o, "task", ""));
	m->slot = (int32_t)json_int(o, "slot", 0);
	m->node = api_text(a, json_text(o, "node", ""));
	m->error = api_text(a, json_text(o, "error", ""));
	m->exit_code = (int32_t)json_int(o, "exit_code", -1);
	m->oom_killed = json_flag(o, "oom_killed", false);
	m->health = api_text(a, json_text(o, "health", ""));
	m->registry = api_text(a, json_text(o, "registry", ""));
	m->hint = api_text(a, json_text(o, "hint", ""));
	m->nodes = texts_of(a, json_at(o, "nodes"), &m->n_nodes);
	m->log = texts_of(a, json_at(o, "log"), &m->n_log);
	return m;
}

static void add_attempts(struct arena *a, Skep__V1__Job *m, struct str attempts)
{
	json_t *list = NULL, *entry;
	size_t i;
	struct status st = json_parse(attempts.len ? attempts : STR("[]"), &list);
	if (!status_is_ok(&st))
		return; /* skepd wrote it */
	m->attempts = arena_array(a, Skep__V1__JobAttempt *, json_array_size(list) + 1);
	json_array_foreach(list, i, entry) {
		Skep__V1__JobAttempt *t = arena_new(a, Skep__V1__JobAttempt);
		skep__v1__job_attempt__init(t);
		t->attempt = (int32_t)json_int(entry, "attempt", 0);
		t->daemon = api_text(a, json_text(entry, "daemon", ""));
		t->step = api_text(a, json_text(entry, "step", ""));
		t->error = api_text(a, json_text(entry, "error", ""));
		t->error_code = api_text(a, json_text(entry, "error_code", ""));
		t->started_at = api_time(a, json_int(entry, "started_us", 0));
		t->ended_at = api_time(a, json_int(entry, "ended_us", 0));
		m->attempts[m->n_attempts++] = t;
	}
	json_decref(list);
}

static void add_failures(struct arena *a, Skep__V1__Job *m, struct str failures)
{
	json_t *list = NULL, *entry;
	size_t i;
	struct status st = json_parse(failures.len ? failures : STR("[]"), &list);
	if (!status_is_ok(&st))
		return; /* skepd wrote it: only a hand in the database can do that */
	m->failures = arena_array(a, Skep__V1__ServiceFailure *, json_array_size(list) + 1);
	json_array_foreach(list, i, entry)
		m->failures[m->n_failures++] = failure_of(a, entry);
	json_decref(list);
}

Skep__V1__Job *api_job(struct arena *a, const struct db_job *j)
{
	Skep__V1__Job *m = arena_new(a, Skep__V1__Job);
	skep__v1__job__init(m);
	m->id = api_text(a, j->id.text);
	m->project_id = api_text(a, j->project_id.text);
	m->project = api_text(a, j->project);
	m->stack_id = api_text(a, j->stack_id.text);
	m->stack = api_text(a, j->stack);
	m->kind = (Skep__V1__JobKind)j->kind;
	m->state = (Skep__V1__JobState)j->state;
	m->attempt = j->attempt;
	m->max_attempts = j->max_attempts;
	m->step = api_text(a, j->step);
	m->percent = j->percent;
	m->message = api_text(a, j->message);
	m->error = api_text(a, j->error);
	m->error_code = api_text(a, j->error_code);
	m->release = j->release_number;
	m->cancel_requested = j->cancel_requested;
	m->created_at = api_time(a, j->created_us);
	m->run_at = api_time(a, j->run_us);
	m->started_at = api_time(a, j->started_us);
	m->finished_at = api_time(a, j->finished_us);
	if (j->state == JOB_RUNNING)
		m->daemon = api_text(a, j->owner);
	m->last_sequence = j->last_sequence;
	m->warnings = arena_array(a, char *, j->n_warnings + 1);
	for (size_t i = 0; i < j->n_warnings; i++)
		m->warnings[m->n_warnings++] = api_text(a, j->warnings[i]);
	add_failures(a, m, j->failures);
	add_attempts(a, m, j->attempts);
	return m;
}

Skep__V1__Event *api_event(struct arena *a, const struct db_event *e)
{
	Skep__V1__Event *m = arena_new(a, Skep__V1__Event);
	skep__v1__event__init(m);
	m->sequence = e->sequence;
	m->time = api_time(a, e->time_us);
	m->kind = api_text(a, e->kind);
	m->message = api_text(a, e->message);
	m->service = api_text(a, e->service);
	m->step = api_text(a, e->step);
	m->state = api_text(a, e->state);
	m->percent = e->percent;
	m->running = e->running;
	m->wanted = e->wanted;
	return m;
}

/* ---- stacks ---- */

static const char *host_name(const struct picture *seen, const char *node_id)
{
	for (size_t i = 0; i < seen->n_nodes; i++)
		if (strcmp(seen->nodes[i].id, node_id) == 0)
			return seen->nodes[i].hostname;
	return node_id;
}

static Skep__V1__Task *task_of(struct arena *a, const struct picture *seen, const struct docker_task *t)
{
	Skep__V1__Task *m = arena_new(a, Skep__V1__Task);
	skep__v1__task__init(m);
	m->id = api_text(a, t->id);
	m->slot = (int32_t)t->slot;
	m->node = api_text(a, host_name(seen, t->node_id));
	m->state = api_text(a, docker_task_state_name(t->state));
	m->desired_state = api_text(a, docker_task_state_name(t->desired_state));
	m->error = api_text(a, t->err);
	m->exit_code = t->exit_code < 0 ? 0 : (int32_t)t->exit_code;
	m->image = api_text(a, t->image);
	m->since = api_time(a, t->state_us);
	return m;
}

static void add_tasks(struct arena *a, const struct picture *seen, Skep__V1__Service *m)
{
	size_t n;
	const struct docker_task *tasks = converge_tasks(seen->tasks, seen->n_tasks, m->engine_id, &n);
	m->tasks = arena_array(a, Skep__V1__Task *, n + 1);
	for (size_t i = 0; i < n; i++)
		m->tasks[m->n_tasks++] = task_of(a, seen, &tasks[i]);
}

static void add_ports(struct arena *a, const struct docker_service *seen, Skep__V1__Service *m)
{
	json_t *ports = seen ? json_at(seen->spec, "EndpointSpec.Ports") : NULL, *port;
	size_t i;
	m->ports = arena_array(a, char *, json_array_size(ports) + 1);
	json_array_foreach(ports, i, port)
		m->ports[m->n_ports++] = arena_fmt(a, "%lld->%lld/%s (%s)", (long long)json_int(port, "PublishedPort", 0),
			(long long)json_int(port, "TargetPort", 0), json_text(port, "Protocol", "tcp"),
			json_text(port, "PublishMode", "ingress"));
}

static Skep__V1__Service *service_of(struct arena *a, const struct picture *seen, const struct db_service *s)
{
	Skep__V1__Service *m = arena_new(a, Skep__V1__Service);
	skep__v1__service__init(m);
	m->name = api_text(a, s->service);
	m->engine_name = api_text(a, s->engine_name);
	m->engine_id = api_text(a, s->engine_id);
	m->image = api_text(a, s->image);
	m->mode = api_text(a, s->mode);
	m->running = s->running;
	m->wanted = s->wanted;
	m->state = (Skep__V1__ServiceState)s->state;
	m->message = api_text(a, s->message);
	if (seen) {
		add_tasks(a, seen, m);
		add_ports(a, picture_service(seen, m->engine_name), m);
	}
	return m;
}

Skep__V1__Stack *api_stack(struct arena *a, const struct api *api, const struct db_stack *s)
{
	Skep__V1__Stack *m = arena_new(a, Skep__V1__Stack);
	skep__v1__stack__init(m);
	m->id = api_text(a, s->id.text);
	m->project_id = api_text(a, s->project_id.text);
	m->project = api_text(a, s->project);
	m->name = api_text(a, s->name);
	m->namespace_ = api_text(a, s->namespace_);
	m->status = (Skep__V1__StackStatus)s->status;
	m->message = api_text(a, s->status_message);
	m->release = s->active_number;
	m->job_id = api_text(a, s->last_job_id.text);
	m->created_at = api_time(a, s->created_us);
	m->updated_at = api_time(a, s->updated_us);
	m->services_running = s->services_running;
	m->services_total = s->services_total;
	const struct picture *seen = api->observer ? observer_picture(api->observer) : NULL;
	m->services = arena_array(a, Skep__V1__Service *, s->n_services + 1);
	for (size_t i = 0; i < s->n_services; i++)
		m->services[m->n_services++] = service_of(a, seen, &s->services[i]);
	return m;
}

Skep__V1__Release *api_release(struct arena *a, const struct db_release *r)
{
	Skep__V1__Release *m = arena_new(a, Skep__V1__Release);
	skep__v1__release__init(m);
	m->id = api_text(a, r->id.text);
	m->number = r->number;
	m->state = (Skep__V1__ReleaseState)r->state;
	m->job_id = api_text(a, r->job_id.text);
	m->created_by = api_text(a, r->created_by);
	m->created_at = api_time(a, r->created_us);
	m->finished_at = api_time(a, r->finished_us);
	m->images = arena_array(a, char *, r->n_images + 1);
	for (size_t i = 0; i < r->n_images; i++)
		m->images[m->n_images++] = api_text(a, r->images[i]);
	m->message = api_text(a, r->message);
	m->rolled_back_to = r->rolled_back_to;
	return m;
}

Skep__V1__Token *api_token(struct arena *a, const struct db_token *t)
{
	Skep__V1__Token *m = arena_new(a, Skep__V1__Token);
	skep__v1__token__init(m);
	m->id = api_text(a, t->id.text);
	m->name = api_text(a, t->name);
	m->project_id = api_text(a, t->project_id);
	m->project = api_text(a, t->project);
	m->role = (Skep__V1__Role)t->role;
	m->prefix = api_text(a, t->prefix);
	m->created_at = api_time(a, t->created_us);
	m->expires_at = api_time(a, t->expires_us);
	m->last_used_at = api_time(a, t->last_used_us);
	return m;
}

enum failure_policy api_on_failure(Skep__V1__OnFailure wish)
{
	if (wish == SKEP__V1__ON_FAILURE__ON_FAILURE_PAUSE)
		return ON_FAILURE_PAUSE;
	if (wish == SKEP__V1__ON_FAILURE__ON_FAILURE_CONTINUE)
		return ON_FAILURE_CONTINUE;
	return ON_FAILURE_ROLLBACK;
}

/* ---- replies ---- */

void api_reply_empty(void *call, const struct status *st)
{
	Google__Protobuf__Empty reply = GOOGLE__PROTOBUF__EMPTY__INIT;
	if (status_is_ok(st))
		rpc_call_reply(call, &reply.base);
	else
		api_fail(call, st);
}

void api_reply_job(void *data, const struct status *st, const struct db_job *j)
{
	struct rpc_call *call = data;
	if (!status_is_ok(st))
		api_fail(call, st);
	else
		rpc_call_reply(call, &api_job(rpc_call_arena(call), j)->base);
}

void api_reply_new_job(void *data, const struct status *st, const struct db_job *j)
{
	struct rpc_call *call = data;
	if (status_is_ok(st)) {
		const struct api *api = api_of(call);
		api->job_ready(api->data, j->id.text);
	}
	api_reply_job(data, st, j);
}
