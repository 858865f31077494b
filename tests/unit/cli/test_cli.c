/* Whole commands against a daemon of few words. */
#include "daemon.h"

/* ---- asking ---- */

static void test_ready(void **state)
{
	struct world *w = *state;
	assert_int_equal(skep(w, "ready"), CLI_DONE);
	assert_string_equal(w->out, "NAME      STATE  MESSAGE\npostgres  up\ndocker    up\n");
	w->not_ready = true;
	assert_int_equal(skep(w, "ready"), CLI_FAILED);
	assert_has(w->out, "docker    down   not a manager: docker swarm init\n");
	assert_int_equal(skep(w, "ready -o json"), CLI_FAILED);
	assert_has(w->out, "\"ready\": false");
	assert_int_equal(skep(w, "ready -q"), CLI_FAILED);
	assert_string_equal(w->out, "");
}

static void test_version_and_who(void **state)
{
	struct world *w = *state;
	assert_int_equal(skep(w, "version"), CLI_DONE);
	assert_string_equal(w->out, "skep " SKEP_VERSION "\nskepd 9.8.7\n");
	assert_int_equal(skep(w, "version --client"), CLI_DONE);
	assert_string_equal(w->out, "skep " SKEP_VERSION "\n");
	assert_int_equal(skep(w, "whoami"), CLI_DONE);
	assert_string_equal(w->out, "Name:       unix:root\nRole:       admin\n");
	assert_int_equal(skep(w, "whoami -o yaml"), CLI_DONE);
	assert_string_equal(w->out, "name: \"unix:root\"\nrole: ROLE_ADMIN\nprojectId: \"\"\nproject: \"\"\n");
	assert_int_equal(skep(w, "info -o name"), CLI_DONE);
	assert_string_equal(w->out, "daemon-1\n");
}

static void test_lists_have_pages(void **state)
{
	struct world *w = *state;
	w->projects = 5;
	assert_int_equal(skep(w, "project list -q"), CLI_DONE);
	assert_string_equal(w->out, "p0\np1\np2\np3\np4\n");
	assert_int_equal(w->pages, 3);
	w->projects = 1;
	assert_int_equal(skep(w, "project ls -o json"), CLI_DONE);
	json_t *j = json_loads(w->out, 0, NULL);
	assert_int_equal(json_array_size(j), 1);
	assert_string_equal(json_text(json_array_get(j, 0), "name", ""), "p0");
	json_decref(j);
	w->projects = 0;
	assert_int_equal(skep(w, "project ls -o json"), CLI_DONE);
	assert_string_equal(w->out, "[]\n");
	assert_int_equal(skep(w, "project ls"), CLI_DONE);
	assert_string_equal(w->out, "NAME  STACKS  CREATED  DESCRIPTION\n");
}

static void test_stack_views(void **state)
{
	struct world *w = *state;
	assert_int_equal(skep(w, "stack ps web"), CLI_DONE);
	assert_string_equal(w->out,
		"TASK   ID            NODE    STATE   DESIRED   SINCE  ERROR\n"
		"web.2  abcdefghijkl  node-1  failed  shutdown         task: non-zero exit (3)\n");
	assert_int_equal(skep(w, "stack ps web -o json"), CLI_DONE);
	assert_has(w->out, "\"service\": \"web\"");
	assert_has(w->out, "\"exitCode\": 3");
	assert_int_equal(skep(w, "stack services web"), CLI_DONE);
	assert_string_equal(w->out, "NAME  MODE        REPLICAS  STATE     IMAGE    PORTS  MESSAGE\n"
				    "web   replicated  1/2       degraded  nginx:1\n"
				    "db    global      1/1       running\n");
	assert_int_equal(skep(w, "stack get web"), CLI_DONE);
	assert_has(w->out, "Project:          shop\nName:             web\nStatus:           degraded\n");
	assert_has(w->out, "Release:          7\n");
	assert_has(w->out, "db    global");
	w->terminal = true;
	assert_int_equal(skep(w, "stack services web"), CLI_DONE);
	assert_has(w->out, "\x1b[33mdegraded\x1b[0m");
	assert_int_equal(skep(w, "stack services web --no-color"), CLI_DONE);
	assert_lacks(w->out, "\x1b");
	w->env[3] = "NO_COLOR=1";
	assert_int_equal(skep(w, "stack services web"), CLI_DONE);
	assert_lacks(w->out, "\x1b");
}

static void test_stack_watch(void **state)
{
	struct world *w = *state;
	assert_int_equal(skep(w, "stack watch web"), CLI_DONE);
	assert_string_equal(w->out, "shop/web: degraded\nweb: degraded 1/2\ndb: running 1/1\n"
				    "shop/web: running\nweb: running 2/2\nstack web is gone\n");
	assert_int_equal(skep(w, "stack watch web -o json"), CLI_DONE);
	struct str rest = str_of(w->out);
	for (int i = 0; i < 2; i++) {
		struct str line = str_cut(&rest, '\n');
		json_t *j = json_loadb(line.ptr, line.len, 0, NULL);
		assert_non_null(j);
		json_decref(j);
	}
	assert_int_equal(rest.len, 0);
}

static void test_tokens(void **state)
{
	struct world *w = *state;
	assert_int_equal(skep(w, "token create ci --role deployer --ttl 30d"), CLI_DONE);
	assert_string_equal(w->out, "skep_ci_2_2592000_shop\n");
	assert_has(w->err, "shown this once");
	assert_int_equal(skep(w, "token create ci --role admin -A -q"), CLI_DONE);
	assert_string_equal(w->out, "skep_ci_4_0_\n");
	assert_string_equal(w->err, "");
	assert_int_equal(skep(w, "token create ci"), CLI_USAGE);
	assert_has(w->err, "--role");
	assert_int_equal(skep(w, "token create ci --role deployer --ttl soon"), CLI_USAGE);
	assert_has(w->err, "--ttl soon");
}

/* It has no request id: sent twice it would make two tokens, one of which nobody knows. */
static void test_tokens_are_not_asked_for_twice(void **state)
{
	struct world *w = *state;
	w->env[2] = NULL;
	w->own_project = "mine"; /* asked first, so that the daemon has been reached */
	assert_int_equal(skep(w, "token create ci --role viewer"), CLI_DONE);
	assert_string_equal(w->out, "skep_ci_1_0_mine\n");
	w->leaves_in_token = true;
	assert_int_equal(skep(w, "token create ci --role viewer"), CLI_FAILED);
	assert_has(w->err, "closed the connection");
	assert_int_equal(w->tokens, 2);
}

/* ---- what goes wrong ---- */

static void test_violations_stand_on_lines_of_their_own(void **state)
{
	struct world *w = *state;
	assert_int_equal(skep(w, "project create x"), CLI_FAILED);
	assert_string_equal(w->out, "");
	assert_string_equal(w->err, "skep: the request has 2 errors\n"
				    "  name: lower-case [31mletters\n  description: too long\n");
	assert_int_equal(skep(w, "project create X"), CLI_FAILED); /* what the status says is not said twice */
	assert_string_equal(w->err, "skep: name: must be lower-case letters, digits and hyphens, starting and ending with a "
				    "letter or digit\n");
}

static void test_nobody_there(void **state)
{
	struct world *w = *state;
	char *expected = arena_fmt(w->arena, "skep: cannot reach skepd at unix://%s: no such file or directory. "
					     "Is skepd running? Set --host or SKEP_HOST.\n", w->socket);
	rpc_server_destroy(w->server);
	w->server = NULL;
	(void)unlink(w->socket);
	assert_int_equal(skep(w, "stack ls"), CLI_FAILED);
	assert_string_equal(w->err, expected);
	w->input = "services: {}\n";
	assert_int_equal(skep(w, "stack deploy -c - web"), CLI_FAILED); /* nor is it sent again and again */
	assert_string_equal(w->err, expected);
	assert_int_equal(skep(w, "job watch " JOB_ID), CLI_FAILED);
	assert_string_equal(w->err, expected);
	assert_int_equal(skep(w, "version"), CLI_FAILED);
	assert_string_equal(w->out, "skep " SKEP_VERSION "\n");
	assert_int_equal(skep(w, "-H nonsense ready"), CLI_USAGE);
	assert_has(w->err, "\"nonsense\" is no address");
	assert_int_equal(skep(w, "-H host:70000 ready"), CLI_USAGE);
	assert_int_equal(skep(w, "-H unix:relative ready"), CLI_USAGE);
	assert_int_equal(skep(w, "-H nonsense context ls"), CLI_DONE);
}

static void test_tokens_that_are_wrong(void **state)
{
	struct world *w = *state;
	rpc_server_destroy(w->server);
	w->server = rpc_server_create(&(struct rpc_server_options){.loop = w->loop, .methods = daemon_methods,
		.n_methods = sizeof(daemon_methods) / sizeof(*daemon_methods), .context = w, .no_peer_admin = true});
	struct status st = rpc_server_listen_unix(w->server, w->socket, 0600);
	assert_int_equal(st.code, ST_OK);
	assert_int_equal(skep(w, "whoami"), CLI_FAILED);
	assert_has(w->err, "Give a token: --token, SKEP_TOKEN");
	assert_int_equal(skep(w, "whoami --token nix"), CLI_FAILED);
	assert_has(w->err, "--token, SKEP_TOKEN or the context");
	assert_lacks(w->err, "nix");
}

static void test_usage(void **state)
{
	struct world *w = *state;
	assert_int_equal(skep(w, "stack depoly"), CLI_USAGE);
	assert_string_equal(w->err, "skep: unknown command \"stack depoly\"; did you mean \"stack deploy\"?\n"
				    "See: skep stack -h\n");
	assert_int_equal(skep(w, "stack"), CLI_USAGE);
	assert_has(w->err, "Usage: skep stack COMMAND");
	assert_int_equal(skep(w, "stack -h"), CLI_DONE);
	assert_has(w->out, "Usage: skep stack COMMAND");
	assert_int_equal(skep(w, "stack scale web web"), CLI_USAGE);
	assert_has(w->err, "expected SERVICE=NUMBER");
	assert_int_equal(skep(w, "stack scale web web=99999999999"), CLI_USAGE);
	assert_int_equal(skep(w, "job ls --limit many"), CLI_USAGE);
	assert_int_equal(skep(w, "stack deploy --wait-timeout x web"), CLI_USAGE);
	assert_has(w->err, "--wait-timeout x: expected a time");
	w->env[2] = NULL; /* no project, and the caller's token has none */
	assert_int_equal(skep(w, "stack get web"), CLI_USAGE);
	assert_has(w->err, "which project?");
}

static void test_a_full_disk(void **state)
{
	struct world *w = *state;
	struct cli_host host = {.loop = w->loop, .in = stdin, .out = fopen("/dev/full", "we"),
		.err = open_memstream(&w->err, &w->err_len), .env = w->env};
	const char *argv[] = {"skep", "version", "--client"};
	assert_int_equal(cli_main(&host, 3, argv), CLI_FAILED);
	(void)fclose(host.out);
	(void)fclose(host.err);
	assert_has(w->err, "skep: write: No space left on device");
}

/* ---- contexts ---- */

static void test_contexts(void **state)
{
	struct world *w = *state;
	w->env[0] = w->config;
	w->env[1] = NULL;
	assert_int_equal(skep(w, "context use prod"), CLI_FAILED);
	assert_has(w->err, "context \"prod\" does not exist");
	assert_int_equal(skep(w, arena_fmt(w->arena, "context set here --host unix://%s -p blog", w->socket)), CLI_DONE);
	assert_int_equal(skep(w, "context set prod --host prod:1 --token secret"), CLI_DONE);
	assert_int_equal(skep(w, "context ls"), CLI_DONE);
	assert_has(w->out, "*        here");
	assert_has(w->out, "         prod  prod:1");
	assert_lacks(w->out, "secret");
	assert_int_equal(skep(w, "context ls -o json"), CLI_DONE);
	assert_lacks(w->out, "secret");
	assert_int_equal(skep(w, "stack get web -o json"), CLI_DONE); /* by the first one */
	assert_has(w->out, "\"project\": \"blog\"");
	assert_int_equal(skep(w, "context use prod"), CLI_DONE);
	assert_int_equal(skep(w, "--context here version"), CLI_DONE);
	assert_int_equal(skep(w, "context rm prod"), CLI_DONE);
	assert_int_equal(skep(w, "context ls -q"), CLI_DONE);
	assert_string_equal(w->out, "here\n");
	assert_int_equal(skep(w, "--context nix version"), CLI_FAILED);
	assert_has(w->err, "context \"nix\"");
}

/* ---- completion of names ---- */

static void test_names_are_completed(void **state)
{
	struct world *w = *state;
	w->projects = 2;
	assert_int_equal(skep(w, "__complete -- project get p"), CLI_DONE);
	assert_string_equal(w->out, "p0\t\np1\t\n");
	assert_int_equal(skep(w, "__complete -- stack ls --project=p1"), CLI_DONE);
	assert_string_equal(w->out, "--project=p1\t\n");
	assert_int_equal(skep(w, "__complete -- stack deploy -c x"), CLI_DONE);
	assert_string_equal(w->out, ":files\n");
	assert_int_equal(skep(w, "__complete -- stack ps w"), CLI_DONE); /* the daemon knows no such method: nothing is said */
	assert_string_equal(w->out, "");
	assert_string_equal(w->err, "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ready),
		T(test_version_and_who),
		T(test_lists_have_pages),
		T(test_stack_views),
		T(test_stack_watch),
		T(test_tokens),
		T(test_tokens_are_not_asked_for_twice),
		T(test_violations_stand_on_lines_of_their_own),
		T(test_nobody_there),
		T(test_tokens_that_are_wrong),
		T(test_usage),
		T(test_a_full_disk),
		T(test_contexts),
		T(test_names_are_completed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
