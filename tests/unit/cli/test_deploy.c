/* Deploying: what is sent, what is shown, and that nothing short of its end ends the wait. */
#include "daemon.h"

static const struct scene happy[] = {
	{ACT_EVENT, "job.started", NULL, "running", NULL, 0, 0, 0, 0},
	{ACT_EVENT, "job.step", NULL, NULL, "converge", 60, 0, 0, 0},
	{ACT_EVENT, "service.state", "web", "converging", "pulling", 60, 0, 2, 0},
	{ACT_EVENT, "service.state", "web", "running", NULL, 90, 2, 2, 0},
	{ACT_EVENT, "job.ended", NULL, "succeeded", NULL, 100, 0, 0, 0},
	{ACT_END, NULL, NULL, NULL, NULL, 0, 0, 0, 0},
	{0},
};
static const char happy_lines[] = "  0.0s  started\n  1.0s  converge (60%)\n  2.0s  web: converging 0/2: pulling\n"
				  "  3.0s  web: running 2/2\n";

static int deploy(struct world *w, const struct scene *scenes, const char *line)
{
	w->scenes = scenes;
	w->scene = 0;
	w->input = "services: {web: {image: nginx}}\n";
	return skep(w, line);
}

/* ---- what is shown ---- */

static void test_lines_when_piped(void **state)
{
	struct world *w = *state;
	assert_int_equal(deploy(w, happy, "stack deploy -c - web"), CLI_DONE);
	assert_string_equal(w->out, arena_fmt(w->arena, "%sdeploy web: succeeded after 4.0s, release 3\n", happy_lines));
	assert_string_equal(w->err, "warning: service web: ports are [31mignored\n");
	assert_string_equal(w->deploy->name, "web");
	assert_string_equal(w->deploy->project, "shop");
	assert_int_equal(strlen(w->deploy->request_id), 36);
	assert_string_equal(w->deploy->compose[0]->name, "-");
}

static void test_drawn_in_place_on_a_terminal(void **state)
{
	struct world *w = *state;
	w->terminal = true;
	assert_int_equal(deploy(w, happy, "stack deploy -c - web"), CLI_DONE);
	assert_lacks(w->out, "started\n");
	assert_has(w->out, "deploy web  \x1b[32msucceeded\x1b[0m");
	assert_has(w->out, "  release 3\x1b[K\n");
	assert_has(w->out, "\x1b[K\n");
	assert_has(w->err, "\x1b[33mwarning:\x1b[0m service web");
	static const struct scene slow[] = {
		{ACT_EVENT, "service.state", "api", "converging", "pulling", 60, 0, 2, 0},
		{ACT_LEAVE, NULL, NULL, NULL, NULL, 0, 0, 0, 250},
		{ACT_END, NULL, NULL, NULL, NULL, 0, 0, 0, 0},
		{0},
	};
	assert_int_equal(deploy(w, slow, "stack deploy -c - web"), CLI_DONE);
	assert_has(w->out, "\r\x1b[2A"); /* up over the header and the one service */
	assert_has(w->out, "connection lost");
	assert_lacks(w->err, "trying again"); /* which would break the picture */
	w->env[3] = "TERM=dumb";
	assert_int_equal(deploy(w, happy, "stack deploy -c - web"), CLI_DONE);
	assert_lacks(w->out, "\x1b");
	assert_has(w->out, happy_lines);
}

static void test_other_formats(void **state)
{
	struct world *w = *state;
	assert_int_equal(deploy(w, happy, "stack deploy -q -c - web"), CLI_DONE);
	assert_string_equal(w->out, JOB_ID "\n");
	assert_int_equal(deploy(w, happy, "stack deploy -o json -c - web"), CLI_DONE);
	json_t *j = json_loads(w->out, 0, NULL);
	assert_string_equal(json_text(j, "state", ""), "JOB_STATE_SUCCEEDED");
	assert_string_equal(json_text(j, "release", ""), "3");
	json_decref(j);
	w->job.state = SKEP__V1__JOB_STATE__JOB_STATE_RUNNING; /* as a job that is watched is */
	assert_int_equal(deploy(w, happy, "stack deploy --detach -c - web"), CLI_DONE);
	assert_has(w->out, "Follow it with: skep job watch " JOB_ID);
	assert_int_equal(deploy(w, happy, "stack deploy -dq -c - web"), CLI_DONE);
	assert_string_equal(w->out, JOB_ID "\n");
	assert_int_equal(w->watches, 2);
}

static void test_job_watch_in_json(void **state)
{
	struct world *w = *state;
	size_t lines = 0;
	w->terminal = true; /* which is not drawn on then */
	assert_int_equal(deploy(w, happy, "job watch " JOB_ID " -o json"), CLI_DONE);
	struct str rest = str_of(w->out);
	while (rest.len) {
		struct str line = str_cut(&rest, '\n');
		json_t *j = json_loadb(line.ptr, line.len, 0, NULL);
		assert_non_null(j);
		if (lines++ < 5)
			assert_int_equal(strtol(json_text(j, "sequence", ""), NULL, 10), (long)lines);
		else
			assert_string_equal(json_text(j, "id", ""), JOB_ID);
		json_decref(j);
	}
	assert_int_equal(lines, 6);
}

static void test_failure_tells_the_whole_story(void **state)
{
	struct world *w = *state;
	w->job.state = SKEP__V1__JOB_STATE__JOB_STATE_FAILED;
	w->job.error = S("service web: task web.1 on node-1 exited with 3\n  last lines:\n  | boom\x1b[2J\nrolled back to 2");
	assert_int_equal(deploy(w, happy, "stack deploy -c - web"), CLI_FAILED);
	assert_has(w->out, "deploy web: failed after 4.0s\n");
	assert_has(w->err, "skep: deploy web failed: service web: task web.1 on node-1 exited with 3\n"
			   "  last lines:\n  | boom [2J\nrolled back to 2\n");
	assert_int_equal(deploy(w, happy, "stack deploy -q -c - web"), CLI_FAILED);
	assert_string_equal(w->out, JOB_ID "\n");
	assert_has(w->err, "boom");
	w->job.state = SKEP__V1__JOB_STATE__JOB_STATE_CANCELLED;
	w->job.error = S("");
	assert_int_equal(deploy(w, happy, "stack deploy -c - web"), CLI_FAILED);
	assert_has(w->err, "skep: deploy web was cancelled\n");
}

static void test_refused(void **state)
{
	struct world *w = *state;
	w->refuses = true;
	assert_int_equal(deploy(w, happy, "stack deploy -c - web"), CLI_FAILED);
	assert_string_equal(w->err, "skep: the Compose text has 2 errors\n"
				    "  compose.yml:3:5: services.web.tty must be a boolean\n  compose[0]: no services\n");
}

/* ---- connections that are lost ---- */

static void test_watch_goes_on_after_a_restart(void **state)
{
	static const struct scene scenes[] = {
		{ACT_EVENT, "job.started", NULL, "running", NULL, 0, 0, 0, 0},
		{ACT_EVENT, "job.step", NULL, NULL, "load", 10, 0, 0, 0},
		{ACT_LEAVE, NULL, NULL, NULL, NULL, 0, 0, 0, 400},
		{ACT_EVENT, "job.resumed", NULL, NULL, NULL, 0, 0, 0, 0},
		{ACT_ENDS_WITHOUT_JOB, NULL, NULL, NULL, NULL, 0, 0, 0, 0},
		{ACT_EVENT, "job.step", NULL, NULL, "converge", 50, 0, 0, 0},
		{ACT_END, NULL, NULL, NULL, NULL, 0, 0, 0, 0},
		{0},
	};
	struct world *w = *state;
	assert_int_equal(deploy(w, scenes, "stack deploy -c - web"), CLI_DONE);
	assert_has(w->out, "load (10%)\n");
	assert_has(w->out, "resumed after an interruption\n");
	assert_has(w->out, "converge (50%)\n");
	assert_has(w->err, "skep: connection lost (");
	assert_has(w->err, "); trying again\n");
	assert_int_equal(w->watches, 3);
	assert_int_equal(w->after[0], 0);
	assert_int_equal(w->after[1], 2);
	assert_int_equal(w->after[2], 4);
}

static void test_what_cannot_come_back_ends_the_watch(void **state)
{
	static const struct scene scenes[] = {
		{ACT_EVENT, "job.started", NULL, "running", NULL, 0, 0, 0, 0},
		{ACT_FAIL, NULL, NULL, NULL, NULL, 0, 0, 0, 0},
		{0},
	};
	struct world *w = *state;
	assert_int_equal(deploy(w, scenes, "stack deploy -c - web"), CLI_FAILED);
	assert_has(w->err, "skep: job \"x\" does not exist\n");
	assert_int_equal(w->watches, 1);
}

static void test_deploy_is_sent_again_with_the_same_id(void **state)
{
	struct world *w = *state;
	w->leaves_in_deploy = true;
	assert_int_equal(deploy(w, happy, "stack deploy -c - web"), CLI_DONE);
	assert_int_equal(w->deploys, 2);
	assert_string_equal(w->request_ids[0], w->request_ids[1]);
	assert_has(w->err, "sending it again");
	assert_int_equal(deploy(w, happy, "stack deploy -c - --request-id mine web"), CLI_DONE);
	assert_string_equal(w->request_ids[2], "mine");
}

/* ---- leaving early ---- */

static void test_interrupt_detaches(void **state)
{
	static const struct scene scenes[] = {
		{ACT_EVENT, "job.started", NULL, "running", NULL, 0, 0, 0, 0},
		{ACT_INTERRUPT, NULL, NULL, NULL, NULL, 0, 0, 0, 0},
		{ACT_HANG, NULL, NULL, NULL, NULL, 0, 0, 0, 0},
		{0},
	};
	struct world *w = *state;
	sigset_t now;
	(void)signal(SIGINT, SIG_DFL); /* whatever started this test */
	assert_int_equal(deploy(w, scenes, "stack deploy -c - web"), CLI_INTERRUPTED);
	assert_has(w->err, "detached; the job goes on. Come back with: skep job watch " JOB_ID
			   "; stop it with: skep job cancel " JOB_ID "\n");
	(void)sigprocmask(SIG_BLOCK, NULL, &now);
	assert_int_equal(sigismember(&now, SIGINT), 0); /* as it was before */
	(void)signal(SIGINT, SIG_IGN); /* as a shell does for what runs in the background */
	assert_int_equal(deploy(w, scenes, "stack deploy -c - --wait-timeout 200ms web"), CLI_FAILED);
	assert_has(w->err, "not done after");
	(void)signal(SIGINT, SIG_DFL);
}

static void test_wait_timeout(void **state)
{
	static const struct scene scenes[] = {
		{ACT_EVENT, "job.started", NULL, "running", NULL, 0, 0, 0, 0},
		{ACT_HANG, NULL, NULL, NULL, NULL, 0, 0, 0, 0},
		{0},
	};
	struct world *w = *state;
	assert_int_equal(deploy(w, scenes, "stack deploy -c - --wait-timeout 150ms web"), CLI_FAILED);
	assert_has(w->err, "not done after 0.1s; the job goes on. Come back with: skep job watch " JOB_ID);
	/* also while the daemon is away */
	static const struct scene gone[] = {
		{ACT_EVENT, "job.started", NULL, "running", NULL, 0, 0, 0, 0},
		{ACT_LEAVE, NULL, NULL, NULL, NULL, 0, 0, 0, 60000},
		{0},
	};
	assert_int_equal(deploy(w, gone, "stack deploy -c - --wait-timeout 300ms web"), CLI_FAILED);
	assert_has(w->err, "not done after 0.3s");
}

/* ---- what is sent ---- */

static const char *variable(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->deploy->n_variables; i++)
		if (strcmp(w->deploy->variables[i]->key, name) == 0)
			return w->deploy->variables[i]->value;
	return NULL;
}

static const char *file(const struct world *w, const char *path)
{
	for (size_t i = 0; i < w->deploy->n_files; i++)
		if (strcmp(w->deploy->files[i]->path, path) == 0)
			return arena_strndup(w->arena, (const char *)w->deploy->files[i]->content.data,
				w->deploy->files[i]->content.len);
	return NULL;
}

static void test_files_and_variables_travel(void **state)
{
	struct world *w = *state;
	write_file("compose.yaml", "services:\n  web:\n    image: nginx:${TAG:-1}\n    env_file: [\"./${APP}.env\"]\n"
				   "    environment: [BARE, UNSET]\nsecrets:\n  key: {file: key}\n");
	write_file("app.env", "A=${INNER}\nFROM_ENV\n");
	write_file("key", "s3cret");
	write_file(".env", "APP=app\nTAG=dotenv\nUNUSED=1\nINNER='in ner'\n");
	w->env[3] = "TAG=environment";
	w->env[4] = "BARE=b";
	w->env[5] = "FROM_ENV=f";
	w->env[6] = "HOME=/root";
	w->scenes = happy;
	assert_int_equal(skep(w, "stack deploy -e GIVEN=x=y -e HOME -d web"), CLI_DONE);
	assert_string_equal(w->deploy->compose[0]->name, "compose.yaml");
	assert_string_equal(variable(w, "TAG"), "environment"); /* before .env's */
	assert_null(variable(w, "APP")); /* .env goes along as it is */
	assert_string_equal(file(w, ".env"), "APP=app\nTAG=dotenv\nUNUSED=1\nINNER='in ner'\n");
	assert_string_equal(variable(w, "BARE"), "b");
	assert_string_equal(variable(w, "FROM_ENV"), "f");
	assert_string_equal(variable(w, "GIVEN"), "x=y");
	assert_string_equal(variable(w, "HOME"), "/root");
	assert_null(variable(w, "UNUSED"));
	assert_null(variable(w, "UNSET"));
	assert_null(variable(w, "SKEP_PROJECT"));
	assert_string_equal(file(w, "./app.env"), "A=${INNER}\nFROM_ENV\n");
	assert_string_equal(file(w, "key"), "s3cret");
	assert_int_equal(w->deploy->n_files, 3);
	write_file("my.env", "APP=app\nTAG=mine\n");
	w->env[3] = "X=";
	assert_int_equal(skep(w, "stack deploy --env-file my.env -d --on-failure pause --namespace ns web"), CLI_DONE);
	assert_string_equal(file(w, ".env"), "APP=app\nTAG=mine\n\n"); /* stands for the other one */
	assert_int_equal(w->deploy->on_failure, SKEP__V1__ON_FAILURE__ON_FAILURE_PAUSE);
	assert_string_equal(w->deploy->namespace_, "ns");
	assert_int_equal(skep(w, "stack deploy --env-file my.env -e TAG=option -d web"), CLI_DONE);
	assert_string_equal(variable(w, "TAG"), "option");
}

/* What is included and extended is read as well, and what that names in turn. */
static void test_included_files_travel(void **state)
{
	struct world *w = *state;
	write_file("compose.yaml", "name: shop\ninclude: [db/compose.yml]\nservices:\n  web:\n    image: x\n    profiles: [p]\n"
				   "    extends: {file: base.yml, service: b}\n");
	assert_int_equal(mkdir("db", 0700), 0);
	write_file("db/compose.yml", "services: {db: {image: \"${DB}\", env_file: app.env}}\n");
	write_file("db/app.env", "A=${FROM_APP}\n");
	write_file("db/.env", "DB=${FROM_DOTENV}\n");
	write_file("base.yml", "services: {b: {image: y, environment: [INHERITED]}}\n");
	w->env[3] = "FROM_APP=1";
	w->env[4] = "FROM_DOTENV=2";
	w->env[5] = "INHERITED=3";
	w->scenes = happy;
	assert_int_equal(skep(w, "stack deploy --profile p --profile q -d"), CLI_DONE);
	assert_string_equal(w->deploy->name, "shop");
	assert_int_equal(w->deploy->n_files, 4);
	assert_string_equal(file(w, "db/app.env"), "A=${FROM_APP}\n");
	assert_string_equal(file(w, "db/.env"), "DB=${FROM_DOTENV}\n");
	assert_non_null(file(w, "db/compose.yml"));
	assert_non_null(file(w, "base.yml"));
	assert_string_equal(variable(w, "FROM_APP"), "1");
	assert_string_equal(variable(w, "FROM_DOTENV"), "2");
	assert_string_equal(variable(w, "INHERITED"), "3");
	assert_string_equal(variable(w, "COMPOSE_PROFILES"), "p,q");
	write_file("db/compose.yml", "services: {db: {image: x, env_file: nix.env}}\n");
	assert_int_equal(skep(w, "stack deploy -d"), CLI_FAILED);
	assert_has(w->err, "skep: db/compose.yml:1:37: env_file ./db/nix.env: No such file");
	write_file("compose.yaml", "services: {web: {image: x}}\n");
	assert_int_equal(skep(w, "stack deploy -d"), CLI_USAGE);
	assert_has(w->err, "give the stack's NAME, or write name:");
	write_file(".env", "A=1\nB='\n");
	assert_int_equal(skep(w, "stack deploy --env-file .env -d web"), CLI_FAILED);
	assert_has(w->err, ".env: line 2: the closing quote is missing");
	assert_int_equal(remove("db/compose.yml") | remove("db/app.env") | remove("db/.env") | remove("base.yml"), 0);
	assert_int_equal(rmdir("db"), 0);
}

/* Relative paths are the first file's folder's, wherever one stands. */
static void test_paths_are_seen_from_the_first_file(void **state)
{
	struct world *w = *state;
	write_file("compose.yaml", "services: {web: {image: nginx}}\n");
	write_file("more.yml", "configs: {c: {file: ./key}}\n");
	write_file("key", "k");
	w->scenes = happy;
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(skep(w, arena_fmt(w->arena, "stack deploy -d -c %s/compose.yaml -c %s/more.yml web", w->dir, w->dir)),
		CLI_DONE);
	assert_int_equal(w->deploy->n_compose, 2);
	assert_string_equal(file(w, "./key"), "k");
	assert_int_equal(chdir(w->dir), 0);
}

static void test_what_is_not_there(void **state)
{
	struct world *w = *state;
	w->scenes = happy;
	assert_int_equal(skep(w, "stack deploy web"), CLI_USAGE);
	assert_has(w->err, "no compose.yaml or docker-compose.yml here");
	assert_int_equal(skep(w, "stack deploy -c nix.yml web"), CLI_FAILED);
	assert_has(w->err, "skep: nix.yml: No such file or directory\n");
	assert_int_equal(skep(w, "stack deploy -c . web"), CLI_FAILED);
	assert_has(w->err, ". is a directory");
	assert_int_equal(skep(w, "stack deploy -c - -c - web"), CLI_USAGE);
	assert_has(w->err, "one stdin");
	assert_int_equal(skep(w, "stack deploy -c - --env-file nix.env web"), CLI_FAILED);
	assert_has(w->err, "nix.env: No such file");
	write_file("compose.yaml", "services:\n  web:\n    image: x\n    env_file:\n      - a.env\n      - path: b.env\n"
				   "        required: false\nsecrets:\n  s:\n    file: nix\n");
	assert_int_equal(skep(w, "stack deploy web"), CLI_FAILED);
	assert_has(w->err, "skep: compose.yaml:5:9: env_file ./a.env: No such file or directory\n");
	assert_has(w->err, "secret ./nix: No such file or directory\n"); /* all at once */
	assert_lacks(w->err, "b.env");
	write_file("compose.yaml", "services:\n  web:\n    image: x\n    env_file: [{path: ., required: false}]\n");
	assert_int_equal(skep(w, "stack deploy web"), CLI_FAILED); /* optional, but there, and no file */
	assert_has(w->err, "is a directory");
	write_file("compose.yaml", "services:\n  web: [\n");
	assert_int_equal(skep(w, "stack deploy web"), CLI_FAILED);
	assert_has(w->err, "skep: the Compose text has 1 error\n  compose.yaml:");
	assert_int_equal(w->deploys, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lines_when_piped),
		T(test_drawn_in_place_on_a_terminal),
		T(test_other_formats),
		T(test_job_watch_in_json),
		T(test_failure_tells_the_whole_story),
		T(test_refused),
		T(test_watch_goes_on_after_a_restart),
		T(test_what_cannot_come_back_ends_the_watch),
		T(test_deploy_is_sent_again_with_the_same_id),
		T(test_interrupt_detaches),
		T(test_wait_timeout),
		T(test_files_and_variables_travel),
		T(test_included_files_travel),
		T(test_paths_are_seen_from_the_first_file),
		T(test_what_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
