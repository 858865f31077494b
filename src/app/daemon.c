#include "app/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "app/app.h"
#include "app/config.h"
#include "app/dev.h"
#include "app/notify.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "db/migrate.h"
#include "loop/loop.h"
#include "pg/pg.h"

#define EXIT_USAGE      2
#define CONFIG_FILE_MAX ((size_t)1 << 20)

static const char usage[] =
	"usage: skepd [--config FILE] [--OPTION=VALUE …]     run the daemon\n"
	"       skepd --dev [--dir DIR] [--OPTION=VALUE …]   run it with PostgreSQL, Redis and an Engine of its own\n"
	"       skepd migrate [--config FILE] [--OPTION=…]   bring the database up to date, then end\n"
	"       skepd check-config [--config FILE] [--OPTION=…]\n"
	"                                                    say what the configuration is, and what is wrong with it\n"
	"       skepd config --help                          every option, its default and what it is for\n"
	"       skepd version | --version\n"
	"\n"
	"Configuration: /etc/skep/skepd.yaml if it exists (or --config), then SKEP_* variables, then flags.\n"
	"Signals: SIGTERM drains and ends (a second one ends at once), SIGHUP reads the configuration again.\n"
	"\n"
	"Example: skepd --dev --dir ./var/dev\n";

struct daemon {
	struct loop *loop;
	struct arena *arena;
	const char *command; /* "run", "migrate", "check-config" */
	const char *config_path;
	const char **flags;
	size_t n_flags;
	bool dev_mode;
	const char *dir;
	struct config config;
	struct arena *live; /* of the options that the last SIGHUP changed; NULL: none did */
	struct app *app;
	struct dev *dev;
	bool ending;
	int exit_code;
	uv_signal_t signals[3];
};

extern char **environ;

/* ---- configuration ---- */

/* 0, or errno. */
static int read_whole(const char *path, struct buf *ret_text)
{
	FILE *f = fopen(path, "re");
	char piece[4096];
	size_t n;
	if (!f)
		return errno;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0 && ret_text->len <= CONFIG_FILE_MAX)
		buf_add(ret_text, piece, n);
	int error = ferror(f) ? errno : ret_text->len > CONFIG_FILE_MAX ? EFBIG : 0;
	(void)fclose(f);
	return error;
}

/* False: every error stands on stderr. */
static bool read_config(const struct daemon *d, struct arena *a, struct config *ret_config)
{
	const char *path = d->config_path ? d->config_path : "/etc/skep/skepd.yaml";
	struct buf text = {0};
	struct config_errors errors;
	struct config_input in = {.env = (const char *const *)environ, .flags = d->flags};
	int error = read_whole(path, &text);
	if (error == 0) {
		in.path = path;
		in.file = str_make(str_dup(a, buf_str(&text)), text.len);
	} else if (d->config_path || error != ENOENT) { /* one that is not asked for need not be there */
		(void)fprintf(stderr, "skepd: cannot read %s: %s\n", path, uv_strerror(uv_translate_sys_error(error)));
		buf_finish(&text);
		return false;
	}
	buf_finish(&text);
	bool ok = config_read(a, &in, ret_config, &errors);
	for (size_t i = 0; i < errors.len; i++)
		(void)fprintf(stderr, "skepd: %s: %s\n", errors.items[i].where, errors.items[i].message);
	return ok;
}

static void apply_live(const struct config *c)
{
	log_configure((enum log_level)config_number(c, CONFIG_LOG_LEVEL), (enum log_format)config_number(c, CONFIG_LOG_FORMAT));
}

static void reload(struct daemon *d)
{
	struct config fresh;
	struct arena *a = arena_create();
	notify_reloading();
	if (!read_config(d, a, &fresh)) {
		log_error("the configuration has errors; the one before stays", NULL);
		arena_destroy(a);
	} else {
		for (int i = 0; i < CONFIG_COUNT; i++) {
			enum config_option o = (enum config_option)i;
			if (config_is_live(o))
				d->config.values[o] = fresh.values[o];
			else if (strcmp(config_text(&fresh, o), config_text(&d->config, o)) != 0)
				log_warn("needs a restart to change", "option", config_key(o), NULL);
		}
		arena_destroy(d->live);
		d->live = a;
		apply_live(&d->config);
		log_info("configuration read again", NULL);
	}
	if (d->app)
		app_reload(d->app);
	notify_ready();
}

/* ---- the daemon ---- */

/* Each client is a descriptor; the usual soft limit of 1024 is there for select(2). */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void close_signals(struct daemon *d)
{
	for (size_t i = 0; i < 3; i++)
		uv_close((uv_handle_t *)&d->signals[i], NULL);
}

static void on_dev_stopped(void *data)
{
	struct daemon *d = data;
	loop_stop(d->loop);
}

static void on_app_end(void *data, const struct status *st)
{
	struct daemon *d = data;
	if (!status_is_ok(st)) {
		log_error("cannot go on", "error", st->message, NULL);
		d->exit_code = EXIT_FAILURE;
	}
	/* Before the servers of --dev go, so that nobody complains of their loss. */
	app_destroy(d->app);
	d->app = NULL;
	if (d->dev)
		dev_stop(d->dev, on_dev_stopped, d);
	else
		loop_stop(d->loop);
}

static void end(struct daemon *d)
{
	if (d->ending) {
		log_warn("ended at once: a second signal", NULL);
		_exit(EXIT_FAILURE);
	}
	d->ending = true;
	if (d->app)
		app_drain(d->app);
	else if (d->dev)
		dev_stop(d->dev, on_dev_stopped, d);
	else
		loop_stop(d->loop);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct daemon *d = handle->data;
	if (signum == SIGHUP)
		reload(d);
	else
		end(d);
}

static void start_app(struct daemon *d)
{
	struct status st = app_create(d->loop, &d->config, &d->app);
	app_on_end(d->app, on_app_end, d);
	if (status_is_ok(&st))
		st = app_start(d->app);
	if (!status_is_ok(&st))
		on_app_end(d, &st);
}

static void on_dev_lost(void *data, const struct status *why)
{
	struct daemon *d = data;
	log_error("a server of --dev is gone", "error", why->message, NULL);
	d->exit_code = EXIT_FAILURE;
	if (!d->ending)
		end(d);
}

/* What --dev chose goes before the user's own flags, so that those win. */
static void on_dev_ready(void *data, const struct status *st, const struct dev_servers *servers)
{
	struct daemon *d = data;
	struct arena *a = d->arena;
	if (!status_is_ok(st)) {
		on_app_end(d, st);
		return;
	}
	const char **flags = arena_array(a, const char *, d->n_flags + 7);
	size_t n = 0;
	flags[n++] = arena_fmt(a, "--postgres=%s", servers->postgres);
	flags[n++] = arena_fmt(a, "--redis=%s", servers->redis);
	flags[n++] = arena_fmt(a, "--docker=%s", servers->docker);
	flags[n++] = arena_fmt(a, "--key_file=%s/keys", d->dir);
	flags[n++] = arena_fmt(a, "--socket=%s/skepd.sock", d->dir);
	flags[n++] = "--listen=127.0.0.1:0";
	memcpy(flags + n, d->flags, d->n_flags * sizeof(*flags));
	d->flags = flags;
	d->n_flags += n;
	if (!read_config(d, a, &d->config)) {
		struct status bad = status_err(ST_INVALID_ARGUMENT, "the configuration has errors");
		on_app_end(d, &bad);
		return;
	}
	start_app(d);
}

static int run(struct daemon *d)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	raise_descriptors();
	d->loop = loop_create();
	for (size_t i = 0; i < 3; i++) {
		uv_signal_init(loop_uv(d->loop), &d->signals[i]);
		d->signals[i].data = d;
		uv_signal_start(&d->signals[i], on_signal, signals[i]);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (d->dev_mode) {
		const struct dev_options o = {.dir = d->dir, .on_ready = on_dev_ready, .on_lost = on_dev_lost, .data = d};
		d->dev = dev_start(d->loop, &o);
	} else {
		start_app(d);
	}
	loop_run(d->loop);
	dev_destroy(d->dev);
	close_signals(d);
	loop_destroy(d->loop);
	return d->exit_code;
}

/* ---- migrate ---- */

static void on_migrated(void *data, const struct status *st, unsigned applied)
{
	struct daemon *d = data;
	if (status_is_ok(st)) {
		(void)printf("the database is up to date: %u new migration%s\n", applied, applied == 1 ? "" : "s");
	} else {
		(void)fprintf(stderr, "skepd: %s\n", st->message);
		d->exit_code = EXIT_FAILURE;
	}
	loop_stop(d->loop);
}

static int migrate(struct daemon *d)
{
	d->loop = loop_create();
	const struct pg_options o = {.conninfo = config_text(&d->config, CONFIG_POSTGRES), .pool_size = 1};
	struct pg *pg = pg_create(d->loop, &o);
	db_migrate(pg, skep_migrations, on_migrated, d);
	loop_run(d->loop);
	pg_destroy(pg);
	loop_destroy(d->loop);
	return d->exit_code;
}

/* ---- the command line ---- */

static bool take_value(char **argv, int *i, const char *name, const char **ret_value)
{
	size_t len = strlen(name);
	if (strncmp(argv[*i], name, len) == 0 && argv[*i][len] == '=') {
		*ret_value = argv[*i] + len + 1;
		return true;
	}
	if (strcmp(argv[*i], name) == 0 && argv[*i + 1]) {
		*ret_value = argv[++*i];
		return true;
	}
	return false;
}

/* -1: go on; else the exit code. */
static int parse(struct daemon *d, int argc, char **argv)
{
	d->flags = arena_array(d->arena, const char *, (size_t)argc + 1);
	for (int i = 1; i < argc; i++) {
		bool word = i == 1 && argv[i][0] != '-';
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			if (strcmp(d->command, "config") == 0)
				config_print_help(stdout);
			else
				(void)fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (strcmp(argv[i], "--version") == 0 || (word && strcmp(argv[i], "version") == 0)) {
			(void)puts("skepd " SKEP_VERSION);
			return EXIT_SUCCESS;
		}
		if (word)
			d->command = argv[i];
		else if (strcmp(argv[i], "--dev") == 0)
			d->dev_mode = true;
		else if (!take_value(argv, &i, "--dir", &d->dir) && !take_value(argv, &i, "--config", &d->config_path))
			d->flags[d->n_flags++] = argv[i];
	}
	return -1;
}

static int dispatch(struct daemon *d)
{
	if (strcmp(d->command, "config") == 0) {
		config_print_help(stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(d->command, "run") != 0 && strcmp(d->command, "migrate") != 0 && strcmp(d->command, "check-config") != 0) {
		(void)fprintf(stderr, "skepd: \"%s\" is no command\n%s", d->command, usage);
		return EXIT_USAGE;
	}
	if (!read_config(d, d->arena, &d->config))
		return EXIT_USAGE;
	apply_live(&d->config);
	if (strcmp(d->command, "check-config") == 0) {
		config_print(stdout, &d->config);
		return EXIT_SUCCESS;
	}
	return strcmp(d->command, "migrate") == 0 ? migrate(d) : run(d);
}

int daemon_main(int argc, char **argv)
{
	struct daemon d = {.arena = arena_create(), .command = "run", .dir = "./var/dev"};
	(void)umask(0077);
	int code = parse(&d, argc, argv);
	if (code < 0)
		code = dispatch(&d);
	arena_destroy(d.live);
	arena_destroy(d.arena);
	return code;
}
