#include "docker/docker.h"
#include "base/json.h"
#include "docker/call.h"
#include "docker/ops.h"

const char *docker_pair_get(const struct docker_pairs *p, const char *key)
{
	for (size_t i = 0; i < p->len; i++)
		if (strcmp(p->at[i].key, key) == 0)
			return p->at[i].value;
	return NULL;
}

struct status docker_info_check(const struct docker_info *i)
{
	if (i->control_available)
		return status_ok();
	if (i->swarm_active)
		return status_err(ST_FAILED_PRECONDITION,
			"the Docker Engine on %s is a Swarm worker: run `docker node promote %s` "
			"on a "
			"manager, or use a manager's Engine",
			i->name, i->name);
	if (strcmp(i->swarm_state, "locked") == 0)
		return status_err(ST_FAILED_PRECONDITION,
			"the Swarm on %s is locked: run `docker swarm unlock` there", i->name);
	if (i->swarm_error[0])
		return status_err(ST_FAILED_PRECONDITION, "the Swarm on %s is in state %s: %s",
			i->name, i->swarm_state, i->swarm_error);
	return status_err(ST_FAILED_PRECONDITION,
		"the Docker Engine on %s is not in a Swarm: run `docker swarm init` there",
		i->name);
}

static void read_info(const struct docker_call *c, const json_t *j, struct docker_info *i)
{
	i->api_version = c->engine->api_version;
	i->engine_version = json_text(j, "ServerVersion", "");
	i->name = json_text(j, "Name", "");
	i->os = json_text(j, "OSType", "");
	i->arch = json_text(j, "Architecture", "");
	i->swarm_state = json_text(j, "Swarm.LocalNodeState", "inactive");
	i->swarm_error = json_text(j, "Swarm.Error", "");
	i->node_id = json_text(j, "Swarm.NodeID", "");
	i->node_addr = json_text(j, "Swarm.NodeAddr", "");
	i->cluster_id = json_text(j, "Swarm.Cluster.ID", "");
	i->swarm_active = strcmp(i->swarm_state, "active") == 0;
	i->control_available = json_flag(j, "Swarm.ControlAvailable", false);
	i->nodes = json_int(j, "Swarm.Nodes", 0);
	i->managers = json_int(j, "Swarm.Managers", 0);
	i->cpus = json_int(j, "NCPU", 0);
	i->memory_bytes = json_int(j, "MemTotal", 0);
}

static void deliver_info(struct docker_call *c, const struct status *st, const json_t *reply)
{
	struct docker_info info = {0};
	struct status result = *st;
	if (status_is_ok(st) && !json_is_object(reply))
		result = call_bad_reply(c, "object");
	if (status_is_ok(&result))
		read_info(c, reply, &info);
	c->done.info(c->data, &result, status_is_ok(&result) ? &info : NULL);
}

struct docker_call *engine_info(struct docker *d, uint64_t ms, docker_on_info done, void *data)
{
	struct call_request r = {.method = "GET",
		.path = "/info",
		.ms = ms,
		.deliver = deliver_info,
		.done.info = done,
		.data = data};
	return call_start(engine_of(d), &r);
}
