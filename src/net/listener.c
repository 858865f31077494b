#include "net/listener.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "net/tls_files.h"
#include "net/transport.h"

#define BACKLOG 511

struct listener {
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct transport_env *env;
	listener_accept on_accept;
	void *data;
	struct tls_files *tls; /* NULL: not offered */
	bool is_unix, needs_tls;
	unsigned port;
};

static struct status uv_status(enum st_code code, int err, const char *what, const char *where)
{
	char words[128];
	uv_strerror_r(err, words, sizeof(words));
	return status_err(code, "%s %s: %s", what, where, words);
}

static void on_connection(uv_stream_t *s, int err)
{
	struct listener *l = s->data;
	struct loop *loop = transport_env_loop(l->env);
	uint64_t token = loop_enter(loop, "listener_accept");
	struct transport *t = err ? NULL : transport_prepare(l->env, l->is_unix);
	if (!err)
		err = uv_accept(s, transport_stream(t));
	if (err) { /* out of descriptors, or the peer has gone already */
		log_warn("accept failed", "error", uv_err_name(err), NULL);
		transport_destroy(t);
	} else {
		transport_accepted(t);
		if (l->tls)
			transport_offer_tls(t, tls_files_context(l->tls), l->needs_tls);
		l->on_accept(l->data, t);
	}
	loop_leave(loop, token);
}

static struct listener *listener_create(
	struct transport_env *env, bool is_unix, listener_accept on_accept, void *data)
{
	struct listener *l = mem_new(struct listener);
	l->env = env;
	l->is_unix = is_unix;
	l->on_accept = on_accept;
	l->data = data;
	if (is_unix)
		uv_pipe_init(loop_uv(transport_env_loop(env)), &l->uv.pipe, 0);
	else
		uv_tcp_init(loop_uv(transport_env_loop(env)), &l->uv.tcp);
	l->uv.stream.data = l;
	return l;
}

void listener_offer_tls(struct listener *l, struct tls_files *files, bool required)
{
	l->tls = files;
	l->needs_tls = required;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void listener_destroy(struct listener *l)
{
	if (l)
		uv_close((uv_handle_t *)&l->uv.stream, on_closed);
}

static unsigned bound_port(const uv_tcp_t *tcp)
{
	struct sockaddr_storage sa;
	int len = sizeof(sa);
	if (uv_tcp_getsockname(tcp, (struct sockaddr *)&sa, &len) != 0)
		return 0;
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					      : ((struct sockaddr_in *)&sa)->sin_port);
}

struct status listener_tcp(struct transport_env *env, const char *host, unsigned port,
	listener_accept on_accept, void *data, struct listener **ret_listener)
{
	struct sockaddr_storage sa;
	char where[96];
	(void)snprintf(where, sizeof(where), "%s port %u", host, port);
	if (port > UINT16_MAX)
		return status_err(ST_INVALID_ARGUMENT, "port %u: must be 0 to 65535", port);
	if (uv_ip4_addr(host, (int)port, (struct sockaddr_in *)&sa) != 0 &&
		uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)&sa) != 0)
		return status_err(
			ST_INVALID_ARGUMENT, "\"%s\" is not an IP address to listen on", host);
	struct listener *l = listener_create(env, false, on_accept, data);
	int err = uv_tcp_bind(&l->uv.tcp, (struct sockaddr *)&sa, 0);
	if (!err)
		err = uv_listen(&l->uv.stream, BACKLOG, on_connection);
	if (err) {
		listener_destroy(l);
		enum st_code code = err == UV_EADDRINUSE ? ST_ALREADY_EXISTS : ST_UNAVAILABLE;
		return uv_status(code, err, "listen on", where);
	}
	l->port = bound_port(&l->uv.tcp);
	*ret_listener = l;
	return status_ok();
}

unsigned listener_port(const struct listener *l)
{
	return l->port;
}

/* A socket file without a process behind it refuses; only that one is removed. */
static struct status clear_stale(const char *path)
{
	struct stat sb;
	if (lstat(path, &sb) != 0)
		return status_ok(); /* what else may be wrong, bind will say */
	if (!S_ISSOCK(sb.st_mode))
		return status_err(ST_FAILED_PRECONDITION,
			"listen on %s: a file that is no socket stands there; move it away", path);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return uv_status(ST_UNAVAILABLE, -errno, "listen on", path);
	bool refused =
		connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 && errno == ECONNREFUSED;
	close(fd);
	if (!refused)
		return status_err(ST_ALREADY_EXISTS,
			"listen on %s: another process serves this socket", path);
	unlink(path);
	return status_ok();
}

/* libuv calls it EACCES when the folder is not there. */
static int bind_error(const char *path, int err)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)] = "";
	const char *slash = strrchr(path, '/');
	struct stat sb;
	if (err != UV_EACCES || !slash || slash == path)
		return err;
	memcpy(folder, path, (size_t)(slash - path));
	return stat(folder, &sb) != 0 && errno == ENOENT ? UV_ENOENT : err;
}

struct status listener_unix(struct transport_env *env, const char *path, mode_t mode,
	listener_accept on_accept, void *data, struct listener **ret_listener)
{
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return status_err(ST_INVALID_ARGUMENT,
			"listen on %s: the path of a unix socket has at most %zu bytes", path,
			sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	struct status st = clear_stale(path);
	if (!status_is_ok(&st))
		return st;
	struct listener *l = listener_create(env, true, on_accept, data);
	int err = bind_error(path, uv_pipe_bind(&l->uv.pipe, path));
	if (!err && chmod(path, mode) != 0)
		err = -errno;
	if (!err)
		err = uv_listen(&l->uv.stream, BACKLOG, on_connection);
	if (err) {
		listener_destroy(l);
		return uv_status(ST_UNAVAILABLE, err, "listen on", path);
	}
	*ret_listener = l;
	return status_ok();
}
