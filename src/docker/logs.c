#include "docker/ops.h"
#include <inttypes.h>
#include <stdlib.h>
#include "base/clock.h"
#include "docker/call.h"
#include "docker/stream.h"
#include "net/http_client.h"

/* We ask for time stamps and details, so that each message begins with
 * "<RFC 3339 time> com.docker.swarm.node.id=…,com.docker.swarm.task.id=… ". */
struct logs {
	struct docker_call *call;
	struct stream stream;
	bool (*on_line)(void *data, const struct docker_log_line *line);
	bool go_on;
	int64_t time_us; /* of the present message */
	char task_id[64], node_id[64];
};

static void copy_id(char *ret_id, size_t size, struct str value)
{
	size_t len = value.len < size ? value.len : size - 1;
	memcpy(ret_id, value.ptr, len);
	ret_id[len] = '\0';
}

static void read_details(struct logs *l, struct str details)
{
	while (details.len) {
		struct str value = str_cut(&details, ','), key = str_cut(&value, '=');
		if (str_is(key, "com.docker.swarm.task.id"))
			copy_id(l->task_id, sizeof l->task_id, value);
		else if (str_is(key, "com.docker.swarm.node.id"))
			copy_id(l->node_id, sizeof l->node_id, value);
	}
}

/* Returns the text behind the prefix; all of it when there is none. */
static struct str read_prefix(struct logs *l, struct str text)
{
	struct str rest = text, time = str_cut(&rest, ' ');
	char stamp[64] = "";
	l->time_us = 0;
	l->task_id[0] = l->node_id[0] = '\0';
	if (time.len < sizeof stamp)
		copy_id(stamp, sizeof stamp, time);
	l->time_us = time_parse(stamp);
	if (l->time_us == 0)
		return text;
	struct str after = rest, details = str_cut(&after, ' ');
	if (!str_starts(details, "com.docker."))
		return rest;
	read_details(l, details);
	return after;
}

static void on_stream_line(void *data, const struct stream_line *line)
{
	struct logs *l = data;
	if (!op_is_running(&l->call->op)) /* cancelled by on_line */
		return;
	struct str text = line->first ? read_prefix(l, line->text) : line->text;
	const struct docker_log_line out = {.stream = line->stream,
		.text = text.ptr ? text : STR(""),
		.partial = line->partial,
		.time_us = l->time_us,
		.task_id = l->task_id,
		.node_id = l->node_id};
	if (!l->on_line(l->call->data, &out))
		l->go_on = false;
}

static bool on_piece(struct docker_call *c, struct str piece)
{
	struct logs *l = c->extra;
	l->go_on = true;
	struct status st = stream_feed(&l->stream, piece);
	if (status_is_ok(&st))
		return l->go_on;
	docker_call_end(c, &st);
	return true;
}

/* The last line may have no end: it is given out when the stream ended well. */
static struct status on_end(struct docker_call *c)
{
	struct logs *l = c->extra;
	return stream_end(&l->stream);
}

static void deliver_logs(struct docker_call *c, const struct status *st, const json_t *reply)
{
	struct logs *l = c->extra;
	(void)reply;
	c->done.none(c->data, st);
	stream_finish(&l->stream);
}

struct docker_call *engine_logs(
	struct docker *d, const struct docker_logs *o, uint64_t ms, docker_on_done done, void *data)
{
	struct buf path = {0};
	struct call_request r = {.method = "GET",
		.ms = ms,
		.deliver = deliver_logs,
		.on_piece = on_piece,
		.on_end = on_end,
		.done.none = done,
		.data = data};
	path_id(&path, o->service ? "/services/" : "/tasks/", o->service ? o->service : o->task,
		&r.bad);
	buf_adds(&path, "/logs?stdout=1&stderr=1&timestamps=1&details=1");
	if (o->tail >= 0)
		buf_fmt(&path, "&tail=%" PRId64, o->tail);
	if (o->follow)
		buf_adds(&path, "&follow=1");
	if (o->since_us > 0)
		buf_fmt(&path, "&since=%" PRId64 ".%06" PRId64, o->since_us / 1000000,
			o->since_us % 1000000);
	struct docker_call *c = call_start_buf(engine_of(d), &path, &r);
	struct logs *l = arena_new(c->arena, struct logs);
	l->call = c;
	l->on_line = o->on_line;
	stream_init(&l->stream, STREAM_GUESS, DOCKER_LOG_LINE_MAX, on_stream_line, l);
	c->extra = l;
	return c;
}

void engine_logs_continue(struct docker *d, struct docker_call *c)
{
	(void)d;
	if (c->http)
		http_request_continue(c->http);
}
