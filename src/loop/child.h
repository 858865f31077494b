/* child: a process of ours, for what the daemon starts itself (private servers, helpers). Its
 * owner keeps the handle until on_exit has fired: to be rid of a child, signal it and
 * wait. It may outlive a daemon that is killed. */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/status.h"

struct loop;
struct child;

struct child_options {
	/* NULL-terminated; argv[0] is looked up in PATH (of env, if given). Copied. */
	const char *const *argv;
	const char *const *env; /* "K=V"; NULL = ours */
	const char *cwd;        /* NULL = ours */
	const char *log_path;   /* stdout and stderr are appended here (0640); NULL = ours */
	uid_t uid;              /* 0 = unchanged; setting either drops our supplementary groups */
	gid_t gid;
	/* The child ended: exit status or, not 0, the signal. Fires once; the child is freed after
	 * it returns. */
	void (*on_exit)(void *data, int64_t exit_status, int term_signal);
	void *data;
};
/* Starts it in its own session, so that a terminal's Ctrl-C reaches only us; its stdin is
 * /dev/null. Waits (a moment) until the program runs, so that a wrong path is an error here. */
struct status child_start(struct loop *l, const struct child_options *o, struct child **ret_child)
	__attribute__((warn_unused_result));
void child_signal(struct child *c, int signum); /* it alone, not its own children */
pid_t child_pid(const struct child *c);
