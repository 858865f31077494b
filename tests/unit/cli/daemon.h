/* A skepd of few words, for tests of whole commands: handlers made by hand on the loop that the
 * command turns too. It records what it was asked, and can be stopped and started again. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/message.h"
#include "loop/loop.h"
#include "rpc/call.h"
#include "rpc/server.h"
#include "skep/v1/auth.pb-c.h"
#include "skep/v1/jobs.pb-c.h"
#include "skep/v1/messages.h"
#include "skep/v1/projects.pb-c.h"
#include "skep/v1/stacks.pb-c.h"
#include "skep/v1/system.pb-c.h"

#define GUARD_MS 20000
#define JOB_ID   "01912d68-783e-7a03-8467-5661c1243ad4"
#define S(text)  ((char *)(uintptr_t)(text))

/* What happens in a watch, one after another. */
enum act { ACT_NONE, ACT_EVENT, ACT_LEAVE, ACT_INTERRUPT, ACT_END, ACT_ENDS_WITHOUT_JOB, ACT_FAIL, ACT_HANG };
struct scene {
	enum act act;
	const char *kind, *service, *state, *message;
	int percent, running, wanted;
	int64_t away_ms; /* ACT_LEAVE: how long the daemon is away */
};

struct world {
	struct loop *loop;
	struct rpc_server *server;
	struct arena *arena;
	struct timer guard, again;
	struct defer leaving;
	char dir[64], socket[96], host[128], config[128];
	/* what it does */
	const struct scene *scenes;
	size_t scene;
	Skep__V1__Job job;
	bool not_ready, refuses, keeps_quiet, leaves_in_deploy, leaves_in_token;
	unsigned projects;
	const char *own_project; /* of the caller */
	/* what it was asked */
	Skep__V1__DeployStackRequest *deploy;
	char request_ids[4][64];
	unsigned deploys, watches, pages, tokens;
	int64_t after[8];
	struct rpc_caller caller;
	/* what the command said */
	char *out, *err;
	size_t out_len, err_len;
	bool terminal;
	const char *input;
	const char *env[16];
};

static inline struct world *world_of(struct rpc_call *call)
{
	return rpc_call_context(call);
}

static inline void handle_info(struct rpc_call *call, const ProtobufCMessage *request)
{
	Skep__V1__SystemInfo r = SKEP__V1__SYSTEM_INFO__INIT;
	(void)request;
	r.version = S("9.8.7");
	r.instance = S("daemon-1");
	rpc_call_reply(call, &r.base);
}

static inline void handle_ready(struct rpc_call *call, const ProtobufCMessage *request)
{
	Skep__V1__ReadyResponse r = SKEP__V1__READY_RESPONSE__INIT;
	Skep__V1__Dependency pg = SKEP__V1__DEPENDENCY__INIT, docker = SKEP__V1__DEPENDENCY__INIT;
	Skep__V1__Dependency *both[] = {&pg, &docker};
	(void)request;
	pg.name = S("postgres");
	pg.up = true;
	docker.name = S("docker");
	docker.up = !world_of(call)->not_ready;
	docker.message = S(docker.up ? "" : "not a manager: docker swarm init");
	r.ready = docker.up;
	r.dependencies = both;
	r.n_dependencies = 2;
	rpc_call_reply(call, &r.base);
}

static inline void handle_whoami(struct rpc_call *call, const ProtobufCMessage *request)
{
	Skep__V1__Caller r = SKEP__V1__CALLER__INIT;
	(void)request;
	world_of(call)->caller = *rpc_call_caller(call);
	r.name = S("unix:root");
	r.project = S(world_of(call)->own_project ? world_of(call)->own_project : "");
	r.role = SKEP__V1__ROLE__ROLE_ADMIN;
	rpc_call_reply(call, &r.base);
}

static inline void handle_projects(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__ListProjectsRequest *q = (const Skep__V1__ListProjectsRequest *)request;
	Skep__V1__ListProjectsResponse r = SKEP__V1__LIST_PROJECTS_RESPONSE__INIT;
	struct arena *a = rpc_call_arena(call);
	struct world *w = world_of(call);
	unsigned from = *q->page->page_token ? (unsigned)strtoul(q->page->page_token, NULL, 10) : 0;
	w->pages++;
	r.projects = arena_array(a, Skep__V1__Project *, 2);
	for (unsigned i = from; i < w->projects && i < from + 2; i++) { /* never more than two a page */
		Skep__V1__Project *p = arena_new(a, Skep__V1__Project);
		skep__v1__project__init(p);
		p->name = arena_fmt(a, "p%u", i);
		p->stacks = (int)i;
		r.projects[r.n_projects++] = p;
	}
	if (from + 2 < w->projects)
		r.next_page_token = arena_fmt(a, "%036u", from + 2); /* as long as an id */
	rpc_call_reply(call, &r.base);
}

static inline void handle_create(struct rpc_call *call, const ProtobufCMessage *request)
{
	const struct rpc_violation v[] = {{"name", "lower-case \x1b[31mletters"}, {"description", "too long"}};
	struct status st = status_err(ST_INVALID_ARGUMENT, "the request has 2 errors");
	(void)request;
	rpc_call_fail_fields(call, &st, v, 2);
}

static inline void leave(struct defer *d)
{
	struct world *w = container_of(d, struct world, leaving);
	rpc_server_destroy(w->server);
	w->server = NULL;
}

static inline void gone(struct rpc_call *call)
{
	struct status st = status_err(ST_CANCELLED, "gone");
	rpc_call_finish(call, &st);
}

static inline void handle_deploy(struct rpc_call *call, const ProtobufCMessage *request)
{
	struct world *w = world_of(call);
	Skep__V1__DeployStackResponse r = SKEP__V1__DEPLOY_STACK_RESPONSE__INIT;
	char *warnings[] = {S("service web: ports are \x1b[31mignored")};
	w->deploy = (Skep__V1__DeployStackRequest *)message_copy(w->arena, &skep_v1_msg_deploy_stack_request, request);
	(void)snprintf(w->request_ids[w->deploys++ % 4], 64, "%s", w->deploy->request_id);
	if (w->refuses) {
		const struct rpc_violation v[] = {{"compose.yml:3:5", "services.web.tty must be a boolean"},
			{"compose[0]", "no services"}};
		struct status st = status_err(ST_INVALID_ARGUMENT, "the Compose text has 2 errors");
		rpc_call_fail_fields(call, &st, v, 2);
		return;
	}
	if (w->leaves_in_deploy) { /* the reply is lost with the connection */
		w->leaves_in_deploy = false;
		rpc_call_on_cancel(call, gone);
		defer_post(&w->leaving);
		timer_set(&w->again, 20);
		return;
	}
	r.job = &w->job;
	r.warnings = warnings;
	r.n_warnings = 1;
	rpc_call_reply(call, &r.base);
}

static inline void send_event(struct rpc_call *call, const struct scene *s, int64_t sequence)
{
	Skep__V1__WatchJobResponse r = SKEP__V1__WATCH_JOB_RESPONSE__INIT;
	Skep__V1__Event e = SKEP__V1__EVENT__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	at.seconds = 1700000000 + sequence;
	e.sequence = sequence;
	e.time = &at;
	e.kind = S(s->kind);
	e.percent = s->percent;
	e.running = s->running;
	e.wanted = s->wanted;
	if (s->service)
		e.service = S(s->service);
	if (s->state)
		e.state = S(s->state);
	if (s->message && s->service)
		e.message = S(s->message);
	else if (s->message)
		e.step = S(s->message);
	r.event = &e;
	rpc_call_send(call, &r.base);
}

/* Plays the scenes from where the last watch stopped; replays what the caller has not seen. */
static inline void handle_watch(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__WatchJobRequest *q = (const Skep__V1__WatchJobRequest *)request;
	struct world *w = world_of(call);
	struct status ok = status_ok(), gone_for_good;
	w->after[w->watches++ % 8] = q->after_sequence;
	for (; w->scenes[w->scene].act != ACT_NONE; w->scene++) {
		const struct scene *s = &w->scenes[w->scene];
		Skep__V1__WatchJobResponse r = SKEP__V1__WATCH_JOB_RESPONSE__INIT;
		switch (s->act) {
		case ACT_NONE:
			break;
		case ACT_EVENT:
			send_event(call, s, (int64_t)w->scene + 1);
			break;
		case ACT_LEAVE:
			w->scene++;
			rpc_call_on_cancel(call, gone);
			defer_post(&w->leaving);
			timer_set(&w->again, (uint64_t)s->away_ms);
			return;
		case ACT_INTERRUPT:
			(void)raise(SIGINT);
			break;
		case ACT_HANG:
			rpc_call_on_cancel(call, gone);
			return;
		case ACT_END:
			r.job = &w->job;
			rpc_call_send(call, &r.base);
			rpc_call_finish(call, &ok);
			return;
		case ACT_FAIL:
			gone_for_good = status_err(ST_NOT_FOUND, "job \"x\" does not exist");
			rpc_call_finish(call, &gone_for_good);
			return;
		case ACT_ENDS_WITHOUT_JOB:
			w->scene++;
			rpc_call_finish(call, &ok);
			return;
		}
	}
	rpc_call_finish(call, &ok);
}

static inline void handle_job(struct rpc_call *call, const ProtobufCMessage *request)
{
	(void)request;
	rpc_call_reply(call, &world_of(call)->job.base);
}

static inline void fill_services(Skep__V1__Service *web, Skep__V1__Service *db, Skep__V1__Task *task)
{
	web->name = S("web");
	web->mode = S("replicated");
	web->image = S("nginx:1");
	web->running = 1;
	web->wanted = 2;
	web->state = SKEP__V1__SERVICE_STATE__SERVICE_STATE_DEGRADED;
	db->name = S("db");
	db->mode = S("global");
	db->running = db->wanted = 1;
	db->state = SKEP__V1__SERVICE_STATE__SERVICE_STATE_RUNNING;
	task->id = S("abcdefghijklmnop");
	task->slot = 2;
	task->node = S("node-1");
	task->state = S("failed");
	task->desired_state = S("shutdown");
	task->error = S("task: non-zero exit (3)");
	task->exit_code = 3;
}

static inline void handle_stack(struct rpc_call *call, const ProtobufCMessage *request)
{
	Skep__V1__Stack s = SKEP__V1__STACK__INIT;
	Skep__V1__Service web = SKEP__V1__SERVICE__INIT, db = SKEP__V1__SERVICE__INIT;
	Skep__V1__Service *both[] = {&web, &db};
	Skep__V1__Task task = SKEP__V1__TASK__INIT, *tasks[] = {&task};
	struct status ok = status_ok();
	fill_services(&web, &db, &task);
	web.tasks = tasks;
	web.n_tasks = 1;
	s.name = ((const Skep__V1__GetStackRequest *)request)->stack->name;
	s.project = ((const Skep__V1__GetStackRequest *)request)->stack->project;
	s.status = SKEP__V1__STACK_STATUS__STACK_STATUS_DEGRADED;
	s.release = 7;
	s.services = both;
	s.n_services = 2;
	if (!rpc_call_method(call)->server_streaming) {
		rpc_call_reply(call, &s.base);
		return;
	}
	rpc_call_send(call, &s.base);
	web.running = 2;
	web.state = SKEP__V1__SERVICE_STATE__SERVICE_STATE_RUNNING;
	s.status = SKEP__V1__STACK_STATUS__STACK_STATUS_RUNNING;
	rpc_call_send(call, &s.base);
	rpc_call_finish(call, &ok);
}

static inline void handle_token(struct rpc_call *call, const ProtobufCMessage *request)
{
	const Skep__V1__CreateTokenRequest *q = (const Skep__V1__CreateTokenRequest *)request;
	Skep__V1__CreateTokenResponse r = SKEP__V1__CREATE_TOKEN_RESPONSE__INIT;
	world_of(call)->tokens++;
	if (world_of(call)->leaves_in_token) {
		rpc_call_on_cancel(call, gone);
		defer_post(&world_of(call)->leaving);
		timer_set(&world_of(call)->again, 20);
		return;
	}
	r.secret = arena_fmt(rpc_call_arena(call), "skep_%s_%d_%lld_%s", q->name, (int)q->role, (long long)q->ttl_seconds,
		q->project);
	rpc_call_reply(call, &r.base);
}

static const struct rpc_method daemon_methods[] = {
	{"/skep.v1.Auth/CreateToken", &skep_v1_msg_create_token_request, &skep_v1_msg_create_token_response,
		.role = RPC_ROLE_OWNER, .handler = handle_token},
	{"/skep.v1.Auth/WhoAmI", &google_protobuf_msg_empty, &skep_v1_msg_caller,
		.role = RPC_ROLE_VIEWER, .no_side_effects = true, .handler = handle_whoami},
	{"/skep.v1.Jobs/Cancel", &skep_v1_msg_cancel_job_request, &skep_v1_msg_job,
		.role = RPC_ROLE_DEPLOYER, .handler = handle_job},
	{"/skep.v1.Jobs/Get", &skep_v1_msg_get_job_request, &skep_v1_msg_job,
		.role = RPC_ROLE_VIEWER, .no_side_effects = true, .handler = handle_job},
	{"/skep.v1.Jobs/Watch", &skep_v1_msg_watch_job_request, &skep_v1_msg_watch_job_response,
		.role = RPC_ROLE_VIEWER, .no_side_effects = true, .server_streaming = true, .handler = handle_watch},
	{"/skep.v1.Projects/Create", &skep_v1_msg_create_project_request, &skep_v1_msg_project,
		.role = RPC_ROLE_ADMIN, .handler = handle_create},
	{"/skep.v1.Projects/List", &skep_v1_msg_list_projects_request, &skep_v1_msg_list_projects_response,
		.role = RPC_ROLE_VIEWER, .no_side_effects = true, .handler = handle_projects},
	{"/skep.v1.Stacks/Deploy", &skep_v1_msg_deploy_stack_request, &skep_v1_msg_deploy_stack_response,
		.role = RPC_ROLE_DEPLOYER, .handler = handle_deploy},
	{"/skep.v1.Stacks/Get", &skep_v1_msg_get_stack_request, &skep_v1_msg_stack,
		.role = RPC_ROLE_VIEWER, .no_side_effects = true, .handler = handle_stack},
	{"/skep.v1.Stacks/Watch", &skep_v1_msg_get_stack_request, &skep_v1_msg_stack,
		.role = RPC_ROLE_VIEWER, .no_side_effects = true, .server_streaming = true, .handler = handle_stack},
	{"/skep.v1.System/Info", &google_protobuf_msg_empty, &skep_v1_msg_system_info,
		.role = RPC_ROLE_NONE, .anonymous = true, .no_side_effects = true, .handler = handle_info},
	{"/skep.v1.System/Ready", &google_protobuf_msg_empty, &skep_v1_msg_ready_response,
		.role = RPC_ROLE_NONE, .anonymous = true, .no_side_effects = true, .handler = handle_ready},
};

static inline void daemon_start(struct world *w)
{
	w->server = rpc_server_create(&(struct rpc_server_options){.loop = w->loop, .methods = daemon_methods,
		.n_methods = sizeof(daemon_methods) / sizeof(*daemon_methods), .context = w});
	struct status st = rpc_server_listen_unix(w->server, w->socket, 0600);
	assert_int_equal(st.code, ST_OK);
}

static inline void daemon_again(struct timer *t)
{
	daemon_start(container_of(t, struct world, again));
}

static inline void guard_fired(struct timer *t)
{
	(void)t;
	fputs("the command hangs\n", stderr);
	abort();
}

static inline int world_setup(void **state)
{
	struct world *w = mem_new(struct world);
	log_configure(LOG_ERROR, LOG_KEY_VALUE);
	w->loop = loop_create();
	w->arena = arena_create();
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/skep-cli.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chdir(w->dir), 0);
	(void)snprintf(w->socket, sizeof(w->socket), "%s/s", w->dir);
	(void)snprintf(w->host, sizeof(w->host), "SKEP_HOST=unix://%s", w->socket);
	(void)snprintf(w->config, sizeof(w->config), "SKEP_CONFIG=%s/config.json", w->dir);
	skep__v1__job__init(&w->job);
	w->job.id = S(JOB_ID);
	w->job.stack = S("web");
	w->job.kind = SKEP__V1__JOB_KIND__JOB_KIND_DEPLOY;
	w->job.state = SKEP__V1__JOB_STATE__JOB_STATE_SUCCEEDED;
	w->job.release = 3;
	w->env[0] = w->host;
	w->env[1] = w->config;
	w->env[2] = "SKEP_PROJECT=shop";
	timer_init(&w->guard, w->loop, guard_fired);
	timer_set(&w->guard, GUARD_MS);
	timer_init(&w->again, w->loop, daemon_again);
	defer_init(&w->leaving, w->loop, leave);
	daemon_start(w);
	*state = w;
	return 0;
}

static inline int world_teardown(void **state)
{
	static const char *const files[] = {"s", "config.json", "compose.yaml", "more.yml", ".env", "app.env", "key", "my.env"};
	struct world *w = *state;
	timer_stop(&w->guard);
	timer_stop(&w->again);
	rpc_server_destroy(w->server);
	loop_destroy(w->loop);
	arena_destroy(w->arena);
	free(w->out);
	free(w->err);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		(void)unlink(files[i]);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static inline void write_file(const char *name, const char *text)
{
	FILE *f = fopen(name, "we");
	assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* Runs a command line (words apart by one blank); what it says is in w->out and w->err. */
static inline int skep(struct world *w, const char *line)
{
	const char *argv[32] = {"skep"};
	struct str rest = str_of(line);
	int argc = 1;
	while (rest.ptr)
		argv[argc++] = str_dup(w->arena, str_cut(&rest, ' '));
	free(w->out);
	free(w->err);
	const char *input = w->input ? w->input : "\n";
	struct cli_host host = {
		.loop = w->loop,
		.in = fmemopen(S(input), strlen(input), "r"),
		.out = open_memstream(&w->out, &w->out_len),
		.err = open_memstream(&w->err, &w->err_len),
		.env = w->env,
		.out_is_terminal = w->terminal,
		.err_is_terminal = w->terminal,
		.columns = 80,
		.rows = 24,
	};
	int code = cli_main(&host, argc, argv);
	(void)fclose(host.in);
	(void)fclose(host.out);
	(void)fclose(host.err);
	return code;
}

#define assert_has(text, part) \
	do { \
		if (!strstr((text), (part))) \
			fail_msg("\"%s\" lacks \"%s\"", (text), (part)); \
	} while (0)
#define assert_lacks(text, part) assert_null(strstr((text), (part)))
