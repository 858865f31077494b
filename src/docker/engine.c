#include "docker/engine.h"
#include <stdlib.h>
#include "base/mem.h"
#include "docker/call.h"
#include "docker/ops.h"
#include "net/http_client.h"

#define DEFAULT_HOST        "unix:///var/run/docker.sock"
#define DEFAULT_CONNECTIONS 16
#define DEFAULT_STREAMS     64
#define UNIX_PATH_MAX       107

static void engine_destroy(struct docker *d)
{
	struct engine *e = engine_of(d);
	engine_events_stop_all(e);
	call_cancel_all(e);
	if (e->ping)
		http_request_drop(e->ping);
	http_client_destroy(e->http);
	free(e->unix_socket);
	free(e->url);
	free(e->where);
	free(e);
}

static void engine_cancel(struct docker *d, struct docker_call *c)
{
	(void)d;
	op_cancel(&c->op);
}

static const struct docker_ops engine_ops = {
	.destroy = engine_destroy,
	.cancel = engine_cancel,
	.info = engine_info,
	.service_list = engine_service_list,
	.service_inspect = engine_service_inspect,
	.service_create = engine_service_create,
	.service_update = engine_service_update,
	.service_remove = engine_service_remove,
	.task_list = engine_task_list,
	.container_inspect = engine_container_inspect,
	.network_list = engine_network_list,
	.network_inspect = engine_network_inspect,
	.network_create = engine_network_create,
	.network_remove = engine_network_remove,
	.object_list = engine_object_list,
	.object_inspect = engine_object_inspect,
	.object_create = engine_object_create,
	.object_remove = engine_object_remove,
	.node_list = engine_node_list,
	.image_resolve = engine_image_resolve,
	.registry_login = engine_registry_login,
	.logs = engine_logs,
	.logs_continue = engine_logs_continue,
	.events_start = engine_events_start,
	.events_stop = engine_events_stop,
};

/* "unix:///path" and "tcp://host:port" are what docker calls DOCKER_HOST. */
static struct status read_host(const char *host, struct engine *e)
{
	struct buf url = {0};
	struct str s = str_of(host);
	if (str_starts(s, "unix:///")) {
		if (s.len - 7 > UNIX_PATH_MAX)
			return status_err(ST_INVALID_ARGUMENT,
				"Docker host \"%s\": a socket's path has at most %d bytes", host,
				UNIX_PATH_MAX);
		e->unix_socket = mem_strdup(host + 7);
		buf_adds(&url, "http://localhost");
	} else if (str_starts(s, "tcp://") && s.len > 6 && s.len < 300 && !strchr(host + 6, '/')) {
		buf_fmt(&url, "http://%s", host + 6);
	} else if (str_starts(s, "http://") && s.len > 7 && s.len < 300 && !strchr(host + 7, '/')) {
		buf_adds(&url, host);
	} else {
		return status_err(ST_INVALID_ARGUMENT,
			"Docker host \"%s\": unix:///path or tcp://host:port is wanted", host);
	}
	e->url = url.ptr;
	e->where = mem_strdup(host);
	return status_ok();
}

struct status docker_engine_create(
	struct loop *l, const struct docker_engine_options *o, struct docker **ret_docker)
{
	struct engine *e = mem_new(struct engine);
	struct status st = read_host(o->host ? o->host : DEFAULT_HOST, e);
	if (!status_is_ok(&st)) {
		free(e);
		return st;
	}
	e->base.ops = &engine_ops;
	e->loop = l;
	e->http =
		http_client_create(l, o->max_connections ? o->max_connections : DEFAULT_CONNECTIONS,
			o->max_streams ? o->max_streams : DEFAULT_STREAMS);
	list_init(&e->waiting);
	list_init(&e->sent);
	list_init(&e->events);
	list_init(&e->arrived);
	*ret_docker = &e->base;
	return st;
}
