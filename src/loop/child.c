#include "loop/child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"
#include "loop/loop.h"

struct child {
	uv_process_t process;
	struct loop *loop;
	void (*on_exit)(void *data, int64_t exit_status, int term_signal);
	void *data;
};

static void on_child_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_child_exit(uv_process_t *p, int64_t exit_status, int term_signal)
{
	struct child *c = p->data;
	uint64_t token = loop_enter(c->loop, "child exit");
	c->on_exit(c->data, exit_status, term_signal);
	uv_close((uv_handle_t *)p, on_child_closed);
	loop_leave(c->loop, token);
}

static enum st_code spawn_code(int err)
{
	switch (err) {
	case UV_ENOENT:
	case UV_ENOTDIR:
		return ST_NOT_FOUND;
	case UV_EACCES:
	case UV_EPERM:
		return ST_PERMISSION_DENIED;
	case UV_EAGAIN:
	case UV_ENOMEM:
	case UV_EMFILE:
	case UV_ENFILE:
		return ST_RESOURCE_EXHAUSTED;
	default:
		return ST_INTERNAL;
	}
}

static struct status spawn(struct child *c, const struct child_options *o, int log_fd)
{
	uv_stdio_container_t stdio[3] = {
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = log_fd >= 0 ? log_fd : STDOUT_FILENO},
		{.flags = UV_INHERIT_FD, .data.fd = log_fd >= 0 ? log_fd : STDERR_FILENO},
	};
	uv_process_options_t options = {
		.exit_cb = on_child_exit,
		.file = o->argv[0],
		.args = (char **)o->argv, /* libuv only reads them */
		.env = (char **)o->env,
		.cwd = o->cwd,
		.flags = UV_PROCESS_DETACHED, /* setsid */
		.stdio_count = 3,
		.stdio = stdio,
		.uid = o->uid,
		.gid = o->gid,
	};
	/* With either, libuv also drops our supplementary groups. */
	if (o->uid != 0)
		options.flags |= UV_PROCESS_SETUID;
	if (o->gid != 0)
		options.flags |= UV_PROCESS_SETGID;
	int err = uv_spawn(loop_uv(c->loop), &c->process, &options);
	if (err == 0)
		return status_ok();
	/* The message does not say which of the two paths is meant: the kernel does not. */
	return status_err(spawn_code(err), "cannot start \"%s\"%s%s: %s", o->argv[0],
		o->cwd ? " in " : "", o->cwd ? o->cwd : "", uv_strerror(err));
}

struct status child_start(struct loop *l, const struct child_options *o, struct child **ret_child)
{
	int log_fd = -1;
	if (o->log_path) {
		log_fd = open(o->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
		if (log_fd < 0) {
			int err = uv_translate_sys_error(errno);
			return status_err(spawn_code(err),
				"cannot open the log of \"%s\", \"%s\": %s", o->argv[0],
				o->log_path, uv_strerror(err));
		}
	}
	struct child *c = mem_new(struct child);
	c->loop = l;
	c->on_exit = o->on_exit;
	c->data = o->data;
	struct status st = spawn(c, o, log_fd);
	c->process.data = c;
	if (log_fd >= 0)
		close(log_fd);
	if (status_is_ok(&st))
		*ret_child = c;
	else
		uv_close((uv_handle_t *)&c->process, on_child_closed);
	return st;
}

void child_signal(struct child *c, int signum)
{
	/* Once it has ended, its number may be another's. */
	if (uv_is_active((uv_handle_t *)&c->process))
		(void)uv_process_kill(&c->process, signum);
}

pid_t child_pid(const struct child *c)
{
	return uv_process_get_pid(&c->process);
}
