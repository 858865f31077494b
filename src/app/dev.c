#include "app/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <mntent.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "docker/docker.h"
#include "docker/engine.h"
#include "flow/flow.h"
#include "loop/child.h"

#define LOOK_MS     30
#define STOP_MS     20000
#define SOCKET_ROOM 70 /* bytes of a directory whose sockets still fit into sockaddr_un */

enum server_kind { POSTGRES, REDIS, ENGINE, SERVERS };
static const char *const server_names[SERVERS] = {"postgres", "redis", "dockerd"};

struct server {
	struct dev *dev;
	struct child *child;
	const char *log;
	const char *socket;
};

struct dev {
	struct loop *loop;
	struct arena *arena;
	struct dev_options options;
	struct dev_servers servers;
	const char *dir, *run, *data; /* data: what the postgres user can reach */
	const char *pg_bin;           /* where initdb and postgres are */
	uid_t pg_uid;
	gid_t pg_gid;
	struct server server[SERVERS];
	struct flow flow;
	struct timer look, kill;
	struct docker *docker;
	struct docker_call *docker_call;
	struct child *once; /* initdb, swarm init */
	struct defer ended;
	bool stopping, own_engine, swarm_tried;
	struct status docker_st;
	void (*stopped)(void *data);
	void *stopped_data;
};

static struct dev *dev_of(struct flow *f)
{
	return f->data;
}

static void on_look(struct timer *t)
{
	flow_resume(&container_of(t, struct dev, look)->flow);
}

static enum flow_next look_again(struct dev *dev)
{
	timer_set(&dev->look, LOOK_MS);
	return FLOW_WAIT;
}

static bool socket_answers(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(to.sun_path))
		return false;
	memcpy(to.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/* ---- children ---- */

static void on_server_exit(void *data, int64_t status, int term_signal)
{
	struct server *s = data;
	struct dev *dev = s->dev;
	s->child = NULL;
	if (dev->stopping) {
		defer_post(&dev->ended);
		return;
	}
	struct status why = status_err(ST_UNAVAILABLE, "%s ended by itself (exit %lld, signal %d); its log is %s",
		server_names[s - dev->server], (long long)status, term_signal, s->log);
	if (dev->flow.state == FLOW_RUNNING) {
		timer_stop(&dev->look);
		flow_step_done(&dev->flow, &why);
	} else {
		dev->options.on_lost(dev->options.data, &why);
	}
}

static struct status start_server(struct dev *dev, enum server_kind kind, const char *const *argv, bool as_postgres)
{
	struct server *s = &dev->server[kind];
	s->dev = dev;
	s->log = arena_fmt(dev->arena, "%s/%s.log", kind == POSTGRES ? dev->data : dev->dir, server_names[kind]);
	struct child_options o = {.argv = argv, .log_path = s->log, .on_exit = on_server_exit, .data = s, .cwd = "/"};
	if (as_postgres) {
		o.uid = dev->pg_uid;
		o.gid = dev->pg_gid;
	}
	return child_start(dev->loop, &o, &s->child);
}

static void on_once_exit(void *data, int64_t status, int term_signal)
{
	struct dev *dev = data;
	struct status st = status_ok();
	dev->once = NULL;
	if (status != 0 || term_signal != 0)
		st = status_err(ST_INTERNAL, "%s failed (exit %lld); see %s/once.log", dev->flow.steps[dev->flow.at].name,
			(long long)status, dev->data);
	flow_step_done(&dev->flow, &st);
}

static enum flow_next run_once(struct dev *dev, const char *const *argv, bool as_postgres)
{
	struct child_options o = {.argv = argv, .log_path = arena_fmt(dev->arena, "%s/once.log", dev->data), .on_exit = on_once_exit,
		.data = dev, .cwd = "/"};
	if (as_postgres) {
		o.uid = dev->pg_uid;
		o.gid = dev->pg_gid;
	}
	dev->flow.st = child_start(dev->loop, &o, &dev->once);
	return status_is_ok(&dev->flow.st) ? FLOW_WAIT : FLOW_FAIL;
}

/* ---- steps ---- */

static struct status make_dir(const char *path, mode_t mode)
{
	if ((mkdir(path, mode) == 0 && chmod(path, mode) == 0) || errno == EEXIST) /* chmod: whatever the umask is */
		return status_ok();
	return status_err(ST_FAILED_PRECONDITION, "cannot make the directory %s: %s", path, uv_strerror(uv_translate_sys_error(errno)));
}

/* And the folders above it that are not there. */
static struct status make_path(struct arena *a, const char *path)
{
	char *p = arena_strdup(a, path);
	for (char *slash = strchr(p + 1, '/'); *p && slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		struct status st = make_dir(p, 0755);
		if (!status_is_ok(&st))
			return st;
		*slash = '/';
	}
	return make_dir(p, 0755);
}

/* May another user pass through every folder on the way? */
static bool is_reachable(struct arena *a, const char *path)
{
	char *p = arena_strdup(a, path);
	for (char *slash = strrchr(p, '/'); slash && slash != p; slash = strrchr(p, '/')) {
		struct stat sb;
		if (stat(p, &sb) != 0 || !(sb.st_mode & S_IXOTH))
			return false;
		*slash = '\0';
	}
	return true;
}

/* PostgreSQL refuses to run as root. */
static bool find_postgres_user(struct dev *dev)
{
	struct passwd entry, *found = NULL;
	char text[1024];
	if (geteuid() != 0 || getpwnam_r("postgres", &entry, text, sizeof(text), &found) != 0 || !found)
		return false;
	dev->pg_uid = entry.pw_uid;
	dev->pg_gid = entry.pw_gid;
	return true;
}

static enum flow_next make_dirs(struct flow *f)
{
	struct dev *dev = dev_of(f);
	struct arena *a = dev->arena;
	char real[PATH_MAX];
	f->st = make_path(a, dev->options.dir);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	struct stat sb;
	if (!realpath(dev->options.dir, real) || stat(real, &sb) != 0 || !S_ISDIR(sb.st_mode)) {
		f->st = status_err(ST_FAILED_PRECONDITION, "--dir %s is no directory", dev->options.dir);
		return FLOW_FAIL;
	}
	dev->dir = arena_strdup(a, real);
	unsigned char digest[SHA256_LEN];
	crypto_sha256(str_of(real), digest);
	const char *mark = str_hex(a, digest, 4);
	dev->run = strlen(real) <= SOCKET_ROOM ? arena_fmt(a, "%s/run", real) : arena_fmt(a, "/tmp/skep-%s", mark);
	dev->data = dev->dir;
	bool as_postgres = find_postgres_user(dev);
	if (as_postgres && !is_reachable(a, real)) {
		dev->data = arena_fmt(a, "/var/tmp/skep-%s", mark);
		dev->run = arena_fmt(a, "/tmp/skep-%s", mark);
	}
	const char *pg = arena_fmt(a, "%s/postgres", dev->data);
	f->st = make_dir(dev->data, 0755);
	if (status_is_ok(&f->st))
		f->st = make_dir(dev->run, 0755);
	if (status_is_ok(&f->st))
		f->st = make_dir(pg, 0700);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	if (as_postgres && (chown(pg, dev->pg_uid, dev->pg_gid) != 0 || chown(dev->run, dev->pg_uid, dev->pg_gid) != 0)) {
		f->st = status_err(ST_PERMISSION_DENIED, "cannot give %s to the user postgres", pg);
		return FLOW_FAIL;
	}
	return FLOW_NEXT;
}

/* The distributions keep one folder a version; the newest is taken. */
static struct status find_postgres(struct dev *dev)
{
	glob_t found;
	long newest = 0;
	// NOLINTNEXTLINE(concurrency-mt-unsafe): only ~ makes it so, which the pattern has not
	if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) != 0)
		return status_err(ST_FAILED_PRECONDITION, "no PostgreSQL is installed in /usr/lib/postgresql: apt install postgresql");
	for (size_t i = 0; i < found.gl_pathc; i++) {
		long version = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);
		if (version > newest) {
			newest = version;
			dev->pg_bin = arena_fmt(dev->arena, "/usr/lib/postgresql/%ld/bin", version);
		}
	}
	globfree(&found);
	return dev->pg_bin ? status_ok() : status_err(ST_FAILED_PRECONDITION, "/usr/lib/postgresql has no folder of a version");
}

static enum flow_next init_database(struct flow *f)
{
	struct dev *dev = dev_of(f);
	struct stat sb;
	f->st = find_postgres(dev);
	if (!status_is_ok(&f->st))
		return FLOW_FAIL;
	if (stat(arena_fmt(dev->arena, "%s/postgres/PG_VERSION", dev->data), &sb) == 0)
		return FLOW_NEXT;
	const char *const argv[] = {arena_fmt(dev->arena, "%s/initdb", dev->pg_bin), "-D", arena_fmt(dev->arena, "%s/postgres", dev->data), "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--no-locale", "--no-sync", NULL};
	return run_once(dev, argv, true);
}

static enum flow_next start_postgres(struct flow *f)
{
	struct dev *dev = dev_of(f);
	struct arena *a = dev->arena;
	struct server *s = &dev->server[POSTGRES];
	if (!s->socket) {
		s->socket = arena_fmt(a, "%s/.s.PGSQL.5432", dev->run);
		if (socket_answers(s->socket)) { /* of a daemon that was killed a moment ago: it is on its way out */
			s->socket = NULL;
			return look_again(dev);
		}
		(void)unlink(arena_fmt(a, "%s.lock", s->socket));
		const char *const argv[] = {"setpriv", "--pdeathsig", "INT", "--", arena_fmt(a, "%s/postgres", dev->pg_bin), "-D",
			arena_fmt(a, "%s/postgres", dev->data), "-k", dev->run, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700",
			"-c", "max_connections=100", NULL};
		f->st = start_server(dev, POSTGRES, argv, true);
		if (!status_is_ok(&f->st))
			return FLOW_FAIL;
	}
	if (!socket_answers(s->socket))
		return look_again(dev);
	dev->servers.postgres = arena_fmt(a, "host=%s user=postgres dbname=postgres", dev->run);
	return FLOW_NEXT;
}

static enum flow_next start_redis(struct flow *f)
{
	struct dev *dev = dev_of(f);
	struct arena *a = dev->arena;
	struct server *s = &dev->server[REDIS];
	if (!s->socket) {
		s->socket = arena_fmt(a, "%s/redis.sock", dev->run);
		if (socket_answers(s->socket)) {
			s->socket = NULL;
			return look_again(dev);
		}
		const char *const argv[] = {"setpriv", "--pdeathsig", "TERM", "--", "redis-server", "--port", "0", "--unixsocket", s->socket,
			"--save", "", "--appendonly", "no", "--dir", dev->dir, NULL};
		f->st = start_server(dev, REDIS, argv, false);
		if (!status_is_ok(&f->st))
			return FLOW_FAIL;
	}
	if (!socket_answers(s->socket))
		return look_again(dev);
	dev->servers.redis = arena_fmt(a, "unix://%s", s->socket);
	return FLOW_NEXT;
}

static const char *engine_there(struct dev *dev)
{
	const char *host = dev->options.docker ? dev->options.docker : secure_getenv("DOCKER_HOST");
	if (host && host[0])
		return host;
	return socket_answers("/var/run/docker.sock") ? "unix:///var/run/docker.sock" : NULL;
}

static enum flow_next start_engine(struct flow *f)
{
	struct dev *dev = dev_of(f);
	struct arena *a = dev->arena;
	struct server *s = &dev->server[ENGINE];
	if (!s->socket) {
		dev->servers.docker = engine_there(dev);
		if (dev->servers.docker)
			return FLOW_NEXT;
		s->socket = arena_fmt(a, "%s/docker.sock", dev->run);
		if (socket_answers(s->socket)) {
			s->socket = NULL;
			return look_again(dev);
		}
		(void)unlink(arena_fmt(a, "%s/docker.pid", dev->run));
		const char *const argv[] = {"setpriv", "--pdeathsig", "TERM", "--", "dockerd", "--data-root",
			arena_fmt(a, "%s/docker", dev->dir), "--exec-root", arena_fmt(a, "%s/docker", dev->run), "--pidfile",
			arena_fmt(a, "%s/docker.pid", dev->run), "-H", arena_fmt(a, "unix://%s", s->socket), NULL};
		dev->servers.own_engine = true;
		f->st = start_server(dev, ENGINE, argv, false);
		if (!status_is_ok(&f->st))
			return FLOW_FAIL;
	}
	if (!socket_answers(s->socket))
		return look_again(dev);
	dev->servers.docker = arena_fmt(a, "unix://%s", s->socket);
	return FLOW_NEXT;
}

static void on_info(void *data, const struct status *st, const struct docker_info *i)
{
	struct dev *dev = data;
	dev->docker_call = NULL;
	struct status checked = status_is_ok(st) ? docker_info_check(i) : *st;
	if (status_is_ok(&checked) || (st->code != ST_UNAVAILABLE && st->code != ST_OK) || (dev->swarm_tried && status_is_ok(st)))
		flow_step_done(&dev->flow, &checked);
	else if (!status_is_ok(st))
		timer_set(&dev->look, LOOK_MS);
	else {
		dev->swarm_tried = true;
		flow_resume(&dev->flow);
	}
}

/* A port nobody has at this moment, below 49152: the Engine takes no higher one for the data path. */
static int free_port(int type)
{
	for (int tries = 0; tries < 100; tries++) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof(at);
		int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
		bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0;
		if (fd >= 0)
			(void)close(fd);
		if (ok && ntohs(at.sin_port) < 49152)
			return ntohs(at.sin_port);
	}
	return type == SOCK_STREAM ? 2377 : 4789;
}

/* A Swarm of one node on loopback, unless it is one already; somebody else's Engine is left as it is. Its ports are its
 * own, since another Engine of this machine may be a manager too. */
static enum flow_next make_swarm(struct flow *f)
{
	struct dev *dev = dev_of(f);
	if (dev->swarm_tried && dev->servers.own_engine) {
		const char *manager = arena_fmt(dev->arena, "127.0.0.1:%d", free_port(SOCK_STREAM));
		const char *vxlan = arena_fmt(dev->arena, "%d", free_port(SOCK_DGRAM));
		const char *const argv[] = {"docker", "-H", dev->servers.docker, "swarm", "init", "--advertise-addr", "127.0.0.1",
			"--listen-addr", manager, "--data-path-port", vxlan, NULL};
		return run_once(dev, argv, false);
	}
	if (!dev->docker) {
		const struct docker_engine_options o = {.host = dev->servers.docker};
		f->st = docker_engine_create(dev->loop, &o, &dev->docker);
		if (!status_is_ok(&f->st))
			return FLOW_FAIL;
	}
	dev->docker_call = docker_info(dev->docker, 0, on_info, dev);
	return FLOW_WAIT;
}

static const struct flow_step dev_steps[] = {
	{"make_dirs", make_dirs, NULL, 5},
	{"init_database", init_database, NULL, 60},
	{"start_postgres", start_postgres, NULL, 60},
	{"start_redis", start_redis, NULL, 30},
	{"start_engine", start_engine, NULL, 60},
	{"make_swarm", make_swarm, NULL, 60},
	{0},
};

/* ---- life ---- */

static void on_interrupt(struct flow *f)
{
	struct dev *dev = f->data;
	timer_stop(&dev->look);
	if (dev->docker_call)
		docker_cancel(dev->docker, dev->docker_call);
}

static void on_end(struct flow *f)
{
	struct dev *dev = f->data;
	if (!dev->stopping)
		dev->options.on_ready(dev->options.data, &f->st, &dev->servers);
}

static const struct flow_ops dev_ops = {.interrupt = on_interrupt, .on_end = on_end};

static bool is_over(const struct dev *dev)
{
	bool over = !dev->once;
	for (int i = 0; i < SERVERS; i++)
		over = over && !dev->server[i].child;
	return over;
}

/* An Engine that ends while stacks run leaves its sandboxes mounted, and the directory could not be removed. */
static void release_mounts(struct dev *dev)
{
	struct mntent entry;
	char text[4096];
	size_t len = strlen(dev->run);
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	if (!mounts)
		return;
	while (getmntent_r(mounts, &entry, text, sizeof(text)))
		if (strncmp(entry.mnt_dir, dev->run, len) == 0 && entry.mnt_dir[len] == '/')
			(void)umount2(entry.mnt_dir, MNT_DETACH);
	(void)endmntent(mounts);
}

static void on_ended(struct defer *d)
{
	struct dev *dev = container_of(d, struct dev, ended);
	if (!is_over(dev) || !dev->stopped)
		return;
	if (dev->servers.own_engine)
		release_mounts(dev);
	void (*stopped)(void *) = dev->stopped;
	dev->stopped = NULL;
	timer_stop(&dev->kill);
	stopped(dev->stopped_data);
}

static void signal_all(struct dev *dev, bool hard)
{
	static const int soft[SERVERS] = {SIGINT, SIGTERM, SIGTERM};
	for (int i = 0; i < SERVERS; i++)
		if (dev->server[i].child)
			child_signal(dev->server[i].child, hard ? SIGKILL : soft[i]);
}

static void on_kill(struct timer *t)
{
	signal_all(container_of(t, struct dev, kill), true);
}

struct dev *dev_start(struct loop *l, const struct dev_options *o)
{
	struct arena *a = arena_create();
	struct dev *dev = arena_new(a, struct dev);
	dev->loop = l;
	dev->arena = a;
	dev->options = *o;
	dev->options.dir = arena_strdup(a, o->dir);
	dev->options.docker = arena_strdup(a, o->docker);
	dev->pg_uid = geteuid() == 0 ? 0 : geteuid();
	timer_init(&dev->look, l, on_look);
	timer_init(&dev->kill, l, on_kill);
	defer_init(&dev->ended, l, on_ended);
	flow_init(&dev->flow, l, dev_steps, &dev_ops, dev);
	flow_start(&dev->flow, NULL, false);
	return dev;
}

void dev_stop(struct dev *dev, void (*done)(void *data), void *data)
{
	dev->stopping = true;
	dev->stopped = done;
	dev->stopped_data = data;
	if (dev->flow.state == FLOW_RUNNING)
		flow_abandon(&dev->flow);
	docker_destroy(dev->docker);
	dev->docker = NULL;
	signal_all(dev, false);
	timer_set(&dev->kill, STOP_MS);
	defer_post(&dev->ended);
}

void dev_destroy(struct dev *dev)
{
	if (!dev)
		return;
	timer_stop(&dev->look);
	timer_stop(&dev->kill);
	defer_cancel(&dev->ended);
	arena_destroy(dev->arena);
}
