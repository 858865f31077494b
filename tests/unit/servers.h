/* servers: a private PostgreSQL or Redis for one test program, on a unix socket in a directory of
 * its own below /tmp. Started in the foreground as our child (it dies with us, whatever happens),
 * ready when it says so in its log, ended by its pid. Failure to start ends the test program, with
 * the log. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>


struct server {
	char dir[64];
	pid_t pid; /* 0 = not running */
	int log;   /* what it prints */
	uid_t uid; /* whom it runs as; 0 = us */
	gid_t gid;
	const char *argv[32];
	const char *ready; /* printed when it can be used */
	int stop_signal;   /* ends it at once, whoever is connected */
	/* PostgreSQL: libpq's connection string. Redis: a URL. */
	char address[160];
	char text[8][128]; /* arguments that are made up */
};

#define SERVER_DIE(...)                                                                            \
	do {                                                                                       \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		exit(99);                                                                          \
	} while (0)

static inline void server_become(const struct server *s)
{
	if (s->uid && (setgroups(0, NULL) || setgid(s->gid) || setuid(s->uid)))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid, which resets it */
	if (chdir(s->dir))
		_exit(126);
}

/* Runs to its end; true when it exits with 0. What it prints is shown when it does not. */
static inline bool server_tool(const struct server *s, const char *const *argv)
{
	int out[2];
	char text[4096];
	size_t len = 0;
	ssize_t n;
	if (pipe2(out, O_CLOEXEC))
		SERVER_DIE("pipe: %s", strerrorname_np(errno));
	pid_t pid = fork();
	if (pid == 0) {
		server_become(s);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(out[1]);
	while ((n = read(out[0], text + len, sizeof text - len)) > 0)
		len = (len + (size_t)n) % sizeof text;
	close(out[0]);
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "%s: %.*s\n", argv[0], (int)len, text);
		return false;
	}
	return true;
}

/* Reads the log up to the line that says it is ready. */
static inline void server_wait_ready(struct server *s)
{
	char text[65536];
	size_t len = 0;
	while (len < sizeof text - 1) {
		ssize_t n = read(s->log, text + len, sizeof text - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, s->ready))
			return;
	}
	SERVER_DIE("%s does not start: %.*s", s->argv[0], (int)len, text);
}

/* Starts it (again) with the arguments and the data it had. */
static inline void server_start(struct server *s)
{
	int out[2];
	if (pipe2(out, O_CLOEXEC))
		SERVER_DIE("pipe: %s", strerrorname_np(errno));
	s->pid = fork();
	if (s->pid == 0) {
		server_become(s);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execvp(s->argv[0], (char *const *)s->argv);
		_exit(127);
	}
	close(out[1]);
	s->log = out[0];
	fcntl(s->log, F_SETPIPE_SZ, 1 << 20); /* nobody reads on: the log of one test fits */
	server_wait_ready(s);
}

/* SIGQUIT is PostgreSQL's immediate stop, SIGTERM waits for its clients, SIGINT throws them out. */
static inline void server_kill(struct server *s, int signum)
{
	if (s->pid == 0)
		return;
	kill(s->pid, signum);
	waitpid(s->pid, NULL, 0);
	close(s->log);
	s->pid = 0;
}

static inline int server_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* The server and its directory are gone afterwards. */
static inline void server_stop(struct server *s)
{
	server_kill(s, s->stop_signal);
	if (s->dir[0])
		nftw(s->dir, server_remove, 16, FTW_DEPTH | FTW_PHYS);
	s->dir[0] = '\0';
}

static inline void server_make_dir(struct server *s, const char *pattern)
{
	(void)snprintf(s->dir, sizeof s->dir, "%s", pattern);
	if (mkdtemp(s->dir) == NULL || (s->uid && chown(s->dir, s->uid, s->gid)))
		SERVER_DIE("cannot make %s", s->dir);
}

/* The newest PostgreSQL's folder of programs, as Debian puts them. */
static inline void server_pg_bin(char *ret_dir, size_t size)
{
	glob_t found;
	long newest = 0;
	if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			long version = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);
			newest = version > newest ? version : newest;
		}
		globfree(&found);
	}
	if (newest == 0)
		SERVER_DIE("no PostgreSQL is installed in /usr/lib/postgresql");
	(void)snprintf(ret_dir, size, "/usr/lib/postgresql/%ld/bin", newest);
}

/* hba: the authentication lines ("local all all trust"), NULL = trust everybody.
 * The superuser and the database are "skep"; his password is "secret". */
static inline void server_start_pg(struct server *s, const char *hba)
{
	*s = (struct server){
		.ready = "database system is ready to accept connections", .stop_signal = SIGQUIT};
	if (geteuid() == 0) {
		const struct passwd *pw = getpwnam("postgres");
		if (pw == NULL)
			SERVER_DIE("there is no user postgres");
		s->uid = pw->pw_uid;
		s->gid = pw->pw_gid;
	}
	server_make_dir(s, "/tmp/skep-pg-XXXXXX");
	(void)snprintf(s->text[0], sizeof s->text[0], "%s/data", s->dir);
	(void)snprintf(s->text[1], sizeof s->text[1], "unix_socket_directories=%s", s->dir);
	(void)snprintf(s->text[2], sizeof s->text[2], "%s/password", s->dir);
	(void)snprintf(s->text[3], sizeof s->text[3], "hba_file=%s/hba", s->dir);
	FILE *f = fopen(s->text[2], "w");
	fputs("secret\n", f);
	fclose(f);
	(void)snprintf(s->text[4], sizeof s->text[4], "%s/hba", s->dir);
	f = fopen(s->text[4], "w");
	fprintf(f, "%s\n", hba ? hba : "local all all trust");
	fclose(f);
	char bin[64];
	server_pg_bin(bin, sizeof bin);
	(void)snprintf(s->text[5], sizeof s->text[5], "%s/initdb", bin);
	(void)snprintf(s->text[6], sizeof s->text[6], "%s/postgres", bin);
	const char *const initdb[] = {s->text[5], "--no-sync", "--auth=trust",
		"--username=skep", "--encoding=UTF8", "--locale=C", "--pwfile", s->text[2], "-D",
		s->text[0], NULL};
	if (!server_tool(s, initdb))
		SERVER_DIE("initdb failed");
	const char *const argv[] = {s->text[6], "-D", s->text[0], "-c", s->text[1],
		"-c", s->text[3], "-c", "listen_addresses=", "-c", "fsync=off", "-c",
		"full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "max_connections=20",
		"-c", "log_min_messages=log", "-c", "log_checkpoints=off", NULL};
	memcpy(s->argv, argv, sizeof argv);
	(void)snprintf(s->address, sizeof s->address, "host=%s user=skep dbname=postgres", s->dir);
	server_start(s);
}

/* password may be NULL. */
static inline void server_start_redis(struct server *s, const char *password)
{
	*s = (struct server){.ready = "eady to accept connections", .stop_signal = SIGTERM};
	server_make_dir(s, "/tmp/skep-redis-XXXXXX");
	(void)snprintf(s->text[0], sizeof s->text[0], "%s/s", s->dir);
	const char *const argv[] = {"redis-server", "--port", "0", "--unixsocket", s->text[0],
		"--save", "", "--appendonly", "no", password ? "--requirepass" : NULL, password,
		NULL};
	memcpy(s->argv, argv, sizeof argv);
	(void)snprintf(s->address, sizeof s->address, "unix://%s%s%s%s/s", password ? ":" : "",
		password ? password : "", password ? "@" : "", s->dir);
	server_start(s);
}
