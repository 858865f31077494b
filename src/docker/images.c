#include "docker/ops.h"
#include "base/json.h"
#include "docker/call.h"

static void deliver_image(struct docker_call *c, const struct status *st, const json_t *reply)
{
	struct docker_image image = {.digest = json_text(reply, "Descriptor.digest", "")};
	const json_t *list = json_at(reply, "Platforms");
	struct status result = *st;
	/* The registry is away; the Engine is not. */
	if (st->code == ST_UNAVAILABLE && c->answered)
		result = status_err(ST_FAILED_PRECONDITION, "%s", st->message);
	if (status_is_ok(st) && image.digest[0] == '\0')
		result = call_bad_reply(c, "Descriptor.digest");
	if (!status_is_ok(&result)) {
		c->done.image(c->data, &result, NULL);
		return;
	}
	size_t n = json_array_size(list);
	struct docker_platform *platforms = arena_array(c->arena, struct docker_platform, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *p = json_array_get(list, i);
		platforms[i] = (struct docker_platform){json_text(p, "os", ""),
			json_text(p, "architecture", ""), json_text(p, "variant", "")};
	}
	image.platforms = platforms;
	image.platform_count = n;
	c->done.image(c->data, &result, &image);
}

struct docker_call *engine_image_resolve(struct docker *d, const char *ref,
	const char *registry_auth, uint64_t ms, docker_on_image done, void *data)
{
	struct buf path = {0};
	struct call_request r = {.method = "GET",
		.auth = registry_auth,
		.ms = ms,
		.deliver = deliver_image,
		.done.image = done,
		.data = data};
	if (ref[0] == '\0' || ref[0] == '.' || ref[0] == '/')
		r.bad = status_err(ST_INVALID_ARGUMENT, "\"%s\" is not an image reference", ref);
	buf_adds(&path, "/distribution/");
	path_escape(&path, ref, "/:@");
	buf_adds(&path, "/json");
	return call_start_buf(engine_of(d), &path, &r);
}

static void deliver_login(struct docker_call *c, const struct status *st, const json_t *reply)
{
	struct status result = *st;
	(void)reply;
	/* The Engine is there; what it asked is not, or it has no certificate that the Engine takes, or
	 * it is no registry. */
	if (!status_is_ok(st) && c->answered && st->code != ST_PERMISSION_DENIED)
		result = status_err(ST_FAILED_PRECONDITION, "%s", st->message);
	c->done.none(c->data, &result);
}

struct docker_call *engine_registry_login(
	struct docker *d, const json_t *auth, uint64_t ms, docker_on_done done, void *data)
{
	const struct call_request r = {.method = "POST",
		.path = "/auth",
		.body = auth,
		.ms = ms,
		.deliver = deliver_login,
		.done.none = done,
		.data = data};
	return call_start(engine_of(d), &r);
}
