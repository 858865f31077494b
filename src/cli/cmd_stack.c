#include "cli/commands.h"
#include <stdlib.h>
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/progress.h"
#include "cli/screen.h"
#include "cli/text.h"
#include "cli/views.h"
#include "loop/loop.h"
#include "skep/v1/messages.h"
#include "skep/v1/stacks.pb-c.h"

int cmd_stack_ls(struct cli *c)
{
	Skep__V1__ListStacksRequest r = SKEP__V1__LIST_STACKS_REQUEST__INIT;
	struct cli_items items;
	if (!cli_flag(c, "all-projects"))
		r.project = message_str(c->settings.project);
	int code = view_fetch(c, &(struct cli_call){.method = "/skep.v1.Stacks/List",
		.reply = &skep_v1_msg_list_stacks_response, .request = &r.base}, 0, &items);
	if (code == CLI_DONE)
		view_list(c, &view_stack, &items);
	return code;
}

static int get_stack(struct cli *c, const Skep__V1__Stack **ret_stack)
{
	Skep__V1__GetStackRequest r = SKEP__V1__GET_STACK_REQUEST__INIT;
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	ProtobufCMessage *reply;
	int code = cmd_stack_ref(c, &ref);
	if (code)
		return code;
	r.stack = &ref;
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Stacks/Get", .reply = &skep_v1_msg_stack,
		.request = &r.base}, &reply);
	if (code == CLI_DONE)
		*ret_stack = (const Skep__V1__Stack *)reply;
	return code;
}

static void list_services(struct cli *c, const Skep__V1__Stack *s)
{
	view_list(c, &view_service, &(struct cli_items){&skep_v1_msg_service, (ProtobufCMessage **)s->services,
		s->n_services});
}

int cmd_stack_get(struct cli *c)
{
	const Skep__V1__Stack *s;
	int code = get_stack(c, &s);
	if (code)
		return code;
	view_one(c, &view_stack, &skep_v1_msg_stack, &s->base);
	if (c->format == FORMAT_TABLE) {
		cli_print(c, "\n");
		list_services(c, s);
	}
	return CLI_DONE;
}

int cmd_stack_services(struct cli *c)
{
	const Skep__V1__Stack *s;
	int code = get_stack(c, &s);
	if (code == CLI_DONE)
		list_services(c, s);
	return code;
}

/* ---- tasks ---- */

/* By slot and node, those that are to run first, then the latest: as `docker stack ps` has them. */
static int compare_tasks(const void *a, const void *b)
{
	const Skep__V1__Task *x = *(Skep__V1__Task *const *)a, *y = *(Skep__V1__Task *const *)b;
	int64_t tx = message_time_us(x->since), ty = message_time_us(y->since);
	int node = x->slot ? 0 : strcmp(x->node, y->node);
	bool past_x = strcmp(x->desired_state, "shutdown") == 0, past_y = strcmp(y->desired_state, "shutdown") == 0;
	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	if (node)
		return node;
	if (past_x != past_y)
		return past_x ? 1 : -1;
	return tx == ty ? 0 : tx > ty ? -1 : 1;
}

static void service_rows(struct cli *c, const Skep__V1__Service *s, struct table *t)
{
	if (s->n_tasks > 0)
		qsort(s->tasks, s->n_tasks, sizeof(*s->tasks), compare_tasks);
	for (size_t i = 0; i < s->n_tasks; i++) {
		const Skep__V1__Task *task = s->tasks[i], *before = i ? s->tasks[i - 1] : NULL;
		bool same = before && before->slot == task->slot && (task->slot || strcmp(before->node, task->node) == 0);
		const char *front = same ? " \\_ " : "";
		if (task->slot)
			table_fmt(t, "%s%s.%d", front, s->name, task->slot);
		else
			table_fmt(t, "%s%s", front, s->name); /* one a node */
		view_task.row(c, &task->base, t);
	}
}

static void tasks_table(struct cli *c, const Skep__V1__Stack *s)
{
	struct buf b = {0};
	struct table *t = table_create(c->arena, view_task.headers);
	for (size_t i = 0; i < s->n_services; i++)
		service_rows(c, s->services[i], t);
	table_print(t, c->color, &b);
	cli_write(c, &b);
}

static void tasks_json(struct cli *c, const Skep__V1__Stack *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->n_services; i++) {
		for (size_t k = 0; k < s->services[i]->n_tasks; k++) {
			json_t *task = json_object();
			json_t *fields = message_json(&skep_v1_msg_task, &s->services[i]->tasks[k]->base);
			json_object_set_new(task, "service", json_lossy(str_of(s->services[i]->name)));
			json_object_update(task, fields);
			json_decref(fields);
			json_array_append_new(list, task);
		}
	}
	view_json(c, list);
}

int cmd_stack_ps(struct cli *c)
{
	const Skep__V1__Stack *s;
	int code = get_stack(c, &s);
	if (code)
		return code;
	switch (c->format) {
	case FORMAT_TABLE:
		tasks_table(c, s);
		return CLI_DONE;
	case FORMAT_NAME:
		for (size_t i = 0; i < s->n_services; i++)
			for (size_t k = 0; k < s->services[i]->n_tasks; k++)
				cli_print(c, "%s\n", s->services[i]->tasks[k]->id);
		return CLI_DONE;
	case FORMAT_JSON:
	case FORMAT_YAML:
		tasks_json(c, s);
		return CLI_DONE;
	}
	return CLI_DONE;
}

int cmd_stack_releases(struct cli *c)
{
	Skep__V1__ListReleasesRequest r = SKEP__V1__LIST_RELEASES_REQUEST__INIT;
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	struct cli_items items;
	uint64_t limit;
	if (!cmd_limit(c, 50, &limit))
		return CLI_USAGE;
	int code = cmd_stack_ref(c, &ref);
	if (code)
		return code;
	r.stack = &ref;
	code = view_fetch(c, &(struct cli_call){.method = "/skep.v1.Stacks/Releases",
		.reply = &skep_v1_msg_list_releases_response, .request = &r.base}, limit, &items);
	if (code == CLI_DONE)
		view_list(c, &view_release, &items);
	return code;
}

/* ---- watch ---- */

struct stack_watch {
	struct cli *c;
	struct progress progress;
	struct screen screen;
	uint64_t start_ms;
	bool troubled;
};

static void on_stack(void *data, const ProtobufCMessage *message)
{
	struct stack_watch *w = data;
	struct cli *c = w->c;
	struct buf lines = {0};
	progress_stack(&w->progress, (const Skep__V1__Stack *)message, &lines);
	switch (c->format) {
	case FORMAT_TABLE:
		if (!c->live)
			cli_write(c, &lines);
		break;
	case FORMAT_JSON:
	case FORMAT_YAML:
		view_json_next(c, message_json(&skep_v1_msg_stack, message));
		break;
	case FORMAT_NAME:
		cli_print(c, "%s\n", w->progress.state);
		break;
	}
	buf_finish(&lines);
}

static void turn(void *data, const char *trouble)
{
	struct stack_watch *w = data;
	bool draws = w->c->live && w->c->format == FORMAT_TABLE;
	if (trouble && !w->troubled && !draws)
		cli_error(w->c, "%s; trying again", trouble);
	w->troubled = trouble != NULL;
	if (draws && *w->progress.state)
		screen_draw(&w->screen, &w->progress, loop_now_ms(w->c->loop) - w->start_ms, trouble, false);
}

int cmd_stack_watch(struct cli *c)
{
	Skep__V1__GetStackRequest r = SKEP__V1__GET_STACK_REQUEST__INIT;
	Skep__V1__StackRef ref = SKEP__V1__STACK_REF__INIT;
	int code = cmd_stack_ref(c, &ref);
	if (code)
		return code;
	struct stack_watch w = {.c = c, .screen = {.c = c}, .start_ms = loop_now_ms(c->loop)};
	r.stack = &ref;
	progress_init(&w.progress, arena_fmt(c->arena, "%s/%s", ref.project, ref.name));
	enum cli_end end = cli_stream(c, &(struct cli_stream){.method = "/skep.v1.Stacks/Watch",
		.reply = &skep_v1_msg_stack, .request = &r.base, .open_end = true, .on_message = on_stack,
		.turn = turn, .data = &w});
	progress_finish(&w.progress);
	if (end == END_CLOSED && c->format == FORMAT_TABLE)
		cli_print(c, "stack %s is gone\n", ref.name);
	return end == END_CLOSED ? CLI_DONE : end == END_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
}
