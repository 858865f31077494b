/* Schedules: what is done to a stack again and again. */
#include "cli/commands.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/message.h"
#include "cli/text.h"
#include "cli/views.h"
#include "google/protobuf/empty.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/schedules.pb-c.h"

#define JITTER_MAX_MS 86400000

/* Says what it is now, and when it is due. */
static void show(struct cli *c, const ProtobufCMessage *reply, const char *what)
{
	const Skep__V1__Schedule *s = (const Skep__V1__Schedule *)reply;
	if (c->format != FORMAT_TABLE)
		view_one(c, &view_schedule, &skep_v1_msg_schedule, reply);
	else if (s->paused)
		cli_print(c, "schedule %s %s; it is paused\n", s->name, what);
	else
		cli_print(c, "schedule %s %s; it is due %s\n", s->name, what,
			text_age(c->arena, cli_now_us(), message_time_us(s->next_at)));
}

static int send(struct cli *c, const char *method, const ProtobufCMessage *request, const char *what)
{
	ProtobufCMessage *reply;
	int code = cli_call(c, &(struct cli_call){.method = method, .reply = &skep_v1_msg_schedule, .request = request,
		.resend = true}, &reply);
	if (code == CLI_DONE)
		show(c, reply, what);
	return code;
}

/* --jitter in seconds; -1 for 0 when none is another wish than nothing said. */
static bool take_jitter(struct cli *c, int32_t none, int32_t *ret_seconds)
{
	const char *text = cli_option(c, "jitter");
	uint64_t ms = 0;
	*ret_seconds = 0;
	if (!text)
		return true;
	if (!text_parse_span(text, &ms) || ms > JITTER_MAX_MS || ms % 1000) {
		(void)cli_usage(c, "--jitter %s: expected whole seconds up to a day, as 90s or 10m", text);
		return false;
	}
	*ret_seconds = ms ? (int32_t)(ms / 1000) : none;
	return true;
}

static Skep__V1__MissedRuns missed_of(struct cli *c)
{
	const char *word = cli_option(c, "missed");
	if (!word)
		return SKEP__V1__MISSED_RUNS__MISSED_RUNS_UNSPECIFIED;
	return strcmp(word, "run-once") == 0 ? SKEP__V1__MISSED_RUNS__MISSED_RUNS_RUN_ONCE
					     : SKEP__V1__MISSED_RUNS__MISSED_RUNS_SKIP;
}

/* What stands behind the action. */
static int take_rest(struct cli *c, Skep__V1__CreateScheduleRequest *r)
{
	size_t n = c->args.n_args - 3;
	const char *const *words = c->args.args + 3;
	if (r->action == SKEP__V1__SCHEDULE_ACTION__SCHEDULE_ACTION_SCALE) {
		r->replicas = arena_array(c->arena, Skep__V1__CreateScheduleRequest__ReplicasEntry *, n + 1);
		for (; r->n_replicas < n; r->n_replicas++) {
			Skep__V1__CreateScheduleRequest__ReplicasEntry *e =
				arena_new(c->arena, Skep__V1__CreateScheduleRequest__ReplicasEntry);
			skep__v1__create_schedule_request__replicas_entry__init(e);
			if (!cmd_scale_word(c, words[r->n_replicas], &e->key, &e->value))
				return cli_usage(c, "%s: expected SERVICE=NUMBER, as in web=3", words[r->n_replicas]);
			r->replicas[r->n_replicas] = e;
		}
		return n > 0 ? CLI_DONE : cli_usage(c, "which services to how many tasks? Give SERVICE=NUMBER");
	}
	if (r->action == SKEP__V1__SCHEDULE_ACTION__SCHEDULE_ACTION_REDEPLOY && n > 0)
		return cli_usage(c, "%s: a redeploy is of the whole stack", words[0]);
	r->services = arena_array(c->arena, char *, n + 1);
	for (; r->n_services < n; r->n_services++)
		r->services[r->n_services] = message_str(words[r->n_services]);
	return CLI_DONE;
}

int cmd_schedule_create(struct cli *c)
{
	Skep__V1__CreateScheduleRequest r = SKEP__V1__CREATE_SCHEDULE_REQUEST__INIT;
	const char *project, *cron = cli_option(c, "cron"), *zone = cli_option(c, "time-zone");
	int action;
	if (!cron)
		return cli_usage(c, "when? Give --cron, as in --cron \"30 3 * * sun\"");
	if (!enum_parse(&skep__v1__schedule_action__descriptor, c->args.args[2], &action) || action == 0)
		return cli_usage(c, "%s: expected redeploy, restart or scale", c->args.args[2]);
	r.action = (Skep__V1__ScheduleAction)action;
	int code = take_jitter(c, 0, &r.jitter_seconds) ? take_rest(c, &r) : CLI_USAGE;
	if (code == CLI_DONE)
		code = cmd_need_project(c, &project);
	if (code)
		return code;
	r.project = message_str(project);
	r.name = message_str(c->args.args[0]);
	r.stack = message_str(c->args.args[1]);
	r.cron = message_str(cron);
	if (zone)
		r.time_zone = message_str(zone);
	r.missed = missed_of(c);
	r.request_id = message_str(cli_request_id(c));
	return send(c, "/skep.v1.Schedules/Create", &r.base, "created");
}

int cmd_schedule_ls(struct cli *c)
{
	Skep__V1__ListSchedulesRequest r = SKEP__V1__LIST_SCHEDULES_REQUEST__INIT;
	struct cli_items items;
	if (!cli_flag(c, "all-projects"))
		r.project = message_str(c->settings.project);
	int code = view_fetch(c, &(struct cli_call){.method = "/skep.v1.Schedules/List",
		.reply = &skep_v1_msg_list_schedules_response, .request = &r.base}, 0, &items);
	if (code == CLI_DONE)
		view_list(c, &view_schedule, &items);
	return code;
}

int cmd_schedule_get(struct cli *c)
{
	Skep__V1__GetScheduleRequest r = SKEP__V1__GET_SCHEDULE_REQUEST__INIT;
	const char *project;
	ProtobufCMessage *reply;
	int code = cmd_need_project(c, &project);
	if (code)
		return code;
	r.project = message_str(project);
	r.name = message_str(c->args.args[0]);
	code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Schedules/Get", .reply = &skep_v1_msg_schedule,
		.request = &r.base}, &reply);
	if (code == CLI_DONE)
		view_one(c, &view_schedule, &skep_v1_msg_schedule, reply);
	return code;
}

int cmd_schedule_update(struct cli *c)
{
	Skep__V1__UpdateScheduleRequest r = SKEP__V1__UPDATE_SCHEDULE_REQUEST__INIT;
	const char *project, *cron = cli_option(c, "cron"), *zone = cli_option(c, "time-zone");
	if (!cron && !zone && !cli_option(c, "jitter") && !cli_option(c, "missed"))
		return cli_usage(c, "nothing to change: give --cron, --time-zone, --jitter or --missed");
	int code = take_jitter(c, -1, &r.jitter_seconds) ? cmd_need_project(c, &project) : CLI_USAGE;
	if (code)
		return code;
	r.project = message_str(project);
	r.name = message_str(c->args.args[0]);
	if (cron)
		r.cron = message_str(cron);
	if (zone)
		r.time_zone = message_str(zone);
	r.missed = missed_of(c);
	r.request_id = message_str(cli_request_id(c));
	return send(c, "/skep.v1.Schedules/Update", &r.base, "changed");
}

static int pause_one(struct cli *c, const char *method, const char *what)
{
	Skep__V1__PauseScheduleRequest r = SKEP__V1__PAUSE_SCHEDULE_REQUEST__INIT;
	const char *project;
	int code = cmd_need_project(c, &project);
	if (code)
		return code;
	r.project = message_str(project);
	r.name = message_str(c->args.args[0]);
	r.request_id = message_str(cli_request_id(c));
	return send(c, method, &r.base, what);
}

int cmd_schedule_pause(struct cli *c)
{
	return pause_one(c, "/skep.v1.Schedules/Pause", "stopped");
}

int cmd_schedule_resume(struct cli *c)
{
	return pause_one(c, "/skep.v1.Schedules/Resume", "resumed");
}

static int remove_one(struct cli *c, const char *project, const char *name)
{
	Skep__V1__DeleteScheduleRequest r = SKEP__V1__DELETE_SCHEDULE_REQUEST__INIT;
	ProtobufCMessage *reply;
	r.project = message_str(project);
	r.name = message_str(name);
	r.request_id = message_str(cli_request_id(c));
	int code = cli_call(c, &(struct cli_call){.method = "/skep.v1.Schedules/Delete", .reply = &google_protobuf_msg_empty,
		.request = &r.base, .resend = true}, &reply);
	if (code == CLI_DONE)
		cli_print(c, c->format == FORMAT_TABLE ? "schedule %s removed\n" : "%s\n", name);
	return code;
}

int cmd_schedule_rm(struct cli *c)
{
	const char *project;
	int worst = cmd_need_project(c, &project);
	if (worst)
		return worst;
	for (size_t i = 0; i < c->args.n_args && worst != CLI_INTERRUPTED; i++) {
		int code = remove_one(c, project, c->args.args[i]);
		worst = code > worst ? code : worst;
	}
	return worst;
}
