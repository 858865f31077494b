#include "docker/ops.h"
#include "base/json.h"
#include "docker/call.h"

/* The newest check that failed: a later one may have been cut short by the container's end. */
static const json_t *last_failed_check(const json_t *log)
{
	for (size_t i = json_array_size(log); i-- > 0;)
		if (json_int(json_array_get(log, i), "ExitCode", 0) != 0)
			return json_array_get(log, i);
	return NULL;
}

static void deliver_container(
	struct docker_call *c, const struct status *st, const json_t *reply)
{
	const json_t *state = json_at(reply, "State");
	struct status result = *st;
	if (status_is_ok(st) && !state)
		result = call_bad_reply(c, "State");
	if (!status_is_ok(&result)) {
		c->done.container(c->data, &result, NULL);
		return;
	}
	const json_t *check = last_failed_check(json_at(state, "Health.Log"));
	const char *health = json_text(state, "Health.Status", "");
	const struct docker_container k = {
		.id = json_text(reply, "Id", ""),
		.state = json_text(state, "Status", ""),
		.error = json_text(state, "Error", ""),
		.health = strcmp(health, "none") == 0 ? "" : health,
		.health_output = json_text(check, "Output", ""),
		.health_exit_code = json_int(check, "ExitCode", 0),
		.exit_code = json_int(state, "ExitCode", 0),
		.oom_killed = json_flag(state, "OOMKilled", false),
	};
	c->done.container(c->data, &result, &k);
}

struct docker_call *engine_container_inspect(struct docker *d, const char *id, uint64_t ms,
	docker_on_container done, void *data)
{
	struct buf path = {0};
	struct call_request r = {.method = "GET",
		.ms = ms,
		.deliver = deliver_container,
		.done.container = done,
		.data = data};
	path_id(&path, "/containers/", id, &r.bad);
	buf_adds(&path, "/json");
	return call_start_buf(engine_of(d), &path, &r);
}
