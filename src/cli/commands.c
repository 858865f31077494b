#include "cli/commands.h"

#define WAIT_OPTIONS                                                                             \
	{"detach", 'd', NULL, "do not wait for the job's end", NULL, NAMES_NONE, false},         \
	{"wait-timeout", 0, "TIME", "how long to wait: 90s, 10m (default), 1h; 0 = for ever", NULL, NAMES_NONE, false}
#define RESOLVE_OPTION                                                                                              \
	{"resolve-image", 0, "WHEN", "ask registries for digests: always (default), changed (images named anew) or never", \
		"always changed never", NAMES_NONE, false}
#define NAMESPACE_OPTION                                                                                             \
	{"namespace", 0, "NAME", "name in the Engine (default PROJECT-NAME); fixed by the first deploy", NULL, NAMES_NONE, \
		false}
#define SHOW_OPTIONS                                                                                                         \
	{"show-values", 0, NULL, "print values of variables and contents instead of (sensitive)", NULL, NAMES_NONE, false}, \
	{"detailed-exitcode", 0, NULL, "exit with 2 when there is a difference", NULL, NAMES_NONE, false}
#define FAILURE_OPTIONS                                                                          \
	{"on-failure", 0, "WHAT", "rollback (default) to the last good release, pause as it is, or continue with the rest", \
		"rollback pause continue", NAMES_NONE, false},                                   \
	{"stall", 0, "TIME", "no progress for so long is a failure: 90s, 10m (default: skepd's, 60s)", NULL, NAMES_NONE, false}
#define ALL_PROJECTS {"all-projects", 'A', NULL, "of every project you can see", NULL, NAMES_NONE, false}
#define LIMIT        {"limit", 'n', "N", "at most so many, newest first (default 50; 0 = all)", NULL, NAMES_NONE, false}

static const struct cli_option global_options[] = {
	{"host", 'H', "ADDRESS", "skepd's address: unix:///path, host:port or tls://host:port (SKEP_HOST)", NULL, NAMES_NONE, false},
	{"token", 0, "TOKEN", "bearer token (SKEP_TOKEN)", NULL, NAMES_NONE, false},
	{"ca", 0, "FILE", "who signs the daemon's certificate, for tls:// (SKEP_CA; default: the system's)", NULL, NAMES_NONE, false},
	{"certificate", 0, "FILE", "client certificate, for tls:// (SKEP_CERTIFICATE)", NULL, NAMES_NONE, false},
	{"key", 0, "FILE", "its key, where it stands in a file of its own (SKEP_KEY)", NULL, NAMES_NONE, false},
	{"project", 'p', "NAME", "the project it is about (SKEP_PROJECT)", NULL, NAMES_PROJECT, false},
	{"context", 0, "NAME", "a context of the context file (SKEP_CONTEXT)", NULL, NAMES_CONTEXT, false},
	{"output", 'o', "FORMAT", "table (default), json, yaml or name", "table json yaml name", NAMES_NONE, false},
	{"quiet", 'q', NULL, "only names or ids; no progress", NULL, NAMES_NONE, false},
	{"no-color", 0, NULL, "no colours (NO_COLOR)", NULL, NAMES_NONE, false},
	{"help", 'h', NULL, "this help", NULL, NAMES_NONE, false},
	{0},
};

static const struct cli_option project_update_options[] = {
	{"description", 0, "TEXT", "what it is for", NULL, NAMES_NONE, false},
	{"weight", 0, "N", "its share of the places where jobs run, 1 to 100 (administrators)", NULL, NAMES_NONE, false},
	{"max-running", 0, "N", "jobs at a time; -1 = no number of its own (administrators)", NULL, NAMES_NONE, false},
	{"drift-policy", 0, "WHAT", "report or repair what somebody changed by hand", "report repair", NAMES_NONE, false},
	{0},
};
static const struct cli_option project_create_options[] = {
	{"description", 0, "TEXT", "what it is for", NULL, NAMES_NONE, false},
	{0},
};
#define SOURCE_OPTIONS                                                                                       \
	{"compose-file", 'c', "FILE", "a Compose file; - is stdin; later ones win (default: compose.yaml here)", \
		NULL, NAMES_FILE, true},                                                                     \
	{"env", 'e', "KEY=VALUE", "a variable for ${KEY}; KEY alone takes it from the environment", NULL,        \
		NAMES_NONE, true},                                                                           \
	{"env-file", 0, "FILE", "variables from a file instead of .env beside the first Compose file", NULL,     \
		NAMES_FILE, true},                                                                           \
	{"profile", 0, "NAME", "run the services of this profile too; * = all (COMPOSE_PROFILES)", NULL,         \
		NAMES_NONE, true}

static const struct cli_option deploy_options[] = {
	SOURCE_OPTIONS,
	NAMESPACE_OPTION,
	FAILURE_OPTIONS,
	RESOLVE_OPTION,
	{"plan", 0, "PLAN", "do what was planned or nothing: a file of `plan --out`, or a fingerprint", NULL, NAMES_FILE, false},
	{"request-id", 0, "ID", "the same id within 24 h starts no second job (default: a new one)", NULL, NAMES_NONE, false},
	WAIT_OPTIONS,
	{0},
};
static const struct cli_option rollback_options[] = {
	{"to", 0, "RELEASE", "its number (default: the last good one before what is there now)", NULL, NAMES_NONE, false},
	FAILURE_OPTIONS,
	{"request-id", 0, "ID", "the same id within 24 h starts no second job (default: a new one)", NULL, NAMES_NONE, false},
	WAIT_OPTIONS,
	{0},
};
static const struct cli_option compose_options[] = {
	SOURCE_OPTIONS,
	{"compat", 0, "WITH", "the rules and quirks of docker instead of the Compose specification's", "docker",
		NAMES_NONE, false},
	{0},
};
static const struct cli_option adopt_options[] = {
	{"namespace", 0, "NAME", "the stack's name in `docker stack ls` (default: NAME)", NULL, NAMES_NONE, false},
	{"request-id", 0, "ID", "the same id within 24 h starts no second job (default: a new one)", NULL, NAMES_NONE, false},
	WAIT_OPTIONS,
	{0},
};
static const struct cli_option export_options[] = {
	{"source", 0, NULL, "what it was deployed from, instead of a text made from what runs", NULL, NAMES_NONE, false},
	{"dir", 0, "DIR", "write the source's files and variables (.env) there", NULL, NAMES_FILE, false},
	{0},
};
static const struct cli_option plan_options[] = {
	SOURCE_OPTIONS,
	NAMESPACE_OPTION,
	RESOLVE_OPTION,
	{"out", 0, "FILE", "write the plan's fingerprint there, for `stack deploy --plan FILE`", NULL, NAMES_FILE, false},
	SHOW_OPTIONS,
	{0},
};
static const struct cli_option diff_options[] = {SHOW_OPTIONS, {0}};
static const struct cli_option wait_options[] = {WAIT_OPTIONS, {0}};
static const struct cli_option stack_ls_options[] = {ALL_PROJECTS, {0}};
static const struct cli_option releases_options[] = {LIMIT, {0}};
#define JOB_KINDS_WORDS                                                                              \
	"deploy update scale restart remove rollback build renew_certificate publish_routes housekeeping adopt"
static const struct cli_option job_ls_options[] = {
	{"stack", 's', "NAME", "of this stack", NULL, NAMES_STACK, false},
	{"state", 0, "STATE", "in this state: pending, running, succeeded, failed, cancelled",
		"pending running succeeded failed cancelled", NAMES_NONE, true},
	{"kind", 0, "KIND", "of this kind: deploy, update, scale, restart, …", JOB_KINDS_WORDS, NAMES_NONE, true},
	{"since", 0, "TIME", "made then or later: 10m, 2h, or 2026-03-01T12:00:00Z", NULL, NAMES_NONE, false},
	{"until", 0, "TIME", "made before", NULL, NAMES_NONE, false},
	ALL_PROJECTS,
	LIMIT,
	{0},
};
#define JOB_KIND(help) {"kind", 0, "KIND", help, JOB_KINDS_WORDS, NAMES_NONE, false}
static const struct cli_option job_retry_options[] = {
	{"failed", 0, NULL, "the last job of each stack, if it failed, in place of an ID", NULL, NAMES_NONE, false},
	{"stack", 's', "NAME", "with --failed: only of this stack", NULL, NAMES_STACK, false},
	JOB_KIND("with --failed: only of this kind"),
	WAIT_OPTIONS,
	{0},
};
static const struct cli_option job_stats_options[] = {
	ALL_PROJECTS,
	{"limit", 'n', "N", "tell at most so many waiting jobs, and running ones (default 50, at most 500)", NULL, NAMES_NONE, false},
	{0},
};
static const struct cli_option job_pause_options[] = {
	JOB_KIND("of this kind, in every project, in place of a project"),
	{"reason", 0, "TEXT", "why; whoever asks why a job waits is told", NULL, NAMES_NONE, false},
	{0},
};
static const struct cli_option job_resume_options[] = {
	JOB_KIND("of this kind, in every project, in place of a project"),
	{0},
};
static const struct cli_option job_watch_options[] = {
	{"wait-timeout", 0, "TIME", "how long to watch: 90s, 10m, 1h (default: to its end)", NULL, NAMES_NONE, false},
	{0},
};
#define SCHEDULE_OPTIONS                                                                                                  \
	{"cron", 0, "WHEN", "minute hour day-of-month month day-of-week, or @hourly, @daily, @weekly …", NULL, NAMES_NONE, false}, \
	{"time-zone", 0, "NAME", "as Europe/Berlin (default UTC)", NULL, NAMES_NONE, false},                             \
	{"jitter", 0, "TIME", "begin up to so much later: 90s, 10m (default 0)", NULL, NAMES_NONE, false},               \
	{"missed", 0, "WHAT", "when no daemon was there: skip (default), or run-once", "skip run-once", NAMES_NONE, false}
static const struct cli_option schedule_create_options[] = {
	SCHEDULE_OPTIONS,
	{"request-id", 0, "ID", "the same id within 24 h makes no second one (default: a new one)", NULL, NAMES_NONE, false},
	{0},
};
static const struct cli_option schedule_update_options[] = {SCHEDULE_OPTIONS, {0}};
static const struct cli_option top_options[] = {
	ALL_PROJECTS,
	{"once", 0, NULL, "print it once", NULL, NAMES_NONE, false},
	{"interval", 'i', "TIME", "how often: 500ms to 1h (default 1s)", NULL, NAMES_NONE, false},
	{0},
};
static const struct cli_option events_options[] = {
	{"since", 0, "TIME", "from then on: 10m, 2h, or 2026-03-01T12:00:00Z (default 1h; with -f: now)", NULL, NAMES_NONE, false},
	{"follow", 'f', NULL, "go on with what happens from now on, until Ctrl-C", NULL, NAMES_NONE, false},
	{"stack", 's', "NAME", "of this stack", NULL, NAMES_STACK, false},
	{"kind", 0, "KIND", "of this kind: job.ended, service.state …; job means all that begin so", NULL, NAMES_NONE, true},
	{"after", 0, "TOKEN", "from behind this event on: `token` of -o json", NULL, NAMES_NONE, false},
	ALL_PROJECTS,
	{0},
};
static const struct cli_option token_create_options[] = {
	{"role", 0, "ROLE", "viewer, deployer, owner or admin", "viewer deployer owner admin", NAMES_NONE, false},
	{"ttl", 0, "TIME", "how long it is good for: 12h, 30d (default 90d)", NULL, NAMES_NONE, false},
	{"all-projects", 'A', NULL, "for every project (administrators only)", NULL, NAMES_NONE, false},
	{0},
};
static const struct cli_option login_options[] = {
	{"username", 'u', "NAME", "who pulls", NULL, NAMES_NONE, false},
	{"no-verify", 0, NULL, "do not ask the registry whether it takes the password", NULL, NAMES_NONE, false},
	{0},
};
static const struct cli_option version_options[] = {
	{"client", 0, NULL, "only this program's; no daemon is asked", NULL, NAMES_NONE, false},
	{0},
};

static const struct cli_command commands[] = {
	{.path = "project create", .args = "NAME", .min_args = 1, .max_args = 1, .options = project_create_options,
		.help = "Make a project",
		.about = "A project is a tenant: its stacks, tokens and limits are apart from all others'. Only administrators make projects.",
		.example = "skep project create shop --description \"the web shop\"", .run = cmd_project_create},
	{.path = "project ls", .alias = "list", .args = "", .help = "List the projects you can see",
		.example = "skep project ls", .run = cmd_project_ls},
	{.path = "project get", .alias = "inspect", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_PROJECT,
		.help = "Show one project", .example = "skep project get shop -o yaml", .run = cmd_project_get},
	{.path = "project update", .args = "NAME", .min_args = 1, .max_args = 1, .options = project_update_options,
		.names = NAMES_PROJECT, .help = "Change a project's settings",
		.about = "The drift policy says what is done when somebody changes by hand what was deployed: report it, or repair it\n"
			 "(at most 5 times an hour for a stack).",
		.example = "skep project update shop --drift-policy repair", .run = cmd_project_update},
	{.path = "project rm", .alias = "remove", .args = "NAME...", .min_args = 1, .max_args = CLI_MANY,
		.names = NAMES_PROJECT, .help = "Remove projects that have no stacks",
		.example = "skep project rm shop", .run = cmd_project_rm},

	{.path = "stack deploy", .alias = "up", .args = "[NAME]", .max_args = 1, .options = deploy_options,
		.names = NAMES_STACK, .help = "Deploy a stack from Compose files, or update it",
		.about = "Sends the Compose files, the files that they name (include, extends, env_file, secrets, configs), .env beside\n"
			 "the first one, and the variables that they read (from -e and the environment), and waits until every service\n"
			 "runs and stayed so. Without NAME the files' name: is it. A failed update goes back to the last good release.\n"
			 "Ctrl-C leaves the job running.",
		.example = "skep stack deploy -c compose.yml shop\n"
			   "VERSION=2 skep stack deploy shop\n"
			   "cat compose.yml | skep stack deploy -c - --detach shop",
		.run = cmd_stack_deploy},
	{.path = "stack plan", .args = "[NAME]", .max_args = 1, .options = plan_options,
		.names = NAMES_STACK, .help = "Show what a deploy would do, and why",
		.about = "Sends what `stack deploy` would send, compares it with what the Engine holds, and writes nothing:\n"
			 "+ made, ~ changed in place, -/+ made anew, - removed, ! cannot be done (then the exit code is 1).",
		.example = "skep stack plan -c compose.yml shop\n"
			   "skep stack plan --out shop.plan shop && skep stack deploy --plan shop.plan shop",
		.run = cmd_stack_plan},
	{.path = "stack diff", .args = "NAME", .min_args = 1, .max_args = 1, .options = diff_options,
		.names = NAMES_STACK, .help = "Show what somebody changed by hand since the last deploy",
		.about = "Compares what the Engine holds with the release that runs: ~ changed, - removed, + added by somebody else.\n"
			 "Fields read: as released -> as it is now.",
		.example = "skep stack diff shop", .run = cmd_stack_diff},
	{.path = "stack ls", .alias = "list", .args = "", .options = stack_ls_options, .help = "List stacks",
		.example = "skep stack ls -A", .run = cmd_stack_ls},
	{.path = "stack get", .alias = "inspect", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_STACK,
		.help = "Show one stack and its services", .example = "skep stack get shop -o json", .run = cmd_stack_get},
	{.path = "stack ps", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_STACK,
		.help = "List the tasks of a stack", .example = "skep stack ps shop", .run = cmd_stack_ps},
	{.path = "stack services", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_STACK,
		.help = "List the services of a stack", .example = "skep stack services shop", .run = cmd_stack_services},
	{.path = "stack scale", .args = "NAME SERVICE=N...", .min_args = 2, .max_args = CLI_MANY, .options = wait_options,
		.names = NAMES_STACK, .help = "Change how many tasks services want",
		.example = "skep stack scale shop web=3 worker=5", .run = cmd_stack_scale},
	{.path = "stack restart", .args = "NAME [SERVICE...]", .min_args = 1, .max_args = CLI_MANY, .options = wait_options,
		.names = NAMES_STACK, .help = "Restart the tasks of services, or of all", .example = "skep stack restart shop web",
		.run = cmd_stack_restart},
	{.path = "stack rollback", .args = "NAME", .min_args = 1, .max_args = 1, .options = rollback_options,
		.names = NAMES_STACK, .help = "Go back to an earlier release",
		.about = "Makes a new release with the services, image digests, configs and secrets of an earlier one, and waits\n"
			 "until all of it runs. After a deploy that failed and was left as it is, the default is the release\n"
			 "that ran before; otherwise it is the good one before the one that runs.",
		.example = "skep stack rollback shop\n"
			   "skep stack rollback --to 3 shop",
		.run = cmd_stack_rollback},
	{.path = "stack rm", .alias = "remove", .args = "NAME...", .min_args = 1, .max_args = CLI_MANY,
		.options = wait_options, .names = NAMES_STACK, .help = "Remove stacks and all they run",
		.example = "skep stack rm shop", .run = cmd_stack_rm},
	{.path = "stack adopt", .args = "NAME", .min_args = 1, .max_args = 1, .options = adopt_options,
		.help = "Take over a stack that docker stack deploy made",
		.about = "No task is touched: services get a label, and what runs becomes the stack's first release, so that from then\n"
			 "on it is deployed, scaled and rolled back here. Only administrators adopt stacks.",
		.example = "skep stack adopt shop --namespace old_shop", .run = cmd_stack_adopt},
	{.path = "stack export", .args = "NAME", .min_args = 1, .max_args = 1, .options = export_options,
		.names = NAMES_STACK, .help = "Print a Compose text that makes the same services with docker stack deploy",
		.about = "Made from the active release. What such a text cannot say is said on stderr. Secrets and configs are named as\n"
			 "they stand in the Engine: no text holds their values.",
		.example = "skep stack export shop\n"
			   "skep stack export shop --source --dir shop-files",
		.run = cmd_stack_export},
	{.path = "stack releases", .args = "NAME", .min_args = 1, .max_args = 1, .options = releases_options,
		.names = NAMES_STACK, .help = "List what was deployed, newest first", .example = "skep stack releases shop",
		.run = cmd_stack_releases},
	{.path = "stack watch", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_STACK,
		.help = "Show a stack's services live", .about = "Until the stack is removed, or Ctrl-C. With -o json: one line a change.",
		.example = "skep stack watch shop", .run = cmd_stack_watch},

	{.path = "compose config", .args = "[NAME]", .max_args = 1, .options = compose_options,
		.help = "Print Compose files as the one text that they mean",
		.about = "Merged, with variables and env files put in, in long forms, with absolute paths. No daemon is asked. With\n"
			 "--compat docker it is what `docker stack config` prints; otherwise it can be deployed as it is: every $ is\n"
			 "doubled, and neither env files nor profiles are asked for again.",
		.example = "skep compose config -c compose.yml -c production.yml", .run = cmd_compose_config},
	{.path = "compose render", .args = "[NAME]", .max_args = 1, .options = compose_options,
		.help = "Print what deploying Compose files as a stack would create",
		.about = "JSON {networks, secrets, configs, services}, each entry the body of the Engine's create call. No daemon and no\n"
			 "Engine is asked: ids of secrets and configs are \"\". With --compat docker it is what `docker stack deploy` sends.",
		.example = "skep compose render -c compose.yml shop | jq '.services[].Name'", .run = cmd_compose_render},

	{.path = "job ls", .alias = "list", .args = "", .options = job_ls_options, .help = "List jobs, newest first",
		.about = "Also those that ended long ago, until jobs_keep has passed. --state and --kind may be given several times.",
		.example = "skep job ls --stack shop --state failed\n"
			   "skep job ls -A --kind deploy --kind update --since 48h --until 24h",
		.run = cmd_job_ls},
	{.path = "job get", .alias = "inspect", .args = "ID", .min_args = 1, .max_args = 1, .names = NAMES_JOB,
		.help = "Show one job, with its error", .example = "skep job get 01912d68-783e-7a03-8467-5661c1243ad4",
		.run = cmd_job_get},
	{.path = "job watch", .args = "ID", .min_args = 1, .max_args = 1, .options = job_watch_options, .names = NAMES_JOB,
		.help = "Follow a job to its end",
		.about = "Shows what happened so far and what happens next; the exit code is the job's: 0 it succeeded, 1 it did not.\n"
			 "With -o json: one event a line, and the job last.",
		.example = "skep job watch 01912d68-783e-7a03-8467-5661c1243ad4", .run = cmd_job_watch},
	{.path = "job cancel", .args = "ID", .min_args = 1, .max_args = 1, .names = NAMES_JOB,
		.help = "Stop a job; what it did is taken back", .example = "skep job cancel 01912d68-783e-7a03-8467-5661c1243ad4",
		.run = cmd_job_cancel},
	{.path = "job retry", .args = "[ID]", .max_args = 1, .options = job_retry_options, .names = NAMES_JOB,
		.help = "Run a failed or cancelled job once more",
		.about = "With --failed in place of an ID: of each stack of the project (or of --stack) the last job, if it failed.",
		.example = "skep job retry --failed --stack shop", .run = cmd_job_retry},
	{.path = "job stats", .args = "", .options = job_stats_options,
		.help = "Show what waits and why, what runs, what is paused, and the daemons",
		.about = "BEFORE counts the jobs of the same project that go first. Daemons are shown to administrators, with -A.",
		.example = "skep job stats -A", .run = cmd_job_stats},
	{.path = "job pause", .args = "", .options = job_pause_options,
		.help = "Let no more jobs of a project, or of a kind, begin",
		.about = "What runs goes on; what is submitted waits. Of a kind: in every project, and only administrators may.",
		.example = "skep job pause -p shop --reason moving", .run = cmd_job_pause},
	{.path = "job resume", .args = "", .options = job_resume_options, .help = "Let jobs begin again after a pause",
		.example = "skep job resume -p shop", .run = cmd_job_resume},

	{.path = "schedule create", .args = "NAME STACK ACTION [SERVICE[=N]...]", .min_args = 3, .max_args = CLI_MANY,
		.options = schedule_create_options, .help = "Do something to a stack again and again",
		.about = "ACTION is redeploy (the text that runs, with what its images' names mean by then), restart [SERVICE...], or\n"
			 "scale SERVICE=N.... WHEN is as in crontab(5), L as a day of the month is its last. When both days are given,\n"
			 "either is enough. While the job of the run before has not ended, a run is left out.",
		.example = "skep schedule create nightly shop redeploy --cron \"30 3 * * *\" --time-zone Europe/Berlin --jitter 10m\n"
			   "skep schedule create mornings shop scale web=6 --cron \"0 7 * * mon-fri\"",
		.run = cmd_schedule_create},
	{.path = "schedule ls", .alias = "list", .args = "", .options = stack_ls_options,
		.help = "List schedules: when each is due, and how the last run went", .example = "skep schedule ls -A",
		.run = cmd_schedule_ls},
	{.path = "schedule get", .alias = "inspect", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_SCHEDULE,
		.help = "Show one schedule", .example = "skep schedule get nightly -o yaml", .run = cmd_schedule_get},
	{.path = "schedule update", .args = "NAME", .min_args = 1, .max_args = 1, .options = schedule_update_options,
		.names = NAMES_SCHEDULE, .help = "Change when a schedule is due",
		.about = "What is not given stays. What it does is not changed: remove it and create another.",
		.example = "skep schedule update nightly --cron \"30 4 * * *\"", .run = cmd_schedule_update},
	{.path = "schedule pause", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_SCHEDULE,
		.help = "Let a schedule not be due any more", .example = "skep schedule pause nightly", .run = cmd_schedule_pause},
	{.path = "schedule resume", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_SCHEDULE,
		.help = "Let a paused schedule be due again", .about = "What was left out meanwhile is not made up for.",
		.example = "skep schedule resume nightly", .run = cmd_schedule_resume},
	{.path = "schedule rm", .alias = "remove", .args = "NAME...", .min_args = 1, .max_args = CLI_MANY,
		.names = NAMES_SCHEDULE, .help = "Remove schedules", .example = "skep schedule rm nightly", .run = cmd_schedule_rm},

	{.path = "token create", .args = "NAME", .min_args = 1, .max_args = 1, .options = token_create_options,
		.help = "Make a token and print it, this once", .example = "skep token create ci --role deployer --ttl 30d -p shop",
		.run = cmd_token_create},
	{.path = "token ls", .alias = "list", .args = "", .options = stack_ls_options, .help = "List tokens, without their secrets",
		.example = "skep token ls -p shop", .run = cmd_token_ls},
	{.path = "token rm", .alias = "revoke", .args = "ID...", .min_args = 1, .max_args = CLI_MANY,
		.help = "Revoke tokens", .example = "skep token rm 01912d68-783e-7a03-8467-5661c1243ad4", .run = cmd_token_rm},

	{.path = "registry login", .args = "[HOST]", .max_args = 1, .options = login_options,
		.help = "Keep a project's credentials for an image registry",
		.about = "The password is read from stdin; on a terminal it is asked for. Without HOST: Docker Hub. The registry\n"
			 "is asked, by the manager's Engine, whether it takes it: --no-verify for one that only the nodes reach. skepd\n"
			 "keeps it sealed, and sends it with each service whose image comes from there. Only owners may.",
		.example = "cat password-file | skep registry login -u ci registry.example.com:5000", .run = cmd_registry_login},
	{.path = "registry ls", .alias = "list", .args = "", .help = "List the registries of a project, without passwords",
		.example = "skep registry ls -p shop", .run = cmd_registry_ls},
	{.path = "registry logout", .alias = "rm", .args = "[HOST]", .max_args = 1,
		.help = "Forget a project's credentials for a registry",
		.about = "Services that run keep what they were written with until they are written again.",
		.example = "skep registry logout registry.example.com:5000", .run = cmd_registry_logout},

	{.path = "context ls", .alias = "list", .args = "", .help = "List contexts: where to call, and as whom",
		.example = "skep context ls", .run = cmd_context_ls},
	{.path = "context use", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_CONTEXT,
		.help = "Make a context the one in use", .example = "skep context use prod", .run = cmd_context_use},
	{.path = "context set", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_CONTEXT,
		.help = "Make a context or change it",
		.about = "Takes --host, --token, --ca, --certificate, --key and --project and leaves what is not given as it was.\n"
			 "The first one made is in use.",
		.example = "skep context set prod --host tls://skep.example.com:7700 --token TOKEN --project shop",
		.run = cmd_context_set},
	{.path = "context rm", .alias = "remove", .args = "NAME", .min_args = 1, .max_args = 1, .names = NAMES_CONTEXT,
		.help = "Forget a context", .example = "skep context rm prod", .run = cmd_context_rm},

	{.path = "events", .args = "", .options = events_options, .help = "Print what happened, and with -f what happens",
		.about = "Of a project, or with -A of all that you can see. With -o json: one event a line, each with a token; whoever\n"
			 "comes back --after the last one that he saw, to any daemon, misses none and sees none twice.",
		.example = "skep events --since 10m --kind job.ended\n"
			   "skep events -f -A",
		.run = cmd_events},
	{.path = "top", .args = "", .options = top_options, .help = "Show live what waits, what runs, and the daemons",
		.about = "Drawn anew each second on a terminal; q or Ctrl-C ends it. Elsewhere, with --once or -o json: once.",
		.example = "skep top -A", .run = cmd_top},
	{.path = "whoami", .args = "", .help = "Show who skepd takes you for", .example = "skep whoami", .run = cmd_whoami},
	{.path = "ready", .args = "", .help = "Show whether skepd can use the servers it needs",
		.about = "Exits with 1 when it cannot.", .example = "skep ready && skep stack ls", .run = cmd_ready},
	{.path = "info", .args = "", .help = "Show the daemon that answers", .example = "skep info", .run = cmd_info},
	{.path = "version", .args = "", .options = version_options, .help = "Print the versions of skep and skepd",
		.example = "skep version --client", .run = cmd_version},
	{.path = "completion", .args = "bash|zsh|fish", .min_args = 1, .max_args = 1, .names = NAMES_SHELL,
		.help = "Print a shell's completion script", .example = "source <(skep completion bash)", .run = cmd_completion},
	{.path = "__complete", .args = "WORD...", .max_args = CLI_MANY, .hidden = true,
		.help = "Print how a command line can go on (for the completion scripts)",
		.example = "skep __complete -- stack de", .run = cmd_complete},
};

static const struct cli_group groups[] = {
	{"project", "Projects: tenants that keep their stacks apart"},
	{"stack", "Stacks: services from Compose files"},
	{"compose", "Compose files: what they mean, without a daemon"},
	{"job", "Jobs: what changes stacks, and how it went"},
	{"schedule", "Schedules: what is done to a stack again and again"},
	{"token", "Tokens: access for programs and people"},
	{"registry", "Registries: credentials for private images"},
	{"context", "Contexts: daemons to talk to"},
};

const struct cli_program cli_program = {
	.commands = commands,
	.n_commands = sizeof(commands) / sizeof(*commands),
	.groups = groups,
	.n_groups = sizeof(groups) / sizeof(*groups),
	.options = global_options,
};
