/* child: a process of ours. Its owner keeps the handle until on_exit has fired. */
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "base/status.h"

struct loop;
struct child;

struct child_options {
	const char *const *argv; /* argv[0] is looked up in PATH; NULL-terminated; copied */
	const char *const *env;  /* "K=V"; NULL = ours */
	const char *cwd;         /* NULL = ours */
	const char *log_path;    /* stdout and stderr are appended here; NULL = ours */
	uid_t uid;               /* 0 = unchanged */
	gid_t gid;
	/* The child ended: exit status or the signal. Fires once; the child is freed after it returns. */
	void (*on_exit)(void *data, int64_t exit_status, int term_signal);
	void *data;
};
/* Starts it in its own session, so that a terminal's Ctrl-C reaches only us. */
struct status child_start(struct loop *l, const struct child_options *o, struct child **ret_child)
	__attribute__((warn_unused_result));
void child_signal(struct child *c, int signum);
pid_t child_pid(const struct child *c);
