#include "cli/views.h"
#include "base/arena.h"
#include "cli/message.h"
#include "cli/text.h"
#include "skep/v1/auth.pb-c.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/projects.pb-c.h"
#include "skep/v1/registries.pb-c.h"
#include "skep/v1/schedules.pb-c.h"
#include "skep/v1/stacks.pb-c.h"
#include "skep/v1/system.pb-c.h"

static void cell_age(struct cli *c, struct table *t, const Google__Protobuf__Timestamp *at)
{
	table_cell(t, text_age(c->arena, cli_now_us(), message_time_us(at)));
}

static void cell_enum(struct cli *c, struct table *t, const ProtobufCEnumDescriptor *d, int value)
{
	const char *word = enum_word(c->arena, d, value);
	table_tone(t, tone_of(word), word);
}

static void cell_number(struct table *t, int64_t n)
{
	if (n)
		table_fmt(t, "%lld", (long long)n);
	else
		table_cell(t, "-");
}

/* ---- projects ---- */

static void row_project(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Project *p = (const Skep__V1__Project *)m;
	table_cell(t, p->name);
	table_fmt(t, "%d", p->stacks);
	cell_age(c, t, p->created_at);
	table_cell(t, p->description);
}
static const char *name_project(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Project *)m)->name;
}
static const char *const project_headers[] = {"NAME", "STACKS", "CREATED", "DESCRIPTION", NULL};
const struct cli_view view_project = {project_headers, row_project, name_project};

/* ---- stacks ---- */

static void row_stack(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Stack *s = (const Skep__V1__Stack *)m;
	table_cell(t, s->project);
	table_cell(t, s->name);
	cell_enum(c, t, &skep__v1__stack_status__descriptor, (int)s->status);
	table_fmt(t, "%d/%d", s->services_running, s->services_total);
	cell_number(t, s->release);
	cell_age(c, t, s->updated_at);
	table_cell(t, s->message);
}
static const char *name_stack(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Stack *)m)->name;
}
static const char *const stack_headers[] = {
	"PROJECT", "NAME", "STATUS", "SERVICES", "RELEASE", "UPDATED", "MESSAGE", NULL};
const struct cli_view view_stack = {stack_headers, row_stack, name_stack};

/* Neighbours that are alike count once. */
static char *joined(struct arena *a, char *const *items, size_t n)
{
	struct buf b = {0};
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(items[i], items[i - 1]) != 0)
			buf_fmt(&b, "%s%s", i ? ", " : "", items[i]);
	char *text = str_dup(a, buf_str(&b));
	buf_finish(&b);
	return text;
}

static void row_service(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Service *s = (const Skep__V1__Service *)m;
	table_cell(t, s->name);
	table_cell(t, s->mode);
	table_fmt(t, "%d/%d", s->running, s->wanted);
	cell_enum(c, t, &skep__v1__service_state__descriptor, (int)s->state);
	table_cell(t, s->image);
	table_cell(t, joined(c->arena, s->ports, s->n_ports));
	table_cell(t, s->message);
}
static const char *name_service(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Service *)m)->name;
}
static const char *const service_headers[] = {
	"NAME", "MODE", "REPLICAS", "STATE", "IMAGE", "PORTS", "MESSAGE", NULL};
const struct cli_view view_service = {service_headers, row_service, name_service};

/* A task's row stands behind its service's name: see service_rows of cmd_stack.c. */
static void row_task(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Task *k = (const Skep__V1__Task *)m;
	table_cell(t, arena_strndup(c->arena, k->id, strnlen(k->id, 12)));
	table_cell(t, k->node);
	table_tone(t, tone_of(k->state), k->state);
	table_cell(t, k->desired_state);
	cell_age(c, t, k->since);
	if (k->exit_code && !*k->error)
		table_fmt(t, "exit code %d", k->exit_code);
	else
		table_cell(t, k->error); /* the Engine's words have the code in them */
}
static const char *name_task(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Task *)m)->id;
}
static const char *const task_headers[] = {"TASK", "ID", "NODE", "STATE", "DESIRED", "SINCE", "ERROR", NULL};
const struct cli_view view_task = {task_headers, row_task, name_task};

static void row_release(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Release *r = (const Skep__V1__Release *)m;
	table_fmt(t, "%lld", (long long)r->number);
	cell_enum(c, t, &skep__v1__release_state__descriptor, (int)r->state);
	cell_age(c, t, r->created_at);
	table_cell(t, r->created_by);
	table_cell(t, r->job_id);
	table_cell(t, joined(c->arena, r->images, r->n_images));
	if (r->rolled_back_to)
		table_fmt(t, "rolled back to %lld%s%s", (long long)r->rolled_back_to, *r->message ? ": " : "", r->message);
	else
		table_cell(t, r->message);
}
static const char *name_release(struct cli *c, const ProtobufCMessage *m)
{
	return arena_fmt(c->arena, "%lld", (long long)((const Skep__V1__Release *)m)->number);
}
static const char *const release_headers[] = {
	"RELEASE", "STATE", "CREATED", "BY", "JOB", "IMAGES", "MESSAGE", NULL};
const struct cli_view view_release = {release_headers, row_release, name_release};

/* ---- jobs ---- */

static void cell_took(struct cli *c, struct table *t, const Skep__V1__Job *j)
{
	int64_t from = message_time_us(j->started_at), to = message_time_us(j->finished_at);
	if (from && !to)
		to = cli_now_us();
	table_cell(t, from && to > from ? text_span(c->arena, (uint64_t)(to - from) / 1000) : "-");
}

/* The first line says what happened; `job get` has the rest. */
static const char *first_line(struct cli *c, const char *text)
{
	struct str rest = str_of(text);
	return str_dup(c->arena, str_cut(&rest, '\n'));
}

static void row_job(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Job *j = (const Skep__V1__Job *)m;
	table_cell(t, j->id);
	table_cell(t, enum_word(c->arena, &skep__v1__job_kind__descriptor, (int)j->kind));
	table_fmt(t, "%s%s%s", j->project, *j->stack ? "/" : "", j->stack);
	cell_enum(c, t, &skep__v1__job_state__descriptor, (int)j->state);
	table_fmt(t, "%d%%", j->percent);
	cell_age(c, t, j->created_at);
	cell_took(c, t, j);
	table_cell(t, first_line(c, *j->error ? j->error : j->message));
}
static const char *name_job(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Job *)m)->id;
}
static const char *const job_headers[] = {
	"ID", "KIND", "STACK", "STATE", "DONE", "CREATED", "TOOK", "MESSAGE", NULL};
const struct cli_view view_job = {job_headers, row_job, name_job};

static const char *outcome_of(struct cli *c, const Skep__V1__Schedule *s)
{
	if (s->last_outcome != SKEP__V1__SCHEDULE_OUTCOME__SCHEDULE_OUTCOME_SUBMITTED)
		return enum_word(c->arena, &skep__v1__schedule_outcome__descriptor, (int)s->last_outcome);
	if (s->last_job_state == 0)
		return "submitted";
	return enum_word(c->arena, &skep__v1__job_state__descriptor, (int)s->last_job_state);
}

/* "scale web=6", "restart web db", "redeploy" */
static void cell_action(struct cli *c, struct table *t, const Skep__V1__Schedule *s)
{
	struct buf b = {0};
	buf_adds(&b, enum_word(c->arena, &skep__v1__schedule_action__descriptor, (int)s->action));
	for (size_t i = 0; i < s->n_services; i++)
		buf_fmt(&b, " %s", s->services[i]);
	for (size_t i = 0; i < s->n_replicas; i++)
		buf_fmt(&b, " %s=%u", s->replicas[i]->key, s->replicas[i]->value);
	table_cell(t, b.ptr);
	buf_finish(&b);
}

static void row_schedule(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Schedule *s = (const Skep__V1__Schedule *)m;
	const char *outcome = outcome_of(c, s);
	bool ran = s->last_outcome == SKEP__V1__SCHEDULE_OUTCOME__SCHEDULE_OUTCOME_SUBMITTED;
	table_cell(t, s->name);
	table_fmt(t, "%s/%s", s->project, s->stack);
	cell_action(c, t, s);
	table_fmt(t, "%s%s%s", s->cron, strcmp(s->time_zone, "UTC") == 0 ? "" : " ", strcmp(s->time_zone, "UTC") == 0 ? "" : s->time_zone);
	if (s->paused)
		table_tone(t, tone_of("paused"), "paused");
	else
		cell_age(c, t, s->next_at);
	table_cell(t, s->last_at ? text_age(c->arena, cli_now_us(), message_time_us(s->last_at)) : "never");
	table_tone(t, tone_of(outcome), outcome);
	table_cell(t, ran ? s->last_job_error : s->last_message);
}
static const char *name_schedule(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Schedule *)m)->name;
}
static const char *const schedule_headers[] = {"NAME", "STACK", "ACTION", "WHEN", "NEXT", "LAST", "OUTCOME", "MESSAGE", NULL};
const struct cli_view view_schedule = {schedule_headers, row_schedule, name_schedule};

/* ---- tokens, callers ---- */

static void row_token(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Token *k = (const Skep__V1__Token *)m;
	table_cell(t, k->id);
	table_cell(t, k->name);
	table_cell(t, enum_word(c->arena, &skep__v1__role__descriptor, (int)k->role));
	table_cell(t, *k->project ? k->project : "(every)");
	table_fmt(t, "%s…", k->prefix);
	cell_age(c, t, k->created_at);
	table_cell(t, k->expires_at ? text_age(c->arena, cli_now_us(), message_time_us(k->expires_at)) : "never");
	table_cell(t, k->last_used_at ? text_age(c->arena, cli_now_us(), message_time_us(k->last_used_at)) : "never");
}
static const char *name_token(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Token *)m)->id;
}
static const char *const token_headers[] = {
	"ID", "NAME", "ROLE", "PROJECT", "SECRET", "CREATED", "EXPIRES", "USED", NULL};
const struct cli_view view_token = {token_headers, row_token, name_token};

static void row_registry(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Registry *r = (const Skep__V1__Registry *)m;
	table_cell(t, r->host);
	table_cell(t, r->username);
	cell_age(c, t, r->updated_at);
}
static const char *name_registry(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Registry *)m)->host;
}
static const char *const registry_headers[] = {"HOST", "USERNAME", "SET", NULL};
const struct cli_view view_registry = {registry_headers, row_registry, name_registry};

static const char *name_caller(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Caller *)m)->name;
}
const struct cli_view view_caller = {NULL, NULL, name_caller};

/* ---- the system ---- */

static void row_dependency(struct cli *c, const ProtobufCMessage *m, struct table *t)
{
	const Skep__V1__Dependency *d = (const Skep__V1__Dependency *)m;
	const char *word = d->up ? "up" : "down";
	(void)c;
	table_cell(t, d->name);
	table_tone(t, tone_of(word), word);
	table_cell(t, d->message);
}
static const char *name_dependency(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__Dependency *)m)->name;
}
static const char *const dependency_headers[] = {"NAME", "STATE", "MESSAGE", NULL};
const struct cli_view view_dependency = {dependency_headers, row_dependency, name_dependency};

static const char *name_info(struct cli *c, const ProtobufCMessage *m)
{
	(void)c;
	return ((const Skep__V1__SystemInfo *)m)->instance;
}
const struct cli_view view_info = {NULL, NULL, name_info};
