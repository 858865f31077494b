/* dockerd: a private Docker Engine for one test program: its own directories below /tmp, its own
 * network and mount namespaces (no port, bridge or rule of the machine is touched), our
 * child, which ends with us. dockerd_missing says why there can be none here. */
#pragma once
#include <errno.h>
#include <ftw.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DOCKERD_PATHS "/usr/sbin/dockerd", "/usr/bin/dockerd", "/usr/local/bin/dockerd"

struct dockerd {
	char dir[32], host[64];
	pid_t pid;
	int log; /* what it prints: a pipe that is large enough for a test's length */
};

static inline const char *dockerd_binary(void)
{
	static const char *const paths[] = {DOCKERD_PATHS};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* NULL when an Engine can be started. */
static inline const char *dockerd_missing(void)
{
	if (geteuid() != 0)
		return "a private Docker Engine needs root";
	return dockerd_binary() ? NULL : "there is no dockerd (apt-get install docker.io)";
}

static inline bool dockerd_loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0;
	close(fd);
	return up;
}

static inline void dockerd_exec(const struct dockerd *e, int log)
{
	char data[64], exec[64], pidfile[64];
	(void)snprintf(data, sizeof data, "%s/data", e->dir);
	(void)snprintf(exec, sizeof exec, "%s/exec", e->dir);
	(void)snprintf(pidfile, sizeof pidfile, "%s/pid", e->dir);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setsid();
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || !dockerd_loopback_up())
		_exit(126);
	dup2(log, 1);
	dup2(log, 2);
	execl(dockerd_binary(), "dockerd", "--data-root", data, "--exec-root", exec, "--pidfile",
		pidfile, "-H", e->host, (char *)NULL);
	_exit(127);
}

/* Waits until it says that it listens; false: the log was printed. */
static inline bool dockerd_wait(struct dockerd *e)
{
	static char text[1 << 18];
	size_t len = 0;
	ssize_t n;
	while (len < sizeof text - 1 && (n = read(e->log, text + len, sizeof text - 1 - len)) > 0) {
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, "API listen on"))
			return true;
	}
	fprintf(stderr, "dockerd did not start:\n%s\n", text);
	return false;
}

static inline bool dockerd_run(struct dockerd *e)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return false;
	(void)fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
	e->log = fds[0];
	e->pid = fork();
	if (e->pid == 0)
		dockerd_exec(e, fds[1]);
	close(fds[1]);
	return e->pid > 0 && dockerd_wait(e);
}

static inline bool dockerd_start(struct dockerd *e)
{
	(void)snprintf(e->dir, sizeof e->dir, "/tmp/skep-eng-XXXXXX");
	if (!mkdtemp(e->dir))
		return false;
	(void)snprintf(e->host, sizeof e->host, "unix://%s/s", e->dir);
	return dockerd_run(e);
}

static inline void dockerd_kill(struct dockerd *e)
{
	if (e->pid <= 0)
		return;
	kill(e->pid, SIGTERM);
	while (waitpid(e->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	e->pid = 0;
	close(e->log);
}

static inline int dockerd_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	(void)remove(path);
	return 0;
}

static inline void dockerd_stop(struct dockerd *e)
{
	dockerd_kill(e);
	(void)nftw(e->dir, dockerd_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
