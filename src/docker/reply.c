#include "docker/reply.h"
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "docker/call.h"

/* While the pool has it, the loop's thread touches only node and call. */
struct reply {
	struct list node; /* engine->arrived, until it is handed over or dropped */
	struct loop *loop;
	struct docker_call *call; /* NULL: dropped */
	struct buf body; /* of a long one */
	json_t *json;
	struct status st;
	bool ready;
};

static void reply_free(struct reply *r)
{
	list_remove(&r->node);
	json_decref(r->json);
	buf_finish(&r->body);
	free(r);
}

static void parse(void *data)
{
	struct reply *r = data;
	r->st = json_parse(buf_str(&r->body), &r->json);
}

/* Freed here where the pool has too much to do. */
static void release(void *data)
{
	json_decref(data);
}

static void on_released(void *data, const struct status *st)
{
	if (!status_is_ok(st))
		release(data);
}

void reply_release(struct docker_call *c)
{
	if (c->reply && c->reply_is_long)
		loop_work(c->engine->loop, release, on_released, c->reply);
	else
		json_decref(c->reply);
	c->reply = NULL;
}

static void hand_over(struct docker_call *c, const struct status *st, json_t *json)
{
	c->reply = json;
	op_finish(&c->op, st);
}

/* Those at the front that are ready. */
static void pump(struct engine *e)
{
	while (!list_empty(&e->arrived)) {
		struct reply *r = container_of(e->arrived.next, struct reply, node);
		if (!r->ready)
			return;
		json_t *json = r->json;
		r->json = NULL;
		r->call->arrived = NULL;
		r->call->reply_is_long = r->body.len > 0;
		hand_over(r->call, &r->st, json);
		reply_free(r);
	}
}

static void on_parsed(void *data, const struct status *st)
{
	struct reply *r = data;
	if (!r->call) {
		if (r->json)
			loop_work(r->loop, release, on_released, r->json);
		r->json = NULL;
		reply_free(r);
		return;
	}
	if (!status_is_ok(st)) /* the pool has too much to do */
		parse(r);
	r->st = call_explain(r->call, &r->st);
	r->ready = true;
	pump(r->call->engine);
}

void reply_arrived(struct docker_call *c, const struct status *st, struct str body)
{
	struct engine *e = c->engine;
	bool is_long = body.len > REPLY_LONG;
	struct status result = *st;
	json_t *json = NULL;
	if (body.len > 0 && !is_long) {
		result = json_parse(body, &json);
		result = call_explain(c, &result);
	}
	if (!is_long && list_empty(&e->arrived)) {
		hand_over(c, &result, json);
		return;
	}
	struct reply *r = mem_new(struct reply);
	r->loop = e->loop;
	r->call = c;
	r->json = json;
	r->st = result;
	r->ready = !is_long;
	c->arrived = r;
	list_push(&e->arrived, &r->node);
	if (!is_long)
		return;
	buf_add_str(&r->body, body);
	loop_work(e->loop, parse, on_parsed, r);
}

void reply_drop(struct docker_call *c)
{
	struct reply *r = c->arrived;
	if (!r)
		return;
	c->arrived = NULL;
	r->call = NULL;
	list_remove(&r->node);
	if (r->ready)
		reply_free(r);
	pump(c->engine);
}
